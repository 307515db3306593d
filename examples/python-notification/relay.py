"""Publishes what the outbox has, in its order, and notes how far that is.

At least once: a crash between the two publishes some events again, with the ids that they had. Of several instances on one file
one publishes at a time: the one that holds the lock, which the system gives to another when it dies.
"""

import fcntl
import sqlite3
import threading

from confluent_kafka import KafkaException

import kafka
import log

BATCH = 500
IDLE_S = 0.05
PAUSE_S_MAX = 1


class Relay(threading.Thread):
    def __init__(self, settings, store, state, worker):
        super().__init__(name="relay", daemon=True)
        self._store = store
        self._state = state
        self._worker = worker
        self._producer = kafka.Ordered(settings, state.stop)

    def run(self):
        try:
            with open(self._store.path + ".relay", "w") as lock:
                if self._take(lock):
                    log.say("info", "this instance publishes the outbox")
                    self._publish()
        except Exception as failure:
            self._state.failed(failure)

    def _take(self, lock):
        while not self._state.stop.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                self._state.stop.wait(IDLE_S)
        return False

    def _publish(self):
        pause_s = IDLE_S
        while True:
            # Asked before the look at the outbox: whatever the worker has written by its end is published.
            is_last = self._state.stop.is_set() and not self._worker.is_alive()
            try:
                rows = self._store.unsent(BATCH)
                if rows:
                    self._producer.publish([message(row) for row in rows])
                    self._store.sent(rows[-1]["position"])
                    self._state.satisfied("relay")
                    pause_s = IDLE_S
                    continue
            except (KafkaException, sqlite3.OperationalError) as failure:
                log.say("warn", "failed to publish from the outbox, trying again", error=str(failure))
                self._state.wait_for("relay", str(failure))
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
            if is_last:
                return
            # Not the stop is waited for, which comes before the worker's end.
            self._worker.join(pause_s) if self._state.stop.is_set() else self._state.stop.wait(pause_s)


def message(row):
    headers = [("event-id", row["event_id"].encode()), ("traceparent", row["traceparent"].encode())]
    return row["topic"], row["key"].encode(), row["payload"].encode(), headers
