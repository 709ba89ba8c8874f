//! Enrolling, finding, changing and removing factors (vendor page §2.6, §2.7.1, §2.9).

use serde_json::{Value, json};

use crate::hosted_account::base32;
use crate::support::browser::Browser;
use crate::support::{ACME, Cast, Challenge, Person, Setup, TOKEN, TestServer, decode, names, totp, user};

const ALICE: &str = "6040003AL1";
/// A client whose policy takes any second factor, and somebody's mail.
const ANY: Cast = Cast {
    client: "office-only",
    secret: "office-demo-secret",
    policy: 420_018,
    email: "51f80ded-91c0-44b2-9b42-618f62c4b41f",
    address: "alice@acme.org",
    ..ACME
};
const PARTY: &str = "/v2.0/factors/fido2/relyingparties/3f0f7a10-6f5a-4a43-9d7d-6b0f1f1a2b33/attestation";

fn setup() -> Setup {
    Setup::new().replace(
        "policy = 420017\npolicy_grants = { policyauth = true }",
        "policy = 420017\npolicy_grants = { policyauth = true }\nentitlements = [\"manageEnrollMFAMethod\"]",
    )
}

async fn administrator(server: &TestServer) -> String {
    let form = [("grant_type", "client_credentials")];
    let ask = server.ask("POST", TOKEN).basic("administration", "administration-demo-secret");
    ask.form(&form).send().await.expect(200)["access_token"].as_str().unwrap().to_owned()
}

fn token(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap()
}

#[tokio::test]
async fn an_address_is_enrolled_changed_and_removed_by_an_administrator() {
    let server = setup().start().await;
    let admin = administrator(&server).await;
    let body = json!({ "userId": ACME.other.id, "emailAddress": "pat@acme.org", "someday": true });
    let made = server.json("POST", "/v2.0/factors/emailotp", &admin, &body).await.expect(201);
    assert_eq!(names(&made), ["id", "userId", "type", "created", "updated", "enabled", "validated", "attributes"]);
    assert_eq!(made["attributes"], json!({ "emailAddress": "pat@acme.org" }));
    assert_eq!((&made["enabled"], &made["validated"]), (&json!(true), &json!(false)));
    let path = format!("/v2.0/factors/emailotp/{}", made["id"].as_str().unwrap());
    assert_eq!(server.get(&path, &admin).await.expect(200), made);
    server.json("POST", "/v2.0/factors/emailotp", &admin, &body).await.factor_error(400, "CSIBN0019E");
    let list = "/v2.0/factors/emailotp?search=userId%3D%226040003PA7%22";
    assert_eq!(server.get(list, &admin).await.expect(200)["emailotp"], json!([made]));
    // What was proved is not a matter of opinion; repeating what is true is no change.
    server.json("PUT", &path, &admin, &json!({ "validated": true })).await.factor_error(400, "CSIBN0005E");
    let change = json!({ "validated": false, "enabled": false, "emailAddress": "pat.miller@acme.org" });
    let changed = server.json("PUT", &path, &admin, &change).await.expect(200);
    assert_eq!(
        (&changed["enabled"], &changed["attributes"]["emailAddress"]),
        (&json!(false), &json!("pat.miller@acme.org"))
    );
    server.json("DELETE", &path, &admin, &Value::Null).await.expect_empty(204);
    server.get(&path, &admin).await.factor_error(404, "CSIAG0605E");
    server.json("DELETE", &path, &admin, &Value::Null).await.factor_error(404, "CSIAG0605E");
}

