//! How often one place may ask for what costs something and tells nobody who they are. Owns the count; what is worth one is the door's
//! to say.

use std::net::IpAddr;

use store::{Change, CommitError};

use super::{Failure, SignIns};
use crate::tokens;

/// Seconds in which the requests of one place are counted together.
const WINDOW: i64 = 600;

impl SignIns<'_> {
    /// Counts one more request of a place.
    ///
    /// # Errors
    /// [`Failure::TooManyMessages`] where there were too many; the store failed.
    pub async fn pace(self, what: &str, place: IpAddr) -> Result<(), Failure> {
        let limit = i64::from(self.tenant.tenant.settings.tries_per_place);
        if limit == 0 {
            return Ok(());
        }
        // One household has a network of these, not an address.
        let prefix = match place {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("{:x?}", &address.segments()[..4]),
        };
        let place = tokens::hex(&self.app.master.mac("place", prefix.as_bytes())[..16]);
        let at = self.app.world.now();
        let change = Change::Meter { key: format!("{what}:{place}"), limit, window: WINDOW, at };
        match self.app.commit(&self.tenant.tenant.id, "paced", vec![change]).await {
            Ok(()) => Ok(()),
            Err(CommitError::Refused { .. }) => Err(Failure::TooManyMessages),
            Err(CommitError::Unavailable(error)) => Err(Failure::Fault(error.into())),
        }
    }
}
