//! Time-based codes (vendor page §2.7.1): one call, no verification object.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use engine::FactorKind;
use protocol::records::EnrolmentId;
use serde_json::{Value, json};

use super::caller::authenticate;
use super::refusal::Refusal;
use super::{assertion, wire};
use crate::app::App;
use crate::call::Call;
use crate::reply;
use crate::secret::Secret;
use crate::signin::{SignIns, Submission};

/// `POST /v2.0/factors/totp/{enrolment}`: judges a code. 204, or 200 with the assertion.
pub async fn verify(
    State(app): State<App>,
    Path(enrolment): Path<String>,
    call: Call,
) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    caller.demand(&["authnAnyUser", "authn"])?;
    let settings = &call.tenant.tenant.settings;
    if !settings.totp.enabled {
        return Err(Refusal::SwitchedOff);
    }
    let body = call.json().ok_or(Refusal::Malformed("The body is not a JSON object."))?;
    let code = body.get("otp").and_then(Value::as_str).filter(|code| code.len() <= 64);
    let code = code.ok_or(Refusal::Malformed("The member otp is required."))?;
    let found = app.store.enrolment(&call.tenant.tenant.id, &EnrolmentId::from(enrolment)).await?;
    let found = found.filter(|one| one.kind == FactorKind::Totp.as_str()).ok_or(Refusal::NotFound)?;
    if caller.subject().is_some_and(|subject| subject != found.user.as_str()) {
        return Err(Refusal::NotFound);
    }
    let submission = Submission::Totp { enrolment: Some(found), code: Secret::new(code.to_owned()) };
    let proved = SignIns { app: &app, tenant: &call.tenant }.submit(caller.sign_in()?, submission).await;
    let proved = proved.map_err(|failure| Refusal::of(failure, settings.otp_failure_status))?;
    if wire::wants_assertion(&call) {
        let assertion = assertion::write(&app, &call, &proved).await?;
        return Ok(reply::json(StatusCode::OK, &json!({ "assertion": assertion })));
    }
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
