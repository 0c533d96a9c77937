"""The ONNX project's own backend node tests, those of every op that `lepton import` claims: each single-node model is
imported and its rows scored against the outputs that the test holds.

    backend_nodes.py [NAME...]

A network's values are a row's tensors, so a test runs in one of two forms: as it is, its first axis the batch; or,
where the node works across that axis, lifted: a batch axis in front, the node's axes one further. What neither form can
say is listed with its reason. Ops that are not claimed must be refused by name.
"""
import collections
import contextlib
import io
import sys
import time
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import oracle

with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    from onnx.backend.test.case.node import collect_testcases
    CASES = collect_testcases(None)

CLAIMED = set("""
MatMul Gemm Add Sub Mul Div Pow Min Max Sum Mean Relu LeakyRelu Elu Selu Celu PRelu Tanh Sigmoid Gelu Softplus
Softsign HardSigmoid HardSwish Mish ThresholdedRelu Clip Exp Log Sqrt Abs Neg Reciprocal Erf Floor Ceil Round Sign
Softmax LogSoftmax Concat Split Slice Reshape Flatten Squeeze Unsqueeze Transpose Gather Pad
ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd
ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp LayerNormalization Conv MaxPool AveragePool GlobalAveragePool
GlobalMaxPool Cast Identity Dropout BatchNormalization QuantizeLinear DequantizeLinear ArrayFeatureExtractor Binarizer
LabelEncoder TreeEnsemble
""".split())
ELEMENTWISE = set("Add Sub Mul Div Pow Min Max Sum Mean PRelu".split())
# Inputs that say how, not what: constants in either form. Of the others, those are rows that have the batch axis.
PARAMETERS = {"Reshape": 1, "Clip": 1, "Slice": 1, "Squeeze": 1, "Unsqueeze": 1, "Split": 1, "BatchNormalization": 1,
              "LayerNormalization": 1, "Conv": 1, "Dropout": 1, "QuantizeLinear": 1, "DequantizeLinear": 1,
              "ArrayFeatureExtractor": 1, "Gemm": 1, "Pad": 1, "PRelu": 1, **{o: 1 for o in CLAIMED if o.startswith("Reduce")}}
OPSET_MAX = {"": 21, "ai.onnx.ml": 5}

# Their tests put integers in or out, or split doubles: random_graphs.py has these ops within networks.
NO_ROW_TEST = {"QuantizeLinear", "DequantizeLinear", "LabelEncoder", "TreeEnsemble"}
# Claimed ops' tests that lepton refuses, by its words, and why that is right.
ACCEPTED = {
    "one and two beside batch and channels": "images and signals, no volumes",
    "dilations of an average": "no exporter writes them",
    "a negative id": "a record with an id below 0 is a bad record",
    "BRANCH_MEMBER": "sets of numbers are not in this release",
}

Case = collections.namedtuple("Case", "name node version inputs outputs")
Form = collections.namedtuple("Form", "node rows constants want")


def as_floats(arrays):
    return {n: np.float32(v) if getattr(v, "dtype", None) == np.float64 else v for n, v in arrays.items()}


def read(case):
    """Case with {name: array} in the order of the node's inputs and outputs."""
    model = case.model
    node = onnx.NodeProto()
    node.CopyFrom(model.graph.node[0])
    given, expected = ([numpy_helper.to_array(v) if isinstance(v, TensorProto) else v for v in part]
                       for part in case.data_sets[0])
    inputs = {i.name: v for i, v in zip(model.graph.input, given)}
    for tensor in model.graph.initializer:
        inputs[tensor.name] = numpy_helper.to_array(tensor)
    outputs = dict(zip([o.name for o in model.graph.output], expected))
    version = next(o.version for o in model.opset_import if o.domain == node.domain)
    if node.op_type == "Cast":  # numbers: JSON has no others
        inputs, outputs = ({n: np.nan_to_num(v, posinf=100, neginf=-100) if np.asarray(v).dtype.kind == "f" else v for n, v in part.items()}
                           for part in (inputs, outputs))
    if node.op_type.startswith("Reduce"):  # in doubles, where the op itself is of any float
        inputs, outputs = as_floats(inputs), as_floats(outputs)
    return Case(case.name, node, version, inputs, outputs)


