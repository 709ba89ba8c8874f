//! The policy vault: a tenant's access policies over HTTP, in the current document form and, on the old paths, in the
//! older ones (vendor page §3.1).
//!
//! Owns the wire of it. What may be done is in [`rules`], what a document means in `policy_document`.

mod rules;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use protocol::records::PolicyRecord;
use protocol::search::Listing;
use serde_json::{Value, json};

use self::rules::{Objection, Vault, Write, followed};
use super::caller::authenticate;
use super::refusal::Refusal;
use crate::app::App;
use crate::call::{Call, Path};
use crate::directory::{Directory, DirectoryChange, DirectoryError};
use crate::policy_document::{Shape, Stamp};
use crate::reply;

/// The paths of the vault, for labels of metrics.
pub const PATHS: [&str; 12] = [
    "/v5.0/policyvault/accesspolicy",
    "/v5.0/policyvault/accesspolicy/{policy}",
    "/v5.0/policyvault/accesspolicy/{policy}/revision",
    "/v5.0/policyvault/accesspolicy/{policy}/revision/{revision}",
    "/v3.0/policyvault/accesspolicy",
    "/v3.0/policyvault/accesspolicy/{policy}",
    "/v3.0/policyvault/accesspolicy/{policy}/revision",
    "/v3.0/policyvault/accesspolicy/{policy}/revision/{revision}",
    "/v1.0/policyvault/accesspolicy",
    "/v1.0/policyvault/accesspolicy/{policy}",
    "/v1.0/policyvault/accesspolicy/{policy}/revision",
    "/v1.0/policyvault/accesspolicy/{policy}/revision/{revision}",
];

const READ: [&str; 2] = ["readAccessPolicies", "manageAccessPolicies"];
const MANAGE: [&str; 1] = ["manageAccessPolicies"];

/// Names a policy may be searched and sorted by, in any of the forms.
const NAMES: [&str; 11] = [
    "id",
    "name",
    "description",
    "containsFirstFactor",
    "predefined",
    "enforcementType",
    "author",
    "creationTime",
    "lastModifiedOn",
    "lastModifiedBy",
    "meta/*",
];

/// Ids are drawn from here: never small enough to be mistaken for a hand-written one, never beyond what JSON numbers carry.
const IDS: std::ops::Range<u64> = 100_000..1 << 53;

/// Times a write is tried when others write at the same moment.
const TRIES: usize = 8;

/// Every route of the vault.
pub fn routes() -> Router<App> {
    let mut router = Router::new();
    for version in ["/v5.0", "/v3.0", "/v1.0"] {
        let at = |rest: &str| format!("{version}/policyvault/accesspolicy{rest}");
        router = router
            .route(&at(""), get(list).post(create))
            .route(&at("/{policy}"), get(read).put(replace).post(revise).delete(remove))
            .route(&at("/{policy}/revision"), get(revisions))
            .route(&at("/{policy}/revision/{revision}"), get(read_revision).put(amend).delete(remove_revision));
    }
    router
}

/// A no of the vault.
enum No {
    Door(Refusal),
    Objection(Objection),
    /// Others kept writing the same policy.
    Overtaken,
}

impl<T: Into<Refusal>> From<T> for No {
    fn from(refusal: T) -> Self {
        Self::Door(refusal.into())
    }
}

impl From<Objection> for No {
    fn from(objection: Objection) -> Self {
        Self::Objection(objection)
    }
}

impl From<DirectoryError> for Refusal {
    fn from(error: DirectoryError) -> Self {
        Self::Fault(error.into())
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let (status, id, description) = match self {
            Self::Door(refusal) => return refusal.into_response(),
            Self::Objection(Objection::NotFound) => {
                (StatusCode::NOT_FOUND, "CSIAH5397E", "The access policy was not found.".to_owned())
            }
            Self::Objection(Objection::InUse) => {
                (StatusCode::BAD_REQUEST, "CSIAH5412E", "The access policy is in use by an application.".to_owned())
            }
            Self::Objection(Objection::NotPossible(why)) => {
                (StatusCode::BAD_REQUEST, "CSIAH5401E", format!("The access policy is not valid: {why}."))
            }
            Self::Objection(Objection::Invalid(problems)) => {
                let shown: Vec<String> = problems.iter().take(5).map(ToString::to_string).collect();
                (
                    StatusCode::BAD_REQUEST,
                    "CSIAH5401E",
                    format!("The access policy is not valid: {}.", shown.join("; ")),
                )
            }
            Self::Overtaken => (
                StatusCode::CONFLICT,
                "CSIAH9996E",
                "The access policy was changed by others at the same time.".to_owned(),
            ),
        };
        reply::json(status, &json!({ "messageId": id, "messageDescription": description }))
    }
}

/// The form of the documents on this path.
fn shape(call: &Call) -> Option<Shape> {
    match call.uri.path() {
        path if path.starts_with("/v1.0/") => Some(Shape::One),
        path if path.starts_with("/v3.0/") => Some(Shape::Three),
        _ => None,
    }
}

