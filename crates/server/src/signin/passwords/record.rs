//! What is remembered of a person's passwords: when the present one was set, whether another must take its place, and the
//! hashes of those before.

use protocol::records::{Seconds, Tenant, TenantId, User};
use serde::{Deserialize, Serialize};
use store::{Change, Item, Store};

use crate::fault::Fault;
use crate::signin::SignIns;

/// The kind of its documents.
pub const KIND: &str = "password";
/// As long as the person is there.
const KEPT: Seconds = 100 * 365 * 86_400;
/// Hashes kept at most, whatever the tenant says: each costs a guess when a new password is set.
const MOST: usize = 24;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Body {
    since: Option<Seconds>,
    must_change: bool,
    /// Oldest first.
    history: Vec<String>,
}

/// What is remembered.
pub(super) struct Remembered {
    body: Body,
    item: Item,
}

impl SignIns<'_> {
    pub(super) async fn remembered(self, user: &User) -> Result<Remembered, Fault> {
        remembered(&self.app.store, &self.tenant.tenant.id, user, self.app.world.now()).await
    }
}

/// The record of a password that takes the place of this person's in the directory itself, without a sign-in or a judgement.
///
/// # Errors
/// The store failed, or the record of the one before cannot be read.
pub async fn replaced(store: &Store, tenant: &Tenant, before: &User, at: Seconds) -> Result<Change, Fault> {
    let remembered = remembered(store, &tenant.id, before, at).await?;
    remembered.changed(before.password.clone(), at, false, tenant.settings.password.history)
}

async fn remembered(store: &Store, tenant: &TenantId, user: &User, now: Seconds) -> Result<Remembered, Fault> {
    let item = store.item(tenant, KIND, user.id.as_str()).await?;
    let item = item.unwrap_or_else(|| Item {
        kind: KIND,
        name: user.id.0.clone(),
        owner: Some(user.id.0.clone()),
        link: None,
        created: now,
        expires: now + KEPT,
        body: "{}".to_owned(),
        version: 0,
    });
    let body = serde_json::from_str(&item.body).map_err(|error| Fault::internal("a password record", error))?;
    Ok(Remembered { body, item })
}

impl Remembered {
    pub(super) fn must_change(&self) -> bool {
        self.body.must_change
    }

    /// When the present password was set; one that was never changed here is as old as its person's record.
    pub(super) fn since(&self, user: &User) -> Seconds {
        self.body.since.unwrap_or(user.created)
    }

    /// Oldest first.
    pub(super) fn history(&self) -> &[String] {
        &self.body.history
    }

    /// The record of a new password in place of `before`.
    pub(super) fn changed(
        self,
        before: Option<String>,
        at: Seconds,
        must_change: bool,
        most: u8,
    ) -> Result<Change, Fault> {
        let mut history = self.body.history;
        history.extend(before);
        let surplus = history.len().saturating_sub(usize::from(most).min(MOST));
        history.drain(..surplus);
        let body = Body { since: Some(at), must_change, history };
        let body = serde_json::to_string(&body).map_err(|error| Fault::internal("a password record", error))?;
        Ok(Change::PutItem(Item { body, expires: at + KEPT, ..self.item }))
    }
}
