//! Log lines and traces: their form and what is let through. Owns the subscriber of the process; what is logged is said
//! where it happens, and never holds a secret.

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::config::{Log, LogFormat, Observe};

#[cfg(feature = "otel")]
mod traces;

/// The target of spans: one for a request, and one below it for each commit, hash and signature. They go into traces, and
/// not into the log.
pub const SPANS: &str = "countersign::span";

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The directives of the level are wrong.
    #[error("the log level is not understood")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// Something else logs for this process already.
    #[error("logging was started before")]
    Started(#[from] tracing::subscriber::SetGlobalDefaultError),
    /// Traces cannot be sent where they are to go.
    #[error("traces cannot be set up")]
    Traces(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What sends traces. Dropped at the end of the process, outside any runtime: what is left is sent then.
#[derive(Debug)]
#[must_use = "traces end when this is dropped"]
pub struct Traces {
    #[cfg(feature = "otel")]
    provider: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

/// Starts logging to standard error, so that standard output stays for what a command prints.
///
/// Records of the older `log` interface are not taken in: libraries write them with source paths of the machine they
/// were built on, and none of ours uses it.
///
/// # Errors
/// The level is not understood, something else logs already, or traces cannot be set up.
pub fn start(log: &Log, observe: &Observe) -> Result<Traces, LoggingError> {
    let (subscriber, traces) = observed(log, observe, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(traces)
}

/// What logs to `writer`, and sends traces where the configuration says so.
///
/// # Errors
/// The level is not understood, or traces cannot be set up.
pub fn observed<W>(
    log: &Log,
    observe: &Observe,
    writer: W,
) -> Result<(Box<dyn Subscriber + Send + Sync>, Traces), LoggingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    #[cfg(feature = "otel")]
    if let Some(endpoint) = &observe.otlp_endpoint {
        return traces::subscriber(log, endpoint, writer);
    }
    // The configuration takes no endpoint where the feature is missing.
    let _ = observe;
    let traces = Traces {
        #[cfg(feature = "otel")]
        provider: None,
    };
    Ok((subscriber(log, writer)?, traces))
}

/// What logs, writing wherever `writer` says.
///
/// # Errors
/// The level is not understood.
pub fn subscriber<W>(log: &Log, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, LoggingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(&log.level)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    Ok(match log.format {
        LogFormat::Text => Box::new(registry.with(lines.with_ansi(std::io::stderr().is_terminal()).compact())),
        LogFormat::Json => Box::new(registry.with(lines.json().flatten_event(true).with_current_span(false))),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(format: LogFormat, level: &str) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = Log { format, level: level.to_owned() };
        let subscriber = subscriber(&log, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(request = "0123", status = 401, "answered");
            tracing::debug!("detail");
        });
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_holds_the_fields_at_its_top() {
        let text = lines(LogFormat::Json, "info");
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(
            (&line["message"], &line["status"], &line["level"]),
            (&"answered".into(), &401.into(), &"INFO".into())
        );
    }

    #[test]
    fn the_level_decides_what_is_let_through() {
        assert_eq!(lines(LogFormat::Text, "debug").lines().count(), 2);
        assert_eq!(lines(LogFormat::Text, "info").lines().count(), 1);
        assert_eq!(lines(LogFormat::Text, "warn"), "");
        let wrong = Log { format: LogFormat::Text, level: "info,=x=".to_owned() };
        assert!(matches!(subscriber(&wrong, std::io::stderr), Err(LoggingError::Level(_))));
    }
}
