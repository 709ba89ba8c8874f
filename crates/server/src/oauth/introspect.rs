//! Introspection (RFC 7662, vendor page §4.11): what a token is, told to a client that may know.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::claims::{self, Introspection, True};
use protocol::client_auth::read_presented;
use protocol::oauth_error::Rejection;
use protocol::records::{Client, ClientAuthMethod, ClientId, Grant, IntrospectScope, Seconds, Token, User, UserId};
use serde::Serialize;
use serde_json::{Map, Value};

use super::client;
use super::id_token::acr_of;
use super::oracle;
use super::person;
use super::refresh;
use super::refused::Refused;
use super::subject::subject as subject_of;
use crate::app::App;
use crate::call::Call;
use crate::keys::Typ;
use crate::reply;
use crate::signin::{Flow, SignIns};
use crate::tokens;

/// `POST /introspect` under every path family.
pub async fn introspect(State(app): State<App>, call: Call) -> Response {
    match answer(&app, &call).await {
        Ok(Some(response)) => response,
        Ok(None) => reply::json(StatusCode::OK, &Inactive { active: false }),
        Err(refused) => refused.into_response(StatusCode::UNAUTHORIZED.as_u16()),
    }
}

#[derive(Serialize)]
struct Inactive {
    active: bool,
}

async fn answer(app: &App, call: &Call) -> Result<Option<Response>, Refused> {
    let form = call.form(&[])?;
    let presented = read_presented(&form, call.authorization())?.without_bearer();
    let caller = client::authenticate(app, call, presented).await?;
    if caller.auth_method == ClientAuthMethod::None {
        return Err(Rejection::invalid_client().into());
    }
    let token = form.require("token")?;
    if token.len() > tokens::LONGEST {
        return Ok(None);
    }
    if let Some((row, user)) = access(app, call, token).await? {
        return if may_see(&caller, &row.client, &row.detail.audience) {
            describe_access(app, call, &row, user.as_ref()).await.map(Some)
        } else {
            Ok(None)
        };
    }
    if let Some(grant) = refresh_token(app, call, token).await? {
        return Ok(may_see(&caller, &grant.client, &[]).then(|| describe_refresh(app, call, &grant)));
    }
    let flow = (SignIns { app, tenant: &call.tenant }).by_handle(token).await?;
    let open = flow.filter(|flow| !matches!(flow.stored.state.stage, engine::Stage::Closed(_)));
    Ok(open.filter(|flow| may_see(&caller, &flow.client, &[])).map(|flow| describe_challenge(&flow)))
}

/// Only an audience of a token may learn of it, unless the client is set to see all (RFC 7662 §4).
fn may_see(caller: &Client, owner: &ClientId, audience: &[String]) -> bool {
    caller.introspect == IntrospectScope::Any
        || caller.id == *owner
        || audience.iter().any(|one| one == caller.id.as_str() || caller.audiences.contains(one))
}

/// A live access token of the tenant, opaque or JWT, whose client is still enabled, and its person.
///
/// # Errors
/// The store failed.
pub async fn access(app: &App, call: &Call, token: &str) -> Result<Option<(Token, Option<User>)>, Refused> {
    let now = app.world.now();
    let tenant = &call.tenant.tenant.id;
    let row = if token.contains('.') {
        jwt(app, call, token, now).await?
    } else {
        app.store.token(tenant, &tokens::digest(token)).await?.map(|(row, _)| row)
    };
    let Some(row) = row.filter(|row| row.expires > now) else { return Ok(None) };
    let Some(client) = client::find(call, row.client.as_str()) else { return Ok(None) };
    if client.not_before > row.issued {
        return Ok(None);
    }
    match &row.subject {
        None => Ok(Some((row, None))),
        Some(subject) => match app.store.user(tenant, subject).await? {
            Some(user) if user.active && user.not_before <= row.issued => Ok(Some((row, Some(user)))),
            Some(_) | None => Ok(None),
        },
    }
}

/// A JWT access token we signed, not revoked, as the row it would have had.
async fn jwt(app: &App, call: &Call, token: &str, now: Seconds) -> Result<Option<Token>, Refused> {
    let keys = &call.tenant.keys;
    let (claims, row) = match keys.verify(token, Typ::AccessToken, now) {
        Some(claims) => {
            let row = row_of(&claims);
            (claims, row)
        }
        None => match keys.verify(token, Typ::OracleAccess, now) {
            Some(claims) => {
                let row = oracle::claims::row_of(&claims);
                (claims, row)
            }
            None => return Ok(None),
        },
    };
    let Some(row) = row else { return Ok(None) };
    let jti = claims.get("jti").and_then(Value::as_str).unwrap_or_default();
    let dead = app.store.jwt_revoked(&call.tenant.tenant.id, jti, &row.grant, row.issued).await?;
    if dead {
        return Ok(None);
    }
    // A pairwise name cannot be turned back: the grant knows whose it is.
    let pairwise =
        row.subject.is_some() && client::find(call, row.client.as_str()).is_some_and(|client| client.pairwise);
    if !pairwise {
        return Ok(Some(row));
    }
    let grant = app.store.grant(&call.tenant.tenant.id, &row.grant).await?;
    Ok(grant.map(|grant| Token { subject: grant.subject, ..row }))
}

/// What the subject of a client's token is called towards that client; the client itself where there is no person.
fn name_of(app: &App, call: &Call, client: &ClientId, subject: Option<&UserId>) -> String {
    match (subject, call.tenant.clients.get(client)) {
        (None, _) => client.0.clone(),
        (Some(user), Some(client)) => subject_of(&app.master, &call.tenant.tenant.id, client, user),
        (Some(user), None) => user.0.clone(),
    }
}

