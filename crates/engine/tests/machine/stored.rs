//! The stored form. Sign-ins begun by one version of the server are gone on with by the next, so a change of the form is
//! a decision: what `stored-1.jsonl` holds must still be read, and a new form gets a file of its own beside it.

use engine::SignIn;

use crate::ends::at_every_stage;

const STORED: &str = include_str!("stored-1.jsonl");

#[test]
fn the_stored_form_is_the_one_in_use() {
    let written: Vec<String> = at_every_stage().iter().map(|state| serde_json::to_string(state).unwrap()).collect();
    let kept: Vec<&str> = STORED.lines().collect();
    assert_eq!(written, kept);
}

#[test]
fn what_an_earlier_version_stored_is_still_read() {
    let read: Vec<SignIn> = STORED.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, at_every_stage());
}

#[test]
fn a_stage_nobody_knows_is_not_read_as_another() {
    let first = STORED.lines().next().unwrap();
    assert!(serde_json::from_str::<SignIn>(first).is_ok());
    let unknown = first.replace("expect-factor", "expect-everything");
    assert!(serde_json::from_str::<SignIn>(&unknown).is_err());
}
