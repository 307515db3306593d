"""What the service answers over HTTP. Errors are `{"error"}`, ledgers one JSON object a line."""

import json
import sqlite3
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from store import LEDGERS


class BadRequest(Exception):
    pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, settings, store, state):
        self.store, self.state = store, state
        super().__init__((settings.host, settings.port), Handler)

    @property
    def address(self):
        host, port = self.server_address[:2]
        return f"{host}:{port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer is written in two parts; the second must not wait for the first to be acknowledged.
    disable_nagle_algorithm = True

    def do_GET(self):
        url = urlsplit(self.path)
        try:
            self.route(url.path, dict(parse_qsl(url.query, keep_blank_values=True)))
        except BadRequest as problem:
            self.json(400, {"error": str(problem)})
        except sqlite3.Error:
            self.json(503, {"error": "the store does not answer"}, {"Retry-After": "1"})

    def do_other(self):
        # The body that came along stays unread, so that this connection is of no use for another request.
        self.close_connection = True
        self.json(405, {"error": f"{urlsplit(self.path).path} does not take {self.command}"})

    do_POST = do_PUT = do_PATCH = do_DELETE = do_other

    def route(self, path, query):
        store, state = self.server.store, self.server.state
        if path in LEDGERS:
            after = whole_number(query, "after", 0, 0, 2**63 - 1)
            limit = whole_number(query, "limit", 1000, 1, 100_000)
            refuse_others(query, ("after", "limit"))
            lines = "".join(json.dumps(entry) + "\n" for entry in store.page(path, after, limit))
            self.answer(200, "application/x-ndjson", lines.encode())
        elif path == "/health":
            self.json(200, {"status": "up"})
        elif path == "/ready":
            waiting_for = state.waiting_for()
            if waiting_for:
                self.json(503, {"ready": False, "waiting_for": waiting_for})
            else:
                self.json(200, {"ready": True})
        elif path == "/notifications":
            user_id, limit = query.get("user_id"), whole_number(query, "limit", 100, 1, 1000)
            refuse_others(query, ("user_id", "limit"))
            if user_id is None:
                raise BadRequest("user_id is missing")
            self.json(200, {"user_id": user_id, "notifications": store.of_user(user_id, limit)})
        elif path == "/backlog":
            # There is no retry topic: what cannot be done yet is read again.
            self.json(200, {"outbox": store.backlog(), "retry": 0})
        elif path == "/metrics":
            kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
            self.answer(200, kind, state.metrics().encode())
        else:
            self.json(404, {"error": f"there is no {path}"})

    def json(self, status, value, headers=None):
        self.answer(status, "application/json", json.dumps(value).encode(), headers)

    def answer(self, status, kind, body, headers=None):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """A line for each request would drown everything else."""


def whole_number(query, name, default, least, most):
    value = query.get(name, str(default))
    if not (value.isascii() and value.isdecimal()) or len(value) > 19 or not least <= int(value) <= most:
        raise BadRequest(f"{name}={value} is not allowed\n  allowed: {least} to {most}")
    return int(value)


def refuse_others(query, allowed):
    for name in query:
        if name not in allowed:
            raise BadRequest(f"unknown parameter {name}\n  allowed: {', '.join(allowed)}")
