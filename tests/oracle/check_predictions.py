"""fastavro reads from our bytes what went in, with the writer's schema, with schemas/prediction.avsc, and with any other
subset of it; the json module reads the same from JSON output.

Usage: check_predictions.py ORACLE_PUBLISH SCHEMAS
"""
import io
import json
import pathlib
import random
import sys

import fastavro
import numpy as np

from commands import f32, finite_only, listed, parse_json, run, same, text, unframed

program, schemas = sys.argv[1], pathlib.Path(sys.argv[2])
whole = json.loads((schemas / "prediction.avsc").read_text())
fields = [field["name"] for field in whole["fields"]]
rng = random.Random(3)
TEXTS = [None, "", "ctr", 'a"b\\c\n\x01', "größe", "日本", "𝛑" * 3, "x" * 300]
INTEGERS = [0, 1, 63, 64, -64, 127, 128, 2**31 - 1, 2**53 + 1, 2**63 - 1, -(2**63)]


def a_float():
    kind = rng.random()
    if kind < 0.05:
        return float(np.float32(rng.choice([float("nan"), float("inf"), float("-inf"), -0.0, 1e-45])))
    return float(np.float32(rng.random() if kind < 0.6 else rng.uniform(-1e30, 1e30)))


def unless_minus_1(value):
    return None if value == -1 else value


def a_prediction():
    rows, outputs = rng.choice([(1, 1), (1, 1), (1, 3), (0, 1), (4, 2), (100, 10)])
    label, names = rng.choice([-1, 0, 1, 7, 63]), rng.random() < 0.5
    label_text = rng.choice(TEXTS[1:]) if names else None
    value = {
        "slot": rng.choice(TEXTS), "version": rng.choice(TEXTS), "model_sha256": rng.randbytes(8),
        "rows": rows, "scores": rng.choice([None, [a_float() for _ in range(rows * outputs)]]),
        "label": None if rows != 1 or label < 0 else label_text if names else str(label),
        "items": rng.choice([None, [], [{"id": rng.choice(TEXTS), "score": a_float()} for _ in range(rng.randrange(9))]]),
        "event_time": unless_minus_1(rng.choice([-1, 1700000000000, *INTEGERS])),
        "scored_time": unless_minus_1(rng.choice([-1, *INTEGERS])),
        "partition": unless_minus_1(rng.choice([-1, 0, 5, 2**31 - 1])),
        "offset": unless_minus_1(rng.choice([-1, *INTEGERS])),
        "degraded": rng.random() < 0.5, "shadow": rng.random() < 0.5, "canary": rng.random() < 0.5,
        "missing_count": rng.choice([0, 1, 2**31 - 1]),
    }
    items = value["items"]
    line = " ".join(map(str, [
        "P", text(value["slot"]), text(value["version"]), value["model_sha256"].hex(), rows, outputs, label,
        text(label_text), *(-1 if value[key] is None else value[key]
                            for key in ("event_time", "scored_time", "partition", "offset")),
        value["degraded"] + 2 * value["shadow"] + 4 * value["canary"], value["missing_count"],
        listed(None if value["scores"] is None else [f32(score) for score in value["scores"]]),
        listed(None if items is None else [f"{text(item['id'])}:{f32(item['score'])}" for item in items])]))
    return value, line


def plain(schema):
    """Without logical types, so that times stay numbers."""
    return fastavro.parse_schema(json.loads(json.dumps(schema).replace('"logicalType": "timestamp-millis"', '"x": 0')))


def read(schema, body, reader=None):
    stream = io.BytesIO(body)
    value = fastavro.schemaless_reader(stream, schema, reader)
    assert stream.read() == b"", "bytes left over"
    return value


def subsets():
    yield []
    yield fields
    for name in fields:
        yield [name]
    for _ in range(60):
        yield rng.sample(fields, rng.randrange(1, len(fields) + 1))


chosen = list(subsets())
readers = [(names, plain({**whole, "fields": [f for f in whole["fields"] if f["name"] in names]})) for names in chosen[1:]]
checked = pairs = 0
for names in chosen:
    values, lines = zip(*(a_prediction() for _ in range(40)))
    asked = ",".join(names) or "~"
    schema_text, *bodies = run(program, [f"E avro {asked}", *lines])
    json_schema, *texts = run(program, [f"E json {asked}", *lines])
    assert json_schema == schema_text
    schema = json.loads(schema_text)
    kept = [field["name"] for field in schema["fields"]]
    assert kept == [name for name in fields if name in (names or ["version", "model_sha256", "scores"])], kept
    assert all(field in whole["fields"] for field in schema["fields"])
    writer = plain(schema)
    for value, body, line in zip(values, bodies, texts):
        want = {name: value[name] for name in kept}
        assert same(read(writer, unframed(body)), want), (want, body)
        as_json = finite_only({**want, **({"model_sha256": want["model_sha256"].hex()} if "model_sha256" in want else {})})
        got = parse_json(line)
        assert list(got) == kept
        for scores in (got.get("scores"), *([item["score"]] for item in got.get("items") or [])):
            if scores is not None:
                scores[:] = [None if s is None else float(np.float32(s)) for s in scores]
        if got.get("items"):
            got["items"] = [{**i, "score": None if i["score"] is None else float(np.float32(i["score"]))} for i in got["items"]]
        assert same(got, as_json), (got, as_json)
        checked += 1
    for reader_names, reader in rng.sample(readers, 12) + [readers[0]]:
        want = {name: values[0][name] if name in kept else None for name in fields if name in reader_names}
        assert same(read(writer, unframed(bodies[0]), reader), want)
        pairs += 1
print(f"{checked} predictions in {len(chosen)} subsets read back, {pairs} pairs of subsets are compatible")
