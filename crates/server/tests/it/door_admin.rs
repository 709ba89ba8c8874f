//! What administrators and services do through the door: settings of factors, passwords, generated codes, decision records.

use serde_json::{Value, json};

use crate::support::{ACME, Setup, TOKEN, TestServer, client, names};

const SOURCE: &str = "/v1.0/authnmethods/password/46872982-ab9e-4c9f-8200-8f394b328394";
const PARTIES: &str = "/config/v2.0/factors/fido2/relyingparties";

fn setup() -> Setup {
    let more = "grant_types = [\"client_credentials\"]\n\
                entitlements = [\"authnAnyUser\", \"resetPasswordAnyUser\", \"generateOTP\", \"manageAllUserGroups\"]";
    Setup::new()
        .add(&client("helpdesk", "h", more))
        .add(&client("helpdesk-2", "h", more))
        .add(&client("bare", "h", "grant_types = [\"client_credentials\"]"))
        .replace(
            "policy = 420017\npolicy_grants = { policyauth = true }",
            "policy = 420017\npolicy_grants = { policyauth = true }\n\
             entitlements = [\"authn\", \"readAccessPolicies\", \"manageMFAMethods\", \"generateOTP\"]",
        )
}

async fn token(server: &TestServer, id: &str) -> String {
    let secret = if id == "administration" { "administration-demo-secret" } else { "h" };
    let form = [("grant_type", "client_credentials")];
    let reply = server.ask("POST", TOKEN).basic(id, secret).form(&form).send().await.expect(200);
    reply["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn settings_of_codes_are_in_force_at_once_and_on_every_node() {
    let server = setup().start().await;
    let admin = token(&server, "administration").await;
    let path = "/config/v2.0/factors/emailotp";
    let before = server.get(path, &admin).await.expect(200);
    assert_eq!(
        before,
        json!({ "charset": "0123456789", "enabled": true, "expiry": 300, "length": 6, "retries": 4, "allowlist": [], "denylist": [] })
    );
    let change = json!({ "length": 9, "retries": 0, "expiry": 60 });
    let after = server.json("PUT", path, &admin, &change).await.expect(200);
    assert_eq!((&after["length"], &after["retries"], &after["charset"]), (&json!(9), &json!(0), &json!("0123456789")));
    assert_eq!(server.get(path, &admin).await.expect(200), after);
    let second = server.second_challenge().await;
    let verification = server.start_code(&second.token).await;
    assert_eq!(verification["retries"], 0);
    assert_eq!(server.code("scott@acme.org").await.len(), 9);
    let node = server.another().await;
    assert_eq!(node.get(path, &admin).await.expect(200), after);
    server.json("PUT", path, &admin, &json!({ "length": 2 })).await.factor_error(400, "CSIAG5401E");
    assert_eq!(server.get(path, &admin).await.expect(200), after);
    // Off: not offered, not performed, not enrolled.
    server.json("PUT", path, &admin, &json!({ "enabled": false })).await.expect(200);
    let path = format!("/v2.0/factors/emailotp/{}/verifications", ACME.email);
    server.json("POST", &path, &second.token, &json!({})).await.factor_error(501, "CSIBN9998E");
    let offered = server.get("/v2.0/factors/discover/emailotp", &admin).await.expect(200);
    assert_eq!(offered["emailotp"]["enabled"], false);
}

#[tokio::test]
async fn settings_are_written_only_with_the_entitlement_and_by_a_clients_own_token() {
    let server = setup().start().await;
    let (bare, person) = (token(&server, "bare").await, server.sign_in().await);
    let person = person["access_token"].as_str().unwrap().to_owned();
    let first = server.begin_inside().await;
    for token in [&bare, &person, &first.token] {
        for kind in ["emailotp", "smsotp", "voiceotp", "totp", "fido2"] {
            let path = format!("/config/v2.0/factors/{kind}");
            server.get(&path, token).await.factor_error(403, "CSIAK4300E");
            server.json("PUT", &path, token, &json!({ "enabled": false })).await.factor_error(403, "CSIAK4300E");
        }
        server.get(PARTIES, token).await.factor_error(403, "CSIAK4300E");
        server.json("POST", PARTIES, token, &json!({})).await.factor_error(403, "CSIAK4300E");
        server.get("/v1.0/decisions?reference=x", token).await.factor_error(403, "CSIAK4300E");
    }
    let admin = token(&server, "administration").await;
    server.get("/config/v2.0/factors/nonsense", &admin).await.factor_error(404, "CSIAG0605E");
}

#[tokio::test]
async fn relying_parties_are_added_changed_and_removed() {
    let server = setup().start().await;
    let admin = token(&server, "administration").await;
    let body = json!({ "name": "Shop", "rpId": "shop.example", "origins": ["https://shop.example"], "unknown": {} });
    let made = server.json("POST", PARTIES, &admin, &body).await.expect(201);
    let own = format!("{PARTIES}/{}", made["id"].as_str().unwrap());
    assert_eq!(server.get(&own, &admin).await.expect(200), made);
    let all = server.get(PARTIES, &admin).await.expect(200);
    assert_eq!(all["relyingparties"].as_array().unwrap().len(), 2);
    // In use at once.
    let first = server.begin_inside().await;
    let find = json!({ "origin": "https://shop.example" });
    let found = server.json("POST", "/v2.0/factors/fido2/relyingparties", &first.token, &find).await.expect(200);
    assert_eq!(found["fido2"][0]["id"], made["id"]);
    server.json("PUT", &own, &admin, &json!({ "rpId": "other.example" })).await.factor_error(400, "CSIBN9999E");
    server
        .json("PUT", &own, &admin, &json!({ "origins": ["http://shop.example"] }))
        .await
        .factor_error(400, "CSIAG5401E");
    assert_eq!(server.json("PUT", &own, &admin, &json!({ "enabled": false })).await.expect(200)["enabled"], false);
    let found = server.json("POST", "/v2.0/factors/fido2/relyingparties", &first.token, &find).await.expect(200);
    assert_eq!(found["fido2"], json!([]));
    server.json("DELETE", &own, &admin, &Value::Null).await.expect_empty(204);
    server.get(&own, &admin).await.factor_error(404, "CSIAG0605E");
}

#[tokio::test]
async fn a_password_is_changed_by_whoever_knows_the_old_one() {
    let server = setup().start().await;
    let desk = token(&server, "helpdesk").await;
    let change = |old: &str, new: &str| json!({ "username": "scott", "oldPassword": old, "newPassword": new });
    server.json("PUT", SOURCE, &desk, &change("wrong", "new-password-1")).await.factor_error(400, "CSIBH0044E");
    for unfit in ["short", "hunter22"] {
        server.json("PUT", SOURCE, &desk, &change("hunter22", unfit)).await.factor_error(400, "CSIBN9999E");
    }
    server.json("PUT", SOURCE, &desk, &change("hunter22", "new-password-1")).await.expect_empty(204);
    let first = server.begin_inside().await;
    server.password(&first.token, "scott", "hunter22").await.factor_error(400, "CSIBH0044E");
    server.password(&first.token, "scott", "new-password-1").await.expect(200);
    // Halfway into a sign-in nobody changes a password, and a person changes only their own.
    server
        .json("PUT", SOURCE, &first.token, &change("new-password-1", "newer-password"))
        .await
        .factor_error(403, "CSIAK4300E");
    let pat = server.sign_in_other().await;
    let pat = pat["access_token"].as_str().unwrap();
    server.json("PUT", SOURCE, pat, &change("new-password-1", "newer-password")).await.factor_error(403, "CSIAK4300E");
    let own = json!({ "username": "pat", "oldPassword": "correct-horse-9", "newPassword": "battery-staple" });
    server.json("PUT", SOURCE, pat, &own).await.expect_empty(204);
}

#[tokio::test]
async fn guesses_at_a_change_of_password_count_like_any_other() {
    let server = setup().start().await;
    let desk = token(&server, "helpdesk").await;
    let body = json!({ "username": "scott", "oldPassword": "wrong", "newPassword": "new-password-1" });
    for _ in 0..5 {
        server.json("PUT", SOURCE, &desk, &body).await.factor_error(400, "CSIBH0044E");
    }
    let first = server.begin_inside().await;
    server.password(&first.token, "scott", "hunter22").await.factor_error(400, "CSIBH0044E");
}

#[tokio::test]
async fn a_reset_password_ends_every_session() {
    let server = setup().start().await;
    let tokens = server.sign_in().await;
    let access = tokens["access_token"].as_str().unwrap();
    server.get("/oauth2/userinfo", access).await.expect(200);
    // Within the second in which they were issued: the grants die, not only what is older than a moment.
    let desk = token(&server, "helpdesk").await;
    let body = json!({ "username": "scott", "newPassword": "brand-new-password" });
    let path = format!("{SOURCE}/reset");
    server.json("POST", &path, access, &body).await.factor_error(403, "CSIAK4300E");
    server.json("POST", &path, &desk, &json!({ "username": "scott" })).await.factor_error(400, "CSIAG5401E");
    server.json("POST", &path, &desk, &body).await.factor_error(200, "CSIAH0324I");
    assert_eq!(server.get("/oauth2/userinfo", access).await.status, 401);
    let first = server.begin_inside().await;
    server.password(&first.token, "scott", "brand-new-password").await.expect(200);
    let nobody = json!({ "username": "nobody", "newPassword": "brand-new-password" });
    server.json("POST", &path, &desk, &nobody).await.factor_error(404, "CSIAG0605E");
}

#[tokio::test]
async fn the_directory_checks_a_password_and_errs_as_scim_does() {
    let server = setup().start().await;
    let desk = token(&server, "helpdesk").await;
    let path = "/v2.0/Users/authentication";
    let schema = "urn:ietf:params:scim:schemas:ibm:core:2.0:AuthenticateUser";
    let ask = |name: &str, password: &str| json!({ "schemas": [schema], "userName": name, "password": password });
    let right = server.json("POST", path, &desk, &ask("scott", "hunter22")).await.expect(200);
    assert_eq!(right, json!({ "schemas": [schema], "id": ACME.admin.id }));
    let wrong = server.json("POST", path, &desk, &ask("scott", "nope")).await;
    let body = wrong.expect(400);
    assert_eq!(names(&body), ["schemas", "status", "detail", "scimType"]);
    assert_eq!((&body["status"], &body["scimType"]), (&json!("400"), &json!("INVALID_CREDS")));
    assert!(body["detail"].as_str().unwrap().starts_with("CSIAI0160E "));
    assert_eq!(server.json("POST", path, &desk, &ask("nobody", "nope")).await, wrong);
    for name in ["scott", "nobody"] {
        for _ in 0..4 {
            server.json("POST", path, &desk, &ask(name, "nope")).await;
        }
        let rests = server.json("POST", path, &desk, &ask(name, "hunter22")).await.expect(400);
        assert_eq!(rests["scimType"], "LOCKED_PWD_FAILURES", "{name}");
    }
    assert_eq!(server.json("POST", path, &desk, &json!({})).await.expect(400)["scimType"], "invalidSyntax");
    let bare = token(&server, "bare").await;
    server.json("POST", path, &bare, &ask("scott", "hunter22")).await.factor_error(403, "CSIAK4300E");
}

#[tokio::test]
async fn a_generated_code_is_shown_once_and_proves_nothing_about_anybody() {
    let server = setup().start().await;
    let desk = token(&server, "helpdesk").await;
    let path = "/v2.0/factors/otp";
    let made = server.json("POST", path, &desk, &json!({ "correlation": "77AA" })).await.expect(201);
    assert_eq!(
        (&made["type"], &made["state"], &made["correlation"]),
        (&json!("otp"), &json!("PENDING"), &json!("77AA"))
    );
    let code = made["otp"].as_str().unwrap();
    let own = format!("{path}/{}", made["id"].as_str().unwrap());
    assert!(server.get(&own, &desk).await.expect(200).get("otp").is_none());
    let other = token(&server, "helpdesk-2").await;
    server.json("POST", &own, &other, &json!({ "otp": code })).await.factor_error(404, "CSIBN0028E");
    server.json("POST", &own, &desk, &json!({ "otp": "x" })).await.factor_error(400, "CSIBN0021E");
    let right = format!("{own}?returnJwt=true");
    server.json("POST", &right, &desk, &json!({ "otp": code })).await.expect_empty(204);
    server.json("POST", &right, &desk, &json!({ "otp": code })).await.factor_error(404, "CSIBN0028E");
    let made = server.json("POST", path, &desk, &Value::Null).await.expect(201);
    let own = format!("{path}/{}", made["id"].as_str().unwrap());
    server.json("DELETE", &own, &desk, &Value::Null).await.expect_empty(204);
    server.json("POST", &own, &desk, &json!({ "otp": made["otp"] })).await.factor_error(404, "CSIBN0028E");
    server.json("POST", path, &desk, &json!({ "correlation": "no!" })).await.factor_error(400, "CSIBN0018E");
    let bare = token(&server, "bare").await;
    server.json("POST", path, &bare, &json!({})).await.factor_error(403, "CSIAK4300E");
}

#[tokio::test]
async fn an_administrator_reads_what_policy_decided() {
    let server = setup().start().await;
    let admin = token(&server, "administration").await;
    let second = server.second_challenge().await;
    let path = format!("/v1.0/decisions?grant_id={}", second.grant);
    let live = server.get(&path, &admin).await.expect(200);
    assert_eq!(live["total"], 1, "{live}");
    let records = live["decisions"][0]["records"].as_array().unwrap();
    assert_eq!(records.len(), 2, "the first contact and the one after the password: {live}");
    assert!(live["decisions"][0]["reference"].is_null());
    let assertion = server.prove_code(&second.token).await;
    server.present(&assertion).await.expect(200);
    let kept = server.get(&path, &admin).await.expect(200);
    assert_eq!(kept["decisions"][0]["records"].as_array().unwrap().len(), 3);
    let reference = kept["decisions"][0]["reference"].as_str().unwrap();
    let one = server.get(&format!("/v1.0/decisions?reference={reference}"), &admin).await.expect(200);
    assert_eq!(one["decisions"], kept["decisions"]);
    for secret in ["hunter22", ACME.secret, second.token.as_str()] {
        assert!(!kept.to_string().contains(secret));
    }
    server.get("/v1.0/decisions?reference=unknown", &admin).await.factor_error(404, "CSIAG0605E");
    for query in ["", "?grant_id=a&reference=b", "?grant_id=a&grant_id=b"] {
        server.get(&format!("/v1.0/decisions{query}"), &admin).await.factor_error(400, "CSIAG5401E");
    }
    let foreign = server.as_of(crate::support::GLOBEX);
    assert_eq!(foreign.get(&path, &admin).await.status, 401, "another tenant's administrator is a stranger here");
}
