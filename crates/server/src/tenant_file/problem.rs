//! What is wrong with a tenant file: where, what, and what to do about it. Every problem is collected; none hides another.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

/// One thing wrong with a tenant file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The key it is about (`tenant[0].clients[2].redirect_uris[0]`); empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        Ok(())
    }
}

/// A place in a file, kept until it is known whether anything is wrong there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) span: Range<usize>,
}

impl Place {
    /// The place of a part of this one.
    pub(super) fn part(&self, name: &str, span: Range<usize>) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { path, span }
    }
}

/// The problems of one file, as they are found.
pub(super) struct Report<'a> {
    file: &'a str,
    text: &'a str,
    found: RefCell<Vec<(usize, Problem)>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, found: RefCell::default() }
    }

    /// Notes a problem. `fix` may be empty where the message says it all.
    pub(super) fn add(&self, place: &Place, message: impl Into<String>, fix: impl Into<String>) {
        let (line, column) = self.position(place.span.start);
        let problem = Problem {
            file: self.file.to_owned(),
            line,
            column,
            path: place.path.clone(),
            message: message.into(),
            fix: fix.into(),
        };
        self.found.borrow_mut().push((place.span.start, problem));
    }

    /// Where a byte of the text stands: line and column, from 1.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }

    /// Line and column in words, to point from one problem to another place.
    pub(super) fn line(&self, place: &Place) -> String {
        format!("line {}", self.position(place.span.start).0)
    }

    /// Everything found, in the order of the file.
    pub(super) fn finish(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(at, _)| *at);
        found.into_iter().map(|(_, problem)| problem).collect()
    }
}
