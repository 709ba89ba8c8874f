//! People and groups change by version, are found by pages, and a group always knows who is in it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::records::{Group, GroupId, User, UserId};
use store::{Change, DirectoryChange, GroupRow, Item, Member, Store};

use crate::world::*;

fn group(id: &str, name: &str) -> GroupRow {
    GroupRow {
        group: Group { id: id.into(), name: name.to_owned(), source: "source".into() },
        attributes: BTreeMap::from([("externalId".to_owned(), vec!["x".to_owned()])]),
        created: NOW,
        updated: NOW,
        version: 1,
    }
}

/// A person in no group.
fn alone(id: &str, username: &str) -> User {
    User { groups: BTreeSet::new(), ..user(id, username) }
}

async fn members(store: &Store, id: &str) -> Vec<String> {
    let found = store.members(&tenant(), &id.into()).await.unwrap();
    found.into_iter().map(|member| member.user.0).collect()
}

async fn groups_of(store: &Store, id: &str) -> Vec<String> {
    let (user, _) = store.person(&tenant(), &id.into()).await.unwrap().unwrap();
    user.groups.into_iter().map(|group| group.0).collect()
}

async fn version(store: &Store, id: &str) -> i64 {
    store.person(&tenant(), &id.into()).await.unwrap().unwrap().1
}

async fn group_version(store: &Store, id: &str) -> i64 {
    store.group(&tenant(), &id.into()).await.unwrap().unwrap().version
}

fn join(group: &str, user: &str) -> Change {
    Change::JoinGroup { group: group.into(), user: user.into() }
}

fn leave(group: &str, user: &str) -> Change {
    Change::LeaveGroup { group: group.into(), user: user.into() }
}

#[test]
fn a_person_is_added_once_and_changed_by_version() {
    on_both(|store| async move {
        let t = tenant();
        do_one(&store, Change::AddUser(alone("U1", "Scott"))).await;
        assert_eq!(store.person(&t, &"U1".into()).await.unwrap(), Some((alone("U1", "Scott"), 1)));
        refused(store.commit(&t, "test", vec![Change::AddUser(alone("U1", "other"))]).await);
        refused(store.commit(&t, "test", vec![Change::AddUser(alone("U2", "SCOTT"))]).await);
        do_one(&store, Change::AddUser(alone("U2", "pat"))).await;

        let edit = |username: &str, version| Change::EditUser { user: alone("U1", username), version };
        refused(store.commit(&t, "test", vec![edit("scott2", 7)]).await);
        refused(store.commit(&t, "test", vec![edit("PAT", 1)]).await);
        do_one(&store, edit("scott2", 1)).await;
        refused(store.commit(&t, "test", vec![edit("scott3", 1)]).await);
        let (found, version) = store.person_by_login(&t, &"source".into(), "SCOTT2").await.unwrap().unwrap();
        assert_eq!((found.id.as_str(), version), ("U1", 2));
        let found = store.people_by_attribute(&t, "email", "scott2@example.test", 5).await.unwrap();
        assert_eq!(found.len(), 1);
        assert!(store.person(&other_tenant(), &"U1".into()).await.unwrap().is_none());
    });
}

#[test]
fn whoever_else_writes_a_person_raises_the_version() {
    on_both(|store| async move {
        let t = tenant();
        store.change_directory(&t, vec![put_user(alone("U1", "scott"))]).await.unwrap();
        assert_eq!(version(&store, "U1").await, 1);
        store.change_directory(&t, vec![put_user(alone("U1", "scott"))]).await.unwrap();
        do_one(&store, Change::PutUser(alone("U1", "scott"))).await;
        let to = "$argon2id$new".to_owned();
        do_one(&store, Change::Rehash { user: "U1".into(), from: "$argon2id$old".to_owned(), to, at: NOW }).await;
        assert_eq!(version(&store, "U1").await, 4);
    });
}

#[test]
fn of_changes_to_one_version_one_is_made() {
    on_both(|store| async move {
        do_one(&store, Change::AddUser(alone("U1", "scott"))).await;
        do_one(&store, Change::AddGroup(group("g", "G"))).await;
        let won =
            race(&store, 12, |number| [Change::EditUser { user: alone("U1", &format!("name{number}")), version: 1 }])
                .await;
        assert_eq!(won, 1);
        let won = race(&store, 12, |_| [Change::EditGroup(group("g", "G2")), join("g", "U1")]).await;
        assert_eq!(won, 1);
        let won = race(&store, 12, |_| [Change::RemoveUser { user: "U1".into(), version: 3 }]).await;
        assert_eq!(won, 1);
    });
}

/// A person with something of every kind.
async fn owner_of_everything(store: &Store) {
    let item = Item {
        kind: "session",
        name: "s".to_owned(),
        owner: Some("U1".to_owned()),
        link: None,
        created: NOW,
        expires: NOW + 60,
        body: "{}".to_owned(),
        version: 0,
    };
    let mut grant = grant("g1");
    grant.subject = Some("U1".into());
    let changes = vec![
        Change::AddUser(alone("U1", "scott")),
        Change::AddGroup(group("g", "G")),
        join("g", "U1"),
        Change::PutEnrolment(enrolment("E1", "U1", None)),
        Change::PutItem(item),
        Change::AddGrant(grant),
        Change::AddToken(digest(9), token("g1", Some("U1"))),
    ];
    store.commit(&tenant(), "test", changes).await.unwrap();
}

