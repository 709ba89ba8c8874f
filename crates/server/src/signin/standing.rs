//! How a person stands with the counters: whether wrong passwords keep them out at present. Changes nothing.

use engine::FactorKind;
use protocol::records::{Seconds, UserId};

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
