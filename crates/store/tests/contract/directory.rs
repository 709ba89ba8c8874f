//! The configuration of tenants is read as it was put, all of one version.

use protocol::records::{
    Client, Group, KeyRecord, PolicyRecord, RelyingParty, SigningAlg, Source, SourceKind, TenantId, User,
};
use serde_json::json;
use store::{DirectoryChange, TenantRows};

use crate::world::*;

fn client(id: &str) -> Client {
    serde_json::from_value(json!({"id": id, "redirect_uris": ["https://app.example.test/cb"]})).unwrap()
}

fn policy(id: i64, revision: i64, primary: bool) -> PolicyRecord {
    PolicyRecord { id, revision, primary, document: json!({"name": format!("{id}.{revision}")}) }
}

fn rows(tenant: &TenantId) -> TenantRows {
    TenantRows {
        tenant: tenant_record(tenant),
        sources: vec![Source {
            id: "s".into(),
            name: "Cloud Directory".into(),
            realm: "cloudIdentityRealm".into(),
            kind: SourceKind::CloudDirectory,
        }],
        groups: vec![Group { id: "g".into(), name: "ADMINISTRATORS".into(), source: "s".into() }],
        clients: vec![client("a"), client("b")],
        policies: vec![policy(1, 2, true)],
        relying_parties: vec![RelyingParty {
            id: "r".into(),
            rp_id: "example.test".into(),
            name: "Example".into(),
            origins: vec!["https://app.example.test".into()],
            enabled: true,
            attestation: None,
        }],
        keys: vec![KeyRecord {
            kid: "k".into(),
            alg: SigningAlg::Es256,
            decrypts: false,
            sealed: vec![1, 2, 3],
            created: NOW,
            signs_from: NOW,
            signs_until: None,
            published_until: None,
        }],
    }
}

fn put(rows: &TenantRows) -> Vec<DirectoryChange> {
    let mut changes = vec![DirectoryChange::PutTenant(Box::new(rows.tenant.clone()))];
    changes.extend(rows.sources.iter().cloned().map(DirectoryChange::PutSource));
    changes.extend(rows.groups.iter().cloned().map(DirectoryChange::PutGroup));
    changes.extend(rows.clients.iter().cloned().map(|client| DirectoryChange::PutClient(Box::new(client))));
    changes.push(DirectoryChange::PutPolicy(policy(1, 1, true)));
    changes.extend(rows.policies.iter().cloned().map(DirectoryChange::PutPolicy));
    changes.extend(rows.relying_parties.iter().cloned().map(DirectoryChange::PutRelyingParty));
    changes.extend(rows.keys.iter().cloned().map(DirectoryChange::PutKey));
    changes
}

#[test]
fn a_directory_is_loaded_as_it_was_put() {
    on_both(|store| async move {
        assert!(store.load_directory().await.unwrap().tenants.is_empty());
        let before = store.directory_version().await.unwrap();
        let expected = [rows(&tenant()), rows(&other_tenant())];
        for rows in &expected {
            store.change_directory(&rows.tenant.id, put(rows)).await.unwrap();
        }
        let loaded = store.load_directory().await.unwrap();
        assert_eq!(loaded.tenants, expected);
        assert_eq!(loaded.version, before + 2);
        // Once more is the same, but for the version.
        store.change_directory(&tenant(), put(&expected[0])).await.unwrap();
        assert_eq!(store.load_directory().await.unwrap().tenants, expected);
        assert_eq!(store.directory_version().await.unwrap(), before + 3);

        let gone = vec![
            DirectoryChange::RemoveSource("s".into()),
            DirectoryChange::RemoveGroup("g".into()),
            DirectoryChange::RemoveClient("b".into()),
            DirectoryChange::RemovePolicy(1),
            DirectoryChange::RemoveRelyingParty("r".into()),
            DirectoryChange::RemoveKey("k".into()),
            DirectoryChange::RemoveKey("never there".into()),
        ];
        store.change_directory(&tenant(), gone).await.unwrap();
        let loaded = store.load_directory().await.unwrap();
        let left = TenantRows {
            sources: vec![],
            groups: vec![],
            clients: vec![client("a")],
            policies: vec![],
            relying_parties: vec![],
            keys: vec![],
            ..expected[0].clone()
        };
        assert_eq!(loaded.tenants, [left, expected[1].clone()]);
        store.change_directory(&tenant(), vec![DirectoryChange::RemoveTenant]).await.unwrap();
        assert_eq!(store.load_directory().await.unwrap().tenants, [expected[1].clone()]);
    });
}

