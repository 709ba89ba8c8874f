//! How requests below `/admin/v1` are read, answered and refused (reference §4.8).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use protocol::scim::list::Query;
use protocol::scim::{ScimError, oracle};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::call::Call;
use crate::directory::DirectoryError;
use crate::doors::idcs::{Denied, EcId, with_ecid};
use crate::fault::Fault;
use crate::reply;
use crate::scim::{self, Shape, answer};
use crate::signin::Failure;
use crate::signin::enrol::NotEnrolled;
use crate::signin::passwords::NotChanged;

pub(super) type Document = Map<String, Value>;

/// Resources of a page where nothing is said.
const USUAL_PAGE: usize = 50;

/// The token lets nobody in, or lacks the role. What resources there are nobody learns.
const UNAUTHORIZED: &str = "error.common.common.unauthorized";
/// The present password is another.
pub(super) const WRONG_PASSWORD: &str = "error.identity.passwordmgmt.invalidCurrentPassword";
/// What was mailed is used up, too old, or was never sent.
pub(super) const WRONG_TOKEN: &str = "error.identity.passwordmgmt.invalidToken";

/// A no of `/admin/v1`.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The caller is not heard.
    Denied(Denied),
    /// One that every shape of the directory has.
    Scim(scim::Refusal),
    /// One with a name of its own.
    No {
        /// The status.
        status: u16,
        /// What clients tell it by.
        message: &'static str,
        /// What is wrong, for people.
        detail: String,
    },
}

impl Refusal {
    /// The request is wrong.
    pub(super) fn no(message: &'static str, detail: impl Into<String>) -> Self {
        Self::No { status: 400, message, detail: detail.into() }
    }

    /// A value is missing or wrong.
    pub(super) fn value(detail: impl Into<String>) -> Self {
        Self::Scim(scim::Refusal::value(detail.into()))
    }

    fn into_response(self, call: &Call) -> Response {
        let plain = |status: StatusCode, message: &str, detail: &str| {
            let body = oracle::error_body(&ScimError::status(status.as_u16(), detail), message);
            answer::json(call, status, &Value::Object(body))
        };
        match self {
            Self::Scim(refusal) => refusal.into_response(call, Shape::Oracle),
            Self::No { status, message, detail } => {
                plain(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), message, &detail)
            }
            Self::Denied(Denied::DeadToken) => {
                let detail = "the access token is missing, not valid or no longer valid";
                let mut response = plain(StatusCode::UNAUTHORIZED, UNAUTHORIZED, detail);
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                response
            }
            Self::Denied(Denied::MissingRole) => plain(
                StatusCode::UNAUTHORIZED,
                "error.common.common.insufficientScope",
                "the access token lacks the role this needs",
            ),
            Self::Denied(Denied::Busy(busy)) => {
                scim::Refusal::Busy(busy.retry_after).into_response(call, Shape::Oracle)
            }
            Self::Denied(Denied::Fault(fault)) => scim::Refusal::Fault(fault).into_response(call, Shape::Oracle),
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<scim::Refusal> for Refusal {
    fn from(refusal: scim::Refusal) -> Self {
        Self::Scim(refusal)
    }
}

impl From<ScimError> for Refusal {
    fn from(error: ScimError) -> Self {
        Self::Scim(error.into())
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Scim(fault.into())
    }
}

impl From<DirectoryError> for Refusal {
    fn from(error: DirectoryError) -> Self {
        Self::Scim(error.into())
    }
}

impl From<NotChanged> for Refusal {
    fn from(not: NotChanged) -> Self {
        match not {
            NotChanged::Failure(Failure::Wrong(_) | Failure::NotNow(_)) => {
                Self::no(WRONG_PASSWORD, "the user name or the current password is wrong")
            }
            other => Self::Scim(other.into()),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TooManyMessages => Self::No {
                status: 429,
                message: "error.common.common.tooManyRequests",
                detail: "too many messages were sent, try again later".to_owned(),
            },
            Failure::Unusable(unusable) => Self::value(unusable.to_string()),
            other => Self::Scim(NotChanged::Failure(other).into()),
        }
    }
}

impl From<NotEnrolled> for Refusal {
    fn from(not: NotEnrolled) -> Self {
        match not {
            NotEnrolled::Unusable(unusable) => Self::value(unusable.to_string()),
            NotEnrolled::Limit => Self::value("there are as many as may be, or this one is there already"),
            NotEnrolled::NoSuchPerson => Self::Scim(scim::Refusal::NotFound),
            NotEnrolled::NotAccepted(_) => Self::value("it was not accepted"),
            NotEnrolled::Stale => Self::Scim(scim::Refusal::Overtaken),
            NotEnrolled::Fault(fault) => Self::Scim(fault.into()),
        }
    }
}

/// An answer, or the refusal, with the name of the request.
pub(super) fn finish(app: &App, call: &Call, result: Result<Response, Refusal>) -> Response {
    let response = result.unwrap_or_else(|refusal| refusal.into_response(call));
    with_ecid(response, &EcId::new(app))
}

/// The body as an object.
///
/// # Errors
/// Another media type, or no object within bounds.
pub(super) fn body(call: &Call) -> Result<Document, Refusal> {
    Ok(answer::body(call)?)
}

/// A text of a body.
///
/// # Errors
/// It is missing, empty, no text, or longer than anybody needs.
pub(super) fn text<'b>(body: &'b Document, name: &str) -> Result<&'b str, Refusal> {
    optional(body, name)?.ok_or_else(|| Refusal::value(format!("attribute `{name}` is required")))
}

