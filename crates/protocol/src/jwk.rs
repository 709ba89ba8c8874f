//! Owns public keys: ours written as JWK, others' read from JWK sets, and the choice of keys that may judge a signature or be
//! encrypted to.
//!
//! Holds no private key. Symmetric keys are never read from a set.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value, json};

use crate::b64::{decode_url, encode_url};
use crate::jwe::{EncryptionKey, KeyAlg};
use crate::records::SigningAlg;

/// Keys that are read from one set.
const MAX_KEYS: usize = 64;
/// Bytes of a `kid`.
pub const MAX_KID: usize = 256;

impl SigningAlg {
    /// The `alg` value (RFC 7518 §3.1, RFC 8037 §3.1).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl From<SigningAlg> for Algorithm {
    fn from(alg: SigningAlg) -> Self {
        match alg {
            SigningAlg::Rs256 => Self::RS256,
            SigningAlg::Ps256 => Self::PS256,
            SigningAlg::Es256 => Self::ES256,
            SigningAlg::EdDsa => Self::EdDSA,
        }
    }
}

/// The public half of a key, in raw big-endian parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicParts<'a> {
    /// RSA (RFC 7518 §6.3.1).
    Rsa {
        /// Modulus.
        n: &'a [u8],
        /// Exponent.
        e: &'a [u8],
    },
    /// EC on P-256 (RFC 7518 §6.2.1).
    P256 {
        /// First coordinate.
        x: &'a [u8; 32],
        /// Second coordinate.
        y: &'a [u8; 32],
    },
    /// Ed25519 (RFC 8037 §2).
    Ed25519 {
        /// The key.
        x: &'a [u8; 32],
    },
}

impl<'a> PublicParts<'a> {
    /// Takes the coordinates out of an uncompressed point (SEC 1 §2.3.3), the form aws-lc-rs gives; none if it is another.
    pub fn from_p256_point(point: &'a [u8]) -> Option<Self> {
        let (head, rest) = point.split_first()?;
        let (x, y) = rest.split_at_checked(32)?;
        (*head == 4).then_some(())?;
        Some(Self::P256 { x: x.try_into().ok()?, y: y.try_into().ok()? })
    }

    /// The members that make the key, no more: what a thumbprint is taken of.
    fn required_members(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Rsa { n, e } => {
                vec![("e", encode_url(trim_zeros(e))), ("kty", "RSA".into()), ("n", encode_url(trim_zeros(n)))]
            }
            Self::P256 { x, y } => {
                vec![("crv", "P-256".into()), ("kty", "EC".into()), ("x", encode_url(x)), ("y", encode_url(y))]
            }
            Self::Ed25519 { x } => vec![("crv", "Ed25519".into()), ("kty", "OKP".into()), ("x", encode_url(x))],
        }
    }

    /// Writes the key for a JWK set. The vendor leaves `alg` out by default (`excludeAlgInJwks`).
    pub fn to_jwk(&self, kid: &str, alg: Option<SigningAlg>) -> Value {
        let mut jwk = json!({"kid": kid, "use": "sig"});
        for (name, value) in self.required_members() {
            jwk[name] = value.into();
        }
        if let Some(alg) = alg {
            jwk["alg"] = alg.as_str().into();
        }
        jwk
    }

    /// The thumbprint (RFC 7638 §3): SHA-256 over the required members in the order of their names, base64url.
    pub fn thumbprint(&self) -> String {
        // All values are base64url or fixed names: nothing needs JSON escaping.
        let members: Vec<String> =
            self.required_members().into_iter().map(|(name, value)| format!(r#""{name}":"{value}""#)).collect();
        let text = format!("{{{}}}", members.join(","));
        encode_url(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()))
    }
}

fn trim_zeros(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
    &bytes[start..]
}

/// What a key can do at all: algorithms of another kind are never tried with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
    Secret,
}

impl Kind {
    fn serves(self, alg: Algorithm) -> bool {
        use Algorithm as A;
        match self {
            Self::Rsa => matches!(alg, A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512),
            Self::P256 => alg == A::ES256,
            Self::P384 => alg == A::ES384,
            Self::Ed25519 => alg == A::EdDSA,
            Self::Secret => matches!(alg, A::HS256 | A::HS384 | A::HS512),
        }
    }
}

