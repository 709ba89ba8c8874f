//! Nothing is left out: every target has examples and a binary of libFuzzer's, and every parser has a target.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{TARGETS, corpora};

/// Every function of `crates/protocol` that reads what somebody sent, and its target. Only what is read from our own records, or is
/// part of a parser named here, is marked `-`.
const PARSERS: &[(&str, &str)] = &[
    ("authorize/asked.rs Display::read", "authorization_request"),
    ("authorize/asked.rs LoginHint::read", "authorization_request"),
    ("authorize/asked.rs Prompt::read", "authorization_request"),
    ("authorize/asked.rs read_max_age", "authorization_request"),
    ("authorize/kind.rs ResponseMode::parse", "authorization_request"),
    ("authorize/kind.rs ResponseType::parse", "authorization_request"),
    ("authorize/target.rs read", "authorization_request"),
    ("b64.rs decode", "base64"),
    ("b64.rs decode_url", "base64"),
    ("basic.rs Authorization::read", "authorization_header"),
    ("basic.rs read_pairs", "authorization_header"),
    ("claims_request.rs ClaimsRequest::parse", "claims_parameter"),
    ("client_auth.rs read_presented", "authorization_header"),
    ("form.rs Form::parse", "form"),
    ("form.rs Form::parse_within", "form"),
    ("id_token_hint.rs IdTokenHint::read", "claims"),
    ("idcs/multipart.rs parse", "multipart"),
    ("json.rs parse", "json"),
    ("json.rs parse_object", "json"),
    ("jwe.rs decrypt", "jwe"),
    ("jwk.rs JwkSet::parse", "jwk"),
    ("jwt.rs peek", "jwt"),
    ("logout.rs LogoutRequest::read", "logout_request"),
    ("pkce.rs read_challenge", "proof_key"),
    ("records/carried.rs Carried::read", "-"),
    ("registration.rs read", "registration"),
    ("relying.rs Metadata::read", "provider_metadata"),
    ("request_object.rs open", "claims"),
    ("request_object.rs presented", "authorization_request"),
    ("scim/filter.rs Filter::parse", "scim_filter"),
    ("scim/filter.rs Operator::read", "scim_filter"),
    ("scim/list.rs Query::of_body", "scim_query"),
    ("scim/list.rs Query::of_form", "scim_query"),
    ("scim/patch.rs read_operations", "scim_patch"),
    ("scim/path.rs AttrPath::parse", "scim_path"),
    ("scim/path.rs Path::parse", "scim_path"),
    ("scope.rs parse", "scope"),
    ("search.rs Listing::read", "search"),
    ("time.rs read_millis", "moment"),
    ("time.rs read_seconds", "moment"),
];

/// How functions that read are called.
const READS: [&str; 9] = ["parse", "read", "decode", "decrypt", "peek", "open", "presented", "of_form", "of_body"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn targets() -> BTreeSet<String> {
    TARGETS.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_target_has_examples_and_every_example_a_target() {
    assert_eq!(names(&corpora()), targets());
    for name in TARGETS {
        assert!(!names(&corpora().join(name)).is_empty(), "no example of `{name}`");
    }
}

#[test]
fn every_target_is_one_of_libfuzzer_and_listed_there() {
    let fuzz = root().join("fuzz");
    let files: BTreeSet<String> = TARGETS.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&fuzz.join("fuzz_targets")), files);
    let manifest: toml::Table = toml::from_str(&fs::read_to_string(fuzz.join("Cargo.toml")).unwrap()).unwrap();
    let listed = manifest["bin"].as_array().unwrap();
    let listed: BTreeSet<String> = listed.iter().map(|bin| bin["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, targets());
    for name in TARGETS {
        let code = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(code.contains(&format!("targets::{name}(")), "`{name}` calls something else");
    }
}

#[test]
fn every_parser_of_the_wire_has_a_target() {
    let mut found = BTreeSet::new();
    collect(&root().join("crates/protocol/src"), &mut found);
    let known: BTreeSet<String> = PARSERS.iter().map(|(parser, _)| (*parser).to_owned()).collect();
    assert_eq!(found, known, "a parser that strangers reach has a target, and stands in `PARSERS`");
    for (parser, target) in PARSERS {
        assert!(*target == "-" || TARGETS.contains(target), "`{parser}` names no target: `{target}`");
    }
}

/// Public functions that read, as `file Type::function`.
fn collect(directory: &Path, found: &mut BTreeSet<String>) {
    let base = root().join("crates/protocol/src");
    for name in names(directory) {
        let path = directory.join(&name);
        if path.is_dir() {
            collect(&path, found);
            continue;
        }
        let file = path.strip_prefix(&base).unwrap().to_string_lossy().into_owned();
        let mut owner = String::new();
        let text = fs::read_to_string(&path).unwrap();
        for line in text.split("#[cfg(test)]").next().unwrap().lines() {
            if let Some(rest) = line.strip_prefix("impl") {
                let rest = rest.rsplit(" for ").next().unwrap();
                let rest =
                    if rest.starts_with('<') { rest.split_once("> ").map_or(rest, |(_, rest)| rest) } else { rest };
                owner = rest.trim().split(['<', ' ']).next().unwrap().to_owned();
            }
            let (indented, rest) = (line.starts_with(' '), line.trim_start());
            let Some(function) = rest.strip_prefix("pub fn ") else { continue };
            let function = function.split(['(', '<']).next().unwrap();
            let reads =
                |word: &str| function.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
            if READS.into_iter().any(reads) {
                found.insert(if indented {
                    format!("{file} {owner}::{function}")
                } else {
                    format!("{file} {function}")
                });
            }
        }
    }
}
