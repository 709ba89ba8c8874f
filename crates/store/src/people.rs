//! People and groups as a directory service lists, changes and removes them: by pages, by version, and by who is in a group.
//!
//! Owns their conditional changes. A group's document is part of the configuration of a tenant and is read with it; what only
//! a directory service knows of it (its version, its moments, further attributes) stands beside the document.

use std::collections::BTreeMap;

use protocol::records::{Group, GroupId, Seconds, SourceId, TenantId, User, UserId};

use crate::Store;
use crate::error::StoreError;
use crate::op::{Op, look};
use crate::read::user;
use crate::value::{Row, Value};
use crate::write::{fold, index_attributes, json};

/// A group with what is known beside its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// The group.
    pub group: Group,
    /// Further attributes.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// When it was made (0: unknown).
    pub created: Seconds,
    /// When it last changed (0: unknown).
    pub updated: Seconds,
    /// Grows with every change, one of its members included. Not written: a change names it.
    pub version: i64,
}

/// Somebody in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// The login name.
    pub username: String,
}

const PERSON: &str = "SELECT u.id, u.source, u.username, u.active, u.password, u.member_of, u.attributes, \
     u.not_before, u.created, u.updated, u.version FROM users u WHERE u.id = $1 AND u.tenant = $2";
const PERSON_BY_LOGIN: &str = "SELECT u.id, u.source, u.username, u.active, u.password, u.member_of, u.attributes, \
     u.not_before, u.created, u.updated, u.version FROM users u \
     WHERE u.folded = $1 AND u.source = $2 AND u.tenant = $3";
const PEOPLE_BY_ATTRIBUTE: &str = "SELECT u.id, u.source, u.username, u.active, u.password, u.member_of, \
     u.attributes, u.not_before, u.created, u.updated, u.version \
     FROM user_attributes a JOIN users u ON u.id = a.user_id AND u.tenant = a.tenant \
     WHERE a.value = $1 AND a.name = $2 AND a.tenant = $3 ORDER BY u.id LIMIT $4";
const PEOPLE_AFTER: &str = "SELECT u.id, u.source, u.username, u.active, u.password, u.member_of, u.attributes, \
     u.not_before, u.created, u.updated, u.version FROM users u \
     WHERE u.tenant = $1 AND u.id > $2 ORDER BY u.id LIMIT $3";
const PEOPLE_FROM: &str = "SELECT u.id, u.source, u.username, u.active, u.password, u.member_of, u.attributes, \
     u.not_before, u.created, u.updated, u.version FROM users u \
     WHERE u.tenant = $1 ORDER BY u.id LIMIT $2 OFFSET $3";
const COUNT_PEOPLE: &str = "SELECT COUNT(*) FROM users WHERE tenant = $1";
const GROUP: &str = "SELECT document, detail, created, updated, version FROM user_groups WHERE tenant = $1 AND id = $2";
const GROUPS: &str = "SELECT document, detail, created, updated, version FROM user_groups \
     WHERE tenant = $1 ORDER BY id LIMIT $2";
const MEMBERS: &str = "SELECT u.id, u.username FROM memberships m JOIN users u ON u.id = m.user_id AND u.tenant = m.tenant \
     WHERE m.group_id = $1 AND m.tenant = $2 ORDER BY u.id";

const ADD_USER: &str = "INSERT INTO users (id, tenant, source, username, folded, active, password, member_of, \
     attributes, not_before, created, updated, managed, version) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, '[]', $8, $9, $10, $11, 0, 1) ON CONFLICT DO NOTHING";
const EDIT_USER: &str = "UPDATE users SET source = $1, username = $2, folded = $3, active = $4, password = $5, \
     attributes = $6, not_before = $7, updated = $8, version = version + 1 \
     WHERE id = $9 AND tenant = $10 AND version = $11";
const NEED_USER: (&str, &str) =
    look!("SELECT 1 FROM users WHERE id = $1 AND tenant = $2 AND active = 1 AND not_before = $3");
const REMOVE_USER: &str = "DELETE FROM users WHERE id = $1 AND tenant = $2 AND version = $3";
/// What a person leaves behind, in the order it goes.
const LEFT_BY_USER: [&str; 6] = [
    "DELETE FROM user_attributes WHERE user_id = $1 AND tenant = $2",
    "DELETE FROM memberships WHERE user_id = $1 AND tenant = $2",
    "DELETE FROM enrolments WHERE user_id = $1 AND tenant = $2",
    "DELETE FROM tokens WHERE subject = $1 AND tenant = $2",
    "UPDATE grants SET active = 0, version = version + 1 WHERE subject = $1 AND tenant = $2 AND active = 1",
    "DELETE FROM items WHERE owner = $1 AND tenant = $2",
];
const TOUCH_GROUPS_OF: &str = "UPDATE user_groups SET version = version + 1 WHERE tenant = $1 AND id IN \
     (SELECT group_id FROM memberships WHERE user_id = $2 AND tenant = $1)";
