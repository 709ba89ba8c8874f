//! Making challenges: the step, the challenge and the message that carries it are one transaction. Owns what a challenge
//! can be made of; how its code or ceremony comes about is the factor's.

use engine::{Event, FactorKind, Who};
use protocol::records::{ChallengeId, Enrolment, GrantId, RelyingParty, Seconds, UserId};
use store::{Challenge, Change, CommitError};

use super::{Failure, Flow, SignIns, kind_of};
use crate::delivery::{Channel, Outgoing};
use crate::secret::Secret;
use crate::signin::factors::{self, push::Asked};
use crate::tokens;

/// Seconds a person may take at another identity provider.
const UPSTREAM_LIFE: Seconds = 600;

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
    /// Questions whose answers the person chose.
    Questions {
        /// The enrolment.
        enrolment: &'a Enrolment,
    },
    /// A picture for a registered phone, whoever it belongs to.
    Qr {
        /// The profile of the phones that may scan it; shown, not held against them.
        profile: &'a str,
    },
    /// A sign-in at another identity provider.
    Upstream {
        /// The provider's id.
        provider: &'a str,
    },
    /// Approval on the phone.
    Push {
        /// The enrolment, whose device is asked.
        enrolment: &'a Enrolment,
        /// What is asked.
        asked: Asked<'a>,
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
    /// WebAuthn options for the browser, or the secrets of a picture; absent for codes.
    pub options: Option<serde_json::Value>,
}