/// A key that may judge signatures: its kind is fixed, so a public key is never taken for an HMAC secret.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: Option<String>,
    kind: Kind,
    alg: Option<Algorithm>,
    pub(crate) key: DecodingKey,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("kid", &self.kid).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl VerifyingKey {
    /// One of our own keys, bound to the one algorithm it signs with.
    pub fn from_parts(kid: &str, alg: SigningAlg, parts: &PublicParts<'_>) -> Self {
        let (kind, key) = match parts {
            PublicParts::Rsa { n, e } => {
                (Kind::Rsa, DecodingKey::from_rsa_raw_components(trim_zeros(n), trim_zeros(e)))
            }
            PublicParts::P256 { x, y } => {
                let point = [&[4u8][..], &x[..], &y[..]].concat();
                (Kind::P256, DecodingKey::from_ec_der(&point))
            }
            PublicParts::Ed25519 { x } => (Kind::Ed25519, DecodingKey::from_ed_der(&x[..])),
        };
        Self { kid: Some(kid.to_owned()), kind, alg: Some(alg.into()), key }
    }

    /// A shared secret, for issuers registered with an HMAC algorithm only. None if shorter than the hash (RFC 7518 §3.2).
    pub fn from_secret(secret: &[u8], alg: Algorithm) -> Option<Self> {
        let least = match alg {
            Algorithm::HS256 => 32,
            Algorithm::HS384 => 48,
            Algorithm::HS512 => 64,
            _ => return None,
        };
        let key = DecodingKey::from_secret(secret);
        (secret.len() >= least).then_some(Self { kid: None, kind: Kind::Secret, alg: Some(alg), key })
    }

    /// Whether this key may be tried for a signature of this algorithm.
    pub fn serves(&self, alg: Algorithm) -> bool {
        self.kind.serves(alg) && self.alg.is_none_or(|own| own == alg)
    }

    /// Its `kid`.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}

/// Why a JWK set was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkProblem {
    /// No object with an array `keys`.
    #[error("no JWK set: `keys` is missing or no array")]
    NoSet,
    /// More keys than anybody needs.
    #[error("more than {MAX_KEYS} keys in the JWK set")]
    TooMany,
    /// A private member where only public keys belong.
    #[error("key {0} of the JWK set holds private members")]
    Private(usize),
    /// A key we know the kind of, that is incomplete or unusable.
    #[error("key {0} of the JWK set is unusable: {1}")]
    Unusable(usize, &'static str),
}

/// The keys of somebody else: those that may judge signatures, and those that may be encrypted to.
#[derive(Clone, Debug, Default)]
pub struct JwkSet {
    keys: Vec<VerifyingKey>,
    encryption: Vec<EncryptionKey>,
}

impl JwkSet {
    /// Reads a JWK set (RFC 7517 §5). Keys of kinds, curves or uses we do not know are passed over, as are symmetric ones;
    /// private members and broken keys make it fail, so that a mistake is noticed when the set is registered.
    pub fn parse(value: &Value) -> Result<Self, JwkProblem> {
        let list = value.get("keys").and_then(Value::as_array).ok_or(JwkProblem::NoSet)?;
        if list.len() > MAX_KEYS {
            return Err(JwkProblem::TooMany);
        }
        let mut set = Self::default();
        for (at, jwk) in list.iter().enumerate() {
            let Some(jwk) = jwk.as_object() else {
                return Err(JwkProblem::Unusable(at, "no object"));
            };
            if ["d", "p", "q", "dp", "dq", "qi", "oth"].iter().any(|name| jwk.contains_key(*name)) {
                return Err(JwkProblem::Private(at));
            }
            set.keys.extend(read_key(jwk).map_err(|why| JwkProblem::Unusable(at, why))?);
            set.encryption.extend(EncryptionKey::read(jwk));
        }
        Ok(set)
    }

    /// The keys that may judge signatures, in the order of the set.
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// Whether a key that may judge signatures has this name.
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// The first key that may be encrypted to with this algorithm; one that is meant for nothing else goes before one that may do both.
    pub fn encryption_key(&self, alg: KeyAlg) -> Option<&EncryptionKey> {
        let mut fitting: Vec<_> = self.encryption.iter().filter(|key| key.serves(alg)).collect();
        fitting.sort_by_key(|key| !key.is_dedicated());
        fitting.first().copied()
    }
}

/// Reads one key; none if it is not for us to use.
fn read_key(jwk: &Map<String, Value>) -> Result<Option<VerifyingKey>, &'static str> {
    if !is_for_signatures(jwk) {
        return Ok(None);
    }
    let kid = match jwk.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= MAX_KID => Some(kid.clone()),
        Some(_) => return Err("`kid` is no text of at most 256 bytes"),
    };
    let (kind, key) = match (text(jwk, "kty"), text(jwk, "crv")) {
        (Some("RSA"), _) => (Kind::Rsa, read_rsa(jwk)?),
        (Some("EC"), Some("P-256")) => (Kind::P256, read_ec(jwk, 32)?),
        (Some("EC"), Some("P-384")) => (Kind::P384, read_ec(jwk, 48)?),
        (Some("OKP"), Some("Ed25519")) => (Kind::Ed25519, DecodingKey::from_ed_der(&part(jwk, "x", 32)?)),
        (Some(_), _) => return Ok(None),
        (None, _) => return Err("`kty` is missing"),
    };
    let alg = match text(jwk, "alg") {
        None => None,
        Some(name) => match name.parse::<Algorithm>() {
            Ok(alg) if kind.serves(alg) => Some(alg),
            // An algorithm that is not ours, or does not go with the key: of no use here (RFC 7517 §5).
            _ => return Ok(None),
        },
    };
    Ok(Some(VerifyingKey { kid, kind, alg, key }))
}

