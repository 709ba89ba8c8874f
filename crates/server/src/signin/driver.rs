//! Runs the engine against the world: advance, commit, answer what it asks, advance again, stop at a prompt.
//!
//! Owns the order of things: one transaction per step, charged before checked ([`submit`]), and what a challenge is made of
//! ([`issue`]). Decides nothing about sign-in and knows no wire dialect.

use std::net::IpAddr;

use engine::facts::{ClientType, Facts};
use engine::policy::Policy;
use engine::{Effect, Event, Level, NotNow, Prior, Prompt, Refusal, Start, Step, Who};
use protocol::records::{ChallengeId, ClientId, Digest, Enrolment, GrantId, User};
use store::{Change, CommitError, SignInRow};

mod enrol;
mod issue;
mod submit;

pub use issue::{IssueRequest, Made};
pub use submit::{Proved, Submission};

use super::factors::{self, Cause};
use super::stored::{Resume, Stored};
use crate::app::App;
use crate::directory::TenantView;
use crate::fault::Fault;
use crate::hashing::Busy;
use crate::tokens;

/// The sign-ins of one tenant.
#[derive(Clone, Copy)]
pub struct SignIns<'a> {
    /// The process.
    pub app: &'a App,
    /// The tenant.
    pub tenant: &'a TenantView,
}

/// A sign-in as it was loaded, or as the last step left it.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its id, which is the id of the grant.
    pub id: GrantId,
    /// The client that began it.
    pub client: ClientId,
    /// Its state and what it is for.
    pub stored: Stored,
    handle: Digest,
    version: i64,
}

impl Flow {
    /// Whether what was proved in it speaks for this person still: what was proved before they were cut off counts no more.
    pub fn speaks_for(&self, user: &User) -> bool {
        user.active && self.stored.state.proofs.iter().all(|proof| proof.at >= user.not_before)
    }
}

/// What a sign-in begins with.
pub struct Begin<'a> {
    /// The client.
    pub client: ClientId,
    /// The grant it belongs to: a new id, or that of a grant being renewed.
    pub grant: GrantId,
    /// The policy that governs it; none where no policy applies.
    pub policy: Option<&'a Policy>,
    /// The policy whose after-contact rules apply.
    pub after: Option<&'a Policy>,
    /// What is known now.
    pub facts: &'a Facts,
    /// What is proved already.
    pub prior: Option<Prior>,
    /// What it is for.
    pub resume: Resume,
}

/// What the next step is, seen by the caller.
#[derive(Debug)]
pub enum Next {
    /// A factor is to be proved; the handle is new and given out once.
    Challenge {
        /// The sign-in.
        flow: Flow,
        /// The credential that continues it.
        handle: String,
        /// Kinds that may be proved.
        any_of: Vec<engine::FactorKind>,
    },
    /// The person has nothing to prove what is asked for with, and may enrol it; the handle is new and given out once. Only a
    /// sign-in that began at a door which can enrol ([`Resume::enrols`]) comes here.
    Enrol {
        /// The sign-in.
        flow: Flow,
        /// The credential that continues it.
        handle: String,
        /// Kinds that may be enrolled.
        any_of: Vec<engine::FactorKind>,
        /// Whether one must be enrolled before it goes on.
        required: bool,
    },
    /// Everything is proved. Nothing is stored yet: the caller commits [`SignIns::redeem`] together with what it hands out.
    Ready(Flow),
    /// Refused, and recorded under this public reference.
    Refused {
        /// What may be shown.
        refusal: Refusal,
        /// Under which an administrator finds the decision.
        reference: String,
    },
}

/// Why a step was not taken.
#[derive(Debug)]
pub enum Failure {
    /// The event does not fit where the sign-in stands.
    NotNow(NotNow),
    /// Somebody else took the step first.
    Stale,
    /// The answer was wrong; the sign-in stands where it stood.
    Wrong(Cause),
    /// Too much to do: try again.
    Busy(Busy),
    /// Too many messages to this person.
    TooManyMessages,
    /// What was asked for cannot be done with this input.
    Unusable(factors::Unusable),
    /// The server's own failure.
    Fault(Fault),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<store::StoreError> for Failure {
    fn from(error: store::StoreError) -> Self {
        Self::Fault(Fault::from(error))
    }
}

impl From<NotNow> for Failure {
    fn from(not_now: NotNow) -> Self {
        Self::NotNow(not_now)
    }
}

impl SignIns<'_> {
    /// The sign-in this handle continues.
    ///
    /// # Errors
    /// The store failed, or holds what cannot be read.
    pub async fn by_handle(self, handle: &str) -> Result<Option<Flow>, Fault> {
        let row = self.app.store.sign_in_by_handle(&self.tenant.tenant.id, &tokens::digest(handle)).await?;
        self.live(row)
    }

