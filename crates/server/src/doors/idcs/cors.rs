//! Which pages of other origins may call the door (Oracle page §1.4): those the tenant names, and no other, whatever is answered.
//!
//! No cookie is ever looked at where these headers stand: who calls brings a token.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;
use crate::reply;

/// Path families of the door.
const FAMILIES: [&str; 5] = ["/sso/v1/", "/oauth2/v1/", "/admin/v1/", "/mfa/v1/", "/.well-known/idcs-configuration"];

/// Whether a path belongs to the door.
pub fn covers(path: &str) -> bool {
    FAMILIES.iter().any(|family| path.starts_with(family))
}

/// Puts the origin that may call on every answer, errors among them, in the place of the star that others have.
pub async fn tell(State(app): State<App>, request: Request, next: Next) -> Response {
    let allowed = allowed(&app, request.headers(), request.uri().authority().map(|one| one.as_str()));
    admit(next.run(request).await, allowed)
}

/// The answer to a browser that asks before it calls. Nobody has to say who asks.
pub fn preflight(app: &App, headers: &HeaderMap, authority: Option<&str>) -> Response {
    let mut response = reply::preflight();
    *response.status_mut() = StatusCode::OK;
    let methods = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    admit(response, allowed(app, headers, authority))
}

fn admit(mut response: Response, allowed: Option<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    // What one origin may read is not another's, and a cache must not mix them up.
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let shown = HeaderValue::from_static("X-ORACLE-DMS-ECID, Location, Retry-After");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, shown);
    }
    response
}

/// The origin of the request, if the tenant that is called lets it call.
fn allowed(app: &App, headers: &HeaderMap, authority: Option<&str>) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let host = authority.or_else(|| headers.get(header::HOST)?.to_str().ok())?;
    let directory = app.directories.current();
    let (tenant, _) = directory.resolve(host)?;
    tenant.tenant.settings.oracle.admits_origin(origin.to_str().ok()?).then(|| origin.clone())
}
