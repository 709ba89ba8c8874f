//! What goes into the engine and what comes out of it.

use crate::facts::Facts;
use crate::policy::{Contact, DecisionRecord, Policy};
use crate::sign_in::{Proof, Refusal, SignIn, Timestamp, Upstream};
use crate::{FactorKind, Level};

/// What a sign-in begins with.
#[derive(Debug)]
pub struct Start<'a> {
    /// The policy whose first-contact rules apply, and which the sign-in keeps; none where no policy applies.
    pub policy: Option<&'a Policy>,
    /// The policy whose after-contact rules apply: the same, or the one its stage names.
    pub after: Option<&'a Policy>,
    /// What is known now.
    pub facts: &'a Facts,
    /// Kinds the tenant has switched on.
    pub offered: &'a [FactorKind],
    /// What is proved already; none makes this a first contact.
    pub prior: Option<Prior>,
    /// Whether the first factor may satisfy a demand that lists it.
    pub first_satisfies: bool,
    /// The level to be reached, whatever policy asks for besides.
    pub at_least: Option<Level>,
    /// When the sign-in can no longer go on.
    pub expires: Timestamp,
}

/// What is proved before the sign-in begins: an earlier run of the same grant, or a factor checked outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Prior {
    /// Who it is.
    pub subject: String,
    /// Proofs that count.
    pub proofs: Vec<Proof>,
}

/// Whom an answer is judged for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// This person.
    Known(String),
    /// Nobody we know. Takes the same path and can only fail.
    Nobody,
}

/// What came in.
#[derive(Debug)]
pub enum Event<'a> {
    /// Make a challenge for this factor.
    Issue {
        /// The factor.
        kind: FactorKind,
        /// The enrolment it goes to.
        enrolment: Option<String>,
        /// Whose it is, where that is known.
        who: Option<Who>,
    },
    /// The challenge was made.
    Issued {
        /// Its identifier.
        challenge: String,
    },
    /// The challenge is withdrawn.
    Withdraw {
        /// Its identifier.
        challenge: String,
    },
    /// An answer. The evidence itself stays with the driver.
    Submit {
        /// The factor.
        kind: FactorKind,
        /// Whom it is judged for.
        who: Who,
        /// The enrolment it is judged against.
        enrolment: Option<String>,
        /// The challenge it answers, where the factor has one.
        challenge: Option<String>,
    },
    /// What the check said.
    Judged(Verdict),
    /// The receipt of a proof came back: what follows from it is decided with the facts of this request.
    Continue {
        /// The receipt.
        receipt: &'a str,
        /// The policy whose after-contact rules apply; none where no policy applies.
        after: Option<&'a Policy>,
        /// What is known now.
        facts: &'a Facts,
        /// Kinds the tenant has switched on.
        offered: &'a [FactorKind],
        /// Whether the first factor may satisfy a demand that lists it.
        first_satisfies: bool,
        /// The level to be reached. It may only rise: one that was demanded before stands.
        at_least: Option<Level>,
    },
    /// The person enrolled a factor and proved it in doing so.
    Enrolled {
        /// The factor.
        kind: FactorKind,
        /// Its enrolment.
        enrolment: String,
        /// Whether the authenticator verified the person.
        user_verified: bool,
    },
    /// The person is done with enrolling, or declines it: policy is asked again with the facts of this request.
    EndEnrolment {
        /// The policy whose after-contact rules apply; none where no policy applies.
        after: Option<&'a Policy>,
        /// What is known now.
        facts: &'a Facts,
        /// Kinds the tenant has switched on.
        offered: &'a [FactorKind],
        /// Whether the first factor may satisfy a demand that lists it.
        first_satisfies: bool,
    },
    /// The person may not use the application, whatever was proved.
    Refuse(Refusal),
    /// Hand out what it was for.
    Redeem,
}

