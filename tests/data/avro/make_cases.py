#!/usr/bin/env python3
"""Writes cases.jsonl: the conformance set of the Avro decoder.

    python3 -m venv venv && venv/bin/pip install fastavro==1.13.1
    venv/bin/python tests/data/avro/make_cases.py > tests/data/avro/cases.jsonl

One case a line: writer's schema, reader's schema or null, wanted fields, a body in hexadecimal, and what must come out: a
value for each want, or an error's stage (schema, plan, run), code and field. Bodies of good cases are written by fastavro
from Python values and expected values are what fastavro reads back through both schemas, except where a case states them by
hand: `expect=` with a note of why (fastavro departs from the specification, or has no notion of the conversion, such as a
number's text). Malformed bodies are written by hand from the binary encoding of the specification. Each case carries the
CRC-64-AVRO fingerprint that fastavro computes of the writer's schema.
"""
import io
import json
import math
import re
import struct
import sys
from decimal import Decimal
from fractions import Fraction

import fastavro
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

CASES = []
NAN = float("nan")


# ---- schemas and bodies ----

def rec(*fields, name="R", **more):
    """rec(("a", "int"), ("b", "string", default("x"), aliases("y")))"""
    out = []
    for field in fields:
        entry = {"name": field[0], "type": field[1]}
        for extra in field[2:]:
            entry.update(extra)
        out.append(entry)
    return {"type": "record", "name": name, "fields": out, **more}


def default(value):
    return {"default": value}


def aliases(*names):
    return {"aliases": list(names)}


def arr(items):
    return {"type": "array", "items": items}


def mapof(values):
    return {"type": "map", "values": values}


def enum(name, *symbols, **more):
    return {"type": "enum", "name": name, "symbols": list(symbols), **more}


def fixed(name, size, **more):
    return {"type": "fixed", "name": name, "size": size, **more}


def logical(of, name, **more):
    return {"type": of, "logicalType": name, **more}


def opt(of):
    return ["null", of]


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while True:
        if value < 0x80:
            out.append(value)
            return bytes(out)
        out.append(value & 0x7F | 0x80)
        value >>= 7


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return varint(len(raw)) + raw


def f32(value):
    return struct.pack("<f", value)


def f64(value):
    return struct.pack("<d", value)


def plain(schema):
    """The schema without the logical types that fastavro would turn into Python objects."""
    if isinstance(schema, list):
        return [plain(item) for item in schema]
    if isinstance(schema, dict):
        return {key: plain(value) if key in ("type", "items", "values", "fields") else value
                for key, value in schema.items()
                if key != "logicalType" or value == "decimal"}
    return schema


def encode(schema, datum):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parse_schema(plain(schema)), datum)
    return out.getvalue()


def decode(body, writer, reader):
    return fastavro.schemaless_reader(io.BytesIO(body), parse_schema(plain(writer)),
                                      parse_schema(plain(reader)) if reader is not None else None)


# ---- wants ----

def want(spec):
    """"path", "path:text", "path:time", "path:vector:3" """
    match = re.fullmatch(r"(.*?)(?::(text|time|vector)(?::(\d+))?)?", spec)
    return {"path": match[1], "type": match[2] or "number", "width": int(match[3] or 1)}


def walk(value, path):
    for step in re.findall(r"\[(\d+)\]|((?:[^.\[\\]|\\.)+)", path):
        if value is None:
            return None
        if step[0]:
            value = value[int(step[0])] if isinstance(value, list) and int(step[0]) < len(value) else None
        else:
            value = value.get(re.sub(r"\\(.)", r"\1", step[1])) if isinstance(value, dict) else None
    return value


def number(value):
    return NAN if value is None else float(value)


def evaluate(value, wanted):
    found = walk(value, wanted["path"])
    if wanted["type"] == "vector":
        return [NAN] * wanted["width"] if found is None else [number(item) for item in found]
    if wanted["type"] == "text":
        return found.decode() if isinstance(found, bytes) else found
    return number(found)


def written(value):
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return repr(float(value))
    if isinstance(value, list):
        return [written(item) for item in value]
    return {"text": value} if isinstance(value, str) or value is None else value


# ---- cases ----

def add(name, writer, reader, wants, **more):
    assert name not in {case["name"] for case in CASES}, name
    entry = {"name": name, "writer": writer if isinstance(writer, str) and writer.startswith(("{", "[", '"')) else json.dumps(writer)}
    entry["reader"] = None if reader is None else json.dumps(reader)
    try:
        canonical = to_parsing_canonical_form(json.loads(entry["writer"]))
        entry["fingerprint"] = fingerprint(canonical, "CRC-64-AVRO")
    except Exception:  # not a schema
        pass
    if entry["name"] in FINGERPRINTS_BY_HAND:
        entry["fingerprint"] = FINGERPRINTS_BY_HAND[entry["name"]]
    entry["wants"] = [want(spec) for spec in wants]
    entry.update(more)
    CASES.append(entry)


FINGERPRINTS_BY_HAND = {}


def good(name, writer, datum, *wants, reader=None, expect=None, body=None, note=None):
    raw = encode(writer, datum) if body is None else body
    if expect is None:
        value = decode(raw, writer, reader)
        expect = [evaluate(value, want(spec)) for spec in wants]
    more = {"note": note} if note else {}
    add(name, writer, reader, wants, body=raw.hex(), expect=[written(value) for value in expect], **more)


def bad(name, writer, body, code, field, *wants, reader=None, note=None):
    more = {"note": note} if note else {}
    add(name, writer, reader, wants, body=body.hex(), error={"stage": "run", "code": code, "field": field}, **more)


def noplan(name, writer, reader, code, field, *wants, note=None):
    more = {"note": note} if note else {}
    add(name, writer, reader, wants, error={"stage": "plan", "code": code, "field": field}, **more)


def noschema(name, schema, code, note=None):
    more = {"note": note} if note else {}
    add(name, schema if isinstance(schema, str) else json.dumps(schema), None, [],
        error={"stage": "schema", "code": code, "field": ""}, **more)


