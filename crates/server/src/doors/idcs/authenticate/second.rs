//! A factor is begun, answered, asked after or sent again, at a stage that asks for one.

use engine::FactorKind;
use protocol::records::Seconds;
use serde_json::Value;

use super::challenge::{self, Shown, failed_backup};
use super::factor::Factor;
use super::scene::{Scene, device_id};
use super::state::{Focus, Stage};
use super::step::{Members, Step, Stop};
use super::{after, backup, password, username};
use crate::doors::idcs::fault::{Code, Failed};
use crate::secret::Secret;
use crate::signin::factors::{Cause, webauthn};
use crate::signin::preferred::Preferred;
use crate::signin::ways::{Way, With};
use crate::signin::{Challenge, Failure, Submission};

/// How long a request for approval that was never made seems to wait.
const SUPPOSED_WAIT: Seconds = 120;

fn stage<'s>(step: &'s Step<'_>) -> Result<&'s Focus, Stop> {
    match &step.state.stage {
        Stage::Factor { focus, .. } => Ok(focus),
        Stage::Start | Stage::Enrolment { .. } | Stage::Terms { .. } | Stage::Newcomer { .. } => {
            Err(Code::SessionGone.into())
        }
    }
}

/// What a `credSubmit` is about: the factor and the device it names, or those of the stage.
struct Meant<'m> {
    factor: Factor,
    /// The device as it was named.
    named: Option<String>,
    /// The device, where the person has one.
    way: Option<&'m Way>,
    /// What the next state is about.
    focus: Focus,
    /// Another one than before.
    changed: bool,
}

/// `credSubmit`.
///
/// # Errors
/// What was sent does not fit, or is wrong.
pub async fn submit(step: &Step<'_>) -> Result<Members, Stop> {
    let before = stage(step)?;
    let sent = &step.request.credentials;
    if step.request.factor == Some(Factor::Username) {
        return start_over(step, before).await;
    }
    let flow = match after::at_hand(step, step.flow().await?).await? {
        Ok(body) => return Ok(body),
        Err(flow) => flow,
    };
    let scene = Scene::of(step, flow, before.username.as_deref()).await?;
    let here = |stop: Stop| stop.with(told(step, &scene, before));
    let meant = meant(step, &scene, before).map_err(here)?;
    let Meant { factor, way, changed, .. } = &meant;
    match factor {
        Factor::Sms | Factor::Email | Factor::PhoneCall => match sent.code("otpCode").map_err(|no| here(no.into()))? {
            Some(code) => code_sent(step, &scene, &meant, code).await,
            None if *changed || sent.has("deviceId") => begin(step, &scene, &meant).await,
            None => Err(here(missing("otpCode"))),
        },
        Factor::Totp => match sent.code("otpCode").map_err(|no| here(no.into()))? {
            Some(code) => {
                let submission = Submission::Totp { enrolment: enrolment(*way), code };
                judge(step, &scene, &meant, submission).await
            }
            None if *changed => begin(step, &scene, &meant).await,
            None => Err(here(missing("otpCode"))),
        },
        Factor::Push => push(step, &scene, &meant).await,
        Factor::SecurityQuestions => match sent.answers().map_err(|no| here(no.into()))? {
            Some(answers) => {
                let challenge = asked(step, &scene, *way).await.map_err(here)?;
                judge(step, &scene, &meant, Submission::Answers { challenge, answers }).await
            }
            None if *changed => begin(step, &scene, &meant).await,
            None => Err(here(missing("questions"))),
        },
        Factor::BypassCode => match sent.code("bypassCode").map_err(|no| here(no.into()))? {
            Some(code) => {
                let user = scene.user.as_ref().map(|user| user.id.clone()).unwrap_or_else(|| "nobody".into());
                judge(step, &scene, &meant, Submission::BypassCode { user, code }).await
            }
            None => Err(here(missing("bypassCode"))),
        },
        Factor::Fido => match sent.assertion().map_err(|no| here(no.into()))? {
            Some(response) => assertion(step, &scene, &meant, response).await,
            None if *changed || sent.has("deviceId") => begin(step, &scene, &meant).await,
            None => Err(here(missing("fidoAssertion"))),
        },
        Factor::UsernamePassword => by_password(step, &scene, &meant).await,
        Factor::Username | Factor::Idp | Factor::Yubico | Factor::Duo | Factor::Kmsi => Err(here(not_offered(&scene))),
    }
}

