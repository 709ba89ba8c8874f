//! Token exchange (RFC 8693, vendor page §4.8): impersonation and delegation, and everything that gates them.

use protocol::records::Client;
use serde_json::{Value, json};
use store::Change;

use crate::support::{
    ACME, Cast, Challenge, GLOBEX, JWT_BEARER, Reply, Setup, TestKey, TestServer, client, decode, policy, rule, user,
    verify,
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const REFRESH: &str = "urn:ietf:params:oauth:token-type:refresh_token";
const ID: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ISSUER: &str = "https://issuer.example.test";

/// Two applications people sign in to, a service that exchanges their tokens, and one that may not.
struct Bench {
    server: TestServer,
    key: TestKey,
}

impl Bench {
    async fn new() -> Self {
        let key = TestKey::new("issuer-1");
        let app = "grant_types = [\"password\", \"refresh_token\", \"client_credentials\"]\nscopes = [\"orders.read\"]\n\
                   audiences = [\"https://orders.example.test\"]";
        let types = format!(
            "subject_token_types = [{ACCESS:?}, {ID:?}, {JWT:?}]\nactor_token_types = [{ACCESS:?}, {ID:?}, {JWT:?}]\n\
             requested_token_types = [{ACCESS:?}, {ID:?}, {JWT:?}]"
        );
        let service = format!(
            "grant_types = [{EXCHANGE:?}, \"client_credentials\", \"password\"]\nscopes = [\"orders.read\", \"orders.write\"]\n\
             audiences = [\"https://stock.example.test\"]\nexchange_from = [\"shop\", \"kiosk\"]\n\
             exchange_actors = [\"service\", {:?}]\n{types}",
            ACME.admin.id
        );
        let issuer = format!("[[tenant.clients.trusted_issuers]]\nissuer = {ISSUER:?}\njwks = {}\n", key.toml());
        let second = policy(
            500_001,
            &[
                rule("First", true, "[]", "ACTION_MFA_ALWAYS", "[\"password\"]"),
                rule("Second", false, "[]", "ACTION_MFA_ALWAYS", "[\"emailotp\"]"),
            ],
        );
        let server = Setup::new()
            .add(&user("604000OFF1", "gone", "pw-of-gone", "active = false"))
            .add(&client("shop", "s", app))
            .add(&client("kiosk", "s", &format!("{app}\naccess_token_format = \"jwt\"")))
            .add(&client("other", "s", app))
            .add(&client("service", "s", &service))
            .add(&issuer)
            .add(&client("plain", "s", &format!("grant_types = [{EXCHANGE:?}]\nexchange_from = [\"shop\"]")))
            .add(&client("off", "s", app))
            .add(&client(
                "strict",
                "s",
                &format!(
                    "grant_types = [{EXCHANGE:?}]\nexchange_from = [\"shop\"]\npolicy = 500001\n\
                     policy_grants = {{ token_exchange = true }}"
                ),
            ))
            .add(&second)
            .start()
            .await;
        Self { server, key }
    }

    /// Tokens of a person at an application.
    async fn tokens(&self, app: &str, person: crate::support::Person, scope: &str) -> Value {
        let form = [
            ("grant_type", "password"),
            ("username", person.username),
            ("password", person.password),
            ("scope", scope),
        ];
        self.server.ask("POST", "/oauth2/token").basic(app, "s").form(&form).send().await.expect(200)
    }

    async fn access(&self, app: &str) -> String {
        text(&self.tokens(app, ACME.other, "openid orders.read").await, "access_token")
    }

    async fn own(&self, app: &str) -> String {
        let form = [("grant_type", "client_credentials")];
        let made = self.server.ask("POST", "/oauth2/token").basic(app, "s").form(&form).send().await.expect(200);
        text(&made, "access_token")
    }

    async fn exchange(&self, by: &str, subject: &str, more: &[(&str, &str)]) -> Reply {
        self.exchange_as(by, subject, ACCESS, more).await
    }

    async fn exchange_as(&self, by: &str, subject: &str, kind: &str, more: &[(&str, &str)]) -> Reply {
        let mut form = vec![("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", kind)];
        form.extend(more);
        self.server.ask("POST", "/oauth2/token").basic(by, "s").form(&form).send().await
    }

    async fn introspect(&self, by: &str, token: &str) -> Value {
        let ask = self.server.ask("POST", "/oauth2/introspect").basic(by, "s");
        ask.form(&[("token", token)]).send().await.expect(200)
    }

    fn outside(&self, change: impl FnOnce(&mut Value)) -> String {
        let now = self.server.world.now();
        let mut claims = json!({
            "iss": ISSUER, "sub": ACME.other.id, "aud": format!("{}/oauth2", ACME.base), "iat": now, "exp": now + 600,
        });
        change(&mut claims);
        self.key.sign(&claims)
    }

    async fn change_user(&self, id: &str, change: impl FnOnce(&mut protocol::records::User)) {
        let tenant = self.server.tenant();
        let mut user = self.server.store.user(&tenant, &id.into()).await.unwrap().unwrap();
        change(&mut user);
        self.server.store.commit(&tenant, "test", vec![Change::PutUser(user)]).await.unwrap();
    }
}

#[track_caller]
fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {of}")).to_owned()
}

