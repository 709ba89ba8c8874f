//! A name and a password.

use engine::FactorKind;
use protocol::records::GrantId;
use serde_json::Value;

use super::factor::Factor;
use super::step::{Members, Step, Stop, refusal};
use super::{after, start};
use crate::doors::idcs::fault::{Code, Failed};
use crate::secret::Secret;
use crate::signin::factors::Cause;
use crate::signin::{Begin, Failure, Next, Submission};

/// Judges a password at the first stage. Nothing is stored before the answer is charged.
///
/// # Errors
/// It is wrong, must be changed, or is not asked for.
pub async fn submit(step: &Step<'_>, username: &str, password: Secret<String>) -> Result<Members, Stop> {
    let policy = step.governing()?;
    let facts = step.facts(None);
    let begin = Begin {
        client: start::runner(step),
        grant: GrantId(step.app.world.ordered_uuid()),
        policy: Some(&policy),
        after: None,
        facts: &facts,
        prior: None,
        resume: start::resume(step),
    };
    let sign_ins = step.sign_ins();
    let next =
        sign_ins.begin_with_answer(begin).await.map_err(|failure| Stop::of(failure, Factor::UsernamePassword))?;
    let flow = match next {
        Next::Challenge { flow, any_of, .. } if any_of.contains(&FactorKind::Password) => flow,
        Next::Challenge { .. } => {
            let text = "The factor is not supported here; supported: USERNAME.";
            return Err(Stop::from(Failed::saying(Code::FactorNotOffered, text)).with(start::again(step).await?));
        }
        Next::Refused { refusal: why, reference } => return Err(refusal(why, &reference).into()),
        Next::Ready(_) | Next::Enrol { .. } => return Err(Code::DeniedByPolicy.into()),
    };
    let source = step.source(username).await?;
    match sign_ins.submit(flow, Submission::Password { source, username, password }).await {
        Ok(proved) => after::proved(step, proved).await,
        Err(Failure::Wrong(cause @ (Cause::PasswordExpired | Cause::PasswordMustChange))) => {
            Err(due(step, username, cause).await?)
        }
        Err(failure) => {
            let stop = Stop::of(failure, Factor::UsernamePassword);
            Err(stop.with(start::again(step).await?))
        }
    }
}

/// The password was right but must be changed: whose it is is told, for the call that changes it. The same state is good for the new one.
///
/// # Errors
/// The store failed.
pub async fn due(step: &Step<'_>, username: &str, cause: Cause) -> Result<Stop, Stop> {
    let source = step.source(username).await?;
    let user = step.sign_ins().by_login(source, username).await?;
    let mut again = start::again(step).await?;
    if let Some(user) = user {
        again.insert("userId".to_owned(), Value::from(user.id.0));
    }
    Ok(Stop::of(Failure::Wrong(cause), Factor::UsernamePassword).with(again))
}
