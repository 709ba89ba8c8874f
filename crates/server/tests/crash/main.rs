//! A server that is killed in the middle of its work loses nothing it acknowledged and revives nothing that was spent.
//!
//! The binary itself, killed with SIGKILL under load at moments a seed chooses, started again on the same database and
//! questioned through its own endpoints. Sixteen hands work at once, each with a person of its own and a ledger of what
//! it was promised; no hand knows more than a client would.
#![allow(clippy::unwrap_used, clippy::panic)]

mod api;
mod chance;
mod checks;
mod ending;
mod installation;
mod ledger;
mod load;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use api::Api;
use chance::Chance;
use installation::{Installation, Server};
use ledger::{Hand, Promised};

/// Lives of one server on one database; each but the last ends with a kill.
const ROUNDS: u64 = 3;
const HANDS: usize = 16;
/// Acknowledgements after which a kill comes: at least, and how many more at most.
const LEAST: u64 = 150;
const SPREAD: u64 = 200;
/// Another seed is another set of moments; every one must do.
const SEED: u64 = 0x5eed_c0de;

#[test]
fn a_server_on_sqlite_keeps_its_word_when_killed() {
    runtime().block_on(async { survive(&Installation::on_sqlite()).await });
}

#[test]
fn a_server_on_postgres_keeps_its_word_when_killed() {
    runtime().block_on(async {
        let Some(installation) = Installation::on_postgres().await else { return };
        survive(&installation).await;
        installation.remove().await;
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn survive(installation: &Installation) {
    let mut hands: Vec<Hand> = (0..HANDS).map(Hand::new).collect();
    let (mut promised, mut cut) = (Promised::default(), 0);
    for round in 0..ROUNDS {
        let mut chance = Chance::new(SEED ^ (round << 40));
        let server = installation.start();
        let kill_after = LEAST + chance.below(SPREAD);
        hands = work_until_killed(server, hands, kill_after, &mut chance).await;
        cut += hands.iter().map(Hand::unanswered).sum::<usize>();

        let server = installation.start();
        let mut checked = JoinSet::new();
        for hand in hands {
            let (api, chance) = (Api::new(server.address()), chance.fork());
            checked.spawn(checks::keep_word(api, hand, chance));
        }
        hands = checked.join_all().await;
        promised = hands.iter().map(Hand::promised).sum();
        server.kill();
    }
    // What never happened was not shown.
    assert!(cut > 0, "no request was cut short");
    promised.all_happened();
}

/// Lets every hand work until the server has acknowledged that much; then kills it, and gives the ledgers back.
async fn work_until_killed(server: Server, hands: Vec<Hand>, kill_after: u64, chance: &mut Chance) -> Vec<Hand> {
    let (acknowledge, mut acknowledged) = mpsc::unbounded_channel();
    let mut working = JoinSet::new();
    for hand in hands {
        let (api, chance) = (Api::new(server.address()), chance.fork());
        working.spawn(load::work(api, hand, chance, acknowledge.clone()));
    }
    drop(acknowledge);
    for _ in 0..kill_after {
        if acknowledged.recv().await.is_none() {
            // Every hand has ended, which only a failure explains: joining tells it.
            break;
        }
    }
    server.kill();
    working.join_all().await
}
