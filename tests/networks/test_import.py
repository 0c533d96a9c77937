"""`lepton import` of ONNX from outside: what small ops become, forms of the file, external data, golden rows, and what is
refused with which words."""
import json
import os
import struct
import subprocess
import sys
import time
import unittest

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

import oracle

# A child's peak counts what its parent had when it was made: a small parent.
MEASURE = """import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], check=False).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"""
RNG = np.random.default_rng(3)


def weights(*shape):
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def node(op, inputs, output, **attributes):
    return h.make_node(op, inputs.split(), output.split(), name="n_" + output.split()[0], **attributes)


def model(nodes, inputs, constants=None, opset=17, domains=()):
    """inputs: {name: row shape, or (type, row shape)}; the last node's first output is the model's."""
    infos = []
    for name, shape in inputs.items():
        kind, dims = shape if isinstance(shape, tuple) else (T.FLOAT, shape)
        infos.append(h.make_tensor_value_info(name, kind, ["N", *dims]))
    out = h.make_tensor_value_info(nodes[-1].output[0], T.FLOAT, None)
    held = [numpy_helper.from_array(np.asarray(v), n) for n, v in (constants or {}).items()]
    opsets = [h.make_opsetid("", opset)] + [h.make_opsetid(d, 1) for d in domains]
    made = h.make_model(h.make_graph(nodes, "g", infos, [out], held), opset_imports=opsets)
    made.ir_version = 8
    return made


def save(made, name="m.onnx"):
    with open(oracle.path(name), "wb") as file:
        file.write(made if isinstance(made, bytes) else made.SerializeToString())
    return oracle.path(name)


def lepton(*arguments, stdin=None):
    done = subprocess.run([oracle.LEPTON, *arguments], capture_output=True, check=False, timeout=60, input=stdin)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def header(bundle):
    with open(bundle, "rb") as file:
        return json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))


def manifest(bundle):
    return json.loads(header(bundle)["__metadata__"]["lepton"])


class Case(unittest.TestCase):
    def refused(self, made, *words, options=()):
        before = time.monotonic()
        if os.path.exists(oracle.path("no.safetensors")):
            os.remove(oracle.path("no.safetensors"))
        code, out, err = lepton("import", save(made), "-o", oracle.path("no.safetensors"), *options)
        self.assertEqual((code, out), (1, ""), err)
        for word in words:
            self.assertIn(word, err)
        self.assertFalse(os.path.exists(oracle.path("no.safetensors")))
        self.assertLess(time.monotonic() - before, 30)

    def imported(self, made, *options):
        bundle = oracle.path("b.safetensors")
        file = made if isinstance(made, str) else save(made)
        code, out, err = lepton("import", file, "-o", bundle, *options)
        self.assertEqual(code, 0, err)
        return manifest(bundle), out, err

    def same(self, made, feeds, reference=None):
        """As ONNX Runtime scores `reference`, or the model itself."""
        said = self.imported(made)[0]
        want = oracle.Reference(reference if reference is not None else made)(feeds)
        np.testing.assert_allclose(oracle.score(oracle.path("b.safetensors"), feeds), oracle.align(
            oracle.score(oracle.path("b.safetensors"), feeds), want), rtol=1e-5, atol=1e-6)
        return said


def ops(said):
    """The graph in words: op, and what it does where that has a name."""
    return [" ".join([o["op"]] + [str(o[k]) for k in ("activation", "pool", "function") if k in o]) for o in said["graph"]]


X = {"x": [4]}
ROWS = {"x": RNG.normal(0, 1.5, (6, 4)).astype(np.float32)}


