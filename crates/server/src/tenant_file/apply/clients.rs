//! Clients and their secrets.

use protocol::idcs::roles::AppRole;
use protocol::records::{Client, ClientSecret};
use store::{DirectoryChange, TenantRows};

use super::documents::difference;
use super::{ApplyError, Bench, Plan, busy};
use crate::oauth::oracle::page_key::PageKey;
use crate::tenant_file::{ClientPart, SecretPart, TenantPart};

/// Adds and changes clients.
pub(super) async fn put(
    bench: &Bench<'_>,
    plan: &mut Plan,
    part: &TenantPart,
    stored: &TenantRows,
) -> Result<(), ApplyError> {
    for wanted in &part.clients {
        let before = stored.clients.iter().find(|client| client.id == wanted.client.id);
        let client = Client {
            secrets: secrets(bench, wanted, before.map_or(&[], |client| &client.secrets)).await?,
            not_before: before.map_or(0, |client| client.not_before),
            page_key: page_key(bench, part, wanted, before.map_or(&[], |client| &client.page_key)),
            ..wanted.client.clone()
        };
        if let Some(what) = difference(before, &client) {
            let what = format!("client `{}` {what}", client.id);
            plan.step(what, DirectoryChange::PutClient(Box::new(client)));
        }
    }
    Ok(())
}

/// What sign-in pages are told of newcomers with: kept of clients that run one and whose secret is in clear. What is sealed already stays
/// as long as it is made of the same secret.
fn page_key(bench: &Bench<'_>, part: &TenantPart, wanted: &ClientPart, stored: &[u8]) -> Vec<u8> {
    let Some(SecretPart::Plain(plain)) = &wanted.secret else { return Vec::new() };
    if !wanted.client.app_roles.contains(&AppRole::Signin) {
        return Vec::new();
    }
    let (tenant, client) = (&part.tenant.id, &wanted.client.id);
    let kept = PageKey::open(bench.master, tenant, client, stored).filter(|kept| kept.is_of(plain.expose()));
    match kept {
        Some(_) => stored.to_vec(),
        None => PageKey::of(bench.world, plain.expose()).seal(bench.master, tenant, client),
    }
}

/// The secrets to store: as they are where the current one is the file's, with those being phased out; else only the file's.
async fn secrets(
    bench: &Bench<'_>,
    wanted: &ClientPart,
    stored: &[ClientSecret],
) -> Result<Vec<ClientSecret>, ApplyError> {
    let what = || format!("the secret of client `{}`", wanted.client.id);
    let current = stored.first();
    match &wanted.secret {
        None => Ok(Vec::new()),
        Some(SecretPart::Sha256(sha256)) => Ok(match current {
            Some(ClientSecret::Generated { sha256: stored_hash, expires: None }) if stored_hash == sha256 => {
                stored.to_vec()
            }
            Some(_) | None => vec![ClientSecret::Generated { sha256: sha256.clone(), expires: None }],
        }),
        Some(SecretPart::Plain(plain)) => {
            if let Some(ClientSecret::Chosen { phc, expires: None }) = current
                && bench.hashing.verify(phc, plain.clone()).await.map_err(busy(what()))?
            {
                return Ok(stored.to_vec());
            }
            let phc = if bench.dry_run {
                String::new()
            } else {
                let hash = bench.hashing.hash(plain.clone()).await;
                hash.map_err(|source| ApplyError::Hash { what: what(), source })?
            };
            Ok(vec![ClientSecret::Chosen { phc, expires: None }])
        }
    }
}
