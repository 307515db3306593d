"""What a checkout must survive, seen through confluent-kafka."""

import unittest

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from shakedown_cluster import Cluster

ORDERS = [f"order-{number}" for number in range(10)]


def produce(cluster, **config):
    """Sends all orders, one in a request, and waits until each is acknowledged."""
    acknowledged = []

    def on_delivery(error, message):
        if error is None:
            acknowledged.append(message.value().decode())

    settings = {"bootstrap.servers": cluster.bootstrap_servers, "linger.ms": 0, "batch.num.messages": 1, **config}
    producer = Producer(settings)
    for order in ORDERS:
        producer.produce("orders", order, partition=0, on_delivery=on_delivery)
    assert producer.flush(30) == 0, "every order is answered"
    return acknowledged


def consume(cluster, count):
    """Reads the topic from its beginning."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": "warehouse"})
    consumer.assign([TopicPartition("orders", 0, 0)])
    seen = []
    while len(seen) < count:
        message = consumer.poll(30)
        assert message is not None and message.error() is None, message and message.error()
        seen.append(message.value().decode())
    consumer.close()
    return seen


class Orders(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap_servers})
        admin.create_topics([NewTopic("orders", 1, 3)])["orders"].result(30)

    def test_no_order_is_lost_with_its_leader(self):
        before = self.cluster.leader("orders", 0)
        self.assertEqual(produce(self.cluster, **{"enable.idempotence": True}), ORDERS)
        self.assertEqual(self.cluster.strike("kill", "leader(orders/0)"), [before])
        self.assertEqual(consume(self.cluster, len(ORDERS)), ORDERS)
        self.assertNotEqual(self.cluster.leader("orders", 0), before)
        self.cluster.heal()

    def test_a_lost_acknowledgement_doubles_an_order_without_idempotence(self):
        for idempotent, copies in [(False, 2), (True, 1)]:
            with self.subTest(idempotent=idempotent), Cluster() as cluster:
                produce(cluster, **{"enable.idempotence": True})
                rule = cluster.rule({"hang-up": {"applied": True}}, api="Produce", topic="orders", nth=3)
                produce(cluster, **{"enable.idempotence": idempotent})
                self.assertEqual(cluster.hits(rule), 1)
                again = consume(cluster, 2 * len(ORDERS) + copies - 1)[len(ORDERS) :]
                self.assertEqual(again.count("order-2"), copies)


if __name__ == "__main__":
    unittest.main()
