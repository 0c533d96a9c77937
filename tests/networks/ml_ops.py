"""Nodes of ai.onnx.ml in every form that scikit-learn's exporters do not write: (rng, op set) -> model, feeds."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

ML = "ai.onnx.ml"
COLUMNS = 4
POSTS = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"]


def graph(nodes, inputs, output, opset, ml=3, constants=()):
    """Inputs {name: (type, shape of a row)}; the output's floats."""
    given = [helper.make_tensor_value_info(n, kind, ["N", *shape]) for n, (kind, shape) in inputs.items()]
    made = helper.make_graph(nodes, "ml", given, [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
                             [numpy_helper.from_array(v, n) for n, v in constants])
    return helper.make_model(made, ir_version=8, opset_imports=[helper.make_opsetid("", opset),
                                                                helper.make_opsetid(ML, ml)])


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, domain=ML, name=op + "_" + outputs[-1], **attributes)


class Trees:
    """Random trees over COLUMNS numbers, with edges that rows hit exactly."""

    def __init__(self, rng, count, depth):
        self.rng, self.edges = rng, []
        self.trees = [self.grow(depth) for _ in range(count)]

    def grow(self, depth):
        if depth == 0 or self.rng.random() < 0.15:
            return None
        edge = np.float32(self.rng.choice([self.rng.normal(), 0.0, np.round(self.rng.normal(), 1)]))
        self.edges.append(float(edge))
        return (int(self.rng.integers(COLUMNS)), float(edge), self.rng.integers(4), bool(self.rng.random() < 0.4),
                self.grow(depth - 1), self.grow(depth - 1))

    def rows(self, r, n):
        x = r.normal(0, 1, (n, COLUMNS)).astype(np.float32)
        if self.edges:
            hit = r.random(x.shape) < 0.3
            x[hit] = r.choice(np.array(self.edges, np.float32), int(hit.sum()))
        x[r.random(x.shape) < 0.1] = np.nan
        return x

    def lists(self):
        """nodes_* attributes, and [(tree, node)] of the leaves."""
        names = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids",
                 "missing_value_tracks_true")
        table, leaves = {n: [] for n in names}, []
        for number, root in enumerate(self.trees):
            waiting, made = [root], 0
            while made < len(waiting):
                split = waiting[made]
                if split is None:
                    row = (number, made, 0, 0.0, "LEAF", 0, 0, 0)
                    leaves.append((number, made))
                else:
                    row = (number, made, split[0], split[1], "BRANCH_" + ["LEQ", "LT", "GTE", "GT"][split[2]],
                           len(waiting), len(waiting) + 1, int(split[3]))
                    waiting += [split[4], split[5]]
                for name, value in zip(names, row):
                    table[name].append(value)
                made += 1
        order = self.rng.permutation(len(table["treeids"])) if self.rng.random() < 0.3 else None
        if order is not None:  # nodes in any order, but that ONNX Runtime wants a tree's root first
            order = sorted(order, key=lambda i: (table["treeids"][i], table["nodeids"][i] != 0))
            table = {n: [v[i] for i in order] for n, v in table.items()}
        return {"nodes_" + n: v for n, v in table.items()}, leaves


def classifier(rng, opset):
    classes = int(rng.choice([2, 2, 3, 5]))
    trees = Trees(rng, int(rng.integers(1, 6)), 4)
    nodes, leaves = trees.lists()
    way = rng.integers(3)
    if way == 0 and classes == 2:  # one score, of class 1
        ids = [0] * len(leaves)
        where = leaves
    elif way == 1 and classes > 2:  # a class a tree
        where, ids = leaves, [t % classes for t, _ in leaves]
    else:  # all classes in each leaf
        where = [leaf for leaf in leaves for _ in range(classes)]
        ids = [c for _ in leaves for c in range(classes)]
    weights = rng.normal(0, 1, len(ids)) if rng.random() < 0.5 else rng.uniform(0, 1, len(ids))
    given = {"class_treeids": [t for t, _ in where], "class_nodeids": [n for _, n in where], "class_ids": ids,
             "class_weights": [float(w) for w in np.float32(weights)], "post_transform": str(rng.choice(POSTS))}
    if rng.random() < 0.5:
        given["classlabels_int64s"] = list(range(classes))
    else:
        given["classlabels_strings"] = ["class %d" % c for c in range(classes)]
    base = 1 if way == 0 and classes == 2 else classes if classes > 2 else 0
    if base and rng.random() < 0.5:
        given["base_values"] = [float(b) for b in np.float32(rng.normal(0, 0.5, base))]
    made = graph([node("TreeEnsembleClassifier", ["X"], ["label", "Y"], **nodes, **given)],
                 {"X": (TensorProto.FLOAT, [COLUMNS])}, "Y", opset)
    return made, lambda r, n: {"X": trees.rows(r, n)}


def regressor(rng, opset):
    targets = int(rng.choice([1, 1, 3]))
    trees = Trees(rng, int(rng.integers(1, 6)), 4)
    nodes, leaves = trees.lists()
    where = [leaf for leaf in leaves for _ in range(targets)]
    given = {"target_treeids": [t for t, _ in where], "target_nodeids": [n for _, n in where],
             "target_ids": [c for _ in leaves for c in range(targets)], "n_targets": targets,
             "target_weights": [float(w) for w in np.float32(rng.normal(0, 1, len(where)))],
             "aggregate_function": str(rng.choice(["SUM", "AVERAGE"])), "post_transform": str(rng.choice(POSTS))}
    if rng.random() < 0.5:
        given["base_values"] = [float(b) for b in np.float32(rng.normal(0, 2, targets))]
    made = graph([node("TreeEnsembleRegressor", ["X"], ["Y"], **nodes, **given)],
                 {"X": (TensorProto.FLOAT, [COLUMNS])}, "Y", opset)
    return made, lambda r, n: {"X": trees.rows(r, n)}


