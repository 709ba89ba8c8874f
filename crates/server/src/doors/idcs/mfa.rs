//! `/mfa/v1`: factors on demand (reference §5.5). A client sets up factors for people and has them proved, outside any sign-in: what
//! comes of it is a yes or no, and no session.
//!
//! Owns the dialect. Ceremonies and counters are those of every door: whoever guesses here rests everywhere.

use axum::Router;
use axum::extract::State as Extracted;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, patch, post};
use protocol::idcs::roles::AppRole;
use protocol::records::{GrantId, User, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::authenticate::factor::Factor;
use super::authenticate::state::{Stage, State};
use super::authenticate::step::{Members, Stop, members};
use super::authenticate::{answer, failed, refuse};
use super::caller::{Caller, Denied};
use super::ecid::{EcId, with_ecid};
use super::fault::{Code, Failed};
use crate::app::App;
use crate::call::{Call, Path};
use crate::fault::Fault;
use crate::oauth::oracle::administers;
use crate::reply;
use crate::secret::Secret;
use crate::signin::{Asker, SignIns};

mod factors;
mod requests;

/// Its paths.
pub const PATHS: [&str; 6] = [
    "/mfa/v1/users",
    "/mfa/v1/users/{id}",
    "/mfa/v1/users/{id}/factors",
    "/mfa/v1/users/{id}/factors/{item}",
    "/mfa/v1/requests",
    "/mfa/v1/requests/{id}",
];

/// Its routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route(PATHS[0], get(users))
        .route(PATHS[1], patch(change_user))
        .route(PATHS[2], get(list).post(enrol))
        .route(PATHS[3], get(read).patch(change).delete(remove))
        .route(PATHS[4], post(begin))
        .route(PATHS[5], get(poll).patch(submit))
}

/// Who may have factors proved, and who may set them up.
const VERIFY: [AppRole; 2] = [AppRole::MfaClient, AppRole::AuthenticatorClient];
const MANAGE: [AppRole; 1] = [AppRole::MfaClient];

/// One request of a client.
struct Desk<'a> {
    app: &'a App,
    call: &'a Call,
    caller: Caller,
    /// What is asked for changes what people prove.
    sets_up: bool,
}

/// What a state of this API says; sealed as those of sign-ins are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Detail {
    /// `enrolment` or `request`: one is no use as the other.
    #[serde(rename = "w")]
    what: String,
    /// The person.
    #[serde(rename = "u")]
    user: String,
    /// The factor, by its name here.
    #[serde(rename = "f")]
    factor: String,
    /// The enrolment, or the one under way.
    #[serde(rename = "e")]
    enrolment: String,
    /// The challenge, where one was made.
    #[serde(rename = "c")]
    challenge: String,
}

impl<'a> Desk<'a> {
    /// Who has factors proved.
    async fn verifying(app: &'a App, call: &'a Call) -> Result<Self, Denied> {
        Self::of(app, call, &VERIFY, false).await
    }

    /// Who sets them up.
    async fn managing(app: &'a App, call: &'a Call) -> Result<Self, Denied> {
        Self::of(app, call, &MANAGE, true).await
    }

    async fn of(app: &'a App, call: &'a Call, roles: &[AppRole], sets_up: bool) -> Result<Self, Denied> {
        let caller = Caller::of(app, call).await?;
        caller.demand(roles)?;
        // A person's token has no business with the factors of others.
        if caller.user.is_some() {
            return Err(Denied::MissingRole);
        }
        Ok(Self { app, call, caller, sets_up })
    }

