//! The limits that hold whichever door is used: what is tried, sent and waited for is counted in one place. Each door's own words for it
//! are its own tests'; here one script goes through all of them. Numbers are those of the project's list of attack cases.

use std::sync::Arc;

use engine::FactorKind;
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::hosted::{CALLBACK, code_request};
use crate::support::oracle::world::{self, ID, NAME, NUMBER, PASSWORD, SMS};
use crate::support::oracle::{Page as Oracle, Step};
use crate::support::visitor::{Page, Visitor};
use crate::support::{Challenge, JWT_BEARER, Reply, Setup, TOKEN, TestServer, client, context, on_both, policy, rule};

const APP: &str = "limits";
const SECRET: &str = "limits-secret";
const NAME_OF_APP: &str = "Limits";
const LIMIT: i64 = 5;

/// An application that wants a code by text message besides a password, at every door.
fn setup(more: &str) -> Setup {
    let app = format!(
        "name = {NAME_OF_APP:?}\ngrant_types = [\"policyauth\", \"authorization_code\", {JWT_BEARER:?}, \"password\"]\n\
         redirect_uris = [{CALLBACK:?}]\nconsent = \"never_prompt\"\npolicy = 640001\n\
         policy_grants = {{ policyauth = true, password = true }}"
    );
    world::setup()
        .replace("[tenant.settings]", &format!("[tenant.settings]\n{more}"))
        .add(&client(APP, SECRET, &app))
        .add(&policy(
            640_001,
            &[
                rule("First", true, "[]", "ACTION_MFA_ALWAYS", "[\"password\"]"),
                rule("After", false, "[]", "ACTION_MFA_ALWAYS", "[\"smsotp\"]"),
            ],
        ))
}

/// A door, by how somebody comes to the second factor there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Policyauth,
    Pages,
    Oracle,
}

const DOORS: [Door; 3] = [Door::Policyauth, Door::Pages, Door::Oracle];

/// A sign-in that waits for the code it sent, at one of the doors.
enum Waiting {
    Policyauth { token: String, verification: String },
    Pages { visitor: Box<Visitor>, page: Box<Page> },
    Oracle { page: Box<Oracle>, step: Box<Step> },
}

/// What a door made of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Yes,
    No,
}

fn form(more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("client_id", APP.to_owned()),
        ("client_secret", SECRET.to_owned()),
        ("scope", "openid".to_owned()),
        ("context", context("198.51.100.77")),
    ];
    all.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    all
}

const CODES: &str = "/v2.0/factors/smsotp";

impl Door {
    /// Tries a password.
    async fn password(self, server: &TestServer, name: &str, password: &str) -> Said {
        let yes = match self {
            Self::Policyauth => {
                let first = Challenge::of(&server.post_form(TOKEN, &form(&[("grant_type", "policyauth")])).await);
                server.password(&first.token, name, password).await.status == 200
            }
            Self::Pages => {
                let mut visitor = Visitor::new(server);
                let page = visitor.get(&code_request(APP, &[])).await;
                visitor.sign_in(&page, name, password).await.problem().is_none()
            }
            Self::Oracle => server.page().await.password(Some(NAME_OF_APP), name, password).await.status == 200,
        };
        if yes { Said::Yes } else { Said::No }
    }

    /// Signs in as far as the code; none where it was not sent.
    async fn begin(self, server: &TestServer) -> Option<Waiting> {
        match self {
            Self::Policyauth => {
                let first = Challenge::of(&server.post_form(TOKEN, &form(&[("grant_type", "policyauth")])).await);
                let proved = server.password(&first.token, NAME, PASSWORD).await.expect(200);
                let assertion = proved["assertion"].as_str().unwrap();
                let sent = form(&[("grant_type", JWT_BEARER), ("assertion", assertion)]);
                let second = Challenge::of(&server.post_form(TOKEN, &sent).await);
                let path = format!("{CODES}/{SMS}/verifications");
                let made = server.json("POST", &path, &second.token, &json!({})).await;
                if made.status != 201 {
                    made.factor_error(400, "CSIBN0081E");
                    return None;
                }
                let verification = made.json()["id"].as_str().unwrap().to_owned();
                Some(Waiting::Policyauth { token: second.token, verification })
            }
            Self::Pages => {
                let mut visitor = Visitor::new(server);
                let page = visitor.get(&code_request(APP, &[])).await;
                let page = visitor.sign_in(&page, NAME, PASSWORD).await;
                if page.has("code") {
                    return Some(Waiting::Pages { visitor: Box::new(visitor), page: Box::new(page) });
                }
                assert_eq!(page.problem().as_deref(), Some("too_many_messages"), "{}", page.text());
                None
            }
            Self::Oracle => {
                let page = server.page().await;
                let step = page.password(Some(NAME_OF_APP), NAME, PASSWORD).await;
                (step.status == 200).then(|| Waiting::Oracle { page: Box::new(page), step: Box::new(step) })
            }
        }
    }
}

