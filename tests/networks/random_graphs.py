"""Fresh random graphs, imported and scored by lepton, against ONNX Runtime: scikit-learn's estimators through skl2onnx,
stacks of random ops over op sets 9 to 21, convolutions, recommendation, quantized networks.

    random_graphs.py COUNT [SEED] [NUMBER]

COUNT graphs of random ops and architectures, and each of scikit-learn's estimators once; NUMBER: that graph only.
"""
import collections
import sys
import time

import numpy as np
import onnxruntime

import estimators
import ml_ops
import oracle
import quantizers
import recommenders
import stacks

OPSETS = range(9, 22)
ROW_COUNT = 40
# int8: both sides round the same numbers to a grid; where float sums differ in the last bit, one step of a hidden value
# apart. Relative to the outputs' spread.
INT8_BOUND = 0.02
INT8_FP32_BOUND = 0.05  # and of the fp32 model that was quantized


def of_stack(make):
    def build(rng, opset):
        s, model = make(rng, opset)
        return model, s.feeds
    return build


STACKS = {"ops": stacks.random_stack, "cnn": stacks.random_cnn, "quantized": stacks.random_quantized,
          **{make.__name__: make for make in recommenders.ALL}}


def plan(count):
    """[(name, builder)]: half of the stacks are of random ops, the rest goes round."""
    others = [name for name in STACKS if name != "ops"]
    names = ["ops" if i % 2 else others[i // 2 % len(others)] for i in range(count)]
    return [(n, of_stack(STACKS[n])) for n in names] + list(estimators.BUILDERS.items()) + \
        list(ml_ops.BUILDERS.items()) * (1 + count // 20) + list(quantizers.BUILDERS.items()) * (1 + count // 40)


def check_quantized(rng, model, feeds, what, full=None):
    """A bound on the outputs' spread instead of the tolerance of fp32; `full`: what was quantized."""
    single = full is not None and any(n.op_type == "DynamicQuantizeLinear" for n in model.graph.node)
    want = oracle.Reference(model)(feeds, single)
    spread = float(want.max() - want.min())
    wrong, totals = oracle.check(rng, model, feeds, what, single, INT8_BOUND, INT8_BOUND * spread, by_row=True)
    if full is not None:
        exact = oracle.Reference(full)(feeds)
        error = np.abs(oracle.score(oracle.path("b.safetensors"), feeds) - exact).max() / spread
        theirs = np.abs(want - exact).max() / spread  # what the quantization itself costs this model
        if not error <= max(INT8_FP32_BOUND, theirs + INT8_BOUND):
            wrong.append("%s: %.3f of the spread from fp32" % (what, error))
    return wrong, totals


def check(seed, number, name, build, ops):
    rng = np.random.default_rng([seed, number])
    opset = int(rng.choice(OPSETS)) if name in STACKS else int(rng.integers(13, 22))
    model, feeds, *full = build(rng, opset)
    ops.update(n.domain + ":" * bool(n.domain) + n.op_type for n in model.graph.node)
    what = "%d %s of op set %d" % (number, name, opset)
    run = check_quantized if full or name == "quantized" else oracle.check
    try:
        return run(rng, model, feeds(rng, ROW_COUNT), what, *full)
    except (AssertionError, oracle.Refused) as e:
        return ["%s: %s" % (what, e)], np.zeros(3, int)


def main():
    count = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    only = int(sys.argv[3]) if len(sys.argv) > 3 else None
    print("ONNX Runtime %s, %d graphs of random ops and %d estimators of seed %d" % (
        onnxruntime.__version__, count, len(estimators.BUILDERS), seed), flush=True)
    begin, failures, totals, ops, graphs = time.time(), [], np.zeros(3, int), collections.Counter(), 0
    for number, (name, build) in enumerate(plan(count)):
        if only is None or only == number:
            wrong, some = check(seed, number, name, build, ops)
            failures += wrong
            totals += some
            graphs += 1
    print("ops: " + " ".join("%s %d" % pair for pair in sorted(ops.items())))
    oracle.report(failures, "%d graphs, %d differences; of %d numbers %d are within %g relative + %g, %d within what an "
                  "ulp of the inputs moves; %.1f s" % (graphs, len(failures), totals[2], totals[0], oracle.RTOL,
                                                        oracle.ATOL, totals[1], time.time() - begin))


main()
