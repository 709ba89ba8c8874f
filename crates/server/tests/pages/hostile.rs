//! Values as attackers send them: whatever is put into a page stays text.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use countersign::doors::hosted::pages::*;
use engine::FactorKind;
use protocol::records::Client;
use serde_json::json;

use crate::markup::tags;
use crate::{look, samples};

/// Ends an attribute in either kind of quotes, a tag, a script, a title; and starts one.
const HOSTILE: &str =
    "\"'></title></script></style><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*191 }}{client}";

fn step() -> Step<'static> {
    let client = ClientView {
        name: HOSTILE,
        logo: Some(HOSTILE),
        home: Some(HOSTILE),
        policy: Some(HOSTILE),
        terms: Some(HOSTILE),
    };
    let form = Form { action: HOSTILE, hidden: &[(HOSTILE, HOSTILE)] };
    Step {
        form,
        client: Some(client),
        problem: Some(Problem::WrongCode),
        cancel: true,
        keep: None,
        providers: Vec::new(),
    }
}

fn check(page: &Page<'_>, tame: &Page<'_>) {
    let mut tenant = samples::tenant();
    tenant.name = HOSTILE.to_owned();
    for language in ["en", "de"] {
        let html = page.html(&look(&tenant, language)).unwrap();
        assert!(!html.contains("<script>alert") && !html.contains("<img src=x"), "{html}");
        assert!(!html.contains("1337"), "what was put in was run as a template: {html}");
        // The same elements as with harmless values: nothing was broken out of, and nothing went missing.
        let names = |html: &str| tags(html).iter().map(|tag| tag.name.to_owned()).collect::<Vec<_>>();
        let tame = tame.html(&look(&samples::tenant(), language)).unwrap();
        assert_eq!(names(&html), names(&tame));
        for tag in tags(&html) {
            assert!(!tag.attributes.iter().any(|(name, _)| name.starts_with("on")), "{tag:?}");
        }
    }
}

/// A page, made with whatever text stands for everything that comes from outside.
fn sign_in<'a>(
    text: &'a str,
    step: Step<'a>,
    options: &'a serde_json::Value,
    sources: &'a [SourceChoice<'a>],
) -> Page<'a> {
    Page::SignIn(SignIn {
        step,
        username: text,
        sources,
        passkey: true,
        picture: false,
        passkey_options: Some(options),
    })
}

fn tame_step() -> Step<'static> {
    let client = ClientView {
        name: "App",
        logo: Some("data:,"),
        home: Some("https://a.test"),
        policy: Some("https://a.test"),
        terms: Some("https://a.test"),
    };
    let form = Form { action: "/", hidden: &[("a", "b")] };
    Step {
        form,
        client: Some(client),
        problem: Some(Problem::WrongCode),
        cancel: true,
        keep: None,
        providers: Vec::new(),
    }
}

#[test]
fn a_hostile_sign_in_page_is_text() {
    let make = |text: &'static str, step: Step<'static>| {
        let options = json!({ "challenge": text, "rpId": text });
        let sources = [text, text].map(|text| SourceChoice { id: text, name: text, selected: true });
        (options, sources, step, text)
    };
    let (options, sources, step, text) = make(HOSTILE, step());
    let hostile = sign_in(text, step, &options, &sources);
    let (options, sources, step, text) = make("alice", tame_step());
    check(&hostile, &sign_in(text, step, &options, &sources));
}

#[test]
fn hostile_factors_and_accounts_are_text() {
    let ways = |text: &'static str| [Way { id: text, kind: FactorKind::EmailOtp, detail: text }];
    check(
        &Page::ChooseWay(ChooseWay { step: step(), ways: &ways(HOSTILE) }),
        &Page::ChooseWay(ChooseWay { step: tame_step(), ways: &ways("w") }),
    );
    let person = |text: &'static str| Person { name: Some(text), username: text };
    let accounts = |text: &'static str| [Account { id: text, person: person(text), signed_in: true }];
    check(
        &Page::ChooseAccount(ChooseAccount { step: step(), accounts: &accounts(HOSTILE) }),
        &Page::ChooseAccount(ChooseAccount { step: tame_step(), accounts: &accounts("a") }),
    );
    let code = |step, text: &'static str| {
        Page::Code(CodeEntry {
            step,
            kind: FactorKind::SmsOtp,
            destination: text,
            correlation: Some(text),
            length: 6,
            digits: true,
            resent: true,
            others: true,
        })
    };
    check(&code(step(), HOSTILE), &code(tame_step(), "x"));
    let again = |step, text: &'static str| {
        Page::Reauthenticate(Reauthenticate {
            step,
            person: person(text),
            other: true,
            passkey: false,
            passkey_options: None,
        })
    };
    check(&again(step(), HOSTILE), &again(tame_step(), "x"));
}

