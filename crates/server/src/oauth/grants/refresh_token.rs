//! `grant_type=refresh_token` (RFC 6749 §6, RFC 9700 §4.14): rotation with a short grace for lost answers, and the
//! client's policy asked again where it applies to refreshes (vendor page §4.7).

use engine::{Prior, Proof};
use protocol::oauth_error::Rejection;
use protocol::records::{Grant, Seconds, User};
use protocol::rotation::{self, Turn};
use protocol::scope;
use store::{Change, CommitError};

use super::super::context;
use super::super::issue;
use super::super::person;
use super::super::refresh;
use super::super::refused::Refused;
use super::super::token::{Answer, TokenRequest};
use super::resume;
use crate::fault::Fault;
use crate::signin::applied;
use crate::signin::context::gather;
use crate::signin::stored::Resume;
use crate::signin::{Begin, Next, SignIns};
use crate::tokens;

/// Rotates, answers again, or refuses.
pub async fn exchange(request: &TokenRequest<'_>) -> Result<Answer, Refused> {
    let token = request.form.require("refresh_token")?;
    // A second look finds what another request of the same client just did.
    match attempt(request, token).await? {
        Some(answer) => Ok(answer),
        None => attempt(request, token).await?.ok_or_else(unusable),
    }
}

fn unusable() -> Refused {
    Rejection::invalid_grant("unusable [authorization_grant], type [refresh_token]").into()
}

/// One look at the grant. None when another request changed it meanwhile.
async fn attempt(request: &TokenRequest<'_>, token: &str) -> Result<Option<Answer>, Refused> {
    let TokenRequest { app, call, client, .. } = request;
    let tenant = &call.tenant.tenant;
    let now = app.world.now();
    let (id, generation) = refresh::read(token).ok_or_else(unusable)?;
    let (grant, person) = app.store.grant_and_person(&tenant.id, &id).await?.ok_or_else(unusable)?;
    // Another client's token is refused without a word about it, and without harm to its owner.
    if grant.client != client.id {
        tracing::warn!(grant = %grant.id, client = %client.id, "refresh token presented by another client");
        return Err(unusable());
    }
    let presented = tokens::digest(token);
    match rotation::judge(&grant, &presented, now, tenant.settings.refresh_grace) {
        Turn::Rotate => rotate(request, grant, person, now).await,
        Turn::AnswerAgain => {
            let (user, scope) = still_good(request, &grant, person)?;
            let issued = issue::all(request, &grant, &user, &scope, issue::Turn::Again(grant.rotated_at)).await?;
            Ok(Some(Answer::Tokens(issued.tokens)))
        }
        Turn::Reuse => kill(request, &grant).await,
        Turn::Unknown if refresh::is_genuine(&app.master, &grant, token, generation) => kill(request, &grant).await,
        Turn::Unknown | Turn::Expired => Err(unusable()),
    }
}

/// A token that was rotated long ago came back: somebody else has the line, and nobody can tell who. The whole family dies.
async fn kill(request: &TokenRequest<'_>, grant: &Grant) -> Result<Option<Answer>, Refused> {
    tracing::warn!(grant = %grant.id, client = %grant.client, "rotated refresh token reused, grant revoked");
    let changes = vec![Change::RevokeGrant(grant.id.clone())];
    match request.app.commit(&grant.tenant, "refresh token reuse", changes).await {
        Ok(()) | Err(CommitError::Refused { .. }) => Err(unusable()),
        Err(CommitError::Unavailable(error)) => Err(error.into()),
    }
}

/// The person may still use the application, and the scope asked for is within the grant's.
fn still_good(request: &TokenRequest<'_>, grant: &Grant, person: Option<User>) -> Result<(User, Vec<String>), Refused> {
    let TokenRequest { call, form, client, .. } = request;
    let user = person::allowed(client, person)?;
    if user.not_before.max(client.not_before) > grant.created {
        return Err(unusable());
    }
    // Clients of Oracle's dialect repeat what made the token a lasting one, and mean all of it (Oracle page §4.3).
    let asked = form.one("scope")?.filter(|asked| !(call.is_oracle() && asked.trim() == scope::OFFLINE_ACCESS));
    let scope = scope::narrow(&grant.detail.scope, asked)?;
    let within = if grant.detail.resource.is_empty() { &client.audiences } else { &grant.detail.resource };
    if form.many("resource").chain(form.many("audience")).any(|asked| !within.iter().any(|one| one == asked)) {
        let code = protocol::oauth_error::OAuthCode::InvalidTarget;
        return Err(Rejection::new(code, "the grant does not cover this resource").into());
    }
    Ok((user, scope))
}

