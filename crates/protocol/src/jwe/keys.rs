//! Keys that are encrypted to: others' public ones, read from their JWK sets, and our own private ones. Owns how a content key is
//! wrapped and unwrapped (RFC 7518 §4).

use std::fmt;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::kdf::{SskdfDigestAlgorithmId, get_sskdf_digest_algorithm, sskdf_digest};
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::rsa::{
    KeyPair, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::KeyPair as _;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::der;
use super::{ContentEnc, Header, JweProblem, KeyAlg};
use crate::b64::{decode_url, encode_url};
use crate::jwk::MAX_KID;

/// Bytes of an uncompressed point on P-256: 4, then both coordinates (SEC 1 §2.3.3).
const POINT: usize = 65;

/// A public key of somebody else that may be encrypted to.
#[derive(Clone, Debug)]
pub struct EncryptionKey {
    kid: Option<String>,
    /// Bound to one algorithm by its JWK.
    alg: Option<KeyAlg>,
    /// Marked as good for encryption only.
    dedicated: bool,
    kind: Public,
}

#[derive(Clone, Debug)]
enum Public {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Box<[u8; POINT]>),
}

/// A content key, and how it reaches the recipient.
pub(super) struct Wrapped {
    pub(super) content_key: Zeroizing<Vec<u8>>,
    pub(super) encrypted_key: Vec<u8>,
    pub(super) epk: Option<Value>,
}

impl EncryptionKey {
    /// Reads one member of a JWK set; none if it is not for encryption, or of no kind we know.
    pub(crate) fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let by_use = jwk.get("use").is_none_or(|u| u == "enc");
        let by_ops = jwk.get("key_ops").is_none_or(|ops| {
            let purposes = ["encrypt", "wrapKey", "deriveKey", "deriveBits"];
            ops.as_array().is_some_and(|ops| ops.iter().any(|op| purposes.iter().any(|known| op == known)))
        });
        if !by_use || !by_ops {
            return None;
        }
        let kid = match jwk.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str().filter(|kid| kid.len() <= MAX_KID)?.to_owned()),
        };
        let part = |name, size| text(name).and_then(|t| decode_url(t, size));
        let kind = match (text("kty")?, text("crv")) {
            ("RSA", _) => Public::Rsa { n: part("n", 1025)?, e: part("e", 9)? },
            ("EC", Some("P-256")) => Public::P256(Box::new(point(jwk)?)),
            _ => return None,
        };
        let alg = match text("alg") {
            None => None,
            Some(name) => Some(KeyAlg::named(name)?),
        };
        let dedicated = alg.is_some() || jwk.get("use").is_some();
        let key = Self { kid, alg, dedicated, kind };
        alg.is_none_or(|alg| key.is_of(alg)).then_some(key)
    }

    /// Whether it may be used with this algorithm.
    pub fn serves(&self, alg: KeyAlg) -> bool {
        self.is_of(alg) && self.alg.is_none_or(|own| own == alg)
    }

    /// Whether its JWK says that it is for encryption.
    pub(crate) fn is_dedicated(&self) -> bool {
        self.dedicated
    }

    fn is_of(&self, alg: KeyAlg) -> bool {
        matches!(self.kind, Public::Rsa { .. }) == alg.is_rsa()
    }

    /// Its `kid`.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Makes a content key and wraps it.
    pub(super) fn wrap(
        &self,
        alg: KeyAlg,
        enc: ContentEnc,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Wrapped, JweProblem> {
        if !self.serves(alg) {
            return Err(JweProblem::NoKey);
        }
        let mut content_key = Zeroizing::new(vec![0; enc.key_length()]);
        match &self.kind {
            Public::Rsa { n, e } => {
                random(&mut content_key);
                // Judges the size of the key too: 2048 to 8192 bits.
                let key = PublicEncryptingKey::from_der(&der::rsa_public_key(n, e)).map_err(|_| JweProblem::NoKey)?;
                let key = OaepPublicEncryptingKey::new(key).map_err(|_| JweProblem::NoKey)?;
                let mut out = vec![0; key.ciphertext_size()];
                let length =
                    key.encrypt(oaep(alg), &content_key, &mut out, None).map_err(|_| JweProblem::Closed)?.len();
                out.truncate(length);
                Ok(Wrapped { content_key, encrypted_key: out, epk: None })
            }
            Public::P256(recipient) => {
                let ephemeral = ephemeral(random)?;
                let public = ephemeral.compute_public_key().map_err(|_| JweProblem::Closed)?;
                let (x, y) =
                    public.as_ref().get(1..33).zip(public.as_ref().get(33..POINT)).ok_or(JweProblem::Closed)?;
                let epk = json!({"kty": "EC", "crv": "P-256", "x": encode_url(x), "y": encode_url(y)});
                let agreed = agreed_key(&ephemeral, recipient.as_slice(), alg, enc, (&[], &[]))?;
                let Some(kek) = kek(alg, &agreed)? else {
                    return Ok(Wrapped { content_key: agreed, encrypted_key: Vec::new(), epk: Some(epk) });
                };
                random(&mut content_key);
                // RFC 3394 adds one block of eight bytes.
                let mut out = vec![0; content_key.len() + 8];
                let length = kek.wrap(&content_key, &mut out).map_err(|_| JweProblem::Closed)?.len();
                out.truncate(length);
                Ok(Wrapped { content_key, encrypted_key: out, epk: Some(epk) })
            }
        }
    }
}

