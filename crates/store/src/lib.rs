//! The records of Countersign, in SQLite or PostgreSQL behind one type, [`Store`].
//!
//! Owns the schema, the SQL and durability. Knows no rule: what a change means is decided by its caller and
//! stated as a [`Change`] with the condition under which it may happen.

mod audit;
mod backup;
mod change;
mod config;
mod directory;
mod error;
mod item;
mod migrate;
mod op;
mod outbox;
mod people;
mod postgres;
mod read;
mod sqlite;
mod store;
mod sweep;
mod value;
mod write;

pub use audit::cursor::AuditCursor;
pub use audit::{AuditAnchor, AuditEntry, AuditSeal};
pub use backup::{BackupError, Restoring, copy_sqlite};
pub use change::{Attempts, Challenge, Change, DecisionRow, Mail, OutboxItem, SignInRow};
pub use config::StoreConfig;
pub use directory::{DirectoryChange, DirectoryRows, TenantRows};
pub use error::{CommitError, StoreError};
pub use item::Item;
pub use people::{GroupRow, Member};
pub use store::Store;
