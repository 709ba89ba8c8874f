//! The way back to an account whose password is forgotten: by a code or link that is mailed, a code by text message, or the answers to
//! questions. Owns what a person may choose among and how each is proved; a proof opens a new password and nothing else.
//!
//! Names nobody has are treated as if somebody had them: the choice, the questions and the answers look alike, take the same steps, and
//! are the same the next time.

use engine::FactorKind;
use protocol::records::{ChallengeId, Enrolment, User};
use protocol::scim::oracle;
use store::{Change, CommitError};

use super::factors::otp;
use super::factors::questions::Answers;
use super::mailed::Mailed;
use super::rescue::Means;
use super::{Asker, Failure, IssueRequest, SignIns, Submission};
use crate::delivery::{Channel, Opens};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::tokens;

/// A way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// What is mailed.
    Email,
    /// A code by text message.
    Sms,
    /// Answers to questions.
    Questions,
}

/// A code that was sent, or is said to have been.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What it was sent to.
    pub device: String,
    /// Which code it is.
    pub request: String,
}

/// What a text message is sent to.
enum Number {
    Enrolled(Box<Enrolment>),
    Kept(String),
}

impl SignIns<'_> {
    fn is_offered(self, kind: FactorKind) -> bool {
        self.tenant.offered.contains(&kind)
            && otp::channel_of(kind.as_str()).is_none_or(|channel| self.app.delivery.supports(channel))
    }

    /// The person of this name who may get a new password.
    async fn recoverable(self, username: &str) -> Result<Option<User>, Fault> {
        if !self.tenant.tenant.settings.self_service.forgotten_password || username.len() > 256 {
            return Ok(None);
        }
        let mut found = None;
        for source in &self.tenant.sources {
            found = found.or(self.by_login(&source.id, username).await?);
        }
        Ok(found.filter(|user| user.active && user.password.is_some()))
    }

    /// Bytes that stay the same for a name, and tell nobody anything.
    fn dice(self, username: &str) -> [u8; 32] {
        self.app.master.mac("forgotten", format!("{}\0{}", self.tenant.tenant.id, username.to_lowercase()).as_bytes())
    }

    fn stranger(self, username: &str) -> String {
        format!("stranger-{}", tokens::hex(&self.dice(username)[..16]))
    }

    /// The writes that are made for somebody, for nobody: they take their time.
    async fn pretend(self, username: &str, times: usize) -> Result<(), Failure> {
        for _ in 0..times {
            let (key, at) = (format!("forgotten:{}", self.stranger(username)), self.app.world.now());
            let change = Change::Meter { key, limit: i64::MAX, window: 3600, at };
            match self.app.commit(&self.tenant.tenant.id, "recovery", vec![change]).await {
                Ok(()) | Err(CommitError::Refused { .. }) => {}
                Err(CommitError::Unavailable(error)) => return Err(Failure::Fault(error.into())),
            }
        }
        Ok(())
    }

    /// The address that a person proved for this day, where they did.
    pub(super) async fn rescue_address(self, user: &User, means: Means) -> Result<Option<String>, Fault> {
        let all = self.recoveries(&user.id).await?;
        Ok(all.into_iter().find(|one| one.means == means).and_then(|one| one.to))
    }

    async fn number(self, user: &User) -> Result<Option<Number>, Fault> {
        if !self.is_offered(FactorKind::SmsOtp) {
            return Ok(None);
        }
        let all = self.enrolments_of(&user.id).await?;
        let enrolled = all.into_iter().find(|one| {
            one.kind == FactorKind::SmsOtp.as_str() && one.enabled && one.validated && otp::address(one).is_some()
        });
        if let Some(one) = enrolled {
            return Ok(Some(Number::Enrolled(Box::new(one))));
        }
        let kept = match self.rescue_address(user, Means::Sms).await? {
            Some(own) => Some(own),
            None => user.attributes.get("phone_number").and_then(|all| all.first()).cloned(),
        };
        Ok(kept.filter(|to| otp::check(&self.tenant.tenant, FactorKind::SmsOtp, to).is_ok()).map(Number::Kept))
    }

    async fn answers_of(self, user: &User) -> Result<Option<Enrolment>, Fault> {
        if !self.is_offered(FactorKind::Questions) {
            return Ok(None);
        }
        let all = self.enrolments_of(&user.id).await?;
        Ok(all.into_iter().find(|one| one.kind == FactorKind::Questions.as_str() && one.enabled && one.validated))
    }

    /// What the person of this name may choose among.
    ///
    /// # Errors
    /// The store failed.
    pub async fn ways_back(self, username: &str) -> Result<Vec<Back>, Fault> {
        let mail = self.app.delivery.supports(Channel::Email);
        let mut ways = Vec::with_capacity(3);
        match self.recoverable(username).await? {
            Some(user) => {
                let reached = oracle::recovery_address(&user).is_some()
                    || self.rescue_address(&user, Means::Email).await?.is_some();
                ways.extend((mail && reached).then_some(Back::Email));
                ways.extend(self.number(&user).await?.map(|_| Back::Sms));
                ways.extend(self.answers_of(&user).await?.map(|_| Back::Questions));
            }
            None => {
                let dice = self.dice(username);
                ways.extend(mail.then_some(Back::Email));
                ways.extend((self.is_offered(FactorKind::SmsOtp) && dice[0].is_multiple_of(2)).then_some(Back::Sms));
                ways.extend(
                    (self.is_offered(FactorKind::Questions) && dice[1].is_multiple_of(2)).then_some(Back::Questions),
                );
            }
        }
        Ok(ways)
    }

    /// Mails what opens a new password. Nobody is told whether anything was sent.
    ///
    /// # Errors
    /// The store failed.
    pub async fn mail_back(self, username: &str, at: Option<&str>) -> Result<(), Failure> {
        let user = self.recoverable(username).await?;
        let kept = match &user {
            Some(user) => self.rescue_address(user, Means::Email).await?,
            None => None,
        };
        let to = kept.as_deref().or_else(|| user.as_ref().and_then(oracle::recovery_address));
        let (Some(user), Some(to)) = (&user, to) else { return self.pretend(username, 1).await };
        match self.mail_token(user, Opens::NewPassword, to, at).await {
            Ok(()) | Err(Failure::TooManyMessages | Failure::Unusable(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Sends a code by text message. Nobody is told whether anything was sent.
    ///
    /// # Errors
    /// The store failed.
    pub async fn text_back(self, asker: &Asker, username: &str) -> Result<Sent, Failure> {
        let user = self.recoverable(username).await?;
        let number = match &user {
            Some(user) => self.number(user).await?,
            None => None,
        };
        let (request, device) = match (&number, &user) {
            (Some(Number::Enrolled(enrolment)), _) => {
                (IssueRequest::Code { enrolment, correlation: None }, enrolment.id.0.clone())
            }
            (Some(Number::Kept(to)), Some(user)) => {
                let user = Some(user.id.clone());
                let request = IssueRequest::Transient { kind: FactorKind::SmsOtp, to, user, correlation: None };
                (request, self.made_up(username))
            }
            _ => {
                self.pretend(username, 1).await?;
                return Ok(Sent { device: self.made_up(username), request: self.app.world.ordered_uuid() });
            }
        };
        match self.issue_alone(asker, request).await {
            Ok(made) => Ok(Sent { device, request: made.challenge.id.0 }),
            Err(Failure::TooManyMessages | Failure::Unusable(_)) => {
                Ok(Sent { device, request: self.app.world.ordered_uuid() })
            }
            Err(failure) => Err(failure),
        }
    }

    /// The identifier of a device that is none.
    fn made_up(self, username: &str) -> String {
        let hex = tokens::hex(&self.dice(username)[..16]);
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
    }

    /// The questions the person of this name chose, by key and text.
    ///
    /// # Errors
    /// The store failed.
    pub async fn questions_back(self, username: &str) -> Result<Vec<(String, String)>, Fault> {
        let settings = &self.tenant.tenant.settings.questions;
        let enrolled = match self.recoverable(username).await? {
            Some(user) => self.answers_of(&user).await?,
            None => None,
        };
        let keys: Vec<String> = match enrolled {
            Some(one) => {
                let all = one.attributes.get("questions").and_then(serde_json::Value::as_array).cloned();
                let key = |one: &serde_json::Value| one.get("questionKey")?.as_str().map(str::to_owned);
                all.unwrap_or_default().iter().filter_map(key).collect()
            }
            None => {
                // Those that somebody could have chosen, always the same ones.
                let dice = self.dice(username);
                let mut keys: Vec<(u8, &String)> = settings
                    .questions
                    .keys()
                    .enumerate()
                    .map(|(nth, key)| (dice[nth % 32].wrapping_add((nth / 32) as u8), key))
                    .collect();
                keys.sort();
                keys.into_iter().take(usize::from(settings.required).max(1)).map(|(_, key)| key.clone()).collect()
            }
        };
        let text = |key: &String| settings.questions.get(key).unwrap_or(key).clone();
        Ok(keys.iter().map(|key| (key.clone(), text(key))).collect())
    }

    /// A new token for what was mailed, which is spent.
    ///
    /// # Errors
    /// Somebody was first, or the store failed.
    pub async fn back_by_mail(self, token: &str) -> Result<Option<Secret<String>>, Failure> {
        let Some(mailed) = self.mailed(token, Opens::NewPassword).await? else { return Ok(None) };
        match self.hand_out(&mailed.user, Some(&mailed)).await {
            Ok(token) => Ok(Some(token)),
            Err(Failure::Stale) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// A token for the code of a text message; none where it is wrong.
    ///
    /// # Errors
    /// The store failed, or there is too much to do.
    pub async fn back_by_text(
        self,
        asker: &Asker,
        username: &str,
        request: &str,
        code: Secret<String>,
    ) -> Result<Option<Secret<String>>, Failure> {
        let user = self.recoverable(username).await?;
        let challenge = self.challenge(&ChallengeId(request.to_owned())).await?;
        let own = challenge.filter(|challenge| {
            challenge.kind == FactorKind::SmsOtp.as_str()
                && challenge.user.is_some()
                && challenge.user.as_ref() == user.as_ref().map(|user| &user.id)
                && asker.made(challenge)
        });
        let (Some(user), Some(challenge)) = (user, own) else {
            self.wrong(username, FactorKind::SmsOtp).await?;
            return Ok(None);
        };
        self.proved(asker, &user, Submission::Code { challenge, code }).await
    }

    /// A token for the answers to questions; none where one is wrong.
    ///
    /// # Errors
    /// The store failed, or there is too much to do.
    pub async fn back_by_answers(
        self,
        asker: &Asker,
        username: &str,
        answers: Answers,
    ) -> Result<Option<Secret<String>>, Failure> {
        let user = self.recoverable(username).await?;
        let enrolment = match &user {
            Some(user) => self.answers_of(user).await?,
            None => None,
        };
        let (Some(user), Some(enrolment)) = (user, enrolment) else {
            self.pretend(username, 1).await?;
            if self.wrong(username, FactorKind::Questions).await? {
                let typed: String = answers.iter().map(|(_, answer)| answer.expose().as_str()).collect();
                self.app.hashing.verify_stranger(Secret::from(typed)).await.map_err(Failure::Busy)?;
            }
            return Ok(None);
        };
        let made = self.issue_alone(asker, IssueRequest::Questions { enrolment: &enrolment }).await?;
        self.proved(asker, &user, Submission::Answers { challenge: made.challenge, answers }).await
    }

    async fn proved(
        self,
        asker: &Asker,
        user: &User,
        submission: Submission<'_>,
    ) -> Result<Option<Secret<String>>, Failure> {
        match self.submit_alone(asker, submission).await {
            Ok(checked) if checked.user.as_ref().is_none_or(|found| found.id == user.id) => {
                Ok(Some(self.hand_out(user, None).await?))
            }
            Ok(_) | Err(Failure::Wrong(_) | Failure::NotNow(_) | Failure::Stale) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// A wrong answer of nobody's, counted like anybody's. False while the counter rests.
    async fn wrong(self, username: &str, kind: FactorKind) -> Result<bool, Failure> {
        match self.charge_alone(&self.stranger(username), kind).await {
            Ok(()) => self.pretend(username, 1).await.map(|()| true),
            Err(Failure::Wrong(_)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Whether a token opens a new password, and whose.
    ///
    /// # Errors
    /// The store failed.
    pub async fn back(self, token: &str) -> Result<Option<Mailed>, Fault> {
        self.mailed(token, Opens::NewPassword).await
    }
}
