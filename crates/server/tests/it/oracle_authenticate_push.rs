//! Approval on the phone at the Authenticate API: the vendor's printed exchange, and everything that a phone may say.

use serde_json::{Value, json};

use crate::factors_push::Phone;
use crate::support::oracle::world::{self, NAME, PASSWORD};
use crate::support::oracle::{AUTHENTICATE, Page, Step};
use crate::support::{Setup, TestServer, client, names, policy, rule};

const PLAIN_SECOND: [&str; 2] = ["credSubmit", "getBackupFactors"];
const APP: &str = "Phones";

pub fn setup() -> Setup {
    let first = rule("First", true, "[]", "ACTION_MFA_ALWAYS", "[\"password\"]");
    let after = rule("After", false, "[]", "ACTION_MFA_PER_DEVICE", "[\"signatures\", \"totp\", \"smsotp\"]");
    world::setup()
        .add(&policy(610_020, &[first, after]))
        .add(&client("app-phones", "s", &format!("name = {APP:?}\ngrant_types = []\npolicy = 610020")))
        .add(&client("app-phone-first", "s", "name = \"Phone First\"\ngrant_types = []\npolicy = 610021"))
        .add(&policy(
            610_021,
            &[
                rule("First", true, "[]", "ACTION_MFA_ALWAYS", "[\"signatures\"]"),
                rule("After", false, "[]", "ACTION_ALLOW", "[]"),
            ],
        ))
}

/// A password was right, and the phone rings.
async fn ringing() -> (TestServer, Page, Phone, Step) {
    let server = setup().start().await;
    let phone = Phone::register(&server, world::ID, "userPresence").await;
    let page = server.page().await;
    let asked = page.password(Some(APP), NAME, PASSWORD).await;
    (server, page, phone, asked)
}

async fn poll(page: &Page, before: &Step) -> Step {
    page.submit(before, json!({ "op": "credSubmit" })).await
}

/// The poll of the vendor's sign-in page.
async fn page_poll(page: &Page, before: &Step) -> Step {
    let members = json!({
        "op": "credSubmit", "authFactor": "PUSH", "credentials": {}, "trustedDevice": null,
        "trustedDeviceDisplayName": "Chrome on Windows 10"
    });
    page.submit(before, members).await
}

/// The names of the members that the vendor prints, which are all but the name of the request.
#[track_caller]
fn printed(step: &Step) -> Vec<&str> {
    let mut all = names(&step.body);
    all.retain(|name| !["ecId", "scenario"].contains(name));
    all.sort_unstable();
    all
}

#[tokio::test]
async fn the_printed_exchange_of_the_vendor() {
    let server = Setup::new()
        .add(&client(
            "helpdesk",
            "h",
            "grant_types = [\"client_credentials\"]\n\
             entitlements = [\"authnAnyUser\", \"manageEnrollMFAMethodAnyUser\", \"readEnrollMFAMethodAnyUser\"]",
        ))
        .start()
        .await;
    let phone = Phone::called(&server, "5d0b7f3c9e2a4c618f47b1d2a6e09c35", "userPresence", "Joe's iPhone").await;
    let page = server.page().await;
    // Step 1.
    let target = format!("{AUTHENTICATE}?appName=Payroll%20Portal");
    let begun = Step::of(&page.ask("GET", &target).header("content-type", "application/json").send().await);
    assert_eq!(printed(&begun), ["USERNAME_PASSWORD", "nextAuthFactors", "nextOp", "requestState", "status"]);
    assert_eq!(begun.body["nextOp"], json!(["credSubmit"]));
    assert_eq!(begun.body["USERNAME_PASSWORD"], json!({ "credentials": ["username", "password"] }));
    assert_eq!(begun.body["nextAuthFactors"], json!(["USERNAME_PASSWORD"]));
    assert_eq!(begun.body["status"], "success");
    // Step 2.
    let sent = format!(
        "{{\n  \"op\": \"credSubmit\",\n  \n  \"credentials\": {{\n    \"username\": \"joe@oracle.com\",\n    \
         \"password\": \"Welc0me@2\"\n  }},\n  \"requestState\": \"{}\"\n}}",
        begun.state()
    );
    let asked = Step::of(&page.ask("POST", AUTHENTICATE).body("application/json", sent).send().await);
    assert_eq!(asked.status, 200);
    assert_eq!(
        printed(&asked),
        ["cause", "displayName", "nextAuthFactors", "nextOp", "requestState", "status", "trustedDeviceSettings"]
    );
    assert_eq!(asked.body["status"], "pending");
    assert_eq!(asked.body["displayName"], "Joe's iPhone");
    assert_eq!(asked.body["nextAuthFactors"], json!(["PUSH"]));
    assert_eq!(
        asked.body["cause"],
        json!([{ "code": "AUTH-1108", "message": "Push Notification approval is pending." }])
    );
    assert_eq!(asked.body["nextOp"], json!(["credSubmit", "getBackupFactors"]));
    assert_eq!(asked.body["trustedDeviceSettings"], json!({ "trustDurationInDays": 15 }));
    // Joe allows it.
    let [waiting] = phone.waiting(&server).await.try_into().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(waiting["transactionData"].as_str().unwrap()).unwrap()["message"],
        "Sign in to Payroll Portal?"
    );
    phone.approves(&server, &waiting).await.expect_empty(204);
    // Step 3.
    let sent = format!("{{  \n   \"op\":\"credSubmit\",\n   \"requestState\":\"{}\"\n}}", asked.state());
    let done = Step::of(&page.ask("POST", AUTHENTICATE).body("application/json", sent).send().await);
    done.token();
    assert_eq!(printed(&done), ["authnToken", "status"]);
}

