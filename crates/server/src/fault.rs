//! A fault: a bug or an outage. Opaque to callers, with its cause for the log.
//!
//! Owns the one place where faults are logged. Never holds a message that a stranger may see.

use std::error::Error;

use crate::directory::DirectoryError;
use crate::listen::RequestId;

/// A bug or an outage.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Fault {
    what: &'static str,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
    /// The database is not there: worth trying again soon.
    pub unavailable: bool,
}

impl Fault {
    /// Something the server's own code should never meet, with its cause.
    pub fn internal(what: &'static str, source: impl Error + Send + Sync + 'static) -> Self {
        Self { what, source: Some(Box::new(source)), unavailable: false }
    }

    /// What is stored does not make sense.
    pub fn stored(what: &'static str) -> Self {
        Self { what, source: None, unavailable: false }
    }

    /// Others always were first: worth trying again soon.
    pub fn crowded(what: &'static str) -> Self {
        Self { what, source: None, unavailable: true }
    }

    /// Logs the fault with its whole chain; called once, where it is turned into an answer.
    pub fn log(&self) {
        let mut chain = String::new();
        let mut next: Option<&(dyn Error + 'static)> = self.source.as_deref().map(|source| source as _);
        while let Some(error) = next {
            if !chain.is_empty() {
                chain.push_str(": ");
            }
            chain.push_str(&error.to_string());
            next = error.source();
        }
        // The name its answer carries in `X-Request-Id`.
        let request = crate::listen::current_request();
        tracing::error!(request = request.as_ref().map(RequestId::as_str), what = self.what, cause = chain, "fault");
    }
}

impl From<store::StoreError> for Fault {
    fn from(error: store::StoreError) -> Self {
        Self { what: "the store failed", source: Some(Box::new(error)), unavailable: true }
    }
}

impl From<DirectoryError> for Fault {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Store(error) => error.into(),
            DirectoryError::Keys { .. } | DirectoryError::Policy { .. } => Self::internal("the directory", error),
        }
    }
}

impl From<crate::keys::KeyError> for Fault {
    fn from(error: crate::keys::KeyError) -> Self {
        Self::internal("a key", error)
    }
}
