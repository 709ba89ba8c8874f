//! `audit`: the trail exported, and checked.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::{Args, Subcommand};
use protocol::records::{Seconds, TenantId};
use serde_json::{Value, json};
use store::{AuditEntry, AuditSeal, Store};

use super::{Configured, Failure, block_on, print};
use crate::app::Ground;
use crate::audit::seal;
use crate::tokens::hex;

/// Rows read at once.
const PAGE: i64 = 500;

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Print entries and the seals over them, a JSON object a line, the oldest first
    #[command(after_help = "Examples:\n  countersign audit export --config server.toml > trail.jsonl\n  \
                            countersign audit export --config server.toml --tenant acme --since 2026-11-01T00:00:00Z")]
    Export(Export),
    /// Recompute every seal; fails where an entry was changed, taken out or slipped in
    #[command(after_help = "Example:\n  countersign audit verify --config server.toml")]
    Verify(Verify),
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
    }
}

fn export(command: &Export) -> Result<(), Failure> {
    let config = command.configured.load()?;
    let since = command.since.map_or(0, jiff::Timestamp::as_second);
    block_on(async {
        let ground = Ground::open(&config, false).await?;
        for tenant in tenants(&ground.store, command.tenant.as_deref()).await? {
            let mut number = 0;
            loop {
                let seals = ground.store.audit_seals(&tenant, number, PAGE).await?;
                let Some(last) = seals.last() else { break };
                number = last.number;
                // What is under a seal happened before it was set.
                for seal in seals.iter().filter(|seal| seal.at >= since) {
                    entries(&ground.store, &tenant, seal.number, since).await?;
                    line(&told(&tenant, seal))?;
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
            line(&told_entry(tenant, seal, entry))?;
        }
    }
}

fn told_entry(tenant: &TenantId, seal: i64, entry: &AuditEntry) -> Value {
    let body = serde_json::from_str::<Value>(&entry.body).unwrap_or_else(|_| json!(entry.body));
    json!({
        "tenant": tenant.as_str(),
        "id": entry.id,
        "at": entry.at,
        "time": jiff::Timestamp::from_second(entry.at).ok().map(|at| at.to_string()),
        "seal": (seal > 0).then_some(seal),
        "entry": body,
    })
}

fn told(tenant: &TenantId, seal: &AuditSeal) -> Value {
    json!({
        "tenant": tenant.as_str(),
        "seal": seal.number,
        "at": seal.at,
        "entries": seal.entries,
        "hash": hex(&seal.hash),
        "mac": hex(&seal.mac),
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
