//! Who holds an access token: its client, and the person it was issued for. Shared by every API that such tokens open.
//!
//! Knows which tokens are alive, not what they may do where: each API names the entitlements it demands.

use std::sync::Arc;

use protocol::records::{Client, Token, User};

use super::introspect;
use super::refused::Refused;
use crate::app::App;
use crate::call::Call;

/// A living access token with its holder.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// The client it was issued to.
    pub client: Arc<Client>,
    /// What it says.
    pub token: Box<Token>,
    /// The person behind it, if any.
    pub user: Option<Box<User>>,
}

impl Bearer {
    /// Whether the token holds one of these entitlements.
    pub fn holds(&self, any: &[&str]) -> bool {
        any.iter().any(|one| self.client.entitlements.contains(*one))
    }

    /// Whether the client came by its own token: who signs in through an application does not thereby govern the tenant.
    pub fn is_client_alone(&self) -> bool {
        self.token.subject.is_none()
    }
}

/// The holder of a living access token of the tenant called.
///
/// # Errors
/// The store failed.
pub async fn find(app: &App, call: &Call, token: &str) -> Result<Option<Bearer>, Refused> {
    if token.len() > crate::tokens::LONGEST {
        return Ok(None);
    }
    let Some((token, user)) = introspect::access(app, call, token).await? else { return Ok(None) };
    let client = call.tenant.clients.get(&token.client).cloned();
    if let Some(client) = &client {
        crate::audit::speaks(client.id.as_str());
    }
    Ok(client.map(|client| Bearer { client, token: Box::new(token), user: user.map(Box::new) }))
}
