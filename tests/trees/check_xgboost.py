"""Fresh random XGBoost models against the library that trained them: margins, transforms and leaves of hostile rows.

    check_xgboost.py COUNT [SEED]
"""
import json
import os
import sys
import time

import numpy as np
import xgboost as xgb

import oracle

if os.environ.get("LEPTON_XGBOOST"):  # another one than Python's own
    assert xgb.__version__.startswith(os.environ["LEPTON_XGBOOST"]), xgb.__version__
VERSION = tuple(int(n) for n in xgb.__version__.split(".")[:2])
SINGLE = ["reg:squarederror", "reg:squaredlogerror", "reg:pseudohubererror", "reg:logistic", "binary:logistic",
          "binary:logitraw", "binary:hinge", "count:poisson", "reg:gamma", "reg:tweedie", "survival:cox",
          "survival:aft", "rank:pairwise", "rank:ndcg", "rank:map", "reg:absoluteerror", "reg:quantileerror"]
FLOAT_MAX = float(np.finfo(np.float32).max)


def target(rng, objective, raw, classes):
    unit = 1 / (1 + np.exp(-raw))
    if objective.startswith("multi:"):
        return np.digitize(raw, np.quantile(raw, np.linspace(0, 1, classes + 1)[1:-1])).astype(float)
    if objective.startswith("binary:") or objective == "rank:map":
        return (raw > np.median(raw)).astype(float)
    if objective == "reg:logistic":
        return unit
    if objective.startswith("rank:"):
        return np.floor(unit * 4)
    if objective in ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft",
                     "reg:squaredlogerror"):
        return np.exp(np.clip(raw, -3, 3)) + (0.01 if objective != "count:poisson" else 0)
    return raw * rng.choice([0.01, 1, 1000])


def thresholds_of(model):
    """{feature: float thresholds}, from the JSON by itself."""
    found = {}
    for tree in trees_of(model):
        for f, t, left, kind in zip(tree["split_indices"], tree["split_conditions"], tree["left_children"],
                                    tree["split_type"]):
            if left != -1 and kind == 0:
                found.setdefault(f, []).append(float(np.float32(t)))
    return {f: np.array(sorted(set(t))) for f, t in found.items()}


def trees_of(model):
    booster = model["learner"]["gradient_booster"]
    return booster.get("gbtree", booster)["model"].get("trees", [])


def all_finite(model):
    trees = trees_of(model)
    leaves = [t["split_conditions"][i] for t in trees for i, left in enumerate(t["left_children"]) if left == -1]
    booster = model["learner"]["gradient_booster"]
    return np.isfinite(leaves).all() and np.isfinite(booster["model"].get("weights", [0]) if "model" in booster else 0).all()


def leaf_numbers(model, leaves):
    """The library's leaf ids as numbers in preorder."""
    out = np.empty_like(leaves, dtype=np.uint32)
    for t, tree in enumerate(trees_of(model)[:leaves.shape[1]]):
        left, right = tree["left_children"], tree["right_children"]
        numbers = oracle.preorder(left.__getitem__, right.__getitem__, 0, lambda n, left=left: left[n] == -1)
        table = np.full(len(left), 2 ** 32 - 1, dtype=np.uint32)
        table[list(numbers)] = list(numbers.values())
        out[:, t] = table[leaves[:, t].astype(int)]
    return out


