//! The web phone's addresses. Everything here is for strangers: the page holds nothing until a person puts an invitation into it.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::pages::phone;
use super::show::look;
use crate::app::App;
use crate::call::Call;

/// The paths of the web phone.
pub const PATHS: [&str; 4] = ["/phone", "/phone/worker.js", "/phone/manifest.webmanifest", "/phone/icon.svg"];

/// Its routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route(PATHS[0], get(page))
        .route(PATHS[1], get(async |_: Call| phone::worker()))
        .route(PATHS[2], get(manifest))
        .route(PATHS[3], get(icon))
}

/// A link that opens the web phone with an invitation in it: behind `#`, where no server sees it.
pub fn link(base: &str, invitation: &str) -> String {
    format!("{base}{}#register={}", PATHS[0], URL_SAFE_NO_PAD.encode(invitation))
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
