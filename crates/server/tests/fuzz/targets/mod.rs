//! One function for each parser that strangers reach. Beside not panicking, what a parser says must hold: what is read and written reads
//! the same again, what is taken is what was asked for. The mutator of `cargo test` and libFuzzer (`fuzz/`) call the same ones.

use protocol::json;
use serde_json::{Map, Value};

mod documents;
mod jose;
mod oauth;
mod passkeys;
mod people;
mod requests;
mod wire;

pub use documents::*;
pub use jose::*;
pub use oauth::*;
pub use passkeys::*;
pub use people::*;
pub use requests::*;
pub use wire::*;

/// Now, for everything that asks.
const NOW: i64 = 1_777_608_000;

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn value(bytes: &[u8]) -> Option<Value> {
    json::parse(bytes, json::USUAL).ok()
}

fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    json::parse_object(bytes, json::USUAL).ok()
}
