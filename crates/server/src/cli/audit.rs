//! `audit`: the trail exported, and checked.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::{Args, Subcommand};
use protocol::records::{Seconds, TenantId};
use serde_json::{Value, json};
use store::{AuditAnchor, AuditSeal, Store};

use super::{Configured, Failure, block_on, print};
use crate::app::Ground;
use crate::audit::{self, seal};
use crate::tokens::hex;

/// Rows read at once.
const PAGE: i64 = 500;

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Print entries and the seals over them, a JSON object a line, the oldest first; before them, what was removed as `keep_days` says
    #[command(after_help = "Examples:\n  countersign audit export --config server.toml > trail.jsonl\n  \
                            countersign audit export --config server.toml --tenant acme --since 2026-11-01T00:00:00Z")]
    Export(Export),
    /// Recompute every seal; fails where an entry was changed, taken out or slipped in
    #[command(after_help = "What was removed as `keep_days` says is not missing; what was removed otherwise is.\n\n\
                            Example:\n  countersign audit verify --config server.toml")]
    Verify(Verify),
    /// Tell how far each webhook was told, and how many failures there were since
    #[command(after_help = "Example:\n  countersign audit webhooks --config server.toml --tenant acme")]
    Webhooks(Verify),
}

#[derive(Args)]
pub(super) struct Export {
    #[command(flatten)]
    configured: Configured,
    /// Only this tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Only what happened since then (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<jiff::Timestamp>,
}

#[derive(Args)]
pub(super) struct Verify {
    #[command(flatten)]
    configured: Configured,
    /// Only this tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
}

pub(super) fn run(command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Export(command) => export(command),
        AuditCommand::Verify(command) => verify(command),
        AuditCommand::Webhooks(command) => webhooks(command),
    }
}

fn export(command: &Export) -> Result<(), Failure> {
    let config = command.configured.load()?;
    let since = command.since.map_or(0, jiff::Timestamp::as_second);
    block_on(async {
        let ground = Ground::open(&config, false).await?;
        for tenant in tenants(&ground.store, command.tenant.as_deref()).await? {
            let mut number = 0;
            if let Some(anchor) = ground.store.audit_anchor(&tenant).await? {
                number = anchor.number;
                if anchor.at >= since {
                    line(&told_anchor(&tenant, &anchor))?;
                }
            }
            loop {
                let seals = ground.store.audit_seals(&tenant, number, PAGE).await?;
                let Some(last) = seals.last() else { break };
                number = last.number;
                // What is under a seal happened before it was set.
                for seal in seals.iter().filter(|seal| seal.at >= since) {
                    entries(&ground.store, &tenant, seal.number, since).await?;
                    line(&told_seal(&tenant, seal))?;
                }
            }
            entries(&ground.store, &tenant, 0, since).await?;
        }
        ground.store.close().await;
        Ok(())
    })
}

async fn entries(store: &Store, tenant: &TenantId, seal: i64, since: Seconds) -> Result<(), Failure> {
    let mut after = String::new();
    loop {
        let page = store.audit_entries(tenant, seal, &after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.id);
        for entry in page.iter().filter(|entry| entry.at >= since) {
            line(&audit::told(tenant, seal, entry))?;
        }
    }
}

fn told_seal(tenant: &TenantId, seal: &AuditSeal) -> Value {
    json!({
        "tenant": tenant.as_str(),
        "seal": seal.number,
        "at": seal.at,
        "entries": seal.entries,
        "hash": hex(&seal.hash),
        "mac": hex(&seal.mac),
    })
}

/// What was removed because of its age, and what the first seal that is left is chained to.
fn told_anchor(tenant: &TenantId, anchor: &AuditAnchor) -> Value {
    json!({
        "tenant": tenant.as_str(),
        "removed": anchor.number,
        "at": anchor.at,
        "entries": anchor.entries,
        "hash": hex(&anchor.hash),
        "mac": hex(&anchor.mac),
    })
}

fn line(value: &Value) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}").map_err(Failure::Output)
}

fn verify(command: &Verify) -> Result<(), Failure> {
    let config = command.configured.load()?;
    block_on(async {
        let ground = Ground::open(&config, false).await?;
        let mut text = String::new();
        for tenant in tenants(&ground.store, command.tenant.as_deref()).await? {
            let found = seal::verify(&ground.store, &ground.master, &tenant).await?;
            let found = found.map_err(|broken| {
                Failure::Told(format!(
                    "the audit trail of `{tenant}` does not hold: {broken}; compare it with an export or a backup"
                ))
            })?;
            // Writing to a text does not fail.
            let _ = writeln!(
                text,
                "{tenant}: {} entries under {} seals hold, {} wait for one",
                found.sealed, found.seals, found.waiting
            );
            if found.removed > 0 {
                let _ = writeln!(text, "{tenant}: {} older ones were removed, as `keep_days` says", found.removed);
            }
        }
        ground.store.close().await;
        print(&text)
    })
}

fn webhooks(command: &Verify) -> Result<(), Failure> {
    let config = command.configured.load()?;
    block_on(async {
        let ground = Ground::open(&config, false).await?;
        let mut text = String::new();
        for tenant in tenants(&ground.store, command.tenant.as_deref()).await? {
            let newest = ground.store.audit_last_seal(&tenant).await?.map_or(0, |seal| seal.number);
            for cursor in ground.store.audit_cursors(&tenant).await? {
                let (webhook, told) = (&cursor.webhook, cursor.seal - 1);
                // Writing to a text does not fail.
                let _ = writeln!(
                    text,
                    "{tenant}: `{webhook}` was told everything up to seal {told} of {newest}; failures since: {}",
                    cursor.tries
                );
            }
        }
        ground.store.close().await;
        print(&text)
    })
}

/// The tenants meant. A trail outlives its tenant, so one that is named need not exist any more.
async fn tenants(store: &Store, named: Option<&str>) -> Result<Vec<TenantId>, Failure> {
    match named {
        Some(named) => Ok(vec![TenantId::from(named)]),
        None => Ok(store.load_directory().await?.tenants.into_iter().map(|rows| rows.tenant.id).collect()),
    }
}
