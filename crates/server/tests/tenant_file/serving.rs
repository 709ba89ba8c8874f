//! What was applied is what is served: the snapshot, how tenants are found, and what happens when something breaks.

use std::sync::Arc;

use countersign::directory::{Directories, DirectoryError};
use countersign::keys::MasterKey;
use engine::{FactorKind, PolicyRef};
use protocol::records::{PolicyRecord, SigningAlg, TenantId};
use store::DirectoryChange;

use super::applying::{Bench, NOW};

const TWO: &str = r#"
[[tenant]]
id = "a"
urls = ["https://a.example.test", "http://A.example.test:8080", "http://[::1]:8400"]
[tenant.settings]
sms_otp = { enabled = false }
[[tenant.sources]]
id = "11111111-1111-4111-8111-111111111111"
name = "People"
realm = "people"
[[tenant.policies]]
id = 7
name = "P"
meta = { state = "ACTIVE", enforcementType = "nativeAppWeb" }
[[tenant.policies.rules]]
name = "First"
alwaysRun = false
firstFactor = true
conditions = []
result = { action = "ACTION_MFA_ALWAYS", authnMethods = ["password"] }
[[tenant.clients]]
id = "shared"
secret = "secret of a"

[[tenant]]
id = "b"
urls = ["http://b.example.test"]
[[tenant.clients]]
id = "shared"
secret = "secret of b"
[[tenant.keys]]
alg = "RS256"
"#;

async fn serve(bench: &Bench) -> (Directories, Arc<MasterKey>) {
    let master = Arc::new(MasterKey::new([9; 32]));
    (Directories::load(bench.store.clone(), Arc::clone(&master)).await.unwrap(), master)
}

async fn applied() -> Bench {
    let mut bench = Bench::new().await;
    bench.master = MasterKey::new([9; 32]);
    bench.apply(TWO).await;
    bench
}

#[tokio::test]
async fn a_request_finds_its_tenant_by_host_and_port_alone() {
    let bench = applied().await;
    let (directories, _) = serve(&bench).await;
    let directory = directories.current();
    let find = |authority: &str| {
        directory.resolve(authority).map(|(view, base)| (view.tenant.id.to_string(), base.to_owned()))
    };
    let a = |base: &str| Some(("a".to_owned(), base.to_owned()));
    assert_eq!(find("a.example.test"), a("https://a.example.test"));
    assert_eq!(find("A.Example.TEST:443"), a("https://a.example.test"));
    assert_eq!(find("a.example.test:8080"), a("http://A.example.test:8080"));
    assert_eq!(find("[::1]:8400"), a("http://[::1]:8400"));
    assert_eq!(find("b.example.test:80"), Some(("b".to_owned(), "http://b.example.test".to_owned())));
    let long = "x".repeat(5000);
    for nobody in [
        "",
        ":",
        "c.example.test",
        "a.example.test:80",
        "a.example.test:8081",
        "b.example.test:443",
        "[::1]",
        "é",
        &long,
    ] {
        assert_eq!(find(nobody), None, "{nobody}");
    }
}

#[tokio::test]
async fn each_tenant_is_seen_with_what_is_its_own() {
    let bench = applied().await;
    let (directories, _) = serve(&bench).await;
    let directory = directories.current();
    let (a, b) = (&directory.tenants["a"], &directory.tenants["b"]);
    assert_ne!(a.client("shared").unwrap().secrets, b.client("shared").unwrap().secrets);
    assert!(a.policies.contains_key(&7) && b.policies.is_empty());
    assert!(!a.offered.contains(&FactorKind::SmsOtp) && b.offered.contains(&FactorKind::SmsOtp));
    assert_eq!(a.keys.algorithms(NOW).len(), 4);
    assert_eq!(b.keys.algorithms(NOW), [SigningAlg::Rs256]);
    assert_eq!(a.source("11111111-1111-4111-8111-111111111111").unwrap().name, "People");
    assert!(b.client("other").is_none() && b.group("STAFF").is_none() && b.relying_party("x").is_none());
}

