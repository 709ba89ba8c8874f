//! Administrators of a part reaching for the whole: attack 66 of the project's list.

use serde_json::{Value, json};

use crate::support::{ACME, Reply, Setup, TestServer, client, decode};

const GROUP: &str = "604000ADMS";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const ADMINISTRATION: &str = "urn:opc:idm:t.namedappadmin";
const MINE: &str = "urn:opc:idm:__myscopes__";
const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Clients by what they are entitled to, and by their roles in Oracle's dialect.
fn setup() -> Setup {
    let entitled = |setup: Setup, id: &str, what: &str| {
        setup.add(&client(id, "s", &format!("grant_types = [\"client_credentials\"]\nentitlements = [{what}]")))
    };
    let people = "\"manageUsers\", \"updateAnyUser\", \"resetPasswordAnyUser\", \"manageEnrollMFAMethodAnyUser\", \"manageUserGroups\"";
    let mut setup = entitled(Setup::new(), "groups", "\"manageUserGroups\"");
    setup = entitled(setup, "standard", "\"manageUserStandardGroups\"");
    setup = entitled(setup, "all", "\"manageAllUserGroups\"");
    setup = entitled(setup, "helpdesk", people);
    setup = entitled(setup, "over", &format!("{people}, \"manageAllUserGroups\""));
    let roles = |setup: Setup, id: &str, what: &str| {
        let more = format!("grant_types = [\"client_credentials\", \"{BEARER}\"]\napp_roles = [{what}]");
        setup.add(&client(id, "s", &more))
    };
    setup = roles(setup, "factors", "\"MFA Client\"");
    setup = roles(setup, "console", "\"Me\", \"Signin\", \"Identity Domain Administrator\"");
    setup
}

/// A client's own token of Oracle's dialect.
async fn token(server: &TestServer, id: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", MINE)];
    let made = server.ask("POST", "/oauth2/v1/token").basic(id, "s").form(&form).send().await.expect(200);
    made["access_token"].as_str().unwrap().to_owned()
}

/// A person's, through the console of administrators.
async fn through_console(server: &TestServer, name: &str, password: &str) -> String {
    let authn = server.page().await.password(None, name, password).await.token().to_owned();
    let form = [("grant_type", BEARER), ("scope", MINE), ("assertion", authn.as_str())];
    let made = server.ask("POST", "/oauth2/v1/token").basic("console", "s").form(&form).send().await.expect(200);
    made["access_token"].as_str().unwrap().to_owned()
}

async fn send(server: &TestServer, method: &str, path: &str, token: &str, body: &Value) -> Reply {
    let ask = server.ask(method, path).bearer(token);
    if body.is_null() { ask.send().await } else { ask.body("application/scim+json", body.to_string()).send().await }
}

fn patch(operations: Value) -> Value {
    json!({ "schemas": [PATCH], "Operations": operations })
}

#[track_caller]
fn forbidden(reply: &Reply, what: &str) {
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status.as_u16(), &body["status"]), (403, &json!("403")), "{what}: {body}");
}

async fn members(server: &TestServer) -> Vec<String> {
    let found = server.store.members(&server.tenant(), &GROUP.into()).await.unwrap();
    found.into_iter().map(|member| member.user.0).collect()
}

