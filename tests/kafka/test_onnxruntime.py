"""The optional backend under a worker: from lepton's own network to the same model in ONNX Runtime and back, without a
record lost, the scores the same."""
# versions: first

import glob
import os
import subprocess

import numpy as np
import onnxruntime
from sklearn.datasets import load_digits

from case import KafkaCase, main, note
from control import Control
from process import temp_folder
from records import confluent_framing, encode_avro
from test_digits import FIXTURE, PARTITIONS, SCHEMA


class Backend(KafkaCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (library,) = glob.glob(os.path.join(os.path.dirname(onnxruntime.__file__), "capi", "libonnxruntime.so.*"))
        folder = temp_folder("onnxruntime")
        os.symlink(library, os.path.join(folder, "libonnxruntime.so.1"))
        os.environ["LD_LIBRARY_PATH"] = folder
        os.environ["LEPTON_BINARY"] = os.environ["LEPTON_ONNXRUNTIME_BINARY"]

    def imported(self, version, *options):
        out = os.path.join(self.folder, "%s%s.safetensors" % (self.prefix, version))
        command = [os.environ["LEPTON_BINARY"], "import", FIXTURE + ".onnx", "--version", version, "-o", out, *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return out

    def send(self, version):
        """The scores of all records, by `version`."""
        places = [(self.sent + i) % PARTITIONS for i in range(len(self.values))]
        self.broker.send(self.names["input"], self.values, partitions=places)
        self.sent += len(self.values)
        self.broker.wait_count(self.names["predictions"], self.sent, 60, self.worker_.check_alive)
        _, columns = self.predictions()
        mine = columns["version"] == version
        index = (columns["offset"] * PARTITIONS + columns["partition"])[mine] - (self.sent - len(self.values))
        self.assertEqual(sorted(index), list(range(len(self.values))))
        scores = np.empty((len(self.values), 10))
        scores[index] = columns["scores"][mine]
        return scores

    def test_a_swap_to_onnx_runtime_and_back(self):
        settings, self.sent = self.topics(PARTITIONS), 0
        framing = confluent_framing(self.registry.register(self.names["input"] + "-value", SCHEMA))
        pixels = load_digits().data / 16
        self.values = encode_avro(SCHEMA, [{"id": str(i), "pixels": p.tolist()} for i, p in enumerate(pixels)], framing)
        control = Control(self.broker, self.names)
        own = self.imported("own")
        self.worker_ = self.worker({**settings, "model.uri": "file://" + own, "replica.id": "a"})
        scores = [self.send("own")]
        for generation, version, options in ((1, "theirs", ["--backend", "onnxruntime"]), (2, "again", [])):
            control.deploy(generation, self.imported(version, *options))
            control.wait(generation, "live", check=self.worker_.check_alive)
            scores.append(self.send(version))
        self.worker_.stop()
        self.assertLess(np.abs(scores[0] - scores[1]).max(), 2e-6)
        self.assertTrue(np.array_equal(scores[0], scores[2]))
        note("%d records each, at most %.1e apart", len(self.values), np.abs(scores[0] - scores[1]).max())


if __name__ == "__main__":
    main()
