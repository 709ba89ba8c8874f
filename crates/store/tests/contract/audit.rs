//! The trail only grows, and one seal of a number is set over entries nobody sealed before.

use store::{AuditEntry, AuditSeal, Change};

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
