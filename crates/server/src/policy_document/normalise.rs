//! What the server adds to a document before it is stored: ids, the read-only part of `meta`, and what is derived.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::names::SCHEMA;
use super::parse::{evaluation_context, rule_ids};

/// Who stores which revision of which policy, and when.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// The policy.
    pub id: i64,
    /// Its revision, from 1.
    pub revision: i64,
    /// Seconds.
    pub now: i64,
    /// The id of the person or client.
    pub actor: &'a str,
}

/// The document as it is stored. `existing` is the `meta` of the revision it replaces or follows.
///
/// The document must have passed [`parse`](super::parse()). Members nobody knows are left out; what a caller may not
/// set is taken from `existing` or made here. The result is its own normal form but for `modified` and `modifiedBy`.
pub fn normalise(document: &Value, existing: Option<&Value>, stamp: Stamp<'_>) -> Value {
    let given_rules = document.get("rules").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let rules: Vec<Value> = given_rules.iter().zip(rule_ids(given_rules)).map(|(given, id)| rule(given, &id)).collect();
    let contains_first = rules.iter().any(|rule| rule["firstFactor"] == Value::Bool(true));
    let mut normal = json!({
        "id": stamp.id,
        "name": text(document, "name"),
        "description": text(document, "description"),
        "containsFirstFactor": contains_first,
        "rules": rules,
        "meta": meta(document.get("meta"), existing, stamp),
        "validations": { "subscriptionsNeeded": [] },
        "requiredSubscriptions": [],
    });
    if let Some(adaptive) = document.get("adaptive").filter(|adaptive| !adaptive.is_null()) {
        normal["adaptive"] = adaptive.clone();
    }
    normal
}

/// Whether the second document, normalised, decides otherwise than the first: then it is a new revision.
pub fn differs_in_effect(before: &Value, after: &Value) -> bool {
    let effect = |document: &Value| -> [Value; 5] {
        [
            document["rules"].clone(),
            document["adaptive"].clone(),
            document["meta"]["state"].clone(),
            document["meta"]["enforcementType"].clone(),
            document["meta"]["evaluationContext"].clone(),
        ]
    };
    effect(before) != effect(after)
}

fn text(value: &Value, member: &str) -> String {
    value.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn flag(value: &Value, member: &str) -> bool {
    value.get(member).and_then(Value::as_bool).unwrap_or_default()
}

fn list(value: &Value, member: &str) -> Value {
    value.get(member).filter(|items| items.is_array()).cloned().unwrap_or_else(|| json!([]))
}

fn rule(given: &Value, id: &str) -> Value {
    let result = given.get("result").unwrap_or(&Value::Null);
    let mut rule = json!({
        "id": id,
        "name": text(given, "name"),
        "description": text(given, "description"),
        "alwaysRun": flag(given, "alwaysRun"),
        "firstFactor": flag(given, "firstFactor"),
        "conditions": list(given, "conditions"),
        "result": {
            "action": text(result, "action"),
            "serverSideActions": list(result, "serverSideActions"),
            "authnMethods": list(result, "authnMethods"),
        },
    });
    // Words of ours, which say something only where they are said.
    for word in ["enrolment", "reauthenticate"] {
        if let Some(said) = result.get(word).filter(|said| !said.is_null()) {
            rule["result"][word] = said.clone();
        }
    }
    rule
}

fn meta(given: Option<&Value>, existing: Option<&Value>, stamp: Stamp<'_>) -> Value {
    let empty = Value::Null;
    let (given, old) = (given.unwrap_or(&empty), existing.unwrap_or(&empty));
    let kept = |member: &str, otherwise: Value| old.get(member).cloned().unwrap_or(otherwise);
    let state = text(given, "state");
    let stages: Map<String, Value> = evaluation_context(given.get("evaluationContext"))
        .unwrap_or_default()
        .into_iter()
        .map(|(stage, id)| (stage, id.as_str().map_or_else(|| json!(id.to_string()), |id| json!(id.trim()))))
        .collect();
    let references: BTreeSet<&str> = stages.values().filter_map(Value::as_str).collect();
    let enforcement = given.get("enforcementType").and_then(Value::as_str).unwrap_or("fedSSO");
    let scope = given.get("scope").filter(|scope| scope.is_array()).cloned();
    // Of this revision, not of the policy: it says whether a sign-in may have begun with it.
    let same_revision = old.get("revision").and_then(Value::as_i64) == Some(stamp.revision);
    let last_active = match state.as_str() {
        "ACTIVE" => json!(stamp.now),
        _ if same_revision => kept("lastActive", json!(0)),
        _ => json!(0),
    };
    let mut meta = json!({
        "state": state,
        "schema": SCHEMA,
        "revision": stamp.revision,
        "label": text(given, "label"),
        "predefined": kept("predefined", json!(false)),
        "created": kept("created", json!(stamp.now)),
        "createdBy": kept("createdBy", json!(stamp.actor)),
        "lastActive": last_active,
        "modified": stamp.now,
        "modifiedBy": stamp.actor,
        "scope": scope.unwrap_or_else(|| json!(["administrators"])),
        "enforcementType": enforcement,
        "referencedBy": [],
        "references": references,
        "tenantDefaultPolicy": flag(given, "tenantDefaultPolicy"),
    });
    if !stages.is_empty() {
        meta["evaluationContext"] = Value::Object(stages);
    }
    meta
}
