//! Scenes of browsers and sign-in pages: a device let in, a session that ends, a browser that is trusted no longer, a dialogue of the
//! Oracle door answered by several.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::{Value, json};

use super::{Scene, is_active, is_dead, scene, taken, text};
use crate::scheduler::{Actor, pause};
use crate::simulation::{FORGETFUL, ORACLE_APP, Stage, TOTP};
use crate::support::hosted::{CALLBACK, code_request};
use crate::support::oracle::Page as SignInPage;
use crate::support::visitor::{Page, Visitor};
use crate::support::{Cast, Reply, TestServer, totp};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// More than any client polls too early by.
const UNHURRIED: i64 = 60;

async fn poll(node: TestServer, code: String) -> Reply {
    let form = [("grant_type", DEVICE_CODE), ("device_code", code.as_str())];
    node.ask("POST", "/oauth2/token").basic("tv", "tv-secret").form(&form).send().await
}

/// A device asks for its tokens at several nodes while its person decides, and perhaps decides twice.
pub async fn device(stage: Rc<Stage>) -> Scene {
    let cast = stage.people();
    let asked = [("client_id", "tv"), ("scope", "openid")];
    let started = stage.any(cast).post_form("/oauth2/device_authorization", &asked).await.expect(200);
    let mut visitor = Visitor::new(&stage.any(cast));
    let page = visitor.get("/oauth2/user_authorization").await;
    let page = visitor.submit(&page, &[("user_code", &text(&started, "user_code"))]).await;
    let mut visitor = visitor.at(&stage.any(cast));
    let page = visitor.sign_in(&page, cast.other.username, cast.other.password).await;
    assert!(page.has("allow"), "{}", page.text());
    let code = text(&started, "device_code");
    let won: Rc<RefCell<Vec<Value>>> = Rc::default();
    let (allowed, denied, lost) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    let mut actors: Vec<Actor<'static>> = Vec::new();
    for _ in 0..2 {
        let (stage, code, won, lost) = (stage.clone(), code.clone(), won.clone(), lost.clone());
        actors.push(Box::pin(async move {
            for _ in 0..2 + stage.chance.below(3) {
                match stage.call(cast, |node| poll(node, code.clone())).await {
                    Some(reply) => won.borrow_mut().extend(taken(&reply)),
                    None => lost.set(true),
                }
                pause().await;
            }
        }));
    }
    for _ in 0..1 + stage.chance.below(2) {
        let (stage, visitor, page) = (stage.clone(), visitor.clone(), page.clone());
        let (allowed, denied) = (allowed.clone(), denied.clone());
        actors.push(Box::pin(async move {
            let word = if stage.chance.one_in(4) { "deny" } else { "allow" };
            let decide = |node: TestServer| async move { visitor.at(&node).submit(&page, &[("do", word)]).await };
            if let Some(page) = stage.call(cast, decide).await {
                assert!(!page.reply.status.is_server_error(), "{}", page.text());
                allowed.set(allowed.get() || page.text().contains("data-outcome=\"approved\""));
                denied.set(denied.get() || page.text().contains("data-outcome=\"denied\""));
            }
        }));
    }
    let mut scene = scene(actors, async {});
    // Time passes between two polls: when the others were looked after.
    scene.later = Some(Box::pin(async move {
        assert!(!(allowed.get() && denied.get()), "a device was let in and turned away");
        for _ in 0..2 {
            stage.advance(UNHURRIED);
            let reply = poll(stage.any(cast), code.clone()).await;
            won.borrow_mut().extend(taken(&reply));
        }
        let won = won.take();
        assert!(won.len() <= 1, "a device code was redeemed twice");
        assert!(won.is_empty() || !denied.get(), "a device that was turned away has tokens");
        if allowed.get() {
            assert!(won.len() == 1 || lost.get(), "a device was let in, and its tokens were lost by nobody");
        }
        for tokens in &won {
            assert!(is_active(&stage.any(cast), &text(tokens, "access_token")).await);
        }
    }));
    scene
}

