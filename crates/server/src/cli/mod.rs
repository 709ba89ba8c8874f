//! The command line. Owns what each command is called, takes and prints, and the exit status; the work itself is done
//! by the modules it calls.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Mistakes};

mod apply;
mod audit;
mod backup;
mod check;
mod dev;
mod explain;
mod keys;
mod phone;
mod serve;

/// A self-hosted identity server: one sign-in engine, several doors.
#[derive(Parser)]
#[command(name = "countersign", version, about, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Start with `countersign dev`: a server with a demo tenant, and requests to paste.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a development server: nothing to set up, nothing kept, mail and codes shown in the terminal
    #[command(after_help = "Examples:\n  countersign dev\n  countersign dev --listen 127.0.0.1:9000 --data ./data\n  \
                            countersign dev --tenant acme.toml")]
    Dev(Dev),
    /// Serve requests until SIGTERM or SIGINT; SIGHUP reads the certificate again
    #[command(after_help = "Examples:\n  countersign serve --config /etc/countersign.toml\n  \
                            COUNTERSIGN__SERVER__LISTEN=0.0.0.0:443 countersign serve --config /etc/countersign.toml")]
    Serve(Serve),
    /// Make the stored tenants match a tenant file, in one transaction; says what changed
    #[command(after_help = "Examples:\n  countersign apply acme.toml --config /etc/countersign.toml --dry-run\n  \
                            countersign apply tenants/ --config /etc/countersign.toml")]
    Apply(Apply),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at signing keys and replace them
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Show why a sign-in was allowed, challenged or denied
    #[command(
        after_help = "Examples:\n  countersign explain 6d2a8e39-3ad7-4a1a-9c3b-6c7b1f3c7f10 --config server.toml\n  \
                            countersign explain 7HX2QK9P --config server.toml --tenant acme"
    )]
    Explain(Explain),
    /// Export the audit trail, or check that nobody changed it
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Copy the database while it is in use
    #[command(after_help = "Example:\n  countersign backup /backups/2026-11-22.sqlite3 --config /etc/countersign.toml")]
    Backup(backup::Backup),
    /// Make a database of a backup, in which nothing spent or revoked since is good again
    #[command(
        after_help = "Examples:\n  countersign restore /backups/2026-11-22.sqlite3 --config /etc/countersign.toml\n  \
                            pg_restore … && countersign restore --loaded --config /etc/countersign.toml"
    )]
    Restore(backup::Restore),
    /// Be a phone: register, and approve or deny sign-ins from the terminal
    #[command(subcommand)]
    Phone(phone::PhoneCommand),
}

#[derive(Args)]
struct Dev {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8400")]
    listen: SocketAddr,
    /// Keep the database and its key in this directory; by default nothing is kept
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A tenant file, or a directory of them, in place of the demo tenant
    #[arg(long, value_name = "FILE")]
    tenant: Option<PathBuf>,
}

#[derive(Args)]
struct Configured {
    /// The configuration file (TOML); environment variables such as `COUNTERSIGN__SERVER__LISTEN` go over it
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    config: PathBuf,
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    configured: Configured,
    /// For trials of stepped clocks: a file with the milliseconds this server's clock is off
    #[arg(long, value_name = "FILE", hide = true)]
    clock_offset_file: Option<PathBuf>,
}

#[derive(Args)]
struct Apply {
    /// The tenant file, or a directory of them
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    configured: Configured,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Read the configuration and every file it names; each mistake is told with its place and its fix
    #[command(after_help = "Example:\n  countersign config check --config /etc/countersign.toml")]
    Check(Configured),
}

#[derive(Subcommand)]
enum KeysCommand {
    /// List the signing keys of a tenant, or of all
    List(ListKeys),
    /// Replace signing keys: the new one is published now and signs later, the old one stays published until everything
    /// it signed has expired
    #[command(after_help = "Examples:\n  countersign keys rotate --config server.toml --tenant acme\n  \
                            countersign keys rotate --config server.toml --tenant acme --alg ES256 --compromised")]
    Rotate(RotateKeys),
    /// Write a new master key to a file that does not exist yet, readable by its owner alone
    #[command(after_help = "Example:\n  countersign keys create-master /etc/countersign/master.key")]
    CreateMaster {
        /// The file to make
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Args)]
struct ListKeys {
    #[command(flatten)]
    configured: Configured,
    /// Only this tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
}

