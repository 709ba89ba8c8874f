//! How long the audit trail is kept: old entries go, what is left is verified as before, and nothing else can go unnoticed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::audit::keep::{HELD_DAYS, remove};
use countersign::audit::seal::{self, Broken, Found};
use countersign::audit::tell::Teller;
use countersign::keys::MasterKey;
use serde_json::json;
use store::{AuditAnchor, AuditEntry, AuditSeal, Change, Store};

use crate::support::sink::{Sink, allowed};
use crate::support::{Database, Setup, TestServer, on_both};

const DAY: i64 = 86_400;

/// A seal over as many entries.
async fn sealed(server: &TestServer, name: &str, entries: usize) {
    let at = server.world.now();
    let entry = |number| AuditEntry {
        id: format!("{name}-{number:04}"),
        at,
        body: json!({ "event": "user.added", "user": name }).to_string(),
    };
    let changes = (0..entries).map(|number| Change::Audit(entry(number))).collect();
    server.store.commit(&server.tenant(), "test", changes).await.unwrap();
    while seal::set(&server.store, &server.app.master, &server.tenant(), at).await.unwrap() > 0 {}
}

/// A server with one seal a day for ten days; what the tenant file made is under the first.
async fn ten_days(setup: Setup, store: Store) -> TestServer {
    let server = setup.start_on(store).await;
    for day in 0..10 {
        sealed(&server, &format!("day-{day}"), 3).await;
        server.world.advance(DAY);
    }
    server
}

async fn numbers(server: &TestServer) -> Vec<i64> {
    let seals = server.store.audit_seals(&server.tenant(), 0, 100).await.unwrap();
    seals.into_iter().map(|seal| seal.number).collect()
}

async fn remove_all(server: &TestServer, days: u32) -> i64 {
    let mut gone = 0;
    loop {
        let (store, master) = (&server.store, &server.app.master);
        match remove(store, master, &server.tenant(), days, server.world.now()).await.unwrap().unwrap() {
            0 => return gone,
            more => gone += more,
        }
    }
}

async fn verified(server: &TestServer) -> Result<Found, Broken> {
    seal::verify(&server.store, &server.app.master, &server.tenant()).await.unwrap()
}

#[test]
fn what_is_too_old_goes_and_the_rest_holds() {
    on_both(|store| async move {
        let server = ten_days(Setup::new(), store.clone()).await;
        let before = verified(&server).await.unwrap();
        assert_eq!((before.seals, before.removed), (10, 0));
        // Not yet ten days old, not sealed, or the newest: it stays.
        assert_eq!(remove_all(&server, 10).await, 0);
        let waiting = AuditEntry { id: "old but not sealed".to_owned(), at: 0, body: "{}".to_owned() };
        store.commit(&server.tenant(), "test", vec![Change::Audit(waiting)]).await.unwrap();

        let gone = remove_all(&server, 4).await;
        assert_eq!(numbers(&server).await, [7, 8, 9, 10], "what is from before four days ago");
        let after = verified(&server).await.unwrap();
        assert_eq!((after.seals, after.sealed, after.waiting, after.removed), (4, 12, 1, gone));
        assert_eq!(before.sealed, after.sealed + after.removed);
        // Again, behind what is gone already, in another process.
        let another = server.another().await;
        another.world.advance(DAY);
        assert_eq!(remove_all(&another, 4).await, 3);
        sealed(&another, "more", 5).await;
        let after = verified(&server).await.unwrap();
        assert_eq!((after.seals, after.sealed, after.waiting, after.removed), (4, 9 + 6, 0, gone + 3));
        // The newest stays however old it is.
        another.world.advance(1000 * DAY);
        remove_all(&another, 1).await;
        assert_eq!(numbers(&server).await.len(), 1);
        sealed(&another, "a new beginning", 1).await;
        assert_eq!(verified(&another).await.unwrap().seals, 2);
    });
}

#[test]
fn many_nodes_remove_each_entry_once() {
    on_both(|store| async move {
        let server = ten_days(Setup::new(), store.clone()).await;
        let before = verified(&server).await.unwrap();
        let removing = [(); 4].map(|()| {
            let server = server.clone();
            tokio::spawn(async move { remove_all(&server, 4).await })
        });
        let mut gone = 0;
        for one in removing {
            gone += one.await.unwrap();
        }
        remove_all(&server, 4).await;
        let after = verified(&server).await.unwrap();
        assert_eq!((after.seals, after.removed, before.sealed - after.sealed), (4, gone, gone));
    });
}

#[test]
fn what_a_webhook_waits_for_is_kept_longer_but_not_for_ever() {
    on_both(|store| async move {
        let sink = Sink::start(&[]).await;
        let secret = format!("whsec_{}", STANDARD.encode([7; 32]));
        let webhook = format!("[[tenant.audit.webhooks]]\nid = \"siem\"\nurl = {:?}\nsecret = {secret:?}", sink.url());
        let server = ten_days(Setup::new().add(&webhook).outbound(allowed()), store.clone()).await;
        assert_eq!(remove_all(&server, 1).await, 0, "it was told nothing yet");
        let teller = Teller::new(&server.app);
        assert!(teller.pass().await.unwrap().entries > 30);
        assert!(remove_all(&server, 1).await > 20);
        assert_eq!(numbers(&server).await, [10]);

        // Not told of what comes now, for longer than it is held back.
        for _ in 0..3 {
            sealed(&server, &format!("at {}", server.world.now()), 2).await;
            server.world.advance(DAY);
        }
        let told = remove_all(&server, 1).await;
        assert_eq!((told, numbers(&server).await), (3, vec![11, 12, 13]), "what it was told goes");
        server.world.advance((HELD_DAYS - 2) * DAY);
        assert_eq!(remove_all(&server, 1).await, 0);
        server.world.advance(3 * DAY);
        assert_eq!(remove_all(&server, 1).await, 4);
        // Then it is told that something is missing, once, and goes on.
        sink.take();
        teller.pass().await.unwrap();
        sealed(&server, "later", 1).await;
        teller.pass().await.unwrap();
        let bodies: Vec<_> = sink.take().iter().map(|one| one.json()).collect();
        assert_eq!(bodies.len(), 2, "{bodies:?}");
        assert_eq!((&bodies[0]["gap"], &bodies[0]["entries"][0]["seal"]), (&json!(true), &json!(13)));
        assert!(bodies[1]["gap"].is_null() && bodies[1]["entries"][0]["seal"] == 14);
        assert!(bodies.iter().all(|body| body["broken"].is_null()), "what is left holds");
    });
}

