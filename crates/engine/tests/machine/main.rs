//! The sign-in machine: by scripts with their transcripts, by properties over random flows, by a walk of every state of
//! small policies, and by what is stored.
#![allow(clippy::unwrap_used, clippy::panic)]

mod challenges;
mod ends;
mod policies;
mod renewals;
mod scripts;
mod support;
