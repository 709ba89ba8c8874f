//! Says what is being done, and how long it took.

use std::time::Instant;

use crate::Outcome;

/// The steps of one task.
pub struct Steps {
    begun: Instant,
    done: usize,
    failed: Vec<String>,
}

impl Steps {
    /// No step taken yet.
    pub fn begin() -> Self {
        Self { begun: Instant::now(), done: 0, failed: Vec::new() }
    }

    /// Takes a step the others depend on.
    pub fn take<T>(&mut self, name: &str, step: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        self.done += 1;
        println!("\n[{}] {name}", self.done);
        let begun = Instant::now();
        let outcome = step();
        let seconds = begun.elapsed().as_secs_f64();
        match &outcome {
            Ok(_) => println!("   done in {seconds:.1} s"),
            Err(problem) => println!("   FAILED after {seconds:.1} s: {problem}"),
        }
        outcome.map_err(|problem| format!("{name}: {problem}"))
    }

    /// Takes a step whose failure does not keep the others from being tried.
    pub fn try_out(&mut self, name: &str, step: impl FnOnce() -> Outcome) {
        if let Err(problem) = self.take(name, step) {
            self.failed.push(problem);
        }
    }

    /// The end: a failure of any step is a failure of the task.
    pub fn finish(self) -> Outcome {
        println!("\n{} steps in {:.1} s", self.done, self.begun.elapsed().as_secs_f64());
        if self.failed.is_empty() { Ok(()) } else { Err(self.failed.join("; ")) }
    }
}
