//! Misuse of the sign-in flow: skipped and switched steps, borrowed and edited assertions, facts a client makes up.
//! Numbers are those of the project's list of attack cases.

use serde_json::{Value, json};

use crate::support::{
    ACME, Cast, Challenge, GLOBEX, JWT_BEARER, Reply, Setup, TOKEN, TestKey, TestServer, assemble_text, client,
    context, context_for, decode, hmac_jwt, policy, rule, unsigned,
};

const POLICYAUTH: &str = "grant_types = [\"policyauth\", \"refresh_token\"]\npolicy_grants = { policyauth = true }";

#[track_caller]
fn no_grant(reply: &Reply) {
    reply.oauth_error(400, "invalid_grant", "CSIAQ");
}

#[tokio::test]
async fn attack_25_the_password_grant_is_no_way_around_the_policy() {
    let server = TestServer::start().await;
    let form = [
        ("grant_type", "password"),
        ("username", ACME.admin.username),
        ("password", ACME.admin.password),
        ("scope", "openid"),
    ];
    let reply = server.token(&form).await;
    assert!(reply.status.is_client_error() && reply.json().get("access_token").is_none(), "{}", reply.text());
}

#[tokio::test]
async fn attack_26_an_outside_assertion_is_asked_for_the_same_second_factor() {
    let key = TestKey::new("issuer-1");
    let more = format!(
        "grant_types = [{JWT_BEARER:?}, \"policyauth\"]\npolicy = 420017\npolicy_grants = {{ jwt_bearer = true }}\n\
         [[tenant.clients.trusted_issuers]]\nissuer = \"https://issuer.example.test\"\njwks = {}",
        key.toml()
    );
    let mut server = Setup::new().add(&client("bearer", "s", &more)).start().await;
    server.cast = Cast { client: "bearer", secret: "s", ..ACME };
    let assertion = |sub: &str| {
        let now = server.world.now();
        key.sign(&json!({
            "iss": "https://issuer.example.test", "sub": sub, "aud": format!("{}/oauth2/token", ACME.base),
            "exp": now + 60, "jti": server.world.uuid(),
        }))
    };
    let challenge = Challenge::of(&server.present(&assertion(ACME.admin.id)).await);
    assert_eq!(challenge.allowed, ["emailotp"]);
    let proved = server.prove_code(&challenge.token).await;
    let tokens = server.present(&proved).await.expect(200);
    assert_eq!(tokens["grant_id"], challenge.grant);
    // Whoever the policy wants nothing more of has tokens at once.
    assert!(server.present(&assertion(ACME.other.id)).await.expect(200)["access_token"].is_string());
}

#[tokio::test]
async fn attack_27_a_challenge_token_opens_the_factors_of_its_own_flow_and_nothing_else() {
    let server = TestServer::start().await;
    let first = server.begin_inside().await;
    let second = server.second_challenge().await;
    for challenge in [&first, &second] {
        let token = &challenge.token;
        for (method, path) in [
            ("GET", "/v5.0/policyvault/accesspolicy".to_owned()),
            ("POST", "/v5.0/policyvault/accesspolicy".to_owned()),
            ("DELETE", "/v5.0/policyvault/accesspolicy/420018".to_owned()),
            ("GET", "/config/v2.0/factors/fido2/relyingparties".to_owned()),
            ("GET", "/config/v2.0/factors/emailotp".to_owned()),
            ("PUT", "/config/v2.0/factors/emailotp".to_owned()),
            ("GET", "/v1.0/decisions?grant_id=x".to_owned()),
            ("POST", "/v2.0/factors/emailotp".to_owned()),
            ("POST", "/v2.0/factors/totp".to_owned()),
            ("DELETE", format!("/v2.0/factors/emailotp/{}", ACME.email)),
            ("POST", "/v2.0/factors/otp".to_owned()),
            ("POST", format!("/v1.0/authnmethods/password/{}/reset", ACME.source)),
        ] {
            let ask = server.ask(method, &path).bearer(token).json(&json!({ "emailAddress": "evil@example.test" }));
            ask.send().await.factor_error(403, "CSIAK4300E");
        }
        for path in ["/oauth2/introspect", "/oauth2/revoke"] {
            let ask = server.ask("POST", path).bearer(token).form(&[("token", token)]);
            ask.send().await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
        }
        // As client authentication of any other grant than the presentation.
        for grant in ["client_credentials", "policyauth", "refresh_token"] {
            let ask = server.ask("POST", TOKEN).bearer(token).form(&[("grant_type", grant)]);
            ask.send().await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
        }
    }
    // While nobody is known there are no enrolments to see.
    server.get("/v2.0/factors", &first.token).await.factor_error(403, "CSIAK4300E");
    let one = format!("/v2.0/factors/emailotp/{}", ACME.email);
    server.get(&one, &first.token).await.factor_error(403, "CSIAK4300E");
    server.get(&one, &second.token).await.expect(200);
}