/// A text of a body that may be left out.
///
/// # Errors
/// It is no text, or longer than anybody needs.
pub(super) fn optional<'b>(body: &'b Document, name: &str) -> Result<Option<&'b str>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= 4096 && !text.contains('\0') => {
            Ok(Some(text.as_str()).filter(|text| !text.is_empty()))
        }
        Some(_) => Err(Refusal::value(format!("attribute `{name}` is no text, or too long"))),
    }
}

/// Where a list is told what is asked of it: [`query`] or [`query_of_body`].
pub(super) type Asked = fn(&Call) -> Result<Query, Refusal>;

/// What the request target says of filters, pages and attributes.
///
/// # Errors
/// It is not in form.
pub(super) fn query(call: &Call) -> Result<Query, Refusal> {
    let mut query = answer::query(call)?;
    if call.query().is_ok_and(|form| form.pairs().all(|(name, _)| name != "count")) {
        query.count = USUAL_PAGE;
    }
    Ok(query)
}

/// What a body says of filters, pages and attributes.
///
/// # Errors
/// It is not in form.
pub(super) fn query_of_body(call: &Call) -> Result<Query, Refusal> {
    let body = body(call)?;
    let mut query = Query::of_body(&body)?;
    if !body.contains_key("count") {
        query.count = USUAL_PAGE;
    }
    Ok(query)
}

/// A list as Oracle answers it: `itemsPerPage` is what a page holds, not what this one does.
pub(super) fn list(call: &Call, query: &Query, total: usize, resources: Vec<Document>) -> Response {
    let body = json!({
        "schemas": [protocol::scim::list::LIST],
        "totalResults": total,
        "startIndex": query.start,
        "itemsPerPage": query.count,
        "Resources": resources,
    });
    answer::json(call, StatusCode::OK, &body)
}

/// An action that was taken: what was sent of it, and what came of it (reference §5).
pub(super) fn action(call: &Call, status: StatusCode, kind: &str, members: Document) -> Response {
    let mut shown = Map::new();
    shown.insert("schemas".to_owned(), json!([format!("urn:ietf:params:scim:schemas:oracle:idcs:{kind}")]));
    let location = format!("{}{}/{kind}", call.base, Shape::Oracle.base());
    shown.insert("meta".to_owned(), json!({ "resourceType": kind, "location": location }));
    shown.extend(members);
    answer::json(call, status, &Value::Object(shown))
}

/// No body.
pub(super) fn gone() -> Response {
    reply::empty(StatusCode::NO_CONTENT)
}
