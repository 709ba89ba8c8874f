//! What the parts cost on their own, measured in the same run and on the same core as the whole.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::http::Requests;
use super::load::{self, Script};
use super::operations::Part;
use super::scripts::{self, Same};
use super::server::{Process, Programs, WARM_UP, pinned};
use crate::Outcome;
use crate::machine;

/// Connections that ceilings are measured with, as the operations are.
const CONNECTIONS: [usize; 2] = [64, 512];

/// Microseconds of each part, one value for each repetition.
#[derive(Default)]
pub struct Ceilings(BTreeMap<String, Vec<f64>>);

impl Ceilings {
    /// Measures all parts once more.
    pub fn measure(&mut self, programs: &Programs, directory: &Path, time: Duration) -> Outcome {
        for (name, micros) in numbers(&programs.bare(&["sign"])?) {
            self.add(format!("sign {name}"), micros);
        }
        for (name, micros) in numbers(&programs.bare(&["hash"])?) {
            self.add(name, micros);
        }
        for connections in CONNECTIONS {
            self.add(format!("http {connections}"), empty_handler(programs, directory, connections, time)?);
            let (tasks, seconds) = (connections.to_string(), time.as_secs().to_string());
            let found = programs.bare(&["store", &directory.to_string_lossy(), &tasks, &seconds])?;
            for (name, micros) in numbers(&found) {
                self.add(format!("commit {name} {connections}"), micros);
            }
        }
        Ok(())
    }

    fn add(&mut self, name: String, micros: f64) {
        self.0.entry(name).or_default().push(micros);
    }

    /// Microseconds of one part: the median of the repetitions.
    pub fn micros(&self, part: Part, connections: usize) -> f64 {
        let (name, times) = match part {
            Part::Http(times) => (format!("http {connections}"), times),
            Part::Sign(algorithm, times) => (format!("sign {algorithm}"), times),
            Part::Commit(kind, times) => (format!("commit {kind} {connections}"), times),
            Part::Hash => ("argon2id".to_owned(), 1),
        };
        self.0.get(&name).map_or(f64::INFINITY, |values| median(values)) * f64::from(times)
    }

    /// All parts with their medians.
    pub fn all(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, values)| (name.as_str(), median(values)))
    }
}

fn numbers(found: &serde_json::Value) -> Vec<(String, f64)> {
    let members = found.as_object().into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect()
}

/// Microseconds an empty request costs. The smaller of the time it takes (without what others took of the core) and the
/// processor time it uses, so that a generator at its own limit does not lower the ceiling.
fn empty_handler(programs: &Programs, directory: &Path, connections: usize, time: Duration) -> Outcome<f64> {
    let address = SocketAddr::from(([127, 0, 0, 1], machine::free_port()?));
    let mut command = pinned(&programs.empty_handler);
    command.arg(address.to_string());
    let request = scripts::empty(&Requests::to(address));
    let server = Process::start(command, &directory.join("log"), address, &request)?;
    let scripts = (0..connections).map(|_| Box::new(Same::forever(request.clone())) as Box<dyn Script>).collect();
    let found = load::run(address, scripts, WARM_UP, time, || server.usage())?;
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
