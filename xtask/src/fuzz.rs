//! `cargo xtask fuzz`: libFuzzer on every parser that strangers reach, from the examples of `crates/server/tests/fuzz/corpus`. Owns how
//! the targets of `fuzz/` are built and run; what they do is in the tests.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::{Outcome, machine};

/// The options of the command.
#[derive(clap::Args)]
pub struct Options {
    /// One parser; every one where none is named
    target: Option<String>,
    /// How long each is tried, seconds
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// The largest input, bytes
    #[arg(long, value_name = "N", default_value_t = 8192)]
    longest: u32,
    /// Only see whether every target compiles, with the toolchain of the workspace
    #[arg(long)]
    check: bool,
}

/// Runs libFuzzer. A finding is kept in `fuzz/artifacts`, and ends the command.
pub fn run(options: &Options) -> Outcome {
    if options.check {
        return check();
    }
    let all = targets()?;
    let chosen: Vec<&String> = match &options.target {
        Some(name) => all.iter().filter(|one| *one == name).collect(),
        None => all.iter().collect(),
    };
    if chosen.is_empty() {
        return Err(format!("no such target; there are {}", all.join(", ")));
    }
    let can = nightly().args(["fuzz", "--version"]).output().is_ok_and(|output| output.status.success());
    if !can {
        return Err(
            "`cargo +nightly fuzz` is missing: `rustup toolchain install nightly --profile minimal` and `cargo install cargo-fuzz`"
                .to_owned(),
        );
    }
    for name in chosen {
        println!("   {name}");
        // What it finds goes into the first directory, which is nobody's but this machine's.
        let own = directory().join("corpus").join(name);
        fs::create_dir_all(&own).map_err(|e| format!("`{}` cannot be made: {e}", own.display()))?;
        let examples = machine::workspace().join("crates/server/tests/fuzz/corpus").join(name);
        let mut command = nightly();
        command.args(["fuzz", "run", name]).args([&own, &examples]).arg("--");
        command.arg(format!("-max_total_time={}", options.seconds)).arg(format!("-max_len={}", options.longest));
        command.args(["-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=1"]);
        let status = command.status().map_err(|e| format!("`cargo` cannot be run: {e}"))?;
        if !status.success() {
            return Err(format!("`{name}` does not survive: see `fuzz/artifacts/{name}`"));
        }
    }
    Ok(())
}

/// Whether every target compiles, without anything but the toolchain of the workspace.
fn check() -> Outcome {
    let mut command = machine::cargo();
    command.args(["check", "--locked", "--manifest-path"]).arg(directory().join("Cargo.toml"));
    command.arg("--target-dir").arg(machine::workspace().join("target"));
    // Nothing is linked: the library of LLVM need not be there.
    command.env("CUSTOM_LIBFUZZER_PATH", "/nowhere/libFuzzer.a");
    let status = command.status().map_err(|e| format!("`cargo` cannot be run: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`cargo` ended with {status}")) }
}

fn directory() -> PathBuf {
    machine::workspace().join("fuzz")
}

/// The cargo that `PATH` names, which knows of toolchains: ours is pinned.
fn nightly() -> Command {
    let mut command = Command::new("cargo");
    command.arg("+nightly").current_dir(machine::workspace()).env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
    command
}

/// The names of all targets.
fn targets() -> Outcome<Vec<String>> {
    let place = directory().join("fuzz_targets");
    let entries = fs::read_dir(&place).map_err(|e| format!("`{}` cannot be read: {e}", place.display()))?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".rs")?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}