#[test]
fn a_tenant_is_put_under_its_own_name_only() {
    on_both(|store| async move {
        let wrong = vec![DirectoryChange::PutTenant(Box::new(tenant_record(&other_tenant())))];
        refused(store.change_directory(&tenant(), wrong).await);
    });
}

#[test]
fn a_policy_keeps_its_revisions_and_has_one_primary() {
    on_both(|store| async move {
        let t = tenant();
        let put = |record| vec![DirectoryChange::PutPolicy(record)];
        store.change_directory(&t, put(policy(7, 1, true))).await.unwrap();
        store.change_directory(&t, put(policy(7, 2, false))).await.unwrap();
        store.change_directory(&t, put(policy(7, 3, true))).await.unwrap();
        let expected = [policy(7, 1, false), policy(7, 2, false), policy(7, 3, true)];
        assert_eq!(store.policy_revisions(&t, 7).await.unwrap(), expected);
        assert_eq!(store.policy_revision(&t, 7, 1).await.unwrap(), Some(expected[0].clone()));
        assert_eq!(store.policy_revision(&t, 7, 4).await.unwrap(), None);
        let remove = DirectoryChange::RemovePolicyRevision { id: 7, revision: 2 };
        store.change_directory(&t, vec![remove]).await.unwrap();
        assert_eq!(store.policy_revisions(&t, 7).await.unwrap().len(), 2);
        assert!(store.policy_revisions(&other_tenant(), 7).await.unwrap().is_empty());
    });
}

#[test]
fn a_revision_that_exists_is_not_added_again() {
    on_both(|store| async move {
        let t = tenant();
        let add = |record| vec![DirectoryChange::AddPolicy(record)];
        store.change_directory(&t, add(policy(7, 1, true))).await.unwrap();
        store.change_directory(&t, add(policy(7, 2, false))).await.unwrap();
        let version = store.directory_version().await.unwrap();
        refused(store.change_directory(&t, add(policy(7, 2, true))).await);
        let expected = [policy(7, 1, true), policy(7, 2, false)];
        assert_eq!(store.policy_revisions(&t, 7).await.unwrap(), expected);
        assert_eq!(store.directory_version().await.unwrap(), version);
    });
}

#[test]
fn what_the_tenant_file_made_is_told_from_what_people_made() {
    on_both(|store| async move {
        let t = tenant();
        let own = DirectoryChange::PutUser { user: user("U2", "self"), managed: false };
        let managed = DirectoryChange::PutEnrolment { enrolment: enrolment("E1", "U1", Some("x")), managed: true };
        let changes = vec![put_user(user("U1", "scott")), own, managed.clone()];
        store.change_directory(&t, changes).await.unwrap();
        store.commit(&t, "test", vec![store::Change::PutEnrolment(enrolment("E2", "U1", None))]).await.unwrap();
        assert_eq!(store.managed_users(&t).await.unwrap(), [user("U1", "scott")]);
        let of_file = store.managed_enrolments(&t).await.unwrap();
        assert_eq!(of_file.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["E1"]);
        // A later change by its owner does not take it from the file.
        store.commit(&t, "test", vec![store::Change::PutUser(user("U1", "scott2"))]).await.unwrap();
        store.commit(&t, "test", vec![store::Change::PutEnrolment(of_file[0].clone())]).await.unwrap();
        assert_eq!(store.managed_users(&t).await.unwrap().len(), 1);
        store.change_directory(&t, vec![managed]).await.unwrap();
        assert_eq!(store.managed_enrolments(&t).await.unwrap()[0].version, 3);

        store.change_directory(&t, vec![DirectoryChange::RemoveUser("U1".into())]).await.unwrap();
        assert!(store.managed_users(&t).await.unwrap().is_empty());
        assert!(store.enrolments(&t, &"U1".into()).await.unwrap().is_empty());
        let found = store.users_by_attribute(&t, "email", "scott@example.test", 1).await.unwrap();
        assert!(found.is_empty());
        assert!(store.user(&t, &"U2".into()).await.unwrap().is_some());
    });
}

#[test]
fn a_person_is_found_by_login_in_any_case_and_once_in_a_source() {
    on_both(|store| async move {
        let t = tenant();
        let mut elsewhere = user("U2", "ZOË");
        elsewhere.source = "other".into();
        store.change_directory(&t, vec![put_user(user("U1", "Zoë")), put_user(elsewhere)]).await.unwrap();
        let found = store.user_by_login(&t, &"source".into(), "zOË").await.unwrap().unwrap();
        assert_eq!((found.id.as_str(), found.username.as_str()), ("U1", "Zoë"));
        let found = store.user_by_login(&t, &"other".into(), "zoë").await.unwrap().unwrap();
        assert_eq!(found.id.as_str(), "U2");
        assert!(store.user_by_login(&t, &"source".into(), " zoë").await.unwrap().is_none());
        refused(store.change_directory(&t, vec![put_user(user("U3", "zoË"))]).await);
        // Put again, the person was made when it was first made.
        let mut again = user("U1", "Zoë");
        again.created = NOW + 100;
        store.change_directory(&t, vec![put_user(again)]).await.unwrap();
        assert_eq!(store.user(&t, &"U1".into()).await.unwrap().unwrap().created, NOW);
    });
}

