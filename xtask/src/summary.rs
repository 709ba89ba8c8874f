//! How many tests there were: reads what `cargo test` says while it runs, and adds what other test runners counted. Does
//! not decide what to run.

/// The results of every test binary of one run.
#[derive(Default)]
pub struct Summary {
    binary: String,
    lines: Vec<String>,
    totals: Counts,
}

/// How many tests there were of each fate.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// As they should.
    pub passed: u64,
    /// Not as they should.
    pub failed: u64,
    /// Marked not to be run.
    pub ignored: u64,
    /// Not chosen.
    pub filtered: u64,
}

impl Summary {
    /// Takes in one line of output.
    pub fn hear(&mut self, line: &str) {
        let text = line.trim();
        if let Some(name) = text.strip_prefix("Running ").or_else(|| text.strip_prefix("Doc-tests ")) {
            // `unittests src/lib.rs (target/debug/deps/engine-0123456789abcdef)`
            let file = name.rsplit_once('/').map(|(_, file)| file.trim_end_matches(')'));
            let stem = file.and_then(|file| file.rsplit_once('-')).map(|(stem, _)| stem);
            let doc = if text.starts_with("Doc-tests") { " (documentation)" } else { "" };
            self.binary = format!("{}{doc}", stem.unwrap_or(name));
        } else if text.starts_with("test result:") {
            let counts = Counts::read(text);
            if counts != Counts::default() {
                self.lines.push(format!("{:<36} {text}", self.binary));
            }
            self.totals.add(counts);
        }
    }

    /// Takes in what another test runner counted.
    pub fn add(&mut self, runner: &str, counts: Counts) {
        let verdict = if counts.failed == 0 { "ok" } else { "FAILED" };
        let Counts { passed, failed, ignored, .. } = counts;
        self.lines
            .push(format!("{runner:<36} test result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored"));
        self.totals.add(counts);
    }

    /// Tests that were not run although they exist.
    pub fn skipped(&self) -> u64 {
        self.totals.ignored + self.totals.filtered
    }

    /// Tests that were run.
    pub fn ran(&self) -> u64 {
        self.totals.passed + self.totals.failed
    }

    /// One line a binary that has tests, and the sum.
    pub fn print(&self, seconds: f64) {
        for line in &self.lines {
            println!("{line}");
        }
        let Counts { passed, failed, ignored, filtered } = self.totals;
        let verdict = if failed == 0 { "ok" } else { "FAILED" };
        println!(
            "test result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; \
             {filtered} filtered out; finished in {seconds:.2}s"
        );
    }
}

impl Counts {
    /// From `test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s`.
    fn read(line: &str) -> Self {
        let mut counts = Self::default();
        for part in line.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(number)), Some(word)) = (words.next().map(str::parse::<u64>), words.next()) else { continue };
            match word {
                "passed" => counts.passed = number,
                "failed" => counts.failed = number,
                "ignored" => counts.ignored = number,
                "filtered" => counts.filtered = number,
                _ => {}
            }
        }
        counts
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.filtered += other.filtered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up_under_the_name_of_their_binary() {
        let mut summary = Summary::default();
        for line in [
            "     Running unittests src/lib.rs (target/debug/deps/engine-0123456789abcdef)",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s",
            "   Doc-tests protocol",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.10s",
            "     Running tests/empty.rs (target/debug/deps/empty-0123456789abcdef)",
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            summary.hear(line);
        }
        assert_eq!(summary.totals, Counts { passed: 5, failed: 1, ignored: 1, filtered: 4 });
        assert_eq!((summary.ran(), summary.skipped()), (6, 5));
        assert_eq!(summary.lines.len(), 2);
        assert!(summary.lines[0].starts_with("engine "), "{}", summary.lines[0]);
        assert!(summary.lines[1].starts_with("protocol (documentation) "), "{}", summary.lines[1]);
    }
}
