//! Tokens: how they are come by without a person, what they are worth, and how they end.

use serde_json::{Value, json};

use crate::support::{
    ACME, GLOBEX, JWT_BEARER, Reply, Setup, TestKey, TestServer, client, decode, names, user, verify,
};

const PREFIXES: [&str; 4] = ["", "/v1.0/endpoint/default", "/oidc/endpoint/default", "/oauth2"];

async fn credentials(server: &TestServer, id: &str, secret: &str, more: &[(&str, &str)]) -> Reply {
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(more);
    server.ask("POST", "/oauth2/token").basic(id, secret).form(&form).send().await
}

async fn introspect_as(server: &TestServer, id: &str, secret: &str, token: &str) -> Value {
    server.ask("POST", "/oauth2/introspect").basic(id, secret).form(&[("token", token)]).send().await.expect(200)
}

// --- client credentials ---

#[tokio::test]
async fn a_client_has_an_opaque_token_of_its_own_and_nothing_more() {
    let server = TestServer::start().await;
    let reply = credentials(&server, "administration", "administration-demo-secret", &[("scope", "openid")]).await;
    let body = reply.expect(200);
    assert_eq!(names(&body), ["access_token", "scope", "grant_id", "token_type", "expires_in"]);
    let token = body["access_token"].as_str().unwrap();
    assert!(token.len() == 40 && token.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(
        (&body["scope"], &body["token_type"], &body["expires_in"]),
        (&json!(""), &json!("Bearer"), &json!(7200))
    );
    let told = introspect_as(&server, "administration", "administration-demo-secret", token).await;
    assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!("administration")));
    assert_eq!(told["grant_type"], "client_credentials");
    for person in ["preferred_username", "userType", "groupIds", "amr", "acr"] {
        assert_eq!(told.get(person), None, "{person}");
    }
    assert!(told["entitlements"].as_array().unwrap().contains(&json!("readAccessPolicies")));
    server.world.advance(7200);
    let told = introspect_as(&server, "administration", "administration-demo-secret", token).await;
    assert_eq!(told, json!({ "active": false }));
}

#[tokio::test]
async fn a_signed_token_is_verified_by_another_library_with_the_published_keys() {
    let server = TestServer::start().await;
    let jwks = server.ask("GET", "/oauth2/jwks").send().await.expect(200);
    for (id, secret, alg) in [
        ("service-es256", "es256-demo-secret", "ES256"),
        ("service-rs256", "rs256-demo-secret", "RS256"),
        ("service-eddsa", "eddsa-demo-secret", "EdDSA"),
    ] {
        let body = credentials(&server, id, secret, &[]).await.expect(200);
        let jwt = body["access_token"].as_str().unwrap();
        let (header, _) = decode(jwt);
        assert_eq!((&header["alg"], &header["typ"]), (&json!(alg), &json!("at+jwt")), "RFC 9068 §2.1");
        let claims = verify(jwt, &jwks);
        assert_eq!(claims["iss"], format!("{}/oauth2", ACME.base));
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(id), &json!(id)));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 7200);
        assert_eq!(claims["grant_id"], body["grant_id"]);
        let told = introspect_as(&server, id, secret, jwt).await;
        assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!(id)));
    }
    let (_, assertion) = server.password_assertion().await;
    verify(&assertion, &jwks);
    let tokens = server.sign_in().await;
    verify(tokens["id_token"].as_str().unwrap(), &jwks);
}

#[tokio::test]
async fn scopes_are_those_a_client_may_have_in_the_order_asked() {
    let more = "grant_types = [\"client_credentials\"]\nscopes = [\"reports:read\", \"reports:write\"]";
    let server = Setup::new().add(&client("reports", "s", more)).start().await;
    let ask = |scope: &'static str| {
        let server = server.clone();
        async move { credentials(&server, "reports", "s", &[("scope", scope)]).await }
    };
    assert_eq!(ask("reports:write reports:read").await.expect(200)["scope"], "reports:write reports:read");
    assert_eq!(ask("reports:read admin").await.expect(200)["scope"], "reports:read");
    ask("admin").await.oauth_error(400, "invalid_scope", "CSIAQ");
    ask("mfa_challenge").await.oauth_error(400, "invalid_scope", "CSIAQ");
    ask("reports:read \"").await.oauth_error(400, "invalid_scope", "CSIAQ");
    let target = credentials(&server, "reports", "s", &[("resource", "https://elsewhere.example.test")]).await;
    target.oauth_error(400, "invalid_target", "CSIAQ");
}