fn row_of(claims: &Map<String, Value>) -> Option<Token> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let client = ClientId::from(text("client_id")?);
    let subject = text("sub")?;
    let audience = match claims.get("aud")? {
        Value::String(one) => vec![one.clone()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => return None,
    };
    Some(Token {
        grant: text("grant_id")?.into(),
        subject: (subject != client.as_str()).then(|| subject.into()),
        issued: claims.get("iat")?.as_i64()?,
        expires: claims.get("exp")?.as_i64()?,
        detail: protocol::records::TokenDetail {
            scope: text("scope").unwrap_or_default().to_owned(),
            grant_type: text("grant_type").unwrap_or_default().to_owned(),
            audience,
            issuer: text("iss")?.to_owned(),
        },
        client,
    })
}

async fn refresh_token(app: &App, call: &Call, token: &str) -> Result<Option<Grant>, Refused> {
    let Some((id, _)) = refresh::read(token) else { return Ok(None) };
    let now = app.world.now();
    let Some((grant, person)) = app.store.grant_and_person(&call.tenant.tenant.id, &id).await? else { return Ok(None) };
    // Whom it would serve: of neither of them anything counts from before they were cut off.
    let (Some(client), Some(user)) = (client::find(call, grant.client.as_str()), person) else { return Ok(None) };
    let usable = user.active && user.not_before.max(client.not_before) <= grant.created;
    let current = grant.active
        && grant.expires > now
        && grant.refresh_expires > now
        && grant.refresh == Some(tokens::digest(token));
    Ok((usable && current).then_some(grant))
}

/// What the dialect says of an access token (vendor page §4.11).
async fn describe_access(app: &App, call: &Call, row: &Token, user: Option<&User>) -> Result<Response, Refused> {
    if call.is_oracle() {
        return Ok(oracle::asked::introspected(row, user, "Bearer"));
    }
    let grant = match user {
        Some(_) => app.store.grant(&call.tenant.tenant.id, &row.grant).await?,
        None => None,
    };
    let detail = grant.as_ref().map(|grant| &grant.detail);
    let acr = detail.and_then(acr_of);
    let client = call.tenant.clients.get(&row.client);
    let entitlements: Vec<&str> =
        client.map(|client| client.entitlements.iter().map(String::as_str).collect()).unwrap_or_default();
    let mut person = match detail {
        Some(detail) => claims::select_introspected(&person::kept(detail)?),
        None => Map::new(),
    };
    if let Some(act) = detail.and_then(|detail| detail.act.clone()) {
        person.insert("act".to_owned(), act);
    }
    let sub = name_of(app, call, &row.client, row.subject.as_ref());
    if client.is_some_and(|client| client.pairwise) {
        claims::hide_subject(&mut person, &sub);
    }
    let aud = if row.detail.audience.is_empty() {
        vec![row.client.as_str()]
    } else {
        row.detail.audience.iter().map(String::as_str).collect()
    };
    Ok(reply::json(
        StatusCode::OK,
        &Introspection {
            active: True,
            scope: &row.detail.scope,
            client_id: row.client.as_str(),
            token_type: "Bearer",
            exp: row.expires,
            iat: row.issued,
            grant_type: &row.detail.grant_type,
            grant_id: row.grant.as_str(),
            sub: &sub,
            aud,
            iss: &row.detail.issuer,
            person,
            amr: detail.map_or(&[], |detail| &detail.amr),
            acr: acr.as_deref(),
            entitlements: &entitlements,
            restrict_entitlements: client.is_none_or(|client| client.restrict_entitlements),
            category: "application",
        },
    ))
}

fn describe_refresh(app: &App, call: &Call, grant: &Grant) -> Response {
    if call.is_oracle() {
        return oracle::asked::introspected_refresh(grant);
    }
    reply::json(
        StatusCode::OK,
        &Introspection {
            active: True,
            scope: &grant.detail.scope.join(" "),
            client_id: grant.client.as_str(),
            token_type: "refresh_token",
            exp: grant.refresh_expires,
            iat: grant.rotated_at,
            grant_type: &grant.detail.grant_type,
            grant_id: grant.id.as_str(),
            sub: &name_of(app, call, &grant.client, grant.subject.as_ref()),
            aud: vec![grant.client.as_str()],
            iss: &grant.detail.issuer,
            person: serde_json::Map::new(),
            amr: &grant.detail.amr,
            acr: None,
            entitlements: &[],
            restrict_entitlements: true,
            category: "application",
        },
    )
}

/// A challenge token is a live token with one scope that resource servers refuse (vendor page §1.3).
fn describe_challenge(flow: &Flow) -> Response {
    let entitlements: &[&str] =
        if flow.stored.state.subject.is_some() { &["authn", "readEnrollMFAMethod"] } else { &["authnAnyUser"] };
    reply::json(
        StatusCode::OK,
        &Introspection {
            active: True,
            scope: "mfa_challenge",
            client_id: flow.client.as_str(),
            token_type: "Bearer",
            exp: flow.stored.state.expires,
            iat: flow.stored.resume.began,
            grant_type: &flow.stored.resume.grant_type,
            grant_id: flow.id.as_str(),
            sub: flow.stored.state.subject.as_deref().unwrap_or(flow.client.as_str()),
            aud: vec![flow.client.as_str()],
            iss: &flow.stored.resume.issuer,
            person: serde_json::Map::new(),
            amr: &[],
            acr: None,
            entitlements,
            restrict_entitlements: true,
            category: "application",
        },
    )
}
