//! Logout asked for by a client (RP-Initiated Logout 1.0), and the frame that watches a session (Session Management 1.0).
//!
//! Owns the order: who is meant, whether the person is asked, what ends, who is told, where the browser goes. What a request
//! means is judged by `protocol`; what a session takes along is the session's; the telling of servers is [`notices`]'.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use protocol::discovery::Prefix;
use protocol::form::Form;
use protocol::id_token_hint::IdTokenHint;
use protocol::logout::{self as rules, After, Hint, LogoutRequest, Outcome, Standing};
use protocol::records::{Client, Seconds};
use serde::{Deserialize, Serialize};
use store::{Change, CommitError};
use subtle::ConstantTimeEq;

pub mod notices;

use super::authorize::see_other;
use super::client;
use super::subject::subject;
use crate::app::App;
use crate::browser::cookies::{Cookie, is_secure};
use crate::browser::{Session, cookies, keep, session};
use crate::call::Call;
use crate::doors::hosted::{self, pages};
use crate::fault::Fault;
use crate::keys::Typ;
use crate::tokens;

/// Where a person's answer goes who was asked.
pub const CONFIRM: &str = "/logout/confirm";
/// Seconds the question may stand.
const PATIENCE: Seconds = 1800;
/// The longest address a posted request is turned into.
const LONGEST_QUERY: usize = 8 * 1024;

/// What a person is asked about, as their browser carries it to and fro.
#[derive(Serialize, Deserialize)]
struct Question {
    /// The session in question, by its public id.
    session: Option<String>,
    after: After,
    client: Option<String>,
    locales: Vec<String>,
    until: Seconds,
}

/// Why there is no outcome but a page.
enum Stop {
    Page(StatusCode, &'static str, &'static str),
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<store::StoreError> for Stop {
    fn from(error: store::StoreError) -> Self {
        Self::Fault(error.into())
    }
}

/// `GET` and `POST /end_session` and `/rplogout` under every path family.
pub async fn end_session(State(app): State<App>, call: Call) -> Response {
    let stop = match asked(&app, &call).await {
        Ok(response) => return response,
        Err(stop) => stop,
    };
    show(&app, &call, stop)
}

/// `POST /logout/confirm`: what the person answered.
pub async fn confirm(State(app): State<App>, call: Call) -> Response {
    match answered(&app, &call).await {
        Ok(response) => response,
        Err(stop) => show(&app, &call, stop),
    }
}

/// `GET /check_session` under every path family: the frame a client watches the session by.
pub async fn check_session(State(app): State<App>, call: Call) -> Response {
    let cookie = Cookie::State.name(is_secure(&call));
    pages::Page::CheckSession(pages::CheckSession { cookie }).answer(&hosted::look(&app, &call, &[]))
}

fn show(app: &App, call: &Call, stop: Stop) -> Response {
    match stop {
        Stop::Page(status, id, phrase) => hosted::error(app, call, &[], status, id, phrase, "CSIAQ9999E"),
        Stop::Fault(fault) => hosted::fault(app, call, &[], &fault),
    }
}

fn unreadable() -> Stop {
    Stop::Page(StatusCode::BAD_REQUEST, "unreadable_request", "the request cannot be read")
}

/// The parameters, wherever they are.
fn parameters(call: &Call) -> Result<Form, Stop> {
    let form = if call.method == Method::POST { call.form(&[]) } else { call.query() };
    form.map_err(|_| unreadable())
}

async fn asked(app: &App, call: &Call) -> Result<Response, Stop> {
    let form = parameters(call)?;
    // A browser sends no cookie of ours along with a form another site posts, but it does when it is sent on from there.
    if call.method == Method::POST
        && session::named(call).next().is_none()
        && let Some(again) = as_query(call, &form)
    {
        return Ok(see_other(&again)?);
    }
    let request = LogoutRequest::read(&form).map_err(|_| unreadable())?;
    let hint = read_hint(app, call, request.id_token_hint.as_deref());
    let named = rules::client_of(&request, &hint).map_err(|problem| {
        Stop::Page(StatusCode::BAD_REQUEST, problem.id(), "the request names another application than its ID token")
    })?;
    let client = named.and_then(|id| client::find(call, id));
    let sessions = session::all(app, call).await?;
    let (session, standing) = which(app, call, &sessions, &hint, client.as_deref());
    match rules::judge(&request, &hint, client.as_deref(), standing) {
        Outcome::End(after) => end(app, call, session, &sessions, &after, client, &request.ui_locales).await,
        Outcome::Confirm(after) => ask(app, call, session, after, client, request.ui_locales).await,
    }
}

/// The same request as an address; none where that would be too long.
fn as_query(call: &Call, form: &Form) -> Option<String> {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(form.pairs()).finish();
    (query.len() <= LONGEST_QUERY).then(|| format!("{}?{query}", call.uri.path()))
}

/// What a hint is worth: an ID token of this tenant, under whichever of its names it was made, expired or not (demand L-4).
fn read_hint(app: &App, call: &Call, hint: Option<&str>) -> Hint {
    let Some(hint) = hint else { return Hint::Absent };
    let now = app.world.now();
    let issuers: Vec<String> = call
        .tenant
        .tenant
        .urls
        .iter()
        .flat_map(|base| Prefix::ALL.into_iter().map(move |prefix| prefix.issuer(base)))
        .collect();
    let claims = call.tenant.keys.verify(hint, Typ::Jwt, now);
    match claims.and_then(|claims| IdTokenHint::read(Some("jwt"), &claims, &issuers, now)) {
        Some(read) => Hint::Good(read),
        None => Hint::Bad,
    }
}

/// The session that is meant: the one the hint is about, or else the one in use.
fn which<'s>(
    app: &App,
    call: &Call,
    sessions: &'s [Session],
    hint: &Hint,
    client: Option<&Client>,
) -> (Option<&'s Session>, Standing) {
    let is_about = |session: &&Session| match (hint, client) {
        (Hint::Good(hint), Some(client)) => {
            let same = subject(&app.master, &call.tenant.tenant.id, client, &session.subject) == hint.subject;
            same && hint.sid.as_deref().is_none_or(|sid| session.sid_of(&client.id) == Some(sid))
        }
        (Hint::Good(_) | Hint::Absent | Hint::Bad, _) => false,
    };
    match (sessions.iter().find(is_about), sessions.first()) {
        (Some(session), _) => (Some(session), Standing::Same),
        (None, Some(session)) => (Some(session), Standing::Other),
        (None, None) => (None, Standing::NoSession),
    }
}

