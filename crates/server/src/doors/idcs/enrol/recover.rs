//! What recovers an account, set up before a sign-in ends (reference §2.12): offered to whoever has nothing of the kind, and never
//! forced on anybody.

use engine::FactorKind;
use protocol::records::User;
use serde_json::{Value, json};

use super::detail::Detail;
use super::offer::{Place, mail_of, to_begin};
use super::{bound, no};
use crate::doors::idcs::authenticate::factor::Factor;
use crate::doors::idcs::authenticate::mask;
use crate::doors::idcs::authenticate::request::Op;
use crate::doors::idcs::authenticate::scene::clean;
use crate::doors::idcs::authenticate::state::Stage;
use crate::doors::idcs::authenticate::step::{Members, Step, Stop};
use crate::signin::Flow;
use crate::signin::enrol::may_add;
use crate::signin::enrolling::{Enrolling, Finished, Unkept};
use crate::signin::factors::otp;
use crate::signin::preferred::Preferred;
use crate::signin::rescue::{Means, Recovery};

/// What the state says of enrolments so far. Whoever goes on from the offer has passed it.
pub fn so_far(step: &Step<'_>) -> Detail {
    let Stage::Enrolment { detail, .. } = &step.state.stage else { return Detail::default() };
    let before = Detail::read(detail);
    let passed = before.passed || before.recovery && step.request.op == Op::CreateToken;
    Detail { passed, recovery: false, ..before.without() }
}

/// Whether the tenant wants something to recover accounts by, and this one has nothing.
///
/// # Errors
/// The store failed.
pub async fn due(step: &Step<'_>, flow: &Flow, user: &User) -> Result<bool, Stop> {
    if factors(step, flow, user).await?.is_empty() {
        return Ok(false);
    }
    Ok(step.sign_ins().recoveries(&user.id).await?.is_empty())
}

fn factor(means: Means) -> Factor {
    match means {
        Means::Sms => Factor::Sms,
        Means::Email => Factor::Email,
        Means::Questions => Factor::SecurityQuestions,
    }
}

fn means(factor: Factor) -> Option<Means> {
    Means::ALL.into_iter().find(|means| self::factor(*means) == factor)
}

/// What may be set up: what the tenant wants, and this server can prove. Nothing while the person has factors and proved none of them:
/// answers become one of them, and who has the password alone must not choose where the next one is sent.
///
/// # Errors
/// The store failed.
pub async fn factors(step: &Step<'_>, flow: &Flow, user: &User) -> Result<Vec<Factor>, Stop> {
    let wanted = wanted(step);
    if wanted.is_empty() {
        return Ok(wanted);
    }
    let proved: Vec<FactorKind> = flow.stored.state.proofs.iter().map(|proof| proof.kind).collect();
    let enrolled = step.sign_ins().enrolments_of(&user.id).await?;
    Ok(if may_add(&proved, &enrolled) { wanted } else { Vec::new() })
}

fn wanted(step: &Step<'_>) -> Vec<Factor> {
    let settings = &step.call.tenant.tenant.settings;
    let can = |means: &Means| match means.kind() {
        Some(kind) => {
            let leaves = otp::channel_of(kind.as_str()).is_some_and(|channel| step.app.delivery.supports(channel));
            leaves && step.call.tenant.offered.contains(&kind)
        }
        None => settings.questions.enabled,
    };
    let wanted = |means: &Means| settings.oracle.account_recovery.contains(means.as_str());
    Means::ALL.into_iter().filter(|means| wanted(means) && can(means)).map(factor).collect()
}

/// ACCOUNT RECOVERY OFFER.
///
/// # Errors
/// The state could not be written.
pub async fn offer(step: &Step<'_>, place: &Place) -> Result<Members, Stop> {
    let mut body = Members::new();
    body.insert("status".to_owned(), "success".into());
    let has = step.sign_ins().recoveries(&place.user.id).await?;
    let mut left = factors(step, &place.flow, &place.user).await?;
    left.retain(|one| !has.iter().any(|known| factor(known.means) == *one));
    body.insert("accRecEnrollmentRequired".to_owned(), json!(has.is_empty()));
    let names: Vec<&str> = left.iter().map(|factor| factor.as_str()).collect();
    body.insert("nextAuthFactors".to_owned(), json!(names));
    for one in &left {
        match one {
            Factor::Sms => {
                body.insert(one.as_str().to_owned(), json!({ "credentials": to_begin(Factor::Sms) }));
            }
            Factor::Email => {
                let verified = place.user.attributes.get("email_verified").and_then(|all| all.first());
                body.insert(
                    one.as_str().to_owned(),
                    json!({
                        "userAllowedToSetRecoveryEmail": "true",
                        "primaryEmailVerified": (verified.map(String::as_str) == Some("true")).to_string(),
                        "primaryEmail": mail_of(&place.user).map(clean),
                        "credentials": ["recoveryEmail"],
                    }),
                );
            }
            _ => {}
        }
    }
    body.insert("nextOp".to_owned(), json!(["createToken", "createSession", "enrollment"]));
    place.common(step, &mut body, place.detail.without())?;
    Ok(body)
}