#[test]
fn hostile_consent_and_device_pages_are_text() {
    let consent = |step, text: &'static str| {
        let scopes: &'static [Scope<'static>] = Box::leak(Box::new([
            Scope { name: text, description: Some(text) },
            Scope { name: text, description: None },
        ]));
        let details: &'static [Detail<'static>] =
            Box::leak(Box::new([Detail { title: text, members: BTreeMap::from([(text, text)]) }]));
        let person = Person { name: Some(text), username: text };
        Page::Consent(Consent { step, person, scopes, details, host: Some(text) })
    };
    check(&consent(step(), HOSTILE), &consent(tame_step(), "x"));
    let confirm = |step, text: &'static str| {
        let person = Person { name: None, username: text };
        Page::DeviceConfirm(DeviceConfirm { step, person, user_code: text, scopes: &[], address: Some(text) })
    };
    check(&confirm(step(), HOSTILE), &confirm(tame_step(), "x"));
    let enter =
        |step, text: &'static str| Page::DeviceCode(DeviceCode { step, user_code: text, phone_link: Some(text) });
    check(&enter(step(), HOSTILE), &enter(tame_step(), HOSTILE));
}

#[test]
fn hostile_ends_are_text() {
    let ends = |text: &'static str, client: Option<ClientView<'static>>| {
        [
            Page::LoggedOut(LoggedOut {
                frames: Box::leak(Box::new([text])),
                continue_to: Some(text),
                client: client.clone(),
            }),
            Page::FormPost(FormPost {
                action: text,
                fields: Box::leak(Box::new([(text, text)])),
                client: client.clone(),
            }),
            Page::Error(ErrorPage {
                status: StatusCode::BAD_REQUEST,
                id: "x",
                phrase: "y",
                reference: text,
                retry: Some(text),
            }),
            Page::Expired(Expired { retry: Some(text), client }),
            Page::CheckSession(CheckSession { cookie: text }),
        ]
    };
    for (hostile, tame) in ends(HOSTILE, step().client).iter().zip(&ends("x", tame_step().client)) {
        check(hostile, tame);
    }
}

#[test]
fn a_client_gets_no_link_that_could_run_something() {
    let mut client: Client = serde_json::from_value(json!({ "id": "c" })).unwrap();
    client.name = String::new();
    client.client_uri = Some("javascript://a/%0aalert(1)".to_owned());
    client.policy_uri = Some("data:text/html,x".to_owned());
    client.tos_uri = Some("HTTPS://app.example.test/terms".to_owned());
    client.logo_uri = Some("https://app.example.test;script-src *".to_owned());
    let view = ClientView::of(&client);
    assert_eq!((view.name, view.home, view.policy, view.logo), ("c", None, None, None));
    assert_eq!(view.terms, Some("HTTPS://app.example.test/terms"));
    client.logo_uri = Some("https://app.example.test/logo.png".to_owned());
    assert_eq!(ClientView::of(&client).logo, Some("https://app.example.test/logo.png"));
}

#[test]
fn headers_hold_nothing_that_was_put_in() {
    let page = Page::LoggedOut(LoggedOut {
        frames: &["https://a.test; script-src *", "javascript:alert(1)", "https://[::1]/x", "http://b.test/y"],
        continue_to: None,
        client: None,
    });
    let response = page.answer(&look(&samples::tenant(), "en").answering_to("https://a.test\r\nSet-Cookie: a=b"));
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("; frame-src https: http://b.test;"), "{policy}");
    assert!(!policy.contains("script-src") && !policy.contains("Cookie"), "{policy}");
}
