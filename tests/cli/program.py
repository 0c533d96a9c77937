"""Running the program, and models to run it on: what the tests of the command line share."""

import json
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import bundle  # noqa: E402
import reference  # noqa: E402

LEPTON = os.environ["LEPTON"]
FOLDER = tempfile.TemporaryDirectory(prefix="lepton-cli-")


def path(name):
    return os.path.join(FOLDER.name, name)


def write(name, content):
    with open(path(name), "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path(name)


def run(*arguments, data=None, environment=None, timeout=60):
    """(exit code, stdout, stderr) as text."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("LEPTON_")}
    env.update(environment or {})
    done = subprocess.run([LEPTON, *arguments], input=data.encode() if isinstance(data, str) else data, env=env,
                          capture_output=True, timeout=timeout, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def score(*arguments, data=None, code=0):
    """stdout's lines; the exit code must be `code`."""
    got, out, err = run("score", *arguments, data=data)
    if got != code:
        raise AssertionError("exit %d, wanted %d: %s" % (got, code, err[:500]))
    return out.splitlines(), err


def lines(records):
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records)


class Model:
    """A bundle file, and what numpy says about records."""

    def __init__(self, name, manifest, tensors):
        self.path, self.manifest, self.tensors = path(name), manifest, tensors
        bundle.write_bundle(self.path, manifest, tensors)

    def records(self, count, seed=1, **more):
        return bundle.random_records(self.manifest, self.tensors, count, seed, **more)

    def expect(self, records):
        return reference.score_records(self.manifest, self.tensors, records)


def mlp():
    return Model("mlp.safetensors", *bundle.make_mlp(seed=3, sizes=(4, 8, 1)))


def mixed():
    return Model("mixed.safetensors", *bundle.make_mixed())


def nested():
    """The mixed model without what Avro and CSV cannot spell: a field named m.speed, a category that is empty text."""
    features = [f for f in bundle.mixed_features() if f["name"] != "speed"]
    for feature in features:
        if feature["name"] == "colour":
            feature["encode"]["vocabulary"] = ["red", "grün", "blue, dark", "蓝"]
    probe = {"features": features}
    rows = reference.clean(probe, {}, reference.columns_of(probe, bundle.random_records(probe, {}, 1, 0, 0, 0)))
    width = sum(c.columns.shape[1] for c in rows)
    graph, tensors = bundle.dense_graph(bundle.random_layers(np.random.default_rng(9), (width, 6, 2)), "tanh")
    manifest = bundle.make_manifest("nested", "1", "multiclass", features, graph, "softmax")
    manifest["golden"] = bundle.golden_rows(manifest, tensors, bundle.random_records(manifest, tensors, 4, 5))
    return Model("nested.safetensors", manifest, tensors)
