//! The Authenticate API as its clients know it: each stage of table 2.4 of the vendor's page, with its members, their order, and what
//! must be absent.

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::oracle::world::{
    self, ASSIGNED, CALL, CLOSED, DEVICE, EMAIL, MFA, NAME, NAME_FIRST, NUMBER, PASSKEY, PASSWORD, PLAIN, SMS, TOTP,
    TWO, answers, passcode,
};
use crate::support::oracle::{AUTHENTICATE, Page, Step};
use crate::support::{ACME, TestServer, client, decode, names, on_both, policy, rule};

const SECOND: [&str; 3] = ["credSubmit", "getBackupFactors", "resendCode"];
const PLAIN_SECOND: [&str; 2] = ["credSubmit", "getBackupFactors"];

/// The names of the members, in alphabetical order.
fn has(step: &Step) -> Vec<&str> {
    let mut all = names(&step.body);
    all.sort_unstable();
    all
}

async fn second(page: &Page) -> Step {
    page.password(Some(MFA), NAME, PASSWORD).await
}

#[tokio::test]
async fn a_dialogue_begins_with_a_name_and_a_password() {
    let server = TestServer::start().await;
    let page = server.page().await;
    for application in [None, Some("Time Sheets")] {
        let start = page.start(application).await;
        start.expect(200, "success", None).waits(&["credSubmit"], &["USERNAME_PASSWORD"]);
        assert_eq!(start.body["USERNAME_PASSWORD"], json!({ "credentials": ["username", "password"] }));
        assert_eq!(
            has(&start),
            ["USERNAME_PASSWORD", "ecId", "nextAuthFactors", "nextOp", "requestState", "status"],
            "nothing of providers or staying signed in, where there is none"
        );
        let (text, mac) = start.state().split_once('~').unwrap();
        assert!(text.len() >= 256 && mac.len() == 43 && !start.state().contains('='), "{}", start.state());
        let ecid = start.body["ecId"].as_str().unwrap();
        assert!(ecid.len() == 17 && ecid.ends_with("000000000"), "{ecid}");
    }
    let (_, page) = world::start().await;
    assert_eq!(page.start(None).await.body["keepMeSignedInEnabled"], true);
    // The media type of a GET is nobody's business.
    let reply = page.ask("GET", AUTHENTICATE).header("content-type", "application/json").send().await;
    Step::of(&reply).waits(&["credSubmit"], &["USERNAME_PASSWORD"]);
}

#[tokio::test]
async fn preflights_need_no_token() {
    let (server, _) = world::start().await;
    let reply = server
        .ask("OPTIONS", AUTHENTICATE)
        .header("origin", "http://localhost:3000")
        .header("access-control-request-method", "POST")
        .send()
        .await;
    assert_eq!(reply.status, 200);
    let allowed = reply.header("access-control-allow-headers").to_lowercase();
    for name in ["authorization", "content-type", "accept"] {
        assert!(allowed.contains(name), "{allowed}");
    }
    assert_eq!(server.ask("OPTIONS", AUTHENTICATE).send().await.status, 200);
}