fn is_for_signatures(jwk: &Map<String, Value>) -> bool {
    let by_use = jwk.get("use").is_none_or(|u| u == "sig");
    let by_ops = match jwk.get("key_ops") {
        None => true,
        Some(ops) => ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify")),
    };
    by_use && by_ops
}

fn text<'j>(jwk: &'j Map<String, Value>, name: &str) -> Option<&'j str> {
    jwk.get(name).and_then(Value::as_str)
}

fn read_rsa(jwk: &Map<String, Value>) -> Result<DecodingKey, &'static str> {
    let read = |name| text(jwk, name).and_then(|t| decode_url(t, 1025)).ok_or("`n` or `e` is missing or no base64url");
    let (n, e) = (read("n")?, read("e")?);
    let (n, e) = (trim_zeros(&n), trim_zeros(&e));
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Err("the modulus has not 2048 to 8192 bits");
    }
    let exponent = e.iter().fold(0u64, |sum, b| sum << 8 | u64::from(*b));
    // Beyond 33 bits a verification costs too much, below 3 or even it is none.
    if e.len() > 5 || exponent < 3 || exponent.is_multiple_of(2) || exponent >> 33 != 0 {
        return Err("the exponent is not odd and of 2 to 33 bits");
    }
    Ok(DecodingKey::from_rsa_raw_components(n, e))
}

fn read_ec(jwk: &Map<String, Value>, size: usize) -> Result<DecodingKey, &'static str> {
    let point = [&[4u8][..], &part(jwk, "x", size)?, &part(jwk, "y", size)?].concat();
    Ok(DecodingKey::from_ec_der(&point))
}

