//! The settings of factors, `/config/v2.0/factors` (vendor page §2.3.2, §2.6, §2.7.1). What is written is in force at once.
//!
//! Owns the shapes and what a setting may be. Where they are kept is the directory's affair.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::records::{OtpSettings, RelyingParty, RelyingPartyId, TenantSettings, TotpSettings};
use serde_json::{Map, Value, json};

use super::caller::authenticate;
use super::refusal::Refusal;
use super::{enrolments, wire};
use crate::app::App;
use crate::call::{Call, Path};
use crate::directory::{DirectoryChange, split_url};
use crate::reply;

const READ: [&str; 2] = ["readMFAMethods", "manageMFAMethods"];
const MANAGE: [&str; 1] = ["manageMFAMethods"];

/// Relying parties of one tenant.
const MOST_PARTIES: usize = 100;
/// Origins of one, and domains in a list.
const MOST_ENTRIES: usize = 100;
const LONGEST_TEXT: usize = 253;

type Body = Map<String, Value>;

async fn demand(app: &App, call: &Call, any: &[&str]) -> Result<(), Refusal> {
    let caller = authenticate(app, call).await?;
    let client = caller.client_alone(any)?;
    tracing::debug!(tenant = %call.tenant.tenant.id, %client, path = call.uri.path(), "factor settings");
    Ok(())
}

/// The settings as they are now: the snapshot of the request may be older than the last write.
fn settings(app: &App, call: &Call) -> TenantSettings {
    let current = app.directories.current();
    current.tenant(&call.tenant.tenant.id).unwrap_or(&call.tenant).tenant.settings.clone()
}

async fn write(app: &App, call: &Call, change: DirectoryChange) -> Result<(), Refusal> {
    if app.change_directory(&call.tenant.tenant.id, vec![change]).await? { Ok(()) } else { Err(Refusal::Overtaken) }
}

fn code_settings<'s>(settings: &'s mut TenantSettings, kind: &str) -> Option<&'s mut OtpSettings> {
    match kind {
        "emailotp" => Some(&mut settings.email_otp),
        "smsotp" => Some(&mut settings.sms_otp),
        "voiceotp" => Some(&mut settings.voice_otp),
        _ => None,
    }
}

fn shown(settings: &mut TenantSettings, kind: &str) -> Option<Value> {
    if kind == "totp" {
        let totp = &settings.totp;
        return Some(json!({
            "algorithm": totp.algorithm,
            "digits": totp.digits,
            "enabled": totp.enabled,
            "oneTimeUse": totp.one_time_use,
            "period": totp.period,
            "periodSkew": totp.skew,
            "enrollments": 1,
        }));
    }
    if kind == "fido2" {
        return Some(json!({ "enabled": settings.fido2_enabled }));
    }
    let code = code_settings(settings, kind)?;
    let mut shown = json!({
        "charset": code.charset,
        "enabled": code.enabled,
        "expiry": code.expiry,
        "length": code.length,
        "retries": code.retries,
    });
    if let (true, Some(members)) = (kind == "emailotp", shown.as_object_mut()) {
        members.insert("allowlist".to_owned(), json!(code.allowlist));
        members.insert("denylist".to_owned(), json!(code.denylist));
    }
    Some(shown)
}

/// `GET /config/v2.0/factors/{kind}`.
pub async fn read(State(app): State<App>, Path(kind): Path<String>, call: Call) -> Result<Response, Refusal> {
    demand(&app, &call, &READ).await?;
    let shown = shown(&mut settings(&app, &call), &kind).ok_or(Refusal::NotFound)?;
    Ok(reply::json(StatusCode::OK, &shown))
}

/// `PUT /config/v2.0/factors/{kind}`: members left out stay as they are.
pub async fn replace(State(app): State<App>, Path(kind): Path<String>, call: Call) -> Result<Response, Refusal> {
    demand(&app, &call, &MANAGE).await?;
    let body = wire::body(&call)?;
    let changed = app.amend_directory(&call.tenant.tenant.id, |now| {
        let mut tenant = now.tenant.clone();
        change(&mut tenant.settings, &kind, &body)?;
        Ok::<_, Refusal>((tenant.settings.clone(), Some(DirectoryChange::PutTenant(Box::new(tenant)))))
    });
    let mut settings = changed.await?.ok_or(Refusal::Overtaken)?;
    tracing::info!(tenant = %call.tenant.tenant.id, kind, "factor settings changed");
    let shown = shown(&mut settings, &kind).ok_or(Refusal::NotFound)?;
    Ok(reply::json(StatusCode::OK, &shown))
}

