//! Factors on demand (vendor's page §5.5): a client sets them up and has them proved, outside any sign-in.

use aws_lc_rs::rsa::{KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::records::ClientKeys;
use serde_json::{Value, json};

use crate::oracle_enrol::{ID, NAME, Phone, certificate, modulus, setup, shows};
use crate::support::{Reply, TestServer, on_both, totp};

struct Desk {
    server: TestServer,
    token: String,
}

/// An answer of this dialect, whose media type names a charset.
#[track_caller]
fn told(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(reply.header("content-type"), "application/json;charset=utf-8");
    serde_json::from_slice(&reply.body).unwrap()
}

impl Desk {
    async fn of(server: TestServer) -> Self {
        let form = [("grant_type", "client_credentials"), ("scope", "urn:opc:idm:__myscopes__")];
        let asked = server.ask("POST", "/oauth2/v1/token").basic("idcs-mfa", "idcs-mfa-secret").form(&form);
        let token = asked.send().await.expect(200)["access_token"].as_str().unwrap().to_owned();
        Self { server, token }
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        self.server.json(method, &format!("/mfa/v1{path}"), &self.token, &body).await
    }

    async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let told = told(&self.send(method, path, body).await, 200);
        assert!(told["ecId"].is_string(), "{told}");
        told
    }

    async fn no(&self, method: &str, path: &str, body: Value, status: u16, code: &str) {
        let told = told(&self.send(method, path, body).await, status);
        assert_eq!((&told["status"], &told["cause"][0]["code"]), (&json!("failed"), &json!(code)), "{told}");
    }

    async fn add(&self, body: Value) -> Value {
        self.ok("POST", &format!("/users/{ID}/factors"), body).await
    }

    /// A mail address, set up and proved.
    async fn mail(&self) -> Value {
        let begun = self.add(json!({ "method": "EMAIL" })).await;
        let code = self.server.code(NAME).await;
        let path = format!("/users/{ID}/factors/{}", begun["factorId"].as_str().unwrap());
        let body = json!({ "otpCode": code, "requestState": begun["requestState"] });
        assert_eq!(self.ok("PATCH", &path, body).await["status"], "success");
        begun
    }
}

#[test]
fn an_address_is_set_up_and_proved_on_demand() {
    on_both(async |store| {
        let desk = Desk::of(setup().start_on(store).await).await;
        let begun = desk.add(json!({ "method": "SMS", "countryCode": "+44", "mobileNumber": "2071230000" })).await;
        assert_eq!(
            (&begun["status"], &begun["factorStatus"], &begun["methods"], &begun["displayName"]),
            (&json!("success"), &json!("ENROLLMENT_INITIATED"), &json!(["SMS"]), &json!("+44XXXXXXX000"))
        );
        let id = begun["factorId"].as_str().unwrap();
        let path = format!("/users/{ID}/factors/{id}");
        assert_eq!(desk.ok("GET", &path, Value::Null).await["status"], "pending");
        let with = |code: &str, state: &Value| json!({ "otpCode": code, "requestState": state });
        desk.no("PATCH", &path, with("000000", &begun["requestState"]), 401, "AUTH-1105").await;
        // Delivered before the next one is asked for: two that wait leave in either order.
        desk.server.code("+442071230000").await;
        let resent = desk.ok("PATCH", &path, json!({ "resendOtp": true, "requestState": begun["requestState"] })).await;
        let code = desk.server.code("+442071230000").await;
        assert_eq!(desk.ok("PATCH", &path, with(&code, &resent["requestState"])).await["status"], "success");
        let read = desk.ok("GET", &path, Value::Null).await;
        assert_eq!((&read["factorStatus"], &read["methods"]), (&json!("ENROLLED"), &json!(["SMS"])));
        for list in [
            desk.ok("GET", &format!("/users/{ID}/factors"), Value::Null).await,
            desk.ok("GET", &format!("/users?userId={NAME}&userIdType=USER_NAME&attributes=factors"), Value::Null).await,
        ] {
            assert_eq!(list["userGUID"], ID);
            assert_eq!(
                list["factors"],
                json!([{ "factorId": id, "methods": ["SMS"], "displayName": "+44XXXXXXX000" }])
            );
            assert_eq!((&list["preferredFactorId"], &list["preferredMethod"]), (&json!(id), &json!("SMS")));
        }

        // Whoever it is, is asked to prove it.
        let asked = desk.ok("POST", "/requests", json!({ "userId": NAME, "userIdType": "USER_NAME" })).await;
        assert_eq!((&asked["method"], &asked["factorId"], &asked["userGUID"]), (&json!("SMS"), &json!(id), &json!(ID)));
        let request = format!("/requests/{}", asked["requestId"].as_str().unwrap());
        let code = desk.server.code("+442071230000").await;
        desk.no("PATCH", &request, with("000000", &asked["requestState"]), 401, "AUTH-1105").await;
        // The state of one request is none of another.
        desk.no("PATCH", "/requests/another", with(&code, &asked["requestState"]), 401, "AUTH-1120").await;
        desk.no("PATCH", &path, with(&code, &asked["requestState"]), 401, "AUTH-1120").await;
        assert_eq!(desk.ok("PATCH", &request, with(&code, &asked["requestState"])).await["status"], "success");
        // A code proves once.
        desk.no("PATCH", &request, with(&code, &asked["requestState"]), 401, "AUTH-1105").await;
        desk.send("DELETE", &path, Value::Null).await.expect_empty(204);
        desk.no("DELETE", &path, Value::Null, 401, "AUTH-1014").await;
    });
}

