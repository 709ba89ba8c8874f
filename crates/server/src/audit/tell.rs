//! Tells webhooks of the trail: signed, in the order of the seals, each entry at least once.
//!
//! Owns what a request holds, what an answer means and how far a webhook was told; the place in the trail is the store's, when it
//! is gone on with the job's. Only what is sealed is told: what comes late under an earlier name is under a later seal, so nothing is
//! passed over. One node tells a webhook at a time, under a lease; whoever lost it moves nothing.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hmac;
use protocol::records::{AuditWebhook, Seconds, TenantId};
use serde_json::{Value, json};
use store::{AuditCursor, AuditEntry, CommitError, StoreError};

use super::seal;
use crate::app::App;
use crate::delivery::{sign, signing_secret};
use crate::directory::Directory;
use crate::secret::Secret;
use crate::tokens::hex;
use crate::world::Stopwatch;

/// Entries in one request at most, and bytes of them after which it is enough.
const ENTRIES: usize = 100;
const BYTES: usize = 192 * 1024;
/// Seals looked through for one request; most of what happens may be of no interest.
const SEALS: i64 = 16;
/// Requests to one webhook, and time, before others have their turn.
const REQUESTS: usize = 100;
const TURN: Duration = Duration::from_secs(30);
/// How long a webhook is ours, seconds; longer than any request.
const LEASE: Seconds = 30;
/// The first pause after a failure, seconds; it doubles with every further one.
const FIRST_PAUSE: Seconds = 2;
const LONGEST_PAUSE: Seconds = 900;
/// Webhooks found behind at once.
const BEHIND: i64 = 256;
/// What the attempts are counted as.
const CHANNEL: &str = "audit";

/// What the secret is sealed for that a webhook's requests are signed with.
pub fn purpose(tenant: &TenantId, webhook: &str) -> String {
    format!("audit webhook\n{tenant}\n{webhook}")
}

/// Tells webhooks.
#[derive(Clone)]
pub struct Teller {
    app: App,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Requests that were taken.
    pub requests: usize,
    /// Entries in them.
    pub entries: usize,
    /// Requests that were not.
    pub failures: usize,
}

/// A part of the trail.
#[derive(Default)]
struct Part {
    /// What a webhook wants of it, each with its seal.
    entries: Vec<(i64, AuditEntry)>,
    /// Where the trail goes on behind it.
    next: (i64, String),
    /// Seals in it that do not hold.
    broken: Vec<i64>,
    /// Whether some of the trail was removed before the webhook was told of it.
    gap: bool,
    /// Whether more is sealed behind it.
    more: bool,
}

impl Teller {
    /// Of this process.
    pub fn new(app: &App) -> Self {
        Self { app: app.clone() }
    }

