//! Factors tried and proved at My security: codes that are typed, phones that answer. Outside any sign-in, with the counters that count
//! everywhere.

use axum::http::StatusCode;
use axum::response::Response;
use engine::FactorKind;
use protocol::form::Form;
use protocol::records::{ChallengeId, Enrolment};
use serde_json::{Value, json};

use super::super::pages::{AccountCode, AccountWait, Page, Problem, Said, field};
use super::super::setup::told;
use super::super::show;
use super::super::wait::{Standing, is_push};
use super::{Desk, done, encoded, nothing, one};
use crate::oauth::authorize::{Stop, see_other};
use crate::reply;
use crate::secret::Secret;
use crate::signin::alone::shown;
use crate::signin::factors::{Cause, otp, push::Asked, push::device_of};
use crate::signin::ways::mask;
use crate::signin::{Challenge, Failure, IssueRequest, Submission};

/// What stands in an address in place of a challenge where an application makes the codes.
pub(super) const TOTP: &str = "totp";

/// What is told of a password that could not be tried.
pub(super) fn told_of_password(failure: Failure) -> Result<Problem, Stop> {
    match failure {
        Failure::Wrong(Cause::Resting) => Ok(Problem::Resting { wait: None }),
        Failure::Wrong(_) | Failure::NotNow(_) => Ok(Problem::WrongCredentials),
        other => told(other),
    }
}

/// Sends a code to an address, and leads to where it is typed.
pub(super) async fn send(desk: &Desk<'_>, enrolment: &Enrolment) -> Result<Result<Response, Problem>, Stop> {
    let request = IssueRequest::Code { enrolment, correlation: None };
    match desk.sign_ins().issue_alone(&desk.asker(), request).await {
        Ok(made) => Ok(Ok(see_other(&format!("/account/confirm/{}", encoded(made.challenge.id.as_str())))?)),
        Err(failure) => Ok(Err(told(failure)?)),
    }
}

/// Asks a phone, and leads to where its answer is waited for.
pub(super) async fn push(desk: &Desk<'_>, key: &Enrolment) -> Result<Result<Response, Problem>, Stop> {
    let look = show::look(desk.app, desk.call, &[]);
    let message = look.say("test", &[("title", look.title())]);
    let address = desk.call.peer.to_string();
    let asked = Asked { message: &message, address: Some(&address), ..Asked::default() };
    match desk.sign_ins().issue_alone(&desk.asker(), IssueRequest::Push { enrolment: key, asked }).await {
        Ok(made) => Ok(Ok(see_other(&format!("/account/wait/{}", encoded(made.challenge.id.as_str())))?)),
        Err(failure) => Ok(Err(told(failure)?)),
    }
}

/// A challenge that was made here for this person.
async fn own(desk: &Desk<'_>, id: &str) -> Result<Option<(FactorKind, Challenge)>, Stop> {
    let found = desk.sign_ins().challenge(&ChallengeId::from(id)).await?.filter(|one| desk.asker().made(one));
    Ok(found.and_then(|one| FactorKind::parse(&one.kind).map(|kind| (kind, one))))
}

async fn application(desk: &Desk<'_>) -> Result<Option<Enrolment>, Stop> {
    let mut all = desk.sign_ins().enrolments_of(&desk.holder.user.id).await?;
    all.retain(|one| one.kind == FactorKind::Totp.as_str() && one.enabled);
    Ok(all.pop())
}

/// `GET /account/confirm/{id}`: where a code is typed.
pub(super) async fn page(desk: &Desk<'_>, id: &str, problem: Option<Problem>) -> Result<Response, Stop> {
    let settings = &desk.call.tenant.tenant.settings;
    let page = if id == TOTP {
        if application(desk).await?.is_none() {
            return Ok(nothing());
        }
        AccountCode {
            frame: desk.frame(problem),
            challenge: TOTP.to_owned(),
            kind: FactorKind::Totp,
            destination: String::new(),
            correlation: None,
            length: settings.totp.digits,
        }
    } else {
        let Some((kind, challenge)) = own(desk, id).await? else { return Ok(nothing()) };
        if !otp::is_sent(kind) {
            return Ok(nothing());
        }
        let members = shown(&challenge);
        let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        AccountCode {
            frame: desk.frame(problem),
            challenge: encoded(id),
            kind,
            destination: text("emailAddress").or_else(|| text("phoneNumber")).map(mask).unwrap_or_default(),
            correlation: text("correlation").map(str::to_owned),
            length: show::otp_settings(desk.call, kind).length,
        }
    };
    Ok(desk.answer(&Page::AccountCode(page)))
}

