//! The errors of the factor APIs: `{"messageId","messageDescription"}` and nothing else (vendor page §5).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::NotNow;
use serde::Serialize;

use crate::fault::Fault;
use crate::oauth::refused::Refused;
use crate::reply;
use crate::signin::Failure;
use crate::signin::enrol::NotEnrolled;
use crate::signin::factors::{Cause, Unusable};

/// A no of a factor API.
#[derive(Debug)]
pub enum Refusal {
    /// The token is missing, unknown, expired or superseded.
    BadToken,
    /// The token does not allow this.
    Forbidden,
    /// No such thing, or no longer.
    NotFound,
    /// No such verification, or no longer pending.
    NoVerification,
    /// The body or query is not in form.
    Malformed(&'static str),
    /// The password is wrong, or nobody has this name.
    WrongPassword,
    /// The password is right, but another must take its place first.
    PasswordDue,
    /// A new password will not do.
    UnfitPassword(&'static str),
    /// The code or ceremony was not accepted.
    NotAccepted {
        /// The tenant's status for it.
        status: u16,
    },
    /// The code came too late.
    TooLate,
    /// The correlation has characters it may not have.
    BadCorrelation,
    /// Too many messages.
    TooManyMessages,
    /// The person has as many enrolments of this kind as may be, or has this one.
    TooManyEnrolments,
    /// Whether an enrolment was proved cannot be set.
    ValidatedIsFixed,
    /// The older API's word for a code that was not accepted.
    AttemptFailed,
    /// The factor is switched off in the tenant.
    SwitchedOff,
    /// It cannot be done with this input.
    Unusable(&'static str),
    /// Another request took the step first.
    Overtaken,
    /// Too much to do.
    Busy(u64),
    /// The server's own failure.
    Fault(Fault),
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "messageId")]
    id: &'a str,
    #[serde(rename = "messageDescription")]
    description: &'a str,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut retry = None;
        let (status, id, description) = match &self {
            Self::BadToken => {
                (StatusCode::UNAUTHORIZED, "CSIAK9999E", "The access token is missing, not valid or no longer valid.")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "CSIAK4300E", "The access token does not allow this operation."),
            Self::NotFound => (StatusCode::NOT_FOUND, "CSIAG0605E", "The resource was not found."),
            Self::NoVerification => (StatusCode::NOT_FOUND, "CSIBN0028E", "The verification was not found."),
            Self::Malformed(what) => (StatusCode::BAD_REQUEST, "CSIAG5401E", *what),
            Self::WrongPassword => {
                (StatusCode::BAD_REQUEST, "CSIBH0044E", "The user name or the password is not correct.")
            }
            Self::PasswordDue => {
                (StatusCode::BAD_REQUEST, "CSIAH0321E", "The password has expired. Set another one first.")
            }
            Self::UnfitPassword(what) => (StatusCode::BAD_REQUEST, "CSIBN9999E", *what),
            Self::NotAccepted { status } => (
                StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST),
                "CSIBN0021E",
                "The verification attempt was not accepted.",
            ),
            Self::TooLate => (StatusCode::BAD_REQUEST, "CSIBN0025E", "The code is not valid or has expired."),
            Self::BadCorrelation => {
                (StatusCode::BAD_REQUEST, "CSIBN0018E", "The correlation may hold only letters and digits.")
            }
            Self::TooManyMessages => {
                (StatusCode::BAD_REQUEST, "CSIBN0081E", "Too many messages were sent. Try again later.")
            }
            Self::TooManyEnrolments => (StatusCode::BAD_REQUEST, "CSIBN0019E", "The user is enrolled already."),
            Self::ValidatedIsFixed => {
                (StatusCode::BAD_REQUEST, "CSIBN0005E", "The member validated cannot be changed.")
            }
            Self::AttemptFailed => {
                (StatusCode::BAD_REQUEST, "CSIAH0619E", "The verification attempt was not accepted.")
            }
            Self::SwitchedOff => {
                (StatusCode::NOT_IMPLEMENTED, "CSIBN9998E", "The factor is not enabled for this tenant.")
            }
            Self::Unusable(what) => (StatusCode::BAD_REQUEST, "CSIBN9999E", *what),
            Self::Overtaken => {
                (StatusCode::CONFLICT, "CSIBN9997E", "Another request changed this sign-in first. Read it again.")
            }
            Self::Busy(seconds) => {
                retry = Some(*seconds);
                (StatusCode::SERVICE_UNAVAILABLE, "CSIAH9997E", "Too many sign-ins at once. Try again shortly.")
            }
            Self::Fault(fault) => {
                fault.log();
                retry = fault.unavailable.then_some(1);
                let (status, _) = reply::fault_status(fault);
                (status, "CSIAH9998E", "The server could not complete the request.")
            }
        };
        let mut response = reply::json(status, &Body { id, description });
        // RFC 6750 §3: whoever is refused for want of a token is told of which kind.
        if matches!(self, Self::BadToken) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        reply::retry_after(response, retry)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<NotEnrolled> for Refusal {
    fn from(not: NotEnrolled) -> Self {
        match not {
            NotEnrolled::Unusable(unusable) => Self::unusable(unusable),
            NotEnrolled::Limit => Self::TooManyEnrolments,
            NotEnrolled::NoSuchPerson => Self::Unusable("There is no such user."),
            NotEnrolled::NotAccepted(_) => Self::NotAccepted { status: 400 },
            NotEnrolled::Stale => Self::Overtaken,
            NotEnrolled::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl From<crate::keys::KeyError> for Refusal {
    fn from(error: crate::keys::KeyError) -> Self {
        Self::Fault(error.into())
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

impl Refusal {
    /// Spells what the driver says. `status` is the tenant's status of a wrong code.
    pub fn of(failure: Failure, status: u16) -> Self {
        match failure {
            Failure::NotNow(NotNow::NotAllowed { .. } | NotNow::OtherPerson) => Self::Forbidden,
            Failure::NotNow(NotNow::NoChallenge) => Self::NoVerification,
            Failure::NotNow(
                NotNow::Expired | NotNow::Closed | NotNow::WrongReceipt | NotNow::MustEnrol | NotNow::OutOfTurn,
            ) => Self::BadToken,
            Failure::Stale => Self::Overtaken,
            Failure::Wrong(cause) => Self::wrong(cause, status),
            Failure::Busy(busy) => Self::Busy(busy.retry_after),
            Failure::TooManyMessages => Self::TooManyMessages,
            Failure::Unusable(unusable) => Self::unusable(unusable),
            Failure::Fault(fault) => Self::Fault(fault),
        }
    }

    fn unusable(unusable: Unusable) -> Self {
        match unusable {
            Unusable::BadCorrelation => Self::BadCorrelation,
            Unusable::SwitchedOff => Self::SwitchedOff,
            Unusable::BadUserVerification => Self::Malformed("The member userVerification is not valid."),
            Unusable::BadAddress => Self::Unusable("The address is not valid."),
            Unusable::TooMuchToShow => Self::Malformed("There is too much to show on the phone."),
            Unusable::DomainNotAllowed => Self::Unusable("No codes are sent to this mail domain."),
            Unusable::NoAddress
            | Unusable::BadSecret
            | Unusable::BadSettings
            | Unusable::RelyingPartyOff
            | Unusable::NoMessage => Self::Unusable("It cannot be done with this input."),
        }
    }

    fn wrong(cause: Cause, status: u16) -> Self {
        match cause {
            Cause::WrongPassword => Self::WrongPassword,
            Cause::PasswordExpired | Cause::PasswordMustChange => Self::PasswordDue,
            Cause::Expired => Self::TooLate,
            Cause::NotPending => Self::NoVerification,
            Cause::Right
            | Cause::Resting
            | Cause::Inactive
            | Cause::WrongCode
            | Cause::NoTriesLeft
            | Cause::Replayed
            | Cause::Disabled
            | Cause::Unreadable
            | Cause::Malformed
            | Cause::UnknownCredential
            | Cause::ForeignCredential
            | Cause::WrongCeremony
            | Cause::WrongOrigin
            | Cause::NotPresent
            | Cause::NotVerified
            | Cause::BadSignature
            | Cause::CounterWentBack
            | Cause::BackupChanged
            | Cause::NotAccepted => Self::NotAccepted { status },
        }
    }
}
