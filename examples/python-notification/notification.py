"""The storefront's notification service, in Python: takes the place of the built-in one, with the same variables and paths.

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 a variable that is not allowed.
"""

import os
import signal
import sys
import threading
import time

import log
import settings
from http_api import Server
from mailbox import Mailbox
from relay import Relay
from state import State
from store import Store
from worker import Worker

SIGNALS = (signal.SIGTERM, signal.SIGINT)

# From the signal to the end.
STOP_S = 5


def main():
    try:
        read = settings.read(os.environ)
    except settings.NotAllowed as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    log.set_level(read.log_level)
    for variable in read.ignored:
        log.say("warn", "ignored: the Kafka client has no property of this name", variable=variable)
    state = State()
    # Before any other thread begins: none of them may be interrupted, and no signal is lost during the start.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=stop_on_signal, args=(state,), daemon=True).start()
    try:
        failure = serve(read, state)
    except Exception as problem:
        failure = problem
    if failure is not None:
        log.say("error", "service failed", error=str(failure))
        print(f"error: {failure}", file=sys.stderr)
        return 1
    log.say("info", "stopped")
    return 0


def stop_on_signal(state):
    number = signal.sigwait(SIGNALS)
    log.say("info", "stopping", signal=signal.Signals(number).name)
    state.stop.set()


def serve(read, state):
    """Works until a stop is asked for. Why it cannot go on, if it stops by itself."""
    store = Store(read.database)
    server = Server(read, store, state)
    log.say("info", "listening", http_addr=server.address)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mailbox = Mailbox(read.mailbox_url, read.mailbox_timeout_s, state.stop)
    worker = Worker(read, store, mailbox, state)
    # It goes last: what the worker has written is still published.
    relay = Relay(read, store, state, worker)
    worker.start()
    relay.start()
    state.stop.wait()
    deadline = time.monotonic() + STOP_S
    for thread in (worker, relay):
        thread.join(max(0, deadline - time.monotonic()))
    server.shutdown()
    late = [thread.name for thread in (worker, relay) if thread.is_alive()]
    return state.failure or (f"{' and '.join(late)} did not end within {STOP_S} s" if late else None)


if __name__ == "__main__":
    sys.exit(main())
