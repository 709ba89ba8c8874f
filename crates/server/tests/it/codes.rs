//! Authorization codes: what they are bound to, that they work once, and what a second use ends.

use protocol::records::{Grant, GrantId};
use serde_json::{Value, json};
use store::Change;

use crate::hosted_ways::way;
use crate::support::hosted::{CALLBACK, code_request, redeem_pkce, setup};
use crate::support::visitor::{VERIFIER, Visitor, challenge};
use crate::support::{ACME, Reply, TestServer, decode, on_both};

const SCOTT: (&str, &str) = ("scott", "hunter22");

async fn code(server: &TestServer, client: &str, more: &[(&str, &str)]) -> String {
    Visitor::new(server).code(client, SCOTT.0, SCOTT.1, more).await
}

#[track_caller]
fn is_refused(reply: &Reply) {
    reply.oauth_error(400, "invalid_grant", "CSIAQ0158E");
}

async fn userinfo(server: &TestServer, token: &str) -> u16 {
    server.ask("GET", "/userinfo").bearer(token).send().await.status.as_u16()
}

#[test]
fn gt5_a_code_becomes_tokens_on_either_database() {
    on_both(|store| async move {
        let server = setup().start_on(store).await;
        let more = [("nonce", "n-0S6"), ("scope", "openid email")];
        let tokens = Visitor::new(&server).tokens("web", SCOTT.0, SCOTT.1, &more).await;
        let (_, claims) = decode(tokens["id_token"].as_str().unwrap());
        assert_eq!(claims["sub"], "6040003OH8");
        assert_eq!(claims["nonce"], "n-0S6");
        assert_eq!(claims["aud"], "web");
        assert_eq!(claims["iss"], "https://login.example.test");
        assert_eq!(claims["amr"], json!(["pwd"]));
        assert!(claims["sid"].is_string());
        assert_eq!(tokens["scope"], "openid email");
        assert!(tokens["refresh_token"].is_string());
        assert_eq!(userinfo(&server, tokens["access_token"].as_str().unwrap()).await, 200);
    });
}

#[tokio::test]
async fn a9_without_a_nonce_there_is_none_in_the_id_token() {
    let server = setup().start().await;
    let tokens = Visitor::new(&server).tokens("web", SCOTT.0, SCOTT.1, &[]).await;
    let (_, claims) = decode(tokens["id_token"].as_str().unwrap());
    assert!(claims.get("nonce").is_none());
}

#[tokio::test]
async fn s5_a_code_has_128_random_bits() {
    let server = setup().start().await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let code = code(&server, "web", &[]).await;
        assert!(code.len() >= 22 && code.bytes().all(|b| b.is_ascii_alphanumeric()), "{code}");
        assert!(seen.insert(code));
    }
}

#[tokio::test]
async fn e5_e6_attack_8_a_code_works_once_and_its_second_use_ends_what_came_of_it() {
    for wait in [0, 30, 3600] {
        let server = setup().start().await;
        let code = code(&server, "web", &[]).await;
        let tokens = server.redeem("web", &code).await.expect(200);
        let access = tokens["access_token"].as_str().unwrap();
        assert_eq!(userinfo(&server, access).await, 200);
        server.world.advance(wait);
        is_refused(&server.redeem("web", &code).await);
        assert_eq!(userinfo(&server, access).await, 401, "after {wait} s");
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        is_refused(&server.ask("POST", "/token").basic("web", "web-secret").form(&form).send().await);
    }
}

#[test]
fn attack_9_of_fifty_redemptions_at_two_nodes_one_has_tokens_and_they_end_at_once() {
    on_both(|store| async move {
        let server = setup().start_on(store).await;
        let other = server.another().await;
        let code = code(&server, "web", &[]).await;
        let tries: Vec<_> = (0..50)
            .map(|at| {
                let (server, code) = (if at % 2 == 0 { server.clone() } else { other.clone() }, code.clone());
                tokio::spawn(async move { server.redeem("web", &code).await })
            })
            .collect();
        let mut won = Vec::new();
        for one in tries {
            let reply = one.await.unwrap();
            if reply.status == 200 {
                won.push(reply.json());
            } else {
                is_refused(&reply);
            }
        }
        assert_eq!(won.len(), 1);
        assert_eq!(userinfo(&server, won[0]["access_token"].as_str().unwrap()).await, 401);
    });
}

