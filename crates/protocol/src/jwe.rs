//! Owns encrypted tokens (RFC 7516, compact form): what a header may say, how a content key is wrapped, and the ciphers.
//!
//! Judges no claim and no signature: what comes out is bytes, most often a signed token that is still to be verified. Compressed,
//! password-based and directly keyed tokens are refused, whatever they hold. Randomness comes from the caller; only the padding of
//! RSA-OAEP is drawn by the library itself.

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::b64::{decode_url, encode_url};
use crate::json::{self, Bounds};
use crate::jwk::MAX_KID;

mod content;
mod der;
mod keys;

pub use keys::{DecryptionKey, EncryptionKey};

/// Bytes of a whole token: room for a signed one of the usual bound inside.
pub const MAX_TOKEN: usize = 24 * 1024;
/// Keys that are tried for one token.
const MAX_TRIES: usize = 4;
/// Bytes of `apu` and `apv`.
const MAX_PARTY: usize = 256;

const HEADER: Bounds = Bounds { bytes: 4 * 1024, depth: 3, values: 32 };

/// How the content key reaches the recipient (RFC 7518 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyAlg {
    /// RSAES-OAEP with SHA-1 and MGF1 with SHA-1.
    RsaOaep,
    /// RSAES-OAEP with SHA-256 and MGF1 with SHA-256.
    RsaOaep256,
    /// The agreed key is the content key.
    EcdhEs,
    /// The agreed key wraps the content key with AES-128.
    EcdhEsA128Kw,
    /// The agreed key wraps the content key with AES-256.
    EcdhEsA256Kw,
}

impl KeyAlg {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::RsaOaep, Self::RsaOaep256, Self::EcdhEs, Self::EcdhEsA128Kw, Self::EcdhEsA256Kw];

    /// The `alg` value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RsaOaep => "RSA-OAEP",
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::EcdhEs => "ECDH-ES",
            Self::EcdhEsA128Kw => "ECDH-ES+A128KW",
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
        }
    }

    /// The algorithm of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.as_str() == name)
    }

    fn is_rsa(self) -> bool {
        matches!(self, Self::RsaOaep | Self::RsaOaep256)
    }
}

/// What the content is encrypted with (RFC 7518 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentEnc {
    /// AES-GCM with 128 bits.
    A128Gcm,
    /// AES-GCM with 256 bits.
    A256Gcm,
    /// AES-CBC with 128 bits and HMAC SHA-256.
    A128CbcHs256,
    /// AES-CBC with 256 bits and HMAC SHA-512.
    A256CbcHs512,
}

impl ContentEnc {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::A128Gcm, Self::A256Gcm, Self::A128CbcHs256, Self::A256CbcHs512];
    /// What holds where a client names only an `alg` (OpenID Connect Registration §2).
    pub const DEFAULT: Self = Self::A128CbcHs256;

    /// The `enc` value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
            Self::A128CbcHs256 => "A128CBC-HS256",
            Self::A256CbcHs512 => "A256CBC-HS512",
        }
    }

    /// The cipher of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|enc| enc.as_str() == name)
    }

    /// Bytes of the content key.
    fn key_length(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A256Gcm | Self::A128CbcHs256 => 32,
            Self::A256CbcHs512 => 64,
        }
    }
}

/// Why something was not encrypted or not decrypted. Whoever sent it learns only that it cannot be used (RFC 7516 §11.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JweProblem {
    /// Longer than any token we would open.
    #[error("the encrypted token is too long")]
    TooLong,
    /// Not five parts of base64url under a JSON header.
    #[error("the encrypted token is malformed")]
    Malformed,
    /// `alg` or `enc` is unknown or not allowed here.
    #[error("the encryption algorithm is not allowed")]
    Algorithm,
    /// A header member that is refused wherever it stands.
    #[error("header member `{0}` is not allowed")]
    Header(&'static str),
    /// No key goes with it.
    #[error("no key fits the encrypted token")]
    NoKey,
    /// It does not open: another key, or altered on its way.
    #[error("the encrypted token does not open")]
    Closed,
}

/// What was in an encrypted token.
#[derive(Clone, Debug)]
pub struct Opened {
    /// How the content key came.
    pub alg: KeyAlg,
    /// What the content was encrypted with.
    pub enc: ContentEnc,
    /// `cty`, in lower case: `jwt` for a nested token (RFC 7519 §5.2).
    pub cty: Option<String>,
    /// The content.
    pub plain: Zeroizing<Vec<u8>>,
}

