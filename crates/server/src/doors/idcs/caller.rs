//! Who calls the door: a client by its own token or for a person, and which application roles the token opens (reference §1.2).

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::idcs::roles::{AppRole, Holder};
use protocol::records::{Client, GrantId, Seconds, Token, TokenDetail, User};

use crate::app::App;
use crate::call::Call;
use crate::fault::Fault;
use crate::hashing::Busy;
use crate::oauth::bearer::{self, Bearer};
use crate::oauth::oracle;
use crate::oauth::refused::Refused;

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The client.
    pub client: Arc<Client>,
    /// What its token says.
    pub token: Box<Token>,
    /// The person behind it, if any.
    pub user: Option<Box<User>>,
    /// The roles the token was given and the client still has.
    pub roles: BTreeSet<AppRole>,
}

/// Why a caller is not heard. Each endpoint has its own way to say so.
#[derive(Debug)]
pub enum Denied {
    /// No token, or one that is not good any more.
    DeadToken,
    /// A good token without the role that is needed.
    MissingRole,
    /// Too much to do.
    Busy(Busy),
    /// The server's own failure.
    Fault(Fault),
}

impl From<Refused> for Denied {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Fault(fault) => Self::Fault(fault),
            Refused::Busy(busy) => Self::Busy(busy),
            Refused::Rejected(_) | Refused::At { .. } | Refused::Denied { .. } => Self::DeadToken,
        }
    }
}

impl Caller {
    /// The holder of the bearer token of a request.
    ///
    /// # Errors
    /// There is none, it is dead, or the store failed.
    pub async fn of(app: &App, call: &Call) -> Result<Self, Denied> {
        Self::with_token(app, call, call.bearer().ok_or(Denied::DeadToken)?).await
    }

    /// The holder of a token that came in another place.
    ///
    /// # Errors
    /// It is dead, or the store failed.
    pub async fn with_token(app: &App, call: &Call, token: &str) -> Result<Self, Denied> {
        let Bearer { client, token, user } = bearer::find(app, call, token).await?.ok_or(Denied::DeadToken)?;
        // A role that was taken from the client opens nothing any more, whatever its tokens say; nor one that is only for
        // administrators, once the person is none.
        let holder = user.as_deref().map_or(Holder::Client, |user| oracle::holder(&call.tenant, user));
        let roles = token
            .detail
            .scope
            .split_ascii_whitespace()
            .filter_map(AppRole::of_scope)
            .filter(|role| *role == AppRole::AuthenticatedClient || client.app_roles.contains(role))
            .filter(|role| holder.may_bear(*role))
            .collect();
        Ok(Self { client, token, user, roles })
    }

    /// The client of a state that a browser brought by itself: it has shown no token, and holds no role.
    pub fn of_state(client: Arc<Client>) -> Self {
        let token = Token {
            client: client.id.clone(),
            grant: protocol::records::GrantId(String::new()),
            subject: None,
            issued: 0,
            expires: 0,
            detail: protocol::records::TokenDetail::default(),
        };
        Self { client, token: Box::new(token), user: None, roles: BTreeSet::new() }
    }

    /// A client on whose behalf a browser goes on with a dialogue: it holds no token, and no role.
    pub fn itself(client: Arc<Client>, now: Seconds) -> Self {
        let token = Token {
            client: client.id.clone(),
            grant: GrantId(String::new()),
            subject: None,
            issued: now,
            expires: now,
            detail: TokenDetail::default(),
        };
        Self { client, token: Box::new(token), user: None, roles: BTreeSet::new() }
    }

    /// Whether the token opens what one of these roles opens. An administrator's opens everything.
    pub fn holds(&self, any: &[AppRole]) -> bool {
        self.roles.contains(&AppRole::IdentityDomainAdministrator) || any.iter().any(|role| self.roles.contains(role))
    }

    /// The same, as a demand.
    ///
    /// # Errors
    /// It does not.
    pub fn demand(&self, any: &[AppRole]) -> Result<(), Denied> {
        if self.holds(any) { Ok(()) } else { Err(Denied::MissingRole) }
    }

    /// The person of a user token that holds this role.
    ///
    /// # Errors
    /// The token lacks the role, or is a client's own.
    pub fn person(&self, role: AppRole) -> Result<&User, Denied> {
        self.demand(&[role])?;
        self.user.as_deref().ok_or(Denied::MissingRole)
    }
}
