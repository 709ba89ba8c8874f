//! Fields that a file gives under the name their record has: whatever the record knows may be given, and nothing else.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::reader::{Item, Section};

/// Fills the fields of `defaults` from the keys of `section` that nobody took yet; `reserved` ones may not be given.
///
/// Each key is tried alone against the record's own stored form, so that every mistake is found and none is repeated
/// here as a second list of fields.
pub(super) fn fill<T: Serialize + DeserializeOwned>(defaults: T, section: &mut Section<'_>, reserved: &[&str]) -> T {
    let Ok(Value::Object(base)) = serde_json::to_value(&defaults) else { return defaults };
    let filled = fill_object::<T>(&base, &|part| Value::Object(part), section, reserved);
    serde_json::from_value(Value::Object(filled)).unwrap_or(defaults)
}

/// The same for a table within the record; `whole` puts the table back into the record it is tried against.
fn fill_object<T: DeserializeOwned>(
    base: &Map<String, Value>,
    whole: &dyn Fn(Map<String, Value>) -> Value,
    section: &mut Section<'_>,
    reserved: &[&str],
) -> Map<String, Value> {
    let mut filled = base.clone();
    for key in section.remaining() {
        let known = base.get(&key).filter(|_| !reserved.contains(&key.as_str()));
        let Some(default) = known else {
            let names: Vec<&str> = base.keys().map(String::as_str).filter(|name| !reserved.contains(name)).collect();
            section.unknown(&key, &names);
            continue;
        };
        let Some(item) = section.take(&key) else { continue };
        // A table with members of its own is a record within the record; one without is a map with free keys.
        if let (Value::Object(inner), true) = (default, item.is_table())
            && !inner.is_empty()
            && let Some(mut table) = item.section()
        {
            let rest = base.clone();
            let name = key.clone();
            let nested = move |part: Map<String, Value>| {
                let mut rest = rest.clone();
                rest.insert(name.clone(), Value::Object(part));
                whole(rest)
            };
            let value = fill_object::<T>(inner, &nested, &mut table, &[]);
            filled.insert(key, Value::Object(value));
            continue;
        }
        let mut candidate = base.clone();
        candidate.insert(key.clone(), item.json());
        if fits::<T>(&whole(candidate), &key, &item) {
            filled.insert(key, item.json());
        }
    }
    filled
}

/// Whether the record can be read with this value in it; if not, says what is wrong with the value.
fn fits<T: DeserializeOwned>(candidate: &Value, key: &str, item: &Item<'_>) -> bool {
    let Err(error) = serde_path_to_error::deserialize::<_, T>(candidate) else { return true };
    let path = error.path().to_string();
    // The path starts at the record; what follows the key is the part within the value.
    let within = path.split_once(key).map_or("", |(_, rest)| rest);
    item.report.add(&item.locate(within), plain(&error.inner().to_string()), "");
    false
}

/// The reason without the names that only the program's text knows.
pub(super) fn plain(reason: &str) -> String {
    let mut text = reason.to_owned();
    for (name, words) in [
        ("expected i64", "expected a whole number"),
        ("expected u64", "expected a whole number from 0"),
        ("expected u32", "expected a whole number from 0 to 4294967295"),
        ("expected u16", "expected a whole number from 0 to 65535"),
        ("expected u8", "expected a whole number from 0 to 255"),
        ("expected a sequence", "expected a list"),
        ("expected a map", "expected a table"),
        ("expected a boolean", "expected `true` or `false`"),
        ("invalid type: map", "a table"),
        ("invalid type: sequence", "a list"),
        ("invalid type: ", ""),
        ("invalid value: ", ""),
    ] {
        text = text.replace(name, words);
    }
    for before in ["expected struct ", "expected enum "] {
        if let Some(at) = text.find(before) {
            text.truncate(at);
            text.push_str("expected another form");
        }
    }
    text
}
