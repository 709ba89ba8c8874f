//! Setting up a factor in the middle of a sign-in (reference §2.10), and what recovers an account (§2.12).
//!
//! Called by the dialogue of [`super::authenticate`]: [`offer`] where the engine asks for an enrolment, [`act`] for every operation at
//! that stage, [`recovery`] before the end.

use protocol::records::User;
use serde_json::Value;

use super::authenticate::step::{Members, Step, Stop};
use super::fault::Code;
use crate::signin::Flow;

/// The offer, or the next one once something was set up. The sign-in stands at `Stage::ExpectEnrolment` and is stored.
///
/// # Errors
/// Nothing can be set up here.
pub async fn offer(_step: &Step<'_>, _flow: Flow, _user: &User) -> Result<Members, Stop> {
    Err(Code::EnrolmentRequired.into())
}

/// `enrollment`, `credSubmit`, `resendCode` and `createToken` at that stage. `detail` is what [`offer`] put into the state.
///
/// # Errors
/// The operation is not offered.
pub async fn act(_step: &Step<'_>, _detail: &Value) -> Result<Members, Stop> {
    Err(Code::OpNotOffered.into())
}

/// The stage once more, for an answer that changed nothing.
///
/// # Errors
/// The sign-in is over.
pub async fn again(_step: &Step<'_>, _detail: &Value) -> Result<Members, Stop> {
    Ok(Members::new())
}

/// What recovers an account is offered, where it is due before a sign-in that is ready ends; otherwise the sign-in comes back.
///
/// # Errors
/// The server failed.
pub async fn recovery(_step: &Step<'_>, flow: Flow, _user: &User) -> Result<Result<Members, Flow>, Stop> {
    Ok(Err(flow))
}
