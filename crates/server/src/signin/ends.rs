//! What ends with a person who may no longer sign in, or whose password is another now: said once for all who bring that about.
//!
//! Writes nothing, and does not say since when what is signed counts no more: that is `not_before` of the person.

use protocol::records::UserId;
use store::Change;

use super::trust;
use crate::browser::session;

/// What must be written to end every grant, session, code and trusted device of a person.
pub fn of(user: &UserId) -> Vec<Change> {
    // `not_before` counts in whole seconds; the grants die exactly.
    let mut changes = vec![Change::RevokeGrantsOf(user.clone())];
    changes.extend(session::end_all_of(user));
    changes.extend(trust::end_all(user));
    changes
}
