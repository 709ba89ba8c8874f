//! Whatever changes how somebody signs in is told to them, whoever changed it and by whichever door: people who keep the directory, in
//! every shape of it, and those who keep the factors. Of what people change themselves the tests of each door tell.

use serde_json::{Value, json};

use crate::support::oracle::world;
use crate::support::{ACME, Setup, TestServer, client, on_both};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const EXTENSION: &str = "urn:ietf:params:scim:schemas:oracle:idcs:extension";
const OLD: &str = "babs@acme.org";
const NEW: &str = "babs@home.test";

/// Who may change anything of anybody, in both dialects.
fn setup() -> Setup {
    let by = "grant_types = [\"client_credentials\"]";
    Setup::new()
        .replace(
            "[tenant.settings]",
            "[tenant.settings]\nbypass = { enabled = true }\nquestions = { enabled = true, required = 1 }",
        )
        .add(&client(
            "keeper",
            "s",
            &format!(
                "{by}\nentitlements = [\"manageUsers\", \"authnAnyUser\", \"manageEnrollMFAMethodAnyUser\", \
                 \"readEnrollMFAMethodAnyUser\", \"resetPasswordAnyUser\", \"manageAuthenticatorsAnyUser\"]"
            ),
        ))
        .add(&client("admin", "s", &format!("{by}\napp_roles = [\"Identity Domain Administrator\"]")))
}

/// A keeper of the directory with both tokens.
struct Keeper {
    server: TestServer,
    token: String,
    admin: String,
    /// How many messages were read of each address.
    read: std::collections::BTreeMap<String, usize>,
}

impl Keeper {
    async fn of(server: TestServer) -> Self {
        let token = server.token_of("keeper", "s").await;
        let form = [("grant_type", "client_credentials"), ("scope", "urn:opc:idm:__myscopes__")];
        let made = server.ask("POST", "/oauth2/v1/token").basic("admin", "s").form(&form).send().await.expect(200);
        let admin = made["access_token"].as_str().unwrap().to_owned();
        Self { server, token, admin, read: Default::default() }
    }

    /// A request in SCIM's media type, which must go well.
    fn scim(&self, method: &str, path: &str, body: &Value) -> impl Future<Output = Value> {
        let token = if path.starts_with("/admin/") { &self.admin } else { &self.token };
        let ask = self.server.ask(method, path).bearer(token).body("application/scim+json", body.to_string());
        let what = format!("{method} {path} {body}");
        async move {
            let reply = ask.send().await;
            assert!(reply.status.is_success(), "{what}: {} {}", reply.status, reply.text());
            serde_json::from_slice(&reply.body).unwrap_or(Value::Null)
        }
    }

    /// What was told at an address since the last look, sorted: messages of one moment have no order.
    async fn told(&mut self, to: &str) -> Vec<String> {
        let all = self.server.mail(to).await;
        let before = self.read.insert(to.to_owned(), all.len()).unwrap_or_default();
        let first = |mail: &Value| mail["text"].as_str().unwrap().lines().next().unwrap().to_owned();
        let mut told: Vec<String> = all[before..].iter().filter(|mail| mail["code"].is_null()).map(first).collect();
        told.sort();
        told
    }

    async fn newcomer(&mut self, path: &str, name: &str) -> String {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name,
            "name": { "givenName": "Babs", "familyName": "Jensen" }, "password": "correct-horse-battery-7",
            "emails": [{ "value": OLD, "type": "work", "primary": true }],
        });
        let made = self.scim("POST", path, &body).await;
        assert_eq!(self.told(OLD).await, ["Your account has a password now"], "{path}");
        made["id"].as_str().unwrap().to_owned()
    }
}

fn patch(operations: &Value) -> Value {
    json!({ "schemas": [PATCH], "Operations": operations })
}

fn replace(path: &str, value: Value) -> Value {
    patch(&json!([{ "op": "replace", "path": path, "value": value }]))
}

fn work(address: &str) -> Value {
    json!([{ "value": address, "type": "work", "primary": true }])
}

