//! The trail only grows, one seal of a number is set over entries nobody sealed before, what goes goes from the beginning, and each
//! webhook has one place in it.

use protocol::records::{AuditWebhook, Tenant};
use store::{AuditAnchor, AuditCursor, AuditEntry, AuditSeal, Change, CommitError, DirectoryChange, Store};

use crate::world::*;

fn entry(id: &str) -> AuditEntry {
    AuditEntry { id: id.to_owned(), at: NOW, body: r#"{"event":"e"}"#.to_owned() }
}

fn seal(number: i64, entries: i64) -> AuditSeal {
    AuditSeal { number, at: NOW, entries, hash: vec![1; 32], mac: vec![2; 32] }
}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn entries_are_written_with_the_changes_they_tell_of_or_not_at_all() {
    on_both(|store| async move {
        do_one(&store, Change::Audit(entry("b"))).await;
        do_one(&store, Change::Audit(entry("a"))).await;
        let refused_with = vec![Change::UpdateGrant(grant("nobody")), Change::Audit(entry("c"))];
        assert_eq!(refused(store.commit(&tenant(), "test", refused_with).await), 0);
        assert_eq!(store.audit_entries(&tenant(), 0, "", 10).await.unwrap(), [entry("a"), entry("b")]);
        assert_eq!(store.audit_entries(&tenant(), 0, "a", 10).await.unwrap(), [entry("b")]);
        assert_eq!(store.audit_entries(&tenant(), 0, "", 1).await.unwrap(), [entry("a")]);
        assert!(store.audit_entries(&"other".into(), 0, "", 10).await.unwrap().is_empty());
    });
}

#[test]
fn a_seal_is_set_once_over_entries_without_one() {
    on_both(|store| async move {
        for id in ["a", "b", "c"] {
            do_one(&store, Change::Audit(entry(id))).await;
        }
        store.audit_seal(&tenant(), seal(1, 2), names(&["a", "b"])).await.unwrap();
        refused(store.audit_seal(&tenant(), seal(1, 1), names(&["c"])).await);
        refused(store.audit_seal(&tenant(), seal(2, 2), names(&["b", "c"])).await);
        assert_eq!(store.audit_last_seal(&tenant()).await.unwrap(), Some(seal(1, 2)));
        assert_eq!(store.audit_entries(&tenant(), 0, "", 10).await.unwrap(), [entry("c")]);
        assert_eq!(store.audit_entries(&tenant(), 1, "", 10).await.unwrap(), [entry("a"), entry("b")]);
        store.audit_seal(&tenant(), seal(2, 1), names(&["c"])).await.unwrap();
        assert_eq!(store.audit_seals(&tenant(), 0, 10).await.unwrap(), [seal(1, 2), seal(2, 1)]);
        assert_eq!(store.audit_seals(&tenant(), 1, 10).await.unwrap(), [seal(2, 1)]);
        assert_eq!(store.audit_last_seal(&"other".into()).await.unwrap(), None);
    });
}

async fn three_seals(store: &Store) {
    for id in ["a", "b", "c", "d"] {
        do_one(store, Change::Audit(entry(id))).await;
    }
    store.audit_seal(&tenant(), seal(1, 2), names(&["a", "b"])).await.unwrap();
    store.audit_seal(&tenant(), seal(2, 1), names(&["c"])).await.unwrap();
    store.audit_seal(&tenant(), seal(3, 1), names(&["d"])).await.unwrap();
}

fn anchor(number: i64) -> AuditAnchor {
    AuditAnchor { number, at: NOW, entries: 3, hash: vec![3; 32], mac: vec![4; 32] }
}

#[test]
fn a_trail_is_shortened_from_its_beginning_once() {
    on_both(|store| async move {
        three_seals(&store).await;
        do_one(&store, Change::Audit(entry("waits"))).await;
        assert_eq!(store.audit_anchor(&tenant()).await.unwrap(), None);
        assert_eq!(refused(store.audit_remove(&tenant(), 1, anchor(2)).await), 0, "it does not begin there");
        store.audit_remove(&tenant(), 0, anchor(1)).await.unwrap();
        assert_eq!(refused(store.audit_remove(&tenant(), 0, anchor(2)).await), 0, "somebody was first");
        assert_eq!(store.audit_anchor(&tenant()).await.unwrap(), Some(anchor(1)));
        assert_eq!(store.audit_anchor(&"other".into()).await.unwrap(), None);
        assert_eq!(store.audit_seals(&tenant(), 0, 10).await.unwrap(), [seal(2, 1), seal(3, 1)]);
        assert!(store.audit_entries(&tenant(), 1, "", 10).await.unwrap().is_empty());
        store.audit_remove(&tenant(), 1, anchor(2)).await.unwrap();
        assert_eq!(refused(store.audit_remove(&tenant(), 1, anchor(2)).await), 0);
        assert_eq!(store.audit_anchor(&tenant()).await.unwrap(), Some(anchor(2)));
        assert_eq!(store.audit_seals(&tenant(), 0, 10).await.unwrap(), [seal(3, 1)]);
        assert_eq!(store.audit_entries(&tenant(), 3, "", 10).await.unwrap(), [entry("d")]);
        assert_eq!(
            store.audit_entries(&tenant(), 0, "", 10).await.unwrap(),
            [entry("waits")],
            "not sealed, not removed"
        );
        // Where entries stand.
        assert_eq!(store.audit_under(&tenant(), 0, 2).await.unwrap(), None);
        assert_eq!(store.audit_under(&tenant(), 0, i64::MAX).await.unwrap(), Some(3));
        assert_eq!(store.audit_under(&tenant(), 3, i64::MAX).await.unwrap(), None);
        assert_eq!(store.audit_under(&"other".into(), 0, i64::MAX).await.unwrap(), None);
    });
}

fn with_webhooks(webhooks: &[&str]) -> Vec<DirectoryChange> {
    let mut record: Tenant = tenant_record(&tenant());
    let named = webhooks.iter().map(|name| ((*name).to_owned(), AuditWebhook::default()));
    record.settings.audit.webhooks = named.collect();
    vec![DirectoryChange::PutTenant(Box::new(record))]
}

async fn places(store: &Store) -> Vec<(String, i64)> {
    let all = store.audit_cursors(&tenant()).await.unwrap();
    all.into_iter().map(|cursor| (cursor.webhook, cursor.seal)).collect()
}

#[test]
fn a_webhook_has_a_place_from_when_it_is_there_until_it_is_gone() {
    on_both(|store| async move {
        store.change_directory(&tenant(), with_webhooks(&["one"])).await.unwrap();
        assert_eq!(places(&store).await, [("one".to_owned(), 1)]);
        three_seals(&store).await;
        // Put again it stays where it is; a new one begins with what is not sealed.
        store.change_directory(&tenant(), with_webhooks(&["one", "two"])).await.unwrap();
        assert_eq!(places(&store).await, [("one".to_owned(), 1), ("two".to_owned(), 4)]);
        store.change_directory(&tenant(), with_webhooks(&["two"])).await.unwrap();
        assert_eq!(places(&store).await, [("two".to_owned(), 4)]);
        let many: Vec<String> = (0..9).map(|number| format!("w{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(
            store.change_directory(&tenant(), with_webhooks(&many)).await.is_err(),
            "more than there are places for"
        );
        store.change_directory(&tenant(), with_webhooks(&many[..8])).await.unwrap();
        assert_eq!(places(&store).await.len(), 8);
        assert!(store.audit_cursors(&"other".into()).await.unwrap().is_empty());
        store.change_directory(&tenant(), vec![DirectoryChange::RemoveTenant]).await.unwrap();
        assert!(places(&store).await.is_empty());
    });
}

#[test]
fn a_webhook_is_taken_by_one_and_moved_by_whoever_has_it() {
    on_both(|store| async move {
        store.change_directory(&tenant(), with_webhooks(&["one"])).await.unwrap();
        assert!(store.audit_behind(NOW, 10).await.unwrap().is_empty(), "nothing is sealed");
        three_seals(&store).await;
        let found = store.audit_behind(NOW, 10).await.unwrap().remove(0);
        let racing: Vec<_> = (0..8)
            .map(|_| {
                let (store, found) = (store.clone(), found.clone());
                tokio::spawn(async move { store.audit_claim(&found, NOW + 60).await })
            })
            .collect();
        let mut won: Vec<AuditCursor> = Vec::new();
        for one in racing {
            match one.await.unwrap() {
                Ok(cursor) => won.push(cursor),
                Err(CommitError::Refused { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        let [held] = &won[..] else { panic!("{won:?}") };
        assert!(store.audit_behind(NOW + 59, 10).await.unwrap().is_empty(), "taken");
        refused(store.audit_not_told(&found, NOW).await);
        let held = store.audit_told(held, 2, "c", NOW + 60).await.unwrap();
        assert_eq!((held.seal, held.entry.as_str(), held.tries), (2, "c", 0));
        assert!(store.audit_behind(NOW + 59, 10).await.unwrap().is_empty(), "taken still");
        store.audit_not_told(&held, NOW + 5).await.unwrap();
        assert!(store.audit_behind(NOW + 4, 10).await.unwrap().is_empty(), "not due yet");
        let next = store.audit_behind(NOW + 5, 10).await.unwrap().remove(0);
        assert_eq!((next.seal, next.entry.as_str(), next.tries), (2, "c", 1));
        // Whoever had it and was too slow moves nothing.
        assert!(matches!(store.audit_told(&held, 4, "", NOW).await, Err(CommitError::Refused { .. })));
        let next = store.audit_claim(&next, NOW + 65).await.unwrap();
        store.audit_told(&next, 4, "", NOW + 5).await.unwrap();
        assert!(store.audit_behind(NOW + 100, 10).await.unwrap().is_empty(), "it was told everything");
        do_one(&store, Change::Audit(entry("e"))).await;
        store.audit_seal(&tenant(), seal(4, 1), names(&["e"])).await.unwrap();
        assert_eq!(store.audit_behind(NOW + 5, 10).await.unwrap().len(), 1);
    });
}