fn change(settings: &mut TenantSettings, kind: &str, body: &Body) -> Result<(), Refusal> {
    if kind == "totp" {
        change_totp(&mut settings.totp, body)
    } else if kind == "fido2" {
        settings.fido2_enabled = flag(body, "enabled")?.unwrap_or(settings.fido2_enabled);
        Ok(())
    } else {
        change_code(code_settings(settings, kind).ok_or(Refusal::NotFound)?, body, kind == "emailotp")
    }
}

fn flag(body: &Body, name: &str) -> Result<Option<bool>, Refusal> {
    wire::flag(body, name, "A member that must be a boolean is something else.")
}

fn number(body: &Body, name: &str, range: std::ops::RangeInclusive<i64>) -> Result<Option<i64>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(Refusal::Malformed("A member is not a number or out of range.")),
        },
    }
}

fn small(body: &Body, name: &str, range: std::ops::RangeInclusive<i64>) -> Result<Option<u8>, Refusal> {
    Ok(number(body, name, range)?.and_then(|number| u8::try_from(number).ok()))
}

fn change_code(settings: &mut OtpSettings, body: &Body, mail: bool) -> Result<(), Refusal> {
    let mut next = settings.clone();
    next.enabled = flag(body, "enabled")?.unwrap_or(next.enabled);
    next.length = small(body, "length", 4..=20)?.unwrap_or(next.length);
    next.expiry = number(body, "expiry", 1..=1800)?.unwrap_or(next.expiry);
    next.retries = small(body, "retries", 0..=10)?.unwrap_or(next.retries);
    if let Some(charset) = wire::optional(body, "charset", "The member charset is not text.")? {
        let mut bytes: Vec<u8> = charset.bytes().collect();
        bytes.sort_unstable();
        bytes.dedup();
        // Fewer than ten different characters make codes that are guessed.
        if bytes.len() < 10 || bytes.len() != charset.len() || !bytes.iter().all(u8::is_ascii_graphic) {
            return Err(Refusal::Unusable("The charset must hold at least 10 different characters, each once."));
        }
        charset.clone_into(&mut next.charset);
    }
    if mail {
        next.allowlist = domains(body, "allowlist")?.unwrap_or(next.allowlist);
        next.denylist = domains(body, "denylist")?.unwrap_or(next.denylist);
    }
    *settings = next;
    Ok(())
}

/// Mail domains, literal. The vendor also takes expressions: one that is taken and then matches nothing would be worse.
fn domains(body: &Body, name: &str) -> Result<Option<Vec<String>>, Refusal> {
    let Some(all) = texts(body, name)? else { return Ok(None) };
    let sound = |domain: &String| {
        !domain.is_empty() && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
    };
    if all.iter().all(sound) {
        Ok(Some(all))
    } else {
        Err(Refusal::Unusable("The lists of domains may hold only domain names."))
    }
}

fn texts(body: &Body, name: &str) -> Result<Option<Vec<String>>, Refusal> {
    let malformed = Refusal::Malformed("A member that must be a list of texts is something else, or too long.");
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) if list.len() <= MOST_ENTRIES => {
            let all: Option<Vec<String>> = list
                .iter()
                .map(|one| one.as_str().filter(|text| text.len() <= LONGEST_TEXT).map(str::to_owned))
                .collect();
            all.map(Some).ok_or(malformed)
        }
        Some(_) => Err(malformed),
    }
}

fn change_totp(settings: &mut TotpSettings, body: &Body) -> Result<(), Refusal> {
    let mut next = settings.clone();
    next.enabled = flag(body, "enabled")?.unwrap_or(next.enabled);
    next.one_time_use = flag(body, "oneTimeUse")?.unwrap_or(next.one_time_use);
    next.digits = small(body, "digits", 6..=12)?.unwrap_or(next.digits);
    next.period = small(body, "period", 10..=240)?.unwrap_or(next.period);
    next.skew = small(body, "periodSkew", 0..=5)?.unwrap_or(next.skew);
    // One authenticator app a person; another number would be taken and then not be true.
    number(body, "enrollments", 1..=1)?;
    if let Some(algorithm) = wire::optional(body, "algorithm", "The member algorithm is not text.")? {
        if !["SHA1", "SHA256", "SHA512"].contains(&algorithm) {
            return Err(Refusal::Malformed("The member algorithm is none of SHA1, SHA256, SHA512."));
        }
        algorithm.clone_into(&mut next.algorithm);
    }
    *settings = next;
    Ok(())
}