fn missing(member: &str) -> Stop {
    Failed::incomplete(format!("The credential {member} is missing.")).into()
}

fn not_offered(scene: &Scene) -> Stop {
    let names: Vec<&str> = scene.factors().iter().map(|factor| factor.as_str()).collect();
    Failed::saying(
        Code::FactorNotOffered,
        format!("The factor is not supported here; supported: {}.", names.join(", ")),
    )
    .into()
}

/// Another name was given, while nobody is known yet.
async fn start_over(step: &Step<'_>, before: &Focus) -> Result<Members, Stop> {
    let name = step.request.credentials.text("username")?.filter(|name| !name.trim().is_empty());
    match name {
        Some(name) if before.username.is_some() => username::name(step, name.trim()).await,
        Some(_) | None => Err(Code::FactorNotOffered.into()),
    }
}

/// Which factor and device are meant.
fn meant<'m>(step: &Step<'_>, scene: &'m Scene, before: &Focus) -> Result<Meant<'m>, Stop> {
    let sent = &step.request.credentials;
    let plain = || {
        if sent.has("bypassCode") {
            Some(Factor::BypassCode)
        } else if sent.has("questions") {
            Some(Factor::SecurityQuestions)
        } else if sent.has("fidoAssertion") {
            Some(Factor::Fido)
        } else if sent.has("password") {
            Some(Factor::UsernamePassword)
        } else {
            None
        }
    };
    let of_before = Factor::parse(&before.factor);
    let factor = step.request.factor.or_else(plain).or(of_before).ok_or(Code::SessionGone)?;
    let same = of_before == Some(factor);
    let named = sent.device()?;
    let wanted = named.as_deref().or(before.device.as_deref().filter(|_| same));
    let way = match scene.device(factor, wanted) {
        Ok(way) => way,
        // What was named is told apart from what went away meanwhile.
        Err(code) if named.is_some() => return Err(code.into()),
        Err(_) => scene.of_factor(factor).next(),
    };
    let stranger = way.is_none() && same && before.username.is_some();
    let bypass = factor == Factor::BypassCode && scene.factors().contains(&factor);
    let password = factor == Factor::UsernamePassword && !scene.known && scene.any_of.contains(&FactorKind::Password);
    if way.is_none() && !stranger && !bypass && !password {
        return Err(not_offered(scene));
    }
    let changed = !same || named.is_some() && named != before.device;
    let preferred = sent.preferred()?;
    let focus = Focus {
        factor: factor.as_str().to_owned(),
        device: way.map(device_id),
        backup: before.backup || changed,
        preferred: preferred || before.preferred && !changed,
        username: before.username.clone(),
    };
    Ok(Meant { factor, named, way, focus, changed })
}

fn enrolment(way: Option<&Way>) -> Option<protocol::records::Enrolment> {
    match way.map(|way| &way.with) {
        Some(With::Enrolment(enrolment)) => Some((**enrolment).clone()),
        Some(With::Anything | With::Address { .. }) | None => None,
    }
}

/// Begins what was chosen.
async fn begin(step: &Step<'_>, scene: &Scene, meant: &Meant<'_>) -> Result<Members, Stop> {
    match (meant.way, &meant.focus.username) {
        (Some(way), _) => challenge::start(step, scene, way, meant.focus.clone()).await,
        (None, Some(name)) => {
            let shown = username::decoy(step, scene, meant.factor, name).await?;
            Ok(challenge::body(step, scene, meant.factor, None, meant.focus.clone(), shown))
        }
        (None, None) => Err(not_offered(scene)),
    }
}

/// A code that was sent.
async fn code_sent(step: &Step<'_>, scene: &Scene, meant: &Meant<'_>, code: Secret<String>) -> Result<Members, Stop> {
    match scene.in_flight(step, meant.factor, meant.way).await? {
        Some(challenge) => judge(step, scene, meant, Submission::Code { challenge, code }).await,
        // Nothing was sent, or it ran out of tries: no code is right.
        None => Err(left_behind(step, scene, meant, Stop::from(Code::WrongPasscode), Shown::default())),
    }
}