async fn rotate(
    request: &TokenRequest<'_>,
    grant: Grant,
    person: Option<User>,
    now: Seconds,
) -> Result<Option<Answer>, Refused> {
    let TokenRequest { app, call, form, client, .. } = request;
    let (user, scope) = still_good(request, &grant, person)?;
    let mut changes = Vec::with_capacity(3);
    let context = context::read(form)?;
    let applies = client.policy_grants.refresh_token && (context.is_some() || !client.policy_requires_context);
    if applies && let Some(policy) = applied::native(&call.tenant, client)? {
        let sign_ins = SignIns { app, tenant: &call.tenant };
        let stage = context.as_ref().and_then(|context| context.stage.as_deref());
        let proofs: Vec<Proof> =
            grant.detail.proofs.read().map_err(|error| Fault::internal("the proofs of a grant", error))?;
        let mut facts = gather(&call.tenant, client, context.as_ref(), call.peer, Some(&user), &app.geo);
        let second = proofs.iter().filter(|proof| !proof.first).map(|proof| proof.at).max();
        facts.second_factor_age = engine::facts::Fact::Known(second.map(|at| now - at));
        let begin = Begin {
            client: client.id.clone(),
            grant: grant.id.clone(),
            policy: Some(policy),
            after: Some(applied::for_stage(&call.tenant, policy, stage)),
            facts: &facts,
            prior: Some(Prior {
                subject: user.id.0.clone(),
                proofs: proofs.into_iter().map(|proof| Proof { this_run: false, ..proof }).collect(),
            }),
            resume: Resume {
                grant_type: grant.detail.original_grant_type.clone(),
                scope: scope.clone(),
                resource: grant.detail.resource.clone(),
                authorization_details: grant.detail.authorization_details.clone(),
                context,
                issuer: grant.detail.issuer.clone(),
                began: grant.created,
                renews: true,
                ..Resume::default()
            },
        };
        match sign_ins.begin(begin).await? {
            Next::Ready(flow) => changes.extend(sign_ins.redeem(flow)?),
            challenge_or_denial => return resume::answer(request, challenge_or_denial).await.map(Some),
        }
    }
    let next = successor(request, grant.clone(), &user, now)?;
    let turn = if client.renew_refresh_token { issue::Turn::First } else { issue::Turn::Further };
    let issued = issue::all(request, &next, &user, &scope, turn).await?;
    changes.extend(issued.changes);
    changes.push(if next == grant {
        // A token that stays good may be used by many at once: none of them changes what another is at.
        Change::NeedGrant { grant: next.id, until: now + issued.tokens.expires_in }
    } else {
        Change::UpdateGrant(next)
    });
    match app.commit(&call.tenant.tenant.id, "refresh", changes).await {
        Ok(()) => Ok(Some(Answer::Tokens(issued.tokens))),
        Err(CommitError::Refused { .. }) => Ok(None),
        Err(CommitError::Unavailable(error)) => Err(error.into()),
    }
}

/// The grant after this refresh. A client without rotation keeps its token and that token's end.
fn successor(request: &TokenRequest<'_>, mut next: Grant, user: &User, now: Seconds) -> Result<Grant, Refused> {
    let TokenRequest { app, call, client, .. } = request;
    next.detail.grant_type = resume::grant_type(request);
    if let Some(claims) = person::refresh(&call.tenant, call.host(), client, user, &next.detail)? {
        next.detail.claims = claims;
    }
    if !client.renew_refresh_token {
        return Ok(next);
    }
    let generation = next.detail.generation + 1;
    if generation > refresh::MOST_GENERATIONS {
        return Err(unusable());
    }
    next.detail.generation = generation;
    let token = refresh::write(&app.master, &next.tenant, &next.id, &next.detail.seed, generation)
        .ok_or_else(|| Fault::stored("a grant id is no UUID"))?;
    let lifetime = client.refresh_token_lifetime.unwrap_or(call.tenant.tenant.settings.refresh_token_lifetime);
    next.refresh_previous = next.refresh.replace(tokens::digest(&token));
    next.refresh_expires = next.expires.min(now + lifetime);
    next.rotated_at = now;
    Ok(next)
}
