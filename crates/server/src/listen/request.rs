//! One request between the socket and the router: its name, its bounds, its log line, and what is answered when a
//! handler panics or takes too long.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Limited;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service as _;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::Peer;
use crate::address::TrustedProxies;
use crate::audit::{self, Origin};
use crate::config::Server;
use crate::logging::SPANS;
use crate::metrics::Metrics;
use crate::world::{self, Stopwatch};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of a path that are logged.
const LONGEST_LOGGED_PATH: usize = 200;

tokio::task_local! {
    static CURRENT: RequestId;
    static PLACE: RefCell<Option<OwnedSemaphorePermit>>;
}

/// From here on the request of this task only waits for something to happen: its place among those under way is given to
/// another. Who waits bounds how many do.
pub fn step_aside() {
    // Outside a request of the listener there is no place to give.
    let _ = PLACE.try_with(|place| place.borrow_mut().take());
}

/// The name of a request: sixteen hexadecimal digits of ours, never taken from the caller.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// What stands for the name of a request that came by no socket.
    pub const NONE: Self = Self([b'0'; 16]);

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The request this task is answering, for log lines; none outside one.
pub fn current_request() -> Option<RequestId> {
    CURRENT.try_with(|id| *id).ok()
}

/// What all requests of a listener share.
pub(super) struct Front {
    router: Router,
    proxies: TrustedProxies,
    body: usize,
    limit: Duration,
    metrics: Option<Arc<Metrics>>,
    tls: bool,
    /// Places for requests under way.
    places: Arc<Semaphore>,
    /// Requests so far.
    count: AtomicU64,
    /// Keys that hide the count in the names.
    veil: [u64; 2],
}

impl Front {
    pub(super) fn new(router: Router, server: &Server, metrics: Option<Arc<Metrics>>, tls: bool) -> Self {
        let mut veil = [[0; 8]; 2];
        veil.iter_mut().for_each(|key| world::fill(key));
        Self {
            router,
            proxies: server.trusted_proxies.clone(),
            body: server.limits.body,
            limit: server.timeouts.request,
            metrics,
            tls,
            places: Arc::new(Semaphore::new(server.max_requests)),
            count: AtomicU64::new(0),
            veil: veil.map(u64::from_ne_bytes),
        }
    }

    /// A name no other request of this process has. The count behind it goes through a permutation (the finisher of
    /// SplitMix64 between two secret additions), so that names do not show how busy the server is.
    fn name(&self) -> RequestId {
        let mut x = self.count.fetch_add(1, Ordering::Relaxed).wrapping_add(self.veil[0]);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x = (x ^ (x >> 31)).wrapping_add(self.veil[1]);
        let mut digits = [0; 16];
        for (at, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(x >> (60 - 4 * at)) as usize & 15];
        }
        RequestId(digits)
    }
}

/// Answers one request. Whatever happens inside, there is an answer.
pub(super) async fn answer(
    front: Arc<Front>,
    mut request: Request<Incoming>,
    direct: SocketAddr,
) -> Result<Response<Body>, Infallible> {
    let watch = Stopwatch::start();
    let id = front.name();
    let client = front.proxies.client(direct.ip(), request.headers());
    request.extensions_mut().insert(Peer { client, direct, request: id });
    // Only what is needed for the log line and the count is kept of the request.
    let logged = tracing::enabled!(target: "countersign::request", tracing::Level::WARN)
        .then(|| Logged::of(&request, client, front.tls));
    let route = front.metrics.as_ref().map(|metrics| metrics.route(request.uri().path()));
    let span = match (&front.metrics, route) {
        (Some(metrics), Some(route)) => span_of(request.method(), metrics.name(route)),
        _ => Span::none(),
    };

    let mut response = match Arc::clone(&front.places).try_acquire_owned() {
        _ if request.body().size_hint().lower() > front.body as u64 => {
            refusal(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "the request body is too large")
        }
        // Beyond what can be done in time a quick no is worth more than a late answer, and costs no memory.
        Err(_) => later("there are too many requests at once, try again shortly"),
        Ok(place) => {
            let call = front.router.clone().call(request.map(|body| Limited::new(body, front.body)));
            let call = audit::scope(Origin::new(client, id), guarded(call, front.limit, id));
            let call = CURRENT.scope(id, call);
            PLACE.scope(RefCell::new(Some(place)), call).instrument(span.clone()).await
        }
    };
    let name = HeaderValue::from_bytes(&id.0).expect("hexadecimal digits are a header value");
    response.headers_mut().insert(X_REQUEST_ID, name);

    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    drop(span);

    let took = watch.elapsed();
    if let (Some(metrics), Some(route)) = (&front.metrics, route) {
        metrics.request_answered(route, response.status(), took);
    }
    if let Some(logged) = logged {
        logged.write(response.status(), took, id);
    }
    Ok(response)
}

