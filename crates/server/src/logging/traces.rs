//! Traces to an OpenTelemetry collector (OTLP over HTTP, protobuf). Owns how spans leave the process, on a thread of
//! their own in batches; which spans there are is said where they happen.

use std::io::IsTerminal as _;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::{LoggingError, SPANS, Traces};
use crate::config::{Log, LogFormat};

/// How long a collector may take for one batch, and what is left at the end of the process may take to leave.
const PATIENCE: Duration = Duration::from_secs(5);

/// What logs and sends spans. Each is let through by a filter of its own: the level of the log does not touch traces.
pub(super) fn subscriber<W>(
    log: &Log,
    endpoint: &str,
    writer: W,
) -> Result<(Box<dyn Subscriber + Send + Sync>, Traces), LoggingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let provider = provider(endpoint)?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("countersign"))
        // Where in the source, on which thread, how long idle: nobody asked, and each costs.
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(SPANS, LevelFilter::TRACE));
    let registry = tracing_subscriber::registry().with(spans);
    let level = EnvFilter::try_new(&log.level)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let subscriber: Box<dyn Subscriber + Send + Sync> = match log.format {
        LogFormat::Text => {
            Box::new(registry.with(lines.with_ansi(std::io::stderr().is_terminal()).compact().with_filter(level)))
        }
        LogFormat::Json => {
            Box::new(registry.with(lines.json().flatten_event(true).with_current_span(false).with_filter(level)))
        }
    };
    Ok((subscriber, Traces { provider: Some(provider) }))
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, LoggingError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client()?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error| LoggingError::Traces(error.into()))?;
    let resource = Resource::builder().with_service_name("countersign").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// A client that goes straight to the collector. It holds a runtime of its own, which must not begin inside another.
fn client() -> Result<reqwest::blocking::Client, LoggingError> {
    let build = || {
        reqwest::blocking::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
    };
    let built = std::thread::spawn(build).join().map_err(|_| LoggingError::Traces("the client cannot begin".into()))?;
    built.map_err(|error| LoggingError::Traces(error.into()))
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take()
            && let Err(error) = provider.shutdown_with_timeout(PATIENCE)
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}
