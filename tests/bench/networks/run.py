#!/usr/bin/env python3
"""lepton's networks beside ONNX Runtime, OpenBLAS and oneDNN: one run, one core.

    run.py --prepare FOLDER                install ONNX Runtime, make the models (about a minute)
    run.py FOLDER BUILD [--seconds 1.5]    import them, measure (about two minutes): a table, ratios and goals on stdout

BUILD is the build folder with `lepton` and tests/bench/networks/bench_rivals. FOLDER holds a virtual environment and the
models. All engines are in one process and take turns; ONNX Runtime is called through its C API with tensors made
beforehand. Times are CPU time of the thread. The best round counts (other processes can only make a round longer); the
median is in results.json. What was timed is compared with ONNX Runtime's fp32 answers, and the run fails where it differs.
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ["numpy", "onnx", "onnxruntime"]
NETS = ["10-64-64-1", "784-32-32-10", "512-1024-512-256-1", "128-64-1", "deepfm-26x16", "digits-cnn"]
BATCHES = [1, 8, 64, 256]


def prepare(folder):
    if not (folder / "venv").exists():
        venv.create(folder / "venv", with_pip=True)
        subprocess.run([folder / "venv/bin/python", "-m", "pip", "install", "-q", "--only-binary", ":all:", *PACKAGES],
                       check=True)
    subprocess.run([folder / "venv/bin/python", HERE / "make.py", folder / "models"], check=True)


def import_models(models, lepton):
    """Bundles of what this build imports; what it refuses is told and left out."""
    for model in sorted(models.glob("*.onnx")):
        done = subprocess.run([lepton, "import", model, "-o", model.with_suffix(".bundle")], capture_output=True, text=True)
        if done.returncode:
            print(f"not imported: {model.name}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)


def measure(folder, build, name, seconds):
    library = next((folder / "venv").glob("lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so*"))
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    done = subprocess.run([build / "tests/bench/networks/bench_rivals", folder / "models", name, str(seconds), library],
                          stdout=subprocess.PIPE, text=True, env=environment)
    results, peak = {}, ""
    for line in done.stdout.splitlines():
        parts = line.split("|")
        if len(parts) == 4 and parts[0] != "peak":
            results.setdefault(parts[0], {})[int(parts[1])] = [float(parts[2]), float(parts[3])]
        elif parts[0] == "peak":
            peak = ", ".join(parts[1:])
    return results, peak, done.returncode


def best(results, name, batch, *titles):
    found = [results[name][t][batch][0] for t in titles if t in results.get(name, {})]
    return min(found) if found else None


def goals(results):
    """(net, batch, what, their engines, ours, wanted, ours is int8), from the issue that set them."""
    ours, ort, others = ["lepton fp32", "lepton kernels fp32"], ["ONNX Runtime fp32"], ["OpenBLAS fp32", "oneDNN fp32"]
    ort_int8 = ["ONNX Runtime int8 dynamic", "ONNX Runtime int8 QDQ"]
    for name, wanted in (("10-64-64-1", (12, 5, 1.6, 1.5)), ("784-32-32-10", (4, 2.3, 1.15, 1.05))):
        for batch, ratio in zip(BATCHES, wanted):
            yield name, batch, "fp32, times ONNX Runtime", ort, ours, ratio, False
    for name in NETS[:4]:
        for batch in BATCHES:
            yield name, batch, "fp32, against the better of OpenBLAS and oneDNN", others, ours, 1.0, False
            yield name, batch, "int8, times ONNX Runtime's", ort_int8, ["lepton int8 QDQ", "lepton kernels int8 static"], 1.4, True


def least_ns(name, peak, int8):
    """ns a row of a chain of layers whose products all run at this core's peak, as measured in the run; None: no chain."""
    found = re.search(r"int8 ([\d.]+) GOP/s" if int8 else r"([\d.]+) GFLOP/s", peak)
    if not found or float(found[1]) == 0 or not re.fullmatch(r"[\d-]+", name):
        return None
    widths = [int(width) for width in name.split("-")]
    return sum(2 * a * b for a, b in zip(widths, widths[1:])) / float(found[1])


def report(results, peak):
    cpu = next(l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name"))
    print(f"\n{datetime.date.today()}, {cpu}, one core; load average {os.getloadavg()[0]:.1f}; ns a row, best round")
    print(f"peak: {peak}\n")
    print("| net | engine | " + " | ".join(f"batch {b}" for b in BATCHES) + " |")
    print("|---|---|" + "---:|" * len(BATCHES))
    for name, engines in results.items():
        for title, ns in engines.items():
            print(f"| {name} | {title} | " + " | ".join(f"{ns[b][0]:,.0f}" for b in BATCHES) + " |")
    print()
    for name, batch, what, rivals, ours, wanted, int8 in goals(results):
        theirs, mine = best(results, name, batch, *rivals), best(results, name, batch, *ours)
        if theirs is None or mine is None:
            continue
        least = least_ns(name, peak, int8)
        bound = f"; at the peak {least:,.0f} ns: {theirs / least:.2f}, reached {least / mine:.0%} of it" if least else ""
        print(f"{'met ' if theirs / mine >= wanted else 'MISS'} {theirs / mine:6.2f} of {wanted}: {name}, batch {batch}, "
              f"{what}{bound}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--seconds", type=float, default=1.5, help="of CPU time for each batch size of each net")
    parser.add_argument("--net", action="append", choices=NETS)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("build", type=pathlib.Path, nargs="?")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.prepare:
        prepare(folder)
    if arguments.build is None:
        return
    build = arguments.build.resolve()
    import_models(folder / "models", build / "lepton")
    results, peak, failed = {}, "", 0
    for name in arguments.net or NETS:
        results[name], peak, status = measure(folder, build, name, arguments.seconds)
        failed |= status
    report(results, peak)
    (folder / "results.json").write_text(json.dumps(results, indent=1))
    sys.exit(1 if failed else 0)


main()
