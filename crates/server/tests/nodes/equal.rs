//! Nodes are equal: any request may land on any of them, in the middle of anything, and they soon know the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign::keys::{self, Overlap};
use countersign::world::{Stopwatch, World};
use protocol::records::SigningAlg;
use serde_json::{Value, json};
use store::{DirectoryChange, Store, StoreConfig};
use tokio::task::JoinSet;

use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::visitor::Visitor;
use crate::support::{ACME, Challenge, Database, START, Setup, TOKEN, TestServer, client};

/// Two nodes, each with connections of its own where the database has any; and the database behind them.
struct Pair {
    a: TestServer,
    b: TestServer,
}

/// Runs it on SQLite, where two nodes share the store of one process, and on PostgreSQL, where they share nothing else; there
/// also with every transaction serializable, as distributing databases have them.
fn on_pairs<R: Future<Output = ()>>(setup: impl Fn() -> Setup, test: impl Fn(Pair) -> R) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let sqlite = Database::sqlite();
        let store = sqlite.open().await;
        test(pair(setup(), store.clone(), store.clone()).await).await;
        store.close().await;
        for options in ["application_name=nodes", "options=-c%20default_transaction_isolation%3Dserializable"] {
            let Some(database) = Database::postgres().await else { continue };
            let open = async || {
                let url = database.url().unwrap();
                let url = url.trim_end_matches('?');
                let joint = if url.contains('?') { '&' } else { '?' };
                let url = format!("{url}{joint}{options}");
                let config = StoreConfig::Postgres { url, pool: 6, tls_ca: None };
                Store::open(&config).await.unwrap()
            };
            let (one, other) = (open().await, open().await);
            test(pair(setup(), one.clone(), other.clone()).await).await;
            one.close().await;
            other.close().await;
            database.remove().await;
        }
    });
}

async fn pair(setup: Setup, one: Store, other: Store) -> Pair {
    let a = setup.start_on(one).await;
    let b = TestServer::open(other, a.world.clone(), false).await;
    Pair { a, b }
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {body}")).to_owned()
}

#[test]
fn every_step_of_a_sign_in_lands_on_the_other_node() {
    on_pairs(Setup::new, |Pair { a, b }| async move {
        let first = a.begin_inside().await;
        let admin = a.cast.admin;
        let proved = b.password(&first.token, admin.username, admin.password).await.expect(200);
        let second = Challenge::of(&a.present(&text(&proved, "assertion")).await);
        let verification = text(&b.start_code(&second.token).await, "id");
        let code = a.code(ACME.address).await;
        let proved = a.answer_code(&second.token, &verification, &code).await.expect(200);
        let tokens = b.present(&text(&proved, "assertion")).await.expect(200);
        let next = a.refresh(&text(&tokens, "refresh_token")).await.expect(200);
        // Its answer was lost; the other node gives the same.
        let again = b.refresh(&text(&tokens, "refresh_token")).await.expect(200);
        assert_eq!(next["refresh_token"], again["refresh_token"]);
        assert_eq!(b.introspect(&text(&next, "access_token")).await["active"], true);
        a.token_at("/oauth2/revoke", &[("token", &text(&next, "refresh_token"))]).await.expect_empty(200);
        for token in ["access_token", "refresh_token"] {
            assert_eq!(b.introspect(&text(&next, token)).await["active"], false);
        }
        b.refresh(&text(&next, "refresh_token")).await.expect(400);
    });
}

#[test]
fn every_step_in_a_browser_lands_on_the_other_node() {
    on_pairs(setup, |Pair { a, b }| async move {
        let mut visitor = Visitor::new(&a);
        let page = visitor.get(&code_request("asks", &[("scope", "openid email")])).await;
        let mut visitor = visitor.at(&b);
        let page = visitor.sign_in(&page, "scott", "hunter22").await;
        let mut visitor = visitor.at(&a);
        let landed = visitor.submit(&page, &[("do", "allow")]).await.landed(CALLBACK);
        let tokens = b.redeem("asks", &landed["code"]).await.expect(200);
        let mut visitor = visitor.at(&b);
        let quiet = visitor.silently("asks", &[("scope", "openid email")]).await.landed(CALLBACK);
        // The code once more, elsewhere: what came of it is dead at both.
        a.redeem("asks", &landed["code"]).await.expect(400);
        for node in [&a, &b] {
            assert_eq!(node.introspect(&text(&tokens, "access_token")).await["active"], false);
        }
        a.redeem("asks", &quiet["code"]).await.expect(200);
    });
}

