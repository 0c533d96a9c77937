"""Random graphs of ONNX ops, one op set a graph: values are rows' tensors, their shapes without the batch."""
import collections

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Value = collections.namedtuple("Value", "name shape")

# op: the op set from which it may be used, attributes for it
ACTIVATIONS = {
    "Relu": (9, lambda r: {}), "LeakyRelu": (9, lambda r: {"alpha": float(r.choice([0.01, 0.2]))}),
    "Elu": (9, lambda r: {"alpha": float(r.choice([1.0, 0.7]))}), "Selu": (9, lambda r: {}),
    "Celu": (12, lambda r: {"alpha": float(r.choice([1.0, 1.7]))}), "Tanh": (9, lambda r: {}),
    "Sigmoid": (9, lambda r: {}), "Softplus": (9, lambda r: {}), "Softsign": (9, lambda r: {}),
    "HardSigmoid": (9, lambda r: {"alpha": float(r.choice([0.2, 0.3])), "beta": 0.5}), "HardSwish": (14, lambda r: {}),
    "Mish": (18, lambda r: {}), "Gelu": (20, lambda r: {"approximate": str(r.choice(["none", "tanh"]))}),
    "ThresholdedRelu": (10, lambda r: {"alpha": float(r.choice([1.0, 0.3]))}), "Abs": (9, lambda r: {}),
    "Neg": (9, lambda r: {}), "Erf": (9, lambda r: {}), "Identity": (9, lambda r: {}),
}
ROUNDING = {"Floor": 9, "Ceil": 9, "Round": 11, "Sign": 9}  # an ulp before them decides: only on inputs
REDUCTIONS = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare",
              "ReduceLogSumExp", "ReduceProd"]


