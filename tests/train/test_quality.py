"""Real data, default options: as good as scikit-learn's MLP on the same rows, within one standard deviation of its five
seeds, or better. tests/data/train/references.json has its results (make_references.py)."""

import json
import os
import subprocess
import unittest

import bed
import numpy as np
import sets

with open(os.path.join(sets.FOLDER, "references.json")) as file:
    QUALITY = json.load(file)["quality"]


def scores(model, data):
    done = subprocess.run([bed.LEPTON, "score", model, data], capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(name, answers, labels):
    kind = sets.SETS[name][2]
    if kind == "accuracy":
        return np.mean([a["label"] == y for a, y in zip(answers, labels)])
    got, y = np.array([a["scores"][0] for a in answers]), np.array(labels, float)
    if kind == "rmse":
        return np.sqrt(np.mean((got - y) ** 2))
    got = np.clip(got, 1e-15, 1 - 1e-15)
    return -np.mean(y * np.log(got) + (1 - y) * np.log(1 - got))


def result(name, seed, *options):
    header, rows, held = sets.shuffled(name, seed)
    label = sets.SETS[name][1]
    data = bed.write("rows.csv", sets.as_text(header, rows[:-held]))
    test = bed.write("held.csv", sets.as_text(header, rows[-held:]))
    bed.train(data, "--label", label, "--seed", seed, "-o", bed.path("model.safetensors"), *options)
    return measure(name, scores(bed.path("model.safetensors"), test), [r[header.index(label)] for r in rows[-held:]])


class Quality(unittest.TestCase):
    pass


def add(name):
    def test(self):
        got = np.mean([result(name, seed) for seed in sets.SEEDS])
        want, rises = QUALITY[name], sets.SETS[name][3]
        print("%s: %s %.4f, scikit-learn's %.4f +- %.4f" % (name, want["measure"], got, want["mean"], want["deviation"]))
        bound = want["mean"] - want["deviation"] if rises else want["mean"] + want["deviation"]
        self.assertTrue(got >= bound if rises else got <= bound, "%g, bound %g" % (got, bound))

    setattr(Quality, "test_" + name, test)


for each in sets.SETS:
    add(each)

if __name__ == "__main__":
    unittest.main()
