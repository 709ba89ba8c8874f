//! Tokens: made, proved for, turned, revoked, and asked after.

use super::hand::{Fate, Hand, Trouble, broken, now, text};
use super::tenant::{self, PASSWORD, SOURCE};
use super::wire::{Request, Said};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const TOKEN: &str = "/oauth2/token";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// An access token of a client's own.
pub struct Minted {
    client: &'static str,
    token: String,
    fate: Fate,
}

/// A proved password that was not turned into tokens yet.
pub struct Proof {
    assertion: String,
    challenge: String,
    since: i64,
}

/// A grant with its refresh tokens, oldest first.
pub struct Line {
    /// Whose client.
    pub client: &'static str,
    /// Refresh tokens.
    pub refresh: Vec<String>,
    /// Access tokens.
    pub access: Vec<String>,
    /// Whether it goes on.
    pub fate: Fate,
}

impl Line {
    /// The line that begins with these tokens.
    pub fn of(client: &'static str, body: &Value) -> Result<Self, Trouble> {
        let (refresh, access) = (text(body, "refresh_token")?, text(body, "access_token")?);
        Ok(Self { client, refresh: vec![refresh], access: vec![access], fate: Fate::Live })
    }

    fn newest(&self) -> &str {
        self.refresh.last().map_or("", String::as_str)
    }
}

fn context() -> String {
    STANDARD.encode(json!({ "sessionId": "s-1", "ipAddress": "198.51.100.7", "userAgent": "ledger" }).to_string())
}

fn refused(said: &Said) -> bool {
    matches!((said.status, said.json()["error"].as_str()), (400, Some("invalid_grant")) | (401, Some("invalid_client")))
}

/// Begins a sign-in.
pub fn begin() -> Request {
    let context = context();
    Hand::form_of("app", TOKEN, &[("grant_type", "policyauth"), ("scope", "openid"), ("context", &context)])
}

/// Proves a password in a sign-in.
pub fn password(challenge: &str, username: &str, password: &str) -> Request {
    let path = format!("/v1.0/authnmethods/password/{SOURCE}?returnJwt=true");
    Request::json("POST", &path, challenge, &json!({ "username": username, "password": password }))
}

/// Presents the assertion of a proof.
pub fn present(assertion: &str) -> Request {
    let context = context();
    let pairs =
        [("grant_type", JWT_BEARER), ("scope", "openid"), ("context", context.as_str()), ("assertion", assertion)];
    Hand::form_of("app", TOKEN, &pairs)
}

/// Refreshes.
pub fn refresh(client: &str, token: &str) -> Request {
    Hand::form_of(client, TOKEN, &[("grant_type", "refresh_token"), ("refresh_token", token)])
}

/// Revokes.
pub fn revoke(client: &str, token: &str) -> Request {
    Hand::form_of(client, "/oauth2/revoke", &[("token", token)])
}

fn signed(assertion: &str) -> Request {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let pairs =
        [("grant_type", "client_credentials"), ("client_assertion_type", kind), ("client_assertion", assertion)];
    Request::form(TOKEN, &pairs)
}

impl Hand {
    /// A token of a client's own.
    pub async fn mint(&mut self, client: &'static str) -> Result<(), Trouble> {
        let said = self.ask(&Self::form_of(client, TOKEN, &[("grant_type", "client_credentials")])).await?;
        if said.status != 200 {
            return broken("a client was refused", &said);
        }
        let token = text(&said.json(), "access_token")?;
        self.minted.push(Minted { client, token, fate: Fate::Live });
        Ok(())
    }

    /// A token that is kept for administration.
    pub async fn token_of(&mut self, client: &str) -> Result<String, Trouble> {
        let said = self.insist(&Self::form_of(client, TOKEN, &[("grant_type", "client_credentials")])).await?;
        if said.status != 200 {
            return broken("a client was refused", &said);
        }
        text(&said.json(), "access_token")
    }

