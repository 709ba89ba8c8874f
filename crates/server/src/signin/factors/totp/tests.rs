#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;

/// The ASCII secrets of RFC 6238, appendix B, in base32.
const SHA1: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const SHA256: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA";
const SHA512: &str =
    "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNA";
const NOW: Seconds = 1_111_111_109;

fn settings(algorithm: &str, digits: u8) -> TotpSettings {
    TotpSettings { algorithm: algorithm.to_owned(), digits, ..TotpSettings::default() }
}

fn enrolment(master: &MasterKey, settings: &TotpSettings, base32: &str) -> Enrolment {
    let id = EnrolmentId::from("9f0c1a52-8b2f-4e07-9f53-3a4d7b1c2e90");
    Enrolment {
        payload: seal(master, &id, settings, &base32.into()).unwrap(),
        id,
        user: "6040003OH8".into(),
        kind: "totp".to_owned(),
        enabled: true,
        validated: false,
        attributes: attributes(settings, "scott"),
        lookup: None,
        created: 0,
        updated: 0,
        attempted: None,
        version: 3,
    }
}

fn put(judgement: &Judgement) -> Enrolment {
    let Some(Change::PutEnrolment(enrolment)) = judgement.changes.last() else { panic!("no enrolment") };
    enrolment.clone()
}

#[test]
fn rfc_6238_vectors() {
    let master = MasterKey::generate();
    let table = [
        (59, "94287082", "46119246", "90693936"),
        (1_111_111_109, "07081804", "68084774", "25091201"),
        (1_111_111_111, "14050471", "67062674", "99943326"),
        (1_234_567_890, "89005924", "91819424", "93441116"),
        (2_000_000_000, "69279037", "90698825", "38618901"),
        (20_000_000_000, "65353130", "77737706", "47863826"),
    ];
    for (time, sha1, sha256, sha512) in table {
        for (algorithm, secret, code) in [("SHA1", SHA1, sha1), ("SHA256", SHA256, sha256), ("SHA512", SHA512, sha512)]
        {
            let settings = TotpSettings { skew: 0, ..settings(algorithm, 8) };
            let enrolment = enrolment(&master, &settings, secret);
            assert!(judge(&master, &enrolment, &settings, &code.into(), time).passed, "{algorithm} at {time}");
            assert!(!judge(&master, &enrolment, &settings, &code.into(), time + 60).passed);
        }
    }
}

#[test]
fn rfc_4226_truncation_with_up_to_twelve_digits() {
    // Appendix D: the value for counter 0 is 1284755224, for counter 3 it is 1726969429 (decimal, before reduction).
    let master = MasterKey::generate();
    for (digits, first, fourth) in
        [(6, "755224", "969429"), (10, "1284755224", "1726969429"), (12, "001284755224", "001726969429")]
    {
        let settings = TotpSettings { skew: 0, ..settings("SHA1", digits) };
        let enrolment = enrolment(&master, &settings, SHA1);
        assert!(judge(&master, &enrolment, &settings, &first.into(), 0).passed, "{digits}");
        assert!(judge(&master, &enrolment, &settings, &fourth.into(), 3 * 30).passed, "{digits}");
    }
}

#[test]
fn a_code_is_dead_once_used_and_so_is_every_earlier_one() {
    let master = MasterKey::generate();
    let settings = settings("SHA1", 8);
    let fresh = enrolment(&master, &settings, SHA1);
    // Step 37037036 (…109) and step 37037037 (…111) are both within the window at …111.
    let right = judge(&master, &fresh, &settings, &"14050471".into(), 1_111_111_111);
    assert!(right.passed && !right.user_verified);
    let [Change::Spend { key, expires }, Change::PutEnrolment(used)] = right.changes.as_slice() else { panic!() };
    assert_eq!(key, &format!("totp:{}:37037037", fresh.id));
    assert!(*expires > 1_111_111_111 + 60);
    assert_eq!((used.validated, used.attempted, used.version), (true, Some(1_111_111_111), 3));
    let again = judge(&master, used, &settings, &"14050471".into(), 1_111_111_111);
    assert_eq!((again.passed, again.cause), (false, Cause::Replayed));
    let earlier = judge(&master, used, &settings, &"07081804".into(), 1_111_111_111);
    assert_eq!((earlier.passed, earlier.cause), (false, Cause::Replayed));
    // The clock moved back.
    assert!(!judge(&master, used, &settings, &"07081804".into(), NOW).passed);
    // Every spelling of a second use is refused even where the tenant allows codes to be used again elsewhere.
    let reuse = TotpSettings { one_time_use: false, ..settings };
    assert!(judge(&master, used, &reuse, &"14050471".into(), 1_111_111_111).passed);
}

