//! The scenes of the simulation: who wants what at once, and what must hold afterwards. Each has people of its own.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;

use serde_json::{Value, json};

mod browsers;
mod factors;

use crate::scheduler::{Actor, pause};
use crate::simulation::Stage;
use crate::support::hosted::{CALLBACK, code_request};
use crate::support::visitor::Visitor;
use crate::support::{ACME, Cast, Challenge, Reply, TOKEN, TestServer};

type Later = Pin<Box<dyn Future<Output = ()>>>;

/// What happens, and what is asked afterwards.
pub struct Scene {
    /// Who does something.
    pub actors: Vec<Actor<'static>>,
    /// Asked when all is quiet.
    pub check: Later,
    /// Asked when leases are over.
    pub later: Option<Later>,
}

type Set = fn(Rc<Stage>) -> Pin<Box<dyn Future<Output = Scene>>>;

/// Every scene.
pub const ALL: &[Set] = &[
    |stage| Box::pin(assertion(stage)),
    |stage| Box::pin(refreshing(stage)),
    |stage| Box::pin(guessing(stage)),
    |stage| Box::pin(code_by_mail(stage)),
    |stage| Box::pin(authorization_code(stage)),
    |stage| Box::pin(client_assertion(stage)),
    |stage| Box::pin(switched_off(stage)),
    |stage| Box::pin(delivery(stage)),
    |stage| Box::pin(browsers::device(stage)),
    |stage| Box::pin(browsers::signed_out(stage)),
    |stage| Box::pin(browsers::trusted(stage)),
    |stage| Box::pin(browsers::request_state(stage)),
    |stage| Box::pin(factors::enrolment(stage)),
    |stage| Box::pin(factors::factor_off(stage)),
    |stage| Box::pin(factors::removed(stage)),
];

fn scene(actors: Vec<Actor<'static>>, check: impl Future<Output = ()> + 'static) -> Scene {
    Scene { actors, check: Box::pin(check), later: None }
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {body}")).to_owned()
}

/// A success's body; none for an expected no. A fault is neither.
#[track_caller]
fn taken(reply: &Reply) -> Option<Value> {
    assert!(!reply.status.is_server_error(), "{}", reply.text());
    reply.status.is_success().then(|| reply.json())
}

/// Asked by a client that may ask after every token: to any other all that are not its own are dead.
async fn is_active(server: &TestServer, token: &str) -> bool {
    let form = [("client_id", "administration"), ("client_secret", "administration-demo-secret"), ("token", token)];
    server.post_form("/oauth2/introspect", &form).await.expect(200)["active"].as_bool().unwrap()
}

/// Nothing of it is good at either node.
async fn is_dead(stage: &Stage, cast: Cast, tokens: &[Value], what: &str) {
    for number in 0..2 {
        let node = stage.node(number, cast);
        for pair in tokens {
            for name in ["access_token", "refresh_token"] {
                if let Some(token) = pair[name].as_str() {
                    assert!(!is_active(&node, token).await, "{what}: a {name} is good");
                }
            }
        }
    }
}

async fn proved(server: &TestServer) -> (Challenge, String) {
    let first = server.begin_inside().await;
    let other = server.cast.other;
    let body = server.password(&first.token, other.username, other.password).await.expect(200);
    (first, text(&body, "assertion"))
}

async fn signed_in(server: &TestServer) -> Value {
    let (_, assertion) = proved(server).await;
    server.present(&assertion).await.expect(200)
}

/// An assertion is presented by several at once.
async fn assertion(stage: Rc<Stage>) -> Scene {
    let cast = stage.people();
    let (first, assertion) = proved(&stage.any(cast)).await;
    let won: Rc<RefCell<Vec<Value>>> = Rc::default();
    let lost = Rc::new(Cell::new(false));
    let actors = (0..2 + stage.chance.below(3))
        .map(|_| {
            let (stage, assertion, won, lost) = (stage.clone(), assertion.clone(), won.clone(), lost.clone());
            Box::pin(async move {
                match stage.call(cast, |node| async move { node.present(&assertion).await }).await {
                    Some(reply) => won.borrow_mut().extend(taken(&reply)),
                    None => lost.set(true),
                }
            }) as Actor<'static>
        })
        .collect();
    let check = async move {
        // Once more settles what was lost, and from then on it is spent.
        for _ in 0..2 {
            let reply = stage.any(cast).present(&assertion).await;
            won.borrow_mut().extend(taken(&reply));
        }
        let won = won.take();
        assert!(won.len() <= 1, "an assertion was taken twice");
        assert!(won.len() == 1 || lost.get(), "an assertion was lost by nobody");
        for number in 0..2 {
            let node = stage.node(number, cast);
            assert!(!is_active(&node, &first.token).await, "a sign-in goes on after it was redeemed");
            for tokens in &won {
                assert!(is_active(&node, &text(tokens, "access_token")).await);
            }
        }
    };
    scene(actors, check)
}

