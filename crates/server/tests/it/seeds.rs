//! The vendor's printed exchanges: every request verbatim (only the host is ours, and an assertion is the one just
//! received), every answer field for field.

use serde_json::{Value, json};

use crate::support::{
    ACME, Cast, Challenge, GLOBEX, Person, Recorder, Reply, Setup, TestServer, client, context_for, decode, names,
    policy, rule,
};

/// "Performing the policyauth grant": the initiation, as printed.
const INITIATION: &str = "client_id=1a4310d4-0118-4511-9082-39669ccdcad6&
client_secret=cmVkYWN0ZWQ&
scope=openid&
grant_type=policyauth&
context=eyJzZXNzaW9uSWQiOiJNRE5qWm1RM05ETTJOakZtTURjNU56Vm1ZVEptTVQiLCAiaXBBZGRyZXNzIjoiMTkyLjE2OC4xLjEiLCAidXNlckFnZW50IjoiTW96aWxsYS81LjAgKFgxMTsgTGludXggeDg2XzY0KSBBcHBsZVdlYktpdC81MzcuMzYgKEtIVE1MLCBsaWtlIEdlY2tvKSBDaHJvbWUvODMuMC40MTAzLjExNiBTYWZhcmkvNTM3LjM2In0=";

/// The first factor, as printed.
const PASSWORD: &str = r#"{
  "username": "scott",
  "password": "hunter22"
}"#;
const PASSWORD_PATH: &str = "/v1.0/authnmethods/password/46872982-ab9e-4c9f-8200-8f394b328394?returnJwt=true";

/// The presentation, as printed up to the assertion.
const PRESENTATION: &str = "client_id=1a4310d4-0118-4511-9082-39669ccdcad6&
client_secret=cmVkYWN0ZWQ&
scope=openid&
grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&
context=eyJzZXNzaW9uSWQiOiJNRE5qWm1RM05ETTJOakZtTURjNU56Vm1ZVEptTVQiLCAiaXBBZGRyZXNzIjoiMTkyLjE2OC4xLjEiLCAidXNlckFnZW50IjoiTW96aWxsYS81LjAgKFgxMTsgTGludXggeDg2XzY0KSBBcHBsZVdlYktpdC81MzcuMzYgKEtIVE1MLCBsaWtlIEdlY2tvKSBDaHJvbWUvODMuMC40MTAzLjExNiBTYWZhcmkvNTM3LjM2In0=&
assertion=";

/// The vendor page breaks a form into lines only for reading.
async fn post(server: &TestServer, form: &str) -> Reply {
    let ask = server.ask("POST", "/v1.0/endpoint/default/token");
    ask.body("application/x-www-form-urlencoded", form.replace('\n', "")).send().await
}

/// A challenge has these members, in this order, and these constants.
#[track_caller]
fn is_challenge(reply: &Reply, allowed: &[&str], expires_in: i64) {
    let body = reply.expect(200);
    assert_eq!(names(&body), ["access_token", "allowedFactors", "scope", "grant_id", "token_type", "expires_in"]);
    assert_eq!(body["allowedFactors"], json!(allowed));
    assert_eq!(body["scope"], "mfa_challenge");
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], expires_in);
    is_alphanumeric(&body["access_token"], 40);
    is_uuid(&body["grant_id"]);
    assert_eq!((reply.header("cache-control"), reply.header("pragma")), ("no-store", "no-cache"));
    // W1: one client finds values with patterns that allow no blank.
    assert_eq!(reply.text(), body.to_string());
}

