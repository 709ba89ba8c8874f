//! The judges of `e2e/`: certified client libraries and a real browser, against the binary as it is. Owns what they need
//! and how their verdict is counted; what they judge is told in `docs/testing.md`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::machine;
use crate::summary::{Counts, Summary};

mod chromium;
mod node;
mod python;

use node::Node;
use python::Python;

/// What the judges are run with.
pub struct Judges {
    chromium: PathBuf,
    node: Node,
    python: Python,
    server: PathBuf,
}

impl Judges {
    /// Builds the server; finds or installs a browser, Node and Python, and the packages the lock files name.
    pub fn prepare() -> Outcome<Self> {
        let server = machine::server()?;
        let python = Python::prepare(&home(&server)?.join("python"), &directory())?;
        let node = Node::prepare(&python, &directory())?;
        let chromium = chromium::find_or_install()?;
        Ok(Self { chromium, node, python, server })
    }

    /// What was found, in one line.
    pub fn versions(&self) -> String {
        let Self { chromium, node, python, .. } = self;
        [said(chromium, "--version"), format!("Node {}", node.version()), said(python.program(), "--version")]
            .join(", ")
    }

    /// Every test of `e2e/tests`: the libraries for JavaScript, and the browser.
    pub fn run_node(&self, summary: &mut Summary) -> Outcome {
        let report = home(&self.server)?.join("node.tap");
        let mut command = self.node.tests(&directory(), &report)?;
        let status = self.shown(&mut command).status().map_err(|e| format!("Node cannot be run: {e}"))?;
        let text = fs::read_to_string(&report).map_err(|e| format!("Node wrote no report: {e}"))?;
        let counts = node::counts(&text);
        summary.add("judges on Node", counts);
        verdict(status.success(), counts)
    }

    /// Every test of `e2e/python`: the libraries for Python.
    pub fn run_python(&self, summary: &mut Summary) -> Outcome {
        self.run_below("python", "judges on Python", summary)
    }

    /// Every test of `e2e/scim`: the checker of SCIM servers.
    pub fn run_scim(&self, summary: &mut Summary) -> Outcome {
        self.run_below("scim", "judges of SCIM", summary)
    }

    fn run_below(&self, below: &str, name: &str, summary: &mut Summary) -> Outcome {
        let mut command = self.python.tests(&directory(), below);
        let output = self.shown(&mut command).output().map_err(|e| format!("Python cannot be run: {e}"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        print!("{text}");
        let counts = python::counts(&text);
        summary.add(name, counts);
        verdict(output.status.success(), counts)
    }

    /// What every judge is told.
    fn shown<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("COUNTERSIGN_BINARY", &self.server).env("COUNTERSIGN_CHROMIUM", &self.chromium)
    }
}

fn verdict(success: bool, counts: Counts) -> Outcome {
    match counts {
        _ if !success || counts.failed > 0 => Err("a judge said no".to_owned()),
        Counts { passed: 0, .. } => Err("nobody judged".to_owned()),
        Counts { ignored: 0, .. } => Ok(()),
        Counts { ignored, .. } => Err(format!("{ignored} tests were skipped, and none may be")),
    }
}

fn directory() -> PathBuf {
    machine::workspace().join("e2e")
}

/// Where what belongs to the judges is kept between runs: beside what was built.
fn home(server: &Path) -> Outcome<PathBuf> {
    let target = server.parent().and_then(Path::parent).ok_or("the server lies in no target directory")?;
    let home = target.join("e2e");
    fs::create_dir_all(&home).map_err(|e| format!("no directory `{}`: {e}", home.display()))?;
    Ok(home)
}

/// What a program prints when it is asked.
fn said(program: &Path, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Does `mark` say that `made` was made from this lock file? Then nothing has to be installed.
fn is_current(mark: &Path, lock: &Path) -> bool {
    matches!((fs::read(mark), fs::read(lock)), (Ok(made), Ok(wanted)) if made == wanted)
}

/// Runs an installer; on failure the last line it said.
fn install(command: &mut Command, what: &str) -> Outcome {
    let output = command.output().map_err(|e| format!("{what} cannot be installed: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{what} cannot be installed: {}", said.trim().lines().last().unwrap_or("no message")))
}
