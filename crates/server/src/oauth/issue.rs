//! Makes tokens: access, refresh and ID token of one answer, with the writes that make them true.
//!
//! Owns lifetimes, formats and claims. Does not decide whether anything may be issued.

use protocol::claims;
use protocol::records::{AccessTokenFormat, Grant, GrantDetail, GrantId, Seconds, Token, TokenDetail, User};
use store::{Change, CommitError};

use super::id_token::{IdTokenOf, acr_of, id_token};
use super::oracle;
use super::refresh;
use super::refused::Refused;
use super::subject::subject;
use super::token::{TokenRequest, Tokens};
use crate::keys::{Sign, Typ};
use crate::tokens;

/// Whom tokens are for.
pub struct Owner<'u> {
    /// The grant they belong to.
    pub grant: GrantId,
    /// The person; none where the client speaks for itself.
    pub user: Option<&'u User>,
}

/// Tokens, and what must be committed before they may leave.
pub struct Issued {
    /// The answer.
    pub tokens: Tokens,
    /// The writes.
    pub changes: Vec<Change>,
}

/// Which answer of a grant's generation is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// The first one.
    First,
    /// The one of this moment, given again: the same tokens.
    Again(Seconds),
    /// One more under a refresh token that stays: an access token of its own.
    Further,
}

/// Commits what was issued, with whatever belongs to it.
///
/// # Errors
/// Somebody spent the same thing first (`invalid_grant`), or the store failed.
pub async fn commit(request: &TokenRequest<'_>, name: &'static str, changes: Vec<Change>) -> Result<(), Refused> {
    if changes.is_empty() {
        return Ok(());
    }
    match request.app.commit(&request.call.tenant.tenant.id, name, changes).await {
        Ok(()) => Ok(()),
        Err(CommitError::Refused { .. }) => {
            Err(protocol::oauth_error::Rejection::invalid_grant("what was presented has been used").into())
        }
        Err(CommitError::Unavailable(error)) => Err(error.into()),
    }
}

/// An access token and nothing else.
///
/// # Errors
/// No key signs.
pub async fn access_only(
    request: &TokenRequest<'_>,
    owner: &Owner<'_>,
    detail: &GrantDetail,
) -> Result<Issued, Refused> {
    let now = request.app.world.now();
    let token = request.app.world.token(tokens::ACCESS_TOKEN_LENGTH);
    let (access_token, expires, change) = access(request, owner, detail, token, now).await?;
    Ok(Issued {
        tokens: Tokens {
            access_token,
            refresh_token: None,
            scope: detail.scope.join(" "),
            grant_id: owner.grant.0.clone(),
            id_token: None,
            token_type: "Bearer",
            expires_in: expires - now,
        },
        changes: change.into_iter().collect(),
    })
}

/// An ID token and nothing else, in the place of the access token (RFC 8693 §2.2.1). The grant itself is the caller's to write.
///
/// # Errors
/// No key signs.
pub async fn id_only(request: &TokenRequest<'_>, grant: &Grant, user: &User) -> Result<Issued, Refused> {
    let TokenRequest { app, call, client, .. } = request;
    let now = app.world.now();
    let of = IdTokenOf {
        app,
        tenant: &call.tenant,
        client,
        user: &user.id,
        detail: &grant.detail,
        access_token: None,
        code: None,
        state: None,
        place: claims::Place::Full,
        at: now,
    };
    let lifetime = client.id_token_lifetime.unwrap_or(call.tenant.tenant.settings.id_token_lifetime);
    let tokens = Tokens {
        access_token: id_token(of).await?,
        refresh_token: None,
        scope: grant.detail.scope.join(" "),
        grant_id: grant.id.0.clone(),
        id_token: None,
        token_type: "N_A",
        expires_in: grant.detail.not_after.map_or(lifetime, |end| lifetime.min(end - now)),
    };
    Ok(Issued { tokens, changes: Vec::new() })
}

