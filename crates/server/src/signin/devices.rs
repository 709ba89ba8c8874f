//! Phones that approve: how one is invited and registered, its tokens, its keys, and its end. Owns what is stored of a device;
//! who may invite one is the door's to say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::FactorKind;
use protocol::records::{Enrolment, EnrolmentId, Seconds, User, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Change, CommitError, Item};

use super::SignIns;
use super::enrol::NotEnrolled;
use super::factors::push::{self, ALGORITHMS};
use super::factors::{Cause, Unusable};
use super::notice::Notice;
use crate::delivery::Happened;
use crate::fault::Fault;
use crate::secret::Secret;
use crate::tokens;

mod asked;
mod waits;

pub use waits::Waits;

const DEVICE: &str = "device";
const INVITATION: &str = "device-code";
const TOKEN: &str = "device-token";

/// Seconds an invitation may be taken up.
const INVITED: Seconds = 600;
/// Seconds an access token of a device lives, and its refresh token.
const ACCESS: Seconds = 3600;
const REFRESH: Seconds = 180 * 86_400;
/// Seconds a refresh token serves again after its first use.
const AGAIN: Seconds = 60;
const KEPT: Seconds = 100 * 365 * 86_400;
const LONGEST_NAME: usize = 128;
const LONGEST_KEY: usize = 2048;

/// What is kept of a device.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// It has registered its keys and renewed its token once.
    pub active: bool,
    /// The profile it was registered under.
    pub profile: String,
    /// What its owner sees the account called.
    pub account: String,
    /// What it calls itself, as it said: names, versions, platform.
    pub attributes: serde_json::Map<String, Value>,
}

/// A registered device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub user: UserId,
    /// What it is.
    pub about: About,
    /// When it was registered.
    pub created: Seconds,
    version: i64,
}

/// What a device is given.
pub struct Registered {
    /// The device.
    pub device: Device,
    /// Its access token.
    pub access: String,
    /// Its refresh token, good once.
    pub refresh: String,
    /// Seconds the access token lives.
    pub expires_in: Seconds,
    /// The `otpauth:` address of its generator of codes, where it was invited to have one: in this answer alone.
    pub generator: Option<Secret<String>>,
}

/// A key a device enrols.
pub struct Key<'a> {
    /// By what the phone asks its owner before it signs.
    pub kind: FactorKind,
    /// How it signs.
    pub algorithm: &'a str,
    /// The public key: SubjectPublicKeyInfo in DER.
    pub public: Vec<u8>,
    /// Base64 of its signature over the id of the device: proof of possession.
    pub signature: &'a str,
    /// Base64 of the signature of a key that the device has already, over [`vouched_text`].
    pub vouched: Option<&'a str>,
    /// Whether it may be used at once.
    pub enabled: bool,
}

/// A phone that is invited under a credential of its door's own.
pub struct Invited<'a> {
    /// The id it will have.
    pub device: &'a str,
    /// The credential. Good once.
    pub code: &'a str,
    /// Seconds it may be taken up.
    pub life: Seconds,
    /// What it is called until it says so itself.
    pub name: &'a str,
    /// It registers keys and approves.
    pub approves: bool,
    /// It is given a generator of codes.
    pub generates: bool,
}

#[derive(Serialize, Deserialize)]
struct Invitation {
    profile: String,
    account: String,
    /// The id the device will have; drawn when it registers where none was promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// What it is called until it says so itself, where it is given a generator of codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generator: Option<String>,
    /// It does nothing else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    generates_only: bool,
}

#[derive(Serialize, Deserialize)]
struct Held {
    device: String,
    refresh: bool,
    /// It was used already, and serves only a device that lost the answer.
    #[serde(default)]
    used: bool,
}

impl Device {
    /// What its owner knows it by.
    pub fn name(&self) -> &str {
        self.about.attributes.get("deviceName").and_then(Value::as_str).unwrap_or("phone")
    }

