//! Device authorization (RFC 8628, vendor page §4.4): a device asks, a person types its code elsewhere and decides, the device
//! polls. Owns what is kept between the three and who may change it; the tokens are the grant's to make, the pages the hosted
//! door's.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::Proof;
use protocol::client_auth::{Presented, read_presented};
use protocol::idcs::roles::Holder;
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::{Client, ClientId, GrantId, Seconds, UserId};
use protocol::scope;
use serde::{Deserialize, Serialize};
use store::{Change, CommitError, Item};

use super::client;
use super::grants::Grant;
use super::oracle;
use super::refused::Refused;
use super::sources::source_of;
use crate::app::App;
use crate::call::Call;
use crate::directory::TenantView;
use crate::fault::Fault;
use crate::{picture, reply, tokens};

/// The kind of the stored documents.
const KIND: &str = "device";
/// Characters of a device code.
const CODE_LENGTH: usize = 40;
/// Letters that are told apart at a glance and spell no words (RFC 8628 §6.1).
const CHARSET: &str = "BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_LENGTH: u8 = 6;
const LIFETIME: Seconds = 300;
const INTERVAL: Seconds = 5;
/// How long a code that has run out is still known for what it was: clients poll until they are told so (vendor page §4.4).
const REMEMBERED: Seconds = 3600;
/// How often a user code is drawn anew because another device has it just now.
const DRAWS: usize = 5;

/// Requests of one client from one place in a minute: rows are made without any proof.
const STARTS: i64 = 60;
/// User codes tried from one place, and in the whole tenant, in one window (RFC 8628 §5.1).
const ENTRIES: i64 = 20;
const ENTRIES_IN_ALL: i64 = 2000;
/// How long one window is, seconds.
pub const ENTRY_WINDOW: Seconds = 300;

/// What is kept of a device's request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub client: ClientId,
    pub scope: Vec<String>,
    pub resource: Vec<String>,
    pub grant: GrantId,
    pub base: String,
    pub issuer: String,
    pub ends: Seconds,
    pub interval: Seconds,
    /// When it last asked; 0 before the first time.
    pub polled: Seconds,
    pub from: String,
    pub agent: Option<String>,
    pub state: Decision,
}

/// What became of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Decision {
    Open,
    Approved(Approval),
    Denied,
    /// The tokens were handed out.
    Spent,
}

/// Who approved, and how they had signed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Approval {
    /// The person.
    pub subject: UserId,
    /// What they proved.
    pub proofs: Vec<Proof>,
    /// When they last actively authenticated.
    pub auth_time: Option<Seconds>,
    /// The policy that was met.
    pub policy: Option<i64>,
    /// The `acr` that was met, where it is not the policy's own.
    pub acr: Option<String>,
    /// When they approved.
    pub at: Seconds,
}

/// A request of a device that a person may decide on.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who asks.
    pub client: ClientId,
    /// For what.
    pub scope: Vec<String>,
    /// Where the device is, as far as its connection tells.
    pub from: String,
    /// What the device calls itself.
    pub agent: Option<String>,
    /// When it asked.
    pub at: Seconds,
    /// Until when it may be decided.
    pub ends: Seconds,
    item: Item,
    kept: Kept,
}

/// What typing a user code came to.
#[derive(Debug)]
pub enum Entered {
    /// A device waits for it.
    Found(Box<Asked>),
    /// None does: mistyped, decided or run out.
    Unknown,
    /// Too many were tried.
    TooMany,
}

#[derive(Serialize)]
struct Started<'a> {
    device_code: &'a str,
    user_code: &'a str,
    verification_uri: &'a str,
    verification_uri_complete: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_uri_complete_qrcode: Option<String>,
    expires_in: Seconds,
    interval: Seconds,
}

/// The same in Oracle's dialect (Oracle page §4.5).
#[derive(Serialize)]
struct OracleStarted<'a> {
    device_code: &'a str,
    user_code: &'a str,
    verification_uri: &'a str,
    expires_in: Seconds,
}