/// The span of a request, under the names OpenTelemetry has for what it holds: method, route and status; never the path
/// itself, the query or a header. Nothing where traces are not sent.
fn span_of(method: &Method, route: &'static str) -> Span {
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        // What a stranger made up is not told further.
        _ => "_OTHER",
    };
    let span = tracing::trace_span!(
        target: SPANS, "request", otel.kind = "server", otel.name = Empty, otel.status_code = Empty,
        http.request.method = method, http.route = route, http.response.status_code = Empty
    );
    if !span.is_disabled() {
        span.record("otel.name", tracing::field::display(format_args!("{method} {route}")));
    }
    span
}

/// The answer of the router, or ours when it panics or takes too long.
async fn guarded(
    call: impl Future<Output = Result<Response<Body>, Infallible>>,
    limit: Duration,
    id: RequestId,
) -> Response<Body> {
    let mut call = pin!(call);
    let caught = std::future::poll_fn(|cx| {
        // A panic leaves nothing behind that is used again: the future is dropped with the request.
        match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(response))) => Poll::Ready(Some(response)),
            Ok(Poll::Ready(Err(never))) => match never {},
            Err(_) => Poll::Ready(None),
        }
    });
    match tokio::time::timeout(limit, caught).await {
        Ok(Some(response)) => response,
        Ok(None) => {
            tracing::error!(request = %id, "a handler panicked");
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "the request could not be answered")
        }
        Err(_) => {
            tracing::warn!(request = %id, "a request took too long");
            later("the request took too long")
        }
    }
}

/// Not now.
fn later(description: &str) -> Response<Body> {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", description);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// An answer of the listener itself: it belongs to no door, so it speaks the plainest form.
fn refusal(status: StatusCode, error: &str, description: &str) -> Response<Body> {
    let body = format!(r#"{{"error":"{error}","error_description":"{description}"}}"#);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What a log line says of a request: neither query nor headers, where secrets travel.
struct Logged {
    method: Method,
    /// Its path alone is told. Shared with the request, not copied.
    uri: Uri,
    client: IpAddr,
    tls: bool,
}

impl Logged {
    fn of<B>(request: &Request<B>, client: IpAddr, tls: bool) -> Self {
        Self { method: request.method().clone(), uri: request.uri().clone(), client, tls }
    }

    /// Refusals are told by default, successes on demand: at full speed a line for each would cost as much as the answer.
    fn write(self, status: StatusCode, took: Duration, id: RequestId) {
        let Self { method, uri, client, tls } = self;
        let path = uri.path();
        let path = path.char_indices().nth(LONGEST_LOGGED_PATH).map_or(path, |(end, _)| &path[..end]);
        let (status, micros) = (status.as_u16(), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "countersign::request",
                    request = %id, %method, path, status, micros, %client, tls, "answered"
                )
            };
        }
        match status {
            500.. => line!(warn),
            400..=499 => line!(info),
            _ => line!(debug),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Log, LogFormat};
    use crate::fault::Fault;
    use std::io::{Read as _, Seek as _};

    #[test]
    fn a_fault_is_told_under_the_name_of_its_request() {
        let mut file = tempfile::tempfile().unwrap();
        let writer = Arc::new(file.try_clone().unwrap());
        let log = Log { format: LogFormat::Json, level: "info".to_owned() };
        let subscriber = crate::logging::subscriber(&log, move || Arc::clone(&writer)).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let fault = Fault::internal("what", std::io::Error::other("why"));
            CURRENT.sync_scope(RequestId(*b"0123456789abcdef"), || fault.log());
            fault.log();
        });
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["request"], &lines[0]["cause"]), (&"0123456789abcdef".into(), &"why".into()));
        assert!(lines[1].get("request").is_none(), "a job has none");
    }
}
