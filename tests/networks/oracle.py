"""What the network tests share: running lepton on records, ONNX Runtime as the oracle, hostile rows and comparing."""
import collections
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

LEPTON = os.environ["LEPTON"]
FOLDER = tempfile.TemporaryDirectory(prefix="lepton-networks-")
RTOL, ATOL = 1e-5, 1e-6  # of the issue, for fp32
HOSTILE = [0.0, -0.0, 1e30, -1e30, 1e-40, -1e-40, 1e-45, -3e9, 65504.0, 1e-30, 88.8, -104.0]

onnxruntime.set_default_logger_severity(4)


def path(name):
    return os.path.join(FOLDER.name, name)


def run(*command, good=True):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if good and done.returncode != 0:
        raise AssertionError("%s: exit %d: %s" % (" ".join(command[:2]), done.returncode, done.stderr.strip()))
    return done


class Refused(Exception):
    """lepton does not import the model; the text is what it says."""


def import_model(model, bundle, *options):
    """Import a ModelProto or a file; Refused when lepton says no, AssertionError when it does worse."""
    file = model
    if isinstance(model, onnx.ModelProto):
        file = path("m.onnx")
        onnx.save(model, file)
    done = run(LEPTON, "import", file, "-o", bundle, *options, good=False)
    if done.returncode == 1:
        raise Refused(done.stderr.strip())
    if done.returncode != 0:
        raise AssertionError("lepton import: exit %d: %s" % (done.returncode, done.stderr.strip()))


def records_of(feeds):
    """JSON Lines: an input's row as a number, a text or a flat array; null for NaN. Floats are the doubles they are."""
    names, count = list(feeds), len(next(iter(feeds.values())))
    flat = [[[None if v != v else v for v in row] for row in np.asarray(feeds[n]).reshape(count, -1).tolist()]
            for n in names]
    return "".join(json.dumps({n: v[i][0] if len(v[i]) == 1 else v[i] for n, v in zip(names, flat)},
                              ensure_ascii=False) + "\n" for i in range(count))


def score(bundle, feeds, *options):
    """[rows, outputs] float64 of `lepton score`; a refused record is a row of NaN."""
    with open(path("records.jsonl"), "w", encoding="utf-8") as file:
        file.write(records_of(feeds))
    lines = [json.loads(line) for line in
             run(LEPTON, "score", bundle, path("records.jsonl"), "--json", *options).stdout.splitlines()]
    width = max((len(line["scores"]) for line in lines if "scores" in line), default=1)
    for line in lines:
        if "scores" not in line and line["error"]["stage"] != "infer":
            raise AssertionError("a record is refused: %s" % line)
    return np.array([line.get("scores", [np.nan] * width) for line in lines], dtype=np.float64)


class Reference:
    """A model in ONNX Runtime: its one float output, flattened; labels are left out."""

    def __init__(self, model, optimize=True):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        if not optimize:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        data = model if isinstance(model, str) else model.SerializeToString()
        self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self.inputs = self.session.get_inputs()
        wanted = [o.name for o in self.session.get_outputs() if "float" in o.type or "double" in o.type]
        self.output = wanted[-1]

    def __call__(self, feeds, single=False):
        """single: row by row, for graphs whose arithmetic depends on the batch."""
        count = len(next(iter(feeds.values())))
        if single:
            return np.concatenate([self({n: v[i:i + 1] for n, v in feeds.items()}) for i in range(count)])
        got = self.session.run([self.output], feeds)[0]
        if isinstance(got, list):  # a ZipMap's dictionaries
            got = np.array([list(row.values()) for row in got])
        return got.reshape(count, -1).astype(np.float64)


