#!/usr/bin/env python3
"""lepton's tree kernels beside XGBoost 3 and 1.7, LightGBM, lleaves, TL2cgen and ONNX Runtime: one run, one core.

    run.py --prepare FOLDER                  install the rivals, train four models, compile them (about 15 minutes)
    run.py FOLDER BENCH_TREES [--passes 3] [--seconds 0.3]
                                             measure (about 3 minutes): a Markdown table and the goals on stdout

FOLDER holds all of it: a virtual environment, models, compiled models. BENCH_TREES is the program that this folder's
CMakeLists.txt builds. Engines take turns, the best of the passes counts, and what was timed is compared: margins that
differ by more than 1e-4 fail the run. ONNX Runtime is called from Python (its call costs some microseconds at batch 1).
"""
import argparse
import datetime
import json
import math
import pathlib
import platform
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ["numpy", "xgboost-cpu==3.2.0", "lightgbm==4.7.0", "lleaves==1.3.0", "llvmlite<0.45", "tl2cgen==1.0.0",
            "treelite==4.8.1", "onnxruntime", "onnxmltools", "skl2onnx"]
OLD_XGBOOST = "xgboost==1.7.6"
MODELS = ["xgb-100x8", "xgb-500x6", "lgb-100x255", "lgb-500x63"]
BATCHES = [1, 16, 256, 1024]
TITLES = {"xgb-100x8": "100 x depth 8", "xgb-500x6": "500 x depth 6", "lgb-100x255": "100 x 255 leaves",
          "lgb-500x63": "500 x 63 leaves"}

COMPILE_LLEAVES = """
import sys, lleaves
lleaves.Model(model_file=sys.argv[1]).compile(cache=sys.argv[2], raw_score=True)
"""
COMPILE_TL2CGEN = """
import sys, tl2cgen, treelite
load = treelite.frontend.load_xgboost_model if sys.argv[1].endswith("json") else treelite.frontend.load_lightgbm_model
tl2cgen.export_lib(load(sys.argv[1]), toolchain="gcc", libpath=sys.argv[2], params={"parallel_comp": 8}, nthread=2,
                   options=["-O3"])
"""
COMPILE_ONNX = """
import sys, json, onnxmltools
from onnxmltools.convert.common.data_types import FloatTensorType
types = [("input", FloatTensorType([None, 28]))]
if sys.argv[1].endswith("json"):
    import xgboost
    booster = xgboost.Booster(model_file=sys.argv[1])
    model = onnxmltools.convert_xgboost(booster, initial_types=types)
else:
    import lightgbm
    model = onnxmltools.convert_lightgbm(lightgbm.Booster(model_file=sys.argv[1]), initial_types=types, zipmap=False)
onnxmltools.utils.save_model(model, sys.argv[2])
"""
RUN_ONNX = """
import sys, time, numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
rows, seconds = np.fromfile(sys.argv[2], "<f4").reshape(-1, 28), float(sys.argv[3])
name = session.get_outputs()[-1].name
for batch in (1, 16, 256, 1024):
    best, at, begin = 1e9, 0, time.thread_time()
    parts = [np.ascontiguousarray(rows[i:i + batch]) for i in range(0, min(len(rows), 64 * batch) - batch + 1, batch)]
    while time.thread_time() - begin < seconds:
        start = time.thread_time()
        for part in parts:
            session.run([name], {"input": part})
        best = min(best, (time.thread_time() - start) / (len(parts) * batch))
    print(batch, best * 1e9)
session.run([name], {"input": rows})[0].reshape(len(rows), -1)[:, -1].astype(float).tofile(sys.argv[4])
"""


def python(folder, *arguments, **options):
    return subprocess.run([folder / "venv/bin/python", *arguments], check=True, **options)


def compile_one(folder, code, source, target):
    if target.exists():
        return
    print("compiling", target.name, flush=True)
    try:
        python(folder, "-c", code, source, target)
    except subprocess.CalledProcessError:
        print("could not compile", target.name)


def prepare(folder):
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "venv").exists():
        venv.create(folder / "venv", with_pip=True)
        python(folder, "-m", "pip", "install", "-q", "--only-binary", ":all:", *PACKAGES)
        python(folder, "-m", "pip", "install", "-q", "--only-binary", ":all:", "--no-deps", "--target",
               folder / "xgboost-1.7", OLD_XGBOOST)
    models = folder / "models"
    if not (models / "lgb-500x63.flat").exists():
        python(folder, HERE / "train.py", models)
    for name in MODELS:
        source = models / (name + (".json" if name.startswith("xgb") else ".txt"))
        compile_one(folder, COMPILE_TL2CGEN, source, models / (name + ".tl2cgen.so"))
        compile_one(folder, COMPILE_ONNX, source, models / (name + ".onnx"))
        if name.startswith("lgb"):
            compile_one(folder, COMPILE_LLEAVES, source, models / (name + ".lleaves.o"))
            subprocess.run(["gcc", "-shared", "-o", models / (name + ".lleaves.so"), models / (name + ".lleaves.o"),
                            "-lm"], check=True)


