-- Who did what, from where, and what came of it. Rows are only ever added; seals chain them afterwards, so that nobody waits for
-- anybody when one is written. `seal` is 0 until then.
CREATE TABLE audit (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    seal BIGINT NOT NULL,
    PRIMARY KEY (id, tenant)
);
CREATE INDEX audit_by_seal ON audit (tenant, seal, id);

CREATE TABLE audit_seals (
    tenant TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    entries BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (tenant, number)
);
