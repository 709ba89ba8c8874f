//! Owns reading signed JWTs (RFC 7515, RFC 7519): what a header may say, and whether a signature holds.
//!
//! Judges no claim: see [`time_claims`](crate::time_claims) and [`client_auth`](crate::client_auth). Fetches nothing and holds no private key:
//! keys named inside a token are a reason to refuse it (RFC 8725 §3.10).

pub use jsonwebtoken::Algorithm;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::b64::{decode_url, encode_url};
use crate::json::{self, Bounds, JsonProblem};
use crate::jwk::{MAX_KID, VerifyingKey};

/// Bytes of a whole token.
pub const MAX_TOKEN: usize = 16 * 1024;
/// Keys that are tried for one signature.
const MAX_TRIES: usize = 4;

const HEADER: Bounds = Bounds { bytes: 4 * 1024, depth: 3, values: 32 };
const CLAIMS: Bounds = Bounds { bytes: MAX_TOKEN, depth: 12, values: 1024 };

/// Why a token is refused. None of it is told to strangers in detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtProblem {
    /// Longer than any token we would believe.
    #[error("the token is too long")]
    TooLong,
    /// Not three parts of base64url holding JSON objects, or a member repeated or nested beyond bounds.
    #[error("the token is malformed")]
    Malformed,
    /// Five parts: an encrypted one.
    #[error("the token is encrypted")]
    Encrypted,
    /// `alg` is none, unknown, or not allowed here.
    #[error("the algorithm is not allowed")]
    Algorithm,
    /// A header member that is refused wherever it stands.
    #[error("header member `{0}` is not allowed")]
    Header(&'static str),
    /// No key of ours goes with it.
    #[error("no key fits the token")]
    NoKey,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature,
}

impl From<JsonProblem> for JwtProblem {
    fn from(_: JsonProblem) -> Self {
        Self::Malformed
    }
}

/// The algorithms of public keys that we verify: every one `jsonwebtoken` knows but HMAC.
pub const ASYMMETRIC: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// A token looked at, not believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Peeked<'t> {
    /// `alg`.
    pub alg: Algorithm,
    /// `kid`.
    pub kid: Option<String>,
    /// `typ`, in lower case and without `application/` (RFC 7515 §4.1.9).
    pub typ: Option<String>,
    message: &'t str,
    signature: &'t str,
    claims: Map<String, Value>,
}

impl Peeked<'_> {
    /// A claim that is a text, not believed: only to find out whose keys to ask.
    pub fn claim_text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// The claims, not believed.
    pub fn unverified_claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

/// A token whose signature holds; its claims are still to be judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// `alg`.
    pub alg: Algorithm,
    /// `kid`.
    pub kid: Option<String>,
    /// `typ`, in lower case and without `application/`.
    pub typ: Option<String>,
    /// The claims.
    pub claims: Map<String, Value>,
}

/// Looks at the header and claims of a token, believing nothing.
pub fn peek(token: &str) -> Result<Peeked<'_>, JwtProblem> {
    if token.len() > MAX_TOKEN {
        return Err(JwtProblem::TooLong);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(JwtProblem::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(JwtProblem::Malformed)?;
    match payload.bytes().filter(|b| *b == b'.').count() {
        0 => {}
        2 => return Err(JwtProblem::Encrypted),
        _ => return Err(JwtProblem::Malformed),
    }
    let bytes = decode_url(header, HEADER.bytes).ok_or(JwtProblem::Malformed)?;
    let header = json::parse_object(&bytes, HEADER)?;
    // `crit` and `b64` would change the meaning (RFC 7515 §4.1.11, RFC 7797), `zip` belongs to encryption, the rest name keys.
    for name in ["crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"] {
        if header.contains_key(name) {
            return Err(JwtProblem::Header(name));
        }
    }
    let alg = match header.get("alg") {
        Some(Value::String(name)) => name.parse().map_err(|_| JwtProblem::Algorithm)?,
        _ => return Err(JwtProblem::Algorithm),
    };
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= MAX_KID && !kid.chars().any(char::is_control) => Some(kid.clone()),
        Some(_) => return Err(JwtProblem::Header("kid")),
    };
    let typ = match header.get("typ") {
        None => None,
        Some(Value::String(typ)) if typ.len() <= 64 => {
            let typ = typ.to_ascii_lowercase();
            Some(typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ))
        }
        Some(_) => return Err(JwtProblem::Header("typ")),
    };
    let bytes = decode_url(payload, CLAIMS.bytes).ok_or(JwtProblem::Malformed)?;
    let claims = json::parse_object(&bytes, CLAIMS)?;
    Ok(Peeked { alg, kid, typ, message, signature, claims })
}

/// Verifies a token with the keys given, for the algorithms allowed, and yields its claims, which are still to be judged.
/// Where `typ` matters, see [`verify_peeked`].
pub fn verify(token: &str, keys: &[VerifyingKey], allowed: &[Algorithm]) -> Result<Map<String, Value>, JwtProblem> {
    verify_peeked(peek(token)?, keys, allowed).map(|verified| verified.claims)
}

/// Verifies a token already looked at.
pub fn verify_peeked(peeked: Peeked<'_>, keys: &[VerifyingKey], allowed: &[Algorithm]) -> Result<Verified, JwtProblem> {
    if !allowed.contains(&peeked.alg) {
        return Err(JwtProblem::Algorithm);
    }
    let candidates = choose_keys(&peeked, keys);
    if candidates.is_empty() {
        return Err(JwtProblem::NoKey);
    }
    let message = peeked.message.as_bytes();
    let holds = |key: &VerifyingKey| {
        jsonwebtoken::crypto::verify(peeked.signature, message, &key.key, peeked.alg).unwrap_or(false)
    };
    if !candidates.into_iter().any(holds) {
        return Err(JwtProblem::Signature);
    }
    Ok(Verified { alg: peeked.alg, kid: peeked.kid, typ: peeked.typ, claims: peeked.claims })
}

/// The keys to try: those of the token's `kid` (there may be several of one name, RFC 7517 §4.5), else those without a name;
/// all that fit where the token names none.
fn choose_keys<'k>(peeked: &Peeked<'_>, keys: &'k [VerifyingKey]) -> Vec<&'k VerifyingKey> {
    let kid = peeked.kid.as_deref();
    let named = kid.is_some() && keys.iter().any(|key| key.kid() == kid);
    keys.iter()
        .filter(|key| match kid {
            None => true,
            Some(_) if named => key.kid() == kid,
            Some(_) => key.kid().is_none(),
        })
        .filter(|key| key.serves(peeked.alg))
        .take(MAX_TRIES)
        .collect()
}

/// The first two parts of a JWT, to be signed: a header encoded beforehand, a dot, the claims.
pub fn write_message(header_b64: &str, claims: &impl Serialize) -> Result<String, serde_json::Error> {
    let body = serde_json::to_vec(claims)?;
    let mut message = String::with_capacity(header_b64.len() + 1 + body.len().div_ceil(3) * 4 + 360);
    message.push_str(header_b64);
    message.push('.');
    message.push_str(&encode_url(body));
    Ok(message)
}

/// Encodes a JOSE header once, for [`write_message`]. Members in the order `alg`, `kid`, `typ`, as the vendor's assertion has them.
pub fn write_header(alg: &str, kid: &str, typ: Option<&str>) -> String {
    #[derive(Serialize)]
    struct Header<'a> {
        alg: &'a str,
        kid: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        typ: Option<&'a str>,
    }
    let text = serde_json::to_vec(&Header { alg, kid, typ }).expect("three texts are always JSON");
    encode_url(text)
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