class Becomes(Case):
    """Small ops that exporters write -> the ops of a bundle, and the same numbers."""

    def becomes(self, nodes, constants, want, opset=17, inputs=None, rows=None):
        said = self.same(model(nodes, inputs or X, constants, opset), rows or ROWS)
        self.assertEqual(ops(said), want)
        return said

    def test_matmul_add_relu(self):
        self.becomes([node("MatMul", "x w", "a"), node("Add", "b a", "c"), node("Relu", "c", "y")],
                     {"w": weights(4, 3), "b": weights(3)}, ["dense relu"])

    def test_gemm_of_every_c(self):
        for c in (weights(3), weights(1, 3), weights(1, 1), np.float32(0.5), weights(1)):
            self.becomes([node("Gemm", "x w c", "y", transB=1, alpha=0.5, beta=2.0)], {"w": weights(3, 4), "c": c},
                         ["dense"])
        self.becomes([node("Gemm", "x w", "y")], {"w": weights(4, 3)}, ["dense"])

    def test_silu_hard_silu_and_mish(self):
        self.becomes([node("Sigmoid", "x", "s"), node("Mul", "s x", "y")], {}, ["activation silu"])
        self.becomes([node("HardSigmoid", "x", "s", alpha=1 / 6, beta=0.5), node("Mul", "x s", "y")], {},
                     ["activation hard_silu"])
        self.becomes([node("Softplus", "x", "s"), node("Tanh", "s", "t"), node("Mul", "x t", "y")], {},
                     ["activation mish"])

    def test_gelu_by_erf(self):
        numbers = {"r": np.float32(np.sqrt(2)), "i": np.float32(np.sqrt(0.5)), "one": np.float32(1), "h": np.float32(0.5)}
        self.becomes([node("Div", "x r", "a"), node("Erf", "a", "e"), node("Add", "e one", "f"), node("Mul", "x f", "g"),
                      node("Mul", "g h", "y")], numbers, ["activation gelu"])
        self.becomes([node("Mul", "x h", "k"), node("Mul", "x i", "a"), node("Erf", "a", "e"), node("Add", "one e", "f"),
                      node("Mul", "k f", "y")], numbers, ["activation gelu"])

    def test_gelu_by_tanh(self):
        numbers = {"k": np.float32(np.sqrt(2 / np.pi)), "c": np.float32(0.044715), "one": np.float32(1),
                   "h": np.float32(0.5), "three": np.float32(3)}
        tail = [node("Mul", "s k", "t"), node("Tanh", "t", "u"), node("Add", "u one", "f"), node("Mul", "x f", "g"),
                node("Mul", "g h", "y")]
        self.becomes([node("Pow", "x three", "p"), node("Mul", "p c", "q"), node("Add", "x q", "s"), *tail], numbers,
                     ["activation gelu_tanh"])
        self.becomes([node("Mul", "x x", "p"), node("Mul", "p c", "q"), node("Add", "q one", "r"), node("Mul", "x r", "s"),
                      *tail], numbers, ["activation gelu_tanh"])

    def test_pads(self):
        image, rows = {"x": [2, 3, 4]}, {"x": RNG.normal(0, 1.5, (6, 2, 3, 4)).astype(np.float32)}
        rows["x"][0, 0, 0, 0], rows["x"][1, 1, 2, 3] = -0.0, 1e-40
        said = self.same(model([node("Pad", "x p v", "y")], image, {"p": np.int64([0, 1, 0, 2, 0, 0, 3, 1]), "v": np.float32(1.5)}), rows)
        self.assertEqual(ops(said).count("concat"), 3)
        self.same(model([node("Pad", "x p v a", "y")], image, {"p": np.int64([2, 0, 1, 1]), "v": np.float32(-7),
                                                             "a": np.int64([-1, 1])}, opset=18), rows)
        self.same(model([node("Pad", "x", "y", pads=[0, 0, 1, 0, 0, 0, 0, 1], value=0.25)], image, opset=10), rows)
        self.same(model([node("Pad", "x p", "y")], X, {"p": np.int64([0, 2, 0, 0])}), ROWS)
        self.becomes([node("Pad", "x p", "a"), node("Relu", "a", "y")], {"p": np.int64(4 * [0])}, ["activation relu"])

    def test_zeros_around_an_image_are_the_convolutions(self):
        image, rows = {"x": [2, 5, 4]}, {"x": RNG.normal(0, 1.5, (6, 2, 5, 4)).astype(np.float32)}
        w = {"w": weights(3, 2, 3, 3), "p": np.int64([0, 0, 1, 2, 0, 0, 0, 1])}
        pad = node("Pad", "x p", "a")
        self.becomes([pad, node("Conv", "a w", "y")], w, ["reshape", "conv2d"], inputs=image, rows=rows)
        said = self.becomes([pad, node("Conv", "a w", "y", pads=[0, 1, 1, 0], strides=[2, 1])], w, ["reshape", "conv2d"], inputs=image, rows=rows)
        self.assertEqual(said["graph"][1]["pads"], [1, 3, 1, 1])
        self.becomes([pad, node("Conv", "a w", "b"), node("Relu", "b", "y")], w, ["reshape", "conv2d relu"], inputs=image, rows=rows)
        for auto in ("NOTSET", "VALID"):  # exporters write them out
            self.becomes([pad, node("Conv", "a w", "y", auto_pad=auto)], w, ["reshape", "conv2d"], inputs=image, rows=rows)
        signal = {"w": weights(3, 4, 3), "p": np.int64([0, 0, 2, 0, 0, 0])}
        self.becomes([node("Pad", "x p", "a"), node("Conv", "a w", "y")], signal, ["reshape", "conv2d"],
                     inputs={"x": [4, 6]}, rows={"x": RNG.normal(0, 1.5, (6, 4, 6)).astype(np.float32)})
        for pads, filler, auto in (([0, 0, 1, 2, 0, 0, 0, 1], 0.5, {}), ([0, 0, 4, 0, 0, 0, 0, 0], 0, {}), ([0, 1, 1, 2, 0, 0, 0, 1], 0, {}),
                                   ([0, 0, 1, 2, 0, 0, 0, 1], 0, {"auto_pad": "SAME_UPPER"})):
            channels = 2 + pads[1]
            said = self.same(model([node("Pad", "x p v", "a"), node("Conv", "a w", "y", **auto)], image, {
                "w": weights(3, channels, 3, 3), "p": np.int64(pads), "v": np.float32(filler)}), rows)
            self.assertIn("concat", ops(said))
        said = self.same(model([pad, node("Conv", "a w", "c"), node("ReduceSum", "c s", "d", keepdims=0),
                                node("ReduceSum", "a s", "e", keepdims=0), node("Add", "d e", "y")], image,
                               {**w, "s": np.int64([1, 2, 3])}), rows)
        self.assertIn("concat", ops(said))  # others read it too

    def test_not_gelu(self):
        numbers = {"r": np.float32(1.5), "one": np.float32(1), "h": np.float32(0.5)}
        self.assertNotIn("activation gelu", ops(self.same(model(
            [node("Div", "x r", "a"), node("Erf", "a", "e"), node("Add", "e one", "f"), node("Mul", "x f", "g"),
             node("Mul", "g h", "y")], X, numbers), ROWS)))

    def test_layer_norm(self):
        numbers = {"two": np.float32(2), "eps": np.float32(1e-3), "g": weights(4), "b": weights(4)}
        self.becomes([node("ReduceMean", "x", "m", axes=[-1]), node("Sub", "x m", "d"), node("Pow", "d two", "q"),
                      node("ReduceMean", "q", "v", axes=[1]), node("Add", "v eps", "e"), node("Sqrt", "e", "s"),
                      node("Div", "d s", "n"), node("Mul", "n g", "a"), node("Add", "a b", "y")], numbers, ["norm"])

    def test_batch_norm_goes_into_layers(self):
        moments = {"s": weights(3), "b": weights(3), "m": weights(3), "v": np.abs(weights(3)) + 0.1}
        said = self.becomes([node("MatMul", "x w", "a"), node("BatchNormalization", "a s b m v", "n"),
                             node("Elu", "n", "y", alpha=0.5)], {"w": weights(4, 3), **moments}, ["dense elu"])
        self.assertEqual(said["graph"][0]["alpha"], 0.5)
        self.becomes([node("Conv", "x w", "a"), node("BatchNormalization", "a s b m v", "n"), node("Relu", "n", "y")],
                     {"w": weights(3, 2, 2, 2), **moments}, ["reshape", "conv2d relu"], inputs={"x": [2, 3, 3]},
                     rows={"x": RNG.normal(0, 1, (5, 2, 3, 3)).astype(np.float32)})

    def test_bag_of_embeddings(self):
        ids = {"x": RNG.integers(0, 9, (6, 5))}
        for reduce, pool in (("ReduceSum", "sum"), ("ReduceMean", "mean"), ("ReduceMax", "max")):
            axes = {"axes": np.int64([1])} if reduce == "ReduceSum" else {}
            last = node("ReduceSum", "e axes", "y", keepdims=0) if axes else node(reduce, "e", "y", axes=[1], keepdims=0)
            self.becomes([node("Gather", "t x", "e"), last], {"t": weights(9, 3), **axes}, ["embedding " + pool],
                         inputs={"x": (T.INT64, [5])}, rows=ids)

    def test_a_residual_is_not_computed_in_place(self):
        self.becomes([node("MatMul", "x w", "a"), node("Relu", "a", "r"), node("Add", "a r", "y")], {"w": weights(4, 4)},
                     ["dense", "activation relu", "add"])

    def test_shapes_are_folded(self):
        self.becomes([node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Unsqueeze", "n axes", "u"),
                      node("Concat", "u rest", "t", axis=0), node("Reshape", "x t", "r"), node("Flatten", "r", "f"),
                      node("MatMul", "f w", "y")],
                     {"zero": np.int64(0), "axes": np.int64([0]), "rest": np.int64([2, 2]), "w": weights(4, 3)}, ["dense"])

    def test_last_softmax_and_sigmoid_are_links(self):
        said = self.becomes([node("MatMul", "x w", "a"), node("Softmax", "a", "y")], {"w": weights(4, 3)}, ["dense"])
        self.assertEqual((said["output"]["link"], said["task"]), ("softmax", "multiclass"))
        said = self.becomes([node("MatMul", "x w", "a"), node("Sigmoid", "a", "y")], {"w": weights(4, 1)}, ["dense"])
        self.assertEqual((said["output"]["link"], said["task"]), ("sigmoid", "binary"))

    def test_quantized_layers(self):
        constants = {"s": np.float32(0.03), "z": np.uint8(120), "ws": np.float32([0.01, 0.02, 0.03]),
                     "w": RNG.integers(-128, 128, (4, 3)).astype(np.int8), "b": weights(3), "wz": np.int8([0, 0, 0])}
        nodes = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d"),
                 node("DequantizeLinear", "w ws wz", "v", axis=1), node("MatMul", "d v", "m"), node("Add", "m b", "a"),
                 node("Relu", "a", "y")]
        said = self.becomes(nodes, constants, ["dense relu"])
        held = header(oracle.path("b.safetensors"))
        self.assertEqual(held[said["graph"][0]["weight"]]["dtype"], "I8")
        self.assertAlmostEqual(said["graph"][0]["input_scale"], 0.03, 7)
        self.assertEqual(said["graph"][0]["input_zero_point"], 120)

    def test_a_quantization_that_joins_nothing_stays(self):
        self.becomes([node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d"), node("Tanh", "d", "y")],
                     {"s": np.float32(0.03), "z": np.int8(3)}, ["quantize", "activation tanh"])

    def test_dynamic_quantization_by_row(self):
        made = model([node("DynamicQuantizeLinear", "x", "q qs qz"), node("MatMulInteger", "q w qz", "m"),
                      node("Cast", "m", "f", to=T.FLOAT), node("Mul", "qs ws", "k"), node("Mul", "f k", "y")], X,
                     {"w": RNG.integers(-128, 128, (4, 3)).astype(np.int8), "ws": np.float32(0.01)})
        said, _, err = self.imported(made)
        self.assertIn("each row is quantized by itself", err)
        self.assertEqual(ops(said), ["dense"])
        want = oracle.Reference(made)(ROWS, single=True)
        np.testing.assert_allclose(oracle.score(oracle.path("b.safetensors"), ROWS), want, rtol=1e-5, atol=1e-6)


class Forms(Case):
    """What a file may look like."""

    def dense(self, **kinds):
        w, b = weights(4, 3), weights(3)
        made = model([node("MatMul", "x w", "a"), node("Add", "a b", "y")], X, {"w": w, "b": b})
        return made, w, b

    def test_weights_of_16_and_64_bits(self):
        for kind in (np.float16, np.float64):
            made, w, _ = self.dense()
            cast = model([node("Cast", "v", "w", to=T.FLOAT), node("MatMul", "x w", "y")], X, {"v": w.astype(kind)})
            self.same(cast, ROWS)
        made = self.dense()[0]
        made.graph.initializer[0].CopyFrom(h.make_tensor("v", T.BFLOAT16, [4, 3], weights(12).tolist()))
        made.graph.node.insert(0, node("Cast", "v", "w", to=T.FLOAT))
        self.same(made, ROWS)

    def test_a_table_of_half_floats_stays_one(self):
        made = model([node("Gather", "t id", "e"), node("Cast", "e", "y", to=T.FLOAT)], {"id": (T.INT64, [])},
                     {"t": weights(5, 2).astype(np.float16)})
        said = self.same(made, {"id": np.int64([0, 3, 4])})
        self.assertEqual(header(oracle.path("b.safetensors"))[said["graph"][0]["table"]]["dtype"], "F16")

    def test_half_floats_in_int32_data(self):
        made, w, _ = self.dense()
        bits = w.astype(np.float16).view(np.uint16)
        held = made.graph.initializer[0]
        held.Clear()
        held.name, held.data_type = "v", T.FLOAT16
        held.dims.extend([4, 3])
        held.int32_data.extend(int(b) for b in bits.reshape(-1))
        made.graph.node.insert(0, node("Cast", "v", "w", to=T.FLOAT))
        self.same(made, ROWS)

    def test_typed_data(self):
        made, w, _ = self.dense()
        made.graph.initializer[0].CopyFrom(h.make_tensor("w", T.FLOAT, [4, 3], w.reshape(-1).tolist()))
        self.same(made, ROWS)

    def test_initializers_listed_as_inputs(self):
        made, w, _ = self.dense()
        made.graph.input.append(h.make_tensor_value_info("w", T.FLOAT, [4, 3]))
        self.assertEqual([f["name"] for f in self.same(made, ROWS)["features"]], ["x"])

    def test_a_graph_in_two_messages_and_unknown_fields(self):
        """Protobuf merges a message that comes twice; fields that nobody knows are passed over."""
        made = self.dense()[0]
        first, second = onnx.ModelProto(), onnx.ModelProto()
        first.CopyFrom(made)
        del first.graph.node[1:]
        del first.graph.initializer[1:]
        second.graph.node.append(made.graph.node[1])
        second.graph.initializer.append(made.graph.initializer[1])
        unknown = b"\xfa\x3f\x03abc" + b"\xf8\x3f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
        self.same(first.SerializeToString() + unknown + second.SerializeToString(), ROWS, made)

    def test_unpacked_lists(self):
        """`dims` packed, `float_data` not: either is legal for any list."""
        made, w, _ = self.dense()
        floats = b"".join(b"\x25" + struct.pack("<f", v) for v in w.reshape(-1))
        tensor = b"\x0a\x02\x04\x03" + b"\x10\x01" + floats + b"\x42\x01w"
        bare = onnx.ModelProto()
        bare.CopyFrom(made)
        del bare.graph.initializer[0]
        graph = b"\x2a" + bytes([len(tensor)]) + tensor
        self.same(bare.SerializeToString() + b"\x3a" + bytes([len(graph)]) + graph, ROWS, made)

    def test_several_inputs(self):
        made = model([node("Gather", "t id", "e"), node("Unsqueeze", "p axes", "q"), node("Flatten", "im", "f"),
                      node("Concat", "e q f", "y", axis=1)],
                     {"id": (T.INT64, []), "p": [], "im": [2, 2], "unused": [3]}, {"t": weights(5, 2), "axes": np.int64([1])})
        feeds = {"id": RNG.integers(0, 5, 4), "p": weights(4), "im": weights(4, 2, 2), "unused": weights(4, 3)}
        said = self.same(made, feeds)
        self.assertEqual([(f["name"], f["kind"], f.get("width")) for f in said["features"]],
                         [("id", "number", None), ("p", "number", None), ("im", "vector", 4)])

    def test_an_id_above_2_to_24_is_exact(self):
        table = np.zeros(((1 << 24) + 4, 1), np.float32)
        table[-3:, 0] = [1, 2, 3]
        made = model([node("Gather", "t id", "y")], {"id": (T.INT64, [])}, {"t": table})
        self.imported(made)
        got = oracle.score(oracle.path("b.safetensors"), {"id": np.int64([(1 << 24) + 1, (1 << 24) + 2, (1 << 24) + 3])})
        self.assertEqual(got.reshape(-1).tolist(), [1, 2, 3])

    def test_ids_that_are_none_are_bad_records(self):
        self.imported(model([node("Gather", "t id", "y")], {"id": (T.INT64, [])}, {"t": weights(5, 2)}))
        got = oracle.score(oracle.path("b.safetensors"), {"id": np.float64([-1, 5, 0.5, 4])})
        self.assertEqual(np.isnan(got).any(axis=1).tolist(), [True, True, True, False])

    def test_report_spec_and_mapping(self):
        made = self.dense()[0]
        said = json.loads(self.imported(made, "--json")[1])
        self.assertEqual((said["ops"], said["parameters"], said["outputs"], said["features"]), (1, 15, 3, 4))
        self.assertIn("1 ops, 15 parameters", self.imported(made)[1])
        spec = json.loads(lepton("import", save(made), "--print-spec")[1])
        self.assertEqual(spec["features"], [{"name": "x", "from": "x", "kind": "vector", "width": 4,
                                             "missing": {"policy": "reject"}}])
        said = self.imported(made, "--from", "x=user.vector", "--name", "net", "--version", "7")[0]
        self.assertEqual((said["features"][0]["from"], said["name"], said["version"]), ("user.vector", "net", "7"))
        spec["features"] = [{"name": "a%d" % i, "from": "a%d" % i, "kind": "number", "missing": {"policy": "reject"}}
                            for i in range(4)]
        with open(oracle.path("spec.json"), "w", encoding="utf-8") as file:
            json.dump(spec, file)
        self.assertEqual(len(self.imported(made, "--features", oracle.path("spec.json"))[0]["features"]), 4)

    def test_golden_rows(self):
        made = self.dense()[0]
        want = oracle.Reference(made)(ROWS)
        lines = [{"record": {"x": row.tolist()}, "score": score.tolist()} for row, score in zip(ROWS["x"], want)]
        golden = oracle.path("golden.jsonl")
        for broken in (False, True):
            if broken:
                lines[2]["score"][1] += 0.01
            with open(golden, "w", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
            if not broken:
                self.assertEqual(len(self.imported(made, "--golden", golden)[0]["golden"]["rows"]), 6)
            else:
                self.refused(made, "golden", options=("--golden", golden))


class Refused(Case):
    def test_ops_by_name_node_and_opset(self):
        self.refused(model([h.make_node("LSTM", ["x", "w", "r"], ["y"], name="lstm_1", hidden_size=2)], {"x": [3, 4]},
                           {"w": weights(1, 8, 4), "r": weights(1, 8, 2)}), "`lstm_1`", "LSTM", "opset 17", "not in this release")
        self.refused(model([h.make_node("Erfc", ["x"], ["y"], name="gelu/Erfc")], X), "`gelu/Erfc`", "Erfc")
        self.refused(model([h.make_node("Foo", ["x"], ["y"], name="a", domain="org.bar")], X, domains=("org.bar",)),
                     "org.bar.Foo")

    def test_pads(self):
        for pads, attributes, constants, why in (
                ([0, -1, 0, 0], {}, {}, "a pad of -1"), ([1, 0, 0, 0], {}, {}, "the batch"), ([0, 1, 0], {}, {}, "3 pads"),
                ([0, 1 << 40, 0, 0], {}, {}, "elements"), ([0, 1, 0, 0], {"mode": "reflect"}, {}, "mode reflect"),
                ([0, 1, 0, 0], {}, {"v": np.float32(np.inf)}, "a filler of inf"),
                ([0, 1, 0, 0], {}, {"v": np.float32([1, 2])}, "not one number")):
            with self.subTest(why):
                self.refused(model([node("Pad", "x p" + " v" * len(constants), "y", **attributes)], X,
                                   {"p": np.int64(pads), **constants}), "(Pad, opset 17)", why)
        for amounts, axes, why in (([1, 1], [2], "axis 2"), ([1, 2, 1, 2], [1, -1], "axis 1 twice")):
            self.refused(model([node("Pad", "x p v a", "y")], X, {"p": np.int64(amounts), "v": np.float32(0), "a": np.int64(axes)},
                               opset=18), why)

    def test_whole_numbers_that_floats_lack_are_not_compared(self):
        for op in ("Equal", "Greater", "LessOrEqual"):
            for number, whole in (((1 << 24) + 1, True), (-(1 << 53) - 1, True), (1 << 24, False)):
                with self.subTest(op, number=number):
                    made = model([node(op, "x c", "b"), node("Cast", "b", "y", to=T.FLOAT)], {"x": (T.INT64, [2])},
                                 {"c": np.int64([number, 3])})
                    if whole:
                        self.refused(made, "(%s, opset 17)" % op, "%d: whole numbers beyond 2^24" % number)
                    else:
                        self.same(made, {"x": np.int64([[1 << 24, 3], [5, 4]])})

    def test_opsets(self):
        for opset in (8, 22):
            self.refused(model([node("Relu", "x", "y")], X, opset=opset), "opset %d" % opset, "9 to 21")

    def test_graphs_that_are_none(self):
        self.refused(model([node("Add", "x b", "a"), node("Relu", "a", "b")], X), "cycle")
        self.refused(model([node("Relu", "nothing", "y")], X), "`nothing`")
        self.refused(model([node("Relu", "x", "y"), node("Tanh", "x", "y")], X), "`y`", "twice")
        self.refused(model([node("Add", "w w", "y")], X, {"w": weights(1, 4)}), "does not depend")
        self.refused(b"\x08\x07\x12\x07pytorch", "no graph")
        self.refused(model([node("Relu", "x", "y")], X).SerializeToString()[:-9], "damaged")

    def test_rows_that_would_depend_on_one_another(self):
        for nodes, constants in (
                ([node("Reshape", "x s", "y")], {"s": np.int64([-1, 2])}),
                ([node("ReduceSum", "x s", "y")], {"s": np.int64([0])}),
                ([node("ReduceMean", "x", "y")], {}),
                ([node("Transpose", "x", "y")], {}),
                ([node("Softmax", "x", "y", axis=0)], {}),
                ([node("Concat", "x x", "y", axis=0)], {}),
                ([node("Slice", "x s e", "y")], {"s": np.int64([1]), "e": np.int64([3])}),
                ([node("Slice", "x s e a", "p"), node("Squeeze", "p a", "q"), node("Add", "q x", "y")],
                 {"s": np.int64([1]), "e": np.int64([2]), "a": np.int64([1])}),
                ([node("Add", "x b", "y")], {"b": weights(6, 4)})):
            self.refused(model(nodes, X, constants), "node `n_")

    def test_a_rows_integers_before_their_scale(self):
        w = RNG.integers(-128, 128, (4, 3)).astype(np.int8)
        for last in (node("Add", "f f", "y"), node("Relu", "f", "y"), node("Reshape", "f t", "y"), node("Add", "f qs", "y")):
            with self.subTest(last.op_type):
                self.refused(model([node("DynamicQuantizeLinear", "x", "q qs qz"), node("MatMulInteger", "q w qz", "m"),
                                    node("Cast", "m", "f", to=T.FLOAT), last], X, {"w": w, "t": np.int64([-1, 3])}), "scale")

    def test_another_rows_scale(self):
        w = RNG.integers(-128, 128, (4, 3)).astype(np.int8)
        for zero, scale, why in (("rz", "qs", "another zero point"), ("qz", "rs", "a row's own scale")):
            with self.subTest(why):
                self.refused(model([node("DynamicQuantizeLinear", "x", "q qs qz"), node("Tanh", "x", "t"),
                                    node("DynamicQuantizeLinear", "t", "r rs rz"), node("MatMulInteger", "q w " + zero, "m"),
                                    node("Cast", "m", "f", to=T.FLOAT), node("Mul", "f " + scale, "y")], X, {"w": w}), why)

    def test_shapes(self):
        open_axis = model([node("Relu", "x", "y")], X)
        open_axis.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "F"
        self.refused(open_axis, "`x`", "axis 1")
        open_axis.graph.input[0].type.tensor_type.shape.dim[1].dim_value = -4
        self.refused(open_axis, "`x`", "-4")
        open_axis.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1 << 40
        self.refused(open_axis, "`x`")
        open_axis.graph.input[0].type.tensor_type.ClearField("shape")
        self.refused(open_axis, "no shape")
        lies = model([node("MatMul", "x w", "y")], X, {"w": weights(4, 3)})
        lies.graph.initializer[0].dims[0] = -4
        self.refused(lies, "`w`", "-4")
        lies.graph.initializer[0].dims[:] = [1 << 40, 1 << 40]
        self.refused(lies, "`w`")

    def test_bombs(self):
        """Small files that say much: refused before the memory is taken."""
        doubling = [node("Concat", "w w", "c0", axis=0)]
        doubling += [node("Concat", "c%d c%d" % (i, i), "c%d" % (i + 1), axis=0) for i in range(60)]
        for nodes, constants in (
                (doubling + [node("Add", "x c60", "y")], {"w": weights(1, 4)}),
                ([node("Expand", "w s", "e"), node("Add", "x e", "y")], {"w": weights(1), "s": np.int64([1 << 20, 1 << 20])}),
                ([node("Expand", "x s", "y")], {"s": np.int64([1, 1 << 19, 4])}),
                ([node("ConstantOfShape", "s", "e"), node("Add", "x e", "y")], {"s": np.int64([1 << 31, 1 << 31])}),
                ([node("Range", "a b c", "r"), node("Add", "x r", "y")],
                 {"a": np.int64(0), "b": np.int64(1 << 60), "c": np.int64(1)})):
            file = save(model(nodes, X, constants))
            done = subprocess.run([sys.executable, "-c", MEASURE, oracle.LEPTON, "import", file, "-o",
                                   oracle.path("no.safetensors")], capture_output=True, check=True, timeout=60, text=True)
            code, kilobytes = done.stdout.split()
            self.assertEqual(int(code), 1, done.stderr)
            self.assertLess(int(kilobytes), 100 << 10)


    def test_trees_of_many_outputs(self):
        """Numbers of leaves are counted against the file's size before memory is taken."""
        count, targets = 16001, 1000
        left = np.arange(count) * 2 + 1
        inner = left < count
        trees = h.make_node(
            "TreeEnsembleRegressor", ["x"], ["y"], name="n_y", domain="ai.onnx.ml", n_targets=targets, nodes_treeids=[0] * count,
            nodes_nodeids=range(count), nodes_featureids=[0] * count, nodes_values=[0.5] * count,
            nodes_modes=["BRANCH_LEQ" if i else "LEAF" for i in inner], nodes_truenodeids=np.where(inner, left, 0).tolist(),
            nodes_falsenodeids=np.where(inner, left + 1, 0).tolist(), target_treeids=[0, 0], target_nodeids=[count - 1] * 2,
            target_ids=[0, 1], target_weights=[1.0, 2.0])
        file = save(model([trees], X, domains=("ai.onnx.ml",)))
        done = subprocess.run([sys.executable, "-c", MEASURE, oracle.LEPTON, "import", file, "-o",
                               oracle.path("no.safetensors")], capture_output=True, check=True, timeout=60, text=True)
        code, kilobytes = done.stdout.split()
        self.assertEqual(int(code), 1, done.stderr)
        self.assertIn("many times the file's size", done.stderr)
        self.assertLess(int(kilobytes), 50 << 10)


class External(Case):
    def external(self, location, offset=None, length=None):
        made = model([node("MatMul", "x w", "y")], X, {"w": np.arange(12, dtype=np.float32).reshape(4, 3)})
        held = made.graph.initializer[0]
        with open(oracle.path("w.bin"), "wb") as file:
            file.write(bytes(8) + held.raw_data)
        held.ClearField("raw_data")
        held.data_location = T.EXTERNAL
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            if value is not None:
                entry = held.external_data.add()
                entry.key, entry.value = key, str(value)
        return made

    def test_read_beside_the_model(self):
        for location in ("w.bin", "./w.bin"):
            self.imported(self.external(location, 8, 48))
            got = oracle.score(oracle.path("b.safetensors"), {"x": np.float32([[1, 0, 0, 1]])})
            self.assertEqual(got.tolist(), [[9, 11, 13]])

    def test_what_leads_out_of_the_folder(self):
        inner = oracle.path("inner")
        os.makedirs(inner, exist_ok=True)
        for name in ("link.bin", "inner/loop"):
            if os.path.islink(oracle.path(name)):
                os.remove(oracle.path(name))
        os.symlink("w.bin", oracle.path("link.bin"))
        os.symlink("..", oracle.path("inner/loop"))
        for location, word in ((oracle.path("w.bin"), "not a path below"), ("../w.bin", "`..`"), ("inner/../w.bin", "`..`"),
                               ("link.bin", "links"), ("inner/loop/w.bin", "external data"), ("/dev/zero", "not a path"),
                               ("inner", "not a regular file"), ("", "not a path"), ("none.bin", "No such file")):
            self.refused(self.external(location, 8, 48), word)

    def test_offsets_and_lengths(self):
        for offset, length, word in ((8, 47, "its shape says 48"), (12, 48, "bytes 12 to 60"), (1 << 63, 48, "bytes"),
                                     ("9" * 30, 48, "not a size"), (-1, 48, "not a size")):
            self.refused(self.external("w.bin", offset, length), "`w`", word)

    def test_stdin_has_no_folder(self):
        code, _, err = lepton("import", "-", "-o", oracle.path("no.safetensors"),
                              stdin=self.external("w.bin", 8, 48).SerializeToString())
        self.assertEqual(code, 1)
        self.assertIn("not read from a folder", err)


if __name__ == "__main__":
    unittest.main()
