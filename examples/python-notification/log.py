"""One line of JSON for each thing that happens."""

import json
import sys
import threading
from datetime import datetime, timezone

LEVELS = ("error", "warn", "info", "debug", "trace")

_lock = threading.Lock()
_least = LEVELS.index("info")


def set_level(level):
    global _least
    _least = LEVELS.index(level)


def say(level, message, **fields):
    if LEVELS.index(level) > _least:
        return
    now = datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
    line = {"timestamp": now, "level": level.upper(), "service": "notification", "message": message, **fields}
    with _lock:
        print(json.dumps(line), file=sys.stdout, flush=True)
