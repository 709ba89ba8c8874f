//! The authorization endpoint: requests, prompts, hints, levels, response types and modes. Numbers are those of the project's lists
//! of demands and of attack cases.

use std::collections::BTreeMap;

use protocol::claims::half_hash;
use protocol::records::{AccessTokenFormat, SigningAlg};
use serde_json::json;

use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::visitor::{Page, Visitor, request, request_at};
use crate::support::{ACME, TestServer, decode, totp};

const SCOTT: (&str, &str) = ("scott", "hunter22");
const PAT: (&str, &str) = ("pat", "correct-horse-9");

async fn signed_in(server: &TestServer, client: &str) -> (Visitor, BTreeMap<String, String>) {
    let mut visitor = Visitor::new(server);
    let page = visitor.get(&code_request(client, &[])).await;
    let landed = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await.landed(CALLBACK);
    (visitor, landed)
}

async fn claims(server: &TestServer, client: &str, code: &str) -> serde_json::Value {
    let tokens = server.redeem(client, code).await.expect(200);
    decode(tokens["id_token"].as_str().unwrap()).1
}

#[track_caller]
fn is_sign_in(page: &Page) {
    page.expect(200);
    assert!(page.has("password"), "{}", page.text());
}

#[tokio::test]
async fn a1_get_and_post_behave_alike() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    let pairs = [
        ("client_id", "web"),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid"),
        ("state", "posted"),
        ("unknown", "x"),
    ];
    for prefix in ["", "/oauth2", "/oidc/endpoint/default", "/v1.0/endpoint/default"] {
        let page = visitor.post(&format!("{prefix}/authorize"), &pairs).await;
        is_sign_in(&page);
        is_sign_in(&visitor.get(&request_at(prefix, &pairs)).await);
    }
    let page = visitor.post("/authorize", &pairs).await;
    assert_eq!(visitor.sign_in(&page, SCOTT.0, SCOTT.1).await.landed(CALLBACK)["state"], "posted");
    let page = visitor.post("/authorize", &pairs).await;
    assert_eq!(page.landed(CALLBACK)["state"], "posted");
}

#[tokio::test]
async fn a1_a_request_posted_by_another_site_finds_the_session_all_the_same() {
    let server = setup().start().await;
    let (visitor, _) = signed_in(&server, "web").await;
    let target = code_request("web", &[("prompt", "none")]);
    let fields: Vec<(String, String)> =
        form_urlencoded::parse(target.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
    // What the browser sends with a form of another site: no cookie of ours.
    let mut bare = Visitor::new(&server).with("sec-fetch-site", "cross-site");
    let sent = bare.once("POST", "/authorize", Some(&fields)).await;
    assert_eq!(sent.reply.status, 303);
    let to = sent.reply.header("location").to_owned();
    assert!(visitor.clone().get(&to).await.landed(CALLBACK).contains_key("code"), "{to}");
    // Nobody is sent in circles.
    assert_eq!(bare.get(&to).await.landed(CALLBACK)["error"], "login_required");
}

#[tokio::test]
async fn attack_53_only_an_id_token_of_this_client_is_a_hint() {
    let server = setup().start().await;
    server.change_client("web", |client| client.access_token_format = AccessTokenFormat::Jwt).await;
    let (mut visitor, landed) = signed_in(&server, "web").await;
    let tokens = server.redeem("web", &landed["code"]).await.expect(200);
    let (_, assertion) = server.password_assertion().await;
    let own = tokens["id_token"].as_str().unwrap();
    for (client, hint) in [("web", tokens["access_token"].as_str().unwrap()), ("web", &assertion), ("other", own)] {
        let landed = visitor.silently(client, &[("id_token_hint", hint)]).await.landed(CALLBACK);
        assert_eq!(landed["error"], "invalid_request", "{client} {hint}");
    }
    assert!(visitor.silently("web", &[("id_token_hint", own)]).await.landed(CALLBACK).contains_key("code"));
}

#[tokio::test]
async fn r1_a5_a7_a8_attack_1_what_is_not_trusted_gets_a_page_and_no_redirect() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    for (more, id) in [
        (vec![("redirect_uri", "https://app.example.test/cb/more")], "redirect_uri_unregistered"),
        (vec![("redirect_uri", "https://app.example.test/cb?x=1")], "redirect_uri_unregistered"),
        (vec![("redirect_uri", "https://app.example.test.evil.test/cb")], "redirect_uri_unregistered"),
        (vec![("redirect_uri", "https://user@app.example.test/cb")], "redirect_uri_unregistered"),
        (vec![("redirect_uri", "")], "redirect_uri_missing"),
        (vec![("client_id", "nobody")], "unknown_client"),
        (vec![("client_id", "")], "client_id_missing"),
    ] {
        for prompt in ["", "none", "login"] {
            let mut more = more.clone();
            more.push(("prompt", prompt));
            let page = visitor.get(&code_request("web", &more)).await;
            page.expect(400);
            assert_eq!(page.error_id().as_deref(), Some(id), "{more:?}");
        }
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.test", code_request("web", &[]));
    visitor.get(&twice).await.expect(400);
    server.change_client("web", |client| client.enabled = false).await;
    assert_eq!(visitor.get(&code_request("web", &[])).await.error_id().as_deref(), Some("unknown_client"));
}

#[tokio::test]
async fn r2_s3_attack_5_every_other_error_goes_back_with_state_and_issuer() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    for (more, error) in [
        (vec![("response_type", "")], "invalid_request"),
        (vec![("response_type", "magic")], "unsupported_response_type"),
        (vec![("response_type", "token")], "unauthorized_client"),
        (vec![("prompt", "none login")], "invalid_request"),
        (vec![("prompt", "none")], "login_required"),
        (vec![("max_age", "-1")], "invalid_request"),
        (vec![("response_mode", "pigeon")], "invalid_request"),
        (vec![("code_challenge_method", "S256")], "invalid_request"),
        (vec![("id_token_hint", "x.y.z")], "invalid_request"),
    ] {
        let page = visitor.get(&code_request("web", &more)).await;
        let to = page.reply.header("location").to_owned();
        let landed = page.landed(CALLBACK);
        assert_eq!(landed["error"], error, "{more:?}");
        assert_eq!((landed["state"].as_str(), landed["iss"].as_str()), ("st-1", "https://login.example.test"), "{to}");
        assert!(!landed.contains_key("code"));
    }
}

