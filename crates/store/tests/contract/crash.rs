//! A process killed in the middle of its work loses nothing that it acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use store::{Change, Store, StoreConfig};

use crate::world::*;

/// Acknowledgements waited for before the kill: enough that several commits are behind it and more under way.
const ACKNOWLEDGED: usize = 400;

/// Not a test by itself: run by those below as a process of its own, the one that is killed. It writes from many tasks and says
/// what was acknowledged. Without a store named it has nothing to do.
#[test]
fn writer_to_be_killed() {
    let Ok(place) = std::env::var("COUNTERSIGN_CRASH_STORE") else { return };
    let config = match place.split_once('=') {
        Some(("sqlite", path)) => StoreConfig::Sqlite { path: path.into() },
        Some(("postgres", url)) => StoreConfig::Postgres { url: url.to_owned(), pool: 8, tls_ca: None },
        _ => panic!("`COUNTERSIGN_CRASH_STORE` names no store"),
    };
    runtime().block_on(async {
        let store = Store::open(&config).await.unwrap();
        let tasks: Vec<_> = (0..16_u32)
            .map(|task| {
                let store = store.clone();
                tokio::spawn(async move {
                    for number in (task..u32::MAX).step_by(16) {
                        let add = Change::AddToken(digest(number), token("g", None));
                        let spend = Change::Spend { key: format!("code:{number}"), expires: NOW };
                        let changes = if task % 2 == 0 { vec![add] } else { vec![spend, add] };
                        store.commit(&tenant(), "crash", changes).await.unwrap();
                        let mut out = std::io::stdout().lock();
                        writeln!(out, "ack {number}").unwrap();
                        out.flush().unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Starts the writer, kills it in the middle, and gives what it had acknowledged.
fn killed_writer(place: &str) -> Vec<u32> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "crash::writer_to_be_killed"])
        .env("COUNTERSIGN_CRASH_STORE", place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    let number = |line: String| line.strip_prefix("ack ").map(|number| number.parse::<u32>().unwrap());
    while acknowledged.len() < ACKNOWLEDGED {
        let line = lines.next().expect("the writer goes on until it is killed").unwrap();
        acknowledged.extend(number(line));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died counts as well, but for a line cut in the middle.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let whole = rest.len().saturating_sub(1);
    acknowledged.extend(rest.into_iter().take(whole).filter_map(number));
    acknowledged
}

async fn everything_is_there(config: &StoreConfig, acknowledged: &[u32]) {
    let store = Store::open(config).await.unwrap();
    for &number in acknowledged {
        let found = store.token(&tenant(), &digest(number)).await.unwrap();
        assert!(found.is_some(), "token {number} was acknowledged");
        let spent = store.spent(&tenant(), &format!("code:{number}")).await.unwrap();
        assert_eq!(spent, number % 2 == 1, "code {number} stays as it was");
    }
    // What was not acknowledged is wholly there or wholly not.
    let last = acknowledged.iter().max().copied().unwrap_or_default();
    for number in (1..last + 1000).step_by(2) {
        let token = store.token(&tenant(), &digest(number)).await.unwrap().is_some();
        let spent = store.spent(&tenant(), &format!("code:{number}")).await.unwrap();
        assert_eq!(token, spent, "half of write {number} is there");
    }
    do_one(&store, Change::Spend { key: "after".into(), expires: NOW }).await;
    store.close().await;
}

#[test]
fn sqlite_keeps_what_it_acknowledged_when_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let acknowledged = killed_writer(&format!("sqlite={}", path.display()));
    runtime().block_on(everything_is_there(&sqlite(directory.path()), &acknowledged));
}

#[test]
fn postgres_keeps_what_it_acknowledged_when_killed() {
    let runtime = runtime();
    let Some(database) = runtime.block_on(Database::fresh()) else { return };
    let acknowledged = killed_writer(&format!("postgres={}", database.url()));
    runtime.block_on(async {
        everything_is_there(&database.config(), &acknowledged).await;
        database.remove().await;
    });
}
