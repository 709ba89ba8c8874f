//! Fifty at once, by two nodes, on both databases: what may happen once happens once.
//! Numbers are those of the project's list of attack cases.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use store::Store;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{ACME, JWT_BEARER, Reply, Setup, TOKEN, TestKey, TestServer, context, on_both, totp};

const MANY: usize = 50;

/// Runs the same thing many times at once, alternating between two nodes.
async fn at_once<F, R>(server: &TestServer, act: F) -> Vec<Reply>
where
    F: Fn(TestServer, usize) -> R,
    R: Future<Output = Reply> + Send + 'static,
{
    let nodes = [server.clone(), server.another().await];
    let gate = Arc::new(Barrier::new(MANY));
    let mut tasks = JoinSet::new();
    for number in 0..MANY {
        let (gate, work) = (Arc::clone(&gate), act(nodes[number % 2].clone(), number));
        tasks.spawn(async move {
            gate.wait().await;
            work.await
        });
    }
    tasks.join_all().await
}

#[track_caller]
fn successes(replies: &[Reply]) -> Vec<Value> {
    for reply in replies {
        assert!(!reply.status.is_server_error(), "{}", reply.text());
    }
    replies.iter().filter(|reply| reply.status.is_success()).map(Reply::json).collect()
}

async fn start(store: Store) -> TestServer {
    Setup::new().start_on(store).await
}

#[test]
fn attack_28_an_assertion_presented_fifty_times_at_once_counts_once() {
    on_both(async |store| {
        let server = start(store).await;
        let (_, assertion) = server.password_assertion().await;
        let replies = at_once(&server, |node, _| {
            let assertion = assertion.clone();
            async move { node.present(&assertion).await }
        })
        .await;
        let good = successes(&replies);
        assert_eq!(good.len(), 1, "{good:?}");
        let second = good[0]["access_token"].as_str().unwrap();
        // The one challenge that came of it goes on; then the last assertion gives tokens once.
        let assertion = server.prove_code(second).await;
        let replies = at_once(&server, |node, _| {
            let assertion = assertion.clone();
            async move { node.present(&assertion).await }
        })
        .await;
        let good = successes(&replies);
        assert_eq!(good.len(), 1);
        assert_eq!(server.introspect(good[0]["access_token"].as_str().unwrap()).await["active"], true);
    });
}

#[test]
fn attack_19_fifty_refreshes_at_once_have_one_successor() {
    on_both(async |store| {
        let server = start(store).await;
        let tokens = server.sign_in_other().await;
        let token = tokens["refresh_token"].as_str().unwrap().to_owned();
        let replies = at_once(&server, |node, _| {
            let token = token.clone();
            async move { node.refresh(&token).await }
        })
        .await;
        let good = successes(&replies);
        assert_eq!(good.len(), MANY, "an honest client is never logged out by its own retries");
        for name in ["refresh_token", "access_token"] {
            let distinct: BTreeSet<&str> = good.iter().map(|one| one[name].as_str().unwrap()).collect();
            assert_eq!(distinct.len(), 1, "{name}");
        }
        assert_eq!(server.introspect(good[0]["access_token"].as_str().unwrap()).await["active"], true);
        server.refresh(good[0]["refresh_token"].as_str().unwrap()).await.expect(200);
    });
}

#[test]
fn attack_13_a_client_assertion_is_taken_once_of_fifty() {
    on_both(async |store| {
        let key = TestKey::new("k");
        let section = format!(
            "[[tenant.clients]]\nid = \"key\"\nauth_method = \"private_key_jwt\"\ngrant_types = [\"client_credentials\"]\njwks = {}\n",
            key.toml()
        );
        let server = Setup::new().add(&section).start_on(store).await;
        let now = server.world.now();
        let jwt = key.sign(&json!({
            "iss": "key", "sub": "key", "aud": format!("{}/oauth2/token", ACME.base), "exp": now + 60, "jti": "one",
        }));
        let replies = at_once(&server, |node, _| {
            let jwt = jwt.clone();
            async move {
                let form = [
                    ("grant_type", "client_credentials"),
                    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                    ("client_assertion", jwt.as_str()),
                ];
                node.post_form(TOKEN, &form).await
            }
        })
        .await;
        assert_eq!(successes(&replies).len(), 1);
    });
}

