//! Who calls a factor API: a sign-in by its challenge token, or a client or person by an access token (vendor page §1.3, §1.4).

use std::sync::Arc;

use protocol::records::{Client, ClientId, Token, User, UserId};

use super::perform::Performer;
use super::refusal::Refusal;
use crate::app::App;
use crate::call::Call;
use crate::directory::OVER_ADMINISTRATORS;
use crate::oauth::bearer::{self, Bearer};
use crate::oauth::oracle::administers;
use crate::signin::{Asker, Flow, SignIns};

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

/// Whose things a caller may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only this person's.
    Own(UserId),
    /// Everybody's.
    Anyone,
}

impl Reach {
    /// Whether the things of this person are within reach.
    pub fn covers(&self, user: &UserId) -> bool {
        match self {
            Self::Own(own) => own == user,
            Self::Anyone => true,
        }
    }

    /// Whom a request is for: who it names, as far as within reach, or the person of the token.
    ///
    /// # Errors
    /// Somebody else is named, or nobody where somebody must be.
    pub fn of(&self, named: Option<&str>) -> Result<UserId, Refusal> {
        match (self, named) {
            (Self::Own(own), Some(named)) if own.as_str() != named => Err(Refusal::Forbidden),
            (Self::Own(own), _) => Ok(own.clone()),
            (Self::Anyone, Some(named)) if named.len() <= 64 => Ok(named.into()),
            (Self::Anyone, _) => Err(Refusal::Malformed("The member userId is required.")),
        }
    }
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
    let Bearer { client, token, user } = bearer::find(app, call, token).await?.ok_or(Refusal::BadToken)?;
    Ok(Caller::Token { client, token, user })
}

impl Caller {
    /// Who performs a factor with this token: the sign-in, or the client or person outside any. A person's token only ever
    /// performs that person's factors, whatever its client may do by itself.
    ///
    /// # Errors
    /// The token may not perform factors.
    pub fn performer(self) -> Result<Performer, Refusal> {
        self.demand(&["authnAnyUser", "authn"])?;
        match self {
            Self::SignIn(flow) => Ok(Performer::SignIn(flow)),
            Self::Token { client, token, .. } => {
                let any = client.entitlements.contains("authnAnyUser");
                if token.subject.is_none() && !any {
                    return Err(Refusal::Forbidden);
                }
                let asker = Asker { client: client.id.clone(), person: token.subject };
                Ok(Performer::Alone { asker, any, grant: token.grant })
            }
        }
    }

    /// Whose things the caller may reach with entitlements for its own and for everybody's. A person's token reaches that
    /// person's, a client's own token everybody's.
    ///
    /// # Errors
    /// The token holds none of them.
    pub fn reach(&self, own: &[&str], any: &[&str]) -> Result<Reach, Refusal> {
        match (self, self.subject()) {
            (_, Some(subject)) if self.holds(own) || self.holds(any) => Ok(Reach::Own(subject.into())),
            (Self::Token { .. }, None) if self.holds(any) => Ok(Reach::Anyone),
            (Self::Token { .. } | Self::SignIn(_), _) => Err(Refusal::Forbidden),
        }
    }

    /// Lets in only a client by its own token: who signs in through an application does not thereby govern the tenant.
    ///
    /// # Errors
    /// It is another caller, or holds none of the entitlements.
    pub fn client_alone(&self, any: &[&str]) -> Result<&ClientId, Refusal> {
        self.demand(any)?;
        match self {
            Self::Token { client, token, .. } if token.subject.is_none() => Ok(&client.id),
            Self::Token { .. } | Self::SignIn(_) => Err(Refusal::Forbidden),
        }
    }

    /// Refuses to set the password or the factors of an administrator for a client that may not make one: they are as good as the
    /// account. People and sign-ins reach nobody but themselves.
    ///
    /// # Errors
    /// The client may not.
    pub fn demand_over(&self, call: &Call, user: &User) -> Result<(), Refusal> {
        let is_own = self.subject().is_some();
        if is_own || self.holds(&OVER_ADMINISTRATORS) || !administers(&call.tenant, user) {
            return Ok(());
        }
        Err(Refusal::Forbidden)
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
