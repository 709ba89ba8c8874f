//! What the Authenticate API does with what is wrong: each mistake has its status and code, and leaves the sign-in as it was. Numbers
//! are those of the project's list of attack cases.

use serde_json::{Value, json};

use crate::support::oracle::world::{self, MFA, NAME, NAME_FIRST, NUMBER, PASSWORD, PLAIN, TOTP, passcode};
use crate::support::oracle::{AUTHENTICATE, CLIENT, Page, SECRET, Step};
use crate::support::{GLOBEX, Reply, TestServer, client, names, on_both};

const SECOND: [&str; 3] = ["credSubmit", "getBackupFactors", "resendCode"];

/// A dead client token: clients know it by this media type and nothing else.
#[track_caller]
fn is_dead(reply: &Reply) {
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (401, "text/html"), "{reply:?}");
    assert!(!reply.body.is_empty() && !reply.header("x-oracle-dms-ecid").is_empty());
}

#[tokio::test]
async fn a_dead_client_token_is_told_by_its_media_type() {
    let (server, page) = world::start().await;
    let body = json!({ "op": "credSubmit", "credentials": { "username": NAME, "password": PASSWORD } });
    for (method, body) in [("GET", None), ("POST", Some(&body))] {
        let ask = || {
            let ask = server.ask(method, AUTHENTICATE);
            match body {
                Some(body) => ask.json(body),
                None => ask,
            }
        };
        is_dead(&ask().send().await);
        is_dead(&ask().bearer("not-a-token").send().await);
        is_dead(&ask().bearer(&format!("{}x", page.token)).send().await);
        is_dead(&ask().bearer(&"x".repeat(100_000)).send().await);
        is_dead(&ask().basic(CLIENT, SECRET).send().await);
        is_dead(&ask().bearer(&page.token).bearer(&page.token).send().await);
    }
    server.world.advance(7601);
    is_dead(&page.ask("GET", AUTHENTICATE).send().await);
    let fresh = server.page().await;
    server.change_client(CLIENT, |client| client.enabled = false).await;
    is_dead(&fresh.ask("GET", AUTHENTICATE).send().await);
}

#[tokio::test]
async fn a_living_token_without_the_role_is_told_in_json() {
    let (server, page) = world::start().await;
    let refused = |reply: Reply| {
        let body = reply.expect(401);
        assert_eq!(reply.header("content-type"), "application/scim+json");
        assert_eq!((&body["status"], body["schemas"].as_array().unwrap().len()), (&json!("401"), 2));
    };
    let form = [("grant_type", "client_credentials"), ("scope", "urn:opc:idm:__myscopes__")];
    let other = server.ask("POST", "/oauth2/v1/token").basic("idcs-mfa", "idcs-mfa-secret").form(&form).send().await;
    let other = other.expect(200)["access_token"].as_str().unwrap().to_owned();
    refused(server.ask("GET", AUTHENTICATE).bearer(&other).send().await);
    refused(server.ask("POST", AUTHENTICATE).bearer(&other).json(&json!({})).send().await);
    // A role that was taken from the client opens nothing any more.
    page.start(None).await.expect(200, "success", None);
    server.change_client(CLIENT, |client| client.app_roles.clear()).await;
    refused(page.ask("GET", AUTHENTICATE).send().await);
}

#[tokio::test]
async fn an_application_must_be_there_and_in_use() {
    let (_, page) = world::start().await;
    page.start(Some("No Such Thing")).await.expect(401, "failed", Some("AUTH-1118"));
    page.start(Some("Switched Off")).await.expect(401, "failed", Some("AUTH-1122"));
    let reply = page.ask("GET", &format!("{AUTHENTICATE}?appName=a&appName=b")).send().await;
    Step::of(&reply).expect(400, "failed", Some("AUTH-1111"));
}

/// The state comes back, and nothing else.
#[track_caller]
fn is_bad_state(step: &Step, sent: &str) {
    step.expect(401, "failed", Some("AUTH-1120"));
    let mut all = names(&step.body);
    all.sort_unstable();
    assert_eq!(all, ["cause", "ecId", "requestState", "status"], "{}", step.body);
    assert_eq!(step.body["requestState"].as_str().unwrap(), sent.chars().take(4096).collect::<String>());
}

