//! Owns reading JSON from strangers: no member twice, bounded nesting, size and number of values.
//!
//! `serde_json` alone keeps the last of two members of one name; two readers of one signed text could then disagree
//! (RFC 8725 §2.4, RFC 7515 §4), so a repeated member is an error here.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How much is read at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of text.
    pub bytes: usize,
    /// Arrays and objects within one another.
    pub depth: usize,
    /// Values in all.
    pub values: usize,
}

/// Bounds that fit every JOSE part, context and metadata document we know of.
pub const USUAL: Bounds = Bounds { bytes: 64 * 1024, depth: 16, values: 4096 };

/// Why a JSON text was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonProblem {
    /// More bytes than allowed.
    #[error("the JSON is too long")]
    TooLong,
    /// No JSON, or a repeated member, or beyond the bounds of nesting and number.
    #[error("the JSON is malformed")]
    Malformed,
    /// JSON, but no object.
    #[error("the JSON is no object")]
    NoObject,
}

/// Reads one JSON value and nothing after it.
pub fn parse(text: &[u8], bounds: Bounds) -> Result<Value, JsonProblem> {
    if text.len() > bounds.bytes {
        return Err(JsonProblem::TooLong);
    }
    let mut left = bounds.values;
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value =
        Strict { depth: bounds.depth, left: &mut left }.deserialize(&mut reader).map_err(|_| JsonProblem::Malformed)?;
    reader.end().map_err(|_| JsonProblem::Malformed)?;
    Ok(value)
}

/// Reads one JSON object.
pub fn parse_object(text: &[u8], bounds: Bounds) -> Result<Map<String, Value>, JsonProblem> {
    match parse(text, bounds)? {
        Value::Object(map) => Ok(map),
        _ => Err(JsonProblem::NoObject),
    }
}

struct Strict<'n> {
    depth: usize,
    left: &'n mut usize,
}

impl Strict<'_> {
    fn deeper<E: Error>(&self) -> Result<usize, E> {
        self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Value, E> {
        Number::from_f64(v).map(Value::Number).ok_or_else(|| E::custom("no finite number"))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Strict { depth, left: &mut *self.left })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(Strict { depth, left: &mut *self.left })?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn repeated_members_are_refused_at_any_depth_and_however_spelled() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"b":[{"a":1,"a":2}]}"#, r#"{"a":1,"\u0061":2}"#] {
            assert_eq!(parse(text.as_bytes(), USUAL), Err(JsonProblem::Malformed), "{text}");
        }
    }

    #[test]
    fn bounds_hold() {
        let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(16).as_bytes(), USUAL).is_ok());
        assert_eq!(parse(nested(17).as_bytes(), USUAL), Err(JsonProblem::Malformed));
        assert_eq!(parse(nested(30_000).as_bytes(), USUAL), Err(JsonProblem::Malformed));
        let few = Bounds { values: 4, ..USUAL };
        assert!(parse(b"[1,2,3]", few).is_ok());
        assert_eq!(parse(b"[1,2,3,4]", few), Err(JsonProblem::Malformed));
        assert_eq!(parse(b"[1]", Bounds { bytes: 2, ..USUAL }), Err(JsonProblem::TooLong));
    }

    #[test]
    fn only_one_whole_object_is_an_object() {
        assert_eq!(parse_object(b"[]", USUAL), Err(JsonProblem::NoObject));
        for bad in [&b"{} {}"[..], b"{", b"", b"\xff", b"{\"a\":1e999}", b"{\"a\":NaN}"] {
            assert_eq!(parse_object(bad, USUAL), Err(JsonProblem::Malformed));
        }
        assert_eq!(parse_object(b" {\"a\":null} ", USUAL).unwrap()["a"], Value::Null);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(".{0,6}", inner, 0..5)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_writes(value in values()) {
            prop_assert_eq!(parse(value.to_string().as_bytes(), USUAL).unwrap(), value);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",:0-9a\\\\ ]{0,80}") {
            let _ = parse(&bytes, USUAL);
            let _ = parse(text.as_bytes(), USUAL);
        }
    }
}
