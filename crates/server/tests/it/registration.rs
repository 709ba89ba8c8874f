//! Clients that register themselves (RFC 7591, RFC 7592, OpenID Connect Registration 1.0). Names carry the numbers of the
//! project's list of conformance demands.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use countersign::directory::DirectoryChange;
use protocol::records::{Client, ClientId};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::sink::{self, acceptor};
use crate::support::{Reply, Setup, TestKey, TestServer, client, on_both};

const CB: &str = "https://rp.example.test/cb";

fn with(policy: &str) -> Setup {
    let setting = format!("mail_from = \"no-reply@acme.org\"\nregistration = \"{policy}\"\nregistrations_per_hour = 5");
    Setup::new()
        .replace("registration = \"open\"\n", "")
        .replace("mail_from = \"no-reply@acme.org\"", &setting)
        .add(&client(
            "registrar",
            "s",
            "grant_types = [\"client_credentials\"]\nentitlements = [\"manageOidcDynamicClient\", \"readUsers\"]",
        ))
        .add(&client("nobody-special", "s", "grant_types = [\"client_credentials\"]"))
}

async fn register(server: &TestServer, metadata: &Value) -> Reply {
    server.ask("POST", "/register").json(metadata).send().await
}

/// Registers a client that must be accepted.
async fn made(server: &TestServer, more: Value) -> Value {
    let mut metadata = json!({ "redirect_uris": [CB] });
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    register(server, &metadata).await.expect(201)
}

fn text<'v>(body: &'v Value, name: &str) -> &'v str {
    body[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {body}"))
}

/// The path of a client's configuration.
fn path(body: &Value) -> String {
    text(body, "registration_client_uri").strip_prefix("https://login.example.test").unwrap().to_owned()
}

#[tokio::test]
async fn g_1_g_2_g_3_a_client_is_registered_with_everything_it_needs_to_know() {
    let server = with("open").start().await;
    let reply = register(&server, &json!({ "redirect_uris": [CB], "client_name": "Example" })).await;
    assert_eq!(reply.header("cache-control"), "no-store");
    let body = reply.expect(201);
    assert!(text(&body, "client_id").len() == 36 && text(&body, "client_secret").len() >= 40);
    assert_eq!(
        (&body["client_secret_expires_at"], &body["client_id_issued_at"]),
        (&json!(0), &json!(server.world.now()))
    );
    assert_eq!(
        (&body["client_name"], &body["token_endpoint_auth_method"]),
        (&json!("Example"), &json!("client_secret_basic"))
    );
    // G-3: together, and an address of ours.
    assert!(text(&body, "registration_access_token").len() >= 40);
    assert_eq!(
        text(&body, "registration_client_uri"),
        format!("https://login.example.test/register/{}", text(&body, "client_id"))
    );
    let metadata = server.ask("GET", "/.well-known/openid-configuration").send().await.expect(200);
    assert_eq!(metadata["registration_endpoint"], "https://login.example.test/register");
}

#[test]
fn g_17_a_client_registered_a_moment_ago_is_known_everywhere_at_once() {
    on_both(|store| async move {
        let server = with("open").start_on(store).await;
        let body = made(&server, json!({})).await;
        // It proves itself: what it lacks is a code, not credentials.
        let form = [("grant_type", "authorization_code"), ("code", "x"), ("redirect_uri", CB)];
        let ask =
            |secret: &str| server.ask("POST", "/token").basic(text(&body, "client_id"), secret).form(&form).send();
        ask(text(&body, "client_secret")).await.oauth_error(400, "invalid_grant", "CSIAQ");
        ask("another secret").await.oauth_error(401, "invalid_client", "CSIAQ");
        // Another node was told by the store.
        let other = server.another().await;
        let told = other.get(&path(&body), text(&body, "registration_access_token")).await.expect(200);
        assert_eq!(told["client_id"], body["client_id"]);
    });
}

