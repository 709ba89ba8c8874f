//! New passwords: in place of one just proved, or set by an administrator. Owns what a password must be; checks none (the
//! factor does) and says nothing of who may ask.

use protocol::records::{User, UserId};
use store::{Change, CommitError};

use super::{Failure, SignIns};
use crate::fault::Fault;
use crate::hashing::HashError;
use crate::secret::Secret;

/// Fewest characters of a new password (NIST SP 800-63B §3.1.1.2).
const FEWEST: usize = 8;

/// Whether a new password may be had: long enough, not absurdly long, and not the login name.
pub fn is_usable(password: &str, username: &str) -> bool {
    password.chars().count() >= FEWEST
        && password.len() <= crate::hashing::LONGEST_PASSWORD
        && !password.contains('\0')
        && password.to_lowercase() != username.to_lowercase()
}

impl SignIns<'_> {
    /// Gives a person a new password in place of the one just proved. Refused where it was changed meanwhile.
    ///
    /// # Errors
    /// The person is gone, the password was changed meanwhile, too much to do, or the store failed.
    pub async fn replace_password(self, user: &UserId, to: Secret<String>) -> Result<(), Failure> {
        let user = self.person(user).await?.filter(|user| user.active).ok_or(Failure::Stale)?;
        let Some(from) = user.password else { return Err(Failure::Stale) };
        let to = self.hashed(to).await?;
        self.keep_password(vec![Change::Rehash { user: user.id, from, to, at: self.app.world.now() }]).await
    }

    /// Gives a person a new password whatever the old one was. Every token issued before is dead.
    ///
    /// # Errors
    /// The person is gone, too much to do, or the store failed.
    pub async fn reset_password(self, mut user: User, to: Secret<String>) -> Result<(), Failure> {
        let now = self.app.world.now();
        user.password = Some(self.hashed(to).await?);
        user.not_before = now;
        user.updated = now;
        // `not_before` counts in whole seconds; the grants die exactly.
        let grants = Change::RevokeGrantsOf(user.id.clone());
        self.keep_password(vec![Change::PutUser(user), grants]).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_enough_and_not_the_name() {
        assert!(is_usable("correct-horse", "scott"));
        assert!(!is_usable("short", "scott"));
        assert!(!is_usable("Administrator", "administrator"));
        assert!(!is_usable(&"x".repeat(2000), "scott"));
        assert!(!is_usable("with\0inside-it", "scott"));
    }
}