/// Asks the person. What was asked goes into the form, sealed against change and bound to this browser's sessions.
async fn ask(
    app: &App,
    call: &Call,
    session: Option<&Session>,
    after: After,
    client: Option<Arc<Client>>,
    locales: Vec<String>,
) -> Result<Response, Stop> {
    let question = Question {
        session: session.map(|session| session.id.clone()),
        after,
        client: client.as_ref().map(|client| client.id.0.clone()),
        locales,
        until: app.world.now() + PATIENCE,
    };
    let text = serde_json::to_vec(&question).map_err(|error| Fault::internal("a question about a logout", error))?;
    let text = protocol::b64::encode_url(text);
    let proof = prove(app, call, &text);
    let user = match session {
        Some(session) => app.store.user(&call.tenant.tenant.id, &session.subject).await?,
        None => None,
    };
    let hidden = [("question", text.as_str()), ("proof", proof.as_str())];
    let page = pages::ConfirmLogout {
        form: pages::Form { action: CONFIRM, hidden: &hidden },
        client: client.as_deref().map(pages::ClientView::of),
        person: user.as_ref().map(|user| pages::Person {
            name: user.attributes.get("name").and_then(|names| names.first()).map(String::as_str),
            username: &user.username,
        }),
    };
    let mut look = hosted::look(app, call, &question.locales);
    if let After::Redirect(uri) = &question.after {
        look = look.answering_to(uri);
    }
    Ok(pages::Page::ConfirmLogout(page).answer(&look))
}

fn prove(app: &App, call: &Call, text: &str) -> String {
    let sessions: Vec<&str> = session::named(call).collect();
    let bound = format!("{}\n{}\n{text}", call.tenant.tenant.id, sessions.join("."));
    tokens::hex(&app.master.mac("logout question", bound.as_bytes()))
}

