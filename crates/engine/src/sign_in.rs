//! The stored thing: one attempt to prove who someone is, and where it stands.

use serde::{Deserialize, Serialize};

use crate::policy::{Contact, Demand};
use crate::{FactorKind, Level};

/// Seconds since 1970-01-01T00:00:00Z; always handed in.
pub type Timestamp = i64;

/// One attempt to prove who someone is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignIn {
    /// The policy it began with and keeps; none where no policy applies.
    pub policy: Option<PolicyRef>,
    /// When it can no longer go on.
    pub expires: Timestamp,
    /// Who it is, fixed by the first proof that counted.
    pub subject: Option<String>,
    /// Factors proved, in order; those of earlier runs of the same grant first.
    pub proofs: Vec<Proof>,
    /// Wrong answers given in this sign-in. Never goes down.
    pub failures: u32,
    /// The level to be reached, besides whatever policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Level>,
    /// The person was offered to enrol a factor, and declined.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub declined: bool,
    /// Where it stands.
    pub stage: Stage,
}

/// The revision of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRef {
    /// The policy.
    pub id: i64,
    /// The revision.
    pub revision: i64,
}

/// A factor completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What was proved.
    pub kind: FactorKind,
    /// When.
    pub at: Timestamp,
    /// With which enrolment, where there is one.
    pub enrolment: Option<String>,
    /// Whether the authenticator verified the person (fingerprint, PIN), not only a touch.
    pub user_verified: bool,
    /// Proved in the run of the flow now going on, not in an earlier one of the same grant.
    pub this_run: bool,
    /// The proof that fixed who it is.
    pub first: bool,
    /// What the other identity provider said, where the proof is a sign-in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Box<Upstream>>,
}

/// What another identity provider said of a sign-in: nothing here is proved to us, and policy may look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upstream {
    /// Which provider.
    pub provider: String,
    /// How the person signed in there (RFC 8176).
    pub amr: Vec<String>,
    /// The level it calls that.
    pub acr: Option<String>,
}

/// Where a sign-in stands. Each stage holds only what is true there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// One of several factors may be tried; nothing is in flight.
    ExpectFactor(Open),
    /// A challenge is being made. Never stored: the challenge and the next stage are committed together.
    Issuing {
        /// What is open.
        open: Open,
        /// Challenges in flight besides.
        issued: Vec<Issued>,
        /// The factor being challenged.
        kind: FactorKind,
        /// The enrolment it goes to.
        enrolment: Option<String>,
    },
    /// Challenges are in flight; one of them, or another factor, may be answered.
    ExpectResponse {
        /// What is open.
        open: Open,
        /// Challenges in flight, the newest last.
        issued: Vec<Issued>,
    },
    /// An answer was charged for and is being judged. Stored before the secret is looked at.
    Checking {
        /// What is open.
        open: Open,
        /// Challenges in flight.
        issued: Vec<Issued>,
        /// The factor being judged.
        kind: FactorKind,
        /// The enrolment it is judged against.
        enrolment: Option<String>,
        /// The challenge it answers.
        challenge: Option<String>,
        /// The person it is judged for; none is a stranger, who can only fail.
        subject: Option<String>,
    },
    /// A factor was proved; its receipt must come back before anything follows from it.
    Proven {
        /// What was open, and is again if another answer is tried first.
        open: Open,
        /// The proof.
        proof: Proof,
        /// Who proved it.
        subject: String,
        /// What must be presented to go on, once.
        receipt: String,
    },
    /// The person has nothing to meet the first demand with, and may enrol it.
    ExpectEnrolment {
        /// What is open.
        open: Open,
        /// One of the factors demanded was enrolled and proved since: nothing keeps the sign-in from going on.
        met: bool,
    },
    /// Everything policy asked for is proved. May be redeemed once.
    Ready,
    /// Over.
    Closed(Closure),
}

/// What may be proved next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Whether somebody is known already.
    pub contact: Contact,
    /// Demands not yet satisfied; the first is the one being worked on. Never empty.
    pub demands: Vec<Demand>,
}

impl Open {
    /// The kinds that may be tried now, in order.
    pub fn any_of(&self) -> &[FactorKind] {
        self.demands.first().map_or(&[], |demand| &demand.any_of)
    }
}

/// A challenge in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// Its identifier.
    pub challenge: String,
    /// The factor it belongs to.
    pub kind: FactorKind,
    /// The enrolment it went to.
    pub enrolment: Option<String>,
}

/// How a sign-in ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closure {
    /// What it was for was handed out.
    Redeemed,
    /// It was refused.
    Refused(Refusal),
}

/// Why a sign-in is refused: what may be shown. The cause in detail is in the decision record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The access policy denies.
    DeniedByPolicy,
    /// The person may not use this application.
    NotEntitled,
    /// The level demanded cannot be reached with what the tenant offers.
    LevelOutOfReach,
    /// It rests on what was proved earlier, and policy wants the person to sign in anew.
    Reauthenticate,
    /// A factor must be enrolled first, and here it cannot be.
    MustEnrol,
}