/// RFC 8707 §2: at the start of a flow as anywhere else.
#[tokio::test]
async fn a_flow_cannot_begin_for_a_resource_the_client_may_not_name() {
    let more = r#"grant_types = ["policyauth"]
policy = 420017
policy_grants = { policyauth = true }
audiences = ["https://api.example.test"]"#;
    let mut server = Setup::new().add(&client("resourceful", "s", more)).start().await;
    server.cast = crate::support::Cast { client: "resourceful", secret: "s", ..ACME };
    let context = crate::support::context("192.168.1.1");
    for (name, resource, fine) in [
        ("resource", "https://api.example.test", true),
        ("audience", "https://api.example.test", true),
        ("resource", "https://elsewhere.example.test", false),
        ("audience", "https://elsewhere.example.test", false),
    ] {
        let form = [("grant_type", "policyauth"), ("context", context.as_str()), (name, resource)];
        let reply = server.token(&form).await;
        if !fine {
            reply.oauth_error(400, "invalid_target", "CSIAQ");
            continue;
        }
        let first = crate::support::Challenge::of(&reply);
        let proved = server.password(&first.token, ACME.other.username, ACME.other.password).await.expect(200);
        let tokens = server.present(text(&proved, "assertion")).await.expect(200);
        let told = server.introspect(text(&tokens, "access_token")).await;
        assert_eq!(told["aud"], json!(resource));
    }
}

// --- ordinary JWT bearer ---

const ISSUER: &str = "https://issuer.example.test";

struct Outside {
    server: TestServer,
    key: TestKey,
}

impl Outside {
    async fn new() -> Self {
        let key = TestKey::new("issuer-1");
        let grants = format!("grant_types = [{JWT_BEARER:?}, \"refresh_token\"]");
        let issuer = |name: &str, more: &str| {
            format!("[[tenant.clients.trusted_issuers]]\nissuer = {name:?}\njwks = {}\n{more}\n", key.toml())
        };
        let setup = Setup::new()
            .add(&user("604000OFF1", "gone", "pw-of-gone", "active = false"))
            .add(&client("bearer", "s", &grants))
            .add(&issuer(ISSUER, ""))
            .add(&issuer("https://off.example.test", "enabled = false"))
            .add(&client("stranger", "s", &grants));
        Self { server: setup.start().await, key }
    }

    fn claims(&self) -> Value {
        let now = self.server.world.now();
        json!({
            "iss": ISSUER, "sub": ACME.other.id, "aud": format!("{}/v1.0/endpoint/default/token", ACME.base),
            "iat": now, "exp": now + 60, "jti": self.server.world.uuid(),
        })
    }

    fn signed(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        self.key.sign(&claims)
    }

    async fn present(&self, id: &str, jwt: &str) -> Reply {
        let form = [("grant_type", JWT_BEARER), ("scope", "openid"), ("assertion", jwt)];
        self.server.ask("POST", "/oauth2/token").basic(id, "s").form(&form).send().await
    }
}

#[tokio::test]
async fn an_assertion_of_a_trusted_issuer_begins_a_grant_of_its_own() {
    let bench = Outside::new().await;
    let first = bench.present("bearer", &bench.signed(|_| {})).await.expect(200);
    assert_eq!(
        names(&first),
        ["access_token", "refresh_token", "scope", "grant_id", "id_token", "token_type", "expires_in"]
    );
    assert_eq!(decode(first["id_token"].as_str().unwrap()).1["sub"], ACME.other.id);
    let second = bench.present("bearer", &bench.signed(|_| {})).await.expect(200);
    assert_ne!(first["grant_id"], second["grant_id"]);
    for aud in [format!("{}/oauth2", ACME.base), format!("{}/oauth2/token", ACME.base)] {
        bench.present("bearer", &bench.signed(|claims| claims["aud"] = json!(aud))).await.expect(200);
    }
}

