#!/usr/bin/env python3
"""Bundles for tests, benches and the demo: a safetensors writer and reader in plain Python, nets with golden rows from
numpy, and damaged files.

    python3 tests/support/bundle.py mlp OUT --features 10 --layers 64,64 --outputs 1 --seed 1 --version 1
    python3 tests/support/bundle.py mlp OUT --damage nan          (see DAMAGES)
    python3 tests/support/bundle.py mixed OUT                     every feature kind and policy
    python3 tests/support/bundle.py fixtures tests/data/bundles   the committed ones of the unit tests
    python3 tests/support/bundle.py records BUNDLE --count 1000   random records for it, JSON Lines
    python3 tests/support/bundle.py score BUNDLE < records.jsonl  what numpy says, JSON Lines
"""
import argparse
import json
import os
import struct
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import reference  # noqa: E402  (beside this file)

INLINE_MAX = 1000
DTYPES = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "I32": np.int32, "U8": np.uint8, "I8": np.int8,
          "F16": np.float16}
RTOL, ATOL = 1e-5, 1e-5


# --- the container ----------------------------------------------------------------------------------------------------

def dtype_name(array):
    return next(name for name, dtype in DTYPES.items() if array.dtype == dtype)


def container(tensors, metadata):
    """(header as a dict, data bytes): tensors in order, no holes, each 8-byte aligned where sizes allow."""
    header, data = {"__metadata__": metadata}, bytearray()
    for name, array in sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        array = np.ascontiguousarray(array)
        begin = len(data)
        data += array.tobytes()
        header[name] = {"dtype": dtype_name(array), "shape": list(array.shape), "data_offsets": [begin, len(data)]}
    return header, bytes(data)


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def file_bytes(header, data):
    text = header if isinstance(header, bytes) else compact(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def read_bundle(path):
    """(manifest, {name: array})."""
    with open(path, "rb") as file:
        blob = file.read()
    size = struct.unpack_from("<Q", blob)[0]
    header = json.loads(blob[8:8 + size])
    metadata, data = header.pop("__metadata__"), blob[8 + size:]
    tensors = {name: np.frombuffer(data[slice(*t["data_offsets"])], DTYPES[t["dtype"]]).reshape(t["shape"])
               for name, t in header.items()}
    return json.loads(metadata["lepton"]), tensors


# --- long arrays become tensors ---------------------------------------------------------------------------------------

def texts_as_tensors(texts, name, tensors):
    encoded = [text.encode() for text in texts]
    tensors[name] = np.frombuffer(b"".join(encoded), np.uint8)
    tensors[name + ".offsets"] = np.cumsum([0] + [len(t) for t in encoded]).astype(np.int64)
    return {"tensor": name, "offsets": name + ".offsets"}


def spill(holder, key, name, tensors, inline_max):
    """Move holder[key] to a tensor when it is longer than inline_max; texts and numbers."""
    values = holder.get(key)
    if not isinstance(values, list) or len(values) <= inline_max:
        return
    if isinstance(values[0], str):
        holder[key] = texts_as_tensors(values, name, tensors)
    else:
        tensors[name] = np.array(values, dtype=np.float64)
        holder[key] = {"tensor": name}


def spill_golden(golden, tensors, inline_max):
    rows = golden.get("rows")
    if not isinstance(rows, list) or len(rows) <= inline_max:
        return
    tensors["golden.margins"] = np.array([r["margin"] for r in rows], dtype=np.float64)
    tensors["golden.scores"] = np.array([r["score"] for r in rows], dtype=np.float64)
    texts = [json.dumps(r["record"], ensure_ascii=False) for r in rows]
    golden["rows"] = {"records": texts_as_tensors(texts, "golden.records", tensors),
                      "margins": {"tensor": "golden.margins"}, "scores": {"tensor": "golden.scores"}}


def spilled(manifest, tensors, inline_max=INLINE_MAX):
    """Copies of both with every array longer than inline_max as a tensor."""
    manifest, tensors = json.loads(json.dumps(manifest)), dict(tensors)
    for feature in manifest["features"]:
        prefix = "feature." + feature["name"]
        spill(feature.get("encode", {}), "vocabulary", prefix + ".vocabulary", tensors, inline_max)
        for key in ("edges", "counts"):
            spill(feature.get("baseline", {}), key, prefix + "." + key, tensors, inline_max)
    for key in ("edges", "counts"):
        spill(manifest["output"].get("baseline", {}), key, "score." + key, tensors, inline_max)
    if "golden" in manifest:
        spill_golden(manifest["golden"], tensors, inline_max)
    return manifest, tensors


# --- writing ----------------------------------------------------------------------------------------------------------

def golden_rows(manifest, tensors, records):
    """The `golden` member for these records: none of them may be one that cleaning rejects."""
    scored = reference.score_records(manifest, tensors, records)
    assert not any(scored.rejected) and np.isfinite(scored.scores).all()
    rows = [{"record": r, "margin": m.tolist(), "score": s.tolist()}
            for r, m, s in zip(records, scored.margins, scored.scores)]
    return {"source": f"numpy {np.__version__}", "rtol": RTOL, "atol": ATOL, "rows": rows}


def make_manifest(name, version, task, features, graph, link, **more):
    """more: labels, created, lineage, training, threshold, score_baseline."""
    output = {"link": link, "calibration": None}
    for key, member in (("threshold", "threshold"), ("score_baseline", "baseline")):
        if more.get(key) is not None:
            output[member] = more[key]
    manifest = {"format": 1, "name": name, "version": str(version), "task": task}
    manifest.update({k: more[k] for k in ("labels", "created", "lineage", "training") if more.get(k) is not None})
    manifest.update(features=features, graph=graph, output=output)
    return manifest


def bundle_bytes(manifest, tensors, inline_max=INLINE_MAX):
    manifest, tensors = spilled(manifest, tensors, inline_max)
    return file_bytes(*container(tensors, {"lepton": compact(manifest)}))


def write_bundle(path, manifest, tensors, golden_records=(), inline_max=INLINE_MAX):
    """Write a bundle, with golden rows computed here when golden_records are given; returns the manifest written."""
    if len(golden_records) > 0:
        manifest = dict(manifest, golden=golden_rows(manifest, tensors, list(golden_records)))
    with open(path, "wb") as file:
        file.write(bundle_bytes(manifest, tensors, inline_max))
    return manifest


def dense_graph(layers, activation="relu"):
    """(graph, tensors) of [(weight [in, out], bias [out]), ...] with the activation after all but the last."""
    graph, tensors = [], {}
    for i, (weight, bias) in enumerate(layers):
        last = i == len(layers) - 1
        op = {"op": "dense", "input": "features" if i == 0 else f"h{i}", "output": "margin" if last else f"h{i + 1}",
              "weight": f"layer{i}.weight", "bias": f"layer{i}.bias"}
        if not last:
            op["activation"] = activation
        graph.append(op)
        tensors[op["weight"]] = np.asarray(weight, dtype=np.float32)
        tensors[op["bias"]] = np.asarray(bias, dtype=np.float32)
    return graph, tensors


def number_baseline(values, bins=10):
    """Quantile bins of a reference sample; equal quantiles merge."""
    values = np.asarray(values, dtype=np.float64)
    present = values[~np.isnan(values)]
    edges = np.unique(np.quantile(present, np.arange(1, bins) / bins))
    edges = edges[edges > present.min()]  # an edge at the minimum would leave the first bin empty
    counts = np.bincount(np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "counts": counts.tolist(), "missing_rate": float(np.isnan(values).mean())}


def category_baseline(observed, bin_count):
    present = observed[~np.isnan(observed)].astype(np.int64)
    return {"counts": np.bincount(present, minlength=bin_count).tolist(),
            "missing_rate": float(np.isnan(observed).mean())}


def add_baselines(manifest, tensors, columns):
    """Baselines of every watched feature and of the score, in place, from a reference sample."""
    scored = reference.score_columns(manifest, tensors, columns)
    for feature, part in zip(manifest["features"], scored.cleaned):
        if feature["kind"] == "number":
            feature["baseline"] = number_baseline(part.observed)
        elif feature["kind"] == "category":
            _, known, _ = reference.category_index(feature, tensors)
            bins = known if feature["encode"]["method"] == "hash" else known + 1
            feature["baseline"] = category_baseline(part.observed, bins)
    if scored.scores.shape[1] == 1:
        manifest["output"]["baseline"] = number_baseline(scored.scores[:, 0])


# --- ready-made models ------------------------------------------------------------------------------------------------

def random_layers(rng, sizes):
    return [(rng.normal(0, np.sqrt(2 / a), (a, b)), rng.normal(0, 0.1, b)) for a, b in zip(sizes, sizes[1:])]


def mlp_features(rng, count, vector):
    if vector:
        return [{"name": "x", "from": "x", "kind": "vector", "width": count, "missing": {"policy": "reject"},
                 "outlier": {"policy": "keep"}, "normalize": {"method": "zscore", "mean": 0.1307, "std": 0.3081}}]
    features = []
    for i in range(count):
        mean, std = round(float(rng.normal(0, 20)), 3), round(float(rng.uniform(0.5, 10)), 3)
        low, high = round(mean - 4 * std, 3), round(mean + 4 * std, 3)
        features.append({"name": f"f{i}", "from": f"f{i}", "kind": "number",
                         "missing": {"policy": "mean", "value": mean},
                         "outlier": {"policy": "clip", "low": low, "high": high},
                         "normalize": {"method": "zscore", "mean": mean, "std": std}})
    return features


def random_records(manifest, tensors, count, seed, missing=0.02, outlier=0.01):
    """Records a bundle can score, floats rounded to float32 so that Avro floats carry them."""
    rng = np.random.default_rng(seed)
    columns = {f["name"]: random_column(rng, f, tensors, count, missing, outlier) for f in manifest["features"]}
    records = []
    for i in range(count):
        record = {}
        for feature in manifest["features"]:
            value = columns[feature["name"]][i]
            if value is not None:
                place(record, reference.parse_path(feature["from"]), value)
        records.append(record)
    return records


def random_column(rng, feature, tensors, count, missing, outlier):
    absent = rng.random(count) < (0 if feature.get("missing", {}).get("policy") == "reject" else missing)
    if feature["kind"] == "category":
        encode = feature["encode"]
        known = (["a", "b", "c", "d"] if encode["method"] == "hash"
                 else reference.resolve_texts(encode["vocabulary"], tensors))
        values = rng.choice(np.array(known + ["never seen"], dtype=object), count)
        if feature.get("missing", {}).get("policy") == "reject" and not encode.get("unknown", True):
            values = rng.choice(np.array(known, dtype=object), count)
        return [None if a else v for a, v in zip(absent, values)]
    rule, width = feature.get("normalize", {"method": "none"}), feature.get("width", 1)
    center = rule.get("mean", rule.get("median", rule.get("min", 0.0)))
    spread = rule.get("std", rule.get("iqr", rule.get("max", 1.0) - rule.get("min", 0.0)))
    x = rng.normal(center, spread or 1.0, (count, width))
    if rule["method"] == "log1p":
        x = np.abs(x)
    if feature.get("outlier", {}).get("policy") == "clip":
        x[rng.random(count) < outlier] *= 100
    if feature.get("outlier", {}).get("policy") == "reject":
        x = np.clip(x, feature["outlier"].get("low"), feature["outlier"].get("high"))
    x = x.astype(np.float32).astype(np.float64)
    return [None if a else (v.tolist() if feature["kind"] == "vector" else float(v[0])) for a, v in zip(absent, x)]


def place(record, steps, value):
    for step, following in zip(steps, steps[1:]):
        empty = [] if isinstance(following, int) else {}
        record = reach(record, step, empty)
    reach(record, steps[-1], None)
    record[steps[-1]] = value


def reach(holder, step, empty):
    """holder[step], made when it is not there; arrays are filled up with null."""
    if isinstance(step, int):
        holder.extend([None] * (step + 1 - len(holder)))
        if holder[step] is None:
            holder[step] = empty
        return holder[step]
    return holder.setdefault(step, empty)


def finish(manifest, tensors, seed, golden_count=8, sample=2000):
    """Baselines from a random sample and golden rows, in place."""
    records = random_records(manifest, tensors, sample, seed + 1000)
    add_baselines(manifest, tensors, reference.columns_of(manifest, records))
    golden = random_records(manifest, tensors, golden_count, seed + 2000, missing=0.1, outlier=0.1)
    manifest["golden"] = golden_rows(manifest, tensors, golden)
    return manifest, tensors


def make_mlp(seed=1, sizes=(10, 64, 64, 1), name="mlp", version="1", vector=False, activation="relu"):
    """(manifest, tensors): features f0..f9 (or one vector x) zscored, dense layers, sigmoid or softmax; golden rows."""
    rng = np.random.default_rng(seed)
    graph, tensors = dense_graph(random_layers(rng, sizes), activation)
    task, link = ("binary", "sigmoid") if sizes[-1] == 1 else ("multiclass", "softmax")
    # The features depend on the input width only, so that two seeds read, clean and bin the same records alike.
    features = mlp_features(np.random.default_rng(sizes[0]), sizes[0], vector)
    manifest = make_manifest(name, version, task, features, graph, link, threshold=0.5 if sizes[-1] == 1 else None,
                             training={"seed": seed, "tool": f"numpy {np.__version__}", "data": "random weights"})
    return finish(manifest, tensors, seed)


def mixed_features():
    long_vocabulary = [f"city {i}" for i in range(1500)]
    number, category = {"kind": "number"}, {"kind": "category"}
    return [
        {"name": "age", "from": "user.age", **number, "missing": {"policy": "mean", "value": 38.5},
         "outlier": {"policy": "clip", "low": 0, "high": 120},
         "normalize": {"method": "zscore", "mean": 38.5, "std": 12.25}},
        {"name": "price", "from": "item.price", **number, "missing": {"policy": "indicator", "value": 10.0},
         "outlier": {"policy": "missing", "low": 0, "high": 100000}, "normalize": {"method": "log1p"}},
        {"name": "rating", "from": "item.ratings[1]", **number, "missing": {"policy": "value", "value": 3},
         "outlier": {"policy": "keep"}, "normalize": {"method": "minmax", "min": 1, "max": 5}},
        {"name": "speed", "from": "m\\.speed", **number, "missing": {"policy": "reject"},
         "outlier": {"policy": "reject", "low": -50, "high": 50},
         "normalize": {"method": "robust", "median": 2.5, "iqr": 7}},
        {"name": "constant", "from": "constant", **number, "missing": {"policy": "value", "value": 0},
         "outlier": {"policy": "clip", "low": 0}, "normalize": {"method": "zscore", "mean": 1, "std": 0}},
        {"name": "colour", "from": "colour", **category, "missing": {"policy": "indicator"},
         "encode": {"method": "onehot", "vocabulary": ["red", "grün", "", "蓝"], "unknown": True}},
        {"name": "size", "from": "size", **category, "missing": {"policy": "value", "value": "M"},
         "encode": {"method": "onehot", "vocabulary": ["S", "M", "L"], "unknown": False}},
        {"name": "city", "from": "user.city", **category, "missing": {"policy": "value", "value": "city 7"},
         "encode": {"method": "index", "vocabulary": long_vocabulary, "unknown": True}},
        {"name": "word", "from": "word", **category, "missing": {"policy": "indicator"},
         "encode": {"method": "hash", "buckets": 16}},
        {"name": "vector", "from": "vector", "kind": "vector", "width": 3,
         "missing": {"policy": "indicator", "value": 0.5},
         "outlier": {"policy": "clip", "low": -3, "high": 3}, "normalize": {"method": "minmax", "min": -1, "max": 1}},
    ]


def make_mixed(seed=1, name="mixed", version="1"):
    """Every kind and policy that dense graphs allow, nested paths, a vocabulary in tensors, three classes."""
    features = mixed_features()
    probe = {"features": features}
    width = sum(c.columns.shape[1] for c in reference.clean(
        probe, {}, reference.columns_of(probe, random_records(probe, {}, 1, 0, 0, 0))))
    rng = np.random.default_rng(seed)
    layers = random_layers(rng, (width, 8, 3))
    graph, tensors = dense_graph(layers, "gelu")
    # An index is large: keep the net out of saturation.
    tensors["layer0.weight"][features_column(features, "city")] *= 0.001
    graph[-1]["output"] = "logits"
    graph.append({"op": "activation", "input": "logits", "output": "margin", "activation": "leaky_relu", "alpha": 0.2})
    manifest = make_manifest(name, version, "multiclass", features, graph, "softmax", labels=["low", "middle", "high"],
                             lineage={"parent": None, "steps": ["made by tests/support/bundle.py"]},
                             training={"seed": seed, "rows": 0, "metrics": {"loss": 0.0}})
    return finish(manifest, tensors, seed, golden_count=32)


def features_column(features, name):
    """First column of a feature."""
    column = 0
    for feature in features:
        if feature["name"] == name:
            return column
        method = feature.get("encode", {}).get("method")
        width = feature.get("width", 1)
        if method == "onehot":
            width = len(feature["encode"]["vocabulary"]) + feature["encode"].get("unknown", True)
        column += width + (feature["missing"]["policy"] == "indicator")
    raise KeyError(name)


# --- damage -----------------------------------------------------------------------------------------------------------

def damage_weight(value):
    def damage(manifest, tensors):
        name = manifest["graph"][0]["weight"]
        tensors[name] = tensors[name].copy()
        tensors[name].flat[tensors[name].size // 2] = value
        return bundle_bytes(manifest, tensors)
    return damage


def damage_shape(manifest, tensors):
    name = manifest["graph"][-1]["weight"]
    tensors[name] = tensors[name][:-1]
    return bundle_bytes(manifest, tensors)


def damage_golden(manifest, tensors):
    manifest["golden"]["rows"][0]["score"][0] += 0.01
    return bundle_bytes(manifest, tensors)


def damage_missing_feature(manifest, tensors):
    manifest["features"][0]["from"] = "no_such_field"
    return bundle_bytes(manifest, tensors)


def damage_no_golden(manifest, tensors):
    manifest["golden"] = {"source": "none"}
    return bundle_bytes(manifest, tensors)


def damage_unknown_op(manifest, tensors):
    manifest["graph"][0]["op"] = "lstm"
    return bundle_bytes(manifest, tensors)


def damage_unknown_member(manifest, tensors):
    manifest["features"][0]["missin"] = manifest["features"][0].pop("missing")
    return bundle_bytes(manifest, tensors)


def damage_dtype(manifest, tensors):
    header, data = container(tensors, {"lepton": compact(manifest)})
    header[manifest["graph"][0]["weight"]]["dtype"] = "U16"
    return file_bytes(header, data)


def damage_overlap(manifest, tensors):
    header, data = container(tensors, {"lepton": compact(manifest)})
    offsets = header[manifest["graph"][-1]["weight"]]["data_offsets"]
    offsets[0], offsets[1] = offsets[0] - 4, offsets[1] - 4
    return file_bytes(header, data)


DAMAGES = {
    "nan": damage_weight(np.nan),
    "inf": damage_weight(np.inf),
    "shape": damage_shape,
    "golden": damage_golden,
    "no_golden": damage_no_golden,
    "missing_feature": damage_missing_feature,
    "unknown_op": damage_unknown_op,
    "unknown_member": damage_unknown_member,
    "dtype": damage_dtype,
    "overlap": damage_overlap,
    "truncate": lambda manifest, tensors: bundle_bytes(manifest, tensors)[:-100],
    "trailing": lambda manifest, tensors: bundle_bytes(manifest, tensors) + b"\0" * 8,
    "not_safetensors": lambda manifest, tensors: b"PK\x03\x04 this is no safetensors file" + bytes(1000),
    "claim_10gb": lambda manifest, tensors: struct.pack("<Q", 10 << 30) + bundle_bytes(manifest, tensors)[8:],
    "sparse_10gb": bundle_bytes,  # written as a sparse file of 10 GiB
}


def write_damaged(path, manifest, tensors, damage):
    blob = DAMAGES[damage](json.loads(json.dumps(manifest)), dict(tensors))
    with open(path, "wb") as file:
        file.write(blob)
        if damage == "sparse_10gb":
            file.truncate(10 << 30)


# --- command line -----------------------------------------------------------------------------------------------------

def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("mlp", "mixed"):
        sub = commands.add_parser(command)
        sub.add_argument("out")
        sub.add_argument("--seed", type=int, default=1)
        sub.add_argument("--name", default=command)
        sub.add_argument("--version", default="1")
        sub.add_argument("--damage", choices=sorted(DAMAGES))
        if command == "mlp":
            sub.add_argument("--features", type=int, default=10)
            sub.add_argument("--layers", default="64,64", help="hidden widths, comma-separated; empty: none")
            sub.add_argument("--outputs", type=int, default=1)
            sub.add_argument("--activation", default="relu")
            sub.add_argument("--vector", action="store_true", help="one vector feature x in place of f0, f1, ...")
    records = commands.add_parser("records")
    records.add_argument("bundle")
    records.add_argument("--count", type=int, default=1000)
    records.add_argument("--seed", type=int, default=1)
    commands.add_parser("score").add_argument("bundle")
    commands.add_parser("fixtures").add_argument("folder")
    return parser.parse_args()


def write_fixtures(folder):
    os.makedirs(folder, exist_ok=True)
    write_bundle(os.path.join(folder, "mlp.safetensors"), *make_mlp(1, (10, 8, 1)))
    write_bundle(os.path.join(folder, "mixed.safetensors"), *make_mixed())
    # The same with every array of more than two entries in a tensor.
    write_bundle(os.path.join(folder, "mixed_tensors.safetensors"), *make_mixed(), inline_max=2)


def print_scores(path):
    manifest, tensors = read_bundle(path)
    scored = reference.score_records(manifest, tensors, [json.loads(line) for line in sys.stdin if line.strip()])
    for margin, score, rejected in zip(scored.margins, scored.scores, scored.rejected):
        answer = {"margins": margin.tolist(), "scores": score.tolist()}
        print(json.dumps({"rejected": rejected} if rejected else answer))


def main():
    arguments = parse_arguments()
    if arguments.command == "score":
        return print_scores(arguments.bundle)
    if arguments.command == "fixtures":
        return write_fixtures(arguments.folder)
    if arguments.command == "records":
        manifest, tensors = read_bundle(arguments.bundle)
        for record in random_records(manifest, tensors, arguments.count, arguments.seed):
            print(json.dumps(record, ensure_ascii=False))
        return None
    if arguments.command == "mixed":
        manifest, tensors = make_mixed(arguments.seed, arguments.name, arguments.version)
    else:
        sizes = [arguments.features] + [int(n) for n in arguments.layers.split(",") if n] + [arguments.outputs]
        manifest, tensors = make_mlp(arguments.seed, sizes, arguments.name, arguments.version, arguments.vector,
                                     arguments.activation)
    if arguments.damage:
        return write_damaged(arguments.out, manifest, tensors, arguments.damage)
    write_bundle(arguments.out, manifest, tensors)
    return None


if __name__ == "__main__":
    main()
