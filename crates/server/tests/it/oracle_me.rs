//! What people do for themselves at Oracle's door (vendor's page §4.8, §5.2 to §5.4): their record, passwords, addresses, registration,
//! and the way back to an account. Numbers are those of the project's list of attack cases.

use serde_json::{Value, json};

use crate::support::oracle::{CLIENT, SECRET};
use crate::support::{ACME, Ask, Reply, Setup, TestServer, decode, on_both};

const NAME: &str = "admin@oracle.com";
const PASSWORD: &str = "Welc0me@1";
const NEXT: &str = "correct-horse-battery-7";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const EXTENSION: &str = "urn:ietf:params:scim:schemas:oracle:idcs:extension";
const MESSAGE: &str = "urn:ietf:params:scim:api:oracle:idcs:extension:messages:Error";
const WRONG_PASSWORD: &str = "error.identity.passwordmgmt.invalidCurrentPassword";
const WRONG_TOKEN: &str = "error.identity.passwordmgmt.invalidToken";

pub fn setup() -> Setup {
    Setup::new()
        .replace("[tenant.settings]", "[tenant.settings]\nquestions = { enabled = true, required = 2 }")
        .add("[tenant.settings.self_service.profiles.staff]\nname = \"Staff\"\nconsent_text = { en = \"Be kind.\" }\nmail_domains = [\"acme.test\"]\n")
        .add("[tenant.settings.self_service.profiles.closed]\nname = \"Closed\"\nactive = false\n")
}

async fn start() -> TestServer {
    setup().start().await
}

/// A token of the client that runs sign-in pages.
async fn page(server: &TestServer) -> String {
    server.page().await.token
}

/// A token of a person who signs in with a password.
pub async fn person(server: &TestServer, name: &str, password: &str) -> String {
    let authn = server.page().await.password(None, name, password).await.token().to_owned();
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("scope", "urn:opc:idm:__myscopes__"),
        ("assertion", &authn),
    ];
    let made = server.ask("POST", "/oauth2/v1/token").basic(CLIENT, SECRET).form(&form).send().await.expect(200);
    made["access_token"].as_str().unwrap().to_owned()
}

fn ask(server: &TestServer, method: &str, path: &str, token: &str, body: &Value) -> Ask {
    let ask = server.ask(method, &format!("/admin/v1/{path}")).bearer(token);
    if body.is_null() { ask } else { ask.body("application/scim+json", body.to_string()) }
}

async fn send(server: &TestServer, method: &str, path: &str, token: &str, body: Value) -> Reply {
    ask(server, method, path, token, &body).send().await
}

#[track_caller]
fn said(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/scim+json");
    assert!(!reply.header("x-oracle-dms-ecid").is_empty());
    serde_json::from_slice(&reply.body).unwrap()
}

#[track_caller]
fn refused(reply: &Reply, status: u16, message: &str) {
    let body = said(reply, status);
    assert_eq!(body["status"], status.to_string());
    assert_eq!(body["schemas"][1], MESSAGE);
    assert_eq!(body[MESSAGE]["messageId"], message, "{body}");
    assert!(body["detail"].is_string());
}

fn patch(operations: Value) -> Value {
    json!({ "schemas": [PATCH], "Operations": operations })
}

/// What was mailed last that opens something.
async fn mailed(server: &TestServer, to: &str) -> String {
    let all = server.mail(to).await;
    all.iter().rev().find_map(|one| one["code"].as_str()).expect("a message that opens something").to_owned()
}

async fn signs_in(server: &TestServer, name: &str, password: &str) -> bool {
    server.page().await.password(None, name, password).await.status == 200
}

#[test]
fn people_change_what_is_theirs_and_nothing_else() {
    on_both(|store| async move {
        let server = setup().start_on(store).await;
        let token = person(&server, NAME, PASSWORD).await;
        let reply = send(&server, "GET", "Me", &token, Value::Null).await;
        let me = said(&reply, 200);
        let tag = reply.header("etag").to_owned();
        assert_eq!(me["meta"]["location"], format!("{}/admin/v1/Me/{}", ACME.base, me["id"].as_str().unwrap()));
        // What was read is written back, and nothing changes.
        let reply = send(&server, "PUT", "Me", &token, me.clone()).await;
        assert_eq!(said(&reply, 200), me);
        assert_eq!(reply.header("etag"), tag);

        let changes = json!([
            { "op": "replace", "path": "displayName", "value": "Ada" },
            { "op": "add", "path": "addresses", "value": [{ "type": "work", "locality": "Oxford" }] },
            { "op": "replace", "path": "name.familyName", "value": "Lovelace" },
        ]);
        let reply = send(&server, "PATCH", "Me", &token, patch(changes)).await;
        let changed = said(&reply, 200);
        assert_eq!((&changed["displayName"], &changed["name"]["familyName"]), (&json!("Ada"), &json!("Lovelace")));
        assert_eq!(changed["addresses"][0]["locality"], "Oxford");
        assert_eq!(changed["idcsLastModifiedBy"]["type"], "User");
        assert_eq!(changed["idcsLastModifiedBy"]["value"], me["id"]);
        assert_ne!(reply.header("etag"), tag);
        for (path, value) in [
            ("userName", json!("root")),
            ("active", json!(false)),
            ("title", json!("Boss")),
            ("roles", json!([{ "value": "admin" }])),
            ("password", json!(NEXT)),
        ] {
            let reply =
                send(&server, "PATCH", "Me", &token, patch(json!([{ "op": "replace", "path": path, "value": value }])));
            refused(&reply.await, 400, "error.common.validation.readOnly");
        }
        let few = said(&send(&server, "GET", "Me?attributes=userName,emails.value", &token, Value::Null).await, 200);
        let names: std::collections::BTreeSet<&str> = few.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["emails", "id", "schemas", "userName"]);
        assert_eq!(few["emails"][0], json!({ "value": NAME }));
        assert!(signs_in(&server, NAME, PASSWORD).await);
    });
}