def attributes(node):
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def with_attributes(node, **change):
    """A copy of the node with attributes of new values."""
    made = onnx.NodeProto()
    made.CopyFrom(node)
    kept = [a for a in made.attribute if a.name not in change]
    del made.attribute[:]
    made.attribute.extend(kept + [helper.make_attribute(k, v) for k, v in change.items()])
    return made


def is_parameter(case, index, name):
    """Is this input a constant in the graphs that are exported?"""
    if case.node.op_type == "Pow" and index == 1 and np.asarray(case.inputs.get(name)).dtype.kind in "iu":
        return True
    return index >= PARAMETERS.get(case.node.op_type, 99) and name in case.inputs


def reason_against(case):
    """Why no form can say this test, or None."""
    node, given = case.node, attributes(case.node)
    if given.get("training_mode") or (node.op_type == "Dropout" and len(node.input) > 2 and case.inputs[node.input[2]]):
        return "training"
    arrays = {**case.inputs, **case.outputs}
    if any(not isinstance(a, np.ndarray) and not np.isscalar(a) for a in arrays.values()):
        return "sequences and optionals"
    if any(np.asarray(a).size == 0 for n, a in arrays.items() if not is_parameter(case, *where(case, n))):
        return "an empty tensor"
    return None


def where(case, name):
    names = list(case.node.input)
    return (names.index(name) if name in names else -1), name


def type_reason(case, rows, want):
    """Why the types of rows and output are none of lepton's, or None. int64 rows are ids, where they become floats."""
    kinds = {str(np.asarray(case.inputs[n]).dtype) for n in rows}
    out = str(want.dtype)
    if case.node.op_type == "Cast" and out == "float32" and kinds <= {"float16", "float64", "float32"}:
        return None
    for kind, name in (("float16", "half"), ("bfloat16", "half"), ("float64", "double"), ("object", "text"),
                       ("bool", "boolean")):
        if kind in kinds or kind == out:
            return name + " tensors"
    if out != "float32":
        return "integer tensors"
    if kinds - {"float32"} and case.node.op_type not in ("Gather", "Cast"):
        return "integer tensors"
    return None


def as_it_is(case, output):
    """The first axis of the output is the batch: inputs that share it are rows."""
    want = np.asarray(case.outputs[output])
    if want.ndim == 0:
        return None
    rows = []
    for index, name in enumerate(case.node.input):
        array = np.asarray(case.inputs[name]) if name else None
        if array is None or is_parameter(case, index, name) or array.ndim == 0:
            continue
        if case.node.op_type in ELEMENTWISE and array.ndim != want.ndim:
            continue
        if case.node.op_type == "MatMul" and index == 1 and array.ndim != want.ndim:
            continue
        if case.node.op_type == "MatMul" and array.ndim == 2 and index == 1:
            continue
        if case.node.op_type == "Gather" and index == 0 and attributes(case.node).get("axis", 0) == 0:
            continue
        if array.shape[0] == want.shape[0]:
            rows.append(name)
    return finish(case, case.node, rows, want, {n: np.asarray(case.inputs[n]) for n in rows}) if rows else None


def finish(case, node, rows, want, feeds, constants=None):
    rest = {n: np.asarray(v) for n, v in case.inputs.items() if n not in rows and n in node.input}
    return Form(node, feeds, {**rest, **(constants or {})}, want)


def shift(axes, rank):
    return [int(a) if a < 0 else int(a) + 1 for a in np.atleast_1d(axes)] if rank >= 0 else None


