//! Clients and their secrets.

use protocol::records::{Client, ClientSecret};
use store::{DirectoryChange, TenantRows};

use super::documents::difference;
use super::{ApplyError, Bench, Plan, busy};
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
            ..wanted.client.clone()
        };
        if let Some(what) = difference(before, &client) {
            let what = format!("client `{}` {what}", client.id);
            plan.step(what, DirectoryChange::PutClient(Box::new(client)));
        }
    }
    Ok(())
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
