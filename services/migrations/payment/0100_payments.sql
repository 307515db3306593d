-- What the provider said, in the order in which it was recorded. Nothing here keeps an order from being paid twice: that is
-- the work of the inbox and of the idempotency key, and the provider's ledger is the truth about it.
CREATE TABLE payments (
    position    BIGINT PRIMARY KEY,
    order_id    TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,
    amount      BIGINT NOT NULL,
    outcome     TEXT   NOT NULL CHECK (outcome IN ('captured', 'declined', 'timed_out', 'refunded')),
    -- Of the provider; empty where there is none.
    provider_id TEXT   NOT NULL,
    event_id    TEXT   NOT NULL,
    at_us       BIGINT NOT NULL
);
CREATE INDEX payments_order ON payments (order_id);