#[test]
fn a_password_alone_ends_with_a_token() {
    on_both(async |store| {
        let server = world::setup().start_on(store).await;
        let page = server.page().await;
        for application in [None, Some(PLAIN)] {
            let done = page.password(application, NAME, PASSWORD).await;
            let (header, claims) = decode(done.token());
            assert_eq!((&header["kid"], &claims["tok_type"]), (&json!("SIGNING_KEY"), &json!("IT")));
            assert_eq!((&claims["sub"], &claims["user_id"]), (&json!(NAME), &json!(world::ID)));
            assert_eq!(claims["amr"], json!(["USERNAME_PASSWORD"]));
            assert_eq!(has(&done), ["authnToken", "ecId", "status"]);
        }
    });
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_look_the_same() {
    let (_, page) = world::start().await;
    let mut bodies = Vec::new();
    for (name, password) in [(NAME, "wrong"), ("nobody@example.com", PASSWORD)] {
        let wrong = page.password(None, name, password).await;
        wrong.expect(401, "failed", Some("AUTH-3001")).waits(&["credSubmit"], &["USERNAME_PASSWORD"]);
        assert_eq!(
            has(&wrong),
            ["USERNAME_PASSWORD", "cause", "ecId", "nextAuthFactors", "nextOp", "requestState", "status"]
        );
        let mut body = wrong.body;
        assert_eq!(body["requestState"].as_str().unwrap().len(), {
            let start = page.start(None).await;
            start.state().len()
        });
        body["requestState"] = Value::Null;
        body["ecId"] = Value::Null;
        bodies.push(body);
    }
    assert_eq!(bodies[0], bodies[1]);
}

#[tokio::test]
async fn a_state_serves_again_after_a_failure_and_so_does_the_new_one() {
    let (_, page) = world::start().await;
    let start = page.start(None).await;
    let with = |password: &str| json!({ "username": NAME, "password": password });
    let wrong = page.credentials(&start, None, with("wrong")).await;
    page.credentials(&wrong, None, with(PASSWORD)).await.token();
    page.credentials(&start, None, with(PASSWORD)).await.token();
    // The sign-in page puts more into the credentials.
    let more = json!({ "username": NAME, "password": PASSWORD, "origin": "https://app.example.test", "keepMeSignedIn": false });
    page.credentials(&start, Some("USERNAME_PASSWORD"), more).await.token();
}

#[tokio::test]
async fn codes_that_are_sent_are_sent_at_once_and_may_be_sent_again() {
    let (server, page) = world::start().await;
    let asked = second(&page).await;
    asked.expect(200, "success", None).waits(&SECOND, &["SMS"]);
    assert_eq!(asked.body["SMS"], json!({ "credentials": ["otpCode"] }));
    assert_eq!(asked.body["displayName"], "+44XXXXXXX210");
    assert_eq!(asked.body["scenario"], "AUTHENTICATION");
    assert_eq!(asked.body["trustedDeviceSettings"], json!({ "trustDurationInDays": 0 }), "asked for every time");
    let first = server.code(NUMBER).await;
    let wrong = page.credentials(&asked, Some("SMS"), json!({ "otpCode": "x" })).await;
    wrong.expect(401, "failed", Some("AUTH-1105")).waits(&SECOND, &["SMS"]);
    assert_eq!((&wrong.body["SMS"], &wrong.body["displayName"]), (&asked.body["SMS"], &asked.body["displayName"]));
    let again = page.submit(&wrong, json!({ "op": "resendCode" })).await;
    again.expect(200, "success", None).waits(&SECOND, &["SMS"]);
    assert!(!again.has("displayName"));
    let newest = server.code(NUMBER).await;
    // Only the newest is good, by whichever state it comes.
    if first != newest {
        page.credentials(&again, None, json!({ "otpCode": first })).await.expect(401, "failed", Some("AUTH-1105"));
    }
    let done = page.credentials(&asked, None, json!({ "otpCode": newest })).await;
    let (_, claims) = decode(done.token());
    assert_eq!(claims["amr"], json!(["USERNAME_PASSWORD", "SMS"]));
    // What is over is over.
    page.credentials(&asked, None, json!({ "otpCode": newest })).await.expect(401, "failed", Some("AUTH-1036"));
}

#[tokio::test]
async fn a_code_may_come_as_a_number() {
    let (server, page) = world::start().await;
    let asked = second(&page).await;
    let code = server.code(NUMBER).await;
    let sent = if code.starts_with('0') { json!(code) } else { json!(code.parse::<u64>().unwrap()) };
    page.credentials(&asked, Some("SMS"), json!({ "otpCode": sent })).await.token();
}

#[tokio::test]
async fn the_list_shows_every_factor_with_its_devices() {
    let (server, page) = world::start().await;
    world::questions(&server).await;
    let asked = second(&page).await;
    let list = page.submit(&asked, json!({ "op": "getBackupFactors" })).await;
    list.expect(200, "success", None);
    assert_eq!(list.list("nextOp"), PLAIN_SECOND);
    let mut factors = list.list("nextAuthFactors");
    assert_eq!((factors[0], factors.last()), ("SMS", Some(&"BYPASSCODE")), "the proposed one in front");
    factors.sort_unstable();
    assert_eq!(factors, ["BYPASSCODE", "EMAIL", "PHONE_CALL", "SECURITY_QUESTIONS", "SMS", "TOTP"]);
    let device = |id: &str, name: &str| json!([{ "deviceId": id, "displayName": name }]);
    assert_eq!(
        list.body["SMS"],
        json!({ "credentials": ["deviceId"],
                "enrolledDevices": [{ "deviceId": SMS, "displayName": "+44XXXXXXX210", "preferred": true }] })
    );
    assert_eq!(
        list.body["EMAIL"],
        json!({ "credentials": ["preferred", "deviceId"], "enrolledDevices": device(EMAIL, "t.uXXXX@example.com") })
    );
    assert_eq!(
        list.body["TOTP"],
        json!({ "credentials": ["otpCode", "preferred", "deviceId"], "enrolledDevices": device(TOTP, "Test's Phone") })
    );
    assert_eq!(
        list.body["PHONE_CALL"],
        json!({ "credentials": ["preferred", "deviceId"], "enrolledDevices": device(CALL, "+1XXXXXXX234") })
    );
    assert_eq!(list.body["BYPASSCODE"], json!({ "credentials": ["bypassCode"] }));
    let questions = &list.body["SECURITY_QUESTIONS"];
    assert_eq!(questions["credentials"], json!(["questionId", "answer", "preferred"]));
    assert_eq!(
        questions["questions"],
        json!([
            { "questionId": "firstPet", "text": "What was your first pet called?" },
            { "questionId": "firstCar", "text": "What was your first car?" }
        ])
    );
}

#[tokio::test]
async fn another_factor_is_chosen_with_the_state_of_the_one_before() {
    let (server, page) = world::start().await;
    world::questions(&server).await;
    // One step: a code of the authenticator, with its device, without, and with an empty one.
    for device in [json!(TOTP), json!(""), Value::Null] {
        server.world.advance(120);
        let asked = second(&page).await;
        page.submit(&asked, json!({ "op": "getBackupFactors" })).await;
        let sent = json!({ "deviceId": device, "otpCode": passcode(&server) });
        page.credentials(&asked, Some("TOTP"), sent).await.token();
    }
    // Two steps: the code is sent, and may come with its device or alone.
    for more in [json!({}), json!({ "deviceId": EMAIL })] {
        let asked = second(&page).await;
        let chosen = page.credentials(&asked, Some("EMAIL"), json!({ "deviceId": EMAIL })).await;
        chosen.expect(200, "success", None).waits(&SECOND, &[]);
        assert_eq!(chosen.body["EMAIL"], json!({ "credentials": ["otpCode"] }));
        assert!(!chosen.has("SMS"), "exactly one factor");
        let mut sent = more.clone();
        sent["otpCode"] = json!(server.code("t.user@example.com").await);
        page.credentials(&chosen, None, sent).await.token();
    }
    // Questions are answered as the list has them.
    let asked = second(&page).await;
    let right = json!({ "questions": answers("rex ", "FIAT 500") });
    page.credentials(&asked, Some("SECURITY_QUESTIONS"), right).await.token();
}

#[tokio::test]
async fn a_failed_backup_lists_all_factors_in_short() {
    let (server, page) = world::start().await;
    world::questions(&server).await;
    let asked = second(&page).await;
    for (factor, sent, code) in [
        ("TOTP", json!({ "otpCode": "000000" }), "AUTH-1105"),
        ("BYPASSCODE", json!({ "bypassCode": "314159265358" }), "AUTH-1105"),
        ("SECURITY_QUESTIONS", json!({ "questions": answers("no", "neither") }), "AUTH-1026"),
    ] {
        let wrong = page.credentials(&asked, Some(factor), sent).await;
        wrong.expect(401, "failed", Some(code));
        assert_eq!(wrong.list("nextOp"), PLAIN_SECOND, "{factor}");
        assert_eq!(wrong.list("nextAuthFactors").len(), 6, "{}", wrong.body);
        assert_eq!(wrong.body["SMS"], json!({ "credentials": ["otpCode"] }));
        assert_eq!(wrong.body["BYPASSCODE"], json!({ "credentials": ["bypassCode"] }));
        assert_eq!(wrong.body["SECURITY_QUESTIONS"]["credentials"], json!(["questionId", "answer"]));
        assert!(!wrong.body.to_string().contains("enrolledDevices"));
        wrong.state();
    }
    // None of it spoiled what was asked for first.
    let code = server.code(NUMBER).await;
    page.credentials(&asked, Some("SMS"), json!({ "otpCode": code })).await.token();
}

#[tokio::test]
async fn what_is_made_preferred_is_proposed_the_next_time() {
    let (server, page) = world::start().await;
    let asked = second(&page).await;
    let sent = json!({ "deviceId": TOTP, "otpCode": passcode(&server), "preferred": true });
    page.credentials(&asked, Some("TOTP"), sent).await.token();
    server.world.advance(60);
    let asked = second(&page).await;
    asked.expect(200, "success", None).waits(&PLAIN_SECOND, &["TOTP"]);
    assert_eq!(
        (&asked.body["TOTP"], &asked.body["displayName"]),
        (&json!({ "credentials": ["otpCode"] }), &json!("Test's Phone"))
    );
    let list = page.submit(&asked, json!({ "op": "getBackupFactors" })).await;
    assert_eq!(list.body["TOTP"]["credentials"], json!(["otpCode", "deviceId"]));
    assert_eq!(list.body["SMS"]["credentials"], json!(["preferred", "deviceId"]));
    // Said where the code is asked for, it counts once the code is right.
    let chosen = page.credentials(&asked, Some("EMAIL"), json!({ "deviceId": EMAIL, "preferred": true })).await;
    let code = server.code("t.user@example.com").await;
    page.credentials(&chosen, None, json!({ "otpCode": "no" })).await.expect(401, "failed", Some("AUTH-1105"));
    server.world.advance(60);
    second(&page).await.waits(&PLAIN_SECOND, &["TOTP"]);
    page.credentials(&chosen, None, json!({ "otpCode": code })).await.token();
    second(&page).await.waits(&SECOND, &["EMAIL"]);
}

#[tokio::test]
async fn questions_are_asked_and_answered() {
    let (server, page) = world::start().await;
    world::questions(&server).await;
    let asked = second(&page).await;
    let sent = json!({ "questions": [
        { "questionId": "firstPet", "answer": "Rex", "preferred": true }, { "questionId": "firstCar", "answer": "fiat 500" }
    ] });
    page.credentials(&asked, Some("SECURITY_QUESTIONS"), sent).await.token();
    let asked = second(&page).await;
    asked.expect(200, "success", None).waits(&PLAIN_SECOND, &["SECURITY_QUESTIONS"]);
    assert_eq!(asked.body["SECURITY_QUESTIONS"]["credentials"], json!(["questionId", "answer"]));
    assert_eq!(asked.body["SECURITY_QUESTIONS"]["questions"].as_array().unwrap().len(), 2);
    assert!(!asked.has("displayName"));
    let wrong = json!({ "questions": answers("Rex", "bicycle") });
    let wrong = page.credentials(&asked, Some("SECURITY_QUESTIONS"), wrong).await;
    wrong.expect(401, "failed", Some("AUTH-1026")).waits(&PLAIN_SECOND, &["SECURITY_QUESTIONS"]);
    assert_eq!(wrong.body["SECURITY_QUESTIONS"], asked.body["SECURITY_QUESTIONS"]);
    page.credentials(&asked, None, json!({ "questions": answers("Rex", "Fiat 500") })).await.token();
}

#[tokio::test]
async fn a_bypass_code_is_good_once() {
    let (server, page) = world::start().await;
    let view = server.app.directories.current().tenant(&server.tenant()).unwrap().clone();
    let sign_ins = countersign::signin::SignIns { app: &server.app, tenant: &view };
    let codes = sign_ins.issue_bypass_codes(&world::ID.into(), 2, None).await.unwrap();
    for expected in [None, Some("AUTH-1105")] {
        let asked = second(&page).await;
        let sent = json!({ "bypassCode": codes[0].expose() });
        let done = page.credentials(&asked, Some("BYPASSCODE"), sent).await;
        match expected {
            None => drop(done.token()),
            Some(code) => drop(done.expect(401, "failed", Some(code))),
        }
    }
    // Known by its credential alone.
    let asked = second(&page).await;
    page.credentials(&asked, None, json!({ "bypassCode": codes[1].expose() })).await.token();
}

#[tokio::test]
async fn a_name_alone_begins_where_policy_has_it_so() {
    let (server, page) = world::start().await;
    let start = page.start(Some(NAME_FIRST)).await;
    start.waits(&["credSubmit"], &["USERNAME"]);
    assert_eq!(start.body["USERNAME"], json!({ "credentials": ["username"] }));
    for factor in [None, Some("USERNAME")] {
        let asked = page.credentials(&start, factor, json!({ "username": NAME })).await;
        asked.expect(200, "success", None).waits(&SECOND, &["EMAIL", "USERNAME"]);
        assert_eq!(
            (&asked.body["displayName"], &asked.body["EMAIL"]),
            (&json!("t.uXXXX@example.com"), &json!({ "credentials": ["otpCode"] }))
        );
        assert!(!asked.has("trustedDeviceSettings"), "nobody has proved anything yet");
        let wrong = page.credentials(&asked, None, json!({ "otpCode": "no" })).await;
        wrong.expect(401, "failed", Some("AUTH-1105")).waits(&SECOND, &["EMAIL", "USERNAME"]);
        let code = server.code("t.user@example.com").await;
        let done = page.credentials(&asked, None, json!({ "otpCode": code })).await;
        assert_eq!(decode(done.token()).1["amr"], json!(["EMAIL"]));
    }
    // The list, and another factor.
    let asked = page.credentials(&start, None, json!({ "username": NAME })).await;
    let members = json!({ "op": "getBackupFactors", "authFactor": "USERNAME", "credentials": { "username": NAME } });
    for before in [&start, &asked] {
        let list = page.submit(before, members.clone()).await;
        assert_eq!(list.list("nextAuthFactors"), ["EMAIL", "TOTP"], "{}", list.body);
        assert!(!list.body.to_string().contains("Test's"), "a name alone learns no other");
        server.world.advance(60);
        let sent = json!({ "username": NAME, "deviceId": TOTP, "otpCode": passcode(&server) });
        page.credentials(&list, Some("TOTP"), sent).await.token();
    }
}

#[tokio::test]
async fn attack_39_a_name_nobody_has_is_asked_for_a_code_too() {
    let (_, page) = world::start().await;
    let mut seen = Vec::new();
    for name in [NAME, "nob.ody@example.com"] {
        let start = page.start(Some(NAME_FIRST)).await;
        let asked = page.credentials(&start, None, json!({ "username": name })).await;
        let wrong = page.credentials(&asked, None, json!({ "otpCode": "123456" })).await;
        let again = page.submit(&asked, json!({ "op": "resendCode" })).await;
        let shape = |step: &Step| {
            let mut body = step.body.clone();
            for member in ["requestState", "ecId", "displayName"] {
                if body.get(member).is_some() {
                    body[member] = json!("-");
                }
            }
            (step.status, body)
        };
        seen.push([shape(&asked), shape(&wrong), shape(&again)]);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn more_may_be_asked_for_after_a_name_and_a_code() {
    let (server, page) = world::start().await;
    let start = page.start(Some(TWO)).await;
    let asked = page.credentials(&start, None, json!({ "username": NAME })).await;
    asked.waits(&SECOND, &["SMS", "USERNAME"]);
    let code = server.code(NUMBER).await;
    let second = page.credentials(&asked, None, json!({ "otpCode": code })).await;
    second.expect(200, "success", None).waits(&PLAIN_SECOND, &["TOTP"]);
    let done = page.credentials(&second, None, json!({ "otpCode": passcode(&server) })).await;
    assert_eq!(decode(done.token()).1["amr"], json!(["SMS", "TOTP"]));
}

#[tokio::test]
async fn a_trusted_device_is_asked_for_no_second_factor() {
    let (server, page) = world::start().await;
    let asked = page.password(Some(DEVICE), NAME, PASSWORD).await;
    asked.waits(&PLAIN_SECOND, &["TOTP"]);
    assert_eq!(asked.body["trustedDeviceSettings"], json!({ "trustDurationInDays": 15 }));
    let members = json!({
        "op": "credSubmit", "credentials": { "otpCode": passcode(&server) },
        "trustedDevice": true, "trustedDeviceDisplayName": "Firefox on Linux"
    });
    let done = page.submit(&asked, members).await;
    done.token();
    let token = done.body["trustToken"].as_str().unwrap();
    let with = |name: &str, password: &str, token: &str| json!({ "op": "credSubmit", "trustToken": token, "credentials": { "username": name, "password": password } });
    let start = page.start(Some(DEVICE)).await;
    page.submit(&start, with(NAME, PASSWORD, token)).await.token();
    // Not another person's, and not an invented one.
    page.submit(&start, with(NAME, "wrong", token)).await.expect(401, "failed", Some("AUTH-3001"));
    page.submit(&start, with(NAME, PASSWORD, &"x".repeat(token.len()))).await.waits(&PLAIN_SECOND, &["TOTP"]);
    // Not where another application asks every time.
    let start = page.start(Some(MFA)).await;
    page.submit(&start, with(NAME, PASSWORD, token)).await.waits(&SECOND, &["SMS"]);
}

#[tokio::test]
async fn who_stays_signed_in_comes_back_without_a_password() {
    let (server, page) = world::start().await;
    let start = page.start(Some(PLAIN)).await;
    let members = json!({
        "op": "credSubmit", "credentials": { "username": NAME, "password": PASSWORD },
        "keepMeSignedIn": true, "kmsiDeviceDisplayName": "Firefox on Linux"
    });
    let done = page.submit(&start, members).await;
    done.token();
    let token = done.body["kmsiToken"].as_str().unwrap().to_owned();
    server.world.advance(3600);
    // With a state, without one, with and without the name of the factor.
    let start = page.start(Some(PLAIN)).await;
    let back = page.submit(&start, json!({ "op": "credSubmit", "kmsiToken": token })).await;
    back.token();
    let next = back.body["kmsiToken"].as_str().unwrap().to_owned();
    assert_ne!(next, token, "it is replaced");
    let alone = json!({ "op": "credSubmit", "authFactor": "KMSI", "appName": PLAIN, "kmsiToken": next });
    page.send(&alone).await.token();
    // Not for another application.
    let start = page.start(Some(DEVICE)).await;
    let foreign = page.submit(&start, json!({ "op": "credSubmit", "kmsiToken": next })).await;
    foreign.expect(401, "failed", Some("AUTH-3008")).waits(&["credSubmit"], &["USERNAME_PASSWORD"]);
    let invented = page.send(&json!({ "op": "credSubmit", "appName": PLAIN, "kmsiToken": "x".repeat(64) })).await;
    invented.expect(401, "failed", Some("AUTH-3008"));
}

#[tokio::test]
async fn who_stays_signed_in_still_proves_the_second_factor() {
    let (server, page) = world::start().await;
    let start = page.start(Some(DEVICE)).await;
    let members = json!({
        "op": "credSubmit", "authFactor": "USERNAME_PASSWORD",
        "credentials": { "username": NAME, "password": PASSWORD, "keepMeSignedIn": true }
    });
    let asked = page.submit(&start, members).await;
    let done = page.credentials(&asked, None, json!({ "otpCode": passcode(&server) })).await;
    done.token();
    let token = done.body["kmsiToken"].as_str().unwrap();
    server.world.advance(3600);
    let asked = page.send(&json!({ "op": "credSubmit", "appName": DEVICE, "kmsiToken": token })).await;
    asked.waits(&PLAIN_SECOND, &["TOTP"]);
    assert!(asked.body["kmsiToken"].is_string(), "the one that came is replaced whatever follows");
    let done = page.credentials(&asked, None, json!({ "otpCode": passcode(&server) })).await;
    done.token();
    assert_eq!(done.body["kmsiToken"], asked.body["kmsiToken"]);
}

#[tokio::test]
async fn a_passkey_is_proved_as_the_sign_in_page_does_it() {
    let (server, page) = world::start().await;
    let mut browser = server.passkey_of(world::ID).await;
    let start = page.start(Some(PASSKEY)).await;
    let sent = json!({ "username": NAME, "password": PASSWORD, "origin": ACME.origin });
    let asked = page.credentials(&start, Some("USERNAME_PASSWORD"), sent).await;
    asked.expect(200, "success", None).waits(&PLAIN_SECOND, &["FIDO_AUTHENTICATOR"]);
    let object = &asked.body["FIDO_AUTHENTICATOR"];
    assert_eq!(object["credentials"], json!(["fidoAssertion"]));
    let wrong =
        json!({ "fidoAssertion": "{\"id\":\"AAAA\",\"rawId\":\"AAAA\",\"type\":\"public-key\",\"response\":{}}" });
    page.credentials(&asked, None, wrong).await.expect(401, "failed", Some("AUTH-1105"));
    let assertion = answer(&mut browser, &object["fidoData"]).await;
    let members = json!({ "op": "credSubmit", "origin": ACME.origin, "credentials": { "fidoAssertion": assertion, "consent": true } });
    let done = page.submit(&asked, members).await;
    assert_eq!(decode(done.token()).1["amr"], json!(["USERNAME_PASSWORD", "FIDO_AUTHENTICATOR"]));
}

/// What the sign-in page does with the options: one byte for each character of the challenge, standard base64 for credentials.
pub async fn answer(browser: &mut Browser, data: &Value) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let value = |name: &str| {
        let all = data.as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {data}"))["value"].clone()
    };
    let text = value("challenge");
    let text = text.as_str().unwrap();
    assert!(text.is_ascii() && text.len() >= 16 && !text.contains(['\\', '<', '>', '"']), "{text}");
    let allowed: Vec<Value> = value("allowCredentials")
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let id = STANDARD.decode(one["id"].as_str().unwrap()).unwrap();
            json!({ "type": one["type"], "id": URL_SAFE_NO_PAD.encode(id) })
        })
        .collect();
    assert_eq!(allowed.len(), 1);
    let options = json!({
        "challenge": URL_SAFE_NO_PAD.encode(text.as_bytes()),
        "rpId": value("rpId"),
        "timeout": value("timeout"),
        "userVerification": value("authSelectionUserVerification"),
        "allowCredentials": allowed,
    });
    browser.get(ACME.origin, &options).await.unwrap().to_string()
}

