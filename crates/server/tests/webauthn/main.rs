//! WebAuthn ceremonies from end to end, against a software authenticator, and every way one must be refused
//! although its signature is right.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod browser;

use std::collections::{BTreeMap, BTreeSet};

use browser::{BE, BS, Browser, Claim, Forger, UP, UV, decode, encode};
use countersign::keys::MasterKey;
use countersign::signin::factors::webauthn::{
    Imported, Registration, Request, assertion_options, challenge_id, credential_id, finish_registration, import,
    judge_assertion, judge_unknown, registration_options,
};
use countersign::signin::factors::{Cause, Judgement, Unusable};
use countersign::world::World;
use protocol::records::{Enrolment, RelyingParty, User};
use serde_json::{Value, json};
use store::{Challenge, Change};

const ORIGIN: &str = "https://app.example.test";
const NOW: i64 = 1_777_608_000;

struct Site {
    world: World,
    master: MasterKey,
    rp: RelyingParty,
}

fn site() -> Site {
    Site {
        world: World::fake(NOW),
        master: MasterKey::generate(),
        rp: RelyingParty {
            id: "3f0f7a10-6f5a-4a43-9d7d-6b0f1f1a2b33".into(),
            rp_id: "example.test".to_owned(),
            name: "Example".to_owned(),
            origins: vec![ORIGIN.to_owned(), "https://login.example.test:8443".to_owned()],
            enabled: true,
            attestation: None,
        },
    }
}

fn user(id: &str) -> User {
    User {
        id: id.into(),
        source: "s".into(),
        username: "scott".to_owned(),
        active: true,
        password: None,
        groups: BTreeSet::new(),
        attributes: BTreeMap::new(),
        not_before: 0,
        created: 0,
        updated: 0,
    }
}

impl Site {
    fn registration(&self, user: &User, existing: &[Enrolment], user_verification: &str) -> (Value, Challenge) {
        let request = Registration { user, display_name: "Scott", existing, user_verification };
        registration_options(&self.world, &self.master, &self.rp, request, NOW).unwrap()
    }

    fn finish(&self, challenge: &Challenge, user: &User, response: &Value) -> Result<Enrolment, Judgement> {
        finish_registration(&self.world, &self.master, &self.rp, challenge, &user.id, response, NOW).map(|registered| {
            let [Change::UpdateChallenge(closed), Change::PutEnrolment(put)] = registered.changes.as_slice() else {
                panic!("a registration writes the challenge and the enrolment")
            };
            assert_eq!((closed.state.as_str(), put.version), ("success", 0));
            assert_eq!(*put, registered.enrolment);
            registered.enrolment
        })
    }

    fn assertion(&self, user: Option<&str>, credentials: &[Enrolment], user_verification: &str) -> (Value, Challenge) {
        let request = Request { sign_in: Some("g".into()), user: user.map(Into::into), credentials, user_verification };
        assertion_options(&self.world, &self.master, &self.rp, request, NOW).unwrap()
    }

    fn judge(&self, challenge: &Challenge, enrolment: &Enrolment, response: &Value) -> Judgement {
        judge_assertion(&self.master, &self.rp, challenge, enrolment, response, NOW)
    }

    /// A credential of a forger, registered honestly.
    fn forged(&self, forger: &Forger, owner: &User, flags: u8) -> Enrolment {
        let (options, challenge) = self.registration(owner, &[], "preferred");
        let claim = Claim { flags, ..Claim::honest_create(&options, ORIGIN) };
        self.finish(&challenge, owner, &forger.create(&claim)).unwrap()
    }
}

/// The enrolment a right answer leaves behind.
fn used(judgement: &Judgement) -> Enrolment {
    let [Change::PutEnrolment(enrolment), Change::UpdateChallenge(challenge)] = judgement.changes.as_slice() else {
        panic!("a right answer writes the enrolment and the challenge: {judgement:?}")
    };
    assert_eq!((challenge.state.as_str(), challenge.attempts), ("success", 1));
    enrolment.clone()
}

