//! The public keys of others: a client's or a trusted issuer's, by value or by URL.

use std::sync::Arc;

use protocol::jwk::JwkSet;
use protocol::records::{Client, ClientKeys, TrustedIssuer};
use serde_json::Value;

use crate::app::App;

/// Why there are no keys. Never shown: whoever presented the JWT learns only that it cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum NoKeys {
    /// None are registered.
    #[error("no keys are registered")]
    None,
    /// What is registered or was fetched is no JWK Set.
    #[error("the keys are no JWK set")]
    Malformed,
    /// They could not be fetched.
    #[error("the keys could not be fetched")]
    Unreachable,
}

/// The keys of a client. `kid` is the name of the one that is wanted, where one is: a set that does not know it is fetched anew.
///
/// # Errors
/// There are none, or they cannot be had.
pub async fn keys_of_client(app: &App, client: &Client, kid: Option<&str>) -> Result<Arc<JwkSet>, NoKeys> {
    keys(app, &client.keys, kid).await
}

/// The keys a trusted issuer signs with.
///
/// # Errors
/// There are none, or they cannot be had.
pub async fn keys_of_issuer(app: &App, issuer: &TrustedIssuer, kid: Option<&str>) -> Result<Arc<JwkSet>, NoKeys> {
    keys(app, &issuer.keys, kid).await
}

async fn keys(app: &App, keys: &ClientKeys, kid: Option<&str>) -> Result<Arc<JwkSet>, NoKeys> {
    match keys {
        ClientKeys::Jwks(document) => parse(document),
        ClientKeys::JwksUri(url) => app.outbound.key_set(&app.world, url, kid).await,
        ClientKeys::None => Err(NoKeys::None),
    }
}

/// Reads a JWK Set.
///
/// # Errors
/// It is none.
pub fn parse(document: &Value) -> Result<Arc<JwkSet>, NoKeys> {
    JwkSet::parse(document).map(Arc::new).map_err(|_| NoKeys::Malformed)
}
