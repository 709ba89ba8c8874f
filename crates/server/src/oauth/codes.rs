//! Authorization codes (RFC 6749 §4.1.2): what one stands for, how it is made, and that it is spent once.
//!
//! A spent code leaves behind which grant came of it, so that whoever brings it again ends that grant (§4.1.2, demand E-6).
//! Decides neither who is given one nor what tokens come of it.

use protocol::pkce::Challenge;
use protocol::records::{Client, ClientId, GrantDetail, GrantId, Seconds, UserId};
use protocol::scope::OFFLINE_ACCESS;
use serde::{Deserialize, Serialize};
use store::{Change, Item};

use crate::app::App;
use crate::browser::session::CODES as KIND;
use crate::call::Call;
use crate::fault::Fault;
use crate::tokens;
use crate::world::WHEN;

/// Characters of a code that are drawn: 178 random bits.
const LENGTH: usize = 30;
/// Seconds a code lives where its client sets nothing.
const LIFETIME: Seconds = 300;
/// Seconds for which a code is recognised after its end, spent or not: as long as an access token usually lives.
const REMEMBERED: Seconds = 7200;

/// What a code stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Authorized {
    /// The client it was given to.
    pub client: ClientId,
    /// The grant that will come of it, or came already where tokens left with the code.
    pub grant: GrantId,
    /// Who agreed.
    pub subject: UserId,
    /// Their session, by its public id.
    pub session: String,
    /// What `redirect_uri` of the token request must equal; none where the request had none.
    pub redirect_uri: Option<String>,
    /// The proof key.
    pub challenge: Option<Challenge>,
    /// When it was given.
    pub given: Seconds,
    /// When it may be redeemed no longer.
    #[serde(default)]
    pub until: Seconds,
    /// Tokens left with the code: there is a grant already.
    pub front: bool,
    /// What is granted. The claims of the person are read when it is redeemed.
    pub detail: GrantDetail,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Good(Box<Authorized>),
    Spent(GrantId),
}

/// A code as it was found.
pub enum Found {
    /// It may be redeemed, by these changes.
    Good(Box<Authorized>, Box<Change>),
    /// It was redeemed before: this came of it.
    Spent(GrantId),
    /// It never was one, or is too old.
    Unknown,
}

/// Whether what comes of a code ends with the session: refresh tokens without `offline_access` do (Back-Channel Logout 1.0 §2.7).
pub fn bound(client: &Client, scope: &[String]) -> bool {
    client.grant_types.contains("refresh_token") && !scope.iter().any(|scope| scope == OFFLINE_ACCESS)
}

/// A new code, and the change that makes it good.
///
/// # Errors
/// It cannot be written.
pub fn make(app: &App, client: &Client, mut authorized: Authorized) -> Result<(String, Change), Fault> {
    let now = app.world.now();
    let code = app.world.ordered_token(LENGTH);
    authorized.until = now + client.authorization_code_lifetime.unwrap_or(LIFETIME);
    let item = Item {
        kind: KIND,
        name: name(&code),
        owner: Some(authorized.subject.0.clone()),
        link: Some(authorized.session.clone()),
        created: now,
        expires: authorized.until + REMEMBERED,
        body: write(&Body::Good(Box::new(authorized)))?,
        version: 0,
    };
    Ok((code, Change::PutItem(item)))
}

/// Looks a code up.
///
/// # Errors
/// The store failed, or holds what cannot be read.
pub async fn find(app: &App, call: &Call, code: &str) -> Result<Found, Fault> {
    if code.len() > tokens::LONGEST {
        return Ok(Found::Unknown);
    }
    let Some(item) = app.store.item(&call.tenant.tenant.id, KIND, &name(code)).await? else {
        return Ok(Found::Unknown);
    };
    let body: Body = serde_json::from_str(&item.body).map_err(|error| Fault::internal("a stored code", error))?;
    let now = app.world.now();
    match body {
        Body::Spent(grant) => Ok(Found::Spent(grant)),
        Body::Good(authorized) if authorized.until <= now => Ok(Found::Unknown),
        Body::Good(authorized) => {
            let body = write(&Body::Spent(authorized.grant.clone()))?;
            // Another version is another redemption: of many at once, one is written.
            let spent = Change::EditItem { kind: KIND, name: item.name, body, version: item.version };
            Ok(Found::Good(authorized, Box::new(spent)))
        }
    }
}

/// The digest, behind the characters that tell when: codes of one time are kept side by side.
fn name(code: &str) -> String {
    let when = code.get(..WHEN).unwrap_or_default();
    format!("{when}{}", tokens::hex(&tokens::digest(code).0))
}

fn write(body: &Body) -> Result<String, Fault> {
    serde_json::to_string(body).map_err(|error| Fault::internal("a code", error))
}
