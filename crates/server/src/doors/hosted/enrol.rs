//! Enrolling a factor in the middle of a sign-in, where policy wants one that the person has not: required, or offered.
//!
//! Owns the pages of it and what their forms do. Whether anything is to be enrolled is the engine's to say; that a password alone
//! adds nothing beside factors somebody has already is [`may_add`]'s.

use axum::response::Response;
use engine::policy::Unenrolled;
use engine::{FactorKind, Open, Stage};
use protocol::records::{ChallengeId, Enrolment, EnrolmentId, UserId};
use serde_json::Value;

use super::Place;
use super::act::{self, Deed};
use super::act_factor;
use super::enrol_phone;
use super::errand::Errand;
use super::pages::{CodeEntry, Enrol, EnrolAddress, EnrolPasskey, EnrolTotp, Page, Press, Problem, field};
use super::setup::{self, Address, Kind, Picture, told};
use super::show::{Desk, Told};
use crate::browser::interaction::SignInStep;
use crate::oauth::authorize::Stop;
use crate::secret::Secret;
use crate::signin::alone::shown;
use crate::signin::enrol::{NotEnrolled, may_add};
use crate::signin::factors::{Unusable, otp};
use crate::signin::ways::mask;
use crate::signin::{Asker, Flow, IssueRequest, Submission};

/// What may be enrolled here, and the factor of it.
const KINDS: [(Kind, FactorKind); 6] = [
    (Kind::Passkey, FactorKind::Passkey),
    (Kind::Totp, FactorKind::Totp),
    // Whichever way of approval is asked for.
    (Kind::Phone, FactorKind::PushPresence),
    (Kind::Address(Address::Email), FactorKind::EmailOtp),
    (Kind::Address(Address::Sms), FactorKind::SmsOtp),
    (Kind::Address(Address::Voice), FactorKind::VoiceOtp),
];

fn open(flow: &Flow) -> Result<(&Open, bool), Stop> {
    let Stage::ExpectEnrolment { open, met } = &flow.stored.state.stage else { return Err(Stop::Again) };
    Ok((open, *met))
}

fn required(open: &Open, met: bool) -> bool {
    !met && open.demands.first().is_some_and(|demand| demand.unenrolled == Unenrolled::Require)
}

fn subject(flow: &Flow) -> Result<UserId, Stop> {
    flow.stored.state.subject.clone().map(UserId).ok_or(Stop::Again)
}

