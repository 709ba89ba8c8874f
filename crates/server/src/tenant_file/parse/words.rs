//! The forms of identifiers and values that several sections share.

use protocol::records::{OtpSettings, TenantSettings};

use crate::doors::hosted::pages;
use crate::tenant_file::problem::Place;
use crate::tenant_file::reader::{Item, Section};

/// A tenant id.
pub(super) fn is_slug(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A UUID in the only form clients look for: lower case, with hyphens.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok() && !text.bytes().any(|b| b.is_ascii_uppercase())
}

/// A word of visible ASCII, as identifiers in URLs and tokens must be.
pub(super) fn is_word(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
}

/// The id of a thing whose ids are UUIDs.
pub(super) fn uuid_id<'a>(section: &mut Section<'a>) -> Option<(&'a str, Place)> {
    let (id, place) = section.need_text("id", "give it a UUID of its own")?;
    if !is_uuid(id) {
        section.report.add(&place, format!("`{id}` is not a UUID in lower case"), "clients look for that form only");
        return None;
    }
    Some((id, place))
}

/// The id of a thing whose ids are words of any kind.
pub(super) fn word_id<'a>(section: &mut Section<'a>) -> Option<(&'a str, Place)> {
    let (id, place) = section.need_text("id", "give it an id of its own")?;
    if !is_word(id) {
        section.report.add(
            &place,
            format!("`{}` is no id", id.escape_debug()),
            "use up to 128 visible ASCII characters",
        );
        return None;
    }
    Some((id, place))
}

/// A mail address as far as it matters here: one `@` with something on both sides, nothing that could break a header.
pub(super) fn is_mail(text: &str) -> bool {
    text.len() <= 254
        && text
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'))
        && !text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';' | '"'))
}

/// A telephone number in the international form (E.164).
pub(super) fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (4..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
    })
}

/// An absolute `http` or `https` URL.
pub(super) fn is_web_url(text: &str) -> bool {
    axum::http::Uri::try_from(text).is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    })
}

/// The bounds of settings, beyond their types.
pub(super) fn check_settings(settings: &TenantSettings, given: &Item<'_>) {
    let wrong = |name: &str, message: &str| given.report.add(&given.locate(name), message, "");
    for (name, value) in [
        ("challenge_lifetime", settings.challenge_lifetime),
        ("assertion_lifetime", settings.assertion_lifetime),
        ("access_token_lifetime", settings.access_token_lifetime),
        ("refresh_token_lifetime", settings.refresh_token_lifetime),
        ("grant_lifetime", settings.grant_lifetime),
        ("id_token_lifetime", settings.id_token_lifetime),
        ("session_lifetime", settings.session_lifetime),
        ("session_idle", settings.session_idle),
        ("lock_seconds", settings.lock_seconds),
        ("lock_max_seconds", settings.lock_max_seconds),
    ] {
        if !(1..=315_360_000).contains(&value) {
            wrong(name, "must be from 1 second to ten years");
        }
    }
    if !(0..=300).contains(&settings.refresh_grace) {
        wrong("refresh_grace", "must be from 0 to 300 seconds");
    }
    if settings.lock_after == 0 {
        wrong("lock_after", "must be at least 1, or nobody could sign in");
    }
    for (name, status) in
        [("denial_status", settings.denial_status), ("otp_failure_status", settings.otp_failure_status)]
    {
        if !(400..=499).contains(&status) {
            wrong(name, "must be an HTTP status from 400 to 499");
        }
    }
    if !matches!(settings.policy_put_status, 200 | 201) {
        wrong("policy_put_status", "must be 200 or 201");
    }
    if !is_mail(&settings.mail_from) {
        wrong("mail_from", "must be a mail address");
    }
    for (name, otp) in
        [("email_otp", &settings.email_otp), ("sms_otp", &settings.sms_otp), ("voice_otp", &settings.voice_otp)]
    {
        if let Some(message) = check_otp(otp) {
            wrong(name, &message);
        }
    }
    for (name, trust) in [("trusted_device", &settings.trusted_device), ("stay_signed_in", &settings.stay_signed_in)] {
        if !(1..=3650).contains(&trust.days) {
            wrong(&format!("{name}.days"), "must be from 1 to 3650 days");
        }
        if !(1..=100).contains(&trust.most) {
            wrong(&format!("{name}.most"), "must be from 1 to 100");
        }
    }
    if !(60..=2_592_000).contains(&settings.bypass.life) {
        wrong("bypass.life", "must be from 60 to 2592000 seconds");
    }
    for (name, count, most) in [
        ("bypass.most", u32::from(settings.bypass.most), 50),
        ("bypass.most_uses", settings.bypass.most_uses, 100),
        ("devices.most", u32::from(settings.devices.most), 100),
        ("devices.generators", u32::from(settings.devices.generators), 100),
    ] {
        if !(1..=most).contains(&count) {
            wrong(name, &format!("must be from 1 to {most}"));
        }
    }
    for (language, texts) in &settings.texts {
        for (name, text) in texts {
            let wrong_text = if pages::is_page_text(name) {
                pages::check_text(name, text).err().map(|problem| problem.to_string())
            } else {
                crate::delivery::check_text(name, text).err().map(|error| error.to_string())
            };
            if let Some(message) = wrong_text {
                wrong(&format!("texts.{language}"), &message);
            }
        }
    }
    for (name, message) in pages::check_look(&settings.look) {
        wrong(&format!("look.{name}"), message);
    }
    let totp = &settings.totp;
    if !matches!(totp.algorithm.as_str(), "SHA1" | "SHA256" | "SHA512") {
        wrong("totp.algorithm", "must be `SHA1`, `SHA256` or `SHA512`");
    }
    if !(6..=12).contains(&totp.digits) {
        wrong("totp.digits", "must be from 6 to 12");
    }
    if !(10..=240).contains(&totp.period) {
        wrong("totp.period", "must be from 10 to 240 seconds");
    }
    if totp.skew > 5 {
        wrong("totp.skew", "must be from 0 to 5");
    }
}

fn check_otp(otp: &OtpSettings) -> Option<String> {
    let mut characters: Vec<char> = otp.charset.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    if characters.len() < 2 || characters.len() != otp.charset.chars().count() || !otp.charset.is_ascii() {
        return Some("`charset` must hold at least two ASCII characters, each once".to_owned());
    }
    // Five tries at a code from a smaller set would be worth a guess.
    let codes = (characters.len() as f64).powi(i32::from(otp.length));
    if !(1..=64).contains(&otp.length) || codes < 10_000.0 {
        return Some("`length` must leave at least 10000 different codes, and be at most 64".to_owned());
    }
    if !(1..=1800).contains(&otp.expiry) {
        return Some("`expiry` must be from 1 to 1800 seconds".to_owned());
    }
    if otp.retries > 10 {
        return Some("`retries` must be from 0 to 10".to_owned());
    }
    None
}
