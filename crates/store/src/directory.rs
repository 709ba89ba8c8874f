//! The configuration of tenants: a document for each entity, and one version that grows with every change of any.
//! People and enrolments are changed here too, in the same transaction, but never loaded: there may be millions.

use std::collections::BTreeMap;

use protocol::records::{
    Client, ClientId, Enrolment, EnrolmentId, Group, GroupId, KeyRecord, PolicyRecord, RelyingParty, RelyingPartyId,
    Source, SourceId, Tenant, TenantId, User, UserId,
};

use crate::Store;
use crate::audit::{self, AuditEntry};
use crate::change::Change;
use crate::error::{CommitError, StoreError};
use crate::op::Op;
use crate::people;
use crate::value::{Row, Value};
use crate::write::{self, fold, index_attributes, json};

/// A change of the directory of one tenant. A `Put` adds or replaces, a `Remove` of what is not there does nothing.
#[derive(Clone, Debug)]
pub enum DirectoryChange {
    /// The tenant itself. Its id is that of the call.
    PutTenant(Box<Tenant>),
    /// The tenant and everything it has, issued tokens and people included.
    RemoveTenant,
    /// An identity source.
    PutSource(Source),
    /// An identity source is gone.
    RemoveSource(SourceId),
    /// A group.
    PutGroup(Group),
    /// A group is gone.
    RemoveGroup(GroupId),
    /// A client.
    PutClient(Box<Client>),
    /// A client is gone.
    RemoveClient(ClientId),
    /// A revision of a policy. Where it is primary, the other revisions no longer are.
    PutPolicy(PolicyRecord),
    /// A further revision of a policy, or the first of a new one. Refused if it exists.
    AddPolicy(PolicyRecord),
    /// A policy is gone, with every revision.
    RemovePolicy(i64),
    /// One revision of a policy is gone.
    RemovePolicyRevision {
        /// The policy.
        id: i64,
        /// The revision.
        revision: i64,
    },
    /// A WebAuthn relying party.
    PutRelyingParty(RelyingParty),
    /// A WebAuthn relying party is gone.
    RemoveRelyingParty(RelyingPartyId),
    /// A signing key.
    PutKey(KeyRecord),
    /// A signing key is gone, by `kid`.
    RemoveKey(String),
    /// A person, whether new or not. `created` of one that exists stays, and `not_before` never goes back. Refused if another has the
    /// login name.
    PutUser {
        /// The person.
        user: User,
        /// Whether it was made by the tenant file, which then may remove it.
        managed: bool,
    },
    /// One more entry of the audit trail.
    Audit(AuditEntry),
    /// A person is gone, with enrolments and documents; grants and tokens are dead.
    RemoveUser(UserId),
    /// What else is changed with it of what people have: in the same transaction.
    Also(Box<Change>),
    /// An enrolment, whether new or not. Its version grows by itself. Refused if another has the lookup key.
    PutEnrolment {
        /// The enrolment.
        enrolment: Enrolment,
        /// Whether it was made by the tenant file, which then may remove it.
        managed: bool,
    },
    /// An enrolment is gone.
    RemoveEnrolment(EnrolmentId),
}

/// The configuration of all tenants at one version.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectoryRows {
    /// The version it was read at.
    pub version: i64,
    /// The tenants, by id.
    pub tenants: Vec<TenantRows>,
}

/// The configuration of a tenant; each list by id.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantRows {
    /// The tenant.
    pub tenant: Tenant,
    /// Identity sources.
    pub sources: Vec<Source>,
    /// Groups.
    pub groups: Vec<Group>,
    /// Clients.
    pub clients: Vec<Client>,
    /// Policies: the primary revision of each.
    pub policies: Vec<PolicyRecord>,
    /// WebAuthn relying parties.
    pub relying_parties: Vec<RelyingParty>,
    /// Signing keys.
    pub keys: Vec<KeyRecord>,
}

const VERSION: &str = "SELECT version FROM directory_state WHERE id = 1";
const BUMP: &str = "UPDATE directory_state SET version = version + 1 WHERE id = 1";
const PUT_TENANT: &str = "INSERT INTO tenants (id, document) VALUES ($1, $2) \
     ON CONFLICT (id) DO UPDATE SET document = excluded.document";
