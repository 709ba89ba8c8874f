//! `cargo xtask deny`: advisories, licences, bans and sources, by cargo-deny and `deny.toml`. What needs no tool and no network is
//! held by the tests already (`crates/server/tests/walls`).

use crate::{Outcome, machine};

/// Checks the workspace and the fuzzing targets.
pub fn run() -> Outcome {
    let there = machine::cargo().args(["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if !there {
        return Err("cargo-deny is missing: `cargo install cargo-deny --locked`".to_owned());
    }
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        println!("   {manifest}");
        let mut command = machine::cargo();
        command.args(["deny", "--locked", "--config", "deny.toml", "--manifest-path", manifest, "check"]);
        let status = command.status().map_err(|e| format!("`cargo` cannot be run: {e}"))?;
        if !status.success() {
            return Err(format!("cargo-deny does not agree with `{manifest}`"));
        }
    }
    Ok(())
}
