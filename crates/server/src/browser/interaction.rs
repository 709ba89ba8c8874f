//! Interactions: one running dialogue with a person, from the request that needs them to its answer.
//!
//! Owns the record behind the handle in a dialogue's address, and that only the browser it was begun in may go on with it. What
//! a dialogue is for is kept here as it was judged; what is asked in it is the engine's.

use axum::http::HeaderValue;
use engine::Proof;
use protocol::authorize::AuthorizationRequest;
use protocol::records::{ClientId, GrantId, Seconds, UserId};
use serde::{Deserialize, Serialize};
use store::{Change, CommitError, Item};
use subtle::ConstantTimeEq;

use super::cookies::Cookie;
use super::keep::Wishes;
use crate::app::App;
use crate::call::Call;
use crate::fault::Fault;
use crate::tokens;

const KIND: &str = "interaction";
/// Seconds a dialogue may take.
const LIFETIME: Seconds = 1800;
/// Characters of a handle and of what a browser is known by.
const TOKEN: usize = 40;

/// A running dialogue.
#[derive(Clone)]
pub struct Interaction {
    /// Its handle: stands in addresses, and is worth nothing in another browser.
    pub handle: String,
    /// What it is for and where it stands.
    pub body: Body,
    name: String,
    version: i64,
    expires: Seconds,
}

/// What is stored of a dialogue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Body {
    /// What it goes on with.
    pub purpose: Purpose,
    /// What is asked next.
    pub step: Step,
    /// The client it is for; none where there is none.
    pub client: Option<ClientId>,
    /// The issuer it was begun under.
    pub issuer: String,
    /// The languages that were asked for.
    pub locales: Vec<String>,
    /// The `request_uri` its request was pushed under.
    #[serde(default)]
    pub pushed: Option<String>,
    /// What is to be kept of the sign-in.
    #[serde(default)]
    pub wishes: Wishes,
    browser: String,
}

/// What a dialogue goes on with once the person has done their part.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The answer to an authorization request.
    Authorize(Box<AuthorizationRequest>),
    /// The approval of a device, by the code it shows.
    Device(String),
    /// A page of My security, by its path.
    Account(String),
    /// The confirmation of a logout, with what it was asked for as the logout endpoint wrote it.
    Logout(serde_json::Value),
}

/// What is asked next.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Which account to go on with.
    Account,
    /// A sign-in is under way.
    SignIn(SignInStep),
    /// The person is signed in and must say whether the client may have what it asks for.
    Consent(Outcome),
    /// Something else is to be confirmed by a person who is signed in.
    Confirm(Outcome),
}

/// A sign-in under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInStep {
    /// The sign-in, and the grant that will come of it.
    pub grant: GrantId,
    /// The name to begin with.
    pub username: Option<String>,
    /// The realm of the identity source that was asked for.
    pub realm: Option<String>,
    /// Who is asked to prove who they are again; none where anybody may sign in.
    pub known: Option<UserId>,
    /// What is in the picture that waits for a phone, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// The phone that was invited and what invites it, sealed, while it has not registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// What a sign-in came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The grant that will come of it.
    pub grant: GrantId,
    /// Who.
    pub subject: UserId,
    /// What was proved.
    pub proofs: Vec<Proof>,
    /// The policy that was content with it.
    pub policy: Option<i64>,
    /// The session, by its public id.
    pub session: String,
    /// When the person last actively authenticated.
    pub auth_time: Seconds,
}

/// Why a dialogue cannot go on.
#[derive(Debug)]
pub enum Lost {
    /// The browser sent no cookie of ours.
    NoCookie,
    /// It never was, is over, or belongs to another browser: nobody is told which.
    Gone,
    /// The server's own failure.
    Fault(Fault),
}