#[tokio::test]
async fn attack_28_an_assertion_serves_its_own_grant_client_and_tenant_once() {
    let more = format!("policy = 420017\n{POLICYAUTH}");
    let server = Setup::new().add(&client("another", "its-secret", &more)).start().await;
    let (a, assertion) = server.password_assertion().await;
    let (b, _) = server.password_assertion().await;
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    // Another grant's challenge token in place of the client's credentials.
    no_grant(&server.ask("POST", TOKEN).bearer(&b.token).form(&form).send().await);
    no_grant(&server.ask("POST", TOKEN).basic("another", "its-secret").form(&form).send().await);
    let globex = server.as_of(GLOBEX);
    let there = globex.token(&form).await;
    assert_eq!(there.status, 400, "{}", there.text());
    assert!(there.json().get("access_token").is_none());
    // Its own challenge token will do.
    let next = server.ask("POST", TOKEN).bearer(&a.token).form(&form).send().await;
    assert_eq!(Challenge::of(&next).grant, a.grant);
    no_grant(&server.present(&assertion).await);
    // The first token died with its challenge: it authenticates nobody any more.
    let late = server.ask("POST", TOKEN).bearer(&a.token).form(&form).send().await;
    late.oauth_error(401, "invalid_client", "CSIAQ0155E ");
}

#[tokio::test]
async fn attack_29_no_edited_or_self_made_assertion_is_believed() {
    let server = TestServer::start().await;
    let (_, real) = server.password_assertion().await;
    let (header, claims) = decode(&real);
    let (head, rest) = real.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let stranger = TestKey::new("server");
    let jwks = server.ask("GET", "/jwks").send().await.expect(200);
    let public = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == "server").unwrap();
    let modulus = public["n"].as_str().unwrap();

    let mut edited = vec![claims.clone()];
    for (claim, value) in [
        ("amr", json!(["emailotp", "password"])),
        ("factor", json!("emailotp")),
        ("grant_id", json!(server.begin_inside().await.grant)),
        ("sub", json!(ACME.other.id)),
        ("exp", json!(server.world.now() + 100_000)),
        ("aud", json!(["administration", format!("{}/v1.0/endpoint/default/token", ACME.base)])),
    ] {
        let mut other = claims.clone();
        other[claim] = value;
        edited.push(other);
    }
    for (number, claims) in edited.iter().enumerate() {
        let payload = assemble_text("", &claims.to_string(), |_| Vec::new());
        let payload = payload.split('.').nth(1).unwrap();
        let mut forged = vec![
            stranger.sign_under(&json!({ "alg": "ES256", "kid": "server" }), claims),
            stranger.sign_under(&json!({ "alg": "ES256", "jwk": stranger.jwk() }), claims),
            stranger.sign_under(&header, claims),
            unsigned(&json!({ "alg": "none" }), claims),
            unsigned(&header, claims),
            hmac_jwt(&json!({ "alg": "HS256", "kid": "server" }), claims, modulus.as_bytes()),
            hmac_jwt(&json!({ "alg": "HS256", "kid": "server" }), claims, public.to_string().as_bytes()),
            hmac_jwt(&header, claims, b""),
        ];
        if number > 0 {
            forged.push(format!("{head}.{payload}.{signature}"));
        }
        for jwt in forged {
            no_grant(&server.present(&jwt).await);
        }
    }
    Challenge::of(&server.present(&real).await);
}