const FORGET_MEMBERSHIPS: &str = "DELETE FROM memberships WHERE user_id = $1 AND tenant = $2";
const ADD_MEMBERSHIP: &str = "INSERT INTO memberships (group_id, tenant, user_id) VALUES ($1, $2, $3) \
     ON CONFLICT DO NOTHING";
const DIRECTORY_AT: &str = "UPDATE directory_state SET version = version + 1 WHERE id = 1 AND version = $1";
const ADD_GROUP: &str = "INSERT INTO user_groups (tenant, id, document, detail, created, updated, version) \
     VALUES ($1, $2, $3, $4, $5, $6, 1) ON CONFLICT DO NOTHING";
const EDIT_GROUP: &str = "UPDATE user_groups SET document = $1, detail = $2, updated = $3, version = version + 1 \
     WHERE tenant = $4 AND id = $5 AND version = $6";
const REMOVE_GROUP: &str = "DELETE FROM user_groups WHERE tenant = $1 AND id = $2 AND version = $3";
// The list of a person's groups is a JSON array of texts without blanks: an element goes with the comma behind it, or the
// one before it, or alone.
const EMPTY_GROUP: &str = "UPDATE users SET \
     member_of = REPLACE(REPLACE(REPLACE(member_of, CAST($1 AS TEXT), ''), CAST($2 AS TEXT), ''), CAST($3 AS TEXT), ''), \
     version = version + 1 WHERE tenant = $4 \
     AND id IN (SELECT user_id FROM memberships WHERE group_id = $5 AND tenant = $4)";
const FORGET_MEMBERS: &str = "DELETE FROM memberships WHERE group_id = $1 AND tenant = $2";
// Touches the person whether in the group already or not: only who does not exist refuses it.
const JOIN_GROUP: &str = "UPDATE users SET member_of = CASE \
       WHEN EXISTS (SELECT 1 FROM memberships m WHERE m.group_id = $1 AND m.tenant = $2 AND m.user_id = $3) \
         THEN member_of \
       WHEN member_of = '[]' THEN CAST($4 AS TEXT) \
       ELSE CAST($5 AS TEXT) || SUBSTR(member_of, 2) END, \
     version = version + 1 WHERE id = $3 AND tenant = $2";
const LEAVE_GROUP: &str = "UPDATE users SET \
     member_of = REPLACE(REPLACE(REPLACE(member_of, CAST($1 AS TEXT), ''), CAST($2 AS TEXT), ''), CAST($3 AS TEXT), ''), \
     version = version + 1 WHERE id = $4 AND tenant = $5 \
     AND EXISTS (SELECT 1 FROM memberships m WHERE m.group_id = $6 AND m.tenant = $5 AND m.user_id = $4)";
const FORGET_MEMBERSHIP: &str = "DELETE FROM memberships WHERE group_id = $1 AND tenant = $2 AND user_id = $3";

impl Store {
    /// A person and the version of the record.
    pub async fn person(&self, tenant: &TenantId, id: &UserId) -> Result<Option<(User, i64)>, StoreError> {
        self.first(PERSON, &[id.as_str().into(), tenant.as_str().into()], person).await
    }

    /// The person of this login name in a source, in whatever case it is written, and the version of the record.
    pub async fn person_by_login(
        &self,
        tenant: &TenantId,
        source: &SourceId,
        username: &str,
    ) -> Result<Option<(User, i64)>, StoreError> {
        let folded = fold(username);
        let params = [folded.as_str().into(), source.as_str().into(), tenant.as_str().into()];
        self.first(PERSON_BY_LOGIN, &params, person).await
    }

    /// People with this exact attribute value (of at most 256 bytes), by id, at most `limit`.
    pub async fn people_by_attribute(
        &self,
        tenant: &TenantId,
        attribute: &str,
        value: &str,
        limit: i64,
    ) -> Result<Vec<(User, i64)>, StoreError> {
        let params = [value.into(), attribute.into(), tenant.as_str().into(), limit.into()];
        self.all(PEOPLE_BY_ATTRIBUTE, &params, person).await
    }

