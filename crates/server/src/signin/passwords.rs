//! New passwords: in place of one just proved, or set by an administrator; and when an old one no longer does. Owns what a
//! password must be and what is remembered of earlier ones; checks none (the factor does) and says nothing of who may ask.

mod breached;
mod record;
mod rules;

pub use breached::{Unreadable, is_breached};
pub use record::{KIND, replaced};
pub use rules::{Unfit, is_usable};

use engine::{NotNow, Who};
use protocol::records::{Seconds, SourceId, User, UserId};
use store::{Change, CommitError};

use super::ends;
use super::factors::{Cause, Judgement};
use super::notice::Notice;
use super::standing::not_cut_off;
use super::{Failure, SignIns, Submission};
use crate::delivery::Happened;
use crate::fault::Fault;
use crate::hashing::HashError;
use crate::secret::Secret;

/// How often a password is set anew because the record of the person changed meanwhile.
const RESETS: usize = 5;

/// Why a password was not changed.
#[derive(Debug)]
pub enum NotChanged {
    /// The new one will not do.
    Unfit(Unfit),
    /// The old one is wrong, or it could not be done.
    Failure(Failure),
}

impl<E: Into<Failure>> From<E> for NotChanged {
    fn from(error: E) -> Self {
        Self::Failure(error.into())
    }
}

impl From<Unfit> for NotChanged {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

/// Whose password is meant, as it was typed.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The source.
    pub source: &'a SourceId,
    /// The name.
    pub username: &'a str,
    /// Where it was typed, for the limit on the tries of one place; none where only the client's is known.
    pub place: Option<&'a str>,
}

