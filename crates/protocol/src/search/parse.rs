//! Owns the grammar of the list mini-language.

use serde_json::Number;

use super::{Literal, Operator, Projection, SearchProblem, SortKey, Term, is_known};

/// Bytes of one parameter.
const MAX_TEXT: usize = 4096;
/// Comparisons of one query.
const MAX_TERMS: usize = 32;
/// Keys of `sort`.
pub(super) const MAX_SORT: usize = 8;
/// Names of `filter`.
const MAX_PROJECTED: usize = 64;
/// Bytes of a name.
const MAX_NAME: usize = 128;

/// Reads `search`: `name op value`, joined by `&`, blanks optional.
pub(super) fn read_terms(text: &str, names: &[&str]) -> Result<Vec<Term>, SearchProblem> {
    if text.len() > MAX_TEXT {
        return Err(SearchProblem::TooLong);
    }
    let mut reader = Reader { text, at: 0 };
    let mut terms = Vec::new();
    loop {
        reader.skip_blanks();
        if reader.rest().is_empty() {
            return Ok(terms);
        }
        if reader.take("&") {
            continue;
        }
        if terms.len() == MAX_TERMS {
            return Err(SearchProblem::TooLong);
        }
        terms.push(reader.read_term(names)?);
        reader.skip_blanks();
        if !reader.rest().is_empty() && !reader.take("&") {
            return Err(reader.malformed());
        }
    }
}

/// Reads `sort`: `+a,-b`; a plus that a form turned into a blank, or none at all, means upwards.
pub(super) fn read_sort(text: &str, names: &[&str]) -> Result<Vec<SortKey>, SearchProblem> {
    read_names(text, MAX_SORT)?
        .into_iter()
        .map(|part| {
            let (descending, name) = match part.strip_prefix('-') {
                Some(name) => (true, name),
                None => (false, part.strip_prefix('+').unwrap_or(part)),
            };
            check_name(name, 0)?;
            if !is_known(name, names) {
                return Err(SearchProblem::UnknownName(name.to_owned()));
            }
            Ok(SortKey { name: name.to_owned(), descending })
        })
        .collect()
}

/// Reads `filter`: `a,b` for only these, `!a,b` for all but these.
pub(super) fn read_projection(text: &str) -> Result<Projection, SearchProblem> {
    let trimmed = text.trim();
    let (without, list) = match trimmed.strip_prefix('!') {
        Some(list) => (true, list),
        None => (false, trimmed),
    };
    let mut names = Vec::new();
    for part in read_names(list, MAX_PROJECTED)? {
        // Each name may carry the mark again.
        let name = if without { part.strip_prefix('!').unwrap_or(part) } else { part };
        check_name(name, 0)?;
        names.push(name.to_owned());
    }
    Ok(match (names.is_empty(), without) {
        (true, _) => Projection::All,
        (false, true) => Projection::Without(names),
        (false, false) => Projection::Only(names),
    })
}

fn read_names(text: &str, max: usize) -> Result<Vec<&str>, SearchProblem> {
    if text.len() > MAX_TEXT {
        return Err(SearchProblem::TooLong);
    }
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > max { Err(SearchProblem::TooLong) } else { Ok(parts) }
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"_.-:/$".contains(&b)
}

fn check_name(name: &str, at: usize) -> Result<(), SearchProblem> {
    let fits = !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(is_name_byte);
    // Depth is bounded, because projection walks it.
    if fits && name.split('/').count() <= 8 { Ok(()) } else { Err(SearchProblem::Malformed(at)) }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn malformed(&self) -> SearchProblem {
        SearchProblem::Malformed(self.at)
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let taken = self.rest().starts_with(token);
        if taken {
            self.at += token.len();
        }
        taken
    }

    /// Bytes up to the first that does not fit; all are ASCII.
    fn take_while(&mut self, fits: fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.bytes().position(|b| !fits(b)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn read_term(&mut self, names: &[&str]) -> Result<Term, SearchProblem> {
        let start = self.at;
        let name = self.take_while(is_name_byte);
        check_name(name, start)?;
        if !is_known(name, names) {
            return Err(SearchProblem::UnknownName(name.to_owned()));
        }
        self.skip_blanks();
        let wrong = || SearchProblem::WrongOperator(name.to_owned());
        let operator = self.read_operator().ok_or_else(wrong)?;
        self.skip_blanks();
        let literal = self.read_literal()?;
        let goes = match literal {
            Literal::Text(_) => matches!(operator, Operator::Equal | Operator::Different | Operator::Contains),
            Literal::Bool(_) => matches!(operator, Operator::Equal | Operator::Different),
            Literal::Number(_) => operator != Operator::Contains,
        };
        if goes { Ok(Term { name: name.to_owned(), operator, literal }) } else { Err(wrong()) }
    }

    fn read_operator(&mut self) -> Option<Operator> {
        // Longer ones first: `<` begins `<=`.
        let table = [
            ("!=", Operator::Different),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::Greater),
            ("contains", Operator::Contains),
        ];
        table.into_iter().find(|(token, _)| self.take(token)).map(|(_, operator)| operator)
    }

    fn read_literal(&mut self) -> Result<Literal, SearchProblem> {
        if self.take("\"") {
            return self.read_quoted().map(Literal::Text);
        }
        let start = self.at;
        let word = self.take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        let literal = match word {
            "true" => Some(Literal::Bool(true)),
            "false" => Some(Literal::Bool(false)),
            _ if word.len() > 32 => None,
            _ => match word.parse::<i64>() {
                Ok(whole) => Some(Literal::Number(whole.into())),
                Err(_) if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                    word.parse().ok().and_then(Number::from_f64).map(Literal::Number)
                }
                Err(_) => None,
            },
        };
        literal.ok_or(SearchProblem::Malformed(start))
    }

    /// What follows an opening quote, up to the closing one; a backslash keeps a quote or backslash from its meaning.
    fn read_quoted(&mut self) -> Result<String, SearchProblem> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = start + offset + 1;
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('"' | '\\'))) => text.push(c),
                    _ => return Err(SearchProblem::Malformed(start + offset)),
                },
                other => text.push(other),
            }
        }
        Err(SearchProblem::Malformed(start))
    }
}
