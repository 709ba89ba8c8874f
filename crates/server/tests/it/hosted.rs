//! The hosted pages: every factor, every way back, and what a form may not do.

use serde_json::Value;

use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::visitor::{Page, Visitor};
use crate::support::{ACME, TestServer, decode, on_both, totp};

const SCOTT: (&str, &str) = ("scott", "hunter22");
const TOTP_SECRET: &[u8] = b"12345678901234567890";

async fn at_second_factor(server: &TestServer) -> (Visitor, Page) {
    let mut visitor = Visitor::new(server);
    let page = visitor.get(&code_request("vault", &[])).await;
    let page = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await;
    (visitor, page)
}

/// The button for this kind of factor.
#[track_caller]
fn way(page: &Page, kind: &str) -> String {
    let html = page.text();
    let at = html.find(&format!("data-kind=\"{kind}\"")).unwrap_or_else(|| panic!("no `{kind}`: {html}"));
    let start = html[..at].rfind("value=\"").unwrap() + 7;
    html[start..start + html[start..].find('"').unwrap()].to_owned()
}

async fn amr(server: &TestServer, client: &str, page: &Page) -> Value {
    let code = page.landed(CALLBACK)["code"].clone();
    let tokens = server.redeem(client, &code).await.expect(200);
    decode(tokens["id_token"].as_str().unwrap()).1["amr"].clone()
}

#[tokio::test]
async fn o1_o2_a_password_signs_in_by_a_plain_form() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("web", &[])).await;
    page.expect(200);
    for id in ["form", "username", "password", "submit", "passkey", "cancel"] {
        assert!(page.has(id), "no `#{id}`");
    }
    assert!(page.path.starts_with("/login/"));
    let back = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await;
    let landed = back.landed(CALLBACK);
    assert_eq!(landed["state"], "st-1");
    assert_eq!(landed["iss"], "https://login.example.test");
}

#[tokio::test]
async fn attack_39_a_wrong_password_a_stranger_and_a_locked_account_look_alike() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("web", &[])).await;
    let mut shown = Vec::new();
    for (username, password) in [("scott", "wrong"), ("nobody-here", "wrong"), ("SCOTT ", "wrong")] {
        let page = visitor.sign_in(&page, username, password).await;
        page.expect(200);
        assert_eq!(page.problem().as_deref(), Some("wrong_credentials"));
        assert_eq!(page.value("username"), username.trim());
        shown.push(page);
    }
    for _ in 0..6 {
        visitor.sign_in(&page, "scott", "wrong").await;
    }
    let locked = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await;
    assert_eq!(locked.problem().as_deref(), Some("wrong_credentials"));
    let words = |page: &Page| {
        let html = page.text();
        html[html.find("id=\"error\"").unwrap()..html.find("<form").unwrap()].to_owned()
    };
    shown.push(locked);
    assert!(shown.iter().all(|page| words(page) == words(&shown[0])));
    // Rested, the same dialogue goes on.
    server.world.advance(1200);
    visitor.sign_in(&page, SCOTT.0, SCOTT.1).await.landed(CALLBACK);
}

#[tokio::test]
async fn empty_fields_are_told_and_charged_to_nobody() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("web", &[])).await;
    for fields in [[("username", ""), ("password", "")], [("username", "scott"), ("password", "")]] {
        assert_eq!(visitor.submit(&page, &fields).await.problem().as_deref(), Some("missing"));
    }
}

#[tokio::test]
async fn a_mailed_code_is_the_second_factor() {
    let server = setup().start().await;
    let (mut visitor, page) = at_second_factor(&server).await;
    let page = visitor.submit(&page, &[("way", &way(&page, "email-otp"))]).await;
    assert!(page.path.ends_with("/code"), "{}", page.path);
    assert!(page.text().contains("s***t@acme.org"));
    let wrong = visitor.submit(&page, &[("code", "000000x")]).await;
    assert_eq!(wrong.problem().as_deref(), Some("wrong_code"));
    let first = server.code(ACME.address).await;
    let resent = visitor.submit(&page, &[("do", "resend")]).await;
    assert!(resent.has("notice"), "{}", resent.text());
    let code = server.code(ACME.address).await;
    if first != code {
        assert!(visitor.submit(&page, &[("code", &first)]).await.problem().is_some());
    }
    let typed = format!(" {}-{} ", &code[..3], &code[3..]);
    let back = visitor.submit(&page, &[("code", &typed)]).await;
    assert_eq!(amr(&server, "vault", &back).await, serde_json::json!(["mfa", "otp", "pwd"]));
}