/// A member of exactly `size` bytes (RFC 7518 §6.2.1.2, RFC 8037 §2).
fn part(jwk: &Map<String, Value>, name: &'static str, size: usize) -> Result<Vec<u8>, &'static str> {
    text(jwk, name)
        .and_then(|t| decode_url(t, size))
        .filter(|bytes| bytes.len() == size)
        .ok_or("a coordinate is missing or of the wrong size")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// RFC 7638 §3.1.
    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    fn rsa_bytes() -> Vec<u8> {
        decode_url(N, 512).unwrap()
    }

    #[test]
    fn thumbprints_are_those_of_the_standards() {
        let n = rsa_bytes();
        let rsa = PublicParts::Rsa { n: &n, e: &[1, 0, 1] };
        assert_eq!(rsa.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let padded = [&[0u8][..], &n].concat();
        assert_eq!(
            PublicParts::Rsa { n: &padded, e: &[0, 1, 0, 1] },
            PublicParts::Rsa { n: &padded, e: &[0, 1, 0, 1] }
        );
        assert_eq!(PublicParts::Rsa { n: &padded, e: &[0, 1, 0, 1] }.thumbprint(), rsa.thumbprint());
        // RFC 8037 App. A.3
        let x: [u8; 32] = decode_url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", 32).unwrap().try_into().unwrap();
        assert_eq!(PublicParts::Ed25519 { x: &x }.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn our_keys_are_written_complete_and_without_alg_unless_asked() {
        let n = rsa_bytes();
        let jwk = PublicParts::Rsa { n: &n, e: &[1, 0, 1] }.to_jwk("server", None);
        assert_eq!(jwk, json!({"kty": "RSA", "use": "sig", "kid": "server", "n": N, "e": "AQAB"}));
        let point = [&[4u8][..], &[7; 32], &[9; 32]].concat();
        let jwk = PublicParts::from_p256_point(&point).unwrap().to_jwk("k", Some(SigningAlg::Es256));
        assert_eq!((jwk["alg"].as_str(), jwk["crv"].as_str()), (Some("ES256"), Some("P-256")));
        for bad in [&point[..64], &[&point[..], &[0]].concat(), &[&[2u8][..], &point[1..]].concat()] {
            assert_eq!(PublicParts::from_p256_point(bad), None);
        }
    }

    fn parse_one(jwk: Value) -> Result<usize, JwkProblem> {
        JwkSet::parse(&json!({"keys": [jwk]})).map(|set| set.keys().len())
    }

    #[test]
    fn what_we_write_we_read() {
        let n = rsa_bytes();
        assert_eq!(parse_one(PublicParts::Rsa { n: &n, e: &[1, 0, 1] }.to_jwk("a", None)), Ok(1));
        assert_eq!(parse_one(PublicParts::P256 { x: &[7; 32], y: &[9; 32] }.to_jwk("a", None)), Ok(1));
        assert_eq!(parse_one(PublicParts::Ed25519 { x: &[7; 32] }.to_jwk("a", Some(SigningAlg::EdDsa))), Ok(1));
    }

    #[test]
    fn keys_for_other_purposes_are_passed_over() {
        for (name, value) in [
            ("use", json!("enc")),
            ("key_ops", json!(["encrypt"])),
            ("alg", json!("RSA-OAEP")),
            ("alg", json!("ES256")),
            ("alg", json!("HS256")),
            ("kty", json!("oct")),
            ("kty", json!("new")),
        ] {
            let mut jwk = json!({"kty": "RSA", "n": N, "e": "AQAB"});
            jwk[name] = value;
            assert_eq!(parse_one(jwk.clone()), Ok(0), "{jwk}");
        }
        assert_eq!(parse_one(json!({"kty": "EC", "crv": "secp256k1"})), Ok(0));
        assert_eq!(parse_one(json!({"kty": "oct", "k": "c2VjcmV0"})), Ok(0));
    }

    #[test]
    fn broken_and_private_keys_are_named() {
        let unusable = |jwk: Value| matches!(parse_one(jwk), Err(JwkProblem::Unusable(0, _)));
        assert!(unusable(json!("x")));
        assert!(unusable(json!({"n": N})));
        assert!(unusable(json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"})), "24 bits");
        for e in ["", "AQ", "Ag", "AQABAQAB"] {
            assert!(unusable(json!({"kty": "RSA", "n": N, "e": e})), "{e:?}");
        }
        assert!(unusable(json!({"kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB"})));
        assert!(unusable(json!({"kty": "RSA", "n": N, "e": "AQAB", "kid": 7})));
        assert_eq!(parse_one(json!({"kty": "RSA", "n": N, "e": "AQAB", "d": "AQAB"})), Err(JwkProblem::Private(0)));
        assert!(matches!(JwkSet::parse(&json!([])), Err(JwkProblem::NoSet)));
        assert!(matches!(JwkSet::parse(&json!({"keys": vec![0; 65]})), Err(JwkProblem::TooMany)));
    }

    #[test]
    fn short_secrets_and_public_algorithms_make_no_hmac_key() {
        assert!(VerifyingKey::from_secret(&[7; 31], Algorithm::HS256).is_none());
        assert!(VerifyingKey::from_secret(&[7; 64], Algorithm::RS256).is_none());
        let key = VerifyingKey::from_secret(&[7; 32], Algorithm::HS256).unwrap();
        assert!(key.serves(Algorithm::HS256) && !key.serves(Algorithm::RS256));
        assert!(!format!("{key:?}").contains("7, 7"));
    }

    proptest! {
        #[test]
        fn never_panics(kty in "(RSA|EC|OKP|oct)", crv in "(P-256|P-384|Ed25519|x)", part in "[A-Za-z0-9_=-]{0,90}") {
            let _ = parse_one(json!({"kty": kty, "crv": crv, "n": part, "e": part, "x": part, "y": part, "kid": part}));
        }
    }
}
