//! Factors proved on pages: passwords, codes, passkeys, and the choice between them.

use axum::response::Response;
use engine::{FactorKind, Issued, NotNow, Open, Stage};
use protocol::json;
use protocol::records::ChallengeId;
use serde_json::Value;

use super::act::{self, Deed, failed, go};
use super::errand::Errand;
use super::pages::{Press, Problem, field};
use super::show::{Desk, Told};
use super::wait;
use super::{Place, act_password, enrol};
use crate::app::App;
use crate::browser::interaction::{Interaction, Lost, SignInStep};
use crate::call::Call;
use crate::fault::Fault;
use crate::oauth::authorize::Stop;
use crate::secret::Secret;
use crate::signin::alone::shown;
use crate::signin::driver::Proved;
use crate::signin::factors::{Cause, otp, webauthn};
use crate::signin::ways::{Way, With};
use crate::signin::{Challenge, Failure, Flow, IssueRequest, Submission};

/// A form of a sign-in.
pub(super) async fn act(deed: &Deed<'_>, interaction: Interaction, step: SignInStep) -> Result<Response, Stop> {
    let desk = Desk::new(deed.app, deed.call, &interaction);
    let flow = desk.flow(&step).await?;
    if deed.place == Place::Enrol {
        return enrol::act(deed, &desk, flow, &step).await;
    }
    match (deed.press, deed.place) {
        // The same button begins a ceremony and, pressed by the script, brings its answer.
        (Press::Passkey, _) if deed.field(field::CREDENTIAL).is_some() => passkey(deed, &desk, flow, &step).await,
        (Press::Passkey, _) => begin_passkey(&desk, flow).await,
        (Press::Picture, _) | (Press::Resend, Place::Picture) => wait::picture(&desk, flow, &step).await,
        (Press::Another, _) => another(&desk, &flow),
        (Press::Resend, Place::Code) => resend(&desk, flow).await,
        (Press::Resend, Place::Push) => {
            let Some((open, _)) = open(&flow) else { return Err(Stop::Again) };
            let ways = desk.ways(&flow, open).await?;
            wait::push_again(&desk, flow, &ways).await
        }
        // Only what is to be kept was noted: the phone is waited for all the same.
        (Press::Submit, Place::Push) => go(&interaction, Place::Push),
        (Press::Submit, Place::Password) => act_password::sign_in(deed, &desk, flow, &step).await,
        (Press::Submit, Place::NewPassword) => act_password::replace(deed, &desk, flow, &step).await,
        (Press::Submit, Place::Questions) => answers(deed, &desk, flow, &step).await,
        (Press::Submit, Place::Bypass) => bypass(deed, &desk, flow, &step).await,
        (Press::Submit, Place::Way) => choose(deed, &desk, flow, &step).await,
        (Press::Submit, Place::Code) => code(deed, &desk, flow, &step).await,
        (Press::Submit, Place::Totp) => totp(deed, &desk, flow, &step).await,
        (Press::Submit, Place::Passkey) => passkey(deed, &desk, flow, &step).await,
        _ => Err(Stop::Again),
    }
}

/// Another factor is asked for: where there is only one way, it is taken at once.
pub(super) async fn asked(
    app: &App,
    call: &Call,
    interaction: &Interaction,
    step: &SignInStep,
) -> Result<Response, Stop> {
    let desk = Desk::new(app, call, interaction);
    let flow = desk.flow(step).await?;
    let Some((open, _)) = open(&flow) else { return Err(Stop::Again) };
    let ways = desk.ways(&flow, open).await?;
    let Some(first) = ways.first() else { return go(interaction, Place::Way) };
    // A ceremony begins with a press, unless the person wants it to.
    let at_once = ways.len() == 1 && first.kind != FactorKind::Passkey;
    if at_once || ways.len() > 1 && desk.prefers(&flow, first).await? {
        return take(&desk, flow, first).await;
    }
    go(interaction, Place::Way)
}

/// Another way than this one: the choice, or, while nobody is known, the first page.
fn another(desk: &Desk<'_>, flow: &Flow) -> Result<Response, Stop> {
    let place = if flow.stored.state.subject.is_some() { Place::Way } else { Place::Password };
    go(desk.interaction, place)
}

