"""The ops of a network graph in numpy, from the formulas of ONNX's operators and of schemas/bundle.schema.json: float64
throughout, save what is defined in float32 or integers (the quantization of int8 layers, bfloat16).

    values = run(manifest["graph"], tensors, {"features": rows})       rows float64 [n, columns]
"""
import math

import numpy as np

erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def softplus(x):
    return np.logaddexp(0, x)


# name: (function of x, alpha, beta; alpha and beta where absent)
ACTIVATIONS = {
    "none": (lambda x, a, b: x, 0, 0),
    "relu": (lambda x, a, b: np.where(x < 0, 0.0, x), 0, 0),
    "leaky_relu": (lambda x, a, b: np.where(x < 0, a * x, x), 0.01, 0),
    "elu": (lambda x, a, b: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x), 1, 0),
    "selu": (lambda x, a, b: b * np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x), 1.67326319217681884765625,
             1.05070102214813232421875),
    "celu": (lambda x, a, b: np.maximum(0, x) + np.minimum(0, a * np.expm1(np.minimum(x, 0) / a)), 1, 0),
    "tanh": (lambda x, a, b: np.tanh(x), 0, 0),
    "sigmoid": (lambda x, a, b: sigmoid(x), 0, 0),
    "gelu": (lambda x, a, b: x / 2 * (1 + erf(x / math.sqrt(2))), 0, 0),
    "gelu_tanh": (lambda x, a, b: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), 0, 0),
    "silu": (lambda x, a, b: x * sigmoid(x), 0, 0),
    "softplus": (lambda x, a, b: softplus(x), 0, 0),
    "softsign": (lambda x, a, b: x / (1 + np.abs(x)), 0, 0),
    "hard_sigmoid": (lambda x, a, b: np.clip(a * x + b, 0, 1), 0.2, 0.5),
    "hard_silu": (lambda x, a, b: x * np.clip(x / 6 + 0.5, 0, 1), 0, 0),
    "mish": (lambda x, a, b: x * np.tanh(softplus(x)), 0, 0),
    "thresholded_relu": (lambda x, a, b: np.where(x > a, x, 0.0), 1, 0),
    "exp": (lambda x, a, b: np.exp(x), 0, 0),
    "log": (lambda x, a, b: np.log(x), 0, 0),
    "sqrt": (lambda x, a, b: np.sqrt(x), 0, 0),
    "abs": (lambda x, a, b: np.abs(x), 0, 0),
    "neg": (lambda x, a, b: -x, 0, 0),
    "reciprocal": (lambda x, a, b: 1 / x, 0, 0),
    "erf": (lambda x, a, b: erf(x), 0, 0),
    "floor": (lambda x, a, b: np.floor(x), 0, 0),
    "ceil": (lambda x, a, b: np.ceil(x), 0, 0),
    "round": (lambda x, a, b: np.rint(x), 0, 0),
    "sign": (lambda x, a, b: np.sign(x), 0, 0),
}


def activate(op, x, tensors):
    name = op.get("activation", "none")
    if name == "clip":
        return np.clip(x, op.get("low", -math.inf), op.get("high", math.inf))
    if name == "prelu":
        return np.where(x < 0, tensors[op["slope"]].astype(np.float64) * x, x)
    function, alpha, beta = ACTIVATIONS[name]
    return function(x, op.get("alpha", alpha), op.get("beta", beta))


