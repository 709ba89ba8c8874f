#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::jwk::{JwkSet, PublicParts};
use crate::records::SigningAlg;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use proptest::prelude::*;
use serde_json::json;
use std::sync::LazyLock;

struct Rsa {
    pair: RsaKeyPair,
    n: Vec<u8>,
    e: Vec<u8>,
}

static RSA: LazyLock<Rsa> = LazyLock::new(|| {
    let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let n = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
    let e = pair.public_key().exponent().big_endian_without_leading_zero().to_vec();
    Rsa { pair, n, e }
});
static EC: LazyLock<EcdsaKeyPair> = LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
static ED: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::generate().unwrap());

fn sign(alg: SigningAlg, header: &str, claims: &Value) -> String {
    let message = write_message(&encode_url(header), claims).unwrap();
    let signature = match alg {
        SigningAlg::Rs256 | SigningAlg::Ps256 => {
            let mut out = vec![0; RSA.pair.public_modulus_len()];
            let padding = if alg == SigningAlg::Rs256 { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
            RSA.pair.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut out).unwrap();
            out
        }
        SigningAlg::Es256 => EC.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
        SigningAlg::EdDsa => ED.sign(message.as_bytes()).as_ref().to_vec(),
    };
    format!("{message}.{}", encode_url(signature))
}

