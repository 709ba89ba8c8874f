//! Enrolling a factor in the middle of a sign-in, where policy wants one that the person has not: required, or offered.
//!
//! Owns the pages of it and what their forms do. Whether anything is to be enrolled is the engine's to say; that a password alone
//! adds nothing beside factors somebody has already is [`may_add`]'s.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use engine::policy::Unenrolled;
use engine::{FactorKind, Open, Stage};
use protocol::json;
use protocol::records::{ChallengeId, Enrolment, EnrolmentId, UserId};
use serde_json::{Value, json};

use super::Place;
use super::act::{self, Deed};
use super::act_factor;
use super::errand::Errand;
use super::pages::{CodeEntry, Enrol, EnrolAddress, EnrolPasskey, EnrolTotp, Page, Press, Problem, field};
use super::show::{Desk, Told};
use crate::browser::interaction::SignInStep;
use crate::oauth::authorize::Stop;
use crate::secret::Secret;
use crate::signin::alone::shown;
use crate::signin::enrol::{NotEnrolled, may_add};
use crate::signin::factors::{Unusable, otp, webauthn};
use crate::signin::ways::mask;
use crate::signin::{Asker, Failure, Flow, IssueRequest, Submission};

const LONGEST_SEALED: usize = 4096;

/// What may be enrolled here, in the order policy names it, each by the word of its page.
const KINDS: [(&str, FactorKind); 5] = [
    ("passkey", FactorKind::Passkey),
    ("totp", FactorKind::Totp),
    ("email", FactorKind::EmailOtp),
    ("sms", FactorKind::SmsOtp),
    ("voice", FactorKind::VoiceOtp),
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
    async fn enrollable(&self, flow: &Flow, open: &Open) -> Result<Vec<&'static str>, Stop> {
        let enrolled = self.sign_ins().enrolments_of(&subject(flow)?).await?;
        let proved: Vec<FactorKind> = flow.stored.state.proofs.iter().map(|proof| proof.kind).collect();
        if !may_add(&proved, &enrolled) {
            return Ok(Vec::new());
        }
        let can = |kind: FactorKind| {
            let leaves = otp::channel_of(kind.as_str()).is_none_or(|channel| self.app.delivery.supports(channel));
            let runs = kind != FactorKind::Passkey || self.relying_party().is_some();
            open.any_of().contains(&kind) && leaves && runs
        };
        Ok(KINDS.into_iter().filter(|(_, kind)| can(*kind)).map(|(word, _)| word).collect())
    }

    /// The page that offers it.
    pub(super) async fn enrol(&self, flow: &Flow, told: Told) -> Result<Response, Stop> {
        let (open, met) = open(flow)?;
        let kinds = self.enrollable(flow, open).await?;
        if kinds.is_empty() && required(open, met) {
            return self.nothing(flow, told).await;
        }
        let action = self.action(Place::Enrol);
        let page = Enrol { step: self.step(&action, &[], told), kinds: &kinds, required: required(open, met) };
        Ok(self.answer(&Page::Enrol(page)))
    }

    fn enrol_address(&self, kind: &'static str, address: &str, told: Told) -> Response {
        let action = self.action(Place::Enrol);
        let hidden = [("way", kind)];
        self.answer(&Page::EnrolAddress(EnrolAddress { step: self.step(&action, &hidden, told), kind, address }))
    }

    fn enrol_totp(&self, way: &str, sealed: &str, uri: &str, secret: &str, told: Told) -> Response {
        let action = self.action(Place::Enrol);
        let hidden = [("way", "totp"), ("id", way), ("sealed", sealed)];
        let length = self.call.tenant.tenant.settings.totp.digits;
        let page = EnrolTotp { step: self.step(&action, &hidden, told), uri, secret, length };
        self.answer(&Page::EnrolTotp(page))
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
    let (stage, met) = open(&flow)?;
    if deed.press == Press::Skip {
        if required(stage, met) {
            return desk.enrol(&flow, Told::default()).await;
        }
        return end(desk, flow, step).await;
    }
    if deed.press == Press::Another {
        return desk.enrol(&flow, Told::default()).await;
    }
    let kinds = desk.enrollable(&flow, stage).await?;
    let user = subject(&flow)?;
    if deed.press == Press::Passkey {
        return match kinds.contains(&"passkey") {
            true => finish_passkey(deed, desk, flow, step, &user).await,
            false => Err(Stop::Again),
        };
    }
    let wanted = deed.field(field::WAY);
    if wanted.is_none() || deed.press == Press::Resend {
        return code(deed, desk, flow, step, &user).await;
    }
    let Some(kind) = kinds.into_iter().find(|kind| wanted == Some(*kind)) else {
        return desk.enrol(&flow, Told::from(Problem::Missing)).await;
    };
    match kind {
        "passkey" => begin_passkey(desk, &flow, &user).await,
        "totp" if deed.field(field::SEALED).is_some() => finish_totp(deed, desk, flow, step, &user).await,
        "totp" => begin_totp(desk, &flow, &user).await,
        _ => address(deed, desk, &flow, &user, kind).await,
    }
}

