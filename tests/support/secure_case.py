"""What the tests of a broker that asks who you are share: workers with topics, rights and credentials of their own."""

import os
import re
import subprocess

from case import KafkaCase, Model, Records
from kafka import temp_folder
from process import wait_for
from registry import FakeRegistry
from secure import KEY_PASSWORD, USERS, Certificates, Rights, client_settings, secure_broker
from worker import binary

RECORDS = 100


def worker_rights(names, group):
    """README, "Rights"."""
    return {"input": ("topic", names["input"], "read"), "group": ("group", group, "read"),
            "output": ("topic", names["predictions"], "write"), "dead": ("topic", names["dead"], "write"),
            "drift": ("topic", names["drift"], "write"), "control": ("topic", names["control"], "read"),
            "status read": ("topic", names["status"], "read"), "status write": ("topic", names["status"], "write"),
            # exactly_once only
            "transactions": ("transactional_id", "lepton-%s-*" % group, "write")}


class SecureCase(KafkaCase):
    @classmethod
    def setUpClass(cls):
        cls.certificates = Certificates()
        cls.broker, cls.ports = secure_broker(os.environ.get("LEPTON_TEST_KAFKA"), cls.certificates)
        cls.folder = temp_folder("models")
        cls.registry = FakeRegistry(certificates=cls.certificates)
        cls.first = Model(cls.folder)
        cls.records = Records(cls.first.manifest, RECORDS)
        cls.producer = cls.broker.producer(linger_ms=0)  # a new one waits half a second for its id
        cls.rights = {listener: Rights(cls.broker, user) for listener, user in USERS.items()}

    def make(self, listener, missing=None, start=True, mechanism="SCRAM-SHA-256", **more):
        """A worker with topics of its own and all rights but one: it comes back with what the test needs of it."""
        settings = self.topics(partitions=1)
        certificates = self.certificates
        settings.update({"registry.ca.path": certificates.ca, "registry.certificate.path": certificates.certificate,
                         "registry.key.path": certificates.locked_key, "registry.key.password": KEY_PASSWORD,
                         "drift.topic": self.names["drift"], "drift.window_s": 1, "drift.lateness_s": 0,
                         "model.uri": self.first.uri, "status.interval_ms": 500,
                         **client_settings(listener, self.ports, certificates, mechanism)})
        settings.update(more)
        worker = self.worker(settings, start=False)
        worker.names, worker.group = self.names, self.prefix + "group"
        worker.rights = worker_rights(self.names, worker.group)
        if listener in self.rights:
            self.rights[listener].grant([right for name, right in worker.rights.items() if name != missing and
                                         (name != "transactions" or settings.get("delivery") == "exactly_once")])
        records = self.records
        self.broker.send(self.names["input"], records.encode(self.input_framing()), keys=records.ids,
                         timestamps=records.times, producer=self.producer)
        if start:
            worker.start()
        return worker

    def wait_log(self, worker, pattern, timeout_s=60):
        wait_for(lambda: re.search(pattern, worker.child.log()), timeout_s,
                 "%r in the log:\n%s" % (pattern, worker.child.log_tail()))

    def check_served(self, worker):
        worker.wait_ready(90)
        names = worker.names
        try:
            self.broker.wait_count(names["predictions"], RECORDS, 90, worker.check_alive)
        except TimeoutError as error:
            seen = {message.key().decode() for message in self.broker.read(names["predictions"])}
            self.fail("%s; of %d records, %d dead letters: missing %s\n%s\n%s" % (
                error, self.broker.count(names["input"]), self.broker.count(names["dead"]),
                sorted(set(self.records.ids) - seen), worker.get("/status")[1], worker.child.log()))

    def lepton(self, settings, verb, *more):
        path = os.path.join(self.folder, "verb.properties")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines("%s=%s\n" % item for item in settings.items() if item[1] is not None)
        done = subprocess.run([binary(), verb, path, *more], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr
