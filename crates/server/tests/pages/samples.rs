//! Every page with values as they come in practice, and some with values as attackers send them. Shared by the tests and by
//! the example that writes the pages into a directory to be looked at.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::StatusCode;
use countersign::doors::hosted::pages::*;
use engine::FactorKind;
use protocol::records::{Managed, Tenant, TenantId, TenantSettings};
use serde_json::{Value, json};

#[path = "account_samples.rs"]
mod account;

/// A tenant that set nothing.
pub fn tenant() -> Tenant {
    Tenant {
        id: TenantId::from("demo"),
        name: "Acme".to_owned(),
        urls: vec!["https://login.example.test".to_owned()],
        settings: TenantSettings::default(),
        managed: Managed::default(),
    }
}

const FORM: Form<'static> =
    Form { action: "/login/next", hidden: &[("form_token", "b4f0Qk2LZx81"), ("interaction", "Zt7Qp0")] };

const CLIENT: ClientView<'static> = ClientView {
    name: "Harbour Travel",
    logo: Some(
        "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA1NiA1NiI+PHJlY3Qgd2lkdGg9IjU2\
         IiBoZWlnaHQ9IjU2IiByeD0iMTQiIGZpbGw9IiMxMjRlNzgiLz48cGF0aCBkPSJNMTAgMzZoMzZsLTYgOEgxNnpNMjYgMTJ2MjBIMTR6TTMwIDE2djE2aDEyeiIgZm\
         lsbD0iI2ZmZiIvPjwvc3ZnPg==",
    ),
    home: None,
    policy: Some("https://travel.example.test/privacy"),
    terms: Some("https://travel.example.test/terms"),
};

const PLAIN_CLIENT: ClientView<'static> =
    ClientView { name: "Harbour Travel", logo: None, home: None, policy: None, terms: None };

/// What a picture that invites a phone says.
const INVITED: &str = r#"{"version":{"number":"1.0.0"},"code":"h7qLkNv2W9bXc4Tz8mPd1RsGyJf5Ae3Uo6Ki0QwB","registrationUri":"https://login.example.test/v1.0/authenticators/registration","accountName":"alice"}"#;

pub static INVITATION: LazyLock<Invitation> = LazyLock::new(|| Invitation {
    text: INVITED.to_owned(),
    link: Some("https://login.example.test/phone#register=eyJ2ZXJzaW9uIjp7fX0".to_owned()),
    address: "https://login.example.test/phone".to_owned(),
    minutes: 10,
});

const PERSON: Person<'static> = Person { name: Some("Alice Adams"), username: "alice@example.test" };

static OPTIONS: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "rpId": "login.example.test",
        "timeout": 240_000,
        "challenge": "GVYyRHBVbkRqZUJkYkZzSE5XbE1hd0RZcmVZb2VEQmM",
        "allowCredentials": [],
        "userVerification": "preferred",
    })
});

fn step(problem: Option<Problem>) -> Step<'static> {
    Step { form: FORM, client: Some(CLIENT), problem, cancel: true, keep: None, providers: Vec::new() }
}

