//! Browser sessions: who is signed in, how that was proved, and at which clients.
//!
//! Owns the record behind the session cookie and its two lifetimes. Whether a session is good enough for a request is not
//! decided here.

use axum::http::HeaderValue;
use engine::Proof;
use protocol::records::{ClientId, Seconds, SourceId, TenantId, User, UserId};
use serde::{Deserialize, Serialize};
use store::{Change, Item};

use super::cookies::Cookie;
use crate::app::App;
use crate::call::Call;
use crate::fault::Fault;
use crate::tokens;

const KIND: &str = "session";
/// Codes carry the id of their session as link.
pub(crate) const CODES: &str = "code";
/// Accounts one browser may be signed in to at a time.
const MOST: usize = 5;
/// Clients one session remembers; the oldest go first.
const MOST_CLIENTS: usize = 100;
/// Characters of a session cookie's values: 238 random bits.
const TOKEN: usize = 40;

/// A session.
#[derive(Clone)]
pub struct Session {
    /// Its public id: names nothing that could be presented.
    pub id: String,
    /// Who is signed in.
    pub subject: UserId,
    /// When it began.
    pub created: Seconds,
    token: String,
    name: String,
    version: i64,
    body: Body,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Body {
    source: SourceId,
    proofs: Vec<Proof>,
    auth_time: Seconds,
    seen: Seconds,
    address: String,
    agent: String,
    state: String,
    #[serde(default)]
    clients: Vec<Login>,
    /// Seconds it lives whether it is used or not, where it began at a door with a life of its own for sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lifetime: Option<Seconds>,
}

/// A client that the person was signed in to by a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The client.
    pub client: ClientId,
    /// What this client knows the session by.
    pub sid: String,
    /// The issuer it knows us by.
    #[serde(default)]
    pub issuer: String,
    /// When it was first signed in to.
    pub since: Seconds,
}

/// Who signed in, and how.
#[derive(Debug)]
pub struct SignedIn<'a> {
    /// The person.
    pub user: &'a User,
    /// Everything that was proved.
    pub proofs: Vec<Proof>,
    /// The client that is answered at once; none where something is still asked.
    pub client: Option<&'a ClientId>,
    /// The issuer that client knows us by.
    pub issuer: &'a str,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.id)
    }
}

/// The sessions of the browser that are alive, the one in use first.
///
/// # Errors
/// The store failed.
pub async fn all(app: &App, call: &Call) -> Result<Vec<Session>, Fault> {
    let mut found = Vec::new();
    for token in named(call) {
        found.extend(by_token(app, call, token).await?);
    }
    Ok(found)
}

/// The session in use: the first of the browser's that is alive.
///
/// # Errors
/// The store failed.
pub async fn active(app: &App, call: &Call) -> Result<Option<Session>, Fault> {
    for token in named(call) {
        if let Some(session) = by_token(app, call, token).await? {
            return Ok(Some(session));
        }
    }
    Ok(None)
}

/// The session with this public id, if it is alive.
///
/// # Errors
/// The store failed.
pub async fn by_id(app: &App, tenant: &TenantId, id: &str) -> Result<Option<Session>, Fault> {
    let items = app.store.items_linked(tenant, KIND, id, 1).await?;
    let now = app.world.now();
    items.into_iter().find(|item| item.expires > now).map(|item| read(item, String::new())).transpose()
}

/// What must be written first with what may not come of a session that was ended: it is refused then. One that nobody used for too
/// long was not ended.
pub fn not_ended(id: String) -> Change {
    Change::NeedItemLinked { kind: KIND, link: id }
}

/// The sessions of a person that are alive, oldest first.
///
/// # Errors
/// The store failed.
pub async fn of_person(app: &App, tenant: &TenantId, person: &UserId) -> Result<Vec<Session>, Fault> {
    let now = app.world.now();
    let items = app.store.items_of(tenant, KIND, person.as_str(), 200).await?;
    items.into_iter().filter(|item| item.expires > now).map(|item| read(item, String::new())).collect()
}

/// How many sessions the browser names, alive or not.
pub fn named(call: &Call) -> impl Iterator<Item = &str> {
    let value = Cookie::Sessions.read(call).unwrap_or_default();
    value.split('.').filter(|token| token.len() == TOKEN && token.bytes().all(|b| b.is_ascii_alphanumeric())).take(MOST)
}

async fn by_token(app: &App, call: &Call, token: &str) -> Result<Option<Session>, Fault> {
    let item = app.store.item(&call.tenant.tenant.id, KIND, &key(token)).await?;
    let now = app.world.now();
    item.filter(|item| item.expires > now).map(|item| read(item, token.to_owned())).transpose()
}

fn key(token: &str) -> String {
    tokens::hex(&tokens::digest(token).0)
}