class Stack:
    """Nodes and initializers under construction."""

    def __init__(self, rng, opset):
        self.rng, self.opset = rng, opset
        self.nodes, self.initializers, self.inputs, self.makers = [], [], [], {}
        self.serial, self.constant_nodes = 0, 0.2  # how many constants are nodes

    def name(self, prefix):
        self.serial += 1
        return "%s%d" % (prefix, self.serial)

    def input(self, shape, kind=TensorProto.FLOAT, high=None):
        """A model's input [N, *shape]; ids are below `high`."""
        name = self.name("in")
        self.inputs.append(helper.make_tensor_value_info(name, kind, ["N", *shape]))
        if high is None:
            self.makers[name] = lambda r, n: r.normal(0, 1.5, (n, *shape)).astype(np.float32)
        else:
            self.makers[name] = lambda r, n: r.integers(0, high, (n, *shape), dtype=np.int64)
        return Value(name, tuple(shape))

    def constant(self, array):
        """An initializer, or a Constant node."""
        name, array = self.name("c"), np.asarray(array)
        tensor = numpy_helper.from_array(array, name)
        if self.rng.random() < self.constant_nodes:
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.initializers.append(tensor)
        return name

    def weight(self, *shape):
        fan = shape[0] if len(shape) <= 2 else int(np.prod(shape[1:]))
        return self.rng.normal(0, 1 / np.sqrt(max(fan, 1)), shape).astype(np.float32)

    def node(self, op, inputs, shape, **attributes):
        output = self.name(op.lower())
        names = [i.name if isinstance(i, Value) else i for i in inputs]
        self.nodes.append(helper.make_node(op, names, [output], name=output, **attributes))
        return Value(output, tuple(int(s) for s in shape))

    def model(self, output):
        """Checked; an Identity names the output y, whatever made it."""
        self.nodes.append(helper.make_node("Identity", [output.name], ["y"]))
        out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *output.shape])
        graph = helper.make_graph(self.nodes, "stack", self.inputs, [out], self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 8 if self.opset < 19 else 9
        onnx.checker.check_model(model)
        return model

    def feeds(self, rng, count):
        return {name: make(rng, count) for name, make in self.makers.items()}

    # --- ops whose form depends on the op set ---

    def softmax(self, x, axis, log=False):
        """On one axis, also before op set 13, where the rest behind the axis would be flattened: the last axis then."""
        axis = axis if self.opset >= 13 else len(x.shape)
        return self.node("LogSoftmax" if log else "Softmax", [x], x.shape, axis=int(axis))

    def reduce(self, op, x, axes, keep):
        """axes count the batch."""
        shape = [1 if i + 1 in axes else s for i, s in enumerate(x.shape) if keep or i + 1 not in axes]
        sign = self.rng.random() < 0.5
        axes = [int(a) - (len(x.shape) + 1 if sign and self.opset >= 11 else 0) for a in axes]
        if self.opset >= (13 if op == "ReduceSum" else 18):
            return self.node(op, [x, self.constant(np.array(axes, np.int64))], shape, keepdims=int(keep))
        return self.node(op, [x], shape, axes=axes, keepdims=int(keep))

    def clip(self, x, low, high):
        if self.opset >= 11:
            bounds = ["" if b is None else self.constant(np.float32(b)) for b in (low, high)]
            return self.node("Clip", [x, *bounds], x.shape)
        given = {k: float(v) for k, v in (("min", low), ("max", high)) if v is not None}
        return self.node("Clip", [x], x.shape, **given)

    def squeeze(self, op, x, axes, shape):
        if self.opset >= 13:
            return self.node(op, [x, self.constant(np.array(axes, np.int64))], shape)
        return self.node(op, [x], shape, axes=axes)

    def slice(self, x, axis, start, end, step=1):
        shape = list(x.shape)
        shape[axis - 1] = len(range(shape[axis - 1])[start:end:step])
        if self.opset >= 10:
            kind = np.int64 if self.rng.random() < 0.7 else np.int32
            given = [self.constant(np.array([v], kind)) for v in (start, end, axis)]
            if step != 1 or self.rng.random() < 0.5:
                given.append(self.constant(np.array([step], kind)))
            return self.node("Slice", [x, *given], shape)
        return self.node("Slice", [x], shape, starts=[start], ends=[end], axes=[axis])

    def split(self, x, axis, sizes):
        outputs = [self.name("split") for _ in sizes]
        inputs, given = [x.name], {"axis": axis}
        if self.opset >= 13:
            inputs.append(self.constant(np.array(sizes, np.int64)))
        else:
            given["split"] = [int(s) for s in sizes]
        self.nodes.append(helper.make_node("Split", inputs, outputs, **given))
        return [Value(o, tuple(s if i + 1 == axis else d for i, d in enumerate(x.shape))) for o, s in zip(outputs, sizes)]

    def dropout(self, x):
        if self.opset >= 12 and self.rng.random() < 0.5:
            return self.node("Dropout", [x, self.constant(np.float32(0.5))], x.shape)
        return self.node("Dropout", [x], x.shape)

    # --- layers ---

    def activation(self, x):
        usable = [op for op, (since, _) in ACTIVATIONS.items() if since <= self.opset]
        usable += ["PRelu", "Clip", "silu", "gelu", "mish"]
        op = str(self.rng.choice(usable))
        if op == "PRelu":
            slope = self.weight(1) if self.rng.random() < 0.5 else self.weight(*x.shape)
            return self.node(op, [x, self.constant(slope)], x.shape)
        if op == "Clip":
            return self.clip(x, *[(-0.5, 0.75), (None, 1.0), (0.0, 6.0), (-1.0, None)][self.rng.integers(4)])
        if op == "silu":
            return self.node("Mul", [x, self.node("Sigmoid", [x], x.shape)], x.shape)
        if op == "mish":
            return self.node("Mul", [x, self.node("Tanh", [self.node("Softplus", [x], x.shape)], x.shape)], x.shape)
        if op == "gelu":
            return self.spelled_gelu(x)
        return self.node(op, [x], x.shape, **ACTIVATIONS[op][1](self.rng))

    def spelled_gelu(self, x):
        scaled = self.node("Div", [x, self.constant(np.float32(np.sqrt(2)))], x.shape)
        half = self.node("Mul", [x, self.node("Add", [self.node("Erf", [scaled], x.shape),
                                                      self.constant(np.float32(1))], x.shape)], x.shape)
        return self.node("Mul", [half, self.constant(np.float32(0.5))], x.shape)

    def dense(self, x, width):
        """MatMul, MatMul and Add, or Gemm in its forms."""
        inner = x.shape[-1]
        way = self.rng.integers(3)
        shape = (*x.shape[:-1], width)
        if way == 2 and len(x.shape) == 1:
            transposed = bool(self.rng.random() < 0.5)
            weight = self.weight(inner, width)
            given = {"transB": 1} if transposed else {}
            if self.rng.random() < 0.3:
                given.update(alpha=0.5, beta=2.0)
            forms = [(width,), (1, width), (1,), ()]
            inputs = [x, self.constant(np.ascontiguousarray(weight.T) if transposed else weight)]
            if self.opset < 11 or self.rng.random() < 0.8:
                inputs.append(self.constant(self.rng.normal(0, 0.3, forms[self.rng.integers(4)]).astype(np.float32)))
            return self.node("Gemm", inputs, shape, **given)
        y = self.node("MatMul", [x, self.constant(self.weight(inner, width))], shape)
        if way == 0:
            return y
        bias = self.constant(self.rng.normal(0, 0.3, width).astype(np.float32))
        return self.node("Add", [y, bias] if self.rng.random() < 0.7 else [bias, y], shape)

    def layer_norm(self, x, axis=-1):
        """The op where the op set has it, or spelled out as exporters did."""
        rank = len(x.shape)
        first = rank if axis == -1 else axis
        dims = x.shape[first - 1:]
        weight = self.constant((1 + self.rng.normal(0, 0.2, dims)).astype(np.float32))
        bias = self.constant(self.rng.normal(0, 0.2, dims).astype(np.float32))
        if self.opset >= 17 and self.rng.random() < 0.6:
            inputs = [x, weight] + ([bias] if self.rng.random() < 0.7 else [])
            return self.node("LayerNormalization", inputs, x.shape, axis=int(axis), epsilon=1e-3)
        axes = list(range(first, rank + 1))
        centred = self.node("Sub", [x, self.reduce("ReduceMean", x, axes, True)], x.shape)
        square = self.node("Pow", [centred, self.constant(np.float32(2))], x.shape)
        variance = self.reduce("ReduceMean", square, axes, True)
        root = self.node("Sqrt", [self.node("Add", [variance, self.constant(np.float32(1e-3))], variance.shape)],
                         variance.shape)
        scaled = self.node("Mul", [self.node("Div", [centred, root], x.shape), weight], x.shape)
        return self.node("Add", [scaled, bias], x.shape)

    def batch_norm(self, x):
        c = x.shape[0]
        r = self.rng
        given = [r.uniform(0.5, 1.5, c), r.normal(0, 0.3, c), r.normal(0, 0.3, c), r.uniform(0.3, 2, c)]
        return self.node("BatchNormalization", [x, *(self.constant(g.astype(np.float32)) for g in given)], x.shape,
                         epsilon=1e-3)

    def pad(self, x):
        """Around an image: zeros, which a convolution takes over, or something else."""
        r = self.rng
        top, left, bottom, right = (int(p) for p in r.integers(0, 3, 4))
        c, h, w = x.shape
        amounts, filler = [0, 0, top, left, 0, 0, bottom, right], float(r.choice([0, 0, 0.5]))
        shape = (c, h + top + bottom, w + left + right)
        if self.opset < 11:
            return self.node("Pad", [x], shape, pads=amounts, value=filler)
        return self.node("Pad", [x, self.constant(np.array(amounts, np.int64)), self.constant(np.float32(filler))], shape)

    def conv(self, x, channels):
        r = self.rng
        if r.random() < 0.3:
            x = self.pad(x)
        c, h, w = x.shape
        kernel, stride, dilation = int(r.choice([1, 2, 3])), int(r.choice([1, 1, 2])), int(r.choice([1, 1, 2]))
        group = int(r.choice([g for g in (1, 2, c) if c % g == 0 and channels % g == 0]))
        reach = dilation * (kernel - 1)
        given = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "dilations": [dilation, dilation],
                 "group": group}
        auto = str(r.choice(["NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
        if dilation > 1 and auto.startswith("SAME"):
            auto = "NOTSET"
        pads = [int(p) for p in r.integers(0, 2, 4)] if auto == "NOTSET" else [0] * 4
        if auto == "NOTSET":
            given["pads"] = pads
        else:
            given["auto_pad"] = auto
        if auto.startswith("SAME"):
            size = [-(-h // stride), -(-w // stride)]
        else:
            size = [(h + pads[0] + pads[2] - reach - 1) // stride + 1, (w + pads[1] + pads[3] - reach - 1) // stride + 1]
        if min(size) < 1:
            return self.node("Conv", [x, self.constant(self.weight(channels, c, 1, 1))], (channels, h, w),
                             kernel_shape=[1, 1])
        inputs = [x, self.constant(self.weight(channels, c // group, kernel, kernel))]
        if r.random() < 0.7:
            inputs.append(self.constant(r.normal(0, 0.3, channels).astype(np.float32)))
        return self.node("Conv", inputs, (channels, *size), **given)

    def pool(self, x):
        r = self.rng
        c, h, w = x.shape
        op = str(r.choice(["MaxPool", "AveragePool"]))
        kernel, stride = int(r.choice([2, 3])), int(r.choice([1, 2]))
        if min(h, w) < kernel:
            return self.node("GlobalAveragePool", [x], (c, 1, 1))
        pads = [int(p) for p in r.integers(0, 2, 4)]
        given = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": pads}
        ceil = self.opset >= (19 if op == "AveragePool" else 10) and r.random() < 0.3
        if op == "AveragePool" and r.random() < 0.5:
            given["count_include_pad"] = 1
        if ceil:
            given["ceil_mode"], given["pads"], pads = 1, [0] * 4, [0] * 4

        def size(n, a, b):
            span = n + a + b - kernel
            return (-(-span // stride) if ceil else span // stride) + 1
        return self.node(op, [x], (c, size(h, pads[0], pads[2]), size(w, pads[1], pads[3])), **given)

    def flatten(self, x):
        way = self.rng.integers(3)
        width = int(np.prod(x.shape))
        if len(x.shape) == 1:
            return x
        if way == 0:
            return self.node("Flatten", [x], (width,), axis=1)
        shape = [-1, width] if way == 1 else [0, -1]
        return self.node("Reshape", [x, self.constant(np.array(shape, np.int64))], (width,))

    def embed(self, ids, rows, width):
        return self.node("Gather", [self.constant(self.rng.normal(0, 0.5, (rows, width)).astype(np.float32)), ids],
                         (*ids.shape, width), axis=0)

    def concat(self, values, axis=1):
        shape = list(values[0].shape)
        shape[axis - 1] = sum(v.shape[axis - 1] for v in values)
        sign = self.rng.random() < 0.3
        return self.node("Concat", values, shape, axis=int(axis - len(shape) - 1 if sign and self.opset >= 11 else axis))

    def quantized(self, x, scale, point=0, signed=True):
        """x through QuantizeLinear and DequantizeLinear."""
        kind = np.int8 if signed else np.uint8
        s, z = self.constant(np.float32(scale)), self.constant(kind(point))
        q = self.node("QuantizeLinear", [x, s, z], x.shape)
        return self.node("DequantizeLinear", [q, s, z], x.shape)

    def dense_quantized(self, x, width, per_channel):
        """MatMul of a quantized value and a stored int8 weight, each behind its DequantizeLinear; bias added."""
        weight = self.weight(x.shape[-1], width)
        scale = (np.abs(weight).max(axis=0) / 127 if per_channel else np.abs(weight).max(keepdims=False) / 127)
        stored = np.clip(np.round(weight / scale), -127, 127).astype(np.int8)
        given = {"axis": 1} if per_channel else {}
        zero = np.zeros(width if per_channel else (), np.int8)
        w = self.node("DequantizeLinear", [self.constant(stored), self.constant(np.asarray(scale, np.float32)),
                                           self.constant(zero)], weight.shape, **given)
        y = self.node("MatMul", [x, w], (*x.shape[:-1], width))
        return self.node("Add", [y, self.constant(self.rng.normal(0, 0.2, width).astype(np.float32))], y.shape)


# --- random steps: a value of a row to another ---

def step_activation(s, x):
    return s.activation(x)


def step_dense(s, x):
    y = s.dense(x, int(s.rng.choice([1, 3, 8, 16, 33])))
    return s.activation(y) if s.rng.random() < 0.6 else y


def step_constant(s, x):
    """An arithmetic op with a constant on either side, in each shape that broadcasts to the row's."""
    forms = [(), (1,), x.shape[-1:], x.shape, (1, *x.shape)]
    if len(x.shape) > 1:
        forms += [(x.shape[0],) + (1,) * (len(x.shape) - 1), (1,) + x.shape[1:]]
    shape = forms[s.rng.integers(len(forms))]
    op = str(s.rng.choice(["Add", "Sub", "Mul", "Div", "Min", "Max"]))
    c = s.rng.uniform(0.5, 2, shape) * s.rng.choice([-1, 1], shape)
    c = s.constant(c.astype(np.float32))
    if op != "Div" and s.rng.random() < 0.5:
        return s.node(op, [c, x], x.shape)
    return s.node(op, [x, c], x.shape)


def step_divide_constant(s, x):
    """c / (1 + x^2): a divisor that is not near zero."""
    square = s.node("Mul", [x, x], x.shape)
    one = s.node("Add", [square, s.constant(np.float32(1))], x.shape)
    if s.rng.random() < 0.5:
        return s.node("Reciprocal", [one], x.shape)
    return s.node("Div", [s.constant(np.float32(0.7)), one], x.shape)


def step_power(s, x):
    way = s.rng.integers(4)
    if way == 0:
        return s.node("Pow", [s.node("Tanh", [x], x.shape), s.constant(np.float32(s.rng.choice([2, 3])))], x.shape)
    positive = s.node("Add", [s.node("Abs", [x], x.shape), s.constant(np.float32(0.1))], x.shape)
    if way == 1:
        return s.node("Pow", [positive, s.constant(np.float32(0.5))], x.shape)
    return s.node("Sqrt" if way == 2 else "Log", [positive], x.shape)


def step_residual(s, x):
    y = s.activation(s.dense(x, x.shape[-1]))
    op = str(s.rng.choice(["Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean"]))
    pair = [x, y] if s.rng.random() < 0.5 else [y, x]
    if op in ("Sum", "Mean", "Max", "Min") and s.rng.random() < 0.5:
        pair.append(s.node("Tanh", [x], x.shape))
    return s.node(op, pair, x.shape)


def step_broadcast(s, x):
    """Two computed values of unlike shapes."""
    last = s.reduce(str(s.rng.choice(REDUCTIONS[:4])), x, [len(x.shape)], True)
    return s.node(str(s.rng.choice(["Add", "Sub", "Mul"])), [x, s.node("Sigmoid", [last], last.shape)], x.shape)


def step_softmax(s, x):
    return s.softmax(x, s.rng.integers(1, len(x.shape) + 1), s.rng.random() < 0.4)


def step_norm(s, x):
    if s.rng.random() < 0.4:
        return s.batch_norm(x)
    return s.layer_norm(x, -1 if s.rng.random() < 0.7 else 1)


def step_reduce(s, x):
    if len(x.shape) == 1:
        return x
    op = str(s.rng.choice(REDUCTIONS))
    axes = sorted(s.rng.choice(np.arange(1, len(x.shape) + 1), s.rng.integers(1, len(x.shape)), replace=False).tolist())
    if op == "ReduceProd":
        x = s.node("Tanh", [x], x.shape)
    return s.reduce(op, x, axes, bool(s.rng.random() < 0.5))


def step_slice(s, x):
    axis = int(s.rng.integers(1, len(x.shape) + 1))
    n = x.shape[axis - 1]
    if n < 3:
        return x
    start, end = sorted(s.rng.choice(n + 1, 2, replace=False).tolist())
    form = s.rng.integers(3)
    if form == 1:
        start, end = start - n if start else 0, np.iinfo(np.int64).max if s.rng.random() < 0.5 else n
        end = min(end, np.iinfo(np.int32).max)
    return s.slice(x, axis, int(start), int(end), int(s.rng.choice([1, 2])) if s.opset >= 10 else 1)


def step_split(s, x):
    """Cut, and joined the other way round."""
    axis = int(s.rng.integers(1, len(x.shape) + 1))
    n = x.shape[axis - 1]
    if n < 2:
        return x
    first = int(s.rng.integers(1, n))
    a, b = s.split(x, axis, [first, n - first])
    return s.concat([s.activation(b), a], axis)


def step_gather(s, x):
    axis = int(s.rng.integers(1, len(x.shape) + 1))
    n = x.shape[axis - 1]
    picks = s.rng.integers(-n if s.opset >= 11 else 0, n, s.rng.integers(1, 6))
    shape = list(x.shape)
    if s.rng.random() < 0.2 and len(x.shape) > 1:
        del shape[axis - 1]
        return s.node("Gather", [x, s.constant(np.int64(picks[0]))], shape, axis=axis)
    shape[axis - 1] = len(picks)
    return s.node("Gather", [x, s.constant(picks.astype(np.int64))], shape, axis=axis)


def step_shape(s, x):
    """Reshape, Transpose, Unsqueeze, Squeeze, Flatten: the same numbers in another order."""
    way = s.rng.integers(4)
    if way == 0 and len(x.shape) < 4:
        at = int(s.rng.integers(1, len(x.shape) + 2))
        shape = list(x.shape)
        shape.insert(at - 1, 1)
        return s.squeeze("Unsqueeze", x, [at], shape)
    if way == 1 and 1 in x.shape and len(x.shape) > 1:
        at = x.shape.index(1) + 1
        return s.squeeze("Squeeze", x, [at], [d for i, d in enumerate(x.shape) if i + 1 != at])
    if way == 2 and len(x.shape) > 1:
        perm = [0, *(s.rng.permutation(len(x.shape)) + 1).tolist()]
        return s.node("Transpose", [x], [x.shape[p - 1] for p in perm[1:]], perm=perm)
    count = int(np.prod(x.shape))
    first = int(s.rng.choice([d for d in range(1, count + 1) if count % d == 0]))
    if first in (1, count):
        return s.flatten(x)
    return s.node("Reshape", [x, s.constant(np.array([-1, first, count // first], np.int64))], (first, count // first))


def step_dynamic_reshape(s, x):
    """Shape, Gather, Unsqueeze, Concat, Reshape, as PyTorch writes view(x.size(0), -1)."""
    shape = s.node("Shape", [x], (len(x.shape) + 1,))
    first = s.node("Gather", [shape, s.constant(np.int64(0))], (), axis=0)
    first = s.squeeze("Unsqueeze", first, [0], (1,))
    to = s.node("Concat", [first, s.constant(np.array([-1], np.int64))], (2,), axis=0)
    return s.node("Reshape", [x, to], (int(np.prod(x.shape)),))


def step_matmul(s, x):
    """Two computed values: attention's scores, a factorization's products."""
    if len(x.shape) < 2:
        return x
    perm = [0, *range(1, len(x.shape) - 1), len(x.shape), len(x.shape) - 1]
    other = s.node("Transpose", [x], [x.shape[p - 1] for p in perm[1:]], perm=perm)
    return s.node("MatMul", [x, other], (*x.shape[:-1], x.shape[-2]))


def step_same(s, x):
    way = s.rng.integers(3)
    if way == 0:
        return s.dropout(x)
    if way == 1:
        return s.node("Cast", [x], x.shape, to=TensorProto.FLOAT)
    return s.node("Identity", [x], x.shape)


STEPS = [step_activation, step_dense, step_dense, step_constant, step_divide_constant, step_power, step_residual,
         step_residual, step_broadcast, step_softmax, step_norm, step_reduce, step_slice, step_split, step_gather,
         step_shape, step_dynamic_reshape, step_matmul, step_same]


def calmed(s, x):
    """Values that have grown come back to what a float keeps."""
    return s.node("Tanh", [s.node("Mul", [x, s.constant(np.float32(0.5))], x.shape)], x.shape)


def random_stack(rng, opset):
    """Some inputs, some steps each, joined, and a few layers more."""
    s = Stack(rng, opset)
    ends = []
    for _ in range(rng.integers(1, 4)):
        way = rng.integers(5)
        if way == 0:
            x = s.embed(s.input((int(rng.integers(1, 5)),), TensorProto.INT64, 50), 50, int(rng.choice([4, 8])))
        elif way == 1:
            x = s.input((int(rng.integers(2, 5)), int(rng.choice([4, 7]))))
        else:
            x = s.input((int(rng.choice([1, 5, 10, 17])),))
        if way == 2 and rng.random() < 0.5:
            op = str(rng.choice([o for o, since in ROUNDING.items() if since <= opset]))
            x = s.node(op, [x], x.shape)
        for count in range(rng.integers(2, 7)):
            x = STEPS[rng.integers(len(STEPS))](s, x)
            if count % 3 == 2:
                x = calmed(s, x)
        ends.append(s.flatten(calmed(s, x)))
    x = ends[0] if len(ends) == 1 else s.concat(ends)
    x = step_residual(s, s.activation(s.dense(x, int(rng.choice([8, 16])))))
    x = s.dense(x, int(rng.choice([1, 2, 5])))
    if rng.random() < 0.6:
        x = s.softmax(x, 1) if x.shape[0] > 1 else s.node("Sigmoid", [x], x.shape)
    return s, s.model(x)


def random_cnn(rng, opset):
    s = Stack(rng, opset)
    x = s.input((int(rng.choice([1, 2, 4])), int(rng.choice([8, 11])), int(rng.choice([8, 9]))))
    for _ in range(rng.integers(1, 4)):
        x = s.conv(x, int(rng.choice([2, 4, 8])))
        if rng.random() < 0.4:
            x = s.batch_norm(x)
        x = s.activation(x)
        if rng.random() < 0.5 and min(x.shape[1:]) >= 2:
            x = s.pool(x)
    if rng.random() < 0.3:
        x = s.node(str(rng.choice(["GlobalAveragePool", "GlobalMaxPool"])), [x], (x.shape[0], 1, 1))
    x = s.dense(s.flatten(x), 10)
    return s, s.model(s.softmax(x, 1, rng.random() < 0.3))


def random_quantized(rng, opset):
    """QDQ as ONNX Runtime's quantizer writes it: input, weights and hidden values in int8 or uint8."""
    s = Stack(rng, max(opset, 13))
    x = s.input((int(rng.choice([10, 33])),))
    for width in (int(rng.choice([16, 40])), int(rng.choice([3, 8]))):
        signed = bool(rng.random() < 0.5)
        point = int(rng.integers(-20, 20)) if signed else int(rng.integers(100, 150))
        x = s.quantized(x, float(rng.uniform(0.02, 0.04)), point, signed)
        x = s.dense_quantized(x, width, bool(rng.random() < 0.5))
        if width > 8:
            x = s.node("Relu", [x], x.shape)
    return s, s.model(x)