/// A wrong answer spends the challenge and changes nothing else.
fn refused(judgement: &Judgement, cause: Cause) {
    assert_eq!((judgement.passed, judgement.cause), (false, cause));
    assert!(judgement.challenge_dead && !judgement.user_verified);
    let [Change::UpdateChallenge(challenge)] = judgement.changes.as_slice() else { panic!("{judgement:?}") };
    assert_ne!(challenge.state, "pending");
}

#[tokio::test]
async fn a_credential_is_registered_and_signs_in() {
    let (site, scott) = (site(), user("6040003OH8"));
    let mut browser = Browser::new(true);
    let (options, challenge) = site.registration(&scott, &[], "required");
    assert_eq!(decode(&options["user"]["id"]), b"6040003OH8");
    let response = browser.create(ORIGIN, &options).await.unwrap();
    assert_eq!(challenge_id(&response), Some(challenge.id.clone()));
    let enrolment = site.finish(&challenge, &scott, &response).unwrap();
    assert!(enrolment.validated && enrolment.enabled);
    assert_eq!(enrolment.lookup, credential_id(&response));
    for (member, value) in [
        ("attestationType", json!("None")),
        ("attestationFormat", json!("none")),
        ("aaGuid", json!("00000000-0000-0000-0000-000000000000")),
        ("userVerified", json!(true)),
        ("userPresent", json!(true)),
        ("credentialId", response["rawId"].clone()),
        ("rpId", json!("example.test")),
    ] {
        assert_eq!(enrolment.attributes[member], value, "{member}");
    }

    let (options, challenge) = site.assertion(Some("6040003OH8"), std::slice::from_ref(&enrolment), "preferred");
    assert_eq!(
        options.to_string(),
        format!(
            r#"{{"rpId":"example.test","timeout":240000,"challenge":{},"allowCredentials":[{{"id":{},"type":"public-key"}}],"userVerification":"preferred"}}"#,
            options["challenge"], response["rawId"]
        )
    );
    let answer = browser.get(ORIGIN, &options).await.unwrap();
    assert_eq!(challenge_id(&answer), Some(challenge.id.clone()));
    let judgement = site.judge(&challenge, &enrolment, &answer);
    assert!(judgement.passed && judgement.user_verified, "{judgement:?}");
    let after = used(&judgement);
    assert!(after.attributes["counter"].as_u64().unwrap() > enrolment.attributes["counter"].as_u64().unwrap());
    assert_eq!((after.attempted, after.version), (Some(NOW), enrolment.version));

    // The second time the counter has moved on, in the sealed record as well.
    let (options, challenge) = site.assertion(Some("6040003OH8"), std::slice::from_ref(&after), "required");
    let answer = browser.get(ORIGIN, &options).await.unwrap();
    assert!(site.judge(&challenge, &after, &answer).passed);
}

#[tokio::test]
async fn nobody_needs_to_be_named_when_the_authenticator_says_whose_it_is() {
    let (site, scott) = (site(), user("6040003OH8"));
    let mut browser = Browser::new(true);
    let (options, challenge) = site.registration(&scott, &[], "preferred");
    let enrolment = site.finish(&challenge, &scott, &browser.create(ORIGIN, &options).await.unwrap()).unwrap();
    let (options, challenge) = site.assertion(None, &[], "preferred");
    assert_eq!(options["allowCredentials"], json!([]));
    let answer = browser.get(ORIGIN, &options).await.unwrap();
    assert_eq!(decode(&answer["response"]["userHandle"]), b"6040003OH8");
    assert!(site.judge(&challenge, &enrolment, &answer).passed);

    let forger = Forger::new(b"forged credential");
    let enrolment = site.forged(&forger, &scott, UP);
    for handle in [None, Some(b"6040003OH9".to_vec()), Some(Vec::new())] {
        let (options, challenge) = site.assertion(None, &[], "preferred");
        let claim = Claim { handle, ..Claim::honest_get(&options, ORIGIN, 2, "") };
        refused(&site.judge(&challenge, &enrolment, &forger.get(&claim)), Cause::ForeignCredential);
    }
}

