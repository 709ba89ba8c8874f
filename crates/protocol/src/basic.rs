//! Owns the `Authorization` header of client authentication: its scheme, and what `Basic` may mean.
//!
//! Clients disagree whether id and secret are form-encoded before base64 (RFC 6749 §2.3.1 says so, the vendor's SDK does
//! not, W4), so up to two readings come out and the caller tries them in order. Does not know any secret.

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::b64;

/// Bytes of an `Authorization` header that are looked at.
pub const MAX_HEADER: usize = 8 * 1024;
/// Bytes of decoded `id:secret`.
const MAX_PAIR: usize = 4 * 1024;

/// An `Authorization` header by its scheme, which compares without regard to case (RFC 9110 §11.1).
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization<'h> {
    /// `Basic`: what follows the scheme.
    Basic(&'h str),
    /// `Bearer`: the token (RFC 6750 §2.1).
    Bearer(&'h str),
    /// `DPoP`: the token (RFC 9449 §7.1).
    Dpop(&'h str),
    /// Empty, no text, too long, or a scheme we do not know.
    Other,
}

impl<'h> Authorization<'h> {
    /// Reads the header's value.
    pub fn read(value: &'h [u8]) -> Self {
        let Some(text) = std::str::from_utf8(value).ok().filter(|t| t.len() <= MAX_HEADER) else {
            return Self::Other;
        };
        let Some((scheme, rest)) = text.trim_matches([' ', '\t']).split_once(' ') else {
            return Self::Other;
        };
        let rest = rest.trim_start_matches(' ');
        if scheme.eq_ignore_ascii_case("basic") {
            Self::Basic(rest)
        } else if scheme.eq_ignore_ascii_case("bearer") && is_token68(rest) {
            Self::Bearer(rest)
        } else if scheme.eq_ignore_ascii_case("dpop") && is_token68(rest) {
            Self::Dpop(rest)
        } else {
            Self::Other
        }
    }
}

/// One reading of a `Basic` header.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// `client_id`.
    pub id: String,
    /// `client_secret`, wiped when it goes.
    pub secret: Zeroizing<String>,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The readings of `Basic` credentials: as sent, then form-decoded where that differs. Empty if it has no reading.
pub fn read_pairs(credentials: &str) -> Vec<Pair> {
    let Some(bytes) = b64::decode(credentials, MAX_PAIR).map(Zeroizing::new) else {
        return Vec::new();
    };
    // RFC 7617 §2: no control characters in either part; the id ends at the first colon.
    let Some((id, secret)) = std::str::from_utf8(&bytes).ok().and_then(|text| text.split_once(':')) else {
        return Vec::new();
    };
    if has_control(id) || has_control(secret) || id.is_empty() {
        return Vec::new();
    }
    let mut pairs = vec![Pair { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) }];
    if let (Some(id), Some(secret)) = (form_decode(id), form_decode(secret)) {
        let decoded = Pair { id, secret: Zeroizing::new(secret) };
        if decoded != pairs[0] && !decoded.id.is_empty() {
            pairs.push(decoded);
        }
    }
    pairs
}

/// Form-decodes; none if an escape is malformed or the result could not have been sent (loose escapes are never guessed at).
fn form_decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let escapes_hold = (0..bytes.len())
        .filter(|at| bytes[*at] == b'%')
        .all(|at| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)));
    if !escapes_hold {
        return None;
    }
    let spaced = Zeroizing::new(text.replace('+', " "));
    let plain = percent_decode_str(&spaced).decode_utf8().ok()?.into_owned();
    (!has_control(&plain)).then_some(plain)
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// RFC 9110 §11.2 `token68`, the form of a bearer token.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    fn readings(text: &str) -> Vec<(String, String)> {
        read_pairs(text).into_iter().map(|p| (p.id, p.secret.to_string())).collect()
    }

    #[test]
    fn the_sdk_form_and_the_standard_form_read_alike() {
        // vendor page, appendix A.1
        let expected = ("5b1e0c52-7d0f-4f0b-9a53-2f7b8a6c1d10".to_owned(), "k3y>>Ex~mple".to_owned());
        let sdk = "NWIxZTBjNTItN2QwZi00ZjBiLTlhNTMtMmY3YjhhNmMxZDEwOmszeT4-RXh-bXBsZQ";
        let standard = "NWIxZTBjNTItN2QwZi00ZjBiLTlhNTMtMmY3YjhhNmMxZDEwOmszeT4+RXh+bXBsZQ==";
        assert_eq!(readings(sdk), readings(standard));
        assert_eq!(readings(standard), [expected]);
    }

    #[test]
    fn an_encoded_secret_has_two_readings_as_sent_first() {
        let got = readings(&STANDARD.encode("app%3A1:a%2Bb+c"));
        assert_eq!(got, [("app%3A1".into(), "a%2Bb+c".into()), ("app:1".into(), "a+b c".into())]);
    }

    #[test]
    fn loose_escapes_have_only_the_reading_as_sent() {
        for secret in ["100%", "%zz", "a%2", "%ff", "%00"] {
            assert_eq!(readings(&STANDARD.encode(format!("id:{secret}"))), [("id".to_owned(), secret.to_owned())]);
        }
    }

    #[test]
    fn what_is_no_pair_has_no_reading() {
        for text in [
            "",
            "!!!!",
            &STANDARD.encode("no colon"),
            &STANDARD.encode(":secret"),
            &STANDARD.encode("a\n:b"),
            &STANDARD.encode([0xff, b':', 0xfe]),
            &"A".repeat(1 << 20),
        ] {
            assert_eq!(read_pairs(text), []);
        }
        assert_eq!(readings(&STANDARD.encode("id:")), [("id".to_owned(), String::new())]);
    }

    #[test]
    fn schemes_compare_without_case() {
        assert!(Authorization::read(b"bAsIc YTpi") == Authorization::Basic("YTpi"));
        assert!(Authorization::read(b"bearer  abc.def-_=") == Authorization::Bearer("abc.def-_="));
        assert!(Authorization::read(b"DPOP abc") == Authorization::Dpop("abc"));
        for other in [&b""[..], b"Basic", b"Bearer a b", b"Bearer \xff", b"Bearer =", b"Negotiate abc", &[b'B'; 9000]] {
            assert!(Authorization::read(other) == Authorization::Other);
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,100}") {
            let _ = Authorization::read(&bytes);
            let _ = read_pairs(&text);
            prop_assert!(read_pairs(&STANDARD.encode(&bytes)).len() <= 2);
        }

        #[test]
        fn both_ways_of_sending_reach_the_true_secret(id in "[!-9;-~]{1,20}", secret in "[ -~]{1,30}") {
            let encode = |t: &str| form_urlencoded::byte_serialize(t.as_bytes()).collect::<String>();
            let truth = (id.clone(), secret.clone());
            prop_assert_eq!(&readings(&b64::encode_url(format!("{id}:{secret}")))[0], &truth);
            let encoded = STANDARD.encode(format!("{}:{}", encode(&id), encode(&secret)));
            prop_assert!(readings(&encoded).contains(&truth));
        }
    }
}