/// RFC 8693 §2.2.2.
#[track_caller]
fn unusable(reply: &Reply) {
    reply.oauth_error(400, "invalid_request", "CSIAQ0158E ");
}

#[tokio::test]
async fn gt21_impersonation_names_the_subject_alone_and_delegation_the_actor_too() {
    let bench = Bench::new().await;
    let subject = bench.access("shop").await;
    let made = bench.exchange("service", &subject, &[]).await.expect(200);
    assert_eq!(made["issued_token_type"], ACCESS);
    assert_eq!((&made["token_type"], &made["scope"]), (&json!("Bearer"), &json!("openid orders.read")));
    let seen = bench.introspect("service", &text(&made, "access_token")).await;
    assert_eq!(
        (&seen["active"], &seen["sub"], &seen["client_id"]),
        (&json!(true), &json!(ACME.other.id), &json!("service"))
    );
    assert!(seen.get("act").is_none());

    let actor = bench.own("service").await;
    let act = [("actor_token", actor.as_str()), ("actor_token_type", ACCESS)];
    let made = bench.exchange("service", &subject, &act).await.expect(200);
    let seen = bench.introspect("service", &text(&made, "access_token")).await;
    assert_eq!((&seen["sub"], &seen["act"]), (&json!(ACME.other.id), &json!({"sub": "service"})));
}

#[tokio::test]
async fn actors_stand_truthfully_one_behind_the_other() {
    let bench = Bench::new().await;
    bench
        .server
        .change_client("kiosk", |client| {
            client.grant_types.insert(EXCHANGE.to_owned());
            client.exchange_from.insert("shop".into());
            client.exchange_actors.insert("kiosk".to_owned());
        })
        .await;
    let subject = bench.access("shop").await;
    let kiosk = bench.own("kiosk").await;
    let act = [("actor_token", kiosk.as_str()), ("actor_token_type", ACCESS)];
    let first = bench.exchange("kiosk", &subject, &act).await.expect(200);
    // A JWT says it itself.
    let jwks = bench.server.ask("GET", "/jwks").send().await.expect(200);
    let claims = verify(&text(&first, "access_token"), &jwks);
    assert_eq!((&claims["sub"], &claims["act"]), (&json!(ACME.other.id), &json!({"sub": "kiosk"})));
    let service = bench.own("service").await;
    let act = [("actor_token", service.as_str()), ("actor_token_type", ACCESS), ("requested_token_type", JWT)];
    let second = bench.exchange("service", &text(&first, "access_token"), &act).await.expect(200);
    assert_eq!(second["issued_token_type"], JWT);
    let claims = verify(&text(&second, "access_token"), &jwks);
    assert_eq!(claims["act"], json!({"sub": "service", "act": {"sub": "kiosk"}}));
    // Impersonation hides nobody who acted before.
    let third = bench.exchange("service", &text(&first, "access_token"), &[("requested_token_type", JWT)]).await;
    assert_eq!(verify(&text(&third.expect(200), "access_token"), &jwks)["act"], json!({"sub": "kiosk"}));
}

