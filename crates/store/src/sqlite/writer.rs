//! The one writer of a SQLite file. While one commit waits for the disk the next batch collects by itself, so the more
//! callers there are the fewer commits each of them costs. Everybody is answered only after the commit is durable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rusqlite::Connection;
use rusqlite::ffi;
use tokio::sync::oneshot;

use super::bind;
use crate::error::{CommitError, StoreError};
use crate::op::{Op, unstorable};
use crate::value::{Row, Value};

/// Jobs in one transaction at most: more would only make the first wait longer.
const BATCH: usize = 256;

/// How a row that a write returns is read.
pub(crate) type Decode<T> = fn(&Row<'_>) -> Result<T, StoreError>;

type Done<T, E> = oneshot::Sender<Result<T, E>>;

/// Runs inside the open transaction and gives back what tells the caller, once it is known whether that was committed.
type Run = Box<dyn FnOnce(&Connection) -> Tell + Send>;
type Tell = Box<dyn FnOnce(bool) + Send>;

enum Job {
    Transact(Vec<Op>, Done<u64, CommitError>),
    Run(Run),
    Stop(oneshot::Sender<()>),
}

pub(super) struct Writer {
    jobs: Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (jobs, inbox) = unbounded();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write(&connection, &inbox))
            .map_err(|source| StoreError::from("the writer cannot be started", source))?;
        Ok(Self { jobs, thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn transact(&self, ops: Vec<Op>) -> Result<u64, CommitError> {
        if let Some(index) = unstorable(&ops) {
            return Err(CommitError::Refused { index });
        }
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job::Transact(ops, done)).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    pub(super) async fn write_returning<T: Send + 'static>(
        &self,
        sql: &'static str,
        values: Vec<Value>,
        decode: Decode<T>,
    ) -> Result<Vec<T>, StoreError> {
        let (done, answer) = oneshot::channel();
        let run: Run = Box::new(move |connection| {
            let rows = returning(connection, sql, &values, decode);
            Box::new(move |committed| {
                let rows = if committed { rows } else { Err(StoreError::new("the database did not commit")) };
                // A caller that has gone away no longer wants to know.
                let _ = done.send(rows);
            })
        });
        self.jobs.send(Job::Run(run)).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Ends after everything sent before; later jobs are told that the store is closed.
    pub(super) async fn close(&self) {
        let (done, answer) = oneshot::channel();
        if self.jobs.send(Job::Stop(done)).is_ok() {
            // The thread ends either way, with or without having answered.
            let _ = answer.await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without senders the thread ends after its last job; waiting for it lets the file be removed afterwards.
        self.jobs = unbounded().0;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer ended in a panic");
        }
    }
}

fn stopped() -> StoreError {
    StoreError::new("the store is closed")
}

fn write(connection: &Connection, inbox: &Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    while let Ok(first) = inbox.recv() {
        batch.push(first);
        batch.extend(inbox.try_iter().take(BATCH - 1));
        if let Some(stop) = run_batch(connection, &mut batch) {
            let _ = stop.send(());
            return;
        }
    }
}

/// What is to be told after the commit.
enum Answer {
    Transact(Done<u64, CommitError>, Result<u64, CommitError>),
    Run(Tell),
}

impl Answer {
    fn tell(self, committed: bool) {
        match self {
            // Somebody who has gone away no longer wants to know, but the change stands.
            Self::Transact(done, result) => {
                let result = match result {
                    Ok(_) if !committed => Err(StoreError::new("the database did not commit").into()),
                    result => result,
                };
                let _ = done.send(result);
            }
            Self::Run(tell) => tell(committed),
        }
    }
}

fn run_batch(connection: &Connection, batch: &mut Vec<Job>) -> Option<oneshot::Sender<()>> {
    let mut answers = Vec::with_capacity(batch.len());
    let mut stop = None;
    let began = execute(connection, "BEGIN IMMEDIATE");
    if let Err(error) = &began {
        tracing::error!(%error, "a transaction cannot begin");
    }
    for job in batch.drain(..) {
        match job {
            Job::Stop(done) => stop = Some(done),
            // Nothing after a stop, and nothing outside a transaction (a full disk ends it).
            Job::Transact(_, done) if stop.is_some() || connection.is_autocommit() => {
                answers.push(Answer::Transact(done, Err(StoreError::new("the database did not commit").into())));
            }
            Job::Transact(ops, done) => {
                let result = guarded(connection, &ops);
                answers.push(Answer::Transact(done, result));
            }
            Job::Run(_) if stop.is_some() || connection.is_autocommit() => {}
            Job::Run(run) => {
                if let Ok(tell) = catch_unwind(AssertUnwindSafe(|| run(connection))) {
                    answers.push(Answer::Run(tell));
                }
            }
        }
    }
    let committed = began.is_ok() && commit(connection);
    for answer in answers {
        answer.tell(committed);
    }
    stop
}

fn commit(connection: &Connection) -> bool {
    if connection.is_autocommit() {
        tracing::error!("the database ended a transaction by itself");
        return false;
    }
    match execute(connection, "COMMIT") {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, "a transaction was not committed");
            roll_back(connection);
            false
        }
    }
}

