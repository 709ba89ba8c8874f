//! Passwords against the hash of an identity source. Owns the verdict and the upgrade of an outdated hash; does not
//! look anybody up, and does not count guesses.

use protocol::records::{Seconds, User};
use store::Change;

use super::{Cause, Judgement};
use crate::hashing::{Busy, Hashing};
use crate::secret::Secret;

/// Whether `password` is this person's. Somebody unknown, inactive or without a password costs the same work.
///
/// # Errors
/// The hashing threads have too much to do.
pub async fn judge(
    hashing: &Hashing,
    user: Option<&User>,
    password: Secret<String>,
    now: Seconds,
) -> Result<Judgement, Busy> {
    let (user, phc) = match user {
        Some(user) if user.active => match &user.password {
            Some(phc) => (user, phc),
            None => return stranger(hashing, password, Cause::WrongPassword).await,
        },
        Some(_) => return stranger(hashing, password, Cause::Inactive).await,
        None => return stranger(hashing, password, Cause::WrongPassword).await,
    };
    if !hashing.verify(phc, password.clone()).await? {
        return Ok(Judgement::failed(Cause::WrongPassword));
    }
    let judgement = Judgement::right();
    if !hashing.needs_rehash(phc) {
        return Ok(judgement);
    }
    // A right password is not refused because its hash could not be renewed just now: the next sign-in will.
    Ok(match hashing.hash(password).await {
        Ok(to) => judgement.with(Change::Rehash { user: user.id.clone(), from: phc.clone(), to, at: now }),
        Err(_) => judgement,
    })
}

async fn stranger(hashing: &Hashing, password: Secret<String>, cause: Cause) -> Result<Judgement, Busy> {
    hashing.verify_stranger(password).await?;
    Ok(Judgement::failed(cause))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::hashing::Cost;

    const CHEAP: Cost = Cost { lanes: 1, queue: 8, memory: 64, passes: 1, parallel: 1 };

    fn user(password: Option<String>) -> User {
        User {
            id: "6040003OH8".into(),
            source: "s".into(),
            username: "scott".to_owned(),
            active: true,
            password,
            groups: BTreeSet::new(),
            attributes: BTreeMap::new(),
            not_before: 0,
            created: 0,
            updated: 0,
        }
    }

    async fn judged(hashing: &Hashing, user: Option<&User>, password: &str) -> Judgement {
        judge(hashing, user, Secret::from(password), 7).await.unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_of_an_active_person_passes() {
        let hashing = Hashing::start(CHEAP).unwrap();
        let phc = hashing.hash(Secret::from("hunter22")).await.unwrap();
        let scott = user(Some(phc));
        let right = judged(&hashing, Some(&scott), "hunter22").await;
        assert!(right.passed && right.changes.is_empty() && !right.user_verified);
        assert_eq!(judged(&hashing, Some(&scott), "hunter2").await.cause, Cause::WrongPassword);
        assert_eq!(judged(&hashing, None, "hunter22").await.cause, Cause::WrongPassword);
        assert_eq!(judged(&hashing, Some(&user(None)), "hunter22").await.cause, Cause::WrongPassword);
        let inactive = User { active: false, ..scott };
        let judgement = judged(&hashing, Some(&inactive), "hunter22").await;
        assert!(!judgement.passed);
        assert_eq!(judgement.cause, Cause::Inactive);
    }

    #[tokio::test]
    async fn an_outdated_hash_is_renewed_with_the_verdict_and_only_then() {
        let old = Hashing::start(CHEAP).unwrap();
        let phc = old.hash(Secret::from("hunter22")).await.unwrap();
        let hashing = Hashing::start(Cost { passes: 2, ..CHEAP }).unwrap();
        let scott = user(Some(phc.clone()));
        assert!(judged(&hashing, Some(&scott), "wrong").await.changes.is_empty());
        let right = judged(&hashing, Some(&scott), "hunter22").await;
        let [Change::Rehash { user, from, to, at: 7 }] = right.changes.as_slice() else { panic!("no upgrade") };
        assert_eq!((user, from), (&scott.id, &phc));
        assert!(!hashing.needs_rehash(to));
        assert!(hashing.verify(to, Secret::from("hunter22")).await.unwrap());
    }
}
