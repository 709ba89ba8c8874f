//! Where the answer to an authorization request goes. A [`Target`] is made here and nowhere else, and only of a redirect URI
//! registered for the client: whoever holds one may answer by it, and before there is one every error stays on our page
//! (RFC 6749 §4.1.2.1, §10.15).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{RedirectError, ResponseMode};
use crate::form::{Form, Limits};
use crate::oauth_error::Rejection;
use crate::records::Client;
use crate::redirect::is_registered;

/// Limits of an authorization request: room for one request object, `claims` and `authorization_details`.
pub const LIMITS: Limits = Limits { bytes: 64 * 1024, pairs: 64, name: 128, value: 16 * 1024 };

/// Bytes of `state`: it travels in a URL and in a form, there and back.
const MAX_STATE: usize = 4096;
/// Bytes of a `client_id`.
const MAX_CLIENT_ID: usize = 2048;

/// Why a request is answered by a page of ours and goes nowhere. None of it quotes what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PageError {
    /// Too long, too many parameters, or no UTF-8.
    #[error("the request cannot be read")]
    Unreadable,
    /// No `client_id`.
    #[error("the request does not say which application it comes from")]
    ClientIdMissing,
    /// A `client_id` that is unknown, disabled, or stands twice: all the same to a stranger.
    #[error("the application is not known here")]
    UnknownClient,
    /// No `redirect_uri` where there must be one (OpenID Connect Core §3.1.2.1).
    #[error("the request does not say where to return to")]
    RedirectUriMissing,
    /// A `redirect_uri` that is not registered, or stands twice.
    #[error("the address to return to is not registered for this application")]
    RedirectUriUnregistered,
    /// A pushed request that is unknown, used up, expired, or of another client (RFC 9126 §4).
    #[error("the request is unknown or has expired")]
    UnknownRequestUri,
}

impl PageError {
    /// What machines know it by.
    pub fn id(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable_request",
            Self::ClientIdMissing => "client_id_missing",
            Self::UnknownClient => "unknown_client",
            Self::RedirectUriMissing => "redirect_uri_missing",
            Self::RedirectUriUnregistered => "redirect_uri_unregistered",
            Self::UnknownRequestUri => "unknown_request_uri",
        }
    }

    /// The vendor's message id (vendor page §5.3).
    pub fn message_id(self) -> &'static str {
        match self {
            Self::RedirectUriMissing | Self::RedirectUriUnregistered => "CSIAQ0167E",
            Self::UnknownClient | Self::ClientIdMissing => "CSIAQ0155E",
            Self::Unreadable | Self::UnknownRequestUri => "CSIAQ9999E",
        }
    }
}

impl From<Rejection> for PageError {
    /// A form that could not be read at all.
    fn from(_: Rejection) -> Self {
        Self::Unreadable
    }
}

/// A redirect URI that is known good, with what every answer to it needs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    redirect_uri: String,
    sent: bool,
    mode: ResponseMode,
    state: Option<String>,
}

impl Target {
    /// The redirect URI, as the request had it.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// What `redirect_uri` of the token request must equal; none where the request had none, and then the token request
    /// may leave it out too (RFC 6749 §4.1.3).
    pub fn redirect_uri_to_repeat(&self) -> Option<&str> {
        self.sent.then_some(self.redirect_uri.as_str())
    }

    /// The way back.
    pub fn mode(&self) -> ResponseMode {
        self.mode
    }

    /// `state`, unchanged.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// An error that goes back by this way.
    pub fn refuse(&self, rejection: Rejection) -> RedirectError {
        RedirectError { target: self.clone(), rejection }
    }
}

impl fmt::Debug for Target {
    // `state` is the client's secret against forged answers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("redirect_uri", &self.redirect_uri)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// Reads the query or the form of an authorization request (demand A-1: both alike).
///
/// # Errors
/// [`PageError::Unreadable`].
pub fn read(text: &[u8]) -> Result<Form, PageError> {
    Ok(Form::parse_within(text, LIMITS)?)
}

/// The client to look up.
///
/// # Errors
/// It is missing, stands twice or could be none.
pub fn client_id_of(form: &Form) -> Result<&str, PageError> {
    match form.one("client_id") {
        Ok(Some(id)) if id.len() <= MAX_CLIENT_ID => Ok(id),
        Ok(None) => Err(PageError::ClientIdMissing),
        _ => Err(PageError::UnknownClient),
    }
}

/// Finds out where the answer goes, given the client found for [`client_id_of`].
///
/// # Errors
/// Nothing to trust: a page, and no redirect.
pub fn identify(form: &Form, client: Option<&Client>) -> Result<Target, PageError> {
    let id = client_id_of(form)?;
    let client = client.filter(|client| client.enabled && client.id.as_str() == id).ok_or(PageError::UnknownClient)?;
    let (redirect_uri, sent) = match form.one("redirect_uri") {
        Ok(Some(uri)) => (uri, true),
        Ok(None) => (sole_redirect_uri(form, client).ok_or(PageError::RedirectUriMissing)?, false),
        Err(_) => return Err(PageError::RedirectUriUnregistered),
    };
    // The second half guards against what could only stand in a register filled by other means (RFC 6749 §3.1.2).
    let plain = redirect_uri.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if !is_registered(&client.redirect_uris, redirect_uri, client.native) || !plain {
        return Err(PageError::RedirectUriUnregistered);
    }
    Ok(Target {
        redirect_uri: redirect_uri.to_owned(),
        sent,
        mode: mode_in_force(form, client),
        state: form.one("state").ok().flatten().filter(|state| state.len() <= MAX_STATE).map(str::to_owned),
    })
}

/// The one registered URI, for a request of plain OAuth that names none (RFC 6749 §3.1.2.3). OpenID Connect demands it.
fn sole_redirect_uri<'c>(form: &Form, client: &'c Client) -> Option<&'c str> {
    let openid = words(form, "scope").any(|word| word == "openid")
        || words(form, "response_type").any(|word| word == "id_token");
    match client.redirect_uris.as_slice() {
        [sole] if !openid => Some(sole),
        _ => None,
    }
}

/// The way back of this request, good or not: a way asked for that cannot be gone gives way to the default of the response
/// type, and one that has tokens in it is never the query, not even for an error (demand S-1).
fn mode_in_force(form: &Form, client: &Client) -> ResponseMode {
    let has_tokens = words(form, "response_type").any(|word| word == "token" || word == "id_token");
    let default = if has_tokens { ResponseMode::Fragment } else { ResponseMode::Query };
    match form.one("response_mode").ok().flatten().and_then(ResponseMode::parse) {
        Some(ResponseMode::Query) if has_tokens => default,
        Some(mode) if mode.is_open_to(client) => mode,
        _ => default,
    }
}

/// The words of a parameter, however often it stands.
fn words<'f>(form: &'f Form, name: &'f str) -> impl Iterator<Item = &'f str> {
    form.many(name).flat_map(|value| value.split(' '))
}

/// Whether `state` is longer than what is sent back.
pub(super) fn state_is_too_long(form: &Form) -> bool {
    form.many("state").any(|state| state.len() > MAX_STATE)
}