def hostile(rng, feeds, rate=0.3):
    """Rows in which some of the floats are replaced by what breaks arithmetic; float32 inputs only."""
    made = {}
    for name, values in feeds.items():
        made[name] = values.copy()
        if values.dtype == np.float32:
            replace = rng.random(values.shape) < rate * rng.random((len(values),) + (1,) * (values.ndim - 1))
            made[name][replace] = rng.choice(np.array(HOSTILE, dtype=np.float32), int(replace.sum()))
    return made


def nudged(rng, feeds):
    """The same rows, each float moved by an ulp or not: what the answer does then is how well it is known."""
    made = dict(feeds)
    for name, values in feeds.items():
        if values.dtype == np.float32:
            way = rng.choice(np.array([-np.inf, np.inf], dtype=np.float32), values.shape)
            made[name] = np.where(rng.random(values.shape) < 0.7, np.nextafter(values, way), values)
    return made


Verdict = collections.namedtuple("Verdict", "wrong strict loose cells")


def align(got, want):
    """A binary model gives the second class's probability where scikit-learn gives both."""
    if got.shape[1] == 1 and want.shape[1] == 2:
        return want[:, 1:]
    return want


def compare(got, want, spread=None, rtol=RTOL, atol=ATOL, rows=None, by_row=False):
    """
    `by_row`: rtol is of the row's largest output, as a step of a row's quantization is.
    Verdict: what the first difference is or None; how many cells are within rtol and atol; how many only within
    `spread` besides, by which the oracle's own answer moves when its inputs do by an ulp; how many there are.
    A row with a NaN or an infinity in it is a refused record for lepton: nothing in it is compared but that.
    """
    if got.shape != want.shape:
        return Verdict("shape %s, not %s" % (got.shape, want.shape), 0, 0, want.size)
    with np.errstate(invalid="ignore", over="ignore"):
        bad_rows = ~np.isfinite(want.astype(np.float32)).all(axis=1)
        refused = np.isnan(got).any(axis=1)
        size = np.abs(want)
        allowed = atol + rtol * (size.max(axis=1, keepdims=True) if by_row else size)
        strict = np.abs(got - want) <= allowed
        loose = strict if spread is None else np.abs(got - want) <= allowed + 4 * spread
        unsure = np.zeros(len(got), bool) if spread is None else ~np.isfinite(spread).all(axis=1)
    settled = bad_rows | refused
    strict[settled] = loose[settled] = (bad_rows == refused)[settled, None]
    loose[unsure] = True  # an ulp decides between a number and none
    wrong = None
    if not loose.all():
        r, o = np.argwhere(~loose)[0]
        wrong = "%d of %d differ: row %d output %d is %.9g, ONNX Runtime says %.9g" % (
            (~loose).sum(), loose.size, r, o, got[r, o], want[r, o])
        if rows is not None:
            wrong += "; row " + json.dumps({n: v[r].reshape(-1).tolist()[:12] for n, v in rows.items()}, default=str)
    return Verdict(wrong, int(strict.sum()), int((loose & ~strict).sum()), want.size)


def spread_of(reference, rng, feeds, want, times=3, single=False):
    """How far the oracle's answers move with nudged inputs, and without its graph optimizer."""
    with np.errstate(invalid="ignore", over="ignore"):
        moves = [np.abs(reference(nudged(rng, feeds), single) - want) for _ in range(times)]
    moved = np.max(moves, axis=0)
    moved[np.isnan(moved) & np.isnan(want)] = 0
    return moved


