//! Every way an OAuth endpoint says no, and how each is spelled.

use axum::http::StatusCode;
use axum::response::Response;
use engine::Refusal;
use protocol::oauth_error::{OAuthCode, Rejection};

use crate::directory::DirectoryError;
use crate::fault::Fault;
use crate::hashing::Busy;
use crate::reply;
use crate::signin::Failure;

/// A no of an OAuth endpoint.
#[derive(Debug)]
pub enum Refused {
    /// The request is wrong as it stands.
    Rejected(Rejection),
    /// The request is wrong, and this endpoint says so with a status of its own.
    At {
        /// The status.
        status: u16,
        /// What is wrong.
        rejection: Rejection,
    },
    /// The sign-in is refused. An administrator finds the decision under the reference.
    Denied {
        /// What may be shown.
        refusal: Refusal,
        /// The public reference of the decision record.
        reference: String,
    },
    /// Too much to do.
    Busy(Busy),
    /// The server's own failure.
    Fault(Fault),
}

impl Refused {
    /// Spells the refusal. `denial_status` is the tenant's status of a denial.
    pub fn into_response(self, denial_status: u16) -> Response {
        match self {
            Self::Rejected(rejection) => reply::rejection(&rejection),
            Self::At { status, rejection } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
                reply::oauth(status, rejection.code, &rejection.describe())
            }
            Self::Denied { refusal, reference } => {
                let status = StatusCode::from_u16(denial_status).unwrap_or(StatusCode::UNAUTHORIZED);
                let text = match refusal {
                    Refusal::DeniedByPolicy => "CSIAQ0278E access is denied by the access policy",
                    Refusal::LevelOutOfReach => {
                        "CSIAQ0278E the level of authentication that was asked for cannot be reached"
                    }
                    Refusal::NotEntitled => "CSIAQ0279E the user may not use this application",
                    Refusal::Reauthenticate => "CSIAQ0278E the access policy wants the user to sign in anew",
                    Refusal::MustEnrol => "CSIAQ0278E a second factor must be enrolled first",
                };
                reply::oauth(status, OAuthCode::AccessDenied, &format!("{text} (reference {reference})"))
            }
            Self::Busy(busy) => reply::busy(&busy),
            Self::Fault(fault) => reply::fault(&fault),
        }
    }
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<store::StoreError> for Refused {
    fn from(error: store::StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<DirectoryError> for Refused {
    fn from(error: DirectoryError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<Busy> for Refused {
    fn from(busy: Busy) -> Self {
        Self::Busy(busy)
    }
}

impl From<crate::keys::KeyError> for Refused {
    fn from(error: crate::keys::KeyError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<Failure> for Refused {
    /// At the token endpoint whatever does not fit the sign-in is an unusable assertion or token.
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotNow(_)
            | Failure::Stale
            | Failure::Wrong(_)
            | Failure::TooManyMessages
            | Failure::Unusable(_) => {
                Self::Rejected(Rejection::invalid_grant("the sign-in cannot be continued with what was presented"))
            }
            Failure::Busy(busy) => Self::Busy(busy),
            Failure::Fault(fault) => Self::Fault(fault),
        }
    }
}
