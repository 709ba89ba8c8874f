//! Having a factor proved (reference §5.5): begun, proved, asked after. It says whether somebody is who they say, and nothing follows.

use engine::FactorKind;
use protocol::records::{Enrolment, User, UserId};
use serde_json::{Map, Value, json};

use super::factors::{factor_of, id_of, name_of, working};
use super::{BYPASS, Desk, Detail, QUESTIONS, code, factor, flag, success, text};
use crate::doors::idcs::authenticate::challenge::number;
use crate::doors::idcs::authenticate::factor::Factor;
use crate::doors::idcs::authenticate::step::{Members, Stop};
use crate::doors::idcs::fault::{Code, Failed};
use crate::doors::idcs::handed;
use crate::secret::Secret;
use crate::signin::factors::Cause;
use crate::signin::factors::push::Asked;
use crate::signin::{Challenge, Failure, IssueRequest, Submission};

fn stop(failure: Failure, factor: Factor) -> Stop {
    match failure {
        Failure::Wrong(Cause::Resting) => Code::Locked.into(),
        other => Stop::of(other, factor),
    }
}

/// The enrolment that is meant: the one that is named, or the one the person prefers.
async fn meant(
    desk: &Desk<'_>,
    user: &User,
    id: Option<&str>,
    wanted: Option<Factor>,
) -> Result<(Factor, Option<Enrolment>), Stop> {
    if id == Some(BYPASS) || wanted == Some(Factor::BypassCode) {
        return Ok((Factor::BypassCode, None));
    }
    let all = working(desk, user).await?;
    let fits = |one: &&Enrolment| wanted.is_none() || factor_of(one) == wanted;
    let found = match id {
        Some(id) => all.iter().filter(fits).find(|one| id_of(one) == id),
        None => {
            let wish = desk.sign_ins().preferred(&user.id).await?;
            let preferred = wish.and_then(|wish| wish.enrolment);
            let first = all.iter().filter(fits).find(|one| Some(one.id.as_str()) == preferred.as_deref());
            first.or_else(|| all.iter().find(fits))
        }
    };
    let found = found.ok_or_else(|| Stop::from(if id.is_some() { Code::NoSuchDevice } else { Code::NotStarted }))?;
    let factor = factor_of(found).ok_or_else(|| Stop::from(Code::FactorNotOffered))?;
    Ok((factor, Some(found.clone())))
}

/// `POST /mfa/v1/requests`.
///
/// # Errors
/// There is no such factor, or it cannot be begun.
pub async fn begin(desk: &Desk<'_>, user: &User, body: &Map<String, Value>) -> Result<Members, Stop> {
    let wanted = text(body, "method")?.map(|name| factor(Some(name))).transpose()?;
    let (factor, enrolment) = meant(desk, user, text(body, "factorId")?, wanted).await?;
    start(desk, user, factor, enrolment.as_ref(), body).await
}

async fn start(
    desk: &Desk<'_>,
    user: &User,
    factor: Factor,
    enrolment: Option<&Enrolment>,
    body: &Map<String, Value>,
) -> Result<Members, Stop> {
    let (sign_ins, asker) = (desk.sign_ins(), desk.asker());
    let asked = flag(body, "userFlowControlledByExternalClient")?.unwrap_or(false);
    let certificate =
        text(body, "x5t")?.filter(|_| asked).and_then(|x5t| handed::certificate(&desk.caller.client, x5t));
    let mut shown = success();
    let message = format!("Sign in to {}?", desk.caller.client.name);
    let made = match (factor, enrolment) {
        (Factor::Sms | Factor::Email | Factor::PhoneCall, Some(enrolment)) => {
            let request = IssueRequest::Code { enrolment, correlation: None };
            match &certificate {
                Some(certificate) => {
                    let made = sign_ins.issue_alone_handed(&asker, request).await;
                    let (made, code) = made.map_err(|failure| stop(failure, factor))?;
                    if let Some(code) = code {
                        shown.insert("otp".to_owned(), certificate.encrypt(&code)?);
                    }
                    Some(made)
                }
                None => Some(sign_ins.issue_alone(&asker, request).await.map_err(|failure| stop(failure, factor))?),
            }
        }
        (Factor::Push, Some(enrolment)) => {
            let asked = Asked { message: &message, ..Asked::default() };
            let request = IssueRequest::Push { enrolment, asked };
            Some(sign_ins.issue_alone(&asker, request).await.map_err(|failure| stop(failure, factor))?)
        }
        (Factor::SecurityQuestions, Some(enrolment)) => {
            let request = IssueRequest::Questions { enrolment };
            Some(sign_ins.issue_alone(&asker, request).await.map_err(|failure| stop(failure, factor))?)
        }
        _ => None,
    };
    let challenge = made.as_ref().map(|made| &made.challenge);
    if let (Some(challenge), Factor::SecurityQuestions) = (challenge, factor) {
        shown.insert("securityQuestions".to_owned(), Value::Array(questions(challenge, enrolment)));
    }
    if let Some(number) = challenge.and_then(|challenge| number(&challenge.shown)) {
        shown.insert("numberMatch".to_owned(), json!(number));
    }
    if factor == Factor::Push {
        shown.insert("status".to_owned(), json!("pending"));
        let code = Code::PushPending;
        shown.insert("cause".to_owned(), json!([{ "code": code.as_str(), "message": code.text() }]));
    }
    let request = challenge.map_or_else(|| desk.app.world.uuid(), |challenge| challenge.id.0.clone());
    let detail = Detail {
        what: format!("request {request}"),
        user: user.id.0.clone(),
        factor: factor.as_str().to_owned(),
        enrolment: enrolment.map(|one| one.id.0.clone()).unwrap_or_default(),
        challenge: challenge.map(|one| one.id.0.clone()).unwrap_or_default(),
    };
    shown.insert("requestId".to_owned(), json!(request));
    shown.insert("userGUID".to_owned(), json!(user.id));
    shown.insert("factorId".to_owned(), json!(enrolment.map_or(BYPASS, id_of)));
    shown.insert("method".to_owned(), json!(factor.as_str()));
    if let Some(name) = enrolment.and_then(name_of) {
        shown.insert("displayName".to_owned(), json!(name));
    }
    shown.insert("requestState".to_owned(), json!(desk.seal(&detail)?));
    Ok(shown)
}

