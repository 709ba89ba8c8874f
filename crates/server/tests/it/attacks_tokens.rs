//! Tokens of one kind offered as another, odd JWTs, and the walls between tenants and between people.
//! Numbers are those of the project's list of attack cases.

use serde_json::{Value, json};

use crate::support::{ACME, GLOBEX, JWT_BEARER, Reply, Setup, TOKEN, TestKey, TestServer, assemble_text, client};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Offers a text in every place that takes a token or a JWT. Answers what was said, with the place.
async fn everywhere(server: &TestServer, token: &str) -> Vec<(&'static str, Reply)> {
    let mut told = vec![
        ("userinfo", server.ask("GET", "/oauth2/userinfo").bearer(token).send().await),
        ("factors", server.ask("GET", "/v2.0/factors").bearer(token).send().await),
        ("policies", server.ask("GET", "/v5.0/policyvault/accesspolicy").bearer(token).send().await),
    ];
    let assertion =
        [("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION), ("client_assertion", token)];
    told.push(("client assertion", server.post_form(TOKEN, &assertion).await));
    let bearer = [("grant_type", JWT_BEARER), ("assertion", token)];
    told.push(("bearer assertion", server.token(&bearer).await));
    told.push(("bearer assertion alone", server.ask("POST", TOKEN).bearer(token).form(&bearer).send().await));
    told.push(("refresh token", server.refresh(token).await));
    told
}

#[track_caller]
fn all_refused(what: &str, told: &[(&'static str, Reply)], but: &[&str]) {
    for (place, reply) in told.iter().filter(|(place, _)| !but.contains(place)) {
        assert!(
            [400, 401, 403].contains(&reply.status.as_u16()),
            "{what} as {place}: {} {}",
            reply.status,
            reply.text()
        );
    }
}

#[tokio::test]
async fn attack_53_no_token_of_ours_serves_as_another() {
    let server = TestServer::start().await;
    let (_, assertion) = server.password_assertion().await;
    let tokens = server.sign_in().await;
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let service =
        [("client_id", "service-rs256"), ("client_secret", "rs256-demo-secret"), ("grant_type", "client_credentials")];
    let access_jwt = server.post_form(TOKEN, &service).await.expect(200)["access_token"].as_str().unwrap().to_owned();
    for (what, token, but) in [
        ("an ID token", text("id_token"), &[][..]),
        ("a refresh token", text("refresh_token"), &["refresh token"]),
        ("an opaque access token", text("access_token"), &["userinfo", "factors"]),
        ("a signed access token", access_jwt, &[]),
        ("a factor assertion", assertion, &["bearer assertion"]),
    ] {
        all_refused(what, &everywhere(&server, &token).await, but);
    }
    // The person's access token has no entitlement to the factors or policies.
    server.get("/v2.0/factors", &text("access_token")).await.factor_error(403, "CSIAK4300E");
    for token in [text("id_token"), server.password_assertion().await.1] {
        assert_eq!(server.introspect(&token).await, json!({ "active": false }), "it is no access token");
    }
}

#[tokio::test]
async fn attack_54_an_odd_jwt_is_refused_wherever_it_is_put() {
    let key = TestKey::new("its-key");
    let section = format!(
        "[[tenant.clients]]\nid = \"key\"\nauth_method = \"private_key_jwt\"\ngrant_types = [\"client_credentials\"]\njwks = {}\n",
        key.toml()
    );
    let server = Setup::new().add(&section).start().await;
    let now = server.world.now();
    let base = json!({ "iss": "key", "sub": "key", "aud": format!("{}/oauth2/token", ACME.base), "exp": now + 60 });
    let claims = || {
        let mut claims = base.clone();
        claims["jti"] = json!(server.world.uuid());
        claims
    };
    let deep = format!("{{\"iss\":\"key\",\"sub\":\"key\",\"x\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let mut odd: Vec<String> = ["../../etc/passwd", "' OR 1=1 --", "\n", "\u{0}", "", &"k".repeat(10_000)]
        .iter()
        .map(|kid| key.sign_under(&json!({ "alg": "ES256", "kid": kid }), &claims()))
        .collect();
    odd.extend([
        key.sign_under(&json!({ "alg": "ES256", "kid": 7 }), &claims()),
        key.sign_under(&json!({ "alg": "ES256", "kid": "its-key", "crit": ["exp"], "exp": 1 }), &claims()),
        key.sign_under(&json!({ "alg": "ES256", "kid": "its-key", "crit": [] }), &claims()),
        key.sign_under(&json!({ "alg": ["ES256"], "kid": "its-key" }), &claims()),
        key.sign_under(&json!({ "kid": "its-key" }), &claims()),
        key.sign_under(&json!({ "alg": "dir", "enc": "A256GCM", "zip": "DEF" }), &claims()),
        key.sign_under(
            &json!({ "alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 2_000_000_000, "p2s": "x" }),
            &claims(),
        ),
        key.sign_under(&json!([1]), &claims()),
        key.sign_under(&json!(null), &claims()),
        key.sign(&json!([])),
        key.sign(&json!("key")),
        key.sign(&json!({})),
        assemble_text(r#"{"alg":"ES256","alg":"none"}"#, &claims().to_string(), |_| Vec::new()),
        assemble_text(r#"{"alg":"ES256"}"#, &deep, |_| vec![0; 64]),
        assemble_text(r#"{"alg":"ES256"}"#, "{", |_| vec![0; 64]),
        assemble_text("\u{feff}{}", "{}", |_| vec![0; 64]),
        format!("{}.", key.sign(&claims())),
        format!("{}.x.y", key.sign(&claims())),
        format!(".{}", key.sign(&claims())),
        key.sign(&claims()).replace('.', ".."),
        key.sign(&claims()).replace('.', " ."),
        format!("{}=", key.sign(&claims())),
        ".".repeat(3),
        ".".repeat(10_000),
        "ä.ö.ü".to_owned(),
        format!("{}.e30.", "A".repeat(150_000)),
    ]);
    // The same claim twice: whichever a reader believes, another may believe the other.
    let twice = format!(
        r#"{{"iss":"key","sub":"key","sub":"default","aud":"{}/oauth2/token","exp":{},"jti":"twice"}}"#,
        ACME.base,
        now + 60
    );
    odd.push(sign_text(&key, r#"{"alg":"ES256","kid":"its-key"}"#, &twice));
    for jwt in &odd {
        let form =
            [("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION), ("client_assertion", jwt)];
        let reply = server.post_form(TOKEN, &form).await;
        assert!([400, 401].contains(&reply.status.as_u16()), "{jwt:.200}: {} {}", reply.status, reply.text());
        let bearer = server.token(&[("grant_type", JWT_BEARER), ("assertion", jwt)]).await;
        assert_eq!(bearer.status, 400, "{jwt:.200}: {}", bearer.text());
        let introspected = server.token_at("/oauth2/introspect", &[("token", jwt)]).await;
        assert!(introspected.status == 400 || introspected.expect(200) == json!({ "active": false }), "{jwt:.200}");
    }
}

fn sign_text(key: &TestKey, header: &str, claims: &str) -> String {
    assemble_text(header, claims, |input| key.raw(input))
}

#[tokio::test]
async fn attack_65_what_belongs_to_another_tenant_is_as_if_absent() {
    let server = TestServer::start().await;
    let globex = server.as_of(GLOBEX);
    let first = server.begin_inside().await;
    let second = server.second_challenge().await;
    // Ids of the other tenant in every path.
    let password = format!("/v1.0/authnmethods/password/{}?returnJwt=true", GLOBEX.source);
    let body = json!({ "username": GLOBEX.admin.username, "password": GLOBEX.admin.password });
    server.json("POST", &password, &first.token, &body).await.factor_error(404, "CSIAG0605E");
    let path = format!("/v2.0/factors/emailotp/{}/verifications", GLOBEX.email);
    server.json("POST", &path, &second.token, &json!({})).await.factor_error(404, "CSIAG0605E");
    server
        .get(&format!("/v2.0/factors/emailotp/{}", GLOBEX.email), &second.token)
        .await
        .factor_error(404, "CSIAG0605E");
    let outside = crate::support::Challenge::of(&server.begin("203.0.113.9").await);
    let rp = format!("/v2.0/factors/fido2/relyingparties/{}/assertion/options", GLOBEX.relying_party);
    server.json("POST", &rp, &outside.token, &json!({})).await.factor_error(404, "CSIAG0605E");
    assert_eq!(server.mail(GLOBEX.address).await, Vec::<Value>::new());
    // A name of the other tenant is a stranger here.
    let stranger = server.password(&first.token, GLOBEX.admin.username, GLOBEX.admin.password).await;
    stranger.factor_error(400, "CSIBH0044E");

    // Tokens of one at the other.
    let tokens = server.sign_in().await;
    let access = tokens["access_token"].as_str().unwrap();
    globex.get("/oauth2/userinfo", access).await.oauth_error(401, "invalid_token", "");
    globex.get("/v2.0/factors", &second.token).await.factor_error(401, "CSIAK9999E");
    let own = server.token_of("administration", "administration-demo-secret").await;
    server.get("/v5.0/policyvault/accesspolicy", &own).await.expect(200);
    globex.get("/v5.0/policyvault/accesspolicy", &own).await.factor_error(401, "CSIAK9999E");
    server.get("/v5.0/policyvault/accesspolicy/9001", &own).await.expect(404);
    let form =
        [("client_id", "service-eddsa"), ("client_secret", "eddsa-demo-secret"), ("grant_type", "client_credentials")];
    let jwt = server.post_form(TOKEN, &form).await.expect(200)["access_token"].as_str().unwrap().to_owned();
    let ask =
        globex.ask("POST", "/oauth2/introspect").basic("backend", "second-backend-secret").form(&[("token", &jwt)]);
    assert_eq!(ask.send().await.expect(200), json!({ "active": false }));
    let kids = |jwks: &Value| {
        let mut kids: Vec<String> = jwks["keys"].as_array().unwrap().iter().map(ToString::to_string).collect();
        kids.sort();
        kids
    };
    let (ours, theirs) =
        (server.ask("GET", "/jwks").send().await.expect(200), globex.ask("GET", "/jwks").send().await.expect(200));
    assert!(kids(&ours).iter().all(|key| !kids(&theirs).contains(key)), "no key is shared");
    // A host that is nobody's.
    let reply = server.ask("POST", TOKEN).host("elsewhere.example.test").form(&form).send().await;
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn attack_65_another_sign_ins_things_are_as_if_absent() {
    let server = Setup::new()
        .add(&client(
            "two-factor",
            "s",
            "grant_types = [\"policyauth\"]\npolicy = 420018\npolicy_grants = { policyauth = true }",
        ))
        .start()
        .await;
    let (one, two) = (server.second_challenge().await, server.second_challenge().await);
    let started = server.start_code(&one.token).await;
    let (id, code) = (started["id"].as_str().unwrap(), server.code(ACME.address).await);
    server.answer_code(&two.token, id, &code).await.factor_error(404, "CSIBN0028E");
    let path = format!("/v2.0/factors/emailotp/{}/verifications/{id}", ACME.email);
    server.get(&path, &two.token).await.factor_error(404, "CSIBN0028E");
    server.json("DELETE", &path, &two.token, &Value::Null).await.factor_error(404, "CSIBN0028E");
    for other in ["transient", "51f80ded-91c0-44b2-9b42-618f62c4b41f"] {
        let path = path.replace(ACME.email, other);
        server.get(&path, &one.token).await.factor_error(404, "CSIBN0028E");
    }
    server.get(&path.replace("emailotp", "smsotp"), &one.token).await.factor_error(404, "CSIBN0028E");
    server.answer_code(&one.token, id, &code).await.expect(200);

    // Another person's enrolments: not listed, not read, not used.
    let alice = "51f80ded-91c0-44b2-9b42-618f62c4b41f";
    server.get(&format!("/v2.0/factors/emailotp/{alice}"), &two.token).await.factor_error(404, "CSIAG0605E");
    let start = format!("/v2.0/factors/emailotp/{alice}/verifications");
    server.json("POST", &start, &two.token, &json!({})).await.factor_error(404, "CSIAG0605E");
    let search = "/v2.0/factors?search=userId%3D%226040003AL1%22";
    assert_eq!(server.get(search, &two.token).await.expect(200)["total"], 0);
    assert_eq!(server.mail("alice@acme.org").await, Vec::<Value>::new());
    let pats = "/v2.0/factors/totp/2cf14022-548c-4b75-805e-f992f89f1ba8?returnJwt=true";
    let mut office = server.clone();
    office.cast.client = "two-factor";
    office.cast.secret = "s";
    let (_, assertion) = office.password_assertion().await;
    let any = crate::support::Challenge::of(&office.present(&assertion).await);
    assert!(any.allowed.contains(&"totp".to_owned()));
    let code = crate::support::totp(b"any", server.world.now());
    server.json("POST", pats, &any.token, &json!({ "otp": code })).await.factor_error(404, "CSIAG0605E");
}