#[tokio::test]
async fn a_person_may_act_for_another_where_the_client_is_set_so() {
    let bench = Bench::new().await;
    let subject = bench.access("shop").await;
    let admin = text(&bench.tokens("shop", ACME.admin, "openid").await, "id_token");
    let act = [("actor_token", admin.as_str()), ("actor_token_type", ID)];
    let made = bench.exchange("service", &subject, &act).await.expect(200);
    let seen = bench.introspect("service", &text(&made, "access_token")).await;
    assert_eq!(seen["act"], json!({"sub": ACME.admin.id}));
    // Another person may not, nor anybody with a token of a client that is not to be exchanged.
    let other = text(&bench.tokens("shop", ACME.other, "openid").await, "id_token");
    let act = [("actor_token", other.as_str()), ("actor_token_type", ID)];
    bench.exchange("service", &subject, &act).await.oauth_error(400, "invalid_request", "CSIAQ5201E ");
    let elsewhere = text(&bench.tokens("other", ACME.admin, "openid").await, "id_token");
    let act = [("actor_token", elsewhere.as_str()), ("actor_token_type", ID)];
    unusable(&bench.exchange("service", &subject, &act).await);
}

#[tokio::test]
async fn attack_57_may_act_names_who_may_and_nobody_else_does() {
    let bench = Bench::new().await;
    let service = bench.own("service").await;
    let act = [("actor_token", service.as_str()), ("actor_token_type", ACCESS)];
    let with = |may_act: Value| bench.outside(|claims| claims["may_act"] = may_act);
    for (may_act, ok) in [
        (json!({"sub": "service"}), true),
        (json!({"client_id": "service"}), true),
        (json!({"sub": "somebody-else"}), false),
        (json!({"sub": "service", "iss": "https://elsewhere.test"}), false),
        (json!("service"), false),
        (json!({}), false),
    ] {
        let subject = with(may_act.clone());
        // With an actor, and with the client itself as the one who acts.
        for more in [&act[..], &[]] {
            let reply = bench.exchange_as("service", &subject, JWT, more).await;
            if ok {
                reply.expect(200);
            } else {
                reply.oauth_error(400, "invalid_request", "CSIAQ5201E ");
            }
        }
    }
    // An actor nobody named.
    bench.server.change_client("service", |client| client.exchange_actors.clear()).await;
    let subject = bench.outside(|_| {});
    bench.exchange_as("service", &subject, JWT, &act).await.oauth_error(400, "invalid_request", "CSIAQ5201E ");
    bench.exchange_as("service", &subject, JWT, &[]).await.expect(200);
    // A chain of eleven.
    let mut chain = json!({"sub": "first"});
    for turn in 0..9 {
        chain = json!({"sub": format!("actor-{turn}"), "act": chain});
    }
    bench
        .server
        .change_client("service", |client| {
            client.exchange_actors.insert("service".to_owned());
        })
        .await;
    let subject = bench.outside(|claims| claims["act"] = chain);
    bench.exchange_as("service", &subject, JWT, &act).await.oauth_error(400, "invalid_request", "CSIAQ5201E ");
    bench.exchange_as("service", &subject, JWT, &[]).await.expect(200);
}

#[tokio::test]
async fn a_client_exchanges_the_tokens_of_those_it_may_and_never_its_own() {
    let bench = Bench::new().await;
    let own = text(&bench.tokens("service", ACME.other, "openid").await, "access_token");
    bench.exchange("service", &own, &[]).await.oauth_error(400, "invalid_request", "CSIAQ5207E ");
    unusable(&bench.exchange("service", &bench.access("other").await, &[]).await);
    for app in ["shop", "kiosk"] {
        bench.exchange("service", &bench.access(app).await, &[]).await.expect(200);
    }
    let off = bench.exchange("off", &bench.access("shop").await, &[]).await;
    off.oauth_error(400, "unauthorized_client", "CSIAQ");
}

