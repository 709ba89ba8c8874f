//! The names that devices and preferences have for factors here (reference §5.1).

use engine::FactorKind;

/// What a kind is called; none for what is no second factor of a person, or that this dialect does not know.
pub(super) fn factor(kind: FactorKind) -> Option<&'static str> {
    Some(match kind {
        FactorKind::EmailOtp => "EMAIL",
        FactorKind::SmsOtp => "SMS",
        FactorKind::VoiceOtp => "PHONE_CALL",
        FactorKind::Totp => "TOTP",
        FactorKind::Passkey => "FIDO_AUTHENTICATOR",
        FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace => "PUSH",
        FactorKind::Questions => "SECURITY_QUESTIONS",
        FactorKind::BypassCode => "BYPASSCODE",
        FactorKind::Password | FactorKind::Qr | FactorKind::Federated => return None,
    })
}

/// The kinds of this name.
pub(super) fn kinds(name: &str) -> Vec<FactorKind> {
    FactorKind::ALL.into_iter().filter(|kind| factor(*kind) == Some(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_kinds() {
        assert_eq!(kinds("TOTP"), [FactorKind::Totp]);
        assert_eq!(kinds("PUSH").len(), 3);
        assert!(kinds("totp").is_empty());
    }
}