#[test]
fn attack_59_an_outside_assertion_is_taken_once_of_fifty() {
    on_both(async |store| {
        let key = TestKey::new("k");
        let section = format!(
            "[[tenant.clients]]\nid = \"bearer\"\nsecret = \"s\"\ngrant_types = [{JWT_BEARER:?}]\n\
             [[tenant.clients.trusted_issuers]]\nissuer = \"https://issuer.example.test\"\njwks = {}\n",
            key.toml()
        );
        let server = Setup::new().add(&section).start_on(store).await;
        let jwt = key.sign(&json!({
            "iss": "https://issuer.example.test", "sub": ACME.other.id, "aud": format!("{}/oauth2/token", ACME.base),
            "exp": server.world.now() + 60, "jti": "one",
        }));
        let replies = at_once(&server, |node, _| {
            let jwt = jwt.clone();
            async move {
                let form = [("grant_type", JWT_BEARER), ("assertion", jwt.as_str())];
                node.ask("POST", TOKEN).basic("bearer", "s").form(&form).send().await
            }
        })
        .await;
        assert_eq!(successes(&replies).len(), 1);
    });
}

/// Each guess in a sign-in of its own, so that only the account's counter stands in the way.
#[test]
fn attack_35_of_fifty_passwords_at_once_no_more_are_judged_than_the_limit() {
    on_both(async |store| {
        let server = start(store).await;
        let mut tokens = Vec::new();
        for _ in 0..MANY {
            tokens.push(server.begin_inside().await.token);
        }
        let replies = at_once(&server, |node, number| {
            let token = tokens[number].clone();
            async move { node.password(&token, ACME.other.username, &format!("wrong-{number}")).await }
        })
        .await;
        assert!(successes(&replies).is_empty());
        for reply in &replies {
            reply.factor_error(400, "CSIBH0044E");
        }
        let key = format!("password:{}", ACME.other.id);
        let attempts = server.store.attempts(&server.tenant(), &key).await.unwrap();
        assert_eq!(attempts.failures, 5, "every judged one is counted, and no more are judged");
        let right = server.password(&tokens[0], ACME.other.username, ACME.other.password).await;
        right.factor_error(400, "CSIBH0044E");
        server.world.advance(60);
        server.password(&tokens[0], ACME.other.username, ACME.other.password).await.expect(200);
    });
}

#[test]
fn attack_35_fifty_guesses_in_one_sign_in_are_counted_as_they_are_judged() {
    on_both(async |store| {
        let server = start(store).await;
        let first = server.begin_inside().await;
        let replies = at_once(&server, |node, number| {
            let token = first.token.clone();
            async move { node.password(&token, ACME.other.username, &format!("wrong-{number}")).await }
        })
        .await;
        assert!(successes(&replies).is_empty());
        // Whoever lost the race for the step learns that, and nothing of the guess.
        assert!(replies.iter().all(|reply| [400, 409].contains(&reply.status.as_u16())));
        let key = format!("password:{}", ACME.other.id);
        let attempts = server.store.attempts(&server.tenant(), &key).await.unwrap();
        assert!((1..=5).contains(&attempts.failures), "{attempts:?}");
    });
}

#[test]
fn attack_36_of_fifty_codes_at_once_no_more_are_judged_than_the_limit() {
    on_both(async |store| {
        let server = start(store).await;
        let second = server.second_challenge().await;
        let started = server.start_code(&second.token).await;
        let right = server.code(ACME.address).await;
        let id = started["id"].as_str().unwrap().to_owned();
        let replies = at_once(&server, |node, number| {
            let (token, id) = (second.token.clone(), id.clone());
            let code = format!("{number:06}");
            let code = if code == right { "999999".to_owned() } else { code };
            async move { node.answer_code(&token, &id, &code).await }
        })
        .await;
        assert!(successes(&replies).is_empty());
        let path = format!("/v2.0/factors/emailotp/{}/verifications/{id}", ACME.email);
        let shown = server.get(&path, &second.token).await.expect(200);
        let attempts = server.store.attempts(&server.tenant(), &format!("email-otp:{}", ACME.admin.id)).await.unwrap();
        assert!(shown["attempts"].as_i64().unwrap() <= 5 && attempts.failures <= 5, "{shown} {attempts:?}");
        assert!(attempts.failures >= 1);
    });
}

#[test]
fn attack_36_a_right_code_sent_fifty_times_at_once_proves_one_thing() {
    on_both(async |store| {
        let server = start(store).await;
        let second = server.second_challenge().await;
        let started = server.start_code(&second.token).await;
        let (id, code) = (started["id"].as_str().unwrap().to_owned(), server.code(ACME.address).await);
        let replies = at_once(&server, |node, _| {
            let (token, id, code) = (second.token.clone(), id.clone(), code.clone());
            async move { node.answer_code(&token, &id, &code).await }
        })
        .await;
        let good = successes(&replies);
        assert_eq!(good.len(), 1);
        server.present(good[0]["assertion"].as_str().unwrap()).await.expect(200);
    });
}

