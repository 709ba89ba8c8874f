//! People as resources: found, made, replaced, changed by operations, removed. Every write is one transaction that names the
//! version it was made from. Asks nobody who they are: the routes do.

use std::sync::Arc;

use protocol::records::{GroupId, Source, SourceKind, User, UserId};
use protocol::scim::oracle::{self, Actor};
use protocol::scim::person::{self, Around};
use protocol::scim::schemas::VENDOR;
use protocol::scim::{Operation, ScimError, ScimType, patch, read};
use serde_json::{Map, Value};
use store::{Change, CommitError};

use super::answer::Demand;
use super::refusal::Refusal;
use super::shape::Shape;
use crate::app::App;
use crate::browser::session;
use crate::call::Call;
use crate::delivery::Opens;
use crate::directory::TenantView;
use crate::oauth::logout::notices;
use crate::oauth::oracle::administers;
use crate::secret::Secret;
use crate::signin::mailed::PENDING;
use crate::signin::{Failure, SignIns, ends};

type Document = Map<String, Value>;

/// Writes that others overtook are made again this often.
pub(super) const TRIES: usize = 5;
/// What ids are made of (vendor page W3).
const ID: (&str, usize) = ("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 10);
/// The longest login name, bytes.
const LONGEST_NAME: usize = 256;

/// A person with the version of the record.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The person.
    pub user: User,
    /// The version.
    pub version: i64,
}

/// How somebody who registered begins.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// The mail address must be confirmed before the account may be used.
    pub confirm: bool,
    /// Groups to be put into.
    pub groups: Vec<GroupId>,
    /// Where the page stands that takes what is mailed.
    pub page: Option<String>,
}

/// The people of a tenant in one shape.
#[derive(Clone)]
pub struct People<'a> {
    app: &'a App,
    /// The tenant as it is now, not as it was when the request came.
    tenant: Arc<TenantView>,
    shape: Shape,
    base: String,
    kind: &'static str,
    actor: Option<Actor>,
    over_administrators: bool,
}

/// A new id for a person or a group.
pub(super) fn new_id(app: &App, shape: Shape) -> String {
    match shape {
        Shape::Standard | Shape::Vendor => app.world.digits(ID.0, ID.1),
        // Clients of Oracle's have columns for these.
        Shape::Oracle => app.world.uuid().replace('-', ""),
    }
}

impl<'a> People<'a> {
    /// The people of the tenant called, in the shape that was asked for.
    pub fn of(app: &'a App, call: &Call) -> Self {
        let tenant = app.directories.current().tenant(&call.tenant.tenant.id).cloned();
        let shape = Shape::of(call);
        let base = format!("{}{}", call.base, shape.base());
        let tenant = tenant.unwrap_or_else(|| Arc::clone(&call.tenant));
        Self { app, tenant, shape, base, kind: "User", actor: None, over_administrators: false }
    }

    /// The same, with what the caller may do: without it no administrator is changed or removed.
    #[must_use]
    pub fn over_administrators(self, over_administrators: bool) -> Self {
        Self { over_administrators, ..self }
    }

