//! Enrolments under way: begun, sent or shown, and finished by a proof. Nothing is a factor of the person before that, and what is
//! never finished leaves nothing behind. Owns the ceremonies that every door shares; who may begin one, and what follows, is the
//! door's to say.

use engine::{FactorKind, NotNow};
use protocol::records::{ChallengeId, Enrolment, EnrolmentId, RelyingParty, RelyingPartyId, Seconds, User, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Change, Item};

use super::devices::Invited;
use super::driver::counter_key;
use super::enrol::NotEnrolled;
use super::factors::questions::{Answers, NotHashed};
use super::factors::{self, Cause, Unusable, totp};
use super::notice::Notice;
use super::{Failure, SignIns};
use crate::delivery::Happened;
use crate::fault::Fault;
use crate::secret::Secret;

const KIND: &str = "enrolling";
/// What is proved by it, for whoever commits it with what they have.
pub type Unkept = Vec<Change>;

/// Seconds an enrolment may take.
pub const LIFE: Seconds = 900;
/// Longest hint to a question.
const LONGEST_HINT: usize = 100;

/// What is being enrolled.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Codes to an address.
    Address {
        /// What it becomes.
        enrolment: Enrolment,
        /// The code in flight; none before the first was sent.
        challenge: Option<ChallengeId>,
    },
    /// A generator whose secret was shown.
    Generator {
        /// What it becomes.
        enrolment: Enrolment,
    },
    /// A phone that was invited.
    Phone {
        /// It approves; one that does not generates codes only.
        approves: bool,
        /// What it is called until it says so itself.
        name: String,
    },
    /// Questions that were listed.
    Questions,
    /// A passkey whose options were shown.
    Passkey {
        /// For this relying party.
        party: RelyingPartyId,
    },
}

/// An enrolment under way.
#[derive(Clone, Debug)]
pub struct Enrolling {
    /// Its name, which is that of the device it becomes.
    pub id: String,
    /// Whose it will be.
    pub user: UserId,
    /// What.
    pub what: What,
    bound: String,
    created: Seconds,
    expires: Seconds,
    version: i64,
}

/// What proves it.
pub enum Evidence<'a> {
    /// Nothing from here: a phone does it by itself.
    Nothing,
    /// The same, where only a key of one of these kinds will do.
    Phone(&'a [FactorKind]),
    /// A code.
    Code(Secret<String>),
    /// Answers to questions, and hints to some of them by the same keys.
    Answers {
        /// The answers.
        answers: &'a Answers,
        /// The hints.
        hints: &'a [(String, String)],
    },
    /// What an authenticator made.
    Passkey {
        /// The relying party.
        party: &'a RelyingParty,
        /// The response.
        response: &'a Value,
    },
}

/// A factor that was proved in being enrolled. It is one once its changes are committed.
pub struct Finished {
    /// Whose it is.
    pub user: UserId,
    /// Its kind.
    pub kind: FactorKind,
    /// Its enrolment.
    pub enrolment: EnrolmentId,
    /// Whether the authenticator verified the person.
    pub user_verified: bool,
    /// To be committed together, by [`SignIns::keep`] or with the step of a sign-in.
    pub changes: Vec<Change>,
}

/// Why it was not begun or finished.
#[derive(Debug)]
pub enum NotDone {
    /// It cannot be enrolled.
    Not(NotEnrolled),
    /// The step failed.
    Failure(Failure),
}

impl From<NotEnrolled> for NotDone {
    fn from(not: NotEnrolled) -> Self {
        match not {
            NotEnrolled::Fault(fault) => Self::Failure(Failure::Fault(fault)),
            not => Self::Not(not),
        }
    }
}

impl From<Unusable> for NotDone {
    fn from(unusable: Unusable) -> Self {
        Self::Not(NotEnrolled::Unusable(unusable))
    }
}

impl From<Fault> for NotDone {
    fn from(fault: Fault) -> Self {
        Self::Failure(Failure::Fault(fault))
    }
}

impl From<store::StoreError> for NotDone {
    fn from(error: store::StoreError) -> Self {
        Self::Failure(Failure::Fault(error.into()))
    }
}

