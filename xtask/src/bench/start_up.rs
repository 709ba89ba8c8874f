//! How long the server takes from its start to its first answer on an existing database, and what it holds when idle.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::ceilings::median;
use super::http::Requests;
use super::operations;
use super::scripts;
use super::server::{Process, Programs, pinned};
use super::tenant;
use crate::Outcome;

const TIMES: usize = 5;
/// How long nothing is asked before the memory is looked at.
const IDLE: Duration = Duration::from_secs(2);

/// What was found.
pub struct StartUp {
    /// Milliseconds from the start of the process to its first answer.
    pub ready: f64,
    /// Memory held when idle, MB.
    pub idle: f64,
}

/// Makes a database, then serves it as in production, several times.
pub fn measure(programs: &Programs, directory: &Path) -> Outcome<StartUp> {
    let prepared = programs.bare(&["prepare", tenant::PASSWORD, tenant::SECRET])?;
    let first = operations::start(programs, directory, &prepared)?;
    let address = first.address;
    first.stop();
    let config = directory.join("countersign.toml");
    fs::write(&config, configuration(address, directory)).map_err(|e| format!("no configuration: {e}"))?;
    let request = scripts::client_credentials(&Requests::to(address), "opaque");
    let (mut ready, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let mut command = pinned(&programs.server);
        command.args(["serve", "--config"]).arg(&config);
        let begun = Instant::now();
        let server = Process::start(command, &directory.join("log"), address, &request)?;
        ready.push(begun.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(IDLE);
        idle.push(server.memory_now());
        server.stop();
    }
    Ok(StartUp { ready: median(&ready), idle: median(&idle) })
}

/// The files are those that development mode keeps in its data directory.
fn configuration(address: SocketAddr, directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "[server]\nlisten = \"{address}\"\n\n[database]\nurl = \"sqlite:{directory}/countersign.sqlite3\"\n\n\
         [keys]\nmaster_key_file = \"{directory}/master.key\"\n"
    )
}
