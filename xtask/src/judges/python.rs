//! Python with the packages of `e2e/requirements.txt`, in an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{install, is_current};
use crate::Outcome;
use crate::machine;
use crate::summary::Counts;

/// A Python that has what the judges need.
pub struct Python {
    home: PathBuf,
    program: PathBuf,
}

impl Python {
    /// Makes the environment at `home`, or takes the one that is there.
    pub fn prepare(home: &Path, judges: &Path) -> Outcome<Self> {
        let python = Self { home: home.to_owned(), program: home.join("bin/python") };
        let (lock, mark) = (judges.join("requirements.txt"), home.join("requirements.txt"));
        if is_current(&mark, &lock) && machine::is_executable(&python.program) {
            return Ok(python);
        }
        let _ = fs::remove_dir_all(home);
        if make(home).is_err() {
            machine::install(&["python3", "python3-venv"], "Python with `venv`")?;
            make(home)?;
        }
        python.add(&["--requirement", &lock.to_string_lossy()], "the judges on Python")?;
        fs::copy(&lock, &mark).map_err(|e| format!("`{}` cannot be written: {e}", mark.display()))?;
        Ok(python)
    }

    /// The interpreter.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A program of one of its packages.
    pub fn script(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    /// Installs packages.
    pub fn add(&self, packages: &[&str], what: &str) -> Outcome {
        println!("   installing {what}");
        let mut command = Command::new(&self.program);
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
        install(command.args(packages), what)
    }

    /// Runs every test below this directory of the judges.
    pub fn tests(&self, judges: &Path, below: &str) -> Command {
        let mut command = Command::new(&self.program);
        // No `__pycache__` in the checkout.
        command.args(["-B", "-m", "unittest", "discover", "--verbose", "--start-directory"]);
        command.arg(judges.join(below)).current_dir(judges);
        command
    }
}

fn make(home: &Path) -> Outcome {
    let python = machine::in_path("python3").ok_or("`python3` is missing")?;
    install(Command::new(python).args(["-m", "venv"]).arg(home), "a Python environment")
}

/// From `Ran 12 tests in 3.210s` and `FAILED (failures=1, errors=1, skipped=2)`.
pub fn counts(text: &str) -> Counts {
    let ran = text.lines().find_map(|line| line.strip_prefix("Ran ")?.split_whitespace().next()?.parse().ok());
    let verdict = text.lines().rev().find(|line| line.starts_with("OK") || line.starts_with("FAILED")).unwrap_or("");
    let of = |name: &str| -> u64 {
        let found = verdict.split(['(', ',', ')']).find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        found.and_then(|number| number.parse().ok()).unwrap_or_default()
    };
    let (failed, ignored) = (of("failures") + of("errors") + of("unexpected successes"), of("skipped"));
    let ran: u64 = ran.unwrap_or_default();
    Counts { passed: ran.saturating_sub(failed + ignored), failed, ignored, filtered: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_unittest_is_counted() {
        let good = "test_x (test_y.Z) ... ok\n\nRan 12 tests in 3.210s\n\nOK\n";
        assert_eq!(counts(good), Counts { passed: 12, ..Counts::default() });
        let bad = "Ran 12 tests in 3.210s\n\nFAILED (failures=1, errors=2, skipped=3)\n";
        assert_eq!(counts(bad), Counts { passed: 6, failed: 3, ignored: 3, filtered: 0 });
    }
}