#[tokio::test]
async fn p2_p3_without_a_session_nothing_is_silent_and_with_one_everything() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    assert_eq!(visitor.silently("web", &[]).await.landed(CALLBACK)["error"], "login_required");
    let (mut visitor, landed) = signed_in(&server, "web").await;
    let first = claims(&server, "web", &landed["code"]).await;
    server.world.advance(100);
    let again = visitor.silently("web", &[]).await.landed(CALLBACK);
    let second = claims(&server, "web", &again["code"]).await;
    for name in ["sub", "auth_time", "sid", "amr"] {
        assert_eq!(first[name], second[name], "{name}");
    }
    // Another client is another `sid` of the same session.
    let other = visitor.silently("other", &[]).await.landed(CALLBACK);
    let third = claims(&server, "other", &other["code"]).await;
    assert_eq!((&third["sub"], &third["auth_time"]), (&first["sub"], &first["auth_time"]));
    assert_ne!(third["sid"], first["sid"]);
}

#[tokio::test]
async fn p1_p8_prompt_login_asks_again_and_the_new_time_is_later() {
    let server = setup().start().await;
    let (mut visitor, landed) = signed_in(&server, "web").await;
    let first = claims(&server, "web", &landed["code"]).await;
    server.world.advance(5);
    let page = visitor.get(&code_request("web", &[("prompt", "login")])).await;
    is_sign_in(&page);
    assert_eq!(page.value("username"), "scott");
    let landed = visitor.submit(&page, &[("password", SCOTT.1)]).await.landed(CALLBACK);
    let second = claims(&server, "web", &landed["code"]).await;
    assert!(second["auth_time"].as_i64() > first["auth_time"].as_i64());
    assert_eq!(second["sid"], first["sid"]);
}