#[tokio::test]
async fn attack_30_no_step_is_skipped_taken_early_or_taken_empty() {
    let server = TestServer::start().await;
    let first = server.begin_inside().await;
    let password = format!("/v1.0/authnmethods/password/{}?returnJwt=true", ACME.source);
    for body in [
        json!({}),
        json!({ "username": "scott" }),
        json!({ "password": "hunter22" }),
        json!({ "username": null, "password": null }),
        json!({ "username": ["scott"], "password": "hunter22" }),
        json!({ "username": "scott", "password": 1 }),
    ] {
        server.json("POST", &password, &first.token, &body).await.factor_error(400, "CSIAG5401E");
    }
    server.json("POST", &password, &first.token, &Value::Null).await.factor_error(400, "CSIAG5401E");
    let empty = server.password(&first.token, "scott", "").await;
    empty.factor_error(400, "CSIBH0044E");
    // A presentation without any proof.
    for assertion in ["", "x", "..", "e30.e30.e30"] {
        let reply = server.present(assertion).await;
        assert_eq!(reply.status, 400, "{assertion}");
    }
    // The second factor before the first: a challenge token of a first stage sends no code, whoever's enrolment it names.
    let code = format!("/v2.0/factors/emailotp/{}/verifications", ACME.email);
    server.json("POST", &code, &first.token, &json!({})).await.factor_error(403, "CSIAK4300E");
    // The same step twice: a verification answered once is over.
    let second = server.second_challenge().await;
    let started = server.start_code(&second.token).await;
    let (id, right) = (started["id"].as_str().unwrap(), server.code(ACME.address).await);
    for body in [json!({}), json!({ "otp": "" }), json!({ "otp": null }), json!({ "otp": 123_456 })] {
        let path = format!("{code}/{id}?returnJwt=true");
        let reply = server.json("POST", &path, &second.token, &body).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
    }
    server.answer_code(&second.token, id, &right).await.expect(200);
    server.answer_code(&second.token, id, &right).await.factor_error(404, "CSIBN0028E");
}

