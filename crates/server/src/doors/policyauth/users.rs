//! The directory's own check of a password, `POST /v2.0/Users/authentication` (end of vendor page §2.3.1). Its errors are SCIM's
//! (RFC 7644 §3.12). It never gives an assertion.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::records::SourceKind;
use serde_json::{Value, json};

use super::caller::{Caller, authenticate};
use super::refusal::Refusal;
use super::wire;
use crate::app::App;
use crate::call::Call;
use crate::reply;
use crate::secret::Secret;
use crate::signin::factors::Cause;
use crate::signin::{Asker, Failure, SignIns, Submission};

const SCHEMA: &str = "urn:ietf:params:scim:schemas:ibm:core:2.0:AuthenticateUser";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

fn error(status: StatusCode, detail: &str, kind: &str) -> Response {
    let body = json!({ "schemas": [ERROR], "status": status.as_str(), "detail": detail, "scimType": kind });
    reply::json(status, &body)
}

/// `POST /v2.0/Users/authentication`.
pub async fn authentication(State(app): State<App>, call: Call) -> Response {
    match verify(&app, &call).await {
        Ok(response) => response,
        Err(Refusal::Malformed(_)) => error(
            StatusCode::BAD_REQUEST,
            "CSIAI0111E The members userName and password are required.",
            "invalidSyntax",
        ),
        // A name nobody has looks like a wrong password.
        Err(Refusal::WrongPassword) => {
            error(StatusCode::BAD_REQUEST, "CSIAI0160E The user name or the password is not correct.", "INVALID_CREDS")
        }
        Err(Refusal::PasswordDue) => {
            error(StatusCode::BAD_REQUEST, "CSIAI0161E The password has expired.", "PWD_EXPIRED")
        }
        Err(other) => other.into_response(),
    }
}

async fn verify(app: &App, call: &Call) -> Result<Response, Refusal> {
    let caller = authenticate(app, call).await?;
    caller.client_alone(&["authnAnyUser"])?;
    let Caller::Token { client, .. } = caller else { return Err(Refusal::Forbidden) };
    let body = wire::body(call)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let (Some(username), Some(password)) = (text("userName"), text("password")) else {
        return Err(Refusal::Malformed("The members userName and password are required."));
    };
    let mut sources = call.tenant.sources.iter().filter(|source| source.kind == SourceKind::CloudDirectory);
    let source = sources.next().ok_or(Refusal::WrongPassword)?;
    let submission = Submission::Password { source: &source.id, username, password: Secret::from(password) };
    let asker = Asker { client: client.id.clone(), person: None };
    match (SignIns { app, tenant: &call.tenant }).submit_alone(&asker, submission).await {
        Ok(checked) => {
            let id = checked.user.map(|user| user.id).ok_or(Refusal::WrongPassword)?;
            Ok(reply::json(StatusCode::OK, &json!({ "schemas": [SCHEMA], "id": id })))
        }
        // Names nobody has rest as well: this says nothing of who exists.
        Err(Failure::Wrong(Cause::Resting)) => Ok(error(
            StatusCode::BAD_REQUEST,
            "CSIAI0160E Too many wrong passwords. Try again later.",
            "LOCKED_PWD_FAILURES",
        )),
        Err(Failure::Wrong(Cause::PasswordExpired | Cause::PasswordMustChange)) => Err(Refusal::PasswordDue),
        Err(Failure::Wrong(_)) => Err(Refusal::WrongPassword),
        Err(failure) => Err(Refusal::of(failure, call.tenant.tenant.settings.otp_failure_status)),
    }
}