#[tokio::test]
async fn attack_66_who_keeps_groups_makes_nobody_an_administrator() {
    let server = setup().start().await;
    let before = members(&server).await;
    let pat = json!([{ "value": ACME.other.id }]);
    let join = patch(json!([{ "op": "add", "path": "members", "value": pat }]));
    for keeper in ["groups", "standard"] {
        let token = server.token_of(keeper, "s").await;
        for base in ["/scim/v2", "/v2.0"] {
            let group = format!("{base}/Groups/{GROUP}");
            let own = json!({ "displayName": format!("own of {keeper} {}", base.len()), "members": pat });
            let own = send(&server, "POST", &format!("{base}/Groups"), &token, &own).await;
            assert_eq!(own.status, 201, "{}", own.text());
            let own: Value = serde_json::from_slice(&own.body).unwrap();
            let own = format!("{base}/Groups/{}", own["id"].as_str().unwrap());
            let named = |name: &str| patch(json!([{ "op": "replace", "path": "displayName", "value": name }]));
            for (method, path, body) in [
                ("PATCH", &group, join.clone()),
                ("PATCH", &group, patch(json!([{ "op": "remove", "path": "members" }]))),
                ("PATCH", &group, named("Harmless")),
                ("PUT", &group, json!({ "displayName": "ADMINISTRATORS", "members": pat })),
                ("DELETE", &group, Value::Null),
                // While there is such a group, and in another case.
                ("PATCH", &own, named("Administrators")),
            ] {
                forbidden(&send(&server, method, path, &token, &body).await, &format!("{keeper} {method} {path}"));
            }
        }
        let bulk = json!({ "schemas": [BULK], "Operations": [
            { "method": "PATCH", "path": format!("/Groups/{GROUP}"), "data": join },
        ] });
        let done = send(&server, "POST", "/scim/v2/Bulk", &token, &bulk).await;
        let done: Value = serde_json::from_slice(&done.body).unwrap();
        assert_eq!(done["Operations"][0]["status"], "403", "{done}");
    }
    assert_eq!(members(&server).await, before);

    // Whoever is entitled to all groups is, and a name stays an administrators' when the group is gone.
    let all = server.token_of("all", "s").await;
    let group = format!("/scim/v2/Groups/{GROUP}");
    assert_eq!(send(&server, "PATCH", &group, &all, &join).await.status, 200);
    assert!(members(&server).await.contains(&ACME.other.id.to_owned()));
    assert_eq!(send(&server, "DELETE", &group, &all, &Value::Null).await.status, 204);
    let again = |name: &str| json!({ "displayName": name, "members": pat });
    for keeper in ["groups", "standard"] {
        let token = server.token_of(keeper, "s").await;
        for name in ["ADMINISTRATORS", "administrators"] {
            forbidden(&send(&server, "POST", "/scim/v2/Groups", &token, &again(name)).await, name);
        }
    }
    assert_eq!(send(&server, "POST", "/scim/v2/Groups", &all, &again("ADMINISTRATORS")).await.status, 201);
}

#[tokio::test]
async fn attack_66_who_keeps_people_does_not_take_the_place_of_an_administrator() {
    let server = setup().start().await;
    let (admin, other) = (ACME.admin, ACME.other);
    let reset = format!("/v1.0/authnmethods/password/{}/reset", ACME.source);
    let password = |name: &str| json!({ "username": name, "newPassword": "correct-horse-battery-7" });
    let change = patch(json!([{ "op": "replace", "path": "password", "value": "correct-horse-battery-8" }]));
    let mail = patch(json!([{ "op": "replace", "path": "emails", "value": [{ "value": "mallory@evil.example" }] }]));
    let phone = |user: &str| json!({ "userId": user, "phoneNumber": "+442071230000", "enabled": true });
    let party = format!("/v2.0/factors/fido2/relyingparties/{}/attestation/options", ACME.relying_party);

    let helpdesk = server.token_of("helpdesk", "s").await;
    for base in ["/scim/v2", "/v2.0"] {
        let user = format!("{base}/Users/{}", admin.id);
        for (method, body) in [
            ("PATCH", change.clone()),
            ("PATCH", mail.clone()),
            ("PUT", json!({ "userName": "scott", "active": false })),
            ("DELETE", Value::Null),
        ] {
            forbidden(&send(&server, method, &user, &helpdesk, &body).await, &format!("{method} {user}"));
        }
    }
    let email = format!("/v2.0/factors/emailotp/{}", ACME.email);
    for (method, path, body) in [
        ("POST", reset.as_str(), password(admin.username)),
        ("POST", "/v2.0/factors/smsotp", phone(admin.id)),
        ("POST", "/v2.0/factors/totp", json!({ "userId": admin.id })),
        ("PUT", &email, json!({ "enabled": false })),
        ("DELETE", &email, Value::Null),
        ("POST", "/v1.0/authenticators/initiation", json!({ "owner": admin.id })),
        ("POST", &party, json!({ "userId": admin.id })),
    ] {
        let reply = server.json(method, path, &helpdesk, &body).await;
        reply.factor_error(403, "CSIAK4300E");
    }
    // On demand, in Oracle's dialect.
    let factors = token(&server, "factors").await;
    let user = format!("/mfa/v1/users/{}", admin.id);
    let sms =
        json!({ "method": "SMS", "countryCode": "+44", "mobileNumber": "2071230000", "skipFactorVerification": true });
    for (method, path, body) in [
        ("POST", format!("{user}/factors"), sms.clone()),
        ("POST", format!("{user}/factors"), json!({ "method": "BYPASSCODE" })),
        ("DELETE", format!("{user}/factors/{}", ACME.email), Value::Null),
        ("PATCH", user.clone(), json!({ "disableMFA": true })),
    ] {
        let reply = server.json(method, &path, &factors, &body).await;
        let told: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status.as_u16(), &told["cause"][0]["code"]), (401, &json!("AUTH-1034")), "{method} {path}");
    }
    // They are as they were, and somebody else is within reach of both.
    server.sign_in().await;
    server.json("POST", &reset, &helpdesk, &password(other.username)).await.expect(200);
    server.json("POST", "/v2.0/factors/smsotp", &helpdesk, &phone(other.id)).await.expect(201);
    let path = format!("/mfa/v1/users/{}/factors", other.id);
    assert_eq!(server.json("POST", &path, &factors, &json!({ "method": "TOTP" })).await.status, 200);
    let path = format!("/scim/v2/Users/{}", other.id);
    assert_eq!(send(&server, "PATCH", &path, &helpdesk, &mail).await.status, 200);

    // Who may make administrators may keep them.
    let over = server.token_of("over", "s").await;
    server.json("POST", "/v2.0/factors/smsotp", &over, &phone(admin.id)).await.expect(201);
    server.json("POST", &reset, &over, &password(admin.username)).await.expect(200);
    let console = token(&server, "console").await;
    let path = format!("{user}/factors");
    assert_eq!(server.json("POST", &path, &console, &json!({ "method": "TOTP" })).await.status, 200);
    let path = format!("/admin/v1/Users/{}", admin.id);
    assert_eq!(send(&server, "PATCH", &path, &console, &change).await.status, 200);
}

