//! Webhooks of the audit trail: told of everything that is sealed, signed, in order, by one node at a time, at least once, and of
//! nothing secret.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::audit::seal;
use countersign::audit::tell::{Teller, Told};
use serde_json::{Value, json};
use store::{AuditEntry, Change, Store};

use crate::support::sink::{Answer, Arrived, Sink, allowed};
use crate::support::{ACME, Database, Setup, TestServer, on_both};

const KEY: &[u8] = b"a key of thirty-two bytes, no less";

fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(KEY))
}

/// A tenant with a webhook.
fn told_at(url: &str, more: &str) -> Setup {
    let secret = secret();
    let section = format!("[[tenant.audit.webhooks]]\nid = \"siem\"\nurl = {url:?}\nsecret = {secret:?}\n{more}");
    Setup::new().add(&section).outbound(allowed())
}

async fn seal_all(server: &TestServer) {
    let app = &server.app;
    while seal::set(&app.store, &app.master, &server.tenant(), app.world.now()).await.unwrap() > 0 {}
}

async fn tell(server: &TestServer) -> Told {
    Teller::new(&server.app).pass().await.unwrap()
}

/// Everything so far is told, and of no interest.
async fn quiet(server: &TestServer, sink: &Sink) {
    seal_all(server).await;
    tell(server).await;
    sink.take();
}

/// As many entries, without a meaning.
async fn write(store: &Store, server: &TestServer, names: &[String]) {
    for some in names.chunks(100) {
        let entry = |name: &String| AuditEntry {
            id: name.clone(),
            at: server.world.now(),
            body: json!({ "event": "user.added", "user": name }).to_string(),
        };
        let changes = some.iter().map(|name| Change::Audit(entry(name))).collect();
        store.commit(&server.tenant(), "test", changes).await.unwrap();
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("entry-{number:05}")).collect()
}

/// The ids of the entries that were told, in the order of their coming.
fn ids(arrived: &[Arrived]) -> Vec<String> {
    let bodies = arrived.iter().map(Arrived::json);
    bodies
        .flat_map(|body| body["entries"].as_array().unwrap().clone())
        .map(|entry| entry["id"].as_str().unwrap().to_owned())
        .collect()
}

/// HMAC-SHA256 (RFC 2104), computed a second time from its definition.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block.to_vec()
    };
    let inner = digest(&SHA256, &[pad(0x36), text.to_vec()].concat());
    digest(&SHA256, &[pad(0x5c), inner.as_ref().to_vec()].concat()).as_ref().to_vec()
}

#[track_caller]
fn verify(server: &TestServer, one: &Arrived) {
    let (id, at) = (one.header("webhook-id"), one.header("webhook-timestamp"));
    assert_eq!(at, server.world.now().to_string());
    let signature = format!("v1,{}", STANDARD.encode(hmac(KEY, format!("{id}.{at}.{}", one.body).as_bytes())));
    assert_eq!(one.header("webhook-signature"), signature);
}

#[test]
fn a_webhook_is_told_of_what_is_sealed_in_order_and_can_verify_it() {
    on_both(|store| async move {
        let sink = Sink::start(&[]).await;
        let server = told_at(&sink.url(), "").start_on(store.clone()).await;
        // What set it up is the first it is told of.
        seal_all(&server).await;
        assert!(tell(&server).await.entries > 5);
        let first = sink.take();
        let events: Vec<Value> =
            first[0].json()["entries"].as_array().unwrap().iter().map(|told| told["entry"]["event"].clone()).collect();
        assert!(events.contains(&json!("tenant.changed")), "{events:?}");

        server.sign_in().await;
        assert_eq!(tell(&server).await, Told::default(), "what is not sealed is not told");
        let last = store.audit_last_seal(&server.tenant()).await.unwrap().unwrap().number;
        seal_all(&server).await;
        assert_eq!(tell(&server).await.requests, 1);
        let [one] = &sink.take()[..] else { panic!("one request") };
        assert!(one.head.starts_with("POST /audit HTTP/1.1\r\n"), "{}", one.head);
        assert_eq!(one.header("content-type"), "application/json");
        verify(&server, one);
        let body = one.json();
        assert_eq!((&body["type"], &body["tenant"]), (&json!("audit.entries"), &json!(ACME.tenant)));
        assert_eq!((&body["webhook"], &body["gap"], &body["broken"]), (&json!("siem"), &Value::Null, &Value::Null));
        let stored = store.audit_entries(&server.tenant(), last + 1, "", 100).await.unwrap();
        let told = body["entries"].as_array().unwrap();
        assert_eq!(told.len(), stored.len());
        for (told, stored) in told.iter().zip(&stored) {
            assert_eq!(told["id"], stored.id);
            assert_eq!((&told["seal"], &told["at"]), (&json!(last + 1), &json!(stored.at)));
            assert_eq!(told["entry"], serde_json::from_str::<Value>(&stored.body).unwrap());
        }
        assert_eq!(tell(&server).await, Told::default(), "nothing is told twice");
    });
}

