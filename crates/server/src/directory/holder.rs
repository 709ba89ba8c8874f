//! The one place the current snapshot is kept, and where it is replaced. Owns when the store is read again.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use engine::PolicyRef;
use engine::policy::Policy;
use protocol::records::{PolicyRecord, TenantId};
use quick_cache::sync::Cache;
use store::{CommitError, DirectoryChange, DirectoryRows, Store, StoreError};
use tokio::sync::Mutex;

use super::{Directory, TenantView, view};
use crate::keys::{KeyError, MasterKey};

/// Older revisions of policies kept parsed, over all tenants: those that sign-ins under way began with.
const OLDER_REVISIONS: usize = 512;

/// Why the configuration of the tenants, or a part of it, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The store does not answer.
    #[error("the tenants cannot be read")]
    Store(#[from] StoreError),
    /// The signing keys of a tenant cannot be used.
    #[error("the signing keys of tenant `{tenant}` cannot be used")]
    Keys {
        /// The tenant.
        tenant: TenantId,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A stored policy is no policy.
    #[error("revision {revision} of policy {id} of tenant `{tenant}` is not a policy: {problem}")]
    Policy {
        /// The tenant.
        tenant: TenantId,
        /// The policy.
        id: i64,
        /// The revision.
        revision: i64,
        /// The first thing wrong with it.
        problem: String,
    },
}

/// Holds the current [`Directory`] and replaces it when the store changed.
pub struct Directories {
    store: Store,
    master: Arc<MasterKey>,
    current: ArcSwap<Directory>,
    older: Cache<(TenantId, i64, i64), Arc<Policy>>,
    /// One refresh at a time, or a slow one could put an older snapshot over a newer.
    refreshing: Mutex<()>,
}

impl Directories {
    /// Reads every tenant. Fails if the store does not answer or a tenant's keys do not open: a server with the wrong
    /// master key must not start.
    pub async fn load(store: Store, master: Arc<MasterKey>) -> Result<Self, DirectoryError> {
        let rows = store.load_directory().await?;
        let mut tenants = HashMap::with_capacity(rows.tenants.len());
        for tenant in rows.tenants {
            let view = view::build(tenant, &master, None)?;
            tenants.insert(view.tenant.id.clone(), Arc::new(view));
        }
        Ok(Self {
            current: ArcSwap::from_pointee(Directory::new(rows.version, tenants)),
            older: Cache::new(OLDER_REVISIONS),
            refreshing: Mutex::new(()),
            store,
            master,
        })
    }

    /// The snapshot of this moment. A request takes it once and keeps it, so that it sees one configuration throughout.
    pub fn current(&self) -> Arc<Directory> {
        self.current.load_full()
    }

    /// Replaces the snapshot if the store has a newer one; says whether it did. To be called a few times a second, and
    /// by whoever has just changed the configuration and wants it in force at once.
    pub async fn refresh_if_changed(&self) -> Result<bool, DirectoryError> {
        if self.store.directory_version().await? == self.current.load().version {
            return Ok(false);
        }
        let _one_at_a_time = self.refreshing.lock().await;
        let before = self.current();
        let rows = self.store.load_directory().await?;
        if rows.version == before.version {
            return Ok(false);
        }
        self.current.store(Arc::new(self.rebuild(rows, &before)));
        Ok(true)
    }

    /// The snapshot of what the store has now, for who will write what they make of it. A request may have an older one.
    pub async fn latest(&self) -> Result<Arc<Directory>, DirectoryError> {
        self.refresh_if_changed().await?;
        Ok(self.current())
    }

    /// Makes changes of one tenant's configuration, all or none, and has them in force on this node at once. Says whether they
    /// were made: with `read`, what they were made of, only where nobody has changed anything since.
    pub async fn change(
        &self,
        read: Option<&Directory>,
        tenant: &TenantId,
        changes: Vec<DirectoryChange>,
    ) -> Result<bool, DirectoryError> {
        let done = match read {
            Some(read) => self.store.change_directory_at(read.version, tenant, changes).await,
            None => self.store.change_directory(tenant, changes).await,
        };
        match done {
            Ok(()) => {
                self.refresh_if_changed().await?;
                Ok(true)
            }
            Err(CommitError::Refused { .. }) => Ok(false),
            Err(CommitError::Unavailable(error)) => Err(error.into()),
        }
    }

    /// Every revision of a policy as it is stored now, the oldest first; empty if there is no such policy.
    pub async fn policy_revisions(&self, tenant: &TenantId, id: i64) -> Result<Vec<PolicyRecord>, DirectoryError> {
        Ok(self.store.policy_revisions(tenant, id).await?)
    }

    /// One revision of a policy as it is stored now.
    pub async fn policy_revision(
        &self,
        tenant: &TenantId,
        id: i64,
        revision: i64,
    ) -> Result<Option<PolicyRecord>, DirectoryError> {
        Ok(self.store.policy_revision(tenant, id, revision).await?)
    }

    fn rebuild(&self, rows: DirectoryRows, before: &Directory) -> Directory {
        let mut tenants: HashMap<TenantId, Arc<TenantView>> = HashMap::with_capacity(rows.tenants.len());
        for tenant in rows.tenants {
            let id = tenant.tenant.id.clone();
            match view::build(tenant, &self.master, before.tenants.get(&id).map(Arc::as_ref)) {
                Ok(view) => {
                    tenants.insert(id, Arc::new(view));
                }
                Err(fault) => {
                    let fault: &dyn std::error::Error = &fault;
                    tracing::error!(tenant = %id, fault, "a new tenant cannot be served");
                }
            }
        }
        Directory::new(rows.version, tenants)
    }

    /// The revision of a policy that a sign-in began with; none if it was never there or is gone. What asks must then deny.
    pub async fn policy_at(
        &self,
        tenant: &TenantId,
        reference: PolicyRef,
    ) -> Result<Option<Arc<Policy>>, DirectoryError> {
        if let Some(view) = self.current.load().tenants.get(tenant)
            && let Some(policy) = view.policies.get(&reference.id)
            && policy.revision == reference.revision
        {
            return Ok(Some(Arc::clone(policy)));
        }
        let key = (tenant.clone(), reference.id, reference.revision);
        if let Some(policy) = self.older.get(&key) {
            return Ok(Some(policy));
        }
        let Some(record) = self.store.policy_revision(tenant, reference.id, reference.revision).await? else {
            return Ok(None);
        };
        let policy = view::parse(tenant, &record)?;
        self.older.insert(key, Arc::clone(&policy));
        Ok(Some(policy))
    }
}
