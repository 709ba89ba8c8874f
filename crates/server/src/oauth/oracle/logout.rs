//! `/oauth2/v1/userlogout` (Oracle page §4.5): ends the session of the browser without asking, and sends it on.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use protocol::form::Form;
use protocol::records::Client;
use serde_json::{Map, Value};

use super::super::authorize::{Stop, see_other};
use super::super::{client, logout};
use super::session::home;
use crate::app::App;
use crate::browser::{cookies, keep, session};
use crate::call::Call;
use crate::doors::hosted;
use crate::keys::Typ;

/// `GET` and `POST /oauth2/v1/userlogout`.
pub async fn end(State(app): State<App>, call: Call) -> Response {
    let form = if call.method == Method::POST { call.form(&[]) } else { call.query() };
    let done = match form {
        Ok(form) => run(&app, &call, &form).await,
        Err(_) => Ok(bad(&app, &call, "the request cannot be read")),
    };
    done.unwrap_or_else(|stop| stop.into_response(&app, &call, &[]))
}

fn bad(app: &App, call: &Call, phrase: &'static str) -> Response {
    hosted::error(app, call, &[], StatusCode::BAD_REQUEST, "unreadable_request", phrase, "CSIAQ9999E")
}

async fn run(app: &App, call: &Call, form: &Form) -> Result<Response, Stop> {
    let one = |name: &'static str| form.one(name).ok().flatten();
    let hint = one("id_token_hint").and_then(|token| hinted(app, call, token));
    let client = hint.as_ref().and_then(|claims| client_of(call, claims));
    let to = match (one("post_logout_redirect_uri"), &client) {
        (None, _) => home(call),
        (Some(uri), Some(client)) if client.post_logout_redirect_uris.iter().any(|one| one == uri) => {
            with_state(uri, one("state"))
        }
        // Nothing is ended where the browser would be left standing: a stranger's link does no harm.
        (Some(_), _) => return Ok(bad(app, call, "the address to go to after signing out is not registered")),
    };
    let sessions = session::all(app, call).await?;
    let sid = hint.as_ref().and_then(|claims| claims.get("sid")).and_then(Value::as_str);
    let meant = sessions.iter().find(|one| sid.is_some_and(|sid| is_known_by(one, sid))).or_else(|| sessions.first());
    let response = see_other(&to)?;
    let Some(session) = meant else { return Ok(response) };
    let stays = keep::sign_out(app, call, &session.subject).await?;
    logout::close_and(app, call, session, stays.changes).await?;
    let gone = session::cookies_without(call, session, &sessions);
    Ok(cookies::set(response, gone.into_iter().chain(stays.cookies)))
}

/// Whether a client knows the session by this name, or it is its own.
fn is_known_by(session: &session::Session, sid: &str) -> bool {
    session.id == sid || session.clients().iter().any(|login| login.sid == sid)
}

/// What an ID token of this dialect says, expired or not.
fn hinted(app: &App, call: &Call, token: &str) -> Option<Map<String, Value>> {
    let claims = call.tenant.keys.verify(token, Typ::OracleIdentity, app.world.now())?;
    (claims.get("iss")?.as_str()? == super::claims::issuer(call)).then_some(claims)
}

fn client_of(call: &Call, claims: &Map<String, Value>) -> Option<std::sync::Arc<Client>> {
    client::find(call, claims.get("client_id")?.as_str()?)
}

fn with_state(uri: &str, state: Option<&str>) -> String {
    let Some(state) = state else { return uri.to_owned() };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
    let joint = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{joint}{query}")
}