#[tokio::test]
async fn who_may_not_is_told_so_once_the_password_is_right() {
    let (_, page) = world::start().await;
    for (application, code) in [(CLOSED, "AUTH-3033"), (ASSIGNED, "AUTH-3024")] {
        let refused = page.password(Some(application), NAME, PASSWORD).await;
        refused.expect(401, "failed", Some(code));
        assert!(!refused.has("nextOp") && !refused.has("requestState"), "{}", refused.body);
        page.password(Some(application), NAME, "wrong").await.expect(401, "failed", Some("AUTH-3001"));
    }
}

#[tokio::test]
async fn a_password_that_is_due_names_the_person_and_the_state_serves_for_the_new_one() {
    let server = world::setup()
        .replace("[tenant.settings.look]", "[tenant.settings.password]\nexpires_days = 30\n\n[tenant.settings.look]")
        .start()
        .await;
    let page = server.page().await;
    page.password(None, NAME, PASSWORD).await.token();
    server.world.advance(31 * 86_400);
    let page = server.page().await;
    let start = page.start(None).await;
    let with = |password: &str| json!({ "username": NAME, "password": password });
    page.credentials(&start, None, with("wrong")).await.expect(401, "failed", Some("AUTH-3001"));
    let due = page.credentials(&start, None, with(PASSWORD)).await;
    due.expect(401, "failed", Some("AUTH-3004"));
    assert_eq!(due.body["userId"], world::ID);
    due.state();
    let view = server.app.directories.current().tenant(&server.tenant()).unwrap().clone();
    let sign_ins = countersign::signin::SignIns { app: &server.app, tenant: &view };
    let user = sign_ins.person(&world::ID.into()).await.unwrap().unwrap();
    sign_ins.reset_password(&user, "Another-Secret-2".into(), false).await.unwrap();
    page.credentials(&start, None, with("Another-Secret-2")).await.token();
    // One that was set for one use must be changed.
    let user = sign_ins.person(&world::ID.into()).await.unwrap().unwrap();
    sign_ins.reset_password(&user, "Only-For-Once-3".into(), true).await.unwrap();
    let due = page.credentials(&start, None, with("Only-For-Once-3")).await;
    due.expect(401, "failed", Some("AUTH-3005"));
    assert_eq!(due.body["userId"], world::ID);
}

