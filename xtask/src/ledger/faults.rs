//! What goes wrong while the hands work, in an order the seed decides: by how much was acknowledged since the last time,
//! not by the clock.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::chance::Chance;
use super::ground::Ground;
use super::proxy::Mischief;
use super::tenant::CLOCK;
use super::wire::Tally;
use crate::Outcome;

/// Answers lost all the time, of 1024.
pub const USUAL: u64 = 15;
/// Answers lost in a bad time, of 1024.
const BAD: u64 = 300;

/// A fault that takes longer to be put right is told.
const LONG: Duration = Duration::from_secs(5);

/// What can go wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Kill,
    KillAll,
    End,
    LoseAnswers,
    PauseDatabase,
    CrashDatabase,
    RestartDatabase,
    StepClock,
    FillDisk,
    RotateKeys,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "a server killed",
            Self::KillAll => "every server killed at once",
            Self::End => "a server ended in order",
            Self::LoseAnswers => "a bad time for answers",
            Self::PauseDatabase => "the database paused",
            Self::CrashDatabase => "the database crashed",
            Self::RestartDatabase => "the database restarted",
            Self::StepClock => "a clock stepped",
            Self::FillDisk => "the disk full",
            Self::RotateKeys => "keys rotated",
        }
    }
}

/// Makes things go wrong.
pub struct Faults {
    chance: Chance,
    mischief: Mischief,
    postgres: bool,
    done: BTreeMap<Fault, u64>,
}

impl Faults {
    /// In the order of this chance.
    pub fn new(chance: Chance, mischief: Mischief, postgres: bool) -> Self {
        mischief.set(USUAL);
        Self { chance, mischief, postgres, done: BTreeMap::new() }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.done.values().sum()
    }

    /// One line for each kind.
    pub fn report(&self) -> String {
        self.done.iter().map(|(fault, times)| format!("{times} × {}", fault.name())).collect::<Vec<_>>().join(", ")
    }

    /// Waits until enough was acknowledged; false where the time is over before.
    pub async fn wait(&mut self, tally: &Tally, until: Instant) -> bool {
        let goal = tally.heard.load(Ordering::Relaxed) + 60 + self.chance.below(180);
        let patience = Instant::now() + Duration::from_secs(10);
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let now = Instant::now();
            if now >= until {
                return false;
            }
            if tally.heard.load(Ordering::Relaxed) >= goal || now >= patience {
                return true;
            }
        }
    }

    /// One thing goes wrong, and is put right again. Runs on the thread that lives as long as the run: processes are tied
    /// to the thread that started them.
    pub async fn strike(&mut self, ground: &mut Ground) -> Outcome {
        ground.look_after()?;
        let fault = self.choose();
        let node = self.chance.index(ground.nodes.len());
        *self.done.entry(fault).or_default() += 1;
        let begun = Instant::now();
        let done = self.happen(fault, node, ground).await;
        if begun.elapsed() > LONG {
            println!("   {} took {:.1} s", fault.name(), begun.elapsed().as_secs_f64());
        }
        done
    }

    async fn happen(&mut self, fault: Fault, node: usize, ground: &mut Ground) -> Outcome {
        match fault {
            Fault::Kill => {
                ground.kill(node);
                self.rest(300).await;
                ground.start(node)
            }
            Fault::KillAll => {
                (0..ground.nodes.len()).for_each(|node| ground.kill(node));
                (0..ground.nodes.len()).try_for_each(|node| ground.start(node))
            }
            Fault::End => {
                ground.end(node)?;
                ground.start(node)
            }
            Fault::LoseAnswers => {
                self.mischief.set(BAD);
                self.rest(1500).await;
                self.mischief.set(USUAL);
                Ok(())
            }
            Fault::PauseDatabase => {
                let paused = ground.postgres.as_ref().map(crate::postgres::Postgres::pause).transpose()?;
                self.rest(3000).await;
                drop(paused);
                Ok(())
            }
            Fault::CrashDatabase => ground.postgres.as_mut().map_or(Ok(()), crate::postgres::Postgres::crash),
            Fault::RestartDatabase => ground.postgres.as_mut().map_or(Ok(()), crate::postgres::Postgres::restart),
            Fault::StepClock => ground.set_clock(node, self.chance.around(CLOCK)),
            Fault::FillDisk => {
                ground.limit_files(node, true)?;
                self.rest(1500).await;
                ground.limit_files(node, false)
            }
            Fault::RotateKeys => ground.rotate_keys(),
        }
    }

    fn choose(&mut self) -> Fault {
        match (self.chance.below(100), self.postgres) {
            (0..28, _) => Fault::Kill,
            (28..34, _) => Fault::KillAll,
            (34..42, _) => Fault::End,
            (42..56, _) => Fault::LoseAnswers,
            (56..72, _) => Fault::StepClock,
            (72..76, _) => Fault::RotateKeys,
            (76..84, true) => Fault::PauseDatabase,
            (84..93, true) => Fault::CrashDatabase,
            (_, true) => Fault::RestartDatabase,
            (_, false) => Fault::FillDisk,
        }
    }

    async fn rest(&mut self, most: u64) {
        let millis = self.chance.below(most);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}
