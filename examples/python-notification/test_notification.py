"""The service by itself: against a cluster of `shakedown cluster`, with a mailbox that keeps the contract and fails as told."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "any-language" / "python"))

import events  # noqa: E402
import settings  # noqa: E402
from shakedown_cluster import Cluster  # noqa: E402

TOPICS = ["order_created", "payment_successful", "payment_failed", "inventory_updated", "notification_sent"]
PARTITIONS = 3
PATIENCE_S = 45
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
        time.sleep(0.02)
    return value


class Mailbox:
    """Sends an e-mail for each key once, and answers as `mood(body)` says: `None` is well, a number the status of a failure,
    a negative one that of a failure after the effect."""

    def __init__(self):
        self.mood = lambda body: None
        self.sent, self.asked, self._bodies, self._lock = [], Counter(), {}, threading.Lock()
        mailbox = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = mailbox.take(self.path, self.headers["Idempotency-Key"], body)
                answer = b'{"status": "sent"}'
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/box"

    def take(self, path, key, body):
        with self._lock:
            assert path == "/box/emails", path
            self.asked[body["event_id"]] += 1
            mood = self.mood(body)
            if mood is not None and mood > 0:
                return mood
            if key not in self._bodies:
                self._bodies[key] = body
                self.sent.append(body)
                return 201 if mood is None else -mood
            if self._bodies[key] != body:
                return 422
            return 200 if mood is None else -mood

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Service:
    """The service as a process."""

    def __init__(self, cluster, folder, mailbox, **variables):
        environment = {
            "PATH": os.environ["PATH"],
            "SYSTEM": "storefront",
            "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
            "KAFKA_SESSION_TIMEOUT_MS": "6000",
            "DATABASE_URL": f"sqlite://{folder}/notification.db",
            "MAILBOX_URL": mailbox.url,
            **variables,
        }
        command = [sys.executable, HERE / "notification.py"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.log = []
        threading.Thread(target=self._read, daemon=True).start()
        self.address = wait_for("the service to listen", self._listening)
        wait_for("the service to be ready", lambda: self.get("/ready")[0] == 200)

    def _read(self):
        for line in self.process.stdout:
            self.log.append(json.loads(line))

    def _listening(self):
        assert self.process.poll() is None, "it ended"
        return next((line["http_addr"] for line in list(self.log) if line["message"] == "listening"), None)

    def get(self, path, method="GET"):
        request = urllib.request.Request(f"http://{self.address}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    def ledger(self, path):
        """All of it, in pages of seven."""
        entries, after = [], 0
        while page := self.get(f"{path}?after={after}&limit=7")[1].splitlines():
            entries += map(json.loads, page)
            after = entries[-1]["position"]
        return entries

    def stop(self):
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=10)
        return code, time.monotonic() - began

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=10)


def order(number, user, **more):
    items = [{"product_id": "tea", "product_name": "Tea", "quantity": 2, "price": 100 + number}]
    whole = {"event_id": f"e-{number}", "order_id": f"o-{number}", "user_id": user, "items": items}
    return {**whole, "total": 2 * (100 + number), "created_at_us": 1, "at_us": 2, **more}


class Notification(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.mailbox = Mailbox()
        self.addCleanup(self.mailbox.close)
        names = TOPICS + [f"{topic}.dlq" for topic in TOPICS[:-1]]
        admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap_servers})
        for made in admin.create_topics([NewTopic(name, PARTITIONS, 3) for name in names]).values():
            made.result(30)
        config = {"bootstrap.servers": self.cluster.bootstrap_servers, "partitioner": "murmur2_random"}
        self.producer = Producer(config)

    def start(self, **variables):
        service = Service(self.cluster, self.folder, self.mailbox, **variables)
        self.addCleanup(service.process.stdout.close)
        self.addCleanup(service.kill)
        return service

    def produce(self, topic, *payloads):
        for payload in payloads:
            value = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
            key = "poison" if isinstance(payload, bytes) else payload["user_id"]
            headers = [("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode())]
            self.producer.produce(topic, value, key, headers=headers)
        self.assertEqual(self.producer.flush(30), 0)

    def read(self, topic):
        """Everything in a topic, and how far it reaches."""
        config = {"bootstrap.servers": self.cluster.bootstrap_servers, "group.id": "reader", "enable.partition.eof": True}
        consumer = Consumer(config)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        messages, ended = [], 0
        while ended < PARTITIONS:
            message = consumer.poll(30)
            self.assertIsNotNone(message, f"{topic} answers")
            if message.error() is None:
                messages.append(message)
            else:
                ended += 1
        consumer.close()
        return messages

    def test_every_step_is_told_once_and_in_order(self):
        service = self.start()
        users = ["ada", "bob", "eve"]
        orders = [order(number, users[number % 3]) for number in range(40)]
        # The outbox of whoever writes these publishes some twice, at once or later.
        self.produce("order_created", *orders, *orders[10:20])
        wait_for("the first notifications", lambda: len(service.ledger("/sent")) == 40)
        self.produce("order_created", *orders[15:25])
        self.produce("payment_successful", order(100, "ada", order_id="o-0", capture_id="c"))
        self.produce("payment_failed", order(101, "bob", order_id="o-1", reason="declined", message="no"))
        self.produce("inventory_updated", order(102, "ada", order_id="o-0", status="shipped", shipment_id="s"))
        wait_for("the notifications", lambda: len(service.ledger("/sent")) == 43)
        wait_for("the outbox", lambda: json.loads(service.get("/backlog")[1]) == {"outbox": 0, "retry": 0})
        self.assertEqual(Counter(email["event_id"] for email in self.mailbox.sent), Counter({f"e-{n}": 1 for n in [*range(40), 100, 101, 102]}))
        subjects = {email["event_id"]: email["subject"] for email in self.mailbox.sent}
        self.assertEqual(subjects["e-7"], "Your order o-7 is accepted")
        self.assertEqual(subjects["e-101"], "Your order o-1 could not be paid")
        self.assertEqual(subjects["e-102"], "Your order o-0 is on its way")
        for user in users:
            of_user = [email["event_id"] for email in self.mailbox.sent if (email["to"], email["about"]) == (user, "order_created")]
            self.assertEqual(of_user, [event["event_id"] for event in orders if event["user_id"] == user])
        published = self.read("notification_sent")
        told = {json.loads(message.value())["event_id"]: message for message in published}
        self.assertEqual(set(told), {entry["event_id"] for entry in service.ledger("/outbox")})
        for message in published:
            event, headers = json.loads(message.value()), dict(message.headers())
            self.assertEqual((message.key().decode(), headers["event-id"].decode()), (event["user_id"], event["event_id"]))
            self.assertRegex(headers["traceparent"].decode(), f"^00-{TRACE}-(?!00f067aa0ba902b7)[0-9a-f]{{16}}-01$")
        self.assertEqual(len(service.ledger("/inbox")), 43)
        of_bob = json.loads(service.get("/notifications?user_id=bob&limit=2")[1])["notifications"]
        self.assertEqual([len(of_bob), of_bob[0]["position"] > of_bob[1]["position"]], [2, True])
        for path, status in [("/notifications", 400), ("/sent?limit=0", 400), ("/sent?page=1", 400), ("/", 404), ("/health", 200)]:
            self.assertEqual(service.get(path)[0], status, path)
        self.assertEqual(service.get("/sent", method="POST")[0], 405)
        self.assertIn("events_recorded_total 43\n", service.get("/metrics")[1])
        code, took_s = service.stop()
        self.assertEqual(code, 0)
        self.assertLess(took_s, 5)
        self.assert_committed()

    def assert_committed(self):
        """A clean stop leaves nothing to be read again."""
        config = {"bootstrap.servers": self.cluster.bootstrap_servers, "group.id": "notification"}
        consumer = Consumer(config)
        for topic in TOPICS[:-1]:
            for place in consumer.committed([TopicPartition(topic, partition) for partition in range(PARTITIONS)], 30):
                end = consumer.get_watermark_offsets(TopicPartition(topic, place.partition), timeout=30)[1]
                self.assertEqual(max(place.offset, 0), end, place)
        consumer.close()

    def test_poison_becomes_a_dead_letter_and_the_partition_flows_on(self):
        service = self.start()
        poison = [
            b"\xff not json",
            b"[" * 100_000,
            json.dumps(order(1, "ada", total=7)).encode(),
            json.dumps(order(2, "\ud800")).encode(),
            json.dumps(order(3, True)).encode(),
        ]
        self.produce("order_created", *poison, order(4, "poison"))
        wait_for("the notification behind them", lambda: service.ledger("/sent"))
        letters = self.read("order_created.dlq")
        self.assertEqual([letter.value() for letter in letters], poison)
        for offset, letter in enumerate(letters):
            headers = dict(letter.headers())
            self.assertEqual((letter.key(), headers["dlq-service"]), (b"poison", b"notification"))
            self.assertEqual((headers["dlq-topic"], headers["dlq-offset"]), (b"order_created", str(offset).encode()))
            self.assertIn(TRACE, headers["traceparent"].decode())
        reasons = [dict(letter.headers())["dlq-reason"].decode() for letter in letters]
        self.assertEqual(reasons[2], "its total is 7, allowed: the sum of its items")
        command = [os.environ.get("SHAKEDOWN", "shakedown"), "dlq", "list", "--bootstrap", self.cluster.bootstrap_servers]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        self.assertRegex(listed, r"1  notification +its total is 7, allowed: the sum of its items")

    def test_an_outage_and_a_kill_cost_no_email_and_double_none(self):
        service = self.start(BATCH_EVENTS_MAX="20")
        # The effect, then an error: nobody knows, and it is asked for again.
        self.mailbox.mood = lambda body: -500 if self.mailbox.asked[body["event_id"]] % 2 else None
        self.produce("order_created", *(order(number, f"user-{number % 7}") for number in range(60)))
        wait_for("some e-mails", lambda: len(self.mailbox.sent) > 20)
        self.mailbox.mood = lambda body: 503
        wait_for("the outage to show", lambda: service.get("/ready")[0] == 503)
        self.assertIn("mailbox did not serve", service.get("/ready")[1])
        service.kill()
        self.mailbox.mood = lambda body: None
        service = self.start()
        wait_for("the rest", lambda: len(service.ledger("/sent")) == 60)
        self.assertEqual(Counter(email["event_id"] for email in self.mailbox.sent), Counter({f"e-{n}": 1 for n in range(60)}))
        self.assertEqual(service.get("/ready")[0], 200)
        wait_for("the outbox", lambda: json.loads(service.get("/backlog")[1])["outbox"] == 0)
        published = {json.loads(message.value())["about_event_id"] for message in self.read("notification_sent")}
        self.assertEqual(len(published), 60)
        self.assertEqual(service.stop()[0], 0)
        self.assert_committed()

    def test_an_email_that_alone_fails_is_not_passed_by(self):
        service = self.start()
        self.mailbox.mood = lambda body: 503 if body["to"] == "eve" else None
        # All in one partition, whichever it is: the others' events come before and behind the one that fails.
        partition = 1
        for number, user in enumerate(["ada", "eve", "bob", "ada", "bob"]):
            self.producer.produce("order_created", json.dumps(order(number, user)), user, partition=partition)
        self.producer.flush(30)
        wait_for("the others", lambda: len(service.ledger("/sent")) == 4)
        wait_for("another attempt", lambda: self.mailbox.asked["e-1"] > 8)
        place = TopicPartition("order_created", partition)
        consumer = Consumer({"bootstrap.servers": self.cluster.bootstrap_servers, "group.id": "notification"})
        self.assertEqual(consumer.committed([place], 30)[0].offset, 1, "nothing behind it is committed")
        consumer.close()
        self.mailbox.mood = lambda body: None
        wait_for("eve", lambda: len(service.ledger("/sent")) == 5)
        self.assertEqual(len(self.mailbox.sent), 5)
        self.assertEqual(service.stop()[0], 0)
        self.assert_committed()

    def test_what_the_mailbox_refuses_for_good_is_laid_aside_and_can_be_played_again(self):
        service = self.start()
        self.mailbox.mood = lambda body: 400 if body["to"] == "eve" else None
        self.produce("order_created", order(1, "eve"), order(2, "ada"))
        letter = wait_for("the dead letter", lambda: self.read("order_created.dlq"))[0]
        self.assertTrue(dict(letter.headers())["dlq-reason"].startswith(b"mailbox refused with 400"))
        self.mailbox.mood = lambda body: None
        command = [os.environ.get("SHAKEDOWN", "shakedown"), "dlq", "replay", "--all", "--topic", "order_created.dlq"]
        subprocess.run([*command, "--bootstrap", self.cluster.bootstrap_servers], check=True, capture_output=True)
        wait_for("the notification", lambda: {entry["user_id"] for entry in service.ledger("/sent")} == {"ada", "eve"})


class Variables(unittest.TestCase):
    def test_a_value_that_is_not_allowed_is_refused(self):
        for variable, value in [
            ("SYSTEM", "fanout"),
            ("HTTP_ADDR", "8080"),
            ("DATABASE_URL", "postgres://somewhere/db"),
            ("MAILBOX_URL", "ftp://x"),
            ("BATCH_EVENTS_MAX", "0"),
            ("LOG_LEVEL", "loud"),
            ("KAFKA_SESSION_TIMEOUT_MS", "soon"),
            ("KAFKA_GROUP_ID", "mine"),
        ]:
            with self.subTest(variable=variable):
                environment = {"PATH": os.environ["PATH"], variable: value}
                command = [sys.executable, HERE / "notification.py"]
                ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
                self.assertEqual(ended.returncode, 2)
                self.assertIn(f'{variable}="{value}" is not allowed\n  allowed: ', ended.stderr)

    def test_properties_of_the_client_come_from_the_environment(self):
        read = settings.read({"KAFKA_SESSION_TIMEOUT_MS": "6000", "KAFKA_HOME": "/opt/kafka", "GROUP_ID": "", "MAILBOX_URL": "http://a/b/"})
        self.assertEqual(read.kafka, {"bootstrap.servers": "localhost:9092", "session.timeout.ms": "6000"})
        self.assertEqual((read.ignored, read.group, read.mailbox_url), (("KAFKA_HOME",), "notification", "http://a/b"))


class Traces(unittest.TestCase):
    def test_a_hop_keeps_the_trace_or_starts_one(self):
        self.assertRegex(events.next_hop(f"00-{TRACE}-00f067aa0ba902b7-01".encode()), f"^00-{TRACE}-[0-9a-f]{{16}}-01$")
        for header in [None, b"", b"\xff", b"00-x", f"ff-{TRACE}-00f067aa0ba902b7-01".encode(), f"00-{'0' * 32}-00f067aa0ba902b7-01".encode()]:
            self.assertNotIn(TRACE, events.next_hop(header))
            self.assertRegex(events.next_hop(header), "^00-[0-9a-f]{32}-[0-9a-f]{16}-00$")

    def test_ids_are_uuids_that_ascend(self):
        ids = [events.new_id() for _ in range(3)]
        self.assertEqual(len(set(ids)), 3)
        self.assertTrue(all(id[14] == "7" and id[19] in "89ab" for id in ids), ids)


if __name__ == "__main__":
    unittest.main()
