//! What every request is made of: forms, headers, base64, JSON.

use axum::http::{HeaderMap, HeaderValue};
use countersign::address::TrustedProxies;
use countersign::doors::idcs::authenticate::request::Body;
use countersign::hashing::Hashing;
use protocol::form::{self, Form};
use protocol::idcs::multipart;
use protocol::json::{self, USUAL};
use protocol::{b64, basic, client_auth, search as searching, time};

use super::{text, value};

/// A form.
pub fn form(bytes: &[u8]) {
    let Ok(form) = Form::parse(bytes) else { return };
    for name in ["client_id", "scope", "grant_type", "context"] {
        let _ = form.one(name);
        let _ = form.many(name).count();
    }
}

/// A form in parts: its media type on the first line, then the body.
pub fn multipart(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let Some(content_type) = text(&bytes[..at]) else { return };
    let _ = multipart::is_multipart(content_type);
    let Ok(form) = multipart::parse(content_type, bytes.get(at + 1..).unwrap_or_default()) else { return };
    let mut written = String::new();
    for (name, value) in form.pairs() {
        let name = name.replace('\\', "\\\\").replace('"', "\\\"");
        // What cannot stand in a head, or would end the part, is not written.
        if name.contains(['\r', '\n']) || name.contains("%22") || value.contains("--again") {
            return;
        }
        written.push_str(&format!("--again\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    written.push_str("--again--");
    if let Ok(again) = multipart::parse("multipart/form-data; boundary=again", written.as_bytes()) {
        assert_eq!(again, form);
    } else {
        assert!(written.len() > form::USUAL.bytes, "{written:?}");
    }
}

/// `Authorization`.
pub fn authorization_header(bytes: &[u8]) {
    let empty = Form::parse(b"").unwrap();
    let _ = client_auth::read_presented(&empty, [bytes]);
    if let Some(text) = text(bytes) {
        let _ = basic::read_pairs(text);
    }
}

/// `X-Forwarded-For`, one line a header, by a proxy that is believed.
pub fn forwarded_for(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(line) = HeaderValue::from_bytes(line) else { return };
        headers.append("x-forwarded-for", line);
    }
    let stranger = "203.0.113.9".parse().unwrap();
    let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
    let client = proxies.client("10.0.0.1".parse().unwrap(), &headers);
    assert_eq!(client, client.to_canonical());
    assert_eq!(proxies.client(stranger, &headers), stranger, "a stranger names its own address");
}

/// base64 in every form.
pub fn base64(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let strict = b64::decode_url(text, 4096);
    if let Some(decoded) = &strict {
        assert_eq!(b64::encode_url(decoded), text, "two texts for the same bytes");
    }
    for decoded in [b64::decode(text, 4096), strict].into_iter().flatten() {
        assert!(decoded.len() <= 4096, "longer than allowed");
    }
}

/// `context` of a form.
pub fn context(bytes: &[u8]) {
    let Ok(form) = Form::parse(bytes) else { return };
    if let Ok(Some(context)) = countersign::oauth::context::read(&form) {
        let _ = countersign::oauth::context::require_members(&context);
    }
}

/// JSON within bounds.
pub fn json(bytes: &[u8]) {
    let Some(read) = value(bytes) else { return };
    // Fractions may lose their last digit, and what is written longer may be beyond the bounds; nothing else happens to it.
    let written = read.to_string();
    if written.len() <= bytes.len() {
        assert!(json::parse(written.as_bytes(), USUAL).is_ok(), "what is read reads again");
    }
}

/// The query of a list in the vendor's dialect.
pub fn search(bytes: &[u8]) {
    let Ok(form) = Form::parse(bytes) else { return };
    if let Ok(search) = searching::Listing::read(&form, &["id", "userId", "enabled"]) {
        let object = serde_json::json!({ "id": "1", "userId": "u", "enabled": true });
        let matches = search.matches(&object);
        let page = search.apply(vec![object; 3]);
        assert!(matches || page.items.is_empty(), "what does not match is on the page");
    }
}

/// The body of a step of the Authenticate API.
pub fn authenticate_step(bytes: &[u8]) {
    let Ok(body) = Body::read(bytes) else { return };
    let _ = body.state();
    let Ok(step) = body.step() else { return };
    let credentials = &step.credentials;
    let _ = (credentials.text("username"), credentials.code("otpCode"), credentials.device());
    let _ = (credentials.preferred(), credentials.answers(), credentials.assertion());
    for name in [&step.trust, &step.stay].into_iter().flatten() {
        assert!(!name.chars().any(char::is_control), "a name that cannot be shown");
    }
}

/// A password hash of another system, as people are brought along with.
pub fn password_hash(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        let _ = Hashing::can_verify(text);
    }
}

/// A moment.
pub fn moment(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Some(millis) = time::read_millis(text) else { return };
    let written = time::write_millis(millis);
    // What lies before the year 1 is written as its beginning: a year has four digits, and none is 0000.
    let nearest = millis.max(-62_135_596_800_000);
    assert_eq!(time::read_millis(&written), Some(nearest), "`{text}` is written as `{written}`");
    let _ = time::read_seconds(text);
}
