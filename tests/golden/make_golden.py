#!/usr/bin/env python3
"""Bundles, records and what numpy (float64) makes of them, for tests/golden/test_golden.c.

    python3 tests/golden/make_golden.py [tests/data/golden]

Each NAME gives NAME.safetensors, NAME.jsonl (one record a line) and NAME.f64: little-endian doubles, first record_count,
column_count, feature_count, output_count, then for each record: 1 + index of the feature that rejects it, or 0 (the rest
of a rejected record means nothing); the cleaned row; what drift observes, one a feature; margins; scores.
"""
import json
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import bundle  # noqa: E402
import reference  # noqa: E402
import zoo  # noqa: E402

ACTIVATIONS = ["relu", "leaky_relu", "elu", "tanh", "sigmoid", "gelu", "gelu_tanh", "silu", "softplus"]


def make_chain():
    """Activations as ops of their own, one on the features, two in a row, one after a fused one; identity link."""
    rng = np.random.default_rng(7)
    (w0, b0), (w1, b1), (w2, _) = bundle.random_layers(rng, (10, 33, 16, 2))
    tensors = {"w0": w0, "b0": b0, "w1": w1, "b1": b1, "w2": w2}
    graph = [
        {"op": "activation", "input": "features", "output": "squeezed", "activation": "tanh"},
        {"op": "dense", "input": "squeezed", "output": "a", "weight": "w0", "bias": "b0"},
        {"op": "activation", "input": "a", "output": "b", "activation": "elu", "alpha": 0.5},
        {"op": "activation", "input": "b", "output": "c", "activation": "leaky_relu", "alpha": 0.1},
        {"op": "dense", "input": "c", "output": "d", "weight": "w1", "bias": "b1", "activation": "silu"},
        {"op": "activation", "input": "d", "output": "e", "activation": "softplus"},
        {"op": "dense", "input": "e", "output": "margin", "weight": "w2"},
    ]
    manifest = bundle.make_manifest("chain", "1", "regression", bundle.mlp_features(rng, 10, False), graph, "identity")
    return bundle.finish(manifest, {k: np.asarray(v, dtype=np.float32) for k, v in tensors.items()}, 7)


def models():
    yield "mlp_10_64_64_1", bundle.make_mlp(1, (10, 64, 64, 1)), 150
    yield "mlp_784_32_32_10", bundle.make_mlp(2, (784, 32, 32, 10), vector=True), 5
    yield "logistic", bundle.make_mlp(3, (10, 1)), 40
    yield "mixed", bundle.make_mixed(), 100
    yield "chain", make_chain(), 40
    for make in zoo.NETS:
        yield "net_" + make.__name__, make(), 40
    for seed, name in enumerate(ACTIVATIONS):
        yield "activation_" + name, bundle.make_mlp(seed + 20, (10, 19, 7, 3), activation=name), 30


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "..", "data", "golden")
    os.makedirs(folder, exist_ok=True)
    for name, (manifest, tensors), count in models():
        bundle.write_bundle(os.path.join(folder, name + ".safetensors"), manifest, tensors)
        records = bundle.random_records(manifest, tensors, count, 99, 0.05, 0.05)
        if name == "mixed":
            for record in records[::7]:
                record["m.speed"] = None if record.get("constant") is None else 51.0
        scored = reference.score_records(manifest, tensors, records)
        names = [f["name"] for f in manifest["features"]]
        rejected = np.array([[0 if r is None else 1 + names.index(r)] for r in scored.rejected], dtype=np.float64)
        rows = np.hstack([c.columns for c in scored.cleaned])
        observed = np.stack([c.observed for c in scored.cleaned], axis=1)
        block = np.hstack([rejected, rows, observed, scored.margins, scored.scores])
        sizes = [len(records), rows.shape[1], len(names), scored.margins.shape[1]]
        with open(os.path.join(folder, name + ".jsonl"), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in records)
        with open(os.path.join(folder, name + ".f64"), "wb") as file:
            file.write(np.array(sizes, dtype="<f8").tobytes() + block.astype("<f8").tobytes())


if __name__ == "__main__":
    main()