#[tokio::test]
async fn p5_p6_p7_max_age_counts_from_the_last_authentication() {
    let server = setup().start().await;
    let (mut visitor, landed) = signed_in(&server, "web").await;
    let first = claims(&server, "web", &landed["code"]).await;
    server.world.advance(2);
    is_sign_in(&visitor.get(&code_request("web", &[("max_age", "1")])).await);
    is_sign_in(&visitor.get(&code_request("web", &[("max_age", "0")])).await);
    assert_eq!(visitor.silently("web", &[("max_age", "1")]).await.landed(CALLBACK)["error"], "login_required");
    let landed = visitor.get(&code_request("web", &[("max_age", "10000")])).await.landed(CALLBACK);
    let second = claims(&server, "web", &landed["code"]).await;
    assert!(second["auth_time"].is_i64());
    assert_eq!(second["auth_time"], first["auth_time"]);
}

#[tokio::test]
async fn p9_a_hint_of_the_same_person_is_silent_and_of_another_is_not() {
    let server = setup().start().await;
    let (mut visitor, landed) = signed_in(&server, "web").await;
    let own = server.redeem("web", &landed["code"]).await.expect(200)["id_token"].as_str().unwrap().to_owned();
    let others = Visitor::new(&server).tokens("web", PAT.0, PAT.1, &[]).await;
    let others = others["id_token"].as_str().unwrap();
    assert!(visitor.silently("web", &[("id_token_hint", &own)]).await.landed(CALLBACK).contains_key("code"));
    let no = visitor.silently("web", &[("id_token_hint", others)]).await.landed(CALLBACK);
    assert_eq!(no["error"], "login_required");
    // Expired but well signed it is still a hint.
    server.world.advance(7300);
    let mut later = Visitor::new(&server);
    later.code("web", SCOTT.0, SCOTT.1, &[]).await;
    assert!(later.silently("web", &[("id_token_hint", &own)]).await.landed(CALLBACK).contains_key("code"));
    // With pages, who is hinted at is asked, and nobody else will do.
    let page = later.get(&code_request("web", &[("id_token_hint", others)])).await;
    assert_eq!(page.value("username"), "pat");
    let page = later.submit(&page, &[("do", "other")]).await;
    assert_eq!(page.value("username"), "");
    let back = later.sign_in(&page, SCOTT.0, SCOTT.1).await.landed(CALLBACK);
    assert_eq!(back["error"], "login_required");
}