const TENANTS: &str = "SELECT id, document FROM tenants ORDER BY id";

/// The three statements of each kind of document.
struct Documents {
    put: &'static str,
    remove: &'static str,
    all: &'static str,
}

macro_rules! documents {
    ($($name:ident: $table:literal),* $(,)?) => {$(
        const $name: Documents = Documents {
            put: concat!(
                "INSERT INTO ", $table, " (tenant, id, document) VALUES ($1, $2, $3) ",
                "ON CONFLICT (tenant, id) DO UPDATE SET document = excluded.document"
            ),
            remove: concat!("DELETE FROM ", $table, " WHERE tenant = $1 AND id = $2"),
            all: concat!("SELECT tenant, document FROM ", $table, " ORDER BY tenant, id"),
        };
    )*};
}

documents! {
    SOURCES: "sources",
    GROUPS: "user_groups",
    CLIENTS: "clients",
    RELYING_PARTIES: "relying_parties",
    KEYS: "signing_keys",
}

const PUT_GROUP: &str = "INSERT INTO user_groups (tenant, id, document) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant, id) DO UPDATE SET document = excluded.document, version = user_groups.version + 1";
const PUT_POLICY: &str = "INSERT INTO policies (tenant, id, revision, is_primary, document) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, id, revision) DO UPDATE SET \
     is_primary = excluded.is_primary, document = excluded.document";
const ADD_POLICY: &str = "INSERT INTO policies (tenant, id, revision, is_primary, document) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, id, revision) DO NOTHING";
const ONE_PRIMARY: &str =
    "UPDATE policies SET is_primary = 0 WHERE tenant = $1 AND id = $2 AND revision <> $3 AND is_primary = 1";
const REMOVE_POLICY: &str = "DELETE FROM policies WHERE tenant = $1 AND id = $2";
const REMOVE_POLICY_REVISION: &str = "DELETE FROM policies WHERE tenant = $1 AND id = $2 AND revision = $3";
const PRIMARY_POLICIES: &str =
    "SELECT tenant, id, revision, is_primary, document FROM policies WHERE is_primary = 1 ORDER BY tenant, id";
const POLICY_REVISION: &str = "SELECT tenant, id, revision, is_primary, document FROM policies \
     WHERE tenant = $1 AND id = $2 AND revision = $3";
const POLICY_REVISIONS: &str = "SELECT tenant, id, revision, is_primary, document FROM policies \
     WHERE tenant = $1 AND id = $2 ORDER BY revision";

const PUT_USER: &str = "INSERT INTO users (id, tenant, source, username, folded, active, password, member_of, \
     attributes, not_before, created, updated, managed) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
     ON CONFLICT (id, tenant) DO UPDATE SET source = excluded.source, username = excluded.username, \
     folded = excluded.folded, active = excluded.active, password = excluded.password, \
     member_of = excluded.member_of, attributes = excluded.attributes, \
     not_before = CASE WHEN users.not_before > excluded.not_before THEN users.not_before ELSE excluded.not_before END, \
     updated = excluded.updated, managed = excluded.managed, version = users.version + 1";
const REMOVE_USER: &str = "DELETE FROM users WHERE id = $1 AND tenant = $2";
const PUT_ENROLMENT: &str = "INSERT INTO enrolments (id, tenant, user_id, kind, enabled, validated, attributes, \
     lookup, payload, created, updated, attempted, version, managed) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13) \
     ON CONFLICT (id, tenant) DO UPDATE SET user_id = excluded.user_id, kind = excluded.kind, \
     enabled = excluded.enabled, validated = excluded.validated, attributes = excluded.attributes, \
     lookup = excluded.lookup, payload = excluded.payload, updated = excluded.updated, \
     attempted = excluded.attempted, version = enrolments.version + 1, managed = excluded.managed";
const REMOVE_ENROLMENT: &str = "DELETE FROM enrolments WHERE id = $1 AND tenant = $2";