#[tokio::test]
async fn attack_31_one_proof_meets_one_demand() {
    // One kind is demanded always, another besides: two mails do not make two kinds.
    let always = rule("Also a generated code", false, "[]", "ACTION_MFA_ALWAYS", r#"["totp"]"#)
        .replace("alwaysRun = false", "alwaysRun = true");
    let rules = [
        rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["password"]"#),
        always,
        rule("A mailed code", false, "[]", "ACTION_MFA_ALWAYS", r#"["emailotp"]"#),
    ];
    let mut server = Setup::new()
        .add(&policy(500_010, &rules))
        .add(&client("double", "s", &format!("policy = 500010\n{POLICYAUTH}")))
        .start()
        .await;
    server.cast = Cast { client: "double", secret: "s", ..ACME };
    let (_, assertion) = server.password_assertion().await;
    let one = Challenge::of(&server.present(&assertion).await);
    assert_eq!(one.allowed, ["totp"]);
    let totp = "/v2.0/factors/totp/9381dffe-3116-4d8d-bbe2-8ab36ccdafe5?returnJwt=true";
    let code = crate::support::totp(b"12345678901234567890", server.world.now());
    let proved = server.json("POST", totp, &one.token, &json!({ "otp": code })).await.expect(200);
    let two = Challenge::of(&server.present(proved["assertion"].as_str().unwrap()).await);
    assert_eq!(two.allowed, ["emailotp"]);
    server.json("POST", totp, &two.token, &json!({ "otp": code })).await.factor_error(403, "CSIAK4300E");
    let assertion = server.prove_code(&two.token).await;
    let tokens = server.present(&assertion).await.expect(200);
    assert_eq!(decode(tokens["id_token"].as_str().unwrap()).1["amr"], json!(["emailotp", "password", "totp"]));
}

async fn begin_with(server: &TestServer, id: &str, secret: &str, context: &str, from: &str) -> Reply {
    let mut form = vec![("grant_type", "policyauth"), ("scope", "openid")];
    if !context.is_empty() {
        form.push(("context", context));
    }
    let ask = server
        .ask("POST", TOKEN)
        .from(from)
        .header("x-forwarded-for", "192.168.1.1")
        .header("forwarded", "for=192.168.1.1");
    if secret.is_empty() {
        form.push(("client_id", id));
        return ask.form(&form).send().await;
    }
    ask.basic(id, secret).form(&form).send().await
}

#[tokio::test]
async fn attack_32_an_address_that_is_not_believed_never_loosens_the_policy() {
    let more = format!("policy = 420017\ntrusted_to_forward = false\n{POLICYAUTH}");
    let public =
        format!("[[tenant.clients]]\nid = \"public\"\nauth_method = \"none\"\npolicy = 420017\n{POLICYAUTH}\n");
    let server = Setup::new().add(&client("untrusted", "s", &more)).add(&public).start().await;
    let inside = context("192.168.1.1");
    for (id, secret) in [("untrusted", "s"), ("public", "")] {
        let claimed = begin_with(&server, id, secret, &inside, "203.0.113.9").await;
        assert_eq!(Challenge::of(&claimed).allowed, ["fido2"], "{id}: the connection counts, not what it says");
        let real = begin_with(&server, id, secret, &context("203.0.113.9"), "192.168.1.7").await;
        assert_eq!(Challenge::of(&real).allowed, ["password"], "{id}");
    }
    // Without a context the connection counts, and no forwarding header of a stranger does.
    let outside = begin_with(&server, ACME.client, ACME.secret, "", "203.0.113.9").await;
    assert_eq!(Challenge::of(&outside).allowed, ["fido2"]);
    let within = begin_with(&server, ACME.client, ACME.secret, "", "192.168.1.7").await;
    assert_eq!(Challenge::of(&within).allowed, ["password"]);
    // An address that cannot be read is unknown: never the connection's, never the inside.
    for text in [
        "a",
        "",
        " ",
        "192.168.1",
        "192.168.1.1.1",
        "192.168.1.1/24",
        "192.168.1.1, 8.8.8.8",
        "0xc0a80101",
        "３２",
        &"1".repeat(200),
        "fe80::1%eth0",
    ] {
        let context = context_for(&json!({ "sessionId": "s", "ipAddress": text, "userAgent": "x" }));
        let reply = begin_with(&server, ACME.client, ACME.secret, &context, "192.168.1.7").await;
        // It may be inside and may be outside: what either would demand is demanded, whatever is said of it later.
        let first = Challenge::of(&reply);
        assert_eq!(first.allowed, ["password"], "`{text}`");
        let proved = server.password(&first.token, ACME.other.username, ACME.other.password).await.expect(200);
        let second = Challenge::of(&server.present(proved["assertion"].as_str().unwrap()).await);
        assert_eq!(second.allowed, ["fido2"], "`{text}`");
    }
    // An address mapped into IPv6 is the IPv4 one.
    let mapped = begin_with(&server, ACME.client, ACME.secret, &context("::ffff:192.168.1.1"), "203.0.113.9").await;
    assert_eq!(Challenge::of(&mapped).allowed, ["password"]);
}

#[tokio::test]
async fn attack_32_an_address_that_changes_between_the_calls_is_judged_anew() {
    let inside = r#"[{ type = "ipAddress", opCode = "NOMATCH", values = ["192.168.1.0/24"] }]"#;
    let rules = [
        rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["password"]"#),
        rule("Away", false, inside, "ACTION_DENY", "[]"),
        rule("Here", false, "[]", "ACTION_ALLOW", "[]"),
    ];
    let mut server = Setup::new()
        .add(&policy(500_011, &rules))
        .add(&client("moving", "s", &format!("policy = 500011\n{POLICYAUTH}")))
        .start()
        .await;
    server.cast = Cast { client: "moving", secret: "s", ..ACME };
    let (_, assertion) = server.password_assertion().await;
    server.present_from(&assertion, "203.0.113.9").await.oauth_error(401, "access_denied", "CSIAQ0278E ");
    let (_, assertion) = server.password_assertion().await;
    server.present_from(&assertion, "nonsense").await.oauth_error(401, "access_denied", "CSIAQ0278E ");
    let (_, assertion) = server.password_assertion().await;
    server.present(&assertion).await.expect(200);
}

#[tokio::test]
async fn attack_33_a_condition_that_cannot_be_evaluated_takes_the_stricter_outcome() {
    let at = |op: &str| {
        format!(r#"[{{ type = "location", attributes = [{{ name = "country", opCode = "{op}", values = ["AU"] }}] }}]"#)
    };
    let absent = |op: &str| {
        format!(
            r#"[{{ type = "subjectAttributes", attributes = [{{ name = "clearance", opCode = "{op}", values = ["high"] }}] }}]"#
        )
    };
    let password = |conditions: &str| rule("In", true, conditions, "ACTION_MFA_ALWAYS", r#"["password"]"#);
    let deny = |first: bool, conditions: &str| rule("Out", first, conditions, "ACTION_DENY", "[]");
    let allow = |conditions: &str| rule("Through", false, conditions, "ACTION_ALLOW", "[]");
    // No geographic database is configured. At first contact:
    let first = [
        (500_020, vec![password(&at("IN")), deny(true, "[]"), allow("[]")]),
        (500_021, vec![deny(true, &at("NOTIN")), password("[]"), allow("[]")]),
        (500_022, vec![deny(true, &at("IN")), password("[]"), allow("[]")]),
    ];
    // Of a person: an attribute nobody has.
    let after = [
        (500_023, vec![password("[]"), allow(&absent("IN")), deny(false, "[]")], 401),
        (500_024, vec![password("[]"), allow(&at("NOTIN")), deny(false, "[]")], 401),
        (500_025, vec![password("[]"), deny(false, &at("IN")), allow("[]")], 401),
    ];
    let mut setup = Setup::new();
    let ids = first.iter().map(|(id, rules)| (*id, rules)).chain(after.iter().map(|(id, rules, _)| (*id, rules)));
    for (id, rules) in ids {
        setup =
            setup.add(&policy(id, rules)).add(&client(&format!("c{id}"), "s", &format!("policy = {id}\n{POLICYAUTH}")));
    }
    let server = setup.start().await;
    for (id, _) in &first {
        let reply = begin_with(&server, &format!("c{id}"), "s", &context("192.168.1.1"), "192.168.1.1").await;
        reply.oauth_error(401, "access_denied", "CSIAQ0278E ");
        let text = reply.json()["error_description"].as_str().unwrap().to_owned();
        let (_, reference) = text.trim_end_matches(')').rsplit_once("reference ").unwrap();
        let record = server.store.record(&server.tenant(), reference).await.unwrap().unwrap();
        assert!(record.body.contains("location"), "the record names the condition: {}", record.body);
    }
    for (id, _, status) in &after {
        let name: &'static str = Box::leak(format!("c{id}").into_boxed_str());
        let server = server.as_of(Cast { client: name, secret: "s", ..ACME });
        let (_, assertion) = server.password_assertion().await;
        assert_eq!(server.present(&assertion).await.status, *status, "{id}");
    }
}

/// Vendor page §2.6, G28.
#[tokio::test]
async fn attack_34_nobody_enrols_a_factor_in_the_middle_of_a_flow() {
    let server = TestServer::start().await;
    let second = server.second_challenge().await;
    let own = json!({ "userId": ACME.admin.id, "emailAddress": "evil@example.test", "enabled": true });
    for (method, path) in [
        ("POST", "/v2.0/factors/emailotp".to_owned()),
        ("POST", "/v2.0/factors/smsotp".to_owned()),
        ("POST", "/v2.0/factors/totp?qrCodeInResponse=true".to_owned()),
        ("PUT", format!("/v2.0/factors/emailotp/{}", ACME.email)),
        ("DELETE", format!("/v2.0/factors/emailotp/{}", ACME.email)),
        ("POST", format!("/v2.0/factors/fido2/relyingparties/{}/attestation/options", ACME.relying_party)),
        ("POST", format!("/v2.0/factors/fido2/relyingparties/{}/attestation/result", ACME.relying_party)),
    ] {
        server.json(method, &path, &second.token, &own).await.factor_error(403, "CSIAK4300E");
    }
    let transient = "/v2.0/factors/emailotp/transient/verifications";
    let reply = server.json("POST", transient, &second.token, &json!({ "emailAddress": "evil@example.test" })).await;
    assert_eq!(server.mail("evil@example.test").await, Vec::<Value>::new(), "{}", reply.text());
    let left = server.get("/v2.0/factors/emailotp", &second.token).await.expect(200);
    assert_eq!(left["emailotp"][0]["attributes"]["emailAddress"], ACME.address);
    assert_eq!(left["total"], 1);
}