fn questions(challenge: &Challenge, enrolment: Option<&Enrolment>) -> Vec<Value> {
    let all = crate::doors::idcs::authenticate::scene::questions(challenge, enrolment);
    all.into_iter()
        .map(|one| {
            let mut shown = json!({ "id": one["questionId"], "localizedText": one["text"] });
            if let Some(hint) = one.get("hint") {
                shown["hintText"] = hint.clone();
            }
            shown
        })
        .collect()
}

/// `PATCH /mfa/v1/requests/{requestId}`.
///
/// # Errors
/// The answer is wrong, or is none to this.
pub async fn submit(desk: &Desk<'_>, id: &str, body: &Map<String, Value>) -> Result<Members, Stop> {
    let detail = desk.state(body, &format!("request {id}"))?;
    let user = desk.person(&detail.user).await?;
    let factor = Factor::parse(&detail.factor).ok_or_else(|| Stop::from(Code::BadState))?;
    let enrolment = match detail.enrolment.as_str() {
        "" => None,
        id => desk.sign_ins().enrolment(&id.into()).await?.filter(|one| one.user == user.id),
    };
    if flag(body, "resendOtp")?.unwrap_or(false) {
        if !factor.is_sent() {
            return Err(Failed::saying(Code::OpNotOffered, "No code belongs to this factor.").into());
        }
        return start(desk, &user, factor, enrolment.as_ref(), body).await;
    }
    let challenge = match detail.challenge.as_str() {
        "" => None,
        id => desk.sign_ins().challenge(&id.into()).await?,
    };
    let submission = answer(factor, user.id.clone(), enrolment, challenge, body)?;
    match desk.sign_ins().submit_alone(&desk.asker(), submission).await {
        Ok(_) => Ok(success()),
        Err(failure) => Err(stop(failure, factor)),
    }
}

/// What was sent, as the driver takes it.
fn answer(
    factor: Factor,
    user: UserId,
    enrolment: Option<Enrolment>,
    challenge: Option<Challenge>,
    body: &Map<String, Value>,
) -> Result<Submission<'static>, Stop> {
    let missing = |name: &str| Stop::from(Failed::incomplete(format!("The attribute {name} is missing.")));
    if let Some(code) = code(body, "bypassCode")? {
        return Ok(Submission::BypassCode { user, code });
    }
    let gone = || Stop::from(Code::SessionGone);
    match factor {
        Factor::Sms | Factor::Email | Factor::PhoneCall => {
            let code = code(body, "otpCode")?.ok_or_else(|| missing("otpCode"))?;
            Ok(Submission::Code { challenge: challenge.ok_or_else(gone)?, code })
        }
        Factor::Totp => {
            let code = code(body, "otpCode")?.ok_or_else(|| missing("otpCode"))?;
            Ok(Submission::Totp { enrolment, code })
        }
        Factor::SecurityQuestions => {
            let list = body.get("securityQuestions").and_then(Value::as_array).filter(|list| list.len() <= 20);
            let list = list.ok_or_else(|| missing(QUESTIONS))?;
            let read = |one: &Value| {
                let text = |name: &str| one.get(name).and_then(Value::as_str).filter(|text| text.len() <= 256);
                Some((text("id")?.to_owned(), Secret::from(text("answer")?)))
            };
            let answers: Option<Vec<_>> = list.iter().map(read).collect();
            let answers = answers.ok_or_else(|| Failed::invalid("Each question must have an id and an answer."))?;
            Ok(Submission::Answers { challenge: challenge.ok_or_else(gone)?, answers })
        }
        Factor::Push => Ok(Submission::Push { challenge: challenge.ok_or_else(gone)? }),
        Factor::BypassCode => Err(missing("bypassCode")),
        _ => Err(Code::FactorNotOffered.into()),
    }
}

/// `GET /mfa/v1/requests/{requestId}`: whether the phone has answered. A yes is told once.
///
/// # Errors
/// It was denied, or nobody answered in time.
pub async fn poll(desk: &Desk<'_>, id: &str) -> Result<Members, Stop> {
    let challenge = if id.len() <= 64 { desk.sign_ins().challenge(&id.into()).await? } else { None };
    let is_push = |one: &Challenge| {
        let kind = FactorKind::parse(&one.kind);
        matches!(kind, Some(FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace))
    };
    let challenge = challenge.filter(|one| desk.asker().made(one) && is_push(one));
    let challenge = challenge.ok_or_else(|| Stop::from(Code::SessionGone))?;
    if challenge.state == "pending" && desk.app.world.now() < challenge.expires {
        let code = Code::PushPending;
        let mut shown = success();
        shown.insert("status".to_owned(), json!("pending"));
        shown.insert("cause".to_owned(), json!([{ "code": code.as_str(), "message": code.text() }]));
        shown.insert("requestId".to_owned(), json!(id));
        return Ok(shown);
    }
    match desk.sign_ins().submit_alone(&desk.asker(), Submission::Push { challenge }).await {
        Ok(_) => Ok(success()),
        Err(failure) => Err(stop(failure, Factor::Push)),
    }
}