#[tokio::test]
async fn what_cannot_be_enrolled_is_refused_and_changes_nothing() {
    let server = setup().start().await;
    let admin = administrator(&server).await;
    let post = |kind: &str, body: Value| {
        let (server, admin, path) = (server.clone(), admin.clone(), format!("/v2.0/factors/{kind}"));
        async move { server.json("POST", &path, &admin, &body).await }
    };
    let user = ACME.other.id;
    for (kind, body, status, id) in [
        ("emailotp", json!({ "userId": user, "emailAddress": "no address" }), 400, "CSIBN9999E"),
        ("smsotp", json!({ "userId": user, "phoneNumber": "0123" }), 400, "CSIBN9999E"),
        ("emailotp", json!({ "userId": user }), 400, "CSIAG5401E"),
        ("emailotp", json!({ "userId": user, "emailAddress": 7 }), 400, "CSIAG5401E"),
        ("emailotp", json!({ "userId": user, "emailAddress": "a@acme.org", "enabled": "no" }), 400, "CSIAG5401E"),
        ("emailotp", json!({ "emailAddress": "a@acme.org" }), 400, "CSIAG5401E"),
        ("emailotp", json!({ "userId": "NOBODY", "emailAddress": "a@acme.org" }), 400, "CSIBN9999E"),
        ("questions", json!({ "userId": user }), 501, "CSIBN9998E"),
        ("nonsense", json!({ "userId": user }), 404, "CSIAG0605E"),
    ] {
        post(kind, body).await.factor_error(status, id);
    }
    let list = format!("/v2.0/factors?search=userId%3D%22{user}%22");
    assert_eq!(server.get(&list, &admin).await.expect(200)["total"], 1, "the authenticator app of the tenant file");
}

#[tokio::test]
async fn the_first_right_code_proves_an_enrolled_address() {
    let server = setup().start().await;
    let tokens = server.sign_in().await;
    let made =
        server.json("POST", "/v2.0/factors/smsotp", token(&tokens), &json!({ "phoneNumber": "+441865276150" })).await;
    let made = made.expect(201);
    assert_eq!(made["userId"], ACME.admin.id, "nobody named: the person of the token");
    assert_eq!(made["validated"], false);
    let seen =
        server.get("/v2.0/factors?search=validated%3Dtrue%26type%3D%22emailotp%22", token(&tokens)).await.expect(200);
    assert!(seen["factors"][0]["attempted"].is_string(), "{seen}");
}

#[tokio::test]
async fn an_authenticator_app_is_enrolled_once_and_shows_its_secret_once() {
    let server = setup().start().await;
    let admin = administrator(&server).await;
    let path = "/v2.0/factors/totp?qrCodeInResponse=true";
    let body = json!({ "userId": ALICE, "accountName": "alice@acme.org" });
    let made = server.json("POST", path, &admin, &body).await.expect(201);
    let attributes = &made["attributes"];
    assert_eq!(names(attributes), ["algorithm", "digits", "period", "accountName", "secret", "qrCode"]);
    assert!(attributes["qrCode"].as_str().unwrap().starts_with("iVBORw0KGgo"), "a PNG in base64");
    server.json("POST", path, &admin, &body).await.factor_error(400, "CSIBN0019E");
    let own = format!("/v2.0/factors/totp/{}", made["id"].as_str().unwrap());
    let read = server.get(&own, &admin).await.expect(200);
    assert_eq!(names(&read["attributes"]), ["algorithm", "digits", "period", "accountName"]);
    assert_eq!(read["validated"], false);
    let list = format!("/v2.0/factors/totp?search=userId%3D%22{ALICE}%22");
    assert!(!server.get(&list, &admin).await.text().contains("secret"));
    server.json("DELETE", &own, &admin, &Value::Null).await.expect_empty(204);
    let again = server.json("POST", "/v2.0/factors/totp", &admin, &body).await.expect(201);
    assert_eq!(names(&again["attributes"]), ["algorithm", "digits", "period", "accountName", "secret"]);
    assert_ne!(again["attributes"]["secret"], attributes["secret"]);
}

#[tokio::test]
async fn a_challenge_token_enrols_changes_and_removes_nothing() {
    let server = setup().start().await;
    let first = server.begin_inside().await;
    let second = server.second_challenge().await;
    let email = format!("/v2.0/factors/emailotp/{}", ACME.email);
    for challenge in [&first.token, &second.token] {
        let post = |path: String, body: Value| {
            let (server, token) = (server.clone(), challenge.clone());
            async move { server.json("POST", &path, &token, &body).await }
        };
        post("/v2.0/factors/emailotp".to_owned(), json!({ "emailAddress": "thief@elsewhere.example" }))
            .await
            .factor_error(403, "CSIAK4300E");
        post("/v2.0/factors/totp".to_owned(), json!({})).await.factor_error(403, "CSIAK4300E");
        post(format!("{PARTY}/options"), json!({})).await.factor_error(403, "CSIAK4300E");
        post(format!("{PARTY}/result"), json!({})).await.factor_error(403, "CSIAK4300E");
        server.json("PUT", &email, challenge, &json!({ "enabled": false })).await.factor_error(403, "CSIAK4300E");
        server.json("DELETE", &email, challenge, &Value::Null).await.factor_error(403, "CSIAK4300E");
    }
    server.get(&email, &second.token).await.expect(200);
}