#[test]
fn wrong_answers_and_messages_are_counted_together() {
    on_pairs(Setup::new, |Pair { a, b }| async move {
        let other = a.cast.other;
        for number in 0..5 {
            let node = [&a, &b][number % 2];
            let challenge = node.begin_inside().await;
            assert!(node.password(&challenge.token, other.username, "wrong").await.status.is_client_error());
        }
        for node in [&a, &b] {
            let challenge = node.begin_inside().await;
            let right = node.password(&challenge.token, other.username, other.password).await;
            assert!(right.status.is_client_error(), "five wrong ones were tried: {}", right.text());
        }
        a.world.advance(61);
        let challenge = b.begin_inside().await;
        b.password(&challenge.token, other.username, other.password).await.expect(200);

        // Ten messages an hour to one person, whichever node sends them.
        let second = a.second_challenge().await;
        let mut sent = 0;
        for number in 0..12 {
            let path = format!("/v2.0/factors/emailotp/{}/verifications", ACME.email);
            sent +=
                usize::from([&a, &b][number % 2].json("POST", &path, &second.token, &json!({})).await.status == 201);
        }
        assert_eq!(sent, 10);
    });
}

#[test]
fn a_change_of_the_configuration_reaches_the_other_node_within_a_second() {
    on_pairs(Setup::new, |Pair { a, b }| async move {
        let jobs = countersign::jobs::start(&b.app);
        let form = [("client_id", ACME.client), ("client_secret", ACME.secret), ("grant_type", "client_credentials")];
        for enabled in [false, true, false] {
            a.change_client(ACME.client, |client| client.enabled = enabled).await;
            let begun = Stopwatch::start();
            // A disabled client is no client; an enabled one is told what it may not.
            while (b.post_form(TOKEN, &form).await.status == 401) == enabled {
                assert!(begun.elapsed() < Duration::from_secs(1), "the other node does not know it yet");
                tokio::task::yield_now().await;
            }
        }
        drop(jobs);
    });
}

/// What must not wait for a second does not: it is read where it is used.
#[test]
fn what_is_revoked_spent_or_switched_off_is_known_at_once() {
    let more = "grant_types = [\"client_credentials\"]\nentitlements = [\"manageUsers\", \"manageAllUserGroups\"]";
    on_pairs(
        || Setup::new().add(&client("provisioning", "provisioning-secret", more)),
        |Pair { a, b }| async move {
            let token = a.token_of("provisioning", "provisioning-secret").await;
            let tokens = b.sign_in_other().await;
            let first = b.begin_inside().await;
            let body = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{ "op": "replace", "path": "active", "value": false }],
            });
            a.json("PATCH", &format!("/scim/v2/Users/{}", ACME.other.id), &token, &body).await;
            assert_eq!(b.introspect(&text(&tokens, "access_token")).await["active"], false);
            b.refresh(&text(&tokens, "refresh_token")).await.expect(400);
            let other = ACME.other;
            assert!(b.password(&first.token, other.username, other.password).await.status.is_client_error());
            a.token_at("/oauth2/revoke", &[("token", &first.token)]).await;
        },
    );
}

