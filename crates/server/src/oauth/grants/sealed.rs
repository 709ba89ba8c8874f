//! JWTs sealed with a client's secret: `dir` with `A256GCM`, the key being the SHA-256 of the secret (RFC 7516, RFC 7518 §4.5, §5.3;
//! OpenID Connect Core §10.2). Owns opening them; what they may say is judged elsewhere.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use protocol::b64::decode_url;
use protocol::client_auth::Presented;
use protocol::json::{self, Bounds};
use zeroize::Zeroizing;

use crate::tokens;

const LONGEST: usize = 24 * 1024;
const HEADER: Bounds = Bounds { bytes: 4 * 1024, depth: 3, values: 32 };
const IV: usize = 12;
const TAG: usize = 16;

/// Whether a JWE says that its key was agreed on beforehand.
pub fn is_direct(jwe: &str) -> bool {
    header(jwe).is_some_and(|header| header.get("alg").and_then(|alg| alg.as_str()) == Some("dir"))
}

fn header(jwe: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
    let (header, _) = jwe.split_once('.').filter(|_| jwe.len() <= LONGEST)?;
    json::parse_object(&decode_url(header, HEADER.bytes)?, HEADER).ok()
}

/// What was sealed with the secret this request authenticates its client by; none where that does not open it, or there is no
/// secret in the request.
pub fn open(jwe: &str, presented: &Presented) -> Option<Zeroizing<Vec<u8>>> {
    let secrets: Vec<&str> = match presented {
        Presented::Basic(pairs) => pairs.iter().map(|pair| pair.secret.as_str()).collect(),
        Presented::Post(pair) => vec![pair.secret.as_str()],
        Presented::Assertion { .. } | Presented::Public { .. } | Presented::Bearer { .. } | Presented::Nothing => {
            Vec::new()
        }
    };
    secrets.into_iter().find_map(|secret| open_with(jwe, secret))
}

fn open_with(jwe: &str, secret: &str) -> Option<Zeroizing<Vec<u8>>> {
    let named = header(jwe)?;
    let is = |name: &str, value: &str| named.get(name).and_then(|found| found.as_str()) == Some(value);
    // Nothing that would change the meaning of the rest, and no compression (RFC 8725 §3.6).
    if !is("alg", "dir") || !is("enc", "A256GCM") || named.contains_key("zip") || named.contains_key("crit") {
        return None;
    }
    let parts: Vec<&str> = jwe.split('.').collect();
    let [protected, "", iv, text, tag] = parts.as_slice() else { return None };
    let iv: [u8; IV] = decode_url(iv, IV)?.try_into().ok()?;
    let tag: [u8; TAG] = decode_url(tag, TAG)?.try_into().ok()?;
    let mut text = Zeroizing::new(decode_url(text, LONGEST)?);
    text.extend(tag);
    let key = Zeroizing::new(tokens::digest(secret).0);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice()).ok()?);
    let length = key
        .open_in_place(Nonce::assume_unique_for_key(iv), Aad::from(protected.as_bytes()), text.as_mut_slice())
        .ok()?
        .len();
    text.truncate(length);
    Some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use protocol::b64::encode_url;

    use super::*;

    fn seal(header: &str, secret: &str, text: &[u8]) -> String {
        let protected = encode_url(header);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &tokens::digest(secret).0).unwrap());
        let mut sealed = text.to_vec();
        let nonce = Nonce::assume_unique_for_key([7; IV]);
        key.seal_in_place_append_tag(nonce, Aad::from(protected.as_bytes()), &mut sealed).unwrap();
        let (text, tag) = sealed.split_at(sealed.len() - TAG);
        format!("{protected}..{}.{}.{}", encode_url([7; IV]), encode_url(text), encode_url(tag))
    }

    const DIRECT: &str = r#"{"alg":"dir","enc":"A256GCM"}"#;

    #[test]
    fn what_is_sealed_with_the_secret_opens_with_it_alone() {
        let jwe = seal(DIRECT, "s3cret", b"{}");
        assert!(is_direct(&jwe));
        assert_eq!(open_with(&jwe, "s3cret").unwrap().as_slice(), b"{}");
        assert!(open_with(&jwe, "other").is_none());
        let mut edited = jwe.clone();
        edited.replace_range(0..1, "f");
        assert!(open_with(&edited, "s3cret").is_none());
    }

    #[test]
    fn other_headers_and_shapes_do_not() {
        for header in [
            r#"{"alg":"dir","enc":"A128GCM"}"#,
            r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#,
            r#"{"alg":"dir","enc":"A256GCM","crit":["x"]}"#,
            r#"{"alg":"A256KW","enc":"A256GCM"}"#,
            r#"{"enc":"A256GCM"}"#,
            "[]",
        ] {
            assert!(open_with(&seal(header, "s", b"{}"), "s").is_none(), "{header}");
        }
        let jwe = seal(DIRECT, "s", b"{}");
        for broken in [jwe.replace("..", ".x."), format!("{jwe}.x"), jwe[..jwe.len() - 4].to_owned(), String::new()] {
            assert!(open_with(&broken, "s").is_none(), "{broken}");
        }
    }
}
