//! What an attribute is (RFC 7643 §2, §7): its type, and what may be done with it. Owns the descriptions' form, not which there are.

use serde_json::{Map, Value, json};

/// The type of an attribute (RFC 7643 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `string`.
    Text,
    /// `boolean`.
    Boolean,
    /// `integer`.
    Integer,
    /// `decimal`.
    Decimal,
    /// `dateTime`.
    DateTime,
    /// `binary`: base64.
    Binary,
    /// `reference`.
    Reference,
    /// `complex`.
    Complex,
}

impl Kind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::DateTime => "dateTime",
            Self::Binary => "binary",
            Self::Reference => "reference",
            Self::Complex => "complex",
        }
    }
}

/// Who may write an attribute, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutability {
    /// Only the server.
    ReadOnly,
    /// Clients too.
    ReadWrite,
    /// Clients, once.
    Immutable,
    /// Clients, and nobody reads it.
    WriteOnly,
}

/// When an attribute is in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// In every answer.
    Always,
    /// In none.
    Never,
    /// Unless other attributes are asked for.
    Default,
    /// Only when asked for.
    Request,
}

/// How unique the values of an attribute are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uniqueness {
    /// Not at all.
    None,
    /// Within the tenant.
    Server,
    /// Everywhere.
    Global,
}

/// An attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, in the case it is answered in; compared in any.
    pub name: &'static str,
    /// What it is, for people.
    pub description: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether it has several values.
    pub multi: bool,
    /// Whether it must be there.
    pub required: bool,
    /// Whether the case of its values counts.
    pub case_exact: bool,
    /// Who may write it.
    pub mutability: Mutability,
    /// When it is answered.
    pub returned: Returned,
    /// How unique its values are.
    pub uniqueness: Uniqueness,
    /// Values that are suggested.
    pub canonical: &'static [&'static str],
    /// What a reference may lead to.
    pub references: &'static [&'static str],
    /// The attributes of a complex one.
    pub sub: &'static [Attribute],
}

impl Attribute {
    /// An attribute a client may read and write, with one value.
    pub const fn new(kind: Kind, name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            description,
            kind,
            multi: false,
            required: false,
            case_exact: matches!(kind, Kind::Binary | Kind::Reference | Kind::DateTime),
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            uniqueness: Uniqueness::None,
            canonical: &[],
            references: &[],
            sub: &[],
        }
    }

    /// A text.
    pub const fn text(name: &'static str, description: &'static str) -> Self {
        Self::new(Kind::Text, name, description)
    }

    /// A complex attribute.
    pub const fn complex(name: &'static str, description: &'static str, sub: &'static [Self]) -> Self {
        Self { sub, ..Self::new(Kind::Complex, name, description) }
    }

    /// A reference.
    pub const fn reference(name: &'static str, description: &'static str, to: &'static [&'static str]) -> Self {
        Self { references: to, ..Self::new(Kind::Reference, name, description) }
    }

    /// With several values.
    pub const fn many(self) -> Self {
        Self { multi: true, ..self }
    }

    /// Must be there.
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Its values are told apart by case.
    pub const fn exact(self) -> Self {
        Self { case_exact: true, ..self }
    }

    /// Only the server writes it.
    pub const fn read_only(self) -> Self {
        Self { mutability: Mutability::ReadOnly, ..self }
    }

    /// Written once.
    pub const fn immutable(self) -> Self {
        Self { mutability: Mutability::Immutable, ..self }
    }

    /// Written and never read.
    pub const fn write_only(self) -> Self {
        Self { mutability: Mutability::WriteOnly, returned: Returned::Never, ..self }
    }

    /// When it is answered.
    pub const fn returned(self, returned: Returned) -> Self {
        Self { returned, ..self }
    }

    /// Unique in the tenant.
    pub const fn unique(self) -> Self {
        Self { uniqueness: Uniqueness::Server, ..self }
    }

    /// With suggested values.
    pub const fn canonical(self, canonical: &'static [&'static str]) -> Self {
        Self { canonical, ..self }
    }

    /// The attribute of a complex one, in any case.
    pub fn sub(&'static self, name: &str) -> Option<&'static Self> {
        named(self.sub, name)
    }

    /// Its description as a schema shows it (RFC 7643 §7).
    pub fn describe(&self) -> Value {
        let mut shown = Map::new();
        shown.insert("name".to_owned(), self.name.into());
        shown.insert("type".to_owned(), self.kind.as_str().into());
        shown.insert("multiValued".to_owned(), self.multi.into());
        shown.insert("description".to_owned(), self.description.into());
        shown.insert("required".to_owned(), self.required.into());
        if !self.canonical.is_empty() {
            shown.insert("canonicalValues".to_owned(), json!(self.canonical));
        }
        shown.insert("caseExact".to_owned(), self.case_exact.into());
        let mutability = match self.mutability {
            Mutability::ReadOnly => "readOnly",
            Mutability::ReadWrite => "readWrite",
            Mutability::Immutable => "immutable",
            Mutability::WriteOnly => "writeOnly",
        };
        shown.insert("mutability".to_owned(), mutability.into());
        let returned = match self.returned {
            Returned::Always => "always",
            Returned::Never => "never",
            Returned::Default => "default",
            Returned::Request => "request",
        };
        shown.insert("returned".to_owned(), returned.into());
        let uniqueness = match self.uniqueness {
            Uniqueness::None => "none",
            Uniqueness::Server => "server",
            Uniqueness::Global => "global",
        };
        shown.insert("uniqueness".to_owned(), uniqueness.into());
        if !self.references.is_empty() {
            shown.insert("referenceTypes".to_owned(), json!(self.references));
        }
        if self.kind == Kind::Complex {
            let sub: Vec<Value> = self.sub.iter().map(Self::describe).collect();
            shown.insert("subAttributes".to_owned(), sub.into());
        }
        Value::Object(shown)
    }
}

/// The attribute of this name, in any case (RFC 7643 §2.1).
pub fn named(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}
