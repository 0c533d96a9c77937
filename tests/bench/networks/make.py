"""Networks for bench_rivals: ONNX in fp32, int8 dynamic and int8 QDQ, rows, answers of ONNX Runtime, bare weights.

    make.py FOLDER

Weights are random with a fixed seed (He's scale, so that values keep their size through the layers): what is measured
does not depend on them.
"""
import pathlib
import struct
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

ROWS = 256
CHAINS = {"10-64-64-1": [10, 64, 64, 1], "784-32-32-10": [784, 32, 32, 10],
          "512-1024-512-256-1": [512, 1024, 512, 256, 1], "128-64-1": [128, 64, 1]}
TABLES, VOCABULARY, EMBEDDING = 26, 10000, 16
random = np.random.default_rng(7)


def tensor(name, array):
    return numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name)


def weights(shape, fan_in):
    return (random.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)


def layers(widths):
    return [(weights((i, o), i), (random.standard_normal(o) * 0.1).astype(np.float32)) for i, o in zip(widths, widths[1:])]


def dense_nodes(parameters, value, out, nodes, constants, gemm=True):
    """A chain from `value` to `out`, relu between the layers."""
    for n, (weight, bias) in enumerate(parameters):
        last = n + 1 == len(parameters)
        name, result = f"{out}{n}", out if last else f"{out}{n}.sum"
        constants += [tensor(name + ".w", weight), tensor(name + ".b", bias)]
        if gemm:
            nodes.append(helper.make_node("Gemm", [value, name + ".w", name + ".b"], [result]))
        else:
            nodes.append(helper.make_node("MatMul", [value, name + ".w"], [name + ".product"]))
            nodes.append(helper.make_node("Add", [name + ".product", name + ".b"], [result]))
        value = result
        if not last:
            nodes.append(helper.make_node("Relu", [result], [name + ".relu"]))
            value = name + ".relu"


def save(path, nodes, constants, columns, outputs):
    graph = helper.make_graph(nodes, path.stem, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", columns])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", outputs])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


class Rows(CalibrationDataReader):
    def __init__(self, rows):
        self.batches = iter([{"x": rows}])

    def get_next(self):
        return next(self.batches, None)


def finish(folder, name, rows, plain):
    """Rows, answers, and the quantized forms of `plain` (MatMul and Add apart, as the quantizer wants them)."""
    session = onnxruntime.InferenceSession(folder / (name + ".onnx"), providers=["CPUExecutionProvider"])
    (folder / (name + ".rows")).write_bytes(rows.tobytes())
    (folder / (name + ".want")).write_bytes(session.run(None, {"x": rows})[0].astype(np.float32).tobytes())
    if plain is None:
        return
    quantize_dynamic(plain, folder / (name + "-dynamic.onnx"), weight_type=QuantType.QInt8, per_channel=True)
    quantize_static(plain, folder / (name + "-qdq.onnx"), Rows(rows), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                    op_types_to_quantize=["MatMul", "Gemm"])
    plain.unlink()


def make_chain(folder, name, widths):
    parameters = layers(widths)
    rows = random.uniform(-1, 1, (ROWS, widths[0])).astype(np.float32)
    for gemm, suffix in ((True, ""), (False, "-plain")):
        nodes, constants = [], []
        dense_nodes(parameters, "x", "y", nodes, constants, gemm)
        save(folder / (name + suffix + ".onnx"), nodes, constants, widths[0], widths[-1])
    bare = struct.pack(f"<{len(widths) + 1}I", len(widths) - 1, *widths)
    (folder / (name + ".net")).write_bytes(bare + b"".join(w.tobytes() + b.tobytes() for w, b in parameters))
    finish(folder, name, rows, folder / (name + "-plain.onnx"))


def make_deepfm(folder):
    """26 ids, tables of 16: half of (square of the sum - sum of the squares), and 416-128-64-1 beside it."""
    def nodes_of(gemm):
        nodes = [helper.make_node("Cast", ["x"], ["ids"], to=TensorProto.INT64),
                 helper.make_node("Split", ["ids"], [f"id{t}" for t in range(TABLES)], axis=1)]
        constants, vectors = [], []
        for t in range(TABLES):
            constants.append(tensor(f"table{t}", tables[t]))
            nodes.append(helper.make_node("Gather", [f"table{t}", f"id{t}"], [f"vector{t}"], axis=0))
            vectors.append(f"vector{t}")
        constants += [numpy_helper.from_array(np.array([0, TABLES * EMBEDDING], np.int64), "flat"),
                      numpy_helper.from_array(np.array([1], np.int64), "one"), tensor("half", 0.5)]
        nodes += [helper.make_node("Concat", vectors, ["v"], axis=1),
                  helper.make_node("ReduceSum", ["v", "one"], ["sum"], keepdims=0),
                  helper.make_node("Mul", ["sum", "sum"], ["sum2"]), helper.make_node("Mul", ["v", "v"], ["v2"]),
                  helper.make_node("ReduceSum", ["v2", "one"], ["squares"], keepdims=0),
                  helper.make_node("Sub", ["sum2", "squares"], ["pairs"]),
                  helper.make_node("ReduceSum", ["pairs", "one"], ["fm2"], keepdims=1),
                  helper.make_node("Mul", ["fm2", "half"], ["fm"]), helper.make_node("Reshape", ["v", "flat"], ["deep"])]
        dense_nodes(deep, "deep", "d", nodes, constants, gemm)
        return nodes + [helper.make_node("Add", ["fm", "d"], ["y"])], constants
    deep = layers([TABLES * EMBEDDING, 128, 64, 1])
    tables = [weights((VOCABULARY, EMBEDDING), 40) for _ in range(TABLES)]
    rows = random.integers(0, VOCABULARY, (ROWS, TABLES)).astype(np.float32)
    for gemm, suffix in ((True, ""), (False, "-plain")):
        save(folder / f"deepfm-26x16{suffix}.onnx", *nodes_of(gemm), TABLES, 1)
    finish(folder, "deepfm-26x16", rows, folder / "deepfm-26x16-plain.onnx")


def make_digits(folder):
    """8x8: 16 and 32 channels of 3x3, halved after each, 64 hidden, 10 classes."""
    nodes = [helper.make_node("Reshape", ["x", "image"], ["p0"])]
    constants = [numpy_helper.from_array(np.array([0, 1, 8, 8], np.int64), "image"),
                 numpy_helper.from_array(np.array([0, 128], np.int64), "flat")]
    for n, (i, o) in enumerate([(1, 16), (16, 32)]):
        constants += [tensor(f"c{n}.w", weights((o, i, 3, 3), 9 * i)), tensor(f"c{n}.b", np.zeros(o))]
        nodes += [helper.make_node("Conv", [f"p{n}", f"c{n}.w", f"c{n}.b"], [f"c{n}"], kernel_shape=[3, 3], pads=[1] * 4),
                  helper.make_node("Relu", [f"c{n}"], [f"r{n}"]),
                  helper.make_node("MaxPool", [f"r{n}"], [f"p{n + 1}"], kernel_shape=[2, 2], strides=[2, 2])]
    nodes.append(helper.make_node("Reshape", ["p2", "flat"], ["h"]))
    dense_nodes(layers([128, 64, 10]), "h", "y", nodes, constants)
    save(folder / "digits-cnn.onnx", nodes, constants, 64, 10)
    finish(folder, "digits-cnn", random.integers(0, 17, (ROWS, 64)).astype(np.float32) / 16, None)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, widths in CHAINS.items():
        make_chain(folder, name, widths)
    make_deepfm(folder)
    make_digits(folder)


main()
