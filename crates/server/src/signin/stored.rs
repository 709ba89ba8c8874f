//! The stored form of a sign-in: the engine's state and, beside it, what to do after success.

use engine::SignIn;
use engine::policy::DecisionRecord;
use protocol::records::Seconds;
use serde::{Deserialize, Serialize};

use super::context::Context;

/// Decision records kept with one sign-in; the oldest go first.
const MAX_DECISIONS: usize = 16;

/// What the row of a sign-in holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stored {
    /// Where it stands.
    pub state: SignIn,
    /// What to do after success.
    pub resume: Resume,
    /// What policy decided so far, oldest first.
    #[serde(default)]
    pub decisions: Vec<DecisionRecord>,
    /// Where its wrong answers count besides: the person's place in the network, hashed; none where only the client's is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

impl Stored {
    /// Keeps one more decision.
    pub fn decided(&mut self, record: DecisionRecord) {
        if self.decisions.len() >= MAX_DECISIONS {
            self.decisions.remove(0);
        }
        self.decisions.push(record);
    }
}

/// What a sign-in is for: what was asked for when it began.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Resume {
    /// The `grant_type` that began the grant.
    pub grant_type: String,
    /// Scopes asked for, in order.
    pub scope: Vec<String>,
    /// Resources asked for (RFC 8707).
    pub resource: Vec<String>,
    /// `authorization_details` as given (RFC 9396).
    pub authorization_details: Option<serde_json::Value>,
    /// The context it began with.
    pub context: Option<Context>,
    /// The issuer named in its tokens.
    pub issuer: String,
    /// When the grant began.
    pub began: Seconds,
    /// Tokens were issued for this grant before: the outcome renews it.
    pub renews: bool,
    /// Its door can have people enrol a factor in the middle of a sign-in.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub enrols: bool,
    /// What binds the outcome of an exchange of tokens (RFC 8693).
    pub exchange: Option<Exchange>,
    /// The session it comes of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<OfSession>,
}

/// The session that a grant comes of, and ends with where it is not to outlive it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfSession {
    /// Its public id.
    pub id: String,
    /// When it ends.
    pub ends: Seconds,
}

/// What an exchange of tokens binds its outcome to, whatever is proved before it ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// Who acts for the person (`act`).
    pub act: Option<serde_json::Value>,
    /// When the token ends that was exchanged.
    pub not_after: Seconds,
    /// The kind of token asked for.
    pub wanted: Wanted,
}

/// The kind of token an exchange was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// An access token in the client's own form.
    AccessToken,
    /// An access token that is a JWT.
    Jwt,
    /// An ID token.
    IdToken,
}
