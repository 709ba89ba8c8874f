//! SQLite: one writer thread whose commits many callers share, and readers used on the calling thread.
//! Knows connections, not tables.

mod writer;

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, OpenFlags};

use crate::error::{CommitError, StoreError};
use crate::op::Op;
use crate::value::{Param, Row, Value};

pub(crate) use writer::Decode;
use writer::Writer;

/// Statements kept prepared on each connection; more than there are.
const STATEMENTS: usize = 160;

/// The writer's page cache in KiB (negative, as SQLite wants it): keys come in no order, so the pages of its indexes
/// do not fit into the usual 2 MiB for long.
const WRITER_CACHE: i64 = -16_384;

/// Pages in the write-ahead log before they are moved to the file: what is written again meanwhile moves once, and a
/// reader still finds them all in one table of the log's index (4096).
const CHECKPOINT: i64 = 4000;

/// How long a writer of another process (`apply`) is waited for.
const BUSY: Duration = Duration::from_secs(10);

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It does.
    Full,
    /// It does not: nothing is to be kept.
    None,
}

pub(crate) struct Sqlite {
    readers: Vec<Mutex<Connection>>,
    writer: Writer,
}

impl Sqlite {
    /// Opens a migrated file.
    pub(crate) fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        let writer = connect(path, durability)?;
        writer.pragma_update(None, "cache_size", WRITER_CACHE).map_err(cannot_open)?;
        writer.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT, |_| Ok(())).map_err(cannot_open)?;
        let count = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
        let mut readers = Vec::with_capacity(count);
        for _ in 0..count {
            let reader = connect(path, durability)?;
            reader.pragma_update(None, "query_only", true).map_err(cannot_open)?;
            readers.push(Mutex::new(reader));
        }
        Ok(Self { readers, writer: Writer::start(writer)? })
    }

    pub(crate) fn all<T>(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        decode: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(sql).map_err(cannot_read)?;
        bind(&mut statement, params.iter().copied()).map_err(cannot_read)?;
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(cannot_read)? {
            found.push(decode(&Row::Sqlite(row))?);
        }
        Ok(found)
    }

    pub(crate) fn first<T>(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        decode: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(sql).map_err(cannot_read)?;
        bind(&mut statement, params.iter().copied()).map_err(cannot_read)?;
        let mut rows = statement.raw_query();
        rows.next().map_err(cannot_read)?.map(|row| decode(&Row::Sqlite(row))).transpose()
    }

    pub(crate) async fn transact(&self, ops: Vec<Op>) -> Result<u64, CommitError> {
        self.writer.transact(ops).await
    }

    pub(crate) async fn write_returning<T: Send + 'static>(
        &self,
        sql: &'static str,
        values: Vec<Value>,
        decode: Decode<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.writer.write_returning(sql, values, decode).await
    }

    pub(crate) async fn close(&self) {
        self.writer.close().await;
    }

    /// A reader that nobody uses, the one this thread used last if possible.
    fn reader(&self) -> MutexGuard<'_, Connection> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static HOME: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed));
        }
        let home = HOME.get() % self.readers.len();
        let (before, after) = self.readers.split_at(home);
        for reader in after.iter().chain(before) {
            match reader.try_lock() {
                Ok(reader) => return reader,
                // A panic in a decoder leaves the connection as it was: statements are reset when they are dropped.
                Err(TryLockError::Poisoned(reader)) => return reader.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.readers[home].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Binds in the order `$1`, `$2`, …: SQLite numbers named parameters by their first appearance, which is why every
/// statement names them in order.
fn bind<'a>(
    statement: &mut CachedStatement<'_>,
    params: impl ExactSizeIterator<Item = Param<'a>>,
) -> rusqlite::Result<()> {
    debug_assert_eq!(statement.parameter_count(), params.len(), "a parameter is missing or superfluous");
    for (index, param) in params.enumerate() {
        debug_assert_eq!(
            statement.parameter_name(index + 1),
            Some(format!("${}", index + 1).as_str()),
            "parameters must first appear in order"
        );
        statement.raw_bind_parameter(index + 1, param)?;
    }
    Ok(())
}

fn connect(path: &Path, durability: Durability) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(cannot_open)?;
    prepare(&connection, durability).map_err(cannot_open)?;
    Ok(connection)
}

fn prepare(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Without this a statement is planned anew for every value bound to it: ten times the cost of a read.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // FULL, because what is spent must stay spent after a power cut.
    let synchronous = if durability == Durability::Full { "full" } else { "off" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

/// A connection to migrate with.
pub(crate) fn connect_to_migrate(path: &Path, durability: Durability) -> Result<Connection, StoreError> {
    connect(path, durability)
}

fn cannot_open(source: rusqlite::Error) -> StoreError {
    StoreError::from("the database cannot be opened", source)
}

fn cannot_read(source: rusqlite::Error) -> StoreError {
    StoreError::from("the database cannot be read", source)
}
