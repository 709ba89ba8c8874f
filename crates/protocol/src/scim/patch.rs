//! PATCH (RFC 7644 §3.5.2): operations on a document, all or none. Owns which are legal; the caller stores what comes of it.

use serde_json::{Map, Value};

use super::attribute::{Attribute, Kind, Mutability};
use super::error::{self, ScimError, ScimType};
use super::evaluate::Bound;
use super::filter::{Filter, Operator};
use super::model::{Model, Place, Schema};
use super::path::{AttrPath, Path};
use super::read;

/// The schema of a request of operations.
pub const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// Operations of one request.
pub const MOST_OPERATIONS: usize = 200;

type Members = Map<String, Value>;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `add`.
    Add,
    /// `remove`.
    Remove,
    /// `replace`.
    Replace,
}

/// An operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What it does.
    pub op: Op,
    /// To what; none for the resource itself.
    pub path: Option<Path>,
    /// With what.
    pub value: Option<Value>,
}

/// Reads the body of a request.
///
/// # Errors
/// It is not in form, or has too many operations.
pub fn read_operations(body: &Members) -> Result<Vec<Operation>, ScimError> {
    let named = body.get("schemas").and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| one == PATCH));
    if !named {
        return Err(error::syntax(format!("`schemas` does not name `{PATCH}`")));
    }
    let list = member(body, "Operations").and_then(Value::as_array);
    let list = list.filter(|list| !list.is_empty()).ok_or_else(|| error::syntax("`Operations` is missing or empty"))?;
    if list.len() > MOST_OPERATIONS {
        return Err(error::syntax(format!("there are more than {MOST_OPERATIONS} operations")));
    }
    list.iter().map(read_operation).collect()
}

fn read_operation(sent: &Value) -> Result<Operation, ScimError> {
    let sent = sent.as_object().ok_or_else(|| error::syntax("an operation is no object"))?;
    let op = match member(sent, "op").and_then(Value::as_str) {
        Some(word) if word.eq_ignore_ascii_case("add") => Op::Add,
        Some(word) if word.eq_ignore_ascii_case("remove") => Op::Remove,
        Some(word) if word.eq_ignore_ascii_case("replace") => Op::Replace,
        Some(_) | None => return Err(error::syntax("`op` is none of `add`, `remove` and `replace`")),
    };
    let path = match member(sent, "path") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => Some(Path::parse(text)?),
        Some(_) => return Err(ScimError::of(ScimType::InvalidPath, "`path` is no text")),
    };
    let value = member(sent, "value").cloned();
    if op != Op::Remove && value.is_none() {
        return Err(error::value("an operation lacks `value`"));
    }
    if op == Op::Remove && path.is_none() {
        return Err(ScimError::of(ScimType::NoTarget, "`remove` needs a `path`"));
    }
    Ok(Operation { op, path, value })
}