#[tokio::test]
async fn a_client_vouches_for_what_it_knows() {
    let desk = Desk::of(setup().start().await).await;
    let made = desk.add(json!({ "method": "EMAIL", "skipFactorVerification": "true" })).await;
    assert_eq!((&made["factorStatus"], made.get("requestState")), (&json!("ENROLLED"), None));
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let body = |code: &str| {
        json!({
            "method": "TOTP", "offlineTOTP": "true", "skipFactorVerification": "true", "sharedSecret": secret, "otpCode": code
        })
    };
    let path = format!("/users/{ID}/factors");
    desk.no("POST", &path, body("000000"), 401, "AUTH-1105").await;
    let code = totp(b"12345678901234567890", desk.server.world.now());
    assert_eq!(desk.add(body(&code)).await["factorStatus"], "ENROLLED");
    desk.server.world.advance(60);
    let asked =
        desk.ok("POST", "/requests", json!({ "userId": ID, "userIdType": "USER_GUID", "method": "TOTP" })).await;
    let request = format!("/requests/{}", asked["requestId"].as_str().unwrap());
    let code = totp(b"12345678901234567890", desk.server.world.now());
    let answer = json!({ "otpCode": code, "requestState": asked["requestState"] });
    assert_eq!(desk.ok("PATCH", &request, answer.clone()).await["status"], "success");
    desk.no("PATCH", &request, answer, 401, "AUTH-1105").await;
    // What is preferred is what is asked for where nothing is said.
    let id = asked["factorId"].as_str().unwrap();
    desk.ok("PATCH", &format!("/users/{ID}"), json!({ "preferredFactorId": id, "preferredMethod": "TOTP" })).await;
    let asked = desk.ok("POST", "/requests", json!({ "userId": NAME, "userIdType": "USER_NAME" })).await;
    assert_eq!(asked["method"], "TOTP");
    desk.no("PATCH", &format!("/users/{ID}"), json!({}), 400, "AUTH-1113").await;
    desk.no("PATCH", &format!("/users/{ID}"), json!({ "preferredFactorId": "x" }), 401, "AUTH-1014").await;
    desk.ok("PATCH", &format!("/users/{ID}"), json!({ "disableMFA": true })).await;
    let list = desk.ok("GET", &format!("/users/{ID}/factors"), Value::Null).await;
    assert_eq!(list["factors"], json!([]));
}

#[tokio::test]
async fn an_authenticator_is_shown_its_picture() {
    let desk = Desk::of(setup().start().await).await;
    let begun = desk.add(json!({ "method": "TOTP", "offlineTOTP": true })).await;
    assert_eq!(begun["offlineTOTP"], "true");
    let content = begun["qrCode"]["content"].as_str().unwrap();
    assert!(content.contains(begun["sharedSecret"].as_str().unwrap().trim_end_matches('=')));
    let path = format!("/users/{ID}/factors/{}", begun["factorId"].as_str().unwrap());
    let body = json!({ "otpCode": shows(&desk.server, content), "requestState": begun["requestState"] });
    assert_eq!(desk.ok("PATCH", &path, body).await["status"], "success");
}