    /// A token for a signed request, whose `jti` is taken once, wherever and however often it is sent.
    pub async fn mint_signed(&mut self) -> Result<(), Trouble> {
        let name = self.fresh_name("jti");
        let request = signed(&tenant::client_assertion(&name, now()));
        let (mut won, mut heard) = (0, 0);
        let (one, other) = (self.node(), self.node());
        let answers = if self.chance.one_in(3) {
            let (one, other) = tokio::join!(self.ask_at(one, &request), self.ask_at(other, &request));
            vec![one, other]
        } else {
            vec![self.ask_at(one, &request).await]
        };
        let sent = answers.len();
        for answer in answers {
            match answer {
                Ok(said) => {
                    heard += 1;
                    won += self.keep_signed(&said)?;
                }
                Err(Trouble::Lost) => {}
                Err(broken) => return Err(broken),
            }
        }
        self.check(won <= 1 && (won == 1 || heard < sent), || {
            format!("a client assertion was taken {won} times of {heard} answers")
        })?;
        // Whatever came of it: from the second whole answer on it is spent.
        let said = self.insist(&request).await?;
        won += self.keep_signed(&said)?;
        self.check(won <= 1, || "a client assertion was taken twice".to_owned())?;
        let said = self.insist(&request).await?;
        if refused(&said) { Ok(()) } else { broken("a spent client assertion was taken", &said) }
    }

    fn keep_signed(&mut self, said: &Said) -> Result<u32, Trouble> {
        if refused(said) {
            return Ok(0);
        }
        let token = text(&said.json(), "access_token")?;
        self.minted.push(Minted { client: "signer", token, fate: Fate::Live });
        Ok(1)
    }

    async fn begin_one(&mut self) -> Result<String, Trouble> {
        let said = self.ask(&begin()).await?;
        let body = said.json();
        if said.status != 200 || body["scope"] != "mfa_challenge" {
            return broken("a sign-in did not begin", &said);
        }
        text(&body, "access_token")
    }

    /// A sign-in that is left there.
    pub async fn begin(&mut self) -> Result<(), Trouble> {
        let challenge = self.begin_one().await?;
        self.begun.push(challenge);
        Ok(())
    }

    /// The answer to a password in a sign-in of its own. Tries again where an answer was lost, as a person does.
    pub async fn try_password(&mut self, username: &str, word: &str) -> Result<(String, Said), Trouble> {
        let challenge = self.begin_one().await?;
        loop {
            let said = self.insist(&password(&challenge, username, word)).await?;
            // The request whose answer was lost is still at work: its word is "read it again".
            if said.status != 409 {
                return Ok((challenge, said));
            }
        }
    }

    /// The same, sent once.
    pub async fn guess_once(&mut self, username: &str, word: &str) -> Result<Said, Trouble> {
        let challenge = self.begin_one().await?;
        self.ask(&password(&challenge, username, word)).await
    }

    /// Signs its person in; some assertions are kept for another time, some are presented at two nodes at once.
    pub async fn sign_in(&mut self) -> Result<(), Trouble> {
        let username = tenant::person(self.number);
        let (challenge, said) = self.try_password(&username, PASSWORD).await?;
        if said.status != 200 {
            return broken("the right password was refused", &said);
        }
        let assertion = text(&said.json(), "assertion")?;
        let proof = Proof { assertion, challenge, since: now() };
        if self.chance.one_in(5) {
            self.proofs.push(proof);
            return Ok(());
        }
        let line = self.redeem(&proof).await?;
        self.lines.extend(line);
        Ok(())
    }

    /// Tokens for an assertion; none where the answer that held them was lost.
    async fn redeem(&mut self, proof: &Proof) -> Result<Option<Line>, Trouble> {
        let request = present(&proof.assertion);
        let mut line = None;
        let (one, other) = (self.node(), self.node());
        let answers = if self.chance.one_in(4) {
            let (one, other) = tokio::join!(self.ask_at(one, &request), self.ask_at(other, &request));
            vec![one, other]
        } else {
            vec![self.ask_at(one, &request).await]
        };
        let (mut lost, mut heard) = (false, String::new());
        for answer in answers {
            match answer {
                Ok(said) => {
                    heard = format!("{heard} [{}]", said.account());
                    self.redeemed(&said, &mut line)?;
                }
                Err(Trouble::Lost) => lost = true,
                Err(broken) => return Err(broken),
            }
        }
        self.check(line.is_some() || lost, || format!("a fresh assertion was refused:{heard}"))?;
        // Whether the lost one counted or not: once more settles it, and from then on it is spent.
        let said = self.insist(&request).await?;
        self.redeemed(&said, &mut line)?;
        let said = self.insist(&request).await?;
        self.redeemed(&said, &mut line)?;
        let active = self.is_active(&proof.challenge).await?;
        self.check(!active, || "a sign-in goes on after it was redeemed".to_owned())?;
        Ok(line)
    }

