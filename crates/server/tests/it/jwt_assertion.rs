//! `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer` with assertions that are not of our factors (RFC 7523, vendor page §4.6):
//! signed, encrypted, and both. What makes one unusable otherwise is tried in `tokens`.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::jwe::{self, ContentEnc, KeyAlg};
use protocol::jwk::JwkSet;
use serde_json::{Value, json};

use crate::support::{ACME, GLOBEX, JWT_BEARER, Reply, Setup, TestKey, TestServer, client, decode, unsigned};

const SECRET: &str = "a-secret-of-the-client";

struct Bench {
    server: TestServer,
    key: TestKey,
}

impl Bench {
    async fn new() -> Self {
        let key = TestKey::new("own-1");
        let own = format!("grant_types = [{JWT_BEARER:?}, \"refresh_token\"]\njwks = {}", key.toml());
        let server = Setup::new()
            .add(&client("own", SECRET, &own))
            .add(&client("by-name", SECRET, &format!("{own}\nbearer_search_by = \"preferred_username\"")))
            .add(&client("skewed", SECRET, &format!("{own}\nassertion_skew = 60")))
            .add(&client("careless", SECRET, &format!("{own}\nvalidate_bearer_jti = false")))
            .start()
            .await;
        Self { server, key }
    }

    fn claims(&self, iss: &str) -> Value {
        let now = self.server.world.now();
        json!({
            "iss": iss, "sub": ACME.other.id, "aud": format!("{}/v1.0/endpoint/default/token", ACME.base),
            "iat": now, "exp": now + 60, "jti": self.server.world.uuid(),
        })
    }

    async fn present(&self, id: &str, jwt: &str) -> Reply {
        let form = [("grant_type", JWT_BEARER), ("scope", "openid"), ("assertion", jwt)];
        self.server.ask("POST", "/oauth2/token").basic(id, SECRET).form(&form).send().await
    }

    /// Encrypted to the server's published key.
    async fn encrypt(&self, alg: KeyAlg, enc: ContentEnc, text: &str) -> String {
        let document = self.server.ask("GET", "/jwks").send().await.expect(200);
        let keys = JwkSet::parse(&document).unwrap();
        let key = keys.encryption_key(alg).expect("the server has a key to encrypt to");
        let world = self.server.world.clone();
        jwe::encrypt(text.as_bytes(), key, (alg, enc), Some("JWT"), &mut |bytes| world.random(bytes)).unwrap()
    }
}

/// Sealed with a secret: `dir` and `A256GCM`, keyed with the secret's SHA-256 (OpenID Connect Core §10.2).
fn seal(claims: &Value, secret: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A256GCM"}"#);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &countersign::tokens::digest(secret).0).unwrap());
    let mut iv = [0; 12];
    countersign::world::World::real().random(&mut iv);
    let mut text = claims.to_string().into_bytes();
    let nonce = Nonce::assume_unique_for_key(iv);
    key.seal_in_place_append_tag(nonce, Aad::from(header.as_bytes()), &mut text).unwrap();
    let (text, tag) = text.split_at(text.len() - 16);
    let [iv, text, tag] = [&iv[..], text, tag].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}..{iv}.{text}.{tag}")
}

#[track_caller]
fn subject(reply: &Reply) -> Value {
    decode(reply.expect(200)["id_token"].as_str().unwrap()).1["sub"].clone()
}

#[track_caller]
fn untrusted(reply: &Reply) {
    reply.oauth_error(400, "invalid_grant", "CSIAQ5212E ");
}

#[tokio::test]
async fn gt19_signed_encrypted_and_both_name_the_same_person() {
    let bench = Bench::new().await;
    let signed = bench.key.sign(&bench.claims("own"));
    let encrypted = seal(&bench.claims("own"), SECRET);
    let inner = bench.key.sign(&bench.claims("own"));
    let both = bench.encrypt(KeyAlg::RsaOaep256, ContentEnc::A256Gcm, &inner).await;
    let mut grants = std::collections::BTreeSet::new();
    for jwt in [signed, encrypted, both] {
        let reply = bench.present("own", &jwt).await;
        assert_eq!(subject(&reply), ACME.other.id);
        // GT6, and each presentation a grant of its own (GT25).
        let tokens = reply.json();
        assert!(tokens["refresh_token"].is_string());
        assert!(grants.insert(tokens["grant_id"].as_str().unwrap().to_owned()));
        // Each was spent.
        let again = bench.present("own", &jwt).await;
        assert_eq!(again.status, 400, "{}", again.text());
    }
}

