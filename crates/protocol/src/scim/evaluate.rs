//! Judges documents by a filter (RFC 7644 §3.4.2.2), and orders them (§3.4.2.3). A filter is first bound to a model, which refuses
//! what cannot be compared; judging then cannot fail.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::attribute::{Attribute, Kind, Returned, named};
use super::error::{self, ScimError};
use super::filter::{Filter, Operator};
use super::model::{Model, Place};
use super::path::Path;
use crate::time::read_millis;

/// A filter whose paths were found in a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// An attribute that the type does not have: no resource has a value (RFC 7644 §3.4.2.1).
    Never,
    Compare(Target, Operator, Value),
    Present(Target),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
}

#[derive(Clone, Debug, PartialEq)]
struct Target {
    place: Place,
    /// Which values of the attribute.
    filter: Option<Box<Node>>,
    /// What is compared: the attribute, or a sub-attribute of it.
    leaf: &'static Attribute,
    /// Whether the leaf is a member of the attribute's values.
    within: bool,
}

/// What names mean: those of a type, or of the sub-attributes of one attribute.
#[derive(Clone, Copy)]
enum Scope {
    Resource(&'static Model, Unknown),
    Values(&'static Attribute),
}

/// What becomes of an attribute that the type does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The filter is refused.
    Refused,
    /// It has no value: the query covers several types.
    Unassigned,
}

impl Bound {
    /// Finds the paths of a filter in a model.
    ///
    /// # Errors
    /// There is no such attribute, or it cannot be compared so.
    pub fn new(filter: &Filter, model: &'static Model, unknown: Unknown) -> Result<Self, ScimError> {
        bind(filter, Scope::Resource(model, unknown)).map(Self)
    }

    /// The filter of the values of one attribute.
    pub(super) fn of_values(filter: &Filter, attribute: &'static Attribute) -> Result<Self, ScimError> {
        bind(filter, Scope::Values(attribute)).map(Self)
    }

    /// Whether a document satisfies the filter.
    pub fn holds(&self, document: &Map<String, Value>) -> bool {
        self.0.holds(document)
    }

    /// Whether judging looks at an attribute of this name.
    pub fn reads(&self, name: &str) -> bool {
        self.0.reads(name)
    }
}

fn bind(filter: &Filter, scope: Scope) -> Result<Node, ScimError> {
    Ok(match filter {
        Filter::Not(inner) => Node::Not(Box::new(bind(inner, scope)?)),
        Filter::And(left, right) => Node::And(Box::new(bind(left, scope)?), Box::new(bind(right, scope)?)),
        Filter::Or(left, right) => Node::Or(Box::new(bind(left, scope)?), Box::new(bind(right, scope)?)),
        Filter::Present(path) | Filter::Some(path) => find(path, scope)?.map_or(Node::Never, Node::Present),
        Filter::Compare { path, operator, value } => match find(path, scope)? {
            None => Node::Never,
            Some(target) => {
                let target = comparable(target, path)?;
                let value = literal(target.leaf, *operator, value, path)?;
                Node::Compare(target, *operator, value)
            }
        },
    })
}

fn find(path: &Path, scope: Scope) -> Result<Option<Target>, ScimError> {
    let unknown = || error::filter(format!("attribute `{path}` is unknown here"));
    let place = match scope {
        Scope::Values(attribute) => {
            named(attribute.sub, &path.attr.name).map(|sub| Place { extension: None, attribute: Some(sub), sub: None })
        }
        Scope::Resource(model, _) => model.find(&path.attr),
    };
    let place = match (place, scope) {
        (Some(place), _) => place,
        (None, Scope::Resource(_, Unknown::Unassigned)) => return Ok(None),
        (None, _) => return Err(unknown()),
    };
    let attribute = place.attribute.ok_or_else(unknown)?;
    let filter = match &path.filter {
        None => None,
        Some(_) if attribute.kind != Kind::Complex => {
            return Err(error::filter(format!("attribute `{path}` has no sub-attributes")));
        }
        Some(filter) => Some(Box::new(bind(filter, Scope::Values(attribute))?)),
    };
    let tail = match &path.tail {
        None => None,
        Some(name) => Some(attribute.sub(name).ok_or_else(unknown)?),
    };
    let sub = place.sub.or(tail);
    let leaf = sub.unwrap_or(attribute);
    if leaf.returned == Returned::Never {
        return Err(error::filter(format!("attribute `{path}` cannot be searched")));
    }
    Ok(Some(Target { place, filter, leaf, within: sub.is_some() }))
}

/// Of a complex attribute with several values the `value` is compared (RFC 7644 §3.4.2.2).
fn comparable(target: Target, path: &Path) -> Result<Target, ScimError> {
    if target.leaf.kind != Kind::Complex {
        return Ok(target);
    }
    let value = if target.leaf.multi && !target.within { target.leaf.sub("value") } else { None };
    let leaf = value.ok_or_else(|| error::filter(format!("a sub-attribute of `{path}` must be named")))?;
    Ok(Target { leaf, within: true, ..target })
}

/// What is compared with, in the form that values of the attribute have.
fn literal(leaf: &Attribute, operator: Operator, value: &Value, path: &Path) -> Result<Value, ScimError> {
    let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    let textual = matches!(operator, Operator::Contains | Operator::StartsWith | Operator::EndsWith);
    let word = operator.as_str();
    let wrong = || error::filter(format!("attribute `{path}` cannot be compared by `{word}` with {value}"));
    match (leaf.kind, value) {
        (_, Value::Null) => equality.then_some(Value::Null),
        (Kind::Boolean, Value::Bool(_)) if equality => Some(value.clone()),
        (Kind::Boolean, Value::String(text)) if equality => text.to_ascii_lowercase().parse().ok().map(Value::Bool),
        (Kind::Integer | Kind::Decimal, Value::Number(_)) if !textual => Some(value.clone()),
        (Kind::DateTime, Value::String(text)) if textual || read_millis(text).is_some() => Some(value.clone()),
        (Kind::Binary, Value::String(_)) if equality => Some(value.clone()),
        (Kind::Text | Kind::Reference, Value::String(text)) if leaf.case_exact => Some(text.as_str().into()),
        (Kind::Text | Kind::Reference, Value::String(text)) => Some(text.to_lowercase().into()),
        _ => None,
    }
    .ok_or_else(wrong)
}

impl Node {
    fn holds(&self, document: &Map<String, Value>) -> bool {
        match self {
            Self::Never => false,
            Self::Present(target) => !target.values(document).is_empty(),
            Self::Not(inner) => !inner.holds(document),
            Self::And(left, right) => left.holds(document) && right.holds(document),
            Self::Or(left, right) => left.holds(document) || right.holds(document),
            Self::Compare(target, operator, value) => {
                let values = target.values(document);
                match operator {
                    Operator::Equal if value.is_null() => values.is_empty(),
                    Operator::NotEqual if value.is_null() => !values.is_empty(),
                    // Not equal is what is not equal: of several values, none is.
                    Operator::NotEqual => !values.iter().any(|found| fits(target.leaf, Operator::Equal, found, value)),
                    operator => values.iter().any(|found| fits(target.leaf, *operator, found, value)),
                }
            }
        }
    }

