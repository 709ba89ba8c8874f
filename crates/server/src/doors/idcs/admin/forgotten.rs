//! The way back to an account whose password is forgotten, step by step (reference §5.4). A name nobody has gets the same answers.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::idcs::roles::AppRole;
use serde_json::{Value, json};

use super::answer::{self, Document, Refusal, WRONG_TOKEN};
use super::guard;
use crate::app::App;
use crate::call::Call;
use crate::doors::idcs::Caller;
use crate::secret::Secret;
use crate::signin::factors::questions::Answers;
use crate::signin::passwords::NotChanged;
use crate::signin::recovery::Back;
use crate::signin::{Asker, Failure, SignIns};

const WRONG_CODE: &str = "error.ssocommon.auth.invalidPasscode";
const WRONG_ANSWER: &str = "error.identity.passwordmgmt.invalidSecurityQuestionAnswer";
/// Answers of one request.
const MOST_ANSWERS: usize = 20;

fn sign_ins<'a>(app: &'a App, call: &'a Call) -> SignIns<'a> {
    SignIns { app, tenant: &call.tenant }
}

fn asker(caller: &Caller) -> Asker {
    Asker { client: caller.client.id.clone(), person: None }
}

/// What is sent to reach the page that takes it: the page of the application that asked.
pub(super) fn page_of(caller: &Caller) -> Option<&str> {
    caller.client.oracle.login_url.as_deref()
}

fn name(back: Back) -> &'static str {
    match back {
        Back::Email => "email",
        Back::Sms => "sms",
        Back::Questions => "secquestions",
    }
}

/// The address that mail goes to, as far as the name that was typed says it already: more would tell who has an account.
fn masked(username: &str) -> String {
    let domain = username.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| !domain.is_empty());
    format!("****@{}", domain.unwrap_or("****"))
}

/// `POST /MePasswordRecoveryOptionRetriever`: what may be chosen among.
pub(super) async fn options(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &[AppRole::ForgotPassword]).await?;
        sign_ins(&app, &call).pace("forgotten", call.peer).await?;
        let body = answer::body(&call)?;
        let username = answer::text(&body, "userName")?;
        let ways = sign_ins(&app, &call).ways_back(username).await?;
        let option = |back: &Back| match back {
            Back::Email => json!({ "type": "email", "value": masked(username) }),
            Back::Sms | Back::Questions => json!({ "type": name(*back) }),
        };
        let mut members = Document::new();
        members.insert("userName".to_owned(), username.into());
        members.insert("options".to_owned(), ways.iter().map(option).collect());
        Ok(answer::action(&call, StatusCode::CREATED, "MePasswordRecoveryOptionRetriever", members))
    };
    answer::finish(&app, &call, run.await)
}

/// `POST /MePasswordResetRequestor`: begins one way.
pub(super) async fn request(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let caller = guard::role(&app, &call, &[AppRole::ForgotPassword]).await?;
        let sign_ins = sign_ins(&app, &call);
        sign_ins.pace("forgotten", call.peer).await?;
        let body = answer::body(&call)?;
        let username = answer::text(&body, "userName")?;
        let kind = answer::optional(&body, "notificationType")?.unwrap_or("email");
        let mut members = Document::new();
        members.insert("userName".to_owned(), username.into());
        members.insert("notificationType".to_owned(), kind.into());
        match kind {
            "email" => {
                sign_ins.mail_back(username, page_of(&caller)).await?;
                members.insert("notificationEmailAddress".to_owned(), masked(username).into());
            }
            "sms" => {
                let sent = sign_ins.text_back(&asker(&caller), username).await?;
                members.insert("deviceId".to_owned(), sent.device.into());
                members.insert("requestId".to_owned(), sent.request.into());
            }
            "secquestions" => {
                members.insert("secquestions".to_owned(), questions(sign_ins, username).await?);
            }
            _ => return Err(Refusal::value("`notificationType` is none of `email`, `sms`, `secquestions`")),
        }
        Ok(answer::action(&call, StatusCode::CREATED, "MePasswordResetRequestor", members))
    };
    answer::finish(&app, &call, run.await)
}

async fn questions(sign_ins: SignIns<'_>, username: &str) -> Result<Value, Refusal> {
    let all = sign_ins.questions_back(username).await?;
    let shown = |(key, text): &(String, String)| json!({ "questionId": key, "localizedQuestionText": text });
    Ok(all.iter().map(shown).collect())
}

/// `POST /MeSecurityQuestionsRetriever`.
pub(super) async fn retrieve_questions(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &[AppRole::ForgotPassword]).await?;
        sign_ins(&app, &call).pace("forgotten", call.peer).await?;
        let body = answer::body(&call)?;
        let username = answer::text(&body, "userName")?;
        let mut members = Document::new();
        members.insert("userName".to_owned(), username.into());
        members.insert("secquestions".to_owned(), questions(sign_ins(&app, &call), username).await?);
        Ok(answer::action(&call, StatusCode::CREATED, "MeSecurityQuestionsRetriever", members))
    };
    answer::finish(&app, &call, run.await)
}

