//! A part of a record that is carried along more often than it is looked into.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A value kept as its JSON text: copied when its record is read and written, parsed when somebody asks for it. Stored, it looks
/// like the value itself; what is empty (`null`, `{}`, `[]`) is not stored at all.
#[derive(Clone, Default)]
pub struct Carried(Option<Box<RawValue>>);

impl Carried {
    /// A value to be carried.
    ///
    /// # Errors
    /// It has no form in JSON (a map whose keys are no text).
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self::full)
    }

    /// The value.
    ///
    /// # Errors
    /// What is stored is something else.
    pub fn read<T: DeserializeOwned + Default>(&self) -> Result<T, serde_json::Error> {
        self.0.as_ref().map_or_else(|| Ok(T::default()), |text| serde_json::from_str(text.get()))
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn full(text: Box<RawValue>) -> Self {
        Self(Some(text).filter(|text| !matches!(text.get(), "null" | "{}" | "[]")))
    }

    fn text(&self) -> Option<&str> {
        self.0.as_deref().map(RawValue::get)
    }
}

impl PartialEq for Carried {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl std::fmt::Debug for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text().map_or("Carried(nothing)", |_| "Carried(…)"))
    }
}

impl Serialize for Carried {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Carried {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::full)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    type Map = BTreeMap<String, i64>;

    #[derive(Serialize, Deserialize)]
    struct Record {
        #[serde(default, skip_serializing_if = "Carried::is_empty")]
        part: Carried,
    }

    #[test]
    fn a_record_looks_as_if_its_part_were_the_value_itself() {
        let map = Map::from([("a".to_owned(), 1)]);
        let text = serde_json::to_string(&Record { part: Carried::of(&map).unwrap() }).unwrap();
        assert_eq!(text, r#"{"part":{"a":1}}"#);
        let read: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(read.part.read::<Map>().unwrap(), map);
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }

    #[test]
    fn what_is_empty_is_not_stored() {
        for part in [Carried::default(), Carried::of(&Map::new()).unwrap(), Carried::of(&Vec::<i64>::new()).unwrap()] {
            assert_eq!(serde_json::to_string(&Record { part }).unwrap(), "{}");
        }
        for text in ["{}", r#"{"part":null}"#, r#"{"part":{}}"#] {
            let read: Record = serde_json::from_str(text).unwrap();
            assert!(read.part.is_empty() && read.part.read::<Map>().unwrap().is_empty());
        }
    }

    #[test]
    fn what_is_something_else_is_an_error_when_it_is_read() {
        let read: Record = serde_json::from_str(r#"{"part":[1]}"#).unwrap();
        assert!(read.part.read::<Map>().is_err());
    }
}