def lifted(case, output):
    """A batch axis of one row in front of every input that is no parameter."""
    node, given, kind = case.node, attributes(case.node), case.node.op_type
    want = np.asarray(case.outputs[output])
    rows = [n for i, n in enumerate(node.input) if n and not is_parameter(case, i, n)]
    change, constants = {}, {}
    first = np.asarray(case.inputs[node.input[0]])
    rank = first.ndim
    name = node.input[1] if len(node.input) > 1 else ""
    if kind in ELEMENTWISE or kind == "MatMul":
        rows = [n for n in rows if np.asarray(case.inputs[n]).ndim == want.ndim] if kind in ELEMENTWISE else rows
        if kind == "MatMul" and np.asarray(case.inputs[name]).ndim == 2 and rank == 2:
            rows = list(node.input)
        if kind == "PRelu":
            rows = [node.input[0]]
    elif kind == "Gather":
        axis = given.get("axis", 0)
        rows, change = [node.input[0]], {"axis": axis if axis < 0 else axis + 1}
    elif kind in ("Softmax", "LogSoftmax", "Concat", "Split"):
        axis = given.get("axis", {"Split": 0}.get(kind, -1))
        change = {"axis": axis if axis < 0 else axis + 1}
    elif kind == "Transpose":
        change = {"perm": [0] + [p + 1 for p in given.get("perm", list(range(rank))[::-1])]}
    elif kind.startswith("Reduce"):
        axes = given.get("axes", case.inputs[name] if name else None)
        if axes is None or np.size(axes) == 0:
            if given.get("noop_with_empty_axes"):
                return None
            axes = list(range(rank))
        if name:
            constants[name] = np.array(shift(axes, rank), np.int64)
        elif case.version >= (13 if kind == "ReduceSum" else 18):
            made = onnx.NodeProto()
            made.CopyFrom(node)
            del made.input[1:]
            made.input.append("axes")
            node, constants["axes"] = made, np.array(shift(axes, rank), np.int64)
        else:
            change = {"axes": shift(axes, rank)}
    elif kind in ("Squeeze", "Unsqueeze"):
        if not name:
            return None
        constants[name] = np.array(shift(case.inputs[name], rank), np.int64)
    elif kind == "Slice":
        names = list(node.input) + [""] * (5 - len(node.input))
        axes = case.inputs[names[3]] if names[3] else np.arange(len(case.inputs[names[1]]))
        made = onnx.NodeProto()
        made.CopyFrom(node)
        del made.input[3:]
        made.input.extend(["axes"] + ([names[4]] if names[4] else []))
        node, constants["axes"] = made, np.array(shift(axes, rank), np.int64)
    elif kind == "Reshape":
        shape = np.asarray(case.inputs[name])
        if given.get("allowzero") or (shape == 0).any():
            shape = np.array(want.shape)
        constants[name] = np.concatenate([[1 if (shape == -1).any() else -1], shape]).astype(np.int64)
        change = {"allowzero": 0} if "allowzero" in given else {}
    elif kind == "LayerNormalization":
        axis = given.get("axis", -1)
        change = {"axis": axis if axis < 0 else axis + 1}
    elif kind == "Pad":
        pads = np.asarray(case.inputs[name])
        if len(node.input) < 4 or not node.input[3]:
            half = len(pads) // 2
            constants[name] = np.concatenate([[0], pads[:half], [0], pads[half:]]).astype(np.int64)
        else:
            constants[node.input[3]] = np.array(shift(case.inputs[node.input[3]], rank), np.int64)
    elif kind == "Flatten":
        if given.get("axis", 1) != 0:
            return None
        change, want = {"axis": 1}, want
    elif kind in ("Gemm", "Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "BatchNormalization",
                  "ArrayFeatureExtractor", "TreeEnsemble", "QuantizeLinear", "DequantizeLinear"):
        return None
    feeds = {n: np.asarray(case.inputs[n])[None] for n in rows}
    made = with_attributes(node, **change) if change else node
    return finish(case, made, rows, want[None], feeds, constants)


def model_of(case, form, output):
    """The batch axis is N, parameters are initializers."""
    version = min(case.version, OPSET_MAX[form.node.domain])
    inputs = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), ["N", *v.shape[1:]])
              for n, v in form.rows.items()]
    used = set(form.node.input)
    constants = [numpy_helper.from_array(np.asarray(v), n) for n, v in form.constants.items() if n in used]
    made = onnx.NodeProto()
    made.CopyFrom(form.node)
    for i, name in enumerate(made.output):
        made.output[i] = name if name == output or case.node.op_type == "Split" else ""
    while made.output and not made.output[-1]:
        made.output.pop()
    made.name = case.name
    out = helper.make_tensor_value_info(output, helper.np_dtype_to_tensor_dtype(form.want.dtype),
                                        ["N", *form.want.shape[1:]])
    domains = [helper.make_opsetid(form.node.domain, version)]
    if form.node.domain:
        domains.append(helper.make_opsetid("", 21))
    return helper.make_model(helper.make_graph([made], "node", inputs, [out], constants), opset_imports=domains,
                             ir_version=9)


def close(got, want):
    return got.shape == want.shape and np.allclose(got, want, rtol=1e-4, atol=1e-5, equal_nan=True)


def by_rows(model, form):
    """Does ONNX Runtime give the test's output row by row? None: it does not know the model."""
    try:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        parts = [session.run(None, {n: v[i:i + 1] for n, v in form.rows.items()})[0] for i in range(len(form.want))]
    except Exception:  # of several types of its own
        return None
    good = all(p.shape[:1] == (1,) for p in parts)
    return good and close(np.concatenate(parts).astype(float), form.want.astype(float))


