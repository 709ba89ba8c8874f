//! Factors that are set up in the middle of a sign-in (vendor's page §2.10), and what recovers an account (§2.12), as clients of the
//! Authenticate API meet them.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use countersign::signin::SignIns;
use engine::FactorKind;
use protocol::records::Enrolment;
use serde_json::{Value, json};
use store::Change;

use crate::support::browser::Browser;
use crate::support::oracle::{Page, Step, world};
use crate::support::{ACME, Setup, TestServer, client, decode, on_both, policy, totp};

pub const ID: &str = "604000NEWT";
pub const NAME: &str = "new.user@example.com";
pub const PASSWORD: &str = "Secret-Pass-1";
const MAIL: &str = "new.user@example.com";

/// Wants a second factor, and has it set up.
pub const REQUIRED: &str = "Must Set Up";
/// Wants one, and lets it be put off.
pub const OPTIONAL: &str = "May Set Up";
/// Wants one and nothing else.
pub const STRICT: &str = "Must Have";

const AFTER: [&str; 3] = ["createToken", "createSession", "enrollment"];

pub fn rules(enrolment: &str, methods: &str) -> [String; 2] {
    let enrolment = if enrolment.is_empty() { String::new() } else { format!(", enrolment = {enrolment:?}") };
    [
        "[[tenant.policies.rules]]\nname = \"First\"\nalwaysRun = false\nfirstFactor = true\nconditions = []\n\
         result = { action = \"ACTION_MFA_ALWAYS\", serverSideActions = [], authnMethods = [\"password\"] }\n"
            .to_owned(),
        format!(
            "[[tenant.policies.rules]]\nname = \"After\"\nalwaysRun = false\nfirstFactor = false\nconditions = []\n\
             result = {{ action = \"ACTION_MFA_ALWAYS\", serverSideActions = [], authnMethods = {methods}{enrolment} }}\n"
        ),
    ]
}

/// Somebody without any factor, and applications that want one.
pub fn setup() -> Setup {
    let app = |id: &str, name: &str, policy: i64| {
        client(id, "s", &format!("name = {name:?}\ngrant_types = [\"authorization_code\"]\npolicy = {policy}"))
    };
    Setup::new()
        .replace(
            "[tenant.settings]",
            "[tenant.settings]\nquestions = { enabled = true, required = 2, shortest = 3 }\nbypass = { enabled = true }",
        )
        .add(&crate::support::user(
            ID,
            NAME,
            PASSWORD,
            &format!("[tenant.users.attributes]\ngiven_name = \"Nina\"\nemail = {MAIL:?}"),
        ))
        .add(&policy(620_001, &rules("required", "[\"anyfactor\"]")))
        .add(&policy(620_002, &rules("optional", "[\"totp\", \"emailotp\"]")))
        .add(&policy(620_003, &rules("", "[\"totp\"]")))
        .add(&app("app-required", REQUIRED, 620_001))
        .add(&app("app-optional", OPTIONAL, 620_002))
        .add(&app("app-strict", STRICT, 620_003))
}

pub async fn start() -> (TestServer, Page) {
    let server = setup().start().await;
    let page = server.page().await;
    (server, page)
}

async fn offered(page: &Page, application: &str) -> Step {
    page.password(Some(application), NAME, PASSWORD).await
}

async fn op(page: &Page, before: &Step, op: &str) -> Step {
    page.submit(before, json!({ "op": op })).await
}

async fn enrol(page: &Page, before: &Step, factor: &str, credentials: Value) -> Step {
    page.submit(before, json!({ "op": "enrollment", "authFactor": factor, "credentials": credentials })).await
}

/// The value of a parameter of the address in a picture.
pub fn parameter(content: &str, name: &str) -> String {
    let query = content.split_once('?').unwrap().1;
    let found = form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no {name} in {content}")).1.into_owned()
}

/// The code that an authenticator shows which scanned this.
pub fn shows(server: &TestServer, content: &str) -> String {
    let secret = parameter(content, "secret");
    let mut bits = 0_u64;
    let mut held = 0;
    let mut key = Vec::new();
    for letter in secret.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            other => panic!("{other} is not base32"),
        };
        bits = bits << 5 | u64::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            key.push((bits >> held & 0xff) as u8);
        }
    }
    totp(&key, server.world.now())
}

/// A phone of ours that scans the picture of this dialect.
pub struct Phone {
    key: EcdsaKeyPair,
    pub id: String,
    token: String,
    method: String,
    /// The address of its generator of codes.
    pub generator: Option<String>,
}

