//! Dynamic client registration and its management (RFC 7591, RFC 7592, OpenID Connect Registration 1.0).
//!
//! Owns who may register and how a client proves that it may change itself. What metadata may say is judged in `protocol::registration`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use protocol::discovery::Endpoint;
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::{Client, ClientAuthMethod, ClientId, ClientRegistration, ClientSecret, RegistrationPolicy};
use protocol::registration::{self, Powers, Rules};
use serde_json::{Map, Value};
use store::{Change, CommitError, DirectoryChange};
use subtle::ConstantTimeEq;

use super::discovery::grant_types;
use super::introspect;
use super::refused::Refused;
use crate::app::App;
use crate::call::{Call, Path};
use crate::directory::TenantView;
use crate::fault::Fault;
use crate::reply;
use crate::tokens;

/// The entitlement of an initial access token (vendor page §4.15).
const ENTITLEMENT: &str = "manageOidcDynamicClient";
/// Characters of a client secret: 238 random bits.
const SECRET_LENGTH: usize = 40;
/// Clients strangers may have registered at one tenant: each stands in the memory of every node.
const MOST_STRANGERS: usize = 10_000;

/// `POST` to the registration endpoint of a path family.
pub async fn register(State(app): State<App>, call: Call) -> Response {
    answer(create(&app, &call).await)
}

/// What a client may do with its own configuration (RFC 7592 §2).
pub fn own() -> MethodRouter<App> {
    get(configuration).put(configuration).delete(configuration)
}

/// `GET`, `PUT` and `DELETE` of a client's own configuration.
async fn configuration(State(app): State<App>, Path(client): Path<String>, call: Call) -> Response {
    answer(manage(&app, &call, &client).await)
}

/// A no of these endpoints.
enum No {
    Refused(Refused),
    /// An answer of its own.
    Told(Box<Response>),
}

impl<T: Into<Refused>> From<T> for No {
    fn from(refused: T) -> Self {
        Self::Refused(refused.into())
    }
}

fn answer(outcome: Result<Response, No>) -> Response {
    match outcome {
        Ok(response) => response,
        Err(No::Told(response)) => *response,
        Err(No::Refused(refused)) => refused.into_response(StatusCode::UNAUTHORIZED.as_u16()),
    }
}

/// A bearer token is missing or not good (RFC 6750 §3.1).
fn unauthorized(presented: bool) -> No {
    let text = "the token is missing or not valid";
    let mut response = reply::oauth(StatusCode::UNAUTHORIZED, OAuthCode::InvalidToken, text);
    let challenge = if presented { "Bearer error=\"invalid_token\"" } else { "Bearer" };
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    No::Told(Box::new(response))
}

async fn create(app: &App, call: &Call) -> Result<Response, No> {
    let tenant = &call.tenant;
    let settings = &tenant.tenant.settings;
    if settings.registration == RegistrationPolicy::Off {
        return Err(No::Told(Box::new(reply::plain_error(StatusCode::NOT_FOUND, "there is nothing at this path"))));
    }
    let voucher = voucher(app, call).await?;
    if voucher.is_none() && settings.registration == RegistrationPolicy::Token {
        return Err(unauthorized(call.bearer().is_some()));
    }
    let now = app.world.now();
    let policies: BTreeSet<i64> = tenant.policy_records.keys().copied().collect();
    let powers = voucher.as_ref().map(|voucher| Powers { entitlements: &voucher.entitlements, policies: &policies });
    let blank = registration::stranger(ClientId::from(app.world.uuid()));
    let mut client = judge(app, tenant, &metadata(call)?, blank, voucher.is_some(), powers)?;
    if voucher.is_none() {
        meter(app, call).await?;
    }
    check_sector(app, &client).await?;
    let token = app.world.token(tokens::ACCESS_TOKEN_LENGTH);
    client.registration =
        Some(ClientRegistration { token_sha256: hash(&token), issued_at: now, vouched: voucher.is_some() });
    let secret = renew_secret(app, &mut client);
    store(app, tenant, &client).await?;
    tracing::info!(tenant = %tenant.tenant.id, client = %client.id, vouched = voucher.is_some(), "a client registered itself");
    Ok(reply::json(StatusCode::CREATED, &told(call, &client, secret.as_deref(), &token)))
}