/// The audit trail stays: that the tenant was removed is its last entry.
const REMOVE_TENANT: [&str; 23] = [
    "DELETE FROM tenants WHERE id = $1",
    "DELETE FROM sources WHERE tenant = $1",
    "DELETE FROM user_groups WHERE tenant = $1",
    "DELETE FROM clients WHERE tenant = $1",
    "DELETE FROM relying_parties WHERE tenant = $1",
    "DELETE FROM signing_keys WHERE tenant = $1",
    "DELETE FROM policies WHERE tenant = $1",
    "DELETE FROM users WHERE tenant = $1",
    "DELETE FROM user_attributes WHERE tenant = $1",
    "DELETE FROM memberships WHERE tenant = $1",
    "DELETE FROM enrolments WHERE tenant = $1",
    "DELETE FROM sign_ins WHERE tenant = $1",
    "DELETE FROM challenges WHERE tenant = $1",
    "DELETE FROM attempts WHERE tenant = $1",
    "DELETE FROM meters WHERE tenant = $1",
    "DELETE FROM spent WHERE tenant = $1",
    "DELETE FROM grants WHERE tenant = $1",
    "DELETE FROM tokens WHERE tenant = $1",
    "DELETE FROM revoked_jwts WHERE tenant = $1",
    "DELETE FROM outbox WHERE tenant = $1",
    "DELETE FROM decisions WHERE tenant = $1",
    "DELETE FROM items WHERE tenant = $1",
    "DELETE FROM audit_cursors WHERE tenant = $1",
];

/// A read of the whole is tried again when the directory changed meanwhile; never more often than this.
const LOADS: usize = 20;

impl Store {
    /// The version of the directory: grows with every change of any tenant. Cheap enough to ask often.
    pub async fn directory_version(&self) -> Result<i64, StoreError> {
        self.first(VERSION, &[], |row| row.int(0)).await?.ok_or_else(|| StoreError::new("the directory has no version"))
    }

    /// The configuration of every tenant, all of one version.
    pub async fn load_directory(&self) -> Result<DirectoryRows, StoreError> {
        let mut version = self.directory_version().await?;
        for _ in 0..LOADS {
            let tenants = self.load_tenants().await?;
            let now = self.directory_version().await?;
            if now == version {
                return Ok(DirectoryRows { version, tenants });
            }
            version = now;
        }
        Err(StoreError::new("the directory changes faster than it can be read"))
    }

    async fn load_tenants(&self) -> Result<Vec<TenantRows>, StoreError> {
        let tenants = self.all(TENANTS, &[], |row| row.json::<Tenant>(1)).await?;
        let mut sources = ByTenant::new(self.documents(&SOURCES).await?);
        let mut groups = ByTenant::new(self.documents(&GROUPS).await?);
        let mut clients = ByTenant::new(self.documents(&CLIENTS).await?);
        let mut relying_parties = ByTenant::new(self.documents(&RELYING_PARTIES).await?);
        let mut keys = ByTenant::new(self.documents(&KEYS).await?);
        let mut policies =
            ByTenant::new(self.all(PRIMARY_POLICIES, &[], |row| Ok((row.text(0)?, policy(row)?))).await?);
        Ok(tenants
            .into_iter()
            .map(|tenant| TenantRows {
                sources: sources.take(&tenant.id),
                groups: groups.take(&tenant.id),
                clients: clients.take(&tenant.id),
                policies: policies.take(&tenant.id),
                relying_parties: relying_parties.take(&tenant.id),
                keys: keys.take(&tenant.id),
                tenant,
            })
            .collect())
    }

    async fn documents<T: serde::de::DeserializeOwned + Send>(
        &self,
        documents: &Documents,
    ) -> Result<Vec<(String, T)>, StoreError> {
        self.all(documents.all, &[], |row| Ok((row.text(0)?, row.json(1)?))).await
    }

    /// One revision of a policy: a sign-in keeps the one it began with.
    pub async fn policy_revision(
        &self,
        tenant: &TenantId,
        id: i64,
        revision: i64,
    ) -> Result<Option<PolicyRecord>, StoreError> {
        self.first(POLICY_REVISION, &[tenant.as_str().into(), id.into(), revision.into()], policy).await
    }

    /// Every revision of a policy, oldest first.
    pub async fn policy_revisions(&self, tenant: &TenantId, id: i64) -> Result<Vec<PolicyRecord>, StoreError> {
        self.all(POLICY_REVISIONS, &[tenant.as_str().into(), id.into()], policy).await
    }

