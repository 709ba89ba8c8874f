//! Owns client metadata (RFC 7591, RFC 7592, OpenID Connect Registration 1.0; vendor page §4.15): read into a client, every rule judged,
//! and told again.
//!
//! Fetches nothing, makes no identifier and no secret. Members nobody knows are passed over (RFC 7591 §2); what a stranger may not ask
//! for is passed over as well, and the answer says so by what it holds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::jwe::{ContentEnc, KeyAlg};
use crate::jwk::JwkSet;
use crate::jwt::{ASYMMETRIC, Algorithm};
use crate::logout::origin_of;
use crate::oauth_error::{OAuthCode, Rejection};
use crate::pairwise;
use crate::records::{Client, ClientAuthMethod, ClientId, ClientKeys, Consent, Seconds, SigningAlg};
use crate::redirect::{check_registrable, web_host};
use crate::scope;

mod describe;
mod reader;

pub use describe::describe;
use reader::Reader;

/// Grant types anybody may have: a person takes part in each.
const OPEN_GRANTS: [&str; 4] =
    ["authorization_code", "implicit", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"];
/// Response types with their words in order.
const RESPONSE_TYPES: [&str; 8] =
    ["code", "code id_token", "code id_token token", "code token", "id_token", "id_token token", "none", "token"];
/// Elements of one list.
const MAX_LIST: usize = 32;
/// Bytes of a key set by value.
const MAX_JWKS: usize = 32 * 1024;
/// How old an authentication may be at most: a hundred years.
const MAX_AGE: i64 = 3_155_760_000;

/// What this server can do and this caller may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Grant types that work.
    pub grant_types: &'a [&'a str],
    /// Algorithms the tenant signs with.
    pub signing_algs: &'a [SigningAlg],
    /// Whether somebody vouched for the client: it may then use grants in which no person takes part.
    pub vouched: bool,
    /// What whoever vouches may hand on in this request; none keeps it as it is.
    pub powers: Option<Powers<'a>>,
}

/// What a holder of an initial access token may give to the client it registers.
#[derive(Clone, Copy, Debug)]
pub struct Powers<'a> {
    /// Entitlements the holder has: no others may be handed on.
    pub entitlements: &'a BTreeSet<String>,
    /// Access policies of the tenant.
    pub policies: &'a BTreeSet<i64>,
}

/// A client before it says anything of itself, with no more trust than a stranger gets.
pub fn stranger(id: ClientId) -> Client {
    let mut blank: Client = serde_json::from_value(json!({ "id": id })).expect("every other field has a default");
    // An address told by somebody nobody knows proves nothing.
    blank.trusted_to_forward = false;
    blank
}

/// Reads metadata into `client`: what is registrable is replaced, absent members by their defaults; everything else stays.
///
/// The document behind `sector_identifier_uri` is still to be fetched and given to [`check_sector`].
///
/// # Errors
/// `invalid_redirect_uri` or `invalid_client_metadata` (RFC 7591 §3.2.2).
pub fn read(metadata: &Map<String, Value>, mut client: Client, rules: &Rules<'_>) -> Result<Client, Rejection> {
    let from = Reader(metadata);
    read_names(&from, &mut client)?;
    read_flows(&from, &mut client, rules)?;
    read_redirects(&from, &mut client)?;
    read_proof(&from, &mut client)?;
    read_answers(&from, &mut client, rules)?;
    read_requests(&from, &mut client)?;
    read_logout(&from, &mut client)?;
    if let Some(powers) = &rules.powers {
        read_powers(&from, &mut client, powers)?;
    }
    if client.pairwise && client.sector_identifier_uri.is_none() && pairwise::hosts(&client.redirect_uris).len() > 1 {
        return Err(wrong("redirect URIs of several hosts need a `sector_identifier_uri` for pairwise subjects"));
    }
    Ok(client)
}