fn read(item: Item, token: String) -> Result<Session, Fault> {
    let body = serde_json::from_str(&item.body).map_err(|error| Fault::internal("a stored session", error))?;
    let (Some(id), Some(subject)) = (item.link, item.owner) else {
        return Err(Fault::stored("a session names nobody"));
    };
    let Item { name, version, created, .. } = item;
    Ok(Session { id, subject: UserId(subject), created, token, name, version, body })
}

/// A new session of somebody who just signed in, in place of the one in use if that was theirs.
///
/// The value of the cookie is a new one at every sign-in: what was planted in the browser before is worth nothing after
/// (attack: session fixation). What it is known by to clients stays when the same person proves who they are again
/// (demand P-8).
///
/// # Errors
/// The session cannot be written.
pub fn open(
    app: &App,
    call: &Call,
    browser: &[Session],
    signed_in: SignedIn<'_>,
) -> Result<(Session, Vec<Change>), Fault> {
    let now = app.world.now();
    let SignedIn { user, proofs, client, issuer } = signed_in;
    let before = browser.iter().find(|session| session.subject == user.id);
    let token = app.world.token(TOKEN);
    let body = Body {
        source: user.source.clone(),
        auth_time: proofs.iter().map(|proof| proof.at).max().unwrap_or(now),
        proofs,
        seen: now,
        address: call.peer.to_string(),
        agent: agent(call),
        state: before.map_or_else(|| app.world.token(22), |session| session.body.state.clone()),
        clients: before.map(|session| session.body.clients.clone()).unwrap_or_default(),
        lifetime: None,
    };
    let mut session = Session {
        id: before.map_or_else(|| app.world.uuid(), |session| session.id.clone()),
        subject: user.id.clone(),
        created: now,
        name: key(&token),
        token,
        version: 0,
        body,
    };
    if let Some(client) = client {
        session.log_in(app, client, issuer);
    }
    let mut changes = Vec::with_capacity(2);
    changes.extend(before.map(Session::take));
    changes.push(session.put(call)?);
    session.version = 1;
    Ok((session, changes))
}

/// A new session of somebody who signed in somewhere else than in a browser of ours. No cookie opens it until a browser takes it up
/// ([`take_up`]).
///
/// # Errors
/// The session cannot be written.
pub fn open_elsewhere(
    app: &App,
    call: &Call,
    user: &User,
    proofs: Vec<Proof>,
    lifetime: Seconds,
) -> Result<(Session, Change), Fault> {
    let now = app.world.now();
    let token = app.world.token(TOKEN);
    let body = Body {
        source: user.source.clone(),
        auth_time: proofs.iter().map(|proof| proof.at).max().unwrap_or(now),
        proofs,
        seen: now,
        address: call.peer.to_string(),
        agent: agent(call),
        state: app.world.token(22),
        clients: Vec::new(),
        lifetime: Some(lifetime),
    };
    let mut session = Session {
        id: app.world.uuid(),
        subject: user.id.clone(),
        created: now,
        name: key(&token),
        token,
        version: 0,
        body,
    };
    let change = session.put(call)?;
    session.version = 1;
    Ok((session, change))
}

/// A session that goes on in this browser, under a cookie of its own. What opened it before opens it no more.
///
/// # Errors
/// The session cannot be written.
pub fn take_up(app: &App, call: &Call, session: &Session) -> Result<(Session, [Change; 2]), Fault> {
    let token = app.world.token(TOKEN);
    let mut taken = Session { name: key(&token), token, version: 0, ..session.clone() };
    taken.body.address = call.peer.to_string();
    taken.body.agent = agent(call);
    let changes = [session.take(), taken.put(call)?];
    taken.version = 1;
    Ok((taken, changes))
}

/// The cookies that make this the session in use, beside the others the browser has.
pub fn cookies(call: &Call, session: &Session, browser: &[Session]) -> [HeaderValue; 2] {
    let others = browser.iter().filter(|other| other.id != session.id && other.subject != session.subject);
    let all: Vec<&str> =
        std::iter::once(session).chain(others).take(MOST).map(|session| session.token.as_str()).collect();
    [Cookie::Sessions.write(call, &all.join(".")), Cookie::State.write(call, &session.body.state)]
}

/// The cookies of a browser from which this session is gone: the next one takes its place, if there is one.
pub fn cookies_without(call: &Call, session: &Session, browser: &[Session]) -> [HeaderValue; 2] {
    let left: Vec<Session> = browser.iter().filter(|other| other.id != session.id).cloned().collect();
    match left.split_first() {
        Some((first, others)) => cookies(call, first, others),
        None => [Cookie::Sessions.write(call, ""), Cookie::State.write(call, "")],
    }
}

impl Session {
    /// What was proved in it. Counts for later requests, but not as proved in their own run.
    pub fn proofs(&self) -> Vec<Proof> {
        self.body.proofs.iter().cloned().map(|proof| Proof { this_run: false, ..proof }).collect()
    }

