//! SCIM as its clients meet it: people and groups are read, found, made, changed by version and removed, in each shape.

use protocol::records::UserId;
use serde_json::{Value, json};

use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::visitor::Visitor;
use crate::support::{ACME, Ask, GLOBEX, Reply, Setup, TestServer, client, on_both};

const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const VENDOR: &str = "urn:ietf:params:scim:schemas:extension:ibm:2.0:User";

const CLIENTS: &str = r#"
[[tenant.clients]]
id = "provisioning"
name = "Provisioning"
secret = "provisioning-secret"
grant_types = ["client_credentials"]
entitlements = ["manageUsers", "manageUserGroups"]

[[tenant.clients]]
id = "rules"
name = "Rules"
secret = "rules-secret"
grant_types = ["client_credentials"]
entitlements = ["manageAccessPolicies"]

[[tenant.clients]]
id = "reader"
name = "Reader"
secret = "reader-secret"
grant_types = ["client_credentials"]
entitlements = ["readUsers"]
"#;

/// A server whose directory a client may keep, and that client's token.
pub async fn provisioned() -> (TestServer, String) {
    with_token(Setup::new().add(CLIENTS).start().await).await
}

async fn with_token(server: TestServer) -> (TestServer, String) {
    let token = server.token_of("provisioning", "provisioning-secret").await;
    (server, token)
}

/// The body of an answer of this status, in SCIM's own media type.
#[track_caller]
fn scim(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/scim+json");
    serde_json::from_slice(&reply.body).unwrap()
}

/// An error of this status and word of Table 9.
#[track_caller]
fn refused(reply: &Reply, status: u16, kind: Option<&str>) {
    let body = scim(reply, status);
    assert_eq!(body["schemas"], json!([ERROR]));
    assert_eq!(body["status"], status.to_string());
    assert_eq!(body.get("scimType").and_then(Value::as_str), kind, "{body}");
    assert!(body["detail"].is_string());
}

fn ask(server: &TestServer, method: &str, path: &str, token: &str, body: &Value) -> Ask {
    let ask = server.ask(method, path).bearer(token);
    if body.is_null() { ask } else { ask.body("application/scim+json", body.to_string()) }
}

async fn send(server: &TestServer, method: &str, path: &str, token: &str, body: &Value) -> Reply {
    ask(server, method, path, token, body).send().await
}

async fn get(server: &TestServer, path: &str, token: &str) -> Reply {
    send(server, "GET", path, token, &Value::Null).await
}

fn patch(operations: Value) -> Value {
    json!({ "schemas": [PATCH], "Operations": operations })
}

fn person(username: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "externalId": format!("x-{username}"),
        "userName": username,
        "name": { "givenName": "Babs", "familyName": "Jensen" },
        "password": "correct-horse-battery-7",
        "emails": [{ "value": format!("{username}@acme.org"), "type": "work", "primary": true }],
        ENTERPRISE: { "department": "Tours" },
    })
}

fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap().to_owned()
}

async fn made(server: &TestServer, token: &str, username: &str) -> Value {
    scim(&send(server, "POST", "/scim/v2/Users", token, &person(username)).await, 201)
}

#[test]
fn a_person_is_made_read_changed_and_removed() {
    on_both(|store| async move {
        let (server, token) = with_token(Setup::new().add(CLIENTS).start_on(store).await).await;
        let reply = send(&server, "POST", "/scim/v2/Users", &token, &person("babs")).await;
        let made = scim(&reply, 201);
        let path = format!("/scim/v2/Users/{}", id(&made));
        assert_eq!(reply.header("location"), format!("{}{path}", ACME.base));
        assert_eq!(reply.header("etag"), "W/\"1\"");
        assert_eq!(made["meta"]["version"], "W/\"1\"");
        assert_eq!(made["active"], true);
        assert_eq!(made[ENTERPRISE]["department"], "Tours");
        assert!(made.get("password").is_none() && !reply.text().contains("argon2"));
        let read = get(&server, &path, &token).await;
        assert_eq!(scim(&read, 200), made);
        // Another node has it at once.
        let other = server.another().await;
        assert_eq!(scim(&get(&other, &path, &token).await, 200), made);

        let changed = patch(json!([{ "op": "replace", "path": "name.familyName", "value": "Smith" }]));
        let reply = send(&server, "PATCH", &path, &token, &changed).await;
        assert_eq!(scim(&reply, 200)["name"]["familyName"], "Smith");
        assert_eq!(reply.header("etag"), "W/\"2\"");
        // What changes nothing writes nothing.
        assert_eq!(send(&server, "PATCH", &path, &token, &changed).await.header("etag"), "W/\"2\"");

        let replaced = json!({ "userName": "babs", "displayName": "Babs", "active": true });
        let replaced = scim(&send(&server, "PUT", &path, &token, &replaced).await, 200);
        assert_eq!(replaced["displayName"], "Babs");
        assert!(replaced.get("emails").is_none() && replaced.get(ENTERPRISE).is_none());

        send(&server, "DELETE", &path, &token, &Value::Null).await.expect_empty(204);
        refused(&get(&server, &path, &token).await, 404, None);
        refused(&send(&server, "DELETE", &path, &token, &Value::Null).await, 404, None);
    });
}