fn member<'m>(members: &'m Members, name: &str) -> Option<&'m Value> {
    members.get(name).or_else(|| members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// Takes every operation in turn. On an error the document is worth nothing any more: the caller drops it.
///
/// # Errors
/// An operation is not legal, or leaves out what must be there.
pub fn apply(model: &'static Model, document: &mut Members, operations: &[Operation]) -> Result<(), ScimError> {
    for operation in operations {
        let none = Value::Null;
        let value = operation.value.as_ref();
        match &operation.path {
            None => whole(model, document, operation.op, value.unwrap_or(&none))?,
            Some(path) => {
                let unknown = || ScimError::of(ScimType::InvalidPath, format!("`{path}` leads nowhere"));
                let place = model.find(&path.attr).ok_or_else(unknown)?;
                let Some(attribute) = place.attribute else {
                    let schema = place.extension.and_then(|urn| model.extension(urn)).ok_or_else(unknown)?;
                    extension(document, schema, operation.op, value)?;
                    continue;
                };
                let tail = match &path.tail {
                    None => None,
                    Some(name) => Some(attribute.sub(name).ok_or_else(unknown)?),
                };
                let target = Target { place, attribute, sub: place.sub.or(tail), filter: path.filter.as_deref() };
                target.apply(document, operation.op, value)?;
            }
        }
    }
    document.retain(|_, value| !is_empty(value));
    read::required(model, document)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Without a path: `value` holds attributes. Names may be paths, as some clients write them; unknown ones are passed over.
fn whole(model: &'static Model, document: &mut Members, op: Op, value: &Value) -> Result<(), ScimError> {
    let Value::Object(members) = value else { return Err(error::value("without `path`, `value` must be an object")) };
    for (name, value) in members {
        if let Some(schema) = model.extension(name) {
            extension(document, schema, op, Some(value))?;
        } else if let Some(place) = AttrPath::parse(name).and_then(|path| model.find(&path))
            && let Some(attribute) = place.attribute
            && attribute.name != "schemas"
        {
            // What only the server writes may be sent back as it is.
            if attribute.mutability == Mutability::ReadOnly && place.value(document) == Some(value) {
                continue;
            }
            Target { place, attribute, sub: place.sub, filter: None }.apply(document, op, Some(value))?;
        }
    }
    Ok(())
}

fn extension(document: &mut Members, schema: &'static Schema, op: Op, value: Option<&Value>) -> Result<(), ScimError> {
    let members = match (op, value) {
        (Op::Remove, _) | (Op::Replace, Some(Value::Null)) => {
            document.remove(schema.id);
            return Ok(());
        }
        (Op::Add | Op::Replace, Some(Value::Object(members))) => members,
        (Op::Add | Op::Replace, _) => return Err(error::value(format!("attribute `{}` is no object", schema.id))),
    };
    for (name, value) in members {
        if let Some(attribute) = super::attribute::named(schema.attributes, name) {
            let place = Place { extension: Some(schema.id), attribute: Some(attribute), sub: None };
            Target { place, attribute, sub: None, filter: None }.apply(document, op, Some(value))?;
        }
    }
    Ok(())
}

/// What an operation is about.
struct Target<'f> {
    place: Place,
    attribute: &'static Attribute,
    sub: Option<&'static Attribute>,
    filter: Option<&'f Filter>,
}

impl Target<'_> {
    fn apply(&self, document: &mut Members, op: Op, value: Option<&Value>) -> Result<(), ScimError> {
        if [Some(self.attribute), self.sub].into_iter().flatten().any(|one| one.mutability == Mutability::ReadOnly) {
            return Err(mutability(self.attribute));
        }
        let op = if op == Op::Replace && value.is_some_and(Value::is_null) { Op::Remove } else { op };
        let holder = match self.place.extension {
            None => document,
            Some(urn) => {
                let inner = document.entry(urn).or_insert_with(|| Value::Object(Map::new()));
                inner.as_object_mut().ok_or_else(|| error::value(format!("attribute `{urn}` is no object")))?
            }
        };
        match (self.filter, self.sub, self.attribute.multi) {
            (Some(filter), _, _) => self.filtered(holder, op, value, filter),
            (None, Some(sub), true) => self.all_values(holder, op, value, sub),
            (None, Some(sub), false) => {
                let inner = holder.entry(self.attribute.name).or_insert_with(|| Value::Object(Map::new()));
                let inner = inner.as_object_mut().ok_or_else(|| mutability(self.attribute))?;
                change(inner, sub, op, value)?;
                if inner.is_empty() {
                    holder.remove(self.attribute.name);
                }
                Ok(())
            }
            (None, None, _) => change(holder, self.attribute, op, value),
        }
    }

    /// `emails.type`: the sub-attribute of every value.
    fn all_values(
        &self,
        holder: &mut Members,
        op: Op,
        value: Option<&Value>,
        sub: &'static Attribute,
    ) -> Result<(), ScimError> {
        let list = holder.entry(self.attribute.name).or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(values) = list else { return Err(mutability(self.attribute)) };
        if values.is_empty() && op == Op::Add {
            values.push(Value::Object(Map::new()));
        }
        if values.is_empty() {
            return Err(ScimError::of(ScimType::NoTarget, format!("attribute `{}` has no value", self.attribute.name)));
        }
        for value_of_list in values.iter_mut() {
            if let Value::Object(inner) = value_of_list {
                change(inner, sub, op, value)?;
            }
        }
        values.retain(|value| !is_empty(value));
        settle_primary(values, |_| true)
    }

    /// With a filter: the values that satisfy it.
    fn filtered(&self, holder: &mut Members, op: Op, value: Option<&Value>, filter: &Filter) -> Result<(), ScimError> {
        if !self.attribute.multi || self.attribute.kind != Kind::Complex {
            let detail = format!("attribute `{}` has no values to choose from", self.attribute.name);
            return Err(ScimError::of(ScimType::InvalidPath, detail));
        }
        let bound = Bound::of_values(filter, self.attribute)?;
        let list = holder.entry(self.attribute.name).or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(values) = list else { return Err(mutability(self.attribute)) };
        let chosen = |value: &Value| value.as_object().is_some_and(|members| bound.holds(members));
        let mut touched: Vec<bool> = values.iter().map(chosen).collect();
        if !touched.contains(&true) {
            // To add what the filter describes is to make it; anything else has nothing to work on (Table 9).
            let described = if op == Op::Add { describe(filter, self.attribute) } else { None };
            let Some(described) = described else {
                return Err(ScimError::of(ScimType::NoTarget, "the filter of the path matches nothing"));
            };
            values.push(Value::Object(described));
            touched.push(true);
        }
        if op == Op::Remove && self.sub.is_none() {
            let mut kept = touched.iter();
            values.retain(|_| kept.next() == Some(&false));
            return Ok(());
        }
        for (value_of_list, _) in values.iter_mut().zip(&touched).filter(|(_, touched)| **touched) {
            let Value::Object(inner) = value_of_list else { continue };
            match (self.sub, value) {
                (Some(sub), value) => change(inner, sub, op, value)?,
                (None, Some(sent)) => {
                    let Some(Value::Object(read)) = read::one(self.attribute, sent)? else {
                        return Err(error::value("`value` holds nothing"));
                    };
                    if op == Op::Replace {
                        inner.clear();
                    }
                    inner.extend(read);
                }
                (None, None) => return Err(error::value("an operation lacks `value`")),
            }
        }
        let mut kept = touched.iter().copied();
        let mut left = Vec::with_capacity(touched.len());
        values.retain(|value| {
            let touched = kept.next().unwrap_or(false);
            let keep = !is_empty(value);
            if keep {
                left.push(touched);
            }
            keep
        });
        settle_primary(values, |index| left.get(index).copied().unwrap_or(false))
    }
}

