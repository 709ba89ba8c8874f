//! SCIM 2 (RFC 7643, RFC 7644) over the one directory: people and groups, in each shape that clients know them by.
//!
//! Owns the routes, who may do what, and how a change becomes one conditional transaction. The rules of filters, operations and
//! documents are in `protocol::scim`; how a password must be, in `signin::passwords`.

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

pub(crate) mod answer;
pub(crate) mod bulk;
mod caller;
mod discovery;
pub(crate) mod groups;
mod me;
mod people;
mod refusal;
pub(crate) mod search;
mod shape;
mod users;

pub use answer::Demand;
pub use groups::Groups;
pub use me::{OWN, own};
pub use people::{Changed, Newcomer, People};
pub use refusal::{Refusal, why};
pub use search::Window;
pub use shape::Shape;

/// The paths, for labels of metrics.
pub const PATHS: [&str; 21] = [
    "/scim/v2/Bulk",
    "/scim/v2/.search",
    "/scim/v2/Users",
    "/scim/v2/Users/.search",
    "/scim/v2/Users/{id}",
    "/scim/v2/Groups",
    "/scim/v2/Groups/.search",
    "/scim/v2/Groups/{id}",
    "/scim/v2/Me",
    "/scim/v2/Schemas",
    "/scim/v2/Schemas/{id}",
    "/scim/v2/ResourceTypes",
    "/scim/v2/ResourceTypes/{id}",
    "/scim/v2/ServiceProviderConfig",
    "/v2.0/Users",
    "/v2.0/Users/.search",
    "/v2.0/Users/{id}",
    "/v2.0/Groups",
    "/v2.0/Groups/.search",
    "/v2.0/Groups/{id}",
    "/v2.0/Me",
];

/// Whatever else is asked for under the standard's base: not found, said in SCIM's words.
pub const REST: &str = "/scim/v2/{*rest}";

/// Every route.
pub fn routes() -> Router<App> {
    resources().route("/scim/v2/Bulk", post(bulk::standard))
}

/// Every route but that of several requests in one.
fn resources() -> Router<App> {
    let mut router = Router::new()
        .route("/scim/v2/.search", post(search::everything))
        .route("/scim/v2/Schemas", get(discovery::schemas))
        .route("/scim/v2/Schemas/{id}", get(discovery::schema))
        .route("/scim/v2/ResourceTypes", get(discovery::types))
        .route("/scim/v2/ResourceTypes/{id}", get(discovery::one_type))
        .route("/scim/v2/ServiceProviderConfig", get(discovery::provider))
        .route(REST, axum::routing::any(discovery::nothing));
    for base in [Shape::Standard.base(), Shape::Vendor.base()] {
        let at = |path: &str| format!("{base}{path}");
        router = router
            .route(&at("/Users"), get(users::list).post(users::create))
            .route(&at("/Users/.search"), post(users::search))
            .route(&at("/Users/{id}"), get(users::read).put(users::replace).patch(users::change).delete(users::remove))
            .route(&at("/Groups"), get(groups::list).post(groups::create))
            .route(&at("/Groups/.search"), post(groups::search))
            .route(
                &at("/Groups/{id}"),
                get(groups::read).put(groups::replace).patch(groups::change).delete(groups::remove),
            )
            .route(&at("/Me"), get(me::read).put(me::replace).patch(me::change));
    }
    router
}
