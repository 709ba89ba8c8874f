//! Who is calling: every method of client authentication against every kind of client.

use serde_json::{Value, json};

use crate::support::{ACME, GLOBEX, Reply, Setup, TestKey, TestServer, client, hmac_jwt, unsigned};

const CC: &str = "grant_types = [\"client_credentials\"]";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn key_client(id: &str, key: &TestKey) -> String {
    format!("[[tenant.clients]]\nid = {id:?}\nauth_method = \"private_key_jwt\"\n{CC}\njwks = {}\n", key.toml())
}

struct Bench {
    server: TestServer,
    key: TestKey,
    stranger: TestKey,
}

impl Bench {
    async fn new() -> Self {
        let (key, stranger) = (TestKey::new("its-key"), TestKey::new("stranger"));
        let setup = Setup::new()
            .add(&client("default", "s3cret", CC))
            .add(&client("basic", "s3cret", &format!("auth_method = \"client_secret_basic\"\n{CC}")))
            .add(&client("post", "s3cret", &format!("auth_method = \"client_secret_post\"\n{CC}")))
            .add(&client("off", "s3cret", &format!("enabled = false\n{CC}")))
            .add(&key_client("key", &key))
            .add(&key_client("other-key", &stranger))
            .add("[[tenant.clients]]\nid = \"public\"\nauth_method = \"none\"\ngrant_types = [\"refresh_token\"]\n");
        Self { server: setup.start().await, key, stranger }
    }

    fn claims(&self, id: &str) -> Value {
        let now = self.server.world.now();
        json!({
            "iss": id, "sub": id, "aud": format!("{}/oauth2/token", ACME.base),
            "iat": now, "exp": now + 60, "jti": self.server.world.uuid(),
        })
    }