#[tokio::test]
async fn attack_59_an_assertion_that_is_replayed_late_misdirected_or_of_nobody_is_refused() {
    let bench = Outside::new().await;
    let refused = |reply: Reply, what: &str| {
        assert_eq!(reply.status, 400, "{what}: {}", reply.text());
        reply.oauth_error(400, "invalid_grant", "CSIAQ");
    };
    let jwt = bench.signed(|_| {});
    bench.present("bearer", &jwt).await.expect(200);
    refused(bench.present("bearer", &jwt).await, "a second time");
    refused(bench.present("stranger", &bench.signed(|_| {})).await, "a client that does not trust the issuer");
    let stranger = TestKey::new("issuer-1");
    refused(bench.present("bearer", &stranger.sign(&bench.claims())).await, "another key under the same name");
    let now = bench.server.world.now();
    for (claim, value) in [
        ("iss", json!("https://off.example.test")),
        ("iss", json!("https://nobody.example.test")),
        ("iss", json!("bearer")),
        ("iss", json!(null)),
        ("aud", json!("https://elsewhere.example.test")),
        ("aud", json!(format!("{}/oauth2/token", GLOBEX.base))),
        ("aud", json!([format!("{}/oauth2/token", ACME.base), "https://elsewhere.example.test"])),
        ("aud", json!(null)),
        ("exp", json!(now)),
        ("exp", json!(now + 3601)),
        ("exp", json!(null)),
        ("nbf", json!(now + 60)),
        ("iat", json!(now + 86_400)),
        ("jti", json!(null)),
        ("jti", json!("")),
        ("sub", json!("nobody")),
        ("sub", json!(null)),
        ("sub", json!("")),
        ("sub", json!("604000OFF1")),
        ("sub", json!(GLOBEX.admin.id)),
    ] {
        let jwt = bench.signed(|claims| claims[claim] = value.clone());
        refused(bench.present("bearer", &jwt).await, &format!("{claim} {value}"));
    }
}

#[tokio::test]
async fn two_people_of_one_name_are_told_apart_by_realm_and_never_guessed() {
    let key = TestKey::new("issuer-1");
    let person = |id: &str, source: &str| user(id, "twin", "pw-of-a-twin", &format!("source = {source:?}"));
    let issuer = format!(
        "[[tenant.clients.trusted_issuers]]\nissuer = {ISSUER:?}\nsearch_by = \"preferred_username\"\njwks = {}\n",
        key.toml()
    );
    let server = Setup::new()
        .add_to_second(&person("701000TWN1", "5668446a-d3ea-4581-9143-8122f800461f"))
        .add_to_second(&person("701000TWN2", "a2d5d23a-f18f-4382-a4e0-38c64f197c72"))
        .add_to_second(&client("bearer", "s", &format!("grant_types = [{JWT_BEARER:?}]")))
        .add_to_second(&issuer)
        .start()
        .await
        .as_of(GLOBEX);
    let present = |realm: Option<&str>| {
        let now = server.world.now();
        let mut claims = json!({
            "iss": ISSUER, "sub": "twin", "aud": format!("{}/oauth2/token", GLOBEX.base), "exp": now + 60,
            "jti": server.world.uuid(),
        });
        if let Some(realm) = realm {
            claims["realm"] = json!(realm);
        }
        let form =
            [("grant_type", JWT_BEARER.to_owned()), ("scope", "openid".to_owned()), ("assertion", key.sign(&claims))];
        server.ask("POST", "/oauth2/token").basic("bearer", "s").form(&form).send()
    };
    for realm in [None, Some("elsewhere")] {
        present(realm).await.oauth_error(400, "invalid_grant", "CSIAQ");
    }
    for (realm, id) in [("globexStaff", "701000TWN1"), ("globexContractors", "701000TWN2")] {
        let tokens = present(Some(realm)).await.expect(200);
        assert_eq!(decode(text(&tokens, "id_token")).1["sub"], id);
    }
}

// --- refresh ---

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}

#[tokio::test]
async fn a_refresh_gives_three_new_tokens_in_the_same_grant() {
    let server = TestServer::start().await;
    let first = server.sign_in_other().await;
    server.world.advance(5);
    let second = server.refresh(text(&first, "refresh_token")).await.expect(200);
    assert_eq!(names(&second), names(&first));
    for token in ["access_token", "refresh_token", "id_token"] {
        assert_ne!(first[token], second[token], "{token}");
    }
    assert_eq!((&first["grant_id"], &first["scope"]), (&second["grant_id"], &second["scope"]));
    assert_eq!(server.introspect(text(&second, "access_token")).await["grant_type"], "refresh_token");
    let (old, new) = (decode(text(&first, "id_token")).1, decode(text(&second, "id_token")).1);
    for claim in ["sub", "aud", "iss", "auth_time", "sid", "amr", "acr"] {
        assert_eq!(old[claim], new[claim], "{claim} (OpenID Connect Core §12.2)");
    }
    assert_eq!(new["iat"], server.world.now());
}