    /// Makes all of these changes of one tenant's directory, or none, and a new version. What is replaced is replaced whatever it
    /// was: who writes what they made of something they read uses [`Self::change_directory_at`].
    pub async fn change_directory(&self, tenant: &TenantId, changes: Vec<DirectoryChange>) -> Result<(), CommitError> {
        self.change_directories(vec![(tenant.clone(), changes)]).await
    }

    /// The same, refused where the directory is no longer of the version it was read at. That is told of the change behind the last.
    pub async fn change_directory_at(
        &self,
        version: i64,
        tenant: &TenantId,
        changes: Vec<DirectoryChange>,
    ) -> Result<(), CommitError> {
        self.write_directories(Some(version), vec![(tenant.clone(), changes)]).await
    }

    /// The same for several tenants at once: all or none. A refused change is named by its position over all lists.
    pub async fn change_directories(&self, tenants: Vec<(TenantId, Vec<DirectoryChange>)>) -> Result<(), CommitError> {
        self.write_directories(None, tenants).await
    }

    async fn write_directories(
        &self,
        version: Option<i64>,
        tenants: Vec<(TenantId, Vec<DirectoryChange>)>,
    ) -> Result<(), CommitError> {
        let mut ops = Vec::new();
        let mut index = 0;
        for (tenant, changes) in tenants {
            for change in changes {
                compile(&tenant, index, change, &mut ops)?;
                index += 1;
            }
        }
        // Last, so that the row everybody changes is held for the shortest time.
        let next = match version {
            Some(version) => people::directory_at(index, version),
            None => Op::must(0, BUMP, Vec::new()),
        };
        ops.push(next.may_raise());
        self.transact("change directory", ops).await?;
        self.spread_word().await;
        Ok(())
    }
}

/// Rows of every tenant, taken tenant by tenant; the order within each stays.
struct ByTenant<T>(BTreeMap<String, Vec<T>>);

impl<T> ByTenant<T> {
    fn new(rows: Vec<(String, T)>) -> Self {
        let mut tenants: BTreeMap<String, Vec<T>> = BTreeMap::new();
        for (tenant, row) in rows {
            tenants.entry(tenant).or_default().push(row);
        }
        Self(tenants)
    }

    fn take(&mut self, tenant: &TenantId) -> Vec<T> {
        self.0.remove(tenant.as_str()).unwrap_or_default()
    }
}

fn policy(row: &Row<'_>) -> Result<PolicyRecord, StoreError> {
    Ok(PolicyRecord { id: row.int(1)?, revision: row.int(2)?, primary: row.yes(3)?, document: row.json(4)? })
}

/// A revision that is primary takes that from the others first.
fn write_policy(
    tenant: &TenantId,
    index: usize,
    sql: &'static str,
    value: &PolicyRecord,
    ops: &mut Vec<Op>,
) -> Result<Op, CommitError> {
    let t = || Value::from(tenant.as_str());
    if value.primary {
        ops.push(Op::any(index, ONE_PRIMARY, vec![t(), value.id.into(), value.revision.into()]));
    }
    let values = vec![t(), value.id.into(), value.revision.into(), value.primary.into(), json(&value.document)?];
    Ok(Op::must(index, sql, values))
}

