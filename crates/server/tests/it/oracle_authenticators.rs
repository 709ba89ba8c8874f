//! Passwords judged for a client, and who somebody is without any proof (`PasswordAuthenticator`, `HTTPAuthenticator`, `Asserter`), as the
//! vendor's published clients send and read them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::oracle::world::{self, ID, NAME, PASSWORD};
use crate::support::{Reply, TestServer};

const SCHEMA: &str = "urn:ietf:params:scim:schemas:oracle:idcs";

async fn token(server: &TestServer, id: &str, secret: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", "urn:opc:idm:__myscopes__")];
    let made = server.ask("POST", "/oauth2/v1/token").basic(id, secret).form(&form).send().await.expect(200);
    made["access_token"].as_str().unwrap().to_owned()
}

async fn start() -> (TestServer, String) {
    let server = world::setup()
        .add("[[tenant.groups]]\nid = \"608000TEST\"\nname = \"TESTERS\"\n")
        .replace(&format!("username = {NAME:?}"), &format!("username = {NAME:?}\ngroups = [\"TESTERS\"]"))
        .replace("administrators = [\"ADMINISTRATORS\"]", "administrators = [\"TESTERS\"]")
        .start()
        .await;
    let token = token(&server, "idcs-mfa", "idcs-mfa-secret").await;
    (server, token)
}

async fn post(server: &TestServer, token: &str, kind: &str, mut body: Value) -> Reply {
    body["schemas"] = json!([format!("{SCHEMA}:{kind}")]);
    server.json("POST", &format!("/admin/v1/{kind}"), token, &body).await
}

#[track_caller]
fn refused(reply: &Reply, status: u16, message: &str) {
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let said = &body["urn:ietf:params:scim:api:oracle:idcs:extension:messages:Error"]["messageId"];
    assert_eq!((reply.status.as_u16(), said), (status, &json!(message)), "{body}");
}

fn credentials(name: &str, password: &str) -> Value {
    let creds = STANDARD.encode(format!("{name}:{password}"));
    json!({ "credType": "authorization", "creds": format!("Basic {creds}") })
}

fn mapped(name: &str, password: &str) -> Value {
    json!({ "mappingAttribute": "userName", "mappingAttributeValue": name, "password": password })
}

#[tokio::test]
async fn a_password_is_judged_and_whoever_has_it_is_described() {
    let (server, token) = start().await;
    let said = post(&server, &token, "PasswordAuthenticator", mapped(NAME, PASSWORD)).await.expect(201);
    assert_eq!((&said["id"], &said["userName"], &said["type"]), (&json!(ID), &json!(NAME), &json!("User")));
    assert_eq!((&said["userEmail"], &said["userDisplayName"]), (&json!("t.user@example.com"), &json!(NAME)));
    assert_eq!((&said["csr"], &said["tenantName"]), (&json!(false), &json!("acme-demo")));
    assert_eq!(said["mappingAttributeValue"], NAME);
    assert!(said.get("groups").is_none() && !said.to_string().contains(PASSWORD), "{said}");
    let mut body = credentials(NAME, PASSWORD);
    body["includeMemberships"] = json!(true);
    let said = post(&server, &token, "HTTPAuthenticator", body).await.expect(201);
    assert_eq!(said["groups"][0]["display"], "TESTERS");
    assert_eq!((&said["id"], &said["appRoles"][0]["display"]), (&json!(ID), &json!("Identity Domain Administrator")));
}

#[tokio::test]
async fn what_is_wrong_counts_as_at_every_door_and_tells_nothing() {
    let (server, token) = start().await;
    let limit = server.app.directories.current().tenant(&server.tenant()).unwrap().tenant.settings.lock_after;
    let mut seen = Vec::new();
    for name in [NAME, "nobody@example.com"] {
        for nth in 0..=limit {
            let reply = match nth % 2 {
                0 => post(&server, &token, "PasswordAuthenticator", mapped(name, "wrong")).await,
                _ => post(&server, &token, "HTTPAuthenticator", credentials(name, "wrong")).await,
            };
            refused(&reply, 401, "error.ssocommon.auth.invalidCredentials");
            seen.push(reply.text().to_owned());
        }
        let right = post(&server, &token, "PasswordAuthenticator", mapped(name, PASSWORD)).await;
        refused(&right, 401, "error.ssocommon.auth.invalidCredentials");
    }
    assert!(seen.iter().all(|one| *one == seen[0]));
    // Nor at another door.
    let page = server.page().await;
    page.password(None, NAME, PASSWORD).await.expect(401, "failed", Some("AUTH-3002"));
}

