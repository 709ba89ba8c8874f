//! The audit trail: who did what, from where, and what came of it.
//!
//! An entry is not written by whoever does something, it follows from the [`Change`]s that do it, in the same transaction: what is
//! committed is on record and what is not is not. The matches below name every change there is; a new one does not compile before it
//! is said whether it is worth an entry. Entries hold ids, never what was typed, shown or handed out. [`seal`] chains them, [`tell`]
//! tells webhooks of them, [`keep`] removes old ones.

use std::cell::OnceCell;
use std::future::Future;
use std::net::IpAddr;

use protocol::records::{Grant, TenantId};
use serde_json::{Map, Value, json};
use store::{AuditEntry, Change, DirectoryChange, Item};

use crate::listen::RequestId;
use crate::world::World;

pub mod keep;
pub mod seal;
pub mod tell;

/// What an entry may be about.
pub const EVENTS: [&str; 54] = [
    "factor.tried",
    "factor.proved",
    "factor.enrolled",
    "factor.changed",
    "factor.removed",
    "sign_in.refused",
    "grant.issued",
    "grant.revoked",
    "grants.revoked",
    "token.revoked",
    "user.added",
    "user.changed",
    "user.removed",
    "group.added",
    "group.changed",
    "group.removed",
    "group.joined",
    "group.left",
    "group.emptied",
    "session.added",
    "session.changed",
    "session.removed",
    "consent.added",
    "consent.changed",
    "consent.removed",
    "trusted_device.added",
    "trusted_device.changed",
    "trusted_device.removed",
    "stay_signed_in.added",
    "stay_signed_in.changed",
    "stay_signed_in.removed",
    "bypass_codes.added",
    "bypass_codes.changed",
    "bypass_codes.removed",
    "external_account.added",
    "external_account.changed",
    "external_account.removed",
    "recovery.added",
    "recovery.changed",
    "recovery.removed",
    "password.set",
    "tenant.changed",
    "tenant.removed",
    "source.changed",
    "source.removed",
    "client.changed",
    "client.removed",
    "policy.changed",
    "policy.removed",
    "relying_party.changed",
    "relying_party.removed",
    "key.changed",
    "key.removed",
    "database.restored",
];

tokio::task_local! {
    static ORIGIN: Origin;
}

/// Where what is happening comes from.
#[derive(Debug)]
pub struct Origin {
    address: IpAddr,
    request: RequestId,
    actor: OnceCell<String>,
}

impl Origin {
    /// A request from this address, under the name it has in the log.
    pub fn new(address: IpAddr, request: RequestId) -> Self {
        Self { address, request, actor: OnceCell::new() }
    }
}

/// Runs `work` as what comes from there. Without one an entry says that the server itself did it.
pub fn scope<F: Future>(origin: Origin, work: F) -> impl Future<Output = F::Output> {
    ORIGIN.scope(origin, work)
}

/// Notes which application speaks: whoever proved first in a request that it is one.
pub fn speaks(client: &str) {
    let _ = ORIGIN.try_with(|origin| origin.actor.get_or_init(|| client.to_owned()).len());
}

/// The entries that follow from changes about to be committed under this name.
pub fn of(world: &World, name: &str, changes: &[Change]) -> Vec<Change> {
    let events = changes.iter().filter_map(|change| event(name, change));
    events.map(|event| Change::Audit(entry(world, event))).collect()
}

/// The entries that follow from changes of a tenant's configuration, made by `actor` where no request makes them.
pub fn of_directory(world: &World, actor: &str, changes: &[DirectoryChange]) -> Vec<DirectoryChange> {
    let events = changes.iter().filter_map(|change| directory_event(actor, change));
    let made = events.map(|event| {
        let event = if ORIGIN.try_with(|_| ()).is_ok() { event } else { event.with("actor", actor) };
        DirectoryChange::Audit(entry(world, event))
    });
    made.collect()
}

/// An entry about what a command of ours did.
pub fn by_command(world: &World, event: &str, command: &str) -> AuditEntry {
    entry(world, Event::new(event).with("actor", command))
}