impl Phone {
    pub async fn scans(server: &TestServer, content: &str) -> Self {
        assert!(content.starts_with("oraclemobileauthenticator://totp/"), "{content}");
        assert_eq!(parameter(content, "LoginURL"), format!("{}/sso/v1/", ACME.base));
        let credential = parameter(content, "OTP");
        let (_, claims) = decode(&credential);
        assert_eq!((&claims["iss"], &claims["tenant"]), (&json!("AuthSrv"), &json!("acme-demo")));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
        let body = json!({ "code": credential, "attributes": { "deviceName": "Nina's Pixel" } });
        let path = "/v1.0/authenticators/registration";
        let made = server.ask("POST", path).json(&body).send().await.expect(200);
        server.ask("POST", path).json(&body).send().await.factor_error(401, "CSIAK9999E");
        let id = made["id"].as_str().unwrap().to_owned();
        assert_eq!((id.as_str(), &claims["device_id"]), (parameter(content, "Deviceid").as_str(), &made["id"]));
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            id,
            token: made["accessToken"].as_str().unwrap().to_owned(),
            method: String::new(),
            generator: made["otpauthUri"].as_str().map(str::to_owned),
        }
    }

    fn sign(&self, data: &str) -> String {
        STANDARD.encode(self.key.sign(&SystemRandom::new(), data.as_bytes()).unwrap().as_ref())
    }

    pub async fn enrols_its_key(&mut self, server: &TestServer) {
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(self.key.public_key()).unwrap();
        let attributes = json!({
            "algorithm": "SHA256withECDSA", "publicKey": STANDARD.encode(public.as_ref()),
            "signedData": self.sign(&self.id)
        });
        let keys = json!([{ "subType": "userPresence", "enabled": true, "attributes": attributes }]);
        let made = server.json("POST", "/v1.0/authnmethods/signatures", &self.token, &keys).await.expect(201);
        self.method = made[0]["id"].as_str().unwrap().to_owned();
    }

    pub async fn answers(&self, server: &TestServer, action: &str) {
        let path = format!("/v1.0/authenticators/{}/verifications", self.id);
        let list = server.get(&path, &self.token).await.expect(200);
        let one = &list["verifications"][0];
        let signed = self.sign(one["transactionData"].as_str().unwrap());
        let answer = json!([{ "id": self.method, "userAction": action, "signedData": signed }]);
        let path = format!("{path}/{}", one["id"].as_str().unwrap());
        server.json("POST", &path, &self.token, &answer).await.expect_empty(204);
    }
}

#[test]
fn an_authenticator_is_set_up_because_it_must_be_and_signs_in_the_next_time() {
    on_both(async |store| {
        let server = setup().start_on(store).await;
        let page = server.page().await;
        let offer = offered(&page, REQUIRED).await;
        offer.expect(200, "success", None);
        assert_eq!(offer.list("nextOp"), ["enrollment"]);
        assert_eq!(
            offer.list("nextAuthFactors"),
            ["EMAIL", "SMS", "PHONE_CALL", "TOTP", "SECURITY_QUESTIONS", "PUSH"],
            "no passkey, for the page did not say its origin, and no bypass code ever"
        );
        assert_eq!(offer.body["TOTP"], json!({ "credentials": ["offlineTotp"] }));
        assert_eq!(offer.body["SMS"], json!({ "credentials": ["phoneNumber", "countryCode"] }));
        assert_eq!(offer.body["mfaSettings"], json!({ "enrollmentRequired": true }));
        assert_eq!(offer.body["scenario"], "ENROLLMENT");

        // It cannot be skipped.
        let skipped = op(&page, &offer, "createToken").await;
        skipped.expect(401, "failed", Some("AUTH-1016"));
        assert_eq!(skipped.list("nextOp"), ["enrollment"]);

        let pending = enrol(&page, &offer, "TOTP", json!({ "offlineTotp": true })).await;
        pending.expect(200, "success", None).waits(&["credSubmit", "enrollment"], &[]);
        assert_eq!(pending.body["displayName"], "Nina's Phone");
        assert_eq!(pending.body["TOTP"]["credentials"], json!(["otpCode"]));
        let content = pending.body["TOTP"]["qrCode"]["content"].as_str().unwrap();
        let secret = parameter(content, "secret");
        let (device, request) = (parameter(content, "Deviceid"), parameter(content, "RequestId"));
        assert_eq!(
            content,
            format!(
                "otpauth://totp/new%2Euser%40example%2Ecom?issuer=acme%2Ddemo&period=30&algorithm=SHA1&digits=6&\
                 RSA=SHA256withRSA&Deviceid={device}&RequestId={request}&secret={secret}&ServiceType=TOTP&\
                 KeyPairLength=2048&SSE=Base32"
            )
        );
        assert_eq!(pending.body["TOTP"]["qrCode"]["imageType"], "image/png");
        let image = STANDARD.decode(pending.body["TOTP"]["qrCode"]["imageData"].as_str().unwrap()).unwrap();
        assert_eq!(&image[1..4], b"PNG");

        let wrong = page.credentials(&pending, None, json!({ "otpCode": "000000" })).await;
        wrong.expect(401, "failed", Some("AUTH-1105")).waits(&["credSubmit", "enrollment"], &[]);
        assert_eq!(wrong.body["TOTP"], json!({ "credentials": ["otpCode"] }), "the secret is shown once");
        // Nothing was set up yet: the next dialogue is offered the same.
        assert_eq!(offered(&page, REQUIRED).await.list("nextOp"), ["enrollment"]);

        let right = page.credentials(&pending, None, json!({ "otpCode": shows(&server, content) })).await;
        right.expect(200, "success", None).waits(&AFTER, &[]);
        assert_eq!(right.body["displayName"], "Nina's Phone");
        assert!(!right.has("TOTP"), "{}", right.body);
        let done = op(&page, &right, "createToken").await;
        let (_, claims) = decode(done.token());
        assert_eq!(claims["amr"], json!(["USERNAME_PASSWORD", "TOTP"]));

        // From now on it is asked for, and is the only way.
        server.world.advance(60);
        let second = offered(&page, REQUIRED).await;
        second.expect(200, "success", None).waits(&["credSubmit", "getBackupFactors"], &["TOTP"]);
        assert_eq!(second.body["displayName"], "Nina's Phone");
        page.credentials(&second, None, json!({ "otpCode": shows(&server, content) })).await.token();
        let strict = offered(&page, STRICT).await;
        assert_eq!(strict.list("nextAuthFactors"), ["TOTP"]);
    });
}

