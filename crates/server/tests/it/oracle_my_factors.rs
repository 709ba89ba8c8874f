//! People set up and take away their own factors with a token of theirs (vendor's page §5.1), and bypass codes (§5.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::oracle_enrol::{ID, NAME, OPTIONAL, PASSWORD, Phone, REQUIRED, setup, shows};
use crate::support::hosted::CALLBACK;
use crate::support::oracle::{CLIENT, Page, SECRET};
use crate::support::visitor::Visitor;
use crate::support::{ACME, Reply, TestServer, on_both};

const ENROLLER: &str = "/admin/v1/MyAuthenticationFactorEnroller";
const INITIATOR: &str = "/admin/v1/MyAuthenticationFactorInitiator";
const VALIDATOR: &str = "/admin/v1/MyAuthenticationFactorValidator";
const REMOVER: &str = "/admin/v1/MyAuthenticationFactorsRemover";
const PREFIX: &str = "urn:ietf:params:scim:schemas:oracle:idcs:";

async fn start() -> (TestServer, Page) {
    let server = setup().start().await;
    let page = server.page().await;
    (server, page)
}

/// A token of the person for what they signed in with.
async fn exchange(server: &TestServer, authn_token: &str) -> String {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("scope", "urn:opc:idm:__myscopes__"),
        ("assertion", authn_token),
    ];
    let made = server.ask("POST", "/oauth2/v1/token").basic(CLIENT, SECRET).form(&form).send().await.expect(200);
    made["access_token"].as_str().unwrap().to_owned()
}

async fn mine(server: &TestServer, page: &Page) -> String {
    exchange(server, page.password(None, NAME, PASSWORD).await.token()).await
}

async fn administrator(server: &TestServer) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", "urn:opc:idm:__myscopes__")];
    let asked = server.ask("POST", "/oauth2/v1/token").basic("idcs-admin", "idcs-admin-secret").form(&form);
    asked.send().await.expect(200)["access_token"].as_str().unwrap().to_owned()
}

fn scim(reply: &Reply, status: u16, message: &str) {
    let body = reply.expect(status);
    assert_eq!(body["status"], status.to_string(), "{body}");
    assert_eq!(body["urn:ietf:params:scim:api:oracle:idcs:extension:messages:Error"]["messageId"], message, "{body}");
}