    /// The sign-in of this grant.
    ///
    /// # Errors
    /// The store failed, or holds what cannot be read.
    pub async fn by_grant(self, grant: &GrantId) -> Result<Option<Flow>, Fault> {
        let row = self.app.store.sign_in(&self.tenant.tenant.id, grant).await?;
        self.live(row)
    }

    fn live(self, row: Option<SignInRow>) -> Result<Option<Flow>, Fault> {
        let now = self.app.world.now();
        row.filter(|row| row.expires > now).map(load).transpose()
    }

    /// Begins a sign-in, or a further run of a grant that has one already.
    ///
    /// # Errors
    /// [`Failure::Stale`] when another run of the same grant began at the same moment; the store failed.
    pub async fn begin(self, begin: Begin<'_>) -> Result<Next, Failure> {
        self.begin_at_least(begin, None).await
    }

    /// The same, to end at no lower level than this. Policy is asked first; what is missing for the level is asked for then.
    ///
    /// # Errors
    /// See [`begin`](Self::begin).
    pub async fn begin_at_least(self, begin: Begin<'_>, at_least: Option<Level>) -> Result<Next, Failure> {
        let (flow, step) = self.first_step(begin, at_least).await?;
        self.settle(flow, step).await
    }

    /// Begins a sign-in whose first answer is at hand already: it is stored together with that, and its handle is good only then.
    /// Refused, it is recorded as ever.
    ///
    /// # Errors
    /// See [`begin`](Self::begin).
    pub async fn begin_with_answer(self, begin: Begin<'_>) -> Result<Next, Failure> {
        let (mut flow, step) = self.first_step(begin, None).await?;
        match step.next {
            engine::Next::Show(Prompt::Choose { any_of, .. }) => {
                // Nothing is in flight and nobody is counted yet: what it comes to is the decision, kept with the sign-in.
                self.note(&mut flow, step.effects);
                let handle = self.app.world.token(tokens::ACCESS_TOKEN_LENGTH);
                flow.handle = tokens::digest(&handle);
                Ok(Next::Challenge { flow, handle, any_of })
            }
            _ => self.settle(flow, step).await,
        }
    }

    /// What a first contact would be asked for now. Nothing is stored.
    ///
    /// # Errors
    /// See [`begin`](Self::begin).
    pub async fn preview(self, begin: Begin<'_>) -> Result<Option<Vec<engine::FactorKind>>, Failure> {
        let (_, step) = self.first_step(begin, None).await?;
        Ok(match step.next {
            engine::Next::Show(Prompt::Choose { any_of, .. }) => Some(any_of),
            engine::Next::Show(_) | engine::Next::Ask(_) => None,
        })
    }

    async fn first_step(self, begin: Begin<'_>, at_least: Option<Level>) -> Result<(Flow, Step), Failure> {
        let now = self.app.world.now();
        let place = self.place(&begin);
        let settings = &self.tenant.tenant.settings;
        let known = begin.prior.as_ref().map(|prior| prior.subject.as_str());
        let facts = self.knowing(begin.after, begin.facts, known).await?;
        let step = engine::begin(
            Start {
                policy: begin.policy,
                after: begin.after,
                facts: &facts,
                offered: &self.tenant.offered,
                prior: begin.prior,
                first_satisfies: settings.first_factor_satisfies_mfa,
                at_least,
                expires: now + settings.challenge_lifetime,
            },
            now,
        );
        let earlier = if begin.resume.renews {
            self.app.store.sign_in(&self.tenant.tenant.id, &begin.grant).await?
        } else {
            None
        };
        let mut flow = Flow {
            id: begin.grant,
            client: begin.client,
            handle: earlier.as_ref().map_or(Digest([0; 32]), |row| row.handle),
            version: earlier.map_or(0, |row| row.version),
            stored: Stored { state: step.sign_in.clone(), resume: begin.resume, decisions: Vec::new(), place },
        };
        let step = self.past_enrolment(&mut flow, step, begin.after, &facts)?;
        Ok((flow, step))
    }

    /// Stores a sign-in that is ready, for a door that has a question of its own before it is redeemed.
    ///
    /// # Errors
    /// Somebody was first, or the store failed.
    pub async fn hold(self, mut flow: Flow) -> Result<Flow, Failure> {
        if flow.version == 0 {
            flow.handle = tokens::digest(&self.app.world.token(tokens::ACCESS_TOKEN_LENGTH));
        }
        let change = self.write(&mut flow)?;
        self.commit("held", vec![change]).await?;
        Ok(flow)
    }

