//! How fast the store is on this machine: `cargo run --release -p countersign-store --example limits [POSTGRES-URL]`.
//!
//! Each line is the best of three rounds. Pin it to a core (`taskset -c 0`) to compare with other machines.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use protocol::records::{Digest, Grant, GrantDetail, TenantId, Token, TokenDetail};
use store::{Change, Store, StoreConfig};

const ROUND: Duration = Duration::from_secs(2);

fn digest(kind: u8, number: u64) -> Digest {
    // Spread like a hash: keys come in no order.
    let mut bytes = [kind; 32];
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (u64::from(kind) << 32);
    bytes[..8].copy_from_slice(&mixed.to_be_bytes());
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    Digest(bytes)
}

fn token(number: u64) -> Token {
    Token {
        client: "1a2b3c4d-0118-4511-9082-39669ccdcad6".into(),
        grant: format!("{number:08x}-95d9-44d4-b4af-6a1c143b6031").as_str().into(),
        subject: None,
        issued: 1_800_000_000,
        expires: 1_800_007_200 + i64::try_from(number / 1000).unwrap(),
        detail: TokenDetail {
            scope: "openid profile".into(),
            grant_type: "client_credentials".into(),
            audience: vec![],
            issuer: "https://login.example.test".into(),
        },
    }
}

fn grant(number: u64) -> Grant {
    Grant {
        id: token(number).grant,
        tenant: "demo".into(),
        client: token(number).client,
        subject: None,
        active: true,
        created: 1_800_000_000,
        expires: 1_800_600_000,
        detail: GrantDetail { scope: vec!["openid".into(), "profile".into()], ..GrantDetail::default() },
        refresh: Some(digest(1, number << 20)),
        refresh_expires: 1_800_060_000,
        refresh_previous: None,
        rotated_at: 1_800_000_000,
        session: None,
        version: 1,
    }
}

/// Processor time of this process so far, in microseconds: fields 14 and 15 of `/proc/self/stat`, in ticks of 10 ms.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks * 10_000.0
}

/// Writes from as many tasks as given until the round is over; writes a second, and how many.
async fn write<F>(store: &Store, tasks: u64, start: u64, change: F) -> (f64, u64)
where
    F: Fn(u64, u64) -> Vec<Change> + Send + Sync + Copy + 'static,
{
    let begin = Instant::now();
    let workers: Vec<_> = (0..tasks)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let tenant = TenantId::from("demo");
                let mut done = 0;
                while begin.elapsed() < ROUND {
                    store.commit(&tenant, "limits", change(task, start + done)).await.unwrap();
                    done += 1;
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for worker in workers {
        done += worker.await.unwrap();
    }
    (done as f64 / begin.elapsed().as_secs_f64(), done)
}

async fn measure(name: &str, store: &Store) {
    let tenant = TenantId::from("demo");
    for tasks in [1, 16, 64, 256] {
        let mut best = 0_f64;
        let mut cost = f64::MAX;
        for round in 0..3 {
            let before = processor();
            let (rate, total) = write(store, tasks, (tasks * 10 + round) << 20, |task, number| {
                vec![Change::AddToken(digest(2, (number << 10) + task), token(number))]
            })
            .await;
            best = best.max(rate);
            cost = cost.min((processor() - before) / total as f64);
        }
        println!("{name}: opaque token, {tasks:>3} callers: {best:>8.0}/s, {cost:.1} µs of processor");
    }
    for tasks in [16, 64, 256] {
        let first = tasks * 1000;
        for task in 0..tasks {
            store.commit(&tenant, "limits", vec![Change::AddGrant(grant(first + task))]).await.unwrap();
        }
        let mut best = 0_f64;
        let mut cost = f64::MAX;
        let mut versions = vec![1_u64; usize::try_from(tasks).unwrap()];
        for _ in 0..3 {
            let before = processor();
            let begin = Instant::now();
            let workers: Vec<_> = versions
                .iter()
                .enumerate()
                .map(|(task, version)| {
                    let (store, tenant) = (store.clone(), tenant.clone());
                    let (number, mut version) = (first + task as u64, *version);
                    tokio::spawn(async move {
                        let mut done = 0_u64;
                        while begin.elapsed() < ROUND {
                            let mut now = store.grant(&tenant, &grant(number).id).await.unwrap().unwrap();
                            now.refresh_previous = now.refresh;
                            now.refresh = Some(digest(1, (number << 20) + version));
                            let mut token = token(number);
                            token.grant = now.id.clone();
                            let access = digest(3, (number << 20) + version);
                            let changes = vec![Change::UpdateGrant(now), Change::AddToken(access, token)];
                            store.commit(&tenant, "limits", changes).await.unwrap();
                            version += 1;
                            done += 1;
                        }
                        (done, version)
                    })
                })
                .collect();
            let mut done = 0;
            let mut next = Vec::new();
            for worker in workers {
                let (own, version) = worker.await.unwrap();
                done += own;
                next.push(version);
            }
            versions = next;
            best = best.max(done as f64 / begin.elapsed().as_secs_f64());
            cost = cost.min((processor() - before) / done as f64);
        }
        println!(
            "{name}: refresh rotation with its read, {tasks:>3} callers: {best:>8.0}/s, {cost:.1} µs of processor"
        );
    }
    let known = digest(2, (640 << 20) << 10);
    store.token(&tenant, &known).await.unwrap();
    let before = processor();
    let begin = Instant::now();
    let mut reads = 0_u32;
    while begin.elapsed() < ROUND {
        let found = store.token(&tenant, &known).await.unwrap();
        assert!(found.is_some());
        reads += 1;
    }
    let (wall, own) = (begin.elapsed().as_secs_f64() * 1e6, processor() - before);
    println!("{name}: token read: {:.2} µs, {:.2} µs of processor", wall / f64::from(reads), own / f64::from(reads));
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir_in(".").unwrap();
        let store = Store::open(&StoreConfig::Sqlite { path: directory.path().join("store.db") }).await.unwrap();
        tokio::spawn(async move { measure("sqlite", &store).await }).await.unwrap();
        if let Some(url) = std::env::args().nth(1) {
            let store = Store::open(&StoreConfig::Postgres { url, pool: 16, tls_ca: None }).await.unwrap();
            tokio::spawn(async move { measure("postgres", &store).await }).await.unwrap();
        }
    });
}