async fn nothing_is_left(store: &Store) {
    let t = tenant();
    assert!(store.person(&t, &"U1".into()).await.unwrap().is_none());
    assert!(members(store, "g").await.is_empty());
    assert!(store.enrolments(&t, &"U1".into()).await.unwrap().is_empty());
    assert!(store.item(&t, "session", "s").await.unwrap().is_none());
    assert!(store.token(&t, &digest(9)).await.unwrap().is_none());
    assert!(!store.grant(&t, &"g1".into()).await.unwrap().unwrap().active);
    assert!(store.people_by_attribute(&t, "email", "scott@example.test", 1).await.unwrap().is_empty());
}

#[test]
fn a_person_who_is_removed_leaves_nothing() {
    on_both(|store| async move {
        owner_of_everything(&store).await;
        let before = group_version(&store, "g").await;
        refused(store.commit(&tenant(), "test", vec![Change::RemoveUser { user: "U1".into(), version: 1 }]).await);
        assert_eq!(members(&store, "g").await, ["U1"]);
        do_one(&store, Change::RemoveUser { user: "U1".into(), version: 2 }).await;
        nothing_is_left(&store).await;
        assert!(group_version(&store, "g").await > before);
    });
}

#[test]
fn a_person_whom_the_tenant_file_removes_leaves_nothing_to_the_next_of_the_same_id() {
    on_both(|store| async move {
        owner_of_everything(&store).await;
        let before = group_version(&store, "g").await;
        store.change_directory(&tenant(), vec![DirectoryChange::RemoveUser("U1".into())]).await.unwrap();
        nothing_is_left(&store).await;
        assert!(group_version(&store, "g").await > before);
        store.change_directory(&tenant(), vec![put_user(alone("U1", "next"))]).await.unwrap();
        assert!(store.items_of(&tenant(), "session", "U1", 9).await.unwrap().is_empty());
    });
}

#[test]
fn a_group_knows_who_is_in_it_and_a_person_in_which_they_are() {
    on_both(|store| async move {
        let t = tenant();
        for id in ["U1", "U2", "U3"] {
            do_one(&store, Change::AddUser(alone(id, &format!("name of {id}")))).await;
        }
        for id in ["a", "b", "bb", "c"] {
            do_one(&store, Change::AddGroup(group(id, id))).await;
        }
        for id in ["b", "a", "c", "bb"] {
            do_one(&store, join(id, "U1")).await;
            do_one(&store, join(id, "U1")).await;
        }
        do_one(&store, join("b", "U2")).await;
        assert_eq!(groups_of(&store, "U1").await, ["a", "b", "bb", "c"]);
        assert_eq!(members(&store, "b").await, ["U1", "U2"]);
        let named = Member { user: UserId::from("U2"), username: "name of U2".to_owned() };
        assert_eq!(store.members(&t, &"b".into()).await.unwrap()[1], named);
        assert_eq!(refused(store.commit(&t, "test", vec![join("b", "U3"), join("b", "nobody")]).await), 1);
        assert_eq!(members(&store, "b").await, ["U1", "U2"]);
        // The first, the last and one in the middle of the list, and one whose name begins like another's.
        do_one(&store, leave("b", "U1")).await;
        assert_eq!(groups_of(&store, "U1").await, ["a", "bb", "c"]);
        do_one(&store, leave("bb", "U1")).await;
        do_one(&store, leave("bb", "U1")).await;
        do_one(&store, leave("a", "U1")).await;
        assert_eq!(groups_of(&store, "U1").await, ["c"]);
        do_one(&store, leave("c", "U1")).await;
        assert!(groups_of(&store, "U1").await.is_empty());
        do_one(&store, join("c", "U1")).await;
        assert_eq!(groups_of(&store, "U1").await, ["c"]);
        // A change of the person leaves the groups alone.
        let version = version(&store, "U1").await;
        do_one(&store, Change::EditUser { user: alone("U1", "renamed"), version }).await;
        assert_eq!(groups_of(&store, "U1").await, ["c"]);
    });
}

