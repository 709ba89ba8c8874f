//! The grant table: each grant type of the token endpoint, one file each.

use protocol::records::Client;

use super::refused::Refused;
use super::token::{Answer, TokenRequest};

mod client_credentials;
mod jwt_bearer;
mod policyauth;
mod refresh_token;
mod resume;

pub use resume::{amr, entitled};

/// A grant type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A sign-in driven by policy, factor by factor (the vendor's context-based authorization).
    Policyauth,
    /// A JWT in exchange for tokens: a factor assertion of ours, or one of a trusted issuer (RFC 7523).
    JwtBearer,
    /// The client for itself (RFC 6749 §4.4).
    ClientCredentials,
    /// A refresh (RFC 6749 §6).
    RefreshToken,
}

impl Grant {
    /// Every grant, in the order metadata lists them.
    pub const ALL: [Self; 4] = [Self::Policyauth, Self::JwtBearer, Self::ClientCredentials, Self::RefreshToken];

    /// The value of `grant_type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Policyauth => "policyauth",
            Self::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
        }
    }

    /// The grant with this `grant_type`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.name() == name)
    }

    /// Whether the client may use it. A factor assertion may be presented by whoever may begin its flow.
    pub fn allowed_to(self, client: &Client) -> bool {
        let has = |grant: Self| client.grant_types.contains(grant.name());
        match self {
            Self::JwtBearer => has(Self::JwtBearer) || has(Self::Policyauth) || has(Self::RefreshToken),
            Self::Policyauth | Self::ClientCredentials | Self::RefreshToken => has(self),
        }
    }
}

/// Runs a grant.
///
/// # Errors
/// Whatever that grant refuses.
pub async fn exchange(grant: Grant, request: &TokenRequest<'_>) -> Result<Answer, Refused> {
    match grant {
        Grant::ClientCredentials => client_credentials::exchange(request).await,
        // Boxed: their state is ten times that of the one above, and every request would carry it along.
        Grant::Policyauth => Box::pin(policyauth::exchange(request)).await,
        Grant::JwtBearer => Box::pin(jwt_bearer::exchange(request)).await,
        Grant::RefreshToken => Box::pin(refresh_token::exchange(request)).await,
    }
}
