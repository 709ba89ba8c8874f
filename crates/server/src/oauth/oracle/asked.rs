//! What the dialect answers of tokens and people: introspection, userinfo, ID tokens (Oracle page §4.5).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::claims::{Dialect, Wanted};
use protocol::claims::{asked_for, half_hash, select};
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::{Grant, SigningAlg, Token, User};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::id_token::IdTokenOf;
use super::super::introspect;
use super::super::person;
use super::super::refused::Refused;
use super::super::userinfo::{challenge_only, refuse};
use super::claims::{self, Identified, first};
use crate::app::App;
use crate::call::Call;
use crate::fault::Fault;
use crate::keys::Typ;
use crate::reply;

/// What introspection says of a token that is good.
#[derive(Serialize)]
struct Introspected<'a> {
    active: bool,
    exp: i64,
    iat: i64,
    nbf: i64,
    iss: &'a str,
    scope: &'a str,
    token_type: &'a str,
    client_id: &'a str,
    aud: &'a [String],
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<&'a str>,
    prn: &'a str,
}

/// An access token, introspected.
pub fn introspected(row: &Token, user: Option<&User>, token_type: &'static str) -> Response {
    let name = user.map(|user| user.username.as_str());
    let sub = name.unwrap_or(row.client.as_str());
    reply::json(
        StatusCode::OK,
        &Introspected {
            active: true,
            exp: row.expires,
            iat: row.issued,
            nbf: row.issued,
            iss: &row.detail.issuer,
            scope: &row.detail.scope,
            token_type,
            client_id: row.client.as_str(),
            aud: &row.detail.audience,
            sub,
            preferred_username: name,
            prn: sub,
        },
    )
}

/// A refresh token, introspected.
pub fn introspected_refresh(grant: &Grant) -> Response {
    let claims = person::kept(&grant.detail).unwrap_or_default();
    let name = claims.get("preferred_username").and_then(Value::as_str);
    let sub = name.unwrap_or(grant.client.as_str());
    reply::json(
        StatusCode::OK,
        &Introspected {
            active: true,
            exp: grant.refresh_expires,
            iat: grant.rotated_at,
            nbf: grant.rotated_at,
            iss: &grant.detail.issuer,
            scope: &grant.detail.scope.join(" "),
            token_type: "refresh_token",
            client_id: grant.client.as_str(),
            aud: &[],
            sub,
            preferred_username: name,
            prn: sub,
        },
    )
}

/// `GET` and `POST /oauth2/v1/userinfo`.
pub async fn userinfo(State(app): State<App>, call: Call) -> Response {
    match about(&app, &call).await {
        Ok(response) => response,
        Err(refused) => refused.into_response(StatusCode::UNAUTHORIZED.as_u16()),
    }
}

