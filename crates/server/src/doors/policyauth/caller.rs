//! Who calls a factor API: a sign-in by its challenge token, or a client or person by an access token (vendor page §1.3, §1.4).

use std::sync::Arc;

use protocol::records::{Client, Token, User};

use super::refusal::Refusal;
use crate::app::App;
use crate::call::Call;
use crate::oauth::introspect;
use crate::signin::{Flow, SignIns};

/// Who calls.
#[derive(Debug)]
pub enum Caller {
    /// A sign-in in progress.
    SignIn(Box<Flow>),
    /// An access token and its entitlements.
    Token {
        /// The client it was issued to.
        client: Arc<Client>,
        /// What it says.
        token: Box<Token>,
        /// The person behind it, if any.
        user: Option<Box<User>>,
    },
}

/// Finds out who calls.
///
/// # Errors
/// There is no bearer token, or it is not valid any more.
pub async fn authenticate(app: &App, call: &Call) -> Result<Caller, Refusal> {
    let token = call.bearer().filter(|token| token.len() <= crate::tokens::LONGEST).ok_or(Refusal::BadToken)?;
    if let Some(flow) = (SignIns { app, tenant: &call.tenant }).by_handle(token).await? {
        if matches!(flow.stored.state.stage, engine::Stage::Closed(_)) {
            return Err(Refusal::BadToken);
        }
        return Ok(Caller::SignIn(Box::new(flow)));
    }
    let (token, user) = introspect::access(app, call, token).await?.ok_or(Refusal::BadToken)?;
    let client = call.tenant.clients.get(&token.client).cloned().ok_or(Refusal::BadToken)?;
    Ok(Caller::Token { client, token: Box::new(token), user: user.map(Box::new) })
}

impl Caller {
    /// The sign-in this call belongs to.
    ///
    /// # Errors
    /// The caller is none.
    pub fn sign_in(self) -> Result<Flow, Refusal> {
        match self {
            Self::SignIn(flow) => Ok(*flow),
            Self::Token { .. } => Err(Refusal::Forbidden),
        }
    }

    /// Whether somebody is known in the sign-in, or the token is a person's.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::SignIn(flow) => flow.stored.state.subject.as_deref(),
            Self::Token { token, .. } => token.subject.as_ref().map(|subject| subject.as_str()),
        }
    }

    /// Whether the token holds one of these entitlements. A challenge token holds `authnAnyUser` while nobody is known, and
    /// `authn` with `readEnrollMFAMethod` once somebody is.
    pub fn holds(&self, any: &[&str]) -> bool {
        match self {
            Self::SignIn(flow) => {
                let held: &[&str] = if flow.stored.state.subject.is_some() {
                    &["authn", "readEnrollMFAMethod"]
                } else {
                    &["authnAnyUser"]
                };
                any.iter().any(|one| held.contains(one))
            }
            Self::Token { client, .. } => any.iter().any(|one| client.entitlements.contains(*one)),
        }
    }

    /// Demands one of these entitlements.
    ///
    /// # Errors
    /// The token holds none of them.
    pub fn demand(&self, any: &[&str]) -> Result<(), Refusal> {
        if self.holds(any) { Ok(()) } else { Err(Refusal::Forbidden) }
    }
}
