#!/usr/bin/env python3
"""lepton fit beside pandas and scikit-learn: one CSV, one run, turn by turn.

    run.py --prepare FOLDER            install the rivals into FOLDER/venv
    run.py FOLDER LEPTON [--rows 1000000] [--columns 28] [--passes 3]

The rivals do less: pandas.read_csv, describe (count, mean, std, min, quartiles, max) and StandardScaler.fit; lepton also
finds kinds, sketches quantiles and distinct values, counts repeated rows and writes a model's feature list. Wall and CPU
seconds of the best pass each, whole processes for lepton, the work alone (imports are not counted) for the rivals. What
was timed is compared: means and standard deviations that differ by more than 1e-9 fail the run.
"""
import argparse
import json
import pathlib
import platform
import resource
import subprocess
import sys
import time
import venv

PACKAGES = ["pandas", "scikit-learn"]
RIVAL = """
import json, sys, time
import pandas, sklearn
from sklearn.preprocessing import StandardScaler
wall, cpu = time.perf_counter(), time.process_time()
frame = pandas.read_csv(sys.argv[1])
read = time.perf_counter()
frame.describe()
scaler = StandardScaler().fit(frame.to_numpy())
print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "read": read - wall,
                  "mean": list(scaler.mean_), "std": list(scaler.scale_),
                  "names": "pandas %s, scikit-learn %s" % (pandas.__version__, sklearn.__version__)}))
"""
GENERATE = """
import sys, numpy, pandas
rows, columns = int(sys.argv[2]), int(sys.argv[3])
values = numpy.random.default_rng(1).standard_normal((rows, columns))
pandas.DataFrame(values, columns=["f%d" % i for i in range(columns)]).to_csv(sys.argv[1], index=False, float_format="%.6f")
"""


def measure_lepton(lepton, data):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    done = subprocess.run([lepton, "fit", data, "--json"], check=True, capture_output=True)
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    columns = json.loads(done.stdout)["columns"]
    return {"wall": wall, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "mean": [c["mean"] for c in columns], "std": [c["std"] for c in columns]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("lepton", nargs="?")
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--columns", type=int, default=28)
    parser.add_argument("--passes", type=int, default=3)
    options = parser.parse_args()
    python = options.folder / "venv" / "bin" / "python"
    if options.prepare:
        venv.create(options.folder / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--only-binary", ":all:", *PACKAGES], check=True)
        return
    data = options.folder / ("%dx%d.csv" % (options.rows, options.columns))
    if not data.exists():
        subprocess.run([python, "-c", GENERATE, data, str(options.rows), str(options.columns)], check=True)
    ours, theirs = [], []
    for _ in range(options.passes):
        ours.append(measure_lepton(options.lepton, data))
        theirs.append(json.loads(subprocess.run([python, "-c", RIVAL, data], check=True, capture_output=True).stdout))
    for key in ("mean", "std"):
        for a, b in zip(ours[0][key], theirs[0][key]):
            if abs(a - b) > 1e-9:
                sys.exit("%s differ: %r and %r" % (key, a, b))
    mine, rival = min(ours, key=lambda r: r["wall"]), min(theirs, key=lambda r: r["wall"])
    print("%d x %d, %.0f MB, %s\n" % (options.rows, options.columns, data.stat().st_size / 1e6, platform.processor()))
    print("| | wall s | CPU s |\n|---|---|---|")
    print("| lepton fit | %.3f | %.3f |" % (mine["wall"], mine["cpu"]))
    print("| %s | %.3f (read_csv %.3f) | %.3f |" % (rival["names"], rival["wall"], rival["read"], rival["cpu"]))
    print("\nwall: %.1f times as fast (goal 5), CPU: %.1f times" % (rival["wall"] / mine["wall"], rival["cpu"] / mine["cpu"]))


if __name__ == "__main__":
    main()