def ensemble(rng, opset):
    """TreeEnsemble of ai.onnx.ml 5."""
    targets = int(rng.choice([1, 2, 4]))
    trees = Trees(rng, int(rng.integers(1, 5)), 4)
    splits, leaves, roots = [], [], []

    def leaf():
        leaves.append((int(rng.integers(targets)), rng.normal()))
        return len(leaves) - 1, 1

    for tree in trees.trees:
        roots.append(len(splits))
        if tree is None:
            at = leaf()
            splits.append([0, 0.0, 0, 0, at, at])
            continue
        waiting = [(tree, None, None)]
        while waiting:
            split, parent, side = waiting.pop()
            if split is None:
                place = leaf()
            else:
                place = len(splits), 0
                splits.append([split[0], split[1], split[2], int(split[3]), None, None])
                waiting += [(split[4], place[0], 4), (split[5], place[0], 5)]
            if parent is not None:
                splits[parent][side] = place
    made = node("TreeEnsemble", ["X"], ["Y"], n_targets=targets, tree_roots=roots,
                aggregate_function=int(rng.choice([0, 1])), post_transform=int(rng.choice([0, 3])),
                nodes_featureids=[s[0] for s in splits],
                nodes_splits=numpy_helper.from_array(np.array([s[1] for s in splits], np.float32)),
                nodes_modes=numpy_helper.from_array(np.array([s[2] for s in splits], np.uint8)),
                nodes_missing_value_tracks_true=[s[3] for s in splits],
                nodes_truenodeids=[s[4][0] for s in splits], nodes_trueleafs=[s[4][1] for s in splits],
                nodes_falsenodeids=[s[5][0] for s in splits], nodes_falseleafs=[s[5][1] for s in splits],
                leaf_targetids=[t for t, _ in leaves],
                leaf_weights=numpy_helper.from_array(np.array([w for _, w in leaves], np.float32)))
    return graph([made], {"X": (TensorProto.FLOAT, [COLUMNS])}, "Y", opset, ml=5), lambda r, n: {"X": trees.rows(r, n)}


def linear(rng, opset):
    """One row of coefficients for two classes, and transforms that scikit-learn does not use."""
    classes = int(rng.choice([1, 3]))
    weights = np.float32(rng.normal(0, 1, classes * COLUMNS))
    made = node("LinearClassifier", ["X"], ["label", "Y"], coefficients=weights.tolist(),
                intercepts=np.float32(rng.normal(0, 1, classes)).tolist(),
                classlabels_ints=list(range(max(classes, 2))),
                post_transform=str(rng.choice(POSTS[:3] if classes > 1 else POSTS)))
    return graph([made], {"X": (TensorProto.FLOAT, [COLUMNS])}, "Y", opset), \
        lambda r, n: {"X": r.normal(0, 1, (n, COLUMNS)).astype(np.float32)}


def encoders(rng, opset):
    """Texts and numbers through LabelEncoder and OneHotEncoder, their defaults met; joined by FeatureVectorizer."""
    words, numbers = ["a", "b", "käse", ""], [3, -2, 7, 0]
    nodes = [
        node("LabelEncoder", ["T"], ["t"], keys_strings=words, default_float=-3.5,
             values_floats=[float(v) for v in np.float32(rng.normal(0, 1, 4))]),
        node("LabelEncoder", ["K"], ["k"], keys_int64s=numbers, values_int64s=[5, 1, 0, 9], default_int64=-7),
        node("OneHotEncoder", ["K"], ["h"], cats_int64s=numbers[:3], zeros=1),
        node("OneHotEncoder", ["T"], ["g"], cats_strings=words, zeros=1),
        node("LabelEncoder", ["X"], ["x"], keys_floats=[0.5, float("nan"), 2.0], values_floats=[1.0, 7.0, -1.0],
             default_float=0.25),
        node("Imputer", ["X"], ["i"], imputed_value_floats=[1.5], replaced_value_float=float("nan")),
        node("Binarizer", ["i"], ["b"], threshold=0.5),
        helper.make_node("Cast", ["k"], ["kf"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["h", "h_shape"], ["hf"]),
        helper.make_node("Reshape", ["g", "g_shape"], ["gf"]),
        node("FeatureVectorizer", ["t", "kf", "hf", "gf", "x", "i", "b"], ["Y"],
             inputdimensions=[1, 1, 3, 4, 2, 2, 2]),
    ]
    inputs = {"T": (TensorProto.STRING, [1]), "K": (TensorProto.INT64, [1]), "X": (TensorProto.FLOAT, [2])}
    shapes = [("h_shape", np.array([-1, 3])), ("g_shape", np.array([-1, 4]))]
    made = graph(nodes, inputs, "Y", opset, ml=int(rng.choice([2, 4])), constants=shapes)

    def feeds(r, n):
        x = r.choice(np.array([0.5, 2.0, -1.0, np.nan, 0.25], np.float32), (n, 2))
        return {"T": r.choice(np.array([*words, "unknown"], object), (n, 1)),
                "K": r.choice(np.array([*numbers, 100]), (n, 1)).astype(np.int64), "X": x}
    return made, feeds


BUILDERS = {"ml classifier": classifier, "ml regressor": regressor, "ml ensemble": ensemble, "ml linear": linear,
            "ml encoders": encoders}