#[tokio::test]
async fn verification_is_told_truly_and_demanded_where_asked() {
    let (site, scott) = (site(), user("6040003OH8"));
    let mut browser = Browser::new(false);
    let (options, challenge) = site.registration(&scott, &[], "discouraged");
    let enrolment = site.finish(&challenge, &scott, &browser.create(ORIGIN, &options).await.unwrap()).unwrap();
    assert_eq!(enrolment.attributes["userVerified"], json!(false));
    let (options, challenge) = site.assertion(None, std::slice::from_ref(&enrolment), "discouraged");
    let answer = browser.get(ORIGIN, &options).await.unwrap();
    let judgement = site.judge(&challenge, &enrolment, &answer);
    assert!(judgement.passed && !judgement.user_verified);

    let forger = Forger::new(b"forged credential");
    let enrolment = site.forged(&forger, &scott, UP);
    let (options, challenge) = site.assertion(None, std::slice::from_ref(&enrolment), "required");
    let claim = Claim { flags: UP, ..Claim::honest_get(&options, ORIGIN, 2, "6040003OH8") };
    refused(&site.judge(&challenge, &enrolment, &forger.get(&claim)), Cause::NotVerified);

    let (options, challenge) = site.registration(&scott, &[], "required");
    let claim = Claim { flags: UP, ..Claim::honest_create(&options, ORIGIN) };
    refused(&site.finish(&challenge, &scott, &forger.create(&claim)).unwrap_err(), Cause::NotVerified);
}

#[test]
fn a_rightly_signed_assertion_with_one_thing_wrong_is_refused() {
    let (site, scott) = (site(), user("6040003OH8"));
    let forger = Forger::new(b"forged credential");
    let enrolment = site.forged(&forger, &scott, UP | UV);
    let with = |change: &dyn Fn(&mut Claim)| {
        let (options, challenge) = site.assertion(Some("6040003OH8"), std::slice::from_ref(&enrolment), "preferred");
        let mut claim = Claim::honest_get(&options, ORIGIN, 2, "6040003OH8");
        change(&mut claim);
        site.judge(&challenge, &enrolment, &forger.get(&claim))
    };
    // The forger can be honest; each refusal below is about its one difference.
    assert!(with(&|_| ()).passed);
    assert!(with(&|c| c.origin = "https://login.example.test:8443".to_owned()).passed);
    assert!(with(&|c| c.handle = None).passed);
    let other = site.assertion(Some("6040003OH8"), std::slice::from_ref(&enrolment), "preferred").0;
    let other = other["challenge"].as_str().unwrap();
    type Case<'a> = (Cause, &'a dyn Fn(&mut Claim));
    let table: [Case<'_>; 20] = [
        (Cause::WrongOrigin, &|c| c.origin = "https://evil.example.test".to_owned()),
        (Cause::WrongOrigin, &|c| c.origin = "http://app.example.test".to_owned()),
        (Cause::WrongOrigin, &|c| c.origin = "https://app.example.test:444".to_owned()),
        (Cause::WrongOrigin, &|c| c.origin = "https://app.example.test/".to_owned()),
        (Cause::WrongOrigin, &|c| c.origin = "https://app.example.test.evil.test".to_owned()),
        (Cause::WrongOrigin, &|c| c.origin = "null".to_owned()),
        (Cause::WrongOrigin, &|c| c.cross_origin = true),
        (Cause::WrongCeremony, &|c| c.rp_id = "app.example.test".to_owned()),
        (Cause::WrongCeremony, &|c| c.kind = "webauthn.create"),
        (Cause::WrongCeremony, &|c| c.kind = "payment.get"),
        (Cause::WrongCeremony, &|c| c.challenge = other.to_owned()),
        (Cause::WrongCeremony, &|c| c.challenge = String::new()),
        (Cause::WrongCeremony, &|c| c.challenge.push_str("AAAA")),
        (Cause::NotPresent, &|c| c.flags = UV),
        (Cause::CounterWentBack, &|c| c.counter = 1),
        (Cause::CounterWentBack, &|c| c.counter = 0),
        (Cause::BackupChanged, &|c| c.flags |= BE),
        (Cause::Malformed, &|c| c.flags |= BS),
        (Cause::ForeignCredential, &|c| c.handle = Some(b"6040003OH9".to_vec())),
        (Cause::ForeignCredential, &|c| c.handle = Some(b"6040003OH80".to_vec())),
    ];
    for (index, (cause, change)) in table.into_iter().enumerate() {
        let judgement = with(change);
        assert_eq!(judgement.cause, cause, "case {index}");
        refused(&judgement, cause);
    }
}