/// Judges the document behind `sector_identifier_uri`: a JSON array that holds every redirect URI (OpenID Connect Registration §5).
///
/// # Errors
/// It does not.
pub fn check_sector(client: &Client, document: &Value) -> Result<(), Rejection> {
    let list = document.as_array().ok_or_else(|| wrong("the document at `sector_identifier_uri` is no JSON array"))?;
    let holds = |uri: &String| list.iter().any(|one| one.as_str() == Some(uri));
    if client.redirect_uris.iter().all(holds) {
        return Ok(());
    }
    Err(wrong("the document at `sector_identifier_uri` does not hold every redirect URI"))
}

fn wrong(text: impl Into<std::borrow::Cow<'static, str>>) -> Rejection {
    Rejection::new(OAuthCode::InvalidClientMetadata, text)
}

fn read_names(from: &Reader<'_>, client: &mut Client) -> Result<(), Rejection> {
    client.name = from.text("client_name")?.unwrap_or_default();
    // Names in other languages (RFC 7591 §2.2).
    let translated = |name: &str| name.strip_prefix("client_name#").is_some_and(is_language);
    client.extra.retain(|name, _| !translated(name));
    for name in from.0.keys().filter(|name| translated(name)).take(MAX_LIST) {
        if let Some(text) = from.text(name)? {
            client.extra.insert(name.clone(), text.into());
        }
    }
    client.contacts = from.texts("contacts", MAX_LIST)?.unwrap_or_default();
    client.software_id = from.text("software_id")?;
    client.software_version = from.text("software_version")?;
    client.client_uri = from.web("client_uri")?;
    client.logo_uri = from.web("logo_uri")?;
    client.policy_uri = from.web("policy_uri")?;
    client.tos_uri = from.web("tos_uri")?;
    client.initiate_login_uri = from.secure("initiate_login_uri")?;
    Ok(())
}

/// A language tag in outline (BCP 47).
fn is_language(tag: &str) -> bool {
    tag.len() <= 35
        && tag.split('-').all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Grants and response types, which must go together (RFC 7591 §2.1).
fn read_flows(from: &Reader<'_>, client: &mut Client, rules: &Rules<'_>) -> Result<(), Rejection> {
    client.native = match from.text("application_type")?.as_deref() {
        None | Some("web") => false,
        Some("native") => true,
        Some(_) => return Err(wrong("`application_type` is neither `web` nor `native`")),
    };
    let responses = from.texts("response_types", RESPONSE_TYPES.len())?;
    for response in responses.iter().flatten() {
        if !RESPONSE_TYPES.contains(&in_order(response).as_str()) {
            return Err(wrong("`response_types` names one that is not offered"));
        }
    }
    let grants = match from.texts("grant_types", MAX_LIST)? {
        Some(grants) => {
            for grant in &grants {
                if !rules.grant_types.contains(&grant.as_str()) {
                    return Err(wrong("`grant_types` names one that is not offered"));
                }
                if !rules.vouched && !OPEN_GRANTS.contains(&grant.as_str()) {
                    return Err(wrong("`grant_types` names one that needs an initial access token"));
                }
            }
            grants.into_iter().collect()
        }
        None => match &responses {
            Some(responses) => responses.iter().flat_map(|response| grants_of(response)).map(str::to_owned).collect(),
            None => BTreeSet::from(["authorization_code".to_owned()]),
        },
    };
    let responses = responses
        .unwrap_or_else(|| if grants.contains("authorization_code") { vec!["code".to_owned()] } else { Vec::new() });
    if responses.iter().flat_map(|response| grants_of(response)).any(|grant| !grants.contains(grant)) {
        return Err(wrong("`response_types` and `grant_types` do not go together"));
    }
    client.response_types = responses;
    client.grant_types = grants;
    client.require_pkce = from.flag("enforce_pkce")?.unwrap_or(false);
    client.require_par = from.flag("require_pushed_authorization_requests")?.unwrap_or(false);
    Ok(())
}

fn in_order(response: &str) -> String {
    let mut words: Vec<&str> = response.split(' ').collect();
    words.sort_unstable();
    words.join(" ")
}

/// The grants a response type needs.
fn grants_of(response: &str) -> Vec<&'static str> {
    let has = |word: &str| response.split(' ').any(|one| one == word);
    let mut grants = Vec::new();
    if has("code") {
        grants.push("authorization_code");
    }
    if has("token") || has("id_token") {
        grants.push("implicit");
    }
    grants
}

