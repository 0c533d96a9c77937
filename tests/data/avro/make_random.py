#!/usr/bin/env python3
"""Random conformance cases in the format of cases.jsonl: schemas, an evolved reader, data, all leaves wanted.

    venv/bin/python tests/data/avro/make_random.py SEED COUNT > random.jsonl
    LEPTON_AVRO_CASES=random.jsonl build/release/tests/unit_decode_test_avro_conformance

Expected values are fastavro's. The generator keeps to what fastavro gets right: whole numbers that a float holds, defaults
written out in full, unions of types that do not promote into one another.
"""
import json
import random
import sys

import make_cases as cases

WORDS = ["", "a", "grün", "payload", "x" * 20, "日本", "0123456789abcdef"]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = 0

    def name(self, prefix):
        self.names += 1
        return f"{prefix}{self.names}"

    def primitive(self):
        return self.random.choice(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])

    def schema(self, depth):
        kind = self.random.random()
        if depth == 0 or kind < 0.5:
            return self.primitive()
        if kind < 0.56:
            return cases.enum(self.name("E"), *[f"S{i}" for i in range(self.random.randint(1, 5))])
        if kind < 0.6:
            return cases.fixed(self.name("F"), self.random.randint(1, 9))
        if kind < 0.7:
            return cases.arr(self.schema(depth - 1))
        if kind < 0.77:
            return cases.mapof(self.schema(depth - 1))
        if kind < 0.9:
            return self.union(depth)
        return self.record(depth - 1)

    def union(self, depth):
        rest = self.random.choice([[self.random.choice(["int", "long", "float", "double"])], ["string"], ["boolean", "bytes"],
                                   [self.record(depth - 1)], [cases.arr("float")], [cases.enum(self.name("E"), "S0", "S1")]])
        branches = ["null", *rest] if self.random.random() < 0.8 else rest
        self.random.shuffle(branches)
        return branches

    def record(self, depth, fields=None):
        count = fields if fields is not None else self.random.randint(0, 4)
        return cases.rec(*[(self.name("f"), self.schema(depth)) for _ in range(count)], name=self.name("R"))

    def datum(self, schema):
        pick = self.random
        if isinstance(schema, list):
            return self.datum(pick.choice(schema))
        kind = schema["type"] if isinstance(schema, dict) else schema
        if kind == "record":
            return {field["name"]: self.datum(field["type"]) for field in schema["fields"]}
        if kind == "enum":
            return pick.choice(schema["symbols"])
        if kind == "fixed":
            return bytes(pick.choice(b"abcxyz019") for _ in range(schema["size"]))
        if kind == "array":
            return [self.datum(schema["items"]) for _ in range(pick.randint(0, 4))]
        if kind == "map":
            return {pick.choice("kqz") + str(i): self.datum(schema["values"]) for i in range(pick.randint(0, 3))}
        whole = pick.choice([0, 1, -1, 63, -65, 300, -9000, 2**20, -2**23])
        return {"null": None, "boolean": pick.random() < 0.5, "int": whole,
                "long": pick.choice([whole, 2**23 - 1]), "float": whole / 4, "double": pick.choice([whole / 8, 0.5, 1e10]),
                "bytes": pick.choice(WORDS).encode(), "string": pick.choice(WORDS)}[kind]

    # ---- evolution ----

    def evolve(self, schema):
        pick = self.random
        if isinstance(schema, list):
            branches = [self.evolve(branch) for branch in schema] if len(schema) < 3 else list(schema)
            return branches
        if isinstance(schema, str):
            wider = {"int": ["long", "double", "float"], "long": ["double", "float"], "float": ["double"], "string": ["bytes"], "bytes": ["string"]}
            if pick.random() < 0.3 and schema in wider:
                return pick.choice(wider[schema])
            return schema
        schema = dict(schema)
        if schema["type"] in ("array", "map"):
            key = "items" if schema["type"] == "array" else "values"
            schema[key] = self.evolve(schema[key])
        if schema["type"] == "enum":
            schema["symbols"] = pick.sample(schema["symbols"], len(schema["symbols"])) + (["EXTRA"] if pick.random() < 0.3 else [])
        if schema["type"] == "record":
            schema["fields"] = self.evolve_fields(schema["fields"])
        return schema

    def evolve_fields(self, fields):
        pick, out = self.random, []
        for field in fields:
            if pick.random() < 0.1:
                continue
            field = {**field, "type": self.evolve(field["type"])}
            if not isinstance(field["type"], list) and pick.random() < 0.15:
                field["type"] = ["null", field["type"]] if field["type"] != "null" else field["type"]
            if pick.random() < 0.15:
                field["aliases"] = [field["name"]]
                field["name"] = self.name("renamed")
            out.append(field)
        for _ in range(pick.choice([0, 0, 1])):
            kind, value = pick.choice([("int", 7), ("double", 0.5), ("string", "dflt"), ("boolean", True), (["null", "long"], None),
                                       (cases.arr("float"), [1.0, 2.0]), (cases.mapof("int"), {"k0": 3})])
            out.insert(pick.randint(0, len(out)), {"name": self.name("new"), "type": kind, "default": value})
        pick.shuffle(out)
        return out


def leaves(value, path, out):
    """Wants for each leaf of a decoded value, by its Python type."""
    if isinstance(value, dict):
        for key, inner in value.items():
            leaves(inner, f"{path}.{key}" if path else key, out)
    elif isinstance(value, list):
        if value and all(isinstance(item, (int, float)) for item in value):
            out.append(f"{path}:vector:{len(value)}")
        for i, inner in enumerate(value[:3]):
            leaves(inner, f"{path}[{i}]", out)
    elif isinstance(value, (str, bytes)):
        out.append(f"{path}:text")
    elif isinstance(value, (bool, int, float)):
        out.append(path)


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    for i in range(count):
        maker = Maker(seed * 1000003 + i)
        writer = maker.record(3, fields=maker.random.randint(1, 8))
        datum = maker.datum(writer)
        reader = maker.evolve(writer) if maker.random.random() < 0.6 else None
        try:
            body = cases.encode(writer, datum)
            value = cases.decode(body, writer, reader)
        except Exception as problem:  # fastavro's own limits
            print(f"{i}: {type(problem).__name__}: {problem}", file=sys.stderr)
            continue
        wants = []
        leaves(value, "", wants)
        maker.random.shuffle(wants)
        cases.good(f"random {seed} {i}", writer, datum, *wants[:40], reader=reader, body=body)
    for case in cases.CASES:
        print(json.dumps(case))


if __name__ == "__main__":
    main()
