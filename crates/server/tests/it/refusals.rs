//! The failure cases of the sign-in flow (vendor page §5.5), one test each, named by their numbers.

use serde_json::{Value, json};

use crate::support::{
    ACME, Cast, Challenge, JWT_BEARER, Setup, TOKEN, TestServer, client, context, context_for, decode, policy, rule,
    user,
};

const POLICYAUTH: &str = r#"grant_types = ["policyauth", "refresh_token"]
policy_grants = { policyauth = true }"#;

/// The flow can still be completed with this assertion's challenge.
async fn still_completes(server: &TestServer, first: &Challenge) {
    let other = server.cast.other;
    let proved = server.password(&first.token, other.username, other.password).await.expect(200);
    server.present(proved["assertion"].as_str().unwrap()).await.expect(200);
}

#[tokio::test]
async fn e1_a_wrong_client_secret_is_no_authentication() {
    let server = TestServer::start().await;
    let context = context("192.168.1.1");
    let form = [("grant_type", "policyauth"), ("scope", "openid"), ("context", &context)];
    for (id, secret) in [(ACME.client, "wrong"), (ACME.client, ""), ("nobody", ACME.secret), ("nobody", "")] {
        let basic = server.ask("POST", TOKEN).basic(id, secret).form(&form).send().await;
        basic.oauth_error(401, "invalid_client", "CSIAQ0155E ");
        assert!(basic.header("www-authenticate").starts_with("Basic "));
        let mut body = form.to_vec();
        body.extend([("client_id", id), ("client_secret", secret)]);
        let post = server.post_form(TOKEN, &body).await;
        assert_eq!(post, basic, "the same refusal by either method, for a known client and for an unknown one");
    }
    let (first, assertion) = server.password_assertion().await;
    let form =
        [("client_id", ACME.client), ("client_secret", "wrong"), ("grant_type", JWT_BEARER), ("assertion", &assertion)];
    server.post_form(TOKEN, &form).await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    let second = Challenge::of(&server.present(&assertion).await);
    assert_eq!(second.grant, first.grant, "the assertion was not spent");
}

#[tokio::test]
async fn e2_without_the_grant_type_or_a_native_policy_nothing_begins() {
    let browser_policy =
        policy(500_002, &[rule("In", false, "[]", "ACTION_ALLOW", "[]")]).replace("nativeAppWeb", "fedSSO");
    let server = Setup::new()
        .add(&browser_policy)
        .add(&client("no-policy", "s", r#"grant_types = ["policyauth"]"#))
        .add(&client("switched-off", "s", "grant_types = [\"policyauth\"]\npolicy = 420017"))
        .add(&client("browser-policy", "s", &format!("policy = 500002\n{POLICYAUTH}")))
        .start()
        .await;
    let context = context("192.168.1.1");
    for (id, secret) in [
        ("administration", "administration-demo-secret"),
        ("no-policy", "s"),
        ("switched-off", "s"),
        ("browser-policy", "s"),
    ] {
        let form = [("grant_type", "policyauth"), ("context", context.as_str())];
        let reply = server.ask("POST", TOKEN).basic(id, secret).form(&form).send().await;
        reply.oauth_error(400, "unauthorized_client", "CSIAQ");
    }
}

#[tokio::test]
async fn e3_a_context_that_cannot_be_read_or_lacks_a_member_is_an_invalid_request() {
    let server = TestServer::start().await;
    let whole = json!({ "sessionId": "s", "ipAddress": "192.168.1.1", "userAgent": "x" });
    let mut bad =
        vec!["!".to_owned(), "e30".to_owned(), "W10=".to_owned(), "bnVsbA==".to_owned(), "eyJhIjox".to_owned()];
    // A byte that is no UTF-8, inside an object that would do.
    bad.push("eyJzZXNzaW9uSWQiOiL/IiwiaXBBZGRyZXNzIjoiMS4xLjEuMSIsInVzZXJBZ2VudCI6IngifQ==".to_owned());
    for member in ["sessionId", "ipAddress", "userAgent"] {
        let mut lacking = whole.clone();
        lacking.as_object_mut().unwrap().remove(member);
        bad.push(context_for(&lacking));
        for wrong in [json!(1), json!(["192.168.1.1"]), json!({}), Value::Null] {
            let mut other = whole.clone();
            other[member] = wrong;
            bad.push(context_for(&other));
        }
    }
    for context in &bad {
        let reply = server.token(&[("grant_type", "policyauth"), ("context", context)]).await;
        reply.oauth_error(400, "invalid_request", "CSIAQ");
    }
    let (_, assertion) = server.password_assertion().await;
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str()), ("context", "!")];
    server.token(&form).await.oauth_error(400, "invalid_request", "CSIAQ");
    Challenge::of(&server.present(&assertion).await);
}

