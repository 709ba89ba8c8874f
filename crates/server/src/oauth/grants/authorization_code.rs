//! `grant_type=authorization_code` (RFC 6749 §4.1.3, RFC 7636 §4.5).

use engine::Proof;
use protocol::oauth_error::Rejection;
use protocol::pkce;
use protocol::records::{ClientAuthMethod, GrantDetail, GrantId, User};
use store::{Change, CommitError};

use super::super::codes::{self, Authorized, Found};
use super::super::consents;
use super::super::person;
use super::super::refused::Refused;
use super::super::token::{Answer, TokenRequest};
use super::resume;
use crate::browser::session;
use crate::fault::Fault;

/// Redeems a code, once.
pub async fn exchange(request: &TokenRequest<'_>) -> Result<Answer, Refused> {
    let TokenRequest { app, call, form, client, .. } = request;
    let code = form.require("code")?;
    let (authorized, spend) = match codes::find(app, call, code).await? {
        Found::Good(authorized, spend) => (authorized, spend),
        Found::Spent(grant) => return kill(request, grant).await,
        Found::Unknown => return Err(unusable()),
    };
    // Another client learns nothing, and does its owner no harm (demand E-7).
    if authorized.client != client.id {
        tracing::warn!(grant = %authorized.grant, client = %client.id, "code presented by another client");
        return Err(unusable());
    }
    // Oracle's clients leave it out (Oracle page §4.3); one that is confidential or proves its code by PKCE is bound to it either way.
    let redirect_uri = form.one("redirect_uri")?;
    let bound = authorized.challenge.is_some() || client.auth_method != ClientAuthMethod::None;
    let left_out = call.is_oracle() && redirect_uri.is_none() && bound;
    if !left_out && redirect_uri != authorized.redirect_uri.as_deref() {
        return Err(Rejection::invalid_grant("`redirect_uri` is not that of the authorization request").into());
    }
    pkce::check_verifier(authorized.challenge.as_ref(), form.one("code_verifier")?)?;
    let user = person::usable(app, call, client, &authorized.subject).await?;
    let proofs: Vec<Proof> =
        authorized.detail.proofs.read().map_err(|error| Fault::internal("the proofs of a code", error))?;
    // Each of them must be of after the person was cut off, not only the newest.
    let proved = proofs.iter().map(|proof| proof.at).chain(authorized.detail.auth_time).min().unwrap_or(0);
    if user.not_before > proved || client.not_before > authorized.given {
        return Err(unusable());
    }
    // What was allowed may have been taken back since.
    let consent = consents::held(app, &call.tenant.tenant.id, client, &user.id, &authorized.detail.scope).await?;
    let consent = consent.ok_or_else(unusable)?;
    match redeem(request, *authorized, &user, *spend, consent.clone()).await {
        Err(Refused::Rejected(rejection)) => match codes::find(app, call, code).await? {
            // Somebody redeemed it at the same moment. Nobody can tell who of the two had it rightly.
            Found::Spent(grant) => kill(request, grant).await,
            // The person signed in anew at the same moment, in the place of the session it came of; or that was ended.
            Found::Good(authorized, spend) => redeem(request, *authorized, &user, *spend, consent).await,
            Found::Unknown => Err(rejection.into()),
        },
        done => done,
    }
}

fn unusable() -> Refused {
    Rejection::invalid_grant("unusable [authorization_grant], type [authorization_code]").into()
}

/// A code came twice: whatever came of it the first time ends (RFC 6749 §4.1.2).
async fn kill(request: &TokenRequest<'_>, grant: GrantId) -> Result<Answer, Refused> {
    let TokenRequest { app, call, client, .. } = request;
    let owner = app.store.grant(&call.tenant.tenant.id, &grant).await?;
    if owner.is_none_or(|owner| owner.client != client.id) {
        // Another client does its owner no harm.
        return Err(unusable());
    }
    tracing::warn!(%grant, client = %client.id, "code presented again, grant revoked");
    let changes = vec![Change::RevokeGrant(grant)];
    match request.app.commit(&request.call.tenant.tenant.id, "code reuse", changes).await {
        Ok(()) | Err(CommitError::Refused { .. }) => Err(unusable()),
        Err(CommitError::Unavailable(error)) => Err(error.into()),
    }
}

async fn redeem(
    request: &TokenRequest<'_>,
    authorized: Authorized,
    user: &User,
    spend: Change,
    consent: Vec<Change>,
) -> Result<Answer, Refused> {
    let TokenRequest { app, call, client, .. } = request;
    let tenant = &call.tenant.tenant;
    let Authorized { grant: id, session, front, detail, .. } = authorized;
    let earlier = if front { app.store.grant(&tenant.id, &id).await? } else { None };
    if front && !earlier.as_ref().is_some_and(|grant| grant.active) {
        return Err(unusable());
    }
    let detail = GrantDetail {
        original_grant_type: "authorization_code".to_owned(),
        grant_type: "authorization_code".to_owned(),
        claims: person::snapshot(&call.tenant, call.host(), client, user)?,
        ..detail
    };
    let scope = detail.scope.clone();
    let mut grant = resume::next_grant(request, &id, Some(user.id.clone()), detail, earlier)?;
    grant.session = codes::bound(client, &scope).then(|| session.clone());
    // Signing out drops the codes there are. Another node may have looked the session up before, and written its code after.
    let mut changes = vec![session::not_ended(session), spend];
    changes.extend(consent);
    resume::hand_out(request, grant, user, &scope, None, changes).await.map(Answer::Tokens)
}
