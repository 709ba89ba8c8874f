//! A phone that approves: registered, asked, and answering by the vendor's authenticator API. Numbers are those of the project's
//! list of attack cases.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{ACME, Challenge, Reply, Setup, TestServer, client, on_both};

pub fn setup(push: &str) -> Setup {
    let more = "grant_types = [\"client_credentials\"]\n\
                entitlements = [\"authnAnyUser\", \"manageEnrollMFAMethodAnyUser\", \"readEnrollMFAMethodAnyUser\", \"manageAllUserGroups\"]";
    Setup::new()
        .replace(
            "[tenant.settings.push]\nenabled = true\n",
            &format!("[tenant.settings.push]\nenabled = true\n{}\n", push.replace(", ", "\n")),
        )
        .replace("authnMethods = [\"emailotp\"]", "authnMethods = [\"signatures\", \"emailotp\"]")
        .add(&client("helpdesk", "h", more))
}

/// A phone with one key.
pub struct Phone {
    pub key: EcdsaKeyPair,
    pub id: String,
    pub token: String,
    pub refresh: String,
    pub method: String,
}

pub fn sign(key: &EcdsaKeyPair, data: &str) -> String {
    STANDARD.encode(key.sign(&SystemRandom::new(), data.as_bytes()).unwrap().as_ref())
}

impl Phone {
    pub async fn register(server: &TestServer, owner: &str, sub: &str) -> Self {
        Self::called(server, owner, sub, "Pixel").await
    }

    /// One with a name of its own.
    pub async fn called(server: &TestServer, owner: &str, sub: &str, name: &str) -> Self {
        let desk = server.token_of("helpdesk", "h").await;
        let path = "/v1.0/authenticators/initiation?qrcodeInResponse=true";
        let invited =
            server.json("POST", path, &desk, &json!({ "owner": owner, "accountName": "scott" })).await.expect(200);
        assert!(invited["qrcode"].as_str().unwrap().len() > 100);
        let body = json!({ "code": invited["code"], "attributes": { "deviceName": name, "platformType": "ANDROID" } });
        let path = "/v1.0/authenticators/registration?metadataInResponse=true";
        let made = server.ask("POST", path).json(&body).send().await.expect(200);
        // A code is good once.
        server.ask("POST", path).json(&body).send().await.factor_error(401, "CSIAK9999E");
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let (id, token) = (made["id"].as_str().unwrap(), made["accessToken"].as_str().unwrap());
        let mut phone = Self {
            key,
            id: id.to_owned(),
            token: token.to_owned(),
            refresh: made["refreshToken"].as_str().unwrap().to_owned(),
            method: String::new(),
        };
        let enrolled = phone.enrol(server, sub, &sign(&phone.key, id)).await.expect(201);
        assert_eq!((&enrolled[0]["type"], &enrolled[0]["subType"]), (&json!("signature"), &json!(sub)));
        assert_eq!(enrolled[0]["references"]["authenticatorId"], id);
        phone.method = enrolled[0]["id"].as_str().unwrap().to_owned();
        phone
    }

    async fn enrol(&self, server: &TestServer, sub: &str, proof: &str) -> Reply {
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(self.key.public_key()).unwrap();
        let attributes = json!({
            "algorithm": "SHA256withECDSA", "publicKey": STANDARD.encode(public.as_ref()), "signedData": proof
        });
        let keys = json!([{ "subType": sub, "enabled": true, "attributes": attributes }]);
        server.json("POST", "/v1.0/authnmethods/signatures", &self.token, &keys).await
    }

    pub fn path(&self) -> String {
        format!("/v1.0/authenticators/{}/verifications", self.id)
    }

    /// Asks this phone.
    pub async fn asked(&self, server: &TestServer, token: &str) -> Reply {
        let body = json!({
            "transactionData": {
                "message": "Sign in?", "originIpAddress": "192.168.1.20",
                "additionalData": [{ "name": "amount", "value": "5" }]
            },
            "authenticationMethods": [{ "id": self.method, "methodType": "signature" }], "logic": "OR"
        });
        server.json("POST", &self.path(), token, &body).await
    }

    pub async fn waiting(&self, server: &TestServer) -> Vec<Value> {
        let list = server.get(&self.path(), &self.token).await.expect(200);
        list["verifications"].as_array().unwrap().clone()
    }

