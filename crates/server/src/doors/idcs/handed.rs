//! Codes that the client delivers itself (reference §2.14): encrypted for a certificate that was registered on the client, in place of
//! being sent. Where there is no such certificate the code takes its usual way, as the vendor's server has it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::records::{Client, ClientKeys};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::secret::Secret;
use crate::tokens;

/// Certificates of a client that are looked at.
const MOST: usize = 16;
/// Longest certificate, base64.
const LONGEST: usize = 16 * 1024;
const SEQUENCE: u8 = 0x30;

/// A certificate that codes may be encrypted for.
pub struct Certificate {
    thumbprint: String,
    key: OaepPublicEncryptingKey,
}

/// The certificate of a client with this thumbprint (hex of its SHA-1); none where there is none, or none of an RSA key.
pub fn certificate(client: &Client, thumbprint: &str) -> Option<Certificate> {
    let ClientKeys::Jwks(jwks) = &client.keys else { return None };
    let keys = jwks.get("keys").and_then(Value::as_array)?;
    let all = keys.iter().filter_map(|key| key.get("x5c")?.get(0)?.as_str()).filter(|text| text.len() <= LONGEST);
    all.take(MOST).find_map(|text| {
        let der = STANDARD.decode(text).ok()?;
        let own = tokens::hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der).as_ref());
        if !own.eq_ignore_ascii_case(thumbprint) {
            return None;
        }
        let key = PublicEncryptingKey::from_der(public_key(&der)?).ok()?;
        let key = OaepPublicEncryptingKey::new(key).ok()?;
        Some(Certificate { thumbprint: thumbprint.to_owned(), key })
    })
}

/// The public key of a certificate, as `SubjectPublicKeyInfo` (RFC 5280 §4.1).
fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let (whole, _) = element(certificate, SEQUENCE)?;
    let (mut body, _) = element(whole.content, SEQUENCE).map(|(body, rest)| (body.content, rest))?;
    // The version stands in brackets and may be left out.
    if body.first() == Some(&0xa0) {
        body = element(body, 0xa0)?.1;
    }
    // Serial number, signature, issuer, validity, subject.
    for tag in [0x02, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        body = element(body, tag)?.1;
    }
    element(body, SEQUENCE).map(|(key, _)| key.whole)
}

struct Element<'d> {
    whole: &'d [u8],
    content: &'d [u8],
}

/// The first element of DER, if it has this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    let (&first, &length) = (der.first()?, der.get(1)?);
    if first != tag {
        return None;
    }
    let (head, length) = match length {
        0..=0x7f => (2, usize::from(length)),
        0x81 => (3, usize::from(*der.get(2)?)),
        0x82 => (4, usize::from(*der.get(2)?) << 8 | usize::from(*der.get(3)?)),
        _ => return None,
    };
    let whole = der.get(..head + length)?;
    Some((Element { whole, content: &whole[head..] }, &der[head + length..]))
}

impl Certificate {
    /// `otp`: the code, encrypted (RSA-OAEP with SHA-1, as the clients of this dialect decrypt it).
    ///
    /// # Errors
    /// It could not be encrypted.
    pub fn encrypt(&self, code: &Secret<String>) -> Result<Value, Fault> {
        let mut sealed = vec![0; self.key.ciphertext_size()];
        let written = self
            .key
            .encrypt(&OAEP_SHA1_MGF1SHA1, code.expose().as_bytes(), &mut sealed, None)
            .map_err(|error| Fault::internal("a code could not be encrypted for its client", error))?;
        Ok(json!({ "value": STANDARD.encode(written), "alg": "RSAES-OAEP", "x5t": self.thumbprint }))
    }
}
