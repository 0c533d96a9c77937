#!/usr/bin/env python3
"""Seeds of fuzz_bundle: python3 tests/fuzz/make_bundle_corpus.py tests/fuzz/corpus/bundle"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import bundle  # noqa: E402  (tests/support)

TEXTS = {"tensor": "words", "offsets": "cuts"}


def number(name, **more):
    return {"name": name, "from": name, "kind": "number", **more}


def manifest(features, task="binary", link="sigmoid", **more):
    graph = [{"op": "dense", "input": "features", "output": "h1", "weight": "w1", "bias": "b1", "activation": "elu"},
             {"op": "activation", "input": "h1", "output": "h2", "activation": "leaky_relu", "alpha": 0.2},
             {"op": "dense", "input": "h2", "output": "m", "weight": "w2"}]
    output = {"link": link, "baseline": {"edges": {"tensor": "numbers"}, "counts": [4, 5, 6]}}
    return {"format": 1, "name": "m", "version": "1", "task": task, "features": features, "graph": graph,
            "output": output, **more}


def manifests():
    """They fit the tensors of fuzz_bundle.c: nine columns, one output."""
    mean, reject = {"policy": "mean", "value": 1}, {"policy": "reject"}
    mixed = [
        number("n", missing={"policy": "indicator", "value": 1.5}, outlier={"policy": "clip", "low": -2, "high": 9},
               normalize={"method": "minmax", "min": -2, "max": 6}, baseline={"edges": [0, 1.5], "counts": [1, 2, 3]}),
        {"name": "c", "from": "a.c", "kind": "category", "missing": {"policy": "value", "value": "cdef"},
         "encode": {"method": "onehot", "vocabulary": TEXTS}, "baseline": {"counts": [1, 2, 3], "missing_rate": 0.5}},
        {"name": "h", "from": "h", "kind": "category", "missing": {"policy": "value", "value": "x"},
         "encode": {"method": "hash", "buckets": 3}},
        {"name": "i", "from": "i[2]", "kind": "category", "missing": {"policy": "indicator"},
         "encode": {"method": "index", "vocabulary": ["a", ""], "unknown": False}},
        number("z", missing=mean, normalize={"method": "zscore", "mean": 1, "std": 2}),
    ]
    numbers = [number("r", missing=reject, outlier={"policy": "missing", "high": 1},
                      normalize={"method": "robust", "median": 0, "iqr": 1}),
               number("l", missing=mean, outlier={"policy": "reject", "low": 0}, normalize={"method": "log1p"}),
               {"name": "v", "from": "v", "kind": "vector", "width": 7, "missing": mean, "outlier": {"policy": "keep"},
                "normalize": {"method": "none"}}]
    row = {"record": {"n": 1, "v": [1, None]}, "margin": [0.5], "score": [0.6]}
    yield "mixed", manifest(mixed, labels=["no", "yes"], created="2026-01-01T00:00:00Z",
                            golden={"source": "numpy", "rtol": 1e-5, "atol": 1e-5, "rows": [row]},
                            lineage={"parent": None, "steps": ["a"]}, training={"rows": 1, "metrics": {"auc": 0.5}})
    yield "numbers", manifest(numbers, "regression", "identity", golden={"source": "none"})
    yield "golden", manifest(numbers, "ranking", "identity", golden={
        "source": "lepton", "rtol": 0, "atol": 1,
        "rows": {"records": TEXTS, "margins": {"tensor": "matrix"}, "scores": {"tensor": "matrix"}}})


def graphs():
    """Each op on nine columns, with the tensors of fuzz_bundle.c."""
    image = {"op": "reshape", "input": "features", "output": "x", "shape": [1, 3, 3]}

    def ends(op, more, source="features"):
        return {"op": op, "input": source, "output": "m", **more}

    rowwise = [("activation", {"activation": "prelu", "slope": "nine"}), ("softmax", {"axis": 0}),
               ("add", {"constant": "nine", "reverse": True}), ("slice", {"axis": 0, "start": 1, "end": 8, "step": 3}),
               ("gather", {"axis": 0, "indices": "picks"}), ("unit", {"norm": "l2"}),
               ("embedding", {"table": "i8", "table_scale": "nine", "pool": "mean", "padding_index": 1}),
               ("embedding", {"table": "f16"}), ("onehot", {"values": "b1"}), ("impute", {"constant": "nine"}),
               ("map", {"keys": "numbers", "values": "b1", "default": -1}), ("quantize", {"scale": 0.1, "low": -8, "high": 7}),
               ("dense", {"weight": "i8", "weight_scale": "b1", "input_scale": 0.5, "input_zero_point": 3}),
               ("dense", {"weight": "f16", "activation": "clip", "low": 0})]
    shaped = [("conv2d", {"weight": "kernel", "bias": "b1", "pads": [1, 0, 0, 1], "dilations": [1, 2]}),
              ("pool", {"function": "average", "kernel": [2, 2], "strides": [2, 1], "ceil": True, "count_pad": True}),
              ("transpose", {"perm": [2, 0, 1]}), ("reduce", {"function": "log_sum_exp", "axes": [0, 2], "keep": True}),
              ("norm", {"axis": 1, "weight": "nine", "epsilon": 0.1}), ("log_softmax", {"axis": 2})]
    twice = [("matmul", {"transpose_b": True}), ("concat", {"axis": 2}), ("pow", {})]
    yield from ((op, [ends(op, more)]) for op, more in rowwise)
    yield from ((op, [image, ends(op, more, "x")]) for op, more in shaped)
    for op, more in twice:
        yield op, [image, {"op": op, "inputs": ["x", "x"], "output": "m", **more}]


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name, text in manifests():
        with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as file:
            json.dump(text, file, ensure_ascii=False, separators=(",", ":"))
    vector = [{"name": "v", "from": "v", "kind": "vector", "width": 9, "missing": {"policy": "reject"}}]
    for i, (op, graph) in enumerate(graphs()):
        text = manifest(vector, "regression", "identity")
        text.update(graph=graph, output={"link": "identity"})
        with open(os.path.join(folder, f"op{i:02}_{op}.json"), "w", encoding="utf-8") as file:
            json.dump(text, file, separators=(",", ":"))
    small = bundle.make_mlp(1, (2, 3, 2))
    bundle.write_bundle(os.path.join(folder, "small.safetensors"), *small, inline_max=2)
    for damage in bundle.DAMAGES:
        if damage != "sparse_10gb":
            bundle.write_damaged(os.path.join(folder, damage + ".safetensors"), *small, damage)


if __name__ == "__main__":
    main()
