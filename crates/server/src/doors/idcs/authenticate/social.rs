//! Somebody whom another provider vouches for and who is nobody here registers at the sign-in page (reference §2.16). What the provider
//! said is kept by [`crate::signin::upstream`]; what the page sends chooses a name and nothing that was vouched for.

use serde_json::json;

use super::after;
use super::factor::Factor;
use super::state::Stage;
use super::step::{Members, Step, Stop, members};
use crate::doors::idcs::fault::{Code, Failed};
use crate::signin::Failure;
use crate::signin::factors::Cause;
use crate::signin::upstream::{Chosen, NotFrom};

/// The stage once more.
pub fn again(step: &Step<'_>) -> Members {
    let stage = match &step.state.stage {
        Stage::Newcomer { grant } => Stage::Newcomer { grant: grant.clone() },
        Stage::Start | Stage::Factor { .. } | Stage::Enrolment { .. } | Stage::Terms { .. } => return Members::new(),
    };
    members(json!({ "nextOp": ["socialRegister"], "requestState": step.next(stage) }))
}

/// `socialRegister`. What stands in it beside the names is not taken over: an address counts only where the provider verified it.
///
/// # Errors
/// What was sent does not do, or came too late.
pub async fn register(step: &Step<'_>) -> Result<Members, Stop> {
    let flow = match after::at_hand(step, step.flow().await?).await? {
        Ok(body) => return Ok(body),
        Err(flow) => flow,
    };
    let here = |failed: Failed| Stop::from(failed).with(again(step));
    let username = step.request.said("userName")?;
    let username = username.ok_or_else(|| here(Failed::incomplete("The attribute userName is missing.")))?;
    let (given_name, family_name) = (step.request.said("givenName")?, step.request.said("familyName")?);
    let sign_ins = step.sign_ins();
    sign_ins.pace("registered", step.call.peer).await.map_err(|failure| match failure {
        Failure::TooManyMessages => here(Code::UseBackup.into()),
        other => Stop::of(other, Factor::Idp),
    })?;
    let chosen = Chosen { username: &username, given_name: given_name.as_deref(), family_name: family_name.as_deref() };
    match sign_ins.register_newcomer(flow, chosen).await {
        Ok(proved) => after::proved(step, proved).await,
        Err(NotFrom::NameTaken) => Err(here(Failed::invalid("The user name is taken."))),
        Err(NotFrom::Failure(Failure::Wrong(Cause::Malformed))) => {
            Err(here(Failed::invalid("The user name cannot be chosen.")))
        }
        Err(NotFrom::Failure(failure @ (Failure::Busy(_) | Failure::Fault(_)))) => Err(Stop::of(failure, Factor::Idp)),
        Err(NotFrom::Failure(Failure::Stale)) => Err(here(Code::UseBackup.into())),
        Err(
            NotFrom::NoProvider
            | NotFrom::Declined
            | NotFrom::NotBelieved
            | NotFrom::Nobody
            | NotFrom::Newcomer(_)
            | NotFrom::Failure(_),
        ) => Err(Code::SessionGone.into()),
    }
}
