"""What a bundle must answer, in numpy: paths, cleaning, encoding, the graph and the link.

Written from schemas/bundle.schema.json and kept apart from the C code: the oracle of golden rows and of tests. Works on
columns (a million rows are no trouble): `score_records` takes JSON objects, `score_columns` arrays.
"""
import json
import math
import os
import re
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import graph_ops  # noqa: E402  (beside this file)
from graph_ops import sigmoid  # noqa: E402


class RecordError(Exception):
    """A record that decode refuses: wrong type at a wanted path."""

    def __init__(self, field, text):
        super().__init__(f"{field}: {text}")
        self.field = field


# --- paths and values -------------------------------------------------------------------------------------------------

def parse_path(path):
    """a.b, a[2], m.key; `\\.` is a dot inside a name."""
    steps = []
    for part in re.findall(r"(?:[^.\\]|\\.)+", path):
        match = re.fullmatch(r"((?:[^\[\\]|\\.)*)((?:\[\d+\])*)", part, re.S)
        name, indexes = match.groups()
        if name:
            steps.append(re.sub(r"\\(.)", r"\1", name))
        steps += [int(i) for i in re.findall(r"\[(\d+)\]", indexes)]
    return steps


def lookup(record, path):
    """The value at a path, or None where anything on the way is null or absent."""
    value = record
    for step in parse_path(path):
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
        if value is None:
            return None
    return value


def as_number(value, field):
    if value is None:
        return math.nan
    if isinstance(value, (bool, int, float)):
        return float(value)
    raise RecordError(field, "is not a number")


def as_text(value, field):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise RecordError(field, "is not a text")


def columns_of(manifest, records):
    """{feature name: values}: float64 [n] or [n, width], or a list of texts and None."""
    columns = {}
    for feature in manifest["features"]:
        name, kind = feature["name"], feature["kind"]
        values = [lookup(record, feature["from"]) for record in records]
        if kind == "category":
            columns[name] = [as_text(v, name) for v in values]
        elif kind == "number":
            columns[name] = np.array([as_number(v, name) for v in values], dtype=np.float64)
        else:
            columns[name] = np.array([vector_of(v, feature) for v in values], dtype=np.float64)
    return columns


def vector_of(value, feature):
    if value is None:
        return [math.nan] * feature["width"]
    if not isinstance(value, list) or len(value) != feature["width"]:
        raise RecordError(feature["name"], f"is not an array of {feature['width']} numbers")
    return [as_number(v, feature["name"]) for v in value]


# --- tensors in place of long arrays ----------------------------------------------------------------------------------

def resolve_numbers(value, tensors):
    return tensors[value["tensor"]] if isinstance(value, dict) else np.array(value, dtype=np.float64)


def resolve_texts(value, tensors):
    if not isinstance(value, dict):
        return list(value)
    data, offsets = tensors[value["tensor"]].tobytes(), tensors[value["offsets"]]
    return [data[offsets[i]:offsets[i + 1]].decode() for i in range(len(offsets) - 1)]


# --- cleaning ---------------------------------------------------------------------------------------------------------

def normalize(feature, x):
    rule = feature.get("normalize", {"method": "none"})
    method = rule["method"]
    if method == "none":
        return x
    if method == "log1p":
        return np.log1p(x)
    center, scale = {
        "zscore": lambda: (rule["mean"], rule["std"]),
        "minmax": lambda: (rule["min"], rule["max"] - rule["min"]),
        "robust": lambda: (rule["median"], rule["iqr"]),
    }[method]()
    return np.where(np.isnan(x), np.nan, 0.0) if scale == 0 else (x - center) / scale


class Cleaned:
    """columns [n, k]; observed [n] (what drift sees); masks [n]: missing, clipped, unknown, rejected."""

    def __init__(self, columns, observed, missing, clipped, unknown, rejected):
        self.columns, self.observed = columns, observed
        self.missing, self.clipped, self.unknown, self.rejected = missing, clipped, unknown, rejected


