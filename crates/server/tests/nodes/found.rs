//! What long runs of the ledger and many schedules found, each as small as it can be told.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use countersign::browser::session;
use protocol::records::{Client, Grant, GrantId};
use serde_json::{Value, json};
use store::{Change, DirectoryChange, Item};

use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::oracle::{CLIENT, SECRET};
use crate::support::visitor::Visitor;
use crate::support::{ACME, Cast, Reply, Setup, TestServer, client, decode, on_both};

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

/// What is asked, until it has waited so often.
async fn until_it_waited<T>(waits: usize, asked: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    let mut waited = 0;
    let early = poll_fn(|context| match Pin::new(&mut *asked).poll(context) {
        Poll::Ready(reply) => Poll::Ready(Some(reply)),
        Poll::Pending if waited == waits => Poll::Ready(None),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    });
    early.await
}

/// What is asked, with something else happening once it has waited so often.
async fn amid<T>(waits: usize, asked: impl Future<Output = T>, other: impl Future<Output = ()>) -> T {
    let mut asked = Box::pin(asked);
    let early = until_it_waited(waits, &mut asked).await;
    let rest = async { if let Some(reply) = early { reply } else { asked.await } };
    tokio::join!(other, rest).1
}

/// The same, with the other over before what is asked goes on. Only where nobody holds anything while it waits: not on PostgreSQL.
async fn around<T>(waits: usize, asked: impl Future<Output = T>, other: impl Future<Output = ()>) -> T {
    let mut asked = Box::pin(asked);
    let early = until_it_waited(waits, &mut asked).await;
    other.await;
    if let Some(reply) = early { reply } else { asked.await }
}

/// Whoever asks has looked the person up, and signs while they are switched off.
#[test]
fn attack_23_what_is_on_its_way_when_somebody_is_switched_off_is_dead_when_they_are_back() {
    on_both(async |store| {
        let entitled =
            "grant_types = [\"client_credentials\"]\nentitlements = [\"manageUsers\", \"manageAllUserGroups\"]";
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
            let reply = amid(turn, server.present(&assertion), switch(false)).await;
            switch(true).await;
            if reply.status == 200 {
                let refresh = reply.json()["refresh_token"].as_str().unwrap().to_owned();
                assert_eq!(server.refresh(&refresh).await.status, 400, "turn {turn}");
            }
        }
    });
}

/// Judging a password takes a while, and meanwhile another is set because somebody has it who should not.
#[tokio::test]
async fn attack_23_a_password_judged_while_it_is_reset_proves_nothing() {
    let server = with_a_helpdesk().start().await;
    let (other, desk) = (ACME.other, server.token_of("helpdesk", "helpdesk-secret").await);
    let path = format!("/v1.0/authnmethods/password/{}/reset", ACME.source);
    let mut password = other.password.to_owned();
    for turn in 0..16 {
        let first = server.begin_inside().await;
        let next = format!("correct-horse-{turn}-again");
        let reset = async {
            // What was proved before is older than the reset.
            server.world.advance(1);
            let body = json!({ "username": other.username, "newPassword": next });
            server.json("POST", &path, &desk, &body).await.expect(200);
        };
        let proved = around(turn, server.password(&first.token, other.username, &password), reset).await;
        if proved.status == 200 {
            let reply = server.present(proved.json()["assertion"].as_str().unwrap()).await;
            assert_eq!(reply.status, 400, "turn {turn}: the old password signed somebody in");
        }
        password = next;
    }
}

/// A new password takes a while to be hashed, and meanwhile its owner is switched off.
#[test]
fn attack_23_a_reset_does_not_switch_on_who_was_switched_off_meanwhile() {
    on_both(async |store| {
        let server = with_a_helpdesk().start_on(store).await;
        let (other, desk) = (ACME.other, server.token_of("helpdesk", "helpdesk-secret").await);
        let path = format!("/v1.0/authnmethods/password/{}/reset", ACME.source);
        let user = format!("/scim/v2/Users/{}", other.id);
        let switch = async |active: bool| {
            let body = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{ "op": "replace", "path": "active", "value": active }],
            });
            server.json("PATCH", &user, &desk, &body).await.expect(200);
        };
        for turn in 0..12 {
            let body = json!({ "username": other.username, "newPassword": format!("correct-horse-{turn}-again") });
            let reply = amid(turn, server.json("POST", &path, &desk, &body), switch(false)).await;
            reply.expect(200);
            assert_eq!(server.get(&user, &desk).await.expect(200)["active"], false, "turn {turn}");
            switch(true).await;
        }
    });
}

fn with_a_helpdesk() -> Setup {
    let more = "grant_types = [\"client_credentials\"]\nentitlements = [\"resetPasswordAnyUser\", \"manageUsers\"]";
    Setup::new().add(&client("helpdesk", "helpdesk-secret", more))
}

