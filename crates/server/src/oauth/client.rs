//! Client authentication (RFC 6749 §2.3, RFC 7523 §2.2): who is calling, proved by the client's registered method.
//!
//! Owns the comparison of secrets and the checks of client assertions. An unknown client, a disabled one and a
//! wrong secret cannot be told apart.

use std::sync::Arc;

use protocol::basic::Pair;
use protocol::client_auth::{AssertionRules, Presented, check_assertion};
use protocol::oauth_error::Rejection;
use protocol::records::{Client, ClientAuthMethod, ClientSecret};
use store::{Change, CommitError};
use subtle::ConstantTimeEq;

use super::refused::Refused;
use crate::app::App;
use crate::call::Call;
use crate::keys_of::keys_of_client;
use crate::secret::Secret;
use crate::tokens;

/// Proves who is calling.
///
/// # Errors
/// `invalid_client` for whatever does not prove it.
pub async fn authenticate(app: &App, call: &Call, presented: Presented) -> Result<Arc<Client>, Refused> {
    let client = match presented {
        Presented::Basic(pairs) => by_secret(app, call, pairs, ClientAuthMethod::ClientSecretBasic).await?,
        Presented::Post(pair) => by_secret(app, call, vec![pair], ClientAuthMethod::ClientSecretPost).await?,
        Presented::Assertion { client_id, jwt } => by_assertion(app, call, client_id, &jwt).await?,
        Presented::Public { id } => {
            let client = find(call, &id).ok_or_else(Rejection::invalid_client)?;
            if client.auth_method != ClientAuthMethod::None {
                return Err(Rejection::invalid_client().into());
            }
            client
        }
        Presented::Bearer { .. } | Presented::Nothing => return Err(Rejection::invalid_client().into()),
    };
    if !may_call_from(&client, call) {
        return Err(Rejection::invalid_client().into());
    }
    crate::audit::speaks(client.id.as_str());
    Ok(client)
}

/// The client of this id, if it is enabled.
pub fn find(call: &Call, id: &str) -> Option<Arc<Client>> {
    call.tenant.client(id).filter(|client| client.enabled).cloned()
}

/// Whether the client may call from where this call comes from (`ipFilters`).
pub fn may_call_from(client: &Client, call: &Call) -> bool {
    client.networks.is_empty()
        || client.networks.iter().any(|network| {
            network.parse::<ipnet::IpNet>().is_ok_and(|network| network.contains(&call.peer.to_canonical()))
        })
}

async fn by_secret(app: &App, call: &Call, pairs: Vec<Pair>, method: ClientAuthMethod) -> Result<Arc<Client>, Refused> {
    let mut worked = false;
    for pair in pairs {
        let Some(client) = find(call, &pair.id) else { continue };
        if client.auth_method != ClientAuthMethod::Default && client.auth_method != method {
            continue;
        }
        let now = app.world.now();
        for secret in &client.secrets {
            let right = match secret {
                ClientSecret::Generated { sha256, expires } => {
                    let sent = protocol::b64::encode_url(tokens::digest(&pair.secret).0);
                    expires.is_none_or(|end| now < end) && bool::from(sent.as_bytes().ct_eq(sha256.as_bytes()))
                }
                ClientSecret::Chosen { phc, expires } => {
                    worked = true;
                    let secret = Secret::new(pair.secret.to_string());
                    app.hashing.verify_client_secret(phc, secret).await? && expires.is_none_or(|end| now < end)
                }
            };
            if right {
                return Ok(client);
            }
        }
    }
    // The work a known client with a chosen secret costs is done for unknown ones too.
    if !worked {
        app.hashing.verify_stranger(Secret::new(String::from("no such client"))).await?;
    }
    Err(Rejection::invalid_client().into())
}

async fn by_assertion(app: &App, call: &Call, sent: Option<String>, jwt: &str) -> Result<Arc<Client>, Refused> {
    let refuse = || Refused::Rejected(Rejection::invalid_client());
    let peeked = protocol::jwt::peek(jwt).map_err(|_| refuse())?;
    let id = peeked.claim_text("iss").ok_or_else(refuse)?.to_owned();
    let client = find(call, &id).ok_or_else(refuse)?;
    if client.auth_method != ClientAuthMethod::PrivateKeyJwt {
        return Err(refuse());
    }
    // The algorithm it registered, where it registered one, is the only one (OpenID Connect Registration §2).
    if client.token_endpoint_auth_signing_alg.as_ref().is_some_and(|alg| alg.parse() != Ok(peeked.alg)) {
        return Err(refuse());
    }
    let keys = keys_of_client(app, &client, peeked.kid.as_deref()).await.map_err(|_| refuse())?;
    let claims =
        protocol::jwt::verify_peeked(peeked, keys.keys(), protocol::jwt::ASYMMETRIC).map_err(|_| refuse())?.claims;
    let audiences = accepted_audiences(call);
    let rules = AssertionRules {
        client_id: client.id.as_str(),
        sent_id: sent.as_deref(),
        audiences: &audiences,
        sole_audience: None,
        require_jti: client.validate_assertion_jti,
        now: app.world.now(),
        skew: client.assertion_skew,
    };
    let good = check_assertion(&claims, &rules).map_err(|_| refuse())?;
    if let Some(jti) = good.jti.filter(|_| client.validate_assertion_jti) {
        let spend = Change::Spend {
            key: format!("client-assertion:{}:{jti}", client.id),
            expires: good.expires + client.assertion_skew,
        };
        match app.commit(&call.tenant.tenant.id, "client assertion", vec![spend]).await {
            Ok(()) => {}
            Err(CommitError::Refused { .. }) => return Err(refuse()),
            Err(CommitError::Unavailable(error)) => return Err(error.into()),
        }
    }
    Ok(client)
}

/// What a client assertion may name as its audience: the issuer or token URL of any path family (vendor page §0.2), under any host the tenant owns.
pub fn accepted_audiences(call: &Call) -> Vec<String> {
    call.tenant.tenant.urls.iter().flat_map(|base| protocol::discovery::accepted_audiences(base)).collect()
}
