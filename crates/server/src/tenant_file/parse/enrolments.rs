//! Factors that people have enrolled already.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::records::{EnrolmentId, TenantSettings, TotpSettings, UserId};

use super::{Names, unique, words};
use crate::secret::Secret;
use crate::tenant_file::problem::{Place, Report};
use crate::tenant_file::reader::Section;
use crate::tenant_file::{EnrolmentPart, FactorPart, PasskeyPart, TotpPart, UserPart};

/// `[[tenant.enrolments]]`
pub(super) fn enrolments(
    tenant: &mut Section<'_>,
    names: &Names,
    users: &[UserPart],
    settings: &TenantSettings,
) -> Vec<EnrolmentPart> {
    let (mut ids, mut credentials, mut enrolments) = (HashMap::new(), HashMap::new(), Vec::new());
    for mut section in tenant.tables("enrolments") {
        let report = section.report;
        let id = words::uuid_id(&mut section);
        let user = section.need_text("user", "name the person by id or login name");
        let user = user.and_then(|(user, place)| names.users.find(user, report, &place));
        let enabled = section.flag("enabled", true);
        let validated = section.flag("validated", true);
        let kind = section.need_text("kind", "one of `email-otp`, `sms-otp`, `voice-otp`, `totp`, `passkey`");
        let factor = kind.and_then(|(kind, place)| match kind {
            "email-otp" => {
                address(&mut section, words::is_mail, "a mail address").map(|address| FactorPart::EmailOtp { address })
            }
            "sms-otp" => phone(&mut section).map(|address| FactorPart::SmsOtp { address }),
            "voice-otp" => phone(&mut section).map(|address| FactorPart::VoiceOtp { address }),
            "totp" => totp(&mut section, user.as_ref(), users, &settings.totp).map(FactorPart::Totp),
            "passkey" => passkey(&mut section, names, &mut credentials).map(Box::new).map(FactorPart::Passkey),
            _ => {
                let known = "one of `email-otp`, `sms-otp`, `voice-otp`, `totp`, `passkey`";
                report.add(&place, format!("`{kind}` is no kind of factor that can be enrolled here"), known);
                // What the other keys mean is anybody's guess.
                for key in section.remaining() {
                    section.take(&key);
                }
                None
            }
        });
        section.finish();
        if let Some((id, place)) = &id {
            unique(&mut ids, id, "enrolment", report, place);
        }
        if let (Some((id, _)), Some(user), Some(factor)) = (id, user, factor) {
            enrolments.push(EnrolmentPart { id: EnrolmentId::from(id), user, enabled, validated, factor });
        }
    }
    enrolments
}

fn address(section: &mut Section<'_>, fits: fn(&str) -> bool, what: &str) -> Option<String> {
    let (address, place) = section.need_text("address", &format!("give {what}"))?;
    if !fits(address) {
        section.report.add(&place, format!("`{}` is not {what}", address.escape_debug()), "");
        return None;
    }
    Some(address.to_owned())
}

fn phone(section: &mut Section<'_>) -> Option<String> {
    address(section, words::is_phone, "a telephone number in international form (`+4930123456`)")
}

fn totp(
    section: &mut Section<'_>,
    user: Option<&UserId>,
    users: &[UserPart],
    settings: &TotpSettings,
) -> Option<TotpPart> {
    let report = section.report;
    let mut settings = settings.clone();
    if let Some((algorithm, place)) = section.text("algorithm") {
        if matches!(algorithm, "SHA1" | "SHA256" | "SHA512") {
            algorithm.clone_into(&mut settings.algorithm);
        } else {
            report.add(&place, format!("no algorithm `{algorithm}`"), "one of `SHA1`, `SHA256`, `SHA512`");
        }
    }
    if let Some(digits) = section.number("digits", 6..=12) {
        settings.digits = u8::try_from(digits).unwrap_or(settings.digits);
    }
    if let Some(period) = section.number("period", 10..=240) {
        settings.period = u8::try_from(period).unwrap_or(settings.period);
    }
    let account = section.text("account").map(|(account, _)| account.to_owned()).unwrap_or_else(|| {
        let owner = users.iter().find(|part| Some(&part.user.id) == user);
        owner.map(|part| part.user.username.clone()).unwrap_or_default()
    });
    let (secret, place) = section.need_text("secret", "give the shared secret in base32")?;
    let base32 = secret.chars().filter(|c| !matches!(c, ' ' | '-' | '=')).map(|c| c.to_ascii_uppercase());
    let length = base32.clone().count() * 5 / 8;
    if !base32.clone().all(|c| matches!(c, 'A'..='Z' | '2'..='7')) || !(16..=128).contains(&length) {
        report.add(
            &place,
            "the secret is not base32 of 16 to 128 bytes",
            "RFC 4648 §6: letters `A-Z` and digits `2-7`",
        );
        return None;
    }
    Some(TotpPart { secret: Secret::from(secret), settings, account })
}

