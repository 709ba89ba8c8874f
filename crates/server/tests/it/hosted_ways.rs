//! Factors at the hosted pages that are answered elsewhere or by heart: a phone, a picture, questions, codes on paper, messages; and
//! passwords that another must take the place of.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::signin::devices::{Device, Key};
use countersign::signin::factors::push::Answer;
use countersign::signin::{Challenge, SignIns};
use engine::FactorKind;
use protocol::records::{EnrolmentId, UserId};
use serde_json::{Value, json};

use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::visitor::{Page, Visitor};
use crate::support::{ACME, Setup, TestServer, client, decode, on_both, policy, rule, user};

const SCOTT: (&str, &str) = ("scott", "hunter22");
const EVERYTHING: i64 = 781;
const BEGIN: i64 = 782;

/// A phone of somebody's, registered and with one key.
pub struct Phone {
    pub device: Device,
    key: EcdsaKeyPair,
}

impl Phone {
    pub async fn register(server: &TestServer, owner: &str) -> Self {
        let view = server.view();
        let sign_ins = SignIns { app: &server.app, tenant: &view };
        let (code, _) = sign_ins.invite_device(&UserId::from(owner), "", None).await.unwrap();
        Self::invited(server, &code).await
    }

    /// Takes up an invitation.
    pub async fn invited(server: &TestServer, code: &str) -> Self {
        let view = server.view();
        let sign_ins = SignIns { app: &server.app, tenant: &view };
        let about = json!({ "deviceName": "Pixel" }).as_object().unwrap().clone();
        let registered = sign_ins.register_device(code, about).await.unwrap().expect("an invitation");
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(key.public_key()).unwrap();
        let signature = sign(&key, &registered.device.id);
        let keys = vec![Key {
            kind: FactorKind::PushPresence,
            algorithm: "SHA256withECDSA",
            public: public.as_ref().to_vec(),
            signature: &signature,
            vouched: None,
            enabled: true,
        }];
        sign_ins.enrol_keys(&registered.device, keys).await.unwrap();
        let about = serde_json::Map::new();
        let renewed = sign_ins.renew_device(&registered.refresh, about).await.unwrap().expect("a refresh token");
        Self { device: renewed.device, key }
    }

    /// What waits for it.
    pub async fn waiting(&self, server: &TestServer) -> Option<Challenge> {
        let view = server.view();
        SignIns { app: &server.app, tenant: &view }.waiting_for(&self.device).await.unwrap()
    }

    /// Approves what waits, with the number its owner was shown.
    pub async fn approves(&self, server: &TestServer, number: Option<&str>) {
        let waiting = self.waiting(server).await.expect("something waits");
        let shown: Value = serde_json::from_str(&waiting.shown).unwrap();
        let data = shown["transactionData"].as_str().unwrap();
        let signed = number.map_or_else(|| data.to_owned(), |number| format!("{data}\n{number}"));
        let signature = sign(&self.key, &signed);
        self.says(server, Answer::Approve { signature: &signature, number }).await;
    }

    pub async fn says(&self, server: &TestServer, said: Answer<'_>) {
        let waiting = self.waiting(server).await.expect("something waits");
        let view = server.view();
        let sign_ins = SignIns { app: &server.app, tenant: &view };
        assert!(sign_ins.answer_push(&self.device, &waiting, said).await.unwrap().is_some());
    }
}

fn sign(key: &EcdsaKeyPair, data: &str) -> String {
    STANDARD.encode(key.sign(&SystemRandom::new(), data.as_bytes()).unwrap().as_ref())
}

impl TestServer {
    pub fn view(&self) -> std::sync::Arc<countersign::directory::TenantView> {
        std::sync::Arc::clone(self.app.directories.current().tenant(&self.tenant()).expect("the tenant"))
    }
}