    /// The name of its row, which changes with every sign-in and opens nothing.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When the person last actively authenticated.
    pub fn auth_time(&self) -> Seconds {
        self.body.auth_time
    }

    /// The identity source the person came from.
    pub fn source(&self) -> &SourceId {
        &self.body.source
    }

    /// When it was last used, roughly.
    pub fn seen(&self) -> Seconds {
        self.body.seen
    }

    /// Where it was begun, as its owner is shown.
    pub fn address(&self) -> &str {
        &self.body.address
    }

    /// The user agent it was begun with.
    pub fn agent(&self) -> &str {
        &self.body.agent
    }

    /// The state of the browser as clients may see it (Session Management 1.0 §3.2).
    pub fn state(&self) -> &str {
        &self.body.state
    }

    /// The clients signed in to by it.
    pub fn clients(&self) -> &[Login] {
        &self.body.clients
    }

    /// Whether it may still speak for this person: what was proved before they were cut off counts no more.
    pub fn speaks_for(&self, user: &User) -> bool {
        user.active && user.id == self.subject && self.body.proofs.iter().all(|proof| proof.at >= user.not_before)
    }

    /// What a client knows it by, if the client was signed in to by it.
    pub fn sid_of(&self, client: &ClientId) -> Option<&str> {
        self.body.clients.iter().find(|login| login.client == *client).map(|login| login.sid.as_str())
    }

    /// Notes that it was used for a client. The change is none where nothing worth a write changed. With it goes what the
    /// client knows the session by.
    ///
    /// # Errors
    /// The session cannot be written.
    pub fn used(
        &mut self,
        app: &App,
        call: &Call,
        client: &ClientId,
        issuer: &str,
    ) -> Result<(String, Option<Change>), Fault> {
        let now = app.world.now();
        let settings = &call.tenant.tenant.settings;
        // Often enough that it does not idle out while in use, seldom enough that use costs nothing.
        let stale = now - self.body.seen >= (settings.session_idle / 20).clamp(1, 300);
        let known = self.sid_of(client).map(str::to_owned);
        if let Some(sid) = &known
            && !stale
        {
            return Ok((sid.clone(), None));
        }
        self.body.seen = now;
        let sid = known.unwrap_or_else(|| self.log_in(app, client, issuer));
        let change = self.put(call)?;
        self.version += 1;
        Ok((sid, Some(change)))
    }

    /// Writes it as it is: refused where it was ended meanwhile. For what must not come of it then.
    ///
    /// # Errors
    /// The session cannot be written.
    pub fn hold(&mut self, call: &Call) -> Result<Change, Fault> {
        let change = self.put(call)?;
        self.version += 1;
        Ok(change)
    }

    /// Notes that a client is signed in to. Answers what it knows the session by.
    fn log_in(&mut self, app: &App, client: &ClientId, issuer: &str) -> String {
        if let Some(known) = self.sid_of(client) {
            return known.to_owned();
        }
        let sid = app.world.uuid();
        if self.body.clients.len() >= MOST_CLIENTS {
            self.body.clients.remove(0);
        }
        self.body.clients.push(Login {
            client: client.clone(),
            sid: sid.clone(),
            issuer: issuer.to_owned(),
            since: app.world.now(),
        });
        sid
    }

    /// When it ends, if it is not used again.
    pub fn expires(&self, call: &Call) -> Seconds {
        let settings = &call.tenant.tenant.settings;
        match self.body.lifetime {
            Some(lifetime) => self.created + lifetime,
            None => (self.created + settings.session_lifetime).min(self.body.seen + settings.session_idle),
        }
    }

    fn put(&self, call: &Call) -> Result<Change, Fault> {
        Ok(Change::PutItem(Item {
            kind: KIND,
            name: self.name.clone(),
            owner: Some(self.subject.0.clone()),
            link: Some(self.id.clone()),
            created: self.created,
            expires: self.expires(call),
            body: serde_json::to_string(&self.body).map_err(|error| Fault::internal("a session", error))?,
            version: self.version,
        }))
    }

    fn take(&self) -> Change {
        Change::TakeItem { kind: KIND, name: self.name.clone(), version: None }
    }
}

/// What must be written to end a session: it, the codes not yet redeemed, and the grants that end with it.
pub fn end(session: &Session) -> [Change; 3] {
    [
        session.take(),
        Change::DropItemsLinked { kind: CODES, link: session.id.clone() },
        Change::RevokeGrantsOfSession(session.id.clone()),
    ]
}

/// What must be written to end every session of a person, without word to the applications that are signed in by them. Their grants are
/// the caller's to end.
pub fn end_all_of(user: &UserId) -> [Change; 2] {
    [KIND, CODES].map(|kind| Change::DropItemsOf { kind, owner: user.0.clone() })
}

/// The user agent, shortened, in characters that can be shown.
pub(super) fn agent(call: &Call) -> String {
    let value = call.headers.get(axum::http::header::USER_AGENT).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().chars().take(200).collect()
}
