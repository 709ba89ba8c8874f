//! The steps of the sign-in flow, as a client takes them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign::signin::factors::webauthn::{Registration, finish_registration, registration_options};
use protocol::records::{Client, UserId};
use serde_json::{Value, json};
use store::{Change, DirectoryChange};

use super::browser::Browser;
use super::{Reply, TestServer};

pub const TOKEN: &str = "/v1.0/endpoint/default/token";
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A challenge as the token endpoint answers it.
#[derive(Clone, Debug)]
pub struct Challenge {
    pub token: String,
    pub allowed: Vec<String>,
    pub grant: String,
}

impl Challenge {
    /// Reads an answer that must be one.
    #[track_caller]
    pub fn of(reply: &Reply) -> Self {
        let body = reply.expect(200);
        assert_eq!(body["scope"], "mfa_challenge", "{body}");
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let allowed = body["allowedFactors"].as_array().unwrap();
        Self {
            token: text("access_token"),
            allowed: allowed.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
            grant: text("grant_id"),
        }
    }
}

/// The `context` of a user agent at this address.
pub fn context(ip: &str) -> String {
    context_for(&json!({ "sessionId": "s-7f31", "ipAddress": ip, "userAgent": "Mozilla/5.0 (X11; Linux x86_64)" }))
}

pub fn context_for(object: &Value) -> String {
    STANDARD.encode(object.to_string())
}

/// The header and claims of a JWT.
#[track_caller]
pub fn decode(jwt: &str) -> (Value, Value) {
    let mut parts = jwt.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (next(), next())
}

impl TestServer {
    /// A token request of the cast's client, by secret in the body.
    pub async fn token(&self, more: &[(&str, &str)]) -> Reply {
        let mut form = vec![("client_id", self.cast.client), ("client_secret", self.cast.secret)];
        form.extend(more);
        self.post_form(TOKEN, &form).await
    }

    /// A form to a neighbour of the token endpoint, by the cast's client.
    pub async fn token_at(&self, path: &str, more: &[(&str, &str)]) -> Reply {
        let mut form = vec![("client_id", self.cast.client), ("client_secret", self.cast.secret)];
        form.extend(more);
        self.post_form(path, &form).await
    }

    /// A client's own access token.
    pub async fn token_of(&self, id: &str, secret: &str) -> String {
        let form = [("client_id", id), ("client_secret", secret), ("grant_type", "client_credentials")];
        let made = self.post_form(TOKEN, &form).await.expect(200);
        made["access_token"].as_str().unwrap().to_owned()
    }

