//! What is asked of the server: one script for each operation, playing the client.

use std::cell::RefCell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::http::{Answer, Requests};
use super::load::Script;
use super::tenant::{APP, PASSWORD, Person, SECRET, SOURCE};
use crate::Outcome;

const TOKEN: &str = "/v1.0/endpoint/default/token";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Texts that scripts hand to each other.
pub type Shelf = Rc<RefCell<Vec<String>>>;

/// The same request again and again.
pub struct Same {
    request: Vec<u8>,
    /// How often; none for ever.
    left: Option<usize>,
    /// Where the access tokens go.
    keep: Option<Shelf>,
}

impl Same {
    /// For ever.
    pub fn forever(request: Vec<u8>) -> Self {
        Self { request, left: None, keep: None }
    }

    /// So many times, keeping the access tokens.
    pub fn keeping(request: Vec<u8>, times: usize, keep: &Shelf) -> Self {
        Self { request, left: Some(times), keep: Some(Rc::clone(keep)) }
    }
}

impl Script for Same {
    fn ask(&mut self, out: &mut Vec<u8>) -> bool {
        match &mut self.left {
            Some(0) => return false,
            Some(left) => *left -= 1,
            None => {}
        }
        out.extend_from_slice(&self.request);
        true
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<bool> {
        answer.expect(200)?;
        if let Some(shelf) = &self.keep {
            shelf.borrow_mut().push(answer.text("access_token")?.to_owned());
        }
        Ok(true)
    }
}

/// `client_credentials` for one of the services.
pub fn client_credentials(requests: &Requests, service: &str) -> Vec<u8> {
    credentials_at(requests, "/oauth2/token", service)
}

/// The same, where the empty handler takes it.
pub fn empty(requests: &Requests) -> Vec<u8> {
    credentials_at(requests, "/token", "opaque")
}

fn credentials_at(requests: &Requests, path: &str, service: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", service),
        ("client_secret", SECRET),
        ("scope", "read write"),
    ];
    requests.form(&mut out, path, &pairs);
    out
}

/// A document that anybody may have.
pub fn document(requests: &Requests, path: &str) -> Vec<u8> {
    let mut out = Vec::new();
    requests.get(&mut out, path, None);
    out
}

/// The first request of a sign-in.
pub fn initiation(requests: &Requests) -> Vec<u8> {
    let mut out = Vec::new();
    requests.form(&mut out, TOKEN, &with_client(&[("grant_type", "policyauth"), ("context", &context())]));
    out
}

fn with_client<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![("client_id", APP), ("client_secret", SECRET), ("scope", "openid")];
    all.extend_from_slice(pairs);
    all
}

fn context() -> String {
    STANDARD.encode(
        r#"{"sessionId":"bench", "ipAddress":"192.168.1.1", "userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}"#,
    )
}

/// Introspection of the tokens on a shelf, in turn.
pub struct Introspect {
    requests: Requests,
    tokens: Shelf,
    next: usize,
}

impl Introspect {
    /// Begins somewhere on the shelf.
    pub fn new(requests: &Requests, tokens: &Shelf, start: usize) -> Self {
        Self { requests: requests.clone(), tokens: Rc::clone(tokens), next: start }
    }
}