fn enrol(factor: &str, more: Value) -> Value {
    let mut body = json!({
        "schemas": [format!("{PREFIX}AuthenticationFactorEnroller")], "user": { "value": ID }, "authnFactors": [factor],
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn finish(begun: &Value, factor: &str, code: &str) -> Value {
    json!({
        "schemas": [format!("{PREFIX}AuthenticationFactorValidator")], "deviceId": begun["deviceId"],
        "requestId": begun["requestId"], "authFactor": factor, "scenario": "ENROLLMENT", "otpCode": code,
    })
}

#[test]
fn a_number_is_set_up_in_three_actions() {
    on_both(async |store| {
        let server = setup().start_on(store).await;
        let page = server.page().await;
        let token = mine(&server, &page).await;
        let more = json!({ "displayName": "My number", "countryCode": "+44", "phoneNumber": "2071230000" });
        let begun = server.json("POST", ENROLLER, &token, &enrol("SMS", more)).await.expect(201);
        assert_eq!(begun["phoneNumber"], "XXXXXXXXX000");
        assert_eq!(begun["authnFactors"], json!(["SMS"]));
        assert_eq!(begun["meta"]["resourceType"], "MyAuthenticationFactorEnroller");
        assert!(begun["meta"]["location"].as_str().unwrap().ends_with(ENROLLER));
        assert!(begun["requestId"].as_str().unwrap().contains("o-o"), "{begun}");
        // Nothing was sent yet, and nothing is right before it was.
        assert!(server.mail("+442071230000").await.is_empty());
        let early = server.json("POST", VALIDATOR, &token, &finish(&begun, "SMS", "123456")).await;
        scim(&early, 401, "error.ssocommon.auth.invalidPasscode");

        let body = json!({
            "schemas": [format!("{PREFIX}AuthenticationFactorInitiator")], "deviceId": begun["deviceId"],
            "requestId": begun["requestId"], "userName": NAME, "authFactor": "SMS",
        });
        let sent = server.json("POST", INITIATOR, &token, &body).await.expect(201);
        assert_eq!(sent["displayName"], "+44XXXXXXX000");
        let code = server.code("+442071230000").await;
        let wrong = server.json("POST", VALIDATOR, &token, &finish(&begun, "SMS", "000000")).await;
        scim(&wrong, 401, "error.ssocommon.auth.invalidPasscode");
        let done = server.json("POST", VALIDATOR, &token, &finish(&begun, "SMS", &code)).await.expect(201);
        assert!(done.get("otpCode").is_none(), "a code is not echoed");
        assert_eq!((&done["status"], &done["mfaStatus"]), (&json!("SUCCESS"), &json!("ENROLLED")));
        assert_eq!((&done["devicesCount"], &done["mfaPreferredAuthenticationFactor"]), (&json!(1), &json!("SMS")));
        assert_eq!(done["mfaPreferredDevice"], begun["deviceId"]);
        // Once; and from now on this token is not enough to set up more.
        let again = server.json("POST", VALIDATOR, &token, &finish(&begun, "SMS", &code)).await;
        scim(&again, 403, "error.common.common.noPermissionToPerformOperation");
        let second = page.password(Some(REQUIRED), NAME, PASSWORD).await;
        assert_eq!(second.list("nextAuthFactors"), ["SMS"]);
    });
}

/// A stolen password must not set up its way past the second factor, here as anywhere.
#[tokio::test]
async fn a_further_factor_needs_a_session_in_which_one_was_used() {
    let (server, page) = start().await;
    let token = mine(&server, &page).await;
    let begun =
        server.json("POST", ENROLLER, &token, &enrol("TOTP", json!({ "isDeviceOffline": true }))).await.expect(201);
    let text = |name: &str| String::from_utf8(STANDARD.decode(begun[name].as_str().unwrap()).unwrap()).unwrap();
    let content = text("qrCodeContent");
    assert!(content.starts_with("otpauth://totp/"), "{content}");
    assert_eq!(begun["qrCodeImgType"], "PNG");
    let image = STANDARD.decode(text("qrCodeImgContent")).unwrap();
    assert_eq!(&image[1..4], b"PNG", "base64 of base64");
    let code = shows(&server, &content);
    server.json("POST", VALIDATOR, &token, &finish(&begun, "TOTP", &code)).await.expect(201);

    let weak = mine(&server, &page).await;
    let refused = server.json("POST", ENROLLER, &weak, &enrol("EMAIL", json!({}))).await;
    scim(&refused, 403, "error.common.common.noPermissionToPerformOperation");
    let body = json!({ "user": { "value": ID }, "schemas": [format!("{PREFIX}AuthenticationFactorsRemover")] });
    let refused = server.json("POST", REMOVER, &weak, &body).await;
    scim(&refused, 403, "error.common.common.noPermissionToPerformOperation");
    let recovery = json!({
        "user": { "value": ID }, "type": "ACCOUNTRECOVERY", "schemas": [format!("{PREFIX}AuthenticationFactorsRemover")],
    });
    let refused = server.json("POST", REMOVER, &weak, &recovery).await;
    scim(&refused, 403, "error.common.common.noPermissionToPerformOperation");

    server.world.advance(60);
    let second = page.password(Some(OPTIONAL), NAME, PASSWORD).await;
    let code = shows(&server, &content);
    let strong = page.credentials(&second, None, json!({ "otpCode": code })).await;
    let strong = exchange(&server, strong.token()).await;
    server.json("POST", ENROLLER, &strong, &enrol("EMAIL", json!({}))).await.expect(201);
    server.json("POST", REMOVER, &strong, &recovery).await.expect(201);
    let gone = server.json("POST", REMOVER, &strong, &body).await.expect(201);
    assert_eq!(gone["user"]["value"], ID);
    // What people take away themselves leaves them where they are.
    server.get("/admin/v1/Me", &strong).await.expect(200);
    assert_eq!(page.password(Some(OPTIONAL), NAME, PASSWORD).await.list("nextAuthFactors"), ["TOTP", "EMAIL"]);
}

/// What an administrator takes away is lost or in other hands: whoever proved it last is out, wherever they are.
#[test]
fn attack_23_a_factor_taken_away_by_an_administrator_ends_what_was_begun() {
    on_both(async |store| {
        let mut store = Some(store);
        for door in ["policyauth", "oracle", "demand"] {
            let setup = crate::support::hosted::setup();
            let server = match store.take() {
                Some(store) => setup.start_on(store).await,
                None => setup.start().await,
            };
            let tokens = server.sign_in().await;
            let text = |name: &str| tokens[name].as_str().unwrap();
            let mut visitor = Visitor::new(&server);
            visitor.code("web", ACME.admin.username, ACME.admin.password, &[]).await;
            assert!(visitor.silently("web", &[]).await.landed(CALLBACK).contains_key("code"));
            assert_eq!(server.introspect(text("access_token")).await["active"], true);
            match door {
                "policyauth" => {
                    let admin = server.token_of("administration", "administration-demo-secret").await;
                    let own = format!("/v2.0/factors/emailotp/{}", ACME.email);
                    server.json("DELETE", &own, &admin, &Value::Null).await.expect_empty(204);
                }
                "oracle" => {
                    let admin = administrator(&server).await;
                    let body = json!({
                        "user": { "value": ACME.admin.id },
                        "schemas": [format!("{PREFIX}AuthenticationFactorsRemover")],
                    });
                    let path = "/admin/v1/AuthenticationFactorsRemover";
                    server.json("POST", path, &admin, &body).await.expect(201);
                }
                _ => {
                    // Of an administrator, nobody else takes any.
                    let role = protocol::idcs::roles::AppRole::IdentityDomainAdministrator;
                    server.change_client("idcs-mfa", |client| client.app_roles = [role].into()).await;
                    let form = [("grant_type", "client_credentials"), ("scope", "urn:opc:idm:__myscopes__")];
                    let made = server
                        .ask("POST", "/oauth2/v1/token")
                        .basic("idcs-mfa", "idcs-mfa-secret")
                        .form(&form)
                        .send()
                        .await;
                    let desk = made.expect(200)["access_token"].as_str().unwrap().to_owned();
                    let path = format!("/mfa/v1/users/{}", ACME.admin.id);
                    let done = server.json("PATCH", &path, &desk, &json!({ "disableMFA": true })).await;
                    assert_eq!(done.status, 200, "{}", done.text());
                }
            }
            assert_eq!(server.introspect(text("access_token")).await["active"], false, "{door}");
            server.refresh(text("refresh_token")).await.oauth_error(400, "invalid_grant", "CSIAQ");
            let silent = visitor.silently("web", &[]).await;
            assert_eq!(silent.landed(CALLBACK)["error"], "login_required", "{door}");
            // Who signs in from now on is in.
            let mut again = Visitor::new(&server);
            let code = again.code("web", ACME.admin.username, ACME.admin.password, &[]).await;
            server.redeem("web", &code).await.expect(200);
        }
    });
}

#[tokio::test]
async fn a_phone_is_asked_after_until_it_has_answered() {
    let (server, page) = start().await;
    let token = mine(&server, &page).await;
    let begun = server.json("POST", ENROLLER, &token, &enrol("PUSH", json!({}))).await.expect(201);
    assert_eq!(begun["authnFactors"], json!(["PUSH", "TOTP"]));
    let content = STANDARD.decode(begun["qrCodeContent"].as_str().unwrap()).unwrap();
    let mut poll = finish(&begun, "PUSH", "");
    poll.as_object_mut().unwrap().remove("otpCode");
    let waiting = server.json("POST", VALIDATOR, &token, &poll).await;
    scim(&waiting, 404, "error.ssocommon.ssoadmin.mfa.authenticationstatusnotfound");
    let mut phone = Phone::scans(&server, &String::from_utf8(content).unwrap()).await;
    phone.enrols_its_key(&server).await;
    let done = server.json("POST", VALIDATOR, &token, &poll).await.expect(201);
    assert_eq!((&done["status"], &done["devicesCount"]), (&json!("SUCCESS"), &json!(1)), "{done}");
    // One device with both its factors.
    let devices = server.get("/admin/v1/MyDevices", &token).await.expect(200);
    let factors = devices["Resources"][0]["authenticationFactors"].as_array().unwrap();
    let mut factors: Vec<&str> = factors.iter().map(|one| one["type"].as_str().unwrap()).collect();
    factors.sort_unstable();
    assert_eq!((&devices["totalResults"], factors), (&json!(1), vec!["PUSH", "TOTP"]));
}

#[tokio::test]
async fn nobody_sets_up_anything_for_somebody_else() {
    let (server, page) = start().await;
    let token = mine(&server, &page).await;
    let mut body = enrol("EMAIL", json!({}));
    body["user"]["value"] = json!("6040003OH8");
    let refused = server.json("POST", ENROLLER, &token, &body).await;
    scim(&refused, 403, "error.common.common.noPermissionToPerformOperation");
    let begun = server.json("POST", ENROLLER, &token, &enrol("EMAIL", json!({}))).await.expect(201);
    // Names that do not belong together are nobody's.
    let mut foreign = finish(&begun, "EMAIL", "1");
    foreign["requestId"] = json!("5e0d6c1b-0c59-4ad2-8b8e-9a1f7c2d3e40");
    let refused = server.json("POST", VALIDATOR, &token, &foreign).await;
    scim(&refused, 404, "error.ssocommon.ssoadmin.mfa.deviceNotFound");
    let theirs = page.password(None, "admin@oracle.com", "Welc0me@1").await;
    let theirs = exchange(&server, theirs.token()).await;
    let refused = server.json("POST", VALIDATOR, &theirs, &finish(&begun, "EMAIL", "1")).await;
    scim(&refused, 404, "error.ssocommon.ssoadmin.mfa.deviceNotFound");
    // A client's own token is no person's, and nobody's is nobody's.
    let refused = server.json("POST", ENROLLER, &page.token, &body).await;
    scim(&refused, 401, "error.common.common.insufficientScope");
    for (factors, member) in
        [(json!([]), "authnFactors"), (json!(["DUO"]), "authnFactors"), (json!("SMS"), "authnFactors")]
    {
        let mut wrong = enrol("EMAIL", json!({}));
        wrong[member] = factors;
        server.json("POST", ENROLLER, &token, &wrong).await.expect(400);
    }
}

#[test]
fn a_bypass_code_stands_in_once_and_is_shown_once() {
    on_both(async |store| {
        let server = setup().start_on(store).await;
        let page = server.page().await;
        let token = mine(&server, &page).await;
        let path = "/admin/v1/MyBypassCodes";
        let made = server.json("POST", path, &token, &json!({})).await.expect(201);
        let code = made["code"].as_str().unwrap().to_owned();
        assert!(code.len() == 12 && code.bytes().all(|b| b.is_ascii_digit()), "{code}");
        assert_eq!((&made["maxUsageCount"], &made["actualUsageCount"]), (&json!(1), &json!(0)));
        assert_eq!(made["meta"]["resourceType"], "MyBypassCode");
        for _ in 0..4 {
            server.json("POST", path, &token, &json!({})).await.expect(201);
        }
        let full = server.json("POST", path, &token, &json!({})).await;
        scim(&full, 400, "error.ssocommon.ssoadmin.mfa.maxBypassCodesReached");
        let list = server.get(path, &token).await.expect(200);
        assert_eq!((&list["totalResults"], &list["itemsPerPage"]), (&json!(5), &json!(50)));
        assert!(list["Resources"].as_array().unwrap().iter().all(|one| one.get("code").is_none()));
        let mut others = list["Resources"].as_array().unwrap().iter().filter(|one| one["id"] != made["id"]);
        let id = others.next().unwrap()["id"].as_str().unwrap();
        server.get(&format!("{path}/{id}"), &token).await.expect(200);
        server.json("DELETE", &format!("{path}/{id}"), &token, &Value::Null).await.expect_empty(204);
        server.get(&format!("{path}/{id}"), &token).await.expect(404);

        // Somebody who has a factor that is not at hand.
        let begun = server.json("POST", ENROLLER, &token, &enrol("EMAIL", json!({}))).await.expect(201);
        let send = json!({
            "deviceId": begun["deviceId"], "requestId": begun["requestId"], "userName": NAME, "authFactor": "EMAIL"
        });
        server.json("POST", INITIATOR, &token, &send).await.expect(201);
        let mailed = server.code(NAME).await;
        server.json("POST", VALIDATOR, &token, &finish(&begun, "EMAIL", &mailed)).await.expect(201);
        let second = page.password(Some(REQUIRED), NAME, PASSWORD).await;
        let credentials = json!({ "bypassCode": code });
        page.credentials(&second, Some("BYPASSCODE"), credentials.clone()).await.token();
        let second = page.password(Some(REQUIRED), NAME, PASSWORD).await;
        page.credentials(&second, Some("BYPASSCODE"), credentials).await.expect(401, "failed", Some("AUTH-1105"));
    });
}

#[tokio::test]
async fn an_administrator_hands_out_codes_that_serve_several_times() {
    let (server, page) = start().await;
    let admin = administrator(&server).await;
    let path = "/admin/v1/BypassCodes";
    for wrong in [json!({ "maxUsageCount": 6 }), json!({ "maxUsageCount": "2" }), json!({ "expiryInMinutes": 0 })] {
        let mut body = json!({ "user": { "value": ID } });
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        server.json("POST", path, &admin, &body).await.expect(400);
    }
    let body = json!({ "user": { "value": ID }, "maxUsageCount": 2, "expiryInMinutes": 60 });
    let made = server.json("POST", path, &admin, &body).await.expect(201);
    let credentials = json!({ "bypassCode": made["code"] });
    // Their person has a factor.
    let token = mine(&server, &page).await;
    let begun =
        server.json("POST", ENROLLER, &token, &enrol("TOTP", json!({ "isDeviceOffline": true }))).await.expect(201);
    let content = String::from_utf8(STANDARD.decode(begun["qrCodeContent"].as_str().unwrap()).unwrap()).unwrap();
    let code = shows(&server, &content);
    server.json("POST", VALIDATOR, &token, &finish(&begun, "TOTP", &code)).await.expect(201);
    for used in 1..=2 {
        let second = page.password(Some(REQUIRED), NAME, PASSWORD).await;
        page.credentials(&second, Some("BYPASSCODE"), credentials.clone()).await.token();
        let filter = "?filter=user.value%20eq%20%22604000NEWT%22";
        let list = server.get(&format!("{path}{filter}"), &admin).await.expect(200);
        let left: Vec<&Value> = list["Resources"].as_array().unwrap().iter().collect();
        assert_eq!(left.len(), usize::from(used == 1));
        if let [one] = left.as_slice() {
            assert_eq!((&one["actualUsageCount"], &one["maxUsageCount"]), (&json!(1), &json!(2)));
        }
    }
    let second = page.password(Some(REQUIRED), NAME, PASSWORD).await;
    page.credentials(&second, Some("BYPASSCODE"), credentials).await.expect(401, "failed", Some("AUTH-1105"));

    let made = server.json("POST", path, &admin, &body).await.expect(201);
    server.world.advance(3601);
    let second = page.password(Some(REQUIRED), NAME, PASSWORD).await;
    let credentials = json!({ "bypassCode": made["code"] });
    page.credentials(&second, Some("BYPASSCODE"), credentials).await.expect(401, "failed", Some("AUTH-1105"));
    // How often and how many is the tenant's to say.
    let settings = "/admin/v1/AuthenticationFactorSettings/AuthenticationFactorSettings";
    let fewer = json!({ "bypassCodeSettings": { "maxActive": 2, "helpDeskMaxUsage": 1 } });
    let changed = server.json("PUT", settings, &admin, &fewer).await.expect(200);
    assert_eq!(
        (&changed["bypassCodeSettings"]["maxActive"], &changed["bypassCodeSettings"]["length"]),
        (&json!(2), &json!(12))
    );
    server.json("POST", path, &admin, &body).await.expect(400);
    let once = json!({ "user": { "value": ID } });
    server.json("POST", path, &admin, &once).await.expect(201);
    server.json("POST", path, &admin, &once).await.expect(201);
    let full = server.json("POST", path, &admin, &once).await;
    scim(&full, 400, "error.ssocommon.ssoadmin.mfa.maxBypassCodesReached");
    // Whoever is no administrator hands out nothing.
    let refused = server.json("POST", path, &token, &body).await;
    scim(&refused, 401, "error.common.common.insufficientScope");
}
