//! Adding a way to sign in.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use engine::FactorKind;
use protocol::form::Form;
use protocol::json;
use protocol::records::EnrolmentId;
use serde_json::{Value, json};

use super::super::pages::{
    AccountAdd, AccountAddress, AccountCodes, AccountInvite, AccountPasskey, AccountQuestions, AccountTotp, Page,
    Press, Problem, Said, field,
};
use super::super::{phone, show};
use super::{Desk, confirm, done, nothing, one, problem};
use crate::delivery::Channel;
use crate::oauth::authorize::{Stop, see_other};
use crate::secret::Secret;
use crate::signin::enrol::{NotEnrolled, may_add};
use crate::signin::factors::webauthn;
use crate::signin::{Submission, factors::otp};

/// Recovery codes of one set.
const CODES: u8 = 10;
const LONGEST_SEALED: usize = 4096;

/// Kinds that are added by way of a form of their own.
pub(super) fn has_form(kind: &str) -> bool {
    sent(kind).is_some() || kind == "questions"
}

fn sent(kind: &str) -> Option<(FactorKind, Channel, &'static str)> {
    Some(match kind {
        "email" => (FactorKind::EmailOtp, Channel::Email, "email"),
        "sms" => (FactorKind::SmsOtp, Channel::Sms, "sms"),
        "voice" => (FactorKind::VoiceOtp, Channel::Voice, "voice"),
        _ => return None,
    })
}

