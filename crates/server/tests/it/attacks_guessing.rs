//! Guessing, telling and flooding: what a stranger may try, how often, and what the answers give away.
//! Numbers are those of the project's list of attack cases.

use std::collections::BTreeSet;

use protocol::records::TenantSettings;
use serde_json::{Value, json};
use store::Change;

use crate::support::{ACME, Cast, Challenge, Reply, Setup, TestServer, client, names, policy, rule, totp, user};

const POLICYAUTH: &str = "grant_types = [\"policyauth\", \"refresh_token\"]\npolicy_grants = { policyauth = true }";
const TOTP: &str = "/v2.0/factors/totp/9381dffe-3116-4d8d-bbe2-8ab36ccdafe5?returnJwt=true";
const TOTP_KEY: &[u8] = b"12345678901234567890";

/// A code that is not this one.
fn other_than(code: &str, number: usize) -> String {
    let wrong = format!("{number:06}");
    if wrong == code { "999999".to_owned() } else { wrong }
}

#[tokio::test]
async fn attack_36_a_code_dies_after_its_tries_and_a_fresh_one_does_not_refill_them() {
    let server = TestServer::start().await;
    let second = server.second_challenge().await;
    let started = server.start_code(&second.token).await;
    assert_eq!((&started["attempts"], &started["retries"]), (&json!(0), &json!(4)));
    let (id, right) = (started["id"].as_str().unwrap(), server.code(ACME.address).await);
    let path = format!("/v2.0/factors/emailotp/{}/verifications/{id}", ACME.email);
    for tried in 1..=5 {
        let reply = server.answer_code(&second.token, id, &other_than(&right, tried)).await;
        reply.factor_error(400, "CSIBN0021E");
        let shown = server.get(&path, &second.token).await.expect(200);
        let state = if tried < 5 { "PENDING" } else { "FAILED" };
        assert_eq!((&shown["attempts"], &shown["state"]), (&json!(tried), &json!(state)));
    }
    server.answer_code(&second.token, id, &right).await.factor_error(404, "CSIBN0028E");
    // A fresh code, here and in a new sign-in: the person's tries are used up all the same.
    for token in [second.token, server.second_challenge().await.token] {
        let started = server.start_code(&token).await;
        let right = server.code(ACME.address).await;
        let reply = server.answer_code(&token, started["id"].as_str().unwrap(), &right).await;
        reply.factor_error(400, "CSIBN0021E");
    }
    server.world.advance(60);
    server.sign_in().await;
}

#[tokio::test]
async fn attack_36_a_new_code_ends_the_one_before_it() {
    let server = TestServer::start().await;
    let second = server.second_challenge().await;
    let old = server.start_code(&second.token).await;
    let old_code = server.code(ACME.address).await;
    let new = server.start_code(&second.token).await;
    let new_code = server.code(ACME.address).await;
    let (old, new) = (old["id"].as_str().unwrap(), new["id"].as_str().unwrap());
    server.answer_code(&second.token, old, &old_code).await.factor_error(404, "CSIBN0028E");
    let path = format!("/v2.0/factors/emailotp/{}/verifications/{old}", ACME.email);
    assert_eq!(server.get(&path, &second.token).await.expect(200)["state"], "CANCELED");
    if old_code != new_code {
        server.answer_code(&second.token, new, &old_code).await.factor_error(400, "CSIBN0021E");
    }
    server.answer_code(&second.token, new, &new_code).await.expect(200);
}

#[tokio::test]
async fn attack_36_a_code_is_no_good_late_or_withdrawn() {
    let server = TestServer::start().await;
    let second = server.second_challenge().await;
    let started = server.start_code(&second.token).await;
    let (id, right) = (started["id"].as_str().unwrap(), server.code(ACME.address).await);
    server.world.advance(300);
    server.answer_code(&second.token, id, &right).await.factor_error(400, "CSIBN0025E");
    let started = server.start_code(&second.token).await;
    let (id, right) = (started["id"].as_str().unwrap(), server.code(ACME.address).await);
    let path = format!("/v2.0/factors/emailotp/{}/verifications/{id}", ACME.email);
    server.json("DELETE", &path, &second.token, &Value::Null).await.expect_empty(204);
    server.answer_code(&second.token, id, &right).await.factor_error(404, "CSIBN0028E");
    server.json("DELETE", &path, &second.token, &Value::Null).await.factor_error(404, "CSIBN0028E");
}

