//! What is answered elsewhere: a phone that was asked, a picture that a phone scans. The page looks again by itself; once the phone
//! has answered, looking is what takes the sign-in on.
//!
//! Owns how such a challenge stands and what a look does. Who may look is the dialogue's: its handle, in its browser.

use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use engine::{FactorKind, Issued};
use protocol::records::{ChallengeId, Seconds};
use serde_json::json;

use super::Place;
use super::act::{self, failed};
use super::act_factor::in_flight;
use super::enrol_phone;
use super::pages::Problem;
use super::show::{Desk, Told};
use crate::browser::interaction::{Lost, SignInStep, Step};
use crate::fault::Fault;
use crate::keys::MasterKey;
use crate::oauth::authorize::Stop;
use crate::reply;
use crate::signin::ways::{Way, With};
use crate::signin::{Challenge, Failure, Flow, IssueRequest, Submission, factors::push::Asked};

/// How a challenge stands that somebody answers elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing was said yet.
    Waits,
    /// The answer was yes; it has not been used.
    Settled,
    /// It came to nothing.
    Over(Problem),
}

impl Standing {
    pub(super) fn of(challenge: &Challenge, now: Seconds) -> Self {
        let late = if is_picture(&challenge.kind) { Problem::PictureExpired } else { Problem::PushExpired };
        match challenge.state.as_str() {
            "pending" if now < challenge.expires => Self::Waits,
            "approved" => Self::Settled,
            "denied" | "fraudulent" | "biometry-failed" | "verify-failed" => Self::Over(Problem::PushDenied),
            _ => Self::Over(late),
        }
    }
}

fn is_picture(kind: &str) -> bool {
    kind == FactorKind::Qr.as_str()
}

/// Whether a kind is approval on the phone.
pub(super) fn is_push(kind: FactorKind) -> bool {
    match kind {
        FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace => true,
        FactorKind::Password
        | FactorKind::Passkey
        | FactorKind::Qr
        | FactorKind::EmailOtp
        | FactorKind::SmsOtp
        | FactorKind::VoiceOtp
        | FactorKind::Totp
        | FactorKind::Questions
        | FactorKind::Federated
        | FactorKind::BypassCode => false,
    }
}

/// The newest challenge that is waited for at a page.
pub(super) fn awaited(place: Place, issued: &[Issued]) -> Option<&Issued> {
    issued.iter().rev().find(|one| match place {
        Place::Push => is_push(one.kind),
        Place::Picture => one.kind == FactorKind::Qr,
        _ => false,
    })
}

async fn challenge(desk: &Desk<'_>, flow: &Flow, place: Place) -> Result<Option<Challenge>, Stop> {
    match awaited(place, in_flight(flow)) {
        Some(issued) => Ok(desk.sign_ins().challenge(&ChallengeId(issued.challenge.clone())).await?),
        None => Ok(None),
    }
}

/// A page asks whether it has to be shown anew.
pub(super) async fn poll(desk: &Desk<'_>, place: Place) -> Result<Response, Stop> {
    let waiting = match &desk.interaction.body.step {
        Step::SignIn(step) => {
            let flow = desk.flow(step).await?;
            if place == Place::Enrol {
                let waiting = enrol_phone::waits(desk, &flow, step).await?;
                return Ok(answer(waiting));
            }
            let challenge = challenge(desk, &flow, place).await?;
            challenge.is_some_and(|one| Standing::of(&one, desk.app.world.now()) == Standing::Waits)
        }
        Step::Account | Step::Consent(_) | Step::Confirm(_) => false,
    };
    Ok(answer(waiting))
}

fn answer(waiting: bool) -> Response {
    // It is the cookie that opens this, so no other origin may read it.
    reply::same_origin(reply::json(StatusCode::OK, &json!({ "waiting": waiting })))
}

