//! The factor a person wants to be asked for first. A wish: what policy does not ask for, or the person has no more, is not asked for.

use engine::FactorKind;
use protocol::records::{Seconds, UserId};
use serde::{Deserialize, Serialize};
use store::{Change, CommitError, Item};

use super::SignIns;
use super::ways::{Way, With};
use crate::fault::Fault;

pub(super) const KIND: &str = "preferred-factor";
const KEPT: Seconds = 100 * 365 * 86_400;

/// A factor, and what it is proved with where there may be several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preferred {
    /// The factor.
    pub kind: FactorKind,
    /// The enrolment; none where the kind says it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<String>,
}

impl Preferred {
    /// The wish for this way.
    pub fn of(way: &Way) -> Self {
        let enrolment = match &way.with {
            With::Enrolment(enrolment) => Some(enrolment.id.0.clone()),
            With::Anything | With::Address { .. } => None,
        };
        Self { kind: way.kind, enrolment }
    }

    /// Whether a way is the one that is meant.
    pub fn means(&self, way: &Way) -> bool {
        *self == Self::of(way)
    }
}

impl SignIns<'_> {
    /// What a person wants to be asked for first; none where they never said so.
    ///
    /// # Errors
    /// The store failed.
    pub async fn preferred(self, user: &UserId) -> Result<Option<Preferred>, Fault> {
        let item = self.app.store.item(&self.tenant.tenant.id, KIND, user.as_str()).await?;
        item.map(|item| serde_json::from_str(&item.body).map_err(|error| Fault::internal("a preferred factor", error)))
            .transpose()
    }

    /// Notes what a person wants to be asked for first, in place of what they wanted before.
    ///
    /// # Errors
    /// The store failed.
    pub async fn prefer(self, user: &UserId, wish: &Preferred) -> Result<(), Fault> {
        let now = self.app.world.now();
        let body = serde_json::to_string(wish).map_err(|error| Fault::internal("a preferred factor", error))?;
        let item = Item {
            kind: KIND,
            name: user.0.clone(),
            owner: Some(user.0.clone()),
            link: None,
            created: now,
            expires: now + KEPT,
            body,
            version: 0,
        };
        let changes = vec![Change::DropItemsOf { kind: KIND, owner: user.0.clone() }, Change::PutItem(item)];
        match self.app.commit(&self.tenant.tenant.id, "preferred factor", changes).await {
            // Of two wishes at once one stands.
            Ok(()) | Err(CommitError::Refused { .. }) => Ok(()),
            Err(CommitError::Unavailable(error)) => Err(error.into()),
        }
    }
}