fn sign_in(problem: Option<Problem>, username: &'static str) -> SignIn<'static> {
    SignIn {
        step: Step { cancel: false, ..step(problem) },
        username,
        sources: &[],
        passkey: true,
        picture: false,
        passkey_options: Some(&OPTIONS),
    }
}

fn providers() -> Vec<ProviderLink> {
    let link = |id: &str, name: &str| ProviderLink {
        id: id.to_owned(),
        name: name.to_owned(),
        href: format!("/login/Zt7Qp0/with/{id}"),
    };
    vec![link("partner", "Partner"), link("state", "The Ministry of Very Long Official Names")]
}

fn code(kind: FactorKind, destination: &'static str) -> CodeEntry<'static> {
    CodeEntry {
        step: step(None),
        kind,
        destination,
        correlation: Some("4821"),
        length: 6,
        digits: true,
        resent: false,
        others: true,
    }
}

const SCOPES: [Scope<'static>; 5] = [
    Scope { name: "openid", description: None },
    Scope { name: "profile", description: None },
    Scope { name: "email", description: None },
    Scope { name: "trips:read", description: Some("See the trips you have booked") },
    Scope { name: "urn:example:loyalty", description: None },
];

const SOURCES: [SourceChoice<'static>; 2] = [
    SourceChoice { id: "46872982-ab9e-4c9f-8200-8f394b328394", name: "Cloud Directory", selected: true },
    SourceChoice { id: "5f1cbd1c-4b5c-4c29-9c5e-52a1a5c7f6a1", name: "Staff directory", selected: false },
];

const WAYS: [Way<'static>; 5] = [
    Way { id: "w1", kind: FactorKind::Passkey, detail: "Alice’s laptop" },
    Way { id: "w2", kind: FactorKind::Totp, detail: "" },
    Way { id: "w3", kind: FactorKind::EmailOtp, detail: "al***@example.test" },
    Way { id: "w4", kind: FactorKind::SmsOtp, detail: "+49 ***** 4711" },
    Way { id: "w5", kind: FactorKind::PushPresence, detail: "Alice’s phone" },
];

const ACCOUNTS: [Account<'static>; 2] = [
    Account { id: "a1", person: PERSON, signed_in: true },
    Account { id: "a2", person: Person { name: None, username: "bob" }, signed_in: false },
];

/// Every page, some in several states, each under a name of its own.
pub fn all() -> Vec<(&'static str, Page<'static>)> {
    let mut pages = sign_ins();
    pages.extend(factors());
    pages.extend(answers());
    pages.extend(consents());
    pages.extend(devices());
    pages.extend(ends());
    pages.extend(account::all());
    pages
}

fn sign_ins() -> Vec<(&'static str, Page<'static>)> {
    let bare = Step { form: FORM, client: None, problem: None, cancel: false, keep: None, providers: Vec::new() };
    vec![
        ("sign-in", Page::SignIn(sign_in(None, ""))),
        ("sign-in-wrong", Page::SignIn(sign_in(Some(Problem::WrongCredentials), "alice"))),
        ("sign-in-resting", Page::SignIn(sign_in(Some(Problem::Resting { wait: Some(119) }), "alice"))),
        (
            "sign-in-sources",
            Page::SignIn(SignIn { sources: &SOURCES, passkey: false, passkey_options: None, ..sign_in(None, "alice") }),
        ),
        (
            "sign-in-bare",
            Page::SignIn(SignIn { step: bare, passkey: false, passkey_options: None, ..sign_in(None, "") }),
        ),
        ("sign-in-picture", Page::SignIn(SignIn { picture: true, ..sign_in(None, "") })),
        (
            "sign-in-elsewhere",
            Page::SignIn(SignIn {
                step: Step { keep: Some(Keep { what: "stay", ticked: false }), providers: providers(), ..step(None) },
                ..sign_in(None, "")
            }),
        ),
        (
            "identify",
            Page::Identify(Identify {
                step: step(None),
                username: "",
                sources: &[],
                passkey: true,
                passkey_options: None,
            }),
        ),
        (
            "reauthenticate",
            Page::Reauthenticate(Reauthenticate {
                step: step(None),
                person: PERSON,
                other: true,
                passkey: true,
                passkey_options: Some(&OPTIONS),
            }),
        ),
        ("choose-account", Page::ChooseAccount(ChooseAccount { step: step(None), accounts: &ACCOUNTS })),
    ]
}

fn factors() -> Vec<(&'static str, Page<'static>)> {
    vec![
        ("choose-way", Page::ChooseWay(ChooseWay { step: step(None), ways: &WAYS })),
        ("code-email", Page::Code(code(FactorKind::EmailOtp, "al***@example.test"))),
        (
            "code-sms-wrong",
            Page::Code(CodeEntry {
                step: step(Some(Problem::WrongCode)),
                ..code(FactorKind::SmsOtp, "+49 ***** 4711")
            }),
        ),
        (
            "code-voice-resent",
            Page::Code(CodeEntry {
                resent: true,
                correlation: None,
                digits: false,
                length: 8,
                others: false,
                ..code(FactorKind::VoiceOtp, "+49 ***** 4711")
            }),
        ),
        ("totp", Page::Totp(TotpEntry { step: step(None), length: 6, others: true })),
        (
            "totp-trust",
            Page::Totp(TotpEntry {
                step: Step { keep: Some(Keep { what: "trust", ticked: true }), ..step(None) },
                length: 6,
                others: true,
            }),
        ),
        ("passkey", Page::Passkey(PasskeyStep { step: step(None), options: &OPTIONS, others: true })),
        (
            "passkey-refused",
            Page::Passkey(PasskeyStep { step: step(Some(Problem::PasskeyRefused)), options: &OPTIONS, others: false }),
        ),
        ("nothing-enrolled", Page::NothingEnrolled(NothingEnrolled { step: step(None), person: Some(PERSON) })),
    ]
}

fn answers() -> Vec<(&'static str, Page<'static>)> {
    const QUESTIONS: [Question<'static>; 3] = [
        Question { text: "In which street did you first live?" },
        Question { text: "What was your first pet called?" },
        Question { text: "What was your first car?" },
    ];
    let push = |problem, number, waiting| {
        Page::Push(PushWait { step: step(problem), device: "Alice’s phone", number, waiting, others: true })
    };
    let picture = |problem, text| Page::Picture(PicturePage { step: step(problem), text });
    let fresh = |problem| {
        let step = Step { cancel: false, ..step(problem) };
        Page::NewPassword(NewPassword { step, person: Person { name: None, username: "alice" }, fewest: 8 })
    };
    vec![
        ("push", push(None, None, true)),
        ("push-number", push(None, Some("42"), true)),
        (
            "push-trust",
            Page::Push(PushWait {
                step: Step { keep: Some(Keep { what: "trust", ticked: false }), ..step(None) },
                device: "Alice’s phone",
                number: Some("42"),
                waiting: true,
                others: true,
            }),
        ),
        ("push-denied", push(Some(Problem::PushDenied), None, false)),
        (
            "picture",
            picture(
                None,
                Some(
                    "{\"code\":\"h7qLkNv2W9bXc4Tz8mPd1RsGyJf5Ae3Uo6Ki0QwB\",\"loginUri\":\"https://login.example.test/v2.0/\
                     factors/qr/5e0d6c1b-0c59-4ad2-8b8e-9a1f7c2d3e40\",\"version\":{\"number\":\"1.0.0\"}}",
                ),
            ),
        ),
        ("picture-expired", picture(Some(Problem::PictureExpired), None)),
        (
            "enrol",
            Page::Enrol(Enrol { step: step(None), kinds: &["passkey", "totp", "phone", "email"], required: true }),
        ),
        ("enrol-offered", Page::Enrol(Enrol { step: step(None), kinds: &["totp", "sms"], required: false })),
        (
            "enrol-address",
            Page::EnrolAddress(EnrolAddress { step: step(Some(Problem::BadAddress)), kind: "sms", address: "0171 23" }),
        ),
        (
            "enrol-totp",
            Page::EnrolTotp(EnrolTotp {
                step: step(None),
                uri: "otpauth://totp/Acme:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme",
                secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
                length: 6,
            }),
        ),
        ("enrol-passkey", Page::EnrolPasskey(EnrolPasskey { step: step(None), options: &OPTIONS })),
        ("enrol-phone", Page::EnrolPhone(EnrolPhone { step: step(None), invitation: Some(&INVITATION) })),
        (
            "enrol-phone-expired",
            Page::EnrolPhone(EnrolPhone { step: step(Some(Problem::PictureExpired)), invitation: None }),
        ),
        ("questions", Page::Questions(Questions { step: step(None), questions: &QUESTIONS, others: true })),
        ("recovery-code", Page::Bypass(BypassEntry { step: step(None), others: true })),
        ("new-password", fresh(Some(Problem::PasswordExpired))),
        ("new-password-weak", fresh(Some(Problem::PasswordTooWeak))),
    ]
}

fn consents() -> Vec<(&'static str, Page<'static>)> {
    static DETAILS: LazyLock<Vec<Detail<'static>>> = LazyLock::new(|| {
        vec![Detail { title: "Payment", members: BTreeMap::from([("Amount", "165.88 EUR"), ("To", "Merchant 123")]) }]
    });
    vec![
        (
            "consent",
            Page::Consent(Consent { step: step(None), person: PERSON, scopes: &SCOPES, details: &[], host: None }),
        ),
        (
            "consent-details",
            Page::Consent(Consent {
                step: Step { client: Some(PLAIN_CLIENT), ..step(None) },
                person: Person { name: None, username: "alice" },
                scopes: &SCOPES[..1],
                details: &DETAILS,
                host: Some("travel.example.test"),
            }),
        ),
        (
            "consent-nothing",
            Page::Consent(Consent { step: step(None), person: PERSON, scopes: &[], details: &[], host: None }),
        ),
    ]
}