#[tokio::test]
async fn what_is_only_offered_may_be_skipped_before_and_after_it_was_begun() {
    let (_, page) = start().await;
    let offer = offered(&page, OPTIONAL).await;
    offer.expect(200, "success", None).waits(&AFTER, &["TOTP", "EMAIL"]);
    assert_eq!(offer.body["mfaSettings"], json!({ "enrollmentRequired": false }));
    let (_, claims) = decode(op(&page, &offer, "createToken").await.token());
    assert_eq!(claims["amr"], json!(["USERNAME_PASSWORD"]));

    let offer = offered(&page, OPTIONAL).await;
    let pending = enrol(&page, &offer, "TOTP", json!({ "offlineTotp": true })).await;
    pending.waits(&["credSubmit", "createToken", "createSession", "enrollment"], &[]);
    op(&page, &pending, "createToken").await.token();
    // It left nothing behind.
    assert_eq!(offered(&page, OPTIONAL).await.list("nextAuthFactors"), ["TOTP", "EMAIL"]);
}

/// Policy that does not let people set up what they lack asks for it all the same.
#[tokio::test]
async fn without_leave_of_the_policy_nothing_is_set_up() {
    let (_, page) = start().await;
    offered(&page, STRICT).await.expect(401, "failed", Some("AUTH-3033"));
}

#[tokio::test]
async fn one_may_switch_and_set_up_more_than_one() {
    let (server, page) = start().await;
    let offer = offered(&page, REQUIRED).await;
    let sms = enrol(&page, &offer, "SMS", json!({ "phoneNumber": "2071230000", "countryCode": "+44" })).await;
    sms.expect(200, "success", None).waits(&["credSubmit", "resendCode", "enrollment"], &[]);
    assert_eq!(sms.body["displayName"], "+44XXXXXXX000");
    assert_eq!(sms.body["SMS"], json!({ "credentials": ["otpCode"] }));
    let first = server.code("+442071230000").await;

    // Another one after all: what was begun is given up.
    let again = op(&page, &sms, "enrollment").await;
    again.waits(&["enrollment"], &["EMAIL", "SMS", "PHONE_CALL", "TOTP", "SECURITY_QUESTIONS", "PUSH"]);
    page.credentials(&sms, None, json!({ "otpCode": first })).await.expect(400, "failed", Some("AUTH-1116"));

    let mail = enrol(&page, &again, "EMAIL", json!({})).await;
    assert_eq!(mail.body["displayName"], MAIL, "whoever sets it up sees it in clear");
    let old = server.code(MAIL).await;
    let resent = op(&page, &mail, "resendCode").await;
    resent.expect(200, "success", None).waits(&["credSubmit", "resendCode", "enrollment"], &[]);
    let new = server.code(MAIL).await;
    assert_ne!(old, new);
    page.credentials(&resent, None, json!({ "otpCode": old })).await.expect(401, "failed", Some("AUTH-1105"));
    // The state of before the failure serves as well.
    let one = page.credentials(&mail, None, json!({ "otpCode": new })).await;
    one.waits(&AFTER, &[]);

    let more = op(&page, &one, "enrollment").await;
    more.waits(&AFTER, &["SMS", "PHONE_CALL", "TOTP", "SECURITY_QUESTIONS", "PUSH"]);
    assert_eq!(more.body["mfaSettings"], json!({ "enrollmentRequired": false }));
    let questions = enrol(&page, &more, "SECURITY_QUESTIONS", json!({})).await;
    questions.waits(&["credSubmit", "createToken", "createSession", "enrollment"], &[]);
    let shown = &questions.body["SECURITY_QUESTIONS"];
    assert_eq!(
        shown["secQuesSettings"],
        json!({ "numQuestionsToSetup": "2", "minAnswerLength": "3", "numQuestionsToAns": "2", "maxFieldLength": "100" })
    );
    assert_eq!(shown["credentials"], json!(["questionId", "answer", "hint"]));
    assert!(shown["questions"].as_array().unwrap().iter().all(|one| one["text"].is_string()));
    let answer = |id: &str, answer: &str, hint: &str| json!({ "questionId": id, "answer": answer, "hint": hint });
    for (given, code) in [
        (json!([answer("firstCar", "fiat 500", "")]), "AUTH-1037"),
        (json!([answer("firstCar", "fiat", ""), answer("firstPet", "FIAT", "")]), "AUTH-1020"),
        (json!([answer("firstCar", "fi", ""), answer("firstPet", "rexy", "")]), "AUTH-1021"),
        (json!([answer("firstCar", "fiat", "fiat"), answer("firstPet", "rexy", "")]), "AUTH-1023"),
        (json!([answer("nothing", "fiat", ""), answer("firstPet", "rexy", "")]), "AUTH-1039"),
    ] {
        let refused = page.credentials(&questions, Some("SECURITY_QUESTIONS"), json!({ "questions": given })).await;
        refused.expect(401, "failed", Some(code));
        assert!(refused.body["SECURITY_QUESTIONS"]["questions"].is_array());
    }
    let given = json!([answer("firstCar", "Fiat 500", "small"), answer("firstPet", "Rexy", "")]);
    let two = page.credentials(&questions, None, json!({ "questions": given })).await;
    two.waits(&AFTER, &[]);
    let (_, claims) = decode(op(&page, &two, "createToken").await.token());
    assert_eq!(claims["amr"], json!(["USERNAME_PASSWORD", "EMAIL", "SECURITY_QUESTIONS"]));

    // The first one is what is asked for, and the hint is shown.
    let second = offered(&page, REQUIRED).await;
    assert_eq!(second.list("nextAuthFactors"), ["EMAIL"]);
    let backup = op(&page, &second, "getBackupFactors").await;
    let asked = backup.body["SECURITY_QUESTIONS"]["questions"].as_array().unwrap();
    assert!(asked.iter().any(|one| one["hint"] == "small"), "{}", backup.body);
}

