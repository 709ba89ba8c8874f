//! `/admin/v1`: people, groups and applications in Oracle's shape, what people do for themselves, and the settings that sign-in pages
//! read.
//!
//! Owns the routes and which role opens each (reference §1.2). The directory is the one of `crate::scim`; what is done for a person is
//! done in `crate::signin`. What people enrol is its neighbour's.

use axum::Router;
use axum::routing::{MethodRouter, get, post, put};

use crate::app::App;

mod addresses;
mod agents;
mod answer;
mod apps;
mod authenticators;
mod bulk;
mod bypass_codes;
mod collection;
mod devices;
mod forgotten;
mod groups;
mod guard;
mod me;
mod my_factors;
mod names;
mod passwords;
mod registration;
mod settings;
mod state;
mod users;

use settings::{countries, factors, terms};

/// Its paths.
pub const PATHS: &[&str] = &[
    "/admin/v1/Bulk",
    "/admin/v1/Me",
    "/admin/v1/Me/",
    "/admin/v1/MePasswordChanger",
    "/admin/v1/MePasswordMustChanger",
    "/admin/v1/MePasswordRecoveryOptionRetriever",
    "/admin/v1/MePasswordResetRequestor",
    "/admin/v1/MePasswordRecoveryFactorValidator",
    "/admin/v1/MePasswordResetter",
    "/admin/v1/MeSecurityQuestionsRetriever",
    "/admin/v1/MeSecurityQuestionAnswerValidator",
    "/admin/v1/MeEmailVerifier",
    "/admin/v1/MeEmailVerified",
    "/admin/v1/UserTokenValidator",
    "/admin/v1/UserPasswordValidator",
    "/admin/v1/UserPasswordValidator/{id}",
    "/admin/v1/UserNameGenerator",
    "/admin/v1/ApplicablePasswordPolicyRetriever",
    "/admin/v1/Asserter",
    "/admin/v1/HTTPAuthenticator",
    "/admin/v1/PasswordAuthenticator",
    "/admin/v1/Users",
    "/admin/v1/Users/.search",
    "/admin/v1/Users/{id}",
    "/admin/v1/Groups",
    "/admin/v1/Groups/.search",
    "/admin/v1/Groups/{id}",
    "/admin/v1/Apps",
    "/admin/v1/Apps/.search",
    "/admin/v1/Apps/{id}",
    "/admin/v1/MyDevices",
    "/admin/v1/MyDevices/{id}",
    "/admin/v1/Devices",
    "/admin/v1/Devices/{id}",
    "/admin/v1/MyTrustedUserAgents",
    "/admin/v1/MyTrustedUserAgents/{id}",
    "/admin/v1/TrustedUserAgents",
    "/admin/v1/TrustedUserAgents/{id}",
    "/admin/v1/SelfRegistrationProfiles",
    "/admin/v1/SelfRegistrationProfiles/{id}",
    "/admin/v1/PasswordPolicies",
    "/admin/v1/PasswordPolicies/{id}",
    "/admin/v1/SecurityQuestions",
    "/admin/v1/SecurityQuestions/{id}",
    "/admin/v1/SecurityQuestionSettings/SecurityQuestionSettings",
    "/admin/v1/AccountRecoverySettings/AccountRecoverySettings",
    "/admin/v1/AuthenticationFactorSettings/AuthenticationFactorSettings",
    "/admin/v1/BrandingSettings/BrandingSettings",
    "/admin/v1/KmsiSettings/KmsiSettings",
    "/admin/v1/AllowedValues",
    "/admin/v1/AllowedValues/{id}",
    "/admin/v1/TermsOfUses",
    "/admin/v1/TermsOfUses/{id}",
    "/admin/v1/TermsOfUseStatements",
    "/admin/v1/TermsOfUseStatements/{id}",
];

/// Its routes.
pub fn routes() -> Router<App> {
    resources().route("/admin/v1/Bulk", post(bulk::run))
}