/// Where people type a device's code in Oracle's dialect.
pub const ORACLE_PAGE: &str = "/ui/v1/device";

/// `POST /device_authorization` under every path family.
pub async fn start(State(app): State<App>, call: Call) -> Response {
    match begin(&app, &call).await {
        Ok(response) => response,
        Err(refused) => refused.into_response(StatusCode::UNAUTHORIZED.as_u16()),
    }
}

async fn begin(app: &App, call: &Call) -> Result<Response, Refused> {
    let form = call.form(&["resource", "audience"])?;
    // Credentials are not demanded here, but those that come are checked (vendor page §4.4).
    let client = match read_presented(&form, call.authorization())?.without_bearer() {
        Presented::Public { id } => client::find(call, &id)
            .filter(|client| client::may_call_from(client, call))
            .ok_or_else(Rejection::invalid_client)?,
        presented => client::authenticate(app, call, presented).await?,
    };
    if !Grant::DeviceCode.allowed_to(&client) {
        let text = "the grant type is not enabled for this client";
        return Err(Rejection::new(OAuthCode::UnauthorizedClient, text).into());
    }
    if call.is_oracle() {
        oracle::may_name_people(&client)?;
    }
    let scope = match form.one("scope")? {
        Some(text) if call.is_oracle() => {
            protocol::idcs::scopes::grant(text, &client, Holder::Person { administrator: false })?
        }
        Some(text) => scope::grant(text, &client)?,
        None => Vec::new(),
    };
    let resource: Vec<String> = form.many("resource").chain(form.many("audience")).map(str::to_owned).collect();
    if resource.iter().any(|one| !client.audiences.contains(one)) {
        return Err(Rejection::new(OAuthCode::InvalidTarget, "the client may not ask for this resource").into());
    }
    let now = app.world.now();
    let lifetime = client.device_code_lifetime.unwrap_or(LIFETIME).clamp(1, 86_400);
    let kept = Kept {
        client: client.id.clone(),
        scope,
        resource,
        grant: GrantId(app.world.ordered_uuid()),
        base: call.base.clone(),
        issuer: call.issuer(),
        ends: now + lifetime,
        interval: client.device_interval.unwrap_or(INTERVAL).clamp(1, 3600),
        polled: 0,
        from: call.peer.to_canonical().to_string(),
        agent: call.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).map(shorten),
        state: Decision::Open,
    };
    let device_code = app.world.token(CODE_LENGTH);
    let user_code = free_code(app, call, &client).await?;
    let item = Item {
        kind: KIND,
        name: name_of(&device_code),
        owner: None,
        link: Some(link_of(app, &client_charset(&client), &user_code)),
        created: now,
        expires: kept.ends + REMEMBERED,
        body: write(&kept)?,
        version: 0,
    };
    let meter = Change::Meter {
        key: format!("device-start:{}:{}", client.id, source_of(call.peer)),
        limit: STARTS,
        window: 60,
        at: now,
    };
    match app.commit(&call.tenant.tenant.id, "device", vec![meter, Change::PutItem(item)]).await {
        Ok(()) => {}
        Err(CommitError::Refused { .. }) => {
            let text = "CSIAQ9999E too many devices begin at once";
            let response = reply::oauth(StatusCode::TOO_MANY_REQUESTS, OAuthCode::SlowDown, text);
            return Ok(reply::retry_after(response, Some(60)));
        }
        Err(CommitError::Unavailable(error)) => return Err(error.into()),
    }
    if call.is_oracle() {
        let verification_uri = format!("{}{ORACLE_PAGE}", call.base);
        let said = OracleStarted {
            device_code: &device_code,
            user_code: &user_code,
            verification_uri: &verification_uri,
            expires_in: lifetime,
        };
        return Ok(reply::json(StatusCode::OK, &said));
    }
    let verification_uri = format!("{}{}/user_authorization", call.base, call.prefix().path());
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("user_code", &user_code).finish();
    let complete = format!("{verification_uri}?{query}");
    let qr = client.device_qr.then(|| picture::qr_png(&complete)).flatten();
    Ok(reply::json(
        StatusCode::OK,
        &Started {
            device_code: &device_code,
            user_code: &user_code,
            verification_uri: &verification_uri,
            verification_uri_complete: &complete,
            verification_uri_complete_qrcode: qr.map(|png| STANDARD.encode(png.as_slice())),
            expires_in: lifetime,
            interval: kept.interval,
        },
    ))
}