impl From<Fault> for Lost {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<store::StoreError> for Lost {
    fn from(error: store::StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl std::fmt::Debug for Interaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Interaction({:?})", self.body.step)
    }
}

/// What a new dialogue is made of.
#[derive(Debug)]
pub struct Begin {
    /// What it goes on with.
    pub purpose: Purpose,
    /// What is asked first.
    pub step: Step,
    /// The client it is for.
    pub client: Option<ClientId>,
    /// The languages that were asked for.
    pub locales: Vec<String>,
    /// The `request_uri` its request was pushed under.
    pub pushed: Option<String>,
}

/// A new dialogue: what must be written, and the cookie the browser must have, where it has none yet.
///
/// # Errors
/// It cannot be written.
pub fn begin(app: &App, call: &Call, begin: Begin) -> Result<(Interaction, Change, Option<HeaderValue>), Fault> {
    let (browser, cookie) = match browser(call) {
        Some(known) => (known.to_owned(), None),
        None => {
            let new = app.world.token(TOKEN);
            let cookie = Cookie::Browser.write(call, &new);
            (new, Some(cookie))
        }
    };
    let handle = app.world.token(TOKEN);
    let Begin { purpose, step, client, locales, pushed } = begin;
    let mut interaction = Interaction {
        name: tokens::hex(&tokens::digest(&handle).0),
        handle,
        version: 0,
        expires: app.world.now() + LIFETIME,
        body: Body {
            purpose,
            step,
            client,
            issuer: call.issuer(),
            locales,
            pushed,
            wishes: Wishes::default(),
            browser: key(&browser),
        },
    };
    let change = interaction.put(app)?;
    Ok((interaction, change, cookie))
}

/// The dialogue this handle names, in the browser it was begun in.
///
/// # Errors
/// See [`Lost`].
pub async fn load(app: &App, call: &Call, handle: &str) -> Result<Interaction, Lost> {
    let Some(browser) = browser(call) else { return Err(Lost::NoCookie) };
    if !is_token(handle) {
        return Err(Lost::Gone);
    }
    let name = tokens::hex(&tokens::digest(handle).0);
    let item = app.store.item(&call.tenant.tenant.id, KIND, &name).await?;
    let item = item.filter(|item| item.expires > app.world.now()).ok_or(Lost::Gone)?;
    let body: Body = serde_json::from_str(&item.body).map_err(|error| Fault::internal("a stored dialogue", error))?;
    if !bool::from(body.browser.as_bytes().ct_eq(key(browser).as_bytes())) {
        return Err(Lost::Gone);
    }
    Ok(Interaction { handle: handle.to_owned(), body, name, version: item.version, expires: item.expires })
}

impl Interaction {
    /// When it began.
    pub fn began(&self) -> Seconds {
        self.expires - LIFETIME
    }

    /// The next state. Refused by the store if somebody was first.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&mut self, app: &App) -> Result<Change, Fault> {
        let item = Item {
            kind: KIND,
            name: self.name.clone(),
            owner: None,
            link: None,
            created: app.world.now(),
            expires: self.expires,
            body: serde_json::to_string(&self.body).map_err(|error| Fault::internal("a dialogue", error))?,
            version: self.version,
        };
        self.version += 1;
        Ok(Change::PutItem(item))
    }

    /// Writes the next state by itself.
    ///
    /// # Errors
    /// Somebody was first, or the store failed.
    pub async fn save(&mut self, app: &App, call: &Call) -> Result<(), Lost> {
        let change = self.put(app)?;
        match app.commit(&call.tenant.tenant.id, "dialogue", vec![change]).await {
            Ok(()) => Ok(()),
            Err(CommitError::Refused { .. }) => Err(Lost::Gone),
            Err(CommitError::Unavailable(error)) => Err(error.into()),
        }
    }

    /// The end: goes into the transaction that makes what it was for, which happens once.
    pub fn finish(&self) -> Change {
        Change::TakeItem { kind: KIND, name: self.name.clone(), version: Some(self.version) }
    }

    /// Where the browser goes on with it.
    pub fn path(&self) -> String {
        match self.body.step {
            Step::SignIn(_) => format!("/login/{}", self.handle),
            Step::Confirm(_) => format!("/login/{}/device", self.handle),
            Step::Account => format!("/login/{}/account", self.handle),
            Step::Consent(_) => format!("/login/{}/consent", self.handle),
        }
    }
}

fn browser(call: &Call) -> Option<&str> {
    Cookie::Browser.read(call).filter(|value| is_token(value))
}

fn is_token(text: &str) -> bool {
    text.len() == TOKEN && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// A browser is stored hashed: what is read from the store opens no dialogue.
fn key(browser: &str) -> String {
    tokens::hex(&tokens::digest(browser).0)
}
