//! The SQL of every [`Change`]: each is one conditional statement, with helpers beside it where a record has rows
//! of its own elsewhere.

use protocol::records::{Digest, Enrolment, Grant, GrantId, Seconds, TenantId, Token, User};

use crate::audit;
use crate::change::{Challenge, Change, Mail, SignInRow};
use crate::error::StoreError;
use crate::item;
use crate::op::Op;
use crate::people;
use crate::value::Value;

/// Names longer than this are kept by their hash: an index entry has a bound on PostgreSQL, and some names hold what
/// a stranger sent.
const LONGEST_NAME: usize = 200;

/// Attribute values longer than this cannot be searched for.
const LONGEST_SEARCHED: usize = 256;

/// A counter untouched for this long, beyond its longest rest, is forgotten. Resting allows more guesses in that time
/// than forgetting does.
const ATTEMPTS_KEPT: Seconds = 86_400;

/// Bounds the doubling of a rest within 63 bits.
const LONGEST_REST: Seconds = 1 << 32;

const BEGIN_SIGN_IN: &str = "INSERT INTO sign_ins (id, tenant, client, handle, version, expires, body) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
const ADVANCE_SIGN_IN: &str = "UPDATE sign_ins SET client = $1, handle = $2, expires = $3, body = $4, \
     version = version + 1 WHERE id = $5 AND tenant = $6 AND version = $7";
const ADD_CHALLENGE: &str = "INSERT INTO challenges (id, tenant, sign_in, user_id, enrolment, kind, state, attempts, \
     max_attempts, created, updated, expires, shown, secret, version) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING";
const UPDATE_CHALLENGE: &str = "UPDATE challenges SET sign_in = $1, user_id = $2, enrolment = $3, kind = $4, \
     state = $5, attempts = $6, max_attempts = $7, updated = $8, expires = $9, shown = $10, secret = $11, \
     version = version + 1 WHERE id = $12 AND tenant = $13 AND version = $14";
const CANCEL_CHALLENGES: &str = "UPDATE challenges SET state = 'canceled', updated = $1, version = version + 1 \
     WHERE sign_in = $2 AND tenant = $3 AND state = 'pending'";
const CANCEL_CHALLENGE: &str = "UPDATE challenges SET state = 'canceled', updated = $1, version = version + 1 \
     WHERE id = $2 AND tenant = $3 AND state = 'pending'";
const CANCEL_CHALLENGES_OF: &str = "UPDATE challenges SET state = 'canceled', updated = $1, version = version + 1 \
     WHERE sign_in = $2 AND tenant = $3 AND enrolment = $4 AND state = 'pending'";
// The exponent is capped apart, so that the shift itself cannot overflow.
// What is forgotten counts no more, whether or not it was swept yet.
const CHARGE: &str = "INSERT INTO attempts (name, tenant, failures, rests_until, expires) \
     VALUES ($1, $2, 1, CAST($3 AS BIGINT), $4) \
     ON CONFLICT (name, tenant) DO UPDATE SET \
     failures = CASE WHEN attempts.expires <= CAST($5 AS BIGINT) THEN 1 ELSE attempts.failures + 1 END, \
     rests_until = CASE \
       WHEN attempts.expires <= CAST($5 AS BIGINT) THEN excluded.rests_until \
       WHEN attempts.failures + 1 < CAST($6 AS BIGINT) THEN 0 \
       WHEN attempts.failures + 1 - CAST($6 AS BIGINT) > 30 THEN CAST($5 AS BIGINT) + CAST($7 AS BIGINT) \
       WHEN (CAST($8 AS BIGINT) << CAST(attempts.failures + 1 - CAST($6 AS BIGINT) AS INTEGER)) > CAST($7 AS BIGINT) \
         THEN CAST($5 AS BIGINT) + CAST($7 AS BIGINT) \
       ELSE CAST($5 AS BIGINT) \
         + (CAST($8 AS BIGINT) << CAST(attempts.failures + 1 - CAST($6 AS BIGINT) AS INTEGER)) END, \
     expires = excluded.expires \
     WHERE attempts.rests_until <= CAST($5 AS BIGINT)";
