#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::oauth_error::OAuthCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;

fn read(body: &str, headers: &[&str]) -> Result<Presented, OAuthCode> {
    let form = Form::parse(body.as_bytes()).unwrap();
    read_presented(&form, headers.iter().map(|h| h.as_bytes())).map_err(|r| r.code)
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn pair(id: &str, secret: &str) -> Pair {
    Pair { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) }
}

#[test]
fn each_method_is_recognised() {
    assert_eq!(read("", &[&basic("a:b")]).unwrap(), Presented::Basic(vec![pair("a", "b")]));
    assert_eq!(read("client_id=a&client_secret=b", &[]).unwrap(), Presented::Post(pair("a", "b")));
    assert_eq!(read("client_id=a", &[]).unwrap(), Presented::Public { id: "a".into() });
    assert_eq!(read("client_id=a&client_secret=", &[]).unwrap(), Presented::Public { id: "a".into() });
    assert_eq!(read("", &[]).unwrap(), Presented::Nothing);
    let body = format!("client_assertion_type={JWT_BEARER_ASSERTION}&client_assertion=x.y.z&client_id=a");
    assert_eq!(read(&body, &[]).unwrap(), Presented::Assertion { client_id: Some("a".into()), jwt: "x.y.z".into() });
}

#[test]
fn a_bearer_token_counts_only_alone() {
    let alone = read("", &["Bearer abc"]).unwrap();
    assert_eq!(alone, Presented::Bearer { token: "abc".into(), client_id: None });
    assert_eq!(alone.without_bearer(), Presented::Nothing);
    assert_eq!(read("client_id=a&client_secret=b", &["Bearer abc"]).unwrap(), Presented::Post(pair("a", "b")));
    let with_id = read("client_id=a", &["Bearer abc"]).unwrap();
    assert_eq!(with_id.without_bearer(), Presented::Public { id: "a".into() });
}

#[test]
fn basic_and_a_client_id_must_agree() {
    assert_eq!(read("client_id=a", &[&basic("a:b")]).unwrap(), Presented::Basic(vec![pair("a", "b")]));
    assert_eq!(read("client_id=z", &[&basic("a:b")]), Err(OAuthCode::InvalidRequest));
    // Of two readings the one that agrees is kept.
    assert_eq!(read("client_id=a%3A1", &[&basic("a%3A1:b")]).unwrap(), Presented::Basic(vec![pair("a:1", "b")]));
}

#[test]
fn two_methods_at_once_are_refused() {
    let jwt = format!("client_assertion_type={JWT_BEARER_ASSERTION}&client_assertion=x.y.z");
    for (body, header) in [
        ("client_id=a&client_secret=b".to_owned(), Some(basic("a:b"))),
        (jwt.clone(), Some(basic("a:b"))),
        (format!("{jwt}&client_id=a&client_secret=b"), None),
    ] {
        let headers: Vec<&str> = header.iter().map(String::as_str).collect();
        assert_eq!(read(&body, &headers), Err(OAuthCode::InvalidRequest), "{body}");
    }
    assert_eq!(read("", &[&basic("a:b"), &basic("a:b")]), Err(OAuthCode::InvalidRequest));
    assert_eq!(read("client_id=a&client_id=a", &[]), Err(OAuthCode::InvalidRequest));
}

#[test]
fn halves_of_a_method_are_refused() {
    assert_eq!(read("client_secret=b", &[]), Err(OAuthCode::InvalidRequest));
    assert_eq!(read("client_assertion=x.y.z", &[]), Err(OAuthCode::InvalidRequest));
    assert_eq!(read(&format!("client_assertion_type={JWT_BEARER_ASSERTION}"), &[]), Err(OAuthCode::InvalidRequest));
    assert_eq!(read("client_assertion=x&client_assertion_type=saml", &[]), Err(OAuthCode::InvalidClient));
}

#[test]
fn an_unreadable_header_fails_like_a_wrong_secret() {
    let huge = basic(&format!("a:{}", "b".repeat(1 << 20)));
    for header in ["", "Basic", "Basic ", "Basic %%%", &basic("nocolon"), "Digest x", &huge] {
        assert_eq!(read("", &[header]), Err(OAuthCode::InvalidClient), "{header:.20}");
        assert!(read("client_id=a&client_secret=b", &[header]).is_err(), "{header:.20}");
    }
    assert_eq!(read(&format!("client_id={}", "a".repeat(2049)), &[]), Err(OAuthCode::InvalidClient));
    assert_eq!(read("client_id=a%0ab", &[]), Err(OAuthCode::InvalidClient));
    assert_eq!(read(&format!("client_id=a&client_secret={}", "a".repeat(1025)), &[]), Err(OAuthCode::InvalidClient));
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?} {:?}", read("client_id=a&client_secret=hunter22", &[]).unwrap(), pair("a", "hunter22"));
    assert!(!shown.contains("hunter22"));
}