#[tokio::test]
async fn p10_gt12_a_login_hint_fills_in_the_name_and_is_never_an_error() {
    let server = setup().start().await;
    for (hint, name) in [
        ("pat", "pat"),
        ("nobody-at-all", "nobody-at-all"),
        (r#"{"realm":"cloudIdentityRealm","username":"pat"}"#, "pat"),
        (r#"{"realm":"unknown","username":"pat"}"#, ""),
        (r#"{"realm":"cloudIdentityRealm""#, r#"{"realm":"cloudIdentityRealm""#),
    ] {
        let mut visitor = Visitor::new(&server);
        let page = visitor.get(&code_request("web", &[("login_hint", hint)])).await;
        is_sign_in(&page);
        assert_eq!(page.value("username"), name, "{hint}");
        assert!(!page.text().contains("Pat Miller"), "a hint must not tell who somebody is");
    }
    // A session of another person does not do; where nobody may be asked the hint is passed over.
    let (mut visitor, _) = signed_in(&server, "web").await;
    is_sign_in(&visitor.get(&code_request("web", &[("login_hint", "pat")])).await);
    assert!(visitor.get(&code_request("web", &[("login_hint", "Scott")])).await.landed(CALLBACK).contains_key("code"));
    assert!(visitor.silently("web", &[("login_hint", "pat")]).await.landed(CALLBACK).contains_key("code"));
}

#[tokio::test]
async fn p11_p12_p13_words_about_the_page_cause_no_error() {
    let server = setup().start().await;
    for (name, value) in [
        ("display", "page"),
        ("display", "popup"),
        ("display", "touch"),
        ("display", "wap"),
        ("display", "hologram"),
        ("ui_locales", "xx-YY se"),
        ("claims_locales", "se"),
        ("acr_values", "1 2"),
    ] {
        is_sign_in(&Visitor::new(&server).get(&code_request("web", &[(name, value)])).await);
    }
    let mut visitor = Visitor::new(&server);
    let german = visitor.get(&code_request("web", &[("ui_locales", "de")])).await;
    assert!(german.text().contains("<html lang=\"de\""));
    // The wish stays with the dialogue.
    let wrong = visitor.sign_in(&german, "scott", "wrong").await;
    assert!(wrong.text().contains("<html lang=\"de\""));
    let code = visitor.sign_in(&german, SCOTT.0, SCOTT.1).await.landed(CALLBACK)["code"].clone();
    server.redeem("web", &code).await.expect(200);
    let landed = visitor.silently("web", &[("acr_values", "1 2")]).await.landed(CALLBACK);
    let acr = claims(&server, "web", &landed["code"]).await["acr"].clone();
    assert_eq!(acr, "urn:countersign:acr:1");
}

#[tokio::test]
async fn p14_a_level_is_reached_or_the_request_fails() {
    let server = setup().start().await;
    let two = json!({"id_token": {"acr": {"essential": true, "value": "urn:countersign:acr:2"}}}).to_string();
    let (mut visitor, _) = signed_in(&server, "web").await;
    let silent = visitor.silently("web", &[("claims", &two)]).await.landed(CALLBACK);
    assert_eq!(silent["error"], "interaction_required");
    let page = visitor.get(&code_request("web", &[("claims", &two)])).await;
    page.expect(200);
    let html = page.text();
    assert!(html.contains("data-kind=\"totp\"") && html.contains("data-kind=\"email-otp\""), "{html}");
    let way = html[..html.find("data-kind=\"totp\"").unwrap()].rsplit_once("value=\"").unwrap().1;
    let page = visitor.submit(&page, &[("way", way.split('"').next().unwrap())]).await;
    let code = totp(b"12345678901234567890", server.world.now());
    let landed = visitor.submit(&page, &[("code", &code)]).await.landed(CALLBACK);
    let stepped = claims(&server, "web", &landed["code"]).await;
    assert_eq!(stepped["acr"], "urn:countersign:acr:2");
    assert_eq!(stepped["amr"], json!(["mfa", "otp", "pwd"]));
    // From now on the session has it.
    let again = visitor.silently("web", &[("acr_values", "urn:countersign:acr:2")]).await.landed(CALLBACK);
    assert_eq!(claims(&server, "web", &again["code"]).await["acr"], "urn:countersign:acr:2");
    let unknown = json!({"id_token": {"acr": {"essential": true, "values": ["gold"]}}}).to_string();
    let landed = visitor.get(&code_request("web", &[("claims", &unknown)])).await.landed(CALLBACK);
    assert_eq!(landed["error"], "unmet_authentication_requirements");
}

#[tokio::test]
async fn attack_26_policy_holds_in_the_browser_as_everywhere() {
    let server = setup().start().await;
    // A session of one factor does not open what wants two.
    let (mut visitor, _) = signed_in(&server, "web").await;
    assert_eq!(visitor.silently("vault", &[]).await.landed(CALLBACK)["error"], "interaction_required");
    let page = visitor.get(&code_request("vault", &[])).await;
    assert!(page.has("way-1"), "{}", page.text());
    // Denied is denied, before and after a sign-in.
    let landed = visitor.get(&code_request("closed", &[])).await.landed(CALLBACK);
    assert_eq!(landed["error"], "access_denied");
    assert!(landed["error_description"].starts_with("CSIAQ0278E"));
    let mut stranger = Visitor::new(&server);
    let page = stranger.get(&code_request("closed", &[])).await;
    let landed = stranger.sign_in(&page, SCOTT.0, SCOTT.1).await.landed(CALLBACK);
    assert_eq!(landed["error"], "access_denied");
    assert!(!stranger.jar.contains_key("__Host-countersign"));
}

#[tokio::test]
async fn who_may_not_use_an_application_is_refused() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("few", &[])).await;
    let landed = visitor.sign_in(&page, PAT.0, PAT.1).await.landed(CALLBACK);
    assert_eq!(landed["error"], "access_denied");
    assert!(landed["error_description"].starts_with("CSIAQ0279E"));
    let mut pat = Visitor::new(&server);
    pat.code("web", PAT.0, PAT.1, &[]).await;
    assert_eq!(pat.silently("few", &[]).await.landed(CALLBACK)["error"], "access_denied");
    signed_in(&server, "few").await;
}

#[tokio::test]
async fn attack_23_a_session_of_somebody_cut_off_is_none() {
    let server = setup().start().await;
    let (mut visitor, _) = signed_in(&server, "web").await;
    let tenant = server.tenant();
    let mut scott = server.store.user(&tenant, &ACME.admin.id.into()).await.unwrap().unwrap();
    scott.not_before = server.world.now() + 1;
    server.store.commit(&tenant, "test", vec![store::Change::PutUser(scott)]).await.unwrap();
    assert_eq!(visitor.silently("web", &[]).await.landed(CALLBACK)["error"], "login_required");
}

#[tokio::test]
async fn prompt_select_account_shows_who_is_there() {
    let server = setup().start().await;
    let (mut visitor, _) = signed_in(&server, "web").await;
    let page = visitor.get(&code_request("web", &[("prompt", "select_account")])).await;
    assert!(page.path.ends_with("/account") && page.has("account-1") && page.has("other"));
    // Somebody else joins; both are there then, the newest first.
    let sign_in = visitor.submit(&page, &[("do", "other")]).await;
    visitor.sign_in(&sign_in, PAT.0, PAT.1).await.landed(CALLBACK);
    let state = visitor.state().unwrap().to_owned();
    let page = visitor.get(&code_request("web", &[("prompt", "select_account")])).await;
    assert!(page.has("account-2") && !page.has("account-3"));
    assert!(page.text().find("Pat Miller") < page.text().find("Scott Tiger"));
    let second = page.value("account-2");
    let landed = visitor.submit(&page, &[("account", &second)]).await.landed(CALLBACK);
    assert_eq!(claims(&server, "web", &landed["code"]).await["sub"], ACME.admin.id);
    assert_ne!(visitor.state().unwrap(), state);
    // The choice is the one in use from now on.
    let landed = visitor.silently("web", &[]).await.landed(CALLBACK);
    assert_eq!(claims(&server, "web", &landed["code"]).await["sub"], ACME.admin.id);
    // A stranger has nobody to choose.
    is_sign_in(&Visitor::new(&server).get(&code_request("web", &[("prompt", "select_account")])).await);
    // Nor may one choose a session of another browser.
    let mut other = Visitor::new(&server);
    other.code("web", PAT.0, PAT.1, &[]).await;
    let page = other.get(&code_request("web", &[("prompt", "select_account")])).await;
    is_sign_in(&other.submit(&page, &[("account", &second)]).await);
}

#[tokio::test]
async fn p15_p16_consent_is_asked_once_and_remembered_as_the_client_wants() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("asks", &[("scope", "openid email films")])).await;
    let page = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await;
    assert!(page.path.ends_with("/consent"), "{}", page.path);
    for scope in ["openid", "email", "films"] {
        assert!(page.text().contains(&format!("data-scope=\"{scope}\"")), "{scope}");
    }
    // No: back it goes, and nothing is remembered.
    let no = visitor.submit(&page, &[("do", "deny")]).await.landed(CALLBACK);
    assert_eq!((no["error"].as_str(), no["state"].as_str()), ("access_denied", "st-1"));
    assert_eq!(visitor.silently("asks", &[]).await.landed(CALLBACK)["error"], "consent_required");
    // Yes: not asked again for the same or less, asked for more.
    let page = visitor.get(&code_request("asks", &[("scope", "openid email")])).await;
    let yes = visitor.submit(&page, &[("do", "allow")]).await.landed(CALLBACK);
    server.redeem("asks", &yes["code"]).await.expect(200);
    assert!(visitor.silently("asks", &[]).await.landed(CALLBACK).contains_key("code"));
    let more = visitor.silently("asks", &[("scope", "openid email films")]).await.landed(CALLBACK);
    assert_eq!(more["error"], "consent_required");
    let page = visitor.get(&code_request("asks", &[("prompt", "consent")])).await;
    assert!(page.has("allow"), "prompt=consent always asks");
    // A client that always asks does, and one that never does does only where the request wants it.
    let page = visitor.get(&code_request("nags", &[])).await;
    visitor.submit(&page, &[("do", "allow")]).await.landed(CALLBACK);
    assert_eq!(visitor.silently("nags", &[]).await.landed(CALLBACK)["error"], "consent_required");
    assert!(visitor.get(&code_request("web", &[("prompt", "consent")])).await.has("allow"));
    // The button is not pressed by a form that does not say so, nor twice.
    let page = visitor.get(&code_request("nags", &[])).await;
    let still = visitor.submit(&page, &[]).await;
    assert!(still.has("allow"));
    visitor.submit(&page, &[("do", "allow")]).await.landed(CALLBACK);
    visitor.submit(&page, &[("do", "allow")]).await.expect(410);
}

