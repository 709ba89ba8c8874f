//! The plain records everything else speaks of: who the tenants, people and clients are, and what was issued.
//!
//! They derive `Serialize` for their *stored* form only; no door sends one of them over the wire.

use serde::{Deserialize, Serialize};

mod audit;
mod carried;
mod client;
mod grant;
mod oracle;
mod people;
mod self_service;
mod tenant;

pub use audit::*;
pub use carried::Carried;
pub use client::*;
pub use grant::*;
pub use oracle::*;
pub use people::*;
pub use self_service::*;
pub use tenant::*;

/// Seconds since 1970-01-01T00:00:00Z. The only measure of time in records, rules and rows.
pub type Seconds = i64;

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The identifier as text, as it is stored and sent.
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&self.0) }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self { Self(text.to_owned()) }
        }

        // Sound because the derived `Hash`, `Eq` and `Ord` are those of the text: a map is asked without a copy.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str { &self.0 }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self { Self(text) }
        }
    )*};
}

text_id! {
    /// A tenant: a short lower-case slug such as `demo`, never shown to end users.
    TenantId,
    /// A person: upper-case letters and digits, normally ten (`6040003OH8`).
    UserId,
    /// A group of people.
    GroupId,
    /// An identity source (a directory of people), a lower-case UUID.
    SourceId,
    /// An OAuth client (`client_id`, RFC 6749 §2.2).
    ClientId,
    /// An enrolled factor of one person, a lower-case UUID.
    EnrolmentId,
    /// A WebAuthn relying party, a lower-case UUID (not its `rpId`).
    RelyingPartyId,
    /// What `grant_id` names: a sign-in and the authorization that came of it, a lower-case UUID.
    GrantId,
    /// One challenge sent to a person (a mailed code, WebAuthn options), a lower-case UUID.
    ChallengeId,
}

/// SHA-256 of a token, code or handle: the only form in which one is ever stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(…)")
    }
}