#[tokio::test]
async fn a_lost_answer_is_given_again_within_the_grace_and_only_then() {
    let server = TestServer::start().await;
    let first = server.sign_in_other().await;
    let old = text(&first, "refresh_token");
    let answer = server.refresh(old).await.expect(200);
    server.world.advance(9);
    let again = server.refresh(old).await.expect(200);
    assert_eq!(again["refresh_token"], answer["refresh_token"], "the same successor, never a second line");
    assert_eq!(again["access_token"], answer["access_token"]);
    assert_eq!(again["expires_in"], 7191);
    let next = server.refresh(text(&again, "refresh_token")).await.expect(200);
    assert_ne!(next["refresh_token"], answer["refresh_token"]);
}

#[tokio::test]
async fn attack_18_a_rotated_token_after_the_grace_kills_the_family() {
    let server = TestServer::start().await;
    let first = server.sign_in_other().await;
    let second = server.refresh(text(&first, "refresh_token")).await.expect(200);
    server.world.advance(10);
    let reply = server.refresh(text(&first, "refresh_token")).await;
    reply.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
    let successor = server.refresh(text(&second, "refresh_token")).await;
    assert_eq!(successor, reply, "the honest one learns no more than the thief");
    for token in [&first, &second] {
        assert_eq!(server.introspect(text(token, "access_token")).await, json!({ "active": false }));
    }
}

#[tokio::test]
async fn attack_18_a_token_two_generations_old_kills_the_family_even_within_the_grace() {
    let server = TestServer::start().await;
    let first = server.sign_in_other().await;
    let second = server.refresh(text(&first, "refresh_token")).await.expect(200);
    let third = server.refresh(text(&second, "refresh_token")).await.expect(200);
    server.refresh(text(&first, "refresh_token")).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
    server.refresh(text(&third, "refresh_token")).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
    assert_eq!(server.introspect(text(&third, "access_token")).await, json!({ "active": false }));
}

#[tokio::test]
async fn a_made_up_token_of_a_known_grant_harms_nobody() {
    let server = TestServer::start().await;
    let first = server.sign_in_other().await;
    let real = text(&first, "refresh_token");
    for forged in [format!("{}{}", &real[..26], "A".repeat(24)), format!("{}0{}", &real[..25], &real[26..])] {
        if forged != real {
            server.refresh(&forged).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
        }
    }
    server.refresh(real).await.expect(200);
}

#[tokio::test]
async fn attack_20_a_restart_forgets_no_rotation() {
    let server = TestServer::start().await;
    let first = server.sign_in_other().await;
    let second = server.refresh(text(&first, "refresh_token")).await.expect(200);
    server.world.advance(10);
    let restarted = server.another().await;
    let reuse = restarted.refresh(text(&first, "refresh_token")).await;
    reuse.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
    restarted.refresh(text(&second, "refresh_token")).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
}

#[tokio::test]
async fn attack_21_another_client_cannot_refresh_and_does_no_harm_by_trying() {
    let public = "[[tenant.clients]]\nid = \"public\"\nauth_method = \"none\"\ngrant_types = [\"refresh_token\"]\n";
    let server = Setup::new().add(public).start().await;
    let tokens = server.sign_in_other().await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
    let other = server.ask("POST", "/oauth2/token").basic("office-only", "office-demo-secret").form(&form).send().await;
    other.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
    let unknown = [form[0], ("refresh_token", "unknown")];
    let unknown = server.ask("POST", "/oauth2/token").basic("office-only", "office-demo-secret").form(&unknown);
    assert_eq!(unknown.send().await, other, "nothing is told of whose it is");
    let public = [&form[..], &[("client_id", "public")]].concat();
    server.post_form("/oauth2/token", &public).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
    let globex = server.as_of(GLOBEX);
    globex.refresh(text(&tokens, "refresh_token")).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
    server.refresh(text(&tokens, "refresh_token")).await.expect(200);
}

#[tokio::test]
async fn attack_22_a_refresh_narrows_and_never_widens() {
    let server = TestServer::start().await;
    let first = server.begin_scoped("openid profile email").await;
    assert_eq!(first["scope"], "openid profile email");
    let refresh = |token: String, more: Vec<(&'static str, &'static str)>| {
        let server = server.clone();
        async move {
            let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
            form.extend(more);
            server.token(&form).await
        }
    };
    let token = || text(&first, "refresh_token").to_owned();
    for scope in ["openid phone", "openid profile email address", "mfa_challenge", "offline_access"] {
        refresh(token(), vec![("scope", scope)]).await.oauth_error(400, "invalid_scope", "CSIAQ");
    }
    for target in ["resource", "audience"] {
        let reply = refresh(token(), vec![(target, "https://elsewhere.example.test")]).await;
        reply.oauth_error(400, "invalid_target", "CSIAQ");
    }
    let narrow = refresh(token(), vec![("scope", "profile")]).await.expect(200);
    assert_eq!(narrow["scope"], "profile");
    assert_eq!(narrow.get("id_token"), None);
    assert_eq!(server.introspect(text(&narrow, "access_token")).await["scope"], "profile");
    let whole = refresh(text(&narrow, "refresh_token").to_owned(), vec![]).await.expect(200);
    assert_eq!(whole["scope"], "openid profile email", "narrowing once loses nothing for good");
}

