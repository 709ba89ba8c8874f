//! The whole URL surface on one screen, and which of it is open to strangers.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::{get, post};

use crate::app::App;
use crate::doors::{hosted, idcs, policyauth};
use crate::oauth::{authorize, device, discovery, introspect, logout, par, registration, revoke, token, userinfo};
use crate::{dev, reply, scim};

/// The path families that serve the authorization server (vendor page §0.2). One implementation, four names.
pub const PREFIXES: [&str; 4] = ["", "/v1.0/endpoint/default", "/oidc/endpoint/default", "/oauth2"];

/// Routes that answer a stranger, each with its reason. Every other route refuses whoever brings no credential.
pub const OPEN: &[(&str, &str)] = &[
    ("/jwks", "public keys are public (RFC 7517)"),
    ("/.well-known/openid-configuration", "metadata is public (OpenID Connect Discovery §4)"),
    ("/.well-known/oauth-authorization-server", "metadata is public (RFC 8414 §3)"),
    ("/.well-known/oauth-authorization-server/{*issuer}", "metadata is public (RFC 8414 §3.1)"),
    ("/authorize", "people come to sign in, and nothing is given before they have (RFC 6749 §3.1)"),
    ("/", "whoever types the name of the server is led to My security"),
    ("/account", "who is not signed in is led to sign in first, and nothing is shown before"),
    ("/account/{page}", "who is not signed in is led to sign in first, and nothing is shown before"),
    ("/account/{page}/{item}", "who is not signed in is led to sign in first, and nothing is shown before"),
    ("/login/{handle}", "a dialogue opens with its handle and the cookie of its browser"),
    ("/login/{handle}/{page}", "a dialogue opens with its handle and the cookie of its browser"),
    (
        "/end_session",
        "who is not signed in is told so, and a stranger ends nobody's session (RP-Initiated Logout 1.0 §2)",
    ),
    ("/rplogout", "the same under its other name (vendor page §4.13)"),
    ("/logout/confirm", "a form made for one browser, which ends that browser's own sessions"),
    ("/user_authorization", "a code is typed before anybody signs in (RFC 8628 §3.3); how often is limited"),
    ("/oauth2/v1/authorize", "the authorization endpoint in Oracle's dialect"),
    ("/oauth2/v1/.well-known/openid-configuration", "metadata is public (OpenID Connect Discovery §4)"),
    ("/.well-known/idcs-configuration", "metadata is public (Oracle page §4.6)"),
    ("/oauth2/v1/userlogout", "who is not signed in is sent on, and a browser ends its own session alone"),
    (
        "/sso/v1/sdk/session",
        "a sign-in page brings the token of a sign-in that is through, and nothing comes of any other",
    ),
    (
        "/sso/v1/sdk/idp",
        "a browser goes to another provider with the state of its own sign-in, before anybody is known",
    ),
    (
        "/sso/v1/sdk/idp/callback",
        "a browser comes back with a state that is good once, and the cookie it was sent with",
    ),
    ("/sso/v1/sdk/session/{handle}", "a dialogue opens with its handle and the cookie of its browser"),
    (device::ORACLE_PAGE, "a code is typed before anybody signs in (RFC 8628 §3.3); how often is limited"),
    ("/check_session", "a page without anything on it (Session Management 1.0 §3.2)"),
    ("/login/{handle}/with/{provider}", "a dialogue opens with its handle and the cookie of its browser"),
    ("/federation/callback", "who comes back is known by what was kept of them, and by the cookie of their browser"),
    ("/phone", "a page that holds nothing until an invitation is put into it (docs/device-protocol.md)"),
    ("/phone/worker.js", "the script behind that page, the same for everybody"),
    ("/phone/manifest.webmanifest", "the name and colours of that page, which it shows anyway"),
    ("/phone/icon.svg", "its icon"),
    ("/phone/icon.png", "the same in pixels"),
];

/// Routes that only development mode has.
pub const DEV_ONLY: &[&str] = &["/dev/outbox", "/dev/callback"];

/// Every route.
pub fn build(app: App) -> Router {
    let mut router = Router::new();
    for prefix in PREFIXES {
        let at = |path: &str| format!("{prefix}{path}");
        router = router
            .route(&at("/authorize"), get(authorize::authorize).post(authorize::authorize))
            .route(&at("/token"), post(token::token))
            .route(&at("/introspect"), post(introspect::introspect))
            .route(&at("/revoke"), post(revoke::revoke))
            .route(&at("/device_authorization"), post(device::start))
            .route(&at("/user_authorization"), get(hosted::user_code_page).post(hosted::enter_user_code))
            .route(&at("/par"), post(par::push))
            .route(&at("/end_session"), get(logout::end_session).post(logout::end_session))
            .route(&at("/rplogout"), get(logout::end_session).post(logout::end_session))
            .route(&at("/check_session"), get(logout::check_session))
            .route(&at("/userinfo"), get(userinfo::userinfo).post(userinfo::userinfo))
            .route(&at("/register"), post(registration::register))
            .route(&at("/register/{client}"), registration::own())
            .route(&at("/client_registration"), post(registration::register))
            .route(&at("/client_registration/{client}"), registration::own())
            .route(&at("/jwks"), get(discovery::jwks))
            .route(&at("/.well-known/openid-configuration"), get(discovery::metadata))
            .route(&at("/.well-known/oauth-authorization-server"), get(discovery::metadata));
    }
    // RFC 8414 §3.1 puts the path of the issuer behind the well-known part.
    router = router.route("/.well-known/oauth-authorization-server/{*issuer}", get(discovery::metadata_of_path));
    router = router.merge(policyauth::routes()).merge(hosted::routes()).merge(scim::routes()).merge(idcs::routes(&app));
    router = router.route(logout::CONFIRM, post(logout::confirm));
    router = router.route(device::ORACLE_PAGE, get(hosted::user_code_page).post(hosted::enter_user_code));
    if app.dev {
        router = router.route("/dev/outbox", get(dev::outbox)).route("/dev/callback", get(dev::callback));
    }
    router.fallback(not_found).method_not_allowed_fallback(wrong_method).with_state(app)
}

/// The paths of all routes, for labels of metrics.
pub fn paths() -> Vec<&'static str> {
    let mut all = vec![
        "/authorize",
        "/token",
        "/introspect",
        "/revoke",
        "/device_authorization",
        "/user_authorization",
        "/par",
        "/end_session",
        "/rplogout",
        "/check_session",
        "/userinfo",
        "/register",
        "/register/{client}",
        "/client_registration",
        "/client_registration/{client}",
        "/jwks",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
    ];
    all.push(logout::CONFIRM);
    all.extend(policyauth::PATHS);
    all.extend(policyauth::vault::PATHS);
    all.extend(hosted::PATHS);
    all.extend(hosted::PHONE_PATHS);
    all.extend(hosted::ACCOUNT_PATHS);
    all.extend(scim::PATHS);
    all.extend(idcs::paths());
    all.push(scim::REST);
    all
}

async fn not_found(State(_): State<App>) -> Response {
    reply::plain_error(StatusCode::NOT_FOUND, "there is nothing at this path")
}

async fn wrong_method(State(app): State<App>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        if idcs::cors::covers(uri.path()) {
            return idcs::cors::preflight(&app, &headers, uri.authority().map(|authority| authority.as_str()));
        }
        return reply::preflight();
    }
    reply::plain_error(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
}
