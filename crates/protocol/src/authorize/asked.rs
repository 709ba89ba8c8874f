//! What a request asks of the sign-in: `prompt`, `login_hint`, `display`, and how fresh the authentication must be.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::{self, Bounds};
use crate::oauth_error::Rejection;
use crate::records::Seconds;

/// Bytes of a login hint that is worth looking at.
const MAX_HINT: usize = 1024;

/// One word of `prompt` (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// No page may be shown.
    None,
    /// The person signs in again.
    Login,
    /// The person is asked for consent again.
    Consent,
    /// The person chooses an account.
    SelectAccount,
}

impl Prompt {
    /// Every word, in the order metadata lists them.
    pub const ALL: [Self; 4] = [Self::None, Self::Login, Self::Consent, Self::SelectAccount];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }

    /// Reads the whole parameter.
    ///
    /// # Errors
    /// `invalid_request` for a word we do not offer (Initiating User Registration §4.1), and for `none` beside others.
    pub fn read(text: &str) -> Result<BTreeSet<Self>, Rejection> {
        let mut found = BTreeSet::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let known = Self::ALL.into_iter().find(|prompt| prompt.as_str() == word);
            found.insert(known.ok_or_else(|| Rejection::invalid_request("`prompt` has an unknown value"))?);
        }
        if found.contains(&Self::None) && found.len() > 1 {
            return Err(Rejection::invalid_request("`prompt` has `none` beside other values"));
        }
        Ok(found)
    }
}

/// `login_hint`: who is probably about to sign in. It never authenticates, and nothing in it is an error (demand P-10).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginHint {
    /// A name for the default source.
    Text(String),
    /// A name in the source of a realm (vendor page §4.2).
    Realm {
        /// The realm, as `realmName` has it.
        realm: String,
        /// The name.
        username: String,
    },
}

impl LoginHint {
    /// Reads it; none if it is empty, oversized, or holds control characters. JSON that is no such object is a name like any other.
    pub fn read(text: &str) -> Option<Self> {
        const BOUNDS: Bounds = Bounds { bytes: MAX_HINT, depth: 4, values: 32 };
        if text.trim().is_empty() || text.len() > MAX_HINT || text.chars().any(char::is_control) {
            return None;
        }
        let object = json::parse_object(text.as_bytes(), BOUNDS).unwrap_or_default();
        let member = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        Some(match (member("realm"), member("username")) {
            (Some(realm), Some(username)) => Self::Realm { realm: realm.to_owned(), username: username.to_owned() },
            (None, Some(username)) => Self::Text(username.to_owned()),
            _ => Self::Text(text.to_owned()),
        })
    }

    /// The name alone.
    pub fn username(&self) -> &str {
        match self {
            Self::Text(name) | Self::Realm { username: name, .. } => name,
        }
    }
}

impl fmt::Debug for LoginHint {
    // Names of people belong in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(…)",
            Self::Realm { .. } => "Realm(…)",
        })
    }
}

/// `display` (OpenID Connect Core §3.1.2.1): our pages fit all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Display {
    /// A full page.
    Page,
    /// A small window.
    Popup,
    /// A device that is touched.
    Touch,
    /// A feature phone.
    Wap,
}

impl Display {
    /// Every value, in the order metadata lists them.
    pub const ALL: [Self; 4] = [Self::Page, Self::Popup, Self::Touch, Self::Wap];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Popup => "popup",
            Self::Touch => "touch",
            Self::Wap => "wap",
        }
    }

    /// Reads it; none for one nobody knows, which is no error (demand P-11).
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|display| display.as_str() == text)
    }
}

/// How fresh the authentication of an existing session must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Any will do.
    Any,
    /// Not older than so many seconds.
    Within(Seconds),
    /// None that was there before: the person signs in once more for this request.
    New,
}

impl Freshness {
    /// Whether an authentication made before this request will do.
    pub fn admits(self, auth_time: Seconds, now: Seconds) -> bool {
        match self {
            Self::Any => true,
            Self::Within(age) => now.saturating_sub(auth_time) <= age,
            Self::New => false,
        }
    }
}

/// Reads `max_age`: whole seconds, not negative.
///
/// # Errors
/// `invalid_request` for anything else.
pub fn read_max_age(text: &str) -> Result<Seconds, Rejection> {
    let plain = (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| Rejection::invalid_request("`max_age` is no number of seconds"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn p4_none_stands_alone() {
        assert!(Prompt::read("none").unwrap().contains(&Prompt::None));
        assert!(Prompt::read(" none none ").is_ok());
        for bad in ["none login", "login none", "consent none select_account", "none\tlogin", "create", "NONE"] {
            assert!(Prompt::read(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            Prompt::read("select_account login consent login").unwrap().into_iter().collect::<Vec<_>>(),
            [Prompt::Login, Prompt::Consent, Prompt::SelectAccount]
        );
        assert!(Prompt::read("").unwrap().is_empty());
    }

    #[test]
    fn p10_gt12_login_hints_are_read_and_never_an_error() {
        let realm = |realm: &str, name: &str| LoginHint::Realm { realm: realm.into(), username: name.into() };
        let text = |text: &str| LoginHint::Text(text.into());
        for (hint, read) in [
            ("scott", text("scott")),
            (r#"{"realm":"b","username":"x"}"#, realm("b", "x")),
            (r#" {"username":"x","realm":"b","more":[1]}"#, realm("b", "x")),
            (r#"{"username":"x"}"#, text("x")),
            // Malformed, no such object, a member twice: names like any other.
            (r#"{"realm":"b","username":"x""#, text(r#"{"realm":"b","username":"x""#)),
            (r#"{"realm":"b"}"#, text(r#"{"realm":"b"}"#)),
            (r#"{"realm":"b","username":7}"#, text(r#"{"realm":"b","username":7}"#)),
            (r#"{"username":"x","username":"y"}"#, text(r#"{"username":"x","username":"y"}"#)),
            ("[1]", text("[1]")),
        ] {
            assert_eq!(LoginHint::read(hint), Some(read), "{hint}");
        }
        for ignored in ["", "  ", "a\nb", "a\u{7}", &"x".repeat(1025)] {
            assert_eq!(LoginHint::read(ignored), None);
        }
        assert!(!format!("{:?}", text("scott")).contains("scott"));
    }

    #[test]
    fn max_age_is_a_number() {
        assert_eq!(read_max_age("0").unwrap(), 0);
        assert_eq!(read_max_age("10000").unwrap(), 10_000);
        for bad in ["", "-1", "+1", "1.5", "1e3", "x", " 1", "9999999999999999999"] {
            assert!(read_max_age(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn p5_p6_an_old_authentication_does_and_does_not_do() {
        assert!(Freshness::Within(10_000).admits(1_000, 1_003));
        assert!(!Freshness::Within(1).admits(1_000, 1_002));
        assert!(Freshness::Within(1).admits(1_000, 1_001));
        assert!(!Freshness::New.admits(1_000, 1_000));
        assert!(Freshness::Any.admits(0, Seconds::MAX));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,80}", json in "[{}\":,a-z]{0,40}") {
            for text in [&text, &json] {
                let _ = Prompt::read(text);
                let _ = LoginHint::read(text).map(|hint| hint.username().len());
                let _ = Display::read(text);
                let _ = read_max_age(text);
            }
        }
    }
}
