//! How requests are read and answers put together (RFC 7644 §3.1, §3.8, §3.14).

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use protocol::json::Bounds;
use protocol::scim::list::Query;
use protocol::scim::{Model, Operation, Projection, ScimError, ScimType, etag, read_operations};
use serde_json::{Map, Value};

use super::refusal::Refusal;
use super::shape::Shape;
use crate::call::{Call, LARGEST_BODY};
use crate::reply;

const SCIM_JSON: HeaderValue = HeaderValue::from_static("application/scim+json");
const BOUNDS: Bounds = Bounds { bytes: LARGEST_BODY, depth: 16, values: 20_000 };

/// JSON as SCIM names it; as plain JSON where only that is accepted.
pub fn json(call: &Call, status: StatusCode, body: &Value) -> Response {
    let mut response = reply::json(status, body);
    let accepted = call.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accepted.contains("application/json") || accepted.contains("application/scim+json") {
        response.headers_mut().insert(header::CONTENT_TYPE, SCIM_JSON);
    }
    response
}

/// A resource with its version and, where it is new, its place.
pub fn resource(call: &Call, status: StatusCode, document: Map<String, Value>, version: i64) -> Response {
    let location = document.get("meta").and_then(|meta| meta.get("location")?.as_str()).map(str::to_owned);
    let mut response = json(call, status, &Value::Object(document));
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    put(header::ETAG, &etag::tag(version));
    if let Some(location) = location.filter(|_| status == StatusCode::CREATED) {
        put(header::LOCATION, &location);
    }
    response
}

/// An answer, or the refusal in the words of the shape that was asked.
pub fn finish(call: &Call, result: Result<Response, Refusal>) -> Response {
    result.unwrap_or_else(|refusal| refusal.into_response(call, Shape::of(call)))
}

/// The body as an object.
///
/// # Errors
/// Another media type, or no JSON object within bounds.
pub fn body(call: &Call) -> Result<Map<String, Value>, Refusal> {
    let media = call.media_type();
    let known = ["application/scim+json", "application/json", ""];
    if !known.iter().any(|one| media.eq_ignore_ascii_case(one)) {
        return Err(Refusal::Wrong(ScimError::status(415, "the body is not `application/scim+json`")));
    }
    protocol::json::parse_object(&call.body, BOUNDS)
        .map_err(|_| Refusal::Wrong(ScimError::of(ScimType::InvalidSyntax, "the body is no JSON object, or too large")))
}

/// The operations of a PATCH.
///
/// # Errors
/// The body is not in form.
pub fn operations(call: &Call) -> Result<Vec<Operation>, Refusal> {
    Ok(read_operations(&body(call)?)?)
}

/// What the request target says of filters, pages and attributes.
///
/// # Errors
/// It is not in form.
pub fn query(call: &Call) -> Result<Query, Refusal> {
    let form = call.query().map_err(|_| ScimError::of(ScimType::InvalidSyntax, "the query is malformed"))?;
    Ok(Query::of_form(&form)?)
}

/// Which attributes are asked for.
///
/// # Errors
/// `attributes` and `excludedAttributes` exclude each other.
pub fn projection(query: &Query, model: &'static Model) -> Result<Projection, Refusal> {
    let only: Vec<&str> = query.only.iter().map(String::as_str).collect();
    let without: Vec<&str> = query.without.iter().map(String::as_str).collect();
    Ok(Projection::new(model, &only, &without)?)
}

/// What a request demands of the version of a resource (RFC 9110 §13.1).
#[derive(Clone, Copy, Debug)]
pub struct Demand<'c> {
    matching: Option<&'c str>,
    none: Option<&'c str>,
}

impl<'c> Demand<'c> {
    /// The demand of a request.
    pub fn of(call: &'c Call) -> Self {
        let header = |name: HeaderName| call.headers.get(name).map(|value| value.to_str().unwrap_or_default());
        Self { matching: header(header::IF_MATCH), none: header(header::IF_NONE_MATCH) }
    }

    /// Whether it names versions that may be written to: then nothing else is.
    pub fn is_strict(&self) -> bool {
        self.matching.is_some()
    }

    /// Whether a resource of this version may be written to.
    ///
    /// # Errors
    /// It may not.
    pub fn allows_write(&self, version: i64) -> Result<(), Refusal> {
        let wanted = self.matching.is_none_or(|header| etag::is_among(header, version));
        let excluded = self.none.is_some_and(|header| etag::is_among(header, version));
        if wanted && !excluded { Ok(()) } else { Err(Refusal::OtherVersion) }
    }

    /// Whether a resource of this version is to be answered.
    ///
    /// # Errors
    /// The client has it, or wants another.
    pub fn allows_read(&self, version: i64) -> Result<(), Refusal> {
        if self.matching.is_some_and(|header| !etag::is_among(header, version)) {
            return Err(Refusal::OtherVersion);
        }
        if self.none.is_some_and(|header| etag::is_among(header, version)) {
            return Err(Refusal::NotModified);
        }
        Ok(())
    }
}