/// What a check said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Right.
    Passed {
        /// What must come back to go on, once: random, drawn by the driver.
        receipt: String,
        /// Whether the authenticator verified the person.
        user_verified: bool,
        /// What the other identity provider said, where the factor is a sign-in there.
        upstream: Option<Box<Upstream>>,
    },
    /// Wrong.
    Failed {
        /// The challenge is dead as well: no tries left, or expired.
        challenge_dead: bool,
    },
}

/// One step: the new state, what is needed next, and what must be recorded with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The new state.
    pub sign_in: SignIn,
    /// What is needed next.
    pub next: Next,
    /// What must be recorded in the same transaction.
    pub effects: Vec<Effect>,
}

/// What is needed next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Something from the world.
    Ask(Ask),
    /// Something from the caller.
    Show(Prompt),
}

/// What the engine needs from the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Make a challenge.
    Issue {
        /// The factor.
        kind: FactorKind,
        /// The enrolment it goes to.
        enrolment: Option<String>,
    },
    /// Judge the evidence at hand. The step is to be committed first.
    Check {
        /// The factor.
        kind: FactorKind,
        /// Whom for.
        who: Who,
        /// The enrolment.
        enrolment: Option<String>,
        /// The challenge.
        challenge: Option<String>,
    },
}

/// What the caller must be asked next.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// Prove one of these.
    Choose {
        /// Whether somebody is known already.
        contact: Contact,
        /// Kinds, in order.
        any_of: Vec<FactorKind>,
    },
    /// Answer the challenge.
    Respond {
        /// The challenge.
        challenge: String,
        /// Its factor.
        kind: FactorKind,
    },
    /// The answer was wrong; the same may be tried again.
    Again {
        /// Kinds, in order.
        any_of: Vec<FactorKind>,
    },
    /// Present the receipt.
    Present {
        /// The proof.
        proof: Proof,
        /// Who proved it.
        subject: String,
        /// The receipt.
        receipt: String,
    },
    /// Enrol one of these.
    Enrol {
        /// Kinds, in order.
        any_of: Vec<FactorKind>,
        /// Whether the sign-in goes on only once one is enrolled.
        required: bool,
        /// One was enrolled: the sign-in may go on, and more may be enrolled.
        met: bool,
    },
    /// Redeem.
    Finish,
    /// Nothing more: it was redeemed.
    Done,
    /// Nothing more: it is refused.
    Refused(Refusal),
}

/// What must be recorded together with a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Count one more try for this person or stranger before it is judged.
    Charge {
        /// Whose counter.
        who: Who,
        /// The factor being tried.
        kind: FactorKind,
    },
    /// The person proved the factor: its counter starts anew.
    Clear {
        /// Whose counter.
        subject: String,
        /// The factor proved.
        kind: FactorKind,
    },
    /// Challenges in flight die: these, or all.
    CancelChallenges {
        /// Only these, by identifier.
        only: Option<Vec<String>>,
    },
    /// A policy decision was made.
    Decided(Box<DecisionRecord>),
}

/// The event does not fit where the sign-in stands. Nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// It ran out.
    #[error("the sign-in has expired")]
    Expired,
    /// It is over.
    #[error("the sign-in is over")]
    Closed,
    /// This factor is not among those asked for.
    #[error("the factor is not among those asked for")]
    NotAllowed {
        /// What is asked for.
        any_of: Vec<FactorKind>,
    },
    /// It is not this person's sign-in.
    #[error("the sign-in belongs to somebody else")]
    OtherPerson,
    /// No such challenge is in flight in this step.
    #[error("no such challenge is in flight")]
    NoChallenge,
    /// The receipt is not that of the proof at hand.
    #[error("the receipt does not fit the proof at hand")]
    WrongReceipt,
    /// A factor must be enrolled before the sign-in goes on.
    #[error("a factor must be enrolled first")]
    MustEnrol,
    /// The event belongs to another stage.
    #[error("the event does not fit the stage of the sign-in")]
    OutOfTurn,
}
