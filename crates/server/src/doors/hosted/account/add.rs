//! Adding a way to sign in.

use axum::response::Response;
use engine::FactorKind;
use protocol::form::Form;
use serde_json::Value;

use super::super::pages::{
    AccountAdd, AccountAddress, AccountCodes, AccountInvite, AccountPasskey, AccountQuestions, AccountTotp, Invitation,
    Page, Press, Problem, Said, field,
};
use super::super::setup::{self, Address, Kind, Picture, problem, told};
use super::super::{act_factor, phone, show};
use super::{Desk, confirm, done, nothing, one};
use crate::oauth::authorize::{Stop, see_other};
use crate::secret::Secret;
use crate::signin::enrol::may_add;
use crate::signin::{Submission, factors::otp};

/// Recovery codes of one set.
const CODES: u8 = 10;

/// Kinds that are added by way of a form of their own.
pub(super) fn has_form(kind: Kind) -> bool {
    match kind {
        Kind::Address(_) | Kind::Questions => true,
        Kind::Passkey | Kind::Totp | Kind::Phone | Kind::Codes => false,
    }
}

/// What this person may add here, the best first.
pub(super) async fn kinds(desk: &Desk<'_>) -> Result<Vec<Kind>, Stop> {
    let tenant = &desk.call.tenant;
    let settings = &tenant.tenant.settings;
    let offered = |kind| tenant.offered.contains(&kind);
    let enrolled = desk.sign_ins().enrolments_of(&desk.holder.user.id).await?;
    let has = |kind: FactorKind| enrolled.iter().any(|one| one.kind == kind.as_str() && one.validated);
    let there = |kind: &Kind| match kind {
        Kind::Passkey => offered(FactorKind::Passkey) && show::relying_party(desk.call).is_some(),
        Kind::Totp => offered(FactorKind::Totp) && !has(FactorKind::Totp),
        Kind::Phone => settings.push.enabled,
        Kind::Address(address) => {
            let factor = address.factor();
            let leaves = otp::channel_of(factor.as_str()).is_some_and(|channel| desk.app.delivery.supports(channel));
            offered(factor) && leaves
        }
        Kind::Questions => offered(FactorKind::Questions) && settings.questions.enabled && !has(FactorKind::Questions),
        Kind::Codes => settings.bypass.enabled,
    };
    Ok(Kind::ALL.into_iter().filter(there).collect())
}

/// `GET /account/add`.
pub(super) async fn choose(desk: &Desk<'_>, problem: Option<Problem>) -> Result<Response, Stop> {
    let kinds = kinds(desk).await?.into_iter().map(Kind::word).collect();
    Ok(desk.answer(&Page::AccountAdd(AccountAdd { frame: desk.frame(problem), kinds })))
}

/// `GET /account/add/{kind}`: those with a form of their own.
pub(super) async fn page(desk: &Desk<'_>, kind: Kind) -> Result<Response, Stop> {
    if !kinds(desk).await?.contains(&kind) {
        return Ok(nothing());
    }
    match kind {
        Kind::Questions => Ok(questions_page(desk, None)),
        Kind::Codes => see_other("/account/codes").map_err(Stop::from),
        Kind::Passkey | Kind::Totp | Kind::Phone => see_other("/account/add").map_err(Stop::from),
        Kind::Address(way) => {
            let enrolled = desk.sign_ins().enrolments_of(&desk.holder.user.id).await?;
            let factor = way.factor();
            let taken = |to: &&String| {
                enrolled.iter().any(|one| one.kind == factor.as_str() && otp::address(one) == Some(to.as_str()))
            };
            let address = way.known(&desk.holder.user).filter(|to| !taken(to)).cloned().unwrap_or_default();
            Ok(address_page(desk, way, &address, None))
        }
    }
}

fn address_page(desk: &Desk<'_>, way: Address, address: &str, problem: Option<Problem>) -> Response {
    let kind = Kind::Address(way).word();
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
    let wanted = one(form, field::WAY).and_then(Kind::parse);
    let Some(kind) = kinds(desk).await?.into_iter().find(|kind| Some(*kind) == wanted) else {
        return choose(desk, Some(Problem::Missing)).await;
    };
    if !allowed(desk).await? {
        return choose(desk, Some(Problem::Stronger)).await;
    }
    match kind {
        Kind::Passkey => begin_passkey(desk).await,
        Kind::Totp => begin_totp(desk).await,
        Kind::Phone => invite(desk).await,
        Kind::Codes => see_other("/account/codes").map_err(Stop::from),
        Kind::Address(_) | Kind::Questions => see_other(&format!("/account/add/{}", kind.word())).map_err(Stop::from),
    }
}

