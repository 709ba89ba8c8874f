//! `/Groups`. A group's own attributes are part of the tenant's configuration, so a change of them names its version as well;
//! who is in it is part of people's records.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::records::{Group, GroupId, SourceKind, UserId};
use protocol::scim::list::Query;
use protocol::scim::oracle::{self, Actor};
use protocol::scim::schemas::GROUP;
use protocol::scim::{ScimError, ScimType, patch, person, read};
use serde_json::{Map, Value, json};
use store::{Change, GroupRow, Member};

use super::answer::{self, Demand};
use super::caller::{self, MANAGE_GROUPS, READ_GROUPS};
use super::people::{TRIES, commit, new_id};
use super::refusal::Refusal;
use super::search;
use super::shape::Shape;
use crate::app::App;
use crate::call::{Call, Path};
use crate::directory::{OVER_ADMINISTRATORS, TenantView};
use crate::reply;

type Document = Map<String, Value>;

/// The longest name, bytes.
const LONGEST_NAME: usize = 256;
/// Where the client's own name of a group is kept.
const EXTERNAL: &str = "externalId";
/// Members who leave by name; beyond, the group is emptied and filled again.
const MOST_LEAVING: usize = 2000;

/// The groups of a tenant in one shape.
#[derive(Clone)]
pub struct Groups<'a> {
    app: &'a App,
    tenant: Arc<TenantView>,
    shape: Shape,
    base: String,
    actor: Option<Actor>,
    over_administrators: bool,
}

/// What a document says of a group.
struct Wanted {
    name: String,
    external: Option<String>,
    members: BTreeSet<UserId>,
}

impl<'a> Groups<'a> {
    /// The groups of the tenant called, in the shape that was asked for.
    pub fn of(app: &'a App, call: &Call) -> Self {
        let shape = Shape::of(call);
        let base = format!("{}{}", call.base, shape.base());
        Self { app, tenant: Arc::clone(&call.tenant), shape, base, actor: None, over_administrators: false }
    }

    /// The same, with what the caller may do: without it no group is written whose members are administrators.
    #[must_use]
    pub fn over_administrators(self, over_administrators: bool) -> Self {
        Self { over_administrators, ..self }
    }

    /// Refuses what would make administrators, or unmake them, of a caller who may not.
    fn demand_over(&self, group: &Group) -> Result<(), Refusal> {
        if self.over_administrators || !self.tenant.makes_administrators(group) {
            return Ok(());
        }
        Err(Refusal::Forbidden)
    }

    /// The same, with a note in what is written of who did it.
    #[must_use]
    pub fn by(self, actor: Actor) -> Self {
        Self { actor: Some(actor), ..self }
    }

    fn note(&self, attributes: &mut person::Attributes, name: &str) {
        if let Some(actor) = &self.actor {
            attributes.insert(name.to_owned(), vec![actor.text()]);
        }
    }

    /// The document of a group.
    pub fn document(&self, row: &GroupRow, members: &[Member]) -> Document {
        let mut shown = Map::new();
        shown.insert("schemas".to_owned(), json!([GROUP]));
        shown.insert("id".to_owned(), json!(row.group.id));
        if let Some(external) = row.attributes.get(EXTERNAL).and_then(|values| values.first()) {
            shown.insert(EXTERNAL.to_owned(), external.as_str().into());
        }
        let location = format!("{}/Groups/{}", self.base, row.group.id);
        let meta = match self.shape {
            Shape::Standard | Shape::Vendor => {
                person::meta("Group", &location, (row.created, row.updated), row.version)
            }
            Shape::Oracle => {
                for (member, key) in
                    [("idcsCreatedBy", person::CREATED_BY), ("idcsLastModifiedBy", person::MODIFIED_BY)]
                {
                    let kept = row.attributes.get(key).and_then(|values| values.first()).map(String::as_str);
                    shown.insert(member.to_owned(), oracle::actor(&self.base, kept));
                }
                oracle::meta(&self.base, "Group", row.group.id.as_str(), (row.created, row.updated))
            }
        };
        shown.insert("meta".to_owned(), meta);
        shown.insert("displayName".to_owned(), row.group.name.as_str().into());
        if !members.is_empty() {
            let member = |member: &Member| {
                let mut shown = json!({
                    "value": member.user,
                    "$ref": format!("{}/Users/{}", self.base, member.user),
                    "type": "User",
                    "display": member.username,
                });
                if let (Shape::Oracle, Some(members)) = (self.shape, shown.as_object_mut()) {
                    members.insert("name".to_owned(), member.username.as_str().into());
                }
                shown
            };
            shown.insert("members".to_owned(), members.iter().map(member).collect());
        }
        shown
    }

