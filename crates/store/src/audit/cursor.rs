//! How far the trail was told to each webhook: one row each, moved by conditional writes, so that whoever lost its lease moves nothing.
//!
//! Owns the rows and their SQL. What is told, to whom and how is its caller's.

use protocol::records::{Seconds, TenantId};

use crate::Store;
use crate::error::{CommitError, StoreError};
use crate::op::Op;
use crate::value::{Row, Value};

/// How far a webhook was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditCursor {
    /// Whose trail it is.
    pub tenant: TenantId,
    /// The webhook.
    pub webhook: String,
    /// The seal under which it goes on.
    pub seal: i64,
    /// The last entry under that seal that was told; empty where none was.
    pub entry: String,
    /// Failures since something was told last.
    pub tries: i64,
    /// Grows with every change.
    pub version: i64,
}

/// Webhooks a tenant may have: as many as the statement has places.
const MOST: usize = 8;

// Begins behind the newest seal: with what is not sealed yet.
const START: &str = "INSERT INTO audit_cursors (tenant, webhook, seal, entry, due, tries, version) \
     SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), COALESCE(MAX(number), 0) + 1, '', 0, 0, 1 \
     FROM audit_seals WHERE tenant = $3 ON CONFLICT DO NOTHING";
const DROP_OTHERS: &str = "DELETE FROM audit_cursors WHERE tenant = $1 \
     AND webhook NOT IN ($2, $3, $4, $5, $6, $7, $8, $9)";
const BEHIND: &str = "SELECT c.tenant, c.webhook, c.seal, c.entry, c.tries, c.version FROM audit_cursors c \
     WHERE c.due <= $1 AND c.seal <= (SELECT MAX(s.number) FROM audit_seals s WHERE s.tenant = c.tenant) \
     ORDER BY c.due, c.tenant, c.webhook LIMIT $2";
const CURSORS: &str = "SELECT tenant, webhook, seal, entry, tries, version FROM audit_cursors WHERE tenant = $1 \
     ORDER BY webhook";
const CLAIM: &str = "UPDATE audit_cursors SET due = $1, version = version + 1 \
     WHERE tenant = $2 AND webhook = $3 AND version = $4";
const TOLD: &str = "UPDATE audit_cursors SET seal = $1, entry = $2, due = $3, tries = 0, version = version + 1 \
     WHERE tenant = $4 AND webhook = $5 AND version = $6";
const NOT_TOLD: &str = "UPDATE audit_cursors SET due = $1, tries = tries + 1, version = version + 1 \
     WHERE tenant = $2 AND webhook = $3 AND version = $4";

/// Gives each of these webhooks a place in the trail, unless it has one, and takes it from all others.
pub(crate) fn keep<'a>(
    index: usize,
    tenant: &TenantId,
    webhooks: impl Iterator<Item = &'a String>,
    ops: &mut Vec<Op>,
) -> Result<(), StoreError> {
    let t = || Value::from(tenant.as_str());
    let webhooks: Vec<&str> = webhooks.map(String::as_str).collect();
    if webhooks.len() > MOST {
        return Err(StoreError::new("a tenant has too many webhooks"));
    }
    let mut values = vec![t()];
    // No webhook has an empty name.
    values.extend((0..MOST).map(|place| Value::from(webhooks.get(place).copied().unwrap_or_default())));
    ops.push(Op::any(index, DROP_OTHERS, values));
    ops.extend(webhooks.into_iter().map(|webhook| Op::any(index, START, vec![t(), webhook.into(), t()])));
    Ok(())
}

impl Store {
    /// Webhooks that were not told everything that is sealed and may be told more by now, the longest waiting first.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn audit_behind(&self, now: Seconds, limit: i64) -> Result<Vec<AuditCursor>, StoreError> {
        self.all(BEHIND, &[now.into(), limit.into()], cursor).await
    }

    /// How far each webhook of a tenant was told.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn audit_cursors(&self, tenant: &TenantId) -> Result<Vec<AuditCursor>, StoreError> {
        self.all(CURSORS, &[tenant.as_str().into()], cursor).await
    }

    /// Takes a webhook for whoever read this cursor, until `until` at most; refused if somebody was first.
    ///
    /// # Errors
    /// Refused, or the database could not do it.
    pub async fn audit_claim(&self, cursor: &AuditCursor, until: Seconds) -> Result<AuditCursor, CommitError> {
        self.move_cursor("audit claim", CLAIM, vec![until.into()], cursor).await?;
        Ok(AuditCursor { version: cursor.version + 1, ..cursor.clone() })
    }

    /// The webhook was told everything before this place. It may be told more from `due` on; until then it stays taken. Refused if
    /// somebody else has it.
    ///
    /// # Errors
    /// Refused, or the database could not do it.
    pub async fn audit_told(
        &self,
        cursor: &AuditCursor,
        seal: i64,
        entry: &str,
        due: Seconds,
    ) -> Result<AuditCursor, CommitError> {
        let values = vec![seal.into(), entry.into(), due.into()];
        self.move_cursor("audit told", TOLD, values, cursor).await?;
        Ok(AuditCursor { seal, entry: entry.to_owned(), tries: 0, version: cursor.version + 1, ..cursor.clone() })
    }

    /// The webhook was not told: it may be tried again from `due` on. Refused if somebody else has it.
    ///
    /// # Errors
    /// Refused, or the database could not do it.
    pub async fn audit_not_told(&self, cursor: &AuditCursor, due: Seconds) -> Result<(), CommitError> {
        self.move_cursor("audit not told", NOT_TOLD, vec![due.into()], cursor).await
    }

    async fn move_cursor(
        &self,
        name: &'static str,
        sql: &'static str,
        mut values: Vec<Value>,
        cursor: &AuditCursor,
    ) -> Result<(), CommitError> {
        values.extend([cursor.tenant.as_str().into(), cursor.webhook.as_str().into(), cursor.version.into()]);
        self.transact(name, vec![Op::must(0, sql, values)]).await.map(|_| ())
    }
}

fn cursor(row: &Row<'_>) -> Result<AuditCursor, StoreError> {
    Ok(AuditCursor {
        tenant: TenantId(row.text(0)?),
        webhook: row.text(1)?,
        seal: row.int(2)?,
        entry: row.text(3)?,
        tries: row.int(4)?,
        version: row.int(5)?,
    })
}
