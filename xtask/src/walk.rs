//! Runs the walk of the README against the server as it is, so that what is printed there works.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Outcome;
use crate::child::{self, Guarded};
use crate::machine;

const MARK: &str = "<!-- walk: run by `cargo xtask test` -->";
const ADDRESS: &str = "127.0.0.1:8400";

/// Starts the server in development mode on a free port and runs the README's commands with that port.
pub fn run() -> Outcome {
    if machine::in_path("curl").is_none() {
        machine::install(&["curl"], "`curl`")?;
    }
    let readme = fs::read_to_string(machine::workspace().join("README.md")).map_err(|e| format!("no README: {e}"))?;
    let block = readme.split_once(MARK).and_then(|(_, rest)| rest.split_once("```sh\n")?.1.split_once("\n```"));
    let (commands, _) = block.ok_or("the README has no marked walk")?;
    let address = SocketAddr::from(([127, 0, 0, 1], machine::free_port()?));
    if !commands.contains(ADDRESS) {
        return Err(format!("the walk does not name `{ADDRESS}`"));
    }

    let mut command = child::tied(&machine::server()?.to_string_lossy(), "TERM");
    command.args(["dev", "--listen", &address.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut server = Guarded::start(command, "the server", "TERM")?;
    server.wait_until(|| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())?;

    let script = commands.replace(ADDRESS, &address.to_string());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .output()
        .map_err(|e| format!("`bash` cannot be run: {e}"))?;
    let answer = String::from_utf8_lossy(&output.stdout);
    let tokens = ["access_token", "refresh_token", "id_token"];
    if output.status.success() && tokens.iter().all(|name| answer.contains(&format!("\"{name}\":\""))) {
        return Ok(());
    }
    Err(format!("the walk ended without tokens: {answer}{}", String::from_utf8_lossy(&output.stderr)))
}