#[tokio::test]
async fn attack_56_a_subject_that_is_not_good_is_refused_and_nobody_else_takes_its_place() {
    let bench = Bench::new().await;
    let tokens = bench.tokens("shop", ACME.other, "openid orders.read").await;
    let (access, id) = (text(&tokens, "access_token"), text(&tokens, "id_token"));
    // Missing, empty, of an unknown kind, or of another kind than is said.
    for form in [
        vec![("subject_token_type", ACCESS)],
        vec![("subject_token", ""), ("subject_token_type", ACCESS)],
        vec![("subject_token", access.as_str())],
        vec![("subject_token", access.as_str()), ("subject_token_type", "")],
        vec![("subject_token", access.as_str()), ("subject_token_type", "urn:ietf:params:oauth:token-type:saml2")],
        vec![("subject_token", access.as_str()), ("subject_token_type", ID)],
        vec![("subject_token", access.as_str()), ("subject_token_type", JWT)],
        vec![("subject_token", id.as_str()), ("subject_token_type", ACCESS)],
        vec![("subject_token", "x"), ("subject_token_type", ACCESS)],
        vec![("subject_token", access.as_str()), ("subject_token_type", ACCESS), ("actor_token", "x")],
        vec![("subject_token", access.as_str()), ("subject_token_type", ACCESS), ("actor_token_type", ACCESS)],
        vec![
            ("subject_token", access.as_str()),
            ("subject_token_type", ACCESS),
            ("actor_token", "x"),
            ("actor_token_type", ACCESS),
        ],
        vec![("subject_token", access.as_str()), ("subject_token_type", ACCESS), ("requested_token_type", REFRESH)],
    ] {
        let mut all = vec![("grant_type", EXCHANGE)];
        all.extend(&form);
        let reply = bench.server.ask("POST", "/oauth2/token").basic("service", "s").form(&all).send().await;
        reply.oauth_error(400, "invalid_request", "CSIAQ");
    }
    // A client is no person; a token that only continues a sign-in is none at all (E16).
    unusable(&bench.exchange("service", &bench.own("shop").await, &[]).await);
    let challenge = bench.server.begin_inside().await;
    unusable(&bench.exchange("service", &challenge.token, &[]).await);
    // Another tenant's.
    let there = bench.server.as_of(GLOBEX).sign_in_other().await;
    unusable(&bench.exchange("service", &text(&there, "access_token"), &[]).await);
    // A refresh token, unless the client is set so.
    let refresh = text(&tokens, "refresh_token");
    let reply = bench.exchange_as("service", &refresh, REFRESH, &[]).await;
    reply.oauth_error(400, "invalid_request", "CSIAQ");
    bench.server.change_client("service", |client| client.subject_token_types.push(REFRESH.to_owned())).await;
    bench.exchange_as("service", &refresh, REFRESH, &[]).await.expect(200);
    // Revoked.
    let form = [("token", access.as_str())];
    bench.server.ask("POST", "/oauth2/revoke").basic("shop", "s").form(&form).send().await.expect_empty(200);
    unusable(&bench.exchange("service", &access, &[]).await);
    // Of somebody cut off, or switched off.
    let fresh = bench.tokens("shop", ACME.other, "openid").await;
    let now = bench.server.world.now();
    bench.change_user(ACME.other.id, |user| user.not_before = now + 1).await;
    unusable(&bench.exchange("service", &text(&fresh, "access_token"), &[]).await);
    unusable(&bench.exchange_as("service", &text(&fresh, "id_token"), ID, &[]).await);
    bench.change_user(ACME.other.id, |user| (user.not_before, user.active) = (0, false)).await;
    unusable(&bench.exchange("service", &text(&fresh, "access_token"), &[]).await);
    unusable(&bench.exchange_as("service", &text(&fresh, "id_token"), ID, &[]).await);
    unusable(&bench.exchange_as("service", &bench.outside(|_| {}), JWT, &[]).await);
    unusable(
        &bench.exchange_as("service", &bench.outside(|claims| claims["sub"] = json!("604000OFF1")), JWT, &[]).await,
    );
    bench.change_user(ACME.other.id, |user| user.active = true).await;
    bench.exchange("service", &text(&fresh, "access_token"), &[]).await.expect(200);
    // Of a client that was switched off.
    bench.server.change_client("shop", |client| client.enabled = false).await;
    unusable(&bench.exchange("service", &text(&fresh, "access_token"), &[]).await);
    unusable(&bench.exchange_as("service", &text(&fresh, "id_token"), ID, &[]).await);
}

