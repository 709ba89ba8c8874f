#![allow(clippy::unwrap_used, clippy::panic)]
use std::collections::BTreeMap;

use protocol::records::TenantSettings;

use super::*;

const NOW: Seconds = 1_777_608_000;

fn tenant(change: impl FnOnce(&mut TenantSettings)) -> Tenant {
    let mut settings = TenantSettings::default();
    change(&mut settings);
    Tenant {
        id: "demo".into(),
        name: "Example".to_owned(),
        urls: vec!["https://login.example.test".to_owned()],
        settings,
        managed: protocol::records::Managed::default(),
    }
}

fn request(kind: FactorKind, to: &str) -> Request<'_> {
    Request {
        kind,
        sign_in: Some("g".into()),
        user: Some("6040003OH8".into()),
        enrolment: Some("e".into()),
        to,
        correlation: None,
    }
}

fn issued(master: &MasterKey, tenant: &Tenant) -> Issued {
    issue(&World::fake(NOW), master, tenant, request(FactorKind::EmailOtp, "scott@acme.org"), NOW).unwrap()
}

/// The challenge a judgement leaves behind.
fn after(judgement: &Judgement) -> Challenge {
    let [Change::UpdateChallenge(challenge)] = judgement.changes.as_slice() else { panic!("no challenge") };
    challenge.clone()
}

fn code(issued: &Issued) -> Secret<String> {
    issued.message.code.clone().unwrap()
}

/// A code of the same form that is not the one sent.
fn wrong(issued: &Issued) -> Secret<String> {
    let first = if code(issued).expose().starts_with('0') { "1" } else { "0" };
    Secret::new(format!("{first}{}", &code(issued).expose()[1..]))
}

#[test]
fn the_right_code_passes_once() {
    let master = MasterKey::generate();
    let issued = issued(&master, &tenant(|_| ()));
    let judgement = judge(&master, &issued.challenge, &code(&issued), NOW + 299);
    assert!(judgement.passed && !judgement.challenge_dead);
    let next = after(&judgement);
    assert_eq!((next.state.as_str(), next.attempts, next.version), ("success", 1, issued.challenge.version));
    let again = judge(&master, &next, &code(&issued), NOW + 299);
    assert!(!again.passed && again.changes.is_empty());
    assert_eq!(again.cause, Cause::NotPending);
}

#[test]
fn five_tries_by_default_and_the_right_code_after_them_is_dead() {
    let master = MasterKey::generate();
    let issued = issued(&master, &tenant(|_| ()));
    let mut challenge = issued.challenge.clone();
    for attempt in 1..=5 {
        assert_eq!(challenge.state, "pending");
        let judgement = judge(&master, &challenge, &wrong(&issued), NOW);
        assert!(!judgement.passed);
        let last = attempt == 5;
        assert_eq!(judgement.challenge_dead, last);
        assert_eq!(judgement.cause, if last { Cause::NoTriesLeft } else { Cause::WrongCode });
        challenge = after(&judgement);
        assert_eq!(challenge.attempts, attempt);
    }
    assert_eq!(challenge.state, "failed");
    assert!(!judge(&master, &challenge, &code(&issued), NOW).passed);
    // Nor does a row that was put back to pending come to life again.
    challenge.state = "pending".to_owned();
    assert_eq!(judge(&master, &challenge, &code(&issued), NOW).cause, Cause::NoTriesLeft);
}

#[test]
fn an_expired_code_is_not_accepted_and_is_told_apart() {
    let master = MasterKey::generate();
    let issued = issued(&master, &tenant(|_| ()));
    let judgement = judge(&master, &issued.challenge, &code(&issued), NOW + 300);
    assert_eq!((judgement.passed, judgement.challenge_dead, judgement.cause), (false, true, Cause::Expired));
    assert_eq!(after(&judgement).state, "timeout");
}

#[test]
fn a_code_counts_only_for_its_own_challenge_and_key() {
    let master = MasterKey::generate();
    let tenant = tenant(|_| ());
    let (one, two) = (issued(&master, &tenant), issued(&master, &tenant));
    let moved = Challenge { secret: one.challenge.secret.clone(), ..two.challenge.clone() };
    assert!(!judge(&master, &moved, &code(&one), NOW).passed);
    assert!(!judge(&MasterKey::generate(), &one.challenge, &code(&one), NOW).passed);
    for odd in ["", " ", "0", "\0", "٣٣٣٣٣٣"] {
        assert!(!judge(&master, &one.challenge, &Secret::from(odd), NOW).passed, "{odd:?}");
    }
    let blank = Challenge { secret: Vec::new(), ..one.challenge.clone() };
    assert!(!judge(&master, &blank, &Secret::from(""), NOW).passed);
}

#[test]
fn nothing_stored_holds_the_code() {
    let master = MasterKey::generate();
    let issued = issued(&master, &tenant(|s| s.email_otp.length = 12));
    let stored = format!("{:?}", issued.challenge);
    assert!(!stored.contains(code(&issued).expose()));
    assert!(!format!("{:?}", issued.message).contains(code(&issued).expose()));
}