#[tokio::test]
async fn a_phone_approves_and_has_codes_once_it_scanned_the_picture() {
    let (server, page) = start().await;
    let offer = offered(&page, REQUIRED).await;
    let pending = enrol(&page, &offer, "PUSH", json!({})).await;
    pending.expect(200, "success", None).waits(&["credSubmit", "enrollment"], &[]);
    assert_eq!(pending.body["displayName"], "Nina's Phone");
    assert!(pending.body["PUSH"].get("credentials").is_none(), "{}", pending.body);
    let content = pending.body["PUSH"]["qrCode"]["content"].as_str().unwrap().to_owned();
    assert!(content.contains("&ServiceType=TOTP%2BPUSH&KeyPairLength=2048&SSE=Base32"), "{content}");
    assert!(!content.contains("secret="), "the secret goes to the phone and not through the page");
    let waiting = op(&page, &pending, "credSubmit").await;
    waiting.expect(200, "pending", Some("AUTH-1108")).waits(&["credSubmit", "enrollment"], &[]);
    let mut phone = Phone::scans(&server, &content).await;
    // Registered, but without a key it cannot approve.
    op(&page, &pending, "credSubmit").await.expect(200, "pending", Some("AUTH-1108"));
    phone.enrols_its_key(&server).await;
    let done = op(&page, &pending, "credSubmit").await;
    done.expect(200, "success", None).waits(&AFTER, &[]);
    op(&page, &done, "createToken").await.token();

    // The next time it is asked, and approves; its codes do as well.
    let second = offered(&page, REQUIRED).await;
    second.expect(200, "pending", Some("AUTH-1108")).waits(&["credSubmit", "getBackupFactors"], &["PUSH"]);
    phone.answers(&server, "VERIFY_ATTEMPT").await;
    op(&page, &second, "credSubmit").await.token();
    let generator = phone.generator.clone().unwrap();
    let second = offered(&page, REQUIRED).await;
    let list = op(&page, &second, "getBackupFactors").await;
    assert_eq!(list.body["TOTP"]["enrolledDevices"][0]["deviceId"], phone.id);
    assert_eq!(list.body["PUSH"]["enrolledDevices"][0]["deviceId"], phone.id);
    assert_eq!(list.body["PUSH"]["enrolledDevices"][0]["displayName"], "Nina's Pixel");
    let code = shows(&server, &generator);
    page.credentials(&second, Some("TOTP"), json!({ "deviceId": phone.id, "otpCode": code })).await.token();
}

#[tokio::test]
async fn codes_alone_are_set_up_online_too() {
    let (server, page) = start().await;
    let offer = offered(&page, REQUIRED).await;
    let pending = enrol(&page, &offer, "TOTP", json!({})).await;
    let content = pending.body["TOTP"]["qrCode"]["content"].as_str().unwrap().to_owned();
    assert!(content.contains("&ServiceType=TOTP&"), "{content}");
    let poll = op(&page, &pending, "credSubmit").await;
    poll.expect(200, "pending", Some("AUTH-1109")).waits(&["credSubmit", "enrollment"], &[]);
    let phone = Phone::scans(&server, &content).await;
    let done = op(&page, &pending, "credSubmit").await;
    done.waits(&AFTER, &[]);
    op(&page, &done, "createToken").await.token();
    let second = offered(&page, REQUIRED).await;
    second.waits(&["credSubmit", "getBackupFactors"], &["TOTP"]);
    let code = shows(&server, &phone.generator.unwrap());
    page.credentials(&second, None, json!({ "otpCode": code })).await.token();
}

