//! Making the store match a tenant file. Owns the difference between the two and the order in which it is made up;
//! removes only what an earlier run of it put there.

use std::collections::HashMap;

use protocol::records::{TenantId, UserId};
use store::{Change, CommitError, DirectoryChange, Store, StoreError, TenantRows};

use super::{TenantFile, TenantPart};
use crate::audit;
use crate::directory::split_url;
use crate::fault::Fault;
use crate::hashing::{Busy, HashError, Hashing};
use crate::keys::{KeyError, MasterKey};
use crate::signin::factors::Unusable;
use crate::world::World;

mod clients;
mod documents;
mod people;

/// Why a file was not applied. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The store does not answer.
    #[error("the store cannot be read or written")]
    Store(#[from] StoreError),
    /// The store refuses a change: something else has what must be unique.
    #[error("{0}: refused, something else has the same login name or credential, or it changed meanwhile; try again")]
    Refused(String),
    /// The file contradicts what the store holds from elsewhere.
    #[error("the file contradicts what is stored: {0}")]
    Conflict(String),
    /// A password or secret cannot be hashed.
    #[error("{what} cannot be hashed")]
    Hash {
        /// Whose.
        what: String,
        /// Why.
        #[source]
        source: HashError,
    },
    /// A signing key cannot be made or read.
    #[error("a signing key of tenant `{tenant}` cannot be had")]
    Key {
        /// The tenant.
        tenant: TenantId,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A factor cannot be enrolled as the file says.
    #[error("enrolment `{id}` cannot be made")]
    Enrolment {
        /// Its id.
        id: String,
        /// Why.
        #[source]
        source: Unusable,
    },
    /// What is remembered of earlier passwords cannot be read.
    #[error("what is remembered of the passwords of user `{user}` cannot be read")]
    Remembered {
        /// Whose.
        user: UserId,
        /// Why.
        #[source]
        source: Fault,
    },
}

/// What applying needs of the world.
struct Bench<'a> {
    store: &'a Store,
    master: &'a MasterKey,
    hashing: &'a Hashing,
    world: &'a World,
    /// Nothing is written, so nothing need be hashed.
    dry_run: bool,
}

/// The changes of one tenant, each with the line that tells of it.
struct Plan {
    tenant: TenantId,
    steps: Vec<(String, DirectoryChange)>,
    /// What follows from them, with the line it follows from.
    beside: Vec<(String, DirectoryChange)>,
}

impl Plan {
    /// Notes a change. `what` reads on after the tenant: "user `X` added".
    fn step(&mut self, what: impl std::fmt::Display, change: DirectoryChange) {
        self.steps.push((format!("{}: {what}", self.tenant), change));
    }

    /// Notes what must be written with the step noted last.
    fn beside(&mut self, changes: impl IntoIterator<Item = Change>) {
        let what = self.steps.last().map(|(what, _)| what.clone()).unwrap_or_default();
        let changes = changes.into_iter().map(|change| DirectoryChange::Also(Box::new(change)));
        self.beside.extend(changes.map(|change| (what.clone(), change)));
    }
}

