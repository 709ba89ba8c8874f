//! `grant_type=policyauth`: begins a sign-in under the client's policy (vendor page §2.2).

use engine::policy::{Contact, Enforcement, Policy};
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::GrantId;

use super::super::context;
use super::super::refused::Refused;
use super::super::token::{Answer, TokenRequest};
use super::resume::{self, scope_asked};
use crate::signin::context::gather;
use crate::signin::stored::Resume;
use crate::signin::{Begin, SignIns};

/// Begins the flow: a challenge, or a denial. Never tokens: nobody is known yet.
pub async fn exchange(request: &TokenRequest<'_>) -> Result<Answer, Refused> {
    let TokenRequest { app, call, form, client, .. } = request;
    let policy = policy(request)?;
    let scope = scope_asked(request)?.unwrap_or_default();
    let resource = resume::resources(request)?;
    let context = context::read(form)?;
    if let Some(context) = &context {
        context::require_members(context)?;
    }
    let facts = gather(&call.tenant, client, context.as_ref(), call.peer, None, &app.geo);
    let begin = Begin {
        client: client.id.clone(),
        grant: GrantId(app.world.ordered_uuid()),
        policy: Some(policy),
        after: None,
        facts: &facts,
        prior: None,
        resume: Resume {
            grant_type: "policyauth".to_owned(),
            scope,
            resource,
            authorization_details: resume::authorization_details(form)?,
            context,
            issuer: call.issuer(),
            began: app.world.now(),
            renews: false,
            ..Resume::default()
        },
    };
    let next = SignIns { app, tenant: &call.tenant }.begin(begin).await?;
    resume::answer(request, next).await
}

/// The policy that governs the flow: attached, switched on for this grant, native, with first-contact rules.
fn policy<'r>(request: &'r TokenRequest<'_>) -> Result<&'r Policy, Refused> {
    let client = &request.client;
    let policy = client
        .policy
        .filter(|_| client.policy_grants.policyauth)
        .and_then(|id| request.call.tenant.policies.get(&id))
        .filter(|policy| policy.enforcement == Enforcement::Native)
        .filter(|policy| policy.rules.iter().any(|rule| rule.contact == Contact::First));
    policy.map(AsRef::as_ref).ok_or_else(|| {
        Rejection::new(
            OAuthCode::UnauthorizedClient,
            "no native access policy with first-factor rules is attached to this client for `policyauth`",
        )
        .into()
    })
}
