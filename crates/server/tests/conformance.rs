//! `docs/conformance.md` names, for every demand on an OpenID provider, the test that holds it, or why it does not apply, and
//! `docs/conformance-idcs.md` does so for Oracle's dialect, `docs/security.md` for every attack. This keeps the pages true: nothing is missing, and every test named is there.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The demands, by letter and number, as the page lists them.
const DEMANDS: [(&str, u32); 18] = [
    ("R", 3),
    ("T", 10),
    ("D", 17),
    ("K", 6),
    ("A", 14),
    ("P", 16),
    ("C", 7),
    ("S", 7),
    ("E", 11),
    ("I", 8),
    ("U", 6),
    ("H", 6),
    ("J", 7),
    ("G", 18),
    ("L", 10),
    ("F", 3),
    ("B", 5),
    ("X", 4),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Everything that tests are written in, as one text.
fn sources() -> String {
    let mut text = String::new();
    let mut left = vec![root().join("crates"), root().join("xtask/src"), root().join("e2e")];
    while let Some(directory) = left.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !["node_modules", "target", "snapshots", "__pycache__"].contains(&name.as_str()) {
                left.push(path);
            } else if [".rs", ".js", ".mjs", ".py"].iter().any(|end| name.ends_with(end)) {
                text.push_str(&fs::read_to_string(&path).unwrap_or_default());
            }
        }
    }
    text
}

/// The rows of the page: a demand and what is said of it.
fn rows() -> Vec<(String, String)> {
    let page = fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    page.lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .filter(|(id, _)| id.contains('-') && id.chars().next().is_some_and(|first| first.is_ascii_uppercase()))
        .map(|(id, said)| (id.trim().to_owned(), said.to_owned()))
        .collect()
}

#[test]
fn every_demand_is_listed_once() {
    let mut counted: BTreeMap<String, u32> = BTreeMap::new();
    for (id, _) in rows() {
        *counted.entry(id).or_default() += 1;
    }
    let due: BTreeSet<String> =
        DEMANDS.iter().flat_map(|(letter, most)| (1..=*most).map(move |number| format!("{letter}-{number}"))).collect();
    let missing: Vec<_> = due.iter().filter(|id| counted.get(*id) != Some(&1)).collect();
    assert!(missing.is_empty(), "missing or listed twice: {missing:?}");
}

#[test]
fn every_demand_has_a_test_that_exists_or_a_reason() {
    let sources = sources();
    let mut wrong = Vec::new();
    for (id, said) in rows() {
        let tests: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
        let reason = said.contains("does not apply") || said.contains("not done");
        if tests.is_empty() && !reason {
            wrong.push(format!("{id}: neither a test nor a reason"));
        }
        wrong
            .extend(tests.iter().filter(|test| !sources.contains(*test)).map(|test| format!("{id}: no test `{test}`")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the page of Oracle's dialect lists, by the section of the vendor's page; `0` is what holds at every door.
const ORACLE: [(&str, u32); 52] = [
    ("8", 10),
    ("1.1", 1),
    ("1.2", 12),
    ("1.3", 1),
    ("1.4", 6),
    ("1.5", 7),
    ("1.6", 3),
    ("2.1", 1),
    ("2.2", 1),
    ("2.3", 6),
    ("2.4", 20),
    ("2.5", 4),
    ("2.6", 2),
    ("2.7", 7),
    ("2.8", 2),
    ("2.9", 1),
    ("2.10", 7),
    ("2.11", 1),
    ("2.12", 1),
    ("2.13", 1),
    ("2.14", 1),
    ("2.15", 2),
    ("2.16", 3),
    ("2.17", 5),
    ("3.1", 1),
    ("3.2", 1),
    ("3.3", 1),
    ("3.4", 1),
    ("3.5", 1),
    ("4.1", 1),
    ("4.2", 1),
    ("4.3", 8),
    ("4.4", 1),
    ("4.5", 5),
    ("4.6", 1),
    ("4.7", 4),
    ("4.8", 4),
    ("5.1", 2),
    ("5.2", 3),
    ("5.3", 3),
    ("5.4", 3),
    ("5.5", 3),
    ("5.6", 2),
    ("6.1", 1),
    ("6.2", 1),
    ("6.3", 4),
    ("6.4", 1),
    ("6.5", 1),
    ("6.6", 14),
    ("6.7", 1),
    ("6.8", 1),
    ("0", 2),
];

#[test]
fn every_item_of_oracles_dialect_has_a_test_that_exists_or_a_reason() {
    let page = fs::read_to_string(root().join("docs/conformance-idcs.md")).unwrap();
    let sources = sources();
    let (mut told, mut wrong) = (BTreeMap::new(), Vec::new());
    for line in page.lines() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(id), Some(said)) = (cells.next(), cells.nth(1)) else { continue };
        if !id.contains('-') || !id.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        *told.entry(id.to_owned()).or_insert(0) += 1;
        let tests: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() && !said.contains("not served: ") {
            wrong.push(format!("{id}: neither a test nor a reason"));
        }
        let there = |test: &&&str| sources.contains(&format!("fn {test}("));
        wrong.extend(tests.iter().filter(|test| !there(test)).map(|test| format!("{id}: no test `{test}`")));
    }
    let due: BTreeMap<String, i32> =
        ORACLE.iter().flat_map(|(section, most)| (1..=*most).map(move |nth| (format!("{section}-{nth}"), 1))).collect();
    assert_eq!(told, due, "missing, listed twice, or unknown");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Attacks on the list, by number.
const ATTACKS: u32 = 73;

#[test]
fn every_attack_has_a_test_that_exists_or_a_reason() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let sources = sources();
    let mut told = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in page.lines() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let Some(number) = cells.next().and_then(|cell| cell.parse::<u32>().ok()) else { continue };
        let said = cells.nth(1).unwrap_or_default();
        *told.entry(number).or_insert(0) += 1;
        let tests: Vec<&str> = said.split('`').skip(1).step_by(2).filter(|name| name.contains("attack_")).collect();
        if tests.is_empty() && !said.contains("not applicable: ") {
            wrong.push(format!("{number}: neither a test nor a reason"));
        }
        wrong.extend(
            tests
                .iter()
                .filter(|test| !sources.contains(&format!("fn {test}(")))
                .map(|test| format!("{number}: no test `{test}`")),
        );
    }
    assert!(told.keys().copied().eq(1..=ATTACKS) && told.values().all(|times| *times == 1), "{:?}", told.keys());
    assert!(wrong.is_empty(), "{wrong:#?}");
}
