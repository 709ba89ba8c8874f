//! Documents are kept whole, changed from the version they were read at, and used up once.

use store::{Change, Item};

use crate::world::*;

fn item(name: &str) -> Item {
    Item {
        kind: "session",
        name: name.to_owned(),
        owner: Some("u".to_owned()),
        link: Some("l".to_owned()),
        created: NOW,
        expires: NOW + 300,
        body: r#"{"a":1}"#.to_owned(),
        version: 0,
    }
}

fn take(name: &str, version: Option<i64>) -> Change {
    Change::TakeItem { kind: "session", name: name.to_owned(), version }
}

#[test]
fn an_item_is_found_by_name_by_owner_and_by_link_as_it_was_put() {
    on_both(|store| async move {
        let long = "n".repeat(5000);
        for name in ["a", "b", &long] {
            do_one(&store, Change::PutItem(item(name))).await;
        }
        let kept = store.item(&tenant(), "session", "a").await.unwrap().unwrap();
        assert_eq!(kept, Item { version: 1, ..item("a") });
        assert!(store.item(&tenant(), "session", &long).await.unwrap().is_some());
        assert_eq!(store.items_of(&tenant(), "session", "u", 10).await.unwrap().len(), 3);
        assert_eq!(store.items_linked(&tenant(), "session", "l", 2).await.unwrap().len(), 2);
        assert_eq!(store.item(&tenant(), "code", "a").await.unwrap(), None);
        assert_eq!(store.item(&"other".into(), "session", "a").await.unwrap(), None);
        assert!(store.items_of(&"other".into(), "session", "u", 10).await.unwrap().is_empty());
    });
}

#[test]
fn an_item_is_made_once_and_changed_from_the_version_it_was_read_at_only() {
    on_both(|store| async move {
        do_one(&store, Change::PutItem(item("a"))).await;
        refused(store.commit(&tenant(), "test", vec![Change::PutItem(item("a"))]).await);
        let next = Item { version: 1, body: "{}".to_owned(), owner: None, expires: NOW + 900, ..item("a") };
        do_one(&store, Change::PutItem(next.clone())).await;
        refused(store.commit(&tenant(), "test", vec![Change::PutItem(next.clone())]).await);
        let kept = store.item(&tenant(), "session", "a").await.unwrap().unwrap();
        assert_eq!(kept, Item { version: 2, ..next });
        assert!(store.items_of(&tenant(), "session", "u", 10).await.unwrap().is_empty());
    });
}

#[test]
fn an_item_is_used_up_once_and_with_its_neighbours_or_not_at_all() {
    on_both(|store| async move {
        do_one(&store, Change::PutItem(item("a"))).await;
        assert_eq!(refused(store.commit(&tenant(), "test", vec![take("a", Some(2))]).await), 0);
        assert_eq!(refused(store.commit(&tenant(), "test", vec![take("a", None), take("b", None)]).await), 1);
        assert!(store.item(&tenant(), "session", "a").await.unwrap().is_some());
        do_one(&store, take("a", Some(1))).await;
        assert_eq!(refused(store.commit(&tenant(), "test", vec![take("a", None)]).await), 0);
    });
}

#[test]
fn one_of_many_who_use_up_an_item_at_once_has_it() {
    on_both(|store| async move {
        do_one(&store, Change::PutItem(item("a"))).await;
        let tries: Vec<_> = (0..50)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.commit(&tenant(), "test", vec![take("a", None)]).await.is_ok() })
            })
            .collect();
        let mut won = 0;
        for one in tries {
            won += usize::from(one.await.unwrap());
        }
        assert_eq!(won, 1);
    });
}

