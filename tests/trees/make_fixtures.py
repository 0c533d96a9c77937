"""The committed models of tests/data/trees: one library version a run, as its save_model writes them, with the library's
own answers beside them (NAME.jsonl: record, margin, score).

    make_fixtures.py OUT xgboost|lightgbm      with the XGBoost or LightGBM that Python finds: PYTHONPATH=FOLDER for an old one
        FOLDER: pip install --no-deps --target FOLDER xgboost==1.7.6 | xgboost-cpu==2.1.4 | lightgbm==3.3.5
"""
import json
import os
import sys

import numpy as np

OUT = sys.argv[1]
LIBRARY = sys.argv[2]


def data(rng, columns=5, count=600):
    x = np.round(rng.normal(0, 2, (count, columns)), 3)
    x[:, 1] = rng.integers(0, 6, count)
    x[rng.random(x.shape) < 0.1] = np.nan
    raw = np.nan_to_num(x[:, 0]) + np.isin(x[:, 1], [1, 4]) * 2 - np.isnan(x[:, 2]) + rng.normal(0, 0.2, count)
    return x, raw


def write(name, names, rows, margins, scores, paths=None):
    margins, scores = (np.asarray(v, dtype=float).reshape(len(rows), -1) for v in (margins, scores))
    with open(os.path.join(OUT, name + ".jsonl"), "w", encoding="utf-8") as file:
        for row, margin, score in zip(rows, margins, scores):
            record = {n: v for n, v in zip(names, row) if not (isinstance(v, float) and np.isnan(v))}
            file.write(json.dumps({"record": record, "margin": margin.tolist(), "score": score.tolist()},
                                  ensure_ascii=False) + "\n")


def xgboost():
    import xgboost as xgb
    version = "xgboost" + ".".join(xgb.__version__.split(".")[:2])
    major = int(xgb.__version__.split(".")[0])
    rng = np.random.default_rng(7)
    x, raw = data(rng)
    names, types = ["age", "colour", "a.b", "x=1", "plain"], ["float", "c", "float", "q", "int"]
    cases = {
        "binary": ({"objective": "binary:logistic", "max_depth": 3}, (raw > 0).astype(float), 8),
        "softprob": ({"objective": "multi:softprob", "num_class": 3, "max_depth": 2, "num_parallel_tree": 2},
                     np.digitize(raw, [-1, 1]).astype(float), 3),
        "dart": ({"objective": "count:poisson", "booster": "dart", "rate_drop": 0.5, "max_depth": 3},
                 np.exp(np.clip(raw, -2, 2)), 6),
        "linear": ({"objective": "reg:squarederror", "booster": "gblinear", "nthread": 1}, raw, 4),
    }
    if major >= 2:
        cases["vector"] = ({"objective": "reg:squarederror", "max_depth": 3, "multi_strategy": "multi_output_tree",
                            "tree_method": "hist"}, np.stack([raw, -raw], 1), 4)
    for name, (params, y, rounds) in cases.items():
        params = dict(params, seed=1, nthread=1, base_score=0.4)
        use = list(range(5)) if name not in ("linear", "vector") else [0, 2, 3, 4]
        if params.get("booster") != "gblinear":
            params.setdefault("tree_method", "hist")
        matrix = xgb.DMatrix(x[:, use], y, feature_names=[names[i] for i in use], feature_types=[types[i] for i in use],
                             enable_categorical=True)
        booster = xgb.train(params, matrix, rounds)
        ending = "json" if name in ("binary", "dart", "vector") else "ubj"
        booster.save_model(os.path.join(OUT, "%s-%s.%s" % (version, name, ending)))
        rows = xgb.DMatrix(x[:40, use], feature_names=matrix.feature_names, feature_types=matrix.feature_types,
                           enable_categorical=True)
        write("%s-%s" % (version, name), matrix.feature_names, x[:40, use].tolist(),
              booster.predict(rows, output_margin=True), booster.predict(rows))
    if major >= 3:
        import pandas as pd
        frame = pd.DataFrame({"amount": x[:, 0], "colour": pd.Categorical(np.array(["red", "green", "blue, dark", "x", "y",
                                                                           "z"])[np.nan_to_num(x[:, 1]).astype(int)]),
                              "size": pd.Categorical(np.array([36, 38, 40, 42, 44, 46])[np.nan_to_num(x[:, 1], nan=2).astype(int)])})
        booster = xgb.train({"objective": "binary:logistic", "max_depth": 4, "seed": 1, "max_cat_to_onehot": 2},
                            xgb.DMatrix(frame, (raw > 0).astype(float), enable_categorical=True), 5)
        booster.save_model(os.path.join(OUT, version + "-names.ubj"))
        rows = frame[:40]
        write(version + "-names", list(frame.columns), [[r[0], str(r[1]), int(r[2])] for r in rows.values.tolist()],
              booster.predict(xgb.DMatrix(rows, enable_categorical=True), output_margin=True),
              booster.predict(xgb.DMatrix(rows, enable_categorical=True)))


def lightgbm():
    import lightgbm as lgb
    version = "lightgbm" + ".".join(lgb.__version__.split(".")[:2])
    rng = np.random.default_rng(8)
    x, raw = data(rng)
    names = ["age", "colour", "a.b", "x=1", "Tree=3"]
    base = {"verbose": -1, "num_leaves": 7, "seed": 1, "num_threads": 1, "min_data_in_leaf": 5, "max_cat_to_onehot": 1,
            "min_data_per_group": 5}
    cases = {
        "binary": (dict(base, objective="binary", sigmoid=2.5), (raw > 0).astype(int), 6),
        "ova": (dict(base, objective="multiclassova", num_class=3), np.digitize(raw, [-1, 1]), 3),
        "sqrt": (dict(base, objective="regression", reg_sqrt=True, zero_as_missing=True), raw * 3, 5),
        "rf": (dict(base, objective="binary", boosting="rf", bagging_freq=1, bagging_fraction=0.6),
               (raw > 0).astype(int), 5),
        "linear": (dict(base, objective="regression", linear_tree=True), raw, 4),
    }
    for name, (params, y, rounds) in cases.items():
        booster = lgb.train(params, lgb.Dataset(x, y, feature_name=names, categorical_feature=[1], params=params), rounds)
        booster.save_model(os.path.join(OUT, "%s-%s.txt" % (version, name)))
        margin = booster.predict(x[:40], raw_score=True)
        write("%s-%s" % (version, name), names, x[:40].tolist(), margin / (rounds if name == "rf" else 1),
              booster.predict(x[:40]))
    if int(lgb.__version__.split(".")[0]) >= 4:
        import pandas as pd
        frame = pd.DataFrame({"amount": x[:, 0], "farbe": pd.Categorical(np.array(["rot", "grün", "blau, tief", "x", "y", "z"])
                                                                 [np.nan_to_num(x[:, 1]).astype(int)]),
                              "size": pd.Categorical(np.array([36, 38, 40, 42, 44, 46])[np.nan_to_num(x[:, 1], nan=2).astype(int)])})
        booster = lgb.train(dict(base, objective="binary"), lgb.Dataset(frame, (raw > 0).astype(int)), 5)
        booster.save_model(os.path.join(OUT, version + "-names.txt"))
        write(version + "-names", list(frame.columns), [[r[0], str(r[1]), int(r[2])] for r in frame[:40].values.tolist()],
              booster.predict(frame[:40], raw_score=True), booster.predict(frame[:40]))


xgboost() if LIBRARY == "xgboost" else lightgbm()
