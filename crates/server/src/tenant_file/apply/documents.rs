//! The tenant itself, its sources, groups, relying parties, policies and keys.

use protocol::records::{KeyRecord, Managed, PolicyRecord, Tenant};
use serde_json::Value;
use store::{DirectoryChange, TenantRows};

use super::{ApplyError, Bench, Plan, differing};
use crate::keys;
use crate::policy_document::{Stamp, differs_in_effect, normalise};
use crate::secret::Secret;
use crate::tenant_file::{KeyPart, TenantPart};

/// Who is said to have written a policy that comes from a file.
const ACTOR: &str = "tenant-file";

pub(super) fn tenant(bench: &Bench<'_>, plan: &mut Plan, part: &TenantPart, stored: &TenantRows) {
    let wanted = Tenant {
        managed: Managed {
            sources: part.sources.iter().map(|source| source.id.clone()).collect(),
            groups: part.groups.iter().map(|group| group.id.clone()).collect(),
            clients: part.clients.iter().map(|part| part.client.id.clone()).collect(),
            policies: part.policies.iter().map(|policy| policy.id).collect(),
            relying_parties: part.relying_parties.iter().map(|party| party.id.clone()).collect(),
        },
        ..sealed(bench, part, stored)
    };
    let before = &stored.tenant;
    if *before == wanted {
        return;
    }
    // A stored tenant always answers somewhere.
    let what = if before.urls.is_empty() {
        "tenant added".to_owned()
    } else if (&before.name, &before.urls) == (&wanted.name, &wanted.urls) && before.settings == wanted.settings {
        "list of what the file made changed".to_owned()
    } else if before.settings == wanted.settings {
        format!("tenant changed ({})", differing(&without_lists(before), &without_lists(&wanted)))
    } else {
        let settings = differing(&before.settings, &wanted.settings);
        let others = differing(&without_settings(before), &without_settings(&wanted));
        let comma = if others.is_empty() { "" } else { ", " };
        format!("tenant changed ({others}{comma}settings: {settings})")
    };
    plan.step(what, DirectoryChange::PutTenant(Box::new(wanted)));
}

/// The tenant with the secrets of its identity providers and webhooks sealed. What is sealed already stays as it is, so that nothing
/// changes where nothing changed.
fn sealed(bench: &Bench<'_>, part: &TenantPart, stored: &TenantRows) -> Tenant {
    let mut tenant = part.tenant.clone();
    let seal = |purpose: &str, secret: &Secret<String>, before: Option<&Vec<u8>>| {
        let same = |sealed: &&Vec<u8>| {
            let opened = bench.master.open(purpose, sealed).map(Secret::new);
            opened.is_some_and(|opened| opened == Secret::new(secret.expose().as_bytes().to_vec()))
        };
        before.filter(same).cloned().unwrap_or_else(|| bench.master.seal(purpose, secret.expose().as_bytes()))
    };
    let before = &stored.tenant.settings;
    for (id, secret) in &part.provider_secrets {
        let Some(provider) = tenant.settings.identity_providers.get_mut(id) else { continue };
        let purpose = crate::signin::upstream::purpose(&tenant.id, id);
        let before = before.identity_providers.get(id).map(|before| &before.sealed_secret);
        provider.sealed_secret = seal(&purpose, secret, before);
    }
    for (id, secret) in &part.webhook_secrets {
        let Some(webhook) = tenant.settings.audit.webhooks.get_mut(id) else { continue };
        let purpose = crate::audit::tell::purpose(&tenant.id, id);
        let before = before.audit.webhooks.get(id).map(|before| &before.sealed_secret);
        webhook.sealed_secret = seal(&purpose, secret, before);
    }
    tenant
}

fn without_lists(tenant: &Tenant) -> Tenant {
    Tenant { managed: Managed::default(), ..tenant.clone() }
}

fn without_settings(tenant: &Tenant) -> Tenant {
    Tenant { settings: protocol::records::TenantSettings::default(), ..without_lists(tenant) }
}

/// Removes what an earlier file made and this one no longer names.
pub(super) fn remove(plan: &mut Plan, part: &TenantPart, stored: &TenantRows) -> Result<(), ApplyError> {
    let managed = &stored.tenant.managed;
    for client in &stored.clients {
        if managed.clients.contains(&client.id) && !part.clients.iter().any(|part| part.client.id == client.id) {
            let id = client.id.clone();
            plan.step(format_args!("client `{id}` removed"), DirectoryChange::RemoveClient(id.clone()));
        }
    }
    for policy in &stored.policies {
        if managed.policies.contains(&policy.id) && !part.policies.iter().any(|part| part.id == policy.id) {
            let id = policy.id;
            if let Some(user) = stored.clients.iter().find(|client| {
                client.policy == Some(id)
                    && !managed.clients.contains(&client.id)
                    && !part.clients.iter().any(|part| part.client.id == client.id)
            }) {
                let message = format!("policy `{id}` would go, but client `{}` uses it", user.id);
                return Err(ApplyError::Conflict(message));
            }
            plan.step(format_args!("policy `{id}` removed"), DirectoryChange::RemovePolicy(id));
        }
    }
    for party in &stored.relying_parties {
        let named = part.relying_parties.iter().any(|part| part.id == party.id);
        if managed.relying_parties.contains(&party.id) && !named {
            let id = party.id.clone();
            plan.step(format_args!("relying party `{id}` removed"), DirectoryChange::RemoveRelyingParty(id.clone()));
        }
    }
    for group in &stored.groups {
        if managed.groups.contains(&group.id) && !part.groups.iter().any(|part| part.id == group.id) {
            let id = group.id.clone();
            plan.step(format_args!("group `{id}` removed"), DirectoryChange::RemoveGroup(id.clone()));
        }
    }
    for source in &stored.sources {
        if managed.sources.contains(&source.id) && !part.sources.iter().any(|part| part.id == source.id) {
            let id = source.id.clone();
            plan.step(format_args!("identity source `{id}` removed"), DirectoryChange::RemoveSource(id.clone()));
        }
    }
    Ok(())
}

