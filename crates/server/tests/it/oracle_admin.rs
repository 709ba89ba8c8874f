//! Oracle's door for administrators and for the settings that sign-in pages read: which role opens what (vendor's page §1.2), people,
//! groups and applications in its shape, terms of use, and several requests in one.

use serde_json::{Value, json};

use crate::oracle_me::{person, setup};
use crate::support::{ACME, Reply, Setup, TestServer, client, on_both};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const EXTENSION: &str = "urn:ietf:params:scim:schemas:oracle:idcs:extension";
const MESSAGE: &str = "urn:ietf:params:scim:api:oracle:idcs:extension:messages:Error";
const LACKS: &str = "error.common.common.insufficientScope";

/// A client for each role, named by it.
fn with_roles() -> Setup {
    let roles = [
        ("r-signin", "\"Signin\""),
        ("r-register", "\"Self Registration\""),
        ("r-forgot", "\"Forgot Password\""),
        ("r-reset", "\"Reset Password\""),
        ("r-change", "\"Change Password\""),
        ("r-verify", "\"Verify Email\""),
        ("r-me", "\"Me\""),
        ("r-admin", "\"Identity Domain Administrator\""),
        ("r-none", ""),
    ];
    roles.iter().fold(setup(), |setup, (id, role)| {
        setup.add(&client(id, "s", &format!("grant_types = [\"client_credentials\"]\napp_roles = [{role}]")))
    })
}

async fn token(server: &TestServer, id: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", "urn:opc:idm:__myscopes__")];
    let made = server.ask("POST", "/oauth2/v1/token").basic(id, "s").form(&form).send().await.expect(200);
    made["access_token"].as_str().unwrap().to_owned()
}

async fn start() -> (TestServer, String) {
    let server = with_roles().start().await;
    let admin = token(&server, "r-admin").await;
    (server, admin)
}

async fn send(server: &TestServer, method: &str, path: &str, token: &str, body: Value) -> Reply {
    let ask = server.ask(method, &format!("/admin/v1/{path}")).bearer(token);
    if body.is_null() { ask.send().await } else { ask.body("application/scim+json", body.to_string()).send().await }
}

async fn get(server: &TestServer, path: &str, token: &str) -> Reply {
    send(server, "GET", path, token, Value::Null).await
}

#[track_caller]
fn said(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/scim+json");
    serde_json::from_slice(&reply.body).unwrap()
}

#[track_caller]
fn refused(reply: &Reply, status: u16, message: &str) {
    let body = said(reply, status);
    assert_eq!((&body["status"], &body[MESSAGE]["messageId"]), (&json!(status.to_string()), &json!(message)), "{body}");
}

fn patch(operations: Value) -> Value {
    json!({ "schemas": [PATCH], "Operations": operations })
}

fn newcomer(name: &str) -> Value {
    json!({
        "schemas": [USER], "userName": name, "name": { "givenName": "Grace", "familyName": "Hopper" },
        "emails": [{ "value": name, "type": "work", "primary": true }], "password": "correct-horse-battery-7",
    })
}