#[tokio::test]
async fn a_person_reaches_only_their_own_enrolments() {
    let server = setup().start().await;
    let tokens = server.sign_in().await;
    let pats = "/v2.0/factors/totp/2cf14022-548c-4b75-805e-f992f89f1ba8";
    server.get(pats, token(&tokens)).await.factor_error(404, "CSIAG0605E");
    server.json("PUT", pats, token(&tokens), &json!({ "enabled": false })).await.factor_error(404, "CSIAG0605E");
    server.json("DELETE", pats, token(&tokens), &Value::Null).await.factor_error(404, "CSIAG0605E");
    let body = json!({ "userId": ACME.other.id, "phoneNumber": "+441865276150" });
    server.json("POST", "/v2.0/factors/smsotp", token(&tokens), &body).await.factor_error(403, "CSIAK4300E");
    let foreign = "/v2.0/factors?search=userId%3D%226040003PA7%22";
    assert_eq!(server.get(foreign, token(&tokens)).await.expect(200)["total"], 0);
}

#[tokio::test]
async fn a_session_of_a_password_alone_does_not_get_past_the_second_factor_by_enrolling() {
    let server = setup().start().await;
    // Pat has an authenticator app, but the policy asked for a password only.
    let tokens = server.sign_in_other().await;
    let body = json!({ "phoneNumber": "+441865276150" });
    server.json("POST", "/v2.0/factors/smsotp", token(&tokens), &body).await.factor_error(403, "CSIAK4300E");
    server.json("POST", &format!("{PARTY}/options"), token(&tokens), &json!({})).await.factor_error(403, "CSIAK4300E");
    let own = "/v2.0/factors/totp/2cf14022-548c-4b75-805e-f992f89f1ba8";
    server.json("DELETE", own, token(&tokens), &Value::Null).await.factor_error(403, "CSIAK4300E");
    server.json("PUT", own, token(&tokens), &json!({ "enabled": false })).await.factor_error(403, "CSIAK4300E");
    server.get(own, token(&tokens)).await.expect(200);
    // Scott proved his mail: he may add and remove as strong a factor, and no stronger one.
    let tokens = server.sign_in().await;
    server.json("POST", "/v2.0/factors/smsotp", token(&tokens), &body).await.expect(201);
    let app = "/v2.0/factors/totp/9381dffe-3116-4d8d-bbe2-8ab36ccdafe5";
    server.json("DELETE", app, token(&tokens), &Value::Null).await.factor_error(403, "CSIAK4300E");
    let mail = format!("/v2.0/factors/emailotp/{}", ACME.email);
    server.json("DELETE", &mail, token(&tokens), &Value::Null).await.expect_empty(204);
}

