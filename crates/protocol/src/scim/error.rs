//! The errors of SCIM (RFC 7644 §3.12). Owns their words and statuses; who answers them writes the JSON.

use serde_json::{Map, Value, json};

/// The schema of an error.
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// Table 9 of RFC 7644.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScimType {
    /// The filter is malformed, or an attribute and an operator do not go together.
    InvalidFilter,
    /// More matches than the server is willing to look at.
    TooMany,
    /// A value that must be unique is taken.
    Uniqueness,
    /// What would be changed cannot be.
    Mutability,
    /// The body is not in form.
    InvalidSyntax,
    /// The path of an operation leads nowhere.
    InvalidPath,
    /// The path yields nothing to operate on.
    NoTarget,
    /// A value is missing, of the wrong type or not acceptable.
    InvalidValue,
    /// The protocol version is not supported.
    InvalidVers,
    /// The request may not hold what it holds in its address.
    Sensitive,
}

impl ScimType {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVers => "invalidVers",
            Self::Sensitive => "sensitive",
        }
    }
}

/// A request that SCIM refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ScimError {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, where Table 9 has a word for it.
    pub kind: Option<ScimType>,
    /// What is wrong, for people.
    pub detail: String,
}

impl ScimError {
    /// An error with a status and no word of Table 9.
    pub fn status(status: u16, detail: impl Into<String>) -> Self {
        Self { status, kind: None, detail: detail.into() }
    }

    /// An error with a word of Table 9, which says the status.
    pub fn of(kind: ScimType, detail: impl Into<String>) -> Self {
        let status = match kind {
            ScimType::Uniqueness => 409,
            ScimType::Sensitive => 403,
            ScimType::InvalidFilter
            | ScimType::TooMany
            | ScimType::Mutability
            | ScimType::InvalidSyntax
            | ScimType::InvalidPath
            | ScimType::NoTarget
            | ScimType::InvalidValue
            | ScimType::InvalidVers => 400,
        };
        Self { status, kind: Some(kind), detail: detail.into() }
    }

    /// The body. `status` is a text there.
    pub fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("schemas".to_owned(), json!([ERROR]));
        body.insert("status".to_owned(), self.status.to_string().into());
        if let Some(kind) = self.kind {
            body.insert("scimType".to_owned(), kind.as_str().into());
        }
        body.insert("detail".to_owned(), self.detail.as_str().into());
        body
    }
}

/// A malformed filter, or one whose attribute and operator do not go together.
pub(super) fn filter(detail: impl Into<String>) -> ScimError {
    ScimError::of(ScimType::InvalidFilter, detail)
}

/// A value that is missing or wrong.
pub(super) fn value(detail: impl Into<String>) -> ScimError {
    ScimError::of(ScimType::InvalidValue, detail)
}

/// A body that is not in form.
pub(super) fn syntax(detail: impl Into<String>) -> ScimError {
    ScimError::of(ScimType::InvalidSyntax, detail)
}