    fn sign_ins(&self) -> SignIns<'a> {
        SignIns { app: self.app, tenant: &self.call.tenant }
    }

    fn asker(&self) -> Asker {
        Asker { client: self.caller.client.id.clone(), person: None }
    }

    /// Where the enrolments are kept that this client has under way for a person.
    fn bound(&self, user: &UserId) -> String {
        format!("mfa:{}:{user}", self.caller.client.id)
    }

    fn body(&self) -> Result<Map<String, Value>, Failed> {
        if self.call.body.iter().all(u8::is_ascii_whitespace) {
            return Err(Code::EmptyPayload.into());
        }
        protocol::json::parse_object(&self.call.body, protocol::json::USUAL).map_err(|_| Code::BadJson.into())
    }

    async fn person(&self, id: &str) -> Result<User, Stop> {
        let user = if id.len() <= 64 { self.sign_ins().person(&id.into()).await? } else { None };
        let user = user.filter(|user| user.active).ok_or_else(|| Stop::from(Code::NoSuchUser))?;
        // An administrator's factors are an administrator's to set up: whoever does it for them could sign in with them.
        let is_one = self.caller.holds(&[AppRole::IdentityDomainAdministrator]);
        if self.sets_up && !is_one && administers(&self.call.tenant, &user) {
            return Err(Code::NotAllowed.into());
        }
        Ok(user)
    }

    /// The person of a name or an id.
    async fn named(&self, id: Option<&str>, kind: Option<&str>) -> Result<User, Stop> {
        let id = id.ok_or_else(|| Failed::incomplete("The attribute userId is missing."))?;
        match kind {
            Some("USER_GUID") => self.person(id).await,
            Some("USER_NAME") | None => {
                let mut found = None;
                for source in &self.call.tenant.sources {
                    found = found.or(self.sign_ins().by_login(&source.id, id).await?);
                }
                found.filter(|user| user.active).ok_or_else(|| Code::NoSuchUser.into())
            }
            Some(_) => Err(Failed::invalid("The attribute userIdType must be USER_NAME or USER_GUID.").into()),
        }
    }

    fn seal(&self, detail: &Detail) -> Result<String, Fault> {
        let detail = serde_json::to_value(detail).map_err(|error| Fault::internal("a state", error))?;
        let own = Some(self.caller.client.id.clone());
        let state = State::begin(self.app, &self.call.tenant, own, None);
        let grant = GrantId("mfa".to_owned());
        Ok(state.at(self.app, &self.call.tenant, Stage::Enrolment { grant, detail }).seal(self.app, &self.call.tenant))
    }

    /// The state of a body: made for this client, and for this.
    fn state(&self, body: &Map<String, Value>, what: &str) -> Result<Detail, Failed> {
        let text = text(body, "requestState")?;
        let text = text.ok_or_else(|| Failed::incomplete("The attribute requestState is missing."))?;
        let state = State::open(self.app, &self.call.tenant, text).ok_or(Code::BadState)?;
        let Stage::Enrolment { detail, .. } = &state.stage else { return Err(Code::BadState.into()) };
        let detail: Detail = serde_json::from_value(detail.clone()).unwrap_or_default();
        let own = state.caller.as_ref() == Some(&self.caller.client.id) && detail.what == what;
        if own { Ok(detail) } else { Err(Code::BadState.into()) }
    }
}

fn text<'b>(body: &'b Map<String, Value>, name: &str) -> Result<Option<&'b str>, Failed> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= 4096 => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(Failed::invalid(format!("The attribute {name} is not text, or too long."))),
    }
}

/// A boolean, which the vendor's clients send as text as well.
fn flag(body: &Map<String, Value>, name: &str) -> Result<Option<bool>, Failed> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(Value::String(text)) if text == "true" => Ok(Some(true)),
        Some(Value::String(text)) if text == "false" => Ok(Some(false)),
        Some(_) => Err(Failed::invalid(format!("The attribute {name} is not a boolean."))),
    }
}

/// A code, as text or as a number.
fn code(body: &Map<String, Value>, name: &str) -> Result<Option<Secret<String>>, Failed> {
    let typed = match body.get(name) {
        Some(Value::Number(number)) if number.is_u64() => Some(number.to_string()),
        _ => text(body, name)?.map(str::to_owned),
    };
    let typed = typed.map(|code| code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>());
    Ok(typed.filter(|code| !code.is_empty()).map(Secret::new))
}

/// What the vendor calls the thing that questions, or bypass codes, are kept under.
const QUESTIONS: &str = "SecurityQuestions";
const BYPASS: &str = "BypassCode";

/// A factor by its name.
fn factor(name: Option<&str>) -> Result<Factor, Failed> {
    let name = name.ok_or_else(|| Failed::incomplete("The attribute method is missing."))?;
    let known = Factor::parse(name).filter(|factor| {
        matches!(
            factor,
            Factor::Sms
                | Factor::Email
                | Factor::Totp
                | Factor::Push
                | Factor::PhoneCall
                | Factor::SecurityQuestions
                | Factor::BypassCode
        )
    });
    known.ok_or_else(|| Failed::from(Code::FactorNotOffered))
}

fn success() -> Members {
    members(json!({ "status": "success" }))
}

