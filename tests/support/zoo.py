"""Networks that use every op of the graph between them, with golden rows from numpy (graph_ops.py): the golden bundles
of tests/golden, and a walk through the formats that a reader can copy.

    python3 tests/support/zoo.py OUT_FOLDER
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bundle  # noqa: E402  (beside this file)


class Net:
    """A graph that grows by one op a call; each returns its value's name."""

    def __init__(self, seed):
        self.rng, self.graph, self.tensors, self.count = np.random.default_rng(seed), [], {}, 0

    def tensor(self, values, dtype=np.float32):
        name = f"t{len(self.tensors)}"
        self.tensors[name] = np.asarray(values, dtype=dtype)
        return name

    def random(self, *shape, scale=None):
        return self.tensor(self.rng.normal(0, scale or 1 / np.sqrt(max(shape[0], 1)), shape))

    def op(self, kind, source, **members):
        self.count += 1
        ends = {"inputs": source} if isinstance(source, list) else {"input": source}
        self.graph.append({"op": kind, **ends, "output": f"v{self.count}", **members})
        return f"v{self.count}"

    def dense(self, source, inputs, outputs, **members):
        return self.op("dense", source, weight=self.random(inputs, outputs), bias=self.random(outputs, scale=0.1),
                       **members)

    def columns(self, first, end, source="features"):
        return self.op("slice", source, axis=0, start=first, end=end)


def number(name, **more):
    return {"name": name, "from": name, "kind": "number", "missing": {"policy": "reject"}, **more}


def vector(name, width):
    return {"name": name, "from": name, "kind": "vector", "width": width, "missing": {"policy": "reject"}}


def category(name, words):
    return {"name": name, "from": name, "kind": "category", "missing": {"policy": "reject"},
            "encode": {"method": "index", "vocabulary": [f"{name}{i}" for i in range(words)], "unknown": True}}


def finish(name, net, features, seed, task="regression", link="identity"):
    manifest = bundle.make_manifest(name, "1", task, features, net.graph, link)
    return bundle.finish(manifest, net.tensors, seed)


def deepfm(seed=11):
    """Embeddings of every storage, an FM term, a deep part over their concatenation, residuals."""
    net, fields, width = Net(seed), 6, 8
    features = [category(f"c{i}", 9) for i in range(fields)] + [vector("x", 5)]
    parts = []
    for i in range(fields):
        table = net.rng.normal(0, 0.5, (10, width)).astype(np.float32)
        more = {}
        if i % 3 == 1:
            table = table.astype(np.float16)
        elif i % 3 == 2:
            table, more = np.clip(np.rint(table * 60), -127, 127).astype(np.int8), {
                "table_scale": net.tensor(net.rng.uniform(0.005, 0.02, 10))}
        column = net.columns(i, i + 1)
        parts.append(net.op("embedding", column, table=net.tensor(table, table.dtype), **more))
    numbers = net.columns(fields, fields + 5)
    stacked = net.op("concat", parts, axis=0)
    total = net.op("reduce", stacked, function="sum", axes=[0])
    squares = net.op("reduce", net.op("mul", [stacked, stacked]), function="sum", axes=[0])
    fm = net.op("mul", net.op("sub", [net.op("mul", [total, total]), squares]), constant=net.tensor([0.5]))
    interactions = net.op("matmul", [stacked, stacked], transpose_b=True)
    flat = net.op("concat", [net.op("reshape", stacked, shape=[fields * width]), numbers,
                             net.op("reshape", interactions, shape=[fields * fields])], axis=0)
    hidden = net.dense(flat, fields * width + 5 + fields * fields, 24, activation="relu")
    again = net.op("add", [net.dense(hidden, 24, 24), hidden])
    deep = net.dense(net.op("norm", again, axis=0, weight=net.tensor(np.ones(24)), bias=net.tensor(np.zeros(24))), 24, 1)
    net.op("add", [deep, net.op("reduce", fm, function="sum", axes=[0])])
    return finish("deepfm", net, features, seed, "binary", "sigmoid")