#[tokio::test]
async fn a_passkey_is_registered_and_signs_in() {
    let server = setup().start().await;
    let tokens = server.sign_in().await;
    let mut browser = Browser::new(true);
    let options =
        server.json("POST", &format!("{PARTY}/options"), token(&tokens), &json!({ "displayName": "Scott" })).await;
    let options = options.expect(200);
    assert_eq!(options["user"]["displayName"], "Scott");
    let mut response = browser.create(ACME.origin, &options).await.unwrap();
    response["nickname"] = json!("Laptop");
    let result = format!("{PARTY}/result");
    // Not by somebody else.
    let other = server.sign_in_other().await;
    server.json("POST", &result, token(&other), &response).await.factor_error(400, "CSIBN0021E");
    let made = server.json("POST", &result, token(&tokens), &response).await.expect(200);
    assert_eq!((&made["type"], &made["userId"]), (&json!("fido2"), &json!(ACME.admin.id)));
    assert_eq!(made["attributes"]["nickname"], "Laptop");
    assert_eq!(made["references"], json!({ "rpUuid": ACME.relying_party }));
    server.json("POST", &result, token(&tokens), &response).await.factor_error(400, "CSIBN0021E");
    // From outside the network the passkey is the first factor.
    let outside = Challenge::of(&server.begin("203.0.113.9").await);
    assert_eq!(outside.allowed, ["fido2"]);
    let proved = server.passkey(&outside.token, &mut browser, &json!({ "userId": null })).await.expect(200);
    let (_, claims) = decode(proved["assertion"].as_str().unwrap());
    assert_eq!((&claims["sub"], &claims["amr"]), (&json!(ACME.admin.id), &json!(["fido2"])));
    // Renamed, switched off, removed: by an administrator, or after a proof as strong.
    let own = format!("/v2.0/factors/fido2/registrations/{}", made["id"].as_str().unwrap());
    server.json("DELETE", &own, token(&tokens), &Value::Null).await.factor_error(403, "CSIAK4300E");
    let admin = administrator(&server).await;
    let renamed = server
        .json("PUT", &own, &admin, &json!({ "attributes": { "nickname": "Old laptop" }, "enabled": false }))
        .await;
    assert_eq!(renamed.expect(200)["attributes"]["nickname"], "Old laptop");
    let outside = Challenge::of(&server.begin("203.0.113.9").await);
    server.passkey(&outside.token, &mut browser, &json!({ "userId": null })).await.factor_error(400, "CSIBN0021E");
    server.json("DELETE", &own, &admin, &Value::Null).await.expect_empty(204);
    server.get(&own, &admin).await.factor_error(404, "CSIAG0605E");
}

#[tokio::test]
async fn a_code_in_flight_dies_with_its_enrolment_and_with_its_address() {
    let server = setup().start().await;
    let admin = administrator(&server).await;
    let own = format!("/v2.0/factors/emailotp/{}", ACME.email);
    for change in [json!({ "enabled": false }), json!({ "enabled": true, "emailAddress": "new@acme.org" })] {
        server
            .json("PUT", &own, &admin, &json!({ "enabled": true, "emailAddress": "scott@acme.org" }))
            .await
            .expect(200);
        let second = server.second_challenge().await;
        let verification = server.start_code(&second.token).await;
        let code = server.code("scott@acme.org").await;
        server.json("PUT", &own, &admin, &change).await.expect(200);
        let id = verification["id"].as_str().unwrap();
        server.answer_code(&second.token, id, &code).await.factor_error(400, "CSIBN0021E");
    }
}

/// Text messages and calls go by the paths of mail, each under its own name.
#[tokio::test]
async fn a_number_is_enrolled_and_signs_in_by_text_message_and_by_call() {
    const NUMBER: &str = "+441865276150";
    let vera = Person { id: "6040003VER", username: "vera", password: "violet-violin-1" };
    let mut server = setup().add(&user(vera.id, vera.username, vera.password, "")).start().await;
    let admin = administrator(&server).await;
    // A client whose policy takes any second factor.
    server.cast = Cast { admin: vera, ..ANY };
    for kind in ["smsotp", "voiceotp"] {
        let body = json!({ "userId": vera.id, "phoneNumber": NUMBER });
        let made = server.json("POST", &format!("/v2.0/factors/{kind}"), &admin, &body).await.expect(201);
        assert_eq!((&made["type"], &made["attributes"]["phoneNumber"]), (&json!(kind), &json!(NUMBER)));
        let own = format!("/v2.0/factors/{kind}/{}", made["id"].as_str().unwrap());
        // The first right code proves the number.
        let (_, assertion) = server.password_assertion().await;
        let second = Challenge::of(&server.present(&assertion).await);
        assert!(second.allowed.contains(&kind.to_owned()), "{:?}", second.allowed);
        let path = format!("{own}/verifications");
        let begun = server.json("POST", &path, &second.token, &json!({})).await.expect(201);
        assert_eq!((&begun["type"], &begun["phoneNumber"]), (&json!(kind), &json!(NUMBER)));
        let message = server.mail(NUMBER).await.pop().unwrap();
        assert_eq!(message["channel"], if kind == "smsotp" { "sms" } else { "voice" }, "{message}");
        let path = format!("{path}/{}?returnJwt=true", begun["id"].as_str().unwrap());
        server.json("POST", &path, &second.token, &json!({ "otp": "x" })).await.factor_error(400, "CSIBN0021E");
        let right = json!({ "otp": server.code(NUMBER).await });
        let proved = server.json("POST", &path, &second.token, &right).await.expect(200);
        let tokens = server.present(proved["assertion"].as_str().unwrap()).await.expect(200);
        assert_eq!(decode(tokens["id_token"].as_str().unwrap()).1["amr"], json!(["password", kind]));
        assert_eq!(server.get(&own, &admin).await.expect(200)["validated"], true);
        server.json("DELETE", &own, &admin, &Value::Null).await.expect_empty(204);
    }
}

