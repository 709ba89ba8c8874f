//! Every parser that strangers can reach, against damaged input: none may panic, hang, or take back what it said.
//!
//! Good examples lie in `corpus/<parser>/`; a seeded generator cuts, repeats, splices and flips them. The same seed gives the same
//! inputs, so that a failure is found again: it is printed with its seed and as the bytes themselves, and belongs into the corpus.
//! `COUNTERSIGN_FUZZ_ROUNDS=1000000` tries more than the few thousand of an ordinary run, `COUNTERSIGN_FUZZ_SEED` others. What is
//! guided by coverage is in `fuzz/`: the same functions from the same examples.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

mod complete;
mod mutate;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;
mod targets;

use mutate::Mutator;

const ROUNDS: u64 = 4000;
/// Where one costs more than all the others together: certificates and signatures, large files.
const DEAR: u64 = 1500;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Where the examples of every parser are.
fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

/// Runs one parser over its corpus, and over what becomes of it.
fn fuzz(name: &str, target: fn(&[u8]), rounds: u64) {
    let mut corpus: Vec<_> = fs::read_dir(corpora().join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    corpus.sort();
    let corpus: Vec<Vec<u8>> = corpus.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(!corpus.is_empty(), "no corpus for `{name}`");
    let seed = number("COUNTERSIGN_FUZZ_SEED").unwrap_or(1);
    let mut mutator = Mutator::new(seed, name);
    let rounds = number("COUNTERSIGN_FUZZ_ROUNDS").unwrap_or(rounds);
    let damaged = (0..rounds).map(|_| mutator.next(&corpus));
    for input in corpus.iter().cloned().chain(damaged) {
        if catch_unwind(|| target(&input)).is_err() {
            let bytes = input.escape_ascii();
            panic!("`{name}` with seed {seed} does not survive {:?}: b\"{bytes}\"", String::from_utf8_lossy(&input));
        }
    }
}

macro_rules! fuzzed {
    ($($name:ident $(($rounds:expr))?),* $(,)?) => {
        /// Every target.
        const TARGETS: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            #[allow(unused_mut, unused_assignments)]
            let mut rounds = ROUNDS;
            $(rounds = $rounds;)?
            fuzz(stringify!($name), targets::$name, rounds);
        })*
    };
}

fuzzed! {
    form,
    multipart,
    authorization_header,
    forwarded_for,
    base64,
    context,
    json,
    moment,
    jwt,
    jwe,
    jwk,
    claims,
    provider_metadata,
    phone_signature,
    authorization_request,
    claims_parameter,
    scope,
    proof_key,
    redirect_uri,
    registration,
    logout_request,
    search,
    authenticate_step,
    scim_filter,
    scim_path,
    scim_patch,
    scim_query,
    scim_resource,
    entity_tags,
    passkey_registration(DEAR),
    passkey_assertion(DEAR),
    passkey_attestation_object(DEAR),
    passkey_authenticator_data(DEAR),
    passkey_client_data(DEAR),
    password_hash,
    policy_document,
    tenant_file(DEAR),
    // Each is a whole request to a server with a database.
    request(DEAR / 2),
}