/// Whoever has the database but not the master key cannot pass off a removal as one of ours.
#[test]
fn what_was_removed_by_anybody_else_is_missed() {
    on_both(|store| async move {
        let server = ten_days(Setup::new(), store.clone()).await;
        let tenant = server.tenant();
        let seals = store.audit_seals(&tenant, 0, 100).await.unwrap();
        // An anchor as ours would be, under another key; from there on a master key without its database is of no use either.
        let forged = seal::anchor(&MasterKey::generate(), &tenant, &seals[2], 9, server.world.now());
        store.audit_remove(&tenant, 0, forged).await.unwrap();
        assert_eq!(verified(&server).await, Err(Broken::Anchor(3)));
        let result = remove(&store, &server.app.master, &tenant, 4, server.world.now()).await.unwrap();
        assert_eq!(result, Err(Broken::Anchor(3)), "and nothing more is removed behind it");
    });
    on_both(|store| async move {
        let server = ten_days(Setup::new(), store.clone()).await;
        let tenant = server.tenant();
        remove_all(&server, 8).await;
        let ours = store.audit_anchor(&tenant).await.unwrap().unwrap();
        // More goes than we removed, and our own word is put on it.
        let more = AuditAnchor { number: ours.number + 2, ..ours.clone() };
        store.audit_remove(&tenant, ours.number, more).await.unwrap();
        assert_eq!(verified(&server).await, Err(Broken::Anchor(ours.number + 2)));
    });
    // What stands where nothing is any more, or nothing yet.
    for (number, expected) in [(1, Broken::Stray(1)), (99, Broken::Missing(11))] {
        on_both(|store| {
            let expected = expected.clone();
            async move {
                let server = ten_days(Setup::new(), store.clone()).await;
                let tenant = server.tenant();
                remove_all(&server, 4).await;
                let entry = AuditEntry { id: "slipped in".to_owned(), at: 1, body: "{}".to_owned() };
                store.commit(&tenant, "test", vec![Change::Audit(entry)]).await.unwrap();
                let seal = AuditSeal { number, at: 1, entries: 1, hash: vec![1; 32], mac: vec![1; 32] };
                store.audit_seal(&tenant, seal, vec!["slipped in".to_owned()]).await.unwrap();
                assert_eq!(verified(&server).await, Err(expected));
            }
        });
    }
}

#[test]
fn what_was_changed_is_found_after_older_entries_went_and_is_not_removed() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        // With statements of one's own; there is no other way to change an entry.
        let Some(database) = Database::postgres().await else { return };
        let server = ten_days(Setup::new(), database.open().await).await;
        remove_all(&server, 8).await;
        let first = numbers(&server).await[0];
        verified(&server).await.unwrap();
        let (client, connection) =
            tokio_postgres::connect(&database.url().unwrap(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let tenant = server.tenant();
        // Put under a seal that there is not, an entry would never be sealed and never be looked at.
        let hidden = AuditEntry { id: "hidden".to_owned(), at: 1, body: "{}".to_owned() };
        server.store.commit(&tenant, "test", vec![Change::Audit(hidden)]).await.unwrap();
        client.batch_execute("UPDATE audit SET seal = 77 WHERE id = 'hidden'").await.unwrap();
        assert_eq!(verified(&server).await, Err(Broken::Stray(77)));
        client.batch_execute("UPDATE audit SET seal = 0 WHERE id = 'hidden'").await.unwrap();
        verified(&server).await.unwrap();
        for (change, back) in [
            ("UPDATE audit SET body = body || ' ' WHERE seal = $1 AND id LIKE '%-0001'", true),
            ("UPDATE audit SET at = at + 1 WHERE seal = $1 AND id LIKE '%-0002'", true),
            ("DELETE FROM audit WHERE seal = $1 AND id LIKE '%-0000'", false),
        ] {
            // The first that is left, chained to what was removed, as well as a later one.
            for number in [first, first + 3] {
                assert_eq!(client.execute(change, &[&number]).await.unwrap(), 1);
                assert_eq!(verified(&server).await, Err(Broken::Changed(number)), "{change}");
                let result = remove(&server.store, &server.app.master, &tenant, 1, server.world.now()).await.unwrap();
                assert_eq!(result, Err(Broken::Changed(number)), "what does not hold is evidence");
                if back {
                    let undo = if change.contains("body") {
                        "UPDATE audit SET body = TRIM(body) WHERE seal = $1"
                    } else {
                        "UPDATE audit SET at = at - 1 WHERE seal = $1 AND id LIKE '%-0002'"
                    };
                    client.execute(undo, &[&number]).await.unwrap();
                    verified(&server).await.unwrap();
                } else {
                    break;
                }
            }
        }
        server.store.close().await;
        database.remove().await;
    });
}