#[tokio::test]
async fn a_change_is_seen_at_the_next_look_and_not_before() {
    let bench = applied().await;
    let (directories, _) = serve(&bench).await;
    assert!(!directories.refresh_if_changed().await.unwrap());
    let held = directories.current();
    bench.apply(&TWO.replace("id = \"b\"", "id = \"b\"\nname = \"Bee\"")).await;
    assert!(directories.refresh_if_changed().await.unwrap());
    assert_eq!(held.tenants["b"].tenant.name, "b", "a request under way keeps what it began with");
    let now = directories.current();
    assert_eq!(now.tenants["b"].tenant.name, "Bee");
    assert!(Arc::ptr_eq(&held.tenants["a"].keys, &now.tenants["a"].keys), "unchanged keys are not opened again");
    assert!(Arc::ptr_eq(&held.tenants["a"].policies[&7], &now.tenants["a"].policies[&7]));
}

#[tokio::test]
async fn an_older_revision_is_found_for_those_who_began_with_it() {
    let bench = applied().await;
    let (directories, _) = serve(&bench).await;
    bench.apply(&TWO.replace("\"password\"", "\"fido2\"")).await;
    directories.refresh_if_changed().await.unwrap();
    let (a, b) = (TenantId::from("a"), TenantId::from("b"));
    let at = |revision| PolicyRef { id: 7, revision };
    let first = directories.policy_at(&a, at(1)).await.unwrap().unwrap();
    let second = directories.policy_at(&a, at(2)).await.unwrap().unwrap();
    assert_eq!((first.revision, second.revision), (1, 2));
    assert_ne!(first.rules, second.rules);
    assert!(Arc::ptr_eq(&second, &directories.current().tenants["a"].policies[&7]));
    assert!(Arc::ptr_eq(&first, &directories.policy_at(&a, at(1)).await.unwrap().unwrap()), "parsed once");
    assert_eq!(directories.policy_at(&a, at(3)).await.unwrap(), None);
    assert_eq!(directories.policy_at(&b, at(1)).await.unwrap(), None, "another tenant has no such policy");
}

#[tokio::test]
async fn a_policy_that_no_longer_parses_leaves_the_last_good_one_in_force() {
    let bench = applied().await;
    let (directories, master) = serve(&bench).await;
    let broken = PolicyRecord { id: 7, revision: 2, primary: true, document: serde_json::json!({ "name": "broken" }) };
    let a = TenantId::from("a");
    let mut tenant = bench.rows("a").await.tenant;
    tenant.name = "Renamed".to_owned();
    let changes = vec![DirectoryChange::PutPolicy(broken), DirectoryChange::PutTenant(Box::new(tenant))];
    bench.store.change_directory(&a, changes).await.unwrap();
    assert!(directories.refresh_if_changed().await.unwrap());
    let view = Arc::clone(&directories.current().tenants["a"]);
    assert_eq!(view.policies[&7].revision, 1);
    assert_eq!(view.tenant.name, "Renamed", "everything else goes on");

    // A server that starts with it has nothing to go on with: the policy is absent, and what it governs is denied.
    let fresh = Directories::load(bench.store.clone(), master).await.unwrap();
    assert!(!fresh.current().tenants["a"].policies.contains_key(&7));
    let error = fresh.policy_at(&a, PolicyRef { id: 7, revision: 2 }).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Policy { id: 7, revision: 2, .. }), "{error}");
}

#[tokio::test]
async fn a_server_with_the_wrong_master_key_does_not_start() {
    let bench = applied().await;
    let error = Directories::load(bench.store.clone(), Arc::new(MasterKey::generate())).await.err().unwrap();
    assert!(matches!(&error, DirectoryError::Keys { tenant, .. } if tenant.as_str() == "a"), "{error}");
}