#[tokio::test]
async fn e4_first_contact_denied_leaves_a_record_and_no_grant() {
    let server = TestServer::start().await;
    let context = context("203.0.113.9");
    let form = [("grant_type", "policyauth"), ("scope", "openid"), ("context", context.as_str())];
    let ask = server.ask("POST", TOKEN).basic("office-only", "office-demo-secret").form(&form);
    let reply = ask.send().await;
    reply.oauth_error(401, "access_denied", "CSIAQ0278E ");
    let text = reply.json()["error_description"].as_str().unwrap().to_owned();
    let (_, reference) = text.trim_end_matches(')').rsplit_once("reference ").unwrap();
    let record = server.store.record(&server.tenant(), reference).await.unwrap().unwrap();
    assert!(record.body.contains("Outside"), "the record names the rule: {}", record.body);
    let grant = record.grant.unwrap();
    assert!(server.store.sign_in(&server.tenant(), &grant).await.unwrap().is_none(), "no sign-in is left behind");
}

#[tokio::test]
async fn e5_a_token_that_is_unknown_expired_or_superseded_is_401() {
    let server = TestServer::start().await;
    let path = format!("/v1.0/authnmethods/password/{}", ACME.source);
    let body = json!({ "username": "scott", "password": "hunter22" });
    for token in ["nobody", "x".repeat(40).as_str(), "x".repeat(20_000).as_str()] {
        server.json("POST", &path, token, &body).await.factor_error(401, "CSIAK9999E");
    }
    server.ask("POST", &path).json(&body).send().await.factor_error(401, "CSIAK9999E");
    let two = server.ask("POST", &path).bearer("a").bearer("b").json(&body).send().await;
    two.factor_error(401, "CSIAK9999E");

    let (first, assertion) = server.password_assertion().await;
    let second = Challenge::of(&server.present(&assertion).await);
    let reply = server.password(&first.token, ACME.admin.username, ACME.admin.password).await;
    reply.factor_error(401, "CSIAK9999E");
    server.start_code(&second.token).await;

    server.world.advance(1799);
    server.get("/v2.0/factors", &second.token).await.expect(200);
    server.world.advance(1);
    server.get("/v2.0/factors", &second.token).await.factor_error(401, "CSIAK9999E");
}

#[tokio::test]
async fn e6_a_factor_that_was_not_asked_for_is_403() {
    let server = TestServer::start().await;
    let first = server.begin_inside().await;
    let path = format!("/v2.0/factors/fido2/relyingparties/{}/assertion/options", ACME.relying_party);
    server.json("POST", &path, &first.token, &json!({})).await.factor_error(403, "CSIAK4300E");
    let code = format!("/v2.0/factors/emailotp/{}/verifications", ACME.email);
    server.json("POST", &code, &first.token, &json!({})).await.factor_error(403, "CSIAK4300E");
    let totp = "/v2.0/factors/totp/9381dffe-3116-4d8d-bbe2-8ab36ccdafe5?returnJwt=true";
    server.json("POST", totp, &first.token, &json!({ "otp": "123456" })).await.factor_error(403, "CSIAK4300E");
    assert_eq!(server.mail(ACME.address).await, Vec::<Value>::new(), "nothing was sent");
    still_completes(&server, &first).await;

    let second = server.second_challenge().await;
    let reply = server.password(&second.token, ACME.admin.username, ACME.admin.password).await;
    reply.factor_error(403, "CSIAK4300E");
    let proved = server.prove_code(&second.token).await;
    server.present(&proved).await.expect(200);
}

#[tokio::test]
async fn e7_after_a_wrong_password_the_challenge_goes_on() {
    let server = TestServer::start().await;
    let first = server.begin_inside().await;
    server.password(&first.token, ACME.admin.username, "wrong").await.factor_error(400, "CSIBH0044E");
    server.password(&first.token, "nobody", "wrong").await.factor_error(400, "CSIBH0044E");
    still_completes(&server, &first).await;
}

#[tokio::test]
async fn e8_too_many_wrong_passwords_rest_the_account_with_the_same_answer() {
    let server = TestServer::start().await;
    let first = server.begin_inside().await;
    let (name, right) = (ACME.other.username, ACME.other.password);
    let wrong = server.password(&first.token, name, "wrong").await;
    for _ in 1..5 {
        assert_eq!(server.password(&first.token, name, "wrong").await, wrong);
    }
    assert_eq!(server.password(&first.token, name, right).await, wrong, "the right one is not judged either");
    let elsewhere = server.begin_inside().await;
    assert_eq!(server.password(&elsewhere.token, name, right).await, wrong, "nor in another sign-in");
    // Somebody else is not concerned.
    server.password(&elsewhere.token, ACME.admin.username, ACME.admin.password).await.expect(200);
    server.world.advance(60);
    let proved = server.password(&first.token, name, right).await.expect(200);
    server.present(proved["assertion"].as_str().unwrap()).await.expect(200);
}