#[tokio::test]
async fn a_write_names_the_version_it_was_made_from() {
    let (server, token) = provisioned().await;
    let made = made(&server, &token, "babs").await;
    let path = format!("/scim/v2/Users/{}", id(&made));
    let title = |title: &str| patch(json!([{ "op": "add", "path": "title", "value": title }]));
    let with = |tag: &str, body: &Value| ask(&server, "PATCH", &path, &token, body).header("if-match", tag).send();
    scim(&with("W/\"1\"", &title("a")).await, 200);
    refused(&with("W/\"1\"", &title("b")).await, 412, None);
    scim(&with("\"1\", W/\"2\"", &title("b")).await, 200);
    scim(&with("*", &title("c")).await, 200);
    let put = json!({ "userName": "babs" });
    refused(&ask(&server, "PUT", &path, &token, &put).header("if-match", "W/\"1\"").send().await, 412, None);
    let gone = ask(&server, "DELETE", &path, &token, &Value::Null).header("if-match", "W/\"2\"").send().await;
    refused(&gone, 412, None);
    let read = ask(&server, "GET", &path, &token, &Value::Null).header("if-none-match", "W/\"4\"").send().await;
    read.expect_empty(304);
    let read = ask(&server, "GET", &path, &token, &Value::Null).header("if-none-match", "W/\"3\"").send().await;
    assert_eq!(scim(&read, 200)["title"], "c");
}

#[test]
fn of_writes_from_one_version_one_is_made_and_without_a_version_all_are() {
    on_both(|store| async move {
        let (server, token) = with_token(Setup::new().add(CLIENTS).start_on(store).await).await;
        let path = format!("/scim/v2/Users/{}", id(&made(&server, &token, "babs").await));
        let race = |strict: bool| {
            let tries = (0..4).map(|number| {
                let value =
                    json!([{ "op": "add", "path": "emails", "value": [{ "value": format!("{strict}{number}@x.y") }] }]);
                let ask = ask(&server, "PATCH", &path, &token, &patch(value));
                let ask = if strict { ask.header("if-match", "W/\"1\"") } else { ask };
                tokio::spawn(async move { ask.send().await.status.as_u16() })
            });
            let tries: Vec<_> = tries.collect();
            async move {
                let mut statuses = Vec::new();
                for one in tries {
                    statuses.push(one.await.unwrap());
                }
                statuses.sort_unstable();
                statuses
            }
        };
        assert_eq!(race(true).await, [200, 412, 412, 412]);
        assert_eq!(race(false).await, [200, 200, 200, 200]);
        let read = scim(&get(&server, &path, &token).await, 200);
        assert_eq!(read["emails"].as_array().unwrap().len(), 1 + 1 + 4, "nothing was lost: {read}");
    });
}

