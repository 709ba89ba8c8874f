//! How a person stands: whether wrong passwords keep them out at present, and that nobody cut them off meanwhile. Changes nothing.

use engine::FactorKind;
use protocol::records::{Seconds, User, UserId};
use store::Change;

use super::SignIns;
use super::driver::counter_key;
use crate::fault::Fault;

/// How a person stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Wrong passwords in a row.
    pub failures: i64,
    /// No password of theirs is judged before this moment; none where it is.
    pub rests_until: Option<Seconds>,
}

/// What must be written first with what is proved by somebody or given in their name: refused where they were switched off or cut off
/// since they were read. A password takes a while to judge and a token to sign, and meanwhile another may have been set.
pub fn not_cut_off(user: &User) -> Change {
    Change::NeedUser { user: user.id.clone(), not_before: user.not_before }
}

impl SignIns<'_> {
    /// How a person stands.
    ///
    /// # Errors
    /// The store failed.
    pub async fn standing(self, user: &UserId) -> Result<Standing, Fault> {
        let key = counter_key(FactorKind::Password, user.as_str());
        let counted = self.app.store.attempts(&self.tenant.tenant.id, &key).await?;
        let rests = (counted.rests_until > self.app.world.now()).then_some(counted.rests_until);
        Ok(Standing { failures: counted.failures, rests_until: rests })
    }
}
