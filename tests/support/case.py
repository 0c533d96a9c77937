"""What the Kafka tests share: a broker for the whole file, topics of one test's own, a worker with a model."""

import itertools
import os
import sys
import unittest

import numpy as np

import kafka
from process import temp_folder
from records import Model, Records, confluent_framing, decode_predictions, schema
from registry import FakeRegistry
from worker import Worker

LONG = bool(os.environ.get("LEPTON_TEST_LONG"))
SANITIZED = bool(os.environ.get("LEPTON_TEST_SANITIZED"))
KEPT_FIELDS = "version,scores,partition,offset"


def scaled(count):
    """Records for a test: a sanitized worker gets a tenth."""
    return count // 10 if SANITIZED else count


class KafkaCase(unittest.TestCase):
    """One broker a file, of the version in LEPTON_TEST_KAFKA; `self.topic(...)` makes topics of this test's own."""

    nodes = 1
    _serial = itertools.count()

    @classmethod
    def setUpClass(cls):
        cls.broker = kafka.Broker(os.environ.get("LEPTON_TEST_KAFKA"), nodes=cls.nodes)
        cls.folder = temp_folder("models")
        cls.registry = FakeRegistry()

    @classmethod
    def tearDownClass(cls):
        cls.broker.stop()
        cls.registry.stop()

    def setUp(self):
        self._workers = []

    def tearDown(self):
        for worker in self._workers:
            if worker.child is not None and worker.child.poll() is None:
                worker.child.kill()

    def topics(self, partitions=4):
        """New input, predictions, dead letters, control and status topics; returns the settings that name them."""
        self.prefix = "t%d-" % next(self._serial)
        names = {key: self.prefix + key for key in ("input", "predictions", "dead", "control", "status", "drift")}
        wide, compacted = ("input", "predictions"), ("control", "status")
        self.broker.create_topics({name: (partitions if key in wide else 1,
                                          {"cleanup_policy": "compact"} if key in compacted else {})
                                   for key, name in names.items()})
        self.names = names
        return {
            "input.topics": names["input"], "output.topic": names["predictions"], "dead_letter.topic": names["dead"],
            "control.topic": names["control"], "status.topic": names["status"], "group.id": self.prefix + "group",
            "registry.url": self.registry.url, "output.fields": KEPT_FIELDS, "model.root.path": self.folder,
        }

    def model(self, version="1", seed=1, **more):
        return Model(self.folder, version, seed, file_name="%s%s.safetensors" % (self.prefix, version), **more)

    def worker(self, settings, **more):
        worker = Worker(self.broker.bootstrap, settings, **more)
        self._workers.append(worker)
        return worker

    def input_framing(self):
        return confluent_framing(self.registry.register(self.names["input"] + "-value", schema()))

    def produce(self, records, partitions=4, framing=None):
        """Write records round robin over the partitions; record i is offset i // partitions of i % partitions."""
        encoded = records.encode(framing or self.input_framing())
        self.broker.send(self.names["input"], encoded, keys=records.ids, timestamps=records.times,
                         partitions=np.arange(records.count) % partitions)

    def predictions(self):
        """(messages, columns) of the whole prediction topic."""
        messages = self.broker.read(self.names["predictions"])
        values = [m.value() for m in messages]
        writer_schema = self.registry.schema(int.from_bytes(values[0][1:5], "big"))
        return messages, decode_predictions(values, writer_schema)

    def check_order(self, messages, columns, duplicates=False):
        """Each prediction sits in its input's partition, and input offsets rise within it."""
        at = np.array([m.partition() for m in messages])
        self.assertTrue(np.array_equal(at, columns["partition"]), "a prediction left its input's partition")
        for partition in np.unique(at):
            offsets = columns["offset"][at == partition]
            if not duplicates:
                self.assertTrue((np.diff(offsets) > 0).all(), "order is lost in partition %d" % partition)

    def check_complete(self, columns, records, partitions=4, duplicates=0):
        """Every input has a prediction; returns how many predictions are more than one an input."""
        index = columns["offset"] * partitions + columns["partition"]
        seen = np.bincount(index, minlength=records.count)
        lost = np.flatnonzero(seen == 0)
        self.assertEqual(len(lost), 0, "%d records lost, first %s" % (len(lost), lost[:5]))
        self.assertEqual(len(seen), records.count)
        extra = int(len(index) - records.count)
        if duplicates is not None:
            self.assertLessEqual(extra, duplicates)
        return extra

    def check_scores(self, columns, expected, partitions=4):
        """Within 1e-5 of numpy, all of them; `expected` [records, outputs] in the order of produce()."""
        index = columns["offset"] * partitions + columns["partition"]
        error = np.abs(columns["scores"] - expected[index]).max()
        self.assertLess(error, 1e-5)
        return float(error)

    def wait_committed(self, timeout_s=20):
        """Until every committed offset is its partition's end."""
        ends = self.broker.ends(self.names["input"])
        group = self.prefix + "group"
        kafka.wait_for(lambda: self.broker.committed(group, self.names["input"]) == ends, timeout_s,
                       "committed offsets %s" % ends, 0.1)


def main():
    """Run a file's tests; prints what they measured after them."""
    result = unittest.main(argv=[sys.argv[0], *sys.argv[1:]], exit=False, verbosity=2).result
    for line in NOTES:
        print("measured: " + line)
    sys.stdout.flush()
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 and not result.skipped else 1)


NOTES = []


def note(text, *values):
    NOTES.append(text % values if values else text)


__all__ = ["KafkaCase", "LONG", "Model", "Records", "SANITIZED", "main", "note", "scaled"]
