//! What is mailed to somebody and opens something once: a new password, an address, an account. Owns how it is made, kept and spent;
//! who may ask for it is the door's to say.
//!
//! Only its hash is kept. It dies with use, with its time, with a newer one of its kind, with the password it was made beside, and where
//! the person no longer has the address it went to.

use protocol::records::{Seconds, User, UserId};
use protocol::scim::oracle;
use serde::{Deserialize, Serialize};
use store::{Change, CommitError, Item};

use super::passwords::NotChanged;
use super::rescue::Means;
use super::{Failure, SignIns, factors};
use crate::delivery::{Channel, LinkText, Opens};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::tokens;

/// Characters: 238 random bits.
const LENGTH: usize = 40;
/// What it may be set to live, seconds.
const LIFE: std::ops::RangeInclusive<Seconds> = 60..=86_400;
/// Seconds that what was proved in one request may be used in the next.
const PROVED: Seconds = 600;

/// What was mailed, or given for another proof, and still opens what it was made for.
#[derive(Debug)]
pub struct Mailed {
    /// Whose it is.
    pub user: User,
    /// The version of their record.
    pub version: i64,
    /// Where it went; none where it was handed out.
    pub to: Option<String>,
    item: Item,
}

#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// The password the person had.
    beside: String,
}

fn kind(opens: Opens) -> &'static str {
    match opens {
        Opens::NewPassword => "mailed-reset",
        Opens::Address => "mailed-verify",
        Opens::Account => "mailed-activate",
    }
}

fn name(token: &str) -> String {
    tokens::hex(&tokens::digest(token).0)
}

impl Mailed {
    /// What must be written to use it up.
    pub fn spend(&self) -> Change {
        Change::TakeItem { kind: self.item.kind, name: self.item.name.clone(), version: Some(self.item.version) }
    }
}

