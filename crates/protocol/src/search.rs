//! Owns the mini-language of the vendor's lists (§2.9): `search`, `filter`, `sort` and `pagination`.
//!
//! Works on the JSON that would be answered, so that nothing can be searched that is not shown. Loads nothing, and does not
//! know which list it is.

mod parse;

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use crate::form::Form;

/// Objects of one page where nothing is said.
pub const DEFAULT_LIMIT: usize = 200;
/// Objects of one page at most.
pub const MAX_LIMIT: usize = 1000;

/// Why a list query is refused (400).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchProblem {
    /// Longer or with more terms than anybody needs.
    #[error("the query is too long")]
    TooLong,
    /// Not in the language.
    #[error("the query is malformed near character {0}")]
    Malformed(usize),
    /// A name the list does not have.
    #[error("name `{0}` is unknown here")]
    UnknownName(String),
    /// An operator the language does not have, or not for this kind of value.
    #[error("the operator after `{0}` is unknown or does not go with its value")]
    WrongOperator(String),
    /// `pagination` is malformed or out of range.
    #[error("`pagination` is malformed or out of range")]
    Paging,
}

/// How a member is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`.
    Equal,
    /// `!=`.
    Different,
    /// `contains`, for texts.
    Contains,
    /// `<`, for numbers.
    Less,
    /// `<=`, for numbers.
    LessOrEqual,
    /// `>`, for numbers.
    Greater,
    /// `>=`, for numbers.
    GreaterOrEqual,
}

/// What a member is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// In double quotes.
    Text(String),
    /// Bare.
    Number(Number),
    /// Bare `true` or `false`.
    Bool(bool),
}

/// One comparison of `search`; all must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The member's name; `/` leads into objects.
    pub name: String,
    /// How.
    pub operator: Operator,
    /// With what.
    pub literal: Literal,
}

/// Which members are answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Projection {
    /// All.
    #[default]
    All,
    /// Only these.
    Only(Vec<String>),
    /// All but these.
    Without(Vec<String>),
}

/// One key of `sort`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The member's name.
    pub name: String,
    /// Largest first.
    pub descending: bool,
}

/// A list query, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// `search`.
    pub terms: Vec<Term>,
    /// `filter`.
    pub projection: Projection,
    /// `sort`.
    pub sort: Vec<SortKey>,
    /// `count` of `pagination`: matches that are looked at in all.
    pub count: Option<usize>,
    /// `limit`: objects of one page.
    pub limit: Option<usize>,
    /// `page`, from 1.
    pub page: Option<usize>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Objects that match, on all pages.
    pub total: usize,
    /// `count` as asked for, or the default.
    pub count: usize,
    /// Objects of a page at most.
    pub limit: usize,
    /// Which page, from 1.
    pub page: usize,
    /// The objects of this page.
    pub items: Vec<Value>,
}

impl Listing {
    /// Reads the query of a list that may be searched and sorted by `names` (one ending in `/*` stands for anything below).
    ///
    /// A query that was sent unencoded falls apart at its `&`: parameters that are called like one of the names are then further
    /// terms, and `count`, `page` and `limit` belong to `pagination` (vendor page W6).
    ///
    /// # Errors
    /// What is wrong with the query.
    pub fn read(query: &Form, names: &[&str]) -> Result<Self, SearchProblem> {
        let mut listing = Self::default();
        let mut search = String::new();
        for (name, value) in query.pairs() {
            match name {
                "search" => append(&mut search, value),
                "filter" => listing.projection = parse::read_projection(value)?,
                "sort" => listing.sort.extend(parse::read_sort(value, names)?),
                "pagination" => listing.read_paging(value)?,
                "count" | "page" | "limit" if !value.is_empty() => listing.read_paging(&format!("{name}={value}"))?,
                _ if is_known(name.trim_end_matches(['!', '<', '>', ' ']), names) => {
                    append(&mut search, &format!("{name}={value}"));
                }
                _ => {}
            }
        }
        listing.terms = parse::read_terms(&search, names)?;
        if listing.sort.len() > parse::MAX_SORT {
            return Err(SearchProblem::TooLong);
        }
        Ok(listing)
    }

    fn read_paging(&mut self, text: &str) -> Result<(), SearchProblem> {
        for part in text.split('&').filter(|part| !part.trim().is_empty()) {
            let (name, value) = part.split_once('=').ok_or(SearchProblem::Paging)?;
            let value = value.trim();
            let digits = (1..=9).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
            let number: usize = value.parse().ok().filter(|n| digits && *n > 0).ok_or(SearchProblem::Paging)?;
            match name.trim() {
                "count" => self.count = Some(number),
                "page" => self.page = Some(number),
                "limit" => self.limit = Some(number.min(MAX_LIMIT)),
                _ => return Err(SearchProblem::Paging),
            }
        }
        Ok(())
    }

    /// The text a member must be equal to, if the query says so: for a look-up by index before the rest is compared.
    pub fn wanted(&self, name: &str) -> Option<&str> {
        self.terms.iter().find_map(|term| match &term.literal {
            Literal::Text(text) if term.name == name && term.operator == Operator::Equal => Some(text.as_str()),
            _ => None,
        })
    }

