//! The device grant (RFC 8628): what the device sees. The pages where a person decides are tried with the hosted door.

use countersign::oauth::device::{self, Approval, Asked};
use engine::{FactorKind, Proof};
use serde_json::{Value, json};
use store::Change;

use crate::support::visitor::{Page, Visitor};
use crate::support::{ACME, GLOBEX, Reply, Setup, TestServer, client, decode, on_both, policy, rule};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn setup() -> Setup {
    let on = format!("grant_types = [{DEVICE_CODE:?}, \"refresh_token\"]");
    Setup::new()
        .add(&client("tv", "s", &format!("{on}\naudiences = [\"https://films.example.test\"]")))
        .add(&client("radio", "s", &on))
        .add(&client("none", "s", "grant_types = [\"client_credentials\"]"))
        .add(&client(
            "odd",
            "s",
            &format!(
                "{on}\ndevice_qr = true\nuser_code_length = 9\nuser_code_charset = \"abc123\"\n\
                 device_code_lifetime = 60\ndevice_interval = 7"
            ),
        ))
        .add(&client("few", "s", &format!("{on}\nopen_to_all = false\nentitled_users = [\"pat\"]")))
}

async fn start_with(server: &TestServer, form: &[(&str, &str)]) -> Reply {
    server.post_form("/oauth2/device_authorization", form).await
}

async fn start(server: &TestServer, id: &str) -> Value {
    start_with(server, &[("client_id", id), ("scope", "openid")]).await.expect(200)
}

async fn poll(server: &TestServer, id: &str, code: &str) -> Reply {
    let form = [("grant_type", DEVICE_CODE), ("device_code", code)];
    server.ask("POST", "/oauth2/token").basic(id, "s").form(&form).send().await
}

fn code(started: &Value) -> &str {
    started["device_code"].as_str().unwrap()
}

async fn asked(server: &TestServer, started: &Value) -> Asked {
    let view = server.app.directories.current().tenant(&server.tenant()).unwrap().clone();
    device::find(&server.app, &view, started["user_code"].as_str().unwrap()).await.unwrap().expect("it is open")
}

fn approval(server: &TestServer, subject: &str) -> Approval {
    let now = server.world.now();
    let proof = Proof {
        kind: FactorKind::Password,
        at: now,
        enrolment: None,
        user_verified: false,
        this_run: true,
        first: true,
        upstream: None,
    };
    Approval { subject: subject.into(), proofs: vec![proof], auth_time: Some(now), policy: None, acr: None, at: now }
}

async fn commit(server: &TestServer, changes: Vec<Change>) -> bool {
    server.store.commit(&server.tenant(), "test", changes).await.is_ok()
}

async fn approve(server: &TestServer, started: &Value, subject: &str) {
    let asked = asked(server, started).await;
    assert!(commit(server, device::approve(asked, approval(server, subject)).unwrap()).await);
}

/// A no of the polling endpoint: always 400, never with `messageId`, which one client takes for the end.
#[track_caller]
fn refused(reply: &Reply, error: &str) {
    reply.oauth_error(400, error, "CSIAQ");
}

#[tokio::test]
async fn gt16_a_device_is_told_where_its_person_goes_and_waits_until_they_went() {
    let server = setup().start().await;
    let started = start(&server, "tv").await;
    let user_code = started["user_code"].as_str().unwrap();
    assert_eq!(user_code.len(), 6);
    assert!(user_code.bytes().all(|byte| b"BCDFGHJKLMNPQRSTVWXZ".contains(&byte)), "{user_code}");
    let page = format!("{}/oauth2/user_authorization", ACME.base);
    assert_eq!(started["verification_uri"], page);
    assert_eq!(started["verification_uri_complete"], format!("{page}?user_code={user_code}"));
    assert_eq!((&started["expires_in"], &started["interval"]), (&json!(300), &json!(5)));
    assert!(started.get("verification_uri_complete_qrcode").is_none());

    refused(&poll(&server, "tv", code(&started)).await, "authorization_pending");
    server.world.advance(5);
    refused(&poll(&server, "tv", code(&started)).await, "authorization_pending");
    approve(&server, &started, ACME.other.id).await;
    let tokens = poll(&server, "tv", code(&started)).await.expect(200);
    let claims = decode(tokens["id_token"].as_str().unwrap()).1;
    assert_eq!((&claims["sub"], &claims["amr"]), (&json!(ACME.other.id), &json!(["password"])));
    assert!(claims["nonce"].is_null());
    // GT6, GT25.
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let fresh = server.ask("POST", "/oauth2/token").basic("tv", "s").form(&form).send().await.expect(200);
    assert_eq!(fresh["grant_id"], tokens["grant_id"]);
    // A code is used once.
    refused(&poll(&server, "tv", code(&started)).await, "invalid_grant");
}