/// What this person may add here, the best first.
pub(super) async fn kinds(desk: &Desk<'_>) -> Result<Vec<&'static str>, Stop> {
    let tenant = &desk.call.tenant;
    let settings = &tenant.tenant.settings;
    let offered = |kind| tenant.offered.contains(&kind);
    let leaves =
        |kind: &str| sent(kind).is_some_and(|(kind, channel, _)| offered(kind) && desk.app.delivery.supports(channel));
    let enrolled = desk.sign_ins().enrolments_of(&desk.holder.user.id).await?;
    let has = |kind: FactorKind| enrolled.iter().any(|one| one.kind == kind.as_str() && one.validated);
    let all = [
        ("passkey", offered(FactorKind::Passkey) && show::relying_party(desk.call).is_some()),
        ("totp", offered(FactorKind::Totp) && !has(FactorKind::Totp)),
        ("phone", settings.push.enabled),
        ("email", leaves("email")),
        ("sms", leaves("sms")),
        ("voice", leaves("voice")),
        ("questions", offered(FactorKind::Questions) && settings.questions.enabled && !has(FactorKind::Questions)),
        ("codes", settings.bypass.enabled),
    ];
    Ok(all.into_iter().filter_map(|(kind, there)| there.then_some(kind)).collect())
}

/// `GET /account/add`.
pub(super) async fn choose(desk: &Desk<'_>, problem: Option<Problem>) -> Result<Response, Stop> {
    let page = AccountAdd { frame: desk.frame(problem), kinds: kinds(desk).await? };
    Ok(desk.answer(&Page::AccountAdd(page)))
}

/// `GET /account/add/{kind}`: those with a form of their own.
pub(super) async fn page(desk: &Desk<'_>, kind: &str) -> Result<Response, Stop> {
    if !kinds(desk).await?.contains(&kind) {
        return Ok(nothing());
    }
    match kind {
        "questions" => Ok(questions_page(desk, None)),
        "codes" => see_other("/account/codes").map_err(Stop::from),
        _ => match sent(kind) {
            Some((factor, _, kind)) => {
                let attribute = if factor == FactorKind::EmailOtp { "email" } else { "phone_number" };
                let known = desk.holder.user.attributes.get(attribute).and_then(|values| values.first());
                let enrolled = desk.sign_ins().enrolments_of(&desk.holder.user.id).await?;
                let taken = |to: &&String| {
                    enrolled.iter().any(|one| one.kind == factor.as_str() && otp::address(one) == Some(to.as_str()))
                };
                let address = known.filter(|to| !taken(to)).cloned().unwrap_or_default();
                Ok(address_page(desk, kind, &address, None))
            }
            None => see_other("/account/add").map_err(Stop::from),
        },
    }
}

fn address_page(desk: &Desk<'_>, kind: &'static str, address: &str, problem: Option<Problem>) -> Response {
    let page = AccountAddress { frame: desk.frame(problem), kind, address: address.to_owned() };
    desk.answer(&Page::AccountAddress(page))
}

fn questions_page(desk: &Desk<'_>, problem: Option<Problem>) -> Response {
    let settings = &desk.call.tenant.tenant.settings.questions;
    let questions: Vec<(String, String)> =
        settings.questions.iter().map(|(key, text)| (key.clone(), text.clone())).collect();
    let required = usize::from(settings.required).clamp(1, questions.len().max(1));
    desk.answer(&Page::AccountQuestions(AccountQuestions { frame: desk.frame(problem), questions, required }))
}

/// Whether what was proved of late allows a further way.
async fn allowed(desk: &Desk<'_>) -> Result<bool, Stop> {
    let enrolled = desk.sign_ins().enrolments_of(&desk.holder.user.id).await?;
    Ok(may_add(&desk.kinds(), &enrolled))
}

/// `POST /account/add`: a kind was chosen.
pub(super) async fn chosen(desk: &Desk<'_>, form: &Form) -> Result<Response, Stop> {
    let wanted = one(form, field::WAY).unwrap_or_default();
    let Some(kind) = kinds(desk).await?.into_iter().find(|kind| *kind == wanted) else {
        return choose(desk, Some(Problem::Missing)).await;
    };
    if !allowed(desk).await? {
        return choose(desk, Some(Problem::Stronger)).await;
    }
    match kind {
        "passkey" => begin_passkey(desk).await,
        "totp" => begin_totp(desk).await,
        "phone" => invite(desk).await,
        "codes" => see_other("/account/codes").map_err(Stop::from),
        _ => see_other(&format!("/account/add/{kind}")).map_err(Stop::from),
    }
}

/// `POST /account/add/{kind}`.
pub(super) async fn act(desk: &Desk<'_>, kind: &str, form: &Form, press: Press) -> Result<Response, Stop> {
    if !kinds(desk).await?.contains(&kind) {
        return Ok(nothing());
    }
    if !allowed(desk).await? {
        return choose(desk, Some(Problem::Stronger)).await;
    }
    match kind {
        "passkey" if press == Press::Passkey => finish_passkey(desk, form).await,
        "totp" => finish_totp(desk, form).await,
        "questions" => questions(desk, form).await,
        _ => match sent(kind) {
            Some((factor, _, kind)) => address(desk, factor, kind, form).await,
            None => Ok(nothing()),
        },
    }
}

async fn address(desk: &Desk<'_>, factor: FactorKind, kind: &'static str, form: &Form) -> Result<Response, Stop> {
    let typed = one(form, field::ADDRESS).unwrap_or_default();
    // People write numbers in groups.
    let to: String = if factor == FactorKind::EmailOtp {
        typed.to_owned()
    } else {
        typed.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '/' | '.')).collect()
    };
    if to.is_empty() {
        return Ok(address_page(desk, kind, "", Some(Problem::Missing)));
    }
    let sign_ins = desk.sign_ins();
    let before = sign_ins.enrolments_of(&desk.holder.user.id).await?;
    let same = before.into_iter().find(|one| one.kind == factor.as_str() && otp::address(one) == Some(to.as_str()));
    let enrolment = match same {
        // Begun before and never confirmed.
        Some(one) if !one.validated && one.enabled => one,
        _ => match sign_ins.enrol_address(&desk.holder.user.id, factor, &to, true).await {
            Ok(made) => made,
            Err(not) => return Ok(address_page(desk, kind, typed, Some(problem(not)?))),
        },
    };
    match confirm::send(desk, &enrolment).await? {
        Ok(response) => Ok(response),
        Err(told) => Ok(address_page(desk, kind, typed, Some(told))),
    }
}