fn roll_back(connection: &Connection) {
    if connection.is_autocommit() {
        return;
    }
    if let Err(error) = execute(connection, "ROLLBACK") {
        tracing::error!(%error, "a transaction cannot be rolled back");
    }
}

/// Runs one caller's statements so that they happen together or not at all, whatever becomes of their neighbours.
fn guarded(connection: &Connection, ops: &[Op]) -> Result<u64, CommitError> {
    // One statement is its own savepoint.
    if let [op] = ops {
        return catch_unwind(AssertUnwindSafe(|| run(connection, op))).unwrap_or_else(|_| Err(panicked().into()));
    }
    execute(connection, "SAVEPOINT job").map_err(cannot_write)?;
    let result = catch_unwind(AssertUnwindSafe(|| {
        ops.iter().try_fold(0, |rows, op| run(connection, op).map(|more| rows + more))
    }))
    .unwrap_or_else(|_| Err(panicked().into()));
    let undone = if result.is_err() { execute(connection, "ROLLBACK TO job") } else { Ok(()) };
    if let Err(error) = undone.and_then(|()| execute(connection, "RELEASE job")) {
        // Half of a job must not be committed with its neighbours: nobody's is.
        roll_back(connection);
        return Err(cannot_write(error).into());
    }
    result
}

fn run(connection: &Connection, op: &Op) -> Result<u64, CommitError> {
    let refused = CommitError::Refused { index: op.change };
    match execute_op(connection, op) {
        Ok(0) if op.must => Err(refused),
        Ok(rows) => Ok(rows),
        Err(error) if is_unique_violation(&error) => Err(refused),
        Err(error) => Err(cannot_write(error).into()),
    }
}

fn execute_op(connection: &Connection, op: &Op) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(op.sql)?;
    bind(&mut statement, op.values.iter().map(Value::param))?;
    if op.is_look() {
        return statement.raw_query().next().map(|row| u64::from(row.is_some()));
    }
    statement.raw_execute().map(|rows| rows as u64)
}

fn returning<T>(
    connection: &Connection,
    sql: &'static str,
    values: &[Value],
    decode: Decode<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(cannot_write)?;
    bind(&mut statement, values.iter().map(Value::param)).map_err(cannot_write)?;
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(cannot_write)? {
        found.push(decode(&Row::Sqlite(row))?);
    }
    Ok(found)
}

fn execute(connection: &Connection, sql: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.raw_execute().map(|_| ())
}

fn is_unique_violation(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(failure, _)
        if matches!(failure.extended_code, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY))
}

fn panicked() -> StoreError {
    StoreError::new("a write ended in a panic")
}

fn cannot_write(source: rusqlite::Error) -> StoreError {
    StoreError::from("the database cannot be written", source)
}