/// An ephemeral key from the caller's randomness. One draw in 2^32 is no scalar of the curve; then it is drawn again.
fn ephemeral(random: &mut dyn FnMut(&mut [u8])) -> Result<PrivateKey, JweProblem> {
    for _ in 0..8 {
        let mut scalar = Zeroizing::new([0; 32]);
        random(scalar.as_mut_slice());
        if let Ok(key) = PrivateKey::from_private_key(&ECDH_P256, scalar.as_slice()) {
            return Ok(key);
        }
    }
    Err(JweProblem::Closed)
}

fn oaep(alg: KeyAlg) -> &'static OaepAlgorithm {
    if alg == KeyAlg::RsaOaep { &OAEP_SHA1_MGF1SHA1 } else { &OAEP_SHA256_MGF1SHA256 }
}

/// The key the agreed one is used as: none where it is the content key itself.
fn kek(alg: KeyAlg, agreed: &[u8]) -> Result<Option<AesKek>, JweProblem> {
    let cipher = match alg {
        KeyAlg::EcdhEsA128Kw => &AES_128,
        KeyAlg::EcdhEsA256Kw => &AES_256,
        KeyAlg::EcdhEs | KeyAlg::RsaOaep | KeyAlg::RsaOaep256 => return Ok(None),
    };
    AesKek::new(cipher, agreed).map(Some).map_err(|_| JweProblem::Closed)
}

/// Diffie-Hellman and the Concat KDF (RFC 7518 §4.6.2).
pub(super) fn agreed_key(
    private: &PrivateKey,
    public: &[u8],
    alg: KeyAlg,
    enc: ContentEnc,
    (apu, apv): (&[u8], &[u8]),
) -> Result<Zeroizing<Vec<u8>>, JweProblem> {
    let (id, length) = match alg {
        KeyAlg::EcdhEs => (enc.as_str(), enc.key_length()),
        KeyAlg::EcdhEsA128Kw => (alg.as_str(), 16),
        KeyAlg::EcdhEsA256Kw => (alg.as_str(), 32),
        KeyAlg::RsaOaep | KeyAlg::RsaOaep256 => return Err(JweProblem::Algorithm),
    };
    let mut info = Vec::new();
    for part in [id.as_bytes(), apu, apv] {
        info.extend((part.len() as u32).to_be_bytes());
        info.extend_from_slice(part);
    }
    info.extend((length as u32 * 8).to_be_bytes());
    let hash = get_sskdf_digest_algorithm(SskdfDigestAlgorithmId::Sha256).ok_or(JweProblem::Closed)?;
    // Parsing the point checks that it lies on the curve.
    agree(private, UnparsedPublicKey::new(&ECDH_P256, public), JweProblem::Closed, |secret| {
        let mut key = Zeroizing::new(vec![0; length]);
        sskdf_digest(hash, secret, &info, &mut key).map_err(|_| JweProblem::Closed)?;
        Ok(key)
    })
}