def choose(rng, number):
    """Parameters of one model: each objective has its turn, the rest is chance."""
    pool = SINGLE + ["multi:softprob", "multi:softmax", "multi:softprob"]
    if VERSION < (2, 0):
        pool = [o for o in pool if o != "reg:quantileerror"]
    objective = pool[number % len(pool)]
    booster = rng.choice(["gbtree", "gbtree", "gbtree", "dart", "gblinear"])
    method = rng.choice(["hist", "hist", "approx", "exact"])
    depth = int(rng.integers(1, 17))
    params = {"objective": objective, "booster": str(booster), "tree_method": str(method), "max_depth": depth,
              "eta": float(rng.choice([0.1, 0.3, 1.0])), "seed": int(rng.integers(1 << 30)), "nthread": 1,
              "min_child_weight": float(rng.choice([0.01, 1, 5])), "lambda": float(rng.choice([0, 1]))}
    if booster == "gblinear":
        params = {k: v for k, v in params.items() if k in ("objective", "booster", "eta", "seed", "nthread", "lambda")}
        if objective == "reg:absoluteerror" or objective == "reg:quantileerror":  # trees only, says XGBoost
            params["objective"] = objective = "reg:squarederror"
    else:
        adaptive = objective in ("reg:absoluteerror", "reg:quantileerror")  # no forests, says XGBoost 2
        params["num_parallel_tree"] = 1 if adaptive else int(rng.choice([1, 1, 1, 3]))
        if booster == "dart":
            params.update(rate_drop=0.5, skip_drop=0.1)
        if rng.random() < 0.3:
            params.update(subsample=0.7, colsample_bytree=0.6)
    if objective == "reg:quantileerror":
        params["quantile_alpha"] = [0.1, 0.5, 0.9] if rng.random() < 0.5 else 0.5
    if objective == "survival:aft":
        params["aft_loss_distribution"] = str(rng.choice(["normal", "logistic"]))
    if rng.random() < 0.3:
        params["base_score"] = 0.3
    return params


