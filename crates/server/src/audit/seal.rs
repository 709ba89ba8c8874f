//! Seals: each is a hash over the one before it and some entries, so that none can be changed, taken out or slipped in without
//! breaking every seal after it. Set in the background, a few hundred entries at a time: nobody waits for the chain.
//!
//! The hash can be recomputed by anybody who has an export. With it goes a keyed one: who writes in the database without having the
//! master key cannot forge a chain. Neither can they shorten one from its beginning: where that was done in order
//! ([`keep`](super::keep)) an anchor says so, under the key.

use aws_lc_rs::digest::{Context, SHA256};
use protocol::records::{Seconds, TenantId};
use store::{AuditAnchor, AuditEntry, AuditSeal, CommitError, Store, StoreError};

use crate::keys::MasterKey;

/// Entries under one seal at most.
pub const BATCH: i64 = 500;
const PURPOSE: &str = "audit seal";
const ANCHOR_PURPOSE: &str = "audit anchor";

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

fn hash(tenant: &TenantId, number: i64, before: &[u8], entries: &[AuditEntry]) -> Vec<u8> {
    let mut parts = Parts::new(b"countersign audit 1");
    parts.add(tenant.as_str().as_bytes());
    parts.add(&number.to_be_bytes());
    parts.add(before);
    for entry in entries {
        parts.add(entry.id.as_bytes());
        parts.add(&entry.at.to_be_bytes());
        parts.add(entry.body.as_bytes());
    }
    parts.finish()
}

/// Every part with its length before it, so that nothing can move from one to the next.
struct Parts(Context);

impl Parts {
    fn new(form: &[u8]) -> Self {
        let mut parts = Self(Context::new(&SHA256));
        parts.add(form);
        parts
    }

    fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

/// Says that a trail begins behind this seal, and how many entries were removed in all.
pub fn anchor(
    master: &MasterKey,
    tenant: &TenantId,
    last_removed: &AuditSeal,
    entries: i64,
    now: Seconds,
) -> AuditAnchor {
    let mut anchor =
        AuditAnchor { number: last_removed.number, at: now, entries, hash: last_removed.hash.clone(), mac: Vec::new() };
    anchor.mac = anchor_mac(master, tenant, &anchor);
    anchor
}

/// Whether an anchor was set by this installation for this tenant.
pub fn anchored(master: &MasterKey, tenant: &TenantId, anchor: &AuditAnchor) -> bool {
    anchor.mac == anchor_mac(master, tenant, anchor)
}

fn anchor_mac(master: &MasterKey, tenant: &TenantId, anchor: &AuditAnchor) -> Vec<u8> {
    let mut parts = Parts::new(b"countersign audit anchor 1");
    parts.add(tenant.as_str().as_bytes());
    parts.add(&anchor.number.to_be_bytes());
    parts.add(&anchor.at.to_be_bytes());
    parts.add(&anchor.entries.to_be_bytes());
    parts.add(&anchor.hash);
    master.mac(ANCHOR_PURPOSE, &parts.finish()).to_vec()
}

/// The removed seal an anchor stands for, as far as the next one is chained to it.
pub fn removed(anchor: &AuditAnchor) -> AuditSeal {
    AuditSeal { number: anchor.number, at: anchor.at, entries: 0, hash: anchor.hash.clone(), mac: Vec::new() }
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
    /// Entries stand where no seal is: below the first one or beyond the last.
    #[error("entries stand under seal {0}, which there is not")]
    Stray(i64),
    /// What says that the oldest part was removed is not of this installation.
    #[error("what was removed, up to seal {0}, was not removed by this installation")]
    Anchor(i64),
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
    /// Entries that were removed because of their age.
    pub removed: i64,
}

/// Reads a tenant's whole trail and checks every seal.
///
/// # Errors
/// The database could not be read. Inside: the first thing that is wrong.
pub async fn verify(store: &Store, master: &MasterKey, tenant: &TenantId) -> Result<Result<Found, Broken>, StoreError> {
    loop {
        let anchor = store.audit_anchor(tenant).await?;
        let found = verify_from(store, master, tenant, anchor.as_ref()).await?;
        // What was removed in order while it was read is not missing: it is read again.
        if found.is_ok() || store.audit_anchor(tenant).await? == anchor {
            return Ok(found);
        }
    }
}

async fn verify_from(
    store: &Store,
    master: &MasterKey,
    tenant: &TenantId,
    anchor: Option<&AuditAnchor>,
) -> Result<Result<Found, Broken>, StoreError> {
    let mut found = Found::default();
    let (mut last, mut before) = (0, None);
    if let Some(anchor) = anchor {
        if !anchored(master, tenant, anchor) {
            return Ok(Err(Broken::Anchor(anchor.number)));
        }
        if let Some(seal) = store.audit_under(tenant, 0, anchor.number).await? {
            return Ok(Err(Broken::Stray(seal)));
        }
        (last, before) = (anchor.number, Some(removed(anchor)));
        found.removed = anchor.entries;
    }
    loop {
        let seals = store.audit_seals(tenant, last, BATCH).await?;
        if seals.is_empty() {
            let Some(stray) = store.audit_under(tenant, last, i64::MAX).await? else { break };
            // Sealed this moment, as like as not.
            if store.audit_seals(tenant, last, 1).await?.is_empty() {
                return Ok(Err(Broken::Stray(stray)));
            }
        }
        for seal in seals {
            if seal.number != last + 1 {
                return Ok(Err(Broken::Missing(last + 1)));
            }
            // One more than it may have, so that an added one is seen.
            let entries = store.audit_entries(tenant, seal.number, "", BATCH + 1).await?;
            if !holds(master, tenant, before.as_ref(), &seal, &entries) {
                return Ok(Err(Broken::Changed(seal.number)));
            }
            last = seal.number;
            found.seals += 1;
            found.sealed += seal.entries;
            before = Some(seal);
        }
    }
    // The newest seal is never removed.
    if anchor.is_some() && found.seals == 0 {
        return Ok(Err(Broken::Missing(last + 1)));
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
    #[test]
    fn an_anchor_that_was_touched_or_made_up_is_none() {
        let (master, tenant) = (MasterKey::generate(), TenantId::from("t"));
        let seal = next(&master, &tenant, None, &entries(), 10);
        let anchor = super::anchor(&master, &tenant, &seal, 3, 20);
        assert!(anchored(&master, &tenant, &anchor));
        assert!(!anchored(&master, &TenantId::from("u"), &anchor), "another tenant");
        assert!(!anchored(&MasterKey::generate(), &tenant, &anchor), "another installation");
        let touched: [fn(&mut AuditAnchor); 5] = [
            |anchor| anchor.number += 1,
            |anchor| anchor.at += 1,
            |anchor| anchor.entries -= 1,
            |anchor| anchor.hash[0] ^= 1,
            |anchor| anchor.mac.clear(),
        ];
        for touch in touched {
            let mut anchor = anchor.clone();
            touch(&mut anchor);
            assert!(!anchored(&master, &tenant, &anchor), "{anchor:?}");
        }
        // A seal's own keyed hash says nothing about removal.
        assert!(!anchored(&master, &tenant, &AuditAnchor { mac: seal.mac.clone(), ..anchor }));
        // What comes next is chained to the removed seal as it was to the seal.
        let second = next(&master, &tenant, Some(&seal), &entries()[..1], 30);
        let anchor = super::anchor(&master, &tenant, &seal, 3, 20);
        assert!(super::holds(&master, &tenant, Some(&removed(&anchor)), &second, &entries()[..1]));
    }
}
