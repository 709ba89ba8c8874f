//! My security: what is shown to whom, what a change asks for, who is told, and what ends.

use countersign::signin::SignIns;
use protocol::records::UserId;
use serde_json::Value;

use crate::hosted_ways::{Phone, everything, text_of, way};
use crate::support::browser::Browser;
use crate::support::hosted::{CALLBACK, code_request};
use crate::support::visitor::{Page, Visitor};
use crate::support::{ACME, TestServer, client, on_both, policy, rule, totp};

const ZOE: (&str, &str) = ("zoe", "zebra-crossing-1");
const SCOTT: (&str, &str) = ("scott", "hunter22");

/// The page from one of its forms on: what is filled in then is that one.
#[track_caller]
fn form(page: &Page, id: &str) -> Page {
    let html = page.text();
    let at = html.find(&format!("<form id=\"{id}\"")).unwrap_or_else(|| panic!("no form `{id}`: {html}"));
    let mut cut = page.clone();
    cut.reply.body = html.as_bytes()[at..].to_vec().into();
    cut
}

/// A field of a form.
#[track_caller]
fn hidden(page: &Page, id: &str, name: &str) -> String {
    let fields = form(page, id).form().fields;
    fields.into_iter().find(|(field, _)| field == name).map(|(_, value)| value).unwrap_or_else(|| panic!("no `{name}`"))
}

async fn at_home(server: &TestServer, who: (&str, &str)) -> (Visitor, Page) {
    let mut visitor = Visitor::new(server);
    let page = visitor.get("/account").await;
    let page = visitor.sign_in(&page, who.0, who.1).await;
    (visitor, page)
}

/// What was done last, as the page says.
fn said(page: &Page) -> Option<&str> {
    let html = page.text();
    let at = html.find("data-said=\"")? + 11;
    Some(&html[at..at + html[at..].find('"')?])
}

fn shows(page: &Page, name: &str) -> bool {
    page.text().contains(&format!("data-page=\"{name}\""))
}

/// The address of the row of this kind.
#[track_caller]
fn row(page: &Page, kind: &str) -> String {
    let html = page.text();
    let at = html.find(&format!("data-kind=\"{kind}\"")).unwrap_or_else(|| panic!("no `{kind}`: {html}"));
    let start = html[..at].rfind("href=\"").unwrap() + 6;
    html[start..start + html[start..].find('"').unwrap()].to_owned()
}

/// Begins to add something.
async fn add(visitor: &mut Visitor, kind: &str) -> Page {
    let page = visitor.get("/account/add").await;
    visitor.submit(&form(&page, "form"), &[("way", kind)]).await
}

pub fn base32(text: &str) -> Vec<u8> {
    let (mut bits, mut held, mut out) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|one| *one == letter).unwrap();
        bits = (bits << 5) | u32::try_from(value).unwrap();
        held += 5;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).unwrap());
        }
    }
    out
}

async fn subjects(server: &TestServer, to: &str) -> Vec<String> {
    let all = server.mail(to).await;
    let text = |mail: &Value| mail["text"].as_str().unwrap().lines().next().unwrap().to_owned();
    all.iter().filter(|mail| mail["code"].is_null()).map(text).collect()
}

#[tokio::test]
async fn the_name_of_the_server_leads_to_my_security_by_way_of_signing_in() {
    let server = everything("").start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get("/").await;
    page.expect(200);
    assert!(page.path.starts_with("/login/") && shows(&page, "sign-in"), "{}", page.path);
    assert!(!page.has("cancel"), "there is nowhere to go back to");
    let page = visitor.sign_in(&page, ZOE.0, ZOE.1).await;
    page.expect(200);
    assert!(page.path == "/account" && shows(&page, "account"), "{}", page.path);
    for id in ["password", "codes", "add", "alone", "sign-out", "tab-places"] {
        assert!(page.has(id), "no `#{id}`");
    }
    assert_eq!(page.reply.header("cache-control"), "no-store");
    for path in ["/account/places", "/account/applications", "/account/activity"] {
        visitor.get(path).await.expect(200);
    }
    assert_eq!(visitor.once("GET", "/account/nothing", None).await.reply.status, 404);
    // A page that leads to a change is where the sign-in comes back to.
    let mut visitor = Visitor::new(&server);
    let page = visitor.get("/account/places").await;
    assert_eq!(visitor.sign_in(&page, ZOE.0, ZOE.1).await.path, "/account/places");
    // Signed out, it begins anew.
    let page = visitor.get("/account").await;
    let out = visitor.submit(&form(&page, "sign-out-form"), &[("do", "sign-out")]).await;
    assert!(shows(&out, "logged-out"), "{}", out.text());
    assert!(shows(&visitor.get("/account").await, "sign-in"));
}

