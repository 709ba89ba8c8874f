//! `/sso/v1/sdk/authenticate`: the dialogue of the Authenticate API, step by step.
//!
//! Owns which answer each step of a sign-in has in this dialect. What is asked for and whether it was proved is the engine's and the
//! driver's to say; what a person sets up meanwhile is `enrol`'s.

use axum::Router;
use axum::extract::State as Extracted;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use protocol::idcs::roles::AppRole;
use serde_json::{Value, json};

use super::caller::{Caller, Denied};
use super::ecid::{EcId, with_ecid};
use super::enrol;
use super::fault::{Code, Failed};
use crate::app::App;
use crate::call::Call;
use crate::reply;

pub mod after;
mod backup;
pub mod challenge;
pub mod factor;
mod finish;
mod kmsi;
pub mod mask;
mod password;
pub mod request;
pub mod scene;
mod second;
pub mod social;
pub mod start;
pub mod state;
pub mod step;
mod username;

pub use finish::ready;
use request::{Body, Op, Request};
use state::{Stage, State};
use step::{Members, Step, Stop, members};

/// Its paths.
pub const PATHS: [&str; 1] = ["/sso/v1/sdk/authenticate"];

/// Its routes.
pub fn routes() -> Router<App> {
    Router::new().route("/sso/v1/sdk/authenticate", get(begin).post(submit).options(methods))
}

/// `OPTIONS`: which methods there are; nobody has to say who asks.
async fn methods() -> Response {
    let mut response = reply::preflight();
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST, OPTIONS"));
    response
}

async fn caller(app: &App, call: &Call) -> Result<Caller, Denied> {
    let caller = Caller::of(app, call).await?;
    caller.demand(&[AppRole::Signin, AppRole::ChangePassword])?;
    Ok(caller)
}

/// `GET`: begins a dialogue. Nothing is stored.
async fn begin(Extracted(app): Extracted<App>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    let caller = match caller(&app, &call).await {
        Ok(caller) => caller,
        Err(denied) => return refuse(&denied, &ecid),
    };
    said(first(&app, &call, &caller).await, &ecid)
}

async fn first(app: &App, call: &Call, caller: &Caller) -> Result<Members, Stop> {
    let query = call.query().map_err(|_| Failed::invalid("The query cannot be read."))?;
    let name = query.one("appName").map_err(|_| Failed::invalid("The parameter appName is repeated."))?;
    let application = start::application(call, &caller.client, name.filter(|name| !name.is_empty()))?;
    let opening = start::Opening {
        app,
        call,
        caller: Some(&caller.client),
        application: &application,
        errand: None,
        devices: Vec::new(),
    };
    opening.body().await
}

/// `POST`: every later step.
async fn submit(Extracted(app): Extracted<App>, call: Call) -> Response {
    let ecid = EcId::new(&app);
    let caller = match caller(&app, &call).await {
        Ok(caller) => caller,
        Err(denied) => return refuse(&denied, &ecid),
    };
    said(step(&app, &call, &caller, &ecid).await, &ecid)
}

async fn step(app: &App, call: &Call, caller: &Caller, ecid: &EcId) -> Result<Members, Stop> {
    let body = Body::read(&call.body)?;
    let text = body.state()?.map(str::to_owned);
    let state = match &text {
        Some(text) => Some(bound(State::open(app, &call.tenant, text), caller).ok_or_else(|| bad_state(text))?),
        None => None,
    };
    let request = body.step();
    let Some(state) = state else { return without_state(app, call, caller, ecid, request?).await };
    let named = state.application.as_ref().and_then(|id| call.tenant.clients.get(id));
    let application = named.filter(|client| client.enabled).ok_or(Code::AppInactive)?;
    let unread;
    let (request, failed) = match request {
        Ok(request) => (request, None),
        // What cannot be read leaves the stage as it was, and tells it again.
        Err(failed) => {
            unread = Request::nothing();
            (unread, Some(failed))
        }
    };
    let step = Step { app, call, caller, ecid, request: &request, state: &state, application };
    match failed {
        Some(failed) => Err(Stop::from(failed).with(again(&step).await?)),
        None => match act(&step).await {
            // A request that does not fit leaves the stage as it was, and tells it again.
            Err(Stop::Failed(failed)) if [400, 422].contains(&failed.0.status.as_u16()) && failed.1.is_empty() => {
                Err(Stop::Failed(failed).with(again(&step).await?))
            }
            other => other,
        },
    }
}