fn shown_party(party: &RelyingParty) -> Value {
    let (formats, types): (&[&str], &[&str]) = match party.attestation {
        None => (&["none"], &["None"]),
        Some(_) => (&["packed", "tpm", "android-key", "fido-u2f"], &["Basic", "AttCA"]),
    };
    json!({
        "id": party.id,
        "rpId": party.rp_id,
        "origins": party.origins,
        "name": party.name,
        "allowedAttestationFormats": formats,
        "allowedAttestationTypes": types,
        "metadataConfig": {},
        "enabled": party.enabled,
        "webAuthn": {},
    })
}

fn parties(app: &App, call: &Call) -> Vec<RelyingParty> {
    let current = app.directories.current();
    current.tenant(&call.tenant.tenant.id).unwrap_or(&call.tenant).relying_parties.clone()
}

fn party(app: &App, call: &Call, id: &str) -> Result<RelyingParty, Refusal> {
    parties(app, call).into_iter().find(|party| party.id.as_str() == id).ok_or(Refusal::NotFound)
}

/// `GET /config/v2.0/factors/fido2/relyingparties`.
pub async fn relying_parties(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    demand(&app, &call, &READ).await?;
    let all = parties(&app, &call).iter().map(shown_party).collect();
    enrolments::list(&call, "relyingparties", all, &["id", "rpId", "name", "enabled", "origins"])
}

/// `GET /config/v2.0/factors/fido2/relyingparties/{id}`.
pub async fn relying_party(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    demand(&app, &call, &READ).await?;
    Ok(reply::json(StatusCode::OK, &shown_party(&party(&app, &call, &id)?)))
}

/// `POST /config/v2.0/factors/fido2/relyingparties`.
pub async fn add_relying_party(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    demand(&app, &call, &MANAGE).await?;
    app.directories.refresh_if_changed().await?;
    if parties(&app, &call).len() >= MOST_PARTIES {
        return Err(Refusal::Unusable("There are too many relying parties."));
    }
    let party = RelyingParty {
        id: RelyingPartyId(app.world.uuid()),
        rp_id: String::new(),
        name: String::new(),
        origins: Vec::new(),
        enabled: true,
        attestation: None,
    };
    let party = changed_party(party, &wire::body(&call)?)?;
    write(&app, &call, DirectoryChange::PutRelyingParty(party.clone())).await?;
    tracing::info!(tenant = %call.tenant.tenant.id, party = %party.id, "relying party added");
    Ok(reply::json(StatusCode::CREATED, &shown_party(&party)))
}