#[derive(Args)]
struct RotateKeys {
    #[command(flatten)]
    configured: Configured,
    /// Whose keys
    #[arg(long, value_name = "TENANT")]
    tenant: String,
    /// Only the key for this algorithm: RS256, PS256, ES256 or EdDSA
    #[arg(long, value_name = "ALG", value_parser = keys::read_alg)]
    alg: Option<protocol::records::SigningAlg>,
    /// Seconds the new key is published before it signs
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(i64).range(0..=2_592_000))]
    ahead: i64,
    /// Seconds the old key stays published after its last signature, where that is longer than the lives of tokens that are
    /// configured: for access tokens of Oracle's dialect that asked for a longer one
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=31_622_400))]
    tail: i64,
    /// The old key was stolen: it is withdrawn at once, and everything it signed is worthless
    #[arg(long, conflicts_with_all = ["ahead", "tail"])]
    compromised: bool,
}

#[derive(Args)]
struct Explain {
    /// A `grant_id`, or the reference shown with an error
    #[arg(value_name = "GRANT_OR_REFERENCE")]
    name: String,
    #[command(flatten)]
    configured: Configured,
    /// Only in this tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
}

/// Why a command ended without success.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Config(#[from] Mistakes),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    TenantFile(Vec<crate::tenant_file::Problem>),
    #[error(transparent)]
    Start(#[from] crate::app::StartError),
    #[error(transparent)]
    LeakedPasswords(crate::signin::passwords::Unreadable),
    #[error(transparent)]
    Apply(#[from] crate::tenant_file::ApplyError),
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error(transparent)]
    Backup(#[from] store::BackupError),
    #[error(transparent)]
    Commit(#[from] store::CommitError),
    #[error(transparent)]
    Keys(#[from] crate::keys::KeyError),
    #[error(transparent)]
    Tls(#[from] crate::listen::TlsError),
    #[error(transparent)]
    Logging(#[from] crate::logging::LoggingError),
    #[error("`{address}` cannot be listened on")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the runtime cannot be started")]
    Runtime(#[source] std::io::Error),
    #[error("nothing can be written to standard output")]
    Output(#[source] std::io::Error),
    #[error("{0}")]
    Told(String),
}

/// Runs the command the process was started with.
pub fn run() -> ExitCode {
    // Two providers could be compiled in one day; rustls then refuses to choose, so it is done here. A second call
    // finds the same provider in place, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match Cli::parse().command {
        Command::Dev(command) => dev::run(command),
        Command::Serve(command) => serve::run(&command),
        Command::Apply(command) => apply::run(&command),
        Command::Config(ConfigCommand::Check(command)) => check::run(&command),
        Command::Keys(KeysCommand::List(command)) => keys::list(&command),
        Command::Keys(KeysCommand::Rotate(command)) => keys::rotate(&command),
        Command::Keys(KeysCommand::CreateMaster { file }) => keys::create_master(&file),
        Command::Explain(command) => explain::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Backup(command) => backup::backup(&command),
        Command::Restore(command) => backup::restore(&command),
        Command::Phone(command) => phone::run(command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output went away (`| head`): that is no failure worth a word.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", told(&failure));
            ExitCode::FAILURE
        }
    }
}

/// The failure with everything behind it, on one line, unless it has lines of its own.
fn told(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // One that shows what it wraps as itself has been told already.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// A runtime for commands that do one thing.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    crate::listen::runtime(1).map_err(Failure::Runtime)?.block_on(work)
}

/// Writes lines to standard output.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
}

impl Configured {
    fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.config)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_is_explained() {
        fn walk(command: &clap::Command) {
            assert!(command.get_about().is_some(), "`{}` says nothing of itself", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "`{}` of `{}`", argument.get_id(), command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        let mut command = Cli::command();
        command.build();
        command.get_subcommands().filter(|command| command.get_name() != "help").for_each(|command| {
            assert!(command.get_about().is_some());
            command.get_subcommands().filter(|inner| inner.get_name() != "help").for_each(walk);
        });
    }
}
