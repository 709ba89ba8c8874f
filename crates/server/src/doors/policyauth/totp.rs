//! Time-based codes (vendor page §2.7.1): one call, no verification object.

use axum::extract::State;
use axum::response::Response;
use engine::FactorKind;
use protocol::records::EnrolmentId;

use super::caller::authenticate;
use super::refusal::Refusal;
use super::{otp, wire};
use crate::app::App;
use crate::call::{Call, Path};
use crate::signin::{SignIns, Submission};

/// `POST /v2.0/factors/totp/{enrolment}`: judges a code. 204, or 200 with the assertion.
pub async fn verify(State(app): State<App>, Path(enrolment): Path<String>, call: Call) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let settings = &call.tenant.tenant.settings;
    if !settings.totp.enabled {
        return Err(Refusal::SwitchedOff);
    }
    let code = wire::code(&wire::body(&call)?)?;
    let found = SignIns { app: &app, tenant: &call.tenant }.enrolment(&EnrolmentId::from(enrolment)).await?;
    let found = found.filter(|one| one.kind == FactorKind::Totp.as_str()).ok_or(Refusal::NotFound)?;
    if performer.person().is_some_and(|person| person != found.user.as_str()) {
        return Err(Refusal::NotFound);
    }
    performer.demand_proving(&app, &call, &found).await?;
    let performed = performer.submit(&app, &call, Submission::Totp { enrolment: Some(found), code }).await;
    let performed = performed.map_err(|failure| Refusal::of(failure, settings.otp_failure_status))?;
    otp::proved(&app, &call, &performed).await
}