#[tokio::test]
async fn e7_attack_10_a_code_belongs_to_its_client_and_redirect_uri() {
    let server = setup().start().await;
    let code = code(&server, "web", &[]).await;
    is_refused(&server.redeem("other", &code).await);
    is_refused(&server.redeem_with("web", &[("code", &code), ("redirect_uri", "https://app.example.test/cb2")]).await);
    is_refused(&server.redeem_with("web", &[("code", &code)]).await);
    is_refused(&server.redeem("web", &format!("{code}x")).await);
    is_refused(&server.redeem("web", &"x".repeat(9000)).await);
    // None of this did the owner any harm; nor does a code that is spent in the hands of another client.
    let tokens = server.redeem("web", &code).await.expect(200);
    is_refused(&server.redeem("other", &code).await);
    assert_eq!(userinfo(&server, tokens["access_token"].as_str().unwrap()).await, 200);
    server.redeem_with("web", &[("redirect_uri", CALLBACK)]).await.oauth_error(400, "invalid_request", "CSIAQ9999E");
}

#[tokio::test]
async fn attack_10_a_code_dies_of_age_as_its_client_wants() {
    for (client, lives) in [("web", 300), ("hasty", 30)] {
        for (wait, good) in [(lives - 1, true), (lives, false)] {
            let server = setup().start().await;
            let code = code(&server, client, &[]).await;
            server.world.advance(wait);
            let reply = server.redeem(client, &code).await;
            assert_eq!(reply.status == 200, good, "{client} after {wait} s: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn a12_attack_11_a_proof_key_must_fit_where_one_was_sent_and_only_there() {
    let server = setup().start().await;
    let challenge = challenge();
    let with = [("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")];
    let wrong = "b".repeat(43);
    for verifier in ["", wrong.as_str(), challenge.as_str(), "short", &"a".repeat(129)] {
        let code = code(&server, "web", &with).await;
        let more = [("code", code.as_str()), ("redirect_uri", CALLBACK), ("code_verifier", verifier)];
        is_refused(&server.redeem_with("web", &more).await);
    }
    let good = code(&server, "web", &with).await;
    server.redeem_with("web", &redeem_pkce(&good)).await.expect(200);
    let uncalled = code(&server, "web", &[]).await;
    is_refused(&server.redeem_with("web", &redeem_pkce(&uncalled)).await);
}

#[tokio::test]
async fn gt6_a_public_client_redeems_with_its_proof_key_alone() {
    let server = setup().start().await;
    let challenge = challenge();
    let with = [("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")];
    let code = code(&server, "spa", &with).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "spa"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let tokens = server.post_form("/token", &form).await.expect(200);
    assert!(tokens["refresh_token"].is_string());
    // Without a proof key it does not come that far.
    let page = Visitor::new(&server).get(&code_request("spa", &[])).await;
    assert_eq!(page.landed(CALLBACK)["error"], "invalid_request");
}

#[tokio::test]
async fn attack_23_who_is_cut_off_or_disabled_redeems_nothing() {
    let server = setup().start().await;
    let first = code(&server, "web", &[]).await;
    let mut scott = server.store.user(&server.tenant(), &"6040003OH8".into()).await.unwrap().unwrap();
    scott.not_before = server.world.now() + 1;
    server.store.commit(&server.tenant(), "test", vec![store::Change::PutUser(scott.clone())]).await.unwrap();
    is_refused(&server.redeem("web", &first).await);
    server.world.advance(2);
    let second = code(&server, "web", &[]).await;
    scott.active = false;
    server.store.commit(&server.tenant(), "test", vec![store::Change::PutUser(scott)]).await.unwrap();
    is_refused(&server.redeem("web", &second).await);
}

/// A proof that was made anew does not carry along an older one that counts no more.
#[tokio::test]
async fn a_code_is_good_only_while_every_proof_it_rests_on_is() {
    let server = setup().start().await;
    let began = server.world.now();
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("vault", &[])).await;
    let page = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await;
    server.world.advance(60);
    let page = visitor.submit(&page, &[("way", &way(&page, "email-otp"))]).await;
    let page = visitor.submit(&page, &[("code", &server.code(ACME.address).await)]).await;
    let code = page.landed(CALLBACK)["code"].clone();
    let mut scott = server.store.user(&server.tenant(), &ACME.admin.id.into()).await.unwrap().unwrap();
    scott.not_before = began + 30;
    server.store.commit(&server.tenant(), "test", vec![store::Change::PutUser(scott)]).await.unwrap();
    is_refused(&server.redeem("vault", &code).await);
}

#[tokio::test]
async fn e8_e9_a_refresh_keeps_what_the_code_brought() {
    let server = setup().start().await;
    let tokens = Visitor::new(&server).tokens("web", SCOTT.0, SCOTT.1, &[("nonce", "n-1")]).await;
    server.world.advance(60);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    for more in [vec![], vec![("scope", "openid")]] {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh)];
        form.extend(more);
        let again = server.ask("POST", "/token").basic("web", "web-secret").form(&form).send().await.expect(200);
        let (_, before) = decode(tokens["id_token"].as_str().unwrap());
        let (_, after) = decode(again["id_token"].as_str().unwrap());
        for name in ["iss", "sub", "aud", "auth_time", "sid"] {
            assert_eq!(before[name], after[name], "{name}");
        }
        assert!(after["iat"].as_i64() > before["iat"].as_i64());
        assert!(after.get("nonce").is_none_or(|nonce| *nonce == before["nonce"]));
        assert_eq!(again["grant_id"], tokens["grant_id"]);
    }
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    is_refused(&server.ask("POST", "/token").basic("other", "other-secret").form(&form).send().await);
}

