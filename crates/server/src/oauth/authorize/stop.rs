//! Why a request does not come to its answer, and how that is told: back to the client where it may be, on a page of ours
//! where nobody else may be told.

use axum::http::StatusCode;
use axum::response::Response;
use protocol::authorize::{Delivery, PageError, RedirectError};
use store::CommitError;

use super::see_other;
use crate::app::App;
use crate::browser::Lost;
use crate::call::Call;
use crate::doors::hosted;
use crate::fault::Fault;
use crate::hashing::Busy;
use crate::reply;
use crate::signin::Failure;

/// Why there is no answer.
#[derive(Debug)]
pub enum Stop {
    /// Nobody to trust: a page, and no way on.
    Page(PageError),
    /// An error for the client, named by this issuer.
    Back(Box<RedirectError>, String),
    /// The dialogue cannot go on.
    Lost(Lost),
    /// Somebody was first: what stands now must be looked at.
    Again,
    /// Too much to do.
    Busy(Busy),
    /// The server's own failure.
    Fault(Fault),
}

impl Stop {
    /// An error for the client.
    pub fn back(error: RedirectError, issuer: String) -> Self {
        Self::Back(Box::new(error), issuer)
    }

    /// A step of a sign-in that could not be taken.
    pub fn failed(failure: Failure) -> Self {
        match failure {
            Failure::NotNow(_) | Failure::Stale => Self::Again,
            Failure::Busy(busy) => Self::Busy(busy),
            Failure::Fault(fault) => Self::Fault(fault),
            Failure::Wrong(_) | Failure::TooManyMessages | Failure::Unusable(_) => {
                Self::Fault(Fault::stored("a step without evidence was judged"))
            }
        }
    }

    /// Tells it.
    pub fn into_response(self, app: &App, call: &Call, locales: &[String]) -> Response {
        match self {
            Self::Page(error) => {
                let text = error.message_id();
                hosted::error(app, call, locales, StatusCode::BAD_REQUEST, error.id(), phrase(error), text)
            }
            Self::Back(error, issuer) => {
                let answer = error.answer(&issuer);
                deliver(app, call, locales, answer.deliver()).unwrap_or_else(|fault| reply::fault(&fault))
            }
            Self::Lost(Lost::NoCookie) => hosted::cookies_needed(app, call),
            Self::Lost(Lost::Gone) | Self::Again => hosted::expired(app, call),
            Self::Lost(Lost::Fault(fault)) | Self::Fault(fault) => hosted::fault(app, call, locales, &fault),
            Self::Busy(busy) => reply::retry_after(
                hosted::error(
                    app,
                    call,
                    locales,
                    StatusCode::SERVICE_UNAVAILABLE,
                    "busy",
                    "there is too much to do at the moment, try again shortly",
                    "CSIAQ9997E",
                ),
                Some(busy.retry_after),
            ),
        }
    }
}

/// What a page says, in fixed words (demand O-3).
fn phrase(error: PageError) -> &'static str {
    match error {
        PageError::Unreadable => "the request cannot be read",
        PageError::ClientIdMissing => "the request does not say which application it comes from",
        PageError::UnknownClient => "the application is not known here",
        PageError::RedirectUriMissing => "the request does not say where to return to",
        PageError::RedirectUriUnregistered => "the address to return to is not registered for this application",
        PageError::UnknownRequestUri => "the request is unknown or has expired",
    }
}

/// Sends an answer of the authorization endpoint on its way.
///
/// # Errors
/// It cannot be written.
pub fn deliver(app: &App, call: &Call, locales: &[String], delivery: Delivery) -> Result<Response, Fault> {
    match delivery {
        Delivery::Redirect(to) => see_other(&to),
        Delivery::Post { action, fields } => Ok(hosted::form_post(app, call, locales, &action, &fields)),
    }
}

impl From<PageError> for Stop {
    fn from(error: PageError) -> Self {
        Self::Page(error)
    }
}

impl From<Lost> for Stop {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Whoever loses a race in the same browser finds everything as the winner left it.
impl From<CommitError> for Stop {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Refused { .. } => Self::Again,
            CommitError::Unavailable(error) => error.into(),
        }
    }
}

impl From<store::StoreError> for Stop {
    fn from(error: store::StoreError) -> Self {
        Self::Fault(error.into())
    }
}
