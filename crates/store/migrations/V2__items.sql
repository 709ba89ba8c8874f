-- Documents of other modules: browser sessions, codes, consents, and whatever comes later without a table of its own. The store
-- looks at nothing but the columns here. What is joined or written thousands of times a second has its own table instead.
CREATE TABLE items (
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    tenant TEXT NOT NULL,
    owner TEXT,
    link TEXT,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    body TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (name, kind, tenant)
);
CREATE INDEX items_by_owner ON items (owner, kind, tenant) WHERE owner IS NOT NULL;
CREATE INDEX items_by_link ON items (link, kind, tenant) WHERE link IS NOT NULL;
CREATE INDEX items_expire ON items (expires);