async fn about(app: &App, call: &Call) -> Result<Response, Refused> {
    let Some(token) = call.bearer() else { return Ok(challenge_only()) };
    let found = if token.len() <= crate::tokens::LONGEST { introspect::access(app, call, token).await? } else { None };
    let Some((row, user)) = found else {
        return Ok(refuse(StatusCode::UNAUTHORIZED, OAuthCode::InvalidToken, "the token is not valid"));
    };
    let has = |name: &str| row.detail.scope.split(' ').any(|scope| scope == name);
    let (Some(user), true) = (&user, has("openid")) else {
        return Ok(refuse(StatusCode::FORBIDDEN, OAuthCode::InsufficientScope, "the token lacks scope `openid`"));
    };
    // A member that has no value is an empty text (Oracle page §4.5).
    let text = |name: &str| Value::from(first(user, name).unwrap_or_default());
    let flag = |name: &str| Value::from(first(user, name) == Some("true"));
    let mut said = Map::new();
    said.insert("sub".into(), user.username.as_str().into());
    if has("profile") {
        said.insert("name".into(), claims::shown(user).into());
        for name in ["given_name", "family_name", "birthdate", "gender", "website", "zoneinfo", "locale", "picture"] {
            said.insert(name.into(), text(name));
        }
        said.insert("preferred_username".into(), user.username.as_str().into());
        said.insert("updated_at".into(), user.updated.into());
    }
    if has("email") {
        said.insert("email".into(), text("email"));
        said.insert("email_verified".into(), flag("email_verified"));
    }
    if has("phone") {
        said.insert("phone_number".into(), text("phone_number"));
        said.insert("phone_number_verified".into(), flag("phone_number_verified"));
    }
    if has("address") {
        let part = |name: &str| text(&format!("address.{name}"));
        said.insert(
            "address".into(),
            json!({
                "formatted": part("formatted"), "street_address": part("street_address"), "locality": part("locality"),
                "region": part("region"), "postal_code": part("postal_code"), "country": part("country"),
            }),
        );
    }
    if has("groups") || has("get_groups") {
        let groups = user.groups.iter().filter_map(|id| call.tenant.groups.get(id));
        let groups: Vec<Value> = groups
            .map(|group| {
                let id = group.id.as_str();
                json!({ "name": group.name, "id": id, "$ref": format!("{}/admin/v1/Groups/{id}", call.base) })
            })
            .collect();
        said.insert("groups".into(), groups.into());
    }
    if has("approles") || has("get_approles") {
        let roles = if super::administers(&call.tenant, user) { vec!["Identity Domain Administrator"] } else { vec![] };
        said.insert("appRoles".into(), json!(roles));
    }
    Ok(reply::json(StatusCode::OK, &said))
}

/// An ID token of OpenID Connect in this dialect. It is no assertion: its audience is the client alone.
///
/// # Errors
/// The person is gone, no RSA key signs, or the store failed.
pub async fn id_token(of: IdTokenOf<'_>) -> Result<String, Refused> {
    let IdTokenOf { app, tenant, client, detail, .. } = of;
    super::may_name_people(client)?;
    let user = app.store.user(&tenant.tenant.id, of.user).await?.filter(|user| user.active);
    let user = user.ok_or_else(|| Rejection::invalid_grant("the user may not have tokens"))?;
    let lifetime = client.id_token_lifetime.unwrap_or(tenant.tenant.settings.id_token_lifetime);
    let wanted = Wanted {
        scope: &detail.scope,
        place: of.place,
        dialect: Dialect::of(detail),
        asked: asked_for(detail.claims_request.as_ref(), "id_token"),
    };
    let mut more = select(&person::kept(detail)?, client, &wanted);
    // What the token says by itself is not said twice.
    more.remove("email_verified");
    let proofs: Vec<engine::Proof> =
        detail.proofs.read().map_err(|error| Fault::internal("the proofs of a grant", error))?;
    let hash = |text: Option<&str>| text.map(|text| half_hash(text, SigningAlg::Rs256));
    let jti = app.world.uuid();
    let signed = claims::identity_token(Identified {
        tenant,
        base: &detail.base,
        client,
        application: None,
        user: &user,
        proofs: &proofs,
        auth_time: detail.auth_time.unwrap_or(of.at),
        sid: detail.sid.as_deref(),
        jti: &jti,
        at: of.at,
        ends: detail.not_after.map_or(of.at + lifetime, |end| end.min(of.at + lifetime)),
        returns: false,
        acs: None,
        nonce: detail.nonce.as_deref(),
        hashes: (hash(of.access_token), hash(of.code)),
        more: &more,
    });
    Ok(signed.await?)
}

/// The claims of an ID token of this dialect that comes back as a hint, expired or not; the person is named as everywhere else.
pub fn hint(app: &App, call: &Call, token: &str) -> Option<Map<String, Value>> {
    let mut claims = call.tenant.keys.verify(token, Typ::OracleIdentity, app.world.now())?;
    let person = claims.get("user_id")?.clone();
    // The application's name is in the place of its id there.
    claims.remove("azp");
    claims.insert("sub".to_owned(), person);
    Some(claims)
}
