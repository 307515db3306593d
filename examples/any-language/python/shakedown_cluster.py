"""A cluster for the length of a test: starts `shakedown cluster`, and talks to its control API."""

import json
import os
import subprocess
import urllib.request


class Cluster:
    """`with Cluster() as cluster:` boots three brokers within milliseconds; they end with the block, or with this process."""

    def __init__(self, *arguments):
        executable = os.environ.get("SHAKEDOWN", "shakedown")
        command = [executable, "cluster", "--control", "127.0.0.1:0", *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        about = json.loads(self._process.stdout.readline())
        self.bootstrap_servers, self._control = about["bootstrap_servers"], about["control"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()

    def ask(self, method, path, body=None):
        """One request to the control API; `GET /openapi.json` describes them."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self._control + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=70) as response:
            return json.load(response)

    def leader(self, topic, partition):
        return self.ask("GET", f"/v1/topics/{topic}/partitions/{partition}")["leader"]

    def strike(self, fault, role):
        """`strike("kill", "leader(orders/0)")`: the nodes that it hit."""
        return self.ask("POST", "/v1/faults", {"fault": fault, "role": role})["nodes"]

    def rule(self, effect, **selector):
        """Puts a rule for requests into force; its number."""
        return self.ask("POST", "/v1/rules", {**selector, "effect": effect})["id"]

    def hits(self, rule):
        return self.ask("GET", f"/v1/rules/{rule}")["hits"]

    def heal(self):
        self.ask("POST", "/v1/heal")
