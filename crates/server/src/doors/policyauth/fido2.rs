//! FIDO2 (vendor page §2.3.2): relying parties, assertion options, assertion result; as first and as second factor.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use engine::FactorKind;
use protocol::records::{Enrolment, RelyingParty, UserId};
use serde_json::{Value, json};

use super::caller::{Caller, authenticate};
use super::refusal::Refusal;
use super::{assertion, wire};
use crate::app::App;
use crate::call::Call;
use crate::reply;
use crate::signin::factors::webauthn;
use crate::signin::{IssueRequest, SignIns, Submission};

fn shown(party: &RelyingParty) -> Value {
    let base = format!("/v2.0/factors/fido2/relyingparties/{}", party.id);
    json!({
        "id": party.id,
        "rpId": party.rp_id,
        "origins": party.origins,
        "displayName": party.name,
        "attestationOptionsPath": format!("{base}/attestation/options"),
        "attestationResultPath": format!("{base}/attestation/result"),
        "assertionOptionsPath": format!("{base}/assertion/options"),
        "assertionResultPath": format!("{base}/assertion/result"),
    })
}

/// `POST /v2.0/factors/fido2/relyingparties`: which relying parties serve an origin.
pub async fn relying_parties(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    caller.demand(&["authnAnyUser", "authn", "readMFAMethods"])?;
    let body = call.json().ok_or(Refusal::Malformed("The body is not a JSON object."))?;
    let origin = body.get("origin").and_then(Value::as_str);
    let origin = origin.ok_or(Refusal::Malformed("The member origin is required."))?;
    let serving: Vec<Value> = call
        .tenant
        .relying_parties
        .iter()
        .filter(|party| party.enabled && party.origins.iter().any(|one| one == origin))
        .map(shown)
        .collect();
    Ok(reply::json(StatusCode::OK, &json!({ "origin": origin, "fido2": serving })))
}

/// `GET /config/v2.0/factors/fido2/relyingparties`: all of them, for administrators.
pub async fn configured(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    caller.demand(&["readMFAMethods", "manageMFAMethods"])?;
    let all: Vec<Value> = call
        .tenant
        .relying_parties
        .iter()
        .map(|party| {
            json!({
                "id": party.id,
                "rpId": party.rp_id,
                "origins": party.origins,
                "name": party.name,
                "allowedAttestationFormats": ["none"],
                "allowedAttestationTypes": ["None"],
                "metadataConfig": {},
                "enabled": party.enabled,
                "webAuthn": {},
            })
        })
        .collect();
    Ok(reply::json(StatusCode::OK, &json!({ "relyingparties": all })))
}

fn party<'c>(call: &'c Call, id: &str) -> Result<&'c RelyingParty, Refusal> {
    if !call.tenant.tenant.settings.fido2_enabled {
        return Err(Refusal::SwitchedOff);
    }
    call.tenant.relying_parties.iter().find(|party| party.id.as_str() == id && party.enabled).ok_or(Refusal::NotFound)
}

/// Whose credentials are meant: the person of the sign-in, or, while nobody is known, whom the request names.
fn named(caller: &Caller, body: &serde_json::Map<String, Value>) -> Result<Option<UserId>, Refusal> {
    let asked = match body.get("userId") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(id.as_str()),
        Some(_) => return Err(Refusal::Malformed("The member userId is not text.")),
    };
    match (caller.subject(), asked) {
        (Some(own), Some(other)) if own != other => Err(Refusal::Forbidden),
        (Some(own), _) => Ok(Some(own.into())),
        (None, asked) => Ok(asked.map(UserId::from)),
    }
}

