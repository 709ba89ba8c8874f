//! The headers of a page, first of all its Content-Security-Policy: nothing is allowed but what this very page brings.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::look::Look;
use super::{Page, Sheet, templates};
use crate::fault::Fault;
use crate::reply;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// The answer that shows a page.
pub(super) fn answer(look: &Look, page: &Page<'_>) -> Response {
    let sheet = page.sheet();
    let html = match templates::render(look, &sheet) {
        Ok(html) => html,
        Err(error) => {
            Fault::internal("a page cannot be rendered", error).log();
            return reply::plain_error(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made");
        }
    };
    let Ok(policy) = HeaderValue::try_from(policy(look, &sheet)) else {
        Fault::stored("a page's policy holds a character no header may have").log();
        return reply::plain_error(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made");
    };
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = sheet.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HTML);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static(referrer(&sheet)));
    if !sheet.framed {
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    if sheet.alone {
        // Elsewhere it would cut a pop-up window off from the application that opened it to sign in.
        headers.insert(COOP, HeaderValue::from_static("same-origin"));
    }
    response
}

/// `no-referrer` would make browsers send `Origin: null` with our own forms (Fetch §3.2); these two send the true origin, the
/// first to us alone, the second to the application that is posted to.
fn referrer(sheet: &Sheet<'_>) -> &'static str {
    if sheet.form_target.is_some() { "strict-origin" } else { "same-origin" }
}

/// The Content-Security-Policy (CSP Level 3) of a page.
pub(super) fn policy(look: &Look, sheet: &Sheet<'_>) -> String {
    let mut policy = String::from("default-src 'none'; base-uri 'none'");
    let mut add = |directive: &str, sources: &[String]| {
        if !sources.is_empty() {
            policy.push_str("; ");
            policy.push_str(directive);
            for source in sources {
                policy.push(' ');
                policy.push_str(source);
            }
        }
    };
    let nonce = format!("'nonce-{}'", look.nonce);
    if sheet.framed {
        add("script-src", &[nonce]);
        add("frame-ancestors", &["*".to_owned()]);
        return policy;
    }
    add("style-src", std::slice::from_ref(&nonce));
    if sheet.script.is_some() {
        add("script-src", &[nonce]);
    }
    if sheet.asks {
        add("connect-src", &["'self'".to_owned()]);
    }
    let mut images = vec!["'self'".to_owned(), "data:".to_owned()];
    images.extend(sheet.images.iter().copied().chain(look.logo.as_deref()).filter_map(origin));
    add("img-src", &distinct(images));
    add("frame-src", &distinct(sheet.frames.iter().copied().filter_map(source).collect()));
    let mut forms = Vec::new();
    match sheet.form_target {
        Some(target) => forms.extend(form_targets(target)),
        None => {
            forms.push("'self'".to_owned());
            forms.extend(look.form_targets.iter().cloned());
        }
    }
    add("form-action", &distinct(forms));
    add("frame-ancestors", &["'none'".to_owned()]);
    policy
}

fn distinct(mut sources: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    sources.retain(|source| seen.insert(source.clone()));
    sources
}

/// Scheme, host and port of a web address as a policy spells them. None where the address has no host that a policy can name:
/// numeric IPv6 hosts have no form there (CSP Level 3 §2.3.1).
pub(super) fn origin(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let named = (1..=253).contains(&host.len())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    let ported = port.is_none_or(|port| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()));
    (named && ported).then(|| format!("{scheme}://{}", authority.to_ascii_lowercase()))
}

/// An address as a source: its origin, or its scheme where that is all a policy can say.
fn source(uri: &str) -> Option<String> {
    origin(uri).or_else(|| scheme(uri))
}

fn scheme(uri: &str) -> Option<String> {
    let (scheme, _) = uri.split_once(':')?;
    let scheme = scheme.to_ascii_lowercase();
    let well = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    (well && !matches!(scheme.as_str(), "javascript" | "data" | "blob" | "filesystem")).then(|| format!("{scheme}:"))
}

/// Where a form may lead that ends at a redirect URI. An application often passes the browser on to another of its hosts at once,
/// and browsers hold that redirect against the page with the form too: so all of `https`, and for programs on loopback every port.
pub(super) fn form_targets(redirect_uri: &str) -> Vec<String> {
    let Some(target) = source(redirect_uri) else { return Vec::new() };
    let https = || "https:".to_owned();
    if target.starts_with("https:") {
        return vec![https()];
    }
    let mut targets = vec![target];
    if let Some(rest) = targets[0].strip_prefix("http://") {
        let host = rest.split_once(':').map_or(rest, |(host, _)| host);
        if matches!(host, "localhost" | "127.0.0.1") {
            targets = vec!["http://localhost:*".to_owned(), "http://127.0.0.1:*".to_owned()];
        }
        targets.push(https());
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_can_hold_nothing_but_a_host() {
        assert_eq!(origin("https://Example.test/a?b#c").as_deref(), Some("https://example.test"));
        assert_eq!(origin("http://127.0.0.1:8400/x").as_deref(), Some("http://127.0.0.1:8400"));
        for wrong in [
            "https://",
            "https://;script-src",
            "https://a b",
            "https://a'b",
            "https://*",
            "https://user@host/",
            "ftp://a/",
            "javascript://a/%0a",
            "https://[::1]/",
            "https://a:b/",
            "https://a:1:2/",
            "https://ü.test/",
            "/path",
            "",
        ] {
            assert_eq!(origin(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn forms_lead_to_where_the_answer_goes() {
        assert_eq!(form_targets("https://app.example.test/cb"), ["https:"]);
        assert_eq!(form_targets("http://127.0.0.1:51004/cb"), ["http://localhost:*", "http://127.0.0.1:*", "https:"]);
        assert_eq!(form_targets("http://inside.example.test:80/cb"), ["http://inside.example.test:80", "https:"]);
        assert_eq!(form_targets("http://[::1]:51004/cb"), ["http:"]);
        assert_eq!(form_targets("com.example.app:/cb"), ["com.example.app:"]);
        for wrong in ["javascript:alert(1)", "data:text/html,x", "/path", "", "x y:z", "a;b:c"] {
            assert!(form_targets(wrong).is_empty(), "{wrong}");
        }
    }
}
