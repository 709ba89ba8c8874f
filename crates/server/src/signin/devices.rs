//! Phones that approve: how one is invited and registered, its tokens, its keys, and its end. Owns what is stored of a device;
//! who may invite one is the door's to say.

use engine::FactorKind;
use protocol::records::{Enrolment, EnrolmentId, Seconds, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Challenge, Change, CommitError, Item};

use super::enrol::NotEnrolled;
use super::factors::push::{self, ALGORITHMS, Answer};
use super::factors::{Cause, Unusable};
use super::{Failure, SignIns};
use crate::fault::Fault;
use crate::tokens;

const DEVICE: &str = "device";
const INVITATION: &str = "device-code";
const TOKEN: &str = "device-token";
/// The one transaction a person may have open, under the person's id.
pub(super) const OPEN: &str = "push-open";

/// Seconds an invitation may be taken up.
const INVITED: Seconds = 600;
/// Seconds an access token of a device lives, and its refresh token.
const ACCESS: Seconds = 3600;
const REFRESH: Seconds = 180 * 86_400;
const KEPT: Seconds = 100 * 365 * 86_400;
/// Devices a person may have.
const MOST: usize = 10;
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
    /// Whether it may be used at once.
    pub enabled: bool,
}

#[derive(Serialize, Deserialize)]
struct Invitation {
    profile: String,
    account: String,
}

