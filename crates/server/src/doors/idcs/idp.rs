//! Another identity provider, chosen at a sign-in page (reference §2.16): the browser goes there, comes back here, and is handed to the
//! page again with what the sign-in came to.
//!
//! Owns the forms and the cookie that binds the browser; what a provider says is believed or not by the driver.

use std::sync::Arc;

use axum::Router;
use axum::extract::State as Extracted;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::{get, post};
use engine::FactorKind;
use protocol::form::Form;
use protocol::idcs::roles::AppRole;
use protocol::records::{Client, ClientId, GrantId};
use serde_json::{Map, Value};

use super::authenticate::factor::Factor;
use super::authenticate::request::Request;
use super::authenticate::state::{Focus, Stage, State};
use super::authenticate::step::{Step, Stop};
use super::authenticate::{after, refuse, start};
use super::caller::{Caller, Denied};
use super::ecid::EcId;
use super::fault::Code;
use super::posted;
use crate::app::App;
use crate::browser::Lost;
use crate::call::Call;
use crate::oauth::authorize::{Stop as Page, see_other};
use crate::oauth::oracle::handover;
use crate::oauth::oracle::page_key::PageKey;
use crate::signin::upstream::{Answer, Back, Going, NotFrom, hash_of};
use crate::signin::{Begin, Failure, Next};

/// Where providers send browsers back to, under each base URL of the tenant.
pub const CALLBACK: &str = "/sso/v1/sdk/idp/callback";

/// Its paths.
pub const PATHS: [&str; 3] = ["/sso/v1/sdk/idp", "/sso/v1/sdk/secure/idp", CALLBACK];

/// The cookie a browser has while its person is elsewhere, under the vendor's name.
const COOKIE: &str = "ORA_OCIS_REQ_1";
/// Characters of its value.
const LENGTH: usize = 43;

/// Its routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/sso/v1/sdk/idp", post(choose))
        .route("/sso/v1/sdk/secure/idp", post(choose_secure))
        .route(CALLBACK, get(back))
}

/// `POST /sso/v1/sdk/idp`.
async fn choose(Extracted(app): Extracted<App>, call: Call) -> Response {
    let done = async {
        let form = posted::form(&call).map_err(|_| Lost::Gone)?;
        leave(&app, &call, &form, None).await
    };
    done.await.map_or_else(|page: Page| page.into_response(&app, &call, &[]), handover::dressed)
}

/// `POST /sso/v1/sdk/secure/idp`: the same for whoever proves to be a sign-in page.
async fn choose_secure(Extracted(app): Extracted<App>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    let caller = async {
        let form = posted::form(&call).map_err(|_| Denied::DeadToken)?;
        let one = |name: &str| form.one(name).ok().flatten().map(str::to_owned);
        // The documents name the first, a sample the other.
        let token = one("authorization").or_else(|| one("accesstoken")).ok_or(Denied::DeadToken)?;
        let caller = Caller::with_token(&app, &call, token.trim_start_matches("Bearer ")).await?;
        caller.demand(&[AppRole::Signin])?;
        Ok::<_, Denied>((form, caller))
    };
    let (form, caller) = match caller.await {
        Ok(found) => found,
        Err(denied) => return refuse(&denied, &ecid),
    };
    let done = leave(&app, &call, &form, Some(&caller)).await;
    done.map_or_else(|page: Page| page.into_response(&app, &call, &[]), handover::dressed)
}

/// A client that may be used.
fn client<'c>(call: &'c Call, id: Option<&ClientId>) -> Option<&'c Arc<Client>> {
    id.and_then(|id| call.tenant.clients.get(id)).filter(|client| client.enabled)
}

/// What a field says; pages send the word `undefined` where they have nothing to say.
fn field<'f>(form: &'f Form, name: &'static str) -> Option<&'f str> {
    form.one(name).ok().flatten().filter(|value| !value.is_empty() && *value != "undefined")
}