    /// Refreshes as the cast's client.
    pub async fn refresh(&self, token: &str) -> Reply {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// What the cast's client learns of a token.
    pub async fn introspect(&self, token: &str) -> Value {
        let form = [("client_id", self.cast.client), ("client_secret", self.cast.secret), ("token", token)];
        self.post_form("/oauth2/introspect", &form).await.expect(200)
    }

    /// Begins a flow for a user agent at this address.
    pub async fn begin(&self, ip: &str) -> Reply {
        self.token(&[("scope", "openid"), ("grant_type", "policyauth"), ("context", &context(ip))]).await
    }

    /// Begins a flow inside the network, where a password is asked for.
    pub async fn begin_inside(&self) -> Challenge {
        Challenge::of(&self.begin("192.168.1.1").await)
    }

    /// Tries a password; with the assertion in the answer.
    pub async fn password(&self, token: &str, username: &str, password: &str) -> Reply {
        let path = format!("/v1.0/authnmethods/password/{}?returnJwt=true", self.cast.source);
        self.json("POST", &path, token, &json!({ "username": username, "password": password })).await
    }

    /// Presents an assertion as the cast's client, from inside the network.
    pub async fn present(&self, assertion: &str) -> Reply {
        self.present_from(assertion, "192.168.1.1").await
    }

    pub async fn present_from(&self, assertion: &str, ip: &str) -> Reply {
        let context = context(ip);
        let form = [("scope", "openid"), ("grant_type", JWT_BEARER), ("context", &context), ("assertion", assertion)];
        self.token(&form).await
    }

    /// A first challenge and the assertion of the right password of the one the policy wants more of.
    pub async fn password_assertion(&self) -> (Challenge, String) {
        let first = self.begin_inside().await;
        let admin = self.cast.admin;
        let proved = self.password(&first.token, admin.username, admin.password).await.expect(200);
        (first, proved["assertion"].as_str().unwrap().to_owned())
    }

    /// A flow up to its second challenge, for the one the policy wants more of.
    pub async fn second_challenge(&self) -> Challenge {
        let (first, assertion) = self.password_assertion().await;
        let second = Challenge::of(&self.present(&assertion).await);
        assert_eq!((second.allowed.as_slice(), &second.grant), (["emailotp".to_owned()].as_slice(), &first.grant));
        second
    }

    /// Has a code sent, and answers the verification with it.
    pub async fn start_code(&self, token: &str) -> Value {
        let path = format!("/v2.0/factors/emailotp/{}/verifications", self.cast.email);
        self.json("POST", &path, token, &json!({})).await.expect(201)
    }

    /// Answers a verification.
    pub async fn answer_code(&self, token: &str, verification: &str, code: &str) -> Reply {
        let path = format!("/v2.0/factors/emailotp/{}/verifications/{verification}?returnJwt=true", self.cast.email);
        self.json("POST", &path, token, &json!({ "otp": code })).await
    }

    /// A second challenge whose code has been sent and delivered.
    pub async fn second_challenge_with_code(&self) -> (Challenge, String) {
        let second = self.second_challenge().await;
        self.start_code(&second.token).await;
        let code = self.code(self.cast.address).await;
        (second, code)
    }

    /// The code of a second challenge, sent, read and answered: its assertion.
    pub async fn prove_code(&self, token: &str) -> String {
        let verification = self.start_code(token).await;
        let code = self.code(self.cast.address).await;
        let proved = self.answer_code(token, verification["id"].as_str().unwrap(), &code).await.expect(200);
        proved["assertion"].as_str().unwrap().to_owned()
    }

    /// The whole flow of the one the policy wants more of: final tokens.
    pub async fn sign_in(&self) -> Value {
        let second = self.second_challenge().await;
        let assertion = self.prove_code(&second.token).await;
        self.present(&assertion).await.expect(200)
    }

    /// The whole flow of the other one: final tokens after a password alone.
    pub async fn sign_in_other(&self) -> Value {
        let first = self.begin_inside().await;
        let other = self.cast.other;
        let proved = self.password(&first.token, other.username, other.password).await.expect(200);
        self.present(proved["assertion"].as_str().unwrap()).await.expect(200)
    }

    /// The flow of the one who needs a password alone, with these scopes.
    pub async fn begin_scoped(&self, scope: &str) -> Value {
        let context = context("192.168.1.1");
        let form = [("scope", scope), ("grant_type", "policyauth"), ("context", context.as_str())];
        let first = Challenge::of(&self.token(&form).await);
        let other = self.cast.other;
        let proved = self.password(&first.token, other.username, other.password).await.expect(200);
        self.present(proved["assertion"].as_str().unwrap()).await.expect(200)
    }

    /// Changes a client of the tenant, in force at once.
    pub async fn change_client(&self, id: &str, change: impl FnOnce(&mut Client)) {
        let view = self.app.directories.current().tenant(&self.tenant()).unwrap().clone();
        let mut client = (**view.client(id).unwrap()).clone();
        change(&mut client);
        let changes = vec![DirectoryChange::PutClient(Box::new(client))];
        self.store.change_directory(&self.tenant(), changes).await.unwrap();
        assert!(self.app.directories.refresh_if_changed().await.unwrap());
    }

    /// A software authenticator that holds a passkey of this person.
    pub async fn passkey_of(&self, user: &str) -> Browser {
        let (tenant, now) = (self.tenant(), self.world.now());
        let user = self.store.user(&tenant, &UserId::from(user)).await.unwrap().unwrap();
        let view = self.app.directories.current().tenant(&tenant).unwrap().clone();
        let rp = view.relying_party(self.cast.relying_party).unwrap();
        let wanted =
            Registration { user: &user, display_name: &user.username, existing: &[], user_verification: "preferred" };
        let (options, challenge) = registration_options(&self.world, &self.app.master, rp, wanted, now).unwrap();
        self.store.commit(&tenant, "test", vec![Change::AddChallenge(challenge.clone())]).await.unwrap();
        let mut browser = Browser::new(true);
        let response = browser.create(self.cast.origin, &options).await.unwrap();
        let made = finish_registration(&self.world, &self.app.master, rp, &challenge, &user.id, &response, now);
        let made = made.map_err(|judgement| judgement.cause).unwrap();
        // The stored challenge is one version on.
        let stored = self.store.challenge(&tenant, &challenge.id).await.unwrap().unwrap();
        let changes = made.changes.into_iter().map(|change| match change {
            Change::UpdateChallenge(challenge) => {
                Change::UpdateChallenge(store::Challenge { version: stored.version, ..challenge })
            }
            other => other,
        });
        self.store.commit(&tenant, "test", changes.collect()).await.unwrap();
        browser
    }

    /// Makes options and has the authenticator answer them.
    pub async fn passkey(&self, token: &str, browser: &mut Browser, body: &Value) -> Reply {
        let base = format!("/v2.0/factors/fido2/relyingparties/{}/assertion", self.cast.relying_party);
        let options = self.json("POST", &format!("{base}/options"), token, body).await.expect(200);
        let answer = browser.get(self.cast.origin, &options).await.unwrap();
        self.json("POST", &format!("{base}/result?returnJwt=true"), token, &answer).await
    }
}
