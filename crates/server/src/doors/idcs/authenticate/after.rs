//! What follows from a proof: policy is asked with what is known now, and its answer becomes the next stage.

use std::sync::Arc;

use engine::facts::Facts;
use engine::policy::Policy;
use engine::{Refusal, Stage};
use protocol::records::{User, UserId};

use super::factor::Factor;
use super::step::{Members, Step, Stop, refusal};
use super::{challenge, finish};
use crate::browser::policy;
use crate::doors::idcs::enrol;
use crate::doors::idcs::fault::Code;
use crate::fault::Fault;
use crate::oauth::grants::entitled;
use crate::signin::applied;
use crate::signin::driver::Proved;
use crate::signin::{Flow, Next};

/// A factor was proved.
///
/// # Errors
/// The person may not go on; the server failed.
pub async fn proved(step: &Step<'_>, proved: Proved) -> Result<Members, Stop> {
    let Proved { flow, subject, receipt, user, .. } = proved;
    go_on(step, flow, &subject, &receipt, user).await
}

/// The proof at hand of a sign-in that was interrupted after it, or what else it stands at that no factor answers.
///
/// # Errors
/// See [`proved`]; the flow is given back where a factor is asked for.
pub async fn at_hand(step: &Step<'_>, flow: Flow) -> Result<Result<Members, Flow>, Stop> {
    match flow.stored.state.stage.clone() {
        Stage::Proven { subject, receipt, .. } => go_on(step, flow, &UserId(subject), &receipt, None).await.map(Ok),
        Stage::Ready => {
            let user = person(step, &flow).await?;
            finish::ready(step, flow, &user).await.map(Ok)
        }
        Stage::ExpectEnrolment { .. } => {
            let user = person(step, &flow).await?;
            enrol::offer(step, flow, &user).await.map(Ok)
        }
        Stage::ExpectFactor(_)
        | Stage::Issuing { .. }
        | Stage::ExpectResponse { .. }
        | Stage::Checking { .. }
        | Stage::Closed(_) => Ok(Err(flow)),
    }
}

/// The person of a sign-in, as they are now.
///
/// # Errors
/// They may not sign in any more; the store failed.
pub async fn person(step: &Step<'_>, flow: &Flow) -> Result<User, Stop> {
    let subject = flow.stored.state.subject.as_deref().map(UserId::from);
    let subject = subject.ok_or_else(|| Fault::stored("a sign-in names nobody"))?;
    let user = step.sign_ins().person(&subject).await?.filter(|user| may_sign_in(step, flow, user));
    user.ok_or_else(|| Code::NotEntitled.into())
}

fn may_sign_in(step: &Step<'_>, flow: &Flow, user: &User) -> bool {
    flow.speaks_for(user) && entitled(step.application, user)
}

async fn go_on(
    step: &Step<'_>,
    flow: Flow,
    subject: &UserId,
    receipt: &str,
    user: Option<User>,
) -> Result<Members, Stop> {
    let sign_ins = step.sign_ins();
    let user = match user {
        Some(user) => Some(user),
        None => sign_ins.person(subject).await?,
    };
    let Some(user) = user.filter(|user| may_sign_in(step, &flow, user)) else {
        let refused = sign_ins.refuse(flow, Refusal::NotEntitled).await;
        return match refused.map_err(|failure| Stop::of(failure, Factor::UsernamePassword))? {
            Next::Refused { refusal: why, reference } => Err(refusal(why, &reference).into()),
            Next::Challenge { .. } | Next::Enrol { .. } | Next::Ready(_) => Err(Code::NotEntitled.into()),
        };
    };
    let policy = pinned(step, &flow).await?;
    let after = policy.as_ref().map(|policy| applied::for_stage(&step.call.tenant, policy, None));
    let facts = facts(step, &user).await?;
    let next = sign_ins.proceed(flow, receipt, after, &facts).await;
    self::next(step, next.map_err(|failure| Stop::of(failure, Factor::UsernamePassword))?, &user).await
}

/// The policy a sign-in began with and keeps.
///
/// # Errors
/// It is gone, or the store failed.
pub async fn pinned(step: &Step<'_>, flow: &Flow) -> Result<Option<Arc<Policy>>, Fault> {
    match flow.stored.state.policy {
        Some(reference) => policy::pinned(step.app, step.call, reference).await.map(Some),
        None => Ok(None),
    }
}

/// What policy is asked with once the person is known, with what their device was trusted for.
///
/// # Errors
/// The store failed.
pub async fn facts(step: &Step<'_>, user: &User) -> Result<Facts, Fault> {
    let mut facts = step.facts(Some(user));
    let presented: Vec<&str> = step.request.device.iter().chain(&step.state.devices).map(String::as_str).collect();
    let device = step.sign_ins().trusted_device(presented, user, &step.application.id).await?;
    facts.remembered = device.map(|device| device.remembered()).into();
    Ok(facts)
}

/// The next stage.
///
/// # Errors
/// The sign-in is refused; the server failed.
pub async fn next(step: &Step<'_>, next: Next, user: &User) -> Result<Members, Stop> {
    match next {
        Next::Ready(flow) => finish::ready(step, flow, user).await,
        Next::Challenge { flow, .. } => challenge::propose(step, flow, user).await,
        Next::Enrol { flow, .. } => enrol::offer(step, flow, user).await,
        Next::Refused { refusal: why, reference } => Err(refusal(why, &reference).into()),
    }
}
