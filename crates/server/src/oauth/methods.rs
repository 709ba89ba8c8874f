//! How somebody signed in, in the words of whoever is told: `amr`. The vendor's names of factors where the vendor's dialect is spoken, the
//! registered ones (RFC 8176 §2) at the standards' issuer. Oracle's are in [`oracle`](super::oracle).

use engine::{FactorKind, Level, Proof};
use protocol::claims::Dialect;
use protocol::records::GrantDetail;

use crate::policy_document::factor_name;

/// Names of the factors proved, sorted, each once (vendor page G14).
pub fn vendor(proofs: &[Proof]) -> Vec<String> {
    sorted(proofs.iter().map(|proof| factor_name(proof.kind)))
}

/// The methods of these proofs, in the dialect this grant is made in.
pub fn said(detail: &GrantDetail, proofs: &[Proof]) -> Vec<String> {
    match Dialect::of(detail) {
        Dialect::Vendor => vendor(proofs),
        Dialect::Standard => registered(proofs),
    }
}

fn registered(proofs: &[Proof]) -> Vec<String> {
    let several = Level::of(proofs).is_some_and(|level| level >= Level::Two);
    let each = proofs.iter().flat_map(|proof| words(proof.kind).iter().copied());
    sorted(each.chain(several.then_some("mfa")))
}

fn sorted<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The registered words for a proof of a kind. Where a key is kept is known of none, so that it is possession that is claimed (`pop`) and
/// neither hardware nor software. There is none for a sign-in at another provider: what that says is for policy alone.
fn words(kind: FactorKind) -> &'static [&'static str] {
    match kind {
        FactorKind::Password => &["pwd"],
        FactorKind::EmailOtp | FactorKind::Totp | FactorKind::BypassCode => &["otp"],
        FactorKind::SmsOtp => &["otp", "sms"],
        FactorKind::VoiceOtp => &["otp", "tel"],
        FactorKind::Questions => &["kba"],
        FactorKind::Passkey | FactorKind::PushPresence => &["pop", "user"],
        FactorKind::PushFingerprint => &["fpt", "pop"],
        FactorKind::PushFace => &["face", "pop"],
        // A phone that was registered, beside the browser.
        FactorKind::Qr => &["mca", "user"],
        FactorKind::Federated => &["federated"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(kind: FactorKind, user_verified: bool) -> Proof {
        Proof { kind, at: 0, enrolment: None, user_verified, this_run: true, first: false, upstream: None }
    }

    fn made(issuer: &str, grant_type: &str) -> GrantDetail {
        GrantDetail {
            base: "https://login.example.test".to_owned(),
            issuer: issuer.to_owned(),
            original_grant_type: grant_type.to_owned(),
            ..GrantDetail::default()
        }
    }

    #[test]
    fn each_dialect_has_its_own_words() {
        let proofs = [proof(FactorKind::Password, false), proof(FactorKind::SmsOtp, false)];
        let standard = made("https://login.example.test", "authorization_code");
        assert_eq!(said(&standard, &proofs), ["mfa", "otp", "pwd", "sms"]);
        let path = made("https://login.example.test/oidc/endpoint/default", "authorization_code");
        assert_eq!(said(&path, &proofs), ["password", "smsotp"]);
        // The vendor's own grant is the vendor's wherever it is spoken.
        assert_eq!(said(&made("https://login.example.test", "policyauth"), &proofs), ["password", "smsotp"]);
    }

    #[test]
    fn several_factors_are_told_where_they_are_several() {
        let of = |proofs: &[Proof]| registered(proofs).join(" ");
        assert_eq!(of(&[proof(FactorKind::Password, false)]), "pwd");
        assert_eq!(of(&[proof(FactorKind::Password, false), proof(FactorKind::Questions, false)]), "kba pwd");
        assert_eq!(of(&[proof(FactorKind::Passkey, false)]), "pop user");
        assert_eq!(of(&[proof(FactorKind::Passkey, true)]), "mfa pop user");
        assert_eq!(of(&[]), "");
        // RFC 8176 §2: those that stand in its registry, and the one that does not.
        let known = [
            "face", "fpt", "geo", "hwk", "iris", "kba", "mca", "mfa", "otp", "pin", "pop", "pwd", "rba", "retina",
            "sc", "sms", "swk", "tel", "user", "vbm", "wia",
        ];
        for kind in FactorKind::ALL {
            let all = words(kind);
            assert!(!all.is_empty() && (kind == FactorKind::Federated || all.iter().all(|word| known.contains(word))));
        }
    }
}