    async fn assert(&self, jwt: &str) -> Reply {
        let form =
            [("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION), ("client_assertion", jwt)];
        self.server.post_form("/oauth2/token", &form).await
    }

    /// Presents id and secret by this method.
    async fn by(&self, method: &str, id: &str) -> Reply {
        let mut form = vec![("grant_type", "client_credentials")];
        let ask = self.server.ask("POST", "/oauth2/token");
        match method {
            "basic" => ask.basic(id, "s3cret").form(&form).send().await,
            "post" => {
                form.extend([("client_id", id), ("client_secret", "s3cret")]);
                ask.form(&form).send().await
            }
            "none" => {
                form.push(("client_id", id));
                ask.form(&form).send().await
            }
            _ => {
                let jwt = self.key.sign(&self.claims(id));
                self.assert(&jwt).await
            }
        }
    }
}

#[tokio::test]
async fn each_client_is_believed_by_its_own_method_alone() {
    let bench = Bench::new().await;
    let works = [
        ("default", &["basic", "post"][..]),
        ("basic", &["basic"]),
        ("post", &["post"]),
        ("key", &["key"]),
        ("off", &[]),
    ];
    for (id, methods) in works {
        for method in ["basic", "post", "none", "key"] {
            let reply = bench.by(method, id).await;
            if methods.contains(&method) {
                assert_eq!(reply.status, 200, "{id} by {method}: {}", reply.text());
            } else {
                reply.oauth_error(401, "invalid_client", "CSIAQ0155E ");
            }
        }
    }
    // A client of another tenant, with its right secret.
    let form = [("grant_type", "client_credentials")];
    let foreign = bench.server.ask("POST", "/oauth2/token").basic("backend", "second-backend-secret").form(&form);
    foreign.send().await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    let there = bench.server.as_of(GLOBEX).ask("POST", "/oauth2/token").basic("backend", "second-backend-secret");
    there.form(&form).send().await.expect(200);
}

#[tokio::test]
async fn a_public_client_may_do_what_it_is_set_up_for_and_nothing_that_needs_proof() {
    let bench = Bench::new().await;
    bench.by("none", "public").await.oauth_error(400, "unauthorized_client", "CSIAQ");
    let form = [("grant_type", "refresh_token"), ("client_id", "public"), ("refresh_token", "x")];
    bench.server.post_form("/oauth2/token", &form).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
    let form = [("client_id", "public"), ("token", "x")];
    bench.server.post_form("/oauth2/introspect", &form).await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    bench.server.post_form("/oauth2/revoke", &form).await.expect_empty(200);
}

#[tokio::test]
async fn a_client_assertion_names_any_of_our_issuers_or_token_urls() {
    let bench = Bench::new().await;
    for base in [ACME.base, "https://alias.example.test"] {
        let mut audiences = vec![json!([format!("{base}/oauth2"), format!("{base}/oauth2/token")])];
        audiences.extend([json!(format!("{base}/oauth2")), json!(format!("{base}/oidc/endpoint/default"))]);
        for prefix in ["/oauth2", "/oidc/endpoint/default", "/v1.0/endpoint/default"] {
            audiences.push(json!(format!("{base}{prefix}/token")));
        }
        for aud in audiences {
            let mut claims = bench.claims("key");
            claims["aud"] = aud.clone();
            let reply = bench.assert(&bench.key.sign(&claims)).await;
            assert_eq!(reply.status, 200, "{aud}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn attack_13_an_assertion_used_twice_or_meant_for_another_is_refused() {
    let bench = Bench::new().await;
    let jwt = bench.key.sign(&bench.claims("key"));
    bench.assert(&jwt).await.expect(200);
    bench.assert(&jwt).await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    let other = Bench { server: bench.server.another().await, key: TestKey::new("x"), stranger: TestKey::new("y") };
    other.assert(&jwt).await.oauth_error(401, "invalid_client", "CSIAQ0155E ");

    let ours = format!("{}/oauth2/token", ACME.base);
    for aud in [
        json!(null),
        json!(""),
        json!([]),
        json!(1),
        json!([1]),
        json!("https://elsewhere.example.test/oauth2/token"),
        json!(format!("{}/oauth2/token", GLOBEX.base)),
        json!([ours, "https://elsewhere.example.test"]),
        json!(format!("{ours}/")),
        json!(format!("{ours}?x")),
        json!(ours.to_uppercase()),
    ] {
        let mut claims = bench.claims("key");
        claims["aud"] = aud.clone();
        let reply = bench.assert(&bench.key.sign(&claims)).await;
        assert_eq!(reply.status, 401, "{aud}");
        reply.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    }
    let now = bench.server.world.now();
    for (claim, value) in [
        ("iss", json!("default")),
        ("sub", json!("default")),
        ("sub", json!(null)),
        ("exp", json!(null)),
        ("exp", json!("soon")),
        ("exp", json!(now)),
        ("exp", json!(now + 3601)),
        ("exp", json!(253_402_300_799_i64)),
        ("iat", json!(now + 86_400)),
        ("nbf", json!(now + 60)),
        ("jti", json!(null)),
        ("jti", json!("")),
        ("jti", json!(7)),
        ("jti", json!("x".repeat(5_000))),
    ] {
        let mut claims = bench.claims("key");
        claims[claim] = value.clone();
        let reply = bench.assert(&bench.key.sign(&claims)).await;
        assert_eq!(reply.status, 401, "{claim} {value}");
    }
    // The client named beside it must be its subject.
    let jwt = bench.key.sign(&bench.claims("key"));
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "default"),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", &jwt),
    ];
    let reply = bench.server.post_form("/oauth2/token", &form).await;
    reply.oauth_error(401, "invalid_client", "CSIAQ0155E ");
}

#[tokio::test]
async fn attack_14_a_client_assertion_by_another_key_or_algorithm_is_refused() {
    let bench = Bench::new().await;
    let claims = || bench.claims("key");
    let jwk = bench.key.jwk().to_string();
    let stranger = bench.stranger.jwk();
    let mut forged = vec![
        unsigned(&json!({ "alg": "none" }), &claims()),
        unsigned(&json!({ "alg": "None", "kid": "its-key" }), &claims()),
        unsigned(&json!({ "alg": "ES256", "kid": "its-key" }), &claims()),
        bench.stranger.sign(&claims()),
        bench.stranger.sign_under(&json!({ "alg": "ES256", "kid": "its-key" }), &claims()),
        bench.stranger.sign_under(&json!({ "alg": "ES256" }), &claims()),
        bench.stranger.sign_under(&json!({ "alg": "ES256", "jwk": stranger }), &claims()),
        bench.stranger.sign_under(&json!({ "alg": "ES256", "jku": "https://elsewhere.example.test/jwks" }), &claims()),
        bench.key.sign_under(
            &json!({ "alg": "ES256", "kid": "its-key", "jku": "https://elsewhere.example.test" }),
            &claims(),
        ),
        bench.key.sign_under(
            &json!({ "alg": "ES256", "kid": "its-key", "x5u": "https://elsewhere.example.test" }),
            &claims(),
        ),
        bench.key.sign_under(&json!({ "alg": "ES256", "kid": "its-key", "jwk": stranger }), &claims()),
        bench.key.sign_under(&json!({ "alg": "ES256", "kid": "its-key", "crit": ["x"], "x": 1 }), &claims()),
        bench.key.sign_under(&json!({ "alg": "ES256", "kid": "its-key", "b64": false }), &claims()),
        bench.key.sign_under(&json!({ "alg": "ES384", "kid": "its-key" }), &claims()),
        bench.key.sign_under(&json!({ "alg": "RS256", "kid": "its-key" }), &claims()),
    ];
    for secret in [bench.key.public(), &bench.key.public()[1..], jwk.as_bytes(), b"s3cret", b""] {
        forged.push(hmac_jwt(&json!({ "alg": "HS256", "kid": "its-key" }), &claims(), secret));
    }
    for jwt in &forged {
        let reply = bench.assert(jwt).await;
        assert_eq!(reply.status, 401, "{jwt}");
        reply.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    }
    // A client whose method is its secret, with an assertion keyed by that secret.
    let mut claims = claims();
    (claims["iss"], claims["sub"]) = (json!("default"), json!("default"));
    let jwt = hmac_jwt(&json!({ "alg": "HS256" }), &claims, b"s3cret");
    bench.assert(&jwt).await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
}

/// RFC 6749 §2.3: not more than one method in one request.
#[tokio::test]
async fn attack_15_no_proof_or_two_proofs_are_refused_everywhere() {
    let bench = Bench::new().await;
    let server = &bench.server;
    let grants = [
        "client_credentials",
        "refresh_token",
        "policyauth",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ];
    for grant in grants {
        let reply = server.post_form("/oauth2/token", &[("grant_type", grant), ("client_id", "default")]).await;
        reply.oauth_error(401, "invalid_client", "CSIAQ0155E ");
        let reply = server.post_form("/oauth2/token", &[("grant_type", grant)]).await;
        reply.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    }
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        let reply = server.post_form(path, &[("token", "x"), ("client_id", "default")]).await;
        reply.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    }
    let jwt = bench.key.sign(&bench.claims("key"));
    let grant = [("grant_type", "client_credentials")];
    let secret = [("client_id", "default"), ("client_secret", "s3cret")];
    let assertion = [("client_assertion_type", ASSERTION), ("client_assertion", jwt.as_str())];
    let basic = || server.ask("POST", "/oauth2/token").basic("default", "s3cret");
    basic().form(&[&grant[..], &secret].concat()).send().await.oauth_error(400, "invalid_request", "CSIAQ");
    basic().form(&[&grant[..], &assertion].concat()).send().await.oauth_error(400, "invalid_request", "CSIAQ");
    let both = server.post_form("/oauth2/token", &[&grant[..], &secret, &assertion].concat()).await;
    both.oauth_error(400, "invalid_request", "CSIAQ");
    let two = basic().basic("default", "s3cret").form(&grant).send().await;
    two.oauth_error(400, "invalid_request", "CSIAQ");
    // A client_id beside Basic is no second method as long as it agrees.
    basic().form(&[grant[0], ("client_id", "default")]).send().await.expect(200);
    basic().form(&[grant[0], ("client_id", "basic")]).send().await.oauth_error(400, "invalid_request", "CSIAQ");
    // Nor is a bearer token, which one client always sends.
    let bearer = server.ask("POST", "/oauth2/token").bearer("x").form(&[&grant[..], &secret].concat());
    bearer.send().await.expect(200);
}

#[tokio::test]
async fn attack_16_an_odd_authorization_header_is_401() {
    let bench = Bench::new().await;
    let form = [("grant_type", "client_credentials")];
    let megabyte = format!("Basic {}", "QQ".repeat(512 * 1024));
    for header in [
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic ZGVmYXVsdA==",
        "Basic OnMzY3JldA==",
        "Basic ZGVmYXVsdDo=",
        // `default:%zz`, `default:%`, `\xff:\xff`
        "Basic ZGVmYXVsdDolenoK",
        "Basic ZGVmYXVsdDol",
        "Basic /zr/",
        "Digest username=\"default\"",
        "Negotiate YII=",
        "ZGVmYXVsdDpzM2NyZXQ=",
        megabyte.as_str(),
    ] {
        let ask = bench.server.ask("POST", "/oauth2/token").header("authorization", header).form(&form);
        let reply = ask.send().await;
        assert_eq!(reply.status, 401, "{}", &header[..header.len().min(60)]);
        reply.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    }
    // The scheme's case does not matter (RFC 9110 §11.1).
    let ask = bench.server.ask("POST", "/oauth2/token").header("authorization", "bASIC ZGVmYXVsdDpzM2NyZXQ=");
    ask.form(&form).send().await.expect(200);
}

#[tokio::test]
async fn a_client_calls_only_from_its_networks() {
    let more = r#"grant_types = ["policyauth", "client_credentials"]
policy = 420017
policy_grants = { policyauth = true }
networks = ["10.1.0.0/16"]"#;
    let server = Setup::new().add(&client("bound", "s", more)).start().await;
    let form = [("grant_type", "client_credentials")];
    let ask = |from| server.ask("POST", "/oauth2/token").basic("bound", "s").form(&form).from(from);
    ask("10.1.2.3").send().await.expect(200);
    ask("::ffff:10.1.2.3").send().await.expect(200);
    for from in ["10.2.2.3", "2001:db8::1"] {
        ask(from).send().await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    }
    // Nor by its challenge token.
    let begin = [("grant_type", "policyauth"), ("context", &crate::support::context("192.168.1.1"))];
    let ask = server.ask("POST", "/oauth2/token").basic("bound", "s").form(&begin).from("10.1.2.3");
    let first = crate::support::Challenge::of(&ask.send().await);
    let proved = server.password(&first.token, ACME.other.username, ACME.other.password).await.expect(200);
    let assertion = proved["assertion"].as_str().unwrap();
    let present = [("grant_type", crate::support::JWT_BEARER), ("assertion", assertion)];
    let ask = |from| server.ask("POST", "/oauth2/token").bearer(&first.token).form(&present).from(from);
    ask("10.2.2.3").send().await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    ask("10.1.2.3").send().await.expect(200);
}

#[tokio::test]
async fn attack_17_each_grant_is_refused_to_a_client_it_is_not_enabled_for() {
    let server = Setup::new().add(&client("idle", "s", "grant_types = []")).start().await;
    for grant in ["client_credentials", "policyauth", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"] {
        let ask = server.ask("POST", "/oauth2/token").basic("idle", "s");
        let reply = ask.form(&[("grant_type", grant), ("refresh_token", "x"), ("assertion", "x.y.z")]).send().await;
        reply.oauth_error(400, "unauthorized_client", "CSIAQ");
    }
    for grant in ["password", "authorization_code", "implicit", "", "POLICYAUTH", "policyauth "] {
        let ask = server.ask("POST", "/oauth2/token").basic("idle", "s");
        let reply = ask.form(&[("grant_type", grant)]).send().await;
        assert_eq!(reply.status, 400, "{grant}");
    }
    let none = server.ask("POST", "/oauth2/token").basic("idle", "s").form(&[("scope", "openid")]).send().await;
    none.oauth_error(400, "invalid_request", "CSIAQ");
}