#[tokio::test]
async fn attack_23_what_ends_a_person_or_a_client_ends_their_tokens() {
    use store::Change;
    let tenant = crate::support::ACME.tenant.into();
    for ended in ["disabled", "not before", "client off", "client not before"] {
        let server = TestServer::start().await;
        let tokens = server.sign_in_other().await;
        server.world.advance(1);
        let now = server.world.now();
        let mut user = server.store.user(&tenant, &ACME.other.id.into()).await.unwrap().unwrap();
        match ended {
            "disabled" => user.active = false,
            "not before" => user.not_before = now,
            _ => {
                server
                    .change_client(ACME.client, |client| match ended {
                        "client off" => client.enabled = false,
                        _ => client.not_before = now,
                    })
                    .await;
            }
        }
        server.store.commit(&tenant, "test", vec![Change::PutUser(user)]).await.unwrap();
        for kind in ["access_token", "refresh_token"] {
            let token = text(&tokens, kind);
            let told = introspect_as(&server, "administration", "administration-demo-secret", token).await;
            assert_eq!(told, json!({ "active": false }), "{ended}: {kind}");
        }
        let userinfo = server.get("/oauth2/userinfo", text(&tokens, "access_token")).await;
        userinfo.oauth_error(401, "invalid_token", "");
        let reply = server.refresh(text(&tokens, "refresh_token")).await;
        if ended == "client off" {
            reply.oauth_error(401, "invalid_client", "CSIAQ0155E ");
        } else {
            reply.oauth_error(400, "invalid_grant", "CSIAQ");
        }
    }
}

#[tokio::test]
async fn attack_23_a_password_reset_ends_what_the_old_one_began() {
    let more =
        "grant_types = [\"client_credentials\"]\nentitlements = [\"resetPasswordAnyUser\", \"manageAllUserGroups\"]";
    let server = Setup::new().add(&client("helpdesk", "s", more)).start().await;
    let tokens = server.sign_in_other().await;
    let first = server.begin_inside().await;
    let other = ACME.other;
    let proved = server.password(&first.token, other.username, other.password).await.expect(200);
    server.world.advance(1);
    let path = format!("/v1.0/authnmethods/password/{}/reset", ACME.source);
    let body = json!({ "username": other.username, "newPassword": "a-new-password-1" });
    server.json("POST", &path, &server.token_of("helpdesk", "s").await, &body).await.expect(200);

    assert_eq!(server.introspect(text(&tokens, "access_token")).await, json!({ "active": false }));
    server.refresh(text(&tokens, "refresh_token")).await.oauth_error(400, "invalid_grant", "CSIAQ");
    server.get("/oauth2/userinfo", text(&tokens, "access_token")).await.oauth_error(401, "invalid_token", "");
    // What was proved with the old password and not yet presented is worth nothing either.
    server.present(text(&proved, "assertion")).await.oauth_error(400, "invalid_grant", "CSIAQ");
    let second = server.second_challenge().await;
    let admin = json!({ "username": ACME.admin.username, "newPassword": "a-new-password-2" });
    server.world.advance(1);
    server.json("POST", &path, &server.token_of("helpdesk", "s").await, &admin).await.expect(200);
    let code = server.prove_code(&second.token).await;
    server.present(&code).await.oauth_error(400, "invalid_grant", "CSIAQ");

    let again = server.begin_inside().await;
    server.password(&again.token, other.username, other.password).await.factor_error(400, "CSIBH0044E");
    let proved = server.password(&again.token, other.username, "a-new-password-1").await.expect(200);
    let fresh = server.present(text(&proved, "assertion")).await.expect(200);
    assert_eq!(server.introspect(text(&fresh, "access_token")).await["active"], true);
}

