"""The environment, read into settings. Every variable has a default, and a sentence that says what is allowed."""

from dataclasses import dataclass
from ipaddress import IPv4Address
from urllib.parse import urlsplit

from confluent_kafka import KafkaError, KafkaException, Producer

TOPICS = ("order_created", "payment_successful", "payment_failed", "inventory_updated", "notification_sent")

# On these rests that no event is left out.
RESERVED = ("group.id", "client.id", "enable.auto.commit", "enable.auto.offset.store")


class NotAllowed(Exception):
    """A variable with a value that the service cannot work with."""

    def __init__(self, variable, value, allowed):
        super().__init__(f'{variable}="{value}" is not allowed\n  allowed: {allowed}')


@dataclass(frozen=True)
class Settings:
    host: str
    port: int
    database: str
    kafka: dict
    group: str
    batch_events_max: int
    concurrency: int
    topics: dict
    mailbox_url: str | None
    mailbox_timeout_s: float
    log_level: str
    ignored: tuple

    @property
    def consumes(self):
        return [self.topics[name] for name in TOPICS[:-1]]


def read(environment):
    """Settings from variables; an empty one counts as unset."""
    variables = {name: value for name, value in environment.items() if value}
    system = variables.get("SYSTEM", "storefront")
    if system != "storefront":
        raise NotAllowed("SYSTEM", system, "storefront")
    host, port = address(variables.get("HTTP_ADDR", "127.0.0.1:0"))
    kafka, ignored = kafka_properties(variables)
    level = variables.get("LOG_LEVEL", "info")
    if level not in ("error", "warn", "info", "debug", "trace"):
        raise NotAllowed("LOG_LEVEL", level, "error, warn, info, debug, trace")
    return Settings(
        host=host,
        port=port,
        database=database(variables.get("DATABASE_URL", "sqlite://notification.db")),
        kafka=kafka,
        group=variables.get("GROUP_ID", "notification"),
        batch_events_max=whole_number(variables, "BATCH_EVENTS_MAX", 500, 1, 50_000),
        concurrency=whole_number(variables, "CONCURRENCY", 32, 1, 1024),
        topics={name: variables.get(f"{name.upper()}_TOPIC", name) for name in TOPICS},
        mailbox_url=mailbox(variables.get("MAILBOX_URL")),
        mailbox_timeout_s=whole_number(variables, "MAILBOX_TIMEOUT_MS", 2000, 1, 60_000) / 1000,
        log_level=level,
        ignored=ignored,
    )


def address(value):
    host, _, port = value.rpartition(":")
    try:
        IPv4Address(host)
        if not port.isdecimal() or int(port) > 65_535:
            raise ValueError
    except ValueError:
        allowed = "an IPv4 address and a port, such as 127.0.0.1:8080; port 0 takes a free one"
        raise NotAllowed("HTTP_ADDR", value, allowed) from None
    return host, int(port)


def database(url):
    scheme, separator, path = url.partition("://")
    path = path.partition("?")[0]
    if scheme != "sqlite" or not separator or not path or ":memory:" in path:
        raise NotAllowed("DATABASE_URL", url, "sqlite://FILE, sqlite:///ABSOLUTE/FILE")
    return path


def mailbox(url):
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise NotAllowed("MAILBOX_URL", url, "http://HOST[:PORT][/PATH], or unset to let the log play it")
    return url.rstrip("/")


def whole_number(variables, name, default, least, most):
    value = variables.get(name, str(default))
    if not value.isdecimal() or not least <= int(value) <= most:
        raise NotAllowed(name, value, f"{least} to {most}")
    return int(value)


def kafka_properties(variables):
    """`KAFKA_SESSION_TIMEOUT_MS=6000` is `session.timeout.ms=6000`. What names no property is handed back, to be reported."""
    properties, ignored = {"bootstrap.servers": variables.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")}, []
    for name, value in sorted(variables.items()):
        if not name.startswith("KAFKA_") or name == "KAFKA_BOOTSTRAP_SERVERS":
            continue
        property_name = name.removeprefix("KAFKA_").lower().replace("_", ".")
        if property_name in RESERVED:
            raise NotAllowed(name, value, "unset: what the service promises rests on it")
        try:
            # It complains of properties that are a consumer's, too, and of having nowhere to connect to.
            Producer({"log_level": 0, property_name: value})
        except KafkaException as refusal:
            error = refusal.args[0]
            if error.code() == KafkaError._INVALID_ARG and "No such configuration property" in error.str():
                ignored.append(name)
                continue
            raise NotAllowed(name, value, error.str()) from refusal
        properties[property_name] = value
    return properties, tuple(ignored)
