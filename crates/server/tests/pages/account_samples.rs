//! The pages of My security with values as they come in practice.

use countersign::doors::hosted::pages::*;
use engine::FactorKind;
use protocol::records::Seconds;
use serde_json::json;

const NOW: Seconds = 1_777_608_000;

fn ago(seconds: Seconds) -> Moment {
    Moment::of(NOW - seconds, NOW)
}

fn frame() -> Frame {
    Frame {
        name: Some("Alice Adams".to_owned()),
        username: "alice@example.test".to_owned(),
        token: "c29tZXRoaW5n".to_owned(),
        said: None,
        problem: None,
        others: 0,
    }
}

fn held(id: &str, kind: FactorKind, detail: &str, used: Option<Seconds>) -> Held {
    Held {
        id: id.to_owned(),
        kind,
        detail: detail.to_owned(),
        added: ago(90 * 86_400),
        used: used.map(ago),
        preferred: kind == FactorKind::Passkey,
        ready: true,
    }
}

fn phone() -> HeldPhone {
    HeldPhone {
        id: "d1".to_owned(),
        name: "Pixel 9".to_owned(),
        added: ago(40 * 86_400),
        used: Some(ago(86_400)),
        preferred: false,
        ready: true,
    }
}

fn ways(frame: Frame, ways: Vec<Held>, phones: Vec<HeldPhone>) -> AccountWays {
    AccountWays { frame, password: Some(ago(120 * 86_400)), ways, phones, codes: Some(7), can_add: true }
}

fn place(id: &str, browser: &str, system: &str, seen: Seconds, here: bool) -> Place {
    Place {
        id: id.to_owned(),
        browser: browser.to_owned(),
        system: system.to_owned(),
        address: "203.0.113.7".to_owned(),
        since: ago(seen + 4000),
        seen: ago(seen),
        here,
    }
}

fn allowed(name: &str, scopes: &[&str]) -> Allowed {
    Allowed {
        client: name.to_lowercase(),
        name: name.to_owned(),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        since: ago(12 * 86_400),
    }
}

fn happened(name: &str, kinds: &[FactorKind], at: Seconds) -> Happened {
    Happened { name: name.to_owned(), kinds: kinds.to_vec(), at: ago(at) }
}

/// Every page, each under a name of its own.
pub fn all() -> Vec<(&'static str, Page<'static>)> {
    let mut pages = overview();
    pages.extend(adding());
    pages.extend(places());
    pages
}

fn overview() -> Vec<(&'static str, Page<'static>)> {
    let all = || {
        vec![
            held("p1", FactorKind::Passkey, "Alice’s laptop", Some(200)),
            held("t1", FactorKind::Totp, "alice@example.test", Some(9000)),
            held("m1", FactorKind::EmailOtp, "a***e@example.test", None),
            Held { ready: false, ..held("s1", FactorKind::SmsOtp, "*******11", None) },
        ]
    };
    let said = Frame { said: Some(Said::Password), others: 2, ..frame() };
    let way = |kind, detail, name: Option<&str>| AccountWay {
        frame: frame(),
        way: held("w1", kind, detail, Some(7300)),
        name: name.map(str::to_owned),
    };
    vec![
        ("account", Page::AccountWays(ways(frame(), all(), vec![phone()]))),
        ("account-said", Page::AccountWays(ways(said, all(), Vec::new()))),
        ("account-alone", Page::AccountWays(AccountWays { codes: None, ..ways(frame(), Vec::new(), Vec::new()) })),
        ("account-way", Page::AccountWay(way(FactorKind::Totp, "alice@example.test", Some("alice@example.test")))),
        (
            "account-way-stronger",
            Page::AccountWay(AccountWay {
                frame: Frame { problem: Some(Problem::Stronger), ..frame() },
                ..way(FactorKind::Passkey, "Alice’s laptop", Some("Alice’s laptop"))
            }),
        ),
        ("account-way-questions", Page::AccountWay(way(FactorKind::Questions, "", None))),
        ("account-phone", Page::AccountPhone(AccountPhone { frame: frame(), phone: phone() })),
        (
            "account-password",
            Page::AccountPassword(AccountPassword { frame: frame(), step: Shared { problem: None }, fewest: 8 }),
        ),
        (
            "account-wait",
            Page::AccountWait(AccountWait {
                frame: frame(),
                device: "Pixel 9".to_owned(),
                number: Some("42".to_owned()),
                waiting: true,
            }),
        ),
        (
            "account-code",
            Page::AccountCode(AccountCode {
                frame: frame(),
                challenge: "c1".to_owned(),
                kind: FactorKind::SmsOtp,
                destination: "*******11".to_owned(),
                correlation: Some("4821".to_owned()),
                length: 6,
            }),
        ),
    ]
}

