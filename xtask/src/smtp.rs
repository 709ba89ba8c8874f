//! A real mail server that keeps what it receives: `aiosmtpd` with its own Maildir handler, one file a message.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::Outcome;
use crate::child::{self, Guarded};
use crate::machine;

/// A running mail server.
pub struct Sink {
    _server: Guarded,
    _home: TempDir,
    address: SocketAddr,
    maildir: PathBuf,
}

impl Sink {
    /// Finds or installs `aiosmtpd` and starts it on a loopback port.
    pub fn start() -> Outcome<Self> {
        let python = match find() {
            Some(python) => python,
            None => {
                machine::install(&["python3-aiosmtpd"], "the mail server `aiosmtpd`")?;
                find().ok_or("`python3-aiosmtpd` was installed, but no Python finds it")?
            }
        };
        let home = tempfile::Builder::new()
            .prefix("countersign-smtp-")
            .tempdir()
            .map_err(|e| format!("no temporary directory: {e}"))?;
        let maildir = home.path().join("mail");
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(maildir.join(part)).map_err(|e| format!("no Maildir: {e}"))?;
        }
        let address = SocketAddr::from(([127, 0, 0, 1], machine::free_port()?));
        let log = home.path().join("log");
        let mut command = child::tied(&python.to_string_lossy(), "TERM");
        command.args(["-m", "aiosmtpd", "-n", "-l", &address.to_string(), "-c", "aiosmtpd.handlers.Mailbox"]);
        command.arg(&maildir).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(&log).map_err(|e| format!("no log file: {e}"))?);
        let mut server = Guarded::start(command, "the mail server", "TERM")?;
        server.wait_until(|| greets(address)).map_err(|problem| {
            let log = fs::read_to_string(&log).unwrap_or_default();
            format!("{problem}: {}", log.trim().lines().last().unwrap_or("nothing in its log"))
        })?;
        Ok(Self { _server: server, _home: home, address, maildir })
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Where messages appear, under `new`.
    pub fn maildir(&self) -> &Path {
        &self.maildir
    }
}

/// A Python that has `aiosmtpd`. Debian's own comes second: its packages are not seen by another one in `PATH`.
fn find() -> Option<PathBuf> {
    let candidates = [machine::in_path("python3"), Some(PathBuf::from("/usr/bin/python3"))];
    candidates.into_iter().flatten().find(|python| {
        Command::new(python)
            .args(["-c", "import aiosmtpd"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

fn greets(address: SocketAddr) -> bool {
    let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    if stream.set_read_timeout(Some(Duration::from_secs(5))).is_err() {
        return false;
    }
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).is_ok() && line.starts_with("220")
}