#[tokio::test]
async fn every_encryption_that_is_announced_is_understood() {
    let bench = Bench::new().await;
    for alg in KeyAlg::ALL {
        for enc in ContentEnc::ALL {
            let inner = bench.key.sign(&bench.claims("own"));
            let jwt = bench.encrypt(alg, enc, &inner).await;
            assert_eq!(subject(&bench.present("own", &jwt).await), ACME.other.id, "{alg:?} {enc:?}");
        }
    }
}

#[tokio::test]
async fn what_anybody_could_have_encrypted_is_not_believed() {
    let bench = Bench::new().await;
    let claims = bench.claims("own");
    // RFC 7523 §3: signed, or sealed by who knows the secret.
    for inner in [claims.to_string(), unsigned(&json!({"alg": "none"}), &claims)] {
        let jwt = bench.encrypt(KeyAlg::RsaOaep256, ContentEnc::A256Gcm, &inner).await;
        untrusted(&bench.present("own", &jwt).await);
    }
    let stranger = TestKey::new("own-1").sign(&claims);
    let jwt = bench.encrypt(KeyAlg::RsaOaep256, ContentEnc::A256Gcm, &stranger).await;
    untrusted(&bench.present("own", &jwt).await);
    untrusted(&bench.present("own", &seal(&claims, "another secret")).await);
    // The secret speaks for its client and for nobody else.
    untrusted(&bench.present("own", &seal(&bench.claims("by-name"), SECRET)).await);
    untrusted(&bench.present("own", &seal(&bench.claims("https://issuer.example.test"), SECRET)).await);
    // Encrypted twice, and to another tenant.
    let inner = bench.key.sign(&claims);
    let once = bench.encrypt(KeyAlg::RsaOaep256, ContentEnc::A256Gcm, &inner).await;
    let twice = bench.encrypt(KeyAlg::RsaOaep256, ContentEnc::A256Gcm, &once).await;
    untrusted(&bench.present("own", &twice).await);
    let document = bench.server.as_of(GLOBEX).ask("GET", "/jwks").send().await.expect(200);
    if let Some(key) = JwkSet::parse(&document).unwrap().encryption_key(KeyAlg::EcdhEs) {
        let world = bench.server.world.clone();
        let pair = (KeyAlg::EcdhEs, ContentEnc::A256Gcm);
        let jwt = jwe::encrypt(inner.as_bytes(), key, pair, Some("JWT"), &mut |bytes| world.random(bytes)).unwrap();
        untrusted(&bench.present("own", &jwt).await);
    }
    assert_eq!(subject(&bench.present("own", &once).await), ACME.other.id);
}

#[tokio::test]
async fn a_client_may_issue_for_itself_and_name_people_as_it_is_set_to() {
    let bench = Bench::new().await;
    let mut claims = bench.claims("by-name");
    claims["sub"] = json!(ACME.other.username);
    assert_eq!(subject(&bench.present("by-name", &bench.key.sign(&claims)).await), ACME.other.id);
    let mut claims = bench.claims("own");
    claims["sub"] = json!(ACME.other.username);
    bench.present("own", &bench.key.sign(&claims)).await.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
}

#[tokio::test]
async fn times_are_judged_with_the_clients_skew_and_no_more() {
    let bench = Bench::new().await;
    let now = bench.server.world.now();
    for (claim, value, skewed, exact) in [
        ("exp", now - 59, true, false),
        ("exp", now - 60, false, false),
        ("nbf", now + 60, true, false),
        ("nbf", now + 61, false, false),
        ("iat", now + 60, true, false),
        ("iat", now + 10, true, true),
    ] {
        for (id, good) in [("skewed", skewed), ("own", exact)] {
            let mut claims = bench.claims(id);
            claims[claim] = json!(value);
            let reply = bench.present(id, &bench.key.sign(&claims)).await;
            assert_eq!(reply.status.is_success(), good, "{id} {claim} {}: {}", value - now, reply.text());
        }
    }
}

#[tokio::test]
async fn attack_59_an_assertion_for_one_client_serves_no_other() {
    let bench = Bench::new().await;
    for claim in ["azp", "client_id"] {
        let mut claims = bench.claims("own");
        claims[claim] = json!("skewed");
        untrusted(&bench.present("own", &bench.key.sign(&claims)).await);
        claims[claim] = json!("own");
        assert_eq!(subject(&bench.present("own", &bench.key.sign(&claims)).await), ACME.other.id);
    }
    // Of another client, though that has the same key.
    untrusted(&bench.present("skewed", &bench.key.sign(&bench.claims("own"))).await);
    // A client that is set to care for no `jti` may repeat itself.
    let jwt = bench.key.sign(&bench.claims("careless"));
    for _ in 0..2 {
        assert_eq!(subject(&bench.present("careless", &jwt).await), ACME.other.id);
    }
}