#[tokio::test]
async fn an_invitation_of_a_phone_ends_after_five_minutes() {
    let (server, page) = start().await;
    let offer = offered(&page, REQUIRED).await;
    let pending = enrol(&page, &offer, "PUSH", json!({})).await;
    let content = pending.body["PUSH"]["qrCode"]["content"].as_str().unwrap().to_owned();
    server.world.advance(301);
    let body = json!({ "code": parameter(&content, "OTP") });
    server.ask("POST", "/v1.0/authenticators/registration").json(&body).send().await.factor_error(401, "CSIAK9999E");
}

#[tokio::test]
async fn a_passkey_is_set_up_where_the_page_says_its_origin() {
    let (_, page) = start().await;
    let start = page.start(Some(REQUIRED)).await;
    let origin = "https://app.example.test";
    let credentials = json!({ "username": NAME, "password": PASSWORD, "origin": origin });
    let offer = page.credentials(&start, Some("USERNAME_PASSWORD"), credentials).await;
    assert!(offer.list("nextAuthFactors").contains(&"FIDO_AUTHENTICATOR"), "{}", offer.body);
    let members = json!({ "op": "enrollment", "authFactor": "FIDO_AUTHENTICATOR", "origin": origin });
    let pending = page.submit(&offer, members).await;
    pending.expect(200, "success", None).waits(&["credSubmit", "enrollment"], &[]);
    let shown = &pending.body["FIDO_AUTHENTICATOR"];
    assert_eq!(shown["credentials"], json!(["fidoAssertion"]));
    let value = |name: &str| {
        let all = shown["fidoData"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}"))["value"].clone()
    };
    assert_eq!((value("rpId"), value("userName")), (json!("example.test"), json!(NAME)));
    assert_eq!(value("userId"), ID, "one byte for each character");
    assert_eq!(value("attestation"), "none");
    assert!(value("publicKeyAlgorithms").as_array().unwrap().iter().any(|one| one["alg"] == -7));
    let text = value("challenge").as_str().unwrap().to_owned();
    assert!(text.is_ascii(), "the page takes it for text");
    let url = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut browser = Browser::new(true);
    let options = json!({
        "challenge": url.encode(&text), "rp": { "id": "example.test", "name": "Acme" },
        "user": { "id": url.encode(ID), "name": NAME, "displayName": NAME },
        "pubKeyCredParams": value("publicKeyAlgorithms")
    });
    let made = browser.create(origin, &options).await.unwrap();
    let submitted = json!({
        "op": "credSubmit", "origin": origin, "credentials": { "fidoAssertion": made.to_string() }
    });
    let done = page.submit(&pending, submitted).await;
    done.expect(200, "success", None).waits(&AFTER, &[]);
    let (_, claims) = decode(op(&page, &done, "createToken").await.token());
    assert_eq!(claims["amr"], json!(["USERNAME_PASSWORD", "FIDO_AUTHENTICATOR"]));
}

/// Attack cases 35 and 36: guesses at a code that proves an address are charged like any others, whichever state they come with.
#[tokio::test]
async fn guesses_at_a_code_of_an_enrolment_are_counted_whatever_state_they_come_with() {
    let (server, page) = start().await;
    let offer = offered(&page, REQUIRED).await;
    let pending = enrol(&page, &offer, "SMS", json!({ "phoneNumber": "+442071230000" })).await;
    let right = server.code("+442071230000").await;
    let mut last = String::new();
    for guess in 0..8 {
        let wrong = format!("{:06}", (right.parse::<u32>().unwrap() + 1 + guess) % 1_000_000);
        let told = page.credentials(&pending, None, json!({ "otpCode": wrong })).await;
        assert_eq!(told.status, 401);
        last = told.body["cause"][0]["code"].as_str().unwrap().to_owned();
    }
    assert_eq!(last, "AUTH-1027");
    page.credentials(&pending, None, json!({ "otpCode": right })).await.expect(401, "failed", Some("AUTH-1027"));
    // Nor does another dialogue begin anew with the counter.
    let offer = offered(&page, REQUIRED).await;
    let pending = enrol(&page, &offer, "SMS", json!({ "phoneNumber": "+442071230001" })).await;
    let code = server.code("+442071230001").await;
    page.credentials(&pending, None, json!({ "otpCode": code })).await.expect(401, "failed", Some("AUTH-1027"));
}

/// A stolen password must not set up its way past the factors there are.
#[tokio::test]
async fn whoever_has_a_factor_of_another_kind_proves_it_before_setting_up_what_is_asked_for() {
    let (server, page) = start().await;
    let offer = offered(&page, REQUIRED).await;
    let pending = enrol(&page, &offer, "SMS", json!({ "phoneNumber": "+442071230000" })).await;
    let code = server.code("+442071230000").await;
    let done = page.credentials(&pending, None, json!({ "otpCode": code })).await;
    op(&page, &done, "createToken").await.token();

    let asked = offered(&page, OPTIONAL).await;
    asked.expect(200, "success", None).waits(&["credSubmit", "getBackupFactors", "resendCode"], &["SMS"]);
    enrol(&page, &asked, "TOTP", json!({ "offlineTotp": true })).await.expect(400, "failed", Some("AUTH-1116"));
    let code = server.code("+442071230000").await;
    let offer = page.credentials(&asked, None, json!({ "otpCode": code })).await;
    offer.waits(&AFTER, &["TOTP", "EMAIL"]);
    op(&page, &offer, "createToken").await.token();
}

