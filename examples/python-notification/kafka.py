"""Kafka's clients, set up so that nothing is lost, doubled by a retry, or overtaken."""

from confluent_kafka import KafkaException, Producer

CONSUMER = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # An event that came before the group first joined is an event all the same.
    "auto.offset.reset": "earliest",
    # The default of 45 s leaves the events of a killed instance lying for that long.
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 3000,
    "allow.auto.create.topics": False,
}

PRODUCER = {
    "acks": "all",
    "enable.idempotence": True,
    # Java's: a key's events lie in one partition whichever client wrote them.
    "partitioner": "murmur2_random",
    "linger.ms": 1,
    # Never give up on an event that the broker may still take, and never go on behind one that it refused.
    "message.timeout.ms": 0,
    "enable.gapless.guarantee": True,
    "max.in.flight.requests.per.connection": 1,
}


class Ordered:
    """Publishes batches so that their events lie in their topics in order."""

    def __init__(self, settings, stop):
        self._config = {**PRODUCER, **settings.kafka, "client.id": "notification"}
        self._stop = stop
        self._producer = Producer(self._config)

    def publish(self, events, patience_s=3):
        """Publishes `(topic, key, value, headers)` each, and waits until Kafka has acknowledged all of them.

        After a failure some may lie in their topics, none behind a gap: the whole batch can be published again.
        """
        failures = []

        def answered(error, _):
            if error is not None:
                failures.append(error)

        try:
            for topic, key, value, headers in events:
                self._hand_over(topic, key, value, headers, answered)
            # Once a stop is asked for, there are only so many seconds left.
            while self._producer.flush(0.1) > 0 and not failures:
                if self._stop.is_set():
                    patience_s -= 0.1
                    if patience_s < 0:
                        raise KafkaException("stopped before Kafka had acknowledged everything")
        except (KafkaException, BufferError) as failure:
            failures.append(failure)
        if failures:
            # Nothing of this batch may arrive behind a later attempt at it.
            self._producer.purge()
            self._producer.flush(1)
            self._producer = Producer(self._config)
            raise KafkaException(f"failed to publish: {failures[0]}")

    def _hand_over(self, topic, key, value, headers, answered):
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=answered)
                return
            except BufferError:
                # The client holds all that it may: some of it has to leave first.
                if self._stop.is_set():
                    raise
                self._producer.poll(0.1)