fn point(jwk: &Map<String, Value>) -> Option<[u8; POINT]> {
    let mut point = [4; POINT];
    for (name, range) in [("x", 1..33), ("y", 33..POINT)] {
        let bytes = jwk.get(name).and_then(Value::as_str).and_then(|text| decode_url(text, 32))?;
        // Exactly the size of a coordinate (RFC 7518 §6.2.1.2).
        (bytes.len() == 32).then(|| point[range].copy_from_slice(&bytes))?;
    }
    Some(point)
}

/// A private key of ours that others encrypt to.
pub struct DecryptionKey {
    kid: String,
    kind: Private,
}

enum Private {
    Rsa { key: Box<OaepPrivateDecryptingKey>, n: Vec<u8>, e: Vec<u8> },
    P256 { key: Box<PrivateKey>, point: Vec<u8> },
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptionKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl DecryptionKey {
    /// An RSA key (PKCS#8, DER) of 2048 to 8192 bits; none if it is no such key.
    pub fn rsa(kid: &str, pkcs8: &[u8]) -> Option<Self> {
        let pair = KeyPair::from_pkcs8(pkcs8).ok()?;
        let (n, e) = der::read_rsa_public_key(pair.public_key().as_ref())?;
        let (n, e) = (n.to_vec(), e.to_vec());
        let key = OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(pkcs8).ok()?).ok()?;
        Some(Self { kid: kid.to_owned(), kind: Private::Rsa { key: Box::new(key), n, e } })
    }

    /// A key on P-256 (PKCS#8, DER); none if it is no such key.
    pub fn p256(kid: &str, pkcs8: &[u8]) -> Option<Self> {
        Self::of_p256(kid, PrivateKey::from_private_key_der(&ECDH_P256, pkcs8).ok()?)
    }

    pub(super) fn of_p256(kid: &str, key: PrivateKey) -> Option<Self> {
        let point = key.compute_public_key().ok()?.as_ref().to_vec();
        (point.len() == POINT).then(|| Self { kid: kid.to_owned(), kind: Private::P256 { key: Box::new(key), point } })
    }

    /// Its `kid`.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Whether tokens of this algorithm may be meant for it.
    pub fn serves(&self, alg: KeyAlg) -> bool {
        matches!(self.kind, Private::Rsa { .. }) == alg.is_rsa()
    }

    /// The public half for our JWK set, marked as what it is (OpenID Connect Core §10.2). `alg` stays out: a key serves several.
    pub fn to_jwk(&self) -> Value {
        match &self.kind {
            Private::Rsa { n, e, .. } => {
                json!({"kty": "RSA", "n": encode_url(n), "e": encode_url(e), "kid": self.kid, "use": "enc"})
            }
            Private::P256 { point, .. } => json!({
                "kty": "EC",
                "crv": "P-256",
                "x": encode_url(&point[1..33]),
                "y": encode_url(&point[33..]),
                "kid": self.kid,
                "use": "enc",
            }),
        }
    }

    pub(super) fn unwrap(&self, header: &Header, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, JweProblem> {
        let key = match &self.kind {
            Private::Rsa { key, .. } => {
                let mut out = Zeroizing::new(vec![0; key.min_output_size()]);
                let length =
                    key.decrypt(oaep(header.alg), encrypted, &mut out, None).map_err(|_| JweProblem::Closed)?.len();
                out.truncate(length);
                out
            }
            Private::P256 { key, .. } => {
                let epk = header.epk.as_ref().ok_or(JweProblem::Header("epk"))?;
                let on_curve =
                    epk.get("kty").is_some_and(|v| v == "EC") && epk.get("crv").is_some_and(|v| v == "P-256");
                let public = point(epk).filter(|_| on_curve).ok_or(JweProblem::Header("epk"))?;
                let agreed = agreed_key(key, &public, header.alg, header.enc, (&header.apu, &header.apv))?;
                match kek(header.alg, &agreed)? {
                    // RFC 7516 §5.2 step 10: nothing else may stand there.
                    None if encrypted.is_empty() => agreed,
                    None => return Err(JweProblem::Closed),
                    Some(kek) => {
                        let mut out = Zeroizing::new(vec![0; encrypted.len()]);
                        let length = kek.unwrap(encrypted, &mut out).map_err(|_| JweProblem::Closed)?.len();
                        out.truncate(length);
                        out
                    }
                }
            }
        };
        // A key of another length would be used for another cipher.
        if key.len() == header.enc.key_length() { Ok(key) } else { Err(JweProblem::Closed) }
    }
}
