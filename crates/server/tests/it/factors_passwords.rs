//! Passwords: what a new one must be, how long one does, and hashes that other systems made.

use serde_json::{Value, json};

use crate::support::{Setup, TOKEN, TestServer, client};

const SOURCE: &str = "/v1.0/authnmethods/password/46872982-ab9e-4c9f-8200-8f394b328394";
const SOURCE_ID: &str = "46872982-ab9e-4c9f-8200-8f394b328394";
const DAY: i64 = 86_400;

/// With these settings of the tenant.
fn setup(settings: &str) -> Setup {
    let more = "grant_types = [\"client_credentials\"]\n\
                entitlements = [\"authnAnyUser\", \"resetPasswordAnyUser\", \"manageAllUserGroups\"]";
    Setup::new()
        .replace("[tenant.settings]", &format!("[tenant.settings]\n{settings}"))
        .add(&client("helpdesk", "h", more))
}

async fn desk(server: &TestServer) -> String {
    let form = [("grant_type", "client_credentials")];
    let reply = server.ask("POST", TOKEN).basic("helpdesk", "h").form(&form).send().await.expect(200);
    reply["access_token"].as_str().unwrap().to_owned()
}

fn change(old: &str, new: &str) -> Value {
    json!({ "username": "scott", "oldPassword": old, "newPassword": new })
}

#[tokio::test]
async fn a_new_password_must_not_be_soon_guessed() {
    let server = setup("password = { strength = 3, shortest = 10 }").start().await;
    let desk = desk(&server).await;
    for unfit in ["password123", "scott@acme.org", "qwertyuiop", "0123456789", "tooshort"] {
        let refused = server.json("PUT", SOURCE, &desk, &change("hunter22", unfit)).await;
        refused.factor_error(400, "CSIBN9999E");
    }
    server.json("PUT", SOURCE, &desk, &change("hunter22", "blue whale paints the shed")).await.expect_empty(204);
}

#[tokio::test]
async fn an_earlier_password_is_not_used_again_while_it_is_remembered() {
    let server = setup("password = { history = 2, strength = 0 }").start().await;
    let desk = desk(&server).await;
    let to = async |old: &str, new: &str| server.json("PUT", SOURCE, &desk, &change(old, new)).await;
    to("hunter22", "first-one-1").await.expect_empty(204);
    to("first-one-1", "hunter22").await.factor_error(400, "CSIBN9999E");
    to("first-one-1", "second-one-2").await.expect_empty(204);
    to("second-one-2", "hunter22").await.factor_error(400, "CSIBN9999E");
    to("second-one-2", "first-one-1").await.factor_error(400, "CSIBN9999E");
    to("second-one-2", "third-one-3").await.expect_empty(204);
    // Two are remembered, and this is the third from last.
    to("third-one-3", "hunter22").await.expect_empty(204);
    // One that an administrator set is no way around it.
    let reset = json!({ "username": "scott", "newPassword": "fourth-one-4" });
    server.json("POST", &format!("{SOURCE}/reset"), &desk, &reset).await.factor_error(200, "CSIAH0324I");
    to("fourth-one-4", "hunter22").await.factor_error(400, "CSIBN9999E");
}

#[tokio::test]
async fn an_expired_password_proves_nothing_and_serves_to_set_another() {
    let server = setup("password = { expires_days = 30 }").start().await;
    server.world.advance(30 * DAY - 60);
    let first = server.begin_inside().await;
    server.password(&first.token, "scott", "hunter22").await.expect(200);
    server.world.advance(120);
    let first = server.begin_inside().await;
    // Who does not know it learns nothing of its age.
    server.password(&first.token, "scott", "wrong").await.factor_error(400, "CSIBH0044E");
    for _ in 0..8 {
        server.password(&first.token, "scott", "hunter22").await.factor_error(400, "CSIAH0321E");
    }
    let desk = desk(&server).await;
    let login = json!({
        "userName": "scott", "password": "hunter22",
        "schemas": ["urn:ietf:params:scim:schemas:ibm:core:2.0:AuthenticateUser"]
    });
    let told = server.json("POST", "/v2.0/Users/authentication", &desk, &login).await.expect(400);
    assert_eq!(told["scimType"], "PWD_EXPIRED");
    server.json("PUT", SOURCE, &desk, &change("hunter22", "blue whale paints")).await.expect_empty(204);
    server.password(&first.token, "scott", "blue whale paints").await.expect(200);
}

/// Hashes of `hunter22`, as other systems made them.
#[tokio::test]
async fn imported_hashes_are_verified_and_renewed_at_the_next_sign_in() {
    let hashes = [
        ("bc", "$2b$04$DBF1.Q5ajLeEtAqeRX4oU.jOa788U9v7H90HIy/58El1JyL1mD9Vu"),
        ("ssha", "{SSHA}ZPeztGLZUREzgQWoP02WcuGCzQowMTIzNDU2Nw=="),
        (
            "ssha512",
            "{SSHA512}He5ZyCfbUtEeBnN6/dvlBKcKalj6qQPffVY9/r/BCetvWIvWeyWowNTMjzR8jp13IwcSvR7IBOYjUQ9uDRjwzzAxMjM0NTY3",
        ),
        ("pb", "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$ueBbYQVkDHSR2wInfuEbu55EoAdDx3ozbiXKophExIU"),
        ("dj", "pbkdf2_sha256$1000$abcdefgh1234$mexccCaenj2NPCHgR+GrQ8yKKSxBB5CJkwU0ni2engc="),
        ("sc", "$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$GbVBK2XBbz+abfTyNSWbAT5eN+L8yo30aihNtx21k7E"),
    ];
    let mut setup = setup("lock_after = 50");
    for (name, hash) in hashes {
        let id = format!("IMPORTED{}", name.to_uppercase());
        setup = setup.add(&format!(
            "[[tenant.users]]\nid = {id:?}\nusername = {name:?}\nsource = {SOURCE_ID:?}\npassword_hash = {hash:?}\n"
        ));
    }
    let server = setup.start().await;
    for (name, hash) in hashes {
        let id = format!("IMPORTED{}", name.to_uppercase());
        let stored = async || {
            let user = server.store.user(&server.tenant(), &id.as_str().into()).await.unwrap().unwrap();
            user.password.unwrap()
        };
        assert_eq!(stored().await, hash);
        let first = server.begin_inside().await;
        server.password(&first.token, name, "hunter23").await.factor_error(400, "CSIBH0044E");
        assert_eq!(stored().await, hash);
        server.password(&first.token, name, "hunter22").await.expect(200);
        assert!(stored().await.starts_with("$argon2id$"), "{name}");
        let first = server.begin_inside().await;
        server.password(&first.token, name, "hunter22").await.expect(200);
    }
}