/// Six digits: one chance in a million a try. More than a hundred tries a day would be more than one in ten thousand.
#[tokio::test]
async fn attack_36_no_account_can_be_tried_more_than_a_hundred_times_a_day() {
    let server = TestServer::start().await;
    let settings = TenantSettings::default();
    let key = format!("email-otp:{}", ACME.admin.id);
    let start = server.world.now();
    let (mut now, mut tries) = (start, 0);
    while now < start + 86_400 {
        let charge = Change::Charge {
            key: key.clone(),
            limit: i64::from(settings.lock_after),
            rest: settings.lock_seconds,
            max_rest: settings.lock_max_seconds,
            at: now,
        };
        if server.store.commit(&server.tenant(), "test", vec![charge]).await.is_ok() {
            tries += 1;
        }
        now = now.max(server.store.attempts(&server.tenant(), &key).await.unwrap().rests_until);
    }
    assert!((settings.lock_after..=100).contains(&tries), "{tries} tries in a day");
}

/// A flow whose second challenge takes any factor.
async fn office(server: &TestServer) -> Challenge {
    let (_, assertion) = server.password_assertion().await;
    Challenge::of(&server.present(&assertion).await)
}

async fn office_server() -> TestServer {
    let mut server = TestServer::start().await;
    server.cast = Cast { client: "office-only", secret: "office-demo-secret", policy: 420_018, ..ACME };
    server
}

#[tokio::test]
async fn attack_37_a_generated_code_works_once_and_never_backwards() {
    let server = office_server().await;
    server.world.advance(90);
    let now = server.world.now();
    let (before, code) = (totp(TOTP_KEY, now - 30), totp(TOTP_KEY, now));
    let one = office(&server).await;
    let proved = server.json("POST", TOTP, &one.token, &json!({ "otp": code })).await.expect(200);
    server.present(proved["assertion"].as_str().unwrap()).await.expect(200);
    // Again: in the same sign-in, in another, at another node, and after the clock went back.
    let two = office(&server).await;
    server.json("POST", TOTP, &two.token, &json!({ "otp": code })).await.factor_error(400, "CSIBN0021E");
    let node = server.another().await;
    node.json("POST", TOTP, &two.token, &json!({ "otp": code })).await.factor_error(400, "CSIBN0021E");
    // One that was never used, but is older than the one accepted last.
    server.json("POST", TOTP, &two.token, &json!({ "otp": before })).await.factor_error(400, "CSIBN0021E");
    server.world.advance(-30);
    server.json("POST", TOTP, &two.token, &json!({ "otp": before })).await.factor_error(400, "CSIBN0021E");
    server.world.advance(60);
    let next = totp(TOTP_KEY, server.world.now());
    server.json("POST", TOTP, &two.token, &json!({ "otp": next })).await.expect(200);
}

#[tokio::test]
async fn attack_38_one_person_is_sent_so_many_messages_an_hour_and_no_more() {
    let server = TestServer::start().await;
    let path = format!("/v2.0/factors/emailotp/{}/verifications", ACME.email);
    let mut sent = 0;
    let mut token = server.second_challenge().await.token;
    let refused = loop {
        let reply = server.json("POST", &path, &token, &json!({})).await;
        if reply.status != 201 {
            break reply;
        }
        sent += 1;
        assert!(sent <= 10, "there is no end");
        if sent == 5 {
            token = server.second_challenge().await.token;
        }
    };
    refused.factor_error(400, "CSIBN0081E");
    assert_eq!(server.mail(ACME.address).await.len(), 10);
    // Another sign-in does not help, another hour does.
    let other = server.second_challenge().await;
    assert_eq!(server.json("POST", &path, &other.token, &json!({})).await, refused);
    server.world.advance(3600);
    let later = server.second_challenge().await;
    server.start_code(&later.token).await;
}

