"""lepton score on Avro container files: written by fastavro; the same records as JSON Lines must give the same lines."""

import io
import json
import random
import struct
import unittest
import zlib

import cramjam
import fastavro
import zstandard

import program
from program import lines, run, score, write

# Every type, around the fields that the model wants: what is skipped must be measured right.
SCHEMA = {
    "type": "record", "name": "Click", "namespace": "shop", "fields": [
        {"name": "id", "type": "string"},
        {"name": "junk", "type": {"type": "record", "name": "Junk", "namespace": "other", "fields": [
            {"name": "b", "type": "boolean"}, {"name": "i", "type": "int"}, {"name": "l", "type": "long"},
            {"name": "f", "type": "float"}, {"name": "d", "type": "double"}, {"name": "raw", "type": "bytes"},
            {"name": "sum", "type": {"type": "fixed", "name": "Sum", "size": 5}},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B", "C"]}},
            {"name": "none", "type": "null"},
            {"name": "again", "type": ["null", "Sum", "other.Kind"]},
            {"name": "next", "type": ["null", "Junk"], "default": None},
            {"name": "when", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}},
        {"name": "user", "type": ["null", {"type": "record", "name": "User", "fields": [
            {"name": "age", "type": ["null", "double"]}, {"name": "city", "type": ["null", "string"]}]}]},
        {"name": "tags", "type": {"type": "map", "values": ["null", "long", {"type": "array", "items": "other.Kind"}]}},
        {"name": "item", "type": {"type": "record", "name": "Item", "fields": [
            {"name": "price", "type": ["null", "double"]},
            {"name": "ratings", "type": {"type": "array", "items": ["null", "double"]}}]}},
        {"name": "history", "type": {"type": "array", "items": {"type": "map", "values": "other.Junk"}}},
        {"name": "constant", "type": ["null", "double"]},
        {"name": "colour", "type": ["null", "string"]},
        {"name": "size", "type": ["string", "null"]},
        {"name": "word", "type": ["null", "string"]},
        {"name": "nulls", "type": {"type": "array", "items": "null"}},
        {"name": "vector", "type": ["null", {"type": "array", "items": "double"}]},
    ]}


def junk(rng, depth=0):
    return {"b": rng.random() < 0.5, "i": rng.randint(-2**31, 2**31 - 1), "l": rng.randint(-2**63, 2**63 - 1), "f": 1.5,
            "d": rng.random(), "raw": rng.randbytes(rng.randint(0, 20)), "sum": rng.randbytes(5), "kind": rng.choice("ABC"),
            "none": None, "again": rng.choice([None, b"12345", "C"]),
            "next": junk(rng, depth + 1) if depth < 5 and rng.random() < 0.4 else None, "when": rng.randint(0, 2**40)}


def avro_record(record, rng):
    user, item = record.get("user", {}), record.get("item", {})
    tags = {"k%d" % i: rng.choice([None, 7, ["A", "C"]]) for i in range(rng.randint(0, 4))}
    return {"id": "x" * rng.randint(0, 30), "junk": junk(rng), "tags": tags,
            "user": {"age": user.get("age"), "city": user.get("city")} if user or rng.random() < 0.5 else None,
            "item": {"price": item.get("price"), "ratings": item.get("ratings", [])},
            "history": [{"a": junk(rng)}] * rng.randint(0, 2), "constant": record.get("constant"),
            "colour": record.get("colour"), "size": record.get("size"), "word": record.get("word"),
            "nulls": [None] * rng.randint(0, 100), "vector": record.get("vector")}


def container(records, codec="null", interval=16000, schema=None):
    out = io.BytesIO()
    fastavro.writer(out, schema or SCHEMA, records, codec=codec, sync_interval=interval)
    return out.getvalue()


def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = b""
    while n > 0x7f:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def by_hand(blocks, codec=b"null", schema=b'{"type":"record","name":"R","fields":[{"name":"f0","type":"double"}]}', sync=b"s" * 16):
    meta = {b"avro.schema": schema, b"avro.codec": codec}
    head = b"Obj\x01" + varint(len(meta))
    for key, value in meta.items():
        head += varint(len(key)) + key + varint(len(value)) + value
    head += b"\0" + sync
    for count, data in blocks:
        head += varint(count) + varint(len(data)) + data + sync
    return head


def deflated(data):
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflate.compress(data) + deflate.flush()


def snapped(data):
    return bytes(cramjam.snappy.compress_raw(data)) + struct.pack(">I", zlib.crc32(data))


class Avro(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model, cls.mlp = program.nested(), program.mlp()
        rng = random.Random(4)
        cls.records = cls.model.records(500)
        cls.avro = [avro_record(r, rng) for r in cls.records]
        cls.expected, _ = score(cls.model.path, "-", data=lines(cls.records))

    def test_the_same_records_give_the_same_lines(self):
        for codec in ("null", "deflate", "snappy", "zstandard"):
            for interval in (1, 3000, 10**7):
                content = container(self.avro, codec, interval)
                out, err = score(self.model.path, write("clicks.avro", content))
                self.assertEqual((out, err), (self.expected, ""), (codec, interval))
        self.assertEqual(score(self.model.path, "-", data=content)[0], self.expected)

    def test_an_empty_container_has_no_lines(self):
        self.assertEqual(score(self.model.path, write("none.avro", container([]))), ([], ""))

    def test_a_schema_that_lacks_a_feature_is_refused_by_name(self):
        schema = {"type": "record", "name": "R", "fields": [{"name": "f0", "type": "double"}]}
        _, err = score(self.mlp.path, "-", data=container([{"f0": 1.0}], schema=schema), code=1)
        self.assertIn("f1", err)

    def one_field(self, content, code=0):
        """A model of one feature, f0."""
        manifest = json.loads(json.dumps(self.mlp.manifest))
        graph, tensors = program.bundle.dense_graph([([[1.0]], [0.0])])
        manifest.update(features=[{"name": "f0", "from": "f0", "kind": "number",
                                   "missing": {"policy": "reject"}}], graph=graph, golden={"source": "none"})
        manifest["output"].pop("baseline", None)
        model = program.Model("one.safetensors", manifest, tensors)
        got, out, err = run("score", model.path, "-", data=content)
        self.assertEqual(got, code, err)
        return out.splitlines(), err

    def test_damage_is_named_and_what_came_before_is_answered(self):
        body = struct.pack("<d", 0.5)
        good = by_hand([(2, body * 2), (1, body)])
        self.assertEqual(len(self.one_field(good)[0]), 3)
        cases = [
            (by_hand([(2, body * 2), (2, body)]), 3, "block 2, record 2"),        # fewer bytes than records
            (by_hand([(2, body * 2), (1, body * 2)]), 3, "behind its last record"),
            (by_hand([(2, body * 2), (-1, body)]), 2, "negative number"),
            (by_hand([(2, body * 2), (16 + 65537, body * 2)]), 2, "more records than its bytes"),
            (by_hand([(1 << 40, b"")], schema=b'{"type":"record","name":"R","fields":[{"name":"f0","type":"null"}]}'), 0,
             "more records than its bytes"),
            (good[:-1] + b"x", 2, "sync marker"),
            (good[:-20], 2, "ends early"),
            (by_hand([(2, body * 2)])[:-24] + b"\xff" * 24, 0, None),
            (by_hand([(1, body)], codec=b"bzip2"), 0, "codec bzip2 is not in this release"),
            (by_hand([(1, body)], schema=b"{"), 0, None),
            (by_hand([(1, body)], schema=b""), 0, "no avro.schema"),
            (by_hand([(1, deflated(body)[:-2])], codec=b"deflate"), 0, "damaged"),
            (by_hand([(1, deflated(body) + b"xxxxx")], codec=b"deflate"), 0, "damaged"),
            (by_hand([(1, deflated(bytes(80 << 20)))], codec=b"deflate"), 0, "64 MiB"),
            (by_hand([(1, snapped(body)[:-1] + b"x")], codec=b"snappy"), 0, "checksum"),
            (by_hand([(1, snapped(body)[1:])], codec=b"snappy"), 0, "snappy data is damaged"),
            (by_hand([(1, b"abc")], codec=b"snappy"), 0, "snappy data is damaged"),
            (by_hand([(1, snapped(bytes(80 << 20)))], codec=b"snappy"), 0, "64 MiB"),
            (by_hand([(1, zstandard.compress(body)[:-1])], codec=b"zstandard"), 0, "zstandard data is damaged"),
            (by_hand([(1, zstandard.compress(bytes(80 << 20)))], codec=b"zstandard"), 0, "64 MiB"),
            (by_hand([(1, b"")], codec=b"zstandard"), 0, "zstandard data is damaged"),
            (b"Obj\x01" + varint(1 << 40), 0, "too many entries"),
            (b"Obj\x01" + varint(-(1 << 62)) + varint(1), 0, "too many entries"),
            (b"Obj\x01" + varint(1) + varint(1 << 40), 0, "impossible key"),
            (b"Obj\x01" + b"\xff" * 11, 0, "too wide"),
            (b"Obj\x01", 0, "cut short"),
        ]
        for content, count, text in cases:
            out, err = self.one_field(content, 1)
            self.assertEqual(len(out), count, err)
            self.assertEqual(err.count("\n"), 1, err)
            if text is not None:
                self.assertIn(text, err)
        out, _ = self.one_field(by_hand([(2, body * 2)], codec=b"null"))
        self.assertEqual(len(out), 2)
        self.assertEqual(out, self.one_field(by_hand([(2, deflated(body * 2))], codec=b"deflate"))[0])

    def test_every_prefix_and_flipped_bytes_end_cleanly(self):
        content = container(self.avro[:6], "null", 200)
        rng = random.Random(8)
        tries = [content[:n] for n in range(4, len(content), max(1, len(content) // 40))]
        for _ in range(60):
            damaged = bytearray(content)
            for _ in range(rng.randint(1, 4)):
                damaged[rng.randrange(4, len(damaged))] = rng.randrange(256)
            tries.append(bytes(damaged))
        for data in tries:
            code, out, err = run("score", self.model.path, "-", data=data)
            self.assertIn(code, (0, 1), err)
            self.assertNotIn("Sanitizer", err)
            self.assertEqual(err == "", code == 0 and "error" not in out, err)

    def test_nesting_and_huge_counts_are_bounded(self):
        schema = b'{"type":"record","name":"R","fields":[{"name":"f0","type":"double"},{"name":"n","type":["null","R"]}]}'
        deep = (struct.pack("<d", 1.0) + b"\x02") * 100000 + struct.pack("<d", 1.0) + b"\0"
        out, err = self.one_field(by_hand([(1, deep)], schema=schema), 1)
        self.assertIn("block 1, record 1", err)
        schema = (b'{"type":"record","name":"R","fields":[{"name":"f0","type":"double"},'
                  b'{"name":"n","type":{"type":"array","items":"null"}}]}')
        out, err = self.one_field(by_hand([(1, struct.pack("<d", 1.0) + varint(1 << 60) + b"\0")], schema=schema), 1)
        self.assertIn("block 1, record 1", err)
        own = b'{"type":"record","name":"R","fields":[{"name":"f0","type":"double"},{"name":"n","type":"R"}]}'
        self.one_field(by_hand([(1, deep)], schema=own), 1)


if __name__ == "__main__":
    unittest.main()
