//! Bypass codes: a set of codes, each good once, that stand in for a factor that is not at hand. Owns how they are drawn, kept
//! and spent; who may have a set is the door's to say.

use protocol::records::{Seconds, UserId};
use store::{Change, CommitError, Item};

use super::SignIns;
use super::enrol::NotEnrolled;
use super::factors::{Cause, Judgement, Unusable};
use super::notice::Notice;
use crate::delivery::Happened;
use crate::fault::Fault;
use crate::secret::Secret;
use crate::tokens;

const KIND: &str = "bypass";
/// Digits of a code: one in a trillion, and guesses are counted.
const DIGITS: usize = 12;
/// Codes of one set at most.
const MOST: u8 = 20;
const KEPT: Seconds = 10 * 365 * 86_400;

/// The digits of what was typed, without what people put between them.
fn digits(typed: &str) -> String {
    typed.chars().filter(|c| !matches!(c, ' ' | '-')).take(2 * DIGITS).collect()
}

impl SignIns<'_> {
    /// The row of a code: a keyed hash under the person's id. A code of twelve digits would be found from a plain one.
    fn bypass_name(self, user: &UserId, code: &str) -> String {
        let typed = format!("{}\0{user}\0{}", self.tenant.tenant.id, digits(code));
        tokens::hex(&self.app.master.mac("bypass code", typed.as_bytes()))
    }

    /// A new set of codes, shown once. The set before it is dead. Those that an administrator hands out live for `life` seconds.
    ///
    /// # Errors
    /// The factor is switched off, there is no such person, or the store failed.
    pub async fn issue_bypass_codes(
        self,
        user: &UserId,
        count: u8,
        life: Option<Seconds>,
    ) -> Result<Vec<Secret<String>>, NotEnrolled> {
        if !self.tenant.tenant.settings.bypass.enabled {
            return Err(Unusable::SwitchedOff.into());
        }
        self.person(user).await?.filter(|person| person.active).ok_or(NotEnrolled::NoSuchPerson)?;
        let now = self.app.world.now();
        let (set, expires) = (self.app.world.uuid(), now + life.unwrap_or(KEPT).clamp(60, KEPT));
        let mut codes = Vec::new();
        let mut changes = vec![Change::DropItemsOf { kind: KIND, owner: user.0.clone() }];
        for _ in 0..count.clamp(1, MOST) {
            let code = self.app.world.digits("0123456789", DIGITS);
            changes.push(Change::PutItem(Item {
                kind: KIND,
                name: self.bypass_name(user, &code),
                owner: Some(user.0.clone()),
                link: Some(set.clone()),
                created: now,
                expires,
                body: "{}".to_owned(),
                version: 0,
            }));
            codes.push(Secret::from(code));
        }
        changes.extend(self.tell(user, Notice::of(Happened::RecoveryCodes)).await?);
        match self.app.commit(&self.tenant.tenant.id, "bypass codes", changes).await {
            Ok(()) => Ok(codes),
            Err(CommitError::Refused { .. }) => Err(NotEnrolled::Stale),
            Err(CommitError::Unavailable(error)) => Err(NotEnrolled::Fault(error.into())),
        }
    }

    /// How many codes a person has left.
    ///
    /// # Errors
    /// The store failed.
    pub async fn bypass_codes_left(self, user: &UserId) -> Result<usize, Fault> {
        let now = self.app.world.now();
        let all = self.app.store.items_of(&self.tenant.tenant.id, KIND, user.as_str(), 64).await?;
        Ok(all.iter().filter(|one| one.expires > now).count())
    }

    /// Judges a code. A right one is spent with the verdict.
    pub(super) async fn judge_bypass(self, user: &UserId, code: &Secret<String>) -> Result<Judgement, Fault> {
        if !self.tenant.tenant.settings.bypass.enabled {
            return Ok(Judgement::failed(Cause::Disabled));
        }
        let name = self.bypass_name(user, code.expose());
        let found = self.app.store.item(&self.tenant.tenant.id, KIND, &name).await?;
        let found = found.filter(|item| item.expires > self.app.world.now());
        Ok(match found {
            Some(item) => {
                let mut judgement = Judgement::right();
                judgement.changes.push(Change::TakeItem { kind: KIND, name, version: Some(item.version) });
                judgement
            }
            None => Judgement::failed(Cause::WrongCode),
        })
    }
}
