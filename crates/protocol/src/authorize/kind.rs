//! What an authorization request asks to be answered with, and by which way: response types and response modes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::records::Client;

/// `response_type` as the set it is (RFC 6749 §3.1.1): the order of its words means nothing. Nothing at all is `none`
/// (Multiple Response Types §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResponseType {
    /// `code`.
    pub code: bool,
    /// `id_token`.
    pub id_token: bool,
    /// `token`.
    pub token: bool,
}

impl ResponseType {
    /// Only that the person agreed.
    pub const NONE: Self = Self::of(false, false, false);
    /// The code flow.
    pub const CODE: Self = Self::of(true, false, false);
    /// Every response type, in the order metadata lists them.
    pub const ALL: [Self; 8] = [
        Self::CODE,
        Self::of(false, true, false),
        Self::of(false, false, true),
        Self::of(false, true, true),
        Self::of(true, true, false),
        Self::of(true, false, true),
        Self::of(true, true, true),
        Self::NONE,
    ];

    const fn of(code: bool, id_token: bool, token: bool) -> Self {
        Self { code, id_token, token }
    }

    /// Reads it in any order of words; none for a word nobody knows, one that stands twice, or `none` beside others.
    pub fn parse(text: &str) -> Option<Self> {
        let mut found = Self::NONE;
        let mut words = text.split(' ').filter(|word| !word.is_empty()).peekable();
        words.peek()?;
        if text.trim_matches(' ') == "none" {
            return Some(found);
        }
        for word in words {
            let part = match word {
                "code" => &mut found.code,
                "id_token" => &mut found.id_token,
                "token" => &mut found.token,
                _ => return None,
            };
            if std::mem::replace(part, true) {
                return None;
            }
        }
        Some(found)
    }

    /// Its name in the registry of response types.
    pub fn as_str(self) -> &'static str {
        match (self.code, self.id_token, self.token) {
            (false, false, false) => "none",
            (true, false, false) => "code",
            (false, true, false) => "id_token",
            (false, false, true) => "token",
            (false, true, true) => "id_token token",
            (true, true, false) => "code id_token",
            (true, false, true) => "code token",
            (true, true, true) => "code id_token token",
        }
    }

    /// Whether a token of any kind comes from the authorization endpoint itself.
    pub fn has_tokens(self) -> bool {
        self.id_token || self.token
    }

    /// The way back where the request names none (Multiple Response Types §3, §5).
    pub fn default_mode(self) -> ResponseMode {
        if self.has_tokens() { ResponseMode::Fragment } else { ResponseMode::Query }
    }

    /// Whether the grants of a client carry it: a code needs `authorization_code`, tokens from here need `implicit`, both
    /// need both (vendor page §4.3); `none` needs either.
    pub fn is_carried_by(self, client: &Client) -> bool {
        let has = |grant: &str| client.grant_types.contains(grant);
        match (self.code, self.has_tokens()) {
            (true, true) => has("authorization_code") && has("implicit"),
            (true, false) => has("authorization_code"),
            (false, true) => has("implicit"),
            (false, false) => has("authorization_code") || has("implicit"),
        }
    }

    /// Whether a client may ask for it: its grants carry it, and its own list has it where it has a list.
    pub fn is_open_to(self, client: &Client) -> bool {
        let listed = client.response_types.is_empty()
            || client.response_types.iter().any(|listed| Self::parse(listed) == Some(self));
        listed && self.is_carried_by(client)
    }
}

impl fmt::Display for ResponseType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for ResponseType {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("no response type")
    }
}

impl From<ResponseType> for String {
    fn from(kind: ResponseType) -> Self {
        kind.as_str().to_owned()
    }
}

/// `response_mode`: how the answer reaches the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query of the redirect URI.
    Query,
    /// In its fragment.
    Fragment,
    /// As a form the browser posts (Form Post Response Mode).
    FormPost,
}

impl ResponseMode {
    /// Every mode, in the order metadata lists them.
    pub const ALL: [Self; 3] = [Self::Query, Self::Fragment, Self::FormPost];

    /// Reads it; none for one nobody knows.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Fragment => "fragment",
            Self::FormPost => "form_post",
        }
    }

    /// Whether a client may be answered so.
    pub fn is_open_to(self, client: &Client) -> bool {
        client.response_modes.is_empty() || client.response_modes.iter().any(|mode| mode == self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn client(grants: &[&str], types: &[&str]) -> Client {
        serde_json::from_value(json!({"id": "app", "grant_types": grants, "response_types": types})).unwrap()
    }

    #[test]
    fn h1_the_order_of_words_means_nothing() {
        for kind in ResponseType::ALL {
            let mut words: Vec<&str> = kind.as_str().split(' ').collect();
            assert_eq!(ResponseType::parse(&words.join(" ")), Some(kind));
            words.reverse();
            assert_eq!(ResponseType::parse(&words.join(" ")), Some(kind));
            assert_eq!(serde_json::from_value::<ResponseType>(json!(kind.as_str())).unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.as_str()));
        }
        for bad in ["", " ", "Code", "code code", "code none", "none none", "code,token", "code\ttoken", "device"] {
            assert_eq!(ResponseType::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn gt1_each_type_needs_its_grants() {
        let carried = |grants: &[&str]| -> Vec<&str> {
            let client = client(grants, &[]);
            ResponseType::ALL.into_iter().filter(|kind| kind.is_open_to(&client)).map(ResponseType::as_str).collect()
        };
        assert_eq!(carried(&["authorization_code"]), ["code", "none"]);
        assert_eq!(carried(&["implicit"]), ["id_token", "token", "id_token token", "none"]);
        assert_eq!(carried(&["authorization_code", "implicit"]).len(), 8);
        assert_eq!(carried(&["password", "policyauth", "refresh_token"]), Vec::<&str>::new());
    }

    #[test]
    fn a_list_of_its_own_narrows_and_never_widens() {
        let app = client(&["authorization_code", "implicit"], &["token code", "code"]);
        assert!(ResponseType::parse("code token").unwrap().is_open_to(&app));
        assert!(!ResponseType::parse("id_token").unwrap().is_open_to(&app));
        let app = client(&["authorization_code"], &["code", "token"]);
        assert!(!ResponseType::parse("token").unwrap().is_open_to(&app));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-z_ ]{0,30}|.{0,30}") {
            if let Some(kind) = ResponseType::parse(&text) {
                prop_assert_eq!(ResponseType::parse(kind.as_str()), Some(kind));
            }
            let _ = ResponseMode::parse(&text);
        }
    }
}