/// A session from elsewhere is none that the policy of these pages was asked about.
#[tokio::test]
async fn a_session_from_elsewhere_is_asked_for_what_my_security_wants_itself() {
    let first = || rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["password"]"#);
    let more = rule("More", false, "[]", "ACTION_MFA_ALWAYS", r#"["emailotp"]"#);
    let closed = rule("Out", false, "[]", "ACTION_DENY", "[]");
    let server = everything("")
        .add(&client("my-security", "s", "policy = 795"))
        .add(&policy(795, &[first(), more]))
        .add(&policy(796, &[first(), closed]))
        .start()
        .await;
    let mut visitor = Visitor::new(&server);
    visitor.code("web", SCOTT.0, SCOTT.1, &[]).await;
    let page = visitor.get("/account/places").await;
    assert!(shows(&page, "choose-way"), "{}", page.text());
    let page = visitor.submit(&page, &[("way", &way(&page, "email-otp"))]).await;
    let page = visitor.submit(&page, &[("code", &server.code(ACME.address).await)]).await;
    assert!(page.path == "/account/places" && shows(&page, "account-places"), "{} {}", page.path, page.text());
    // No page is a sign-in of its own; after a while it is asked for again.
    assert!(shows(&visitor.get("/account").await, "account"));
    server.world.advance(901);
    assert!(shows(&visitor.get("/account").await, "choose-way"));

    // A form counts as much as a page, but for shutting doors.
    let mut visitor = Visitor::new(&server);
    let page = visitor.get("/account").await;
    let page = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await;
    let home = visitor.submit(&page, &[("code", &server.code(ACME.address).await)]).await;
    assert!(shows(&home, "account"), "{}", home.text());
    let adding = visitor.get("/account/add").await;
    server.change_client("my-security", |client| client.policy = Some(796)).await;
    visitor.get("/account").await.expect(403);
    visitor.submit(&form(&adding, "form"), &[("way", "totp")]).await.expect(403);
    let out = visitor.submit(&form(&home, "sign-out-form"), &[("do", "sign-out")]).await;
    assert!(shows(&out, "logged-out"), "{}", out.text());
}

#[test]
fn an_application_is_added_tried_and_removed_on_either_database() {
    on_both(async |store| {
        let server = everything("").start_on(store).await;
        let (mut visitor, _) = at_home(&server, ZOE).await;
        let page = add(&mut visitor, "totp").await;
        assert!(page.has("picture") && page.has("secret"), "{}", page.text());
        let wrong = visitor.submit(&form(&page, "form"), &[("code", "000000")]).await;
        assert_eq!(wrong.problem().as_deref(), Some("wrong_code"));
        assert_eq!(text_of(&wrong, "secret"), text_of(&page, "secret"), "the key stays until it is confirmed");
        assert!(subjects(&server, "zoe@acme.org").await.is_empty(), "nothing happened yet");
        let key = base32(&text_of(&page, "secret").replace(' ', ""));
        let code = totp(&key, server.world.now());
        let home = visitor.submit(&form(&page, "form"), &[("code", &code)]).await;
        assert_eq!(said(&home), Some("added"));
        assert_eq!(subjects(&server, "zoe@acme.org").await, ["A way to sign in was added"]);

        // From now on a change takes both.
        let there = row(&home, "totp");
        let page = visitor.get(&there).await;
        assert!(shows(&page, "reauthenticate") && page.has("cancel"), "{}", page.text());
        let page = visitor.submit(&page, &[("password", ZOE.1)]).await;
        let page = visitor.submit(&page, &[("way", &way(&page, "totp"))]).await;
        server.world.advance(30);
        let page = visitor.submit(&page, &[("code", &totp(&key, server.world.now()))]).await;
        assert!(page.path == there && shows(&page, "account-way"), "{}", page.text());
        let named = visitor.submit(&form(&page, "rename-form"), &[("name", "My <b>app"), ("do", "rename")]).await;
        assert_eq!((said(&named), named.value("name").as_str()), (Some("renamed"), "My <b>app"));
        let page = visitor.submit(&form(&page, "form"), &[("do", "prefer")]).await;
        assert!(said(&page) == Some("preferred") && !page.has("prefer"), "{}", page.text());
        let tried = visitor.submit(&form(&page, "form"), &[("do", "test")]).await;
        assert!(shows(&tried, "account-code"), "{}", tried.text());
        server.world.advance(30);
        let code = totp(&key, server.world.now());
        let worked = visitor.submit(&form(&tried, "form"), &[("code", &code)]).await;
        assert_eq!(said(&worked), Some("works"));
        let again = visitor.submit(&form(&tried, "form"), &[("code", &code)]).await;
        assert!(again.problem().is_some(), "a code once, here as elsewhere");
        let home = visitor.submit(&form(&page, "remove-form"), &[("do", "remove")]).await;
        assert!(said(&home) == Some("removed") && home.has("alone"), "{}", home.text());
        let told = subjects(&server, "zoe@acme.org").await;
        assert_eq!(told, ["A way to sign in was added", "A way to sign in was removed"]);
    });
}

#[tokio::test]
async fn a_proof_of_the_last_minutes_is_asked_for_before_a_change() {
    let server = everything("").start().await;
    let (mut visitor, home) = at_home(&server, ZOE).await;
    let adding = visitor.get("/account/add").await;
    assert!(shows(&adding, "account-add"));
    server.world.advance(301);
    visitor.get("/account").await.expect(200);
    assert!(shows(&visitor.get("/account").await, "account"), "to look is nothing new");
    for path in ["/account/add", "/account/add/email", "/account/password", "/account/codes"] {
        let page = visitor.get(path).await;
        assert!(shows(&page, "reauthenticate"), "{path}: {}", page.text());
        // Giving up leads back to what can be seen without.
        assert!(shows(&visitor.submit(&page, &[("do", "cancel")]).await, "account"), "{path}");
    }
    // A form that was open all the while asks as well, and nothing is done.
    let page = visitor.submit(&form(&adding, "form"), &[("way", "totp")]).await;
    assert!(shows(&page, "reauthenticate"), "{}", page.text());
    let page = visitor.submit(&page, &[("password", ZOE.1)]).await;
    assert_eq!(page.path, "/account/add");
    assert!(home.has("add"));
}

#[tokio::test]
async fn attack_a_stolen_password_neither_adds_nor_removes_a_factor() {
    let server = everything("").start().await;
    let (mut visitor, home) = at_home(&server, SCOTT).await;
    // Their own policy lets a password in, so the page is seen; a change is another matter.
    assert!(shows(&home, "account"));
    let mail = row(&home, "email-otp");
    for path in ["/account/add", &mail, "/account/password", "/account/codes"] {
        let page = visitor.get(path).await;
        let page = visitor.submit(&page, &[("password", SCOTT.1)]).await;
        assert!(shows(&page, "choose-way"), "{path}: {}", page.text());
    }
    let token = hidden(&home, "sign-out-form", "form");
    for (path, fields) in [
        ("/account/add", vec![("way", "totp")]),
        ("/account/codes", vec![]),
        (mail.as_str(), vec![("do", "remove")]),
        ("/account/password", vec![("password", SCOTT.1), ("new_password", "staple-battery-horse")]),
    ] {
        let mut fields = fields;
        fields.push(("form", &token));
        assert!(shows(&visitor.post(path, &fields).await, "reauthenticate"), "{path}");
    }
    assert!(server.mail("scott@acme.org").await.is_empty());
    // With the second factor it is theirs to do; a weaker one does not remove a stronger.
    let page = visitor.get(&mail).await;
    let page = visitor.submit(&page, &[("password", SCOTT.1)]).await;
    let page = visitor.submit(&page, &[("way", &way(&page, "email-otp"))]).await;
    let code = server.code(ACME.address).await;
    let page = visitor.submit(&page, &[("code", &code)]).await;
    assert!(shows(&page, "account-way"), "{}", page.text());
    let home = visitor.get("/account").await;
    let generator = visitor.get(&row(&home, "totp")).await;
    let refused = visitor.submit(&form(&generator, "remove-form"), &[("do", "remove")]).await;
    assert_eq!(refused.problem().as_deref(), Some("stronger"));
    let home = visitor.submit(&form(&page, "remove-form"), &[("do", "remove")]).await;
    assert_eq!(said(&home), Some("removed"));
}

#[tokio::test]
async fn who_lost_a_factor_removes_it_by_a_recovery_code() {
    let server = everything("").start().await;
    let view = server.view();
    let sign_ins = SignIns { app: &server.app, tenant: &view };
    let codes = sign_ins.issue_bypass_codes(&UserId::from(ACME.admin.id), 3, None).await.unwrap();
    let (mut visitor, home) = at_home(&server, SCOTT).await;
    let page = visitor.get(&row(&home, "totp")).await;
    let page = visitor.submit(&page, &[("password", SCOTT.1)]).await;
    let page = visitor.submit(&page, &[("way", &way(&page, "bypass-code"))]).await;
    let page = visitor.submit(&page, &[("code", codes[0].expose())]).await;
    let home = visitor.submit(&form(&page, "remove-form"), &[("do", "remove")]).await;
    assert_eq!(said(&home), Some("removed"));
    assert!(home.text().contains("2 left"), "{}", home.text());
}

#[tokio::test]
async fn an_address_is_added_by_its_code_and_its_end_is_told_to_it() {
    let server = everything("").start().await;
    let (mut visitor, _) = at_home(&server, ZOE).await;
    let page = add(&mut visitor, "email").await;
    assert_eq!(page.value("address"), "zoe@acme.org", "what stands in the directory is offered");
    let wrong = visitor.submit(&form(&page, "form"), &[("address", "no address")]).await;
    assert_eq!(wrong.problem().as_deref(), Some("bad_address"));
    let page = visitor.submit(&form(&page, "form"), &[("address", "zoe@home.test")]).await;
    assert!(shows(&page, "account-code") && page.text().contains("z***@home.test"), "{}", page.text());
    let unfinished = visitor.get("/account").await;
    assert!(unfinished.has("alone") || unfinished.text().contains("Not confirmed yet"), "{}", unfinished.text());
    assert_eq!(visitor.submit(&form(&page, "form"), &[("code", "1")]).await.problem().as_deref(), Some("wrong_code"));
    let code = server.code("zoe@home.test").await;
    let home = visitor.submit(&form(&page, "form"), &[("code", &code)]).await;
    assert_eq!(said(&home), Some("added"));
    assert_eq!(subjects(&server, "zoe@acme.org").await.len(), 1, "told where it was not just added");
    assert!(subjects(&server, "zoe@home.test").await.is_empty());

    let page = visitor.get(&row(&home, "email-otp")).await;
    let page = visitor.submit(&page, &[("password", ZOE.1)]).await;
    let page = if page.has("way-1") { visitor.submit(&page, &[("way", &way(&page, "email-otp"))]).await } else { page };
    let code = server.code("zoe@home.test").await;
    let page = visitor.submit(&page, &[("code", &code)]).await;
    let home = visitor.submit(&form(&page, "remove-form"), &[("do", "remove")]).await;
    assert_eq!(said(&home), Some("removed"), "{}", home.text());
    assert_eq!(subjects(&server, "zoe@acme.org").await.len(), 2);
    assert_eq!(subjects(&server, "zoe@home.test").await, ["A way to sign in was removed"]);

    let page = add(&mut visitor, "sms").await;
    let page = visitor.submit(&form(&page, "form"), &[("address", "+49 (171) 12-346")]).await;
    let code = server.code("+4917112346").await;
    assert_eq!(said(&visitor.submit(&form(&page, "form"), &[("code", &code)]).await), Some("added"));
}

#[tokio::test]
async fn a_passkey_is_made_named_and_tried() {
    let server = everything("").start().await;
    let (mut visitor, _) = at_home(&server, ZOE).await;
    let page = add(&mut visitor, "passkey").await;
    assert!(page.has("noscript") && page.has("passkey"), "{}", page.text());
    let mut key = Browser::new(true);
    let made = key.create(ACME.base, &page.options()).await.unwrap().to_string();
    let fields = [("name", "My laptop"), ("credential", made.as_str()), ("do", "passkey")];
    let home = visitor.submit(&form(&page, "form"), &fields).await;
    assert!(said(&home) == Some("added") && home.text().contains("My laptop"), "{}", home.text());
    let again = visitor.submit(&form(&page, "form"), &fields).await;
    assert!(!shows(&again, "account"), "the same answer serves once");

    let there = row(&home, "passkey");
    let page = visitor.get(&there).await;
    let page = visitor.submit(&page, &[("do", "passkey")]).await;
    let answer = key.get(ACME.base, &page.options()).await.unwrap().to_string();
    let page = visitor.submit(&page, &[("credential", &answer), ("do", "passkey")]).await;
    assert_eq!(page.path, there, "a verified passkey is enough by itself: {}", page.text());
    let tried = visitor.submit(&form(&page, "form"), &[("do", "test")]).await;
    let refused = visitor.submit(&form(&tried, "form"), &[("credential", "{}"), ("do", "passkey")]).await;
    assert_eq!(refused.problem().as_deref(), Some("passkey_refused"));
    let answer = key.get(ACME.base, &tried.options()).await.unwrap().to_string();
    let worked = visitor.submit(&form(&tried, "form"), &[("credential", &answer), ("do", "passkey")]).await;
    assert_eq!(said(&worked), Some("works"), "{}", worked.text());
    let home = visitor.submit(&form(&worked, "remove-form"), &[("do", "remove")]).await;
    assert_eq!(said(&home), Some("removed"));
}

#[tokio::test]
async fn a_phone_is_invited_tried_and_removed() {
    let server = everything("number_match = true").start().await;
    let (mut visitor, _) = at_home(&server, ZOE).await;
    let page = add(&mut visitor, "phone").await;
    let invitation: Value = serde_json::from_str(&unescaped(&text_of(&page, "invitation"))).unwrap();
    assert!(page.text().contains("/phone#register="), "{}", page.text());
    let phone = Phone::invited(&server, invitation["code"].as_str().unwrap()).await;
    assert_eq!(subjects(&server, "zoe@acme.org").await, ["A phone was added"]);
    // The phone is the second factor from now on.
    let page = visitor.get(&format!("/account/phone/{}", phone.device.id)).await;
    let page = visitor.submit(&page, &[("password", ZOE.1)]).await;
    let page = visitor.submit(&page, &[("way", &way(&page, "push-presence"))]).await;
    phone.approves(&server, Some(&text_of(&page, "number"))).await;
    let page = visitor.get(&page.path).await;
    assert!(shows(&page, "account-phone") && page.text().contains("Pixel"), "{}", page.text());
    let tried = visitor.submit(&form(&page, "form"), &[("do", "test")]).await;
    assert!(shows(&tried, "account-wait") && tried.has("waiting"), "{}", tried.text());
    phone.approves(&server, Some(&text_of(&tried, "number"))).await;
    let worked = visitor.get(&tried.path).await;
    assert!(said(&worked) == Some("works") && shows(&worked, "account-phone"), "{}", worked.text());
    let page = visitor.submit(&form(&worked, "form"), &[("do", "prefer")]).await;
    assert_eq!(said(&page), Some("preferred"));
    let home = visitor.submit(&form(&page, "remove-form"), &[("do", "remove")]).await;
    assert!(said(&home) == Some("removed") && !home.has("phone-1"), "{}", home.text());
    assert_eq!(subjects(&server, "zoe@acme.org").await.last().unwrap(), "A phone was removed");
}

fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&amp;", "&")
}