/// A sign-in page forwards the address of its person; rules look at it as far as its client is believed.
#[tokio::test]
async fn the_address_that_a_trusted_page_forwards_is_judged() {
    let inside = "[{ type = \"ipAddress\", opCode = \"NOMATCH\", values = [\"10.0.0.0/8\"] }]";
    let rules = [
        rule("First", true, "[]", "ACTION_MFA_ALWAYS", "[\"password\"]"),
        rule("Outside", false, inside, "ACTION_DENY", "[]"),
        rule("Inside", false, "[]", "ACTION_ALLOW", "[]"),
    ];
    let server = world::setup()
        .add(&policy(610_040, &rules))
        .add(&client("app-inside", "s", "name = \"Inside\"\ngrant_types = []\npolicy = 610040"))
        .start()
        .await;
    let page = server.page().await;
    let from = async |address: &str| {
        let start = page.start(Some("Inside")).await;
        let members = json!({
            "op": "credSubmit", "ipAddress": address, "credentials": { "username": NAME, "password": PASSWORD }
        });
        page.submit(&start, members).await
    };
    from("10.1.2.3").await.token();
    from("198.51.100.9").await.expect(401, "failed", Some("AUTH-3033"));
    server.change_client(crate::support::oracle::CLIENT, |client| client.trusted_to_forward = false).await;
    from("10.1.2.3").await.expect(401, "failed", Some("AUTH-3033"));
}

