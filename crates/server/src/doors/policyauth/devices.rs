//! Phones (vendor page §2.7.4): invitation, registration, keys, and their end. What a phone does with a transaction is in
//! [`push`](super::push).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::FactorKind;
use protocol::time::write_seconds;
use serde_json::{Map, Value, json};

use super::caller::{Reach, authenticate};
use super::enrol::Manager;
use super::refusal::Refusal;
use super::{enrolments, wire};
use crate::app::App;
use crate::call::{Call, Path};
use crate::fault::Fault;
use crate::picture::qr_png;
use crate::reply;
use crate::signin::SignIns;
use crate::signin::devices::{Device, Key, Registered};
use crate::signin::factors::push::ALGORITHMS;

const NOT_TEXT: &str = "A member that must be text is something else.";
/// What a phone may say of itself; anything else is not kept.
const ATTRIBUTES: [&str; 16] = [
    "pushToken",
    "accountName",
    "applicationId",
    "applicationName",
    "applicationVersion",
    "verifySdkVersion",
    "deviceName",
    "deviceType",
    "deviceManufacturer",
    "platformType",
    "deviceId",
    "osVersion",
    "faceSupport",
    "fingerprintSupport",
    "frontCameraSupport",
    "deviceInsecure",
];
const KINDS: [(&str, FactorKind); 3] = [
    ("userPresence", FactorKind::PushPresence),
    ("fingerprint", FactorKind::PushFingerprint),
    ("face", FactorKind::PushFace),
];

fn sign_ins<'a>(app: &'a App, call: &'a Call) -> SignIns<'a> {
    SignIns { app, tenant: &call.tenant }
}

/// The device that calls, by its own token.
///
/// # Errors
/// The token is none of a device.
pub async fn calling(app: &App, call: &Call) -> Result<Device, Refusal> {
    let token = call.bearer().filter(|token| token.len() <= crate::tokens::LONGEST).ok_or(Refusal::BadToken)?;
    sign_ins(app, call).device_by_token(token).await?.ok_or(Refusal::BadToken)
}

fn version() -> Value {
    json!({ "number": "1.0.0", "platform": "com.ibm.security.access.verify" })
}

fn registration_uri(call: &Call) -> String {
    format!("{}/v1.0/authenticators/registration", call.base)
}

fn wants(call: &Call, name: &str) -> bool {
    let asked = call.query().ok().and_then(|query| query.one(name).ok().flatten().map(|value| value == "true"));
    asked.unwrap_or(false)
}

/// `POST /v1.0/authenticators/initiation`: a code, and the picture that carries it to the phone.
pub async fn initiation(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let manager = Manager::of(&app, &call).await?;
    let body = wire::body(&call)?;
    let user = manager.reach.of(wire::optional(&body, "owner", NOT_TEXT)?)?;
    manager.demand_add(&app, &call, &user).await?;
    let account = wire::optional(&body, "accountName", NOT_TEXT)?;
    let profile = wire::optional(&body, "clientId", NOT_TEXT)?.unwrap_or_default();
    let (code, _) = sign_ins(&app, &call).invite_device(&user, profile, account).await?;
    let mut shown = json!({
        "version": version(),
        "code": code,
        "registrationUri": registration_uri(&call),
        "accountName": account,
    });
    if wants(&call, "qrcodeInResponse") || wants(&call, "qrCodeInResponse") {
        let png = qr_png(&shown.to_string()).ok_or_else(|| Fault::stored("an invitation fits no picture"))?;
        shown["qrcode"] = json!(STANDARD.encode(png.as_slice()));
    }
    tracing::info!(tenant = %call.tenant.tenant.id, %user, "device invited");
    Ok(reply::json(StatusCode::OK, &shown))
}

/// `POST /v1.0/authenticators/registration`: a phone takes up an invitation, or renews its tokens.
pub async fn registration(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let body = wire::body(&call)?;
    let attributes = attributes(&body)?;
    let secret = |name| wire::optional(&body, name, NOT_TEXT);
    let registered = match (secret("code")?, secret("refreshToken")?) {
        (Some(code), None) => sign_ins(&app, &call).register_device(code, attributes).await?,
        (None, Some(refresh)) => sign_ins(&app, &call).renew_device(refresh, attributes).await?,
        (None, None) => None,
        (Some(_), Some(_)) => return Err(Refusal::Malformed("Only one of code and refreshToken can be given.")),
    };
    let Registered { device, access, refresh, expires_in, generator } = registered.ok_or(Refusal::BadToken)?;
    let mut shown = json!({
        "id": device.id,
        "accessToken": access,
        "expiresIn": expires_in,
        "refreshToken": refresh,
        "version": version(),
    });
    if let Some(generator) = generator {
        shown["otpauthUri"] = json!(generator.expose());
    }
    if wants(&call, "metadataInResponse") {
        let method = json!({
            "enabled": call.tenant.tenant.settings.push.enabled,
            "enrollmentUri": format!("{}/v1.0/authnmethods/signatures", call.base),
            "attributes": { "algorithm": ALGORITHMS[0], "supportedAlgorithms": ALGORITHMS },
        });
        shown["metadata"] = json!({
            "serviceName": call.tenant.tenant.name,
            "customAttributes": {},
            "registrationUri": registration_uri(&call),
            "transactionUri": format!("{}/v1.0/authenticators/{}/verifications", call.base, device.id),
            "authenticationMethods": {
                "signature_userPresence": method,
                "signature_fingerprint": method,
                "signature_face": method,
            },
        });
    }
    Ok(reply::json(StatusCode::OK, &shown))
}

