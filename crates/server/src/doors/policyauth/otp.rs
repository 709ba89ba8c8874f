//! One-time codes by mail, text message and call (vendor page §2.6): start, read, answer, cancel.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use engine::FactorKind;
use protocol::records::{ChallengeId, Enrolment, EnrolmentId, UserId};
use serde_json::{Value, json};
use store::Challenge;

use super::caller::{Caller, authenticate};
use super::refusal::Refusal;
use super::{assertion, wire};
use crate::app::App;
use crate::call::Call;
use crate::reply;
use crate::secret::Secret;
use crate::signin::{IssueRequest, SignIns, Submission};

/// In place of an enrolment: a code to an address given now.
const TRANSIENT: &str = "transient";

/// `POST …/{enrolment}/verifications`: makes a code and sends it.
pub async fn start(
    State(app): State<App>,
    Path((kind, enrolment)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let kind = wire::code_kind(&kind)?;
    let caller = authenticate(&app, &call).await?;
    caller.demand(&["authnAnyUser", "authn"])?;
    let body = call.json().ok_or(Refusal::Malformed("The body is not a JSON object."))?;
    let correlation = match body.get("correlation") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.as_str()),
        Some(_) => return Err(Refusal::BadCorrelation),
    };
    let sign_ins = SignIns { app: &app, tenant: &call.tenant };
    let made = if enrolment == TRANSIENT {
        let member = if kind == FactorKind::EmailOtp { "emailAddress" } else { "phoneNumber" };
        let Some(to) = body.get(member).and_then(Value::as_str) else {
            return Err(Refusal::Malformed("The address to send the code to is missing."));
        };
        let user = owner(&app, &call, &caller, kind, to).await?;
        sign_ins.issue(caller.sign_in()?, IssueRequest::Transient { kind, to, user, correlation }).await
    } else {
        let enrolment = enrolled(&app, &call, &caller, kind, &enrolment).await?;
        sign_ins.issue(caller.sign_in()?, IssueRequest::Code { enrolment: &enrolment, correlation }).await
    };
    let made = made.map_err(|failure| Refusal::of(failure, call.tenant.tenant.settings.otp_failure_status))?;
    Ok(reply::json(StatusCode::CREATED, &wire::verification(&made.challenge, app.world.now())))
}

/// The person an address belongs to: the one at hand, or, while nobody is known, the only one in the directory with it.
async fn owner(
    app: &App,
    call: &Call,
    caller: &Caller,
    kind: FactorKind,
    to: &str,
) -> Result<Option<UserId>, Refusal> {
    if let Some(subject) = caller.subject() {
        return Ok(Some(subject.into()));
    }
    let attribute = if kind == FactorKind::EmailOtp { "email" } else { "phone_number" };
    let mut found = app.store.users_by_attribute(&call.tenant.tenant.id, attribute, to, 2).await?;
    found.retain(|user| user.active);
    Ok(match found.as_slice() {
        [only] => Some(only.id.clone()),
        [] | [_, ..] => None,
    })
}

/// The enrolment a path names, if it is of this kind, usable, and within the caller's reach.
async fn enrolled(
    app: &App,
    call: &Call,
    caller: &Caller,
    kind: FactorKind,
    id: &str,
) -> Result<Enrolment, Refusal> {
    let found = app.store.enrolment(&call.tenant.tenant.id, &EnrolmentId::from(id)).await?;
    let found = found.filter(|enrolment| enrolment.kind == kind.as_str() && enrolment.enabled).ok_or(Refusal::NotFound)?;
    match caller.subject() {
        Some(subject) if subject != found.user.as_str() => Err(Refusal::NotFound),
        Some(_) | None => Ok(found),
    }
}

/// The verification a path names, if it belongs to the caller's sign-in.
async fn verification(
    app: &App,
    call: &Call,
    caller: &Caller,
    path: &(String, String, String),
) -> Result<Challenge, Refusal> {
    let (kind, enrolment, id) = path;
    let kind = wire::code_kind(kind)?;
    let Caller::SignIn(flow) = caller else { return Err(Refusal::Forbidden) };
    let found = app.store.challenge(&call.tenant.tenant.id, &ChallengeId::from(id.as_str())).await?;
    let named = if enrolment == TRANSIENT { None } else { Some(EnrolmentId::from(enrolment.as_str())) };
    found
        .filter(|one| one.kind == kind.as_str() && one.enrolment == named && one.sign_in.as_ref() == Some(&flow.id))
        .ok_or(Refusal::NoVerification)
}

/// `GET …/verifications/{id}`.
pub async fn read(
    State(app): State<App>,
    Path(path): Path<(String, String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    caller.demand(&["authnAnyUser", "authn"])?;
    let challenge = verification(&app, &call, &caller, &path).await?;
    Ok(reply::json(StatusCode::OK, &wire::verification(&challenge, app.world.now())))
}

/// `POST …/verifications/{id}`: judges a code. 204, or 200 with the assertion.
pub async fn answer(
    State(app): State<App>,
    Path(path): Path<(String, String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    caller.demand(&["authnAnyUser", "authn"])?;
    let body = call.json().ok_or(Refusal::Malformed("The body is not a JSON object."))?;
    let code = body.get("otp").and_then(Value::as_str).filter(|code| code.len() <= 64);
    let code = code.ok_or(Refusal::Malformed("The member otp is required."))?;
    let challenge = verification(&app, &call, &caller, &path).await?;
    let now = app.world.now();
    match wire::state(&challenge, now) {
        "PENDING" => {}
        // Still pending in the records, but nobody answered in time.
        "TIMEOUT" if challenge.state == "pending" => {}
        _ => return Err(Refusal::NoVerification),
    }
    let submission = Submission::Code { challenge, code: Secret::new(code.to_owned()) };
    let proved = SignIns { app: &app, tenant: &call.tenant }.submit(caller.sign_in()?, submission).await;
    let proved = proved.map_err(|failure| Refusal::of(failure, call.tenant.tenant.settings.otp_failure_status))?;
    if wire::wants_assertion(&call) {
        let assertion = assertion::write(&app, &call, &proved).await?;
        return Ok(reply::json(StatusCode::OK, &json!({ "assertion": assertion })));
    }
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// `DELETE …/verifications/{id}`: withdraws it.
pub async fn cancel(
    State(app): State<App>,
    Path(path): Path<(String, String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    caller.demand(&["authnAnyUser", "authn"])?;
    let challenge = verification(&app, &call, &caller, &path).await?;
    if wire::state(&challenge, app.world.now()) != "PENDING" {
        return Err(Refusal::NoVerification);
    }
    let done = SignIns { app: &app, tenant: &call.tenant }.withdraw(caller.sign_in()?, challenge).await;
    done.map_err(|failure| Refusal::of(failure, call.tenant.tenant.settings.otp_failure_status))?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