    /// A group.
    ///
    /// # Errors
    /// There is none of this id, or the store failed.
    pub async fn find(&self, id: &str) -> Result<GroupRow, Refusal> {
        let found = self.app.store.group(&self.tenant.tenant.id, &GroupId::from(id)).await?;
        found.ok_or(Refusal::NotFound)
    }

    /// Who is in a group.
    ///
    /// # Errors
    /// The store failed.
    pub async fn members(&self, id: &GroupId) -> Result<Vec<Member>, Refusal> {
        Ok(self.app.store.members(&self.tenant.tenant.id, id).await?)
    }

    /// Makes a group.
    ///
    /// # Errors
    /// The resource is not acceptable, its name is taken, a member does not exist, or the store failed.
    pub async fn create(&self, sent: &Document) -> Result<GroupRow, Refusal> {
        let wanted = wanted(&read::resource(self.shape.group(), sent)?)?;
        let now = self.app.world.now();
        for _ in 0..TRIES {
            let id = GroupId(new_id(self.app, self.shape));
            let (at, source) = self.reserve(&wanted.name, None).await?;
            let source = source.ok_or_else(|| Refusal::value("there is no identity source to put the group into"))?;
            let row = GroupRow {
                group: Group { id: id.clone(), name: wanted.name.clone(), source },
                attributes: {
                    let mut attributes = external(&wanted, &Default::default());
                    self.note(&mut attributes, person::CREATED_BY);
                    self.note(&mut attributes, person::MODIFIED_BY);
                    attributes
                },
                created: now,
                updated: now,
                version: 1,
            };
            self.demand_over(&row.group)?;
            let mut changes = vec![Change::DirectoryAt { version: at }, Change::AddGroup(row.clone())];
            changes.extend(wanted.members.iter().map(|user| join(&id, user)));
            match self.commit(changes).await? {
                None => {
                    self.app.directories.refresh_if_changed().await?;
                    return Ok(row);
                }
                Some(0 | 1) => {}
                Some(_) => return Err(no_member()),
            }
        }
        Err(Refusal::Overtaken)
    }

    /// Brings a group from the document it has to the one that `make` makes of it.
    ///
    /// # Errors
    /// Those of `make`, and as [`Groups::create`]; there is no such group, or of another version than demanded.
    pub async fn edit(
        &self,
        id: &str,
        demand: Demand<'_>,
        make: impl Fn(&Document) -> Result<Document, Refusal>,
    ) -> Result<GroupRow, Refusal> {
        for _ in 0..TRIES {
            let before = self.find(id).await?;
            demand.allows_write(before.version)?;
            self.demand_over(&before.group)?;
            let members = self.members(&before.group.id).await?;
            let wanted = wanted(&make(&self.document(&before, &members))?)?;
            let mut after = before.clone();
            after.group.name.clone_from(&wanted.name);
            after.attributes = external(&wanted, &before.attributes);
            self.demand_over(&after.group)?;
            let present: BTreeSet<UserId> = members.into_iter().map(|member| member.user).collect();
            if after == before && present == wanted.members {
                return Ok(before);
            }
            after.updated = self.app.world.now();
            self.note(&mut after.attributes, person::MODIFIED_BY);
            let mut changes = vec![Change::EditGroup(after.clone())];
            let renamed = after.group.name != before.group.name;
            if renamed {
                let (at, _) = self.reserve(&after.group.name, Some(&after.group.id)).await?;
                changes.push(Change::DirectoryAt { version: at });
            }
            let own = changes.len();
            changes.extend(moves(&after.group.id, &present, &wanted.members));
            match self.commit(changes).await? {
                None => {
                    if renamed {
                        self.app.directories.refresh_if_changed().await?;
                    }
                    after.version += 1;
                    return Ok(after);
                }
                Some(0) if demand.is_strict() => return Err(Refusal::OtherVersion),
                Some(index) if index >= own => return Err(no_member()),
                Some(_) => {}
            }
        }
        Err(Refusal::Overtaken)
    }