#[tokio::test]
async fn g_4_attack_61_the_configuration_is_read_with_the_token_and_nothing_else() {
    let server = with("open").start().await;
    let (body, other) = (made(&server, json!({ "client_name": "One" })).await, made(&server, json!({})).await);
    let token = text(&body, "registration_access_token");
    let told = server.get(&path(&body), token).await.expect(200);
    for (name, value) in body.as_object().unwrap() {
        // The secret is told once: only its hash is kept.
        if !name.starts_with("client_secret") {
            assert_eq!(told.get(name), Some(value), "{name}");
        }
    }
    assert!(told.get("client_secret").is_none());
    for (path, token) in [
        (path(&body), "x".repeat(40)),
        (path(&body), text(&other, "registration_access_token").to_owned()),
        (path(&body).replace(text(&body, "client_id"), "no-such-client"), token.to_owned()),
        // A client of an administrator has no configuration of this kind.
        ("/register/registrar".to_owned(), token.to_owned()),
    ] {
        let reply = server.get(&path, &token).await;
        reply.oauth_error(401, "invalid_token", "");
        assert_eq!(reply.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }
    let bare = server.ask("GET", &path(&body)).send().await;
    assert_eq!((bare.status.as_u16(), bare.header("www-authenticate")), (401, "Bearer"));
}

#[tokio::test]
async fn g_5_a_client_removes_itself_and_is_gone() {
    let server = with("open").start().await;
    let body = made(&server, json!({})).await;
    let (path, token) = (path(&body), text(&body, "registration_access_token"));
    server.json("DELETE", &path, "x", &Value::Null).await.oauth_error(401, "invalid_token", "");
    server.json("DELETE", &path, token, &Value::Null).await.expect_empty(204);
    server.get(&path, token).await.oauth_error(401, "invalid_token", "");
    let form = [("grant_type", "authorization_code"), ("code", "x")];
    let reply = server.ask("POST", "/token").basic(text(&body, "client_id"), text(&body, "client_secret")).form(&form);
    reply.send().await.oauth_error(401, "invalid_client", "CSIAQ");
}

#[tokio::test]
async fn an_update_replaces_the_metadata_and_keeps_the_client() {
    let server = with("open").start().await;
    let body = made(&server, json!({ "client_name": "Old", "tos_uri": "https://rp.example.test/tos" })).await;
    let (path, token) = (path(&body), text(&body, "registration_access_token"));
    let mut wanted = json!({ "client_id": body["client_id"], "redirect_uris": [CB], "client_name": "New" });
    let told = server.json("PUT", &path, token, &wanted).await.expect(200);
    assert_eq!((&told["client_name"], told.get("tos_uri")), (&json!("New"), None));
    assert_eq!((&told["registration_access_token"], told.get("client_secret")), (&json!(token), None));
    // RFC 7592 §2.2: whom it is about must be said, and a secret cannot be chosen.
    for (name, value) in [("client_id", json!("another")), ("client_id", Value::Null), ("client_secret", json!("mine"))]
    {
        let mut wrong = wanted.clone();
        wrong[name] = value;
        server.json("PUT", &path, token, &wrong).await.oauth_error(400, "invalid_client_metadata", "");
    }
    wanted["client_secret"] = body["client_secret"].clone();
    server.json("PUT", &path, token, &wanted).await.expect(200);
    // Without need for a secret there is none; with need again there is a new one.
    wanted["token_endpoint_auth_method"] = json!("none");
    assert!(server.json("PUT", &path, token, &wanted).await.expect(200).get("client_secret").is_none());
    wanted.as_object_mut().unwrap().retain(|name, _| name != "client_secret");
    wanted["token_endpoint_auth_method"] = json!("client_secret_post");
    let renewed = server.json("PUT", &path, token, &wanted).await.expect(200);
    assert_ne!(text(&renewed, "client_secret"), text(&body, "client_secret"));
    server.json("PUT", &path, "x", &wanted).await.oauth_error(401, "invalid_token", "");
}

#[tokio::test]
async fn an_update_does_not_undo_what_an_administrator_did() {
    let server = with("open").start().await;
    let body = made(&server, json!({})).await;
    let id = ClientId::from(text(&body, "client_id"));
    let directory = server.app.directories.current();
    let mut client: Client = (**directory.tenant(&server.tenant()).unwrap().client(id.as_str()).unwrap()).clone();
    client.networks = vec!["192.0.2.0/24".to_owned()];
    client.policy = Some(420_017);
    server
        .app
        .directories
        .change(None, &server.tenant(), vec![DirectoryChange::PutClient(Box::new(client.clone()))])
        .await
        .unwrap();
    let (path, token) = (path(&body), text(&body, "registration_access_token"));
    let wanted =
        json!({ "client_id": id, "redirect_uris": [CB], "access_policy": 1, "consent_action": "never_prompt" });
    let told = server.json("PUT", &path, token, &wanted).await.expect(200);
    assert_eq!(
        (&told["access_policy"], &told["consent_action"]),
        (&json!(420_017), &json!("prompt_once_and_remember"))
    );
    let now = server.app.directories.current();
    assert_eq!(now.tenant(&server.tenant()).unwrap().client(id.as_str()).unwrap().networks, client.networks);
    // Switched off, it does not switch itself on.
    client.enabled = false;
    server
        .app
        .directories
        .change(None, &server.tenant(), vec![DirectoryChange::PutClient(Box::new(client))])
        .await
        .unwrap();
    server.json("PUT", &path, token, &wanted).await.oauth_error(401, "invalid_token", "");
}

#[tokio::test]
async fn g_6_g_7_g_8_g_13_g_15_metadata_that_is_wrong_is_refused_with_its_error() {
    let server = with("open").start().await;
    let key = TestKey::new("k").jwk();
    for (metadata, error) in [
        (json!({}), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["https://rp.example.test/cb#f"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["https://localhost/cb"], "response_types": ["id_token"] }), "invalid_redirect_uri"),
        (
            json!({ "redirect_uris": [CB], "jwks": { "keys": [key] }, "jwks_uri": "https://rp.example.test/jwks" }),
            "invalid_client_metadata",
        ),
        (json!({ "redirect_uris": [CB], "initiate_login_uri": "http://rp.example.test/l" }), "invalid_client_metadata"),
        (json!({ "redirect_uris": [CB], "id_token_signed_response_alg": "none" }), "invalid_client_metadata"),
        (json!({ "redirect_uris": [CB], "grant_types": ["urn:unknown"] }), "invalid_client_metadata"),
    ] {
        let reply = register(&server, &metadata).await;
        reply.oauth_error(400, error, "");
    }
    for body in ["", "[]", "{", "redirect_uris=x"] {
        let reply = server.ask("POST", "/register").body("application/json", body).send().await;
        assert_eq!(reply.status, 400, "{body}");
    }
    let form = server.post_form("/register", &[("redirect_uris", CB)]).await;
    form.oauth_error(400, "invalid_client_metadata", "");
}

