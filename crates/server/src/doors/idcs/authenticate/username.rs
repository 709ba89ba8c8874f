//! A name alone begins (reference §2.6): policy and the person's wish say which factor follows, and it is begun at once.
//!
//! Whoever is not known here, or has nothing to prove it with, sees what somebody else would see.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::FactorKind;
use protocol::records::GrantId;

use super::challenge::{self, Shown, fido_data, not_begun};
use super::factor::Factor;
use super::request::clip;
use super::scene::Scene;
use super::state::Focus;
use super::step::{Members, Step, Stop, refusal, served};
use super::{backup, mask, start};
use crate::app::App;
use crate::doors::idcs::fault::{Code, Failed};
use crate::signin::{Begin, Failure, Flow, IssueRequest, Next};

/// A name was given.
///
/// # Errors
/// Policy wants a password with it, or lets nobody begin.
pub async fn name(step: &Step<'_>, username: &str) -> Result<Members, Stop> {
    let username = clip(username);
    let username = username.as_str();
    let scene = begin(step, username).await?;
    let Some(way) = scene.ways.first() else { return stranger(step, &scene, username).await };
    let focus = challenge::focus(way, false, Some(username.to_owned()));
    challenge::start(step, &scene, way, focus).await
}

/// A name was given, and a choice is asked for before anything is begun.
///
/// # Errors
/// See [`name`].
pub async fn devices(step: &Step<'_>, username: &str) -> Result<Members, Stop> {
    let username = clip(username);
    let username = username.as_str();
    let scene = begin(step, username).await?;
    let focus = match scene.ways.first() {
        Some(way) => challenge::focus(way, true, Some(username.to_owned())),
        None => Focus {
            factor: likely(&scene.any_of).map_or("", Factor::as_str).to_owned(),
            backup: true,
            username: Some(username.to_owned()),
            ..Focus::default()
        },
    };
    Ok(backup::body(step, &scene, focus))
}

async fn begin(step: &Step<'_>, username: &str) -> Result<Scene, Stop> {
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
    let next = step.sign_ins().begin(begin).await.map_err(|failure| Stop::of(failure, Factor::Username))?;
    let (flow, any_of): (Flow, _) = match next {
        Next::Challenge { flow, any_of, .. } => (flow, any_of),
        Next::Refused { refusal: why, reference } => return Err(refusal(why, &reference).into()),
        Next::Ready(_) | Next::Enrol { .. } => return Err(Code::DeniedByPolicy.into()),
    };
    // Where a password begins, a name alone does not.
    if start::First::of(&any_of) != Some(start::First::Username) {
        let failed = Failed::incomplete("The credential password is missing.");
        return Err(Stop::from(failed).with(start::again(step).await?));
    }
    Scene::of(step, flow, Some(username)).await
}

/// The factor somebody has of whom nothing is known.
fn likely(any_of: &[FactorKind]) -> Option<Factor> {
    any_of.iter().copied().filter(|kind| served(*kind)).find_map(Factor::of)
}

/// Goes on with nobody: it looks the same, nothing is sent, and no answer is right.
async fn stranger(step: &Step<'_>, scene: &Scene, username: &str) -> Result<Members, Stop> {
    let Some(factor) = likely(&scene.any_of) else { return Err(Code::DeniedByPolicy.into()) };
    let focus = Focus { factor: factor.as_str().to_owned(), username: Some(username.to_owned()), ..Focus::default() };
    let shown = decoy(step, scene, factor, username).await?;
    Ok(challenge::body(step, scene, factor, None, focus, shown))
}

/// The address that somebody of this name would have; none for what goes to no address.
fn supposed(app: &App, factor: Factor, username: &str) -> Option<(FactorKind, String)> {
    let number = || {
        let seed = app.master.mac("supposed address", username.to_lowercase().as_bytes());
        let digits: String = seed[..10].iter().map(|byte| char::from(b'0' + byte % 10)).collect();
        format!("+44{digits}")
    };
    match factor {
        Factor::Email if username.contains('@') => Some((FactorKind::EmailOtp, username.to_owned())),
        Factor::Email => Some((FactorKind::EmailOtp, format!("{username}@example.com"))),
        Factor::Sms => Some((FactorKind::SmsOtp, number())),
        Factor::PhoneCall => Some((FactorKind::VoiceOtp, number())),
        Factor::UsernamePassword
        | Factor::Username
        | Factor::Idp
        | Factor::Totp
        | Factor::Push
        | Factor::SecurityQuestions
        | Factor::BypassCode
        | Factor::Fido
        | Factor::Yubico
        | Factor::Duo
        | Factor::Kmsi => None,
    }
}

/// Where the code of a stranger seems to go.
pub fn supposed_name(app: &App, factor: Factor, username: &str) -> Option<String> {
    let (_, to) = supposed(app, factor, username)?;
    Some(if factor == Factor::Email { mask::mail(&to) } else { mask::phone(&to) })
}

/// What a stranger is shown. A challenge is made that no answer meets.
///
/// # Errors
/// See [`Failure`].
pub async fn decoy(step: &Step<'_>, scene: &Scene, factor: Factor, username: &str) -> Result<Shown, Stop> {
    if factor == Factor::Fido {
        let options = challenge::ceremony(step, scene.flow.clone(), None, false).await?;
        let seed = step.app.master.mac("supposed address", username.to_lowercase().as_bytes());
        let decoy = STANDARD.encode(&seed[..]);
        return Ok(Shown { fido: Some(fido_data(&options, Some(decoy))), ..Shown::default() });
    }
    let Some((kind, to)) = supposed(step.app, factor, username) else { return Ok(Shown::default()) };
    let request = IssueRequest::Transient { kind, to: &to, user: None, correlation: None };
    match step.sign_ins().issue(scene.flow.clone(), request).await {
        // Not even a decoy where the address could not be one: the next answer is wrong all the same.
        Ok(_) | Err(Failure::Unusable(_)) => Ok(Shown::default()),
        Err(failure) => Err(not_begun(failure, factor)),
    }
}
