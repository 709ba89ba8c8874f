//! The hand-over of a browser to the sign-in page of a client (Oracle page §1.6, §6.3): a form that posts itself there.
//!
//! Owns when that happens and how it is sent. What the page is told is the Authenticate API's; the formats are `protocol`'s.

use axum::http::HeaderValue;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::idcs::handover;
use protocol::records::Client;
use serde_json::{Map, Value};

use super::super::authorize::see_other;
use crate::app::App;
use crate::call::Call;
use crate::doors::hosted;
use crate::fault::Fault;
use crate::reply;

/// Where people of this client sign in, where that is not with us.
pub fn page_of<'c>(call: &Call, client: &'c Client) -> Option<&'c str> {
    let settings = &call.tenant.tenant.settings.oracle;
    (call.is_oracle() && settings.sdk_enabled).then_some(client.oracle.login_url.as_deref()).flatten()
}

/// Hands the browser over, with what the Authenticate API would answer now.
///
/// # Errors
/// No RSA key signs.
pub fn form(app: &App, call: &Call, page: &str, body: Map<String, Value>) -> Result<Response, Fault> {
    let settings = &call.tenant.tenant.settings.oracle;
    let name = settings.name_of(&call.tenant.tenant.id);
    let login_ctx = handover::seal(&name, &handover::tame(Value::Object(body)));
    let signed = call.tenant.keys.sign_text(&handover::signed_text(&login_ctx), app.world.now());
    let signature = STANDARD.encode(signed.map_err(|error| Fault::internal("the signature of a hand-over", error))?);
    Ok(hosted::form_post(app, call, &[], page, &[("loginCtx", login_ctx), ("signature", signature)]))
}

/// Hands a browser to a sign-in page with a sign-in that is through.
pub fn token(app: &App, call: &Call, page: &str, token: String) -> Response {
    hosted::form_post(app, call, &[], page, &[("authnToken", token)])
}

/// Hands a browser to a page where its person registers, with what another provider said of them.
pub fn register(app: &App, call: &Call, page: &str, user_data: String, state: String) -> Response {
    hosted::form_post(app, call, &[], page, &[("userData", user_data), ("requestState", state)])
}

/// Tells the error page of a client what went wrong; none where it has none.
pub fn error(call: &Call, client: &Client, code: &str, message: &str) -> Option<Response> {
    let url = client.oracle.error_url.as_deref()?;
    let name = call.tenant.tenant.settings.oracle.name_of(&call.tenant.tenant.id);
    let context = handover::seal(&name, &handover::tame(handover::error(code, message)));
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("errorCtx", &context).finish();
    let joint = if url.contains('?') { '&' } else { '?' };
    see_other(&format!("{url}{joint}{query}")).ok()
}

/// The headers that answers of this kind have (Oracle page §2.16).
pub fn dressed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        ("expires", "Sat, 01 Jan 2000 00:00:00 GMT"),
        ("pragma", "no-cache"),
        ("x-content-type-options", "nosniff"),
        ("x-xss-protection", "1; mode=block"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply::same_origin(response)
}
