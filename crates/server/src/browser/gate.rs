//! The gate between a browser and whatever needs somebody signed in: a session that is there already counts for what was
//! proved in it, and policy says what is missing.
//!
//! Owns how a sign-in of the browser is begun and continued. Which session is meant, and what follows, is the caller's.

use std::sync::Arc;

use engine::facts::Facts;
use engine::{Level, Prior, Proof, Refusal, Stage};
use protocol::records::{Client, GrantId, User, UserId};

use super::interaction::{Outcome, SignInStep};
use super::session::Session;
use super::{keep, policy};
use crate::app::App;
use crate::call::Call;
use crate::fault::Fault;
use crate::oauth::grants::entitled;
use crate::signin::applied;
use crate::signin::context::gather;
use crate::signin::driver::Proved;
use crate::signin::stored::Resume;
use crate::signin::{Begin, Failure, Flow, Next, SignIns};

/// What is asked of a person, and by whom.
pub struct Gate<'a> {
    /// The process.
    pub app: &'a App,
    /// The request.
    pub call: &'a Call,
    /// The client whose policy applies.
    pub client: &'a Arc<Client>,
    /// The issuer of what comes of it.
    pub issuer: &'a str,
    /// The `grant_type` of what comes of it.
    pub grant_type: &'a str,
    /// The level of assurance asked for, beyond policy.
    pub at_least: Option<Level>,
    /// `acr` values asked for, for policy to look at.
    pub acr_values: &'a [String],
    /// Names of claims asked for, for policy to look at.
    pub claims: Vec<String>,
}

/// Who is expected at a first contact.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The name to begin with.
    pub username: Option<String>,
    /// The realm of their source.
    pub realm: Option<String>,
    /// The person who is asked to prove who they are again.
    pub known: Option<UserId>,
}

/// Where a person stands at the gate.
#[derive(Debug)]
pub enum Passage {
    /// Through: nothing is stored yet, the caller commits [`SignIns::redeem`] of it together with what follows.
    Through(Box<Flow>),
    /// A factor is to be proved.
    Ask(SignInStep),
    /// Refused, and recorded under this public reference.
    Refused {
        /// What may be shown.
        refusal: Refusal,
        /// Under which an administrator finds the decision.
        reference: String,
    },
}

