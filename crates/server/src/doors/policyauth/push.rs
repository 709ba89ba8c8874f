//! Transactions of phones (vendor page §2.7.4): begun and asked after by whoever signs in, listed and settled by the phone.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use engine::FactorKind;
use protocol::records::{ChallengeId, Enrolment, EnrolmentId};
use protocol::time::write_millis;
use serde_json::{Map, Value, json};

use super::caller::authenticate;
use super::perform::Performer;
use super::refusal::Refusal;
use super::{assertion, devices, wire};
use crate::app::App;
use crate::call::{Call, Path};
use crate::reply;
use crate::signin::devices::Device;
use crate::signin::factors::push::{Answer, Asked, device_of};
use crate::signin::{Challenge, Failure, IssueRequest, SignIns, Submission};

const NOT_TEXT: &str = "A member that must be text is something else.";

fn sign_ins<'a>(app: &'a App, call: &'a Call) -> SignIns<'a> {
    SignIns { app, tenant: &call.tenant }
}

fn refuse(call: &Call, failure: Failure) -> Refusal {
    Refusal::of(failure, call.tenant.tenant.settings.otp_failure_status)
}

/// `POST /v1.0/authenticators/{id}/verifications`: asks a phone. 202.
pub async fn start(State(app): State<App>, Path(device): Path<String>, call: Call) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let body = wire::body(&call)?;
    let enrolment = chosen(&app, &call, &performer, &device, &body).await?;
    let data = body.get("transactionData").and_then(Value::as_object);
    let notice = body.get("pushNotification").and_then(Value::as_object);
    let text = |object: Option<&'_ Map<String, Value>>, name: &str| match object.and_then(|object| object.get(name)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::Malformed(NOT_TEXT)),
    };
    let message = text(data, "message")?.or(text(notice, "message")?);
    let usual = format!("Sign in to {}?", call.tenant.tenant.name);
    let message = message.filter(|text| !text.is_empty()).unwrap_or(usual);
    let (address, agent) = (text(data, "originIpAddress")?, text(data, "originUserAgent")?);
    let details = match data.and_then(|data| data.get("additionalData")) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list
            .iter()
            .map(|one| Some((one.get("name")?.as_str()?, one.get("value")?.as_str()?)))
            .collect::<Option<Vec<_>>>()
            .ok_or(Refusal::Malformed("The additionalData is not in form."))?,
        Some(_) => return Err(Refusal::Malformed("The additionalData is not in form.")),
    };
    let asked = Asked {
        message: &message,
        address: address.as_deref(),
        user_agent: agent.as_deref(),
        details,
        life: body.get("expiresIn").and_then(Value::as_i64),
        number: wire::flag(&body, "numberMatch", "The member numberMatch is not a boolean.")?.unwrap_or(false),
    };
    let made = performer.issue(&app, &call, IssueRequest::Push { enrolment: &enrolment, asked }).await;
    let made = made.map_err(|failure| refuse(&call, failure))?;
    let shown = transaction(&call, &made.challenge, app.world.now(), true);
    let location = HeaderValue::from_str(&uri(&call, &device, &made.challenge.id)).ok();
    let mut response = reply::json(StatusCode::ACCEPTED, &shown);
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The enrolment a request names, if it is of this device and within reach. Of several the first one is asked: a phone that has
/// more than one key signs with one of them.
async fn chosen(
    app: &App,
    call: &Call,
    performer: &Performer,
    device: &str,
    body: &Map<String, Value>,
) -> Result<Enrolment, Refusal> {
    let methods = body.get("authenticationMethods").and_then(Value::as_array).filter(|list| list.len() <= 8);
    let methods = methods.ok_or(Refusal::Malformed("The member authenticationMethods is required."))?;
    for method in methods {
        let Some(id) = method.get("id").and_then(Value::as_str) else { continue };
        let found = sign_ins(app, call).enrolment(&EnrolmentId::from(id)).await?;
        let found = found.filter(|one| one.enabled && device_of(one) == Some(device));
        if let Some(found) = found.filter(|one| performer.person().is_none_or(|own| own == one.user.as_str())) {
            return Ok(found);
        }
    }
    Err(Refusal::NotFound)
}