#[tokio::test]
async fn each_role_opens_its_own_endpoints_and_no_other() {
    let (server, _) = start().await;
    const NOBODY: &[&str] = &[];
    // What each is opened by, beside an administrator.
    let table: [(&str, &str, &[&str]); 32] = [
        ("GET", "Users", NOBODY),
        ("POST", "Users", NOBODY),
        ("POST", "Users/.search", NOBODY),
        ("GET", "Users/x", NOBODY),
        ("DELETE", "Users/x", NOBODY),
        ("GET", "Groups", NOBODY),
        ("POST", "Groups", NOBODY),
        ("GET", "Apps", NOBODY),
        ("PATCH", "Apps/r-none", NOBODY),
        ("POST", "Bulk", NOBODY),
        ("GET", "Devices", NOBODY),
        ("GET", "TrustedUserAgents", NOBODY),
        ("GET", "TermsOfUses", NOBODY),
        ("POST", "TermsOfUseStatements", NOBODY),
        ("PUT", "KmsiSettings/KmsiSettings", NOBODY),
        ("PUT", "AuthenticationFactorSettings/AuthenticationFactorSettings", NOBODY),
        ("GET", "AuthenticationFactorSettings/AuthenticationFactorSettings", &["r-signin"]),
        ("GET", "TermsOfUseStatements", &["r-signin"]),
        ("GET", "SecurityQuestions", &["r-signin", "r-register", "r-forgot"]),
        ("GET", "BrandingSettings/BrandingSettings", &["r-signin", "r-register", "r-forgot"]),
        ("POST", "Me", &["r-register"]),
        ("GET", "SelfRegistrationProfiles/staff", &["r-register"]),
        ("POST", "UserNameGenerator", &["r-register"]),
        ("POST", "MePasswordRecoveryOptionRetriever", &["r-forgot"]),
        ("POST", "MePasswordResetRequestor", &["r-forgot"]),
        ("POST", "MeSecurityQuestionsRetriever", &["r-forgot"]),
        ("POST", "MePasswordRecoveryFactorValidator", &["r-forgot", "r-reset"]),
        ("POST", "MePasswordResetter", &["r-reset"]),
        ("POST", "UserTokenValidator", &["r-reset"]),
        ("POST", "MePasswordMustChanger", &["r-change"]),
        ("GET", "PasswordPolicies", &["r-reset", "r-change", "r-register"]),
        ("POST", "MeEmailVerified", &["r-verify"]),
    ];
    for id in ["r-signin", "r-register", "r-forgot", "r-reset", "r-change", "r-verify", "r-me", "r-admin", "r-none"] {
        let token = token(&server, id).await;
        for (method, path, open) in table {
            let body = if method == "GET" || method == "DELETE" { Value::Null } else { json!({}) };
            let reply = send(&server, method, path, &token, body).await;
            if id == "r-admin" || open.contains(&id) {
                assert_ne!(reply.status, 401, "{id} {method} {path}: {}", reply.text());
            } else {
                refused(&reply, 401, LACKS);
            }
        }
        // A person's own is opened by a person's token alone.
        for (method, path) in [
            ("GET", "Me"),
            ("PATCH", "Me"),
            ("PUT", "MePasswordChanger"),
            ("PUT", "MeEmailVerifier"),
            ("GET", "MyDevices"),
        ] {
            let body = if method == "GET" { Value::Null } else { json!({}) };
            refused(&send(&server, method, path, &token, body).await, 401, LACKS);
        }
        assert_eq!(said(&get(&server, "AllowedValues/countrycodes", &token).await, 200)["id"], "countrycodes");
    }
    // A person who is no administrator governs nothing, whatever their application may do.
    let own = person(&server, "admin@oracle.com", "Welc0me@1").await;
    refused(&get(&server, "Users", &own).await, 401, LACKS);
    refused(&send(&server, "POST", "MePasswordResetter", &own, json!({})).await, 401, LACKS);
    let dead = get(&server, "Users", "nobodys-token").await;
    refused(&dead, 401, "error.common.common.unauthorized");
    assert_eq!(dead.header("www-authenticate"), "Bearer");
}