impl Enrolling {
    /// The kind it becomes. A phone has a key for each of its ways to approve, and is of the plainest until it has said which.
    pub fn kind(&self) -> Option<FactorKind> {
        match &self.what {
            What::Address { enrolment, .. } => FactorKind::parse(&enrolment.kind),
            What::Generator { .. } | What::Phone { approves: false, .. } => Some(FactorKind::Totp),
            What::Phone { approves: true, .. } => Some(FactorKind::PushPresence),
            What::Questions => Some(FactorKind::Questions),
            What::Passkey { .. } => Some(FactorKind::Passkey),
        }
    }

    /// The address codes go to.
    pub fn address(&self) -> Option<&str> {
        match &self.what {
            What::Address { enrolment, .. } => factors::otp::address(enrolment),
            What::Generator { .. } | What::Phone { .. } | What::Questions | What::Passkey { .. } => None,
        }
    }

    /// What it is called, where it has a name.
    pub fn name(&self) -> Option<&str> {
        match &self.what {
            What::Generator { enrolment } => enrolment.attributes.get("nickname").and_then(Value::as_str),
            What::Phone { name, .. } => Some(name),
            What::Address { .. } | What::Questions | What::Passkey { .. } => None,
        }
    }

    /// Whether a phone does the rest by itself.
    pub fn waits_for_a_phone(&self) -> bool {
        matches!(&self.what, What::Phone { .. })
    }

    /// Whether a code is in flight.
    pub fn is_sent(&self) -> bool {
        matches!(&self.what, What::Address { challenge: Some(_), .. })
    }

    fn item(&self) -> Result<Item, Fault> {
        Ok(Item {
            kind: KIND,
            name: self.id.clone(),
            owner: Some(self.user.0.clone()),
            link: Some(self.bound.clone()),
            created: self.created,
            expires: self.expires,
            body: serde_json::to_string(&self.what)
                .map_err(|error| Fault::internal("an enrolment under way", error))?,
            version: self.version,
        })
    }
}

fn plain(world: &crate::world::World, user: &UserId, kind: FactorKind) -> Enrolment {
    let now = world.now();
    Enrolment {
        id: EnrolmentId(world.uuid()),
        user: user.clone(),
        kind: kind.as_str().to_owned(),
        enabled: true,
        validated: false,
        attributes: json!({}),
        lookup: None,
        payload: Vec::new(),
        created: now,
        updated: now,
        attempted: None,
        version: 0,
    }
}

/// The first place of a generator that none of these takes. Unique in the tenant and kind: of two that are enrolled at once into one
/// place the store takes one.
pub(super) fn free_place(user: &UserId, taken: &[Enrolment], most: usize) -> Result<String, NotEnrolled> {
    let place = |nth: usize| if nth == 0 { user.0.clone() } else { format!("{user}#{nth}") };
    (0..most)
        .map(place)
        .find(|place| !taken.iter().any(|one| one.lookup.as_deref() == Some(place)))
        .filter(|_| taken.len() < most)
        .ok_or(NotEnrolled::Limit)
}

