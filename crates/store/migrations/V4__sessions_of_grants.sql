-- The browser session a grant ends with: one index entry, where a document of its own cost five.
ALTER TABLE grants ADD COLUMN session TEXT;
CREATE INDEX grants_by_session ON grants (session, tenant) WHERE session IS NOT NULL;
