//! Owns logout and session management: judging an RP-initiated logout (RP-Initiated Logout 1.0), the claims of a logout token (Back-Channel Logout 1.0
//! §2.4), the address of a front-channel logout (Front-Channel Logout 1.0 §3), and `session_state` (Session Management 1.0 §2).
//!
//! Ends no session and asks nobody: it says whether the person must be asked, and where the browser may go afterwards.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::authorize::{append, drop_parameters};
use crate::form::Form;
use crate::id_token_hint::IdTokenHint;
use crate::jwt::MAX_TOKEN;
use crate::oauth_error::Rejection;
use crate::records::{Client, Seconds};

/// `typ` of a logout token (Back-Channel Logout 1.0 §2.4).
pub const TOKEN_TYPE: &str = "logout+jwt";
/// The one member of `events` in a logout token.
pub const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Bytes of `state`.
const MAX_STATE: usize = 4096;
/// Bytes of any other parameter but the hint.
const MAX_VALUE: usize = 2048;

/// The parameters of a logout request (§2). They may come by query or by form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogoutRequest {
    /// `id_token_hint`, not verified yet.
    pub id_token_hint: Option<String>,
    /// `client_id`.
    pub client_id: Option<String>,
    /// `post_logout_redirect_uri`, not compared yet.
    pub post_logout_redirect_uri: Option<String>,
    /// `state`.
    pub state: Option<String>,
    /// `ui_locales`, best first.
    pub ui_locales: Vec<String>,
}

impl LogoutRequest {
    /// Reads them.
    ///
    /// # Errors
    /// One of them stands twice or is absurdly long.
    pub fn read(form: &Form) -> Result<Self, Rejection> {
        let one = |name: &str, most: usize| match form.one(name)? {
            Some(text) if text.len() > most => Err(Rejection::invalid_request(format!("`{name}` is too long"))),
            text => Ok(text.map(str::to_owned)),
        };
        let locales = one("ui_locales", MAX_VALUE)?.unwrap_or_default();
        Ok(Self {
            id_token_hint: one("id_token_hint", MAX_TOKEN)?,
            client_id: one("client_id", MAX_VALUE)?,
            post_logout_redirect_uri: one("post_logout_redirect_uri", MAX_VALUE)?,
            state: one("state", MAX_STATE)?,
            ui_locales: locales.split(' ').filter(|tag| !tag.is_empty()).take(16).map(str::to_owned).collect(),
        })
    }
}

/// What came of the hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// None was sent.
    Absent,
    /// It is none of ours: a broken or foreign signature, no signature, another kind of token. It is trusted for nothing (demand L-6).
    Bad,
    /// An ID token of ours, expired or not.
    Good(IdTokenHint),
}

/// How the hint stands to the browser's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The browser has no session.
    NoSession,
    /// The hint is about the person, and the session if it names one, that the browser has.
    Same,
    /// There is a session, and no good hint about it.
    Other,
}

/// Why a logout request is answered by an error page and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoutProblem {
    /// `client_id` is not one the hint was made for (demand L-9).
    #[error("the request names another application than its ID token")]
    ClientMismatch,
}

impl LogoutProblem {
    /// What machines know it by.
    pub fn id(self) -> &'static str {
        match self {
            Self::ClientMismatch => "logout_client_mismatch",
        }
    }
}

/// Where the browser goes once the person is signed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// To a page of ours that says so.
    Page,
    /// Back to the client, at an address registered for it; `state` is in it.
    Redirect(String),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The person is asked first; only if they agree does the session end.
    Confirm(After),
    /// The session, if there is one, ends at once.
    End(After),
}

/// The client a request is about, to be looked up; none where it says nothing that can be trusted that far.
///
/// # Errors
/// `client_id` and the hint disagree.
pub fn client_of<'r>(request: &'r LogoutRequest, hint: &'r Hint) -> Result<Option<&'r str>, LogoutProblem> {
    match (request.client_id.as_deref(), hint) {
        (Some(id), Hint::Good(hint)) if !hint.is_for(id) => Err(LogoutProblem::ClientMismatch),
        (None, Hint::Good(hint)) => Ok(hint.client_id()),
        (id, Hint::Good(_) | Hint::Absent) => Ok(id),
        (_, Hint::Bad) => Ok(None),
    }
}

