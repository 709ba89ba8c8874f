//! Userinfo (OpenID Connect Core §5.3, vendor page §4.13): the claims of the person behind a token.

use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use protocol::claims;
use protocol::oauth_error::OAuthCode;
use serde_json::json;

use super::introspect;
use super::person;
use super::refused::Refused;
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
    let known = match grant {
        Some(grant) => grant.detail.claims,
        None => person::snapshot(&call.tenant, call.host(), client, &user),
    };
    let mut claims = claims::userinfo(user.id.as_str(), &known, &scope, client);
    let Some(alg) = client.userinfo_alg else {
        return Ok(reply::json(StatusCode::OK, &claims));
    };
    // OpenID Connect Core §5.3.2: a signed answer names its issuer and audience.
    claims.insert("iss".to_owned(), json!(row.detail.issuer));
    claims.insert("aud".to_owned(), json!(client.id));
    let signed = call.tenant.keys.sign_off_thread(Sign::With(alg), Typ::Jwt, &claims, app.world.now()).await?;
    let mut response = reply::empty(StatusCode::OK);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jwt"));
    *response.body_mut() = signed.into();
    Ok(response)
}

/// No token at all: the challenge names no error (RFC 6750 §3.1).
fn challenge_only() -> Response {
    let mut response = reply::empty(StatusCode::UNAUTHORIZED);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn refuse(status: StatusCode, code: OAuthCode, text: &'static str) -> Response {
    let mut response = reply::oauth(status, code, text);
    let challenge = format!("Bearer error=\"{}\", error_description=\"{text}\"", code.as_str());
    if let Ok(value) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}
