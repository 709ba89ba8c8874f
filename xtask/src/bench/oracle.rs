//! What is asked in Oracle's dialect: the Authenticate API, the exchange of what comes of it, and a person's own record.

use std::rc::Rc;

use super::http::{Answer, Requests};
use super::load::Script;
use super::scripts::Shelf;
use super::tenant::{ORACLE, PASSWORD, Person, SECRET};
use crate::Outcome;

const TOKEN: &str = "/oauth2/v1/token";
const AUTHENTICATE: &str = "/sso/v1/sdk/authenticate";
const MY_SCOPES: &str = "urn:opc:idm:__myscopes__";

/// One request, sent once, and one member of its answer, kept.
pub struct Once {
    request: Option<Vec<u8>>,
    member: &'static str,
    keep: Shelf,
}

impl Once {
    /// Keeps this member.
    pub fn keeping(request: Vec<u8>, member: &'static str, keep: &Shelf) -> Self {
        Self { request: Some(request), member, keep: Rc::clone(keep) }
    }
}

impl Script for Once {
    fn ask(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(request) = self.request.take() else { return false };
        out.extend_from_slice(&request);
        true
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<bool> {
        answer.expect(200)?;
        self.keep.borrow_mut().push(answer.text(self.member)?.to_owned());
        Ok(true)
    }
}

/// The token of the sign-in page.
pub fn page_token(requests: &Requests) -> Vec<u8> {
    token(requests, &[("grant_type", "client_credentials")])
}

/// Tokens for who signed in.
pub fn exchange(requests: &Requests, authn_token: &str) -> Vec<u8> {
    token(requests, &[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", authn_token)])
}

fn token(requests: &Requests, pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut all = vec![("client_id", ORACLE), ("client_secret", SECRET), ("scope", MY_SCOPES)];
    all.extend_from_slice(pairs);
    let mut out = Vec::new();
    requests.form(&mut out, TOKEN, &all);
    out
}

/// The first step.
pub fn start(requests: &Requests, page: &str) -> Vec<u8> {
    let mut out = Vec::new();
    requests.get(&mut out, AUTHENTICATE, Some(page));
    out
}

/// The password, with the state of a first step: it may be sent as often as one likes.
pub fn password(requests: &Requests, page: &str, state: &str, person: &Person) -> Vec<u8> {
    let body = format!(
        r#"{{"op":"credSubmit","credentials":{{"username":"{}","password":"{PASSWORD}"}},"requestState":"{state}"}}"#,
        person.login
    );
    let mut out = Vec::new();
    requests.json(&mut out, AUTHENTICATE, page, &body);
    out
}

/// A person's own record.
pub fn me(requests: &Requests, access_token: &str) -> Vec<u8> {
    let mut out = Vec::new();
    requests.get(&mut out, "/admin/v1/Me", Some(access_token));
    out
}
