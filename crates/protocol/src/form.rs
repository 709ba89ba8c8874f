//! Owns reading `application/x-www-form-urlencoded` bodies and queries: sizes, UTF-8, repeated parameters.
//!
//! Does not know what any parameter means.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode;
use zeroize::Zeroize;

use crate::oauth_error::Rejection;

/// How much of a form is read at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the encoded text.
    pub bytes: usize,
    /// Parameters.
    pub pairs: usize,
    /// Bytes of a name, decoded.
    pub name: usize,
    /// Bytes of a value, decoded.
    pub value: usize,
}

/// Limits of a token-type request: room for two assertions and `authorization_details`, for nothing absurd.
pub const USUAL: Limits = Limits { bytes: 64 * 1024, pairs: 64, name: 128, value: 32 * 1024 };

/// The parameters of one request, in order, none interpreted. Values are wiped from memory when it goes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    /// Reads a body or query within the usual limits.
    pub fn parse(text: &[u8]) -> Result<Self, Rejection> {
        Self::parse_within(text, USUAL)
    }

    /// Reads a body or query within limits. Percent signs that begin no escape stand for themselves, as browsers have it;
    /// a decoded name or value must be UTF-8 without NUL.
    pub fn parse_within(text: &[u8], limits: Limits) -> Result<Self, Rejection> {
        if text.len() > limits.bytes {
            return Err(Rejection::invalid_request("the parameters are too long"));
        }
        let mut pairs = Vec::new();
        for part in text.split(|b| *b == b'&').filter(|part| !part.is_empty()) {
            if pairs.len() == limits.pairs {
                return Err(Rejection::invalid_request("too many parameters"));
            }
            let (name, value) = match part.iter().position(|b| *b == b'=') {
                Some(at) => (&part[..at], &part[at + 1..]),
                None => (part, &[][..]),
            };
            pairs.push((decode(name, limits.name)?, decode(value, limits.value)?));
        }
        Ok(Self { pairs })
    }

    /// Takes parameters that came by another way (a request object, a pushed request).
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { pairs: pairs.into_iter().collect() }
    }

    /// The one value of a parameter. Without a value it counts as absent; sent twice it is an error (RFC 6749 §3.1, §3.2).
    pub fn one(&self, name: &str) -> Result<Option<&str>, Rejection> {
        let mut found = None;
        for (_, value) in self.pairs.iter().filter(|(n, _)| n == name) {
            if found.replace(value.as_str()).is_some() {
                return Err(repeated(name));
            }
        }
        Ok(found.filter(|value| !value.is_empty()))
    }

    /// The one value of a parameter that must be there.
    pub fn require(&self, name: &str) -> Result<&str, Rejection> {
        self.one(name)?.ok_or_else(|| Rejection::invalid_request(format!("parameter `{}` is missing", shown(name))))
    }

    /// All values of a parameter that may repeat (`resource`, RFC 8707 §2), in order, empty ones left out.
    pub fn many<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.pairs.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Refuses any parameter that stands twice, known or not, except those named.
    pub fn refuse_duplicates(&self, except: &[&str]) -> Result<(), Rejection> {
        let mut names: Vec<&str> = self.pairs.iter().map(|(n, _)| n.as_str()).filter(|n| !except.contains(n)).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(repeated(pair[0])),
            None => Ok(()),
        }
    }

    /// Whether the parameter was sent at all, with or without a value.
    pub fn mentions(&self, name: &str) -> bool {
        self.pairs.iter().any(|(n, _)| n == name)
    }

    /// All pairs as they came.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

impl fmt::Debug for Form {
    // Values may be secrets: only names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|(n, _)| n)).finish()
    }
}