    fn item(&self) -> Result<Item, Fault> {
        let body = serde_json::to_string(&self.about).map_err(|error| Fault::internal("a device", error))?;
        Ok(Item {
            kind: DEVICE,
            name: self.id.clone(),
            owner: Some(self.user.0.clone()),
            link: None,
            created: self.created,
            expires: self.created + KEPT,
            body,
            version: self.version,
        })
    }

    fn read(item: Item) -> Result<Self, Fault> {
        let about = serde_json::from_str(&item.body).map_err(|error| Fault::internal("a device", error))?;
        let user = item.owner.ok_or_else(|| Fault::stored("a device has no owner"))?.into();
        Ok(Self { id: item.name, user, about, created: item.created, version: item.version })
    }
}

/// What a key that a device has signs for one that is to come: the id of the device, a line feed, the new public key in base64.
fn vouched_text(device: &Device, public: &[u8]) -> String {
    format!("{}\n{}", device.id, STANDARD.encode(public))
}

fn vouches(keys: &[Enrolment], text: &str, signature: Option<&str>) -> bool {
    let fits = |one: &&Enrolment| {
        let algorithm = one.attributes.get("algorithm").and_then(Value::as_str).unwrap_or_default();
        one.enabled && push::verify(algorithm, &one.payload, text.as_bytes(), signature.unwrap_or_default())
    };
    signature.is_some() && keys.iter().any(|one| fits(&one))
}

fn name(token: &str) -> String {
    tokens::hex(&tokens::digest(token).0)
}

