//! A process that does not outlive us: stopped when dropped, and by the kernel when we are killed.

use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::machine;

const PATIENCE: Duration = Duration::from_secs(15);

/// A running process with its polite way of being asked to end.
pub struct Guarded {
    child: Child,
    name: &'static str,
    signal: &'static str,
}

/// `program`, started through `setpriv` where there is one, so that it gets `signal` when its parent dies.
pub fn tied(program: &str, signal: &str) -> Command {
    match machine::in_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", signal, "--", program]);
            command
        }
        None => Command::new(program),
    }
}

/// Sends a signal to one of our processes. By the shell's own `kill`: the program of that name is not on every machine.
pub fn signal(process: u32, signal: &str) -> Outcome {
    let sent = Command::new("sh").args(["-c", &format!("kill -s {signal} {process} 2>/dev/null")]).status();
    match sent {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("process {process} takes no signal")),
        Err(e) => Err(format!("`sh` cannot be run: {e}")),
    }
}

/// The processes that one of ours has started.
pub fn children_of(process: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

impl Guarded {
    /// Starts `command`; `signal` (as `kill -s` names it) asks it to end.
    pub fn start(mut command: Command, name: &'static str, signal: &'static str) -> Outcome<Self> {
        let child = command.spawn().map_err(|e| format!("{name} cannot be started: {e}"))?;
        Ok(Self { child, name, signal })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, as `kill -s` names it.
    pub fn signal(&self, signal: &str) -> Outcome {
        self::signal(self.id(), signal)
    }

    /// Nothing in the process has a say in this.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it has ended.
    pub fn wait_for_end(&mut self) -> Outcome<ExitStatus> {
        let deadline = Instant::now() + 2 * PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(2));
        }
        Err(format!("{} does not end", self.name))
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks until `ready` says yes. An error if the process ends before, or nothing happens for long.
    pub fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Outcome {
        let deadline = Instant::now() + 2 * PATIENCE;
        while !ready() {
            if let Some(status) = self.ended() {
                return Err(format!("{} ended before it was ready: {status}", self.name));
            }
            if Instant::now() > deadline {
                return Err(format!("{} did not become ready", self.name));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Asks it to end, and ends it when it does not.
    pub fn stop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        if self.signal(self.signal).is_ok() {
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline {
                if self.ended().is_some() {
                    return;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.stop();
    }
}
