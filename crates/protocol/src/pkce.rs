//! Owns proof keys for code exchange (RFC 7636): what a challenge may look like and whether a verifier fits it.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::b64::{decode_url, encode_url};
use crate::oauth_error::Rejection;

/// How a challenge was made of its verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// SHA-256, base64url.
    S256,
    /// The verifier itself; only where the client allows it.
    #[serde(rename = "plain")]
    Plain,
}

/// The challenge of an authorization request, kept with its code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// `code_challenge_method`.
    pub method: Method,
    /// `code_challenge`.
    pub value: String,
}

/// Reads the challenge of an authorization request; none where there is none. A missing method means `plain` (§4.3).
///
/// # Errors
/// `invalid_request` for a method without challenge, an unknown or forbidden method, or a challenge that no verifier could have made.
pub fn read_challenge(
    challenge: Option<&str>,
    method: Option<&str>,
    allow_plain: bool,
) -> Result<Option<Challenge>, Rejection> {
    let Some(value) = challenge else {
        return match method {
            None => Ok(None),
            Some(_) => Err(Rejection::invalid_request("parameter `code_challenge` is missing")),
        };
    };
    let method = match method {
        Some("S256") => Method::S256,
        Some("plain") | None if allow_plain => Method::Plain,
        _ => return Err(Rejection::invalid_request("`code_challenge_method` must be `S256`")),
    };
    let fits = match method {
        Method::S256 => decode_url(value, 32).is_some_and(|bytes| bytes.len() == 32),
        Method::Plain => is_verifier(value),
    };
    if !fits {
        return Err(Rejection::invalid_request("`code_challenge` is malformed"));
    }
    Ok(Some(Challenge { method, value: value.to_owned() }))
}

/// Compares what the code remembers with the verifier of the token request (§4.6), in constant time.
///
/// # Errors
/// `invalid_grant` for a missing, malformed or wrong verifier, and for one where no challenge was sent (RFC 9700 §4.8.2).
pub fn check_verifier(challenge: Option<&Challenge>, verifier: Option<&str>) -> Result<(), Rejection> {
    let fits = match (challenge, verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) if is_verifier(verifier) => {
            let made = match challenge.method {
                Method::S256 => write_s256(verifier),
                Method::Plain => verifier.to_owned(),
            };
            made.as_bytes().ct_eq(challenge.value.as_bytes()).into()
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(Rejection::invalid_grant("`code_verifier` does not fit")) }
}

/// The `S256` challenge of a verifier (§4.2).
pub fn write_s256(verifier: &str) -> String {
    encode_url(digest(&SHA256, verifier.as_bytes()))
}

/// §4.1: 43 to 128 unreserved characters.
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::oauth_error::OAuthCode;
    use proptest::prelude::*;

    // RFC 7636 App. B
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn s256() -> Challenge {
        read_challenge(Some(CHALLENGE), Some("S256"), false).unwrap().unwrap()
    }

    fn verifier_code(challenge: Option<&Challenge>, verifier: Option<&str>) -> OAuthCode {
        check_verifier(challenge, verifier).unwrap_err().code
    }

    #[test]
    fn the_standard_s_example_fits() {
        assert_eq!(write_s256(VERIFIER), CHALLENGE);
        assert!(check_verifier(Some(&s256()), Some(VERIFIER)).is_ok());
        assert!(check_verifier(None, None).is_ok());
    }

    #[test]
    fn missing_wrong_and_uncalled_for_verifiers_are_refused() {
        let wrong = "a".repeat(43);
        for verifier in [None, Some(wrong.as_str()), Some(CHALLENGE), Some("short"), Some("")] {
            assert_eq!(verifier_code(Some(&s256()), verifier), OAuthCode::InvalidGrant);
        }
        assert_eq!(verifier_code(None, Some(VERIFIER)), OAuthCode::InvalidGrant);
    }

    #[test]
    fn lengths_and_characters_are_bounded() {
        let plain = |text: &str| read_challenge(Some(text), Some("plain"), true);
        assert!(plain(&"a".repeat(42)).is_err());
        assert!(plain(&"a".repeat(43)).is_ok());
        assert!(plain(&"a".repeat(128)).is_ok());
        assert!(plain(&"a".repeat(129)).is_err());
        assert!(plain(&format!("{}+", "a".repeat(43))).is_err());
        let made = plain(VERIFIER).unwrap().unwrap();
        assert!(check_verifier(Some(&made), Some(VERIFIER)).is_ok());
        assert!(check_verifier(Some(&made), Some(&VERIFIER.to_lowercase())).is_err());
    }

    #[test]
    fn plain_must_be_allowed_also_when_it_is_only_implied() {
        for method in [Some("plain"), None] {
            assert!(read_challenge(Some(VERIFIER), method, false).is_err());
            assert_eq!(read_challenge(Some(VERIFIER), method, true).unwrap().unwrap().method, Method::Plain);
        }
        assert!(read_challenge(Some(CHALLENGE), Some("s256"), true).is_err());
        assert!(read_challenge(None, Some("S256"), true).is_err());
        assert_eq!(read_challenge(None, None, false).unwrap(), None);
        assert!(read_challenge(Some("AAAA"), Some("S256"), false).is_err());
    }

    proptest! {
        #[test]
        fn only_the_own_verifier_fits(a in "[A-Za-z0-9._~-]{43,128}", b in "[A-Za-z0-9._~-]{43,128}") {
            let challenge = read_challenge(Some(&write_s256(&a)), Some("S256"), false).unwrap();
            prop_assert!(check_verifier(challenge.as_ref(), Some(&a)).is_ok());
            prop_assert_eq!(check_verifier(challenge.as_ref(), Some(&b)).is_ok(), a == b);
        }

        #[test]
        fn never_panics(text in ".{0,150}", method in ".{0,6}") {
            let _ = read_challenge(Some(&text), Some(&method), true);
            let _ = check_verifier(Some(&s256()), Some(&text));
        }
    }
}
