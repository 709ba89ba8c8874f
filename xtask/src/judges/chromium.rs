//! The browser: one that is there, or Debian's.

use std::path::PathBuf;

use crate::Outcome;
use crate::machine;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// A Chromium. Never one that a package for tests would download by itself.
pub fn find_or_install() -> Outcome<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    machine::install(&["chromium"], "the browser Chromium")?;
    find().ok_or_else(|| "`chromium` was installed, but is not in `PATH`".to_owned())
}

fn find() -> Option<PathBuf> {
    NAMES.iter().find_map(|name| machine::in_path(name))
}