fn mutability(attribute: &Attribute) -> ScimError {
    ScimError::of(ScimType::Mutability, format!("attribute `{}` cannot be changed", attribute.name))
}

/// Changes one attribute among its neighbours.
fn change(
    members: &mut Members,
    attribute: &'static Attribute,
    op: Op,
    value: Option<&Value>,
) -> Result<(), ScimError> {
    let before = members.get(attribute.name);
    if op == Op::Remove {
        // RFC 7644 §3.5.2.2 has one word for both.
        if attribute.required {
            return Err(mutability(attribute));
        }
        if attribute.mutability == Mutability::Immutable && before.is_some() {
            return Err(mutability(attribute));
        }
        return remove(members, attribute, value);
    }
    let sent = value.unwrap_or(&Value::Null);
    let read = read::value(attribute, sent)?;
    if attribute.mutability == Mutability::Immutable && before.is_some() && before != read.as_ref() {
        return Err(mutability(attribute));
    }
    let Some(read) = read else {
        // Nothing is assigned.
        if op == Op::Replace {
            members.remove(attribute.name);
        }
        return Ok(());
    };
    match (members.get_mut(attribute.name), read, op) {
        (Some(Value::Array(values)), Value::Array(more), Op::Add) => {
            let known = values.len();
            for one in more {
                if !values[..known].iter().any(|value| covers(value, &one)) {
                    values.push(one);
                }
            }
            settle_primary(values, |index| index >= known)
        }
        (Some(Value::Object(inner)), Value::Object(more), _) => {
            inner.extend(more);
            Ok(())
        }
        (_, read, _) => {
            members.insert(attribute.name.to_owned(), read);
            Ok(())
        }
    }
}

/// Removes an attribute; or, where values are named beside it (the vendors' clients do that), only those.
fn remove(members: &mut Members, attribute: &'static Attribute, value: Option<&Value>) -> Result<(), ScimError> {
    let named = value.filter(|value| attribute.multi && !is_empty(value));
    let Some(named) = named else {
        members.remove(attribute.name);
        return Ok(());
    };
    let Some(Value::Array(gone)) = read::value(attribute, named)? else { return Ok(()) };
    if let Some(Value::Array(values)) = members.get_mut(attribute.name) {
        values.retain(|value| !gone.iter().any(|gone| covers(value, gone)));
    }
    Ok(())
}

/// Whether a value is the one that is named: it has every member of it.
fn covers(value: &Value, named: &Value) -> bool {
    match (value, named) {
        (Value::Object(value), Value::Object(named)) => {
            named.iter().all(|(name, wanted)| value.get(name) == Some(wanted))
        }
        (value, named) => value == named,
    }
}

/// At most one value is primary: one that was just made so takes it from the others (RFC 7644 §3.5.2).
fn settle_primary(values: &mut [Value], is_new: impl Fn(usize) -> bool) -> Result<(), ScimError> {
    let is_primary = |value: &Value| value.get("primary") == Some(&Value::Bool(true));
    let primaries: Vec<usize> = (0..values.len()).filter(|&index| is_primary(&values[index])).collect();
    if primaries.len() < 2 {
        return Ok(());
    }
    let mut new = primaries.iter().copied().filter(|&index| is_new(index));
    let (Some(chosen), None) = (new.next(), new.next()) else {
        return Err(error::value("more than one value would be primary"));
    };
    for index in primaries.into_iter().filter(|&index| index != chosen) {
        if let Value::Object(members) = &mut values[index] {
            members.insert("primary".to_owned(), Value::Bool(false));
        }
    }
    Ok(())
}

/// The value that a filter of equalities describes.
fn describe(filter: &Filter, attribute: &'static Attribute) -> Option<Members> {
    let mut described = Map::new();
    for term in filter.conjuncts() {
        let Filter::Compare { path, operator: Operator::Equal, value } = term else { return None };
        let sub = attribute.sub(&path.attr.name)?;
        described.insert(sub.name.to_owned(), read::one(sub, value).ok()??);
    }
    Some(described)
}