#[tokio::test]
async fn what_cannot_be_set_up_leaves_the_stage_as_it_was() {
    let (server, page) = start().await;
    let offer = offered(&page, REQUIRED).await;
    for (factor, credentials, status, code) in [
        ("SMS", json!({ "phoneNumber": "12" }), 401, "AUTH-1030"),
        ("SMS", json!({}), 422, "AUTH-1111"),
        ("SMS", json!({ "phoneNumber": 7 }), 400, "AUTH-1111"),
        ("BYPASSCODE", json!({}), 400, "AUTH-1115"),
        ("YUBICO_OTP", json!({}), 400, "AUTH-1115"),
        ("FIDO_AUTHENTICATOR", json!({}), 400, "AUTH-1115"),
        ("NOTHING", json!({}), 400, "AUTH-1111"),
    ] {
        let refused = enrol(&page, &offer, factor, credentials).await;
        refused.expect(status, "failed", Some(code));
        assert_eq!(refused.list("nextOp"), ["enrollment"], "{}", refused.body);
    }
    page.credentials(&offer, None, json!({ "otpCode": "123456" })).await.expect(400, "failed", Some("AUTH-1116"));
    op(&page, &offer, "resendCode").await.expect(400, "failed", Some("AUTH-1116"));
    op(&page, &offer, "acceptTOU").await.expect(400, "failed", Some("AUTH-1116"));
    // Of one number there is one.
    let pending = enrol(&page, &offer, "SMS", json!({ "phoneNumber": "+442071230000" })).await;
    page.credentials(&pending, None, json!({})).await.expect(422, "failed", Some("AUTH-1111"));
    page.credentials(&pending, Some("EMAIL"), json!({ "otpCode": "1" })).await.expect(400, "failed", Some("AUTH-1115"));
    let code = server.code("+442071230000").await;
    let done = page.credentials(&pending, None, json!({ "otpCode": code })).await;
    let more = op(&page, &done, "enrollment").await;
    assert!(!more.list("nextAuthFactors").contains(&"SMS"));
    // What was finished cannot be finished again.
    page.credentials(&pending, None, json!({ "otpCode": code })).await.expect(400, "failed", Some("AUTH-1116"));
    op(&page, &done, "createToken").await.token();
    op(&page, &done, "createToken").await.expect(401, "failed", Some("AUTH-1036"));
}

/// A door that cannot have anything set up goes past an offer, and stops at what must be.
#[tokio::test]
async fn other_doors_go_past_an_offer_and_stop_at_a_must() {
    for (enrolment, through) in [("optional", true), ("required", false)] {
        let server = setup()
            .add(&policy(620_010, &rules(enrolment, "[\"totp\"]")))
            .add(&client(
                "native",
                "n",
                "grant_types = [\"policyauth\", \"urn:ietf:params:oauth:grant-type:jwt-bearer\"]\n\
                 policy = 620010\npolicy_grants = { policyauth = true }",
            ))
            .start()
            .await;
        let form = [("grant_type", "policyauth"), ("client_id", "native"), ("client_secret", "n"), ("scope", "openid")];
        let begun = server.post_form("/token", &form).await.expect(200);
        let path = format!("/v1.0/authnmethods/password/{}?returnJwt=true", ACME.source);
        let body = json!({ "username": NAME, "password": PASSWORD });
        let token = begun["access_token"].as_str().unwrap();
        let proved = server.json("POST", &path, token, &body).await.expect(200);
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("client_id", "native"),
            ("client_secret", "n"),
            ("assertion", proved["assertion"].as_str().unwrap()),
        ];
        let ended = server.post_form("/token", &form).await;
        if through {
            let tokens = ended.expect(200);
            assert!(tokens["id_token"].is_string() && tokens["scope"] != "mfa_challenge", "{tokens}");
        } else {
            let told = ended.expect(401);
            assert_eq!(told["error"], "access_denied");
            assert!(told["error_description"].as_str().unwrap().contains("must be enrolled"), "{told}");
        }
    }
}

pub fn with_recovery() -> Setup {
    setup().replace(
        "[tenant.settings.oracle]",
        "[tenant.settings.oracle]\naccount_recovery = [\"sms\", \"email\", \"questions\"]",
    )
}

