"""The service's store, in SQLite: what users were told, which events were handled, and what is to be published about it.

All three change in one transaction, so that an event has its effects here once, however often it comes. Positions are given out in
the order of commits, because only one connection writes at a time.
"""

import json
import sqlite3
import threading

import events

TABLES = """
CREATE TABLE IF NOT EXISTS inbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, topic TEXT NOT NULL, at_us INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS notifications (
    position INTEGER PRIMARY KEY AUTOINCREMENT, notification_id TEXT NOT NULL, user_id TEXT NOT NULL, order_id TEXT NOT NULL,
    about TEXT NOT NULL, about_event_id TEXT NOT NULL, message TEXT NOT NULL, at_us INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS notifications_user ON notifications (user_id, position);
CREATE TABLE IF NOT EXISTS outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, topic TEXT NOT NULL, key TEXT NOT NULL,
    payload TEXT NOT NULL, traceparent TEXT NOT NULL, at_us INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS relay (id INTEGER PRIMARY KEY CHECK (id = 1), sent_position INTEGER NOT NULL);
INSERT INTO relay (id, sent_position) VALUES (1, 0) ON CONFLICT (id) DO NOTHING;
"""

# What may be read page by page, and which columns of it.
LEDGERS = {
    "/sent": "SELECT position, notification_id, user_id, order_id, about, about_event_id, message, at_us FROM notifications",
    "/inbox": "SELECT position, event_id, topic, at_us FROM inbox",
    "/outbox": "SELECT position, event_id, topic, key, at_us FROM outbox",
}


class Store:
    """A file; every thread has a connection of its own to it."""

    def __init__(self, path):
        self.path = path
        self._connections = threading.local()
        with self.connection() as connection:
            # Once it is committed here, an event's offset is committed in Kafka: power may not undo the first of these.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(TABLES)

    def connection(self):
        connection = getattr(self._connections, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=5, isolation_level=None)
            connection.execute("PRAGMA synchronous = FULL")
            connection.row_factory = sqlite3.Row
            self._connections.connection = connection
        return connection

    def handled(self, event_ids):
        """Those of these events that are in the inbox."""
        connection = self.connection()
        found = (connection.execute("SELECT event_id FROM inbox WHERE event_id = ?", (id,)).fetchone() for id in event_ids)
        return {row["event_id"] for row in found if row}

    def record(self, done, topic):
        """Enters events with what was done about them: `(kind's topic, email, traceparent)` each. How many were new."""
        connection = self.connection()
        new = 0
        connection.execute("BEGIN IMMEDIATE")
        try:
            for of_topic, email, traceparent in done:
                at_us = events.now_us()
                entered = connection.execute(
                    "INSERT INTO inbox (event_id, topic, at_us) VALUES (?, ?, ?) ON CONFLICT (event_id) DO NOTHING",
                    (email.event_id, of_topic, at_us),
                )
                # Another instance may have been faster.
                if entered.rowcount == 0:
                    continue
                new += 1
                sent = events.notification_sent(email, events.new_id(), at_us)
                connection.execute(
                    "INSERT INTO notifications (notification_id, user_id, order_id, about, about_event_id, message, at_us)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (sent["notification_id"], email.to, email.order_id, email.about, email.event_id, email.subject, at_us),
                )
                connection.execute(
                    "INSERT INTO outbox (event_id, topic, key, payload, traceparent, at_us) VALUES (?, ?, ?, ?, ?, ?)",
                    (sent["event_id"], topic, email.to, json.dumps(sent), traceparent, at_us),
                )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        return new

    def unsent(self, limit):
        """The events that are to be published, in their order."""
        return self.connection().execute(
            "SELECT * FROM outbox WHERE position > (SELECT sent_position FROM relay) ORDER BY position LIMIT ?", (limit,)
        ).fetchall()

    def sent(self, position):
        """Everything up to this position is published."""
        self.connection().execute("UPDATE relay SET sent_position = ?", (position,))

    def backlog(self):
        """How many events are written and not yet published."""
        query = "SELECT COUNT(*) FROM outbox WHERE position > (SELECT sent_position FROM relay)"
        return self.connection().execute(query).fetchone()[0]

    def page(self, path, after, limit):
        """Entries of a ledger behind a position."""
        query = f"{LEDGERS[path]} WHERE position > ? ORDER BY position LIMIT ?"
        return [dict(row) for row in self.connection().execute(query, (after, limit))]

    def of_user(self, user_id, limit):
        """What a user was told last, the latest first."""
        query = f"{LEDGERS['/sent']} WHERE user_id = ? ORDER BY position DESC LIMIT ?"
        return [dict(row) for row in self.connection().execute(query, (user_id, limit))]
