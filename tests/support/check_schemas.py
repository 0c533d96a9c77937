#!/usr/bin/env python3
"""Schemas against their meta-schemas, and the manifests of bundles against schemas/bundle.schema.json.

    python3 tests/support/check_schemas.py [BUNDLE...]     needs jsonschema and fastavro; without names: the committed ones
"""
import glob
import json
import os
import sys

import fastavro
import jsonschema

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bundle  # noqa: E402  (beside this file)

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def check_manifest(validator, path):
    errors = [f"{path}: {e.json_path}: {e.message[:200]}" for e in validator.iter_errors(bundle.read_bundle(path)[0])]
    print("\n".join(errors) or f"{os.path.relpath(path, ROOT)}: fits")
    return not errors


def main():
    for path in sorted(glob.glob(os.path.join(ROOT, "schemas", "*.schema.json"))):
        jsonschema.Draft202012Validator.check_schema(load(path))
    control = load(os.path.join(ROOT, "schemas", "control.schema.json"))
    for example in control["examples"]:
        jsonschema.Draft202012Validator(control).validate(example)
    for path in sorted(glob.glob(os.path.join(ROOT, "schemas", "*.avsc"))):
        fastavro.parse_schema(load(path))
    validator = jsonschema.Draft202012Validator(load(os.path.join(ROOT, "schemas", "bundle.schema.json")))
    paths = sys.argv[1:] or sorted(glob.glob(os.path.join(ROOT, "tests", "data", "bundles", "*.safetensors")) +
                                   glob.glob(os.path.join(ROOT, "src", "demo", "data", "*.safetensors")))
    good = [check_manifest(validator, path) for path in paths]
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
