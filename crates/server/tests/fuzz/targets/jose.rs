//! Tokens and keys of others: JWT, JWE, JWK, what their claims are believed for, and signatures of phones.

use std::sync::LazyLock;

use countersign::signin::factors::push;
use protocol::authorize::read;
use protocol::client_auth::{AssertionRules, check_assertion};
use protocol::form::Form;
use protocol::id_token_hint::IdTokenHint;
use protocol::jwe;
use protocol::jwk::JwkSet;
use protocol::jwt;
use protocol::records::Client;
use protocol::relying::{self, Expected, Metadata, Request};
use protocol::request_object::{Needed, Rules, Strictness, merge, open};
use protocol::time_claims::check_times;
use protocol::{b64, json};
use serde_json::Value;

use super::oauth::{APP, ISSUER};
use super::{NOW, object, text, value};

/// A signed token.
pub fn jwt(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(peeked) = jwt::peek(text) {
        let _ = peeked.unverified_claims();
        assert!(jwt::verify_peeked(peeked, &[], &[]).is_err(), "verified by no key");
    }
}

/// An encrypted token.
pub fn jwe(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let _ = jwe::is_encrypted(text);
    assert!(jwe::decrypt(text, &[]).is_err(), "opened by no key");
}

/// A key set.
pub fn jwk(bytes: &[u8]) {
    let Some(value) = value(bytes) else { return };
    let Ok(set) = JwkSet::parse(&value) else { return };
    let head = r#"{"alg":"ES256"}"#;
    let token = format!("{}.{}.{}", b64::encode_url(head), b64::encode_url("{}"), b64::encode_url([1; 64]));
    let peeked = jwt::peek(&token).unwrap();
    assert!(jwt::verify_peeked(peeked, set.keys(), jwt::ASYMMETRIC).is_err(), "any signature will do");
}

/// The claims of a token whose signature holds: as a client assertion, a hint, a request object and another provider's ID token.
pub fn claims(bytes: &[u8]) {
    let Some(claims) = object(bytes) else { return };
    let issuers = [ISSUER.to_owned()];
    let _ = check_times(&claims, NOW, 60);
    let rules = AssertionRules {
        client_id: "app",
        sent_id: None,
        audiences: &issuers,
        sole_audience: None,
        require_jti: true,
        now: NOW,
        skew: 60,
    };
    if let Ok(good) = check_assertion(&claims, &rules) {
        assert_eq!((&claims["iss"], &claims["sub"]), (&Value::from("app"), &Value::from("app")));
        assert!(good.expires > NOW && good.jti.is_some(), "it is good for ever, or again");
    }
    if let Some(hint) = IdTokenHint::read(Some("jwt"), &claims, &issuers, NOW) {
        assert_eq!(claims["iss"], ISSUER);
        let _ = hint.client_id();
        let _ = hint.is_for("app");
    }
    let expected = Expected { issuer: ISSUER, client_id: "app", nonce: "n", fresh_since: Some(NOW - 300) };
    if let Ok(said) = relying::judge(&claims, &expected, NOW) {
        assert_eq!((&claims["iss"], &claims["nonce"]), (&Value::from(ISSUER), &Value::from("n")));
        assert!(!said.subject.is_empty());
    }
    requested(bytes, &issuers);
}

/// A request object without a signature, for a client that may send one.
fn requested(claims: &[u8], issuers: &[String]) {
    static OUTER: LazyLock<Form> = LazyLock::new(|| read(b"client_id=app&response_type=code&scope=openid").unwrap());
    let jwt = format!("{}.{}.", b64::encode_url(r#"{"alg":"none"}"#), b64::encode_url(claims));
    let Ok(object) = open(&jwt, &[], &Needed { algs: Vec::new(), unsigned: true }) else { return };
    assert!(!object.is_signed());
    let client: &Client = &APP;
    for strictness in [Strictness::Core, Strictness::Jar, Strictness::Fapi] {
        let Ok(merged) = merge(&OUTER, &object, &Rules { client, issuers, strictness, now: NOW }) else { continue };
        assert_eq!(merged.one("client_id").ok().flatten(), Some("app"), "a request of another client");
        super::oauth::judged(&merged);
    }
}

/// The metadata of another provider.
pub fn provider_metadata(bytes: &[u8]) {
    let Ok(document) = json::parse(bytes, json::USUAL) else { return };
    let Ok(metadata) = Metadata::read(&document, ISSUER) else { return };
    let scopes = ["email".to_owned()];
    let request = Request {
        client_id: "a&b",
        redirect_uri: "https://login.example.test/federation/callback",
        scopes: &scopes,
        state: "s",
        nonce: "n",
        challenge: "c",
        fresh: true,
    };
    let url = request.url(&metadata);
    assert!(url.starts_with("https://") && url.bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
}

/// What a phone signs with: the name of the algorithm, a blank, the signature in base64, a blank; the rest is the key.
pub fn phone_signature(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b' ');
    let (Some(algorithm), Some(signature), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return };
    if let (Some(algorithm), Some(signature)) = (text(algorithm), text(signature)) {
        let _ = push::verify(algorithm, key, b"what nobody signed", signature);
    }
}