#[tokio::test]
async fn a_login_name_is_had_once() {
    let (server, token) = provisioned().await;
    let babs = made(&server, &token, "babs").await;
    let again = send(&server, "POST", "/scim/v2/Users", &token, &person("BABS")).await;
    refused(&again, 409, Some("uniqueness"));
    refused(&send(&server, "POST", "/scim/v2/Users", &token, &person("scott")).await, 409, Some("uniqueness"));
    let taken = patch(json!([{ "op": "replace", "path": "userName", "value": "Scott" }]));
    let path = format!("/scim/v2/Users/{}", id(&babs));
    refused(&send(&server, "PATCH", &path, &token, &taken).await, 409, Some("uniqueness"));
    let own = patch(json!([{ "op": "replace", "path": "userName", "value": "Babs" }]));
    assert_eq!(scim(&send(&server, "PATCH", &path, &token, &own).await, 200)["userName"], "Babs");
}

#[tokio::test]
async fn what_is_not_acceptable_is_told_in_the_words_of_the_rfc() {
    let (server, token) = provisioned().await;
    let path = format!("/scim/v2/Users/{}", id(&made(&server, &token, "babs").await));
    for (body, kind) in [
        (json!({}), "invalidValue"),
        (json!({ "userName": "" }), "invalidValue"),
        (json!({ "userName": "x\u{7}" }), "invalidValue"),
        (json!({ "userName": "x".repeat(300) }), "invalidValue"),
        (json!({ "userName": "new", "password": "short" }), "invalidValue"),
        (json!({ "userName": "new-name-is", "password": "New-Name-Is" }), "invalidValue"),
        (json!({ "userName": "new", "active": "perhaps" }), "invalidValue"),
        (json!({ "userName": "new", "schemas": ["x"] }), "invalidSyntax"),
    ] {
        refused(&send(&server, "POST", "/scim/v2/Users", &token, &body).await, 400, Some(kind));
    }
    for (operation, kind) in [
        (json!({ "op": "replace", "path": "id", "value": "x" }), "mutability"),
        (json!({ "op": "add", "path": "groups", "value": [{ "value": "x" }] }), "mutability"),
        (json!({ "op": "replace", "path": "nothing", "value": "x" }), "invalidPath"),
        (json!({ "op": "replace", "path": "emails[type eq \"fax\"].value", "value": "x" }), "noTarget"),
        (json!({ "op": "replace", "path": "password", "value": "short" }), "invalidValue"),
        (json!({ "op": "remove", "path": "userName" }), "mutability"),
        (json!({ "op": "replace", "path": "emails[type" , "value": "x" }), "invalidFilter"),
    ] {
        refused(&send(&server, "PATCH", &path, &token, &patch(json!([operation]))).await, 400, Some(kind));
    }
    let form = server.ask("POST", "/scim/v2/Users").bearer(&token).form(&[("userName", "x")]).send().await;
    refused(&form, 415, None);
    let broken =
        ask(&server, "POST", "/scim/v2/Users", &token, &Value::Null).body("application/json", "{").send().await;
    refused(&broken, 400, Some("invalidSyntax"));
    // Nothing of it was done.
    let read = get(&server, &path, &token).await;
    assert_eq!(read.header("etag"), "W/\"1\"");
}