impl SignIns<'_> {
    /// Invites a device of this person: a code that is good once, and for how many seconds.
    ///
    /// # Errors
    /// The factor is switched off, the person has as many devices as may be; see [`NotEnrolled`].
    pub async fn invite_device(
        self,
        user: &UserId,
        profile: &str,
        account: Option<&str>,
    ) -> Result<(String, Seconds), NotEnrolled> {
        self.push_is_on()?;
        let user = self.person(user).await?.filter(|user| user.active).ok_or(NotEnrolled::NoSuchPerson)?;
        if self.devices_of(&user.id).await?.len() >= self.most_of_a_kind() {
            return Err(NotEnrolled::Limit);
        }
        let account = account.filter(|name| !name.is_empty()).unwrap_or(&user.username);
        if account.len() > LONGEST_NAME || profile.len() > LONGEST_NAME {
            return Err(Unusable::BadSettings.into());
        }
        let (code, now) = (self.app.world.token(tokens::ACCESS_TOKEN_LENGTH), self.app.world.now());
        let (profile, account) = (profile.to_owned(), account.to_owned());
        let body = Invitation { profile, account, device: None, generator: None, generates_only: false };
        let item = Item {
            kind: INVITATION,
            name: name(&code),
            owner: Some(user.id.0),
            link: None,
            created: now,
            expires: now + INVITED,
            body: serde_json::to_string(&body).map_err(|error| Fault::internal("an invitation", error))?,
            version: 0,
        };
        self.keep_device(vec![Change::PutItem(item)]).await?;
        Ok((code, INVITED))
    }

    /// What must be written to invite a device under a credential that is at hand.
    pub(super) async fn invite_as(self, user: &UserId, invited: Invited<'_>) -> Result<Change, NotEnrolled> {
        self.push_is_on()?;
        let user = self.person(user).await?.filter(|user| user.active).ok_or(NotEnrolled::NoSuchPerson)?;
        if self.devices_of(&user.id).await?.len() >= self.most_of_a_kind() {
            return Err(NotEnrolled::Limit);
        }
        let now = self.app.world.now();
        let body = Invitation {
            profile: String::new(),
            account: user.username,
            device: Some(invited.device.to_owned()),
            generator: invited.generates.then(|| invited.name.to_owned()),
            generates_only: !invited.approves,
        };
        Ok(Change::PutItem(Item {
            kind: INVITATION,
            name: name(invited.code),
            owner: Some(user.id.0),
            link: None,
            created: now,
            expires: now + invited.life,
            body: serde_json::to_string(&body).map_err(|error| Fault::internal("an invitation", error))?,
            version: 0,
        }))
    }

    fn push_is_on(self) -> Result<(), NotEnrolled> {
        if self.tenant.tenant.settings.push.enabled { Ok(()) } else { Err(Unusable::SwitchedOff.into()) }
    }

    /// Takes up an invitation; none where there is no such one, or no longer.
    ///
    /// # Errors
    /// The factor is switched off, or the store failed.
    pub async fn register_device(
        self,
        code: &str,
        attributes: serde_json::Map<String, Value>,
    ) -> Result<Option<Registered>, NotEnrolled> {
        self.push_is_on()?;
        let (now, tenant) = (self.app.world.now(), &self.tenant.tenant.id);
        let found = self.app.store.item(tenant, INVITATION, &name(code)).await.map_err(Fault::from)?;
        let Some(item) = found.filter(|item| item.expires > now) else { return Ok(None) };
        let Some(user) = item.owner.map(UserId::from) else { return Ok(None) };
        // What was invited before a person was cut off is no phone of theirs.
        let invited = |person: &User| person.active && item.created >= person.not_before;
        let Some(person) = self.person(&user).await?.filter(invited) else { return Ok(None) };
        let Invitation { profile, account, device, generator, generates_only } =
            serde_json::from_str(&item.body).map_err(|error| Fault::internal("an invitation", error))?;
        let about = About { active: false, profile, account, attributes };
        let id = device.unwrap_or_else(|| self.app.world.uuid());
        let device = Device { id, user, about, created: now, version: 0 };
        let spent = Change::TakeItem { kind: INVITATION, name: item.name, version: Some(item.version) };
        let mut changes = vec![spent, Change::PutItem(device.item()?)];
        let mut uri = None;
        if let Some(called) = generator {
            let called = match device.about.attributes.contains_key("deviceName") {
                true => device.name().to_owned(),
                false => called,
            };
            let (made, shown) = self.generator_of_phone(&person, &device.id, &called).await?;
            // One that approves is told of when it has its keys.
            if generates_only {
                changes.extend(self.tell(&person.id, Notice::about(Happened::PhoneAdded, &made)).await?);
            }
            changes.push(Change::PutEnrolment(made));
            uri = Some(shown);
        }
        let registered = self.give_tokens(Device { version: 1, ..device }, &mut changes)?;
        let registered = Registered { generator: uri, ..registered };
        match self.keep_device(changes).await {
            Ok(()) => Ok(Some(registered)),
            // Somebody took it up at the same moment.
            Err(NotEnrolled::Stale) => Ok(None),
            Err(not) => Err(not),
        }
    }

    /// New tokens for the refresh token of a device; none where it is not one, or no longer.
    ///
    /// Whatever the device held before is dead, but the token it came with: for a moment that one serves again, for a device that
    /// lost the answer, and what was given the first time is dead then. So one line of tokens lives at any time, and who copied
    /// one is noticed by the other's failing.
    ///
    /// # Errors
    /// The store failed.
    pub async fn renew_device(
        self,
        refresh: &str,
        attributes: serde_json::Map<String, Value>,
    ) -> Result<Option<Registered>, NotEnrolled> {
        // Of two at the same moment one loses the version check, and comes back for tokens of its own.
        for _ in 0..3 {
            let Some((mut device, held)) = self.by_device_token(refresh, true).await? else { return Ok(None) };
            device.about.active = true;
            device.about.attributes.extend(attributes.clone());
            let mut changes = vec![
                Change::TakeItem { kind: TOKEN, name: held.name.clone(), version: Some(held.version) },
                Change::DropItemsLinked { kind: TOKEN, link: device.id.clone() },
                Change::PutItem(device.item()?),
                Change::PutItem(self.used(held)?),
            ];
            device.version += 1;
            let registered = self.give_tokens(device, &mut changes)?;
            match self.keep_device(changes).await {
                Ok(()) => return Ok(Some(registered)),
                Err(NotEnrolled::Stale) => {}
                Err(not) => return Err(not),
            }
        }
        Ok(None)
    }

    /// A refresh token that has served: it lives for a moment more, counted from its first use.
    fn used(self, token: Item) -> Result<Item, Fault> {
        let mut held: Held = read(&token)?;
        let mut token = Item { version: 0, ..token };
        if !held.used {
            held.used = true;
            token.expires = token.expires.min(self.app.world.now() + AGAIN);
            token.body = serde_json::to_string(&held).map_err(|error| Fault::internal("a device token", error))?;
        }
        Ok(token)
    }

    fn give_tokens(self, device: Device, changes: &mut Vec<Change>) -> Result<Registered, Fault> {
        let now = self.app.world.now();
        let access = self.app.world.token(tokens::ACCESS_TOKEN_LENGTH);
        let refresh = self.app.world.token(tokens::REFRESH_TOKEN_LENGTH);
        for (token, is_refresh, life) in [(&access, false, ACCESS), (&refresh, true, REFRESH)] {
            let held = Held { device: device.id.clone(), refresh: is_refresh, used: false };
            changes.push(Change::PutItem(Item {
                kind: TOKEN,
                name: name(token),
                owner: Some(device.user.0.clone()),
                link: Some(device.id.clone()),
                created: now,
                expires: now + life,
                body: serde_json::to_string(&held).map_err(|error| Fault::internal("a device token", error))?,
                version: 0,
            }));
        }
        Ok(Registered { device, access, refresh, expires_in: ACCESS, generator: None })
    }

    /// The device of this access token, while its owner may sign in.
    ///
    /// # Errors
    /// The store failed.
    pub async fn device_by_token(self, token: &str) -> Result<Option<Device>, Fault> {
        Ok(self.by_device_token(token, false).await?.map(|(device, _)| device))
    }

    async fn by_device_token(self, token: &str, refresh: bool) -> Result<Option<(Device, Item)>, Fault> {
        let (store, tenant, key) = (&self.app.store, &self.tenant.tenant.id, name(token));
        let item = store.item(tenant, TOKEN, &key).await?.filter(|item| item.expires > self.app.world.now());
        let Some(item) = item else { return Ok(None) };
        let held: Held = read(&item)?;
        if held.refresh != refresh {
            return Ok(None);
        }
        let Some(device) = self.device(&held.device).await? else { return Ok(None) };
        let living = self.person(&device.user).await?.is_some_and(|person| person.active);
        Ok(living.then_some((device, item)))
    }

    /// A device by id.
    ///
    /// # Errors
    /// The store failed.
    pub async fn device(self, id: &str) -> Result<Option<Device>, Fault> {
        let item = self.app.store.item(&self.tenant.tenant.id, DEVICE, id).await?;
        item.map(Device::read).transpose()
    }

    /// The devices of a person, oldest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn devices_of(self, user: &UserId) -> Result<Vec<Device>, Fault> {
        let items = self.app.store.items_of(&self.tenant.tenant.id, DEVICE, user.as_str(), 64).await?;
        items.into_iter().map(Device::read).collect()
    }

    /// Enrols keys of a device, each with a proof that the device holds it. One of a kind takes the place of the one before:
    /// that is how a key is exchanged. A device that is through with its registration vouches for a new key by one it has:
    /// its access token alone, copied somewhere, must not approve anything.
    ///
    /// # Errors
    /// A proof does not fit, or a key cannot be used; see [`NotEnrolled`].
    pub async fn enrol_keys(self, device: &Device, keys: Vec<Key<'_>>) -> Result<Vec<Enrolment>, NotEnrolled> {
        self.push_is_on()?;
        let now = self.app.world.now();
        let before = self.keys_of(device).await?;
        let (mut changes, mut made) = (Vec::new(), Vec::new());
        for key in keys {
            if !ALGORITHMS.contains(&key.algorithm) || key.public.is_empty() || key.public.len() > LONGEST_KEY {
                return Err(Unusable::BadSettings.into());
            }
            if !push::verify(key.algorithm, &key.public, device.id.as_bytes(), key.signature) {
                return Err(NotEnrolled::NotAccepted(Cause::BadSignature));
            }
            if device.about.active && !vouches(&before, &vouched_text(device, &key.public), key.vouched) {
                return Err(NotEnrolled::NotAccepted(Cause::BadSignature));
            }
            changes.extend(
                before
                    .iter()
                    .filter(|one| one.kind == key.kind.as_str())
                    .map(|one| Change::RemoveEnrolment(one.id.clone())),
            );
            let enrolment = Enrolment {
                id: EnrolmentId(self.app.world.uuid()),
                user: device.user.clone(),
                kind: key.kind.as_str().to_owned(),
                enabled: key.enabled,
                validated: true,
                attributes: json!({
                    "algorithm": key.algorithm,
                    "deviceName": device.name(),
                    "references": { "authenticatorId": device.id },
                }),
                lookup: None,
                payload: key.public,
                created: now,
                updated: now,
                attempted: None,
                version: 0,
            };
            changes.push(Change::PutEnrolment(enrolment.clone()));
            made.push(enrolment);
        }
        if let (true, Some(first)) = (before.is_empty(), made.first()) {
            changes.extend(self.tell(&device.user, Notice::about(Happened::PhoneAdded, first)).await?);
        }
        self.keep_device(changes).await?;
        Ok(made)
    }

    /// The keys of a device.
    async fn keys_of(self, device: &Device) -> Result<Vec<Enrolment>, Fault> {
        let mut all = self.held_by(device).await?;
        all.retain(|one| one.kind != FactorKind::Totp.as_str());
        Ok(all)
    }

    /// Whatever is enrolled on a device: its keys, and its generator of codes.
    async fn held_by(self, device: &Device) -> Result<Vec<Enrolment>, Fault> {
        let mut all = self.enrolments_of(&device.user).await?;
        all.retain(|one| push::device_of(one) == Some(device.id.as_str()));
        Ok(all)
    }

    /// Removes a device with its keys and tokens.
    ///
    /// # Errors
    /// The store failed, or it changed meanwhile.
    pub async fn remove_device(self, device: &Device) -> Result<(), NotEnrolled> {
        self.keep_device(self.removal_of(device).await?).await
    }

    /// The same in the place of its owner, which ends what they began: see [`take_enrolment`](Self::take_enrolment).
    ///
    /// # Errors
    /// See [`remove_device`](Self::remove_device).
    pub async fn take_device(self, device: &Device) -> Result<(), NotEnrolled> {
        for _ in 0..3 {
            let mut changes = self.cutting_off(&device.user).await?;
            changes.extend(self.removal_of(device).await?);
            match self.keep_device(changes).await {
                Err(NotEnrolled::Stale) if self.device(&device.id).await?.is_some() => {}
                done => return done,
            }
        }
        Err(NotEnrolled::Stale)
    }

    async fn removal_of(self, device: &Device) -> Result<Vec<Change>, NotEnrolled> {
        let keys = self.held_by(device).await?;
        let mut changes = match keys.first() {
            Some(first) => self.tell(&device.user, Notice::about(Happened::PhoneRemoved, first)).await?,
            None => Vec::new(),
        };
        changes.extend(keys.into_iter().map(|one| Change::RemoveEnrolment(one.id)));
        changes.push(Change::DropItemsLinked { kind: TOKEN, link: device.id.clone() });
        changes.push(Change::TakeItem { kind: DEVICE, name: device.id.clone(), version: None });
        Ok(changes)
    }

    async fn keep_device(self, changes: Vec<Change>) -> Result<(), NotEnrolled> {
        match self.app.commit(&self.tenant.tenant.id, "device", changes).await {
            Ok(()) => Ok(()),
            Err(CommitError::Refused { .. }) => Err(NotEnrolled::Stale),
            Err(CommitError::Unavailable(error)) => Err(NotEnrolled::Fault(error.into())),
        }
    }
}

fn read(token: &Item) -> Result<Held, Fault> {
    serde_json::from_str(&token.body).map_err(|error| Fault::internal("a device token", error))
}
