//! Health and metrics, on a listener of their own so that the public one never shows them. Owns the three routes; what
//! "ready" means is told by whoever starts it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::metrics::Metrics;

/// How long the check may take; an orchestrator asks again within seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether requests can be served now: reaches for what they need.
pub type Ready = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

#[derive(Clone)]
struct Health {
    metrics: Arc<Metrics>,
    ready: Ready,
    patience: Duration,
}

/// `/healthz`: the process lives. `/readyz`: it can serve. `/metrics`: how it fares.
pub fn router(metrics: Arc<Metrics>, ready: Ready) -> Router {
    routes(Health { metrics, ready, patience: PATIENCE })
}

fn routes(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(tell))
        .with_state(health)
}

async fn readyz(State(health): State<Health>) -> Response {
    match tokio::time::timeout(health.patience, (health.ready)()).await {
        Ok(true) => "ready\n".into_response(),
        Ok(false) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
    }
}

async fn tell(State(health): State<Health>) -> Response {
    match health.metrics.encode() {
        Ok(text) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    async fn ask(path: &str, ready: Ready) -> (StatusCode, String) {
        let health = Health { metrics: Arc::new(Metrics::new(&["/x"])), ready, patience: Duration::from_millis(20) };
        let router = routes(health);
        let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn always(answer: bool) -> Ready {
        Arc::new(move || Box::pin(std::future::ready(answer)))
    }

    #[tokio::test]
    async fn living_and_ready_are_two_things() {
        assert_eq!(ask("/healthz", always(false)).await, (StatusCode::OK, "ok\n".to_owned()));
        assert_eq!(ask("/readyz", always(true)).await.0, StatusCode::OK);
        assert_eq!(ask("/readyz", always(false)).await.0, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn a_check_that_hangs_is_not_ready() {
        let hangs: Ready = Arc::new(|| Box::pin(std::future::pending()));
        assert_eq!(ask("/readyz", hangs).await.0, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn metrics_are_open_metrics_text() {
        let (status, text) = ask("/metrics", always(true)).await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("# TYPE countersign_requests counter"), "{text}");
    }
}