fn devices() -> Vec<(&'static str, Page<'static>)> {
    let alone = |problem| Step { form: FORM, client: None, problem, cancel: false, keep: None, providers: Vec::new() };
    vec![
        (
            "device-code",
            Page::DeviceCode(DeviceCode {
                step: alone(None),
                user_code: "",
                phone_link: Some("https://login.example.test/oauth2/user_authorization?user_code=BK7Q2M"),
            }),
        ),
        (
            "device-code-wrong",
            Page::DeviceCode(DeviceCode {
                step: alone(Some(Problem::UnknownUserCode)),
                user_code: "BK7Q2M",
                phone_link: None,
            }),
        ),
        (
            "device-confirm",
            Page::DeviceConfirm(DeviceConfirm {
                step: step(None),
                person: PERSON,
                user_code: "BK7Q2M",
                scopes: &SCOPES[..3],
                address: Some("203.0.113.7"),
            }),
        ),
        ("device-approved", Page::DeviceDone(DeviceDone { approved: true, client: Some(CLIENT) })),
        ("device-denied", Page::DeviceDone(DeviceDone { approved: false, client: Some(CLIENT) })),
    ]
}

fn ends() -> Vec<(&'static str, Page<'static>)> {
    vec![
        (
            "confirm-logout",
            Page::ConfirmLogout(ConfirmLogout { form: FORM, client: Some(CLIENT), person: Some(PERSON) }),
        ),
        ("still-signed-in", Page::StillSignedIn(StillSignedIn { client: Some(CLIENT) })),
        ("logged-out", Page::LoggedOut(LoggedOut { frames: &[], continue_to: None, client: None })),
        (
            "logged-out-continuing",
            Page::LoggedOut(LoggedOut {
                frames: &["https://travel.example.test/logout?iss=https%3A%2F%2Flogin.example.test&sid=s1"],
                continue_to: Some("https://travel.example.test/bye?state=1&more=2"),
                client: Some(CLIENT),
            }),
        ),
        (
            "error",
            Page::Error(ErrorPage {
                status: StatusCode::BAD_REQUEST,
                id: "redirect_uri_not_registered",
                phrase: "the redirect URI is not registered for this client",
                reference: "01JD-8KQ2-7WZ3",
                retry: None,
            }),
        ),
        (
            "error-server",
            Page::Error(ErrorPage {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                id: "server_error",
                phrase: "the server could not complete the request",
                reference: "01JD-8KQ2-7WZ3",
                retry: Some("/login"),
            }),
        ),
        (
            "form-post",
            Page::FormPost(FormPost {
                action: "https://travel.example.test/cb",
                fields: &[("code", "a\"b<c>&d"), ("state", "s p"), ("iss", "https://login.example.test")],
                client: Some(CLIENT),
            }),
        ),
        ("check-session", Page::CheckSession(CheckSession { cookie: "countersign_state" })),
        ("cookies-needed", Page::CookiesNeeded(CookiesNeeded { retry: Some("/authorize?client_id=a&scope=openid") })),
        ("expired", Page::Expired(Expired { retry: None, client: Some(CLIENT) })),
    ]
}
