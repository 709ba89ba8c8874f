//! `/oauth2/v1/*` and the session endpoints: where Oracle's clients find the endpoints that every path family has, and the documents that lead there (Oracle
//! page §4).
//!
//! Owns the paths alone: what is said differently under them is [`crate::oauth::oracle`]'s.

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;
use crate::oauth::oracle::{asked, logout, metadata, session};
use crate::oauth::{authorize, device, introspect, revoke, token};

pub use crate::oauth::oracle::authn_token;

/// Its paths.
pub const PATHS: [&str; 14] = [
    "/oauth2/v1/authorize",
    "/oauth2/v1/token",
    "/oauth2/v1/introspect",
    "/oauth2/v1/revoke",
    "/oauth2/v1/device",
    "/oauth2/v1/userinfo",
    "/oauth2/v1/.well-known/openid-configuration",
    "/oauth2/v1/userlogout",
    "/.well-known/idcs-configuration",
    "/sso/v1/sdk/session",
    "/sso/v1/sdk/session/{handle}",
    "/sso/v1/sdk/secure/session",
    metadata::KEYS,
    // A page like the hosted ones: the router knows both doors.
    device::ORACLE_PAGE,
];

/// Its routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/oauth2/v1/authorize", get(authorize::authorize).post(authorize::authorize))
        // An old SDK of the vendor's sends its form with GET (Oracle page §4.3).
        .route("/oauth2/v1/token", post(token::token).get(token::token))
        .route("/oauth2/v1/introspect", post(introspect::introspect))
        .route("/oauth2/v1/revoke", post(revoke::revoke))
        .route("/oauth2/v1/device", post(device::start))
        .route("/oauth2/v1/userinfo", get(asked::userinfo).post(asked::userinfo))
        .route("/oauth2/v1/.well-known/openid-configuration", get(metadata::openid).options(metadata::methods))
        .route("/.well-known/idcs-configuration", get(metadata::idcs).options(metadata::methods))
        .route("/oauth2/v1/userlogout", get(logout::end).post(logout::end))
        .route("/sso/v1/sdk/session", post(session::open))
        .route("/sso/v1/sdk/session/{handle}", get(session::resume))
        .route("/sso/v1/sdk/secure/session", post(session::open_secure))
        .route(metadata::KEYS, get(metadata::keys))
}