fn asker(flow: &Flow, user: &UserId) -> Asker {
    Asker { client: flow.client.clone(), person: Some(user.clone()) }
}

async fn refused(desk: &Desk<'_>, flow: &Flow, not: NotEnrolled) -> Result<Response, Stop> {
    let problem = match not {
        NotEnrolled::Fault(fault) => return Err(fault.into()),
        NotEnrolled::NoSuchPerson | NotEnrolled::Stale => return Err(Stop::Again),
        NotEnrolled::Limit => Problem::Limit,
        NotEnrolled::NotAccepted(_) => Problem::NotAccepted,
        NotEnrolled::Unusable(Unusable::BadAddress | Unusable::DomainNotAllowed) => Problem::BadAddress,
        NotEnrolled::Unusable(_) => Problem::WayUnavailable,
    };
    desk.enrol(flow, Told::from(problem)).await
}

fn told(failure: Failure) -> Result<Told, Stop> {
    Ok(Told::from(match failure {
        Failure::Wrong(cause) => act_factor::problem(Place::Code, cause),
        Failure::TooManyMessages => Problem::TooManyMessages { wait: None },
        Failure::Unusable(_) => Problem::WayUnavailable,
        Failure::NotNow(_) => Problem::CodeExpired,
        Failure::Busy(_) | Failure::Stale | Failure::Fault(_) => return Err(Stop::failed(failure)),
    }))
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

async fn end(desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Response, Stop> {
    let errand = Errand::of(desk.app, desk.call, desk.interaction.clone()).await?;
    let passage = errand.gate().end_enrolment(flow, step).await.map_err(Stop::failed)?;
    act::follow(desk.app, desk.call, desk.interaction.clone(), errand, passage).await
}

async fn address(
    deed: &Deed<'_>,
    desk: &Desk<'_>,
    flow: &Flow,
    user: &UserId,
    word: &'static str,
) -> Result<Response, Stop> {
    let Some((_, kind)) = KINDS.into_iter().find(|(one, _)| *one == word) else { return Err(Stop::Again) };
    let sign_ins = desk.sign_ins();
    let Some(typed) = deed.field(field::ADDRESS).map(str::trim) else {
        let person = sign_ins.person(user).await?;
        let attribute = if kind == FactorKind::EmailOtp { "email" } else { "phone_number" };
        let known = person.as_ref().and_then(|person| person.attributes.get(attribute)?.first());
        return Ok(desk.enrol_address(word, known.map_or("", String::as_str), Told::default()));
    };
    // People write numbers in groups.
    let to: String = if kind == FactorKind::EmailOtp {
        typed.to_owned()
    } else {
        typed.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '/' | '.')).collect()
    };
    let before = sign_ins.enrolments_of(user).await?;
    let same = before.into_iter().find(|one| one.kind == kind.as_str() && otp::address(one) == Some(to.as_str()));
    let enrolment = match same {
        Some(one) if !one.validated && one.enabled => one,
        _ => match sign_ins.enrol_address(user, kind, &to, true).await {
            Ok(made) => made,
            Err(NotEnrolled::Unusable(Unusable::BadAddress | Unusable::DomainNotAllowed)) => {
                return Ok(desk.enrol_address(word, typed, Told::from(Problem::BadAddress)));
            }
            Err(not) => return refused(desk, flow, not).await,
        },
    };
    send(desk, flow, user, kind, &enrolment, word).await
}

async fn send(
    desk: &Desk<'_>,
    flow: &Flow,
    user: &UserId,
    kind: FactorKind,
    enrolment: &Enrolment,
    word: &'static str,
) -> Result<Response, Stop> {
    let request = IssueRequest::Code { enrolment, correlation: None };
    match desk.sign_ins().issue_alone(&asker(flow, user), request).await {
        Ok(made) => Ok(desk.enrol_code(kind, &made.challenge, Told::default())),
        Err(failure) => {
            let to = otp::address(enrolment).unwrap_or_default();
            Ok(desk.enrol_address(word, to, told(failure)?))
        }
    }
}