/// Whether a token is of the encrypted form, whatever it holds: five parts.
pub fn is_encrypted(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 4
}

/// Encrypts `plain` to `key`. `cty` names what it is: `JWT` for a signed token.
///
/// # Errors
/// The key does not go with the algorithm, or the library failed.
pub fn encrypt(
    plain: &[u8],
    key: &EncryptionKey,
    (alg, enc): (KeyAlg, ContentEnc),
    cty: Option<&str>,
    random: &mut dyn FnMut(&mut [u8]),
) -> Result<String, JweProblem> {
    let wrapped = key.wrap(alg, enc, random)?;
    let mut header = json!({"alg": alg.as_str(), "enc": enc.as_str()});
    for (name, value) in [("cty", cty), ("kid", key.kid())] {
        if let Some(value) = value {
            header[name] = value.into();
        }
    }
    if let Some(epk) = wrapped.epk {
        header["epk"] = epk;
    }
    let header = encode_url(header.to_string());
    let sealed = content::seal(enc, &wrapped.content_key, header.as_bytes(), plain, random)?;
    let parts = [wrapped.encrypted_key, sealed.iv, sealed.text, sealed.tag].map(encode_url);
    Ok(format!("{header}.{}", parts.join(".")))
}

/// Opens a token with one of `keys`. Work over half a millisecond (RSA) is done on the calling thread.
///
/// # Errors
/// It is malformed or does not open; which of these is for the log alone.
pub fn decrypt(token: &str, keys: &[&DecryptionKey]) -> Result<Opened, JweProblem> {
    if token.len() > MAX_TOKEN {
        return Err(JweProblem::TooLong);
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [header, encrypted_key, iv, text, tag] = parts.as_slice() else { return Err(JweProblem::Malformed) };
    let part = |text: &str| decode_url(text, MAX_TOKEN).ok_or(JweProblem::Malformed);
    let parsed = Header::parse(&part(header)?)?;
    let (encrypted_key, sealed) =
        (part(encrypted_key)?, content::Sealed { iv: part(iv)?, text: part(text)?, tag: part(tag)? });
    let fitting = |key: &&&DecryptionKey| key.serves(parsed.alg);
    let named = parsed.kid.as_deref().filter(|kid| keys.iter().any(|key| key.kid() == *kid));
    let candidates: Vec<_> =
        keys.iter().filter(fitting).filter(|key| named.is_none_or(|kid| key.kid() == kid)).take(MAX_TRIES).collect();
    if candidates.is_empty() {
        return Err(JweProblem::NoKey);
    }
    for key in candidates {
        let Ok(content_key) = key.unwrap(&parsed, &encrypted_key) else { continue };
        if let Ok(plain) = content::open(parsed.enc, &content_key, header.as_bytes(), &sealed) {
            return Ok(Opened { alg: parsed.alg, enc: parsed.enc, cty: parsed.cty, plain });
        }
    }
    Err(JweProblem::Closed)
}

/// The header of a token to open.
struct Header {
    alg: KeyAlg,
    enc: ContentEnc,
    kid: Option<String>,
    cty: Option<String>,
    epk: Option<Map<String, Value>>,
    apu: Vec<u8>,
    apv: Vec<u8>,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, JweProblem> {
        let header = json::parse_object(bytes, HEADER).map_err(|_| JweProblem::Malformed)?;
        // `crit` would change the meaning, `zip` is a bomb waiting to go off, `p2c` is work by order of a stranger, the rest name keys.
        for name in ["crit", "zip", "p2s", "p2c", "jwk", "jku", "x5u", "x5c"] {
            if header.contains_key(name) {
                return Err(JweProblem::Header(name));
            }
        }
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= MAX_KID && !kid.chars().any(char::is_control) => Some(kid.clone()),
            Some(_) => return Err(JweProblem::Header("kid")),
        };
        let party = |name: &'static str| match header.get(name) {
            None => Ok(Vec::new()),
            Some(value) => value.as_str().and_then(|text| decode_url(text, MAX_PARTY)).ok_or(JweProblem::Header(name)),
        };
        Ok(Self {
            alg: text("alg").and_then(KeyAlg::named).ok_or(JweProblem::Algorithm)?,
            enc: text("enc").and_then(ContentEnc::named).ok_or(JweProblem::Algorithm)?,
            kid,
            cty: text("cty").map(str::to_ascii_lowercase),
            epk: header.get("epk").and_then(Value::as_object).cloned(),
            apu: party("apu")?,
            apv: party("apv")?,
        })
    }
}

#[cfg(test)]
mod tests;