#[tokio::test]
async fn the_issuer_of_the_prefix_that_was_called_is_that_of_the_tokens() {
    let server = setup().start().await;
    for prefix in ["/oidc/endpoint/default", "/oauth2", "/v1.0/endpoint/default"] {
        let mut visitor = Visitor::new(&server);
        let page = visitor.get(&format!("{prefix}{}", code_request("web", &[]))).await;
        let landed = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await.landed(CALLBACK);
        let tokens = server.redeem("web", &landed["code"]).await.expect(200);
        let (_, claims) = decode(tokens["id_token"].as_str().unwrap());
        assert_eq!(claims["iss"], landed["iss"]);
        let metadata =
            server.ask("GET", &format!("{prefix}/.well-known/openid-configuration")).send().await.expect(200);
        assert_eq!(metadata["issuer"], landed["iss"]);
    }
}

#[tokio::test]
async fn a_code_of_another_tenant_is_unknown() {
    let server = setup().start().await;
    let code = code(&server, "web", &[]).await;
    let second = server.as_of(crate::support::GLOBEX);
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK)];
    let reply = second.ask("POST", "/token").basic("web", "web-secret").form(&form).send().await;
    reply.oauth_error(401, "invalid_client", "CSIAQ0155E");
    let tokens = server.redeem("web", &code).await.expect(200);
    let grant = GrantId::from(tokens["grant_id"].as_str().unwrap());
    assert!(server.store.grant(&"second".into(), &grant).await.unwrap().is_none());
}

/// A person who allowed a client two scopes, and what it has of that.
async fn allowed() -> (TestServer, Visitor, Value) {
    allowed_of("openid email").await
}

async fn allowed_of(scope: &str) -> (TestServer, Visitor, Value) {
    let server = setup().start().await;
    server.change_client("asks", |client| client.entitlements = ["manageSelf".to_owned()].into()).await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("asks", &[("scope", scope)])).await;
    let page = visitor.sign_in(&page, "scott", "hunter22").await;
    let landed = visitor.submit(&page, &[("do", "allow")]).await.landed(CALLBACK);
    let tokens = server.redeem("asks", &landed["code"]).await.expect(200);
    (server, visitor, tokens)
}

#[tokio::test]
async fn a_consent_is_listed_and_taken_back_by_its_owner_and_nobody_else() {
    let (server, mut visitor, tokens) = allowed().await;
    let token = tokens["access_token"].as_str().unwrap();
    let list = server.get("/v1.0/consents", token).await.expect(200);
    let kept = &list["consents"][0];
    assert_eq!((&list["total"], &kept["clientId"]), (&json!(1), &json!("asks")));
    assert_eq!(kept["scopes"], json!(["email", "openid"]));
    let id = kept["id"].as_str().unwrap().to_owned();
    let remove = |path: String| json!([{ "op": "remove", "path": path }]);

    // Another person's is as if absent, with a token that may manage its own; and a token that may not is refused.
    let other = protocol::b64::encode_url("6040003PA7 asks");
    server.json("PATCH", "/v1.0/consents", token, &remove(format!("/{other}"))).await.expect(404);
    for bad in [json!({}), json!([]), json!([{ "op": "add", "path": "/x" }]), remove(id.clone())] {
        server.json("PATCH", "/v1.0/consents", token, &bad).await.expect(400);
    }
    assert_eq!(server.ask("GET", "/v1.0/consents").send().await.status, 401);
    let (_, plain) = (0, server.sign_in().await);
    server.get("/v1.0/consents", plain["access_token"].as_str().unwrap()).await.expect(403);

    server.json("PATCH", "/v1.0/consents", token, &remove(format!("/{id}/scopes/nothing"))).await.expect(404);
    let gone = server.json("PATCH", "/v1.0/consents", token, &remove(format!("/{id}/scopes/email"))).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    // What came of it is dead, and the person is asked again for what was taken back.
    assert_eq!(userinfo(&server, token).await, 401);
    assert_eq!(
        visitor.silently("asks", &[("scope", "openid email")]).await.landed(CALLBACK)["error"],
        "consent_required"
    );
    assert!(visitor.silently("asks", &[("scope", "openid")]).await.landed(CALLBACK).contains_key("code"));
}