/// Adds or changes sources, groups and relying parties.
pub(super) fn put(plan: &mut Plan, part: &TenantPart, stored: &TenantRows) {
    for source in &part.sources {
        let before = stored.sources.iter().find(|stored| stored.id == source.id);
        if let Some(what) = difference(before, source) {
            let what = format!("identity source `{}` {what}", source.id);
            plan.step(what, DirectoryChange::PutSource(source.clone()));
        }
    }
    for group in &part.groups {
        let before = stored.groups.iter().find(|stored| stored.id == group.id);
        if let Some(what) = difference(before, group) {
            plan.step(format_args!("group `{}` {what}", group.id), DirectoryChange::PutGroup(group.clone()));
        }
    }
    for party in &part.relying_parties {
        let before = stored.relying_parties.iter().find(|stored| stored.id == party.id);
        if let Some(what) = difference(before, party) {
            let what = format!("relying party `{}` {what}", party.id);
            plan.step(what, DirectoryChange::PutRelyingParty(party.clone()));
        }
    }
}

/// `added`, `changed (…)`, or nothing.
pub(super) fn difference<T: PartialEq + serde::Serialize>(before: Option<&T>, after: &T) -> Option<String> {
    match before {
        None => Some("added".to_owned()),
        Some(before) if before == after => None,
        Some(before) => Some(format!("changed ({})", differing(before, after))),
    }
}

/// Adds policies, and new revisions of those that decide otherwise now.
pub(super) async fn policies(
    bench: &Bench<'_>,
    plan: &mut Plan,
    part: &TenantPart,
    stored: &TenantRows,
) -> Result<(), ApplyError> {
    let now = bench.world.now();
    for policy in &part.policies {
        let id = policy.id;
        let before = stored.policies.iter().find(|record| record.id == id);
        let meta = before.and_then(|record| record.document.get("meta"));
        let written = |revision| normalise(&policy.document, meta, Stamp { id, revision, now, actor: ACTOR });
        let document = written(before.map_or(1, |record| record.revision));
        let (what, record) = match before {
            Some(record) if lasting(&record.document) == lasting(&document) => continue,
            // Names and descriptions may change under a sign-in that has begun; what is decided may not.
            Some(record) if !differs_in_effect(&record.document, &document) => {
                ("changed (in words only)".to_owned(), PolicyRecord { document, ..record.clone() })
            }
            Some(_) | None => {
                let revisions = bench.store.policy_revisions(&plan.tenant, id).await?;
                let revision = revisions.iter().map(|record| record.revision).max().unwrap_or(0) + 1;
                let what = if revision == 1 { "added".to_owned() } else { format!("changed (revision {revision})") };
                (what, PolicyRecord { id, revision, primary: true, document: written(revision) })
            }
        };
        plan.step(format_args!("policy `{id}` {what}"), DirectoryChange::PutPolicy(record));
    }
    Ok(())
}

/// A document without what says only when and by whom it was written.
fn lasting(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(Value::Object(meta)) = document.get_mut("meta") {
        for member in ["modified", "modifiedBy", "lastActive", "created", "createdBy", "referencedBy", "revision"] {
            meta.remove(member);
        }
    }
    document
}

/// Makes or takes in keys of algorithms nothing will sign with in future, and keys for others to encrypt to. Keys that are there are
/// rotated, not replaced.
pub(super) fn keys(
    bench: &Bench<'_>,
    plan: &mut Plan,
    part: &TenantPart,
    stored: &TenantRows,
) -> Result<(), ApplyError> {
    let now = bench.world.now();
    let tenant = plan.tenant.clone();
    for KeyPart { alg, decrypts, kid, pkcs8 } in &part.keys {
        let known = |kid: &str| stored.keys.iter().any(|record| record.kid == kid);
        let lasts =
            |record: &KeyRecord| record.alg == *alg && record.decrypts == *decrypts && record.signs_until.is_none();
        if stored.keys.iter().any(lasts) {
            continue;
        }
        let made = match (kid, pkcs8) {
            (Some(kid), Some(pkcs8)) if *decrypts => {
                keys::import_decryption(bench.master, &tenant, *alg, kid, pkcs8.expose(), now).map(|key| vec![key])
            }
            _ if *decrypts => keys::generate_decryption(bench.master, &tenant, *alg, now).map(|key| vec![key]),
            (Some(kid), _) if known(kid) => keys::missing(&stored.keys, bench.master, &tenant, &[*alg], now),
            (Some(kid), Some(pkcs8)) => {
                keys::import(bench.master, &tenant, *alg, kid, pkcs8.expose(), now).map(|key| vec![key])
            }
            (Some(kid), None) => keys::generate(bench.master, &tenant, *alg, Some(kid), now).map(|key| vec![key]),
            (None, _) => keys::missing(&stored.keys, bench.master, &tenant, &[*alg], now),
        };
        let made = made.map_err(|source| ApplyError::Key { tenant: tenant.clone(), source })?;
        for key in made {
            plan.step(format!("key `{}` added", key.kid), DirectoryChange::PutKey(key));
        }
    }
    Ok(())
}
