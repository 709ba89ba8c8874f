//! The audit trail: entries that are only ever added, the seals that chain them, and what is left of those that were removed.
//!
//! Owns their SQL. Neither says what is worth an entry nor computes a hash.

use protocol::records::{Seconds, TenantId};

use crate::Store;
use crate::error::{CommitError, StoreError};
use crate::op::Op;
use crate::value::Row;

pub(crate) mod cursor;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its name: sorts by time, never given twice.
    pub id: String,
    /// When.
    pub at: Seconds,
    /// JSON.
    pub body: String,
}

/// What chains a number of entries to all before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSeal {
    /// From 1, without gaps, per tenant.
    pub number: i64,
    /// When it was set.
    pub at: Seconds,
    /// How many entries it is about.
    pub entries: i64,
    /// Over them and the seal before.
    pub hash: Vec<u8>,
    /// Over the hash, with a key that is not in the database.
    pub mac: Vec<u8>,
}

/// Where a trail begins whose oldest part was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditAnchor {
    /// The last seal that was removed.
    pub number: i64,
    /// When.
    pub at: Seconds,
    /// How many entries were removed, in all.
    pub entries: i64,
    /// The hash of that seal: what the first one that is left is chained to.
    pub hash: Vec<u8>,
    /// Over all of it, with a key that is not in the database.
    pub mac: Vec<u8>,
}

const ADD: &str = "INSERT INTO audit (id, tenant, at, body, seal) VALUES ($1, $2, $3, $4, 0)";
const ADD_SEAL: &str = "INSERT INTO audit_seals (tenant, number, at, entries, hash, mac) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT DO NOTHING";
const UNDER_SEAL: &str = "UPDATE audit SET seal = $1 WHERE id = $2 AND tenant = $3 AND seal = 0";
const ENTRIES: &str = "SELECT id, at, body FROM audit WHERE tenant = $1 AND seal = $2 AND id > $3 ORDER BY id LIMIT $4";
const SEALS: &str = "SELECT number, at, entries, hash, mac FROM audit_seals WHERE tenant = $1 AND number > $2 \
     ORDER BY number LIMIT $3";
const LAST_SEAL: &str = "SELECT number, at, entries, hash, mac FROM audit_seals WHERE tenant = $1 \
     ORDER BY number DESC LIMIT 1";
const UNDER: &str = "SELECT seal FROM audit WHERE tenant = $1 AND seal > $2 AND seal <= $3 ORDER BY seal LIMIT 1";
const ANCHOR: &str = "SELECT number, at, entries, hash, mac FROM audit_anchors WHERE tenant = $1";
const ADD_ANCHOR: &str = "INSERT INTO audit_anchors (tenant, number, at, entries, hash, mac) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
const MOVE_ANCHOR: &str = "UPDATE audit_anchors SET number = $1, at = $2, entries = $3, hash = $4, mac = $5 \
     WHERE tenant = $6 AND number = $7";
const REMOVE_ENTRIES: &str = "DELETE FROM audit WHERE tenant = $1 AND seal > $2 AND seal <= $3";
const REMOVE_SEALS: &str = "DELETE FROM audit_seals WHERE tenant = $1 AND number > $2 AND number <= $3";

/// One more entry.
pub(crate) fn add(index: usize, tenant: &TenantId, entry: AuditEntry) -> Op {
    Op::must(index, ADD, vec![entry.id.into(), tenant.as_str().into(), entry.at.into(), entry.body.into()])
}

impl Store {
    /// Entries under the seal of this number (0: not sealed yet) whose names come after `after`, in the order of their names.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn audit_entries(
        &self,
        tenant: &TenantId,
        seal: i64,
        after: &str,
        limit: i64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.all(ENTRIES, &[tenant.as_str().into(), seal.into(), after.into(), limit.into()], entry).await
    }

    /// Seals after this number, in order.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn audit_seals(&self, tenant: &TenantId, after: i64, limit: i64) -> Result<Vec<AuditSeal>, StoreError> {
        self.all(SEALS, &[tenant.as_str().into(), after.into(), limit.into()], seal).await
    }

    /// The newest seal.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn audit_last_seal(&self, tenant: &TenantId) -> Result<Option<AuditSeal>, StoreError> {
        self.first(LAST_SEAL, &[tenant.as_str().into()], seal).await
    }

    /// Sets a seal over the entries of these names: all or nothing, and refused if somebody set one of this number or sealed one
    /// of the entries first.
    ///
    /// # Errors
    /// Refused, or the database could not do it.
    pub async fn audit_seal(&self, tenant: &TenantId, seal: AuditSeal, names: Vec<String>) -> Result<(), CommitError> {
        let number = seal.number;
        let mut ops = vec![Op::must(
            0,
            ADD_SEAL,
            vec![
                tenant.as_str().into(),
                number.into(),
                seal.at.into(),
                seal.entries.into(),
                seal.hash.into(),
                seal.mac.into(),
            ],
        )];
        for name in names {
            ops.push(Op::must(0, UNDER_SEAL, vec![number.into(), name.into(), tenant.as_str().into()]));
        }
        self.transact("audit seal", ops).await.map(|_| ())
    }

    /// The lowest seal after `after`, up to `to`, under which an entry stands, whether or not there is such a seal.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn audit_under(&self, tenant: &TenantId, after: i64, to: i64) -> Result<Option<i64>, StoreError> {
        self.first(UNDER, &[tenant.as_str().into(), after.into(), to.into()], |row| row.int(0)).await
    }

    /// Where the trail begins, if a part of it was removed.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn audit_anchor(&self, tenant: &TenantId) -> Result<Option<AuditAnchor>, StoreError> {
        self.first(ANCHOR, &[tenant.as_str().into()], anchor).await
    }

    /// Removes every seal after `after` up to the anchor's, with the entries under them, and lets the trail begin behind them: all
    /// or nothing, and refused if the trail does not begin behind `after` (0 for one of which nothing was removed).
    ///
    /// # Errors
    /// Refused, or the database could not do it.
    pub async fn audit_remove(&self, tenant: &TenantId, after: i64, anchor: AuditAnchor) -> Result<(), CommitError> {
        let t = || crate::value::Value::from(tenant.as_str());
        let to = anchor.number;
        let AuditAnchor { number, at, entries, hash, mac } = anchor;
        let moved = if after == 0 {
            Op::must(0, ADD_ANCHOR, vec![t(), number.into(), at.into(), entries.into(), hash.into(), mac.into()])
        } else {
            let values = vec![number.into(), at.into(), entries.into(), hash.into(), mac.into(), t(), after.into()];
            Op::must(0, MOVE_ANCHOR, values)
        };
        let range = || vec![t(), after.into(), to.into()];
        let ops = vec![moved, Op::any(0, REMOVE_ENTRIES, range()), Op::any(0, REMOVE_SEALS, range())];
        self.transact("audit remove", ops).await.map(|_| ())
    }
}

fn anchor(row: &Row<'_>) -> Result<AuditAnchor, StoreError> {
    Ok(AuditAnchor {
        number: row.int(0)?,
        at: row.int(1)?,
        entries: row.int(2)?,
        hash: row.blob(3)?,
        mac: row.blob(4)?,
    })
}

fn entry(row: &Row<'_>) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry { id: row.text(0)?, at: row.int(1)?, body: row.text(2)? })
}

fn seal(row: &Row<'_>) -> Result<AuditSeal, StoreError> {
    Ok(AuditSeal { number: row.int(0)?, at: row.int(1)?, entries: row.int(2)?, hash: row.blob(3)?, mac: row.blob(4)? })
}
