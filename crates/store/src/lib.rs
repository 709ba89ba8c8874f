//! The records of Countersign, in SQLite or PostgreSQL behind one type, [`Store`].
//!
//! Owns the schema, the SQL and durability. Knows no rule: what a change means is decided by its caller and
//! stated as a [`Change`] with the condition under which it may happen.

mod change;

pub use change::{Attempts, Change, Challenge, Mail, OutboxItem, SignInRow};
