"""Architectures of recommendation and of text, with random weights, as ONNX graphs."""
import numpy as np
from onnx import TensorProto

from stacks import Stack


def mlp(s, x, widths, last=1):
    for width in widths:
        x = s.node("Relu", [s.dense(x, width)], (width,))
    return s.dense(x, last)


def sigmoid(s, x):
    return s.node("Sigmoid", [x], x.shape)


def fields(s, count, rows, width):
    """`count` ids in one input, a table each: [count, width]."""
    ids = s.input((count,), TensorProto.INT64, rows)
    parts = []
    for piece in s.split(ids, 1, [1] * count):
        parts.append(s.embed(piece, rows, width))
    return s.concat(parts), ids


def field_inputs(s, count, rows, width):
    """An input a field: [count, width]."""
    parts = []
    for _ in range(count):
        ids = s.input((), TensorProto.INT64, rows)
        e = s.embed(ids, rows, width)
        parts.append(s.squeeze("Unsqueeze", e, [1], (1, width)))
    return s.concat(parts)


def factorization(s, e):
    """(sum^2 - sum of squares) / 2, summed: all pairs' dot products."""
    total = s.reduce("ReduceSum", e, [1], False)
    squares = s.reduce("ReduceSum", s.node("Mul", [e, e], e.shape), [1], False)
    both = s.node("Sub", [s.node("Mul", [total, total], total.shape), squares], total.shape)
    half = s.node("Mul", [both, s.constant(np.float32(0.5))], both.shape)
    return s.reduce("ReduceSum", half, [1], True)


def deepfm(rng, opset):
    s = Stack(rng, opset)
    e, ids = fields(s, int(rng.integers(3, 9)), 40, 8)
    first = s.reduce("ReduceSum", s.embed(ids, 40, 1), [1], False)
    deep = mlp(s, s.flatten(e), [32, 16])
    total = s.node("Add", [s.node("Add", [first, factorization(s, e)], (1,)), deep], (1,))
    return s, s.model(sigmoid(s, total))


def dcn(rng, opset):
    """Cross layers of the first kind (a vector) and of the second (a matrix)."""
    s = Stack(rng, opset)
    x0 = s.concat([s.flatten(field_inputs(s, 3, 30, 4)), s.input((5,))])
    x = x0
    for layer in range(3):
        if layer == 0:
            scale = s.node("MatMul", [x, s.constant(s.weight(17, 1))], (1,))
            crossed = s.node("Mul", [x0, scale], x0.shape)
        else:
            crossed = s.node("Mul", [x0, s.dense(x, 17)], x0.shape)
        x = s.node("Add", [crossed, x], x0.shape)
    deep = mlp(s, x0, [16], 8)
    return s, s.model(sigmoid(s, s.dense(s.concat([x, deep]), 1)))


def dlrm(rng, opset):
    """A bottom network and bags of embeddings; dot products of all pairs, the lower triangle of them, a top network."""
    s = Stack(rng, opset)
    bottom = s.node("Relu", [mlp(s, s.input((6,)), [16], 8)], (8,))
    parts = [s.squeeze("Unsqueeze", bottom, [1], (1, 8))]
    for _ in range(3):
        bag = s.embed(s.input((4,), TensorProto.INT64, 25), 25, 8)
        pooled = s.reduce(str(rng.choice(["ReduceSum", "ReduceMean"])), bag, [1], False)
        parts.append(s.squeeze("Unsqueeze", pooled, [1], (1, 8)))
    z = s.concat(parts)
    dots = s.node("MatMul", [z, s.node("Transpose", [z], (8, 4), perm=[0, 2, 1])], (4, 4))
    flat = s.node("Reshape", [dots, s.constant(np.array([-1, 16], np.int64))], (16,))
    triangle = np.array([i * 4 + j for i in range(4) for j in range(i)], np.int64)
    pairs = s.node("Gather", [flat, s.constant(triangle)], (6,), axis=1)
    return s, s.model(sigmoid(s, mlp(s, s.concat([bottom, pairs]), [16])))


def two_towers(rng, opset):
    """Dot product or cosine of a user's and an item's vector."""
    s = Stack(rng, opset)
    towers = []
    for width in (5, 3):
        x = s.concat([s.flatten(field_inputs(s, 2, 20, 6)), s.input((width,))])
        t = mlp(s, x, [16], 8)
        if rng.random() < 0.5:
            norm = s.reduce("ReduceL2", t, [1], True)
            t = s.node("Div", [t, s.node("Max", [norm, s.constant(np.float32(1e-12))], (1,))], t.shape)
        towers.append(t)
    dot = s.reduce("ReduceSum", s.node("Mul", towers, (8,)), [1], True)
    return s, s.model(sigmoid(s, dot) if rng.random() < 0.5 else dot)


def bag_of_words(rng, opset):
    s = Stack(rng, opset)
    bag = s.reduce("ReduceMean", s.embed(s.input((12,), TensorProto.INT64, 100), 100, 16), [1], False)
    return s, s.model(s.softmax(mlp(s, bag, [16], 4), 1))


def attention(rng, opset):
    """One head over a history of items, a residual, a norm, a pool."""
    s = Stack(rng, opset)
    e = s.embed(s.input((6,), TensorProto.INT64, 50), 50, 8)
    q, k, v = (s.dense(e, 8) for _ in range(3))
    scores = s.node("MatMul", [q, s.node("Transpose", [k], (8, 6), perm=[0, 2, 1])], (6, 6))
    scores = s.node("Div", [scores, s.constant(np.float32(np.sqrt(8)))], (6, 6))
    mixed = s.node("MatMul", [s.softmax(scores, 2), v], (6, 8))
    x = s.layer_norm(s.node("Add", [e, mixed], (6, 8)))
    pooled = s.reduce(str(rng.choice(["ReduceMean", "ReduceMax"])), x, [1], False)
    return s, s.model(s.softmax(mlp(s, pooled, [16], 3), 1))


def experts(rng, opset):
    """MMoE: experts' outputs weighed by a softmax gate."""
    s = Stack(rng, opset)
    x = s.input((12,))
    outputs = [s.squeeze("Unsqueeze", s.node("Relu", [s.dense(x, 8)], (8,)), [1], (1, 8)) for _ in range(4)]
    gate = s.squeeze("Unsqueeze", s.softmax(s.dense(x, 4), 1), [2], (4, 1))
    mixed = s.reduce("ReduceSum", s.node("Mul", [s.concat(outputs), gate], (4, 8)), [1], False)
    return s, s.model(sigmoid(s, mlp(s, mixed, [8])))


ALL = [deepfm, dcn, dlrm, two_towers, bag_of_words, attention, experts]
