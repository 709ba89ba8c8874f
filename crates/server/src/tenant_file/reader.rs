//! Reading TOML with its places. Owns types of values and unknown keys; knows no key of a tenant file by name.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Report};
use super::suggest::nearest;

/// As many names as are worth listing in one line.
const FEW: usize = 16;

/// A table being read. Keys that nobody asked for are problems in the end.
pub(super) struct Section<'a> {
    pub(super) report: &'a Report<'a>,
    pub(super) place: Place,
    table: BTreeMap<&'a str, (Range<usize>, &'a Spanned<DeValue<'a>>)>,
    known: Vec<String>,
}

/// A value being read.
#[derive(Clone)]
pub(super) struct Item<'a> {
    pub(super) report: &'a Report<'a>,
    pub(super) place: Place,
    value: &'a DeValue<'a>,
}

impl<'a> Section<'a> {
    /// The whole of a file.
    pub(super) fn root(report: &'a Report<'a>, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self::new(report, Place::default(), table.get_ref())
    }

    fn new(report: &'a Report<'a>, place: Place, table: &'a DeTable<'a>) -> Self {
        let table = table.iter().map(|(key, value)| (key.get_ref().as_ref(), (key.span(), value))).collect();
        Self { report, place, table, known: Vec::new() }
    }

    /// The value of a key, where it is given.
    pub(super) fn take(&mut self, key: &str) -> Option<Item<'a>> {
        self.known.push(key.to_owned());
        let (_, value) = self.table.remove(key)?;
        Some(Item { report: self.report, place: self.place.part(key, value.span()), value: value.get_ref() })
    }

    /// The value of a key that must be given.
    pub(super) fn need(&mut self, key: &str, fix: &str) -> Option<Item<'a>> {
        let found = self.take(key);
        if found.is_none() {
            self.report.add(&self.place, format!("`{key}` is missing"), fix);
        }
        found
    }

    /// Text under a key, where it is given.
    pub(super) fn text(&mut self, key: &str) -> Option<(&'a str, Place)> {
        let item = self.take(key)?;
        Some((item.text()?, item.place))
    }

    /// Text that must be given.
    pub(super) fn need_text(&mut self, key: &str, fix: &str) -> Option<(&'a str, Place)> {
        let item = self.need(key, fix)?;
        Some((item.text()?, item.place))
    }

    /// Yes or no under a key, or what holds without it.
    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        self.take(key).and_then(|item| item.flag()).unwrap_or(default)
    }

    /// A whole number under a key, within bounds.
    pub(super) fn number(&mut self, key: &str, bounds: std::ops::RangeInclusive<i64>) -> Option<i64> {
        self.take(key)?.number(bounds)
    }

    /// A list of texts under a key; empty where it is not given.
    pub(super) fn texts(&mut self, key: &str) -> Vec<(&'a str, Place)> {
        let items = self.take(key).map(|item| item.list()).unwrap_or_default();
        items.into_iter().filter_map(|item| Some((item.text()?, item.place))).collect()
    }

    /// The tables of an array of tables; empty where it is not given.
    pub(super) fn tables(&mut self, key: &str) -> Vec<Section<'a>> {
        let items = self.take(key).map(|item| item.list()).unwrap_or_default();
        items.into_iter().filter_map(|item| item.section()).collect()
    }

    /// A table under a key.
    pub(super) fn table(&mut self, key: &str) -> Option<Section<'a>> {
        self.take(key)?.section()
    }

    /// The places of the elements of a list that nobody asked for yet.
    pub(super) fn elements(&self, key: &str) -> Vec<Place> {
        let Some((_, value)) = self.table.get(key) else { return Vec::new() };
        let path = self.place.part(key, value.span()).path;
        let element = |(index, value): (usize, &Spanned<DeValue<'_>>)| Place {
            path: format!("{path}[{index}]"),
            span: value.span(),
        };
        value.get_ref().as_array().map(|array| array.iter().enumerate().map(element).collect()).unwrap_or_default()
    }

    /// Whether a key is given that nobody asked for yet.
    pub(super) fn gives(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The keys nobody asked for yet, in the order of the file.
    pub(super) fn remaining(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.table.iter().map(|(key, (span, _))| (span.start, *key)).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, key)| key.to_owned()).collect()
    }

    /// Reports a key as unknown, with the known one that looks most like it.
    pub(super) fn unknown(&mut self, key: &str, known: &[&str]) {
        let Some((span, _)) = self.table.remove(key) else { return };
        let mut names: Vec<&str> = self.known.iter().map(String::as_str).chain(known.iter().copied()).collect();
        names.sort_unstable();
        names.dedup();
        let fix = match nearest(key, &names) {
            Some(name) => format!("did you mean `{name}`?"),
            None if names.len() > FEW => "docs/tenant-file.md tells what may be given here".to_owned(),
            None => format!("known here: {}", quoted(&names)),
        };
        self.report.add(&self.place.part(key, span), "unknown key", fix);
    }

    /// Ends the reading: what is left over is unknown.
    pub(super) fn finish(mut self) {
        for key in self.remaining() {
            self.unknown(&key, &[]);
        }
    }
}

