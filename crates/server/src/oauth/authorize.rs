//! The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2): from a request to its answer, with a person in between
//! where one is needed.
//!
//! Owns the order: whom the answer may go to, what is asked, who is signed in, what policy wants, what the person allows, what
//! is issued. Each of these is decided elsewhere.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use engine::{Level, Refusal};
use protocol::authorize::{self as rules, AuthorizationRequest, Came, Freshness, LoginHint, PageError, Prompt};
use protocol::discovery::Prefix;
use protocol::id_token_hint::IdTokenHint;
use protocol::idcs::roles::Holder;
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::{Client, SourceKind, User, UserId};
use protocol::request_object::{self, Presented, Strictness};
use store::Change;

mod answer;
pub mod levels;
pub mod object;
mod stop;

pub use stop::Stop;

use super::consents;
use super::grants::entitled;
use super::oracle::{self, handover};
use super::par;
use super::subject::subject;
use crate::app::App;
use crate::browser::interaction::{self, Interaction, Outcome, Purpose, SignInStep, Step};
use crate::browser::{Expected, Gate, Passage, Session, SignedIn, cookies, gate, keep, session};
use crate::call::Call;
use crate::doors::idcs;
use crate::fault::Fault;
use crate::keys::Typ;
use crate::reply;
use crate::signin::{Flow, SignIns};

/// Times a request is looked at anew because the session changed under it.
const TRIES: usize = 3;
/// The longest posted request that is sent round as GET: every browser and proxy takes an address of this length.
const LONGEST_QUERY: usize = 4096;

/// `GET` and `POST /authorize` under every prefix.
pub async fn authorize(State(app): State<App>, call: Call) -> Response {
    if let Some(again) = with_cookies(&call) {
        return again;
    }
    match judged(&app, &call).await {
        Ok(judged) => run(&app, &call, judged).await,
        Err(stop) => stop.into_response(&app, &call, &[]),
    }
}

/// Browsers keep `SameSite=Lax` cookies to themselves when another site posts to us, and the person would be asked to sign in though
/// they are: such a request is sent round once more as GET (demand A-1: both alike).
fn with_cookies(call: &Call) -> Option<Response> {
    let from_elsewhere = call.headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    let posted = call.method == Method::POST && (1..=LONGEST_QUERY).contains(&call.body.len());
    if !posted || !from_elsewhere || session::named(call).next().is_some() {
        return None;
    }
    let query = std::str::from_utf8(&call.body).ok()?;
    let plain = query.bytes().all(|b| b.is_ascii_graphic() && !b"#\"<>\\".contains(&b));
    plain.then(|| see_other(&format!("{}?{query}", call.uri.path())).ok()).flatten()
}

/// A request that was judged, and where it comes from.
struct Judged {
    client: Arc<Client>,
    request: AuthorizationRequest,
    /// The `request_uri` it was pushed under.
    pushed: Option<String>,
}

async fn judged(app: &App, call: &Call) -> Result<Judged, Stop> {
    let text = if call.method == Method::POST {
        if !call.media_type().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(PageError::Unreadable.into());
        }
        &call.body[..]
    } else {
        call.uri.query().unwrap_or_default().as_bytes()
    };
    let mut form = rules::read(text)?;
    let client = call.tenant.client(rules::client_id_of(&form)?).filter(|client| client.enabled);
    let client = client.ok_or(PageError::UnknownClient)?.clone();
    let mut came = Came::default();
    let mut pushed = None;
    if let Ok(Some(Presented::Pushed(uri))) = request_object::presented(&form) {
        let kept = par::load(app, &call.tenant, &client.id, uri).await?.ok_or(PageError::UnknownRequestUri)?;
        pushed = Some(uri.to_owned());
        // Nothing that stands beside it counts (RFC 9126 §4).
        form = kept.form;
        came.pushed = true;
    }
    let strictness = if came.pushed { Strictness::Jar } else { Strictness::of(&client) };
    let merged = match request_object::presented(&form) {
        Ok(None) => None,
        Ok(Some(presented)) => Some(object::merge(app, call, &client, &form, presented, strictness).await),
        Err(rejection) => Some(Err(rejection)),
    };
    match merged {
        None => {}
        Some(Ok(merged)) => {
            form = merged.form;
            came.signed = merged.signed;
        }
        // Told to the client only where the parameters outside say whither, and are good.
        Some(Err(rejection)) => {
            let target = rules::identify(&form, Some(&client))?;
            return Err(Stop::back(target.refuse(rejection), call.issuer()));
        }
    }
    let target = rules::identify(&form, Some(&client))?;
    let request = rules::judge(&form, &client, target, came).map_err(|error| Stop::back(error, call.issuer()))?;
    Ok(Judged { client, request, pushed })
}

