//! `cargo xtask ledger`: hands that write down everything real servers acknowledge while those are killed, their answers
//! are lost, their database falls over and their clocks jump; then everything written down is asked after. Nothing that
//! was acknowledged may be lost, nothing single-use be spent twice, nothing revoked come back, and nobody honest be
//! signed out by a retry.

mod browser;
mod chance;
pub mod costs;
mod faults;
mod ground;
mod hand;
mod people;
mod proxy;
mod tenant;
mod tokens;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::{Outcome, machine};
use chance::Chance;
use faults::Faults;
use ground::Ground;
use hand::Hand;
use proxy::Mischief;
use wire::{Tally, Wire};

pub use ground::Database;

/// Hands at work.
const HANDS: usize = 10;
/// How long the whole ledger may be asked after in the end.
const LONGEST_AUDIT: Duration = Duration::from_secs(600);

/// The options of the command.
#[derive(clap::Args)]
pub struct Options {
    /// How long the hands work, before everything is asked after
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    minutes: f64,
    /// What happens in which order; a seed that failed is tried again by naming it
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Servers on one PostgreSQL; SQLite has one
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    nodes: u8,
    /// The database; both, one after the other, where none is named
    #[arg(long, value_enum)]
    database: Option<Database>,
}

/// Runs as the options say.
pub fn run(options: &Options) -> Outcome {
    let databases = options.database.map_or(vec![Database::Sqlite, Database::Postgres], |one| vec![one]);
    let seed = options.seed.unwrap_or_else(|| u64::try_from(hand::now()).unwrap_or(1));
    let time = Duration::try_from_secs_f64(options.minutes * 60.0).map_err(|e| format!("`--minutes`: {e}"))?;
    for database in databases {
        one(database, usize::from(options.nodes), seed, time)?;
    }
    Ok(())
}

/// The short run of `cargo xtask test`, under a seed of its own each time.
pub fn short() -> Outcome {
    run(&Options { minutes: 0.3, seed: None, nodes: 2, database: None })
}

/// The server: another build where `COUNTERSIGN_BINARY` names one.
fn server() -> Outcome<std::path::PathBuf> {
    std::env::var_os("COUNTERSIGN_BINARY").map_or_else(machine::server, |path| Ok(path.into()))
}

/// One run on one database.
fn one(database: Database, nodes: usize, seed: u64, time: Duration) -> Outcome {
    println!("   {database:?}, seed {seed}, {:.0} s", time.as_secs_f64());
    let binary = server()?;
    let mut ground = Ground::lay(binary, database, &[], nodes, HANDS)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| format!("no runtime: {e}"))?;
    let outcome = runtime.block_on(play(&mut ground, database, seed, time));
    runtime.shutdown_background();
    let panics = ground.panics();
    let outcome = match outcome {
        Ok(()) if !panics.is_empty() => Err(format!("a server panicked: {}", panics[0])),
        outcome => outcome,
    };
    outcome.map_err(|problem| {
        let kept = ground.keep();
        let name = format!("{database:?}").to_lowercase();
        format!(
            "{problem}\n   again with `cargo xtask ledger --database {name} --seed {seed}`; logs and records in `{}`",
            kept.display()
        )
    })
}

async fn play(ground: &mut Ground, database: Database, seed: u64, time: Duration) -> Outcome {
    let mut chance = Chance::new(seed);
    let mischief = Mischief::default();
    let mut doors = Vec::new();
    for node in &ground.nodes {
        doors.push(proxy::open(node.address, mischief.clone(), chance.fork()).await?);
    }
    let wire = Wire::new(doors);
    let mut faults = Faults::new(chance.fork(), mischief.clone(), database == Database::Postgres);
    let stop = Arc::new(AtomicBool::new(false));
    let mut hands = JoinSet::new();
    for number in 0..HANDS {
        let mut hand = Hand::new(number, wire.clone(), chance.fork());
        let stop = Arc::clone(&stop);
        hands.spawn(async move { hand.work(stop).await.map(|()| hand) });
    }
    let begun = Instant::now();
    let mut told = begun;
    let mut done = Vec::new();
    while faults.wait(&wire.tally, begun + time).await {
        faults.strike(ground).await?;
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            tell(&wire.tally, &faults, begun);
        }
        // A hand that has ended already has a complaint.
        if let Some(ended) = hands.try_join_next() {
            done.push(ended.map_err(|e| format!("a hand was lost: {e}"))??);
        }
    }
    stop.store(true, Ordering::Relaxed);
    mischief.set(0);
    while let Some(ended) = hands.join_next().await {
        done.push(ended.map_err(|e| format!("a hand was lost: {e}"))??);
    }
    // Once more from nothing: what was promised must be on the disk, not in anybody's memory.
    (0..ground.nodes.len()).for_each(|node| ground.kill(node));
    for node in 0..ground.nodes.len() {
        ground.set_clock(node, 0)?;
        ground.start(node)?;
    }
    let mut audits = JoinSet::new();
    for mut hand in done {
        audits.spawn(async move { hand.audit().await });
    }
    let audited = async {
        while let Some(ended) = audits.join_next().await {
            ended.map_err(|e| format!("an audit was lost: {e}"))??;
        }
        Ok::<_, String>(())
    };
    tokio::time::timeout(LONGEST_AUDIT, audited).await.map_err(|_| "asking after everything takes too long")??;
    ground.look_after()?;
    tell(&wire.tally, &faults, begun);
    println!("   faults: {}", faults.report());
    println!("   lost: 0");
    Ok(())
}

fn tell(tally: &Tally, faults: &Faults, begun: Instant) {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "   {:>5.0} s: {} requests sent, {} acknowledged, {} answers lost, {} told to wait, {} faults, {} promises checked",
        begun.elapsed().as_secs_f64(),
        read(&tally.sent),
        read(&tally.heard),
        read(&tally.lost),
        read(&tally.unavailable),
        faults.count(),
        read(&tally.checks),
    );
}