/// The token that `createToken` would give for this state: what the session endpoint asks for where a form brings nothing else. None
/// where there is none yet.
pub async fn token_of_state(app: &App, call: &Call, text: &str) -> Option<String> {
    let state = State::open(app, &call.tenant, text)?;
    let find = |id: &protocol::records::ClientId| call.tenant.clients.get(id).filter(|client| client.enabled).cloned();
    let application = find(state.application.as_ref()?)?;
    let caller = Caller::of_state(state.caller.as_ref().and_then(find).unwrap_or_else(|| application.clone()));
    let asked = json!({ "op": Op::CreateToken.as_str(), "requestState": text }).to_string();
    let request = Body::read(asked.as_bytes()).ok()?.step().ok()?;
    let ecid = EcId::new(app);
    let step =
        Step { app, call, caller: &caller, ecid: &ecid, request: &request, state: &state, application: &application };
    let said = Box::pin(act(&step)).await.ok()?;
    said.get("authnToken")?.as_str().map(str::to_owned)
}

/// A state is good for the client it was made for: in its dialogue, no other one goes on.
fn bound(state: Option<State>, caller: &Caller) -> Option<State> {
    state.filter(|state| state.caller.as_ref().is_none_or(|own| *own == caller.client.id))
}

/// The value comes back, and nothing else.
fn bad_state(text: &str) -> Stop {
    let shown: String = text.chars().take(4096).collect();
    Stop::Failed(Box::new((Code::BadState.into(), members(json!({ "requestState": shown })))))
}

/// Without a state only somebody who stayed signed in may come.
async fn without_state(
    app: &App,
    call: &Call,
    caller: &Caller,
    ecid: &EcId,
    request: Request,
) -> Result<Members, Stop> {
    let Some(token) = &request.kmsi else {
        return Err(Failed::incomplete("The attribute requestState is missing.").into());
    };
    let application = start::application(call, &caller.client, request.application.as_deref())?;
    let own = Some(caller.client.id.clone());
    let state = State::begin(app, &call.tenant, own, Some(application.id.clone()));
    let step = Step { app, call, caller, ecid, request: &request, state: &state, application: &application };
    match request.op {
        Op::CredSubmit => kmsi::submit(&step, token).await,
        op => Err(not_offered(op, &[Op::CredSubmit])),
    }
}

/// The stage once more, for an answer that changed nothing.
async fn again(step: &Step<'_>) -> Result<Members, Stop> {
    match &step.state.stage {
        Stage::Start => start::again(step).await,
        Stage::Factor { .. } => second::again(step).await,
        Stage::Enrolment { detail, .. } => enrol::again(step, detail).await,
        Stage::Terms { .. } => finish::again(step).await,
        Stage::Newcomer { .. } => Ok(social::again(step)),
    }
}

fn not_offered(op: Op, offered: &[Op]) -> Stop {
    let names: Vec<&str> = offered.iter().map(|op| op.as_str()).collect();
    let text = format!("The operation {} is not offered here; offered: {}.", op.as_str(), names.join(", "));
    Failed::saying(Code::OpNotOffered, text).into()
}

