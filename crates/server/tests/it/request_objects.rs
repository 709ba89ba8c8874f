//! Request objects at the authorization endpoint, by value, by reference and pushed. Numbers are those of the project's lists of demands
//! and of attack cases.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::hosted::{CALLBACK, setup};
use crate::support::visitor::{Page, Visitor, request};
use crate::support::{Setup, TestKey, TestServer, unsigned};

const SCOTT: (&str, &str) = ("scott", "hunter22");
const SECOND: &str = "https://app.example.test/second";

struct Bench {
    server: TestServer,
    key: TestKey,
    visitor: Visitor,
}

fn app(id: &str, key: &TestKey, more: &str) -> String {
    format!(
        "[[tenant.clients]]\nid = {id:?}\nsecret = \"{id}-secret\"\njwks = {}\nconsent = \"never_prompt\"\n\
         grant_types = [\"authorization_code\"]\nredirect_uris = [{CALLBACK:?}, {SECOND:?}]\n{more}\n",
        key.toml()
    )
}

async fn bench() -> Bench {
    let key = TestKey::new("its-key");
    let setup: Setup = setup()
        .add(&app("signer", &key, "request_uris = [\"https://app.example.test/request.jwt\"]"))
        .add(&app("strict", &key, "require_signed_request_object = true"))
        .add(&app("plain", &key, "request_object_signing_alg = \"none\""))
        .add(&app("pusher", &key, "require_par = true"))
        .add(&app("sealer", &key, "request_object_encryption = [\"RSA-OAEP-256\", \"A256GCM\"]"));
    let server = setup.start().await;
    let mut visitor = Visitor::new(&server);
    visitor.code("web", SCOTT.0, SCOTT.1, &[]).await;
    Bench { server, key, visitor }
}