#[tokio::test]
async fn a_clients_own_settings_shape_its_codes_and_it_may_have_a_picture() {
    let server = setup().start().await;
    let started = start(&server, "odd").await;
    let user_code = started["user_code"].as_str().unwrap();
    assert_eq!(user_code.len(), 9);
    assert!(user_code.bytes().all(|byte| b"abc123".contains(&byte)), "{user_code}");
    assert_eq!((&started["expires_in"], &started["interval"]), (&json!(60), &json!(7)));
    use base64::Engine as _;
    let picture = started["verification_uri_complete_qrcode"].as_str().unwrap();
    let picture = base64::engine::general_purpose::STANDARD.decode(picture).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
    // Typed in another way than it was shown.
    let view = server.app.directories.current().tenant(&server.tenant()).unwrap().clone();
    let typed = format!("{}-{} {}", &user_code[..3], user_code[3..6].to_uppercase(), &user_code[6..]);
    assert!(device::find(&server.app, &view, &typed).await.unwrap().is_some());
}

#[tokio::test]
async fn who_asks_too_often_is_slowed_down_and_it_stays_so() {
    let server = setup().start().await;
    let another = server.another().await;
    let started = start(&server, "tv").await;
    refused(&poll(&server, "tv", code(&started)).await, "authorization_pending");
    // On whichever node.
    server.world.advance(2);
    refused(&poll(&another, "tv", code(&started)).await, "slow_down");
    server.world.advance(6);
    refused(&poll(&server, "tv", code(&started)).await, "slow_down");
    server.world.advance(15);
    refused(&poll(&another, "tv", code(&started)).await, "authorization_pending");
    server.world.advance(10);
    refused(&poll(&server, "tv", code(&started)).await, "slow_down");
}

#[tokio::test]
async fn a_code_that_ran_out_says_so_for_an_hour_whatever_became_of_it() {
    let server = setup().start().await;
    let open = start(&server, "tv").await;
    let denied = start(&server, "tv").await;
    let spent = start(&server, "tv").await;
    let asked = asked(&server, &denied).await;
    assert!(commit(&server, device::deny(asked).unwrap()).await);
    refused(&poll(&server, "tv", code(&denied)).await, "access_denied");
    approve(&server, &spent, ACME.other.id).await;
    poll(&server, "tv", code(&spent)).await.expect(200);
    server.world.advance(300);
    let view = server.app.directories.current().tenant(&server.tenant()).unwrap().clone();
    assert!(device::find(&server.app, &view, open["user_code"].as_str().unwrap()).await.unwrap().is_none());
    server.store.sweep(server.world.now(), 100).await.unwrap();
    for one in [&open, &denied, &spent] {
        refused(&poll(&server, "tv", code(one)).await, "expired_token");
    }
    server.world.advance(3599);
    server.store.sweep(server.world.now(), 100).await.unwrap();
    refused(&poll(&server, "tv", code(&open)).await, "expired_token");
    server.world.advance(1);
    server.store.sweep(server.world.now(), 100).await.unwrap();
    refused(&poll(&server, "tv", code(&open)).await, "invalid_grant");
}

