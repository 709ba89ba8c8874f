//! Making challenges: the step, the challenge and the message that carries it are one transaction. Owns what a challenge
//! can be made of; how its code or ceremony comes about is the factor's.

use engine::{Event, FactorKind, Who};
use protocol::records::{Enrolment, GrantId, RelyingParty, UserId};
use store::{Challenge, Change, CommitError};

use super::{Failure, Flow, SignIns, kind_of};
use crate::delivery::Outgoing;
use crate::signin::factors;

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
        kind: FactorKind,
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

impl SignIns<'_> {
    /// Makes a challenge and stores it with the step.
    ///
    /// # Errors
    /// The factor is not asked for, too many messages, unusable input, somebody was first, or the store failed.
    pub async fn issue(self, mut flow: Flow, mut request: IssueRequest<'_>) -> Result<Made, Failure> {
        let now = self.app.world.now();
        if let IssueRequest::Passkey { user_verification, .. } = &mut request
            && flow.stored.state.must_verify(FactorKind::Passkey)
        {
            *user_verification = "required";
        }
        let (kind, enrolment, user) = match &request {
            IssueRequest::Code { enrolment, .. } => {
                (kind_of(enrolment)?, Some(enrolment.id.0.clone()), Some(enrolment.user.clone()))
            }
            IssueRequest::Transient { kind, user, .. } => (*kind, None, user.clone()),
            IssueRequest::Passkey { user, .. } => (FactorKind::Passkey, None, user.clone()),
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
    pub(in crate::signin) fn make(
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
}
