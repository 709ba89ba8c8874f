//! What a browser keeps of a sign-in: a second factor it stands in for, and who stays signed in; for whom, how long, and how it
//! ends.

use countersign::secret::Secret;
use countersign::signin::SignIns;
use countersign::signin::trust::{Kept, TrustKind, Wish};
use engine::{FactorKind, Proof};
use protocol::records::{ClientId, User, UserId};
use store::Change;

use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::visitor::{Page, Visitor};
use crate::support::{ACME, Setup, TestServer, client, decode, on_both, policy, rule, totp};

/// The policy that is content with a trusted device.
const DEVICE: i64 = 781;
/// The policy that wants a factor every time.
const ALWAYS: i64 = 782;
const DAY: i64 = 86_400;
const SCOTT_TOTP: &[u8] = b"12345678901234567890";
const PAT_TOTP: &[u8] = b"a demo secret of pat";

fn home() -> Setup {
    let of = |id: i64, action: &str| {
        policy(
            id,
            &[
                rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["password"]"#),
                rule("More", false, "[]", action, r#"["totp", "emailotp"]"#),
            ],
        )
    };
    let code =
        format!("grant_types = [\"authorization_code\"]\nredirect_uris = [{CALLBACK:?}]\nconsent = \"never_prompt\"");
    setup()
        .replace(
            "mail_from = \"no-reply@acme.org\"",
            "mail_from = \"no-reply@acme.org\"\ntrusted_device = { days = 15, most = 3 }\n\
             stay_signed_in = { enabled = true, days = 30, most = 2 }",
        )
        .add(&client("home", "home-secret", &format!("{code}\npolicy = {DEVICE}")))
        .add(&client("strict", "strict-secret", &format!("{code}\npolicy = {ALWAYS}")))
        .add(&of(DEVICE, "ACTION_MFA_PER_DEVICE"))
        .add(&of(ALWAYS, "ACTION_MFA_ALWAYS"))
}

/// A browser that somebody just signed in with, with a code of their application and, where wished, trusting it.
async fn signed_in(server: &TestServer, who: (&str, &str), key: &[u8], trusting: bool) -> (Visitor, Page) {
    let mut visitor = Visitor::new(server).with("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0");
    let landed = goes_in(&mut visitor, who, key, trusting).await;
    (visitor, landed)
}

async fn goes_in(visitor: &mut Visitor, who: (&str, &str), key: &[u8], trusting: bool) -> Page {
    let mut page = visitor.get(&code_request("home", &[("prompt", "login")])).await;
    page = visitor.sign_in(&page, who.0, who.1).await;
    if let Some(way) = way(&page, "totp") {
        page = visitor.submit(&page, &[("way", &way)]).await;
    }
    let code = totp(key, visitor.server.world.now());
    let mut fields = vec![("code", code.as_str())];
    if trusting {
        assert!(page.has("keep"), "{}", page.text());
        fields.push(("trust", "1"));
    }
    visitor.submit(&page, &fields).await
}

fn way(page: &Page, kind: &str) -> Option<String> {
    let html = page.text();
    let at = html.find(&format!("data-kind=\"{kind}\""))?;
    let start = html[..at].rfind("value=\"")? + 7;
    Some(html[start..start + html[start..].find('"')?].to_owned())
}

const SCOTT: (&str, &str) = (ACME.admin.username, ACME.admin.password);
const PAT: (&str, &str) = (ACME.other.username, ACME.other.password);

/// Whether the password alone leads back to this application.
async fn password_is_enough(visitor: &mut Visitor, client: &str, who: (&str, &str)) -> bool {
    let page = visitor.get(&code_request(client, &[("prompt", "login")])).await;
    visitor.sign_in(&page, who.0, who.1).await.reply.header("location").starts_with(CALLBACK)
}

fn sign_ins(server: &TestServer) -> std::sync::Arc<countersign::directory::TenantView> {
    server.app.directories.current().tenant(&server.tenant()).unwrap().clone()
}

async fn person(server: &TestServer, id: &str) -> User {
    server.store.user(&server.tenant(), &UserId::from(id)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_trusted_browser_waives_the_second_factor_where_policy_says_so() {
    let server = home().start().await;
    let (mut visitor, landed) = signed_in(&server, SCOTT, SCOTT_TOTP, true).await;
    landed.landed(CALLBACK);
    server.world.advance(3600);
    let page = visitor.get(&code_request("home", &[("prompt", "login")])).await;
    let landed = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await.landed(CALLBACK);
    // What was waived was not proved.
    let tokens = server.redeem("home", &landed["code"]).await.expect(200);
    let claims = decode(tokens["id_token"].as_str().unwrap()).1;
    assert_eq!(claims["amr"], serde_json::json!(["pwd"]));
    // Another browser of the same person, and one that was not told to trust, are asked.
    let (mut other, _) = signed_in(&server, SCOTT, SCOTT_TOTP, false).await;
    assert!(!password_is_enough(&mut other, "home", SCOTT).await);
    // It lasts as long as the tenant says, and not longer.
    server.world.advance(15 * DAY - 3700);
    assert!(password_is_enough(&mut visitor, "home", SCOTT).await);
    server.world.advance(200);
    assert!(!password_is_enough(&mut visitor, "home", SCOTT).await);
}

/// Policy that demands the factor by name, or a level, is not moved by a device.
#[tokio::test]
async fn attack_47_a_trusted_browser_never_counts_where_policy_or_the_application_demands_a_factor() {
    let server = home().start().await;
    let (mut visitor, _) = signed_in(&server, SCOTT, SCOTT_TOTP, true).await;
    assert!(password_is_enough(&mut visitor, "home", SCOTT).await);
    assert!(!password_is_enough(&mut visitor, "strict", SCOTT).await);
    let acr = [("prompt", "login"), ("acr_values", "urn:countersign:acr:2")];
    let page = visitor.get(&code_request("home", &acr)).await;
    let page = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await;
    page.expect(200);
}

/// A token that is copied to somebody else's browser, edited or made up stands in for nothing.
#[tokio::test]
async fn attack_47_a_token_of_somebody_else_or_an_edited_one_is_worth_nothing() {
    let server = home().start().await;
    let (visitor, _) = signed_in(&server, SCOTT, SCOTT_TOTP, true).await;
    let token = visitor.jar["__Host-countersign-devices"].clone();
    for (who, token, enough) in [
        (SCOTT, token.clone(), true),
        (PAT, token.clone(), false),
        (SCOTT, format!("{}A", &token[..63]), token.ends_with('A')),
        (SCOTT, token.to_lowercase(), false),
        (SCOTT, format!("{token}{token}"), false),
        (SCOTT, "a".repeat(64), false),
        // Among others, as in a browser that several people trust.
        (SCOTT, format!("{}.{token}", "b".repeat(64)), true),
    ] {
        let mut thief = Visitor::new(&server);
        thief.jar.insert("__Host-countersign-devices".to_owned(), token.clone());
        assert_eq!(password_is_enough(&mut thief, "home", who).await, enough, "{} {token}", who.0);
    }
    // Another tenant has no such token, though its people may be called the same.
    let view = server.app.directories.current().tenant(&"second".into()).unwrap().clone();
    let there = SignIns { app: &server.app, tenant: &view };
    let scott = person(&server, ACME.admin.id).await;
    let found = there.trusted_device([token.as_str()], &scott, &ClientId::from("home")).await.unwrap();
    assert!(found.is_none());
}

#[tokio::test]
async fn several_people_trust_one_browser() {
    let server = home().start().await;
    let (mut visitor, _) = signed_in(&server, SCOTT, SCOTT_TOTP, true).await;
    goes_in(&mut visitor, PAT, PAT_TOTP, true).await.landed(CALLBACK);
    assert!(password_is_enough(&mut visitor, "home", SCOTT).await);
    assert!(password_is_enough(&mut visitor, "home", PAT).await);
}

/// A way for trust to end.
type End = for<'a> fn(&'a TestServer) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

/// After "forget this device", a new password, or the factor taken away, everything is asked again.
#[tokio::test]
async fn attack_47_trust_ends_with_the_password_with_the_factor_and_when_it_is_taken_back() {
    let end: [(&str, End); 4] = [
        ("taken back", |server| {
            Box::pin(async {
                let view = sign_ins(server);
                let all = SignIns { app: &server.app, tenant: &view };
                let scott = UserId::from(ACME.admin.id);
                let of = all.trusts_of(&scott, TrustKind::Device).await.unwrap();
                assert_eq!(of.len(), 1);
                assert_eq!(of[0].name, "Firefox, Linux");
                let pat = UserId::from(ACME.other.id);
                assert!(!all.forget(&pat, &of[0].id).await.unwrap(), "of somebody else");
                assert!(all.forget(&scott, &of[0].id).await.unwrap());
                assert!(!all.forget(&scott, &of[0].id).await.unwrap(), "once");
            })
        }),
        ("another password", |server| {
            Box::pin(async {
                let view = sign_ins(server);
                let scott = UserId::from(ACME.admin.id);
                let to = Secret::from("quite-another-one-77");
                SignIns { app: &server.app, tenant: &view }
                    .change_password(
                        Some(&scott),
                        &ACME.source.into(),
                        ACME.admin.username,
                        ACME.admin.password.to_owned().into(),
                        to,
                    )
                    .await
                    .unwrap();
            })
        }),
        ("a password that was reset", |server| {
            Box::pin(async {
                let view = sign_ins(server);
                let scott = person(server, ACME.admin.id).await;
                let to = Secret::from("quite-another-one-77");
                SignIns { app: &server.app, tenant: &view }.reset_password(&scott, to, false).await.unwrap();
            })
        }),
        ("the factor is gone", |server| {
            Box::pin(async {
                let gone = Change::RemoveEnrolment("9381dffe-3116-4d8d-bbe2-8ab36ccdafe5".into());
                server.store.commit(&server.tenant(), "factor gone", vec![gone]).await.unwrap();
            })
        }),
    ];
    for (what, ends) in end {
        let server = home().start().await;
        let (mut visitor, _) = signed_in(&server, SCOTT, SCOTT_TOTP, true).await;
        assert!(password_is_enough(&mut visitor, "home", SCOTT).await, "{what}");
        ends(&server).await;
        let password = if what.contains("password") { "quite-another-one-77" } else { SCOTT.1 };
        assert!(!password_is_enough(&mut visitor, "home", (SCOTT.0, password)).await, "{what}");
    }
}

#[tokio::test]
async fn nobody_trusts_more_devices_than_they_may() {
    let server = home().start().await;
    for _ in 0..3 {
        signed_in(&server, SCOTT, SCOTT_TOTP, true).await;
        server.world.advance(60);
    }
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("home", &[])).await;
    let page = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await;
    let page = visitor.submit(&page, &[("way", &way(&page, "totp").unwrap())]).await;
    assert!(!page.has("keep"), "{}", page.text());
    // Whoever sends the field all the same gets no token for it.
    let code = totp(SCOTT_TOTP, server.world.now());
    visitor.submit(&page, &[("code", &code), ("trust", "1")]).await.landed(CALLBACK);
    assert!(!visitor.jar.contains_key("__Host-countersign-devices"));
}

/// Signs in with the box ticked and lets the session end.
async fn stays(server: &TestServer) -> Visitor {
    let mut visitor = Visitor::new(server);
    let page = visitor.get(&code_request("web", &[])).await;
    assert!(page.has("keep"), "{}", page.text());
    // Ticked before a wrong answer it is ticked still.
    let page = visitor.submit(&page, &[("username", "scott"), ("password", "wrong"), ("stay", "1")]).await;
    assert!(page.form().fields.iter().any(|(name, _)| name == "stay"), "{}", page.text());
    visitor.sign_in(&page, SCOTT.0, SCOTT.1).await.landed(CALLBACK);
    server.world.advance(3 * DAY);
    visitor
}

#[tokio::test]
async fn who_stays_signed_in_is_not_asked_again() {
    let server = home().start().await;
    let mut visitor = stays(&server).await;
    let began = server.world.now() - 3 * DAY;
    let landed = visitor.silently("web", &[]).await.landed(CALLBACK);
    let tokens = server.redeem("web", &landed["code"]).await.expect(200);
    // They proved nothing since.
    assert_eq!(decode(tokens["id_token"].as_str().unwrap()).1["auth_time"], began);
    // Now there is a session again; and when it ends, they stay still.
    visitor.silently("other", &[]).await.landed(CALLBACK);
    server.world.advance(3 * DAY);
    visitor.silently("web", &[]).await.landed(CALLBACK);
    // Who asks for more freshness, or for a person to prove it, is not content with it.
    for more in [[("max_age", "3600")], [("prompt", "login")]] {
        server.world.advance(3 * DAY);
        visitor.get(&code_request("web", &more)).await.expect(200);
    }
    // A second factor is asked for all the same.
    let page = visitor.get(&code_request("vault", &[])).await;
    page.expect(200);
    assert!(way(&page, "totp").is_some(), "{}", page.text());
    server.world.advance(30 * DAY);
    let refused = visitor.silently("web", &[]).await.landed(CALLBACK);
    assert_eq!(refused["error"], "login_required");
}

#[tokio::test]
async fn who_does_not_ask_for_it_does_not_stay() {
    let server = home().start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("web", &[])).await;
    visitor.sign_in(&page, SCOTT.0, SCOTT.1).await.landed(CALLBACK);
    server.world.advance(3 * DAY);
    assert_eq!(visitor.silently("web", &[]).await.landed(CALLBACK)["error"], "login_required");
    // Nor where the tenant does not let them.
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("web", &[])).await;
    assert!(!page.has("keep"));
    let fields = [("username", SCOTT.0), ("password", SCOTT.1), ("stay", "1")];
    visitor.submit(&page, &fields).await.landed(CALLBACK);
    assert!(!visitor.jar.contains_key("__Host-countersign-stay"));
}