impl Gate<'_> {
    fn sign_ins(&self) -> SignIns<'_> {
        SignIns { app: self.app, tenant: &self.call.tenant }
    }

    /// What policy is asked with. A browser speaks for itself: its address is that of the connection.
    fn facts(&self, user: Option<&User>) -> Facts {
        let mut facts = gather(&self.call.tenant, self.client, None, self.call.peer, user, &self.app.geo);
        facts.acr_values = self.acr_values.to_vec();
        facts.claims.clone_from(&self.claims);
        facts
    }

    /// The same once the person is known, with what their browser was trusted for.
    async fn facts_of(&self, user: &User) -> Result<Facts, Fault> {
        let mut facts = self.facts(Some(user));
        let device = keep::trusted(self.app, self.call, user, self.client).await?;
        facts.remembered = device.map(|device| device.remembered()).into();
        Ok(facts)
    }

    fn resume(&self) -> Resume {
        Resume {
            grant_type: self.grant_type.to_owned(),
            issuer: self.issuer.to_owned(),
            began: self.app.world.now(),
            enrols: true,
            ..Resume::default()
        }
    }

    /// Somebody who is signed in already, with what they proved then.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn with_session(&self, user: &User, session: &Session) -> Result<Passage, Failure> {
        self.with_proofs(user, session.proofs()).await
    }

    /// The same with these proofs of the session.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn with_proofs(&self, user: &User, proofs: Vec<Proof>) -> Result<Passage, Failure> {
        let attached = policy::attached(&self.call.tenant, self.client)?;
        let facts = self.facts_of(user).await?;
        let begin = Begin {
            client: self.client.id.clone(),
            grant: GrantId(self.app.world.ordered_uuid()),
            policy: Some(attached.as_ref()),
            after: Some(applied::for_stage(&self.call.tenant, attached, None)),
            facts: &facts,
            prior: Some(Prior { subject: user.id.0.clone(), proofs }),
            resume: self.resume(),
        };
        let expected = Expected { username: Some(user.username.clone()), realm: None, known: Some(user.id.clone()) };
        match self.sign_ins().begin_at_least(begin, self.at_least).await? {
            // What was proved in the session does not do: the same person begins anew.
            Next::Refused { refusal: Refusal::Reauthenticate, .. } => self.first_contact(expected).await,
            next => Ok(passage(next, expected)),
        }
    }

    /// Nobody is known, or somebody is to prove anew who they are.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn first_contact(&self, expected: Expected) -> Result<Passage, Failure> {
        let governing = policy::with_first_contact(policy::attached(&self.call.tenant, self.client)?);
        let facts = self.facts(None);
        let begin = Begin {
            client: self.client.id.clone(),
            grant: GrantId(self.app.world.ordered_uuid()),
            policy: Some(governing.as_ref()),
            after: None,
            facts: &facts,
            prior: None,
            resume: self.resume(),
        };
        let next = self.sign_ins().begin_at_least(begin, self.at_least).await?;
        Ok(passage(next, expected))
    }

    /// A factor was proved: what follows from it is decided with what is known now.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn proved(&self, proved: Proved, step: &SignInStep) -> Result<Passage, Failure> {
        let Proved { flow, subject, receipt, user, .. } = proved;
        self.go_on(flow, &subject, &receipt, user, step).await
    }

    /// The proof at hand of a sign-in that was interrupted after it, if it has one.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn at_hand(&self, flow: Flow, step: &SignInStep) -> Result<Option<Passage>, Failure> {
        let Stage::Proven { subject, receipt, .. } = &flow.stored.state.stage else { return Ok(None) };
        let (subject, receipt) = (UserId(subject.clone()), receipt.clone());
        self.go_on(flow, &subject, &receipt, None, step).await.map(Some)
    }

    /// The person is done with enrolling, or declines what was only offered.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn end_enrolment(&self, flow: Flow, step: &SignInStep) -> Result<Passage, Failure> {
        let (flow, user) = match self.enrolling(flow, step).await? {
            Ok(going_on) => going_on,
            Err(ended) => return Ok(ended),
        };
        let after = match flow.stored.state.policy {
            Some(reference) => Some(policy::pinned(self.app, self.call, reference).await?),
            None => None,
        };
        let after = after.as_ref().map(|policy| applied::for_stage(&self.call.tenant, policy, None));
        let facts = self.facts_of(&user).await?;
        Ok(passage(self.sign_ins().end_enrolment(flow, after, &facts).await?, expected(step)))
    }

    /// The person who enrols in the middle of a sign-in, as they are now; or how it ended, where they may not go on.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn enrolling(&self, flow: Flow, step: &SignInStep) -> Result<Result<(Flow, User), Passage>, Failure> {
        let user = match &flow.stored.state.subject {
            Some(subject) => self.sign_ins().person(&UserId::from(subject.as_str())).await?,
            None => None,
        };
        self.still(flow, user, step).await
    }

    /// Refuses a sign-in whose person may not go on with it any more.
    async fn still(
        &self,
        flow: Flow,
        user: Option<User>,
        step: &SignInStep,
    ) -> Result<Result<(Flow, User), Passage>, Failure> {
        match user.filter(|user| flow.speaks_for(user) && entitled(self.client, user)) {
            Some(user) => Ok(Ok((flow, user))),
            None => {
                let refused = self.sign_ins().refuse(flow, Refusal::NotEntitled).await?;
                Ok(Err(passage(refused, expected(step))))
            }
        }
    }

    async fn go_on(
        &self,
        flow: Flow,
        subject: &UserId,
        receipt: &str,
        user: Option<User>,
        step: &SignInStep,
    ) -> Result<Passage, Failure> {
        let sign_ins = self.sign_ins();
        let user = match user {
            Some(user) => Some(user),
            None => sign_ins.person(subject).await?,
        };
        let (flow, user) = match self.still(flow, user, step).await? {
            Ok(going_on) => going_on,
            Err(ended) => return Ok(ended),
        };
        let after = match flow.stored.state.policy {
            Some(reference) => Some(policy::pinned(self.app, self.call, reference).await?),
            None => None,
        };
        let after = after.as_ref().map(|policy| applied::for_stage(&self.call.tenant, policy, None));
        let facts = self.facts_of(&user).await?;
        Ok(passage(sign_ins.proceed(flow, receipt, after, &facts).await?, expected(step)))
    }
}

fn expected(step: &SignInStep) -> Expected {
    Expected { username: step.username.clone(), realm: step.realm.clone(), known: step.known.clone() }
}

fn passage(next: Next, expected: Expected) -> Passage {
    match next {
        Next::Ready(flow) => Passage::Through(Box::new(flow)),
        Next::Challenge { flow, .. } | Next::Enrol { flow, .. } => {
            let Expected { username, realm, known } = expected;
            Passage::Ask(SignInStep { grant: flow.id, username, realm, known, picture: None, phone: None })
        }
        Next::Refused { refusal, reference } => Passage::Refused { refusal, reference },
    }
}

/// What a sign-in that is through came to.
///
/// # Errors
/// It names nobody.
pub fn outcome(flow: &Flow, session: &Session) -> Result<Outcome, Fault> {
    let state = &flow.stored.state;
    let subject = state.subject.clone().ok_or_else(|| Fault::stored("a sign-in is ready but names nobody"))?;
    Ok(Outcome {
        grant: flow.id.clone(),
        subject: UserId(subject),
        proofs: state.proofs.clone(),
        policy: policy::named(state.policy),
        session: session.id.clone(),
        auth_time: session.auth_time(),
    })
}

/// The proofs of a sign-in that is through, for the session it makes.
pub fn proofs(flow: &Flow) -> Vec<Proof> {
    flow.stored.state.proofs.clone()
}
