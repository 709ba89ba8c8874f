//! The sign-in machine: by scripts with their transcripts, by properties over random flows, by a walk of every state of
//! small policies, and by what is stored.
#![allow(clippy::unwrap_used, clippy::panic)]

mod challenges;
mod elsewhere;
mod ends;
mod enrolment;
mod ghost;
mod levels;
mod policies;
mod properties;
mod renewals;
mod scripts;
mod stored;
mod support;
mod trusted;
mod walk;

// The same random policies and worlds as the policy's own tests, and the same second evaluator.
#[allow(dead_code, reason = "the policy's own tests use the rest")]
#[path = "../policy/generate.rs"]
mod generate;
#[allow(dead_code, reason = "the policy's own tests use the rest")]
#[path = "../policy/naive.rs"]
mod naive;