def widen(array):
    """float64 of a tensor; bfloat16 tensors come as uint16."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return array.astype(np.float64)


def to_bfloat16(x):
    """Rounded to bfloat16, halves to even, as float64."""
    bits = np.asarray(x, dtype=np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7fff) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded & np.uint32(0xffff0000)).view(np.float32).astype(np.float64)


def dense_int8(op, x, weight, tensors):
    """In float32 and integers, as the formula says; one row of the layer after the other."""
    x = x.astype(np.float32)
    scale, zero = np.float32(op.get("input_scale", 0)), op.get("input_zero_point", 0)
    if "input_scale" in op:
        scale, zero = np.full(x.shape[:-1] + (1,), scale), np.full(x.shape[:-1] + (1,), zero, dtype=np.float32)
    else:
        low = np.minimum(x.min(axis=-1, keepdims=True), np.float32(0))
        high = np.maximum(x.max(axis=-1, keepdims=True), np.float32(0))
        scale = (high - low) / np.float32(255)
        scale[scale == 0] = 1
        zero = np.clip(np.rint(-low * (np.float32(1) / scale)), 0, 255)
    q = np.clip(np.rint(x * (np.float32(1) / scale)) + zero, 0, 255).astype(np.int64) - zero.astype(np.int64)
    return (q @ weight.astype(np.int64)).astype(np.float64) * scale * tensors[op["weight_scale"]].astype(np.float64)


def dense(op, x, tensors):
    weight = tensors[op["weight"]]
    if weight.dtype == np.int8:
        y = dense_int8(op, x, weight, tensors)
    elif weight.dtype == np.uint16:
        y = to_bfloat16(x) @ widen(weight)
    else:
        y = x @ widen(weight)
    return activate(op, y + (tensors[op["bias"]].astype(np.float64) if "bias" in op else 0), tensors)


def axes_of(op, key="axis"):
    """Axes do not count the rows."""
    return op[key] + 1 if isinstance(op[key], int) else tuple(a + 1 for a in op[key])


def softmax(op, x, _):
    axis = axes_of(op)
    shifted = x - x.max(axis=axis, keepdims=True)
    total = np.exp(shifted).sum(axis=axis, keepdims=True)
    return np.exp(shifted) / total if op["op"] == "softmax" else shifted - np.log(total)


BINARY = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "min": np.minimum, "max": np.maximum,
          "pow": np.power}


def aligned(a, b):
    """Both with the rank of the larger, ones behind the rows."""
    rank = max(a.ndim, b.ndim)
    return [v.reshape(v.shape[:1] + (1,) * (rank - v.ndim) + v.shape[1:]) for v in (a, b)]


def binary(op, inputs, tensors):
    if len(inputs) == 2:
        a, b = aligned(*inputs)
    else:
        a, b = aligned(inputs[0], tensors[op["constant"]].astype(np.float64)[None])
        if op.get("reverse"):
            a, b = b, a
    y = BINARY[op["op"]](a, b)
    return y


def matmul(op, inputs, _):
    a, b = aligned(*inputs)
    return a @ (np.swapaxes(b, -1, -2) if op.get("transpose_b") else b)


def reduce(op, x, _):
    axes, keep, function = axes_of(op, "axes"), op.get("keep", False), op["function"]
    simple = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "prod": np.prod}
    if function in simple:
        y = simple[function](x, axis=axes, keepdims=keep)
    elif function == "log_sum_exp":
        top = x.max(axis=axes, keepdims=True)
        y = np.log(np.exp(x - top).sum(axis=axes, keepdims=keep)) + (top if keep else np.squeeze(top, axes))
    else:
        y = (np.abs(x) if function == "l1" else x * x).sum(axis=axes, keepdims=keep)
        y = np.sqrt(y) if function == "l2" else y
    return y.reshape(-1, 1) if y.ndim == 1 else y


def embedding(op, ids, tensors):
    table = widen(tensors[op["table"]])
    if "table_scale" in op:
        table = table * tensors[op["table_scale"]].astype(np.float64)[:, None]
    good = (ids >= 0) & (ids < len(table)) & (ids == np.floor(ids))
    rows = table[np.where(good, ids, 0).astype(np.int64)]
    rows[~good] = np.nan
    if op.get("pool", "none") == "none":
        return rows
    counts = ids != op.get("padding_index", -1)
    weight = counts[:, :, None].astype(np.float64)
    if op["pool"] == "max":
        y = np.where(counts[:, :, None], rows, -np.inf).max(axis=1)
        return np.where(counts.any(axis=1)[:, None], y, 0.0)
    total = np.where(counts[:, :, None], rows, 0.0).sum(axis=1)
    return total / np.maximum(weight.sum(axis=1), 1) if op["pool"] == "mean" else total


def mapped(op, x, tensors):
    table = dict(zip(tensors[op["keys"]].tolist(), tensors[op["values"]].astype(np.float64).tolist()))
    return np.array([table.get(v, op["default"]) for v in x.ravel().tolist()]).reshape(x.shape)


def impute(op, x, tensors):
    gone = x == op["missing"] if "missing" in op else np.isnan(x)
    return np.where(gone, tensors[op["constant"]].astype(np.float64), x)


def unit(op, x, _):
    norms = {"l1": lambda: np.abs(x).sum(axis=-1, keepdims=True),
             "l2": lambda: np.sqrt((x * x).sum(axis=-1, keepdims=True)),
             "max": lambda: x.max(axis=-1, keepdims=True)}
    by = norms[op["norm"]]()
    return x / np.where(by == 0, 1, by)


def norm(op, x, tensors):
    axes = tuple(range(op["axis"] + 1, x.ndim))
    mean = x.mean(axis=axes, keepdims=True)
    y = (x - mean) / np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + op.get("epsilon", 1e-5))
    shape = x.shape[op["axis"] + 1:]
    if "weight" in op:
        y = y * tensors[op["weight"]].astype(np.float64).reshape(shape)
    return y + (tensors[op["bias"]].astype(np.float64).reshape(shape) if "bias" in op else 0)


def windows(op, x, kernel, out, filler):
    """[n, C, H', W', kh, kw] with the padding filled."""
    strides, dilations = op.get("strides", [1, 1]), op.get("dilations", [1, 1])
    top, left, _, _ = op.get("pads", [0, 0, 0, 0])
    room = [(out[i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 for i in range(2)]
    padded = np.full(x.shape[:2] + (max(room[0], top + x.shape[2]), max(room[1], left + x.shape[3])), filler)
    padded[:, :, top:top + x.shape[2], left:left + x.shape[3]] = x
    rows = np.arange(out[0])[:, None] * strides[0] + np.arange(kernel[0])[None] * dilations[0]
    columns = np.arange(out[1])[:, None] * strides[1] + np.arange(kernel[1])[None] * dilations[1]
    return padded[:, :, rows[:, None, :, None], columns[None, :, None, :]]


def out_size(op, x, kernel):
    """H' and W' as ONNX's shape inference has them, without a window that would begin in the end's pad."""
    strides, dilations, pads = op.get("strides", [1, 1]), op.get("dilations", [1, 1]), op.get("pads", [0, 0, 0, 0])
    sizes = []
    for i in range(2):
        reach, padded = dilations[i] * (kernel[i] - 1) + 1, x.shape[2 + i] + pads[i] + pads[2 + i]
        count = (padded - reach + (strides[i] - 1 if op.get("ceil") else 0)) // strides[i] + 1
        if (count - 1) * strides[i] >= x.shape[2 + i] + pads[i]:
            count -= 1
        sizes.append(count)
    return sizes


def conv2d(op, x, tensors):
    weight, group = widen(tensors[op["weight"]]), op.get("group", 1)
    patches = windows(op, x, weight.shape[2:], out_size(op, x, weight.shape[2:]), 0.0)
    parts = []
    for g in range(group):
        filters = weight[g * len(weight) // group:(g + 1) * len(weight) // group]
        part = patches[:, g * weight.shape[1]:(g + 1) * weight.shape[1]]
        parts.append(np.einsum("nchwij,ocij->nohw", part, filters))
    y = np.concatenate(parts, axis=1)
    if "bias" in op:
        y = y + tensors[op["bias"]].astype(np.float64)[:, None, None]
    return activate(op, y, tensors)


def pool(op, x, _):
    kernel, average = op["kernel"], op["function"] == "average"
    out, pads = out_size(op, x, kernel), op.get("pads", [0, 0, 0, 0])
    patches = windows(op, x, kernel, out, 0.0 if average else -np.inf)
    if not average:
        return patches.max(axis=(4, 5))
    ones = np.ones((1, 1) + x.shape[2:])
    if op.get("count_pad"):  # the pads count, what ceil hangs over does not
        ones = np.ones((1, 1, x.shape[2] + pads[0] + pads[2], x.shape[3] + pads[1] + pads[3]))
        op = dict(op, pads=[0, 0, 0, 0])
    return patches.sum(axis=(4, 5)) / windows(op, ones, kernel, out, 0.0).sum(axis=(4, 5))


def quantize(op, x, _):
    zero, scale = op.get("zero_point", 0), np.float32(op["scale"])
    q = np.clip(np.rint(x.astype(np.float32) / scale) + zero, op["low"], op["high"])
    return (q - zero) * np.float64(scale)


def layout(op, inputs, tensors):
    x, kind = inputs[0], op["op"]
    if kind == "concat":
        return np.concatenate(inputs, axis=op["axis"] + 1)
    if kind == "slice":
        return x[(slice(None),) * (op["axis"] + 1) + (slice(op["start"], op["end"], op.get("step", 1)),)]
    if kind == "gather":
        y = np.take(x, tensors[op["indices"]], axis=op["axis"] + 1)
        return y.reshape(-1, 1) if y.ndim == 1 else y
    if kind == "reshape":
        return x.reshape([len(x)] + op["shape"])
    return x.transpose([0] + [p + 1 for p in op["perm"]])


SINGLE = {"dense": dense, "softmax": softmax, "log_softmax": softmax, "reduce": reduce, "embedding": embedding,
          "map": mapped, "impute": impute, "unit": unit, "norm": norm, "conv2d": conv2d, "pool": pool,
          "quantize": quantize, "activation": activate,
          "onehot": lambda op, x, tensors: (x[:, :, None] == tensors[op["values"]]).astype(np.float64)}


def run_op(op, inputs, tensors):
    if op["op"] in SINGLE:
        if op["op"] == "activation":
            return activate(op, inputs[0], tensors)
        return SINGLE[op["op"]](op, inputs[0], tensors)
    if op["op"] in BINARY:
        return binary(op, inputs, tensors)
    return matmul(op, inputs, tensors) if op["op"] == "matmul" else layout(op, inputs, tensors)


def run(graph, tensors, rows):
    """Margins [n, outputs]. The row is rounded to float32 once, but the ids of embeddings are its doubles."""
    exact = {"features": rows}  # values that are the row's elements, moved
    values = {"features": rows.astype(np.float32).astype(np.float64)}
    for op in graph:
        names = op.get("inputs") or [op["input"]]
        source = exact if op["op"] == "embedding" and names[0] in exact else values
        values[op["output"]] = run_op(op, [source[name] for name in names], tensors)
        if op["op"] in ("slice", "gather", "reshape", "transpose") and names[0] in exact:
            exact[op["output"]] = run_op(op, [exact[names[0]]], tensors)
    return values[graph[-1]["output"]].reshape(len(rows), -1)
