//! Every way SCIM says no, and how each is spelled (RFC 7644 §3.12; vendor page §5.1, §5.3).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use protocol::scim::{ScimError, ScimType, oracle};
use serde_json::Value;

use super::answer;
use super::shape::Shape;
use crate::call::Call;
use crate::directory::DirectoryError;
use crate::fault::Fault;
use crate::oauth::refused::Refused;
use crate::reply;
use crate::signin::Failure;
use crate::signin::passwords::{NotChanged, Unfit};

/// A no of SCIM.
#[derive(Debug)]
pub enum Refusal {
    /// The token is missing, unknown or expired.
    BadToken,
    /// The token does not allow this.
    Forbidden,
    /// No such resource.
    NotFound,
    /// The resource has another version than the one that was demanded (RFC 7644 §3.14).
    OtherVersion,
    /// The resource has the version the client has.
    NotModified,
    /// Others kept changing the resource.
    Overtaken,
    /// The request is wrong.
    Wrong(ScimError),
    /// A password will not do.
    Unfit(Unfit),
    /// Too much to do.
    Busy(u64),
    /// The server's own failure.
    Fault(Fault),
}

impl Refusal {
    /// A value that is not acceptable.
    pub fn value(detail: impl Into<String>) -> Self {
        Self::Wrong(ScimError::of(ScimType::InvalidValue, detail))
    }

    /// What Oracle calls it.
    fn message_id(&self) -> &'static str {
        match self {
            Self::BadToken => "error.common.common.unauthorized",
            Self::Forbidden => "error.common.common.insufficientScope",
            Self::NotFound => "error.common.common.resourceNotFound",
            Self::OtherVersion | Self::NotModified => "error.common.common.versionMismatch",
            Self::Overtaken => "error.common.common.concurrentUpdate",
            Self::Busy(_) => "error.common.common.tooManyRequests",
            Self::Fault(_) => "error.common.common.internalServerError",
            Self::Unfit(_) => "error.identity.passwordmgmt.pwdpolicyViolation",
            Self::Wrong(error) => match error.kind {
                Some(ScimType::Uniqueness) => "error.common.validation.uniqueness",
                Some(ScimType::Mutability) => "error.common.validation.readOnly",
                Some(ScimType::InvalidFilter | ScimType::TooMany) => "error.common.common.invalidFilter",
                Some(ScimType::InvalidSyntax | ScimType::InvalidVers) => "error.common.common.invalidRequest",
                Some(ScimType::InvalidPath | ScimType::NoTarget) => "error.common.common.invalidPath",
                Some(ScimType::InvalidValue | ScimType::Sensitive) | None => "error.common.validation.invalidValue",
            },
        }
    }

    /// Spells the refusal in the words of a shape.
    pub fn into_response(self, call: &Call, shape: Shape) -> Response {
        let mut retry = None;
        let (id, error) = match &self {
            Self::NotModified => {
                return reply::empty(StatusCode::NOT_MODIFIED);
            }
            Self::BadToken => {
                ("CSIAK9999E", ScimError::status(401, "the access token is missing, not valid or no longer valid"))
            }
            Self::Forbidden => ("CSIAK4300E", ScimError::status(403, "the access token does not allow this operation")),
            Self::NotFound => ("CSIAG0605E", ScimError::status(404, "the resource was not found")),
            Self::OtherVersion => ("CSIAI9996E", ScimError::status(412, "the resource has changed since it was read")),
            Self::Overtaken => {
                ("CSIAI9997E", ScimError::status(409, "the resource is being changed by others, try again"))
            }
            Self::Wrong(error) => (id_of(error), error.clone()),
            Self::Unfit(unfit) => ("CSIAI0111E", ScimError::of(ScimType::InvalidValue, why(*unfit))),
            Self::Busy(seconds) => {
                retry = Some(*seconds);
                ("CSIAH9997E", ScimError::status(503, "too much to do at once, try again shortly"))
            }
            Self::Fault(fault) => {
                fault.log();
                retry = fault.unavailable.then_some(1);
                let (status, _) = reply::fault_status(fault);
                ("CSIAI9998E", ScimError::status(status.as_u16(), "the server could not complete the request"))
            }
        };
        let body = match shape {
            Shape::Standard => error.body(),
            Shape::Vendor => {
                let mut body = error.body();
                body.insert("detail".to_owned(), Value::String(format!("{id} {}", error.detail)));
                body
            }
            Shape::Oracle => oracle::error_body(&error, self.message_id()),
        };
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = answer::json(call, status, &Value::Object(body));
        // RFC 6750 §3: whoever is refused for want of a token is told of which kind.
        if matches!(self, Self::BadToken) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        reply::retry_after(response, retry)
    }
}

/// Why a password will not do, for people.
pub fn why(unfit: Unfit) -> &'static str {
    match unfit {
        Unfit::TooShort => "the password is too short",
        Unfit::TooLong => "the password is too long, or holds a character that none may have",
        Unfit::IsName => "the password is the login name",
        Unfit::TooWeak => "the password is soon guessed",
        Unfit::Breached => "the password is known from a leak",
        Unfit::UsedBefore => "the password was used before",
    }
}

fn id_of(error: &ScimError) -> &'static str {
    match error.kind {
        Some(ScimType::Uniqueness) => "CSIAI0047E",
        Some(ScimType::Mutability) => "CSIAI0174E",
        Some(
            ScimType::InvalidFilter
            | ScimType::TooMany
            | ScimType::InvalidSyntax
            | ScimType::InvalidPath
            | ScimType::NoTarget
            | ScimType::InvalidValue
            | ScimType::InvalidVers
            | ScimType::Sensitive,
        ) => "CSIAI0111E",
        None => "CSIAI9999E",
    }
}

impl From<ScimError> for Refusal {
    fn from(error: ScimError) -> Self {
        Self::Wrong(error)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<store::StoreError> for Refusal {
    fn from(error: store::StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<DirectoryError> for Refusal {
    fn from(error: DirectoryError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<NotChanged> for Refusal {
    fn from(not: NotChanged) -> Self {
        match not {
            NotChanged::Unfit(unfit) => Self::Unfit(unfit),
            NotChanged::Failure(Failure::Busy(busy)) => Self::Busy(busy.retry_after),
            NotChanged::Failure(Failure::Fault(fault)) => Self::Fault(fault),
            // Of a new password nothing else is asked.
            NotChanged::Failure(_) => Self::Overtaken,
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Fault(fault) => Self::Fault(fault),
            Refused::Busy(busy) => Self::Busy(busy.retry_after),
            Refused::Rejected(_) | Refused::At { .. } | Refused::Denied { .. } => Self::BadToken,
        }
    }
}
