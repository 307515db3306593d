-- What there is of each product, at every moment: initial = on_hand + reserved + shipped.
CREATE TABLE stock (
    product_id TEXT   PRIMARY KEY,
    initial    BIGINT NOT NULL CHECK (initial >= 0),
    on_hand    BIGINT NOT NULL CHECK (on_hand >= 0),
    reserved   BIGINT NOT NULL CHECK (reserved >= 0),
    shipped    BIGINT NOT NULL CHECK (shipped >= 0)
);

-- What is put aside for an order. Without an inbox an order may have several.
CREATE TABLE reservations (
    reservation_id TEXT   PRIMARY KEY,
    order_id       TEXT   NOT NULL,
    state          TEXT   NOT NULL CHECK (state IN ('reserved', 'rejected', 'shipped', 'released')),
    -- Quantities by product, as JSON.
    quantities     TEXT   NOT NULL,
    at_us          BIGINT NOT NULL
);
CREATE INDEX reservations_order ON reservations (order_id);

-- The audit trail: everything that moved.
CREATE TABLE movements (
    position   BIGINT PRIMARY KEY,
    order_id   TEXT   NOT NULL,
    product_id TEXT   NOT NULL,
    -- reserve: on_hand to reserved; ship: reserved to shipped; release: reserved to on_hand.
    kind       TEXT   NOT NULL CHECK (kind IN ('reserve', 'ship', 'release')),
    quantity   BIGINT NOT NULL,
    -- Afterwards.
    on_hand    BIGINT NOT NULL,
    reserved   BIGINT NOT NULL,
    shipped    BIGINT NOT NULL,
    at_us      BIGINT NOT NULL
);