impl Desk<'_> {
    /// What this person may enrol now.
    async fn enrollable(&self, flow: &Flow, open: &Open) -> Result<Vec<Kind>, Stop> {
        let enrolled = self.sign_ins().enrolments_of(&subject(flow)?).await?;
        let proved: Vec<FactorKind> = flow.stored.state.proofs.iter().map(|proof| proof.kind).collect();
        if !may_add(&proved, &enrolled) {
            return Ok(Vec::new());
        }
        let can = |kind: FactorKind| {
            let leaves = otp::channel_of(kind.as_str()).is_none_or(|channel| self.app.delivery.supports(channel));
            let runs = kind != FactorKind::Passkey || self.relying_party().is_some();
            let asked = if kind == FactorKind::PushPresence {
                enrol_phone::would_do(open.any_of())
            } else {
                open.any_of().contains(&kind)
            };
            asked && leaves && runs
        };
        Ok(KINDS.into_iter().filter(|(_, factor)| can(*factor)).map(|(kind, _)| kind).collect())
    }

    /// The page that offers it.
    pub(super) async fn enrol(&self, flow: &Flow, told: Told) -> Result<Response, Stop> {
        let (open, met) = open(flow)?;
        if let Some(page) = enrol_phone::page(self, flow, open, told).await? {
            return Ok(page);
        }
        let kinds = self.enrollable(flow, open).await?;
        if kinds.is_empty() && required(open, met) {
            return self.nothing(flow, told).await;
        }
        let action = self.action(Place::Enrol);
        let kinds: Vec<_> = kinds.into_iter().map(Kind::word).collect();
        let page = Enrol { step: self.step(&action, &[], told), kinds: &kinds, required: required(open, met) };
        Ok(self.answer(&Page::Enrol(page)))
    }

    fn enrol_address(&self, way: Address, address: &str, told: Told) -> Response {
        let action = self.action(Place::Enrol);
        let kind = Kind::Address(way).word();
        let hidden = [("way", kind)];
        self.answer(&Page::EnrolAddress(EnrolAddress { step: self.step(&action, &hidden, told), kind, address }))
    }

    fn enrol_totp(&self, picture: &Picture, told: Told) -> Response {
        let action = self.action(Place::Enrol);
        let hidden =
            [("way", Kind::Totp.word()), ("id", picture.enrolment.id.as_str()), ("sealed", picture.sealed.as_str())];
        let length = self.call.tenant.tenant.settings.totp.digits;
        let step = self.step(&action, &hidden, told);
        self.answer(&Page::EnrolTotp(EnrolTotp { step, uri: &picture.uri, secret: &picture.secret, length }))
    }

    fn enrol_code(&self, kind: FactorKind, challenge: &crate::signin::Challenge, told: Told) -> Response {
        let members = shown(challenge);
        let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let to = text("emailAddress").or_else(|| text("phoneNumber")).map(mask).unwrap_or_default();
        let action = self.action(Place::Enrol);
        let hidden = [("id", challenge.id.as_str())];
        let settings = self.otp_settings(kind);
        let page = CodeEntry {
            step: self.step(&action, &hidden, told),
            kind,
            destination: &to,
            correlation: text("correlation"),
            length: settings.length,
            digits: settings.charset.bytes().all(|b| b.is_ascii_digit()),
            resent: false,
            others: true,
        };
        self.answer(&Page::Code(page))
    }
}

/// A form of these pages.
pub(super) async fn act(deed: &Deed<'_>, desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Response, Stop> {
    open(&flow)?;
    let flow = match still(desk, flow, step).await? {
        Ok(flow) => flow,
        Err(ended) => return Ok(ended),
    };
    let (stage, met) = open(&flow)?;
    if deed.press == Press::Skip {
        if required(stage, met) {
            return desk.enrol(&flow, Told::default()).await;
        }
        return end(desk, flow, step).await;
    }
    if deed.press == Press::Another {
        return match step.phone {
            Some(_) => enrol_phone::give_up(desk, &flow, step).await,
            None => desk.enrol(&flow, Told::default()).await,
        };
    }
    let kinds = desk.enrollable(&flow, stage).await?;
    let user = subject(&flow)?;
    if deed.press == Press::Passkey {
        return match kinds.contains(&Kind::Passkey) {
            true => finish_passkey(deed, desk, flow, step, &user).await,
            false => Err(Stop::Again),
        };
    }
    let again = |way: &&str| deed.press != Press::Resend || *way == Kind::Phone.word();
    let Some(wanted) = deed.field(field::WAY).filter(again) else {
        return code(deed, desk, flow, step, &kinds).await;
    };
    let Some(kind) = Kind::parse(wanted).filter(|kind| kinds.contains(kind)) else {
        return desk.enrol(&flow, Told::from(Problem::Missing)).await;
    };
    match kind {
        Kind::Passkey => begin_passkey(desk, &flow, &user).await,
        Kind::Totp if deed.field(field::SEALED).is_some() => finish_totp(deed, desk, flow, step, &user).await,
        Kind::Totp => begin_totp(desk, &flow, &user).await,
        Kind::Address(way) => address(deed, desk, &flow, &user, way).await,
        Kind::Phone => enrol_phone::begin(desk, &flow, step, &user).await,
        Kind::Questions | Kind::Codes => Err(Stop::Again),
    }
}

fn asker(flow: &Flow, user: &UserId) -> Asker {
    Asker { client: flow.client.clone(), person: Some(user.clone()) }
}

