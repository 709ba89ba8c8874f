//! Owns the rule of refresh token rotation (RFC 9700 §4.14): what a presented refresh token is worth.
//!
//! Writes nothing: the caller's conditional write decides between two that are judged at the same moment.

use crate::records::{Digest, Grant, Seconds};

/// What a presented refresh token is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is the current one: give new tokens and put the next one in its place.
    Rotate,
    /// It was rotated a moment ago and its answer may have been lost: give that answer again, and no other.
    AnswerAgain,
    /// It was rotated before that: somebody has a copy, and the whole family ends.
    Reuse,
    /// It, or the grant, is over.
    Expired,
    /// It is none of this grant's, as far as is still known.
    Unknown,
}

/// Judges a presented refresh token. `grace` is how many seconds a just-rotated one is still answered with its successor.
pub fn judge(grant: &Grant, presented: &Digest, now: Seconds, grace: Seconds) -> Turn {
    let current = grant.refresh.as_ref() == Some(presented);
    let previous = grant.refresh_previous.as_ref() == Some(presented);
    if !current && !previous {
        return Turn::Unknown;
    }
    if !grant.active || now >= grant.expires {
        return Turn::Expired;
    }
    if current {
        return if now >= grant.refresh_expires { Turn::Expired } else { Turn::Rotate };
    }
    // Another node's clock may run a little behind the one that rotated: a moment before `rotated_at` is within the window.
    if now < grant.rotated_at.saturating_add(grace.max(0)) { Turn::AnswerAgain } else { Turn::Reuse }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{GrantDetail, GrantId};
    use proptest::prelude::*;

    const GRACE: Seconds = 10;

    fn digest(n: u8) -> Digest {
        Digest([n; 32])
    }

    fn grant() -> Grant {
        Grant {
            id: GrantId::from("g"),
            tenant: "t".into(),
            client: "c".into(),
            subject: None,
            active: true,
            created: 0,
            expires: 1000,
            detail: GrantDetail::default(),
            refresh: Some(digest(2)),
            refresh_expires: 500,
            refresh_previous: Some(digest(1)),
            rotated_at: 100,
            session: None,
            version: 1,
        }
    }

    #[test]
    fn each_turn() {
        let g = grant();
        assert_eq!(judge(&g, &digest(2), 200, GRACE), Turn::Rotate);
        assert_eq!(judge(&g, &digest(2), 500, GRACE), Turn::Expired);
        assert_eq!(judge(&g, &digest(1), 109, GRACE), Turn::AnswerAgain);
        assert_eq!(judge(&g, &digest(1), 99, GRACE), Turn::AnswerAgain);
        assert_eq!(judge(&g, &digest(1), 110, GRACE), Turn::Reuse);
        assert_eq!(judge(&g, &digest(1), 600, GRACE), Turn::Reuse, "reuse is noticed after the successor expired too");
        assert_eq!(judge(&g, &digest(1), 1000, GRACE), Turn::Expired);
        assert_eq!(judge(&g, &digest(9), 200, GRACE), Turn::Unknown);
        assert_eq!(judge(&g, &digest(1), 100, 0), Turn::Reuse);
        let dead = Grant { active: false, ..grant() };
        assert_eq!(judge(&dead, &digest(2), 200, GRACE), Turn::Expired);
        assert_eq!(judge(&dead, &digest(1), 105, GRACE), Turn::Expired);
        let bare = Grant { refresh: None, refresh_previous: None, ..grant() };
        assert_eq!(judge(&bare, &digest(1), 105, GRACE), Turn::Unknown);
    }

    proptest! {
        /// Plays any order of presentations against the rule, applying each turn as a server would.
        #[test]
        fn a_token_is_never_honoured_twice(plays in proptest::collection::vec((0usize..6, 0i64..15), 1..40)) {
            let mut g = Grant { refresh: Some(digest(1)), refresh_previous: None, expires: 10_000, refresh_expires: 10_000, ..grant() };
            let mut issued = vec![digest(1)];
            let mut rotations = vec![0];
            let mut now = 100;
            for (which, wait) in plays {
                now += wait;
                let at = which.min(issued.len() - 1);
                match judge(&g, &issued[at], now, GRACE) {
                    Turn::Rotate => {
                        prop_assert!(g.active);
                        rotations[at] += 1;
                        prop_assert_eq!(rotations[at], 1, "token {} rotated twice", at);
                        prop_assert_eq!(at, issued.len() - 1, "only the newest rotates");
                        let next = digest(issued.len() as u8 + 1);
                        issued.push(next);
                        rotations.push(0);
                        g = Grant { refresh_previous: g.refresh, refresh: Some(next), rotated_at: now, ..g };
                    }
                    Turn::AnswerAgain => {
                        prop_assert!(g.active && now < g.rotated_at + GRACE);
                        prop_assert_eq!(at, issued.len() - 2, "only the newest but one is answered again");
                    }
                    Turn::Reuse => {
                        prop_assert_eq!(at, issued.len() - 2);
                        g.active = false;
                    }
                    Turn::Expired => prop_assert!(!g.active),
                    Turn::Unknown => prop_assert!(at + 2 < issued.len(), "only tokens older than two are forgotten"),
                }
            }
        }

        #[test]
        fn never_panics(now in any::<i64>(), grace in any::<i64>(), rotated_at in any::<i64>()) {
            let g = Grant { rotated_at, ..grant() };
            let _ = judge(&g, &digest(1), now, grace);
        }
    }
}
