//! The processes that are measured: started on one core, looked at through `/proc`, ended by their guard.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::http;
use super::load::Usage;
use crate::Outcome;
use crate::child::{Guarded, tied};

/// The core of what is measured; the generator has the next.
pub const SERVER_CORE: &str = "0";
/// The kernel counts in this unit wherever Linux runs today.
const USER_HZ: f64 = 100.0;
/// The generator's core.
pub const GENERATOR_CORE: &str = "1";

/// A running process under measurement.
pub struct Process {
    guard: Guarded,
    /// Where it listens.
    pub address: SocketAddr,
}

/// `program`, bound to the server's core and to our life.
pub fn pinned(program: &Path) -> Command {
    let mut command = tied("taskset", "TERM");
    command.args(["-c", SERVER_CORE]).arg(program);
    command
}

impl Process {
    /// Starts it and waits for the first answer of status 200 to `request`.
    pub fn start(mut command: Command, log: &Path, address: SocketAddr, request: &[u8]) -> Outcome<Self> {
        let output = fs::File::create(log).map_err(|e| format!("no log file: {e}"))?;
        let errors = output.try_clone().map_err(|e| format!("no log file: {e}"))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let mut guard = Guarded::start(command, "the server", "TERM")?;
        guard.wait_until(|| http::once(address, request) == Some(200)).map_err(|problem| {
            let log = fs::read_to_string(log).unwrap_or_default();
            let tail: Vec<&str> = log.trim().lines().rev().take(5).collect();
            format!("{problem}: {}", tail.into_iter().rev().collect::<Vec<_>>().join(" | "))
        })?;
        Ok(Self { guard, address })
    }

    /// Processor seconds used so far, in user and kernel mode: by all its threads, and by anybody on its core.
    pub fn usage(&self) -> Usage {
        Usage { server: self.own_time(), core: core_time() }
    }

    fn own_time(&self) -> f64 {
        // Fields 14 and 15 of `stat`, counted behind the name, which may hold anything.
        let stat = self.read("stat");
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        (ticks(11) + ticks(12)) / USER_HZ
    }

    /// Most memory it ever held, MB.
    pub fn peak_memory(&self) -> f64 {
        self.memory("VmHWM:")
    }

    /// Memory it holds, MB.
    pub fn memory_now(&self) -> f64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, name: &str) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let kib = line.split_whitespace().next().and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        kib * 1024.0 / 1e6
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.guard.id())).unwrap_or_default()
    }

    /// Ends it.
    pub fn stop(mut self) {
        self.guard.stop();
    }
}

/// Seconds the server's core was busy since the machine began.
fn core_time() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().find_map(|line| line.strip_prefix(&format!("cpu{SERVER_CORE} "))).unwrap_or_default();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let ticks: Vec<f64> = line.split_whitespace().filter_map(|text| text.parse().ok()).collect();
    let busy = |index: &usize| !(3..=4).contains(index) && *index < 8;
    ticks.iter().enumerate().filter(|(index, _)| busy(index)).map(|(_, ticks)| ticks).sum::<f64>() / USER_HZ
}

/// A directory on a disk: a commit in memory costs nothing and would say nothing.
pub fn directory_on_disk(parent: &Path) -> Outcome<tempfile::TempDir> {
    let directory = tempfile::Builder::new()
        .prefix("countersign-bench-")
        .tempdir_in(parent)
        .map_err(|e| format!("no directory in `{}`: {e}", parent.display()))?;
    let output = Command::new("stat").args(["-f", "-c", "%T"]).arg(directory.path()).output();
    let kind = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if kind == "tmpfs" || kind == "ramfs" {
        return Err(format!("`{}` lies in memory: set `CARGO_TARGET_DIR` to a disk", parent.display()));
    }
    Ok(directory)
}

/// The programs to be measured.
#[derive(Clone)]
pub struct Programs {
    /// `countersign`.
    pub server: PathBuf,
    /// The empty handler.
    pub empty_handler: PathBuf,
    /// The bare costs.
    pub bare_costs: PathBuf,
}

impl Programs {
    /// Runs the bare costs with these arguments, on the server's core; what it prints.
    pub fn bare(&self, arguments: &[&str]) -> Outcome<serde_json::Value> {
        let output = pinned(&self.bare_costs).args(arguments).output().map_err(|e| format!("`bare_costs`: {e}"))?;
        if !output.status.success() {
            return Err(format!("`bare_costs {}`: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)));
        }
        serde_json::from_slice(&output.stdout).map_err(|e| format!("`bare_costs` printed no JSON: {e}"))
    }
}

/// How long a measurement is preceded by the same load unmeasured.
pub const WARM_UP: Duration = Duration::from_millis(1500);
