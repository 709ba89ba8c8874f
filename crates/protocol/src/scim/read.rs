//! Reads what clients send as a resource (RFC 7644 §3.3, §3.5.1): names in any case become the model's, values must have the
//! type of their attribute, what only the server writes is passed over, and so is what nobody knows.

use serde_json::{Map, Value};

use super::attribute::{Attribute, Kind, Mutability};
use super::error::{self, ScimError};
use super::model::Model;

/// The longest text of an attribute, bytes. Pictures are named by address.
pub const LONGEST_TEXT: usize = 4096;
/// The longest binary value, in base64.
pub const LONGEST_BINARY: usize = 16 * 1024;
/// Values of one attribute.
pub const MOST_VALUES: usize = 2000;

/// Reads a resource.
///
/// # Errors
/// A value has the wrong type, an attribute that must be there is not, or one is there twice.
pub fn resource(model: &'static Model, sent: &Map<String, Value>) -> Result<Map<String, Value>, ScimError> {
    let mut read = Map::new();
    for (name, value) in sent {
        if let Some(schema) = model.extension(name) {
            let Value::Object(members) = value else {
                return Err(error::value(format!("attribute `{}` is no object", schema.id)));
            };
            let mut inner = Map::new();
            for (name, value) in members {
                if let Some(attribute) = super::attribute::named(schema.attributes, name) {
                    keep(&mut inner, attribute, value)?;
                }
            }
            if !inner.is_empty() && read.insert(schema.id.to_owned(), inner.into()).is_some() {
                return Err(error::syntax(format!("attribute `{}` is there twice", schema.id)));
            }
        } else if let Some(attribute) = model.own(name) {
            if attribute.name == "schemas" {
                schemas(model, value)?;
            } else {
                keep(&mut read, attribute, value)?;
            }
        }
    }
    required(model, &read)?;
    Ok(read)
}

fn keep(members: &mut Map<String, Value>, attribute: &'static Attribute, sent: &Value) -> Result<(), ScimError> {
    if attribute.mutability == Mutability::ReadOnly {
        return Ok(());
    }
    let Some(value) = value(attribute, sent)? else { return Ok(()) };
    if members.insert(attribute.name.to_owned(), value).is_some() {
        return Err(error::syntax(format!("attribute `{}` is there twice", attribute.name)));
    }
    Ok(())
}

/// Where schemas are named, the type's own is among them.
fn schemas(model: &'static Model, value: &Value) -> Result<(), ScimError> {
    let named = |urn: &str| {
        value
            .as_array()
            .is_some_and(|all| all.iter().filter_map(Value::as_str).any(|one| one.eq_ignore_ascii_case(urn)))
    };
    if named(model.core.id) {
        Ok(())
    } else {
        Err(error::syntax(format!("`schemas` does not name `{}`", model.core.id)))
    }
}

/// Whether everything is there that must be.
///
/// # Errors
/// Something is not.
pub fn required(model: &'static Model, document: &Map<String, Value>) -> Result<(), ScimError> {
    let missing = model
        .attributes()
        .find(|attribute| attribute.required && attribute.name != "schemas" && !document.contains_key(attribute.name));
    match missing {
        Some(attribute) => Err(error::value(format!("attribute `{}` is required", attribute.name))),
        None => Ok(()),
    }
}

/// Reads the value of an attribute with all its values; none where it is unassigned (RFC 7643 §2.5).
///
/// # Errors
/// It has the wrong type, or is larger than anybody needs.
pub fn value(attribute: &'static Attribute, sent: &Value) -> Result<Option<Value>, ScimError> {
    if !attribute.multi {
        return one(attribute, sent);
    }
    let sent = match sent {
        Value::Null => return Ok(None),
        Value::Array(values) => values.as_slice(),
        // One value is taken for a list of one.
        single => std::slice::from_ref(single),
    };
    if sent.len() > MOST_VALUES {
        return Err(error::value(format!("attribute `{}` has too many values", attribute.name)));
    }
    let mut values = Vec::with_capacity(sent.len());
    for value in sent {
        values.extend(one(attribute, value)?);
    }
    let primaries = values.iter().filter(|value| value.get("primary") == Some(&Value::Bool(true))).count();
    if primaries > 1 {
        return Err(error::value(format!("attribute `{}` has more than one primary value", attribute.name)));
    }
    Ok((!values.is_empty()).then_some(Value::Array(values)))
}

/// Reads one value.
pub(super) fn one(attribute: &'static Attribute, sent: &Value) -> Result<Option<Value>, ScimError> {
    let wrong = || error::value(format!("attribute `{}` is no {}", attribute.name, attribute.kind.as_str()));
    let read = match (attribute.kind, sent) {
        (_, Value::Null) => return Ok(None),
        (Kind::Complex, Value::Object(members)) => {
            let mut read = Map::new();
            for (name, value) in members {
                if let Some(sub) = attribute.sub(name) {
                    keep(&mut read, sub, value)?;
                }
            }
            if read.is_empty() {
                return Ok(None);
            }
            let missing = attribute.sub.iter().find(|sub| sub.required && !read.contains_key(sub.name));
            if let Some(sub) = missing {
                return Err(error::value(format!("attribute `{}.{}` is required", attribute.name, sub.name)));
            }
            Value::Object(read)
        }
        // A value by itself stands for a complex one that has only it.
        (Kind::Complex, Value::String(text)) if attribute.multi => match attribute.sub("value") {
            Some(sub) => {
                let Some(value) = one(sub, &Value::String(text.clone()))? else { return Ok(None) };
                Value::Object(Map::from_iter([(sub.name.to_owned(), value)]))
            }
            None => return Err(wrong()),
        },
        (Kind::Boolean, Value::Bool(_)) => sent.clone(),
        (Kind::Boolean, Value::String(text)) => Value::Bool(text.to_ascii_lowercase().parse().map_err(|_| wrong())?),
        (Kind::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => sent.clone(),
        (Kind::Decimal, Value::Number(_)) => sent.clone(),
        (Kind::DateTime, Value::String(text)) if crate::time::read_millis(text).is_some() => sent.clone(),
        (Kind::Binary, Value::String(text)) => {
            let sound = |b: u8| b.is_ascii_alphanumeric() || b"+/-_=".contains(&b);
            if text.len() > LONGEST_BINARY || !text.bytes().all(sound) {
                return Err(wrong());
            }
            sent.clone()
        }
        (Kind::Text | Kind::Reference, Value::String(text)) => {
            if text.len() > LONGEST_TEXT || text.contains('\0') {
                return Err(error::value(format!("attribute `{}` is too long or holds a NUL", attribute.name)));
            }
            if text.is_empty() {
                return Ok(None);
            }
            sent.clone()
        }
        _ => return Err(wrong()),
    };
    Ok(Some(read))
}
