//! A copy of a database in use, and what a database taken back from one must forget.
//!
//! Owns the SQL. What may be kept is said by the caller.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use protocol::records::{Seconds, TenantId};
use rusqlite::{Connection, OpenFlags};

use crate::Store;
use crate::error::{CommitError, StoreError};
use crate::op::Op;
use crate::value::Value;

/// Why a copy was not made, or was not taken.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("`{path}` cannot be used")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What stands in the way is not overwritten.
    #[error("`{0}` is there already; move it away first")]
    InTheWay(String),
    /// The file is no backup of ours, or is damaged.
    #[error("`{path}` is no backup of Countersign, or is damaged")]
    NotOurs {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Option<rusqlite::Error>,
    },
    /// The copy could not be made.
    #[error("the database cannot be copied")]
    Copy(#[source] rusqlite::Error),
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> BackupError {
    let path = path.display().to_string();
    move |source| BackupError::File { path, source }
}

/// A file that is not there yet, readable by its owner alone.
fn new_file(path: &Path) -> Result<File, BackupError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(BackupError::InTheWay(path.display().to_string()))
        }
        other => other.map_err(file(path)),
    }
}

/// Copies an SQLite database as it is at one moment, while it is in use; nobody waits for it. How many bytes the copy has. Blocks.
///
/// # Errors
/// See [`BackupError`]; then there is no copy.
pub fn copy_sqlite(database: &Path, to: &Path) -> Result<u64, BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let from = Connection::open_with_flags(database, flags).map_err(BackupError::Copy)?;
    // SQLite writes into an empty file, so that nobody else reads it meanwhile.
    let target = new_file(to)?;
    let made = from
        .busy_timeout(std::time::Duration::from_secs(10))
        .and_then(|()| from.execute("VACUUM INTO ?1", [to.display().to_string()]));
    let copied = made
        .map_err(BackupError::Copy)
        .and_then(|_| target.sync_all().and_then(|()| target.metadata()).map_err(file(to)));
    match copied {
        Ok(copied) => Ok(copied.len()),
        Err(error) => {
            // What is left is no backup.
            let _ = fs::remove_file(to);
            Err(error)
        }
    }
}

/// A copy that is on its way to where a database is to be, beside it and under another name: whatever goes wrong before
/// [`Restoring::finish`], there is no database. What is left of an earlier try is overwritten.
#[derive(Debug)]
pub struct Restoring {
    database: PathBuf,
    /// Where it is until then.
    pub path: PathBuf,
}

/// What SQLite and the migration lay beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", ".lock"];

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

impl Restoring {
    /// Takes a copy. It is not to be used before [`Store::forget_what_may_be_spent`] is done with it. Blocks.
    ///
    /// # Errors
    /// See [`BackupError`].
    pub fn begin(from: &Path, database: &Path) -> Result<Self, BackupError> {
        for path in [database.to_owned(), with(database, "-wal"), with(database, "-shm")] {
            if path.exists() {
                return Err(BackupError::InTheWay(path.display().to_string()));
            }
        }
        check(from)?;
        let restoring = Self { database: database.to_owned(), path: with(database, ".restoring") };
        restoring.forget();
        let path = &restoring.path;
        let mut target = new_file(path)?;
        File::open(from)
            .map_err(file(from))
            .and_then(|mut from| std::io::copy(&mut from, &mut target).map_err(file(path)))
            .and_then(|_| target.sync_all().map_err(file(path)))?;
        Ok(restoring)
    }