/// One refresh token is used by several at once, who ask again when they hear nothing; perhaps somebody revokes it meanwhile.
async fn refreshing(stage: Rc<Stage>) -> Scene {
    let cast = stage.people();
    let tokens = signed_in(&stage.any(cast)).await;
    let refresh = text(&tokens, "refresh_token");
    let heard: Rc<RefCell<Vec<Value>>> = Rc::default();
    let refused = Rc::new(Cell::new(0));
    let (asked, revoked) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    let mut actors: Vec<Actor<'static>> = Vec::new();
    for _ in 0..2 + stage.chance.below(2) {
        let (stage, refresh, heard, refused) = (stage.clone(), refresh.clone(), heard.clone(), refused.clone());
        actors.push(Box::pin(async move {
            for _ in 0..3 {
                let (stage, refresh) = (stage.clone(), refresh.clone());
                match stage.call(cast, |node| async move { node.refresh(&refresh).await }).await {
                    Some(reply) => {
                        match taken(&reply) {
                            Some(body) => heard.borrow_mut().push(body),
                            None => refused.set(refused.get() + 1),
                        }
                        return;
                    }
                    None => pause().await,
                }
            }
        }));
    }
    if stage.chance.one_in(3) {
        let (stage, refresh, asked, revoked) = (stage.clone(), refresh.clone(), asked.clone(), revoked.clone());
        actors.push(Box::pin(async move {
            for _ in 0..stage.chance.below(12) {
                pause().await;
            }
            asked.set(true);
            let done =
                stage.call(cast, |node| async move { node.token_at("/oauth2/revoke", &[("token", &refresh)]).await });
            revoked.set(done.await.is_some_and(|reply| reply.status == 200));
        }));
    }
    let check = async move {
        let heard = heard.take();
        for pair in heard.windows(2) {
            assert_eq!(pair[0]["refresh_token"], pair[1]["refresh_token"], "one refresh has two successors");
            assert_eq!(pair[0]["access_token"], pair[1]["access_token"]);
        }
        let mut all = heard;
        all.push(tokens);
        if revoked.get() {
            is_dead(&stage, cast, &all, "revoked").await;
            stage.any(cast).refresh(&refresh).await.expect(400);
        } else if !asked.get() {
            assert_eq!(refused.get(), 0, "an honest client was signed out by its retries");
            let again = stage.any(cast).refresh(&refresh).await.expect(200);
            if all.len() > 1 {
                assert_eq!(again["refresh_token"], all[0]["refresh_token"], "the last answer is given again");
            }
            for number in 0..2 {
                for pair in all.iter().chain([&again]) {
                    assert!(is_active(&stage.node(number, cast), &text(pair, "access_token")).await);
                }
            }
        }
    };
    scene(actors, check)
}

/// Wrong passwords for one person from several sign-ins: every one is charged before it is judged.
async fn guessing(stage: Rc<Stage>) -> Scene {
    let cast = stage.people();
    let guesses = 2 + stage.chance.below(6);
    let heard = Rc::new(Cell::new(0));
    let mut actors: Vec<Actor<'static>> = Vec::new();
    for _ in 0..guesses {
        let challenge = stage.any(cast).begin_inside().await;
        let (stage, heard) = (stage.clone(), heard.clone());
        actors.push(Box::pin(async move {
            let guess =
                |node: TestServer| async move { node.password(&challenge.token, cast.other.username, "wrong").await };
            if let Some(reply) = stage.call(cast, guess).await {
                assert!(taken(&reply).is_none(), "a wrong password was taken");
                heard.set(heard.get() + 1);
            }
        }));
    }
    let check = async move {
        let node = stage.any(cast);
        let challenge = node.begin_inside().await;
        let right = node.password(&challenge.token, cast.other.username, cast.other.password).await;
        if heard.get() >= 5 {
            assert!(taken(&right).is_none(), "five wrong passwords were forgotten");
            let other = stage.node(0, cast);
            let challenge = other.begin_inside().await;
            let right = other.password(&challenge.token, cast.other.username, cast.other.password).await;
            assert!(taken(&right).is_none(), "one node knows nothing of it");
        } else if guesses < 5 {
            right.expect(200);
        }
    };
    scene(actors, check)
}

