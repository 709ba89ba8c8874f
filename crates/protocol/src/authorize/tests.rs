#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::form::Form;
use crate::oauth_error::{OAuthCode, Rejection};
use crate::records::Client;
use proptest::prelude::*;
use serde_json::json;

const ISSUER: &str = "https://login.example.test/oauth2";
const APP: &str = "https://app.example.test/cb";
const QUERY: &str = "https://app.example.test/cb?tenant=a%20b&x";
// RFC 7636 App. B
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A confidential web client with everything on.
fn client(change: impl FnOnce(&mut Client)) -> Client {
    let mut client: Client = serde_json::from_value(json!({
        "id": "app", "grant_types": ["authorization_code", "implicit", "refresh_token"],
        "redirect_uris": [APP, QUERY]
    }))
    .unwrap();
    change(&mut client);
    client
}

fn app() -> Client {
    client(|_| {})
}

/// The usual request, with parameters replaced, added, or (empty) taken away.
fn form(changes: &[(&str, &str)]) -> Form {
    let mut pairs: Vec<(String, String)> = [
        ("client_id", "app"),
        ("redirect_uri", APP),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", "s t&a=te"),
        ("nonce", "n"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    for (name, _) in changes {
        pairs.retain(|(known, _)| known != name);
    }
    let added = changes.iter().filter(|(_, value)| !value.is_empty());
    pairs.extend(added.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Form::from_pairs(pairs)
}

fn page(form: &Form, client: Option<&Client>) -> PageError {
    identify(form, client).unwrap_err()
}

fn decide(form: &Form, client: &Client) -> Result<AuthorizationRequest, RedirectError> {
    judge(form, client, identify(form, Some(client)).unwrap(), Came::default())
}

fn accepted(changes: &[(&str, &str)], client: &Client) -> AuthorizationRequest {
    decide(&form(changes), client).unwrap()
}

fn refused(changes: &[(&str, &str)], client: &Client) -> OAuthCode {
    decide(&form(changes), client).unwrap_err().code()
}

/// Where a refusal goes, as the browser sees it.
fn goes_to(changes: &[(&str, &str)], client: &Client) -> String {
    match decide(&form(changes), client).unwrap_err().answer(ISSUER).deliver() {
        Delivery::Redirect(uri) => uri,
        Delivery::Post { action, .. } => format!("post {action}"),
    }
}

fn issued() -> Issued {
    let access_token = AccessToken {
        token: "to+ken".into(),
        token_type: "Bearer",
        expires_in: 3600,
        scope: vec!["openid".into(), "email".into()],
    };
    Issued {
        code: Some("co de".into()),
        access_token: Some(access_token),
        id_token: Some("a.b.c".into()),
        ..Issued::default()
    }
}

fn parse_pairs(encoded: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded.as_bytes()).into_owned().collect()
}

// Before the redirect URI is trusted.

#[test]
fn r1_nothing_is_redirected_before_client_and_uri_are_known() {
    let app = app();
    assert_eq!(page(&form(&[("client_id", "")]), Some(&app)), PageError::ClientIdMissing);
    assert_eq!(page(&form(&[]), None), PageError::UnknownClient);
    assert_eq!(page(&form(&[("client_id", "other")]), Some(&app)), PageError::UnknownClient);
    assert_eq!(page(&form(&[]), Some(&client(|c| c.enabled = false))), PageError::UnknownClient);
    assert_eq!(page(&form(&[]), Some(&client(|c| c.redirect_uris.clear()))), PageError::RedirectUriUnregistered);
    assert_eq!(read(b"client_id=%ff"), Err(PageError::Unreadable));
    assert_eq!(read(&[b'a'; 70_000]), Err(PageError::Unreadable));
}

#[test]
fn r1_a_repeated_client_or_uri_stays_on_our_page() {
    let twice = |name: &str, value: &str| {
        let pairs: Vec<_> = form(&[]).pairs().chain([(name, value)]).map(|(n, v)| (n.into(), v.into())).collect();
        Form::from_pairs(pairs)
    };
    assert_eq!(page(&twice("client_id", "app"), Some(&app())), PageError::UnknownClient);
    assert_eq!(page(&twice("redirect_uri", APP), Some(&app())), PageError::RedirectUriUnregistered);
}

#[test]
fn a5_an_extra_path_segment_is_refused_on_our_page() {
    let error = page(&form(&[("redirect_uri", "https://app.example.test/cb/more")]), Some(&app()));
    assert_eq!((error, error.message_id()), (PageError::RedirectUriUnregistered, "CSIAQ0167E"));
}

#[test]
fn a7_query_added_to_a_registered_uri_is_refused() {
    for uri in [
        "https://app.example.test/cb?x=1",
        "https://app.example.test/cb?",
        "https://app.example.test/cb?tenant=a%20b",
        "https://app.example.test/cb?tenant=a+b&x",
        "https://app.example.test/cb?x&tenant=a%20b",
        "https://app.example.test/cb?tenant=a%20b&x&y",
    ] {
        assert_eq!(page(&form(&[("redirect_uri", uri)]), Some(&app())), PageError::RedirectUriUnregistered, "{uri}");
    }
}

#[test]
fn a8_openid_without_redirect_uri_stays_on_our_page_however_many_are_registered() {
    let one = client(|c| c.redirect_uris = vec![APP.into()]);
    for app in [&one, &app(), &client(|c| c.redirect_uris.clear())] {
        assert_eq!(page(&form(&[("redirect_uri", "")]), Some(app)), PageError::RedirectUriMissing);
    }
    let implicit = form(&[("redirect_uri", ""), ("scope", ""), ("response_type", "id_token token")]);
    assert_eq!(page(&implicit, Some(&one)), PageError::RedirectUriMissing);
}

#[test]
fn a8_plain_oauth_may_leave_out_the_only_registered_uri() {
    let one = client(|c| c.redirect_uris = vec![APP.into()]);
    let request = accepted(&[("redirect_uri", ""), ("scope", "orders")], &one);
    assert_eq!((request.target.redirect_uri(), request.target.redirect_uri_to_repeat()), (APP, None));
    let request = accepted(&[("scope", "orders")], &one);
    assert_eq!(request.target.redirect_uri_to_repeat(), Some(APP));
    assert_eq!(page(&form(&[("redirect_uri", ""), ("scope", "orders")]), Some(&app())), PageError::RedirectUriMissing);
}

#[test]
fn attack_1_loopback_ports_are_free_for_native_clients_only() {
    let native = client(|c| {
        c.native = true;
        c.redirect_uris = vec!["http://127.0.0.1/cb".into()];
    });
    let free = [("redirect_uri", "http://127.0.0.1:49152/cb")];
    assert_eq!(accepted(&free, &native).target.redirect_uri(), "http://127.0.0.1:49152/cb");
    let web = client(|c| c.redirect_uris = native.redirect_uris.clone());
    assert_eq!(page(&form(&free), Some(&web)), PageError::RedirectUriUnregistered);
    for bad in ["http://127.0.0.1.evil.test/cb", "http://127.0.0.1:1@evil.test/cb", "http://localhost:1/cb"] {
        assert_eq!(page(&form(&[("redirect_uri", bad)]), Some(&native)), PageError::RedirectUriUnregistered, "{bad}");
    }
}

#[test]
fn a_register_filled_by_other_means_makes_no_odd_redirect() {
    for odd in [
        "https://app.example.test/cb#x",
        "https://app.example.test/\r\nset-cookie:a",
        "https://ä.test/",
        "https://a b/",
    ] {
        let app = client(|c| c.redirect_uris = vec![odd.into()]);
        assert_eq!(page(&form(&[("redirect_uri", odd)]), Some(&app)), PageError::RedirectUriUnregistered, "{odd:?}");
    }
}

#[test]
fn o3_each_page_error_has_its_own_id_and_phrase() {
    let all = [
        PageError::Unreadable,
        PageError::ClientIdMissing,
        PageError::UnknownClient,
        PageError::RedirectUriMissing,
        PageError::RedirectUriUnregistered,
        PageError::UnknownRequestUri,
    ];
    let ids: BTreeSet<&str> = all.iter().map(|error| error.id()).collect();
    let phrases: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
    assert_eq!((ids.len(), phrases.len()), (all.len(), all.len()));
}

// After it: errors go back by the way in force.

#[test]
fn r2_errors_go_back_by_the_way_in_force() {
    let wrong = |mode: &str, kind: &str| {
        goes_to(&[("response_mode", mode), ("response_type", kind), ("prompt", "none login")], &app())
    };
    assert!(wrong("", "code").starts_with("https://app.example.test/cb?error=invalid_request&"));
    assert!(wrong("", "id_token").starts_with("https://app.example.test/cb#error=invalid_request&"));
    assert!(wrong("", "token code").starts_with("https://app.example.test/cb#error="));
    assert!(wrong("fragment", "code").starts_with("https://app.example.test/cb#error="));
    assert_eq!(wrong("form_post", "code"), "post https://app.example.test/cb");
    assert_eq!(wrong("form_post", "code id_token"), "post https://app.example.test/cb");
}

#[test]
fn r2_s3_an_error_carries_state_and_issuer() {
    let error = decide(&form(&[("prompt", "none login")]), &app()).unwrap_err();
    let answer = error.answer(ISSUER);
    let names: Vec<&str> = answer.pairs().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["error", "error_description", "state", "iss"]);
    assert_eq!((answer.pairs()[2].1.as_str(), answer.pairs()[3].1.as_str()), ("s t&a=te", ISSUER));
    let stateless = decide(&form(&[("prompt", "none login"), ("state", "")]), &app()).unwrap_err();
    assert!(stateless.answer(ISSUER).pairs().iter().all(|(name, _)| *name != "state"));
}

#[test]
fn a4_a_missing_response_type_goes_back_in_the_query() {
    let uri = goes_to(&[("response_type", "")], &app());
    assert!(uri.starts_with("https://app.example.test/cb?error=invalid_request&"), "{uri}");
    for unknown in ["device", "code code", "code none", "Code"] {
        assert_eq!(refused(&[("response_type", unknown)], &app()), OAuthCode::UnsupportedResponseType, "{unknown}");
    }
}

#[test]
fn s1_attack_4_query_is_refused_for_tokens_and_the_error_avoids_it() {
    for kind in ["token", "id_token", "id_token token", "code token", "code id_token", "code id_token token"] {
        let changes = [("response_type", kind), ("response_mode", "query")];
        assert_eq!(refused(&changes, &app()), OAuthCode::InvalidRequest, "{kind}");
        assert!(goes_to(&changes, &app()).starts_with("https://app.example.test/cb#error="), "{kind}");
    }
    assert_eq!(accepted(&[("response_mode", "query")], &app()).target.mode(), ResponseMode::Query);
    assert_eq!(refused(&[("response_mode", "carrier_pigeon")], &app()), OAuthCode::InvalidRequest);
}

#[test]
fn s1_the_default_way_follows_the_response_type() {
    for kind in ResponseType::ALL {
        let expected = if kind.has_tokens() { ResponseMode::Fragment } else { ResponseMode::Query };
        assert_eq!(accepted(&[("response_type", kind.as_str())], &app()).target.mode(), expected, "{kind}");
    }
}

#[test]
fn attack_4_response_types_and_modes_the_client_may_not_use_are_refused() {
    let code_only = client(|c| {
        c.grant_types.remove("implicit");
    });
    for kind in ["token", "id_token", "id_token token", "code token", "code id_token", "code id_token token"] {
        assert_eq!(refused(&[("response_type", kind)], &code_only), OAuthCode::UnauthorizedClient, "{kind}");
    }
    let implicit_only = client(|c| {
        c.grant_types.remove("authorization_code");
    });
    assert_eq!(refused(&[], &implicit_only), OAuthCode::UnauthorizedClient);
    assert_eq!(refused(&[("response_type", "code token")], &implicit_only), OAuthCode::UnauthorizedClient);
    let posts = client(|c| c.response_modes = vec!["form_post".into()]);
    assert_eq!(refused(&[], &posts), OAuthCode::UnauthorizedClient, "the default is not on its list");
    assert_eq!(refused(&[("response_mode", "fragment")], &posts), OAuthCode::UnauthorizedClient);
    assert!(goes_to(&[("response_mode", "fragment")], &posts).starts_with("https://app.example.test/cb?error="));
    assert_eq!(accepted(&[("response_mode", "form_post")], &posts).target.mode(), ResponseMode::FormPost);
}

#[test]
fn attack_3_any_parameter_twice_is_refused() {
    for (name, value) in [("scope", "openid"), ("state", "x"), ("response_type", "code"), ("unheard_of", "1")] {
        let extra = [(name, value), (name, value)];
        let pairs: Vec<_> = form(&[(name, "")]).pairs().chain(extra).map(|(n, v)| (n.into(), v.into())).collect();
        let error = decide(&Form::from_pairs(pairs), &app()).unwrap_err();
        assert_eq!(error.code(), OAuthCode::InvalidRequest, "{name}");
        assert_eq!(error.target.state().is_some(), name != "state", "no `state` is chosen of two");
    }
    let pairs: Vec<_> =
        form(&[]).pairs().chain([("response_type", "token")]).map(|(n, v)| (n.into(), v.into())).collect();
    let error = decide(&Form::from_pairs(pairs), &app()).unwrap_err();
    assert_eq!(error.target.mode(), ResponseMode::Fragment, "one of the two has tokens");
}

#[test]
fn attack_3_no_answer_has_a_parameter_twice() {
    let odd = "https://app.example.test/cb?state=fixed&keep=1&c%6fde=old&iss=evil&error=old&flag&+state=2";
    let app = client(|c| c.redirect_uris = vec![odd.into()]);
    for (mode, kind) in [("query", "code"), ("fragment", "code"), ("form_post", "code")] {
        let request = accepted(&[("redirect_uri", odd), ("response_mode", mode), ("response_type", kind)], &app);
        let answer = request.target.grant(ISSUER, Issued { code: Some("new".into()), ..Issued::default() });
        let (Delivery::Redirect(uri) | Delivery::Post { action: uri, .. }) = answer.deliver();
        assert!(uri.starts_with("https://app.example.test/cb?keep=1&flag&+state=2"), "{uri}");
        let query = uri.split('#').next().unwrap().split_once('?').unwrap().1;
        let names: Vec<String> = parse_pairs(query).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}

// Parameters.

#[test]
fn a2_a3_a14_order_and_unknown_parameters_mean_nothing() {
    let one = accepted(&[], &app());
    let mut pairs: Vec<(String, String)> = form(&[]).pairs().map(|(n, v)| (n.into(), v.into())).collect();
    pairs.reverse();
    assert_eq!(decide(&Form::from_pairs(pairs), &app()).unwrap(), one);
    let beside =
        [("resource", "https://api.example.test"), ("dpop_jkt", "x"), ("audience", "y"), ("vendor_thing", "<script>")];
    assert_eq!(accepted(&beside, &app()), one);
    let query = b"state=s+t%26a%3Dte&nonce=n&scope=openid&response_type=code&client_id=app&redirect_uri=https%3A%2F%2Fapp.example.test%2Fcb";
    assert_eq!(decide(&read(query).unwrap(), &app()).unwrap(), one, "A-1");
}

#[test]
fn a9_h2_nonce_is_demanded_where_an_id_token_leaves_by_the_browser() {
    assert_eq!(accepted(&[("nonce", "")], &app()).nonce, None);
    for kind in ["id_token", "id_token token", "code id_token", "code id_token token"] {
        let changes = [("nonce", ""), ("response_type", kind)];
        assert_eq!(refused(&changes, &app()), OAuthCode::InvalidRequest, "{kind}");
        assert!(goes_to(&changes, &app()).starts_with("https://app.example.test/cb#error=invalid_request"), "{kind}");
    }
}

#[test]
fn h3_code_token_needs_no_nonce() {
    assert_eq!(accepted(&[("nonce", ""), ("response_type", "code token")], &app()).nonce, None);
    assert_eq!(accepted(&[("nonce", ""), ("response_type", "token"), ("scope", "email")], &app()).nonce, None);
}

#[test]
fn an_id_token_needs_the_scope_openid() {
    for kind in ["id_token", "code id_token"] {
        assert_eq!(refused(&[("scope", "email"), ("response_type", kind)], &app()), OAuthCode::InvalidRequest);
    }
    assert!(!accepted(&[("scope", "email")], &app()).is_openid());
    assert_eq!(refused(&[("scope", "a\"b")], &app()), OAuthCode::InvalidScope);
}

#[test]
fn a10_a11_long_state_and_nonce_come_back_unchanged_and_absurd_ones_are_refused() {
    let legal: String = (0x20..=0x7e).map(|b: u8| char::from(b)).cycle().take(4096).collect();
    let request = accepted(&[("state", &legal), ("nonce", &legal[..2048])], &app());
    assert_eq!((request.target.state(), request.nonce.as_deref()), (Some(legal.as_str()), Some(&legal[..2048])));
    assert_eq!(refused(&[("state", &"x".repeat(4097))], &app()), OAuthCode::InvalidRequest);
    assert!(!goes_to(&[("state", &"x".repeat(4097))], &app()).contains("xxx"));
    assert_eq!(refused(&[("nonce", &"x".repeat(2049))], &app()), OAuthCode::InvalidRequest);
}

#[test]
fn a12_pkce_works_for_clients_that_need_not_use_it() {
    let pkce = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
    assert_eq!(accepted(&pkce, &app()).challenge.unwrap().value, CHALLENGE);
    assert_eq!(accepted(&[], &app()).challenge, None);
}

#[test]
fn attack_11_pkce_is_demanded_and_never_downgraded() {
    let public = client(|c| c.auth_method = crate::records::ClientAuthMethod::None);
    let strict = client(|c| c.require_pkce = true);
    for app in [&public, &strict] {
        assert_eq!(refused(&[], app), OAuthCode::InvalidRequest);
        assert_eq!(refused(&[("response_type", "code token")], app), OAuthCode::InvalidRequest);
        assert_eq!(accepted(&[("response_type", "token"), ("scope", "email")], app).challenge, None, "no code, no key");
    }
    for app in [&app(), &public, &strict] {
        assert_eq!(refused(&[("code_challenge_method", "S256")], app), OAuthCode::InvalidRequest, "no challenge");
        for method in ["", "plain", "s256", "S512"] {
            let changes = [("code_challenge", CHALLENGE), ("code_challenge_method", method)];
            assert_eq!(refused(&changes, app), OAuthCode::InvalidRequest, "{method}");
        }
        let short = [("code_challenge", "AAAA"), ("code_challenge_method", "S256")];
        assert_eq!(refused(&short, app), OAuthCode::InvalidRequest);
    }
    let lax = client(|c| c.allow_plain_pkce = true);
    assert!(accepted(&[("code_challenge", CHALLENGE)], &lax).challenge.is_some());
}

#[test]
fn p4_prompt_none_with_others_is_refused() {
    assert_eq!(refused(&[("prompt", "none consent")], &app()), OAuthCode::InvalidRequest);
    assert_eq!(refused(&[("prompt", "dance")], &app()), OAuthCode::InvalidRequest);
    let request = accepted(&[("prompt", "login consent")], &app());
    assert!(request.asks(Prompt::Login) && request.asks(Prompt::Consent) && !request.asks(Prompt::None));
}

#[test]
fn p1_p5_p7_freshness_is_what_prompt_and_max_age_say() {
    let fresh = |changes: &[(&str, &str)]| accepted(changes, &app()).freshness();
    assert_eq!(fresh(&[]), Freshness::Any);
    assert_eq!(fresh(&[("max_age", "1")]), Freshness::Within(1));
    assert_eq!(fresh(&[("max_age", "0")]), Freshness::New);
    assert_eq!(fresh(&[("prompt", "login"), ("max_age", "10000")]), Freshness::New);
    assert!(accepted(&[("max_age", "10000")], &app()).wants_auth_time());
    assert!(!accepted(&[], &app()).wants_auth_time());
    let claims = [("claims", r#"{"id_token":{"auth_time":{"essential":true}}}"#)];
    assert!(accepted(&claims, &app()).wants_auth_time());
    for bad in ["-1", "soon", "1.5"] {
        assert_eq!(refused(&[("max_age", bad)], &app()), OAuthCode::InvalidRequest, "{bad}");
    }
    let usual = client(|c| c.default_max_age = Some(60));
    assert_eq!(accepted(&[], &usual).freshness(), Freshness::Within(60));
    assert_eq!(accepted(&[("max_age", "5")], &usual).freshness(), Freshness::Within(5));
}

#[test]
fn p10_p11_p12_p13_wishes_are_never_an_error() {
    let long = "x".repeat(5000);
    let many = (0..100).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    for (name, value) in [
        ("login_hint", "nobody@example.test"),
        ("login_hint", r#"{"realm":"#),
        ("login_hint", &long),
        ("display", "page"),
        ("display", "popup"),
        ("display", "touch"),
        ("display", "wap"),
        ("display", "hologram"),
        ("ui_locales", "de-CH en xx-invalid--"),
        ("ui_locales", &many),
        ("claims_locales", &long),
        ("acr_values", "1 2"),
        ("acr_values", &many),
    ] {
        let request = accepted(&[(name, value)], &app());
        assert!(request.ui_locales.len() <= 16 && request.claims_locales.len() <= 16, "{name}");
        assert!(request.acr.is_none_or(|acr| !acr.essential && acr.values.len() <= 16));
    }
    assert_eq!(accepted(&[("ui_locales", "de en de")], &app()).ui_locales, ["de", "en"]);
    assert_eq!(accepted(&[("display", "popup")], &app()).display, Some(Display::Popup));
}

#[test]
fn p14_an_essential_acr_goes_before_acr_values_and_defaults() {
    let defaults = client(|c| c.default_acr_values = vec!["d".into()]);
    let values =
        |changes: &[(&str, &str)], app: &Client| accepted(changes, app).acr.map(|acr| (acr.values, acr.essential));
    let essential = r#"{"id_token":{"acr":{"essential":true,"values":["e"]}}}"#;
    let wish = r#"{"id_token":{"acr":{"values":["c"]}}}"#;
    assert_eq!(values(&[], &app()), None);
    assert_eq!(values(&[], &defaults), Some((vec!["d".into()], false)));
    assert_eq!(values(&[("acr_values", "a b")], &defaults), Some((vec!["a".into(), "b".into()], false)));
    assert_eq!(values(&[("acr_values", "a"), ("claims", essential)], &defaults), Some((vec!["e".into()], true)));
    assert_eq!(values(&[("claims", wish)], &app()), Some((vec!["c".into()], false)));
    assert_eq!(refused(&[("claims", "[]")], &app()), OAuthCode::InvalidRequest);
}

#[test]
fn j1_what_is_not_offered_is_said() {
    for (name, code) in [
        ("request", OAuthCode::RequestNotSupported),
        ("request_uri", OAuthCode::RequestUriNotSupported),
        ("registration", OAuthCode::RegistrationNotSupported),
    ] {
        assert_eq!(refused(&[(name, "x")], &app()), code);
        assert!(goes_to(&[(name, "x")], &app()).contains(code.as_str()));
    }
    let pairs: Vec<_> = form(&[]).pairs().chain([("request", "")]).map(|(n, v)| (n.into(), v.into())).collect();
    assert_eq!(decide(&Form::from_pairs(pairs), &app()).unwrap_err().code(), OAuthCode::RequestNotSupported);
}

#[test]
fn q13_m1_clients_that_must_push_or_sign_are_held_to_it() {
    let came = |pushed, signed| Came { pushed, signed };
    let decide = |client: &Client, came| {
        let form = form(&[]);
        judge(&form, client, identify(&form, Some(client)).unwrap(), came).map_err(|error| error.code())
    };
    let pushes = client(|c| c.require_par = true);
    assert_eq!(decide(&pushes, came(false, true)).unwrap_err(), OAuthCode::InvalidRequest);
    assert!(decide(&pushes, came(true, false)).is_ok());
    let signs = client(|c| c.require_signed_request_object = true);
    assert_eq!(decide(&signs, came(true, false)).unwrap_err(), OAuthCode::InvalidRequest);
    assert!(decide(&signs, came(false, true)).is_ok());
}

#[test]
fn a14_resources_count_only_for_clients_that_have_some() {
    let app = client(|c| c.audiences = vec!["https://api.example.test".into()]);
    assert_eq!(accepted(&[("resource", "https://api.example.test")], &app).resource, ["https://api.example.test"]);
    assert_eq!(refused(&[("resource", "https://other.example.test")], &app), OAuthCode::InvalidTarget);
    let both = [("resource", "https://api.example.test"), ("resource", "https://other.example.test")];
    assert_eq!(refused(&both, &app), OAuthCode::InvalidTarget);
}

#[test]
fn q51_authorization_details_are_objects_with_a_type() {
    let details = |text: &str| decide(&form(&[("authorization_details", text)]), &app());
    assert!(details(r#"[{"type":"payment","amount":1}]"#).unwrap().authorization_details.is_some());
    for bad in ["[]", "{}", "[1]", r#"[{"type":""}]"#, r#"[{"type":7}]"#, r#"[{"amount":1}]"#, "x"] {
        assert_eq!(details(bad).unwrap_err().code(), OAuthCode::InvalidAuthorizationDetails, "{bad}");
    }
}

#[test]
fn a_stored_request_is_the_same_request() {
    let request = accepted(
        &[
            ("login_hint", r#"{"realm":"b","username":"x"}"#),
            ("claims", r#"{"userinfo":{"name":{"essential":true}},"id_token":{"acr":{"essential":true,"value":"2"}}}"#),
            ("prompt", "login consent"),
            ("max_age", "7"),
            ("display", "touch"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("response_type", "token code"),
            ("response_mode", "form_post"),
            ("authorization_details", r#"[{"type":"a"}]"#),
        ],
        &app(),
    );
    let stored = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<AuthorizationRequest>(&stored).unwrap(), request);
    let shown = format!("{request:?}");
    assert!(!shown.contains("s t&a=te") && !shown.contains("username"), "{shown}");
}

// Answers.

#[test]
fn a6_the_query_of_a_registered_uri_is_kept_and_added_to() {
    let request = accepted(&[("redirect_uri", QUERY)], &app());
    let answer = request.target.grant(ISSUER, Issued { code: Some("c".into()), ..Issued::default() });
    let Delivery::Redirect(uri) = answer.deliver() else { panic!("no redirect") };
    assert_eq!(
        uri,
        "https://app.example.test/cb?tenant=a%20b&x&code=c&state=s%20t%26a%3Dte&iss=https%3A%2F%2Flogin.example.test%2Foauth2"
    );
    let request = accepted(&[("redirect_uri", QUERY), ("response_mode", "fragment")], &app());
    let answer = request.target.grant(ISSUER, Issued { code: Some("c".into()), ..Issued::default() });
    let Delivery::Redirect(uri) = answer.deliver() else { panic!("no redirect") };
    assert!(uri.starts_with("https://app.example.test/cb?tenant=a%20b&x#code=c&state="), "{uri}");
}

#[test]
fn s3_s4_a_success_has_what_is_defined_and_the_issuer() {
    let names = |kind: &str, issued: Issued| -> Vec<&'static str> {
        let answer = accepted(&[("response_type", kind)], &app()).target.grant(ISSUER, issued);
        answer.pairs().iter().map(|(name, _)| *name).collect()
    };
    assert_eq!(names("code", Issued { code: Some("c".into()), ..Issued::default() }), ["code", "state", "iss"]);
    assert_eq!(names("none", Issued::default()), ["state", "iss"]);
    assert_eq!(
        names("code id_token token", Issued { session_state: Some("x.y".into()), ..issued() }),
        ["code", "access_token", "token_type", "expires_in", "scope", "id_token", "session_state", "state", "iss"]
    );
}

#[test]
fn h5_an_access_token_comes_with_its_type_and_lifetime() {
    let answer = accepted(&[("response_type", "code token")], &app()).target.grant(ISSUER, issued());
    assert_eq!(answer.mode(), ResponseMode::Fragment);
    let Delivery::Redirect(uri) = answer.deliver() else { panic!("no redirect") };
    let (front, fragment) = uri.split_once('#').unwrap();
    assert_eq!(front, APP);
    let pairs = parse_pairs(fragment);
    for expected in [
        ("access_token", "to+ken"),
        ("token_type", "Bearer"),
        ("expires_in", "3600"),
        ("scope", "openid email"),
        ("code", "co de"),
    ] {
        assert!(pairs.iter().any(|(name, value)| (name.as_str(), value.as_str()) == expected), "{expected:?}");
    }
}

#[test]
fn s6_form_post_has_the_same_parameters() {
    let request = accepted(
        &[("response_mode", "form_post"), ("response_type", "code id_token"), ("redirect_uri", QUERY)],
        &app(),
    );
    let answer = request.target.grant(ISSUER, issued());
    let pairs = answer.pairs().to_vec();
    assert_eq!(answer.deliver(), Delivery::Post { action: QUERY.into(), fields: pairs });
}

#[test]
fn no_answer_is_shown_in_a_log() {
    let answer = accepted(&[("response_type", "code token")], &app()).target.grant(ISSUER, issued());
    assert!(!format!("{answer:?}").contains("co de") && !format!("{:?}", answer.deliver()).contains("to+ken"));
}

fn delivered(answer: Answer) -> (String, Vec<(String, String)>) {
    let mode = answer.mode();
    match answer.deliver() {
        Delivery::Post { action, fields } => (action, fields.into_iter().map(|(n, v)| (n.to_owned(), v)).collect()),
        Delivery::Redirect(uri) => {
            let split = uri.split_once(if mode == ResponseMode::Query { '?' } else { '#' });
            let (front, pairs) = split.map_or((uri.as_str(), ""), |(front, pairs)| (front, pairs));
            (front.to_owned(), parse_pairs(pairs))
        }
    }
}

proptest! {
    #[test]
    fn an_answer_reads_back_as_exactly_its_parameters(
        code in "\\PC{0,40}", state in "\\PC{1,40}", token in proptest::option::of("\\PC{0,40}"),
        issuer in "\\PC{0,40}", mode in 0..3usize,
    ) {
        let mode = ResponseMode::ALL[mode].as_str();
        let kind = if token.is_some() { "code id_token" } else { "code" };
        let mode = if token.is_some() && mode == "query" { "fragment" } else { mode };
        let request = accepted(&[("state", &state), ("response_mode", mode), ("response_type", kind)], &app());
        let answer = request.target.grant(&issuer, Issued { code: Some(code), id_token: token, ..Issued::default() });
        let sent: Vec<(String, String)> = answer.pairs().iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        let (front, back) = delivered(answer);
        prop_assert_eq!(front, APP);
        prop_assert_eq!(back, sent);
    }

    #[test]
    fn a_redirect_never_goes_where_nothing_is_registered(
        uri in "(https?|com.app)(:|://)(app.example.test|evil.test|127\\.0\\.0\\.1|\\[::1\\])?[:@/?#.\\\\a-z0-9]{0,12}",
        native in any::<bool>(), issuer in ".{0,20}",
    ) {
        let app = client(|c| {
            c.native = native;
            c.redirect_uris.push("http://127.0.0.1/cb".into());
        });
        if let Ok(target) = identify(&form(&[("redirect_uri", &uri)]), Some(&app)) {
            let error = target.refuse(Rejection::invalid_request("x"));
            let (Delivery::Redirect(to) | Delivery::Post { action: to, .. }) = error.answer(&issuer).deliver();
            let known = app.redirect_uris.iter().any(|known| to.starts_with(known.as_str()));
            prop_assert!(known || native && to.starts_with("http://127.0.0.1:"), "{}", to);
            prop_assert!(to.bytes().all(|b| b.is_ascii_graphic()), "{}", to);
        }
    }

    #[test]
    fn a_registered_uri_keeps_every_parameter_that_is_not_ours(query in "[a-z%0-9=&+]{0,30}") {
        let uri = format!("{APP}?{query}");
        let app = client(|c| c.redirect_uris = vec![uri.clone()]);
        let target = identify(&form(&[("redirect_uri", &uri)]), Some(&app)).unwrap();
        let answer = target.grant(ISSUER, Issued { code: Some("c".into()), ..Issued::default() });
        let Delivery::Redirect(to) = answer.deliver() else { panic!("no redirect") };
        let pairs = parse_pairs(to.split_once('?').unwrap().1);
        for name in ["code", "state", "iss"] {
            prop_assert_eq!(pairs.iter().filter(|(known, _)| known == name).count(), 1, "{}", to);
        }
        for part in query.split('&').filter(|part| !part.starts_with("code") && !part.contains('%')) {
            prop_assert!(to.contains(part));
        }
    }

    #[test]
    fn arbitrary_bytes_make_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(form) = read(&bytes) {
            let _ = client_id_of(&form);
            let _ = identify(&form, Some(&app()));
        }
    }

    #[test]
    fn arbitrary_parameters_make_no_panic(
        pairs in proptest::collection::vec((
            proptest::sample::select(vec![
                "response_type", "response_mode", "scope", "state", "nonce", "prompt", "max_age", "login_hint", "claims",
                "id_token_hint", "acr_values", "display", "ui_locales", "code_challenge", "code_challenge_method",
                "resource", "authorization_details", "request", "registration", "client_id", "redirect_uri",
            ]),
            "(code|token|id_token|none|openid|query|fragment|[{}\\[\\]\":0-9a-z ]{0,20}|.{0,20})",
        ), 0..12)
    ) {
        let own = [("client_id".to_owned(), "app".to_owned()), ("redirect_uri".to_owned(), APP.to_owned())];
        let form = Form::from_pairs(own.into_iter().chain(pairs.into_iter().map(|(n, v)| (n.to_owned(), v))));
        if let Ok(target) = identify(&form, Some(&app())) {
            match judge(&form, &app(), target, Came::default()) {
                Ok(request) => prop_assert!(!request.response_type.has_tokens() || request.target.mode() != ResponseMode::Query),
                Err(error) => {
                    let (front, pairs) = delivered(error.answer(ISSUER));
                    prop_assert_eq!(front, APP);
                    prop_assert!(pairs.iter().any(|(name, _)| name == "error"));
                }
            }
        }
    }
}