#[tokio::test]
async fn a_state_that_is_not_ours_comes_back_alone() {
    let (server, page) = world::start().await;
    let asked = page.password(Some(MFA), NAME, PASSWORD).await;
    let good = asked.state().to_owned();
    let code = server.code(NUMBER).await;
    let (sealed, mac) = good.split_once('~').unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let mut bad = vec![
        "x".to_owned(),
        "~".to_owned(),
        sealed.to_owned(),
        format!("{sealed}~"),
        format!("~{mac}"),
        format!("{mac}~{sealed}"),
        format!("{good}="),
        format!("{good} "),
        good.replace('~', "."),
        "x".repeat(5_000),
    ];
    bad.extend((0..good.len()).step_by(7).map(flipped));
    for state in bad.iter().filter(|state| **state != good) {
        let members = json!({ "op": "credSubmit", "requestState": state, "credentials": { "otpCode": code } });
        is_bad_state(&page.send(&members).await, state);
    }
    page.credentials(&asked, None, json!({ "otpCode": code })).await.token();
}

#[tokio::test]
async fn a_state_is_worth_nothing_to_another_client_or_tenant() {
    let oracle = |id: &str| {
        client(
            id,
            "s",
            "grant_types = [\"client_credentials\"]\napp_roles = [\"Signin\"]\naccess_token_lifetime = 7600",
        )
    };
    let server = world::setup().add(&oracle("other-page")).add_to_second(&oracle("second-page")).start().await;
    let page = server.page().await;
    let asked = page.password(Some(MFA), NAME, PASSWORD).await;
    let start = page.start(None).await;
    let second = server.as_of(GLOBEX);
    for (server, id) in [(&server, "other-page"), (&second, "second-page")] {
        let form = [("grant_type", "client_credentials"), ("scope", "urn:opc:idm:__myscopes__")];
        let made = server.ask("POST", "/oauth2/v1/token").basic(id, "s").form(&form).send().await.expect(200);
        let token = made["access_token"].as_str().unwrap().to_owned();
        let other = Page { server: server.clone(), token };
        for step in [&asked, &start] {
            let members = json!({ "op": "credSubmit", "credentials": { "username": NAME, "password": PASSWORD } });
            is_bad_state(&other.submit(step, members).await, step.state());
        }
    }
    let code = server.code(NUMBER).await;
    page.credentials(&asked, None, json!({ "otpCode": code })).await.token();
}

#[tokio::test]
async fn a_state_expires_and_no_dialogue_is_longer_than_an_hour() {
    let (server, page) = world::start().await;
    let start = page.start(Some(MFA)).await;
    server.world.advance(901);
    let with = json!({ "op": "credSubmit", "credentials": { "username": NAME, "password": PASSWORD } });
    is_bad_state(&page.submit(&start, with).await, start.state());
    // Steps that succeed give time, but not for ever.
    let mut step = page.start(None).await;
    let began = server.world.now();
    let wrong = json!({ "username": NAME, "password": "wrong" });
    loop {
        server.world.advance(850);
        let next = page.credentials(&step, None, wrong.clone()).await;
        if next.body["cause"][0]["code"] == "AUTH-1120" {
            break;
        }
        step = next;
        assert!(server.world.now() - began <= 3600);
    }
    assert!(server.world.now() - began > 3600);
}