/// What a quiet request comes back with.
async fn quietly(visitor: &Visitor, node: &TestServer) -> Page {
    visitor.at(node).silently("web", &[]).await
}

/// Somebody signs out while their applications ask for codes and redeem them.
pub async fn signed_out(stage: Rc<Stage>) -> Scene {
    let cast = stage.people();
    let mut visitor = Visitor::new(&stage.any(cast));
    let other = cast.other;
    let tokens = visitor.tokens("web", other.username, other.password, &[]).await;
    let hint = text(&tokens, "id_token");
    let all: Rc<RefCell<Vec<Value>>> = Rc::new(RefCell::new(vec![tokens]));
    let (asked, done) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    let mut actors: Vec<Actor<'static>> = Vec::new();
    {
        let (stage, visitor, asked, done) = (stage.clone(), visitor.clone(), asked.clone(), done.clone());
        actors.push(Box::pin(async move {
            for _ in 0..stage.chance.below(8) {
                pause().await;
            }
            asked.set(true);
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("id_token_hint", &hint).finish();
            let leave = |node: TestServer| async move { visitor.at(&node).get(&format!("/end_session?{query}")).await };
            if let Some(page) = stage.call(cast, leave).await {
                assert!(page.text().contains("data-page=\"logged-out\""), "{} {}", page.reply.status, page.text());
                done.set(true);
            }
        }));
    }
    for _ in 0..1 + stage.chance.below(3) {
        let (stage, visitor, all) = (stage.clone(), visitor.clone(), all.clone());
        actors.push(Box::pin(async move {
            let ask = |node: TestServer| async move { quietly(&visitor, &node).await };
            let Some(page) = stage.call(cast, ask).await else { return };
            let Some(code) = page.landed(CALLBACK).get("code").cloned() else { return };
            let redeem = |node: TestServer| async move { node.redeem("web", &code).await };
            if let Some(reply) = stage.call(cast, redeem).await {
                all.borrow_mut().extend(taken(&reply));
            }
        }));
    }
    let check = async move {
        if done.get() {
            for number in 0..2 {
                let landed = quietly(&visitor, &stage.node(number, cast)).await.landed(CALLBACK);
                assert_eq!(landed.get("error").map(String::as_str), Some("login_required"), "{landed:?}");
            }
            is_dead(&stage, cast, &all.take(), "signed out").await;
        } else if !asked.get() {
            assert!(quietly(&visitor, &stage.any(cast)).await.landed(CALLBACK).contains_key("code"));
        }
    };
    scene(actors, check)
}

/// Goes to the application that is content with a trusted browser, and types the password.
async fn to_forgetful(visitor: &mut Visitor, cast: Cast) -> Page {
    let page = visitor.get(&code_request(FORGETFUL, &[("prompt", "login")])).await;
    visitor.sign_in(&page, cast.admin.username, cast.admin.password).await
}

fn is_through(page: &Page) -> bool {
    assert!(!page.reply.status.is_server_error(), "{}", page.text());
    page.reply.header("location").starts_with(CALLBACK)
}

