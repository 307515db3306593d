"""What all threads of the service share: whether it is to stop, what it still waits for, and its figures."""

import threading


class State:
    def __init__(self):
        self.stop = threading.Event()
        self.failure = None
        self._lock = threading.Lock()
        # A condition is there until somebody says that it holds: the service is never ready by omission.
        self._waiting_for = {"group": "not joined yet"}
        self._counts = dict.fromkeys(("recorded", "repeated", "malformed", "dead"), 0)

    def wait_for(self, condition, reason):
        with self._lock:
            self._waiting_for[condition] = reason

    def satisfied(self, condition):
        with self._lock:
            self._waiting_for.pop(condition, None)

    def waiting_for(self):
        with self._lock:
            return {"stop": "stopping"} if self.stop.is_set() else dict(self._waiting_for)

    def count(self, what, number=1):
        with self._lock:
            self._counts[what] += number

    def metrics(self):
        """OpenMetrics text."""
        with self._lock:
            counts = dict(self._counts)
        lines = [f"# TYPE events_{name} counter\nevents_{name}_total {count}\n" for name, count in counts.items()]
        return "".join(lines) + "# EOF\n"

    def failed(self, failure):
        """A thread cannot go on: the process ends, and says why."""
        self.failure = self.failure or failure
        self.stop.set()