    pub async fn says(&self, server: &TestServer, id: &str, action: &str, signed: &str, number: Option<&str>) -> Reply {
        let mut one = json!({ "id": self.method, "userAction": action, "signedData": signed });
        if let Some(number) = number {
            one["numberMatch"] = json!(number);
        }
        server.json("POST", &format!("{}/{id}", self.path()), &self.token, &json!([one])).await
    }

    pub async fn approves(&self, server: &TestServer, transaction: &Value) -> Reply {
        let signed = sign(&self.key, transaction["transactionData"].as_str().unwrap());
        self.says(server, transaction["id"].as_str().unwrap(), "VERIFY_ATTEMPT", &signed, None).await
    }

    pub async fn state(&self, server: &TestServer, token: &str, id: &Value) -> Value {
        let path = format!("{}/{}?returnJwt=true", self.path(), id.as_str().unwrap());
        server.get(&path, token).await.expect(200)
    }
}

/// A second challenge that a phone may answer.
pub async fn second(server: &TestServer) -> Challenge {
    let (_, assertion) = server.password_assertion().await;
    let second = Challenge::of(&server.present(&assertion).await);
    assert!(second.allowed.contains(&"signatures".to_owned()), "{:?}", second.allowed);
    second
}

#[test]
fn a_phone_approves_a_sign_in() {
    on_both(async |store| {
        let server = setup("").start_on(store).await;
        let phone = Phone::register(&server, ACME.admin.id, "userPresence").await;
        let second = second(&server).await;
        let asked = phone.asked(&server, &second.token).await.expect(202);
        assert_eq!((&asked["state"], &asked["owner"]), (&json!("PENDING"), &json!(ACME.admin.id)));
        assert_eq!(phone.state(&server, &second.token, &asked["id"]).await["state"], "PENDING");
        let [waiting] = phone.waiting(&server).await.try_into().unwrap();
        assert_eq!((&waiting["id"], &waiting["transactionData"]), (&asked["id"], &asked["transactionData"]));
        let data: Value = serde_json::from_str(asked["transactionData"].as_str().unwrap()).unwrap();
        assert_eq!((&data["message"], &data["additionalData"][0]["value"]), (&json!("Sign in?"), &json!("5")));
        phone.approves(&server, &waiting).await.expect_empty(204);
        assert!(phone.waiting(&server).await.is_empty());
        let done = phone.state(&server, &second.token, &asked["id"]).await;
        assert_eq!(done["state"], "VERIFY_SUCCESS");
        let tokens = server.present(done["assertion"].as_str().unwrap()).await.expect(200);
        assert!(tokens["access_token"].is_string());
    });
}

#[tokio::test]
async fn attack_45_an_approval_counts_only_by_its_phone_in_time_and_once() {
    let server = setup("").start().await;
    let phone = Phone::register(&server, ACME.admin.id, "userPresence").await;
    let second_phone = Phone::register(&server, ACME.admin.id, "userPresence").await;
    let pats = Phone::register(&server, ACME.other.id, "userPresence").await;
    let challenge = second(&server).await;
    // Another person's phone cannot be asked.
    pats.asked(&server, &challenge.token).await.factor_error(404, "CSIAG0605E");
    let asked = phone.asked(&server, &challenge.token).await.expect(202);
    let id = asked["id"].as_str().unwrap();
    let data = asked["transactionData"].as_str().unwrap();
    // Nor does any other phone see it, or settle it.
    for other in [&second_phone, &pats] {
        assert!(other.waiting(&server).await.is_empty());
        let path = format!("{}/{id}", phone.path());
        let body =
            json!([{ "id": phone.method, "userAction": "VERIFY_ATTEMPT", "signedData": sign(&phone.key, data) }]);
        server.json("POST", &path, &other.token, &body).await.factor_error(404, "CSIBN0028E");
    }
    // Nor does whoever waits for it.
    let body = json!([{ "id": phone.method, "userAction": "VERIFY_ATTEMPT", "signedData": sign(&phone.key, data) }]);
    let path = format!("{}/{id}", phone.path());
    server.json("POST", &path, &challenge.token, &body).await.factor_error(401, "CSIAK9999E");
    // A denial ends it, whatever is said later.
    phone.says(&server, id, "USER_DENIED", "", None).await.expect_empty(204);
    phone.approves(&server, &asked).await.factor_error(404, "CSIBN0028E");
    let denied = phone.state(&server, &challenge.token, &asked["id"]).await;
    assert_eq!((&denied["state"], denied.get("assertion")), (&json!("USER_DENIED"), None));

    // A signature over something else.
    let asked = phone.asked(&server, &challenge.token).await.expect(202);
    let wrong = sign(&phone.key, data);
    let id = asked["id"].as_str().unwrap();
    phone.says(&server, id, "VERIFY_ATTEMPT", &wrong, None).await.factor_error(400, "CSIBN0021E");
    assert_eq!(phone.state(&server, &challenge.token, &asked["id"]).await["state"], "VERIFY_FAILED");

    // Late.
    let asked = phone.asked(&server, &challenge.token).await.expect(202);
    server.world.advance(121);
    assert_eq!(phone.state(&server, &challenge.token, &asked["id"]).await["state"], "TIMEOUT");
    phone.approves(&server, &asked).await.factor_error(404, "CSIBN0028E");

    // Once, and by nobody else's sign-in.
    let asked = phone.asked(&server, &challenge.token).await.expect(202);
    phone.approves(&server, &asked).await.expect_empty(204);
    phone.approves(&server, &asked).await.factor_error(404, "CSIBN0028E");
    let other = second(&server).await;
    let path = format!("{}/{}?returnJwt=true", phone.path(), asked["id"].as_str().unwrap());
    server.get(&path, &other.token).await.factor_error(404, "CSIBN0028E");
    assert!(phone.state(&server, &challenge.token, &asked["id"]).await["assertion"].is_string());
    assert!(phone.state(&server, &challenge.token, &asked["id"]).await.get("assertion").is_none());
}