#[tokio::test]
async fn bodies_that_cannot_be_read_have_codes_of_their_own() {
    let (_, page) = world::start().await;
    for (body, status, code) in [
        ("", 400, "AUTH-1033"),
        ("  \n", 400, "AUTH-1033"),
        ("{", 400, "AUTH-1121"),
        ("[]", 400, "AUTH-1121"),
        ("null", 400, "AUTH-1121"),
        ("\"x\"", 400, "AUTH-1121"),
        (r#"{"op":"a","op":"b"}"#, 400, "AUTH-1121"),
        (r#"{} {}"#, 400, "AUTH-1121"),
        (r#"{}"#, 422, "AUTH-1111"),
        (r#"{"requestState":""}"#, 422, "AUTH-1111"),
        (r#"{"requestState":null,"op":"credSubmit"}"#, 422, "AUTH-1111"),
        (r#"{"requestState":7,"op":"credSubmit"}"#, 400, "AUTH-1111"),
        (r#"{"op":"fly"}"#, 400, "AUTH-1116"),
        (r#"{"op":"createToken","kmsiToken":"x"}"#, 400, "AUTH-1116"),
    ] {
        let reply = page.ask("POST", AUTHENTICATE).body("application/json", body).send().await;
        let step = Step::of(&reply);
        step.expect(status, "failed", Some(code));
        assert!(!step.body["cause"][0]["message"].as_str().unwrap().is_empty());
    }
    let reply = page.ask("POST", AUTHENTICATE).body("application/json", b"{\"op\":\"\xff\"}".to_vec()).send().await;
    Step::of(&reply).expect(400, "failed", Some("AUTH-1121"));
}

/// Whatever is wrong with a step, the stage is told again, and the right answer is taken after it.
#[tokio::test]
async fn a_mistake_leaves_the_stage_as_it_was() {
    let (server, page) = world::start().await;
    let asked = page.password(Some(MFA), NAME, PASSWORD).await;
    let code = server.code(NUMBER).await;
    let cases = [
        (json!({}), 422, "AUTH-1111"),
        (json!({ "op": null }), 422, "AUTH-1111"),
        (json!({ "op": 1 }), 400, "AUTH-1111"),
        (json!({ "op": "fly" }), 400, "AUTH-1116"),
        (json!({ "op": "createToken" }), 400, "AUTH-1116"),
        (json!({ "op": "enrollment" }), 400, "AUTH-1116"),
        (json!({ "op": "acceptTOU", "credentials": { "consent": true } }), 400, "AUTH-1116"),
        (json!({ "op": "socialRegister" }), 400, "AUTH-1116"),
        (json!({ "op": "createSession" }), 400, "AUTH-1119"),
        (json!({ "op": "chooseIDP" }), 400, "AUTH-1119"),
        (json!({ "op": "credSubmit" }), 422, "AUTH-1111"),
        (json!({ "op": "credSubmit", "credentials": {} }), 422, "AUTH-1111"),
        (json!({ "op": "credSubmit", "credentials": { "otpCode": "" } }), 422, "AUTH-1111"),
        (json!({ "op": "credSubmit", "credentials": { "otpCode": 1.5 } }), 400, "AUTH-1111"),
        (json!({ "op": "credSubmit", "credentials": { "otpCode": {} } }), 400, "AUTH-1111"),
        (json!({ "op": "credSubmit", "credentials": [] }), 400, "AUTH-1111"),
        (json!({ "op": "credSubmit", "credentials": "otp" }), 400, "AUTH-1111"),
        (
            json!({ "op": "credSubmit", "authFactor": "CARRIER_PIGEON", "credentials": { "otpCode": "1" } }),
            400,
            "AUTH-1111",
        ),
        (json!({ "op": "credSubmit", "authFactor": 7 }), 400, "AUTH-1111"),
        (json!({ "op": "credSubmit", "authFactor": "PUSH", "credentials": {} }), 400, "AUTH-1115"),
        (
            json!({ "op": "credSubmit", "authFactor": "YUBICO_OTP", "credentials": { "otpCode": "1" } }),
            400,
            "AUTH-1115",
        ),
        (json!({ "op": "credSubmit", "authFactor": "DUO_SECURITY" }), 400, "AUTH-1115"),
        (json!({ "op": "credSubmit", "authFactor": "IDP" }), 400, "AUTH-1115"),
        (json!({ "op": "credSubmit", "authFactor": "SECURITY_QUESTIONS" }), 400, "AUTH-1115"),
        (json!({ "op": "credSubmit", "authFactor": "USERNAME_PASSWORD" }), 400, "AUTH-1115"),
        (json!({ "op": "credSubmit", "authFactor": "BYPASSCODE", "credentials": {} }), 422, "AUTH-1111"),
        (
            json!({ "op": "credSubmit", "authFactor": "TOTP", "credentials": { "deviceId": "nobody's" } }),
            401,
            "AUTH-1014",
        ),
        (json!({ "op": "credSubmit", "credentials": { "deviceId": TOTP, "otpCode": "1" } }), 401, "AUTH-1014"),
        (
            json!({ "op": "credSubmit", "trustedDevice": "perhaps", "credentials": { "otpCode": "1" } }),
            400,
            "AUTH-1111",
        ),
        (
            json!({ "op": "credSubmit", "trustedDeviceDisplayName": [], "credentials": { "otpCode": "1" } }),
            400,
            "AUTH-1111",
        ),
    ];
    for (members, status, code) in cases {
        let wrong = page.submit(&asked, members.clone()).await;
        assert_eq!(wrong.status, status, "{members}: {}", wrong.body);
        wrong.expect(status, "failed", Some(code)).waits(&SECOND, &["SMS"]);
        assert_eq!(wrong.body["SMS"], json!({ "credentials": ["otpCode"] }), "{members}");
        assert_eq!(wrong.body["displayName"], "+44XXXXXXX210", "{members}");
    }
    // No message was sent for any of it.
    assert_eq!(server.mail(NUMBER).await.len(), 1);
    page.credentials(&asked, None, json!({ "otpCode": code })).await.token();
}

#[tokio::test]
async fn a_mistake_at_the_first_stage_leaves_it_as_it_was() {
    let (_, page) = world::start().await;
    let start = page.start(None).await;
    for (members, status, code) in [
        (json!({}), 422, "AUTH-1111"),
        (json!({ "op": "getBackupFactors" }), 400, "AUTH-1116"),
        (json!({ "op": "resendCode" }), 400, "AUTH-1116"),
        (json!({ "op": "credSubmit" }), 422, "AUTH-1111"),
        (json!({ "op": "credSubmit", "credentials": { "username": NAME } }), 422, "AUTH-1111"),
        (json!({ "op": "credSubmit", "credentials": { "username": " ", "password": "x" } }), 422, "AUTH-1111"),
        (json!({ "op": "credSubmit", "credentials": { "password": "x" } }), 422, "AUTH-1111"),
        (json!({ "op": "credSubmit", "credentials": { "username": 7, "password": "x" } }), 400, "AUTH-1111"),
        (json!({ "op": "credSubmit", "authFactor": "SMS", "credentials": { "otpCode": "1" } }), 400, "AUTH-1115"),
        (
            json!({ "op": "credSubmit", "authFactor": "USERNAME_PASSWORD", "credentials": { "username": NAME } }),
            422,
            "AUTH-1111",
        ),
    ] {
        let wrong = page.submit(&start, members.clone()).await;
        assert_eq!(wrong.status, status, "{members}: {}", wrong.body);
        wrong.expect(status, "failed", Some(code)).waits(&["credSubmit"], &["USERNAME_PASSWORD"]);
        assert_eq!(wrong.body["USERNAME_PASSWORD"], json!({ "credentials": ["username", "password"] }));
    }
    // Where a name alone begins, a password with it is not asked for.
    let first = page.start(Some(NAME_FIRST)).await;
    let wrong = page.credentials(&first, None, json!({ "username": NAME, "password": PASSWORD })).await;
    wrong.expect(400, "failed", Some("AUTH-1115")).waits(&["credSubmit"], &["USERNAME"]);
    page.credentials(&start, None, json!({ "username": NAME, "password": PASSWORD })).await.token();
}

#[test]
fn attack_35_old_states_are_no_fresh_attempts() {
    on_both(async |store| {
        let server = world::setup().start_on(store).await;
        let page = server.page().await;
        let asked = page.password(Some(MFA), NAME, PASSWORD).await;
        let limit = server.app.directories.current().tenant(&server.tenant()).unwrap().tenant.settings.lock_after;
        let mut state = asked.clone();
        for nth in 0..limit {
            // The old state, the new one, and one of another dialogue in turn.
            let before = match nth % 3 {
                0 => asked.clone(),
                1 => state.clone(),
                _ => page.password(Some(MFA), NAME, PASSWORD).await,
            };
            state = page.credentials(&before, Some("TOTP"), json!({ "otpCode": "000000" })).await;
            state.expect(401, "failed", Some("AUTH-1105"));
        }
        let other = page.password(Some(MFA), NAME, PASSWORD).await;
        for before in [&asked, &state, &other] {
            let resting = page.credentials(before, Some("TOTP"), json!({ "otpCode": passcode(&server) })).await;
            resting.expect(401, "failed", Some("AUTH-1027"));
            assert!(resting.has("nextOp") && resting.has("requestState"), "{}", resting.body);
        }
    });
}

#[tokio::test]
async fn a_locked_account_and_a_locked_stranger_look_the_same() {
    let (server, page) = world::start().await;
    let limit = server.app.directories.current().tenant(&server.tenant()).unwrap().tenant.settings.lock_after;
    for name in [NAME, "nobody@example.com"] {
        for _ in 0..limit {
            page.password(None, name, "wrong").await.expect(401, "failed", Some("AUTH-3001"));
        }
        let locked = page.password(None, name, PASSWORD).await;
        locked.expect(401, "failed", Some("AUTH-3002")).waits(&["credSubmit"], &["USERNAME_PASSWORD"]);
    }
}

#[tokio::test]
async fn attack_40_who_is_switched_off_is_told_what_a_guesser_is_told() {
    let (server, page) = world::start().await;
    let asked = page.password(Some(MFA), NAME, PASSWORD).await;
    let code = server.code(NUMBER).await;
    let tenant = server.tenant();
    let mut user = server.store.user(&tenant, &world::ID.into()).await.unwrap().unwrap();
    user.active = false;
    server.store.commit(&tenant, "test", vec![store::Change::PutUser(user)]).await.unwrap();
    page.password(None, NAME, PASSWORD).await.expect(401, "failed", Some("AUTH-3001"));
    let late = page.credentials(&asked, None, json!({ "otpCode": code })).await;
    assert_eq!(late.status, 401, "{}", late.body);
    assert!(!late.has("authnToken"));
}

#[tokio::test]
async fn two_answers_at_once_make_one_token() {
    let (server, page) = world::start().await;
    for _ in 0..5 {
        server.world.advance(120);
        let asked = page.password(Some(MFA), NAME, PASSWORD).await;
        let sent = json!({ "otpCode": passcode(&server) });
        let answers = tokio::join!(
            page.credentials(&asked, Some("TOTP"), sent.clone()),
            page.credentials(&asked, Some("TOTP"), sent.clone()),
            page.credentials(&asked, Some("TOTP"), sent.clone()),
        );
        let answers = [answers.0, answers.1, answers.2];
        let tokens = answers.iter().filter(|step| step.has("authnToken")).count();
        assert!(tokens <= 1, "{tokens} tokens");
        for step in answers.iter().filter(|step| !step.has("authnToken")) {
            assert_eq!(step.status, 401, "{}", step.body);
        }
        if tokens == 0 {
            server.world.advance(120);
            page.credentials(&asked, Some("TOTP"), json!({ "otpCode": passcode(&server) })).await.token();
        }
    }
}

#[tokio::test]
async fn nothing_that_was_typed_comes_back() {
    let (server, page) = world::start().await;
    let marker = "m4rk3r-of-a-s3cr3t";
    let start = page.start(Some(PLAIN)).await;
    let wrong = page.credentials(&start, None, json!({ "username": NAME, "password": marker })).await;
    assert!(!wrong.body.to_string().contains(marker));
    let asked = page.password(Some(MFA), NAME, PASSWORD).await;
    for factor in ["SMS", "TOTP", "BYPASSCODE"] {
        let sent = json!({ "otpCode": marker, "bypassCode": marker });
        let wrong = page.credentials(&asked, Some(factor), sent).await;
        assert!(!wrong.body.to_string().contains(marker), "{factor}");
    }
    drop(server);
}

/// Where a value of a body is of another kind than any client sends, the answer is an answer all the same.
#[tokio::test]
async fn no_value_breaks_a_step() {
    let (_, page) = world::start().await;
    let start = page.start(Some(MFA)).await;
    let asked = page.password(Some(MFA), NAME, PASSWORD).await;
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!([[]]),
        json!({ "a": {} }),
        json!("x".repeat(5000)),
    ];
    for before in [&start, &asked] {
        for member in [
            "op",
            "authFactor",
            "credentials",
            "trustedDevice",
            "trustedDeviceDisplayName",
            "keepMeSignedIn",
            "kmsiDeviceDisplayName",
            "kmsiToken",
            "trustToken",
            "appName",
            "origin",
            "ipAddress",
            "x5t",
            "userFlowControlledByExternalClient",
        ] {
            for value in &values {
                let mut members = json!({ "op": "credSubmit", "credentials": { "otpCode": "1", "username": "u" } });
                members[member] = value.clone();
                let step = page.submit(before, members).await;
                assert!([200, 400, 401, 422].contains(&step.status), "{member} {value}: {}", step.body);
            }
        }
        for name in
            ["username", "password", "otpCode", "deviceId", "questions", "fidoAssertion", "bypassCode", "preferred"]
        {
            for value in &values {
                for factor in
                    ["USERNAME_PASSWORD", "SMS", "TOTP", "SECURITY_QUESTIONS", "FIDO_AUTHENTICATOR", "BYPASSCODE"]
                {
                    let mut members = json!({ "op": "credSubmit", "authFactor": factor, "credentials": {} });
                    members["credentials"][name] = value.clone();
                    let step = page.submit(before, members).await;
                    assert!([200, 400, 401, 422].contains(&step.status), "{name} {value}: {}", step.body);
                }
            }
        }
    }
}

/// The whole of one server is another's: any node goes on with any state.
#[test]
fn every_step_may_land_on_another_node() {
    on_both(async |store| {
        let one = world::setup().start_on(store).await;
        let two = one.another().await;
        let page = |server: &TestServer, token: &str| Page { server: server.clone(), token: token.to_owned() };
        let token = one.page().await.token;
        let start = page(&two, &token).start(Some(MFA)).await;
        let sent = json!({ "username": NAME, "password": PASSWORD });
        let asked = page(&one, &token).credentials(&start, None, sent).await;
        let list = page(&two, &token).submit(&asked, json!({ "op": "getBackupFactors" })).await;
        assert_eq!(list.list("nextAuthFactors")[0], "SMS");
        let done = page(&two, &token).credentials(&asked, Some("TOTP"), json!({ "otpCode": passcode(&one) })).await;
        done.token();
        let late = page(&one, &token).credentials(&asked, Some("TOTP"), json!({ "otpCode": "1" })).await;
        late.expect(401, "failed", Some("AUTH-1036"));
        assert_eq!(late.body.get("requestState"), None::<&Value>);
    });
}

#[tokio::test]
async fn states_do_not_grow_with_what_is_typed() {
    let (server, page) = world::start().await;
    let long = "\u{1}\"\u{fc}".repeat(200);
    let start = page.start(Some(MFA)).await;
    let mut asked = start.clone();
    for _ in 0..3 {
        let members = json!({
            "op": "credSubmit", "credentials": { "username": NAME, "password": PASSWORD }, "origin": long,
            "trustedDevice": true, "trustedDeviceDisplayName": long, "keepMeSignedIn": true, "kmsiDeviceDisplayName": long
        });
        asked = page.submit(&start, members).await;
        asked.waits(&SECOND, &["SMS"]);
        assert!(asked.state().len() < 4096, "{}", asked.state().len());
    }
    let code = server.code(NUMBER).await;
    page.credentials(&asked, None, json!({ "otpCode": code })).await.token();
    let first = page.start(Some(NAME_FIRST)).await;
    let asked = page.credentials(&first, None, json!({ "username": "x".repeat(1000) })).await;
    assert!(asked.state().len() < 4096);
    page.credentials(&asked, None, json!({ "otpCode": "1" })).await.expect(401, "failed", Some("AUTH-1105"));
}
