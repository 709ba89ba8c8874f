//! Setting up a factor in the middle of a sign-in (reference §2.10), and what recovers an account (§2.12).
//!
//! Called by the dialogue of [`super::authenticate`]: [`offer`] where the engine asks for an enrolment, [`act`] for every operation at
//! that stage, [`recovery`] before the end. The ceremonies are those of every door ([`crate::signin::enrolling`]).

use engine::Stage as Stands;
use protocol::records::{GrantId, User};
use serde_json::{Value, json};

use super::authenticate::after;
use super::authenticate::challenge::relying_party;
use super::authenticate::factor::Factor;
use super::authenticate::mask;
use super::authenticate::request::Op;
use super::authenticate::step::{Members, Step, Stop};
use super::fault::{Code, Failed};
use crate::signin::applied;
use crate::signin::enrol::NotEnrolled;
use crate::signin::enrolling::{Enrolling, Evidence, NotDone};
use crate::signin::factors::{Cause, Unusable};
use crate::signin::preferred::Preferred;
use crate::signin::{Failure, Flow};

mod detail;
mod offer;
pub mod picture;
pub mod questions;
mod recover;
pub mod start;

use detail::Detail;
use offer::Place;

pub use offer::mail_of;

/// Where an enrolment of this sign-in is kept: it is finished where it was begun.
fn bound(grant: &GrantId, recovery: bool) -> String {
    format!("{}:{grant}", if recovery { "recovery" } else { "sign-in" })
}

/// Why an enrolment was not begun or finished.
pub fn no(not: NotDone, factor: Factor) -> Stop {
    let code = match not {
        NotDone::Failure(failure) => return Stop::of(failure, factor),
        NotDone::Not(NotEnrolled::Fault(fault)) => return Stop::Fault(fault),
        NotDone::Not(NotEnrolled::Unusable(unusable @ Unusable::SwitchedOff)) => {
            return Stop::of(Failure::Unusable(unusable), factor);
        }
        NotDone::Not(NotEnrolled::Unusable(Unusable::BadAddress)) if factor != Factor::Email => Code::BadNumber,
        NotDone::Not(NotEnrolled::Unusable(_)) => Code::NotStarted,
        NotDone::Not(NotEnrolled::Limit) => Code::TooManyMethods,
        NotDone::Not(NotEnrolled::NoSuchPerson) => Code::NotEntitled,
        NotDone::Not(NotEnrolled::NotAccepted(cause)) => return Stop::of(Failure::Wrong(cause), factor),
        NotDone::Not(NotEnrolled::Stale) => Code::UseBackup,
    };
    code.into()
}

/// The offer, or the next one once something was set up. The sign-in stands at `Stage::ExpectEnrolment` and is stored.
///
/// # Errors
/// Nothing can be set up here.
pub async fn offer(step: &Step<'_>, flow: Flow, user: &User) -> Result<Members, Stop> {
    let mut detail = recover::so_far(step);
    if !detail.passed && recover::due(step, &flow, user).await? {
        detail.recovery = true;
        let place = Place::of(step, flow, user.clone(), detail).await?;
        return recover::offer(step, &place).await;
    }
    detail.recovery = false;
    let place = Place::of(step, flow, user.clone(), detail).await?;
    if place.factors.is_empty() && place.required {
        tracing::warn!(user = %user.id, "a factor must be set up, and none can be here");
        return Err(Code::EnrolmentRequired.into());
    }
    let mut body = place.offer(step)?;
    recover::add_reusable(step, &place, &mut body).await?;
    Ok(body)
}