#[test]
fn the_body_of_an_item_is_replaced_by_its_version_and_nothing_else_of_it() {
    on_both(|store| async move {
        do_one(&store, Change::PutItem(item("a"))).await;
        let edit = |version| Change::EditItem {
            kind: "session",
            name: "a".to_owned(),
            body: "{\"now\":1}".to_owned(),
            version,
        };
        do_one(&store, edit(1)).await;
        let stands = store.item(&tenant(), "session", "a").await.unwrap().unwrap();
        assert_eq!(stands, Item { body: "{\"now\":1}".to_owned(), version: 2, ..item("a") });
        for version in [0, 1, 3] {
            let late = store.commit(&tenant(), "test", vec![edit(version)]).await;
            assert!(matches!(late, Err(store::CommitError::Refused { .. })), "{version}");
        }
    });
}

#[test]
fn what_needs_an_item_is_written_only_while_it_is_there() {
    on_both(|store| async move {
        do_one(&store, Change::PutItem(item("a"))).await;
        let needs = |link: &str, name: &str| {
            let need = Change::NeedItemLinked { kind: "session", link: link.to_owned() };
            vec![need, Change::PutItem(Item { kind: "consent", ..item(name) })]
        };
        store.commit(&tenant(), "test", needs("l", "first")).await.unwrap();
        assert_eq!(store.item(&tenant(), "session", "a").await.unwrap().unwrap().version, 1, "it changes nothing");
        assert_eq!(refused(store.commit(&tenant(), "test", needs("nobody", "second")).await), 0);
        // Taken while somebody needs it: it is there for both or for neither.
        let here = tenant();
        let taking = store.commit(&here, "test", vec![take("a", None)]);
        let writing = store.commit(&here, "test", needs("l", "third"));
        let (took, wrote) = tokio::join!(taking, writing);
        took.unwrap();
        let third = store.item(&tenant(), "consent", "third").await.unwrap();
        assert_eq!(wrote.is_ok(), third.is_some());
        assert_eq!(refused(store.commit(&tenant(), "test", needs("l", "fourth")).await), 0);
        for name in ["second", "fourth"] {
            assert!(store.item(&tenant(), "consent", name).await.unwrap().is_none(), "{name}");
        }
    });
}

#[test]
fn items_are_dropped_by_owner_and_by_link_and_nothing_else_is() {
    on_both(|store| async move {
        for name in ["a", "b"] {
            do_one(&store, Change::PutItem(item(name))).await;
        }
        do_one(&store, Change::PutItem(Item { owner: Some("v".to_owned()), link: None, ..item("c") })).await;
        do_one(&store, Change::PutItem(Item { kind: "consent", ..item("a") })).await;
        do_one(&store, Change::DropItemsOf { kind: "session", owner: "u".to_owned() }).await;
        assert!(store.item(&tenant(), "session", "b").await.unwrap().is_none());
        assert!(store.item(&tenant(), "session", "c").await.unwrap().is_some());
        do_one(&store, Change::DropItemsLinked { kind: "consent", link: "l".to_owned() }).await;
        assert!(store.item(&tenant(), "consent", "a").await.unwrap().is_none());
        do_one(&store, Change::DropItemsLinked { kind: "session", link: "nobody".to_owned() }).await;
        assert_eq!(store.items_of(&tenant(), "session", "v", 10).await.unwrap().len(), 1);
    });
}

#[test]
fn what_needs_an_item_of_a_version_is_refused_once_it_is_another() {
    on_both(|store| async move {
        let item = Item {
            kind: "consent",
            name: "one".to_owned(),
            owner: None,
            link: None,
            created: NOW,
            expires: NOW + 10,
            body: "{}".to_owned(),
            version: 0,
        };
        do_one(&store, Change::PutItem(item.clone())).await;
        let need = |version| vec![Change::NeedItem { kind: "consent", name: "one".to_owned(), version }];
        store.commit(&tenant(), "test", need(1)).await.unwrap();
        do_one(&store, Change::PutItem(Item { version: 1, ..item })).await;
        refused(store.commit(&tenant(), "test", need(1)).await);
        store.commit(&tenant(), "test", need(2)).await.unwrap();
        do_one(&store, Change::TakeItem { kind: "consent", name: "one".to_owned(), version: None }).await;
        refused(store.commit(&tenant(), "test", need(2)).await);
    });
}