    /// The person's place in the network, hashed, where it is known: what a client that is believed says of its user, or the
    /// connection of a browser. The connection of a client that speaks for many people is nobody's place.
    fn place(self, begin: &Begin<'_>) -> Option<String> {
        const SPOKEN_FOR: [&str; 6] = [
            "policyauth",
            "authenticate",
            "password",
            "refresh_token",
            "token-exchange",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
        ];
        // One that is no record of the tenant's is our own pages, which speak for nobody.
        let client = self.tenant.client(begin.client.as_str());
        let public = client.is_none_or(|client| super::context::client_type(client) == ClientType::Public);
        let forwards = client.is_some_and(|client| client.trusted_to_forward);
        let named = begin.resume.context.as_ref().filter(|_| !public && forwards);
        let address = match named.and_then(super::context::Context::address) {
            Some(address) => address,
            None if public || !SPOKEN_FOR.contains(&begin.resume.grant_type.as_str()) => *begin.facts.ip.known()?,
            None => return None,
        };
        // One household has a network of these, not an address.
        let prefix = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("{:x?}", &address.segments()[..4]),
        };
        Some(tokens::hex(&self.app.master.mac("place", prefix.as_bytes())[..16]))
    }

    /// Presents the receipt of a proof: policy is asked with what is known now.
    ///
    /// # Errors
    /// The receipt does not fit, somebody presented it first, or the store failed.
    pub async fn proceed(
        self,
        mut flow: Flow,
        receipt: &str,
        after: Option<&Policy>,
        facts: &Facts,
    ) -> Result<Next, Failure> {
        let subject = match &flow.stored.state.stage {
            engine::Stage::Proven { subject, .. } => Some(subject.clone()),
            _ => flow.stored.state.subject.clone(),
        };
        let facts = self.knowing(after, facts, subject.as_deref()).await?;
        let event = Event::Continue {
            receipt,
            after,
            facts: &facts,
            offered: &self.tenant.offered,
            first_satisfies: self.tenant.tenant.settings.first_factor_satisfies_mfa,
            at_least: None,
        };
        let step = self.advance(&mut flow, event)?;
        let step = self.past_enrolment(&mut flow, step, after, &facts)?;
        self.settle(flow, step).await
    }

    /// Refuses a sign-in whatever was proved.
    ///
    /// # Errors
    /// It cannot be refused where it stands, somebody was first, or the store failed.
    pub async fn refuse(self, mut flow: Flow, refusal: Refusal) -> Result<Next, Failure> {
        let step = self.advance(&mut flow, Event::Refuse(refusal))?;
        self.settle(flow, step).await
    }

    /// Stores a step that ends in a prompt, under a new handle when a factor is to be proved.
    async fn settle(self, mut flow: Flow, step: Step) -> Result<Next, Failure> {
        let mut changes = self.note(&mut flow, step.effects);
        match step.next {
            engine::Next::Show(Prompt::Choose { any_of, .. }) => {
                let handle = self.app.world.token(tokens::ACCESS_TOKEN_LENGTH);
                flow.handle = tokens::digest(&handle);
                changes.push(self.write(&mut flow)?);
                self.commit("challenge", changes).await?;
                Ok(Next::Challenge { flow, handle, any_of })
            }
            engine::Next::Show(Prompt::Enrol { any_of, required, .. }) => {
                let handle = self.app.world.token(tokens::ACCESS_TOKEN_LENGTH);
                flow.handle = tokens::digest(&handle);
                changes.push(self.write(&mut flow)?);
                self.commit("enrolment", changes).await?;
                Ok(Next::Enrol { flow, handle, any_of, required })
            }
            engine::Next::Show(Prompt::Finish) => Ok(Next::Ready(flow)),
            engine::Next::Show(Prompt::Refused(refusal)) => {
                let reference = self.app.world.ordered_token(8);
                changes.push(self.record(&flow, &reference));
                // A first contact that is refused leaves no sign-in behind, only its record.
                if flow.version > 0 {
                    changes.push(self.write(&mut flow)?);
                }
                self.commit("refusal", changes).await?;
                Ok(Next::Refused { refusal, reference })
            }
            engine::Next::Show(
                Prompt::Respond { .. } | Prompt::Again { .. } | Prompt::Present { .. } | Prompt::Done,
            )
            | engine::Next::Ask(_) => Err(Failure::NotNow(NotNow::OutOfTurn)),
        }
    }

    /// What must be written, with what is handed out, to redeem a sign-in that is ready. Refused by the store if it was redeemed before.
    ///
    /// # Errors
    /// It is not ready.
    pub fn redeem(self, mut flow: Flow) -> Result<Vec<Change>, Failure> {
        let step = self.advance(&mut flow, Event::Redeem)?;
        let mut changes = self.note(&mut flow, step.effects);
        if !flow.stored.decisions.is_empty() {
            changes.push(self.record(&flow, &self.app.world.token(12)));
        }
        // One that was never stored (nothing had to be asked) needs no row either.
        if flow.version > 0 {
            changes.push(self.write(&mut flow)?);
        }
        Ok(changes)
    }

    /// Takes one step; decisions among its effects are kept with the sign-in.
    fn advance(self, flow: &mut Flow, event: Event<'_>) -> Result<Step, NotNow> {
        let step = engine::advance(flow.stored.state.clone(), event, self.app.world.now())?;
        flow.stored.state = step.sign_in.clone();
        Ok(step)
    }

    /// What the effects of a step come to in the store. Charges are made where the counter is known.
    fn note(self, flow: &mut Flow, effects: Vec<Effect>) -> Vec<Change> {
        let mut changes = Vec::new();
        for effect in effects {
            match effect {
                Effect::Decided(record) => flow.stored.decided(*record),
                // Nothing can be in flight before the sign-in was first stored.
                Effect::CancelChallenges { .. } if flow.version == 0 => {}
                Effect::CancelChallenges { only: None } => changes.push(Change::CancelChallenges {
                    sign_in: flow.id.clone(),
                    enrolment: None,
                    at: self.app.world.now(),
                }),
                Effect::CancelChallenges { only: Some(challenges) } => {
                    let at = self.app.world.now();
                    changes.extend(
                        challenges.into_iter().map(|id| Change::CancelChallenge { challenge: ChallengeId(id), at }),
                    );
                }
                Effect::Clear { subject, kind } => {
                    changes.push(Change::ClearAttempts { key: counter_key(kind, &subject) });
                }
                Effect::Charge { who: Who::Known(subject), kind } => changes.push(self.charge(&subject, kind)),
                Effect::Charge { who: Who::Nobody, kind } => changes.push(self.charge("nobody", kind)),
            }
        }
        changes
    }

    pub(super) fn charge(self, counter: &str, kind: engine::FactorKind) -> Change {
        let settings = &self.tenant.tenant.settings;
        Change::Charge {
            key: counter_key(kind, counter),
            limit: i64::from(settings.lock_after),
            rest: settings.lock_seconds,
            max_rest: settings.lock_max_seconds,
            at: self.app.world.now(),
        }
    }

    fn record(self, flow: &Flow, reference: &str) -> Change {
        Change::Record {
            reference: reference.to_owned(),
            grant: Some(flow.id.clone()),
            at: self.app.world.now(),
            body: serde_json::to_string(&flow.stored.decisions).unwrap_or_else(|_| "[]".to_owned()),
        }
    }

    /// The row of the next version of a sign-in.
    fn write(self, flow: &mut Flow) -> Result<Change, Failure> {
        let body = serde_json::to_string(&flow.stored).map_err(|error| Fault::internal("a sign-in", error))?;
        let row = SignInRow {
            id: flow.id.clone(),
            client: flow.client.clone(),
            handle: flow.handle,
            version: flow.version,
            expires: flow.stored.state.expires,
            body,
        };
        let new = flow.version == 0;
        flow.version += 1;
        Ok(if new { Change::BeginSignIn(SignInRow { version: 1, ..row }) } else { Change::AdvanceSignIn(row) })
    }

    async fn commit(self, name: &'static str, changes: Vec<Change>) -> Result<(), Failure> {
        if changes.is_empty() {
            return Ok(());
        }
        match self.app.commit(&self.tenant.tenant.id, name, changes).await {
            Ok(()) => Ok(()),
            Err(CommitError::Refused { .. }) => Err(Failure::Stale),
            Err(CommitError::Unavailable(error)) => Err(Failure::Fault(error.into())),
        }
    }
}

/// Wrong answers are counted per person and kind: a right password must not forgive wrong codes.
pub(super) fn counter_key(kind: engine::FactorKind, counter: &str) -> String {
    format!("{}:{counter}", kind.as_str())
}

pub(super) fn kind_of(enrolment: &Enrolment) -> Result<engine::FactorKind, Failure> {
    engine::FactorKind::parse(&enrolment.kind)
        .ok_or_else(|| Failure::Fault(Fault::stored("an enrolment names a factor that does not exist")))
}

fn load(row: SignInRow) -> Result<Flow, Fault> {
    let stored: Stored = serde_json::from_str(&row.body).map_err(|error| Fault::internal("a stored sign-in", error))?;
    Ok(Flow { id: row.id, client: row.client, handle: row.handle, version: row.version, stored })
}
