//! Browsers under attack: planted cookies, hostile words, answers that claim more than was proved. Numbers are those of the
//! project's list of attack cases.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::visitor::{Page, Visitor};
use crate::support::{ACME, TestServer, client, decode, user};

const SCOTT: (&str, &str) = ("scott", "hunter22");

async fn claims(server: &TestServer, code: &str) -> Value {
    let tokens = server.redeem("web", code).await.expect(200);
    decode(tokens["id_token"].as_str().unwrap()).1
}

#[tokio::test]
async fn attack_48_a_cookie_that_was_there_before_is_worth_nothing_afterwards() {
    let server = setup().start().await;
    // Somebody signs in themselves, and plants what they have in another's browser.
    let mut attacker = Visitor::new(&server);
    attacker.code("web", "pat", "correct-horse-9", &[]).await;
    let planted = attacker.jar.clone();
    assert!(planted.keys().all(|name| name.starts_with("__Host-")), "{planted:?}");
    const SESSIONS: &str = "__Host-countersign";
    for value in [planted[SESSIONS].as_str(), "chosen-by-somebody-else"] {
        let mut victim = Visitor::new(&server);
        victim.jar = planted.clone();
        victim.jar.insert(SESSIONS.to_owned(), value.to_owned());
        let page = victim.get(&code_request("web", &[("prompt", "login")])).await;
        let page = if page.has("other") { victim.submit(&page, &[("do", "other")]).await } else { page };
        let landed = victim.sign_in(&page, SCOTT.0, SCOTT.1).await.landed(CALLBACK);
        assert_eq!(claims(&server, &landed["code"]).await["sub"], ACME.admin.id);
        assert_ne!(victim.jar[SESSIONS], value);
        assert_ne!(victim.jar["__Host-countersign-state"], planted["__Host-countersign-state"]);
    }
    // What any host of the domain could set is not looked at.
    let mut victim = Visitor::new(&server);
    victim.jar.insert("countersign".to_owned(), planted[SESSIONS].clone());
    assert_eq!(victim.silently("web", &[]).await.landed(CALLBACK)["error"], "login_required");
    // Nor has whoever planted it become the other.
    let own = attacker.silently("web", &[]).await.landed(CALLBACK);
    assert_eq!(claims(&server, &own["code"]).await["sub"], ACME.other.id);
}

#[tokio::test]
async fn attack_48_more_proof_makes_a_new_cookie_and_the_old_one_is_dead() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    visitor.code("web", SCOTT.0, SCOTT.1, &[]).await;
    let before = visitor.clone();
    let page = visitor.get(&code_request("vault", &[])).await;
    let html = page.text();
    let way = html[..html.find("data-kind=\"totp\"").unwrap()].rsplit_once("value=\"").unwrap().1;
    let page = visitor.submit(&page, &[("way", way.split('"').next().unwrap())]).await;
    let code = crate::support::totp(b"12345678901234567890", server.world.now());
    assert!(visitor.submit(&page, &[("code", &code)]).await.landed(CALLBACK).contains_key("code"));
    let name = "__Host-countersign";
    assert_ne!(visitor.jar[name], before.jar[name]);
    let mut before = before;
    let landed = before.silently("vault", &[]).await.landed(CALLBACK);
    assert!(landed.contains_key("error") && !landed.contains_key("code"), "{landed:?}");
    assert!(visitor.silently("vault", &[]).await.landed(CALLBACK).contains_key("code"));
}

#[tokio::test]
async fn attack_48_a_dialogue_is_continued_by_the_browser_it_began_in_alone() {
    let server = setup().start().await;
    let mut attacker = Visitor::new(&server);
    let page = attacker.get(&code_request("web", &[])).await;
    // The link alone, in another's browser.
    let mut victim = Visitor::new(&server);
    let form = page.form();
    for (method, fields) in [("GET", None), ("POST", Some(&form.fields[..]))] {
        let shown = victim.once(method, &page.path, fields).await;
        assert!(shown.reply.status.is_client_error() && !shown.has("password"), "{method}: {}", shown.text());
    }
}

/// What attackers put where words are expected.
const HOSTILE: [&str; 5] = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "\u{202e}drowssap ruoy\u{2066}",
    "{{7*7}}${7*7}<%= 7*7 %>",
];

#[track_caller]
fn is_harmless(page: &Page, what: &str) {
    let html = page.text();
    for part in ["<script>alert", "<img src=x", "onerror=alert(1)>", "49$49"] {
        assert!(!html.contains(part), "{what}: {part}");
    }
    // Every script is one of ours, let in by a nonce that nobody can know; and nobody frames the page.
    let policy = page.reply.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    assert!(!policy.contains("unsafe") && !policy.contains(" * "), "{what}: {policy}");
    assert_eq!(page.reply.header("x-frame-options"), "DENY", "{what}");
    assert_eq!(html.matches("<script").count(), html.matches("<script nonce=\"").count(), "{what}");
}