/// A look at a page that waits: where the phone said yes, the sign-in goes on. None where there is something to show.
pub(super) async fn look(desk: &Desk<'_>, place: Place) -> Result<Option<Response>, Stop> {
    let Step::SignIn(step) = &desk.interaction.body.step else { return Ok(None) };
    let flow = desk.flow(step).await?;
    if place == Place::Enrol {
        return enrol_phone::look(desk, flow, step).await;
    }
    let Some(challenge) = challenge(desk, &flow, place).await? else { return Ok(None) };
    if Standing::of(&challenge, desk.app.world.now()) != Standing::Settled {
        return Ok(None);
    }
    let submission = match place {
        Place::Picture => Submission::Qr { challenge },
        _ => Submission::Push { challenge },
    };
    match desk.sign_ins().submit(flow, submission).await {
        Ok(proved) => super::act_factor::proved(desk, step, proved).await.map(Some),
        Err(failure) => failed(desk, place, failure, None).await.map(Some),
    }
}

/// Asks a phone.
pub(super) async fn push(desk: &Desk<'_>, flow: Flow, way: &Way) -> Result<Response, Stop> {
    let With::Enrolment(enrolment) = &way.with else { return Err(Stop::Again) };
    let message = desk.look().say("sign_in", &[("client", desk.asker())]);
    let address = desk.call.peer.to_string();
    let agent = desk.call.headers.get(axum::http::header::USER_AGENT).and_then(|value| value.to_str().ok());
    let agent: String = agent.unwrap_or_default().chars().take(200).collect();
    let asked = Asked { message: &message, address: Some(&address), user_agent: Some(&agent), ..Asked::default() };
    match desk.sign_ins().issue(flow, IssueRequest::Push { enrolment, asked }).await {
        Ok(_) => act::go(desk.interaction, Place::Push),
        Err(failure) => failed(desk, Place::Way, failure, None).await,
    }
}

/// Asks the same phone once more.
pub(super) async fn push_again(desk: &Desk<'_>, flow: Flow, ways: &[Way]) -> Result<Response, Stop> {
    let before = awaited(Place::Push, in_flight(&flow)).and_then(|issued| issued.enrolment.clone());
    let same = |way: &&Way| before.as_deref() == Some(way.id().as_str());
    match ways.iter().find(same) {
        Some(way) => push(desk, flow, way).await,
        None => act::go(desk.interaction, Place::Way),
    }
}

/// Makes a picture. What is in it is kept with the dialogue, sealed, so that the page can be shown anew.
pub(super) async fn picture(desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Response, Stop> {
    let made = match desk.sign_ins().issue(flow, IssueRequest::Qr { profile: "" }).await {
        Ok(made) => made,
        Err(Failure::Unusable(_)) => {
            return desk.show(None, Told::from(Problem::WayUnavailable)).await?.ok_or(Stop::Again);
        }
        Err(failure) => return failed(desk, Place::Password, failure, None).await,
    };
    let code = made.options.as_ref().and_then(|secrets| secrets.get("lsi")).and_then(serde_json::Value::as_str);
    let code = code.ok_or_else(|| Fault::stored("a picture has no secret"))?;
    let text = json!({
        "code": code,
        "loginUri": format!("{}/v2.0/factors/qr/{}", desk.call.base, made.challenge.id),
        "version": { "number": "1.0.0" },
    });
    let sealed = desk.app.master.seal(&purpose(&made.challenge.id), text.to_string().as_bytes());
    let mut interaction = desk.interaction.clone();
    let picture = Some(STANDARD_NO_PAD.encode(sealed));
    interaction.body.step = Step::SignIn(SignInStep { picture, ..step.clone() });
    interaction.save(desk.app, desk.call).await?;
    act::go(&interaction, Place::Picture)
}

/// What is in the picture of a challenge.
pub(super) fn text_of(master: &MasterKey, step: &SignInStep, challenge: &Challenge) -> Result<String, Lost> {
    let sealed = step.picture.as_ref().and_then(|text| STANDARD_NO_PAD.decode(text).ok()).ok_or(Lost::Gone)?;
    let plain = master.open(&purpose(&challenge.id), &sealed).ok_or(Lost::Gone)?;
    String::from_utf8(plain).map_err(|_| Lost::Gone)
}

fn purpose(id: &ChallengeId) -> String {
    format!("qr picture {id}")
}