#[test]
fn a_challenge_is_answered_once_in_time_by_whom_and_where_it_was_made_for() {
    let (site, scott) = (site(), user("6040003OH8"));
    let forger = Forger::new(b"forged credential");
    let enrolment = site.forged(&forger, &scott, UP | UV);
    let (options, challenge) = site.assertion(Some("6040003OH8"), std::slice::from_ref(&enrolment), "preferred");
    let answer = forger.get(&Claim::honest_get(&options, ORIGIN, 2, "6040003OH8"));
    let judged = |challenge: &Challenge, enrolment: &Enrolment, rp: &RelyingParty, now| {
        judge_assertion(&site.master, rp, challenge, enrolment, &answer, now)
    };
    assert!(judged(&challenge, &enrolment, &site.rp, NOW + 239).passed);
    for state in ["success", "failed", "canceled", "timeout"] {
        let spent = Challenge { state: state.to_owned(), ..challenge.clone() };
        let judgement = judged(&spent, &enrolment, &site.rp, NOW);
        assert_eq!((judgement.passed, judgement.cause, judgement.changes.len()), (false, Cause::NotPending, 0));
    }
    let tried = Challenge { attempts: 1, ..challenge.clone() };
    assert_eq!(judged(&tried, &enrolment, &site.rp, NOW).cause, Cause::NotPending);
    refused(&judged(&challenge, &enrolment, &site.rp, NOW + 240), Cause::Expired);
    // Another relying party of the tenant, though of the same domain.
    let other = RelyingParty { id: "another".into(), ..site.rp.clone() };
    refused(&judged(&challenge, &enrolment, &other, NOW), Cause::WrongCeremony);
    let off = RelyingParty { enabled: false, ..site.rp.clone() };
    refused(&judged(&challenge, &enrolment, &off, NOW), Cause::Disabled);
    // A challenge of another person, of another kind, with the state of another row.
    let theirs = Challenge { user: Some("50CP15KFD3".into()), ..challenge.clone() };
    refused(&judged(&theirs, &enrolment, &site.rp, NOW), Cause::ForeignCredential);
    let code = Challenge { kind: "email-otp".to_owned(), ..challenge.clone() };
    assert_eq!(judged(&code, &enrolment, &site.rp, NOW).cause, Cause::NotPending);
    let (_, second) = site.assertion(Some("6040003OH8"), std::slice::from_ref(&enrolment), "preferred");
    let swapped = Challenge { secret: second.secret, ..challenge.clone() };
    refused(&judged(&swapped, &enrolment, &site.rp, NOW), Cause::Unreadable);
    // A challenge for registration does not sign in.
    let (_, registration) = site.registration(&scott, &[], "preferred");
    refused(&judged(&registration, &enrolment, &site.rp, NOW), Cause::WrongCeremony);
    let disabled = Enrolment { enabled: false, ..enrolment };
    refused(&judged(&challenge, &disabled, &site.rp, NOW), Cause::Disabled);
    refused(&judge_unknown(&challenge, NOW), Cause::UnknownCredential);
}