#[tokio::test]
async fn attack_45_with_number_match_only_who_sees_the_page_approves() {
    let server = setup(", number_match = true").start().await;
    let phone = Phone::register(&server, ACME.admin.id, "userPresence").await;
    let challenge = second(&server).await;
    let asked = phone.asked(&server, &challenge.token).await.expect(202);
    let number = asked["numberMatch"].as_str().unwrap().to_owned();
    let [waiting] = phone.waiting(&server).await.try_into().unwrap();
    assert_eq!((waiting.get("numberMatch"), &waiting["numberMatchRequired"]), (None, &json!(true)));
    phone.approves(&server, &waiting).await.factor_error(400, "CSIBN0021E");
    let asked_again = phone.asked(&server, &challenge.token).await.expect(202);
    let data = asked_again["transactionData"].as_str().unwrap();
    let number_again = asked_again["numberMatch"].as_str().unwrap();
    let id = asked_again["id"].as_str().unwrap();
    let signed = sign(&phone.key, &format!("{data}\n{number_again}"));
    phone.says(&server, id, "VERIFY_ATTEMPT", &signed, Some(number_again)).await.expect_empty(204);
    assert!(phone.state(&server, &challenge.token, &asked_again["id"]).await["assertion"].is_string());
    assert_eq!(number.len(), 2);
}

#[tokio::test]
async fn attack_46_one_request_waits_at_a_time_and_so_many_an_hour() {
    let server = setup(", per_hour = 3").start().await;
    let phone = Phone::register(&server, ACME.admin.id, "userPresence").await;
    let (mine, theirs) = (second(&server).await, second(&server).await);
    let asked = phone.asked(&server, &mine.token).await.expect(202);
    phone.asked(&server, &theirs.token).await.factor_error(400, "CSIBN0081E");
    // Who asks again in the same sign-in gives up the earlier one.
    phone.asked(&server, &mine.token).await.expect(202);
    assert_eq!(phone.state(&server, &mine.token, &asked["id"]).await["state"], "CANCELED");
    assert_eq!(phone.waiting(&server).await.len(), 1);
    server.world.advance(130);
    phone.asked(&server, &theirs.token).await.expect(202);
    server.world.advance(130);
    phone.asked(&server, &mine.token).await.factor_error(400, "CSIBN0081E");
    server.world.advance(3600);
    let later = second(&server).await;
    phone.asked(&server, &later.token).await.expect(202);
}