/// The order of the stages: the second factor, what recovers the account, the terms, the token.
#[tokio::test]
async fn the_stages_follow_each_other_in_order() {
    let server = world::setup()
        .replace("[tenant.settings.oracle]", "[tenant.settings.oracle]\naccount_recovery = [\"questions\"]")
        .replace(
            "[tenant.settings.look]",
            "[tenant.settings.terms.house]\nname = \"House rules\"\nstatements = [\"house-en\"]\n\
             [tenant.settings.terms_statements.house-en]\nlocale = \"en\"\nstatement = \"Be kind.\"\n\n[tenant.settings.look]",
        )
        .start()
        .await;
    server.change_client("app-mfa", |client| drop(client.extra.insert("termsOfUse".to_owned(), json!("house")))).await;
    let page = server.page().await;
    let asked = second(&page).await;
    asked.waits(&SECOND, &["SMS"]);
    let code = server.code(NUMBER).await;
    let recovery = page.credentials(&asked, None, json!({ "otpCode": code })).await;
    recovery.waits(&["createToken", "createSession", "enrollment"], &["SECURITY_QUESTIONS"]);
    assert_eq!(recovery.body["accRecEnrollmentRequired"], true);
    let terms = page.submit(&recovery, json!({ "op": "createToken" })).await;
    terms.waits(&["acceptTOU"], &[]);
    page.submit(&terms, json!({ "op": "acceptTOU", "credentials": { "consent": true } })).await.token();
}