    /// Whether an object satisfies all terms.
    pub fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| term.holds(object))
    }

    /// Searches, sorts, cuts the page out, and leaves only the members asked for.
    pub fn apply(&self, objects: Vec<Value>) -> Page {
        let mut found: Vec<Value> = objects.into_iter().filter(|object| self.matches(object)).collect();
        if !self.sort.is_empty() {
            found.sort_by(|a, b| self.compare(a, b));
        }
        let total = found.len();
        let limit = self.limit.or(self.count).unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
        let page = self.page.unwrap_or(1);
        let items = found
            .into_iter()
            .take(self.count.unwrap_or(usize::MAX))
            .skip((page - 1).saturating_mul(limit))
            .take(limit)
            .map(|object| self.projection.project(object))
            .collect();
        Page { total, count: self.count.unwrap_or(DEFAULT_LIMIT), limit, page, items }
    }

    fn compare(&self, a: &Value, b: &Value) -> Ordering {
        self.sort
            .iter()
            .map(|key| {
                let (a, b) = (values_at(a, &key.name), values_at(b, &key.name));
                // An object without the member comes last whichever way the rest is sorted.
                match (a.first(), b.first()) {
                    (Some(a), Some(b)) if key.descending => compare_values(b, a),
                    (Some(a), Some(b)) => compare_values(a, b),
                    (a, b) => b.is_some().cmp(&a.is_some()),
                }
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl Term {
    fn holds(&self, object: &Value) -> bool {
        let values = values_at(object, &self.name);
        match self.operator {
            Operator::Equal => values.iter().any(|value| self.literal.equals(value)),
            Operator::Different => !values.iter().any(|value| self.literal.equals(value)),
            Operator::Contains => values.iter().any(|value| match (value, &self.literal) {
                (Value::String(value), Literal::Text(text)) => value.contains(text.as_str()),
                _ => false,
            }),
            Operator::Less => self.any_order(&values, Ordering::is_lt),
            Operator::LessOrEqual => self.any_order(&values, Ordering::is_le),
            Operator::Greater => self.any_order(&values, Ordering::is_gt),
            Operator::GreaterOrEqual => self.any_order(&values, Ordering::is_ge),
        }
    }

    fn any_order(&self, values: &[&Value], fits: fn(Ordering) -> bool) -> bool {
        values.iter().any(|value| match (value, &self.literal) {
            (Value::Number(value), Literal::Number(number)) => compare_numbers(value, number).is_some_and(fits),
            _ => false,
        })
    }
}

impl Literal {
    fn equals(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(text), Value::String(value)) => text == value,
            // Clients quote truth values too.
            (Self::Text(text), Value::Bool(value)) => text == if *value { "true" } else { "false" },
            (Self::Number(number), Value::Number(value)) => compare_numbers(value, number) == Some(Ordering::Equal),
            (Self::Bool(wanted), Value::Bool(value)) => wanted == value,
            (Self::Bool(wanted), Value::String(value)) => value == if *wanted { "true" } else { "false" },
            _ => false,
        }
    }
}

impl Projection {
    fn project(&self, object: Value) -> Value {
        match self {
            Self::All => object,
            Self::Only(names) => {
                let mut kept = Value::Object(Map::new());
                names.iter().for_each(|name| copy_path(&object, &mut kept, name));
                kept
            }
            Self::Without(names) => {
                let mut object = object;
                names.iter().for_each(|name| remove_path(&mut object, name));
                object
            }
        }
    }
}

fn copy_path(from: &Value, to: &mut Value, path: &str) {
    let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let (Some(value), Value::Object(kept)) = (from.get(name), to) else { return };
    match rest {
        None => {
            kept.insert(name.to_owned(), value.clone());
        }
        Some(rest) if value.is_object() => {
            let inner = kept.entry(name).or_insert_with(|| Value::Object(Map::new()));
            copy_path(value, inner, rest);
        }
        Some(_) => {}
    }
}

fn remove_path(object: &mut Value, path: &str) {
    let Value::Object(members) = object else { return };
    match path.split_once('/') {
        None => {
            members.remove(path);
        }
        Some((name, rest)) => {
            if let Some(inner) = members.get_mut(name) {
                remove_path(inner, rest);
            }
        }
    }
}

/// The values a path leads to: through objects by name, through arrays into each element.
fn values_at<'v>(object: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = vec![object];
    for name in path.split('/') {
        found = found.into_iter().flat_map(spread).filter_map(|value| value.get(name)).collect();
    }
    found.into_iter().flat_map(spread).filter(|value| !value.is_null()).collect()
}

fn spread(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

/// Numbers before texts before truth values before the rest; within a kind as one would expect.
fn compare_values(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        _ => 3,
    };
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b).unwrap_or(Ordering::Equal),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn append(search: &mut String, term: &str) {
    if !search.is_empty() {
        search.push('&');
    }
    search.push_str(term);
}

fn is_known(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| match known.strip_suffix('*') {
        Some(stem) => name.len() > stem.len() && name.starts_with(stem),
        None => *known == name,
    })
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