impl Drop for Form {
    fn drop(&mut self) {
        self.pairs.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

fn decode(bytes: &[u8], max: usize) -> Result<String, Rejection> {
    let spaced: Cow<'_, [u8]> = if bytes.contains(&b'+') {
        Cow::Owned(bytes.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect())
    } else {
        Cow::Borrowed(bytes)
    };
    let plain = percent_decode(&spaced)
        .decode_utf8()
        .map_err(|_| Rejection::invalid_request("the parameters are not UTF-8"))?
        .into_owned();
    if plain.len() > max {
        return Err(Rejection::invalid_request("a parameter is too long"));
    }
    if plain.contains('\0') {
        return Err(Rejection::invalid_request("a parameter holds a forbidden character"));
    }
    Ok(plain)
}

fn repeated(name: &str) -> Rejection {
    Rejection::invalid_request(format!("parameter `{}` stands more than once", shown(name)))
}

/// A stranger's parameter name is shown only if it could be one.
fn shown(name: &str) -> &str {
    let plain = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if plain { name } else { "?" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::oauth_error::OAuthCode;
    use proptest::prelude::*;

    #[test]
    fn reads_plain_and_escaped_pairs() {
        let form = Form::parse(b"grant_type=a%3Ab&scope=openid+profile&&x&y=1=2&z=100%&scope2=%C3%A9").unwrap();
        assert_eq!(form.one("grant_type").unwrap(), Some("a:b"));
        assert_eq!(form.one("scope").unwrap(), Some("openid profile"));
        assert_eq!(form.one("x").unwrap(), None);
        assert!(form.mentions("x"));
        assert_eq!(form.one("y").unwrap(), Some("1=2"));
        assert_eq!(form.one("z").unwrap(), Some("100%"));
        assert_eq!(form.one("scope2").unwrap(), Some("é"));
        assert_eq!(form.require("absent").unwrap_err().detail, "parameter `absent` is missing");
    }

    #[test]
    fn a_parameter_sent_twice_is_named() {
        let form = Form::parse(b"scope=&scope=openid&resource=a&resource=b&resource=").unwrap();
        let no = form.one("scope").unwrap_err();
        assert_eq!(
            (no.code, no.detail.as_ref()),
            (OAuthCode::InvalidRequest, "parameter `scope` stands more than once")
        );
        assert_eq!(form.many("resource").collect::<Vec<_>>(), ["a", "b"]);
        assert!(form.refuse_duplicates(&["resource"]).is_err());
        assert!(form.refuse_duplicates(&["resource", "scope"]).is_ok());
        assert!(form.refuse_duplicates(&["scope"]).unwrap_err().detail.contains("`resource`"));
    }

    #[test]
    fn a_name_that_could_be_none_is_not_echoed() {
        let form = Form::parse(b"%3Cscript%3E=1&%3Cscript%3E=2").unwrap();
        assert_eq!(form.refuse_duplicates(&[]).unwrap_err().detail, "parameter `?` stands more than once");
    }

    #[test]
    fn what_is_oversized_or_not_utf8_is_refused() {
        for bad in [&b"a=%ff"[..], b"%c3=1", b"a=\xff", b"a=%00"] {
            assert_eq!(Form::parse(bad).unwrap_err().code, OAuthCode::InvalidRequest);
        }
        assert!(Form::parse(&[b'a'; 64 * 1024 + 1]).is_err());
        assert!(Form::parse("a=1&".repeat(65).as_bytes()).is_err());
        assert!(Form::parse("a=1&".repeat(64).as_bytes()).is_ok());
        assert!(Form::parse(&[&b"a="[..], &[b'x'; 32 * 1024 + 1]].concat()).is_err());
        assert!(Form::parse(&[b'n'; 129]).is_err());
    }

    #[test]
    fn debug_shows_no_value() {
        let form = Form::parse(b"client_secret=hunter22").unwrap();
        assert_eq!(format!("{form:?}"), r#"["client_secret"]"#);
    }

    proptest! {
        #[test]
        fn reads_back_what_was_encoded(
            pairs in proptest::collection::vec(("[a-z_]{1,20}", "[^\0]{0,40}"), 0..20)
        ) {
            let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let form = Form::parse(text.as_bytes()).unwrap();
            let back: Vec<_> = form.pairs().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(back, pairs);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), name in ".{0,8}") {
            if let Ok(form) = Form::parse(&bytes) {
                let _ = form.one(&name);
                let _ = form.require(&name);
                let _ = form.refuse_duplicates(&[&name]);
            }
        }
    }
}
