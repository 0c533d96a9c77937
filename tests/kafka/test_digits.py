"""Digits: an MLP of scikit-learn's and a convolution that Keras trained, both as ONNX files, imported and served from
Kafka: a record is an array of 64 numbers, and every label is the one that the framework gave."""
# versions: first

import json
import os
import subprocess
import warnings

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from case import KafkaCase, main, note
from control import Control
from records import confluent_framing, encode_avro
from worker import binary

PARTITIONS = 4
FIXTURE = os.path.join(os.path.dirname(__file__), "..", "data", "networks", "keras_digits")
SCHEMA = {"type": "record", "name": "Image", "fields": [
    {"name": "id", "type": "string"}, {"name": "pixels", "type": {"type": "array", "items": "float"}}]}


class Digits(KafkaCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        data = load_digits()
        cls.pixels, cls.target = (data.data / 16).astype(np.float32), data.target
        cls.held_out = np.arange(len(cls.pixels)) % 4 == 0
        with open(FIXTURE + ".labels", encoding="ascii") as file:
            cls.cnn_labels = np.array([int(c) for c in file.read().strip()])

    def imported(self, path, version):
        out = os.path.join(self.folder, "%s%s.safetensors" % (self.prefix, version))
        subprocess.run([binary(), "import", path, "--name", "digits", "--version", version, "-o", out], check=True,
                       stdout=subprocess.DEVNULL)
        return out

    def mlp(self):
        """(file, labels) of a network that scikit-learn trained now."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = MLPClassifier((32, 16), max_iter=60, random_state=3).fit(self.pixels[~self.held_out],
                                                                            self.target[~self.held_out])
        made = to_onnx(model, initial_types=[("pixels", FloatTensorType([None, 64]))], target_opset=17,
                       options={id(model): {"zipmap": False}})
        path = os.path.join(self.folder, self.prefix + "mlp.onnx")
        with open(path, "wb") as file:
            file.write(made.SerializeToString())
        return path, model.predict(self.pixels)

    def records(self):
        return [{"id": str(i), "pixels": p.tolist()} for i, p in enumerate(self.pixels)]

    def send(self, values):
        places = [(self.sent + i) % PARTITIONS for i in range(len(values))]
        self.broker.send(self.names["input"], values, partitions=places)
        self.sent += len(values)
        self.broker.wait_count(self.names["predictions"], self.sent, 60, self.worker_.check_alive)

    def check_labels(self, index, scores, labels, what):
        """Each record once, its largest score where the framework's is."""
        self.assertEqual(sorted(index), list(range(len(labels))))
        got = np.empty(len(labels), int)
        got[index] = scores.argmax(axis=1)
        self.assertEqual(np.flatnonzero(got != labels).tolist(), [])
        right = (got == self.target)[self.held_out]
        note("%s: %d labels as the framework's, %d of %d held out are right", what, len(got), right.sum(), right.size)
        self.assertGreater(right.mean(), 0.9)

    def check_last(self, version, labels):
        _, columns = self.predictions()
        mine = columns["version"] == version
        index = (columns["offset"] * PARTITIONS + columns["partition"])[mine] - (self.sent - len(labels))
        self.check_labels(index, columns["scores"][mine], labels, version)

    def test_avro_arrays_by_an_mlp_and_then_by_a_convolution(self):
        settings, self.sent = self.topics(PARTITIONS), 0
        path, labels = self.mlp()
        framing = confluent_framing(self.registry.register(self.names["input"] + "-value", SCHEMA))
        values = encode_avro(SCHEMA, self.records(), framing)
        control = Control(self.broker, self.names)
        self.worker_ = self.worker({**settings, "model.uri": "file://" + self.imported(path, "mlp"), "replica.id": "a"})
        self.send(values)
        self.check_last("mlp", labels)
        control.deploy(1, self.imported(FIXTURE + ".onnx", "cnn"))
        control.wait(1, "live", check=self.worker_.check_alive)
        self.send(values)
        self.check_last("cnn", self.cnn_labels)
        self.worker_.stop()

    def test_json_arrays_by_a_convolution(self):
        settings, self.sent = self.topics(PARTITIONS), 0
        uri = "file://" + self.imported(FIXTURE + ".onnx", "cnn")
        self.worker_ = self.worker({**settings, "model.uri": uri, "input.format": "json", "output.format": "json",
                                    "registry.url": None})
        self.send([json.dumps(r).encode() for r in self.records()])
        rows = [json.loads(m.value()) for m in self.broker.read(self.names["predictions"])]
        index = np.array([r["offset"] * PARTITIONS + r["partition"] for r in rows])
        self.check_labels(index, np.array([r["scores"] for r in rows]), self.cnn_labels, "json")
        self.worker_.stop()


if __name__ == "__main__":
    main()
