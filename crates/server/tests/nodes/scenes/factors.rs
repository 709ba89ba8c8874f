//! Scenes of people and what they prove themselves with: a factor enrolled by several, one that is switched off, a person who is removed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::{Value, json};

use super::{Scene, is_dead, scene, taken, text};
use crate::scheduler::{Actor, pause};
use crate::simulation::Stage;
use crate::support::{Cast, Person, Reply, TestServer};

/// The authenticator applications of a person, as any node lists them.
async fn applications(node: &TestServer, token: &str, person: &str) -> Vec<Value> {
    let search = format!("userId=\"{person}\"");
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("search", &search).finish();
    let listed = node.get(&format!("/v2.0/factors/totp?{query}"), token).await.expect(200);
    listed["totp"].as_array().unwrap().clone()
}

/// An authenticator application is enrolled by several at once, and taken away again by several.
pub async fn enrolment(stage: Rc<Stage>) -> Scene {
    let cast = stage.people();
    let person = cast.other.id;
    let token = stage.administration.borrow().clone();
    let made: Rc<RefCell<Vec<String>>> = Rc::default();
    let lost = Rc::new(Cell::new(false));
    let actors = (0..2 + stage.chance.below(2))
        .map(|_| {
            let (stage, token, made, lost) = (stage.clone(), token.clone(), made.clone(), lost.clone());
            Box::pin(async move {
                let body = json!({ "userId": person, "accountName": "somebody" });
                let enrol =
                    |node: TestServer| async move { node.json("POST", "/v2.0/factors/totp", &token, &body).await };
                match stage.call(cast, enrol).await {
                    Some(reply) => made.borrow_mut().extend(taken(&reply).map(|body| text(&body, "id"))),
                    None => lost.set(true),
                }
            }) as Actor<'static>
        })
        .collect();
    let check = async move {
        let made = made.take();
        assert!(made.len() <= 1, "one person has two applications");
        assert!(made.len() == 1 || lost.get(), "an application was enrolled by nobody");
        for number in 0..2 {
            let listed = applications(&stage.node(number, cast), &token, person).await;
            assert!(listed.len() <= 1, "{listed:?}");
            assert!(made.iter().all(|id| listed.iter().any(|one| one["id"] == id.as_str())), "an application is gone");
        }
        // For whoever comes after.
        for one in applications(&stage.any(cast), &token, person).await {
            let path = format!("/v2.0/factors/totp/{}", text(&one, "id"));
            assert_eq!(stage.any(cast).json("DELETE", &path, &token, &Value::Null).await.status, 204);
            for number in 0..2 {
                assert!(applications(&stage.node(number, cast), &token, person).await.is_empty(), "it is back");
            }
        }
    };
    scene(actors, check)
}

/// A factor is switched off while its code is answered.
pub async fn factor_off(stage: Rc<Stage>) -> Scene {
    let cast = stage.people();
    let node = stage.any(cast);
    let second = node.second_challenge().await;
    let verification = text(&node.start_code(&second.token).await, "id");
    let code = node.code(cast.address).await;
    let token = stage.administration.borrow().clone();
    let path = format!("/v2.0/factors/emailotp/{}", cast.email);
    let switch = move |on: bool| json!({ "userId": cast.admin.id, "enabled": on });
    let done = Rc::new(Cell::new(false));
    let proofs: Rc<RefCell<Vec<Value>>> = Rc::default();
    let mut actors: Vec<Actor<'static>> = Vec::new();
    {
        let (stage, path, token, done) = (stage.clone(), path.clone(), token.clone(), done.clone());
        actors.push(Box::pin(async move {
            for _ in 0..stage.chance.below(4) {
                pause().await;
            }
            let off = |node: TestServer| async move { node.json("PUT", &path, &token, &switch(false)).await };
            done.set(stage.call(cast, off).await.is_some_and(|reply| taken(&reply).is_some()));
        }));
    }
    for _ in 0..2 {
        let (stage, token, verification, code) =
            (stage.clone(), second.token.clone(), verification.clone(), code.clone());
        let proofs = proofs.clone();
        actors.push(Box::pin(async move {
            let answer = |node: TestServer| async move { node.answer_code(&token, &verification, &code).await };
            if let Some(reply) = stage.call(cast, answer).await {
                proofs.borrow_mut().extend(taken(&reply));
            }
        }));
    }
    let check = async move {
        assert!(proofs.take().len() <= 1, "one code proved twice");
        if done.get() {
            for number in 0..2 {
                let reply = stage.node(number, cast).answer_code(&second.token, &verification, &code).await;
                assert!(taken(&reply).is_none(), "a factor that is switched off proves something");
            }
        }
        // For whoever comes after.
        let on = stage.any(cast).json("PUT", &path, &token, &switch(true)).await;
        assert!(taken(&on).is_some(), "{on:?}");
    };
    scene(actors, check)
}

/// Somebody new signs in while they are removed.
pub async fn removed(stage: Rc<Stage>) -> Scene {
    let token = stage.provisioning.borrow().clone();
    let username = stage.name();
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": username, "displayName": "Somebody", "password": "correct-horse-9", "active": true,
    });
    let cast = stage.people();
    let made = stage.any(cast).json("POST", "/scim/v2/Users", &token, &body).await.expect(201);
    let keep = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let other = Person { id: keep(text(&made, "id")), username: keep(username), password: "correct-horse-9" };
    let cast = Cast { other, ..cast };
    let node = stage.any(cast);
    let (_, assertion) = super::proved(&node).await;
    let tokens = super::signed_in(&node).await;
    let all: Rc<RefCell<Vec<Value>>> = Rc::new(RefCell::new(vec![tokens.clone()]));
    let done = Rc::new(Cell::new(false));
    let path = format!("/scim/v2/Users/{}", cast.other.id);
    let mut actors: Vec<Actor<'static>> = Vec::new();
    {
        let (stage, path, token, done) = (stage.clone(), path.clone(), token.clone(), done.clone());
        actors.push(Box::pin(async move {
            for _ in 0..stage.chance.below(6) {
                pause().await;
            }
            let remove = |node: TestServer| async move { node.json("DELETE", &path, &token, &Value::Null).await };
            done.set(stage.call(cast, remove).await.is_some_and(|reply| reply.status == 204));
        }));
    }
    for refreshes in [true, false] {
        let (stage, all, assertion) = (stage.clone(), all.clone(), assertion.clone());
        let refresh = text(&tokens, "refresh_token");
        actors.push(Box::pin(async move {
            let request = |node: TestServer| async move {
                if refreshes { node.refresh(&refresh).await } else { node.present(&assertion).await }
            };
            if let Some(reply) = stage.call(cast, request).await {
                all.borrow_mut().extend(taken(&reply));
            }
        }));
    }
    let check = async move {
        let there = |reply: Reply| taken(&reply).is_some();
        if done.get() {
            is_dead(&stage, cast, &all.take(), "removed").await;
            for number in 0..2 {
                let node = stage.node(number, cast);
                assert_eq!(node.get(&path, &token).await.status, 404, "somebody who was removed is there");
                assert!(!there(node.refresh(&text(&tokens, "refresh_token")).await));
                assert!(!there(node.present(&assertion).await), "somebody who was removed signs in");
                let first = node.begin_inside().await;
                assert!(!there(node.password(&first.token, cast.other.username, cast.other.password).await));
            }
        } else if stage.any(cast).get(&path, &token).await.status == 200 {
            // For whoever comes after.
            stage.any(cast).json("DELETE", &path, &token, &Value::Null).await.expect_empty(204);
        }
    };
    scene(actors, check)
}
