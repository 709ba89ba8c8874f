//! Reads Rust sources well enough to look for words in code, apart from comments, strings and tests.

use std::fs;
use std::path::Path;

use crate::workspace;

/// One source file, without the tests at its end.
pub struct Source {
    name: String,
    code: String,
    literals: Vec<String>,
}

impl Source {
    /// Every source file below `directory` (from the root), test modules in files of their own left out.
    pub fn all_under(directory: &str) -> Vec<Self> {
        let mut found = Vec::new();
        collect(&workspace().join(directory), &mut found);
        assert!(!found.is_empty(), "no sources under `{directory}`");
        found
    }

    /// Reads `text` as if it stood in a file `name`.
    pub fn parse(name: &str, text: &str) -> Self {
        let (code, literals) = strip(text);
        // Tests stand last (house style), so everything behind the attribute is theirs.
        let code = code.find("#[cfg(test)]").map_or(code.as_str(), |at| &code[..at]).to_owned();
        Self { name: name.to_owned(), code, literals }
    }

    /// Path from the root.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The code: comments gone, literals empty.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What stands in the string literals, those of tests included.
    pub fn literals(&self) -> &[String] {
        &self.literals
    }

    /// The words of all `use` statements that start with `krate::`.
    pub fn imports(&self, krate: &str) -> Vec<String> {
        let mut words = Vec::new();
        for statement in self.code.split(';') {
            let Some(at) = statement.rfind("use ") else { continue };
            let path = statement[at + 4..].trim();
            if path == krate || path.starts_with(&format!("{krate}::")) {
                words.extend(identifiers(path).map(str::to_owned));
            }
        }
        words
    }
}

/// The identifiers of a piece of code, in order.
pub fn identifiers(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn collect(directory: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let file = path.file_stem().unwrap().to_string_lossy();
        if path.is_dir() {
            if file != "tests" {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|ext| ext == "rs") && file != "tests" && !file.ends_with("_tests") {
            let name = path.strip_prefix(workspace()).unwrap().to_string_lossy().into_owned();
            found.push(Source::parse(&name, &fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Takes comments out and empties literals, which are handed back apart.
fn strip(text: &str) -> (String, Vec<String>) {
    let (mut code, mut literals) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
        } else if let Some((body, after)) = string(rest, code.chars().last()) {
            code.push_str("\"\"");
            literals.push(body.to_owned());
            rest = after;
        } else if let Some(after) = character(rest) {
            code.push_str("' '");
            rest = after;
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    (code, literals)
}

/// A string literal at the start of `text`: what is in it, and what follows.
fn string(text: &str, before: Option<char>) -> Option<(&str, &str)> {
    if let Some(raw) = text.strip_prefix('r').filter(|_| !before.is_some_and(|c| c.is_alphanumeric() || c == '_')) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if let Some(body) = raw[hashes..].strip_prefix('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let end = body.find(&close)?;
            return Some((&body[..end], &body[end + close.len()..]));
        }
    }
    let body = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((&body[..at], &body[at + 1..])),
            _ => {}
        }
    }
    None
}

/// A character literal at the start of `text` (and not a lifetime): what follows it.
fn character(text: &str) -> Option<&str> {
    let body = text.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        let close = escape.char_indices().skip(1).find(|(_, c)| *c == '\'')?.0;
        return Some(&escape[close + 1..]);
    }
    let first = body.chars().next()?;
    body[first.len_utf8()..].strip_prefix('\'')
}

#[test]
fn code_is_told_from_comments_and_literals() {
    let text = r##"
        // store::one
        let a = "store::two \" still"; /* store::three */
        let b = r#"select "x" from y"#;
        fn f<'a>(c: &'a char) -> bool { *c == '"' || *c == '\'' || *c == '\u{7f}' }
        use engine::{FactorKind, policy::Method};
        #[cfg(test)]
        mod tests { use store::Store; }
    "##;
    let source = Source::parse("x.rs", text);
    assert!(!source.code().contains("store"), "{}", source.code());
    assert!(source.code().contains("fn f<'a>(c: &'a char)"), "{}", source.code());
    assert_eq!(source.literals(), ["store::two \\\" still", "select \"x\" from y"]);
    assert_eq!(source.imports("engine"), ["engine", "FactorKind", "policy", "Method"]);
}
