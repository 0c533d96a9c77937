"""Fresh random LightGBM models against the library that trained them: margins, transforms and leaves of hostile rows.

    check_lightgbm.py COUNT [SEED]
"""
import logging
import sys
import time

import lightgbm as lgb
import numpy as np

import oracle

OBJECTIVES = ["regression", "regression_sqrt", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma",
              "tweedie", "binary", "multiclass", "multiclassova", "cross_entropy", "cross_entropy_lambda", "lambdarank",
              "rank_xendcg"]


def trees_of(text):
    """[{key: [words]}] of a model's text."""
    trees = []
    for line in text.split("end of trees")[0].split("\n"):
        key, equals, value = line.partition("=")
        if key == "Tree" and equals and value.isdigit():
            trees.append({})
        elif trees and equals:
            trees[-1][key] = value.split()
    return trees


def thresholds_of(trees):
    found = {}
    for tree in trees:
        for f, t, kind in zip(tree.get("split_feature", []), tree.get("threshold", []), tree.get("decision_type", [])):
            if not int(kind) & 1:
                found.setdefault(int(f), []).append(float(t))
    return {f: np.array(sorted(set(t))) for f, t in found.items()}


def leaf_numbers(trees, leaves):
    """The library's leaf ids as numbers in preorder."""
    out = np.empty_like(leaves, dtype=np.uint32)
    for t, tree in enumerate(trees):
        count = int(tree["num_leaves"][0])
        left, right = ([int(n) for n in tree.get(k, [])] for k in ("left_child", "right_child"))
        numbers = oracle.preorder(left.__getitem__, right.__getitem__, 0 if count > 1 else -1, lambda n: n < 0)
        table = np.array([numbers[~leaf] for leaf in range(count)], dtype=np.uint32)
        out[:, t] = table[leaves[:, t].astype(int)]
    return out


def choose(rng, number):
    objective = OBJECTIVES[number % len(OBJECTIVES)]
    boosting = str(rng.choice(["gbdt", "gbdt", "gbdt", "dart", "rf"]))
    params = {"objective": objective, "boosting": boosting, "verbose": -1, "num_threads": 1,
              "seed": int(rng.integers(1 << 30)), "learning_rate": float(rng.choice([0.1, 0.3])),
              "min_data_in_leaf": int(rng.choice([1, 5, 20])), "num_leaves": int(rng.choice([2, 7, 31, 255])),
              "max_depth": int(rng.choice([-1, 1, 4, 16])), "zero_as_missing": bool(rng.random() < 0.25),
              "use_missing": bool(rng.random() < 0.8), "max_cat_to_onehot": int(rng.choice([1, 4, 100])),
              "cat_smooth": 1.0, "min_data_per_group": 5, "min_data_in_bin": 1}
    if objective == "regression_sqrt":
        params.update(objective="regression", reg_sqrt=True)
    if objective in ("binary", "multiclassova"):
        params["sigmoid"] = float(rng.choice([1.0, 0.7, 2.5]))
    if boosting == "rf":
        params.update(bagging_freq=1, bagging_fraction=0.7)
        if objective in ("lambdarank", "rank_xendcg"):
            params["boosting"] = "gbdt"
    if boosting == "dart":
        params.update(drop_rate=0.5, skip_drop=0.1)
    if boosting != "rf" and objective not in ("regression_l1", "mape", "quantile") and rng.random() < 0.25:
        params.update(linear_tree=True, zero_as_missing=False)
    return params


def target(objective, raw, classes):
    unit = 1 / (1 + np.exp(-raw))
    if objective.startswith("multiclass"):
        return np.digitize(raw, np.quantile(raw, np.linspace(0, 1, classes + 1)[1:-1]))
    if objective == "binary":
        return (raw > np.median(raw)).astype(int)
    if objective.startswith("cross_entropy"):
        return unit
    if objective in ("lambdarank", "rank_xendcg"):
        return np.floor(unit * 4).astype(int)
    if objective in ("poisson", "gamma", "tweedie"):
        return np.exp(np.clip(raw, -3, 3)) + 0.01
    return raw * 10


