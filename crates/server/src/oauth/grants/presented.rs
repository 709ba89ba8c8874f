//! The tokens an exchange begins with (RFC 8693 §2.1): whom each speaks of, and whether it is still good.
//!
//! Owns the kinds of token that are read. Whoever presents one learns only that it cannot be used.

use engine::Proof;
use protocol::oauth_error::Rejection;
use protocol::records::{ClientId, Grant, Seconds, User, UserId};
use serde_json::{Map, Value};

use super::super::client;
use super::super::introspect;
use super::super::refresh;
use super::super::refused::Refused;
use super::super::token::TokenRequest;
use super::outside;
use crate::keys::Typ;
use crate::tokens;

/// An access token, opaque or JWT (RFC 8693 §3).
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// A refresh token.
pub const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";
/// An ID token of ours.
pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
/// A JWT of an issuer the client trusts, or an access token of ours that is one.
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// What a token is presented as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The person the new token speaks of.
    Subject,
    /// Who acts for that person.
    Actor,
}

/// Whom a token speaks of, and within which bounds.
#[derive(Debug, Default)]
pub struct Bearer {
    /// `sub`.
    pub sub: String,
    /// The person; none where a client speaks for itself.
    pub user: Option<User>,
    /// The client it was issued to, where we issued it.
    pub client: Option<ClientId>,
    /// Its issuer, where that is not us.
    pub issuer: Option<String>,
    /// Who acts for them already.
    pub act: Option<Value>,
    /// Who may act for them.
    pub may_act: Option<Value>,
    /// Its scopes, where it has any.
    pub scope: Option<Vec<String>>,
    /// When it ends.
    pub expires: Seconds,
    /// What was proved for it.
    pub proofs: Vec<Proof>,
}

/// Whether a client's list of token types has this one. Without a list it is access tokens alone.
pub fn lists(types: &[String], kind: &str) -> bool {
    if types.is_empty() { kind == ACCESS_TOKEN } else { types.iter().any(|one| one == kind) }
}

/// The one answer to every token that cannot be used (RFC 8693 §2.2.2; vendor page §4.8).
pub fn unusable(role: Role) -> Refused {
    let text = match role {
        Role::Subject => "unusable [subject_token]",
        Role::Actor => "unusable [actor_token]",
    };
    Rejection::invalid_request(text).with_id("CSIAQ0158E").into()
}

/// Reads a token that must be good.
///
/// # Errors
/// Its kind is none the client may present, or it is not good; the store failed.
pub async fn read(request: &TokenRequest<'_>, role: Role, token: &str, kind: &str) -> Result<Bearer, Refused> {
    let client = &request.client;
    let types = match role {
        Role::Subject => &client.subject_token_types,
        Role::Actor => &client.actor_token_types,
    };
    if !lists(types, kind) {
        return Err(Rejection::invalid_request("the client may not exchange tokens of this type").into());
    }
    if token.len() > tokens::LONGEST {
        return Err(unusable(role));
    }
    let read = match kind {
        ACCESS_TOKEN => access(request, token).await?,
        ID_TOKEN => id(request, token).await?,
        REFRESH_TOKEN if role == Role::Subject => renewable(request, token).await?,
        JWT => match access(request, token).await? {
            Some(own) if token.contains('.') => Some(own),
            Some(_) => None,
            None => foreign(request, token).await?,
        },
        _ => return Err(Rejection::invalid_request("tokens of this type are not exchanged").into()),
    };
    read.filter(|bearer| bearer.expires > request.app.world.now()).ok_or_else(|| unusable(role))
}

/// An access token of ours: alive, its client enabled, its person active.
async fn access(request: &TokenRequest<'_>, token: &str) -> Result<Option<Bearer>, Refused> {
    let TokenRequest { app, call, .. } = request;
    let Some((row, user)) = introspect::access(app, call, token).await? else { return Ok(None) };
    let grant = match user {
        Some(_) => app.store.grant(&call.tenant.tenant.id, &row.grant).await?,
        None => None,
    };
    Ok(Some(Bearer {
        sub: row.subject.as_ref().map_or(row.client.as_str(), |subject| subject.as_str()).to_owned(),
        user,
        client: Some(row.client),
        act: grant.as_ref().and_then(|grant| grant.detail.act.clone()),
        proofs: grant.as_ref().map(proofs).unwrap_or_default(),
        scope: Some(row.detail.scope.split(' ').filter(|one| !one.is_empty()).map(str::to_owned).collect()),
        expires: row.expires,
        ..Bearer::default()
    }))
}

