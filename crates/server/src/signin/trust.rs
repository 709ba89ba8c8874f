//! Trusted devices and people who stay signed in: what a browser or device keeps of a sign-in, and what it is worth later.
//!
//! A trusted device remembers second factors and stands in for one of them where policy says so; one that stays signed in
//! remembers the factor that began, and is a sign-in's beginning again. Owns their tokens, how long and for whom they count, and
//! how they end. Whether a door offers them and how it carries a token is the door's; what follows is the engine's.

use engine::facts::Remembered;
use engine::policy::Frequency;
use engine::{FactorKind, Prior, Proof, Stage, Strength};
use protocol::records::{ClientId, Seconds, TrustSettings, User, UserId};
use serde::{Deserialize, Serialize};
use store::{Change, CommitError, Item};

use super::{Flow, SignIns};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::tokens;

/// Characters of a token that find it, and that prove it.
const HANDLE: usize = 22;
const PROOF: usize = 42;
/// Characters of a token: letters and digits.
pub const TOKEN: usize = HANDLE + PROOF;
/// Tokens of a request that are looked at.
const MOST_TOKENS: usize = 5;
/// Of one person and kind, listed.
const MOST_LISTED: i64 = 200;
/// Characters of a name.
const NAME: usize = 100;
/// A token that is replaced on use is replaced no more often than this, so that what a browser sends at the same moment, or
/// sends again for want of an answer, finds it.
const REST: Seconds = 60;
/// The last use is written down no more often than this.
const SEEN: Seconds = 86_400;
/// Looks at a token that others replace at the same moment.
const LOOKS: usize = 4;

/// What is kept of a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustKind {
    /// The device is trusted: its second factor is remembered.
    Device,
    /// The person stays signed in: the factor that began is remembered. The token is replaced on use.
    StaySignedIn,
}

impl TrustKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Device, Self::StaySignedIn];

    fn item(self) -> &'static str {
        match self {
            Self::Device => "trusted-device",
            Self::StaySignedIn => "stay-signed-in",
        }
    }

    /// Whether this is a proof that it keeps. What others may find out, or what was handed out for one use, is not kept.
    fn keeps(self, proof: &Proof) -> bool {
        let lasting = proof.kind.strength() > Strength::Weak && proof.kind != FactorKind::BypassCode;
        lasting
            && match self {
                Self::Device => !proof.first,
                Self::StaySignedIn => proof.first,
            }
    }
}

/// What a person wants kept of the sign-in that just ended.
#[derive(Debug)]
pub struct Wish<'a> {
    /// Which.
    pub kind: TrustKind,
    /// The person.
    pub user: &'a User,
    /// The client it is good for; none for any.
    pub client: Option<&'a ClientId>,
    /// What the person calls the device.
    pub name: &'a str,
    /// The user agent, as its owner is shown.
    pub agent: &'a str,
    /// The address, as its owner is shown.
    pub address: &'a str,
    /// Everything that was proved.
    pub proofs: &'a [Proof],
    /// One that this takes the place of, if it is the same person's.
    pub replaces: Option<&'a Trust>,
}

/// A token, and what must be written for it to be good: together with the end of the sign-in.
#[derive(Clone)]
pub struct Kept {
    /// What the device keeps.
    pub token: Secret<String>,
    /// The public id.
    pub id: String,
    /// When it ends.
    pub expires: Seconds,
    /// What must be written.
    pub changes: Vec<Change>,
}

/// A device that is trusted, or one on which somebody stays signed in.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Its public id.
    pub id: String,
    /// Which of the two.
    pub kind: TrustKind,
    /// Whose it is.
    pub user: UserId,
    /// The client it is good for; none for any.
    pub client: Option<ClientId>,
    /// What its owner calls it.
    pub name: String,
    /// The user agent it was made with.
    pub agent: String,
    /// The address it was made from.
    pub address: String,
    /// When it was made.
    pub created: Seconds,
    /// When it was last used, roughly.
    pub seen: Seconds,
    /// When it ends.
    pub expires: Seconds,
    /// What it remembers.
    proofs: Vec<Proof>,
}

/// Somebody who stayed signed in.
#[derive(Clone, Debug)]
pub struct Stayed {
    /// What is kept.
    pub trust: Trust,
    /// The person.
    pub user: User,
    /// What the device keeps from now on: to be handed out whatever the sign-in comes to.
    pub token: Secret<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Body {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<ClientId>,
    name: String,
    agent: String,
    address: String,
    seen: Seconds,
    proofs: Vec<Proof>,
    /// The hash of what proves the token, and of what did before it was replaced.
    now: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    replaced: Seconds,
}

impl Trust {
    /// What the engine is told of a trusted device.
    pub fn remembered(&self) -> Remembered {
        Remembered { subject: self.user.0.clone(), kinds: self.proofs.iter().map(|proof| proof.kind).collect() }
    }