    /// Webhooks that are behind and may be told, the longest waiting first.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn behind(&self) -> Result<Vec<AuditCursor>, StoreError> {
        let mut behind = self.app.store.audit_behind(self.app.world.now(), BEHIND).await?;
        let directory = self.app.directories.current();
        // One this node does not know yet is told by those that do.
        behind.retain(|cursor| webhook(&directory, cursor).is_some());
        Ok(behind)
    }

    /// Tells every webhook what it may be told now.
    ///
    /// # Errors
    /// The database could not do it; leases end by themselves.
    pub async fn pass(&self) -> Result<Told, StoreError> {
        let mut sum = Told::default();
        for cursor in self.behind().await? {
            let told = self.turn(cursor).await?;
            sum.requests += told.requests;
            sum.entries += told.entries;
            sum.failures += told.failures;
        }
        Ok(sum)
    }

    /// Tells one webhook, unless another node does, until it is told everything, fails, or had its turn.
    ///
    /// # Errors
    /// The database could not do it; the lease ends by itself.
    pub async fn turn(&self, cursor: AuditCursor) -> Result<Told, StoreError> {
        let mut told = Told::default();
        match self.work(cursor, &mut told).await {
            // Refused: another node has the webhook, or it is gone.
            Ok(()) | Err(CommitError::Refused { .. }) => Ok(told),
            Err(CommitError::Unavailable(error)) => Err(error),
        }
    }

    async fn work(&self, cursor: AuditCursor, told: &mut Told) -> Result<(), CommitError> {
        let app = &self.app;
        if webhook(&app.directories.current(), &cursor).is_none() {
            return Ok(());
        }
        let begun = Stopwatch::start();
        let mut cursor = app.store.audit_claim(&cursor, app.world.now() + LEASE).await?;
        loop {
            let directory = app.directories.current();
            let Some(webhook) = webhook(&directory, &cursor) else { return Ok(()) };
            let part = self.part(&cursor, webhook).await?;
            if !part.entries.is_empty() || part.gap || !part.broken.is_empty() {
                let outcome = self.request(&cursor, webhook, &part).await;
                app.metrics.delivered(CHANNEL, outcome.is_ok());
                let (tenant, id) = (&cursor.tenant, &cursor.webhook);
                if let Err(reason) = outcome {
                    told.failures += 1;
                    let tries = cursor.tries;
                    tracing::warn!(%tenant, webhook = id, tries, reason, "the audit trail is told again later");
                    let due = app.world.now() + self.pause(tries);
                    return app.store.audit_not_told(&cursor, due).await;
                }
                if part.gap {
                    tracing::error!(%tenant, webhook = id, "entries were removed before the webhook was told of them");
                }
                told.requests += 1;
                told.entries += part.entries.len();
            }
            let over = !part.more || told.requests >= REQUESTS || begun.elapsed() > TURN;
            let due = app.world.now() + if over { 0 } else { LEASE };
            let (seal, entry) = &part.next;
            cursor = app.store.audit_told(&cursor, *seal, entry, due).await?;
            if over {
                return Ok(());
            }
        }
    }

    /// What comes next for a webhook.
    async fn part(&self, cursor: &AuditCursor, webhook: &AuditWebhook) -> Result<Part, StoreError> {
        let (store, master, tenant) = (&self.app.store, &self.app.master, &cursor.tenant);
        let mut anchor = store.audit_anchor(tenant).await?;
        let (mut part, seals) = loop {
            let removed = anchor.as_ref().map_or(0, |anchor| anchor.number);
            let gap = cursor.seal <= removed;
            let next = if gap { (removed + 1, String::new()) } else { (cursor.seal, cursor.entry.clone()) };
            // From the one before, which says whether the next one holds.
            let seals = store.audit_seals(tenant, (next.0 - 2).max(removed), SEALS).await?;
            let again = store.audit_anchor(tenant).await?;
            if anchor == again {
                break (Part { next, gap, ..Part::default() }, seals);
            }
            // Some of it was removed meanwhile.
            anchor = again;
        };
        let mut before = anchor.filter(|anchor| anchor.number + 1 == part.next.0).as_ref().map(seal::removed);
        let newest = store.audit_last_seal(tenant).await?.map_or(0, |seal| seal.number);
        let mut bytes = 0;
        for seal in seals {
            if seal.number < part.next.0 {
                before = Some(seal);
                continue;
            }
            let entries = store.audit_entries(tenant, seal.number, "", seal::BATCH + 1).await?;
            if !seal::holds(master, tenant, before.as_ref(), &seal, &entries) {
                let removed = store.audit_anchor(tenant).await?.is_some_and(|anchor| anchor.number >= seal.number);
                if removed {
                    part.gap = true;
                } else {
                    tracing::error!(%tenant, seal = seal.number, "the audit trail does not hold");
                    part.broken.push(seal.number);
                }
            }
            let told = if seal.number == part.next.0 { std::mem::take(&mut part.next.1) } else { String::new() };
            for entry in entries {
                if entry.id <= told || !webhook.wants(&name(&entry)) {
                    continue;
                }
                let full = part.entries.len() == ENTRIES || bytes + entry.body.len() > BYTES;
                if full && let Some((last, entry)) = part.entries.last() {
                    // Behind the last one that goes along, even where that is under an earlier seal.
                    part.next = (*last, entry.id.clone());
                    part.more = true;
                    return Ok(part);
                }
                bytes += entry.body.len();
                part.entries.push((seal.number, entry));
            }
            part.next = (seal.number + 1, String::new());
            before = Some(seal);
        }
        part.more = part.next.0 <= newest;
        Ok(part)
    }

    /// One request. Why it was not taken, where it was not.
    async fn request(&self, cursor: &AuditCursor, webhook: &AuditWebhook, part: &Part) -> Result<(), String> {
        let app = &self.app;
        let (tenant, id) = (&cursor.tenant, cursor.webhook.as_str());
        let secret = app.master.open(&purpose(tenant, id), &webhook.sealed_secret).map(Secret::new);
        let secret = secret.as_ref().and_then(|secret| std::str::from_utf8(secret.expose()).ok());
        let Some(secret) = secret.and_then(signing_secret).map(Secret::new) else {
            return Err("its secret does not open under this master key".to_owned());
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        let entries: Vec<Value> = part.entries.iter().map(|(seal, entry)| super::told(tenant, *seal, entry)).collect();
        let mut body = json!({ "type": "audit.entries", "tenant": tenant.as_str(), "webhook": id, "entries": entries });
        if part.gap {
            body["gap"] = json!(true);
        }
        if !part.broken.is_empty() {
            body["broken"] = json!(part.broken);
        }
        let body = body.to_string();
        let name = request_id(tenant, id, part);
        let now = app.world.now();
        let headers = [
            ("webhook-signature", sign(&key, &name, now, &body)),
            ("webhook-timestamp", now.to_string()),
            ("idempotency-key", name.clone()),
            ("webhook-id", name),
        ];
        match app.outbound.post_json(&webhook.url, &headers, body).await {
            Ok(200..=299) => Ok(()),
            Ok(status) => Err(format!("the webhook answered with status {status}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Doubles with every failure, and varies by up to a half so that many do not come back together.
    fn pause(&self, tries: i64) -> Seconds {
        let doublings = u32::try_from(tries.clamp(0, 16)).unwrap_or(0);
        let base = (FIRST_PAUSE << doublings).min(LONGEST_PAUSE);
        let mut random = [0; 4];
        self.app.world.random(&mut random);
        base + Seconds::from(u32::from_be_bytes(random)) % (base / 2 + 1)
    }
}

/// The webhook a cursor is of, as it is set now.
fn webhook<'a>(directory: &'a Directory, cursor: &AuditCursor) -> Option<&'a AuditWebhook> {
    directory.tenant(&cursor.tenant)?.tenant.settings.audit.webhooks.get(&cursor.webhook)
}

/// What an entry is about.
fn name(entry: &AuditEntry) -> String {
    let body = serde_json::from_str::<Value>(&entry.body).unwrap_or_default();
    body["event"].as_str().unwrap_or_default().to_owned()
}

/// The same for the same entries, whoever sends them and however often.
fn request_id(tenant: &TenantId, webhook: &str, part: &Part) -> String {
    let mut context = Context::new(&SHA256);
    let place = part.next.0.to_string();
    let entries = part.entries.iter().map(|(_, entry)| entry.id.as_str());
    // Only that something is missing is told at a place.
    let place = part.entries.is_empty().then_some(place.as_str());
    for part in [tenant.as_str(), webhook].into_iter().chain(entries).chain(place) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    format!("audit_{}", &hex(context.finish().as_ref())[..32])
}