#[tokio::test]
async fn attack_66_no_administrators_role_gets_into_a_token_by_request() {
    let server = setup().start().await;
    let scope = |token: &str| decode(token).1["scope"].as_str().unwrap_or_default().to_owned();
    let app = json!({
        "schemas": ["urn:ietf:params:scim:schemas:oracle:idcs:App"], "displayName": "Portal",
        "allowedGrants": ["client_credentials"], "redirectUris": ["https://portal.test/cb"],
        "grantedAppRoles": [{ "value": "Identity Domain Administrator" }],
    });
    // Whoever is no administrator keeps no applications, whatever the client may do for those who are.
    let pat = through_console(&server, ACME.other.username, ACME.other.password).await;
    assert!(!scope(&pat).contains(ADMINISTRATION), "{}", scope(&pat));
    let factors = token(&server, "factors").await;
    let group = format!("/admin/v1/Groups/{GROUP}");
    let join = patch(json!([{ "op": "add", "path": "members", "value": [{ "value": ACME.other.id }] }]));
    for caller in [&pat, &factors] {
        for (method, path, body) in [("POST", "/admin/v1/Apps", &app), ("PATCH", &group, &join)] {
            let reply = send(&server, method, path, caller, body).await;
            assert!(reply.text().contains("insufficientScope"), "{method} {path}: {}", reply.text());
        }
    }
    assert!(!members(&server).await.contains(&ACME.other.id.to_owned()));

    // Of an administrator no application gets a role, when it is made or later, nor of a stranger who registers one.
    let console = token(&server, "console").await;
    assert!(scope(&console).contains(ADMINISTRATION));
    let made = send(&server, "POST", "/admin/v1/Apps", &console, &app).await.expect(201);
    let (id, secret) = (made["id"].as_str().unwrap(), made["clientSecret"].as_str().unwrap());
    let role = json!([{ "op": "add", "path": "grantedAppRoles", "value": app["grantedAppRoles"] }]);
    send(&server, "PATCH", &format!("/admin/v1/Apps/{id}"), &console, &patch(role)).await;
    let form = [("grant_type", "client_credentials"), ("scope", MINE)];
    let own = server.ask("POST", "/oauth2/v1/token").basic(id, secret).form(&form).send().await.expect(200);
    assert!(!scope(own["access_token"].as_str().unwrap()).contains(ADMINISTRATION));
    let registered = json!({
        "redirect_uris": ["https://rp.example.test/cb"], "app_roles": ["Identity Domain Administrator"],
        "entitlements": ["manageAllUserGroups"], "scope": format!("openid {ADMINISTRATION}"),
    });
    let registered = server.ask("POST", "/register").json(&registered).send().await;
    if let Some(id) = serde_json::from_slice::<Value>(&registered.body).unwrap()["client_id"].as_str() {
        let current = server.app.directories.current();
        let client = current.tenant(&server.tenant()).unwrap().client(id).unwrap().clone();
        assert!(client.app_roles.is_empty() && client.entitlements.is_empty(), "{client:?}");
    }
}