pub(super) async fn refused(desk: &Desk<'_>, flow: &Flow, not: NotEnrolled) -> Result<Response, Stop> {
    desk.enrol(flow, Told::from(setup::problem(not)?)).await
}

/// One was enrolled and proved: the sign-in goes on.
async fn enrolled(
    desk: &Desk<'_>,
    flow: Flow,
    step: &SignInStep,
    kind: FactorKind,
    id: &EnrolmentId,
    verified: bool,
) -> Result<Response, Stop> {
    let flow = desk.sign_ins().enrolled(flow, kind, id, verified, Vec::new()).await.map_err(Stop::failed)?;
    end(desk, flow, step).await
}

/// The sign-in, where its person may go on with it; or the page it ended with. Asked before anything is enrolled.
pub(super) async fn still(desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Result<Flow, Response>, Stop> {
    let errand = Errand::of(desk.app, desk.call, desk.interaction.clone()).await?;
    match errand.gate().enrolling(flow, step).await.map_err(Stop::failed)? {
        Ok((flow, _)) => Ok(Ok(flow)),
        Err(ended) => act::follow(desk.app, desk.call, desk.interaction.clone(), errand, ended).await.map(Err),
    }
}

pub(super) async fn end(desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Response, Stop> {
    let errand = Errand::of(desk.app, desk.call, desk.interaction.clone()).await?;
    let passage = errand.gate().end_enrolment(flow, step).await.map_err(Stop::failed)?;
    act::follow(desk.app, desk.call, desk.interaction.clone(), errand, passage).await
}

async fn address(deed: &Deed<'_>, desk: &Desk<'_>, flow: &Flow, user: &UserId, way: Address) -> Result<Response, Stop> {
    let sign_ins = desk.sign_ins();
    let Some(typed) = deed.field(field::ADDRESS).map(str::trim) else {
        let person = sign_ins.person(user).await?;
        let known = person.as_ref().and_then(|person| way.known(person));
        return Ok(desk.enrol_address(way, known.map_or("", String::as_str), Told::default()));
    };
    match setup::address(sign_ins, user, way, &way.read(typed)).await {
        Ok(enrolment) => send(desk, flow, user, way, &enrolment).await,
        Err(NotEnrolled::Unusable(Unusable::BadAddress | Unusable::DomainNotAllowed)) => {
            Ok(desk.enrol_address(way, typed, Told::from(Problem::BadAddress)))
        }
        Err(not) => refused(desk, flow, not).await,
    }
}

async fn send(
    desk: &Desk<'_>,
    flow: &Flow,
    user: &UserId,
    way: Address,
    enrolment: &Enrolment,
) -> Result<Response, Stop> {
    let request = IssueRequest::Code { enrolment, correlation: None };
    match desk.sign_ins().issue_alone(&asker(flow, user), request).await {
        Ok(made) => Ok(desk.enrol_code(way.factor(), &made.challenge, Told::default())),
        Err(failure) => {
            let to = otp::address(enrolment).unwrap_or_default();
            Ok(desk.enrol_address(way, to, Told::from(told(failure)?)))
        }
    }
}

/// A code that was sent to an address about to be enrolled; or it is to be sent once more.
async fn code(
    deed: &Deed<'_>,
    desk: &Desk<'_>,
    flow: Flow,
    step: &SignInStep,
    kinds: &[Kind],
) -> Result<Response, Stop> {
    let (sign_ins, user) = (desk.sign_ins(), &subject(&flow)?);
    let challenge = match deed.field(field::ID) {
        Some(id) => sign_ins.challenge(&ChallengeId::from(id)).await?.filter(|one| asker(&flow, user).made(one)),
        None => None,
    };
    let way = challenge.as_ref().and_then(|one| Address::of(FactorKind::parse(&one.kind)?));
    // Nor is one proved here that could not be begun here now.
    let way = way.filter(|way| kinds.contains(&Kind::Address(*way)));
    let enrolment = match challenge.as_ref().and_then(|one| one.enrolment.clone()) {
        Some(id) => sign_ins.enrolment(&id).await?,
        None => None,
    };
    let (Some(challenge), Some(way), Some(enrolment)) = (challenge, way, enrolment) else {
        return desk.enrol(&flow, Told::default()).await;
    };
    if deed.press == Press::Resend {
        return send(desk, &flow, user, way, &enrolment).await;
    }
    let kind = way.factor();
    let Some(code) = deed.field(field::CODE).map(act_factor::typed).filter(|code| !code.is_empty()) else {
        return Ok(desk.enrol_code(kind, &challenge, Told::from(Problem::Missing)));
    };
    let submission = Submission::Code { challenge: challenge.clone(), code: Secret::new(code) };
    match sign_ins.submit_alone(&asker(&flow, user), submission).await {
        Ok(_) => enrolled(desk, flow, step, kind, &enrolment.id, false).await,
        Err(failure) => Ok(desk.enrol_code(kind, &challenge, Told::from(told(failure)?))),
    }
}

async fn begin_totp(desk: &Desk<'_>, flow: &Flow, user: &UserId) -> Result<Response, Stop> {
    match Picture::new(desk.app, desk.sign_ins(), user).await {
        Ok(picture) => Ok(desk.enrol_totp(&picture, Told::default())),
        Err(not) => refused(desk, flow, not).await,
    }
}

async fn finish_totp(
    deed: &Deed<'_>,
    desk: &Desk<'_>,
    flow: Flow,
    step: &SignInStep,
    user: &UserId,
) -> Result<Response, Stop> {
    let (way, sealed) = (deed.field(field::ID).unwrap_or_default(), deed.field(field::SEALED).unwrap_or_default());
    let Some(picture) = Picture::of_form(desk.app, desk.sign_ins(), user, way, sealed).await? else {
        return desk.enrol(&flow, Told::from(Problem::NotAccepted)).await;
    };
    let Some(code) = deed.field(field::CODE).map(act_factor::typed).filter(|code| !code.is_empty()) else {
        return Ok(desk.enrol_totp(&picture, Told::from(Problem::Missing)));
    };
    let submission = Submission::Totp { enrolment: Some(picture.enrolment.clone()), code: Secret::new(code) };
    match desk.sign_ins().submit_alone(&asker(&flow, user), submission).await {
        Ok(_) => enrolled(desk, flow, step, FactorKind::Totp, &picture.enrolment.id, false).await,
        Err(failure) => Ok(desk.enrol_totp(&picture, Told::from(told(failure)?))),
    }
}

async fn begin_passkey(desk: &Desk<'_>, flow: &Flow, user: &UserId) -> Result<Response, Stop> {
    let Some(party) = desk.relying_party() else {
        return desk.enrol(flow, Told::from(Problem::WayUnavailable)).await;
    };
    match desk.sign_ins().begin_registration(party, user, None, "preferred").await {
        Ok(options) => {
            let action = desk.action(Place::Enrol);
            let page = EnrolPasskey { step: desk.step(&action, &[], Told::default()), options: &options };
            Ok(desk.answer(&Page::EnrolPasskey(page)))
        }
        Err(not) => refused(desk, flow, not).await,
    }
}

async fn finish_passkey(
    deed: &Deed<'_>,
    desk: &Desk<'_>,
    flow: Flow,
    step: &SignInStep,
    user: &UserId,
) -> Result<Response, Stop> {
    let Some(party) = desk.relying_party() else {
        return desk.enrol(&flow, Told::from(Problem::NotAccepted)).await;
    };
    let (credential, name) = (deed.field(field::CREDENTIAL), deed.field(field::NAME));
    match setup::passkey(desk.sign_ins(), party, user, credential, name).await {
        Ok(made) => {
            let verified = made.attributes.get("userVerified").and_then(Value::as_bool).unwrap_or(false);
            enrolled(desk, flow, step, FactorKind::Passkey, &made.id, verified).await
        }
        Err(not) => refused(desk, &flow, not).await,
    }
}