/// `PUT /config/v2.0/factors/fido2/relyingparties/{id}`: members left out stay as they are.
pub async fn replace_relying_party(
    State(app): State<App>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Response, Refusal> {
    demand(&app, &call, &MANAGE).await?;
    let body = wire::body(&call)?;
    let changed = app.amend_directory(&call.tenant.tenant.id, |now| {
        let before = now.relying_party(&id).ok_or(Refusal::NotFound)?;
        let party = changed_party(before.clone(), &body)?;
        Ok::<_, Refusal>((party.clone(), Some(DirectoryChange::PutRelyingParty(party))))
    });
    let party = changed.await?.ok_or(Refusal::Overtaken)?;
    tracing::info!(tenant = %call.tenant.tenant.id, party = %party.id, "relying party changed");
    Ok(reply::json(StatusCode::OK, &shown_party(&party)))
}

/// `DELETE /config/v2.0/factors/fido2/relyingparties/{id}`.
pub async fn remove_relying_party(
    State(app): State<App>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Response, Refusal> {
    demand(&app, &call, &MANAGE).await?;
    app.directories.refresh_if_changed().await?;
    let party = party(&app, &call, &id)?;
    write(&app, &call, DirectoryChange::RemoveRelyingParty(party.id)).await?;
    tracing::info!(tenant = %call.tenant.tenant.id, party = id, "relying party removed");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

fn changed_party(mut party: RelyingParty, body: &Body) -> Result<RelyingParty, Refusal> {
    let text = |name| wire::optional(body, name, "A member that must be text is something else.");
    if let Some(domain) = text("rpId")? {
        if !party.rp_id.is_empty() && domain != party.rp_id {
            // Credentials are bound to it: those made before would be lost without a word.
            return Err(Refusal::Unusable("The rpId of a relying party cannot be changed."));
        }
        domain.clone_into(&mut party.rp_id);
    }
    if let Some(name) = text("name")? {
        name.clone_into(&mut party.name);
    }
    party.origins = texts(body, "origins")?.unwrap_or(party.origins);
    party.enabled = flag(body, "enabled")?.unwrap_or(party.enabled);
    if !is_domain(&party.rp_id) {
        return Err(Refusal::Malformed("The member rpId must be a domain in lower case."));
    }
    if party.name.is_empty() {
        party.name.clone_from(&party.rp_id);
    }
    if party.origins.is_empty() || !party.origins.iter().all(|origin| may_run(origin, &party.rp_id)) {
        return Err(Refusal::Malformed("The origins must be secure and at the domain of rpId or below it."));
    }
    Ok(party)
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.len() <= LONGEST_TEXT && text.split('.').all(label)
}

/// Whether browsers give an origin ceremonies of this domain (WebAuthn §5.1.4.1): at it or below it, and secure or the machine
/// itself. Native applications name themselves otherwise.
fn may_run(origin: &str, domain: &str) -> bool {
    if let Some(hash) = origin.strip_prefix("android:apk-key-hash:") {
        return !hash.is_empty();
    }
    let Some((scheme, authority)) = split_url(origin) else { return false };
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let local = host == "localhost" || host.ends_with(".localhost");
    (scheme == "https" || local) && (host == domain || host.ends_with(&format!(".{domain}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn body(value: Value) -> Body {
        let Value::Object(body) = value else { panic!("no object") };
        body
    }

    #[test]
    fn settings_of_codes_stay_within_their_bounds_and_change_all_at_once() {
        let mut settings = OtpSettings::default();
        let good = body(json!({ "length": 8, "expiry": 600, "retries": 2, "charset": "23456789ABCDEF", "unknown": 1 }));
        change_code(&mut settings, &good, false).unwrap();
        assert_eq!((settings.length, settings.expiry, settings.retries), (8, 600, 2));
        for wrong in [
            json!({ "length": 3 }),
            json!({ "length": 6, "expiry": 1801 }),
            json!({ "retries": 11 }),
            json!({ "retries": -1 }),
            json!({ "enabled": "yes" }),
            json!({ "charset": "01" }),
            json!({ "charset": "00123456789" }),
            json!({ "length": 6.5 }),
        ] {
            let before = settings.clone();
            assert!(change_code(&mut settings, &body(wrong.clone()), true).is_err(), "{wrong}");
            assert_eq!(settings, before);
        }
        assert!(change_code(&mut settings, &body(json!({ "allowlist": ["a.*"] })), true).is_err());
        change_code(&mut settings, &body(json!({ "allowlist": ["acme.org"], "denylist": null })), true).unwrap();
        assert_eq!(settings.allowlist, ["acme.org"]);
    }

    #[test]
    fn settings_of_authenticator_apps_stay_within_their_bounds() {
        let mut settings = TotpSettings::default();
        change_totp(&mut settings, &body(json!({ "algorithm": "SHA256", "digits": 8, "periodSkew": 0 }))).unwrap();
        assert_eq!((settings.algorithm.as_str(), settings.digits, settings.skew), ("SHA256", 8, 0));
        for wrong in [
            json!({ "algorithm": "MD5" }),
            json!({ "digits": 5 }),
            json!({ "periodSkew": 6 }),
            json!({ "period": 0 }),
            json!({ "enrollments": 3 }),
        ] {
            assert!(change_totp(&mut settings, &body(wrong.clone())).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_relying_party_has_origins_of_its_own_domain() {
        let new = || RelyingParty {
            id: "r".into(),
            rp_id: String::new(),
            name: String::new(),
            origins: Vec::new(),
            enabled: true,
            attestation: None,
        };
        let good = json!({ "rpId": "acme.org", "origins": ["https://acme.org", "https://login.acme.org:8443"] });
        let party = changed_party(new(), &body(good)).unwrap();
        assert_eq!(party.name, "acme.org");
        for wrong in [
            json!({}),
            json!({ "rpId": "acme.org" }),
            json!({ "rpId": "acme.org", "origins": [] }),
            json!({ "rpId": "Acme.org", "origins": ["https://acme.org"] }),
            json!({ "rpId": "acme.org", "origins": ["http://acme.org"] }),
            json!({ "rpId": "acme.org", "origins": ["https://notacme.org"] }),
            json!({ "rpId": "acme.org", "origins": ["https://acme.org/path"] }),
        ] {
            assert!(changed_party(new(), &body(wrong.clone())).is_err(), "{wrong}");
        }
        assert!(changed_party(party, &body(json!({ "rpId": "other.org" }))).is_err());
    }
}
