//! Signing in at another identity provider (OpenID Connect, code flow): the person is sent there and comes back with a code.
//!
//! Owns what is kept of a person who went, how the code is redeemed, and which answer is believed. Who they are here is
//! [`people`]'s; how a browser is sent and comes back is a door's; what follows is the engine's and policy's.

use engine::Upstream;
use protocol::jwt;
use protocol::pkce;
use protocol::records::{Digest, GrantId, IdentityProvider, Seconds, TenantId, User};
use protocol::relying::{self, Expected, Metadata, Request};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::{Challenge, Change, CommitError, Item};

use super::driver::Proved;
use super::factors::Cause;
use super::{Failure, Flow, IssueRequest, SignIns, Submission};
use crate::fault::Fault;
use crate::keys::{Sign, Typ};
use crate::secret::Secret;
use crate::tokens;

mod newcomer;
mod people;

pub use newcomer::{Chosen, Newcomer};
pub use people::KIND as LINKS;

/// How we may prove who we are to another provider's token endpoint.
pub const AUTH_METHODS: [&str; 4] = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
/// Where the answers of other providers come to.
pub const CALLBACK: &str = "/federation/callback";

const KIND: &str = "upstream";
/// Seconds a person may take there.
const LIFE: Seconds = 600;
/// Seconds an assertion of ours is good for.
const ASSERTION: Seconds = 60;
/// Characters of a state, a nonce and a verifier.
const LENGTH: usize = 43;
/// The longest code that is redeemed.
const LONGEST_CODE: usize = 4096;

/// What the secret is sealed for that a provider knows us by.
pub fn purpose(tenant: &TenantId, provider: &str) -> String {
    format!("identity provider\n{tenant}\n{provider}")
}

/// Where a person goes on who comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Back {
    /// With this dialogue of the hosted pages, which is bound to their browser.
    Dialogue(String),
    /// At the sign-in page of an application, bound to their browser by what this is the hash of.
    Page {
        /// The state of the sign-in there.
        state: String,
        /// The hash of a cookie.
        browser: String,
    },
}

/// A person to be sent to another provider.
#[derive(Debug)]
pub struct Going<'a> {
    /// The provider's id.
    pub provider: &'a str,
    /// The address of [`CALLBACK`] under the base URL the browser knows.
    pub redirect_uri: String,
    /// Where they go on.
    pub back: Back,
    /// Whether they must sign in there anew.
    pub fresh: bool,
}

/// What is kept of a person who was sent: sealed, and taken once.
#[derive(Serialize, Deserialize)]
pub struct Away {
    provider: String,
    redirect_uri: String,
    nonce: String,
    verifier: String,
    challenge: String,
    since: Seconds,
    fresh: bool,
    /// The sign-in that goes on.
    pub grant: GrantId,
    /// Where it goes on.
    pub back: Back,
}

/// The answer of a provider, as it came with the browser.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer<'a> {
    /// `code`.
    pub code: Option<&'a str>,
    /// `iss` (RFC 9207).
    pub iss: Option<&'a str>,
    /// `error`.
    pub error: Option<&'a str>,
}

/// Why a sign-in elsewhere came to nothing.
#[derive(Debug)]
pub enum NotFrom {
    /// There is no such provider, or it is switched off.
    NoProvider,
    /// The provider said no, or the person gave up there.
    Declined,
    /// It cannot be reached, or what it says cannot be believed. The cause is in the log.
    NotBelieved,
    /// Who signed in there is nobody here, and is not made somebody.
    Nobody,
    /// The same, but they may register at the sign-in page: what the provider says of them, by the vendor's names.
    Newcomer(Map<String, Value>),
    /// Somebody else here has the name they chose.
    NameTaken,
    /// The step could not be taken.
    Failure(Failure),
}

impl From<Failure> for NotFrom {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Fault> for NotFrom {
    fn from(fault: Fault) -> Self {
        Self::Failure(Failure::Fault(fault))
    }
}

/// Whom a provider vouched for. Made here alone, after its answer was believed.
pub struct Vouched {
    challenge: Challenge,
    user: User,
    said: Upstream,
}

impl Vouched {
    pub(super) fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    pub(super) fn user(&self) -> &User {
        &self.user
    }