/// Every route but that of several requests in one.
fn resources() -> Router<App> {
    let me = || get(me::read).put(me::replace).patch(me::change).post(registration::register);
    let mut router = Router::new();
    let mut at = |path: &str, methods: MethodRouter<App>| {
        router = std::mem::take(&mut router).route(&format!("/admin/v1/{path}"), methods);
    };
    at("Me", me());
    // One collection of requests has the slash.
    at("Me/", me());
    at("MePasswordChanger", put(passwords::change));
    at("MePasswordMustChanger", post(passwords::must_change));
    at("MePasswordRecoveryOptionRetriever", post(forgotten::options));
    at("MePasswordResetRequestor", post(forgotten::request));
    at("MePasswordRecoveryFactorValidator", post(forgotten::validate));
    at("MePasswordResetter", post(forgotten::reset));
    at("MeSecurityQuestionsRetriever", post(forgotten::retrieve_questions));
    at("MeSecurityQuestionAnswerValidator", post(forgotten::validate_answers));
    at("MeEmailVerifier", put(addresses::verify));
    at("MeEmailVerified", post(addresses::verified));
    at("UserTokenValidator", post(forgotten::validate_token));
    at("UserPasswordValidator", post(passwords::validate));
    at("UserPasswordValidator/{id}", put(passwords::validate_for));
    at("UserNameGenerator", post(registration::generate_name));
    at("ApplicablePasswordPolicyRetriever", post(passwords::applicable));
    at("Asserter", post(authenticators::assert));
    at("HTTPAuthenticator", post(authenticators::http));
    at("PasswordAuthenticator", post(authenticators::password));
    at("Users", get(users::list).post(users::create));
    at("Users/.search", post(users::search));
    at("Users/{id}", get(users::read).put(users::replace).patch(users::change).delete(users::remove));
    at("Groups", get(groups::list).post(groups::create));
    at("Groups/.search", post(groups::search));
    at("Groups/{id}", get(groups::read).put(groups::replace).patch(groups::change).delete(groups::remove));
    at("Apps", get(apps::list).post(apps::create));
    at("Apps/.search", post(apps::search));
    at("Apps/{id}", get(apps::read).put(apps::change).patch(apps::change).delete(apps::remove));
    at("MyDevices", get(devices::list));
    at("MyDevices/{id}", get(devices::read).patch(devices::rename).delete(devices::remove));
    at("Devices", get(devices::list_all));
    at("Devices/{id}", get(devices::read_any).delete(devices::remove_any));
    at("MyTrustedUserAgents", get(agents::list));
    at("MyTrustedUserAgents/{id}", get(agents::read).delete(agents::remove));
    at("TrustedUserAgents", get(agents::list_all));
    at("TrustedUserAgents/{id}", get(agents::read_any).delete(agents::remove_any));
    at("SelfRegistrationProfiles", get(registration::profiles));
    at("SelfRegistrationProfiles/{id}", get(registration::one_profile));
    at("PasswordPolicies", get(settings::policies));
    at("PasswordPolicies/{id}", get(settings::policy));
    at("SecurityQuestions", get(settings::questions));
    at("SecurityQuestions/{id}", get(settings::question));
    at("SecurityQuestionSettings/SecurityQuestionSettings", get(settings::question_settings));
    at("AccountRecoverySettings/AccountRecoverySettings", get(settings::recovery));
    let factor_settings = get(factors::read).put(factors::replace).patch(factors::replace);
    at("AuthenticationFactorSettings/AuthenticationFactorSettings", factor_settings);
    at("BrandingSettings/BrandingSettings", get(settings::branding));
    let kmsi = get(settings::read_kmsi).put(settings::write_kmsi).patch(settings::write_kmsi);
    at("KmsiSettings/KmsiSettings", kmsi);
    at("AllowedValues", get(countries::list));
    at("AllowedValues/{id}", get(countries::one));
    at("TermsOfUses", get(terms::list).post(terms::create));
    at("TermsOfUses/{id}", get(terms::one).put(terms::change).patch(terms::change).delete(terms::remove));
    at("TermsOfUseStatements", get(terms::statements).post(terms::create_statement));
    let statement = get(terms::one_statement)
        .put(terms::change_statement)
        .patch(terms::change_statement)
        .delete(terms::remove_statement);
    at("TermsOfUseStatements/{id}", statement);
    router
}

/// The paths of what people set up by themselves, and of bypass codes.
pub fn factor_paths() -> Vec<&'static str> {
    my_factors::PATHS.into_iter().chain(bypass_codes::PATHS).collect()
}

/// Their routes.
pub fn factor_routes() -> Router<App> {
    my_factors::routes().merge(bypass_codes::routes())
}
