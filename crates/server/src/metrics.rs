//! Counters and histograms, in the form Prometheus reads. Owns their names and labels, which never come from a request;
//! does not decide what is worth counting.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicI64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::router::PREFIXES;

/// Seconds: from 50 µs to some 13 s, each bound twice the one before.
fn latencies() -> Histogram {
    Histogram::new(exponential_buckets(0.000_05, 2.0, 18))
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct GrantLabels {
    grant: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CommitLabels {
    name: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DeliveryLabels {
    channel: &'static str,
    outcome: &'static str,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// All changes happened.
    Done,
    /// A condition did not hold: nothing happened, as intended.
    Refused,
    /// The database did not answer.
    Failed,
}

/// One route of [`Metrics`], found once for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route(usize);

/// All measurements of the process.
pub struct Metrics {
    registry: Mutex<Registry>,
    exact: HashMap<&'static str, usize>,
    patterns: Vec<(&'static str, usize)>,
    /// One for each route; the last is for everything else.
    routes: Vec<RouteHandles>,
    tokens: Family<GrantLabels, Counter>,
    commits: Family<CommitLabels, Counter>,
    commit_seconds: Histogram,
    deliveries: Family<DeliveryLabels, Counter>,
    outbox: Gauge<i64, AtomicI64>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("routes", &self.routes.len()).finish_non_exhaustive()
    }
}

/// Handles of one route, so that counting a request takes no look-up by label.
struct RouteHandles {
    name: &'static str,
    classes: [Counter; CLASSES.len()],
    seconds: Histogram,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const OTHER: &str = "other";

impl Metrics {
    /// Measurements for these routes (`/token`, `/v1.0/policies/{id}`); requests beside them count as `other`, and those
    /// under the prefix of a path family as what follows it.
    pub fn new(routes: &[&'static str]) -> Self {
        let mut registry = Registry::with_prefix("countersign");
        let requests = Family::<RequestLabels, Counter>::default();
        let seconds = Family::<RouteLabels, Histogram>::new_with_constructor(latencies);
        registry.register("requests", "Requests answered", requests.clone());
        registry.register("request_seconds", "Time from the headers of a request to its answer", seconds.clone());
        let handles = |route: &'static str| RouteHandles {
            name: route,
            classes: CLASSES.map(|status| requests.get_or_create_owned(&RequestLabels { route, status })),
            seconds: seconds.get_or_create_owned(&RouteLabels { route }),
        };
        let tokens = Family::default();
        registry.register("token_requests", "Token requests by grant, refused ones together", tokens.clone());
        let commits = Family::default();
        registry.register("commits", "Transactions by name and outcome", commits.clone());
        let commit_seconds = latencies();
        registry.register("commit_seconds", "Time until a transaction was durable", commit_seconds.clone());
        let deliveries = Family::default();
        registry.register("deliveries", "Attempts to deliver a message by channel and outcome", deliveries.clone());
        let outbox = Gauge::default();
        registry.register("outbox_waiting", "Messages not delivered yet, of every node", outbox.clone());
        let numbered = || routes.iter().copied().zip(0..);
        Self {
            registry: Mutex::new(registry),
            exact: numbered().filter(|(route, _)| !route.contains('{')).collect(),
            patterns: numbered().filter(|(route, _)| route.contains('{')).collect(),
            routes: routes.iter().copied().chain([OTHER]).map(handles).collect(),
            tokens,
            commits,
            commit_seconds,
            deliveries,
            outbox,
        }
    }

    /// Adds a value that is read when it is asked for: a queue's length, open connections.
    pub fn watch(&self, name: &'static str, help: &'static str, read: impl Fn() -> i64 + Send + Sync + 'static) {
        let watched = Watched { name, help, read: Box::new(read) };
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).register_collector(Box::new(watched));
    }

    /// The route of a path.
    pub fn route(&self, path: &str) -> Route {
        let exact = |path: &str| self.exact.get(path).copied();
        // One implementation answers under every prefix, so one label stands for all.
        let in_family = || PREFIXES.iter().find_map(|prefix| exact(path.strip_prefix(prefix)?));
        let pattern = || self.patterns.iter().find(|(pattern, _)| matches(pattern, path)).map(|(_, at)| *at);
        Route(in_family().or_else(pattern).unwrap_or(self.routes.len() - 1))
    }

    /// The label of a route.
    pub fn name(&self, route: Route) -> &'static str {
        self.routes[route.0].name
    }

    /// A request was answered.
    pub fn request_answered(&self, route: Route, status: StatusCode, took: Duration) {
        let handles = &self.routes[route.0];
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        handles.classes[class].inc();
        handles.seconds.observe(took.as_secs_f64());
    }

    /// A request at the token endpoint was answered: by which grant; none for a refusal.
    pub fn token_answered(&self, grant: Option<&'static str>) {
        self.tokens.get_or_create(&GrantLabels { grant: grant.unwrap_or("refused") }).inc();
    }

    /// A transaction ended.
    pub fn committed(&self, name: &'static str, outcome: Committed, took: Duration) {
        let outcome = match outcome {
            Committed::Done => "done",
            Committed::Refused => "refused",
            Committed::Failed => "failed",
        };
        self.commits.get_or_create(&CommitLabels { name, outcome }).inc();
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// So many messages wait to be delivered.
    pub fn outbox_waiting(&self, messages: i64) {
        self.outbox.set(messages);
    }

    /// A message was handed over, or could not be.
    pub fn delivered(&self, channel: &'static str, done: bool) {
        let outcome = if done { "done" } else { "failed" };
        self.deliveries.get_or_create(&DeliveryLabels { channel, outcome }).inc();
    }

    /// Everything, as OpenMetrics text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(out)
    }
}

/// Whether a path has the form of a pattern; `{name}` stands for one segment, `{*rest}` for all that follow.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted.starts_with("{*") => return !found.is_empty(),
            (Some(wanted), Some(found)) if wanted.starts_with('{') => {
                if found.is_empty() {
                    return false;
                }
            }
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => return false,
        }
    }
}

