//! The tenants' configuration in memory: what every request looks at first.
//!
//! Owns the snapshot ([`Directory`], [`TenantView`]), how a request finds its tenant, and when the snapshot is replaced
//! ([`Directories`]). People and enrolments are not part of it, there may be millions; it writes nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use engine::FactorKind;
use engine::policy::Policy;
use protocol::records::{
    Client, ClientId, Group, GroupId, KeyRecord, PolicyRecord, RelyingParty, Source, Tenant, TenantId,
};

use crate::keys::KeyRing;

mod administrators;
mod authority;
mod documents;
mod holder;
mod view;

pub use administrators::OVER_ADMINISTRATORS;
pub use authority::split_url;
pub use documents::Documents;
pub use holder::{Directories, DirectoryError};
pub use store::DirectoryChange;
pub use view::offered;

/// The configuration of all tenants as of one version of the store. Never changes: a newer one takes its place.
#[derive(Debug)]
pub struct Directory {
    /// The version of the store it was read at.
    pub version: i64,
    /// Every tenant.
    pub tenants: HashMap<TenantId, Arc<TenantView>>,
    by_authority: HashMap<Box<str>, Site>,
}

/// Where a request for one authority belongs.
#[derive(Debug)]
struct Site {
    tenant: Arc<TenantView>,
    base: Box<str>,
}

/// The configuration of one tenant, parsed and ready to use.
#[derive(Debug)]
pub struct TenantView {
    /// The tenant itself with its settings.
    pub tenant: Tenant,
    /// Its identity sources, in the order of their ids.
    pub sources: Vec<Source>,
    /// Its groups.
    pub groups: HashMap<GroupId, Group>,
    /// Its clients.
    pub clients: HashMap<ClientId, Arc<Client>>,
    /// The primary revision of each policy. A policy that is attached somewhere but absent here could not be read:
    /// whatever asks for it must deny.
    pub policies: HashMap<i64, Arc<Policy>>,
    /// The documents those were parsed from, by id.
    pub policy_records: BTreeMap<i64, Arc<PolicyRecord>>,
    /// Its WebAuthn relying parties, in the order of their ids.
    pub relying_parties: Vec<RelyingParty>,
    /// Its signing keys.
    pub keys: Arc<KeyRing>,
    /// The sealed records of those keys, for rotation.
    pub key_records: Vec<KeyRecord>,
    /// The kinds of factor that are switched on, in the order of [`FactorKind::ALL`].
    pub offered: Vec<FactorKind>,
    /// Its metadata, as it was last written.
    pub documents: Documents,
}

impl Directory {
    /// The directory of a server without tenants.
    pub fn empty() -> Self {
        Self::new(0, HashMap::new())
    }

    fn new(version: i64, tenants: HashMap<TenantId, Arc<TenantView>>) -> Self {
        let mut by_authority = HashMap::new();
        // In the order of ids, so that should two tenants claim one authority every node answers alike.
        let mut ordered: Vec<_> = tenants.values().collect();
        ordered.sort_by(|a, b| a.tenant.id.cmp(&b.tenant.id));
        for view in ordered {
            for base in &view.tenant.urls {
                for key in authority::keys(base) {
                    by_authority
                        .entry(key)
                        .or_insert_with(|| Site { tenant: Arc::clone(view), base: base.as_str().into() });
                }
            }
        }
        Self { version, tenants, by_authority }
    }

    /// The tenant that answers for `authority` (`host` or `host:port`, as in `Host` or `:authority`), and the base URL
    /// it was asked under. Case does not count and the port that goes without saying may be said.
    pub fn resolve(&self, authority: &str) -> Option<(Arc<TenantView>, &str)> {
        let mut buffer = [0; authority::LONGEST];
        let site = self.by_authority.get(authority::fold(authority, &mut buffer)?)?;
        Some((Arc::clone(&site.tenant), &site.base))
    }

    /// A tenant by its identifier.
    pub fn tenant(&self, id: &TenantId) -> Option<&Arc<TenantView>> {
        self.tenants.get(id)
    }
}

impl TenantView {
    /// A client by its `client_id`, enabled or not.
    pub fn client(&self, id: &str) -> Option<&Arc<Client>> {
        self.clients.get(id)
    }

    /// The policy of clients to which none is attached, where the tenant has one.
    pub fn default_policy(&self) -> Option<&Arc<Policy>> {
        let marked = |record: &Arc<PolicyRecord>| record.document["meta"]["tenantDefaultPolicy"] == true;
        let (id, _) = self.policy_records.iter().find(|(_, record)| marked(record))?;
        self.policies.get(id)
    }

    /// A group by its identifier or, failing that, its name.
    pub fn group(&self, id_or_name: &str) -> Option<&Group> {
        self.groups.get(id_or_name).or_else(|| self.groups.values().find(|group| group.name == id_or_name))
    }

    /// An identity source by its identifier.
    pub fn source(&self, id: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.id.as_str() == id)
    }

    /// A relying party by its identifier.
    pub fn relying_party(&self, id: &str) -> Option<&RelyingParty> {
        self.relying_parties.iter().find(|party| party.id.as_str() == id)
    }
}
