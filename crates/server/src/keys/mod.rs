//! Keys. The only code of the server that signs tokens or seals data: the master key and what is sealed under it
//! ([`MasterKey`]), a tenant's signing and decryption keys ([`KeyRing`]), and when they are replaced ([`rotate`]).
//!
//! Does not store keys, does not decide what a token says, and does not judge times in claims.

mod certificate;
mod decryption;
mod ring;
mod rotation;
mod sealing;
mod signer;

pub use decryption::{generate_decryption, import_decryption, rotate_decryption};
pub use ring::{Jwks, KeyRing, Sign};
pub use rotation::{Overlap, Rotation, generate, import, missing, rotate};
pub use sealing::MasterKey;
pub use signer::Typ;

/// The `kid` of a tenant's first RS256 key: the dialect's own name for the key its factor assertions are signed with.
pub const FIRST_RS256_KID: &str = "server";

/// The `kid` that every token of Oracle's dialect names: its clients look for this word and for no other (Oracle page §4.6).
pub const ORACLE_KID: &str = "SIGNING_KEY";

/// A fault of the key material. None of them is the fault of a caller.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The master key cannot be read.
    #[error("the master key in `{path}` cannot be read")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The master key has the wrong form.
    #[error("the master key is not 32 bytes, 64 hexadecimal digits or base64 of 32 bytes")]
    Form,
    /// The record was sealed under another master key, or for another tenant or name, or was altered.
    #[error("signing key `{kid}` does not open under this master key")]
    Sealed {
        /// Its `kid`.
        kid: String,
    },
    /// What was sealed is no key of the algorithm the record names.
    #[error("signing key `{kid}` is not a private key for its algorithm")]
    Malformed {
        /// Its `kid`.
        kid: String,
    },
    /// No key that signs with this algorithm is in force.
    #[error("no signing key for `{0}` is in force")]
    NoKey(&'static str),
    /// The cryptographic library failed to make a key or a signature.
    #[error("the cryptographic library failed")]
    Library,
    /// The claims cannot be written as JSON.
    #[error("the claims cannot be serialised")]
    Claims(#[source] serde_json::Error),
}
