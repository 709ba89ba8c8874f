//! The walls between the crates, held by what cargo says of them and by their sources. Owns no behaviour of the server.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "walls/crates.rs"]
mod crates;
#[path = "walls/doors.rs"]
mod doors;
#[path = "walls/licences.rs"]
mod licences;
#[path = "walls/source.rs"]
mod source;
#[path = "walls/told.rs"]
mod told;

use std::path::Path;

/// The root of the checkout.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}