/// Answers a request as far as it can be answered now.
async fn run(app: &App, call: &Call, judged: Judged) -> Response {
    let Judged { client, request, pushed } = judged;
    let locales = request.ui_locales.clone();
    for _ in 0..TRIES {
        let visit =
            Visit { pushed: pushed.clone(), ..Visit::new(app, call, client.clone(), request.clone(), call.issuer()) };
        match visit.decide().await {
            Err(Stop::Again) => {}
            Err(stop) => return stop.into_response(app, call, &locales),
            Ok(response) => return response,
        }
    }
    Stop::Again.into_response(app, call, &locales)
}

/// One request on its way to its answer.
pub struct Visit<'a> {
    app: &'a App,
    call: &'a Call,
    client: Arc<Client>,
    request: AuthorizationRequest,
    issuer: String,
    /// The `request_uri` it was pushed under: used up with its answer.
    pushed: Option<String>,
    /// The dialogue that is had about it, once there is one.
    interaction: Option<Interaction>,
    cookies: Vec<HeaderValue>,
}

impl<'a> Visit<'a> {
    fn new(app: &'a App, call: &'a Call, client: Arc<Client>, request: AuthorizationRequest, issuer: String) -> Self {
        Self { app, call, client, request, issuer, pushed: None, interaction: None, cookies: Vec::new() }
    }

    /// Goes on with a dialogue about a request.
    ///
    /// # Errors
    /// Its client is gone or switched off, or it is about something else.
    pub fn resume(app: &'a App, call: &'a Call, interaction: Interaction) -> Result<Self, Stop> {
        let Purpose::Authorize(request) = &interaction.body.purpose else {
            return Err(Fault::stored("a dialogue is not about an authorization request").into());
        };
        let request = (**request).clone();
        let client = call.tenant.client(request.client_id.as_str()).filter(|client| client.enabled).cloned();
        // Switched off meanwhile: nothing goes to it any more.
        let client = client.ok_or(PageError::UnknownClient)?;
        let issuer = interaction.body.issuer.clone();
        let pushed = interaction.body.pushed.clone();
        Ok(Self { pushed, interaction: Some(interaction), ..Self::new(app, call, client, request, issuer) })
    }