    fn reads(&self, name: &str) -> bool {
        match self {
            Self::Never => false,
            Self::Compare(target, ..) | Self::Present(target) => {
                target.place.extension.is_none() && target.place.attribute.is_some_and(|one| one.name == name)
            }
            Self::Not(inner) => inner.reads(name),
            Self::And(left, right) | Self::Or(left, right) => left.reads(name) || right.reads(name),
        }
    }
}

impl Target {
    fn values<'d>(&self, document: &'d Map<String, Value>) -> Vec<&'d Value> {
        let Some(value) = self.place.value(document) else { return Vec::new() };
        let chosen = spread(value).into_iter().filter(|value| match &self.filter {
            None => true,
            Some(filter) => value.as_object().is_some_and(|members| filter.holds(members)),
        });
        let found: Vec<&Value> = if self.within {
            chosen.filter_map(|value| value.get(self.leaf.name)).flat_map(spread).collect()
        } else {
            chosen.collect()
        };
        found.into_iter().filter(|value| is_assigned(value)).collect()
    }
}

fn spread(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

/// Null, and what has no members, is no value (RFC 7643 §2.5; RFC 7644 on `pr`).
fn is_assigned(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn fits(leaf: &Attribute, operator: Operator, found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Bool(found), Value::Bool(wanted)) => operator == Operator::Equal && found == wanted,
        (Value::Number(_), Value::Number(_)) => {
            let (found, wanted) = (found.as_f64(), wanted.as_f64());
            found.partial_cmp(&wanted).is_some_and(|order| is_in_order(operator, order))
        }
        (Value::String(found), Value::String(wanted)) => {
            if leaf.kind == Kind::DateTime
                && let (Some(found), Some(wanted)) = (read_millis(found), read_millis(wanted))
            {
                return is_in_order(operator, found.cmp(&wanted));
            }
            let folded;
            let found = if leaf.case_exact {
                found.as_str()
            } else {
                folded = found.to_lowercase();
                &folded
            };
            match operator {
                Operator::Contains => found.contains(wanted.as_str()),
                Operator::StartsWith => found.starts_with(wanted.as_str()),
                Operator::EndsWith => found.ends_with(wanted.as_str()),
                operator => is_in_order(operator, found.cmp(wanted.as_str())),
            }
        }
        _ => false,
    }
}

fn is_in_order(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => false,
    }
}

/// By what a document is ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey(Option<Value>);

impl SortKey {
    /// The key of what is not ordered.
    pub fn none() -> Self {
        Self(None)
    }

    /// The key of a document: of several values the primary one, or the first.
    pub fn of(place: &Place, document: &Map<String, Value>) -> Self {
        let Some(attribute) = place.attribute else { return Self(None) };
        let values = place.value(document).map(spread).unwrap_or_default();
        let primary = values.iter().find(|value| value.get("primary") == Some(&Value::Bool(true)));
        let Some(value) = primary.or(values.first()).copied() else { return Self(None) };
        let leaf = place.sub.or_else(|| (attribute.kind == Kind::Complex).then(|| attribute.sub("value")).flatten());
        let value = match leaf {
            Some(leaf) => value.get(leaf.name),
            None => Some(value),
        };
        let exact = leaf.unwrap_or(attribute).case_exact;
        Self(match value {
            Some(Value::String(text)) if !exact => Some(text.to_lowercase().into()),
            Some(value) if is_assigned(value) => Some(value.clone()),
            Some(_) | None => None,
        })
    }

    /// The order of two; what has no value comes last (RFC 7644 §3.4.2.3).
    pub fn order(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
            (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
            (Some(a), Some(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }
}
