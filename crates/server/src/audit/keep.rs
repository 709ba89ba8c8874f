//! How long a trail is kept: its oldest seals go, with the entries under them, once all of it is older than the tenant wants.
//!
//! Owns which of it may go. Nothing goes that was not sealed, that does not hold, or that a webhook is still to be told of; the last
//! for a while only. The newest seal stays whatever its age: the next one is chained to it.

use protocol::records::{Seconds, TenantId};
use store::{AuditAnchor, AuditSeal, CommitError, Store, StoreError};

use super::seal::{self, Broken};
use crate::keys::MasterKey;

const DAY: Seconds = 86_400;
/// Days that what a webhook was not told of is kept longer.
pub const HELD_DAYS: Seconds = 30;
/// Seals looked at for one removal, and entries after which it is enough.
const SEALS: i64 = 16;
const ENTRIES: i64 = 1000;

/// Removes what is older than `days`, at most some seals of it. How many entries that were; 0 also where another node was first.
///
/// # Errors
/// The database could not do it. Inside: what is wrong with what should have gone; then it stays.
pub async fn remove(
    store: &Store,
    master: &MasterKey,
    tenant: &TenantId,
    days: u32,
    now: Seconds,
) -> Result<Result<i64, Broken>, StoreError> {
    let anchor = store.audit_anchor(tenant).await?;
    let cutoff = now - Seconds::from(days) * DAY;
    let gone = Trail { store, master, tenant }.remove(anchor.as_ref(), cutoff, now).await?;
    // What another node removed while it was looked at is neither missing nor changed.
    if gone.is_err() && store.audit_anchor(tenant).await? != anchor {
        return Ok(Ok(0));
    }
    Ok(gone)
}

struct Trail<'a> {
    store: &'a Store,
    master: &'a MasterKey,
    tenant: &'a TenantId,
}

impl Trail<'_> {
    async fn remove(
        &self,
        anchor: Option<&AuditAnchor>,
        cutoff: Seconds,
        now: Seconds,
    ) -> Result<Result<i64, Broken>, StoreError> {
        let &Self { store, master, tenant } = self;
        let after = anchor.map_or(0, |anchor| anchor.number);
        let mut seals = store.audit_seals(tenant, after, SEALS).await?;
        // Neither the newest nor, where there are more than were read, the last of these.
        seals.pop();
        // What happened under a seal happened before it was set.
        let old = seals.iter().take_while(|seal| seal.at < cutoff).count();
        seals.truncate(old);
        if seals.is_empty() {
            return Ok(Ok(0));
        }
        let told = store.audit_cursors(tenant).await?.into_iter().map(|cursor| cursor.seal).min();
        let may_go = |seal: &AuditSeal| {
            let waits = told.is_some_and(|told| told <= seal.number);
            !waits || seal.at < cutoff - HELD_DAYS * DAY
        };
        if let Some(anchor) = anchor
            && !seal::anchored(master, tenant, anchor)
        {
            return Ok(Err(Broken::Anchor(anchor.number)));
        }
        let mut before = anchor.map(seal::removed);
        let mut gone = 0;
        for (next, seal) in (after + 1..).zip(seals) {
            if gone >= ENTRIES || !may_go(&seal) {
                break;
            }
            if seal.number != next {
                return Ok(Err(Broken::Missing(next)));
            }
            let entries = store.audit_entries(tenant, seal.number, "", seal::BATCH + 1).await?;
            // What does not hold is evidence.
            if !seal::holds(master, tenant, before.as_ref(), &seal, &entries) {
                return Ok(Err(Broken::Changed(seal.number)));
            }
            gone += seal.entries;
            before = Some(seal);
        }
        let Some(last) = before.filter(|last| last.number > after) else { return Ok(Ok(0)) };
        let in_all = anchor.map_or(0, |anchor| anchor.entries) + gone;
        let anchor = seal::anchor(master, tenant, &last, in_all, now);
        match store.audit_remove(tenant, after, anchor).await {
            Ok(()) => Ok(Ok(gone)),
            Err(CommitError::Refused { .. }) => Ok(Ok(0)),
            Err(CommitError::Unavailable(error)) => Err(error),
        }
    }
}