    /// The people whose ids come after this one, by id, at most `limit`.
    pub async fn people_after(
        &self,
        tenant: &TenantId,
        after: &str,
        limit: i64,
    ) -> Result<Vec<(User, i64)>, StoreError> {
        self.all(PEOPLE_AFTER, &[tenant.as_str().into(), after.into(), limit.into()], person).await
    }

    /// People by id, without the first `offset`, at most `limit`.
    pub async fn people_from(
        &self,
        tenant: &TenantId,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<(User, i64)>, StoreError> {
        self.all(PEOPLE_FROM, &[tenant.as_str().into(), limit.into(), offset.into()], person).await
    }

    /// How many people there are.
    pub async fn count_people(&self, tenant: &TenantId) -> Result<i64, StoreError> {
        let counted = self.first(COUNT_PEOPLE, &[tenant.as_str().into()], |row| row.int(0)).await?;
        Ok(counted.unwrap_or_default())
    }

    /// A group.
    pub async fn group(&self, tenant: &TenantId, id: &GroupId) -> Result<Option<GroupRow>, StoreError> {
        self.first(GROUP, &[tenant.as_str().into(), id.as_str().into()], group).await
    }

    /// Groups by id, at most `limit`.
    pub async fn groups(&self, tenant: &TenantId, limit: i64) -> Result<Vec<GroupRow>, StoreError> {
        self.all(GROUPS, &[tenant.as_str().into(), limit.into()], group).await
    }

    /// Who is in a group, by id.
    pub async fn members(&self, tenant: &TenantId, group: &GroupId) -> Result<Vec<Member>, StoreError> {
        let params = [group.as_str().into(), tenant.as_str().into()];
        let member = |row: &Row<'_>| Ok(Member { user: UserId(row.text(0)?), username: row.text(1)? });
        self.all(MEMBERS, &params, member).await
    }
}

fn person(row: &Row<'_>) -> Result<(User, i64), StoreError> {
    Ok((user(row)?, row.int(10)?))
}

fn group(row: &Row<'_>) -> Result<GroupRow, StoreError> {
    Ok(GroupRow {
        group: row.json(0)?,
        attributes: row.json(1)?,
        created: row.int(2)?,
        updated: row.int(3)?,
        version: row.int(4)?,
    })
}

/// A person who must be new.
pub(crate) fn add_user(index: usize, tenant: &TenantId, user: &User, ops: &mut Vec<Op>) -> Result<(), StoreError> {
    let values = vec![
        user.id.as_str().into(),
        tenant.as_str().into(),
        user.source.as_str().into(),
        user.username.as_str().into(),
        fold(&user.username).into(),
        user.active.into(),
        user.password.as_deref().into(),
        json(&user.attributes)?,
        user.not_before.into(),
        user.created.into(),
        user.updated.into(),
    ];
    ops.push(Op::must(index, ADD_USER, values));
    index_attributes(index, tenant, user, ops);
    Ok(())
}

/// The next state of a person with this version; groups stay as they are.
pub(crate) fn edit_user(
    index: usize,
    tenant: &TenantId,
    user: &User,
    version: i64,
    ops: &mut Vec<Op>,
) -> Result<(), StoreError> {
    let values = vec![
        user.source.as_str().into(),
        user.username.as_str().into(),
        fold(&user.username).into(),
        user.active.into(),
        user.password.as_deref().into(),
        json(&user.attributes)?,
        user.not_before.into(),
        user.updated.into(),
        user.id.as_str().into(),
        tenant.as_str().into(),
        version.into(),
    ];
    ops.push(Op::must(index, EDIT_USER, values).may_raise());
    index_attributes(index, tenant, user, ops);
    Ok(())
}

/// A person of this version is gone, with all that was theirs.
pub(crate) fn remove_user(index: usize, tenant: &TenantId, user: &UserId, version: i64, ops: &mut Vec<Op>) {
    ops.push(Op::must(index, REMOVE_USER, vec![user.as_str().into(), tenant.as_str().into(), version.into()]));
    leave_nothing(index, tenant, user, ops);
}

/// What was theirs goes with a person, however they go.
pub(crate) fn leave_nothing(index: usize, tenant: &TenantId, user: &UserId, ops: &mut Vec<Op>) {
    touch_groups(index, tenant, user, ops);
    let pair = || vec![user.as_str().into(), tenant.as_str().into()];
    ops.extend(LEFT_BY_USER.iter().map(|sql| Op::any(index, sql, pair())));
}

/// A person must be there as they were read.
pub(crate) fn need_user(index: usize, tenant: &TenantId, user: &UserId, not_before: Seconds) -> Op {
    Op::need(index, NEED_USER, vec![user.as_str().into(), tenant.as_str().into(), not_before.into()])
}

/// The groups of a person have a new version: their members are not what they were.
pub(crate) fn touch_groups(index: usize, tenant: &TenantId, user: &UserId, ops: &mut Vec<Op>) {
    ops.push(Op::any(index, TOUCH_GROUPS_OF, vec![tenant.as_str().into(), user.as_str().into()]));
}

/// The groups of a person as rows to search by.
pub(crate) fn index_groups(index: usize, tenant: &TenantId, user: &User, ops: &mut Vec<Op>) {
    ops.push(Op::any(index, FORGET_MEMBERSHIPS, vec![user.id.as_str().into(), tenant.as_str().into()]));
    for group in &user.groups {
        let row = vec![group.as_str().into(), tenant.as_str().into(), user.id.as_str().into()];
        ops.push(Op::any(index, ADD_MEMBERSHIP, row));
    }
}

/// The configuration is still of this version, and gets the next.
pub(crate) fn directory_at(index: usize, version: i64) -> Op {
    Op::must(index, DIRECTORY_AT, vec![version.into()])
}

/// A group that must be new.
pub(crate) fn add_group(index: usize, tenant: &TenantId, row: &GroupRow) -> Result<Op, StoreError> {
    let values = vec![
        tenant.as_str().into(),
        row.group.id.as_str().into(),
        json(&row.group)?,
        json(&row.attributes)?,
        row.created.into(),
        row.updated.into(),
    ];
    Ok(Op::must(index, ADD_GROUP, values))
}

/// The next state of a group with this version.
pub(crate) fn edit_group(index: usize, tenant: &TenantId, row: &GroupRow) -> Result<Op, StoreError> {
    let values = vec![
        json(&row.group)?,
        json(&row.attributes)?,
        row.updated.into(),
        tenant.as_str().into(),
        row.group.id.as_str().into(),
        row.version.into(),
    ];
    Ok(Op::must(index, EDIT_GROUP, values))
}

/// A group of this version is gone, and nobody is in it.
pub(crate) fn remove_group(
    index: usize,
    tenant: &TenantId,
    id: &GroupId,
    version: i64,
    ops: &mut Vec<Op>,
) -> Result<(), StoreError> {
    ops.push(Op::must(index, REMOVE_GROUP, vec![tenant.as_str().into(), id.as_str().into(), version.into()]));
    empty_group(index, tenant, id, ops)
}

/// Nobody is in a group any more.
pub(crate) fn empty_group(index: usize, tenant: &TenantId, id: &GroupId, ops: &mut Vec<Op>) -> Result<(), StoreError> {
    let mut values = elements(id)?;
    values.extend([tenant.as_str().into(), id.as_str().into()]);
    ops.push(Op::any(index, EMPTY_GROUP, values));
    ops.push(Op::any(index, FORGET_MEMBERS, vec![id.as_str().into(), tenant.as_str().into()]));
    Ok(())
}

/// A person, who must exist, is in a group.
pub(crate) fn join_group(
    index: usize,
    tenant: &TenantId,
    group: &GroupId,
    user: &UserId,
    ops: &mut Vec<Op>,
) -> Result<(), StoreError> {
    let written = element(group)?;
    let key = || vec![group.as_str().into(), tenant.as_str().into(), user.as_str().into()];
    let mut values: Vec<Value> = key();
    values.extend([format!("[{written}]").into(), format!("[{written},").into()]);
    ops.push(Op::must(index, JOIN_GROUP, values));
    ops.push(Op::any(index, ADD_MEMBERSHIP, key()));
    Ok(())
}

/// A person is not in a group any more.
pub(crate) fn leave_group(
    index: usize,
    tenant: &TenantId,
    group: &GroupId,
    user: &UserId,
    ops: &mut Vec<Op>,
) -> Result<(), StoreError> {
    let mut values = elements(group)?;
    values.extend([user.as_str().into(), tenant.as_str().into(), group.as_str().into()]);
    ops.push(Op::any(index, LEAVE_GROUP, values));
    let key = vec![group.as_str().into(), tenant.as_str().into(), user.as_str().into()];
    ops.push(Op::any(index, FORGET_MEMBERSHIP, key));
    Ok(())
}

/// A group's id as an element of a JSON array.
fn element(id: &GroupId) -> Result<String, StoreError> {
    serde_json::to_string(id).map_err(|source| StoreError::from("a record cannot be written as JSON", source))
}

/// The same with the comma behind it, with the one before it, and alone.
fn elements(id: &GroupId) -> Result<Vec<Value>, StoreError> {
    let written = element(id)?;
    Ok(vec![format!("{written},").into(), format!(",{written}").into(), written.into()])
}
