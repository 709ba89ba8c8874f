//! Letting a device in (RFC 8628 §3.3): a person who typed its code signs in as the client's policy wants it, sees what is asked,
//! and decides.
//!
//! Owns the order of that dialogue. What is kept of a device is [`device`]'s; the pages are the hosted door's.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use engine::Refusal;
use protocol::records::{Client, User, UserId};
use store::Change;

use super::authorize::{Stop, see_other};
use super::device::{self, Approval, Asked};
use super::grants::{Grant, entitled};
use crate::app::App;
use crate::browser::interaction::{self, Interaction, Lost, Outcome, Purpose, Step};
use crate::browser::{Expected, Gate, Passage, Session, SignedIn, cookies, gate, session};
use crate::call::Call;
use crate::doors::hosted;
use crate::fault::Fault;
use crate::signin::{Flow, SignIns};

/// A person on the way to letting a device in.
pub struct Admission<'a> {
    app: &'a App,
    call: &'a Call,
    client: Arc<Client>,
    asked: Asked,
    user_code: String,
    issuer: String,
    interaction: Option<Interaction>,
    cookies: Vec<HeaderValue>,
}

impl<'a> Admission<'a> {
    /// A code was typed that a device waits for.
    ///
    /// # Errors
    /// Whatever stops it.
    pub async fn begin(app: &'a App, call: &'a Call, asked: Asked, user_code: &str) -> Result<Response, Stop> {
        let admission = Self::of(app, call, asked, user_code.to_owned(), call.issuer(), None)?;
        for session in session::all(app, call).await? {
            let user = app.store.user(&call.tenant.tenant.id, &session.subject).await?;
            if let Some(user) = user.filter(|user| session.speaks_for(user)) {
                return admission.with_session(session, user).await;
            }
        }
        admission.sign_in().await
    }

    /// Goes on with a dialogue about a device.
    ///
    /// # Errors
    /// The device was decided on, or its code ran out; its client is gone; the dialogue is about something else.
    pub async fn resume(app: &'a App, call: &'a Call, interaction: Interaction) -> Result<Self, Stop> {
        let Purpose::Device(user_code) = interaction.body.purpose.clone() else {
            return Err(Fault::stored("a dialogue is not about a device").into());
        };
        let asked = device::find(app, &call.tenant, &user_code).await?.ok_or(Lost::Gone)?;
        let issuer = interaction.body.issuer.clone();
        Self::of(app, call, asked, user_code, issuer, Some(interaction))
    }

    fn of(
        app: &'a App,
        call: &'a Call,
        asked: Asked,
        user_code: String,
        issuer: String,
        interaction: Option<Interaction>,
    ) -> Result<Self, Stop> {
        let client = call.tenant.client(asked.client.as_str()).filter(|client| client.enabled).cloned();
        let client = client.ok_or(Lost::Gone)?;
        let user_code = device::as_shown(&client, &user_code);
        Ok(Self { app, call, client, asked, user_code, issuer, interaction, cookies: Vec::new() })
    }

