//! `/admin/v1`: people, groups and applications in Oracle's shape, what people do for themselves, and the settings that sign-in pages
//! read.
//!
//! Owns the routes and which role opens each (reference §1.2). The directory is the one of `crate::scim`; what is done for a person is
//! done in `crate::signin`. What people enrol is its neighbour's.

use axum::Router;
use axum::routing::get;

use crate::app::App;

mod answer;
mod collection;
mod groups;
mod guard;
mod me;
mod names;
mod state;
mod users;

/// Its paths.
pub const PATHS: &[&str] = &[
    "/admin/v1/Me",
    "/admin/v1/Me/",
    "/admin/v1/Users",
    "/admin/v1/Users/.search",
    "/admin/v1/Users/{id}",
    "/admin/v1/Groups",
    "/admin/v1/Groups/.search",
    "/admin/v1/Groups/{id}",
];

/// Its routes.
pub fn routes() -> Router<App> {
    let me = || get(me::read).put(me::replace).patch(me::change);
    Router::new()
        .route("/admin/v1/Me", me())
        // One collection of requests has the slash.
        .route("/admin/v1/Me/", me())
        .route("/admin/v1/Users", get(users::list).post(users::create))
        .route("/admin/v1/Users/.search", axum::routing::post(users::search))
        .route(
            "/admin/v1/Users/{id}",
            get(users::read).put(users::replace).patch(users::change).delete(users::remove),
        )
        .route("/admin/v1/Groups", get(groups::list).post(groups::create))
        .route("/admin/v1/Groups/.search", axum::routing::post(groups::search))
        .route(
            "/admin/v1/Groups/{id}",
            get(groups::read).put(groups::replace).patch(groups::change).delete(groups::remove),
        )
}
