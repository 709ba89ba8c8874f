//! The same ceremonies, good and tampered, before both judges: ours must never accept what the other refuses, and where
//! ours is the stricter one the table says so.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "../../server/tests/webauthn/browser.rs"]
#[allow(dead_code)]
mod browser;

use std::collections::{BTreeMap, BTreeSet};

use browser::{BE, BS, Browser, Claim, Forger, UP, UV, decode, encode};
use countersign::keys::MasterKey;
use countersign::signin::factors::webauthn::{
    Registration, Request, assertion_options, finish_registration, judge_assertion, registration_options,
};
use countersign::world::World;
use judges::{Known, Read, WebauthnJudge};
use protocol::records::{Enrolment, RelyingParty, User};
use serde_json::{Value, json};
use store::Challenge;

const ORIGIN: &str = "https://app.example.test";
const NOW: i64 = 1_777_608_000;
const USER: &str = "6040003OH8";

struct Court {
    world: World,
    master: MasterKey,
    rp: RelyingParty,
    other: WebauthnJudge,
    user: User,
}

fn court() -> Court {
    let origins = vec![ORIGIN.to_owned(), "https://login.example.test:8443".to_owned()];
    Court {
        world: World::fake(NOW),
        master: MasterKey::generate(),
        other: WebauthnJudge::new("example.test", &origins),
        rp: RelyingParty {
            id: "3f0f7a10-6f5a-4a43-9d7d-6b0f1f1a2b33".into(),
            rp_id: "example.test".to_owned(),
            name: "Example".to_owned(),
            origins,
            enabled: true,
            attestation: None,
        },
        user: User {
            id: USER.into(),
            source: "s".into(),
            username: "scott".to_owned(),
            active: true,
            password: None,
            groups: BTreeSet::new(),
            attributes: BTreeMap::new(),
            not_before: 0,
            created: 0,
            updated: 0,
        },
    }
}

impl Court {
    fn registration(&self, user_verification: &str) -> (Value, Challenge) {
        let request = Registration { user: &self.user, display_name: "Scott", existing: &[], user_verification };
        let (mut options, challenge) = registration_options(&self.world, &self.master, &self.rp, request, NOW).unwrap();
        // What both libraries know.
        options["pubKeyCredParams"] = json!([{ "type": "public-key", "alg": -7 }]);
        (options, challenge)
    }

    /// Both verdicts on a registration.
    fn register(
        &self,
        (options, challenge): &(Value, Challenge),
        verification: &str,
        response: &Value,
    ) -> (Option<Enrolment>, Option<Known>) {
        let mut response = response.clone();
        // Hints of the client, on which nothing rests; the other library reads only the words it knows.
        response["response"].as_object_mut().unwrap().remove("transports");
        let ours = finish_registration(&self.world, &self.master, &self.rp, challenge, &self.user.id, &response, NOW);
        let theirs = self.other.register(options["challenge"].as_str().unwrap(), verification, &response);
        (ours.ok().map(|registered| registered.enrolment), theirs.ok())
    }

    fn assertion(&self, enrolment: &Enrolment, user_verification: &str) -> (Value, Challenge) {
        let request = Request {
            sign_in: Some("g".into()),
            user: Some(USER.into()),
            credentials: std::slice::from_ref(enrolment),
            user_verification,
        };
        assertion_options(&self.world, &self.master, &self.rp, request, NOW).unwrap()
    }

    /// Both verdicts on an assertion; ours as what was read.
    fn authenticate(
        &self,
        (options, challenge): &(Value, Challenge),
        verification: &str,
        (enrolment, known): (&Enrolment, &Known),
        response: &Value,
    ) -> (Option<Read>, Option<Read>) {
        let judgement = judge_assertion(&self.master, &self.rp, challenge, enrolment, response, NOW);
        let ours = judgement.passed.then(|| {
            let Some(store::Change::PutEnrolment(after)) = judgement.changes.first() else { panic!("no enrolment") };
            Read {
                counter: u32::try_from(after.attributes["counter"].as_u64().unwrap()).unwrap(),
                user_verified: judgement.user_verified,
                backed_up: after.attributes["backupState"].as_bool().unwrap(),
            }
        });
        let theirs = self.other.authenticate(options["challenge"].as_str().unwrap(), verification, known, response);
        (ours, theirs.ok())
    }
}