struct Watched {
    name: &'static str,
    help: &'static str,
    read: Box<dyn Fn() -> i64 + Send + Sync>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Collector for Watched {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let gauge = ConstGauge::new((self.read)());
        gauge.encode(encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn requests_are_counted_by_route_and_class_and_strange_paths_together() {
        let metrics = Metrics::new(&["/token", "/v1.0/policies/{id}", "/files/{*rest}"]);
        let answer = |path: &str, status: StatusCode| {
            metrics.request_answered(metrics.route(path), status, Duration::from_millis(1));
        };
        answer("/oauth2/token", StatusCode::OK);
        answer("/oauth2/token", StatusCode::UNAUTHORIZED);
        answer("/v1.0/policies/7", StatusCode::OK);
        answer("/v1.0/policies/8", StatusCode::OK);
        answer("/v1.0/policies/", StatusCode::NOT_FOUND);
        answer("/v1.0/policies/8/x", StatusCode::NOT_FOUND);
        answer("/files/a/b", StatusCode::FOUND);
        answer("/<script>", StatusCode::NOT_FOUND);
        let text = metrics.encode().unwrap();
        for line in [
            r#"countersign_requests_total{route="/token",status="2xx"} 1"#,
            r#"countersign_requests_total{route="/token",status="4xx"} 1"#,
            r#"countersign_requests_total{route="/v1.0/policies/{id}",status="2xx"} 2"#,
            r#"countersign_requests_total{route="/files/{*rest}",status="3xx"} 1"#,
            r#"countersign_requests_total{route="other",status="4xx"} 3"#,
            r#"countersign_request_seconds_count{route="other"} 3"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("script"));
    }

    #[test]
    fn the_path_families_share_their_labels() {
        let metrics = Metrics::new(&["/token", "/v1.0/policies/{id}"]);
        for path in ["/token", "/oauth2/token", "/v1.0/endpoint/default/token", "/oidc/endpoint/default/token"] {
            assert_eq!(metrics.name(metrics.route(path)), "/token", "{path}");
        }
        for path in ["/oauth2", "/oauth2token", "/other/token", "/oauth2/oauth2/token", "/token/"] {
            assert_eq!(metrics.name(metrics.route(path)), "other", "{path}");
        }
        assert_eq!(metrics.name(metrics.route("/v1.0/policies/7")), "/v1.0/policies/{id}");
    }

    #[test]
    fn tokens_commits_messages_and_watched_values_are_told() {
        let metrics = Metrics::new(&[]);
        metrics.token_answered(Some("refresh_token"));
        metrics.token_answered(None);
        metrics.committed("rotate", Committed::Refused, Duration::from_millis(2));
        metrics.delivered("email", true);
        metrics.outbox_waiting(3);
        metrics.watch("hashing_waiting", "Passwords waiting to be verified", || 7);
        let text = metrics.encode().unwrap();
        for line in [
            r#"countersign_token_requests_total{grant="refresh_token"} 1"#,
            r#"countersign_token_requests_total{grant="refused"} 1"#,
            r#"countersign_commits_total{name="rotate",outcome="refused"} 1"#,
            "countersign_commit_seconds_count 1",
            r#"countersign_deliveries_total{channel="email",outcome="done"} 1"#,
            "countersign_hashing_waiting 7",
            "countersign_outbox_waiting 3",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