#[tokio::test]
async fn mail_addresses_are_changed_with_the_current_password_only() {
    let server = start().await;
    let token = person(&server, NAME, PASSWORD).await;
    let change = |proof: Option<&str>| {
        let mut all = Vec::new();
        if let Some(password) = proof {
            let path = format!("{EXTENSION}:me:User:currentPassword");
            all.push(json!({ "op": "replace", "path": path, "value": password }));
        }
        let emails = json!([{ "value": "new@oracle.com", "type": "work", "primary": true }]);
        all.push(json!({ "op": "replace", "path": "emails", "value": emails }));
        patch(json!(all))
    };
    refused(&send(&server, "PATCH", "Me", &token, change(None)).await, 400, WRONG_PASSWORD);
    refused(&send(&server, "PATCH", "Me", &token, change(Some("wrong"))).await, 400, WRONG_PASSWORD);
    let me = said(&send(&server, "PATCH", "Me", &token, change(Some(PASSWORD))).await, 200);
    let emails = me["emails"].as_array().unwrap();
    assert_eq!(emails.len(), 2, "{me}");
    assert!(emails.iter().all(|one| one["value"] == "new@oracle.com" && one["verified"] == false), "{me}");
    assert_eq!(emails[1]["type"], "recovery");
    // Both addresses are told.
    for to in [NAME, "new@oracle.com"] {
        assert!(!server.mail(to).await.is_empty(), "{to}");
    }
    // In a whole it goes by the whole name as well.
    let mut whole = me.clone();
    whole["emails"] = json!([{ "value": NAME, "type": "work", "primary": true }]);
    refused(&send(&server, "PUT", "Me", &token, whole.clone()).await, 400, WRONG_PASSWORD);
    whole[format!("{EXTENSION}:me:User:currentPassword")] = json!(PASSWORD);
    let me = said(&send(&server, "PUT", "Me", &token, whole).await, 200);
    assert_eq!(me["emails"][0]["value"], NAME);
}

#[tokio::test]
async fn guesses_of_the_current_password_count_like_any_other() {
    let server = start().await;
    let token = person(&server, NAME, PASSWORD).await;
    for _ in 0..5 {
        let body = json!({ "oldPassword": "wrong", "password": NEXT });
        refused(&send(&server, "PUT", "MePasswordChanger", &token, body).await, 400, WRONG_PASSWORD);
    }
    let body = json!({ "oldPassword": PASSWORD, "password": NEXT });
    refused(&send(&server, "PUT", "MePasswordChanger", &token, body).await, 400, WRONG_PASSWORD);
    assert!(!signs_in(&server, NAME, PASSWORD).await, "nothing is judged at present");
    let me = said(&send(&server, "GET", "Me", &token, Value::Null).await, 200);
    assert_eq!(me[format!("{EXTENSION}:userState:User")]["locked"]["on"], true);
}

#[tokio::test]
async fn numbers_written_without_the_password_get_no_codes() {
    let server = start().await;
    let (token, page) = (person(&server, NAME, PASSWORD).await, page(&server).await);
    let options = || async {
        let body = json!({ "userName": NAME });
        let reply = send(&server, "POST", "MePasswordRecoveryOptionRetriever", &page, body).await;
        said(&reply, 201)["options"].as_array().unwrap().iter().any(|one| one["type"] == "sms")
    };
    let numbers = json!([{ "value": "+441234567210", "type": "mobile" }]);
    let plain = patch(json!([{ "op": "replace", "path": "phoneNumbers", "value": numbers }]));
    let me = said(&send(&server, "PATCH", "Me", &token, plain).await, 200);
    let shown = json!([{ "value": "+441234567210", "type": "mobile", "primary": false, "verified": false }]);
    assert_eq!(me["phoneNumbers"], shown);
    assert!(!options().await);
    // The rest of the record can be changed beside it, and it stays.
    let name = patch(json!([{ "op": "replace", "path": "nickName", "value": "N" }]));
    assert_eq!(said(&send(&server, "PATCH", "Me", &token, name).await, 200)["phoneNumbers"], shown);
    assert!(!options().await);
    let proof = format!("{EXTENSION}:me:User:currentPassword");
    let trusted = patch(json!([
        { "op": "replace", "path": proof, "value": PASSWORD },
        { "op": "replace", "path": "phoneNumbers", "value": numbers },
    ]));
    let me = said(&send(&server, "PATCH", "Me", &token, trusted).await, 200);
    assert_eq!(me["phoneNumbers"], shown);
    assert!(options().await);
    // And without it nothing takes its place.
    let other = json!([{ "value": "+15550001234", "type": "mobile" }]);
    let stolen = patch(json!([{ "op": "replace", "path": "phoneNumbers", "value": other }]));
    let me = said(&send(&server, "PATCH", "Me", &token, stolen).await, 200);
    assert_eq!(me["phoneNumbers"][0]["value"], "+441234567210");
    let body = json!({ "userName": NAME, "notificationType": "sms" });
    said(&send(&server, "POST", "MePasswordResetRequestor", &page, body).await, 201);
    assert!(server.mail("+15550001234").await.is_empty());
    assert_eq!(server.mail("+441234567210").await.len(), 1);
}