    /// The verdict on a sign-in elsewhere: its challenge counts once.
    pub(super) fn judge(self, now: Seconds) -> super::factors::Judgement {
        use super::factors::Judgement;
        if self.challenge.state != "pending" {
            return Judgement::dead(Cause::NotPending);
        }
        if now >= self.challenge.expires {
            return Judgement::dead(Cause::Expired);
        }
        let next = Challenge { state: "success".to_owned(), updated: now, ..self.challenge };
        let mut judgement = Judgement::right().with(Change::UpdateChallenge(next));
        judgement.upstream = Some(Box::new(self.said));
        judgement
    }
}

impl SignIns<'_> {
    /// The providers that are offered, by id.
    pub fn providers(&self) -> impl Iterator<Item = (&str, &IdentityProvider)> {
        let all = &self.tenant.tenant.settings.identity_providers;
        all.iter().filter(|(_, provider)| provider.enabled).map(|(id, provider)| (id.as_str(), provider))
    }

    fn provider(&self, id: &str) -> Result<&IdentityProvider, NotFrom> {
        self.tenant.tenant.settings.identity_providers.get(id).filter(|one| one.enabled).ok_or(NotFrom::NoProvider)
    }

    /// Sends a person to another provider: answers the address their browser goes to.
    ///
    /// # Errors
    /// There is no such provider, it cannot be reached, the sign-in does not ask for it, or the store failed.
    pub async fn send_upstream(self, flow: Flow, going: Going<'_>) -> Result<String, NotFrom> {
        let Going { provider: id, redirect_uri, back, fresh } = going;
        let provider = self.provider(id)?;
        let metadata = self.metadata(provider).await?;
        let grant = flow.id.clone();
        let made = self.issue(flow, IssueRequest::Upstream { provider: id }).await?;
        let random = || self.app.world.token(LENGTH);
        let (state, nonce, verifier) = (random(), random(), random());
        let now = self.app.world.now();
        let away = Away {
            provider: id.to_owned(),
            redirect_uri,
            nonce,
            verifier,
            challenge: made.challenge.id.0,
            since: now,
            fresh,
            grant,
            back,
        };
        let url = Request {
            client_id: &provider.client_id,
            redirect_uri: &away.redirect_uri,
            scopes: &provider.scopes,
            state: &state,
            nonce: &away.nonce,
            challenge: &pkce::write_s256(&away.verifier),
            fresh,
        }
        .url(&metadata);
        let plain = serde_json::to_vec(&away).map_err(|error| Fault::internal("a sign-in elsewhere", error))?;
        let sealed = self.app.master.seal(&self.away_purpose(), &plain);
        let kept = Change::PutItem(Item {
            kind: KIND,
            name: tokens::hex(&tokens::digest(&state).0),
            owner: None,
            link: None,
            created: now,
            expires: now + LIFE,
            body: protocol::b64::encode_url(sealed),
            version: 0,
        });
        match self.app.commit(&self.tenant.tenant.id, "sent elsewhere", vec![kept]).await {
            Ok(()) => Ok(url),
            Err(CommitError::Refused { .. }) => Err(Failure::Stale.into()),
            Err(CommitError::Unavailable(error)) => Err(Fault::from(error).into()),
        }
    }

    fn away_purpose(self) -> String {
        format!("sign-in elsewhere\n{}", self.tenant.tenant.id)
    }

    /// What was kept of a person who comes back with this state. It is taken: a second answer to it finds nothing.
    ///
    /// # Errors
    /// The store failed.
    pub async fn take_away(self, state: &str) -> Result<Option<Away>, Fault> {
        if state.len() != LENGTH || !state.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let name = tokens::hex(&tokens::digest(state).0);
        let item = self.app.store.item(&self.tenant.tenant.id, KIND, &name).await?;
        let Some(item) = item.filter(|item| item.expires > self.app.world.now()) else { return Ok(None) };
        let sealed = protocol::b64::decode_url(&item.body, 64 * 1024).unwrap_or_default();
        let plain = self.app.master.open(&self.away_purpose(), &sealed);
        let plain = plain.ok_or_else(|| Fault::stored("what is kept of a sign-in elsewhere cannot be opened"))?;
        let away = serde_json::from_slice(&plain).map_err(|error| Fault::internal("a sign-in elsewhere", error))?;
        let taken = Change::TakeItem { kind: KIND, name, version: Some(item.version) };
        match self.app.commit(&self.tenant.tenant.id, "back from elsewhere", vec![taken]).await {
            Ok(()) => Ok(Some(away)),
            Err(CommitError::Refused { .. }) => Ok(None),
            Err(CommitError::Unavailable(error)) => Err(error.into()),
        }
    }

