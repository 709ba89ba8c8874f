//! What the machine offers: who we are, where a program is, how a missing Debian package is installed.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;

/// The root of the checkout.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// The cargo that runs us, so that the pinned toolchain is used again.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// Runs a `cargo build`; where the named programs lie, in their order.
pub fn built(mut command: Command, names: &[&str]) -> Outcome<Vec<PathBuf>> {
    command.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    let output = command.output().map_err(|e| format!("`cargo` cannot be run: {e}"))?;
    if !output.status.success() {
        return Err(format!("`{}` cannot be built", names.join("`, `")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let find = |name: &&str| {
        let made =
            |message: &&serde_json::Value| message["target"]["name"] == *name && message["executable"].is_string();
        messages.iter().find(made).and_then(|message| message["executable"].as_str()).map(PathBuf::from)
    };
    let found: Option<Vec<PathBuf>> = names.iter().map(find).collect();
    found.ok_or_else(|| format!("cargo did not say where `{}` lies", names.join("`, `")))
}

/// Builds the server as it is tested; where it lies.
pub fn server() -> Outcome<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--locked", "-p", "countersign", "--bin", "countersign"]);
    Ok(built(command, &["countersign"])?.remove(0))
}

/// Do we run as root?
pub fn is_root() -> bool {
    numeric_id("-u", None).is_ok_and(|id| id == 0)
}

/// User and group number of a user, if there is one of that name.
pub fn ids_of(user: &str) -> Outcome<(u32, u32)> {
    Ok((numeric_id("-u", Some(user))?, numeric_id("-g", Some(user))?))
}

fn numeric_id(flag: &str, user: Option<&str>) -> Outcome<u32> {
    let output = Command::new("id").arg(flag).args(user).output().map_err(|e| format!("`id` cannot be run: {e}"))?;
    String::from_utf8_lossy(&output.stdout).trim().parse().map_err(|_| format!("no user `{}`", user.unwrap_or("self")))
}

/// The program of that name in `PATH`.
pub fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(program)).find(|file| is_executable(file))
}

/// A file that may be executed.
pub fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Installs Debian packages as root; for anybody else, says what is missing.
pub fn install(packages: &[&str], what_for: &str) -> Outcome {
    let wanted = packages.join(" ");
    let by_hand =
        format!("{what_for} is missing: install it with `apt-get install -y --no-install-recommends {wanted}`");
    if in_path("apt-get").is_none() {
        return Err(format!("{by_hand} or what this system calls it"));
    }
    if !is_root() {
        return Err(format!("{by_hand} as root"));
    }
    println!("   installing {wanted}");
    let apt = |arguments: &[&str]| {
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-qq", "-o", "DPkg::Lock::Timeout=300"])
            .args(arguments)
            .output()
            .map_err(|e| format!("`apt-get` cannot be run: {e}"))
    };
    // A failed update need not matter: the lists may be there already.
    apt(&["update"])?;
    let installed = apt(&[&["install", "-y", "--no-install-recommends"], packages].concat())?;
    if installed.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&installed.stderr);
    Err(format!("{by_hand} (tried, and failed: {})", said.trim().lines().last().unwrap_or("no message")))
}

/// A loopback port nobody listens on right now.
pub fn free_port() -> Outcome<u16> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| format!("no free port on 127.0.0.1: {e}"))
}