impl Waiting {
    /// Has another code sent.
    async fn again(self, server: &TestServer) -> Option<Self> {
        match self {
            Self::Policyauth { token, .. } => {
                let made = server.json("POST", &format!("{CODES}/{SMS}/verifications"), &token, &json!({})).await;
                let verification = (made.status == 201).then(|| made.json()["id"].as_str().unwrap().to_owned());
                verification.map(|verification| Self::Policyauth { token, verification })
            }
            Self::Pages { mut visitor, page } => {
                let page = visitor.submit(&page, &[("do", "resend")]).await;
                page.problem().is_none().then(|| Self::Pages { visitor, page: Box::new(page) })
            }
            Self::Oracle { page, step } => {
                let step = page.submit(&step, json!({ "op": "resendCode" })).await;
                (step.status == 200).then(|| Self::Oracle { page, step: Box::new(step) })
            }
        }
    }

    /// Answers the code.
    async fn answer(&mut self, server: &TestServer, code: &str) -> Said {
        let yes = match self {
            Self::Policyauth { token, verification } => {
                let path = format!("{CODES}/{SMS}/verifications/{verification}?returnJwt=true");
                server.json("POST", &path, token, &json!({ "otp": code })).await.status == 200
            }
            Self::Pages { visitor, page } => {
                let shown = visitor.submit(page, &[("code", code)]).await;
                shown.reply.header("location").starts_with(CALLBACK)
            }
            Self::Oracle { page, step } => {
                page.credentials(step, None, json!({ "otpCode": code })).await.has("authnToken")
            }
        };
        if yes { Said::Yes } else { Said::No }
    }
}

/// Another code of as many digits.
fn other_than(code: &str) -> &'static str {
    if code == "000000" { "111111" } else { "000000" }
}

async fn failures(server: &TestServer, kind: FactorKind) -> i64 {
    server.store.attempts(&server.tenant(), &format!("{}:{ID}", kind.as_str())).await.unwrap().failures
}

/// However a wrong code comes, five of them and the sixth is not looked at, right or wrong, anywhere.
#[test]
fn attack_36_wrong_codes_count_together_at_every_door() {
    on_both(async |store| {
        let server = setup("messages_per_hour = 1000").start_on(store).await;
        let mut waiting = Vec::new();
        for door in DOORS {
            let one = door.begin(&server).await.expect("a code was sent");
            waiting.push((one, server.code(NUMBER).await));
        }
        for nth in 0..LIMIT {
            let (one, code) = &mut waiting[usize::try_from(nth).unwrap() % DOORS.len()];
            assert_eq!(one.answer(&server, other_than(code)).await, Said::No);
        }
        assert_eq!(failures(&server, FactorKind::SmsOtp).await, LIMIT);
        let node = server.another().await;
        for (one, code) in &mut waiting {
            assert_eq!(one.answer(&node, code).await, Said::No, "it rests");
        }
        assert_eq!(failures(&server, FactorKind::SmsOtp).await, LIMIT, "what is not judged is not counted");
        // It ends by itself, everywhere.
        server.world.advance(60);
        for (one, code) in &mut waiting {
            assert_eq!(one.answer(&server, code).await, Said::Yes);
        }
    });
}

/// The rest doubles for whoever goes on, and is the same at every door.
#[tokio::test]
async fn attack_42_a_lock_grows_is_seen_at_every_door_and_ends() {
    let server = setup("").start().await;
    let mut rest = 60;
    for _ in 0..LIMIT {
        assert_eq!(Door::Pages.password(&server, NAME, "wrong").await, Said::No);
    }
    for door in DOORS {
        server.world.advance(rest - 1);
        for other in DOORS {
            assert_eq!(other.password(&server, NAME, PASSWORD).await, Said::No, "{rest} {other:?}");
        }
        server.world.advance(1);
        // One more, by a door of its own each time, and it rests for twice as long.
        assert_eq!(door.password(&server, NAME, "wrong").await, Said::No);
        rest *= 2;
    }
    server.world.advance(rest);
    for door in DOORS {
        assert_eq!(door.password(&server, NAME, PASSWORD).await, Said::Yes, "{door:?}");
    }
    assert_eq!(failures(&server, FactorKind::Password).await, 0, "who got in is forgiven");
}

