//! Names of attributes (RFC 7644 §3.10) and the paths of filters and operations (§3.5.2). Owns their text; what they lead to
//! says the model.

use std::fmt;

use super::error::{ScimError, ScimType};
use super::filter::Filter;

/// The longest path that is read, bytes.
pub const LONGEST: usize = 1024;

/// `[URN:]name[.sub]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttrPath {
    /// The schema it belongs to; none for one of the resource's own.
    pub urn: Option<String>,
    /// The attribute.
    pub name: String,
    /// Its sub-attribute.
    pub sub: Option<String>,
}

/// `attribute`, `attribute[filter]` or `attribute[filter].sub`.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The attribute.
    pub attr: AttrPath,
    /// Which of its values.
    pub filter: Option<Box<Filter>>,
    /// The sub-attribute behind the filter.
    pub tail: Option<String>,
}

impl AttrPath {
    /// Reads a name; none where it is not in form.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (urn, rest) = match text.rsplit_once(':') {
            Some((urn, rest)) => (Some(urn), rest),
            None => (None, text),
        };
        if let Some(urn) = urn {
            let prefix = urn.get(..4)?;
            let sound = urn.bytes().all(|b| b.is_ascii_alphanumeric() || b":._-".contains(&b));
            if !prefix.eq_ignore_ascii_case("urn:") || !sound {
                return None;
            }
        }
        let (name, sub) = match rest.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (rest, None),
        };
        let whole = is_name(name) && sub.is_none_or(is_name);
        whole.then(|| Self { urn: urn.map(str::to_owned), name: name.to_owned(), sub: sub.map(str::to_owned) })
    }
}

/// `ATTRNAME` of RFC 7644 §3.10, and `$ref`.
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'$')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && text != "$"
}

impl Path {
    /// Reads the path of an operation.
    ///
    /// # Errors
    /// It is not in form, or beyond the bounds of filters.
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        if text.len() > LONGEST {
            return Err(ScimError::of(ScimType::InvalidPath, "the path is too long"));
        }
        super::parse::path(text)
    }
}

impl From<AttrPath> for Path {
    fn from(attr: AttrPath) -> Self {
        Self { attr, filter: None, tail: None }
    }
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.name)?;
        if let Some(sub) = &self.sub {
            write!(f, ".{sub}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.attr)?;
        if let Some(filter) = &self.filter {
            write!(f, "[{filter}]")?;
        }
        if let Some(tail) = &self.tail {
            write!(f, ".{tail}")?;
        }
        Ok(())
    }
}