#[tokio::test]
async fn a13_scopes_nobody_knows_are_dropped_and_the_answer_says_so() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    let tokens = visitor.tokens("web", SCOTT.0, SCOTT.1, &[("scope", "openid unheard-of email")]).await;
    assert_eq!(tokens["scope"], "openid email");
}

#[tokio::test]
async fn gt2_gt3_h_s1_i4_i5_every_response_type_by_every_mode() {
    let server = setup().start().await;
    let (mut visitor, _) = signed_in(&server, "portal").await;
    for kind in
        ["code", "id_token", "token", "id_token token", "code id_token", "code token", "code id_token token", "none"]
    {
        let has = |word: &str| kind.split(' ').any(|one| one == word);
        let tokens = has("token") || has("id_token");
        for mode in ["", "query", "fragment", "form_post"] {
            let pairs = [("response_type", kind), ("response_mode", mode), ("nonce", "n-7"), ("scope", "openid email")];
            let page = visitor.get(&code_request("portal", &pairs)).await;
            if mode == "query" && tokens {
                assert!(page.reply.header("location").contains('#'), "{kind}: errors keep out of the query too");
                assert_eq!(page.landed(CALLBACK)["error"], "invalid_request", "{kind}");
                continue;
            }
            let landed: BTreeMap<String, String> = if mode == "form_post" {
                page.expect(200);
                assert_eq!(page.form().action, CALLBACK);
                page.form().fields.into_iter().collect()
            } else {
                let fragment = page.reply.header("location").contains('#');
                assert_eq!(fragment, mode == "fragment" || (mode.is_empty() && tokens), "{kind} {mode}");
                page.landed(CALLBACK)
            };
            assert_eq!(landed.contains_key("code"), has("code"), "{kind}");
            assert_eq!(landed.contains_key("id_token"), has("id_token"), "{kind}");
            assert_eq!(landed.contains_key("access_token"), has("token"), "{kind}");
            assert_eq!(landed["state"], "st-1");
            assert_eq!(landed["iss"], "https://login.example.test");
            assert!(!landed["session_state"].contains(' '));
            assert!(!landed.contains_key("refresh_token"));
            let known = [
                "code",
                "id_token",
                "access_token",
                "token_type",
                "expires_in",
                "scope",
                "state",
                "iss",
                "session_state",
            ];
            assert!(landed.keys().all(|name| known.contains(&name.as_str())), "{landed:?}");
            if let Some(token) = landed.get("access_token") {
                assert_eq!(landed["token_type"], "Bearer");
                let info = server.ask("GET", "/userinfo").bearer(token).send().await.expect(200);
                assert_eq!(info["sub"], ACME.admin.id);
            }
            let front = landed.get("id_token").map(|token| decode(token).1);
            if let Some(front) = &front {
                let half = |text: Option<&String>| text.map(|text| json!(half_hash(text, SigningAlg::Rs256)));
                assert_eq!(front.get("at_hash").cloned(), half(landed.get("access_token")), "{kind}");
                assert_eq!(front.get("c_hash").cloned(), half(landed.get("code")), "{kind}");
                assert_eq!(front.get("s_hash").cloned(), half(landed.get("state")), "{kind}");
                assert_eq!(front["nonce"], "n-7");
                // C-2, C-3: claims of scopes come here only where no access token ever does.
                assert_eq!(front.get("email").is_some(), kind == "id_token", "{kind}");
            }
            if let Some(code) = landed.get("code") {
                let back = server.redeem("portal", code).await.expect(200);
                let (_, claims) = decode(back["id_token"].as_str().unwrap());
                if let Some(front) = &front {
                    assert_eq!(
                        (&front["iss"], &front["sub"], &front["sid"]),
                        (&claims["iss"], &claims["sub"], &claims["sid"])
                    );
                }
                assert!(back["grant_id"].is_string(), "the token endpoint tells it under every path");
            }
        }
    }
}