const NOW: Seconds = 1_800_000_000;

fn check(claims: Value, sole: Option<&str>) -> Result<GoodAssertion, AssertionProblem> {
    let audiences = ["https://a.test/oauth2".to_owned(), "https://a.test/oauth2/token".to_owned()];
    let rules = AssertionRules {
        client_id: "app",
        sent_id: None,
        audiences: &audiences,
        sole_audience: sole,
        require_jti: true,
        now: NOW,
        skew: 0,
    };
    check_assertion(claims.as_object().unwrap(), &rules)
}

fn good() -> Value {
    json!({"iss": "app", "sub": "app", "aud": "https://a.test/oauth2/token", "exp": NOW + 60, "jti": "j1"})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = good();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = good();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[test]
fn a_good_assertion_says_what_to_spend() {
    assert_eq!(check(good(), None), Ok(GoodAssertion { jti: Some("j1".into()), expires: NOW + 60 }));
    // The Go SDK's form (vendor page §0.2).
    let both = json!(["https://a.test/oauth2", "https://a.test/oauth2/token"]);
    assert!(check(with("aud", both), None).is_ok());
    assert!(check(with("nbf", json!(NOW + 8)), None).is_ok());
}

#[test]
fn every_wrong_claim_is_refused() {
    use AssertionProblem::{Audience, Jti, NotTheClient, Times};
    for (claims, problem) in [
        (with("iss", json!("other")), NotTheClient),
        (with("sub", json!("other")), NotTheClient),
        (without("sub"), NotTheClient),
        (without("aud"), Audience),
        (with("aud", json!("https://b.test/oauth2")), Audience),
        (with("aud", json!(["https://a.test/oauth2", "https://b.test"])), Audience),
        (with("aud", json!([])), Audience),
        (with("aud", json!([["https://a.test/oauth2"]])), Audience),
        (without("exp"), Times),
        (with("exp", json!(NOW - 300)), Times),
        (with("exp", json!(NOW + MAX_ASSERTION_LIFE + 1)), Times),
        (with("nbf", json!(NOW + 61)), Times),
        (with("iat", json!(NOW + 86_400)), Times),
        (without("jti"), Jti),
        (with("jti", json!("")), Jti),
        (with("jti", json!(7)), Jti),
        (with("jti", json!("x".repeat(513))), Jti),
    ] {
        assert_eq!(check(claims.clone(), None), Err(problem), "{claims}");
    }
    assert_eq!(Rejection::from(Times).code, OAuthCode::InvalidClient);
}

#[test]
fn a_sole_audience_is_one_string() {
    let issuer = "https://a.test/oauth2";
    assert!(check(with("aud", json!(issuer)), Some(issuer)).is_ok());
    assert_eq!(check(with("aud", json!([issuer])), Some(issuer)), Err(AssertionProblem::Audience));
    assert_eq!(check(good(), Some(issuer)), Err(AssertionProblem::Audience));
}

#[test]
fn a_client_id_beside_it_must_be_its_own() {
    let audiences = ["https://a.test/oauth2/token".to_owned()];
    let rules = AssertionRules {
        client_id: "app",
        sent_id: Some("other"),
        audiences: &audiences,
        sole_audience: None,
        require_jti: false,
        now: NOW,
        skew: 0,
    };
    assert_eq!(check_assertion(good().as_object().unwrap(), &rules), Err(AssertionProblem::NotTheClient));
    let own = AssertionRules { sent_id: Some("app"), ..rules };
    assert_eq!(check_assertion(without("jti").as_object().unwrap(), &own).unwrap().jti, None);
}

proptest! {
    #[test]
    fn never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        names in proptest::collection::vec(prop_oneof!["client_id", "client_secret", "client_assertion", "client_assertion_type"], 0..5),
        value in "[ -~]{0,20}",
    ) {
        let form = Form::from_pairs(names.into_iter().map(|n| (n, value.clone())));
        let _ = read_presented(&form, [&bytes[..]]);
        let _ = read_presented(&form, []);
    }
}
