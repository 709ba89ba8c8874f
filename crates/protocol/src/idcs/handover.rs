//! Owns the formats in which a browser is handed to a custom sign-in page and back: `loginCtx`, `errorCtx`, the text their
//! signature is over, and `userData` (Oracle page §6.3).
//!
//! None of them keeps a secret: whoever knows the tenant's name reads the first two. Draws nothing at random; salt and vector of
//! `userData` are given.

use aws_lc_rs::cipher::{AES_128, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Bytes of a key, of a block and of a vector.
pub const BLOCK: usize = 16;
/// Bytes of the salt of `userData`.
pub const SALT: usize = 8;

/// A JSON text as `loginCtx` carries it. Tenant names are lower case.
pub fn seal(tenant: &str, plain: &Value) -> String {
    let hash = digest(&SHA256, tenant.to_lowercase().as_bytes());
    STANDARD.encode(encrypt(&hash.as_ref()[..BLOCK], [0; BLOCK], plain.to_string().into_bytes()))
}

/// What the signature of a `loginCtx` is over: its name and its text, nothing between them.
pub fn signed_text(login_ctx: &str) -> Vec<u8> {
    [b"loginCtx", login_ctx.as_bytes()].concat()
}

/// What `errorCtx` holds of one error.
pub fn error(code: &str, message: &str) -> Value {
    json!({ "errors": [{ "code": code, "message": message }] })
}

/// The JSON without the characters that the page at the other end would trip over: it puts the text into a quoted literal of a
/// script, behind a sanitiser of HTML (Oracle page §6.3).
pub fn tame(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(tame_text(&text)),
        Value::Array(list) => Value::Array(list.into_iter().map(tame).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name, tame(value))).collect::<Map<_, _>>())
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

fn tame_text(text: &str) -> String {
    let tamed = text.chars().map(|c| match c {
        '\\' => '/',
        '"' => '\'',
        '<' => '(',
        '>' => ')',
        '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    });
    tamed.collect()
}

/// What a page makes of the salt of `userData` and the secret of its client.
pub fn user_data_key(client_secret: &[u8], salt: [u8; SALT]) -> [u8; 2 * BLOCK] {
    let hash = digest(&SHA256, &[&salt[..], client_secret].concat());
    hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Attributes of a person whom nobody knows yet, for the page that registers them: encrypted with what it makes of the secret of its
/// client and this salt.
pub fn user_data(made: &[u8; 2 * BLOCK], salt: [u8; SALT], iv: [u8; BLOCK], attributes: &Value) -> String {
    let (mac_key, key) = made.split_at(BLOCK);
    // An object within is a text of its own.
    let plain = json!({ "scim_user_attr": attributes.to_string() }).to_string();
    let text = encrypt(key, iv, plain.into_bytes());
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, mac_key), &text);
    let mut data = Vec::with_capacity(10 + text.len() + tag.as_ref().len());
    let inner = 10 + text.len() + tag.as_ref().len();
    data.extend_from_slice(&length(inner));
    data.extend_from_slice(&length(text.len()));
    data.extend_from_slice(&length(tag.as_ref().len())[..2]);
    data.extend_from_slice(&text);
    data.extend_from_slice(tag.as_ref());
    let total = 4 + 4 + 1 + 1 + data.len() + iv.len();
    let mut all = Vec::with_capacity(SALT + total);
    all.extend_from_slice(&salt);
    all.extend_from_slice(&length(total));
    all.extend_from_slice(&length(data.len()));
    all.extend_from_slice(&[16, 0]);
    all.extend_from_slice(&data);
    all.extend_from_slice(&iv);
    STANDARD.encode(all)
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("texts of a few kilobytes").to_le_bytes()
}

/// AES-128-CBC with PKCS #7 padding.
fn encrypt(key: &[u8], iv: [u8; BLOCK], mut text: Vec<u8>) -> Vec<u8> {
    let key = UnboundCipherKey::new(&AES_128, key).expect("a key of sixteen bytes");
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).expect("AES has blocks that can be padded");
    key.less_safe_encrypt(&mut text, EncryptionContext::Iv128(FixedLength::from(iv)))
        .expect("a text of a few kilobytes is within the limits of the cipher");
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn login_ctx_comes_out_as_in_the_vector_of_the_vendor_page() {
        let plain = json!({"status": "success", "requestState": "abc~def"});
        let expected = "fgpEaNwdSOrLM7KgzIlH1PVNZeKq+HtPIH7h7KIdm+260SqLWYaRjxWWb1qEnxXQ";
        assert_eq!(seal("acme-dev", &plain), expected);
        assert_eq!(seal("Acme-Dev", &plain), expected);
        assert_ne!(seal("acme-test", &plain), expected);
    }

    #[test]
    fn user_data_comes_out_as_in_the_vector_of_the_vendor_page() {
        let salt = [1, 2, 3, 4, 5, 6, 7, 8];
        let iv: [u8; 16] = std::array::from_fn(|n| u8::try_from(n).unwrap());
        let expected = "AQIDBAUGBwh0AAAAWgAAABAAWgAAADAAAAAgANlhIEj2NUvOkdze7RZmgzC0lCrBJKkRzo++GXL5NdIQBCujrYmFHH8L9v7neBKvfk6T9ckxFIsrF1mXiJeLdqzVsqN1Yf3t9ZdLOhYLSqopAAECAwQFBgcICQoLDA0ODw==";
        let made = user_data_key(b"s3cret", salt);
        assert_eq!(user_data(&made, salt, iv, &json!({"userName": "ada"})), expected);
    }

    #[test]
    fn the_signature_is_over_name_and_text() {
        assert_eq!(signed_text("abc="), b"loginCtxabc=");
    }

    #[test]
    fn errors_are_a_list() {
        assert_eq!(error("SSO-1002", "no").to_string(), r#"{"errors":[{"code":"SSO-1002","message":"no"}]}"#);
    }

    proptest! {
        #[test]
        fn what_is_tamed_has_no_backslash_and_no_angle(text in "\\PC{0,40}|[\\\\\"<>\n\t']{0,20}") {
            let tamed = tame(json!({"displayName": text, "list": [text, 1, true, null]})).to_string();
            prop_assert!(!tamed.contains(['\\', '<', '>', '\n']), "{}", tamed);
        }
    }
}