/// `POST /account/confirm/{id}`: a code was typed.
pub(super) async fn act(desk: &Desk<'_>, id: &str, form: &Form) -> Result<Response, Stop> {
    let code: String =
        one(form, field::CODE).unwrap_or_default().chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    if code.is_empty() {
        return page(desk, id, Some(Problem::Missing)).await;
    }
    let code = Secret::new(code);
    let (submission, enrolment) = if id == TOTP {
        let Some(enrolment) = application(desk).await? else { return Ok(nothing()) };
        (Submission::Totp { enrolment: Some(enrolment.clone()), code }, enrolment)
    } else {
        let Some((_, challenge)) = own(desk, id).await? else { return Ok(nothing()) };
        let enrolment = match &challenge.enrolment {
            Some(enrolment) => desk.sign_ins().enrolment(enrolment).await?,
            None => None,
        };
        let Some(enrolment) = enrolment else { return Ok(nothing()) };
        (Submission::Code { challenge, code }, enrolment)
    };
    match desk.sign_ins().submit_alone(&desk.asker(), submission).await {
        Ok(_) if enrolment.validated => done(&format!("/account/way/{}", encoded(enrolment.id.as_str())), Said::Works),
        Ok(_) => done("/account", Said::Added),
        Err(failure) => page(desk, id, Some(told(failure)?)).await,
    }
}

/// `GET /account/wait/{id}?wait`: whether the page has to be shown anew.
pub(super) async fn poll(desk: &Desk<'_>, id: &str) -> Result<Response, Stop> {
    let found = own(desk, id).await?;
    let waiting = found.is_some_and(|(_, one)| Standing::of(&one, desk.now()) == Standing::Waits);
    Ok(reply::same_origin(reply::json(StatusCode::OK, &json!({ "waiting": waiting }))))
}

/// `GET /account/wait/{id}`: a phone was asked.
pub(super) async fn wait(desk: &Desk<'_>, id: &str) -> Result<Response, Stop> {
    let Some((kind, challenge)) = own(desk, id).await? else { return Ok(nothing()) };
    let enrolment = match &challenge.enrolment {
        Some(enrolment) => desk.sign_ins().enrolment(enrolment).await?,
        None => None,
    };
    let Some(enrolment) = enrolment.filter(|_| is_push(kind)) else { return Ok(nothing()) };
    let standing = Standing::of(&challenge, desk.now());
    let number = shown(&challenge).get("numberMatch").and_then(Value::as_str).map(str::to_owned);
    if standing == Standing::Settled {
        return match desk.sign_ins().submit_alone(&desk.asker(), Submission::Push { challenge }).await {
            Ok(_) => {
                let device = encoded(device_of(&enrolment).unwrap_or_default());
                done(&format!("/account/phone/{device}"), Said::Works)
            }
            Err(failure) => Ok(waiting(desk, &enrolment, None, Some(told(failure)?))),
        };
    }
    Ok(match standing {
        Standing::Over(problem) => waiting(desk, &enrolment, None, Some(problem)),
        Standing::Waits | Standing::Settled => waiting(desk, &enrolment, number, None),
    })
}

fn waiting(desk: &Desk<'_>, enrolment: &Enrolment, number: Option<String>, problem: Option<Problem>) -> Response {
    let device = enrolment.attributes.get("deviceName").and_then(Value::as_str).filter(|name| !name.is_empty());
    let look = show::look(desk.app, desk.call, &[]);
    let page = AccountWait {
        frame: desk.frame(problem),
        device: device.map_or_else(|| look.say("phone", &[]), str::to_owned),
        number,
        waiting: problem.is_none(),
    };
    desk.answer(&Page::AccountWait(page))
}
