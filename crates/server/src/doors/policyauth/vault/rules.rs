//! What may be done with a tenant's policies: pure rules over its records. Stores nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::records::{Client, PolicyRecord};
use serde_json::{Value, json};

use crate::directory::DirectoryChange;
use crate::policy_document::{Problem, Shape, Stamp, differs_in_effect, downgrade, normalise, parse, upgrade};

/// Policies of one tenant at most.
const MOST_POLICIES: usize = 1000;
/// Revisions of one policy at most.
const MOST_REVISIONS: usize = 1000;

/// Why something may not be done with a policy.
#[derive(Debug, PartialEq, Eq)]
pub enum Objection {
    /// The document is wrong.
    Invalid(Vec<Problem>),
    /// It is right in itself, but cannot be so here.
    NotPossible(&'static str),
    /// A client follows the policy.
    InUse,
    /// No such policy or revision.
    NotFound,
}

/// The policies of a tenant, as far as they bear on one of them.
pub struct Vault<'a> {
    /// The primary revisions, by id.
    pub primaries: &'a BTreeMap<i64, Arc<PolicyRecord>>,
    /// Whether some client follows the policy.
    pub in_use: &'a dyn Fn(i64) -> bool,
}

/// What is to be written, and the revision it leaves behind.
#[derive(Debug)]
pub struct Write {
    /// In one transaction.
    pub changes: Vec<DirectoryChange>,
    /// As it is stored.
    pub record: PolicyRecord,
}

/// Whether one of the clients follows the policy.
pub fn followed<'a>(mut clients: impl Iterator<Item = &'a Arc<Client>>, id: i64) -> bool {
    clients.any(|client| client.policy == Some(id))
}

