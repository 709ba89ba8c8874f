//! Who may come in below `/admin/v1`: by role, and for what is a person's own by their token (reference §1.2).

use protocol::idcs::roles::AppRole;
use protocol::records::User;
use protocol::scim::oracle::Actor;

use super::answer::Refusal;
use crate::app::App;
use crate::call::Call;
use crate::doors::idcs::{Caller, Denied};
use crate::scim::{Groups, People};

/// A caller with one of these roles.
///
/// # Errors
/// The token is dead, or lacks the roles.
pub(super) async fn role(app: &App, call: &Call, any: &[AppRole]) -> Result<Caller, Refusal> {
    let caller = Caller::of(app, call).await?;
    caller.demand(any)?;
    Ok(caller)
}

/// An administrator of the tenant.
///
/// # Errors
/// The token is dead, or it is somebody else.
pub(super) async fn administrator(app: &App, call: &Call) -> Result<Caller, Refusal> {
    role(app, call, &[AppRole::IdentityDomainAdministrator]).await
}

/// A person by a token of theirs with one of these roles.
///
/// # Errors
/// The token is dead, lacks the roles, or is a client's own.
pub(super) async fn person(app: &App, call: &Call, any: &[AppRole]) -> Result<(Caller, User), Refusal> {
    let mut caller = Caller::of(app, call).await?;
    // What an administrator may do to others does not make a client's token a person's.
    caller.demand(any)?;
    let user = caller.user.take().ok_or(Denied::MissingRole)?;
    Ok((caller, *user))
}

/// Whoever holds a living token.
///
/// # Errors
/// The token is dead.
pub(super) async fn anybody(app: &App, call: &Call) -> Result<Caller, Refusal> {
    Ok(Caller::of(app, call).await?)
}

/// Who is noted for what the caller does.
pub(super) fn actor(caller: &Caller) -> Actor {
    match &caller.user {
        Some(user) => Actor::user(user),
        None => Actor::app(caller.client.id.as_str(), &caller.client.name),
    }
}

/// The people of the tenant as the caller may write them.
pub(super) fn people<'a>(app: &'a App, call: &Call, caller: &Caller) -> People<'a> {
    People::of(app, call).by(actor(caller)).over_administrators(caller.holds(&[AppRole::IdentityDomainAdministrator]))
}

/// The groups of the tenant as the caller may write them.
pub(super) fn groups<'a>(app: &'a App, call: &Call, caller: &Caller) -> Groups<'a> {
    Groups::of(app, call).by(actor(caller)).over_administrators(caller.holds(&[AppRole::IdentityDomainAdministrator]))
}