    fn redeemed(&self, said: &Said, line: &mut Option<Line>) -> Result<(), Trouble> {
        if refused(said) {
            return Ok(());
        }
        if said.status != 200 {
            return broken("an assertion was not answered", said);
        }
        self.check(line.is_none(), || "an assertion was turned into tokens twice".to_owned())?;
        *line = Some(Line::of("app", &said.json())?);
        Ok(())
    }

    /// Signs somebody in who was just made; none where the tokens were lost on the way.
    pub async fn line_of(&mut self, username: &str) -> Result<Option<Line>, Trouble> {
        let (challenge, said) = self.try_password(username, PASSWORD).await?;
        if said.status != 200 {
            return broken("the right password of somebody new was refused", &said);
        }
        let assertion = text(&said.json(), "assertion")?;
        self.redeem(&Proof { assertion, challenge, since: now() }).await
    }

    /// Refreshes until an answer comes, as an honest client does; sometimes at two nodes at once.
    pub async fn turn(&mut self) -> Result<(), Trouble> {
        let Some(at) = self.chance.position(&self.lines, |line| line.fate == Fate::Live) else {
            return self.sign_in().await;
        };
        self.turn_line(at).await
    }

    async fn turn_line(&mut self, at: usize) -> Result<(), Trouble> {
        let request = refresh(self.lines[at].client, self.lines[at].newest());
        let (one, other) = (self.node(), self.node());
        let at_once = self.chance.one_in(4);
        let mut bodies = Vec::new();
        if at_once {
            let (one, other) = tokio::join!(self.ask_at(one, &request), self.ask_at(other, &request));
            for answer in [one, other] {
                match answer {
                    Ok(said) => bodies.push(said),
                    Err(Trouble::Lost) => {}
                    Err(broken) => return Err(broken),
                }
            }
        }
        if bodies.is_empty() || self.chance.one_in(4) {
            bodies.push(self.insist(&request).await?);
        }
        let mut found: Option<(String, String)> = None;
        for said in bodies {
            if said.status != 200 {
                return broken("an honest client was signed out by its retry", &said);
            }
            let body = said.json();
            let pair = (text(&body, "refresh_token")?, text(&body, "access_token")?);
            self.check(found.as_ref().is_none_or(|known| *known == pair), || {
                format!("one refresh has two successors: {found:?} and {pair:?}")
            })?;
            found = Some(pair);
        }
        let line = &mut self.lines[at];
        if let Some((next, access)) = found {
            if line.refresh.contains(&next) {
                return Err(Trouble::Broken("a refresh token came out twice".to_owned()));
            }
            line.refresh.push(next);
            line.access.push(access);
        }
        Ok(())
    }

    /// Revokes a client's own token.
    pub async fn revoke_token(&mut self) -> Result<(), Trouble> {
        let Some(at) = self.chance.position(&self.minted, |one| one.fate == Fate::Live && one.client != "signer")
        else {
            return self.mint("app").await;
        };
        let said = self.insist(&revoke(self.minted[at].client, &self.minted[at].token)).await?;
        if said.status != 200 {
            return broken("a token could not be revoked", &said);
        }
        self.minted[at].fate = Fate::Dead;
        let token = self.minted[at].token.clone();
        let active = self.is_active(&token).await?;
        self.check(!active, || "a token is good right after its revocation".to_owned())
    }

    /// Revokes a grant by its refresh token.
    pub async fn revoke_line(&mut self) -> Result<(), Trouble> {
        let Some(at) = self.chance.position(&self.lines, |line| line.fate == Fate::Live) else {
            return self.sign_in().await;
        };
        let said = self.insist(&revoke(self.lines[at].client, self.lines[at].newest())).await?;
        if said.status != 200 {
            return broken("a grant could not be revoked", &said);
        }
        self.lines[at].fate = Fate::Dead;
        self.is_dead(at).await
    }