#[tokio::test]
async fn a_password_is_changed_for_the_old_one() {
    let server = start().await;
    let token = person(&server, NAME, PASSWORD).await;
    let change = |old: &str, new: &str| json!({ "oldPassword": old, "password": new });
    let weak = send(&server, "PUT", "MePasswordChanger", &token, change(PASSWORD, "password1")).await;
    refused(&weak, 400, "error.identity.passwordmgmt.pwdpolicyViolation");
    let done = send(&server, "PUT", "MePasswordChanger", &token, change(PASSWORD, NEXT)).await;
    let body = said(&done, 200);
    assert_eq!(body["meta"]["resourceType"], "MePasswordChanger");
    assert!(!done.text().contains(NEXT) && !done.text().contains(PASSWORD));
    assert!(signs_in(&server, NAME, NEXT).await && !signs_in(&server, NAME, PASSWORD).await);
    // Where nothing has to be changed, whoever knows only the password changes nothing.
    let page = page(&server).await;
    let body = json!({
        "oldPassword": NEXT, "password": "another-horse-battery-8", "mappingAttribute": "userName",
        "mappingAttributeValue": NAME,
    });
    refused(&send(&server, "POST", "MePasswordMustChanger", &page, body).await, 400, WRONG_PASSWORD);
    assert!(signs_in(&server, NAME, NEXT).await);
}

#[tokio::test]
async fn a_password_is_judged_before_it_is_set() {
    let server = start().await;
    let page = page(&server).await;
    let judge = |password: &str| json!({ "userName": NAME, "givenName": "a", "familyName": "b", "password": password });
    let good = said(&send(&server, "POST", "UserPasswordValidator", &page, judge(NEXT)).await, 201);
    assert!(good.get("failedPasswordPolicyRules").is_none() && good.get("password").is_none(), "{good}");
    let bad = said(&send(&server, "POST", "UserPasswordValidator", &page, judge("short")).await, 201);
    assert!(bad["failedPasswordPolicyRules"][0]["value"].as_str().unwrap().contains("8 characters"), "{bad}");
    let id = "de94e8399a0e4f23ac52fc681f5fb828";
    let path = format!("UserPasswordValidator/{id}");
    // Nobody learns by it what the password is.
    let own = said(&send(&server, "PUT", &path, &page, json!({ "password": PASSWORD })).await, 200);
    let other = said(&send(&server, "PUT", &path, &page, json!({ "password": "Welc0me@7" })).await, 200);
    assert_eq!(own.get("failedPasswordPolicyRules"), other.get("failedPasswordPolicyRules"));
}