async fn begin_totp(desk: &Desk<'_>) -> Result<Response, Stop> {
    let sign_ins = desk.sign_ins();
    // One that was begun and never confirmed makes room: nobody holds its key.
    for one in sign_ins.enrolments_of(&desk.holder.user.id).await? {
        if one.kind == FactorKind::Totp.as_str() && !one.validated {
            match sign_ins.remove_enrolment(one.id).await {
                Ok(()) | Err(NotEnrolled::Stale) => {}
                Err(not) => return choose(desk, Some(problem(not)?)).await,
            }
        }
    }
    match sign_ins.enrol_totp(&desk.holder.user.id, None, true).await {
        Ok(made) => {
            let shown = json!([made.uri.expose(), made.secret.expose()]).to_string();
            let way = made.enrolment.id.as_str();
            let sealed = STANDARD_NO_PAD.encode(desk.app.master.seal(&purpose(way), shown.as_bytes()));
            Ok(totp_page(desk, way, made.uri.expose(), made.secret.expose(), &sealed, None))
        }
        Err(not) => choose(desk, Some(problem(not)?)).await,
    }
}

fn purpose(way: &str) -> String {
    format!("totp picture {way}")
}

fn totp_page(desk: &Desk<'_>, way: &str, uri: &str, secret: &str, sealed: &str, problem: Option<Problem>) -> Response {
    let page = AccountTotp {
        frame: desk.frame(problem),
        way: way.to_owned(),
        uri: uri.to_owned(),
        secret: secret.to_owned(),
        sealed: sealed.to_owned(),
        length: desk.call.tenant.tenant.settings.totp.digits,
    };
    desk.answer(&Page::AccountTotp(page))
}

async fn finish_totp(desk: &Desk<'_>, form: &Form) -> Result<Response, Stop> {
    let way = one(form, field::WAY).unwrap_or_default();
    let sealed = one(form, field::SEALED).filter(|text| text.len() <= LONGEST_SEALED).unwrap_or_default();
    let plain = STANDARD_NO_PAD.decode(sealed).ok().and_then(|sealed| desk.app.master.open(&purpose(way), &sealed));
    let shown = plain.and_then(|plain| serde_json::from_slice::<(String, String)>(&plain).ok());
    let enrolment = desk.sign_ins().enrolment(&EnrolmentId::from(way)).await?;
    let enrolment = enrolment.filter(|one| one.user == desk.holder.user.id && one.kind == FactorKind::Totp.as_str());
    let (Some((uri, secret)), Some(enrolment)) = (shown, enrolment) else {
        return choose(desk, Some(Problem::NotAccepted)).await;
    };
    let again = |problem| totp_page(desk, way, &uri, &secret, sealed, Some(problem));
    let code: String =
        one(form, field::CODE).unwrap_or_default().chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    if code.is_empty() {
        return Ok(again(Problem::Missing));
    }
    let submission = Submission::Totp { enrolment: Some(enrolment), code: Secret::new(code) };
    match desk.sign_ins().submit_alone(&desk.asker(), submission).await {
        Ok(_) => done("/account", Said::Added),
        Err(failure) => Ok(again(confirm::told(failure)?)),
    }
}

async fn begin_passkey(desk: &Desk<'_>) -> Result<Response, Stop> {
    let Some(party) = show::relying_party(desk.call) else {
        return choose(desk, Some(Problem::WayUnavailable)).await;
    };
    let user = &desk.holder.user;
    let name = user.attributes.get("name").and_then(|values| values.first()).map(String::as_str);
    match desk.sign_ins().begin_registration(party, &user.id, name, "preferred").await {
        Ok(options) => Ok(passkey_page(desk, options, true, "/account/add/passkey")),
        Err(not) => choose(desk, Some(problem(not)?)).await,
    }
}

pub(super) fn passkey_page(desk: &Desk<'_>, options: Value, new: bool, action: &str) -> Response {
    let page = AccountPasskey { frame: desk.frame(None), options, new, action: action.to_owned() };
    desk.answer(&Page::AccountPasskey(page))
}