/// What may be proved, and what is in flight.
pub(super) fn open(flow: &Flow) -> Option<(&Open, &[Issued])> {
    match &flow.stored.state.stage {
        Stage::ExpectFactor(open) | Stage::Proven { open, .. } => Some((open, &[])),
        Stage::ExpectResponse { open, issued } | Stage::Checking { open, issued, .. } => Some((open, issued)),
        Stage::Issuing { .. } | Stage::ExpectEnrolment { .. } | Stage::Ready | Stage::Closed(_) => None,
    }
}

/// The challenges that may be answered now.
pub(super) fn in_flight(flow: &Flow) -> &[Issued] {
    open(flow).map_or(&[], |(_, issued)| issued)
}

/// Judges an answer, and goes on from it.
pub(super) async fn submit(
    desk: &Desk<'_>,
    place: Place,
    flow: Flow,
    step: &SignInStep,
    submission: Submission<'_>,
    username: Option<&str>,
) -> Result<Response, Stop> {
    match desk.sign_ins().submit(flow, submission).await {
        Ok(proved) => self::proved(desk, step, proved).await,
        Err(failure) => failed(desk, place, failure, username).await,
    }
}

/// Goes on from a proof.
pub(super) async fn proved(desk: &Desk<'_>, step: &SignInStep, proved: Proved) -> Result<Response, Stop> {
    let errand = Errand::of(desk.app, desk.call, desk.interaction.clone()).await?;
    let passage = errand.gate().proved(proved, step).await.map_err(Stop::failed)?;
    act::follow(desk.app, desk.call, desk.interaction.clone(), errand, passage).await
}

pub(super) async fn missing(desk: &Desk<'_>, place: Place) -> Result<Response, Stop> {
    desk.show(Some(place), Told::from(Problem::Missing)).await?.ok_or(Stop::Again)
}

/// A way was chosen.
async fn choose(deed: &Deed<'_>, desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Response, Stop> {
    let Some((open, _)) = open(&flow) else { return Err(Stop::Again) };
    let wanted = deed.field(field::WAY);
    if wanted == Some(FactorKind::Passkey.as_str()) {
        return begin_passkey(desk, flow).await;
    }
    if wanted == Some(FactorKind::Qr.as_str()) {
        return wait::picture(desk, flow, step).await;
    }
    let ways = desk.ways(&flow, open).await?;
    let Some(way) = ways.into_iter().find(|way| wanted == Some(way.id().as_str())) else {
        return missing(desk, Place::Way).await;
    };
    take(desk, flow, &way).await
}

/// Goes on by this way.
async fn take(desk: &Desk<'_>, flow: Flow, way: &Way) -> Result<Response, Stop> {
    match way.kind {
        FactorKind::Totp => go(desk.interaction, Place::Totp),
        FactorKind::Password => go(desk.interaction, Place::Password),
        FactorKind::EmailOtp | FactorKind::SmsOtp | FactorKind::VoiceOtp => send(desk, flow, way, false).await,
        FactorKind::Passkey => begin_passkey(desk, flow).await,
        FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace => {
            wait::push(desk, flow, way).await
        }
        FactorKind::Questions => ask(desk, flow, way).await,
        FactorKind::BypassCode => go(desk.interaction, Place::Bypass),
        // These begin a sign-in and are no further factors.
        FactorKind::Qr | FactorKind::Federated => Err(Stop::Again),
    }
}

/// Asks the questions.
async fn ask(desk: &Desk<'_>, flow: Flow, way: &Way) -> Result<Response, Stop> {
    let With::Enrolment(enrolment) = &way.with else { return Err(Stop::Again) };
    match desk.sign_ins().issue(flow, IssueRequest::Questions { enrolment }).await {
        Ok(_) => go(desk.interaction, Place::Questions),
        Err(failure) => failed(desk, Place::Way, failure, None).await,
    }
}

