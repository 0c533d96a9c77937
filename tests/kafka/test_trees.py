"""Trees as networks are served: a worker goes from a network to an XGBoost model and on to a LightGBM one, both as
`lepton import` made them, and each prediction is what the library that trained the model says."""
# versions: first

import os
import subprocess

import lightgbm
import numpy as np
import xgboost

from case import KafkaCase, Records, main, note
from control import Control
from worker import binary

BATCH, PARTITIONS, FEATURES = 4000, 4, 10


class Trees(KafkaCase):
    def imported(self, model, version):
        path = os.path.join(self.folder, version + ".safetensors")
        subprocess.run([binary(), "import", model, "--name", "trees", "--version", version, "-o", path], check=True,
                       stdout=subprocess.DEVNULL)
        return path

    def trained(self, values, target):
        """(XGBoost's booster, LightGBM's booster) and their files."""
        names = ["f%d" % i for i in range(FEATURES)]
        first = xgboost.train({"objective": "binary:logistic", "max_depth": 5, "nthread": 1, "seed": 1},
                              xgboost.DMatrix(values, target, feature_names=names), 40)
        second = lightgbm.train({"objective": "binary", "num_leaves": 31, "num_threads": 1, "verbose": -1, "seed": 1},
                                lightgbm.Dataset(values.astype(np.float64), target, feature_name=names), 40)
        files = [os.path.join(self.folder, name) for name in ("m.ubj", "m.txt")]
        first.save_model(files[0])
        second.save_model(files[1])
        return first, second, files

    def score_next(self, version, expect):
        """Send a batch; all of it is scored by `version` as `expect` says of its values."""
        records = Records(self.network.manifest, BATCH, seed=self.sent + 1, first=self.sent, outliers=0.02)
        records.values[np.random.default_rng(self.sent).random(records.values.shape) < 0.05] = np.nan
        if version == "1":
            records.values[np.isnan(records.values)] = 0
        self.produce(records)
        self.sent += BATCH
        self.broker.wait_count(self.names["predictions"], self.sent, 60, self.worker_.check_alive)
        _, columns = self.predictions()
        index = columns["offset"] * PARTITIONS + columns["partition"] - (self.sent - BATCH)
        mine = index >= 0
        self.assertEqual(set(columns["version"][mine]), {version})
        self.assertEqual(sorted(index[mine]), list(range(BATCH)))
        if expect is None:
            return
        want = np.empty(BATCH)
        want[:] = expect(records.values)
        error = np.abs(columns["scores"][mine][:, 0] - want[index[mine]]).max()
        self.assertLess(error, 2e-6)
        note("%s: %d predictions, at most %.1e from the library's", version, BATCH, error)

    def test_a_network_gives_way_to_xgboost_and_to_lightgbm(self):
        settings = self.topics(PARTITIONS)
        self.network = self.model("1")
        rng = np.random.default_rng(5)
        values = Records(self.network.manifest, 3000).values.copy()
        values[rng.random(values.shape) < 0.05] = np.nan
        score = np.nan_to_num(values[:, 0] - np.nanmedian(values[:, 0])) * np.where(np.isnan(values[:, 1]), -1, 1)
        first, second, files = self.trained(values, (score > 0).astype(float))
        control = Control(self.broker, self.names)
        self.sent = 0
        self.worker_ = self.worker({**settings, "model.uri": self.network.uri, "replica.id": "a"})
        self.score_next("1", None)
        control.deploy(1, self.imported(files[0], "xgboost"))
        control.wait(1, "live", check=self.worker_.check_alive)
        self.score_next("xgboost", lambda rows: first.inplace_predict(rows, validate_features=False))
        control.deploy(2, self.imported(files[1], "lightgbm"))
        control.wait(2, "live", check=self.worker_.check_alive)
        self.score_next("lightgbm", lambda rows: second.predict(rows.astype(np.float64), num_threads=1))
        self.worker_.stop()


if __name__ == "__main__":
    main()