#[tokio::test]
async fn questions_and_recovery_codes_are_set_up() {
    let server = everything("").start().await;
    let (mut visitor, _) = at_home(&server, ZOE).await;
    let page = add(&mut visitor, "questions").await;
    let twice = [("question-1", "firstPet"), ("question-2", "firstPet"), ("answer-1", "Rex"), ("answer-2", "Bello")];
    let refused = visitor.submit(&form(&page, "form"), &twice).await;
    assert_eq!(refused.problem().as_deref(), Some("not_accepted"));
    let good = [("question-1", "firstPet"), ("question-2", "firstCar"), ("answer-1", "Rex"), ("answer-2", "Fiat 500")];
    let home = visitor.submit(&form(&page, "form"), &good).await;
    assert_eq!(said(&home), Some("added"));
    assert!(!home.text().contains("Fiat"));

    let page = visitor.get("/account/codes").await;
    let shown = visitor.submit(&form(&page, "form"), &[]).await;
    let codes: Vec<&str> =
        shown.text().split("<li><code>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    assert_eq!(codes.len(), 10, "{}", shown.text());
    let home = visitor.get("/account").await;
    assert!(home.text().contains("10 left") && !home.text().contains(codes[0]));
    let told = subjects(&server, "zoe@acme.org").await;
    assert_eq!(told, ["A way to sign in was added", "New recovery codes were made"]);
    // They are good where a second factor is asked for.
    let mut elsewhere = Visitor::new(&server);
    let page = elsewhere.get(&code_request("bank", &[])).await;
    let page = elsewhere.sign_in(&page, ZOE.0, ZOE.1).await;
    let page = elsewhere.submit(&page, &[("way", &way(&page, "bypass-code"))]).await;
    elsewhere.submit(&page, &[("code", codes[3])]).await.landed(CALLBACK);
}

#[tokio::test]
async fn a_new_password_is_told_and_signs_others_out_where_that_is_wanted() {
    let server = everything("").start().await;
    let (mut other, _) = at_home(&server, ZOE).await;
    let (mut visitor, _) = at_home(&server, ZOE).await;
    let page = visitor.get("/account/password").await;
    for (old, new, told) in [
        ("wrong", "staple-battery-horse", "wrong_credentials"),
        (ZOE.1, "zoe", "password_too_short"),
        (ZOE.1, "", "missing"),
    ] {
        let page = visitor.submit(&form(&page, "form"), &[("password", old), ("new_password", new)]).await;
        assert_eq!(page.problem().as_deref(), Some(told), "{new}");
    }
    let fields = [("password", ZOE.1), ("new_password", "staple-battery-horse")];
    let home = visitor.submit(&form(&page, "form"), &fields).await;
    assert_eq!(said(&home), Some("password"));
    assert_eq!(subjects(&server, "zoe@acme.org").await, ["Your password was changed"]);
    assert!(shows(&other.get("/account").await, "account"), "nobody was asked to leave yet");
    let page = visitor.submit(&form(&home, "others-form"), &[("do", "end-others")]).await;
    assert_eq!(said(&page), Some("ended_others"));
    assert!(shows(&other.get("/account").await, "sign-in"));
    assert!(shows(&visitor.get("/account").await, "account"));
}

#[tokio::test]
async fn browsers_are_listed_and_signed_out_one_by_one() {
    let server = everything("").start().await;
    let mut phone = Visitor::new(&server).with("user-agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1");
    let page = phone.get("/account").await;
    phone.sign_in(&page, ZOE.0, ZOE.1).await.expect(200);
    let (mut scott, _) = at_home(&server, SCOTT).await;
    let (mut visitor, _) = at_home(&server, ZOE).await;
    let page = visitor.get("/account/places").await;
    assert!(page.text().contains("Safari · iPhone") && page.text().contains("198.51.100.77"), "{}", page.text());
    assert!(page.has("end-2") && !page.has("end-1") && !page.has("end-3"), "one's own is not among those to end");
    // Another person's is not theirs to end.
    let own = scott.get("/account/places").await;
    let token = hidden(&own, "sign-out-form", "form");
    let foreign = hidden(&page, "end-form-2", "id");
    scott.post("/account/places", &[("form", &token), ("do", "end"), ("id", &foreign)]).await;
    assert!(shows(&phone.get("/account").await, "account"));
    let page = visitor.submit(&form(&page, "end-form-2"), &[("do", "end")]).await;
    assert!(said(&page) == Some("ended") && !page.has("end-2"), "{}", page.text());
    assert!(shows(&phone.get("/account").await, "sign-in"));
}

#[tokio::test]
async fn what_an_application_was_allowed_is_taken_back_and_ends() {
    let server = everything("").start().await;
    let (mut visitor, _) = at_home(&server, ZOE).await;
    assert!(visitor.get("/account/applications").await.text().contains("allowed no application"));
    let page = visitor.get(&code_request("asks", &[("scope", "openid films")])).await;
    let code = visitor.submit(&page, &[("do", "allow")]).await.landed(CALLBACK)["code"].clone();
    let tokens = server.redeem("asks", &code).await.expect(200);
    let page = visitor.get("/account/applications").await;
    assert!(page.text().contains("<code>films</code>"), "{}", page.text());
    let activity = visitor.get("/account/activity").await;
    assert!(activity.text().contains("<b>asks</b>") && activity.text().contains("Password"), "{}", activity.text());
    let page = visitor.submit(&form(&page, "withdraw-form-1"), &[("do", "withdraw")]).await;
    assert_eq!(said(&page), Some("withdrawn"));
    assert!(!page.has("withdraw-1"));
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap_or("none"))];
    let refused = server.ask("POST", "/token").basic("asks", "asks-secret").form(&fields).send().await;
    assert_eq!(refused.status, 400);
    assert!(visitor.get(&code_request("asks", &[("scope", "openid films")])).await.has("allow"), "asked again");
}

