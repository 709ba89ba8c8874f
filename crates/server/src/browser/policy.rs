//! Which policy governs a sign-in in the browser, and what it is asked with.
//!
//! A client's own policy, whatever kind of flow it was written for; where that says nothing of first contact, or there is none,
//! a password, a passkey or a sign-in at a provider of the tenant begins one. Decides nothing by itself: the engine does.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use engine::policy::{Action, Contact, Enforcement, Frequency, Method, Policy, Rule, Unenrolled};
use engine::{FactorKind, PolicyRef};
use protocol::records::Client;

use crate::app::App;
use crate::call::Call;
use crate::directory::TenantView;
use crate::fault::Fault;

/// The id of the built-in policy. No stored policy has it.
const BUILT_IN: i64 = 0;

/// What applies where nobody wrote a policy: a password, a passkey or another provider, and nothing after.
static DEFAULT: LazyLock<Arc<Policy>> = LazyLock::new(|| {
    let rule = |id: &str, contact, action| Rule {
        id: id.to_owned(),
        name: id.to_owned(),
        always: false,
        contact,
        conditions: Vec::new(),
        action,
        unenrolled: Unenrolled::Ask,
        reauthenticate: false,
    };
    // What the tenant does not offer is left out: without another provider nobody is sent to one.
    let methods = [FactorKind::Password, FactorKind::Passkey, FactorKind::Federated].map(Method::Kind).to_vec();
    Arc::new(Policy {
        id: BUILT_IN,
        revision: 1,
        name: "built in".to_owned(),
        enforcement: Enforcement::Browser,
        enforced: true,
        rules: vec![
            rule("first contact", Contact::First, Action::Demand { methods, frequency: Frequency::PerGrant }),
            rule("after", Contact::After, Action::Allow),
        ],
        stages: BTreeMap::new(),
        adaptive: None,
    })
});

/// The policy of a client: its own, or where none is attached the tenant's default, or else the built-in one.
///
/// # Errors
/// One is attached but does not exist: nothing may be let through for want of it.
pub fn attached<'t>(tenant: &'t TenantView, client: &Client) -> Result<&'t Arc<Policy>, Fault> {
    match client.policy {
        None => Ok(tenant.default_policy().unwrap_or(&DEFAULT)),
        Some(id) => tenant.policies.get(&id).ok_or_else(|| Fault::stored("the policy of a client does not exist")),
    }
}

/// The policy as it governs a first contact: with the built-in first rules where it has none of its own.
pub fn with_first_contact(policy: &Arc<Policy>) -> Arc<Policy> {
    if policy.rules.iter().any(|rule| rule.contact == Contact::First) {
        return Arc::clone(policy);
    }
    let first = DEFAULT.rules.iter().filter(|rule| rule.contact == Contact::First);
    let rules = first.chain(&policy.rules).cloned().collect();
    Arc::new(Policy { rules, ..(**policy).clone() })
}

/// The revision a sign-in began with and keeps.
///
/// # Errors
/// It is gone, or the store failed.
pub async fn pinned(app: &App, call: &Call, reference: PolicyRef) -> Result<Arc<Policy>, Fault> {
    if reference.id == BUILT_IN {
        return Ok(Arc::clone(&DEFAULT));
    }
    app.directories
        .policy_at(&call.tenant.tenant.id, reference)
        .await
        .map_err(Fault::from)?
        .ok_or_else(|| Fault::stored("the policy of a sign-in is gone"))
}

/// The policy that tokens may name in `acr`: one that somebody wrote.
pub fn named(reference: Option<PolicyRef>) -> Option<i64> {
    reference.map(|policy| policy.id).filter(|id| *id != BUILT_IN)
}