#[tokio::test]
async fn a_code_of_an_application_is_the_second_factor() {
    let server = setup().start().await;
    let (mut visitor, page) = at_second_factor(&server).await;
    let page = visitor.submit(&page, &[("way", &way(&page, "totp"))]).await;
    assert!(page.path.ends_with("/totp"), "{}", page.path);
    assert_eq!(visitor.submit(&page, &[("code", "123")]).await.problem().as_deref(), Some("wrong_code"));
    let choice = visitor.submit(&page, &[("do", "another")]).await;
    assert!(choice.has("way-2"));
    let code = totp(TOTP_SECRET, server.world.now());
    let back = visitor.submit(&page, &[("code", &code)]).await;
    assert_eq!(amr(&server, "vault", &back).await, serde_json::json!(["mfa", "otp", "pwd"]));
}

#[tokio::test]
async fn a_passkey_is_the_second_factor_and_the_only_one() {
    let server = setup().start().await;
    let mut key = server.passkey_of(ACME.admin.id).await;
    let (mut visitor, page) = at_second_factor(&server).await;
    let page = visitor.submit(&page, &[("way", &way(&page, "passkey"))]).await;
    page.expect(200);
    let answer = key.get(ACME.base, &page.options()).await.unwrap().to_string();
    let back = visitor.submit(&page, &[("credential", &answer)]).await;
    assert_eq!(amr(&server, "vault", &back).await, serde_json::json!(["mfa", "pop", "pwd", "user"]));

    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("web", &[])).await;
    let page = visitor.submit(&page, &[("do", "passkey")]).await;
    let options = page.options();
    assert_eq!(options["userVerification"], "required");
    assert_eq!(visitor.submit(&page, &[("credential", "{}")]).await.problem().as_deref(), Some("passkey_refused"));
    let answer = key.get(ACME.base, &options).await.unwrap().to_string();
    let back = visitor.submit(&page, &[("credential", &answer)]).await;
    assert_eq!(amr(&server, "web", &back).await, serde_json::json!(["mfa", "pop", "user"]));
    // The same answer serves nobody twice.
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("web", &[])).await;
    let page = visitor.submit(&page, &[("do", "passkey")]).await;
    assert_eq!(visitor.submit(&page, &[("credential", &answer)]).await.problem().as_deref(), Some("passkey_refused"));
}

#[tokio::test]
async fn who_has_no_further_factor_is_told() {
    let server = setup().add(&crate::support::user("6040009ZZZ", "zoe", "zebra-crossing-1", "")).start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("vault", &[])).await;
    let page = visitor.sign_in(&page, "zoe", "zebra-crossing-1").await;
    page.expect(200);
    assert!(!page.has("way-1") && page.has("cancel"));
    let back = visitor.submit(&page, &[("do", "cancel")]).await;
    assert_eq!(back.landed(CALLBACK)["error"], "access_denied");
}

#[tokio::test]
async fn p16_giving_up_goes_back_with_state_and_issuer() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("web", &[])).await;
    let back = visitor.submit(&page, &[("do", "cancel")]).await;
    let landed = back.landed(CALLBACK);
    assert_eq!((landed["error"].as_str(), landed["state"].as_str()), ("access_denied", "st-1"));
    assert_eq!(landed["iss"], "https://login.example.test");
    assert!(!landed.contains_key("code"));
    // The dialogue is over.
    let gone = visitor.get(&page.path).await;
    gone.expect(410);
    assert_eq!(gone.error_id().as_deref(), Some("expired"));
}

#[tokio::test]
async fn another_browser_cannot_go_on_with_a_dialogue() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("web", &[])).await;
    let mut stranger = Visitor::new(&server);
    stranger.get(&page.path).await.expect(400);
    stranger.get(&code_request("web", &[])).await;
    stranger.get(&page.path).await.expect(410);
    stranger.sign_in(&page, SCOTT.0, SCOTT.1).await.expect(410);
    assert!(!stranger.jar.contains_key("__Host-countersign"));
    // Nor does a handle that was made up, or one whose time is over.
    visitor.get(&format!("/login/{}", "x".repeat(40))).await.expect(410);
    visitor.get("/login/x").await.expect(410);
    server.world.advance(1801);
    visitor.get(&page.path).await.expect(410);
    visitor.sign_in(&page, SCOTT.0, SCOTT.1).await.expect(410);
}

#[tokio::test]
async fn o4_a_form_from_elsewhere_is_refused_and_silence_is_not() {
    let server = setup().start().await;
    for (name, value, good) in [
        ("origin", "https://login.example.test", true),
        ("origin", "https://evil.example.test", false),
        ("origin", "null", false),
        ("sec-fetch-site", "same-origin", true),
        ("sec-fetch-site", "none", true),
        ("sec-fetch-site", "cross-site", false),
        ("sec-fetch-site", "same-site", false),
    ] {
        let mut visitor = Visitor::new(&server);
        let page = visitor.get(&code_request("web", &[])).await;
        let mut visitor = visitor.with(name, value);
        let done = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await;
        if good {
            done.landed(CALLBACK);
        } else {
            done.expect(403);
            assert_eq!(done.error_id().as_deref(), Some("foreign_form"), "{name}: {value}");
        }
    }
}