/// Judges a request, given the client found for [`client_of`].
///
/// The browser goes back only to an address registered for the client letter for letter, and without a hint only after the person has
/// agreed (demands L-2, L-5, L-7). Without a good hint about the session at hand the person is asked (L-10).
pub fn judge(request: &LogoutRequest, hint: &Hint, client: Option<&Client>, standing: Standing) -> Outcome {
    let named = client_of(request, hint).unwrap_or_default();
    let client = client.filter(|client| named == Some(client.id.as_str()));
    let after = match request.post_logout_redirect_uri.as_deref() {
        Some(uri) if client.is_some_and(|client| may_return(client, uri)) => {
            After::Redirect(write_return(uri, request.state.as_deref()))
        }
        _ => After::Page,
    };
    let unregistered = request.post_logout_redirect_uri.is_some() && after == After::Page;
    match (hint, standing) {
        (Hint::Good(_), Standing::Same | Standing::NoSession) if !unregistered => Outcome::End(after),
        // Nobody is signed in, and nothing is asked for that a stranger could gain by.
        (_, Standing::NoSession) if after == After::Page => Outcome::End(after),
        _ => Outcome::Confirm(after),
    }
}

fn may_return(client: &Client, uri: &str) -> bool {
    // The second half guards against a register filled by other means.
    let plain = uri.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    client.enabled && plain && client.post_logout_redirect_uris.iter().any(|known| known == uri)
}

/// The address with `state` and nothing else added (demand L-2), and never `state` twice.
fn write_return(uri: &str, state: Option<&str>) -> String {
    match state {
        Some(state) => append(&drop_parameters(uri, &["state"]), &[("state", state.to_owned())]),
        None => uri.to_owned(),
    }
}

/// What a logout token says.
#[derive(Clone, Copy, Debug)]
pub struct LogoutToken<'a> {
    /// The issuer of the client's ID tokens.
    pub issuer: &'a str,
    /// The client.
    pub client_id: &'a str,
    /// The person, as the client's ID tokens name them.
    pub subject: &'a str,
    /// The session, as the client's ID tokens name it.
    pub sid: Option<&'a str>,
    /// A name of its own, never used before.
    pub jti: &'a str,
    /// Now.
    pub now: Seconds,
    /// Seconds it lives: two minutes are recommended.
    pub lifetime: Seconds,
}

impl LogoutToken<'_> {
    /// Its claims. There is never a `nonce` among them, so that it cannot pass for an ID token (Back-Channel Logout 1.0 §2.4).
    pub fn claims(&self) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        say("iss", self.issuer.into());
        say("sub", self.subject.into());
        say("aud", self.client_id.into());
        say("iat", self.now.into());
        say("exp", self.now.saturating_add(self.lifetime).into());
        say("jti", self.jti.into());
        say("events", json!({ EVENT: {} }));
        if let Some(sid) = self.sid {
            say("sid", sid.into());
        }
        claims
    }
}

/// What a client's `frontchannel_logout_uri` is loaded as: with `iss` and `sid` where it asked for them, its own query kept
/// (Front-Channel Logout 1.0 §2, §3). None where it has no such URI.
pub fn frontchannel_uri(client: &Client, issuer: &str, sid: &str) -> Option<String> {
    let uri = client.frontchannel_logout_uri.as_deref()?;
    if !client.frontchannel_logout_session_required {
        return Some(uri.to_owned());
    }
    let plain = drop_parameters(uri, &["iss", "sid"]);
    Some(append(&plain, &[("iss", issuer.to_owned()), ("sid", sid.to_owned())]))
}

/// The origin of a redirect URI, as a browser gives it to `postMessage`: lower case, without the default port. None for one that has none.
pub fn origin_of(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let authority = rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())].to_ascii_lowercase();
    let authority = authority.strip_suffix(default).unwrap_or(&authority);
    let plain = !authority.is_empty() && authority.bytes().all(|b| b.is_ascii_graphic() && !b"@\\".contains(&b));
    plain.then(|| format!("{scheme}://{authority}"))
}

/// `session_state` (Session Management 1.0 §2): the hex of a SHA-256 over client, origin, browser state and salt, a dot, the salt. The frame of
/// `check_session_iframe` computes the same of `client_id + ' ' + origin + ' ' + browser_state + ' ' + salt`. The salt must be random
/// and hold neither blank nor dot. None for a redirect URI that has no origin: no page of such a client could ask.
pub fn session_state(client_id: &str, redirect_uri: &str, browser_state: &str, salt: &str) -> Option<String> {
    let origin = origin_of(redirect_uri)?;
    let hash = digest(&SHA256, format!("{client_id} {origin} {browser_state} {salt}").as_bytes());
    let mut text: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    text.push('.');
    text.push_str(salt);
    Some(text)
}

#[cfg(test)]
#[path = "logout_tests.rs"]
mod tests;