const CLEAR_ATTEMPTS: &str = "DELETE FROM attempts WHERE name = $1 AND tenant = $2";
// A node whose clock is a little behind counts in the newer window rather than opening the older one again.
const METER: &str = "INSERT INTO meters (name, tenant, started, units, expires) \
     SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT), 1, CAST($4 AS BIGINT) \
     WHERE CAST($5 AS BIGINT) > 0 \
     ON CONFLICT (name, tenant) DO UPDATE SET \
     units = CASE WHEN meters.started < excluded.started THEN 1 ELSE meters.units + 1 END, \
     expires = CASE WHEN meters.started < excluded.started THEN excluded.expires ELSE meters.expires END, \
     started = CASE WHEN meters.started < excluded.started THEN excluded.started ELSE meters.started END \
     WHERE meters.started < excluded.started OR meters.units < CAST($5 AS BIGINT)";
// A row is kept for twice its window, so that what follows knows how long it was: half of its life is the window.
const PACE: &str = "INSERT INTO meters (name, tenant, started, units, expires) \
     SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT), 1, CAST($3 AS BIGINT) + 2 * CAST($4 AS BIGINT) \
     WHERE CAST($5 AS BIGINT) > 0 \
     ON CONFLICT (name, tenant) DO UPDATE SET \
     units = CASE WHEN meters.started + meters.expires <= 2 * CAST($3 AS BIGINT) THEN 1 ELSE meters.units + 1 END, \
     expires = CASE \
       WHEN meters.started + meters.expires > 2 * CAST($3 AS BIGINT) THEN meters.expires \
       WHEN meters.units < CAST($5 AS BIGINT) OR meters.expires <= CAST($3 AS BIGINT) THEN excluded.expires \
       WHEN meters.expires - meters.started > CAST($6 AS BIGINT) THEN CAST($3 AS BIGINT) + 2 * CAST($6 AS BIGINT) \
       ELSE CAST($3 AS BIGINT) + 2 * (meters.expires - meters.started) END, \
     started = CASE WHEN meters.started + meters.expires <= 2 * CAST($3 AS BIGINT) THEN excluded.started \
       ELSE meters.started END \
     WHERE meters.started + meters.expires <= 2 * CAST($3 AS BIGINT) OR meters.units < CAST($5 AS BIGINT)";
const SPEND: &str = "INSERT INTO spent (name, tenant, expires) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
/// Also sent in several rows at once by the PostgreSQL side.
pub(crate) const ADD_TOKEN: &str = "INSERT INTO tokens (digest, tenant, client, grant_id, subject, issued, expires, detail) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
const REVOKE_TOKEN: &str = "DELETE FROM tokens WHERE digest = $1 AND tenant = $2";
const REVOKE_JWT: &str = "INSERT INTO revoked_jwts (jti, tenant, expires) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const ADD_GRANT: &str = "INSERT INTO grants (id, tenant, client, subject, active, created, expires, kept, detail, \
     refresh, refresh_expires, refresh_previous, rotated_at, session, version) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING";
// A dead grant never comes back: neither by a version read before it died, nor by `active` set again.
const UPDATE_GRANT: &str = "UPDATE grants SET active = $1, expires = $2, \
     kept = CASE WHEN kept < CAST($3 AS BIGINT) THEN CAST($3 AS BIGINT) ELSE kept END, detail = $4, refresh = $5, \
     refresh_expires = $6, refresh_previous = $7, rotated_at = $8, version = version + 1 \
     WHERE id = $9 AND tenant = $10 AND version = $11 AND active = 1";
const NEED_GRANT: &str = "UPDATE grants SET kept = CASE WHEN kept < CAST($1 AS BIGINT) THEN CAST($1 AS BIGINT) ELSE kept END \
     WHERE id = $2 AND tenant = $3 AND active = 1";
const REVOKE_GRANT: &str = "UPDATE grants SET active = 0, version = version + 1 \
     WHERE id = $1 AND tenant = $2 AND active = 1";
const REVOKE_GRANTS_OF: &str = "UPDATE grants SET active = 0, version = version + 1 \
     WHERE subject = $1 AND tenant = $2 AND active = 1";
const REVOKE_GRANTS_FOR: &str = "UPDATE grants SET active = 0, version = version + 1 \
     WHERE subject = $1 AND tenant = $2 AND client = $3 AND active = 1";
const REVOKE_GRANTS_OF_SESSION: &str = "UPDATE grants SET active = 0, version = version + 1 \
     WHERE session = $1 AND tenant = $2 AND active = 1";
const ADD_ENROLMENT: &str = "INSERT INTO enrolments (id, tenant, user_id, kind, enabled, validated, attributes, \
     lookup, payload, created, updated, attempted, version, managed) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, 0) ON CONFLICT DO NOTHING";