#[tokio::test]
async fn s4_only_the_vendors_paths_tell_the_grant_in_front() {
    let server = setup().start().await;
    let (mut visitor, _) = signed_in(&server, "portal").await;
    let pairs = [
        ("client_id", "portal"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code token"),
        ("scope", "openid"),
        ("state", "st-1"),
    ];
    for (prefix, told) in [("", false), ("/oauth2", true), ("/oidc/endpoint/default", true)] {
        let landed = visitor.get(&request_at(prefix, &pairs)).await.landed(CALLBACK);
        assert_eq!(landed.contains_key("grant_id"), told, "{prefix}: {landed:?}");
        let back = server.redeem("portal", &landed["code"]).await.expect(200);
        if told {
            assert_eq!(back["grant_id"], landed["grant_id"]);
        }
    }
}

#[tokio::test]
async fn e6_reuse_of_a_hybrid_code_ends_the_token_that_left_with_it() {
    let server = setup().start().await;
    let (mut visitor, _) = signed_in(&server, "portal").await;
    let pairs = [("response_type", "code token"), ("nonce", "n")];
    let landed = visitor.get(&code_request("portal", &pairs)).await.landed(CALLBACK);
    server.redeem("portal", &landed["code"]).await.expect(200);
    let userinfo = async || server.ask("GET", "/userinfo").bearer(&landed["access_token"]).send().await.status;
    assert_eq!(userinfo().await, 200);
    server.redeem("portal", &landed["code"]).await.oauth_error(400, "invalid_grant", "CSIAQ0158E");
    assert_eq!(userinfo().await, 401);
}

#[tokio::test]
async fn h_an_id_token_from_here_wants_a_nonce() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    for kind in ["id_token", "id_token token", "code id_token", "code id_token token"] {
        let page = visitor.get(&code_request("portal", &[("response_type", kind)])).await;
        assert!(page.reply.header("location").contains('#'));
        assert_eq!(page.landed(CALLBACK)["error"], "invalid_request", "{kind}");
    }
}

