//! The web phone's addresses. Everything here is for strangers: the page holds nothing until a person puts an invitation into it.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::pages::phone;
use super::show::look;
use crate::app::App;
use crate::call::Call;

/// The paths of the web phone.
pub const PATHS: [&str; 5] =
    ["/phone", "/phone/worker.js", "/phone/manifest.webmanifest", "/phone/icon.svg", "/phone/icon.png"];

/// Its routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route(PATHS[0], get(page))
        .route(PATHS[1], get(async |_: Call| phone::worker()))
        .route(PATHS[2], get(manifest))
        .route(PATHS[3], get(icon))
        .route(PATHS[4], get(icon_png))
}

/// A link that opens the web phone with an invitation in it: behind `#`, where no server sees it.
pub fn link(base: &str, invitation: &str) -> String {
    format!("{base}{}#register={}", PATHS[0], URL_SAFE_NO_PAD.encode(invitation))
}

/// Where the web phone is.
pub fn address(base: &str) -> String {
    format!("{base}{}", PATHS[0])
}

/// What invites a phone, as its picture says it (docs/device-protocol.md §1).
pub fn invitation(base: &str, code: &str, account: &str) -> String {
    json!({
        "version": { "number": "1.0.0", "platform": "com.ibm.security.access.verify" },
        "code": code,
        "registrationUri": format!("{base}/v1.0/authenticators/registration"),
        "accountName": account,
    })
    .to_string()
}

async fn page(State(app): State<App>, call: Call) -> Response {
    phone::page(&look(&app, &call, &[]))
}

async fn manifest(State(app): State<App>, call: Call) -> Response {
    phone::manifest(&look(&app, &call, &[]))
}

async fn icon(State(app): State<App>, call: Call) -> Response {
    phone::icon(&look(&app, &call, &[]))
}

async fn icon_png(State(app): State<App>, call: Call) -> Response {
    phone::icon_png(&look(&app, &call, &[]))
}