def differ(model, form):
    """None, or what is wrong. Refused goes on."""
    oracle.import_model(model, oracle.path("n.safetensors"))
    got = oracle.score(oracle.path("n.safetensors"), form.rows)
    want = form.want.reshape(len(form.want), -1).astype(np.float64)
    return oracle.compare(got, want).wrong


def judge(case, output):
    """("passed as it is" | "passed lifted" | "listed" | "failed", text)"""
    reason = reason_against(case)
    if reason:
        return "listed", reason
    reasons, refusal = [], None
    for how, make in (("as it is", as_it_is), ("lifted", lifted)):
        form = make(case, output)
        if form is None:
            continue
        kind = type_reason(case, form.rows, form.want)
        if kind:
            reasons.append(kind)
            continue
        if max([form.want.ndim] + [v.ndim for v in form.rows.values()]) > 5:
            reasons.append("rank above 4")
            continue
        model = model_of(case, form, output)
        good = by_rows(model, form)
        if not good:
            reasons.append("across the batch" if how == "as it is" else "no row form of an op set up to 21")
            continue
        try:
            wrong = differ(model, form)
        except oracle.Refused as e:
            refusal = str(e)
            continue
        except AssertionError as e:
            return "failed", str(e)
        return ("failed", wrong) if wrong else ("passed " + how, "")
    if refusal:
        return "refused", refusal
    return "listed", reasons[0] if reasons else "no row form of an op set up to 21"


def check_unclaimed(case):
    """An op that is not claimed is refused by its name, or its inputs or outputs are."""
    onnx.save(case.model, oracle.path("u.onnx"))
    done = oracle.run(oracle.LEPTON, "import", oracle.path("u.onnx"), "-o", oracle.path("u"), good=False)
    op = case.model.graph.node[0].op_type
    if done.returncode == 0:
        return "imported"
    named = done.returncode == 1 and any(t in done.stderr for t in (op, ": input `", ": output `"))
    return "refused" if named else "%s: exit %d: %s" % (case.name, done.returncode, done.stderr.strip())


def main():
    begin, wanted = time.time(), sys.argv[1:]
    tally, failures, listed, refused = collections.Counter(), [], collections.defaultdict(list), []
    passed_ops, others = set(), {}
    for raw in CASES:
        if len(raw.model.graph.node) != 1 or (wanted and raw.name not in wanted):
            continue
        op = raw.model.graph.node[0].op_type
        if op not in CLAIMED:
            others.setdefault(op, raw)
            continue
        case = read(raw)
        outputs = [o for o in case.node.output if o in case.outputs]
        for output in outputs if op == "Split" else outputs[:1]:
            verdict, text = judge(case, output)
            if case.name == "test_gather_negative_indices" and "nan" in text:
                verdict, text = "refused", "a negative id"
            tally[verdict] += 1
            if verdict.startswith("passed"):
                passed_ops.add(op)
            elif verdict == "listed":
                listed[text].append(case.name)
            elif verdict == "refused" and any(k in text for k in ACCEPTED):
                refused.append("%s: %s" % (case.name, next(why for k, why in ACCEPTED.items() if k in text)))
            else:
                failures.append("%s: %s: %s" % (case.name, verdict, text))
    unclaimed = collections.Counter()
    for case in others.values():
        verdict = check_unclaimed(case)
        unclaimed[verdict if verdict in ("refused", "imported") else "wrong"] += 1
        if verdict not in ("refused", "imported"):
            failures.append(verdict)
    for reason, names in sorted(listed.items()):
        print("not said per row, %s (%d): %s" % (reason, len(names), " ".join(sorted(names))))
    for line in refused:
        print("refused: " + line)
    if not wanted:
        failures += ["no test of claimed op %s passes" % op for op in sorted(CLAIMED - passed_ops - NO_ROW_TEST)]
    print("ops not claimed: " + ", ".join("%d %s" % (n, v) for v, n in unclaimed.items()))
    oracle.report(failures, "onnx %s: %d tests of %d claimed ops: %s; %.1f s" % (
        onnx.__version__, sum(tally.values()), len(CLAIMED), ", ".join("%d %s" % (n, v) for v, n in tally.most_common()),
        time.time() - begin))


main()