#[tokio::test]
async fn signing_out_ends_it() {
    let server = home().start().await;
    let mut visitor = stays(&server).await;
    visitor.silently("web", &[]).await.landed(CALLBACK);
    let before = visitor.jar["__Host-countersign-stay"].clone();
    let page = visitor.get("/end_session").await;
    visitor.submit(&page, &[]).await.expect(200);
    assert!(!visitor.jar.contains_key("__Host-countersign-stay"));
    visitor.jar.insert("__Host-countersign-stay".to_owned(), before);
    assert_eq!(visitor.silently("web", &[]).await.landed(CALLBACK)["error"], "login_required");
}

/// Keeps what stays of a password sign-in of this person, as a door does.
async fn kept(server: &TestServer, client: Option<&ClientId>) -> Kept {
    let view = sign_ins(server);
    let user = person(server, ACME.admin.id).await;
    let proof = Proof {
        kind: FactorKind::Password,
        at: server.world.now(),
        enrolment: None,
        user_verified: false,
        this_run: true,
        first: true,
        upstream: None,
    };
    let wish = Wish {
        kind: TrustKind::StaySignedIn,
        user: &user,
        client,
        name: "A phone",
        agent: "",
        address: "198.51.100.7",
        proofs: &[proof],
        replaces: None,
    };
    let kept = SignIns { app: &server.app, tenant: &view }.trust(wish).await.unwrap().unwrap();
    server.store.commit(&server.tenant(), "kept", kept.changes.clone()).await.unwrap();
    kept
}