#[tokio::test]
async fn a_key_is_enrolled_only_by_who_holds_it_and_replaced_by_a_new_one() {
    let server = setup("").start().await;
    let mut phone = Phone::register(&server, ACME.admin.id, "face").await;
    let stranger = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    phone.enrol(&server, "face", &sign(&stranger, &phone.id)).await.factor_error(400, "CSIBN0021E");
    phone.enrol(&server, "face", &sign(&phone.key, "another device")).await.factor_error(400, "CSIBN0021E");
    let before = phone.method.clone();
    phone.key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let replaced = phone.enrol(&server, "face", &sign(&phone.key, &phone.id)).await.expect(201);
    assert_ne!(replaced[0]["id"], before.as_str());
    let challenge = second(&server).await;
    phone.asked(&server, &challenge.token).await.factor_error(404, "CSIAG0605E");
    phone.method = replaced[0]["id"].as_str().unwrap().to_owned();
    let asked = phone.asked(&server, &challenge.token).await.expect(202);
    phone.approves(&server, &asked).await.expect_empty(204);
}

#[tokio::test]
async fn a_device_renews_its_tokens_once_and_is_gone_when_removed() {
    let server = setup("").start().await;
    let mut phone = Phone::register(&server, ACME.admin.id, "userPresence").await;
    let renew = async |refresh: &str| {
        server.ask("POST", "/v1.0/authenticators/registration").json(&json!({ "refreshToken": refresh })).send().await
    };
    let made = renew(&phone.refresh).await.expect(200);
    server.get(&phone.path(), &phone.token).await.factor_error(401, "CSIAK9999E");
    // Whoever lost the answer asks again; what was given the first time is dead then.
    server.world.advance(59);
    let again = renew(&phone.refresh).await.expect(200);
    renew(made["refreshToken"].as_str().unwrap()).await.factor_error(401, "CSIAK9999E");
    server.world.advance(1);
    renew(&phone.refresh).await.factor_error(401, "CSIAK9999E");
    let made = again;
    phone.token = made["accessToken"].as_str().unwrap().to_owned();
    assert!(phone.waiting(&server).await.is_empty());
    let desk = server.token_of("helpdesk", "h").await;
    let list = server.get(&format!("/v1.0/authenticators?owner={}", ACME.admin.id), &desk).await.expect(200);
    assert_eq!((&list["total"], &list["authenticators"][0]["state"]), (&json!(1), &json!("ACTIVE")));
    assert!(list["authenticators"][0]["attributes"].get("pushToken").is_none());
    server.world.advance(3601);
    server.get(&phone.path(), &phone.token).await.factor_error(401, "CSIAK9999E");
    let path = format!("/v1.0/authenticators/{}", phone.id);
    let desk = server.token_of("helpdesk", "h").await;
    server.json("DELETE", &path, &desk, &Value::Null).await.expect_empty(204);
    server.json("DELETE", &path, &desk, &Value::Null).await.factor_error(404, "CSIAG0605E");
    renew(made["refreshToken"].as_str().unwrap()).await.factor_error(401, "CSIAK9999E");
    let factors =
        server.get(&format!("/v2.0/factors?search=userId%3D%22{}%22", ACME.admin.id), &desk).await.expect(200);
    assert!(factors["factors"].as_array().unwrap().iter().all(|one| one["type"] != "signature"));
}

#[tokio::test]
async fn where_it_is_switched_off_no_phone_is_invited() {
    let more = "grant_types = [\"client_credentials\"]\nentitlements = [\"manageEnrollMFAMethodAnyUser\", \"manageAllUserGroups\"]";
    let server = Setup::new()
        .replace("[tenant.settings.push]\nenabled = true\n", "")
        .add(&client("helpdesk", "h", more))
        .start()
        .await;
    let desk = server.token_of("helpdesk", "h").await;
    let body = json!({ "owner": ACME.admin.id });
    server.json("POST", "/v1.0/authenticators/initiation", &desk, &body).await.factor_error(501, "CSIBN9998E");
}

