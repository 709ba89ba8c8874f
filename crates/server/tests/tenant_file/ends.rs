//! Whom the file removes, switches off or gives another password is cut off, as where an administrator does it at a running server.

use protocol::records::{Grant, GrantDetail, GrantId, User};
use serde_json::{Value, json};
use store::{Change, Item};

use crate::applying::{Bench, NOW, WORLD, tenant};

const ANN: &str = "AAAAAAAAA1";
/// What ends, whenever somebody is cut off.
const ENDS: [&str; 4] = ["session", "code", "trusted-device", "stay-signed-in"];
/// What is hers as long as she is there.
const STAYS: [&str; 3] = ["recovery", "bypass", "upstream-link"];

fn item(kind: &'static str, body: Value) -> Item {
    Item {
        kind,
        name: ANN.to_owned(),
        owner: Some(ANN.to_owned()),
        link: None,
        created: NOW,
        expires: NOW + 86_400,
        body: body.to_string(),
        version: 0,
    }
}

/// A tenant in which somebody is signed in, and long since has a password that is for one use.
async fn signed_in(text: &str) -> Bench {
    let bench = Bench::new().await;
    bench.apply(text).await;
    let grant = Grant {
        id: GrantId::from("g"),
        tenant: tenant(),
        client: "chosen".into(),
        subject: Some(ANN.into()),
        active: true,
        created: NOW,
        expires: NOW + 86_400,
        detail: GrantDetail::default(),
        refresh: None,
        refresh_expires: NOW + 86_400,
        refresh_previous: None,
        rotated_at: NOW,
        session: None,
        version: 1,
    };
    let mut changes = vec![Change::AddGrant(grant)];
    changes.extend(ENDS.into_iter().chain(STAYS).map(|kind| Change::PutItem(item(kind, json!({})))));
    changes.push(Change::PutItem(item("password", json!({ "since": NOW - 1, "must_change": true, "history": [] }))));
    bench.store.commit(&tenant(), "test", changes).await.unwrap();
    bench.world.advance(60);
    bench
}

/// Which of these there are still.
async fn left(bench: &Bench, kinds: impl IntoIterator<Item = &'static str>) -> Vec<&'static str> {
    let mut left = Vec::new();
    for kind in kinds {
        if bench.store.item(&tenant(), kind, ANN).await.unwrap().is_some() {
            left.push(kind);
        }
    }
    left
}

async fn lives(bench: &Bench) -> bool {
    bench.store.grant(&tenant(), &"g".into()).await.unwrap().unwrap().active
}

async fn ann(bench: &Bench) -> User {
    bench.user(ANN).await.unwrap()
}

/// What is remembered of her passwords.
async fn remembered(bench: &Bench) -> Value {
    let item = bench.store.item(&tenant(), "password", ANN).await.unwrap().unwrap();
    serde_json::from_str(&item.body).unwrap()
}

fn switched_off() -> String {
    WORLD.replace("username = \"ann\"", "username = \"ann\"\nactive = false")
}

#[tokio::test]
async fn who_was_switched_off_by_the_file_is_signed_in_nowhere_when_switched_on_again() {
    let bench = signed_in(WORLD).await;
    bench.apply(&switched_off()).await;
    bench.world.advance(60);
    assert_eq!(bench.apply(WORLD).await, ["t: user `AAAAAAAAA1` changed (active)"]);
    assert!(!lives(&bench).await);
    assert_eq!(left(&bench, ENDS).await, [""; 0]);
    assert_eq!(left(&bench, STAYS).await, STAYS);
    let ann = ann(&bench).await;
    assert_eq!((ann.active, ann.not_before), (true, NOW + 60));
    assert_eq!(remembered(&bench).await["must_change"], true, "the password is the same");
    let entries = bench.store.audit_entries(&tenant(), 0, "", 1000).await.unwrap();
    let trail: Vec<Value> = entries.iter().map(|entry| serde_json::from_str(&entry.body).unwrap()).collect();
    let told = |event: &str| trail.iter().any(|entry| entry["event"] == event && entry["user"] == ANN);
    assert!(told("grants.revoked") && told("session.removed") && told("trusted_device.removed"), "{trail:?}");
}

#[tokio::test]
async fn another_password_in_the_file_ends_what_the_one_before_began() {
    let text = WORLD.replace("name = \"T\"", "name = \"T\"\nsettings = { password = { history = 2 } }");
    let bench = signed_in(&text).await;
    let before = ann(&bench).await.password.unwrap();
    let other = text.replace("secret-of-ann", "another-of-ann");
    assert_eq!(bench.apply(&other).await, ["t: user `AAAAAAAAA1` changed (password)"]);
    assert!(!lives(&bench).await);
    assert_eq!(left(&bench, ENDS).await, [""; 0]);
    assert_eq!(left(&bench, STAYS).await, STAYS);
    assert_eq!(ann(&bench).await.not_before, NOW + 60);
    assert_eq!(
        remembered(&bench).await,
        json!({ "since": NOW + 60, "must_change": false, "history": [before] }),
        "as old as it is, and good for more than one use"
    );
    // None is another than one.
    bench.world.advance(60);
    bench.apply(&text.replace("password = \"secret-of-ann\"\n", "")).await;
    let ann = ann(&bench).await;
    assert_eq!((ann.password, ann.not_before), (None, NOW + 120));
}

#[tokio::test]
async fn what_is_no_other_password_cuts_nobody_off() {
    let bench = signed_in(WORLD).await;
    // The same, hashed anew, and another attribute.
    let hash = bench.hashing.hash("secret-of-ann".into()).await.unwrap();
    let rehash =
        |from: Option<String>| Change::Rehash { user: ANN.into(), from: from.unwrap(), to: hash.clone(), at: NOW };
    bench.store.commit(&tenant(), "test", vec![rehash(ann(&bench).await.password)]).await.unwrap();
    let moved = WORLD.replace("locality = \"Bath\"", "locality = \"Wells\"");
    assert_eq!(bench.apply(&moved).await, ["t: user `AAAAAAAAA1` changed (attributes)"]);
    assert!(lives(&bench).await);
    assert_eq!(left(&bench, ENDS.into_iter().chain(STAYS)).await.len(), ENDS.len() + STAYS.len());
    let ann = ann(&bench).await;
    assert_eq!((ann.password, ann.not_before), (Some(hash), NOW - 60));
    assert_eq!(remembered(&bench).await["must_change"], true);
}

#[tokio::test]
async fn who_gets_the_id_of_somebody_removed_gets_nothing_else_of_theirs() {
    let bench = signed_in(WORLD).await;
    // Whatever else names her goes with her.
    let gone = WORLD.replace("user = \"ann\"", "user = \"bo\"").replace("username = \"ann\"", "username = \"cleo\"");
    let gone = gone.replace(ANN, "CCCCCCCCC3");
    bench.apply(&gone).await;
    assert_eq!(bench.user(ANN).await, None);
    bench.world.advance(60);
    bench.apply(WORLD).await;
    assert!(!lives(&bench).await);
    assert_eq!(left(&bench, ENDS.into_iter().chain(STAYS).chain(["password"])).await, [""; 0]);
    assert_eq!(ann(&bench).await.not_before, NOW + 60, "what was signed for the one before is not hers");
}