    /// What is proved already by somebody who stayed signed in, when it was proved.
    pub fn prior(&self) -> Prior {
        Prior { subject: self.user.0.clone(), proofs: self.proofs.clone() }
    }

    /// What it remembers.
    pub fn proofs(&self) -> &[Proof] {
        &self.proofs
    }

    /// What must be written to end it, whether or not it ended already.
    pub fn end(&self) -> Change {
        Change::DropItemsLinked { kind: self.kind.item(), link: self.id.clone() }
    }
}

impl Stayed {
    /// See [`Trust::prior`].
    pub fn prior(&self) -> Prior {
        self.trust.prior()
    }
}

/// What must be written to end all that a person has of both kinds: after a new password, and where a factor went.
pub fn end_all(user: &UserId) -> [Change; 2] {
    TrustKind::ALL.map(|kind| end_all_of(user, kind))
}

/// What must be written to end all that a person has of one kind.
pub fn end_all_of(user: &UserId, kind: TrustKind) -> Change {
    Change::DropItemsOf { kind: kind.item(), owner: user.0.clone() }
}

/// Whether what is asked for in this sign-in now would be waived the next time on a device that is trusted.
pub fn would_help(flow: &Flow) -> bool {
    let open = match &flow.stored.state.stage {
        Stage::ExpectFactor(open)
        | Stage::Issuing { open, .. }
        | Stage::ExpectResponse { open, .. }
        | Stage::Checking { open, .. }
        | Stage::Proven { open, .. } => open,
        Stage::ExpectEnrolment { .. } | Stage::Ready | Stage::Closed(_) => return false,
    };
    flow.stored.state.subject.is_some()
        && open.demands.first().is_some_and(|demand| demand.frequency == Frequency::PerDevice)
}

impl SignIns<'_> {
    /// What the tenant says of this kind.
    pub fn trust_settings(&self, kind: TrustKind) -> &TrustSettings {
        let settings = &self.tenant.tenant.settings;
        match kind {
            TrustKind::Device => &settings.trusted_device,
            TrustKind::StaySignedIn => &settings.stay_signed_in,
        }
    }

    /// Whether a person may have one more: the tenant offers it and they are below the limit.
    ///
    /// # Errors
    /// The store failed.
    pub async fn may_trust(self, kind: TrustKind, user: &UserId) -> Result<bool, Fault> {
        let settings = self.trust_settings(kind);
        let (enabled, most) = (settings.enabled, settings.most);
        Ok(enabled && self.trusts_of(user, kind).await?.len() < usize::from(most))
    }

    /// Keeps what a person asked to have kept of a sign-in that is through. None where the tenant does not offer it, nothing that
    /// was proved in this sign-in could be kept, or the person has as many trusted devices as they may have. Of those who stay
    /// signed in the one not used for longest makes room.
    ///
    /// # Errors
    /// The store failed.
    pub async fn trust(self, wish: Wish<'_>) -> Result<Option<Kept>, Fault> {
        let Wish { kind, user, client, name, agent, address, proofs, replaces } = wish;
        let TrustSettings { enabled, days, most } = *self.trust_settings(kind);
        let kept: Vec<Proof> =
            proofs.iter().filter(|proof| proof.this_run && kind.keeps(proof)).cloned().map(earlier).collect();
        if !enabled || kept.is_empty() {
            return Ok(None);
        }
        let mut changes = Vec::new();
        let mut others = self.trusts_of(&user.id, kind).await?;
        if let Some(old) = replaces.filter(|old| old.kind == kind && old.user == user.id) {
            others.retain(|other| other.id != old.id);
            changes.push(old.end());
        }
        if others.len() >= usize::from(most) {
            let longest = others.iter().min_by_key(|other| other.seen).filter(|_| kind == TrustKind::StaySignedIn);
            let Some(longest) = longest else { return Ok(None) };
            changes.push(longest.end());
        }
        let now = self.app.world.now();
        let (handle, proof) = (self.app.world.token(HANDLE), self.app.world.token(PROOF));
        let body = Body {
            client: client.cloned(),
            name: shown(name, NAME),
            agent: shown(agent, 2 * NAME),
            address: shown(address, NAME),
            seen: now,
            proofs: kept,
            now: hashed(&proof),
            before: None,
            replaced: now,
        };
        let (id, expires) = (self.app.world.uuid(), now + Seconds::from(days) * 86_400);
        changes.push(Change::PutItem(Item {
            kind: kind.item(),
            name: hashed(&handle),
            owner: Some(user.id.0.clone()),
            link: Some(id.clone()),
            created: now,
            expires,
            body: write(&body)?,
            version: 0,
        }));
        Ok(Some(Kept { token: Secret::new(format!("{handle}{proof}")), id, expires, changes }))
    }