fn answers(body: &Document) -> Result<Answers, Refusal> {
    let list = body.get("securityQuestions").and_then(Value::as_array).filter(|list| list.len() <= MOST_ANSWERS);
    let list = list.ok_or_else(|| Refusal::value("attribute `securityQuestions` is no list, or too long"))?;
    let read = |one: &Value| {
        let text = |names: [&str; 2]| {
            names.iter().find_map(|name| one.get(name)?.as_str()).filter(|text| text.len() <= 1024).map(str::to_owned)
        };
        let question = text(["questionId", "id"])?;
        Some((question, Secret::from(text(["securityAnswer", "answer"])?)))
    };
    let all: Option<Answers> = list.iter().map(read).collect();
    all.ok_or_else(|| Refusal::value("a security question has no `questionId` or no `securityAnswer`"))
}

/// `POST /MeSecurityQuestionAnswerValidator`: whether the answers are right.
pub(super) async fn validate_answers(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let caller = guard::role(&app, &call, &[AppRole::ResetPassword]).await?;
        let sign_ins = sign_ins(&app, &call);
        sign_ins.pace("forgotten", call.peer).await?;
        let body = answer::body(&call)?;
        let username = answer::text(&body, "userName")?;
        let token = sign_ins.back_by_answers(&asker(&caller), username, answers(&body)?).await?;
        match token {
            Some(_) => Ok(crate::scim::answer::json(&call, StatusCode::CREATED, &json!({}))),
            None => Err(Refusal::no(WRONG_ANSWER, "an answer is wrong")),
        }
    };
    answer::finish(&app, &call, run.await)
}

/// `POST /MePasswordRecoveryFactorValidator`: what was proved opens a new password.
pub(super) async fn validate(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let caller = guard::role(&app, &call, &[AppRole::ForgotPassword, AppRole::ResetPassword]).await?;
        let sign_ins = sign_ins(&app, &call);
        sign_ins.pace("forgotten", call.peer).await?;
        let body = answer::body(&call)?;
        let kind = answer::text(&body, "type")?;
        let token = match kind {
            "email" => sign_ins.back_by_mail(answer::text(&body, "emailToken")?).await?.ok_or_else(wrong_token)?,
            "sms" => {
                let username = answer::text(&body, "userName")?;
                let request = answer::text(&body, "requestId")?;
                let code = code(&body)?;
                let found = sign_ins.back_by_text(&asker(&caller), username, request, code).await?;
                found.ok_or_else(|| Refusal::no(WRONG_CODE, "the passcode is wrong"))?
            }
            "secquestions" => {
                let username = answer::text(&body, "userName")?;
                let found = sign_ins.back_by_answers(&asker(&caller), username, answers(&body)?).await?;
                found.ok_or_else(|| Refusal::no(WRONG_ANSWER, "an answer is wrong"))?
            }
            _ => return Err(Refusal::value("`type` is none of `email`, `sms`, `secquestions`")),
        };
        let mut members = Document::new();
        members.insert("type".to_owned(), kind.into());
        members.insert("token".to_owned(), token.expose().as_str().into());
        Ok(answer::action(&call, StatusCode::CREATED, "MePasswordRecoveryFactorValidator", members))
    };
    answer::finish(&app, &call, run.await)
}

/// A code as people type it; some write it as a number.
fn code(body: &Document) -> Result<Secret<String>, Refusal> {
    match body.get("otpCode") {
        Some(Value::String(code)) if code.len() <= 64 => Ok(Secret::from(code.as_str())),
        Some(Value::Number(code)) if code.is_u64() => Ok(Secret::from(code.to_string())),
        _ => Err(Refusal::value("attribute `otpCode` is missing or no code")),
    }
}

fn wrong_token() -> Refusal {
    Refusal::no(WRONG_TOKEN, "the token is not valid, was used, or has expired")
}

/// `POST /UserTokenValidator`: whose a token is.
pub(super) async fn validate_token(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &[AppRole::ResetPassword]).await?;
        let body = answer::body(&call)?;
        let token = answer::text(&body, "token")?;
        let found = sign_ins(&app, &call).back(token).await?.ok_or_else(wrong_token)?;
        let mut members = Document::new();
        members.insert("token".to_owned(), token.into());
        members.insert("userId".to_owned(), found.user.id.0.into());
        Ok(answer::action(&call, StatusCode::CREATED, "UserTokenValidator", members))
    };
    answer::finish(&app, &call, run.await)
}

/// `POST /MePasswordResetter`: the new password.
pub(super) async fn reset(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let caller = guard::role(&app, &call, &[AppRole::ResetPassword]).await?;
        let body = answer::body(&call)?;
        let (token, password) = (answer::text(&body, "token")?, Secret::from(answer::text(&body, "password")?));
        let sign_ins = sign_ins(&app, &call);
        let mailed = sign_ins.back(token).await?.ok_or_else(wrong_token)?;
        let user = match sign_ins.recover(mailed, password).await {
            Ok(user) => user,
            // Somebody was first: it is used up.
            Err(NotChanged::Failure(Failure::Stale)) => return Err(wrong_token()),
            Err(not) => return Err(not.into()),
        };
        tracing::info!(tenant = %call.tenant.tenant.id, %user, client = %caller.client.id, "password recovered");
        let mut members = Document::new();
        members.insert("id".to_owned(), user.0.into());
        Ok(answer::action(&call, StatusCode::CREATED, "MePasswordResetter", members))
    };
    answer::finish(&app, &call, run.await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_more_than_was_typed() {
        assert_eq!(masked("scott@acme.test"), "****@acme.test");
        assert_eq!(masked("scott"), "****@****");
        assert_eq!(masked("scott@"), "****@****");
    }
}