#[test]
fn people_are_kept_in_oracles_shape_and_are_the_same_in_every_other() {
    on_both(|store| async move {
        let server = with_roles().start_on(store).await;
        let admin = token(&server, "r-admin").await;
        let reply = send(&server, "POST", "Users", &admin, newcomer("grace@acme.test")).await;
        let made = said(&reply, 201);
        let id = made["id"].as_str().unwrap().to_owned();
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert_eq!(reply.header("location"), format!("{}/admin/v1/Users/{id}", ACME.base));
        assert_eq!(made["meta"]["resourceType"], "User");
        assert_eq!(
            (&made["displayName"], &made["name"]["formatted"]),
            (&json!("Grace Hopper"), &json!("Grace Hopper"))
        );
        assert_eq!(made["idcsCreatedBy"]["$ref"], format!("{}/admin/v1/Apps/r-admin", ACME.base));
        assert_eq!(made["emails"].as_array().unwrap().len(), 2);
        assert!(made.get("password").is_none() && made["meta"].get("version").is_none());
        assert_eq!(said(&get(&server, &format!("Users/{id}"), &admin).await, 200), made);

        let recovery = patch(
            json!([{ "op": "add", "path": "emails", "value": [{ "value": "g@home.test", "type": "recovery" }] }]),
        );
        let other =
            patch(json!([{ "op": "replace", "path": "emails[type eq \"recovery\"].value", "value": "g@home.test" }]));
        for change in [recovery, other] {
            let reply = send(&server, "PATCH", &format!("Users/{id}"), &admin, change).await;
            if reply.status == 200 {
                continue;
            }
            panic!("{}", reply.text());
        }
        let found = said(&get(&server, "Users?filter=userName%20eq%20%22GRACE@acme.test%22", &admin).await, 200);
        assert_eq!((&found["totalResults"], &found["itemsPerPage"]), (&json!(1), &json!(50)));
        let emails = found["Resources"][0]["emails"].as_array().unwrap();
        assert!(emails.iter().any(|one| one["type"] == "recovery" && one["value"] == "g@home.test"), "{found}");

        let state = format!("Users?filter={EXTENSION}:userState:User:locked.on%20eq%20true");
        refused(&get(&server, &state, &admin).await, 400, "error.common.common.invalidFilter");
        let policy = format!("Users/{id}?attributes={EXTENSION}:passwordState:User:applicablePasswordPolicy.value");
        let policy = said(&get(&server, &policy, &admin).await, 200);
        assert_eq!(
            policy[format!("{EXTENSION}:passwordState:User")]["applicablePasswordPolicy"]["value"],
            "PasswordPolicy"
        );
        let search = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "count": 1 });
        let page = said(&send(&server, "POST", "Users/.search", &admin, search).await, 200);
        assert_eq!(page["Resources"].as_array().unwrap().len(), 1);

        let stale = server
            .ask("PATCH", &format!("/admin/v1/Users/{id}"))
            .bearer(&admin)
            .header("if-match", "W/\"1\"")
            .body("application/scim+json", patch(json!([{ "op": "add", "path": "title", "value": "x" }])).to_string());
        refused(&stale.send().await, 412, "error.common.common.versionMismatch");
        assert_eq!(send(&server, "DELETE", &format!("Users/{id}"), &admin, Value::Null).await.status, 204);
        refused(&get(&server, &format!("Users/{id}"), &admin).await, 404, "error.common.common.resourceNotFound");
    });
}

#[tokio::test]
async fn who_is_in_a_group_is_answered_when_it_is_asked_for() {
    let (server, admin) = start().await;
    let user = said(&send(&server, "POST", "Users", &admin, newcomer("grace@acme.test")).await, 201);
    let body =
        json!({ "schemas": [GROUP], "displayName": "Navy", "members": [{ "value": user["id"], "type": "User" }] });
    let made = said(&send(&server, "POST", "Groups", &admin, body).await, 201);
    assert!(made.get("members").is_none() && made["idcsCreatedBy"]["value"] == "r-admin", "{made}");
    let path = format!("Groups/{}", made["id"].as_str().unwrap());
    let with = said(&get(&server, &format!("{path}?attributes=displayName,members"), &admin).await, 200);
    assert_eq!(with["members"][0]["name"], "grace@acme.test");
    let shown = format!("Users/{}?attributes=groups", user["id"].as_str().unwrap());
    assert_eq!(said(&get(&server, &shown, &admin).await, 200)["groups"][0]["display"], "Navy");
    let rename = patch(json!([{ "op": "replace", "path": "displayName", "value": "Fleet" }]));
    assert_eq!(said(&send(&server, "PATCH", &path, &admin, rename).await, 200)["displayName"], "Fleet");
    assert_eq!(send(&server, "DELETE", &path, &admin, Value::Null).await.status, 204);
}

