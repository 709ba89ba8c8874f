//! Which attributes an answer has (RFC 7644 §3.4.2.5, §3.9).

use serde_json::{Map, Value};

use super::attribute::{Attribute, Returned, named};
use super::error::{self, ScimError};
use super::model::{Model, Place};

/// Names of one list.
const MOST_NAMES: usize = 200;

/// Which attributes are asked for. What is always answered is answered whatever it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Projection {
    /// Those that are answered by default.
    #[default]
    Default,
    /// Only these.
    Only(Vec<Place>),
    /// Those of the default but these.
    Without(Vec<Place>),
}

impl Projection {
    /// Finds the names of `attributes` and `excludedAttributes` in a model. Names it does not have ask for nothing.
    ///
    /// # Errors
    /// Both are given, or more than anybody needs.
    pub fn new(model: &'static Model, only: &[&str], without: &[&str]) -> Result<Self, ScimError> {
        if only.len().max(without.len()) > MOST_NAMES {
            return Err(error::syntax("too many attributes are named"));
        }
        let find = |names: &[&str]| names.iter().filter_map(|name| model.find_text(name.trim())).collect();
        match (only.is_empty(), without.is_empty()) {
            (true, true) => Ok(Self::Default),
            (false, true) => Ok(Self::Only(find(only))),
            (true, false) => Ok(Self::Without(find(without))),
            (false, false) => Err(error::syntax("`attributes` and `excludedAttributes` exclude each other")),
        }
    }

    /// Whether an attribute of the resource's own may be in the answer.
    pub fn shows(&self, name: &str) -> bool {
        let is = |place: &Place| place.extension.is_none() && place.attribute.is_some_and(|one| one.name == name);
        match self {
            Self::Default => true,
            Self::Only(places) => places.iter().any(is),
            Self::Without(places) => !places.iter().any(|place| is(place) && place.sub.is_none()),
        }
    }

    /// Leaves of a document what is to be answered.
    pub fn project(&self, model: &'static Model, document: Map<String, Value>) -> Map<String, Value> {
        let mut shown = Map::new();
        for (name, value) in document {
            let kept = match model.extension(&name) {
                None => model.own(&name).and_then(|attribute| self.keep(None, attribute, value)),
                Some(schema) => match value {
                    Value::Object(members) => {
                        let kept: Map<String, Value> = members
                            .into_iter()
                            .filter_map(|(name, value)| {
                                let attribute = named(schema.attributes, &name)?;
                                Some((name, self.keep(Some(schema.id), attribute, value)?))
                            })
                            .collect();
                        (!kept.is_empty()).then_some(Value::Object(kept))
                    }
                    _ => None,
                },
            };
            if let Some(kept) = kept {
                shown.insert(name, kept);
            }
        }
        shown
    }

    fn keep(&self, extension: Option<&'static str>, attribute: &'static Attribute, value: Value) -> Option<Value> {
        match attribute.returned {
            Returned::Never => return None,
            Returned::Always => return Some(value),
            Returned::Default | Returned::Request => {}
        }
        let about = |place: &&Place| {
            place.extension == extension && place.attribute.is_none_or(|one| one.name == attribute.name)
        };
        match self {
            Self::Default if attribute.returned == Returned::Default => usual(attribute, value),
            Self::Default => None,
            Self::Only(places) => {
                let about: Vec<&Place> = places.iter().filter(about).filter(|p| is_about(p, attribute)).collect();
                if about.is_empty() {
                    return None;
                }
                let whole = about.iter().any(|place| place.sub.is_none());
                let named = |name: &str| about.iter().any(|place| place.sub.is_some_and(|sub| sub.name == name));
                filter_members(value, |name| named(name) || whole && is_usual(attribute, name))
            }
            Self::Without(places) => {
                let about: Vec<&Place> = places.iter().filter(about).filter(|p| is_about(p, attribute)).collect();
                if attribute.returned == Returned::Request || about.iter().any(|place| place.sub.is_none()) {
                    return None;
                }
                let subs: Vec<&str> = about.iter().filter_map(|place| place.sub.map(|sub| sub.name)).collect();
                filter_members(value, |name| !subs.contains(&name) && is_usual(attribute, name))
            }
        }
    }
}

/// Whether a place is this attribute, or the whole extension it belongs to.
fn is_about(place: &Place, attribute: &Attribute) -> bool {
    match place.attribute {
        Some(one) => one.name == attribute.name,
        None => place.extension.is_some(),
    }
}

/// A value without what is answered only on request.
fn usual(attribute: &'static Attribute, value: Value) -> Option<Value> {
    filter_members(value, |name| is_usual(attribute, name))
}

fn is_usual(attribute: &'static Attribute, name: &str) -> bool {
    attribute.sub(name).is_none_or(|sub| matches!(sub.returned, Returned::Default | Returned::Always))
}

fn filter_members(value: Value, keep: impl Fn(&str) -> bool + Copy) -> Option<Value> {
    match value {
        Value::Object(members) => {
            let kept: Map<String, Value> = members.into_iter().filter(|(name, _)| keep(name)).collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(values) => {
            let kept: Vec<Value> = values.into_iter().filter_map(|value| filter_members(value, keep)).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        other => Some(other),
    }
}
