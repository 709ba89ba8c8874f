//! Owns base64 in the forms clients really send: either alphabet, padded or not, a blank where a form turned `+` into one
//! (vendor page W4, W5). JWT parts are not lenient: they go through [`decode_url`].

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Decodes leniently; none if it is not base64 or would give more than `max` bytes.
pub fn decode(text: &str, max: usize) -> Option<Vec<u8>> {
    let body = strip_padding(text)?;
    if body.len() / 4 > max / 3 + 1 {
        return None;
    }
    let standard: Vec<u8> = body
        .bytes()
        .map(|b| match b {
            b'-' | b' ' => b'+',
            b'_' => b'/',
            other => other,
        })
        .collect();
    LENIENT.decode(standard).ok().filter(|bytes| bytes.len() <= max)
}

/// Decodes base64url without padding, strictly (RFC 7515 §2); none if it is anything else or gives more than `max` bytes.
pub fn decode_url(text: &str, max: usize) -> Option<Vec<u8>> {
    if text.len() / 4 > max / 3 + 1 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() <= max)
}

/// Encodes as base64url without padding (RFC 7515 §2).
pub fn encode_url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn strip_padding(text: &str) -> Option<&str> {
    let body = text.trim_end_matches('=');
    (text.len() - body.len() <= 2).then_some(body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
    use proptest::prelude::*;

    #[test]
    fn reads_both_encodings_of_the_context_whose_alphabets_differ() {
        // vendor page, appendix A.1
        let json = br#"{"sessionId":"s-7f31","ipAddress":"10.0.0.255","userAgent":"a?>b~"}"#;
        let standard = "eyJzZXNzaW9uSWQiOiJzLTdmMzEiLCJpcEFkZHJlc3MiOiIxMC4wLjAuMjU1IiwidXNlckFnZW50IjoiYT8+Yn4ifQ==";
        let url = "eyJzZXNzaW9uSWQiOiJzLTdmMzEiLCJpcEFkZHJlc3MiOiIxMC4wLjAuMjU1IiwidXNlckFnZW50IjoiYT8-Yn4ifQ";
        assert_eq!(decode(standard, 1000).unwrap(), json);
        assert_eq!(decode(url, 1000).unwrap(), json);
        assert_eq!(decode(&standard.replace('+', " "), 1000).unwrap(), json);
    }

    #[test]
    fn refuses_what_is_not_base64_or_too_long() {
        for bad in ["a", "ab=c", "abc===", "ab\ncd", "äbcd", "ab%3D", "====", "a.b"] {
            assert_eq!(decode(bad, 1000), None, "{bad:?}");
        }
        assert_eq!(decode("", 0), Some(Vec::new()));
        assert_eq!(decode("AAAA", 3).unwrap().len(), 3);
        assert_eq!(decode("AAAA", 2), None);
        assert_eq!(decode(&"A".repeat(1 << 20), 4096), None);
    }

    #[test]
    fn jwt_parts_are_read_strictly() {
        for bad in ["ab==", "ab+/", "a b", "aR"] {
            assert_eq!(decode_url(bad, 100), None, "{bad:?}");
        }
        assert_eq!(decode_url("aQ", 100).unwrap(), b"i");
    }

    proptest! {
        #[test]
        fn every_form_of_the_same_bytes_reads_alike(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let forms = [STANDARD.encode(&bytes), STANDARD_NO_PAD.encode(&bytes), URL_SAFE.encode(&bytes),
                encode_url(&bytes), STANDARD.encode(&bytes).replace('+', " ")];
            for form in forms {
                prop_assert_eq!(decode(&form, bytes.len()).unwrap(), bytes.clone());
            }
            prop_assert_eq!(decode_url(&encode_url(&bytes), bytes.len()).unwrap(), bytes);
        }

        #[test]
        fn never_panics_and_keeps_its_bound(text in ".{0,200}", max in 0usize..100) {
            for out in [decode(&text, max), decode_url(&text, max)].into_iter().flatten() {
                prop_assert!(out.len() <= max);
            }
        }
    }
}