    /// Removes a group; nobody is in it any more.
    ///
    /// # Errors
    /// There is none of this id, or of another version than demanded; the store failed.
    pub async fn remove(&self, id: &str, demand: Demand<'_>) -> Result<(), Refusal> {
        for _ in 0..TRIES {
            let row = self.find(id).await?;
            demand.allows_write(row.version)?;
            self.demand_over(&row.group)?;
            let at = self.app.store.directory_version().await?;
            let gone = Change::RemoveGroup { id: row.group.id, version: row.version };
            if self.commit(vec![Change::DirectoryAt { version: at }, gone]).await?.is_none() {
                self.app.directories.refresh_if_changed().await?;
                return Ok(());
            }
        }
        Err(Refusal::Overtaken)
    }

    /// The version of the configuration at which nobody else has this name, and the source groups are put into. Policies find
    /// groups by name or id, so no name may be another's id either.
    async fn reserve(
        &self,
        name: &str,
        own: Option<&GroupId>,
    ) -> Result<(i64, Option<protocol::records::SourceId>), Refusal> {
        self.app.directories.refresh_if_changed().await?;
        let current = self.app.directories.current();
        let Some(tenant) = current.tenant(&self.tenant.tenant.id) else { return Err(Refusal::NotFound) };
        let taken = tenant.groups.values().any(|group| {
            Some(&group.id) != own && (group.name.to_lowercase() == name.to_lowercase() || group.id.as_str() == name)
        });
        if taken {
            return Err(ScimError::of(ScimType::Uniqueness, "the name is taken").into());
        }
        let source = tenant.sources.iter().find(|source| source.kind == SourceKind::CloudDirectory);
        let source = source.or(tenant.sources.first()).map(|source| source.id.clone());
        Ok((current.version, source))
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Option<usize>, Refusal> {
        commit(self.app, &self.tenant, changes).await
    }
}

fn join(group: &GroupId, user: &UserId) -> Change {
    Change::JoinGroup { group: group.clone(), user: user.clone() }
}

/// Who comes and who goes, in the order of ids: those who change people in one order never wait for each other in a ring.
fn moves(group: &GroupId, present: &BTreeSet<UserId>, wanted: &BTreeSet<UserId>) -> Vec<Change> {
    if present.difference(wanted).count() > MOST_LEAVING {
        let empty = std::iter::once(Change::EmptyGroup(group.clone()));
        return empty.chain(wanted.iter().map(|user| join(group, user))).collect();
    }
    let moving: BTreeSet<&UserId> = present.symmetric_difference(wanted).collect();
    let change = |user: &UserId| {
        if wanted.contains(user) {
            join(group, user)
        } else {
            Change::LeaveGroup { group: group.clone(), user: user.clone() }
        }
    };
    moving.into_iter().map(change).collect()
}

fn no_member() -> Refusal {
    Refusal::value("a member does not exist")
}

fn external(wanted: &Wanted, before: &person::Attributes) -> person::Attributes {
    let kept = before.iter().filter(|(name, _)| *name != EXTERNAL).map(|(name, values)| (name.clone(), values.clone()));
    kept.chain(wanted.external.iter().map(|value| (EXTERNAL.to_owned(), vec![value.clone()]))).collect()
}

/// What a document that was read or changed says of a group.
fn wanted(document: &Document) -> Result<Wanted, Refusal> {
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let name = text("displayName").unwrap_or_default();
    if name.trim().is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Refusal::value("the name is empty, too long or holds control characters"));
    }
    let mut members = BTreeSet::new();
    for member in document.get("members").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| member.get(name).and_then(Value::as_str);
        if text("type").is_some_and(|kind| !kind.eq_ignore_ascii_case("User")) {
            return Err(Refusal::value("only people can be members"));
        }
        let id = text("value").ok_or_else(|| Refusal::value("a member has no `value`"))?;
        members.insert(UserId::from(id));
    }
    Ok(Wanted { name: name.to_owned(), external: text(EXTERNAL).map(str::to_owned), members })
}