    /// Makes it the database. Nobody may have it open. Blocks.
    ///
    /// # Errors
    /// See [`BackupError`]; then there is no database.
    pub fn finish(self) -> Result<(), BackupError> {
        // What is still beside it belongs into it.
        let last = Connection::open(&self.path).map_err(BackupError::Copy)?;
        last.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(BackupError::Copy)?;
        last.close().map_err(|(_, error)| BackupError::Copy(error))?;
        let synced = || File::open(&self.path)?.sync_all();
        synced().map_err(file(&self.path))?;
        if self.database.exists() {
            return Err(BackupError::InTheWay(self.database.display().to_string()));
        }
        fs::rename(&self.path, &self.database).map_err(file(&self.database))?;
        self.forget();
        let directory = self.database.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or_else(|| Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(file(directory))
    }

    fn forget(&self) {
        let beside = BESIDE.iter().map(|end| with(&self.path, end));
        for path in std::iter::once(self.path.clone()).chain(beside) {
            // What cannot be removed is told where it is in the way.
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        self.forget();
    }
}

fn check(from: &Path) -> Result<(), BackupError> {
    let wrong = |source: Option<rusqlite::Error>| BackupError::NotOurs { path: from.display().to_string(), source };
    File::open(from).map_err(file(from))?;
    let copy = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|e| wrong(Some(e)))?;
    let sound: String =
        copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| wrong(Some(error)))?;
    let known: i64 = copy
        .query_row(
            "SELECT COUNT(*) FROM sqlite_master WHERE name IN ('refinery_schema_history', 'sign_ins')",
            [],
            |row| row.get(0),
        )
        .map_err(|error| wrong(Some(error)))?;
    if sound == "ok" && known == 2 { Ok(()) } else { Err(wrong(None)) }
}

/// Whatever may have been spent, revoked or ended after a copy was made.
const FORGET: [&str; 5] = [
    "UPDATE grants SET active = 0, version = version + 1 WHERE tenant = $1 AND active = 1",
    "DELETE FROM tokens WHERE tenant = $1",
    "DELETE FROM sign_ins WHERE tenant = $1",
    "DELETE FROM challenges WHERE tenant = $1",
    // Sent already, as like as not.
    "DELETE FROM outbox WHERE tenant = $1",
];
const FORGET_ITEMS: &str = "DELETE FROM items WHERE tenant = $1 AND kind NOT IN ($2, $3, $4, $5, $6, $7, $8, $9)";
const FORGET_ENROLMENTS: &str = "DELETE FROM enrolments WHERE tenant = $1 AND kind IN ($2, $3, $4, $5, $6, $7, $8, $9)";
const CUT_OFF: &str = "UPDATE users SET not_before = $1 WHERE tenant = $2 AND not_before < $3";
/// Kinds that may be named: as many as a statement has places.
const PLACES: usize = 8;

impl Store {
    /// Ends everything of a tenant that a copy may hold and that may have been spent, revoked or ended since: sign-ins, grants, tokens
    /// and documents but for those of the kinds in `keep`, and the enrolments of the kinds in `useless`, which nothing can prove without
    /// a document that goes (at most eight each). Tokens that are in no row count no more either, being older than `now`. In one
    /// transaction; harmless if done twice.
    ///
    /// # Errors
    /// The database could not do it.
    pub async fn forget_what_may_be_spent(
        &self,
        tenant: &TenantId,
        keep: &[&str],
        useless: &[&str],
        now: Seconds,
    ) -> Result<(), CommitError> {
        let mut ops: Vec<Op> = FORGET.into_iter().map(|sql| Op::any(0, sql, vec![tenant.as_str().into()])).collect();
        for (sql, kinds) in [(FORGET_ITEMS, keep), (FORGET_ENROLMENTS, useless)] {
            if kinds.len() > PLACES {
                return Err(StoreError::new("too many kinds are named").into());
            }
            let mut values: Vec<Value> = vec![tenant.as_str().into()];
            // A kind of no name fills the places that are left.
            values.extend((0..PLACES).map(|place| Value::from(kinds.get(place).copied().unwrap_or_default())));
            ops.push(Op::any(0, sql, values));
        }
        ops.push(Op::any(0, CUT_OFF, vec![now.into(), tenant.as_str().into(), now.into()]));
        self.transact("restore", ops).await.map(|_| ())
    }
}