const UPDATE_ENROLMENT: &str = "UPDATE enrolments SET user_id = $1, kind = $2, enabled = $3, validated = $4, \
     attributes = $5, lookup = $6, payload = $7, updated = $8, attempted = $9, version = version + 1 \
     WHERE id = $10 AND tenant = $11 AND version = $12";
const REMOVE_ENROLMENT: &str = "DELETE FROM enrolments WHERE id = $1 AND tenant = $2";
const REHASH: &str = "UPDATE users SET password = $1, updated = $2, version = version + 1 WHERE id = $3 AND tenant = $4 AND password = $5";
const UPDATE_USER: &str = "UPDATE users SET source = $1, username = $2, folded = $3, active = $4, password = $5, \
     member_of = $6, attributes = $7, not_before = $8, updated = $9, version = version + 1 WHERE id = $10 AND tenant = $11";
const FORGET_ATTRIBUTES: &str = "DELETE FROM user_attributes WHERE user_id = $1 AND tenant = $2";
const ADD_ATTRIBUTE: &str = "INSERT INTO user_attributes (user_id, tenant, name, value) VALUES ($1, $2, $3, $4) \
     ON CONFLICT DO NOTHING";
const ENQUEUE: &str = "INSERT INTO outbox (id, tenant, channel, sealed, created, expires, due, tries) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT DO NOTHING";
const RECORD: &str = "INSERT INTO decisions (reference, tenant, grant_id, made, body) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT DO NOTHING";

/// Names of counters and spent things as they are kept.
pub(crate) fn name(text: String) -> String {
    if text.len() <= LONGEST_NAME && !text.as_bytes().contains(&0) {
        return text;
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let mut kept = String::with_capacity(8 + 64);
    kept.push_str("sha-256:");
    for byte in digest.as_ref() {
        kept.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        kept.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
    }
    kept
}

/// A login name as it is compared.
pub(crate) fn fold(username: &str) -> String {
    username.to_lowercase()
}

/// What goes into a text column from something that is always writable as JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<Value, StoreError> {
    serde_json::to_string(value)
        .map(Value::Text)
        .map_err(|source| StoreError::from("a record cannot be written as JSON", source))
}

/// The statements of a list of changes, in order. Spent names alone change places among themselves, into the order in
/// which everybody takes them: two transactions that spend the same two would otherwise wait for each other.
pub(crate) fn compile(tenant: &TenantId, changes: Vec<Change>) -> Result<Vec<Op>, StoreError> {
    let kept = Kept::of(&changes);
    let mut ops = Vec::with_capacity(changes.len() + 2);
    for (index, change) in changes.into_iter().enumerate() {
        compile_one(tenant, index, change, &kept, &mut ops)?;
    }
    order_spends(&mut ops);
    Ok(ops)
}

fn order_spends(ops: &mut [Op]) {
    let places: Vec<usize> = (0..ops.len()).filter(|&place| ops[place].sql == SPEND).collect();
    // Few at most: each place takes the least of what is left.
    for (rank, &place) in places.iter().enumerate() {
        let least = places[rank..].iter().copied().min_by(|&a, &b| ops[a].order().cmp(&ops[b].order()));
        if let Some(least) = least {
            ops.swap(place, least);
        }
    }
}

/// Until when each grant of a transaction must be remembered: as long as the longest token issued with it, for the
/// row of a dead grant is what says that its tokens are dead.
struct Kept(Vec<(GrantId, Seconds)>);

impl Kept {
    fn of(changes: &[Change]) -> Self {
        if !changes.iter().any(|change| matches!(change, Change::AddGrant(_) | Change::UpdateGrant(_))) {
            return Self(Vec::new());
        }
        Self(
            changes
                .iter()
                .filter_map(|change| match change {
                    Change::AddToken(_, token) => Some((token.grant.clone(), token.expires)),
                    Change::KeepGrant { grant, until } => Some((grant.clone(), *until)),
                    _ => None,
                })
                .collect(),
        )
    }

    fn until(&self, grant: &Grant) -> Seconds {
        let tokens = self.0.iter().filter(|(id, _)| *id == grant.id).map(|(_, expires)| *expires);
        tokens.fold(grant.expires.max(grant.refresh_expires), Seconds::max)
    }
}