async fn finish_passkey(desk: &Desk<'_>, form: &Form) -> Result<Response, Stop> {
    let response = one(form, field::CREDENTIAL).and_then(|text| json::parse_object(text.as_bytes(), json::USUAL).ok());
    let (Some(mut response), Some(party)) = (response, show::relying_party(desk.call)) else {
        return choose(desk, Some(Problem::NotAccepted)).await;
    };
    let name: String = one(form, field::NAME).unwrap_or_default().chars().take(60).collect();
    response.insert("nickname".to_owned(), Value::String(name));
    let response = Value::Object(response);
    let challenge = match webauthn::challenge_id(&response) {
        Some(id) => desk.sign_ins().challenge(&id).await?,
        None => None,
    };
    let Some(challenge) = challenge else { return choose(desk, Some(Problem::NotAccepted)).await };
    let user = &desk.holder.user.id;
    match desk.sign_ins().finish_registration(party, &challenge, user, &response, true).await {
        Ok(_) => done("/account", Said::Added),
        Err(not) => choose(desk, Some(problem(not)?)).await,
    }
}

async fn invite(desk: &Desk<'_>) -> Result<Response, Stop> {
    let user = &desk.holder.user;
    let (code, seconds) = match desk.sign_ins().invite_device(&user.id, "", None).await {
        Ok(invited) => invited,
        Err(not) => return choose(desk, Some(problem(not)?)).await,
    };
    let text = json!({
        "version": { "number": "1.0.0", "platform": "com.ibm.security.access.verify" },
        "code": code,
        "registrationUri": format!("{}/v1.0/authenticators/registration", desk.call.base),
        "accountName": user.username,
    })
    .to_string();
    let link = phone::link(&desk.call.base, &text);
    let page = AccountInvite { frame: desk.frame(None), text, link, minutes: seconds / 60 };
    Ok(desk.answer(&Page::AccountInvite(page)))
}

async fn questions(desk: &Desk<'_>, form: &Form) -> Result<Response, Stop> {
    let settings = &desk.call.tenant.tenant.settings.questions;
    let mut answers = Vec::new();
    for nth in 1..=usize::from(settings.required).clamp(1, 10) {
        let key = one(form, &format!("{}{nth}", field::QUESTION));
        let answer = one(form, &format!("{}{nth}", field::ANSWER));
        let (Some(key), Some(answer)) = (key, answer) else {
            return Ok(questions_page(desk, Some(Problem::Missing)));
        };
        answers.push((key.to_owned(), Secret::from(answer)));
    }
    match desk.sign_ins().enrol_questions(&desk.holder.user.id, &answers, true).await {
        Ok(_) => done("/account", Said::Added),
        Err(not) => Ok(questions_page(desk, Some(problem(not)?))),
    }
}

/// `GET /account/codes`, and what `POST` answers: the codes, this once.
pub(super) async fn codes_page(
    desk: &Desk<'_>,
    codes: Vec<String>,
    problem: Option<Problem>,
) -> Result<Response, Stop> {
    if !desk.call.tenant.tenant.settings.bypass.enabled {
        return Ok(nothing());
    }
    let left = desk.sign_ins().bypass_codes_left(&desk.holder.user.id).await?;
    Ok(desk.answer(&Page::AccountCodes(AccountCodes { frame: desk.frame(problem), codes, left })))
}

/// `POST /account/codes`.
pub(super) async fn codes(desk: &Desk<'_>) -> Result<Response, Stop> {
    if !allowed(desk).await? {
        return codes_page(desk, Vec::new(), Some(Problem::Stronger)).await;
    }
    match desk.sign_ins().issue_bypass_codes(&desk.holder.user.id, CODES, None).await {
        Ok(made) => {
            let grouped = |code: &Secret<String>| {
                let digits: Vec<char> = code.expose().chars().collect();
                digits.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
            };
            codes_page(desk, made.iter().map(grouped).collect(), None).await
        }
        Err(not) => codes_page(desk, Vec::new(), Some(problem(not)?)).await,
    }
}