impl SignIns<'_> {
    /// Generators a person may have, those in phones included.
    fn most_generators(self) -> usize {
        usize::from(self.tenant.tenant.settings.devices.generators)
    }

    /// Stores a new one in place of whatever was under way at the same place.
    async fn begin_enrolling(
        self,
        user: &UserId,
        bound: &str,
        id: String,
        what: What,
        more: Vec<Change>,
    ) -> Result<Enrolling, NotDone> {
        let now = self.app.world.now();
        let one = Enrolling {
            id,
            user: user.clone(),
            what,
            bound: bound.to_owned(),
            created: now,
            expires: now + LIFE,
            version: 0,
        };
        let mut changes = vec![Change::DropItemsLinked { kind: KIND, link: bound.to_owned() }];
        changes.push(Change::PutItem(one.item()?));
        changes.extend(more);
        self.store_enrolment(changes, NotEnrolled::Stale).await?;
        Ok(Enrolling { version: 1, ..one })
    }

    /// What is under way by this name at this place.
    ///
    /// # Errors
    /// The store failed.
    pub async fn enrolling(self, bound: &str, id: &str) -> Result<Option<Enrolling>, Fault> {
        let item = self.app.store.item(&self.tenant.tenant.id, KIND, id).await?;
        let found = item.filter(|item| item.expires > self.app.world.now() && item.link.as_deref() == Some(bound));
        let Some(item) = found else { return Ok(None) };
        let what =
            serde_json::from_str(&item.body).map_err(|error| Fault::internal("an enrolment under way", error))?;
        let user = item.owner.ok_or_else(|| Fault::stored("an enrolment under way is nobody's"))?.into();
        let Item { name, created, expires, version, .. } = item;
        Ok(Some(Enrolling { id: name, user, what, bound: bound.to_owned(), created, expires, version }))
    }

    /// Gives up whatever is under way at this place.
    ///
    /// # Errors
    /// The store failed.
    pub async fn abandon_enrolling(self, bound: &str) -> Result<(), NotDone> {
        let change = Change::DropItemsLinked { kind: KIND, link: bound.to_owned() };
        Ok(self.store_enrolment(vec![change], NotEnrolled::Stale).await?)
    }

    /// Begins with an address. No code is sent yet.
    ///
    /// # Errors
    /// The address cannot be used, the person has it already or too many; see [`NotEnrolled`].
    pub async fn enrolling_address(
        self,
        user: &UserId,
        bound: &str,
        kind: FactorKind,
        to: &str,
    ) -> Result<Enrolling, NotDone> {
        self.switched_on(kind)?;
        factors::otp::check(&self.tenant.tenant, kind, to)?;
        let user = self.living(user).await?;
        let all = self.room(&user.id, kind, self.most_of_a_kind()).await?;
        let same = all.into_iter().find(|one| factors::otp::address(one) == Some(to));
        let enrolment = match same {
            Some(one) if one.validated => return Err(NotEnrolled::Limit.into()),
            // One that was never proved is proved now.
            Some(one) => Enrolment { enabled: true, ..one },
            None => {
                let mut made = plain(&self.app.world, &user.id, kind);
                factors::otp::set_address(&mut made, to);
                made
            }
        };
        let id = enrolment.id.0.clone();
        self.begin_enrolling(&user.id, bound, id, What::Address { enrolment, challenge: None }, Vec::new()).await
    }

    /// The same for an address that becomes no factor.
    pub(super) async fn enrolling_unkept(
        self,
        user: &UserId,
        bound: &str,
        kind: FactorKind,
        to: &str,
    ) -> Result<Enrolling, NotDone> {
        let mut enrolment = plain(&self.app.world, user, kind);
        factors::otp::set_address(&mut enrolment, to);
        let id = enrolment.id.0.clone();
        self.begin_enrolling(user, bound, id, What::Address { enrolment, challenge: None }, Vec::new()).await
    }

    /// Sends a code in place of the one before. `handed` gives it to the caller instead of sending it.
    ///
    /// # Errors
    /// No codes belong to it, too many were sent, or the store failed.
    pub async fn send_enrolling(
        self,
        one: &Enrolling,
        handed: bool,
    ) -> Result<(Enrolling, Option<Secret<String>>), NotDone> {
        let What::Address { enrolment, challenge: before } = &one.what else {
            return Err(NotDone::Failure(Failure::NotNow(NotNow::NoChallenge)));
        };
        let (app, now) = (self.app, self.app.world.now());
        let (kind, to) = (one.kind().ok_or(Unusable::SwitchedOff)?, one.address().ok_or(Unusable::NoAddress)?);
        let request = factors::otp::Request {
            kind,
            sign_in: None,
            user: Some(one.user.clone()),
            enrolment: None,
            to,
            correlation: None,
        };
        let issued = factors::otp::issue(&app.world, &app.master, &self.tenant.tenant, request, now)?;
        // What has no way out of this server is not promised.
        if !handed && !app.delivery.supports(issued.message.channel) {
            return Err(Unusable::SwitchedOff.into());
        }
        let what = What::Address { enrolment: enrolment.clone(), challenge: Some(issued.challenge.id.clone()) };
        let next = Enrolling { what, ..one.clone() };
        let mut changes = self.meter(Some(&one.user), &issued.message, now);
        let metered = changes.len();
        changes.extend(before.iter().map(|id| Change::CancelChallenge { challenge: id.clone(), at: now }));
        changes.push(Change::AddChallenge(issued.challenge.clone()));
        changes.push(Change::PutItem(next.item()?));
        if !handed {
            changes.push(Change::Enqueue(app.delivery.seal(&app.world, &issued.message, issued.challenge.expires)));
        }
        match app.commit(&self.tenant.tenant.id, "enrolment code", changes).await {
            Ok(()) => {}
            Err(store::CommitError::Refused { index }) if index < metered => {
                return Err(NotDone::Failure(Failure::TooManyMessages));
            }
            Err(store::CommitError::Refused { .. }) => return Err(NotDone::Failure(Failure::Stale)),
            Err(store::CommitError::Unavailable(error)) => return Err(error.into()),
        }
        if !handed {
            app.delivery.wake();
        }
        let code = if handed { issued.message.code } else { None };
        Ok((Enrolling { version: one.version + 1, ..next }, code))
    }

    /// Begins with a generator: its secret, to be shown once. `secret` is one that is in use elsewhere already.
    ///
    /// # Errors
    /// The factor is switched off, the person has too many, or the secret cannot be used; see [`NotEnrolled`].
    pub async fn enrolling_generator(
        self,
        user: &UserId,
        bound: &str,
        name: &str,
        secret: Option<&Secret<String>>,
    ) -> Result<(Enrolling, Secret<String>), NotDone> {
        self.switched_on(FactorKind::Totp)?;
        let user = self.living(user).await?;
        let taken = self.room(&user.id, FactorKind::Totp, self.most_generators()).await?;
        let (mut enrolment, secret) = self.new_generator(&user, secret)?;
        enrolment.lookup = Some(free_place(&user.id, &taken, self.most_generators())?);
        enrolment.attributes["nickname"] = name.into();
        let id = enrolment.id.0.clone();
        let one = self.begin_enrolling(&user.id, bound, id, What::Generator { enrolment }, Vec::new()).await?;
        Ok((one, secret))
    }

    /// A generator that is stored nowhere yet, and its secret in base32.
    fn new_generator(
        self,
        user: &User,
        secret: Option<&Secret<String>>,
    ) -> Result<(Enrolment, Secret<String>), NotEnrolled> {
        let (app, tenant) = (self.app, &self.tenant.tenant);
        let (settings, now) = (&tenant.settings.totp, app.world.now());
        let made = totp::enrol(&app.world, &app.master, settings, &user.id, &tenant.name, &user.username, now)?;
        let Some(secret) = secret else { return Ok((made.enrolment, made.secret)) };
        let payload = totp::seal(&app.master, &made.enrolment.id, settings, secret)?;
        Ok((Enrolment { payload, ..made.enrolment }, secret.clone()))
    }

    /// A generator for a phone that is being registered: it need not be proved, the phone has proved itself. The enrolment to store, and
    /// its `otpauth:` address.
    pub(super) async fn generator_of_phone(
        self,
        user: &User,
        device: &str,
        name: &str,
    ) -> Result<(Enrolment, Secret<String>), NotEnrolled> {
        self.switched_on(FactorKind::Totp)?;
        let taken = self.room(&user.id, FactorKind::Totp, self.most_generators()).await?;
        let (app, tenant) = (self.app, &self.tenant.tenant);
        let mut made = totp::enrol(
            &app.world,
            &app.master,
            &tenant.settings.totp,
            &user.id,
            &tenant.name,
            &user.username,
            app.world.now(),
        )?;
        made.enrolment.validated = true;
        made.enrolment.lookup = Some(free_place(&user.id, &taken, self.most_generators())?);
        made.enrolment.attributes["deviceName"] = name.into();
        made.enrolment.attributes["nickname"] = name.into();
        made.enrolment.attributes["references"] = json!({ "authenticatorId": device });
        Ok((made.enrolment, made.uri))
    }

    /// Invites a phone under a credential that the door made.
    ///
    /// # Errors
    /// The factor is switched off, or the person has too many; see [`NotEnrolled`].
    pub async fn enrolling_phone(self, user: &UserId, bound: &str, invited: Invited<'_>) -> Result<Enrolling, NotDone> {
        if invited.approves {
            self.switched_on(FactorKind::PushPresence)?;
        }
        if invited.generates {
            self.switched_on(FactorKind::Totp)?;
            self.room(user, FactorKind::Totp, self.most_generators()).await?;
        }
        let what = What::Phone { approves: invited.approves, name: invited.name.to_owned() };
        let id = invited.device.to_owned();
        let invitation = self.invite_as(user, invited).await?;
        self.begin_enrolling(user, bound, id, what, vec![invitation]).await
    }

    /// Begins with questions.
    ///
    /// # Errors
    /// The factor is switched off; see [`NotEnrolled`].
    pub async fn enrolling_questions(self, user: &UserId, bound: &str) -> Result<Enrolling, NotDone> {
        self.switched_on(FactorKind::Questions)?;
        let user = self.living(user).await?;
        self.begin_enrolling(&user.id, bound, self.app.world.uuid(), What::Questions, Vec::new()).await
    }

    /// Begins with a passkey: options for the browser.
    ///
    /// # Errors
    /// The factor is switched off, or the person has too many; see [`NotEnrolled`].
    pub async fn enrolling_passkey(
        self,
        user: &UserId,
        bound: &str,
        party: &RelyingParty,
    ) -> Result<(Enrolling, Value), NotDone> {
        let user = self.living(user).await?;
        let shown = [["given_name"], ["name"]].iter().flatten().find_map(|name| user.attributes.get(*name)?.first());
        let options = self.begin_registration(party, &user.id, shown.map(String::as_str), "preferred").await?;
        let what = What::Passkey { party: party.id.clone() };
        let one = self.begin_enrolling(&user.id, bound, self.app.world.uuid(), what, Vec::new()).await?;
        Ok((one, options))
    }

    /// Proves what is under way. None while a phone has not done its part. Right or wrong, guesses are charged first, on the counters
    /// that every sign-in of the person has.
    ///
    /// # Errors
    /// It is wrong ([`Failure::Wrong`]), cannot be used, or was finished before; see [`NotDone`].
    pub async fn finish_enrolling(self, one: &Enrolling, evidence: Evidence<'_>) -> Result<Option<Finished>, NotDone> {
        let wrong_kind = || NotDone::Failure(Failure::NotNow(NotNow::NoChallenge));
        let user = self.living(&one.user).await?;
        let (app, now) = (self.app, self.app.world.now());
        match (&one.what, evidence) {
            (What::Address { enrolment, .. }, Evidence::Code(code)) => {
                let kind = one.kind().ok_or(Unusable::SwitchedOff)?;
                let mut changes = self.prove_address(one, &code).await?;
                let proved = Enrolment { validated: true, updated: now, attempted: Some(now), ..enrolment.clone() };
                changes.push(Change::PutEnrolment(proved.clone()));
                self.finished(one, kind, &proved, changes).await.map(Some)
            }
            (What::Generator { enrolment }, Evidence::Code(code)) => {
                self.charge_alone(user.id.as_str(), FactorKind::Totp).await.map_err(NotDone::Failure)?;
                let settings = &self.tenant.tenant.settings.totp;
                let changes = self.right(totp::judge(&app.master, enrolment, settings, &code, now)).await?;
                self.finished(one, FactorKind::Totp, enrolment, changes).await.map(Some)
            }
            (What::Phone { approves, .. }, evidence @ (Evidence::Nothing | Evidence::Code(_) | Evidence::Phone(_))) => {
                let fits = |kind: &str| match evidence {
                    Evidence::Phone(any_of) => any_of.iter().any(|one| one.as_str() == kind),
                    _ => true,
                };
                let wanted = |made: &&Enrolment| {
                    let generates = made.kind == FactorKind::Totp.as_str();
                    made.enabled
                        && made.validated
                        && fits(&made.kind)
                        && generates != *approves
                        && factors::push::device_of(made) == Some(one.id.as_str())
                };
                let all = self.enrolments_of(&user.id).await?;
                let Some(made) = all.iter().find(wanted) else { return Ok(None) };
                let kind = FactorKind::parse(&made.kind).ok_or(Unusable::SwitchedOff)?;
                // Whoever registered it was told then.
                Ok(Some(Finished {
                    user: user.id,
                    kind,
                    enrolment: made.id.clone(),
                    user_verified: false,
                    changes: vec![self.taken(one)],
                }))
            }
            (What::Questions, Evidence::Answers { answers, hints }) => {
                let settings = &self.tenant.tenant.settings.questions;
                let made =
                    factors::questions::enrol(&app.hashing, &app.world, settings, &user.id, answers, true, now).await;
                let mut made = made.map_err(|not| match not {
                    NotHashed::Unusable(unusable) => NotDone::from(unusable),
                    NotHashed::Busy(busy) => NotDone::Failure(Failure::Busy(busy)),
                })?;
                hint(&mut made, hints);
                let before = self.room(&user.id, FactorKind::Questions, usize::MAX).await?;
                let mut changes: Vec<Change> = before.into_iter().map(|old| Change::RemoveEnrolment(old.id)).collect();
                changes.push(Change::PutEnrolment(made.clone()));
                self.finished(one, FactorKind::Questions, &made, changes).await.map(Some)
            }
            (What::Passkey { party: begun }, Evidence::Passkey { party, response }) if *begun == party.id => {
                self.room(&user.id, FactorKind::Passkey, self.most_of_a_kind()).await?;
                let id = factors::webauthn::challenge_id(response);
                let challenge = match id {
                    Some(id) => self.challenge(&id).await?,
                    None => None,
                };
                let challenge = challenge.filter(|row| row.user.as_ref() == Some(&user.id) && row.sign_in.is_none());
                let challenge = challenge.ok_or(NotDone::Failure(Failure::Wrong(Cause::Malformed)))?;
                let made = factors::webauthn::finish_registration(
                    &app.world,
                    &app.master,
                    party,
                    &challenge,
                    &user.id,
                    response,
                    now,
                );
                match made {
                    Ok(made) => self.finished(one, FactorKind::Passkey, &made.enrolment, made.changes).await.map(Some),
                    Err(judgement) => {
                        self.right(judgement).await?;
                        Err(wrong_kind())
                    }
                }
            }
            (
                What::Address { .. }
                | What::Generator { .. }
                | What::Phone { .. }
                | What::Questions
                | What::Passkey { .. },
                _,
            ) => Err(wrong_kind()),
        }
    }

    /// Judges the code of an address; what a right one wants to have written.
    async fn prove_address(self, one: &Enrolling, code: &Secret<String>) -> Result<Vec<Change>, NotDone> {
        let none = || NotDone::Failure(Failure::NotNow(NotNow::NoChallenge));
        let What::Address { challenge: Some(id), .. } = &one.what else { return Err(none()) };
        let kind = one.kind().ok_or(Unusable::SwitchedOff)?;
        let challenge = self.challenge(id).await?.ok_or_else(none)?;
        self.charge_alone(one.user.as_str(), kind).await.map_err(NotDone::Failure)?;
        self.right(factors::otp::judge(&self.app.master, &challenge, code, self.app.world.now())).await
    }

    /// Proves an address that becomes no factor: what must be written with whatever it becomes.
    ///
    /// # Errors
    /// See [`finish_enrolling`](Self::finish_enrolling).
    pub async fn finish_unkept(self, one: &Enrolling, code: &Secret<String>) -> Result<Vec<Change>, NotDone> {
        let user = self.living(&one.user).await?;
        let mut changes = self.prove_address(one, code).await?;
        changes.push(self.taken(one));
        if let Some(kind) = one.kind() {
            changes.push(Change::ClearAttempts { key: counter_key(kind, user.id.as_str()) });
        }
        Ok(changes)
    }

    /// Takes what is under way for proved, on the word of whoever answers for it: a client that manages the factors of its people.
    ///
    /// # Errors
    /// It is none that can be taken so.
    pub async fn vouch_for_enrolling(self, one: &Enrolling) -> Result<Finished, NotDone> {
        let (What::Address { enrolment, .. } | What::Generator { enrolment }) = &one.what else {
            return Err(NotDone::Failure(Failure::NotNow(NotNow::NoChallenge)));
        };
        let kind = one.kind().ok_or(Unusable::SwitchedOff)?;
        let proved = Enrolment { validated: true, updated: self.app.world.now(), ..enrolment.clone() };
        self.finished(one, kind, &proved, vec![Change::PutEnrolment(proved.clone())]).await
    }

    /// Commits a factor that was proved outside any sign-in.
    ///
    /// # Errors
    /// It was finished by somebody else first, or the store failed.
    pub async fn keep(self, finished: Finished) -> Result<EnrolmentId, NotDone> {
        self.store_enrolment(finished.changes, NotEnrolled::Stale).await?;
        Ok(finished.enrolment)
    }

    /// What a right answer wants to have written; a wrong one is committed here.
    async fn right(self, judgement: factors::Judgement) -> Result<Vec<Change>, NotDone> {
        if judgement.passed {
            return Ok(judgement.changes);
        }
        let told = self.conclude_alone(false, judgement.cause, judgement.changes).await;
        Err(NotDone::Failure(told.err().unwrap_or(Failure::Wrong(judgement.cause))))
    }

    fn taken(self, one: &Enrolling) -> Change {
        Change::TakeItem { kind: KIND, name: one.id.clone(), version: Some(one.version) }
    }

    async fn finished(
        self,
        one: &Enrolling,
        kind: FactorKind,
        made: &Enrolment,
        mut changes: Vec<Change>,
    ) -> Result<Finished, NotDone> {
        changes.push(self.taken(one));
        changes.push(Change::ClearAttempts { key: counter_key(kind, one.user.as_str()) });
        changes.extend(self.tell(&one.user, Notice::about(Happened::Added, made)).await?);
        let user_verified = made.attributes.get("userVerified").and_then(Value::as_bool).unwrap_or(false);
        Ok(Finished { user: one.user.clone(), kind, enrolment: made.id.clone(), user_verified, changes })
    }
}

