//! `/sso/v1/sdk/authenticate`: the dialogue of the Authenticate API, step by step.
//!
//! Owns which answer each step of a sign-in has in this dialect. What is asked for and whether it was proved is the engine's and the
//! driver's to say; what a person enrols meanwhile is `enrol`'s.

use axum::Router;
use axum::extract::State as Extracted;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use protocol::idcs::roles::AppRole;
use serde_json::{Map, Value};

use super::caller::{Caller, Denied};
use super::ecid::{EcId, with_ecid};
use super::fault::{Code, Failed};
use crate::app::App;
use crate::call::Call;
use crate::reply;

pub mod state;

/// Its paths.
pub const PATHS: [&str; 1] = ["/sso/v1/sdk/authenticate"];

/// Its routes.
pub fn routes() -> Router<App> {
    Router::new().route("/sso/v1/sdk/authenticate", get(start).options(methods))
}

/// `OPTIONS`: which methods there are; nobody has to say who asks.
async fn methods() -> Response {
    let mut response = reply::preflight();
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST, OPTIONS"));
    response
}

/// `GET`: begins a dialogue.
async fn start(Extracted(app): Extracted<App>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    if let Err(denied) = caller(&app, &call).await {
        return refuse(&denied, &ecid);
    }
    failed(&Failed::from(Code::SystemError), Map::new(), &ecid)
}

async fn caller(app: &App, call: &Call) -> Result<Caller, Denied> {
    let caller = Caller::of(app, call).await?;
    caller.demand(&[AppRole::Signin, AppRole::ChangePassword])?;
    Ok(caller)
}

/// A body, with what every one has.
pub(super) fn answer(status: StatusCode, mut body: Map<String, Value>, ecid: &EcId) -> Response {
    body.insert("ecId".to_owned(), Value::from(ecid.as_str()));
    let mut response = reply::json(status, &body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    with_ecid(response, ecid)
}

/// A step that was refused, with what the stage has besides.
pub(super) fn failed(failed: &Failed, mut stage: Map<String, Value>, ecid: &EcId) -> Response {
    stage.insert("status".to_owned(), "failed".into());
    stage.insert("cause".to_owned(), serde_json::json!([{ "code": failed.code.as_str(), "message": failed.message }]));
    answer(failed.status, stage, ecid)
}

/// A caller that is not heard. The exact media type is how clients tell a dead token of their own from a wrong password (reference
/// §1.4).
pub(super) fn refuse(denied: &Denied, ecid: &EcId) -> Response {
    let response = match denied {
        Denied::DeadToken => {
            let mut response = Response::new(axum::body::Body::from("<!doctype html><title>401</title><p>401"));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            response
        }
        Denied::MissingRole => scim_error(
            StatusCode::UNAUTHORIZED,
            "The access token lacks the role this needs.",
            "error.common.common.insufficientScope",
        ),
        Denied::Busy(busy) => {
            let response = failed(&Code::Overloaded.into(), Map::new(), ecid);
            reply::retry_after(response, Some(busy.retry_after))
        }
        Denied::Fault(fault) => {
            fault.log();
            failed(&Code::SystemError.into(), Map::new(), ecid)
        }
    };
    with_ecid(response, ecid)
}

/// A SCIM error of the vendor's form (reference §4.8).
pub fn scim_error(status: StatusCode, detail: &str, message: &str) -> Response {
    const EXTENSION: &str = "urn:ietf:params:scim:api:oracle:idcs:extension:messages:Error";
    let mut response = reply::json(
        status,
        &serde_json::json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error", EXTENSION],
            "detail": detail,
            "status": status.as_str(),
            EXTENSION: { "messageId": message },
        }),
    );
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
    response
}
