//! What may be read of one tenant, each as one query. Knows no rule: an expired row is still answered while it is
//! there, the caller compares with its own clock.

use protocol::records::{
    ChallengeId, ClientId, Digest, Enrolment, EnrolmentId, Grant, GrantId, Seconds, SourceId, TenantId, Token, User,
    UserId,
};

use crate::Store;
use crate::change::{Attempts, Challenge, DecisionRow, SignInRow};
use crate::error::StoreError;
use crate::value::Row;
use crate::write::{fold, name};

const SIGN_IN: &str = "SELECT id, client, handle, version, expires, body FROM sign_ins WHERE id = $1 AND tenant = $2";
const SIGN_IN_BY_HANDLE: &str =
    "SELECT id, client, handle, version, expires, body FROM sign_ins WHERE handle = $1 AND tenant = $2";
const CHALLENGE: &str = "SELECT id, sign_in, user_id, enrolment, kind, state, attempts, max_attempts, created, \
     updated, expires, shown, secret, version FROM challenges WHERE id = $1 AND tenant = $2";
const ATTEMPTS: &str = "SELECT failures, rests_until FROM attempts WHERE name = $1 AND tenant = $2";
const SPENT: &str = "SELECT 1 FROM spent WHERE name = $1 AND tenant = $2";
// A token of a person is dead with the person: absent, inactive, or all tokens cut off since. One of a grant is dead
// with the grant; one that never had a grant's row (a client's own) stands alone.
const TOKEN: &str = "SELECT t.client, t.grant_id, t.subject, t.issued, t.expires, t.detail, g.active \
     FROM tokens t \
     LEFT JOIN grants g ON g.id = t.grant_id AND g.tenant = t.tenant \
     LEFT JOIN users u ON u.id = t.subject AND u.tenant = t.tenant \
     WHERE t.digest = $1 AND t.tenant = $2 AND (g.active IS NULL OR g.active = 1) \
     AND (t.subject IS NULL OR (u.active = 1 AND u.not_before <= t.issued))";
const JWT_REVOKED: &str = "SELECT 1 FROM revoked_jwts WHERE jti = $1 AND tenant = $2 \
     UNION ALL SELECT 1 FROM grants g LEFT JOIN users u ON u.id = g.subject AND u.tenant = g.tenant \
     WHERE g.id = $3 AND g.tenant = $2 \
     AND (g.active = 0 OR (g.subject IS NOT NULL AND (u.active IS NULL OR u.active = 0 OR u.not_before > $4)))";
const GRANT: &str = "SELECT g.id, g.client, g.subject, g.active, g.created, g.expires, g.detail, g.refresh, \
     g.refresh_expires, g.refresh_previous, g.rotated_at, g.session, g.version \
     FROM grants g WHERE g.id = $1 AND g.tenant = $2";
const GRANT_AND_PERSON: &str = "SELECT g.id, g.client, g.subject, g.active, g.created, g.expires, g.detail, g.refresh, \
     g.refresh_expires, g.refresh_previous, g.rotated_at, g.session, g.version, \
     u.id, u.source, u.username, u.active, u.password, u.member_of, u.attributes, u.not_before, u.created, u.updated \
     FROM grants g LEFT JOIN users u ON u.id = g.subject AND u.tenant = g.tenant WHERE g.id = $1 AND g.tenant = $2";
const LIVING_GRANTS: &str = "SELECT g.id, g.client, g.subject, g.active, g.created, g.expires, g.detail, g.refresh, \
     g.refresh_expires, g.refresh_previous, g.rotated_at, g.session, g.version \
     FROM grants g WHERE g.subject = $1 AND g.tenant = $2 AND g.client = $3 AND g.active = 1 AND g.id > $4 \
     ORDER BY g.id LIMIT $5";
const NEWEST_GRANTS_OF_USER: &str = "SELECT g.id, g.client, g.subject, g.active, g.created, g.expires, g.detail, g.refresh, \
     g.refresh_expires, g.refresh_previous, g.rotated_at, g.session, g.version \
     FROM grants g WHERE g.subject = $1 AND g.tenant = $2 ORDER BY g.created DESC, g.id DESC LIMIT $3";
const USER: &str = "SELECT u.id, u.source, u.username, u.active, u.password, u.member_of, u.attributes, \
     u.not_before, u.created, u.updated FROM users u WHERE u.id = $1 AND u.tenant = $2";