/// `enrollment`, `credSubmit`, `resendCode` and `createToken` at that stage. `detail` is what [`offer`] put into the state.
///
/// # Errors
/// The operation does not fit, or what was sent is wrong.
pub async fn act(step: &Step<'_>, detail: &Value) -> Result<Members, Stop> {
    let detail = Detail::read(detail);
    let flow = step.flow().await?;
    let waits = match &flow.stored.state.stage {
        Stands::ExpectEnrolment { .. } => true,
        // Only what recovers an account is set up once a sign-in is ready.
        Stands::Ready => detail.recovery,
        Stands::ExpectFactor(_)
        | Stands::Issuing { .. }
        | Stands::ExpectResponse { .. }
        | Stands::Checking { .. }
        | Stands::Proven { .. }
        | Stands::Closed(_) => false,
    };
    if !waits {
        return match after::at_hand(step, flow).await? {
            Ok(body) => Ok(body),
            Err(_) => Err(Code::SessionGone.into()),
        };
    }
    let user = after::person(step, &flow).await?;
    let mut place = Place::of(step, flow, user, detail).await?;
    if place.detail.recovery {
        place.factors = recover::factors(step, &place.flow, &place.user).await?;
        place.required = false;
    }
    match (step.request.op, step.request.factor) {
        (Op::Enrollment, Some(factor)) => match recover::reuse(step, &place, factor).await? {
            Some(body) => Ok(body),
            None => recover::marked(&place, start::start(step, &place, factor).await),
        },
        (Op::Enrollment, None) => more(step, place).await,
        (Op::CreateToken, _) => go_on(step, place).await,
        (Op::ResendCode, _) => resend(step, place).await,
        (Op::CredSubmit, _) => submit(step, place).await,
        (Op::GetBackupFactors | Op::AcceptTou | Op::SocialRegister, _) => {
            Err(Stop::from(Code::OpNotOffered).with(told(step, &place).await?))
        }
    }
}

/// The stage once more, for an answer that changed nothing.
///
/// # Errors
/// The sign-in is over.
pub async fn again(step: &Step<'_>, detail: &Value) -> Result<Members, Stop> {
    let flow = step.flow().await?;
    let user = after::person(step, &flow).await?;
    let mut place = Place::of(step, flow, user, Detail::read(detail)).await?;
    if place.detail.recovery {
        place.factors = recover::factors(step, &place.flow, &place.user).await?;
        place.required = false;
    }
    let mut body = told(step, &place).await?;
    body.remove("status");
    Ok(body)
}

/// What recovers an account is offered, where it is due before a sign-in that is ready ends; otherwise the sign-in comes back.
///
/// # Errors
/// The server failed.
pub async fn recovery(step: &Step<'_>, flow: Flow, user: &User) -> Result<Result<Members, Flow>, Stop> {
    let mut detail = recover::so_far(step);
    if detail.passed || !recover::due(step, &flow, user).await? {
        return Ok(Err(flow));
    }
    let flow = step.sign_ins().hold(flow).await.map_err(|failure| Stop::of(failure, Factor::UsernamePassword))?;
    detail.recovery = true;
    let place = Place::of(step, flow, user.clone(), detail).await?;
    recover::offer(step, &place).await.map(Ok)
}

/// `enrollment` without a factor: what else there is. Whatever was under way is given up.
async fn more(step: &Step<'_>, place: Place) -> Result<Members, Stop> {
    let given_up = step.sign_ins().abandon_enrolling(&bound(&place.flow.id, place.detail.recovery)).await;
    given_up.map_err(|not| no(not, Factor::Totp))?;
    if place.detail.recovery {
        return recover::offer(step, &place).await;
    }
    let mut body = place.offer(step)?;
    recover::add_reusable(step, &place, &mut body).await?;
    Ok(body)
}

/// `createToken`: done with it, or never meant to.
async fn go_on(step: &Step<'_>, place: Place) -> Result<Members, Stop> {
    if place.detail.recovery {
        // What was put off is not put before the person twice.
        if matches!(place.flow.stored.state.stage, Stands::ExpectEnrolment { .. }) {
            let detail = Detail { recovery: false, passed: true, ..place.detail.without() };
            let place = Place::of(step, place.flow, place.user, detail).await?;
            let mut body = place.offer(step)?;
            recover::add_reusable(step, &place, &mut body).await?;
            return Ok(body);
        }
        return super::authenticate::ready(step, place.flow, &place.user).await;
    }
    let policy = after::pinned(step, &place.flow).await?;
    let policy = policy.as_ref().map(|policy| applied::for_stage(&step.call.tenant, policy, None));
    let facts = after::facts(step, &place.user).await?;
    match step.sign_ins().end_enrolment(place.flow.clone(), policy, &facts).await {
        Ok(next) => after::next(step, next, &place.user).await,
        Err(failure) => Err(Stop::of(failure, Factor::Totp).with(told(step, &place).await?)),
    }
}