impl Script for Introspect {
    fn ask(&mut self, out: &mut Vec<u8>) -> bool {
        let tokens = self.tokens.borrow();
        let token = &tokens[self.next % tokens.len()];
        self.next += 1;
        let pairs = [("client_id", "opaque"), ("client_secret", SECRET), ("token", token.as_str())];
        self.requests.form(out, "/oauth2/introspect", &pairs);
        true
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<bool> {
        answer.expect(200)?;
        if answer.body.starts_with(b"{\"active\":true") {
            return Ok(true);
        }
        Err(format!("a live token is not active: {}", String::from_utf8_lossy(answer.body)))
    }
}

/// A password for each challenge token on the shelf.
pub struct Password {
    requests: Requests,
    challenges: Shelf,
    person: Person,
}

impl Password {
    /// One person's.
    pub fn new(requests: &Requests, challenges: &Shelf, person: Person) -> Self {
        Self { requests: requests.clone(), challenges: Rc::clone(challenges), person }
    }
}

impl Script for Password {
    fn ask(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(challenge) = self.challenges.borrow_mut().pop() else { return false };
        password(&self.requests, out, &challenge, &self.person.login);
        true
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<bool> {
        answer.expect(200)?;
        answer.text("assertion").map(|_| true)
    }
}

fn password(requests: &Requests, out: &mut Vec<u8>, challenge: &str, login: &str) {
    let path = format!("/v1.0/authnmethods/password/{SOURCE}?returnJwt=true");
    let body = format!(r#"{{"username":"{login}","password":"{PASSWORD}"}}"#);
    requests.json(out, &path, challenge, &body);
}

/// A chain of refreshes.
pub struct Refresh {
    requests: Requests,
    token: String,
}

impl Refresh {
    /// Begins with this token.
    pub fn new(requests: &Requests, token: String) -> Self {
        Self { requests: requests.clone(), token }
    }
}

impl Script for Refresh {
    fn ask(&mut self, out: &mut Vec<u8>) -> bool {
        // Without `openid` no ID token is asked for: what is measured is the rotation, not a signature.
        let pairs = [
            ("grant_type", "refresh_token"),
            ("client_id", APP),
            ("client_secret", SECRET),
            ("refresh_token", self.token.as_str()),
        ];
        self.requests.form(out, "/oauth2/token", &pairs);
        true
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<bool> {
        answer.expect(200)?;
        let next = answer.text("refresh_token")?;
        if next == self.token {
            return Err("the refresh token was not rotated".to_owned());
        }
        next.clone_into(&mut self.token);
        Ok(true)
    }
}

/// Where a flow stands: what is asked next.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Begin,
    Password,
    Present,
    Enrolments,
    Send,
    Outbox,
    Code,
    PresentAgain,
    Done,
}

/// A whole sign-in: password, mailed code where policy wants one, tokens.
pub struct Flow {
    requests: Requests,
    person: Person,
    scope: &'static str,
    stage: Stage,
    bearer: String,
    /// An assertion, a verification or a code: what the last answer gave for the next request.
    found: String,
    verification: String,
    /// Messages to this person that were in the outbox before.
    messages: usize,
    grant: String,
    /// Once only, keeping the refresh token.
    keep: Option<Shelf>,
}

impl Flow {
    /// Again and again.
    pub fn forever(requests: &Requests, person: Person) -> Self {
        Self {
            requests: requests.clone(),
            person,
            scope: "openid",
            stage: Stage::Begin,
            bearer: String::new(),
            found: String::new(),
            verification: String::new(),
            messages: 0,
            grant: String::new(),
            keep: None,
        }
    }

    /// Once, keeping the refresh token; no ID token is asked for.
    pub fn keeping(requests: &Requests, person: Person, keep: &Shelf) -> Self {
        Self { scope: "profile", keep: Some(Rc::clone(keep)), ..Self::forever(requests, person) }
    }

    fn token(&self, out: &mut Vec<u8>, grant_type: &str, assertion: Option<&str>) {
        let context = context();
        let mut pairs = vec![
            ("client_id", APP),
            ("client_secret", SECRET),
            ("scope", self.scope),
            ("grant_type", grant_type),
            ("context", context.as_str()),
        ];
        pairs.extend(assertion.map(|assertion| ("assertion", assertion)));
        self.requests.form(out, TOKEN, &pairs);
    }

    /// A challenge again, or the end.
    fn after_token(&mut self, answer: &Answer<'_>, challenged: Stage) -> Outcome<Stage> {
        answer.expect(200)?;
        answer.text("access_token")?.clone_into(&mut self.bearer);
        let grant = answer.text("grant_id")?;
        if self.stage != Stage::Begin && grant != self.grant {
            return Err(format!("the grant changed from `{}` to `{grant}`", self.grant));
        }
        grant.clone_into(&mut self.grant);
        if answer.text("scope")? == "mfa_challenge" {
            return Ok(challenged);
        }
        if let Some(shelf) = &self.keep {
            shelf.borrow_mut().push(answer.text("refresh_token")?.to_owned());
        }
        Ok(if self.keep.is_some() { Stage::Done } else { Stage::Begin })
    }
}

impl Script for Flow {
    fn ask(&mut self, out: &mut Vec<u8>) -> bool {
        let Person { login, mail, enrolment, id } = &self.person;
        let verifications = || format!("/v2.0/factors/emailotp/{enrolment}/verifications");
        match self.stage {
            Stage::Begin => self.token(out, "policyauth", None),
            Stage::Password => password(&self.requests, out, &self.bearer, login),
            Stage::Present | Stage::PresentAgain => self.token(out, JWT_BEARER, Some(&self.found)),
            Stage::Enrolments => {
                let path = format!("/v2.0/factors?search=userId%3D%22{id}%22%26enabled%3Dtrue");
                self.requests.get(out, &path, Some(&self.bearer));
            }
            Stage::Send => self.requests.json(out, &verifications(), &self.bearer, "{}"),
            Stage::Outbox => self.requests.get(out, &format!("/dev/outbox?to={mail}"), None),
            Stage::Code => {
                let path = format!("{}/{}?returnJwt=true", verifications(), self.verification);
                self.requests.json(out, &path, &self.bearer, &format!(r#"{{"otp":"{}"}}"#, self.found));
            }
            Stage::Done => return false,
        }
        true
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<bool> {
        let next = match self.stage {
            Stage::Begin => self.after_token(answer, Stage::Password)?,
            Stage::Password | Stage::Code => {
                answer.expect(200)?;
                answer.text("assertion")?.clone_into(&mut self.found);
                if self.stage == Stage::Password { Stage::Present } else { Stage::PresentAgain }
            }
            Stage::Present => self.after_token(answer, Stage::Enrolments)?,
            Stage::Enrolments => {
                answer.expect(200)?;
                if answer.text("id")? != self.person.enrolment {
                    return Err("another enrolment than the person's own was listed first".to_owned());
                }
                Stage::Send
            }
            Stage::Send => {
                answer.expect(201)?;
                answer.text("id")?.clone_into(&mut self.verification);
                Stage::Outbox
            }
            Stage::Outbox => {
                answer.expect(200)?;
                // Messages are delivered from the outbox a moment later: asked again until the code is there.
                let messages = answer.count("code");
                if messages > self.messages {
                    self.messages = messages;
                    answer.last_text("code")?.clone_into(&mut self.found);
                    Stage::Code
                } else {
                    Stage::Outbox
                }
            }
            Stage::PresentAgain => self.after_token(answer, Stage::Begin)?,
            Stage::Done => Stage::Done,
        };
        let complete =
            matches!(self.stage, Stage::Present | Stage::PresentAgain) && matches!(next, Stage::Begin | Stage::Done);
        self.stage = next;
        Ok(complete)
    }
}
