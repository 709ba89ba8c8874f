//! Reads filters and paths (RFC 7644 §3.4.2.2 Figure 1, §3.5.2 Figure 7), within bounds and without recursion that a stranger
//! could drive.

use serde_json::Value;

use super::error::{self, ScimError, ScimType};
use super::filter::{DEEPEST, Filter, LONGEST, MOST_TERMS, Operator};
use super::path::{AttrPath, Path, is_name};

/// Reads a whole filter.
pub(super) fn filter(text: &str) -> Result<Filter, ScimError> {
    if text.len() > LONGEST {
        return Err(error::filter("the filter is too long"));
    }
    let mut reader = Reader::new(text);
    let read = reader.either(0, false).map_err(|problem| error::filter(problem.say("filter", reader.at)))?;
    reader.blanks();
    if reader.rest().is_empty() { Ok(read) } else { Err(error::filter(Problem::Malformed.say("filter", reader.at))) }
}

/// Reads the whole path of an operation.
pub(super) fn path(text: &str) -> Result<Path, ScimError> {
    let mut reader = Reader::new(text);
    let refused = |problem: Problem, at| ScimError::of(ScimType::InvalidPath, problem.say("path", at));
    let read = reader.path(0, false).map_err(|problem| match problem {
        // A filter within a path is a filter (Table 9).
        Problem::Filter => error::filter(Problem::Malformed.say("path", reader.at)),
        other => refused(other, reader.at),
    })?;
    if reader.rest().is_empty() { Ok(read) } else { Err(refused(Problem::Malformed, reader.at)) }
}

#[derive(Clone, Copy)]
enum Problem {
    Malformed,
    /// Malformed within brackets.
    Filter,
    TooLarge,
}

impl Problem {
    fn say(self, what: &str, at: usize) -> String {
        match self {
            Self::Malformed | Self::Filter => format!("the {what} is malformed near character {}", at + 1),
            Self::TooLarge => format!("the {what} is nested too deeply or has too many terms"),
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    terms: usize,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0, terms: 0 }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(' ').len();
    }

    fn takes(&mut self, character: char) -> bool {
        let found = self.rest().starts_with(character);
        if found {
            self.at += character.len_utf8();
        }
        found
    }

    /// The letters that follow.
    fn peek_word(&self) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        &rest[..end]
    }

    /// Takes `and` or `or`, which stands between blanks or parentheses.
    fn takes_word(&mut self, word: &str) -> bool {
        let before = self.at;
        self.blanks();
        let found = self.peek_word();
        let parted = before < self.at || self.text[..before].ends_with([')', ']']);
        let after = &self.rest()[found.len()..];
        if parted && found.eq_ignore_ascii_case(word) && after.starts_with([' ', '(']) {
            self.at += found.len();
            return true;
        }
        self.at = before;
        false
    }

    fn either(&mut self, depth: usize, inner: bool) -> Result<Filter, Problem> {
        let mut left = self.both(depth, inner)?;
        while self.takes_word("or") {
            let right = self.both(depth, inner)?;
            left = Filter::Or(Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn both(&mut self, depth: usize, inner: bool) -> Result<Filter, Problem> {
        let mut left = self.one(depth, inner)?;
        while self.takes_word("and") {
            let right = self.one(depth, inner)?;
            left = Filter::And(Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn one(&mut self, depth: usize, inner: bool) -> Result<Filter, Problem> {
        if depth > DEEPEST {
            return Err(Problem::TooLarge);
        }
        self.blanks();
        if self.takes('(') {
            return self.group(depth, inner);
        }
        let word = self.peek_word();
        if word.eq_ignore_ascii_case("not") {
            let before = self.at;
            self.at += word.len();
            self.blanks();
            if self.takes('(') {
                return Ok(Filter::Not(Box::new(self.group(depth, inner)?)));
            }
            self.at = before;
        }
        self.comparison(depth, inner)
    }

    fn group(&mut self, depth: usize, inner: bool) -> Result<Filter, Problem> {
        let filter = self.either(depth + 1, inner)?;
        self.blanks();
        if self.takes(')') { Ok(filter) } else { Err(Problem::Malformed) }
    }

    fn comparison(&mut self, depth: usize, inner: bool) -> Result<Filter, Problem> {
        self.terms += 1;
        if self.terms > MOST_TERMS {
            return Err(Problem::TooLarge);
        }
        let path = self.path(depth, inner)?;
        let before = self.at;
        self.blanks();
        let word = self.peek_word();
        let parted = before < self.at;
        if parted && word.eq_ignore_ascii_case("pr") {
            self.at += word.len();
            return Ok(Filter::Present(path));
        }
        let Some(operator) = Operator::read(word).filter(|_| parted) else {
            self.at = before;
            let bare = path.filter.is_some() && path.tail.is_none();
            return if bare { Ok(Filter::Some(path)) } else { Err(Problem::Malformed) };
        };
        self.at += word.len();
        if !self.takes(' ') {
            return Err(Problem::Malformed);
        }
        self.blanks();
        let value = self.literal()?;
        Ok(Filter::Compare { path, operator, value })
    }

    fn path(&mut self, depth: usize, inner: bool) -> Result<Path, Problem> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.:$".contains(c))).unwrap_or(rest.len());
        let attr = AttrPath::parse(&rest[..end]).ok_or(Problem::Malformed)?;
        // Within brackets stand the sub-attributes of one attribute.
        if inner && (attr.urn.is_some() || attr.sub.is_some()) {
            return Err(Problem::Malformed);
        }
        self.at += end;
        if inner || attr.sub.is_some() || !self.takes('[') {
            return Ok(attr.into());
        }
        let filter = self.either(depth + 1, true).map_err(|problem| match problem {
            Problem::Malformed | Problem::Filter => Problem::Filter,
            Problem::TooLarge => Problem::TooLarge,
        })?;
        self.blanks();
        if !self.takes(']') {
            return Err(Problem::Filter);
        }
        let mut tail = None;
        if self.takes('.') {
            let rest = self.rest();
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_$".contains(c))).unwrap_or(rest.len());
            let name = &rest[..end];
            if !is_name(name) {
                return Err(Problem::Malformed);
            }
            self.at += end;
            tail = Some(name.to_owned());
        }
        Ok(Path { attr, filter: Some(Box::new(filter)), tail })
    }

    /// `false`, `null`, `true`, a number or a string, as JSON writes them.
    fn literal(&mut self) -> Result<Value, Problem> {
        let rest = self.rest();
        let end = if rest.starts_with('"') {
            let mut escaped = false;
            let close = rest.char_indices().skip(1).find(|(_, c)| match c {
                _ if escaped => {
                    escaped = false;
                    false
                }
                '\\' => {
                    escaped = true;
                    false
                }
                c => *c == '"',
            });
            close.ok_or(Problem::Malformed)?.0 + 1
        } else {
            rest.find([' ', ')', ']']).unwrap_or(rest.len())
        };
        let value: Value = serde_json::from_str(&rest[..end]).map_err(|_| Problem::Malformed)?;
        if value.is_array() || value.is_object() {
            return Err(Problem::Malformed);
        }
        self.at += end;
        Ok(value)
    }
}
