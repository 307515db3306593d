-- Orders that were given up: whatever was captured for them was given back, and nothing is captured for them any more. A capture
-- may come behind that when its event was a dead letter meanwhile.
CREATE TABLE given_up_orders (
    order_id TEXT PRIMARY KEY
);