fn read_redirects(from: &Reader<'_>, client: &mut Client) -> Result<(), Rejection> {
    let refuse = |text: String| Rejection::new(OAuthCode::InvalidRedirectUri, text);
    let uris = from
        .texts("redirect_uris", MAX_LIST)
        .map_err(|problem| Rejection::new(OAuthCode::InvalidRedirectUri, problem.detail))?
        .unwrap_or_default();
    if client.grant_types.is_empty() && client.response_types.is_empty() {
        let text = "neither `grant_types` nor `response_types` has anything in it";
        return Err(Rejection::new(OAuthCode::InvalidClientMetadata, text));
    }
    let redirects = ["authorization_code", "implicit"].iter().any(|grant| client.grant_types.contains(*grant));
    if uris.is_empty() && redirects {
        return Err(refuse("`redirect_uris` is missing".to_owned()));
    }
    let implicit = client.grant_types.contains("implicit");
    for uri in &uris {
        check_registrable(uri, client.native, false)
            .map_err(|problem| refuse(format!("`redirect_uris` holds one that is refused: {problem}")))?;
        // OpenID Connect Registration §2, `application_type`: tokens in an address must not go to whatever listens there.
        let host = web_host(uri);
        let secure = uri.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("https:"));
        if !client.native && implicit && (!secure || host.as_deref() == Some("localhost")) {
            return Err(refuse(
                "a web client with the implicit grant needs `https` and a host other than localhost".into(),
            ));
        }
    }
    client.redirect_uris = uris;
    client.sector_identifier_uri = from.secure("sector_identifier_uri")?;
    client.pairwise = match from.text("subject_type")?.as_deref() {
        None | Some("public") => false,
        Some("pairwise") => true,
        Some(_) => return Err(wrong("`subject_type` is neither `public` nor `pairwise`")),
    };
    Ok(())
}

/// How the client proves itself, and with which keys.
fn read_proof(from: &Reader<'_>, client: &mut Client) -> Result<(), Rejection> {
    client.keys = match (from.given("jwks"), from.secure("jwks_uri")?) {
        (Some(_), Some(_)) => return Err(wrong("`jwks` and `jwks_uri` exclude one another")),
        (Some(set), None) => {
            if set.to_string().len() > MAX_JWKS {
                return Err(wrong("`jwks` is too long"));
            }
            JwkSet::parse(set).map_err(|problem| wrong(format!("`jwks` is refused: {problem}")))?;
            ClientKeys::Jwks(set.clone())
        }
        (None, Some(uri)) => ClientKeys::JwksUri(uri),
        (None, None) => ClientKeys::None,
    };
    client.auth_method = match from.text("token_endpoint_auth_method")?.as_deref() {
        None | Some("client_secret_basic") => ClientAuthMethod::ClientSecretBasic,
        Some("client_secret_post") => ClientAuthMethod::ClientSecretPost,
        Some("default") => ClientAuthMethod::Default,
        Some("private_key_jwt") => ClientAuthMethod::PrivateKeyJwt,
        Some("none") => ClientAuthMethod::None,
        Some(_) => return Err(wrong("`token_endpoint_auth_method` is not offered")),
    };
    if client.auth_method == ClientAuthMethod::PrivateKeyJwt && client.keys == ClientKeys::None {
        return Err(wrong("`private_key_jwt` needs `jwks` or `jwks_uri`"));
    }
    if client.auth_method == ClientAuthMethod::None && client.grant_types.contains("client_credentials") {
        return Err(wrong("a client without credentials cannot have the grant `client_credentials`"));
    }
    client.token_endpoint_auth_signing_alg = asymmetric(from, "token_endpoint_auth_signing_alg", false)?;
    client.validate_assertion_jti = from.flag("token_endpoint_auth_single_use_jti")?.unwrap_or(true);
    Ok(())
}

