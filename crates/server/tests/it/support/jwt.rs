//! JWTs of clients and strangers, honest and forged.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Value, json};

use super::decode;

/// A P-256 key of somebody.
pub struct TestKey {
    pair: EcdsaKeyPair,
    kid: String,
}

impl TestKey {
    pub fn new(kid: &str) -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), kid: kid.to_owned() }
    }

    /// The uncompressed point.
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub fn jwk(&self) -> Value {
        let (x, y) = self.public()[1..].split_at(32);
        let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid, "x": encode(x), "y": encode(y) })
    }

    /// The `jwks` of a client or issuer in a tenant file.
    pub fn toml(&self) -> String {
        let fields: Vec<String> =
            self.jwk().as_object().unwrap().iter().map(|(name, value)| format!("{name} = {value}")).collect();
        format!("{{ keys = [{{ {} }}] }}", fields.join(", "))
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_under(&json!({ "alg": "ES256", "kid": self.kid }), claims)
    }

    pub fn sign_under(&self, header: &Value, claims: &Value) -> String {
        assemble(header, claims, |input| self.raw(input))
    }

    /// The bare signature.
    pub fn raw(&self, input: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), input).unwrap().as_ref().to_vec()
    }
}

/// Signed with a shared secret.
pub fn hmac_jwt(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    assemble(header, claims, |input| hmac::sign(&key, input).as_ref().to_vec())
}

/// With an empty signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    assemble(header, claims, |_| Vec::new())
}

/// A JWT whose header and claims are these texts, with this signature.
pub fn assemble_text(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn assemble(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    assemble_text(&header.to_string(), &claims.to_string(), sign)
}

/// Verifies a JWT of ours as a resource server would: with the published keys and another library.
#[track_caller]
pub fn verify(jwt: &str, jwks: &Value) -> Value {
    let keys: JwkSet = serde_json::from_value(jwks.clone()).unwrap();
    let header = jsonwebtoken::decode_header(jwt).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).expect("the key is published");
    let mut validation = Validation::new(header.alg);
    // The clock of a test stands at another time than the library's.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let verified = jsonwebtoken::decode::<Value>(jwt, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap();
    assert_eq!(verified.claims, decode(jwt).1);
    verified.claims
}

/// The code of this key at this moment (RFC 6238, SHA-1, six digits, thirty seconds).
pub fn totp(key: &[u8], at: i64) -> String {
    let counter = u64::try_from(at).unwrap() / 30;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let mac = hmac::sign(&key, &counter.to_be_bytes());
    let mac = mac.as_ref();
    let offset = usize::from(mac[19] & 15);
    let word = u32::from_be_bytes(mac[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}