/// A stage of what recovers an account says so, and that it is no factor.
///
/// # Errors
/// Those of the stage.
pub fn marked(place: &Place, stage: Result<Members, Stop>) -> Result<Members, Stop> {
    if !place.detail.recovery {
        return stage;
    }
    let mark = |body: &mut Members| {
        body.remove("mfaSettings");
        body.insert("accRecEnrollmentRequired".to_owned(), json!(true));
        if let Some(Value::Array(all)) = body.get_mut("nextOp")
            && all.first().is_some_and(|first| first == "credSubmit")
        {
            all.retain(|op| op != "createToken" && op != "createSession");
        }
    };
    match stage {
        Ok(mut body) => {
            mark(&mut body);
            Ok(body)
        }
        Err(Stop::Failed(mut failed)) => {
            if failed.1.contains_key("nextOp") {
                mark(&mut failed.1);
            }
            Err(Stop::Failed(failed))
        }
        Err(other) => Err(other),
    }
}

/// It is set up.
///
/// # Errors
/// Somebody was first; the store failed.
pub async fn finished(
    step: &Step<'_>,
    place: Place,
    one: &Enrolling,
    factor: Factor,
    finished: Option<Finished>,
    changes: Unkept,
) -> Result<Members, Stop> {
    let Some(means) = means(factor) else { return offer(step, &place).await };
    let recovery = Recovery { means, to: one.address().map(str::to_owned), grant: Some(place.flow.id.clone()) };
    let mut all = changes;
    all.extend(finished.into_iter().flat_map(|finished| finished.changes));
    let kept = step.sign_ins().set_recovery(&place.user.id, &recovery, all).await;
    kept.map_err(|not| no(not.into(), factor))?;
    let mut body = Members::new();
    body.insert("status".to_owned(), "success".into());
    body.insert("accRecEnrollmentRequired".to_owned(), json!(false));
    body.insert("nextOp".to_owned(), json!(["createToken", "createSession", "enrollment"]));
    let name = match factor {
        Factor::Sms => one.address().map(mask::phone),
        _ => one.address().map(mask::mail),
    };
    if let Some(name) = name {
        body.insert("displayName".to_owned(), name.into());
    }
    place.common(step, &mut body, place.detail.without())?;
    Ok(body)
}

/// What was proved in this very sign-in to recover the account may be taken for a factor, without another code.
fn reusable(place: &Place, all: Vec<Recovery>) -> Vec<(Factor, String)> {
    let fresh = all.into_iter().filter(|one| one.grant.as_ref() == Some(&place.flow.id));
    fresh
        .filter_map(|one| Some((factor(one.means), one.to?)))
        .filter(|(factor, _)| place.factors.contains(factor))
        .collect()
}

/// `EnrolledAccountRecoveryFactorsDetails`, where there is something in it.
///
/// # Errors
/// The store failed.
pub async fn add_reusable(step: &Step<'_>, place: &Place, body: &mut Members) -> Result<(), Stop> {
    let all = reusable(place, step.sign_ins().recoveries(&place.user.id).await?);
    if all.is_empty() {
        return Ok(());
    }
    let mut details = Members::new();
    for (factor, to) in &all {
        let device = match factor {
            Factor::Sms => json!({ "deviceId": "recovery", "displayName": mask::phone(to) }),
            _ => json!({ "displayName": clean(to) }),
        };
        let object = json!({ "credentials": ["accountRecoveryFactor"], "enrolledDevices": [device] });
        details.insert(factor.as_str().to_owned(), object);
    }
    let names: Vec<&str> = all.iter().map(|(factor, _)| factor.as_str()).collect();
    details.insert("enrolledAccRecFactorsList".to_owned(), json!(names));
    body.insert("EnrolledAccountRecoveryFactorsDetails".to_owned(), Value::Object(details));
    Ok(())
}

/// `enrollment` with `accountRecoveryFactor`: enrolled at once. None where that was not asked for, or where what recovers the account was
/// proved some other time: then it takes a code like anything else.
///
/// # Errors
/// The server failed.
pub async fn reuse(step: &Step<'_>, place: &Place, factor: Factor) -> Result<Option<Members>, Stop> {
    if place.detail.recovery || !step.request.credentials.flag("accountRecoveryFactor")?.unwrap_or(false) {
        return Ok(None);
    }
    let sign_ins = step.sign_ins();
    let all = reusable(place, sign_ins.recoveries(&place.user.id).await?);
    let Some((_, to)) = all.into_iter().find(|(known, _)| *known == factor) else { return Ok(None) };
    let Some(kind) = means(factor).and_then(Means::kind) else { return Ok(None) };
    let bound = bound(&place.flow.id, false);
    let one = sign_ins.enrolling_address(&place.user.id, &bound, kind, &to).await.map_err(|not| no(not, factor))?;
    let done = sign_ins.vouch_for_enrolling(&one).await.map_err(|not| no(not, factor))?;
    let preferred = Preferred { kind: done.kind, enrolment: Some(done.enrolment.0.clone()) };
    let flow = sign_ins.enrolled(place.flow.clone(), done.kind, &done.enrolment, false, done.changes).await;
    let flow = flow.map_err(|failure| Stop::of(failure, factor))?;
    if sign_ins.preferred(&place.user.id).await?.is_none() {
        sign_ins.prefer(&place.user.id, &preferred).await?;
    }
    let mut after = Place::of(step, flow, place.user.clone(), place.detail.clone()).await?;
    after.required = false;
    let name = if factor == Factor::Sms { mask::phone(&to) } else { clean(&to) };
    after.enrolled(step, Some(name)).map(Some)
}
