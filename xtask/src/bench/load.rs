//! The closed-loop load generator: as many scripts as connections, each asking again as soon as it was answered. Owns
//! the connections and the clock; what is asked is the scripts' own.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::LocalSet;

use super::histogram::Histogram;
use super::http::{self, Answer};
use crate::Outcome;

/// What one connection does.
pub trait Script {
    /// Writes the next request. False when there is nothing left to do.
    fn ask(&mut self, out: &mut Vec<u8>) -> bool;

    /// Takes the answer in. True when it completed an operation.
    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<bool>;
}

/// What was measured.
pub struct Measured {
    /// Operations completed.
    pub operations: u64,
    /// Seconds they took.
    pub seconds: f64,
    /// How long each took.
    pub latencies: Histogram,
    /// What was used of the server's core meanwhile.
    pub used: Usage,
}

impl Measured {
    /// Seconds the server could not have had, because others used its core.
    pub fn taken_by_others(&self) -> f64 {
        (self.used.core - self.used.server).clamp(0.0, 0.99 * self.seconds)
    }
}

/// Seconds of processor time, since some beginning.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// By the server.
    pub server: f64,
    /// By anybody on the server's core, the server included.
    pub core: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    WarmUp,
    Measuring,
    Over,
}

struct Shared {
    phase: Cell<Phase>,
    latencies: RefCell<Histogram>,
    problem: RefCell<Option<String>>,
    end: Notify,
}

impl Shared {
    fn finish(&self, problem: Option<String>) {
        self.phase.set(Phase::Over);
        if let Some(problem) = problem {
            self.problem.borrow_mut().get_or_insert(problem);
        }
        self.end.notify_one();
    }
}

/// Runs the scripts for a while. `usage` tells what was used so far.
///
/// Any answer a script does not expect ends the run: a server that refuses is not fast.
pub fn run(
    address: SocketAddr,
    scripts: Vec<Box<dyn Script>>,
    warm_up: Duration,
    time: Duration,
    usage: impl Fn() -> Usage,
) -> Outcome<Measured> {
    let shared = Rc::new(Shared {
        phase: Cell::new(Phase::WarmUp),
        latencies: RefCell::new(Histogram::default()),
        problem: RefCell::new(None),
        end: Notify::new(),
    });
    let (mut seconds, mut used) = (0.0, Usage::default());
    block_on(async {
        for script in scripts {
            let shared = Rc::clone(&shared);
            tokio::task::spawn_local(async move {
                match converse(address, script, &shared).await {
                    // A script that ran out ends the run: what follows would be fewer connections than said.
                    Ok(()) => shared.finish(None),
                    Err(problem) => shared.finish(Some(problem)),
                }
            });
        }
        let waited = tokio::time::timeout(warm_up, shared.end.notified()).await;
        if waited.is_ok() {
            return;
        }
        shared.phase.set(Phase::Measuring);
        let (begun, before) = (Instant::now(), usage());
        let _ = tokio::time::timeout(time, shared.end.notified()).await;
        seconds = begun.elapsed().as_secs_f64();
        let after = usage();
        used = Usage { server: after.server - before.server, core: after.core - before.core };
        shared.phase.set(Phase::Over);
    })?;
    if let Some(problem) = shared.problem.borrow_mut().take() {
        return Err(problem);
    }
    let latencies = shared.latencies.borrow().clone();
    if latencies.total() == 0 {
        return Err("nothing was completed while it was measured".to_owned());
    }
    Ok(Measured { operations: latencies.total(), seconds, latencies, used })
}

/// Runs every script until it has nothing left to do.
pub fn complete(address: SocketAddr, scripts: Vec<Box<dyn Script>>) -> Outcome {
    let shared = Rc::new(Shared {
        phase: Cell::new(Phase::WarmUp),
        latencies: RefCell::new(Histogram::default()),
        problem: RefCell::new(None),
        end: Notify::new(),
    });
    let mut outcome = Ok(());
    block_on(async {
        let running: Vec<_> = scripts
            .into_iter()
            .map(|script| {
                let shared = Rc::clone(&shared);
                tokio::task::spawn_local(async move { converse(address, script, &shared).await })
            })
            .collect();
        for task in running {
            let ended = task.await.unwrap_or_else(|_| Err("a connection was lost".to_owned()));
            if outcome.is_ok() {
                outcome = ended;
            }
        }
    })?;
    outcome
}

fn block_on(work: impl Future<Output = ()>) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("no runtime: {e}"))?;
    // Dropping the set drops whatever is still under way, and its connections.
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, work);
    Ok(())
}

async fn converse(address: SocketAddr, mut script: Box<dyn Script>, shared: &Shared) -> Outcome {
    let lost = |error: std::io::Error| format!("a connection was lost: {error}");
    let mut stream = TcpStream::connect(address).await.map_err(lost)?;
    stream.set_nodelay(true).map_err(lost)?;
    let (mut out, mut buffer) = (Vec::with_capacity(4096), Vec::with_capacity(16 * 1024));
    let mut begun = None;
    loop {
        out.clear();
        if !script.ask(&mut out) {
            return Ok(());
        }
        let asked = *begun.get_or_insert_with(Instant::now);
        stream.write_all(&out).await.map_err(lost)?;
        buffer.clear();
        let (status, start, end) = loop {
            if stream.read_buf(&mut buffer).await.map_err(lost)? == 0 {
                return if shared.phase.get() == Phase::Over {
                    Ok(())
                } else {
                    Err("the server closed a connection".to_owned())
                };
            }
            if let Some(found) = http::parse(&buffer)? {
                break found;
            }
        };
        if script.hear(&Answer { status, head: &buffer[..start], body: &buffer[start..end] })? {
            begun = None;
            match shared.phase.get() {
                Phase::WarmUp => {}
                Phase::Measuring => shared.latencies.borrow_mut().record(asked.elapsed()),
                Phase::Over => return Ok(()),
            }
        }
    }
}
