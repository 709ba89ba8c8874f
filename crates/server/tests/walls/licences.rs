//! `deny.toml` without a tool: licences, banned crates, and where packages come from.

use std::collections::{BTreeMap, BTreeSet};

use crate::crates::{Package, built_into};
use crate::workspace;

/// The part of `deny.toml` that is held here.
struct Rules {
    allowed: BTreeSet<String>,
    exceptions: BTreeMap<String, BTreeSet<String>>,
    banned: BTreeMap<String, String>,
}

fn rules() -> Rules {
    let text = std::fs::read_to_string(workspace().join("deny.toml")).unwrap();
    let file: toml::Table = toml::from_str(&text).unwrap();
    let texts = |value: &toml::Value| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    let text_of = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let exceptions = file["licenses"]["exceptions"].as_array().unwrap().iter();
    let banned = file["bans"]["deny"].as_array().unwrap().iter();
    Rules {
        allowed: texts(&file["licenses"]["allow"]),
        exceptions: exceptions.map(|item| (text_of(&item["crate"]), texts(&item["allow"]))).collect(),
        banned: banned.map(|item| (text_of(&item["crate"]), text_of(&item["reason"]))).collect(),
    }
}

/// Everything in the workspace but the judges, who are never shipped and may be built from anything.
fn everything() -> BTreeSet<Package> {
    built_into(&["--workspace", "--exclude", "judges"], "normal,build,dev")
}

fn shipped() -> BTreeSet<Package> {
    built_into(&["-p", "countersign"], "normal,build")
}

#[test]
fn every_licence_is_allowed() {
    let rules = rules();
    let all = everything();
    assert!(all.len() > 100, "only {} packages: the question is wrong", all.len());
    let refused: Vec<String> = all
        .iter()
        .filter(|package| {
            let own = rules.exceptions.get(&package.name);
            !satisfies(&package.licence, &|id| rules.allowed.contains(id) || own.is_some_and(|set| set.contains(id)))
        })
        .map(|package| format!("{} {} ({})", package.name, package.version, package.licence))
        .collect();
    assert!(refused.is_empty(), "licences that `deny.toml` does not allow: {refused:?}");
}

#[test]
fn nothing_banned_is_shipped() {
    let rules = rules();
    for name in ["openssl-sys", "native-tls", "ring", "rsa", "chrono"] {
        assert!(rules.banned.contains_key(name), "`deny.toml` no longer bans `{name}`");
    }
    for package in shipped() {
        if let Some(reason) = rules.banned.get(&package.name) {
            panic!("`{}` is shipped, but banned: {reason}", package.name);
        }
    }
}

#[test]
fn every_package_comes_from_the_registry_or_from_here() {
    let here = workspace().to_string_lossy().into_owned();
    let foreign: Vec<Package> = everything()
        .into_iter()
        .filter(|package| package.elsewhere.as_ref().is_some_and(|place| !place.starts_with(&here)))
        .collect();
    assert!(foreign.is_empty(), "packages from elsewhere: {foreign:?}");
}

#[test]
fn licence_expressions_are_understood() {
    let allowed =
        |expression: &str| satisfies(expression, &|id| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&id));
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/Apache-2.0",
        "ISC AND (MIT OR MPL-2.0)",
        "Apache-2.0 WITH LLVM-exception OR MPL-2.0",
        "(MIT)",
    ] {
        assert!(allowed(good), "{good}");
    }
    for bad in ["", "MPL-2.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND MPL-2.0", "Apache-2.0", "MIT OR", "MIT ISC", "(MIT"]
    {
        assert!(!allowed(bad), "{bad}");
    }
}

/// Evaluates an SPDX expression (annex D of the specification; `/` is cargo's old way of writing OR).
/// What cannot be read is not satisfied.
fn satisfies(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { tokens: &tokens, allowed };
    reader.any_of().is_some_and(|verdict| verdict && reader.tokens.is_empty())
}

struct Reader<'a> {
    tokens: &'a [&'a str],
    allowed: &'a dyn Fn(&str) -> bool,
}

impl Reader<'_> {
    fn take(&mut self, wanted: &str) -> bool {
        let there = self.tokens.first() == Some(&wanted);
        if there {
            self.tokens = &self.tokens[1..];
        }
        there
    }

    fn any_of(&mut self) -> Option<bool> {
        let mut verdict = self.all_of()?;
        while self.take("OR") {
            verdict |= self.all_of()?;
        }
        Some(verdict)
    }

    fn all_of(&mut self) -> Option<bool> {
        let mut verdict = self.one()?;
        while self.take("AND") {
            verdict &= self.one()?;
        }
        Some(verdict)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let verdict = self.any_of()?;
            return self.take(")").then_some(verdict);
        }
        let (id, rest) = self.tokens.split_first()?;
        if ["OR", "AND", "WITH", ")"].contains(id) {
            return None;
        }
        self.tokens = rest;
        if self.take("WITH") {
            let (exception, rest) = self.tokens.split_first()?;
            self.tokens = rest;
            return Some((self.allowed)(&format!("{id} WITH {exception}")));
        }
        Some((self.allowed)(id))
    }
}
