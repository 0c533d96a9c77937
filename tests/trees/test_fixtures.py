"""The models of tests/data/trees, as XGBoost 1.7 to 3.2 and LightGBM 3.3 to 4.7 wrote them: each is imported with the
answers of the library that wrote it (which `import` verifies) and scored from records by `score`."""
import glob
import json
import os
import sys

import oracle


def close(got, want):
    return len(got) == len(want) and all(abs(g - w) <= 1e-7 + 1e-5 * abs(w) for g, w in zip(got, want))


def check(model):
    name = os.path.splitext(model)[0]
    bundle = oracle.path("f.safetensors")
    oracle.run(oracle.LEPTON, "import", model, "--golden", name + ".jsonl", "-o", bundle)
    with open(name + ".jsonl", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    with open(oracle.path("records.jsonl"), "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line["record"]) + "\n" for line in lines)
    for option, key in (("--json", "score"), ("--raw", "margin")):
        answers = oracle.run(oracle.LEPTON, "score", bundle, oracle.path("records.jsonl"), option).stdout.splitlines()
        assert len(answers) == len(lines), (model, len(answers))
        for line, answer in zip(lines, answers):
            got = json.loads(answer)["scores"]
            assert close(got, line[key]), (model, key, line, got)
    shown = oracle.run(oracle.LEPTON, "inspect", bundle).stdout
    assert ("link" in shown) and ("linear" in model or "trees " in shown), shown
    return len(lines)


models = sorted(m for e in ("json", "ubj", "txt") for m in glob.glob(os.path.join(sys.argv[1], "*." + e)))
assert len(models) >= 25, models
print("%d models, %d records" % (len(models), sum(map(check, models))))