#[test]
fn much_is_told_in_parts_in_order_and_nothing_is_left_out() {
    on_both(|store| async move {
        let sink = Sink::start(&[]).await;
        let server = told_at(&sink.url(), "").start_on(store.clone()).await;
        quiet(&server, &sink).await;
        // More than a seal holds, and more than one look finds.
        let names = names(1234);
        write(&store, &server, &names).await;
        seal_all(&server).await;
        for more in 0..20 {
            write(&store, &server, &[format!("later-{more:05}")]).await;
            seal_all(&server).await;
        }
        assert_eq!(tell(&server).await.entries, 1254);
        let arrived = sink.take();
        assert!(arrived.iter().all(|one| one.json()["entries"].as_array().unwrap().len() <= 100));
        let told = ids(&arrived);
        assert_eq!(told[..1234], names);
        assert_eq!(told[1234..], (0..20).map(|more| format!("later-{more:05}")).collect::<Vec<_>>());
        let requests: BTreeSet<&str> = arrived.iter().map(|one| one.header("webhook-id")).collect();
        assert_eq!(requests.len(), arrived.len(), "each request has a name of its own");
    });
}

#[tokio::test]
async fn a_webhook_that_fails_is_told_the_same_again_after_growing_pauses() {
    let failures = [Answer::Status(500), Answer::Lost, Answer::Status(404), Answer::Status(302), Answer::Status(429)];
    let sink = Sink::start(&[&[Answer::Status(200)], &failures[..]].concat()).await;
    let server = told_at(&sink.url(), "").start().await;
    quiet(&server, &sink).await;
    write(&server.store, &server, &names(3)).await;
    seal_all(&server).await;
    let mut pauses = Vec::new();
    for failure in failures {
        assert_eq!(tell(&server).await, Told { failures: 1, ..Told::default() }, "{failure:?}");
        let mut pause = 0;
        while Teller::new(&server.app).behind().await.unwrap().is_empty() {
            server.world.advance(1);
            pause += 1;
        }
        pauses.push(pause);
    }
    assert_eq!(tell(&server).await, Told { requests: 1, entries: 3, failures: 0 });
    for (nth, pause) in pauses.into_iter().enumerate() {
        let least = 2 << nth;
        assert!((least..=least + least / 2).contains(&pause), "pause {nth} took {pause} seconds");
    }
    let arrived = sink.take();
    assert_eq!(arrived.len(), 6);
    for one in &arrived {
        assert_eq!(ids(std::slice::from_ref(one)), names(3));
        assert_eq!(one.header("webhook-id"), arrived[0].header("webhook-id"), "the same has the same name");
    }
    verify(&server, arrived.last().unwrap());
    // After a success failures begin from the beginning.
    assert_eq!(server.store.audit_cursors(&server.tenant()).await.unwrap()[0].tries, 0);
}

#[test]
fn a_webhook_that_was_down_is_told_by_another_process_from_where_it_was_left() {
    on_both(|store| async move {
        let sink = Sink::start(&[]).await;
        let server = told_at(&sink.url(), "").start_on(store.clone()).await;
        quiet(&server, &sink).await;
        let port = sink.port;
        assert!(sink.stop().await.is_empty());
        write(&store, &server, &names(150)).await;
        seal_all(&server).await;
        assert_eq!(tell(&server).await, Told { failures: 1, ..Told::default() });
        // The process dies with what it was about to do; more happens meanwhile.
        let another = server.another().await;
        drop(server);
        write(&store, &another, &["z-later".to_owned()]).await;
        seal_all(&another).await;
        assert_eq!(tell(&another).await, Told::default(), "the pause holds for everybody");
        another.world.advance(10);
        let sink = Sink::at(port, &[]).await;
        assert_eq!(tell(&another).await, Told { requests: 2, entries: 151, failures: 0 });
        let told = ids(&sink.take());
        assert_eq!((&told[..150], told[150].as_str()), (&names(150)[..], "z-later"));
    });
}

#[test]
fn of_several_nodes_one_tells_and_the_next_goes_on_when_it_died() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        for database in [Some(Database::sqlite()), Database::postgres().await].into_iter().flatten() {
            let store = database.open().await;
            let sink = Sink::start(&[]).await;
            let first = told_at(&sink.url(), "").start_on(store.clone()).await;
            let nodes = [first.clone(), first.another().await, first.another().await];
            quiet(&first, &sink).await;
            let mut expected = Vec::new();
            for round in 0..10 {
                let names: Vec<_> = (0..30).map(|number| format!("round-{round:02}-{number:03}")).collect();
                write(&store, &first, &names).await;
                expected.extend(names);
                seal_all(&first).await;
                let telling = nodes.clone().map(|node| tokio::spawn(async move { tell(&node).await }));
                let mut sum = 0;
                for one in telling {
                    sum += one.await.unwrap().entries;
                }
                assert_eq!(sum, 30, "one of them told, and once");
            }
            assert_eq!(ids(&sink.take()), expected);

            // One that took the webhook and died: it is left alone until its time is over.
            write(&store, &first, &["left".to_owned()]).await;
            seal_all(&first).await;
            let cursor = store.audit_cursors(&first.tenant()).await.unwrap().remove(0);
            let dead = store.audit_claim(&cursor, first.world.now() + 60).await.unwrap();
            assert_eq!(tell(&nodes[1]).await, Told::default());
            first.world.advance(60);
            assert_eq!(tell(&nodes[2]).await.entries, 1);
            assert_eq!(ids(&sink.take()), ["left"]);
            // If it was only slow, it moves nothing any more.
            assert!(store.audit_told(&dead, 1, "", 0).await.is_err());
            assert!(store.audit_not_told(&dead, 0).await.is_err());
            store.close().await;
            database.remove().await;
        }
    });
}

