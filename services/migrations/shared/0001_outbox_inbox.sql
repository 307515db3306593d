-- What every service has that changes a store and publishes events about it.

-- The last position given out, for each kind.
CREATE TABLE counters (
    name       TEXT   PRIMARY KEY,
    last_taken BIGINT NOT NULL
);
INSERT INTO counters (name, last_taken) VALUES ('outbox', 0), ('inbox', 0), ('ledger', 0);

-- Events to be published, written in the transaction that changes what they tell of.
CREATE TABLE outbox (
    position BIGINT PRIMARY KEY,
    event_id TEXT   NOT NULL,
    topic    TEXT   NOT NULL,
    key      TEXT   NOT NULL,
    payload  TEXT   NOT NULL,
    headers  TEXT   NOT NULL,
    at_us    BIGINT NOT NULL
);

-- How far the outbox has been published, and which instance does it.
CREATE TABLE outbox_relay (
    id             BIGINT PRIMARY KEY CHECK (id = 1),
    sent_position  BIGINT NOT NULL,
    holder         TEXT   NOT NULL,
    lease_until_us BIGINT NOT NULL
);
INSERT INTO outbox_relay (id, sent_position, holder, lease_until_us) VALUES (1, 0, '', 0);

-- Events that were handled, written in the transaction that holds their effects: none has them twice.
CREATE TABLE inbox (
    event_id TEXT   PRIMARY KEY,
    position BIGINT NOT NULL,
    topic    TEXT   NOT NULL,
    at_us    BIGINT NOT NULL
);
CREATE INDEX inbox_position ON inbox (position);

-- Events that went to the retry topic and have not come back: later events of their keys follow them there.
CREATE TABLE held_events (
    event_id TEXT PRIMARY KEY,
    key      TEXT NOT NULL
);