/// The resource with the attributes that are asked for.
pub(crate) async fn shown(
    call: &Call,
    groups: &Groups<'_>,
    status: StatusCode,
    row: &GroupRow,
    query: &Query,
) -> Result<Response, Refusal> {
    let model = Shape::of(call).group();
    let projection = answer::projection(query, model)?;
    let members = if projection.shows("members") { groups.members(&row.group.id).await? } else { Vec::new() };
    let document = projection.project(model, groups.document(row, &members));
    Ok(answer::resource(call, status, document, row.version))
}

/// `GET /Groups`.
pub async fn list(State(app): State<App>, call: Call) -> Response {
    let run = async {
        caller::client(&app, &call, &READ_GROUPS).await?;
        search::groups(&app, &call, &answer::query(&call)?).await
    };
    answer::finish(&call, run.await)
}

/// `POST /Groups/.search`.
pub async fn search(State(app): State<App>, call: Call) -> Response {
    let run = async {
        caller::client(&app, &call, &READ_GROUPS).await?;
        search::groups(&app, &call, &Query::of_body(&answer::body(&call)?)?).await
    };
    answer::finish(&call, run.await)
}

/// `GET /Groups/{id}`.
pub async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        caller::client(&app, &call, &READ_GROUPS).await?;
        let query = answer::query(&call)?;
        let groups = Groups::of(&app, &call);
        let row = groups.find(&id).await?;
        Demand::of(&call).allows_read(row.version)?;
        shown(&call, &groups, StatusCode::OK, &row, &query).await
    };
    answer::finish(&call, run.await)
}

/// `POST /Groups`.
pub async fn create(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let caller = caller::client(&app, &call, &MANAGE_GROUPS).await?;
        let query = answer::query(&call)?;
        let groups = Groups::of(&app, &call).over_administrators(caller.holds(&OVER_ADMINISTRATORS));
        let row = groups.create(&answer::body(&call)?).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, group = %row.group.id, actor = %caller.client.id, "group added");
        shown(&call, &groups, StatusCode::CREATED, &row, &query).await
    };
    answer::finish(&call, run.await)
}

/// `PUT /Groups/{id}`.
pub async fn replace(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = caller::client(&app, &call, &MANAGE_GROUPS).await?;
        let query = answer::query(&call)?;
        let groups = Groups::of(&app, &call).over_administrators(caller.holds(&OVER_ADMINISTRATORS));
        let sent = read::resource(Shape::of(&call).group(), &answer::body(&call)?)?;
        let row = groups.edit(&id, Demand::of(&call), |_| Ok(sent.clone())).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, group = id, actor = %caller.client.id, "group replaced");
        shown(&call, &groups, StatusCode::OK, &row, &query).await
    };
    answer::finish(&call, run.await)
}

/// `PATCH /Groups/{id}`.
pub async fn change(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = caller::client(&app, &call, &MANAGE_GROUPS).await?;
        let query = answer::query(&call)?;
        let groups = Groups::of(&app, &call).over_administrators(caller.holds(&OVER_ADMINISTRATORS));
        let operations = answer::operations(&call)?;
        let model = Shape::of(&call).group();
        let make = |before: &Document| {
            let mut after = before.clone();
            patch::apply(model, &mut after, &operations)?;
            Ok(after)
        };
        let row = groups.edit(&id, Demand::of(&call), make).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, group = id, actor = %caller.client.id, "group changed");
        shown(&call, &groups, StatusCode::OK, &row, &query).await
    };
    answer::finish(&call, run.await)
}

/// `DELETE /Groups/{id}`.
pub async fn remove(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = caller::client(&app, &call, &MANAGE_GROUPS).await?;
        let groups = Groups::of(&app, &call).over_administrators(caller.holds(&OVER_ADMINISTRATORS));
        groups.remove(&id, Demand::of(&call)).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, group = id, actor = %caller.client.id, "group removed");
        Ok(reply::empty(StatusCode::NO_CONTENT))
    };
    answer::finish(&call, run.await)
}