#[test]
fn another_credential_is_not_taken_for_the_one_named() {
    let (site, scott, pat) = (site(), user("6040003OH8"), user("50CP15KFD3"));
    let (of_scott, of_pat) = (Forger::new(b"the credential of scott"), Forger::new(b"the credential of pat"));
    let scotts = site.forged(&of_scott, &scott, UP);
    let pats = site.forged(&of_pat, &pat, UP);
    // Pat's authenticator answers a challenge for Scott: looked up by what is named, then by what was asked for.
    for enrolment in [&scotts, &pats] {
        let (options, challenge) = site.assertion(Some("6040003OH8"), std::slice::from_ref(&scotts), "preferred");
        for handle in ["6040003OH8", "50CP15KFD3"] {
            let answer = of_pat.get(&Claim::honest_get(&options, ORIGIN, 2, handle));
            refused(&site.judge(&challenge, enrolment, &answer), Cause::ForeignCredential);
        }
    }
    // Pat's key under the name of Scott's credential.
    let thief = Forger::new(b"the credential of scott");
    let (options, challenge) = site.assertion(Some("6040003OH8"), std::slice::from_ref(&scotts), "preferred");
    let answer = thief.get(&Claim::honest_get(&options, ORIGIN, 2, "6040003OH8"));
    refused(&site.judge(&challenge, &scotts, &answer), Cause::BadSignature);
    // Without the key nobody can make a credential look copied: the signature comes before the counter.
    let (options, challenge) = site.assertion(Some("6040003OH8"), std::slice::from_ref(&scotts), "preferred");
    let answer = thief.get(&Claim::honest_get(&options, ORIGIN, 0, "6040003OH8"));
    refused(&site.judge(&challenge, &scotts, &answer), Cause::BadSignature);
}

#[test]
fn a_changed_byte_anywhere_in_what_was_signed_is_noticed() {
    let (site, scott) = (site(), user("6040003OH8"));
    let forger = Forger::new(b"forged credential");
    let enrolment = site.forged(&forger, &scott, UP | UV);
    let (options, challenge) = site.assertion(Some("6040003OH8"), std::slice::from_ref(&enrolment), "preferred");
    let honest = forger.get(&Claim::honest_get(&options, ORIGIN, 2, "6040003OH8"));
    assert!(site.judge(&challenge, &enrolment, &honest).passed);
    for member in ["clientDataJSON", "authenticatorData", "signature"] {
        let bytes = decode(&honest["response"][member]);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x01;
            let mut answer = honest.clone();
            answer["response"][member] = encode(&changed).into();
            assert!(!site.judge(&challenge, &enrolment, &answer).passed, "{member} at {at}");
            answer["response"][member] = encode(&bytes[..at]).into();
            assert!(!site.judge(&challenge, &enrolment, &answer).passed, "{member} cut at {at}");
        }
    }
}

