-- Orders as they were accepted; they never change.
CREATE TABLE orders (
    order_id        TEXT   PRIMARY KEY,
    user_id         TEXT   NOT NULL,
    items           TEXT   NOT NULL,
    total           BIGINT NOT NULL,
    created_at_us   BIGINT NOT NULL,
    -- Of the client, where it sent one: the same again is the same order.
    idempotency_key TEXT   UNIQUE
);

-- Where each order is; its version rises by one with every step.
CREATE TABLE order_status (
    order_id      TEXT   PRIMARY KEY,
    status        TEXT   NOT NULL,
    version       BIGINT NOT NULL,
    updated_at_us BIGINT NOT NULL
);

-- The audit trail: every step of every order.
CREATE TABLE order_events (
    position BIGINT PRIMARY KEY,
    order_id TEXT   NOT NULL,
    version  BIGINT NOT NULL,
    status   TEXT   NOT NULL,
    -- The topic of the event that led there, and its id.
    event    TEXT   NOT NULL,
    event_id TEXT   NOT NULL,
    at_us    BIGINT NOT NULL
);
CREATE INDEX order_events_order ON order_events (order_id);
