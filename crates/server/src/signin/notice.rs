//! Telling a person, by another way than the one just used, that how they sign in has changed. Owns who is told of what; the words are
//! [`delivery`](crate::delivery)'s. What is told goes into the transaction that changes it.

use engine::FactorKind;
use protocol::records::{Enrolment, Seconds, User, UserId};
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
    /// Addresses that were told codes until now, and are told this.
    before: Vec<String>,
    /// An address that proves nothing about whom it reaches: it is the one that just came.
    new: Option<String>,
}

impl Notice {
    pub(super) fn of(happened: Happened) -> Self {
        Self { happened, factor: None, detail: None, before: Vec::new(), new: None }
    }

    /// Told at these addresses as well.
    pub(super) fn and_at(self, before: &[String]) -> Self {
        Self { before: before.to_vec(), ..self }
    }

    /// About something of this kind, by the name that people know it by.
    pub(super) fn named(happened: Happened, kind: FactorKind, name: Option<&str>) -> Self {
        Self { factor: Some(kind), detail: name.map(str::to_owned), ..Self::of(happened) }
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
            before: mail.clone().filter(|_| gone).into_iter().collect(),
            new: mail.filter(|_| !gone),
        }
    }

    /// What it was called before it changed is told as well.
    pub(super) fn instead_of(mut self, before: &Enrolment) -> Self {
        let mail = before.kind == FactorKind::EmailOtp.as_str();
        self.before =
            otp::address(before).filter(|_| mail && before.validated).map(str::to_owned).into_iter().collect();
        self
    }
}

/// Addresses of one change that are told of it.
const MOST: usize = 4;

impl SignIns<'_> {
    /// What must be written to tell a person. Nothing where mail has no way out or the person has no address: what is changed is
    /// changed nevertheless.
    pub(super) async fn tell(self, user: &UserId, notice: Notice) -> Result<Vec<Change>, Fault> {
        if !self.app.delivery.supports(Channel::Email) {
            return Ok(Vec::new());
        }
        match self.person(user).await? {
            Some(person) => self.tell_person(&person, notice).await,
            None => Ok(Vec::new()),
        }
    }

    /// What must be written with a change of a person's record, to tell them of what it changes about how they sign in: the one place
    /// for whoever writes a record whole. Where the mail address is another, the one before is told everything as well.
    ///
    /// # Errors
    /// The store failed.
    pub async fn tell_of_record(self, before: &User, after: &User) -> Result<Vec<Change>, Fault> {
        let all = |user: &User, name: &str| user.attributes.get(name).cloned().unwrap_or_default();
        let has = |list: &[String], one: &String| list.iter().any(|other| other.eq_ignore_ascii_case(one));
        // The first of them is the one that is used.
        let same = |old: &[String], new: &[String]| {
            old.iter().take(1).map(|one| one.to_lowercase()).eq(new.iter().take(1).map(|one| one.to_lowercase()))
                && old.iter().all(|one| has(new, one))
                && new.iter().all(|one| has(old, one))
        };
        let (old, new) = (all(before, "email"), all(after, "email"));
        let happened: Vec<Happened> = [
            (before.password.is_none() && after.password.is_some()).then_some(Happened::PasswordSet),
            (before.password.is_some() && before.password != after.password).then_some(Happened::PasswordChanged),
            (before.username != after.username).then_some(Happened::NameChanged),
            (!same(&old, &new)).then_some(Happened::AddressChanged),
            (!same(&all(before, "phone_number"), &all(after, "phone_number"))).then_some(Happened::NumberChanged),
        ]
        .into_iter()
        .flatten()
        .collect();
        if happened.is_empty() || !self.app.delivery.supports(Channel::Email) {
            return Ok(Vec::new());
        }
        let mut gone: Vec<String> = old.iter().filter(|one| !has(&new, one)).cloned().collect();
        // The first address somebody has proves nothing about whom it reaches; one that they enrolled does.
        if old.is_empty() && !new.is_empty() {
            gone.extend(self.enrolled_address(&after.id, None).await?);
        }
        let mut changes = Vec::new();
        for one in happened {
            changes.extend(self.tell_person(after, Notice::of(one).and_at(&gone)).await?);
        }
        Ok(changes)
    }

    async fn tell_person(self, person: &User, notice: Notice) -> Result<Vec<Change>, Fault> {
        let own = person.attributes.get("email").and_then(|values| values.first()).cloned();
        let own = match own {
            Some(own) => Some(own),
            None => self.enrolled_address(&person.id, notice.new.as_deref()).await?,
        };
        let mut to: Vec<String> = Vec::new();
        for address in own.into_iter().chain(notice.before) {
            let fits = address.len() <= 254 && address.parse::<lettre::Address>().is_ok();
            if fits && to.len() < MOST && !to.iter().any(|one| one.eq_ignore_ascii_case(&address)) {
                to.push(address);
            }
        }
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
