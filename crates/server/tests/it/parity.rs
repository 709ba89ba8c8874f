//! One script at every door: what the engine makes of it is the same, whatever words it was said in.

use countersign::doors::idcs::authenticate::state::State;
use protocol::records::GrantId;
use serde_json::{Value, json};

use crate::support::hosted::{CALLBACK, code_request};
use crate::support::oracle::Step;
use crate::support::oracle::world::{self, ID, NAME, PASSWORD, TOTP, passcode};
use crate::support::visitor::Visitor;
use crate::support::{ACME, Challenge, Setup, TOKEN, TestServer, client, context, policy, rule};

const APP: &str = "parity";
const SECRET: &str = "parity-secret";

fn setup() -> Setup {
    let grants = "[\"policyauth\", \"authorization_code\", \"urn:ietf:params:oauth:grant-type:jwt-bearer\"]";
    let more = format!(
        "name = \"Parity\"\ngrant_types = {grants}\nredirect_uris = [{CALLBACK:?}]\nconsent = \"never_prompt\"\n\
         policy = 610030\npolicy_grants = {{ policyauth = true }}"
    );
    world::setup().add(&client(APP, SECRET, &more)).add(&policy(
        610_030,
        &[
            rule("First", true, "[]", "ACTION_MFA_ALWAYS", "[\"password\"]"),
            rule("After", false, "[]", "ACTION_MFA_ALWAYS", "[\"totp\"]"),
        ],
    ))
}

/// What the engine says of a sign-in: everything but names and moments of its own.
async fn transcript(server: &TestServer, grant: &str) -> Value {
    let row = server.store.sign_in(&server.tenant(), &GrantId::from(grant)).await.unwrap().unwrap();
    let mut body: Value = serde_json::from_str(&row.body).unwrap();
    let state = body["state"].as_object_mut().unwrap();
    state.remove("expires");
    let mut found = json!({ "state": state, "decisions": body["decisions"] });
    forget(&mut found);
    found
}

/// Takes out what differs by itself: receipts, identifiers of challenges, times.
fn forget(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for name in ["receipt", "at", "challenge"] {
                if let Some(member) = members.get_mut(name) {
                    *member = json!("-");
                }
            }
            members.values_mut().for_each(forget);
        }
        Value::Array(all) => all.iter_mut().for_each(forget),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The sign-in a requestState names.
fn grant_of(server: &TestServer, step: &Step) -> String {
    let view = server.app.directories.current().tenant(&server.tenant()).unwrap().clone();
    let state = State::open(&server.app, &view, step.state()).unwrap();
    state.stage.grant().unwrap().0.clone()
}

/// Once the password was right, after a wrong code, and at the end.
type Transcripts = Vec<Value>;

