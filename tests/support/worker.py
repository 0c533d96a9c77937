"""`lepton run` as a child process: configuration, readiness, signals, logs, status and metrics."""

import json
import os
import re
import signal
import urllib.error
import urllib.request

from process import Child, free_port, temp_folder, wait_for

SANITIZER_MARKS = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|LeakSanitizer: detected")


def binary():
    """The program under test (LEPTON_BINARY, set by ctest)."""
    path = os.environ.get("LEPTON_BINARY")
    if not path or not os.access(path, os.X_OK):
        raise RuntimeError("LEPTON_BINARY does not name the lepton program: %r" % path)
    return path


class Worker:
    """One process. `settings` override the defaults; None takes a key away."""

    def __init__(self, bootstrap, settings, start=True, before_exec=None, ready_timeout_s=40):
        self.folder = temp_folder("worker")
        self.port = free_port()
        self.url = "http://127.0.0.1:%d" % self.port
        self.settings = {
            "kafka.bootstrap.servers": bootstrap,
            "kafka.consumer.session.timeout.ms": 6000,
            "kafka.consumer.heartbeat.interval.ms": 1000,
            "http.listen": "127.0.0.1:%d" % self.port,
            "lanes": 1,
        }
        self.settings.update(settings)
        self._before_exec = before_exec
        self.prefix = []  # a tool to run it under
        self.environment = {}  # for start()
        self.child = None
        self._runs = 0
        if start:
            self.start()
            self.wait_ready(ready_timeout_s)

    def config_path(self):
        path = os.path.join(self.folder, "worker.properties")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines("%s=%s\n" % (k, v) for k, v in self.settings.items() if v is not None)
        return path

    def start(self):
        """Start (again) and return at once."""
        self._runs += 1
        log = os.path.join(self.folder, "run-%d.log" % self._runs)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LEPTON_") or k == "LEPTON_CPU_DISABLE"}
        environment.update(self.environment)
        self.child = Child([*self.prefix, binary(), "run", self.config_path()], log, env=environment,
                           before_exec=self._before_exec)

    def get(self, path, timeout_s=5):
        """(status, text); (0, "") when nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=timeout_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self):
        self.check_alive()
        return self.get("/readyz")[0] == 200

    def wait_ready(self, timeout_s=40):
        try:
            wait_for(self.ready, timeout_s, "the worker to be ready")
        except TimeoutError as error:
            raise TimeoutError("%s; /readyz says %s\n%s" % (error, self.get("/readyz"), self.child.log_tail())) from None

    def check_alive(self):
        code = self.child.poll()
        if code is not None:
            raise AssertionError("the worker ended with %d\n%s" % (code, self.child.log_tail()))

    def status(self):
        return json.loads(self.get("/status")[1])

    def metrics(self):
        """{'name{labels}': value} of /metrics."""
        values = {}
        for line in self.get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    def metric(self, name):
        """Sum of a metric over its labels."""
        return sum(v for k, v in self.metrics().items() if k == name or k.startswith(name + "{"))

    def stop(self, timeout_s=30):
        """SIGTERM, expect a clean end."""
        self.child.signal(signal.SIGTERM)
        code = self.child.wait(timeout_s)
        self.check_log()
        if code != 0:
            raise AssertionError("SIGTERM: the worker ended with %d\n%s" % (code, self.child.log_tail()))

    def kill(self):
        """kill -9; what it had printed is still searched for sanitizer reports."""
        self.child.kill()
        self.check_log()

    def check_log(self):
        found = SANITIZER_MARKS.search(self.child.log())
        if found:
            log = self.child.log()
            raise AssertionError("sanitizer report:\n" + log[max(0, found.start() - 200):found.start() + 4000])