fn adding() -> Vec<(&'static str, Page<'static>)> {
    let kinds = vec!["passkey", "totp", "phone", "email", "sms", "voice", "questions", "codes"];
    let address = |kind, address: &str, problem| {
        let frame = Frame { problem, ..frame() };
        Page::AccountAddress(AccountAddress { frame, kind, address: address.to_owned() })
    };
    let options = json!({
        "rp": { "id": "login.example.test", "name": "Acme" },
        "user": { "id": "NjA0MDAwM09IOA", "name": "alice", "displayName": "Alice Adams" },
        "challenge": "GVYyRHBVbkRqZUJkYkZzSE5XbE1hd0RZcmVZb2VEQmM",
        "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
    });
    let questions = [("firstPet", "What was your first pet called?"), ("firstCar", "What was your first car?")];
    let codes = |codes: &[&str]| {
        let codes = codes.iter().map(|&code| code.to_owned()).collect();
        Page::AccountCodes(AccountCodes { frame: frame(), codes, left: 3 })
    };
    vec![
        ("account-add", Page::AccountAdd(AccountAdd { frame: frame(), kinds })),
        ("account-email", address("email", "alice@example.test", None)),
        ("account-sms", address("sms", "0171 23", Some(Problem::BadAddress))),
        ("account-voice", address("voice", "", None)),
        (
            "account-totp",
            Page::AccountTotp(AccountTotp {
                frame: frame(),
                way: "e1".to_owned(),
                uri: "otpauth://totp/Acme:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme&algorithm=SHA1&digits=6&period=30"
                    .to_owned(),
                secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned(),
                sealed: "c2VhbGVk".to_owned(),
                length: 6,
            }),
        ),
        (
            "account-passkey",
            Page::AccountPasskey(AccountPasskey {
                frame: frame(),
                options: options.clone(),
                new: true,
                action: "/account/add/passkey".to_owned(),
            }),
        ),
        (
            "account-passkey-test",
            Page::AccountPasskey(AccountPasskey {
                frame: frame(),
                options,
                new: false,
                action: "/account/way/p1".to_owned(),
            }),
        ),
        (
            "account-invite",
            Page::AccountInvite(AccountInvite {
                frame: frame(),
                invitation: super::INVITATION.clone(),
            }),
        ),
        (
            "account-questions",
            Page::AccountQuestions(AccountQuestions {
                frame: frame(),
                questions: questions.map(|(key, text)| (key.to_owned(), text.to_owned())).to_vec(),
                required: 2,
            }),
        ),
        ("account-codes", codes(&[])),
        ("account-codes-shown", codes(&["0172 9981 2231", "4420 1187 9034", "7718 0021 5563", "9921 4410 0087"])),
    ]
}

fn places() -> Vec<(&'static str, Page<'static>)> {
    let trusted = Trusted {
        id: "d1".to_owned(),
        kind: "device",
        name: "Chrome · Android".to_owned(),
        address: "198.51.100.7".to_owned(),
        seen: ago(3 * 86_400),
    };
    let password = [FactorKind::Password];
    let two = [FactorKind::Password, FactorKind::Totp];
    vec![
        (
            "account-places",
            Page::AccountPlaces(AccountPlaces {
                frame: frame(),
                places: vec![
                    place("s1", "Firefox", "Linux", 20, true),
                    place("s2", "Safari", "iPhone", 4000, false),
                    place("s3", "", "", 90_000, false),
                ],
                trusted: vec![trusted],
            }),
        ),
        (
            "account-applications",
            Page::AccountApplications(AccountApplications {
                frame: Frame { said: Some(Said::Withdrawn), ..frame() },
                allowed: vec![
                    allowed("Harbour Travel", &["openid", "email", "trips:read"]),
                    allowed("Calendar", &["openid"]),
                ],
            }),
        ),
        (
            "account-applications-none",
            Page::AccountApplications(AccountApplications { frame: frame(), allowed: Vec::new() }),
        ),
        (
            "account-activity",
            Page::AccountActivity(AccountActivity {
                frame: frame(),
                sign_ins: vec![
                    happened("Harbour Travel", &two, 120),
                    happened("Calendar", &password, 5000),
                    happened("Calendar", &[FactorKind::Passkey], 100 * 86_400),
                ],
            }),
        ),
    ]
}
