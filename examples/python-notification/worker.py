"""Reads the storefront's events and tells users of them: an e-mail for each event, once.

For a batch, in this order: events that make no sense become dead letters; those in the inbox are done; e-mails are sent, many
users' at once and each user's in order; one transaction enters the events in the inbox, records the notifications and writes
what is to be published to the outbox; the offsets are committed. A crash anywhere leads back to the beginning: e-mails that had
left are asked for again with the same key, and what was recorded is in the inbox.

While the mailbox is away nothing is given up: the batch is read again, with growing pauses.
"""

import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, KafkaException, TopicPartition

import events
import kafka
import log
from mailbox import NotYet, Refused

PAUSE_S = 0.05
PAUSE_S_MAX = 2
POLL_S = 0.1


class Worker(threading.Thread):
    def __init__(self, settings, store, mailbox, state):
        super().__init__(name="worker", daemon=True)
        self._settings = settings
        self._store = store
        self._mailbox = mailbox
        self._state = state
        self._kinds = {settings.topics[name]: name for name in events.NEWS}
        self._dead_letters = kafka.Ordered(settings, state.stop)
        own = {"group.id": settings.group, "client.id": "notification"}
        self._consumer = Consumer({**kafka.CONSUMER, **settings.kafka, **own})
        self._threads = ThreadPoolExecutor(settings.concurrency, "mailbox")
        self._pause_s = PAUSE_S

    def run(self):
        try:
            if self._wait_for_topics():
                self._consumer.subscribe(self._settings.consumes, on_assign=self._joined, on_lost=self._lost)
                while not self._state.stop.is_set():
                    batch = self._collect()
                    if batch:
                        self._handle(batch)
        except Exception as failure:
            self._state.failed(failure)
        finally:
            self._threads.shutdown()
            # Leaves the group, so that others need not wait for the session to end.
            self._consumer.close()

    def _wait_for_topics(self):
        wanted = [*self._settings.topics.values(), *(f"{topic}.dlq" for topic in self._settings.consumes)]
        while not self._state.stop.is_set():
            try:
                there = self._consumer.list_topics(timeout=1).topics
                missing = [topic for topic in wanted if topic not in there]
                if not missing:
                    return True
                reason = f"topic {missing[0]} does not exist"
            except KafkaException as failure:
                reason = f"Kafka does not answer: {failure}"
            self._state.wait_for("group", reason)
            self._state.stop.wait(0.2)
        return False

    def _joined(self, _consumer, partitions):
        log.say("info", "joined its group", partitions=len(partitions))
        self._state.satisfied("group")

    def _lost(self, _consumer, _partitions):
        self._state.wait_for("group", "was put out of its group")

    def _collect(self):
        """What has arrived, waiting only for the first of it."""
        first = self._consumer.poll(POLL_S)
        if first is None:
            return []
        messages = [first] + self._consumer.consume(self._settings.batch_events_max - 1, timeout=0)
        batch = []
        for message in messages:
            if message.error() is None:
                batch.append(events.Event.of(message))
            elif message.error().fatal():
                raise KafkaException(message.error())
            else:
                log.say("warn", "failed to consume, the client goes on", error=message.error().str())
        return batch

    def _handle(self, batch):
        try:
            finished, reason = self._work(batch)
        # The store is busy or its disk is full: nothing of the batch is known to be done.
        except sqlite3.OperationalError as failure:
            finished, reason = set(), f"the store failed: {failure}"
        # For each partition its next offset, and whether everything before that is done. What is done behind an unfinished
        # event is in the inbox when it comes again.
        next_offsets = {}
        for index, event in enumerate(batch):
            if next_offsets.get(event.place, (0, True))[1]:
                is_done = index in finished
                next_offsets[event.place] = (event.offset + is_done, is_done)
        places = [TopicPartition(*place, offset) for place, (offset, _) in next_offsets.items()]
        if finished:
            self._commit(places)
        if reason is None:
            self._pause_s = PAUSE_S
            self._state.satisfied("work")
            return
        log.say("warn", "failed to handle a batch, it is read again", error=reason, events=len(batch))
        self._state.wait_for("work", reason)
        for place in places:
            self._seek(place)
        self._state.stop.wait(self._pause_s * (1 + random.random()))
        self._pause_s = min(2 * self._pause_s, PAUSE_S_MAX)

    def _work(self, batch):
        """Which events of the batch are done, and why the others have to wait, if they do."""
        tasks, dead = self._read(batch)
        known = self._store.handled({email.event_id for email in tasks.values()})
        finished, users = set(), {}
        for index, email in tasks.items():
            if email.event_id in known:
                finished.add(index)
                self._state.count("repeated")
            else:
                # A repetition within the batch is one, too: the outbox may publish an event twice.
                known.add(email.event_id)
                users.setdefault(batch[index].key, []).append(index)
        traces = {index: events.next_hop(events.header(batch[index], "traceparent")) for index in tasks}
        told, reason = [], None
        asked = [self._threads.submit(self._tell, indices, tasks, traces) for indices in users.values()]
        for of_user, refused, failure in (answer.result() for answer in asked):
            told += of_user
            dead += refused
            reason = reason or failure
        failure = self._bury(batch, dead)
        if failure is None:
            finished.update(index for index, _ in dead)
        told.sort()
        recorded = [(batch[index].topic, tasks[index], traces[index]) for index in told]
        new = self._store.record(recorded, self._settings.topics["notification_sent"])
        self._state.count("recorded", new)
        finished.update(told)
        return finished, reason or failure

    def _read(self, batch):
        tasks, dead = {}, []
        for index, event in enumerate(batch):
            try:
                tasks[index] = events.read(self._kinds[event.topic], event.topic, event)
            except events.Malformed as malformed:
                self._state.count("malformed")
                dead.append((index, str(malformed)))
        return tasks, dead

    def _tell(self, indices, tasks, traces):
        """One user's e-mails, in order. Behind one that has to wait the others do, too."""
        told, refused = [], []
        for index in indices:
            try:
                self._mailbox.send(tasks[index], traces[index])
                told.append(index)
            except Refused as reason:
                refused.append((index, str(reason)))
            except NotYet as reason:
                return told, refused, str(reason)
        return told, refused, None

    def _bury(self, batch, dead):
        """Publishes dead letters: the event as it was, and behind its headers those that say why. Why not, if it fails."""
        if not dead:
            return None
        try:
            self._dead_letters.publish([dead_letter(batch[index], reason) for index, reason in dead])
        except KafkaException as failure:
            return str(failure)
        self._state.count("dead", len(dead))
        for index, reason in dead:
            event = batch[index]
            place = {"topic": event.topic, "partition": event.partition, "offset": event.offset}
            log.say("error", "event became a dead letter", reason=reason, **place)
        return None

    def _commit(self, places):
        try:
            self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as failure:
            # The partitions are somebody else's now, or Kafka is away: the events come again, and are in the inbox.
            log.say("warn", "offsets were not committed", error=str(failure))

    def _seek(self, place):
        try:
            self._consumer.seek(place)
        except KafkaException as failure:
            # It was taken away: whoever has it now reads from what was committed.
            log.say("warn", "a partition was not rewound", error=str(failure))


def dead_letter(event, reason):
    about = {
        "dlq-reason": reason,
        "dlq-service": "notification",
        "dlq-topic": event.topic,
        "dlq-partition": event.partition,
        "dlq-offset": event.offset,
        "dlq-at-us": events.now_us(),
    }
    headers = event.headers + [(name, str(value).encode("utf-8", "backslashreplace")) for name, value in about.items()]
    return f"{event.topic}.dlq", event.key, event.payload, headers
