//! Messages waiting to be delivered, of every tenant. Any node may take them; a lease says who has one.

use protocol::records::{Seconds, TenantId};

use crate::Store;
use crate::change::{Mail, OutboxItem};
use crate::error::{CommitError, StoreError};
use crate::op::Op;
use crate::value::Row;

// The condition stands twice: the inner one finds, the outer one is what the second of two nodes loses by.
const CLAIM: &str = "UPDATE outbox SET due = CAST($1 AS BIGINT), tries = tries + 1 \
     WHERE id IN (SELECT id FROM outbox WHERE channel = $2 AND due <= CAST($3 AS BIGINT) \
       AND expires > CAST($3 AS BIGINT) ORDER BY due LIMIT CAST($4 AS BIGINT)) \
     AND due <= CAST($3 AS BIGINT) \
     RETURNING tenant, id, channel, sealed, created, expires, tries";
const WAITING: &str = "SELECT COUNT(*) FROM outbox WHERE expires > $1";
const DONE: &str = "DELETE FROM outbox WHERE id = $1";
const RETRY: &str = "UPDATE outbox SET due = $1 WHERE id = $2";

impl Store {
    /// Takes at most `limit` messages of this channel that are due; nobody else is given them before `lease_seconds` have passed.
    pub async fn claim_outbox(
        &self,
        channel: &str,
        now: Seconds,
        lease_seconds: Seconds,
        limit: i64,
    ) -> Result<Vec<OutboxItem>, StoreError> {
        let until = now.saturating_add(lease_seconds.max(1));
        self.write_returning(CLAIM, vec![until.into(), channel.into(), now.into(), limit.into()], item).await
    }

    /// Messages not delivered yet and still worth it, of every tenant.
    pub async fn outbox_waiting(&self, now: Seconds) -> Result<i64, StoreError> {
        Ok(self.first(WAITING, &[now.into()], |row| row.int(0)).await?.unwrap_or(0))
    }

    /// The message was delivered, or will never be: it is forgotten.
    pub async fn outbox_done(&self, id: &str) -> Result<(), StoreError> {
        self.tell_outbox("outbox done", Op::any(0, DONE, vec![id.into()])).await
    }

    /// The message was not delivered: it is due again at this moment.
    pub async fn outbox_retry(&self, id: &str, at: Seconds) -> Result<(), StoreError> {
        self.tell_outbox("outbox retry", Op::any(0, RETRY, vec![at.into(), id.into()])).await
    }

    async fn tell_outbox(&self, name: &'static str, op: Op) -> Result<(), StoreError> {
        match self.transact(name, vec![op]).await {
            Ok(_) => Ok(()),
            Err(CommitError::Unavailable(error)) => Err(error),
            Err(CommitError::Refused { .. }) => Err(StoreError::new("a message with such an id cannot exist")),
        }
    }
}

fn item(row: &Row<'_>) -> Result<OutboxItem, StoreError> {
    Ok(OutboxItem {
        tenant: TenantId(row.text(0)?),
        mail: Mail {
            id: row.text(1)?,
            channel: row.text(2)?,
            sealed: row.blob(3)?,
            created: row.int(4)?,
            expires: row.int(5)?,
        },
        tries: row.int(6)? - 1,
    })
}
