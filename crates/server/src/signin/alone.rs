//! Factors checked outside any sign-in, for the token of a client or of a person (vendor page §2.4).
//!
//! Owns what takes the place of the sign-in: who asks, and that a challenge is answered by whom it was made for. Looks
//! up, charges and judges with the driver's own means: there is one counter of wrong answers, wherever they come in.

use engine::{FactorKind, NotNow, Proof, Who};
use protocol::records::{ClientId, User, UserId};
use serde_json::{Value, json};
use store::{Challenge, Change, CommitError};

use super::Failure;
use super::driver::{IssueRequest, Made, SignIns, Submission, counter_key, kind_of};
use super::factors::{self, Cause, Unusable};
use super::standing::not_cut_off;
use crate::secret::Secret;

/// The member of a challenge's shown part that names its client. Never shown: see [`shown`].
const CLIENT: &str = "client";

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The client its token was issued to.
    pub client: ClientId,
    /// The person of the token: then nobody else's factors are checked.
    pub person: Option<UserId>,
}

/// A factor that was proved outside any sign-in.
#[derive(Debug)]
pub struct Checked {
    /// The proof.
    pub proof: Proof,
    /// Who proved it; none for an address that belongs to nobody.
    pub user: Option<User>,
    /// A fresh name for this proof.
    pub receipt: String,
}

/// What may be shown of a challenge: everything but whom it was made for.
pub fn shown(challenge: &Challenge) -> serde_json::Map<String, Value> {
    let mut members = match serde_json::from_str(&challenge.shown) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => serde_json::Map::new(),
    };
    members.remove(CLIENT);
    members
}

fn bind(challenge: &mut Challenge, asker: &Asker) {
    let mut members = shown(challenge);
    members.insert(CLIENT.to_owned(), json!(asker.client));
    challenge.shown = Value::Object(members).to_string();
}

impl Asker {
    /// Whether a challenge was made for this asker, outside any sign-in.
    pub fn made(&self, challenge: &Challenge) -> bool {
        let members: Value = serde_json::from_str(&challenge.shown).unwrap_or_default();
        challenge.sign_in.is_none()
            && members.get(CLIENT).and_then(Value::as_str) == Some(self.client.as_str())
            && self.person.as_ref().is_none_or(|person| challenge.user.as_ref() == Some(person))
    }
}

