//! Development commands: `cargo xtask test`, `cargo xtask judge` and `cargo xtask bench`. Owns how the project is checked and measured;
//! nothing here is shipped.
// A tool that waits for processes and measures them lives in real time.
#![allow(clippy::disallowed_methods)]

mod bench;
mod child;
mod deny;
mod fuzz;
mod judges;
mod ledger;
mod machine;
mod postgres;
mod smtp;
mod steps;
mod summary;
mod test;
mod walk;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development commands of Countersign", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Formatting, lints, every test and the documentation tests, against real PostgreSQL, a real mail server, a real
    /// browser and certified client libraries.
    Test,
    /// The judges of `e2e/` alone: a real browser and certified client libraries against the server.
    Judge,
    /// Measures the shipped build on one core against ceilings measured in the same run.
    Bench(bench::Options),
    /// Kills servers, loses answers and breaks the database under load, and checks that nothing acknowledged is lost.
    Ledger(ledger::Options),
    /// Tries every parser that strangers reach with inputs that libFuzzer finds; needs cargo-fuzz and a nightly toolchain.
    Fuzz(fuzz::Options),
    /// Advisories, licences, bans and sources by cargo-deny, where it is installed.
    Deny,
    /// Counts what each operation asks of PostgreSQL: statements that read and write, rows, bytes of its log.
    Costs,
}

/// What every task ends in: nothing, or one line saying what went wrong.
pub type Outcome<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Test => test::run(),
        Task::Judge => test::judge(),
        Task::Bench(options) => bench::run(&options),
        Task::Ledger(options) => ledger::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Deny => deny::run(),
        Task::Costs => ledger::costs::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