#[tokio::test]
async fn attack_71_a_device_code_serves_its_own_client_and_what_was_approved() {
    let server = setup().start().await;
    let started = start(&server, "tv").await;
    for foreign in ["", "x", &"x".repeat(40), &"x".repeat(10_000)] {
        let reply = poll(&server, "tv", foreign).await;
        assert_eq!(reply.status, 400);
        assert!(["invalid_grant", "invalid_request"].contains(&reply.json()["error"].as_str().unwrap()));
    }
    approve(&server, &started, ACME.other.id).await;
    refused(&poll(&server, "radio", code(&started)).await, "invalid_grant");
    let elsewhere = poll(&server.as_of(GLOBEX), "tv", code(&started)).await;
    elsewhere.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    // More than was approved is not to be had, and what a stranger tried did no harm.
    let form = [("grant_type", DEVICE_CODE), ("device_code", code(&started)), ("scope", "openid email phone")];
    let tokens = server.ask("POST", "/oauth2/token").basic("tv", "s").form(&form).send().await.expect(200);
    assert_eq!(tokens["scope"], "openid");
}

#[tokio::test]
async fn beginning_needs_a_client_with_the_grant_and_credentials_only_where_they_are_sent() {
    let server = setup().start().await;
    for prefix in ["", "/v1.0/endpoint/default", "/oidc/endpoint/default", "/oauth2"] {
        let path = format!("{prefix}/device_authorization");
        server.post_form(&path, &[("client_id", "tv")]).await.expect(200);
        server.post_form(&path, &[("client_id", "tv"), ("client_secret", "s")]).await.expect(200);
        let wrong = server.post_form(&path, &[("client_id", "tv"), ("client_secret", "wrong")]).await;
        wrong.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    }
    start_with(&server, &[("scope", "openid")]).await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    start_with(&server, &[("client_id", "nobody")]).await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    start_with(&server, &[("client_id", "none")]).await.oauth_error(400, "unauthorized_client", "CSIAQ");
    start_with(&server, &[("client_id", "tv"), ("scope", "nothing-of-mine")]).await.oauth_error(
        400,
        "invalid_scope",
        "CSIAQ",
    );
    start_with(&server, &[("client_id", "tv"), ("resource", "https://elsewhere.test")]).await.oauth_error(
        400,
        "invalid_target",
        "CSIAQ",
    );
    start_with(&server, &[("client_id", "tv"), ("client_id", "tv")]).await.oauth_error(400, "invalid_request", "CSIAQ");
    let disabled = |client: &mut protocol::records::Client| client.enabled = false;
    server.change_client("tv", disabled).await;
    start_with(&server, &[("client_id", "tv")]).await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    // At the token endpoint the client proves itself as ever.
    let form = [("client_id", "radio"), ("grant_type", DEVICE_CODE), ("device_code", "x")];
    server.post_form("/oauth2/token", &form).await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
}

#[tokio::test]
async fn attack_69_devices_begin_only_so_often_from_one_place() {
    let server = setup().start().await;
    for _ in 0..60 {
        start(&server, "tv").await;
    }
    let reply = start_with(&server, &[("client_id", "tv")]).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (429, "60"));
    // Others are not kept from it.
    let form = [("client_id", "tv")];
    server.ask("POST", "/oauth2/device_authorization").from("203.0.113.9").form(&form).send().await.expect(200);
    start(&server, "radio").await;
}

#[tokio::test]
async fn what_was_approved_is_not_handed_out_to_whom_it_no_longer_belongs() {
    let server = setup().start().await;
    // Cut off since.
    let started = start(&server, "tv").await;
    approve(&server, &started, ACME.other.id).await;
    let mut user = server.store.user(&server.tenant(), &ACME.other.id.into()).await.unwrap().unwrap();
    user.not_before = server.world.now() + 1;
    assert!(commit(&server, vec![Change::PutUser(user.clone())]).await);
    refused(&poll(&server, "tv", code(&started)).await, "invalid_grant");
    // Switched off since.
    user.not_before = 0;
    assert!(commit(&server, vec![Change::PutUser(user.clone())]).await);
    let started = start(&server, "tv").await;
    approve(&server, &started, ACME.other.id).await;
    user.active = false;
    assert!(commit(&server, vec![Change::PutUser(user)]).await);
    refused(&poll(&server, "tv", code(&started)).await, "invalid_grant");
    // Not entitled.
    let started = start(&server, "few").await;
    approve(&server, &started, ACME.admin.id).await;
    refused(&poll(&server, "few", code(&started)).await, "invalid_grant");
}

