//! Which policy applies: the one attached to the client, and the one its stage names (vendor page §3.7, §3.9).

use engine::policy::{Enforcement, Policy};
use protocol::records::Client;

use crate::directory::TenantView;
use crate::fault::Fault;

/// The native policy attached to a client; none where none is attached, or only one for browser sign-on.
///
/// # Errors
/// A policy is attached but does not exist: nothing may be let through for want of it.
pub fn native<'t>(tenant: &'t TenantView, client: &Client) -> Result<Option<&'t Policy>, Fault> {
    let Some(id) = client.policy else { return Ok(None) };
    let policy = tenant.policies.get(&id).ok_or_else(|| Fault::stored("the policy of a client does not exist"))?;
    Ok((policy.enforcement == Enforcement::Native).then_some(policy.as_ref()))
}

/// The policy whose after-contact rules apply at this stage of the context: the one the policy names for it, or itself.
pub fn for_stage<'p>(tenant: &'p TenantView, policy: &'p Policy, stage: Option<&str>) -> &'p Policy {
    let named = policy.stages.get(stage.unwrap_or("login")).and_then(|id| tenant.policies.get(id));
    named.map_or(policy, AsRef::as_ref)
}