async fn uses(server: &TestServer, token: &str, client: &str) -> Option<String> {
    let view = sign_ins(server);
    let all = SignIns { app: &server.app, tenant: &view };
    all.stayed(token, &ClientId::from(client)).await.unwrap().map(|stayed| stayed.token.expose().clone())
}

/// The same token from two windows, on two nodes, and once more for want of an answer: nobody is signed out. One that was
/// replaced long ago is in two hands, and ends it for both.
#[test]
fn a_token_that_stays_is_replaced_on_use_and_its_theft_is_noticed() {
    on_both(|store| async move {
        let server = home().start_on(store).await;
        let node = server.another().await;
        let first = kept(&server, None).await.token.expose().clone();
        // At once after it was given out it is left as it is.
        assert_eq!(uses(&server, &first, "web").await.as_ref(), Some(&first));
        server.world.advance(120);
        let (one, other) = tokio::join!(uses(&server, &first, "web"), uses(&node, &first, "web"));
        let second = one.clone().unwrap();
        assert_eq!(one, other);
        assert_ne!(second, first);
        // The answer was lost: days later the one before still leads to its successor, which nobody has used.
        server.world.advance(3 * DAY);
        assert_eq!(uses(&node, &first, "web").await, Some(second.clone()));
        let third = uses(&server, &second, "web").await.unwrap();
        assert_ne!(third, second);
        assert_eq!(uses(&server, &second, "web").await, Some(third.clone()));
        // Now the first one comes back.
        assert_eq!(uses(&server, &first, "web").await, None);
        for gone in [&first, &second, &third] {
            assert_eq!(uses(&node, gone, "web").await, None);
        }
    });
}

#[tokio::test]
async fn what_stays_is_bound_to_the_client_it_was_kept_for_and_the_oldest_makes_room() {
    let server = home().start().await;
    let client = ClientId::from("web");
    let first = kept(&server, Some(&client)).await.token.expose().clone();
    assert!(uses(&server, &first, "other").await.is_none());
    assert!(uses(&server, &first, "web").await.is_some());
    server.world.advance(10);
    let second = kept(&server, None).await.token.expose().clone();
    server.world.advance(10);
    let third = kept(&server, None).await.token.expose().clone();
    assert!(uses(&server, &first, "web").await.is_none(), "two are as many as one may have");
    assert!(uses(&server, &second, "web").await.is_some() && uses(&server, &third, "web").await.is_some());
    // Somebody who is switched off stays nowhere.
    let mut scott = person(&server, ACME.admin.id).await;
    scott.active = false;
    server.store.commit(&server.tenant(), "off", vec![Change::PutUser(scott)]).await.unwrap();
    assert!(uses(&server, &third, "web").await.is_none());
}
