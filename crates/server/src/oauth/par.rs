//! Pushed authorization requests (RFC 9126, vendor page §4.10): what a client would send through the browser, handed in beforehand by
//! itself. Owns the push and its keeping; what is asked for is judged here once and again where the browser arrives.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::authorize::{self, Came};
use protocol::client_auth::read_presented;
use protocol::form::Form;
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::{Client, ClientAuthMethod, ClientId, Seconds};
use protocol::request_object::{self, Strictness};
use serde::{Deserialize, Serialize};
use store::{Change, CommitError, Item};

use super::authorize::object;
use super::client;
use super::refused::Refused;
use super::sources::source_of;
use crate::app::App;
use crate::call::Call;
use crate::directory::TenantView;
use crate::fault::Fault;
use crate::{reply, tokens};

/// The kind of the stored documents.
const KIND: &str = "par";
/// What a `request_uri` of ours begins with (RFC 9126 §2.2).
pub const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
const LENGTH: usize = 40;
/// Seconds until the browser must have arrived.
const LIFETIME: Seconds = 90;
/// How long it is kept beyond that, so that the dialogue it led to can use it up at its end.
const DIALOGUE: Seconds = 3600;
/// Requests one public client may push from one place in a minute.
const PUBLIC_PUSHES: i64 = 120;
/// What proves the client is no part of the request.
const CREDENTIALS: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

#[derive(Serialize, Deserialize)]
struct Kept {
    client: ClientId,
    ends: Seconds,
    pairs: Vec<(String, String)>,
}

/// A pushed request, as it was handed in.
#[derive(Debug)]
pub struct Pushed {
    /// Its parameters.
    pub form: Form,
}

/// What must be committed with the answer to the request that was pushed under this `request_uri`: it is answered once, though a
/// browser may arrive with it again before (RFC 9126 §7.3).
pub fn spend(request_uri: &str) -> Change {
    Change::TakeItem { kind: KIND, name: name_of(request_uri), version: None }
}

#[derive(Serialize)]
struct Answer<'a> {
    request_uri: &'a str,
    expires_in: Seconds,
}

/// `POST /par` under every path family.
pub async fn push(State(app): State<App>, call: Call) -> Response {
    match run(&app, &call).await {
        Ok(response) => response,
        Err(refused) => refused.into_response(StatusCode::UNAUTHORIZED.as_u16()),
    }
}

async fn run(app: &App, call: &Call) -> Result<Response, Refused> {
    let form = call.form(&["resource"])?;
    let presented = read_presented(&form, call.authorization())?.without_bearer();
    let client = client::authenticate(app, call, presented).await?;
    if form.mentions("request_uri") {
        return Err(Rejection::invalid_request("`request_uri` cannot be pushed").into());
    }
    let form = of_client(&form, &client);
    check(app, call, &form, &client).await?;
    let now = app.world.now();
    let request_uri = format!("{PREFIX}{}", app.world.token(LENGTH));
    let kept = Kept {
        client: client.id.clone(),
        ends: now + LIFETIME,
        pairs: form.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    };
    let item = Item {
        kind: KIND,
        name: name_of(&request_uri),
        owner: None,
        link: None,
        created: now,
        expires: kept.ends + DIALOGUE,
        body: serde_json::to_string(&kept).map_err(|error| Fault::internal("a pushed request", error))?,
        version: 0,
    };
    let mut changes = vec![Change::PutItem(item)];
    // Who proves nothing makes rows for nothing: only so many.
    if client.auth_method == ClientAuthMethod::None {
        changes.insert(
            0,
            Change::Meter {
                key: format!("par:{}:{}", client.id, source_of(call.peer)),
                limit: PUBLIC_PUSHES,
                window: 60,
                at: now,
            },
        );
    }
    match app.commit(&call.tenant.tenant.id, "pushed request", changes).await {
        Ok(()) => {}
        Err(CommitError::Refused { index: 0 }) if client.auth_method == ClientAuthMethod::None => {
            let text = "CSIAQ9999E too many requests are pushed at once";
            let response = reply::oauth(StatusCode::TOO_MANY_REQUESTS, OAuthCode::TemporarilyUnavailable, text);
            return Ok(reply::retry_after(response, Some(60)));
        }
        Err(CommitError::Refused { .. }) => return Err(Fault::stored("a request URI was drawn twice").into()),
        Err(CommitError::Unavailable(error)) => return Err(error.into()),
    }
    Ok(reply::json(StatusCode::CREATED, &Answer { request_uri: &request_uri, expires_in: LIFETIME }))
}

/// The request as the authenticated client makes it: without its credentials, with its own name.
fn of_client(form: &Form, client: &Client) -> Form {
    let kept = form.pairs().filter(|(name, _)| !CREDENTIALS.contains(name) && *name != "client_id");
    let own = ("client_id".to_owned(), client.id.0.clone());
    Form::from_pairs(std::iter::once(own).chain(kept.map(|(name, value)| (name.to_owned(), value.to_owned()))))
}

/// What would be refused in the browser is refused here (RFC 9126 §2.1).
async fn check(app: &App, call: &Call, form: &Form, client: &Client) -> Result<(), Rejection> {
    let merged = match request_object::presented(form)? {
        None => None,
        Some(presented) => Some(object::merge(app, call, client, form, presented, Strictness::Jar).await?),
    };
    let (form, signed) = merged.as_ref().map_or((form, false), |merged| (&merged.form, merged.signed));
    let target = authorize::identify(form, Some(client))
        .map_err(|error| Rejection::invalid_request(error.to_string()).with_id(error.message_id()))?;
    authorize::judge(form, client, target, Came { pushed: true, signed }).map_err(|error| error.rejection)?;
    Ok(())
}

/// The request this client pushed under this `request_uri`, if the browser arrives in time and it was not answered yet.
///
/// # Errors
/// The store failed.
pub async fn load(
    app: &App,
    tenant: &TenantView,
    client: &ClientId,
    request_uri: &str,
) -> Result<Option<Pushed>, Fault> {
    if !request_uri.starts_with(PREFIX) || request_uri.len() != PREFIX.len() + LENGTH {
        return Ok(None);
    }
    let name = name_of(request_uri);
    let Some(item) = app.store.item(&tenant.tenant.id, KIND, &name).await? else { return Ok(None) };
    let kept: Kept =
        serde_json::from_str(&item.body).map_err(|error| Fault::internal("a stored pushed request", error))?;
    if kept.client != *client || kept.ends <= app.world.now() {
        return Ok(None);
    }
    Ok(Some(Pushed { form: Form::from_pairs(kept.pairs) }))
}

fn name_of(request_uri: &str) -> String {
    tokens::hex(&tokens::digest(request_uri).0)
}
