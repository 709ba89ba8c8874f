//! Grants of a person who is known when they begin: by a password, an assertion, or a token exchanged. Owns that the person
//! may use the application and that the client's policy has its say; proves nobody.

use engine::{Prior, Proof, Refusal};
use protocol::records::{GrantId, User};

use super::super::context;
use super::super::refused::Refused;
use super::super::token::{Answer, TokenRequest};
use super::resume;
use crate::signin::applied;
use crate::signin::context::gather;
use crate::signin::stored::{Exchange, OfSession, Resume};
use crate::signin::{Begin, Next, SignIns};

/// A grant about to begin.
pub struct Known<'a> {
    /// The person.
    pub user: &'a User,
    /// What was proved already.
    pub proofs: Vec<Proof>,
    /// What is remembered as the grant type that began it.
    pub grant_type: &'static str,
    /// Whether the client's policy is switched on for this grant.
    pub governed: bool,
    /// Scopes it may have.
    pub scope: Vec<String>,
    /// Resources it is for.
    pub resource: Vec<String>,
    /// What binds an exchange.
    pub exchange: Option<Exchange>,
    /// The session it comes of.
    pub session: Option<OfSession>,
}

/// Begins the grant: tokens, a challenge where policy wants more, or a denial.
///
/// # Errors
/// The person may not use the application, policy denies, or the request is malformed.
pub async fn begin(request: &TokenRequest<'_>, known: Known<'_>) -> Result<Answer, Refused> {
    let TokenRequest { app, call, form, client, .. } = request;
    let Known { user, proofs, grant_type, governed, scope, resource, exchange, session } = known;
    let context = context::read(form)?;
    let entitled = resume::entitled(client, user);
    let applies = entitled && governed && (context.is_some() || !client.policy_requires_context);
    let policy = if applies { applied::native(&call.tenant, client)? } else { None };
    let stage = context.as_ref().and_then(|context| context.stage.as_deref());
    let facts = gather(&call.tenant, client, context.as_ref(), call.peer, Some(user), &app.geo);
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let begin = Begin {
        client: client.id.clone(),
        grant: GrantId(app.world.ordered_uuid()),
        policy,
        after: policy.map(|policy| applied::for_stage(&call.tenant, policy, stage)),
        facts: &facts,
        prior: Some(Prior { subject: user.id.0.clone(), proofs }),
        resume: Resume {
            grant_type: grant_type.to_owned(),
            scope,
            resource,
            authorization_details: resume::authorization_details(form)?,
            context,
            issuer: call.issuer(),
            began: app.world.now(),
            enrols: false,
            renews: false,
            exchange,
            session,
        },
    };
    let next = match sign_ins.begin(begin).await? {
        // Recorded like any other denial, so that an administrator finds it by its reference.
        Next::Ready(flow) if !entitled => sign_ins.refuse(flow, Refusal::NotEntitled).await?,
        next => next,
    };
    resume::answer(request, next).await
}