#[tokio::test]
async fn signed_access_tokens_die_with_their_grant() {
    let more = r#"grant_types = ["policyauth", "refresh_token"]
policy = 420017
policy_grants = { policyauth = true }
access_token_format = "jwt"
access_token_alg = "RS256""#;
    let mut server = Setup::new().add(&client("signed", "s", more)).start().await;
    server.cast = crate::support::Cast { client: "signed", secret: "s", ..ACME };
    let first = server.sign_in_other().await;
    let claims = decode(text(&first, "access_token")).1;
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(ACME.other.id), &json!("signed")));
    server.get("/oauth2/userinfo", text(&first, "access_token")).await.expect(200);
    let second = server.refresh(text(&first, "refresh_token")).await.expect(200);
    let again = server.refresh(text(&first, "refresh_token")).await.expect(200);
    let jti = |tokens: &Value| decode(text(tokens, "access_token")).1["jti"].clone();
    assert_eq!(jti(&second), jti(&again), "the same answer again");
    assert_ne!(jti(&second), jti(&first));
    server.world.advance(10);
    server.refresh(text(&first, "refresh_token")).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
    for tokens in [&first, &second] {
        assert_eq!(server.introspect(text(tokens, "access_token")).await, json!({ "active": false }));
        server.get("/oauth2/userinfo", text(tokens, "access_token")).await.oauth_error(401, "invalid_token", "");
    }
    server.world.advance(1);
    let fresh = server.sign_in_other().await;
    assert_eq!(server.introspect(text(&fresh, "access_token")).await["active"], true, "another grant is not concerned");
}

#[tokio::test]
async fn a_client_without_rotation_keeps_its_refresh_token_and_its_end() {
    let more = r#"grant_types = ["policyauth", "refresh_token"]
policy = 420017
policy_grants = { policyauth = true }
renew_refresh_token = false"#;
    let mut server = Setup::new().add(&client("steady", "s", more)).start().await;
    server.cast = crate::support::Cast { client: "steady", secret: "s", ..ACME };
    let first = server.sign_in_other().await;
    server.world.advance(60_000);
    let second = server.refresh(text(&first, "refresh_token")).await.expect(200);
    assert_eq!(second["refresh_token"], first["refresh_token"]);
    assert_ne!(second["access_token"], first["access_token"]);
    let told = server.introspect(text(&second, "access_token")).await;
    assert_eq!(told["active"], true, "{told}");
    server.world.advance(4_800);
    server.refresh(text(&first, "refresh_token")).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
}

#[tokio::test]
async fn no_refresh_outlives_its_grant() {
    let more = r#"grant_types = ["policyauth", "refresh_token"]
policy = 420017
policy_grants = { policyauth = true }
grant_lifetime = 1000
refresh_token_lifetime = 600"#;
    let mut server = Setup::new().add(&client("short", "s", more)).start().await;
    server.cast = crate::support::Cast { client: "short", secret: "s", ..ACME };
    let first = server.sign_in_other().await;
    server.world.advance(599);
    let second = server.refresh(text(&first, "refresh_token")).await.expect(200);
    server.world.advance(401);
    server.refresh(text(&second, "refresh_token")).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
}

/// The row of a dead grant is what says that its tokens are dead, and of a JWT there is no other.
#[tokio::test]
async fn attack_24_a_jwt_of_a_dead_grant_does_not_come_back_when_the_grant_is_forgotten() {
    let more = r#"grant_types = ["policyauth", "refresh_token"]
policy = 420017
policy_grants = { policyauth = true }
access_token_format = "jwt"
grant_lifetime = 1000"#;
    let mut server = Setup::new().add(&client("signed", "s", more)).start().await;
    server.cast = crate::support::Cast { client: "signed", secret: "s", ..ACME };
    let refreshed = async |first: Value| server.refresh(text(&first, "refresh_token")).await.expect(200);
    for once_more in [false, true] {
        let first = server.sign_in_other().await;
        let last = if once_more { refreshed(first).await } else { first };
        let token = text(&last, "access_token");
        assert_eq!(server.introspect(token).await["active"], true);
        revoke_as(&server, "signed", "s", text(&last, "refresh_token")).await;
        for _ in 0..7 {
            assert_eq!(server.introspect(token).await, json!({ "active": false }));
            server.world.advance(1000);
            while server.store.sweep(server.world.now(), 100).await.unwrap() > 0 {}
        }
        assert_eq!(server.introspect(token).await, json!({ "active": false }));
    }
}

// --- introspection, revocation, userinfo ---