/// Lets in only a client by its own token, and gives its id. A person's token is refused even where the client it was issued
/// to holds the entitlement: who signs in through an application does not thereby govern the tenant.
async fn demand(app: &App, call: &Call, entitlements: &[&str]) -> Result<String, No> {
    let caller = authenticate(app, call).await?;
    Ok(caller.client_alone(entitlements)?.0.clone())
}

fn number(text: &str) -> Result<i64, No> {
    text.parse().ok().filter(|number| *number > 0).ok_or(No::Objection(Objection::NotFound))
}

fn body(call: &Call) -> Result<Value, No> {
    call.json().map(Value::Object).ok_or(No::Door(Refusal::Malformed("The body is not a JSON object.")))
}

/// Runs `with` over the tenant as it is now; the snapshot of the request may be older than the last write.
fn with_vault<T>(app: &App, call: &Call, with: impl FnOnce(&Vault<'_>) -> T) -> T {
    with_vault_of(&app.directories.current(), call, with)
}

fn with_vault_of<T>(directory: &Directory, call: &Call, with: impl FnOnce(&Vault<'_>) -> T) -> T {
    let tenant = directory.tenant(&call.tenant.tenant.id).unwrap_or(&call.tenant);
    let in_use = |id: i64| followed(tenant.clients.values(), id);
    with(&Vault { primaries: &tenant.policy_records, in_use: &in_use })
}

async fn all_revisions(app: &App, call: &Call, id: i64) -> Result<Vec<PolicyRecord>, No> {
    let all = app.directories.policy_revisions(&call.tenant.tenant.id, id).await.map_err(Refusal::from)?;
    if all.is_empty() { Err(Objection::NotFound.into()) } else { Ok(all) }
}

/// The configuration to make a change of: whoever changes anything meanwhile wins, and it is made anew.
async fn latest(app: &App) -> Result<Arc<Directory>, No> {
    Ok(app.directories.latest().await.map_err(Refusal::from)?)
}

async fn commit(app: &App, call: &Call, read: &Directory, changes: Vec<DirectoryChange>) -> Result<bool, No> {
    // In force at once on this node, and what is read next shows it.
    Ok(app.change_directory_at(read, &call.tenant.tenant.id, changes).await.map_err(Refusal::from)?)
}

/// Writes what `plan` makes of all revisions; whoever loses a race looks again.
async fn write(
    app: &App,
    call: &Call,
    id: i64,
    plan: impl Fn(&Vault<'_>, &[PolicyRecord]) -> Result<Write, Objection>,
) -> Result<PolicyRecord, No> {
    for _ in 0..TRIES {
        let read = latest(app).await?;
        let all = all_revisions(app, call, id).await?;
        let Write { changes, record } = with_vault_of(&read, call, |vault| plan(vault, &all))?;
        if commit(app, call, &read, changes).await? {
            tracing::info!(tenant = %call.tenant.tenant.id, policy = id, revision = record.revision, "policy written");
            return Ok(record);
        }
    }
    Err(No::Overtaken)
}

/// Takes away what `plan` makes of all revisions; as [`write`].
async fn take_away(
    app: &App,
    call: &Call,
    id: i64,
    plan: impl Fn(&Vault<'_>, &[PolicyRecord]) -> Result<Vec<DirectoryChange>, Objection>,
) -> Result<(), No> {
    for _ in 0..TRIES {
        let read = latest(app).await?;
        let all = all_revisions(app, call, id).await?;
        let changes = with_vault_of(&read, call, |vault| plan(vault, &all))?;
        if commit(app, call, &read, changes).await? {
            return Ok(());
        }
    }
    Err(No::Overtaken)
}

fn answer(app: &App, call: &Call, status: StatusCode, record: &PolicyRecord) -> Response {
    let shown = with_vault(app, call, |vault| vault.shown(record, shape(call)));
    reply::json(status, &shown)
}

/// `GET …/accesspolicy`: the primary revisions.
async fn list(State(app): State<App>, call: Call) -> Result<Response, No> {
    demand(&app, &call, &READ).await?;
    let query = call.query().map_err(|_| Refusal::Malformed("The query is not in form."))?;
    let listing = Listing::read(&query, &NAMES).map_err(|_| Refusal::Malformed("The search is not in form."))?;
    let documents: Vec<Value> = with_vault(&app, &call, |vault| {
        vault.primaries.values().map(|record| vault.shown(record, shape(&call))).collect()
    });
    let page = listing.apply(documents);
    let body = if shape(&call).is_some() {
        json!({ "policies": page.items, "nonMigratedPolicies": [], "total": page.total })
    } else {
        json!({
            "total": page.total,
            "count": page.items.len(),
            "limit": page.limit,
            // Without paging the vendor counts from 0.
            "page": listing.page.unwrap_or(0),
            "policies": page.items,
        })
    };
    Ok(reply::json(StatusCode::OK, &body))
}

/// `POST …/accesspolicy`: a new policy.
async fn create(State(app): State<App>, call: Call) -> Result<Response, No> {
    let actor = demand(&app, &call, &MANAGE).await?;
    let given = body(&call)?;
    for _ in 0..TRIES {
        let read = latest(&app).await?;
        let stamp = Stamp { id: new_id(&app), revision: 1, now: app.world.now(), actor: &actor };
        let Write { changes, record } = with_vault_of(&read, &call, |vault| vault.create(&given, stamp))?;
        if commit(&app, &call, &read, changes).await? {
            tracing::info!(tenant = %call.tenant.tenant.id, policy = record.id, "policy made");
            return Ok(answer(&app, &call, StatusCode::CREATED, &record));
        }
    }
    Err(No::Overtaken)
}

/// Random, not the next number: the id of a removed policy must not come back while a sign-in remembers it.
fn new_id(app: &App) -> i64 {
    let mut bytes = [0; 8];
    app.world.random(&mut bytes);
    let id = IDS.start + u64::from_le_bytes(bytes) % (IDS.end - IDS.start);
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// `GET …/{policy}`: the primary revision.
async fn read(State(app): State<App>, Path(policy): Path<String>, call: Call) -> Result<Response, No> {
    demand(&app, &call, &READ).await?;
    let all = all_revisions(&app, &call, number(&policy)?).await?;
    let primary = all.iter().find(|record| record.primary).ok_or(Objection::NotFound)?;
    Ok(answer(&app, &call, StatusCode::OK, primary))
}

/// `PUT …/{policy}`: replaced, by a new revision where it matters.
async fn replace(State(app): State<App>, Path(policy): Path<String>, call: Call) -> Result<Response, No> {
    let actor = demand(&app, &call, &MANAGE).await?;
    let (id, given, now) = (number(&policy)?, body(&call)?, app.world.now());
    let record = write(&app, &call, id, |vault, all| vault.replace(&given, all, now, &actor)).await?;
    let status = StatusCode::from_u16(call.tenant.tenant.settings.policy_put_status).unwrap_or(StatusCode::CREATED);
    Ok(answer(&app, &call, status, &record))
}

/// `POST …/{policy}`: a new revision.
async fn revise(State(app): State<App>, Path(policy): Path<String>, call: Call) -> Result<Response, No> {
    let actor = demand(&app, &call, &MANAGE).await?;
    let (id, given, now) = (number(&policy)?, body(&call)?, app.world.now());
    let record = write(&app, &call, id, |vault, all| vault.revise(&given, all, now, &actor)).await?;
    Ok(answer(&app, &call, StatusCode::CREATED, &record))
}

/// `DELETE …/{policy}`: gone with all revisions.
async fn remove(State(app): State<App>, Path(policy): Path<String>, call: Call) -> Result<Response, No> {
    demand(&app, &call, &MANAGE).await?;
    let id = number(&policy)?;
    take_away(&app, &call, id, |vault, all| vault.remove(all)).await?;
    tracing::info!(tenant = %call.tenant.tenant.id, policy = id, "policy removed");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// `GET …/{policy}/revision`: every revision, the oldest first.
async fn revisions(State(app): State<App>, Path(policy): Path<String>, call: Call) -> Result<Response, No> {
    demand(&app, &call, &READ).await?;
    let all = all_revisions(&app, &call, number(&policy)?).await?;
    let shown: Vec<Value> =
        with_vault(&app, &call, |vault| all.iter().map(|record| vault.shown(record, shape(&call))).collect());
    Ok(reply::json(StatusCode::OK, &json!({ "total": shown.len(), "revisions": shown })))
}

/// `GET …/{policy}/revision/{revision}`.
async fn read_revision(
    State(app): State<App>,
    Path((policy, revision)): Path<(String, String)>,
    call: Call,
) -> Result<Response, No> {
    demand(&app, &call, &READ).await?;
    let (id, revision) = (number(&policy)?, number(&revision)?);
    let found = app.directories.policy_revision(&call.tenant.tenant.id, id, revision).await.map_err(Refusal::from)?;
    Ok(answer(&app, &call, StatusCode::OK, &found.ok_or(Objection::NotFound)?))
}

/// `PUT …/{policy}/revision/{revision}`: changed in place.
async fn amend(
    State(app): State<App>,
    Path((policy, revision)): Path<(String, String)>,
    call: Call,
) -> Result<Response, No> {
    let actor = demand(&app, &call, &MANAGE).await?;
    let (id, revision, given, now) = (number(&policy)?, number(&revision)?, body(&call)?, app.world.now());
    let record = write(&app, &call, id, |vault, all| vault.amend(&given, all, revision, now, &actor)).await?;
    Ok(answer(&app, &call, StatusCode::OK, &record))
}

/// `DELETE …/{policy}/revision/{revision}`.
async fn remove_revision(
    State(app): State<App>,
    Path((policy, revision)): Path<(String, String)>,
    call: Call,
) -> Result<Response, No> {
    demand(&app, &call, &MANAGE).await?;
    let (id, revision) = (number(&policy)?, number(&revision)?);
    take_away(&app, &call, id, |vault, all| vault.remove_revision(all, revision)).await?;
    tracing::info!(tenant = %call.tenant.tenant.id, policy = id, revision, "policy revision removed");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

#[cfg(test)]
mod tests;
