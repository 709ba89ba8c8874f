//! The figures as a table, with what we aim at and whether it was met.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use super::ceilings::{Ceilings, median};
use super::operations::{Operation, Sample};
use super::start_up::StartUp;
use crate::Outcome;
use crate::machine;

/// p99 at 64 connections stays below so many times p50.
const TAIL: f64 = 5.0;
const READY_MS: f64 = 100.0;
const IDLE_MB: f64 = 64.0;

const BEGIN: &str = "<!-- figures: written by `cargo xtask bench --write` -->";
const END: &str = "<!-- end of figures -->";

/// Medians over the repetitions of one operation.
struct Row<'a> {
    operation: &'a Operation,
    rate: f64,
    lowest: f64,
    highest: f64,
    p50: f64,
    p99: f64,
    cpu: f64,
    others: f64,
    memory: f64,
    ceiling: f64,
    ratio: f64,
}

impl<'a> Row<'a> {
    fn of(operation: &'a Operation, samples: &[Sample]) -> Self {
        let of = |value: fn(&Sample) -> f64| samples.iter().map(value).collect::<Vec<f64>>();
        let rates = of(|sample| sample.rate);
        Self {
            operation,
            rate: median(&rates),
            lowest: rates.iter().copied().fold(f64::INFINITY, f64::min),
            highest: rates.iter().copied().fold(0.0, f64::max),
            p50: median(&of(|sample| sample.p50)),
            p99: median(&of(|sample| sample.p99)),
            cpu: median(&of(|sample| sample.cpu)),
            others: median(&of(|sample| sample.others)),
            memory: of(|sample| sample.memory).into_iter().fold(0.0, f64::max),
            ceiling: median(&of(|sample| sample.ceiling)),
            ratio: median(&of(|sample| sample.free_rate / sample.ceiling)),
        }
    }
}

/// The whole report in Markdown.
pub fn table(
    operations: &[&Operation],
    samples: &[Vec<Sample>],
    ceilings: &Ceilings,
    start_up: Option<&StartUp>,
) -> String {
    let rows: Vec<Row<'_>> =
        operations.iter().zip(samples).map(|(operation, samples)| Row::of(operation, samples)).collect();
    let mut out = String::new();
    // Writing into a text cannot fail.
    let _ = write_table(&mut out, &rows, ceilings, start_up);
    out
}

fn write_table(
    out: &mut String,
    rows: &[Row<'_>],
    ceilings: &Ceilings,
    start_up: Option<&StartUp>,
) -> std::fmt::Result {
    writeln!(out, "{}\n", machine_line())?;
    writeln!(
        out,
        "| operation | conn. | req/s (min–max) | p50 ms | p99 ms | CPU µs/req | others % | peak MB | ceiling /s | ratio | aim | p99/p50 |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|---|")?;
    for row in rows {
        let aim = row.operation.aim.map_or("–".to_owned(), |aim| format!("≥ {aim} {}", verdict(row.ratio >= aim)));
        let tail = row.p99 / row.p50;
        let judged = if row.operation.connections == 64 { verdict(tail < TAIL) } else { "" };
        writeln!(
            out,
            "| {} | {} | {:.0} ({:.0}–{:.0}) | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {aim} | {tail:.1} {judged} |",
            row.operation.name,
            row.operation.connections,
            row.rate,
            row.lowest,
            row.highest,
            row.p50,
            row.p99,
            row.cpu,
            100.0 * row.others,
            row.memory,
            row.ceiling,
            row.ratio,
        )?;
    }
    writeln!(out)?;
    for (few, many) in pairs(rows) {
        let verdict = verdict(many.rate > few.rate);
        let (name, few, many) = (few.operation.name, few.rate, many.rate);
        writeln!(out, "- {name}: rising from 64 to 512 connections, {few:.0} to {many:.0}: {verdict}")?;
    }
    if let Some(StartUp { ready, idle }) = start_up {
        writeln!(
            out,
            "- ready on an existing database after {ready:.0} ms (aim {READY_MS:.0}): {}",
            verdict(*ready < READY_MS)
        )?;
        writeln!(out, "- idle resident memory {idle:.0} MB (aim {IDLE_MB:.0}): {}", verdict(*idle < IDLE_MB))?;
    }
    writeln!(out, "\nParts, microseconds of one core each:\n\n| part | µs | /s |\n|---|---:|---:|")?;
    for (name, micros) in ceilings.all() {
        writeln!(out, "| {name} | {micros:.1} | {:.0} |", 1e6 / micros)?;
    }
    Ok(())
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "**not met**" }
}

/// The same operation over few and over many connections.
fn pairs<'r, 'o>(rows: &'r [Row<'o>]) -> Vec<(&'r Row<'o>, &'r Row<'o>)> {
    let same = |few: &&'r Row<'o>| {
        rows.iter().find(|many| many.operation.name == few.operation.name && many.operation.connections == 512)
    };
    rows.iter().filter(|row| row.operation.connections == 64).filter_map(|few| Some((few, same(&few)?))).collect()
}

fn machine_line() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(machine::workspace()).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    format!(
        "{}, Linux {}; server on one core, generator on another; commit `{}`, {}.",
        model.map_or("unknown processor", |(_, name)| name),
        output("uname", &["-r"]),
        output("git", &["rev-parse", "--short", "HEAD"]),
        output("date", &["-u", "+%Y-%m-%d"]),
    )
}

/// Puts the report between the marks in `docs/performance.md`.
pub fn write(table: &str) -> Outcome {
    let path = machine::workspace().join("docs/performance.md");
    let text = fs::read_to_string(&path).map_err(|e| format!("`{}`: {e}", path.display()))?;
    let parts = text.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let (head, tail) = parts.ok_or_else(|| format!("`{}` has lost its marks", path.display()))?;
    let text = format!("{head}{BEGIN}\n\n{}\n\n{END}{tail}", table.trim());
    fs::write(&path, text).map_err(|e| format!("`{}`: {e}", path.display()))?;
    println!("written to {}", path.display());
    Ok(())
}