def train(rng, number):
    params = choose(rng, number)
    objective, trees = params["objective"], params["booster"] != "gblinear"
    classes = int(rng.integers(2, 6)) if objective.startswith("multi:") else 1
    columns, count = int(rng.integers(2, 12)), 1500
    exact = params.get("tree_method") == "exact"
    categories = {}
    if trees and not exact and rng.random() < 0.5:
        for c in rng.choice(columns, rng.integers(1, min(columns, 3) + 1), replace=False):
            categories[int(c)] = int(rng.choice([2, 5, 40, 70]))
        params["max_cat_to_onehot"] = int(rng.choice([1, 4, 100]))
    x = oracle.make_data(rng, count, columns, categories, rng.choice([0, 0.2]))
    raw = oracle.signal(rng, x)
    y = target(rng, objective, raw, classes)
    if classes > 1:
        params["num_class"] = classes
    several = trees and VERSION >= (2, 0) and objective in ("reg:squarederror", "binary:logistic") and \
        rng.random() < 0.7
    if several:
        y = np.stack([y, y[::-1], 1 - y], axis=1)
        vector = params["booster"] == "gbtree" and not exact and not categories and rng.random() < 0.6
        if vector:
            params.update(multi_strategy="multi_output_tree", tree_method="hist")
    types = ["c" if c in categories else "float" for c in range(columns)]
    names = ["a.b", "x=1", "[z]" if VERSION >= (9, 0) else "z", "käse", "with space"]
    data = xgb.DMatrix(x, feature_types=types, enable_categorical=True,
                       feature_names=names + ["n%d" % i for i in range(columns - 5)] if columns > 5 else None)
    data.set_label(y) if objective != "survival:aft" else None
    if objective == "survival:aft":
        data.set_float_info("label_lower_bound", y)
        data.set_float_info("label_upper_bound", np.where(rng.random(count) < 0.3, np.inf, y))
    if objective.startswith("rank:"):
        data.set_group([30] * (count // 30))
    rounds = int(rng.integers(1, 12)) if params.get("max_depth", 1) > 8 else int(rng.integers(1, 40))
    return params, xgb.train(params, data, rounds), x, categories, types, data.feature_names


def predict(booster, params, rows, types, names):
    """margins, predictions, leaves."""
    if params["booster"] == "gblinear":
        data = xgb.DMatrix(rows, feature_types=types, feature_names=names)
        return booster.predict(data, output_margin=True), booster.predict(data), None
    # In place, as that alone takes infinities; for leaves the largest floats stand for them, and for dart, whose sums
    # in place have roundings that those of a matrix have not.
    with np.errstate(over="ignore"):
        single = np.clip(rows.astype(np.float32), -FLOAT_MAX, FLOAT_MAX)
    data = xgb.DMatrix(single, feature_types=types, feature_names=names, enable_categorical=True)
    leaves = booster.predict(data, pred_leaf=True).reshape(len(rows), -1)
    if params["booster"] == "dart":
        return booster.predict(data, output_margin=True), booster.predict(data), leaves
    margins = booster.inplace_predict(rows, predict_type="margin", validate_features=False)
    scores = booster.inplace_predict(rows, predict_type="value", validate_features=False)
    return margins, scores, leaves


def check(rng, number, extension):
    params, booster, x, categories, types, names = train(rng, number)
    booster.save_model(oracle.path("m.json"))
    booster.save_model(oracle.path("m.ubj"))
    with open(oracle.path("m.json"), encoding="utf-8") as file:
        model = json.load(file)
    if not all_finite(model):  # it learned nothing but NaN, and would answer so
        assert "not finite" in oracle.refusal(oracle.path("m." + extension))
        return None
    linear = params["booster"] == "gblinear"
    rows = oracle.hostile_rows(rng, x, thresholds_of(model), categories)
    if linear:
        with np.errstate(over="ignore"):
            big = ~np.isfinite(rows.astype(np.float32)) & ~np.isnan(rows)
        rows[big] = 1.0
        rows[np.abs(rows) > 1e6] = 2.0
        rows[np.abs(rows) < 1e-30] = 0.0
    margins, scores, leaves = predict(booster, params, rows, types, names)
    outputs = int(np.asarray(margins).reshape(len(rows), -1).shape[1])
    tree_count = 0 if linear else len(trees_of(model))
    got = oracle.lepton(oracle.path("m." + extension), np.nan_to_num(rows) if linear else rows, outputs, tree_count, "--all-iterations")
    margins = np.asarray(margins, dtype=np.float64).reshape(len(rows), outputs)
    tolerance = oracle.MARGIN_RTOL * np.abs(margins)
    if linear:  # sums of floats in another order: relative to what is summed
        weights = np.array(model["learner"]["gradient_booster"]["model"]["weights"]).reshape(-1, outputs)
        terms = np.abs(np.nan_to_num(rows)) @ np.abs(weights[:-1]) + np.abs(weights[-1]) + np.abs(margins)
        tolerance = oracle.MARGIN_RTOL * terms
    found = [oracle.compare("margins", got[0], margins, tolerance, rows)]
    exact = int((got[0] == margins).sum())
    if params["objective"] != "multi:softmax" and not linear:  # its prediction is a label
        scores = np.asarray(scores, dtype=np.float64).reshape(len(rows), outputs)
        found.append(oracle.compare("scores", got[1], scores,
                                    2e-6 * np.abs(scores) * (1 + np.abs(margins)) + 1e-37, rows))
    elif not linear:
        found.append(oracle.compare("labels", got[1].argmax(axis=1).reshape(-1, 1), scores, 0, rows))
    if leaves is not None:
        found.append(oracle.compare_leaves(got[2], leaf_numbers(model, leaves)))
    found = [f for f in found if f]
    return ["%d %s %s: %s" % (number, extension, params, f) for f in found], exact, margins.size


def main():
    count = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    print("XGBoost %s, %d models of seed %d" % (xgb.__version__, count, seed), flush=True)
    xgb.set_config(verbosity=0)
    begin, failures, exact, total = time.time(), [], 0, 0
    for number in range(count):
        result, attempt = None, 0
        while result is None:
            rng = np.random.default_rng([seed, number, attempt])
            result, attempt = check(rng, number + seed, "ubj" if number % 2 else "json"), attempt + 1
        found, same, size = result
        failures += found
        exact += same
        total += size
    print("%d of %d margins have the library's very bits" % (exact, total))
    oracle.report(failures, count, time.time() - begin)


main()
