//! The tenant a run works with.

use std::fmt::Write as _;
use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::wire::HOST;

/// The tenant.
pub const ID: &str = "ledger";
/// The directory people are in.
pub const SOURCE: &str = "0b8b6a3e-7d1c-4f2a-9a55-3c1e6f7d8a90";
/// Everybody's password.
pub const PASSWORD: &str = "correct-horse-battery-7";
/// Every client's secret.
pub const SECRET: &str = "Vb7tq0C3mR9xW2eZ5kJ8aL1nS6dF4gHu";
/// Where applications are returned to. Nobody listens there.
pub const CALLBACK: &str = "https://app.ledger.example/callback";
/// Wrong passwords after which an account rests.
pub const LOCK_AFTER: u32 = 5;
/// Seconds a new key is published before it signs: more than clocks differ by.
pub const AHEAD: &str = "90";
/// How far a clock is put off at most, either way, milliseconds.
pub const CLOCK: i64 = 30_000;

/// The key of the client that signs its requests; made for this run.
static KEY: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key pair is made wherever there is randomness")
});

/// The person of a hand.
pub fn person(hand: usize) -> String {
    format!("person{hand:02}")
}

/// The tenant file.
pub fn file(people: usize) -> String {
    let mut text = include_str!("tenant.toml").replace("{host}", HOST).replace("{secret}", SECRET);
    let point = KEY.public_key().as_ref();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
    text = text.replace("{x}", &x).replace("{y}", &y);
    for hand in 0..people {
        // Writing to a text does not fail.
        let _ = write!(
            text,
            "\n[[tenant.users]]\nid = \"LEDGER{hand:04}\"\nusername = \"{}\"\npassword = \"{PASSWORD}\"\n",
            person(hand)
        );
    }
    text
}

/// A client assertion (RFC 7523 §2.2) under this `jti`, at this moment.
pub fn client_assertion(jti: &str, now: i64) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "alg": "ES256", "kid": "one", "typ": "JWT" }));
    let claims = part(json!({
        "iss": "signer", "sub": "signer", "aud": format!("http://{HOST}/oauth2/token"),
        // Issued well before any node's clock, and good for as long as a run asks again.
        "jti": jti, "iat": now - 120, "exp": now + 1500,
    }));
    let signed = format!("{header}.{claims}");
    let signature = KEY.sign(&SystemRandom::new(), signed.as_bytes()).expect("a key of the right kind signs");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