async fn answered(app: &App, call: &Call) -> Result<Response, Stop> {
    let form = call.form(&[]).map_err(|_| unreadable())?;
    let one = |name: &'static str| form.one(name).map_err(|_| unreadable());
    let (text, proof) = (one("question")?.unwrap_or_default(), one("proof")?.unwrap_or_default());
    let gone = || Stop::Page(StatusCode::FORBIDDEN, "foreign_form", "the form was not made for this browser");
    if !hosted::is_from_here(&call.headers, &call.base) {
        return Err(gone());
    }
    if !bool::from(prove(app, call, text).as_bytes().ct_eq(proof.as_bytes())) {
        return Err(gone());
    }
    let question = protocol::b64::decode_url(text, 64 * 1024)
        .and_then(|bytes| serde_json::from_slice::<Question>(&bytes).ok())
        .ok_or_else(unreadable)?;
    if question.until <= app.world.now() {
        return Ok(hosted::expired(app, call));
    }
    let client = question.client.as_deref().and_then(|id| client::find(call, id));
    match pages::Press::parse(one(pages::field::DO)?) {
        Some(pages::Press::Submit) => {}
        // Who does not want to go stays, and the client is not told otherwise.
        Some(_) => {
            let page = pages::StillSignedIn { client: client.as_deref().map(pages::ClientView::of) };
            return Ok(pages::Page::StillSignedIn(page).answer(&hosted::look(app, call, &question.locales)));
        }
        None => return Err(unreadable()),
    }
    let sessions = session::all(app, call).await?;
    let session = sessions.iter().find(|session| Some(&session.id) == question.session.as_ref());
    end(app, call, session, &sessions, &question.after, client, &question.locales).await
}

/// A person signs out at a page of ours.
pub async fn sign_out(app: &App, call: &Call, session: &Session, sessions: &[Session]) -> Response {
    match end(app, call, Some(session), sessions, &After::Page, None, &[]).await {
        Ok(response) => response,
        Err(stop) => show(app, call, stop),
    }
}

/// Ends the session with everything that hangs on it, and lets everybody know.
async fn end(
    app: &App,
    call: &Call,
    session: Option<&Session>,
    sessions: &[Session],
    after: &After,
    client: Option<Arc<Client>>,
    locales: &[String],
) -> Result<Response, Stop> {
    let mut stays = keep::Keeping::default();
    let frames = match session {
        Some(session) => {
            stays = keep::sign_out(app, call, &session.subject).await?;
            close_and(app, call, session, std::mem::take(&mut stays.changes)).await?;
            frames(call, session)
        }
        None => Vec::new(),
    };
    let response = match after {
        After::Redirect(uri) if frames.is_empty() => see_other(uri)?,
        After::Redirect(_) | After::Page => {
            let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
            let page = pages::LoggedOut {
                frames: &frames,
                continue_to: if let After::Redirect(uri) = after { Some(uri) } else { None },
                client: client.as_deref().map(pages::ClientView::of),
            };
            pages::Page::LoggedOut(page).answer(&hosted::look(app, call, locales))
        }
    };
    Ok(match session {
        Some(session) => {
            let gone = session::cookies_without(call, session, sessions);
            cookies::set(response, gone.into_iter().chain(stays.cookies))
        }
        None => response,
    })
}

/// Ends a session in one transaction with the notices that say so; they are delivered whoever dies meanwhile.
///
/// # Errors
/// The store failed.
pub async fn close(app: &App, call: &Call, session: &Session) -> Result<(), Fault> {
    close_and(app, call, session, Vec::new()).await
}

/// The same, with whatever else ends.
///
/// # Errors
/// The store failed.
pub(super) async fn close_and(app: &App, call: &Call, session: &Session, more: Vec<Change>) -> Result<(), Fault> {
    let tenant = &call.tenant.tenant.id;
    let mut changes = session::end(session).to_vec();
    changes.extend(more);
    let notices = notices::of(app, &call.tenant, session);
    let some = !notices.is_empty();
    changes.extend(notices.into_iter().map(Change::Enqueue));
    match app.commit(tenant, "logout", changes).await {
        Ok(()) => {
            if some {
                app.delivery.wake();
            }
            Ok(())
        }
        // Somebody ended it first, and told everybody.
        Err(CommitError::Refused { .. }) => Ok(()),
        Err(CommitError::Unavailable(error)) => Err(error.into()),
    }
}

/// What the browser loads so that the clients' pages notice (Front-Channel Logout 1.0 §3).
fn frames(call: &Call, session: &Session) -> Vec<String> {
    let of = |login: &crate::browser::Login| {
        let client = client::find(call, login.client.as_str())?;
        rules::frontchannel_uri(&client, &login.issuer, &login.sid)
    };
    session.clients().iter().filter_map(of).collect()
}