async fn answers(deed: &Deed<'_>, desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Response, Stop> {
    let newest = in_flight(&flow).iter().rev().find(|one| one.kind == FactorKind::Questions).cloned();
    let Some(newest) = newest else { return go(desk.interaction, Place::Way) };
    let challenge = desk.sign_ins().challenge(&ChallengeId(newest.challenge)).await?.ok_or(Lost::Gone)?;
    let mut answers = Vec::new();
    for (nth, (key, _)) in questions_of(&challenge).into_iter().enumerate() {
        let Some(answer) = deed.field(&format!("{}{}", field::ANSWER, nth + 1)) else {
            return missing(desk, Place::Questions).await;
        };
        answers.push((key, Secret::from(answer)));
    }
    submit(desk, Place::Questions, flow, step, Submission::Answers { challenge, answers }, None).await
}

/// The questions of a challenge: keys and texts, in the order they are asked.
pub(super) fn questions_of(challenge: &Challenge) -> Vec<(String, String)> {
    let members = shown(challenge);
    let list = members.get("questions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |one: &Value, name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
    list.iter().filter_map(|one| Some((text(one, "questionKey")?, text(one, "question")?))).collect()
}

async fn bypass(deed: &Deed<'_>, desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Response, Stop> {
    let Some(code) = deed.field(field::CODE).map(typed).filter(|code| !code.is_empty()) else {
        return missing(desk, Place::Bypass).await;
    };
    let Some(user) = flow.stored.state.subject.clone().map(protocol::records::UserId) else { return Err(Stop::Again) };
    let submission = Submission::BypassCode { user, code: Secret::new(code) };
    submit(desk, Place::Bypass, flow, step, submission, None).await
}

/// Sends a code.
async fn send(desk: &Desk<'_>, flow: Flow, way: &Way, again: bool) -> Result<Response, Stop> {
    let request = way.code().ok_or(Stop::Again)?;
    match desk.sign_ins().issue(flow, request).await {
        Ok(_) if again => {
            let told = Told { problem: None, resent: true };
            desk.show(Some(Place::Code), told).await?.ok_or(Stop::Again)
        }
        Ok(_) => go(desk.interaction, Place::Code),
        Err(failure) => failed(desk, if again { Place::Code } else { Place::Way }, failure, None).await,
    }
}

/// Sends the newest code once more.
async fn resend(desk: &Desk<'_>, flow: Flow) -> Result<Response, Stop> {
    let Some((open, issued)) = open(&flow) else { return Err(Stop::Again) };
    let Some(newest) = issued.iter().rev().find(|one| otp::is_sent(one.kind)).cloned() else {
        return go(desk.interaction, Place::Way);
    };
    let ways = desk.ways(&flow, open).await?;
    let same = |way: &&Way| match (&way.with, &newest.enrolment) {
        (With::Enrolment(enrolment), Some(id)) => enrolment.id.as_str() == id,
        (With::Address { .. }, None) => way.kind == newest.kind,
        (With::Anything | With::Enrolment(_) | With::Address { .. }, _) => false,
    };
    match ways.iter().find(same) {
        Some(way) => send(desk, flow, way, true).await,
        None => go(desk.interaction, Place::Way),
    }
}

async fn code(deed: &Deed<'_>, desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Response, Stop> {
    let Some(code) = deed.field(field::CODE).map(typed).filter(|code| !code.is_empty()) else {
        return missing(desk, Place::Code).await;
    };
    let newest = open(&flow).and_then(|(_, issued)| issued.iter().rev().find(|one| otp::is_sent(one.kind)).cloned());
    let Some(newest) = newest else { return go(desk.interaction, Place::Way) };
    let challenge = desk.sign_ins().challenge(&ChallengeId(newest.challenge)).await?.ok_or(Lost::Gone)?;
    let submission = Submission::Code { challenge, code: Secret::new(code) };
    submit(desk, Place::Code, flow, step, submission, None).await
}

async fn totp(deed: &Deed<'_>, desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Response, Stop> {
    let Some(code) = deed.field(field::CODE).map(typed).filter(|code| !code.is_empty()) else {
        return missing(desk, Place::Totp).await;
    };
    let Some((open, _)) = open(&flow) else { return Err(Stop::Again) };
    let ways = desk.ways(&flow, open).await?;
    let enrolment = ways.into_iter().filter(|way| way.kind == FactorKind::Totp).find_map(|way| match way.with {
        With::Enrolment(enrolment) => Some(*enrolment),
        With::Anything | With::Address { .. } => None,
    });
    let submission = Submission::Totp { enrolment, code: Secret::new(code) };
    submit(desk, Place::Totp, flow, step, submission, None).await
}

/// People put blanks and hyphens into codes.
pub(super) fn typed(code: &str) -> String {
    code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect()
}

/// Begins a ceremony: its options stand on the page that answers.
async fn begin_passkey(desk: &Desk<'_>, flow: Flow) -> Result<Response, Stop> {
    let Some(relying_party) = desk.relying_party() else {
        return desk.show(None, Told::from(Problem::WayUnavailable)).await?.ok_or(Stop::Again);
    };
    let others = open(&flow).is_some_and(|(open, _)| open.any_of().len() > 1);
    let desk = &desk.keeping(&flow).await?;
    let user = flow.stored.state.subject.clone().map(protocol::records::UserId);
    let credentials = match &user {
        Some(user) => {
            let mut all = desk.sign_ins().enrolments_of(user).await?;
            all.retain(|one| one.kind == FactorKind::Passkey.as_str() && one.enabled);
            all
        }
        None => Vec::new(),
    };
    // Alone it must stand for the person and their device; beside a password the device is enough.
    let user_verification = if user.is_none() { "required" } else { "preferred" };
    let request = IssueRequest::Passkey { relying_party, user, credentials: &credentials, user_verification };
    match desk.sign_ins().issue(flow, request).await {
        Ok(made) => {
            let options = made.options.ok_or_else(|| Fault::stored("a ceremony has no options"))?;
            Ok(desk.passkey(&options, others))
        }
        Err(failure) => failed(desk, Place::Way, failure, None).await,
    }
}

async fn passkey(deed: &Deed<'_>, desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Response, Stop> {
    let refused = async || {
        let place = if flow.stored.state.subject.is_some() { Place::Way } else { Place::Password };
        desk.show(Some(place), Told::from(Problem::PasskeyRefused)).await?.ok_or(Stop::Again)
    };
    let Some(relying_party) = desk.relying_party() else { return refused().await };
    let response = deed.field(field::CREDENTIAL).and_then(|text| json::parse_object(text.as_bytes(), json::USUAL).ok());
    let Some(response) = response.map(Value::Object) else { return refused().await };
    let sign_ins = desk.sign_ins();
    let challenge = match webauthn::challenge_id(&response) {
        Some(id) => sign_ins.challenge(&id).await?.filter(|challenge| challenge.sign_in.as_ref() == Some(&flow.id)),
        None => None,
    };
    let (Some(challenge), Some(id)) = (challenge, webauthn::credential_id(&response)) else { return refused().await };
    let own = flow.stored.state.subject.as_deref();
    let enrolment = sign_ins.credential(&id).await?.filter(|one| own.is_none_or(|own| own == one.user.as_str()));
    let submission = Submission::Passkey { relying_party, challenge, enrolment, response };
    match sign_ins.submit(flow.clone(), submission).await {
        Ok(proved) => self::proved(desk, step, proved).await,
        Err(Failure::Wrong(_) | Failure::NotNow(NotNow::OtherPerson | NotNow::NoChallenge)) => refused().await,
        Err(failure) => failed(desk, Place::Way, failure, None).await,
    }
}

/// What is told of a wrong answer. While nobody is known a locked account, a stranger and a wrong password look alike.
pub(super) fn problem(place: Place, cause: Cause) -> Problem {
    match (place, cause) {
        (Place::Password, Cause::PasswordExpired | Cause::PasswordMustChange) => Problem::PasswordExpired,
        (Place::Password, _) => Problem::WrongCredentials,
        (Place::Passkey, _) => Problem::PasskeyRefused,
        (_, Cause::Resting) => Problem::Resting { wait: None },
        (Place::Push, _) => Problem::PushExpired,
        (Place::Picture, _) => Problem::PictureExpired,
        (Place::Questions, Cause::WrongCode) => Problem::WrongAnswers,
        (_, Cause::NoTriesLeft | Cause::Expired | Cause::NotPending | Cause::Replayed) => Problem::CodeExpired,
        _ => Problem::WrongCode,
    }
}