/// A code that was sent to an address about to be enrolled; or it is to be sent once more.
async fn code(
    deed: &Deed<'_>,
    desk: &Desk<'_>,
    flow: Flow,
    step: &SignInStep,
    user: &UserId,
) -> Result<Response, Stop> {
    let sign_ins = desk.sign_ins();
    let challenge = match deed.field(field::ID) {
        Some(id) => sign_ins.challenge(&ChallengeId::from(id)).await?.filter(|one| asker(&flow, user).made(one)),
        None => None,
    };
    let kind = challenge.as_ref().and_then(|one| FactorKind::parse(&one.kind)).filter(|kind| otp::is_sent(*kind));
    let enrolment = match challenge.as_ref().and_then(|one| one.enrolment.clone()) {
        Some(id) => sign_ins.enrolment(&id).await?,
        None => None,
    };
    let (Some(challenge), Some(kind), Some(enrolment)) = (challenge, kind, enrolment) else {
        return desk.enrol(&flow, Told::default()).await;
    };
    if deed.press == Press::Resend {
        let word = KINDS.into_iter().find(|(_, one)| *one == kind).map_or("email", |(word, _)| word);
        return send(desk, &flow, user, kind, &enrolment, word).await;
    }
    let Some(code) = deed.field(field::CODE).map(act_factor::typed).filter(|code| !code.is_empty()) else {
        return Ok(desk.enrol_code(kind, &challenge, Told::from(Problem::Missing)));
    };
    let submission = Submission::Code { challenge: challenge.clone(), code: Secret::new(code) };
    match sign_ins.submit_alone(&asker(&flow, user), submission).await {
        Ok(_) => enrolled(desk, flow, step, kind, &enrolment.id, false).await,
        Err(failure) => Ok(desk.enrol_code(kind, &challenge, told(failure)?)),
    }
}

fn purpose(way: &str) -> String {
    format!("totp picture {way}")
}

async fn begin_totp(desk: &Desk<'_>, flow: &Flow, user: &UserId) -> Result<Response, Stop> {
    let sign_ins = desk.sign_ins();
    // One that was begun and never confirmed makes room: nobody holds its key.
    for one in sign_ins.enrolments_of(user).await? {
        if one.kind == FactorKind::Totp.as_str() && !one.validated {
            match sign_ins.remove_enrolment(one.id).await {
                Ok(()) | Err(NotEnrolled::Stale) => {}
                Err(not) => return refused(desk, flow, not).await,
            }
        }
    }
    match sign_ins.enrol_totp(user, None, true).await {
        Ok(made) => {
            let shown = json!([made.uri.expose(), made.secret.expose()]).to_string();
            let way = made.enrolment.id.as_str();
            let sealed = STANDARD_NO_PAD.encode(desk.app.master.seal(&purpose(way), shown.as_bytes()));
            Ok(desk.enrol_totp(way, &sealed, made.uri.expose(), made.secret.expose(), Told::default()))
        }
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
    let way = deed.field(field::ID).unwrap_or_default();
    let sealed = deed.field(field::SEALED).filter(|text| text.len() <= LONGEST_SEALED).unwrap_or_default();
    let plain = STANDARD_NO_PAD.decode(sealed).ok().and_then(|sealed| desk.app.master.open(&purpose(way), &sealed));
    let shown = plain.and_then(|plain| serde_json::from_slice::<(String, String)>(&plain).ok());
    let enrolment = desk.sign_ins().enrolment(&EnrolmentId::from(way)).await?;
    let enrolment = enrolment.filter(|one| one.user == *user && one.kind == FactorKind::Totp.as_str());
    let (Some((uri, secret)), Some(enrolment)) = (shown, enrolment) else {
        return desk.enrol(&flow, Told::from(Problem::NotAccepted)).await;
    };
    let Some(code) = deed.field(field::CODE).map(act_factor::typed).filter(|code| !code.is_empty()) else {
        return Ok(desk.enrol_totp(way, sealed, &uri, &secret, Told::from(Problem::Missing)));
    };
    let id = enrolment.id.clone();
    let submission = Submission::Totp { enrolment: Some(enrolment), code: Secret::new(code) };
    match desk.sign_ins().submit_alone(&asker(&flow, user), submission).await {
        Ok(_) => enrolled(desk, flow, step, FactorKind::Totp, &id, false).await,
        Err(failure) => Ok(desk.enrol_totp(way, sealed, &uri, &secret, told(failure)?)),
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
    let response = deed.field(field::CREDENTIAL).and_then(|text| json::parse_object(text.as_bytes(), json::USUAL).ok());
    let (Some(mut response), Some(party)) = (response, desk.relying_party()) else {
        return desk.enrol(&flow, Told::from(Problem::NotAccepted)).await;
    };
    let name: String = deed.field(field::NAME).unwrap_or_default().trim().chars().take(60).collect();
    response.insert("nickname".to_owned(), Value::String(name));
    let response = Value::Object(response);
    let challenge = match webauthn::challenge_id(&response) {
        Some(id) => desk.sign_ins().challenge(&id).await?,
        None => None,
    };
    let Some(challenge) = challenge else { return desk.enrol(&flow, Told::from(Problem::NotAccepted)).await };
    match desk.sign_ins().finish_registration(party, &challenge, user, &response, true).await {
        Ok(made) => {
            let verified = made.attributes.get("userVerified").and_then(Value::as_bool).unwrap_or(false);
            enrolled(desk, flow, step, FactorKind::Passkey, &made.id, verified).await
        }
        Err(not) => refused(desk, &flow, not).await,
    }
}