#[tokio::test]
async fn s6_s7_errors_too_are_posted() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("web", &[("response_mode", "form_post"), ("prompt", "none")])).await;
    page.expect(200);
    let fields: BTreeMap<String, String> = page.form().fields.into_iter().collect();
    assert_eq!((fields["error"].as_str(), fields["state"].as_str()), ("login_required", "st-1"));
    assert_eq!(page.reply.header("cache-control"), "no-store");
    assert!(page.has("submit"));
}

#[tokio::test]
async fn plain_oauth_has_neither_id_token_nor_session_state() {
    let server = setup().start().await;
    let (mut visitor, _) = signed_in(&server, "web").await;
    let pairs = [("client_id", "web"), ("response_type", "code"), ("scope", "email")];
    let landed = visitor.get(&request(&pairs)).await.landed(CALLBACK);
    assert!(!landed.contains_key("session_state") && !landed.contains_key("state"));
    let tokens = server.redeem_with("web", &[("code", &landed["code"])]).await.expect(200);
    assert!(tokens.get("id_token").is_none());
}

#[tokio::test]
async fn a10_state_and_nonce_come_back_unchanged() {
    let server = setup().start().await;
    let (mut visitor, _) = signed_in(&server, "web").await;
    for state in ["x".repeat(128), "a b+c%20&d=e\"'<>/\\~`!@#$%^*()é".to_owned(), "y".repeat(1000)] {
        let landed = visitor.get(&code_request("web", &[("state", &state), ("nonce", &state)])).await.landed(CALLBACK);
        assert_eq!(landed["state"], state);
        assert_eq!(claims(&server, "web", &landed["code"]).await["nonce"], *state);
    }
}

#[tokio::test]
async fn attack_3_nothing_stands_twice() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    for name in ["state", "scope", "response_type", "nonce", "prompt", "whatever"] {
        let target = format!("{}&{name}=a&{name}=b", code_request("web", &[(name, "")]));
        assert_eq!(visitor.get(&target).await.landed(CALLBACK)["error"], "invalid_request", "{name}");
    }
}

#[tokio::test]
async fn a_session_of_one_tenant_is_none_of_another() {
    let server = setup().start().await;
    let (visitor, _) = signed_in(&server, "web").await;
    let mut there = visitor.at(&server.as_of(crate::support::GLOBEX));
    there.get(&code_request("web", &[])).await.expect(400);
}
