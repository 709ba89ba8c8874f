//! `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer`: the presentation of a factor assertion of ours (vendor page
//! §2.5), or an ordinary assertion of a trusted issuer (RFC 7523, vendor page §4.6).

use engine::{Proof, Refusal, Stage};
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::{GrantId, User};
use serde_json::{Map, Value};
use store::{Change, CommitError};

use super::super::context;
use super::super::oracle::authn_token::{self, Spoken};
use super::super::person;
use super::super::refused::Refused;
use super::super::token::{Answer, TokenRequest};
use super::known::{self, Known};
use super::outside::{self, LONGEST_LIFE};
use super::resume::{self, scope_asked_for};
use crate::doors::policyauth::assertion;
use crate::signin::applied;
use crate::signin::context::gather;
use crate::signin::stored::OfSession;
use crate::signin::{Flow, SignIns};

/// Tells the two uses apart by the issuer, and runs the one meant.
pub async fn exchange(request: &TokenRequest<'_>) -> Result<Answer, Refused> {
    let jwt = request.form.require("assertion")?;
    if request.call.is_oracle()
        && let Some(spoken) = authn_token::read(request.app, request.call, jwt).await?
    {
        return signed_in(request, spoken).await;
    }
    let own = assertion::read(request.app, request.call, jwt)?;
    if let Some(assertion) = &own
        && let assertion::Of::Grant(grant) = &assertion.of
    {
        return present(request, assertion, grant).await;
    }
    if request.presenter.is_some() {
        return Err(Rejection::invalid_grant("the assertion is not one of a performed factor").into());
    }
    enabled(request)?;
    match own {
        Some(assertion) => performed(request, assertion).await,
        None => outside(request, jwt).await,
    }
}

/// Whether the client may use the grant for more than to present what it was given in a sign-in.
fn enabled(request: &TokenRequest<'_>) -> Result<(), Rejection> {
    if request.client.grant_types.contains(super::Grant::JwtBearer.name()) {
        return Ok(());
    }
    Err(Rejection::new(OAuthCode::UnauthorizedClient, "the grant type is not enabled for this client"))
}

/// Somebody who signed in at the Authenticate API begins a grant, as often as their session lives (Oracle page §4.2). The client may
/// be another than the one that ran the sign-in.
async fn signed_in(request: &TokenRequest<'_>, spoken: Spoken) -> Result<Answer, Refused> {
    enabled(request)?;
    let Spoken { session, user, .. } = spoken;
    if request.client.not_before > session.auth_time() {
        return Err(Rejection::invalid_grant("the assertion cannot be used").into());
    }
    let of = OfSession { id: session.id.clone(), ends: session.expires(request.call) };
    begin(request, &user, session.proofs(), Some(of)).await
}

/// A factor proved outside any grant begins one (vendor page §2.4): the person is fixed, and policy is told what was proved.
async fn performed(request: &TokenRequest<'_>, assertion: assertion::Assertion) -> Result<Answer, Refused> {
    let TokenRequest { app, call, client, .. } = request;
    let unusable = || Refused::Rejected(Rejection::invalid_grant("the assertion cannot be used"));
    let assertion::Of::Factor { kind, at } = assertion.of else { return Err(unusable()) };
    if !assertion.audience.contains(&client.id.0) {
        return Err(unusable());
    }
    let user = person::find(app, call, &assertion.subject).await?.ok_or_else(unusable)?;
    // Cut off since it was proved: what was proved before counts no more.
    if user.not_before > at || !resume::entitled(client, &user) {
        return Err(unusable());
    }
    let spend = Change::Spend {
        key: format!("factor-assertion:{}", assertion.receipt),
        expires: assertion.expires + client.assertion_skew,
    };
    spend_now(request, spend).await?;
    let proof = Proof { kind, at, enrolment: None, user_verified: false, this_run: true, first: true, upstream: None };
    begin(request, &user, vec![proof], None).await
}

