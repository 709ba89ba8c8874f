//! Documents of other modules (sessions, codes, consents, …): kept whole, changed by version, found by name, owner or link.
//!
//! Owns their SQL. Does not look into a body. What is joined, or written thousands of times a second, has a table of its own.

use protocol::records::{Seconds, TenantId};

use crate::Store;
use crate::error::StoreError;
use crate::op::{Op, look};
use crate::value::Row;
use crate::write::name;

/// A document. Its kind and name are its key within a tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is: `session`, `code`, `consent`, …
    pub kind: &'static str,
    /// Which one. A credential is named by its digest, never by itself.
    pub name: String,
    /// The person it belongs to, where it is looked up or dropped by person.
    pub owner: Option<String>,
    /// A second key it is looked up or dropped by.
    pub link: Option<String>,
    /// When it was made.
    pub created: Seconds,
    /// When it may be forgotten. A reader compares it with its own clock.
    pub expires: Seconds,
    /// JSON.
    pub body: String,
    /// Grows with every change; 0 for one that is not stored yet.
    pub version: i64,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Item({} v{})", self.kind, self.version)
    }
}

const ADD: &str = "INSERT INTO items (name, kind, tenant, owner, link, created, expires, body, version) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1) ON CONFLICT DO NOTHING";
const REPLACE: &str = "UPDATE items SET owner = $1, link = $2, expires = $3, body = $4, version = version + 1 \
     WHERE name = $5 AND kind = $6 AND tenant = $7 AND version = $8";
const EDIT: &str = "UPDATE items SET body = $1, version = version + 1 \
     WHERE name = $2 AND kind = $3 AND tenant = $4 AND version = $5";
const TAKE: &str = "DELETE FROM items WHERE name = $1 AND kind = $2 AND tenant = $3";
const TAKE_VERSION: &str = "DELETE FROM items WHERE name = $1 AND kind = $2 AND tenant = $3 AND version = $4";
const NEED_LINKED: (&str, &str) = look!("SELECT 1 FROM items WHERE link = $1 AND kind = $2 AND tenant = $3");
const NEED: (&str, &str) = look!("SELECT 1 FROM items WHERE name = $1 AND kind = $2 AND tenant = $3 AND version = $4");
const DROP_OWNED: &str = "DELETE FROM items WHERE owner = $1 AND kind = $2 AND tenant = $3";
const DROP_LINKED: &str = "DELETE FROM items WHERE link = $1 AND kind = $2 AND tenant = $3";
const ONE: &str = "SELECT name, owner, link, created, expires, body, version FROM items \
     WHERE name = $1 AND kind = $2 AND tenant = $3";
const OWNED: &str = "SELECT name, owner, link, created, expires, body, version FROM items \
     WHERE owner = $1 AND kind = $2 AND tenant = $3 ORDER BY created, name LIMIT $4";
const LINKED: &str = "SELECT name, owner, link, created, expires, body, version FROM items \
     WHERE link = $1 AND kind = $2 AND tenant = $3 ORDER BY created, name LIMIT $4";

/// A document that is new (version 0), or the next state of the one with this version.
pub(crate) fn put(index: usize, tenant: &TenantId, item: Item) -> Op {
    let key = name(item.name);
    if item.version == 0 {
        let values = vec![
            key.into(),
            item.kind.into(),
            tenant.as_str().into(),
            item.owner.map(name).into(),
            item.link.map(name).into(),
            item.created.into(),
            item.expires.into(),
            item.body.into(),
        ];
        return Op::must(index, ADD, values);
    }
    let values = vec![
        item.owner.map(name).into(),
        item.link.map(name).into(),
        item.expires.into(),
        item.body.into(),
        key.into(),
        item.kind.into(),
        tenant.as_str().into(),
        item.version.into(),
    ];
    Op::must(index, REPLACE, values)
}

/// The next state of a document of which only the body changes.
pub(crate) fn edit(index: usize, tenant: &TenantId, kind: &'static str, key: String, body: String, version: i64) -> Op {
    let values = vec![body.into(), name(key).into(), kind.into(), tenant.as_str().into(), version.into()];
    Op::must(index, EDIT, values)
}

/// A document that is gone, and must have been there.
pub(crate) fn take(index: usize, tenant: &TenantId, kind: &'static str, key: String, version: Option<i64>) -> Op {
    let mut values = vec![name(key).into(), kind.into(), tenant.as_str().into()];
    match version {
        None => Op::must(index, TAKE, values),
        Some(version) => {
            values.push(version.into());
            Op::must(index, TAKE_VERSION, values)
        }
    }
}

/// A document with this link must be there.
pub(crate) fn need_linked(index: usize, tenant: &TenantId, kind: &'static str, link: String) -> Op {
    Op::need(index, NEED_LINKED, vec![name(link).into(), kind.into(), tenant.as_str().into()])
}

/// A document must be there in this version.
pub(crate) fn need(index: usize, tenant: &TenantId, kind: &'static str, key: String, version: i64) -> Op {
    Op::need(index, NEED, vec![name(key).into(), kind.into(), tenant.as_str().into(), version.into()])
}

/// All documents of a kind that a person has.
pub(crate) fn drop_owned(index: usize, tenant: &TenantId, kind: &'static str, owner: String) -> Op {
    Op::any(index, DROP_OWNED, vec![name(owner).into(), kind.into(), tenant.as_str().into()])
}

/// All documents of a kind with this link.
pub(crate) fn drop_linked(index: usize, tenant: &TenantId, kind: &'static str, link: String) -> Op {
    Op::any(index, DROP_LINKED, vec![name(link).into(), kind.into(), tenant.as_str().into()])
}

impl Store {
    /// The document of this kind and name, expired or not.
    pub async fn item(&self, tenant: &TenantId, kind: &'static str, key: &str) -> Result<Option<Item>, StoreError> {
        let key = name(key.to_owned());
        self.first(ONE, &[key.as_str().into(), kind.into(), tenant.as_str().into()], |row| item(kind, row)).await
    }

    /// The documents of a kind that a person has, oldest first, at most `limit`.
    pub async fn items_of(
        &self,
        tenant: &TenantId,
        kind: &'static str,
        owner: &str,
        limit: i64,
    ) -> Result<Vec<Item>, StoreError> {
        let owner = name(owner.to_owned());
        let params = [owner.as_str().into(), kind.into(), tenant.as_str().into(), limit.into()];
        self.all(OWNED, &params, |row| item(kind, row)).await
    }

    /// The documents of a kind with this link, oldest first, at most `limit`.
    pub async fn items_linked(
        &self,
        tenant: &TenantId,
        kind: &'static str,
        link: &str,
        limit: i64,
    ) -> Result<Vec<Item>, StoreError> {
        let link = name(link.to_owned());
        let params = [link.as_str().into(), kind.into(), tenant.as_str().into(), limit.into()];
        self.all(LINKED, &params, |row| item(kind, row)).await
    }
}

fn item(kind: &'static str, row: &Row<'_>) -> Result<Item, StoreError> {
    Ok(Item {
        kind,
        name: row.text(0)?,
        owner: row.opt_text(1)?,
        link: row.opt_text(2)?,
        created: row.int(3)?,
        expires: row.int(4)?,
        body: row.text(5)?,
        version: row.int(6)?,
    })
}
