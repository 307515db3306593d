-- The audit trail: every order event, in the order in which it was processed.
CREATE TABLE audit_trail (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    "partition" INTEGER NOT NULL,
    "offset"    INTEGER NOT NULL,
    order_id    TEXT    NOT NULL,
    "user"      TEXT    NOT NULL,
    item        TEXT    NOT NULL,
    quantity    INTEGER NOT NULL,
    at_us       INTEGER NOT NULL,
    -- An event that is delivered again is the same entry.
    UNIQUE ("partition", "offset")
);
CREATE INDEX audit_trail_order ON audit_trail (order_id);

-- What the trail adds up to, changed in the transaction that writes it: counting millions of rows would be slow.
CREATE TABLE audit_totals (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    orders   INTEGER NOT NULL,
    quantity INTEGER NOT NULL
);
INSERT INTO audit_totals (id, orders, quantity) VALUES (1, 0, 0);