#[tokio::test]
async fn g_10_a_sector_document_that_cannot_be_had_is_refused() {
    let server = with("open").start().await;
    for uri in ["https://127.0.0.1/sector.json", "https://sector.invalid/uris.json"] {
        let metadata = json!({ "redirect_uris": [CB], "sector_identifier_uri": uri, "subject_type": "pairwise" });
        register(&server, &metadata).await.oauth_error(400, "invalid_client_metadata", "");
    }
}

#[tokio::test]
async fn g_16_attack_61_unknown_members_are_passed_over_and_strangers_get_no_power() {
    let server = with("open").start().await;
    let body = made(
        &server,
        json!({
            "tea": "earl grey", "client_id": "registrar", "client_secret": "chosen",
            "api_entitlements": ["manageOidcDynamicClient"], "consent_action": "never_prompt", "all_users_entitled": false,
        }),
    )
    .await;
    assert!(body.get("tea").is_none() && body.get("api_entitlements").is_none());
    assert_ne!(text(&body, "client_id"), "registrar");
    assert_ne!(text(&body, "client_secret"), "chosen");
    assert_eq!(
        (&body["consent_action"], &body["all_users_entitled"]),
        (&json!("prompt_once_and_remember"), &json!(true))
    );
    for grant in ["password", "client_credentials", "policyauth", "urn:ietf:params:oauth:grant-type:token-exchange"] {
        let metadata = json!({ "redirect_uris": [CB], "grant_types": ["authorization_code", grant] });
        register(&server, &metadata).await.oauth_error(400, "invalid_client_metadata", "");
    }
}

#[tokio::test]
async fn g_18_registration_is_open_by_token_or_off_as_the_tenant_says() {
    let metadata = json!({ "redirect_uris": [CB] });
    let off = with("off").start().await;
    let token = off.token_of("registrar", "s").await;
    assert_eq!(register(&off, &metadata).await.status, 404);
    assert_eq!(off.json("POST", "/register", &token, &metadata).await.status, 404);
    let document = off.ask("GET", "/.well-known/openid-configuration").send().await.expect(200);
    assert!(document.get("registration_endpoint").is_none());

    let by_token = with("token").start().await;
    let token = by_token.token_of("registrar", "s").await;
    let plain = by_token.token_of("nobody-special", "s").await;
    register(&by_token, &metadata).await.oauth_error(401, "invalid_token", "");
    by_token.json("POST", "/register", "x", &metadata).await.oauth_error(401, "invalid_token", "");
    by_token.json("POST", "/register", &plain, &metadata).await.oauth_error(401, "invalid_token", "");
    // Whoever vouches hands on what they have, and nothing else.
    let vouched = json!({ "redirect_uris": [CB], "grant_types": ["authorization_code", "client_credentials"],
        "api_entitlements": ["readUsers"], "scope": "openid payments", "token_endpoint_auth_method": "client_secret_post" });
    let body = by_token.json("POST", "/register", &token, &vouched).await.expect(201);
    assert_eq!(body["api_entitlements"], json!(["readUsers"]));
    let own = by_token.token_of(text(&body, "client_id"), text(&body, "client_secret")).await;
    assert_eq!(by_token.json("POST", "/register", &own, &metadata).await.status, 401);
    let more = json!({ "redirect_uris": [CB], "api_entitlements": ["manageUsers"] });
    by_token.json("POST", "/register", &token, &more).await.oauth_error(400, "invalid_client_metadata", "");
}

