//! A phone enrolled in the middle of a sign-in: invited, waited for, and counted once it has registered.
//!
//! Owns what is kept of the invitation with the dialogue, and what a look at its page does. The phone registers by itself, as
//! docs/device-protocol.md says; whether one may be enrolled now is [`enrol`]'s to say before it is invited.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use engine::{FactorKind, Open, Stage};
use protocol::records::{Seconds, UserId};
use serde::{Deserialize, Serialize};

use super::Place;
use super::act;
use super::enrol;
use super::pages::{EnrolPhone, Invitation, Page, Problem};
use super::phone;
use super::setup::Kind;
use super::show::{Desk, Told};
use crate::browser::interaction::{Lost, SignInStep, Step};
use crate::fault::Fault;
use crate::oauth::authorize::Stop;
use crate::signin::Flow;
use crate::signin::devices::Invited;
use crate::signin::enrolling::{Enrolling, Evidence, NotDone};
use crate::tokens;

/// Seconds the invitation may be taken up.
const INVITED: Seconds = 600;

/// What is kept of an invitation, sealed: the page must show it again.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The id the phone will have.
    device: String,
    /// What is in the picture.
    text: String,
    /// Until when it may be taken up.
    until: Seconds,
}

/// Whether a phone that approves would do.
pub(super) fn would_do(any_of: &[FactorKind]) -> bool {
    [FactorKind::PushPresence, FactorKind::PushFingerprint, FactorKind::PushFace]
        .iter()
        .any(|kind| any_of.contains(kind))
}

fn open(flow: &Flow) -> Option<&Open> {
    match &flow.stored.state.stage {
        Stage::ExpectEnrolment { open, .. } => Some(open),
        Stage::ExpectFactor(_)
        | Stage::Issuing { .. }
        | Stage::ExpectResponse { .. }
        | Stage::Checking { .. }
        | Stage::Proven { .. }
        | Stage::Ready
        | Stage::Closed(_) => None,
    }
}

fn bound(flow: &Flow) -> String {
    format!("dialogue:{}", flow.id)
}

fn purpose(flow: &Flow) -> String {
    format!("phone invitation {}", flow.id)
}

async fn not_done(desk: &Desk<'_>, flow: &Flow, not: NotDone) -> Result<Response, Stop> {
    match not {
        NotDone::Not(not) => enrol::refused(desk, flow, not).await,
        NotDone::Failure(failure) => Err(Stop::failed(failure)),
    }
}

/// The phone that was invited in this dialogue and has not been counted yet.
async fn pending(desk: &Desk<'_>, flow: &Flow, step: &SignInStep) -> Result<Option<(Kept, Enrolling)>, Stop> {
    let sealed = step.phone.as_ref().and_then(|text| STANDARD_NO_PAD.decode(text).ok());
    let plain = sealed.and_then(|sealed| desk.app.master.open(&purpose(flow), &sealed));
    let Some(kept) = plain.and_then(|plain| serde_json::from_slice::<Kept>(&plain).ok()) else { return Ok(None) };
    let one = desk.sign_ins().enrolling(&bound(flow), &kept.device).await?;
    Ok(one.map(|one| (kept, one)))
}

/// Notes with the dialogue which phone is waited for, and goes to its page.
async fn note(desk: &Desk<'_>, step: &SignInStep, phone: Option<String>) -> Result<Response, Stop> {
    let mut interaction = desk.interaction.clone();
    interaction.body.step = Step::SignIn(SignInStep { phone, ..step.clone() });
    interaction.save(desk.app, desk.call).await?;
    act::go(&interaction, Place::Enrol)
}

