//! Where the records are kept.

use std::path::PathBuf;

/// Which database, and where.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// A file of our own; made, with its directory's permission, if it is not there.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A server. Any database that speaks its protocol and dialect will do as long as it is serialisable or better
    /// than read-committed.
    Postgres {
        /// A connection URL or a list of `key=value` words; holds the password, so it is never shown.
        url: String,
        /// Connections held at most.
        pool: usize,
        /// Certificates (PEM) to trust in place of the system's.
        tls_ca: Option<PathBuf>,
    },
}

impl std::fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite { path } => f.debug_struct("Sqlite").field("path", path).finish(),
            Self::Postgres { pool, tls_ca, .. } => {
                f.debug_struct("Postgres").field("url", &"…").field("pool", pool).field("tls_ca", tls_ca).finish()
            }
        }
    }
}