def engines(folder, name):
    """(title, engine, library, model) of everything that can run this model."""
    models, site = folder / "models", next((folder / "venv/lib").glob("python3*/site-packages"))
    flat = models / (name + ".flat")
    found = [("lepton", "lepton", "-", flat), ("lepton, AVX2", "lepton:avx2", "-", flat),
             ("lepton, walk", "lepton:walk", "-", flat)]
    if name.startswith("xgb"):
        source, compiled = models / (name + ".json"), "tl2cgen"
        found += [("XGBoost 3.2", "xgboost", site / "xgboost/lib/libxgboost.so", source),
                  ("XGBoost 1.7", "xgboost", folder / "xgboost-1.7/xgboost/lib/libxgboost.so", source)]
    else:
        source, compiled = models / (name + ".txt"), "tl2cgen64"
        found += [("LightGBM 4.7", "lightgbm", site / "lightgbm/lib/lib_lightgbm.so", source),
                  ("lleaves 1.3", "lleaves", models / (name + ".lleaves.so"), "-")]
    found += [("TL2cgen 1.0", compiled, models / (name + ".tl2cgen.so"), "-"),
              ("ONNX Runtime", "onnx", models / (name + ".onnx"), "-")]
    return [engine for engine in found if engine[2] == "-" or engine[2].exists()]


def measure(folder, bench, engine, seconds):
    title, kind, library, model = engine
    rows, out = folder / "models/rows.bin", folder / "margins.bin"
    if kind == "onnx":
        command = [folder / "venv/bin/python", "-c", RUN_ONNX, library, rows, str(seconds), out]
    else:
        command = [bench, kind, library, model, rows, str(seconds), out]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines() if line and line[0].isdigit()]
    return {int(batch): float(ns) for batch, ns in lines}, out.read_bytes()


def difference(margins, other, scores):
    """The largest one; ONNX Runtime gives scores."""
    a, b = memoryview(margins).cast("d"), memoryview(other).cast("d")
    if scores:
        a = [1 / (1 + math.exp(-x)) for x in a]
    return max(abs(x - y) for x, y in zip(a, b))


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def goals(results):
    """(what, reached, wanted) from the issue that set them."""
    def ratio(name, batch, *rivals):
        return min(results[name][r][batch] for r in rivals if r in results[name]) / results[name]["lepton"][batch]

    a, b, c, d = (results[name] for name in MODELS)
    rivals = [[r for r in result if not r.startswith("lepton")] for result in (a, b, c, d)]
    yield "100 x depth 8, batch 1, against XGBoost 3.2", ratio(MODELS[0], 1, "XGBoost 3.2"), 40
    yield "100 x depth 8, batch 1, against XGBoost 1.7", ratio(MODELS[0], 1, "XGBoost 1.7"), 6
    yield "100 x depth 8, batch 1, against TL2cgen", ratio(MODELS[0], 1, "TL2cgen 1.0"), 2.5
    for i in (1, 2, 3):
        yield f"{TITLES[MODELS[i]]}, batch 1, against the best rival (stretch: 2.5)", ratio(MODELS[i], 1, *rivals[i]), 1.3
    yield "100 x depth 8, batch 1024, against XGBoost 3.2", ratio(MODELS[0], 1024, "XGBoost 3.2"), 3
    yield "500 x depth 6, batch 1024, against XGBoost 3.2", ratio(MODELS[1], 1024, "XGBoost 3.2"), 6
    for i in (2, 3):
        yield f"{TITLES[MODELS[i]]}, batch 1024, against LightGBM", ratio(MODELS[i], 1024, "LightGBM 4.7"), 8
        yield f"{TITLES[MODELS[i]]}, batch 1024, against lleaves", ratio(MODELS[i], 1024, "lleaves 1.3"), 2


def report(results):
    print(f"\n{datetime.date.today()}, {cpu_name()}, one core; ns a row, 28 features\n")
    print("| model | engine | " + " | ".join(f"batch {b}" for b in BATCHES) + " |")
    print("|---|---|" + "---:|" * len(BATCHES))
    for name in MODELS:
        for title, ns in results[name].items():
            print(f"| {TITLES[name]} | {title} | " + " | ".join(f"{ns[b]:,.0f}" for b in BATCHES) + " |")
    print()
    for what, reached, wanted in goals(results):
        print(f"{'met ' if reached >= wanted else 'MISS'} {reached:6.1f} of {wanted}: {what}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3, help="of CPU time for each batch size in each pass")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("bench", type=pathlib.Path, nargs="?")
    arguments = parser.parse_args()
    arguments.folder = arguments.folder.resolve()
    if arguments.prepare:
        prepare(arguments.folder)
    if arguments.bench is None:
        return
    arguments.bench = arguments.bench.resolve()
    results, failed = {}, False
    for name in MODELS:
        results[name] = {}
        for _ in range(arguments.passes):
            want = None
            for engine in engines(arguments.folder, name):
                ns, margins = measure(arguments.folder, arguments.bench, engine, arguments.seconds)
                best = results[name].setdefault(engine[0], ns)
                results[name][engine[0]] = {b: min(best[b], ns[b]) for b in BATCHES}
                want = want or margins
                apart = difference(want, margins, engine[1] == "onnx")
                if apart > 1e-4:
                    print(f"{name}: {engine[0]}: answers differ by {apart:g}", file=sys.stderr)
                    failed = True
    report(results)
    (arguments.folder / "results.json").write_text(json.dumps(results, indent=1))
    sys.exit(1 if failed else 0)


main()