#[test]
fn malformed_responses_are_refused_and_padded_ones_read() {
    let (site, scott) = (site(), user("6040003OH8"));
    let forger = Forger::new(b"forged credential");
    let enrolment = site.forged(&forger, &scott, UP | UV);
    let (options, challenge) = site.assertion(Some("6040003OH8"), std::slice::from_ref(&enrolment), "preferred");
    let honest = forger.get(&Claim::honest_get(&options, ORIGIN, 2, "6040003OH8"));
    let mut padded = honest.clone();
    padded.as_object_mut().unwrap().remove("id");
    assert_eq!(b"forged credential".len() % 3, 2, "one padding character");
    padded["rawId"] = format!("{}=", honest["rawId"].as_str().unwrap()).into();
    assert!(site.judge(&challenge, &enrolment, &padded).passed);
    let changed = |path: &str, value: Value| {
        let mut answer = honest.clone();
        *answer.pointer_mut(path).unwrap() = value;
        answer
    };
    let long = "A".repeat(20_000);
    for answer in [
        json!(null),
        json!([]),
        json!("x"),
        json!({}),
        changed("/type", json!("password")),
        changed("/rawId", json!("!")),
        changed("/rawId", json!(7)),
        changed("/id", json!("AAAA")),
        changed("/response", json!(null)),
        changed("/response/clientDataJSON", json!("")),
        changed("/response/clientDataJSON", json!(encode(b"{}"))),
        changed("/response/clientDataJSON", json!(encode(b"[[[["))),
        changed("/response/clientDataJSON", json!(long)),
        changed("/response/authenticatorData", json!("")),
        changed("/response/authenticatorData", json!(null)),
        changed("/response/authenticatorData", json!(encode(&[0; 36]))),
        changed("/response/signature", json!("")),
        changed("/response/userHandle", json!({})),
        changed("/response/userHandle", json!("!")),
    ] {
        let judgement = site.judge(&challenge, &enrolment, &answer);
        assert!(!judgement.passed && judgement.challenge_dead, "{answer}");
    }
    for odd in [json!(null), json!({ "rawId": "" }), json!({ "rawId": 3 }), json!({ "id": "é" })] {
        assert_eq!(credential_id(&odd), None);
        assert_eq!(challenge_id(&odd), None);
    }
}

#[test]
fn a_registration_with_one_thing_wrong_is_refused() {
    let (site, scott) = (site(), user("6040003OH8"));
    let forger = Forger::new(b"forged credential");
    let with = |change: &dyn Fn(&mut Claim)| {
        let (options, challenge) = site.registration(&scott, &[], "preferred");
        let mut claim = Claim::honest_create(&options, ORIGIN);
        change(&mut claim);
        site.finish(&challenge, &scott, &forger.create(&claim))
    };
    let made = with(&|_| ()).unwrap();
    assert_eq!(made.attributes["transports"], json!(["internal"]));
    assert_eq!(with(&|c| c.flags = UP | BE | BS).unwrap().attributes["backupState"], json!(true));
    type Case<'a> = (Cause, &'a dyn Fn(&mut Claim));
    let table: [Case<'_>; 10] = [
        (Cause::WrongOrigin, &|c| c.origin = "https://evil.example.test".to_owned()),
        (Cause::WrongOrigin, &|c| c.cross_origin = true),
        (Cause::WrongCeremony, &|c| c.kind = "webauthn.get"),
        (Cause::WrongCeremony, &|c| c.rp_id = "evil.test".to_owned()),
        (Cause::WrongCeremony, &|c| c.challenge = "AAAA".to_owned()),
        (Cause::NotPresent, &|c| c.flags = UV),
        (Cause::Malformed, &|c| c.flags = UP | BS),
        (Cause::NotAccepted, &|c| c.algorithm = -9),
        (Cause::NotAccepted, &|c| c.format = "apple"),
        (Cause::NotAccepted, &|c| c.format = "packed"),
    ];
    for (index, (cause, change)) in table.into_iter().enumerate() {
        let judgement = with(change).unwrap_err();
        assert_eq!(judgement.cause, cause, "case {index}");
        refused(&judgement, cause);
    }
    // Somebody else's challenge, one used before, one too old, one for signing in.
    let (options, challenge) = site.registration(&user("50CP15KFD3"), &[], "preferred");
    let answer = forger.create(&Claim::honest_create(&options, ORIGIN));
    refused(&site.finish(&challenge, &scott, &answer).unwrap_err(), Cause::ForeignCredential);
    let spent = Challenge { state: "success".to_owned(), user: Some(scott.id.clone()), ..challenge.clone() };
    assert_eq!(site.finish(&spent, &scott, &answer).unwrap_err().cause, Cause::NotPending);
    let old = Challenge { expires: NOW, user: Some(scott.id.clone()), ..challenge };
    refused(&site.finish(&old, &scott, &answer).unwrap_err(), Cause::Expired);
    let (_, for_signing_in) = site.assertion(Some("6040003OH8"), &[], "preferred");
    refused(&site.finish(&for_signing_in, &scott, &answer).unwrap_err(), Cause::WrongCeremony);
}