/// A user code that no other device has at present.
async fn free_code(app: &App, call: &Call, client: &Client) -> Result<String, Refused> {
    let charset = client_charset(client);
    let length = usize::from(client.user_code_length.unwrap_or(USER_CODE_LENGTH).clamp(USER_CODE_LENGTH, 200));
    for _ in 0..DRAWS {
        let code = app.world.digits(&charset, length);
        if open_with(app, &call.tenant, &link_of(app, &charset, &code)).await?.is_empty() {
            return Ok(code);
        }
    }
    Err(Fault::stored("every user code that was drawn is taken").into())
}

/// What a person typed or followed, judged within limits (RFC 8628 §5.1).
///
/// # Errors
/// The store failed.
pub async fn enter(app: &App, call: &Call, user_code: &str) -> Result<Entered, Fault> {
    let now = app.world.now();
    let meter = |key: String, limit| Change::Meter { key, limit, window: ENTRY_WINDOW, at: now };
    let meters = vec![
        meter(format!("user-code:{}", source_of(call.peer)), ENTRIES),
        meter("user-code".to_owned(), ENTRIES_IN_ALL),
    ];
    match app.commit(&call.tenant.tenant.id, "user code", meters).await {
        Ok(()) => {}
        Err(CommitError::Refused { .. }) => return Ok(Entered::TooMany),
        Err(CommitError::Unavailable(error)) => return Err(error.into()),
    }
    Ok(match find(app, &call.tenant, user_code).await? {
        Some(asked) => Entered::Found(Box::new(asked)),
        None => Entered::Unknown,
    })
}

/// The request with this user code, if it is still to be decided. For a code that was [entered](enter) before.
///
/// # Errors
/// The store failed.
pub async fn find(app: &App, tenant: &TenantView, user_code: &str) -> Result<Option<Asked>, Fault> {
    if user_code.len() > 1024 {
        return Ok(None);
    }
    // Clients may draw from alphabets of their own, and what is typed is read as each would write it.
    let mut charsets: Vec<String> = vec![CHARSET.to_owned()];
    for client in tenant.clients.values() {
        if let Some(own) = &client.user_code_charset
            && usable(own)
            && !charsets.contains(own)
        {
            charsets.push(own.clone());
        }
    }
    let mut links: Vec<String> = charsets.iter().map(|charset| link_of(app, charset, user_code)).collect();
    links.sort_unstable();
    links.dedup();
    let mut found = Vec::new();
    for link in links {
        found.extend(open_with(app, tenant, &link).await?);
    }
    // Two devices with one code: nobody is guessed.
    let (Some((item, kept)), true) = (found.pop(), found.is_empty()) else { return Ok(None) };
    let enabled = tenant.client(kept.client.as_str()).is_some_and(|client| client.enabled);
    Ok(enabled.then(|| Asked {
        client: kept.client.clone(),
        scope: kept.scope.clone(),
        from: kept.from.clone(),
        agent: kept.agent.clone(),
        at: item.created,
        ends: kept.ends,
        item,
        kept,
    }))
}

async fn open_with(app: &App, tenant: &TenantView, link: &str) -> Result<Vec<(Item, Kept)>, Fault> {
    let now = app.world.now();
    let mut open = Vec::new();
    for item in app.store.items_linked(&tenant.tenant.id, KIND, link, 4).await? {
        let kept = read(&item)?;
        if kept.ends > now && matches!(kept.state, Decision::Open) {
            open.push((item, kept));
        }
    }
    Ok(open)
}

