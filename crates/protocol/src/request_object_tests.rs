#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::authorize::{self, Came};
use crate::jwk::PublicParts;
use crate::records::SigningAlg;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use proptest::prelude::*;
use serde_json::json;
use std::sync::LazyLock;

const ISSUER: &str = "https://login.example.test/oauth2";
const APP: &str = "https://app.example.test/cb";
const NOW: Seconds = 1_000_000;

static OWN: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
static OTHER: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());

fn key(pair: &EcdsaKeyPair) -> VerifyingKey {
    VerifyingKey::from_parts("k", SigningAlg::Es256, &PublicParts::from_p256_point(pair.public_key().as_ref()).unwrap())
}

fn sign(pair: &EcdsaKeyPair, header: Value, claims: &Value) -> String {
    let message = jwt::write_message(&encode_url(header.to_string()), claims).unwrap();
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", encode_url(signature.as_ref()))
}

fn client(changes: Value) -> Client {
    let mut client = json!({"id": "app", "grant_types": ["authorization_code", "implicit"], "redirect_uris": [APP]});
    for (name, value) in changes.as_object().unwrap() {
        client[name] = value.clone();
    }
    serde_json::from_value(client).unwrap()
}

fn app() -> Client {
    client(json!({}))
}

fn outer(pairs: &[(&str, &str)]) -> Form {
    let own = [("client_id", "app"), ("response_type", "code"), ("request", "x")];
    let pairs = own.iter().filter(|(name, _)| pairs.iter().all(|(known, _)| known != name)).chain(pairs);
    let pairs = pairs.filter(|(_, value)| !value.is_empty());
    Form::from_pairs(pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn object(claims: Value) -> Object {
    Object { claims: claims.as_object().unwrap().clone(), signed: true }
}

fn merge_as(strictness: Strictness, outside: &[(&str, &str)], inside: Value) -> Result<Form, Rejection> {
    let (client, issuers) = (app(), [ISSUER.to_owned()]);
    let rules = Rules { client: &client, issuers: &issuers, strictness, now: NOW };
    merge(&outer(outside), &object(inside), &rules)
}

fn merged(outside: &[(&str, &str)], inside: Value) -> Result<Form, Rejection> {
    merge_as(Strictness::Core, outside, inside)
}

fn code(result: Result<Form, Rejection>) -> OAuthCode {
    result.unwrap_err().code
}

// Signatures.

#[test]
fn an_object_signed_by_the_client_opens() {
    let claims = json!({"scope": "openid"});
    for header in [
        json!({"alg": "ES256"}),
        json!({"alg": "ES256", "kid": "k", "typ": "JWT"}),
        json!({"alg": "ES256", "typ": "oauth-authz-req+jwt"}),
        json!({"alg": "ES256", "typ": "application/oauth-authz-req+jwt"}),
    ] {
        let jwt = sign(&OWN, header.clone(), &claims);
        for strictness in [Strictness::Core, Strictness::Jar, Strictness::Fapi] {
            let opened = open(&jwt, &[key(&OWN)], &needed(&app(), strictness)).unwrap();
            assert!(opened.is_signed(), "{header}");
        }
    }
}

#[test]
fn attack_7_bad_signatures_keys_algorithms_and_types_are_refused() {
    let refused = |jwt: &str, keys: &[VerifyingKey], client: &Client, strictness| {
        assert_eq!(
            open(jwt, keys, &needed(client, strictness)).unwrap_err().code,
            OAuthCode::InvalidRequestObject,
            "{jwt}"
        );
    };
    let jwt = sign(&OWN, json!({"alg": "ES256"}), &json!({"scope": "openid"}));
    refused(&jwt, &[key(&OTHER)], &app(), Strictness::Core);
    refused(&jwt, &[], &app(), Strictness::Core);
    refused(&jwt[..jwt.len() - 4], &[key(&OWN)], &app(), Strictness::Core);
    refused(&jwt, &[key(&OWN)], &client(json!({"request_object_signing_alg": "PS256"})), Strictness::Core);
    refused(&jwt, &[key(&OWN)], &client(json!({"request_object_signing_alg": "HS256"})), Strictness::Core);
    refused(&jwt, &[key(&OWN)], &client(json!({"request_object_signing_alg": "none"})), Strictness::Core);
    let rsa = client(json!({"request_object_signing_alg": "RS256"}));
    assert_eq!(needed(&rsa, Strictness::Core).algs, [Algorithm::RS256]);
    assert_eq!(needed(&rsa, Strictness::Fapi).algs, [], "M-3");
    for typ in ["at+jwt", "logout+jwt", "client-authentication+jwt"] {
        refused(&sign(&OWN, json!({"alg": "ES256", "typ": typ}), &json!({})), &[key(&OWN)], &app(), Strictness::Core);
    }
    for garbage in ["", ".", "..", "a.b.c", "x", "{}"] {
        refused(garbage, &[key(&OWN)], &app(), Strictness::Core);
    }
}

#[test]
fn j4_alg_none_is_only_for_clients_that_registered_it() {
    let unsigned = |header: Value| {
        format!("{}.{}.", encode_url(header.to_string()), encode_url(json!({"scope": "openid"}).to_string()))
    };
    let jwt = unsigned(json!({"alg": "none"}));
    let registered = client(json!({"request_object_signing_alg": "none"}));
    let opened = open(&jwt, &[], &needed(&registered, Strictness::Core)).unwrap();
    assert!(!opened.is_signed());
    for (client, strictness) in [
        (app(), Strictness::Core),
        (client(json!({"request_object_signing_alg": "ES256"})), Strictness::Core),
        (
            client(json!({"request_object_signing_alg": "none", "require_signed_request_object": true})),
            Strictness::Core,
        ),
        (registered.clone(), Strictness::Fapi),
    ] {
        let refused = open(&jwt, &[key(&OWN)], &needed(&client, strictness)).unwrap_err();
        assert_eq!(refused.code, OAuthCode::InvalidRequestObject);
    }
    let lax = needed(&registered, Strictness::Core);
    for header in
        [json!({"alg": "None"}), json!({"alg": "none", "crit": ["x"]}), json!({"alg": "none", "b64": false}), json!({})]
    {
        assert!(open(&unsigned(header.clone()), &[], &lax).is_err(), "{header}");
    }
    assert!(open(&format!("{jwt}AAAA"), &[], &lax).is_err(), "a signature that nobody checked");
}

// How it is named.

#[test]
fn the_three_ways_to_name_an_object_are_told_apart() {
    let find = |pairs: &[(&str, &str)]| {
        let form = outer(pairs);
        presented(&form).map(|found| format!("{found:?}"))
    };
    assert_eq!(find(&[("request", "")]).unwrap(), "None");
    assert_eq!(find(&[("request", "a.b.c")]).unwrap(), r#"Some(Value("a.b.c"))"#);
    let uri = format!("{PUSHED}abc");
    assert_eq!(find(&[("request", ""), ("request_uri", &uri)]).unwrap(), format!("Some(Pushed({uri:?}))"));
    assert!(find(&[("request", ""), ("request_uri", "https://x/")]).unwrap().starts_with("Some(Reference"));
    assert!(find(&[("request", "a"), ("request_uri", "b")]).is_err());
    assert!(find(&[("request", "a"), ("request", "b")]).is_err());
    assert!(is_encrypted("a.b.c.d.e") && !is_encrypted("a.b.c") && !is_encrypted("a.b.c.d.e.f"));
}

#[test]
fn j5_only_registered_https_addresses_are_fetched_and_a_hash_pins_the_content() {
    let app = client(json!({"request_uris": ["https://app.example.test/r#x", "http://app.example.test/r"]}));
    assert!(check_reference("https://app.example.test/r#x", &app).is_ok());
    for bad in [
        "https://app.example.test/r",
        "https://app.example.test/r#y",
        "http://app.example.test/r",
        "https://evil.test/r#x",
        "file:///etc/passwd",
        "",
    ] {
        assert_eq!(check_reference(bad, &app).unwrap_err().code, OAuthCode::InvalidRequestUri, "{bad}");
    }
    let pin = encode_url(digest(&SHA256, b"content"));
    assert!(content_fits(&format!("https://a/#{pin}"), b"content"));
    assert!(!content_fits(&format!("https://a/#{pin}"), b"other"));
    assert!(content_fits("https://a/#version-2", b"anything") && content_fits("https://a/", b"anything"));
}

#[test]
fn j6_the_media_types_of_the_standards_and_plain_ones_are_accepted() {
    for good in ["application/jwt", "application/oauth-authz-req+jwt", "text/plain; charset=utf-8", "Application/JWT"] {
        assert!(media_type_fits(Some(good)), "{good}");
    }
    assert!(media_type_fits(None));
    for bad in ["text/html", "application/json", "image/png", ""] {
        assert!(!media_type_fits(Some(bad)), "{bad}");
    }
}

// Merging.

#[test]
fn j2_values_inside_win_and_those_outside_complete_them() {
    let form = merged(
        &[("scope", "openid"), ("state", "outer"), ("nonce", "outer"), ("prompt", "login")],
        json!({"state": "inner", "nonce": null, "redirect_uri": APP, "max_age": 60, "claims": {"userinfo": {"name": null}}}),
    )
    .unwrap();
    let one = |name: &str| form.one(name).unwrap().map(str::to_owned);
    assert_eq!(one("state").unwrap(), "inner");
    assert_eq!(one("nonce"), None, "said inside to be nothing");
    assert_eq!((one("scope").unwrap(), one("prompt").unwrap()), ("openid".into(), "login".into()));
    assert_eq!((one("max_age").unwrap(), one("redirect_uri").unwrap()), ("60".into(), APP.into()));
    assert_eq!(one("claims").unwrap(), r#"{"userinfo":{"name":null}}"#);
    assert!(!form.mentions("request"));
    let client = app();
    let target = authorize::identify(&form, Some(&client)).unwrap();
    let request = authorize::judge(&form, &client, target, Came { pushed: false, signed: true }).unwrap();
    assert_eq!((request.target.state(), request.max_age), (Some("inner"), Some(60)));
}

#[test]
fn j2_client_and_response_type_must_be_outside_and_equal() {
    assert_eq!(code(merged(&[("client_id", "")], json!({"client_id": "app"}))), OAuthCode::InvalidRequest);
    assert_eq!(code(merged(&[("client_id", "other")], json!({}))), OAuthCode::InvalidRequestObject);
    assert_eq!(code(merged(&[], json!({"client_id": "other"}))), OAuthCode::InvalidRequestObject);
    assert_eq!(code(merged(&[], json!({"response_type": "token"}))), OAuthCode::InvalidRequestObject);
    let missing = [("response_type", ""), ("scope", "openid")];
    assert_eq!(code(merged(&missing, json!({"response_type": "code"}))), OAuthCode::InvalidRequest);
    assert!(merged(&[("response_type", "token code")], json!({"response_type": "code token"})).is_ok());
    let bare = merged(&[("response_type", "")], json!({"client_id": "app", "response_type": "code"})).unwrap();
    assert_eq!(bare.one("response_type").unwrap(), Some("code"), "RFC 9101 §5");
}

#[test]
fn j3_the_redirect_uri_inside_is_the_one_that_counts() {
    let client = app();
    let outside = [("redirect_uri", APP), ("scope", "openid")];
    let form = merged(&outside, json!({"redirect_uri": "https://app.example.test/other"})).unwrap();
    assert_eq!(authorize::identify(&form, Some(&client)).unwrap_err(), authorize::PageError::RedirectUriUnregistered);
    let form = merged(&[("redirect_uri", "https://evil.test/")], json!({"redirect_uri": APP})).unwrap();
    assert_eq!(authorize::identify(&form, Some(&client)).unwrap().redirect_uri(), APP);
}

#[test]
fn m5_v4_q14_q15_where_the_rules_are_strict_nothing_outside_counts() {
    let inside = json!({
        "client_id": "app", "response_type": "code", "aud": ISSUER, "nbf": NOW - 10, "exp": NOW + 60, "scope": "openid"
    });
    for strictness in [Strictness::Jar, Strictness::Fapi] {
        let outside = [("state", "outer"), ("nonce", "outer"), ("scope", "a"), ("scope", "b"), ("redirect_uri", APP)];
        let form = merge_as(strictness, &outside, inside.clone()).unwrap();
        let names: Vec<&str> = form.pairs().map(|(name, _)| name).collect();
        assert_eq!(names, ["client_id", "response_type", "scope"]);
        assert_eq!(form.one("scope").unwrap(), Some("openid"));
        let mut nameless = inside.clone();
        nameless.as_object_mut().unwrap().remove("client_id");
        assert_eq!(code(merge_as(strictness, &[], nameless)), OAuthCode::InvalidRequestObject);
    }
}

#[test]
fn j7_attack_7_audience_and_issuer_must_be_us_and_the_client() {
    for good in [
        json!({}),
        json!({"aud": ISSUER, "iss": "app"}),
        json!({"aud": [ISSUER]}),
        json!({"aud": ["https://other", ISSUER]}),
    ] {
        assert!(merged(&[], good.clone()).is_ok(), "{good}");
    }
    for bad in [
        json!({"aud": "https://other"}),
        json!({"aud": ["https://other"]}),
        json!({"aud": []}),
        json!({"aud": 7}),
        json!({"aud": format!("{ISSUER}/")}),
        json!({"iss": "other"}),
        json!({"iss": 7}),
    ] {
        assert_eq!(code(merged(&[], bad.clone())), OAuthCode::InvalidRequestObject, "{bad}");
    }
}

#[test]
fn m4_attack_7_an_object_within_an_object_is_refused() {
    for name in ["request", "request_uri"] {
        assert_eq!(code(merged(&[], json!({name: "x"}))), OAuthCode::InvalidRequestObject);
        assert_eq!(code(merged(&[], json!({name: null}))), OAuthCode::InvalidRequestObject);
    }
}

#[test]
fn an_object_that_has_expired_or_is_not_valid_yet_is_refused() {
    for bad in [json!({"exp": NOW}), json!({"nbf": NOW + 61}), json!({"iat": NOW + 3600}), json!({"exp": "soon"})] {
        assert_eq!(code(merged(&[], bad.clone())), OAuthCode::InvalidRequestObject, "{bad}");
    }
    assert!(merged(&[], json!({"exp": NOW + 1, "nbf": NOW + 8, "iat": NOW})).is_ok());
}

#[test]
fn m3_fapi_objects_have_bounded_times() {
    let fapi = |changes: Value| {
        let mut claims = json!({
            "client_id": "app", "aud": ISSUER, "nbf": NOW - 10, "exp": NOW + 60, "response_type": "code"
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        merge_as(Strictness::Fapi, &[], claims)
    };
    assert!(fapi(json!({})).is_ok());
    assert!(fapi(json!({"nbf": NOW + 8})).is_ok(), "M-2");
    assert!(fapi(json!({"nbf": NOW - 3600, "exp": NOW - 3600 + 3601})).is_err());
    for bad in [
        json!({"exp": null}),
        json!({"nbf": null}),
        json!({"aud": null}),
        json!({"nbf": NOW - 3601, "exp": NOW + 1}),
        json!({"exp": NOW - 10 + 3601}),
        json!({"exp": NOW - 300}),
        json!({"nbf": NOW + 70, "exp": NOW + 100}),
    ] {
        assert_eq!(code(fapi(bad.clone())), OAuthCode::InvalidRequestObject, "{bad}");
    }
}

#[test]
fn parameters_inside_that_could_be_none_are_refused_and_unknown_ones_passed_over() {
    for bad in [
        json!({"scope": ["openid"]}),
        json!({"state": {"a": 1}}),
        json!({"resource": [7]}),
        json!({"nonce": "a\u{0}b"}),
        json!({"login_hint": "x".repeat(LIMITS.value + 1)}),
        json!({"n".repeat(200): "x"}),
        (0..70).map(|n| (format!("p{n}"), json!("x"))).collect::<Map<_, _>>().into(),
    ] {
        assert_eq!(code(merged(&[], bad)), OAuthCode::InvalidRequestObject);
    }
    let form = merged(
        &[("resource", "https://outer")],
        json!({"jti": "1", "sub": "x", "odd": {"a": 1}, "more": [1], "flag": true, "resource": ["https://a", "https://b"]}),
    )
    .unwrap();
    let names: Vec<&str> = form.pairs().map(|(name, _)| name).collect();
    assert_eq!(names, ["client_id", "response_type", "flag", "resource", "resource"]);
    assert_eq!(form.many("resource").collect::<Vec<_>>(), ["https://a", "https://b"]);
    let registers =
        merged(&[("scope", "openid")], json!({"registration": {"client_name": "x"}, "redirect_uri": APP})).unwrap();
    let client = app();
    let target = authorize::identify(&registers, Some(&client)).unwrap();
    let refused = authorize::judge(&registers, &client, target, Came::default()).unwrap_err();
    assert_eq!(refused.code(), OAuthCode::RegistrationNotSupported);
}

#[test]
fn attack_3_repeated_parameters_outside_are_refused_where_they_would_count() {
    assert_eq!(code(merged(&[("scope", "a"), ("scope", "b")], json!({"scope": "c"}))), OAuthCode::InvalidRequest);
}

proptest! {
    #[test]
    fn arbitrary_tokens_make_no_panic(text in "[A-Za-z0-9._-]{0,60}|.{0,40}", header in "[{}\":,a-z]{0,30}", body in "[{}\":,a-z0-9]{0,30}") {
        let registered = client(json!({"request_object_signing_alg": "none"}));
        let made = format!("{}.{}.", encode_url(&header), encode_url(&body));
        for jwt in [&text, &made] {
            let _ = open(jwt, &[key(&OWN)], &needed(&registered, Strictness::Core));
            let _ = open(jwt, &[key(&OWN)], &needed(&app(), Strictness::Core));
            let _ = is_encrypted(jwt);
            let _ = content_fits(jwt, jwt.as_bytes());
            let _ = media_type_fits(Some(jwt));
        }
    }

    #[test]
    fn what_is_inside_is_never_overridden(
        name in "(state|nonce|scope|redirect_uri|login_hint|code_challenge)", inside in "[a-z]{1,8}", outside in "[a-z]{1,8}",
        strict in any::<bool>(),
    ) {
        let strictness = if strict { Strictness::Jar } else { Strictness::Core };
        let form = merge_as(strictness, &[(name.as_str(), outside.as_str())], json!({"client_id": "app", name.as_str(): inside.clone()})).unwrap();
        prop_assert_eq!(form.one(&name).unwrap(), Some(inside.as_str()));
    }
}