#[tokio::test]
async fn what_recovers_an_account_is_offered_first_and_may_be_put_off() {
    let server = with_recovery().start().await;
    let page = server.page().await;
    let offer = page.password(None, NAME, PASSWORD).await;
    offer.expect(200, "success", None).waits(&AFTER, &["SMS", "SECURITY_QUESTIONS", "EMAIL"]);
    assert_eq!(offer.body["accRecEnrollmentRequired"], true);
    assert_eq!(offer.body["SMS"], json!({ "credentials": ["phoneNumber", "countryCode"] }));
    assert_eq!(
        offer.body["EMAIL"],
        json!({
            "userAllowedToSetRecoveryEmail": "true", "primaryEmailVerified": "false",
            "primaryEmail": MAIL, "credentials": ["recoveryEmail"],
        })
    );
    op(&page, &offer, "createToken").await.token();

    let offer = page.password(None, NAME, PASSWORD).await;
    let pending = enrol(&page, &offer, "EMAIL", json!({ "recoveryEmail": "nina@home.example" })).await;
    pending.expect(200, "success", None).waits(&["credSubmit", "resendCode", "enrollment"], &[]);
    assert_eq!(pending.body["accRecEnrollmentRequired"], true);
    page.credentials(&pending, None, json!({ "otpCode": "000000" })).await.expect(401, "failed", Some("AUTH-1105"));
    let code = server.code("nina@home.example").await;
    let done = page.credentials(&pending, None, json!({ "otpCode": code })).await;
    done.expect(200, "success", None).waits(&AFTER, &[]);
    assert_eq!(done.body["accRecEnrollmentRequired"], false);
    op(&page, &done, "createToken").await.token();
    // It is no factor, and whoever has it is not asked again.
    page.password(None, NAME, PASSWORD).await.token();
    assert_eq!(offered(&page, REQUIRED).await.list("nextOp"), ["enrollment"]);
}

/// Answers are a factor at every door: with a password alone nobody chooses them beside a stronger one, nor where a new password is sent.
#[tokio::test]
async fn what_recovers_an_account_is_not_set_up_past_the_second_factor() {
    let server = with_recovery().start().await;
    let page = server.page().await;
    let given = json!({ "questions": world::answers("Rex", "Fiat 500") });
    let offer = page.password(None, NAME, PASSWORD).await;
    let questions = enrol(&page, &offer, "SECURITY_QUESTIONS", json!({})).await;
    let other = page.password(None, NAME, PASSWORD).await;
    let number = enrol(&page, &other, "SMS", json!({ "phoneNumber": "+442071230000" })).await;
    let code = server.code("+442071230000").await;
    // Meanwhile the person has a factor.
    let view = server.view();
    let sign_ins = SignIns { app: &server.app, tenant: &view };
    let made = sign_ins.enrol_address(&ID.into(), FactorKind::EmailOtp, MAIL, true).await.unwrap();
    let made = sign_ins.enrolment(&made.id).await.unwrap().unwrap();
    let proved = Enrolment { validated: true, ..made };
    server.store.commit(&server.tenant(), "test", vec![Change::PutEnrolment(proved)]).await.unwrap();

    page.credentials(&questions, None, given.clone()).await.expect(400, "failed", Some("AUTH-1115"));
    page.credentials(&number, None, json!({ "otpCode": code })).await.expect(400, "failed", Some("AUTH-1115"));
    let begun = enrol(&page, &offer, "SECURITY_QUESTIONS", json!({})).await;
    begun.expect(400, "failed", Some("AUTH-1115"));
    page.password(None, NAME, PASSWORD).await.token();
    assert!(sign_ins.recoveries(&ID.into()).await.unwrap().is_empty());
    assert_eq!(sign_ins.enrolments_of(&ID.into()).await.unwrap().len(), 1);

    // Who proved it is offered what everybody is.
    let second = offered(&page, OPTIONAL).await;
    let offer = page.credentials(&second, None, json!({ "otpCode": server.code(MAIL).await })).await;
    offer.waits(&AFTER, &["SMS", "SECURITY_QUESTIONS", "EMAIL"]);
    let questions = enrol(&page, &offer, "SECURITY_QUESTIONS", json!({})).await;
    page.credentials(&questions, None, given).await.expect(200, "success", None);
    assert_eq!(sign_ins.recoveries(&ID.into()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_proved_to_recover_the_account_becomes_a_factor_without_another_code() {
    let server = with_recovery().start().await;
    let page = server.page().await;
    let offer = offered(&page, REQUIRED).await;
    assert_eq!(offer.body["accRecEnrollmentRequired"], true, "before the second factor");
    let pending = enrol(&page, &offer, "SMS", json!({ "phoneNumber": "+442071230000" })).await;
    let code = server.code("+442071230000").await;
    let done = page.credentials(&pending, None, json!({ "otpCode": code })).await;
    let second = op(&page, &done, "createToken").await;
    assert_eq!(second.list("nextOp"), ["enrollment"]);
    assert_eq!(second.body["mfaSettings"], json!({ "enrollmentRequired": true }));
    let details = &second.body["EnrolledAccountRecoveryFactorsDetails"];
    assert_eq!(details["enrolledAccRecFactorsList"], json!(["SMS"]));
    assert_eq!(details["SMS"]["enrolledDevices"][0]["displayName"], "+44XXXXXXX000");
    let enrolled = enrol(&page, &second, "SMS", json!({ "accountRecoveryFactor": true })).await;
    enrolled.expect(200, "success", None).waits(&AFTER, &[]);
    op(&page, &enrolled, "createToken").await.token();
    offered(&page, REQUIRED).await.waits(&["credSubmit", "getBackupFactors", "resendCode"], &["SMS"]);

    // Another time it is not that simple: whoever has the password alone does not have the phone.
    let server = with_recovery().start().await;
    let page = server.page().await;
    let offer = page.password(None, NAME, PASSWORD).await;
    let pending = enrol(&page, &offer, "SMS", json!({ "phoneNumber": "+442071230000" })).await;
    let code = server.code("+442071230000").await;
    page.credentials(&pending, None, json!({ "otpCode": code })).await.expect(200, "success", None);
    let offer = offered(&page, REQUIRED).await;
    assert!(!offer.has("EnrolledAccountRecoveryFactorsDetails"), "{}", offer.body);
    let credentials = json!({ "accountRecoveryFactor": true, "phoneNumber": "+442071230000" });
    let asked = enrol(&page, &offer, "SMS", credentials).await;
    asked.waits(&["credSubmit", "resendCode", "enrollment"], &[]);
}

/// A code that the client delivers itself comes encrypted for its certificate, and nothing is sent.
#[tokio::test]
async fn a_code_is_handed_to_a_client_that_registered_a_certificate() {
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let certificate = certificate(&key);
    let sha1 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &certificate);
    let x5t: String = sha1.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let jwks = format!(
        "\n[tenant.clients.jwks]\nkeys = [{{ kty = \"RSA\", use = \"enc\", kid = \"otp\", n = {:?}, e = \"AQAB\", x5c = [{:?}] }}]\n",
        modulus(&key),
        STANDARD.encode(&certificate),
    );
    let app = "name = \"Delivers\"\ngrant_types = [\"authorization_code\"]\npolicy = 620001";
    let server = setup().add(&client("app-delivers", "s", &format!("{app}{jwks}"))).start().await;
    let page = server.page().await;
    let offer = offered(&page, "Delivers").await;
    let members = json!({
        "op": "enrollment", "authFactor": "SMS", "credentials": { "phoneNumber": "+442071230000" },
        "userFlowControlledByExternalClient": true, "x5t": x5t,
    });
    let pending = page.submit(&offer, members).await;
    pending.expect(200, "success", None);
    assert_eq!((&pending.body["otp"]["alg"], &pending.body["otp"]["x5t"]), (&json!("RSAES-OAEP"), &json!(x5t)));
    assert!(server.mail("+442071230000").await.is_empty(), "nothing is sent besides");
    let sealed = STANDARD.decode(pending.body["otp"]["value"].as_str().unwrap()).unwrap();
    let key = OaepPrivateDecryptingKey::new(key).unwrap();
    let mut out = vec![0; key.min_output_size()];
    let code = key.decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut out, None).unwrap();
    let code = String::from_utf8(code.to_vec()).unwrap();
    let done = page.credentials(&pending, None, json!({ "otpCode": code })).await;
    op(&page, &done, "createToken").await.token();
    // At a sign-in as well; for a certificate it does not have, the code is sent.
    let start = page.start(Some("Delivers")).await;
    let with = |x5t: &str| {
        json!({
            "op": "credSubmit", "credentials": { "username": NAME, "password": PASSWORD },
            "userFlowControlledByExternalClient": true, "x5t": x5t,
        })
    };
    let second = page.submit(&start, with(&x5t)).await;
    assert!(second.body["otp"]["value"].is_string(), "{}", second.body);
    assert!(server.mail("+442071230000").await.is_empty());
    let second = page.submit(&start, with("00")).await;
    assert!(!second.has("otp"));
    assert_eq!(server.mail("+442071230000").await.len(), 1);
}

/// A certificate as small as it can be. Nobody checks who signed it: it only says which key is meant.
pub fn certificate(key: &PrivateDecryptingKey) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| {
        let mut der = vec![tag, 0x82];
        der.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        der.extend(content);
        der
    };
    let public = key.public_key();
    let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(&public).unwrap();
    let empty = element(0x30, &[]);
    let parts = [&element(0x02, &[1])[..], &empty[..], &empty[..], &empty[..], &empty[..], spki.as_ref()].concat();
    element(0x30, &[element(0x30, &parts), empty, element(0x03, &[0])].concat())
}