/// Every factor, for an application that wants two.
pub fn everything(push: &str) -> Setup {
    let kinds = r#"["signatures", "questions", "bypasscode", "emailotp", "smsotp", "voiceotp"]"#;
    let second = policy(
        EVERYTHING,
        &[
            rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["password", "fido2"]"#),
            rule("More", false, "[]", "ACTION_MFA_ALWAYS", kinds),
        ],
    );
    let begin = policy(
        BEGIN,
        &[
            rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["password", "qr"]"#),
            rule("On", false, "[]", "ACTION_ALLOW", "[]"),
        ],
    );
    let code =
        format!("grant_types = [\"authorization_code\"]\nredirect_uris = [{CALLBACK:?}]\nconsent = \"never_prompt\"");
    setup()
        .replace(
            "[tenant.settings]\n",
            "[tenant.settings]\nquestions = { enabled = true, required = 2 }\nbypass = { enabled = true }\n",
        )
        .replace(
            "[tenant.settings.push]\nenabled = true\n",
            &format!("[tenant.settings.push]\nenabled = true\n{push}\n"),
        )
        .add(&client("bank", "bank-secret", &format!("{code}\npolicy = {EVERYTHING}")))
        .add(&client("kiosk", "kiosk-secret", &format!("{code}\npolicy = {BEGIN}")))
        .add(&user(
            "6040009ZZZ",
            "zoe",
            "zebra-crossing-1",
            "[tenant.users.attributes]\nemail = \"zoe@acme.org\"\nphone_number = \"+4917112345\"\n",
        ))
        .add(&second)
        .add(&begin)
}

/// The button for this kind of factor.
#[track_caller]
pub fn way(page: &Page, kind: &str) -> String {
    let html = page.text();
    let at = html.find(&format!("data-kind=\"{kind}\"")).unwrap_or_else(|| panic!("no `{kind}`: {html}"));
    let start = html[..at].rfind("value=\"").unwrap() + 7;
    html[start..start + html[start..].find('"').unwrap()].to_owned()
}

async fn amr(server: &TestServer, client: &str, page: &Page) -> Value {
    let code = page.landed(CALLBACK)["code"].clone();
    let tokens = server.redeem(client, &code).await.expect(200);
    decode(tokens["id_token"].as_str().unwrap()).1["amr"].clone()
}

async fn at_bank(server: &TestServer, who: (&str, &str)) -> (Visitor, Page) {
    let mut visitor = Visitor::new(server);
    let page = visitor.get(&code_request("bank", &[])).await;
    let page = visitor.sign_in(&page, who.0, who.1).await;
    (visitor, page)
}

async fn polled(visitor: &mut Visitor, page: &Page) -> Value {
    let answer = visitor.once("GET", &format!("{}?wait", page.path), None).await;
    assert_eq!(answer.reply.status, 200);
    assert_eq!(answer.reply.header("access-control-allow-origin"), "", "a cookie opens it");
    serde_json::from_slice(&answer.reply.body).unwrap()
}

/// The text of the element with this id.
#[track_caller]
pub fn text_of(page: &Page, id: &str) -> String {
    let html = page.text();
    let at = html.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no `#{id}`: {html}"));
    let from = html[at..].find('>').unwrap() + at + 1;
    html[from..from + html[from..].find('<').unwrap()].trim().to_owned()
}

#[test]
fn a_phone_is_the_second_factor_and_its_page_looks_again_by_itself() {
    on_both(async |store| {
        let server = everything("").start_on(store).await;
        let phone = Phone::register(&server, ACME.admin.id).await;
        let (mut visitor, page) = at_bank(&server, SCOTT).await;
        let page = visitor.submit(&page, &[("way", &way(&page, "push-presence"))]).await;
        page.expect(200);
        assert!(page.path.ends_with("/push") && page.has("waiting") && !page.has("number"), "{}", page.text());
        assert!(page.text().contains("<noscript><meta http-equiv=\"refresh\" content=\"4\"></noscript>"));
        assert!(page.reply.header("content-security-policy").contains("connect-src 'self'"));
        assert!(page.text().contains("Pixel"));
        assert_eq!(polled(&mut visitor, &page).await, json!({ "waiting": true }));
        let waiting = phone.waiting(&server).await.unwrap();
        assert!(waiting.shown.contains("Sign in to bank?"), "{}", waiting.shown);
        assert!(visitor.get(&page.path).await.has("waiting"), "looking changes nothing");
        phone.approves(&server, None).await;
        assert_eq!(polled(&mut visitor, &page).await, json!({ "waiting": false }));
        // Nobody else's look takes the sign-in on.
        let mut stranger = Visitor::new(&server);
        stranger.get(&code_request("web", &[])).await;
        stranger.get(&page.path).await.expect(410);
        let other = server.another().await;
        let back = visitor.at(&other).get(&page.path).await;
        assert_eq!(amr(&server, "bank", &back).await, json!(["mfa", "pop", "pwd", "user"]));
    });
}