/// A mailed code is answered by several at once, rightly and wrongly.
async fn code_by_mail(stage: Rc<Stage>) -> Scene {
    let cast = stage.people();
    let node = stage.any(cast);
    let second = node.second_challenge().await;
    let verification = text(&node.start_code(&second.token).await, "id");
    let code = node.code(cast.address).await;
    let wrong = if code == "000000" { "111111" } else { "000000" };
    let proofs: Rc<RefCell<Vec<String>>> = Rc::default();
    let lost = Rc::new(Cell::new(false));
    let mut actors: Vec<Actor<'static>> = Vec::new();
    for number in 0..2 + stage.chance.below(3) {
        let typed = if number > 0 && stage.chance.one_in(3) { wrong.to_owned() } else { code.clone() };
        let is_right = typed == code;
        let (stage, verification, token) = (stage.clone(), verification.clone(), second.token.clone());
        let (proofs, lost) = (proofs.clone(), lost.clone());
        actors.push(Box::pin(async move {
            let answer = |node: TestServer| async move { node.answer_code(&token, &verification, &typed).await };
            match stage.call(cast, answer).await {
                Some(reply) => {
                    if let Some(body) = taken(&reply) {
                        assert!(is_right, "a wrong code was taken");
                        proofs.borrow_mut().push(text(&body, "assertion"));
                    }
                }
                None => lost.set(lost.get() || is_right),
            }
        }));
    }
    let check = async move {
        let proofs = proofs.take();
        assert!(proofs.len() <= 1, "one code proved twice");
        let mut tokens = Vec::new();
        for proof in &proofs {
            for _ in 0..2 {
                tokens.extend(taken(&stage.any(cast).present(proof).await));
            }
        }
        assert!(tokens.len() <= 1, "one proof gave tokens twice");
        let again = stage.any(cast).answer_code(&second.token, &verification, &code).await;
        if !proofs.is_empty() {
            assert!(taken(&again).is_none(), "a code proves again after it was used");
        }
    };
    scene(actors, check)
}

/// A code is redeemed by several at once.
async fn authorization_code(stage: Rc<Stage>) -> Scene {
    let cast = stage.people();
    let mut visitor = Visitor::new(&stage.any(cast));
    let page = visitor.get(&code_request("web", &[])).await;
    let page = visitor.at(&stage.any(cast)).sign_in(&page, cast.other.username, cast.other.password).await;
    let code = page.landed(CALLBACK)["code"].clone();
    let won: Rc<RefCell<Vec<Value>>> = Rc::default();
    let (refused, lost) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    let actors = (0..1 + stage.chance.below(3))
        .map(|_| {
            let (stage, code, won) = (stage.clone(), code.clone(), won.clone());
            let (refused, lost) = (refused.clone(), lost.clone());
            Box::pin(async move {
                match stage.call(cast, |node| async move { node.redeem("web", &code).await }).await {
                    Some(reply) => match taken(&reply) {
                        Some(body) => won.borrow_mut().push(body),
                        None => refused.set(true),
                    },
                    None => lost.set(true),
                }
            }) as Actor<'static>
        })
        .collect();
    let check = async move {
        let won = won.take();
        assert!(won.len() <= 1, "a code was redeemed twice");
        assert!(won.len() == 1 || lost.get(), "a code was lost by nobody");
        // Once more, and what came of it is dead: somebody else has it (RFC 6749 §4.1.2).
        let again = taken(&stage.any(cast).redeem("web", &code).await);
        assert!(again.is_none() || won.is_empty(), "a code was redeemed twice");
        stage.any(cast).redeem("web", &code).await.expect(400);
        is_dead(&stage, cast, &won, "a code came twice").await;
        is_dead(&stage, cast, again.as_slice(), "a code came twice").await;
    };
    scene(actors, check)
}

