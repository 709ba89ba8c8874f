//! A PostgreSQL of our own: a fresh cluster on a loopback port, gone with the guard. Does not touch any other cluster.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::Outcome;
use crate::child::{self, Guarded};
use crate::machine;

/// A running cluster.
pub struct Postgres {
    // Order matters: the server ends before its directory goes.
    server: Guarded,
    home: TempDir,
    programs: PathBuf,
    account: Account,
    port: u16,
    settings: Vec<String>,
    url: String,
    version: String,
}

impl Postgres {
    /// Finds or installs PostgreSQL and starts a cluster in a temporary directory.
    pub fn start() -> Outcome<Self> {
        Self::start_with(&[])
    }

    /// The same with further settings (`name=value`).
    pub fn start_with(settings: &[&str]) -> Outcome<Self> {
        let programs = match find() {
            Some(programs) => programs,
            None => {
                machine::install(&["postgresql"], "PostgreSQL")?;
                find().ok_or("PostgreSQL was installed, but `initdb` and `postgres` are not found")?
            }
        };
        let account = Account::choose()?;
        let home = tempfile::Builder::new()
            .prefix("countersign-postgres-")
            .tempdir()
            .map_err(|e| format!("no temporary directory: {e}"))?;
        account.own(home.path())?;
        let data = home.path().join("data");
        initialise(&programs, &account, &data)?;

        let port = machine::free_port()?;
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let server = launch(&programs, &account, home.path(), port, &settings)?;
        let version = fs::read_to_string(data.join("PG_VERSION")).unwrap_or_default().trim().to_owned();
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        Ok(Self { server, home, programs, account, port, settings, url, version })
    }

    /// Falls over without a word to its clients, and is started again: what was committed is found in its log.
    pub fn crash(&mut self) -> Outcome {
        self.server.signal("QUIT")?;
        self.start_again()
    }

    /// Ends in order, cutting its clients off, and is started again.
    pub fn restart(&mut self) -> Outcome {
        self.server.signal("INT")?;
        self.start_again()
    }

    fn start_again(&mut self) -> Outcome {
        self.server.wait_for_end()?;
        // What a cluster that fell over says of its state is no longer true.
        let _ = fs::remove_file(self.home.path().join("data/postmaster.pid"));
        self.server = launch(&self.programs, &self.account, self.home.path(), self.port, &self.settings)?;
        Ok(())
    }

    /// Stops every process of the cluster where it stands; what is dropped lets them go on.
    pub fn pause(&self) -> Outcome<Paused> {
        // The first of them first, so that it starts no more meanwhile.
        let first = self.server.id();
        let mut paused = Paused(vec![first]);
        child::signal(first, "STOP")?;
        for process in child::children_of(first) {
            if child::signal(process, "STOP").is_ok() {
                paused.0.push(process);
            }
        }
        Ok(paused)
    }

    /// Where it listens; the user may create databases.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its major version.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// A cluster that stands still until this is dropped.
pub struct Paused(Vec<u32>);

impl Drop for Paused {
    fn drop(&mut self) {
        for process in &self.0 {
            // One that is gone needs nothing.
            let _ = child::signal(*process, "CONT");
        }
    }
}

fn launch(programs: &Path, account: &Account, home: &Path, port: u16, settings: &[String]) -> Outcome<Guarded> {
    let data = home.join("data");
    let log_file = home.join("log");
    let log = fs::File::options().create(true).append(true).open(&log_file).map_err(|e| format!("no log file: {e}"))?;
    let mut command = child::tied(&programs.join("postgres").to_string_lossy(), "INT");
    account.assume(&mut command);
    command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", ""]);
    // Nothing here has to survive a power cut: whatever falls over is a process, never the machine.
    let usual = ["fsync=off", "max_connections=300", "shared_buffers=64MB"].map(str::to_owned);
    for setting in usual.iter().chain(settings) {
        command.args(["-c", setting]);
    }
    command.current_dir(home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    // SIGINT is PostgreSQL's fast shutdown: clients are cut off, the cluster stays sound.
    let mut server = Guarded::start(command, "PostgreSQL", "INT")?;
    server.wait_until(|| is_ready(&data)).map_err(|problem| {
        let log = fs::read_to_string(&log_file).unwrap_or_default();
        format!("{problem}: {}", log.trim().lines().last().unwrap_or("nothing in its log"))
    })?;
    Ok(server)
}

/// The directory that holds `initdb` and `postgres`: in `PATH`, or the newest of Debian's packages.
fn find() -> Option<PathBuf> {
    let complete = |dir: &PathBuf| ["initdb", "postgres"].iter().all(|name| machine::is_executable(&dir.join(name)));
    let in_path = machine::in_path("initdb").and_then(|file| file.parent().map(Path::to_owned)).filter(complete);
    in_path.or_else(|| {
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .ok()?
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .filter(|(_, dir)| complete(dir))
            .collect();
        versions.sort();
        versions.pop().map(|(_, dir)| dir)
    })
}

/// Whom the server runs as: PostgreSQL refuses root.
enum Account {
    Ourselves,
    Other { user: u32, group: u32 },
}

impl Account {
    fn choose() -> Outcome<Self> {
        if !machine::is_root() {
            return Ok(Self::Ourselves);
        }
        let (user, group) = machine::ids_of("postgres").or_else(|_| machine::ids_of("nobody")).map_err(|e| {
            format!("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`: {e}")
        })?;
        Ok(Self::Other { user, group })
    }

    fn own(&self, path: &Path) -> Outcome {
        match self {
            Self::Ourselves => Ok(()),
            Self::Other { user, group } => std::os::unix::fs::chown(path, Some(*user), Some(*group))
                .map_err(|e| format!("`{}` cannot be handed over: {e}", path.display())),
        }
    }

    fn assume(&self, command: &mut Command) {
        if let Self::Other { user, group } = self {
            command.uid(*user).gid(*group);
        }
    }
}

fn initialise(programs: &Path, account: &Account, data: &Path) -> Outcome {
    let mut command = Command::new(programs.join("initdb"));
    account.assume(&mut command);
    command.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]).arg(data);
    command.current_dir(data.parent().unwrap_or(Path::new("/")));
    let output = command.output().map_err(|e| format!("`initdb` cannot be run: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`initdb` failed: {}", said.trim().lines().last().unwrap_or("no message")))
}

/// The eighth line of `postmaster.pid` is the server's own word on its state; `pg_ctl` waits for the same.
fn is_ready(data: &Path) -> bool {
    fs::read_to_string(data.join("postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|state| state.trim() == "ready"))
}