#[tokio::test]
async fn terms_are_put_before_the_person_and_accepted_once() {
    let terms = "[tenant.settings.terms.house]\nname = \"House rules\"\nstatements = [\"house-en\", \"house-de\"]\n\
                 [tenant.settings.terms_statements.house-en]\nlocale = \"en\"\nstatement = \"Be kind.\"\n\
                 [tenant.settings.terms_statements.house-de]\nlocale = \"de\"\nstatement = \"Sei nett.\"\n\n\
                 [tenant.settings.look]";
    let server = world::setup().replace("[tenant.settings.look]", terms).start().await;
    server
        .change_client("app-plain", |client| {
            client.extra.insert("termsOfUse".to_owned(), json!("house"));
        })
        .await;
    let page = server.page().await;
    let asked = page.password(Some(PLAIN), NAME, PASSWORD).await;
    asked.expect(200, "success", None).waits(&["acceptTOU"], &[]);
    assert_eq!(asked.body["TOU"], json!({ "statement": "Be kind.", "credentials": ["consent"], "locale": "en" }));
    let consent = |consent: Value| json!({ "op": "acceptTOU", "credentials": { "consent": consent } });
    let refused = page.submit(&asked, consent(json!(false))).await;
    refused.expect(401, "failed", Some("AUTH-3035"));
    assert!(!refused.has("requestState"));
    let missing = page.submit(&asked, json!({ "op": "acceptTOU" })).await;
    missing.expect(422, "failed", Some("AUTH-1111")).waits(&["acceptTOU"], &[]);
    page.submit(&asked, json!({ "op": "createToken" })).await.expect(400, "failed", Some("AUTH-1116"));
    page.submit(&asked, consent(json!(true))).await.token();
    page.submit(&asked, consent(json!(true))).await.expect(401, "failed", Some("AUTH-1036"));
    page.password(Some(PLAIN), NAME, PASSWORD).await.token();
}

#[tokio::test]
async fn terms_that_nobody_translated_let_nobody_in() {
    let terms = "[tenant.settings.terms.house]\nname = \"House rules\"\nstatements = [\"house-fr\"]\n\
                 [tenant.settings.terms_statements.house-fr]\nlocale = \"fr\"\nstatement = \"Soyez gentils.\"\n\n\
                 [tenant.settings.look]";
    let server = world::setup().replace("[tenant.settings.look]", terms).start().await;
    server
        .change_client("app-plain", |client| {
            client.extra.insert("termsOfUse".to_owned(), json!("house"));
        })
        .await;
    let page = server.page().await;
    let none = page.password(Some(PLAIN), NAME, PASSWORD).await;
    none.expect(401, "failed", Some("AUTH-3036"));
    assert!(!none.has("requestState"));
    let start = page.start(Some(PLAIN)).await;
    let body = json!({
        "op": "credSubmit", "requestState": start.state(), "credentials": { "username": NAME, "password": PASSWORD }
    });
    let asked = page.ask("POST", AUTHENTICATE).header("accept-language", "fr-CH, de;q=0.5").json(&body).send().await;
    assert_eq!(Step::of(&asked).body["TOU"]["locale"], "fr");
}
