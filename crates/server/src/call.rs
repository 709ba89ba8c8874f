//! One request to one tenant: resolved by host name, its body read within bounds.
//!
//! Owns what every handler needs before it looks at the request. Authenticates nobody.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use protocol::discovery::Prefix;
use protocol::form::Form;
use protocol::oauth_error::Rejection;
use serde_json::{Map, Value};

use crate::app::App;
use crate::directory::TenantView;
use crate::listen::Peer;
use crate::reply;

/// The most bytes of a body any handler reads.
pub const LARGEST_BODY: usize = 256 * 1024;

/// What a route names in its path. Where that is no text there is nothing: 404, in JSON like every other answer.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: serde::de::DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(named)) => Ok(Self(named)),
            Err(_) => Err(reply::plain_error(StatusCode::NOT_FOUND, "there is nothing at this path")),
        }
    }
}

/// One request to one tenant.
#[derive(Debug)]
pub struct Call {
    /// The tenant whose host was called.
    pub tenant: Arc<TenantView>,
    /// The base URL the tenant was called under: scheme, host and port, no trailing slash.
    pub base: String,
    /// The caller's address, by the trusted-proxy rules.
    pub peer: IpAddr,
    /// The method.
    pub method: Method,
    /// The request target.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl FromRequest<App> for Call {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let directory = app.directories.current();
        // HTTP/2 puts the authority into the target, HTTP/1.1 into a header.
        let authority = parts
            .uri
            .authority()
            .map(|authority| authority.as_str())
            .or_else(|| parts.headers.get(header::HOST).and_then(|value| value.to_str().ok()))
            .unwrap_or_default();
        let Some((tenant, base)) = directory.resolve(authority) else {
            return Err(reply::plain_error(StatusCode::NOT_FOUND, "no tenant answers under this host name"));
        };
        let base = base.to_owned();
        let peer =
            parts.extensions.get::<Peer>().map_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), |peer| peer.client);
        let body = read(body).await?;
        Ok(Self {
            tenant,
            base,
            peer,
            method: parts.method,
            uri: parts.uri,
            headers: std::mem::take(&mut parts.headers),
            body,
        })
    }
}

async fn read(body: Body) -> Result<Bytes, Response> {
    match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(reply::plain_error(StatusCode::PAYLOAD_TOO_LARGE, "the request body is too large"))
        }
        Err(_) => Err(reply::plain_error(StatusCode::BAD_REQUEST, "the request body ended early")),
    }
}

impl Call {
    /// The path family the request came in by.
    pub fn prefix(&self) -> Prefix {
        Prefix::of_path(self.uri.path())
    }

    /// The issuer of what this path family hands out.
    pub fn issuer(&self) -> String {
        match self.prefix() {
            Prefix::Oracle => self.tenant.tenant.settings.oracle.issuer.clone(),
            own => own.issuer(&self.base),
        }
    }

    /// Whether it is spoken in Oracle's dialect of OAuth.
    pub fn is_oracle(&self) -> bool {
        self.prefix() == Prefix::Oracle
    }

    /// The host name of that base URL, with its port: what the dialect calls the tenant id.
    pub fn host(&self) -> &str {
        self.base.split_once("://").map_or(self.base.as_str(), |(_, host)| host)
    }

    /// The values of all `Authorization` headers.
    pub fn authorization(&self) -> impl Iterator<Item = &[u8]> {
        self.headers.get_all(header::AUTHORIZATION).iter().map(|value| value.as_bytes())
    }

    /// The bearer token of the `Authorization` header, if there is exactly one such header.
    pub fn bearer(&self) -> Option<&str> {
        let mut all = self.headers.get_all(header::AUTHORIZATION).iter();
        let (only, None) = (all.next()?, all.next()) else { return None };
        match protocol::basic::Authorization::read(only.as_bytes()) {
            protocol::basic::Authorization::Bearer(token) => Some(token),
            protocol::basic::Authorization::Basic(_)
            | protocol::basic::Authorization::Dpop(_)
            | protocol::basic::Authorization::Other => None,
        }
    }

    /// The body as a form.
    ///
    /// # Errors
    /// Another content type, or a form that is malformed or repeats a parameter.
    pub fn form(&self, repeatable: &[&str]) -> Result<Form, Rejection> {
        if !self.body.is_empty() && !self.media_type().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Rejection::invalid_request("the body is not `application/x-www-form-urlencoded`"));
        }
        let form = Form::parse(&self.body)?;
        form.refuse_duplicates(repeatable)?;
        Ok(form)
    }

    /// The query as a form.
    ///
    /// # Errors
    /// A query that is malformed.
    pub fn query(&self) -> Result<Form, Rejection> {
        Form::parse(self.uri.query().unwrap_or_default().as_bytes())
    }

    /// The body as a JSON object; an empty body is an empty object.
    pub fn json(&self) -> Option<Map<String, Value>> {
        if self.body.is_empty() {
            return Some(Map::new());
        }
        protocol::json::parse_object(&self.body, protocol::json::USUAL).ok()
    }

    /// The media type of the body without its parameters; empty where none is named.
    pub fn media_type(&self) -> &str {
        let value = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }
}