#[test]
fn what_a_keeper_of_the_directory_changes_is_told_in_every_shape_of_it() {
    on_both(async |store| {
        let mut keeper = Keeper::of(setup().start_on(store).await).await;
        for shape in ["/scim/v2/Users", "/v2.0/Users", "/admin/v1/Users"] {
            let id = keeper.newcomer(shape, "babs").await;
            let path = format!("{shape}/{id}");
            keeper.scim("PATCH", &path, &replace("title", json!("Guide"))).await;
            assert!(keeper.told(OLD).await.is_empty(), "{shape}: a title is nobody's way in");
            keeper.scim("PATCH", &path, &replace("password", json!("another-horse-staple-9"))).await;
            assert_eq!(keeper.told(OLD).await, ["Your password was changed"], "{shape}");
            keeper.scim("PATCH", &path, &replace("userName", json!("barbara"))).await;
            assert_eq!(keeper.told(OLD).await, ["The name you sign in with was changed"], "{shape}");
            let number = json!([{ "value": "+4917112345", "type": "mobile", "primary": true }]);
            keeper.scim("PATCH", &path, &replace("phoneNumbers", number)).await;
            assert_eq!(keeper.told(OLD).await, ["Your phone number was changed"], "{shape}");
            // The whole record, with another address and another password: the address that was is told of both.
            let whole = json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "barbara", "title": "Guide",
                "name": { "givenName": "Babs", "familyName": "Jensen" }, "password": "yet-another-horse-11",
                "emails": work(NEW), "phoneNumbers": [{ "value": "+4917112345", "type": "mobile", "primary": true }],
            });
            keeper.scim("PUT", &path, &whole).await;
            for to in [OLD, NEW] {
                let told = keeper.told(to).await;
                assert_eq!(told, ["Your email address was changed", "Your password was changed"], "{shape} {to}");
            }
            // An address in capitals is the same one.
            keeper.scim("PATCH", &path, &replace("emails", work(&NEW.to_uppercase()))).await;
            assert!(keeper.told(NEW).await.is_empty() && keeper.told(OLD).await.is_empty(), "{shape}");
            keeper.scim("DELETE", &path, &Value::Null).await;
        }
    });
}

#[tokio::test]
async fn of_several_requests_in_one_each_is_told() {
    let mut keeper = Keeper::of(setup().start().await).await;
    let id = keeper.newcomer("/scim/v2/Users", "babs").await;
    for bulk in ["/scim/v2/Bulk", "/admin/v1/Bulk"] {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": [
                { "method": "PATCH", "path": format!("/Users/{id}"),
                  "data": replace("password", json!(format!("bulk-horse-staple-{}", bulk.len()))) },
                { "method": "PATCH", "path": format!("/Users/{id}"), "data": replace("title", json!(bulk)) },
            ],
        });
        keeper.scim("POST", bulk, &body).await;
        assert_eq!(keeper.told(OLD).await, ["Your password was changed"], "{bulk}");
    }
}

#[tokio::test]
async fn what_others_do_to_somebodys_factors_is_told() {
    let mut keeper = Keeper::of(setup().start().await).await;
    let id = keeper.newcomer("/scim/v2/Users", "babs").await;
    let json = async |keeper: &Keeper, method: &str, path: &str, body: Value| {
        let token = if path.starts_with("/admin/") { &keeper.admin } else { &keeper.token };
        let reply = keeper.server.json(method, path, token, &body).await;
        assert!(reply.status.is_success(), "{method} {path}: {}", reply.text());
        serde_json::from_slice::<Value>(&reply.body).unwrap_or(Value::Null)
    };
    let answers = json!([{ "questionKey": "firstPet", "answer": "Rex" }]);
    let body = json!({ "userId": id, "attributes": { "questions": answers } });
    let made = json(&keeper, "POST", "/v2.0/factors/questions", body).await;
    assert_eq!(keeper.told(OLD).await, ["A way to sign in was added"]);
    let path = format!("/v2.0/factors/questions/{}", made["id"].as_str().unwrap());
    json(&keeper, "DELETE", &path, Value::Null).await;
    assert_eq!(keeper.told(OLD).await, ["A way to sign in was removed"]);
    let body = json!({ "username": "babs", "newPassword": "brand-new-password" });
    json(&keeper, "POST", &format!("/v1.0/authnmethods/password/{}/reset", ACME.source), body).await;
    assert_eq!(keeper.told(OLD).await, ["Your password was changed"]);

    let made = json(&keeper, "POST", "/admin/v1/BypassCodes", json!({ "user": { "value": id } })).await;
    assert_eq!(keeper.told(OLD).await, ["New recovery codes were made"]);
    json(&keeper, "DELETE", &format!("/admin/v1/BypassCodes/{}", made["id"].as_str().unwrap()), Value::Null).await;
    assert_eq!(keeper.told(OLD).await, ["Recovery codes were removed"]);
    json(&keeper, "POST", "/admin/v1/BypassCodes", json!({ "user": { "value": id } })).await;
    let body = json!({ "userId": id, "attributes": { "questions": answers } });
    json(&keeper, "POST", "/v2.0/factors/questions", body).await;
    keeper.told(OLD).await;
    let remove = json!({ "user": { "value": id } });
    json(&keeper, "POST", "/admin/v1/AuthenticationFactorsRemover", remove.clone()).await;
    assert_eq!(keeper.told(OLD).await, ["A way to sign in was removed", "Recovery codes were removed"]);
    json(&keeper, "POST", "/admin/v1/AuthenticationFactorsRemover", remove).await;
    assert!(keeper.told(OLD).await.is_empty(), "there was nothing left to take away");
}

