"""MLPs that ONNX Runtime's own tools quantized, as static QDQ pairs and dynamically, beside the fp32 model."""
import logging

import numpy as np
import onnx
from onnxruntime import quantization as q

import oracle
import stacks

WIDTH, ROWS = 20, 200


class Calibration(q.CalibrationDataReader):
    def __init__(self, name, rows):
        self.rows = iter([{name: rows[i:i + 20]} for i in range(0, len(rows), 20)])

    def get_next(self):
        return next(self.rows, None)


def mlp(rng):
    s = stacks.Stack(rng, 17)
    s.constant_nodes = 0  # the tools would quantize what they make
    x = s.input((WIDTH,))
    name = x.name
    for width in (32, 16, 4):
        weight = s.constant(s.weight(x.shape[-1], width))
        bias = s.constant(rng.normal(0, 0.2, width).astype(np.float32))
        x = s.node("Add", [s.node("MatMul", [x, weight], (width,)), bias], (width,))
        if width > 4:
            x = s.node("Relu", [x], (width,))
    return s, name, s.model(x)


def quantized(way):
    """(rng, op set) -> int8 model, feeds, the fp32 model."""
    def build(rng, _):
        logging.disable(logging.WARNING)
        s, name, model = mlp(rng)
        onnx.save(model, oracle.path("f.onnx"))
        rows = s.makers[name](rng, ROWS)
        out = oracle.path("q.onnx")
        if way == "dynamic":
            q.quantize_dynamic(oracle.path("f.onnx"), out, per_channel=bool(rng.random() < 0.5),
                               weight_type=q.QuantType.QInt8)
        else:
            kind = q.QuantType.QUInt8 if rng.random() < 0.5 else q.QuantType.QInt8
            q.quantize_static(oracle.path("f.onnx"), out, Calibration(name, rows), quant_format=q.QuantFormat.QDQ,
                              activation_type=kind, weight_type=q.QuantType.QInt8,
                              per_channel=bool(rng.random() < 0.5))
        return onnx.load(out), s.feeds, model
    return build


BUILDERS = {"int8 " + way: quantized(way) for way in ("static", "dynamic")}
