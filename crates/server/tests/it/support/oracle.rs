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
        self.credentials(&start, Some("USERNAME_PASSWORD"), json!({ "username": username, "password": password })).await
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

/// Somebody with every factor that needs no ceremony, and applications that ask for them.
pub mod world {
    use serde_json::{Value, json};

    use super::Page;
    use crate::support::{Setup, TestServer, client, policy, rule, totp, user};

    pub const ID: &str = "604000TESS";
    pub const NAME: &str = "t.user@example.com";
    pub const PASSWORD: &str = "Secret-Pass-1";
    pub const NUMBER: &str = "+441234567210";
    pub const SMS: &str = "22bb22bb-0000-4000-8000-000000000001";
    pub const EMAIL: &str = "33cc33cc-0000-4000-8000-000000000001";
    pub const TOTP: &str = "11aa11aa-0000-4000-8000-000000000001";
    pub const CALL: &str = "44dd44dd-0000-4000-8000-000000000001";
    /// `GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ`
    pub const SECRET: &[u8] = b"12345678901234567890";

    /// Wants any second factor, every time.
    pub const MFA: &str = "Second Factor";
    /// The same, unless the device is trusted.
    pub const DEVICE: &str = "Once a Device";
    /// Begins with a name alone.
    pub const NAME_FIRST: &str = "Name First";
    /// Begins with a name and a text message, and wants a code of the authenticator besides.
    pub const TWO: &str = "Name First, Then More";
    /// Lets nobody in.
    pub const CLOSED: &str = "Closed to All";
    /// Is for nobody in particular.
    pub const ASSIGNED: &str = "By Assignment";
    /// Is content with a password.
    pub const PLAIN: &str = "Password Only";
    /// Wants a passkey besides.
    pub const PASSKEY: &str = "Passkeys";

    pub fn setup() -> Setup {
        let password = || rule("First", true, "[]", "ACTION_MFA_ALWAYS", "[\"password\"]");
        let after = |action: &str, methods: &str| rule("After", false, "[]", action, methods);
        let app = |id: &str, name: &str, more: &str| {
            client(id, "s", &format!("name = {name:?}\ngrant_types = [\"authorization_code\"]\n{more}"))
        };
        let enrolment = |id: &str, kind: &str, what: &str| {
            format!("[[tenant.enrolments]]\nid = {id:?}\nuser = {NAME:?}\nkind = {kind:?}\n{what}\n")
        };
        Setup::new()
            .replace(
                "[tenant.settings]",
                "[tenant.settings]\nquestions = { enabled = true, required = 2 }\nbypass = { enabled = true }\n\
                 trusted_device = { enabled = true }\nstay_signed_in = { enabled = true }",
            )
            .add(&user(
                ID,
                NAME,
                PASSWORD,
                "[tenant.users.attributes]\ngiven_name = \"Test\"\nemail = \"t.user@example.com\"",
            ))
            .add(&enrolment(TOTP, "totp", "secret = \"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\""))
            .add(&enrolment(SMS, "sms-otp", &format!("address = {NUMBER:?}")))
            .add(&enrolment(EMAIL, "email-otp", "address = \"t.user@example.com\""))
            .add(&enrolment(CALL, "voice-otp", "address = \"+15550001234\""))
            .add(&policy(610_001, &[password(), after("ACTION_MFA_ALWAYS", "[\"smsotp\", \"anyfactor\"]")]))
            .add(&policy(610_002, &[password(), after("ACTION_MFA_PER_DEVICE", "[\"totp\", \"smsotp\"]")]))
            .add(&policy(
                610_003,
                &[
                    rule("First", true, "[]", "ACTION_MFA_ALWAYS", "[\"emailotp\", \"totp\"]"),
                    after("ACTION_ALLOW", "[]"),
                ],
            ))
            .add(&policy(
                610_004,
                &[
                    rule("First", true, "[]", "ACTION_MFA_ALWAYS", "[\"smsotp\"]"),
                    after("ACTION_MFA_ALWAYS", "[\"totp\"]"),
                ],
            ))
            .add(&policy(610_005, &[password(), after("ACTION_DENY", "[]")]))
            .add(&policy(610_006, &[password(), after("ACTION_MFA_ALWAYS", "[\"fido2\"]")]))
            .add(&app("app-mfa", MFA, "policy = 610001"))
            .add(&app("app-device", DEVICE, "policy = 610002"))
            .add(&app("app-name", NAME_FIRST, "policy = 610003"))
            .add(&app("app-two", TWO, "policy = 610004"))
            .add(&app("app-closed", CLOSED, "policy = 610005"))
            .add(&app("app-assigned", ASSIGNED, "open_to_all = false"))
            .add(&app("app-plain", PLAIN, ""))
            .add(&app("app-passkey", PASSKEY, "policy = 610006"))
            .add(&app("app-off", "Switched Off", "enabled = false"))
            .add(&client(
                "helpdesk",
                "h",
                "grant_types = [\"client_credentials\"]\n\
                 entitlements = [\"authnAnyUser\", \"manageEnrollMFAMethodAnyUser\", \"readEnrollMFAMethodAnyUser\"]",
            ))
    }

    /// A server of that world, and a page.
    pub async fn start() -> (TestServer, Page) {
        let server = setup().start().await;
        let page = server.page().await;
        (server, page)
    }

    /// The code the authenticator shows now.
    pub fn passcode(server: &TestServer) -> String {
        totp(SECRET, server.world.now())
    }

    /// Gives the person two questions.
    pub async fn questions(server: &TestServer) {
        let desk = server.token_of("helpdesk", "h").await;
        let questions = json!([
            { "questionKey": "firstPet", "answer": "Rex" }, { "questionKey": "firstCar", "answer": "Fiat 500" }
        ]);
        let body = json!({ "userId": ID, "attributes": { "questions": questions } });
        server.json("POST", "/v2.0/factors/questions", &desk, &body).await.expect(201);
    }

    /// The answers to both.
    pub fn answers(pet: &str, car: &str) -> Value {
        json!([{ "questionId": "firstPet", "answer": pet }, { "questionId": "firstCar", "answer": car }])
    }
}
