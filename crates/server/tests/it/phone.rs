//! What a phone may rely on (docs/device-protocol.md): it hears of a request the moment it is made, its keys vouch for those that
//! follow, and what it holds survives a lost answer.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::factors_push::{Phone, second, setup, sign};
use crate::support::{ACME, Reply, TestServer, on_both};

async fn renewed(server: &TestServer, refresh: &str) -> Reply {
    server.ask("POST", "/v1.0/authenticators/registration").json(&json!({ "refreshToken": refresh })).send().await
}

/// A phone that is through with its registration.
async fn active(server: &TestServer) -> Phone {
    let mut phone = Phone::register(server, ACME.admin.id, "userPresence").await;
    let made = renewed(server, &phone.refresh).await.expect(200);
    phone.token = made["accessToken"].as_str().unwrap().to_owned();
    phone.refresh = made["refreshToken"].as_str().unwrap().to_owned();
    phone
}

async fn news(server: &TestServer, phone: &Phone, known: &str, seconds: u32) -> Vec<Value> {
    let path = format!("{}?wait={seconds}&known={known}", phone.path());
    server.get(&path, &phone.token).await.expect(200)["verifications"].as_array().unwrap().clone()
}

#[test]
fn a_phone_that_waits_hears_of_a_request_at_once_on_every_node() {
    on_both(async |store| {
        let server = setup("").start_on(store).await;
        let elsewhere = server.another().await;
        let phone = active(&server).await;
        let challenge = second(&server).await;
        // The bell of its own node, and the second look at another.
        for (node, limit) in [(&server, 25), (&elsewhere, 25)] {
            let ask = async {
                // The wait is under way: `join!` polls the first before the second.
                phone.asked(&server, &challenge.token).await.expect(202)
            };
            let both = async { tokio::join!(news(node, &phone, "", limit), ask) };
            let (heard, asked) = tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
            assert_eq!((heard.len(), &heard[0]["id"]), (1, &asked["id"]));
            // It knows that one now: it hears again when it is over.
            let id = asked["id"].as_str().unwrap();
            let settle = phone.says(&server, id, "USER_DENIED", "", None);
            let both = async { tokio::join!(news(node, &phone, id, limit), settle) };
            let (heard, settled) = tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
            settled.expect_empty(204);
            assert!(heard.is_empty(), "{heard:?}");
        }
    });
}

#[tokio::test]
async fn a_wait_ends_in_time_and_asks_for_nothing_odd() {
    let server = setup("").start().await;
    let phone = active(&server).await;
    assert!(news(&server, &phone, "", 1).await.is_empty());
    for odd in ["wait=-1", "wait=x", "wait=1&wait=2", "wait=99999999999999999999"] {
        let reply = server.get(&format!("{}?{odd}", phone.path()), &phone.token).await;
        reply.factor_error(400, "CSIAG5401E");
    }
    // What waits already is answered at once, however long it might take.
    let challenge = second(&server).await;
    let asked = phone.asked(&server, &challenge.token).await.expect(202);
    let heard = tokio::time::timeout(Duration::from_secs(10), news(&server, &phone, "", 25)).await.unwrap();
    assert_eq!(heard[0]["id"], asked["id"]);
}

/// The phone's own key, in the place of the old one.
async fn exchange(server: &TestServer, phone: &Phone, next: &EcdsaKeyPair, by: Option<&EcdsaKeyPair>) -> Reply {
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(next.public_key()).unwrap();
    let public = STANDARD.encode(public.as_ref());
    let mut attributes =
        json!({ "algorithm": "SHA256withECDSA", "publicKey": public, "signedData": sign(next, &phone.id) });
    if let Some(by) = by {
        attributes["vouchedData"] = json!(sign(by, &format!("{}\n{public}", phone.id)));
    }
    let keys = json!([{ "subType": "userPresence", "enabled": true, "attributes": attributes }]);
    server.json("POST", "/v1.0/authnmethods/signatures", &phone.token, &keys).await
}

#[tokio::test]
async fn a_registered_phone_exchanges_its_key_only_by_the_one_it_has() {
    let server = setup("").start().await;
    let mut phone = active(&server).await;
    let next = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let stranger = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    // Its access token alone, or a word of another key, is not enough.
    exchange(&server, &phone, &next, None).await.factor_error(400, "CSIBN0021E");
    exchange(&server, &phone, &next, Some(&stranger)).await.factor_error(400, "CSIBN0021E");
    exchange(&server, &phone, &next, Some(&next)).await.factor_error(400, "CSIBN0021E");
    // Nor is a word given for another key.
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(stranger.public_key()).unwrap();
    let attributes = json!({
        "algorithm": "SHA256withECDSA", "publicKey": STANDARD.encode(public.as_ref()),
        "signedData": sign(&stranger, &phone.id), "vouchedData": sign(&phone.key, &phone.id),
    });
    let keys = json!([{ "subType": "fingerprint", "enabled": true, "attributes": attributes }]);
    server.json("POST", "/v1.0/authnmethods/signatures", &phone.token, &keys).await.factor_error(400, "CSIBN0021E");

    let made = exchange(&server, &phone, &next, Some(&phone.key)).await.expect(201);
    let old = std::mem::replace(&mut phone.key, next);
    phone.method = made[0]["id"].as_str().unwrap().to_owned();
    let challenge = second(&server).await;
    let asked = phone.asked(&server, &challenge.token).await.expect(202);
    let id = asked["id"].as_str().unwrap();
    let data = asked["transactionData"].as_str().unwrap();
    phone.says(&server, id, "VERIFY_ATTEMPT", &sign(&old, data), None).await.factor_error(400, "CSIBN0021E");
    let asked = phone.asked(&server, &challenge.token).await.expect(202);
    phone.approves(&server, &asked).await.expect_empty(204);
    // Where the answer was lost the phone does it again with the key that is in force by now.
    exchange(&server, &phone, &phone.key, Some(&phone.key)).await.expect(201);
}

/// Of two renewals with one token at the same moment both are answered, and one line of tokens lives.
#[test]
fn a_renewal_that_is_repeated_at_once_leaves_one_line_of_tokens() {
    on_both(async |store| {
        let server = setup("").start_on(store).await;
        let phone = active(&server).await;
        let elsewhere = server.another().await;
        let (one, two) = tokio::join!(renewed(&server, &phone.refresh), renewed(&elsewhere, &phone.refresh));
        let mut living = 0;
        for made in [one.expect(200), two.expect(200)] {
            let reply = server.get(&phone.path(), made["accessToken"].as_str().unwrap()).await;
            living += usize::from(reply.status == 200);
        }
        assert_eq!(living, 1);
    });
}
