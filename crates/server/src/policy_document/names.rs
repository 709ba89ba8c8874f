//! The one table of names: what the vendor's documents and tokens call factors, methods, operators and kinds.

use engine::FactorKind;
use engine::policy::{Enforcement, Finding, LocationPart, Method, Operator, Unenrolled};

/// Marker of the current document form.
pub const SCHEMA: &str = "urn:access:policy:5.0:schema";
/// Marker of the form before it.
pub const SCHEMA_THREE: &str = "urn:access:policy:4.0:schema";
/// Marker of the oldest form.
pub const SCHEMA_ONE: &str = "access:policy:1.0:schema";

/// How older policies and other parts of the vendor's product write a factor.
const METHOD_URN: &str = "urn:ibm:security:authentication:asf:";

/// "Any second factor", as it is written.
const ANY: &str = "urn:ibm:security:authentication:asf:macotp";

/// What stands for approval on the phone in any of its forms.
const ANY_PUSH: &str = "signatures";

/// Other spellings that are read but never written.
const METHOD_ALIASES: [(&str, Method); 6] = [
    ("email", Method::Kind(FactorKind::EmailOtp)),
    ("sms", Method::Kind(FactorKind::SmsOtp)),
    ("fido", Method::Kind(FactorKind::Passkey)),
    ("verify", Method::AnyPush),
    ("anyfactor", Method::Any),
    ("macotp", Method::Any),
];

/// The name of a factor in assertions (`factor`, `amr`), challenges and policies.
pub fn factor_name(kind: FactorKind) -> &'static str {
    match kind {
        FactorKind::Password => "password",
        FactorKind::Passkey => "fido2",
        FactorKind::Qr => "qr",
        FactorKind::EmailOtp => "emailotp",
        FactorKind::SmsOtp => "smsotp",
        FactorKind::VoiceOtp => "voiceotp",
        FactorKind::Totp => "totp",
        FactorKind::Questions => "questions",
        FactorKind::PushPresence => "signatures_userPresence",
        FactorKind::PushFingerprint => "signatures_fingerprint",
        FactorKind::PushFace => "signatures_face",
        FactorKind::BypassCode => "bypasscode",
        FactorKind::Federated => "federated",
    }
}

/// The factor with this name.
pub fn factor_from_name(name: &str) -> Option<FactorKind> {
    FactorKind::ALL.into_iter().find(|kind| factor_name(*kind) == name)
}

/// The members of `allowedFactors` for these kinds, in their order.
///
/// Before the first way of approval on the phone comes `signatures`: older clients look for that name only.
pub fn allowed_factors(kinds: &[FactorKind]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::with_capacity(kinds.len() + 1);
    for kind in kinds {
        let is_push = matches!(kind, FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace);
        if is_push && !names.contains(&ANY_PUSH) {
            names.push(ANY_PUSH);
        }
        let name = factor_name(*kind);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The method of a rule (`authnMethods`) with this name, in any spelling.
pub fn method_from_name(name: &str) -> Option<Method> {
    let name = name.strip_prefix(METHOD_URN).unwrap_or(name);
    if name == ANY_PUSH {
        return Some(Method::AnyPush);
    }
    let alias = || METHOD_ALIASES.into_iter().find(|(alias, _)| *alias == name).map(|(_, method)| method);
    factor_from_name(name).map(Method::Kind).or_else(alias)
}

/// How a method is written.
pub fn method_name(method: Method) -> &'static str {
    match method {
        Method::Kind(kind) => factor_name(kind),
        Method::AnyPush => ANY_PUSH,
        Method::Any => ANY,
    }
}

/// What becomes of people who have none of the factors a rule demands (`enrolment`).
pub fn unenrolled_name(unenrolled: Unenrolled) -> &'static str {
    match unenrolled {
        Unenrolled::Require => "required",
        Unenrolled::Offer => "optional",
        Unenrolled::Ask => "none",
    }
}