impl SignIns<'_> {
    fn offers(self, kind: FactorKind) -> Result<(), Failure> {
        if self.tenant.offered.contains(&kind) { Ok(()) } else { Err(Failure::Unusable(Unusable::SwitchedOff)) }
    }

    /// Makes a challenge that belongs to no sign-in.
    ///
    /// # Errors
    /// It is another person's, the factor is switched off, too many messages, unusable input, or the store failed.
    pub async fn issue_alone(self, asker: &Asker, request: IssueRequest<'_>) -> Result<Made, Failure> {
        self.make_alone(asker, request, false).await.map(|(made, _)| made)
    }

    /// The same for a code that the asker delivers by itself: it is given out here and not sent.
    ///
    /// # Errors
    /// See [`issue_alone`](Self::issue_alone).
    pub async fn issue_alone_handed(
        self,
        asker: &Asker,
        request: IssueRequest<'_>,
    ) -> Result<(Made, Option<Secret<String>>), Failure> {
        self.make_alone(asker, request, true).await
    }

    async fn make_alone(
        self,
        asker: &Asker,
        request: IssueRequest<'_>,
        handed: bool,
    ) -> Result<(Made, Option<Secret<String>>), Failure> {
        let now = self.app.world.now();
        let (kind, user) = match &request {
            IssueRequest::Code { enrolment, .. }
            | IssueRequest::Questions { enrolment }
            | IssueRequest::Push { enrolment, .. } => (kind_of(enrolment)?, Some(enrolment.user.clone())),
            IssueRequest::Qr { .. } => (FactorKind::Qr, None),
            IssueRequest::Upstream { .. } => (FactorKind::Federated, None),
            IssueRequest::Transient { kind, user, .. } => (*kind, user.clone()),
            IssueRequest::Passkey { user, .. } => (FactorKind::Passkey, user.clone()),
        };
        self.offers(kind)?;
        if asker.person.is_some() && asker.person != user {
            return Err(Failure::NotNow(NotNow::OtherPerson));
        }
        let (mut made, message) = self.make(None, request, now)?;
        bind(&mut made.challenge, asker);
        let mut changes = vec![Change::AddChallenge(made.challenge.clone())];
        let mut metered = 1..1;
        if let (Some(FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace), Some(user)) =
            (FactorKind::parse(&made.challenge.kind), &user)
        {
            changes.extend(self.pace_push(user, &made.challenge).await?);
            metered.end = changes.len();
        }
        if let Some(message) = &message {
            changes.extend(self.meter(user.as_ref(), message, now));
            metered.end = changes.len();
            if !handed {
                changes.push(Change::Enqueue(self.app.delivery.seal(&self.app.world, message, made.challenge.expires)));
            }
        }
        match self.app.commit(&self.tenant.tenant.id, "challenge issued", changes).await {
            Ok(()) => {}
            Err(CommitError::Refused { index }) if metered.contains(&index) => return Err(Failure::TooManyMessages),
            Err(CommitError::Refused { .. }) => return Err(Failure::Stale),
            Err(CommitError::Unavailable(error)) => return Err(Failure::Fault(error.into())),
        }
        if message.is_some() && !handed {
            self.app.delivery.wake();
        }
        self.tell_devices(&made.challenge);
        let code = message.filter(|_| handed).and_then(|message| message.code);
        Ok((made, code))
    }

    /// Judges an answer outside any sign-in: charged and committed first, then checked, then the verdict committed.
    ///
    /// # Errors
    /// [`Failure::Wrong`] when the answer is wrong or nothing is judged at present; see [`Failure`].
    pub async fn submit_alone(self, asker: &Asker, submission: Submission<'_>) -> Result<Checked, Failure> {
        if let Submission::Code { challenge, .. }
        | Submission::Answers { challenge, .. }
        | Submission::Push { challenge }
        | Submission::Qr { challenge }
        | Submission::Passkey { challenge, .. } = &submission
            && !asker.made(challenge)
        {
            return Err(Failure::NotNow(NotNow::NoChallenge));
        }
        let looked_up = self.look_up(&submission).await?;
        self.offers(looked_up.kind)?;
        if let Some(own) = &asker.person
            && looked_up.who != Who::Known(own.0.clone())
        {
            return Err(Failure::NotNow(NotNow::OtherPerson));
        }
        self.charge_alone(&looked_up.counter, looked_up.kind).await?;
        let judgement = self.judge(submission, looked_up.user.as_ref()).await?;
        let judgement = self.still_good(judgement, &looked_up).await?;
        let proof = Proof {
            kind: looked_up.kind,
            at: self.app.world.now(),
            enrolment: looked_up.enrolment.map(|id| id.0),
            user_verified: judgement.user_verified,
            this_run: true,
            first: true,
            upstream: None,
        };
        let (passed, cause, mut changes) = (judgement.passed, judgement.cause, judgement.changes);
        if passed {
            if let Some(user) = &looked_up.user {
                changes.insert(0, not_cut_off(user));
            }
            changes.push(Change::ClearAttempts { key: counter_key(proof.kind, &looked_up.counter) });
        }
        self.conclude_alone(passed, cause, changes).await?;
        Ok(Checked { proof, user: looked_up.user, receipt: self.app.world.uuid() })
    }

    pub(super) async fn charge_alone(self, counter: &str, kind: FactorKind) -> Result<(), Failure> {
        self.charge_at(None, counter, kind).await
    }

    /// The same for an answer that comes from a place which is counted too.
    pub(super) async fn charge_at(self, place: Option<&str>, counter: &str, kind: FactorKind) -> Result<(), Failure> {
        let mut charge: Vec<Change> = self.pace_place(place).into_iter().collect();
        charge.push(self.charge(counter, kind));
        match self.app.commit(&self.tenant.tenant.id, "answer charged", charge).await {
            Ok(()) => Ok(()),
            Err(CommitError::Refused { .. }) => Err(Failure::Wrong(Cause::Resting)),
            Err(CommitError::Unavailable(error)) => Err(Failure::Fault(error.into())),
        }
    }

    /// Commits a verdict with what the check wants to have written.
    pub(super) async fn conclude_alone(self, passed: bool, cause: Cause, changes: Vec<Change>) -> Result<(), Failure> {
        if !changes.is_empty() {
            match self.app.commit(&self.tenant.tenant.id, "answer judged", changes).await {
                Ok(()) => {}
                // Something single-use behind the answer was spent by somebody else meanwhile: it proves nothing here.
                Err(CommitError::Refused { .. }) if passed => return Err(Failure::Wrong(Cause::Replayed)),
                Err(CommitError::Refused { .. }) => return Err(Failure::Stale),
                Err(CommitError::Unavailable(error)) => return Err(Failure::Fault(error.into())),
            }
        }
        if passed { Ok(()) } else { Err(Failure::Wrong(cause)) }
    }

    /// Withdraws a challenge that belongs to no sign-in.
    ///
    /// # Errors
    /// It was made for somebody else, or changed meanwhile; the store failed.
    pub async fn withdraw_alone(self, asker: &Asker, mut challenge: Challenge) -> Result<(), Failure> {
        if !asker.made(&challenge) {
            return Err(Failure::NotNow(NotNow::NoChallenge));
        }
        challenge.state = "canceled".to_owned();
        challenge.updated = self.app.world.now();
        match self
            .app
            .commit(&self.tenant.tenant.id, "challenge withdrawn", vec![Change::UpdateChallenge(challenge)])
            .await
        {
            Ok(()) => Ok(()),
            Err(CommitError::Refused { .. }) => Err(Failure::Stale),
            Err(CommitError::Unavailable(error)) => Err(Failure::Fault(error.into())),
        }
    }

    /// Makes a code that is handed to the caller: it is no factor and proves nothing about anybody.
    ///
    /// # Errors
    /// The correlation cannot be used, or the store failed.
    pub async fn generate(
        self,
        asker: &Asker,
        settings: &protocol::records::OtpSettings,
        correlation: Option<&str>,
    ) -> Result<(Challenge, Secret<String>), Failure> {
        let app = self.app;
        let (mut challenge, code) =
            factors::otp::generate(&app.world, &app.master, settings, correlation, app.world.now())
                .map_err(Failure::Unusable)?;
        bind(&mut challenge, asker);
        let change = vec![Change::AddChallenge(challenge.clone())];
        match app.commit(&self.tenant.tenant.id, "code generated", change).await {
            Ok(()) => Ok((challenge, code)),
            Err(CommitError::Refused { .. }) => Err(Failure::Stale),
            Err(CommitError::Unavailable(error)) => Err(Failure::Fault(error.into())),
        }
    }

    /// Judges a code that was handed to the caller. Its own tries are all the charge there is: it belongs to nobody.
    ///
    /// # Errors
    /// It is wrong or was made for somebody else; the store failed.
    pub async fn check_generated(
        self,
        asker: &Asker,
        challenge: Challenge,
        code: Secret<String>,
    ) -> Result<(), Failure> {
        if challenge.kind != factors::otp::GENERATED || !asker.made(&challenge) {
            return Err(Failure::NotNow(NotNow::NoChallenge));
        }
        let judgement = factors::otp::judge(&self.app.master, &challenge, &code, self.app.world.now());
        self.conclude_alone(judgement.passed, judgement.cause, judgement.changes).await
    }
}