async fn leave(app: &App, call: &Call, form: &Form, proven: Option<&Caller>) -> Result<Response, Page> {
    let state = field(form, "requestState").and_then(|text| State::read(app, &call.tenant, text)).ok_or(Lost::Gone)?;
    if let (Some(caller), Some(own)) = (proven, &state.caller)
        && caller.client.id != *own
    {
        return Err(Lost::Gone.into());
    }
    let application = client(call, state.application.as_ref()).ok_or(Lost::Gone)?;
    let runs = client(call, state.caller.as_ref()).unwrap_or(application);
    let caller = Caller::itself(Arc::clone(runs), app.world.now());
    let (request, ecid) = (Request::nothing(), EcId::new(app));
    let step = Step { app, call, caller: &caller, ecid: &ecid, request: &request, state: &state, application };
    if state.is_over(app) {
        return told(&step, Code::BadState);
    }
    let sign_ins = step.sign_ins();
    let (id, name) = (field(form, "idpId"), field(form, "idpName"));
    let chosen = sign_ins.providers().find(|(own, provider)| match (id, name) {
        (Some(id), _) => *own == id,
        (None, Some(name)) => provider.name == name || *own == name,
        (None, None) => false,
    });
    let Some((provider, _)) = chosen else { return told(&step, Code::ProviderUnknown) };
    let policy = step.governing()?;
    let facts = step.facts(None);
    let begin = Begin {
        client: start::runner(&step),
        grant: GrantId(app.world.ordered_uuid()),
        policy: Some(&policy),
        after: None,
        facts: &facts,
        prior: None,
        resume: start::resume(&step),
    };
    let flow = match sign_ins.begin(begin).await {
        Ok(Next::Challenge { flow, any_of, .. }) if any_of.contains(&FactorKind::Federated) => flow,
        Ok(Next::Challenge { .. } | Next::Enrol { .. } | Next::Ready(_) | Next::Refused { .. }) => {
            return told(&step, Code::DeniedByPolicy);
        }
        Err(failure) => return failed(&step, failure),
    };
    // The page says which client is its own: what is told it of somebody new is encrypted for that one. One document spells it otherwise.
    let named = field(form, "clientId").or_else(|| field(form, "clientID")).map(ClientId::from);
    let state = State { page: named.filter(|id| call.tenant.clients.contains_key(id)), ..state.clone() };
    let step = Step { state: &state, ..step };
    let focus = Focus { factor: Factor::Idp.as_str().to_owned(), ..Focus::default() };
    let cookie = app.world.token(LENGTH);
    let going = Going {
        provider,
        redirect_uri: format!("{}{CALLBACK}", call.base),
        back: Back::Page {
            state: step.next(Stage::Factor { grant: flow.id.clone(), focus }),
            browser: hash_of(&cookie),
        },
        fresh: false,
    };
    match sign_ins.send_upstream(flow, going).await {
        Ok(url) => {
            let mut response = see_other(&url)?;
            let secure = if call.base.starts_with("https:") { "; Secure" } else { "" };
            let cookie = format!("{COOKIE}={cookie}; Version=1; Path=/; HttpOnly; SameSite=Lax; Max-Age=900{secure}");
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(NotFrom::Failure(failure)) => failed(&step, failure),
        Err(_) => told(&step, Code::SocialFailed),
    }
}

/// `GET /sso/v1/sdk/idp/callback`: back from there, with a code or with an error.
async fn back(Extracted(app): Extracted<App>, call: Call) -> Response {
    let done = came_back(&app, &call).await;
    done.map_or_else(|page| page.into_response(&app, &call, &[]), handover::dressed)
}

/// What binds the browser that was sent.
fn cookie(call: &Call) -> Option<&str> {
    let all = call.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value).filter(|value| value.len() == LENGTH)
}

