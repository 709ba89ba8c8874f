//! Codes that are handed to the caller (vendor page §2.6, `/v2.0/factors/otp`). They prove nothing about anybody here: what the
//! caller does with them is its own affair.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::records::{ChallengeId, OtpSettings};
use serde_json::{Value, json};

use super::caller::{Caller, authenticate};
use super::refusal::Refusal;
use super::wire;
use crate::app::App;
use crate::call::{Call, Path};
use crate::reply;
use crate::signin::factors::otp::GENERATED;
use crate::signin::{Asker, Challenge, SignIns};

const MAY: [&str; 1] = ["generateOTP"];

async fn asker(app: &App, call: &Call) -> Result<Asker, Refusal> {
    let caller = authenticate(app, call).await?;
    caller.demand(&MAY)?;
    match caller {
        // The code belongs to the client, whoever sits in front of it.
        Caller::Token { client, .. } => Ok(Asker { client: client.id.clone(), person: None }),
        Caller::SignIn(_) => Err(Refusal::Forbidden),
    }
}

async fn find(app: &App, call: &Call, asker: &Asker, id: String) -> Result<Challenge, Refusal> {
    let found = SignIns { app, tenant: &call.tenant }.challenge(&ChallengeId(id)).await?;
    found.filter(|one| one.kind == GENERATED && asker.made(one)).ok_or(Refusal::NoVerification)
}

/// `POST /v2.0/factors/otp`: a code, shown once.
pub async fn create(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let asker = asker(&app, &call).await?;
    let body = wire::body(&call)?;
    let correlation = wire::correlation(&body)?;
    let wants = |name| wire::flag(&body, name, "A member that must be a boolean is something else.");
    let settings = &call.tenant.tenant.settings;
    let usual = OtpSettings::default();
    let form = match (wants("useEmailotpConfig")?.unwrap_or(false), wants("useSmsotpConfig")?.unwrap_or(false)) {
        (true, true) => return Err(Refusal::Malformed("Only one configuration can be used.")),
        (true, false) => &settings.email_otp,
        (false, true) => &settings.sms_otp,
        (false, false) => &usual,
    };
    let made = SignIns { app: &app, tenant: &call.tenant }.generate(&asker, form, correlation).await;
    let (challenge, code) = made.map_err(|failure| Refusal::of(failure, settings.otp_failure_status))?;
    let mut shown = wire::verification(&challenge, app.world.now());
    if let Value::Object(members) = &mut shown {
        members.insert("otp".to_owned(), json!(code.expose()));
    }
    Ok(reply::json(StatusCode::CREATED, &shown))
}

/// `GET /v2.0/factors/otp/{id}`.
pub async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let asker = asker(&app, &call).await?;
    let challenge = find(&app, &call, &asker, id).await?;
    Ok(reply::json(StatusCode::OK, &wire::verification(&challenge, app.world.now())))
}

/// `POST /v2.0/factors/otp/{id}`: judges a code. Always 204: there is nobody an assertion could speak of.
pub async fn answer(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let asker = asker(&app, &call).await?;
    let code = wire::code(&wire::body(&call)?)?;
    let challenge = find(&app, &call, &asker, id).await?;
    if challenge.state != "pending" {
        return Err(Refusal::NoVerification);
    }
    let done = SignIns { app: &app, tenant: &call.tenant }.check_generated(&asker, challenge, code).await;
    done.map_err(|failure| Refusal::of(failure, call.tenant.tenant.settings.otp_failure_status))?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// `DELETE /v2.0/factors/otp/{id}`: withdraws it.
pub async fn cancel(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let asker = asker(&app, &call).await?;
    let challenge = find(&app, &call, &asker, id).await?;
    if wire::state(&challenge, app.world.now()) != "PENDING" {
        return Err(Refusal::NoVerification);
    }
    let done = SignIns { app: &app, tenant: &call.tenant }.withdraw_alone(&asker, challenge).await;
    done.map_err(|failure| Refusal::of(failure, call.tenant.tenant.settings.otp_failure_status))?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
