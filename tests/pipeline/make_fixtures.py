#!/usr/bin/env python3
"""Models and records of the pipeline tests, with the scores that numpy gives.

    python3 tests/pipeline/make_fixtures.py      (writes tests/data/pipeline/)

a, b, c: the same features, other weights, versions "1", "2", "3". Feature f0 keeps outliers, so that 1e39 (infinite as a
float) makes the score NaN; f3 rejects missing values. wide reads a fifth field; shape, golden and truncated are damaged.
"""
import json
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import bundle  # noqa: E402
import reference  # noqa: E402

FOLDER = os.path.join(HERE, "..", "data", "pipeline")
HUGE = {"f0": 1e39, "f1": 1.0, "f2": 1.0, "f3": 1.0}


def features(count):
    made = []
    for i in range(count):
        feature = {"name": f"f{i}", "from": f"f{i}", "kind": "number", "missing": {"policy": "mean", "value": i + 0.5},
                   "outlier": {"policy": "clip", "low": i - 8.0, "high": i + 8.0},
                   "normalize": {"method": "zscore", "mean": i + 0.5, "std": 2.0}}
        made.append(feature)
    made[0]["outlier"] = {"policy": "keep"}
    made[3]["missing"] = {"policy": "reject"}
    return made


def make(seed, version, count=4):
    rng = np.random.default_rng(seed)
    graph, tensors = bundle.dense_graph(bundle.random_layers(rng, (count, 8, 1)))
    manifest = bundle.make_manifest("pipeline", version, "binary", features(count), graph, "sigmoid", threshold=0.5)
    return bundle.finish(manifest, tensors, seed)


def literal(value):
    return "NAN" if value is None else repr(value)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    models = {name: make(seed, version) for name, seed, version in (("a", 11, "1"), ("b", 15, "2"), ("c", 17, "3"))}
    for name, (manifest, tensors) in models.items():
        bundle.write_bundle(os.path.join(FOLDER, name + ".safetensors"), manifest, tensors)
        with np.errstate(all="ignore"):
            assert np.isnan(reference.score_records(manifest, tensors, [HUGE]).scores).all(), name
    bundle.write_bundle(os.path.join(FOLDER, "wide.safetensors"), *make(19, "4", 5))
    for damage in ("shape", "golden", "truncate"):
        bundle.write_damaged(os.path.join(FOLDER, damage + ".safetensors"), *make(23, damage), damage)
    manifest, tensors = models["a"]
    records = bundle.random_records(manifest, tensors, 64, 5, missing=0)
    records += bundle.random_records(manifest, tensors, 36, 6, missing=0.3)
    scores = [reference.score_records(m, t, records).scores[:, 0] for m, t in models.values()]
    with open(os.path.join(FOLDER, "cases.inc"), "w") as file:
        file.write(f"/* Made by tests/pipeline/make_fixtures.py: records, and their scores by a, b and c as numpy "
                   f"{np.__version__} has them. */\n")
        for i, record in enumerate(records):
            text = json.dumps(json.dumps(record))
            fields = ", ".join(literal(record.get(f"f{k}")) for k in range(4))
            answers = ", ".join(f"{s[i]:.9g}" for s in scores)
            file.write(f"{{{text}, {{{fields}}}, {{{answers}}}}},\n")
    with open(os.path.join(FOLDER, "row.avsc"), "w") as file:
        json.dump({"type": "record", "name": "Row", "namespace": "lepton.test",
                   "fields": [{"name": f"f{k}", "type": "double"} for k in range(4)]}, file)
        file.write("\n")


if __name__ == "__main__":
    main()