async fn by_policyauth(server: &TestServer) -> Transcripts {
    let context = context("198.51.100.77");
    let form = |more: &[(&'static str, &str)]| {
        let mut all = vec![("client_id", APP), ("client_secret", SECRET), ("scope", "openid")];
        all.push(("context", context.as_str()));
        all.into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .chain(more.iter().map(|(name, value)| (*name, (*value).to_owned())))
            .collect::<Vec<_>>()
    };
    let first = Challenge::of(&server.post_form(TOKEN, &form(&[("grant_type", "policyauth")])).await);
    let proved = server.password(&first.token, NAME, PASSWORD).await.expect(200);
    let bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let assertion = proved["assertion"].as_str().unwrap();
    let second =
        Challenge::of(&server.post_form(TOKEN, &form(&[("grant_type", bearer), ("assertion", assertion)])).await);
    let mut seen = vec![transcript(server, &second.grant).await];
    let path = format!("/v2.0/factors/totp/{TOTP}?returnJwt=true");
    server.json("POST", &path, &second.token, &json!({ "otp": "000000" })).await.factor_error(400, "CSIBN0021E");
    seen.push(transcript(server, &second.grant).await);
    let right = json!({ "otp": passcode(server) });
    let proved = server.json("POST", &path, &second.token, &right).await.expect(200);
    let assertion = proved["assertion"].as_str().unwrap();
    server.post_form(TOKEN, &form(&[("grant_type", bearer), ("assertion", assertion)])).await.expect(200);
    seen.push(transcript(server, &second.grant).await);
    seen
}

async fn by_oracle(server: &TestServer) -> Transcripts {
    let page = server.page().await;
    let asked = page.password(Some("Parity"), NAME, PASSWORD).await;
    let grant = grant_of(server, &asked);
    let mut seen = vec![transcript(server, &grant).await];
    page.credentials(&asked, None, json!({ "otpCode": "000000" })).await.expect(401, "failed", Some("AUTH-1105"));
    seen.push(transcript(server, &grant).await);
    page.credentials(&asked, None, json!({ "otpCode": passcode(server) })).await.token();
    seen.push(transcript(server, &grant).await);
    seen
}

/// The pages give the name of the sign-in away only at the end.
async fn by_pages(server: &TestServer) -> Transcripts {
    let mut visitor = Visitor::new(server);
    let page = visitor.get(&code_request(APP, &[])).await;
    let page = visitor.sign_in(&page, NAME, PASSWORD).await;
    let page = visitor.submit(&page, &[("code", "000000")]).await;
    assert_eq!(page.problem().as_deref(), Some("wrong_code"), "{}", page.text());
    let back = visitor.submit(&page, &[("code", &passcode(server))]).await;
    let landed = back.landed(CALLBACK);
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", APP),
        ("client_secret", SECRET),
        ("code", &landed["code"]),
        ("redirect_uri", CALLBACK),
    ];
    let tokens = server.post_form("/token", &form).await.expect(200);
    vec![transcript(server, tokens["grant_id"].as_str().unwrap()).await]
}

#[tokio::test]
async fn a_script_leaves_the_same_transcript_at_every_door() {
    let server = setup().start().await;
    let mut all = Vec::new();
    for door in 0..3 {
        // The same code is good once, and all that is counted has been forgotten.
        server.world.advance(600);
        all.push(match door {
            0 => by_policyauth(&server).await,
            1 => by_oracle(&server).await,
            _ => by_pages(&server).await,
        });
    }
    let [policyauth, oracle, pages] = all.try_into().unwrap();
    assert_eq!(policyauth, oracle);
    assert_eq!(policyauth.last(), pages.last());
    // And it says something: who, two proofs, one failure, what policy said at first, after the password and after the code.
    let last = policyauth.last().unwrap();
    assert_eq!((&last["state"]["subject"], &last["state"]["failures"]), (&json!(ID), &json!(1)));
    assert_eq!(last["state"]["proofs"].as_array().unwrap().len(), 2);
    assert_eq!(last["decisions"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn attack_35_wrong_answers_count_together_at_every_door() {
    let server = setup().start().await;
    let limit = server.app.directories.current().tenant(&server.tenant()).unwrap().tenant.settings.lock_after;
    let page = server.page().await;
    for nth in 0..limit {
        match nth % 3 {
            0 => drop(page.password(Some("Parity"), NAME, "wrong").await.expect(401, "failed", Some("AUTH-3001"))),
            1 => {
                let mut visitor = Visitor::new(&server);
                let at = visitor.get(&code_request(APP, &[])).await;
                let told = visitor.sign_in(&at, NAME, "wrong").await;
                assert_eq!(told.problem().as_deref(), Some("wrong_credentials"), "{}", told.text());
            }
            _ => {
                let first = server.begin_inside().await;
                server.password(&first.token, NAME, "wrong").await.factor_error(400, "CSIBH0044E");
            }
        }
    }
    page.password(Some("Parity"), NAME, PASSWORD).await.expect(401, "failed", Some("AUTH-3002"));
    let first = server.begin_inside().await;
    server.password(&first.token, NAME, PASSWORD).await.factor_error(400, "CSIBH0044E");
    assert_eq!(server.cast.admin.id, ACME.admin.id);
}