    /// Goes on with a sign-in whose person came back: the code is redeemed, what the provider says is believed or not, and whom it
    /// vouches for is found or made.
    ///
    /// # Errors
    /// See [`NotFrom`].
    pub async fn back_from_upstream(self, flow: Flow, away: Away, answer: Answer<'_>) -> Result<Proved, NotFrom> {
        let provider = self.provider(&away.provider)?;
        // Which provider answers is said before anything it says is looked at (RFC 9207 §2.4): an honest one's code must not be
        // taken to another.
        if answer.iss.is_some_and(|iss| iss != provider.issuer) {
            return Err(self.disbelieve(&away.provider, "the answer names another issuer"));
        }
        if let Some(error) = answer.error {
            tracing::info!(provider = %away.provider, error = %shown(error), "another provider declined a sign-in");
            return Err(NotFrom::Declined);
        }
        let metadata = self.metadata(provider).await?;
        if metadata.names_itself && answer.iss.is_none() {
            return Err(self.disbelieve(&away.provider, "the answer does not name its issuer"));
        }
        let code = answer.code.filter(|code| (1..=LONGEST_CODE).contains(&code.len()));
        let code = code.ok_or_else(|| self.disbelieve(&away.provider, "the answer holds no code"))?;
        let (id_token, access_token) = self.redeem_code(provider, &metadata, &away, code).await?;
        let mut claims = self.verified(provider, &metadata, &away.provider, &id_token).await?;
        let expected = Expected {
            issuer: &provider.issuer,
            client_id: &provider.client_id,
            nonce: &away.nonce,
            fresh_since: away.fresh.then_some(away.since),
        };
        let said = relying::judge(&claims, &expected, self.app.world.now())
            .map_err(|problem| self.disbelieve(&away.provider, &problem.to_string()))?;
        if let (Some(endpoint), Some(token)) = (&metadata.userinfo_endpoint, &access_token)
            && !claims.contains_key(&provider.username_claim)
        {
            let more = self.app.outbound.json_under(endpoint, token).await;
            let more = more.map_err(|error| self.disbelieve(&away.provider, &error.to_string()))?;
            // It might speak of somebody else (OpenID Connect Core §5.3.2).
            if more.get("sub").and_then(Value::as_str) != Some(said.subject.as_str()) {
                return Err(self.disbelieve(&away.provider, "its userinfo speaks of another subject"));
            }
            for (name, value) in more.as_object().into_iter().flatten() {
                claims.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        let challenge = self.challenge(&away.challenge.clone().into()).await?;
        let challenge = challenge.filter(|challenge| challenge.sign_in.as_ref() == Some(&flow.id));
        let challenge = challenge.ok_or_else(|| Failure::Wrong(Cause::NotPending))?;
        let user = match self.whom(&away.provider, provider, &said.subject, &claims).await {
            Err(NotFrom::Nobody) if provider.register && matches!(away.back, Back::Page { .. }) => {
                let subject = said.subject.clone();
                let said = Upstream { provider: away.provider, amr: said.amr, acr: said.acr };
                return Err(self
                    .keep_newcomer(&flow.id, Newcomer { subject, claims, challenge: challenge.id.0, said })
                    .await);
            }
            other => other?,
        };
        let said = Upstream { provider: away.provider, amr: said.amr, acr: said.acr };
        let vouched = Vouched { challenge, user, said };
        Ok(self.submit(flow, Submission::Upstream { vouched: Box::new(vouched) }).await?)
    }

    fn disbelieve(self, provider: &str, problem: &str) -> NotFrom {
        tracing::warn!(tenant = %self.tenant.tenant.id, provider, problem, "another provider is not believed");
        NotFrom::NotBelieved
    }

    async fn metadata(self, provider: &IdentityProvider) -> Result<Metadata, NotFrom> {
        let url = Metadata::url(&provider.issuer);
        let document = self.app.outbound.kept_json(&self.app.world, &url).await;
        let document = document.map_err(|error| self.disbelieve(&provider.name, &error.to_string()))?;
        Metadata::read(&document, &provider.issuer).map_err(|error| self.disbelieve(&provider.name, &error.to_string()))
    }

    /// The ID token that a code is good for, and the access token that came with it.
    async fn redeem_code(
        self,
        provider: &IdentityProvider,
        metadata: &Metadata,
        away: &Away,
        code: &str,
    ) -> Result<(String, Option<Secret<String>>), NotFrom> {
        let mut form: Vec<(&str, String)> = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", away.redirect_uri.clone()),
            ("code_verifier", away.verifier.clone()),
        ];
        let mut basic = None;
        match provider.auth_method.as_str() {
            "client_secret_basic" => {
                basic = Some((provider.client_id.as_str(), self.secret(&away.provider, provider)?))
            }
            "client_secret_post" => {
                form.push(("client_id", provider.client_id.clone()));
                form.push(("client_secret", self.secret(&away.provider, provider)?.expose().clone()));
            }
            "private_key_jwt" => {
                form.push(("client_id", provider.client_id.clone()));
                form.push((
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
                ));
                form.push(("client_assertion", self.assertion(provider).await?));
            }
            _ => form.push(("client_id", provider.client_id.clone())),
        }
        let basic = basic.as_ref().map(|(id, secret)| (*id, secret));
        let answer = self.app.outbound.exchange(&metadata.token_endpoint, &form, basic).await;
        let (status, body) = answer.map_err(|error| self.disbelieve(&away.provider, &error.to_string()))?;
        let id_token = body.get("id_token").and_then(Value::as_str).filter(|_| status == 200);
        let error = body.get("error").and_then(Value::as_str).map(shown).unwrap_or_default();
        let problem = || format!("its token endpoint answered {status} {error}");
        let id_token = id_token.map(str::to_owned).ok_or_else(|| self.disbelieve(&away.provider, &problem()))?;
        Ok((id_token, body.get("access_token").and_then(Value::as_str).map(Secret::from)))
    }

    fn secret(self, id: &str, provider: &IdentityProvider) -> Result<Secret<String>, NotFrom> {
        let opened = self.app.master.open(&purpose(&self.tenant.tenant.id, id), &provider.sealed_secret);
        let secret = opened.and_then(|plain| String::from_utf8(plain).ok()).map(Secret::from);
        secret.ok_or_else(|| Fault::stored("the secret of an identity provider cannot be opened").into())
    }

    /// An assertion of ours that says who we are (RFC 7523 §2.2).
    async fn assertion(self, provider: &IdentityProvider) -> Result<String, NotFrom> {
        let now = self.app.world.now();
        let keys = &self.tenant.keys;
        let alg = keys.algorithms(now).first().copied().ok_or_else(|| Fault::stored("no key signs"))?;
        let claims = json!({
            "iss": provider.client_id, "sub": provider.client_id, "aud": provider.issuer,
            "jti": self.app.world.uuid(), "iat": now, "exp": now + ASSERTION,
        });
        let signed = keys.sign_off_thread(Sign::With(alg), Typ::Jwt, &claims, now).await;
        signed.map_err(|error| Fault::internal("an assertion for another provider", error).into())
    }

    /// The claims of an ID token that the provider signed.
    async fn verified(
        self,
        provider: &IdentityProvider,
        metadata: &Metadata,
        id: &str,
        id_token: &str,
    ) -> Result<Map<String, Value>, NotFrom> {
        let peeked = jwt::peek(id_token).map_err(|error| self.disbelieve(id, &error.to_string()))?;
        // Another kind of token of theirs is no ID token (RFC 8725 §3.11).
        if !matches!(peeked.typ.as_deref(), None | Some("jwt")) {
            return Err(self.disbelieve(id, "the ID token is of another type"));
        }
        let keys = self.app.outbound.key_set(&self.app.world, &metadata.jwks_uri, peeked.kid.as_deref()).await;
        let keys = keys.map_err(|error| self.disbelieve(id, &error.to_string()))?;
        let verified = jwt::verify_peeked(peeked, keys.keys(), jwt::ASYMMETRIC);
        verified.map(|verified| verified.claims).map_err(|error| self.disbelieve(&provider.name, &error.to_string()))
    }
}

/// What another provider wrote, for the log: short, and nothing that could break a line.
fn shown(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(64).collect()
}

/// The hash that a browser is known by while its person is elsewhere.
pub fn hash_of(cookie: &str) -> String {
    let Digest(bytes) = tokens::digest(cookie);
    tokens::hex(&bytes)
}
