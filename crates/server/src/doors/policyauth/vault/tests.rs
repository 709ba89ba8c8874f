//! What may be done with policies, by example.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use store::DirectoryChange;

use super::rules::{Objection, Vault, Write};
use crate::policy_document::{Shape, Stamp, parse};
use protocol::records::PolicyRecord;

/// A tenant's policies with every revision, written to as the store would be.
#[derive(Default)]
struct Shelf {
    records: Vec<PolicyRecord>,
    followed: Vec<i64>,
}

impl Shelf {
    fn with<T>(&self, ask: impl FnOnce(&Vault<'_>) -> T) -> T {
        let primaries: BTreeMap<i64, Arc<PolicyRecord>> =
            self.records.iter().filter(|one| one.primary).map(|one| (one.id, Arc::new(one.clone()))).collect();
        ask(&Vault { primaries: &primaries, in_use: &|id| self.followed.contains(&id) })
    }

    fn all(&self, id: i64) -> Vec<PolicyRecord> {
        self.records.iter().filter(|one| one.id == id).cloned().collect()
    }

    fn apply(&mut self, changes: Vec<DirectoryChange>) {
        for change in changes {
            match change {
                DirectoryChange::AddPolicy(record) => {
                    assert!(!self.records.iter().any(|one| (one.id, one.revision) == (record.id, record.revision)));
                    self.put(record);
                }
                DirectoryChange::PutPolicy(record) => self.put(record),
                DirectoryChange::RemovePolicy(id) => self.records.retain(|one| one.id != id),
                DirectoryChange::RemovePolicyRevision { id, revision } => {
                    self.records.retain(|one| (one.id, one.revision) != (id, revision));
                }
                _ => panic!("the vault changes only policies"),
            }
        }
    }

    fn put(&mut self, record: PolicyRecord) {
        self.records.retain(|one| (one.id, one.revision) != (record.id, record.revision));
        for one in self.records.iter_mut().filter(|one| one.id == record.id && record.primary) {
            one.primary = false;
        }
        self.records.push(record);
    }

    fn written(&mut self, write: Result<Write, Objection>) -> Result<PolicyRecord, Objection> {
        let Write { changes, record } = write?;
        self.apply(changes);
        for id in [1, 2] {
            assert!(self.all(id).iter().filter(|one| one.primary).count() <= 1);
        }
        Ok(record)
    }

    fn create(&mut self, id: i64, document: &Value) -> Result<PolicyRecord, Objection> {
        let write = self.with(|vault| vault.create(document, Stamp { id, revision: 1, now: 100, actor: "maker" }));
        self.written(write)
    }

    fn replace(&mut self, id: i64, document: &Value) -> Result<PolicyRecord, Objection> {
        let write = self.with(|vault| vault.replace(document, &self.all(id), 200, "changer"));
        self.written(write)
    }

    fn revise(&mut self, id: i64, document: &Value) -> Result<PolicyRecord, Objection> {
        let write = self.with(|vault| vault.revise(document, &self.all(id), 300, "reviser"));
        self.written(write)
    }

    fn amend(&mut self, id: i64, revision: i64, document: &Value) -> Result<PolicyRecord, Objection> {
        let write = self.with(|vault| vault.amend(document, &self.all(id), revision, 400, "amender"));
        self.written(write)
    }

    fn primary(&self, id: i64) -> i64 {
        self.all(id).iter().find(|one| one.primary).unwrap().revision
    }
}

fn document(name: &str, action: &str, state: &str) -> Value {
    json!({"name": name, "rules": [{"name": "Default rule", "alwaysRun": false, "firstFactor": false, "conditions": [],
            "result": {"action": action, "serverSideActions": [], "authnMethods": []}}],
        "meta": {"state": state, "enforcementType": "nativeAppWeb"}})
}

const ALLOW: &str = "ACTION_ALLOW";
const DENY: &str = "ACTION_DENY";

#[test]
fn a_policy_is_made_complete() {
    let mut shelf = Shelf::default();
    let record = shelf.create(1, &document("One", ALLOW, "ACTIVE")).unwrap();
    assert_eq!((record.id, record.revision, record.primary), (1, 1, true));
    assert_eq!(record.document["meta"]["createdBy"], json!("maker"));
    assert_eq!(record.document["rules"][0]["id"], json!("1"));
    assert!(matches!(shelf.create(1, &json!({})), Err(Objection::Invalid(_))));
}

#[test]
fn a_change_in_effect_is_a_new_revision_and_a_change_of_words_is_not() {
    let mut shelf = Shelf::default();
    shelf.create(1, &document("One", ALLOW, "ACTIVE")).unwrap();
    let renamed = shelf.replace(1, &document("Uno", ALLOW, "ACTIVE")).unwrap();
    assert_eq!((renamed.revision, shelf.all(1).len()), (1, 1));
    let tightened = shelf.replace(1, &document("Uno", DENY, "ACTIVE")).unwrap();
    assert_eq!((tightened.revision, tightened.primary, shelf.all(1).len()), (2, true, 2));
    assert_eq!(tightened.document["meta"]["revision"], json!(2));
    assert_eq!(tightened.document["meta"]["createdBy"], json!("maker"));
    assert_eq!(tightened.document["meta"]["modifiedBy"], json!("changer"));
    assert_eq!(shelf.replace(9, &document("X", ALLOW, "ACTIVE")).unwrap_err(), Objection::NotFound);
}

#[test]
fn a_revision_becomes_primary_when_it_is_active() {
    let mut shelf = Shelf::default();
    shelf.create(1, &document("One", ALLOW, "ACTIVE")).unwrap();
    assert!(!shelf.revise(1, &document("One", DENY, "DRAFT")).unwrap().primary);
    assert_eq!(shelf.primary(1), 1);
    assert!(shelf.revise(1, &document("One", DENY, "ACTIVE")).unwrap().primary);
    assert_eq!(shelf.primary(1), 3);
}

#[test]
fn a_revision_that_was_in_force_keeps_its_effect() {
    let mut shelf = Shelf::default();
    shelf.create(1, &document("One", ALLOW, "ACTIVE")).unwrap();
    shelf.revise(1, &document("One", ALLOW, "DRAFT")).unwrap();
    assert!(matches!(shelf.amend(1, 1, &document("One", DENY, "ACTIVE")), Err(Objection::NotPossible(_))));
    shelf.amend(1, 1, &document("Uno", ALLOW, "DRY")).unwrap();
    // A draft may still become anything, and takes over when it is made active.
    assert!(!shelf.amend(1, 2, &document("One", DENY, "DRAFT")).unwrap().primary);
    assert!(shelf.amend(1, 2, &document("One", DENY, "ACTIVE")).unwrap().primary);
    assert_eq!(shelf.primary(1), 2);
    assert_eq!(shelf.amend(1, 7, &document("One", DENY, "ACTIVE")).unwrap_err(), Objection::NotFound);
}

#[test]
fn what_is_followed_is_neither_removed_nor_put_aside() {
    let mut shelf = Shelf::default();
    shelf.create(1, &document("One", ALLOW, "ACTIVE")).unwrap();
    shelf.followed.push(1);
    assert_eq!(shelf.with(|vault| vault.remove(&shelf.all(1))).unwrap_err(), Objection::InUse);
    for state in ["DRAFT", "IDLE"] {
        assert_eq!(shelf.replace(1, &document("One", ALLOW, state)).unwrap_err(), Objection::InUse);
        assert_eq!(shelf.amend(1, 1, &document("One", ALLOW, state)).unwrap_err(), Objection::InUse);
    }
    shelf.replace(1, &document("One", ALLOW, "DRY")).unwrap();
    shelf.followed.clear();
    let changes = shelf.with(|vault| vault.remove(&shelf.all(1))).unwrap();
    shelf.apply(changes);
    assert!(shelf.all(1).is_empty());
    assert_eq!(shelf.with(|vault| vault.remove(&[])).unwrap_err(), Objection::NotFound);
}

#[test]
fn what_is_referred_to_is_shown_and_stays() {
    let mut shelf = Shelf::default();
    let mut main = document("Main", ALLOW, "ACTIVE");
    main["meta"]["evaluationContext"] = json!({"landing": "2"});
    assert!(matches!(shelf.create(1, &main), Err(Objection::Invalid(_))), "no such sub-policy yet");
    shelf.create(2, &document("Landing", DENY, "ACTIVE")).unwrap();
    shelf.create(1, &main).unwrap();
    assert!(matches!(shelf.with(|vault| vault.remove(&shelf.all(2))), Err(Objection::NotPossible(_))));
    let shown = shelf.with(|vault| vault.shown(&shelf.all(2)[0], None));
    assert_eq!(shown["meta"]["referencedBy"], json!(["1"]));
    let shown = shelf.with(|vault| vault.shown(&shelf.all(1)[0], None));
    assert_eq!((&shown["meta"]["references"], &shown["meta"]["referencedBy"]), (&json!(["2"]), &json!([])));
}

#[test]
fn a_predefined_policy_is_not_touched() {
    let mut shelf = Shelf::default();
    shelf.create(1, &document("One", ALLOW, "ACTIVE")).unwrap();
    shelf.records[0].document["meta"]["predefined"] = json!(true);
    let other = document("One", DENY, "ACTIVE");
    assert!(matches!(shelf.replace(1, &other), Err(Objection::NotPossible(_))));
    assert!(matches!(shelf.revise(1, &other), Err(Objection::NotPossible(_))));
    assert!(matches!(shelf.amend(1, 1, &other), Err(Objection::NotPossible(_))));
    assert!(matches!(shelf.with(|vault| vault.remove(&shelf.all(1))), Err(Objection::NotPossible(_))));
}

#[test]
fn revisions_go_singly_but_not_the_one_in_force() {
    let mut shelf = Shelf::default();
    shelf.create(1, &document("One", ALLOW, "ACTIVE")).unwrap();
    shelf.revise(1, &document("One", DENY, "DRAFT")).unwrap();
    let remove = |shelf: &Shelf, revision| shelf.with(|vault| vault.remove_revision(&shelf.all(1), revision));
    assert!(matches!(remove(&shelf, 1), Err(Objection::NotPossible(_))));
    assert_eq!(remove(&shelf, 3).unwrap_err(), Objection::NotFound);
    let changes = remove(&shelf, 2).unwrap();
    shelf.apply(changes);
    assert_eq!(shelf.all(1).len(), 1);
    // The newest, once in force, keeps its number even when an older one takes over again.
    shelf.revise(1, &document("One", DENY, "ACTIVE")).unwrap();
    shelf.amend(1, 1, &document("One", ALLOW, "ACTIVE")).unwrap();
    assert_eq!(shelf.primary(1), 1);
    assert!(matches!(remove(&shelf, 2), Err(Objection::NotPossible(_))));
}

#[test]
fn a_tenant_has_one_default_policy() {
    let mut shelf = Shelf::default();
    for id in [1, 2] {
        let mut wanted = document("Default", ALLOW, "ACTIVE");
        wanted["meta"]["tenantDefaultPolicy"] = json!(true);
        shelf.create(id, &wanted).unwrap();
    }
    let defaults: Vec<i64> = shelf
        .records
        .iter()
        .filter(|one| one.document["meta"]["tenantDefaultPolicy"] == json!(true))
        .map(|one| one.id)
        .collect();
    assert_eq!(defaults, [2]);
}

#[test]
fn the_old_paths_take_and_show_the_old_forms() {
    let mut shelf = Shelf::default();
    let old = json!({"name": "Old", "schemaVersion": "urn:access:policy:4.0:schema", "enforcementType": "nativeAppWeb",
        "rules": [{"name": "Office", "conditions": {"ipAddress": {"opCode": "MATCH", "values": ["10.0.0.0/8"]}},
            "result": {"extendedAction": {"action": "ACTION_ALLOW"}, "authnMethods": []}}]});
    let record = shelf.create(1, &old).unwrap();
    assert!(parse(&record.document, 1, 1).is_ok());
    let shown = shelf.with(|vault| vault.shown(&record, Some(Shape::Three)));
    assert_eq!(shown["rules"][0]["conditions"], old["rules"][0]["conditions"]);
    assert_eq!(shown["author"], json!("maker"));
    // Sent back as it was shown, nothing has changed.
    let again = shelf.replace(1, &shown).unwrap();
    assert_eq!((again.revision, &again.document["rules"]), (1, &record.document["rules"]));
}
