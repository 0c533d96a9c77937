"""Train the four models of the benchmark on synthetic data like HIGGS (28 features, two classes), export them.

    train.py FOLDER     writes xgb-100x8, xgb-500x6, lgb-100x255, lgb-500x63 (.json/.txt and .flat), rows.bin

.flat is what bench_trees reads: the arrays of struct lp_trees, little-endian, each behind its length as u64.
"""
import json
import pathlib
import sys

import lightgbm
import numpy as np
import xgboost

FEATURES, TRAIN_ROWS, TEST_ROWS = 28, 40_000, 8192


def make_data(seed):
    """Momenta and angles of 21 'measured' columns and 7 'derived' ones, a class that depends on products of them."""
    rng = np.random.default_rng(seed)
    n = TRAIN_ROWS + TEST_ROWS
    measured = np.where(rng.random((n, 21)) < 0.5, rng.normal(size=(n, 21)), rng.gamma(2.0, 0.5, size=(n, 21)))
    derived = np.stack([np.sqrt(np.abs(measured[:, i] * measured[:, i + 7] + measured[:, i + 14] ** 2)) for i in range(7)], 1)
    x = np.concatenate([measured, derived], 1).astype(np.float32)
    z = np.sin(x[:, 0] * x[:, 21]) + x[:, 22] * x[:, 3] - x[:, 24] + 0.6 * x[:, 5] * x[:, 9] - np.cos(x[:, 25] * 2)
    y = (z + rng.normal(scale=1.0, size=n) > np.median(z)).astype(np.float32)
    return x[:TRAIN_ROWS], y[:TRAIN_ROWS], x[TRAIN_ROWS:]


class Flat:
    """One ensemble as flat arrays."""

    def __init__(self, lightgbm_rules, base):
        self.rules, self.base = lightgbm_rules, base
        self.root, self.column, self.threshold, self.left, self.right, self.flags, self.index, self.value = ([] for _ in range(8))

    def write(self, path):
        arrays = [np.array([self.rules, FEATURES], "<u4"), np.array([self.base], "<f8"), np.array(self.root, "<u4"),
                  np.array(self.column, "<i4"), np.array(self.threshold, "<f8"), np.array(self.left, "<u4"),
                  np.array(self.right, "<u4"), np.array(self.flags, "u1"), np.array(self.index, "<u4"),
                  np.array(self.value, "<f8")]
        with open(path, "wb") as file:
            for array in arrays:
                file.write(np.uint64(array.size).tobytes() + array.tobytes())


def flatten_xgboost(path):
    learner = json.loads(path.read_text())["learner"]
    base = float(learner["learner_model_param"]["base_score"].strip("[]"))
    flat = Flat(0, float(np.log(base / (1 - base))))
    for tree in learner["gradient_booster"]["model"]["trees"]:
        first = len(flat.column)
        flat.root.append(first)
        for i, left in enumerate(tree["left_children"]):
            leaf = left == -1
            flat.column.append(-1 if leaf else tree["split_indices"][i])
            flat.threshold.append(float(np.float32(tree["split_conditions"][i])))
            flat.left.append(0 if leaf else first + left)
            flat.right.append(0 if leaf else first + tree["right_children"][i])
            flat.flags.append(8 | (1 if tree["default_left"][i] else 0))
            flat.index.append(len(flat.value) if leaf else 0)
            if leaf:
                flat.value.append(flat.threshold[-1])
    return flat


def flatten_lightgbm(path):
    flat = Flat(1, 0.0)
    for block in path.read_text().split("\nTree=")[1:]:
        lines = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        column, left, right, kind = ([int(v) for v in lines[k].split()]
                                     for k in ("split_feature", "left_child", "right_child", "decision_type"))
        threshold, value = ([float(v) for v in lines[k].split()] for k in ("threshold", "leaf_value"))
        first, inner = len(flat.column), len(column)

        def node(child):
            return first + (child if child >= 0 else inner + ~child)

        flat.root.append(first)
        for i in range(inner):
            missing = {0: 0, 1: 4, 2: 8}[kind[i] >> 2 & 3]
            flat.column.append(column[i])
            flat.threshold.append(threshold[i])
            flat.left.append(node(left[i]))
            flat.right.append(node(right[i]))
            flat.flags.append(missing | (1 if kind[i] & 2 else 0))
            flat.index.append(0)
        for leaf in value:
            flat.column.append(-1)
            flat.threshold.append(0.0)
            flat.left.append(0)
            flat.right.append(0)
            flat.flags.append(0)
            flat.index.append(len(flat.value))
            flat.value.append(leaf)
    return flat


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    x, y, test = make_data(28)
    test.tofile(folder / "rows.bin")
    for trees, depth in ((100, 8), (500, 6)):
        path = folder / f"xgb-{trees}x{depth}.json"
        model = xgboost.train({"objective": "binary:logistic", "max_depth": depth, "eta": 0.1, "nthread": 1,
                               "min_child_weight": 0, "base_score": 0.5}, xgboost.DMatrix(x, y), trees)
        model.save_model(path)
        flatten_xgboost(path).write(path.with_suffix(".flat"))
    for trees, leaves in ((100, 255), (500, 63)):
        path = folder / f"lgb-{trees}x{leaves}.txt"
        model = lightgbm.train({"objective": "binary", "num_leaves": leaves, "learning_rate": 0.1, "num_threads": 1,
                                "verbose": -1}, lightgbm.Dataset(x, y), trees)
        model.save_model(path)
        flatten_lightgbm(path).write(path.with_suffix(".flat"))


main()