/// `POST …/assertion/options`: begins a ceremony.
pub async fn options(
    State(app): State<App>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    caller.demand(&["authnAnyUser", "authn"])?;
    let party = party(&call, &id)?;
    let body = call.json().ok_or(Refusal::Malformed("The body is not a JSON object."))?;
    let user = named(&caller, &body)?;
    let credentials: Vec<Enrolment> = match &user {
        Some(user) => {
            let mut all = app.store.enrolments(&call.tenant.tenant.id, user).await?;
            all.retain(|one| one.kind == FactorKind::Passkey.as_str() && one.enabled);
            all
        }
        None => Vec::new(),
    };
    let user_verification = match body.get("userVerification") {
        None | Some(Value::Null) => "preferred",
        Some(Value::String(text)) => text.as_str(),
        Some(_) => return Err(Refusal::Malformed("The member userVerification is not text.")),
    };
    let request = IssueRequest::Passkey { relying_party: party, user, credentials: &credentials, user_verification };
    let made = SignIns { app: &app, tenant: &call.tenant }.issue(caller.sign_in()?, request).await;
    let made = made.map_err(|failure| Refusal::of(failure, call.tenant.tenant.settings.otp_failure_status))?;
    Ok(reply::json(StatusCode::OK, &made.options))
}

/// `POST …/assertion/result`: judges a ceremony. Answers the enrolment, with the assertion where asked for.
pub async fn result(
    State(app): State<App>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    caller.demand(&["authnAnyUser", "authn"])?;
    let status = call.tenant.tenant.settings.otp_failure_status;
    let party = party(&call, &id)?;
    let body = call.json().ok_or(Refusal::Malformed("The body is not a JSON object."))?;
    let response = Value::Object(body);
    let flow = caller.sign_in()?;
    let challenge = answered(&app, &call, &flow, &response).await?;
    let enrolment = match webauthn::credential_id(&response) {
        Some(id) => {
            app.store.enrolment_by_lookup(&call.tenant.tenant.id, FactorKind::Passkey.as_str(), &id).await?
        }
        None => return Err(Refusal::Malformed("The credential id is missing or not base64url.")),
    };
    // While nobody is known a foreign credential is simply unknown; afterwards only the person's own counts.
    let enrolment = enrolment.filter(|one| flow.stored.state.subject.as_ref().is_none_or(|own| *own == one.user.0));
    let found = enrolment.as_ref().map(|one| one.id.clone());
    let submission = Submission::Passkey { relying_party: party, challenge, enrolment, response };
    let proved = SignIns { app: &app, tenant: &call.tenant }.submit(flow, submission).await;
    let proved = match proved {
        Ok(proved) => proved,
        // An unknown credential in a known person's sign-in, or a spent challenge, is refused as a wrong answer.
        Err(crate::signin::Failure::NotNow(engine::NotNow::OtherPerson | engine::NotNow::NoChallenge)) => {
            return Err(Refusal::NotAccepted { status });
        }
        Err(failure) => return Err(Refusal::of(failure, status)),
    };
    let id = found.ok_or_else(|| crate::fault::Fault::stored("a ceremony was proved without a credential"))?;
    let record = app.store.enrolment(&call.tenant.tenant.id, &id).await?;
    let mut shown = record.as_ref().and_then(wire::enrolment).ok_or(Refusal::NotFound)?;
    if let (true, Some(members)) = (wire::wants_assertion(&call), shown.as_object_mut()) {
        members.insert("assertion".to_owned(), json!(assertion::write(&app, &call, &proved).await?));
    }
    Ok(reply::json(StatusCode::OK, &shown))
}

/// The challenge the response answers, if it was made in this sign-in. The driver asks whether it is still in flight.
async fn answered(
    app: &App,
    call: &Call,
    flow: &crate::signin::Flow,
    response: &Value,
) -> Result<store::Challenge, Refusal> {
    let refuse = || Refusal::NotAccepted { status: call.tenant.tenant.settings.otp_failure_status };
    let id = webauthn::challenge_id(response).ok_or(Refusal::Malformed("The client data is not in form."))?;
    let found = app.store.challenge(&call.tenant.tenant.id, &id).await?;
    found.filter(|one| one.sign_in.as_ref() == Some(&flow.id)).ok_or_else(refuse)
}