/// An algorithm the client signs with, by name.
fn asymmetric(from: &Reader<'_>, name: &str, unsigned: bool) -> Result<Option<String>, Rejection> {
    let Some(alg) = from.text(name)? else { return Ok(None) };
    let known = alg.parse::<Algorithm>().is_ok_and(|alg| ASYMMETRIC.contains(&alg));
    if known || unsigned && alg == "none" { Ok(Some(alg)) } else { Err(wrong(format!("`{name}` is not offered"))) }
}

/// What the client is told, and in which form.
fn read_answers(from: &Reader<'_>, client: &mut Client, rules: &Rules<'_>) -> Result<(), Rejection> {
    let signing = |name: &str| {
        let Some(text) = from.text(name)? else { return Ok(None) };
        let alg = serde_json::from_value::<SigningAlg>(text.into()).ok();
        alg.filter(|alg| rules.signing_algs.contains(alg))
            .map(Some)
            .ok_or_else(|| wrong(format!("`{name}` is not offered")))
    };
    client.id_token_alg = signing("id_token_signed_response_alg")?.unwrap_or(SigningAlg::Rs256);
    client.userinfo_alg = match from.given("userinfo_signed_response_alg").and_then(Value::as_str) {
        Some("none") => None,
        _ => signing("userinfo_signed_response_alg")?,
    };
    client.id_token_encryption = encryption(from, "id_token_encrypted_response")?;
    client.userinfo_encryption = encryption(from, "userinfo_encrypted_response")?;
    for (alg, _) in client.id_token_encryption.iter().chain(&client.userinfo_encryption) {
        let has_key = match &client.keys {
            ClientKeys::Jwks(set) => KeyAlg::named(alg)
                .is_some_and(|alg| JwkSet::parse(set).is_ok_and(|set| set.encryption_key(alg).is_some())),
            ClientKeys::JwksUri(_) => true,
            ClientKeys::None => false,
        };
        if !has_key {
            return Err(wrong("encrypted answers need a key to encrypt to in `jwks` or `jwks_uri`"));
        }
    }
    Ok(())
}

/// An `…_alg` and its `…_enc`, which says nothing alone (OpenID Connect Registration §2).
fn encryption(from: &Reader<'_>, stem: &str) -> Result<Option<(String, String)>, Rejection> {
    let (alg_name, enc_name) = (format!("{stem}_alg"), format!("{stem}_enc"));
    let (alg, enc) = (from.text(&alg_name)?, from.text(&enc_name)?);
    let Some(alg) = alg else {
        return if enc.is_some() { Err(wrong(format!("`{enc_name}` without `{alg_name}`"))) } else { Ok(None) };
    };
    if KeyAlg::named(&alg).is_none() {
        return Err(wrong(format!("`{alg_name}` is not offered")));
    }
    let enc = enc.unwrap_or_else(|| ContentEnc::DEFAULT.as_str().to_owned());
    if ContentEnc::named(&enc).is_none() {
        return Err(wrong(format!("`{enc_name}` is not offered")));
    }
    Ok(Some((alg, enc)))
}

