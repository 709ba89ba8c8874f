#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use proptest::prelude::*;

const BYE: &str = "https://app.example.test/bye";
const BYE_QUERY: &str = "https://app.example.test/bye?from=op&state=old";

fn app() -> Client {
    serde_json::from_value(json!({
        "id": "app", "post_logout_redirect_uris": [BYE, BYE_QUERY],
        "frontchannel_logout_uri": "https://app.example.test/out?x=1&sid=2", "frontchannel_logout_session_required": true
    }))
    .unwrap()
}

fn request(parameters: &[(&str, &str)]) -> LogoutRequest {
    let pairs = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    LogoutRequest::read(&Form::from_pairs(pairs)).unwrap()
}

fn good() -> Hint {
    let audience = vec!["app".to_owned()];
    Hint::Good(IdTokenHint { subject: "604000A1B2".into(), audience, authorized_party: None, sid: Some("s".into()) })
}

fn decide(parameters: &[(&str, &str)], hint: &Hint, standing: Standing) -> Outcome {
    let request = request(parameters);
    let app = app();
    let client = client_of(&request, hint).unwrap().filter(|id| *id == "app").map(|_| &app);
    judge(&request, hint, client, standing)
}

const TO: (&str, &str) = ("post_logout_redirect_uri", BYE);

#[test]
fn l2_a_good_hint_and_a_registered_uri_end_the_session_and_lead_back() {
    let ended = |parameters: &[(&str, &str)]| decide(parameters, &good(), Standing::Same);
    let to = |uri: &str| Outcome::End(After::Redirect(uri.to_owned()));
    assert_eq!(ended(&[TO]), to(BYE));
    assert_eq!(ended(&[TO, ("state", "a b&c")]), to("https://app.example.test/bye?state=a%20b%26c"));
    assert_eq!(ended(&[TO, ("client_id", "app")]), to(BYE));
    let query = ("post_logout_redirect_uri", BYE_QUERY);
    assert_eq!(ended(&[query]), to(BYE_QUERY));
    assert_eq!(ended(&[query, ("state", "new")]), to("https://app.example.test/bye?from=op&state=new"));
    assert_eq!(decide(&[TO], &good(), Standing::NoSession), to(BYE), "many times over");
}

#[test]
fn l5_attack_52_an_unregistered_uri_is_never_gone_to() {
    for uri in [
        "https://app.example.test/bye?x=1",
        "https://app.example.test/bye/",
        "https://app.example.test/bye#x",
        "https://APP.example.test/bye",
        "https://evil.test/bye",
        "javascript:alert(1)",
        "//evil.test",
    ] {
        let parameters = [("post_logout_redirect_uri", uri), ("client_id", "app")];
        assert_eq!(decide(&parameters, &good(), Standing::Same), Outcome::Confirm(After::Page), "{uri}");
        assert_eq!(decide(&parameters, &Hint::Absent, Standing::Other), Outcome::Confirm(After::Page), "{uri}");
        assert_eq!(decide(&parameters, &good(), Standing::NoSession), Outcome::End(After::Page), "{uri}");
    }
}

#[test]
fn l5_a_native_client_has_no_free_port_here() {
    let mut native = app();
    native.native = true;
    native.post_logout_redirect_uris = vec!["http://127.0.0.1/bye".into()];
    let to = |uri: &str| judge(&request(&[("post_logout_redirect_uri", uri)]), &good(), Some(&native), Standing::Same);
    assert_eq!(to("http://127.0.0.1/bye"), Outcome::End(After::Redirect("http://127.0.0.1/bye".into())));
    assert_eq!(to("http://127.0.0.1:49152/bye"), Outcome::Confirm(After::Page));
}

#[test]
fn l6_a_bad_hint_is_trusted_for_nothing() {
    for parameters in [&[TO][..], &[TO, ("client_id", "app")], &[]] {
        assert_eq!(decide(parameters, &Hint::Bad, Standing::Other), Outcome::Confirm(After::Page));
        assert_eq!(decide(parameters, &Hint::Bad, Standing::NoSession), Outcome::End(After::Page));
    }
}