/// Invites a phone, in place of the one that was invited before.
pub(super) async fn begin(desk: &Desk<'_>, flow: &Flow, step: &SignInStep, user: &UserId) -> Result<Response, Stop> {
    let world = &desk.app.world;
    let (device, code) = (world.uuid(), world.token(tokens::ACCESS_TOKEN_LENGTH));
    let person = desk.sign_ins().person(user).await?.ok_or(Lost::Gone)?;
    let invited = Invited { device: &device, code: &code, life: INVITED, name: "", approves: true, generates: false };
    if let Err(not) = desk.sign_ins().enrolling_phone(user, &bound(flow), invited).await {
        return not_done(desk, flow, not).await;
    }
    let text = phone::invitation(&desk.call.base, &code, &person.username);
    let kept = Kept { device, text, until: world.now() + INVITED };
    let plain = serde_json::to_vec(&kept).map_err(|error| Fault::internal("an invitation", error))?;
    let sealed = STANDARD_NO_PAD.encode(desk.app.master.seal(&purpose(flow), &plain));
    note(desk, step, Some(sealed)).await
}

/// Gives the invited phone up.
pub(super) async fn give_up(desk: &Desk<'_>, flow: &Flow, step: &SignInStep) -> Result<Response, Stop> {
    if let Err(not) = desk.sign_ins().abandon_enrolling(&bound(flow)).await {
        return not_done(desk, flow, not).await;
    }
    note(desk, step, None).await
}

/// Whether the page of a phone is due.
pub(super) async fn is_due(desk: &Desk<'_>, flow: &Flow) -> Result<bool, Stop> {
    let Step::SignIn(step) = &desk.interaction.body.step else { return Ok(false) };
    Ok(pending(desk, flow, step).await?.is_some())
}

/// The page of the phone that was invited; none where none was.
pub(super) async fn page(desk: &Desk<'_>, flow: &Flow, open: &Open, told: Told) -> Result<Option<Response>, Stop> {
    let Step::SignIn(step) = &desk.interaction.body.step else { return Ok(None) };
    let Some((kept, _)) = pending(desk, flow, step).await? else { return Ok(None) };
    let alive = desk.app.world.now() < kept.until;
    let told = if alive || told.problem.is_some() { told } else { Told::from(Problem::PictureExpired) };
    // The phone in a browser asks its owner for a touch and nothing else.
    let link = open.any_of().contains(&FactorKind::PushPresence).then(|| phone::link(&desk.call.base, &kept.text));
    let invitation = alive.then(|| Invitation {
        text: kept.text,
        link,
        address: phone::address(&desk.call.base),
        minutes: INVITED / 60,
    });
    let action = desk.action(Place::Enrol);
    let hidden = [("way", Kind::Phone.word())];
    let page = EnrolPhone { step: desk.step(&action, &hidden, told), invitation: invitation.as_ref() };
    Ok(Some(desk.answer(&Page::EnrolPhone(page))))
}

/// Whether the page waits still.
pub(super) async fn waits(desk: &Desk<'_>, flow: &Flow, step: &SignInStep) -> Result<bool, Stop> {
    let (Some(open), Some((kept, one))) = (open(flow), pending(desk, flow, step).await?) else { return Ok(false) };
    if desk.app.world.now() >= kept.until {
        return Ok(false);
    }
    let registered = desk.sign_ins().finish_enrolling(&one, Evidence::Phone(open.any_of())).await;
    Ok(matches!(registered, Ok(None)))
}

/// A look at the page: a phone that has registered counts, and the sign-in goes on. None where there is something to show.
pub(super) async fn look(desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Option<Response>, Stop> {
    let (Some(_), Some((_, one))) = (open(&flow), pending(desk, &flow, step).await?) else { return Ok(None) };
    let flow = match enrol::still(desk, flow, step).await? {
        Ok(flow) => flow,
        Err(ended) => return Ok(Some(ended)),
    };
    let Some(open) = open(&flow) else { return Ok(None) };
    let finished = match desk.sign_ins().finish_enrolling(&one, Evidence::Phone(open.any_of())).await {
        Ok(Some(finished)) => finished,
        Ok(None) => return Ok(None),
        Err(not) => return not_done(desk, &flow, not).await.map(Some),
    };
    let (kind, verified) = (finished.kind, finished.user_verified);
    let flow = desk.sign_ins().enrolled(flow, kind, &finished.enrolment, verified, finished.changes).await;
    enrol::end(desk, flow.map_err(Stop::failed)?, step).await.map(Some)
}
