//! Telling a person, by another way than the one just used, that how they sign in has changed. Owns who is told of what; the words are
//! [`delivery`](crate::delivery)'s. What is told goes into the transaction that changes it.

use engine::FactorKind;
use protocol::records::{Enrolment, Seconds, UserId};
use serde_json::Value;
use store::Change;

use super::SignIns;
use super::factors::otp;
use super::ways::mask;
use crate::delivery::{Channel, Happened, NoticeText};
use crate::fault::Fault;

/// Seconds a notice is worth delivering.
const WORTH: Seconds = 3 * 86_400;

/// What is told.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    happened: Happened,
    factor: Option<FactorKind>,
    detail: Option<String>,
    /// An address that was told codes until now, and is told this.
    before: Option<String>,
    /// An address that proves nothing about whom it reaches: it is the one that just came.
    new: Option<String>,
}

impl Notice {
    pub(super) fn of(happened: Happened) -> Self {
        Self { happened, factor: None, detail: None, before: None, new: None }
    }

    /// Told at this address as well.
    pub(super) fn and_at(self, before: Option<&str>) -> Self {
        Self { before: before.map(str::to_owned), ..self }
    }

    /// About an enrolment.
    pub(super) fn about(happened: Happened, enrolment: &Enrolment) -> Self {
        let text = |member: &str| enrolment.attributes.get(member).and_then(Value::as_str);
        let name = ["nickname", "deviceName"].into_iter().find_map(text).filter(|name| !name.is_empty());
        let address = otp::address(enrolment);
        let mail = address.filter(|_| enrolment.kind == FactorKind::EmailOtp.as_str()).map(str::to_owned);
        let gone = happened == Happened::Removed;
        Self {
            happened,
            factor: FactorKind::parse(&enrolment.kind),
            detail: name.map(str::to_owned).or_else(|| address.map(mask)),
            before: mail.clone().filter(|_| gone),
            new: mail.filter(|_| !gone),
        }
    }

    /// What it was called before it changed is told as well.
    pub(super) fn instead_of(mut self, before: &Enrolment) -> Self {
        let mail = before.kind == FactorKind::EmailOtp.as_str();
        self.before = otp::address(before).filter(|_| mail && before.validated).map(str::to_owned);
        self
    }
}

impl SignIns<'_> {
    /// What must be written to tell a person. Nothing where mail has no way out or the person has no address: what is changed is
    /// changed nevertheless.
    pub(super) async fn tell(self, user: &UserId, notice: Notice) -> Result<Vec<Change>, Fault> {
        if !self.app.delivery.supports(Channel::Email) {
            return Ok(Vec::new());
        }
        let Some(person) = self.person(user).await? else { return Ok(Vec::new()) };
        let own = person.attributes.get("email").and_then(|values| values.first()).cloned();
        let own = match own {
            Some(own) => Some(own),
            None => self.enrolled_address(user, notice.new.as_deref()).await?,
        };
        let mut to: Vec<String> = own.into_iter().chain(notice.before).collect();
        to.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        to.retain(|address| address.len() <= 254 && address.parse::<lettre::Address>().is_ok());
        let (tenant, now) = (&self.tenant.tenant, self.app.world.now());
        let link = format!("{}/account", tenant.urls.first().map_or("", String::as_str));
        let locale = person.attributes.get("locale").and_then(|values| values.first());
        let mut changes = Vec::new();
        for to in &to {
            let text = NoticeText {
                tenant,
                to,
                locale: locale.map(String::as_str),
                account: &person.username,
                happened: notice.happened,
                factor: notice.factor.map(FactorKind::as_str),
                detail: notice.detail.as_deref(),
                at: now,
                link: &link,
            };
            match text.write() {
                Ok(message) => {
                    changes.push(Change::Enqueue(self.app.delivery.seal(&self.app.world, &message, now + WORTH)));
                }
                Err(error) => tracing::error!(tenant = %tenant.id, %error, "a notice cannot be written"),
            }
        }
        Ok(changes)
    }

    async fn enrolled_address(self, user: &UserId, but: Option<&str>) -> Result<Option<String>, Fault> {
        let all = self.enrolments_of(user).await?;
        let mut mails = all.iter().filter(|one| one.kind == FactorKind::EmailOtp.as_str() && one.validated);
        let found = mails.find_map(|one| otp::address(one).filter(|to| Some(*to) != but).map(str::to_owned));
        Ok(found)
    }
}
