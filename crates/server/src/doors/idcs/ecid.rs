//! The execution context id: one short name of a request, in its answer and in the log beside the request's own.

use axum::http::HeaderValue;
use axum::response::Response;

use crate::app::App;

/// The name of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcId(String);

impl EcId {
    /// A new one, in the form the vendor's have: eight characters and nine zeros.
    pub fn new(app: &App) -> Self {
        Self(format!("{}000000000", app.world.token(8)))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The answer, with the name of its request in the header.
pub fn with_ecid(mut response: Response, ecid: &EcId) -> Response {
    if let Ok(value) = HeaderValue::from_str(ecid.as_str()) {
        response.headers_mut().insert("x-oracle-dms-ecid", value);
    }
    response
}
