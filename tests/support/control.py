"""Desired state and status: what `lepton deploy` writes and reads, from outside."""

import hashlib
import json
import os

import jsonschema
from referencing import Registry, Resource

from kafka import ROOT
from process import wait_for


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()


def _schema(name):
    with open(os.path.join(ROOT, "schemas", name), encoding="utf-8") as file:
        return json.load(file)


class Control:
    """The control and status topics of one slot; every record is checked against its schema."""

    def __init__(self, broker, names, slot="default"):
        self.broker, self.names, self.slot = broker, names, slot
        desired = _schema("control.schema.json")
        known = Registry().with_resource("control.schema.json", Resource.from_contents(desired))
        self._desired = jsonschema.Draft202012Validator(desired)
        self._status = jsonschema.Draft202012Validator(_schema("status.schema.json"), registry=known)

    def deploy(self, generation, path, digest=None, **more):
        """Ask for the model at `path` (its own SHA-256 unless given)."""
        active = {"uri": more.pop("uri", "file://" + path), "sha256": digest or sha256(path)}
        state = {"format": 1, "generation": generation, "active": active, **more}
        self._desired.validate(state)
        self.send(json.dumps(state).encode())

    def send(self, value):
        """Any bytes; None retires the slot."""
        self.broker.send(self.names["control"], [value], keys=[self.slot])

    def statuses(self):
        """Every status record of the slot, oldest first; tombstones left out."""
        found = []
        for message in self.broker.read(self.names["status"]):
            if message.value() is None:
                continue
            status = json.loads(message.value())
            self._status.validate(status)
            assert message.key().decode() == "%s/%s" % (status["slot"], status["replica"])
            found.append(status)
        return found

    def wait(self, generation, state, timeout_s=30, check=None):
        """The first status that says so of that generation."""
        def said():
            if check:
                check()
            return next((s for s in self.statuses() if s["generation"] == generation and s["state"] == state), None)
        try:
            return wait_for(said, timeout_s, "status %s of generation %d" % (state, generation), 0.1)
        except TimeoutError as error:
            raise TimeoutError("%s; the last ones: %s" % (error, self.statuses()[-3:])) from None