def to_float(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def int_to_float(value):
    """An integer rounded once to the nearest float, ties to even, without going through a double."""
    exact = Fraction(value)
    near = to_float(float(value))
    bits = struct.unpack("<i", struct.pack("<f", near))[0]
    around = [struct.unpack("<f", struct.pack("<i", bits + step))[0] for step in (-1, 0, 1) if bits + step >= 0 or step == 0]
    return min(around, key=lambda x: (abs(Fraction(x) - exact), struct.unpack("<i", struct.pack("<f", x))[0] & 1))


def primitives():
    for value in (0, 1, -1, 63, -64, 64, -65, 8191, 8192, 2**31 - 1, -2**31):
        good(f"int {value}", rec(("a", "int")), {"a": value}, "a")
    for value in (0, -1, 2**31, 2**53 - 1, -2**53, 2**53 + 1, 2**55 - 1, 2**55, -2**55 - 1, 2**62, 2**63 - 1, -2**63):
        good(f"long {value}", rec(("a", "long")), {"a": value}, "a")
    for value in (0.0, -0.0, 1.5, -3.4028234663852886e38, 1e-45, math.inf, -math.inf, NAN):
        good(f"float {value!r}", rec(("a", "float")), {"a": value}, "a")
    for value in (0.0, 0.1, 5e-324, 1.7976931348623157e308, -math.inf, NAN):
        good(f"double {value!r}", rec(("a", "double")), {"a": value}, "a")
    good("booleans are 0 and 1", rec(("a", "boolean"), ("b", "boolean")), {"a": True, "b": False}, "a", "b")
    good("null is missing", rec(("a", "null"), ("b", "int")), {"a": None, "b": 3}, "a", "a:text", "b")
    for value in ("", "a", "seven77", "eight888", "nine99999", "grüße", "日本語テキスト", "\U0001f600", "a\x00b", "x" * 300):
        good(f"string {value[:12]!r}", rec(("a", "string"), ("z", "int")), {"a": value, "z": 1}, "a:text", "z")
    good("bytes as text", rec(("a", "bytes")), {"a": "né".encode()}, "a:text")
    good("fixed as text", rec(("a", fixed("F", 4))), {"a": b"abcd"}, "a:text")
    good("enum as text", rec(("a", enum("E", "RED", "GREEN"))), {"a": "GREEN"}, "a:text")
    note = "fastavro knows no text of numbers: the shortest form that reads back, by hand"
    for kind, value, shown in (("int", -42, "-42"), ("long", 9007199254740993, "9007199254740993"), ("boolean", True, "true"),
                               ("boolean", False, "false"), ("float", 0.1, "0.1"), ("float", -1.5, "-1.5"),
                               ("double", 0.1, "0.1"), ("double", 42.0, "42"), ("double", 1e300, "1e+300"),
                               ("float", 123456792.0, "123456790"), ("double", 1e15, "1000000000000000"),
                               ("float", 2.802596928649634e-45, "3e-45"), ("double", 5e-324, "5e-324"), ("float", math.inf, "inf"), ("double", NAN, "nan"), ("double", 1 / 3, "0.3333333333333333")):
        good(f"{kind} {value!r} as text", rec(("a", kind)), {"a": value}, "a:text", expect=[shown], note=note)
    good("root number", "double", 2.5, "", expect=[2.5], note="the empty path is the datum itself")
    good("root string", "string", "abc", ":text", expect=["abc"])
    good("root array element", arr("int"), [4, 5, 6], "[1]", "[7]", expect=[5.0, NAN])
    good("root vector", arr("float"), [1.0, 2.0], ":vector:2", expect=[[1.0, 2.0]])
    good("root union", ["null", "int"], 7, "", expect=[7.0])
    good("nothing wanted", rec(("a", "int"), ("b", "string")), {"a": 1, "b": "x"})


def structures():
    inner = rec(("x", "float"), ("y", "double"), ("z", "string"), name="Inner")
    nested = rec(("id", "string"), ("in", inner), ("tail", "long"))
    datum = {"id": "k", "in": {"x": 1.25, "y": -2.5, "z": "deep"}, "tail": 99}
    good("nested record", nested, datum, "in.x", "in.y", "in.z:text", "tail", "id:text")
    good("nested record skipped", nested, datum, "tail")
    good("named type used twice", rec(("p", inner), ("q", "Inner")),
         {"p": datum["in"], "q": {"x": 9.0, "y": 8.0, "z": ""}}, "q.x", "p.y", "q.z:text")
    good("array elements", rec(("a", arr("long")), ("b", "int")), {"a": [10, 20, 30], "b": 1}, "a[0]", "a[2]", "a[3]", "b")
    good("paths that sort apart", rec(("a", rec(("x", "int"), ("y", "int"), name="A")), ("a_x", "int"), ("aZ", "int"), ("b", arr("int"))),
         {"a": {"x": 1, "y": 2}, "a_x": 3, "aZ": 4, "b": [5, 6, 7]}, "a.x", "a_x", "b[2]", "aZ", "a.y", "b[02]", "b[0]")
    good("array of records", rec(("a", arr(inner)), ("b", "int")),
         {"a": [datum["in"], {"x": 7.0, "y": 6.0, "z": "two"}], "b": 1}, "a[1].z:text", "a[0].x", "a[1].y", "a[5].x", "b")
    good("array of arrays", rec(("a", arr(arr("int")))), {"a": [[1, 2], [], [3, 4, 5]]}, "a[2][1]", "a[1][0]", "a[0][0]")
    good("map entries", rec(("m", mapof("double")), ("b", "int")), {"m": {"x": 1.5, "y": 2.5}, "b": 4}, "m.y", "m.none", "m.x", "b")
    good("map key with a dot", rec(("m", mapof("string"))), {"m": {"a.b": "dotted", "a": "short"}}, "m.a\\.b:text", "m.a:text")
    good("map of records", rec(("m", mapof(inner))), {"m": {"k": datum["in"]}}, "m.k.x", "m.k.z:text", "m.q.x")
    good("map of arrays", rec(("m", mapof(arr("int")))), {"m": {"k": [1, 2, 3]}}, "m.k[1]", "m.k:vector:3")
    good("empty array and map", rec(("a", arr("int")), ("m", mapof("int")), ("b", "int")), {"a": [], "m": {}, "b": 5}, "a[0]", "m.k", "b")
    for kind, values in (("float", [1.5, -2.0, 3.25]), ("double", [0.1, 0.2, 0.3]), ("int", [1, -2, 3]), ("long", [2**40, 0, -1]),
                         ("boolean", [True, False, True])):
        good(f"vector of {kind}", rec(("v", arr(kind)), ("b", "int")), {"v": values, "b": 1}, "v:vector:3", "b")
    good("vector of nullable floats", rec(("v", arr(opt("float")))), {"v": [1.0, None, 3.0]}, "v:vector:3")
    good("vector of mixed union", rec(("v", arr(["null", "int", "double"]))), {"v": [1, None, 3.5]}, "v:vector:3")
    good("nullable vector that is null", rec(("v", opt(arr("float"))), ("b", "int")), {"v": None, "b": 2}, "v:vector:4", "b")
    good("nullable vector that is there", rec(("v", opt(arr("float")))), {"v": [5.0, 6.0]}, "v:vector:2")
    good("wide vector", rec(("v", arr("float"))), {"v": [i / 8 for i in range(100)]}, "v:vector:100")
    good("vector and one of its elements", rec(("v", arr("double")), ("b", "int")), {"v": [1.0, 2.0], "b": 3}, "v:vector:2", "v[1]", "b")
    good("vector in two blocks", rec(("v", arr("float"))), None, "v:vector:3", expect=[[1.0, 2.0, 3.0]],
         body=varint(2) + f32(1) + f32(2) + varint(1) + f32(3) + varint(0))
    good("vector in a sized block", rec(("v", arr("double"))), None, "v:vector:2", expect=[[1.0, 2.0]],
         body=varint(-2) + varint(16) + f64(1) + f64(2) + varint(0))
    good("int vector in sized and plain blocks", rec(("v", arr("int"))), None, "v:vector:3", expect=[[300.0, 1.0, -7.0]],
         body=varint(-1) + varint(2) + varint(300) + varint(2) + varint(1) + varint(-7) + varint(0))
    good("nullable vector items in blocks", rec(("v", arr(opt("int")))), None, "v:vector:2", expect=[[NAN, 5.0]],
         body=varint(-1) + varint(1) + varint(0) + varint(1) + varint(1) + varint(5) + varint(0))
    good("array skipped in sized blocks", rec(("a", arr("string")), ("b", "int")), None, "b", expect=[6.0],
         body=varint(-2) + varint(5) + text("ab") + text("c") + varint(1) + text("") + varint(0) + varint(6))
    good("map in sized blocks", rec(("m", mapof("int"))), None, "m.k", expect=[9.0],
         body=varint(-1) + varint(3) + text("k") + varint(9) + varint(1) + text("z") + varint(1) + varint(0))
    good("map key twice: the last counts", rec(("m", mapof("int"))), None, "m.k", expect=[2.0],
         body=varint(2) + text("k") + varint(1) + text("k") + varint(2) + varint(0), note="as in Java and Python maps")
    good("element across blocks", rec(("a", arr("int"))), None, "a[2]", expect=[30.0],
         body=varint(2) + varint(10) + varint(20) + varint(1) + varint(30) + varint(0))
    good("array of nulls skipped", rec(("a", arr("null")), ("b", "int")), {"a": [None] * 1000, "b": 8}, "b")
    good("array of empty records", rec(("a", arr(rec(name="Void"))), ("b", "int")), {"a": [{}] * 5, "b": 8}, "b")
    good("vector of nulls", rec(("a", arr("null"))), {"a": [None] * 3}, "a:vector:3")
    good("long varint forms are legal", rec(("a", "long"), ("b", "int")), None, "a", "b", expect=[1.0, 2.0],
         body=b"\x82\x80\x80\x00" + b"\x84\x00", note="the specification asks for no shortest form")
    skipped = rec(("a", "string"), ("n", "null"), ("f", fixed("F", 3)), ("e", enum("E", "X", "Y")), ("m", mapof(arr("string"))),
                  ("u", ["null", "string", "double"]), ("t", "boolean"), ("l", arr(rec(("k", "int"), ("v", opt("bytes")), name="KV"))), ("z", "double"))
    good("every type skipped", skipped,
         {"a": "skip", "n": None, "f": b"abc", "e": "Y", "m": {"k": ["a", "b"], "j": []}, "u": 2.5, "t": True,
          "l": [{"k": 1, "v": b"x"}, {"k": 2, "v": None}], "z": 0.5}, "z")
    good("every type skipped, other branches", skipped,
         {"a": "", "n": None, "f": b"\x00\xff\x80", "e": "X", "m": {}, "u": None, "t": False, "l": [], "z": -0.5}, "z")
    linked = rec(("v", "int"), ("next", opt("Node")), name="Node")
    chain = None
    for i in range(20):
        chain = {"v": 20 - i, "next": chain}
    good("linked list skipped", rec(("list", linked), ("b", "int")), {"list": chain, "b": 77}, "b")
    good("linked list followed", linked, chain, "v", "next.v", "next.next.v", "next.next.next.next.v")
    good("linked list followed past its end", linked, {"v": 1, "next": None}, "next.v", "next.next.v")
    tree = rec(("v", "double"), ("kids", arr("Tree")), name="Tree")
    good("tree skipped and entered", tree,
         {"v": 1.0, "kids": [{"v": 2.0, "kids": []}, {"v": 3.0, "kids": [{"v": 4.0, "kids": []}]}]}, "kids[1].kids[0].v", "v", "kids[0].v")
    wide = rec(*[(f"f{i}", kind) for i, kind in enumerate(["float", "double", "boolean", "float", "float", "double", "double", "boolean"] * 4)])
    good("fixed-width run", wide, {f"f{i}": (i % 3 == 0 if i % 8 in (2, 7) else i / 4) for i in range(32)},
         *[f"f{i}" for i in range(32)])
    good("fixed-width run with gaps", wide, {f"f{i}": (i % 3 == 0 if i % 8 in (2, 7) else i / 4) for i in range(32)},
         "f31", "f0", "f3", "f4", "f12", "f6", "f2", "f21", "f29")
    good("many floats in another order", rec(*[(f"f{i}", "float") for i in range(20)]), {f"f{i}": i * 0.5 for i in range(20)},
         *[f"f{i}" for i in (19, 3, 4, 5, 6, 7, 8, 0, 1, 2, 18, 9)])
    good("many nullable longs", rec(*[(f"f{i}", opt("long")) for i in range(12)]),
         {f"f{i}": None if i % 3 == 1 else i * 10**i for i in range(12)}, *[f"f{i}" for i in range(12)])
    good("nullables of each kind", rec(("a", opt("float")), ("b", ["double", "null"]), ("c", opt("int")), ("d", opt("boolean")), ("e", opt("string"))),
         {"a": 1.5, "b": 2.5, "c": -3, "d": True, "e": "x"}, "a", "b", "c", "d", "e:text", "c:text",
         expect=[1.5, 2.5, -3.0, 1.0, "x", "-3"], note="by hand: text of a number")
    good("nullables that are null", rec(("a", opt("float")), ("b", ["double", "null"]), ("c", opt("int")), ("d", opt("boolean")), ("e", opt("string"))),
         {"a": None, "b": None, "c": None, "d": None, "e": None}, "a", "b", "c", "d", "e:text", expect=[NAN] * 4 + [None])
    either = rec(("u", ["null", rec(("x", "int"), ("only1", "double"), name="A"), rec(("y", "string"), ("x", "double"), name="B")]), ("b", "int"))
    good("union of records, first", either, {"u": ("A", {"x": 4, "only1": 0.5}), "b": 1}, "u.x", "u.y:text", "u.only1", "b")
    good("union of records, second", either, {"u": ("B", {"x": 4.5, "y": "why"}), "b": 1}, "u.x", "u.y:text", "u.only1", "b")
    good("union of records, null", either, {"u": None, "b": 1}, "u.x", "u.y:text", "u.only1", "b")
    good("union with parts and without", rec(("u", ["string", rec(("x", "int"), name="A"), mapof("int")])), {"u": {"x": 3}},
         "u.x", note="fastavro picks the record for a dict that fits it")
    good("union of a record and a string, string", rec(("u", ["string", rec(("x", "int"), name="A")])), {"u": "plain"}, "u.x")
    good("number from a union of numbers", rec(("u", ["int", "double", "null"])), {"u": 2.5}, "u")
    good("text from a union of text and number", rec(("u", ["null", "string", "long"])), {"u": 12}, "u:text", expect=["12"], note="by hand: text of a number")
    good("field name that needs no escape", rec(("a_1", "int")), {"a_1": 5}, "a_1")
    good("one field wanted as number and as text", rec(("a", "int"), ("b", "int")), {"a": 5, "b": 6}, "a", "a:text", "b", expect=[5.0, "5", 6.0])
    good("record field also wanted inside a nullable record", rec(("r", opt(rec(("x", opt("double")), ("y", "int"), name="I")))),
         {"r": {"x": 0.25, "y": 3}}, "r.x", "r.y")


def logicals():
    note = "fastavro makes Python dates: the milliseconds are by hand, rounded once from the exact quotient"
    for name, value, per in (("timestamp-millis", 1700000000123, 1), ("timestamp-micros", 1700000000123456, 1000),
                             ("timestamp-nanos", 1700000000123456789, 1000000), ("local-timestamp-millis", -1, 1),
                             ("local-timestamp-micros", -1500, 1000), ("local-timestamp-nanos", -1500000, 1000000)):
        good(f"{name} as time", rec(("t", logical("long", name))), {"t": value}, "t:time", "t",
             expect=[float(Fraction(value, per)), float(value)], note=note)
    good("date as time", rec(("t", logical("int", "date"))), {"t": 19675}, "t:time", "t", expect=[19675 * 86400000.0, 19675.0], note=note)
    good("date before the epoch", rec(("t", logical("int", "date"))), {"t": -2**31}, "t:time", expect=[-2.0**31 * 86400000], note=note)
    good("plain long as time", rec(("t", "long")), {"t": 1700000000123}, "t:time", expect=[1700000000123.0])
    good("nullable timestamp", rec(("t", opt(logical("long", "timestamp-micros"))), ("u", opt(logical("long", "timestamp-micros")))),
         {"t": 2500, "u": None}, "t:time", "u:time", expect=[2.5, NAN], note=note)
    good("time of day as number", rec(("t", logical("int", "time-millis")), ("u", logical("long", "time-micros"))),
         {"t": 1234, "u": 5678}, "t", "u", expect=[1234.0, 5678.0], note="the stored unit")
    for digits in ("0.00", "12.34", "-12.34", "99999999999999.99", "-0.01", "90071992547409.93", "12345678901234567890.12", "-12345678901234567890.12"):
        schema = rec(("d", logical("bytes", "decimal", precision=40, scale=2)), ("b", "int"))
        good(f"decimal {digits}", schema, {"d": Decimal(digits), "b": 1}, "d", "b")
    for digits in ("1.5", "-1.5", "0.0", "-99999999.9"):
        good(f"fixed decimal {digits}", rec(("d", fixed("D", 5, logicalType="decimal", precision=10, scale=1)), ("b", "int")),
             {"d": Decimal(digits), "b": 1}, "d", "b")
    good("decimal of scale 30", rec(("d", logical("bytes", "decimal", precision=60, scale=30))), {"d": Decimal("1.5E-25")}, "d")
    good("decimal of 16 bytes at its limits", rec(("d", fixed("D", 16, logicalType="decimal", precision=38, scale=0))),
         None, "d", body=b"\x80" + b"\x00" * 15, expect=[-2.0**127], note="two's complement's smallest, by hand")
    good("decimal with sign bytes in front", rec(("d", logical("bytes", "decimal", precision=9, scale=1))), None, "d",
         body=varint(40) + b"\xff" * 38 + b"\xff\xf1", expect=[-1.5], note="by hand: the specification asks for no shortest form")
    good("empty decimal is zero", rec(("d", logical("bytes", "decimal", precision=9, scale=1))), None, "d",
         body=varint(0), expect=[0.0], note="by hand; Java's BigInteger refuses it, fastavro reads 0")
    good("uuid string", rec(("u", logical("string", "uuid"))), {"u": "0b9d1ce0-0000-4000-8000-000000000001"}, "u:text")
    good("uuid of 16 bytes", rec(("u", fixed("U", 16, logicalType="uuid"))), {"u": bytes(range(16))}, "u:text",
         expect=["00010203-0405-0607-0809-0a0b0c0d0e0f"], note="1.12's uuid on fixed, by hand")
    good("logical type that does not fit is ignored", rec(("t", logical("long", "date")), ("d", logical("string", "decimal", precision=4))),
         {"t": 5, "d": "x"}, "t:time", "d:text", expect=[5.0, "x"], note="specification: ignore it and use the underlying type")
    good("unknown logical type is ignored", rec(("t", logical("double", "celsius"))), {"t": 21.5}, "t")
    good("decimal without precision is plain bytes", rec(("d", logical("bytes", "decimal"))), {"d": b"ab"}, "d:text", expect=["ab"],
         note="invalid decimal: ignored", body=text("ab"))
    good("vector of decimals", rec(("v", arr(logical("bytes", "decimal", precision=9, scale=2)))), {"v": [Decimal("1.25"), Decimal("-3.50")]}, "v:vector:2")
    good("writer's micros under a reader's millis", rec(("t", logical("long", "timestamp-micros"))), {"t": 1700000000123456}, "t:time",
         reader=rec(("t", logical("long", "timestamp-millis"))), expect=[float(Fraction(1700000000123456, 1000))],
         note="ours: a time is an instant, and the writer's unit says what was written")
    good("reader's unit where the writer's says none", rec(("t", "long")), {"t": 1500}, "t:time",
         reader=rec(("t", logical("long", "timestamp-micros"))), expect=[1.5], note="by hand")
    good("writer's date under a reader's long", rec(("t", logical("int", "date"))), {"t": 2}, "t:time",
         reader=rec(("t", logical("long", "timestamp-millis"))), expect=[172800000.0], note="by hand, as above")


def promotions():
    note = "fastavro does not round an int to a float when it promotes: the nearest float, by hand"
    for value in (0, 7, -7, 16777217, -16777219, 2147483647):
        good(f"int {value} to float", rec(("a", "int")), {"a": value}, "a", reader=rec(("a", "float")), expect=[int_to_float(value)], note=note)
        good(f"int {value} to long", rec(("a", "int")), {"a": value}, "a", reader=rec(("a", "long")))
        good(f"int {value} to double", rec(("a", "int")), {"a": value}, "a", reader=rec(("a", "double")))
    for value in (0, 2**24 + 1, 2**53 + 1, 2**60 + 2**36 + 1, -(2**63), 2**63 - 1):
        good(f"long {value} to float", rec(("a", "long")), {"a": value}, "a", reader=rec(("a", "float")), expect=[int_to_float(value)], note=note)
        good(f"long {value} to double", rec(("a", "long")), {"a": value}, "a", reader=rec(("a", "double")), expect=[float(value)])
    good("float to double", rec(("a", "float")), {"a": 0.1}, "a", reader=rec(("a", "double")), expect=[to_float(0.1)])
    good("float to double as text", rec(("a", "float")), {"a": 0.1}, "a:text", reader=rec(("a", "double")), expect=["0.10000000149011612"],
         note="by hand: the double's own digits")
    good("int to double as text", rec(("a", "int")), {"a": 5}, "a:text", reader=rec(("a", "double")), expect=["5"], note="by hand")
    good("int to float as text", rec(("a", "int")), {"a": 16777217}, "a:text", reader=rec(("a", "float")), expect=["16777216"], note="by hand")
    good("string to bytes", rec(("a", "string")), {"a": "é"}, "a:text", reader=rec(("a", "bytes")))
    good("bytes to string", rec(("a", "bytes")), {"a": "é".encode()}, "a:text", reader=rec(("a", "string")))
    good("promotion within an array", rec(("v", arr("int"))), {"v": [1, 2]}, "v:vector:2", reader=rec(("v", arr("double"))))
    good("rounding within an array", rec(("v", arr("long"))), {"v": [16777217, 2]}, "v:vector:2", reader=rec(("v", arr("float"))),
         expect=[[16777216.0, 2.0]], note=note)
    good("float array read as doubles", rec(("v", arr("float"))), {"v": [0.5, 2.0]}, "v:vector:2", reader=rec(("v", arr("double"))))
    good("promotion within a map", rec(("m", mapof("int"))), {"m": {"k": 5}}, "m.k", reader=rec(("m", mapof("double"))))
    good("many ints to floats", rec(*[(f"f{i}", "int") for i in range(8)]), {f"f{i}": 16777217 + 2 * i for i in range(8)},
         *[f"f{i}" for i in range(8)], reader=rec(*[(f"f{i}", "float") for i in range(8)]),
         expect=[int_to_float(16777217 + 2 * i) for i in range(8)], note=note)


def records():
    writer = rec(("a", "int"), ("gone", "string"), ("b", "double"))
    datum = {"a": 1, "gone": "x", "b": 2.5}
    good("fields in another order", writer, datum, "a", "b", reader=rec(("b", "double"), ("a", "int")))
    good("reader's new field takes its default", writer, datum, "a", "new", "b", reader=rec(("a", "int"), ("new", "int", default(42)), ("b", "double")))
    good("field alias", writer, datum, "alpha", "b", reader=rec(("alpha", "int", aliases("x", "a")), ("b", "double")))
    good("field alias gives way to the name", rec(("a", "int"), ("b", "int")), {"a": 1, "b": 2}, "a", "z",
         reader=rec(("a", "int"), ("z", "int", aliases("a"), default(9))), expect=[1.0, 9.0], note="by hand: `a` is the reader's own field")
    good("record alias", rec(("a", "int"), name="Old"), {"a": 3}, "a", reader=rec(("a", "int"), name="New", aliases=["Old"]))
    good("record alias with a namespace", rec(("a", "int"), name="Old", namespace="n.s"), {"a": 3}, "a",
         reader=rec(("a", "int"), name="New", namespace="other", aliases=["n.s.Old"]))
    good("names match without their namespaces", rec(("a", "int"), namespace="one"), {"a": 3}, "a", reader=rec(("a", "int"), namespace="two"))
    deep = rec(("in", rec(("x", "int"), name="In")))
    good("default within a nested record", deep, {"in": {"x": 1}}, "in.x", "in.y",
         reader=rec(("in", rec(("x", "int"), ("y", "double", default(0.5)), name="In"))))
    good("nested record by default", rec(("a", "int")), {"a": 1}, "in.x", "in.y", "in.s:text", "a",
         reader=rec(("a", "int"), ("in", rec(("x", "int"), ("y", "double", default(0.5)), ("s", "string", default("dflt")), name="In"), default({"x": 7}))),
         expect=[7.0, 0.5, "dflt", 1.0], note="fastavro hands out the JSON default without the inner defaults")
    good("nested record by empty default", rec(("a", "int")), {"a": 1}, "in.deep.z",
         reader=rec(("a", "int"), ("in", rec(("deep", rec(("z", "long", default(9007199254740993)), name="Deep"), default({})), name="In"), default({}))),
         expect=[9007199254740992.0], note="as above; a double's nearest to 2^53 + 1")
    note = "fastavro hands out JSON defaults unconverted: by hand"
    cases = [("int", 5, "d", 5.0), ("long", 9007199254740993, "d:text", "9007199254740993"), ("float", 0.1, "d", to_float(0.1)),
             ("float", 16777217, "d", 16777216.0), ("double", 0.1, "d", 0.1), ("double", 3, "d", 3.0), ("boolean", True, "d", 1.0),
             ("boolean", False, "d:text", "false"), ("string", "grüße", "d:text", "grüße"), ("bytes", "\u0041\u00c3\u00a9", "d:text", "Aé"),
             (fixed("F", 2), "hi", "d:text", "hi"), (enum("E", "A", "B"), "B", "d:text", "B"), (arr("double"), [1, 2.5], "d:vector:2", [1.0, 2.5]),
             (arr(opt("int")), [], "d[0]", NAN), (mapof("int"), {"k": 4}, "d.k", 4.0), (mapof("int"), {}, "d.k", NAN), ("null", None, "d", NAN),
             (opt("int"), None, "d", NAN), (["int", "null"], 6, "d", 6.0), (["null", "int"], 6, "d", 6.0), (opt(arr("float")), None, "d:vector:3", [NAN] * 3),
             (logical("bytes", "decimal", precision=4, scale=2), "\u0001\u0000", "d", 2.56), (logical("long", "timestamp-micros"), 1500, "d:time", 1.5),
             (logical("int", "date"), 1, "d:time", 86400000.0), (fixed("U", 16, logicalType="uuid"), "".join(map(chr, range(16))), "d:text", "00010203-0405-0607-0809-0a0b0c0d0e0f"),
             (arr(opt("int")), [1, None], "d:vector:2", [1.0, NAN]), ("string", "", "d:text", "")]
    for i, (kind, value, spec, shown) in enumerate(cases):
        name = kind if isinstance(kind, str) else json.dumps(kind)
        good(f"default {i}: {name[:40]} {json.dumps(value)[:20]}", rec(("a", "int")), {"a": 1}, spec, "a",
             reader=rec(("a", "int"), ("d", kind, default(value))), expect=[shown, 1.0], note=note)
    good("default past 64 bits for a double", rec(("a", "int")), {"a": 1}, "d", reader=rec(("a", "int"), ("d", "double", default(10**25))), expect=[1e25], note=note)
    good("default of a removed union member", rec(("a", "int")), {"a": 1}, "d.x", "d.y",
         reader=rec(("a", "int"), ("d", opt(rec(("x", "int"), ("y", "int", default(2)), name="In")), default(None))), expect=[NAN, NAN], note=note)
    good("wanted field only, others cannot resolve", rec(("a", "int"), ("b", "string")), {"a": 1, "b": "x"}, "a",
         reader=rec(("a", "int"), ("b", "int")), expect=[1.0], note="ours: only what is wanted must resolve; the rest is skipped")
    good("nested rename and reorder", rec(("p", rec(("x", "int"), ("y", "int"), name="P")), ("q", "float")), {"p": {"x": 1, "y": 2}, "q": 3.0},
         "q", "point.h", "point.w",
         reader=rec(("q", "double"), ("point", rec(("h", "long", aliases("y")), ("w", "double", aliases("x")), name="Pt", aliases=["P"]), aliases("p"))))


def enums():
    writer = rec(("e", enum("E", "A", "B", "C")), ("b", "int"))
    good("enum by name, not by position", writer, {"e": "B", "b": 1}, "e:text", reader=rec(("e", enum("E", "C", "B", "A")), ("b", "int")))
    good("enum alias", writer, {"e": "C", "b": 1}, "e:text", reader=rec(("e", enum("F", "A", "B", "C", aliases=["E"])), ("b", "int")))
    good("enum's own default for an unknown symbol", writer, {"e": "C", "b": 1}, "e:text", "b",
         reader=rec(("e", enum("E", "A", "UNKNOWN", default="UNKNOWN")), ("b", "int")), expect=["UNKNOWN", 1.0],
         note="by hand: the enum's default, which is not the field's")
    good("the field's default is not the enum's", writer, {"e": "A", "b": 1}, "e:text",
         reader=rec(("e", enum("E", "A", "UNKNOWN", default="UNKNOWN"), default("A")), ("b", "int")))
    good("symbol that both have, others missing", writer, {"e": "A", "b": 1}, "e:text", reader=rec(("e", enum("E", "A")), ("b", "int")))
    good("nullable enum", rec(("e", opt(enum("E", "A", "B")))), {"e": "B"}, "e:text", reader=rec(("e", opt(enum("E", "B", "A")))))
    bad("unknown symbol without default", writer, varint(2) + varint(1), "invalid", "e", "e:text", reader=rec(("e", enum("E", "A", "B")), ("b", "int")))
    bad("field default does not stand in for a symbol", writer, varint(2) + varint(1), "invalid", "e", "e:text",
        reader=rec(("e", enum("E", "A", "B"), default("A")), ("b", "int")))


def unions():
    good("plain to union", rec(("a", "int")), {"a": 4}, "a", reader=rec(("a", opt("int"))))
    good("plain to union by promotion", rec(("a", "int")), {"a": 4}, "a", reader=rec(("a", opt("double"))))
    good("a reader's union gives the writer's own type first", rec(("a", "int")), {"a": 16777217}, "a", reader=rec(("a", ["null", "float", "int"])),
         note="the specification's first match would be float; fastavro and Java look for the same type first, and so do we")
    good("else the first match in a reader's union", rec(("a", "int")), {"a": 16777217}, "a", reader=rec(("a", ["null", "float", "double"])),
         expect=[16777216.0], note="fastavro does not round")
    good("union read with its own schema keeps an int exact", rec(("a", ["float", "int"])), {"a": 16777217}, "a", "a:text", expect=[16777217.0, "16777217"],
         body=varint(1) + varint(16777217), note="by hand; int after float")
    good("union read with its own schema keeps a long exact", rec(("a", ["null", "double", "long"])), None, "a:text", expect=["9007199254740993"],
         body=varint(2) + varint(9007199254740993), note="by hand: text of a number")
    twins = ["null", rec(("x", "int"), name="X", namespace="one"), rec(("y", "int"), ("x", "double"), name="X", namespace="two")]
    good("records of one plain name in two namespaces", rec(("u", twins)), None, "u.x", "u.y", body=varint(2) + varint(7) + f64(0.5), expect=[0.5, 7.0], note="by hand")
    good("records of one plain name under a reader", rec(("u", twins)), None, "u.x", "u.y", body=varint(2) + varint(7) + f64(0.5),
         reader=rec(("u", list(twins))), expect=[0.5, 7.0], note="by hand: the full name goes first")
    good("union to plain", rec(("a", opt("int"))), {"a": 4}, "a", reader=rec(("a", "int")))
    good("union to plain by promotion", rec(("a", ["int", "float"])), {"a": 4}, "a", reader=rec(("a", "double")))
    good("union to wider union", rec(("a", opt("int"))), {"a": 4}, "a", reader=rec(("a", ["string", "null", "long"])))
    good("union to wider union, null", rec(("a", opt("int"))), {"a": None}, "a", reader=rec(("a", ["string", "null", "long"])))
    good("reordered union", rec(("a", ["null", "int", "string"])), {"a": "5"}, "a:text", reader=rec(("a", ["string", "int", "null"])))
    good("union of records by name", rec(("u", [rec(("x", "int"), name="A"), rec(("x", "double"), name="B")])), {"u": ("B", {"x": 0.5})}, "u.x",
         reader=rec(("u", [rec(("x", "double"), name="B"), rec(("x", "int"), name="A")])))
    good("union to record", rec(("u", opt(rec(("x", "int"), name="A")))), {"u": {"x": 3}}, "u.x", reader=rec(("u", rec(("x", "long"), name="A"))))
    good("record to union with alias", rec(("u", rec(("x", "int"), name="Old"))), {"u": {"x": 3}}, "u.x",
         reader=rec(("u", ["null", rec(("x", "int"), name="New", aliases=["Old"])])))
    good("array of unions to array of plain", rec(("v", arr(["int", "null"]))), {"v": [1, 2]}, "v:vector:2", reader=rec(("v", arr("double"))))
    good("array of plain to array of unions", rec(("v", arr("int"))), {"v": [1, 2]}, "v:vector:2", reader=rec(("v", arr(opt("double")))))
    good("root union to record", ["null", rec(("x", "int"), name="A")], {"x": 6}, "x", reader=rec(("x", "double"), name="A"))
    good("record to root union", rec(("x", "int"), name="A"), {"x": 6}, "x", reader=["null", rec(("x", "double"), name="A")])
    bad("null where the reader has none", rec(("a", opt("int"))), varint(0), "invalid", "a", "a", reader=rec(("a", "int")))
    bad("branch that the reader's union lacks", rec(("a", ["null", "string", "int"])), varint(1) + text("x"), "invalid", "a", "a", reader=rec(("a", opt("int"))))
    bad("string datum where a number is wanted", rec(("a", ["null", "double", "string"])), varint(2) + text("x"), "invalid", "a", "a")
    bad("null item of a plain reader array", rec(("v", arr(["int", "null"]))), varint(2) + varint(0) + varint(4) + varint(1) + varint(0),
        "invalid", "v", "v:vector:2", reader=rec(("v", arr("int"))))


def malformed():
    number = rec(("a", "int"), ("b", "string"), ("c", "long"))
    rest = text("x") + varint(1)
    bad("int beyond 32 bits", number, varint(2**31) + rest, "invalid", "a", "a", note="both reference libraries accept it")
    bad("int below 32 bits", number, varint(-2**31 - 1) + rest, "invalid", "a", "a")
    bad("int of six bytes", number, b"\x80\x80\x80\x80\x80\x00" + rest, "invalid", "a", "a")
    bad("skipped int beyond 32 bits", number, varint(2**31) + rest, "invalid", "a", "c")
    long_of = rec(("a", "long"), ("b", "int"))
    bad("long with a tenth byte above 1", long_of, b"\xff" * 9 + b"\x02" + varint(1), "invalid", "a", "a", note="both reference libraries accept it")
    bad("long of eleven bytes", long_of, b"\x80" * 10 + b"\x00" + varint(1), "invalid", "a", "a")
    bad("long that never ends", long_of, b"\xff" * 40, "invalid", "a", "a")
    bad("skipped long that never ends", long_of, b"\xff" * 40, "invalid", "a", "b")
    bad("boolean 2", rec(("a", "boolean")), b"\x02", "invalid", "a", "a", note="both reference libraries accept it")
    bad("boolean 255 in a run", rec(("x", "float"), ("a", "boolean"), ("y", "float")), f32(1) + b"\xff" + f32(1), "invalid", "a", "x", "a", "y")
    bad("skipped boolean 2 in a run", rec(("x", "float"), ("a", "boolean"), ("y", "float")), f32(1) + b"\x02" + f32(1), "invalid", "a", "x", "y")
    bad("boolean 2 as text", rec(("a", "boolean")), b"\x02", "invalid", "a", "a:text")
    bad("trailing byte", rec(("a", "int")), varint(1) + b"\x00", "invalid", "", "a", note="Avro C accepts it")
    bad("empty body", rec(("a", "int")), b"", "invalid", "a", "a")
    bad("empty body for a run", rec(("a", "float"), ("b", "double")), b"", "invalid", "a", "a", "b")
    bad("body ends in the second float", rec(("a", "float"), ("b", "float"), ("c", "float")), f32(1) + b"\x00\x00", "invalid", "b", "a", "b", "c")
    bad("body ends in the third of mixed fields", rec(("a", "float"), ("b", "double"), ("c", "float")), f32(1) + f64(2) + b"\x00", "invalid", "c", "a", "b", "c")
    bad("body ends in a skipped field", rec(("a", "float"), ("b", fixed("F", 9))), f32(1) + b"\x00", "invalid", "b", "a")
    name = rec(("s", "string"), ("b", "int"))
    bad("negative string length", name, varint(-1) + b"abc", "invalid", "s", "s:text")
    bad("string length past the end", name, varint(100) + b"abc", "invalid", "s", "s:text")
    bad("string length of 2 GiB", name, varint(2**31) + b"abc", "invalid", "s", "s:text", note="Avro C allocates it first")
    bad("string length of 2^62", name, varint(2**62) + b"abc", "invalid", "s", "b")
    bad("string length smallest long", name, varint(-2**63) + b"abc", "invalid", "s", "b")
    for i, raw in enumerate((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"abcdefgh\xfe", b"abcdefghijklmnop\xc3", b"\xf0\x80\x80\x80", b"\xc1\xbf", b"ok\xf5\x80\x80\x80")):
        bad(f"invalid UTF-8 {i}", name, text(raw) + varint(1), "invalid", "s", "s:text")
    bad("bytes that are no text", rec(("s", "bytes")), text(b"\xff\xfe"), "invalid", "s", "s:text")
    bad("fixed that is no text", rec(("s", fixed("F", 2))), b"\xff\xfe", "invalid", "s", "s:text")
    good("invalid UTF-8 in a skipped string is let by", name, None, "b", body=text(b"\xff") + varint(1), expect=[1.0], note="only wanted strings are looked at")
    tagged = rec(("u", ["null", "int"]), ("b", "int"))
    bad("union branch 2 of 2", tagged, varint(2) + varint(1), "invalid", "u", "u")
    bad("union branch -1", tagged, varint(-1) + varint(1), "invalid", "u", "u")
    bad("union branch 2^32 + 1", tagged, varint(2**32 + 1) + varint(5) + varint(1), "invalid", "u", "u", note="Java wraps it to branch 1")
    bad("union branch 2^32 + 1 skipped", tagged, varint(2**32 + 1) + varint(5) + varint(1), "invalid", "u", "b")
    bad("union branch never ends", tagged, b"\xff" * 12, "invalid", "u", "u")
    many = rec(*[(f"f{i}", opt("float")) for i in range(4)])
    bad("third of four nullables has a bad branch", many, varint(0) + varint(1) + f32(1) + varint(5) + varint(0), "invalid", "f2", "f0", "f1", "f2", "f3")
    bad("fourth of four nullables is cut short", many, varint(0) + varint(1) + f32(1) + varint(0) + varint(1) + b"\x00", "invalid", "f3", "f0", "f1", "f2", "f3")
    bad("union of nothing", rec(("u", []), ("b", "int")), varint(0) + varint(0), "invalid", "u", "b")
    colour = rec(("e", enum("E", "A", "B")), ("b", "int"))
    bad("enum index 2 of 2", colour, varint(2) + varint(1), "invalid", "e", "e:text")
    bad("enum index -1", colour, varint(-1) + varint(1), "invalid", "e", "e:text")
    bad("skipped enum index 2 of 2", colour, varint(2) + varint(1), "invalid", "e", "b")
    bad("enum index 2^33", colour, varint(2**33) + varint(1), "invalid", "e", "e:text")
    vector = rec(("v", arr("float")), ("b", "int"))
    bad("vector too short", vector, varint(2) + f32(1) + f32(2) + varint(0) + varint(1), "invalid", "v", "v:vector:3")
    bad("vector too long", vector, varint(4) + f32(1) * 4 + varint(0) + varint(1), "invalid", "v", "v:vector:3")
    bad("vector too long over two blocks", vector, varint(2) + f32(1) * 2 + varint(2) + f32(1) * 2 + varint(0) + varint(1), "invalid", "v", "v:vector:3")
    bad("empty vector", vector, varint(0) + varint(1), "invalid", "v", "v:vector:3")
    bad("nullable items too long", rec(("v", arr(opt("int")))), varint(2) + varint(0) + varint(0) + varint(0), "invalid", "v", "v:vector:1")
    bad("nullable items too short", rec(("v", arr(opt("int")))), varint(2) + varint(0) + varint(0) + varint(0), "invalid", "v", "v:vector:3")
    bad("vector cut short", vector, varint(3) + f32(1) + f32(2), "invalid", "v", "v:vector:3")
    bad("block size too small", vector, varint(-2) + varint(7) + f32(1) * 2 + varint(0) + varint(1), "invalid", "v", "v:vector:2")
    bad("block size too large", vector, varint(-2) + varint(9) + f32(1) * 2 + varint(0) + varint(1), "invalid", "v", "v:vector:2")
    bad("block size past the end", vector, varint(-2) + varint(1000) + f32(1) * 2 + varint(0) + varint(1), "invalid", "v", "v:vector:2")
    bad("block size negative", vector, varint(-2) + varint(-8) + f32(1) * 2 + varint(0) + varint(1), "invalid", "v", "v:vector:2")
    bad("block size of a skipped array disagrees", vector, varint(-2) + varint(7) + f32(1) * 2 + varint(0) + varint(1), "invalid", "v", "b")
    bad("block size of a skipped string array disagrees", rec(("a", arr("string")), ("b", "int")), varint(-1) + varint(3) + text("a") + varint(0) + varint(1), "invalid", "a", "b")
    bad("block size of a map disagrees", rec(("m", mapof("int")), ("b", "int")), varint(-1) + varint(4) + text("k") + varint(1) + varint(0) + varint(1), "invalid", "m", "m.k", "b")
    bad("block count smallest long", vector, varint(-2**63) + varint(8), "invalid", "v", "v:vector:2")
    bad("block count smallest long, skipped", rec(("a", arr("string")), ("b", "int")), varint(-2**63) + varint(8), "invalid", "a", "b")
    bad("a billion nulls", rec(("a", arr("null")), ("b", "int")), varint(10**9) + varint(0) + varint(1), "limit", "a", "b", note="few bytes, endless work elsewhere")
    bad("2^40 nulls", rec(("a", arr("null")), ("b", "int")), varint(2**40) + varint(0) + varint(1), "limit", "a", "b")
    bad("2^63 - 1 empty records", rec(("a", arr(rec(name="Void"))), ("b", "int")), varint(2**63 - 1) + varint(0) + varint(1), "limit", "a", "b")
    bad("nulls over many blocks", rec(("a", arr("null")), ("b", "int")), (varint(2**23) * 3) + varint(0) + varint(1), "limit", "a", "b")
    bad("nulls in a sized block of 1 byte", rec(("a", arr("null")), ("b", "int")), varint(-5) + varint(1) + varint(0) + varint(1), "invalid", "a", "b")
    bad("array count past the end", rec(("a", arr("string")), ("b", "int")), varint(1000) + text("a"), "invalid", "a", "b")
    bad("double array count that would overflow", rec(("a", arr("double")), ("b", "int")), varint(2**61) + f64(1), "limit", "a", "b")
    bad("map without its end", rec(("m", mapof("int")), ("b", "int")), varint(1) + text("k") + varint(1), "invalid", "m", "m.k", "b")
    bad("map key length past the end", rec(("m", mapof("int")), ("b", "int")), varint(1) + varint(50) + b"k", "invalid", "m", "m.k", "b")
    nested = rec(("in", rec(("x", "int"), ("s", rec(("deep", "boolean"), ("n", "long"), name="S")), name="In")), ("b", "int"))
    bad("bad field in a skipped record is named", nested, varint(1) + b"\x07" + varint(1) + varint(1), "invalid", "in.s.deep", "b")
    bad("bad field beside a wanted one is named", nested, varint(1) + b"\x01" + b"\xff" * 11, "invalid", "in.s.n", "in.x", "b")
    linked = rec(("list", rec(("v", "int"), ("next", opt("Node")), name="Node")), ("b", "int"))
    bad("linked list of 1,000 skipped", linked, (varint(1) + varint(1)) * 1000 + varint(1) + varint(0) + varint(1), "limit", ("list" + ".next" * 30)[:127], "b",
        note="the field's name is cut at its limit")
    bad("linked list with a bad value", linked, varint(1) + varint(1) + varint(2**40) + varint(0), "invalid", "list.next.v", "b")
    bad("record of itself", rec(("r", "R"), ("b", "int")), varint(1), "limit", ("r" + ".r" * 70)[:127], "b", note="no datum exists; Java accepts the schema")
    bad("decimal of 10,000 digits", rec(("d", logical("bytes", "decimal", precision=9, scale=0))), text(b"\x7f" * 4000), "limit", "d", "d")
    bad("decimal length past the end", rec(("d", logical("bytes", "decimal", precision=9, scale=0))), varint(9) + b"\x01", "invalid", "d", "d")
    bad("timestamp that never ends", rec(("t", logical("long", "timestamp-millis"))), b"\xff" * 12, "invalid", "t", "t:time")
    bad("date beyond 32 bits", rec(("t", logical("int", "date"))), varint(2**31), "invalid", "t", "t:time")


def plans():
    schema = rec(("a", "int"), ("s", "string"), ("e", enum("E", "A")), ("v", arr("string")), ("u", opt("string")), ("m", mapof("int")),
                 ("d", logical("bytes", "decimal", precision=4, scale=1)), ("t", logical("int", "time-millis")), ("f", fixed("F", 3)), ("n", arr("double")))
    noplan("no such field", schema, None, "not_found", "zzz", "a", "zzz")
    noplan("no such nested field", schema, None, "not_found", "a.b", "a.b")
    noplan("index into a map", schema, None, "not_found", "m[1]", "m[1]")
    noplan("name into an array", schema, None, "not_found", "v.x", "v.x")
    noplan("number from a string", schema, None, "mismatch", "s", "s")
    noplan("number from a nullable string", schema, None, "mismatch", "u", "u")
    noplan("number from an enum", schema, None, "mismatch", "e", "e")
    noplan("number from an array", schema, None, "mismatch", "n", "n")
    noplan("number from a map", schema, None, "mismatch", "m", "m")
    noplan("number from a fixed", schema, None, "mismatch", "f", "f")
    noplan("number from a record", rec(("r", rec(("x", "int"), name="In"))), None, "mismatch", "r", "r")
    noplan("text from a decimal", schema, None, "mismatch", "d", "d:text")
    noplan("text from an array", schema, None, "mismatch", "v", "v:text")
    noplan("vector from strings", schema, None, "mismatch", "v", "v:vector:2")
    noplan("vector from a number", schema, None, "mismatch", "a", "a:vector:1")
    noplan("time from an int", schema, None, "mismatch", "a", "a:time")
    noplan("time from a time of day", schema, None, "mismatch", "t", "t:time")
    noplan("time from a string", schema, None, "mismatch", "s", "s:time")
    noplan("vector of no width", schema, None, "invalid", "n", "n:vector:0")
    noplan("candidate list", schema, None, "unsupported", "v[]", "v[]")
    noplan("path ends in a dot", schema, None, "invalid", "a.", "a.")
    noplan("reader's field without a default is missing", rec(("a", "int")), rec(("a", "int"), ("b", "int")), "mismatch", "b", "a", "b")
    noplan("record names differ", rec(("a", "int"), name="X"), rec(("a", "int"), name="Y"), "mismatch", "", "a")
    noplan("string to int", rec(("a", "string")), rec(("a", "int")), "mismatch", "a", "a")
    noplan("long to int", rec(("a", "long")), rec(("a", "int")), "mismatch", "a", "a")
    noplan("double to float", rec(("a", "double")), rec(("a", "float")), "mismatch", "a", "a")
    noplan("boolean to int", rec(("a", "boolean")), rec(("a", "int")), "mismatch", "a", "a")
    noplan("int to string", rec(("a", "int")), rec(("a", "string")), "mismatch", "a", "a:text")
    noplan("enum to string", rec(("a", enum("E", "A"))), rec(("a", "string")), "mismatch", "a", "a:text")
    noplan("fixed sizes differ", rec(("a", fixed("F", 2))), rec(("a", fixed("F", 3))), "mismatch", "a", "a:text")
    noplan("fixed names differ", rec(("a", fixed("F", 2))), rec(("a", fixed("G", 2))), "mismatch", "a", "a:text")
    noplan("enum names differ", rec(("a", enum("E", "A"))), rec(("a", enum("F", "A"))), "mismatch", "a", "a:text")
    noplan("decimal scales differ", rec(("a", logical("bytes", "decimal", precision=4, scale=1))), rec(("a", logical("bytes", "decimal", precision=4, scale=2))), "mismatch", "a", "a")
    noplan("array items do not match", rec(("a", arr("string"))), rec(("a", arr("double"))), "mismatch", "a", "a:vector:2")
    noplan("no branch of the reader's union", rec(("a", "string")), rec(("a", ["null", "int"])), "mismatch", "a", "a")
    noplan("no branch of the writer's union", rec(("a", ["string", "boolean"])), rec(("a", "double")), "mismatch", "a", "a")
    noplan("nested record without default", rec(("in", rec(("x", "int"), name="I"))), rec(("in", rec(("x", "int"), ("y", "int"), name="I"))), "mismatch", "in.y", "in.y")
    for i, (kind, value, spec) in enumerate((("int", 1.5, "d"), ("int", 2**31, "d"), ("int", "1", "d"), ("string", 5, "d:text"), ("boolean", 0, "d"),
                                             ("bytes", "Ā", "d:text"), (fixed("F", 3), "ab", "d:text"), (enum("E", "A"), "B", "d:text"), ("double", None, "d"),
                                             (arr("double"), [1, "x"], "d:vector:2"), (arr("double"), [1], "d:vector:2"), (opt("int"), "x", "d"),
                                             (rec(("x", "int"), name="In"), {}, "d.x"), ("bytes", "ÿ", "d:text"))):
        noplan(f"default {i} that is no value of its type", rec(("a", "int")), rec(("a", "int"), ("d", kind, default(value))), "mismatch", want(spec)["path"], spec)


def schemas():
    noschema("not JSON", '{"type": "record",', "invalid")
    noschema("JSON number", "[5]", "invalid")
    noschema("unknown type", {"type": "record", "name": "R", "fields": [{"name": "a", "type": "strin"}]}, "invalid")
    noschema("used before it is defined", rec(("a", "Later"), ("b", rec(name="Later"))), "invalid")
    noschema("record without a name", {"type": "record", "fields": []}, "invalid")
    noschema("record without fields", {"type": "record", "name": "R"}, "invalid")
    noschema("field without a type", {"type": "record", "name": "R", "fields": [{"name": "a"}]}, "invalid")
    noschema("field without a name", {"type": "record", "name": "R", "fields": [{"type": "int"}]}, "invalid")
    noschema("field twice", rec(("a", "int"), ("a", "long")), "invalid")
    noschema("type defined twice", rec(("a", rec(name="X")), ("b", rec(name="X"))), "invalid")
    noschema("named as a primitive", rec(("a", "int"), name="string"), "invalid")
    noschema("name with a dash", rec(("a", "int"), name="a-b"), "invalid")
    noschema("name that begins with a digit", rec(("1a", "int")), "invalid")
    noschema("empty namespace part", rec(("a", "int"), name="a..b"), "invalid")
    noschema("enum symbol twice", enum("E", "A", "A"), "invalid")
    noschema("enum symbol that is no name", enum("E", "A b"), "invalid")
    noschema("enum default that is no symbol", enum("E", "A", default="B"), "invalid")
    noschema("fixed without a size", {"type": "fixed", "name": "F"}, "invalid")
    noschema("fixed of negative size", fixed("F", -1), "invalid")
    noschema("fixed of a terabyte", fixed("F", 2**40), "limit")
    noschema("union in a union", ["null", ["int", "string"]], "invalid")
    noschema("union with a type twice", ["int", "null", "int"], "invalid")
    noschema("union with two arrays", [arr("int"), arr("string")], "invalid")
    noschema("array without items", {"type": "array"}, "invalid")
    noschema("map without values", {"type": "map"}, "invalid")
    noschema("nested 65 deep", '{"type":"array","items":' * 65 + '"int"' + "}" * 65, "limit")
    noschema("nested 3,000 deep", '{"type":"array","items":' * 3000 + '"int"' + "}" * 3000, "invalid", note="the JSON parser's own limit")
    noschema("name of 2,000 bytes", rec(("a", "int"), name="n" * 2000), "limit")
    good("nested 60 deep", json.loads('{"type":"array","items":' * 60 + '"int"' + "}" * 60), None, body=varint(1) * 60 + varint(5) + varint(0) * 60)
    good("namespaces", rec(("a", rec(("x", "int"), name="In")), ("b", "In"), ("c", "n.s.In"), ("d", rec(("y", "int"), name="other.Out")), ("e", "other.Out"), namespace="n.s"),
         {"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 3}, "d": {"y": 4}, "e": {"y": 5}}, "a.x", "b.x", "c.x", "d.y", "e.y")
    good("namespace in the name", rec(("a", rec(("x", "int"), name="In")), ("b", "p.q.In"), name="p.q.R"), {"a": {"x": 1}, "b": {"x": 2}}, "a.x", "b.x")
    good("primitive in an object", rec(("a", {"type": "int"}), ("b", {"type": "string", "avro.java.string": "String"})), {"a": 1, "b": "x"}, "a", "b:text")
    good("attributes, docs and order are stripped", rec(("a", "int", {"doc": "d", "order": "ignore"}), doc="x", custom=[1]), {"a": 1}, "a")
    good("escapes in the JSON are read", '{"type":"record","name":"\\u0052","fields":[{"name":"\\u0061","type":"int"}]}', None, "a", body=varint(4), expect=[4.0])


def main():
    for group in (primitives, structures, logicals, promotions, records, enums, unions, malformed, plans, schemas):
        group()
    for case in CASES:
        sys.stdout.write(json.dumps(case) + "\n")
    bodies = sum("body" in case for case in CASES)
    print(f"{len(CASES)} cases, {bodies} with bodies", file=sys.stderr)


if __name__ == "__main__":
    main()