/// What is under way, by what the state says.
async fn under_way(step: &Step<'_>, place: &Place) -> Result<Option<(Enrolling, Factor)>, Stop> {
    let (Some(id), Some(factor)) = (&place.detail.under_way, &place.detail.factor) else { return Ok(None) };
    let found = step.sign_ins().enrolling(&bound(&place.flow.id, place.detail.recovery), id).await?;
    Ok(found.filter(|one| one.user == place.user.id).zip(Factor::parse(factor)))
}

/// The stage as it stands.
async fn told(step: &Step<'_>, place: &Place) -> Result<Members, Stop> {
    match under_way(step, place).await? {
        Some((one, factor)) => recover::marked(place, pending(step, place, &one, factor, None)),
        None if place.detail.recovery => recover::offer(step, place).await,
        None => place.offer(step),
    }
}

/// The stage of what is under way. What was shown once (a picture, the options of a passkey) is not shown again.
fn pending(
    step: &Step<'_>,
    place: &Place,
    one: &Enrolling,
    factor: Factor,
    object: Option<Value>,
) -> Result<Members, Stop> {
    let object = object.or_else(|| match factor {
        Factor::SecurityQuestions => Some(questions::shown(&step.call.tenant.tenant.settings.questions)),
        Factor::Push => None,
        factor => Some(json!({ "credentials": factor.credentials() })),
    });
    let mut body = place.pending(step, &place.detail, factor, object)?;
    if let Some(name) = name_of(one, factor, true) {
        body.insert("displayName".to_owned(), name.into());
    }
    Ok(body)
}

/// What an enrolment is called. Mail is shown in clear to whoever is setting it up.
fn name_of(one: &Enrolling, factor: Factor, clear: bool) -> Option<String> {
    match factor {
        Factor::Email if clear => one.address().map(str::to_owned),
        Factor::Email => one.address().map(mask::mail),
        Factor::Sms | Factor::PhoneCall => one.address().map(mask::phone),
        _ => one.name().map(str::to_owned),
    }
}

/// `resendCode`.
async fn resend(step: &Step<'_>, place: Place) -> Result<Members, Stop> {
    let Some((one, factor)) = under_way(step, &place).await?.filter(|(_, factor)| factor.is_sent()) else {
        let text = "The operation resendCode is not offered here.";
        return Err(Stop::from(Failed::saying(Code::OpNotOffered, text)).with(told(step, &place).await?));
    };
    match start::send(step, &one, factor).await {
        Ok((one, otp)) => {
            let mut body = pending(step, &place, &one, factor, None)?;
            if let Some(otp) = otp {
                body.insert("otp".to_owned(), otp);
            }
            recover::marked(&place, Ok(body))
        }
        Err(stop) => Err(stop.with(told(step, &place).await?)),
    }
}