def in_doubles(model, feeds, output):
    """The model's answers by ONNX's own evaluator, every float of the graph a double; None where it cannot."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    tensors = list(made.graph.initializer) + [a.t for n in made.graph.node for a in n.attribute if a.HasField("t")]
    for tensor in tensors:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    for node in made.graph.node:
        for a in node.attribute:
            if node.op_type == "Cast" and a.name == "to" and a.i == TensorProto.FLOAT:
                a.i = TensorProto.DOUBLE
    for value in list(made.graph.input) + list(made.graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    wide = {n: v.astype(np.float64) if v.dtype == np.float32 else v for n, v in feeds.items()}
    try:
        with np.errstate(all="ignore"):
            got = ReferenceEvaluator(made).run([output], wide)[0]
    except Exception:  # whatever an op of it raises
        return None
    return np.asarray(got, dtype=np.float64).reshape(len(next(iter(feeds.values()))), -1)


def overflown(model, reference, rows, got, want):
    """
    `want`, where ONNX Runtime's floats overflow on the way and lepton's do not: an answer that doubles give is as good.
    Where they overflow to a number that doubles do not give, lepton may refuse the record.
    """
    exact = in_doubles(model if isinstance(model, onnx.ModelProto) else onnx.load(model), rows, reference.output)
    if exact is None or exact.shape != want.shape or got.shape != align(got, want).shape:
        return want
    ours, theirs = align(got, exact), align(got, want)
    with np.errstate(invalid="ignore"):
        same = np.isclose(got, ours, rtol=1e-4, atol=1e-5).all(axis=1)
        off = ~np.isclose(theirs, ours, rtol=1e-4, atol=1e-5).all(axis=1) & np.isfinite(ours).all(axis=1)
    want = np.where((off & np.isnan(got).any(axis=1))[:, None], np.nan, want)
    return np.where(same[:, None] & np.isfinite(exact), exact, want)


def error_of(model, reference, rows, want):
    """How far ONNX Runtime's floats are from what doubles give: sums that cancel are known no better. Else zeros."""
    exact = in_doubles(model if isinstance(model, onnx.ModelProto) else onnx.load(model), rows, reference.output)
    if exact is None or exact.shape != want.shape:
        return np.zeros_like(want)
    return np.nan_to_num(np.abs(want - exact), nan=0, posinf=0)


def check(rng, model, feeds, what, single=False, rtol=RTOL, atol=ATOL, by_row=False, bundle="b.safetensors"):
    """Import, score the rows and hostile ones, alone and together: ([differences], strict, loose, cells)."""
    bundle = path(bundle)
    import_model(model, bundle)
    reference = Reference(model if not isinstance(model, onnx.ModelProto) else path("m.onnx"))
    wrong, totals = [], np.zeros(3, int)
    for kind, rows in (("rows", feeds), ("hostile rows", hostile(rng, feeds))):
        got, whole = score(bundle, rows), reference(rows, single)
        spread = align(got, spread_of(reference, rng, rows, whole, single=single))
        verdict = compare(got, align(got, whole), spread, rtol, atol, rows, by_row)
        if verdict.wrong and rows is not feeds:
            whole = overflown(model, reference, rows, got, whole)
            spread = np.maximum(spread, align(got, np.abs(whole) * 1e-4))
            verdict = compare(got, align(got, whole), spread, rtol, atol, rows, by_row)
        elif verdict.wrong:
            # Three nudges may miss the one that moves a sum's last bit.
            more = align(got, spread_of(reference, rng, rows, whole, times=20, single=single))
            spread = np.maximum(np.maximum(spread, more), align(got, error_of(model, reference, rows, whole) / 2))
            verdict = compare(got, align(got, whole), spread, rtol, atol, rows, by_row)
        if verdict.wrong:
            wrong.append("%s: %s: %s" % (what, kind, verdict.wrong))
        totals += [verdict.strict, verdict.loose, verdict.cells]
        alone = score(bundle, {n: v[:1] for n, v in rows.items()})
        if np.isnan(alone).all():  # a refused record says nothing of how many scores there would be
            alone = np.full_like(got[:1], np.nan)
        if not np.array_equal(alone, got[:1], equal_nan=True):
            wrong.append("%s: %s: a row alone gives %s, in a batch %s" % (what, kind, alone[0], got[0]))
    return wrong, totals


def report(failures, summary):
    for failure in failures:
        print(failure, file=sys.stderr)
    print(summary)
    sys.exit(1 if failures else 0)