/// All tokens of a grant at its present generation. The grant itself is the caller's to write.
///
/// # Errors
/// No key signs.
pub async fn all(
    request: &TokenRequest<'_>,
    grant: &Grant,
    user: &User,
    scope: &[String],
    turn: Turn,
) -> Result<Issued, Refused> {
    let app = request.app;
    let now = app.world.now();
    let at = match turn {
        Turn::First | Turn::Further => now,
        Turn::Again(at) => at,
    };
    let tenant = &request.call.tenant.tenant;
    let narrowed = (scope != grant.detail.scope).then(|| GrantDetail { scope: scope.to_vec(), ..grant.detail.clone() });
    let detail = narrowed.as_ref().unwrap_or(&grant.detail);
    let owner = Owner { grant: grant.id.clone(), user: Some(user) };
    let token = match turn {
        Turn::First | Turn::Again(_) => refresh::access_token(&app.master, &tenant.id, grant, detail.generation),
        Turn::Further => app.world.token(tokens::ACCESS_TOKEN_LENGTH),
    };
    let (access_token, expires, change) = access(request, &owner, detail, token, at).await?;
    let refresh_token = match grant.refresh {
        Some(_) => refresh::write(&app.master, &tenant.id, &grant.id, &detail.seed, detail.generation),
        None => None,
    };
    let id_token = if scope.iter().any(|scope| scope == "openid") {
        let of = IdTokenOf {
            app,
            tenant: &request.call.tenant,
            client: &request.client,
            user: &user.id,
            detail,
            access_token: Some(&access_token),
            code: None,
            state: None,
            place: claims::Place::Lean,
            at,
        };
        Some(id_token(of).await?)
    } else {
        None
    };
    Ok(Issued {
        tokens: Tokens {
            access_token,
            refresh_token,
            scope: scope.join(" "),
            grant_id: grant.id.0.clone(),
            id_token,
            token_type: "Bearer",
            expires_in: (expires - now).max(0),
        },
        changes: change.into_iter().collect(),
    })
}

/// One access token: `token` itself, or a JWT with a `jti` derived from it. Opaque ones need a row; of the others the grant tells
/// whether they are good still, for as long as they could be.
async fn access(
    request: &TokenRequest<'_>,
    owner: &Owner<'_>,
    detail: &GrantDetail,
    token: String,
    at: Seconds,
) -> Result<(String, Seconds, Option<Change>), Refused> {
    let (token, expires, row) = access_token(request, owner, detail, token, at).await?;
    // A client's own token has no grant that is written.
    let kept = owner.user.map(|_| Change::KeepGrant { grant: owner.grant.clone(), until: expires });
    Ok((token, expires, row.or(kept)))
}

async fn access_token(
    request: &TokenRequest<'_>,
    owner: &Owner<'_>,
    detail: &GrantDetail,
    token: String,
    at: Seconds,
) -> Result<(String, Seconds, Option<Change>), Refused> {
    let client = &request.client;
    let tenant = &request.call.tenant;
    if oracle::is_of(tenant, detail) {
        oracle::may_name_people(client)?;
        let (signed, expires) = oracle::claims::access_token(request, owner, detail, &token, at).await?;
        return Ok((signed, expires, None));
    }
    let lifetime = client.access_token_lifetime.unwrap_or(tenant.tenant.settings.access_token_lifetime);
    let expires = detail.not_after.map_or(at + lifetime, |end| end.min(at + lifetime));
    let audience: Vec<String> =
        if detail.resource.is_empty() { client.audiences.clone() } else { detail.resource.clone() };
    match client.access_token_format {
        AccessTokenFormat::Opaque => {
            let row = Token {
                client: client.id.clone(),
                grant: owner.grant.clone(),
                subject: owner.user.map(|user| user.id.clone()),
                issued: at,
                expires,
                detail: TokenDetail {
                    scope: detail.scope.join(" "),
                    grant_type: detail.grant_type.clone(),
                    audience,
                    issuer: detail.issuer.clone(),
                },
            };
            let change = Change::AddToken(tokens::digest(&token), row);
            Ok((token, expires, Some(change)))
        }
        AccessTokenFormat::Jwt => {
            let jti = tokens::hex(&tokens::digest(&token).0[..16]);
            let sub = match owner.user {
                Some(user) => subject(&request.app.master, &tenant.tenant.id, client, &user.id),
                None => client.id.0.clone(),
            };
            let acr = acr_of(detail);
            let claims = claims::AccessToken {
                iss: &detail.issuer,
                sub: &sub,
                aud: if audience.is_empty() {
                    vec![client.id.as_str()]
                } else {
                    audience.iter().map(String::as_str).collect()
                },
                exp: expires,
                iat: at,
                jti: &jti,
                client_id: client.id.as_str(),
                scope: &detail.scope.join(" "),
                grant_id: owner.grant.as_str(),
                auth_time: detail.auth_time,
                acr: acr.as_deref(),
                amr: &detail.amr,
                act: detail.act.as_ref(),
            };
            let signed =
                tenant.keys.sign_off_thread(Sign::With(client.access_token_alg), Typ::AccessToken, &claims, at).await?;
            Ok((signed, expires, None))
        }
    }
}