/// A client whose flows begin with a mailed code.
async fn passwordless() -> TestServer {
    let rules = [
        rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["emailotp", "totp", "fido2"]"#),
        rule("Through", false, "[]", "ACTION_ALLOW", "[]"),
    ];
    let mut server = Setup::new()
        .add(&policy(500_030, &rules))
        .add(&client("mailed", "s", &format!("policy = 500030\n{POLICYAUTH}")))
        .start()
        .await;
    server.cast = Cast { client: "mailed", secret: "s", policy: 500_030, ..ACME };
    server
}

/// The shape of an answer without what is different every time.
fn shape(reply: &Reply) -> (u16, Vec<(String, String)>, Vec<String>) {
    let headers = reply.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let body = reply.json();
    (reply.status.as_u16(), headers.collect(), names(&body).iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test]
async fn attack_38_nothing_is_sent_for_a_stranger_and_the_answer_is_the_same() {
    let server = passwordless().await;
    let path = "/v2.0/factors/emailotp/transient/verifications";
    let first = server.begin_inside().await;
    let known = server.json("POST", path, &first.token, &json!({ "emailAddress": "pat@acme.org" })).await;
    let first = server.begin_inside().await;
    let unknown = server.json("POST", path, &first.token, &json!({ "emailAddress": "pam@acme.org" })).await;
    assert_eq!(known.status, 201, "{}", known.text());
    assert_eq!(shape(&known), shape(&unknown));
    assert_eq!(server.mail("pat@acme.org").await.len(), 1);
    assert_eq!(server.mail("pam@acme.org").await.len(), 0);
    // And every code is wrong for nobody, with the same answer as a wrong one of somebody.
    let id = unknown.json()["id"].as_str().unwrap().to_owned();
    for code in ["000000", "123456"] {
        let reply =
            server.json("POST", &format!("{path}/{id}?returnJwt=true"), &first.token, &json!({ "otp": code })).await;
        reply.factor_error(400, "CSIBN0021E");
    }
    // An address whose owner can be told signs in.
    let first = server.begin_inside().await;
    let started = server.json("POST", path, &first.token, &json!({ "emailAddress": "pat@acme.org" })).await.expect(201);
    let code = server.code("pat@acme.org").await;
    let path = format!("{path}/{}?returnJwt=true", started["id"].as_str().unwrap());
    let proved = server.json("POST", &path, &first.token, &json!({ "otp": code })).await.expect(200);
    server.present(proved["assertion"].as_str().unwrap()).await.expect(200);
}

#[tokio::test]
async fn attack_39_a_stranger_looks_like_a_wrong_password_to_the_last_byte() {
    let server = TestServer::start().await;
    let mut known = Vec::new();
    let mut unknown = Vec::new();
    // Up to and beyond the limit at which an account rests.
    for number in 0..8 {
        let first = server.begin_inside().await;
        known.push(server.password(&first.token, "scott", &format!("wrong-{number}")).await);
        let first = server.begin_inside().await;
        unknown.push(server.password(&first.token, "nobody", &format!("wrong-{number}")).await);
    }
    assert_eq!(known, unknown);
    assert!(known.iter().all(|reply| *reply == known[0]));
    // A stranger's name rests like anybody's: the counters agree, which no answer shows.
    let attempts = server.store.attempts(&server.tenant(), &format!("password:{}", ACME.admin.id)).await.unwrap();
    assert_eq!(attempts.failures, 5);
}

#[tokio::test]
async fn attack_39_passkey_options_tell_nobody_who_exists() {
    let server = passwordless().await;
    let path = format!("/v2.0/factors/fido2/relyingparties/{}/assertion/options", ACME.relying_party);
    let mut shapes = BTreeSet::new();
    for id in [ACME.other.id, "6040003XX9"] {
        let mut offered = BTreeSet::new();
        for _ in 0..2 {
            let first = server.begin_inside().await;
            let reply = server.json("POST", &path, &first.token, &json!({ "userId": id })).await;
            let body = reply.expect(200);
            assert_eq!(body["allowCredentials"].as_array().unwrap().len(), 1, "{id}: one that nobody has");
            offered.insert(body["allowCredentials"].to_string());
            shapes.insert(shape(&reply));
        }
        assert_eq!(offered.len(), 1, "{id}: the same every time");
    }
    assert_eq!(shapes.len(), 1);
}

#[tokio::test]
async fn attack_40_a_right_password_of_somebody_switched_off_is_a_wrong_one() {
    let off = user("604000OFF1", "gone", "pw-of-gone", "active = false");
    let server = Setup::new().add(&off).start().await;
    let first = server.begin_inside().await;
    let wrong = server.password(&first.token, "pat", "wrong").await;
    wrong.factor_error(400, "CSIBH0044E");
    assert_eq!(server.password(&first.token, "gone", "pw-of-gone").await, wrong);
    assert_eq!(server.password(&first.token, "gone", "wrong").await, wrong);
}

#[tokio::test]
async fn attack_42_a_lock_ends_by_itself_and_a_passkey_still_gets_in() {
    let server = TestServer::start().await;
    let mut browser = server.passkey_of(ACME.other.id).await;
    let mut longest = 0;
    // An attacker who never tires, for a day.
    for _ in 0..30 {
        let key = format!("password:{}", ACME.other.id);
        let attempts = server.store.attempts(&server.tenant(), &key).await.unwrap();
        let rest = (attempts.rests_until - server.world.now()).max(0);
        longest = longest.max(rest);
        server.world.advance(rest);
        let again = server.begin_inside().await;
        server.password(&again.token, ACME.other.username, "wrong").await.factor_error(400, "CSIBH0044E");
    }
    assert_eq!(longest, 3600, "no rest is longer than the tenant says");
    let outside = Challenge::of(&server.begin("203.0.113.9").await);
    let proved = server.passkey(&outside.token, &mut browser, &json!({})).await.expect(200);
    server.present_from(proved["assertion"].as_str().unwrap(), "203.0.113.9").await.expect(200);
    server.world.advance(3600);
    server.sign_in_other().await;
}

/// The ceremonies themselves are tried beside the library; these are the ways through the door.
#[tokio::test]
async fn attack_43_a_ceremony_counts_in_its_own_flow_once() {
    let server = TestServer::start().await;
    let mut browser = server.passkey_of(ACME.other.id).await;
    let base = format!("/v2.0/factors/fido2/relyingparties/{}/assertion", ACME.relying_party);
    let begin = || async { Challenge::of(&server.begin("203.0.113.9").await).token };
    let options = |token: String| {
        let (server, base) = (server.clone(), base.clone());
        async move { server.json("POST", &format!("{base}/options"), &token, &json!({})).await.expect(200) }
    };
    let result = |token: String, answer: Value| {
        let (server, base) = (server.clone(), base.clone());
        async move { server.json("POST", &format!("{base}/result?returnJwt=true"), &token, &answer).await }
    };
    let refused = |reply: Reply| {
        assert!(
            [400, 404].contains(&reply.status.as_u16()) && reply.json().get("assertion").is_none(),
            "{}",
            reply.text()
        )
    };
    let (mine, other) = (begin().await, begin().await);
    let answer = browser.get(ACME.origin, &options(mine.clone()).await).await.unwrap();
    refused(result(other.clone(), answer.clone()).await);
    result(mine.clone(), answer.clone()).await.expect(200);
    refused(result(mine.clone(), answer.clone()).await);
    // Edited, or missing what it must have.
    for (member, value) in [
        ("id", json!("Zm9v")),
        ("rawId", json!("Zm9v")),
        ("type", json!("password")),
        ("response", json!({})),
        ("response", json!(null)),
    ] {
        let token = begin().await;
        let mut answer = browser.get(ACME.origin, &options(token.clone()).await).await.unwrap();
        answer[member] = value;
        refused(result(token, answer).await);
    }
    for member in ["clientDataJSON", "authenticatorData", "signature"] {
        for value in [json!(null), json!(""), json!("AAAA"), json!("!!"), json!(7)] {
            let token = begin().await;
            let mut answer = browser.get(ACME.origin, &options(token.clone()).await).await.unwrap();
            answer["response"][member] = value;
            refused(result(token, answer).await);
        }
    }
    // Too late.
    let token = begin().await;
    let answer = browser.get(ACME.origin, &options(token.clone()).await).await.unwrap();
    server.world.advance(301);
    refused(result(token, answer).await);
    // Another person's credential, once somebody is known.
    let more = format!("policy = 500031\n{POLICYAUTH}");
    let rules = [
        rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["password"]"#),
        rule("Passkey", false, "[]", "ACTION_MFA_ALWAYS", r#"["fido2"]"#),
    ];
    let mut server = Setup::new().add(&policy(500_031, &rules)).add(&client("strong", "s", &more)).start().await;
    server.cast = Cast { client: "strong", secret: "s", ..ACME };
    let mut others = server.passkey_of(ACME.other.id).await;
    let mut own = server.passkey_of(ACME.admin.id).await;
    let (_, assertion) = server.password_assertion().await;
    let second = Challenge::of(&server.present(&assertion).await);
    let shown = server.json("POST", &format!("{base}/options"), &second.token, &json!({})).await.expect(200);
    let mut forged = shown.clone();
    forged["allowCredentials"] = json!([]);
    let answer = others.get(ACME.origin, &forged).await.unwrap();
    refused(server.json("POST", &format!("{base}/result?returnJwt=true"), &second.token, &answer).await);
    let reply =
        server.json("POST", &format!("{base}/options"), &second.token, &json!({ "userId": ACME.other.id })).await;
    reply.factor_error(403, "CSIAK4300E");
    let proved = server.passkey(&second.token, &mut own, &json!({})).await.expect(200);
    server.present(proved["assertion"].as_str().unwrap()).await.expect(200);
}

/// Many accounts, each tried less often than its own limit.
#[tokio::test]
async fn attack_35_one_place_may_try_only_so_often_whoever_it_tries() {
    let server = Setup::new().replace("[tenant.settings]", "[tenant.settings]\ntries_per_place = 6").start().await;
    let from = async |ip: &str| Challenge::of(&server.begin(ip).await).token;
    for nth in 0..6 {
        let token = from("192.168.1.50").await;
        server.password(&token, &format!("somebody-{nth}"), "winter-2026").await.factor_error(400, "CSIBH0044E");
    }
    // Not even a right one is judged from there; from elsewhere it is.
    let token = from("192.168.1.50").await;
    server.password(&token, "scott", "hunter22").await.factor_error(400, "CSIBH0044E");
    let elsewhere = from("192.168.1.51").await;
    server.password(&elsewhere, "scott", "hunter22").await.expect(200);
    // It ends by itself.
    server.world.advance(600);
    let token = from("192.168.1.50").await;
    server.password(&token, "scott", "hunter22").await.expect(200);
    // A place that goes on waits twice as long the next time, and a quiet one is forgiven.
    for nth in 0..5 {
        let token = from("192.168.1.50").await;
        server.password(&token, &format!("anybody-{nth}"), "winter-2026").await.factor_error(400, "CSIBH0044E");
    }
    server.world.advance(600);
    let token = from("192.168.1.50").await;
    server.password(&token, "scott", "hunter22").await.factor_error(400, "CSIBH0044E");
    server.world.advance(600);
    server.password(&from("192.168.1.50").await, "scott", "hunter22").await.expect(200);
}

/// Attack case 38: text messages, by person, by number and in all.
#[tokio::test]
async fn attack_38_one_number_is_written_to_only_so_often_whoever_asks() {
    let server = Setup::new()
        .replace("[tenant.settings]", "[tenant.settings]\nmessages_per_hour = 3\npaid_messages_per_hour = 5")
        .add(&client("sender", "h", "grant_types = [\"client_credentials\"]\nentitlements = [\"authnAnyUser\"]"))
        .start()
        .await;
    let token = server.token_of("sender", "h").await;
    let send = async |number: &str| {
        let path = "/v2.0/factors/smsotp/transient/verifications";
        server.json("POST", path, &token, &json!({ "phoneNumber": number })).await
    };
    for _ in 0..3 {
        send("+15550000001").await.expect(201);
    }
    send("+15550000001").await.factor_error(400, "CSIBN0081E");
    for number in ["+15550000002", "+15550000003"] {
        send(number).await.expect(201);
    }
    send("+15550000004").await.factor_error(400, "CSIBN0081E");
    assert_eq!(server.mail("+15550000001").await.len(), 3);
    assert!(server.mail("+15550000004").await.is_empty());
}
