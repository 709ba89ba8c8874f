//! Reads values by key and remembers where each came from, so that a mistake can be told with its place and its fix.
//! Owns the layering of file and environment. Does not know which keys there are until they are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

const PREFIX: &str = "COUNTERSIGN__";

/// One mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where: `countersign.toml:12:1` or the name of an environment variable.
    pub place: String,
    /// Which key, with its sections; empty where the file as a whole is meant.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub fix: String,
}

/// All mistakes of a configuration, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        write!(f, "{}; {}", self.message, self.fix)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.0.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl Mistakes {
    /// The file is not there, or is not text.
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self(vec![Mistake {
            place: path.display().to_string(),
            key: String::new(),
            message: format!("the file cannot be read ({})", error.kind()),
            fix: "name a readable TOML file with `--config`".to_owned(),
        }])
    }
}

/// What a key should hold, and how to write it.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) what: &'static str,
    pub(super) fix: &'static str,
}

#[derive(Clone, Debug)]
enum Raw {
    Text(String),
    Number(i64),
    List(Vec<Raw>),
    Other(&'static str),
}

#[derive(Clone, Debug)]
enum Place {
    File { line: usize, column: usize },
    Environment(String),
}

struct Found {
    raw: Raw,
    place: Place,
}

/// The values of a configuration, taken out one by one.
pub(super) struct Reader<'a> {
    path: &'a Path,
    found: BTreeMap<String, Found>,
    sections: BTreeMap<String, Place>,
    known: BTreeSet<&'static str>,
    /// Where each value that was taken stood.
    taken: BTreeMap<&'static str, Place>,
    mistakes: Vec<(usize, Mistake)>,
}

impl<'a> Reader<'a> {
    /// Parses the file and lays the environment over it.
    pub(super) fn new(
        text: &str,
        path: &'a Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Mistakes> {
        let mut reader = Self {
            path,
            found: BTreeMap::new(),
            sections: BTreeMap::new(),
            known: BTreeSet::new(),
            taken: BTreeMap::new(),
            mistakes: Vec::new(),
        };
        match DeTable::parse(text) {
            Ok(table) => reader.flatten(text, "", table.get_ref()),
            Err(error) => {
                let (line, column) = position(text, error.span().map_or(0, |span| span.start));
                return Err(Mistakes(vec![Mistake {
                    place: reader.told(&Place::File { line, column }),
                    key: String::new(),
                    message: error.message().lines().collect::<Vec<_>>().join(", "),
                    fix: "correct the TOML of this line".to_owned(),
                }]));
            }
        }
        for (name, value) in environment {
            if let Some(key) = name.strip_prefix(PREFIX) {
                let key = key.to_lowercase().replace("__", ".");
                reader.found.insert(key, Found { raw: Raw::Text(value), place: Place::Environment(name) });
            }
        }
        Ok(reader)
    }