    /// What policy is asked with.
    pub fn gate(&self) -> Gate<'_> {
        Gate {
            app: self.app,
            call: self.call,
            client: &self.client,
            issuer: &self.issuer,
            grant_type: Grant::DeviceCode.name(),
            at_least: None,
            acr_values: &[],
            claims: Vec::new(),
        }
    }

    /// The client on the device.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What the device asks for.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// The code, as the device shows it.
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Somebody is signed in: is policy content with that?
    async fn with_session(mut self, session: Session, user: User) -> Result<Response, Stop> {
        if !entitled(&self.client, &user) {
            return Ok(self.denied(Refusal::NotEntitled));
        }
        match self.gate().with_session(&user, &session).await.map_err(Stop::failed)? {
            Passage::Through(flow) => {
                let outcome = gate::outcome(&flow, &session)?;
                let changes = self.redeem(*flow)?;
                self.ask(Step::Confirm(outcome), changes).await
            }
            Passage::Ask(step) => self.ask(Step::SignIn(step), Vec::new()).await,
            Passage::Refused { refusal, .. } => Ok(self.denied(refusal)),
        }
    }

    async fn sign_in(mut self) -> Result<Response, Stop> {
        match self.gate().first_contact(Expected::default()).await.map_err(Stop::failed)? {
            Passage::Ask(step) => self.ask(Step::SignIn(step), Vec::new()).await,
            Passage::Refused { refusal, .. } => Ok(self.denied(refusal)),
            Passage::Through(_) => Err(Fault::stored("a sign-in is through before anybody is known").into()),
        }
    }

    /// A sign-in in this dialogue is through: there is a session now, and the person is asked.
    ///
    /// # Errors
    /// Whatever stops it.
    pub async fn signed_in(mut self, flow: Flow) -> Result<Response, Stop> {
        let subject = flow.stored.state.subject.clone().map(UserId);
        let subject = subject.ok_or_else(|| Fault::stored("a sign-in is ready but names nobody"))?;
        let user = self.app.store.user(&self.call.tenant.tenant.id, &subject).await?.filter(|user| user.active);
        let Some(user) = user.filter(|user| entitled(&self.client, user)) else {
            return Ok(self.denied(Refusal::NotEntitled));
        };
        let sessions = session::all(self.app, self.call).await?;
        // The device's tokens do not hang on the session: it is somewhere else than this browser.
        let signed_in = SignedIn { user: &user, proofs: gate::proofs(&flow), client: None, issuer: &self.issuer };
        let (session, mut changes) = session::open(self.app, self.call, &sessions, signed_in)?;
        self.cookies.extend(session::cookies(self.call, &session, &sessions));
        let outcome = gate::outcome(&flow, &session)?;
        changes.extend(self.redeem(flow)?);
        self.ask(Step::Confirm(outcome), changes).await
    }

    fn redeem(&self, flow: Flow) -> Result<Vec<Change>, Stop> {
        SignIns { app: self.app, tenant: &self.call.tenant }.redeem(flow).map_err(Stop::failed)
    }

    /// The person lets the device in.
    ///
    /// # Errors
    /// The session is gone meanwhile, somebody else decided first, or the store failed.
    pub async fn allowed(self, outcome: Outcome) -> Result<Response, Stop> {
        let sessions = session::all(self.app, self.call).await?;
        let session = sessions.into_iter().find(|session| session.id == outcome.session).ok_or(Lost::Gone)?;
        let user = self.app.store.user(&self.call.tenant.tenant.id, &outcome.subject).await?;
        let user = user.filter(|user| session.speaks_for(user)).ok_or(Lost::Gone)?;
        if !entitled(&self.client, &user) {
            return Ok(self.denied(Refusal::NotEntitled));
        }
        let approval = Approval {
            subject: user.id,
            proofs: outcome.proofs,
            auth_time: Some(outcome.auth_time),
            policy: outcome.policy,
            acr: None,
            at: self.app.world.now(),
        };
        let changes = device::approve(self.asked.clone(), approval)?;
        self.done(changes, true).await
    }

    /// The person does not let the device in.
    ///
    /// # Errors
    /// Somebody decided first, or the store failed.
    pub async fn refused(self) -> Result<Response, Stop> {
        let changes = device::deny(self.asked.clone())?;
        self.done(changes, false).await
    }

    async fn done(self, mut changes: Vec<Change>, approved: bool) -> Result<Response, Stop> {
        changes.extend(self.interaction.as_ref().map(Interaction::finish));
        self.commit("device decided", changes).await?;
        Ok(hosted::device_done(self.app, self.call, &self.client, approved))
    }

    /// This person may not let it in. The device waits on: another person may.
    pub fn denied(&self, refusal: Refusal) -> Response {
        let (message_id, phrase) = match refusal {
            Refusal::NotEntitled => ("CSIAQ0279E", "the user may not use this application"),
            Refusal::DeniedByPolicy | Refusal::LevelOutOfReach | Refusal::MustEnrol | Refusal::Reauthenticate => {
                ("CSIAQ0278E", "access is denied by the access policy")
            }
        };
        let response =
            hosted::error(self.app, self.call, &[], StatusCode::FORBIDDEN, "access_denied", phrase, message_id);
        cookies::set(response, self.cookies.iter().cloned())
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
                    purpose: Purpose::Device(self.user_code.clone()),
                    step,
                    client: Some(self.client.id.clone()),
                    locales: Vec::new(),
                    pushed: None,
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