#[tokio::test]
async fn requests_that_do_not_fit_and_callers_without_the_role_are_refused() {
    let (server, mfa) = start().await;
    for (kind, body) in [
        ("PasswordAuthenticator", json!({})),
        ("PasswordAuthenticator", json!({ "mappingAttributeValue": NAME })),
        (
            "PasswordAuthenticator",
            json!({ "mappingAttribute": "shoeSize", "mappingAttributeValue": NAME, "password": "x" }),
        ),
        ("HTTPAuthenticator", json!({ "credType": "cookie", "creds": "x" })),
        ("HTTPAuthenticator", json!({ "credType": "authorization", "creds": "Bearer x" })),
        ("Asserter", json!({ "mappingAttribute": "shoeSize", "mappingAttributeValue": "43" })),
        ("Asserter", json!({ "mappingAttributeValue": 7 })),
    ] {
        let reply = post(&server, &mfa, kind, body.clone()).await;
        assert_eq!(reply.status, 400, "{kind} {body}: {}", reply.text());
    }
    // An application that is not for them.
    let mut body = mapped(NAME, PASSWORD);
    body["appName"] = json!(world::ASSIGNED);
    refused(&post(&server, &mfa, "PasswordAuthenticator", body).await, 401, "error.ssocommon.auth.appAccessDenied");
    let page = server.page().await.token;
    for kind in ["PasswordAuthenticator", "HTTPAuthenticator", "Asserter"] {
        let reply = post(&server, &page, kind, mapped(NAME, PASSWORD)).await;
        refused(&reply, 401, "error.common.common.insufficientScope");
        refused(&post(&server, "dead", kind, json!({})).await, 401, "error.common.common.unauthorized");
    }
}

#[tokio::test]
async fn who_somebody_is_is_told_by_name_by_id_and_of_clients() {
    let (server, token) = start().await;
    for (attribute, value) in [("userName", NAME), ("username", NAME), ("id", ID)] {
        let body = json!({ "mappingAttribute": attribute, "mappingAttributeValue": value, "includeMemberships": true });
        let said = post(&server, &token, "Asserter", body).await.expect(201);
        assert_eq!((&said["id"], &said["groups"][0]["display"]), (&json!(ID), &json!("TESTERS")), "{attribute}");
        assert!(said["groups"][0]["$ref"].as_str().unwrap().ends_with("/admin/v1/Groups/608000TEST"));
    }
    let plain =
        json!({ "mappingAttributeValue": "admin@oracle.com", "subjectType": "user", "includeMemberships": true });
    let said = post(&server, &token, "Asserter", plain).await.expect(201);
    assert_eq!((&said["groups"], &said["appRoles"]), (&json!([]), &json!([])));
    // Roles of an application are asked for by its name: those here are this server's own.
    let mut other = json!({ "mappingAttributeValue": NAME, "includeMemberships": true });
    assert_eq!(post(&server, &token, "Asserter", other.clone()).await.expect(201)["appRoles"][0]["appName"], "IDCS");
    other["appName"] = json!("Time Sheets");
    assert_eq!(post(&server, &token, "Asserter", other).await.expect(201)["appRoles"], json!([]));
    let client = json!({ "mappingAttributeValue": "idcs-mfa", "subjectType": "client", "includeMemberships": true });
    let said = post(&server, &token, "Asserter", client).await.expect(201);
    let roles: Vec<&str> =
        said["appRoles"].as_array().unwrap().iter().map(|one| one["display"].as_str().unwrap()).collect();
    assert_eq!((&said["type"], roles), (&json!("App"), vec!["Authenticated Client", "MFA Client"]));
    for nobody in [
        json!({ "mappingAttributeValue": "nobody@example.com" }),
        json!({ "mappingAttributeValue": "idcs-nobody", "subjectType": "client" }),
    ] {
        assert_eq!(post(&server, &token, "Asserter", nobody).await.status, 404);
    }
    // Where the vendor's clients look for it.
    let about = server.ask("GET", "/.well-known/idcs-configuration").send().await.expect(200);
    let base = server.cast.base;
    assert_eq!(
        about["access-configuration"],
        json!({
            "http_authentication_endpoint": format!("{base}/admin/v1/HTTPAuthenticator"),
            "password_authenticator_endpoint": format!("{base}/admin/v1/PasswordAuthenticator"),
            "asserter_endpoint": format!("{base}/admin/v1/Asserter"),
        })
    );
}