impl SignIns<'_> {
    /// Makes a challenge and stores it with the step.
    ///
    /// # Errors
    /// The factor is not asked for, too many messages, unusable input, somebody was first, or the store failed.
    pub async fn issue(self, flow: Flow, request: IssueRequest<'_>) -> Result<Made, Failure> {
        self.make_and_store(flow, request, false).await.map(|(made, _)| made)
    }

    /// The same for a code that the client delivers by itself: it is given out here and not sent.
    ///
    /// # Errors
    /// See [`issue`](Self::issue).
    pub async fn issue_handed(
        self,
        flow: Flow,
        request: IssueRequest<'_>,
    ) -> Result<(Made, Option<Secret<String>>), Failure> {
        self.make_and_store(flow, request, true).await
    }

    async fn make_and_store(
        self,
        mut flow: Flow,
        mut request: IssueRequest<'_>,
        handed: bool,
    ) -> Result<(Made, Option<Secret<String>>), Failure> {
        let now = self.app.world.now();
        if let IssueRequest::Passkey { user_verification, .. } = &mut request
            && flow.stored.state.must_verify(FactorKind::Passkey)
        {
            *user_verification = "required";
        }
        let (kind, enrolment, user) = match &request {
            IssueRequest::Code { enrolment, .. }
            | IssueRequest::Questions { enrolment }
            | IssueRequest::Push { enrolment, .. } => {
                (kind_of(enrolment)?, Some(enrolment.id.0.clone()), Some(enrolment.user.clone()))
            }
            IssueRequest::Qr { .. } => (FactorKind::Qr, None, None),
            IssueRequest::Upstream { .. } => (FactorKind::Federated, None, None),
            IssueRequest::Transient { kind, user, .. } => (*kind, None, user.clone()),
            IssueRequest::Passkey { user, .. } => (FactorKind::Passkey, None, user.clone()),
        };
        let who = user.as_ref().map(|user| Who::Known(user.0.clone()));
        let step = self.advance(&mut flow, Event::Issue { kind, enrolment, who })?;
        let mut changes = self.note(&mut flow, step.effects);
        let (made, message) = self.make(Some(&flow.id), request, now)?;
        let mut paced = Vec::new();
        let step = self.advance(&mut flow, Event::Issued { challenge: made.challenge.id.0.clone() })?;
        changes.extend(self.note(&mut flow, step.effects));
        changes.push(Change::AddChallenge(made.challenge.clone()));
        if let (Some(FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace), Some(user)) =
            (FactorKind::parse(&made.challenge.kind), &user)
        {
            paced.extend(self.pace_push(user, &made.challenge).await?);
        }
        let before = changes.len();
        changes.extend(paced);
        if let (Some(message), Some(user)) = (&message, &user) {
            changes.extend(self.meter(Some(user), message, now));
        }
        let metered = before..changes.len();
        let sends = message.is_some() && user.is_some() && !handed;
        if let (Some(message), true) = (&message, sends) {
            changes.push(Change::Enqueue(self.app.delivery.seal(&self.app.world, message, made.challenge.expires)));
        }
        changes.push(self.write(&mut flow)?);
        match self.app.commit(&self.tenant.tenant.id, "challenge issued", changes).await {
            Ok(()) => {}
            Err(CommitError::Refused { index }) if metered.contains(&index) => return Err(Failure::TooManyMessages),
            Err(CommitError::Refused { .. }) => return Err(Failure::Stale),
            Err(CommitError::Unavailable(error)) => return Err(Failure::Fault(error.into())),
        }
        if sends {
            self.app.delivery.wake();
        }
        self.tell_devices(&made.challenge);
        let code = message.filter(|_| handed && user.is_some()).and_then(|message| message.code);
        Ok((made, code))
    }

    /// What a message counts against: the person, the address it goes to whoever asks for it, and, where each one costs
    /// money, the tenant.
    pub(in crate::signin) fn meter(self, user: Option<&UserId>, message: &Outgoing, now: i64) -> Vec<Change> {
        let settings = &self.tenant.tenant.settings;
        let mut keys = Vec::with_capacity(3);
        let to = tokens::hex(&self.app.master.mac("address", message.to.to_lowercase().as_bytes())[..16]);
        keys.push((format!("messages:to:{to}"), settings.messages_per_hour));
        if let Some(user) = user {
            keys.push((format!("messages:{user}"), settings.messages_per_hour));
        }
        if message.channel != Channel::Email {
            keys.push(("messages:paid".to_owned(), settings.paid_messages_per_hour));
        }
        keys.into_iter()
            .map(|(key, limit)| Change::Meter { key, limit: i64::from(limit), window: 3600, at: now })
            .collect()
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
            IssueRequest::Questions { enrolment } => {
                let challenge =
                    factors::questions::issue(&self.app.world, &settings.questions, sign_in, enrolment, now)
                        .map_err(Failure::Unusable)?;
                return Ok((Made { challenge, options: None }, None));
            }
            IssueRequest::Qr { profile } => {
                if !(settings.push.enabled && settings.push.qr) || profile.len() > 128 {
                    return Err(Failure::Unusable(factors::Unusable::SwitchedOff));
                }
                let made = factors::qr::issue(&self.app.world, &self.app.master, sign_in, profile, now);
                let secrets = serde_json::json!({ "lsi": made.lsi.expose(), "dsi": made.dsi.expose() });
                return Ok((Made { challenge: made.challenge, options: Some(secrets) }, None));
            }
            IssueRequest::Upstream { provider } => {
                let challenge = Challenge {
                    id: ChallengeId(self.app.world.uuid()),
                    sign_in: sign_in.cloned(),
                    user: None,
                    enrolment: None,
                    kind: FactorKind::Federated.as_str().to_owned(),
                    state: "pending".to_owned(),
                    attempts: 0,
                    max_attempts: 1,
                    created: now,
                    updated: now,
                    expires: now + UPSTREAM_LIFE,
                    shown: serde_json::json!({ "provider": provider }).to_string(),
                    secret: Vec::new(),
                    version: 1,
                };
                return Ok((Made { challenge, options: None }, None));
            }
            IssueRequest::Push { enrolment, asked } => {
                let challenge = factors::push::issue(&self.app.world, &settings.push, sign_in, enrolment, &asked, now)
                    .map_err(Failure::Unusable)?;
                return Ok((Made { challenge, options: None }, None));
            }
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