pub fn modulus(key: &PrivateDecryptingKey) -> String {
    let public = key.public_key();
    let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(&public).unwrap();
    // The modulus is the last but one number of the key: 257 bytes with the zero in front.
    let der = spki.as_ref();
    let end = der.len() - 5;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&der[end - 256..end])
}

/// The length of a state and its form say nothing of what is in it, and it is no use to anybody else.
#[tokio::test]
async fn the_state_of_an_enrolment_tells_nothing_and_serves_its_own_client_alone() {
    let (server, page) = start().await;
    let offer = offered(&page, REQUIRED).await;
    let pending = enrol(&page, &offer, "TOTP", json!({ "offlineTotp": true })).await;
    let (sealed, _) = pending.state().split_once('~').unwrap();
    let sealed = STANDARD_NO_PAD.decode(sealed).unwrap();
    let content = pending.body["TOTP"]["qrCode"]["content"].as_str().unwrap();
    for told in [parameter(content, "secret"), parameter(content, "Deviceid"), NAME.to_owned()] {
        assert!(!sealed.windows(told.len()).any(|window| window == told.as_bytes()));
    }
    // What is under way belongs to one dialogue: another one's state does not finish it.
    let other = offered(&page, REQUIRED).await;
    let code = shows(&server, content);
    page.credentials(&other, None, json!({ "otpCode": code })).await.expect(400, "failed", Some("AUTH-1116"));
    page.credentials(&pending, None, json!({ "otpCode": code })).await.expect(200, "success", None);
}