impl SignIns<'_> {
    fn beside(self, user: &User) -> String {
        let text = format!("{}\0{}", user.id, user.password.as_deref().unwrap_or_default());
        tokens::hex(&self.app.master.mac("mailed", text.as_bytes())[..16])
    }

    fn life(self) -> Seconds {
        self.tenant.tenant.settings.self_service.link_lifetime.clamp(*LIFE.start(), *LIFE.end())
    }

    fn minted(
        self,
        user: &User,
        opens: Opens,
        to: Option<&str>,
        life: Seconds,
    ) -> Result<(Secret<String>, Item), Fault> {
        let (token, now) = (self.app.world.token(LENGTH), self.app.world.now());
        let body = Body { to: to.map(str::to_owned), beside: self.beside(user) };
        let item = Item {
            kind: kind(opens),
            name: name(&token),
            owner: Some(user.id.0.clone()),
            link: None,
            created: now,
            expires: now + life,
            body: serde_json::to_string(&body).map_err(|error| Fault::internal("what is mailed", error))?,
            version: 0,
        };
        Ok((Secret::from(token), item))
    }

    /// Mails what opens something to an address of a person; `at` is where the page stands that takes it.
    ///
    /// # Errors
    /// Mail has no way out, the address is none, too many messages, or the store failed.
    pub async fn mail_token(self, user: &User, opens: Opens, to: &str, at: Option<&str>) -> Result<(), Failure> {
        let changes = self.mailing(user, opens, to, at)?;
        match self.app.commit(&self.tenant.tenant.id, "mailed", changes).await {
            Ok(()) => {}
            Err(CommitError::Refused { .. }) => return Err(Failure::TooManyMessages),
            Err(CommitError::Unavailable(error)) => return Err(Failure::Fault(error.into())),
        }
        self.app.delivery.wake();
        Ok(())
    }

    /// What must be written to mail it. Refused by the store where too many messages go to that person or address.
    ///
    /// # Errors
    /// Mail has no way out, or the address is none.
    pub fn mailing(self, user: &User, opens: Opens, to: &str, at: Option<&str>) -> Result<Vec<Change>, Failure> {
        if !self.app.delivery.supports(Channel::Email) {
            return Err(Failure::Unusable(factors::Unusable::SwitchedOff));
        }
        if to.len() > 254 || to.parse::<lettre::Address>().is_err() {
            return Err(Failure::Unusable(factors::Unusable::BadAddress));
        }
        let life = self.life();
        let (token, item) = self.minted(user, opens, Some(to), life)?;
        let text = LinkText {
            tenant: &self.tenant.tenant,
            to,
            locale: user.attributes.get("locale").and_then(|values| values.first()).map(String::as_str),
            account: &user.username,
            opens,
            token: &token,
            at: at.or(self.tenant.tenant.settings.self_service.link_url.as_deref()),
            life,
        };
        let message = text.write().map_err(|error| Fault::internal("the text of a link", error))?;
        let now = self.app.world.now();
        let mut changes = self.meter(Some(&user.id), &message, now);
        // A newer one takes the place of those before.
        changes.push(Change::DropItemsOf { kind: item.kind, owner: user.id.0.clone() });
        changes.push(Change::Enqueue(self.app.delivery.seal(&self.app.world, &message, item.expires)));
        changes.push(Change::PutItem(item));
        Ok(changes)
    }

    /// What opens a new password for somebody who proved in another way who they are.
    ///
    /// # Errors
    /// The store failed, or somebody was first.
    pub async fn hand_out(self, user: &User, spent: Option<&Mailed>) -> Result<Secret<String>, Failure> {
        let to = spent.and_then(|mailed| mailed.to.as_deref());
        let (token, item) = self.minted(user, Opens::NewPassword, to, PROVED)?;
        let mut changes: Vec<Change> = spent.map(Mailed::spend).into_iter().collect();
        changes.push(Change::PutItem(item));
        match self.app.commit(&self.tenant.tenant.id, "recovery proved", changes).await {
            Ok(()) => Ok(token),
            Err(CommitError::Refused { .. }) => Err(Failure::Stale),
            Err(CommitError::Unavailable(error)) => Err(Failure::Fault(error.into())),
        }
    }

    /// What was mailed under this token; none where it opens nothing, or no longer.
    ///
    /// # Errors
    /// The store failed.
    pub async fn mailed(self, token: &str, opens: Opens) -> Result<Option<Mailed>, Fault> {
        if token.len() != LENGTH || !token.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let tenant = &self.tenant.tenant.id;
        let item = self.app.store.item(tenant, kind(opens), &name(token)).await?;
        let Some(item) = item.filter(|item| item.expires > self.app.world.now()) else { return Ok(None) };
        let Some(owner) = item.owner.clone().map(UserId) else { return Ok(None) };
        let Some((user, version)) = self.app.store.person(tenant, &owner).await? else { return Ok(None) };
        let body: Body = serde_json::from_str(&item.body).map_err(|error| Fault::internal("what was mailed", error))?;
        let reaches = match &body.to {
            Some(to) => self.reaches(&user, opens, to).await?,
            None => true,
        };
        let fits = body.beside == self.beside(&user)
            && reaches
            && match opens {
                // Whom an administrator changed meanwhile they let in themselves.
                Opens::Account => user.attributes.contains_key(PENDING),
                Opens::NewPassword | Opens::Address => user.active,
            };
        Ok(fits.then_some(Mailed { user, version, to: body.to, item }))
    }

    /// Whether an address is one of the person's still. What they proved for the day they lose their password opens a new one, and is
    /// not in the directory.
    async fn reaches(self, user: &User, opens: Opens, to: &str) -> Result<bool, Fault> {
        let is = |one: &String| one.eq_ignore_ascii_case(to);
        if user.attributes.get("email").is_some_and(|all| all.iter().any(is)) {
            return Ok(true);
        }
        match opens {
            Opens::NewPassword => Ok(self.rescue_address(user, Means::Email).await?.as_ref().is_some_and(is)),
            Opens::Address | Opens::Account => Ok(false),
        }
    }

    /// Notes that messages to the address arrive that this went to, and lets the person in who registered with it.
    ///
    /// # Errors
    /// Somebody was first, or the store failed.
    pub async fn confirm(self, mailed: Mailed, opens: Opens) -> Result<User, Failure> {
        let spend = mailed.spend();
        let Mailed { mut user, version, to, .. } = mailed;
        let known = to.as_deref().is_some_and(|to| oracle::verify(&mut user.attributes, to));
        if !known {
            return Err(Failure::Stale);
        }
        if opens == Opens::Account {
            user.active = true;
            user.attributes.remove(PENDING);
        }
        user.updated = self.app.world.now();
        let changes = vec![spend, Change::EditUser { user: user.clone(), version }];
        match self.app.commit(&self.tenant.tenant.id, "address confirmed", changes).await {
            Ok(()) => Ok(user),
            Err(CommitError::Refused { .. }) => Err(Failure::Stale),
            Err(CommitError::Unavailable(error)) => Err(Failure::Fault(error.into())),
        }
    }

    /// Sets a new password for what was mailed or handed out. It signs nobody in: what else policy asks for is asked at the next
    /// sign-in. Every token, session and trusted device is dead, and wrong passwords are forgotten.
    ///
    /// # Errors
    /// The new one will not do, which spends nothing; it was used meanwhile; too much to do, or the store failed.
    pub async fn recover(self, mailed: Mailed, to: Secret<String>) -> Result<UserId, NotChanged> {
        let spend = mailed.spend();
        let Mailed { mut user, version, to: address, .. } = mailed;
        let before = user.clone();
        let (hash, record) = self.prepare_recovered(&user, to).await?;
        let now = self.app.world.now();
        user.password = Some(hash);
        user.not_before = now;
        user.updated = now;
        if let Some(address) = address {
            oracle::verify(&mut user.attributes, &address);
        }
        let id = user.id.clone();
        let notices = self.tell_of_record(&before, &user).await?;
        let mut changes = vec![
            spend,
            Change::EditUser { user, version },
            record,
            Change::DropItemsOf { kind: kind(Opens::NewPassword), owner: id.0.clone() },
            Change::ClearAttempts { key: super::driver::counter_key(engine::FactorKind::Password, id.as_str()) },
        ];
        changes.extend(super::ends::of(&id));
        changes.extend(notices);
        match self.app.commit(&self.tenant.tenant.id, "password recovered", changes).await {
            Ok(()) => {
                self.app.delivery.wake();
                Ok(id)
            }
            Err(CommitError::Refused { .. }) => Err(Failure::Stale.into()),
            Err(CommitError::Unavailable(error)) => Err(Failure::Fault(error.into()).into()),
        }
    }
}

/// The attribute of a person who registered and has not confirmed the address yet.
pub const PENDING: &str = "scim.pending";