fn compile_one(
    tenant: &TenantId,
    index: usize,
    change: Change,
    kept: &Kept,
    ops: &mut Vec<Op>,
) -> Result<(), StoreError> {
    let t = || Value::from(tenant.as_str());
    let op = match change {
        Change::BeginSignIn(row) => begin_sign_in(index, tenant, row),
        Change::AdvanceSignIn(row) => advance_sign_in(index, tenant, row),
        Change::AddChallenge(challenge) => add_challenge(index, tenant, challenge),
        Change::UpdateChallenge(challenge) => update_challenge(index, tenant, challenge),
        Change::CancelChallenges { sign_in, enrolment: None, at } => {
            Op::any(index, CANCEL_CHALLENGES, vec![at.into(), sign_in.0.into(), t()])
        }
        Change::CancelChallenges { sign_in, enrolment: Some(enrolment), at } => {
            Op::any(index, CANCEL_CHALLENGES_OF, vec![at.into(), sign_in.0.into(), t(), enrolment.0.into()])
        }
        Change::CancelChallenge { challenge, at } => {
            Op::any(index, CANCEL_CHALLENGE, vec![at.into(), challenge.0.into(), t()])
        }
        Change::Charge { key, limit, rest, max_rest, at } => {
            let max_rest = max_rest.clamp(0, LONGEST_REST);
            let rest = rest.clamp(0, max_rest);
            let first = if limit <= 1 { at.saturating_add(rest) } else { 0 };
            let forgotten = at.saturating_add(ATTEMPTS_KEPT).saturating_add(max_rest);
            Op::must(
                index,
                CHARGE,
                vec![
                    name(key).into(),
                    t(),
                    first.into(),
                    forgotten.into(),
                    at.into(),
                    limit.max(1).into(),
                    max_rest.into(),
                    rest.into(),
                ],
            )
        }
        Change::ClearAttempts { key } => Op::any(index, CLEAR_ATTEMPTS, vec![name(key).into(), t()]),
        Change::Meter { key, limit, window, at } => {
            let window = window.max(1);
            let started = at.saturating_sub(at.rem_euclid(window));
            let expires = started.saturating_add(window);
            Op::must(index, METER, vec![name(key).into(), t(), started.into(), expires.into(), limit.into()])
        }
        Change::Pace { key, limit, window, longest, at } => {
            let window = window.max(1);
            let longest = longest.max(window);
            Op::must(index, PACE, vec![name(key).into(), t(), at.into(), window.into(), limit.into(), longest.into()])
        }
        Change::Spend { key, expires } => Op::must(index, SPEND, vec![name(key).into(), t(), expires.into()]),
        Change::AddToken(digest, token) => add_token(index, tenant, digest, token)?,
        Change::RevokeToken(digest) => Op::any(index, REVOKE_TOKEN, vec![digest.into(), t()]),
        Change::RevokeJwt { jti, expires } => Op::any(index, REVOKE_JWT, vec![name(jti).into(), t(), expires.into()]),
        Change::AddGrant(grant) => return add_grant(index, tenant, grant, kept, ops),
        Change::UpdateGrant(grant) => return update_grant(index, tenant, grant, kept, ops),
        // Said to those that write the grant.
        Change::KeepGrant { .. } => return Ok(()),
        Change::NeedGrant { grant, until } => Op::must(index, NEED_GRANT, vec![until.into(), grant.0.into(), t()]),
        Change::RevokeGrant(id) => Op::any(index, REVOKE_GRANT, vec![id.0.into(), t()]),
        Change::RevokeGrantsOfSession(id) => Op::any(index, REVOKE_GRANTS_OF_SESSION, vec![id.into(), t()]),
        Change::RevokeGrantsOf(user) => Op::any(index, REVOKE_GRANTS_OF, vec![user.0.into(), t()]),
        Change::RevokeGrantsFor { user, client } => {
            Op::any(index, REVOKE_GRANTS_FOR, vec![user.0.into(), t(), client.0.into()])
        }
        Change::PutEnrolment(enrolment) => put_enrolment(index, tenant, enrolment)?,
        Change::RemoveEnrolment(id) => Op::must(index, REMOVE_ENROLMENT, vec![id.0.into(), t()]),
        Change::Rehash { user, from, to, at } => {
            Op::must(index, REHASH, vec![to.into(), at.into(), user.0.into(), t(), from.into()])
        }
        Change::PutUser(user) => return update_user(index, tenant, user, ops),
        Change::AddUser(user) => return people::add_user(index, tenant, &user, ops),
        Change::EditUser { user, version } => return people::edit_user(index, tenant, &user, version, ops),
        Change::RemoveUser { user, version } => {
            people::remove_user(index, tenant, &user, version, ops);
            return Ok(());
        }
        Change::DirectoryAt { version } => people::directory_at(index, version),
        Change::NeedUser { user, not_before } => people::need_user(index, tenant, &user, not_before),
        Change::AddGroup(row) => people::add_group(index, tenant, &row)?,
        Change::EditGroup(row) => people::edit_group(index, tenant, &row)?,
        Change::RemoveGroup { id, version } => return people::remove_group(index, tenant, &id, version, ops),
        Change::EmptyGroup(id) => return people::empty_group(index, tenant, &id, ops),
        Change::JoinGroup { group, user } => return people::join_group(index, tenant, &group, &user, ops),
        Change::LeaveGroup { group, user } => return people::leave_group(index, tenant, &group, &user, ops),
        Change::Audit(entry) => audit::add(index, tenant, entry),
        Change::PutItem(item) => item::put(index, tenant, item),
        Change::EditItem { kind, name, body, version } => item::edit(index, tenant, kind, name, body, version),
        Change::TakeItem { kind, name, version } => item::take(index, tenant, kind, name, version),
        Change::NeedItemLinked { kind, link } => item::need_linked(index, tenant, kind, link),
        Change::NeedItem { kind, name, version } => item::need(index, tenant, kind, name, version),
        Change::DropItemsOf { kind, owner } => item::drop_owned(index, tenant, kind, owner),
        Change::DropItemsLinked { kind, link } => item::drop_linked(index, tenant, kind, link),
        Change::Enqueue(mail) => enqueue(index, tenant, mail),
        Change::Record { reference, grant, at, body } => {
            Op::must(index, RECORD, vec![reference.into(), t(), grant.map(|id| id.0).into(), at.into(), body.into()])
        }
    };
    ops.push(op);
    Ok(())
}