/// The questions in flight, asked now where they were not.
async fn asked(step: &Step<'_>, scene: &Scene, way: Option<&Way>) -> Result<Challenge, Stop> {
    let in_flight = scene.in_flight(step, Factor::SecurityQuestions, way).await?;
    let now = step.app.world.now();
    if let Some(challenge) = in_flight.filter(|one| one.state == "pending" && now < one.expires) {
        return Ok(challenge);
    }
    let enrolment = enrolment(way).ok_or_else(|| Stop::from(Code::WrongAnswer))?;
    let request = crate::signin::IssueRequest::Questions { enrolment: &enrolment };
    let made = step.sign_ins().issue(scene.flow.clone(), request).await;
    Ok(made.map_err(|failure| challenge::not_begun(failure, Factor::SecurityQuestions))?.challenge)
}

/// Judges an answer and goes on from it.
async fn judge(step: &Step<'_>, scene: &Scene, meant: &Meant<'_>, submission: Submission<'_>) -> Result<Members, Stop> {
    // Asking questions took a step of its own.
    let flow = step.flow().await?;
    match step.sign_ins().submit(flow, submission).await {
        Ok(proved) => {
            if let (true, Some(way)) = (meant.focus.preferred, meant.way) {
                step.sign_ins().prefer(&proved.subject, &Preferred::of(way)).await?;
            }
            after::proved(step, proved).await
        }
        Err(failure) => {
            let stop = Stop::of(failure, meant.factor);
            let shown = match meant.factor {
                Factor::SecurityQuestions => Shown { questions: backup::questions(step, scene), ..Shown::default() },
                // The ceremony is spent: the page needs another one to try again.
                Factor::Fido if matches!(stop, Stop::Failed(_)) => once_more(step, meant).await?,
                _ => Shown::default(),
            };
            Err(left_behind(step, scene, meant, stop, shown))
        }
    }
}

/// A new ceremony in place of one that failed; none where there can be none.
async fn once_more(step: &Step<'_>, meant: &Meant<'_>) -> Result<Shown, Stop> {
    let Ok(flow) = step.flow().await else { return Ok(Shown::default()) };
    let scene = Scene::of(step, flow, meant.focus.username.as_deref()).await?;
    match meant.way {
        Some(way) if !meant.focus.backup => Ok(challenge::begin(step, &scene, way).await.unwrap_or_default()),
        Some(_) | None => Ok(Shown::default()),
    }
}

/// A refusal with the stage it leaves behind.
fn left_behind(step: &Step<'_>, scene: &Scene, meant: &Meant<'_>, stop: Stop, shown: Shown) -> Stop {
    let focus = meant.focus.clone();
    let stage = if focus.backup && scene.user.is_some() {
        failed_backup(step, scene, meant.factor, focus)
    } else {
        challenge::body(step, scene, meant.factor, meant.way, Focus { backup: false, ..focus }, shown)
    };
    stop.with(stage)
}

/// Approval on the phone: asked for, or asked after.
async fn push(step: &Step<'_>, scene: &Scene, meant: &Meant<'_>) -> Result<Members, Stop> {
    let now = step.app.world.now();
    let Some(way) = meant.way else {
        // Nobody's phone: it rings for as long as any.
        return if now < step.state.began + SUPPOSED_WAIT {
            Ok(pending(step, scene, meant, None))
        } else {
            Err(left_behind(step, scene, meant, Code::Denied.into(), Shown::default()))
        };
    };
    let Some(challenge) = scene.in_flight(step, Factor::Push, Some(way)).await? else {
        return begin(step, scene, meant).await;
    };
    let waits = challenge.state == "pending" && now < challenge.expires;
    match challenge.state.as_str() {
        "pending" if waits => Ok(pending(step, scene, meant, challenge::number(&challenge.shown))),
        "approved" => judge(step, scene, meant, Submission::Push { challenge }).await,
        // Chosen anew, it is asked anew; asked after, it is told.
        _ if meant.named.is_some() => begin(step, scene, meant).await,
        _ => Err(left_behind(step, scene, meant, Code::Denied.into(), Shown::default())),
    }
}

/// An answer to a poll: without the factors, or each would start another timer in the page (reference §6.6).
fn pending(step: &Step<'_>, scene: &Scene, meant: &Meant<'_>, number: Option<String>) -> Members {
    let shown = Shown { number, ..Shown::default() };
    let mut body = challenge::body(step, scene, Factor::Push, meant.way, meant.focus.clone(), shown);
    body.remove("nextAuthFactors");
    body
}