/// How the client asks, and what holds where it does not say.
fn read_requests(from: &Reader<'_>, client: &mut Client) -> Result<(), Rejection> {
    client.request_object_signing_alg = asymmetric(from, "request_object_signing_alg", true)?;
    client.request_object_encryption = encryption(from, "request_object_encryption")?;
    client.require_signed_request_object = from.flag("require_signed_request_object")?.unwrap_or(false);
    client.request_uris = from.texts("request_uris", MAX_LIST)?.unwrap_or_default();
    for uri in &client.request_uris {
        // A fragment pins the content (OpenID Connect Core §6.2): here it may stand.
        let address = uri.split_once('#').map_or(uri.as_str(), |(address, _)| address);
        if !reader::is_secure(address) {
            return Err(wrong("`request_uris` holds one that is no `https` address"));
        }
    }
    client.default_max_age = from.number("default_max_age", 0..=MAX_AGE)? as Option<Seconds>;
    client.require_auth_time = from.flag("require_auth_time")?.unwrap_or(false);
    client.default_acr_values = from.texts("default_acr_values", MAX_LIST)?.unwrap_or_default();
    Ok(())
}

fn read_logout(from: &Reader<'_>, client: &mut Client) -> Result<(), Rejection> {
    client.post_logout_redirect_uris = from.texts("post_logout_redirect_uris", MAX_LIST)?.unwrap_or_default();
    for uri in &client.post_logout_redirect_uris {
        check_registrable(uri, client.native, false)
            .map_err(|problem| wrong(format!("`post_logout_redirect_uris` holds one that is refused: {problem}")))?;
    }
    client.frontchannel_logout_uri = from.web("frontchannel_logout_uri")?;
    if let Some(uri) = &client.frontchannel_logout_uri {
        // Front-Channel Logout §2: scheme, host and port are those of a redirect URI.
        let origin = origin_of(uri);
        if origin.is_none() || !client.redirect_uris.iter().any(|redirect| origin_of(redirect) == origin) {
            return Err(wrong("`frontchannel_logout_uri` is at another origin than every redirect URI"));
        }
    }
    client.frontchannel_logout_session_required = from.flag("frontchannel_logout_session_required")?.unwrap_or(false);
    client.backchannel_logout_uri = from.secure("backchannel_logout_uri")?;
    client.backchannel_logout_session_required = from.flag("backchannel_logout_session_required")?.unwrap_or(false);
    Ok(())
}

/// The vendor's members (§4.15) and own scopes: for those somebody vouches for.
fn read_powers(from: &Reader<'_>, client: &mut Client, powers: &Powers<'_>) -> Result<(), Rejection> {
    if let Some(all) = from.flag("all_users_entitled")? {
        client.open_to_all = all;
    }
    client.consent = match from.text("consent_action")?.as_deref() {
        None => client.consent,
        Some("never_prompt") => Consent::NeverPrompt,
        Some("always_prompt") => Consent::AlwaysPrompt,
        Some("prompt_once_and_remember") => Consent::PromptOnceAndRemember,
        Some(_) => return Err(wrong("`consent_action` is not known")),
    };
    if let Some(policy) = from.number("access_policy", 1..=i64::MAX)? {
        if !powers.policies.contains(&policy) {
            return Err(wrong("there is no such `access_policy`"));
        }
        client.policy = Some(policy);
    }
    if let Some(entitlements) = from.texts("api_entitlements", MAX_LIST)? {
        if entitlements.iter().any(|one| !powers.entitlements.contains(one)) {
            return Err(wrong("`api_entitlements` names one that the initial access token does not have"));
        }
        client.entitlements = entitlements.into_iter().collect();
    }
    if let Some(restrict) = from.flag("restrict_api_entitlements")? {
        client.restrict_entitlements = restrict;
    }
    if let Some(names) = from.texts("id_token_claims", MAX_LIST)? {
        client.claims = names.into_iter().map(|name| (name.clone(), name)).collect::<BTreeMap<_, _>>();
    }
    if let Some(scopes) = from.text("scope")? {
        let scopes = scope::parse(&scopes).map_err(|_| wrong("`scope` is malformed"))?;
        let own = |scope: &String| !scope::STANDARD.contains(&scope.as_str()) && scope != scope::CHALLENGE;
        client.scopes = scopes.into_iter().filter(own).collect();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
