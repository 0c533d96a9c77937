#!/usr/bin/env python3
"""Control records with the verdict of schemas/control.schema.json as the jsonschema package has it -> desired_cases.inc.

    python3 tests/unit/control/make_cases.py      needs jsonschema

Left out, because lepton is stricter than JSON Schema can say: zero characters, names that come twice, URIs whose
characters fit 4,096 and whose bytes do not (test_desired.c has these).
"""
import copy
import importlib.metadata
import json
import os

import jsonschema

HERE = os.path.dirname(os.path.abspath(__file__))
SHA = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
MODEL = {"uri": "file:///models/m.safetensors", "sha256": SHA}
SIGNATURE = "00112233445566ff:" + "Ab+/" * 21 + "AQ=="  # of the right form; nobody's
GOOD = {"format": 1, "generation": 12, "active": MODEL, "previous": MODEL, "paused": False}
CANDIDATE = dict(MODEL, mode="canary", percent=5)
DELETE = object()

# (path, value): one change to GOOD each
CHANGES = [
    ((), None), ((), []), ((), "text"), ((), 1), ((), {}),
    (("format",), DELETE), (("format",), 0), (("format",), 2), (("format",), "1"), (("format",), True),
    (("format",), None), (("format",), 1.0), (("format",), 1.5),
    (("generation",), DELETE), (("generation",), 0), (("generation",), -1), (("generation",), 1),
    (("generation",), 9007199254740991), (("generation",), 9007199254740992), (("generation",), 10 ** 18),
    (("generation",), "12"), (("generation",), None), (("generation",), True), (("generation",), 12.0),
    (("generation",), 12.5), (("generation",), 1e15), (("generation",), [12]),
    (("active",), DELETE), (("active",), None), (("active",), "file:///m"), (("active",), []), (("active",), {}),
    (("active", "uri"), DELETE), (("active", "uri"), ""), (("active", "uri"), None), (("active", "uri"), 5),
    (("active", "uri"), "/models/m"), (("active", "uri"), "ftp://m"), (("active", "uri"), "s3://bucket/m"),
    (("active", "uri"), "File:///m"), (("active", "uri"), " file:///m"), (("active", "uri"), "file:"),
    (("active", "uri"), "file:m"), (("active", "uri"), "http:"), (("active", "uri"), "https://host/m"),
    (("active", "uri"), "httpss://host/m"), (("active", "uri"), "kafka:models/m"), (("active", "uri"), "kafka"),
    (("active", "uri"), "file:///m%20%C3%A4"), (("active", "uri"), "file:///mä"),
    (("active", "uri"), "file:///" + "a" * 4088), (("active", "uri"), "file:///" + "a" * 4089),
    (("active", "sha256"), DELETE), (("active", "sha256"), ""), (("active", "sha256"), None),
    (("active", "sha256"), SHA.upper()), (("active", "sha256"), SHA[:-1]), (("active", "sha256"), SHA + "0"),
    (("active", "sha256"), SHA[:-1] + "g"), (("active", "sha256"), "0" * 64), (("active", "sha256"), SHA[:-1] + " "),
    (("active", "signature"), SIGNATURE), (("previous", "signature"), SIGNATURE), (("signature",), SIGNATURE),
    (("active", "signature"), None), (("active", "signature"), ""), (("active", "signature"), SIGNATURE[1:]),
    (("active", "signature"), SIGNATURE + "="), (("active", "signature"), SIGNATURE.upper()),
    (("active", "signature"), SIGNATURE.replace(":", "-")), (("active", "signature"), SIGNATURE.replace("Q==", "R==")),
    (("active", "signature"), SIGNATURE.replace("+", "-")), (("active", "signature"), SIGNATURE.replace("Q==", "QQ=")),
    (("active", "signature"), SIGNATURE[17:]), (("active", "signature"), " " + SIGNATURE[1:]),
    (("active", "signature"), SIGNATURE[:-3] + "\n=="), (("active", "signature"), {"value": SIGNATURE}),
    (("active", "more"), 1), (("active", "SHA256"), SHA),
    (("previous",), DELETE), (("previous",), None), (("previous",), {}), (("previous",), "file:///m"),
    (("previous", "uri"), "gopher:m"), (("previous", "sha256"), "12"), (("previous", "more"), None),
    (("paused",), DELETE), (("paused",), True), (("paused",), None), (("paused",), 0), (("paused",), "true"),
    (("candidate",), None), (("candidate",), {}), (("candidate",), CANDIDATE), (("candidate",), "canary"),
    (("candidate",), dict(CANDIDATE, mode="blue")), (("candidate",), dict(CANDIDATE, percent=101)),
    (("guards",), {}), (("guards",), None), (("guards",), []), (("guards",), {"max_score_psi": 0.2}),
    (("guards",), {"max_score_psi": 0}), (("guards",), {"nobody": 1}), (("guards",), {"min_rows": 10000}),
    (("activ",), MODEL), (("Paused",), True), (("",), 1), (("lepton",), None),
]


def changed(path, value):
    if not path:
        return value
    record = copy.deepcopy(GOOD)
    holder = record
    for step in path[:-1]:
        holder = holder[step]
    if value is DELETE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return record


def acts_upon(record):
    """Does this release act upon all of a valid record? Not upon candidates and guards."""
    return record.get("candidate") is None and not record.get("guards")


def main():
    version = importlib.metadata.version("jsonschema")
    with open(os.path.join(HERE, "..", "..", "..", "schemas", "control.schema.json")) as file:
        validator = jsonschema.Draft202012Validator(json.load(file))
    with open(os.path.join(HERE, "desired_cases.inc"), "w") as file:
        file.write(f"/* Made by make_cases.py with jsonschema {version}: text, valid by the schema, wholly "
                   f"acted upon by this release. */\n")
        for path, value in [((), GOOD)] + CHANGES:
            record = changed(path, value)
            valid = validator.is_valid(record)
            acted = valid and acts_upon(record)
            text = json.dumps(json.dumps(record, ensure_ascii=False), ensure_ascii=False)
            file.write(f"{{{text}, {str(valid).lower()}, {str(acted).lower()}}},\n")


if __name__ == "__main__":
    main()