/// The client behind an initial access token: its own token, not that of a person who signed in through it.
async fn voucher(app: &App, call: &Call) -> Result<Option<Arc<Client>>, No> {
    if call.authorization().next().is_none() {
        return Ok(None);
    }
    let token = call.bearer().filter(|token| token.len() <= tokens::LONGEST).ok_or_else(|| unauthorized(true))?;
    let (row, _) = introspect::access(app, call, token).await?.ok_or_else(|| unauthorized(true))?;
    let client = call.tenant.clients.get(&row.client).ok_or_else(|| unauthorized(true))?;
    Ok((row.subject.is_none() && client.entitlements.contains(ENTITLEMENT)).then(|| Arc::clone(client)))
}

fn metadata(call: &Call) -> Result<Map<String, Value>, Rejection> {
    let refuse = || Rejection::new(OAuthCode::InvalidClientMetadata, "the body is no JSON object");
    let json = call.media_type().is_empty() || call.media_type().eq_ignore_ascii_case("application/json");
    call.json().filter(|_| json).ok_or_else(refuse)
}

fn judge(
    app: &App,
    tenant: &TenantView,
    metadata: &Map<String, Value>,
    client: Client,
    vouched: bool,
    powers: Option<Powers<'_>>,
) -> Result<Client, Rejection> {
    let rules =
        Rules { grant_types: &grant_types(), signing_algs: &tenant.keys.algorithms(app.world.now()), vouched, powers };
    registration::read(metadata, client, &rules)
}

/// Strangers are counted by address, and all together (attack case 4 of registration: filling the directory).
async fn meter(app: &App, call: &Call) -> Result<(), No> {
    let strangers = call
        .tenant
        .clients
        .values()
        .filter(|client| client.registration.as_ref().is_some_and(|registration| !registration.vouched));
    let limit = i64::from(call.tenant.tenant.settings.registrations_per_hour);
    let key = format!("registration:{}", network_of(call.peer));
    let meter = Change::Meter { key, limit, window: 3600, at: app.world.now() };
    if strangers.count() < MOST_STRANGERS {
        match app.commit(&call.tenant.tenant.id, "registration", vec![meter]).await {
            Ok(()) => return Ok(()),
            Err(CommitError::Refused { .. }) => {}
            Err(CommitError::Unavailable(error)) => return Err(error.into()),
        }
    }
    let text = "too many clients registered from here, try again later";
    let response = reply::oauth(StatusCode::TOO_MANY_REQUESTS, OAuthCode::TemporarilyUnavailable, text);
    Err(No::Told(Box::new(reply::retry_after(response, Some(3600)))))
}

/// An address; of version 6 the network a single customer is given (RFC 6177 §2).
fn network_of(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// OpenID Connect Registration §5: whoever declares a sector must be known there.
async fn check_sector(app: &App, client: &Client) -> Result<(), No> {
    let Some(uri) = &client.sector_identifier_uri else { return Ok(()) };
    let document = app.outbound.json(uri).await.map_err(|error| {
        tracing::info!(uri, %error, "a sector document could not be fetched");
        Rejection::new(OAuthCode::InvalidClientMetadata, "the document at `sector_identifier_uri` could not be fetched")
    })?;
    Ok(registration::check_sector(client, &document)?)
}

/// Gives a client that proves itself by a secret one, if it has none; takes it from one that does not. The new secret is told once.
fn renew_secret(app: &App, client: &mut Client) -> Option<String> {
    match client.auth_method {
        ClientAuthMethod::Default | ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost => {
            if !client.secrets.is_empty() {
                return None;
            }
            let secret = app.world.token(SECRET_LENGTH);
            client.secrets = vec![ClientSecret::Generated { sha256: hash(&secret), expires: None }];
            Some(secret)
        }
        ClientAuthMethod::PrivateKeyJwt | ClientAuthMethod::None => {
            client.secrets.clear();
            None
        }
    }
}

fn hash(secret: &str) -> String {
    protocol::b64::encode_url(tokens::digest(secret).0)
}

async fn store(app: &App, tenant: &TenantView, client: &Client) -> Result<(), No> {
    let change = DirectoryChange::PutClient(Box::new(client.clone()));
    if app.change_directory(&tenant.tenant.id, vec![change]).await? {
        Ok(())
    } else {
        Err(Fault::stored("a client could not be stored").into())
    }
}

async fn manage(app: &App, call: &Call, id: &str) -> Result<Response, No> {
    // Another node may have changed it a moment ago.
    let directory = app.directories.latest().await?;
    let tenant = directory.tenant(&call.tenant.tenant.id).unwrap_or(&call.tenant);
    let token = call.bearer().filter(|token| token.len() <= tokens::LONGEST);
    let token = token.ok_or_else(|| unauthorized(call.bearer().is_some()))?;
    let client = registered(tenant, id, token)?;
    match call.method {
        Method::PUT => update(app, call, tenant, client, token).await,
        Method::DELETE => {
            let change = DirectoryChange::RemoveClient(client.id.clone());
            app.change_directory(&tenant.tenant.id, vec![change]).await?;
            tracing::info!(tenant = %tenant.tenant.id, client = %client.id, "a client removed itself");
            Ok(reply::empty(StatusCode::NO_CONTENT))
        }
        _ => Ok(reply::json(StatusCode::OK, &told(call, client, None, token))),
    }
}

/// The client whose registration token this is (RFC 7592 §2: an unknown client and a wrong token cannot be told apart).
fn registered<'t>(tenant: &'t TenantView, id: &str, token: &str) -> Result<&'t Client, No> {
    let client = tenant.client(id).filter(|client| client.enabled && owns(client, token));
    client.map(AsRef::as_ref).ok_or_else(|| unauthorized(true))
}