/// `POST /account/add/{kind}`.
pub(super) async fn act(desk: &Desk<'_>, kind: Kind, form: &Form, press: Press) -> Result<Response, Stop> {
    if !kinds(desk).await?.contains(&kind) {
        return Ok(nothing());
    }
    if !allowed(desk).await? {
        return choose(desk, Some(Problem::Stronger)).await;
    }
    match kind {
        Kind::Passkey if press == Press::Passkey => finish_passkey(desk, form).await,
        Kind::Totp => finish_totp(desk, form).await,
        Kind::Questions => questions(desk, form).await,
        Kind::Address(way) => address(desk, way, form).await,
        Kind::Passkey | Kind::Phone | Kind::Codes => Ok(nothing()),
    }
}

async fn address(desk: &Desk<'_>, way: Address, form: &Form) -> Result<Response, Stop> {
    let typed = one(form, field::ADDRESS).unwrap_or_default();
    let to = way.read(typed);
    if to.is_empty() {
        return Ok(address_page(desk, way, "", Some(Problem::Missing)));
    }
    let enrolment = match setup::address(desk.sign_ins(), &desk.holder.user.id, way, &to).await {
        Ok(enrolment) => enrolment,
        Err(not) => return Ok(address_page(desk, way, typed, Some(problem(not)?))),
    };
    match confirm::send(desk, &enrolment).await? {
        Ok(response) => Ok(response),
        Err(told) => Ok(address_page(desk, way, typed, Some(told))),
    }
}

async fn begin_totp(desk: &Desk<'_>) -> Result<Response, Stop> {
    match Picture::new(desk.app, desk.sign_ins(), &desk.holder.user.id).await {
        Ok(picture) => Ok(totp_page(desk, picture, None)),
        Err(not) => choose(desk, Some(problem(not)?)).await,
    }
}

fn totp_page(desk: &Desk<'_>, picture: Picture, problem: Option<Problem>) -> Response {
    let page = AccountTotp {
        frame: desk.frame(problem),
        way: picture.enrolment.id.0,
        uri: picture.uri,
        secret: picture.secret,
        sealed: picture.sealed,
        length: desk.call.tenant.tenant.settings.totp.digits,
    };
    desk.answer(&Page::AccountTotp(page))
}

async fn finish_totp(desk: &Desk<'_>, form: &Form) -> Result<Response, Stop> {
    let way = one(form, field::WAY).unwrap_or_default();
    let sealed = one(form, field::SEALED).unwrap_or_default();
    let user = &desk.holder.user.id;
    let Some(picture) = Picture::of_form(desk.app, desk.sign_ins(), user, way, sealed).await? else {
        return choose(desk, Some(Problem::NotAccepted)).await;
    };
    let code = one(form, field::CODE).map(act_factor::typed).unwrap_or_default();
    if code.is_empty() {
        return Ok(totp_page(desk, picture, Some(Problem::Missing)));
    }
    let submission = Submission::Totp { enrolment: Some(picture.enrolment.clone()), code: Secret::new(code) };
    match desk.sign_ins().submit_alone(&desk.asker(), submission).await {
        Ok(_) => done("/account", Said::Added),
        Err(failure) => Ok(totp_page(desk, picture, Some(told(failure)?))),
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
    let Some(party) = show::relying_party(desk.call) else {
        return choose(desk, Some(Problem::NotAccepted)).await;
    };
    let (credential, name) = (one(form, field::CREDENTIAL), one(form, field::NAME));
    match setup::passkey(desk.sign_ins(), party, &desk.holder.user.id, credential, name).await {
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
    let base = &desk.call.base;
    let text = phone::invitation(base, &code, &user.username);
    let link = Some(phone::link(base, &text));
    let invitation = Invitation { text, link, address: phone::address(base), minutes: seconds / 60 };
    let page = AccountInvite { frame: desk.frame(None), invitation };
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