#[test]
fn g_18_strangers_are_counted_by_address_on_every_node() {
    on_both(|store| async move {
        let server = with("open").start_on(store).await;
        let other = server.another().await;
        let metadata = json!({ "redirect_uris": [CB] });
        let from =
            |server: &TestServer, address: &str| server.ask("POST", "/register").from(address).json(&metadata).send();
        for at in 0..5 {
            let node = if at % 2 == 0 { &server } else { &other };
            from(node, "203.0.113.9").await.expect(201);
        }
        let reply = from(&other, "203.0.113.9").await;
        assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (429, "3600"));
        from(&server, "203.0.113.10").await.expect(201);
        // Wrong metadata costs nothing, and a customer's network of version 6 counts as one.
        for at in 0..5 {
            server.ask("POST", "/register").from("203.0.113.11").json(&json!({})).send().await.oauth_error(
                400,
                "invalid_redirect_uri",
                "",
            );
            from(&server, &format!("2001:db8:1:2::{at}")).await.expect(201);
        }
        from(&server, "203.0.113.11").await.expect(201);
        assert_eq!(from(&server, "2001:db8:1:2:ffff::1").await.status, 429);
        server.world.advance(3600);
        from(&server, "203.0.113.9").await.expect(201);
    });
}

#[tokio::test]
async fn the_vendor_s_paths_have_their_own_names_for_it() {
    let server = with("open").start().await;
    for (prefix, at) in [
        ("/oauth2", "/oauth2/register"),
        ("/oidc/endpoint/default", "/oidc/endpoint/default/client_registration"),
        ("/v1.0/endpoint/default", "/oidc/endpoint/default/client_registration"),
    ] {
        let document =
            server.ask("GET", &format!("{prefix}/.well-known/openid-configuration")).send().await.expect(200);
        assert_eq!(document["registration_endpoint"], format!("https://login.example.test{at}"));
        let body = server.ask("POST", at).json(&json!({ "redirect_uris": [CB] })).send().await.expect(201);
        assert!(path(&body).starts_with(at), "{body}");
        server.get(&path(&body), text(&body, "registration_access_token")).await.expect(200);
    }
}

#[tokio::test]
async fn g_14_a_client_registered_for_a_key_proves_itself_by_it_alone() {
    let server = with("token").start().await;
    let token = server.token_of("registrar", "s").await;
    let key = TestKey::new("k1");
    let metadata = json!({ "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256", "jwks": { "keys": [key.jwk()] } });
    let body = server.json("POST", "/register", &token, &metadata).await.expect(201);
    assert!(body.get("client_secret").is_none() && body.get("client_secret_expires_at").is_none());
    let id = text(&body, "client_id");
    let assertion = |jti: &str| {
        let now = server.world.now();
        key.sign(&json!({ "iss": id, "sub": id, "aud": "https://login.example.test", "exp": now + 60, "iat": now, "jti": jti }))
    };
    let ask = |assertion: String| {
        let form = [
            ("grant_type", "client_credentials".to_owned()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()),
            ("client_assertion", assertion),
        ];
        let server = server.clone();
        async move { server.post_form("/token", &form).await }
    };
    ask(assertion("1")).await.expect(200);
    // Another algorithm than the one registered is not believed, though the key would do.
    let mut other = metadata;
    other["token_endpoint_auth_signing_alg"] = json!("EdDSA");
    other["client_id"] = json!(id);
    server.json("PUT", &path(&body), text(&body, "registration_access_token"), &other).await.expect(200);
    ask(assertion("2")).await.oauth_error(401, "invalid_client", "CSIAQ");
}

/// Where a client publishes documents, over https.
struct Publisher {
    base: String,
    documents: Arc<Mutex<BTreeMap<String, Value>>>,
    fetched: Arc<AtomicUsize>,
}

