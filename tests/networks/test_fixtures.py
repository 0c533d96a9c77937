"""The models of tests/data/networks, as Keras and PyTorch exported them, against ONNX Runtime; of the digits, every label
as the framework that trained the model gave it.

    test_fixtures.py FOLDER
"""
import glob
import os
import sys

import numpy as np
import onnx
from sklearn.datasets import load_digits

import oracle


def feeds_of(rng, path, count):
    model = onnx.load(path)
    high = int(next(p.value for p in model.metadata_props if p.key == "ids_below"))
    feeds = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        shape = [count] + [d.dim_value for d in tensor.shape.dim[1:]]
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        feeds[value.name] = rng.normal(0, 1.5, shape).astype(kind) if kind == np.float32 else \
            rng.integers(0, high, shape).astype(kind)
    return feeds


def check_digits(bundle, labels):
    """Labels of the framework, for all 1,797."""
    pixels = (load_digits().data / 16).astype(np.float32)
    with open(labels, encoding="ascii") as file:
        want = [int(c) for c in file.read().strip()]
    got = oracle.score(bundle, {"pixels": pixels}).argmax(axis=1)
    wrong = np.flatnonzero(got != want)
    return ["digits: %d labels differ, first %s" % (len(wrong), wrong[:5])] if len(wrong) else []


def main():
    models = sorted(glob.glob(os.path.join(sys.argv[1], "*.onnx")))
    assert len(models) >= 5, models
    failures, totals = [], np.zeros(3, int)
    for path in models:
        name, rng = os.path.basename(path), np.random.default_rng(len(path))
        try:
            wrong, some = oracle.check(rng, path, feeds_of(rng, path, 50), name)
            failures += wrong
            totals += some
        except (AssertionError, oracle.Refused) as e:
            failures.append("%s: %s" % (name, e))
    labelled = glob.glob(os.path.join(sys.argv[1], "*.labels"))
    assert labelled
    for labels in labelled:
        oracle.import_model(labels.replace(".labels", ".onnx"), oracle.path("d.safetensors"))
        failures += check_digits(oracle.path("d.safetensors"), labels)
    oracle.report(failures, "%d models, %d numbers, %d within the tolerance, %d within what an ulp of the inputs moves" % (
        len(models), totals[2], totals[0], totals[1]))


if __name__ == "__main__":
    main()
