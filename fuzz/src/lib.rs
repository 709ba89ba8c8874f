//! The parsers that strangers reach, as the tests of the server have them: see `crates/server/tests/fuzz`.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "../../crates/server/tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;
#[path = "../../crates/server/tests/fuzz/targets/mod.rs"]
pub mod targets;
