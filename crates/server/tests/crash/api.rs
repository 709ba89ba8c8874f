//! What a client can ask of the server. An answer that did not arrive whole is lost: nothing was acknowledged.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign::world::World;
use reqwest::header::HOST;
use serde_json::{Value, json};

use crate::HANDS;

const BASE: &str = "http://crash.example.test";
const SOURCE: &str = "0b8b6a3e-7d1c-4f2a-9a55-3c1e6f7d8a90";
const TOKEN: &str = "/v1.0/endpoint/default/token";
const PASSWORD: &str = "a password of nobody";

/// The key of the client that signs its requests; made for this run.
static KEY: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());

/// The name of a hand's person.
pub fn person(hand: usize) -> String {
    format!("person{hand:02}")
}

/// The tenant file.
pub fn tenant() -> String {
    let mut users = String::new();
    for hand in 0..HANDS {
        let name = person(hand);
        write!(
            users,
            "[[tenant.users]]\nid = \"CRASH{hand:05}\"\nusername = \"{name}\"\npassword = \"{PASSWORD}\"\n\n"
        )
        .unwrap();
    }
    let point = KEY.public_key().as_ref();
    let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (x, y) = (coordinate(&point[1..33]), coordinate(&point[33..65]));
    let key = format!(
        "{{ kty = \"EC\", crv = \"P-256\", alg = \"ES256\", use = \"sig\", kid = \"one\", x = \"{x}\", y = \"{y}\" }}"
    );
    include_str!("tenant.toml").replace("{users}", &users).replace("{key}", &key)
}

/// A client assertion (RFC 7523 §2.2) with a `jti` of its own.
pub fn client_assertion() -> String {
    let (world, part) = (World::real(), |value: Value| URL_SAFE_NO_PAD.encode(value.to_string()));
    let (jti, now) = (world.uuid(), world.now());
    let header = part(json!({ "alg": "ES256", "kid": "one", "typ": "JWT" }));
    let claims = part(json!({
        "iss": "signer", "sub": "signer", "aud": format!("{BASE}/oauth2/token"),
        "jti": jti, "iat": now, "exp": now + 1800,
    }));
    let signed = format!("{header}.{claims}");
    let signature = KEY.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// No whole answer came.
#[derive(Debug)]
pub struct Lost;

/// An answer.
#[derive(Debug)]
pub struct Said {
    status: u16,
    body: Value,
}

impl Said {
    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// Tokens, or none where what was presented is refused as used up.
    #[track_caller]
    pub fn tokens_or_spent(self) -> Option<Value> {
        match (self.status, self.body["error"].as_str()) {
            (200, _) => Some(self.body),
            (400, Some("invalid_grant")) | (401, Some("invalid_client")) => None,
            _ => panic!("{}: {}", self.status, self.body),
        }
    }

    /// It must be refused as used up.
    #[track_caller]
    pub fn spent(self) {
        if let Some(body) = self.tokens_or_spent() {
            panic!("what was spent was taken: {body}");
        }
    }
}

/// A member that is a text.
#[track_caller]
pub fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {body}")).to_owned()
}

/// A client's connections to one life of the server.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    root: String,
}

impl Api {
    pub fn new(address: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { http, root: format!("http://{address}") }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Said, Lost> {
        let answer = request.header(HOST, "crash.example.test").send().await.map_err(|_| Lost)?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.map_err(|_| Lost)?;
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Ok(Said { status, body })
    }

    async fn form(&self, path: &str, pairs: &[(&str, &str)]) -> Result<Said, Lost> {
        self.send(self.http.post(format!("{}{path}", self.root)).form(pairs)).await
    }

    async fn as_app(&self, path: &str, more: &[(&str, &str)]) -> Result<Said, Lost> {
        let mut pairs = vec![("client_id", "app"), ("client_secret", "app-secret")];
        pairs.extend(more);
        self.form(path, &pairs).await
    }

    /// A token of the client's own.
    pub async fn mint(&self) -> Result<Said, Lost> {
        self.as_app(TOKEN, &[("grant_type", "client_credentials")]).await
    }

    /// A token of the client that signs.
    pub async fn mint_signed(&self, assertion: &str) -> Result<Said, Lost> {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let pairs =
            [("grant_type", "client_credentials"), ("client_assertion_type", kind), ("client_assertion", assertion)];
        self.form(TOKEN, &pairs).await
    }

    /// Begins a sign-in.
    pub async fn begin(&self) -> Result<Said, Lost> {
        self.as_app(TOKEN, &[("grant_type", "policyauth"), ("scope", "openid"), ("context", &context())]).await
    }

    /// Proves a password in a sign-in.
    pub async fn password(&self, challenge: &str, username: &str) -> Result<Said, Lost> {
        let url = format!("{}/v1.0/authnmethods/password/{SOURCE}?returnJwt=true", self.root);
        let body = json!({ "username": username, "password": PASSWORD });
        self.send(self.http.post(url).bearer_auth(challenge).json(&body)).await
    }

    /// Presents the assertion of a proof.
    pub async fn present(&self, assertion: &str) -> Result<Said, Lost> {
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        let pairs = [("grant_type", grant), ("scope", "openid"), ("context", &context()), ("assertion", assertion)];
        self.as_app(TOKEN, &pairs).await
    }

    pub async fn refresh(&self, token: &str) -> Result<Said, Lost> {
        self.as_app(TOKEN, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub async fn revoke(&self, token: &str) -> Result<Said, Lost> {
        self.as_app("/oauth2/revoke", &[("token", token)]).await
    }

    /// Whether a token is good, and its scope.
    pub async fn introspect(&self, token: &str) -> Result<(bool, String), Lost> {
        let body = self.as_app("/oauth2/introspect", &[("token", token)]).await?.ok();
        Ok((body["active"].as_bool().unwrap(), body["scope"].as_str().unwrap_or_default().to_owned()))
    }

    pub async fn is_active(&self, token: &str) -> Result<bool, Lost> {
        Ok(self.introspect(token).await?.0)
    }
}

fn context() -> String {
    STANDARD.encode(json!({ "sessionId": "s-1", "ipAddress": "198.51.100.7", "userAgent": "crash" }).to_string())
}