/// Who asks after a transaction.
enum Asker {
    Device(Device),
    Performer(Performer),
}

async fn asker(app: &App, call: &Call) -> Result<Asker, Refusal> {
    match devices::calling(app, call).await {
        Ok(device) => Ok(Asker::Device(device)),
        Err(Refusal::BadToken) => Ok(Asker::Performer(authenticate(app, call).await?.performer()?)),
        Err(other) => Err(other),
    }
}

async fn find(app: &App, call: &Call, asker: &Asker, device: &str, id: String) -> Result<Challenge, Refusal> {
    let found = sign_ins(app, call).challenge(&ChallengeId(id)).await?.filter(|one| is_push(&one.kind));
    let found = found.filter(|one| shown(one).get("authenticatorId").and_then(Value::as_str) == Some(device));
    let found = found.filter(|one| match asker {
        Asker::Device(own) => own.id == device && one.user.as_ref() == Some(&own.user),
        Asker::Performer(performer) => performer.made(one),
    });
    found.ok_or(Refusal::NoVerification)
}

fn is_push(kind: &str) -> bool {
    matches!(
        FactorKind::parse(kind),
        Some(FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace)
    )
}

/// `GET /v1.0/authenticators/{id}/verifications/{verification}`: how it stands. An approval that is asked for with `returnJwt`
/// becomes a proof, once.
pub async fn read(
    State(app): State<App>,
    Path((device, id)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let asker = asker(&app, &call).await?;
    let challenge = find(&app, &call, &asker, &device, id).await?;
    let now = app.world.now();
    let Asker::Performer(performer) = asker else {
        return Ok(reply::json(StatusCode::OK, &transaction(&call, &challenge, now, false)));
    };
    let mut body = transaction(&call, &challenge, now, true);
    if challenge.state == "approved" && wire::wants_assertion(&call) {
        let performed = performer.submit(&app, &call, Submission::Push { challenge }).await;
        let performed = performed.map_err(|failure| refuse(&call, failure))?;
        if let Some(assertion) = assertion::write(&app, &call, &performed).await? {
            body["assertion"] = json!(assertion);
        }
    }
    Ok(reply::json(StatusCode::OK, &body))
}

/// How long a phone may wait for an answer, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(25);
const MARGIN: Duration = Duration::from_secs(5);

/// `GET /v1.0/authenticators/{id}/verifications`: what waits for the phone that asks. With `wait` (seconds) the answer comes when it
/// is something else than `known`, or when the time is over.
pub async fn list(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let device = devices::calling(&app, &call).await?;
    if device.id != id {
        return Err(Refusal::NotFound);
    }
    let query = call.query().map_err(|_| Refusal::Malformed("The query is not in form."))?;
    let one = |name| query.one(name).map_err(|_| Refusal::Malformed("A parameter is given twice."));
    let wait = match one("wait")?.map(str::parse::<u16>) {
        None => Duration::ZERO,
        Some(Ok(seconds)) => Duration::from_secs(seconds.into()),
        Some(Err(_)) => return Err(Refusal::Malformed("The parameter wait is not a number of seconds.")),
    };
    // Well before the server itself gives a request up.
    let wait = wait.min(LONGEST_WAIT).min(app.config.server.timeouts.request.saturating_sub(MARGIN));
    let waiting = sign_ins(&app, &call).news_for(&device, one("known")?, wait).await?;
    let now = app.world.now();
    let all: Vec<Value> = waiting.iter().map(|one| transaction(&call, one, now, false)).collect();
    let count = all.len();
    Ok(reply::json(
        StatusCode::OK,
        &json!({ "total": count, "verifications": all, "count": count, "limit": 200, "page": 1 }),
    ))
}

/// `POST /v1.0/authenticators/{id}/verifications/{verification}`: the phone settles it. 204.
pub async fn answer(
    State(app): State<App>,
    Path((id, verification)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let device = devices::calling(&app, &call).await?;
    let malformed = || Refusal::Malformed("The body is not a list of answers.");
    let body = protocol::json::parse(&call.body, protocol::json::USUAL).map_err(|_| malformed())?;
    let challenge = find(&app, &call, &Asker::Device(device.clone()), &id, verification).await?;
    let of_this = |one: &&Value| {
        let named = one.get("id").and_then(Value::as_str);
        named.is_some() && named == challenge.enrolment.as_ref().map(|id| id.as_str())
    };
    let one = body.as_array().and_then(|list| list.iter().find(of_this)).ok_or_else(malformed)?;
    let text = |name: &str| one.get(name).and_then(Value::as_str);
    let said = match text("userAction").ok_or_else(malformed)? {
        "VERIFY_ATTEMPT" => {
            Answer::Approve { signature: text("signedData").ok_or_else(malformed)?, number: text("numberMatch") }
        }
        "USER_DENIED" => Answer::Deny,
        "USER_FRAUDULENT" => Answer::Fraudulent,
        "BIOMETRY_FAILED" => Answer::NotRecognised,
        "CANCELED" => Answer::Cancel,
        _ => return Err(malformed()),
    };
    let settled = sign_ins(&app, &call).answer_push(&device, &challenge, said).await?;
    let settled = settled.ok_or(Refusal::NoVerification)?;
    if settled.state == "verify-failed" {
        return Err(Refusal::NotAccepted { status: call.tenant.tenant.settings.otp_failure_status });
    }
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// `DELETE /v1.0/authenticators/{id}/verifications/{verification}`: whoever asked withdraws it.
pub async fn cancel(
    State(app): State<App>,
    Path((device, id)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let asker = Asker::Performer(performer);
    let challenge = find(&app, &call, &asker, &device, id).await?;
    let Asker::Performer(performer) = asker else { return Err(Refusal::Forbidden) };
    if challenge.state != "pending" {
        return Err(Refusal::NoVerification);
    }
    performer.withdraw(&app, &call, challenge).await.map_err(|failure| refuse(&call, failure))?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

fn uri(call: &Call, device: &str, id: &ChallengeId) -> String {
    format!("{}/v1.0/authenticators/{device}/verifications/{id}", call.base)
}

fn shown(challenge: &Challenge) -> Map<String, Value> {
    crate::signin::alone::shown(challenge)
}

/// A transaction as both sides see it; only whoever signs in sees the number.
fn transaction(call: &Call, challenge: &Challenge, now: i64, with_number: bool) -> Value {
    let told = shown(challenge);
    let device = told.get("authenticatorId").and_then(Value::as_str).unwrap_or_default();
    let sub = FactorKind::parse(&challenge.kind).and_then(|kind| wire::enrolment_type(kind).1);
    let mut body = json!({
        "owner": challenge.user,
        "userId": challenge.user,
        "userActions": [],
        "transactionUri": uri(call, device, &challenge.id),
        "creationTime": write_millis(challenge.created * 1000),
        "authenticationMethods": [
            { "methodType": "signature", "subType": sub, "id": challenge.enrolment, "additionalData": [] }
        ],
        "expiryTime": write_millis(challenge.expires * 1000),
        "transactionData": told.get("transactionData"),
        "authenticatorId": device,
        "id": challenge.id,
        "state": state(challenge, now),
        "logic": "OR",
        // Nothing is pushed: the phone asks (docs/device-protocol.md).
        "pushNotification": { "sendState": "DISABLED", "message": told.get("message"), "send": false },
    });
    match told.get("numberMatch") {
        Some(number) if with_number => body["numberMatch"] = number.clone(),
        // The phone learns that there is one.
        Some(_) => body["numberMatchRequired"] = json!(true),
        None => {}
    }
    body
}

fn state(challenge: &Challenge, now: i64) -> &'static str {
    match challenge.state.as_str() {
        "pending" if now >= challenge.expires => "TIMEOUT",
        "pending" => "PENDING",
        "approved" | "success" => "VERIFY_SUCCESS",
        "denied" => "USER_DENIED",
        "fraudulent" => "USER_FRAUDULENT",
        "biometry-failed" => "BIOMETRY_FAILED",
        "canceled" => "CANCELED",
        "timeout" => "TIMEOUT",
        _ => "VERIFY_FAILED",
    }
}