fn begin_sign_in(index: usize, tenant: &TenantId, row: SignInRow) -> Op {
    Op::must(
        index,
        BEGIN_SIGN_IN,
        vec![
            row.id.0.into(),
            tenant.as_str().into(),
            row.client.0.into(),
            row.handle.into(),
            row.version.into(),
            row.expires.into(),
            row.body.into(),
        ],
    )
}

fn advance_sign_in(index: usize, tenant: &TenantId, row: SignInRow) -> Op {
    Op::must(
        index,
        ADVANCE_SIGN_IN,
        vec![
            row.client.0.into(),
            row.handle.into(),
            row.expires.into(),
            row.body.into(),
            row.id.0.into(),
            tenant.as_str().into(),
            row.version.into(),
        ],
    )
    .may_raise()
}

fn add_challenge(index: usize, tenant: &TenantId, c: Challenge) -> Op {
    Op::must(
        index,
        ADD_CHALLENGE,
        vec![
            c.id.0.into(),
            tenant.as_str().into(),
            c.sign_in.map(|id| id.0).into(),
            c.user.map(|id| id.0).into(),
            c.enrolment.map(|id| id.0).into(),
            c.kind.into(),
            c.state.into(),
            c.attempts.into(),
            c.max_attempts.into(),
            c.created.into(),
            c.updated.into(),
            c.expires.into(),
            c.shown.into(),
            c.secret.into(),
            c.version.into(),
        ],
    )
}

fn update_challenge(index: usize, tenant: &TenantId, c: Challenge) -> Op {
    Op::must(
        index,
        UPDATE_CHALLENGE,
        vec![
            c.sign_in.map(|id| id.0).into(),
            c.user.map(|id| id.0).into(),
            c.enrolment.map(|id| id.0).into(),
            c.kind.into(),
            c.state.into(),
            c.attempts.into(),
            c.max_attempts.into(),
            c.updated.into(),
            c.expires.into(),
            c.shown.into(),
            c.secret.into(),
            c.id.0.into(),
            tenant.as_str().into(),
            c.version.into(),
        ],
    )
}

fn add_token(index: usize, tenant: &TenantId, digest: Digest, token: Token) -> Result<Op, StoreError> {
    Ok(Op::must(
        index,
        ADD_TOKEN,
        vec![
            digest.into(),
            tenant.as_str().into(),
            token.client.0.into(),
            token.grant.0.into(),
            token.subject.map(|id| id.0).into(),
            token.issued.into(),
            token.expires.into(),
            json(&token.detail)?,
        ],
    ))
}

