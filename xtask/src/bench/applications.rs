//! What is asked by applications with a browser, by devices, and for one token in place of another: the scripts of the
//! standard flows.

use std::rc::Rc;

use super::http::{Answer, Requests};
use super::load::Script;
use super::scripts::Shelf;
use super::tenant::{CALLBACK, DEVICES, EXCHANGE, PASSWORD, Person, SECRET, TILL, WEB};
use crate::Outcome;

const TOKEN: &str = "/oauth2/token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// A proof key, that of RFC 7636 App. B; that it is always the same changes nothing about the work.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn authorize() -> String {
    format!(
        "/oauth2/authorize?response_type=code&client_id={WEB}&redirect_uri={CALLBACK}&scope=openid\
         &state=a-state-of-usual-length&nonce=a-nonce-of-usual-length\
         &code_challenge={CHALLENGE}&code_challenge_method=S256"
    )
}

/// The code of an answer that leads back to the application.
fn code(answer: &Answer<'_>) -> Outcome<String> {
    answer.expect(303)?;
    let to = answer.headers("location").next().unwrap_or_default();
    let query = to.strip_prefix(CALLBACK).and_then(|rest| rest.strip_prefix('?')).unwrap_or_default();
    let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
    code.map(str::to_owned).ok_or_else(|| format!("sent to `{to}` in place of back with a code"))
}

/// A person signs in at an application once; their browser's cookies are kept.
pub struct SignIn {
    requests: Requests,
    person: Person,
    cookies: Vec<String>,
    /// The page of the sign-in, once there is one.
    page: Option<String>,
    keep: Shelf,
    done: bool,
}

impl SignIn {
    /// With a fresh browser.
    pub fn new(requests: &Requests, person: Person, keep: &Shelf) -> Self {
        let (requests, keep) = (requests.clone(), Rc::clone(keep));
        Self { requests, person, cookies: Vec::new(), page: None, keep, done: false }
    }
}

impl Script for SignIn {
    fn ask(&mut self, out: &mut Vec<u8>) -> bool {
        let cookies = self.cookies.join("; ");
        match &self.page {
            _ if self.done => return false,
            None => self.requests.get_as(out, &authorize(), &cookies),
            Some(page) => {
                let pairs = [("username", self.person.login.as_str()), ("password", PASSWORD)];
                self.requests.form_as(out, &format!("{page}/password"), &pairs, &cookies);
            }
        }
        true
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<bool> {
        answer.expect(303)?;
        let pairs = answer.headers("set-cookie").filter_map(|line| line.split(';').next());
        self.cookies.extend(pairs.map(str::to_owned));
        if self.page.is_none() {
            self.page = answer.headers("location").next().map(str::to_owned);
            return Ok(false);
        }
        code(answer)?;
        self.keep.borrow_mut().push(self.cookies.join("; "));
        self.done = true;
        Ok(true)
    }
}

/// From the authorization endpoint, with a session, to the tokens.
pub struct RoundTrip {
    requests: Requests,
    cookies: String,
    code: Option<String>,
}

impl RoundTrip {
    /// In a browser with these cookies.
    pub fn new(requests: &Requests, cookies: String) -> Self {
        Self { requests: requests.clone(), cookies, code: None }
    }
}

impl Script for RoundTrip {
    fn ask(&mut self, out: &mut Vec<u8>) -> bool {
        match &self.code {
            None => self.requests.get_as(out, &authorize(), &self.cookies),
            Some(code) => {
                let pairs = [
                    ("grant_type", "authorization_code"),
                    ("client_id", WEB),
                    ("client_secret", SECRET),
                    ("redirect_uri", CALLBACK),
                    ("code", code.as_str()),
                    ("code_verifier", VERIFIER),
                ];
                self.requests.form(out, TOKEN, &pairs);
            }
        }
        true
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<bool> {
        if self.code.is_none() {
            self.code = Some(code(answer)?);
            return Ok(false);
        }
        answer.expect(200)?;
        answer.text("id_token")?;
        self.code = None;
        Ok(true)
    }
}

/// A device that asks whether its person has decided, who never does.
pub struct Poll {
    requests: Requests,
    client: &'static str,
    code: Option<String>,
}

impl Poll {
    /// A device of its own. What one client may begin in a minute is bounded, so there are several.
    pub fn new(requests: &Requests, index: usize) -> Self {
        Self { requests: requests.clone(), client: DEVICES[index % DEVICES.len()], code: None }
    }
}

impl Script for Poll {
    fn ask(&mut self, out: &mut Vec<u8>) -> bool {
        let mut pairs = vec![("client_id", self.client), ("client_secret", SECRET)];
        match &self.code {
            None => {
                pairs.push(("scope", "openid"));
                self.requests.form(out, "/oauth2/device_authorization", &pairs);
            }
            Some(code) => {
                pairs.push(("grant_type", "urn:ietf:params:oauth:grant-type:device_code"));
                pairs.push(("device_code", code));
                self.requests.form(out, TOKEN, &pairs);
            }
        }
        true
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<bool> {
        if self.code.is_none() {
            answer.expect(200)?;
            self.code = Some(answer.text("device_code")?.to_owned());
            return Ok(false);
        }
        // Who never waits is told to wait longer; the work is the same.
        answer.expect(400)?;
        match answer.text("error")? {
            "authorization_pending" | "slow_down" => Ok(true),
            other => Err(format!("`{other}` in place of `authorization_pending`")),
        }
    }
}

/// A person's access token at another client, by password.
pub fn at_the_till(requests: &Requests, person: &Person) -> Vec<u8> {
    let mut out = Vec::new();
    let pairs = [
        ("grant_type", "password"),
        ("client_id", TILL),
        ("client_secret", SECRET),
        ("username", person.login.as_str()),
        ("password", PASSWORD),
        ("scope", "profile"),
    ];
    requests.form(&mut out, TOKEN, &pairs);
    out
}

/// That token, exchanged for one of our own.
pub fn exchange(requests: &Requests, token: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let pairs = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("client_id", EXCHANGE),
        ("client_secret", SECRET),
        ("subject_token", token),
        ("subject_token_type", ACCESS_TOKEN),
        ("scope", "profile"),
    ];
    requests.form(&mut out, TOKEN, &pairs);
    out
}
