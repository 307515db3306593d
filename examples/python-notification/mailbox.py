"""The mailbox: an HTTP API that may be slow, down, or answer after the e-mail has left.

Every e-mail carries the id of its event as its idempotency key, so that asking again is safe. `docs/stand-ins.md` says what is
answered, and how it is taken.
"""

import http.client
import json
import random
import threading
from dataclasses import asdict
from urllib.parse import urlsplit

import log

ATTEMPTS = 4
PAUSE_S = 0.025
PAUSE_S_MAX = 0.4

# May pass. Anything else that is no success is final.
AGAIN = (408, 409, 425, 429)


class Refused(Exception):
    """It will never be sent: the text becomes the reason of a dead letter."""


class NotYet(Exception):
    """Nobody can say whether it was sent: it is to be asked for again."""


class Mailbox:
    def __init__(self, url, timeout_s, stop):
        self._url = url
        self._timeout_s = timeout_s
        self._stop = stop
        # A connection for each thread that asks, kept open.
        self._connections = threading.local()
        if url is None:
            log.say("info", "has no URL: the log plays it", dependency="mailbox")

    def send(self, email, traceparent):
        """Sends an e-mail, in several attempts if need be."""
        if self._url is None:
            log.say("info", "nobody to ask", dependency="mailbox", key=email.event_id)
            return
        pause_s = PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            reason = self._attempt(email, traceparent)
            if reason is None:
                return
            if attempt < ATTEMPTS:
                log.say("warn", "asking again", dependency="mailbox", key=email.event_id, reason=reason)
                # The jitter keeps services that failed together from coming back together.
                if self._stop.wait(pause_s * (1 + random.random())):
                    break
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
        raise NotYet(f"mailbox did not serve this call: {reason}")

    def _attempt(self, email, traceparent):
        """Why it has to be asked again; `None` if it was sent."""
        try:
            status, body = self._post(email, traceparent)
        # Broken answers, refused connections and time-outs: the effect may be there or not.
        except (OSError, http.client.HTTPException) as failure:
            self._close()
            return str(failure) or type(failure).__name__
        if status in (200, 201):
            return None
        if status in AGAIN or status >= 500:
            return f"status {status}"
        raise Refused(f"mailbox refused with {status}: {body[:200]}")

    def _post(self, email, traceparent):
        parts = urlsplit(self._url)
        connection = getattr(self._connections, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=self._timeout_s)
            self._connections.connection = connection
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": email.event_id,
            "traceparent": traceparent,
        }
        connection.request("POST", f"{parts.path}/emails", json.dumps(asdict(email)), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")

    def _close(self):
        connection = getattr(self._connections, "connection", None)
        if connection is not None:
            connection.close()
            self._connections.connection = None
