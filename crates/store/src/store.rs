//! The one type behind which both databases are.

use std::path::Path;
use std::sync::Arc;

use protocol::records::TenantId;
use tempfile::TempDir;

use crate::change::Change;
use crate::config::StoreConfig;
use crate::error::{CommitError, StoreError};
use crate::migrate;
use crate::op::Op;
use crate::postgres::Postgres;
use crate::sqlite::{Decode, Durability, Sqlite};
use crate::value::{Param, Row, Value};
use crate::write;

/// The records. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

/// The database ends before the directory it lies in: fields are dropped in this order.
struct Inner {
    db: Db,
    _directory: Option<TempDir>,
}

enum Db {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens the database, made and brought to the newest schema where needed.
    ///
    /// Must be called on a runtime whose blocking is allowed for some milliseconds: SQLite is opened in place.
    pub async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let db = match config {
            StoreConfig::Sqlite { path } => Db::Sqlite(open_sqlite(path, Durability::Full)?),
            StoreConfig::Postgres { url, pool, tls_ca } => {
                migrate::postgres(url, tls_ca.as_deref()).await?;
                Db::Postgres(Postgres::open(url, *pool, tls_ca.as_deref()).await?)
            }
        };
        Ok(Self(Arc::new(Inner { db, _directory: None })))
    }

    /// A store of which nothing is kept: SQLite in a fresh directory that goes with the last clone. For tests and trials.
    pub fn temporary() -> Result<Self, StoreError> {
        let directory = tempfile::Builder::new()
            .prefix("countersign-")
            .tempdir()
            .map_err(|source| StoreError::from("a temporary directory cannot be made", source))?;
        let db = Db::Sqlite(open_sqlite(&directory.path().join("store.db"), Durability::None)?);
        Ok(Self(Arc::new(Inner { db, _directory: Some(directory) })))
    }

    /// Makes all of these changes or none, and answers when they are durable. `name` says what it is in traces.
    pub async fn commit(&self, tenant: &TenantId, name: &'static str, changes: Vec<Change>) -> Result<(), CommitError> {
        let tells = changes.iter().any(|change| matches!(change, Change::DirectoryAt { .. }));
        let ops = write::compile(tenant, changes)?;
        self.transact(name, ops).await?;
        if tells {
            self.spread_word().await;
        }
        Ok(())
    }

    /// Calls `heard` whenever somebody changed the directory, and whenever that may have happened unheard. Ends at once where the
    /// database passes no word on (SQLite, CockroachDB), and never elsewhere: whoever follows the directory asks for its version
    /// now and then in any case, for word may be lost.
    pub async fn hear_of_changes(&self, heard: impl FnMut()) {
        match &self.0.db {
            Db::Sqlite(_) => {}
            Db::Postgres(db) => db.hear_word(heard).await,
        }
    }

    /// Says to every node that the directory changed.
    pub(crate) async fn spread_word(&self) {
        match &self.0.db {
            Db::Sqlite(_) => {}
            Db::Postgres(db) => db.spread_word().await,
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.directory_version().await.map(|_| ())
    }

    /// Waits for what was sent to be written, then takes nothing more.
    pub async fn close(&self) {
        match &self.0.db {
            Db::Sqlite(db) => db.close().await,
            Db::Postgres(db) => db.close().await,
        }
    }

    pub(crate) async fn all<T>(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        decode: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        if params.iter().any(Param::is_unstorable) {
            return Ok(Vec::new());
        }
        match &self.0.db {
            Db::Sqlite(db) => db.all(sql, params, decode),
            Db::Postgres(db) => db.all(sql, params, decode).await,
        }
    }

    pub(crate) async fn first<T>(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        decode: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        if params.iter().any(Param::is_unstorable) {
            return Ok(None);
        }
        match &self.0.db {
            Db::Sqlite(db) => db.first(sql, params, decode),
            Db::Postgres(db) => db.first(sql, params, decode).await,
        }
    }

    pub(crate) async fn transact(&self, name: &'static str, ops: Vec<Op>) -> Result<u64, CommitError> {
        if ops.is_empty() {
            return Ok(0);
        }
        let result = match &self.0.db {
            Db::Sqlite(db) => db.transact(ops).await,
            Db::Postgres(db) => db.transact(ops).await,
        };
        match &result {
            Ok(rows) => tracing::trace!(name, rows, "committed"),
            Err(CommitError::Refused { index }) => tracing::debug!(name, index, "refused"),
            Err(CommitError::Unavailable(_)) => tracing::warn!(name, "not committed"),
        }
        result
    }

    pub(crate) async fn write_returning<T: Send + 'static>(
        &self,
        sql: &'static str,
        values: Vec<Value>,
        decode: Decode<T>,
    ) -> Result<Vec<T>, StoreError> {
        match &self.0.db {
            Db::Sqlite(db) => db.write_returning(sql, values, decode).await,
            Db::Postgres(db) => db.write_returning(sql, values, decode).await,
        }
    }
}

fn open_sqlite(path: &Path, durability: Durability) -> Result<Sqlite, StoreError> {
    make_private(path)?;
    migrate::sqlite(path, durability)?;
    Sqlite::open(path, durability)
}

/// Makes the file readable by its owner alone; what SQLite lays beside it inherits that.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map(|_| ())
        .map_err(|source| StoreError::from("the file of the database cannot be written", source))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_temporary_store_goes_with_its_last_clone() {
        let store = Store::temporary().unwrap();
        let clone = store.clone();
        let path = store.0._directory.as_ref().unwrap().path().to_owned();
        drop(store);
        let spend = Change::Spend { key: "x".into(), expires: 0 };
        clone.commit(&"one".into(), "test", vec![spend]).await.unwrap();
        assert!(clone.spent(&"one".into(), "x").await.unwrap());
        clone.ping().await.unwrap();
        assert!(path.exists());
        drop(clone);
        assert!(!path.exists());
    }

    /// What a server awaits in a handler must be able to move between threads.
    #[test]
    fn its_futures_may_move_between_threads() {
        fn is_send<T: Send>(_: T) {}
        let store = Store::temporary().unwrap();
        let tenant = TenantId::from("one");
        is_send(store.commit(&tenant, "test", Vec::new()));
        is_send(store.token(&tenant, &protocol::records::Digest([0; 32])));
        is_send(store.load_directory());
        is_send(store.claim_outbox("email", 0, 1, 1));
        is_send(store.sweep(0, 1));
        is_send(store.change_directory(&tenant, Vec::new()));
    }
}
