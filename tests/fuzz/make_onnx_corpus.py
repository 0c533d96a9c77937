"""Make tests/fuzz/corpus/onnx: small ONNX files of every family of ops. Needs onnx; run once, the files are committed.

    make_onnx_corpus.py OUT
"""
import os
import sys

import numpy as np
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

OUT = sys.argv[1]
RNG = np.random.default_rng(5)


def weights(*shape):
    return RNG.normal(0, 1, shape).astype(np.float32)


def save(name, nodes, inputs, constants, opset=17, ml=False, output=T.FLOAT):
    """nodes: (op, inputs, outputs, attributes); the last output is the model's, of an unknown shape."""
    made = [h.make_node(op, i, o, name=o[0], domain="ai.onnx.ml" if op in ML else "", **a) for op, i, o, a in nodes]
    infos = [h.make_tensor_value_info(n, t, ["N", *s]) for n, t, s in inputs]
    out = h.make_tensor_value_info(nodes[-1][2][0], output, None)
    held = [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()]
    opsets = [h.make_opsetid("", opset)] + ([h.make_opsetid("ai.onnx.ml", 3)] if ml else [])
    model = h.make_model(h.make_graph(made, "g", infos, [out], held), opset_imports=opsets)
    with open(os.path.join(OUT, name + ".onnx"), "wb") as file:
        file.write(model.SerializeToString())


ML = {"Scaler", "LabelEncoder", "OneHotEncoder", "TreeEnsembleClassifier", "LinearClassifier", "Normalizer", "Imputer"}
X4 = [("x", T.FLOAT, [4])]


def plain():
    save("mlp", [("Gemm", ["x", "w", "b"], ["a"], {"transB": 1}), ("Relu", ["a"], ["r"], {}),
                 ("MatMul", ["r", "v"], ["m"], {}), ("Add", ["m", "c"], ["s"], {}), ("Softmax", ["s"], ["y"], {})],
         X4, {"w": weights(5, 4), "b": weights(5), "v": weights(5, 3), "c": weights(3)})
    save("old", [("Clip", ["x"], ["a"], {"min": -1.0, "max": 2.0}), ("Unsqueeze", ["a"], ["b"], {"axes": [2]}),
                 ("Split", ["b"], ["p", "q"], {"axis": 1, "split": [1, 3]}), ("ReduceSum", ["q"], ["r"], {"axes": [1]}),
                 ("Concat", ["p", "r"], ["c"], {"axis": 1}), ("Softmax", ["c"], ["y"], {"axis": 1})], X4, {}, opset=9)
    save("shapes", [("Shape", ["x"], ["s"], {}), ("Gather", ["s", "zero"], ["n"], {}),
                    ("Unsqueeze", ["n", "axes"], ["n1"], {}), ("Concat", ["n1", "rest"], ["t"], {"axis": 0}),
                    ("Reshape", ["x", "t"], ["r"], {}), ("Transpose", ["r"], ["p"], {"perm": [0, 2, 1]}),
                    ("Slice", ["p", "zeros", "ones", "axes1"], ["c"], {}), ("Flatten", ["c"], ["f"], {}),
                    ("ConstantOfShape", ["big"], ["z"], {}), ("ReduceProd", ["rest"], ["u"], {"keepdims": 0}),
                    ("Cast", ["u"], ["uf"], {"to": T.FLOAT}), ("Mul", ["f", "uf"], ["y"], {})], X4,
         {"zero": np.int64(0), "axes": np.int64([0]), "rest": np.int64([2, -1]), "zeros": np.int64([0]),
          "ones": np.int64([1]), "axes1": np.int64([1]), "big": np.int64([4, 4])})
    save("folds", [("Range", ["a", "b", "c"], ["r"], {}), ("Expand", ["r", "wide"], ["e"], {}),
                   ("Concat", ["e", "e"], ["d"], {"axis": 0}), ("Concat", ["d", "d"], ["d2"], {"axis": 0}),
                   ("Transpose", ["d2"], ["t"], {}), ("Equal", ["t", "t"], ["q"], {}), ("Where", ["q", "t", "t"], ["w"], {}),
                   ("Gather", ["w", "i"], ["g"], {"axis": 1}), ("Pow", ["g", "two"], ["k"], {}),
                   ("Cast", ["k"], ["f"], {"to": T.FLOAT}), ("Sqrt", ["f"], ["s"], {}), ("Add", ["x", "s"], ["y"], {})],
         X4, {"a": np.int64(0), "b": np.int64(4), "c": np.int64(1), "wide": np.int64([2, 4]), "i": np.int64(1),
              "two": np.int64(2)})