#[tokio::test]
async fn a_phone_is_set_up_and_approves_on_demand() {
    let desk = Desk::of(setup().start().await).await;
    let begun = desk.add(json!({ "method": "PUSH" })).await;
    assert_eq!(begun["methods"], json!(["PUSH", "TOTP"]));
    let path = format!("/users/{ID}/factors/{}", begun["factorId"].as_str().unwrap());
    let waiting = desk.ok("GET", &path, Value::Null).await;
    assert_eq!((&waiting["status"], &waiting["factorStatus"]), (&json!("pending"), &json!("ENROLLMENT_INITIATED")));
    let mut phone = Phone::scans(&desk.server, begun["qrCode"]["content"].as_str().unwrap()).await;
    phone.enrols_its_key(&desk.server).await;
    let done = desk.ok("GET", &path, Value::Null).await;
    assert_eq!((&done["status"], &done["methods"]), (&json!("success"), &json!(["PUSH", "TOTP"])));

    for (action, approved) in [("VERIFY_ATTEMPT", true), ("USER_DENIED", false)] {
        let body = json!({ "userId": ID, "userIdType": "USER_GUID", "method": "PUSH" });
        let asked = desk.ok("POST", "/requests", body).await;
        assert_eq!((&asked["status"], &asked["cause"][0]["code"]), (&json!("pending"), &json!("AUTH-1108")));
        let request = format!("/requests/{}", asked["requestId"].as_str().unwrap());
        assert_eq!(desk.ok("GET", &request, Value::Null).await["status"], "pending");
        phone.answers(&desk.server, action).await;
        if approved {
            assert_eq!(desk.ok("GET", &request, Value::Null).await["status"], "success");
        }
        // A yes is told once, a no for ever.
        desk.no("GET", &request, Value::Null, 401, "AUTH-1007").await;
    }
    desk.send("DELETE", &path, Value::Null).await.expect_empty(204);
    assert_eq!(desk.ok("GET", &format!("/users/{ID}/factors"), Value::Null).await["factors"], json!([]));
}

#[tokio::test]
async fn questions_and_bypass_codes_are_proved_on_demand() {
    let desk = Desk::of(setup().start().await).await;
    let begun = desk.add(json!({ "method": "SECURITY_QUESTIONS" })).await;
    assert_eq!(begun["factorId"], "SecurityQuestions");
    assert!(begun["securityQuestions"].as_array().unwrap().iter().any(|one| one["id"] == "firstCar"));
    let path = format!("/users/{ID}/factors/SecurityQuestions");
    let given = json!([
        { "id": "firstCar", "answer": "Fiat 500", "hintText": "small" }, { "id": "firstPet", "answer": "Rexy", "op": "add" },
    ]);
    desk.no("PATCH", &path, json!({ "securityQuestions": [given[0]] }), 401, "AUTH-1037").await;
    desk.ok("PATCH", &path, json!({ "securityQuestions": given })).await;
    let asked = desk
        .ok("POST", "/requests", json!({ "userId": NAME, "userIdType": "USER_NAME", "factorId": "SecurityQuestions" }))
        .await;
    assert!(asked["securityQuestions"].as_array().unwrap().iter().any(|one| one["hintText"] == "small"), "{asked}");
    let request = format!("/requests/{}", asked["requestId"].as_str().unwrap());
    let with = |car: &str| {
        let answers = json!([{ "id": "firstCar", "answer": car }, { "id": "firstPet", "answer": "rexy" }]);
        json!({ "securityQuestions": answers, "requestState": asked["requestState"] })
    };
    desk.no("PATCH", &request, with("opel"), 401, "AUTH-1026").await;
    assert_eq!(desk.ok("PATCH", &request, with("fiat 500")).await["status"], "success");

    let (codes, user) = (countersign_codes(&desk).await, json!({ "userId": NAME, "userIdType": "USER_NAME" }));
    let mut body = user.clone();
    body["factorId"] = json!("BypassCode");
    let asked = desk.ok("POST", "/requests", body).await;
    let request = format!("/requests/{}", asked["requestId"].as_str().unwrap());
    let answer = |code: &str| json!({ "bypassCode": code, "requestState": asked["requestState"] });
    desk.no("PATCH", &request, answer("000000000000"), 401, "AUTH-1105").await;
    assert_eq!(desk.ok("PATCH", &request, answer(&codes)).await["status"], "success");
    desk.no("PATCH", &request, answer(&codes), 401, "AUTH-1105").await;
}

/// A bypass code of the person, as the server hands one out.
async fn countersign_codes(desk: &Desk) -> String {
    let directory = desk.server.app.directories.current();
    let (tenant, _) = directory.resolve(desk.server.cast.host).unwrap();
    let sign_ins = countersign::signin::SignIns { app: &desk.server.app, tenant: &tenant };
    let codes = sign_ins.issue_bypass_codes(&ID.into(), 1, None).await.unwrap();
    codes[0].expose().clone()
}

