//! What recovers an account: an address or answers that a person set up for the day they lose their password. No factor: nobody signs
//! in with it. Owns what is kept of it; what a recovery comes to is the door's.

use engine::FactorKind;
use protocol::records::{GrantId, Seconds, UserId};
use serde::{Deserialize, Serialize};
use store::{Change, Item};

use super::SignIns;
use super::enrol::NotEnrolled;
use super::enrolling::{Enrolling, NotDone};
use super::factors;
use super::notice::Notice;
use super::ways::mask;
use crate::delivery::Happened;
use crate::fault::Fault;

pub(super) const KIND: &str = "recovery";
const KEPT: Seconds = 100 * 365 * 86_400;
/// Means that are read of a person.
const MOST: i64 = 8;

/// By what an account is recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// A code by text message.
    Sms,
    /// A code or link by mail.
    Email,
    /// Answers to questions.
    Questions,
}

impl Means {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sms, Self::Questions, Self::Email];

    /// As settings spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
            Self::Questions => "questions",
        }
    }

    /// The kind of code that proves it; none for answers, which prove themselves.
    pub fn kind(self) -> Option<FactorKind> {
        match self {
            Self::Sms => Some(FactorKind::SmsOtp),
            Self::Email => Some(FactorKind::EmailOtp),
            Self::Questions => None,
        }
    }
}

/// What a person set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// By what.
    pub means: Means,
    /// The address, where it has one. It was proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The sign-in it was set up in, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
}

impl Recovery {
    fn notice(&self, happened: Happened) -> Notice {
        let kind = self.means.kind().unwrap_or(FactorKind::Questions);
        Notice::named(happened, kind, self.to.as_deref().map(mask).as_deref())
    }
}

fn read(item: &Item) -> Result<Recovery, Fault> {
    serde_json::from_str(&item.body).map_err(|error| Fault::internal("a recovery", error))
}

/// The mail addresses among them: whoever reads them is told that they are none any more.
fn addresses(all: &[Recovery]) -> Vec<String> {
    all.iter().filter(|one| one.means == Means::Email).filter_map(|one| one.to.clone()).collect()
}

impl SignIns<'_> {
    /// What recovers the account of a person.
    ///
    /// # Errors
    /// The store failed.
    pub async fn recoveries(self, user: &UserId) -> Result<Vec<Recovery>, Fault> {
        let items = self.app.store.items_of(&self.tenant.tenant.id, KIND, user.as_str(), MOST).await?;
        items.iter().map(read).collect()
    }

    /// Sets one up in place of the one by the same means.
    ///
    /// # Errors
    /// Somebody was first, or the store failed.
    pub async fn set_recovery(
        self,
        user: &UserId,
        recovery: &Recovery,
        mut changes: Vec<Change>,
    ) -> Result<(), NotEnrolled> {
        let now = self.app.world.now();
        let name = format!("{user}:{}", recovery.means.as_str());
        let before = self.app.store.item(&self.tenant.tenant.id, KIND, &name).await.map_err(Fault::from)?;
        let old: Option<Recovery> = before.as_ref().map(read).transpose()?;
        let fits = |one: &Recovery| (one.means, &one.to) == (recovery.means, &recovery.to);
        // What is set up once more as it was is nothing to be told of.
        if !old.as_ref().is_some_and(fits) || recovery.means == Means::Questions {
            let notice = recovery.notice(Happened::RecoverySet);
            changes.extend(self.tell(user, notice.and_at(&addresses(old.as_slice()))).await?);
        }
        let body = serde_json::to_string(recovery).map_err(|error| Fault::internal("a recovery", error))?;
        changes.push(Change::PutItem(Item {
            kind: KIND,
            name,
            owner: Some(user.0.clone()),
            link: None,
            created: now,
            expires: now + KEPT,
            body,
            version: before.map_or(0, |before| before.version),
        }));
        self.store_enrolment(changes, NotEnrolled::Stale).await
    }

    /// Forgets what recovers the account of a person.
    ///
    /// # Errors
    /// The store failed.
    pub async fn drop_recoveries(self, user: &UserId) -> Result<(), NotEnrolled> {
        let gone = self.recoveries(user).await?;
        let mut changes = vec![Change::DropItemsOf { kind: KIND, owner: user.0.clone() }];
        let notice = match gone.as_slice() {
            [] => None,
            [only] => Some(only.notice(Happened::RecoveryRemoved)),
            _ => Some(Notice::of(Happened::RecoveryRemoved)),
        };
        if let Some(notice) = notice {
            changes.extend(self.tell(user, notice.and_at(&addresses(&gone))).await?);
        }
        self.store_enrolment(changes, NotEnrolled::Stale).await
    }

    /// Begins to prove an address that will recover the account. It may be one that is a factor too.
    ///
    /// # Errors
    /// No codes can be sent to it; see [`NotEnrolled`].
    pub async fn enrolling_recovery(
        self,
        user: &UserId,
        bound: &str,
        means: Means,
        to: &str,
    ) -> Result<Enrolling, NotDone> {
        let kind = means.kind().ok_or(factors::Unusable::SwitchedOff)?;
        self.switched_on(kind)?;
        factors::otp::check(&self.tenant.tenant, kind, to)?;
        let user = self.living(user).await?;
        self.enrolling_unkept(&user.id, bound, kind, to).await
    }
}
