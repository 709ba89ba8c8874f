//! How far a person was authenticated: what all proofs together are worth.
//!
//! Owns the levels and which further proof would reach one. Knows no `acr` value, and does not decide who demands what.

use serde::{Deserialize, Serialize};

use crate::{FactorKind, Proof, SignIn, Strength};

/// A level of assurance. Ordered: higher is greater, and whoever reached a level reached those below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// One factor.
    One,
    /// Two factors of different means, or one device that verified the person itself.
    Two,
    /// Two factors, one of them bound to the origin: none of it can be given away to a page that looks alike.
    PhishingResistant,
}

/// By what a factor is proved. Two proofs by the same means fall together: whoever has the phone reads its messages and
/// takes its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    Memory,
    Mailbox,
    Number,
    Generator,
    Phone,
    Authenticator,
    Paper,
    Elsewhere,
}

impl FactorKind {
    fn means(self) -> Means {
        match self {
            Self::Password | Self::Questions => Means::Memory,
            Self::EmailOtp => Means::Mailbox,
            Self::SmsOtp | Self::VoiceOtp => Means::Number,
            Self::Totp => Means::Generator,
            Self::Qr | Self::PushPresence | Self::PushFingerprint | Self::PushFace => Means::Phone,
            Self::Passkey => Means::Authenticator,
            Self::BypassCode => Means::Paper,
            Self::Federated => Means::Elsewhere,
        }
    }
}

impl Level {
    /// What these proofs reach together; none where nothing worth a level was proved. Answers to questions never count.
    pub fn of(proofs: &[Proof]) -> Option<Self> {
        let counting: Vec<&Proof> = proofs.iter().filter(|proof| proof.kind.strength() > Strength::Weak).collect();
        let first = counting.first()?;
        let two = counting.iter().any(|proof| proof.user_verified && proof.kind.strength() >= Strength::Device)
            || counting.iter().any(|proof| proof.kind.means() != first.kind.means());
        let bound = counting.iter().any(|proof| proof.kind.strength() == Strength::PhishingResistant);
        Some(match (two, bound) {
            (false, _) => Self::One,
            (true, false) => Self::Two,
            (true, true) => Self::PhishingResistant,
        })
    }

    /// The kinds of these, in their order, a proof of which would reach this level together with what was proved. A kind
    /// that was proved already is not asked for again: it did not reach it then.
    pub(crate) fn reached_by(self, offered: &[FactorKind], proofs: &[Proof]) -> Vec<FactorKind> {
        let fresh = |kind: &FactorKind| !proofs.iter().any(|proof| proof.this_run && proof.kind == *kind);
        let mut kinds: Vec<FactorKind> = FactorKind::ALL.into_iter().filter(|kind| offered.contains(kind)).collect();
        kinds.retain(|kind| fresh(kind) && !matches!(kind, FactorKind::Qr | FactorKind::Federated));
        kinds.retain(|kind| {
            let kind = *kind;
            Self::with(proofs, kind, kind.may_verify()) >= Some(self)
        });
        kinds
    }

    /// What a further proof would make of these.
    fn with(proofs: &[Proof], kind: FactorKind, user_verified: bool) -> Option<Self> {
        let mut all = proofs.to_vec();
        all.push(Proof { kind, at: 0, enrolment: None, user_verified, this_run: true, first: false, upstream: None });
        Self::of(&all)
    }
}

impl SignIn {
    /// Whether a proof of this kind by the person already known reaches the level demanded only if the device verifies the
    /// person: then a touch must not be taken for an answer.
    pub fn must_verify(&self, kind: FactorKind) -> bool {
        let reaches = |verified| Level::with(&self.proofs, kind, verified) >= self.at_least;
        self.subject.is_some() && kind.may_verify() && reaches(true) && !reaches(false)
    }
}

impl FactorKind {
    /// Whether the device of this factor may verify the person itself.
    fn may_verify(self) -> bool {
        match self {
            Self::Passkey | Self::PushFingerprint | Self::PushFace => true,
            Self::Password
            | Self::Qr
            | Self::EmailOtp
            | Self::SmsOtp
            | Self::VoiceOtp
            | Self::Totp
            | Self::Questions
            | Self::PushPresence
            | Self::Federated
            | Self::BypassCode => false,
        }
    }
}