#[test]
fn groups_change_by_version_and_with_the_configuration() {
    on_both(|store| async move {
        let t = tenant();
        for id in ["U1", "U2"] {
            do_one(&store, Change::AddUser(alone(id, id))).await;
        }
        let at = store.directory_version().await.unwrap();
        let add = vec![Change::DirectoryAt { version: at }, Change::AddGroup(group("g", "G")), join("g", "U1")];
        store.commit(&t, "test", add).await.unwrap();
        assert_eq!(store.directory_version().await.unwrap(), at + 1);
        assert_eq!(store.group(&t, &"g".into()).await.unwrap(), Some(group("g", "G")));
        let stale = vec![Change::DirectoryAt { version: at }, Change::AddGroup(group("h", "H"))];
        assert_eq!(refused(store.commit(&t, "test", stale).await), 0);
        refused(store.commit(&t, "test", vec![Change::AddGroup(group("g", "again"))]).await);
        do_one(&store, Change::EditGroup(group("g", "renamed"))).await;
        refused(store.commit(&t, "test", vec![Change::EditGroup(group("g", "late"))]).await);
        let found = store.groups(&t, 10).await.unwrap();
        assert_eq!((found[0].group.name.as_str(), found[0].version), ("renamed", 2));
        do_one(&store, join("g", "U2")).await;
        do_one(&store, Change::EmptyGroup("g".into())).await;
        assert!(members(&store, "g").await.is_empty() && groups_of(&store, "U2").await.is_empty());
        do_one(&store, join("g", "U1")).await;
        refused(store.commit(&t, "test", vec![Change::RemoveGroup { id: "g".into(), version: 1 }]).await);
        do_one(&store, Change::RemoveGroup { id: "g".into(), version: 2 }).await;
        assert!(store.group(&t, &"g".into()).await.unwrap().is_none());
        assert!(groups_of(&store, "U1").await.is_empty());
        assert!(store.group(&other_tenant(), &"g".into()).await.unwrap().is_none());
    });
}

#[test]
fn what_the_tenant_file_says_of_groups_is_searched_too() {
    on_both(|store| async move {
        let t = tenant();
        let record = group("ADMINISTRATORS", "Administrators").group;
        let put = DirectoryChange::PutGroup(record.clone());
        store.change_directory(&t, vec![put.clone(), put_user(user("U1", "scott"))]).await.unwrap();
        assert_eq!(members(&store, "ADMINISTRATORS").await, ["U1"]);
        let before = group_version(&store, "ADMINISTRATORS").await;
        store.change_directory(&t, vec![put_user(alone("U1", "scott"))]).await.unwrap();
        assert!(members(&store, "ADMINISTRATORS").await.is_empty());
        assert!(group_version(&store, "ADMINISTRATORS").await > before);
        store.change_directory(&t, vec![put, put_user(user("U1", "scott"))]).await.unwrap();
        let gone = DirectoryChange::RemoveGroup(GroupId::from("ADMINISTRATORS"));
        store.change_directory(&t, vec![gone]).await.unwrap();
        assert!(groups_of(&store, "U1").await.is_empty());
    });
}

#[test]
fn people_are_listed_by_pages() {
    on_both(|store| async move {
        let t = tenant();
        assert_eq!(store.count_people(&t).await.unwrap(), 0);
        for number in 0..25 {
            do_one(&store, Change::AddUser(alone(&format!("U{number:02}"), &format!("name{number}")))).await;
        }
        let elsewhere = vec![put_user(alone("U99", "other"))];
        store.change_directory(&other_tenant(), elsewhere).await.unwrap();
        assert_eq!(store.count_people(&t).await.unwrap(), 25);
        let ids = |found: Vec<(User, i64)>| found.into_iter().map(|(user, _)| user.id.0).collect::<Vec<_>>();
        assert_eq!(ids(store.people_from(&t, 23, 10).await.unwrap()), ["U23", "U24"]);
        assert_eq!(ids(store.people_after(&t, "U22", 10).await.unwrap()), ["U23", "U24"]);
        assert_eq!(ids(store.people_after(&t, "", 2).await.unwrap()), ["U00", "U01"]);
    });
}

#[test]
fn what_needs_a_person_is_written_only_while_they_are_as_they_were_read() {
    on_both(|store| async move {
        do_one(&store, Change::AddUser(alone("u", "ursula"))).await;
        let needs = |not_before: i64, key: &str| {
            let need = Change::NeedUser { user: "u".into(), not_before };
            vec![need, Change::Spend { key: key.to_owned(), expires: NOW + 60 }]
        };
        let spent = async |key: &str| {
            let again = Change::Spend { key: key.to_owned(), expires: NOW + 60 };
            store.commit(&tenant(), "test", vec![again]).await.is_err()
        };
        store.commit(&tenant(), "test", needs(0, "as read")).await.unwrap();
        assert_eq!(refused(store.commit(&tenant(), "test", needs(5, "other")).await), 0);
        assert_eq!(version(&store, "u").await, 1, "it changes nothing");

        // Switched off while somebody needs them: the one comes before the other, and both know it.
        let here = tenant();
        let off = User { active: false, ..alone("u", "ursula") };
        let switching = store.commit(&here, "test", vec![Change::EditUser { user: off, version: 1 }]);
        let writing = store.commit(&here, "test", needs(0, "at once"));
        let (switched, written) = tokio::join!(switching, writing);
        switched.unwrap();
        assert_eq!(spent("at once").await, written.is_ok());
        assert_eq!(refused(store.commit(&here, "test", needs(0, "off")).await), 0);
        do_one(&store, Change::RemoveUser { user: "u".into(), version: 2 }).await;
        assert_eq!(refused(store.commit(&here, "test", needs(0, "gone")).await), 0);
        for key in ["other", "off", "gone"] {
            assert!(!spent(key).await, "{key}");
        }
    });
}