fn add_grant(index: usize, tenant: &TenantId, grant: Grant, kept: &Kept, ops: &mut Vec<Op>) -> Result<(), StoreError> {
    let until = kept.until(&grant);
    ops.push(Op::must(
        index,
        ADD_GRANT,
        vec![
            grant.id.0.into(),
            tenant.as_str().into(),
            grant.client.0.into(),
            grant.subject.map(|id| id.0).into(),
            grant.active.into(),
            grant.created.into(),
            grant.expires.into(),
            until.into(),
            json(&grant.detail)?,
            grant.refresh.into(),
            grant.refresh_expires.into(),
            grant.refresh_previous.into(),
            grant.rotated_at.into(),
            grant.session.into(),
            grant.version.into(),
        ],
    ));
    Ok(())
}

fn update_grant(
    index: usize,
    tenant: &TenantId,
    grant: Grant,
    kept: &Kept,
    ops: &mut Vec<Op>,
) -> Result<(), StoreError> {
    let until = kept.until(&grant);
    ops.push(Op::must(
        index,
        UPDATE_GRANT,
        vec![
            grant.active.into(),
            grant.expires.into(),
            until.into(),
            json(&grant.detail)?,
            grant.refresh.into(),
            grant.refresh_expires.into(),
            grant.refresh_previous.into(),
            grant.rotated_at.into(),
            grant.id.0.into(),
            tenant.as_str().into(),
            grant.version.into(),
        ],
    ));
    Ok(())
}

fn put_enrolment(index: usize, tenant: &TenantId, e: Enrolment) -> Result<Op, StoreError> {
    let attributes = json(&e.attributes)?;
    if e.version == 0 {
        return Ok(Op::must(
            index,
            ADD_ENROLMENT,
            vec![
                e.id.0.into(),
                tenant.as_str().into(),
                e.user.0.into(),
                e.kind.into(),
                e.enabled.into(),
                e.validated.into(),
                attributes,
                e.lookup.into(),
                e.payload.into(),
                e.created.into(),
                e.updated.into(),
                e.attempted.into(),
            ],
        ));
    }
    Ok(Op::must(
        index,
        UPDATE_ENROLMENT,
        vec![
            e.user.0.into(),
            e.kind.into(),
            e.enabled.into(),
            e.validated.into(),
            attributes,
            e.lookup.into(),
            e.payload.into(),
            e.updated.into(),
            e.attempted.into(),
            e.id.0.into(),
            tenant.as_str().into(),
            e.version.into(),
        ],
    )
    .may_raise())
}

fn update_user(index: usize, tenant: &TenantId, user: User, ops: &mut Vec<Op>) -> Result<(), StoreError> {
    ops.push(
        Op::must(
            index,
            UPDATE_USER,
            vec![
                user.source.as_str().into(),
                user.username.as_str().into(),
                fold(&user.username).into(),
                user.active.into(),
                user.password.as_deref().into(),
                json(&user.groups)?,
                json(&user.attributes)?,
                user.not_before.into(),
                user.updated.into(),
                user.id.as_str().into(),
                tenant.as_str().into(),
            ],
        )
        .may_raise(),
    );
    index_attributes(index, tenant, &user, ops);
    people::index_groups(index, tenant, &user, ops);
    Ok(())
}

/// The attributes of a person as rows to search by.
pub(crate) fn index_attributes(index: usize, tenant: &TenantId, user: &User, ops: &mut Vec<Op>) {
    ops.push(Op::any(index, FORGET_ATTRIBUTES, vec![user.id.as_str().into(), tenant.as_str().into()]));
    for (attribute, values) in &user.attributes {
        for value in values.iter().filter(|value| value.len() <= LONGEST_SEARCHED) {
            let row =
                vec![user.id.as_str().into(), tenant.as_str().into(), attribute.as_str().into(), value.as_str().into()];
            ops.push(Op::any(index, ADD_ATTRIBUTE, row));
        }
    }
}

fn enqueue(index: usize, tenant: &TenantId, mail: Mail) -> Op {
    Op::must(
        index,
        ENQUEUE,
        vec![
            mail.id.into(),
            tenant.as_str().into(),
            mail.channel.into(),
            mail.sealed.into(),
            mail.created.into(),
            mail.expires.into(),
            mail.created.into(),
        ],
    )
}