/// What was put there and never proved is no way around the factors there are: whoever knows the password alone neither leads it to
/// themselves nor makes a factor of it.
#[tokio::test]
async fn an_unproved_address_is_changed_and_proved_only_by_who_may_add_one() {
    let mut server = setup()
        .replace(
            "policy = 420018\npolicy_grants = { policyauth = true",
            "policy = 420018\nentitlements = [\"authn\", \"manageEnrollMFAMethod\"]\npolicy_grants = { policyauth = true",
        )
        .start()
        .await;
    let admin = administrator(&server).await;
    // Pat has an authenticator app, and proved a password.
    let weak = server.sign_in_other().await;
    let body = json!({ "userId": ACME.other.id, "emailAddress": "pat@acme.org" });
    let made = server.json("POST", "/v2.0/factors/emailotp", &admin, &body).await.expect(201);
    let own = format!("/v2.0/factors/emailotp/{}", made["id"].as_str().unwrap());
    let thief = json!({ "emailAddress": "thief@elsewhere.example" });
    server.json("PUT", &own, token(&weak), &thief).await.factor_error(403, "CSIAK4300E");
    assert_eq!(server.get(&own, &admin).await.expect(200)["attributes"]["emailAddress"], "pat@acme.org");
    server.json("DELETE", &own, token(&weak), &Value::Null).await.expect_empty(204);

    // Alice has codes by mail. What else was put there is not asked for in their place.
    server.cast = Cast { admin: Person { id: ALICE, username: "alice", password: "wonderland-11" }, ..ANY };
    let body = json!({ "userId": ALICE, "phoneNumber": "+441865276150" });
    let number = server.json("POST", "/v2.0/factors/smsotp", &admin, &body).await.expect(201);
    let app = server.json("POST", "/v2.0/factors/totp", &admin, &json!({ "userId": ALICE })).await.expect(201);
    let sent = format!("/v2.0/factors/smsotp/{}/verifications", number["id"].as_str().unwrap());
    let shown = format!("/v2.0/factors/totp/{}?returnJwt=true", app["id"].as_str().unwrap());
    let key = base32(app["attributes"]["secret"].as_str().unwrap());
    let (_, assertion) = server.password_assertion().await;
    let second = Challenge::of(&server.present(&assertion).await);
    server.json("POST", &sent, &second.token, &json!({})).await.factor_error(403, "CSIAK4300E");
    assert!(server.mail("+441865276150").await.is_empty());
    let right = json!({ "otp": totp(&key, server.world.now()) });
    server.json("POST", &shown, &second.token, &right).await.factor_error(403, "CSIAK4300E");
    // Whoever proved one of those there are proves the others with the token that comes of it.
    let proved = server.prove_code(&second.token).await;
    let strong = server.present(&proved).await.expect(200);
    server.json("POST", &sent, token(&strong), &json!({})).await.expect(201);
    server.json("POST", &shown, token(&strong), &right).await.expect(200);
    let own = format!("/v2.0/factors/totp/{}", app["id"].as_str().unwrap());
    assert_eq!(server.get(&own, &admin).await.expect(200)["validated"], true);
}
