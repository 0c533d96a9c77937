"""fastavro and json read from drift records what went in.

Usage: check_drift_records.py ORACLE_PUBLISH SCHEMAS
"""
import io
import json
import pathlib
import random
import sys

import fastavro

from commands import f64, finite_only, listed, parse_json, run, same, text, unframed

program, schemas = sys.argv[1], pathlib.Path(sys.argv[2])
raw = (schemas / "drift.avsc").read_text().replace('"logicalType": "timestamp-millis"', '"x": 0')
schema = fastavro.parse_schema(json.loads(raw))
rng = random.Random(4)
SEVERITIES = ["ok", "warn", "alert"]


def a_double():
    return rng.choice([0.0, 0.1, 1e-300, 1.7976931348623157e308, float(rng.randrange(10**9)), rng.uniform(-9, 9)])


def a_report():
    bins = rng.choice([1, 2, 10, 11, 300])
    reference = [float(rng.randrange(10**6)) for _ in range(bins)]
    value = {
        "slot": rng.choice(["default", "größe"]), "feature": rng.choice(["$score", "user.age", 'a"b']),
        "replica": "host-1", "version": rng.choice([None, "1.0.0"]), "model_sha256": rng.randbytes(8),
        "window_start": rng.choice([0, 1700000040000]), "window_end": 1700000100000, "n_ref": sum(reference),
        "n_cur": rng.randrange(2**40), "edges": rng.choice([[], [a_double() for _ in range(bins - 1)]]),
        "ref_counts": reference, "counts": [rng.randrange(2**rng.choice([1, 7, 14, 62])) for _ in range(bins)],
        "missing": rng.randrange(2**40), "clipped": rng.randrange(100), "unknown": rng.randrange(100),
        "statistics": [{"name": name, "value": a_double(), "threshold": a_double(), "severity": rng.choice(SEVERITIES)}
                       for name in rng.sample(["psi", "ks", "js", "missing_rate", "clipped_rate"], rng.randrange(6))],
    }
    line = " ".join(map(str, [
        *(text(value[key]) for key in ("slot", "feature", "replica", "version")), value["model_sha256"].hex(),
        *(value[key] for key in ("window_start", "window_end", "n_cur", "missing", "clipped", "unknown")),
        listed([f64(edge) for edge in value["edges"]]), listed([f64(count) for count in reference]),
        listed([str(count) for count in value["counts"]]),
        listed([f"{s['name']}:{f64(s['value'])}:{f64(s['threshold'])}:{SEVERITIES.index(s['severity'])}"
                for s in value["statistics"]])]))
    return value, line


def floats(value, like):
    """JSON writes a whole double without a point."""
    if isinstance(like, float):
        return float(value)
    if isinstance(like, list):
        return [floats(v, l) for v, l in zip(value, like)] if len(value) == len(like) else value
    if isinstance(like, dict):
        return {key: floats(value[key], like[key]) if key in like else value[key] for key in value}
    return value


values, lines = zip(*(a_report() for _ in range(400)))
for value, body in zip(values, run(program, [f"D avro {line}" for line in lines])):
    stream = io.BytesIO(unframed(body))
    got = fastavro.schemaless_reader(stream, schema)
    assert stream.read() == b"" and same(got, value), (got, value)
for value, body in zip(values, run(program, [f"D json {line}" for line in lines])):
    want = finite_only({**value, "model_sha256": value["model_sha256"].hex()})
    got = parse_json(body)
    assert list(got) == list(want) and same(floats(got, want), want), (got, want)
print(f"{len(values)} drift records read back")
