"""Running `lepton train`, for the tests of this folder."""

import json
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import bundle  # noqa: E402

LEPTON = os.environ["LEPTON"]
FOLDER = tempfile.TemporaryDirectory(prefix="lepton-train-")


def path(name):
    return os.path.join(FOLDER.name, name)


def write(name, text):
    with open(path(name), "w", newline="") as file:
        file.write(text)
    return path(name)


def run(*arguments, launcher=(), timeout=120):
    """(exit code, stdout, stderr)"""
    done = subprocess.run([*launcher, LEPTON, "train", *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, check=False)
    return done.returncode, done.stdout, done.stderr


def train(*arguments, **more):
    """The JSON lines by event: {"start": {...}, "epochs": [...], "done": {...}}"""
    code, out, err = run(*arguments, "--json", **more)
    if code != 0:
        raise AssertionError("exit %d: %s" % (code, err))
    events = [json.loads(line) for line in out.splitlines()]
    return {"start": next(e for e in events if e["event"] == "start"),
            "epochs": [e for e in events if e["event"] == "epoch"],
            "folds": [e for e in events if e["event"] == "fold"],
            "done": next(e for e in events if e["event"] == "done")}


def layers_of(file):
    """[(weight, bias)] of a bundle that train wrote"""
    tensors = bundle.read_bundle(file)[1]
    count = sum(name.endswith(".weight") for name in tensors)
    return [(tensors["layer%d.weight" % i], tensors["layer%d.bias" % i]) for i in range(count)]


def plain_spec(columns):
    """Features that are the columns as they are."""
    return json.dumps({"features": [{"name": c, "from": c, "kind": "number", "missing": {"policy": "reject"}}
                                    for c in columns]})


def csv_of(names, columns):
    rows = [",".join(names)]
    rows += [",".join(repr(v.item()) for v in row) for row in zip(*columns)]
    return "\n".join(rows) + "\n"


def same_bytes(a, b):
    with open(a, "rb") as first, open(b, "rb") as second:
        return first.read() == second.read()


def random_rows(count, width, seed=3):
    """Inputs that a float holds exactly."""
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