#[derive(Serialize, Deserialize)]
struct Held {
    device: String,
    refresh: bool,
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
        if self.devices_of(&user.id).await?.len() >= MOST {
            return Err(NotEnrolled::Limit);
        }
        let account = account.filter(|name| !name.is_empty()).unwrap_or(&user.username);
        if account.len() > LONGEST_NAME || profile.len() > LONGEST_NAME {
            return Err(Unusable::BadSettings.into());
        }
        let (code, now) = (self.app.world.token(tokens::ACCESS_TOKEN_LENGTH), self.app.world.now());
        let body = Invitation { profile: profile.to_owned(), account: account.to_owned() };
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
        if self.person(&user).await?.is_none_or(|person| !person.active) {
            return Ok(None);
        }
        let Invitation { profile, account } =
            serde_json::from_str(&item.body).map_err(|error| Fault::internal("an invitation", error))?;
        let about = About { active: false, profile, account, attributes };
        let device = Device { id: self.app.world.uuid(), user, about, created: now, version: 0 };
        let spent = Change::TakeItem { kind: INVITATION, name: item.name, version: Some(item.version) };
        let mut changes = vec![spent, Change::PutItem(device.item()?)];
        let registered = self.give_tokens(Device { version: 1, ..device }, &mut changes)?;
        match self.keep_device(changes).await {
            Ok(()) => Ok(Some(registered)),
            // Somebody took it up at the same moment.
            Err(NotEnrolled::Stale) => Ok(None),
            Err(not) => Err(not),
        }
    }

    /// New tokens for the refresh token of a device, which is spent; none where it is not one, or no longer.
    ///
    /// # Errors
    /// The store failed.
    pub async fn renew_device(
        self,
        refresh: &str,
        attributes: serde_json::Map<String, Value>,
    ) -> Result<Option<Registered>, NotEnrolled> {
        let Some((mut device, held)) = self.by_device_token(refresh, true).await? else { return Ok(None) };
        device.about.active = true;
        device.about.attributes.extend(attributes);
        let spent = Change::TakeItem { kind: TOKEN, name: held, version: None };
        let mut changes = vec![
            spent,
            // Whatever it held before is dead: a copied refresh token is noticed by its owner's failing.
            Change::DropItemsLinked { kind: TOKEN, link: device.id.clone() },
            Change::PutItem(device.item()?),
        ];
        device.version += 1;
        let registered = self.give_tokens(device, &mut changes)?;
        match self.keep_device(changes).await {
            Ok(()) => Ok(Some(registered)),
            Err(NotEnrolled::Stale) => Ok(None),
            Err(not) => Err(not),
        }
    }

    fn give_tokens(self, device: Device, changes: &mut Vec<Change>) -> Result<Registered, Fault> {
        let now = self.app.world.now();
        let access = self.app.world.token(tokens::ACCESS_TOKEN_LENGTH);
        let refresh = self.app.world.token(tokens::REFRESH_TOKEN_LENGTH);
        for (token, is_refresh, life) in [(&access, false, ACCESS), (&refresh, true, REFRESH)] {
            let held = Held { device: device.id.clone(), refresh: is_refresh };
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
        Ok(Registered { device, access, refresh, expires_in: ACCESS })
    }

    /// The device of this access token, while its owner may sign in.
    ///
    /// # Errors
    /// The store failed.
    pub async fn device_by_token(self, token: &str) -> Result<Option<Device>, Fault> {
        Ok(self.by_device_token(token, false).await?.map(|(device, _)| device))
    }

    async fn by_device_token(self, token: &str, refresh: bool) -> Result<Option<(Device, String)>, Fault> {
        let (store, tenant, key) = (&self.app.store, &self.tenant.tenant.id, name(token));
        let item = store.item(tenant, TOKEN, &key).await?.filter(|item| item.expires > self.app.world.now());
        let Some(item) = item else { return Ok(None) };
        let held: Held = serde_json::from_str(&item.body).map_err(|error| Fault::internal("a device token", error))?;
        if held.refresh != refresh {
            return Ok(None);
        }
        let Some(device) = self.device(&held.device).await? else { return Ok(None) };
        let living = self.person(&device.user).await?.is_some_and(|person| person.active);
        Ok(living.then_some((device, key)))
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
    /// that is how a key is exchanged.
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
        self.keep_device(changes).await?;
        Ok(made)
    }

    async fn keys_of(self, device: &Device) -> Result<Vec<Enrolment>, Fault> {
        let mut all = self.enrolments_of(&device.user).await?;
        all.retain(|one| push::device_of(one) == Some(device.id.as_str()));
        Ok(all)
    }

    /// Removes a device with its keys and tokens.
    ///
    /// # Errors
    /// The store failed, or it changed meanwhile.
    pub async fn remove_device(self, device: &Device) -> Result<(), NotEnrolled> {
        let mut changes: Vec<Change> =
            self.keys_of(device).await?.into_iter().map(|one| Change::RemoveEnrolment(one.id)).collect();
        changes.push(Change::DropItemsLinked { kind: TOKEN, link: device.id.clone() });
        changes.push(Change::TakeItem { kind: DEVICE, name: device.id.clone(), version: None });
        self.keep_device(changes).await
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
    pub(super) async fn pace_push(self, user: &UserId, challenge: &Challenge) -> Result<Vec<Change>, Failure> {
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
        let Some(next) = super::factors::qr::scanned(&self.app.master, challenge, lsi, &device.user, now) else {
            return Ok(false);
        };
        match self.app.commit(&self.tenant.tenant.id, "picture scanned", vec![Change::UpdateChallenge(next)]).await {
            Ok(()) => Ok(true),
            Err(CommitError::Refused { .. }) => Ok(false),
            Err(CommitError::Unavailable(error)) => Err(error.into()),
        }
    }

    async fn keep_device(self, changes: Vec<Change>) -> Result<(), NotEnrolled> {
        match self.app.commit(&self.tenant.tenant.id, "device", changes).await {
            Ok(()) => Ok(()),
            Err(CommitError::Refused { .. }) => Err(NotEnrolled::Stale),
            Err(CommitError::Unavailable(error)) => Err(NotEnrolled::Fault(error.into())),
        }
    }
}

fn device_named(challenge: &Challenge) -> Option<String> {
    let shown: Value = serde_json::from_str(&challenge.shown).ok()?;
    shown.get("authenticatorId")?.as_str().map(str::to_owned)
}