/// Attack cases 35 and 36: the counters are those of every door.
/// A code that the client delivers itself comes encrypted for its certificate, and nothing is sent.
#[tokio::test]
async fn a_code_on_demand_is_handed_to_a_client_that_registered_a_certificate() {
    let desk = Desk::of(setup().start().await).await;
    desk.mail().await;
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let certificate = certificate(&key);
    let sha1 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &certificate);
    let x5t: String = sha1.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let jwks = json!({ "keys": [{
        "kty": "RSA", "use": "enc", "kid": "otp", "n": modulus(&key), "e": "AQAB", "x5c": [STANDARD.encode(&certificate)]
    }] });
    desk.server.change_client("idcs-mfa", |client| client.keys = ClientKeys::Jwks(jwks.clone())).await;
    let before = desk.server.mail(NAME).await.len();
    let body = json!({
        "userId": NAME, "userIdType": "USER_NAME", "userFlowControlledByExternalClient": true, "x5t": x5t
    });
    let begun = desk.ok("POST", "/requests", body).await;
    assert_eq!(desk.server.mail(NAME).await.len(), before, "nothing is sent besides");
    let sealed = STANDARD.decode(begun["otp"]["value"].as_str().unwrap()).unwrap();
    let key = OaepPrivateDecryptingKey::new(key).unwrap();
    let mut out = vec![0; key.min_output_size()];
    let code = key.decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut out, None).unwrap();
    let code = String::from_utf8(code.to_vec()).unwrap();
    let path = format!("/requests/{}", begun["requestId"].as_str().unwrap());
    let body = json!({ "otpCode": code, "requestState": begun["requestState"] });
    assert_eq!(desk.ok("PATCH", &path, body).await["status"], "success");
}

#[tokio::test]
async fn guesses_on_demand_lock_like_any_others() {
    let desk = Desk::of(setup().start().await).await;
    desk.mail().await;
    let mut last = Value::Null;
    for _ in 0..8 {
        let asked = desk.send("POST", "/requests", json!({ "userId": NAME, "userIdType": "USER_NAME" })).await;
        if asked.status != 200 {
            break;
        }
        let asked = told(&asked, 200);
        let request = format!("/requests/{}", asked["requestId"].as_str().unwrap());
        let body = json!({ "otpCode": "000000", "requestState": asked["requestState"] });
        last = told(&desk.send("PATCH", &request, body).await, 401)["cause"][0]["code"].clone();
    }
    assert_eq!(last, "AUTH-1010");
    // And at a sign-in, for the same person and kind.
    let page = desk.server.page().await;
    let second = page.password(Some(crate::oracle_enrol::REQUIRED), NAME, crate::oracle_enrol::PASSWORD).await;
    if second.status == 200 {
        let code = desk.server.code(NAME).await;
        page.credentials(&second, None, json!({ "otpCode": code })).await.expect(401, "failed", Some("AUTH-1027"));
    }
}

#[tokio::test]
async fn roles_decide_who_may_and_nobody_learns_of_strangers_without_one() {
    let desk = Desk::of(setup().start().await).await;
    desk.no("POST", "/requests", json!({ "userId": "nobody", "userIdType": "USER_NAME" }), 404, "AUTH-3018").await;
    desk.no("GET", "/users/nobody/factors", Value::Null, 404, "AUTH-3018").await;
    desk.no("POST", "/requests", json!({}), 422, "AUTH-1111").await;
    desk.no("POST", "/requests", json!({ "userId": NAME, "userIdType": "SHOE_SIZE" }), 400, "AUTH-1111").await;
    desk.no("POST", "/requests", json!({ "userId": NAME, "userIdType": "USER_NAME" }), 401, "AUTH-1006").await;
    desk.no("POST", &format!("/users/{ID}/factors"), json!({ "method": "FIDO_AUTHENTICATOR" }), 400, "AUTH-1115").await;
    desk.no("POST", &format!("/users/{ID}/factors"), json!({ "method": "SMS", "mobileNumber": "1" }), 401, "AUTH-1030")
        .await;
    let page = desk.server.page().await;
    let foreign = desk.server.json("POST", "/mfa/v1/requests", &page.token, &json!({ "userId": NAME })).await;
    let foreign: Value = serde_json::from_slice(&foreign.body).unwrap();
    assert_eq!(foreign["status"], "401", "the token lacks the role: {foreign}");
    let dead = desk.server.json("POST", "/mfa/v1/requests", "dead", &json!({ "userId": NAME })).await;
    assert_eq!((dead.status.as_u16(), dead.header("content-type")), (401, "text/html"));
}