#[tokio::test]
async fn several_requests_in_one_refer_to_each_other_and_are_judged_one_by_one() {
    let (server, admin) = start().await;
    let body = json!({ "schemas": [BULK], "Operations": [
        { "method": "POST", "path": "/Users", "bulkId": "u", "data": newcomer("grace@acme.test") },
        { "method": "POST", "path": "/Groups", "bulkId": "g",
          "data": { "schemas": [GROUP], "displayName": "Navy", "members": [{ "value": "bulkId:u" }] } },
        { "method": "PATCH", "path": "/Users/bulkId:u", "data": patch(json!([{ "op": "add", "path": "title", "value": "RADM" }])) },
        { "method": "POST", "path": "/Users", "bulkId": "again", "data": newcomer("grace@acme.test") },
        { "method": "DELETE", "path": "/Users/bulkId:unknown" },
    ] });
    let done = said(&send(&server, "POST", "Bulk", &admin, body.clone()).await, 201);
    let status: Vec<&str> =
        done["Operations"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["201", "201", "200", "409", "409"], "{done}");
    assert_eq!(done["Operations"][3]["response"][MESSAGE]["messageId"], "error.common.validation.uniqueness");
    let group = done["Operations"][1]["location"].as_str().unwrap().rsplit('/').next().unwrap();
    let members = said(&get(&server, &format!("Groups/{group}?attributes=members"), &admin).await, 200);
    assert_eq!(members["members"][0]["display"], "grace@acme.test");
    let mut stops = body.clone();
    stops["failOnErrors"] = json!(1);
    let done = said(&send(&server, "POST", "Bulk", &admin, stops).await, 201);
    assert_eq!(done["Operations"].as_array().unwrap().len(), 1);
    // A request within is no more than it would be by itself.
    let nested =
        json!({ "schemas": [BULK], "Operations": [{ "method": "POST", "path": "/Bulk", "bulkId": "b", "data": {} }] });
    refused(&send(&server, "POST", "Bulk", &admin, nested).await, 400, "error.common.common.invalidRequest");
    let many = vec![json!({ "method": "DELETE", "path": "/Users/x" }); 101];
    let many = json!({ "schemas": [BULK], "Operations": many });
    assert_eq!(send(&server, "POST", "Bulk", &admin, many).await.status, 413);
}

#[tokio::test]
async fn applications_are_the_clients_and_get_no_roles_by_request() {
    let (server, admin) = start().await;
    let all = said(&get(&server, "Apps?filter=displayName%20eq%20%22Sign-in%20Page%22", &admin).await, 200);
    let page = &all["Resources"][0];
    assert_eq!(
        (&page["name"], &page["clientType"], &page["active"]),
        (&json!("idcs-demo"), &json!("confidential"), &json!(true))
    );
    assert!(page["grantedAppRoles"].as_array().unwrap().iter().any(|role| role["display"] == "Signin"));
    let new = json!({
        "schemas": ["urn:ietf:params:scim:schemas:oracle:idcs:App"], "displayName": "Portal",
        "allowedGrants": ["client_credentials"], "redirectUris": ["https://portal.test/cb"],
        "grantedAppRoles": [{ "value": "Identity Domain Administrator" }],
    });
    let made = said(&send(&server, "POST", "Apps", &admin, new).await, 201);
    let (id, secret) = (made["id"].as_str().unwrap(), made["clientSecret"].as_str().unwrap());
    assert_eq!(made.get("grantedAppRoles"), None, "nobody gives roles to an application of theirs");
    let form = [("grant_type", "client_credentials"), ("scope", "urn:opc:idm:__myscopes__")];
    let token = server.ask("POST", "/oauth2/v1/token").basic(id, secret).form(&form).send().await.expect(200);
    refused(&get(&server, "Users", token["access_token"].as_str().unwrap()).await, 401, LACKS);
    let path = format!("Apps/{id}");
    assert!(said(&get(&server, &path, &admin).await, 200).get("clientSecret").is_none());
    for wrong in [
        json!({ "op": "replace", "path": "redirectUris", "value": ["javascript:alert(1)"] }),
        json!({ "op": "replace", "path": "loginPageUrl", "value": "ftp://x.test/" }),
        json!({ "op": "add", "path": "allowedGrants", "value": ["magic"] }),
        json!({ "op": "replace", "path": "termsOfUse", "value": { "value": "none" } }),
    ] {
        let reply = send(&server, "PATCH", &path, &admin, patch(json!([wrong]))).await;
        refused(&reply, 400, "error.common.validation.invalidValue");
    }
    let off = patch(json!([{ "op": "replace", "path": "active", "value": false }]));
    assert_eq!(said(&send(&server, "PATCH", &path, &admin, off).await, 200)["active"], false);
    let dead = server.ask("POST", "/oauth2/v1/token").basic(id, secret).form(&form).send().await;
    assert_eq!(dead.status, 401);
    assert_eq!(send(&server, "DELETE", &path, &admin, Value::Null).await.status, 204);
    let own = send(&server, "DELETE", "Apps/r-admin", &admin, Value::Null).await;
    refused(&own, 400, "error.common.validation.invalidValue");
    assert_eq!(said(&get(&server, "Apps/countersign", &admin).await, 200)["id"], "countersign");
}