const USER_BY_LOGIN: &str = "SELECT u.id, u.source, u.username, u.active, u.password, u.member_of, u.attributes, \
     u.not_before, u.created, u.updated FROM users u WHERE u.folded = $1 AND u.source = $2 AND u.tenant = $3";
const USERS_BY_ATTRIBUTE: &str = "SELECT u.id, u.source, u.username, u.active, u.password, u.member_of, \
     u.attributes, u.not_before, u.created, u.updated \
     FROM user_attributes a JOIN users u ON u.id = a.user_id AND u.tenant = a.tenant \
     WHERE a.value = $1 AND a.name = $2 AND a.tenant = $3 ORDER BY u.id LIMIT $4";
const MANAGED_USERS: &str = "SELECT u.id, u.source, u.username, u.active, u.password, u.member_of, u.attributes, \
     u.not_before, u.created, u.updated FROM users u WHERE u.tenant = $1 AND u.managed = 1 ORDER BY u.id";
const ENROLMENTS: &str = "SELECT id, user_id, kind, enabled, validated, attributes, lookup, payload, created, \
     updated, attempted, version FROM enrolments WHERE user_id = $1 AND tenant = $2 ORDER BY created, id";
const ENROLMENT: &str = "SELECT id, user_id, kind, enabled, validated, attributes, lookup, payload, created, \
     updated, attempted, version FROM enrolments WHERE id = $1 AND tenant = $2";
const ENROLMENT_BY_LOOKUP: &str = "SELECT id, user_id, kind, enabled, validated, attributes, lookup, payload, \
     created, updated, attempted, version FROM enrolments WHERE lookup = $1 AND kind = $2 AND tenant = $3";
const MANAGED_ENROLMENTS: &str = "SELECT id, user_id, kind, enabled, validated, attributes, lookup, payload, \
     created, updated, attempted, version FROM enrolments WHERE tenant = $1 AND managed = 1 ORDER BY id";
const RECORD: &str = "SELECT reference, grant_id, made, body FROM decisions WHERE reference = $1 AND tenant = $2";
const RECORDS_OF_GRANT: &str = "SELECT reference, grant_id, made, body FROM decisions WHERE grant_id = $1 AND tenant = $2 \
     ORDER BY made, reference";

impl Store {
    /// The sign-in of this `grant_id`.
    pub async fn sign_in(&self, tenant: &TenantId, id: &GrantId) -> Result<Option<SignInRow>, StoreError> {
        self.first(SIGN_IN, &[id.as_str().into(), tenant.as_str().into()], sign_in).await
    }

    /// The sign-in a handle may continue.
    pub async fn sign_in_by_handle(&self, tenant: &TenantId, handle: &Digest) -> Result<Option<SignInRow>, StoreError> {
        self.first(SIGN_IN_BY_HANDLE, &[handle.into(), tenant.as_str().into()], sign_in).await
    }

    /// A challenge in flight.
    pub async fn challenge(&self, tenant: &TenantId, id: &ChallengeId) -> Result<Option<Challenge>, StoreError> {
        self.first(CHALLENGE, &[id.as_str().into(), tenant.as_str().into()], challenge).await
    }

    /// A counter of wrong answers; all zero where nothing was counted.
    pub async fn attempts(&self, tenant: &TenantId, key: &str) -> Result<Attempts, StoreError> {
        let kept = name(key.to_owned());
        let found = self
            .first(ATTEMPTS, &[kept.as_str().into(), tenant.as_str().into()], |row| {
                Ok(Attempts { failures: row.int(0)?, rests_until: row.int(1)? })
            })
            .await?;
        Ok(found.unwrap_or_default())
    }

    /// Whether something single-use was spent.
    pub async fn spent(&self, tenant: &TenantId, key: &str) -> Result<bool, StoreError> {
        let kept = name(key.to_owned());
        let found = self.first(SPENT, &[kept.as_str().into(), tenant.as_str().into()], |_| Ok(())).await?;
        Ok(found.is_some())
    }

    /// An opaque access token that is not dead, and whether it belongs to a living grant (false: it has none).
    ///
    /// Absent when revoked, when its grant is, or when its person is gone, inactive or cut off since it was issued.
    /// Whether it has expired is the caller's to compare.
    pub async fn token(&self, tenant: &TenantId, digest: &Digest) -> Result<Option<(Token, bool)>, StoreError> {
        self.first(TOKEN, &[digest.into(), tenant.as_str().into()], |row| {
            let token = Token {
                client: ClientId(row.text(0)?),
                grant: GrantId(row.text(1)?),
                subject: row.opt_text(2)?.map(UserId),
                issued: row.int(3)?,
                expires: row.int(4)?,
                detail: row.json(5)?,
            };
            Ok((token, row.opt_int(6)? == Some(1)))
        })
        .await
    }