/// One place tries many accounts, each less often than its own limit, a door at a time. A page that speaks Oracle's API names nobody's
/// address, and its own is that of everybody who comes to it: it is held by the limits of each account alone.
#[tokio::test]
async fn attack_35_one_place_is_counted_at_every_door() {
    let server = setup("tries_per_place = 6").start().await;
    for nth in 0..6 {
        let name = format!("somebody-{nth}");
        assert_eq!(DOORS[nth % 2].password(&server, &name, "winter-2026").await, Said::No);
    }
    for door in DOORS {
        let expected = if door == Door::Oracle { Said::Yes } else { Said::No };
        assert_eq!(door.password(&server, NAME, PASSWORD).await, expected, "{door:?}");
    }
    server.world.advance(600);
    for door in DOORS {
        assert_eq!(door.password(&server, NAME, PASSWORD).await, Said::Yes, "{door:?}");
    }
}

/// The page for a new password takes an old one, and is a place to try passwords like any other.
#[tokio::test]
async fn passwords_tried_where_a_new_one_is_set_are_counted_by_their_place_too() {
    let server = setup("tries_per_place = 6").start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request(APP, &[])).await;
    let action = page.form().action.replace("/password", "/new-password");
    for nth in 0..6 {
        let name = format!("somebody-{nth}");
        let guess =
            [("username", name.as_str()), ("password", "winter-2026"), ("new_password", "staple-battery-horse")];
        assert_eq!(visitor.post(&action, &guess).await.problem().as_deref(), Some("wrong_credentials"));
    }
    assert_eq!(Door::Pages.password(&server, NAME, PASSWORD).await, Said::No);
    assert_eq!(failures(&server, FactorKind::Password).await, 0, "it was not looked at");
    server.world.advance(600);
    assert_eq!(Door::Pages.password(&server, NAME, PASSWORD).await, Said::Yes);
}

/// Whoever asks for another code at each door in turn is sent no more than one door would send.
#[test]
fn attack_38_messages_count_together_at_every_door() {
    on_both(async |store| {
        let server = setup("messages_per_hour = 4").start_on(store).await;
        let mut waiting = Vec::new();
        for door in DOORS {
            waiting.push(door.begin(&server).await.expect("a code was sent"));
        }
        let again = waiting.remove(1).again(&server).await;
        assert!(again.is_some(), "the fourth");
        for one in waiting {
            assert!(one.again(&server).await.is_none(), "the fifth");
        }
        for door in DOORS {
            assert!(door.begin(&server).await.is_none(), "{door:?}");
        }
        assert_eq!(server.mail(NUMBER).await.len(), 4);
        server.world.advance(3600);
        for door in DOORS {
            assert!(door.begin(&server).await.is_some(), "{door:?}");
        }
    });
}

/// A newer code ends the one before it in its sign-in, and no other's.
#[tokio::test]
async fn attack_36_one_code_lives_in_a_sign_in_at_every_door() {
    let server = setup("messages_per_hour = 1000\nlock_after = 100").start().await;
    for door in DOORS {
        let mut bystander = door.begin(&server).await.expect("a code was sent");
        let beside = server.code(NUMBER).await;
        let one = door.begin(&server).await.expect("a code was sent");
        let old = server.code(NUMBER).await;
        let mut one = one.again(&server).await.expect("another code");
        let new = server.code(NUMBER).await;
        if old != new {
            assert_eq!(one.answer(&server, &old).await, Said::No, "{door:?}");
        }
        assert_eq!(one.answer(&server, &new).await, Said::Yes, "{door:?}");
        assert_eq!(bystander.answer(&server, &beside).await, Said::Yes, "{door:?}");
    }
}

