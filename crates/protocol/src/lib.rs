//! The rules of OAuth 2, OpenID Connect and JOSE over plain records.
//!
//! Owns what a client may have and how the standards spell it. Does no I/O, reads no clock, draws no
//! random bytes, and does not know how a person signed in.

pub mod authorize;
pub mod b64;
pub mod basic;
pub mod claims;
pub mod claims_request;
pub mod client_auth;
pub mod discovery;
pub mod form;
pub mod hashes;
pub mod id_token_hint;
pub mod idcs;
pub mod json;
pub mod jwe;
pub mod jwk;
pub mod jwt;
pub mod logout;
pub mod oauth_error;
pub mod pairwise;
pub mod pkce;
pub mod records;
pub mod redirect;
pub mod registration;
pub mod relying;
pub mod request_object;
pub mod rotation;
pub mod scim;
pub mod scope;
pub mod search;
pub mod time;
pub mod time_claims;