#[test]
fn l7_without_a_hint_only_a_known_client_is_gone_back_to_and_only_once_confirmed() {
    assert_eq!(decide(&[TO], &Hint::Absent, Standing::Other), Outcome::Confirm(After::Page));
    let known = [TO, ("client_id", "app")];
    for standing in [Standing::Other, Standing::NoSession] {
        assert_eq!(decide(&known, &Hint::Absent, standing), Outcome::Confirm(After::Redirect(BYE.into())));
    }
    let stranger = [TO, ("client_id", "stranger")];
    assert_eq!(decide(&stranger, &Hint::Absent, Standing::Other), Outcome::Confirm(After::Page));
}

#[test]
fn l8_with_nothing_to_go_by_the_person_is_asked_and_told_on_a_page() {
    for parameters in [&[][..], &[("state", "x")], &[("client_id", "app")]] {
        assert_eq!(decide(parameters, &Hint::Absent, Standing::Other), Outcome::Confirm(After::Page));
        assert_eq!(decide(parameters, &Hint::Absent, Standing::NoSession), Outcome::End(After::Page));
    }
    assert_eq!(decide(&[], &good(), Standing::Same), Outcome::End(After::Page));
}

#[test]
fn l9_a_client_id_that_the_hint_was_not_made_for_is_refused() {
    let request = request(&[TO, ("client_id", "other")]);
    assert_eq!(client_of(&request, &good()), Err(LogoutProblem::ClientMismatch));
    let other: Client = serde_json::from_value(json!({"id": "other", "post_logout_redirect_uris": [BYE]})).unwrap();
    assert_eq!(judge(&request, &good(), Some(&other), Standing::Same), Outcome::Confirm(After::Page));
}

#[test]
fn l10_a_hint_about_another_session_is_asked_about() {
    assert_eq!(decide(&[TO], &good(), Standing::Other), Outcome::Confirm(After::Redirect(BYE.into())));
    assert_eq!(decide(&[], &good(), Standing::Other), Outcome::Confirm(After::Page));
}

#[test]
fn a_client_is_gone_back_to_only_if_it_is_the_one_meant_and_enabled() {
    let request = request(&[TO]);
    let mut other = app();
    other.id = "other".into();
    assert_eq!(judge(&request, &good(), Some(&other), Standing::Same), Outcome::Confirm(After::Page));
    let mut off = app();
    off.enabled = false;
    assert_eq!(judge(&request, &good(), Some(&off), Standing::Same), Outcome::Confirm(After::Page));
}

#[test]
fn attack_3_repeated_and_oversized_parameters_are_refused() {
    let read = |parameters: Vec<(&str, String)>| {
        LogoutRequest::read(&Form::from_pairs(parameters.into_iter().map(|(name, value)| (name.to_owned(), value))))
    };
    for name in ["id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"] {
        assert!(read(vec![(name, "a".into()), (name, "b".into())]).is_err(), "{name}");
        assert!(read(vec![(name, "x".repeat(16 * 1024 + 1))]).is_err(), "{name}");
    }
    assert!(read(vec![("unheard_of", "a".into()), ("logout_hint", "b".into())]).is_ok());
}

#[test]
fn b2_a_logout_token_has_what_it_must_and_no_nonce() {
    let token = LogoutToken {
        issuer: "https://login.example.test",
        client_id: "app",
        subject: "604000A1B2",
        sid: Some("s"),
        jti: "j",
        now: 1000,
        lifetime: 120,
    };
    let expected = json!({
        "iss": "https://login.example.test", "sub": "604000A1B2", "aud": "app", "iat": 1000, "exp": 1120, "jti": "j",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}}, "sid": "s"
    });
    assert_eq!(Value::Object(token.claims()), expected);
    assert!(!LogoutToken { sid: None, ..token }.claims().contains_key("sid"));
    assert_eq!(
        IdTokenHint::read(None, &token.claims(), &["https://login.example.test".to_owned()], 1000),
        None,
        "no logout token passes for an ID token"
    );
}

