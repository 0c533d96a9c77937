"""Feature records and predictions by the million: numpy writes and reads the Avro bytes, fastavro checks a sample.

The record of the tests: {string id (13 characters), long time, float f0 ... f9}, 65 bytes in Confluent framing.
"""

import io
import json
import os
import struct

import fastavro
import numpy as np

import bundle
import reference

ID_BYTES = 13
FIRST_TIME_MS = 1_700_000_000_000  # all times below encode in six bytes


def schema(features=10, number="float", more=()):
    """The writer's schema of the tests, as a dict; `more` fields follow."""
    fields = [{"name": "id", "type": "string"},
              {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}}]
    fields += [{"name": "f%d" % i, "type": number} for i in range(features)]
    return {"type": "record", "name": "Features", "namespace": "lepton.test", "fields": fields + list(more)}


def confluent_framing(schema_id):
    return struct.pack(">BI", 0, schema_id)


class Records:
    """`count` random records for a model: ids, times and the numbers that its features read."""

    def __init__(self, manifest, count, seed=1, outliers=0.01, first=0):
        rng = np.random.default_rng(seed)
        self.count = count
        self.ids = ["id%011d" % i for i in range(first, first + count)]
        self.times = FIRST_TIME_MS + np.arange(first, first + count, dtype=np.int64)
        columns = []
        for feature in manifest["features"]:
            rule = feature["normalize"]
            column = rng.normal(rule["mean"], rule["std"], count)
            column[rng.random(count) < outliers] *= 100
            columns.append(column.astype(np.float32))
        self.values = np.stack(columns, axis=1)
        self.names = [feature["name"] for feature in manifest["features"]]

    def scores(self, manifest, tensors):
        """What numpy says, [count, outputs]."""
        parts = []
        for begin in range(0, self.count, 100000):
            rows = self.values[begin:begin + 100000].astype(np.float64)
            columns = {name: rows[:, i] for i, name in enumerate(self.names)}
            parts.append(reference.score_columns(manifest, tensors, columns).scores)
        return np.concatenate(parts)

    def encode(self, framing):
        """[bytes]: framing and Avro body of each record."""
        width = self.values.shape[1]
        stride = len(framing) + 1 + ID_BYTES + 6 + 4 * width
        table = np.empty((self.count, stride), dtype=np.uint8)
        table[:, :len(framing)] = np.frombuffer(framing, np.uint8)
        at = len(framing)
        table[:, at] = ID_BYTES * 2
        table[:, at + 1:at + 1 + ID_BYTES] = np.frombuffer("".join(self.ids).encode(), np.uint8).reshape(-1, ID_BYTES)
        at += 1 + ID_BYTES
        zigzag = self.times * 2
        for byte in range(6):
            table[:, at + byte] = ((zigzag >> (7 * byte)) & 0x7F) | (0x80 if byte < 5 else 0)
        table[:, at + 6:] = self.values.astype("<f4").view(np.uint8).reshape(self.count, 4 * width)
        blob = table.tobytes()
        encoded = [blob[i:i + stride] for i in range(0, len(blob), stride)]
        self._check(encoded, framing)
        return encoded

    def _check(self, encoded, framing):
        parsed = fastavro.parse_schema(schema(self.values.shape[1]))
        for index in range(0, self.count, max(1, self.count // 50)):
            expected = io.BytesIO()
            fastavro.schemaless_writer(expected, parsed, self.dicts([index])[0])
            assert encoded[index] == framing + expected.getvalue(), "the vectorised writer and fastavro differ"

    def dicts(self, indexes=None):
        """Records as dicts with Python numbers."""
        indexes = range(self.count) if indexes is None else indexes
        return [{"id": self.ids[i], "time": int(self.times[i]),
                 **{name: float(v) for name, v in zip(self.names, self.values[i])}} for i in indexes]

    def json(self):
        return [json.dumps(record).encode() for record in self.dicts()]


def encode_avro(writer_schema, records, framing=b""):
    """[bytes] by fastavro, for whatever schema."""
    parsed = fastavro.parse_schema(writer_schema)
    encoded = []
    for record in records:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed, record)
        encoded.append(framing + out.getvalue())
    return encoded


# --- predictions ------------------------------------------------------------------------------------------------------

class Cursor:
    """Reads one field of every message at a time; `at` is where each message stands in `data`."""

    def __init__(self, values):
        self.data = np.frombuffer(b"".join(values) + bytes(16), np.uint8)
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        self.ends = np.cumsum(lengths)
        self.at = self.ends - lengths

    def byte(self):
        values = self.data[self.at]
        self.at = self.at + 1
        return values

    def long(self):
        result = np.zeros(len(self.at), np.uint64)
        going = np.ones(len(self.at), bool)
        for shift in range(0, 70, 7):
            if not going.any():
                break
            values = self.data[self.at].astype(np.uint64)
            result |= np.where(going, (values & np.uint64(0x7F)) << np.uint64(shift), np.uint64(0))
            self.at = self.at + going
            going &= values >= 0x80
        return (result >> np.uint64(1)).astype(np.int64) ^ -(result & np.uint64(1)).astype(np.int64)

    def text(self):
        lengths = self.long()
        values = np.empty(len(self.at), dtype=object)
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            raw = self.data[self.at[rows][:, None] + np.arange(length)]
            unique, inverse = np.unique(raw, axis=0, return_inverse=True)
            texts = np.array([u.tobytes().decode() for u in unique], dtype=object)
            values[rows] = texts[inverse.reshape(-1)]
        self.at = self.at + lengths
        return values

    def fixed(self, size):
        values = self.data[self.at[:, None] + np.arange(size)]
        self.at = self.at + size
        return values

    def floats(self):
        """array<float> of one length in all messages: [n, length]."""
        counts = self.long()
        assert (counts == counts[0]).all() and counts[0] >= 0, "arrays of several lengths"
        values = self.fixed(4 * int(counts[0])).copy().view("<f4")
        if counts[0]:
            assert (self.byte() == 0).all(), "more than one block"
        return values


READERS = {
    "string": Cursor.text, "int": Cursor.long, "long": Cursor.long,
    "boolean": lambda cursor: cursor.byte() != 0,
}


def _read_field(cursor, kind):
    if isinstance(kind, dict):
        if kind["type"] == "array" and kind["items"] == "float":
            return cursor.floats()
        if kind["type"] == "fixed":
            return cursor.fixed(kind["size"])
        kind = kind["type"]
    return READERS[kind](cursor)


def decode_predictions(values, writer_schema, framing_bytes=5):
    """{field: array} of predictions that all carry the same fields (a field is null in all of them or in none)."""
    cursor = Cursor(values)
    framing = cursor.fixed(framing_bytes)
    assert (framing == framing[:1]).all(), "several writer schemas"
    columns = {}
    for field in writer_schema["fields"]:
        branch = cursor.long()
        assert (branch == branch[0]).all(), "%s is null in some predictions only" % field["name"]
        kind = field["type"][int(branch[0])]
        columns[field["name"]] = None if kind == "null" else _read_field(cursor, kind)
    assert (cursor.at == cursor.ends).all(), "bytes are left after the prediction"
    _check_sample(values, writer_schema, framing_bytes, columns)
    return columns


def _check_sample(values, writer_schema, framing_bytes, columns):
    parsed = fastavro.parse_schema(writer_schema)
    for index in range(0, len(values), max(1, len(values) // 50)):
        record = fastavro.schemaless_reader(io.BytesIO(values[index][framing_bytes:]), parsed)
        if columns.get("scores") is not None:
            assert np.array_equal(np.float32(record["scores"]), columns["scores"][index])
        if columns.get("offset") is not None:
            assert record["offset"] == columns["offset"][index]


def decode_avro(writer_schema, value, framing_bytes=5):
    """One record by fastavro."""
    return fastavro.schemaless_reader(io.BytesIO(value[framing_bytes:]), fastavro.parse_schema(writer_schema))


# --- models -----------------------------------------------------------------------------------------------------------

class Model:
    """A bundle on disk with what numpy needs to score it.

    `edit(features)` changes the features before golden rows are made; `damage` names one of bundle.DAMAGES.
    """

    def __init__(self, folder, version="1", seed=1, sizes=(10, 64, 64, 1), file_name=None, edit=None, damage=None):
        self.manifest, self.tensors = bundle.make_mlp(seed, sizes, "mlp", version)
        if edit:
            edit(self.manifest["features"])
            bundle.finish(self.manifest, self.tensors, seed)
        self.version = version
        self.path = os.path.join(folder, file_name or "mlp-%s.safetensors" % version)
        if damage:
            bundle.write_damaged(self.path, self.manifest, self.tensors, damage)
        else:
            bundle.write_bundle(self.path, self.manifest, self.tensors)
        self.uri = "file://" + self.path
