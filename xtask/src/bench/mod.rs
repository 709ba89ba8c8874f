//! `cargo xtask bench`: the shipped build on one core, against ceilings measured in the same run. Owns the order of what
//! is measured; see `docs/performance.md` for what the figures mean.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::Outcome;
use crate::machine;

mod applications;
mod ceilings;
mod histogram;
pub mod http;
mod load;
mod operations;
mod oracle;
mod report;
mod scripts;
mod server;
mod start_up;
mod tenant;

use ceilings::Ceilings;
use operations::{OPERATIONS, Operation, Sample};
use server::{GENERATOR_CORE, Programs};

/// What to measure, and how long.
#[derive(Args)]
pub struct Options {
    /// Seconds each measurement runs after its warm-up
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How often everything is measured; medians are shown
    #[arg(long, default_value_t = 3)]
    repetitions: usize,
    /// Measure only operations whose name contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Put the table into `docs/performance.md`
    #[arg(long)]
    write: bool,
    /// Programs built already: server, empty handler, bare costs
    #[arg(long, hide = true, num_args = 3)]
    built: Option<Vec<PathBuf>>,
}

/// Builds what is measured, then measures from a build of ourselves that is as fast, on a core of its own.
pub fn run(options: &Options) -> Outcome {
    match options.built.as_deref() {
        Some([server, empty_handler, bare_costs]) => {
            let (server, empty_handler, bare_costs) = (server.clone(), empty_handler.clone(), bare_costs.clone());
            measure(options, &Programs { server, empty_handler, bare_costs })
        }
        _ => build_and_begin(),
    }
}

fn build_and_begin() -> Outcome {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        return Err("two cores are needed: one for the server, one for the generator".to_owned());
    }
    if machine::in_path("taskset").is_none() {
        return Err("`taskset` is missing: install `util-linux`".to_owned());
    }
    println!("building the profile `dist`, as it is shipped");
    // The server alone first: what only tests and examples need must not reach into its features.
    let server = build(&["-p", "countersign", "--bin", "countersign"], &["countersign"])?;
    let examples = ["-p", "countersign", "--example", "empty_handler", "--example", "bare_costs"];
    let examples = build(&examples, &["empty_handler", "bare_costs"])?;
    let ourselves = build(&["-p", "xtask"], &["xtask"])?;
    let mut command = std::process::Command::new("taskset");
    command.args(["-c", GENERATOR_CORE]).args(&ourselves).args(std::env::args_os().skip(1));
    command.arg("--built").args(&server).args(&examples);
    Err(format!("`taskset` cannot be run: {}", command.exec()))
}

/// Builds with the shipped profile; where the named programs lie, in their order.
fn build(what: &[&str], names: &[&str]) -> Outcome<Vec<PathBuf>> {
    let mut command = machine::cargo();
    command.args(["build", "--locked", "--profile", "dist"]).args(what);
    machine::built(command, names)
}

fn measure(options: &Options, programs: &Programs) -> Outcome {
    let chosen: Vec<&Operation> = OPERATIONS
        .iter()
        .filter(|operation| options.only.as_ref().is_none_or(|only| operation.name.contains(only.as_str())))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
        return Err(format!("no operation of that name; there are: {}", names.join(", ")));
    }
    // Beside what was built, which is rarely in memory.
    let place = fs::canonicalize(&programs.server).map_err(|e| format!("no server: {e}"))?;
    let place = place.parent().unwrap_or(Path::new("/"));
    let home = server::directory_on_disk(place)?;
    let time = Duration::from_secs(options.seconds.max(1));
    let mut ceilings = Ceilings::default();
    let mut samples: Vec<Vec<Sample>> = chosen.iter().map(|_| Vec::new()).collect();
    for repetition in 1..=options.repetitions.max(1) {
        println!("repetition {repetition} of {}", options.repetitions.max(1));
        let prepared = programs.bare(&["prepare", tenant::PASSWORD, tenant::SECRET])?;
        for (operation, samples) in chosen.iter().zip(&mut samples) {
            let sample = measure_one(operation, programs, home.path(), (&prepared, time), &mut ceilings)
                .map_err(|problem| format!("{}: {problem}", operation.title()))?;
            let (title, ratio, others) = (operation.title(), sample.free_rate / sample.ceiling, 100.0 * sample.others);
            println!("   {title:<48} {:>9.0} /s   ratio {ratio:.2}, others {others:.0} %", sample.rate);
            samples.push(sample);
        }
    }
    let start_up = match options.only {
        Some(_) => None,
        None => Some(start_up::measure(programs, &fresh(home.path(), "start")?)?),
    };
    let table = report::table(&chosen, &samples, &ceilings, start_up.as_ref());
    println!("\n{table}");
    if options.write { report::write(&table) } else { Ok(()) }
}

/// One operation, with its parts measured right before and right after.
fn measure_one(
    operation: &Operation,
    programs: &Programs,
    home: &Path,
    (prepared, time): (&serde_json::Value, Duration),
    ceilings: &mut Ceilings,
) -> Outcome<Sample> {
    let before = ceilings.measure(operation, programs, home)?;
    let sample = operations::measure(operation, programs, &fresh(home, "data")?, prepared, time)?;
    let after = ceilings.measure(operation, programs, home)?;
    Ok(Sample { ceiling: 2e6 / (before + after), ..sample })
}

/// An empty directory of that name.
fn fresh(home: &Path, name: &str) -> Outcome<PathBuf> {
    let directory = home.join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).map_err(|e| format!("no directory `{}`: {e}", directory.display()))?;
    Ok(directory)
}