#[test]
fn the_window_is_as_wide_as_the_skew() {
    let master = MasterKey::generate();
    for (skew, offset, accepted) in [
        (0, 30, false),
        (1, 30, true),
        (1, -30, true),
        (1, 60, false),
        (5, 150, true),
        (5, 180, false),
        (200, 180, false),
    ] {
        let settings = TotpSettings { skew, ..settings("SHA1", 8) };
        let enrolment = enrolment(&master, &settings, SHA1);
        assert_eq!(
            judge(&master, &enrolment, &settings, &"07081804".into(), NOW + offset).passed,
            accepted,
            "{skew} {offset}"
        );
    }
}

#[test]
fn malformed_codes_are_wrong_codes() {
    let master = MasterKey::generate();
    let settings = settings("SHA1", 8);
    let enrolment = enrolment(&master, &settings, SHA1);
    for odd in ["", "7081804", "+7081804", " 07081804", "07081804 ", "٠٧٠٨١٨٠٤", "070818040", "\0"] {
        let judgement = judge(&master, &enrolment, &settings, &odd.into(), NOW);
        assert_eq!((judgement.cause, judgement.changes.len()), (Cause::WrongCode, 0), "{odd:?}");
    }
    assert_eq!(judge(&master, &enrolment, &settings, &"07081804".into(), -5).cause, Cause::WrongCode);
}

#[test]
fn what_is_switched_off_moved_or_sealed_elsewhere_passes_nobody() {
    let master = MasterKey::generate();
    let settings = settings("SHA1", 8);
    let enrolment = enrolment(&master, &settings, SHA1);
    let code = Secret::from("07081804");
    let off = Enrolment { enabled: false, ..enrolment.clone() };
    assert_eq!(judge(&master, &off, &settings, &code, NOW).cause, Cause::Disabled);
    let moved = Enrolment { id: "another".into(), ..enrolment.clone() };
    assert_eq!(judge(&master, &moved, &settings, &code, NOW).cause, Cause::Unreadable);
    assert_eq!(judge(&MasterKey::generate(), &enrolment, &settings, &code, NOW).cause, Cause::Unreadable);
    let empty = Enrolment { payload: Vec::new(), ..enrolment };
    assert_eq!(judge(&master, &empty, &settings, &code, NOW).cause, Cause::Unreadable);
}

#[test]
fn enrolling_gives_a_secret_that_an_app_reads_and_the_store_does_not() {
    let (world, master) = (World::fake(NOW), MasterKey::generate());
    let settings = TotpSettings::default();
    let made = enrol(&world, &master, &settings, &"6040003OH8".into(), "Acme & Co", "scott@acme.org", NOW).unwrap();
    assert_eq!(made.secret.expose().len(), 32);
    assert!(!made.enrolment.validated);
    assert_eq!(made.enrolment.attributes["digits"], 6);
    assert!(!format!("{:?}", made.enrolment).contains(made.secret.expose()));
    // Another implementation reads the address and makes a code that is accepted.
    let app = Totp::from_url(made.uri.expose()).unwrap();
    assert_eq!((app.issuer(), app.account_name()), (Some("Acme & Co"), "scott@acme.org"));
    let code = app.generate(u64::try_from(NOW).unwrap()).to_string();
    let judgement = judge(&master, &made.enrolment, &settings, &code.into(), NOW);
    assert!(judgement.passed && put(&judgement).validated);
    assert!(holds(&master, &made.enrolment, &settings, &made.secret));
    assert!(!holds(&master, &made.enrolment, &settings, &SHA1.into()));
}

#[test]
fn secrets_and_settings_out_of_bounds_are_refused() {
    let master = MasterKey::generate();
    let id = EnrolmentId::from("e");
    let sealed = |settings: &TotpSettings, secret: &str| seal(&master, &id, settings, &secret.into()).err();
    let fine = TotpSettings::default();
    assert_eq!(sealed(&fine, "gezd gnbv gy3t qojq gezd gnbv gy3t qojq===="), None);
    for bad in ["", "GEZDGNBV", "!!!!", "0189", &"A".repeat(400)] {
        assert_eq!(sealed(&fine, bad), Some(Unusable::BadSecret), "{bad}");
    }
    let bad = [
        TotpSettings { digits: 5, ..fine.clone() },
        TotpSettings { digits: 13, ..fine.clone() },
        TotpSettings { period: 0, ..fine.clone() },
        TotpSettings { algorithm: "MD5".to_owned(), ..fine.clone() },
    ];
    for settings in bad {
        assert_eq!(sealed(&settings, SHA1), Some(Unusable::BadSettings), "{settings:?}");
    }
}