#[tokio::test]
async fn e9_without_return_jwt_there_is_no_assertion_and_none_later() {
    let server = TestServer::start().await;
    let first = server.begin_inside().await;
    let path = format!("/v1.0/authnmethods/password/{}", ACME.source);
    let body = json!({ "username": ACME.admin.username, "password": ACME.admin.password });
    for query in ["", "?returnJwt=false", "?returnJwt=", "?returnJwt=TRUE"] {
        let proved = server.json("POST", &format!("{path}{query}"), &first.token, &body).await.expect(200);
        assert_eq!(crate::support::names(&proved), ["groups", "attributes", "id"], "{query}");
    }
    let second = server.second_challenge().await;
    let started = server.start_code(&second.token).await;
    let verification = started["id"].as_str().unwrap();
    let code = server.code(ACME.address).await;
    let path = format!("/v2.0/factors/emailotp/{}/verifications/{verification}", ACME.email);
    server.json("POST", &path, &second.token, &json!({ "otp": code })).await.expect_empty(204);
    let again = server.answer_code(&second.token, verification, &code).await;
    again.factor_error(404, "CSIBN0028E");
    let shown = server.get(&path, &second.token).await.expect(200);
    assert_eq!(shown["state"], "SUCCESS", "it stays readable");
    // A new code goes on.
    let assertion = server.prove_code(&second.token).await;
    server.present(&assertion).await.expect(200);
}

/// Changes one character in the middle of a part of a JWT.
fn tampered(jwt: &str, part: usize) -> String {
    let mut parts: Vec<String> = jwt.split('.').map(str::to_owned).collect();
    let middle = parts[part].len() / 2;
    let other = if parts[part].as_bytes()[middle] == b'A' { "B" } else { "A" };
    parts[part].replace_range(middle..=middle, other);
    parts.join(".")
}

#[tokio::test]
async fn e10_an_assertion_that_is_foreign_tampered_late_used_or_of_a_finished_grant_is_refused() {
    let more = format!("policy = 420017\n{POLICYAUTH}");
    let server = Setup::new().add(&client("another", "its-secret", &more)).start().await;
    let refused = |reply: crate::support::Reply| reply.oauth_error(400, "invalid_grant", "CSIAQ");

    let (_, assertion) = server.password_assertion().await;
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    refused(server.ask("POST", TOKEN).basic("another", "its-secret").form(&form).send().await);
    for part in 0..3 {
        refused(server.present(&tampered(&assertion, part)).await);
    }
    let second = Challenge::of(&server.present(&assertion).await);
    refused(server.present(&assertion).await);

    let last = server.prove_code(&second.token).await;
    server.present(&last).await.expect(200);
    refused(server.present(&last).await);
    refused(server.present(&assertion).await);

    let (first, late) = server.password_assertion().await;
    server.world.advance(300);
    refused(server.present(&late).await);
    // Late is no end of the flow: the factor is performed again.
    let proved = server.password(&first.token, ACME.admin.username, ACME.admin.password).await.expect(200);
    Challenge::of(&server.present(proved["assertion"].as_str().unwrap()).await);
}

#[tokio::test]
async fn e10_of_two_assertions_for_one_challenge_only_the_newest_counts_and_only_once() {
    let server = TestServer::start().await;
    let (first, old) = server.password_assertion().await;
    let proved = server.password(&first.token, ACME.admin.username, ACME.admin.password).await.expect(200);
    server.present(&old).await.oauth_error(400, "invalid_grant", "CSIAQ");
    let new = proved["assertion"].as_str().unwrap();
    Challenge::of(&server.present(new).await);
    server.present(new).await.oauth_error(400, "invalid_grant", "CSIAQ");
}

#[tokio::test]
async fn e11_an_assertion_that_outlived_its_grant_is_refused() {
    let server = TestServer::start().await;
    let first = server.begin_inside().await;
    server.world.advance(1700);
    let proved = server.password(&first.token, ACME.admin.username, ACME.admin.password).await.expect(200);
    let assertion = proved["assertion"].as_str().unwrap();
    server.world.advance(100);
    assert!(decode(assertion).1["exp"].as_i64().unwrap() > server.world.now(), "the assertion itself is still good");
    server.present(assertion).await.oauth_error(400, "invalid_grant", "CSIAQ");
}