async fn act(step: &Step<'_>) -> Result<Members, Stop> {
    let refused = async |offered: &[Op]| Err(not_offered(step.request.op, offered).with(again(step).await?));
    match (&step.state.stage, step.request.op) {
        (Stage::Start, Op::CredSubmit) => match &step.request.kmsi {
            Some(token) => kmsi::submit(step, token).await,
            None => start::submit(step).await,
        },
        (Stage::Start, Op::GetBackupFactors) if step.request.credentials.has("username") => backup::list(step).await,
        (Stage::Start, _) => refused(&[Op::CredSubmit]).await,
        (Stage::Factor { .. }, Op::CredSubmit) => second::submit(step).await,
        (Stage::Factor { .. }, Op::ResendCode) => second::resend(step).await,
        (Stage::Factor { .. }, Op::GetBackupFactors) => backup::list(step).await,
        (Stage::Factor { .. }, _) => refused(&[Op::CredSubmit, Op::GetBackupFactors]).await,
        (Stage::Enrolment { detail, .. }, Op::CredSubmit | Op::Enrollment | Op::ResendCode | Op::CreateToken) => {
            enrol::act(step, detail).await
        }
        (Stage::Enrolment { .. }, _) => refused(&[Op::CreateToken, Op::Enrollment]).await,
        (Stage::Terms { .. }, Op::AcceptTou) => finish::accept(step).await,
        (Stage::Terms { .. }, _) => refused(&[Op::AcceptTou]).await,
        (Stage::Newcomer { .. }, Op::SocialRegister) => social::register(step).await,
        (Stage::Newcomer { .. }, _) => refused(&[Op::SocialRegister]).await,
    }
}

/// The answer of a step.
fn said(said: Result<Members, Stop>, ecid: &EcId) -> Response {
    match said {
        Ok(body) => answer(StatusCode::OK, body, ecid),
        Err(Stop::Failed(stop)) => failed(&stop.0, stop.1, ecid),
        Err(Stop::Busy(busy)) => refuse(&Denied::Busy(busy), ecid),
        Err(Stop::Fault(fault)) => refuse(&Denied::Fault(fault), ecid),
    }
}

/// A body, with what every one has.
pub fn answer(status: StatusCode, mut body: Members, ecid: &EcId) -> Response {
    body.insert("ecId".to_owned(), Value::from(ecid.as_str()));
    let mut response = reply::json(status, &body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    with_ecid(response, ecid)
}

/// A step that was refused, with what the stage has besides.
pub fn failed(failed: &Failed, mut stage: Members, ecid: &EcId) -> Response {
    stage.insert("status".to_owned(), "failed".into());
    stage.insert("cause".to_owned(), json!([{ "code": failed.code.as_str(), "message": failed.message }]));
    answer(failed.status, stage, ecid)
}

/// A caller that is not heard. The exact media type is how clients tell a dead token of their own from a wrong password (reference
/// §1.4).
pub fn refuse(denied: &Denied, ecid: &EcId) -> Response {
    let response = match denied {
        Denied::DeadToken => {
            let mut response = Response::new(axum::body::Body::from(
                "<!doctype html><html lang=\"en\"><title>401</title><p>The access token is not accepted.</p></html>",
            ));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            response
        }
        Denied::MissingRole => scim_error(
            StatusCode::UNAUTHORIZED,
            "The access token lacks the role this needs.",
            "error.common.common.insufficientScope",
        ),
        Denied::Busy(busy) => {
            reply::retry_after(failed(&Code::Overloaded.into(), Members::new(), ecid), Some(busy.retry_after))
        }
        Denied::Fault(fault) => {
            fault.log();
            failed(&Code::SystemError.into(), Members::new(), ecid)
        }
    };
    with_ecid(response, ecid)
}

/// A SCIM error of the vendor's form (reference §4.8).
pub fn scim_error(status: StatusCode, detail: &str, message: &str) -> Response {
    const EXTENSION: &str = "urn:ietf:params:scim:api:oracle:idcs:extension:messages:Error";
    let mut response = reply::json(
        status,
        &json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error", EXTENSION],
            "detail": detail,
            "status": status.as_str(),
            EXTENSION: { "messageId": message },
        }),
    );
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
    response
}