/// A good object of a client, with changes; null takes a claim away.
fn object(server: &TestServer, client: &str, changes: &Value) -> Value {
    let now = server.world.now();
    let mut claims = json!({
        "iss": client, "aud": "https://login.example.test", "client_id": client, "response_type": "code",
        "redirect_uri": CALLBACK, "scope": "openid", "state": "inside", "exp": now + 300, "iat": now,
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let kept = claims.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

impl Bench {
    async fn send(&mut self, client: &str, jwt: &str, outside: &[(&str, &str)]) -> Page {
        let mut pairs = vec![("client_id", client), ("response_type", "code"), ("request", jwt)];
        pairs.extend(outside);
        self.visitor.get(&request(&pairs)).await
    }

    async fn sent(&mut self, client: &str, changes: &Value, outside: &[(&str, &str)]) -> Page {
        let jwt = self.key.sign(&object(&self.server, client, changes));
        self.send(client, &jwt, outside).await
    }

    async fn push(&self, client: &str, more: &[(&str, &str)]) -> String {
        let mut form =
            vec![("response_type", "code"), ("redirect_uri", CALLBACK), ("scope", "openid"), ("state", "pushed")];
        form.extend(more);
        let reply = self.server.ask("POST", "/par").basic(client, &format!("{client}-secret")).form(&form).send().await;
        reply.expect(201)["request_uri"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn j2_j3_a_signed_object_is_the_request_and_what_is_inside_wins() {
    let mut bench = bench().await;
    let landed = bench.sent("signer", &json!({}), &[]).await.landed(CALLBACK);
    assert_eq!(landed["state"], "inside");
    bench.server.redeem("signer", &landed["code"]).await.expect(200);
    let outside = [("state", "outside"), ("redirect_uri", SECOND), ("scope", "openid"), ("nonce", "n")];
    let landed = bench.sent("signer", &json!({}), &outside).await.landed(CALLBACK);
    assert_eq!(landed["state"], "inside");
    // What is outside completes what is inside, but not for a client that must sign.
    let landed = bench.sent("signer", &json!({"state": null}), &outside).await.landed(CALLBACK);
    assert_eq!(landed["state"], "outside");
    let landed = bench.sent("strict", &json!({"state": null}), &outside).await.landed(CALLBACK);
    assert!(!landed.contains_key("state"));
}

#[tokio::test]
async fn j4_j7_attack_7_an_object_that_is_not_good_is_refused() {
    let mut bench = bench().await;
    let now = bench.server.world.now();
    let good = [("redirect_uri", CALLBACK), ("state", "outside"), ("scope", "openid")];
    for changes in [
        json!({"aud": "https://elsewhere.example.test"}),
        json!({"iss": "web"}),
        json!({"client_id": "web"}),
        json!({"request": "x"}),
        json!({"request_uri": "https://app.example.test/request.jwt"}),
        json!({"exp": now - 1}),
        json!({"nbf": now + 3600}),
        json!({"response_type": "token"}),
    ] {
        for client in ["signer", "strict"] {
            let landed = bench.sent(client, &changes, &good).await.landed(CALLBACK);
            // Where only what is inside counts there is nothing for it to differ from.
            let alone = client == "strict" && changes.get("response_type").is_some();
            let error = if alone { "unauthorized_client" } else { "invalid_request_object" };
            assert_eq!(landed["error"], error, "{client} {changes}");
            assert_eq!(landed["iss"], "https://login.example.test");
        }
    }
    let claims = object(&bench.server, "signer", &json!({}));
    let stranger = TestKey::new("its-key");
    for jwt in [
        unsigned(&json!({"alg": "none"}), &claims),
        stranger.sign(&claims),
        bench.key.sign_under(&json!({"alg": "ES256", "typ": "at+jwt", "kid": "its-key"}), &claims),
        "x.y.z".to_owned(),
        "nothing".to_owned(),
    ] {
        let landed = bench.send("signer", &jwt, &good).await.landed(CALLBACK);
        assert_eq!(landed["error"], "invalid_request_object", "{jwt}");
        // With nothing outside to trust nobody is told but the person.
        bench.send("signer", &jwt, &[]).await.expect(400);
    }
    let unsigned = unsigned(&json!({"alg": "none"}), &object(&bench.server, "plain", &json!({})));
    assert!(bench.send("plain", &unsigned, &good).await.landed(CALLBACK).contains_key("code"));
}

#[tokio::test]
async fn a_client_that_must_sign_or_push_or_encrypt_does() {
    let mut bench = bench().await;
    let pairs = |client| {
        [
            ("client_id", client),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid"),
            ("state", "s"),
        ]
    };
    for client in ["strict", "pusher"] {
        let landed = bench.visitor.get(&request(&pairs(client))).await.landed(CALLBACK);
        assert_eq!(landed["error"], "invalid_request", "{client}");
    }
    let landed = bench.sent("sealer", &json!({}), &[("redirect_uri", CALLBACK)]).await.landed(CALLBACK);
    assert_eq!(landed["error"], "invalid_request_object");
}

#[tokio::test]
async fn j5_j6_an_address_that_is_not_registered_or_not_reached_is_refused() {
    let mut bench = bench().await;
    for uri in [
        "https://app.example.test/other.jwt",
        "https://app.example.test/request.jwt#pin",
        "http://app.example.test/request.jwt",
        // Registered, but nobody answers there.
        "https://app.example.test/request.jwt",
    ] {
        let pairs = [
            ("client_id", "signer"),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid"),
            ("request_uri", uri),
        ];
        let landed = bench.visitor.get(&request(&pairs)).await.landed(CALLBACK);
        assert_eq!(landed["error"], "invalid_request_uri", "{uri}");
    }
    let both = [
        ("client_id", "signer"),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("request", "x"),
        ("request_uri", "https://app.example.test/request.jwt"),
    ];
    assert_eq!(bench.visitor.get(&request(&both)).await.landed(CALLBACK)["error"], "invalid_request");
}

#[tokio::test]
async fn attack_6_q18_q19_a_pushed_request_is_opened_as_often_as_wanted_and_answered_once() {
    let mut bench = bench().await;
    let uri = bench.push("pusher", &[]).await;
    // What stands beside it does not count (demands ).
    let pairs =
        [("client_id", "pusher"), ("request_uri", uri.as_str()), ("state", "outside"), ("redirect_uri", SECOND)];
    let mut stranger = Visitor::new(&bench.server);
    let (one, two) = (stranger.get(&request(&pairs)).await, stranger.get(&request(&pairs)).await);
    let landed: BTreeMap<_, _> = stranger.sign_in(&one, SCOTT.0, SCOTT.1).await.landed(CALLBACK);
    assert_eq!(landed["state"], "pushed");
    bench.server.redeem("pusher", &landed["code"]).await.expect(200);
    // Answered it is: neither the other window nor another visit gets a second code.
    let second = stranger.sign_in(&two, SCOTT.0, SCOTT.1).await;
    assert!(second.reply.header("location").is_empty(), "{second:?}");
    assert_eq!(bench.visitor.get(&request(&pairs)).await.error_id().as_deref(), Some("unknown_request_uri"));
    // Of another client, late, or made up.
    let uri = bench.push("pusher", &[]).await;
    let foreign = [("client_id", "web"), ("request_uri", uri.as_str())];
    assert_eq!(bench.visitor.get(&request(&foreign)).await.error_id().as_deref(), Some("unknown_request_uri"));
    bench.server.world.advance(91);
    let late = [("client_id", "pusher"), ("request_uri", uri.as_str())];
    assert_eq!(bench.visitor.get(&request(&late)).await.error_id().as_deref(), Some("unknown_request_uri"));
    let made_up = format!("urn:ietf:params:oauth:request_uri:{}", "x".repeat(40));
    let made_up = [("client_id", "pusher"), ("request_uri", made_up.as_str())];
    assert_eq!(bench.visitor.get(&request(&made_up)).await.error_id().as_deref(), Some("unknown_request_uri"));
}
