-- People and groups have versions, what a conditional write compares; and who is in a group can be asked.
ALTER TABLE users ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
CREATE INDEX users_by_tenant ON users (tenant, id);

ALTER TABLE user_groups ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE user_groups ADD COLUMN detail TEXT NOT NULL DEFAULT '{}';
ALTER TABLE user_groups ADD COLUMN created BIGINT NOT NULL DEFAULT 0;
ALTER TABLE user_groups ADD COLUMN updated BIGINT NOT NULL DEFAULT 0;

-- What users.member_of says, to be searched by.
CREATE TABLE memberships (
    group_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (group_id, tenant, user_id)
);
CREATE INDEX memberships_by_user ON memberships (user_id, tenant);
INSERT INTO memberships (group_id, tenant, user_id)
    SELECT g.id, g.tenant, u.id FROM user_groups g JOIN users u ON u.tenant = g.tenant
    WHERE REPLACE(u.member_of, '"' || g.id || '"', '') <> u.member_of;
