//! Userinfo (OpenID Connect Core §5.3, vendor page §4.13): the claims of the person behind a token.

use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use protocol::claims;
use protocol::oauth_error::OAuthCode;
use protocol::records::{Client, GrantDetail};
use serde_json::{Map, Value};

use super::id_token::encrypt;
use super::introspect;
use super::person;
use super::refused::Refused;
use super::subject::subject;
use crate::app::App;
use crate::call::Call;
use crate::keys::{Sign, Typ};
use crate::reply;
use crate::signin::SignIns;

/// `GET` and `POST /userinfo` under every path family.
pub async fn userinfo(State(app): State<App>, call: Call) -> Response {
    match run(&app, &call).await {
        Ok(response) => response,
        Err(refused) => refused.into_response(StatusCode::UNAUTHORIZED.as_u16()),
    }
}

async fn run(app: &App, call: &Call) -> Result<Response, Refused> {
    // Both places at once are legal in this dialect; they must agree.
    let in_body = if call.method == Method::POST && !call.body.is_empty() {
        call.form(&[])?.one("access_token")?.map(str::to_owned)
    } else {
        None
    };
    let token = match (call.bearer(), in_body.as_deref()) {
        (Some(header), Some(body)) if header != body => {
            return Ok(refuse(StatusCode::BAD_REQUEST, OAuthCode::InvalidRequest, "two different tokens"));
        }
        (Some(token), _) | (None, Some(token)) => token,
        (None, None) => return Ok(challenge_only()),
    };
    let Some((row, user)) = introspect::access(app, call, token).await? else {
        let pending = (SignIns { app, tenant: &call.tenant }).by_handle(token).await?;
        return Ok(match pending {
            Some(_) => {
                refuse(StatusCode::FORBIDDEN, OAuthCode::InsufficientScope, "the token only continues a sign-in")
            }
            None => refuse(StatusCode::UNAUTHORIZED, OAuthCode::InvalidToken, "the token is not valid"),
        });
    };
    let scope: Vec<String> = row.detail.scope.split(' ').map(str::to_owned).collect();
    let (Some(user), true) = (user, scope.iter().any(|scope| scope == "openid")) else {
        return Ok(refuse(StatusCode::FORBIDDEN, OAuthCode::InsufficientScope, "the token lacks scope `openid`"));
    };
    let Some(client) = call.tenant.clients.get(&row.client) else {
        return Ok(refuse(StatusCode::UNAUTHORIZED, OAuthCode::InvalidToken, "the token is not valid"));
    };
    let grant = app.store.grant(&call.tenant.tenant.id, &row.grant).await?;
    let detail = match grant {
        Some(grant) => grant.detail,
        // A grant is kept as long as its tokens; without one there is only the person as they are now.
        None => GrantDetail {
            claims: person::snapshot(&call.tenant, call.host(), client, &user)?,
            base: call.base.clone(),
            issuer: row.detail.issuer.clone(),
            ..GrantDetail::default()
        },
    };
    let wanted = claims::Wanted {
        scope: &scope,
        place: claims::Place::Full,
        dialect: claims::Dialect::of(&detail),
        asked: claims::asked_for(detail.claims_request.as_ref(), "userinfo"),
    };
    let sub = subject(&app.master, &call.tenant.tenant.id, client, &user.id);
    let claims = claims::userinfo(&sub, &person::kept(&detail)?, client, &wanted);
    answer(app, call, client, claims, &row.detail.issuer).await
}

/// The claims in the form the client registered: JSON, signed, encrypted, or signed and then encrypted (OpenID Connect Core §5.3.2).
async fn answer(
    app: &App,
    call: &Call,
    client: &Client,
    mut claims: Map<String, Value>,
    issuer: &str,
) -> Result<Response, Refused> {
    let signed = match client.userinfo_alg {
        Some(alg) => {
            // A signed answer names its issuer and audience.
            claims.insert("iss".to_owned(), issuer.into());
            claims.insert("aud".to_owned(), client.id.as_str().into());
            Some(call.tenant.keys.sign_off_thread(Sign::With(alg), Typ::Jwt, &claims, app.world.now()).await?)
        }
        None => None,
    };
    let jwt = match (&client.userinfo_encryption, signed) {
        (Some(encryption), Some(signed)) => encrypt(app, client, encryption, signed.as_bytes(), Some("JWT")).await?,
        (Some(encryption), None) => {
            let plain = Value::Object(claims).to_string();
            encrypt(app, client, encryption, plain.as_bytes(), None).await?
        }
        (None, Some(signed)) => signed,
        (None, None) => return Ok(reply::json(StatusCode::OK, &claims)),
    };
    let mut response = reply::empty(StatusCode::OK);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jwt"));
    *response.body_mut() = jwt.into();
    Ok(response)
}

/// No token at all: the challenge names no error (RFC 6750 §3.1).
pub(super) fn challenge_only() -> Response {
    let mut response = reply::empty(StatusCode::UNAUTHORIZED);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// A token that does not do (RFC 6750 §3).
pub(super) fn refuse(status: StatusCode, code: OAuthCode, text: &'static str) -> Response {
    let mut response = reply::oauth(status, code, text);
    let challenge = format!("Bearer error=\"{}\", error_description=\"{text}\"", code.as_str());
    if let Ok(value) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}
