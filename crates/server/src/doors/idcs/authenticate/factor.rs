//! The factors under their names in this dialect (reference §2.3, §3.1), and what each asks to be sent.

use engine::FactorKind;

/// A name of `authFactor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Factor {
    /// A name and a password.
    UsernamePassword,
    /// A name alone.
    Username,
    /// Another identity provider.
    Idp,
    /// A code by text message.
    Sms,
    /// A code by mail.
    Email,
    /// A code of an authenticator.
    Totp,
    /// Approval on the phone.
    Push,
    /// Answers to questions.
    SecurityQuestions,
    /// A code handed out beforehand.
    BypassCode,
    /// A code in a call.
    PhoneCall,
    /// A passkey.
    Fido,
    /// A one-time password of a YubiKey. Not served.
    Yubico,
    /// Duo Security. Not served.
    Duo,
    /// Somebody who stayed signed in.
    Kmsi,
}

impl Factor {
    /// All of them, in the order of the vendor's list.
    pub const ALL: [Self; 14] = [
        Self::UsernamePassword,
        Self::Username,
        Self::Idp,
        Self::Sms,
        Self::Email,
        Self::Totp,
        Self::Push,
        Self::SecurityQuestions,
        Self::BypassCode,
        Self::PhoneCall,
        Self::Fido,
        Self::Yubico,
        Self::Duo,
        Self::Kmsi,
    ];

    /// As it is spelled.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UsernamePassword => "USERNAME_PASSWORD",
            Self::Username => "USERNAME",
            Self::Idp => "IDP",
            Self::Sms => "SMS",
            Self::Email => "EMAIL",
            Self::Totp => "TOTP",
            Self::Push => "PUSH",
            Self::SecurityQuestions => "SECURITY_QUESTIONS",
            Self::BypassCode => "BYPASSCODE",
            Self::PhoneCall => "PHONE_CALL",
            Self::Fido => "FIDO_AUTHENTICATOR",
            Self::Yubico => "YUBICO_OTP",
            Self::Duo => "DUO_SECURITY",
            Self::Kmsi => "KMSI",
        }
    }

    /// The factor of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|factor| factor.as_str() == name)
    }

    /// What a kind is called here; none for the picture that a phone scans, which this dialect does not know.
    pub fn of(kind: FactorKind) -> Option<Self> {
        Some(match kind {
            FactorKind::Password => Self::UsernamePassword,
            FactorKind::Passkey => Self::Fido,
            FactorKind::EmailOtp => Self::Email,
            FactorKind::SmsOtp => Self::Sms,
            FactorKind::VoiceOtp => Self::PhoneCall,
            FactorKind::Totp => Self::Totp,
            FactorKind::Questions => Self::SecurityQuestions,
            FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace => Self::Push,
            FactorKind::BypassCode => Self::BypassCode,
            FactorKind::Federated => Self::Idp,
            FactorKind::Qr => return None,
        })
    }

    /// Whether a code is sent, which can be sent again.
    pub fn is_sent(self) -> bool {
        matches!(self, Self::Sms | Self::Email | Self::PhoneCall)
    }

    /// What is to be sent to prove it.
    pub fn credentials(self) -> &'static [&'static str] {
        match self {
            Self::UsernamePassword => &["username", "password"],
            Self::Username => &["username"],
            Self::Sms | Self::Email | Self::PhoneCall | Self::Totp | Self::Yubico => &["otpCode"],
            Self::SecurityQuestions => &["questionId", "answer"],
            Self::BypassCode => &["bypassCode"],
            Self::Fido => &["fidoAssertion"],
            Self::Idp => &["idpId", "idpType"],
            Self::Duo => &["duoSecurityResponse"],
            Self::Push | Self::Kmsi => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for factor in Factor::ALL {
            assert_eq!(Factor::parse(factor.as_str()), Some(factor));
        }
        assert_eq!(Factor::parse("sms"), None);
    }

    #[test]
    fn every_kind_but_the_picture_has_a_name() {
        for kind in FactorKind::ALL {
            assert_eq!(Factor::of(kind).is_none(), kind == FactorKind::Qr, "{kind:?}");
        }
    }
}
