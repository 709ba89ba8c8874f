//! Whoever changes how somebody signs in tells them, in the transaction that changes it: the places where it is written are few, named
//! here, and each says who tells.

use std::collections::BTreeSet;

use crate::source::{Source, identifiers};

const SOURCES: &str = "crates/server/src";

/// What makes, changes or ends a way to sign in.
const WRITES: [&str; 5] = ["EditUser", "PutUser", "Rehash", "PutEnrolment", "RemoveEnrolment"];

/// Where that is written, and why whom it concerns knows of it.
const WRITERS: [(&str, &str); 15] = [
    ("scim/people.rs", "`tell_of_record`, for every shape of the directory and whoever keeps it"),
    ("signin/passwords.rs", "`tell` and `tell_of_record`"),
    ("signin/mailed.rs", "`tell_of_record`; a confirmed address was the person's before"),
    ("signin/enrol.rs", "`tell`; what was never proved is nobody's way in yet"),
    ("signin/enrolling.rs", "`tell`, by what finishes an enrolment"),
    ("signin/devices.rs", "`tell`"),
    ("signin/factors/otp.rs", "counts only; the first right code is told of by the driver"),
    ("signin/factors/totp.rs", "counts only; the first right code is told of by the driver"),
    ("signin/factors/push.rs", "counts only"),
    ("signin/factors/questions.rs", "counts only"),
    ("signin/factors/password.rs", "the same password under a better hash"),
    ("signin/factors/webauthn/assertion.rs", "counts only"),
    ("signin/factors/webauthn/registration.rs", "a change for whoever registers it, who tells"),
    ("audit.rs", "reads them"),
    ("tenant_file/apply/people.rs", "the operator's own file, told of by nobody"),
];

#[test]
fn what_changes_how_somebody_signs_in_is_written_where_they_are_told() {
    let mut found = BTreeSet::new();
    for source in Source::all_under(SOURCES) {
        let name = source.name().strip_prefix(SOURCES).unwrap().trim_start_matches('/').to_owned();
        if !identifiers(source.code()).any(|word| WRITES.contains(&word)) {
            continue;
        }
        assert!(
            WRITERS.iter().any(|(file, _)| *file == name),
            "`{name}` writes how somebody signs in: call what tells them, or say here who does"
        );
        // Who says that it tells does.
        let tells = WRITERS.iter().any(|(file, who)| *file == name && who.starts_with("`tell"));
        assert!(!tells || identifiers(source.code()).any(|word| word.starts_with("tell")), "`{name}` tells nobody");
        found.insert(name);
    }
    for (file, _) in WRITERS {
        assert!(found.contains(file), "`{file}` writes nothing of the kind any more");
    }
}