    /// Presents a refresh token that was rotated twice: somebody has a copy, and the grant ends.
    pub async fn reuse(&mut self) -> Result<(), Trouble> {
        let long = |line: &Line| line.fate == Fate::Live && line.refresh.len() >= 3;
        let Some(at) = self.chance.position(&self.lines, long) else { return self.turn().await };
        let old = self.lines[at].refresh[self.lines[at].refresh.len() - 3].clone();
        let said = self.insist(&refresh(self.lines[at].client, &old)).await?;
        if !refused(&said) {
            return broken("a refresh token rotated long ago was taken", &said);
        }
        self.lines[at].fate = Fate::Dead;
        self.is_dead(at).await
    }

    /// Whether a token is good, by any node.
    pub async fn is_active(&mut self, token: &str) -> Result<bool, Trouble> {
        let said = self.insist(&Self::form_of("app", "/oauth2/introspect", &[("token", token)])).await?;
        match (said.status, said.json()["active"].as_bool()) {
            (200, Some(active)) => Ok(active),
            _ => broken("a token could not be asked after", &said),
        }
    }

    /// Nothing of a grant that ended is good.
    pub async fn is_dead(&mut self, at: usize) -> Result<(), Trouble> {
        let line = &self.lines[at];
        let (client, newest) = (line.client, line.newest().to_owned());
        let tokens: Vec<String> = line.refresh.iter().chain(&line.access).rev().take(6).cloned().collect();
        for token in tokens {
            let active = self.is_active(&token).await?;
            self.check(!active, || "a token of a grant that ended is back".to_owned())?;
        }
        let said = self.insist(&refresh(client, &newest)).await?;
        self.check(refused(&said), || format!("a grant that ended goes on: {}", said.account()))
    }

    /// Asks after every token in the ledger.
    pub async fn audit_tokens(&mut self) -> Result<(), Trouble> {
        for at in 0..self.minted.len() {
            let Minted { client, token, fate } = &self.minted[at];
            let (client, token, fate) = (*client, token.clone(), *fate);
            let active = self.is_active(&token).await?;
            self.check(active == (fate == Fate::Live), || {
                format!("an own token of `{client}` is {fate:?} in the ledger and active is {active}: {token}")
            })?;
            if client == "jwt" {
                self.is_verifiable(&token).await?;
            }
        }
        for at in 0..self.begun.len() {
            let challenge = self.begun[at].clone();
            let active = self.is_active(&challenge).await?;
            self.check(active, || "a sign-in that was begun is gone".to_owned())?;
        }
        // Challenges live for half an hour; those of this round are younger.
        self.begun.clear();
        for proof in std::mem::take(&mut self.proofs) {
            if now() - proof.since < 1200 {
                let line = self.redeem(&proof).await?;
                self.lines.extend(line);
            }
        }
        for at in 0..self.lines.len() {
            if self.lines[at].fate == Fate::Dead {
                self.is_dead(at).await?;
                continue;
            }
            let line = &self.lines[at];
            let tokens: Vec<String> = line.access.iter().rev().take(4).chain(line.refresh.last()).cloned().collect();
            for token in tokens {
                let active = self.is_active(&token).await?;
                self.check(active, || "a token of a live grant is gone".to_owned())?;
            }
            self.turn_line(at).await?;
        }
        Ok(())
    }

    /// The key that signed a token is published, at any node.
    async fn is_verifiable(&mut self, token: &str) -> Result<(), Trouble> {
        let head = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).unwrap_or_default();
        let head: Value = serde_json::from_slice(&head).unwrap_or_default();
        let said = self.insist(&Request::page("/jwks", "")).await?;
        let keys = said.json();
        let known = keys["keys"].as_array().is_some_and(|keys| keys.iter().any(|key| key["kid"] == head["kid"]));
        self.check(known, || format!("the key `{}` is not published: {keys}", head["kid"]))
    }
}
