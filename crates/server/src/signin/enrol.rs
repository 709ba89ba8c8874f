//! Enrolling factors, changing and removing them. Owns the limits and what an enrolment may become; who may ask is the
//! door's to say, with [`may_add`] and [`may_change`] for people who act for themselves.

use engine::{FactorKind, Strength};
use protocol::records::{Enrolment, EnrolmentId, RelyingParty, User, UserId};
use serde_json::Value;
use store::{Challenge, Change, CommitError};

use super::SignIns;
use super::ends;
use super::enrolling::hint;
use super::factors::questions::{Answers, NotHashed};
use super::factors::{self, Cause, Unusable};
use super::notice::Notice;
use crate::delivery::Happened;
use crate::fault::Fault;

/// Authenticator apps a person may have: the vendor's usual limit.
const MOST_TOTP: usize = 1;
const LONGEST_NAME: usize = 128;

/// Why something was not enrolled, changed or removed.
#[derive(Debug)]
pub enum NotEnrolled {
    /// It cannot be made of this input, or the factor is switched off.
    Unusable(Unusable),
    /// The person has as many as may be, or has this one already.
    Limit,
    /// There is no such person, or they may not sign in.
    NoSuchPerson,
    /// The ceremony was not accepted.
    NotAccepted(Cause),
    /// Somebody else changed it first.
    Stale,
    /// The server's own failure.
    Fault(Fault),
}

impl From<Fault> for NotEnrolled {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Unusable> for NotEnrolled {
    fn from(unusable: Unusable) -> Self {
        Self::Unusable(unusable)
    }
}

/// What is to change of an enrolment.
#[derive(Clone, Debug, Default)]
pub struct Edit<'a> {
    /// Whether it may be used.
    pub enabled: Option<bool>,
    /// Where codes go; to be proved again.
    pub address: Option<&'a str>,
    /// What it is called, for those that have a name.
    pub name: Option<&'a str>,
}

/// Whether a session in which these kinds were proved may add a factor for its person: the first one freely, a further one
/// only after one of those enrolled was proved, or a bypass code. A stolen password must not enrol its way past the second factor.
pub fn may_add(proved: &[FactorKind], enrolled: &[Enrolment]) -> bool {
    // What others may find out protects nothing, and nobody is asked for it here.
    let strong = |one: &Enrolment| FactorKind::parse(&one.kind).is_none_or(|kind| kind.strength() > Strength::Weak);
    let mut usable = enrolled.iter().filter(|one| one.enabled && one.validated && strong(one)).peekable();
    // A code that was handed out for when the others are not at hand stands in for them.
    usable.peek().is_none()
        || proved.contains(&FactorKind::BypassCode)
        || usable.any(|one| proved.iter().any(|kind| kind.as_str() == one.kind))
}

/// Whether a session in which these kinds were proved may change or remove a factor: only one no stronger than what it proved, or any
/// after a bypass code.
pub fn may_change(proved: &[FactorKind], enrolment: &Enrolment) -> bool {
    let Some(kind) = FactorKind::parse(&enrolment.kind) else { return false };
    // One that was never proved protects nothing yet.
    if !enrolment.validated {
        return true;
    }
    // Who lost a factor removes it by a code that was handed out for this.
    if proved.contains(&FactorKind::BypassCode) {
        return true;
    }
    proved.iter().any(|one| one.strength() >= kind.strength() && (*one != FactorKind::Password || kind == *one))
}

