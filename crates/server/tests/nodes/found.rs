//! What long runs of the ledger and many schedules found, each as small as it can be told.

use std::future::{Future, poll_fn};
use std::task::Poll;

use countersign::browser::session;
use protocol::records::{Grant, GrantId};
use serde_json::{Value, json};
use store::{Change, Item};

use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::oracle::{CLIENT, SECRET};
use crate::support::visitor::Visitor;
use crate::support::{ACME, Reply, Setup, TestServer, client, decode, on_both};

/// A browser asks for a code while its person signs out: the node that answers has looked the session up before it ended. What comes
/// late is put where the race would put it.
#[test]
fn a_code_that_is_written_after_its_session_ended_is_worth_nothing() {
    on_both(async |store| {
        let server = setup().start_on(store).await;
        let mut visitor = Visitor::new(&server);
        let other = ACME.other;
        let tokens = visitor.tokens("web", other.username, other.password, &[]).await;
        let code = visitor.silently("web", &[]).await.landed(CALLBACK)["code"].clone();
        let kept = server.store.items_of(&server.tenant(), "code", other.id, 10).await.unwrap();
        let late: Vec<Item> = kept.into_iter().filter(|item| item.body.starts_with("{\"good\"")).collect();
        assert_eq!(late.len(), 1, "{late:?}");

        let hint = tokens["id_token"].as_str().unwrap();
        visitor.at(&server.another().await).get(&format!("/end_session?id_token_hint={hint}")).await.expect(200);
        server.redeem("web", &code).await.oauth_error(400, "invalid_grant", "CSIAQ");
        let written = late.into_iter().map(|item| Change::PutItem(Item { version: 0, ..item })).collect();
        server.store.commit(&server.tenant(), "test", written).await.unwrap();
        for _ in 0..2 {
            server.redeem("web", &code).await.oauth_error(400, "invalid_grant", "CSIAQ");
        }
        let quiet: Value = visitor.silently("web", &[]).await.landed(CALLBACK)["error"].clone().into();
        assert_eq!(quiet, "login_required");
    });
}

/// An authnToken for an access token.
async fn exchange(server: &TestServer, authn: &str) -> Reply {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("scope", "urn:opc:idm:__myscopes__ openid"),
        ("assertion", authn),
    ];
    server.ask("POST", "/oauth2/v1/token").basic(CLIENT, SECRET).form(&form).send().await
}

/// Whoever asks has looked the person up, and signs while they are switched off.
#[test]
fn attack_23_what_is_on_its_way_when_somebody_is_switched_off_is_dead_when_they_are_back() {
    on_both(async |store| {
        let entitled = "grant_types = [\"client_credentials\"]\nentitlements = [\"manageUsers\"]";
        let setup = Setup::new().add(&client("provisioning", "provisioning-secret", entitled));
        let server = setup.start_on(store).await;
        let other = ACME.other;
        let path = format!("/scim/v2/Users/{}", other.id);
        let token = server.token_of("provisioning", "provisioning-secret").await;
        let switch = async |active: bool| {
            let body = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{ "op": "replace", "path": "active", "value": active }],
            });
            server.json("PATCH", &path, &token, &body).await.expect(200);
        };
        for turn in 0..30 {
            let first = server.begin_inside().await;
            let proved = server.password(&first.token, other.username, other.password).await.expect(200);
            let assertion = proved["assertion"].as_str().unwrap().to_owned();
            // Until it has waited so often.
            let (mut asking, mut waits) = (Box::pin(server.present(&assertion)), 0);
            let early = poll_fn(|context| match asking.as_mut().poll(context) {
                Poll::Ready(reply) => Poll::Ready(Some(reply)),
                Poll::Pending if waits == turn => Poll::Ready(None),
                Poll::Pending => {
                    waits += 1;
                    Poll::Pending
                }
            });
            let early = early.await;
            let rest = async { if let Some(reply) = early { reply } else { asking.await } };
            let ((), reply) = tokio::join!(switch(false), rest);
            switch(true).await;
            if reply.status == 200 {
                let refresh = reply.json()["refresh_token"].as_str().unwrap().to_owned();
                assert_eq!(server.refresh(&refresh).await.status, 400, "turn {turn}");
            }
        }
    });
}

