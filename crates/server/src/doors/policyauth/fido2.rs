//! FIDO2 (vendor page §2.3.2): relying parties, assertion options, assertion result; as first and as second factor.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::{FactorKind, NotNow};
use protocol::records::{Enrolment, RelyingParty, UserId};
use serde_json::{Value, json};

use super::caller::authenticate;
use super::perform::Performer;
use super::refusal::Refusal;
use super::{assertion, wire};
use crate::app::App;
use crate::call::{Call, Path};
use crate::fault::Fault;
use crate::reply;
use crate::signin::factors::{Cause, webauthn};
use crate::signin::{Challenge, Failure, IssueRequest, SignIns, Submission};

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
    caller.demand(&[
        "authnAnyUser",
        "authn",
        "readMFAMethods",
        "manageEnrollMFAMethod",
        "manageEnrollMFAMethodAnyUser",
    ])?;
    if !call.tenant.tenant.settings.fido2_enabled {
        return Err(Refusal::SwitchedOff);
    }
    let body = wire::body(&call)?;
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

/// The relying party a path names, if the tenant offers passkeys and it may be used.
///
/// # Errors
/// Switched off, or no such relying party.
pub fn party<'c>(call: &'c Call, id: &str) -> Result<&'c RelyingParty, Refusal> {
    if !call.tenant.tenant.settings.fido2_enabled {
        return Err(Refusal::SwitchedOff);
    }
    call.tenant.relying_parties.iter().find(|party| party.id.as_str() == id && party.enabled).ok_or(Refusal::NotFound)
}

/// Whose credentials are meant: the person of the sign-in or token, or, while nobody is known, whom the request names.
fn named(performer: &Performer, body: &serde_json::Map<String, Value>) -> Result<Option<UserId>, Refusal> {
    let asked = wire::optional(body, "userId", "The member userId is not text.")?;
    match (performer.person(), asked) {
        (Some(own), Some(other)) if own != other => Err(Refusal::Forbidden),
        (Some(own), _) => Ok(Some(own.into())),
        (None, asked) => Ok(asked.map(UserId::from)),
    }
}

/// The demand for user verification, which may be left out.
///
/// # Errors
/// It is no text.
pub fn user_verification(body: &serde_json::Map<String, Value>) -> Result<&str, Refusal> {
    Ok(wire::optional(body, "userVerification", "The member userVerification is not text.")?.unwrap_or("preferred"))
}

/// `POST …/assertion/options`: begins a ceremony.
pub async fn options(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let party = party(&call, &id)?;
    let body = wire::body(&call)?;
    let user = named(&performer, &body)?;
    let credentials: Vec<Enrolment> = match &user {
        Some(user) => {
            let mut all = SignIns { app: &app, tenant: &call.tenant }.enrolments_of(user).await?;
            all.retain(|one| one.kind == FactorKind::Passkey.as_str() && one.enabled);
            all
        }
        None => Vec::new(),
    };
    let user_verification = user_verification(&body)?;
    let decoy = user.as_ref().filter(|_| performer.person().is_none()).map(|user| decoy(&app, party, user));
    let request = IssueRequest::Passkey { relying_party: party, user, credentials: &credentials, user_verification };
    let made = performer.issue(&app, &call, request).await;
    let made = made.map_err(|failure| Refusal::of(failure, call.tenant.tenant.settings.otp_failure_status))?;
    let mut options = made.options;
    if let (Some(decoy), Some(Value::Array(allowed))) =
        (decoy, options.as_mut().and_then(|options| options.get_mut("allowCredentials")))
        && allowed.is_empty()
    {
        allowed.push(json!({ "id": decoy, "type": "public-key" }));
    }
    Ok(reply::json(StatusCode::OK, &options))
}

/// A credential nobody has, always the same for one name: while nobody is known, an empty list would tell a stranger who has
/// no passkey and who does not exist.
fn decoy(app: &App, party: &RelyingParty, user: &UserId) -> String {
    protocol::b64::encode_url(app.master.mac("decoy credential", format!("{}\n{user}", party.id).as_bytes()))
}

/// `POST …/assertion/result`: judges a ceremony. Answers the enrolment, with the assertion where asked for.
pub async fn result(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let status = call.tenant.tenant.settings.otp_failure_status;
    let party = party(&call, &id)?;
    let response = Value::Object(wire::body(&call)?);
    let sign_ins = SignIns { app: &app, tenant: &call.tenant };
    let answered = answered(&app, &call, &response).await?;
    let challenge = answered.filter(|one| performer.made(one)).ok_or(Refusal::NotAccepted { status })?;
    let enrolment = match webauthn::credential_id(&response) {
        Some(id) => sign_ins.credential(&id).await?,
        None => return Err(Refusal::Malformed("The credential id is missing or not base64url.")),
    };
    // While nobody is known a foreign credential is simply unknown; afterwards only the person's own counts.
    let enrolment = enrolment.filter(|one| performer.person().is_none_or(|own| own == one.user.as_str()));
    let found = enrolment.as_ref().map(|one| one.id.clone());
    let submission = Submission::Passkey { relying_party: party, challenge, enrolment, response };
    let performed = match performer.submit(&app, &call, submission).await {
        Ok(performed) => performed,
        // An unknown credential in a known person's sign-in, or a spent challenge, is refused as a wrong answer.
        Err(Failure::NotNow(NotNow::OtherPerson | NotNow::NoChallenge) | Failure::Wrong(Cause::NotPending)) => {
            return Err(Refusal::NotAccepted { status });
        }
        Err(failure) => return Err(Refusal::of(failure, status)),
    };
    let id = found.ok_or_else(|| Fault::stored("a ceremony was proved without a credential"))?;
    let record = sign_ins.enrolment(&id).await?;
    let shown = record.as_ref().and_then(|record| wire::enrolment(&call.tenant, record));
    let mut shown = shown.ok_or(Refusal::NotFound)?;
    if let (true, Some(members)) = (wire::wants_assertion(&call), shown.as_object_mut())
        && let Some(assertion) = assertion::write(&app, &call, &performed).await?
    {
        members.insert("assertion".to_owned(), json!(assertion));
    }
    Ok(reply::json(StatusCode::OK, &shown))
}

/// The challenge a response answers. The driver asks whether it is still in flight.
///
/// # Errors
/// The client data is not in form.
pub async fn answered(app: &App, call: &Call, response: &Value) -> Result<Option<Challenge>, Refusal> {
    let id = webauthn::challenge_id(response).ok_or(Refusal::Malformed("The client data is not in form."))?;
    Ok(SignIns { app, tenant: &call.tenant }.challenge(&id).await?)
}
