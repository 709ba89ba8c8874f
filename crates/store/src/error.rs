//! What can go wrong with a store: an expected no, or an outage whose cause is kept but never shown.

use std::error::Error;

/// The database could not do what was asked: it is away, full, broken or holds a row that cannot be read.
///
/// Opaque: the text names the occasion, the cause is in the source chain and may hold SQL. Log it, never answer with it.
#[derive(Debug, thiserror::Error)]
#[error("{occasion}")]
pub struct StoreError {
    occasion: &'static str,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    pub(crate) fn new(occasion: &'static str) -> Self {
        Self { occasion, source: None }
    }

    pub(crate) fn from(occasion: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { occasion, source: Some(source.into()) }
    }
}

/// Why a list of changes did not happen. In both cases none of them did.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// An expected no: the condition of the change at this position did not hold, or what it adds exists already.
    #[error("change {index} may not happen")]
    Refused {
        /// The position in the list.
        index: usize,
    },
    /// The database could not do it. Where the connection was lost while committing, it may have happened after all.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}