/// The receipt of a proof comes back: the sign-in goes on under the facts of this request.
async fn present(
    request: &TokenRequest<'_>,
    assertion: &assertion::Assertion,
    grant: &GrantId,
) -> Result<Answer, Refused> {
    let TokenRequest { app, call, form, client, .. } = request;
    let unusable = || Refused::Rejected(Rejection::invalid_grant("the assertion cannot be used"));
    if !assertion.audience.contains(&client.id.0) {
        return Err(unusable());
    }
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let flow = sign_ins.by_grant(grant).await?.ok_or_else(unusable)?;
    if flow.client != client.id || request.presenter.as_ref().is_some_and(|presenter| presenter.id != flow.id) {
        return Err(unusable());
    }
    // What was sent before is meant where nothing is sent now.
    let context = context::read(form)?.or_else(|| flow.stored.resume.context.clone());
    let user = person::find(app, call, &assertion.subject).await?.ok_or_else(unusable)?;
    if rests_on(&flow).is_some_and(|at| at < user.not_before.max(client.not_before)) {
        return Err(unusable());
    }
    if !resume::entitled(client, &user) {
        let next = sign_ins.refuse(flow, Refusal::NotEntitled).await?;
        return resume::answer(request, next).await;
    }
    let facts = gather(&call.tenant, client, context.as_ref(), call.peer, Some(&user), &app.geo);
    let pinned = match flow.stored.state.policy {
        Some(reference) => Some(
            app.directories
                .policy_at(&call.tenant.tenant.id, reference)
                .await?
                .ok_or_else(|| crate::fault::Fault::stored("the policy of a sign-in is gone"))?,
        ),
        None => None,
    };
    let stage = context.as_ref().and_then(|context| context.stage.as_deref());
    let after = pinned.as_deref().map(|policy| applied::for_stage(&call.tenant, policy, stage));
    let next = sign_ins.proceed(flow, &assertion.receipt, after, &facts).await?;
    resume::answer(request, next).await
}

/// The earliest moment of what this sign-in rests on: a proof, presented or about to be, or an issuer's word at its begin.
/// What was proved before a person was cut off counts no more.
fn rests_on(flow: &Flow) -> Option<i64> {
    let pending = if let Stage::Proven { proof, .. } = &flow.stored.state.stage { Some(proof.at) } else { None };
    let vouched = matches!(flow.stored.resume.grant_type.as_str(), "jwt-bearer" | "token-exchange");
    let vouched = vouched.then_some(flow.stored.resume.began);
    flow.stored.state.proofs.iter().map(|proof| proof.at).chain(pending).chain(vouched).min()
}

/// An assertion of a trusted issuer begins a grant of its own.
async fn outside(request: &TokenRequest<'_>, jwt: &str) -> Result<Answer, Refused> {
    let (claims, issuer) = outside::verify(request, jwt, outside::Use::Assertion).await?;
    let user = outside::subject(request, &claims, issuer.as_ref()).await?;
    if let Some(change) = spend(request, &claims, request.app.world.now())? {
        spend_now(request, change).await?;
    }
    begin(request, &user, Vec::new(), None).await
}

async fn spend_now(request: &TokenRequest<'_>, change: Change) -> Result<(), Refused> {
    match request.app.commit(&request.call.tenant.tenant.id, "bearer assertion", vec![change]).await {
        Ok(()) => Ok(()),
        Err(CommitError::Refused { .. }) => Err(Rejection::invalid_grant("the assertion has been used").into()),
        Err(CommitError::Unavailable(error)) => Err(error.into()),
    }
}

/// A new grant of a person already known, with what was proved already.
async fn begin(
    request: &TokenRequest<'_>,
    user: &User,
    proofs: Vec<Proof>,
    session: Option<OfSession>,
) -> Result<Answer, Refused> {
    let known = Known {
        user,
        proofs,
        grant_type: "jwt-bearer",
        governed: request.client.policy_grants.jwt_bearer,
        scope: scope_asked_for(request, user)?.unwrap_or_default(),
        resource: resume::resources(request)?,
        exchange: None,
        session,
    };
    known::begin(request, known).await
}

/// The write that spends the assertion's `jti`.
fn spend(request: &TokenRequest<'_>, claims: &Map<String, Value>, now: i64) -> Result<Option<Change>, Rejection> {
    let client = &request.client;
    if !client.validate_bearer_jti {
        return Ok(None);
    }
    let jti = claims.get("jti").and_then(Value::as_str).filter(|jti| !jti.is_empty() && jti.len() <= 256);
    let jti = jti.ok_or_else(|| Rejection::invalid_grant("the assertion has no usable `jti`"))?;
    let iss = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let expires = claims.get("exp").and_then(Value::as_i64).unwrap_or(now + LONGEST_LIFE) + client.assertion_skew;
    Ok(Some(Change::Spend { key: format!("bearer-assertion:{iss}:{jti}"), expires }))
}
