//! What a run stands on: an installation in a directory of its own, its database, and the nodes as processes.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::tenant;
use crate::Outcome;
use crate::bench::http;
use crate::child::{Guarded, tied};
use crate::machine;
use crate::postgres::Postgres;

/// Which database a run is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Database {
    /// A cluster of our own.
    Postgres,
    /// A file; one node only.
    Sqlite,
}

/// The installation. Ends in the order of its fields: nodes, database, directory.
pub struct Ground {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The cluster; none on SQLite.
    pub postgres: Option<Postgres>,
    binary: PathBuf,
    home: TempDir,
}

/// One node: a server process that is started again whenever it ended.
pub struct Node {
    /// Where it listens.
    pub address: SocketAddr,
    number: usize,
    process: Option<Guarded>,
}

impl Ground {
    /// Sets everything up and starts the nodes.
    pub fn lay(binary: PathBuf, database: Database, settings: &[&str], nodes: usize, people: usize) -> Outcome<Self> {
        let target = machine::workspace().join("target");
        let home = tempfile::Builder::new()
            .prefix("countersign-ledger-")
            .tempdir_in(&target)
            .map_err(|e| format!("no directory in `{}`: {e}", target.display()))?;
        let (postgres, url) = match database {
            Database::Sqlite => (None, "sqlite:data.sqlite3".to_owned()),
            Database::Postgres => {
                let postgres = Postgres::start_with(settings)?;
                let url = format!("{}?sslmode=disable", postgres.url());
                (Some(postgres), url)
            }
        };
        let nodes = if database == Database::Sqlite { 1 } else { nodes.max(1) };
        let mut ground = Self { nodes: Vec::new(), postgres, binary, home };
        ground.command(&["keys", "create-master", &ground.path("master.key")])?;
        ground.write("server.toml", &configuration(&url))?;
        ground.write("tenant.toml", &tenant::file(people))?;
        ground.command(&["apply", &ground.path("tenant.toml"), "--config", &ground.path("server.toml")])?;
        for number in 0..nodes {
            let address = SocketAddr::from(([127, 0, 0, 1], machine::free_port()?));
            ground.set_clock(number, 0)?;
            ground.nodes.push(Node { address, number, process: None });
            ground.start(number)?;
        }
        Ok(ground)
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> Outcome {
        fs::write(self.home.path().join(name), text).map_err(|e| format!("`{name}` cannot be written: {e}"))
    }

    /// Runs a command of the server's own.
    fn command(&self, arguments: &[&str]) -> Outcome {
        let output = Command::new(&self.binary)
            .args(arguments)
            .env_remove("COUNTERSIGN_CONFIG")
            .output()
            .map_err(|e| format!("`countersign` cannot be run: {e}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("`countersign {}`: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
    }

    /// Starts a node that does not run and waits until it answers.
    pub fn start(&mut self, number: usize) -> Outcome {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.home.path().join(log_name(number)))
            .map_err(|e| format!("no log file: {e}"))?;
        let node = &mut self.nodes[number];
        let mut command = tied("sh", "TERM");
        // A limit of file sizes must be an error to the server, as a full disk is, not its end.
        command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]).arg(&self.binary);
        command.args(["serve", "--config"]).arg(self.home.path().join("server.toml"));
        command.arg("--clock-offset-file").arg(self.home.path().join(clock_name(number)));
        command.env("COUNTERSIGN__SERVER__LISTEN", node.address.to_string()).env_remove("COUNTERSIGN_CONFIG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut process = Guarded::start(command, "a node", "TERM")?;
        let request = format!("GET /jwks HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", super::wire::HOST);
        let address = node.address;
        process.wait_until(|| http::once(address, request.as_bytes()) == Some(200))?;
        self.nodes[number].process = Some(process);
        Ok(())
    }

    /// SIGKILL: nothing in the process has a say in it.
    pub fn kill(&mut self, number: usize) {
        if let Some(mut process) = self.nodes[number].process.take() {
            process.kill();
        }
    }

    /// SIGTERM: the orderly end.
    pub fn end(&mut self, number: usize) -> Outcome {
        let Some(mut process) = self.nodes[number].process.take() else { return Ok(()) };
        process.signal("TERM")?;
        let status = process.wait_for_end()?;
        if status.success() { Ok(()) } else { Err(format!("a node asked to end ended with {status}")) }
    }

    /// Ends what runs no more by itself: a node must never do that.
    pub fn look_after(&mut self) -> Outcome {
        for node in &mut self.nodes {
            if let Some(status) = node.process.as_mut().and_then(Guarded::ended) {
                return Err(format!("node {} ended by itself: {status}", node.number));
            }
        }
        Ok(())
    }

    /// Puts a node's clock off by so many milliseconds.
    pub fn set_clock(&self, number: usize, millis: i64) -> Outcome {
        // Renamed into place, so that nobody reads half of it.
        let (draft, name) = (format!("{}.new", clock_name(number)), clock_name(number));
        self.write(&draft, &millis.to_string())?;
        fs::rename(self.home.path().join(draft), self.home.path().join(name))
            .map_err(|e| format!("a clock cannot be set: {e}"))
    }

    /// Lets a node's files grow no further than they are and a little more; or lifts that.
    pub fn limit_files(&self, number: usize, limited: bool) -> Outcome {
        let Some(process) = &self.nodes[number].process else { return Ok(()) };
        let size = |name: &str| fs::metadata(self.home.path().join(name)).map_or(0, |file| file.len());
        let largest = size("data.sqlite3").max(size("data.sqlite3-wal"));
        let limit = if limited { (largest / 2).max(4096).to_string() } else { "unlimited".to_owned() };
        let status = Command::new("prlimit")
            .args([format!("--pid={}", process.id()), format!("--fsize={limit}:unlimited")])
            .status()
            .map_err(|e| format!("`prlimit` cannot be run: {e}"))?;
        if status.success() { Ok(()) } else { Err("`prlimit` failed".to_owned()) }
    }

    /// Replaces the signing keys, as an operator does.
    pub fn rotate_keys(&self) -> Outcome {
        let config = self.path("server.toml");
        self.command(&["keys", "rotate", "--config", &config, "--tenant", tenant::ID, "--ahead", tenant::AHEAD])
    }

    /// Lines of the nodes' logs that tell of a panic.
    pub fn panics(&self) -> Vec<String> {
        let read = |number: usize| fs::read_to_string(self.home.path().join(log_name(number))).unwrap_or_default();
        let logs: Vec<String> = (0..self.nodes.len()).map(read).collect();
        let lines = logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains("panick"));
        lines.map(str::to_owned).collect()
    }

    /// The directory, kept after the run.
    pub fn keep(mut self) -> PathBuf {
        self.nodes.clear();
        self.postgres = None;
        let kept = self.home.path().to_owned();
        self.home.disable_cleanup(true);
        kept
    }
}

fn log_name(number: usize) -> String {
    format!("node-{number}.log")
}

fn clock_name(number: usize) -> String {
    format!("clock-{number}")
}

/// Hashing as cheap as a configuration allows: what is shown here is what is kept.
fn configuration(url: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 2\n[database]\nurl = \"{url}\"\n\
         [keys]\nmaster_key_file = \"master.key\"\n[hashing]\nm = 7168\nt = 1\nlanes = 2\n\
         [log]\nlevel = \"warn,countersign::cli=info\"\n"
    )
}
