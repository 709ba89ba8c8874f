//! The person behind tokens: whether they may have any, and what is remembered of them.

use std::collections::BTreeMap;

use protocol::claims;
use protocol::oauth_error::Rejection;
use protocol::records::{Carried, Client, GrantDetail, SourceKind, User, UserId};
use serde_json::Value;

use super::refused::Refused;
use crate::app::App;
use crate::call::Call;
use crate::directory::TenantView;
use crate::fault::Fault;

/// The person of this id in the tenant called.
///
/// # Errors
/// The store failed.
pub async fn find(app: &App, call: &Call, id: &str) -> Result<Option<User>, Refused> {
    Ok(app.store.user(&call.tenant.tenant.id, &UserId::from(id)).await?.filter(|user| user.active))
}

/// The person of this id, if they may have tokens of this client now.
///
/// # Errors
/// `invalid_grant` when they are gone or switched off; the store failed.
pub async fn usable(app: &App, call: &Call, client: &Client, id: &UserId) -> Result<User, Refused> {
    allowed(client, app.store.user(&call.tenant.tenant.id, id).await?)
}

/// The same of a person who was looked up already.
///
/// # Errors
/// `invalid_grant` when they are gone or switched off.
pub fn allowed(client: &Client, found: Option<User>) -> Result<User, Refused> {
    let usable = found.filter(|user| user.active && super::grants::entitled(client, user));
    usable.ok_or_else(|| Rejection::invalid_grant("the user may not have tokens").into())
}

/// The claims of a person as they are now. A grant keeps them: a refresh does not read them anew (vendor page §4.7).
///
/// # Errors
/// They cannot be written.
pub fn snapshot(tenant: &TenantView, host: &str, client: &Client, user: &User) -> Result<Carried, Fault> {
    carry(&described(tenant, host, client, user))
}

/// The claims that a grant keeps.
///
/// # Errors
/// What is stored cannot be read.
pub fn kept(detail: &GrantDetail) -> Result<BTreeMap<String, Value>, Fault> {
    detail.claims.read().map_err(|error| Fault::internal("the claims of a grant", error))
}

/// The claims of a grant brought up to date at a refresh: they stay as they were, but for those the client wants read anew.
///
/// # Errors
/// What is stored cannot be read, or the new ones cannot be written.
pub fn refresh(
    tenant: &TenantView,
    host: &str,
    client: &Client,
    user: &User,
    detail: &GrantDetail,
) -> Result<Option<Carried>, Fault> {
    if client.refresh_claims.is_empty() {
        return Ok(None);
    }
    let mut kept = kept(detail)?;
    let now = described(tenant, host, client, user);
    for name in &client.refresh_claims {
        match now.get(name) {
            Some(value) => kept.insert(name.clone(), value.clone()),
            None => kept.remove(name),
        };
    }
    carry(&kept).map(Some)
}

fn carry(claims: &BTreeMap<String, Value>) -> Result<Carried, Fault> {
    Carried::of(claims).map_err(|error| Fault::internal("claims", error))
}

fn described(tenant: &TenantView, host: &str, client: &Client, user: &User) -> BTreeMap<String, Value> {
    let source = tenant.sources.iter().find(|source| source.id == user.source);
    let groups: Vec<String> =
        user.groups.iter().filter_map(|id| tenant.groups.get(id)).map(|group| group.name.clone()).collect();
    let around = claims::Surroundings {
        realm: source.map(|source| source.realm.as_str()).unwrap_or_default(),
        kind: source.map_or(SourceKind::CloudDirectory, |source| source.kind),
        tenant_host: host,
        groups: &groups,
    };
    claims::describe(user, &around, client)
}
