//! Every parser that strangers can reach, against damaged input: none may panic, hang, or take back what it said.
//!
//! Good examples lie in `corpus/<parser>/`; a seeded generator cuts, repeats, splices and flips them. The same seed gives the same
//! inputs, so that a failure is found again: it is printed with its seed and as the bytes themselves, and belongs into the corpus.
//! `COUNTERSIGN_FUZZ_ROUNDS=1000000` tries more than the few thousand of an ordinary run, `COUNTERSIGN_FUZZ_SEED` others.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

mod mutate;
mod targets;

use mutate::Mutator;

const ROUNDS: u64 = 4000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// Runs one parser over its corpus, and over what becomes of it.
fn fuzz(name: &str, target: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut corpus: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    corpus.sort();
    let corpus: Vec<Vec<u8>> = corpus.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(!corpus.is_empty(), "no corpus for `{name}`");
    let seed = number("COUNTERSIGN_FUZZ_SEED", 1);
    let mut mutator = Mutator::new(seed, name);
    let damaged = (0..number("COUNTERSIGN_FUZZ_ROUNDS", ROUNDS)).map(|_| mutator.next(&corpus));
    for input in corpus.iter().cloned().chain(damaged) {
        if catch_unwind(|| target(&input)).is_err() {
            panic!("`{name}` with seed {seed} does not survive {:?}", String::from_utf8_lossy(&input));
        }
    }
}

macro_rules! fuzzed {
    ($($name:ident => $target:path),* $(,)?) => {$(
        #[test]
        fn $name() {
            fuzz(stringify!($name), $target);
        }
    )*};
}

fuzzed! {
    form => targets::form,
    authorization_header => targets::authorization_header,
    base64 => targets::base64,
    context => targets::context,
    json => targets::json,
    jwt => targets::jwt,
    jwe => targets::jwe,
    jwk => targets::jwk,
    authorization_request => targets::authorization_request,
    claims_parameter => targets::claims_parameter,
    redirect_uri => targets::redirect_uri,
    registration => targets::registration,
    search => targets::search,
    scim_filter => targets::scim_filter,
    scim_path => targets::scim_path,
    scim_patch => targets::scim_patch,
    policy_document => targets::policy_document,
    passkey_response => targets::passkey_response,
    tenant_file => targets::tenant_file,
}
