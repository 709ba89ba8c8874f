//! What a new password must be.

use protocol::records::User;

use super::record::Remembered;
use super::{NotChanged, breached};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::signin::{Failure, SignIns};

/// Fewest characters of a new password, whatever the tenant says (NIST SP 800-63B §3.1.1.2).
const FEWEST: usize = 8;
/// What is looked at to tell how strong a password is: the work grows with the length.
const LOOKED_AT: usize = 100;

/// Why a new password will not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has too few characters.
    TooShort,
    /// It is absurdly long, or holds a character that no password has.
    TooLong,
    /// It is the login name.
    IsName,
    /// It is soon guessed.
    TooWeak,
    /// It is on the list of passwords that leaked.
    Breached,
    /// It is the present one, or one of those before.
    UsedBefore,
}

/// Whether a new password may be had at all: long enough, not absurdly long, and not the login name.
pub fn is_usable(password: &str, username: &str) -> bool {
    check(password, username, FEWEST).is_ok()
}

fn check(password: &str, username: &str, fewest: usize) -> Result<(), Unfit> {
    if password.len() > crate::hashing::LONGEST_PASSWORD || password.contains('\0') {
        return Err(Unfit::TooLong);
    }
    if password.chars().count() < fewest.max(FEWEST) {
        return Err(Unfit::TooShort);
    }
    if password.to_lowercase() == username.to_lowercase() {
        return Err(Unfit::IsName);
    }
    Ok(())
}

impl SignIns<'_> {
    /// Whether a new password will do, as far as it can be said of the password itself.
    pub(super) async fn judge_new(
        self,
        password: &Secret<String>,
        username: &str,
        user: Option<&User>,
    ) -> Result<(), NotChanged> {
        let settings = &self.tenant.tenant.settings.password;
        check(password.expose(), username, usize::from(settings.shortest))?;
        if settings.strength > 0 {
            let mut near: Vec<&str> = vec![username, &self.tenant.tenant.name];
            if let Some(user) = user {
                let names = ["name", "given_name", "family_name", "nickname", "email", "phone_number"];
                near.extend(names.iter().filter_map(|name| user.attributes.get(*name)?.first()).map(String::as_str));
            }
            if strength(password.expose(), &near) < settings.strength {
                return Err(Unfit::TooWeak.into());
            }
        }
        let list = self.app.config.breached_passwords.clone().filter(|_| settings.breached);
        if let Some(list) = list {
            let password = password.clone();
            let found = tokio::task::spawn_blocking(move || breached::is_breached(&list, &password)).await;
            let found = found.map_err(|error| Fault::internal("the list of leaked passwords", error))?;
            if found.map_err(|error| Fault::internal("the list of leaked passwords", error))? {
                return Err(Unfit::Breached.into());
            }
        }
        Ok(())
    }

    /// Whether a new password is none of those the person had of late.
    pub(super) async fn judge_history(
        self,
        password: &Secret<String>,
        user: &User,
        remembered: &Remembered,
    ) -> Result<(), NotChanged> {
        let most = usize::from(self.tenant.tenant.settings.password.history);
        let before = remembered.history().iter().rev().take(most);
        for hash in user.password.iter().chain(before) {
            if self.app.hashing.verify(hash, password.clone()).await.map_err(Failure::Busy)? {
                return Err(Unfit::UsedBefore.into());
            }
        }
        Ok(())
    }
}

/// From 0 (guessed at once) to 4.
fn strength(password: &str, near: &[&str]) -> u8 {
    let cut = |text: &str| text.chars().take(LOOKED_AT).collect::<String>();
    let near: Vec<String> = near.iter().map(|text| cut(text)).collect();
    // Parts of an address and of a name are as near as the whole.
    let parts = near.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()).filter(|part| part.len() > 2));
    let near: Vec<&str> = near.iter().map(String::as_str).chain(parts).collect();
    u8::from(zxcvbn::zxcvbn(&cut(password), &near).score())
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

    #[test]
    fn strength_counts_what_is_near_and_not_the_length() {
        assert!(strength("password1", &[]) < 2);
        assert!(strength("aaaaaaaaaaaaaaaa", &[]) < 2);
        assert!(strength("correct-horse-battery", &[]) >= 3);
        assert!(strength("scotthenderson", &["scott.henderson@example.test"]) < strength("scotthenderson", &[]).max(2));
    }
}
