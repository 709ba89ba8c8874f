//! Answers of the authorization endpoint, success or error, and how each reaches the client.
//!
//! Every answer names the issuer (RFC 9207 §2) and the `state` that came, and holds no parameter twice, not even where the
//! registered redirect URI has one of that name.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{ResponseMode, Target};
use crate::oauth_error::{OAuthCode, Rejection};
use crate::records::Seconds;

/// Everything but the unreserved characters (RFC 3986 §2.3). A blank becomes `%20`, which every reader of forms and of URLs
/// understands.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Names that only we may say in an answer: in a redirect URI they would stand beside ours, or pass for ours.
const OURS: [&str; 14] = [
    "code",
    "access_token",
    "token_type",
    "expires_in",
    "scope",
    "id_token",
    "state",
    "session_state",
    "grant_id",
    "iss",
    "error",
    "error_description",
    "error_uri",
    "response",
];

/// An access token given at the authorization endpoint (OpenID Connect Core §3.2.2.5).
#[derive(Clone)]
pub struct AccessToken {
    /// The token.
    pub token: String,
    /// `token_type`.
    pub token_type: &'static str,
    /// Seconds it lives.
    pub expires_in: Seconds,
    /// Granted scopes.
    pub scope: Vec<String>,
}

/// What a success gives, as the response type asked for it.
#[derive(Clone, Default)]
pub struct Issued {
    /// The code.
    pub code: Option<String>,
    /// The access token.
    pub access_token: Option<AccessToken>,
    /// The ID token.
    pub id_token: Option<String>,
    /// [`session_state`](crate::logout::session_state).
    pub session_state: Option<String>,
    /// The vendor's `grant_id` beside an access token (vendor page §4.3); no standard knows it (demand S-4).
    pub grant_id: Option<String>,
}

/// The parameters of one answer and where they go.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    redirect_uri: String,
    mode: ResponseMode,
    pairs: Vec<(&'static str, String)>,
}

/// How an answer is sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The browser is sent there (303).
    Redirect(String),
    /// The browser gets a page whose form it posts there (Form Post Response Mode §2). Values are not escaped yet.
    Post {
        /// Where the form goes.
        action: String,
        /// Its fields.
        fields: Vec<(&'static str, String)>,
    },
}

/// An error that goes back to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectError {
    /// Where and how.
    pub target: Target,
    /// What.
    pub rejection: Rejection,
}

impl RedirectError {
    /// The error as an answer.
    pub fn answer(&self, issuer: &str) -> Answer {
        let pairs =
            vec![("error", self.rejection.code.as_str().to_owned()), ("error_description", self.rejection.describe())];
        self.target.complete(issuer, pairs)
    }

    /// `error`.
    pub fn code(&self) -> OAuthCode {
        self.rejection.code
    }
}

impl Target {
    /// A success as an answer.
    pub fn grant(&self, issuer: &str, issued: Issued) -> Answer {
        let mut pairs = Vec::new();
        pairs.extend(issued.code.map(|code| ("code", code)));
        if let Some(given) = issued.access_token {
            pairs.push(("access_token", given.token));
            pairs.push(("token_type", given.token_type.to_owned()));
            pairs.push(("expires_in", given.expires_in.to_string()));
            pairs.push(("scope", given.scope.join(" ")));
            pairs.extend(issued.grant_id.map(|id| ("grant_id", id)));
        }
        pairs.extend(issued.id_token.map(|token| ("id_token", token)));
        pairs.extend(issued.session_state.map(|state| ("session_state", state)));
        self.complete(issuer, pairs)
    }

    fn complete(&self, issuer: &str, mut pairs: Vec<(&'static str, String)>) -> Answer {
        pairs.extend(self.state().map(|state| ("state", state.to_owned())));
        pairs.push(("iss", issuer.to_owned()));
        let secret = pairs.iter().any(|(name, _)| *name == "access_token" || *name == "id_token");
        // Holds already by how a request is judged; a token in a query would be in every log on its way (demand S-1).
        let mode = if secret && self.mode() == ResponseMode::Query { ResponseMode::Fragment } else { self.mode() };
        Answer { redirect_uri: self.redirect_uri().to_owned(), mode, pairs }
    }
}

impl Answer {
    /// The parameters, in the order they are sent.
    pub fn pairs(&self) -> &[(&'static str, String)] {
        &self.pairs
    }

    /// The way back.
    pub fn mode(&self) -> ResponseMode {
        self.mode
    }

    /// Writes it for the browser.
    pub fn deliver(self) -> Delivery {
        let uri = drop_parameters(&self.redirect_uri, &OURS);
        match self.mode {
            ResponseMode::Query => Delivery::Redirect(append(&uri, &self.pairs)),
            ResponseMode::Fragment => Delivery::Redirect(format!("{uri}#{}", encode(&self.pairs))),
            ResponseMode::FormPost => Delivery::Post { action: uri, fields: self.pairs },
        }
    }
}

impl fmt::Debug for Answer {
    // Values are codes and tokens: only names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|(name, _)| name)).finish()
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redirect(_) => "Redirect(…)",
            Self::Post { .. } => "Post(…)",
        })
    }
}

/// Adds parameters to the query a URI has or has not (RFC 6749 §3.1.2, §4.1.2).
pub(crate) fn append(uri: &str, pairs: &[(&'static str, String)]) -> String {
    if pairs.is_empty() {
        return uri.to_owned();
    }
    let joint = match uri.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{joint}{}", encode(pairs))
}

/// Takes parameters of these names out of a URI's query and leaves every other as it is.
pub(crate) fn drop_parameters(uri: &str, names: &[&str]) -> String {
    let Some((front, query)) = uri.split_once('?') else { return uri.to_owned() };
    let taken = |part: &&str| {
        let name = part.split_once('=').map_or(*part, |(name, _)| name).replace('+', " ");
        let name = percent_decode_str(&name).decode_utf8_lossy().into_owned();
        names.contains(&name.as_str())
    };
    let parts: Vec<&str> = query.split('&').collect();
    let kept: Vec<&str> = parts.iter().filter(|part| !taken(part)).copied().collect();
    match kept.len() {
        n if n == parts.len() => uri.to_owned(),
        0 => front.to_owned(),
        _ => format!("{front}?{}", kept.join("&")),
    }
}

fn encode(pairs: &[(&'static str, String)]) -> String {
    let parts: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, ESCAPED))).collect();
    parts.join("&")
}