fn session() -> store::Item {
    store::Item {
        kind: "session",
        name: "s".to_owned(),
        owner: Some("U1".to_owned()),
        link: None,
        created: NOW,
        expires: NOW + 60,
        body: "{}".to_owned(),
        version: 0,
    }
}

#[test]
fn what_people_have_is_changed_with_the_directory_or_not_at_all() {
    on_both(|store| async move {
        let t = tenant();
        let also = |change| DirectoryChange::Also(Box::new(change));
        store
            .change_directory(&t, vec![put_user(user("U1", "scott")), also(store::Change::PutItem(session()))])
            .await
            .unwrap();
        assert!(store.item(&t, "session", "s").await.unwrap().is_some());
        let ends = || also(store::Change::DropItemsOf { kind: "session", owner: "U1".to_owned() });
        let stale = store::Item { version: 7, ..session() };
        let off = || put_user(User { active: false, ..user("U1", "scott") });
        let changes = vec![off(), ends(), also(store::Change::PutItem(stale))];
        assert_eq!(refused(store.change_directory(&t, changes).await), 2);
        assert!(store.user(&t, &"U1".into()).await.unwrap().unwrap().active);
        store.change_directory(&t, vec![off(), ends()]).await.unwrap();
        assert!(store.item(&t, "session", "s").await.unwrap().is_none());
    });
}

#[test]
fn who_was_cut_off_meanwhile_stays_cut_off() {
    on_both(|store| async move {
        let t = tenant();
        let since = |not_before| User { not_before, ..user("U1", "scott") };
        store.change_directory(&t, vec![put_user(since(NOW))]).await.unwrap();
        // Written by who read the person before that.
        store.change_directory(&t, vec![put_user(since(0))]).await.unwrap();
        assert_eq!(store.user(&t, &"U1".into()).await.unwrap().unwrap().not_before, NOW);
        store.change_directory(&t, vec![put_user(since(NOW + 1))]).await.unwrap();
        assert_eq!(store.user(&t, &"U1".into()).await.unwrap().unwrap().not_before, NOW + 1);
    });
}

#[test]
fn removing_a_tenant_leaves_nothing() {
    on_both(|store| async move {
        let t = tenant();
        store.change_directory(&t, vec![put_user(user("U1", "scott"))]).await.unwrap();
        let changes = vec![
            store::Change::BeginSignIn(sign_in("a", 1)),
            store::Change::AddGrant(grant("g")),
            store::Change::AddToken(digest(9), token("g", None)),
            store::Change::PutEnrolment(enrolment("e", "U1", None)),
            store::Change::Spend { key: "k".into(), expires: NOW + 1 },
            store::Change::PutItem(session()),
        ];
        store.commit(&t, "test", changes).await.unwrap();
        store.change_directory(&t, vec![DirectoryChange::RemoveTenant]).await.unwrap();
        assert_eq!(store.sweep(i64::MAX, 100).await.unwrap(), 0, "nothing is left to expire");
        assert!(store.user(&t, &"U1".into()).await.unwrap().is_none());
        assert!(store.enrolment(&t, &"e".into()).await.unwrap().is_none());
        assert!(store.users_by_attribute(&t, "email", "scott@example.test", 1).await.unwrap().is_empty());
    });
}

#[test]
fn a_change_made_of_what_was_read_is_refused_once_anything_is_another() {
    on_both(|store| async move {
        let t = tenant();
        let put = |record| vec![DirectoryChange::PutPolicy(record)];
        store.change_directory(&t, put(policy(7, 1, true))).await.unwrap();
        let read = store.directory_version().await.unwrap();
        store.change_directory_at(read, &t, put(policy(7, 2, true))).await.unwrap();
        assert_eq!(refused(store.change_directory_at(read, &t, put(policy(7, 1, true))).await), 1);
        assert_eq!(store.policy_revision(&t, 7, 2).await.unwrap().map(|record| record.primary), Some(true));
        let read = store.directory_version().await.unwrap();
        store.change_directory_at(read, &t, put(policy(7, 1, true))).await.unwrap();
        assert_eq!(store.directory_version().await.unwrap(), read + 1);
    });
}