#[tokio::test]
async fn honest_ceremonies_of_a_software_authenticator_are_accepted_by_both() {
    for verifies in [true, false] {
        let court = court();
        let mut browser = Browser::new(verifies);
        let verification = if verifies { "required" } else { "discouraged" };
        let begun = court.registration(verification);
        let response = browser.create(ORIGIN, &begun.0).await.unwrap();
        let (ours, theirs) = court.register(&begun, verification, &response);
        let (enrolment, known) = (ours.unwrap(), theirs.unwrap());
        for _ in 0..2 {
            let begun = court.assertion(&enrolment, verification);
            let response = browser.get(ORIGIN, &begun.0).await.unwrap();
            let (ours, theirs) = court.authenticate(&begun, verification, (&enrolment, &known), &response);
            assert_eq!(ours, theirs);
            assert_eq!(ours.unwrap().user_verified, verifies);
        }
    }
}

/// What both should say.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Say {
    BothAccept,
    BothRefuse,
    /// Ours refuses what the other lets pass.
    OursIsStricter,
}

fn said(ours: bool, theirs: bool, case: &str) -> Say {
    match (ours, theirs) {
        (true, true) => Say::BothAccept,
        (false, false) => Say::BothRefuse,
        (false, true) => Say::OursIsStricter,
        (true, false) => panic!("ours accepts what the other refuses: {case}"),
    }
}

type Case<'a> = (&'a str, Say, &'a dyn Fn(&mut Claim));

#[test]
fn registrations_that_differ_in_one_thing() {
    use Say::{BothAccept, BothRefuse, OursIsStricter};
    let court = court();
    let forger = Forger::new(b"forged credential");
    let table: [Case<'_>; 13] = [
        ("honest", BothAccept, &|_| ()),
        ("second origin", BothAccept, &|c| c.origin = "https://login.example.test:8443".to_owned()),
        ("backed up", BothAccept, &|c| c.flags |= BE | BS),
        ("not verified", BothAccept, &|c| c.flags = UP),
        ("sibling origin", BothRefuse, &|c| c.origin = "https://evil.example.test".to_owned()),
        ("port", BothRefuse, &|c| c.origin = "https://app.example.test:444".to_owned()),
        ("no TLS", BothRefuse, &|c| c.origin = "http://app.example.test".to_owned()),
        ("foreign frame", BothRefuse, &|c| c.cross_origin = true),
        ("type", BothRefuse, &|c| c.kind = "webauthn.get"),
        ("challenge", BothRefuse, &|c| c.challenge = "AAAA".to_owned()),
        ("relying party", BothRefuse, &|c| c.rp_id = "evil.test".to_owned()),
        ("not present", BothRefuse, &|c| c.flags = UV),
        ("self attestation", OursIsStricter, &|c| c.format = "packed"),
    ];
    for (name, expected, change) in table {
        let begun = court.registration("preferred");
        let mut claim = Claim::honest_create(&begun.0, ORIGIN);
        change(&mut claim);
        let (ours, theirs) = court.register(&begun, "preferred", &forger.create(&claim));
        assert_eq!(said(ours.is_some(), theirs.is_some(), name), expected, "{name}");
    }
    for (name, expected, flags) in [("verified", BothAccept, UP | UV), ("not verified", BothRefuse, UP)] {
        let begun = court.registration("required");
        let claim = Claim { flags, ..Claim::honest_create(&begun.0, ORIGIN) };
        let (ours, theirs) = court.register(&begun, "required", &forger.create(&claim));
        assert_eq!(said(ours.is_some(), theirs.is_some(), name), expected, "{name}");
    }
}