#[tokio::test]
async fn attack_24_only_an_audience_learns_what_a_token_is() {
    let server = Setup::new()
        .add(&client("blind", "s", "introspect = \"own\"\ngrant_types = []"))
        .add(&client("seeing", "s", "introspect = \"any\"\ngrant_types = []"))
        .start()
        .await;
    let tokens = server.sign_in_other().await;
    let inactive = json!({ "active": false });
    for name in ["access_token", "refresh_token"] {
        let token = text(&tokens, name);
        assert_eq!(introspect_as(&server, "blind", "s", token).await, inactive, "{name}");
        assert_eq!(introspect_as(&server, "seeing", "s", token).await["active"], true, "{name}");
        assert_eq!(server.introspect(token).await["active"], true, "{name}");
        let globex = server.as_of(GLOBEX);
        assert_eq!(introspect_as(&globex, "backend", "second-backend-secret", token).await, inactive, "{name}");
    }
    let challenge = server.begin_inside().await.token;
    assert_eq!(introspect_as(&server, "blind", "s", &challenge).await, inactive);
    assert_eq!(introspect_as(&server, "seeing", "s", "unknown").await, inactive);
    assert_eq!(server.introspect(text(&tokens, "refresh_token")).await["token_type"], "refresh_token");
    // Whoever is not a client at all.
    let reply = server.post_form("/oauth2/introspect", &[("token", text(&tokens, "access_token"))]).await;
    reply.oauth_error(401, "invalid_client", "CSIAQ0155E ");
}

async fn revoke_as(server: &TestServer, id: &str, secret: &str, token: &str) {
    let ask = server.ask("POST", "/oauth2/revoke").basic(id, secret);
    ask.form(&[("token", token)]).send().await.expect_empty(200);
}

#[tokio::test]
async fn attack_24_a_client_revokes_its_own_tokens_alone() {
    let server = TestServer::start().await;
    let tokens = server.sign_in_other().await;
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    for token in [access, refresh, "unknown"] {
        revoke_as(&server, "office-only", "office-demo-secret", token).await;
    }
    assert_eq!(server.introspect(access).await["active"], true, "another client's word is not enough");

    revoke_as(&server, ACME.client, ACME.secret, access).await;
    assert_eq!(server.introspect(access).await, json!({ "active": false }));
    assert_eq!(server.introspect(refresh).await["active"], true, "an access token goes alone");
    let fresh = server.refresh(refresh).await.expect(200);

    revoke_as(&server, ACME.client, ACME.secret, text(&fresh, "refresh_token")).await;
    assert_eq!(
        server.introspect(text(&fresh, "access_token")).await,
        json!({ "active": false }),
        "a refresh token takes all"
    );
    server.refresh(text(&fresh, "refresh_token")).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
    server.get("/oauth2/userinfo", text(&fresh, "access_token")).await.oauth_error(401, "invalid_token", "");
}

#[tokio::test]
async fn a_revoked_signed_token_is_dead_everywhere_here() {
    let server = TestServer::start().await;
    let (id, secret) = ("service-es256", "es256-demo-secret");
    let token = credentials(&server, id, secret, &[]).await.expect(200);
    let token = text(&token, "access_token");
    revoke_as(&server, "service-rs256", "rs256-demo-secret", token).await;
    assert_eq!(introspect_as(&server, id, secret, token).await["active"], true);
    revoke_as(&server, id, secret, token).await;
    assert_eq!(introspect_as(&server, id, secret, token).await, json!({ "active": false }));
    let other = server.another().await;
    assert_eq!(introspect_as(&other, id, secret, token).await, json!({ "active": false }));
}

#[tokio::test]
async fn userinfo_answers_by_scope_wherever_the_token_is_put() {
    let server = TestServer::start().await;
    let tokens = server.begin_scoped("openid email").await;
    let token = text(&tokens, "access_token");
    for prefix in PREFIXES {
        let path = format!("{prefix}/userinfo");
        let told = server.get(&path, token).await.expect(200);
        assert_eq!((&told["sub"], &told["email"]), (&json!(ACME.other.id), &json!("pat@acme.org")), "{prefix}");
        assert_eq!(told["ext"]["tenantId"], ACME.host);
        assert_eq!(server.post_form(&path, &[("access_token", token)]).await.expect(200), told);
        let both = server.ask("POST", &path).bearer(token).form(&[("access_token", token)]).send().await;
        assert_eq!(both.expect(200), told);
    }
    let path = "/oauth2/userinfo";
    let two = server.ask("POST", path).bearer(token).form(&[("access_token", "other")]).send().await;
    two.oauth_error(400, "invalid_request", "");
    let none = server.ask("GET", path).send().await;
    none.expect_empty(401);
    assert_eq!(none.header("www-authenticate"), "Bearer", "RFC 6750 §3.1: no error where no token was sent");
    let bad = server.get(path, "unknown").await;
    bad.oauth_error(401, "invalid_token", "");
    assert!(bad.header("www-authenticate").starts_with("Bearer error=\"invalid_token\""));
    let own = credentials(&server, "administration", "administration-demo-secret", &[]).await.expect(200);
    server.get(path, text(&own, "access_token")).await.oauth_error(403, "insufficient_scope", "");
    let plain = server.sign_in_other().await;
    let told = server.get(path, text(&plain, "access_token")).await.expect(200);
    assert_eq!(told.get("email"), None, "not without its scope");
}