    /// What policy is asked with.
    pub fn gate(&self) -> Gate<'_> {
        Gate {
            app: self.app,
            call: self.call,
            client: &self.client,
            issuer: &self.issuer,
            grant_type: "authorization_code",
            at_least: self.at_least(),
            acr_values: self.request.acr.as_ref().map_or(&[], |acr| acr.values.as_slice()),
            claims: self.request.claims.id_token.keys().chain(self.request.claims.userinfo.keys()).cloned().collect(),
        }
    }

    fn at_least(&self) -> Option<Level> {
        self.request.acr.as_ref().and_then(|acr| levels::least(&acr.values))
    }

    fn silent(&self) -> bool {
        self.request.asks(Prompt::None)
    }

    /// Who is signed in, and whether that will do.
    async fn decide(mut self) -> Result<Response, Stop> {
        self.check_acr()?;
        if self.issuer == self.call.tenant.tenant.settings.oracle.issuer {
            oracle::may_name_people(&self.client).map_err(|rejection| self.back(rejection))?;
        }
        let subject = self.subject_asked_for()?;
        let sessions = session::all(self.app, self.call).await?;
        if self.request.asks(Prompt::SelectAccount) && subject.is_none() && !sessions.is_empty() {
            return self.ask(Step::Account, Vec::new()).await;
        }
        match self.session_meant(&sessions, subject.as_deref()).await? {
            Some((session, user)) => self.with_session(session, user).await,
            None => {
                if let Some((session, user, changes)) = self.stayed(&sessions, subject.as_deref()).await? {
                    return self.past_session(session, user, changes).await;
                }
                // Only who holds an ID token of a person may see who that is; by what they are called elsewhere nobody is found.
                let hinted = self.request.id_token_hint.is_some() && self.request.login_hint.is_none();
                let known = subject.filter(|_| hinted && !self.client.pairwise);
                self.sign_in(known.map(UserId)).await
            }
        }
    }

    /// The session this request is about, with its person. One that may speak for nobody any more is passed over.
    async fn session_meant(
        &self,
        sessions: &[Session],
        subject: Option<&str>,
    ) -> Result<Option<(Session, User)>, Stop> {
        for session in sessions {
            let user = self.app.store.user(&self.call.tenant.tenant.id, &session.subject).await?;
            let Some(user) = user.filter(|user| session.speaks_for(user)) else { continue };
            if self.is_meant(&user, subject) {
                return Ok(Some((session.clone(), user)));
            }
        }
        Ok(None)
    }

    /// Whether the answer may be about this person.
    fn is_meant(&self, user: &User, subject: Option<&str>) -> bool {
        // A hint never is an error (demand P-10): where nobody may be asked it is passed over.
        subject.is_none_or(|subject| self.sub(&user.id) == subject)
            && (self.silent() || self.request.login_hint.as_ref().is_none_or(|hint| self.is_named(hint, user)))
    }

    /// A session of whoever stayed signed in with this browser, if they are meant and what they proved then is fresh enough. It is
    /// there only once what makes it is written.
    async fn stayed(
        &mut self,
        sessions: &[Session],
        subject: Option<&str>,
    ) -> Result<Option<(Session, User, Vec<Change>)>, Stop> {
        let Some((stayed, cookie)) = keep::stayed(self.app, self.call, &self.client).await? else { return Ok(None) };
        self.cookies.push(cookie);
        let (proofs, user) = (stayed.prior().proofs, stayed.user);
        let signed_in = SignedIn { user: &user, proofs, client: None, issuer: &self.issuer };
        let (session, changes) = session::open(self.app, self.call, sessions, signed_in)?;
        let will_do = self.is_meant(&user, subject) && session.speaks_for(&user) && self.is_fresh(&session);
        Ok(will_do.then_some((session, user, changes)))
    }

    fn is_named(&self, hint: &LoginHint, user: &User) -> bool {
        let realm = match hint {
            LoginHint::Text(_) => None,
            LoginHint::Realm { realm, .. } => Some(realm),
        };
        let source = self.call.tenant.source(user.source.as_str());
        let here = realm.is_none_or(|realm| source.is_some_and(|source| source.realm == *realm));
        here && user.username.to_lowercase() == hint.username().to_lowercase()
    }

    /// The only person the answer may be about: whom an ID token of ours names, or the `claims` parameter.
    fn subject_asked_for(&self) -> Result<Option<String>, Stop> {
        let claimed = self.request.claims.subject().map_err(|rejection| self.back(rejection))?;
        let hinted = match &self.request.id_token_hint {
            None => None,
            Some(hint) => {
                let hint = self.read_hint(hint);
                let text = "`id_token_hint` is no ID token of ours for this client";
                Some(hint.ok_or_else(|| self.back(Rejection::invalid_request(text)))?.subject)
            }
        };
        match (hinted, claimed) {
            (Some(hinted), Some(claimed)) if hinted != claimed => {
                Err(self.back(Rejection::invalid_request("`id_token_hint` and `claims` name two people")))
            }
            (hinted, claimed) => Ok(hinted.or_else(|| claimed.map(str::to_owned))),
        }
    }

    fn read_hint(&self, hint: &str) -> Option<IdTokenHint> {
        let now = self.app.world.now();
        let issuers: Vec<String> = self
            .call
            .tenant
            .tenant
            .urls
            .iter()
            .flat_map(|base| Prefix::ALL.map(|prefix| prefix.issuer(base)))
            .collect();
        let own = self.call.tenant.keys.verify(hint, Typ::Jwt, now);
        let (claims, issuers) = match own {
            Some(claims) => (claims, issuers),
            None => {
                let claims = oracle::asked::hint(self.app, self.call, hint)?;
                (claims, vec![self.call.tenant.tenant.settings.oracle.issuer.clone()])
            }
        };
        IdTokenHint::read(Some("jwt"), &claims, &issuers, now).filter(|hint| hint.is_for(self.client.id.as_str()))
    }

    /// What this client calls a person.
    fn sub(&self, person: &UserId) -> String {
        subject(&self.app.master, &self.call.tenant.tenant.id, &self.client, person)
    }

    /// A level that is essential and that nothing here could ever reach is refused before anybody is troubled.
    fn check_acr(&self) -> Result<(), Stop> {
        let Some(acr) = self.request.acr.as_ref().filter(|acr| acr.essential) else { return Ok(()) };
        let by_policy = self.client.policy.is_some_and(|policy| acr.is_met_by(&super::acr(policy)));
        if by_policy || levels::least(&acr.values).is_some() { Ok(()) } else { Err(self.unmet()) }
    }

    fn unmet(&self) -> Stop {
        let text = "the authentication asked for cannot be had";
        self.back(Rejection::new(OAuthCode::UnmetAuthenticationRequirements, text))
    }

    /// Somebody is signed in: is it fresh enough, and is policy content?
    async fn with_session(self, session: Session, user: User) -> Result<Response, Stop> {
        if !self.is_fresh(&session) {
            return self.sign_in(Some(user.id)).await;
        }
        self.past_session(session, user, Vec::new()).await
    }

    /// The age of a session counts only where the person is one of our own directory (vendor page §4.2).
    fn is_fresh(&self, session: &Session) -> bool {
        let freshness = self.request.freshness();
        let source = self.call.tenant.source(session.source().as_str());
        let ours = source.is_none_or(|source| source.kind == SourceKind::CloudDirectory);
        (matches!(freshness, Freshness::Within(_)) && !ours)
            || freshness.admits(session.auth_time(), self.app.world.now())
    }

    /// Goes on with a session; `made` is what must be written for it to be there, where it is new.
    async fn past_session(mut self, session: Session, user: User, made: Vec<Change>) -> Result<Response, Stop> {
        if !entitled(&self.client, &user) {
            return Err(self.denied(Refusal::NotEntitled, None));
        }
        match self.gate().with_session(&user, &session).await.map_err(Stop::failed)? {
            Passage::Through(flow) => {
                let outcome = gate::outcome(&flow, &session)?;
                if !made.is_empty() {
                    let others = session::all(self.app, self.call).await?;
                    self.cookies.extend(session::cookies(self.call, &session, &others));
                }
                let redeemed =
                    SignIns { app: self.app, tenant: &self.call.tenant }.redeem(*flow).map_err(Stop::failed)?;
                let changes = made.into_iter().chain(redeemed).collect();
                self.settle(session, user, outcome, changes).await
            }
            Passage::Ask(_) if self.silent() => {
                Err(self.back(Rejection::new(OAuthCode::InteractionRequired, "another factor must be proved")))
            }
            Passage::Ask(step) => self.ask(Step::SignIn(step), Vec::new()).await,
            Passage::Refused { refusal, reference } => Err(self.denied(refusal, Some(reference))),
        }
    }

    /// Nobody is signed in, or not well enough.
    async fn sign_in(mut self, known: Option<UserId>) -> Result<Response, Stop> {
        if self.silent() {
            return Err(self.back(Rejection::new(OAuthCode::LoginRequired, "nobody is signed in who would do")));
        }
        if let Some(page) = handover::page_of(self.call, &self.client).map(str::to_owned) {
            return self.hand_over(&page).await;
        }
        let (mut username, realm) = match &self.request.login_hint {
            Some(LoginHint::Text(name)) => (Some(name.clone()), None),
            Some(LoginHint::Realm { realm, username }) => {
                // A hint at a realm nobody has is no hint (vendor page §4.2).
                let here = self.call.tenant.sources.iter().any(|source| source.realm == *realm);
                if here { (Some(username.clone()), Some(realm.clone())) } else { (None, None) }
            }
            None => (None, None),
        };
        if let (None, Some(known)) = (&username, &known) {
            let user = self.app.store.user(&self.call.tenant.tenant.id, known).await?;
            username = user.map(|user| user.username);
        }
        let expected = Expected { username, realm, known };
        match self.gate().first_contact(expected).await.map_err(Stop::failed)? {
            Passage::Ask(step) => self.ask(Step::SignIn(step), Vec::new()).await,
            Passage::Refused { refusal, reference } => Err(self.denied(refusal, Some(reference))),
            Passage::Through(_) => Err(Fault::stored("a sign-in is through before anybody is known").into()),
        }
    }

    /// The client has a sign-in page of its own: the browser goes there, and comes back to this dialogue.
    async fn hand_over(mut self, page: &str) -> Result<Response, Stop> {
        let mut bound = self.ask(Step::Account, Vec::new()).await?;
        let opening = idcs::Opening {
            app: self.app,
            call: self.call,
            caller: None,
            application: &self.client,
            errand: self.interaction.as_ref().map(|interaction| interaction.handle.clone()),
            devices: keep::devices(self.call).map(str::to_owned).collect(),
        };
        let body = match opening.told().await {
            Ok(body) => body,
            Err((code, message)) => {
                let told = handover::error(self.call, &self.client, code, &message);
                return told.ok_or_else(|| self.denied(Refusal::DeniedByPolicy, None));
            }
        };
        let mut response = handover::form(self.app, self.call, page, body)?;
        if let header::Entry::Occupied(cookies) = bound.headers_mut().entry(header::SET_COOKIE) {
            for cookie in cookies.remove_entry_mult().1 {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
        Ok(response)
    }

    /// The browser is back from the sign-in page of the client, with a session: the one at hand, or whichever it has.
    ///
    /// # Errors
    /// Whatever stops it.
    pub async fn came_back(self, at_hand: Option<(Session, User)>) -> Result<Response, Stop> {
        let subject = self.subject_asked_for()?;
        let found = match at_hand {
            Some((session, user)) => {
                let other = subject.as_ref().is_some_and(|wanted| *wanted != self.sub(&user.id));
                if other {
                    let text = "somebody else signed in";
                    return Err(self.back(Rejection::new(OAuthCode::LoginRequired, text)));
                }
                Some((session, user))
            }
            None => self.session_meant(&session::all(self.app, self.call).await?, subject.as_deref()).await?,
        };
        let began = self.interaction.as_ref().map_or(i64::MAX, Interaction::began);
        match found {
            // Who signed in since the request came did so for it, however fresh it wants them.
            Some((session, user)) if session.auth_time() >= began || self.is_fresh(&session) => {
                self.past_session(session, user, Vec::new()).await
            }
            Some((_, user)) => self.sign_in(Some(user.id)).await,
            None => self.sign_in(None).await,
        }
    }

    /// A sign-in in this dialogue is through: there is a session now, and the request goes on.
    ///
    /// # Errors
    /// Whatever stops it.
    pub async fn signed_in(mut self, flow: Flow) -> Result<Response, Stop> {
        let subject = flow.stored.state.subject.clone().map(UserId);
        let subject = subject.ok_or_else(|| Fault::stored("a sign-in is ready but names nobody"))?;
        let user = self.app.store.user(&self.call.tenant.tenant.id, &subject).await?.filter(|user| user.active);
        let Some(user) = user.filter(|user| entitled(&self.client, user)) else {
            return Err(self.denied(Refusal::NotEntitled, None));
        };
        let proofs = gate::proofs(&flow);
        if proofs.iter().any(|proof| proof.at < user.not_before) {
            return Err(interaction::Lost::Gone.into());
        }
        let sessions = session::all(self.app, self.call).await?;
        let scope = self.scope()?;
        let unasked = self.unasked(&user, &scope).await?;
        let signed_in = SignedIn {
            user: &user,
            proofs,
            client: unasked.is_some().then_some(&self.client.id),
            issuer: &self.issuer,
        };
        let (session, mut changes) = session::open(self.app, self.call, &sessions, signed_in)?;
        self.cookies.extend(session::cookies(self.call, &session, &sessions));
        let outcome = gate::outcome(&flow, &session)?;
        let wishes = self.interaction.as_ref().map(|interaction| interaction.body.wishes).unwrap_or_default();
        let kept = keep::keep(self.app, self.call, wishes, &user, &outcome.proofs).await?;
        changes.extend(kept.changes);
        self.cookies.extend(kept.cookies);
        changes.extend(SignIns { app: self.app, tenant: &self.call.tenant }.redeem(flow).map_err(Stop::failed)?);
        if self.subject_asked_for()?.is_some_and(|wanted| wanted != self.sub(&subject)) {
            // Signed in they are, but the answer may be about somebody else only.
            changes.extend(self.interaction.as_ref().map(Interaction::finish));
            self.commit("sign-in", changes).await?;
            let stop = self.back(Rejection::new(OAuthCode::LoginRequired, "somebody else signed in"));
            return Ok(cookies::set(stop.into_response(self.app, self.call, &self.request.ui_locales), self.cookies));
        }
        let Some(consent) = unasked else { return self.ask(Step::Consent(outcome), changes).await };
        changes.extend(consent);
        self.answer(session, user, outcome, scope, changes).await
    }

    /// The account to go on with was chosen: one of the browser's sessions, by its public id, or another altogether.
    ///
    /// # Errors
    /// Whatever stops it.
    pub async fn chosen(mut self, id: Option<&str>) -> Result<Response, Stop> {
        let sessions = session::all(self.app, self.call).await?;
        let Some(id) = id else { return self.sign_in(None).await };
        let Some(session) = sessions.iter().find(|session| session.id == id).cloned() else {
            return self.sign_in(None).await;
        };
        self.cookies.extend(session::cookies(self.call, &session, &sessions));
        let user = self.app.store.user(&self.call.tenant.tenant.id, &session.subject).await?;
        match user.filter(|user| session.speaks_for(user)) {
            Some(user) => self.with_session(session, user).await,
            None => self.sign_in(None).await,
        }
    }

    /// Policy is content: is the person to be asked for consent?
    async fn settle(
        mut self,
        session: Session,
        user: User,
        outcome: Outcome,
        mut changes: Vec<Change>,
    ) -> Result<Response, Stop> {
        let scope = self.scope()?;
        let Some(consent) = self.unasked(&user, &scope).await? else {
            if self.silent() {
                return Err(self.back(Rejection::new(OAuthCode::ConsentRequired, "the user must be asked")));
            }
            return self.ask(Step::Consent(outcome), changes).await;
        };
        changes.extend(consent);
        self.answer(session, user, outcome, scope, changes).await
    }

    /// The person allowed what was asked.
    ///
    /// # Errors
    /// The session is gone meanwhile, or whatever else stops it.
    pub async fn allowed(self, outcome: Outcome) -> Result<Response, Stop> {
        let sessions = session::all(self.app, self.call).await?;
        let session = sessions.into_iter().find(|session| session.id == outcome.session);
        let session = session.ok_or(interaction::Lost::Gone)?;
        let tenant = &self.call.tenant.tenant.id;
        let user = self.app.store.user(tenant, &outcome.subject).await?;
        let user = user.filter(|user| session.speaks_for(user)).ok_or(interaction::Lost::Gone)?;
        if !entitled(&self.client, &user) {
            return Err(self.denied(Refusal::NotEntitled, None));
        }
        let scope = self.scope()?;
        let remembered = consents::remember(self.app, tenant, &self.client, &user.id, &scope).await?;
        self.answer(session, user, outcome, scope, remembered.into_iter().collect()).await
    }

    /// The person gave up or said no.
    ///
    /// # Errors
    /// The dialogue was over already, or the store failed.
    pub async fn refused(self) -> Result<Response, Stop> {
        let mut changes: Vec<Change> = self.interaction.as_ref().map(Interaction::finish).into_iter().collect();
        changes.extend(self.pushed.as_deref().map(par::spend));
        self.commit("dialogue given up", changes).await?;
        Err(self.back(Rejection::new(OAuthCode::AccessDenied, "the user said no")))
    }

    /// What would be given, for the page that asks for it.
    ///
    /// # Errors
    /// Nothing of it may be given.
    pub fn scope(&self) -> Result<Vec<String>, Stop> {
        if self.issuer == self.call.tenant.tenant.settings.oracle.issuer {
            let person = Holder::Person { administrator: false };
            let mut scope = protocol::idcs::scopes::grant(&self.request.scope.join(" "), &self.client, person)
                .map_err(|rejection| self.back(rejection))?;
            scope.retain(|one| one != protocol::scope::OFFLINE_ACCESS || self.request.response_type.code);
            return Ok(scope);
        }
        protocol::scope::grant_at_authorization(&self.request.scope, &self.client, self.request.response_type.code)
            .map_err(|rejection| self.back(rejection))
    }

    /// Whether the person must be asked, as [`consents::unasked`]. A code is looked at again when it is redeemed.
    async fn unasked(&self, user: &User, scope: &[String]) -> Result<Option<Vec<Change>>, Stop> {
        let tenant = &self.call.tenant.tenant.id;
        let unasked = consents::unasked(self.app, tenant, &self.client, &user.id, &self.request, scope).await?;
        Ok(unasked.map(|needs| if self.request.response_type.token { needs } else { Vec::new() }))
    }

    /// The client.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// The request.
    pub fn request(&self) -> &AuthorizationRequest {
        &self.request
    }

    /// An error that goes back to the client.
    pub fn back(&self, rejection: Rejection) -> Stop {
        Stop::back(self.request.target.refuse(rejection), self.issuer.clone())
    }

    /// A refusal by policy, or for want of an entitlement. An administrator finds it under the reference.
    pub fn denied(&self, refusal: Refusal, reference: Option<String>) -> Stop {
        let (id, text) = match refusal {
            Refusal::LevelOutOfReach => return self.unmet(),
            Refusal::DeniedByPolicy => ("CSIAQ0278E", "access is denied by the access policy"),
            Refusal::NotEntitled => ("CSIAQ0279E", "the user may not use this application"),
            Refusal::Reauthenticate => ("CSIAQ0278E", "the access policy wants the user to sign in anew"),
            Refusal::MustEnrol => ("CSIAQ0278E", "a second factor must be enrolled first"),
        };
        let text = match reference {
            Some(reference) => format!("{text} (reference {reference})"),
            None => text.to_owned(),
        };
        self.back(Rejection::new(OAuthCode::AccessDenied, text).with_id(id))
    }

    /// Asks the person: the browser is sent to the page that is due.
    async fn ask(&mut self, step: Step, mut changes: Vec<Change>) -> Result<Response, Stop> {
        let interaction = match self.interaction.take() {
            Some(mut interaction) => {
                interaction.body.step = step;
                changes.push(interaction.put(self.app)?);
                interaction
            }
            None => {
                let begin = interaction::Begin {
                    purpose: Purpose::Authorize(Box::new(self.request.clone())),
                    step,
                    client: Some(self.client.id.clone()),
                    locales: self.request.ui_locales.clone(),
                    pushed: self.pushed.clone(),
                };
                let (interaction, change, cookie) = interaction::begin(self.app, self.call, begin)?;
                changes.push(change);
                self.cookies.extend(cookie);
                interaction
            }
        };
        let path = interaction.path();
        self.interaction = Some(interaction);
        self.commit("dialogue", changes).await?;
        Ok(cookies::set(see_other(&path)?, std::mem::take(&mut self.cookies)))
    }

    async fn commit(&self, name: &'static str, changes: Vec<Change>) -> Result<(), Stop> {
        Ok(self.app.commit(&self.call.tenant.tenant.id, name, changes).await?)
    }
}

/// Sends the browser elsewhere, by GET whatever it came by (RFC 9700 §4.12).
///
/// # Errors
/// The address has characters no header may have.
pub fn see_other(to: &str) -> Result<Response, Fault> {
    let location = HeaderValue::try_from(to).map_err(|error| Fault::internal("an address to go to", error))?;
    let mut response = reply::empty(StatusCode::SEE_OTHER);
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// The step of a dialogue in which a sign-in is under way.
pub fn step_of(interaction: &Interaction) -> Option<&SignInStep> {
    match &interaction.body.step {
        Step::SignIn(step) => Some(step),
        Step::Account | Step::Consent(_) | Step::Confirm(_) => None,
    }
}