#[test]
fn a_strangers_code_is_never_right() {
    let master = MasterKey::generate();
    let tenant = tenant(|_| ());
    let nobody = Request { user: None, enrolment: None, ..request(FactorKind::EmailOtp, "nobody@acme.org") };
    let issued = issue(&World::fake(NOW), &master, &tenant, nobody, NOW).unwrap();
    assert_eq!(judge(&master, &issued.challenge, &code(&issued), NOW).cause, Cause::WrongCode);
}

#[test]
fn codes_follow_charset_length_life_and_retries_within_their_bounds() {
    let master = MasterKey::generate();
    let own = tenant(|s| {
        s.email_otp.charset = "BCDF".to_owned();
        s.email_otp.length = 9;
        s.email_otp.expiry = 60;
        s.email_otp.retries = 0;
    });
    let issued_own = issued(&master, &own);
    assert_eq!(code(&issued_own).expose().len(), 9);
    assert!(code(&issued_own).expose().chars().all(|c| "BCDF".contains(c)));
    assert_eq!((issued_own.challenge.max_attempts, issued_own.challenge.expires), (1, NOW + 60));
    assert_eq!(judge(&master, &issued_own.challenge, &Secret::from("x"), NOW).cause, Cause::NoTriesLeft);
    let silly = tenant(|s| {
        s.email_otp.length = 0;
        s.email_otp.expiry = 1_000_000;
        s.email_otp.retries = 255;
    });
    let issued_silly = issued(&master, &silly);
    assert_eq!(code(&issued_silly).expose().len(), 4);
    assert_eq!((issued_silly.challenge.max_attempts, issued_silly.challenge.expires), (11, NOW + 1800));
}

#[test]
fn the_correlation_is_shown_and_is_letters_and_digits() {
    let master = MasterKey::generate();
    let tenant = tenant(|_| ());
    let world = World::fake(NOW);
    let with = |correlation| {
        let request = Request { correlation, ..request(FactorKind::EmailOtp, "scott@acme.org") };
        issue(&world, &master, &tenant, request, NOW)
    };
    let shown =
        |issued: &Issued| -> BTreeMap<String, String> { serde_json::from_str(&issued.challenge.shown).unwrap() };
    let own = with(Some("aB3")).unwrap();
    assert_eq!(shown(&own)["correlation"], "aB3");
    assert_eq!(shown(&own)["emailAddress"], "scott@acme.org");
    let put_before = format!("aB3-{}", code(&own).expose());
    assert!(own.message.subject.contains(&put_before));
    assert!(own.message.text.expose().contains(&put_before));
    for absent in [None, Some("")] {
        let drawn = shown(&with(absent).unwrap())["correlation"].clone();
        assert!(drawn.len() == 4 && drawn.bytes().all(|b| b.is_ascii_digit()), "{drawn}");
    }
    for bad in ["a b", "a-b", "<b>", "ä", "a\r\nBcc: x", &"a".repeat(33)] {
        assert_eq!(with(Some(bad)).map(|_| ()).unwrap_err(), Unusable::BadCorrelation, "{bad:?}");
    }
}

#[test]
fn addresses_are_checked_and_domains_listed() {
    let master = MasterKey::generate();
    let world = World::fake(NOW);
    let try_with =
        |tenant: &Tenant, kind, to: &str| issue(&world, &master, tenant, request(kind, to), NOW).map(|_| ()).err();
    let open = tenant(|_| ());
    for bad in ["", "scott", "scott@", "@acme.org", "a@b@c", "scott@acme.org\r\nRCPT TO:<x@y.z>", "a b@acme.org"] {
        assert_eq!(try_with(&open, FactorKind::EmailOtp, bad), Some(Unusable::BadAddress), "{bad:?}");
    }
    for bad in ["", "5551234567", "+", "+12345", "+1234567890123456", "+1555 1234567", "+1555123456x"] {
        assert_eq!(try_with(&open, FactorKind::SmsOtp, bad), Some(Unusable::BadAddress), "{bad:?}");
    }
    assert_eq!(try_with(&open, FactorKind::VoiceOtp, "+15551234567"), None);
    let listed = tenant(|s| s.email_otp.allowlist = vec!["acme.org".to_owned()]);
    assert_eq!(try_with(&listed, FactorKind::EmailOtp, "scott@ACME.org"), None);
    for other in ["scott@evil.acme.org", "scott@notacme.org", "scott@example.test"] {
        assert_eq!(try_with(&listed, FactorKind::EmailOtp, other), Some(Unusable::DomainNotAllowed));
    }
    let denied = tenant(|s| s.email_otp.denylist = vec!["example.test".to_owned()]);
    assert_eq!(try_with(&denied, FactorKind::EmailOtp, "a@Example.Test"), Some(Unusable::DomainNotAllowed));
    assert_eq!(try_with(&denied, FactorKind::EmailOtp, "a@acme.org"), None);
    let off = tenant(|s| s.email_otp.enabled = false);
    assert_eq!(try_with(&off, FactorKind::EmailOtp, "a@acme.org"), Some(Unusable::SwitchedOff));
    assert_eq!(try_with(&open, FactorKind::Totp, "a@acme.org"), Some(Unusable::SwitchedOff));
}