/// A trusted browser is used while its trust is taken back.
pub async fn trusted(stage: Rc<Stage>) -> Scene {
    let cast = stage.people();
    let mut visitor = Visitor::new(&stage.any(cast));
    let page = to_forgetful(&mut visitor, cast).await;
    let code = totp(TOTP, stage.any(cast).world.now());
    let mut visitor = visitor.at(&stage.any(cast));
    let page = visitor.submit(&page, &[("code", &code), ("trust", "1")]).await;
    assert!(is_through(&page), "{} {}", page.reply.status, page.text());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("filter", &format!("user.value eq \"{}\"", cast.admin.id))
        .finish();
    let token = stage.oracle_admin.borrow().clone();
    let kept = stage.any(cast).get(&format!("/admin/v1/TrustedUserAgents?{query}"), &token).await;
    let kept: Value = serde_json::from_slice(&kept.body).unwrap();
    let ids: Vec<String> = kept["Resources"].as_array().unwrap().iter().map(|one| text(one, "id")).collect();
    assert!(!ids.is_empty(), "{kept}");
    let (asked, done) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
    let mut actors: Vec<Actor<'static>> = Vec::new();
    let forgets = stage.chance.one_in(2);
    if forgets {
        let (stage, asked, done, ids) = (stage.clone(), asked.clone(), done.clone(), ids.clone());
        actors.push(Box::pin(async move {
            for _ in 0..stage.chance.below(6) {
                pause().await;
            }
            asked.set(true);
            for id in ids {
                let token = stage.oracle_admin.borrow().clone();
                let path = format!("/admin/v1/TrustedUserAgents/{id}");
                let forget = |node: TestServer| async move { node.json("DELETE", &path, &token, &Value::Null).await };
                if let Some(reply) = stage.call(cast, forget).await {
                    assert!(reply.status.is_success(), "{reply:?}");
                    done.set(done.get() + 1);
                }
            }
        }));
    }
    for _ in 0..2 {
        let (stage, visitor) = (stage.clone(), visitor.clone());
        actors.push(Box::pin(async move {
            let go = |node: TestServer| async move { to_forgetful(&mut visitor.at(&node), cast).await };
            if let Some(page) = stage.call(cast, go).await {
                is_through(&page);
            }
        }));
    }
    let check = async move {
        let all_gone = forgets && done.get() == ids.len();
        for number in 0..2 {
            let through = is_through(&to_forgetful(&mut visitor.at(&stage.node(number, cast)), cast).await);
            assert!(!(all_gone && through), "a browser is trusted after that was taken back");
            assert!(asked.get() || through, "a trusted browser was forgotten by nobody");
        }
    };
    scene(actors, check)
}

/// A state of the Oracle door is answered by several at once, rightly and wrongly; one dialogue ends in one token.
pub async fn request_state(stage: Rc<Stage>) -> Scene {
    let cast = stage.people();
    let token = stage.page_token.borrow().clone();
    let at = move |server: TestServer| SignInPage { server, token: token.clone() };
    let who = cast.admin;
    let asked = at(stage.any(cast)).password(Some(ORACLE_APP), who.username, who.password).await;
    let code = totp(TOTP, stage.any(cast).world.now());
    let wrong = if code == "000000" { "111111" } else { "000000" };
    // Heard or not.
    let given = Rc::new(Cell::new(0));
    let right_sent = Rc::new(Cell::new(false));
    let mut actors: Vec<Actor<'static>> = Vec::new();
    for number in 0..2 + stage.chance.below(3) {
        let typed = if number > 0 && stage.chance.one_in(3) { wrong.to_owned() } else { code.clone() };
        let right = typed == code;
        let (stage, asked, at, given) = (stage.clone(), asked.clone(), at.clone(), given.clone());
        let right_sent = right_sent.clone();
        actors.push(Box::pin(async move {
            let answer = |node: TestServer| async move {
                let step = at(node).credentials(&asked, Some("TOTP"), json!({ "otpCode": typed })).await;
                given.set(given.get() + usize::from(step.has("authnToken")));
                step
            };
            right_sent.set(right_sent.get() || right);
            match stage.call(cast, answer).await {
                Some(step) if step.has("authnToken") => {
                    // What was proved by somebody whose answer was lost is at hand for whoever comes next.
                    assert!(right_sent.get(), "a wrong code was taken");
                }
                Some(step) => assert_eq!(step.status, 401, "{}", step.body),
                None => {}
            }
        }));
    }
    let check = async move {
        // Where everybody hung up between the proof and the token it is still there to be had.
        for number in 0..2 {
            let again =
                at(stage.node(number, cast)).credentials(&asked, Some("TOTP"), json!({ "otpCode": code })).await;
            given.set(given.get() + usize::from(again.has("authnToken")));
        }
        assert!(given.get() <= 1, "one dialogue gave {} tokens", given.get());
    };
    scene(actors, check)
}