#[tokio::test]
async fn terms_of_use_are_written_attached_and_not_lost_while_they_are_used() {
    let (server, admin) = start().await;
    let statement = json!({
        "schemas": ["urn:ietf:params:scim:schemas:oracle:idcs:TermsOfUseStatement"], "locale": "en", "statement": "Be kind.",
    });
    let statement = said(&send(&server, "POST", "TermsOfUseStatements", &admin, statement).await, 201);
    let terms = |statement: &Value| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:oracle:idcs:TermsOfUse"], "name": "House rules", "active": true,
            "expiryDays": 30, "statements": [{ "value": statement }],
        })
    };
    let wrong = send(&server, "POST", "TermsOfUses", &admin, terms(&json!("none"))).await;
    refused(&wrong, 400, "error.common.validation.invalidValue");
    let made = said(&send(&server, "POST", "TermsOfUses", &admin, terms(&statement["id"])).await, 201);
    assert_eq!((&made["statements"][0]["locale"], &made["expiryDays"]), (&json!("en"), &json!(30)));
    let attach = json!({ "schemas": [BULK], "Operations": [{
        "method": "PATCH", "path": "/Apps/payroll",
        "data": patch(json!([{ "op": "replace", "path": "termsOfUse", "value": { "value": made["id"] } }])),
    }] });
    let done = said(&send(&server, "POST", "Bulk", &admin, attach).await, 201);
    assert_eq!(done["Operations"][0]["status"], "200", "{done}");
    assert_eq!(said(&get(&server, "Apps/payroll", &admin).await, 200)["termsOfUse"]["value"], made["id"]);
    let path = format!("TermsOfUses/{}", made["id"].as_str().unwrap());
    let used = send(&server, "DELETE", &path, &admin, Value::Null).await;
    refused(&used, 400, "error.common.validation.invalidValue");
    let words = format!("TermsOfUseStatements/{}", statement["id"].as_str().unwrap());
    refused(&send(&server, "DELETE", &words, &admin, Value::Null).await, 400, "error.common.validation.invalidValue");
    let other = patch(json!([{ "op": "replace", "path": "statement", "value": "Be kinder." }]));
    assert_eq!(said(&send(&server, "PATCH", &words, &admin, other).await, 200)["statement"], "Be kinder.");
    let off = patch(json!([{ "op": "remove", "path": "termsOfUse" }]));
    assert!(said(&send(&server, "PATCH", "Apps/payroll", &admin, off).await, 200).get("termsOfUse").is_none());
    assert_eq!(send(&server, "DELETE", &path, &admin, Value::Null).await.status, 204);
    assert_eq!(send(&server, "DELETE", &words, &admin, Value::Null).await.status, 204);
}