/// Guesses at once, by two nodes, at the doors whose races are not told elsewhere.
#[test]
fn attack_35_of_many_passwords_at_once_no_more_are_judged_than_the_limit_at_any_door() {
    const MANY: usize = 24;
    on_both(async |store| {
        let server = setup("").start_on(store).await;
        let nodes = [server.clone(), server.another().await];
        let gate = Arc::new(Barrier::new(MANY));
        let mut tasks = JoinSet::new();
        for nth in 0..MANY {
            let (gate, node) = (Arc::clone(&gate), nodes[nth % 2].clone());
            tasks.spawn(async move {
                let guess = format!("wrong-{nth}");
                // As far as the form, before all of them send it.
                match DOORS[nth % 3] {
                    Door::Pages => {
                        let mut visitor = Visitor::new(&node);
                        let page = visitor.get(&code_request(APP, &[])).await;
                        gate.wait().await;
                        visitor.sign_in(&page, NAME, &guess).await.reply
                    }
                    Door::Oracle => {
                        let page = node.page().await;
                        let start = page.start(Some(NAME_OF_APP)).await;
                        gate.wait().await;
                        let sent = json!({
                            "op": "credSubmit", "authFactor": "USERNAME_PASSWORD", "requestState": start.state(),
                            "credentials": { "username": NAME, "password": guess },
                        });
                        page.ask("POST", crate::support::oracle::AUTHENTICATE).json(&sent).send().await
                    }
                    Door::Policyauth => {
                        let begun = node.post_form(TOKEN, &form(&[("grant_type", "policyauth")])).await;
                        let first = Challenge::of(&begun);
                        gate.wait().await;
                        node.password(&first.token, NAME, &guess).await
                    }
                }
            });
        }
        let replies: Vec<Reply> = tasks.join_all().await;
        assert!(replies.iter().all(|reply| !reply.status.is_server_error()));
        assert_eq!(failures(&server, FactorKind::Password).await, LIMIT, "every judged one is counted, and no more");
        for door in DOORS {
            assert_eq!(door.password(&server, NAME, PASSWORD).await, Said::No, "{door:?}");
        }
    });
}

/// The right code sent many times at once takes one sign-in on, once, at the pages and in Oracle's dialect as anywhere.
#[test]
fn attack_36_a_right_code_sent_many_times_at_once_serves_once_at_every_door() {
    const MANY: usize = 12;
    on_both(async |store| {
        let server = setup("messages_per_hour = 1000").start_on(store).await;
        let other = server.another().await;
        for door in [Door::Pages, Door::Oracle] {
            let waiting = door.begin(&server).await.expect("a code was sent");
            let code = server.code(NUMBER).await;
            let gate = Arc::new(Barrier::new(MANY));
            let mut tasks = JoinSet::new();
            for nth in 0..MANY {
                let (gate, code) = (Arc::clone(&gate), code.clone());
                let node = if nth % 2 == 0 { server.clone() } else { other.clone() };
                let mut own = match &waiting {
                    Waiting::Policyauth { token, verification } => {
                        Waiting::Policyauth { token: token.clone(), verification: verification.clone() }
                    }
                    Waiting::Pages { visitor, page } => {
                        Waiting::Pages { visitor: Box::new(visitor.at(&node)), page: page.clone() }
                    }
                    Waiting::Oracle { page, step } => {
                        let page = Box::new(Oracle { server: node.clone(), token: page.token.clone() });
                        Waiting::Oracle { page, step: step.clone() }
                    }
                };
                tasks.spawn(async move {
                    gate.wait().await;
                    own.answer(&node, &code).await
                });
            }
            let said = tasks.join_all().await;
            let good = said.iter().filter(|one| **one == Said::Yes).count();
            assert!(good <= 1, "{door:?}: {good}");
            // What was answered is used up, whoever comes with it.
            if good == 1 {
                let mut late = waiting;
                assert_eq!(late.answer(&server, &code).await, Said::No, "{door:?}");
            }
        }
    });
}

/// What nobody has is counted like what somebody has: at every door the sixth guess at a stranger is no other than the first.
#[tokio::test]
async fn attack_39_strangers_rest_like_anybody_at_every_door() {
    let server = setup("").start().await;
    for door in DOORS {
        for _ in 0..=LIMIT {
            assert_eq!(door.password(&server, "nobody@example.com", "wrong").await, Said::No);
        }
    }
    // Somebody else is not held for it.
    assert_eq!(Door::Oracle.password(&server, NAME, PASSWORD).await, Said::Yes);
}
