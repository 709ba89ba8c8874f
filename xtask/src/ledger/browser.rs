//! A person with a browser: signs in at the pages, comes back with codes, allows an application and takes that back.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::hand::{Fate, Hand, Trouble, broken, text};
use super::tenant::{self, CALLBACK, PASSWORD};
use super::tokens::Line;
use super::wire::{Request, Said, write_pairs};

const TOKEN: &str = "/oauth2/token";
/// A proof key, that of RFC 7636 App. B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What the browser holds, and what it was told.
#[derive(Default)]
pub struct Browser {
    jar: BTreeMap<String, String>,
    /// It was told that it is signed in.
    signed_in: bool,
    /// Whether the application `asks` may have what it wants; none where the last word was lost.
    allowed: Option<bool>,
}

/// Where a dialogue ended.
enum Landed {
    Code(String),
    Error(String),
}

impl Browser {
    fn cookies(&self) -> String {
        self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn hear(&mut self, said: &Said) {
        for line in said.headers("set-cookie") {
            let pair = line.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else { continue };
            if value.is_empty() {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

fn authorize(client: &str, scope: &str, quiet: bool) -> String {
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", CALLBACK),
        ("scope", scope),
        ("state", "a-state"),
        ("nonce", "a-nonce"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    if quiet {
        pairs.push(("prompt", "none"));
    }
    format!("/oauth2/authorize?{}", write_pairs(&pairs))
}

fn redeeming(client: &str, code: &str) -> Request {
    let pairs =
        [("grant_type", "authorization_code"), ("redirect_uri", CALLBACK), ("code", code), ("code_verifier", VERIFIER)];
    Hand::form_of(client, TOKEN, &pairs)
}

fn landed(said: &Said) -> Option<Landed> {
    let query = said.location().strip_prefix(CALLBACK)?.strip_prefix('?')?;
    let find =
        |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
    find("code").map(Landed::Code).or_else(|| find("error").map(Landed::Error))
}

/// The hidden fields of the first form of a page.
fn fields(html: &str) -> Vec<(String, String)> {
    let form = html.split("<form").nth(1).and_then(|rest| rest.split("</form>").next()).unwrap_or_default();
    let attribute = |tag: &str, name: &str| {
        let rest = tag.split_once(&format!(" {name}=\""))?.1;
        Some(rest.split('"').next()?.replace("&#x2f;", "/").replace("&amp;", "&").replace("&#x3d;", "="))
    };
    let tags = form.split("<input").skip(1).filter_map(|rest| rest.split('>').next());
    tags.filter(|tag| tag.contains("type=\"hidden\""))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default())))
        .collect()
}

impl Hand {
    /// A code, in a browser that is signed in after the first of them, and the request that redeems it.
    pub async fn code_to_redeem(&mut self) -> Result<Request, Trouble> {
        let code = self.code_of("web", "openid").await?;
        Ok(redeeming("web", &code))
    }

    /// One request of the browser, sent once: a page that was lost is asked for again by beginning anew.
    async fn browse(&mut self, request: Request) -> Result<Said, Trouble> {
        let said = self.ask(&request).await?;
        self.browser.hear(&said);
        Ok(said)
    }

    async fn visit(&mut self, path: &str) -> Result<Said, Trouble> {
        let request = Request::page(path, &self.browser.cookies());
        self.browse(request).await
    }

    /// Goes from an application to where it ends, typing and allowing what is asked on the way.
    async fn dialogue(&mut self, client: &str, scope: &str) -> Result<Landed, Trouble> {
        let mut said = self.visit(&authorize(client, scope, false)).await?;
        for _ in 0..6 {
            if let Some(landed) = landed(&said) {
                return Ok(landed);
            }
            let page = said.location().to_owned();
            if said.status != 303 || !page.starts_with("/login/") {
                return broken("the pages lead nowhere", &said);
            }
            let asked = self.visit(&page).await?;
            if asked.status == 303 {
                said = asked;
                continue;
            }
            let html = asked.text();
            let own = fields(&html);
            let username = tenant::person(self.number);
            let mut pairs: Vec<(&str, &str)> =
                own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let target = if html.contains("id=\"allow\"") {
                pairs.push(("do", "allow"));
                format!("{}/consent", page.trim_end_matches("/consent"))
            } else if html.contains("name=\"password\"") {
                pairs.retain(|(name, _)| *name != "username");
                pairs.extend([("username", username.as_str()), ("password", PASSWORD)]);
                format!("{}/password", page.trim_end_matches("/password"))
            } else {
                return broken("a page asks for something unknown", &asked);
            };
            let request = Request::browser_form(&target, &pairs, &self.browser.cookies());
            said = self.browse(request).await?;
        }
        broken("the pages go in circles", &said)
    }

    /// What an application is told that asks without a word to the person.
    async fn silently(&mut self, client: &str, scope: &str) -> Result<Landed, Trouble> {
        let request = Request::page(&authorize(client, scope, true), &self.browser.cookies());
        let said = self.insist(&request).await?;
        self.browser.hear(&said);
        landed(&said).ok_or_else(|| Trouble::Broken(format!("a quiet request led nowhere: {}", said.account())))
    }

    async fn code_of(&mut self, client: &'static str, scope: &str) -> Result<String, Trouble> {
        match self.dialogue(client, scope).await? {
            Landed::Code(code) => {
                // It came through the dialogue whole, and with it the cookies.
                self.browser.signed_in = true;
                Ok(code)
            }
            Landed::Error(error) => Err(Trouble::Broken(format!("a person came back with `{error}`"))),
        }
    }

    /// A code, redeemed; some are redeemed at two nodes at once, some a second time.
    pub async fn code(&mut self) -> Result<(), Trouble> {
        let code = self.code_of("web", "openid").await?;
        let line = self.redeem_code("web", &code).await?;
        self.lines.extend(line);
        Ok(())
    }

    async fn redeem_code(&mut self, client: &'static str, code: &str) -> Result<Option<Line>, Trouble> {
        let request = redeeming(client, code);
        let mut line: Option<Line> = None;
        let (one, other) = (self.node(), self.node());
        let answers = if self.chance.one_in(6) {
            let (one, other) = tokio::join!(self.ask_at(one, &request), self.ask_at(other, &request));
            vec![one, other]
        } else {
            vec![self.ask_at(one, &request).await]
        };
        let sent = answers.len();
        let (mut refused, mut lost) = (0, 0);
        for answer in answers {
            match answer {
                Ok(said) if said.status == 200 => {
                    self.check(line.is_none(), || "a code was redeemed twice".to_owned())?;
                    line = Some(Line::of(client, &said.json())?);
                }
                Ok(said) if said.status == 400 => refused += 1,
                Ok(said) => return broken("a code was not answered", &said),
                Err(Trouble::Lost) => lost += 1,
                Err(broken) => return Err(broken),
            }
        }
        self.check(line.is_some() || lost > 0, || format!("a fresh code was refused {refused} times of {sent}"))?;
        let again = lost > 0 || self.chance.one_in(5);
        if again {
            // Once more, and once more again: at most one of them all holds tokens.
            for _ in 0..2 {
                let said = self.insist(&request).await?;
                match said.status {
                    200 => {
                        self.check(line.is_none(), || "a code was redeemed twice".to_owned())?;
                        line = Some(Line::of(client, &said.json())?);
                    }
                    400 => {}
                    _ => return broken("a code was not answered", &said),
                }
            }
        }
        // A code that came a second time was stolen: what came of the first is dead (RFC 6749 §4.1.2).
        if (again || sent > 1)
            && let Some(line) = &mut line
        {
            line.fate = Fate::Dead;
        }
        Ok(line)
    }

    /// Allows an application what it asks for, or takes that back.
    pub async fn consent(&mut self) -> Result<(), Trouble> {
        if self.browser.allowed == Some(true) && self.chance.one_in(3) {
            return self.take_back().await;
        }
        let before = self.browser.allowed.take();
        let code = self.code_of("asks", "openid films").await.inspect_err(|_| {
            // What was allowed before stays so, whatever became of this request.
            self.browser.allowed = before.filter(|allowed| *allowed);
        })?;
        self.browser.allowed = Some(true);
        let line = self.redeem_code("asks", &code).await?;
        self.lines.extend(line);
        Ok(())
    }

    async fn take_back(&mut self) -> Result<(), Trouble> {
        // A token of the person's own says whose consents are meant; it dies with what is taken back.
        let code = self.code_of("asks", "openid films").await?;
        let Some(line) = self.redeem_code("asks", &code).await?.filter(|line| line.fate == Fate::Live) else {
            return Ok(());
        };
        let token = line.access[0].clone();
        self.lines.push(line);
        let said = self.insist(&Request::json("GET", "/v1.0/consents", &token, &Value::Null)).await?;
        let kept = said.json();
        let found = kept["consents"].as_array().and_then(|all| all.iter().find(|one| one["clientId"] == "asks"));
        let Some(id) = found.map(|one| text(one, "id")).transpose()? else {
            return broken("a consent is not listed", &said);
        };
        let operations = json!([{ "op": "remove", "path": format!("/{id}") }]);
        self.browser.allowed = None;
        let request = Request::json("PATCH", "/v1.0/consents", &token, &operations);
        let mut said = self.insist(&request).await?;
        // A request that nobody heard the answer of may still have been under way, and first.
        if said.status == 409 {
            said = self.insist(&request).await?;
        }
        // The first request may have done it without being heard; then the token is dead, or the consent gone.
        if !matches!(said.status, 204 | 401 | 404) {
            return broken("a consent could not be taken back", &said);
        }
        self.browser.allowed = Some(false);
        for line in &mut self.lines {
            if line.client == "asks" {
                line.fate = Fate::Dead;
            }
        }
        self.audit_browser().await
    }

    /// Whoever was told to be signed in is, and what was allowed stays allowed, at any node.
    pub async fn audit_browser(&mut self) -> Result<(), Trouble> {
        if !self.browser.signed_in {
            return Ok(());
        }
        match self.silently("web", "openid").await? {
            Landed::Code(_) => self.check(true, String::new)?,
            Landed::Error(error) => self.check(false, || format!("a person was signed out: `{error}`"))?,
        }
        let Some(allowed) = self.browser.allowed else { return Ok(()) };
        match self.silently("asks", "openid films").await? {
            Landed::Code(_) => self.check(allowed, || "what was taken back is allowed again".to_owned()),
            Landed::Error(error) => self.check(!allowed && error == "consent_required", || {
                format!("what was allowed is answered with `{error}` (allowed: {allowed})")
            }),
        }
    }
}
