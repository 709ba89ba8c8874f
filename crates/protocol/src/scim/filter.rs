//! Filters (RFC 7644 §3.4.2.2): their form. Reading is in `parse`, judging in `evaluate`.

use std::fmt;

use serde_json::Value;

use super::error::ScimError;
use super::path::Path;

/// The longest filter that is read, bytes.
pub const LONGEST: usize = 4096;
/// Parentheses and brackets within one another.
pub const DEEPEST: usize = 10;
/// Comparisons of one filter.
pub const MOST_TERMS: usize = 100;

/// How an attribute is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `eq`.
    Equal,
    /// `ne`.
    NotEqual,
    /// `co`.
    Contains,
    /// `sw`.
    StartsWith,
    /// `ew`.
    EndsWith,
    /// `gt`.
    Greater,
    /// `ge`.
    GreaterOrEqual,
    /// `lt`.
    Less,
    /// `le`.
    LessOrEqual,
}

impl Operator {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Equal,
        Self::NotEqual,
        Self::Contains,
        Self::StartsWith,
        Self::EndsWith,
        Self::Greater,
        Self::GreaterOrEqual,
        Self::Less,
        Self::LessOrEqual,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "eq",
            Self::NotEqual => "ne",
            Self::Contains => "co",
            Self::StartsWith => "sw",
            Self::EndsWith => "ew",
            Self::Greater => "gt",
            Self::GreaterOrEqual => "ge",
            Self::Less => "lt",
            Self::LessOrEqual => "le",
        }
    }

    /// The operator of a word, in any case.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.as_str().eq_ignore_ascii_case(word))
    }
}

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// `path op value`.
    Compare {
        /// What is compared.
        path: Path,
        /// How.
        operator: Operator,
        /// With what: text, number, truth value or null.
        value: Value,
    },
    /// `path pr`.
    Present(Path),
    /// `path[filter]`: some value of the attribute satisfies the filter.
    Some(Path),
    /// `not (filter)`.
    Not(Box<Filter>),
    /// `filter and filter`.
    And(Box<Filter>, Box<Filter>),
    /// `filter or filter`.
    Or(Box<Filter>, Box<Filter>),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// It is malformed, or larger than anybody needs.
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        super::parse::filter(text)
    }

    /// The terms that all must hold for the filter to hold: what an index may be asked for first.
    pub fn conjuncts(&self) -> Vec<&Self> {
        match self {
            Self::And(left, right) => {
                let mut all = left.conjuncts();
                all.extend(right.conjuncts());
                all
            }
            other => vec![other],
        }
    }

    /// The attribute and text of `attribute eq "text"` without a value filter.
    pub fn equals_text(&self) -> Option<(&super::path::AttrPath, &str)> {
        match self {
            Self::Compare { path: Path { attr, filter: None, tail: None }, operator: Operator::Equal, value } => {
                Some((attr, value.as_str()?))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare { path, operator, value } => write!(f, "{path} {} {value}", operator.as_str()),
            Self::Present(path) => write!(f, "{path} pr"),
            Self::Some(path) => write!(f, "{path}"),
            Self::Not(inner) => write!(f, "not ({inner})"),
            // `and` binds closer than `or`, and both to the left.
            Self::And(left, right) => {
                write_in(f, left, matches!(**left, Self::Or(..)))?;
                f.write_str(" and ")?;
                write_in(f, right, matches!(**right, Self::Or(..) | Self::And(..)))
            }
            Self::Or(left, right) => {
                write!(f, "{left} or ")?;
                write_in(f, right, matches!(**right, Self::Or(..)))
            }
        }
    }
}

fn write_in(f: &mut fmt::Formatter<'_>, filter: &Filter, parentheses: bool) -> fmt::Result {
    if parentheses { write!(f, "({filter})") } else { write!(f, "{filter}") }
}