/// A client assertion is sent several times at once.
async fn client_assertion(stage: Rc<Stage>) -> Scene {
    let node = stage.any(ACME);
    // Issued before either clock, so that none takes it for one of the future.
    let now = node.world.now() - 10;
    let jwt = stage.key.sign(&json!({
        "iss": "signer", "sub": "signer", "aud": format!("{}/oauth2/token", ACME.base), "iat": now, "exp": now + 300,
        "jti": stage.name(),
    }));
    let send = |node: TestServer, jwt: String| async move {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", jwt.as_str()),
        ];
        node.post_form(TOKEN, &form).await
    };
    let won = Rc::new(Cell::new(0));
    let lost = Rc::new(Cell::new(false));
    let actors = (0..2 + stage.chance.below(3))
        .map(|_| {
            let (stage, jwt, won, lost) = (stage.clone(), jwt.clone(), won.clone(), lost.clone());
            Box::pin(async move {
                match stage.call(ACME, |node| send(node, jwt)).await {
                    Some(reply) => won.set(won.get() + usize::from(taken(&reply).is_some())),
                    None => lost.set(true),
                }
            }) as Actor<'static>
        })
        .collect();
    let check = async move {
        for _ in 0..2 {
            let reply = send(stage.any(ACME), jwt.clone()).await;
            won.set(won.get() + usize::from(taken(&reply).is_some()));
        }
        assert!(won.get() <= 1, "a client assertion was taken {} times", won.get());
        assert!(won.get() == 1 || lost.get(), "a client assertion was lost by nobody");
    };
    scene(actors, check)
}

/// Somebody is switched off while they refresh and sign in.
async fn switched_off(stage: Rc<Stage>) -> Scene {
    let cast = stage.people();
    let node = stage.any(cast);
    let tokens = signed_in(&node).await;
    let (_, assertion) = proved(&node).await;
    let all: Rc<RefCell<Vec<Value>>> = Rc::new(RefCell::new(vec![tokens.clone()]));
    let done = Rc::new(Cell::new(false));
    let path = format!("/scim/v2/Users/{}", cast.other.id);
    let switch = |active: bool| {
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": "replace", "path": "active", "value": active }],
        })
    };
    let mut actors: Vec<Actor<'static>> = Vec::new();
    {
        let (stage, path, done) = (stage.clone(), path.clone(), done.clone());
        let (token, body) = (stage.provisioning.borrow().clone(), switch(false));
        actors.push(Box::pin(async move {
            for _ in 0..stage.chance.below(6) {
                pause().await;
            }
            let patch = |node: TestServer| async move { node.json("PATCH", &path, &token, &body).await };
            done.set(stage.call(cast, patch).await.is_some_and(|reply| taken(&reply).is_some()));
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
        if done.get() {
            // Tokens acknowledged before, during or after: none is good, and none can be had.
            is_dead(&stage, cast, &all.take(), "switched off").await;
            let node = stage.any(cast);
            assert!(taken(&node.refresh(&text(&tokens, "refresh_token")).await).is_none());
            assert!(taken(&node.present(&assertion).await).is_none(), "somebody switched off signs in");
        }
        // For whoever comes after.
        let token = stage.provisioning.borrow().clone();
        assert!(taken(&stage.any(cast).json("PATCH", &path, &token, &switch(true)).await).is_some());
    };
    scene(actors, check)
}

/// A mail is delivered by two nodes at once, of which either may die with it.
async fn delivery(stage: Rc<Stage>) -> Scene {
    let cast = stage.people();
    let node = stage.any(cast);
    let second = node.second_challenge().await;
    let before = delivered(&stage, cast);
    node.start_code(&second.token).await;
    let actors = (0..2)
        .map(|number| {
            let stage = stage.clone();
            Box::pin(async move {
                let work = |node: TestServer| async move {
                    countersign::jobs::worker(&node.app).pass().await.unwrap();
                };
                stage.call_at(number, cast, work).await;
            }) as Actor<'static>
        })
        .collect();
    let mut scene = scene(actors, async {});
    scene.later = Some(Box::pin(async move {
        for number in 0..2 {
            stage.node(number, cast).mail(cast.address).await;
        }
        assert!(delivered(&stage, cast) > before || stage.has_lost_a_node(), "a message was never delivered");
    }));
    scene
}

/// Messages to this person that left through either node.
fn delivered(stage: &Stage, cast: Cast) -> usize {
    let at = |number| {
        let node = stage.node(number, cast);
        node.app.delivery.dev_outbox().unwrap().list(Some(cast.address)).as_array().unwrap().len()
    };
    at(0) + at(1)
}