// --- discovery ---

#[tokio::test]
async fn every_endpoint_that_metadata_names_answers() {
    let server = TestServer::start().await;
    let jwks = server.ask("GET", "/jwks").send().await;
    let kids: Vec<Value> = jwks.expect(200)["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect();
    assert!(kids.contains(&json!("server")), "the key of factor assertions is published");
    for key in jwks.json()["keys"].as_array().unwrap() {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert_eq!(key.get(private), None);
        }
    }
    for (prefix, issuer) in [
        ("", "/oidc/endpoint/default"),
        ("/v1.0/endpoint/default", "/oidc/endpoint/default"),
        ("/oidc/endpoint/default", "/oidc/endpoint/default"),
        ("/oauth2", "/oauth2"),
    ] {
        let openid = server.ask("GET", &format!("{prefix}/.well-known/openid-configuration")).send().await;
        let document = openid.expect(200);
        assert_eq!(openid.header("access-control-allow-origin"), "*");
        let oauth = server.ask("GET", &format!("{prefix}/.well-known/oauth-authorization-server")).send().await;
        assert_eq!(oauth.expect(200), document);
        if !prefix.is_empty() {
            assert_eq!(document["issuer"], format!("{}{issuer}", ACME.base), "{prefix}");
        }
        let mut named = 0;
        for (name, value) in document.as_object().unwrap() {
            let Some(url) = value.as_str().filter(|_| name.ends_with("_endpoint") || name == "jwks_uri") else {
                continue;
            };
            named += 1;
            let path = url.strip_prefix(ACME.base).unwrap_or_else(|| panic!("{name} is at another host: {url}"));
            let method = if name == "jwks_uri" { "GET" } else { "POST" };
            let status = server.ask(method, path).send().await.status.as_u16();
            assert!(![404, 405, 500, 501].contains(&status), "{name} {path}: {status}");
        }
        assert!(named >= 5, "{document}");
        let list = |name: &str| document[name].as_array().unwrap().clone();
        for method in list("token_endpoint_auth_methods_supported") {
            let known = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
            assert!(known.contains(&method.as_str().unwrap()), "{method}");
        }
        // Implicit is the one grant that never comes here.
        for grant in list("grant_types_supported").into_iter().filter(|grant| *grant != json!("implicit")) {
            let form = [
                ("client_id", "office-only"),
                ("client_secret", "office-demo-secret"),
                ("grant_type", grant.as_str().unwrap()),
            ];
            let reply = server.post_form(&format!("{prefix}/token"), &form).await;
            assert_ne!(reply.json()["error"], "unsupported_grant_type", "{grant} is advertised");
        }
        assert!(list("grant_types_supported").contains(&json!("policyauth")));
    }
    let shared = server.ask("GET", "/.well-known/oauth-authorization-server/oauth2").send().await.expect(200);
    assert_eq!(shared["issuer"], format!("{}/oauth2", ACME.base), "RFC 8414 §3.1");
    server.ask("GET", "/.well-known/oauth-authorization-server/elsewhere").send().await.expect(404);
}

#[tokio::test]
async fn every_prefix_serves_every_endpoint_alike() {
    let server = TestServer::start().await;
    let tokens = server.sign_in_other().await;
    let access = text(&tokens, "access_token");
    for prefix in PREFIXES {
        let own = [("client_id", ACME.client), ("client_secret", ACME.secret)];
        let form = [&own[..], &[("grant_type", "client_credentials")]].concat();
        let made = server.post_form(&format!("{prefix}/token"), &form).await.expect(200);
        let form = [&own[..], &[("token", access)]].concat();
        let told = server.post_form(&format!("{prefix}/introspect"), &form).await.expect(200);
        assert_eq!(told["active"], true, "{prefix}");
        let form = [&own[..], &[("token", text(&made, "access_token"))]].concat();
        server.post_form(&format!("{prefix}/revoke"), &form).await.expect_empty(200);
        assert_eq!(server.introspect(text(&made, "access_token")).await, json!({ "active": false }), "{prefix}");
    }
}