/// Each operation was written by itself, so the second of one consent always met another version than it had read.
#[tokio::test]
async fn several_operations_on_one_consent_are_one_change_of_it() {
    let cases: [(&[&str], &str, &[&str]); 5] = [
        (&["/scopes/email", "/scopes/phone"], "openid", &["openid", "profile"]),
        (&["/scopes/email", "/scopes/email"], "openid", &["openid", "phone", "profile"]),
        (&["/scopes/email", ""], "", &[]),
        (&["", "/scopes/email"], "", &[]),
        (&["/scopes/email", "/scopes/openid", "/scopes/phone", "/scopes/profile"], "", &[]),
    ];
    for (paths, silently, left) in cases {
        let (server, mut visitor, tokens) = allowed_of("openid email phone profile").await;
        let token = tokens["access_token"].as_str().unwrap();
        let list = server.get("/v1.0/consents", token).await.expect(200);
        let id = list["consents"][0]["id"].as_str().unwrap();
        let remove = |path: &&str| json!({ "op": "remove", "path": format!("/{id}{path}") });
        // Nothing happens where one of them cannot.
        let none: Vec<Value> = paths.iter().chain(&["/scopes/nothing"]).map(remove).collect();
        if left.len() > 1 {
            server.json("PATCH", "/v1.0/consents", token, &json!(none)).await.expect(404);
            assert_eq!(userinfo(&server, token).await, 200);
        }
        let all: Vec<Value> = paths.iter().map(remove).collect();
        let gone = server.json("PATCH", "/v1.0/consents", token, &json!(all)).await;
        assert_eq!(gone.status, 204, "{paths:?} {}", gone.text());
        assert_eq!(userinfo(&server, token).await, 401, "{paths:?}");
        let scope = if silently.is_empty() { "openid" } else { silently };
        let landed = visitor.silently("asks", &[("scope", scope)]).await.landed(CALLBACK);
        assert_eq!(landed.contains_key("code"), !silently.is_empty(), "{paths:?} {landed:?}");
        let (scott, asks) = ("6040003OH8".into(), "asks".into());
        let kept = countersign::oauth::consents::given(&server.app, &server.tenant(), &scott, &asks).await.unwrap();
        let kept = kept.map(|given| given.scopes.into_iter().collect::<Vec<_>>()).unwrap_or_default();
        assert_eq!(kept, left, "{paths:?}");
    }
}

/// The ledger found it: of somebody with more than a thousand grants the newest lived on.
#[tokio::test]
async fn a_consent_taken_back_ends_every_grant_however_many_there_are() {
    for what in ["", "/scopes/email"] {
        let (server, _, tokens) = allowed().await;
        let token = tokens["access_token"].as_str().unwrap();
        let id = GrantId::from(tokens["grant_id"].as_str().unwrap());
        let newest = server.store.grant(&server.tenant(), &id).await.unwrap().unwrap();
        let older = |number: i64| Grant {
            id: format!("00000000-0000-7000-8000-{number:012}").into(),
            created: newest.created - number,
            refresh: None,
            ..newest.clone()
        };
        let many = (1..=1100).map(|number| Change::AddGrant(older(number))).collect();
        server.store.commit(&server.tenant(), "many", many).await.unwrap();

        let list = server.get("/v1.0/consents", token).await.expect(200);
        let path = format!("/{}{what}", list["consents"][0]["id"].as_str().unwrap());
        let gone = server.json("PATCH", "/v1.0/consents", token, &json!([{ "op": "remove", "path": path }])).await;
        assert_eq!(gone.status, 204, "{}", gone.text());
        assert_eq!(userinfo(&server, token).await, 401);
        for number in [1, 500, 501, 1100] {
            let grant = server.store.grant(&server.tenant(), &older(number).id).await.unwrap().unwrap();
            assert!(!grant.active, "{what} {number}");
        }
    }
}

/// A code that was on its way when the consent behind it was taken back was redeemed all the same.
#[tokio::test]
async fn a_code_is_worth_nothing_once_its_consent_was_taken_back() {
    let (server, mut visitor, tokens) = allowed().await;
    let token = tokens["access_token"].as_str().unwrap();
    let waiting = visitor.silently("asks", &[("scope", "openid email")]).await.landed(CALLBACK);
    let smaller = visitor.silently("asks", &[("scope", "openid")]).await.landed(CALLBACK);
    let list = server.get("/v1.0/consents", token).await.expect(200);
    let path = format!("/{}/scopes/email", list["consents"][0]["id"].as_str().unwrap());
    let gone = server.json("PATCH", "/v1.0/consents", token, &json!([{ "op": "remove", "path": path }])).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    is_refused(&server.redeem("asks", &waiting["code"]).await);
    server.redeem("asks", &smaller["code"]).await.expect(200);
}