async fn found(server: &TestServer, token: &str, query: &str) -> Vec<String> {
    let pairs: Vec<(&str, &str)> = query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let body = scim(&get(server, &format!("/scim/v2/Users?{query}"), token).await, 200);
    assert_eq!(body["itemsPerPage"], body["Resources"].as_array().unwrap().len());
    body["Resources"].as_array().unwrap().iter().map(|one| one["userName"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn people_are_found_by_filters_and_listed_by_pages() {
    let (server, token) = provisioned().await;
    for name in ["babs", "carol", "dave"] {
        made(&server, &token, name).await;
    }
    let all = found(&server, &token, "sortBy=userName").await;
    assert!(all.is_sorted() && all.len() >= 5, "{all:?}");
    let descending = found(&server, &token, "sortBy=userName&sortOrder=descending").await;
    assert!(descending.iter().eq(all.iter().rev()));
    assert_eq!(found(&server, &token, "sortBy=userName&startIndex=2&count=2").await, all[1..3]);
    assert!(found(&server, &token, "count=0").await.is_empty());
    let total = scim(&get(&server, "/scim/v2/Users?count=0", &token).await, 200)["totalResults"].clone();
    assert_eq!(total, all.len());
    let page = scim(&get(&server, "/scim/v2/Users?startIndex=2&count=1", &token).await, 200);
    assert_eq!((&page["startIndex"], &page["itemsPerPage"]), (&json!(2), &json!(1)));
    for (filter, expected) in [
        (r#"userName eq "BABS""#, vec!["babs"]),
        (r#"externalId eq "x-carol""#, vec!["carol"]),
        (r#"urn:ietf:params:scim:schemas:core:2.0:User:userName eq "carol""#, vec!["carol"]),
        (r#"not (userName eq "scott") and userName sw "sco""#, vec![]),
        (r#"externalId eq "X-carol""#, vec![]),
        (r#"emails.value eq "Dave@acme.org""#, vec!["dave"]),
        (r#"emails[type eq "work" and value sw "carol@"]"#, vec!["carol"]),
        (r#"userName eq "babs" and active eq false"#, vec![]),
        (r#"(userName eq "babs" or userName eq "dave") and name.familyName eq "jensen""#, vec!["babs", "dave"]),
        (r#"groups.value eq "604000ADMS" and userName eq "scott""#, vec!["scott"]),
        (
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "tours" and userName sw "c""#,
            vec!["carol"],
        ),
        (r#"id eq "6040003OH8""#, vec!["scott"]),
    ] {
        let mut names = found(&server, &token, &format!("filter={filter}")).await;
        names.sort();
        assert_eq!(names, expected, "{filter}");
    }
    for query in [
        "filter=userName%20xx%20%22a%22",
        "filter=nothing%20pr",
        "filter=password%20pr",
        "filter=active%20gt%20true",
        "sortBy=nothing",
        "count=x",
        "attributes=id&excludedAttributes=name",
    ] {
        let reply = get(&server, &format!("/scim/v2/Users?{query}"), &token).await;
        assert_eq!(reply.status, 400, "{query}: {}", reply.text());
    }
    let search = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "userName sw \"babs\"", "attributes": ["userName"],
    });
    let reply = scim(&send(&server, "POST", "/scim/v2/Users/.search", &token, &search).await, 200);
    let names = crate::support::names(&reply["Resources"][0]);
    assert_eq!(names, ["schemas", "id", "userName"]);
}

#[tokio::test]
async fn answers_hold_the_attributes_asked_for() {
    let (server, token) = provisioned().await;
    let path = format!("/scim/v2/Users/{}", id(&made(&server, &token, "babs").await));
    let read = scim(&get(&server, &format!("{path}?attributes=userName,name.givenName"), &token).await, 200);
    assert_eq!(crate::support::names(&read), ["schemas", "id", "userName", "name"]);
    assert_eq!(read["name"], json!({ "givenName": "Babs" }));
    let read = scim(&get(&server, &format!("{path}?excludedAttributes=name,emails,id"), &token).await, 200);
    assert!(read.get("name").is_none() && read.get("emails").is_none() && read["id"].is_string());
    let plain = ask(&server, "GET", &path, &token, &Value::Null).header("accept", "application/json").send().await;
    plain.expect(200);
}

#[tokio::test]
async fn a_password_set_here_signs_in_and_is_never_shown() {
    let (server, token) = provisioned().await;
    let babs = made(&server, &token, "babs").await;
    let first = server.begin_inside().await;
    server.password(&first.token, "babs", "correct-horse-battery-7").await.expect(200);
    let path = format!("/scim/v2/Users/{}", id(&babs));
    let changed = patch(json!([{ "op": "replace", "path": "password", "value": "another-horse-staple-9" }]));
    let reply = send(&server, "PATCH", &path, &token, &changed).await;
    assert!(scim(&reply, 200).get("password").is_none());
    let first = server.begin_inside().await;
    assert_eq!(server.password(&first.token, "babs", "correct-horse-battery-7").await.status, 400);
    let first = server.begin_inside().await;
    server.password(&first.token, "babs", "another-horse-staple-9").await.expect(200);
    let asked = scim(&get(&server, &format!("{path}?attributes=password"), &token).await, 200);
    assert_eq!(crate::support::names(&asked), ["schemas", "id"]);
}

async fn is_active(server: &TestServer, token: &Value) -> bool {
    server.introspect(token["access_token"].as_str().unwrap()).await["active"] == true
}

#[tokio::test]
async fn whoever_is_switched_off_gets_another_password_or_is_removed_is_signed_out_everywhere() {
    let (server, token) = provisioned().await;
    let path = format!("/scim/v2/Users/{}", ACME.other.id);
    let session = |name: &str| store::Item {
        kind: "session",
        name: name.to_owned(),
        owner: Some(ACME.other.id.to_owned()),
        link: None,
        created: server.world.now(),
        expires: server.world.now() + 600,
        body: "{}".to_owned(),
        version: 0,
    };
    let set = |path: &str, value: Value| patch(json!([{ "op": "replace", "path": path, "value": value }]));
    for change in [set("active", json!(false)), set("password", json!("another-horse-staple-9"))] {
        let signed_in = server.sign_in_other().await;
        assert!(is_active(&server, &signed_in).await);
        let changes = vec![store::Change::PutItem(session("s"))];
        server.store.commit(&server.tenant(), "test", changes).await.unwrap();
        // A change of something else ends nothing.
        let title = set("title", json!(change.to_string()));
        scim(&send(&server, "PATCH", &path, &token, &title).await, 200);
        assert!(is_active(&server, &signed_in).await);
        scim(&send(&server, "PATCH", &path, &token, &change).await, 200);
        assert!(!is_active(&server, &signed_in).await);
        assert!(server.store.item(&server.tenant(), "session", "s").await.unwrap().is_none());
        // Switched on again, what was ended stays so.
        scim(&send(&server, "PATCH", &path, &token, &set("active", json!(true))).await, 200);
        assert!(!is_active(&server, &signed_in).await);
        server.refresh(signed_in["refresh_token"].as_str().unwrap_or("none")).await.oauth_error(
            400,
            "invalid_grant",
            "CSIAQ",
        );
    }
    let signed_in = {
        let first = server.begin_inside().await;
        let proved = server.password(&first.token, ACME.other.username, "another-horse-staple-9").await.expect(200);
        server.present(proved["assertion"].as_str().unwrap()).await.expect(200)
    };
    assert!(is_active(&server, &signed_in).await);
    send(&server, "DELETE", &path, &token, &Value::Null).await.expect_empty(204);
    assert!(!is_active(&server, &signed_in).await);
    assert!(server.store.enrolments(&server.tenant(), &UserId::from(ACME.other.id)).await.unwrap().is_empty());
}

#[test]
fn a_group_is_made_filled_changed_and_removed() {
    on_both(|store| async move {
        let (server, token) = with_token(Setup::new().add(CLIENTS).start_on(store).await).await;
        let (babs, carol) = (id(&made(&server, &token, "babs").await), id(&made(&server, &token, "carol").await));
        let body = json!({ "displayName": "Tour Guides", "externalId": "tg", "members": [{ "value": babs }] });
        let reply = send(&server, "POST", "/scim/v2/Groups", &token, &body).await;
        let group = scim(&reply, 201);
        let path = format!("/scim/v2/Groups/{}", id(&group));
        assert_eq!(reply.header("location"), format!("{}{path}", ACME.base));
        let location = format!("{}/scim/v2/Users/{babs}", ACME.base);
        assert_eq!(group["members"], json!([{ "value": babs, "$ref": location, "type": "User" }]));
        let read = scim(&get(&server, &format!("/scim/v2/Users/{babs}"), &token).await, 200);
        let expected = json!([{ "value": id(&group), "$ref": format!("{}{path}", ACME.base), "display": "Tour Guides", "type": "direct" }]);
        assert_eq!(read["groups"], expected);
        assert_eq!(read["meta"]["version"], "W/\"2\"");

        let add = patch(json!([{ "op": "add", "path": "members", "value": [{ "value": carol }, { "value": babs }] }]));
        let reply = send(&server, "PATCH", &path, &token, &add).await;
        assert_eq!(scim(&reply, 200)["members"].as_array().unwrap().len(), 2);
        assert_eq!(reply.header("etag"), "W/\"2\"");
        let remove = patch(json!([{ "op": "remove", "path": format!("members[value eq \"{babs}\"]") }]));
        let left = scim(&send(&server, "PATCH", &path, &token, &remove).await, 200);
        assert_eq!(left["members"][0]["value"], carol);
        assert_eq!(left["members"].as_array().unwrap().len(), 1);
        let nobody = patch(json!([{ "op": "add", "path": "members", "value": [{ "value": "NOBODY" }] }]));
        refused(&send(&server, "PATCH", &path, &token, &nobody).await, 400, Some("invalidValue"));

        let renamed = json!({ "displayName": "Guides", "members": [{ "value": babs }, { "value": carol }] });
        let renamed = scim(&send(&server, "PUT", &path, &token, &renamed).await, 200);
        assert_eq!((&renamed["displayName"], renamed.get("externalId")), (&json!("Guides"), None));
        for (filter, count) in [
            (format!("members.value%20eq%20%22{babs}%22"), 1),
            ("displayName%20eq%20%22guides%22".to_owned(), 1),
            ("displayName%20eq%20%22Tour%20Guides%22".to_owned(), 0),
            ("members.display%20eq%20%22carol%22".to_owned(), 1),
        ] {
            let list = scim(&get(&server, &format!("/scim/v2/Groups?filter={filter}"), &token).await, 200);
            assert_eq!(list["totalResults"], count, "{filter}");
        }
        // Who is removed is in no group any more, and the group is another version.
        send(&server, "DELETE", &format!("/scim/v2/Users/{carol}"), &token, &Value::Null).await.expect_empty(204);
        let read = scim(&get(&server, &path, &token).await, 200);
        assert_eq!(read["members"].as_array().unwrap().len(), 1);
        assert_ne!(read["meta"]["version"], renamed["meta"]["version"]);
        let stale = ask(&server, "DELETE", &path, &token, &Value::Null).header("if-match", "W/\"1\"").send().await;
        refused(&stale, 412, None);
        send(&server, "DELETE", &path, &token, &Value::Null).await.expect_empty(204);
        refused(&get(&server, &path, &token).await, 404, None);
        let read = scim(&get(&server, &format!("/scim/v2/Users/{babs}"), &token).await, 200);
        assert!(read.get("groups").is_none());
    });
}

#[tokio::test]
async fn a_group_name_is_had_once_and_is_in_force_for_everybody() {
    let (server, token) = provisioned().await;
    let post = |name: &str| json!({ "displayName": name });
    scim(&send(&server, "POST", "/scim/v2/Groups", &token, &post("Guides")).await, 201);
    // Not by another node either, which has not heard of it yet.
    let other = server.another().await;
    for name in ["guides", "Administrators", "604000ADMS"] {
        let reply = send(&other, "POST", "/scim/v2/Groups", &token, &post(name)).await;
        refused(&reply, 409, Some("uniqueness"));
    }
    let tries: Vec<_> = (0..4)
        .map(|_| {
            let ask = ask(&server, "POST", "/scim/v2/Groups", &token, &post("Race"));
            tokio::spawn(async move { ask.send().await.status.as_u16() })
        })
        .collect();
    let mut statuses = Vec::new();
    for one in tries {
        statuses.push(one.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
}

#[tokio::test]
async fn attack_66_only_who_is_entitled_gets_in() {
    let (server, token) = provisioned().await;
    let reader = server.token_of("reader", "reader-secret").await;
    let rules = server.token_of("rules", "rules-secret").await;
    let signed_in = server.sign_in_other().await;
    let of_person = signed_in["access_token"].as_str().unwrap();
    let challenge = server.begin_inside().await.token;
    let babs = id(&made(&server, &token, "babs").await);
    let user = format!("/scim/v2/Users/{babs}");
    scim(&get(&server, &user, &reader).await, 200);
    scim(&get(&server, "/scim/v2/Groups", &reader).await, 200);
    let title = patch(json!([{ "op": "add", "path": "title", "value": "x" }]));
    for (method, path, body) in [
        ("POST", "/scim/v2/Users", person("new")),
        ("PATCH", user.as_str(), title.clone()),
        ("PUT", user.as_str(), json!({ "userName": "x" })),
        ("DELETE", user.as_str(), Value::Null),
        ("POST", "/scim/v2/Groups", json!({ "displayName": "x" })),
    ] {
        refused(&send(&server, method, path, &reader, &body).await, 403, None);
        refused(&send(&server, method, path, &rules, &body).await, 403, None);
        refused(&send(&server, method, path, of_person, &body).await, 403, None);
        let stranger = send(&server, method, path, &challenge, &body).await;
        refused(&stranger, 401, None);
        assert_eq!(stranger.header("www-authenticate"), "Bearer");
    }
    refused(&get(&server, &user, of_person).await, 403, None);
    // The token of another tenant opens nothing.
    let globex = server.as_of(GLOBEX);
    refused(&get(&globex, &user, &token).await, 401, None);
}

#[tokio::test]
async fn attack_64_people_change_what_is_their_own_and_nothing_else() {
    let (server, provisioning) = provisioned().await;
    let signed_in = server.sign_in_other().await;
    let token = signed_in["access_token"].as_str().unwrap();
    refused(&get(&server, "/scim/v2/Me", token).await, 403, None);
    server
        .change_client(ACME.client, |client| {
            client.entitlements.insert("manageSelf".to_owned());
        })
        .await;
    let reply = get(&server, "/scim/v2/Me", token).await;
    let me = scim(&reply, 200);
    assert_eq!(me["userName"], ACME.other.username);
    assert_eq!(me["meta"]["location"], format!("{}/scim/v2/Users/{}", ACME.base, ACME.other.id));
    let own = patch(json!([{ "op": "add", "value": { "nickName": "P", "name": { "middleName": "X" } } }]));
    assert_eq!(scim(&send(&server, "PATCH", "/scim/v2/Me", token, &own).await, 200)["nickName"], "P");
    for (path, value) in [
        ("userName", json!("root")),
        ("active", json!(false)),
        ("password", json!("another-horse-staple-9")),
        ("emails", json!([{ "value": "mallory@evil.example" }])),
        ("phoneNumbers", json!([{ "value": "+1" }])),
        ("entitlements", json!([{ "value": "all" }])),
        (ENTERPRISE, json!({ "department": "Board" })),
    ] {
        let change = patch(json!([{ "op": "replace", "path": path, "value": value }]));
        refused(&send(&server, "PATCH", "/scim/v2/Me", token, &change).await, 400, Some("mutability"));
    }
    // Put back without what is not theirs, it stays.
    let whole = json!({ "userName": ACME.other.username, "displayName": "Pat" });
    let put = scim(&send(&server, "PUT", "/scim/v2/Me", token, &whole).await, 200);
    assert_eq!((&put["displayName"], &put["emails"]), (&json!("Pat"), &me["emails"]));
    assert!(put.get("nickName").is_none());
    refused(&get(&server, "/scim/v2/Me", &provisioning).await, 403, None);
    assert!(is_active(&server, &signed_in).await);
}

#[tokio::test]
async fn the_vendors_shape_is_of_the_same_people() {
    let (server, token) = provisioned().await;
    let mut body = person("babs");
    body[VENDOR] = json!({ "customAttributes": [{ "name": "floor", "values": ["3"] }], "userCategory": "federated" });
    let made = scim(&send(&server, "POST", "/v2.0/Users", &token, &body).await, 201);
    assert_eq!(made["meta"]["location"], format!("{}/v2.0/Users/{}", ACME.base, id(&made)));
    assert_eq!(made[VENDOR]["userCategory"], "regular");
    assert_eq!(made[VENDOR]["customAttributes"], json!([{ "name": "floor", "values": ["3"] }]));
    assert_eq!(made[VENDOR]["realm"], "cloudIdentityRealm");
    let standard = scim(&get(&server, &format!("/scim/v2/Users/{}", id(&made)), &token).await, 200);
    assert!(standard.get(VENDOR).is_none());
    assert_eq!(standard["emails"], made["emails"]);
    // What a shape does not know of it does not clear.
    let put = json!({ "userName": "babs", "displayName": "Babs" });
    scim(&send(&server, "PUT", &format!("/scim/v2/Users/{}", id(&made)), &token, &put).await, 200);
    let read = scim(&get(&server, &format!("/v2.0/Users/{}", id(&made)), &token).await, 200);
    assert_eq!(read[VENDOR]["customAttributes"], json!([{ "name": "floor", "values": ["3"] }]));
    let realm = patch(json!([{ "op": "replace", "path": format!("{VENDOR}:realm"), "value": "other" }]));
    let reply = send(&server, "PATCH", &format!("/v2.0/Users/{}", id(&made)), &token, &realm).await;
    refused(&reply, 400, Some("mutability"));
    let again = send(&server, "POST", "/v2.0/Users", &token, &body).await;
    refused(&again, 409, Some("uniqueness"));
    let detail = scim(&again, 409)["detail"].clone();
    assert!(detail.as_str().unwrap().starts_with("CSIAI0047E "), "{detail}");
    let groups = scim(&get(&server, "/v2.0/Groups", &token).await, 200);
    assert!(groups["totalResults"].as_u64().unwrap() >= 1, "{groups}");
}

#[tokio::test]
async fn what_the_server_can_do_is_described_and_true() {
    let (server, token) = provisioned().await;
    let provider = scim(&get(&server, "/scim/v2/ServiceProviderConfig", &token).await, 200);
    for what in ["patch", "bulk", "filter", "sort", "etag", "changePassword"] {
        assert_eq!(provider[what]["supported"], true, "{what}");
    }
    let types = scim(&get(&server, "/scim/v2/ResourceTypes", &token).await, 200);
    assert_eq!(types["totalResults"], 2);
    let schemas = scim(&get(&server, "/scim/v2/Schemas", &token).await, 200);
    assert_eq!(schemas["totalResults"], 3);
    for one in types["Resources"].as_array().unwrap().iter().chain(schemas["Resources"].as_array().unwrap()) {
        let location = one["meta"]["location"].as_str().unwrap().strip_prefix(ACME.base).unwrap().to_owned();
        assert_eq!(&scim(&get(&server, &location, &token).await, 200), one);
    }
    refused(&get(&server, "/scim/v2/Schemas/urn:none", &token).await, 404, None);
    refused(&get(&server, "/scim/v2/ResourceTypes?filter=x", &token).await, 403, None);
    refused(&get(&server, "/scim/v2/nothing/here", &token).await, 404, None);
    assert_eq!(send(&server, "POST", "/scim/v2/Schemas", &token, &json!({})).await.status, 405);
    let everything = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "userName eq \"scott\" or displayName pr", "count": 200,
    });
    let all = scim(&send(&server, "POST", "/scim/v2/.search", &token, &everything).await, 200);
    let kinds: std::collections::BTreeSet<&str> =
        all["Resources"].as_array().unwrap().iter().map(|one| one["meta"]["resourceType"].as_str().unwrap()).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["Group", "User"]);
}

#[tokio::test]
async fn the_clients_of_whoever_is_switched_off_or_removed_are_told() {
    let watching = format!(
        "grant_types = [\"authorization_code\"]\nredirect_uris = [{CALLBACK:?}]\nconsent = \"never_prompt\"\n\
         backchannel_logout_uri = \"https://rp.example.test/out\""
    );
    // Who is switched off here is an administrator.
    let clients = CLIENTS.replace("\"manageUserGroups\"", "\"manageAllUserGroups\"");
    let setup = setup().add(&clients).add(&client("watching", "watching-secret", &watching));
    let (server, token) = with_token(setup.start().await).await;
    let path = format!("/scim/v2/Users/{}", ACME.admin.id);
    let off = patch(json!([{ "op": "replace", "path": "active", "value": false }]));
    let on = patch(json!([{ "op": "replace", "path": "active", "value": true }]));
    for (method, body) in [("PATCH", off), ("DELETE", Value::Null)] {
        scim(&send(&server, "PATCH", &path, &token, &on).await, 200);
        let mut visitor = Visitor::new(&server);
        let page = visitor.get(&code_request("watching", &[])).await;
        let page = visitor.sign_in(&page, ACME.admin.username, ACME.admin.password).await;
        assert!(page.landed(CALLBACK).contains_key("code"));
        assert!(send(&server, method, &path, &token, &body).await.status.is_success());
        let due = server.store.claim_outbox("logout", server.world.now(), 600, 10).await.unwrap();
        let channels: Vec<&str> = due.iter().map(|item| item.mail.channel.as_str()).collect();
        assert_eq!(channels, ["logout"], "{method}");
        let silently = visitor.silently("watching", &[]).await.landed(CALLBACK);
        assert_eq!(silently["error"], "login_required", "{method}");
    }
}
