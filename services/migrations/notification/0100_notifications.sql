-- What users were told, in the order in which they were.
CREATE TABLE notifications (
    position        BIGINT PRIMARY KEY,
    notification_id TEXT   NOT NULL,
    user_id         TEXT   NOT NULL,
    order_id        TEXT   NOT NULL,
    -- The topic of the event that it tells of, and its id.
    about           TEXT   NOT NULL,
    about_event_id  TEXT   NOT NULL,
    message         TEXT   NOT NULL,
    at_us           BIGINT NOT NULL
);
CREATE INDEX notifications_user ON notifications (user_id, position);
