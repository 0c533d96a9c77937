"""scikit-learn's answers, written to tests/data/train/references.json. Run by hand: python make_references.py"""

import json
import os
import warnings

import numpy as np
import sklearn
from sklearn import metrics
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import sets

BINS = 15


def calibration_error(confidence, hit, weight):
    total, error = weight.sum(), 0
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    for b in range(BINS):
        at = which == b
        error += abs((weight[at] * confidence[at]).sum() - (weight[at] * hit[at]).sum())
    return error / total


def sigmoid(z):
    return np.where(z < 0, np.exp(np.minimum(z, 0)), 1) / (1 + np.exp(-np.abs(z)))


def binary_case(rng, rows, ties, weighted, threshold):
    z = rng.normal(size=rows).astype(np.float32) * 3
    if ties:
        z = np.round(z)
    y = (rng.random(rows) < sigmoid(z.astype(float))).astype(int)
    y[:2] = [0, 1]
    w = rng.random(rows).astype(np.float32) + np.float32(0.1) if weighted else np.ones(rows, np.float32)
    p, wd = sigmoid(z.astype(float)), w.astype(float)
    says = p.astype(np.float32) >= np.float32(threshold)
    return {"kind": "binary", "outputs": 1, "margins": z.tolist(), "y": y.tolist(),
            "weight": w.tolist() if weighted else None, "threshold": threshold,
            "want": {"loss": metrics.log_loss(y, p, sample_weight=wd), "log_loss": metrics.log_loss(y, p, sample_weight=wd),
                     "accuracy": metrics.accuracy_score(y, says, sample_weight=wd),
                     "auc": metrics.roc_auc_score(y, z, sample_weight=wd),
                     "f1": metrics.f1_score(y, says, sample_weight=wd),
                     "calibration_error": calibration_error(p, y, wd)}}


def multiclass_case(rng, rows, classes, weighted):
    z = rng.normal(size=(rows, classes)).astype(np.float32) * 2
    e = np.exp(z.astype(float) - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    y = np.array([rng.choice(classes, p=q) for q in p])
    y[:classes] = range(classes)
    w = rng.random(rows).astype(np.float32) + np.float32(0.1) if weighted else np.ones(rows, np.float32)
    wd, says = w.astype(float), z.argmax(1)
    return {"kind": "categorical", "outputs": classes, "margins": z.ravel().tolist(), "y": y.tolist(),
            "weight": w.tolist() if weighted else None, "threshold": 0.5,
            "want": {"loss": metrics.log_loss(y, p, sample_weight=wd), "log_loss": metrics.log_loss(y, p, sample_weight=wd),
                     "accuracy": metrics.accuracy_score(y, says, sample_weight=wd),
                     "f1": metrics.f1_score(y, says, sample_weight=wd, average="macro"),
                     "calibration_error": calibration_error(p.max(1), (says == y).astype(float), wd)}}


def regression_case(rng, rows, weighted):
    y = (rng.normal(size=rows) * 50 + 100).astype(np.float32)
    z = (y + rng.normal(size=rows) * 20).astype(np.float32)
    w = rng.random(rows).astype(np.float32) + np.float32(0.1) if weighted else np.ones(rows, np.float32)
    a, b, wd = y.astype(float), z.astype(float), w.astype(float)
    square = metrics.mean_squared_error(a, b, sample_weight=wd)
    return {"kind": "squared", "outputs": 1, "margins": z.tolist(), "y": y.tolist(),
            "weight": w.tolist() if weighted else None, "threshold": 0.5,
            "want": {"loss": square / 2, "rmse": float(np.sqrt(square)), "r2": metrics.r2_score(a, b, sample_weight=wd),
                     "mae": metrics.mean_absolute_error(a, b, sample_weight=wd)}}


def cases():
    rng = np.random.default_rng(20)
    made = [binary_case(rng, 200, ties, weighted, threshold)
            for ties in (False, True) for weighted in (False, True) for threshold in (0.5, 0.3)]
    made += [multiclass_case(rng, 150, classes, weighted) for classes in (3, 7) for weighted in (False, True)]
    return made + [regression_case(rng, 120, weighted) for weighted in (False, True)]


def result(name, seed):
    header, rows, held = sets.shuffled(name, seed)
    _, label, measure, _ = sets.SETS[name]
    at = header.index(label)
    x = np.array([r[:at] + r[at + 1:] for r in rows], dtype=object)
    y = np.array([r[at] for r in rows], dtype=float)
    if name == "open_bandit":
        scale = ColumnTransformer([("words", OneHotEncoder(handle_unknown="ignore"), list(range(x.shape[1])))])
    else:
        x, scale = x.astype(float), StandardScaler()
    options = {"hidden_layer_sizes": (64, 64), "random_state": seed, "max_iter": 200}
    model = MLPRegressor(**options) if measure == "rmse" else MLPClassifier(**options)
    if measure == "rmse":
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    if measure == "log_loss":  # the strongest of its own: stops by its own validation part
        model.set_params(early_stopping=True)
    model = make_pipeline(scale, model).fit(x[:-held], y[:-held])
    if measure == "log_loss":
        return metrics.log_loss(y[-held:], model.predict_proba(x[-held:]))
    got = model.predict(x[-held:])
    return metrics.accuracy_score(y[-held:], got) if measure == "accuracy" else metrics.root_mean_squared_error(y[-held:], got)


def main():
    warnings.simplefilter("ignore")
    quality = {}
    for name in sets.SETS:
        values = [float(result(name, seed)) for seed in sets.SEEDS]
        quality[name] = {"measure": sets.SETS[name][2], "values": values, "mean": float(np.mean(values)),
                         "deviation": float(np.std(values, ddof=1))}
        print(name, quality[name])
    with open(os.path.join(sets.FOLDER, "references.json"), "w") as file:
        json.dump({"source": "scikit-learn " + sklearn.__version__, "quality": quality, "metrics": cases()}, file)
        file.write("\n")


if __name__ == "__main__":
    main()
