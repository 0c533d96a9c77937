#!/usr/bin/env python3
"""lepton optimize on a set with enough rows to tell a thousandth of AUC, and its pick in lepton bench.

    run.py FOLDER LEPTON [--rows 200000] [--layers 128,64]

A learnable set of 28 columns is drawn with a fixed seed; four fifths train, a fifth judges. Printed: each int8 form's AUC
less the original's with its 95 % interval (paired bootstrap of the judging rows), and what the picked form costs by
optimize and by bench, batches of 64. Needs numpy. Fails when no int8 form loses less than 0.001 AUC by the whole
interval, or when bench differs from optimize by more than a tenth in the median of three turns.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess

import numpy as np

COLUMNS = 28


def write(path, x, y):
    np.savetxt(path, np.c_[x, y], fmt=["%.5g"] * COLUMNS + ["%d"], delimiter=",", comments="",
               header=",".join(["f%d" % i for i in range(COLUMNS)] + ["clicked"]))


def generate(folder, rows):
    rng = np.random.default_rng(20240607)
    x = rng.standard_normal((rows, COLUMNS))
    hidden = np.tanh(x @ rng.normal(size=(COLUMNS, 12)) / 3)
    margin = 2.5 * hidden[:, 0] * hidden[:, 1] + 2 * hidden[:, 2] * hidden[:, 3] + hidden[:, 4:] @ rng.normal(size=8) - 1
    y = rng.random(rows) < 1 / (1 + np.exp(-margin))
    cut = rows * 4 // 5
    write(folder / "train.csv", x[:cut], y[:cut])
    write(folder / "valid.csv", x[cut:], y[cut:])
    return float(y[cut:].mean())


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("lepton")
    parser.add_argument("--rows", type=int, default=200000)
    parser.add_argument("--layers", default="128,64")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    model, pick, valid = (options.folder / name for name in ("model.safetensors", "pick.safetensors", "valid.csv"))
    share = generate(options.folder, options.rows)
    run(options.lepton, "train", options.folder / "train.csv", "--label", "clicked", "--layers", options.layers,
        "--epochs", 8, "-o", model)
    ratios = []
    for turn in range(3):
        answer = json.loads(run(options.lepton, "optimize", model, "--data", valid, "--label", "clicked", "--json",
                                "--max-loss-increase", 0.001, "-o", pick))
        forms = {v["name"]: v for v in answer["variants"]}
        levels = json.loads(run(options.lepton, "bench", pick, "--json"))["levels"]
        again = [r["ns_per_row"] for r in levels[0]["results"] if r["batch"] == 64][0]
        ratios.append(again / forms[answer["picked"]]["ns_per_row"])
        print("turn %d: picked `%s`: optimize %.1f ns a row, bench %.1f (%+.1f %%)" % (
            turn + 1, answer["picked"], forms[answer["picked"]]["ns_per_row"], again, 100 * (ratios[-1] - 1)))
    print("\n%d judging rows, %.1f %% ones, AUC of the original %.5f; load average %.1f" % (
        answer["rows"], 100 * share, forms["original"]["auc"]["value"], os.getloadavg()[0]))
    good = False
    for name, form in forms.items():
        if not name.startswith("int8"):
            continue
        auc = form["auc"]
        good = good or auc["low"] > -0.001
        print("%-32s AUC %+.5f (95 %%: %+.5f to %+.5f), %.2f times the rows" % (
            name, auc["difference"], auc["low"], auc["high"],
            forms["original"]["ns_per_row"] / form["ns_per_row"]))
    near = abs(statistics.median(ratios) - 1) <= 0.1
    return (0 if good and near else "int8 loses a thousandth of AUC or more" if not good else "bench differs by a tenth")


if __name__ == "__main__":
    raise SystemExit(main())
