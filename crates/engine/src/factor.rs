//! The kinds of factor a person can prove. One vocabulary for every door.

use serde::{Deserialize, Serialize};

/// A kind of factor. Its serialised name is the stored form, never a wire name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactorKind {
    /// A password checked against an identity source.
    Password,
    /// A WebAuthn credential.
    Passkey,
    /// Sign-in by a picture scanned with the phone.
    Qr,
    /// A code sent by mail.
    EmailOtp,
    /// A code sent by text message.
    SmsOtp,
    /// A code spoken in a call.
    VoiceOtp,
    /// A time-based code (RFC 6238).
    Totp,
    /// Answers to questions chosen earlier. Never enough alone.
    Questions,
    /// Approval on the phone by touch.
    PushPresence,
    /// Approval on the phone by fingerprint.
    PushFingerprint,
    /// Approval on the phone by face.
    PushFace,
    /// A sign-in at another identity provider that this one trusts. Begins a sign-in, and nothing else.
    Federated,
    /// A code from a set that was handed out beforehand, each good once. Stands in for another factor, and begins nothing.
    BypassCode,
}

/// How strong one proof is. Ordered: stronger is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// Something that others may find out (answers to questions).
    Weak,
    /// A secret that can be phished, or a code over a channel that can be diverted.
    Single,
    /// Possession of one enrolled device.
    Device,
    /// Possession and presence, bound to the origin: cannot be phished.
    PhishingResistant,
}

impl FactorKind {
    /// Every kind, in the order in which "any second factor" is spelled out.
    pub const ALL: [Self; 13] = [
        Self::Password,
        Self::EmailOtp,
        Self::SmsOtp,
        Self::VoiceOtp,
        Self::Totp,
        Self::Questions,
        Self::Passkey,
        Self::PushPresence,
        Self::PushFingerprint,
        Self::PushFace,
        Self::Qr,
        Self::BypassCode,
        Self::Federated,
    ];

    /// What "any second factor" means: every kind but those that only begin a sign-in.
    pub fn second_factors() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| !matches!(kind, Self::Password | Self::Qr | Self::Federated))
    }

    /// How strong a proof of this kind is.
    pub fn strength(self) -> Strength {
        match self {
            Self::Questions => Strength::Weak,
            Self::Password | Self::EmailOtp | Self::SmsOtp | Self::VoiceOtp | Self::BypassCode | Self::Federated => {
                Strength::Single
            }
            Self::Totp | Self::Qr | Self::PushPresence | Self::PushFingerprint | Self::PushFace => Strength::Device,
            Self::Passkey => Strength::PhishingResistant,
        }
    }

    /// Whether something must be sent or shown before this kind can be answered.
    pub fn needs_challenge(self) -> bool {
        match self {
            Self::Password | Self::Totp | Self::BypassCode => false,
            Self::Passkey
            | Self::Qr
            | Self::Federated
            | Self::EmailOtp
            | Self::SmsOtp
            | Self::VoiceOtp
            | Self::Questions
            | Self::PushPresence
            | Self::PushFingerprint
            | Self::PushFace => true,
        }
    }

    /// The stored name, for keys of rows and counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Passkey => "passkey",
            Self::Qr => "qr",
            Self::EmailOtp => "email-otp",
            Self::SmsOtp => "sms-otp",
            Self::VoiceOtp => "voice-otp",
            Self::Totp => "totp",
            Self::Questions => "questions",
            Self::PushPresence => "push-presence",
            Self::PushFingerprint => "push-fingerprint",
            Self::PushFace => "push-face",
            Self::BypassCode => "bypass-code",
            Self::Federated => "federated",
        }
    }

    /// The kind with this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}