def clean_numbers(feature, values):
    """A number [n] or a vector [n, width]."""
    x = np.array(values, dtype=np.float64)
    x = x.reshape(len(x), -1)
    outlier = feature.get("outlier", {"policy": "keep"})
    low, high = outlier.get("low", -math.inf), outlier.get("high", math.inf)
    outside = ((x < low) | (x > high) | np.isinf(x)) & ~np.isnan(x)
    clipped, rejected = np.zeros(len(x), bool), np.zeros(len(x), bool)
    if outlier["policy"] == "clip":
        x = np.where(outside, np.clip(x, low, high), x)
        x[np.isinf(x)] = np.nan
        clipped = (outside & ~np.isnan(x)).any(axis=1)
    elif outlier["policy"] == "missing":
        x[outside] = np.nan
    elif outlier["policy"] == "reject":
        rejected |= outside.any(axis=1)
    if feature.get("normalize", {}).get("method") == "log1p":
        x[x <= -1] = np.nan
    missing = np.isnan(x)
    observed = x[:, 0].copy() if feature["kind"] == "number" else np.full(len(x), np.nan)

    rule = feature.get("missing", {"policy": "keep"})
    if rule["policy"] in ("mean", "value", "indicator"):
        x[missing] = rule["value"]
    elif rule["policy"] == "reject":
        rejected |= missing.any(axis=1)
    with np.errstate(invalid="ignore"):
        columns = normalize(feature, x)
    if rule["policy"] == "indicator":
        columns = np.hstack([columns, missing.any(axis=1, keepdims=True).astype(np.float64)])
    return Cleaned(columns, observed, missing.any(axis=1), clipped, np.zeros(len(x), bool), rejected)


def fnv1a_64(text):
    h = 14695981039346656037
    for byte in text.encode():
        h = ((h ^ byte) * 1099511628211) % 2**64
    return h


def category_index(feature, tensors):
    """(function from text to index, -1 for "missing"; number of indexes without and with the unknown bucket)."""
    encode = feature["encode"]
    if encode["method"] == "hash":
        buckets = encode["buckets"]
        return (lambda text: fnv1a_64(text) % buckets), buckets, buckets
    vocabulary = resolve_texts(encode["vocabulary"], tensors)
    known = {text: i for i, text in enumerate(vocabulary)}
    unknown = len(vocabulary) if encode.get("unknown", True) else -1
    return (lambda text: known.get(text, unknown)), len(vocabulary), len(vocabulary) + (unknown >= 0)


def clean_texts(feature, values, tensors):
    index_of, known_count, width = category_index(feature, tensors)
    cache = {None: -1}
    index = np.array([cache[t] if t in cache else cache.setdefault(t, index_of(t)) for t in values], dtype=np.int64)
    missing = index < 0
    is_text = np.array([t is not None for t in values], dtype=bool)
    # A text outside the vocabulary counts as unknown also where it is then treated as missing.
    unknown = is_text & (missing | (index >= known_count))
    observed = np.where(missing, np.nan, index.astype(np.float64))
    rule = feature.get("missing", {"policy": "keep"})
    rejected = missing if rule["policy"] == "reject" else np.zeros(len(index), bool)
    filler = index_of(rule["value"]) if "value" in rule else -1
    index = np.where(missing, filler, index)
    if feature["encode"]["method"] == "onehot":
        columns = (index[:, None] == np.arange(width)[None, :]).astype(np.float64)
        if rule["policy"] == "keep":
            columns[missing] = np.nan
    else:
        columns = np.maximum(index, 0).astype(np.float64)[:, None]
        if rule["policy"] == "keep":
            columns[missing, 0] = np.nan
    if rule["policy"] == "indicator":
        columns = np.hstack([columns, missing[:, None].astype(np.float64)])
    return Cleaned(columns, observed, missing, np.zeros(len(index), bool), unknown, rejected)


def clean(manifest, tensors, columns):
    """[Cleaned] in feature order."""
    return [clean_texts(f, columns[f["name"]], tensors) if f["kind"] == "category"
            else clean_numbers(f, columns[f["name"]]) for f in manifest["features"]]


# --- graph and link ---------------------------------------------------------------------------------------------------

def link(name, margin):
    if name == "sigmoid":
        return sigmoid(margin)
    if name == "softmax":
        e = np.exp(margin - margin.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    return margin


def forward(manifest, tensors, rows):
    """Margins [n, outputs]: the row is rounded to float32 once, everything after is float64."""
    return graph_ops.run(manifest["graph"], tensors, rows)


class Scored:
    """margins and scores [n, outputs]; rejected: one feature name or None a row (its numbers mean nothing); cleaned."""

    def __init__(self, margins, scores, rejected, cleaned):
        self.margins, self.scores, self.rejected, self.cleaned = margins, scores, rejected, cleaned


def score_columns(manifest, tensors, columns):
    cleaned = clean(manifest, tensors, columns)
    rows = np.hstack([c.columns for c in cleaned])
    rejected = [None] * len(rows)
    for feature, part in reversed(list(zip(manifest["features"], cleaned))):
        for i in np.flatnonzero(part.rejected):
            rejected[i] = feature["name"]
    margins = forward(manifest, tensors, rows)
    return Scored(margins, link(manifest["output"]["link"], margins), rejected, cleaned)


def score_records(manifest, tensors, records):
    return score_columns(manifest, tensors, columns_of(manifest, records))