#[tokio::test]
async fn a_phone_that_says_no_or_nothing_is_told_and_can_be_asked_again() {
    let server = everything("number_match = true").start().await;
    let phone = Phone::register(&server, ACME.admin.id).await;
    let (mut visitor, page) = at_bank(&server, SCOTT).await;
    let page = visitor.submit(&page, &[("way", &way(&page, "push-presence"))]).await;
    phone.says(&server, Answer::Deny).await;
    let page = visitor.get(&page.path).await;
    assert_eq!(page.problem().as_deref(), Some("push_denied"));
    assert!(!page.has("waiting") && page.has("resend") && page.has("another"));
    let page = visitor.submit(&page, &[("do", "resend")]).await;
    assert!(page.has("waiting"), "{}", page.text());
    server.world.advance(121);
    let page = visitor.get(&page.path).await;
    assert_eq!(page.problem().as_deref(), Some("push_expired"));
    let page = visitor.submit(&page, &[("do", "resend")]).await;
    let number = text_of(&page, "number");
    assert_eq!(number.len(), 2, "{number}");
    phone.approves(&server, Some(&number)).await;
    let back = visitor.get(&page.path).await;
    back.landed(CALLBACK);
    // Once is all an approval is good for.
    visitor.get(&page.path).await.expect(410);
}

#[tokio::test]
async fn a_picture_that_a_phone_scans_begins_a_sign_in() {
    let server = everything("qr = true").start().await;
    let phone = Phone::register(&server, ACME.admin.id).await;
    let mut visitor = Visitor::new(&server);
    let first = visitor.get(&code_request("kiosk", &[])).await;
    assert!(first.has("picture"), "{}", first.text());
    let page = visitor.submit(&first, &[("do", "picture")]).await;
    assert!(page.path.ends_with("/picture") && page.has("waiting"), "{}", page.text());
    // Shown anew it is the same picture.
    let again = visitor.get(&page.path).await;
    let drawn = |page: &Page| {
        let html = page.text();
        let at = html.find("fill=\"#000\" d=\"").expect("a picture");
        html[at..at + html[at..].find("/>").unwrap()].to_owned()
    };
    assert_eq!(drawn(&page), drawn(&again));
    // What is in it, taken from where the dialogue keeps it sealed.
    let kept = kept_picture(&server, &page).await;
    let id = kept["loginUri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let view = server.view();
    let sign_ins = SignIns { app: &server.app, tenant: &view };
    let challenge = sign_ins.challenge(&id.as_str().into()).await.unwrap().unwrap();
    assert!(!sign_ins.scan_picture(&phone.device, &challenge, "guessed").await.unwrap());
    assert!(sign_ins.scan_picture(&phone.device, &challenge, kept["code"].as_str().unwrap()).await.unwrap());
    let back = visitor.get(&page.path).await;
    assert_eq!(amr(&server, "kiosk", &back).await, json!(["mca", "user"]));

    // One that nobody scans runs out, and a new one takes its place.
    let mut visitor = Visitor::new(&server);
    let first = visitor.get(&code_request("kiosk", &[])).await;
    let page = visitor.submit(&first, &[("do", "picture")]).await;
    server.world.advance(121);
    let late = visitor.get(&page.path).await;
    assert_eq!(late.problem().as_deref(), Some("picture_expired"));
    assert!(visitor.submit(&late, &[("do", "resend")]).await.has("waiting"));
    let password = visitor.submit(&late, &[("do", "another")]).await;
    visitor.sign_in(&password, SCOTT.0, SCOTT.1).await.landed(CALLBACK);
    // Where it is not offered there is no button, and pressing it anyway leads nowhere.
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("web", &[])).await;
    assert!(!page.has("picture"));
    assert!(!visitor.submit(&page, &[("do", "picture")]).await.has("waiting"));
}