#[tokio::test]
async fn two_windows_each_come_to_their_answer_once() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    let one = visitor.get(&code_request("web", &[("state", "one")])).await;
    let two = visitor.get(&code_request("web", &[("state", "two")])).await;
    assert_ne!(one.path, two.path);
    assert_eq!(visitor.sign_in(&one, SCOTT.0, SCOTT.1).await.landed(CALLBACK)["state"], "one");
    assert_eq!(visitor.sign_in(&two, SCOTT.0, SCOTT.1).await.landed(CALLBACK)["state"], "two");
    visitor.sign_in(&one, SCOTT.0, SCOTT.1).await.expect(410);
}

#[tokio::test]
async fn the_session_cookie_is_a_new_one_at_every_sign_in() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    visitor.code("web", SCOTT.0, SCOTT.1, &[]).await;
    let (first, state) = (visitor.jar["__Host-countersign"].clone(), visitor.state().unwrap().to_owned());
    let page = visitor.get(&code_request("web", &[("prompt", "login")])).await;
    visitor.sign_in(&page, SCOTT.0, SCOTT.1).await.landed(CALLBACK);
    assert_ne!(visitor.jar["__Host-countersign"], first);
    // The same person is still there, as clients see it (demand P-8).
    assert_eq!(visitor.state().unwrap(), state);
    // What was there before is worth nothing any more.
    let mut old = visitor.clone();
    old.jar.insert("__Host-countersign".to_owned(), first);
    assert_eq!(old.silently("web", &[]).await.landed(CALLBACK)["error"], "login_required");
    // A value that was planted beforehand does not become a session.
    let mut planted = Visitor::new(&server);
    planted.jar.insert("__Host-countersign".to_owned(), "p".repeat(40));
    planted.code("web", SCOTT.0, SCOTT.1, &[]).await;
    assert!(!planted.jar["__Host-countersign"].contains("ppp"));
}

#[test]
fn a_dialogue_goes_on_at_any_node_on_either_database() {
    on_both(|store| async move {
        let server = setup().start_on(store).await;
        let other = server.another().await;
        let mut visitor = Visitor::new(&server);
        let page = visitor.get(&code_request("vault", &[])).await;
        let mut there = visitor.at(&other);
        let page = there.sign_in(&page, SCOTT.0, SCOTT.1).await;
        let mut here = there.at(&server);
        let page = here.submit(&page, &[("way", &way(&page, "totp"))]).await;
        let mut there = here.at(&other);
        let code = totp(TOTP_SECRET, server.world.now());
        let back = there.submit(&page, &[("code", &code)]).await;
        amr(&server, "vault", &back).await;
        assert!(there.at(&server).silently("web", &[]).await.landed(CALLBACK).contains_key("code"));
    });
}

#[tokio::test]
async fn a_session_ends_unused_and_at_last() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    visitor.code("web", SCOTT.0, SCOTT.1, &[]).await;
    // Used often enough it lives on, but not for ever.
    for _ in 0..6 {
        server.world.advance(7000);
        assert!(visitor.silently("web", &[]).await.landed(CALLBACK).contains_key("code"));
    }
    server.world.advance(7000);
    assert_eq!(visitor.silently("web", &[]).await.landed(CALLBACK)["error"], "login_required");
    visitor.code("web", SCOTT.0, SCOTT.1, &[]).await;
    server.world.advance(7201);
    assert_eq!(visitor.silently("web", &[]).await.landed(CALLBACK)["error"], "login_required");
}

#[tokio::test]
async fn secrets_of_the_dialogue_are_stored_nowhere() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    let code = visitor.code("web", SCOTT.0, SCOTT.1, &[]).await;
    let session = visitor.jar["__Host-countersign"].clone();
    for kind in ["session", "code", "interaction"] {
        for item in server.store.items_of(&server.tenant(), kind, ACME.admin.id, 10).await.unwrap() {
            for secret in [&code, &session] {
                assert!(!item.body.contains(secret.as_str()) && item.name != **secret, "{kind}");
            }
        }
    }
}

#[tokio::test]
async fn an_expired_password_is_told_to_whoever_knows_it_and_signs_nobody_in() {
    let mail = "mail_from = \"no-reply@acme.org\"";
    let setup = setup().replace(mail, &format!("{mail}\npassword = {{ expires_days = 30 }}"));
    let server = setup.start().await;
    server.world.advance(31 * 86_400);
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("web", &[])).await;
    let wrong = visitor.sign_in(&page, "scott", "wrong").await;
    assert_eq!(wrong.problem().as_deref(), Some("wrong_credentials"));
    let due = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await;
    assert_eq!(due.problem().as_deref(), Some("password_expired"));
    assert!(!visitor.jar.contains_key("__Host-countersign"));
}
