//! Judging answers: looked up, charged and committed first, then checked, then the verdict committed.

use engine::{Ask, Effect, Event, NotNow, Prompt, Proof, Verdict, Who};
use protocol::records::{ChallengeId, Enrolment, EnrolmentId, RelyingParty, SourceId, User, UserId};
use store::{Challenge, Change, CommitError};

use super::{Failure, Flow, SignIns, counter_key};
use crate::delivery::Happened;
use crate::fault::Fault;
use crate::secret::Secret;
use crate::signin::factors::questions::Answers;
use crate::signin::factors::{self, Cause, Judgement};
use crate::signin::notice::Notice;
use crate::signin::standing::not_cut_off;
use crate::signin::upstream::Vouched;
use crate::tokens;

/// Seconds within which the tries of one place are counted together.
const PLACE_WINDOW: i64 = 600;
/// A place that uses its tries up again and again waits longer each time, this long at most.
const PLACE_LONGEST: i64 = 4 * 3600;

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
    /// Answers to questions.
    Answers {
        /// The challenge they answer.
        challenge: Challenge,
        /// The answers, by the keys of their questions.
        answers: Answers,
    },
    /// A bypass code.
    BypassCode {
        /// Whose it would be.
        user: UserId,
        /// The code.
        code: Secret<String>,
    },
    /// A request to approve that the phone has settled.
    Push {
        /// The transaction.
        challenge: Challenge,
    },
    /// A sign-in at another identity provider that was believed.
    Upstream {
        /// Whom it vouched for.
        vouched: Box<Vouched>,
    },
    /// A picture that a phone has scanned.
    Qr {
        /// Its challenge.
        challenge: Challenge,
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

impl SignIns<'_> {
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
        let mut changes = Vec::with_capacity(3);
        changes.extend(self.pace_place(flow.stored.place.as_deref()));
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
        let judgement = self.still_good(judgement, &looked_up).await?;
        self.conclude(flow, judgement, looked_up.user, &looked_up.counter).await
    }

    /// Counts a try of this place, where one is known: many accounts tried from there, each below its own limit, are stopped by it.
    pub(in crate::signin) fn pace_place(self, place: Option<&str>) -> Option<Change> {
        let limit = i64::from(self.tenant.tenant.settings.tries_per_place);
        let key = format!("tries:{}", place.filter(|_| limit > 0)?);
        Some(Change::Pace { key, limit, window: PLACE_WINDOW, longest: PLACE_LONGEST, at: self.app.world.now() })
    }

    /// A right password may have become too old to prove anything.
    pub(in crate::signin) async fn still_good(
        self,
        judgement: Judgement,
        looked_up: &LookedUp,
    ) -> Result<Judgement, Failure> {
        match looked_up.kind {
            engine::FactorKind::Password => self.due(judgement, looked_up.user.as_ref(), &looked_up.counter).await,
            _ => Ok(judgement),
        }
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
            let (receipt, user_verified) = (self.app.world.uuid(), judgement.user_verified);
            Verdict::Passed { receipt, user_verified, upstream: judgement.upstream }
        } else {
            Verdict::Failed { challenge_dead: judgement.challenge_dead }
        };
        let mut after = flow.clone();
        let step = self.advance(&mut after, Event::Judged(verdict))?;
        let mut changes = judgement.changes;
        if let Some(user) = user.as_ref().filter(|_| judgement.passed) {
            changes.insert(0, not_cut_off(user));
        }
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
    pub(in crate::signin) async fn look_up(self, submission: &Submission<'_>) -> Result<LookedUp, Failure> {
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
            Submission::BypassCode { user, .. } => {
                let user = self.app.store.user(tenant, user).await?;
                LookedUp {
                    kind: engine::FactorKind::BypassCode,
                    counter: user.as_ref().map_or_else(|| "nobody".to_owned(), |user| user.id.0.clone()),
                    ..who(user)
                }
            }
            Submission::Code { challenge, .. }
            | Submission::Answers { challenge, .. }
            | Submission::Qr { challenge }
            | Submission::Push { challenge } => {
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
            Submission::Upstream { vouched } => {
                let (challenge, user) = (vouched.challenge(), vouched.user().clone());
                LookedUp {
                    kind: engine::FactorKind::Federated,
                    counter: user.id.0.clone(),
                    enrolment: None,
                    challenge: Some(challenge.id.clone()),
                    ..who(Some(user))
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

    pub(in crate::signin) async fn judge(
        self,
        submission: Submission<'_>,
        user: Option<&User>,
    ) -> Result<Judgement, Failure> {
        let now = self.app.world.now();
        // An address that belongs to nobody can be verified where no sign-in depends on whose it is.
        let of_nobody = matches!(
            &submission,
            Submission::Code { challenge, .. } if challenge.user.is_none() && challenge.sign_in.is_none()
        );
        // An enrolment that this answer proves for the first time.
        let mut proves = None;
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
                proves = enrolment.clone().flatten().filter(|one| !one.validated);
                match enrolment {
                    Some(enrolment) => factors::otp::of_enrolment(judgement, &challenge, enrolment, now),
                    None => judgement,
                }
            }
            Submission::BypassCode { user, code } => self.judge_bypass(&user, &code).await?,
            Submission::Answers { challenge, answers } => {
                let enrolment = match &challenge.enrolment {
                    Some(id) => self.app.store.enrolment(&self.tenant.tenant.id, id).await?,
                    None => None,
                };
                let judged =
                    factors::questions::judge(&self.app.hashing, &challenge, enrolment.as_ref(), &answers, now).await;
                judged.map_err(Failure::Busy)?
            }
            Submission::Upstream { vouched } => vouched.judge(now),
            Submission::Qr { challenge } => factors::qr::judge(&challenge, now),
            Submission::Push { challenge } => {
                let enrolment = match &challenge.enrolment {
                    Some(id) => self.app.store.enrolment(&self.tenant.tenant.id, id).await?,
                    None => None,
                };
                factors::push::judge(&challenge, enrolment.as_ref(), now)
            }
            Submission::Totp { enrolment, code } => {
                let settings = &self.tenant.tenant.settings.totp;
                proves = enrolment.clone().filter(|one| !one.validated);
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
        if let Some(enrolment) = proves.filter(|_| judgement.passed) {
            // From now on it is one of the person's factors.
            let notice = Notice::about(Happened::Added, &enrolment);
            judgement.changes.extend(self.tell(&enrolment.user, notice).await?);
        }
        Ok(judgement)
    }
}

/// Who an answer is judged for.
pub(in crate::signin) struct LookedUp {
    pub(in crate::signin) kind: engine::FactorKind,
    pub(in crate::signin) who: Who,
    pub(in crate::signin) user: Option<User>,
    pub(in crate::signin) counter: String,
    pub(in crate::signin) enrolment: Option<EnrolmentId>,
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