#[test]
fn attack_37_one_generated_code_in_fifty_sign_ins_at_once_is_accepted_once() {
    on_both(async |store| {
        let mut server = start(store).await;
        server.cast = crate::support::Cast { client: "office-only", secret: "office-demo-secret", ..ACME };
        let mut tokens = Vec::new();
        for _ in 0..MANY {
            let (_, assertion) = server.password_assertion().await;
            let challenge = server.present(&assertion).await.expect(200);
            tokens.push(challenge["access_token"].as_str().unwrap().to_owned());
        }
        let code = totp(b"12345678901234567890", server.world.now());
        let replies = at_once(&server, |node, number| {
            let (token, code) = (tokens[number].clone(), code.clone());
            async move {
                let path = "/v2.0/factors/totp/9381dffe-3116-4d8d-bbe2-8ab36ccdafe5?returnJwt=true";
                node.json("POST", path, &token, &json!({ "otp": code })).await
            }
        })
        .await;
        assert_eq!(successes(&replies).len(), 1);
    });
}

#[test]
fn attack_38_fifty_requests_for_a_code_at_once_send_no_more_than_the_limit() {
    on_both(async |store| {
        let server = start(store).await;
        let mut tokens = Vec::new();
        for _ in 0..MANY {
            tokens.push(server.second_challenge().await.token);
        }
        let replies = at_once(&server, |node, number| {
            let token = tokens[number].clone();
            async move {
                let path = format!("/v2.0/factors/emailotp/{}/verifications", ACME.email);
                node.json("POST", &path, &token, &json!({})).await
            }
        })
        .await;
        assert_eq!(successes(&replies).len(), 10);
        assert_eq!(server.mail(ACME.address).await.len(), 10);
    });
}

/// What was acknowledged holds in a process that starts anew on the same file.
#[tokio::test]
async fn attack_73_what_was_acknowledged_holds_after_a_restart() {
    let database = crate::support::Database::sqlite();
    let store = database.open().await;
    let server = start(store.clone()).await;
    let (first, assertion) = server.password_assertion().await;
    let second = crate::support::Challenge::of(&server.present(&assertion).await);
    let rotated = server.sign_in_other().await;
    let successor = server.refresh(rotated["refresh_token"].as_str().unwrap()).await.expect(200);
    let revoked = server.sign_in_other().await;
    let form = [("token", revoked["access_token"].as_str().unwrap())];
    server.ask("POST", "/oauth2/revoke").basic(ACME.client, ACME.secret).form(&form).send().await.expect_empty(200);
    let guess = server.begin_inside().await;
    for _ in 0..5 {
        server.password(&guess.token, ACME.other.username, "wrong").await.factor_error(400, "CSIBH0044E");
    }
    let context = context("203.0.113.9");
    let form = [("grant_type", "policyauth"), ("context", context.as_str())];
    let denied = server.ask("POST", TOKEN).basic("office-only", "office-demo-secret").form(&form).send().await;
    denied.oauth_error(401, "access_denied", "CSIAQ0278E ");
    // Nobody closes anything: a second process opens the file as the first left it.
    let again = TestServer::open(database.open().await, server.world.clone(), false).await;
    assert_eq!(again.present(&assertion).await.status, 400);
    let stale = again.password(&first.token, ACME.admin.username, ACME.admin.password).await;
    stale.factor_error(401, "CSIAK9999E");
    let proved = again.prove_code(&second.token).await;
    again.present(&proved).await.expect(200);
    assert_eq!(again.introspect(revoked["access_token"].as_str().unwrap()).await, json!({ "active": false }));
    let right = again.password(&guess.token, ACME.other.username, ACME.other.password).await;
    right.factor_error(400, "CSIBH0044E");
    let text = denied.json()["error_description"].as_str().unwrap().to_owned();
    let (_, reference) = text.trim_end_matches(')').rsplit_once("reference ").unwrap();
    assert!(again.store.record(&again.tenant(), reference).await.unwrap().is_some());
    again.world.advance(10);
    again.refresh(rotated["refresh_token"].as_str().unwrap()).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
    again.refresh(successor["refresh_token"].as_str().unwrap()).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
}
