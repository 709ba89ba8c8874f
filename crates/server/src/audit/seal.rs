//! Seals: each is a hash over the one before it and some entries, so that none can be changed, taken out or slipped in without
//! breaking every seal after it. Set in the background, a few hundred entries at a time: nobody waits for the chain.
//!
//! The hash can be recomputed by anybody who has an export. With it goes a keyed one: who writes in the database without having the
//! master key cannot forge a chain.

use aws_lc_rs::digest::{Context, SHA256};
use protocol::records::{Seconds, TenantId};
use store::{AuditEntry, AuditSeal, CommitError, Store, StoreError};

use crate::keys::MasterKey;

/// Entries under one seal at most.
pub const BATCH: i64 = 500;
const PURPOSE: &str = "audit seal";

/// The seal that comes after `last`, over these entries.
pub fn next(
    master: &MasterKey,
    tenant: &TenantId,
    last: Option<&AuditSeal>,
    entries: &[AuditEntry],
    now: Seconds,
) -> AuditSeal {
    let number = last.map_or(0, |last| last.number) + 1;
    let hash = hash(tenant, number, last.map_or(&[], |last| last.hash.as_slice()), entries);
    let mac = master.mac(PURPOSE, &hash).to_vec();
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    AuditSeal { number, at: now, entries: count, hash, mac }
}

/// Whether a seal is what comes after `before` over these entries, and was set by this installation.
pub fn holds(
    master: &MasterKey,
    tenant: &TenantId,
    before: Option<&AuditSeal>,
    seal: &AuditSeal,
    entries: &[AuditEntry],
) -> bool {
    let expected = next(master, tenant, before, entries, seal.at);
    expected == *seal
}

/// Every part with its length before it, so that nothing can move from one to the next.
fn hash(tenant: &TenantId, number: i64, before: &[u8], entries: &[AuditEntry]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    part(b"countersign audit 1");
    part(tenant.as_str().as_bytes());
    part(&number.to_be_bytes());
    part(before);
    for entry in entries {
        part(entry.id.as_bytes());
        part(&entry.at.to_be_bytes());
        part(entry.body.as_bytes());
    }
    context.finish().as_ref().to_vec()
}

/// Seals what is not sealed yet, at most one batch. How many entries that were; 0 also where another node was first.
///
/// # Errors
/// The database could not do it.
pub async fn set(store: &Store, master: &MasterKey, tenant: &TenantId, now: Seconds) -> Result<usize, StoreError> {
    let entries = store.audit_entries(tenant, 0, "", BATCH).await?;
    if entries.is_empty() {
        return Ok(0);
    }
    let last = store.audit_last_seal(tenant).await?;
    let seal = next(master, tenant, last.as_ref(), &entries, now);
    let names = entries.iter().map(|entry| entry.id.clone()).collect();
    match store.audit_seal(tenant, seal, names).await {
        Ok(()) => Ok(entries.len()),
        Err(CommitError::Refused { .. }) => Ok(0),
        Err(CommitError::Unavailable(error)) => Err(error),
    }
}

/// What is wrong with a trail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A seal is missing.
    #[error("seal {0} is missing")]
    Missing(i64),
    /// Entries, or the seal itself, are not what was sealed.
    #[error("what seal {0} is about was changed")]
    Changed(i64),
}

/// What was found in a trail that holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Seals.
    pub seals: i64,
    /// Entries under them.
    pub sealed: i64,
    /// Entries that wait for their seal.
    pub waiting: i64,
}

/// Reads a tenant's whole trail and checks every seal.
///
/// # Errors
/// The database could not be read. Inside: the first thing that is wrong.
pub async fn verify(store: &Store, master: &MasterKey, tenant: &TenantId) -> Result<Result<Found, Broken>, StoreError> {
    let mut found = Found::default();
    let mut before: Option<AuditSeal> = None;
    loop {
        let seals = store.audit_seals(tenant, found.seals, BATCH).await?;
        if seals.is_empty() {
            break;
        }
        for seal in seals {
            if seal.number != found.seals + 1 {
                return Ok(Err(Broken::Missing(found.seals + 1)));
            }
            // One more than it may have, so that an added one is seen.
            let entries = store.audit_entries(tenant, seal.number, "", BATCH + 1).await?;
            if !holds(master, tenant, before.as_ref(), &seal, &entries) {
                return Ok(Err(Broken::Changed(seal.number)));
            }
            found.seals += 1;
            found.sealed += seal.entries;
            before = Some(seal);
        }
    }
    let mut after = String::new();
    loop {
        let waiting = store.audit_entries(tenant, 0, &after, BATCH).await?;
        let Some(last) = waiting.last() else { return Ok(Ok(found)) };
        after.clone_from(&last.id);
        found.waiting += i64::try_from(waiting.len()).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entries() -> Vec<AuditEntry> {
        ["a", "b", "c"]
            .map(|id| AuditEntry { id: id.to_owned(), at: 7, body: format!("{{\"event\":\"{id}\"}}") })
            .to_vec()
    }

    #[test]
    fn a_trail_that_was_touched_does_not_hold() {
        let (master, tenant) = (MasterKey::generate(), TenantId::from("t"));
        let first = next(&master, &tenant, None, &entries(), 10);
        let second = next(&master, &tenant, Some(&first), &entries()[..1], 20);
        let holds = |before: Option<&AuditSeal>, seal: &AuditSeal, of: &[AuditEntry]| {
            super::holds(&master, &tenant, before, seal, of)
        };
        assert!(holds(None, &first, &entries()) && holds(Some(&first), &second, &entries()[..1]));
        assert_eq!((first.number, second.number), (1, 2));

        let touched: [fn(&mut Vec<AuditEntry>); 6] = [
            |all| all[1].body.push(' '),
            |all| all[1].at += 1,
            |all| all.swap(0, 1),
            |all| drop(all.pop()),
            |all| all.push(all[0].clone()),
            // A byte that moves from one part to the next.
            |all| {
                let first = all[0].body.remove(0);
                all[0].id.push(first);
            },
        ];
        for touch in touched {
            let mut all = entries();
            touch(&mut all);
            assert!(!holds(None, &first, &all), "{all:?}");
        }
        let other = next(&master, &tenant, None, &entries()[1..], 10);
        assert!(!holds(Some(&other), &second, &entries()[..1]), "another history");
        assert!(!super::holds(&master, &TenantId::from("u"), None, &first, &entries()), "another tenant");
        assert!(!super::holds(&MasterKey::generate(), &tenant, None, &first, &entries()), "another installation");
        assert!(!holds(None, &AuditSeal { number: 2, ..first.clone() }, &entries()));
    }
}
