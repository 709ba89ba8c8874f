//! Bypass codes: a set of codes, each good once, that stand in for a factor that is not at hand. Owns how they are drawn, kept
//! and spent; who may have a set is the door's to say.

use protocol::records::{Seconds, UserId};
use serde::{Deserialize, Serialize};
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

/// On what terms a code is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How often it may be used.
    pub uses: u32,
    /// Seconds it lives; as long as it is not used where none are named.
    pub life: Option<Seconds>,
}

/// A code that was made by itself, without the code: that is shown once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub id: String,
    /// Its terms.
    pub terms: Terms,
    /// How often it was used.
    pub used: u32,
    /// When it was made.
    pub created: Seconds,
    /// When it ends.
    pub expires: Seconds,
}

/// What is kept of a code. Those of a set say nothing: they are used once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Body {
    /// It was made by itself.
    single: bool,
    /// Uses left after the next one.
    more: u32,
    /// Uses so far.
    used: u32,
}

impl Body {
    fn read(item: &Item) -> Result<Self, Fault> {
        serde_json::from_str(&item.body).map_err(|error| Fault::internal("a bypass code", error))
    }

    fn write(&self) -> Result<String, Fault> {
        serde_json::to_string(self).map_err(|error| Fault::internal("a bypass code", error))
    }
}

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

    /// One more code beside those there are, shown once.
    ///
    /// # Errors
    /// The factor is switched off, there is no such person, or they have as many as may be.
    pub async fn add_bypass_code(self, user: &UserId, terms: Terms) -> Result<(Kept, Secret<String>), NotEnrolled> {
        if !self.tenant.tenant.settings.bypass.enabled {
            return Err(Unusable::SwitchedOff.into());
        }
        self.person(user).await?.filter(|person| person.active).ok_or(NotEnrolled::NoSuchPerson)?;
        if self.bypass_codes(user).await?.len() >= usize::from(self.tenant.tenant.settings.bypass.most) {
            return Err(NotEnrolled::Limit);
        }
        let now = self.app.world.now();
        let (id, code) = (self.app.world.uuid(), self.app.world.digits("0123456789", DIGITS));
        let expires = now + terms.life.unwrap_or(KEPT).clamp(60, KEPT);
        let body = Body { single: true, more: terms.uses.saturating_sub(1), used: 0 };
        let mut changes = vec![Change::PutItem(Item {
            kind: KIND,
            name: self.bypass_name(user, &code),
            owner: Some(user.0.clone()),
            link: Some(id.clone()),
            created: now,
            expires,
            body: body.write()?,
            version: 0,
        })];
        changes.extend(self.tell(user, Notice::of(Happened::RecoveryCodes)).await?);
        self.store_enrolment(changes, NotEnrolled::Stale).await?;
        Ok((Kept { id, terms, used: 0, created: now, expires }, Secret::from(code)))
    }

    /// The codes of a person that were made by themselves and may still be used.
    ///
    /// # Errors
    /// The store failed.
    pub async fn bypass_codes(self, user: &UserId) -> Result<Vec<Kept>, Fault> {
        let now = self.app.world.now();
        let mut kept = Vec::new();
        for item in self.app.store.items_of(&self.tenant.tenant.id, KIND, user.as_str(), 64).await? {
            let body = Body::read(&item)?;
            if let Some(id) = item.link.filter(|_| body.single && item.expires > now) {
                let life = Some(item.expires - item.created);
                let terms = Terms { uses: body.used + body.more + 1, life };
                kept.push(Kept { id, terms, used: body.used, created: item.created, expires: item.expires });
            }
        }
        Ok(kept)
    }

    /// Whose code this is.
    ///
    /// # Errors
    /// The store failed.
    pub async fn owner_of_bypass_code(self, id: &str) -> Result<Option<UserId>, Fault> {
        let found = self.app.store.items_linked(&self.tenant.tenant.id, KIND, id, 1).await?;
        Ok(found.into_iter().find_map(|item| item.owner).map(UserId::from))
    }

    /// Takes a code back. Whether there was one.
    ///
    /// # Errors
    /// The store failed.
    pub async fn remove_bypass_code(self, user: &UserId, id: &str) -> Result<bool, NotEnrolled> {
        if self.bypass_codes(user).await?.iter().all(|one| one.id != id) {
            return Ok(false);
        }
        let mut changes = vec![Change::DropItemsLinked { kind: KIND, link: id.to_owned() }];
        changes.extend(self.tell(user, Notice::of(Happened::CodesRemoved)).await?);
        self.store_enrolment(changes, NotEnrolled::Stale).await?;
        Ok(true)
    }

    /// Takes all codes of a person back.
    ///
    /// # Errors
    /// The store failed.
    pub async fn drop_bypass_codes(self, user: &UserId) -> Result<(), NotEnrolled> {
        let mut changes = vec![Change::DropItemsOf { kind: KIND, owner: user.0.clone() }];
        if self.bypass_codes_left(user).await? > 0 {
            changes.extend(self.tell(user, Notice::of(Happened::CodesRemoved)).await?);
        }
        self.store_enrolment(changes, NotEnrolled::Stale).await
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
                let body = Body::read(&item)?;
                let mut judgement = Judgement::right();
                judgement.changes.push(if body.more == 0 {
                    Change::TakeItem { kind: KIND, name, version: Some(item.version) }
                } else {
                    let next = Body { more: body.more - 1, used: body.used + 1, ..body };
                    Change::PutItem(Item { body: next.write()?, ..item })
                });
                judgement
            }
            None => Judgement::failed(Cause::WrongCode),
        })
    }
}
