//! The Authenticate API, as a sign-in page uses it.

use serde_json::{Value, json};

use super::{Ask, Reply, TestServer};

pub const AUTHENTICATE: &str = "/sso/v1/sdk/authenticate";
/// The client of the demonstration tenant that runs sign-in pages.
pub const CLIENT: &str = "idcs-demo";
pub const SECRET: &str = "idcs-demo-secret";

/// A sign-in page with its client token.
#[derive(Clone)]
pub struct Page {
    pub server: TestServer,
    pub token: String,
}

/// An answer of the Authenticate API.
#[derive(Clone, Debug)]
pub struct Step {
    pub status: u16,
    pub body: Value,
}

impl TestServer {
    /// A page that holds a client token with everything its roles give.
    pub async fn page(&self) -> Page {
        let form = [("grant_type", "client_credentials"), ("scope", "urn:opc:idm:__myscopes__")];
        let made = self.ask("POST", "/oauth2/v1/token").basic(CLIENT, SECRET).form(&form).send().await;
        let body: Value = serde_json::from_slice(&made.body).unwrap();
        assert_eq!(made.status, 200, "{body}");
        Page { server: self.clone(), token: body["access_token"].as_str().unwrap().to_owned() }
    }
}

impl Page {
    pub fn ask(&self, method: &str, target: &str) -> Ask {
        self.server.ask(method, target).bearer(&self.token)
    }

    /// Begins a dialogue, for an application or none.
    pub async fn start(&self, application: Option<&str>) -> Step {
        let target = match application {
            Some(name) => {
                let query = form_urlencoded::Serializer::new(String::new()).append_pair("appName", name).finish();
                format!("{AUTHENTICATE}?{query}")
            }
            None => AUTHENTICATE.to_owned(),
        };
        Step::of(&self.ask("GET", &target).send().await)
    }

    /// Sends a body as it is.
    pub async fn send(&self, body: &Value) -> Step {
        Step::of(&self.ask("POST", AUTHENTICATE).json(body).send().await)
    }

    /// Sends members with the state of a step.
    pub async fn submit(&self, before: &Step, mut members: Value) -> Step {
        members["requestState"] = json!(before.state());
        self.send(&members).await
    }

    /// Submits credentials, with or without the name of their factor.
    pub async fn credentials(&self, before: &Step, factor: Option<&str>, credentials: Value) -> Step {
        let mut members = json!({ "op": "credSubmit", "credentials": credentials });
        if let Some(factor) = factor {
            members["authFactor"] = json!(factor);
        }
        self.submit(before, members).await
    }

    /// Begins and submits a password.
    pub async fn password(&self, application: Option<&str>, username: &str, password: &str) -> Step {
        let start = self.start(application).await;
        self.credentials(
            &start,
            Some("USERNAME_PASSWORD"),
            json!({ "username": username, "password": password }),
        )
        .await
    }
}

impl Step {
    /// Reads an answer: it must be what every one is.
    #[track_caller]
    pub fn of(reply: &Reply) -> Self {
        assert_eq!(reply.header("content-type"), "application/json;charset=utf-8", "{reply:?}");
        assert_eq!(reply.header("cache-control"), "no-cache, no-store, must-revalidate");
        assert_eq!(reply.header("pragma"), "no-cache");
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(reply.header("x-oracle-dms-ecid"), body["ecId"].as_str().unwrap(), "{body}");
        Self { status: reply.status.as_u16(), body }
    }

    #[track_caller]
    pub fn state(&self) -> &str {
        self.body["requestState"].as_str().unwrap_or_else(|| panic!("no requestState in {}", self.body))
    }

    /// The list of this name, as texts; empty where there is none.
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.body[name].as_array().map(|all| all.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
    }

    pub fn has(&self, name: &str) -> bool {
        self.body.get(name).is_some()
    }

    /// The status on the wire and in the body, and the code of the first cause.
    #[track_caller]
    pub fn expect(&self, status: u16, word: &str, code: Option<&str>) -> &Self {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.body["status"], word, "{}", self.body);
        assert_eq!(self.body["cause"][0]["code"].as_str(), code, "{}", self.body);
        self
    }

    /// The end of a dialogue: the token.
    #[track_caller]
    pub fn token(&self) -> &str {
        self.expect(200, "success", None);
        assert!(!self.has("nextOp") && !self.has("requestState"), "{}", self.body);
        self.body["authnToken"].as_str().unwrap_or_else(|| panic!("no authnToken in {}", self.body))
    }

    /// A step that waits for something: what may be sent next, and with which factor.
    #[track_caller]
    pub fn waits(&self, next_op: &[&str], factors: &[&str]) -> &Self {
        assert_eq!(self.list("nextOp"), next_op, "{}", self.body);
        assert_eq!(self.list("nextAuthFactors"), factors, "{}", self.body);
        assert_eq!(self.has("nextAuthFactors"), !factors.is_empty(), "{}", self.body);
        self.state();
        self
    }
}