def image(seed=12):
    """Convolutions plain, strided, dilated, in groups; both pools; a softmax link."""
    net = Net(seed)
    x = net.op("reshape", "features", shape=[1, 8, 8])
    x = net.op("conv2d", x, weight=net.random(4, 1, 3, 3), bias=net.random(4, scale=0.1), pads=[1, 1, 1, 1],
               activation="relu")
    x = net.op("conv2d", x, weight=net.random(8, 2, 3, 3), pads=[1, 0, 1, 2], strides=[1, 2], group=2)
    x = net.op("activation", x, activation="hard_silu")
    x = net.op("pool", x, function="max", kernel=[2, 2], strides=[2, 1], pads=[1, 0, 0, 0])
    x = net.op("conv2d", x, weight=net.random(8, 1, 2, 2), dilations=[2, 1], group=8, bias=net.random(8, scale=0.1),
               activation="clip", low=0, high=6)
    x = net.op("pool", x, function="average", kernel=[2, 2], strides=[2, 2], pads=[0, 1, 1, 0], ceil=True, count_pad=True)
    y = net.op("reduce", x, function="mean", axes=[1, 2])
    net.dense(y, 8, 5)
    return finish("image", net, [vector("pixels", 64)], seed, "multiclass", "softmax")


def layouts(seed=13):
    """Slices, gathers, transposes, broadcasts, every reduction, both softmaxes on inner axes."""
    net = Net(seed)
    x = net.op("reshape", "features", shape=[2, 3, 4])
    t = net.op("transpose", x, perm=[2, 0, 1])
    picked = net.op("gather", t, axis=0, indices=net.tensor([3, 1, 1], np.int32))
    odd = net.op("slice", x, axis=2, start=1, end=4, step=2)
    parts = [net.op("softmax", t, axis=0), net.op("log_softmax", t, axis=1)]
    added = net.op("add", [net.op("reshape", odd, shape=[2, 1, 3, 2]), net.op("reshape", odd, shape=[1, 6, 1, 2])])
    scaled = net.op("mul", added, constant=net.random(3, 1))
    flat = [net.op("reshape", picked, shape=[18]), net.op("reshape", scaled, shape=[72])]
    flat += [net.op("reshape", p, shape=[24]) for p in parts]
    positive = net.op("add", net.op("activation", x, activation="abs"), constant=net.tensor([0.25]), reverse=True)
    for function in ("sum", "mean", "max", "min", "prod", "l1", "l2", "sum_square", "log_sum_exp"):
        folded = net.op("reduce", positive, function=function, axes=[0, 2] if function != "prod" else [1], keep=True)
        flat.append(net.op("reshape", folded, shape=[3 if function != "prod" else 8]))
    flat.append(net.op("gather", "features", axis=0, indices=net.tensor(7, np.int64)))
    width = 18 + 72 + 24 + 24 + 8 * 3 + 8 + 1
    net.dense(net.op("concat", flat, axis=0), width, 3)
    return finish("layouts", net, [vector("x", 24)], seed)