def train(rng, number):
    params = choose(rng, number)
    classes = int(rng.integers(3, 6)) if params["objective"].startswith("multiclass") else 1
    if classes > 1:
        params["num_class"] = classes
    columns, count = int(rng.integers(2, 12)), 1500
    categories = {}
    if rng.random() < 0.5:
        for c in rng.choice(columns, rng.integers(1, min(columns, 3) + 1), replace=False):
            categories[int(c)] = int(rng.choice([3, 5, 40, 70]))
    x = oracle.make_data(rng, count, columns, categories, rng.choice([0, 0.2]))
    y = target(params["objective"], oracle.signal(rng, x), classes)
    names = ["a=b", "Tree=3", "käse", "end", "c.d"] if columns > 5 else []
    data = lgb.Dataset(x, y, categorical_feature=sorted(categories), params=params, free_raw_data=False,
                       feature_name=names + ["n%d" % i for i in range(columns - len(names))] if names else "auto")
    if params["objective"] in ("lambdarank", "rank_xendcg"):
        data.set_group([30] * (count // 30))
    rounds = int(rng.integers(1, 12)) if params["num_leaves"] > 31 else int(rng.integers(1, 40))
    return params, lgb.train(params, data, rounds), x, categories


def check(rng, number):
    params, booster, x, categories = train(rng, number)
    booster.save_model(oracle.path("m.txt"))
    with open(oracle.path("m.txt"), encoding="utf-8") as file:
        trees = trees_of(file.read())
    rows = oracle.hostile_rows(rng, x, thresholds_of(trees), categories)
    margins = booster.predict(rows, raw_score=True, num_threads=1)
    scores = booster.predict(rows, num_threads=1)
    leaves = booster.predict(rows, pred_leaf=True, num_threads=1).reshape(len(rows), -1)
    outputs = margins.reshape(len(rows), -1).shape[1]
    got = oracle.lepton(oracle.path("m.txt"), rows, outputs, len(trees))
    margins = margins.reshape(len(rows), outputs)
    if params["boosting"] == "rf":  # raw_score is the sum, what is transformed the mean
        margins = margins / (len(trees) // outputs)
    with np.errstate(over="ignore"):
        finite = np.abs(margins) < 3e38  # a linear leaf of 1e300 is no float
        margins[~finite] = margins[~finite].astype(np.float32)
    wrong = [oracle.compare("margins", got[0], margins, oracle.MARGIN_RTOL * np.abs(margins), rows)]
    scores = scores.reshape(len(rows), outputs)
    with np.errstate(over="ignore", invalid="ignore"):
        scores = np.where(np.abs(scores) < 3.4e38, scores, scores.astype(np.float32))
        tolerance = 2e-6 * np.abs(scores) * (1 + np.abs(margins) * params.get("sigmoid", 1)) + 1e-37
    tolerance[~np.isfinite(tolerance)] = 0
    if np.isfinite(scores).all():
        wrong.append(oracle.compare("scores", got[1], scores, tolerance, rows))
    wrong.append(oracle.compare_leaves(got[2], leaf_numbers(trees, leaves)))
    return ["%d %s: %s" % (number, params, w) for w in wrong if w], int((got[0] == margins.astype(np.float32)).sum()), \
        margins.size


def main():
    count = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    print("LightGBM %s, %d models of seed %d" % (lgb.__version__, count, seed), flush=True)
    silent = logging.getLogger("lightgbm")
    silent.setLevel(logging.CRITICAL)
    lgb.register_logger(silent)
    begin, failures, exact, total = time.time(), [], 0, 0
    for number in range(count):
        found, same, size = check(np.random.default_rng([seed, number]), number + seed)
        failures += found
        exact += same
        total += size
    print("%d of %d margins are the library's double, rounded" % (exact, total))
    oracle.report(failures, count, time.time() - begin)


main()