#[tokio::test]
async fn a_disabled_actor_acts_for_nobody() {
    let bench = Bench::new().await;
    let subject = bench.access("shop").await;
    let admin = text(&bench.tokens("shop", ACME.admin, "openid").await, "access_token");
    let act = [("actor_token", admin.as_str()), ("actor_token_type", ACCESS)];
    bench.exchange("service", &subject, &act).await.expect(200);
    bench.change_user(ACME.admin.id, |user| user.active = false).await;
    unusable(&bench.exchange("service", &subject, &act).await);
}

#[tokio::test]
async fn a_jwt_from_outside_must_come_from_an_issuer_the_client_trusts() {
    let bench = Bench::new().await;
    let now = bench.server.world.now();
    bench.exchange_as("service", &bench.outside(|_| {}), JWT, &[]).await.expect(200);
    // It may be shown again: it is a token, not an assertion. It may be for the client alone.
    bench.exchange_as("service", &bench.outside(|claims| claims["aud"] = json!("service")), JWT, &[]).await.expect(200);
    for (claim, value) in [
        ("iss", json!("https://elsewhere.test")),
        ("iss", json!("service")),
        ("aud", json!("https://elsewhere.test")),
        ("aud", json!(["service", "https://elsewhere.test"])),
        ("aud", json!("shop")),
        ("exp", json!(now)),
        ("exp", json!(null)),
        ("nbf", json!(now + 600)),
        ("sub", json!("nobody")),
        ("sub", json!(null)),
    ] {
        let jwt = bench.outside(|claims| claims[claim] = value.clone());
        unusable(&bench.exchange_as("service", &jwt, JWT, &[]).await);
    }
    let stranger = TestKey::new("issuer-1");
    let claims = decode(&bench.outside(|_| {})).1;
    unusable(&bench.exchange_as("service", &stranger.sign(&claims), JWT, &[]).await);
    bench.server.change_client("service", |client| client.trusted_issuers[0].enabled = false).await;
    unusable(&bench.exchange_as("service", &bench.outside(|_| {}), JWT, &[]).await);
    // Our own signed answers that are no ID tokens.
    bench
        .server
        .change_client("shop", |client| {
            client.userinfo_alg = Some(protocol::records::SigningAlg::Rs256);
        })
        .await;
    let access = bench.access("shop").await;
    let info = bench.server.ask("GET", "/oauth2/userinfo").bearer(&access).send().await;
    assert_eq!(info.header("content-type"), "application/jwt");
    unusable(&bench.exchange_as("service", info.text(), ID, &[]).await);
}

#[tokio::test]
async fn attack_58_scope_and_resource_are_never_wider() {
    let bench = Bench::new().await;
    let subject = bench.access("shop").await;
    let scope = |text: &'static str| [("scope", text)];
    let made = bench.exchange("service", &subject, &scope("orders.read")).await.expect(200);
    assert_eq!(made["scope"], "orders.read");
    assert!(made.get("id_token").is_none());
    for wide in ["orders.write", "orders.read email", "orders.read mfa_challenge", "\""] {
        bench.exchange("service", &subject, &[("scope", wide)]).await.oauth_error(400, "invalid_scope", "CSIAQ");
    }
    // What the client may not have itself, though the token has it.
    let made = bench.exchange("plain", &subject, &[]).await.expect(200);
    assert_eq!(made["scope"], "openid");
    bench.exchange("plain", &subject, &scope("orders.read")).await.oauth_error(400, "invalid_scope", "CSIAQ");
    for name in ["resource", "audience"] {
        let reach = [(name, "https://stock.example.test")];
        let made = bench.exchange("service", &subject, &reach).await.expect(200);
        let seen = bench.introspect("service", &text(&made, "access_token")).await;
        assert_eq!(seen["aud"], "https://stock.example.test");
        let beyond = [(name, "https://orders.example.test")];
        bench.exchange("service", &subject, &beyond).await.oauth_error(400, "invalid_target", "CSIAQ");
    }
    // A second exchange does not widen the first.
    bench
        .server
        .change_client("plain", |client| {
            client.exchange_from.insert("service".into());
            client.scopes.extend(["orders.read".to_owned(), "orders.write".to_owned()]);
        })
        .await;
    let narrow = text(&bench.exchange("service", &subject, &scope("orders.read")).await.expect(200), "access_token");
    assert_eq!(bench.exchange("plain", &narrow, &[]).await.expect(200)["scope"], "orders.read");
    bench.exchange("plain", &narrow, &scope("openid")).await.oauth_error(400, "invalid_scope", "CSIAQ");
}