/// Whoever asks has looked the session up, and signs while it ends.
#[test]
fn an_exchange_that_is_on_its_way_when_its_session_ends_leaves_nothing_alive() {
    on_both(async |store| {
        let server = Setup::new().start_on(store).await;
        let tenant = server.tenant();
        for turn in 0..6 {
            let authn = server.page().await.password(None, "admin@oracle.com", "Welc0me@1").await.token().to_owned();
            let sid = decode(&authn).1["sid"].as_str().unwrap().to_owned();
            let session = session::by_id(&server.app, &tenant, &sid).await.unwrap().unwrap();
            let exchange = exchange(&server, &authn);
            let end = server.app.commit(&tenant, "test", session::end(&session).into());
            let (exchanged, ended) = tokio::join!(exchange, end);
            ended.unwrap();
            eprintln!("turn {turn} {} early", exchanged.status);
            if exchanged.status == 200 {
                let token = exchanged.json()["access_token"].as_str().unwrap().to_owned();
                assert_eq!(server.get("/oauth2/v1/userinfo", &token).await.status, 401, "turn {turn}");
            }
        }
    });
}

/// Somebody who has used an application for years takes back what they allowed it.
#[test]
fn a_consent_taken_back_ends_every_grant_however_many_there_were() {
    on_both(async |store| {
        let server = setup().start_on(store).await;
        server.change_client("asks", |client| client.entitlements = ["manageSelf".to_owned()].into()).await;
        let mut visitor = Visitor::new(&server);
        let page = visitor.get(&code_request("asks", &[])).await;
        let page = visitor.sign_in(&page, ACME.other.username, ACME.other.password).await;
        let code = visitor.submit(&page, &[("do", "allow")]).await.landed(CALLBACK)["code"].clone();
        let first = server.redeem("asks", &code).await.expect(200);
        let id = GrantId::from(first["grant_id"].as_str().unwrap());
        let kept = server.store.grant(&server.tenant(), &id).await.unwrap().unwrap();
        for part in 0..5 {
            let grant = |number| Grant {
                id: format!("00000000-0000-4000-8000-{:012}", part * 250 + number).as_str().into(),
                active: false,
                version: 1,
                ..kept.clone()
            };
            let grants = (0..250).map(|number| Change::AddGrant(grant(number))).collect();
            server.store.commit(&server.tenant(), "test", grants).await.unwrap();
        }
        server.world.advance(60);
        let code = visitor.silently("asks", &[]).await.landed(CALLBACK)["code"].clone();
        let newest = server.redeem("asks", &code).await.expect(200);
        let token = newest["access_token"].as_str().unwrap();
        let consents = server.get("/v1.0/consents", token).await.expect(200);
        let path = format!("/{}", consents["consents"][0]["id"].as_str().unwrap());
        let gone = server.json("PATCH", "/v1.0/consents", token, &json!([{ "op": "remove", "path": path }])).await;
        assert_eq!(gone.status, 204, "{}", gone.text());
        for tokens in [&first, &newest] {
            let token = tokens["access_token"].as_str().unwrap();
            assert_eq!(server.get("/oauth2/userinfo", token).await.status, 401, "a token outlives the consent");
        }
    });
}

/// A client hears nothing and asks again while the first request is still at work.
#[test]
fn a_factor_removed_by_several_at_once_is_gone_for_all_of_them() {
    on_both(async |store| {
        let server = setup().start_on(store).await;
        let token = server.token_of("administration", "administration-demo-secret").await;
        for _ in 0..5 {
            let body = json!({ "userId": ACME.other.id, "accountName": "pat", "enabled": true });
            let made = server.json("POST", "/v2.0/factors/totp", &token, &body).await;
            let id = if made.status == 201 { made.json() } else { break };
            let path = format!("/v2.0/factors/totp/{}", id["id"].as_str().unwrap());
            let another = server.another().await;
            let remove =
                async |node: &TestServer| node.json("DELETE", &path, &token, &Value::Null).await.status.as_u16();
            let all = tokio::join!(remove(&server), remove(&another), remove(&server), remove(&another));
            let mut all = [all.0, all.1, all.2, all.3];
            all.sort_unstable();
            assert_eq!(all, [204, 404, 404, 404]);
        }
    });
}
