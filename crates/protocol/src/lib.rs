//! The rules of OAuth 2, OpenID Connect and JOSE over plain records.
//!
//! Owns what a client may have and how the standards spell it. Does no I/O, reads no clock, draws no
//! random bytes, and does not know how a person signed in.

pub mod records;
