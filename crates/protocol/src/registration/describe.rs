//! A client's metadata as it is registered, defaults filled in (OpenID Connect Registration §3.2).

use serde_json::{Map, Value, json};

use crate::records::{Client, ClientAuthMethod, ClientKeys, Consent};
use crate::scope;

/// The metadata of a client. What belongs to the answer alone (secret, times, management) is the caller's to add.
pub fn describe(client: &Client) -> Map<String, Value> {
    let mut doc = Map::new();
    let mut say = |name: &str, value: Value| {
        let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value == "";
        if !empty {
            doc.insert(name.to_owned(), value);
        }
    };
    say("client_id", json!(client.id));
    say("client_name", json!(client.name));
    for (name, value) in client.extra.iter().filter(|(name, _)| name.starts_with("client_name#")) {
        say(name, value.clone());
    }
    say("application_type", json!(if client.native { "native" } else { "web" }));
    say("redirect_uris", json!(client.redirect_uris));
    say("response_types", json!(client.response_types));
    say("grant_types", json!(client.grant_types));
    say("token_endpoint_auth_method", json!(auth_method(client.auth_method)));
    say("token_endpoint_auth_signing_alg", json!(client.token_endpoint_auth_signing_alg));
    say("token_endpoint_auth_single_use_jti", json!(client.validate_assertion_jti));
    match &client.keys {
        ClientKeys::Jwks(set) => say("jwks", set.clone()),
        ClientKeys::JwksUri(uri) => say("jwks_uri", json!(uri)),
        ClientKeys::None => {}
    }
    say("scope", json!(scopes(client).join(" ")));
    say("subject_type", json!(if client.pairwise { "pairwise" } else { "public" }));
    say("sector_identifier_uri", json!(client.sector_identifier_uri));
    say("id_token_signed_response_alg", json!(client.id_token_alg));
    say("userinfo_signed_response_alg", json!(client.userinfo_alg));
    for (stem, pair) in [
        ("id_token_encrypted_response", &client.id_token_encryption),
        ("userinfo_encrypted_response", &client.userinfo_encryption),
        ("request_object_encryption", &client.request_object_encryption),
    ] {
        if let Some((alg, enc)) = pair {
            say(&format!("{stem}_alg"), json!(alg));
            say(&format!("{stem}_enc"), json!(enc));
        }
    }
    say("request_object_signing_alg", json!(client.request_object_signing_alg));
    say("require_signed_request_object", json!(client.require_signed_request_object));
    say("request_uris", json!(client.request_uris));
    say("default_max_age", json!(client.default_max_age));
    say("require_auth_time", json!(client.require_auth_time));
    say("default_acr_values", json!(client.default_acr_values));
    for (name, value) in [
        ("client_uri", &client.client_uri),
        ("logo_uri", &client.logo_uri),
        ("policy_uri", &client.policy_uri),
        ("tos_uri", &client.tos_uri),
        ("initiate_login_uri", &client.initiate_login_uri),
        ("software_id", &client.software_id),
        ("software_version", &client.software_version),
        ("frontchannel_logout_uri", &client.frontchannel_logout_uri),
        ("backchannel_logout_uri", &client.backchannel_logout_uri),
    ] {
        say(name, json!(value));
    }
    say("contacts", json!(client.contacts));
    say("frontchannel_logout_session_required", json!(client.frontchannel_logout_session_required));
    say("backchannel_logout_session_required", json!(client.backchannel_logout_session_required));
    say("post_logout_redirect_uris", json!(client.post_logout_redirect_uris));
    say("require_pushed_authorization_requests", json!(client.require_par));
    // The vendor's (§4.15).
    say("enforce_pkce", json!(client.require_pkce));
    say("all_users_entitled", json!(client.open_to_all));
    say("consent_action", json!(consent(client.consent)));
    say("access_policy", json!(client.policy));
    say("api_entitlements", json!(client.entitlements));
    say("restrict_api_entitlements", json!(client.restrict_entitlements));
    say("id_token_claims", json!(client.claims.keys().collect::<Vec<_>>()));
    doc
}

fn auth_method(method: ClientAuthMethod) -> &'static str {
    match method {
        ClientAuthMethod::Default => "default",
        ClientAuthMethod::ClientSecretBasic => "client_secret_basic",
        ClientAuthMethod::ClientSecretPost => "client_secret_post",
        ClientAuthMethod::PrivateKeyJwt => "private_key_jwt",
        ClientAuthMethod::None => "none",
    }
}

fn consent(consent: Consent) -> &'static str {
    match consent {
        Consent::NeverPrompt => "never_prompt",
        Consent::AlwaysPrompt => "always_prompt",
        Consent::PromptOnceAndRemember => "prompt_once_and_remember",
    }
}

/// Everything it may ask for.
fn scopes(client: &Client) -> Vec<&str> {
    let mut scopes: Vec<&str> = scope::STANDARD.to_vec();
    if client.grant_types.contains("refresh_token") {
        scopes.push(scope::OFFLINE_ACCESS);
    }
    scopes.extend(client.scopes.iter().map(String::as_str).filter(|scope| *scope != scope::OFFLINE_ACCESS));
    scopes
}