impl SignIns<'_> {
    pub(super) async fn living(self, user: &UserId) -> Result<User, NotEnrolled> {
        self.person(user).await?.filter(|user| user.active).ok_or(NotEnrolled::NoSuchPerson)
    }

    pub(super) fn switched_on(self, kind: FactorKind) -> Result<(), NotEnrolled> {
        if self.tenant.offered.contains(&kind) { Ok(()) } else { Err(Unusable::SwitchedOff.into()) }
    }

    /// Enrolments of one kind a person may have.
    pub(super) fn most_of_a_kind(self) -> usize {
        usize::from(self.tenant.tenant.settings.devices.most)
    }

    pub(super) async fn room(
        self,
        user: &UserId,
        kind: FactorKind,
        most: usize,
    ) -> Result<Vec<Enrolment>, NotEnrolled> {
        let mut all = self.enrolments_of(user).await?;
        all.retain(|one| one.kind == kind.as_str());
        if all.len() < most { Ok(all) } else { Err(NotEnrolled::Limit) }
    }

    pub(super) async fn store_enrolment(self, changes: Vec<Change>, refused: NotEnrolled) -> Result<(), NotEnrolled> {
        match self.app.commit(&self.tenant.tenant.id, "enrolment", changes).await {
            Ok(()) => Ok(()),
            Err(CommitError::Refused { .. }) => Err(refused),
            Err(CommitError::Unavailable(error)) => Err(NotEnrolled::Fault(error.into())),
        }
    }

    /// Enrols an address for one-time codes. Not proved until a code was answered.
    ///
    /// # Errors
    /// The address cannot be used, the person has it already, or see [`NotEnrolled`].
    pub async fn enrol_address(
        self,
        user: &UserId,
        kind: FactorKind,
        to: &str,
        enabled: bool,
    ) -> Result<Enrolment, NotEnrolled> {
        self.switched_on(kind)?;
        factors::otp::check(&self.tenant.tenant, kind, to)?;
        let user = self.living(user).await?;
        let all = self.room(&user.id, kind, self.most_of_a_kind()).await?;
        if all.iter().any(|one| factors::otp::address(one) == Some(to)) {
            return Err(NotEnrolled::Limit);
        }
        let now = self.app.world.now();
        let mut made = Enrolment {
            id: EnrolmentId(self.app.world.uuid()),
            user: user.id,
            kind: kind.as_str().to_owned(),
            enabled,
            validated: false,
            attributes: Value::Object(serde_json::Map::new()),
            lookup: None,
            payload: Vec::new(),
            created: now,
            updated: now,
            attempted: None,
            version: 0,
        };
        factors::otp::set_address(&mut made, to);
        self.store_enrolment(vec![Change::PutEnrolment(made.clone())], NotEnrolled::Stale).await?;
        Ok(made)
    }

    /// Enrols an authenticator app with a new secret, which is shown once.
    ///
    /// # Errors
    /// The person has one already; see [`NotEnrolled`].
    pub async fn enrol_totp(
        self,
        user: &UserId,
        account: Option<&str>,
        enabled: bool,
    ) -> Result<factors::totp::Enrolled, NotEnrolled> {
        self.switched_on(FactorKind::Totp)?;
        let user = self.living(user).await?;
        self.room(&user.id, FactorKind::Totp, MOST_TOTP).await?;
        let account = account.filter(|name| !name.is_empty()).unwrap_or(&user.username);
        if account.len() > LONGEST_NAME {
            return Err(Unusable::BadSettings.into());
        }
        let (app, tenant) = (self.app, &self.tenant.tenant);
        let mut made = factors::totp::enrol(
            &app.world,
            &app.master,
            &tenant.settings.totp,
            &user.id,
            &tenant.name,
            account,
            app.world.now(),
        )?;
        made.enrolment.enabled = enabled;
        // Unique in the tenant and kind: of two enrolments at once for one person the store takes one.
        made.enrolment.lookup = Some(user.id.0.clone());
        self.store_enrolment(vec![Change::PutEnrolment(made.enrolment.clone())], NotEnrolled::Limit).await?;
        Ok(made)
    }

    /// Enrols answers to questions, in place of those before.
    ///
    /// # Errors
    /// They cannot be used, or too much is to be hashed; see [`NotEnrolled`].
    pub async fn enrol_questions(
        self,
        user: &UserId,
        answers: &Answers,
        enabled: bool,
    ) -> Result<Enrolment, NotEnrolled> {
        self.enrol_hinted_questions(user, answers, &[], enabled).await
    }

    /// The same with hints to some of the questions, by their keys. A door refuses those that give an answer away.
    ///
    /// # Errors
    /// See [`enrol_questions`](Self::enrol_questions).
    pub async fn enrol_hinted_questions(
        self,
        user: &UserId,
        answers: &Answers,
        hints: &[(String, String)],
        enabled: bool,
    ) -> Result<Enrolment, NotEnrolled> {
        self.switched_on(FactorKind::Questions)?;
        let user = self.living(user).await?;
        let (app, settings) = (self.app, &self.tenant.tenant.settings.questions);
        let before = self.room(&user.id, FactorKind::Questions, usize::MAX).await?;
        let now = app.world.now();
        let made = factors::questions::enrol(&app.hashing, &app.world, settings, &user.id, answers, enabled, now).await;
        let mut made = made.map_err(|not| match not {
            NotHashed::Unusable(unusable) => NotEnrolled::Unusable(unusable),
            NotHashed::Busy(busy) => NotEnrolled::Fault(Fault::internal("answers wait to be hashed", busy)),
        })?;
        hint(&mut made, hints);
        let mut changes: Vec<Change> = before.into_iter().map(|one| Change::RemoveEnrolment(one.id)).collect();
        changes.push(Change::PutEnrolment(made.clone()));
        changes.extend(self.tell(&made.user, Notice::about(Happened::Added, &made)).await?);
        self.store_enrolment(changes, NotEnrolled::Stale).await?;
        Ok(made)
    }

    /// Changes an enrolment as it was read.
    ///
    /// # Errors
    /// The input cannot be used, or somebody changed it meanwhile; see [`NotEnrolled`].
    pub async fn change_enrolment(self, mut enrolment: Enrolment, edit: Edit<'_>) -> Result<Enrolment, NotEnrolled> {
        let before = enrolment.clone();
        if let Some(to) = edit.address
            && factors::otp::address(&enrolment).is_some_and(|old| old != to)
        {
            let kind = FactorKind::parse(&enrolment.kind).ok_or(Unusable::SwitchedOff)?;
            factors::otp::check(&self.tenant.tenant, kind, to)?;
            factors::otp::set_address(&mut enrolment, to);
            enrolment.validated = false;
        }
        if let (Some(name), Some(attributes)) = (edit.name, enrolment.attributes.as_object_mut()) {
            let member = ["nickname", "accountName"].into_iter().find(|member| attributes.contains_key(*member));
            match member {
                Some(_) if name.len() > LONGEST_NAME => return Err(Unusable::BadSettings.into()),
                Some(member) => {
                    attributes.insert(member.to_owned(), name.into());
                }
                None => {}
            }
        }
        enrolment.enabled = edit.enabled.unwrap_or(enrolment.enabled);
        enrolment.updated = self.app.world.now();
        let mut changes = vec![Change::PutEnrolment(enrolment.clone())];
        // Its name alone is nothing to be told of.
        if before.validated && (before.validated, before.enabled) != (enrolment.validated, enrolment.enabled) {
            let notice = Notice::about(Happened::Changed, &enrolment).instead_of(&before);
            changes.extend(self.tell(&enrolment.user, notice).await?);
        }
        self.store_enrolment(changes, NotEnrolled::Stale).await?;
        Ok(enrolment)
    }

    /// Removes an enrolment.
    ///
    /// # Errors
    /// It is gone already, or the store failed.
    pub async fn remove_enrolment(self, id: EnrolmentId) -> Result<(), NotEnrolled> {
        let changes = self.removal(id).await?;
        self.store_enrolment(changes, NotEnrolled::Stale).await
    }

    async fn removal(self, id: EnrolmentId) -> Result<Vec<Change>, NotEnrolled> {
        let mut changes = Vec::new();
        if let Some(gone) = self.enrolment(&id).await?.filter(|one| one.validated) {
            changes.extend(self.tell(&gone.user, Notice::about(Happened::Removed, &gone)).await?);
        }
        changes.push(Change::RemoveEnrolment(id));
        Ok(changes)
    }

    /// The same in the place of its person. Whatever they began until now ends with it, as with a reset of the password: what is taken
    /// away so is lost or in other hands, and it may not have been them who proved it.
    ///
    /// # Errors
    /// It is gone already, or the store failed.
    pub async fn take_enrolment(self, gone: &Enrolment) -> Result<(), NotEnrolled> {
        // Somebody may change the record of the person at this moment.
        for _ in 0..3 {
            let mut changes = self.cutting_off(&gone.user).await?;
            changes.extend(self.removal(gone.id.clone()).await?);
            match self.store_enrolment(changes, NotEnrolled::Stale).await {
                Err(NotEnrolled::Stale) if self.enrolment(&gone.id).await?.is_some() => {}
                done => return done,
            }
        }
        Err(NotEnrolled::Stale)
    }

    /// The same with every factor a person has.
    ///
    /// # Errors
    /// See [`take_enrolment`](Self::take_enrolment).
    pub async fn take_factors(self, user: &UserId) -> Result<(), NotEnrolled> {
        for device in self.devices_of(user).await? {
            self.take_device(&device).await?;
        }
        for one in self.enrolments_of(user).await? {
            self.take_enrolment(&one).await?;
        }
        self.drop_bypass_codes(user).await
    }

    /// What ends whatever a person began until now.
    pub(super) async fn cutting_off(self, user: &UserId) -> Result<Vec<Change>, Fault> {
        let Some((mut user, version)) = self.app.store.person(&self.tenant.tenant.id, user).await? else {
            return Ok(Vec::new());
        };
        (user.not_before, user.updated) = (self.app.world.now(), self.app.world.now());
        let ends = ends::of(&user.id);
        let mut changes = vec![Change::EditUser { user, version }];
        changes.extend(ends);
        Ok(changes)
    }

    /// Begins the registration of a credential: options for the browser.
    ///
    /// # Errors
    /// There is no such person, no room, or the input cannot be used; see [`NotEnrolled`].
    pub async fn begin_registration(
        self,
        party: &RelyingParty,
        user: &UserId,
        display_name: Option<&str>,
        user_verification: &str,
    ) -> Result<Value, NotEnrolled> {
        self.switched_on(FactorKind::Passkey)?;
        let user = self.living(user).await?;
        let existing = self.room(&user.id, FactorKind::Passkey, self.most_of_a_kind()).await?;
        let display_name = display_name.filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME);
        let request = factors::webauthn::Registration {
            user: &user,
            display_name: display_name.unwrap_or(&user.username),
            existing: &existing,
            user_verification,
        };
        let (app, now) = (self.app, self.app.world.now());
        let (options, challenge) =
            factors::webauthn::registration_options(&app.world, &app.master, party, request, now)?;
        self.store_enrolment(vec![Change::AddChallenge(challenge)], NotEnrolled::Stale).await?;
        Ok(options)
    }

    /// Ends the registration of a credential. The challenge is spent whatever comes of it.
    ///
    /// # Errors
    /// The response is not accepted, or the credential exists; see [`NotEnrolled`].
    pub async fn finish_registration(
        self,
        party: &RelyingParty,
        challenge: &Challenge,
        user: &UserId,
        response: &Value,
        enabled: bool,
    ) -> Result<Enrolment, NotEnrolled> {
        self.switched_on(FactorKind::Passkey)?;
        let user = self.living(user).await?;
        self.room(&user.id, FactorKind::Passkey, self.most_of_a_kind()).await?;
        let (app, now) = (self.app, self.app.world.now());
        let finished =
            factors::webauthn::finish_registration(&app.world, &app.master, party, challenge, &user.id, response, now);
        match finished {
            Ok(mut registered) => {
                registered.enrolment.enabled = enabled;
                for change in &mut registered.changes {
                    if let Change::PutEnrolment(enrolment) = change {
                        enrolment.enabled = enabled;
                    }
                }
                let notice = Notice::about(Happened::Added, &registered.enrolment);
                registered.changes.extend(self.tell(&registered.enrolment.user, notice).await?);
                self.store_enrolment(registered.changes, NotEnrolled::NotAccepted(Cause::Replayed)).await?;
                Ok(registered.enrolment)
            }
            Err(judgement) => {
                if !judgement.changes.is_empty() {
                    self.store_enrolment(judgement.changes, NotEnrolled::Stale).await?;
                }
                Err(NotEnrolled::NotAccepted(judgement.cause))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn enrolled(kind: FactorKind, validated: bool) -> Enrolment {
        Enrolment {
            id: "e".into(),
            user: "6040003OH8".into(),
            kind: kind.as_str().to_owned(),
            enabled: true,
            validated,
            attributes: Value::Null,
            lookup: None,
            payload: Vec::new(),
            created: 0,
            updated: 0,
            attempted: None,
            version: 1,
        }
    }

    #[test]
    fn a_further_factor_is_added_only_after_one_of_those_enrolled() {
        let mail = enrolled(FactorKind::EmailOtp, true);
        assert!(may_add(&[FactorKind::Password], &[]));
        assert!(may_add(&[FactorKind::Password], &[enrolled(FactorKind::EmailOtp, false)]));
        assert!(may_add(&[FactorKind::Password], &[enrolled(FactorKind::Questions, true)]));
        assert!(!may_add(&[FactorKind::Password], std::slice::from_ref(&mail)));
        assert!(!may_add(&[], std::slice::from_ref(&mail)));
        assert!(may_add(&[FactorKind::Password, FactorKind::EmailOtp], &[mail]));
    }

    #[test]
    fn a_factor_is_removed_only_by_a_session_as_strong() {
        let passkey = enrolled(FactorKind::Passkey, true);
        assert!(!may_change(&[FactorKind::Password, FactorKind::EmailOtp], &passkey));
        assert!(!may_change(&[FactorKind::Totp], &passkey));
        assert!(may_change(&[FactorKind::Passkey], &passkey));
        let mail = enrolled(FactorKind::EmailOtp, true);
        assert!(!may_change(&[FactorKind::Password], &mail), "a password is no second factor");
        assert!(may_change(&[FactorKind::Password, FactorKind::Totp], &mail));
        assert!(may_change(&[FactorKind::Password], &enrolled(FactorKind::EmailOtp, false)));
        assert!(may_change(&[FactorKind::Password, FactorKind::BypassCode], &passkey), "who lost it says so by a code");
        assert!(may_add(&[FactorKind::Password, FactorKind::BypassCode], &[passkey]));
    }
}