impl SignIns<'_> {
    /// Gives a person a new password for the old one, which is judged like any other answer, but may have expired. `person`
    /// restricts it to that one.
    ///
    /// # Errors
    /// See [`NotChanged`].
    pub async fn change_password(
        self,
        person: Option<&UserId>,
        source: &SourceId,
        username: &str,
        old: Secret<String>,
        new: Secret<String>,
    ) -> Result<User, NotChanged> {
        self.exchange_password(person, Login { source, username, place: None }, old, new, false).await
    }

    /// The same for one that has expired or was set for one use: it proves nothing but that another may take its place.
    ///
    /// # Errors
    /// See [`NotChanged`]; [`NotNow::OutOfTurn`] where the old one still does.
    pub async fn change_due_password(
        self,
        person: Option<&UserId>,
        login: Login<'_>,
        old: Secret<String>,
        new: Secret<String>,
    ) -> Result<User, NotChanged> {
        self.exchange_password(person, login, old, new, true).await
    }

    async fn exchange_password(
        self,
        person: Option<&UserId>,
        login: Login<'_>,
        old: Secret<String>,
        new: Secret<String>,
        only_due: bool,
    ) -> Result<User, NotChanged> {
        let Login { source, username, place } = login;
        if old.expose() == new.expose() {
            return Err(Unfit::UsedBefore.into());
        }
        // What can be said without a look at the account is said without one, and costs no try.
        self.judge_new(&new, username, None).await?;
        let submission = Submission::Password { source, username, password: old };
        let looked_up = self.look_up(&submission).await?;
        if person.is_some_and(|person| looked_up.who != Who::Known(person.0.clone())) {
            return Err(Failure::NotNow(NotNow::OtherPerson).into());
        }
        self.charge_at(place, &looked_up.counter, looked_up.kind).await?;
        let judgement = self.judge(submission, looked_up.user.as_ref()).await?;
        let (passed, cause, mut changes) = (judgement.passed, judgement.cause, judgement.changes);
        if passed {
            changes.splice(..0, looked_up.user.as_ref().map(not_cut_off));
            changes.push(Change::ClearAttempts { key: super::driver::counter_key(looked_up.kind, &looked_up.counter) });
        }
        self.conclude_alone(passed, cause, changes).await?;
        let user = looked_up.user.ok_or_else(|| Failure::from(Fault::stored("a password was proved for nobody")))?;
        if only_due && self.why_due(&user).await?.is_none() {
            return Err(Failure::NotNow(NotNow::OutOfTurn).into());
        }
        self.replace_password(&user, new).await?;
        Ok(user)
    }

    /// Gives a person a new password in place of the one just proved. Refused where it was changed, or they were cut off, since they
    /// were read for the proof.
    async fn replace_password(self, proved: &User, to: Secret<String>) -> Result<(), NotChanged> {
        let user = self.person(&proved.id).await?;
        let user = user.filter(|user| user.active && user.not_before == proved.not_before).ok_or(Failure::Stale)?;
        let Some(from) = user.password.clone() else { return Err(Failure::Stale.into()) };
        let remembered = self.remembered(&user).await?;
        self.judge_new(&to, &user.username, Some(&user)).await?;
        self.judge_history(&to, &user, &remembered).await?;
        let (hash, at) = (self.hashed(to).await?, self.app.world.now());
        let record = remembered.changed(Some(from.clone()), at, false, self.tenant.tenant.settings.password.history)?;
        let [devices, stays] = super::trust::end_all(&user.id);
        let notice = self.tell(&user.id, Notice::of(Happened::PasswordChanged)).await?;
        let mut changes =
            vec![not_cut_off(&user), Change::Rehash { user: user.id, from, to: hash, at }, record, devices, stays];
        changes.extend(notice);
        Ok(self.keep_password(changes).await?)
    }

    /// Gives a person a new password whatever the old one was. Every token issued and every session begun before is dead. With
    /// `must_change` it only serves to set another.
    ///
    /// # Errors
    /// The new one will not do, the person is gone, too much to do, or the store failed.
    pub async fn reset_password(self, user: &User, to: Secret<String>, must_change: bool) -> Result<(), NotChanged> {
        self.judge_new(&to, &user.username, Some(user)).await?;
        let hash = self.hashed(to).await?;
        for _ in 0..RESETS {
            // Read after the hash was made: what else was changed meanwhile stays.
            let read = self.app.store.person(&self.tenant.tenant.id, &user.id).await.map_err(Fault::from)?;
            let (before, version) = read.ok_or(Failure::Stale)?;
            let (mut user, now) = (before.clone(), self.app.world.now());
            let most = self.tenant.tenant.settings.password.history;
            let record =
                self.remembered(&before).await?.changed(user.password.replace(hash.clone()), now, must_change, most)?;
            user.not_before = now;
            user.updated = now;
            let notice = self.tell_of_record(&before, &user).await?;
            let id = user.id.clone();
            let mut changes = vec![Change::EditUser { user, version }, record];
            changes.extend(ends::of(&id));
            changes.extend(notice);
            match self.keep_password(changes).await {
                Err(Failure::Stale) => {}
                done => return Ok(done?),
            }
        }
        Err(Failure::Stale.into())
    }

    /// A password that whoever keeps the directory gives to a person: judged and hashed, and what is to be written beside it in
    /// the transaction that writes the person. `user` is the record as it is, or as it will be.
    ///
    /// # Errors
    /// It will not do, too much to do, or the store failed.
    pub async fn prepare_password(self, user: &User, to: Secret<String>) -> Result<(String, Change), NotChanged> {
        self.judge_new(&to, &user.username, Some(user)).await?;
        let remembered = self.remembered(user).await?;
        let most = self.tenant.tenant.settings.password.history;
        let record = remembered.changed(user.password.clone(), self.app.world.now(), false, most)?;
        Ok((self.hashed(to).await?, record))
    }

    /// The same for a person who proved in another way who they are: none of the passwords before will do.
    pub(super) async fn prepare_recovered(
        self,
        user: &User,
        to: Secret<String>,
    ) -> Result<(String, Change), NotChanged> {
        self.judge_new(&to, &user.username, Some(user)).await?;
        self.judge_history(&to, user, &self.remembered(user).await?).await?;
        self.prepare_password(user, to).await
    }

    /// Whether a password would do for a person, as far as can be said without a look at those before.
    ///
    /// # Errors
    /// It would not; too much to do, or the list of leaked passwords cannot be read.
    pub async fn would_do(self, user: &User, password: &Secret<String>) -> Result<(), NotChanged> {
        self.judge_new(password, &user.username, Some(user)).await
    }

    /// A right password that has expired, or that an administrator set for one use, proves nothing: another must take its
    /// place. Told only to who knows it. It was no guess, so it does not count as one.
    pub(super) async fn due(
        self,
        mut judgement: Judgement,
        user: Option<&User>,
        counter: &str,
    ) -> Result<Judgement, Failure> {
        let Some(user) = user.filter(|_| judgement.passed) else { return Ok(judgement) };
        let Some(cause) = self.why_due(user).await? else { return Ok(judgement) };
        judgement.passed = false;
        judgement.cause = cause;
        let key = super::driver::counter_key(engine::FactorKind::Password, counter);
        judgement.changes.push(Change::ClearAttempts { key });
        Ok(judgement)
    }

    /// Why a person's password proves nothing any more, if so.
    async fn why_due(self, user: &User) -> Result<Option<Cause>, Fault> {
        let remembered = self.remembered(user).await?;
        let days = i64::from(self.tenant.tenant.settings.password.expires_days);
        let old = days > 0 && self.app.world.now() >= remembered.since(user).saturating_add(days * 86_400);
        Ok(match (remembered.must_change(), old) {
            (true, _) => Some(Cause::PasswordMustChange),
            (false, true) => Some(Cause::PasswordExpired),
            (false, false) => None,
        })
    }

    /// When a person's password was set.
    ///
    /// # Errors
    /// The store failed.
    pub async fn password_since(self, user: &User) -> Result<Seconds, Fault> {
        Ok(self.remembered(user).await?.since(user))
    }

    async fn hashed(self, password: Secret<String>) -> Result<String, Failure> {
        self.app.hashing.hash(password).await.map_err(|error| match error {
            HashError::Busy(busy) => Failure::Busy(busy),
            HashError::Unfit => Failure::Fault(Fault::internal("a new password", HashError::Unfit)),
        })
    }

    async fn keep_password(self, changes: Vec<Change>) -> Result<(), Failure> {
        match self.app.commit(&self.tenant.tenant.id, "password", changes).await {
            Ok(()) => Ok(()),
            Err(CommitError::Refused { .. }) => Err(Failure::Stale),
            Err(CommitError::Unavailable(error)) => Err(Failure::Fault(error.into())),
        }
    }
}