/// Makes the store match the file, in one transaction over all its tenants; says what changed, a line each. Applied
/// twice, the second time changes nothing and says nothing.
///
/// A tenant that is not in the file is left alone, as is everything in a tenant that no file made. A plain password or
/// secret whose stored hash still matches is left as it is; a signing key that is there is never replaced. With
/// `dry_run` nothing is written, and the lines say what would be.
pub async fn apply(
    store: &Store,
    master: &MasterKey,
    hashing: &Hashing,
    world: &World,
    file: &TenantFile,
    dry_run: bool,
) -> Result<Vec<String>, ApplyError> {
    let bench = Bench { store, master, hashing, world, dry_run };
    let rows = store.load_directory().await?;
    check_authorities(file, &rows.tenants)?;
    let mut stored: HashMap<TenantId, TenantRows> =
        rows.tenants.into_iter().map(|rows| (rows.tenant.id.clone(), rows)).collect();
    let mut plans = Vec::with_capacity(file.tenants.len());
    for part in &file.tenants {
        let plan = plan(&bench, part, stored.remove(&part.tenant.id)).await?;
        if !plan.steps.is_empty() {
            plans.push(plan);
        }
    }
    let mut lines: Vec<String> = Vec::new();
    let mut changes = Vec::new();
    let (mut followed, mut beside) = (Vec::new(), Vec::new());
    for plan in plans {
        let (told, made) = plan.steps.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        lines.extend(told);
        changes.push((plan.tenant.clone(), made));
        let (told, made) = plan.beside.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        followed.extend(told);
        beside.push((plan.tenant, made));
    }
    // Behind the others: a refusal names a change by its position.
    changes.extend(beside);
    if !dry_run && !changes.is_empty() {
        let entries: Vec<_> =
            changes.iter().map(|(tenant, made)| (tenant.clone(), audit::of_directory(world, "apply", made))).collect();
        changes.extend(entries);
        store.change_directories(changes).await.map_err(|error| match error {
            CommitError::Refused { index } => {
                ApplyError::Refused(lines.iter().chain(&followed).nth(index).cloned().unwrap_or_default())
            }
            CommitError::Unavailable(source) => ApplyError::Store(source),
        })?;
    }
    Ok(lines)
}

/// Requests find their tenant by authority: the file may not claim one that a tenant outside of it answers for.
fn check_authorities(file: &TenantFile, stored: &[TenantRows]) -> Result<(), ApplyError> {
    let authority = |url: &str| split_url(url).map(|(_, authority)| authority.to_ascii_lowercase());
    let others = stored.iter().filter(|rows| !file.tenants.iter().any(|part| part.tenant.id == rows.tenant.id));
    for other in others {
        for url in other.tenant.urls.iter().filter_map(|url| authority(url)) {
            let claims = |part: &&TenantPart| part.tenant.urls.iter().any(|own| authority(own).as_ref() == Some(&url));
            if let Some(part) = file.tenants.iter().find(claims) {
                let (own, other) = (&part.tenant.id, &other.tenant.id);
                let message = format!("tenants `{own}` and `{other}` would both answer for `{url}`");
                return Err(ApplyError::Conflict(message));
            }
        }
    }
    Ok(())
}

async fn plan(bench: &Bench<'_>, part: &TenantPart, stored: Option<TenantRows>) -> Result<Plan, ApplyError> {
    let mut plan = Plan { tenant: part.tenant.id.clone(), steps: Vec::new(), beside: Vec::new() };
    let stored = stored.unwrap_or_else(|| TenantRows {
        tenant: protocol::records::Tenant { urls: Vec::new(), ..part.tenant.clone() },
        sources: Vec::new(),
        groups: Vec::new(),
        clients: Vec::new(),
        policies: Vec::new(),
        relying_parties: Vec::new(),
        keys: Vec::new(),
    });
    documents::tenant(bench, &mut plan, part, &stored);
    // What is gone goes first: its login name or credential may be given to another.
    people::remove(bench, &mut plan, part).await?;
    documents::remove(&mut plan, part, &stored)?;
    documents::put(&mut plan, part, &stored);
    people::put(bench, &mut plan, part).await?;
    documents::policies(bench, &mut plan, part, &stored).await?;
    clients::put(bench, &mut plan, part, &stored).await?;
    documents::keys(bench, &mut plan, part, &stored)?;
    Ok(plan)
}

/// A full queue of hashing threads is told like any other failure to hash.
fn busy(what: String) -> impl FnOnce(Busy) -> ApplyError {
    move |busy| ApplyError::Hash { what, source: HashError::Busy(busy) }
}

/// The names of the members in which two records differ, for the line that tells of a change. No values: some are secret.
fn differing(before: &impl serde::Serialize, after: &impl serde::Serialize) -> String {
    let members = |value: serde_json::Result<serde_json::Value>| match value {
        Ok(serde_json::Value::Object(members)) => members,
        Ok(_) | Err(_) => serde_json::Map::new(),
    };
    let (before, after) = (members(serde_json::to_value(before)), members(serde_json::to_value(after)));
    let mut names: Vec<&str> = before.keys().chain(after.keys()).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| before.get(*name) != after.get(*name));
    names.join(", ")
}