#[tokio::test]
async fn what_comes_out_lives_no_longer_than_what_came_in() {
    let bench = Bench::new().await;
    bench.server.change_client("shop", |client| client.access_token_lifetime = Some(100)).await;
    bench
        .server
        .change_client("service", |client| {
            client.grant_types.insert("refresh_token".to_owned());
        })
        .await;
    let subject = bench.access("shop").await;
    bench.server.world.advance(40);
    let made = bench.exchange("service", &subject, &[]).await.expect(200);
    assert_eq!(made["expires_in"], 60);
    let id = decode(&text(&made, "id_token")).1;
    assert_eq!(id["exp"], bench.server.world.now() + 60);
    // GT6: a refresh token, within the same bound.
    bench.server.world.advance(20);
    let form = [("grant_type", "refresh_token"), ("refresh_token", made["refresh_token"].as_str().unwrap())];
    let refresh = |form: [(&'static str, String); 2]| {
        bench.server.ask("POST", "/oauth2/token").basic("service", "s").form(&form).send()
    };
    let fresh = refresh(form.map(|(name, value)| (name, value.to_owned()))).await.expect(200);
    assert_eq!((&fresh["expires_in"], &fresh["grant_id"]), (&json!(40), &made["grant_id"]));
    bench.server.world.advance(40);
    let token = text(&fresh, "refresh_token");
    refresh([("grant_type", "refresh_token".to_owned()), ("refresh_token", token)]).await.oauth_error(
        400,
        "invalid_grant",
        "CSIAQ",
    );
    unusable(&bench.exchange("service", &subject, &[]).await);
    assert_eq!(bench.introspect("service", &text(&fresh, "access_token")).await, json!({"active": false}));
}

#[tokio::test]
async fn an_id_token_goes_in_and_comes_out() {
    let bench = Bench::new().await;
    let tokens = bench.tokens("shop", ACME.other, "openid orders.read").await;
    let made = bench.exchange_as("service", &text(&tokens, "id_token"), ID, &[("requested_token_type", ID)]).await;
    let made = made.expect(200);
    assert_eq!((&made["issued_token_type"], &made["token_type"]), (&json!(ID), &json!("N_A")));
    assert!(made.get("refresh_token").is_none() && made.get("id_token").is_none());
    let jwks = bench.server.ask("GET", "/jwks").send().await.expect(200);
    let claims = verify(&text(&made, "access_token"), &jwks);
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!(ACME.other.id), &json!("service")));
    assert!(claims.get("at_hash").is_none());
    // Out of an access token only where that has `openid`.
    let bare = text(&bench.tokens("shop", ACME.other, "orders.read").await, "access_token");
    let reply = bench.exchange("service", &bare, &[("requested_token_type", ID)]).await;
    reply.oauth_error(400, "invalid_scope", "CSIAQ");
    // The window, where the client has one.
    bench.server.change_client("service", |client| client.exchange_id_token_window = Some(30)).await;
    bench.server.world.advance(30);
    bench.exchange_as("service", &text(&tokens, "id_token"), ID, &[]).await.expect(200);
    bench.server.world.advance(1);
    unusable(&bench.exchange_as("service", &text(&tokens, "id_token"), ID, &[]).await);
}