/// A picture begins a sign-in: `lsi` for the phone, `dsi` for whoever waits, each good for nothing else.
#[tokio::test]
async fn a_picture_is_scanned_and_begins_a_sign_in_once() {
    let server = setup(", qr = true")
        .replace("authnMethods = [\"password\"]", "authnMethods = [\"password\", \"qr\"]")
        .start()
        .await;
    let mut phone = Phone::register(&server, ACME.other.id, "userPresence").await;
    let first = server.begin_inside().await;
    assert!(first.allowed.contains(&"qr".to_owned()), "{:?}", first.allowed);
    let begin = async |token: &str| server.get("/v2.0/factors/qr/authenticate?profileId=p", token).await.expect(200);
    let shown = begin(&first.token).await;
    let text = |name: &str| shown[name].as_str().unwrap().to_owned();
    let (id, lsi, dsi) = (text("id"), text("lsi"), text("dsi"));
    assert!((25..=45).contains(&lsi.len()) && text("qrCode").len() > 100);
    let ask = async |dsi: &str| {
        server.get(&format!("/v2.0/factors/qr/authenticate/{id}?dsi={dsi}&returnJwt=true"), &first.token).await
    };
    assert_eq!(ask(&dsi).await.expect(200)["state"], "PENDING");
    ask(&lsi).await.factor_error(404, "CSIBN0028E");
    let path = format!("/v2.0/factors/qr/{id}");
    let scan = async |token: &str, lsi: &str| server.json("POST", &path, token, &json!({ "lsi": lsi })).await;
    // A phone that is not through with its registration scans nothing.
    scan(&phone.token, &lsi).await.factor_error(404, "CSIBN0028E");
    let renewed = json!({ "refreshToken": phone.refresh });
    let renewed = server.ask("POST", "/v1.0/authenticators/registration").json(&renewed).send().await.expect(200);
    phone.token = renewed["accessToken"].as_str().unwrap().to_owned();
    scan(&phone.token, &dsi).await.factor_error(404, "CSIBN0028E");
    scan(&first.token, &lsi).await.factor_error(401, "CSIAK9999E");
    scan(&phone.token, &lsi).await.expect_empty(204);
    scan(&phone.token, &lsi).await.factor_error(404, "CSIBN0028E");
    let done = ask(&dsi).await.expect(200);
    assert_eq!((&done["state"], &done["userId"]), (&json!("SUCCESS"), &json!(ACME.other.id)));
    server.present(done["assertion"].as_str().unwrap()).await.expect(200);
    ask(&dsi).await.factor_error(401, "CSIAK9999E");

    // Late, and withdrawn.
    let other = server.begin_inside().await;
    let late = begin(&other.token).await;
    server.world.advance(121);
    let path = format!("/v2.0/factors/qr/{}", late["id"].as_str().unwrap());
    let body = json!({ "lsi": late["lsi"] });
    server.json("POST", &path, &phone.token, &body).await.factor_error(404, "CSIBN0028E");
    let gone = begin(&other.token).await;
    let path = format!("/v2.0/factors/qr/{}", gone["id"].as_str().unwrap());
    server.json("DELETE", &path, &other.token, &Value::Null).await.expect_empty(204);
    let body = json!({ "lsi": gone["lsi"] });
    server.json("POST", &path, &phone.token, &body).await.factor_error(404, "CSIBN0028E");
}

/// Where a fingerprint or a face is asked for, a phone that only asks for a touch will not do, and what was proved is said.
#[tokio::test]
async fn a_fingerprint_and_a_face_are_ways_of_their_own() {
    for sub in ["fingerprint", "face"] {
        let name = format!("signatures_{sub}");
        let more = "grant_types = [\"client_credentials\"]\n\
                    entitlements = [\"authnAnyUser\", \"manageEnrollMFAMethodAnyUser\", \"readEnrollMFAMethodAnyUser\", \"manageAllUserGroups\"]";
        let server = Setup::new()
            .replace("authnMethods = [\"emailotp\"]", &format!("authnMethods = [{name:?}]"))
            .add(&client("helpdesk", "h", more))
            .start()
            .await;
        let touch = Phone::register(&server, ACME.admin.id, "userPresence").await;
        let phone = Phone::called(&server, ACME.admin.id, sub, "Second").await;
        let second = second(&server).await;
        assert!(second.allowed.contains(&name), "{:?}", second.allowed);
        let refused = touch.asked(&server, &second.token).await;
        assert!(refused.status.is_client_error(), "{}", refused.text());
        assert!(touch.waiting(&server).await.is_empty());
        let asked = phone.asked(&server, &second.token).await.expect(202);
        assert_eq!(asked["authenticationMethods"][0]["subType"], sub);
        let [waiting] = phone.waiting(&server).await.try_into().unwrap();
        phone.approves(&server, &waiting).await.expect_empty(204);
        let done = phone.state(&server, &second.token, &asked["id"]).await;
        let tokens = server.present(done["assertion"].as_str().unwrap()).await.expect(200);
        let claims = crate::support::decode(tokens["id_token"].as_str().unwrap()).1;
        assert_eq!(claims["amr"], json!(["password", name]));
    }
}
