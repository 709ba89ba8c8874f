//! One function for each parser. Beside not panicking, what one says must hold: what is read and written reads the same again.

use countersign::policy_document;
use countersign::signin::factors::webauthn;
use countersign::tenant_file;
use protocol::authorize::read as read_authorization;
use protocol::claims_request::ClaimsRequest;
use protocol::form::Form;
use protocol::json::{self, USUAL};
use protocol::jwk::JwkSet;
use protocol::records::{ClientId, SigningAlg};
use protocol::scim::{Filter, Path};
use protocol::{
    b64, basic, client_auth, jwe, jwt, redirect, registration as dynamic, scim, scope, search as searching,
};
use serde_json::Value;

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn value(bytes: &[u8]) -> Option<Value> {
    json::parse(bytes, USUAL).ok()
}

pub fn form(bytes: &[u8]) {
    let Ok(form) = Form::parse(bytes) else { return };
    for name in ["client_id", "scope", "grant_type", "context"] {
        let _ = form.one(name);
        let _ = form.many(name).count();
    }
}

pub fn authorization_header(bytes: &[u8]) {
    let empty = Form::parse(b"").unwrap();
    let _ = client_auth::read_presented(&empty, [bytes]);
    if let Some(text) = text(bytes) {
        let _ = basic::read_pairs(text);
    }
}

pub fn base64(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    for decoded in [b64::decode(text, 4096), b64::decode_url(text, 4096)].into_iter().flatten() {
        assert!(decoded.len() <= 4096, "longer than allowed");
    }
}

pub fn context(bytes: &[u8]) {
    let Ok(form) = Form::parse(bytes) else { return };
    let _ = countersign::oauth::context::read(&form);
}

pub fn json(bytes: &[u8]) {
    let Some(read) = value(bytes) else { return };
    // Fractions may lose their last digit, and what is written longer may be beyond the bounds; nothing else happens to it.
    let written = read.to_string();
    if written.len() <= bytes.len() {
        assert!(json::parse(written.as_bytes(), USUAL).is_ok(), "what is read reads again");
    }
}

pub fn jwt(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(peeked) = jwt::peek(text) {
        let _ = peeked.unverified_claims();
        assert!(jwt::verify_peeked(peeked, &[], &[]).is_err(), "verified by no key");
    }
}

pub fn jwe(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let _ = jwe::is_encrypted(text);
    assert!(jwe::decrypt(text, &[]).is_err(), "opened by no key");
}

pub fn jwk(bytes: &[u8]) {
    if let Some(value) = value(bytes) {
        let _ = JwkSet::parse(&value);
    }
}

pub fn authorization_request(bytes: &[u8]) {
    let _ = read_authorization(bytes);
    if let Some(text) = text(bytes) {
        let _ = scope::parse(text);
    }
}

pub fn claims_parameter(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        let _ = ClaimsRequest::parse(text);
    }
}

pub fn redirect_uri(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    for native in [false, true] {
        let _ = redirect::check_registrable(text, native, false);
        // Whatever it is, it is not the one that is registered unless it says the same, but for the port of a native one.
        if redirect::is_registered(&["https://app.example.test/cb".to_owned()], text, native) {
            assert_eq!(text, "https://app.example.test/cb");
        }
    }
}

pub fn registration(bytes: &[u8]) {
    let Some(Value::Object(metadata)) = value(bytes) else { return };
    let rules = dynamic::Rules {
        grant_types: &["authorization_code", "refresh_token"],
        signing_algs: &[SigningAlg::Rs256, SigningAlg::Es256],
        vouched: false,
        powers: None,
    };
    let Ok(client) = dynamic::read(&metadata, dynamic::stranger(ClientId::from("c")), &rules) else { return };
    assert!(client.grant_types.iter().all(|grant| grant != "password" && grant != "client_credentials"));
}

pub fn search(bytes: &[u8]) {
    let Ok(form) = Form::parse(bytes) else { return };
    if let Ok(search) = searching::Listing::read(&form, &["id", "userId", "enabled"]) {
        let _ = search.matches(&serde_json::json!({ "id": "1", "userId": "u", "enabled": true }));
    }
}

pub fn scim_filter(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Ok(filter) = Filter::parse(text) else { return };
    let printed = filter.to_string();
    assert_eq!(Filter::parse(&printed).ok(), Some(filter), "`{printed}` reads back");
}

pub fn scim_path(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        let _ = Path::parse(text);
    }
}

pub fn scim_patch(bytes: &[u8]) {
    let Some(Value::Object(body)) = value(bytes) else { return };
    let _ = scim::read_operations(&body);
}

pub fn policy_document(bytes: &[u8]) {
    if let Some(value) = value(bytes) {
        let _ = policy_document::validate(&value);
    }
}

pub fn passkey_response(bytes: &[u8]) {
    if let Some(value) = value(bytes) {
        let _ = webauthn::challenge_id(&value);
        let _ = webauthn::credential_id(&value);
    }
}

pub fn tenant_file(bytes: &[u8]) {
    if let Some(text) = text(bytes)
        && let Err(problems) = tenant_file::load_text("t.toml", text)
    {
        assert!(!problems.is_empty(), "refused without a word");
    }
}
