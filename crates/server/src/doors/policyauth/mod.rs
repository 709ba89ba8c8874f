//! The policyauth door: the vendor's factor APIs, under the challenge token that the token endpoint hands out.
//!
//! Owns the dialect of `/v1.0/authnmethods`, `/v2.0/factors` and their errors. The grant itself is in `oauth/grants`.

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

pub mod assertion;
mod caller;
mod enrolments;
mod fido2;
mod otp;
mod password;
mod refusal;
mod totp;
pub mod vault;
mod wire;

pub use caller::{Caller, authenticate};
pub use refusal::Refusal;

/// The paths of the door, for labels of metrics.
pub const PATHS: [&str; 15] = [
    "/v1.0/authnmethods/password",
    "/v1.0/authnmethods/password/{source}",
    "/v2.0/factors",
    "/v2.0/factors/discover",
    "/v2.0/factors/discover/{kind}",
    "/v2.0/factors/fido2/registrations",
    "/v2.0/factors/fido2/relyingparties",
    "/v2.0/factors/fido2/relyingparties/{id}/assertion/options",
    "/v2.0/factors/fido2/relyingparties/{id}/assertion/result",
    "/config/v2.0/factors/fido2/relyingparties",
    "/v2.0/factors/totp/{enrolment}",
    "/v2.0/factors/{kind}",
    "/v2.0/factors/{kind}/{enrolment}",
    "/v2.0/factors/{kind}/{enrolment}/verifications",
    "/v2.0/factors/{kind}/{enrolment}/verifications/{verification}",
];

/// Every route of the door.
pub fn routes() -> Router<App> {
    Router::new()
        .merge(vault::routes())
        .route("/v1.0/authnmethods/password", get(password::sources))
        .route("/v1.0/authnmethods/password/{source}", post(password::verify))
        .route("/v2.0/factors", get(enrolments::all))
        .route("/v2.0/factors/discover", get(enrolments::discover))
        .route("/v2.0/factors/discover/{kind}", get(enrolments::discover_one))
        .route("/v2.0/factors/fido2/registrations", get(enrolments::registrations))
        .route("/v2.0/factors/fido2/relyingparties", post(fido2::relying_parties))
        .route("/v2.0/factors/fido2/relyingparties/{id}/assertion/options", post(fido2::options))
        .route("/v2.0/factors/fido2/relyingparties/{id}/assertion/result", post(fido2::result))
        .route("/config/v2.0/factors/fido2/relyingparties", get(fido2::configured))
        .route("/v2.0/factors/totp/{enrolment}", post(totp::verify).get(enrolments::one_totp))
        .route("/v2.0/factors/{kind}", get(enrolments::of_kind))
        .route("/v2.0/factors/{kind}/{enrolment}", get(enrolments::one))
        .route("/v2.0/factors/{kind}/{enrolment}/verifications", post(otp::start))
        .route(
            "/v2.0/factors/{kind}/{enrolment}/verifications/{verification}",
            get(otp::read).post(otp::answer).delete(otp::cancel),
        )
}