fn attributes(body: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let Some(all) = body.get("attributes").and_then(Value::as_object) else { return Ok(Map::new()) };
    let mut kept = Map::new();
    for name in ATTRIBUTES {
        match all.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.len() <= 512 => drop(kept.insert(name.to_owned(), json!(text))),
            Some(Value::Bool(flag)) => drop(kept.insert(name.to_owned(), json!(flag))),
            Some(_) => return Err(Refusal::Malformed("An attribute of the device is not in form.")),
        }
    }
    Ok(kept)
}

/// A key as it was read: its way, algorithm, public half, proof, what vouches for it, and whether it may be used.
type Read = (FactorKind, String, Vec<u8>, String, Option<String>, bool);

/// `POST /v1.0/authnmethods/signatures`: a phone enrols its keys.
pub async fn enrol(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let device = calling(&app, &call).await?;
    let malformed = || Refusal::Malformed("The body is not a list of keys.");
    let body = protocol::json::parse(&call.body, protocol::json::USUAL).map_err(|_| malformed())?;
    let list = body.as_array().filter(|list| (1..=KINDS.len()).contains(&list.len())).ok_or_else(malformed)?;
    let mut keys: Vec<Read> = Vec::new();
    for one in list {
        let text = |value: &'_ Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let kind = one.get("subType").and_then(Value::as_str);
        let kind = KINDS.into_iter().find(|(name, _)| Some(*name) == kind).map(|(_, kind)| kind);
        let attributes = one.get("attributes").ok_or_else(malformed)?;
        let kind = kind.filter(|kind| !keys.iter().any(|(known, ..)| known == kind)).ok_or_else(malformed)?;
        let (algorithm, public) = (text(attributes, "algorithm"), text(attributes, "publicKey"));
        let public = public.and_then(|text| STANDARD.decode(text).ok()).ok_or_else(malformed)?;
        let signature = text(attributes, "signedData").ok_or_else(malformed)?;
        let enabled = one.get("enabled").and_then(Value::as_bool).unwrap_or(true);
        let vouched = text(attributes, "vouchedData");
        keys.push((kind, algorithm.ok_or_else(malformed)?, public, signature, vouched, enabled));
    }
    let keys = keys
        .iter()
        .map(|(kind, algorithm, public, signature, vouched, enabled)| Key {
            kind: *kind,
            algorithm,
            public: public.clone(),
            signature,
            vouched: vouched.as_deref(),
            enabled: *enabled,
        })
        .collect();
    let made = sign_ins(&app, &call).enrol_keys(&device, keys).await?;
    tracing::info!(tenant = %call.tenant.tenant.id, user = %device.user, device = device.id, "device keys enrolled");
    let shown: Vec<Value> = made.iter().filter_map(|one| wire::enrolment(&call.tenant, one)).collect();
    Ok(reply::json(StatusCode::CREATED, &shown))
}

fn shown(device: &Device) -> Value {
    // Not the push token: who holds it may write to the phone.
    let attributes: Map<String, Value> = device
        .about
        .attributes
        .iter()
        .filter(|(name, _)| *name != "pushToken")
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    json!({
        "id": device.id,
        "owner": device.user,
        "clientId": device.about.profile,
        "accountName": device.about.account,
        "state": if device.about.active { "ACTIVE" } else { "ENROLLING" },
        "creationTime": write_seconds(device.created),
        "attributes": attributes,
    })
}

/// `GET /v1.0/authenticators`: a person's own devices.
pub async fn list(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let reach = authenticate(&app, &call).await?.reach(&enrolments::READ_OWN, &enrolments::READ_ANY)?;
    let named = call.query().ok().and_then(|query| query.one("owner").ok().flatten().map(str::to_owned));
    let user = match reach {
        Reach::Own(own) => own,
        Reach::Anyone => named.map(Into::into).ok_or(Refusal::Malformed("The parameter owner is required."))?,
    };
    let all: Vec<Value> = sign_ins(&app, &call).devices_of(&user).await?.iter().map(shown).collect();
    Ok(reply::json(StatusCode::OK, &json!({ "total": all.len(), "authenticators": all })))
}

/// `DELETE /v1.0/authenticators/{id}`: by its owner, by an administrator, or by the device itself.
pub async fn remove(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let sign_ins = sign_ins(&app, &call);
    let mut by_owner = true;
    let device = match calling(&app, &call).await {
        Ok(own) if own.id == id => own,
        Ok(_) => return Err(Refusal::NotFound),
        Err(Refusal::BadToken) => {
            let manager = Manager::of(&app, &call).await?;
            let device = sign_ins.device(&id).await?.filter(|one| manager.reach.covers(&one.user));
            let device = device.ok_or(Refusal::NotFound)?;
            manager.demand_over(&app, &call, &device.user).await?;
            for enrolment in sign_ins.enrolments_of(&device.user).await? {
                if crate::signin::factors::push::device_of(&enrolment) == Some(device.id.as_str()) {
                    manager.demand_change(&app, &call, &enrolment).await?;
                }
            }
            by_owner = manager.reach != Reach::Anyone;
            device
        }
        Err(other) => return Err(other),
    };
    match by_owner {
        true => sign_ins.remove_device(&device).await?,
        false => sign_ins.take_device(&device).await?,
    }
    tracing::info!(tenant = %call.tenant.tenant.id, user = %device.user, device = id, "device removed");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