/// `credSubmit`: what was begun is proved, or asked after.
async fn submit(step: &Step<'_>, mut place: Place) -> Result<Members, Stop> {
    let Some((one, factor)) = under_way(step, &place).await? else {
        let text = "Nothing is being set up; begin with enrollment.";
        return Err(Stop::from(Failed::saying(Code::OpNotOffered, text)).with(told(step, &place).await?));
    };
    let here = async |stop: Stop| -> Stop {
        match told(step, &place).await {
            Ok(stage) => stop.with(stage),
            Err(_) => stop,
        }
    };
    let gone = place.detail.recovery && !place.factors.contains(&factor);
    if gone || step.request.factor.is_some_and(|named| named != factor) {
        return Err(here(Code::FactorNotOffered.into()).await);
    }
    if let (true, Some(_)) = (place.detail.recovery && factor.is_sent(), one.address()) {
        let code = match step.request.credentials.code("otpCode")? {
            Some(code) => code,
            None => return Err(here(Failed::incomplete("The credential otpCode is missing.").into()).await),
        };
        return match step.sign_ins().finish_unkept(&one, &code).await {
            Ok(changes) => recover::finished(step, place, &one, factor, None, changes).await,
            Err(not) => Err(here(no(not, factor)).await),
        };
    }
    let finished = match prove(step, &one, factor).await {
        Ok(Some(finished)) => finished,
        Ok(None) => return waiting(step, &place, &one, factor),
        Err(stop) => return Err(here(stop).await),
    };
    let name = name_of(&one, factor, factor == Factor::Email);
    if place.detail.recovery {
        return recover::finished(step, place, &one, factor, Some(finished), Vec::new()).await;
    }
    let preferred = Preferred { kind: finished.kind, enrolment: Some(finished.enrolment.0.clone()) };
    let (kind, id, verified) = (finished.kind, finished.enrolment, finished.user_verified);
    let sign_ins = step.sign_ins();
    let wanted = step.request.credentials.preferred()?;
    place.flow = match sign_ins.enrolled(place.flow.clone(), kind, &id, verified, finished.changes).await {
        Ok(flow) => flow,
        Err(failure) => return Err(here(Stop::of(failure, factor)).await),
    };
    // The first one is what the person is asked for from now on.
    if wanted || sign_ins.preferred(&place.user.id).await?.is_none() {
        sign_ins.prefer(&place.user.id, &preferred).await?;
    }
    place.required = false;
    place.enrolled(step, name)
}

/// A phone that has not registered yet.
fn waiting(step: &Step<'_>, place: &Place, one: &Enrolling, factor: Factor) -> Result<Members, Stop> {
    let code = if factor == Factor::Push { Code::PushPending } else { Code::EnrolmentPending };
    let mut body = pending(step, place, one, factor, None)?;
    body.insert("status".to_owned(), "pending".into());
    body.insert("cause".to_owned(), json!([{ "code": code.as_str(), "message": code.text() }]));
    Ok(body)
}

/// The proof, read and judged.
async fn prove(
    step: &Step<'_>,
    one: &Enrolling,
    factor: Factor,
) -> Result<Option<crate::signin::enrolling::Finished>, Stop> {
    let sent = &step.request.credentials;
    let missing = |name: &str| Stop::from(Failed::incomplete(format!("The credential {name} is missing.")));
    let given;
    let response;
    let evidence = match factor {
        Factor::SecurityQuestions => {
            given = questions::read(&step.call.tenant.tenant.settings.questions, sent.value("questions"))?;
            Evidence::Answers { answers: &given.answers, hints: &given.hints }
        }
        Factor::Fido => {
            response = sent.assertion()?.ok_or_else(|| missing("fidoAssertion"))?;
            let party = relying_party(step).ok_or(Code::FactorNotEnabled)?;
            Evidence::Passkey { party, response: &response }
        }
        Factor::Push => Evidence::Nothing,
        _ => match sent.code("otpCode")? {
            Some(code) => Evidence::Code(code),
            None if one.waits_for_a_phone() => Evidence::Nothing,
            None => return Err(missing("otpCode")),
        },
    };
    let judged = step.sign_ins().finish_enrolling(one, evidence).await;
    judged.map_err(|not| match not {
        // Of answers that cannot be kept the person has been told above; the rest is one to another's liking.
        NotDone::Not(NotEnrolled::Unusable(Unusable::BadSettings)) if factor == Factor::SecurityQuestions => {
            Code::SameAnswer.into()
        }
        NotDone::Failure(Failure::Wrong(Cause::NoTriesLeft | Cause::Expired | Cause::NotPending)) => {
            Code::WrongPasscode.into()
        }
        not => no(not, factor),
    })
}
