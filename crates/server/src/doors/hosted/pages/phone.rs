//! The web phone: one page that stays open and talks to this server by itself, what stands behind it, and what makes it installable.
//! What it says to the server is docs/device-protocol.md and nothing else.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use super::look::Look;
use super::{Sheet, headers, templates};
use crate::fault::Fault;
use crate::reply;

const JS: &str = include_str!("templates/phone.js");
const CSS: &str = include_str!("templates/phone.css");
const WORKER: &str = include_str!("templates/phone_worker.js");
/// Where the service worker may reach: its file lies below the page it serves.
const REACH: HeaderName = HeaderName::from_static("service-worker-allowed");
const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// A phone in a rounded square; the sign in it is a check mark.
const ICON: &str = concat!(
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 512 512\"><rect width=\"512\" height=\"512\" fill=\"{accent}\"/>",
    "<g fill=\"none\" stroke=\"{words}\" stroke-width=\"26\" stroke-linecap=\"round\" stroke-linejoin=\"round\">",
    "<rect x=\"166\" y=\"104\" width=\"180\" height=\"304\" rx=\"34\"/><path d=\"M210 262l32 32 60-64\"/></g></svg>"
);

/// Pixels of a side of the icon where no drawing is taken: enough for any home screen.
const ICON_SIDE: u16 = 192;

static STYLE: LazyLock<String> =
    LazyLock::new(|| CSS.lines().filter(|line| !line.starts_with("/*")).collect::<Vec<_>>().join("\n"));

#[derive(Serialize)]
struct Values {
    style: &'static str,
}

/// The page.
pub fn page(look: &Look) -> Response {
    let sheet = Sheet { script: Some(JS), ..Sheet::new("phone", &Values { style: STYLE.as_str() }) };
    let html = match templates::render(look, &sheet) {
        Ok(html) => html,
        Err(error) => {
            Fault::internal("the phone page cannot be rendered", error).log();
            return reply::plain_error(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made");
        }
    };
    let logo = look.logo.as_deref().and_then(headers::origin).map(|host| format!(" {host}")).unwrap_or_default();
    let nonce = &look.nonce;
    // It is the one page that keeps a key: nothing runs in it but the script it brings, and that is let write no markup.
    let policy = format!(
        "default-src 'none'; base-uri 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src 'self' data:{logo}; \
         connect-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types phone"
    );
    let mut response = whole("text/html; charset=utf-8", html, &policy);
    let all = response.headers_mut();
    all.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    all.insert(COOP, HeaderValue::from_static("same-origin"));
    all.insert(
        header::CONTENT_LANGUAGE,
        HeaderValue::try_from(look.language.tag()).unwrap_or(HeaderValue::from_static("en")),
    );
    response
}

/// What stands behind the page.
pub fn worker() -> Response {
    let mut response =
        whole("text/javascript; charset=utf-8", WORKER.to_owned(), "default-src 'none'; connect-src 'self'");
    response.headers_mut().insert(REACH, HeaderValue::from_static("/phone"));
    response
}

/// What a browser needs to know to install the page (W3C Web Application Manifest).
pub fn manifest(look: &Look) -> Response {
    let icon =
        |purpose| json!({ "src": "/phone/icon.svg", "sizes": "any", "type": "image/svg+xml", "purpose": purpose });
    let sizes = format!("{ICON_SIDE}x{ICON_SIDE}");
    let picture = json!({ "src": "/phone/icon.png", "sizes": sizes, "type": "image/png", "purpose": "any" });
    let manifest = json!({
        "id": "/phone",
        "name": look.title,
        "short_name": look.title.chars().take(12).collect::<String>().trim_end(),
        "lang": look.language.tag(),
        "dir": look.language.direction(),
        "start_url": "/phone",
        "scope": "/phone",
        "display": "standalone",
        "background_color": "#f5f5f2",
        "theme_color": look.light.accent.to_string(),
        "icons": [icon("any"), icon("maskable"), picture],
    });
    whole("application/manifest+json", manifest.to_string(), "default-src 'none'")
}

/// Its icon, in the tenant's colour.
pub fn icon(look: &Look) -> Response {
    let colours = [("{accent}", look.light.accent), ("{words}", look.light.on_accent)];
    let icon = colours.iter().fold(ICON.to_owned(), |icon, (place, colour)| icon.replace(place, &colour.to_string()));
    whole("image/svg+xml", icon, "default-src 'none'")
}

/// The same icon in pixels: home screens of some makers take no drawing.
pub fn icon_png(look: &Look) -> Response {
    let (accent, words) = (look.light.accent, look.light.on_accent);
    let mut colours = [accent.channels(); 16];
    for (level, colour) in (0_u16..).zip(&mut colours) {
        *colour = accent.mix(words, level * 100 / 15).channels();
    }
    // What the drawing says, in its own units: the distance to the nearest line decides how much of a pixel it covers.
    let unit = 512.0 / f32::from(ICON_SIDE);
    let png = crate::picture::square_png(ICON_SIDE, &colours, |x, y| {
        let at = |pixel: u16| (f32::from(pixel) + 0.5) * unit;
        let (x, y) = (at(x), at(y));
        let frame = frame_distance(x - 256.0, y - 256.0);
        let check = line_distance([x, y], [210.0, 262.0], [242.0, 294.0]).min(line_distance(
            [x, y],
            [242.0, 294.0],
            [302.0, 230.0],
        ));
        let covered = (0.5 - (frame.min(check) - 13.0) / unit).clamp(0.0, 1.0);
        [0_u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
            .into_iter()
            .rfind(|level| f32::from(*level) <= covered * 15.0 + 0.5)
            .unwrap_or(0)
    });
    whole("image/png", png, "default-src 'none'")
}

/// How far a place is from the line of the phone, whose middle is the origin.
fn frame_distance(x: f32, y: f32) -> f32 {
    const ROUND: f32 = 34.0;
    let (across, along) = (x.abs() - (90.0 - ROUND), y.abs() - (152.0 - ROUND));
    let outside = across.max(0.0).hypot(along.max(0.0));
    (outside + across.max(along).min(0.0) - ROUND).abs()
}

/// How far a place is from a straight line between two others.
fn line_distance([x, y]: [f32; 2], [from_x, from_y]: [f32; 2], [to_x, to_y]: [f32; 2]) -> f32 {
    let (across, along) = (to_x - from_x, to_y - from_y);
    let share = ((x - from_x) * across + (y - from_y) * along) / (across * across + along * along);
    let share = share.clamp(0.0, 1.0);
    (x - from_x - share * across).hypot(y - from_y - share * along)
}

fn whole(media_type: &'static str, body: impl Into<Body>, policy: &str) -> Response {
    let Ok(policy) = HeaderValue::try_from(policy) else {
        Fault::stored("a page's policy holds a character no header may have").log();
        return reply::plain_error(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made");
    };
    let mut response = Response::new(body.into());
    let all = response.headers_mut();
    all.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    all.insert(header::CONTENT_SECURITY_POLICY, policy);
    all.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    all.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    all.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