async fn assertion(step: &Step<'_>, scene: &Scene, meant: &Meant<'_>, response: Value) -> Result<Members, Stop> {
    let sign_ins = step.sign_ins();
    let refused = |code: Code| Err(left_behind(step, scene, meant, code.into(), Shown::default()));
    let Some(relying_party) = challenge::relying_party(step) else { return refused(Code::FactorNotEnabled) };
    let challenge = match webauthn::challenge_id(&response) {
        Some(id) => sign_ins.challenge(&id).await?.filter(|one| one.sign_in.as_ref() == Some(&scene.flow.id)),
        None => None,
    };
    let (Some(challenge), Some(id)) = (challenge, webauthn::credential_id(&response)) else {
        return refused(Code::WrongPasscode);
    };
    let own = scene.user.as_ref().map(|user| &user.id);
    let enrolment = sign_ins.credential(&id).await?.filter(|one| own.is_none_or(|own| *own == one.user));
    if scene.known && enrolment.is_none() {
        return refused(Code::WrongPasscode);
    }
    judge(step, scene, meant, Submission::Passkey { relying_party, challenge, enrolment, response }).await
}

/// A password, where a name began and a password may follow.
async fn by_password(step: &Step<'_>, scene: &Scene, meant: &Meant<'_>) -> Result<Members, Stop> {
    let sent = &step.request.credentials;
    let here = |stop: Stop| stop.with(told(step, scene, &meant.focus));
    let (name, typed) = (sent.text("username")?, sent.text("password")?);
    let name = name.filter(|name| !name.trim().is_empty()).or_else(|| meant.focus.username.clone());
    let (Some(name), Some(typed)) = (name, typed) else { return Err(here(missing("password"))) };
    let source = step.source(name.trim()).await?;
    let submission = Submission::Password { source, username: name.trim(), password: Secret::new(typed) };
    match step.sign_ins().submit(scene.flow.clone(), submission).await {
        Ok(proved) => after::proved(step, proved).await,
        Err(Failure::Wrong(cause @ (Cause::PasswordExpired | Cause::PasswordMustChange))) => {
            Err(password::due(step, name.trim(), cause).await?)
        }
        Err(failure) => Err(here(Stop::of(failure, Factor::UsernamePassword))),
    }
}

/// The stage as it stands, for an answer that changed nothing.
fn told(step: &Step<'_>, scene: &Scene, before: &Focus) -> Members {
    let Some(factor) = Factor::parse(&before.factor) else { return Members::new() };
    let shown = match factor {
        Factor::SecurityQuestions => Shown { questions: backup::questions(step, scene), ..Shown::default() },
        _ => Shown::default(),
    };
    let way = scene.focused(before);
    challenge::body(step, scene, factor, way, before.clone(), shown)
}

/// The stage of a factor once more.
///
/// # Errors
/// The sign-in is over; the store failed.
pub async fn again(step: &Step<'_>) -> Result<Members, Stop> {
    let before = stage(step)?;
    let flow = step.flow().await?;
    let scene = Scene::of(step, flow, before.username.as_deref()).await?;
    Ok(told(step, &scene, before))
}

/// `resendCode`.
///
/// # Errors
/// No code is sent at this stage, or no more of them.
pub async fn resend(step: &Step<'_>) -> Result<Members, Stop> {
    let before = stage(step)?;
    let flow = match after::at_hand(step, step.flow().await?).await? {
        Ok(body) => return Ok(body),
        Err(flow) => flow,
    };
    let scene = Scene::of(step, flow, before.username.as_deref()).await?;
    let factor = Factor::parse(&before.factor).filter(|factor| factor.is_sent());
    let Some(factor) = factor else {
        let text = "The operation resendCode is not offered here; offered: credSubmit, getBackupFactors.";
        return Err(Stop::from(Failed::saying(Code::OpNotOffered, text)).with(told(step, &scene, before)));
    };
    let sent = match (scene.focused(before), &before.username) {
        (Some(way), _) => challenge::begin(step, &scene, way).await,
        (None, Some(name)) => username::decoy(step, &scene, factor, name).await,
        (None, None) => Err(Code::NoSuchDevice.into()),
    };
    let shown = sent.map_err(|stop| stop.with(told(step, &scene, before)))?;
    let way = scene.focused(before);
    let mut body = challenge::body(step, &scene, factor, way, before.clone(), shown);
    body.remove("displayName");
    body.insert("nextAuthFactors".to_owned(), serde_json::json!([factor.as_str()]));
    Ok(body)
}