    /// Refuses to touch an administrator for a caller who may not: a password, an address or a name of their choice would make them one.
    fn demand_over(&self, user: &User) -> Result<(), Refusal> {
        if self.over_administrators || !administers(&self.tenant, user) { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    /// The same, with a note in what is written of who did it.
    #[must_use]
    pub fn by(self, actor: Actor) -> Self {
        Self { actor: Some(actor), ..self }
    }

    /// The same for the person who asks: what is changed is their own, and shown as such.
    #[must_use]
    pub fn as_me(self) -> Self {
        Self { kind: "Me", over_administrators: true, ..self }
    }

    /// Where the shape begins, such as `https://login.example.test/scim/v2`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The document of a person.
    pub fn document(&self, user: &User, version: i64) -> Document {
        let groups: Vec<(&str, &str)> = user
            .groups
            .iter()
            .filter_map(|id| self.tenant.groups.get(id))
            .map(|group| (group.id.as_str(), group.name.as_str()))
            .collect();
        let source = self.tenant.sources.iter().find(|source| source.id == user.source);
        let around = Around {
            model: self.shape.user(),
            base: &self.base,
            kind: self.kind,
            groups: &groups,
            realm: source.map(|source| source.realm.as_str()).unwrap_or_default(),
            source: source.map_or(SourceKind::CloudDirectory, |source| source.kind),
            version,
        };
        match self.shape {
            Shape::Standard | Shape::Vendor => person::document(user, &around),
            Shape::Oracle => oracle::document(user, &around),
        }
    }

    /// The attributes of a record that is to have this document.
    fn attributes(&self, document: &Document, before: &User) -> Result<person::Attributes, Refusal> {
        Ok(match self.shape {
            Shape::Standard | Shape::Vendor => person::attributes(self.shape.user(), document, &before.attributes)?,
            Shape::Oracle => oracle::attributes(document, before)?,
        })
    }

    fn note(&self, user: &mut User, name: &str) {
        if let Some(actor) = &self.actor {
            user.attributes.insert(name.to_owned(), vec![actor.text()]);
        }
    }

    /// A person.
    ///
    /// # Errors
    /// There is none of this id, or the store failed.
    pub async fn find(&self, id: &str) -> Result<Changed, Refusal> {
        let found = self.app.store.person(&self.tenant.tenant.id, &UserId::from(id)).await?;
        found.map(|(user, version)| Changed { user, version }).ok_or(Refusal::NotFound)
    }

    /// Makes a person.
    ///
    /// # Errors
    /// The resource is not acceptable, the login name is taken, too much to do, or the store failed.
    pub async fn create(&self, sent: &Document) -> Result<Changed, Refusal> {
        self.add(sent, None).await
    }

    /// Makes the account of a person who registered: switched off, where the mail address is to be confirmed first, which is asked for
    /// in the same transaction.
    ///
    /// # Errors
    /// As [`People::create`]; mail has no way out, or too many messages went to the address.
    pub async fn register(&self, sent: &Document, newcomer: Newcomer) -> Result<Changed, Refusal> {
        self.add(sent, Some(newcomer)).await
    }

    async fn add(&self, sent: &Document, newcomer: Option<Newcomer>) -> Result<Changed, Refusal> {
        let mut document = read::resource(self.shape.user(), sent)?;
        document.entry("active").or_insert(Value::Bool(true));
        let password = take_password(&mut document);
        let source = self.source(&document)?;
        if source.kind == SourceKind::Federated && password.is_some() {
            return Err(Refusal::value("people of a federated source have no password here"));
        }
        let now = self.app.world.now();
        let mut user = User {
            id: UserId(new_id(self.app, self.shape)),
            source: source.id.clone(),
            username: username(&document)?,
            active: document.get("active").and_then(Value::as_bool).unwrap_or(false),
            password: None,
            groups: Default::default(),
            attributes: Default::default(),
            not_before: 0,
            created: now,
            updated: now,
        };
        user.attributes = self.attributes(&document, &user)?;
        if newcomer.as_ref().is_some_and(|newcomer| newcomer.confirm) {
            user.active = false;
            user.attributes.insert(PENDING.to_owned(), vec!["true".to_owned()]);
        }
        self.note(&mut user, person::CREATED_BY);
        self.note(&mut user, person::MODIFIED_BY);
        self.refuse_taken(source, &user.username, None).await?;
        let mut beside = None;
        if let Some(password) = password {
            let (hash, record) = self.sign_ins().prepare_password(&user, password).await?;
            user.password = Some(hash);
            beside = Some(record);
        }
        let mut changes = vec![Change::AddUser(user.clone())];
        changes.extend(beside);
        // Who registered knows the password they chose.
        if newcomer.is_none() {
            let before = User { password: None, ..user.clone() };
            changes.extend(self.sign_ins().tell_of_record(&before, &user).await?);
        }
        let groups = newcomer.as_ref().map(|newcomer| newcomer.groups.as_slice()).unwrap_or_default();
        changes.extend(groups.iter().map(|group| Change::JoinGroup { group: group.clone(), user: user.id.clone() }));
        if let Some(newcomer) = newcomer.filter(|newcomer| newcomer.confirm) {
            let to = user.attributes.get("email").and_then(|all| all.first()).cloned().unwrap_or_default();
            let mailing = self.sign_ins().mailing(&user, Opens::Account, &to, newcomer.page.as_deref());
            changes.extend(mailing.map_err(|failure| match failure {
                Failure::Fault(fault) => Refusal::Fault(fault),
                _ => Refusal::value("no mail can be sent to the address"),
            })?);
        }
        if self.commit(changes).await?.is_none() {
            return Ok(Changed { user, version: 1 });
        }
        self.refuse_taken(source, &user.username, None).await?;
        Err(Refusal::Overtaken)
    }

    fn sign_ins(&self) -> SignIns<'_> {
        SignIns { app: self.app, tenant: &self.tenant }
    }

    /// Replaces a person's attributes.
    ///
    /// # Errors
    /// As [`People::create`]; there is no such person, or of another version than demanded.
    pub async fn replace(&self, id: &str, sent: &Document, demand: Demand<'_>) -> Result<Changed, Refusal> {
        let wanted = read::resource(self.shape.user(), sent)?;
        self.edit(id, demand, |before| {
            let mut after = wanted.clone();
            // What the client does not know of it does not clear.
            if let (None, Some(kept)) = (after.get(VENDOR), before.get(VENDOR)) {
                after.insert(VENDOR.to_owned(), kept.clone());
            }
            after.entry("active").or_insert(Value::Bool(true));
            Ok(after)
        })
        .await
    }

    /// Changes a person by operations.
    ///
    /// # Errors
    /// As [`People::replace`], and an operation is not legal.
    pub async fn change(&self, id: &str, operations: &[Operation], demand: Demand<'_>) -> Result<Changed, Refusal> {
        let model = self.shape.user();
        self.edit(id, demand, |before| {
            let mut after = before.clone();
            patch::apply(model, &mut after, operations)?;
            Ok(after)
        })
        .await
    }

    /// Brings a person from the document they have to the one that `make` makes of it.
    ///
    /// # Errors
    /// Those of `make`, and as [`People::replace`].
    pub async fn edit(
        &self,
        id: &str,
        demand: Demand<'_>,
        make: impl Fn(&Document) -> Result<Document, Refusal>,
    ) -> Result<Changed, Refusal> {
        for _ in 0..TRIES {
            let Changed { user: before, version } = self.find(id).await?;
            demand.allows_write(version)?;
            self.demand_over(&before)?;
            let shown = self.document(&before, version);
            let mut document = make(&shown)?;
            if document == shown {
                return Ok(Changed { user: before, version });
            }
            let password = take_password(&mut document);
            let mut after = self.edited(&before, &document)?;
            let mut beside = None;
            if let Some(password) = password {
                let (hash, record) = self.sign_ins().prepare_password(&after, password).await?;
                after.password = Some(hash);
                beside = Some(record);
            }
            if after == before {
                return Ok(Changed { user: before, version });
            }
            self.note(&mut after, person::MODIFIED_BY);
            let mut changes = self.changes(&before, &mut after, version).await;
            changes.extend(beside);
            changes.extend(self.sign_ins().tell_of_record(&before, &after).await?);
            let Some(_) = self.commit(changes).await? else {
                return Ok(Changed { user: after, version: version + 1 });
            };
            let source = self.tenant.sources.iter().find(|source| source.id == after.source);
            if let Some(source) = source {
                self.refuse_taken(source, &after.username, Some(&after.id)).await?;
            }
            if demand.is_strict() {
                return Err(Refusal::OtherVersion);
            }
        }
        Err(Refusal::Overtaken)
    }

    /// Removes a person with all that is theirs.
    ///
    /// # Errors
    /// There is none of this id, or of another version than demanded; the store failed.
    pub async fn remove(&self, id: &str, demand: Demand<'_>) -> Result<(), Refusal> {
        for _ in 0..TRIES {
            let Changed { user, version } = self.find(id).await?;
            demand.allows_write(version)?;
            self.demand_over(&user)?;
            let mut changes = self.notices(&user.id).await;
            changes.push(Change::RemoveUser { user: user.id, version });
            if self.commit(changes).await?.is_none() {
                return Ok(());
            }
        }
        Err(Refusal::Overtaken)
    }

    /// The record that a document stands for.
    fn edited(&self, before: &User, document: &Document) -> Result<User, Refusal> {
        let model = self.shape.user();
        if model.extension(VENDOR).is_some() {
            let source = self.tenant.sources.iter().find(|source| source.id == before.source);
            let named = document.get(VENDOR).and_then(|members| members.get("realm")?.as_str());
            if named.is_some_and(|named| source.is_none_or(|source| source.realm != named)) {
                return Err(ScimError::of(ScimType::Mutability, "attribute `realm` cannot be changed").into());
            }
        }
        Ok(User {
            username: username(document)?,
            // Who is not said to be active is not.
            active: document.get("active").and_then(Value::as_bool).unwrap_or(false),
            attributes: self.attributes(document, before)?,
            ..before.clone()
        })
    }

    /// The transaction that makes `after` of `before`. Whoever may no longer sign in, or has another password now, is signed out
    /// everywhere.
    async fn changes(&self, before: &User, after: &mut User, version: i64) -> Vec<Change> {
        let now = self.app.world.now();
        after.updated = now;
        let ends = before.active && !after.active || before.password != after.password;
        if ends {
            after.not_before = now;
        }
        let mut changes = vec![Change::EditUser { user: after.clone(), version }];
        if ends {
            changes.extend(ends::of(&after.id));
            changes.extend(self.notices(&after.id).await);
        }
        changes
    }

    /// What tells the clients of a person's sessions that these end.
    async fn notices(&self, user: &UserId) -> Vec<Change> {
        match session::of_person(self.app, &self.tenant.tenant.id, user).await {
            Ok(sessions) => {
                let due = sessions.iter().flat_map(|session| notices::of(self.app, &self.tenant, session));
                due.map(Change::Enqueue).collect()
            }
            // A session that cannot be read must not keep anybody from being switched off.
            Err(fault) => {
                fault.log();
                Vec::new()
            }
        }
    }

    /// The source a new person belongs to: of the realm that is named, or the tenant's own directory.
    fn source(&self, document: &Document) -> Result<&Source, Refusal> {
        let realm = document.get(VENDOR).and_then(|members| members.get("realm")?.as_str());
        let found = self.tenant.sources.iter().find(|source| match realm {
            Some(realm) => source.realm == realm,
            None => source.kind == SourceKind::CloudDirectory,
        });
        found.ok_or_else(|| Refusal::value("there is no identity source to put the person into"))
    }

    /// Refuses a login name that somebody else has.
    async fn refuse_taken(&self, source: &Source, username: &str, own: Option<&UserId>) -> Result<(), Refusal> {
        let found = self.app.store.person_by_login(&self.tenant.tenant.id, &source.id, username).await?;
        match found {
            Some((user, _)) if Some(&user.id) != own => {
                Err(ScimError::of(ScimType::Uniqueness, "the login name is taken").into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Commits; the position of the change that was refused, if one was.
    async fn commit(&self, changes: Vec<Change>) -> Result<Option<usize>, Refusal> {
        let tells = changes.iter().any(|change| matches!(change, Change::Enqueue(_)));
        let refused = commit(self.app, &self.tenant, changes).await?;
        if tells && refused.is_none() {
            self.app.delivery.wake();
        }
        Ok(refused)
    }
}

/// Commits; the position of the change that was refused, if one was.
pub(super) async fn commit(app: &App, tenant: &TenantView, changes: Vec<Change>) -> Result<Option<usize>, Refusal> {
    match app.commit(&tenant.tenant.id, "scim", changes).await {
        Ok(()) => Ok(None),
        Err(CommitError::Refused { index }) => Ok(Some(index)),
        Err(CommitError::Unavailable(error)) => Err(error.into()),
    }
}

/// The password leaves the document before anything else looks at it.
fn take_password(document: &mut Document) -> Option<Secret<String>> {
    match document.remove("password") {
        Some(Value::String(password)) => Some(Secret::from(password)),
        Some(_) | None => None,
    }
}

fn username(document: &Document) -> Result<String, Refusal> {
    let name = document.get("userName").and_then(Value::as_str).unwrap_or_default();
    if name.trim().is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Refusal::value("the login name is empty, too long or holds control characters"));
    }
    Ok(name.to_owned())
}
