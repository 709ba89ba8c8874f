//! A door converts; it does not reach past the driver, and it has a name for everything the engine may say.

use std::collections::BTreeSet;

use crate::source::{Source, identifiers};
use crate::workspace;

const DOORS: &str = "crates/server/src/doors";

#[test]
fn no_door_imports_the_store() {
    for source in Source::all_under(DOORS) {
        assert!(!reaches(&source, "store"), "`{}` names the store: ask the driver", source.name());
    }
}

#[test]
fn no_door_reads_the_store_through_the_application() {
    for source in Source::all_under(DOORS) {
        // A chain of calls may be broken over lines.
        let code: String = source.code().split_whitespace().collect();
        assert!(!code.contains(".store."), "`{}` reads records: ask the driver", source.name());
    }
}

#[test]
fn no_door_imports_another() {
    let doors: BTreeSet<String> = std::fs::read_dir(workspace().join(DOORS))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert!(!doors.is_empty(), "no doors under `{DOORS}`");
    for source in Source::all_under(DOORS) {
        let Some(own) = source.name().strip_prefix(DOORS).unwrap().trim_start_matches('/').split_once('/') else {
            continue;
        };
        for other in doors.iter().filter(|name| *name != own.0) {
            assert!(
                !source.code().contains(&format!("doors::{other}")),
                "`{}` reaches into the door `{other}`",
                source.name()
            );
        }
    }
}

#[test]
fn no_door_swallows_a_word_of_the_engine() {
    let words = engine_enums();
    for expected in ["FactorKind", "Prompt", "Stage", "Refusal"] {
        assert!(words.contains(expected), "the engine has no `{expected}`: {words:?}");
    }
    for source in Source::all_under(DOORS) {
        let found = swallowed(&source, &words);
        assert!(
            found.is_empty(),
            "`{}` has a catch-all arm beside {found:?}: a new variant must fail to compile here",
            source.name()
        );
    }
}

#[test]
fn a_swallowed_word_is_found() {
    let words = engine_enums();
    let check = |text: &str| swallowed(&Source::parse("x.rs", text), &words);
    let import = "use engine::{FactorKind, Prompt};";
    let arm = "match kind { FactorKind::Password => { f(match n { 1 => 2, _ => 3 }) } FactorKind::Totp => 4,";
    assert_eq!(check(&format!("{import} fn f() {{ {arm} _ => 5 }} }}")), ["FactorKind"]);
    assert_eq!(check(&format!("{import} fn f() {{ {arm} other => g(other) }} }}")), ["FactorKind"]);
    assert_eq!(check("fn f() { match p { engine::Prompt::Choose { .. } => 1, _ => 2 } }"), ["Prompt"]);
    // Exhaustive; a catch-all over something else; a word of that name that is not the engine's.
    assert!(check(&format!("{import} fn f() {{ {arm} }} }}")).is_empty());
    assert!(
        check(&format!("{import} fn f() {{ match n {{ 1 => FactorKind::Totp, _ => FactorKind::Password }} }}"))
            .is_empty()
    );
    assert!(check("fn f() { match m { Method::GET => 1, _ => 2 } }").is_empty());
}

#[test]
fn a_reach_for_the_store_is_found() {
    let reaching = |text| reaches(&Source::parse("x.rs", text), "store");
    assert!(reaching("use store::Store;"));
    assert!(reaching("fn f(s: &store::Store) {}"));
    assert!(reaching("use store as s;"));
    assert!(!reaching("use crate::restore::x; // store::Store"));
    assert!(!reaching("fn f(app: &App) { app.driver.go() }"));
}

fn reaches(source: &Source, krate: &str) -> bool {
    let named = |pattern: &str| {
        source.code().match_indices(pattern).any(|(at, _)| {
            let before = source.code()[..at].chars().last();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.')
        })
    };
    named(&format!("{krate}::")) || named(&format!("use {krate}"))
}

fn engine_enums() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in Source::all_under("crates/engine/src") {
        for (at, start) in source.code().match_indices("pub enum ") {
            found.extend(identifiers(&source.code()[at + start.len()..]).next().map(str::to_owned));
        }
    }
    found
}

/// The engine's enums that stand in patterns of a `match` which also has a catch-all arm.
fn swallowed(source: &Source, words: &BTreeSet<String>) -> Vec<String> {
    let imported = source.imports("engine");
    let is_engines = |pattern: &str, word: &str| {
        let qualified = pattern.contains("engine::");
        pattern.contains(&format!("{word}::")) && (qualified || imported.iter().any(|name| name == word))
    };
    let mut found = Vec::new();
    for (at, keyword) in source.code().match_indices("match ") {
        if source.code()[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let patterns = patterns(&source.code()[at + keyword.len()..]);
        if patterns.iter().any(|pattern| is_catch_all(pattern)) {
            found.extend(words.iter().filter(|word| patterns.iter().any(|p| is_engines(p, word))).cloned());
        }
    }
    found
}

/// `_`, or a name that takes whatever comes; an arm with a guard takes only some.
fn is_catch_all(pattern: &str) -> bool {
    let name = pattern.trim().trim_start_matches("ref ").trim_start_matches("mut ");
    name.starts_with(|c: char| c == '_' || c.is_lowercase())
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !["true", "false"].contains(&name)
}

/// The patterns of the arms of the `match` whose scrutinee starts here.
fn patterns(code: &str) -> Vec<String> {
    let Some(open) = body(code) else { return Vec::new() };
    let (mut depth, mut in_pattern, mut block_arm) = (0_i32, true, false);
    let (mut current, mut found) = (String::new(), Vec::new());
    let mut characters = code[open + 1..].chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            break;
        }
        if in_pattern {
            if depth == 0 && c == '=' && characters.peek() == Some(&'>') {
                characters.next();
                found.push(std::mem::take(&mut current));
                in_pattern = false;
                let ahead: String = characters.clone().take_while(|c| c.is_whitespace() || *c == '{').collect();
                block_arm = ahead.contains('{');
            } else {
                current.push(c);
            }
        } else if depth == 0 && (c == ',' || (block_arm && c == '}')) {
            in_pattern = true;
        }
        // The comma behind a block is no part of the next pattern.
        if in_pattern && current.trim() == "," {
            current.clear();
        }
    }
    found
}

/// Where the body of a `match` opens: the first brace that is not inside parentheses.
fn body(code: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(at),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}
