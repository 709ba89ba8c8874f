//! A factor that policy wants and a person has not yet, at the hosted pages: enrolled in passing where it must be, or declined where it is
//! only offered.

use countersign::signin::SignIns;
use protocol::records::UserId;
use serde_json::json;

use crate::hosted_account::base32;
use crate::hosted_ways::{Phone, text_of, way};
use crate::support::browser::Browser;
use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::visitor::{Page, Visitor};
use crate::support::{ACME, Setup, TestServer, client, decode, on_both, policy, rule, totp, user};

const ZOE: (&str, &str) = ("zoe", "zebra-crossing-1");

fn with(enrolment: &str, kinds: &str) -> Setup {
    let more = rule("More", false, "[]", "ACTION_MFA_ALWAYS", kinds)
        .replace("serverSideActions = []", &format!("serverSideActions = [], enrolment = {enrolment:?}"));
    let first = rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["password"]"#);
    let code =
        format!("grant_types = [\"authorization_code\"]\nredirect_uris = [{CALLBACK:?}]\nconsent = \"never_prompt\"");
    setup()
        .add(&client("club", "club-secret", &format!("{code}\npolicy = 791")))
        .add(&user(
            "6040009ZZZ",
            ZOE.0,
            ZOE.1,
            "[tenant.users.attributes]\nname = \"Zoe\"\nbirthdate = \"1990-01-01\"\n",
        ))
        .add(&policy(791, &[first, more]))
}

async fn at_club(server: &TestServer, who: (&str, &str)) -> (Visitor, Page) {
    let mut visitor = Visitor::new(server);
    let page = visitor.get(&code_request("club", &[])).await;
    let page = visitor.sign_in(&page, who.0, who.1).await;
    (visitor, page)
}

async fn amr(server: &TestServer, page: &Page) -> serde_json::Value {
    let code = page.landed(CALLBACK)["code"].clone();
    let tokens = server.redeem("club", &code).await.expect(200);
    decode(tokens["id_token"].as_str().unwrap()).1["amr"].clone()
}

fn shows(page: &Page, name: &str) -> bool {
    page.text().contains(&format!("data-page=\"{name}\""))
}