fn owns(client: &Client, token: &str) -> bool {
    let presented = hash(token);
    client
        .registration
        .as_ref()
        .is_some_and(|registration| presented.as_bytes().ct_eq(registration.token_sha256.as_bytes()).into())
}

/// RFC 7592 §2.2: the metadata as a whole takes the place of the old.
async fn update(app: &App, call: &Call, tenant: &TenantView, before: &Client, token: &str) -> Result<Response, No> {
    let metadata = metadata(call)?;
    if metadata.get("client_id").and_then(Value::as_str) != Some(before.id.as_str()) {
        return Err(Rejection::new(OAuthCode::InvalidClientMetadata, "`client_id` is missing or another").into());
    }
    if metadata.get("client_secret").is_some_and(|secret| !is_current(before, secret)) {
        return Err(Rejection::new(OAuthCode::InvalidClientMetadata, "`client_secret` is another").into());
    }
    let client = judged_anew(app, tenant, &metadata, before)?;
    if client.sector_identifier_uri != before.sector_identifier_uri || client.redirect_uris != before.redirect_uris {
        check_sector(app, &client).await?;
    }
    // That may have taken a while, at the client's own pace: what an administrator did meanwhile stays done.
    let written = app.amend_directory(&tenant.tenant.id, |now| {
        let before = registered(now, before.id.as_str(), token)?;
        let mut client = judged_anew(app, now, &metadata, before)?;
        let secret = renew_secret(app, &mut client);
        let change = DirectoryChange::PutClient(Box::new(client.clone()));
        Ok::<_, No>(((client, secret), Some(change)))
    });
    let (client, secret) = written.await?.ok_or_else(|| Refused::from(Fault::crowded("a client")))?;
    Ok(reply::json(StatusCode::OK, &told(call, &client, secret.as_deref(), token)))
}

fn judged_anew(
    app: &App,
    tenant: &TenantView,
    metadata: &Map<String, Value>,
    before: &Client,
) -> Result<Client, Rejection> {
    let vouched = before.registration.as_ref().is_some_and(|registration| registration.vouched);
    judge(app, tenant, metadata, before.clone(), vouched, None)
}

fn is_current(client: &Client, secret: &Value) -> bool {
    let presented = hash(secret.as_str().unwrap_or_default());
    client.secrets.iter().any(|known| match known {
        ClientSecret::Generated { sha256, .. } => presented.as_bytes().ct_eq(sha256.as_bytes()).into(),
        ClientSecret::Chosen { .. } => false,
    })
}

/// The client information response (RFC 7591 §3.2.1, RFC 7592 §3).
fn told(call: &Call, client: &Client, secret: Option<&str>, token: &str) -> Map<String, Value> {
    let mut body = registration::describe(client);
    if let Some(registration) = &client.registration {
        body.insert("client_id_issued_at".to_owned(), registration.issued_at.into());
    }
    if let Some(secret) = secret {
        body.insert("client_secret".to_owned(), secret.into());
        body.insert("client_secret_expires_at".to_owned(), 0.into());
    }
    let uri = format!("{}{}/{}", call.base, Endpoint::Register.path(call.prefix()), client.id);
    body.insert("registration_access_token".to_owned(), token.into());
    body.insert("registration_client_uri".to_owned(), uri.into());
    body
}
