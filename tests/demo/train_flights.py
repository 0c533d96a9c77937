#!/usr/bin/env python3
"""The demo's data and models: flights of 2013, "departs more than 15 minutes late".

    python3 tests/demo/train_flights.py data JOINED.csv.gz src/demo/data/flights.csv.gz
    python3 tests/demo/train_flights.py train DATA BUNDLE --months 1-2 --version 1
    python3 tests/demo/train_flights.py drift DATA BUNDLE...      PSI and quality of each model, month by month

numpy only; the seed is fixed. See src/demo/data/README.md for where the data is from.
"""
import argparse
import csv
import gzip
import hashlib
import io
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import bundle  # noqa: E402  (tests/support)
import reference  # noqa: E402

WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
# What repeats from row to row comes first: the file is a tenth smaller so.
COLUMNS = ["origin"] + WEATHER + ["sched", "carrier", "flight", "dest", "distance", "dep_delay"]
LATE_MINUTES = 15
HIDDEN = (24, 12)
SEED = 2013


# --- data -------------------------------------------------------------------------------------------------------------

def read_rows(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_data(source, target):
    """The columns that the demo needs, in order of schedule; nothing else is changed."""
    rows = sorted(read_rows(source), key=lambda r: r["sched"])  # stable
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with open(target, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(text.getvalue().encode())


def record_of(row):
    """A CSV row as the demo sends it (schemas/flights.avsc), without its label."""
    record = {"id": f"{row['carrier']}{row['flight']}-{row['sched']}",
              "sched": int(np.datetime64(row["sched"], "ms").astype(np.int64)), "carrier": row["carrier"],
              "flight": int(row["flight"]), "origin": row["origin"], "dest": row["dest"],
              "distance": float(row["distance"]), "hour": int(row["sched"][11:13])}
    record.update({name: float(row[name]) if row[name] else None for name in WEATHER})
    return record


def late(rows):
    """1 late, 0 not, NaN never departed."""
    return np.array([float(float(r["dep_delay"]) > LATE_MINUTES) if r["dep_delay"] else np.nan for r in rows])


def months_of(rows):
    return np.array([int(r["sched"][5:7]) for r in rows])


# --- features ---------------------------------------------------------------------------------------------------------

def number(name, columns, bounds, policy="mean"):
    x = columns[name]
    mean, std = float(np.nanmean(x)), float(np.nanstd(x))
    return {"name": name, "from": name, "kind": "number", "missing": {"policy": policy, "value": mean},
            "outlier": {"policy": "clip", "low": bounds[0], "high": bounds[1]},
            "normalize": {"method": "zscore", "mean": mean, "std": std}}


def category(name, columns, rows_min):
    words, counts = np.unique(columns[name], return_counts=True)
    return {"name": name, "from": name, "kind": "category", "missing": {"policy": "indicator"},
            "encode": {"method": "onehot", "vocabulary": [str(w) for w, n in zip(words, counts) if n >= rows_min],
                       "unknown": True}}


def fit_features(records):
    """Statistics of the training records. No month and no day: they would be the drift itself."""
    names = ["carrier", "origin", "distance", "hour"] + WEATHER
    columns = {n: [r[n] for r in records] for n in names}
    for name in names[2:]:
        columns[name] = np.array([np.nan if v is None else v for v in columns[name]], dtype=np.float64)
    precip = {"name": "precip", "from": "precip", "kind": "number", "missing": {"policy": "value", "value": 0},
              "outlier": {"policy": "clip", "low": 0, "high": 10}, "normalize": {"method": "log1p"}}
    return [category("carrier", columns, 50), category("origin", columns, 50), number("distance", columns, (0, 6000)),
            number("hour", columns, (0, 23)), number("temp", columns, (-60, 140)), number("dewp", columns, (-60, 140)),
            number("humid", columns, (0, 100)), number("wind_speed", columns, (0, 120)), precip,
            number("pressure", columns, (850, 1100), "indicator"), number("visib", columns, (0, 10))]


# --- training ---------------------------------------------------------------------------------------------------------

def predict(layers, x):
    """Activations of every layer; the last is the margin."""
    outputs = [x]
    for i, (weight, bias) in enumerate(layers):
        z = outputs[-1] @ weight + bias
        outputs.append(np.maximum(z, 0) if i < len(layers) - 1 else z)
    return outputs


def gradients(layers, outputs, y, decay):
    delta = (reference.sigmoid(outputs[-1][:, 0]) - y)[:, None] / len(y)
    result = []
    for i in reversed(range(len(layers))):
        weight, _ = layers[i]
        result.append((outputs[i].T @ delta + decay * weight, delta.sum(axis=0)))
        delta = (delta @ weight.T) * (outputs[i] > 0)
    return result[::-1]


def log_loss(margin, y):
    return float(np.mean(np.logaddexp(0, margin) - y * margin))


def auc(score, y):
    """Share of (late, on time) pairs in the right order; ties count half."""
    values, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = y == 1
    n, m = positive.sum(), (~positive).sum()
    return float((rank[positive].sum() - n * (n + 1) / 2) / (n * m))


def train(x, y, x_held, y_held, epochs=60, batch=128, rate=2e-3, decay=1e-3):
    """Adam on log loss; the layers of the epoch that was best on the held-out rows."""
    rng = np.random.default_rng(SEED)
    layers = bundle.random_layers(rng, (x.shape[1],) + HIDDEN + (1,))
    first = [(np.zeros_like(w), np.zeros_like(b)) for w, b in layers]
    second = [(np.zeros_like(w), np.zeros_like(b)) for w, b in layers]
    best, best_layers, step = np.inf, layers, 0
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for at in range(0, len(x), batch):
            rows = order[at:at + batch]
            step += 1
            grads = gradients(layers, predict(layers, x[rows]), y[rows], decay)
            layers = [adam(layer, grad, m, v, step, rate)
                      for layer, grad, m, v in zip(layers, grads, first, second)]
        loss = log_loss(predict(layers, x_held)[-1][:, 0], y_held)
        if loss < best:
            best, best_layers = loss, layers
    return best_layers


def adam(layer, grad, first, second, step, rate):
    updated = []
    for value, g, m, v in zip(layer, grad, first, second):
        m[:] = 0.9 * m + 0.1 * g
        v[:] = 0.999 * v + 0.001 * g * g
        updated.append(value - rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8))
    return tuple(updated)


def is_held_out(row):
    """Every fifth day: whole days, so that no hour of weather is on both sides."""
    return int(np.datetime64(row["sched"][:10]).astype(np.int64)) % 5 == 0


def golden_sample(records):
    """Spread over the months of training, some with missing weather."""
    gaps = [i for i, r in enumerate(records) if r["temp"] is None or r["pressure"] is None][:4]
    spread = np.linspace(0, len(records) - 1, 20 - len(gaps)).astype(int).tolist()
    return [records[i] for i in sorted(set(gaps + spread))]


def train_bundle(data, target, months, version):
    with open(data, "rb") as file:
        data_hash = hashlib.sha256(file.read()).hexdigest()
    every = read_rows(data)
    wanted = np.isin(months_of(every), months)
    rows = [r for r, w in zip(every, wanted) if w]
    y = late(rows)
    records = [record_of(r) for r in rows]
    held = np.array([is_held_out(r) for r in rows])
    features = fit_features([r for r, h in zip(records, held) if not h])
    probe = {"features": features}
    x = np.hstack([c.columns for c in reference.clean(probe, {}, reference.columns_of(probe, records))])
    known = ~np.isnan(y)
    layers = train(x[known & ~held], y[known & ~held], x[known & held], y[known & held])
    margin = predict(layers, x[known & held])[-1][:, 0]
    rate = y[known & ~held].mean()
    metrics = {"held_out_rows": int((known & held).sum()), "held_out_auc": round(auc(margin, y[known & held]), 4),
               "held_out_log_loss": round(log_loss(margin, y[known & held]), 4),
               "held_out_log_loss_of_base_rate": round(log_loss(np.full(len(margin), np.log(rate / (1 - rate))),
                                                                y[known & held]), 4),
               "late_share": round(float(rate), 4)}
    graph, tensors = bundle.dense_graph(layers)
    training = {"rows": int((known & ~held).sum()), "seed": SEED, "tool": f"numpy {np.__version__}",
                "data": f"departures of 2013, months {min(months)} to {max(months)}", "data_sha256": data_hash,
                "metrics": metrics}
    manifest = bundle.make_manifest("flights", version, "binary", features, graph, "sigmoid",
                                    labels=["on time", "late"], threshold=round(float(rate), 4), training=training,
                                    created="2026-11-24T00:00:00Z",
                                    lineage={"parent": None, "steps": ["trained by tests/demo/train_flights.py"]})
    bundle.add_baselines(manifest, tensors, reference.columns_of(manifest, records))
    bundle.write_bundle(target, manifest, tensors, golden_sample(records))
    print(f"{target}: {os.path.getsize(target)} bytes, {training['rows']} rows, {metrics}")


# --- drift, as the worker sees it -------------------------------------------------------------------------------------

def psi(baseline, observed):
    edges, reference_counts = np.array(baseline["edges"]), np.array(baseline["counts"], dtype=np.float64)
    present = observed[~np.isnan(observed)]
    counts = np.bincount(np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1)
    p, q = (np.maximum(c / c.sum(), 1e-4) for c in (reference_counts, counts))
    return float(((q - p) * np.log(q / p)).sum())


def print_drift(data, paths):
    rows = read_rows(data)
    months, y = months_of(rows), late(rows)
    for path in paths:
        manifest, tensors = bundle.read_bundle(path)
        columns = reference.columns_of(manifest, [record_of(r) for r in rows])
        scored = reference.score_columns(manifest, tensors, columns)
        watched = [(f["name"], f["baseline"], c.observed) for f, c in zip(manifest["features"], scored.cleaned)
                   if f["kind"] == "number"] + [("$score", manifest["output"]["baseline"], scored.scores[:, 0])]
        print(path, manifest["training"]["data"])
        for name, baseline, observed in watched:
            print(f"  {'psi ' + name:16}", *(f"{psi(baseline, observed[months == m]):6.2f}" for m in range(1, 13)))
        for name, measure in (("auc", lambda s: auc(scored.scores[s, 0], y[s])),
                              ("log loss", lambda s: log_loss(scored.margins[s, 0], y[s])),
                              ("mean score", lambda s: scored.scores[s, 0].mean()), ("late", lambda s: y[s].mean())):
            print(f"  {name:16}", *(f"{measure((months == m) & ~np.isnan(y)):6.3f}" for m in range(1, 13)))


def parse_months(text):
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    data = commands.add_parser("data")
    data.add_argument("source")
    data.add_argument("target")
    train_command = commands.add_parser("train")
    train_command.add_argument("data")
    train_command.add_argument("target")
    train_command.add_argument("--months", type=parse_months, required=True)
    train_command.add_argument("--version", required=True)
    drift = commands.add_parser("drift")
    drift.add_argument("data")
    drift.add_argument("bundles", nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "data":
        write_data(arguments.source, arguments.target)
    elif arguments.command == "train":
        train_bundle(arguments.data, arguments.target, arguments.months, arguments.version)
    else:
        print_drift(arguments.data, arguments.bundles)


if __name__ == "__main__":
    main()
