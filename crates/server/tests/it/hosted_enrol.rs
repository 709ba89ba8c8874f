//! A factor that policy wants and a person has not yet, at the hosted pages: enrolled in passing where it must be, or declined where it is
//! only offered.

use serde_json::json;

use crate::hosted_account::base32;
use crate::hosted_ways::{text_of, way};
use crate::support::browser::Browser;
use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::visitor::{Page, Visitor};
use crate::support::{ACME, Setup, TestServer, client, decode, policy, rule, totp, user};

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
    assert_eq!(amr(&server, &back).await, json!(["password", "totp"]));
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
    assert_eq!(amr(&server, &back).await, json!(["emailotp", "password"]));
}

#[tokio::test]
async fn a_passkey_is_enrolled_or_declined_where_it_is_only_offered() {
    let server = with("optional", r#"["fido2"]"#).start().await;
    let (mut visitor, page) = at_club(&server, ZOE).await;
    assert!(shows(&page, "enrol") && page.has("skip"), "{}", page.text());
    let back = visitor.submit(&page, &[("do", "skip")]).await;
    assert_eq!(amr(&server, &back).await, json!(["password"]));
    let (mut visitor, page) = at_club(&server, ZOE).await;
    let page = visitor.submit(&page, &[("way", "passkey")]).await;
    let mut key = Browser::new(true);
    let made = key.create(ACME.base, &page.options()).await.unwrap().to_string();
    let back = visitor.submit(&page, &[("name", "Laptop"), ("credential", &made), ("do", "passkey")]).await;
    assert_eq!(amr(&server, &back).await, json!(["fido2", "password"]));
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
    assert_eq!(amr(&server, &back).await, json!(["emailotp", "password", "smsotp"]));
}
