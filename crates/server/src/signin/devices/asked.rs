//! What a device is asked, and what it says. Owns that one request waits for a person at a time, how a device hears of it, and how
//! its word is taken down; what is signed is the factor's ([`push`](super::push)).

use std::time::Duration;

use protocol::records::UserId;
use serde_json::Value;
use store::{Challenge, Change, CommitError, Item};

use super::Device;
use super::push::{self, Answer};
use crate::fault::Fault;
use crate::signin::{Failure, SignIns};
use crate::world::Stopwatch;

/// The one transaction a person may have open, under the person's id.
const OPEN: &str = "push-open";
/// How often a device that waits here is looked after, for what was asked for at another node.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl SignIns<'_> {
    /// What waits for this device once it is something else than `known`, or what waits when the time is over. Answered at once
    /// where as many wait as may.
    ///
    /// # Errors
    /// The store failed.
    pub async fn news_for(
        self,
        device: &Device,
        known: Option<&str>,
        within: Duration,
    ) -> Result<Option<Challenge>, Fault> {
        let is_news = |found: &Option<Challenge>| found.as_ref().map(|one| one.id.as_str()) != known;
        let found = self.waiting_for(device).await?;
        if within.is_zero() || is_news(&found) {
            return Ok(found);
        }
        let Some(wait) = self.app.waits.join(&self.tenant.tenant.id, &device.user) else { return Ok(found) };
        let watch = Stopwatch::start();
        loop {
            // It listens before it looks: what is committed in between is heard.
            let mut heard = std::pin::pin!(wait.heard());
            heard.as_mut().enable();
            let found = self.waiting_for(device).await?;
            let left = within.saturating_sub(watch.elapsed());
            if is_news(&found) || left.is_zero() || wait.is_over() {
                return Ok(found);
            }
            let _ = tokio::time::timeout(left.min(LOOK_AGAIN), heard).await;
        }
    }

    /// Tells devices that wait at this node that something was asked of their owner.
    pub(in crate::signin) fn tell_devices(self, challenge: &Challenge) {
        if let (Some(user), true) = (&challenge.user, device_named(challenge).is_some()) {
            self.app.waits.ring(&self.tenant.tenant.id, user);
        }
    }

    /// What waits for this device: at most one, as a person has one at a time.
    ///
    /// # Errors
    /// The store failed.
    pub async fn waiting_for(self, device: &Device) -> Result<Option<Challenge>, Fault> {
        let item = self.app.store.item(&self.tenant.tenant.id, OPEN, device.user.as_str()).await?;
        let Some(item) = item else { return Ok(None) };
        let challenge = self.challenge(&item.body.as_str().into()).await?;
        Ok(challenge.filter(|one| self.is_open(one) && device_named(one).as_deref() == Some(device.id.as_str())))
    }

    fn is_open(self, challenge: &Challenge) -> bool {
        challenge.state == "pending" && challenge.expires > self.app.world.now()
    }

    /// What a further request to approve comes to: one at a time for a person, and so many an hour.
    pub(in crate::signin) async fn pace_push(
        self,
        user: &UserId,
        challenge: &Challenge,
    ) -> Result<Vec<Change>, Failure> {
        let now = self.app.world.now();
        let before = self.app.store.item(&self.tenant.tenant.id, OPEN, user.as_str()).await?;
        if let Some(before) = &before
            && let Some(open) = self.challenge(&before.body.as_str().into()).await?
            && self.is_open(&open)
            // Whoever asks again in the same sign-in gives up the earlier one.
            && (open.sign_in.is_none() || open.sign_in != challenge.sign_in)
        {
            tracing::warn!(tenant = %self.tenant.tenant.id, %user, "a second request to approve was not sent while one waits");
            return Err(Failure::TooManyMessages);
        }
        let item = Item {
            kind: OPEN,
            name: user.0.clone(),
            owner: Some(user.0.clone()),
            link: None,
            created: now,
            expires: challenge.expires,
            body: challenge.id.0.clone(),
            version: before.map_or(0, |before| before.version),
        };
        let limit = i64::from(self.tenant.tenant.settings.push.per_hour);
        Ok(vec![Change::PutItem(item), Change::Meter { key: format!("push:{user}"), limit, window: 3600, at: now }])
    }

    /// Takes what a device says of a transaction. The state it comes to; none where it is not the device's, or is settled.
    ///
    /// # Errors
    /// The store failed.
    pub async fn answer_push(
        self,
        device: &Device,
        challenge: &Challenge,
        said: Answer<'_>,
    ) -> Result<Option<Challenge>, Fault> {
        if device_named(challenge).as_deref() != Some(device.id.as_str())
            || challenge.user.as_ref() != Some(&device.user)
        {
            return Ok(None);
        }
        let Some(id) = &challenge.enrolment else { return Ok(None) };
        let Some(enrolment) = self.enrolment(id).await? else { return Ok(None) };
        let Some((next, _)) = push::answer(challenge, &enrolment, said, self.app.world.now()) else { return Ok(None) };
        if matches!(said, Answer::Fraudulent) {
            tracing::warn!(tenant = %self.tenant.tenant.id, user = %device.user, "a request to approve was called fraudulent");
        }
        match self
            .app
            .commit(&self.tenant.tenant.id, "push answered", vec![Change::UpdateChallenge(next.clone())])
            .await
        {
            Ok(()) => Ok(Some(next)),
            // Answered or withdrawn at the same moment: the first word stands.
            Err(CommitError::Refused { .. }) => Ok(None),
            Err(CommitError::Unavailable(error)) => Err(error.into()),
        }
    }

    /// Takes what a device read from a picture. Whether it was one that waits.
    ///
    /// # Errors
    /// The store failed.
    pub async fn scan_picture(self, device: &Device, challenge: &Challenge, lsi: &str) -> Result<bool, Fault> {
        let now = self.app.world.now();
        // A phone that has no key yet has proved nothing but that it was invited.
        if !device.about.active || self.keys_of(device).await?.iter().all(|one| !one.enabled) {
            return Ok(false);
        }
        let Some(next) = crate::signin::factors::qr::scanned(&self.app.master, challenge, lsi, &device.user, now)
        else {
            return Ok(false);
        };
        match self.app.commit(&self.tenant.tenant.id, "picture scanned", vec![Change::UpdateChallenge(next)]).await {
            Ok(()) => Ok(true),
            Err(CommitError::Refused { .. }) => Ok(false),
            Err(CommitError::Unavailable(error)) => Err(error.into()),
        }
    }
}

fn device_named(challenge: &Challenge) -> Option<String> {
    let shown: Value = serde_json::from_str(&challenge.shown).ok()?;
    shown.get("authenticatorId")?.as_str().map(str::to_owned)
}