#[test]
fn attack_67_a_forgotten_password_is_replaced_once_by_the_newest_mail() {
    on_both(|store| async move {
        let server = setup().start_on(store).await;
        let page = page(&server).await;
        let before = person(&server, NAME, PASSWORD).await;
        let request =
            || json!({ "userName": NAME, "notificationType": "email", "notificationEmailAddress": "****@oracle.com" });
        let reply = send(&server, "POST", "MePasswordResetRequestor", &page, request()).await;
        assert_eq!(said(&reply, 201)["userName"], NAME);
        let older = mailed(&server, NAME).await;
        // A link that is asked for under a foreign name still leads to where the tenant says.
        let forged = ask(&server, "POST", "MePasswordResetRequestor", &page, &request())
            .header("forwarded", "host=evil.test")
            .header("x-forwarded-host", "evil.test");
        said(&forged.send().await, 201);
        let newer = mailed(&server, NAME).await;
        assert!(server.mail(NAME).await.iter().all(|one| !one.to_string().contains("evil.test")));
        let prove = |token: &str| json!({ "type": "email", "emailToken": token });
        let reply = send(&server, "POST", "MePasswordRecoveryFactorValidator", &page, prove(&older)).await;
        refused(&reply, 400, WRONG_TOKEN);
        let reply = send(&server, "POST", "MePasswordRecoveryFactorValidator", &page, prove(&newer)).await;
        let token = said(&reply, 201)["token"].as_str().unwrap().to_owned();
        let reply = send(&server, "POST", "MePasswordRecoveryFactorValidator", &page, prove(&newer)).await;
        refused(&reply, 400, WRONG_TOKEN);
        let reply = send(&server, "POST", "UserTokenValidator", &page, json!({ "token": token })).await;
        assert_eq!(said(&reply, 201)["userId"], "de94e8399a0e4f23ac52fc681f5fb828");
        let reset = |password: &str| json!({ "token": token, "password": password });
        // What will not do spends nothing.
        let weak = send(&server, "POST", "MePasswordResetter", &page, reset("password1")).await;
        refused(&weak, 400, "error.identity.passwordmgmt.pwdpolicyViolation");
        let other = server.another().await;
        let (here, there) = tokio::join!(
            send(&server, "POST", "MePasswordResetter", &page, reset(NEXT)),
            send(&other, "POST", "MePasswordResetter", &page, reset(NEXT)),
        );
        let mut answers = [here.status.as_u16(), there.status.as_u16()];
        answers.sort_unstable();
        assert_eq!(answers, [201, 400], "{here:?} {there:?}");
        refused(&send(&server, "POST", "MePasswordResetter", &page, reset(PASSWORD)).await, 400, WRONG_TOKEN);
        assert!(signs_in(&server, NAME, NEXT).await && !signs_in(&server, NAME, PASSWORD).await);
        // Every token issued before is dead.
        refused(&send(&server, "GET", "Me", &before, Value::Null).await, 401, "error.common.common.unauthorized");
    });
}

#[tokio::test]
async fn attack_67_a_mail_opens_nothing_after_its_time_another_password_or_another_address() {
    let server = start().await;
    let page = page(&server).await;
    let ask_for = || async {
        let body = json!({ "userName": NAME, "notificationType": "email" });
        said(&send(&server, "POST", "MePasswordResetRequestor", &page, body).await, 201);
        mailed(&server, NAME).await
    };
    let token = ask_for().await;
    server.world.advance(1801);
    let dead = |token: &str| json!({ "token": token });
    refused(&send(&server, "POST", "UserTokenValidator", &page, dead(&token)).await, 400, WRONG_TOKEN);

    let token = ask_for().await;
    let own = person(&server, NAME, PASSWORD).await;
    let change = json!({ "oldPassword": PASSWORD, "password": NEXT });
    said(&send(&server, "PUT", "MePasswordChanger", &own, change).await, 200);
    refused(&send(&server, "POST", "UserTokenValidator", &page, dead(&token)).await, 400, WRONG_TOKEN);

    let token = ask_for().await;
    let own = person(&server, NAME, NEXT).await;
    let proof = format!("{EXTENSION}:me:User:currentPassword");
    let moved = patch(json!([
        { "op": "replace", "path": proof, "value": NEXT },
        { "op": "replace", "path": "emails", "value": [{ "value": "new@oracle.com", "type": "work", "primary": true }] },
    ]));
    said(&send(&server, "PATCH", "Me", &own, moved).await, 200);
    refused(&send(&server, "POST", "UserTokenValidator", &page, dead(&token)).await, 400, WRONG_TOKEN);
}

/// The address that somebody set up for the day they lose their password is none of their record. It opens a new one all the same, as
/// long as they keep it.
#[tokio::test]
async fn a_mail_to_the_recovery_address_opens_a_new_password() {
    use crate::oracle_enrol::{ID, NAME, PASSWORD, with_recovery};
    const HOME: &str = "nina@home.example";
    let server = with_recovery().start().await;
    let dialogue = server.page().await;
    let offer = dialogue.password(None, NAME, PASSWORD).await;
    let begin = json!({ "op": "enrollment", "authFactor": "EMAIL", "credentials": { "recoveryEmail": HOME } });
    let pending = dialogue.submit(&offer, begin).await;
    let code = server.code(HOME).await;
    dialogue.credentials(&pending, None, json!({ "otpCode": code })).await.expect(200, "success", None);

    let page = page(&server).await;
    let ask_for = || async {
        let body = json!({ "userName": NAME, "notificationType": "email" });
        said(&send(&server, "POST", "MePasswordResetRequestor", &page, body).await, 201);
        mailed(&server, HOME).await
    };
    let prove = json!({ "type": "email", "emailToken": ask_for().await });
    let reply = send(&server, "POST", "MePasswordRecoveryFactorValidator", &page, prove).await;
    let token = said(&reply, 201)["token"].as_str().unwrap().to_owned();
    let reply = send(&server, "POST", "UserTokenValidator", &page, json!({ "token": token })).await;
    assert_eq!(said(&reply, 201)["userId"], ID);
    let reset = json!({ "token": token, "password": NEXT });
    said(&send(&server, "POST", "MePasswordResetter", &page, reset).await, 201);
    assert!(signs_in(&server, NAME, NEXT).await && !signs_in(&server, NAME, PASSWORD).await);

    // Who took it back is not reached there any more.
    let token = ask_for().await;
    let own = person(&server, NAME, NEXT).await;
    let body = json!({ "user": { "value": ID }, "type": "ACCOUNTRECOVERY" });
    said(&send(&server, "POST", "MyAuthenticationFactorsRemover", &own, body).await, 201);
    refused(&send(&server, "POST", "UserTokenValidator", &page, json!({ "token": token })).await, 400, WRONG_TOKEN);
    let prove = json!({ "type": "email", "emailToken": token });
    refused(&send(&server, "POST", "MePasswordRecoveryFactorValidator", &page, prove).await, 400, WRONG_TOKEN);
}

