//! The older document forms of the vendor, read and written on the old paths; inside there is only schema 5.0.

use serde_json::{Map, Value, json};

use super::names::{SCHEMA, SCHEMA_ONE, SCHEMA_THREE};

/// An older form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Schemas 3.0 and 4.0: conditions keyed by kind, `extendedAction`.
    Three,
    /// Schema 1.0: `action` as an object of flags.
    One,
}

/// What stands beside `meta` in the older forms, and its name within `meta`.
const METADATA: [(&str, &str); 6] = [
    ("creationTime", "created"),
    ("author", "createdBy"),
    ("lastModifiedOn", "modified"),
    ("lastModifiedBy", "modifiedBy"),
    ("predefined", "predefined"),
    ("enforcementType", "enforcementType"),
];

/// The same policy as a document of schema 5.0; one that is of that schema already stays as it is.
///
/// What makes no sense stays nonsense, for [`parse`](super::parse()) to refuse. `existing` is the `meta` of the revision it
/// replaces: the older forms cannot say everything, and what they do not say is not to be lost.
pub fn upgrade(document: &Value, existing: Option<&Value>) -> Value {
    let Some(old) = document.as_object() else { return document.clone() };
    let given_meta = old.get("meta");
    if given_meta.and_then(|meta| meta.get("schema")).is_some() {
        return document.clone();
    }
    let mut meta: Map<String, Value> = existing.and_then(Value::as_object).cloned().unwrap_or_default();
    meta.extend(given_meta.and_then(Value::as_object).cloned().unwrap_or_default());
    for (outer, inner) in METADATA {
        if let Some(value) = old.get(outer) {
            meta.insert(inner.to_owned(), value.clone());
        }
    }
    meta.insert("schema".to_owned(), json!(SCHEMA));
    meta.entry("state").or_insert_with(|| json!("ACTIVE"));
    let mut new: Map<String, Value> = old
        .iter()
        .filter(|(name, _)| {
            let name = name.as_str();
            !matches!(name, "schemaVersion" | "format" | "meta" | "rules")
                && !METADATA.iter().any(|(outer, _)| *outer == name)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let rules = match old.get("rules") {
        Some(Value::Array(rules)) => Value::Array(rules.iter().map(upgrade_rule).collect()),
        other => other.cloned().unwrap_or(Value::Null),
    };
    new.insert("rules".to_owned(), rules);
    new.insert("meta".to_owned(), Value::Object(meta));
    Value::Object(new)
}

fn upgrade_rule(rule: &Value) -> Value {
    let Some(old) = rule.as_object() else { return rule.clone() };
    let mut new = old.clone();
    new.entry("alwaysRun").or_insert(Value::Bool(false));
    new.entry("firstFactor").or_insert(Value::Bool(false));
    if let Some(Value::Object(keyed)) = old.get("conditions") {
        let items =
            keyed.iter().filter(|(_, value)| !value.is_null()).map(|(kind, value)| upgrade_condition(kind, value));
        new.insert("conditions".to_owned(), items.collect());
    }
    if let Some(Value::Object(result)) = old.get("result") {
        new.insert("result".to_owned(), upgrade_result(result));
    }
    Value::Object(new)
}

fn upgrade_condition(kind: &str, value: &Value) -> Value {
    let mut item = match value {
        Value::Object(members) => members.clone(),
        values => Map::from_iter([("values".to_owned(), values.clone())]),
    };
    item.insert("type".to_owned(), json!(kind));
    Value::Object(item)
}

fn upgrade_result(result: &Map<String, Value>) -> Value {
    let action = match (result.get("extendedAction"), result.get("action")) {
        (Some(extended), _) => extended.get("action").cloned().unwrap_or(Value::Null),
        (None, Some(flags @ Value::Object(_))) => oldest_action(flags),
        (None, action) => action.cloned().unwrap_or(Value::Null),
    };
    let mut new = result.clone();
    new.remove("extendedAction");
    new.insert("action".to_owned(), action);
    Value::Object(new)
}

/// `allowAccess` that is not a plain yes or no stays unreadable: a guess could only loosen.
fn oldest_action(flags: &Value) -> Value {
    let frequency = || match flags.get("factorFrequency") {
        None | Some(Value::Null) => json!("ACTION_MFA_ALWAYS"),
        Some(frequency) if frequency == "ALWAYS" => json!("ACTION_MFA_ALWAYS"),
        Some(_) => json!("ACTION_MFA_PER_SESSION"),
    };
    match (flags.get("allowAccess"), flags.get("requireFactor")) {
        (Some(Value::Bool(false)), _) => json!("ACTION_DENY"),
        (Some(Value::Bool(true)), None | Some(Value::Bool(false))) => json!("ACTION_ALLOW"),
        (Some(Value::Bool(true)), Some(Value::Bool(true))) => frequency(),
        _ => Value::Null,
    }
}

/// A document of schema 5.0 in an older form. What that form has no words for keeps its newer words, which
/// [`upgrade`] understands.
pub fn downgrade(document: &Value, shape: Shape) -> Value {
    let mut old: Map<String, Value> = document
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !matches!(name.as_str(), "meta" | "rules" | "validations" | "requiredSubscriptions"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for (outer, inner) in METADATA {
        if let Some(value) = document["meta"].get(inner) {
            old.insert(outer.to_owned(), value.clone());
        }
    }
    match shape {
        Shape::Three => old.insert("schemaVersion".to_owned(), json!(SCHEMA_THREE)),
        Shape::One => {
            old.insert("format".to_owned(), json!("json"));
            old.insert("schemaVersion".to_owned(), json!(SCHEMA_ONE))
        }
    };
    let rules = document["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    old.insert("rules".to_owned(), rules.iter().map(|rule| downgrade_rule(rule, shape)).collect());
    Value::Object(old)
}

fn downgrade_rule(rule: &Value, shape: Shape) -> Value {
    let Some(new) = rule.as_object() else { return rule.clone() };
    let mut old = new.clone();
    if let Some(keyed) = new.get("conditions").and_then(Value::as_array).and_then(|items| key_by_kind(items, shape)) {
        old.insert("conditions".to_owned(), Value::Object(keyed));
    }
    if let Some(Value::Object(result)) = new.get("result") {
        old.insert("result".to_owned(), downgrade_result(result, shape));
    }
    Value::Object(old)
}

/// The conditions keyed by kind; none where two of a kind cannot be told in one.
fn key_by_kind(items: &[Value], shape: Shape) -> Option<Map<String, Value>> {
    let mut keyed = Map::new();
    for item in items {
        let mut members = item.as_object()?.clone();
        let kind = members.remove("type")?.as_str()?.to_owned();
        let bare_list = shape == Shape::One
            && matches!(kind.as_str(), "devicePlatform" | "deviceCompliance")
            && members.get("opCode").is_none_or(|op| op == "IN")
            && members.keys().all(|name| matches!(name.as_str(), "opCode" | "values"));
        if bare_list {
            let values = members.remove("values")?;
            if keyed.insert(kind, values).is_some() {
                return None;
            }
            continue;
        }
        match keyed.get_mut(&kind) {
            None => {
                keyed.insert(kind, Value::Object(members));
            }
            Some(Value::Object(earlier)) => {
                // Attributes of two items hold together as those of one do.
                let list = ["attributes", "customAttributes"].into_iter().find(|list| members.contains_key(*list))?;
                if members.len() != 1 || earlier.len() != 1 {
                    return None;
                }
                let more = members.remove(list)?;
                earlier.get_mut(list)?.as_array_mut()?.extend(more.as_array()?.iter().cloned());
            }
            Some(_) => return None,
        }
    }
    Some(keyed)
}

fn downgrade_result(result: &Map<String, Value>, shape: Shape) -> Value {
    let mut old = result.clone();
    let action = old.remove("action").unwrap_or(Value::Null);
    let flags = match (shape, action.as_str()) {
        (Shape::One, Some("ACTION_DENY")) => Some(json!({ "allowAccess": false, "requireFactor": false })),
        (Shape::One, Some("ACTION_ALLOW")) => Some(json!({ "allowAccess": true, "requireFactor": false })),
        (Shape::One, Some("ACTION_MFA_ALWAYS")) => {
            Some(json!({ "allowAccess": true, "requireFactor": true, "factorFrequency": "ALWAYS" }))
        }
        (Shape::One, Some("ACTION_MFA_PER_SESSION")) => {
            Some(json!({ "allowAccess": true, "requireFactor": true, "factorFrequency": "PER_SESSION" }))
        }
        _ => None,
    };
    match flags {
        Some(flags) => old.insert("action".to_owned(), flags),
        None => old.insert("extendedAction".to_owned(), json!({ "action": action })),
    };
    Value::Object(old)
}