#[test]
fn two_decisions_and_many_polls_at_once_have_one_outcome() {
    on_both(|store| async move {
        let server = setup().start_on(store).await;
        let another = server.another().await;
        let started = start(&server, "tv").await;
        let (yes, no) = (asked(&server, &started).await, asked(&another, &started).await);
        let yes = device::approve(yes, approval(&server, ACME.other.id)).unwrap();
        let no = device::deny(no).unwrap();
        let (yes, no) = tokio::join!(commit(&server, yes), commit(&another, no));
        assert!(yes != no, "one of the two was first");
        let started = start(&server, "tv").await;
        approve(&server, &started, ACME.other.id).await;
        let polls = (0..20).map(|turn| {
            let node = if turn % 2 == 0 { server.clone() } else { another.clone() };
            let code = code(&started).to_owned();
            tokio::spawn(async move { poll(&node, "tv", &code).await.status.as_u16() })
        });
        let mut won = 0;
        for poll in polls.collect::<Vec<_>>() {
            match poll.await.unwrap() {
                200 => won += 1,
                400 => {}
                other => panic!("{other}"),
            }
        }
        assert_eq!(won, 1);
    });
}

// --- the pages ---

/// What the person does from the page where the code is typed on.
async fn typed(visitor: &mut Visitor, code: &str) -> Page {
    let page = visitor.get("/oauth2/user_authorization").await;
    page.expect(200);
    visitor.submit(&page, &[("user_code", code)]).await
}

#[tokio::test]
async fn gt16_the_code_is_typed_by_hand_and_the_person_is_told_that_it_worked() {
    let server = setup().start().await;
    let started = start(&server, "tv").await;
    let mut visitor = Visitor::new(&server);
    let page = typed(&mut visitor, &started["user_code"].as_str().unwrap().to_lowercase()).await;
    assert!(page.has("password"), "{}", page.text());
    let page = visitor.sign_in(&page, ACME.other.username, ACME.other.password).await;
    page.expect(200);
    // It names what asks, and from where (attack 72).
    assert!(page.text().contains("tv") && page.text().contains("198.51.100.77"), "{}", page.text());
    assert!(page.text().contains(started["user_code"].as_str().unwrap()), "{}", page.text());
    assert!(page.has("warning"), "{}", page.text());
    let done = visitor.submit(&page, &[("do", "allow")]).await;
    done.expect(200);
    assert!(done.text().contains("data-outcome=\"approved\""), "{}", done.text());
    let tokens = poll(&server, "tv", code(&started)).await.expect(200);
    assert_eq!(decode(tokens["id_token"].as_str().unwrap()).1["sub"], ACME.other.id);
    // The code is used up.
    let again = typed(&mut visitor, started["user_code"].as_str().unwrap()).await;
    assert_eq!(again.problem().as_deref(), Some("unknown_user_code"));
}

#[tokio::test]
async fn gt16_the_link_or_picture_fills_the_code_in_and_asks_all_the_same() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    for turn in 0..2 {
        let started = start(&server, "tv").await;
        let link = started["verification_uri_complete"].as_str().unwrap();
        let page = visitor.get(link.strip_prefix(ACME.base).unwrap()).await;
        assert_eq!(page.form().fields.iter().find(|(name, _)| name == "user_code").unwrap().1, started["user_code"]);
        let mut page = visitor.submit(&page, &[]).await;
        if turn == 0 {
            page = visitor.sign_in(&page, ACME.other.username, ACME.other.password).await;
        }
        // Who is signed in already is asked nothing but whether they want this.
        let done = visitor.submit(&page, &[("do", "deny")]).await;
        done.expect(200);
        refused(&poll(&server, "tv", code(&started)).await, "access_denied");
    }
}