/// An entry as it is told to others. `seal` is 0 for one that is not sealed yet.
pub fn told(tenant: &TenantId, seal: i64, entry: &AuditEntry) -> Value {
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

fn entry(world: &World, event: Event) -> AuditEntry {
    let mut body = event.0;
    let _ = ORIGIN.try_with(|origin| {
        body.insert("address".to_owned(), json!(origin.address));
        body.insert("request".to_owned(), json!(origin.request.as_str()));
        if let Some(actor) = origin.actor.get() {
            body.insert("actor".to_owned(), json!(actor));
        }
    });
    AuditEntry { id: world.ordered_uuid(), at: world.now(), body: Value::Object(body).to_string() }
}

struct Event(Map<String, Value>);

impl Event {
    fn new(name: &str) -> Self {
        Self(Map::from_iter([("event".to_owned(), json!(name))]))
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    fn maybe(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

/// Documents whose coming and going is worth an entry, and what they are called there.
const DOCUMENTS: [(&str, &str); 7] = [
    ("session", "session"),
    ("consent", "consent"),
    ("trusted-device", "trusted_device"),
    ("stay-signed-in", "stay_signed_in"),
    ("bypass", "bypass_codes"),
    ("upstream-link", "external_account"),
    ("recovery", "recovery"),
];
/// Written with every new password and with nothing else: not with a hash made stronger.
const PASSWORD: &str = crate::signin::passwords::KIND;

fn document(kind: &str) -> Option<&'static str> {
    DOCUMENTS.iter().find(|(known, _)| *known == kind).map(|(_, name)| *name)
}

fn event(name: &str, change: &Change) -> Option<Event> {
    Some(match change {
        Change::Charge { key, .. } => Event::new("factor.tried").with("counter", key.as_str()),
        Change::ClearAttempts { key } => Event::new("factor.proved").with("counter", key.as_str()),
        Change::Record { reference, grant, .. } if name == "refusal" => Event::new("sign_in.refused")
            .with("reference", reference.as_str())
            .maybe("grant", grant.as_ref().map(|id| id.as_str())),
        Change::AddGrant(grant) => granted(grant)?,
        Change::RevokeGrant(id) => Event::new("grant.revoked").with("grant", id.as_str()).with("why", name),
        Change::RevokeGrantsOf(user) => Event::new("grants.revoked").with("user", user.as_str()).with("why", name),
        Change::RevokeGrantsFor { user, client } => {
            Event::new("grants.revoked").with("user", user.as_str()).with("client", client.as_str()).with("why", name)
        }
        Change::RevokeGrantsOfSession(id) => {
            Event::new("grants.revoked").with("session", id.as_str()).with("why", name)
        }
        Change::RevokeToken(_) => Event::new("token.revoked"),
        Change::RevokeJwt { jti, .. } => Event::new("token.revoked").with("jti", jti.as_str()),
        Change::PutEnrolment(one) => {
            let what = if one.version == 0 { "factor.enrolled" } else { "factor.changed" };
            Event::new(what)
                .with("user", one.user.as_str())
                .with("factor", one.kind.as_str())
                .with("enrolment", one.id.as_str())
                .with("enabled", one.enabled)
                .with("validated", one.validated)
        }
        Change::RemoveEnrolment(id) => Event::new("factor.removed").with("enrolment", id.as_str()),
        Change::AddUser(user) => Event::new("user.added").with("user", user.id.as_str()),
        Change::PutUser(user) | Change::EditUser { user, .. } => {
            Event::new("user.changed").with("user", user.id.as_str()).with("active", user.active).with("why", name)
        }
        Change::RemoveUser { user, .. } => Event::new("user.removed").with("user", user.as_str()),
        Change::AddGroup(row) => Event::new("group.added").with("group", row.group.id.as_str()),
        Change::EditGroup(row) => Event::new("group.changed").with("group", row.group.id.as_str()),
        Change::RemoveGroup { id, .. } => Event::new("group.removed").with("group", id.as_str()),
        Change::JoinGroup { group, user } => {
            Event::new("group.joined").with("group", group.as_str()).with("user", user.as_str())
        }
        Change::LeaveGroup { group, user } => {
            Event::new("group.left").with("group", group.as_str()).with("user", user.as_str())
        }
        Change::EmptyGroup(id) => Event::new("group.emptied").with("group", id.as_str()),
        Change::PutItem(item) => put(item)?,
        Change::TakeItem { kind, .. } => Event::new(&format!("{}.removed", document(kind)?)).with("why", name),
        Change::DropItemsOf { kind, owner } => {
            Event::new(&format!("{}.removed", document(kind)?)).with("user", owner.as_str()).with("why", name)
        }
        // Steps on the way, which say nothing that what they lead to does not say, and tokens got for a grant that is on record.
        Change::BeginSignIn(_)
        | Change::AdvanceSignIn(_)
        | Change::AddChallenge(_)
        | Change::UpdateChallenge(_)
        | Change::CancelChallenges { .. }
        | Change::CancelChallenge { .. }
        | Change::Meter { .. }
        | Change::Pace { .. }
        | Change::Spend { .. }
        | Change::AddToken(..)
        | Change::UpdateGrant(_)
        | Change::Rehash { .. }
        | Change::DirectoryAt { .. }
        | Change::EditItem { .. }
        | Change::NeedUser { .. }
        | Change::NeedItemLinked { .. }
        | Change::NeedItem { .. }
        | Change::KeepGrant { .. }
        | Change::NeedGrant { .. }
        | Change::DropItemsLinked { .. }
        | Change::Audit(_)
        | Change::Enqueue(_)
        | Change::Record { .. } => return None,
    })
}

/// A grant to a person. What an application is given for itself, thousands of times a second, is in its tokens.
fn granted(grant: &Grant) -> Option<Event> {
    let user = grant.subject.as_ref()?;
    let detail = &grant.detail;
    Some(
        Event::new("grant.issued")
            .with("user", user.as_str())
            .with("client", grant.client.as_str())
            .with("grant", grant.id.as_str())
            .with("grant_type", detail.grant_type.as_str())
            .with("scope", detail.scope.join(" "))
            .with("amr", json!(detail.amr))
            .maybe("policy", detail.policy)
            .maybe("session", grant.session.as_deref()),
    )
}

fn put(item: &Item) -> Option<Event> {
    if item.kind == PASSWORD {
        return Some(Event::new("password.set").maybe("user", item.owner.as_deref()));
    }
    let name = document(item.kind)?;
    let what = match (item.version, item.kind) {
        (0, _) => "added",
        // Only says that it is in use.
        (_, "session") => return None,
        _ => "changed",
    };
    Some(Event::new(&format!("{name}.{what}")).maybe("user", item.owner.as_deref()).maybe("link", item.link.as_deref()))
}

fn directory_event(actor: &str, change: &DirectoryChange) -> Option<Event> {
    let named = |what: &str, id: &str| Some(Event::new(what).with("name", id));
    match change {
        DirectoryChange::PutTenant(tenant) => named("tenant.changed", tenant.id.as_str()),
        DirectoryChange::RemoveTenant => Some(Event::new("tenant.removed")),
        DirectoryChange::PutSource(source) => named("source.changed", source.id.as_str()),
        DirectoryChange::RemoveSource(id) => named("source.removed", id.as_str()),
        DirectoryChange::PutGroup(group) => named("group.changed", group.id.as_str()),
        DirectoryChange::RemoveGroup(id) => named("group.removed", id.as_str()),
        DirectoryChange::PutClient(client) => named("client.changed", client.id.as_str()),
        DirectoryChange::RemoveClient(id) => named("client.removed", id.as_str()),
        DirectoryChange::PutPolicy(policy) | DirectoryChange::AddPolicy(policy) => {
            Some(Event::new("policy.changed").with("policy", policy.id).with("revision", policy.revision))
        }
        DirectoryChange::RemovePolicy(id) => Some(Event::new("policy.removed").with("policy", *id)),
        DirectoryChange::RemovePolicyRevision { id, revision } => {
            Some(Event::new("policy.removed").with("policy", *id).with("revision", *revision))
        }
        DirectoryChange::PutRelyingParty(party) => named("relying_party.changed", party.id.as_str()),
        DirectoryChange::RemoveRelyingParty(id) => named("relying_party.removed", id.as_str()),
        DirectoryChange::PutKey(key) => named("key.changed", &key.kid),
        DirectoryChange::RemoveKey(kid) => named("key.removed", kid),
        DirectoryChange::PutUser { user, .. } => Some(Event::new("user.changed").with("user", user.id.as_str())),
        DirectoryChange::RemoveUser(id) => Some(Event::new("user.removed").with("user", id.as_str())),
        DirectoryChange::PutEnrolment { enrolment, .. } => Some(
            Event::new("factor.changed")
                .with("user", enrolment.user.as_str())
                .with("factor", enrolment.kind.as_str())
                .with("enrolment", enrolment.id.as_str()),
        ),
        DirectoryChange::RemoveEnrolment(id) => Some(Event::new("factor.removed").with("enrolment", id.as_str())),
        DirectoryChange::Also(change) => event(actor, change),
        DirectoryChange::Audit(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_there_is_has_its_name_in_the_list() {
        // Split, so that this test does not find itself.
        let marks =
            [concat!("Event::", "new(\""), concat!("na", "med(\""), concat!("by_", "command(&ground.world, \"")];
        let sources = [include_str!("audit.rs"), include_str!("cli/backup.rs")].concat();
        let mut found = 0;
        for mark in marks {
            for text in sources.split(mark).skip(1) {
                let name = text.split('"').next().unwrap_or_default();
                assert!(EVENTS.contains(&name), "`{name}` is not in the list");
                found += 1;
            }
        }
        assert!(found > 30, "the source was read: {found}");
        let page = include_str!("../../../docs/operations.md");
        for name in EVENTS {
            assert!(page.contains(&format!("`{name}`")), "`{name}` is not in docs/operations.md");
        }
        for (_, name) in DOCUMENTS {
            for what in ["added", "changed", "removed"] {
                assert!(EVENTS.contains(&format!("{name}.{what}").as_str()), "`{name}.{what}` is not in the list");
            }
        }
    }
}
