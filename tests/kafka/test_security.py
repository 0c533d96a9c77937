"""Every way to log in works with exactly the documented rights, and each right that is missing is named."""

import base64
import glob
import http.server
import json
import os
import re
import subprocess
import threading
import time

import confluent_kafka

import secure
from case import main, note
from secure import USERS
from secure_case import SecureCase
from worker import binary

EXACTLY_ONCE = {"delivery": "exactly_once", "replica.id": "once"}


def librdkafka_version():
    text = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.search(r"librdkafka (\d+)\.(\d+)\.(\d+)", text).groups())


class TokenEndpoint:
    """Where an OIDC client fetches its token: a JWT that nobody signed, as the test's broker takes them."""

    def __init__(self, subject):
        def part(value):
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(handler):
                handler.rfile.read(int(handler.headers["Content-Length"]))
                now = int(time.time())
                token = "%s.%s." % (part({"alg": "none"}), part({"sub": subject, "iat": now, "exp": now + 3600}))
                body = json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600}).encode()
                handler.send_response(200)
                handler.send_header("Content-Type", "application/json")
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                handler.wfile.write(body)

            def log_message(self, *_arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/token" % self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


class Security(SecureCase):
    def use_newer_librdkafka(self, worker):
        """The one that the tests' own client carries."""
        library, = glob.glob(os.path.join(os.path.dirname(confluent_kafka.__file__), os.pardir, "confluent_kafka.libs",
                                          "librdkafka-*.so*"))
        os.symlink(library, os.path.join(worker.folder, "librdkafka.so.1"))
        worker.prefix = ["env", "LD_LIBRARY_PATH=" + worker.folder]

    def test_every_mechanism_works_with_exactly_the_documented_rights(self):
        """One worker a mechanism; also the registry asks for a certificate."""
        old = librdkafka_version() < (2, 6, 1)
        refused = old and int(self.broker.version.split(".")[0]) >= 4
        cases = {"TLS": self.make("TLS", start=False), "mutual TLS": self.make("MTLS", start=False),
                 "PLAIN": self.make("PLAIN", start=False), "OAUTHBEARER": self.make("OAUTH", start=False),
                 "exactly once": self.make("MTLS", start=False, **EXACTLY_ONCE)}
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            cases[mechanism] = self.make("SCRAM", start=False, mechanism=mechanism)
            if refused:
                self.use_newer_librdkafka(cases[mechanism])
        endpoint = TokenEndpoint(USERS["OAUTH"])
        self.addCleanup(endpoint.stop)
        oidc = {"kafka.sasl.oauthbearer.method": "oidc", "kafka.sasl.oauthbearer.client.id": secure.CLIENT_ID,
                "kafka.sasl.oauthbearer.client.secret": secure.CLIENT_SECRET,
                "kafka.sasl.oauthbearer.token.endpoint.url": endpoint.url,
                "kafka.enable.sasl.oauthbearer.unsecure.jwt": None, "kafka.sasl.oauthbearer.config": None}
        cases["OIDC"] = self.make("OAUTH", start=False, **oidc)
        self.use_newer_librdkafka(cases["OIDC"])  # Debian 12's is built without
        for worker in cases.values():
            worker.start()
        for name, worker in cases.items():
            self.check_served(worker)
            log = worker.child.log()
            self.assertNotRegex(log, "(?i)authoriz|not_sent", name)
            self.assertEqual("kafka_client_old" in log, old and not refused and name.startswith("SCRAM"), log)
            worker.stop()
        note("Kafka %s: %s", self.broker.version, ", ".join(cases))

    def test_scram_that_librdkafka_cannot_do_is_said_with_the_cure(self):
        if librdkafka_version() >= (2, 6, 1):
            worker = self.make("SCRAM")
            self.check_served(worker)
            self.assertNotIn("kafka_client_old", worker.child.log())
            worker.stop()
            return
        works = self.broker.version.startswith("3.")
        worker = self.make("SCRAM", **({} if works else {"startup.timeout_ms": 5000}))
        self.wait_log(worker, "level=warn event=kafka_client_old .*install librdkafka 2.6.1 or later")
        if works:
            self.check_served(worker)
            worker.stop()
            return
        self.assertEqual(worker.child.wait(20), 1)
        self.assertRegex(worker.child.log_tail(1), "lepton: run: .*install librdkafka 2.6.1 or later.*credentials")

    def test_each_right_that_is_missing_is_named_and_enough_once_it_is_granted(self):
        topic_read = "topic %s: not authorized: grant Read on it"
        topic_write = "topic %s: not authorized: grant Write on it"
        expected = {
            "input": (topic_read, "input"), "output": (topic_write, "predictions"), "dead": (topic_write, "dead"),
            "group": ("grant Read on the group", None),
            "control": ("event=control_waits .*reason=\"%s: .*grant Read", "control"),
            "status read": ("event=control_waits .*reason=\"%s: .*grant Read", "status"),
            "status write": ("event=status_not_sent .*topic %s.*grant .*Write", "status"),
            "drift": ("event=drift_not_sent .*topic %s.*grant .*Write", "drift")}
        workers = {missing: self.make("PLAIN", missing) for missing in expected}
        once = self.make("PLAIN", "transactions", **EXACTLY_ONCE)
        for missing, (pattern, topic) in expected.items():
            worker = workers[missing]
            self.wait_log(worker, pattern % worker.names[topic] if topic else pattern)
            harmless = missing in ("status write", "drift")
            if harmless:
                self.check_served(worker)
            else:
                self.assertEqual(worker.get("/readyz")[0], 503, missing)
                self.assertEqual(self.broker.count(worker.names["predictions"]), 0)
        self.assertEqual(once.child.wait(40), 1)
        self.assertRegex(once.child.log(), "grant Write .*on the transactional id")
        workers["transactions"] = once
        self.rights["PLAIN"].grant([worker.rights[missing] for missing, worker in workers.items()])
        once.start()
        for worker in workers.values():
            self.check_served(worker)
            worker.stop()



if __name__ == "__main__":
    main()