impl<'a> Item<'a> {
    /// Reports that this value is not what is wanted here.
    pub(super) fn wrong(&self, wanted: &str) {
        self.report.add(&self.place, format!("{} where {wanted} is wanted", kind(self.value)), "");
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong("text");
        }
        text
    }

    pub(super) fn flag(&self) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.wrong("`true` or `false`");
        }
        flag
    }

    pub(super) fn number(&self, bounds: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let Some(number) = integer(self.value) else {
            self.wrong("a whole number");
            return None;
        };
        if !bounds.contains(&number) {
            let message = format!("{number} is out of bounds");
            self.report.add(&self.place, message, format!("from {} to {}", bounds.start(), bounds.end()));
            return None;
        }
        Some(number)
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Vec<Item<'a>> {
        let Some(array) = self.value.as_array() else {
            self.wrong("a list");
            return Vec::new();
        };
        let item = |(index, value): (usize, &'a Spanned<DeValue<'a>>)| Item {
            report: self.report,
            place: Place { path: format!("{}[{index}]", self.place.path), span: value.span() },
            value: value.get_ref(),
        };
        array.iter().enumerate().map(item).collect()
    }

    pub(super) fn section(&self) -> Option<Section<'a>> {
        let Some(table) = self.value.as_table() else {
            self.wrong("a table");
            return None;
        };
        Some(Section::new(self.report, self.place.clone(), table))
    }

    pub(super) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// The value as JSON. Dates become text, as JSON has none.
    pub(super) fn json(&self) -> Value {
        json(self.value)
    }

    /// The place of a part, given by a path such as `rules[0].result.action` or `/rules/0/result/action`; as deep as
    /// the path can be followed.
    pub(super) fn locate(&self, path: &str) -> Place {
        let mut place = self.place.clone();
        let mut value = self.value;
        for step in path.split(['.', '/', '[', ']']).filter(|step| !step.is_empty() && *step != "$") {
            let (next, path) = match value {
                DeValue::Array(array) => match step.parse::<usize>().ok().and_then(|index| array.get(index)) {
                    Some(next) => (next, format!("{}[{step}]", place.path)),
                    None => break,
                },
                DeValue::Table(table) => match table.get(step) {
                    Some(next) => (next, format!("{}.{step}", place.path)),
                    None => {
                        place.path = format!("{}.{step}", place.path);
                        break;
                    }
                },
                _ => break,
            };
            place = Place { path, span: next.span() };
            value = next.get_ref();
        }
        place
    }
}

/// Names in backticks, separated by commas.
pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => integer(value).map_or_else(|| number.to_string().into(), Value::from),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Datetime(moment) => moment.to_string().into(),
        DeValue::Array(array) => array.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Table(table) => {
            let member = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                (key.to_string(), json(value.get_ref()))
            };
            Value::Object(table.iter().map(member).collect::<Map<_, _>>())
        }
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