/// An ID token of ours, for the client it names. A signed answer of userinfo looks like one but never ends: it is none.
async fn id(request: &TokenRequest<'_>, token: &str) -> Result<Option<Bearer>, Refused> {
    let TokenRequest { app, call, client: caller, .. } = request;
    let now = app.world.now();
    let Some(claims) = call.tenant.keys.verify(token, Typ::Jwt, now) else { return Ok(None) };
    let number = |name: &str| claims.get(name).and_then(Value::as_i64);
    let (Some(exp), Some(iat), Some(sub), Some(owner)) =
        (number("exp"), number("iat"), text(&claims, "sub"), text(&claims, "aud"))
    else {
        return Ok(None);
    };
    let late = caller.exchange_id_token_window.is_some_and(|window| now > iat + window);
    let Some(owner) = client::find(call, owner).filter(|owner| owner.not_before <= iat && !late) else {
        return Ok(None);
    };
    let user = app.store.user(&call.tenant.tenant.id, &UserId::from(sub)).await?;
    let Some(user) = user.filter(|user| user.active && user.not_before <= iat) else { return Ok(None) };
    Ok(Some(Bearer {
        sub: sub.to_owned(),
        user: Some(user),
        client: Some(owner.id.clone()),
        act: claims.get("act").cloned(),
        expires: exp,
        ..Bearer::default()
    }))
}

/// A refresh token of ours, the current one of a living grant. It is not used up.
async fn renewable(request: &TokenRequest<'_>, token: &str) -> Result<Option<Bearer>, Refused> {
    let TokenRequest { app, call, .. } = request;
    let now = app.world.now();
    let Some((id, _)) = refresh::read(token) else { return Ok(None) };
    let Some(grant) = app.store.grant(&call.tenant.tenant.id, &id).await? else { return Ok(None) };
    let current = grant.active && grant.expires > now && grant.refresh == Some(tokens::digest(token));
    let (true, Some(subject)) = (current, &grant.subject) else { return Ok(None) };
    let Some(owner) = client::find(call, grant.client.as_str()) else { return Ok(None) };
    let user = app.store.user(&call.tenant.tenant.id, subject).await?;
    let usable = |user: &User| user.active && user.not_before.max(owner.not_before) <= grant.created;
    let Some(user) = user.filter(usable) else { return Ok(None) };
    Ok(Some(Bearer {
        sub: subject.0.clone(),
        user: Some(user),
        act: grant.detail.act.clone(),
        proofs: proofs(&grant),
        scope: Some(grant.detail.scope.clone()),
        expires: grant.refresh_expires,
        client: Some(grant.client),
        ..Bearer::default()
    }))
}

/// A JWT of an issuer the client trusts.
async fn foreign(request: &TokenRequest<'_>, token: &str) -> Result<Option<Bearer>, Refused> {
    let (claims, issuer) = match outside::verify(request, token, outside::Use::Exchange).await {
        Ok((claims, Some(issuer))) => (claims, issuer),
        Ok((_, None)) | Err(Refused::Rejected(_)) => return Ok(None),
        Err(other) => return Err(other),
    };
    let user = match outside::subject(request, &claims, Some(&issuer)).await {
        Ok(user) => user,
        Err(Refused::Rejected(_)) => return Ok(None),
        Err(other) => return Err(other),
    };
    let Some(expires) = claims.get("exp").and_then(Value::as_i64) else { return Ok(None) };
    Ok(Some(Bearer {
        sub: text(&claims, "sub").unwrap_or_default().to_owned(),
        user: Some(user),
        issuer: Some(issuer.issuer),
        act: claims.get("act").filter(|act| act.is_object()).cloned(),
        may_act: claims.get("may_act").cloned(),
        scope: text(&claims, "scope").map(|scope| scope.split(' ').map(str::to_owned).collect()),
        expires,
        ..Bearer::default()
    }))
}

/// What was proved for a grant, as an earlier run counts.
fn proofs(grant: &Grant) -> Vec<Proof> {
    let all: Vec<Proof> = grant.detail.proofs.read().unwrap_or_default();
    all.into_iter().map(|proof| Proof { this_run: false, ..proof }).collect()
}

fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c str> {
    claims.get(name).and_then(Value::as_str)
}