#[tokio::test]
async fn settings_are_the_tenants_own_and_are_in_force_at_once() {
    let (server, admin) = start().await;
    let path = "AuthenticationFactorSettings/AuthenticationFactorSettings";
    let settings = said(&get(&server, path, &admin).await, 200);
    assert_eq!((&settings["smsEnabled"], &settings["totpSettings"]["passcodeLength"]), (&json!(true), &json!(6)));
    assert_eq!(said(&send(&server, "PUT", path, &admin, settings.clone()).await, 200), settings);
    let change = patch(json!([
        { "op": "replace", "path": "smsEnabled", "value": false },
        { "op": "replace", "path": "endpointRestrictions.maxIncorrectAttempts", "value": 3 },
    ]));
    let changed = said(&send(&server, "PATCH", path, &admin, change).await, 200);
    assert_eq!(
        (&changed["smsEnabled"], &changed["endpointRestrictions"]["maxIncorrectAttempts"]),
        (&json!(false), &json!(3))
    );
    let forgot = token(&server, "r-forgot").await;
    let body = json!({ "userName": "n1@oracle.com" });
    for _ in 0..2 {
        let reply = said(&send(&server, "POST", "MePasswordRecoveryOptionRetriever", &forgot, body.clone()).await, 201);
        assert!(reply["options"].as_array().unwrap().iter().all(|one| one["type"] != "sms"), "{reply}");
    }
    let kmsi = "KmsiSettings/KmsiSettings";
    let body = json!({ "kmsiFeatureEnabled": true, "maxAllowedSessions": 7 });
    assert_eq!(said(&send(&server, "PUT", kmsi, &admin, body).await, 200)["maxAllowedSessions"], 7);
    // One switch by two names: read, turned by either, written back.
    for (name, on) in [("kmsiEnabled", false), ("kmsiFeatureEnabled", true)] {
        let mut read = said(&get(&server, kmsi, &admin).await, 200);
        assert_eq!((&read["kmsiEnabled"], &read["kmsiFeatureEnabled"]), (&json!(!on), &json!(!on)));
        read[name] = json!(on);
        assert_eq!(said(&send(&server, "PUT", kmsi, &admin, read).await, 200)[name], on);
    }
    let codes = said(
        &get(&server, "AllowedValues/countrycodes?attributes=attrValues.value,attrValues.label", &forgot).await,
        200,
    );
    assert!(codes["attrValues"].as_array().unwrap().contains(&json!({ "value": "+44", "label": "United Kingdom" })));
    let policies =
        said(&get(&server, "PasswordPolicies?attributes=minLength,numPasswordsInHistory", &admin).await, 200);
    assert_eq!(policies["Resources"][0]["id"], "PasswordPolicy");
    assert_eq!(policies["Resources"][0]["minLength"], 8);
    let questions = said(&get(&server, "SecurityQuestions?count=48&startIndex=1", &admin).await, 200);
    assert_eq!((&questions["totalResults"], &questions["itemsPerPage"]), (&json!(5), &json!(48)));
    assert!(questions["Resources"][0]["questionText"][0]["value"].is_string());
    let devices = get(&server, "Devices", &admin).await;
    refused(&devices, 400, "error.common.validation.invalidValue");
    let scott = format!("Devices?filter=user.value%20eq%20%22{}%22", ACME.admin.id);
    let devices = said(&get(&server, &scott, &admin).await, 200);
    assert!(devices["totalResults"].as_u64().unwrap() > 0, "{devices}");
}

#[tokio::test]
async fn the_standards_shape_has_bulk_too() {
    let (server, token) = crate::scim::provisioned().await;
    let ask = |body: &Value| {
        server.ask("POST", "/scim/v2/Bulk").bearer(&token).body("application/scim+json", body.to_string())
    };
    let body = json!({ "schemas": [BULK], "Operations": [
        { "method": "POST", "path": "/Users", "bulkId": "u", "data": newcomer("grace@acme.test") },
        { "method": "DELETE", "path": "/Users/bulkId:u", "version": "W/\"9\"" },
        { "method": "DELETE", "path": "/Users/bulkId:u", "version": "W/\"1\"" },
    ] });
    let done = said(&ask(&body).send().await, 200);
    let status: Vec<&str> =
        done["Operations"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["201", "412", "204"], "{done}");
    let stranger = server.ask("POST", "/scim/v2/Bulk").body("application/scim+json", body.to_string()).send().await;
    assert_eq!(stranger.status, 401);
}