def arithmetic(seed=14):
    """Every activation and every binary op, with values kept where all are defined."""
    net = Net(seed)
    base = net.op("activation", "features", activation="tanh")
    positive = net.op("add", net.op("activation", base, activation="abs"), constant=net.tensor([0.5]))
    special = {"prelu": {"slope": net.random(12, scale=0.3)}, "clip": {"low": -0.25, "high": 0.5}, "selu": {"alpha": 1.5},
               "celu": {"alpha": 0.7}, "hard_sigmoid": {"alpha": 0.3, "beta": 0.4}, "thresholded_relu": {"alpha": 0.2},
               "elu": {"alpha": 0.5}, "leaky_relu": {"alpha": 0.3}}
    needs_positive, parts = ("log", "sqrt", "reciprocal"), []
    names = ["relu", "sigmoid", "gelu", "gelu_tanh", "silu", "softplus", "softsign", "hard_silu", "mish", "exp", "log",
             "sqrt", "abs", "neg", "reciprocal", "erf", "floor", "ceil", "round", "sign", *special]
    for name in names:
        source = positive if name in needs_positive else "features"
        parts.append(net.op("activation", source, activation=name, **special.get(name, {})))
    for kind in ("add", "sub", "mul", "div", "min", "max", "pow"):
        parts.append(net.op(kind, [positive, net.op("gather", positive, axis=0, indices=net.tensor([2], np.int32))]))
        parts.append(net.op(kind, positive, constant=net.random(12, scale=0.5), reverse=kind in ("sub", "div")))
    net.dense(net.op("concat", parts, axis=0), 12 * len(parts), 4)
    return finish("arithmetic", net, [vector("x", 12)], seed)


def lookups(seed=15):
    """Ids beyond float, one-hot columns, maps, imputation, unit vectors, bags with padding, rounded values."""
    net = Net(seed)
    features = [category("word", 5), {**vector("bag", 4), "outlier": {"policy": "clip", "low": 0, "high": 3}},
                number("big"), {**vector("gaps", 3), "missing": {"policy": "keep"}}]
    parts = [net.op("onehot", net.columns(0, 1), values=net.tensor(np.arange(6)))]
    parts[0] = net.op("reshape", parts[0], shape=[6])
    bag = net.op("activation", net.columns(1, 5), activation="floor")
    for i, pool in enumerate(("sum", "mean", "max")):
        more = {"padding_index": 0} if i < 2 else {}
        parts.append(net.op("embedding", bag, table=net.random(4, 3), pool=pool, **more))
    parts.append(net.op("map", net.columns(0, 1), keys=net.tensor([4, 0, 2], np.float64),
                        values=net.tensor([1, -1, 0.5]), default=0.25))
    gaps = net.op("impute", net.columns(6, 9), constant=net.tensor([0.5, -0.5, 1]))
    parts += [net.op("unit", gaps, norm=kind) for kind in ("l1", "l2", "max")]
    parts.append(net.op("quantize", gaps, scale=0.05, zero_point=3, low=-20, high=20))
    parts.append(net.op("impute", gaps, constant=net.tensor([2]), missing=0.5))
    parts.append(net.op("activation", net.columns(5, 6), activation="tanh"))
    width = 6 + 9 + 1 + 9 + 3 + 3 + 1
    net.dense(net.op("concat", parts, axis=0), width, 2)
    return finish("lookups", net, features, seed)


def quantized(seed=16):
    """Layers in int8 with static and dynamic input scales and in half floats. The first reads the row itself: behind a
    rounding, an input that numpy has a hair apart could fall to the next step of 1 / 255."""
    net = Net(seed)
    parts = []
    for i, more in enumerate(({}, {"input_scale": 0.03125, "input_zero_point": 120})):
        weight = net.rng.integers(-127, 128, (20, 17)).astype(np.int8)
        scale = net.rng.uniform(0.001, 0.01, 17 if i == 0 else 1)
        parts.append(net.op("dense", "features", weight=net.tensor(weight, np.int8), weight_scale=net.tensor(scale),
                            bias=net.random(17, scale=0.1), activation="relu" if i else "tanh", **more))
    half = net.rng.normal(0, 0.3, (20, 9)).astype(np.float16)
    parts.append(net.op("dense", "features", weight=net.tensor(half, np.float16)))
    net.dense(net.op("concat", parts, axis=0), 43, 3)
    return finish("quantized", net, [vector("x", 20)], seed)


NETS = (deepfm, image, layouts, arithmetic, lookups, quantized)


def main():
    for make in NETS:
        manifest, tensors = make()
        bundle.write_bundle(os.path.join(sys.argv[1], f"{make.__name__}.safetensors"), manifest, tensors)


if __name__ == "__main__":
    main()
