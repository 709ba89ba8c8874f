//! Reading JSON with a place for every complaint.

use serde_json::{Map, Value};

/// Complaints kept; a document with more is wrong in more ways than anybody wants to read.
const MOST_PROBLEMS: usize = 50;

/// The most characters of any text in a policy.
pub(super) const LONGEST_TEXT: usize = 1024;

/// Something wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place, as in `rules[0].result.action`; empty for the document itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "`{}`: {}", self.path, self.message) }
    }
}

/// Collects problems while a document is read.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
    /// Whether the policy governs the browser flow, as far as that is known yet.
    pub(super) browser: bool,
}

/// The text may be a stranger's: it is cut short before it goes into a message.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(64).collect();
    if text.chars().count() > 64 {
        shown.push('…');
    }
    format!("`{shown}`")
}

pub(super) fn at(path: &str, member: &str) -> String {
    if path.is_empty() { member.to_owned() } else { format!("{path}.{member}") }
}

impl Reader {
    pub(super) fn problem(&mut self, path: &str, message: impl Into<String>) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(Problem { path: path.to_owned(), message: message.into() });
        }
    }

    pub(super) fn object<'a>(&mut self, path: &str, value: Option<&'a Value>) -> Option<&'a Map<String, Value>> {
        match value {
            Some(Value::Object(members)) => Some(members),
            Some(_) => {
                self.problem(path, "must be an object");
                None
            }
            None => {
                self.problem(path, "is required");
                None
            }
        }
    }

    /// A list of at most `most` items; absent and null are none.
    pub(super) fn list<'a>(&mut self, path: &str, value: Option<&'a Value>, most: usize) -> Option<&'a [Value]> {
        match value {
            Some(Value::Array(items)) if items.len() <= most => Some(items),
            Some(Value::Array(_)) => {
                self.problem(path, format!("must have at most {most} items"));
                None
            }
            None | Some(Value::Null) => Some(&[]),
            Some(_) => {
                self.problem(path, "must be a list");
                None
            }
        }
    }

    /// A text that must be there and not be empty.
    pub(super) fn text<'a>(&mut self, path: &str, value: Option<&'a Value>) -> Option<&'a str> {
        let text = match value {
            Some(Value::String(text)) => text.as_str(),
            None | Some(Value::Null) => {
                self.problem(path, "is required");
                return None;
            }
            Some(_) => {
                self.problem(path, "must be a text");
                return None;
            }
        };
        if text.trim().is_empty() {
            self.problem(path, "must not be empty");
            return None;
        }
        if text.chars().count() > LONGEST_TEXT {
            self.problem(path, format!("must have at most {LONGEST_TEXT} characters"));
            return None;
        }
        Some(text)
    }

    /// A yes or no that must be there.
    pub(super) fn flag(&mut self, path: &str, value: Option<&Value>) -> Option<bool> {
        match value {
            Some(Value::Bool(flag)) => Some(*flag),
            None => {
                self.problem(path, "is required");
                None
            }
            Some(_) => {
                self.problem(path, "must be true or false");
                None
            }
        }
    }

    /// A list of texts; numbers and flags are taken as their text.
    pub(super) fn values(&mut self, path: &str, value: Option<&Value>, most: usize) -> Option<Vec<String>> {
        let items = self.list(path, value, most)?;
        let before = self.problems.len();
        let mut texts = Vec::with_capacity(items.len());
        for (position, item) in items.iter().enumerate() {
            match item {
                Value::String(text) if text.chars().count() <= LONGEST_TEXT => texts.push(text.clone()),
                Value::String(_) => {
                    self.problem(
                        &format!("{path}[{position}]"),
                        format!("must have at most {LONGEST_TEXT} characters"),
                    );
                }
                Value::Number(number) => texts.push(number.to_string()),
                Value::Bool(flag) => texts.push(flag.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    self.problem(&format!("{path}[{position}]"), "must be a text");
                }
            }
        }
        (self.problems.len() == before).then_some(texts)
    }
}
