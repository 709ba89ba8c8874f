//! The policyauth door: the vendor's factor APIs, under the challenge token that the token endpoint hands out.
//!
//! Owns the dialect of `/v1.0/authnmethods`, `/v2.0/factors` and their errors. The grant itself is in `oauth/grants`.

use axum::Router;
use axum::routing::{delete, get, post, put};

use crate::app::App;

pub mod assertion;
mod caller;
mod config;
mod consents;
mod decisions;
mod devices;
mod enrol;
mod enrolments;
mod fido2;
mod generated;
mod otp;
mod password;
mod perform;
mod push;
mod qr;
mod refusal;
mod totp;
mod transient;
mod users;
pub mod vault;
mod wire;

pub use caller::{Caller, Reach, authenticate};
pub use perform::{Performed, Performer};
pub use refusal::Refusal;

/// The paths of the door, for labels of metrics.
pub const PATHS: [&str; 38] = [
    "/v1.0/authenticators",
    "/v1.0/authenticators/initiation",
    "/v1.0/authenticators/registration",
    "/v1.0/authenticators/{id}",
    "/v1.0/authenticators/{id}/verifications",
    "/v1.0/authenticators/{id}/verifications/{verification}",
    "/v1.0/authnmethods/password",
    "/v1.0/authnmethods/password/{source}",
    "/v1.0/authnmethods/password/{source}/reset",
    "/v1.0/authnmethods/signatures",
    "/v1.0/authnmethods/{kind}/transient/verification",
    "/v1.0/authnmethods/{kind}/transient/verification/{verification}",
    "/v1.0/consents",
    "/v1.0/decisions",
    "/v2.0/Users/authentication",
    "/v2.0/factors",
    "/v2.0/factors/discover",
    "/v2.0/factors/discover/{kind}",
    "/v2.0/factors/fido2/registrations",
    "/v2.0/factors/fido2/registrations/{enrolment}",
    "/v2.0/factors/fido2/relyingparties",
    "/v2.0/factors/fido2/relyingparties/{id}/assertion/options",
    "/v2.0/factors/fido2/relyingparties/{id}/assertion/result",
    "/v2.0/factors/fido2/relyingparties/{id}/attestation/options",
    "/v2.0/factors/fido2/relyingparties/{id}/attestation/result",
    "/v2.0/factors/otp",
    "/v2.0/factors/otp/{verification}",
    "/v2.0/factors/qr/authenticate",
    "/v2.0/factors/qr/authenticate/{id}",
    "/v2.0/factors/qr/{id}",
    "/v2.0/factors/totp/{enrolment}",
    "/v2.0/factors/{kind}",
    "/v2.0/factors/{kind}/{enrolment}",
    "/v2.0/factors/{kind}/{enrolment}/verifications",
    "/v2.0/factors/{kind}/{enrolment}/verifications/{verification}",
    "/config/v2.0/factors/fido2/relyingparties",
    "/config/v2.0/factors/fido2/relyingparties/{id}",
    "/config/v2.0/factors/{kind}",
];

/// Every route of the door.
pub fn routes() -> Router<App> {
    Router::new().merge(vault::routes()).merge(administration()).merge(performing()).merge(enrolling()).merge(phones())
}

/// Factors are performed.
fn performing() -> Router<App> {
    Router::new()
        .route("/v1.0/authnmethods/password", get(password::sources))
        .route("/v1.0/authnmethods/password/{source}", post(password::verify).put(password::change))
        .route("/v1.0/authnmethods/{kind}/transient/verification", post(transient::start))
        .route("/v1.0/authnmethods/{kind}/transient/verification/{verification}", post(transient::answer))
        .route("/v2.0/Users/authentication", post(users::authentication))
        .route("/v2.0/factors/fido2/relyingparties", post(fido2::relying_parties))
        .route("/v2.0/factors/fido2/relyingparties/{id}/assertion/options", post(fido2::options))
        .route("/v2.0/factors/fido2/relyingparties/{id}/assertion/result", post(fido2::result))
        .route("/v2.0/factors/otp", post(generated::create))
        .route(
            "/v2.0/factors/otp/{verification}",
            get(generated::read).post(generated::answer).delete(generated::cancel),
        )
        .route("/v2.0/factors/{kind}/{enrolment}/verifications", post(otp::start))
        .route(
            "/v2.0/factors/{kind}/{enrolment}/verifications/{verification}",
            get(otp::read).post(otp::answer).delete(otp::cancel),
        )
}

/// Factors are enrolled, found, changed and removed.
fn enrolling() -> Router<App> {
    Router::new()
        .route("/v2.0/factors", get(enrolments::all))
        .route("/v2.0/factors/discover", get(enrolments::discover))
        .route("/v2.0/factors/discover/{kind}", get(enrolments::discover_one))
        .route("/v2.0/factors/fido2/registrations", get(enrolments::registrations))
        .route(
            "/v2.0/factors/fido2/registrations/{enrolment}",
            get(enrolments::registration).put(enrol::replace_registration).delete(enrol::remove_registration),
        )
        .route("/v2.0/factors/fido2/relyingparties/{id}/attestation/options", post(enrol::attestation_options))
        .route("/v2.0/factors/fido2/relyingparties/{id}/attestation/result", post(enrol::attestation_result))
        .route(
            "/v2.0/factors/totp/{enrolment}",
            post(totp::verify).get(enrolments::one_totp).put(enrol::replace_totp).delete(enrol::remove_totp),
        )
        .route("/v2.0/factors/{kind}", get(enrolments::of_kind).post(enrol::create))
        .route("/v2.0/factors/{kind}/{enrolment}", get(enrolments::one).put(enrol::replace).delete(enrol::remove))
}

/// Phones, and what they are asked to approve.
fn phones() -> Router<App> {
    Router::new()
        .route("/v1.0/authenticators", get(devices::list))
        .route("/v1.0/authenticators/initiation", post(devices::initiation))
        .route("/v1.0/authenticators/registration", post(devices::registration))
        .route("/v1.0/authenticators/{id}", delete(devices::remove))
        .route("/v1.0/authnmethods/signatures", post(devices::enrol))
        .route("/v2.0/factors/qr/authenticate", get(qr::start))
        .route("/v2.0/factors/qr/authenticate/{id}", get(qr::read))
        .route("/v2.0/factors/qr/{id}", post(qr::scan).delete(qr::cancel))
        .route("/v1.0/authenticators/{id}/verifications", get(push::list).post(push::start))
        .route(
            "/v1.0/authenticators/{id}/verifications/{verification}",
            get(push::read).post(push::answer).delete(push::cancel),
        )
}

/// What administrators read and set.
fn administration() -> Router<App> {
    Router::new()
        .route("/v1.0/authnmethods/password/{source}/reset", post(password::reset))
        .route("/v1.0/consents", get(consents::list).patch(consents::change))
        .route("/v1.0/decisions", get(decisions::list))
        .route("/config/v2.0/factors/{kind}", get(config::read).put(config::replace))
        .route(
            "/config/v2.0/factors/fido2/relyingparties",
            get(config::relying_parties).post(config::add_relying_party),
        )
        .route(
            "/config/v2.0/factors/fido2/relyingparties/{id}",
            put(config::replace_relying_party).get(config::relying_party).delete(config::remove_relying_party),
        )
}
