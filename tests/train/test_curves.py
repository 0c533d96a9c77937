"""Loss curves from the same first weights: every epoch within 1e-4 of a network in numpy and double precision."""

import os
import unittest

import bed
import numpy as np
import oracle
import sets

ROWS, VALID, WIDTH, BATCH, EPOCHS = 1000, 100, 10, 32, 10
INIT = os.path.join(sets.FOLDER, "init.safetensors")
X = bed.random_rows(ROWS, WIDTH)
PLANE = X.astype(float) @ np.random.default_rng(5).normal(size=WIDTH) / 2
NOISE = np.random.default_rng(6).normal(size=ROWS)
LABELS = {
    "binary": (PLANE + 0.3 * NOISE > 0).astype(int),
    "random": np.random.default_rng(7).integers(0, 2, size=ROWS),
    "categorical": np.digitize(PLANE + 0.2 * NOISE, [-0.7, 0.7]),
    "number": (PLANE + 0.3 * NOISE).astype(np.float32),
    "count": np.random.default_rng(8).poisson(np.exp(np.clip(0.4 * PLANE, -2, 2))),
}
NAMES = ["f%d" % i for i in range(WIDTH)]


class Curves(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.spec = bed.write("spec.json", bed.plain_spec(NAMES))

    def compare(self, label, kind, *options, init=None, layers="64,64", activation="relu", weight=None, tolerance=1e-4,
                **more):
        y = LABELS[label]
        names, columns = NAMES + ["y"], [*X.T, y]
        if weight is not None:
            names, columns = names + ["w"], columns + [weight]
        data = bed.write("data.csv", bed.csv_of(names, columns))
        common = [data, "--label", "y", "--spec", self.spec, "--layers", layers, "--activation", activation,
                  "--validate", "last:%d" % VALID, "--batch", BATCH, "--in-order", "--raw-label", "--patience", 0,
                  *options]
        if init is None:
            init = bed.path("first.safetensors")
            bed.train(*common, "--epochs", 0, "-o", init)
        got = bed.train(*common, "--init", init, "--epochs", EPOCHS, "-o", bed.path("trained.safetensors"))["epochs"]
        net = oracle.Network(bed.layers_of(init), activation, kind)
        x, y = X.astype(float), y.astype(float)
        weight = None if weight is None else weight[:-VALID].astype(float)
        want = oracle.train(net, x[:-VALID], y[:-VALID], epochs=EPOCHS, batch=BATCH, weight=weight,
                            valid=(x[-VALID:], y[-VALID:]) if "w" not in names else None, **more)
        self.assertEqual(len(got), EPOCHS)
        for epoch, (loss, valid) in zip(got, want):
            self.assertLess(abs(epoch["loss"] - loss), tolerance * max(1, loss))
            if not np.isnan(valid):
                self.assertLess(abs(epoch["valid"]["loss"] - valid), tolerance * max(1, valid))
        self.assertNotAlmostEqual(got[0]["loss"], got[-1]["loss"], 4)

    def test_the_missions_network_on_learnable_labels(self):
        self.compare("binary", "binary", init=INIT, optimizer="adam", rate=0.001)

    def test_the_missions_network_on_random_labels(self):
        self.compare("random", "binary", init=INIT, optimizer="adam", rate=0.001)

    def test_three_classes_with_adamw(self):
        self.compare("categorical", "categorical", "--optimizer", "adamw", "--decay", 0.05, activation="tanh",
                     optimizer="adamw", rate=0.001, decay=0.05)

    def test_half_squared_error_with_momentum(self):
        self.compare("number", "squared", "--optimizer", "momentum", "--rate", 0.01, layers="16",
                     activation="silu", optimizer="momentum", rate=0.01)

    def test_huber_with_plain_descent_and_clipping(self):
        self.compare("number", "huber", "--loss", "huber", "--optimizer", "sgd", "--rate", 0.1, "--clip", 0.2,
                     layers="32,8", activation="leaky_relu", optimizer="sgd", rate=0.1, clip=0.2)

    def test_poisson(self):
        self.compare("count", "poisson", "--loss", "poisson", layers="24", activation="sigmoid", optimizer="adam",
                     rate=0.001)

    def test_logistic_regression_with_penalties(self):
        self.compare("binary", "binary", "--l1", 0.002, "--l2", 0.01, "--rate", 0.01, layers="none",
                     optimizer="adam", rate=0.01, l1=0.002, l2=0.01)

    def test_row_weights(self):
        weight = np.random.default_rng(9).random(ROWS).astype(np.float32)
        self.compare("binary", "binary", "--weight", "w", layers="20", weight=weight, optimizer="adam", rate=0.001)


if __name__ == "__main__":
    unittest.main()