/// Somebody without an address in the directory has an enrolled one: the first that the directory is given must not be all that is told.
#[tokio::test]
async fn a_first_address_is_told_to_the_one_that_was_enrolled() {
    let mut keeper = Keeper::of(
        setup()
            .add(&crate::support::user("6040009YYY", "yan", "yellow-submarine-1", ""))
            .add("[[tenant.enrolments]]\nid = \"5a5a5a5a-0000-4000-8000-000000000001\"\nuser = \"yan\"\nkind = \"email-otp\"\naddress = \"yan@home.test\"\n")
            .start()
            .await,
    )
    .await;
    keeper.scim("PATCH", "/scim/v2/Users/6040009YYY", &replace("emails", work("evil@acme.org"))).await;
    for to in ["yan@home.test", "evil@acme.org"] {
        assert_eq!(keeper.told(to).await, ["Your email address was changed"], "{to}");
    }
}

#[tokio::test]
async fn what_recovers_an_account_is_told_when_it_comes_changes_and_goes() {
    use countersign::signin::SignIns;
    use countersign::signin::rescue::{Means, Recovery};
    let server = world::setup().start().await;
    let view = server.view();
    let sign_ins = SignIns { app: &server.app, tenant: &view };
    let user = world::ID.into();
    let set = async |to: &str| {
        let recovery = Recovery { means: Means::Email, to: Some(to.to_owned()), grant: None };
        sign_ins.set_recovery(&user, &recovery, Vec::new()).await.unwrap();
    };
    let told = async |to: &str| {
        let all = server.mail(to).await;
        let first = |mail: &Value| mail["text"].as_str().unwrap().lines().next().unwrap().to_owned();
        let mut told: Vec<String> = all.iter().map(first).collect();
        told.sort();
        told
    };
    const SET: &str = "A way to recover your account was set up";
    const GONE: &str = "A way to recover your account was removed";
    set("one@home.test").await;
    assert_eq!(told(world::NAME).await, [SET]);
    // Proved once more it is what it was; another takes its place, and the one before is told.
    set("one@home.test").await;
    set("two@home.test").await;
    assert_eq!((told(world::NAME).await, told("one@home.test").await), (vec![SET.to_owned(); 2], vec![SET.to_owned()]));
    sign_ins.drop_recoveries(&user).await.unwrap();
    assert_eq!(told("two@home.test").await, [GONE]);
    sign_ins.drop_recoveries(&user).await.unwrap();
    assert_eq!(told(world::NAME).await, [GONE, SET, SET]);
}

/// A record that says of itself who wrote it last is not how somebody signs in.
#[tokio::test]
async fn whoever_registered_is_not_told_of_the_password_they_chose() {
    let server = crate::oracle_me::setup().start().await;
    let page = server.page().await;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada@acme.test",
        "name": { "givenName": "Ada", "familyName": "Lovelace" }, "password": "correct-horse-battery-7",
        "emails": [{ "value": "ada@acme.test", "type": "work", "primary": true }],
        format!("{EXTENSION}:selfRegistration:User"): {
            "selfRegistrationProfile": { "value": "staff" }, "consentGranted": true,
        },
    });
    let reply = page.ask("POST", "/admin/v1/Me").body("application/scim+json", body.to_string()).send().await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let mails = server.mail("ada@acme.test").await;
    assert!(mails.len() == 1 && !mails[0]["text"].as_str().unwrap().contains("password now"), "{mails:?}");
}