#[tokio::test]
async fn e12_a_denial_once_the_person_is_known_ends_the_grant() {
    let rules =
        [rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["password"]"#), rule("Out", false, "[]", "ACTION_DENY", "[]")];
    let mut server = Setup::new()
        .add(&policy(500_003, &rules))
        .add(&client("denied", "s", &format!("policy = 500003\n{POLICYAUTH}")))
        .start()
        .await;
    server.cast = Cast { client: "denied", secret: "s", ..ACME };
    let (first, assertion) = server.password_assertion().await;
    server.present(&assertion).await.oauth_error(401, "access_denied", "CSIAQ0278E ");
    server.present(&assertion).await.oauth_error(400, "invalid_grant", "CSIAQ");
    let again = server.password(&first.token, ACME.admin.username, ACME.admin.password).await;
    again.factor_error(401, "CSIAK9999E");
}

#[tokio::test]
async fn e13_somebody_the_application_is_not_assigned_to_is_refused_once_known() {
    let more = format!("policy = 420017\nopen_to_all = false\nentitled_groups = [\"ADMINISTRATORS\"]\n{POLICYAUTH}");
    let mut server = Setup::new().add(&client("assigned", "s", &more)).start().await;
    server.cast = Cast { client: "assigned", secret: "s", ..ACME };
    let first = server.begin_inside().await;
    let proved = server.password(&first.token, ACME.other.username, ACME.other.password).await.expect(200);
    let assertion = proved["assertion"].as_str().unwrap();
    server.present(assertion).await.oauth_error(401, "access_denied", "CSIAQ0279E ");
    server.present(assertion).await.oauth_error(400, "invalid_grant", "CSIAQ");
    server.get("/v2.0/factors/discover", &first.token).await.factor_error(401, "CSIAK9999E");
    server.sign_in().await;
}

#[tokio::test]
async fn e14_somebody_without_an_enrolment_is_challenged_all_the_same() {
    let admin = user("604000NEW1", "nell", "nells-password", r#"groups = ["ADMINISTRATORS"]"#);
    let server = Setup::new().add(&admin).start().await;
    let first = server.begin_inside().await;
    let proved = server.password(&first.token, "nell", "nells-password").await.expect(200);
    let second = Challenge::of(&server.present(proved["assertion"].as_str().unwrap()).await);
    assert_eq!(second.allowed, ["emailotp"]);
    let found = server.get("/v2.0/factors?search=enabled%3Dtrue", &second.token).await.expect(200);
    assert_eq!(found, json!({ "total": 0, "factors": [], "count": 200, "limit": 200, "page": 1 }));
    let path = format!("/v2.0/factors/emailotp/{}/verifications", ACME.email);
    let reply = server.json("POST", &path, &second.token, &json!({})).await;
    reply.factor_error(404, "CSIAG0605E");
    assert_eq!(server.mail(ACME.address).await, Vec::<Value>::new(), "another's enrolment is not used");
}

#[tokio::test]
async fn e15_a_resource_server_learns_that_it_is_a_challenge_token() {
    let server = TestServer::start().await;
    for token in [server.begin_inside().await.token, server.second_challenge().await.token] {
        let form = [("token", token.as_str())];
        let ask = server.ask("POST", "/oauth2/introspect").basic(ACME.client, ACME.secret).form(&form);
        let told = ask.send().await.expect(200);
        assert_eq!((&told["active"], &told["scope"]), (&json!(true), &json!("mfa_challenge")), "{told}");
        assert_eq!(told["client_id"], ACME.client);
    }
}

#[tokio::test]
async fn e16_a_challenge_token_is_no_access_token_and_no_refresh_token() {
    let server = TestServer::start().await;
    let second = server.second_challenge().await;
    let token = second.token.as_str();
    for path in ["/oauth2/userinfo", "/oidc/endpoint/default/userinfo", "/v1.0/endpoint/default/userinfo", "/userinfo"]
    {
        let reply = server.get(path, token).await;
        reply.oauth_error(403, "insufficient_scope", "");
        assert!(reply.header("www-authenticate").starts_with("Bearer error=\"insufficient_scope\""));
        let posted = server.post_form(path, &[("access_token", token)]).await;
        assert_eq!(posted, reply);
    }
    let refresh = server.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await;
    refresh.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
    let exchange = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    assert_eq!(server.token(&exchange).await.status, 400);
    let assertion = server.prove_code(token).await;
    server.present(&assertion).await.expect(200);
}
