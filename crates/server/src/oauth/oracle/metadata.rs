//! The documents of the dialect: metadata in two forms, and the keys with their certificates (Oracle page §4.6).

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use protocol::discovery::Prefix;
use protocol::idcs::scopes::CLAIM_SCOPES;
use protocol::oauth_error::OAuthCode;
use serde_json::{Value, json};

use super::super::bearer;
use super::super::grants::Grant;
use super::super::refused::Refused;
use super::super::userinfo::{challenge_only, refuse};
use crate::app::App;
use crate::call::Call;
use crate::reply;

/// How long others may keep a document, seconds.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=300");
/// Where the keys are.
pub const KEYS: &str = "/admin/v1/SigningCert/jwk";

/// `GET /oauth2/v1/.well-known/openid-configuration`, and the same without its family where the tenant wants that.
pub async fn openid(State(_): State<App>, call: Call) -> Response {
    public(&describe(&call))
}

/// `GET /.well-known/idcs-configuration`: where clients of Oracle's begin.
pub async fn idcs(State(_): State<App>, call: Call) -> Response {
    let at = |path: &str| format!("{}/admin/v1/{path}", call.base);
    public(&json!({
        "configuration": { "version": "1", "name": "countersign" },
        "access-configuration": {
            "http_authentication_endpoint": at("HTTPAuthenticator"),
            "password_authenticator_endpoint": at("PasswordAuthenticator"),
            "asserter_endpoint": at("Asserter"),
        },
        "openid-configuration": describe(&call),
    }))
}

/// `OPTIONS` of both: which methods there are.
pub async fn methods() -> Response {
    let mut response = reply::empty(StatusCode::OK);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, OPTIONS"));
    response
}

/// `GET /admin/v1/SigningCert/jwk`: for whoever has a token, or for all where the tenant wants that.
pub async fn keys(State(app): State<App>, call: Call) -> Response {
    match certified(&app, &call).await {
        Ok(response) => response,
        Err(refused) => refused.into_response(StatusCode::UNAUTHORIZED.as_u16()),
    }
}

async fn certified(app: &App, call: &Call) -> Result<Response, Refused> {
    if !call.tenant.tenant.settings.oracle.signing_cert_public {
        let Some(token) = call.bearer() else { return Ok(challenge_only()) };
        if bearer::find(app, call, token).await?.is_none() {
            return Ok(refuse(StatusCode::UNAUTHORIZED, OAuthCode::InvalidToken, "the token is not valid"));
        }
    }
    Ok(public(&call.tenant.keys.certified_jwks(app.world.now())))
}

fn describe(call: &Call) -> Value {
    let at = |name: &str| Prefix::Oracle.endpoint(&call.base, name);
    let grants: Vec<&str> =
        Grant::ALL.iter().filter(|grant| **grant != Grant::Policyauth).map(|grant| grant.name()).collect();
    let scopes = ["openid", "profile", "offline_access", "email", "address", "phone"];
    let scopes: Vec<&str> = scopes.into_iter().chain(CLAIM_SCOPES).collect();
    json!({
        "issuer": call.tenant.tenant.settings.oracle.issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "userinfo_endpoint": at("userinfo"),
        "revocation_endpoint": at("revoke"),
        // Misspelled as the vendor has it, and spelled as RFC 8414 §2 has it.
        "introspect_endpoint": at("introspect"),
        "introspection_endpoint": at("introspect"),
        "device_authorization_endpoint": at("device"),
        "end_session_endpoint": at("userlogout"),
        "jwks_uri": format!("{}{KEYS}", call.base),
        "secure_authorization_endpoint": at("authorize"),
        "secure_token_endpoint": at("token"),
        "secure_userinfo_endpoint": at("userinfo"),
        "secure_revocation_endpoint": at("revoke"),
        "secure_introspect_endpoint": at("introspect"),
        "secure_end_session_endpoint": at("userlogout"),
        "secure_jwks_uri": format!("{}{KEYS}", call.base),
        "response_types_supported":
            ["code", "token", "id_token", "code token", "code id_token", "token id_token", "code token id_token"],
        "scopes_supported": scopes,
        "grant_types_supported": grants,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "userinfo_signing_alg_values_supported": ["none"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["aud", "exp", "iat", "iss", "jti", "sub"],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "require_request_uri_registration": false,
        "http_logout_supported": true,
        "logout_session_supported": false,
        "ui_locales_supported": ["en"],
    })
}

fn public(document: &Value) -> Response {
    let mut response = Response::new(Body::from(document.to_string()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, KEEP);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