#[test]
fn options_name_what_may_be_used_and_what_is_there_already() {
    let (site, scott) = (site(), user("6040003OH8"));
    let forger = Forger::new(b"forged credential");
    let enrolment = site.forged(&forger, &scott, UP);
    let elsewhere = RelyingParty { rp_id: "other.test".to_owned(), ..site.rp.clone() };
    let imported = Imported {
        id: "imported".into(),
        user: scott.id.clone(),
        credential_id: "Zm9v",
        public_key: &encode(&forger.cose(-7)),
        algorithm: -7,
        counter: 0,
        backup_eligible: false,
        nickname: "Laptop",
        transports: vec!["usb".to_owned()],
    };
    let of_elsewhere = import(&site.master, &elsewhere, imported.clone(), NOW).unwrap();
    let disabled = Enrolment { enabled: false, ..import(&site.master, &site.rp, imported, NOW).unwrap() };
    let all = [enrolment.clone(), of_elsewhere, disabled];
    let (options, _) = site.assertion(Some("6040003OH8"), &all, "preferred");
    assert_eq!(options["allowCredentials"], json!([{ "id": enrolment.lookup, "type": "public-key" }]));
    let (options, _) = site.registration(&scott, &all, "preferred");
    let excluded: Vec<&str> =
        options["excludeCredentials"].as_array().unwrap().iter().filter_map(|entry| entry["id"].as_str()).collect();
    assert_eq!(excluded, [enrolment.lookup.as_deref().unwrap(), "Zm9v"]);
    let request = Request { sign_in: None, user: None, credentials: &[], user_verification: "always" };
    let made = assertion_options(&site.world, &site.master, &site.rp, request, NOW);
    assert_eq!(made.map(|_| ()).unwrap_err(), Unusable::BadUserVerification);
    let off = RelyingParty { enabled: false, ..site.rp.clone() };
    let request = Request { sign_in: None, user: None, credentials: &[], user_verification: "preferred" };
    let made = assertion_options(&site.world, &site.master, &off, request, NOW);
    assert_eq!(made.map(|_| ()).unwrap_err(), Unusable::RelyingPartyOff);
}

#[test]
fn an_imported_credential_signs_in_and_one_without_a_counter_stays_without() {
    let (site, scott) = (site(), user("6040003OH8"));
    let forger = Forger::new(b"foo");
    let imported = Imported {
        id: "imported".into(),
        user: scott.id.clone(),
        credential_id: "Zm9v",
        public_key: &encode(&forger.cose(-7)),
        algorithm: -7,
        counter: 0,
        backup_eligible: true,
        nickname: "Laptop",
        transports: Vec::new(),
    };
    let enrolment = import(&site.master, &site.rp, imported.clone(), NOW).unwrap();
    let answered = |enrolment: &Enrolment, counter| {
        let (options, challenge) = site.assertion(Some("6040003OH8"), std::slice::from_ref(enrolment), "preferred");
        let claim = Claim { flags: UP | BE | BS, ..Claim::honest_get(&options, ORIGIN, counter, "6040003OH8") };
        site.judge(&challenge, enrolment, &forger.get(&claim))
    };
    let after = used(&answered(&enrolment, 0));
    assert_eq!(after.attributes["backupState"], json!(true));
    let after = used(&answered(&after, 0));
    // Once it counts, it must go on counting.
    let after = used(&answered(&after, 5));
    refused(&answered(&after, 0), Cause::CounterWentBack);
    for bad in [
        Imported { credential_id: "", ..imported.clone() },
        Imported { public_key: "!", ..imported.clone() },
        Imported { algorithm: -65535, ..imported },
    ] {
        assert!(import(&site.master, &site.rp, bad, NOW).is_err());
    }
}