/// What must be committed for the device to have its tokens. Refused by the store if it was decided meanwhile.
///
/// # Errors
/// It cannot be written.
pub fn approve(asked: Asked, approval: Approval) -> Result<Vec<Change>, Fault> {
    decide(asked, Decision::Approved(approval))
}

/// What must be committed for the device to be told no. Refused by the store if it was decided meanwhile.
///
/// # Errors
/// It cannot be written.
pub fn deny(asked: Asked) -> Result<Vec<Change>, Fault> {
    decide(asked, Decision::Denied)
}

fn decide(asked: Asked, state: Decision) -> Result<Vec<Change>, Fault> {
    let Asked { item, mut kept, .. } = asked;
    kept.state = state;
    // A user code is used up by the decision.
    Ok(vec![Change::PutItem(Item { link: None, body: write(&kept)?, ..item })])
}

/// The request of this device code.
pub(super) async fn load(app: &App, tenant: &TenantView, device_code: &str) -> Result<Option<(Item, Kept)>, Fault> {
    match app.store.item(&tenant.tenant.id, KIND, &name_of(device_code)).await? {
        Some(item) => read(&item).map(|kept| Some((item, kept))),
        None => Ok(None),
    }
}

/// The next state of a request.
pub(super) fn put(item: Item, kept: &Kept) -> Result<Change, Fault> {
    Ok(Change::PutItem(Item { body: write(kept)?, ..item }))
}

fn read(item: &Item) -> Result<Kept, Fault> {
    serde_json::from_str(&item.body).map_err(|error| Fault::internal("a stored device request", error))
}

fn write(kept: &Kept) -> Result<String, Fault> {
    serde_json::to_string(kept).map_err(|error| Fault::internal("a device request", error))
}

fn name_of(device_code: &str) -> String {
    tokens::hex(&tokens::digest(device_code).0)
}

/// User codes are short: only a keyed hash of one does not give it away.
fn link_of(app: &App, charset: &str, user_code: &str) -> String {
    tokens::hex(&app.master.mac("user code", normalise(charset, user_code).as_bytes()))
}

fn client_charset(client: &Client) -> String {
    client.user_code_charset.clone().filter(|own| usable(own)).unwrap_or_else(|| CHARSET.to_owned())
}

fn usable(charset: &str) -> bool {
    (2..=256).contains(&charset.len()) && charset.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A user code as its device shows it, however it was typed.
pub fn as_shown(client: &Client, typed: &str) -> String {
    normalise(&client_charset(client), typed)
}

/// As the code was written: in the case of its alphabet, without what people put between groups of letters.
fn normalise(charset: &str, typed: &str) -> String {
    let upper = !charset.bytes().any(|byte| byte.is_ascii_lowercase());
    let lower = !charset.bytes().any(|byte| byte.is_ascii_uppercase());
    typed
        .chars()
        .map(|c| match (upper, lower) {
            (true, false) => c.to_ascii_uppercase(),
            (false, true) => c.to_ascii_lowercase(),
            (true, true) | (false, false) => c,
        })
        .filter(|c| charset.contains(*c) || !(c.is_whitespace() || matches!(c, '-' | '_' | '.')))
        .collect()
}

fn shorten(agent: &str) -> String {
    agent.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        for typed in ["WDJBMJ", "wdjb-mj", " W D J B M J ", "wdj.bmj"] {
            assert_eq!(normalise(CHARSET, typed), "WDJBMJ", "{typed}");
        }
        assert_eq!(normalise("abc-", "A-b C"), "a-bc");
        assert_eq!(normalise("aB", "a B"), "aB", "an alphabet of both cases means them");
        assert_ne!(normalise(CHARSET, "WDJBMI"), "WDJBMJ");
    }
}