#[test]
fn f2_a_front_channel_uri_keeps_its_query_and_is_told_issuer_and_session() {
    let mut app = app();
    assert_eq!(
        frontchannel_uri(&app, "https://op", "s 1").unwrap(),
        "https://app.example.test/out?x=1&iss=https%3A%2F%2Fop&sid=s%201"
    );
    app.frontchannel_logout_session_required = false;
    assert_eq!(frontchannel_uri(&app, "https://op", "s").unwrap(), "https://app.example.test/out?x=1&sid=2");
    app.frontchannel_logout_uri = None;
    assert_eq!(frontchannel_uri(&app, "https://op", "s"), None);
}

#[test]
fn x2_session_state_is_made_of_client_origin_browser_state_and_salt() {
    let state = session_state("app", "https://app.example.test/cb?x", "opbs", "salt");
    let hash = digest(&SHA256, b"app https://app.example.test opbs salt");
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(state.unwrap(), format!("{hex}.salt"));
    let one = session_state("app", "https://app.example.test/cb", "opbs", "salt");
    assert_eq!(one, session_state("app", "https://app.example.test:443/other", "opbs", "salt"));
    for other in [
        session_state("app2", "https://app.example.test/cb", "opbs", "salt"),
        session_state("app", "https://app2.example.test/cb", "opbs", "salt"),
        session_state("app", "https://app.example.test/cb", "opbs2", "salt"),
    ] {
        assert_ne!(one, other);
    }
    assert_eq!(session_state("app", "com.example.app:/cb", "opbs", "salt"), None);
}

#[test]
fn x3_the_origin_is_the_one_a_browser_gives() {
    for (uri, origin) in [
        ("https://App.example.test/cb?x=https://other", Some("https://app.example.test")),
        ("HTTPS://app.example.test:443/cb", Some("https://app.example.test")),
        ("https://app.example.test:8443?x", Some("https://app.example.test:8443")),
        ("http://127.0.0.1:80", Some("http://127.0.0.1")),
        ("http://[::1]:3000/cb", Some("http://[::1]:3000")),
        ("com.example.app:/cb", None),
        ("https:///cb", None),
        ("https://user@app.example.test/", None),
        ("", None),
    ] {
        assert_eq!(origin_of(uri).as_deref(), origin, "{uri}");
    }
}

proptest! {
    #[test]
    fn the_browser_goes_only_where_the_client_registered(
        uri in "(https://app.example.test/bye)?[?#&a-z=:/@.\\\\]{0,12}", state in proptest::option::of("\\PC{1,30}"),
        kind in 0..3usize, standing in 0..3usize, named in any::<bool>(),
    ) {
        let mut parameters = vec![("post_logout_redirect_uri", uri.as_str())];
        parameters.extend(state.as_deref().map(|state| ("state", state)));
        parameters.extend(named.then_some(("client_id", "app")));
        let hint = [Hint::Absent, Hint::Bad, good()][kind].clone();
        let standing = [Standing::NoSession, Standing::Same, Standing::Other][standing];
        let (Outcome::Confirm(after) | Outcome::End(after)) = decide(&parameters, &hint, standing);
        if let After::Redirect(to) = after {
            prop_assert!(app().post_logout_redirect_uris.contains(&uri));
            let added = to.strip_prefix(uri.split("state=").next().unwrap()).unwrap();
            let pairs: Vec<(String, String)> = form_urlencoded::parse(added.trim_start_matches(['?', '&']).as_bytes()).into_owned().collect();
            let expected: Vec<(String, String)> = state.iter().map(|state| ("state".to_owned(), state.clone())).collect();
            prop_assert!(state.is_none() || pairs == expected, "{}", to);
        }
    }

    #[test]
    fn never_panics(text in ".{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = origin_of(&text);
        let _ = session_state(&text, &text, &text, &text);
        if let Ok(form) = Form::parse(&bytes) {
            let _ = LogoutRequest::read(&form);
        }
    }

    #[test]
    fn x2_session_state_is_hex_a_dot_and_the_salt(client in ".{1,20}", browser in "[A-Za-z0-9]{10}", salt in "[A-Za-z0-9]{8}") {
        let state = session_state(&client, "https://app.example.test/cb", &browser, &salt).unwrap();
        let (hash, rest) = state.split_once('.').unwrap();
        prop_assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        prop_assert_eq!(rest, salt);
    }
}