impl Vault<'_> {
    /// The document as it is shown: with the policies that refer to it.
    pub fn shown(&self, record: &PolicyRecord, shape: Option<Shape>) -> Value {
        let mut document = record.document.clone();
        if let Some(meta) = document.get_mut("meta").and_then(Value::as_object_mut) {
            let by: Vec<String> = self.referring_to(record.id).map(|id| id.to_string()).collect();
            meta.insert("referencedBy".to_owned(), json!(by));
        }
        match shape {
            Some(shape) => downgrade(&document, shape),
            None => document,
        }
    }

    fn referring_to(&self, id: i64) -> impl Iterator<Item = i64> {
        let wanted = id.to_string();
        self.primaries
            .values()
            .filter(move |record| record.id != id && references(&record.document).contains(wanted.as_str()))
            .map(|record| record.id)
    }

    /// A new policy.
    pub fn create(&self, given: &Value, stamp: Stamp<'_>) -> Result<Write, Objection> {
        if self.primaries.len() >= MOST_POLICIES {
            return Err(Objection::NotPossible("the tenant has as many policies as it may have"));
        }
        let document = self.prepared(given, None, stamp)?;
        Ok(self.write(PolicyRecord { id: stamp.id, revision: stamp.revision, primary: true, document }, true))
    }

    /// The policy replaced: a new revision that is primary, or where nothing changes in effect the same one in new words.
    pub fn replace(&self, given: &Value, all: &[PolicyRecord], now: i64, actor: &str) -> Result<Write, Objection> {
        let primary = all.iter().find(|record| record.primary).ok_or(Objection::NotFound)?;
        changeable(primary)?;
        let stamp = Stamp { id: primary.id, revision: primary.revision, now, actor };
        let document = self.prepared(given, Some(&primary.document), stamp)?;
        self.stays_in_force(primary.id, &document)?;
        if !differs_in_effect(&primary.document, &document) {
            return Ok(self.write(PolicyRecord { document, ..primary.clone() }, false));
        }
        let stamp = Stamp { revision: next_revision(all)?, ..stamp };
        let document = self.prepared(given, Some(&primary.document), stamp)?;
        Ok(self.write(PolicyRecord { id: stamp.id, revision: stamp.revision, primary: true, document }, true))
    }

    /// A further revision; primary if it is active.
    pub fn revise(&self, given: &Value, all: &[PolicyRecord], now: i64, actor: &str) -> Result<Write, Objection> {
        let primary = all.iter().find(|record| record.primary).ok_or(Objection::NotFound)?;
        changeable(primary)?;
        let stamp = Stamp { id: primary.id, revision: next_revision(all)?, now, actor };
        let document = self.prepared(given, Some(&primary.document), stamp)?;
        let primary = document["meta"]["state"] == "ACTIVE";
        Ok(self.write(PolicyRecord { id: stamp.id, revision: stamp.revision, primary, document }, true))
    }

    /// One revision changed in place. What sign-ins may have begun with keeps its effect: only a revision that never was
    /// active may come to decide otherwise.
    pub fn amend(
        &self,
        given: &Value,
        all: &[PolicyRecord],
        revision: i64,
        now: i64,
        actor: &str,
    ) -> Result<Write, Objection> {
        let old = all.iter().find(|record| record.revision == revision).ok_or(Objection::NotFound)?;
        changeable(old)?;
        let stamp = Stamp { id: old.id, revision, now, actor };
        let document = self.prepared(given, Some(&old.document), stamp)?;
        let mut but_for_state = document.clone();
        but_for_state["meta"]["state"] = old.document["meta"]["state"].clone();
        if has_been_in_force(old) && differs_in_effect(&old.document, &but_for_state) {
            return Err(Objection::NotPossible("this revision has been in force; make a new one"));
        }
        let primary = old.primary || document["meta"]["state"] == "ACTIVE";
        if old.primary {
            self.stays_in_force(old.id, &document)?;
        }
        Ok(self.write(PolicyRecord { id: old.id, revision, primary, document }, false))
    }

    /// The policy with all its revisions gone.
    pub fn remove(&self, all: &[PolicyRecord]) -> Result<Vec<DirectoryChange>, Objection> {
        let one = all.first().ok_or(Objection::NotFound)?;
        changeable(one)?;
        if (self.in_use)(one.id) {
            return Err(Objection::InUse);
        }
        if self.referring_to(one.id).next().is_some() {
            return Err(Objection::NotPossible("another policy refers to this one"));
        }
        Ok(vec![DirectoryChange::RemovePolicy(one.id)])
    }

    /// One revision gone; the primary one goes only with the whole policy.
    pub fn remove_revision(&self, all: &[PolicyRecord], revision: i64) -> Result<Vec<DirectoryChange>, Objection> {
        let one = all.iter().find(|record| record.revision == revision).ok_or(Objection::NotFound)?;
        changeable(one)?;
        if one.primary {
            return Err(Objection::NotPossible("the primary revision cannot be removed"));
        }
        // Its number would be given again, and a sign-in that began with it would go on with another document.
        if has_been_in_force(one) && all.iter().all(|other| other.revision <= revision) {
            return Err(Objection::NotPossible("the newest revision has been in force; make a newer one first"));
        }
        Ok(vec![DirectoryChange::RemovePolicyRevision { id: one.id, revision }])
    }

    /// The document in its stored form, once everything about it is right.
    fn prepared(&self, given: &Value, before: Option<&Value>, stamp: Stamp<'_>) -> Result<Value, Objection> {
        let meta = before.map(|before| &before["meta"]);
        let document = upgrade(given, meta);
        let policy = parse(&document, stamp.id, stamp.revision).map_err(Objection::Invalid)?;
        for (stage, id) in &policy.stages {
            if !self.primaries.contains_key(id) {
                let path = format!("meta.evaluationContext.{stage}");
                return Err(Objection::Invalid(vec![Problem { path, message: format!("there is no policy {id}") }]));
            }
        }
        Ok(normalise(&document, meta, stamp))
    }

    /// A policy that is followed must not be put aside: whoever follows it would be asked for nothing. `DRY` says so in as
    /// many words and is allowed.
    fn stays_in_force(&self, id: i64, document: &Value) -> Result<(), Objection> {
        let aside = matches!(document["meta"]["state"].as_str(), Some("DRAFT" | "IDLE"));
        if aside && (self.in_use)(id) { Err(Objection::InUse) } else { Ok(()) }
    }

    /// A tenant has one default policy: when another becomes it, the former one is it no longer.
    fn write(&self, record: PolicyRecord, new: bool) -> Write {
        let mut changes = Vec::new();
        if record.primary && is_default(&record.document) {
            for other in self.primaries.values().filter(|other| other.id != record.id && is_default(&other.document)) {
                let mut other = PolicyRecord::clone(other);
                other.document["meta"]["tenantDefaultPolicy"] = Value::Bool(false);
                changes.push(DirectoryChange::PutPolicy(other));
            }
        }
        // Adding is refused where the revision exists: of two who make the same one, the second must look again.
        changes.push(if new {
            DirectoryChange::AddPolicy(record.clone())
        } else {
            DirectoryChange::PutPolicy(record.clone())
        });
        Write { changes, record }
    }
}

fn has_been_in_force(record: &PolicyRecord) -> bool {
    let meta = &record.document["meta"];
    record.primary || meta["state"] == "DRY" || meta["lastActive"].as_i64().unwrap_or_default() > 0
}

fn is_default(document: &Value) -> bool {
    document["meta"]["tenantDefaultPolicy"] == Value::Bool(true)
}

fn references(document: &Value) -> BTreeSet<&str> {
    document["meta"]["references"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn changeable(record: &PolicyRecord) -> Result<(), Objection> {
    if record.document["meta"]["predefined"] == Value::Bool(true) {
        return Err(Objection::NotPossible("a predefined policy cannot be changed or removed"));
    }
    Ok(())
}

fn next_revision(all: &[PolicyRecord]) -> Result<i64, Objection> {
    if all.len() >= MOST_REVISIONS {
        return Err(Objection::NotPossible("the policy has as many revisions as it may have"));
    }
    Ok(all.iter().map(|record| record.revision).max().unwrap_or_default() + 1)
}
