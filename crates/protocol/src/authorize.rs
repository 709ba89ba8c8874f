//! Owns authorization requests (OpenID Connect Core §3, RFC 6749 §4.1.1, §4.2.1): reading one, judging it against its client, and
//! writing the answer. A request is judged in two steps, so that no error can go to an address that is not trusted:
//!
//! 1. [`client_id_of`] and [`identify`] say where the answer goes, or that it goes nowhere ([`PageError`]);
//! 2. [`judge`] says what is asked for, or what is wrong ([`RedirectError`]).
//!
//! A request object is merged in between, see [`request_object`](crate::request_object). Does not know who is signed in, whether a
//! person agrees, or how codes and tokens are made.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::claims_request::{AcrDemand, ClaimsRequest};
use crate::pkce::Challenge;
use crate::records::{ClientId, Seconds};

mod answer;
mod asked;
mod judge;
mod kind;
mod target;

pub use answer::{AccessToken, Answer, Delivery, Issued, RedirectError};
pub(crate) use answer::{append, drop_parameters};
pub use asked::{Display, Freshness, LoginHint, Prompt};
pub use judge::{Came, judge};
pub use kind::{ResponseMode, ResponseType};
pub use target::{LIMITS, PageError, Target, client_id_of, identify, read};

/// An authorization request that was judged. It is stored while the person signs in, and pushed requests are kept as one.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// The client.
    pub client_id: ClientId,
    /// Where and how the answer goes, with `state`.
    pub target: Target,
    /// `response_type`.
    pub response_type: ResponseType,
    /// `scope` as asked; what is given is [`scope::grant_at_authorization`](crate::scope::grant_at_authorization)'s to say.
    pub scope: Vec<String>,
    /// `nonce`, unchanged.
    pub nonce: Option<String>,
    /// `prompt`.
    pub prompt: BTreeSet<Prompt>,
    /// `max_age`, or the client's default.
    pub max_age: Option<Seconds>,
    /// `login_hint`.
    pub login_hint: Option<LoginHint>,
    /// `id_token_hint`, not verified yet.
    pub id_token_hint: Option<String>,
    /// What is asked for by `acr_values`, `claims` or the client's default.
    pub acr: Option<AcrDemand>,
    /// `claims`.
    pub claims: ClaimsRequest,
    /// `ui_locales`, best first.
    pub ui_locales: Vec<String>,
    /// `claims_locales`, best first.
    pub claims_locales: Vec<String>,
    /// `display`.
    pub display: Option<Display>,
    /// The proof key, to be kept with the code.
    pub challenge: Option<Challenge>,
    /// `resource` (RFC 8707).
    pub resource: Vec<String>,
    /// `authorization_details` (RFC 9396).
    pub authorization_details: Option<Value>,
}

impl AuthorizationRequest {
    /// Whether it is one of OpenID Connect: without the scope `openid` there is no ID token.
    pub fn is_openid(&self) -> bool {
        self.scope.iter().any(|scope| scope == "openid")
    }

    /// Whether `prompt` has this word.
    pub fn asks(&self, prompt: Prompt) -> bool {
        self.prompt.contains(&prompt)
    }

    /// How fresh the authentication of an existing session must be.
    pub fn freshness(&self) -> Freshness {
        match self.max_age {
            _ if self.asks(Prompt::Login) => Freshness::New,
            // Zero is a second name of `prompt=login` (OpenID Connect Core §3.1.2.1).
            Some(0) => Freshness::New,
            Some(age) => Freshness::Within(age),
            None => Freshness::Any,
        }
    }

    /// Whether the ID token must say `auth_time` (OpenID Connect Core §2), beside a client that always wants it.
    pub fn wants_auth_time(&self) -> bool {
        self.max_age.is_some() || self.claims.wants_auth_time()
    }
}

impl fmt::Debug for AuthorizationRequest {
    // Hints name people, `nonce` and `state` are the client's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("client_id", &self.client_id)
            .field("target", &self.target)
            .field("response_type", &self.response_type)
            .field("scope", &self.scope)
            .field("prompt", &self.prompt)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "authorize/tests.rs"]
mod tests;
