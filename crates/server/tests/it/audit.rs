//! The audit trail: what happens at the doors is on record, with who and from where and without a secret, and the record is chained.

use countersign::audit::seal;
use serde_json::{Value, json};

use crate::support::{ACME, TOKEN, TestServer};

/// The entries of the tenant that no seal is over yet, in order.
async fn trail(server: &TestServer) -> Vec<Value> {
    let entries = server.app.store.audit_entries(&server.tenant(), 0, "", 1000).await.unwrap();
    let mut all: Vec<(i64, Value)> =
        entries.iter().map(|entry| (entry.at, serde_json::from_str(&entry.body).unwrap())).collect();
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, body)| body).collect()
}

fn of<'a>(trail: &'a [Value], event: &str) -> Vec<&'a Value> {
    trail.iter().filter(|entry| entry["event"] == event).collect()
}

/// Seals what there is.
async fn seal_all(server: &TestServer) {
    let app = &server.app;
    while seal::set(&app.store, &app.master, &server.tenant(), app.world.now()).await.unwrap() > 0 {}
}

#[tokio::test]
async fn a_sign_in_is_on_record_with_its_tries_and_what_it_became() {
    let server = TestServer::start().await;
    seal_all(&server).await;
    let challenge = server.begin_inside().await;
    server.password(&challenge.token, ACME.admin.username, "not-the-password").await;
    let tokens = server.sign_in().await;
    let trail = trail(&server).await;

    // One wrong password, then a right one and a right code.
    let tried = of(&trail, "factor.tried");
    assert_eq!(tried.len(), 3, "{trail:#?}");
    assert_eq!(of(&trail, "factor.proved").len(), 2);
    let counter = format!("password:{}", ACME.admin.id);
    assert!(tried.iter().any(|entry| entry["counter"] == counter), "{tried:?}");

    let [issued] = of(&trail, "grant.issued")[..] else { panic!("{trail:#?}") };
    assert_eq!(
        (&issued["user"], &issued["client"], &issued["actor"]),
        (&json!(ACME.admin.id), &json!(ACME.client), &json!(ACME.client))
    );
    assert_eq!(issued["grant"], tokens["grant_id"]);
    assert_eq!(issued["amr"], json!(["emailotp", "password"]));
    assert!(trail.iter().all(|entry| entry["address"].is_string() && entry["request"].is_string()));
}

#[tokio::test]
async fn nothing_typed_shown_or_handed_out_is_on_record() {
    let server = TestServer::start().await;
    let tokens = server.sign_in().await;
    let code = server.code(ACME.address).await;
    let told = serde_json::to_string(&trail(&server).await).unwrap();
    for secret in [ACME.admin.password, ACME.secret, &code, tokens["access_token"].as_str().unwrap()] {
        assert!(!told.contains(secret), "`{secret}` is on record");
    }
    assert!(
        !told.contains(tokens["refresh_token"].as_str().unwrap_or("no refresh token")),
        "the refresh token is on record"
    );
}

#[tokio::test]
async fn tokens_of_applications_and_refreshes_leave_no_entry() {
    let server = TestServer::start().await;
    let tokens = server.sign_in().await;
    seal_all(&server).await;
    let form = [("grant_type", "client_credentials")];
    server
        .ask("POST", TOKEN)
        .basic("administration", "administration-demo-secret")
        .form(&form)
        .send()
        .await
        .expect(200);
    if let Some(refresh) = tokens["refresh_token"].as_str() {
        server.refresh(refresh).await.expect(200);
    }
    assert_eq!(trail(&server).await, Vec::<Value>::new());
}

#[tokio::test]
async fn configuration_is_on_record_with_the_application_that_changed_it() {
    let server = TestServer::start().await;
    // What the tenant file made is on record as well.
    let before = trail(&server).await;
    assert!(of(&before, "client.changed").iter().all(|entry| entry["actor"] == "apply"), "{before:#?}");
    assert!(of(&before, "client.changed").iter().any(|entry| entry["name"] == ACME.client));
    seal_all(&server).await;
    let form = [("grant_type", "client_credentials")];
    let ask = server.ask("POST", TOKEN).basic("administration", "administration-demo-secret").form(&form);
    let admin = ask.send().await.expect(200)["access_token"].as_str().unwrap().to_owned();
    let path = format!("/v5.0/policyvault/accesspolicy/{}", ACME.policy);
    server.json("DELETE", &path, &admin, &Value::Null).await;
    let mut policy = server.get(&path, &admin).await.json();
    policy["name"] = json!("renamed");
    server.json("PUT", &path, &admin, &policy).await;
    let after = trail(&server).await;
    assert!(!after.is_empty(), "neither was on record");
    assert!(after.iter().all(|entry| entry["actor"] == "administration"), "{after:#?}");
}

#[tokio::test]
async fn seals_chain_the_trail_and_hold() {
    let server = TestServer::start().await;
    for _ in 0..3 {
        server.sign_in_other().await;
        seal_all(&server).await;
    }
    let app = &server.app;
    let found = seal::verify(&app.store, &app.master, &server.tenant()).await.unwrap().unwrap();
    assert!(found.seals >= 3 && found.sealed >= 9 && found.waiting == 0, "{found:?}");
    let stranger = countersign::keys::MasterKey::generate();
    let broken = seal::verify(&app.store, &stranger, &server.tenant()).await.unwrap();
    assert_eq!(broken, Err(seal::Broken::Changed(1)));
}

/// Neither was: a new password is written like a hash made stronger, and recovery addresses were no documents of the trail.
#[tokio::test]
async fn a_new_password_and_what_recovers_an_account_are_on_record_and_a_stronger_hash_is_not() {
    use countersign::signin::SignIns;
    use countersign::signin::rescue::{Means, Recovery};

    let server = TestServer::start().await;
    let view = server.app.directories.current().tenant(&server.tenant()).cloned().unwrap();
    let sign_ins = SignIns { app: &server.app, tenant: &view };
    let user = protocol::records::UserId::from(ACME.other.id);
    seal_all(&server).await;
    let told = async || {
        let all = trail(&server).await;
        let theirs = all.iter().filter(|entry| entry["user"] == ACME.other.id);
        let told: Vec<String> = theirs.map(|entry| entry["event"].as_str().unwrap().to_owned()).collect();
        seal_all(&server).await;
        told
    };

    let from = server.store.user(&server.tenant(), &user).await.unwrap().unwrap().password.unwrap();
    let to = server.app.hashing.hash(ACME.other.password.into()).await.unwrap();
    let upgrade = store::Change::Rehash { user: user.clone(), from, to, at: server.app.world.now() };
    server.app.commit(&server.tenant(), "factor judged", vec![upgrade]).await.unwrap();
    assert_eq!(told().await, Vec::<String>::new(), "the password is the same");

    let (source, old) = (ACME.source.into(), ACME.other.password.to_owned().into());
    let new = "correct-horse-battery-7".into();
    sign_ins.change_password(Some(&user), &source, ACME.other.username, old, new).await.unwrap();
    assert!(told().await.contains(&"password.set".to_owned()));

    let at = |to: &str| Recovery { means: Means::Email, to: Some(to.to_owned()), grant: None };
    let mut entries = Vec::new();
    for to in ["pat@home.example", "pat@elsewhere.example"] {
        sign_ins.set_recovery(&user, &at(to), Vec::new()).await.unwrap();
        entries.extend(told().await);
    }
    sign_ins.drop_recoveries(&user).await.unwrap();
    entries.extend(told().await);
    assert_eq!(entries, ["recovery.added", "recovery.changed", "recovery.removed"]);
}