/// A code is redeemed, which takes a signature, while the person takes back what they allowed.
#[test]
fn a_consent_taken_back_while_a_code_is_redeemed_leaves_nothing_alive() {
    on_both(async |store| {
        let server = setup().start_on(store).await;
        server.change_client("asks", |client| client.entitlements = ["manageSelf".to_owned()].into()).await;
        for turn in 0..8 {
            let mut visitor = Visitor::new(&server);
            let page = visitor.get(&code_request("asks", &[])).await;
            let page = visitor.sign_in(&page, ACME.other.username, ACME.other.password).await;
            let code = visitor.submit(&page, &[("do", "allow")]).await.landed(CALLBACK)["code"].clone();
            let first = server.redeem("asks", &code).await.expect(200);
            let code = visitor.silently("asks", &[]).await.landed(CALLBACK)["code"].clone();
            let token = first["access_token"].as_str().unwrap();
            let consents = server.get("/v1.0/consents", token).await.expect(200);
            let path = format!("/{}", consents["consents"][0]["id"].as_str().unwrap());
            let taken_back = async {
                let gone =
                    server.json("PATCH", "/v1.0/consents", token, &json!([{ "op": "remove", "path": path }])).await;
                assert_eq!(gone.status, 204, "{}", gone.text());
            };
            let reply = amid(turn, server.redeem("asks", &code), taken_back).await;
            if reply.status == 200 {
                let token = reply.json()["access_token"].as_str().unwrap().to_owned();
                assert_eq!(server.get("/oauth2/userinfo", &token).await.status, 401, "turn {turn}");
            }
        }
    });
}

/// A client changes its registration, which takes what it takes, while an administrator switches it off.
#[test]
fn attack_17_a_registration_changed_meanwhile_does_not_switch_a_client_on_again() {
    on_both(async |store| {
        // Strangers may register at the demo tenant.
        let server = Setup::new().start_on(store).await;
        for turn in 0..6 {
            let callbacks = |number| json!({ "redirect_uris": [format!("https://rp.example.test/{number}")] });
            let made = server.ask("POST", "/register").body("application/json", callbacks(0).to_string()).send().await;
            let made = made.expect(201);
            let id = made["client_id"].as_str().unwrap();
            let (path, token) = (format!("/register/{id}"), made["registration_access_token"].as_str().unwrap());
            let mut wanted = callbacks(1);
            wanted["client_id"] = id.into();
            let off = async {
                let client = Client::clone(
                    server.app.directories.current().tenant(&server.tenant()).unwrap().client(id).unwrap(),
                );
                let change = DirectoryChange::PutClient(Box::new(Client { enabled: false, ..client }));
                server.store.change_directory(&server.tenant(), vec![change]).await.unwrap();
            };
            amid(turn, server.json("PUT", &path, token, &wanted), off).await;
            let now = server.app.directories.latest().await.unwrap();
            assert!(!now.tenant(&server.tenant()).unwrap().client(id).unwrap().enabled, "turn {turn}");
        }
    });
}

/// Two administrators change settings at the same moment, each at another node.
#[test]
fn of_two_changes_of_the_configuration_at_once_none_is_lost() {
    on_both(async |store| {
        let setup = Setup::new().replace(
            "policy = 420017\npolicy_grants = { policyauth = true }",
            "policy = 420017\npolicy_grants = { policyauth = true }\nentitlements = [\"manageMFAMethods\"]",
        );
        let server = setup.start_on(store).await;
        let another = server.another().await;
        let token = server.token_of("administration", "administration-demo-secret").await;
        let set = async |node: &TestServer, kind: &str, body: &Value| {
            node.json("PUT", &format!("/config/v2.0/factors/{kind}"), &token, body).await.expect(200);
        };
        for turn in 0..6_i64 {
            let (length, digits) = (6 + turn, 6 + turn % 3);
            let (length, digits) = (json!({ "length": length }), json!({ "digits": digits }));
            tokio::join!(
                set(&server, "emailotp", &length),
                set(&another, "totp", &digits),
                set(&another, "smsotp", &length)
            );
            for (kind, body, name) in
                [("emailotp", &length, "length"), ("totp", &digits, "digits"), ("smsotp", &length, "length")]
            {
                let now = server.another().await.get(&format!("/config/v2.0/factors/{kind}"), &token).await.expect(200);
                assert_eq!(now[name], body[name], "{kind}, turn {turn}");
            }
        }
    });
}

/// A client whose refresh token stays good has several threads, which all find their access token run out.
#[test]
fn refreshes_at_once_of_a_client_without_rotation_all_succeed() {
    on_both(async |store| {
        let more = "grant_types = [\"policyauth\", \"refresh_token\"]\npolicy = 420017\n\
                    policy_grants = { policyauth = true }\nrenew_refresh_token = false";
        let mut server = Setup::new().add(&client("steady", "s", more)).start_on(store).await;
        server.cast = Cast { client: "steady", secret: "s", ..ACME };
        let first = server.sign_in_other().await;
        let refresh = first["refresh_token"].as_str().unwrap();
        for _ in 0..3 {
            let one = || server.refresh(refresh);
            let all = tokio::join!(one(), one(), one(), one(), one(), one(), one(), one());
            for reply in [all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7] {
                let made = reply.expect(200);
                assert_eq!(made["refresh_token"], refresh);
                assert_eq!(server.introspect(made["access_token"].as_str().unwrap()).await["active"], true);
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