    /// Whether a JWT access token is dead before its time: by its `jti`, with its grant, or with its person
    /// (`issued` is its `iat`).
    pub async fn jwt_revoked(
        &self,
        tenant: &TenantId,
        jti: &str,
        grant: &GrantId,
        issued: Seconds,
    ) -> Result<bool, StoreError> {
        let kept = name(jti.to_owned());
        let params = [kept.as_str().into(), tenant.as_str().into(), grant.as_str().into(), issued.into()];
        Ok(self.first(JWT_REVOKED, &params, |_| Ok(())).await?.is_some())
    }

    /// A grant, living or dead.
    pub async fn grant(&self, tenant: &TenantId, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        self.first(GRANT, &[id.as_str().into(), tenant.as_str().into()], |row| grant(row, tenant)).await
    }

    /// A grant, living or dead, and the person who gave it where there is one: in one look, for what happens all the time.
    pub async fn grant_and_person(
        &self,
        tenant: &TenantId,
        id: &GrantId,
    ) -> Result<Option<(Grant, Option<User>)>, StoreError> {
        let params = [id.as_str().into(), tenant.as_str().into()];
        let read = |row: &Row<'_>| {
            let person = row.opt_text(OF_A_GRANT)?.map(|_| user_at(row, OF_A_GRANT)).transpose()?;
            Ok((grant(row, tenant)?, person))
        };
        self.first(GRANT_AND_PERSON, &params, read).await
    }

    /// Living grants that a person gave a client, those behind the id `after`, in the order of their ids.
    pub async fn living_grants(
        &self,
        tenant: &TenantId,
        user: &UserId,
        client: &ClientId,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Grant>, StoreError> {
        let params = [user.as_str().into(), tenant.as_str().into(), client.as_str().into(), after.into(), limit.into()];
        self.all(LIVING_GRANTS, &params, |row| grant(row, tenant)).await
    }

    /// The newest grants of a person, living or dead, newest first.
    pub async fn newest_grants_of_user(
        &self,
        tenant: &TenantId,
        user: &UserId,
        limit: i64,
    ) -> Result<Vec<Grant>, StoreError> {
        let params = [user.as_str().into(), tenant.as_str().into(), limit.into()];
        self.all(NEWEST_GRANTS_OF_USER, &params, |row| grant(row, tenant)).await
    }

    /// A person.
    pub async fn user(&self, tenant: &TenantId, id: &UserId) -> Result<Option<User>, StoreError> {
        self.first(USER, &[id.as_str().into(), tenant.as_str().into()], user).await
    }

    /// The person of this login name in a source, in whatever case it is written.
    pub async fn user_by_login(
        &self,
        tenant: &TenantId,
        source: &SourceId,
        username: &str,
    ) -> Result<Option<User>, StoreError> {
        let folded = fold(username);
        self.first(USER_BY_LOGIN, &[folded.as_str().into(), source.as_str().into(), tenant.as_str().into()], user).await
    }

    /// People with this exact attribute value (of at most 256 bytes), by id, at most `limit`.
    pub async fn users_by_attribute(
        &self,
        tenant: &TenantId,
        attribute: &str,
        value: &str,
        limit: i64,
    ) -> Result<Vec<User>, StoreError> {
        let params = [value.into(), attribute.into(), tenant.as_str().into(), limit.into()];
        self.all(USERS_BY_ATTRIBUTE, &params, user).await
    }

    /// People made by the tenant file.
    pub async fn managed_users(&self, tenant: &TenantId) -> Result<Vec<User>, StoreError> {
        self.all(MANAGED_USERS, &[tenant.as_str().into()], user).await
    }

    /// The enrolments of a person, oldest first.
    pub async fn enrolments(&self, tenant: &TenantId, user: &UserId) -> Result<Vec<Enrolment>, StoreError> {
        self.all(ENROLMENTS, &[user.as_str().into(), tenant.as_str().into()], enrolment).await
    }

    /// An enrolment.
    pub async fn enrolment(&self, tenant: &TenantId, id: &EnrolmentId) -> Result<Option<Enrolment>, StoreError> {
        self.first(ENROLMENT, &[id.as_str().into(), tenant.as_str().into()], enrolment).await
    }

    /// The enrolment of a kind that has this lookup key (a WebAuthn credential id).
    pub async fn enrolment_by_lookup(
        &self,
        tenant: &TenantId,
        kind: &str,
        lookup: &str,
    ) -> Result<Option<Enrolment>, StoreError> {
        self.first(ENROLMENT_BY_LOOKUP, &[lookup.into(), kind.into(), tenant.as_str().into()], enrolment).await
    }

    /// Enrolments made by the tenant file.
    pub async fn managed_enrolments(&self, tenant: &TenantId) -> Result<Vec<Enrolment>, StoreError> {
        self.all(MANAGED_ENROLMENTS, &[tenant.as_str().into()], enrolment).await
    }

    /// A decision by its public reference.
    pub async fn record(&self, tenant: &TenantId, reference: &str) -> Result<Option<DecisionRow>, StoreError> {
        self.first(RECORD, &[reference.into(), tenant.as_str().into()], decision).await
    }

    /// The decisions of a grant, oldest first.
    pub async fn records_of_grant(&self, tenant: &TenantId, id: &GrantId) -> Result<Vec<DecisionRow>, StoreError> {
        self.all(RECORDS_OF_GRANT, &[id.as_str().into(), tenant.as_str().into()], decision).await
    }
}

