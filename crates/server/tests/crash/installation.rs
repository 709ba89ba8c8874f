//! An installation in a directory of its own, and the server as a process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use countersign::world::World;
use tempfile::TempDir;

use crate::api;

const BINARY: &str = env!("CARGO_BIN_EXE_countersign");

/// A configured server with one tenant applied.
pub struct Installation {
    dir: TempDir,
    postgres: Option<Postgres>,
}

/// A database of its own on the server the tests were given.
struct Postgres {
    base: String,
    name: String,
}

impl Installation {
    pub fn on_sqlite() -> Self {
        Self::new("sqlite:data.sqlite3", None)
    }

    /// None where no server is named and none is demanded.
    pub async fn on_postgres() -> Option<Self> {
        let Ok(base) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else {
            let demanded = std::env::var("COUNTERSIGN_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
            assert!(!demanded, "`COUNTERSIGN_TEST_POSTGRES` must name a server");
            return None;
        };
        let name = format!("crash_{}", World::real().uuid().replace('-', ""));
        administer(&base, &format!("CREATE DATABASE {name}")).await;
        let (scheme, rest) = base.split_once("://").expect("`COUNTERSIGN_TEST_POSTGRES` is a URL");
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let url = format!("{scheme}://{}/{name}?{options}", place.split('/').next().unwrap());
        Some(Self::new(&url, Some(Postgres { base, name })))
    }

    fn new(url: &str, postgres: Option<Postgres>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        run(&["keys", "create-master", &path("master.key")]);
        // Hashing as cheap as a configuration allows: what is shown here is what is kept.
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 2\n[database]\nurl = \"{url}\"\n\
             [keys]\nmaster_key_file = \"master.key\"\n[hashing]\nm = 7168\nt = 1\n\
             [observe]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"warn,countersign::cli=info\"\n"
        );
        std::fs::write(path("server.toml"), config).unwrap();
        std::fs::write(path("tenant.toml"), api::tenant()).unwrap();
        run(&["apply", &path("tenant.toml"), "--config", &path("server.toml")]);
        Self { dir, postgres }
    }

    /// Starts a server and waits until it takes requests.
    pub fn start(&self) -> Server {
        let mut child = Command::new(BINARY)
            .args(["serve", "--config"])
            .arg(self.dir.path().join("server.toml"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, told) = mpsc::channel();
        // Read to the end, so that the server never waits for a reader of its log.
        let log = std::thread::spawn(move || {
            let mut errors = Vec::new();
            for line in lines.map_while(Result::ok) {
                let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if let ("serving" | "observing", Some(listen)) =
                    (entry["message"].as_str().unwrap_or_default(), entry["listen"].as_str())
                {
                    let _ = tell.send(listen.to_owned());
                }
                // What is no log line is a panic, or what kept the server from starting.
                if entry["level"] == "ERROR" || entry.is_null() {
                    errors.push(line);
                }
            }
            errors
        });
        let mut server = Server { child, address: String::new(), observed: String::new(), log: Some(log) };
        // First the listener for everybody, then the one for operators.
        match (told.recv(), told.recv()) {
            (Ok(address), Ok(observed)) => (server.address, server.observed) = (address, observed),
            _ => panic!("the server ended before it served: {:?}", server.end()),
        }
        server
    }

    pub async fn remove(self) {
        if let Some(Postgres { base, name }) = self.postgres {
            administer(&base, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}

fn run(arguments: &[&str]) {
    let output = Command::new(BINARY).args(arguments).env_remove("COUNTERSIGN_CONFIG").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn administer(base: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(base, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
}

/// A running server, killed with the test whatever happens.
pub struct Server {
    child: Child,
    address: String,
    observed: String,
    log: Option<JoinHandle<Vec<String>>>,
}

impl Server {
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where health and metrics are told.
    pub fn observed(&self) -> &str {
        &self.observed
    }

    /// SIGTERM: the orderly end begins.
    pub fn terminate(&self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    /// Waits until the process has ended by itself.
    pub fn ended(mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        let errors = self.end();
        assert!(errors.is_empty(), "{errors:#?}");
        status
    }

    /// SIGKILL: nothing in the process has a say in it. Until then it must not have had an error to tell.
    pub fn kill(mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "the server ended by itself");
        let errors = self.end();
        assert!(errors.is_empty(), "{errors:#?}");
    }

    fn end(&mut self) -> Vec<String> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.log.take().map(|log| log.join().unwrap()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
