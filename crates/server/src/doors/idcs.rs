//! The Oracle door: the Authenticate API of Oracle Identity Cloud Service and what stands beside it.
//!
//! Owns the dialect of `/sso/v1/sdk/*`, `/admin/v1/*`, `/mfa/v1/*` and of the vendor's `/oauth2/v1/*`. People, factors and policy are
//! those of every other door: sign-ins are driven by the one driver.

use axum::Router;

use crate::app::App;

pub mod admin;
pub mod authenticate;
mod caller;
pub mod cors;
mod ecid;
pub mod enrol;
mod fault;
mod handed;
pub mod idp;
pub mod mfa;
pub mod oauth;
pub mod posted;

pub use authenticate::start::Opening;
pub use caller::{Caller, Denied};
pub use ecid::{EcId, with_ecid};
pub use fault::{Code, Failed};

/// Every route of the door. A part of it hangs in here and in [`paths`].
pub fn routes(app: &App) -> Router<App> {
    let told = axum::middleware::from_fn_with_state(app.clone(), cors::tell);
    Router::new()
        .merge(authenticate::routes())
        .merge(idp::routes())
        .merge(admin::routes())
        .merge(oauth::routes())
        .merge(admin::factor_routes())
        .merge(mfa::routes())
        .layer(told)
}

/// The paths of the door, for labels of metrics and for the tests of all routes.
pub fn paths() -> Vec<&'static str> {
    let factors = admin::factor_paths();
    let parts: [&[&'static str]; 6] =
        [admin::PATHS, &authenticate::PATHS, &idp::PATHS, &oauth::PATHS, &factors, &mfa::PATHS];
    parts.concat()
}
