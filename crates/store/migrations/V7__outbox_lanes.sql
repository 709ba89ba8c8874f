-- Each kind of message is worked off by itself: one that waits for its receiver keeps none of another kind waiting.
CREATE INDEX outbox_lane ON outbox (channel, due);
DROP INDEX outbox_due;
