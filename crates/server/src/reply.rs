//! How answers are put together: compact JSON, never cached unless said otherwise.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use protocol::oauth_error::{OAuthCode, Rejection};
use serde::Serialize;

use crate::fault::Fault;
use crate::hashing::Busy;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const EVERY_ORIGIN: HeaderValue = HeaderValue::from_static("*");

/// JSON without blanks (W1), not to be stored (RFC 6749 §5.1).
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let Ok(body) = serde_json::to_vec(body) else {
        return plain_error(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written");
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::PRAGMA, NO_CACHE);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, EVERY_ORIGIN);
    response
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    // A redirect is for the browser itself, never for a page of another origin (RFC 9700 §2.6).
    if !status.is_redirection() {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, EVERY_ORIGIN);
    }
    response
}

/// What a browser is told that asks whether a page of another origin may make a request (Fetch §3.2.2): it may, without
/// cookies. Nothing that answers in JSON looks at a cookie; who asks brings a credential, and a page that has one may use it.
pub fn preflight() -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE"));
    let sent = "Authorization, Content-Type, Accept, Accept-Language, If-Match, If-None-Match, DPoP";
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(sent));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    response
}

/// The answer, kept from pages of other origins: for what is meant for a person at this machine alone.
pub fn same_origin(mut response: Response) -> Response {
    response.headers_mut().remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    response
}

/// An error that belongs to no dialect: the request never reached a door.
pub fn plain_error(status: StatusCode, message: &'static str) -> Response {
    #[derive(Serialize)]
    struct Body {
        error: &'static str,
        error_description: &'static str,
    }
    let error = if status.is_server_error() { "server_error" } else { "invalid_request" };
    json(status, &Body { error, error_description: message })
}

/// The error body of the token endpoint and its neighbours (RFC 6749 §5.2).
#[derive(Serialize)]
struct OAuthError<'a> {
    error: &'a str,
    error_description: &'a str,
}

/// A rejected request, as OAuth spells it.
pub fn rejection(rejection: &Rejection) -> Response {
    let status = StatusCode::from_u16(rejection.code.default_status()).unwrap_or(StatusCode::BAD_REQUEST);
    oauth(status, rejection.code, &rejection.describe())
}

/// An OAuth error with its own status.
pub fn oauth(status: StatusCode, code: OAuthCode, description: &str) -> Response {
    let mut response = json(status, &OAuthError { error: code.as_str(), error_description: description });
    if code == OAuthCode::InvalidClient && status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"countersign\", charset=\"UTF-8\""),
        );
    }
    response
}

/// A fault at an OAuth endpoint: logged here, once; nothing of it is shown.
pub fn fault(fault: &Fault) -> Response {
    fault.log();
    let (status, code) = fault_status(fault);
    retry_after(
        oauth(status, code, "CSIAQ9998E the server could not complete the request"),
        fault.unavailable.then_some(1),
    )
}

/// The status and code of a fault.
pub fn fault_status(fault: &Fault) -> (StatusCode, OAuthCode) {
    if fault.unavailable {
        (StatusCode::SERVICE_UNAVAILABLE, OAuthCode::TemporarilyUnavailable)
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, OAuthCode::ServerError)
    }
}

/// Too much to do at an OAuth endpoint.
pub fn busy(busy: &Busy) -> Response {
    let response = oauth(
        StatusCode::SERVICE_UNAVAILABLE,
        OAuthCode::TemporarilyUnavailable,
        "CSIAQ9997E too many sign-ins at once, try again shortly",
    );
    retry_after(response, Some(busy.retry_after))
}

/// Adds `Retry-After`, seconds.
pub fn retry_after(mut response: Response, seconds: Option<u64>) -> Response {
    if let Some(seconds) = seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
