//! Writes of strangers that share a transaction: while one commit waits for the disk, the next group collects.
//!
//! Only statements that the database never answers with an error go in (each says its conflict rule itself), because
//! an error would end the transaction for all. Each is judged by the rows it touched; one that touched none changed
//! nothing, so its neighbours may be committed.

use deadpool_postgres::Pool;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::pipeline::{Step, together};
use super::{
    InTransaction, RECONNECTS, TRIES, connection, execute, is_disconnected, is_lost_race, judge, prepare, transact,
};
use crate::error::{CommitError, StoreError};
use crate::op::Op;

/// Writes in one transaction at most.
const BATCH: usize = 128;

/// Groups under way at the same time: one collects its answers while the other waits for the disk.
const WRITERS: usize = 2;

/// Writes waiting at most; beyond that the callers wait to be let in.
const WAITING: usize = 4096;

struct Job {
    op: Op,
    done: oneshot::Sender<Result<u64, CommitError>>,
}

pub(super) struct Group {
    jobs: std::sync::Mutex<Option<mpsc::Sender<Job>>>,
    writers: tokio::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Group {
    pub(super) fn start(pool: Pool) -> Self {
        let (jobs, inbox) = mpsc::channel(WAITING);
        let inbox = std::sync::Arc::new(tokio::sync::Mutex::new(inbox));
        let writers = (0..WRITERS).map(|_| tokio::spawn(write(pool.clone(), inbox.clone()))).collect();
        Self { jobs: std::sync::Mutex::new(Some(jobs)), writers: tokio::sync::Mutex::new(writers) }
    }

    pub(super) async fn write(&self, op: Op) -> Result<u64, CommitError> {
        let jobs = self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let (done, answer) = oneshot::channel();
        let jobs = jobs.ok_or_else(closed)?;
        jobs.send(Job { op, done }).await.map_err(|_| closed())?;
        drop(jobs);
        answer.await.map_err(|_| closed())?
    }

    /// Ends after everything sent before.
    pub(super) async fn close(&self) {
        self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        for writer in self.writers.lock().await.drain(..) {
            if writer.await.is_err() {
                tracing::error!("a writer ended in a panic");
            }
        }
    }
}

fn closed() -> StoreError {
    StoreError::new("the store is closed")
}

async fn write(pool: Pool, inbox: std::sync::Arc<tokio::sync::Mutex<mpsc::Receiver<Job>>>) {
    let mut jobs = Vec::with_capacity(BATCH);
    loop {
        if inbox.lock().await.recv_many(&mut jobs, BATCH).await == 0 {
            return;
        }
        // In one order, so that two groups never wait for each other in a ring.
        jobs.sort_by(|a, b| a.op.order().cmp(&b.op.order()));
        let (ops, callers): (Vec<Op>, Vec<_>) = jobs.drain(..).map(|job| (job.op, job.done)).unzip();
        for (result, done) in run(&pool, &ops).await.into_iter().zip(callers) {
            // A caller that has gone away no longer wants to know, but the change stands.
            let _ = done.send(result);
        }
    }
}

/// One transaction for all of them. Where one of them is refused by the database itself, a transaction for each, so that no
/// caller suffers for another's statement. Where nobody knows whether it was committed everybody is told just that: a second
/// try would find the first one's traces and take them for somebody else's.
async fn run(pool: &Pool, ops: &[Op]) -> Vec<Result<u64, CommitError>> {
    if let [op] = ops {
        return vec![transact(pool, std::slice::from_ref(op)).await];
    }
    let (mut races, mut reconnects) = (0, 0);
    loop {
        match attempt(pool, ops).await {
            Ok(results) => return results,
            Err(Shared::LostRace) if races < TRIES => races += 1,
            Err(Shared::Disconnected) if reconnects < RECONNECTS => reconnects += 1,
            Err(Shared::Refused(error)) => {
                tracing::warn!(%error, writes = ops.len(), "a shared transaction failed");
                break;
            }
            Err(Shared::LostRace | Shared::Disconnected) => return nobody_knows(ops, "it was tried too often"),
            Err(Shared::Unknown(error)) => return nobody_knows(ops, &error),
        }
    }
    let mut results = Vec::with_capacity(ops.len());
    for op in ops {
        results.push(transact(pool, std::slice::from_ref(op)).await);
    }
    results
}

fn nobody_knows(ops: &[Op], error: &str) -> Vec<Result<u64, CommitError>> {
    tracing::warn!(error, writes = ops.len(), "a shared transaction was lost");
    ops.iter().map(|_| Err(StoreError::new("the database cannot be written").into())).collect()
}

/// Why a shared transaction was not committed, as far as is known.
enum Shared {
    LostRace,
    /// Its connection ended before anything was sent on it.
    Disconnected,
    /// The database refused a statement, and with it all.
    Refused(tokio_postgres::Error),
    /// It may have been committed.
    Unknown(String),
}

async fn attempt(pool: &Pool, ops: &[Op]) -> Result<Vec<Result<u64, CommitError>>, Shared> {
    let client = connection(pool).await.map_err(|error| Shared::Unknown(error.to_string()))?;
    let statements = prepare(&client, ops)
        .await
        .map_err(|error| if is_disconnected(&error) { Shared::Disconnected } else { Shared::Refused(error) })?;
    let transaction = InTransaction(Some(client));
    let client = transaction.client();
    let mut steps: Vec<Step<'_>> = Vec::with_capacity(ops.len() + 2);
    steps.push(Box::pin(async { client.batch_execute("BEGIN").await.map(|()| 0) }));
    for (op, statement) in ops.iter().zip(&statements) {
        steps.push(Box::pin(execute(client, statement, op)));
    }
    // The commit goes along: after an error the server makes it a rollback, and the errors are looked at below.
    steps.push(Box::pin(async { client.batch_execute("COMMIT").await.map(|()| 0) }));
    let commit = steps.len() - 1;
    let mut counts = Vec::with_capacity(steps.len());
    for (place, result) in together(steps).await.into_iter().enumerate() {
        match result {
            Ok(rows) => counts.push(rows),
            Err(error) if is_lost_race(&error) => return Err(Shared::LostRace),
            // An error of a statement is the server's word that the transaction is over; one of the commit itself is not, and
            // a connection that ended took its answers along.
            Err(error) if place < commit && error.code().is_some() => return Err(Shared::Refused(error)),
            Err(error) => return Err(Shared::Unknown(error.to_string())),
        }
    }
    transaction.end();
    // Without the counts of `BEGIN` and `COMMIT` around them.
    Ok(ops.iter().zip(&counts[1..]).map(|(op, rows)| judge(op, *rows)).collect())
}