#[tokio::test]
async fn polls_wait_without_naming_the_factor_again() {
    let (server, page, phone, asked) = ringing().await;
    asked.expect(200, "pending", Some("AUTH-1108")).waits(&PLAIN_SECOND, &["PUSH"]);
    assert!(!asked.has("PUSH"));
    assert_eq!(asked.body["displayName"], "Pixel");
    // The same state as often as one likes, and overlapping.
    let (one, two) = tokio::join!(poll(&page, &asked), page_poll(&page, &asked));
    for waiting in [&one, &two, &poll(&page, &one).await] {
        waiting.expect(200, "pending", Some("AUTH-1108"));
        assert_eq!(waiting.list("nextOp"), PLAIN_SECOND);
        assert!(!waiting.has("nextAuthFactors") && !waiting.has("PUSH"), "{}", waiting.body);
    }
    assert_eq!(phone.waiting(&server).await.len(), 1, "a poll asks for nothing new");
    let [waiting] = phone.waiting(&server).await.try_into().unwrap();
    phone.approves(&server, &waiting).await.expect_empty(204);
    let (one, two) = tokio::join!(poll(&page, &asked), poll(&page, &one));
    let tokens = [&one, &two].iter().filter(|step| step.has("authnToken")).count();
    assert_eq!(tokens, 1, "{} {}", one.body, two.body);
    poll(&page, &asked).await.expect(401, "failed", Some("AUTH-1036"));
}

#[tokio::test]
async fn what_is_denied_or_not_answered_in_time_is_over() {
    let (server, page, phone, asked) = ringing().await;
    let [waiting] = phone.waiting(&server).await.try_into().unwrap();
    phone.says(&server, waiting["id"].as_str().unwrap(), "USER_DENIED", "", None).await.expect_empty(204);
    let denied = poll(&page, &asked).await;
    denied.expect(401, "failed", Some("AUTH-1007")).waits(&PLAIN_SECOND, &["PUSH"]);
    assert!(denied.has("trustedDeviceSettings") && denied.has("displayName"));
    poll(&page, &asked).await.expect(401, "failed", Some("AUTH-1007"));
    // Chosen again, it rings again.
    let again = page.credentials(&asked, Some("PUSH"), json!({ "deviceId": phone.id })).await;
    again.expect(200, "pending", Some("AUTH-1108"));
    assert_eq!(phone.waiting(&server).await.len(), 1);
    server.world.advance(121);
    poll(&page, &again).await.expect(401, "failed", Some("AUTH-1007"));
    // Another factor is still good.
    server.world.advance(60);
    let sent = json!({ "otpCode": world::passcode(&server) });
    page.credentials(&asked, Some("TOTP"), sent).await.token();
}

#[tokio::test]
async fn a_phone_chosen_as_backup_is_known_by_what_is_missing() {
    let (server, page, phone, asked) = ringing().await;
    // Text messages are preferred now.
    let sms = page.credentials(&asked, Some("SMS"), json!({ "deviceId": "", "preferred": true })).await;
    let code = server.code(world::NUMBER).await;
    page.credentials(&sms, None, json!({ "otpCode": code })).await.token();
    server.world.advance(130);
    let asked = page.password(Some(APP), NAME, PASSWORD).await;
    asked.waits(&["credSubmit", "getBackupFactors", "resendCode"], &["SMS"]);
    let list = page.submit(&asked, json!({ "op": "getBackupFactors" })).await;
    assert_eq!(
        list.body["PUSH"],
        json!({ "credentials": ["preferred", "deviceId"],
                "enrolledDevices": [{ "deviceId": phone.id, "displayName": "Pixel" }] })
    );
    let rings = page.credentials(&asked, Some("PUSH"), json!({ "deviceId": phone.id })).await;
    rings.expect(200, "pending", Some("AUTH-1108")).waits(&PLAIN_SECOND, &[]);
    assert!(!rings.has("PUSH") && !rings.has("SMS"));
    // The page polls with the state of the first challenge.
    page_poll(&page, &asked).await.expect(200, "pending", Some("AUTH-1108"));
    let [waiting] = phone.waiting(&server).await.try_into().unwrap();
    phone.approves(&server, &waiting).await.expect_empty(204);
    page_poll(&page, &asked).await.token();
}

#[tokio::test]
async fn attack_39_nobodys_phone_rings_as_long_as_any() {
    let (server, page, _, _) = ringing().await;
    let mut seen = Vec::new();
    for name in [NAME, "nobody@example.com"] {
        server.world.advance(700);
        let start = page.start(Some("Phone First")).await;
        let asked = page.credentials(&start, None, json!({ "username": name })).await;
        let waits = poll(&page, &asked).await;
        server.world.advance(121);
        let late = poll(&page, &asked).await;
        seen.push([&asked, &waits, &late].map(|step| {
            let mut body = step.body.clone();
            (body["ecId"], body["requestState"]) = (json!("-"), json!("-"));
            (step.status, body)
        }));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0][0].1["nextAuthFactors"], json!(["PUSH", "USERNAME"]));
}