fn sign_in(row: &Row<'_>) -> Result<SignInRow, StoreError> {
    Ok(SignInRow {
        id: GrantId(row.text(0)?),
        client: ClientId(row.text(1)?),
        handle: row.digest(2)?,
        version: row.int(3)?,
        expires: row.int(4)?,
        body: row.text(5)?,
    })
}

fn challenge(row: &Row<'_>) -> Result<Challenge, StoreError> {
    Ok(Challenge {
        id: ChallengeId(row.text(0)?),
        sign_in: row.opt_text(1)?.map(GrantId),
        user: row.opt_text(2)?.map(UserId),
        enrolment: row.opt_text(3)?.map(EnrolmentId),
        kind: row.text(4)?,
        state: row.text(5)?,
        attempts: row.int(6)?,
        max_attempts: row.int(7)?,
        created: row.int(8)?,
        updated: row.int(9)?,
        expires: row.int(10)?,
        shown: row.text(11)?,
        secret: row.blob(12)?,
        version: row.int(13)?,
    })
}

fn grant(row: &Row<'_>, tenant: &TenantId) -> Result<Grant, StoreError> {
    Ok(Grant {
        id: GrantId(row.text(0)?),
        tenant: tenant.clone(),
        client: ClientId(row.text(1)?),
        subject: row.opt_text(2)?.map(UserId),
        active: row.yes(3)?,
        created: row.int(4)?,
        expires: row.int(5)?,
        detail: row.json(6)?,
        refresh: row.opt_digest(7)?,
        refresh_expires: row.int(8)?,
        refresh_previous: row.opt_digest(9)?,
        rotated_at: row.int(10)?,
        session: row.opt_text(11)?,
        version: row.int(12)?,
    })
}

/// Columns of a grant: what is joined to it begins behind them.
const OF_A_GRANT: usize = 13;

pub(crate) fn user(row: &Row<'_>) -> Result<User, StoreError> {
    user_at(row, 0)
}

fn user_at(row: &Row<'_>, first: usize) -> Result<User, StoreError> {
    Ok(User {
        id: UserId(row.text(first)?),
        source: SourceId(row.text(first + 1)?),
        username: row.text(first + 2)?,
        active: row.yes(first + 3)?,
        password: row.opt_text(first + 4)?,
        groups: row.json(first + 5)?,
        attributes: row.json(first + 6)?,
        not_before: row.int(first + 7)?,
        created: row.int(first + 8)?,
        updated: row.int(first + 9)?,
    })
}

fn enrolment(row: &Row<'_>) -> Result<Enrolment, StoreError> {
    Ok(Enrolment {
        id: EnrolmentId(row.text(0)?),
        user: UserId(row.text(1)?),
        kind: row.text(2)?,
        enabled: row.yes(3)?,
        validated: row.yes(4)?,
        attributes: row.json(5)?,
        lookup: row.opt_text(6)?,
        payload: row.blob(7)?,
        created: row.int(8)?,
        updated: row.int(9)?,
        attempted: row.opt_int(10)?,
        version: row.int(11)?,
    })
}

fn decision(row: &Row<'_>) -> Result<DecisionRow, StoreError> {
    Ok(DecisionRow {
        reference: row.text(0)?,
        grant: row.opt_text(1)?.map(GrantId),
        at: row.int(2)?,
        body: row.text(3)?,
    })
}
