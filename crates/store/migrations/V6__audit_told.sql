-- How far the trail was told to each webhook. `seal` and `entry` say where it goes on: under that seal, after that entry. `due` is
-- when it may be told more: later than now while somebody tells it, or after a failure.
CREATE TABLE audit_cursors (
    tenant TEXT NOT NULL,
    webhook TEXT NOT NULL,
    seal BIGINT NOT NULL,
    entry TEXT NOT NULL,
    due BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, webhook)
);

-- Where a trail begins whose oldest part was removed: the last seal that went, and how many entries went in all.
CREATE TABLE audit_anchors (
    tenant TEXT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    entries BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    mac BYTEA NOT NULL
);