fn said(said: Result<Members, Stop>, ecid: &EcId) -> Response {
    match said {
        Ok(body) => answer(StatusCode::OK, body, ecid),
        Err(Stop::Failed(stop)) => failed(&stop.0, stop.1, ecid),
        Err(Stop::Busy(busy)) => refuse(&Denied::Busy(busy), ecid),
        Err(Stop::Fault(fault)) => refuse(&Denied::Fault(fault), ecid),
    }
}

async fn users(Extracted(app): Extracted<App>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    let desk = match Desk::verifying(&app, &call).await {
        Ok(desk) => desk,
        Err(denied) => return refuse(&denied, &ecid),
    };
    let result = async {
        let query = call.query().map_err(|_| Failed::invalid("The query cannot be read."))?;
        let one = |name| query.one(name).ok().flatten();
        let user = desk.named(one("userId"), one("userIdType")).await?;
        factors::list(&desk, &user).await
    };
    said(result.await, &ecid)
}

async fn list(Extracted(app): Extracted<App>, Path(id): Path<String>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    let desk = match Desk::verifying(&app, &call).await {
        Ok(desk) => desk,
        Err(denied) => return refuse(&denied, &ecid),
    };
    let result = async {
        let user = desk.person(&id).await?;
        factors::list(&desk, &user).await
    };
    said(result.await, &ecid)
}

async fn enrol(Extracted(app): Extracted<App>, Path(id): Path<String>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    let desk = match Desk::managing(&app, &call).await {
        Ok(desk) => desk,
        Err(denied) => return refuse(&denied, &ecid),
    };
    let result = async {
        let (user, body) = (desk.person(&id).await?, desk.body()?);
        factors::enrol(&desk, &user, &body).await
    };
    said(result.await, &ecid)
}

async fn read(Extracted(app): Extracted<App>, Path((id, item)): Path<(String, String)>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    let desk = match Desk::managing(&app, &call).await {
        Ok(desk) => desk,
        Err(denied) => return refuse(&denied, &ecid),
    };
    let result = async {
        let user = desk.person(&id).await?;
        factors::read(&desk, &user, &item).await
    };
    said(result.await, &ecid)
}

async fn change(Extracted(app): Extracted<App>, Path((id, item)): Path<(String, String)>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    let desk = match Desk::managing(&app, &call).await {
        Ok(desk) => desk,
        Err(denied) => return refuse(&denied, &ecid),
    };
    let result = async {
        let (user, body) = (desk.person(&id).await?, desk.body()?);
        factors::change(&desk, &user, &item, &body).await
    };
    said(result.await, &ecid)
}

async fn remove(Extracted(app): Extracted<App>, Path((id, item)): Path<(String, String)>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    let desk = match Desk::managing(&app, &call).await {
        Ok(desk) => desk,
        Err(denied) => return refuse(&denied, &ecid),
    };
    let result = async {
        let user = desk.person(&id).await?;
        factors::remove(&desk, &user, &item).await
    };
    match result.await {
        Ok(()) => with_ecid(reply::empty(StatusCode::NO_CONTENT), &ecid),
        Err(stop) => said(Err(stop), &ecid),
    }
}

async fn change_user(Extracted(app): Extracted<App>, Path(id): Path<String>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    let desk = match Desk::managing(&app, &call).await {
        Ok(desk) => desk,
        Err(denied) => return refuse(&denied, &ecid),
    };
    let result = async {
        let (user, body) = (desk.person(&id).await?, desk.body()?);
        factors::change_user(&desk, &user, &body).await
    };
    said(result.await, &ecid)
}

async fn begin(Extracted(app): Extracted<App>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    let desk = match Desk::verifying(&app, &call).await {
        Ok(desk) => desk,
        Err(denied) => return refuse(&denied, &ecid),
    };
    let result = async {
        let body = desk.body()?;
        let user = desk.named(text(&body, "userId")?, text(&body, "userIdType")?).await?;
        requests::begin(&desk, &user, &body).await
    };
    said(result.await, &ecid)
}

async fn submit(Extracted(app): Extracted<App>, Path(id): Path<String>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    let desk = match Desk::verifying(&app, &call).await {
        Ok(desk) => desk,
        Err(denied) => return refuse(&denied, &ecid),
    };
    let result = async {
        let body = desk.body()?;
        requests::submit(&desk, &id, &body).await
    };
    said(result.await, &ecid)
}

async fn poll(Extracted(app): Extracted<App>, Path(id): Path<String>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    let desk = match Desk::verifying(&app, &call).await {
        Ok(desk) => desk,
        Err(denied) => return refuse(&denied, &ecid),
    };
    said(requests::poll(&desk, &id).await, &ecid)
}
