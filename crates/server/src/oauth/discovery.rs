//! Metadata and keys: what this server really offers (OpenID Connect Discovery, RFC 8414, RFC 7517).

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use protocol::discovery::{self, Endpoint, Offer, Prefix};

use super::grants::Grant;
use crate::app::App;
use crate::call::{Call, Path};
use crate::reply;

/// How long relying parties may keep metadata and keys, seconds. Shorter than keys are published ahead of their use.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// `GET /jwks` under every path family: one and the same set.
pub async fn jwks(State(app): State<App>, call: Call) -> Response {
    let jwks = call.tenant.keys.jwks(app.world.now());
    public(Body::from(jwks.body.clone()))
}

/// `GET …/.well-known/openid-configuration` and `…/oauth-authorization-server` under every path family.
pub async fn metadata(State(app): State<App>, call: Call) -> Response {
    describe(&app, &call, call.prefix())
}

/// `GET /.well-known/oauth-authorization-server/{issuer path}` (RFC 8414 §3.1).
pub async fn metadata_of_path(State(app): State<App>, Path(issuer): Path<String>, call: Call) -> Response {
    match Prefix::ALL.into_iter().find(|prefix| prefix.path().trim_start_matches('/') == issuer && !issuer.is_empty()) {
        Some(prefix) => describe(&app, &call, prefix),
        None => reply::plain_error(StatusCode::NOT_FOUND, "no issuer has this path"),
    }
}

/// Endpoints that exist.
const ENDPOINTS: [Endpoint; 5] =
    [Endpoint::Token, Endpoint::Introspect, Endpoint::Revoke, Endpoint::Userinfo, Endpoint::Jwks];
const AUTH_METHODS: [&str; 4] = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
const ASSERTION_ALGS: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
const SCOPES: [&str; 5] = ["openid", "profile", "email", "phone", "address"];

fn describe(app: &App, call: &Call, prefix: Prefix) -> Response {
    let algorithms = call.tenant.keys.algorithms(app.world.now());
    let grant_types: Vec<&str> = Grant::ALL.iter().map(|grant| grant.name()).collect();
    let document = discovery::describe(&Offer {
        base: &call.base,
        prefix,
        endpoints: &ENDPOINTS,
        grant_types: &grant_types,
        response_types: &[],
        response_modes: &[],
        auth_methods: &AUTH_METHODS,
        assertion_algs: &ASSERTION_ALGS,
        id_token_algs: &algorithms,
        scopes: &SCOPES,
        claims: &protocol::claims::supported(),
        pairwise: false,
        claims_parameter: false,
        request_object_algs: &[],
        dpop_algs: &[],
        extra: &serde_json::Map::new(),
    });
    public(Body::from(serde_json::Value::Object(document).to_string()))
}

fn public(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, KEEP);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
