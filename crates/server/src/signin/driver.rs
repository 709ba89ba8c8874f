//! Runs the engine against the world: advance, commit, answer what it asks, advance again, stop at a prompt.
//!
//! Owns the order of things (charged before checked, one transaction per step) and who is looked up for an
//! answer. Decides nothing about sign-in and knows no wire dialect.

use engine::facts::Facts;
use engine::policy::Policy;
use engine::{Ask, Effect, Event, NotNow, Prior, Prompt, Proof, Refusal, Start, Step, Verdict, Who};
use protocol::records::{
    ChallengeId, ClientId, Digest, Enrolment, EnrolmentId, GrantId, RelyingParty, SourceId, User, UserId,
};
use store::{Challenge, Change, CommitError, SignInRow};

use super::factors::{self, Cause, Judgement};
use super::stored::{Resume, Stored};
use crate::app::App;
use crate::delivery::Outgoing;
use crate::directory::TenantView;
use crate::fault::Fault;
use crate::hashing::Busy;
use crate::secret::Secret;
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

/// A challenge to make.
pub enum IssueRequest<'a> {
    /// A one-time code to an enrolled address.
    Code {
        /// The enrolment.
        enrolment: &'a Enrolment,
        /// Text put before the code; four digits where none is given.
        correlation: Option<&'a str>,
    },
    /// A one-time code to an address given now.
    Transient {
        /// The kind of code.
        kind: engine::FactorKind,
        /// The address.
        to: &'a str,
        /// The person the address belongs to; none is a stranger, to whom nothing is sent.
        user: Option<UserId>,
        /// Text put before the code.
        correlation: Option<&'a str>,
    },
    /// WebAuthn assertion options.
    Passkey {
        /// The relying party.
        relying_party: &'a RelyingParty,
        /// The person, where known.
        user: Option<UserId>,
        /// The person's credentials; empty for username-less sign-in.
        credentials: &'a [Enrolment],
        /// `required`, `preferred` or `discouraged`.
        user_verification: &'a str,
    },
}

/// What was made.
pub struct Made {
    /// The challenge.
    pub challenge: Challenge,
    /// WebAuthn options for the browser; absent for codes.
    pub options: Option<serde_json::Value>,
}

