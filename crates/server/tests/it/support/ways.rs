//! Every way to a token, each up to its last step and then that step, so that something can change in between.

use countersign::oauth::device::{self, Approval};
use engine::{FactorKind, Proof};
use protocol::records::Client;
use serde_json::{Value, json};
use store::Change;

use super::hosted::CALLBACK;
use super::visitor::{Page, Visitor, request};
use super::{
    ACME, Cast, GLOBEX, JWT_BEARER, Person, Reply, Setup, TestKey, TestServer, client, context, policy, rule, user,
};

pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The client that has every grant.
pub const EVERY: &str = "every";
/// The policy that is content with a password, and the one that wants a code by mail as well.
pub const ONE: i64 = 500_010;
pub const TWO: i64 = 500_011;
const SECRET: &str = "s";

/// A way to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Code,
    Implicit,
    Hybrid,
    Device,
    Password,
    Jwt,
    Policyauth,
    Refresh,
    Exchange,
}

impl Way {
    pub const ALL: [Self; 9] = [
        Self::Code,
        Self::Implicit,
        Self::Hybrid,
        Self::Device,
        Self::Password,
        Self::Jwt,
        Self::Policyauth,
        Self::Refresh,
        Self::Exchange,
    ];

    /// `response_type`, for those that go by the authorization endpoint.
    pub fn response_type(self) -> Option<&'static str> {
        match self {
            Self::Code => Some("code"),
            Self::Implicit => Some("id_token token"),
            Self::Hybrid => Some("code id_token"),
            _ => None,
        }
    }

    /// The grants a client needs for it.
    pub fn grants(self) -> &'static [&'static str] {
        match self {
            Self::Code => &["authorization_code"],
            Self::Implicit => &["implicit"],
            Self::Hybrid => &["authorization_code", "implicit"],
            Self::Device => &[DEVICE_CODE],
            Self::Password => &["password"],
            Self::Jwt => &[JWT_BEARER],
            Self::Policyauth => &["policyauth"],
            Self::Refresh => &["refresh_token"],
            Self::Exchange => &[EXCHANGE],
        }
    }
}

/// A server whose client `every` has every grant, in both tenants.
pub struct Ways {
    pub server: TestServer,
    key: TestKey,
}

/// A way up to its last step.
pub enum Ready {
    /// A form for the token endpoint.
    Form(Vec<(String, String)>),
    /// A browser that is signed in.
    Browser(Box<Visitor>),
}

/// What a last step came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Tokens(Value),
    Challenge,
    Refused(u16, String),
    /// A page of ours, by what can be done on it.
    Asked(&'static str),
}

impl Seen {
    #[track_caller]
    pub fn tokens(self) -> Value {
        match self {
            Self::Tokens(tokens) => tokens,
            other => panic!("no tokens: {other:?}"),
        }
    }
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {of}")).to_owned()
}

fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Ways {
    pub fn setup() -> (Setup, TestKey) {
        let key = TestKey::new("every-1");
        let every = format!(
            "grant_types = [\"authorization_code\", \"implicit\", {DEVICE_CODE:?}, \"password\", {JWT_BEARER:?}, \
             \"policyauth\", \"refresh_token\", {EXCHANGE:?}]\nredirect_uris = [{CALLBACK:?}]\n\
             consent = \"never_prompt\"\nexchange_from = [\"source\"]\njwks = {}",
            key.toml()
        );
        let governed = format!("{every}\npolicy = {ONE}\npolicy_grants = {{ policyauth = true }}");
        let first = rule("First", true, "[]", "ACTION_MFA_ALWAYS", "[\"password\"]");
        let one = policy(ONE, &[first.clone(), rule("After", false, "[]", "ACTION_ALLOW", "[]")]);
        let two = policy(TWO, &[first, rule("After", false, "[]", "ACTION_MFA_ALWAYS", "[\"emailotp\"]")]);
        let setup = Setup::new()
            .add(&client(EVERY, SECRET, &governed))
            .add(&client("source", SECRET, "grant_types = [\"password\", \"refresh_token\"]"))
            .add(&one)
            .add(&two)
            .add(&user("604000EXTR", "extra", "a-password-of-extra", ""))
            .add_to_second(&client(EVERY, SECRET, &every));
        (setup, key)
    }

    pub async fn new() -> Self {
        let (setup, key) = Self::setup();
        Self { server: setup.start().await, key }
    }

    /// The server as another tenant's client meets it.
    pub fn elsewhere(&self) -> TestServer {
        self.server.as_of(GLOBEX)
    }

    pub async fn change(&self, change: impl FnOnce(&mut Client)) {
        self.server.change_client(EVERY, change).await;
    }

    pub async fn token(&self, server: &TestServer, id: &str, form: &[(String, String)]) -> Reply {
        server.ask("POST", "/oauth2/token").basic(id, SECRET).form(form).send().await
    }

    /// Goes to the authorization endpoint.
    pub async fn authorize(&self, visitor: &mut Visitor, way: Way, more: &[(&str, &str)]) -> Page {
        let mut pairs = vec![
            ("client_id", EVERY),
            ("response_type", way.response_type().expect("a way by the browser")),
            ("redirect_uri", CALLBACK),
            ("scope", "openid"),
            ("state", "st-1"),
            ("nonce", "n-1"),
        ];
        pairs.extend(more);
        visitor.get(&request(&pairs)).await
    }

    /// What a page, or the answer at the redirect URI, says.
    pub fn page(page: &Page) -> Seen {
        if page.reply.header("location").starts_with(CALLBACK) {
            let landed = page.landed(CALLBACK);
            return match landed.get("error") {
                Some(error) => Seen::Refused(303, error.clone()),
                None => Seen::Tokens(json!(landed)),
            };
        }
        if page.reply.status != 200 {
            return Seen::Refused(page.reply.status.as_u16(), page.error_id().unwrap_or_default());
        }
        match page.problem() {
            Some(problem) => Seen::Refused(200, problem),
            None if page.has("allow") => Seen::Asked("allow"),
            None if page.has("password") => Seen::Asked("password"),
            None => Seen::Asked("factor"),
        }
    }

    /// What an answer of the token endpoint says.
    pub fn answer(reply: &Reply) -> Seen {
        let body = reply.json();
        match (reply.status.as_u16(), body["error"].as_str()) {
            (200, _) if body["scope"] == "mfa_challenge" => Seen::Challenge,
            (200, _) => Seen::Tokens(body),
            (status, Some(error)) => Seen::Refused(status, error.to_owned()),
            (status, None) => Seen::Refused(status, body["messageId"].as_str().unwrap_or_default().to_owned()),
        }
    }

    fn assertion(&self, person: Person) -> String {
        let now = self.server.world.now();
        self.key.sign(&json!({
            "iss": EVERY, "sub": person.id, "aud": format!("{}/oauth2/token", ACME.base), "iat": now, "exp": now + 60,
            "jti": self.server.world.uuid(),
        }))
    }

    fn password(&self, person: Person) -> Vec<(String, String)> {
        form(&[
            ("grant_type", "password"),
            ("username", person.username),
            ("password", person.password),
            ("scope", "openid"),
        ])
    }

    /// A device's code, and the one a person types.
    pub async fn start_device(&self) -> (String, String) {
        let asked = [("client_id", EVERY), ("scope", "openid")];
        let started = self.server.post_form("/oauth2/device_authorization", &asked).await.expect(200);
        (text(&started, "device_code"), text(&started, "user_code"))
    }

    async fn approve(&self, user_code: &str, person: Person) {
        let server = &self.server;
        let view = server.app.directories.current().tenant(&server.tenant()).unwrap().clone();
        let asked = device::find(&server.app, &view, user_code).await.unwrap().unwrap();
        let now = server.world.now();
        let kind = FactorKind::Password;
        let proof =
            Proof { kind, at: now, enrolment: None, user_verified: false, this_run: true, first: true, upstream: None };
        let approval = Approval {
            subject: person.id.into(),
            proofs: vec![proof],
            auth_time: Some(now),
            policy: None,
            acr: None,
            at: now,
        };
        let changes: Vec<Change> = device::approve(asked, approval).unwrap();
        server.store.commit(&server.tenant(), "test", changes).await.unwrap();
    }

    /// Types a device's code, and signs in.
    pub async fn let_in(&self, person: Person) -> Page {
        let (_, user_code) = self.start_device().await;
        let mut visitor = Visitor::new(&self.server);
        let page = visitor.get("/oauth2/user_authorization").await;
        let page = visitor.submit(&page, &[("user_code", &user_code)]).await;
        visitor.sign_in(&page, person.username, person.password).await
    }

    /// Goes this way up to its last step.
    pub async fn ready(&self, way: Way, person: Person) -> Ready {
        let server = &self.server;
        Ready::Form(match way {
            Way::Code | Way::Hybrid => {
                let mut visitor = Visitor::new(server);
                let page = self.authorize(&mut visitor, way, &[]).await;
                let code =
                    visitor.sign_in(&page, person.username, person.password).await.landed(CALLBACK)["code"].clone();
                form(&[("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)])
            }
            Way::Implicit => {
                let mut visitor = Visitor::new(server);
                let page = self.authorize(&mut visitor, way, &[]).await;
                visitor.sign_in(&page, person.username, person.password).await.landed(CALLBACK);
                return Ready::Browser(Box::new(visitor));
            }
            Way::Device => {
                let (device_code, user_code) = self.start_device().await;
                self.approve(&user_code, person).await;
                form(&[("grant_type", DEVICE_CODE), ("device_code", &device_code)])
            }
            Way::Password => self.password(person),
            Way::Jwt => {
                form(&[("grant_type", JWT_BEARER), ("scope", "openid"), ("assertion", &self.assertion(person))])
            }
            Way::Policyauth => {
                let proved = self.proved(person).await.expect(200);
                let context = context("192.168.1.1");
                form(&[("grant_type", JWT_BEARER), ("assertion", &text(&proved, "assertion")), ("context", &context)])
            }
            Way::Refresh => {
                let tokens = self.token(server, EVERY, &self.password(person)).await.expect(200);
                form(&[("grant_type", "refresh_token"), ("refresh_token", &text(&tokens, "refresh_token"))])
            }
            Way::Exchange => {
                let tokens = self.token(server, "source", &self.password(person)).await.expect(200);
                let token = text(&tokens, "access_token");
                form(&[("grant_type", EXCHANGE), ("subject_token", &token), ("subject_token_type", ACCESS)])
            }
        })
    }

    /// The first factor of a flow driven by policy.
    pub async fn proved(&self, person: Person) -> Reply {
        let mut server = self.server.clone();
        server.cast = Cast { client: EVERY, secret: SECRET, ..ACME };
        let begun = server.begin("192.168.1.1").await.expect(200);
        server.password(&text(&begun, "access_token"), person.username, person.password).await
    }

    /// Takes the last step.
    pub async fn finish(&self, server: &TestServer, way: Way, ready: &Ready) -> Seen {
        match ready {
            Ready::Form(form) => Self::answer(&self.token(server, EVERY, form).await),
            Ready::Browser(visitor) => {
                let mut visitor = visitor.at(server);
                Self::page(&self.authorize(&mut visitor, way, &[("prompt", "none")]).await)
            }
        }
    }

    /// The whole way.
    pub async fn tokens(&self, way: Way, person: Person) -> Value {
        let ready = self.ready(way, person).await;
        self.finish(&self.server, way, &ready).await.tokens()
    }
}
