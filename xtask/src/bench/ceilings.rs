//! What the parts cost on their own, measured in the same run and on the same core as the whole.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::fresh;
use super::http::Requests;
use super::load::{self, Script};
use super::operations::{Operation, Part};
use super::scripts::{self, Same};
use super::server::{Process, Programs, WARM_UP, pinned};
use crate::Outcome;
use crate::machine;

/// How long the empty handler is asked.
const TIME: Duration = Duration::from_millis(1500);

/// Microseconds of each part, one value for each time it was measured.
#[derive(Default)]
pub struct Ceilings(BTreeMap<String, Vec<f64>>);

impl Ceilings {
    /// Microseconds of all parts of an operation together, measured now: machines drift within minutes.
    pub fn measure(&mut self, operation: &Operation, programs: &Programs, home: &Path) -> Outcome<f64> {
        let connections = operation.connections;
        let mut sum = 0.0;
        for part in operation.parts {
            let directory = fresh(home, "parts")?;
            let (name, times, micros) = match *part {
                Part::Http(times) => (
                    format!("http, {connections} connections"),
                    times,
                    empty_handler(programs, &directory, connections)?,
                ),
                Part::Sign(algorithm, times) => {
                    (format!("signature {algorithm}"), times, number(&programs.bare(&["sign", algorithm])?)?)
                }
                Part::Verify(algorithm, times) => {
                    (format!("verification {algorithm}"), times, number(&programs.bare(&["verify", algorithm])?)?)
                }
                Part::Commit(kind, times) => {
                    let arguments = ["store", kind, &directory.to_string_lossy(), &connections.to_string()];
                    (format!("commit of a {kind}, {connections} tasks"), times, number(&programs.bare(&arguments)?)?)
                }
                Part::Hash => ("argon2id".to_owned(), 1, number(&programs.bare(&["hash"])?)?),
            };
            self.0.entry(name).or_default().push(micros);
            sum += micros * f64::from(times);
        }
        Ok(sum)
    }

    /// All parts with their medians.
    pub fn all(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, values)| (name.as_str(), median(values)))
    }
}

fn number(found: &serde_json::Value) -> Outcome<f64> {
    found.as_f64().ok_or_else(|| format!("`bare_costs` printed `{found}` in place of a number"))
}

/// Microseconds an empty request costs. The smaller of the time it takes (without what others took of the core) and the
/// processor time it uses, so that a generator at its own limit does not lower the ceiling.
fn empty_handler(programs: &Programs, directory: &Path, connections: usize) -> Outcome<f64> {
    let address = SocketAddr::from(([127, 0, 0, 1], machine::free_port()?));
    let mut command = pinned(&programs.empty_handler);
    command.arg(address.to_string());
    let request = scripts::empty(&Requests::to(address));
    let server = Process::start(command, &directory.join("log"), address, &request)?;
    let scripts = (0..connections).map(|_| Box::new(Same::forever(request.clone())) as Box<dyn Script>).collect();
    let found = load::run(address, scripts, WARM_UP / 3, TIME, || server.usage())?;
    server.stop();
    let operations = found.operations as f64;
    let free = found.seconds - found.taken_by_others();
    Ok(free.min(found.used.server) * 1e6 / operations)
}

/// The value in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}