#[tokio::test]
async fn attack_50_hostile_words_are_words_on_every_page() {
    let mut hostile = setup();
    for (number, text) in HOSTILE.iter().enumerate() {
        let name = format!("name = {}", serde_json::to_string(text).unwrap());
        let more = format!(
            "{name}\ngrant_types = [\"authorization_code\"]\nredirect_uris = [{CALLBACK:?}]\nscopes = [\"films\"]"
        );
        hostile = hostile.add(&client(&format!("hostile-{number}"), "hostile-secret", &more));
    }
    let person = format!(
        "[tenant.users.attributes]\nname = {0}\ngiven_name = {0}\n",
        serde_json::to_string(HOSTILE[1]).unwrap()
    );
    let server = hostile.add(&user("6040003EVE", "eve", "correct-horse-9", &person)).start().await;
    for (number, text) in HOSTILE.iter().enumerate() {
        let id = format!("hostile-{number}");
        let mut visitor = Visitor::new(&server);
        let parameters =
            [("login_hint", *text), ("state", *text), ("ui_locales", *text), ("response_mode", "form_post")];
        let page = visitor.get(&code_request(&id, &parameters)).await;
        page.expect(200);
        is_harmless(&page, "sign-in");
        assert_eq!(page.value("username"), *text, "a value is what it was, and only that");
        let wrong = visitor.sign_in(&page, text, "wrong").await;
        is_harmless(&wrong, "a wrong password");
        let consent = visitor.sign_in(&wrong, "eve", "correct-horse-9").await;
        assert!(consent.has("allow"), "{}", consent.text());
        is_harmless(&consent, "consent");
        let posted = visitor.submit(&consent, &[("do", "allow")]).await;
        is_harmless(&posted, "the answer on its way");
        let fields = posted.form().fields;
        assert!(fields.contains(&("state".to_owned(), (*text).to_owned())), "{fields:?}");
    }
    // Errors say nothing of what came.
    for text in HOSTILE.iter().copied().chain([&*"x".repeat(10 * 1024)]) {
        for pairs in [
            vec![("client_id", text), ("response_type", "code"), ("redirect_uri", CALLBACK)],
            vec![("client_id", "web"), ("response_type", "code"), ("redirect_uri", text)],
        ] {
            let page = Visitor::new(&server).get(&crate::support::visitor::request(&pairs)).await;
            assert!(page.reply.status.is_client_error(), "{}", page.reply.status);
            is_harmless(&page, "an error");
            assert!(!page.text().contains(text), "an error page repeats {text:.40}");
        }
        let long = [("ui_locales", text), ("login_hint", text)];
        let page = Visitor::new(&server).get(&code_request("web", &long)).await;
        is_harmless(&page, "long words");
        assert!(page.text().len() < 40 * 1024, "{} bytes", page.text().len());
    }
}

#[tokio::test]
async fn attack_51_nobody_is_passed_off_as_asked_lately_or_more_strongly() {
    let server = setup().start().await;
    let mut visitor = Visitor::new(&server);
    assert_eq!(visitor.silently("web", &[]).await.landed(CALLBACK)["error"], "login_required");
    let code = visitor.code("web", SCOTT.0, SCOTT.1, &[]).await;
    let first = claims(&server, &code).await;
    for again in [("prompt", "login"), ("max_age", "0")] {
        server.world.advance(5);
        let page = visitor.get(&code_request("web", &[again])).await;
        assert!(page.has("password"), "{again:?}: {}", page.text());
        // Coming back without it is no proof.
        let mut impatient = visitor.clone();
        let landed = impatient.silently("web", &[again]).await;
        let landed = landed.landed(CALLBACK);
        assert!(!landed.contains_key("code"), "{again:?}: {landed:?}");
        let landed = visitor.submit(&page, &[("password", SCOTT.1)]).await.landed(CALLBACK);
        let later = claims(&server, &landed["code"]).await;
        assert!(later["auth_time"].as_i64() > first["auth_time"].as_i64(), "{again:?}");
    }
    // A level that is essential is reached, or there is an error; never a lower one.
    let wanted = |acr: &str| json!({ "id_token": { "acr": { "essential": true, "values": [acr] } } }).to_string();
    let mut told = BTreeSet::new();
    for acr in ["gold", "urn:countersign:acr:9", "phr"] {
        let landed = visitor.silently("web", &[("claims", &wanted(acr))]).await.landed(CALLBACK);
        assert!(!landed.contains_key("code"), "{acr}: {landed:?}");
        told.insert(landed["error"].clone());
    }
    assert!(told.contains("unmet_authentication_requirements"), "{told:?}");
}

/// Proofs of possession (RFC 9449) are not read here. What is not checked must not be claimed: no such token is given out, none is
/// taken, and nobody is told that it would be.
#[tokio::test]
async fn attack_55_a_proof_nobody_checks_is_not_pretended() {
    let server = setup().start().await;
    let metadata = server.ask("GET", "/.well-known/openid-configuration").send().await.expect(200);
    assert!(metadata.get("dpop_signing_alg_values_supported").is_none());
    let code = Visitor::new(&server).code("web", SCOTT.0, SCOTT.1, &[]).await;
    let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
    let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6Im5vbmUifQ.e30.";
    let ask = server.ask("POST", "/token").basic("web", "web-secret").header("dpop", proof).form(&form);
    let tokens = ask.send().await.expect(200);
    assert!(tokens["token_type"].as_str().unwrap().eq_ignore_ascii_case("bearer"), "{tokens}");
    let token = tokens["access_token"].as_str().unwrap();
    for headers in [
        vec![("authorization", format!("DPoP {token}"))],
        vec![("authorization", format!("DPoP {token}")), ("dpop", proof.to_owned())],
    ] {
        let ask =
            headers.into_iter().fold(server.ask("GET", "/userinfo"), |ask, (name, value)| ask.header(name, value));
        assert_eq!(ask.send().await.status, 401);
    }
    server.ask("GET", "/userinfo").bearer(token).send().await.expect(200);
    let told = server.ask("POST", "/introspect").basic("web", "web-secret").form(&[("token", token)]).send().await;
    let told = told.expect(200);
    assert!(told.get("cnf").is_none(), "{told}");
}