#[tokio::test]
async fn only_what_is_wanted_is_told_and_the_rest_is_passed_over() {
    let sink = Sink::start(&[]).await;
    let server = told_at(&sink.url(), "events = [\"grant.*\", \"factor.proved\"]").start().await;
    quiet(&server, &sink).await;
    server.begin_inside().await;
    server.password("no such token", ACME.admin.username, "x").await;
    write(&server.store, &server, &names(700)).await;
    seal_all(&server).await;
    let before = server.store.audit_cursors(&server.tenant()).await.unwrap()[0].seal;
    assert_eq!(tell(&server).await, Told::default());
    let after = server.store.audit_cursors(&server.tenant()).await.unwrap()[0].seal;
    assert!(after > before, "it is not looked through again");
    server.sign_in().await;
    seal_all(&server).await;
    assert_eq!(tell(&server).await.entries, 3);
    let [one] = &sink.take()[..] else { panic!("one request") };
    let mut events: Vec<_> =
        one.json()["entries"].as_array().unwrap().iter().map(|e| e["entry"]["event"].clone()).collect();
    events.sort_by_key(Value::to_string);
    assert_eq!(events, [json!("factor.proved"), json!("factor.proved"), json!("grant.issued")]);
}

#[tokio::test]
async fn attack_60_a_webhook_in_the_private_network_is_not_called() {
    let sink = Sink::start(&[]).await;
    let urls = [sink.url(), sink.url().replace("localhost", "127.0.0.1")];
    for url in urls {
        let server = told_at(&url, "").outbound(countersign::config::Outbound::default()).start().await;
        seal_all(&server).await;
        assert_eq!(tell(&server).await, Told { failures: 1, ..Told::default() }, "{url}");
    }
    assert!(sink.arrived().is_empty());
}

#[tokio::test]
async fn nothing_typed_shown_or_handed_out_is_told() {
    let sink = Sink::start(&[]).await;
    let server = told_at(&sink.url(), "").start().await;
    let challenge = server.begin_inside().await;
    server.password(&challenge.token, ACME.admin.username, "not-the-password").await;
    let tokens = server.sign_in().await;
    let code = server.code(ACME.address).await;
    seal_all(&server).await;
    tell(&server).await;
    let told: String = sink.take().into_iter().map(|one| one.head + &one.body).collect();
    assert!(told.contains("grant.issued"));
    let token = |name: &str| tokens[name].as_str().unwrap_or("none was given").to_owned();
    let more = [token("access_token"), token("refresh_token"), token("id_token"), challenge.token, code, secret()];
    for secret in
        [ACME.admin.password, ACME.secret, "not-the-password"].into_iter().chain(more.iter().map(String::as_str))
    {
        assert!(!told.contains(secret), "`{secret}` is told");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_webhook_that_does_not_answer() {
    let sink = Sink::start(&[Answer::Held]).await;
    let server = told_at(&sink.url(), "").start().await;
    seal_all(&server).await;
    let telling = tokio::spawn({
        let server = server.clone();
        async move { tell(&server).await }
    });
    sink.came().await;
    // In the middle of a request to it people sign in, and the trail is sealed.
    server.sign_in().await;
    seal_all(&server).await;
    assert!(!telling.is_finished());
    sink.go_on();
    assert!(telling.await.unwrap().requests >= 1);
}

/// Whoever writes in the database cannot silence a webhook by it, nor pass for the server.
#[tokio::test]
async fn what_does_not_hold_is_told_with_a_word_about_it() {
    let sink = Sink::start(&[]).await;
    let server = told_at(&sink.url(), "").start().await;
    quiet(&server, &sink).await;
    let (store, tenant) = (&server.store, server.tenant());
    write(store, &server, &names(2)).await;
    let last = store.audit_last_seal(&tenant).await.unwrap().unwrap();
    let forged = store::AuditSeal { number: last.number + 1, entries: 2, hash: vec![1; 32], ..last };
    store.audit_seal(&tenant, forged.clone(), names(2)).await.unwrap();
    write(store, &server, &["z".to_owned()]).await;
    seal_all(&server).await;
    assert_eq!(tell(&server).await.entries, 3);
    let [one] = &sink.take()[..] else { panic!("one request") };
    assert_eq!(one.json()["broken"], json!([forged.number]));
}
