//! The access policy: ordered rules over facts, and the decision they lead to.
//!
//! Owns the typed model and its evaluation. Does not know any document form of a policy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::FactorKind;

mod combine;
mod condition;
mod decide;
mod network;
mod operator;

pub use combine::outstanding;
pub use condition::{AttributeTest, Condition, Finding, LOCAL, LocationPart, NetworkTest, ValueTest};
pub use decide::{ConditionTrace, Decision, DecisionRecord, RuleTrace, decide};
pub use network::{Network, NotANetwork};
pub use operator::{Operator, Truth};

/// A policy, one revision of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its identifier.
    pub id: i64,
    /// The revision, from 1.
    pub revision: i64,
    /// Its name.
    pub name: String,
    /// Which kind of flow it may govern.
    pub enforcement: Enforcement,
    /// Whether it is enforced, or only evaluated and recorded.
    pub enforced: bool,
    /// The rules, in order; each contact looks only at its own.
    pub rules: Vec<Rule>,
    /// Per stage of the context (`landing`, …): the policy whose after-contact rules are used instead.
    pub stages: BTreeMap<String, i64>,
    /// What each risk rating leads to, where the policy has adaptive access.
    pub adaptive: Option<Adaptive>,
}

/// Which flows a policy may govern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enforcement {
    /// Browser sign-on.
    Browser,
    /// API-driven flows; the only kind that may hold first-contact rules.
    Native,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Its identifier within the policy.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Looked at in addition to the first rule that holds; can only tighten.
    pub always: bool,
    /// Which contact it belongs to.
    pub contact: Contact,
    /// All must hold; none holds always.
    pub conditions: Vec<Condition>,
    /// What follows.
    pub action: Action,
    /// What follows where the person has none of the factors the action demands.
    #[serde(default)]
    pub unenrolled: Unenrolled,
    /// The person must have signed in for this very purpose: what was proved in an earlier one does not do to begin with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reauthenticate: bool,
}

impl Policy {
    /// Whether a rule looks at what the identity provider said that the person signed in at.
    pub fn looks_upstream(&self) -> bool {
        let looks = |condition: &Condition| {
            matches!(condition, Condition::Provider(_) | Condition::UpstreamAmr(_) | Condition::UpstreamAcr(_))
        };
        self.rules.iter().any(|rule| rule.conditions.iter().any(looks))
    }

    /// Whether a person who lacks a factor may get one in the middle of a sign-in: only then it matters what they have.
    pub fn may_enrol(&self) -> bool {
        self.rules.iter().any(|rule| rule.contact == Contact::After && rule.unenrolled != Unenrolled::Ask)
    }
}

/// What becomes of a demand where the person has nothing to meet it with. Ordered: stricter is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unenrolled {
    /// A factor may be enrolled; whoever declines goes on without.
    Offer,
    /// A factor must be enrolled before the sign-in goes on.
    Require,
    /// It is asked for all the same, and whoever has none does not get through.
    #[default]
    Ask,
}

impl Unenrolled {
    fn asks(&self) -> bool {
        *self == Self::Ask
    }
}

/// When rules are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contact {
    /// Before anybody is known: which factor may begin.
    First,
    /// Once the person is known.
    After,
}

/// What a rule leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Refuse.
    Deny,
    /// Go on.
    Allow,
    /// Demand one of these factors.
    Demand {
        /// Which, in order.
        methods: Vec<Method>,
        /// Whether an earlier proof of this grant counts.
        frequency: Frequency,
    },
    /// No decision by this rule.
    Continue,
    /// The same as the inner action, but in place of the risk action instead of combined with it.
    Override(Box<Action>),
}

/// A factor a rule may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// This kind.
    Kind(FactorKind),
    /// Approval on the phone in any of its forms.
    AnyPush,
    /// Every second factor the tenant has switched on.
    Any,
}

/// Whether an earlier proof of the same grant satisfies a demand. Ordered: stricter is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Frequency {
    /// It does, and so does one made on this device when the person came to trust it.
    PerDevice,
    /// It does: once in the life of the grant.
    PerGrant,
    /// It does not: in this run of the flow.
    Always,
}

/// What each risk rating leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adaptive {
    /// Rated low.
    pub low: Action,
    /// Rated medium.
    pub medium: Action,
    /// Rated high.
    pub high: Action,
    /// Rated very high.
    pub very_high: Action,
}

/// What policy decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Refused.
    Deny,
    /// Nothing more is needed.
    Allow,
    /// Each of these must be satisfied, in order, each by a proof of its own.
    Demand(Vec<Demand>),
}

/// One of several factors, any one of which satisfies it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// Kinds, expanded and in order; never empty, no duplicates.
    pub any_of: Vec<FactorKind>,
    /// Whether an earlier proof of this grant counts.
    pub frequency: Frequency,
    /// What becomes of it where the person has none of them.
    #[serde(default, skip_serializing_if = "Unenrolled::asks")]
    pub unenrolled: Unenrolled,
}
