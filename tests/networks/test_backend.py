"""The optional backend: ONNX models that `lepton import --backend onnxruntime` hands to ONNX Runtime as they are, ops
outside lepton's list among them, against ONNX Runtime itself; and what is said where the library or the build lacks it.

    test_backend.py FIXTURES [LEPTON-BUILT-WITHOUT]
"""
import glob
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import oracle
from test_fixtures import feeds_of


def library_folder():
    """A folder in which the wheel's library has the name that the loader looks for."""
    (found,) = glob.glob(os.path.join(os.path.dirname(onnxruntime.__file__), "capi", "libonnxruntime.so.*"))
    os.mkdir(oracle.path("lib"))
    os.symlink(found, os.path.join(oracle.path("lib"), "libonnxruntime.so.1"))
    return oracle.path("lib")


def unlisted(rng):
    """A recurrent network: neither LSTM nor its order of axes is on a list of lepton's."""
    def weight(*shape):
        return numpy_helper.from_array(rng.normal(0, 0.5, shape).astype(np.float32), "w%d" % len(constants))
    constants = []
    for shape in ((1, 16, 3), (1, 16, 4), (1, 32)):
        constants.append(weight(*shape))
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
             helper.make_node("LSTM", ["t", "w0", "w1", "w2"], ["", "h"], hidden_size=4),
             helper.make_node("Squeeze", ["h", "axes"], ["y"])]
    constants.append(numpy_helper.from_array(np.array([0]), "axes"))
    graph = helper.make_graph(nodes, "lstm", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 5, 3])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])], constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def check(path, feeds):
    bundle, name = oracle.path("o.safetensors"), os.path.basename(path)
    oracle.import_model(path, bundle, "--backend", "onnxruntime")
    got, want = oracle.score(bundle, feeds), oracle.Reference(path)(feeds)
    verdict = oracle.compare(got, want)
    return ["%s: %s" % (name, verdict.wrong)] if verdict.wrong else []


def external(tensor):
    """The tensor, said to be in a file of its own."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "w.bin"
    return tensor


def models_with_files(rng):
    """{where: model} with a tensor in a file of its own: as an initializer, in a Constant, in a branch of an If."""
    def constant():
        return external(numpy_helper.from_array(rng.normal(0, 1, 3).astype(np.float32), "w"))
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])
    node = helper.make_node("Constant", [], ["w"], value=constant())
    branch = helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [3])])
    true = helper.make_node("Constant", [], ["true"], value=numpy_helper.from_array(np.array(True)))
    choice = helper.make_node("If", ["true"], ["w"], then_branch=branch, else_branch=branch)
    add = helper.make_node("Add", ["x", "w"], ["y"])
    made = {}
    for where, nodes, held in (("initializer", [add], [constant()]), ("attribute `value`", [node, add], []),
                               ("location", [true, choice, add], [])):
        graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])], [output], held)
        made[where] = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return made


def told(text, command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **more)
    good = done.returncode == 1 and text in done.stderr
    return [] if good else ["%s: exit %d, %s" % (" ".join(command[:2]), done.returncode, done.stderr)]


def damaged(rng, bundle):
    """The model's bytes inside a bundle, some changed: an error or an answer, no crash."""
    with open(bundle, "rb") as file:
        data = bytearray(file.read())
    wrong = []
    for number in range(60):
        copy = bytearray(data)
        begin = len(copy) // 2
        for at in rng.integers(begin, len(copy), rng.integers(1, 4)):
            copy[at] = rng.integers(256)
        with open(oracle.path("d"), "wb") as file:
            file.write(copy)
        done = oracle.run(oracle.LEPTON, "inspect", oracle.path("d"), good=False)
        if done.returncode not in (0, 1):
            wrong.append("damage %d: exit %d: %s" % (number, done.returncode, done.stderr))
    return wrong


def main():
    rng = np.random.default_rng(17)
    os.environ["LD_LIBRARY_PATH"] = library_folder()
    lstm = oracle.path("lstm.onnx")
    onnx.save(unlisted(rng), lstm)
    models = [(path, feeds_of(rng, path, 30)) for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.onnx")))]
    models.append((lstm, {"x": rng.normal(0, 1, (30, 5, 3)).astype(np.float32)}))
    failures = [line for path, feeds in models for line in check(path, feeds)]
    assert len(models) > 5
    command = [oracle.LEPTON, "import", lstm, "-o", oracle.path("l.safetensors")]
    failures += told("(Transpose, opset 17)", command)  # to the time axis first, for the LSTM
    command += ["--backend", "onnxruntime"]
    oracle.run(*command)
    failures += damaged(rng, oracle.path("l.safetensors"))
    for number, (where, made) in enumerate(models_with_files(rng).items()):
        path = oracle.path("external%d.onnx" % number)
        with open(path, "wb") as file:
            file.write(made.SerializeToString())
        failures += told(where, [oracle.LEPTON, "import", path, *command[3:]])
    failures += told("cannot be loaded", command, env={k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"})
    if len(sys.argv) > 2:
        failures += told("-DLEPTON_ONNXRUNTIME=ON", [sys.argv[2], *command[1:]])
    failures += told("ONNX models only", [oracle.LEPTON, "import", os.path.join(sys.argv[1], "..", "trees",
                                                                              "lightgbm4.7-binary.txt"), *command[3:]])
    oracle.report(failures, "%d models in ONNX Runtime %s" % (len(models), onnxruntime.__version__))


main()
