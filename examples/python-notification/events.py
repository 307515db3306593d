"""The storefront's events, as this service reads and writes them. Money is in integer minor units, times in microseconds."""

import json
import secrets
import time
import uuid
from dataclasses import dataclass

NEWS = {
    "order_created": lambda _: "is accepted",
    "payment_successful": lambda _: "is paid",
    "payment_failed": lambda event: {
        "declined": "could not be paid",
        "timed_out": "could not be paid",
        "refunded": "is cancelled, your money is on its way back",
    }[event["reason"]],
    "inventory_updated": lambda event: {
        "shipped": "is on its way",
        "out_of_stock": "cannot be served: out of stock",
        "reserved": "is put aside for you",
        "released": "is no longer put aside",
    }[event["status"]],
}

# What each kind of event has besides the order.
MORE = {
    "order_created": {},
    "payment_successful": {"capture_id": str},
    "payment_failed": {"reason": str, "message": str},
    "inventory_updated": {"status": str, "shipment_id": str},
}

ORDER = {"event_id": str, "order_id": str, "user_id": str, "items": list, "total": int, "created_at_us": int, "at_us": int}
ITEM = {"product_id": str, "product_name": str, "quantity": int, "price": int}
AMOUNT_MAX = 2**63 - 1


class Malformed(Exception):
    """An event that nobody can make sense of; the text becomes the reason of its dead letter."""


@dataclass(frozen=True)
class Email:
    """An e-mail as the mailbox takes it: nothing in it depends on where its event lay."""

    to: str
    subject: str
    order_id: str
    total_cost: int
    about: str
    event_id: str


@dataclass
class Event:
    """A message of one of the topics, out of the client's hands."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    payload: bytes | None
    headers: list

    @classmethod
    def of(cls, message):
        headers = message.headers() or []
        return cls(message.topic(), message.partition(), message.offset(), message.key(), message.value(), headers)

    @property
    def place(self):
        return self.topic, self.partition


def read(kind, topic, event):
    """The e-mail that an event of this kind asks for; `topic` is what its topic is called here."""
    try:
        (event.key or b"").decode()
    except UnicodeDecodeError:
        raise Malformed("its key is not text") from None
    if event.payload is None:
        raise Malformed("it has no payload")
    try:
        payload = json.loads(event.payload)
    # A number of too many digits, or brackets in brackets in brackets, are refused, too.
    except (ValueError, RecursionError) as error:
        raise Malformed(f"its payload is not JSON: {error}") from None
    try:
        json.dumps(payload, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Malformed("its payload is not JSON: half a character") from None
    if b"\\u0000" in event.payload:
        raise Malformed("it has the character zero in it, which no store can take")
    check(payload, ORDER | MORE[kind], "")
    for field in ("event_id", "order_id", "user_id"):
        if not payload[field]:
            raise Malformed(f'its {field} is "", allowed: text')
    total = 0
    for number, item in enumerate(payload["items"]):
        check(item, ITEM, f"items[{number}].")
        if not 0 <= item["quantity"] < 2**32:
            raise Malformed(f"its items[{number}].quantity is {item['quantity']}, allowed: 0 to {2**32 - 1}")
        total += item["quantity"] * item["price"]
        if abs(total) > AMOUNT_MAX:
            raise Malformed("its items is more than can be paid, allowed: a sum that fits 64 bits in minor units")
    if total != payload["total"] or total < 0:
        raise Malformed(f"its total is {payload['total']}, allowed: the sum of its items")
    try:
        what = NEWS[kind](payload)
    except KeyError as unknown:
        raise Malformed(f"its payload has another shape: there is no {unknown}") from None
    return Email(
        to=payload["user_id"],
        subject=f"Your order {payload['order_id']} {what}",
        order_id=payload["order_id"],
        total_cost=payload["total"],
        about=topic,
        event_id=payload["event_id"],
    )


def check(value, fields, where):
    if not isinstance(value, dict):
        raise Malformed(f"its payload has another shape: {where or 'it'} is no object")
    for name, kind in fields.items():
        if name not in value:
            raise Malformed(f"its payload has another shape: missing field `{where}{name}`")
        # A truth value is a number in Python, and nowhere else.
        if not isinstance(value[name], kind) or isinstance(value[name], bool):
            raise Malformed(f"its payload has another shape: {where}{name} is {json.dumps(value[name])[:60]}")


def now_us():
    return time.time_ns() // 1000


def new_id():
    """A UUID of version 7: ids ascend with the time, so that an index over them grows at its end."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))


def header(event, name):
    """The first header of this name."""
    return next((value for key, value in event.headers if key == name), None)


def next_hop(traceparent):
    """The W3C trace context to forward: the same trace with this hop as its parent, or a trace of its own."""
    parent = f"{secrets.randbits(64) or 1:016x}"
    fields = (traceparent or b"").decode("ascii", "replace").split("-")
    digits = all(set(field) <= set("0123456789abcdef") for field in fields)
    sound = digits and len(fields) >= 4 and [len(field) for field in fields[:4]] == [2, 32, 16, 2]
    if sound and fields[0] != "ff" and int(fields[1], 16) and int(fields[2], 16):
        return f"00-{fields[1]}-{parent}-{int(fields[3], 16) & 1:02x}"
    return f"00-{secrets.randbits(128) or 1:032x}-{parent}-00"


def notification_sent(email, notification_id, at_us):
    """The event that tells of a notification."""
    return {
        "event_id": new_id(),
        "notification_id": notification_id,
        "order_id": email.order_id,
        "user_id": email.to,
        "about": email.about,
        "about_event_id": email.event_id,
        "at_us": at_us,
    }