    fn flatten(&mut self, text: &str, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let (line, column) = position(text, name.span().start);
            let place = Place::File { line, column };
            match value.get_ref() {
                DeValue::Table(inner) => {
                    self.flatten(text, &format!("{key}."), inner);
                    self.sections.insert(key, place);
                }
                _ => {
                    self.found.insert(key, Found { raw: raw(value), place });
                }
            }
        }
    }

    /// A text that `check` accepts.
    pub(super) fn checked<T>(
        &mut self,
        key: &'static str,
        wanted: Wanted,
        check: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let found = self.take(key)?;
        let Raw::Text(text) = &found.raw else {
            self.mistake(key, &found.place, &format!("{} is not {}", found.raw.kind(), wanted.what), wanted.fix);
            return None;
        };
        let value = check(text);
        if value.is_none() {
            self.mistake(key, &found.place, &format!("`{text}` is not {}", wanted.what), wanted.fix);
        }
        value
    }

    /// A text that parses.
    pub(super) fn parsed<T: FromStr>(&mut self, key: &'static str, wanted: Wanted) -> Option<T> {
        self.checked(key, wanted, |text| text.trim().parse().ok())
    }

    /// A list of texts that each parse; in the environment they are separated by commas.
    pub(super) fn parsed_list<T: FromStr>(&mut self, key: &'static str, wanted: Wanted) -> Option<Vec<T>> {
        let found = self.take(key)?;
        let items = match (&found.raw, &found.place) {
            (Raw::List(items), _) => items.clone(),
            (Raw::Text(text), Place::Environment(_)) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Raw::Text(item.to_owned()))
                .collect(),
            (other, _) => {
                self.mistake(key, &found.place, &format!("{} is not a list", other.kind()), wanted.fix);
                return None;
            }
        };
        let mut values = Vec::with_capacity(items.len());
        for item in &items {
            let value = match item {
                Raw::Text(text) => text.parse().map_err(|_| format!("`{text}` is not {}", wanted.what)),
                other => Err(format!("{} is not {}", other.kind(), wanted.what)),
            };
            match value {
                Ok(value) => values.push(value),
                Err(message) => self.mistake(key, &found.place, &message, wanted.fix),
            }
        }
        (values.len() == items.len()).then_some(values)
    }

    /// A whole number within bounds.
    pub(super) fn number<T: TryFrom<i64>>(&mut self, key: &'static str, least: i64, most: i64) -> Option<T> {
        let found = self.take(key)?;
        let number = match (&found.raw, &found.place) {
            (Raw::Number(number), _) => Some(*number),
            (Raw::Text(text), Place::Environment(_)) => text.trim().parse().ok(),
            _ => None,
        };
        let value = number.filter(|n| (least..=most).contains(n)).and_then(|n| T::try_from(n).ok());
        if value.is_none() {
            let shown = match &found.raw {
                Raw::Number(number) => format!("`{number}`"),
                Raw::Text(text) => format!("`{text}`"),
                other => other.kind().to_owned(),
            };
            let fix = format!("write a whole number from {least} to {most}, without quotes");
            self.mistake(key, &found.place, &format!("{shown} is not in range"), &fix);
        }
        value
    }

    /// A span of time in whole seconds, from one to an hour.
    pub(super) fn seconds(&mut self, key: &'static str) -> Option<Duration> {
        self.number::<u64>(key, 1, 3600).map(Duration::from_secs)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let found = self.take(key)?;
        let chosen = match &found.raw {
            Raw::Text(text) => choices.iter().find(|(word, _)| *word == text.trim()).map(|(_, value)| *value),
            _ => None,
        };
        if chosen.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let shown = match &found.raw {
                Raw::Text(text) => format!("`{text}`"),
                other => other.kind().to_owned(),
            };
            let fix = format!("write one of {}", words.join(", "));
            self.mistake(key, &found.place, &format!("{shown} is no choice"), &fix);
        }
        chosen
    }

    /// A path; one in the file that is relative begins at the file's directory.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let wanted = Wanted { what: "a path", fix: "write the path of a file in quotes" };
        let text = self.checked(key, wanted, |text| (!text.is_empty()).then(|| text.to_owned()))?;
        Some(self.resolve(key, &text))
    }

    /// A path that was part of the value of `key`.
    pub(super) fn resolve(&self, key: &'static str, path: &str) -> PathBuf {
        match (self.taken.get(key), self.path.parent()) {
            (Some(Place::File { .. }), Some(directory)) => directory.join(path),
            _ => PathBuf::from(path),
        }
    }

    /// A value that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Self, &'static str) -> Option<T>,
        fix: &str,
    ) -> Option<T> {
        let value = read(self, key);
        if value.is_none() && !self.failed(key) {
            self.missing(key, fix);
        }
        value
    }

    /// A section that may be left out as a whole. Its keys are made known either way.
    pub(super) fn group<T>(&mut self, section: &'static str, read: impl Fn(&mut Self) -> T) -> Option<T> {
        let prefix = format!("{section}.");
        let present = self.sections.contains_key(section) || self.found.keys().any(|key| key.starts_with(&prefix));
        let before = self.mistakes.len();
        let value = read(self);
        if !present {
            self.mistakes.truncate(before);
        }
        present.then_some(value)
    }

    /// Whether a value was there but wrong.
    pub(super) fn failed(&self, key: &str) -> bool {
        self.taken.contains_key(key)
    }

    /// A mistake in a value that was taken before.
    pub(super) fn wrong(&mut self, key: &'static str, message: &str, fix: &str) {
        if let Some(place) = self.taken.get(key).cloned() {
            self.mistake(key, &place, message, fix);
        }
    }

    /// A value that is not there but must be.
    pub(super) fn missing(&mut self, key: &'static str, fix: &str) {
        let section = key.rsplit_once('.').map_or("", |(section, _)| section);
        let place = self.sections.get(section).map_or_else(|| self.path.display().to_string(), |p| self.told(p));
        let order = self.order(self.sections.get(section));
        let mistake = Mistake { place, key: key.to_owned(), message: "it is missing".to_owned(), fix: fix.to_owned() };
        self.mistakes.push((order, mistake));
    }

    /// The configuration, unless there were mistakes; what was never asked for is one.
    pub(super) fn finish<T>(mut self, config: Option<T>) -> Result<T, Mistakes> {
        for (key, found) in std::mem::take(&mut self.found) {
            let fix = self.suggest(&key);
            self.mistake(&key, &found.place, "there is no such key", &fix);
        }
        for (section, place) in std::mem::take(&mut self.sections) {
            let prefix = format!("{section}.");
            let known = self.known.iter().any(|key| key.starts_with(&prefix));
            let told = self.mistakes.iter().any(|(_, mistake)| mistake.key.starts_with(&prefix));
            if !known && !told {
                let fix = self.suggest(&section);
                self.mistake(&section, &place, "there is no such section", &fix);
            }
        }
        match config {
            Some(config) if self.mistakes.is_empty() => Ok(config),
            _ => {
                self.mistakes.sort_by_key(|(order, _)| *order);
                Err(Mistakes(self.mistakes.into_iter().map(|(_, mistake)| mistake).collect()))
            }
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Found> {
        self.known.insert(key);
        let found = self.found.remove(key)?;
        self.taken.insert(key, found.place.clone());
        Some(found)
    }

    fn mistake(&mut self, key: &str, place: &Place, message: &str, fix: &str) {
        let mistake =
            Mistake { place: self.told(place), key: key.to_owned(), message: message.to_owned(), fix: fix.to_owned() };
        self.mistakes.push((self.order(Some(place)), mistake));
    }

    fn order(&self, place: Option<&Place>) -> usize {
        match place {
            Some(Place::File { line, .. }) => *line,
            Some(Place::Environment(_)) | None => usize::MAX,
        }
    }

    fn told(&self, place: &Place) -> String {
        match place {
            Place::File { line, column } => format!("{}:{line}:{column}", self.path.display()),
            Place::Environment(name) => format!("environment variable `{name}`"),
        }
    }

    /// The known key that was probably meant, or those of the same section.
    fn suggest(&self, key: &str) -> String {
        let near = self.known.iter().map(|known| (distance(key, known), *known)).min();
        if let Some((distance, known)) = near
            && distance <= 2.max(key.len() / 5)
        {
            return format!("did you mean `{known}`");
        }
        let section = key.split('.').next().unwrap_or_default();
        let within: Vec<_> =
            self.known.iter().filter(|known| known.split('.').next() == Some(section)).copied().collect();
        if within.is_empty() {
            let sections: BTreeSet<_> = self.known.iter().filter_map(|known| known.split('.').next()).collect();
            return format!("the sections are {}", sections.into_iter().collect::<Vec<_>>().join(", "));
        }
        format!("the keys there are {}", within.join(", "))
    }
}

impl Raw {
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::List(_) => "a list",
            Self::Other(kind) => kind,
        }
    }
}

fn raw(value: &Spanned<DeValue<'_>>) -> Raw {
    match value.get_ref() {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Raw::Other("such a number"), Raw::Number)
        }
        DeValue::Array(items) => Raw::List(items.iter().map(raw).collect()),
        DeValue::Boolean(_) => Raw::Other("a switch"),
        DeValue::Float(_) => Raw::Other("a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a section"),
    }
}

/// Line and column, both from 1, of a byte.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    (line, column)
}

/// How many characters must be changed, added or taken away to make one from the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    // Nobody mistypes a key of this length; it bounds the work.
    if a.len() > 100 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