/// The one with this name.
pub fn unenrolled_from_name(name: &str) -> Option<Unenrolled> {
    [Unenrolled::Require, Unenrolled::Offer, Unenrolled::Ask].into_iter().find(|one| unenrolled_name(*one) == name)
}

/// The name of an operator (`opCode`).
pub fn operator_name(operator: Operator) -> &'static str {
    match operator {
        Operator::Eq => "EQ",
        Operator::Neq => "NEQ",
        Operator::In => "IN",
        Operator::NotIn => "NOTIN",
        Operator::Match => "MATCH",
        Operator::NoMatch => "NOMATCH",
        Operator::StartsWith => "STARTS_WITH",
        Operator::EndsWith => "ENDS_WITH",
        Operator::Exists => "EXISTS",
        Operator::Contains => "CONTAINS",
        Operator::Is => "IS",
        Operator::IsNot => "IS_NOT",
    }
}

/// The operator with this name.
pub fn operator_from_name(name: &str) -> Option<Operator> {
    Operator::ALL.into_iter().find(|operator| operator_name(*operator) == name)
}

/// A kind of condition (`type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The address.
    IpAddress,
    /// The address as the risk source saw it.
    RemoteIp,
    /// Where the address is.
    Location,
    /// Attributes of the person or the context.
    CustomAttributes,
    /// Attributes of the person.
    SubjectAttributes,
    /// Members of the context.
    ContextAttributes,
    /// What the request says in the language of OpenID Connect.
    OidcContext,
    /// A yes or no of the risk source.
    Finding(Finding),
    /// The operating system family.
    DevicePlatform,
    /// What device management says.
    DeviceCompliance,
    /// What the risk source calls the device.
    DeviceStatus,
    /// The internet provider.
    Isp,
    /// Days since a second factor on this device.
    LastMfaOnDevice,
    /// The overall rating.
    RiskLevel,
    /// Seconds since a second factor on this grant.
    MfaLifetime,
    /// The identity provider that the person signed in at. Ours, as the two behind it: the vendor has no name for it.
    Provider,
    /// How they signed in there.
    UpstreamAmr,
    /// The level that is called there.
    UpstreamAcr,
}

/// Kinds of conditions by name. Where one kind has two names the first is written.
const KINDS: [(&str, Kind); 23] = [
    ("ipAddress", Kind::IpAddress),
    ("remoteIp", Kind::RemoteIp),
    ("location", Kind::Location),
    ("customAttributes", Kind::CustomAttributes),
    ("subjectAttributes", Kind::SubjectAttributes),
    ("contextAttributes", Kind::ContextAttributes),
    ("oidcContext", Kind::OidcContext),
    ("geoLocation", Kind::Finding(Finding::NewLocation)),
    ("newGeoLocation", Kind::Finding(Finding::NewLocation)),
    ("newDevice", Kind::Finding(Finding::NewDevice)),
    ("riskyDevice", Kind::Finding(Finding::RiskyDevice)),
    ("riskyConnection", Kind::Finding(Finding::RiskyConnection)),
    ("behavioralAnomaly", Kind::Finding(Finding::BehavioralAnomaly)),
    ("devicePlatform", Kind::DevicePlatform),
    ("deviceCompliance", Kind::DeviceCompliance),
    ("deviceStatus", Kind::DeviceStatus),
    ("isp", Kind::Isp),
    ("lastMfaOnDevice", Kind::LastMfaOnDevice),
    ("riskLevel", Kind::RiskLevel),
    ("mfaLifetime", Kind::MfaLifetime),
    ("identityProvider", Kind::Provider),
    ("upstreamAmr", Kind::UpstreamAmr),
    ("upstreamAcr", Kind::UpstreamAcr),
];

/// The kind of condition with this name.
pub fn kind_from_name(name: &str) -> Option<Kind> {
    KINDS.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind)
}

/// How a kind of condition is written.
pub fn kind_name(kind: Kind) -> &'static str {
    KINDS.into_iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| name)
}