/// Puts hints beside the questions they belong to. One that is too long, or gives the answer away, was refused by the door.
pub(super) fn hint(made: &mut Enrolment, hints: &[(String, String)]) {
    let Some(questions) = made.attributes.get_mut("questions").and_then(Value::as_array_mut) else { return };
    for question in questions {
        let key = question.get("questionKey").and_then(Value::as_str).unwrap_or_default();
        let found = hints.iter().find(|(of, hint)| of == key && !hint.is_empty() && hint.len() <= LONGEST_HINT);
        if let Some((_, hint)) = found {
            question["hint"] = hint.as_str().into();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn generators_take_the_places_that_are_free_and_no_more() {
        let user = UserId::from("6040003OH8");
        let at = |place: &str| Enrolment {
            id: EnrolmentId(place.to_owned()),
            user: user.clone(),
            kind: "totp".to_owned(),
            enabled: true,
            validated: true,
            attributes: Value::Null,
            lookup: Some(place.to_owned()),
            payload: Vec::new(),
            created: 0,
            updated: 0,
            attempted: None,
            version: 1,
        };
        assert_eq!(free_place(&user, &[], 5).unwrap(), "6040003OH8");
        assert_eq!(free_place(&user, &[at("6040003OH8")], 5).unwrap(), "6040003OH8#1");
        assert_eq!(free_place(&user, &[at("6040003OH8#1")], 5).unwrap(), "6040003OH8");
        let mut all: Vec<Enrolment> = vec![at("6040003OH8")];
        all.extend((1..5).map(|nth| at(&format!("6040003OH8#{nth}"))));
        assert!(matches!(free_place(&user, &all, 5), Err(NotEnrolled::Limit)));
    }
}
