//! Metadata and keys: what this server really offers (OpenID Connect Discovery, RFC 8414, RFC 7517).

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use protocol::authorize::{ResponseMode, ResponseType};
use protocol::discovery::{self, Endpoint, Offer, Prefix};
use protocol::jwe::{ContentEnc, KeyAlg};
use protocol::records::{RegistrationPolicy, SigningAlg};
use serde_json::{Map, Value};

use super::authorize::levels;
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
    let oracles = call.tenant.tenant.settings.oracle.discovery_at_root;
    if oracles && call.uri.path() == "/.well-known/openid-configuration" {
        return super::oracle::metadata::openid(State(app), call).await;
    }
    describe(&app, &call, call.prefix())
}

/// `GET /.well-known/oauth-authorization-server/{issuer path}` (RFC 8414 §3.1).
pub async fn metadata_of_path(State(app): State<App>, Path(issuer): Path<String>, call: Call) -> Response {
    match Prefix::ALL.into_iter().find(|prefix| prefix.path().trim_start_matches('/') == issuer && !issuer.is_empty()) {
        Some(prefix) => describe(&app, &call, prefix),
        None => reply::plain_error(StatusCode::NOT_FOUND, "no issuer has this path"),
    }
}

/// Endpoints that exist everywhere.
const ENDPOINTS: [Endpoint; 10] = [
    Endpoint::Authorize,
    Endpoint::Token,
    Endpoint::Introspect,
    Endpoint::Revoke,
    Endpoint::Userinfo,
    Endpoint::Jwks,
    Endpoint::DeviceAuthorization,
    Endpoint::Par,
    Endpoint::EndSession,
    Endpoint::CheckSession,
];
const AUTH_METHODS: [&str; 4] = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
const ASSERTION_ALGS: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
/// The same of request objects, and none at all for clients registered so (OpenID Connect Core §6.1).
const REQUEST_OBJECT_ALGS: [&str; 10] =
    ["none", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
const SCOPES: [&str; 6] = ["openid", "profile", "email", "phone", "address", "offline_access"];
/// The built-in languages of the pages.
const UI_LOCALES: [&str; 2] = ["en", "de"];

/// Grant types that work: those of the token endpoint, and the one that never comes there.
pub fn grant_types() -> Vec<&'static str> {
    Grant::ALL.iter().map(|grant| grant.name()).chain(["implicit"]).collect()
}

fn describe(app: &App, call: &Call, prefix: Prefix) -> Response {
    let keys = &call.tenant.keys;
    let now = app.world.now();
    let depends = (keys.algorithms(now), keys.decrypts(now));
    let body = call.tenant.documents.get_or_write(&call.base, prefix, depends, |(algs, decrypts)| {
        Bytes::from(Value::Object(write(call, prefix, algs, *decrypts)).to_string())
    });
    public(Body::from(body))
}

fn write(call: &Call, prefix: Prefix, algorithms: &[SigningAlg], decrypts: bool) -> Map<String, Value> {
    let mut endpoints = ENDPOINTS.to_vec();
    if call.tenant.tenant.settings.registration != RegistrationPolicy::Off {
        endpoints.push(Endpoint::Register);
    }
    if prefix != Prefix::Root {
        endpoints.push(Endpoint::UserAuthorization);
    }
    let (algs, encs) = (KeyAlg::ALL.map(KeyAlg::as_str), ContentEnc::ALL.map(ContentEnc::as_str));
    let encryption: (&[&str], &[&str]) = (&algs, &encs);
    discovery::describe(&Offer {
        base: &call.base,
        prefix,
        endpoints: &endpoints,
        grant_types: &grant_types(),
        response_types: &ResponseType::ALL.map(ResponseType::as_str),
        response_modes: &ResponseMode::ALL.map(ResponseMode::as_str),
        auth_methods: &AUTH_METHODS,
        assertion_algs: &ASSERTION_ALGS,
        id_token_algs: algorithms,
        scopes: &SCOPES,
        claims: &protocol::claims::supported(),
        pairwise: true,
        claims_parameter: true,
        request_object_algs: &REQUEST_OBJECT_ALGS,
        request_uri: true,
        encryption,
        decryption: if decrypts { encryption } else { (&[], &[]) },
        acr_values: &levels::NAMES.map(|(name, _)| name),
        ui_locales: &UI_LOCALES,
        dpop_algs: &[],
        extra: &Map::new(),
    })
}

fn public(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, KEEP);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