#[tokio::test]
async fn forms_from_elsewhere_and_things_of_others_are_refused() {
    let server = everything("").start().await;
    let (mut visitor, home) = at_home(&server, ZOE).await;
    let token = hidden(&home, "sign-out-form", "form");
    for forged in ["", "0".repeat(32).as_str()] {
        let page = visitor.post("/account/places", &[("form", forged), ("do", "end-others")]).await;
        page.expect(403);
        assert_eq!(page.error_id().as_deref(), Some("foreign_form"));
    }
    // The token of another session is none of this one's.
    let (_, theirs) = at_home(&server, ZOE).await;
    let foreign = hidden(&theirs, "sign-out-form", "form");
    assert_ne!(foreign, token);
    visitor.post("/account/places", &[("form", &foreign), ("do", "end-others")]).await.expect(403);
    for (name, value) in [("origin", "https://evil.example.test"), ("sec-fetch-site", "cross-site")] {
        let mut crossing = visitor.clone().with(name, value);
        crossing.post("/account", &[("form", &token), ("do", "sign-out")]).await.expect(403);
    }
    for path in [format!("/account/way/{}", ACME.email), "/account/way/x".to_owned(), "/account/phone/x".to_owned()] {
        assert_eq!(visitor.once("GET", &path, None).await.reply.status, 404, "{path}");
        let fields = [("form".to_owned(), token.clone()), ("do".to_owned(), "remove".to_owned())];
        assert_eq!(visitor.once("POST", &path, Some(&fields)).await.reply.status, 404, "{path}");
    }
    for path in ["/account/confirm/x", "/account/wait/x", "/account/add/passkeys"] {
        assert_eq!(visitor.once("GET", path, None).await.reply.status, 404, "{path}");
    }
}