def images():
    save("cnn", [("Conv", ["x", "w"], ["c"], {"pads": [1, 1, 1, 1], "group": 2}),
                 ("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"], {}), ("Relu", ["n"], ["r"], {}),
                 ("MaxPool", ["r"], ["p"], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
                 ("AveragePool", ["p"], ["q"], {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER"}),
                 ("GlobalAveragePool", ["q"], ["l"], {}), ("Flatten", ["l"], ["y"], {})],
         [("x", T.FLOAT, [2, 5, 5])], {"w": weights(4, 1, 3, 3), "g": weights(4), "b": weights(4), "m": weights(4),
                                       "v": np.abs(weights(4))})
    save("text_cnn", [("Gather", ["t", "x"], ["e"], {}), ("Transpose", ["e"], ["p"], {"perm": [0, 2, 1]}),
                      ("Conv", ["p", "w", "b"], ["c"], {"kernel_shape": [2]}), ("Elu", ["c"], ["r"], {}),
                      ("ReduceMax", ["r"], ["y"], {"axes": [2], "keepdims": 0})],
         [("x", T.INT64, [6])], {"t": weights(9, 3), "w": weights(2, 3, 2), "b": weights(2)})


def patterns():
    save("gelu", [("Div", ["x", "root"], ["a"], {}), ("Erf", ["a"], ["e"], {}), ("Add", ["e", "one"], ["f"], {}),
                  ("Mul", ["x", "f"], ["g"], {}), ("Mul", ["g", "half"], ["h"], {}), ("Sigmoid", ["h"], ["s"], {}),
                  ("Mul", ["h", "s"], ["w"], {}), ("Softplus", ["w"], ["k"], {}), ("Tanh", ["k"], ["l"], {}),
                  ("Mul", ["w", "l"], ["y"], {})], X4,
         {"root": np.float32(2 ** 0.5), "one": np.float32(1), "half": np.float32(0.5)})
    save("norm", [("ReduceMean", ["x"], ["m"], {"axes": [-1]}), ("Sub", ["x", "m"], ["d"], {}),
                  ("Pow", ["d", "two"], ["q"], {}), ("ReduceMean", ["q"], ["v"], {"axes": [-1]}),
                  ("Add", ["v", "eps"], ["e"], {}), ("Sqrt", ["e"], ["r"], {}), ("Div", ["d", "r"], ["n"], {}),
                  ("Mul", ["n", "g"], ["a"], {}), ("Add", ["a", "b"], ["o"], {}),
                  ("LayerNormalization", ["o", "g", "b"], ["y"], {})], X4,
         {"two": np.float32(2), "eps": np.float32(1e-5), "g": weights(4), "b": weights(4)})
    save("towers", [("Gather", ["t", "id"], ["e"], {}), ("ReduceSum", ["e", "axes"], ["u"], {"keepdims": 0}),
                    ("MatMul", ["x", "w"], ["i"], {}), ("Mul", ["u", "i"], ["p"], {}), ("Unsqueeze", ["p", "axes"], ["a"], {}),
                    ("Transpose", ["a"], ["b"], {"perm": [0, 2, 1]}), ("MatMul", ["a", "b"], ["c"], {}),
                    ("Flatten", ["c"], ["f"], {}), ("Sigmoid", ["f"], ["y"], {})],
         [("id", T.INT64, [3]), ("x", T.FLOAT, [4])], {"t": weights(7, 2), "w": weights(4, 2), "axes": np.int64([1])})


def integers():
    scale = {"s": np.float32(0.02), "z": np.uint8(128), "ws": np.float32([0.01, 0.02]), "wz": np.int8([0, 0]),
             "w": RNG.integers(-100, 100, (4, 2)).astype(np.int8)}
    save("qdq", [("QuantizeLinear", ["x", "s", "z"], ["q"], {}), ("DequantizeLinear", ["q", "s", "z"], ["d"], {}),
                 ("DequantizeLinear", ["w", "ws", "wz"], ["v"], {"axis": 1}), ("MatMul", ["d", "v"], ["m"], {}),
                 ("QuantizeLinear", ["m", "s", "z"], ["r"], {}), ("DequantizeLinear", ["r", "s", "z"], ["y"], {})],
         X4, scale)
    save("qlinear", [("QuantizeLinear", ["x", "s", "z"], ["q"], {}),
                     ("QLinearMatMul", ["q", "s", "z", "w", "ws", "wz", "s", "z"], ["m"], {}),
                     ("DequantizeLinear", ["m", "s", "z"], ["y"], {})], X4, scale)
    save("dynamic", [("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"], {}),
                     ("MatMulInteger", ["q", "w", "qz"], ["m"], {}), ("Cast", ["m"], ["f"], {"to": T.FLOAT}),
                     ("Mul", ["qs", "ws"], ["k"], {}), ("Mul", ["f", "k"], ["y"], {})], X4, scale)


def classic():
    save("texts", [("LabelEncoder", ["c"], ["i"], {"keys_strings": ["a", "b"], "values_floats": [0.5, 2.0],
                                                   "default_float": -1.0}),
                   ("OneHotEncoder", ["d"], ["o"], {"cats_strings": ["p", "q"], "zeros": 1}),
                   ("Reshape", ["o", "two"], ["r"], {}), ("Concat", ["i", "r"], ["k"], {"axis": 1}),
                   ("Normalizer", ["k"], ["y"], {"norm": "L2"})],
         [("c", T.STRING, [1]), ("d", T.STRING, [1])], {"two": np.int64([-1, 2])}, ml=True)
    save("trees", [("Imputer", ["x"], ["i"], {"imputed_value_floats": [1.0], "replaced_value_float": float("nan")}),
                   ("Scaler", ["i"], ["s"], {"offset": [1.0], "scale": [0.5]}),
                   ("TreeEnsembleClassifier", ["s"], ["label", "p"], {
                       "nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_featureids": [1, 0, 0],
                       "nodes_values": [0.5, 0.0, 0.0], "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
                       "nodes_truenodeids": [1, 0, 0], "nodes_falsenodeids": [2, 0, 0],
                       "nodes_missing_value_tracks_true": [0, 0, 0], "nodes_hitrates": [1.0, 1.0, 1.0],
                       "class_treeids": [0, 0, 0, 0], "class_nodeids": [1, 1, 2, 2], "class_ids": [0, 1, 0, 1],
                       "class_weights": [0.25, 0.75, 1.0, 0.0], "classlabels_int64s": [0, 1],
                       "post_transform": "NONE"}), ("Identity", ["p"], ["y"], {})], X4, {}, ml=True)


os.makedirs(OUT, exist_ok=True)
for family in (plain, images, patterns, integers, classic):
    family()