async fn kept_picture(server: &TestServer, page: &Page) -> Value {
    let handle = page.path.split('/').nth(2).unwrap();
    let name = countersign::tokens::hex(&countersign::tokens::digest(handle).0);
    let item = server.store.item(&server.tenant(), "interaction", &name).await.unwrap().unwrap();
    assert!(!item.body.contains("loginUri"), "it is sealed");
    let body: Value = serde_json::from_str(&item.body).unwrap();
    let step = &body["step"]["sign_in"];
    let view = server.view();
    let grant = step["grant"].as_str().unwrap().into();
    let flow = SignIns { app: &server.app, tenant: &view }.by_grant(&grant).await.unwrap().unwrap();
    let engine::Stage::ExpectResponse { issued, .. } = &flow.stored.state.stage else { panic!("nothing is in flight") };
    let purpose = format!("qr picture {}", issued[0].challenge);
    let sealed = base64::engine::general_purpose::STANDARD_NO_PAD.decode(step["picture"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&server.app.master.open(&purpose, &sealed).expect("sealed by this server")).unwrap()
}

#[tokio::test]
async fn questions_are_the_second_factor() {
    let server = everything("").start().await;
    let answers = [("firstPet", "Rex"), ("firstCar", "Fiat 500")];
    let answers = answers.map(|(key, answer)| (key.to_owned(), answer.into())).to_vec();
    let scott = UserId::from(ACME.admin.id);
    let view = server.view();
    SignIns { app: &server.app, tenant: &view }.enrol_questions(&scott, &answers, true).await.unwrap();
    let (mut visitor, page) = at_bank(&server, SCOTT).await;
    let page = visitor.submit(&page, &[("way", &way(&page, "questions"))]).await;
    assert!(page.has("answer-1") && page.has("answer-2") && !page.has("answer-3"), "{}", page.text());
    let missing = visitor.submit(&page, &[("answer-1", "rex"), ("answer-2", "")]).await;
    assert_eq!(missing.problem().as_deref(), Some("missing"));
    let wrong = visitor.submit(&page, &[("answer-1", "Rex"), ("answer-2", "Opel")]).await;
    assert_eq!(wrong.problem().as_deref(), Some("wrong_answers"));
    let back = visitor.submit(&page, &[("answer-1", " REX "), ("answer-2", "fiat  500")]).await;
    assert_eq!(amr(&server, "bank", &back).await, json!(["kba", "pwd"]));
}

#[tokio::test]
async fn attack_41_a_recovery_code_is_the_second_factor_once() {
    let server = everything("").start().await;
    let scott = UserId::from(ACME.admin.id);
    let view = server.view();
    let sign_ins = SignIns { app: &server.app, tenant: &view };
    let codes = sign_ins.issue_bypass_codes(&scott, 2, None).await.unwrap();
    let (mut visitor, page) = at_bank(&server, SCOTT).await;
    let page = visitor.submit(&page, &[("way", &way(&page, "bypass-code"))]).await;
    assert!(page.path.ends_with("/recovery"), "{}", page.path);
    assert_eq!(visitor.submit(&page, &[("code", "000000000000")]).await.problem().as_deref(), Some("wrong_code"));
    let typed = format!("{} {}", &codes[0].expose()[..4], &codes[0].expose()[4..]);
    let back = visitor.submit(&page, &[("code", &typed)]).await;
    assert_eq!(amr(&server, "bank", &back).await, json!(["mfa", "otp", "pwd"]));
    let (mut visitor, page) = at_bank(&server, SCOTT).await;
    let page = visitor.submit(&page, &[("way", &way(&page, "bypass-code"))]).await;
    assert_eq!(visitor.submit(&page, &[("code", &typed)]).await.problem().as_deref(), Some("wrong_code"));
}

#[tokio::test]
async fn text_messages_and_calls_are_second_factors() {
    let server = everything("").start().await;
    for (kind, name) in [("sms-otp", "sms"), ("voice-otp", "tel")] {
        let (mut visitor, page) = at_bank(&server, ("zoe", "zebra-crossing-1")).await;
        let page = visitor.submit(&page, &[("way", &way(&page, kind))]).await;
        assert!(page.path.ends_with("/code") && page.text().contains("*******45"), "{}", page.text());
        let code = server.code("+4917112345").await;
        let back = visitor.submit(&page, &[("code", &code)]).await;
        assert_eq!(amr(&server, "bank", &back).await, json!(["mfa", "otp", "pwd", name]));
    }
}

#[tokio::test]
async fn what_a_person_prefers_is_asked_for_at_once() {
    let server = everything("").start().await;
    let scott = UserId::from(ACME.admin.id);
    let view = server.view();
    let sign_ins = SignIns { app: &server.app, tenant: &view };
    let mail = sign_ins.enrolment(&EnrolmentId::from(ACME.email)).await.unwrap().unwrap();
    let wish = countersign::signin::preferred::Preferred { kind: FactorKind::EmailOtp, enrolment: Some(mail.id.0) };
    Phone::register(&server, ACME.admin.id).await;
    assert!(at_bank(&server, SCOTT).await.1.has("way-2"), "nobody said what comes first");
    sign_ins.prefer(&scott, &wish).await.unwrap();
    let (mut visitor, page) = at_bank(&server, SCOTT).await;
    assert!(page.path.ends_with("/code") && page.has("another"), "{}", page.path);
    assert!(visitor.submit(&page, &[("do", "another")]).await.has("way-2"));
}

#[tokio::test]
async fn an_expired_password_is_replaced_on_the_page_that_says_so() {
    let mail = "mail_from = \"no-reply@acme.org\"";
    let setup = everything("").replace(mail, &format!("{mail}\npassword = {{ expires_days = 30 }}"));
    let server = setup.start().await;
    let mut visitor = Visitor::new(&server);
    server.world.advance(31 * 86_400);
    let page = visitor.get(&code_request("web", &[])).await;
    let due = visitor.sign_in(&page, SCOTT.0, SCOTT.1).await;
    assert_eq!(due.problem().as_deref(), Some("password_expired"));
    assert!(due.has("new_password") && due.text().contains("data-page=\"new-password\""), "{}", due.text());
    for (old, new, told) in [
        ("wrong", "staple-battery-horse", "wrong_credentials"),
        (SCOTT.1, "", "missing"),
        (SCOTT.1, "short", "password_too_short"),
        (SCOTT.1, "password1", "password_too_weak"),
        (SCOTT.1, SCOTT.1, "password_used_before"),
    ] {
        let page = visitor.submit(&due, &[("password", old), ("new_password", new)]).await;
        assert_eq!(page.problem().as_deref(), Some(told), "{new}");
        assert!(!page.text().contains("staple"));
    }
    let back = visitor.submit(&due, &[("password", SCOTT.1), ("new_password", "staple-battery-horse")]).await;
    back.landed(CALLBACK);
    // The person is told, at an address that had no part in it.
    let told = server.mail("scott@acme.org").await;
    let text = told.last().unwrap()["text"].as_str().unwrap();
    assert!(
        text.contains("Your password was changed") && text.contains("https://login.example.test/account"),
        "{text}"
    );
    assert!(!text.contains("staple"));
}

#[tokio::test]
async fn attack_a_stolen_password_that_still_does_is_not_changed_past_the_second_factor() {
    let server = everything("").start().await;
    let mut visitor = Visitor::new(&server);
    let page = visitor.get(&code_request("bank", &[])).await;
    let action = page.form().action.replace("/password", "/new-password");
    let fields = [("username", SCOTT.0), ("password", SCOTT.1), ("new_password", "staple-battery-horse")];
    visitor.post(&action, &fields).await;
    // The old one is still the one, and nobody was told of another.
    let (_, page) = at_bank(&server, SCOTT).await;
    assert!(page.has("code"), "{}", page.text());
    let mail = server.mail("scott@acme.org").await;
    assert!(mail.iter().all(|one| !one["code"].is_null()), "{mail:?}");
}
