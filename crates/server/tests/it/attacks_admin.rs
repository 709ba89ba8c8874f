//! Attacks on what is registered and searched by machines.

use serde_json::{Value, json};

use crate::support::{Setup, TestServer};

fn open() -> Setup {
    let setting = "mail_from = \"no-reply@acme.org\"\nregistration = \"open\"\nregistrations_per_hour = 1000";
    Setup::new().replace("registration = \"open\"\n", "").replace("mail_from = \"no-reply@acme.org\"", setting)
}

async fn register(server: &TestServer, metadata: &Value) -> u16 {
    let reply = server.ask("POST", "/register").body("application/json", metadata.to_string()).send().await;
    reply.status.as_u16()
}

#[tokio::test]
async fn attack_2_nothing_that_runs_or_shows_itself_is_registered_as_an_address() {
    const CB: &str = "https://rp.example.test/cb";
    let server = open().start().await;
    assert_eq!(register(&server, &json!({ "redirect_uris": [CB] })).await, 201, "registration is open");
    let schemes = ["javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x", "\u{1}javascript:x"];
    for scheme in schemes.into_iter().chain([" javascript:x", "java\tscript:x", "blob:https://a.test/1", "file:///x"]) {
        let mut refused = vec![json!({ "redirect_uris": [scheme] })];
        for member in [
            "logo_uri",
            "client_uri",
            "policy_uri",
            "tos_uri",
            "initiate_login_uri",
            "frontchannel_logout_uri",
            "backchannel_logout_uri",
            "sector_identifier_uri",
            "jwks_uri",
        ] {
            refused.push(json!({ "redirect_uris": [CB], member: scheme }));
        }
        refused.push(json!({ "redirect_uris": [CB], "post_logout_redirect_uris": [scheme] }));
        for metadata in refused {
            assert_eq!(register(&server, &metadata).await, 400, "{metadata}");
        }
    }
}

#[tokio::test]
async fn attack_63_filters_neither_guess_secrets_nor_exhaust_anybody() {
    let entitled = "entitlements = [\"manageUsers\"]\n";
    let client = crate::support::client(
        "provisioning",
        "provisioning-secret",
        &format!("grant_types = [\"client_credentials\"]\n{entitled}"),
    );
    let server = Setup::new().add(&client).start().await;
    let token = server.token_of("provisioning", "provisioning-secret").await;
    let ask = async |query: &str| server.get(&format!("/scim/v2/Users?{query}"), &token).await;
    let encode =
        |filter: &str| format!("filter={}", form_urlencoded::byte_serialize(filter.as_bytes()).collect::<String>());
    assert_eq!(ask(&encode("userName pr")).await.status, 200);

    let deep = format!("{}userName pr{}", "(".repeat(100), ")".repeat(100));
    let long = vec!["userName eq \"a\""; 10_000].join(" or ");
    for filter in [
        "password pr",
        "password sw \"a\"",
        "password eq \"hunter22\"",
        "PASSWORD co \"$argon2id\"",
        "urn:ietf:params:scim:schemas:core:2.0:User:password pr",
        "userName eq \"scott\" or password sw \"h\"",
        "userName eq \"a\\\" or \\\"1\" = \"1",
        "userName eq 'scott'",
        &deep,
        &long,
    ] {
        let reply = ask(&encode(filter)).await;
        let head: String = filter.chars().take(60).collect();
        assert!(reply.status == 400 || reply.status == 413 || reply.status == 414, "{head}: {}", reply.status);
        if reply.status == 400 {
            assert_eq!(reply.json()["scimType"], "invalidFilter", "{head}");
        }
    }
    // Quotes in a value are a value.
    let quoted = ask(&encode("userName eq \"a' OR '1'='1\"")).await.expect(200);
    assert_eq!(quoted["totalResults"], 0);
    for sort in ["password", "PASSWORD", "meta.secret"] {
        assert_eq!(ask(&format!("sortBy={sort}")).await.status, 400, "{sort}");
    }
    // Bounded, as the RFC has it: a negative count is 0, a start before the first is the first.
    let most = ask("count=1000000000").await.expect(200);
    assert!(most["itemsPerPage"].as_i64().unwrap() <= 1000, "{}", most["itemsPerPage"]);
    assert_eq!(ask("count=-5").await.expect(200)["itemsPerPage"], 0);
    assert_eq!(ask("startIndex=-5&count=1").await.expect(200)["startIndex"], 1);
    let all = ask("attributes=password").await;
    assert!(!all.text().contains("argon2") && !all.text().contains("password"), "{}", all.text());
}
