//! One-time codes by mail, text message and call (vendor page §2.6): start, read, answer, cancel.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::{FactorKind, NotNow};
use protocol::records::{ChallengeId, Enrolment, EnrolmentId, UserId};
use serde_json::{Value, json};

use super::caller::authenticate;
use super::perform::{Performed, Performer};
use super::refusal::Refusal;
use super::{assertion, wire};
use crate::app::App;
use crate::call::{Call, Path};
use crate::reply;
use crate::secret::Secret;
use crate::signin::{Challenge, Failure, IssueRequest, SignIns, Submission};

/// In place of an enrolment: a code to an address given now.
const TRANSIENT: &str = "transient";

/// `POST …/{enrolment}/verifications`: makes a code and sends it.
pub async fn start(
    State(app): State<App>,
    Path((kind, enrolment)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let kind = wire::code_kind(&call, &kind)?;
    let body = wire::body(&call)?;
    let correlation = wire::correlation(&body)?;
    let challenge = if enrolment == TRANSIENT {
        let Some(to) = body.get(wire::address_member(kind)).and_then(Value::as_str) else {
            return Err(Refusal::Malformed("The address to send the code to is missing."));
        };
        send(&app, &call, performer, kind, to, correlation).await?
    } else {
        let enrolment = enrolled(&app, &call, &performer, kind, &enrolment).await?;
        performer.demand_proving(&app, &call, &enrolment).await?;
        let request = if kind == FactorKind::Questions {
            IssueRequest::Questions { enrolment: &enrolment }
        } else {
            IssueRequest::Code { enrolment: &enrolment, correlation }
        };
        let made = performer.issue(&app, &call, request).await;
        made.map_err(|failure| refuse(&call, failure))?.challenge
    };
    Ok(reply::json(StatusCode::CREATED, &wire::verification(&challenge, app.world.now())))
}

fn refuse(call: &Call, failure: Failure) -> Refusal {
    Refusal::of(failure, call.tenant.tenant.settings.otp_failure_status)
}

/// Sends a code to an address given now.
///
/// In a sign-in it proves something only at an address that is the person's own, or, while nobody is known, of the only
/// person in the directory who has it; anywhere else nothing is sent, and the answer looks the same.
pub async fn send(
    app: &App,
    call: &Call,
    performer: Performer,
    kind: FactorKind,
    to: &str,
    correlation: Option<&str>,
) -> Result<Challenge, Refusal> {
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let user = match performer.person().map(UserId::from) {
        Some(own) => sign_ins.is_address_of(&own, kind, to).await?.then_some(own),
        None => sign_ins.owner_of(kind, to).await?,
    };
    if matches!(performer, Performer::Alone { any: false, .. }) && user.is_none() {
        return Err(Refusal::Unusable("The address is not one of this user."));
    }
    let request = IssueRequest::Transient { kind, to, user, correlation };
    let made = performer.issue(app, call, request).await;
    Ok(made.map_err(|failure| refuse(call, failure))?.challenge)
}

/// The enrolment a path names, if it is of this kind, usable, and within the performer's reach.
async fn enrolled(
    app: &App,
    call: &Call,
    performer: &Performer,
    kind: FactorKind,
    id: &str,
) -> Result<Enrolment, Refusal> {
    let found = SignIns { app, tenant: &call.tenant }.enrolment(&EnrolmentId::from(id)).await?;
    let found =
        found.filter(|enrolment| enrolment.kind == kind.as_str() && enrolment.enabled).ok_or(Refusal::NotFound)?;
    match performer.person() {
        Some(person) if person != found.user.as_str() => Err(Refusal::NotFound),
        Some(_) | None => Ok(found),
    }
}

/// The verification a path names, if it was made for this performer.
async fn verification(
    app: &App,
    call: &Call,
    performer: &Performer,
    (kind, enrolment, id): (FactorKind, &str, &str),
) -> Result<Challenge, Refusal> {
    let found = SignIns { app, tenant: &call.tenant }.challenge(&ChallengeId::from(id)).await?;
    let named = if enrolment == TRANSIENT { None } else { Some(EnrolmentId::from(enrolment)) };
    found
        .filter(|one| one.kind == kind.as_str() && one.enrolment == named && performer.made(one))
        .ok_or(Refusal::NoVerification)
}

/// A verification to an address given now.
pub async fn transient(
    app: &App,
    call: &Call,
    performer: &Performer,
    kind: FactorKind,
    id: &str,
) -> Result<Challenge, Refusal> {
    verification(app, call, performer, (kind, TRANSIENT, id)).await
}

/// `GET …/verifications/{id}`.
pub async fn read(
    State(app): State<App>,
    Path((kind, enrolment, id)): Path<(String, String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let kind = wire::code_kind(&call, &kind)?;
    let challenge = verification(&app, &call, &performer, (kind, &enrolment, &id)).await?;
    Ok(reply::json(StatusCode::OK, &wire::verification(&challenge, app.world.now())))
}

/// `POST …/verifications/{id}`: judges a code. 204, or 200 with the assertion.
pub async fn answer(
    State(app): State<App>,
    Path((kind, enrolment, id)): Path<(String, String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let kind = wire::code_kind(&call, &kind)?;
    let body = wire::body(&call)?;
    if kind == FactorKind::Questions {
        let answers = wire::answers(&body)?;
        let challenge = verification(&app, &call, &performer, (kind, &enrolment, &id)).await?;
        let performed = performer.submit(&app, &call, Submission::Answers { challenge, answers }).await;
        return proved(&app, &call, &performed.map_err(|failure| refuse(&call, failure))?).await;
    }
    let code = wire::code(&body)?;
    let challenge = verification(&app, &call, &performer, (kind, &enrolment, &id)).await?;
    let performed = judge(&app, &call, performer, challenge, code).await?;
    proved(&app, &call, &performed).await
}

/// Judges a code that was sent.
pub async fn judge(
    app: &App,
    call: &Call,
    performer: Performer,
    challenge: Challenge,
    code: Secret<String>,
) -> Result<Performed, Refusal> {
    match wire::state(&challenge, app.world.now()) {
        "PENDING" => {}
        // Still pending in the records, but nobody answered in time.
        "TIMEOUT" if challenge.state == "pending" => {}
        _ => return Err(Refusal::NoVerification),
    }
    let status = call.tenant.tenant.settings.otp_failure_status;
    let of_nobody = challenge.user.is_none();
    match performer.submit(app, call, Submission::Code { challenge, code }).await {
        Ok(performed) => Ok(performed),
        // Nothing was sent to an address that is not the person's: whatever is answered is wrong.
        Err(Failure::NotNow(NotNow::OtherPerson)) if of_nobody => Err(Refusal::NotAccepted { status }),
        Err(failure) => Err(Refusal::of(failure, status)),
    }
}

/// The answer to a right code: nothing, or the assertion where it was asked for and may be given.
pub async fn proved(app: &App, call: &Call, performed: &Performed) -> Result<Response, Refusal> {
    let assertion = if wire::wants_assertion(call) { assertion::write(app, call, performed).await? } else { None };
    Ok(match assertion {
        Some(assertion) => reply::json(StatusCode::OK, &json!({ "assertion": assertion })),
        None => reply::empty(StatusCode::NO_CONTENT),
    })
}

/// `DELETE …/verifications/{id}`: withdraws it.
pub async fn cancel(
    State(app): State<App>,
    Path((kind, enrolment, id)): Path<(String, String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let kind = wire::code_kind(&call, &kind)?;
    let challenge = verification(&app, &call, &performer, (kind, &enrolment, &id)).await?;
    if wire::state(&challenge, app.world.now()) != "PENDING" {
        return Err(Refusal::NoVerification);
    }
    performer.withdraw(&app, &call, challenge).await.map_err(|failure| refuse(&call, failure))?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