impl Publisher {
    async fn start() -> Self {
        let acceptor = acceptor();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let documents = Arc::new(Mutex::new(BTreeMap::<String, Value>::new()));
        let fetched = Arc::new(AtomicUsize::new(0));
        let (shelf, count) = (Arc::clone(&documents), Arc::clone(&fetched));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = Vec::new();
                let mut buffer = [0; 4096];
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer).await {
                        Ok(read) if read > 0 => head.extend_from_slice(&buffer[..read]),
                        _ => break,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default();
                count.fetch_add(1, Ordering::SeqCst);
                let found = shelf.lock().unwrap().get(path).map(Value::to_string);
                let (status, body) = found.map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { base, documents, fetched }
    }

    fn publish(&self, path: &str, document: Value) -> String {
        self.documents.lock().unwrap().insert(path.to_owned(), document);
        format!("{}{path}", self.base)
    }

    fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    /// A server that may fetch from here.
    async fn reader(&self, policy: &str) -> TestServer {
        let outbound = sink::allowed();
        with(policy).outbound(outbound).start().await
    }
}

#[tokio::test]
async fn g_10_g_11_a_sector_is_believed_that_knows_every_redirect_uri() {
    let publisher = Publisher::start().await;
    let server = publisher.reader("open").await;
    let two = json!([CB, "https://other.example.test/cb"]);
    let sector = publisher.publish("/sector.json", two.clone());
    let metadata =
        |uris: &Value| json!({ "redirect_uris": uris, "subject_type": "pairwise", "sector_identifier_uri": sector });
    let body = register(&server, &metadata(&two)).await.expect(201);
    assert_eq!((&body["subject_type"], &body["sector_identifier_uri"]), (&json!("pairwise"), &json!(sector)));
    let more = json!([CB, "https://third.example.test/cb"]);
    register(&server, &metadata(&more)).await.oauth_error(400, "invalid_client_metadata", "");
    // Nor does an update bring in what the sector does not know.
    let mut update = metadata(&more);
    update["client_id"] = body["client_id"].clone();
    let (path, token) = (path(&body), text(&body, "registration_access_token"));
    server.json("PUT", &path, token, &update).await.oauth_error(400, "invalid_client_metadata", "");
    // Several hosts without a sector are nobody's sector.
    let alone = json!({ "redirect_uris": two, "subject_type": "pairwise" });
    register(&server, &alone).await.oauth_error(400, "invalid_client_metadata", "");
    for document in [json!({ "uris": two }), json!("x"), Value::Null] {
        publisher.publish("/sector.json", document);
        register(&server, &metadata(&two)).await.oauth_error(400, "invalid_client_metadata", "");
    }
}

#[tokio::test]
async fn g_9_a_key_changed_at_its_address_is_believed_and_made_up_names_do_not_make_us_fetch() {
    let publisher = Publisher::start().await;
    let server = publisher.reader("token").await;
    let (first, second) = (TestKey::new("first"), TestKey::new("second"));
    let uri = publisher.publish("/jwks", json!({ "keys": [first.jwk()] }));
    let token = server.token_of("registrar", "s").await;
    let metadata = json!({ "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri });
    let body = server.json("POST", "/register", &token, &metadata).await.expect(201);
    let id = text(&body, "client_id").to_owned();
    let ask = |key: &TestKey| {
        let now = server.world.now();
        let claims = json!({ "iss": id, "sub": id, "aud": "https://login.example.test", "exp": now + 60, "jti": server.world.uuid() });
        let form = [
            ("grant_type", "client_credentials".to_owned()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()),
            ("client_assertion", key.sign(&claims)),
        ];
        let server = server.clone();
        async move { server.post_form("/token", &form).await }
    };
    ask(&first).await.expect(200);
    ask(&first).await.expect(200);
    assert_eq!(publisher.fetched(), 1);
    publisher.publish("/jwks", json!({ "keys": [second.jwk()] }));
    // Its name is not known, but we asked a moment ago.
    ask(&second).await.oauth_error(401, "invalid_client", "CSIAQ");
    assert_eq!(publisher.fetched(), 1);
    server.world.advance(5);
    ask(&second).await.expect(200);
    assert_eq!(publisher.fetched(), 2);
    for name in 0..10 {
        ask(&TestKey::new(&format!("made-up-{name}"))).await.oauth_error(401, "invalid_client", "CSIAQ");
    }
    assert_eq!(publisher.fetched(), 2);
    // The old key is not believed any longer, and a key under the same name is within a minute.
    ask(&first).await.oauth_error(401, "invalid_client", "CSIAQ");
    let third = TestKey::new("second");
    publisher.publish("/jwks", json!({ "keys": [third.jwk()] }));
    server.world.advance(60);
    ask(&third).await.expect(200);
}
