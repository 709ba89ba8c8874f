//! Somebody who stayed signed in (reference §2.15): their token stands for the factor that began; what policy asks for besides is asked.

use protocol::records::GrantId;
use serde_json::Value;

use super::factor::Factor;
use super::state::State;
use super::step::{Members, Step, Stop};
use super::{after, start};
use crate::doors::idcs::fault::Code;
use crate::oauth::grants::entitled;
use crate::secret::Secret;
use crate::signin::{Begin, applied};

/// A sign-in by the token of somebody who stayed signed in.
///
/// # Errors
/// The token is good for nothing: a name and a password are asked for.
pub async fn submit(step: &Step<'_>, token: &Secret<String>) -> Result<Members, Stop> {
    let stayed = step.sign_ins().stayed(token.expose(), &step.application.id).await?;
    let stayed = stayed.filter(|stayed| entitled(step.application, &stayed.user));
    let Some(stayed) = stayed else { return Err(Stop::from(Code::BadToken).with(start::again(step).await?)) };
    let policy = step.governing()?;
    let after = applied::for_stage(&step.call.tenant, &policy, None);
    let facts = after::facts(step, &stayed.user).await?;
    let begin = Begin {
        client: start::runner(step),
        grant: GrantId(step.app.world.ordered_uuid()),
        policy: Some(&policy),
        after: Some(after),
        facts: &facts,
        prior: Some(stayed.prior()),
        resume: start::resume(step),
    };
    let next = step.sign_ins().begin(begin).await.map_err(|failure| Stop::of(failure, Factor::Kmsi))?;
    // Whatever the sign-in comes to, this token takes the place of the one that came.
    let state = State { stayed: Some(stayed.token.expose().clone()), ..step.state.clone() };
    let step = Step { state: &state, ..*step };
    let mut body = after::next(&step, next, &stayed.user).await?;
    body.insert("kmsiToken".to_owned(), Value::from(stayed.token.expose().as_str()));
    Ok(body)
}