#[tokio::test]
async fn an_application_is_enrolled_where_it_must_be_and_counts_at_once() {
    let server = with("required", r#"["totp", "emailotp"]"#).start().await;
    let (mut visitor, page) = at_club(&server, ZOE).await;
    assert!(shows(&page, "enrol") && page.has("add-totp") && page.has("add-email"), "{}", page.text());
    assert!(!page.has("skip") && !page.has("add-passkey"), "what policy does not ask for is not offered");
    // Pressing what is not there leads back.
    assert!(shows(&visitor.submit(&page, &[("do", "skip")]).await, "enrol"));
    assert!(shows(&visitor.submit(&page, &[("way", "passkey")]).await, "enrol"));
    let page = visitor.submit(&page, &[("way", "totp")]).await;
    let key = base32(&text_of(&page, "secret").replace(' ', ""));
    let wrong = visitor.submit(&page, &[("code", "000000")]).await;
    assert_eq!(wrong.problem().as_deref(), Some("wrong_code"));
    assert_eq!(text_of(&wrong, "secret"), text_of(&page, "secret"));
    let back = visitor.submit(&wrong, &[("code", &totp(&key, server.world.now()))]).await;
    assert_eq!(amr(&server, &back).await, json!(["mfa", "otp", "pwd"]));
    // The next time it is asked for like any other.
    let (mut visitor, page) = at_club(&server, ZOE).await;
    assert!(shows(&page, "totp"), "{}", page.text());
    server.world.advance(30);
    visitor.submit(&page, &[("code", &totp(&key, server.world.now()))]).await.landed(CALLBACK);
}

#[tokio::test]
async fn an_address_is_enrolled_by_its_code() {
    let server = with("required", r#"["emailotp"]"#).start().await;
    let (mut visitor, page) = at_club(&server, ZOE).await;
    let page = visitor.submit(&page, &[("way", "email")]).await;
    let wrong = visitor.submit(&page, &[("address", "nowhere")]).await;
    assert_eq!(wrong.problem().as_deref(), Some("bad_address"));
    let page = visitor.submit(&wrong, &[("address", "zoe@home.test")]).await;
    assert!(page.has("code") && page.text().contains("z***@home.test"), "{}", page.text());
    let resent = visitor.submit(&page, &[("do", "resend")]).await;
    assert!(resent.has("code"), "{}", resent.text());
    let code = server.code("zoe@home.test").await;
    let back = visitor.submit(&resent, &[("code", &code)]).await;
    assert_eq!(amr(&server, &back).await, json!(["mfa", "otp", "pwd"]));
}

#[tokio::test]
async fn a_passkey_is_enrolled_or_declined_where_it_is_only_offered() {
    let server = with("optional", r#"["fido2"]"#).start().await;
    let (mut visitor, page) = at_club(&server, ZOE).await;
    assert!(shows(&page, "enrol") && page.has("skip"), "{}", page.text());
    let back = visitor.submit(&page, &[("do", "skip")]).await;
    assert_eq!(amr(&server, &back).await, json!(["pwd"]));
    let (mut visitor, page) = at_club(&server, ZOE).await;
    let page = visitor.submit(&page, &[("way", "passkey")]).await;
    let mut key = Browser::new(true);
    let made = key.create(ACME.base, &page.options()).await.unwrap().to_string();
    let back = visitor.submit(&page, &[("name", "Laptop"), ("credential", &made), ("do", "passkey")]).await;
    assert_eq!(amr(&server, &back).await, json!(["mfa", "pop", "pwd", "user"]));
}

#[tokio::test]
async fn attack_a_password_enrols_nothing_beside_the_factors_somebody_has() {
    let server = with("required", r#"["smsotp"]"#).start().await;
    // Scott has mail and an application: one of them comes first.
    let (mut visitor, page) = at_club(&server, ("scott", "hunter22")).await;
    assert!(shows(&page, "choose-way"), "{}", page.text());
    let action = page.form().action.replace("/factor", "/enrol");
    let page = visitor.post(&action, &[("way", "sms"), ("address", "+4917112345")]).await;
    assert!(!page.has("code"), "{}", page.text());
    assert!(server.mail("+4917112345").await.is_empty());
    let page = visitor.submit(&page, &[("way", &way(&page, "email-otp"))]).await;
    let page = visitor.submit(&page, &[("code", &server.code(ACME.address).await)]).await;
    assert!(shows(&page, "enrol") && page.has("add-sms"), "{}", page.text());
    let page = visitor.submit(&page, &[("way", "sms")]).await;
    let page = visitor.submit(&page, &[("address", "+49 171 12345")]).await;
    let back = visitor.submit(&page, &[("code", &server.code("+4917112345").await)]).await;
    assert_eq!(amr(&server, &back).await, json!(["mfa", "otp", "pwd", "sms"]));
}

/// A stolen password leads as far as these pages. The one that its owner is given closes them.
#[tokio::test]
async fn a_new_password_ends_every_enrolment_that_the_old_one_led_to() {
    let server = with("required", r#"["totp", "fido2", "emailotp", "signatures"]"#).start().await;
    let mut dialogues = Vec::new();
    for way in ["totp", "passkey", "email", "phone"] {
        let (mut visitor, page) = at_club(&server, ZOE).await;
        let page = visitor.submit(&page, &[("way", way)]).await;
        dialogues.push((visitor, page));
    }
    let [totp_page, passkey, email, phone] = &mut dialogues[..] else { panic!() };
    email.1 = email.0.submit(&email.1, &[("address", "thief@home.test")]).await;
    let code = server.code("thief@home.test").await;
    let made = Browser::new(true).create(ACME.base, &passkey.1.options()).await.unwrap().to_string();
    let invitation = invited(&phone.1);
    let key = base32(&text_of(&totp_page.1, "secret").replace(' ', ""));

    server.world.advance(1);
    let zoe = UserId::from("6040009ZZZ");
    let view = server.view();
    let sign_ins = SignIns { app: &server.app, tenant: &view };
    let record = sign_ins.person(&zoe).await.unwrap().unwrap();
    sign_ins.reset_password(&record, "another-crossing-2".into(), false).await.unwrap();

    let now = totp(&key, server.world.now());
    let over = [
        totp_page.0.submit(&totp_page.1, &[("code", &now)]).await,
        passkey.0.submit(&passkey.1, &[("credential", &made), ("do", "passkey")]).await,
        email.0.submit(&email.1, &[("code", &code)]).await,
        phone.0.submit(&phone.1, &[("do", "another")]).await,
    ];
    for page in over {
        let back = page.landed(CALLBACK);
        assert!(back.contains_key("error") && !back.contains_key("code"), "{back:?}");
    }
    let late = sign_ins.register_device(invitation["code"].as_str().unwrap(), serde_json::Map::new()).await.unwrap();
    assert!(late.is_none(), "the invitation is over too");
    let all = sign_ins.enrolments_of(&zoe).await.unwrap();
    assert!(all.iter().all(|one| !one.validated), "{all:?}");
    // What was only offered cannot be declined then either.
    let server = with("optional", r#"["totp"]"#).start().await;
    let (mut visitor, page) = at_club(&server, ZOE).await;
    server.world.advance(1);
    let view = server.view();
    let sign_ins = SignIns { app: &server.app, tenant: &view };
    let record = sign_ins.person(&zoe).await.unwrap().unwrap();
    sign_ins.reset_password(&record, "another-crossing-2".into(), false).await.unwrap();
    assert!(visitor.submit(&page, &[("do", "skip")]).await.landed(CALLBACK).contains_key("error"));
}

/// A phone that registered in time counts for nobody whose password was changed before the page was looked at again.
#[tokio::test]
async fn a_phone_is_not_counted_after_a_new_password() {
    let server = with("required", r#"["signatures"]"#).start().await;
    let (mut visitor, page) = at_club(&server, ZOE).await;
    let page = visitor.submit(&page, &[("way", "phone")]).await;
    Phone::invited(&server, invited(&page)["code"].as_str().unwrap()).await;
    server.world.advance(1);
    let view = server.view();
    let sign_ins = SignIns { app: &server.app, tenant: &view };
    let record = sign_ins.person(&UserId::from("6040009ZZZ")).await.unwrap().unwrap();
    sign_ins.reset_password(&record, "another-crossing-2".into(), false).await.unwrap();
    assert!(visitor.get(&page.path).await.landed(CALLBACK).contains_key("error"));
}

/// What invites a phone on this page.
#[track_caller]
fn invited(page: &Page) -> serde_json::Value {
    serde_json::from_str(&text_of(page, "invitation").replace("&quot;", "\"")).unwrap()
}

async fn waits(visitor: &mut Visitor, page: &Page) -> bool {
    let answer = visitor.once("GET", &format!("{}?wait", page.path), None).await;
    assert_eq!(answer.reply.status, 200);
    serde_json::from_slice::<serde_json::Value>(&answer.reply.body).unwrap()["waiting"] == true
}

#[test]
fn a_phone_is_enrolled_by_the_picture_and_counts_at_once() {
    on_both(async |store| {
        let server = with("required", r#"["signatures", "totp"]"#).start_on(store).await;
        let (mut visitor, page) = at_club(&server, ZOE).await;
        assert!(shows(&page, "enrol") && page.has("add-phone"), "{}", page.text());
        let page = visitor.submit(&page, &[("way", "phone")]).await;
        assert!(shows(&page, "enrol-phone") && page.path.ends_with("/enrol"), "{} {}", page.path, page.text());
        assert!(page.has("picture") && page.has("waiting") && page.has("here") && page.has("link-picture"));
        assert!(page.text().contains("<noscript><meta http-equiv=\"refresh\""), "it looks again without scripts too");
        assert!(page.reply.header("content-security-policy").contains("connect-src 'self'"));
        let first = invited(&page);
        assert_eq!((&first["accountName"], waits(&mut visitor, &page).await), (&json!("zoe"), true));
        // Wherever the dialogue is opened again, and once more, it is the same invitation.
        let due = page.path.trim_end_matches("/enrol").to_owned();
        assert_eq!(invited(&visitor.get(&due).await), first);
        assert_eq!(invited(&visitor.get(&page.path).await), first);
        // Another way gives it up, and it can be asked for anew.
        let choice = visitor.submit(&page, &[("do", "another")]).await;
        assert!(shows(&choice, "enrol"), "{}", choice.text());
        assert!(!waits(&mut visitor, &choice).await);
        let page = visitor.submit(&choice, &[("way", "phone")]).await;
        let second = invited(&page);
        assert_ne!(first["code"], second["code"]);
        let phone = Phone::invited(&server, second["code"].as_str().unwrap()).await;
        assert!(!waits(&mut visitor, &page).await, "there is something to see");
        // Nobody else's look takes the sign-in on.
        let mut stranger = Visitor::new(&server);
        stranger.get(&code_request("web", &[])).await;
        stranger.get(&page.path).await.expect(410);
        let other = server.another().await;
        let back = visitor.at(&other).get(&page.path).await;
        assert_eq!(amr(&server, &back).await, json!(["mfa", "pop", "pwd", "user"]));
        // The next time it is asked for like any other.
        let (mut visitor, page) = at_club(&server, ZOE).await;
        assert!(shows(&page, "push"), "{}", page.text());
        phone.approves(&server, None).await;
        assert_eq!(amr(&server, &visitor.get(&page.path).await).await, json!(["mfa", "pop", "pwd", "user"]));
    });
}

#[tokio::test]
async fn an_invitation_that_nobody_took_up_is_replaced() {
    let server = with("required", r#"["signatures"]"#).start().await;
    let (mut visitor, page) = at_club(&server, ZOE).await;
    let page = visitor.submit(&page, &[("way", "phone")]).await;
    let old = invited(&page);
    server.world.advance(600);
    assert!(!waits(&mut visitor, &page).await);
    let page = visitor.get(&page.path).await;
    assert_eq!(page.problem().as_deref(), Some("picture_expired"));
    assert!(page.has("resend") && !page.has("invitation") && !page.text().contains("<script"), "{}", page.text());
    let view = server.view();
    let sign_ins = SignIns { app: &server.app, tenant: &view };
    let late = sign_ins.register_device(old["code"].as_str().unwrap(), serde_json::Map::new()).await.unwrap();
    assert!(late.is_none(), "it is over");
    let page = visitor.submit(&page, &[("do", "resend")]).await;
    Phone::invited(&server, invited(&page)["code"].as_str().unwrap()).await;
    assert_eq!(amr(&server, &visitor.get(&page.path).await).await, json!(["mfa", "pop", "pwd", "user"]));
}

/// A phone that asks for a touch is not one that knows its owner's finger.
#[tokio::test]
async fn a_phone_counts_by_the_way_of_approval_that_is_asked_for() {
    let server = with("required", r#"["signatures_fingerprint"]"#).start().await;
    let (mut visitor, page) = at_club(&server, ZOE).await;
    let page = visitor.submit(&page, &[("way", "phone")]).await;
    assert!(page.has("picture") && !page.has("here"), "the phone in a browser has no reader");
    Phone::invited(&server, invited(&page)["code"].as_str().unwrap()).await;
    assert!(waits(&mut visitor, &page).await, "a key for it may follow");
    let page = visitor.get(&page.path).await;
    assert!(shows(&page, "enrol-phone"), "{}", page.text());
    assert!(!visitor.jar.contains_key("__Host-countersign"));
}

#[tokio::test]
async fn a_phone_is_offered_where_phones_approve_and_may_be_declined() {
    let server = with("optional", r#"["signatures"]"#).start().await;
    let (mut visitor, page) = at_club(&server, ZOE).await;
    assert!(page.has("add-phone") && page.has("skip"), "{}", page.text());
    let back = visitor.submit(&page, &[("do", "skip")]).await;
    assert_eq!(amr(&server, &back).await, json!(["pwd"]));
    // Scott has factors that count, and proved none of them: whatever a form says, no phone is invited.
    let server = with("required", r#"["signatures"]"#).start().await;
    let (mut visitor, page) = at_club(&server, ("scott", "hunter22")).await;
    let action = page.form().action.replace("/factor", "/enrol");
    let page = visitor.post(&action, &[("way", "phone")]).await;
    assert!(!page.has("invitation") && !shows(&page, "enrol-phone"), "{}", page.text());
}
