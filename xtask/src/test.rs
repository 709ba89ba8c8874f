//! `cargo xtask test`: the whole check, from formatting to tests against real components. Skips nothing.

use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::Instant;

use crate::Outcome;
use crate::judges::Judges;
use crate::ledger;
use crate::machine;
use crate::postgres::Postgres;
use crate::smtp::Sink;
use crate::steps::Steps;
use crate::summary::Summary;
use crate::walk;

/// Runs every step and fails if one of them did.
pub fn run() -> Outcome {
    let mut steps = Steps::begin();
    steps.try_out("formatting", || succeed(machine::cargo().args(["fmt", "--all", "--", "--check"])));
    steps.try_out("lints", || {
        succeed(machine::cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
    });
    let postgres = steps.take("PostgreSQL", || {
        let postgres = Postgres::start()?;
        println!("   version {} at {}", postgres.version(), postgres.url());
        Ok(postgres)
    })?;
    let sink = steps.take("mail server", || {
        let sink = Sink::start()?;
        println!("   at {}, messages in {}", sink.address(), sink.maildir().display());
        Ok(sink)
    })?;
    let judges = prepare_judges(&mut steps)?;
    let mut summary = Summary::default();
    let begun = Instant::now();
    steps.try_out("tests", || run_tests(&postgres, &sink, &mut summary));
    let seconds = begun.elapsed().as_secs_f64();
    steps.try_out("the feature `otel`", || {
        let lints =
            ["clippy", "-p", "countersign", "--all-targets", "--features", "otel", "--locked", "--", "-D", "warnings"];
        succeed(machine::cargo().args(lints))?;
        succeed(machine::cargo().args([
            "test",
            "-p",
            "countersign",
            "--features",
            "otel",
            "--locked",
            "--test",
            "traces",
        ]))
    });
    steps.try_out("the walk of the README", walk::run);
    drop((postgres, sink));
    steps.try_out("the ledger, on both databases", ledger::short);
    run_judges(&mut steps, &judges, &mut summary);
    let outcome = steps.finish();
    println!();
    summary.print(seconds);
    outcome
}

/// The judges alone.
pub fn judge() -> Outcome {
    let (mut steps, mut summary) = (Steps::begin(), Summary::default());
    let begun = Instant::now();
    let judges = prepare_judges(&mut steps)?;
    run_judges(&mut steps, &judges, &mut summary);
    let outcome = steps.finish();
    println!();
    summary.print(begun.elapsed().as_secs_f64());
    outcome
}

fn prepare_judges(steps: &mut Steps) -> Outcome<Judges> {
    steps.take("a browser, Node and Python", || {
        let judges = Judges::prepare()?;
        println!("   {}", judges.versions());
        Ok(judges)
    })
}

fn run_judges(steps: &mut Steps, judges: &Judges, summary: &mut Summary) {
    steps.try_out("judges on Node", || judges.run_node(summary));
    steps.try_out("judges on Python", || judges.run_python(summary));
    steps.try_out("judges of SCIM", || judges.run_scim(summary));
}

/// Every test of the workspace, documentation tests included, none ignored.
fn run_tests(postgres: &Postgres, sink: &Sink, summary: &mut Summary) -> Outcome {
    let mut command = machine::cargo();
    command.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.env("COUNTERSIGN_TEST_POSTGRES", postgres.url()).env("COUNTERSIGN_REQUIRE_POSTGRES", "1");
    command.env("COUNTERSIGN_TEST_SMTP", sink.address()).env("COUNTERSIGN_TEST_SMTP_DIR", sink.maildir());
    command.env("COUNTERSIGN_REQUIRE_SMTP", "1");
    // A snapshot that differs is a failure, not a file to be reviewed later.
    command.env("INSTA_UPDATE", "no").env_remove("INSTA_FORCE_PASS");

    // One pipe for both streams, so that results stay below the name of their binary.
    let (output, input) = std::io::pipe().map_err(|e| format!("no pipe: {e}"))?;
    command.stdout(input.try_clone().map_err(|e| format!("no pipe: {e}"))?).stderr(input);
    let mut child = command.spawn().map_err(|e| format!("`cargo` cannot be run: {e}"))?;
    // The command holds the writing ends; without this the reading end never ends.
    drop(command);
    for line in BufReader::new(output).split(b'\n') {
        let line = line.map_err(|e| format!("the output cannot be read: {e}"))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        summary.hear(&line);
    }
    let status = child.wait().map_err(|e| format!("`cargo` was lost: {e}"))?;
    if !status.success() {
        return Err(format!("`cargo test` ended with {status}"));
    }
    if summary.skipped() > 0 {
        return Err(format!("{} tests were skipped, and none may be", summary.skipped()));
    }
    if summary.ran() == 0 { Err("no test was run".to_owned()) } else { Ok(()) }
}

fn succeed(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|e| format!("`cargo` cannot be run: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`cargo` ended with {status}")) }
}