/// The name of a part of a place in `location` conditions.
pub fn location_part_name(part: LocationPart) -> &'static str {
    match part {
        LocationPart::Country => "country",
        LocationPart::City => "city",
        LocationPart::Network => "networkLocation",
    }
}

/// The part of a place with this name.
pub fn location_part_from_name(name: &str) -> Option<LocationPart> {
    [LocationPart::Country, LocationPart::City, LocationPart::Network]
        .into_iter()
        .find(|part| location_part_name(*part) == name)
}

/// Which flows a policy with this `enforcementType` may govern.
pub fn enforcement_from_name(name: &str) -> Option<Enforcement> {
    match name {
        "fedSSO" => Some(Enforcement::Browser),
        "nativeApp" | "nativeAppWeb" | "nativeAppMobile" | "adaptiveNativeAppWeb" | "adaptiveNativeAppMobile" => {
            Some(Enforcement::Native)
        }
        _ => None,
    }
}

/// Names of the operating system families a rule may list.
pub const PLATFORMS: [&str; 6] = ["IOS", "ANDROID", "OTHER_MOBILE", "MACOS", "WINDOWS", "OTHER_DESKTOP"];

/// What device management may say.
pub const COMPLIANCE: [&str; 3] = ["COMPLIANT", "NONCOMPLIANT", "UNKNOWN"];

/// Risk ratings by name.
pub const RISK_LEVELS: [(&str, engine::facts::RiskLevel); 4] = [
    ("LOW", engine::facts::RiskLevel::Low),
    ("MEDIUM", engine::facts::RiskLevel::Medium),
    ("HIGH", engine::facts::RiskLevel::High),
    ("VERY_HIGH", engine::facts::RiskLevel::VeryHigh),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_factor_has_a_name_of_its_own() {
        for kind in FactorKind::ALL {
            assert_eq!(factor_from_name(factor_name(kind)), Some(kind));
            assert_eq!(method_from_name(factor_name(kind)), Some(Method::Kind(kind)));
        }
        assert_eq!(factor_from_name("email"), None);
    }

    #[test]
    fn methods_are_read_in_every_spelling() {
        for (name, method) in [
            ("email", Some(Method::Kind(FactorKind::EmailOtp))),
            ("sms", Some(Method::Kind(FactorKind::SmsOtp))),
            ("fido", Some(Method::Kind(FactorKind::Passkey))),
            ("signatures", Some(Method::AnyPush)),
            ("verify", Some(Method::AnyPush)),
            ("anyfactor", Some(Method::Any)),
            ("urn:ibm:security:authentication:asf:macotp", Some(Method::Any)),
            ("urn:ibm:security:authentication:asf:totp", Some(Method::Kind(FactorKind::Totp))),
            ("urn:ibm:security:authentication:asf:emailotp", Some(Method::Kind(FactorKind::EmailOtp))),
            ("urn:ibm:security:authentication:asf:", None),
            ("Password", None),
            ("", None),
        ] {
            assert_eq!(method_from_name(name), method, "{name}");
        }
        for method in [Method::Any, Method::AnyPush] {
            assert_eq!(method_from_name(method_name(method)), Some(method));
        }
    }

    #[test]
    fn phone_approval_is_announced_under_both_names() {
        assert_eq!(
            allowed_factors(&[FactorKind::Totp, FactorKind::PushFace, FactorKind::PushPresence]),
            ["totp", "signatures", "signatures_face", "signatures_userPresence"]
        );
        assert!(allowed_factors(&[]).is_empty());
    }

    #[test]
    fn operators_and_kinds_have_names_of_their_own() {
        for operator in Operator::ALL {
            assert_eq!(operator_from_name(operator_name(operator)), Some(operator));
        }
        for (name, kind) in KINDS {
            assert_eq!(kind_from_name(name), Some(kind));
            assert_eq!(kind_from_name(kind_name(kind)), Some(kind));
        }
    }
}
