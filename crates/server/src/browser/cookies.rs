//! The cookies of the server: what they are called, how they are read, and with which attributes they are written.
//!
//! Each holds random text that means nothing without the store. Over https the names carry `__Host-`, so that no other host
//! of the same domain can plant one (RFC 6265bis §4.1.3.2).

use axum::http::{HeaderValue, header};
use axum::response::Response;
use protocol::records::Seconds;

use crate::call::Call;

/// Values longer than this were never ours.
const LONGEST: usize = 512;

/// A cookie of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// The sessions of the browser, the one in use first.
    Sessions,
    /// The browser itself: what a running dialogue is bound to.
    Browser,
    /// What this browser was trusted by, by each person who did.
    Devices,
    /// Who stays signed in with it when it is closed.
    Stay,
    /// The state of the session in use, which a page of ours in a client's frame reads (Session Management 1.0 §3).
    State,
}

impl Cookie {
    /// Its name under a tenant that is called over https, or not.
    pub fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Sessions, true) => "__Host-countersign",
            (Self::Sessions, false) => "countersign",
            (Self::Browser, true) => "__Host-countersign-browser",
            (Self::Browser, false) => "countersign-browser",
            (Self::Devices, true) => "__Host-countersign-devices",
            (Self::Devices, false) => "countersign-devices",
            (Self::Stay, true) => "__Host-countersign-stay",
            (Self::Stay, false) => "countersign-stay",
            (Self::State, true) => "__Host-countersign-state",
            (Self::State, false) => "countersign-state",
        }
    }

    /// What it holds in a request.
    pub fn read(self, call: &Call) -> Option<&str> {
        let name = self.name(is_secure(call));
        let headers = call.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        headers
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .filter(|value| (1..=LONGEST).contains(&value.len()))
    }

    /// The header that sets it. It goes when the browser is closed; an empty value takes it away at once.
    pub fn write(self, call: &Call, value: &str) -> HeaderValue {
        self.spell(call, value, if value.is_empty() { Some(0) } else { None })
    }

    /// The header that sets it for so many seconds, whether or not the browser is closed.
    pub fn write_for(self, call: &Call, value: &str, seconds: Seconds) -> HeaderValue {
        self.spell(call, value, Some(seconds.max(0)))
    }

    fn spell(self, call: &Call, value: &str, lasts: Option<Seconds>) -> HeaderValue {
        let secure = is_secure(call);
        let mut text = format!("{}={value}; Path=/", self.name(secure));
        match self {
            Self::Sessions | Self::Browser | Self::Devices | Self::Stay => text.push_str("; HttpOnly; SameSite=Lax"),
            // Read by script in a frame on a client's page, which is another site. Without TLS browsers keep none that crosses
            // sites.
            Self::State => text.push_str(if secure { "; SameSite=None" } else { "; SameSite=Lax" }),
        }
        if secure {
            text.push_str("; Secure");
        }
        if let Some(seconds) = lasts {
            text.push_str(&format!("; Max-Age={seconds}"));
        }
        HeaderValue::try_from(text).expect("names and values of cookies are letters, digits and a few marks")
    }
}

/// Whether the tenant was called over https.
pub fn is_secure(call: &Call) -> bool {
    call.base.starts_with("https://")
}

/// Adds cookies to an answer.
pub fn set(mut response: Response, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