    /// What one of these tokens names that this person has, whether or not it still counts: to be ended, or to be replaced.
    ///
    /// # Errors
    /// The store failed.
    pub async fn named<'t>(
        self,
        kind: TrustKind,
        tokens: impl IntoIterator<Item = &'t str>,
        user: &UserId,
    ) -> Result<Option<Trust>, Fault> {
        for token in tokens.into_iter().take(MOST_TOKENS) {
            let found = self.presented(kind, token).await?;
            if let Some((item, body, _)) = found.filter(|(item, ..)| item.owner.as_deref() == Some(user.as_str())) {
                return Ok(Some(read(kind, &item, body)?));
            }
        }
        Ok(None)
    }

    /// The first of these tokens by which this person trusted the device, if it still counts: for them, for this client, with
    /// factors they still have, and not since they were cut off.
    ///
    /// # Errors
    /// The store failed.
    pub async fn trusted_device<'t>(
        self,
        presented: impl IntoIterator<Item = &'t str>,
        user: &User,
        client: &ClientId,
    ) -> Result<Option<Trust>, Fault> {
        for token in presented.into_iter().take(MOST_TOKENS) {
            let Some((item, mut body, proof)) = self.presented(TrustKind::Device, token).await? else { continue };
            let theirs = item.owner.as_deref() == Some(user.id.as_str()) && hashed(proof) == body.now;
            if !theirs || !self.still_counts(TrustKind::Device, &item, &mut body, user, client).await? {
                continue;
            }
            let now = self.app.world.now();
            if now - body.seen >= SEEN {
                body.seen = now;
                let seen = Item { body: write(&body)?, ..item.clone() };
                // Somebody else wrote it down at the same moment, or ended it: the next look will tell.
                self.write_trust(vec![Change::PutItem(seen)]).await?;
            }
            return Ok(Some(read(TrustKind::Device, &item, body)?));
        }
        Ok(None)
    }

    /// Who stayed signed in by this token, if it still counts for this client. It is replaced: what comes back is to be kept
    /// instead, whatever the sign-in comes to. One that was replaced is good until its successor was used, so that neither a lost
    /// answer nor what a browser sends at the same moment signs anybody out; older ones are in two hands, and end it for both.
    ///
    /// # Errors
    /// The store failed.
    pub async fn stayed(self, token: &str, client: &ClientId) -> Result<Option<Stayed>, Fault> {
        for _ in 0..LOOKS {
            let Some((item, mut body, proof)) = self.presented(TrustKind::StaySignedIn, token).await? else {
                return Ok(None);
            };
            let owner = UserId(item.owner.clone().unwrap_or_default());
            let Some(user) = self.person(&owner).await? else { return Ok(None) };
            let presented = hashed(proof);
            let handle = &token[..HANDLE];
            let now = self.app.world.now();
            let next = if presented == body.now {
                if !self.still_counts(TrustKind::StaySignedIn, &item, &mut body, &user, client).await? {
                    return Ok(None);
                }
                if now - body.replaced < REST {
                    Secret::from(token)
                } else {
                    let next = self.successor(handle, proof);
                    body.before = Some(std::mem::replace(&mut body.now, hashed(&next)));
                    (body.replaced, body.seen) = (now, now);
                    let replaced = Item { body: write(&body)?, ..item.clone() };
                    if !self.write_trust(vec![Change::PutItem(replaced)]).await? {
                        continue;
                    }
                    Secret::new(format!("{handle}{next}"))
                }
            } else if body.before.as_ref() == Some(&presented) {
                if !self.still_counts(TrustKind::StaySignedIn, &item, &mut body, &user, client).await? {
                    return Ok(None);
                }
                Secret::new(format!("{handle}{}", self.successor(handle, proof)))
            } else {
                tracing::warn!(person = %owner, "a token replaced long ago came back, nobody stays signed in by it");
                let id = item.link.clone().unwrap_or_default();
                self.write_trust(vec![Change::DropItemsLinked { kind: item.kind, link: id }]).await?;
                return Ok(None);
            };
            return Ok(Some(Stayed { trust: read(TrustKind::StaySignedIn, &item, body)?, user, token: next }));
        }
        Ok(None)
    }

    /// What takes the place of a token: the same for whoever presents it.
    fn successor(self, handle: &str, proof: &str) -> String {
        let tenant = &self.tenant.tenant.id;
        let of = format!("{tenant}\0{handle}\0{proof}");
        tokens::alphanumeric(PROOF, |number| {
            self.app.master.mac("stay signed in", format!("{of}\0{number}").as_bytes())
        })
    }

    /// What this token names, whether or not it proves anything, and the part of it that would.
    async fn presented(self, kind: TrustKind, token: &str) -> Result<Option<(Item, Body, &str)>, Fault> {
        if token.len() != TOKEN || !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let (handle, proof) = token.split_at(HANDLE);
        let item = self.app.store.item(&self.tenant.tenant.id, kind.item(), &hashed(handle)).await?;
        let Some(item) = item.filter(|item| item.expires > self.app.world.now()) else { return Ok(None) };
        let body = parse(&item)?;
        Ok(Some((item, body, proof)))
    }

    /// Whether what was kept still counts; less what was proved with factors the person has no more.
    async fn still_counts(
        self,
        kind: TrustKind,
        item: &Item,
        body: &mut Body,
        user: &User,
        client: &ClientId,
    ) -> Result<bool, Fault> {
        let TrustSettings { enabled, days, .. } = *self.trust_settings(kind);
        let in_time = self.app.world.now() < item.created + Seconds::from(days) * 86_400;
        let for_client = body.client.as_ref().is_none_or(|bound| bound == client);
        let since = body.proofs.iter().all(|proof| proof.at >= user.not_before);
        if !enabled || !in_time || !for_client || !since || !user.active {
            return Ok(false);
        }
        if body.proofs.iter().any(|proof| proof.enrolment.is_some()) {
            let has = self.enrolments_of(&user.id).await?;
            body.proofs.retain(|proof| {
                proof.enrolment.as_ref().is_none_or(|id| has.iter().any(|one| one.id.0 == *id && one.enabled))
            });
        }
        Ok(!body.proofs.is_empty())
    }

    /// What a person has of one kind, the one made first in front.
    ///
    /// # Errors
    /// The store failed.
    pub async fn trusts_of(self, user: &UserId, kind: TrustKind) -> Result<Vec<Trust>, Fault> {
        let now = self.app.world.now();
        let items = self.app.store.items_of(&self.tenant.tenant.id, kind.item(), user.as_str(), MOST_LISTED).await?;
        items.into_iter().filter(|item| item.expires > now).map(|item| read(kind, &item, parse(&item)?)).collect()
    }

    /// The one with this public id, whoever's it is.
    ///
    /// # Errors
    /// The store failed.
    pub async fn trust_by_id(self, id: &str) -> Result<Option<Trust>, Fault> {
        let now = self.app.world.now();
        for kind in TrustKind::ALL {
            let items = self.app.store.items_linked(&self.tenant.tenant.id, kind.item(), id, 1).await?;
            if let Some(item) = items.into_iter().find(|item| item.expires > now) {
                return Ok(Some(read(kind, &item, parse(&item)?)?));
            }
        }
        Ok(None)
    }

    /// Ends one that a person has. False where they have none with this id.
    ///
    /// # Errors
    /// The store failed.
    pub async fn forget(self, user: &UserId, id: &str) -> Result<bool, Fault> {
        match self.trust_by_id(id).await?.filter(|trust| trust.user == *user) {
            Some(trust) => self.write_trust(vec![trust.end()]).await.map(|_| true),
            None => Ok(false),
        }
    }

    /// Ends all that a person has.
    ///
    /// # Errors
    /// The store failed.
    pub async fn forget_all(self, user: &UserId) -> Result<(), Fault> {
        self.write_trust(end_all(user).into()).await.map(|_| ())
    }

    /// Whether it was written; not where somebody was first.
    async fn write_trust(self, changes: Vec<Change>) -> Result<bool, Fault> {
        match self.app.commit(&self.tenant.tenant.id, "trust", changes).await {
            Ok(()) => Ok(true),
            Err(CommitError::Refused { .. }) => Ok(false),
            Err(CommitError::Unavailable(error)) => Err(error.into()),
        }
    }
}

fn earlier(proof: Proof) -> Proof {
    Proof { this_run: false, ..proof }
}

fn hashed(token: &str) -> String {
    tokens::hex(&tokens::digest(token).0)
}

/// What may be shown of a name that somebody gave: shortened, without what does not print.
fn shown(text: &str, most: usize) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(most).collect()
}

fn write(body: &Body) -> Result<String, Fault> {
    serde_json::to_string(body).map_err(|error| Fault::internal("what is kept of a sign-in", error))
}

fn parse(item: &Item) -> Result<Body, Fault> {
    serde_json::from_str(&item.body).map_err(|error| Fault::internal("what was kept of a sign-in", error))
}

fn read(kind: TrustKind, item: &Item, body: Body) -> Result<Trust, Fault> {
    let (Some(id), Some(owner)) = (&item.link, &item.owner) else {
        return Err(Fault::stored("what was kept of a sign-in names nobody"));
    };
    Ok(Trust {
        id: id.clone(),
        kind,
        user: UserId(owner.clone()),
        client: body.client,
        name: body.name,
        agent: body.agent,
        address: body.address,
        created: item.created,
        seen: body.seen,
        expires: item.expires,
        proofs: body.proofs,
    })
}
