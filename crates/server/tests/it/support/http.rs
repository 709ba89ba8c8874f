//! One request and its answer, in process.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::listen::{Peer, RequestId};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

/// A request being put together.
#[must_use]
pub struct Ask {
    router: Router,
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
    peer: IpAddr,
}

impl Ask {
    pub fn new(router: Router, method: &str, target: &str, host: &str, peer: IpAddr) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_str(host).unwrap());
        Self {
            router,
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            target: target.to_owned(),
            headers,
            body: Bytes::new(),
            peer,
        }
    }

    /// Adds a header; one of the same name stays.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    pub fn host(mut self, host: &str) -> Self {
        self.headers.insert("host", HeaderValue::from_str(host).unwrap());
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub fn basic(self, id: &str, secret: &str) -> Self {
        self.header("authorization", format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
    }

    /// The other end of the connection.
    pub fn from(mut self, peer: &str) -> Self {
        self.peer = peer.parse().unwrap();
        self
    }

    pub fn form<K: AsRef<str>, V: AsRef<str>>(self, pairs: &[(K, V)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub fn body(mut self, media_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.insert("content-type", HeaderValue::from_str(media_type).unwrap());
        self.body = body.into();
        self
    }

    pub fn raw(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub async fn send(self) -> Reply {
        let mut request = Request::builder().method(self.method).uri(&self.target).body(Body::from(self.body)).unwrap();
        *request.headers_mut() = self.headers;
        request.extensions_mut().insert(Peer {
            client: self.peer,
            direct: SocketAddr::new(self.peer, 40_000),
            request: RequestId::NONE,
        });
        let origin = countersign::audit::Origin::new(self.peer, RequestId::NONE);
        let response = countersign::audit::scope(origin, self.router.oneshot(request)).await.unwrap();
        let (parts, body) = response.into_parts();
        Reply { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON; it must say that it is.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert!(["application/json", "application/scim+json"].contains(&self.header("content-type")), "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// An answer of this status without a body.
    #[track_caller]
    pub fn expect_empty(&self, status: u16) {
        assert_eq!((self.status.as_u16(), self.text()), (status, ""));
    }

    /// An error of an OAuth endpoint: status, code, and the id its text begins with.
    #[track_caller]
    pub fn oauth_error(&self, status: u16, error: &str, id: &str) {
        let body = self.expect(status);
        assert_eq!(names(&body), ["error", "error_description"], "{body}");
        assert_eq!(body["error"], error, "{body}");
        let text = body["error_description"].as_str().unwrap();
        assert!(text.starts_with(id), "`{text}` does not begin with `{id}`");
        assert_eq!(self.header("cache-control"), "no-store");
    }

    /// An error of a factor API: status and message id.
    #[track_caller]
    pub fn factor_error(&self, status: u16, id: &str) {
        let body = self.expect(status);
        assert_eq!(names(&body), ["messageId", "messageDescription"], "{body}");
        assert_eq!(body["messageId"], id, "{body}");
    }
}

/// The names of an object's members, in their order.
#[track_caller]
pub fn names(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}
