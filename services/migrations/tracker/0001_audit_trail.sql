-- The audit trail: every order event, in the order in which it was processed.
CREATE TABLE audit_trail (
    position    BIGINT PRIMARY KEY,
    "partition" BIGINT NOT NULL,
    "offset"    BIGINT NOT NULL,
    order_id    TEXT   NOT NULL,
    "user"      TEXT   NOT NULL,
    item        TEXT   NOT NULL,
    quantity    BIGINT NOT NULL,
    at_us       BIGINT NOT NULL,
    -- An event that is delivered again is the same entry.
    UNIQUE ("partition", "offset")
);
CREATE INDEX audit_trail_order ON audit_trail (order_id);

-- What the trail adds up to, changed in the transaction that writes it: counting millions of rows would be slow.
CREATE TABLE audit_totals (
    id            BIGINT PRIMARY KEY CHECK (id = 1),
    last_position BIGINT NOT NULL,
    orders        BIGINT NOT NULL,
    quantity      BIGINT NOT NULL
);
INSERT INTO audit_totals (id, last_position, orders, quantity) VALUES (1, 0, 0, 0);