#[tokio::test]
async fn types_are_those_the_client_is_set_to_and_access_tokens_where_it_is_set_to_none() {
    let bench = Bench::new().await;
    let tokens = bench.tokens("shop", ACME.other, "openid").await;
    let access = text(&tokens, "access_token");
    bench.exchange("plain", &access, &[("requested_token_type", ACCESS)]).await.expect(200);
    let id = text(&tokens, "id_token");
    bench.exchange_as("plain", &id, ID, &[]).await.oauth_error(400, "invalid_request", "CSIAQ");
    for kind in [ID, JWT] {
        let reply = bench.exchange("plain", &access, &[("requested_token_type", kind)]).await;
        reply.oauth_error(400, "invalid_request", "CSIAQ");
    }
    let act = [("actor_token", id.as_str()), ("actor_token_type", ID)];
    bench.exchange("plain", &access, &act).await.oauth_error(400, "invalid_request", "CSIAQ");
    let only_jwt = |client: &mut Client| client.requested_token_types = vec![JWT.to_owned()];
    bench.server.change_client("service", only_jwt).await;
    bench.exchange("service", &access, &[]).await.oauth_error(400, "invalid_request", "CSIAQ");
}

#[tokio::test]
async fn attack_26_the_second_factor_is_asked_for_here_too() {
    let bench = Bench::new().await;
    let subject = text(&bench.tokens("shop", ACME.admin, "openid").await, "access_token");
    let challenge = Challenge::of(&bench.exchange("strict", &subject, &[]).await);
    assert_eq!(challenge.allowed, ["emailotp"]);
    let mut server = bench.server.clone();
    server.cast = Cast { client: "strict", secret: "s", ..ACME };
    let assertion = server.prove_code(&challenge.token).await;
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    let made = server.token(&form).await.expect(200);
    assert_eq!((&made["grant_id"], &made["issued_token_type"]), (&json!(challenge.grant), &json!(ACCESS)));
    let seen = bench.introspect("strict", &text(&made, "access_token")).await;
    assert_eq!(seen["amr"], json!(["emailotp", "password"]));
    // What was exchanged ends meanwhile: nothing comes of it.
    bench.server.change_client("shop", |client| client.access_token_lifetime = Some(100)).await;
    let subject = text(&bench.tokens("shop", ACME.admin, "openid").await, "access_token");
    let challenge = Challenge::of(&bench.exchange("strict", &subject, &[]).await);
    let assertion = server.prove_code(&challenge.token).await;
    server.world.advance(100);
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    server.token(&form).await.oauth_error(400, "invalid_grant", "CSIAQ");
}

/// What policy interrupts goes on as it would have without: nobody acts alone who acted for another, and nothing is wider.
#[tokio::test]
async fn attack_57_and_58_a_refresh_that_is_challenged_keeps_the_bounds_of_its_exchange() {
    let bench = Bench::new().await;
    let mut server = bench.server.clone();
    server
        .change_client("strict", |client| {
            client.grant_types.extend(["refresh_token".to_owned(), "client_credentials".to_owned()]);
            client.exchange_actors.insert("strict".to_owned());
            client.actor_token_types.push(ACCESS.to_owned());
            client.policy_grants.token_exchange = false;
            client.policy_grants.refresh_token = true;
        })
        .await;
    server.cast = Cast { client: "strict", secret: "s", ..ACME };
    let subject = text(&bench.tokens("shop", ACME.admin, "orders.read").await, "access_token");
    let own = bench.own("strict").await;
    let act = [("actor_token", own.as_str()), ("actor_token_type", ACCESS)];
    let first = bench.exchange("strict", &subject, &act).await.expect(200);
    let before = bench.introspect("strict", &text(&first, "access_token")).await;
    assert_eq!(before["act"], json!({ "sub": "strict" }));
    server.world.advance(600);
    let challenge = Challenge::of(&server.refresh(&text(&first, "refresh_token")).await);
    let assertion = server.prove_code(&challenge.token).await;
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str()), ("scope", "openid email")];
    let second = server.token(&form).await.expect(200);
    let after = bench.introspect("strict", &text(&second, "access_token")).await;
    assert_eq!(after["act"], before["act"]);
    assert_eq!(after["exp"], before["exp"], "no token of an exchange outlives what was exchanged");
    assert_eq!(second["scope"], first["scope"], "{second}");
}
