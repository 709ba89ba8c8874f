-- One schema for SQLite and PostgreSQL: BIGINT for numbers, times and yes/no, TEXT for words and JSON, BYTEA for bytes
-- (SQLite keeps bytes given to such a column as they are). Every key names the tenant; where the other part is random
-- it comes first, so that a comparison is decided at once.

CREATE TABLE directory_state (
    id BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
INSERT INTO directory_state (id, version) VALUES (1, 0);

CREATE TABLE tenants (
    id TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL
);

CREATE TABLE sources (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE user_groups (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE clients (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE relying_parties (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE signing_keys (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE policies (
    tenant TEXT NOT NULL,
    id BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    is_primary BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (tenant, id, revision)
);

CREATE TABLE users (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    username TEXT NOT NULL,
    folded TEXT NOT NULL,
    active BIGINT NOT NULL,
    password TEXT,
    member_of TEXT NOT NULL,
    attributes TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    managed BIGINT NOT NULL,
    PRIMARY KEY (id, tenant)
);
CREATE UNIQUE INDEX users_by_login ON users (folded, source, tenant);
CREATE INDEX users_managed ON users (tenant, id) WHERE managed = 1;

CREATE TABLE user_attributes (
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (user_id, tenant, name, value)
);
CREATE INDEX user_attributes_by_value ON user_attributes (value, name, tenant);

CREATE TABLE enrolments (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    validated BIGINT NOT NULL,
    attributes TEXT NOT NULL,
    lookup TEXT,
    payload BYTEA NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    attempted BIGINT,
    version BIGINT NOT NULL,
    managed BIGINT NOT NULL,
    PRIMARY KEY (id, tenant)
);
CREATE INDEX enrolments_by_user ON enrolments (user_id, tenant);
CREATE UNIQUE INDEX enrolments_by_lookup ON enrolments (lookup, kind, tenant);
CREATE INDEX enrolments_managed ON enrolments (tenant, id) WHERE managed = 1;

CREATE TABLE sign_ins (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    client TEXT NOT NULL,
    handle BYTEA NOT NULL,
    version BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
);
CREATE UNIQUE INDEX sign_ins_by_handle ON sign_ins (handle, tenant);
CREATE INDEX sign_ins_expire ON sign_ins (expires);

CREATE TABLE challenges (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    sign_in TEXT,
    user_id TEXT,
    enrolment TEXT,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    shown TEXT NOT NULL,
    secret BYTEA NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (id, tenant)
);
CREATE INDEX challenges_by_sign_in ON challenges (sign_in, tenant);
CREATE INDEX challenges_expire ON challenges (expires);

CREATE TABLE attempts (
    name TEXT NOT NULL,
    tenant TEXT NOT NULL,
    failures BIGINT NOT NULL,
    rests_until BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (name, tenant)
);
CREATE INDEX attempts_expire ON attempts (expires);

CREATE TABLE meters (
    name TEXT NOT NULL,
    tenant TEXT NOT NULL,
    started BIGINT NOT NULL,
    units BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (name, tenant)
);
CREATE INDEX meters_expire ON meters (expires);

CREATE TABLE spent (
    name TEXT NOT NULL,
    tenant TEXT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (name, tenant)
);
CREATE INDEX spent_expire ON spent (expires);

CREATE TABLE grants (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    client TEXT NOT NULL,
    subject TEXT,
    active BIGINT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    kept BIGINT NOT NULL,
    detail TEXT NOT NULL,
    refresh BYTEA,
    refresh_expires BIGINT NOT NULL,
    refresh_previous BYTEA,
    rotated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (id, tenant)
);
CREATE INDEX grants_by_subject ON grants (subject, tenant) WHERE subject IS NOT NULL;
CREATE INDEX grants_expire ON grants (kept);

CREATE TABLE tokens (
    digest BYTEA NOT NULL,
    tenant TEXT NOT NULL,
    client TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    subject TEXT,
    issued BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (digest, tenant)
);
CREATE INDEX tokens_by_subject ON tokens (subject, tenant) WHERE subject IS NOT NULL;
CREATE INDEX tokens_expire ON tokens (expires);

CREATE TABLE revoked_jwts (
    jti TEXT NOT NULL,
    tenant TEXT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (jti, tenant)
);
CREATE INDEX revoked_jwts_expire ON revoked_jwts (expires);

CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    channel TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    due BIGINT NOT NULL,
    tries BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (due);
CREATE INDEX outbox_expire ON outbox (expires);

CREATE TABLE decisions (
    reference TEXT NOT NULL,
    tenant TEXT NOT NULL,
    grant_id TEXT,
    made BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (reference, tenant)
);
CREATE INDEX decisions_by_grant ON decisions (grant_id, tenant) WHERE grant_id IS NOT NULL;
CREATE INDEX decisions_made ON decisions (made);
