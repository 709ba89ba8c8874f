//! Requests of OAuth and OpenID Connect, and what clients say of themselves.

use std::sync::LazyLock;

use protocol::authorize::{AuthorizationRequest, Came, Delivery, identify, judge, read};
use protocol::claims_request::ClaimsRequest;
use protocol::form::Form;
use protocol::idcs::roles::Holder;
use protocol::idcs::scopes;
use protocol::logout::LogoutRequest;
use protocol::records::{Client, ClientId, SigningAlg};
use protocol::{pkce, redirect, registration as dynamic, scope as scoping};
use serde_json::json;

use super::{object, text};

/// Who we are.
pub const ISSUER: &str = "https://login.example.test/oauth2";
const CALLBACK: &str = "https://app.example.test/cb";

/// A client with everything on.
pub static APP: LazyLock<Client> = LazyLock::new(|| {
    serde_json::from_value(json!({
        "id": "app", "grant_types": ["authorization_code", "implicit", "refresh_token"],
        "redirect_uris": [CALLBACK, "https://app.example.test/cb?tenant=a%20b&x"],
        "scopes": ["films"],
    }))
    .unwrap()
});

/// A request to the authorization endpoint.
pub fn authorization_request(bytes: &[u8]) {
    if let Ok(form) = read(bytes) {
        judged(&form);
    }
}

/// Whatever is asked for, the answer goes to an address of the client, and a request that is kept is read back as it was.
pub(super) fn judged(form: &Form) {
    let Ok(target) = identify(form, Some(&APP)) else { return };
    assert!(APP.redirect_uris.iter().any(|uri| uri == target.redirect_uri()), "an address nobody registered");
    match judge(form, &APP, target, Came::default()) {
        Ok(request) => {
            let kept = serde_json::to_string(&request).unwrap();
            let again: AuthorizationRequest = serde_json::from_str(&kept).unwrap();
            assert_eq!(again, request, "{kept}");
        }
        Err(error) => {
            let to = match error.answer(ISSUER).deliver() {
                Delivery::Redirect(to) => to,
                Delivery::Post { action, .. } => action,
            };
            assert!(to.starts_with(CALLBACK) && to.bytes().all(|byte| byte.is_ascii_graphic()), "{to}");
        }
    }
}

/// `claims`.
pub fn claims_parameter(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        let _ = ClaimsRequest::parse(text);
    }
}

/// `scope`, of this dialect and of Oracle's.
pub fn scope(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Ok(asked) = scoping::parse(text) else { return };
    assert!(asked.iter().all(|one| scoping::is_scope_token(one)));
    if let Ok(given) = scoping::grant(text, &APP) {
        assert!(given.iter().all(|one| asked.contains(one)), "more is given than asked: {given:?}");
    }
    let _ = scoping::grant_at_authorization(&asked, &APP, true);
    for holder in [Holder::Client, Holder::Person { administrator: true }] {
        if let Ok(given) = scopes::grant(text, &APP, holder) {
            let _ = (scopes::life_asked(&given), scopes::said(&given));
        }
    }
}

/// A verifier of a proof key (RFC 7636 §4.1).
pub fn proof_key(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    for method in ["S256", "plain"] {
        let Ok(Some(challenge)) = pkce::read_challenge(Some(text), Some(method), true) else { continue };
        if pkce::check_verifier(Some(&challenge), Some(text)).is_ok() {
            assert_eq!(method, "plain", "a text is its own hash");
        }
    }
}

/// A redirect URI, to be registered or compared.
pub fn redirect_uri(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let _ = redirect::web_host(text);
    for native in [false, true] {
        let _ = redirect::check_registrable(text, native, false);
        // Whatever it is, it is not the one that is registered unless it says the same, but for the port of a native one.
        if redirect::is_registered(&[CALLBACK.to_owned()], text, native) {
            assert_eq!(text, CALLBACK);
        }
    }
}

/// The metadata a client registers itself with.
pub fn registration(bytes: &[u8]) {
    let Some(metadata) = object(bytes) else { return };
    let rules = dynamic::Rules {
        grant_types: &["authorization_code", "refresh_token"],
        signing_algs: &[SigningAlg::Rs256, SigningAlg::Es256],
        vouched: false,
        powers: None,
    };
    let Ok(client) = dynamic::read(&metadata, dynamic::stranger(ClientId::from("c")), &rules) else { return };
    assert!(client.grant_types.iter().all(|grant| grant != "password" && grant != "client_credentials"));
}

/// A request to be signed out.
pub fn logout_request(bytes: &[u8]) {
    if let Ok(form) = Form::parse(bytes) {
        let _ = LogoutRequest::read(&form);
    }
}