/// An answer, with its evidence.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack of one request and is taken apart at once")]
pub enum Submission<'a> {
    /// A password of a source.
    Password {
        /// The source.
        source: &'a SourceId,
        /// The login as typed.
        username: &'a str,
        /// The password.
        password: Secret<String>,
    },
    /// A one-time code that was sent.
    Code {
        /// The challenge it answers.
        challenge: Challenge,
        /// The code.
        code: Secret<String>,
    },
    /// A time-based code.
    Totp {
        /// The enrolment; none is one that does not exist, which takes the same path.
        enrolment: Option<Enrolment>,
        /// The code.
        code: Secret<String>,
    },
    /// A WebAuthn assertion.
    Passkey {
        /// The relying party.
        relying_party: &'a RelyingParty,
        /// The challenge it answers.
        challenge: Challenge,
        /// The credential it names; none is one that does not exist.
        enrolment: Option<Enrolment>,
        /// The response of the authenticator.
        response: serde_json::Value,
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

/// A proof at hand: what the door turns into its receipt.
#[derive(Debug)]
pub struct Proved {
    /// The sign-in.
    pub flow: Flow,
    /// The proof.
    pub proof: Proof,
    /// Who proved it.
    pub subject: UserId,
    /// The receipt.
    pub receipt: String,
    /// The person's record, where the check loaded it.
    pub user: Option<User>,
}

impl<'a> SignIns<'a> {
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
        let now = self.app.world.now();
        let settings = &self.tenant.tenant.settings;
        let step = engine::begin(
            Start {
                policy: begin.policy,
                after: begin.after,
                facts: begin.facts,
                offered: &self.tenant.offered,
                prior: begin.prior,
                first_satisfies: settings.first_factor_satisfies_mfa,
                expires: now + settings.challenge_lifetime,
            },
            now,
        );
        let earlier = if begin.resume.renews {
            self.app.store.sign_in(&self.tenant.tenant.id, &begin.grant).await?
        } else {
            None
        };
        let flow = Flow {
            id: begin.grant,
            client: begin.client,
            handle: earlier.as_ref().map_or(Digest([0; 32]), |row| row.handle),
            version: earlier.map_or(0, |row| row.version),
            stored: Stored { state: step.sign_in.clone(), resume: begin.resume, decisions: Vec::new() },
        };
        self.settle(flow, step).await
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
        let event = Event::Continue {
            receipt,
            after,
            facts,
            offered: &self.tenant.offered,
            first_satisfies: self.tenant.tenant.settings.first_factor_satisfies_mfa,
        };
        let step = self.advance(&mut flow, event)?;
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
            engine::Next::Show(Prompt::Finish) => Ok(Next::Ready(flow)),
            engine::Next::Show(Prompt::Refused(refusal)) => {
                let reference = self.app.world.token(12);
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

    /// Makes a challenge and stores it with the step.
    ///
    /// # Errors
    /// The factor is not asked for, too many messages, unusable input, somebody was first, or the store failed.
    pub async fn issue(self, mut flow: Flow, request: IssueRequest<'_>) -> Result<Made, Failure> {
        let now = self.app.world.now();
        let (kind, enrolment, user) = match &request {
            IssueRequest::Code { enrolment, .. } => {
                (kind_of(enrolment)?, Some(enrolment.id.0.clone()), Some(enrolment.user.clone()))
            }
            IssueRequest::Transient { kind, user, .. } => (*kind, None, user.clone()),
            IssueRequest::Passkey { user, .. } => (engine::FactorKind::Passkey, None, user.clone()),
        };
        let who = user.as_ref().map(|user| Who::Known(user.0.clone()));
        let step = self.advance(&mut flow, Event::Issue { kind, enrolment, who })?;
        let mut changes = self.note(&mut flow, step.effects);
        let (made, message) = self.make(Some(&flow.id), request, now)?;
        let step = self.advance(&mut flow, Event::Issued { challenge: made.challenge.id.0.clone() })?;
        changes.extend(self.note(&mut flow, step.effects));
        changes.push(Change::AddChallenge(made.challenge.clone()));
        let metered = if let (Some(message), Some(user)) = (message, &user) {
            changes.push(Change::Meter {
                key: format!("messages:{user}"),
                limit: i64::from(self.tenant.tenant.settings.messages_per_hour),
                window: 3600,
                at: now,
            });
            let metered = changes.len() - 1;
            changes.push(Change::Enqueue(self.app.delivery.seal(&self.app.world, &message, made.challenge.expires)));
            Some(metered)
        } else {
            None
        };
        changes.push(self.write(&mut flow)?);
        let sends = metered.is_some();
        match self.app.commit(&self.tenant.tenant.id, "challenge issued", changes).await {
            Ok(()) => {}
            Err(CommitError::Refused { index }) if Some(index) == metered => return Err(Failure::TooManyMessages),
            Err(CommitError::Refused { .. }) => return Err(Failure::Stale),
            Err(CommitError::Unavailable(error)) => return Err(Failure::Fault(error.into())),
        }
        if sends {
            self.app.delivery.wake();
        }
        Ok(made)
    }

    /// Makes a challenge and the message that carries it; neither is stored yet. `sign_in` is none outside any.
    pub(super) fn make(
        self,
        sign_in: Option<&GrantId>,
        request: IssueRequest<'_>,
        now: i64,
    ) -> Result<(Made, Option<Outgoing>), Failure> {
        let settings = &self.tenant.tenant.settings;
        let made = match request {
            IssueRequest::Code { enrolment, correlation } => factors::otp::issue(
                &self.app.world,
                &self.app.master,
                &self.tenant.tenant,
                factors::otp::Request {
                    kind: kind_of(enrolment)?,
                    sign_in: sign_in.cloned(),
                    user: Some(enrolment.user.clone()),
                    enrolment: Some(enrolment.id.clone()),
                    to: factors::otp::address(enrolment).ok_or(Failure::Unusable(factors::Unusable::NoAddress))?,
                    correlation,
                },
                now,
            ),
            IssueRequest::Transient { kind, to, user, correlation } => factors::otp::issue(
                &self.app.world,
                &self.app.master,
                &self.tenant.tenant,
                factors::otp::Request { kind, sign_in: sign_in.cloned(), user, enrolment: None, to, correlation },
                now,
            ),
            IssueRequest::Passkey { relying_party, user, credentials, user_verification } => {
                if !settings.fido2_enabled {
                    return Err(Failure::Unusable(factors::Unusable::SwitchedOff));
                }
                let (options, challenge) = factors::webauthn::assertion_options(
                    &self.app.world,
                    &self.app.master,
                    relying_party,
                    factors::webauthn::Request { sign_in: sign_in.cloned(), user, credentials, user_verification },
                    now,
                )
                .map_err(Failure::Unusable)?;
                return Ok((Made { challenge, options: Some(options) }, None));
            }
        };
        let issued = made.map_err(Failure::Unusable)?;
        // What has no way out of this server is not promised.
        if !self.app.delivery.supports(issued.message.channel) {
            return Err(Failure::Unusable(factors::Unusable::SwitchedOff));
        }
        Ok((Made { challenge: issued.challenge, options: None }, Some(issued.message)))
    }

    /// Withdraws a challenge.
    ///
    /// # Errors
    /// It is not in flight, somebody was first, or the store failed.
    pub async fn withdraw(self, mut flow: Flow, mut challenge: Challenge) -> Result<(), Failure> {
        let step = self.advance(&mut flow, Event::Withdraw { challenge: challenge.id.0.clone() })?;
        let mut changes = self.note(&mut flow, step.effects);
        challenge.state = "canceled".to_owned();
        challenge.updated = self.app.world.now();
        changes.push(Change::UpdateChallenge(challenge));
        changes.push(self.write(&mut flow)?);
        self.commit("challenge withdrawn", changes).await
    }

    /// Judges an answer: charged and committed first, then checked, then the verdict committed.
    ///
    /// # Errors
    /// [`Failure::Wrong`] when the answer is wrong or nothing is judged at present; see [`Failure`].
    pub async fn submit(self, mut flow: Flow, submission: Submission<'_>) -> Result<Proved, Failure> {
        let looked_up = self.look_up(&submission).await?;
        let event = Event::Submit {
            kind: looked_up.kind,
            who: looked_up.who.clone(),
            enrolment: looked_up.enrolment.as_ref().map(|id| id.0.clone()),
            challenge: looked_up.challenge.as_ref().map(|id| id.0.clone()),
        };
        let step = self.advance(&mut flow, event)?;
        let engine::Next::Ask(Ask::Check { .. }) = step.next else {
            return Err(Failure::NotNow(NotNow::OutOfTurn));
        };
        let mut changes = Vec::with_capacity(2);
        for effect in step.effects {
            match effect {
                Effect::Charge { kind, .. } => changes.push(self.charge(&looked_up.counter, kind)),
                other => changes.extend(self.note(&mut flow, vec![other])),
            }
        }
        changes.push(self.write(&mut flow)?);
        let last = changes.len() - 1;
        match self.app.commit(&self.tenant.tenant.id, "answer charged", changes).await {
            Ok(()) => {}
            Err(CommitError::Refused { index }) if index == last => return Err(Failure::Stale),
            Err(CommitError::Refused { .. }) => return Err(Failure::Wrong(Cause::Resting)),
            Err(CommitError::Unavailable(error)) => return Err(Failure::Fault(error.into())),
        }
        let judgement = self.judge(submission, looked_up.user.as_ref()).await?;
        self.conclude(flow, judgement, looked_up.user, &looked_up.counter).await
    }

    /// Commits the verdict with what the check wants to have written.
    async fn conclude(
        self,
        flow: Flow,
        judgement: Judgement,
        user: Option<User>,
        counter: &str,
    ) -> Result<Proved, Failure> {
        let cause = judgement.cause;
        let verdict = if judgement.passed {
            Verdict::Passed { receipt: self.app.world.uuid(), user_verified: judgement.user_verified }
        } else {
            Verdict::Failed { challenge_dead: judgement.challenge_dead }
        };
        let mut after = flow.clone();
        let step = self.advance(&mut after, Event::Judged(verdict))?;
        let mut changes = judgement.changes;
        let own = changes.len();
        for effect in step.effects {
            match effect {
                Effect::Clear { kind, .. } => {
                    changes.push(Change::ClearAttempts { key: counter_key(kind, counter) });
                }
                other => changes.extend(self.note(&mut after, vec![other])),
            }
        }
        changes.push(self.write(&mut after)?);
        match self.app.commit(&self.tenant.tenant.id, "answer judged", changes).await {
            Ok(()) => {}
            // Something single-use behind the answer was spent by somebody else meanwhile: it proves nothing here.
            Err(CommitError::Refused { index }) if index < own && judgement.passed => {
                return self.failed_after_all(flow).await;
            }
            Err(CommitError::Refused { .. }) => return Err(Failure::Stale),
            Err(CommitError::Unavailable(error)) => return Err(Failure::Fault(error.into())),
        }
        match step.next {
            engine::Next::Show(Prompt::Present { proof, subject, receipt }) => {
                Ok(Proved { flow: after, proof, subject: subject.into(), receipt, user })
            }
            engine::Next::Show(_) | engine::Next::Ask(_) => Err(Failure::Wrong(cause)),
        }
    }

    async fn failed_after_all(self, mut flow: Flow) -> Result<Proved, Failure> {
        let step = self.advance(&mut flow, Event::Judged(Verdict::Failed { challenge_dead: true }))?;
        let mut changes = self.note(&mut flow, step.effects);
        changes.push(self.write(&mut flow)?);
        self.commit("answer spent elsewhere", changes).await?;
        Err(Failure::Wrong(Cause::Replayed))
    }

    /// Who an answer is judged for, found before anything is judged.
    pub(super) async fn look_up(self, submission: &Submission<'_>) -> Result<LookedUp, Failure> {
        let tenant = &self.tenant.tenant.id;
        Ok(match submission {
            Submission::Password { source, username, .. } => {
                let user = self.app.store.user_by_login(tenant, source, username).await?;
                // A stranger's counter is kept under a hash of what was typed, so that it rests like anybody's.
                let counter = user.as_ref().map_or_else(
                    || {
                        let folded = format!("{source}\n{}", username.to_lowercase());
                        tokens::hex(&self.app.master.mac("stranger", folded.as_bytes())[..16])
                    },
                    |user| user.id.0.clone(),
                );
                LookedUp { kind: engine::FactorKind::Password, counter, enrolment: None, challenge: None, ..who(user) }
            }
            Submission::Code { challenge, .. } => {
                let kind = engine::FactorKind::parse(&challenge.kind)
                    .ok_or_else(|| Fault::stored("a challenge names a factor that does not exist"))?;
                let user = match &challenge.user {
                    Some(id) => self.app.store.user(tenant, id).await?,
                    None => None,
                };
                LookedUp {
                    kind,
                    counter: user.as_ref().map_or_else(|| challenge.id.0.clone(), |user| user.id.0.clone()),
                    enrolment: challenge.enrolment.clone(),
                    challenge: Some(challenge.id.clone()),
                    ..who(user)
                }
            }
            Submission::Totp { enrolment, .. } => {
                let user = match enrolment {
                    Some(enrolment) => self.app.store.user(tenant, &enrolment.user).await?,
                    None => None,
                };
                LookedUp {
                    kind: engine::FactorKind::Totp,
                    counter: user.as_ref().map_or_else(|| "nobody".to_owned(), |user| user.id.0.clone()),
                    enrolment: enrolment.as_ref().map(|enrolment| enrolment.id.clone()),
                    challenge: None,
                    ..who(user)
                }
            }
            Submission::Passkey { challenge, enrolment, .. } => {
                let user = match enrolment {
                    Some(enrolment) => self.app.store.user(tenant, &enrolment.user).await?,
                    None => None,
                };
                LookedUp {
                    kind: engine::FactorKind::Passkey,
                    counter: user.as_ref().map_or_else(|| challenge.id.0.clone(), |user| user.id.0.clone()),
                    enrolment: enrolment.as_ref().map(|enrolment| enrolment.id.clone()),
                    challenge: Some(challenge.id.clone()),
                    ..who(user)
                }
            }
        })
    }

    pub(super) async fn judge(self, submission: Submission<'_>, user: Option<&User>) -> Result<Judgement, Failure> {
        let now = self.app.world.now();
        // An address that belongs to nobody can be verified where no sign-in depends on whose it is.
        let of_nobody = matches!(
            &submission,
            Submission::Code { challenge, .. } if challenge.user.is_none() && challenge.sign_in.is_none()
        );
        let mut judgement = match submission {
            Submission::Password { password, .. } => {
                factors::password::judge(&self.app.hashing, user, password, now).await.map_err(Failure::Busy)?
            }
            Submission::Code { challenge, code } => {
                let enrolment = match &challenge.enrolment {
                    Some(id) => Some(self.app.store.enrolment(&self.tenant.tenant.id, id).await?),
                    None => None,
                };
                let judgement = factors::otp::judge(&self.app.master, &challenge, &code, now);
                match enrolment {
                    Some(enrolment) => factors::otp::of_enrolment(judgement, &challenge, enrolment, now),
                    None => judgement,
                }
            }
            Submission::Totp { enrolment, code } => {
                let settings = &self.tenant.tenant.settings.totp;
                match &enrolment {
                    Some(enrolment) if enrolment.enabled => {
                        factors::totp::judge(&self.app.master, enrolment, settings, &code, now)
                    }
                    Some(_) | None => Judgement::failed(Cause::WrongCode),
                }
            }
            Submission::Passkey { relying_party, challenge, enrolment, response } => match &enrolment {
                Some(enrolment) => factors::webauthn::judge_assertion(
                    &self.app.master,
                    relying_party,
                    &challenge,
                    enrolment,
                    &response,
                    now,
                ),
                None => factors::webauthn::judge_unknown(&challenge, now),
            },
        };
        if judgement.passed && !of_nobody && !user.is_some_and(|user| user.active) {
            judgement.passed = false;
            judgement.cause = Cause::Inactive;
        }
        Ok(judgement)
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
                Effect::CancelChallenges { enrolment } => {
                    // Nothing can be in flight before the sign-in was first stored.
                    if flow.version > 0 {
                        changes.push(Change::CancelChallenges {
                            sign_in: flow.id.clone(),
                            enrolment: enrolment.map(EnrolmentId),
                            at: self.app.world.now(),
                        });
                    }
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

/// Who an answer is judged for.
pub(super) struct LookedUp {
    pub(super) kind: engine::FactorKind,
    pub(super) who: Who,
    pub(super) user: Option<User>,
    pub(super) counter: String,
    pub(super) enrolment: Option<EnrolmentId>,
    challenge: Option<ChallengeId>,
}

fn who(user: Option<User>) -> LookedUp {
    LookedUp {
        kind: engine::FactorKind::Password,
        who: user.as_ref().map_or(Who::Nobody, |user| Who::Known(user.id.0.clone())),
        user,
        counter: String::new(),
        enrolment: None,
        challenge: None,
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