async fn came_back(app: &App, call: &Call) -> Result<Response, Page> {
    let form = call.query().map_err(|_| Lost::Gone)?;
    let one = |name: &'static str| form.one(name).ok().flatten();
    let sign_ins = crate::signin::SignIns { app, tenant: &call.tenant };
    let away = sign_ins.take_away(one("state").ok_or(Lost::Gone)?).await?.ok_or(Lost::Gone)?;
    let Back::Page { state, browser } = &away.back else { return Err(Lost::Gone.into()) };
    // Only the browser that was sent comes back (RFC 9700 §4.7).
    if cookie(call).map(hash_of).as_ref() != Some(browser) {
        return Err(Lost::NoCookie.into());
    }
    let state = State::read(app, &call.tenant, state).ok_or(Lost::Gone)?;
    let application = client(call, state.application.as_ref()).ok_or(Lost::Gone)?;
    let runs = client(call, state.caller.as_ref()).unwrap_or(application);
    let caller = Caller::itself(Arc::clone(runs), app.world.now());
    let (request, ecid) = (Request::nothing(), EcId::new(app));
    let step = Step { app, call, caller: &caller, ecid: &ecid, request: &request, state: &state, application };
    if state.is_over(app) {
        return told(&step, Code::BadState);
    }
    let flow = match sign_ins.by_grant(&away.grant).await {
        Ok(Some(flow)) => flow,
        Ok(None) => return told(&step, Code::SessionGone),
        Err(fault) => return failed(&step, fault.into()),
    };
    let grant = flow.id.clone();
    let answer = Answer { code: one("code"), iss: one("iss"), error: one("error") };
    let proved = match sign_ins.back_from_upstream(flow, away, answer).await {
        Ok(proved) => proved,
        Err(NotFrom::Failure(failure)) => return failed(&step, failure),
        Err(NotFrom::Newcomer(said)) => return newcomer(&step, grant, said),
        Err(NotFrom::Nobody) => return told(&step, Code::SocialUnknown),
        Err(_) => return told(&step, Code::SocialFailed),
    };
    match after::proved(&step, proved).await {
        Ok(mut body) => {
            let Some(page) = page_of(&step) else { return told(&step, Code::WrongProtocol) };
            match body.remove("authnToken") {
                Some(Value::String(token)) => Ok(handover::token(app, call, page, token)),
                _ => Ok(handover::form(app, call, page, body)?),
            }
        }
        Err(Stop::Failed(stop)) => told(&step, stop.0.code),
        Err(Stop::Busy(busy)) => failed(&step, Failure::Busy(busy)),
        Err(Stop::Fault(fault)) => failed(&step, Failure::Fault(fault)),
    }
}

/// Hands somebody new to the page that registers them: with what the provider said, encrypted for the client of the page, and a state in
/// which to do it. Where there is no such page they are told that nobody knows them.
fn newcomer(step: &Step<'_>, grant: GrantId, said: Map<String, Value>) -> Result<Response, Page> {
    let of = |client: &Client| client.oracle.error_url.clone();
    let page = client(step.call, step.state.page.as_ref()).unwrap_or(&step.caller.client);
    let key = PageKey::open(&step.app.master, &step.call.tenant.tenant.id, &page.id, &page.page_key);
    let (Some(url), Some(key)) = (of(step.application).or_else(|| of(&step.caller.client)), key) else {
        return told(step, Code::SocialUnknown);
    };
    let user_data = key.user_data(&step.app.world, &Value::Object(said));
    let state = step.next(Stage::Newcomer { grant });
    Ok(handover::register(step.app, step.call, &url, user_data, state))
}

/// The sign-in page: the application's, or the client's that ran the dialogue.
fn page_of<'s>(step: &Step<'s>) -> Option<&'s str> {
    let own = step.application.oracle.login_url.as_deref();
    own.or(step.caller.client.oracle.login_url.as_deref())
}

/// The page for errors is told; none where there is none.
fn error_page(step: &Step<'_>, code: Code) -> Option<Response> {
    let of = |client: &Client| handover::error(step.call, client, code.as_str(), code.text());
    of(step.application).or_else(|| of(&step.caller.client))
}

/// The page for errors is told; where there is none, the browser sees a page of ours.
fn told(step: &Step<'_>, code: Code) -> Result<Response, Page> {
    error_page(step, code).ok_or_else(|| Lost::Gone.into())
}

/// The same of a step that could not be taken.
fn failed(step: &Step<'_>, failure: Failure) -> Result<Response, Page> {
    let code = match &failure {
        Failure::Busy(_) => Code::Overloaded,
        Failure::Fault(_) => Code::SystemError,
        Failure::Wrong(_) | Failure::NotNow(_) | Failure::Stale | Failure::TooManyMessages | Failure::Unusable(_) => {
            Code::SocialFailed
        }
    };
    match (error_page(step, code), failure) {
        (Some(response), Failure::Fault(fault)) => {
            fault.log();
            Ok(response)
        }
        (Some(response), _) => Ok(response),
        (None, failure) => Err(Page::failed(failure)),
    }
}