#[test]
fn assertions_that_differ_in_one_thing() {
    use Say::{BothAccept, BothRefuse, OursIsStricter};
    let court = court();
    let forger = Forger::new(b"forged credential");
    let begun = court.registration("preferred");
    let claim = Claim { flags: UP, ..Claim::honest_create(&begun.0, ORIGIN) };
    let (ours, theirs) = court.register(&begun, "preferred", &forger.create(&claim));
    let (enrolment, known) = (ours.unwrap(), theirs.unwrap());
    let table: [Case<'_>; 20] = [
        ("honest", BothAccept, &|_| ()),
        ("second origin", BothAccept, &|c| c.origin = "https://login.example.test:8443".to_owned()),
        ("no user handle", BothAccept, &|c| c.handle = None),
        ("not verified", BothAccept, &|c| c.flags = UP),
        ("sibling origin", BothRefuse, &|c| c.origin = "https://evil.example.test".to_owned()),
        ("longer origin", BothRefuse, &|c| c.origin = "https://app.example.test.evil.test".to_owned()),
        ("port", BothRefuse, &|c| c.origin = "https://app.example.test:444".to_owned()),
        ("no TLS", BothRefuse, &|c| c.origin = "http://app.example.test".to_owned()),
        ("type", BothRefuse, &|c| c.kind = "webauthn.create"),
        ("challenge", BothRefuse, &|c| c.challenge = "AAAA".to_owned()),
        ("no challenge", BothRefuse, &|c| c.challenge = String::new()),
        ("relying party", BothRefuse, &|c| c.rp_id = "app.example.test".to_owned()),
        ("not present", BothRefuse, &|c| c.flags = UV),
        ("now may be backed up", BothRefuse, &|c| c.flags |= BE),
        ("counter stands", BothRefuse, &|c| c.counter = 1),
        ("counter back", BothRefuse, &|c| c.counter = 0),
        // Origins are compared as the browser wrote them.
        ("slash after the origin", OursIsStricter, &|c| c.origin = format!("{ORIGIN}/")),
        ("foreign frame", OursIsStricter, &|c| c.cross_origin = true),
        // The other library leaves the owner to its caller.
        ("another owner", OursIsStricter, &|c| c.handle = Some(b"50CP15KFD3".to_vec())),
        ("backed up but cannot be", BothRefuse, &|c| c.flags |= BS),
    ];
    for (name, expected, change) in table {
        let begun = court.assertion(&enrolment, "preferred");
        let mut claim = Claim::honest_get(&begun.0, ORIGIN, 2, USER);
        change(&mut claim);
        let (ours, theirs) = court.authenticate(&begun, "preferred", (&enrolment, &known), &forger.get(&claim));
        assert_eq!(said(ours.is_some(), theirs.is_some(), name), expected, "{name}");
        if expected == BothAccept {
            assert_eq!(ours, theirs, "{name}");
        }
    }
    for (name, expected, flags) in [("verified", BothAccept, UP | UV), ("not verified", BothRefuse, UP)] {
        let begun = court.assertion(&enrolment, "required");
        let claim = Claim { flags, ..Claim::honest_get(&begun.0, ORIGIN, 2, USER) };
        let (ours, theirs) = court.authenticate(&begun, "required", (&enrolment, &known), &forger.get(&claim));
        assert_eq!(said(ours.is_some(), theirs.is_some(), name), expected, "{name}");
    }
}

#[test]
fn no_changed_byte_passes_either_judge() {
    let court = court();
    let forger = Forger::new(b"forged credential");
    let begun = court.registration("preferred");
    let response = forger.create(&Claim::honest_create(&begun.0, ORIGIN));
    let (ours, theirs) = court.register(&begun, "preferred", &response);
    let (enrolment, known) = (ours.unwrap(), theirs.unwrap());
    let begun = court.assertion(&enrolment, "preferred");
    let honest = forger.get(&Claim::honest_get(&begun.0, ORIGIN, 2, USER));
    for member in ["clientDataJSON", "authenticatorData", "signature"] {
        let bytes = decode(&honest["response"][member]);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x01;
            let mut response = honest.clone();
            response["response"][member] = encode(&changed).into();
            let verdicts = court.authenticate(&begun, "preferred", (&enrolment, &known), &response);
            assert_eq!(verdicts, (None, None), "{member} at {at}");
        }
    }
}