fn compile(tenant: &TenantId, index: usize, change: DirectoryChange, ops: &mut Vec<Op>) -> Result<(), CommitError> {
    let t = || Value::from(tenant.as_str());
    let put = |documents: &Documents, id: &str, document: Value| {
        Op::must(index, documents.put, vec![t(), id.into(), document])
    };
    let remove = |documents: &Documents, id: String| Op::any(index, documents.remove, vec![t(), id.into()]);
    let op = match change {
        DirectoryChange::PutTenant(value) if value.id != *tenant => return Err(CommitError::Refused { index }),
        DirectoryChange::PutTenant(value) => {
            audit::cursor::keep(index, tenant, value.settings.audit.webhooks.keys(), ops)?;
            Op::must(index, PUT_TENANT, vec![t(), json(&value)?])
        }
        DirectoryChange::RemoveTenant => {
            ops.extend(REMOVE_TENANT.iter().map(|sql| Op::any(index, sql, vec![t()])));
            return Ok(());
        }
        DirectoryChange::Audit(entry) => audit::add(index, tenant, entry),
        DirectoryChange::PutSource(value) => put(&SOURCES, value.id.as_str(), json(&value)?),
        DirectoryChange::RemoveSource(id) => remove(&SOURCES, id.0),
        DirectoryChange::PutGroup(value) => {
            Op::must(index, PUT_GROUP, vec![t(), value.id.as_str().into(), json(&value)?])
        }
        DirectoryChange::RemoveGroup(id) => {
            people::empty_group(index, tenant, &id, ops)?;
            remove(&GROUPS, id.0)
        }
        DirectoryChange::PutClient(value) => put(&CLIENTS, value.id.as_str(), json(&value)?),
        DirectoryChange::RemoveClient(id) => remove(&CLIENTS, id.0),
        DirectoryChange::PutRelyingParty(value) => put(&RELYING_PARTIES, value.id.as_str(), json(&value)?),
        DirectoryChange::RemoveRelyingParty(id) => remove(&RELYING_PARTIES, id.0),
        DirectoryChange::PutKey(value) => put(&KEYS, &value.kid, json(&value)?),
        DirectoryChange::RemoveKey(kid) => remove(&KEYS, kid),
        DirectoryChange::PutPolicy(value) => write_policy(tenant, index, PUT_POLICY, &value, ops)?,
        DirectoryChange::AddPolicy(value) => write_policy(tenant, index, ADD_POLICY, &value, ops)?,
        DirectoryChange::RemovePolicy(id) => Op::any(index, REMOVE_POLICY, vec![t(), id.into()]),
        DirectoryChange::RemovePolicyRevision { id, revision } => {
            Op::any(index, REMOVE_POLICY_REVISION, vec![t(), id.into(), revision.into()])
        }
        DirectoryChange::PutUser { user, managed } => {
            ops.push(put_user(tenant, index, &user, managed)?);
            index_attributes(index, tenant, &user, ops);
            people::touch_groups(index, tenant, &user.id, ops);
            people::index_groups(index, tenant, &user, ops);
            people::touch_groups(index, tenant, &user.id, ops);
            return Ok(());
        }
        DirectoryChange::RemoveUser(id) => {
            ops.push(Op::any(index, REMOVE_USER, vec![id.as_str().into(), t()]));
            people::leave_nothing(index, tenant, &id, ops);
            return Ok(());
        }
        DirectoryChange::Also(change) => {
            let mut also = write::compile(tenant, vec![*change])?;
            also.iter_mut().for_each(|op| op.change = index);
            ops.extend(also);
            return Ok(());
        }
        DirectoryChange::PutEnrolment { enrolment, managed } => put_enrolment(tenant, index, enrolment, managed)?,
        DirectoryChange::RemoveEnrolment(id) => Op::any(index, REMOVE_ENROLMENT, vec![id.0.into(), t()]),
    };
    ops.push(op);
    Ok(())
}

fn put_user(tenant: &TenantId, index: usize, user: &User, managed: bool) -> Result<Op, StoreError> {
    Ok(Op::must(
        index,
        PUT_USER,
        vec![
            user.id.as_str().into(),
            tenant.as_str().into(),
            user.source.as_str().into(),
            user.username.as_str().into(),
            fold(&user.username).into(),
            user.active.into(),
            user.password.as_deref().into(),
            json(&user.groups)?,
            json(&user.attributes)?,
            user.not_before.into(),
            user.created.into(),
            user.updated.into(),
            managed.into(),
        ],
    )
    .may_raise())
}

fn put_enrolment(tenant: &TenantId, index: usize, e: Enrolment, managed: bool) -> Result<Op, StoreError> {
    Ok(Op::must(
        index,
        PUT_ENROLMENT,
        vec![
            e.id.0.into(),
            tenant.as_str().into(),
            e.user.0.into(),
            e.kind.into(),
            e.enabled.into(),
            e.validated.into(),
            json(&e.attributes)?,
            e.lookup.into(),
            e.payload.into(),
            e.created.into(),
            e.updated.into(),
            e.attempted.into(),
            managed.into(),
        ],
    )
    .may_raise())
}