fn passkey(section: &mut Section<'_>, names: &Names, seen: &mut HashMap<String, Place>) -> Option<PasskeyPart> {
    let report = section.report;
    let party = section.need_text("relying_party", "name the relying party by id");
    let party = party.and_then(|(id, place)| names.relying_parties.find(id, report, &place));
    let credential = section.need_text("credential_id", "give the credential id, base64url");
    let credential_id = credential.as_ref().and_then(|(text, place)| base64url(text, 1..=1023, report, place));
    if let (Some(id), Some((_, place))) = (&credential_id, &credential) {
        unique(seen, &URL_SAFE_NO_PAD.encode(id), "credential", report, place);
    }
    let key = section.need_text("public_key", "give the COSE public key, base64url");
    let key = key.and_then(|(text, place)| {
        let bytes = base64url(text, 16..=2048, report, &place)?;
        let algorithm = cose_algorithm(&bytes);
        if algorithm.is_none() {
            report.add(&place, "not a COSE key that names its algorithm", "RFC 9052 §7: a CBOR map with `1`, `3`, …");
        }
        Some((bytes, algorithm?))
    });
    let counter = section.number("counter", 0..=i64::from(u32::MAX)).unwrap_or(0);
    let nickname = section.text("nickname").map_or("", |(name, _)| name).to_owned();
    let transports = section.texts("transports").into_iter().map(|(name, _)| name.to_owned()).collect();
    let backup_eligible = section.flag("backup_eligible", false);
    let (public_key, algorithm) = key?;
    Some(PasskeyPart {
        relying_party: party?,
        credential_id: URL_SAFE_NO_PAD.encode(credential_id?),
        public_key: URL_SAFE_NO_PAD.encode(public_key),
        algorithm,
        counter: u32::try_from(counter).unwrap_or(0),
        nickname,
        transports,
        backup_eligible,
    })
}

/// The algorithm (label 3) of a COSE key (RFC 9052 §7): a CBOR map from small integers to integers, bytes and simple
/// values. Read only as far as to catch a file that means something else.
fn cose_algorithm(key: &[u8]) -> Option<i32> {
    let (major, pairs, mut rest) = cbor_head(key)?;
    if major != 5 || pairs > 16 {
        return None;
    }
    let (mut kind, mut algorithm) = (false, None);
    for _ in 0..pairs {
        let (label, after) = cbor_integer(rest)?;
        let (major, length, value) = cbor_head(after)?;
        match label {
            1 => kind = true,
            3 => algorithm = i32::try_from(cbor_integer(after)?.0).ok(),
            _ => {}
        }
        rest = match major {
            0 | 1 | 7 => value,
            2 | 3 => value.get(usize::try_from(length).ok()?..)?,
            _ => return None,
        };
    }
    algorithm.filter(|_| kind && rest.is_empty())
}

/// Major type, argument and what follows (RFC 8949 §3).
fn cbor_head(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let short = first & 0x1f;
    let width = match short {
        0..=23 => return Some((first >> 5, u64::from(short), rest)),
        24..=27 => 1_usize << (short - 24),
        _ => return None,
    };
    let (argument, rest) = rest.split_at_checked(width)?;
    Some((first >> 5, argument.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)), rest))
}

fn cbor_integer(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (major, argument, rest) = cbor_head(bytes)?;
    let argument = i64::try_from(argument).ok()?;
    match major {
        0 => Some((argument, rest)),
        1 => Some((-1 - argument, rest)),
        _ => None,
    }
}

fn base64url(
    text: &str,
    length: std::ops::RangeInclusive<usize>,
    report: &Report<'_>,
    place: &Place,
) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok().filter(|bytes| length.contains(&bytes.len()));
    if bytes.is_none() {
        let message = format!("not base64url of {} to {} bytes", length.start(), length.end());
        report.add(place, message, "RFC 4648 §5: `-` and `_` in place of `+` and `/`");
    }
    bytes
}