#[test]
fn keys_are_rotated_under_load_without_a_failed_request() {
    let more = "grant_types = [\"client_credentials\"]\naccess_token_format = \"jwt\"\naccess_token_alg = \"ES256\"";
    on_pairs(
        || Setup::new().add(&client("minter", "minter-secret", more)),
        |Pair { a, b }| async move {
            let jobs = [countersign::jobs::start(&a.app), countersign::jobs::start(&b.app)];
            let stop = Arc::new(AtomicBool::new(false));
            let mut load = JoinSet::new();
            for (own, other) in [(a.clone(), b.clone()), (b.clone(), a.clone())] {
                let stop = Arc::clone(&stop);
                load.spawn(async move {
                    let (mut kids, mut done) = (std::collections::BTreeSet::new(), 0);
                    while !stop.load(Ordering::Relaxed) {
                        let token = own.token_of("minter", "minter-secret").await;
                        let own_secret = [("client_id", "minter"), ("client_secret", "minter-secret")];
                        let asked = [own_secret[0], own_secret[1], ("token", token.as_str())];
                        let known = other.post_form("/oauth2/introspect", &asked).await.expect(200);
                        assert_eq!(known["active"], true, "the other node does not know the key");
                        let (header, _) = crate::support::decode(&token);
                        let listed = other.ask("GET", "/jwks").send().await.expect(200);
                        let listed = listed["keys"].as_array().unwrap().iter().any(|key| key["kid"] == header["kid"]);
                        assert!(listed, "a key signs that is not published elsewhere");
                        kids.insert(text(&header, "kid"));
                        done += 1;
                    }
                    (kids, done)
                });
            }
            let overlap = Overlap { ahead: 60, tail: 7200 };
            for _ in 0..3 {
                let tenant = a.tenant();
                let rows = a.store.load_directory().await.unwrap();
                let records = rows.tenants.iter().find(|rows| rows.tenant.id == tenant).unwrap().keys.clone();
                let now = a.world.now();
                let plan = keys::rotate(&records, &a.app.master, &tenant, SigningAlg::Es256, now, overlap).unwrap();
                let changes = plan.put.into_iter().map(DirectoryChange::PutKey).collect();
                a.store.change_directory(&tenant, changes).await.unwrap();
                let version = a.store.directory_version().await.unwrap();
                let begun = Stopwatch::start();
                while [&a, &b].iter().any(|node| node.app.directories.current().version < version) {
                    assert!(begun.elapsed() < Duration::from_secs(5), "a node does not follow");
                    tokio::task::yield_now().await;
                }
                // Time passes, and the new key takes over.
                a.world.advance(61);
            }
            let begun = Stopwatch::start();
            let last = a.token_of("minter", "minter-secret").await;
            assert!(begun.elapsed() < Duration::from_secs(5));
            stop.store(true, Ordering::Relaxed);
            let mut kids = std::collections::BTreeSet::new();
            for (seen, done) in load.join_all().await {
                assert!(done > 0);
                kids.extend(seen);
            }
            kids.insert(text(&crate::support::decode(&last).0, "kid"));
            assert!(kids.len() >= 2, "keys came and went: {kids:?}");
            drop(jobs);
        },
    );
}

/// A node of the version before goes on while one of the next brings its columns: statements name what they want.
#[test]
fn an_older_node_serves_while_a_newer_one_adds_columns() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let Some(database) = Database::postgres().await else { return };
        let server = Setup::new().start_on(database.open().await).await;
        let stop = Arc::new(AtomicBool::new(false));
        let load = {
            let (server, stop) = (server.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut done = 0;
                while !stop.load(Ordering::Relaxed) {
                    let tokens = server.sign_in_other().await;
                    let next = server.refresh(&text(&tokens, "refresh_token")).await.expect(200);
                    assert_eq!(server.introspect(&text(&next, "access_token")).await["active"], true);
                    done += 1;
                }
                done
            })
        };
        let (client, connection) =
            tokio_postgres::connect(&database.url().unwrap(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
        let tables: Vec<String> = client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        assert!(tables.len() > 15, "{tables:?}");
        for table in &tables {
            client
                .batch_execute(&format!("ALTER TABLE {table} ADD COLUMN of_a_later_version BIGINT NOT NULL DEFAULT 0"))
                .await
                .unwrap();
        }
        server.sign_in_other().await;
        stop.store(true, Ordering::Relaxed);
        assert!(load.await.unwrap() > 0);
        server.store.close().await;
        database.remove().await;
    });
}

/// Clocks of nodes differ by seconds however well they are kept.
#[test]
fn nodes_whose_clocks_differ_understand_each_other() {
    on_pairs(Setup::new, |Pair { a, b }| async move {
        for skew in [-20, 20] {
            let other = TestServer::open(b.store.clone(), World::fake(a.world.now() + skew), false).await;
            let first = a.begin_inside().await;
            let person = a.cast.other;
            let proved = other.password(&first.token, person.username, person.password).await.expect(200);
            let tokens = a.present(&text(&proved, "assertion")).await.expect(200);
            let next = other.refresh(&text(&tokens, "refresh_token")).await.expect(200);
            assert_eq!(a.introspect(&text(&next, "access_token")).await["active"], true, "skew {skew}");
            a.refresh(&text(&next, "refresh_token")).await.expect(200);
        }
        assert!(a.world.now() >= START);
    });
}
