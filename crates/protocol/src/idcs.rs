//! Owns what the Oracle door says where nothing but text is concerned: which app role opens what, which scopes stand for them, and
//! the formats in which a browser is handed to a custom sign-in page and comes back (Oracle page §1.2, §4.7, §6.3).
//!
//! Signs nothing, looks nobody up, and does not know how a person signed in.

pub mod handover;
pub mod multipart;
pub mod roles;
pub mod scopes;
