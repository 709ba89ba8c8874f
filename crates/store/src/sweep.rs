//! Expired rows go, a few at a time, so that nobody waits behind a long delete.

use protocol::records::Seconds;

use crate::Store;
use crate::error::{CommitError, StoreError};
use crate::op::Op;

/// Tokens before grants: a dead grant's row is what says that its tokens are dead.
const EXPIRED: [&str; 10] = [
    "DELETE FROM tokens WHERE (digest, tenant) IN \
     (SELECT digest, tenant FROM tokens WHERE expires <= $1 ORDER BY expires LIMIT $2)",
    "DELETE FROM grants WHERE (id, tenant) IN \
     (SELECT id, tenant FROM grants WHERE kept <= $1 ORDER BY kept LIMIT $2)",
    "DELETE FROM sign_ins WHERE (id, tenant) IN \
     (SELECT id, tenant FROM sign_ins WHERE expires <= $1 ORDER BY expires LIMIT $2)",
    "DELETE FROM challenges WHERE (id, tenant) IN \
     (SELECT id, tenant FROM challenges WHERE expires <= $1 ORDER BY expires LIMIT $2)",
    "DELETE FROM spent WHERE (name, tenant) IN \
     (SELECT name, tenant FROM spent WHERE expires <= $1 ORDER BY expires LIMIT $2)",
    "DELETE FROM revoked_jwts WHERE (jti, tenant) IN \
     (SELECT jti, tenant FROM revoked_jwts WHERE expires <= $1 ORDER BY expires LIMIT $2)",
    "DELETE FROM meters WHERE (name, tenant) IN \
     (SELECT name, tenant FROM meters WHERE expires <= $1 ORDER BY expires LIMIT $2)",
    "DELETE FROM attempts WHERE (name, tenant) IN \
     (SELECT name, tenant FROM attempts WHERE expires <= $1 ORDER BY expires LIMIT $2)",
    "DELETE FROM items WHERE (name, kind, tenant) IN \
     (SELECT name, kind, tenant FROM items WHERE expires <= $1 ORDER BY expires LIMIT $2)",
    "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE expires <= $1 ORDER BY expires LIMIT $2)",
];
const OLD_RECORDS: &str = "DELETE FROM decisions WHERE (reference, tenant) IN \
     (SELECT reference, tenant FROM decisions WHERE made < $1 ORDER BY made LIMIT $2)";

impl Store {
    /// Deletes what has expired, at most `batch` rows of each kind; how many went. Call again while it is not 0.
    pub async fn sweep(&self, now: Seconds, batch: i64) -> Result<u64, StoreError> {
        let mut gone = 0;
        for sql in EXPIRED {
            gone += self.delete(sql, now, batch).await?;
        }
        Ok(gone)
    }

    /// Deletes decisions recorded before this moment, at most `batch`; how many went.
    pub async fn forget_records(&self, before: Seconds, batch: i64) -> Result<u64, StoreError> {
        self.delete(OLD_RECORDS, before, batch).await
    }

    async fn delete(&self, sql: &'static str, until: Seconds, batch: i64) -> Result<u64, StoreError> {
        match self.transact("sweep", vec![Op::any(0, sql, vec![until.into(), batch.into()])]).await {
            Ok(rows) => Ok(rows),
            Err(CommitError::Unavailable(error)) => Err(error),
            Err(CommitError::Refused { .. }) => Err(StoreError::new("a sweep was refused")),
        }
    }
}