fn plain(alg: SigningAlg) -> String {
    sign(alg, &format!(r#"{{"alg":"{}","kid":"k"}}"#, alg.as_str()), &json!({"sub": "x"}))
}

fn key(alg: SigningAlg, kid: &str) -> VerifyingKey {
    let ed: [u8; 32];
    let parts = match alg {
        SigningAlg::Rs256 | SigningAlg::Ps256 => PublicParts::Rsa { n: &RSA.n, e: &RSA.e },
        SigningAlg::Es256 => PublicParts::from_p256_point(EC.public_key().as_ref()).unwrap(),
        SigningAlg::EdDsa => {
            ed = ED.public_key().as_ref().try_into().unwrap();
            PublicParts::Ed25519 { x: &ed }
        }
    };
    VerifyingKey::from_parts(kid, alg, &parts)
}

const ALL: [SigningAlg; 4] = [SigningAlg::Rs256, SigningAlg::Ps256, SigningAlg::Es256, SigningAlg::EdDsa];
const PUBLIC: [Algorithm; 4] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

#[test]
fn each_algorithm_verifies_with_its_own_key_only() {
    let keys: Vec<VerifyingKey> = ALL.iter().map(|alg| key(*alg, "k")).collect();
    for alg in ALL {
        let token = plain(alg);
        let good = verify(&token, &keys, &PUBLIC).unwrap();
        assert_eq!(good["sub"], "x");
        let others: Vec<VerifyingKey> = ALL.iter().filter(|a| **a != alg).map(|a| key(*a, "k")).collect();
        assert_eq!(verify(&token, &others, &PUBLIC), Err(JwtProblem::NoKey), "{alg:?}");
        let not_allowed: Vec<Algorithm> = PUBLIC.into_iter().filter(|a| *a != alg.into()).collect();
        assert_eq!(verify(&token, &keys, &not_allowed), Err(JwtProblem::Algorithm));
    }
}

#[test]
fn a_key_set_by_value_verifies() {
    let point = EC.public_key().as_ref().to_vec();
    let ec = PublicParts::from_p256_point(&point).unwrap().to_jwk("k", None);
    let rsa = PublicParts::Rsa { n: &RSA.n, e: &RSA.e }.to_jwk("k", None);
    // Two keys of one name: those that fit are tried.
    let set = JwkSet::parse(&json!({"keys": [rsa, ec]})).unwrap();
    for alg in [SigningAlg::Rs256, SigningAlg::Ps256, SigningAlg::Es256] {
        assert!(verify(&plain(alg), set.keys(), &PUBLIC).is_ok(), "{alg:?}");
    }
    let mut enc = PublicParts::Rsa { n: &RSA.n, e: &RSA.e }.to_jwk("k", None);
    enc["use"] = "enc".into();
    let set = JwkSet::parse(&json!({"keys": [enc]})).unwrap();
    assert_eq!(verify(&plain(SigningAlg::Rs256), set.keys(), &PUBLIC), Err(JwtProblem::NoKey));
}

#[test]
fn the_kid_chooses_and_a_nameless_key_serves_any() {
    let token = plain(SigningAlg::Es256);
    assert_eq!(verify(&token, &[key(SigningAlg::Es256, "other")], &PUBLIC), Err(JwtProblem::NoKey));
    let mut jwk = PublicParts::from_p256_point(EC.public_key().as_ref()).unwrap().to_jwk("", None);
    jwk.as_object_mut().unwrap().remove("kid");
    let nameless = JwkSet::parse(&json!({"keys": [jwk]})).unwrap();
    assert!(verify(&token, nameless.keys(), &PUBLIC).is_ok());
    let unnamed_token = sign(SigningAlg::Es256, r#"{"alg":"ES256"}"#, &json!({}));
    assert!(verify(&unnamed_token, &[key(SigningAlg::Es256, "other")], &PUBLIC).is_ok());
}

#[test]
fn a_changed_token_is_refused() {
    let keys = [key(SigningAlg::EdDsa, "k")];
    let token = plain(SigningAlg::EdDsa);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let other_claims = format!("{header}.{}.{signature}", encode_url(r#"{"sub":"y"}"#));
    assert_eq!(verify(&other_claims, &keys, &PUBLIC), Err(JwtProblem::Signature));
    let other_header = format!("{}.{}", encode_url(r#"{"kid":"k","alg":"EdDSA"}"#), token.split_once('.').unwrap().1);
    assert_eq!(verify(&other_header, &keys, &PUBLIC), Err(JwtProblem::Signature));
    for bad in
        [format!("{message}."), format!("{message}.AAAA"), format!("{message}.{signature}="), format!("{token} ")]
    {
        assert_eq!(verify(&bad, &keys, &PUBLIC), Err(JwtProblem::Signature), "{bad}");
    }
}

#[test]
fn hmac_keyed_with_a_public_key_is_refused() {
    let message = write_message(&write_header("HS256", "k", None), &json!({"sub": "x"})).unwrap();
    for secret in [&RSA.n[..], EC.public_key().as_ref(), ED.public_key().as_ref()] {
        let tag =
            aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret), message.as_bytes());
        let token = format!("{message}.{}", encode_url(tag));
        let keys: Vec<VerifyingKey> = ALL.iter().map(|alg| key(*alg, "k")).collect();
        assert_eq!(verify(&token, &keys, &PUBLIC), Err(JwtProblem::Algorithm));
        // Even where a caller wrongly allows HMAC, a public key does not serve it.
        assert_eq!(verify(&token, &keys, &[Algorithm::HS256]), Err(JwtProblem::NoKey));
        let shared = VerifyingKey::from_secret(secret, Algorithm::HS256).unwrap();
        assert!(verify(&token, &[shared], &[Algorithm::HS256]).is_ok(), "the test token itself is sound");
    }
}

fn peek_header(header: &str) -> Result<(), JwtProblem> {
    peek(&format!("{}.e30.AA", encode_url(header))).map(|_| ())
}

#[test]
fn odd_headers_are_refused() {
    for none in ["none", "None", "NONE", "", "ES512", "dir", "RS1"] {
        assert_eq!(peek_header(&format!(r#"{{"alg":"{none}"}}"#)), Err(JwtProblem::Algorithm), "{none}");
    }
    assert_eq!(peek_header(r#"{}"#), Err(JwtProblem::Algorithm));
    assert_eq!(peek_header(r#"{"alg":["RS256"]}"#), Err(JwtProblem::Algorithm));
    for name in ["crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"] {
        let header = format!(r#"{{"alg":"RS256","{name}":null}}"#);
        assert_eq!(peek_header(&header), Err(JwtProblem::Header(name)));
    }
    assert_eq!(peek_header(r#"{"alg":"RS256","alg":"none"}"#), Err(JwtProblem::Malformed));
    assert_eq!(
        peek_header(&format!(r#"{{"alg":"RS256","x":{}1{}}}"#, "[".repeat(9), "]".repeat(9))),
        Err(JwtProblem::Malformed)
    );
    for kid in [r#""a\nb""#, "7", &format!("{:?}", "k".repeat(257))] {
        assert_eq!(peek_header(&format!(r#"{{"alg":"RS256","kid":{kid}}}"#)), Err(JwtProblem::Header("kid")));
    }
    assert!(
        peek_header(r#"{"alg":"RS256","kid":"../../etc/passwd' or 1=1"}"#).is_ok(),
        "an odd name is only an unknown one"
    );
}

#[test]
fn odd_tokens_are_refused() {
    assert_eq!(peek("a.b.c.d.e"), Err(JwtProblem::Encrypted));
    for bad in ["", ".", "..", "a.b", "a.b.c.d", "e30.e30.e30=", "W10.e30.AA", "+/==.e30.AA"] {
        assert!(matches!(peek(bad), Err(JwtProblem::Malformed | JwtProblem::Algorithm)), "{bad:?}");
    }
    assert_eq!(peek(&"a".repeat(MAX_TOKEN + 1)), Err(JwtProblem::TooLong));
}

#[test]
fn claims_with_repeated_members_are_refused_though_signed() {
    let message = format!("{}.{}", write_header("EdDSA", "k", None), encode_url(r#"{"sub":"a","sub":"b"}"#));
    let token = format!("{message}.{}", encode_url(ED.sign(message.as_bytes())));
    assert_eq!(verify(&token, &[key(SigningAlg::EdDsa, "k")], &PUBLIC), Err(JwtProblem::Malformed));
}

#[test]
fn typ_compares_as_a_media_type() {
    let header = encode_url(r#"{"alg":"ES256","typ":"application/AT+jwt"}"#);
    assert_eq!(peek(&format!("{header}.e30.AA")).unwrap().typ.as_deref(), Some("at+jwt"));
}

#[test]
fn the_assertion_header_is_the_vendor_s_to_the_byte() {
    // vendor page A.2
    assert_eq!(write_header("RS256", "server", None), "eyJhbGciOiJSUzI1NiIsImtpZCI6InNlcnZlciJ9");
}

proptest! {
    #[test]
    fn never_panics(text in "[A-Za-z0-9._=-]{0,120}", any in ".{0,60}", header in any::<Vec<u8>>(), payload in any::<Vec<u8>>()) {
        let keys = [key(SigningAlg::EdDsa, "k")];
        for token in [text, any, format!("{}.{}.AA", encode_url(&header), encode_url(&payload))] {
            prop_assert!(verify(&token, &keys, &PUBLIC).is_err());
            let _ = peek(&token);
        }
    }

    #[test]
    fn any_flipped_character_breaks_it(at in any::<prop::sample::Index>(), other in "[A-Za-z0-9_-]") {
        let token = plain(SigningAlg::EdDsa);
        let at = at.index(token.len());
        prop_assume!(!token[at..].starts_with('.') && token[at..at + 1] != other);
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        prop_assert!(verify(&changed, &[key(SigningAlg::EdDsa, "k")], &PUBLIC).is_err());
    }
}