#[track_caller]
fn is_alphanumeric(value: &Value, len: usize) {
    let text = value.as_str().unwrap();
    assert!(text.len() == len && text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
}

#[track_caller]
fn is_uuid(value: &Value) {
    let text = value.as_str().unwrap();
    let uuid = uuid::Uuid::parse_str(text).unwrap();
    assert_eq!(uuid.hyphenated().to_string(), text, "lower case, with hyphens");
}

/// A factor assertion has these claims, in this order. Answers its `jti`.
#[track_caller]
fn is_assertion(server: &TestServer, jwt: &str, factor: &str, amr: &[&str], grant: &Value, user: &str) -> String {
    let (header, claims) = decode(jwt);
    assert_eq!(header.to_string(), r#"{"alg":"RS256","kid":"server"}"#);
    assert_eq!(names(&claims), ["sub", "jti", "iat", "exp", "tenantId", "iss", "aud", "factor", "amr", "grant_id"]);
    let base = server.cast.base;
    assert_eq!(claims["sub"], user);
    is_uuid(&claims["jti"]);
    assert_eq!(claims["iat"], server.world.now());
    assert_eq!(claims["exp"], server.world.now() + 300);
    assert_eq!(claims["tenantId"], server.cast.host);
    assert_eq!(claims["iss"], format!("{base}/v2.0/factors"));
    assert_eq!(claims["aud"], json!([server.cast.client, format!("{base}/v1.0/endpoint/default/token")]));
    assert_eq!(claims["factor"], factor);
    assert_eq!(claims["amr"], json!(amr));
    assert_eq!(claims["grant_id"], *grant);
    claims["jti"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_printed_requests_are_answered_as_printed() {
    let server = TestServer::start().await;
    let reply = post(&server, INITIATION).await;
    is_challenge(&reply, &["password"], 1800);
    let first = reply.json();
    let (token, grant) = (first["access_token"].as_str().unwrap(), &first["grant_id"]);

    // The page shows no content type here.
    let reply = server.ask("POST", PASSWORD_PATH).bearer(token).raw(PASSWORD).send().await;
    let proved = reply.expect(200);
    assert_eq!(names(&proved), ["groups", "attributes", "assertion", "id"]);
    assert_eq!(proved["id"], "6040003OH8");
    assert_eq!(
        proved["groups"],
        json!([{ "name": "604000ADMS", "displayName": "ADMINISTRATORS", "sourceId": ACME.source }])
    );
    let attributes = proved["attributes"].as_array().unwrap();
    assert!(attributes.iter().all(|one| names(one) == ["values", "name"]), "{attributes:?}");
    assert!(attributes.contains(&json!({ "values": ["scott@acme.org"], "name": "email" })), "{attributes:?}");
    let assertion = proved["assertion"].as_str().unwrap();
    is_assertion(&server, assertion, "password", &["password"], grant, "6040003OH8");

    server.world.advance(1);
    let reply = post(&server, &format!("{PRESENTATION}{assertion}")).await;
    is_challenge(&reply, &["emailotp"], 1799);
    let second = reply.json();
    assert_eq!(second["grant_id"], *grant, "the grant stays the same");
    assert_ne!(second["access_token"], first["access_token"]);

    let assertion = server.prove_code(second["access_token"].as_str().unwrap()).await;
    is_assertion(&server, &assertion, "emailotp", &["emailotp", "password"], grant, "6040003OH8");
    let tokens = post(&server, &format!("{PRESENTATION}{assertion}")).await;
    are_tokens(&server, &tokens, grant, ACME.admin, &["emailotp", "password"]);
}

/// Final tokens have these members, in this order, and an ID token that says how they were come by.
#[track_caller]
fn are_tokens(server: &TestServer, reply: &Reply, grant: &Value, person: Person, amr: &[&str]) {
    let body = reply.expect(200);
    assert_eq!(
        names(&body),
        ["access_token", "refresh_token", "scope", "grant_id", "id_token", "token_type", "expires_in"]
    );
    is_alphanumeric(&body["access_token"], 40);
    is_alphanumeric(&body["refresh_token"], 50);
    assert_eq!((&body["scope"], &body["grant_id"], &body["token_type"]), (&json!("openid"), grant, &json!("Bearer")));
    let (header, claims) = decode(body["id_token"].as_str().unwrap());
    assert_eq!(header["alg"], "RS256");
    assert_eq!(claims["iss"], format!("{}/oidc/endpoint/default", server.cast.base));
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!(person.id), &json!(server.cast.client)));
    assert_eq!(claims["amr"], json!(amr));
    assert_eq!(claims["acr"], format!("urn:ibm:security:policy:id:{}", server.cast.policy));
    assert_eq!(claims["ext"]["tenantId"], server.cast.host);
    assert_eq!((reply.header("cache-control"), reply.header("pragma")), ("no-store", "no-cache"));
    assert_eq!(reply.text(), body.to_string());
}

#[tokio::test]
async fn another_address_in_the_printed_context_asks_for_a_passkey_in_a_new_grant() {
    let server = TestServer::start().await;
    let inside = post(&server, INITIATION).await.json();
    let context = context_for(&json!({
        "sessionId": "MDNjZmQ3NDM2NjFmMDc5NzVmYTJmMT", "ipAddress": "192.168.2.1", "userAgent": "Mozilla/5.0",
    }));
    let (head, _) = INITIATION.split_once("context=").unwrap();
    let outside = post(&server, &format!("{head}context={context}")).await;
    is_challenge(&outside, &["fido2"], 1800);
    assert_ne!(outside.json()["grant_id"], inside["grant_id"]);
}

/// Vendor page G1: the printed presentation after the password shows the e-mail assertion.
#[tokio::test]
async fn an_assertion_with_the_printed_signature_is_refused() {
    let server = TestServer::start().await;
    post(&server, INITIATION).await.expect(200);
    let printed = "eyJhbGciOiJSUzI1NiIsImtpZCI6InNlcnZlciJ9.eyJhbXIiOlsiZW1haWxvdHAiLCJwYXNzd29yZCJdLCJhdWQiOlsiMWE0MzEwZDQtMDExOC00NTExLTkwODItMzk2NjljY2RjYWQ2IiwiaHR0cHM6Ly9zZWN1cml0eXBvYy5pY2UuaWJtY2xvdWQuY29tL3YxLjAvZW5kcG9pbnQvZGVmYXVsdC90b2tlbiJdLCJleHAiOjE1OTM4OTMyMDQsImZhY3RvciI6ImVtYWlsb3RwIiwiZ3JhbnRfaWQiOiJjMTRjNjNjMS02NDMxLTRjOGYtYThmZS1jOTM5YWZmMDE3NDQiLCJpYXQiOjE1OTM4OTI5MDQsImlzcyI6Imh0dHBzOi8vc2VjdXJpdHlwb2MuaWNlLmlibWNsb3VkLmNvbS92Mi4wL2ZhY3RvcnMiLCJqdGkiOiI2MGZhYjdkNi0zZWZhLTQ4NWUtOTQxNi0zNmM2NDgxMWFlNzYiLCJzdWIiOiI2MDQwMDAzT0g4IiwidGVuYW50SWQiOiJzZWN1cml0eXBvYy5pY2UuaWJtY2xvdWQuY29tIn0.J9_Omrs8vlTz9bgGWVI0T4AssoMP0UFNoDZ_4d93NEELq_kE1qoXw0Ao8_1QMyyYPRhtnCxtpF5NrD7s4yIzU";
    post(&server, &format!("{PRESENTATION}{printed}")).await.oauth_error(400, "invalid_grant", "CSIAQ");
}

/// Vendor page appendix A.1 and W4, W5: every spelling of a secret and a context.
#[tokio::test]
async fn every_spelling_of_basic_and_context_is_read() {
    const ID: &str = "5b1e0c52-7d0f-4f0b-9a53-2f7b8a6c1d10";
    let extra = r#"grant_types = ["policyauth"]
policy = 420017
policy_grants = { policyauth = true }"#;
    let server = Setup::new().add(&client(ID, "k3y>>Ex~mple", extra)).start().await;
    let basics = [
        "NWIxZTBjNTItN2QwZi00ZjBiLTlhNTMtMmY3YjhhNmMxZDEwOmszeT4-RXh-bXBsZQ",
        "NWIxZTBjNTItN2QwZi00ZjBiLTlhNTMtMmY3YjhhNmMxZDEwOmszeT4+RXh+bXBsZQ==",
        "NWIxZTBjNTItN2QwZi00ZjBiLTlhNTMtMmY3YjhhNmMxZDEwOmszeT4-RXh-bXBsZQ==",
        "NWIxZTBjNTItN2QwZi00ZjBiLTlhNTMtMmY3YjhhNmMxZDEwOmszeT4+RXh+bXBsZQ",
        // RFC 6749 §2.3.1: `k3y%3E%3EEx~mple`.
        "NWIxZTBjNTItN2QwZi00ZjBiLTlhNTMtMmY3YjhhNmMxZDEwOmszeSUzRSUzRUV4fm1wbGU=",
    ];
    let contexts = [
        "eyJzZXNzaW9uSWQiOiJzLTdmMzEiLCJpcEFkZHJlc3MiOiIxOTIuMTY4LjEuMjAiLCJ1c2VyQWdlbnQiOiJNb3ppbGxhLzUuMCAoWDExOyBMaW51eCB4ODZfNjQpIn0",
        "eyJzZXNzaW9uSWQiOiJzLTdmMzEiLCAiaXBBZGRyZXNzIjoiMTkyLjE2OC4xLjIwIiwgInVzZXJBZ2VudCI6Ik1vemlsbGEvNS4wIChYMTE7IExpbnV4IHg4Nl82NCkifQ==",
    ];
    for basic in basics {
        for context in contexts {
            let reply = server
                .ask("POST", "/v1.0/endpoint/default/token")
                .header("authorization", format!("Basic {basic}"))
                .header("accept", "application/json")
                .body(
                    "application/x-www-form-urlencoded",
                    format!("scope=openid&grant_type=policyauth&context={context}"),
                )
                .send()
                .await;
            is_challenge(&reply, &["password"], 1800);
        }
    }
    // The two alphabets, and a `+` that a form turned into a blank; all name the same address, which is outside.
    for context in [
        "eyJzZXNzaW9uSWQiOiJzLTdmMzEiLCJpcEFkZHJlc3MiOiIxMC4wLjAuMjU1IiwidXNlckFnZW50IjoiYT8%2BYn4ifQ==",
        "eyJzZXNzaW9uSWQiOiJzLTdmMzEiLCJpcEFkZHJlc3MiOiIxMC4wLjAuMjU1IiwidXNlckFnZW50IjoiYT8+Yn4ifQ==",
        "eyJzZXNzaW9uSWQiOiJzLTdmMzEiLCJpcEFkZHJlc3MiOiIxMC4wLjAuMjU1IiwidXNlckFnZW50IjoiYT8-Yn4ifQ",
    ] {
        let form = format!("client_id={ID}&client_secret=k3y%3E%3EEx~mple&grant_type=policyauth&context={context}");
        is_challenge(&post(&server, &form).await, &["fido2"], 1800);
    }
}

/// Vendor page §2.10, as a reader may learn the dialect from it.
#[tokio::test]
async fn a_whole_exchange() {
    let server = TestServer::start().await;
    let mut log = Recorder::new(&server);
    let context = "eyJzZXNzaW9uSWQiOiJzIiwiaXBBZGRyZXNzIjoiMTkyLjE2OC4xLjEiLCJ1c2VyQWdlbnQiOiJ4In0";
    let client = "client_id=1a4310d4-0118-4511-9082-39669ccdcad6&client_secret=cmVkYWN0ZWQ";
    let bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let token = "/v1.0/endpoint/default/token";

    let begin = format!("{client}&scope=openid&grant_type=policyauth&context={context}");
    let reply = log.form("1. Begin", token, None, &begin).await.json();
    let t1 = log.name(&reply["access_token"], "T1");
    log.name(&reply["grant_id"], "GRANT");

    let sources = "/v1.0/authnmethods/password?search=name%20=%20%22Cloud%20Directory%22";
    let reply = log.json("2. Which identity source", "GET", sources, &t1, "").await.json();
    let source = reply["password"][0]["id"].as_str().unwrap();

    let path = format!("/v1.0/authnmethods/password/{source}?returnJwt=true");
    let body = r#"{"username":"scott","password":"hunter22"}"#;
    let reply = log.json("3. The password", "POST", &path, &t1, body).await.json();
    let a1 = log.jwt(&reply["assertion"], "A1");

    let present = format!("{client}&scope=openid&grant_type={bearer}&context={context}&assertion={a1}");
    let reply = log.form("4. The assertion comes back", token, None, &present).await.json();
    let t2 = log.name(&reply["access_token"], "T2");

    let path = "/v2.0/factors?search=userId%3D%226040003OH8%22%26enabled%3Dtrue&filter=!attributes";
    log.json("5. What the person has enrolled", "GET", path, &t2, "").await.expect(200);

    let path = format!("/v2.0/factors/emailotp/{}/verifications", ACME.email);
    let reply = log.json("6. A code is sent", "POST", &path, &t2, "{}").await.json();
    let verification = log.name(&reply["id"], "VERIFICATION");
    let correlation = log.name(&reply["correlation"], "CCCC");
    let code = server.code(ACME.address).await;
    let mails = server.mail(ACME.address).await;
    assert!(mails[0]["text"].as_str().unwrap().contains(&format!("{correlation}-{code}")), "{mails:?}");

    let path = format!("{path}/{verification}?returnJwt=true");
    let wrong = if code == "000000" { "111111" } else { "000000" };
    let body = format!(r#"{{"otp":"{wrong}"}}"#);
    log.know(wrong, "WRONG");
    log.json("7. A wrong code", "POST", &path, &t2, &body).await.factor_error(400, "CSIBN0021E");

    log.know(&code, "RIGHT");
    let body = format!(r#"{{"otp":"{code}"}}"#);
    let reply = log.json("8. The right code", "POST", &path, &t2, &body).await.json();
    let a2 = log.jwt(&reply["assertion"], "A2");

    // The challenge token alone authenticates the presentation (vendor page §2.5, form 2).
    let present = format!("scope=openid&grant_type={bearer}&context={context}&assertion={a2}");
    let reply = log.form("9. Tokens", token, Some(&t2), &present).await.json();
    let access = log.name(&reply["access_token"], "ACCESS");
    log.name(&reply["refresh_token"], "REFRESH");
    let (_, claims) = decode(reply["id_token"].as_str().unwrap());
    log.name(&claims["at_hash"], "AT_HASH");
    log.name(&claims["sid"], "SID");
    log.jwt(&reply["id_token"], "IDTOKEN");

    log.form("10. Introspection", "/oauth2/introspect", None, &format!("{client}&token={access}")).await.expect(200);

    for assertion in [&a1, &a2] {
        let again = format!("{client}&scope=openid&grant_type={bearer}&context={context}&assertion={assertion}");
        log.form("11. An assertion again", token, None, &again).await.oauth_error(400, "invalid_grant", "CSIAQ");
    }
    let path = format!("/v2.0/factors/emailotp/{}/verifications", ACME.email);
    log.json("12. The spent challenge token", "POST", &path, &t2, "{}").await.factor_error(401, "CSIAK9999E");
    insta::assert_snapshot!(log.text());
}

/// One row of the table of vendor page §3.8: from where, who, the first challenge, what comes after it.
struct Row {
    ip: &'static str,
    admin: bool,
    first: &'static str,
}

const TABLE: [Row; 6] = [
    Row { ip: "192.168.1.1", admin: true, first: "password" },
    Row { ip: "192.168.1.1", admin: false, first: "password" },
    Row { ip: "203.0.113.9", admin: true, first: "fido2" },
    Row { ip: "203.0.113.9", admin: false, first: "fido2" },
    Row { ip: "2001:db8::1", admin: true, first: "fido2" },
    Row { ip: "2001:db8::1", admin: false, first: "fido2" },
];

async fn worked_table(cast: Cast) {
    let server = TestServer::start().await.as_of(cast);
    let mut admins = server.passkey_of(cast.admin.id).await;
    let mut others = server.passkey_of(cast.other.id).await;
    for Row { ip, admin, first } in TABLE {
        let (person, browser) = if admin { (cast.admin, &mut admins) } else { (cast.other, &mut others) };
        let reply = server.begin(ip).await;
        is_challenge(&reply, &[first], 1800);
        let grant = reply.json()["grant_id"].clone();
        let challenge = Challenge::of(&reply);
        let proved = match first {
            "password" => server.password(&challenge.token, person.username, person.password).await.expect(200),
            _ => server.passkey(&challenge.token, browser, &json!({ "userId": person.id })).await.expect(200),
        };
        let assertion = proved["assertion"].as_str().unwrap();
        is_assertion(&server, assertion, first, &[first], &grant, person.id);
        let reply = server.present_from(assertion, ip).await;
        if !admin {
            are_tokens(&server, &reply, &grant, person, &[first]);
            continue;
        }
        is_challenge(&reply, &["emailotp"], 1800);
        assert_eq!(reply.json()["grant_id"], grant);
        let assertion = server.prove_code(&Challenge::of(&reply).token).await;
        let mut amr = ["emailotp", first];
        amr.sort_unstable();
        is_assertion(&server, &assertion, "emailotp", &amr, &grant, person.id);
        are_tokens(&server, &server.present_from(&assertion, ip).await, &grant, person, &amr);
    }
}

#[tokio::test]
async fn the_worked_table_holds_in_the_demonstration_tenant() {
    worked_table(ACME).await;
}

#[tokio::test]
async fn the_worked_table_holds_in_a_tenant_that_shares_nothing_with_it() {
    worked_table(GLOBEX).await;
}

/// Username-less: the credential says who it is.
#[tokio::test]
async fn a_passkey_needs_no_user_id() {
    let server = TestServer::start().await;
    let mut browser = server.passkey_of(ACME.other.id).await;
    for body in [json!({}), json!({ "userId": null })] {
        let first = Challenge::of(&server.begin("203.0.113.9").await);
        let proved = server.passkey(&first.token, &mut browser, &body).await.expect(200);
        assert_eq!(proved["userId"], ACME.other.id);
        server.present_from(proved["assertion"].as_str().unwrap(), "203.0.113.9").await.expect(200);
    }
}

/// Vendor page appendix A.3: the password attempt under a passkey challenge, and the denial.
#[tokio::test]
async fn outside_a_password_is_refused_and_a_denying_policy_says_so() {
    let server = TestServer::start().await;
    let first = Challenge::of(&server.begin("203.0.113.9").await);
    let reply = server.password(&first.token, ACME.admin.username, ACME.admin.password).await;
    reply.factor_error(403, "CSIAK4300E");

    let form = [
        ("client_id", "office-only"),
        ("client_secret", "office-demo-secret"),
        ("grant_type", "policyauth"),
        ("scope", "openid"),
        ("context", &crate::support::context("203.0.113.9")),
    ];
    let reply = server.post_form("/v1.0/endpoint/default/token", &form).await;
    reply.oauth_error(401, "access_denied", "CSIAQ0278E ");
    assert_eq!(reply.header("www-authenticate"), "", "a denial is no failed authentication");
}

/// The very first refresh may be the one that is challenged.
#[tokio::test]
async fn a_first_refresh_is_challenged_and_goes_on_in_the_same_grant() {
    let rules = [
        rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["password"]"#),
        rule("Second", false, "[]", "ACTION_MFA_ALWAYS", r#"["emailotp"]"#),
    ];
    let extra = r#"grant_types = ["policyauth", "refresh_token"]
policy = 500001
policy_grants = { policyauth = true, refresh_token = true }"#;
    let setup = Setup::new().add(&policy(500_001, &rules)).add(&client("refresher", "a-secret", extra));
    let mut server = setup.start().await;
    server.cast = Cast { client: "refresher", secret: "a-secret", policy: 500_001, ..ACME };
    let tokens = server.sign_in().await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let reply = server.ask("POST", "/oauth2/token").basic("refresher", "a-secret").form(&form).send().await;
    let challenge = Challenge::of(&reply);
    let assertion = server.prove_code(&challenge.token).await;
    let again = server.present(&assertion).await.expect(200);
    assert_eq!(again["grant_id"], tokens["grant_id"]);
}

/// Vendor page appendix A.4: a refresh long after the last second factor asks for a passkey.
#[tokio::test]
async fn a_refresh_is_challenged_and_goes_on_in_the_same_grant() {
    let rules = [
        rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["password"]"#),
        rule(
            "Stale",
            false,
            r#"[{ type = "mfaLifetime", opCode = "EQ", values = ["3600"] }]"#,
            "ACTION_MFA_ALWAYS",
            r#"["fido2"]"#,
        ),
        rule("Second", false, "[]", "ACTION_MFA_PER_SESSION", r#"["emailotp"]"#),
    ];
    let extra = r#"grant_types = ["policyauth", "refresh_token"]
policy = 500001
policy_grants = { policyauth = true, refresh_token = true }"#;
    let setup = Setup::new().add(&policy(500_001, &rules)).add(&client("refresher", "a-secret", extra));
    let mut server = setup.start().await;
    server.cast = Cast { client: "refresher", secret: "a-secret", policy: 500_001, ..ACME };
    let tokens = server.sign_in().await;
    let mut browser = server.passkey_of(ACME.admin.id).await;

    let refresh = |token: &Value| {
        let form = [("grant_type", "refresh_token".to_owned()), ("refresh_token", token.as_str().unwrap().to_owned())];
        let server = server.clone();
        async move {
            let ask = server.ask("POST", "/oauth2/token").basic("refresher", "a-secret").form(&form);
            ask.send().await
        }
    };
    let fresh = refresh(&tokens["refresh_token"]).await;
    are_tokens(&server, &fresh, &tokens["grant_id"], ACME.admin, &["emailotp", "password"]);
    server.world.advance(3601);
    let refresh_token = fresh.json()["refresh_token"].clone();
    let reply = refresh(&refresh_token).await;
    is_challenge(&reply, &["fido2"], 1800);
    assert_eq!(reply.json()["grant_id"], tokens["grant_id"], "a challenged refresh stays in its grant");

    let challenge = Challenge::of(&reply);
    let proved = server.passkey(&challenge.token, &mut browser, &json!({ "userId": ACME.admin.id })).await.expect(200);
    let assertion = proved["assertion"].as_str().unwrap();
    let amr = ["emailotp", "fido2", "password"];
    is_assertion(&server, assertion, "fido2", &amr, &tokens["grant_id"], ACME.admin.id);
    // Neither scope nor context is sent again.
    let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)];
    let reply = server.ask("POST", "/oauth2/token").basic("refresher", "a-secret").form(&form).send().await;
    are_tokens(&server, &reply, &tokens["grant_id"], ACME.admin, &amr);
    let old = decode(tokens["id_token"].as_str().unwrap()).1["sid"].clone();
    assert_ne!(decode(reply.json()["id_token"].as_str().unwrap()).1["sid"], old, "a new session id");
}
