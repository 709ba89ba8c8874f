//! The grant table: each grant type of the token endpoint, one file each.

use protocol::records::Client;

use super::refused::Refused;
use super::token::{Answer, TokenRequest};

mod authorization_code;
mod client_credentials;
mod device_code;
mod jwt_bearer;
mod known;
mod outside;
mod password;
mod policyauth;
mod presented;
mod refresh_token;
mod resume;
mod sealed;
mod token_exchange;

pub use resume::entitled;

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
    /// A login name and a password (RFC 6749 §4.3).
    Password,
    /// What a person approved elsewhere (RFC 8628).
    DeviceCode,
    /// A token for another (RFC 8693).
    TokenExchange,
    /// What a person allowed in the browser (RFC 6749 §4.1).
    AuthorizationCode,
}

impl Grant {
    /// Every grant, in the order metadata lists them.
    pub const ALL: [Self; 8] = [
        Self::Policyauth,
        Self::JwtBearer,
        Self::ClientCredentials,
        Self::RefreshToken,
        Self::Password,
        Self::DeviceCode,
        Self::TokenExchange,
        Self::AuthorizationCode,
    ];

    /// The value of `grant_type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Policyauth => "policyauth",
            Self::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
            Self::Password => "password",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
            Self::AuthorizationCode => "authorization_code",
        }
    }

    /// The grant with this `grant_type`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.name() == name)
    }

    /// Whether the client may use it. A factor assertion may be presented by whoever may begin a grant that asks for factors.
    pub fn allowed_to(self, client: &Client) -> bool {
        let has = |grant: Self| client.grant_types.contains(grant.name());
        match self {
            Self::JwtBearer => {
                let asking = [Self::Policyauth, Self::RefreshToken, Self::Password, Self::TokenExchange];
                has(self) || asking.into_iter().any(has)
            }
            Self::Policyauth
            | Self::ClientCredentials
            | Self::RefreshToken
            | Self::Password
            | Self::DeviceCode
            | Self::TokenExchange
            | Self::AuthorizationCode => has(self),
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
        Grant::Password => Box::pin(password::exchange(request)).await,
        Grant::DeviceCode => Box::pin(device_code::exchange(request)).await,
        Grant::AuthorizationCode => Box::pin(authorization_code::exchange(request)).await,
        Grant::TokenExchange => Box::pin(token_exchange::exchange(request)).await,
    }
}