#[tokio::test]
async fn attack_71_codes_are_guessed_only_so_often() {
    let server = setup().start().await;
    let started = start(&server, "tv").await;
    let mut visitor = Visitor::new(&server);
    for _ in 0..20 {
        let page = typed(&mut visitor, "BBBBBB").await;
        assert_eq!(page.problem().as_deref(), Some("unknown_user_code"));
    }
    let page = typed(&mut visitor, started["user_code"].as_str().unwrap()).await;
    assert_eq!(page.reply.status, 429);
    // Not from a page of somebody else's either.
    let mut foreign = Visitor::new(&server).with("origin", "https://evil.example.test");
    let page = foreign.post("/oauth2/user_authorization", &[("user_code", "BBBBBB")]).await;
    assert_eq!(page.reply.status, 403);
    server.world.advance(300);
    let page = typed(&mut visitor, start(&server, "tv").await["user_code"].as_str().unwrap()).await;
    page.expect(200);
    assert_eq!(page.problem(), None);
}

#[tokio::test]
async fn attack_49_a_device_is_not_let_in_by_anybody_elses_form() {
    let server = setup().start().await;
    let started = start(&server, "tv").await;
    let mut visitor = Visitor::new(&server);
    let page = typed(&mut visitor, started["user_code"].as_str().unwrap()).await;
    let page = visitor.sign_in(&page, ACME.other.username, ACME.other.password).await;
    let action = page.form().action;
    // Another browser, even one that is signed in.
    let mut stranger = Visitor::new(&server);
    let theirs = start(&server, "tv").await;
    let other = typed(&mut stranger, theirs["user_code"].as_str().unwrap()).await;
    stranger.sign_in(&other, ACME.admin.username, ACME.admin.password).await;
    let tried = stranger.post(&action, &[("do", "allow")]).await;
    assert!(tried.reply.status.is_client_error(), "{tried:?}");
    // By GET.
    visitor.get(&format!("{action}?do=allow")).await;
    // From another site.
    let mut foreign = visitor.clone().with("sec-fetch-site", "cross-site");
    assert_eq!(foreign.post(&action, &[("do", "allow")]).await.reply.status, 403);
    refused(&poll(&server, "tv", code(&started)).await, "authorization_pending");
    visitor.submit(&page, &[("do", "allow")]).await.expect(200);
    server.world.advance(5);
    poll(&server, "tv", code(&started)).await.expect(200);
}

#[tokio::test]
async fn attack_72_the_clients_policy_and_entitlements_govern_who_lets_a_device_in() {
    let second = policy(
        500_001,
        &[
            rule("First", true, "[]", "ACTION_MFA_ALWAYS", "[\"password\"]"),
            rule("Second", false, "[]", "ACTION_MFA_ALWAYS", "[\"emailotp\"]"),
        ],
    );
    let strict = format!("grant_types = [{DEVICE_CODE:?}]\npolicy = 500001");
    let server = setup().add(&second).add(&client("strict", "s", &strict)).start().await;
    let started = start(&server, "strict").await;
    let mut visitor = Visitor::new(&server);
    let page = typed(&mut visitor, started["user_code"].as_str().unwrap()).await;
    let page = visitor.sign_in(&page, ACME.admin.username, ACME.admin.password).await;
    assert!(!page.text().contains("value=\"allow\""), "{}", page.text());
    // The only way there is is gone at once: the code was sent.
    assert!(page.has("code"), "{}", page.text());
    let sent = server.code(ACME.address).await;
    let page = visitor.submit(&page, &[("code", &sent)]).await;
    visitor.submit(&page, &[("do", "allow")]).await.expect(200);
    let tokens = poll(&server, "strict", code(&started)).await.expect(200);
    assert_eq!(decode(tokens["id_token"].as_str().unwrap()).1["amr"], json!(["emailotp", "password"]));
    // Who is not entitled lets nothing in, and the device waits for somebody who is.
    let started = start(&server, "few").await;
    let mut visitor = Visitor::new(&server);
    let page = typed(&mut visitor, started["user_code"].as_str().unwrap()).await;
    let page = visitor.sign_in(&page, ACME.admin.username, ACME.admin.password).await;
    assert_eq!(page.reply.status, 403, "{}", page.text());
    refused(&poll(&server, "few", code(&started)).await, "authorization_pending");
}