#[tokio::test]
async fn attack_39_a_name_nobody_has_gets_the_same_answers_on_the_way_back() {
    let server = start().await;
    let page = page(&server).await;
    let shape = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let strangers = ["nobody@oracle.com", "somebody@oracle.com", "else@oracle.com", "x", "zoe@acme.test"];
    for (path, more) in [
        ("MePasswordRecoveryOptionRetriever", json!({})),
        ("MePasswordResetRequestor", json!({ "notificationType": "email" })),
        ("MePasswordResetRequestor", json!({ "notificationType": "sms" })),
        ("MePasswordResetRequestor", json!({ "notificationType": "secquestions" })),
        ("MeSecurityQuestionsRetriever", json!({})),
    ] {
        let call = |name: &str| {
            let mut body = more.clone();
            body["userName"] = json!(name);
            send(&server, "POST", path, &page, body)
        };
        let known = said(&call(NAME).await, 201);
        for name in strangers {
            let unknown = said(&call(name).await, 201);
            assert_eq!(shape(&unknown), shape(&known), "{path} {name}");
            if path == "MePasswordRecoveryOptionRetriever" {
                assert_eq!(unknown["options"][0]["type"], "email", "{name}");
                assert_eq!(said(&call(name).await, 201)["options"], unknown["options"], "the same the next time");
            }
            if let Some(questions) = unknown.get("secquestions") {
                assert_eq!(questions.as_array().unwrap().len(), 2, "{name}");
                assert_eq!(&said(&call(name).await, 201)["secquestions"], questions, "the same the next time");
            }
        }
    }
    // Some have more to choose among than others, as people do.
    let mut choices = std::collections::BTreeSet::new();
    for nth in 0..40 {
        let body = json!({ "userName": format!("n{nth}@oracle.com") });
        let reply = said(&send(&server, "POST", "MePasswordRecoveryOptionRetriever", &page, body).await, 201);
        choices.insert(reply["options"].as_array().unwrap().len());
    }
    assert_eq!(choices.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    let wrong = |name: &str, kind: &str| {
        let body = match kind {
            "sms" => json!({ "type": "sms", "userName": name, "deviceId": "d", "requestId": "r", "otpCode": "123456" }),
            _ => json!({ "type": kind, "userName": name,
                "securityQuestions": [{ "questionId": "firstPet", "securityAnswer": "Rex" }] }),
        };
        send(&server, "POST", "MePasswordRecoveryFactorValidator", &page, body)
    };
    for (kind, message) in [
        ("sms", "error.ssocommon.auth.invalidPasscode"),
        ("secquestions", "error.identity.passwordmgmt.invalidSecurityQuestionAnswer"),
    ] {
        for _ in 0..7 {
            refused(&wrong(NAME, kind).await, 400, message);
            refused(&wrong("nobody@oracle.com", kind).await, 400, message);
        }
    }
}

#[tokio::test]
async fn the_answers_to_questions_and_a_text_message_lead_back() {
    let server = start().await;
    let (page, own) = (page(&server).await, person(&server, NAME, PASSWORD).await);
    let questions = json!([
        { "value": "firstPet", "answer": "Rex", "hintText": "dog" }, { "value": "firstCar", "answer": "Fiat 500" },
    ]);
    let path = format!("{EXTENSION}:securityQuestions:User:secQuestions");
    let reply =
        send(&server, "PATCH", "Me", &own, patch(json!([{ "op": "add", "path": path, "value": questions }]))).await;
    let me = said(&reply, 200);
    assert_eq!(me[format!("{EXTENSION}:mfa:User")]["mfaStatus"], "ENROLLED", "{me}");
    assert!(!reply.text().contains("Fiat") && !reply.text().contains("dog"));
    // The hint is shown where the question is asked, and must not be the answer.
    let hinted = server
        .store
        .enrolments(&server.tenant(), &me["id"].as_str().unwrap().into())
        .await
        .unwrap()
        .into_iter()
        .find(|one| one.kind == "questions")
        .unwrap();
    assert_eq!(hinted.attributes["questions"][0]["hint"], "dog");
    assert!(hinted.attributes["questions"][1].get("hint").is_none());
    let telling = json!([
        { "value": "firstPet", "answer": "Rex", "hintText": "rex" }, { "value": "firstCar", "answer": "Fiat 500" },
    ]);
    let telling = patch(json!([{ "op": "replace", "path": path, "value": telling }]));
    assert_eq!(send(&server, "PATCH", "Me", &own, telling).await.status, 400);
    let body = json!({ "userName": NAME });
    let asked = said(&send(&server, "POST", "MeSecurityQuestionsRetriever", &page, body).await, 201);
    let keys: Vec<&str> =
        asked["secquestions"].as_array().unwrap().iter().map(|one| one["questionId"].as_str().unwrap()).collect();
    assert_eq!(keys, ["firstPet", "firstCar"]);
    let answers = |pet: &str| json!([{ "questionId": "firstPet", "securityAnswer": pet }, { "questionId": "firstCar", "securityAnswer": "fiat 500" }]);
    let wrong = json!({ "userName": NAME, "securityQuestions": answers("Max") });
    let reply = send(&server, "POST", "MeSecurityQuestionAnswerValidator", &page, wrong).await;
    refused(&reply, 400, "error.identity.passwordmgmt.invalidSecurityQuestionAnswer");
    let right = json!({ "userName": NAME, "securityQuestions": answers("rex") });
    assert_eq!(said(&send(&server, "POST", "MeSecurityQuestionAnswerValidator", &page, right).await, 201), json!({}));
    let body = json!({ "type": "secquestions", "userName": NAME, "securityQuestions": answers("REX") });
    let proved = said(&send(&server, "POST", "MePasswordRecoveryFactorValidator", &page, body).await, 201);
    let body = json!({ "token": proved["token"], "password": NEXT });
    assert!(said(&send(&server, "POST", "MePasswordResetter", &page, body).await, 201)["id"].is_string());

    let own = person(&server, NAME, NEXT).await;
    let proof = format!("{EXTENSION}:me:User:currentPassword");
    let number = patch(json!([
        { "op": "add", "path": proof, "value": NEXT },
        { "op": "add", "path": "phoneNumbers", "value": [{ "value": "+441234567210", "type": "mobile" }] },
    ]));
    said(&send(&server, "PATCH", "Me", &own, number).await, 200);
    let body = json!({ "userName": NAME, "notificationType": "sms" });
    let sent = said(&send(&server, "POST", "MePasswordResetRequestor", &page, body).await, 201);
    let code = server.code("+441234567210").await;
    let body = |code: &str| json!({ "type": "sms", "userName": NAME, "deviceId": sent["deviceId"], "requestId": sent["requestId"], "otpCode": code });
    let reply = send(&server, "POST", "MePasswordRecoveryFactorValidator", &page, body("000000x")).await;
    refused(&reply, 400, "error.ssocommon.auth.invalidPasscode");
    let proved = said(&send(&server, "POST", "MePasswordRecoveryFactorValidator", &page, body(&code)).await, 201);
    let reply = send(&server, "POST", "MePasswordRecoveryFactorValidator", &page, body(&code)).await;
    refused(&reply, 400, "error.ssocommon.auth.invalidPasscode");
    let body = json!({ "token": proved["token"], "password": "another-horse-battery-8" });
    said(&send(&server, "POST", "MePasswordResetter", &page, body).await, 201);
    assert!(signs_in(&server, NAME, "another-horse-battery-8").await);
}

#[tokio::test]
async fn an_address_is_proved_by_what_is_mailed_to_it() {
    let server = start().await;
    let (page, own) = (page(&server).await, person(&server, NAME, PASSWORD).await);
    let me = said(&send(&server, "GET", "Me", &own, Value::Null).await, 200);
    let foreign = json!({ "id": me["id"], "email": "somebody@else.test" });
    refused(&send(&server, "PUT", "MeEmailVerifier", &own, foreign).await, 400, "error.common.validation.invalidValue");
    let body = json!({ "id": me["id"], "email": NAME });
    said(&send(&server, "PUT", "MeEmailVerifier", &own, body).await, 200);
    let token = mailed(&server, NAME).await;
    // It proves an address, and opens no password.
    refused(&send(&server, "POST", "UserTokenValidator", &page, json!({ "token": token })).await, 400, WRONG_TOKEN);
    let reply = send(&server, "POST", "MeEmailVerified", &page, json!({ "token": token })).await;
    assert_eq!(said(&reply, 201)["id"], me["id"]);
    refused(&send(&server, "POST", "MeEmailVerified", &page, json!({ "token": token })).await, 400, WRONG_TOKEN);
    let me = said(&send(&server, "GET", "Me", &own, Value::Null).await, 200);
    assert!(me["emails"].as_array().unwrap().iter().all(|one| one["verified"] == true), "{me}");
}

fn newcomer(more: Value) -> Value {
    let mut body = json!({
        "schemas": [USER, format!("{EXTENSION}:selfRegistration:User")],
        "userName": "ada@acme.test", "name": { "givenName": "Ada", "familyName": "Lovelace" },
        "emails": [{ "value": "ada@acme.test", "type": "work", "primary": true }],
        "password": NEXT, "active": true, "roles": [{ "value": "admin" }],
        format!("{EXTENSION}:selfRegistration:User"): {
            "selfRegistrationProfile": { "value": "staff" }, "consentGranted": true,
        },
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn people_register_by_a_profile_and_are_let_in_when_their_address_is_confirmed() {
    on_both(|store| async move {
        let server = setup().start_on(store).await;
        let page = page(&server).await;
        let profile = said(&send(&server, "GET", "SelfRegistrationProfiles/staff", &page, Value::Null).await, 200);
        assert_eq!((&profile["id"], &profile["consentTextPresent"]), (&json!("staff"), &json!(true)));
        let metadata = profile["userAttributes"][0]["metadata"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(metadata).unwrap()["type"], "string");
        let none = send(&server, "GET", "SelfRegistrationProfiles/closed", &page, Value::Null).await;
        refused(&none, 404, "error.common.common.resourceNotFound");

        let extension = format!("{EXTENSION}:selfRegistration:User");
        let by = |id: &str, consent: bool| json!({ extension.clone(): { "selfRegistrationProfile": { "value": id }, "consentGranted": consent } });
        let reply = send(&server, "POST", "Me", &page, newcomer(by("closed", true))).await;
        refused(&reply, 400, "error.identity.selfreg.invalidProfile");
        let reply = send(&server, "POST", "Me", &page, newcomer(by("staff", false))).await;
        refused(&reply, 400, "error.identity.selfreg.consentRequired");
        let foreign = json!({ "emails": [{ "value": "ada@evil.test", "primary": true }] });
        let reply = send(&server, "POST", "Me", &page, newcomer(foreign)).await;
        refused(&reply, 400, "error.common.validation.invalidValue");
        let weak = send(&server, "POST", "Me", &page, newcomer(json!({ "password": "password1" }))).await;
        refused(&weak, 400, "error.identity.passwordmgmt.pwdpolicyViolation");

        let made = said(&send(&server, "POST", "Me", &page, newcomer(json!({}))).await, 201);
        assert_eq!((&made["active"], made.get("roles")), (&json!(false), None), "{made}");
        assert_eq!(made["idcsCreatedBy"]["value"], CLIENT);
        let again = send(&server, "POST", "Me", &page, newcomer(json!({}))).await;
        refused(&again, 409, "error.common.validation.uniqueness");
        assert!(!signs_in(&server, "ada@acme.test", NEXT).await);
        let token = mailed(&server, "ada@acme.test").await;
        let reply = send(&server, "POST", "MeEmailVerified", &page, json!({ "token": token })).await;
        assert_eq!(said(&reply, 201)["id"], made["id"]);
        assert!(signs_in(&server, "ada@acme.test", NEXT).await);
        let name =
            said(&send(&server, "POST", "UserNameGenerator", &page, json!({ "email": "Bob@acme.test" })).await, 201);
        assert!(name["userName"].as_str().unwrap().starts_with("bob"), "{name}");
    });
}

#[tokio::test]
async fn people_see_their_devices_and_take_away_only_what_they_can_prove() {
    let server = setup()
        .add("[[tenant.enrolments]]\nid = \"11aa11aa-0000-4000-8000-0000000000f1\"\nuser = \"admin@oracle.com\"\nkind = \"totp\"\nsecret = \"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\"\n")
        .start()
        .await;
    let own = person(&server, NAME, PASSWORD).await;
    let all = said(&send(&server, "GET", "MyDevices", &own, Value::Null).await, 200);
    assert_eq!((&all["totalResults"], &all["startIndex"], &all["itemsPerPage"]), (&json!(1), &json!(1), &json!(50)));
    let device = &all["Resources"][0];
    assert_eq!(device["authenticationFactors"][0]["type"], "TOTP");
    assert_eq!((&device["status"], &device["phoneNumber"]), (&json!("ENROLLED"), &json!("null")));
    assert_eq!(device["meta"]["resourceType"], "MyDevice");
    let path = format!("MyDevices/{}", device["id"].as_str().unwrap());
    assert_eq!(&said(&send(&server, "GET", &path, &own, Value::Null).await, 200), device);
    // A password alone proves less than the authenticator.
    let reply = send(&server, "DELETE", &path, &own, Value::Null).await;
    refused(&reply, 403, "error.ssocommon.auth.factorNotProved");
    let me = said(&send(&server, "GET", "Me", &own, Value::Null).await, 200);
    let mfa = &me[format!("{EXTENSION}:mfa:User")];
    assert_eq!((&mfa["mfaStatus"], &mfa["preferredAuthenticationFactor"]), (&json!("ENROLLED"), &json!("TOTP")));
    assert_eq!(mfa["preferredDevice"]["value"], device["id"]);
    let wish = |value: &str| {
        let path = format!("{EXTENSION}:mfa:User:preferredDevice");
        patch(json!([{ "op": "replace", "path": path, "value": { "value": value } }]))
    };
    said(&send(&server, "PATCH", "Me", &own, wish(device["id"].as_str().unwrap())).await, 200);
    let reply = send(&server, "PATCH", "Me", &own, wish("somebody-elses")).await;
    refused(&reply, 400, "error.common.validation.invalidValue");
    let none = said(&send(&server, "GET", "MyTrustedUserAgents", &own, Value::Null).await, 200);
    assert_eq!(none["totalResults"], 0);
}

/// As the application does that keeps people signed in: listed by kind and person, taken back, and good for nothing afterwards.
#[tokio::test]
async fn where_people_stay_signed_in_is_listed_and_taken_back() {
    let server =
        setup().replace("[tenant.settings]", "[tenant.settings]\nstay_signed_in = { enabled = true }").start().await;
    let page = server.page().await;
    let start = page.start(None).await;
    let members = json!({
        "op": "credSubmit", "keepMeSignedIn": true, "kmsiDeviceDisplayName": "Firefox on Linux",
        "credentials": { "username": NAME, "password": PASSWORD },
    });
    let done = page.submit(&start, members).await;
    let token = done.body["kmsiToken"].as_str().unwrap().to_owned();
    let (_, claims) = decode(done.token());
    let form = [("grant_type", "client_credentials"), ("scope", "urn:opc:idm:__myscopes__")];
    let admin =
        server.ask("POST", "/oauth2/v1/token").basic("idcs-admin", "idcs-admin-secret").form(&form).send().await;
    let admin = admin.expect(200)["access_token"].as_str().unwrap().to_owned();
    let list = async |kind: &str| {
        let filter = format!("tokenType eq \"{kind}\" and user.value eq {}", claims["user_id"]);
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("filter", filter.as_str()), ("attributes", "name,tokenType")])
            .finish();
        said(&send(&server, "GET", &format!("TrustedUserAgents?{query}"), &admin, Value::Null).await, 200)
    };
    let found = list("KMSI").await;
    assert_eq!((&found["totalResults"], &found["Resources"][0]["name"]), (&json!(1), &json!("Firefox on Linux")));
    assert!(!found.to_string().contains(&token), "what is presented is in no list");
    assert_eq!(list("TRUSTED").await["totalResults"], 0);
    let path = format!("TrustedUserAgents/{}", found["Resources"][0]["id"].as_str().unwrap());
    assert_eq!(send(&server, "DELETE", &path, &admin, Value::Null).await.status, 204);
    assert_eq!(list("KMSI").await["totalResults"], 0);
    let back = page.send(&json!({ "op": "credSubmit", "authFactor": "KMSI", "kmsiToken": token })).await;
    back.expect(401, "failed", Some("AUTH-3008"));
}

/// The demand was looked at last: the answers were others already, and so was what is asked for first.
#[tokio::test]
async fn another_version_than_demanded_leaves_questions_and_wishes_as_they_were() {
    let server = start().await;
    let own = person(&server, NAME, PASSWORD).await;
    let with =
        |pet: &str| json!([{ "value": "firstPet", "answer": pet }, { "value": "firstCar", "answer": "Fiat 500" }]);
    let (questions, mfa) = (format!("{EXTENSION}:securityQuestions:User"), format!("{EXTENSION}:mfa:User"));
    let operations = |pet: &str| {
        patch(json!([
            { "op": "add", "path": format!("{questions}:secQuestions"), "value": with(pet) },
            { "op": "add", "path": format!("{mfa}:preferredAuthenticationFactor"), "value": "SECURITY_QUESTIONS" },
        ]))
    };
    let first = patch(json!([{ "op": "add", "path": format!("{questions}:secQuestions"), "value": with("Rex") }]));
    let me = said(&send(&server, "PATCH", "Me", &own, first).await, 200);
    let id = me["id"].as_str().unwrap();
    let kept = async || {
        let all = server.store.enrolments(&server.tenant(), &id.into()).await.unwrap();
        let wish = server.store.item(&server.tenant(), "preferred-factor", id).await.unwrap();
        (all.into_iter().find(|one| one.kind == "questions").unwrap(), wish)
    };
    let before = kept().await;
    let mut whole = me.as_object().unwrap().clone();
    whole.insert(questions.clone(), json!({ "secQuestions": with("Max") }));
    whole.insert(mfa.clone(), json!({ "preferredAuthenticationFactor": "SECURITY_QUESTIONS" }));
    let bodies = [("PATCH", operations("Max")), ("PUT", json!(whole))];
    for (method, body) in &bodies {
        let stale = ask(&server, method, "Me", &own, body).header("if-match", "W/\"999\"").send().await;
        refused(&stale, 412, "error.common.common.versionMismatch");
        assert!(kept().await == before, "{method}");
    }
    for (method, body) in &bodies {
        let tag = send(&server, "GET", "Me", &own, Value::Null).await.header("etag").to_owned();
        let reply = ask(&server, method, "Me", &own, body).header("if-match", &tag).send().await;
        assert_eq!(reply.status, 200, "{method} {}", reply.text());
    }
    let after = kept().await;
    assert!(after.0 != before.0 && after.1.is_some());
}
