"""scikit-learn's estimators and pipelines, trained afresh, as skl2onnx writes them."""
import warnings

import numpy as np
import onnx
import skl2onnx.common._container
import sklearn.compose
import sklearn.ensemble
import sklearn.impute
import sklearn.linear_model
import sklearn.naive_bayes
import sklearn.neural_network
import sklearn.pipeline
import sklearn.preprocessing
import sklearn.svm
import sklearn.tree
from sklearn.base import is_classifier
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

_ensemble, _linear, _pre = sklearn.ensemble, sklearn.linear_model, sklearn.preprocessing
_mlp = sklearn.neural_network
warnings.filterwarnings("ignore")


def _make_node(*given, **attributes):
    """onnx.helper's, which takes neither booleans nor numpy's numbers for ints; skl2onnx hands both on."""
    for key, value in attributes.items():
        if isinstance(value, list) and value and isinstance(value[0], (bool, np.bool_, np.integer)):
            attributes[key] = [int(v) for v in value]
    return onnx.helper.make_node(*given, **attributes)


skl2onnx.common._container.make_node = _make_node
COLUMNS, ROWS = 6, 300
COLOURS = ["red", "green", "blue", "käse", "", "a b"]


def numbers(rng, missing=0.0):
    x = rng.normal(0, 1, (ROWS, COLUMNS)) * rng.choice([0.5, 3, 40], COLUMNS) + rng.choice([0, -2, 100], COLUMNS)
    x[:, -1] = rng.integers(0, 4, ROWS)
    x = x.astype(np.float32)
    x[rng.random(x.shape) < missing] = np.nan
    return x


def target(rng, x, classes):
    """Classes, or with classes=0 a number, that have to do with x."""
    z = np.nan_to_num((x - np.nanmean(x, 0)) / (np.nanstd(x, 0) + 1e-9))
    raw = np.tanh(z) @ rng.normal(0, 1, x.shape[1]) + rng.normal(0, 0.2, len(x))
    return raw * 3 if classes == 0 else np.digitize(raw, np.quantile(raw, np.linspace(0, 1, classes + 1)[1:-1]))


def export(model, x, opset, **more):
    names = [("X", FloatTensorType([None, x.shape[1]]))]
    last = model[-1] if isinstance(model, sklearn.pipeline.Pipeline) else model
    if is_classifier(last) and "options" not in more and not isinstance(last, sklearn.svm.LinearSVC):
        more["options"] = {id(model): {"zipmap": False}}
    return to_onnx(model, initial_types=names, target_opset={"": opset, "ai.onnx.ml": 3 if opset < 19 else 5}, **more)


def plain(make, classes, missing=0.0, names=False, **more):
    """A builder of an estimator on numbers: (rng, op set) -> model, feeds."""
    def build(rng, opset):
        x = numbers(rng, missing)
        y = target(rng, x, classes)
        if names:
            y = np.array(["low", "middle", "high"])[y]
        model = make(rng).fit(x, y)
        return export(model, x, opset, **more), lambda r, n: {"X": x[r.integers(0, ROWS, n)]}
    return build


def piped(*steps):
    return lambda rng: sklearn.pipeline.make_pipeline(*(step(rng) for step in steps))


def seeded(kind, **given):
    """An estimator with a random_state of the run."""
    return lambda rng: kind(random_state=int(rng.integers(1 << 30)), **given)


def fixed(kind, **given):
    return lambda rng: kind(**given)


def columns(encoder, classes=3, final=None):
    """Numbers and texts, each an input of its own: age, amount, colour, size."""
    def build(rng, opset):
        table = np.empty((ROWS, 4), dtype=object)
        table[:, 0], table[:, 1] = rng.normal(40, 12, ROWS).astype(np.float32), rng.exponential(9, ROWS).astype(np.float32)
        table[:, 2], table[:, 3] = rng.choice(COLOURS, ROWS), rng.choice(["s", "m", "l"], ROWS)
        z = ((table[:, 0] > 40) * 1.0 + (table[:, 2] == "red") * 2 - (table[:, 3] == "s") * 1.5 +
             table[:, 1] / 20).astype(float)
        y = np.digitize(z, np.quantile(z, [0.33, 0.66])) if classes else z
        parts = sklearn.compose.ColumnTransformer([("n", _scale(rng), [0, 1]), ("c", encoder(rng), [2, 3])])
        last = final(rng) if final else seeded(_mlp.MLPClassifier, hidden_layer_sizes=(8,), max_iter=60)(rng)
        model = sklearn.pipeline.make_pipeline(parts, last).fit(table, y)
        names = {"age": FloatTensorType, "amount": FloatTensorType, "colour": StringTensorType, "size": StringTensorType}
        more = {"options": {id(model): {"zipmap": False}}} if classes else {}
        made = to_onnx(model, initial_types=[(n, kind([None, 1])) for n, kind in names.items()],
                       target_opset={"": opset, "ai.onnx.ml": 3}, **more)

        def feeds(r, n):
            rows = table[r.integers(0, ROWS, n)]
            return {name: rows[:, i:i + 1].astype(object if i > 1 else np.float32) for i, name in enumerate(names)}
        return made, feeds
    return build


def codes(encoder, final):
    """Whole numbers as categories: int64 input."""
    def build(rng, opset):
        x = np.stack([rng.integers(0, 5, ROWS), rng.integers(-3, 4, ROWS), rng.choice([10, 200, 3000], ROWS)], 1)
        y = (x[:, 0] % 2 + (x[:, 1] > 0) > 1).astype(int)
        model = sklearn.pipeline.make_pipeline(encoder(rng), final(rng)).fit(x, y)
        made = to_onnx(model, initial_types=[("X", Int64TensorType([None, 3]))],
                       target_opset={"": opset, "ai.onnx.ml": 3}, options={id(model): {"zipmap": False}})
        return made, lambda r, n: {"X": x[r.integers(0, ROWS, n)].astype(np.int64)}
    return build


_impute = fixed(sklearn.impute.SimpleImputer, strategy="mean")
_scale = fixed(_pre.StandardScaler)

BUILDERS = {
    "mlp classifier": plain(piped(_scale, seeded(_mlp.MLPClassifier, hidden_layer_sizes=(16, 8), max_iter=60)), 3),
    "mlp binary tanh": plain(piped(_scale, seeded(_mlp.MLPClassifier, hidden_layer_sizes=(8,), activation="tanh",
                                                  max_iter=60)), 2),
    "mlp regressor logistic": plain(piped(_scale, seeded(_mlp.MLPRegressor, hidden_layer_sizes=(12,),
                                                         activation="logistic", max_iter=60)), 0),
    "logistic binary": plain(piped(_scale, fixed(_linear.LogisticRegression)), 2),
    "logistic three names": plain(piped(_scale, fixed(_linear.LogisticRegression)), 3, names=True),
    "logistic zipmap": plain(fixed(_linear.LogisticRegression), 3, names=True, options={}),
    "logistic binary zipmap": plain(piped(_scale, fixed(_linear.LogisticRegression)), 2, options={}),
    "logistic raw": None,  # below: options need the estimator
    "linear regression": plain(piped(fixed(_pre.RobustScaler), fixed(_linear.LinearRegression)), 0),
    "ridge minmax": plain(piped(fixed(_pre.MinMaxScaler, clip=True), fixed(_linear.Ridge)), 0),
    "lasso maxabs": plain(piped(fixed(_pre.MaxAbsScaler), fixed(_linear.Lasso, alpha=0.01)), 0),
    "normalizer l2": plain(piped(fixed(_pre.Normalizer), fixed(_linear.LogisticRegression)), 3),
    "normalizer l1": plain(piped(fixed(_pre.Normalizer, norm="l1"), fixed(_linear.LinearRegression)), 0),
    "normalizer max": plain(piped(fixed(_pre.Normalizer, norm="max"), fixed(_linear.LinearRegression)), 0),
    "binarizer": plain(piped(fixed(_pre.Binarizer, threshold=0.5), fixed(_linear.LogisticRegression)), 3),
    "polynomial": plain(piped(_scale, fixed(_pre.PolynomialFeatures, degree=2), fixed(_linear.Ridge)), 0),
    "imputer": plain(piped(_impute, _scale, fixed(_linear.LogisticRegression)), 3, missing=0.1),
    "imputer median mlp": plain(piped(fixed(sklearn.impute.SimpleImputer, strategy="median"), _scale,
                                      seeded(_mlp.MLPRegressor, hidden_layer_sizes=(8,), max_iter=60)), 0, missing=0.1),
    "sgd log": plain(piped(_scale, seeded(_linear.SGDClassifier, loss="log_loss")), 3),
    "sgd regressor": plain(piped(_scale, seeded(_linear.SGDRegressor)), 0),
    "linear svc": plain(seeded(sklearn.svm.LinearSVC), 3),
    "linear svc binary": plain(seeded(sklearn.svm.LinearSVC), 2),
    "perceptron": plain(piped(_scale, seeded(_linear.Perceptron)), 3),
    "forest classifier": plain(seeded(_ensemble.RandomForestClassifier, n_estimators=12, max_depth=6), 3),
    "forest binary": plain(seeded(_ensemble.RandomForestClassifier, n_estimators=7), 2),
    "forest regressor": plain(seeded(_ensemble.RandomForestRegressor, n_estimators=10), 0),
    "extra trees": plain(piped(_scale, seeded(_ensemble.ExtraTreesClassifier, n_estimators=8)), 3, names=True),
    "tree": plain(seeded(sklearn.tree.DecisionTreeClassifier, max_depth=5), 3),
    "tree regressor": plain(seeded(sklearn.tree.DecisionTreeRegressor), 0),
    "boosting binary": plain(seeded(_ensemble.GradientBoostingClassifier, n_estimators=15), 2),
    "boosting classifier": plain(seeded(_ensemble.GradientBoostingClassifier, n_estimators=8), 3),
    "boosting regressor": plain(seeded(_ensemble.GradientBoostingRegressor, n_estimators=15), 0),
    "histogram binary": plain(seeded(_ensemble.HistGradientBoostingClassifier, max_iter=12), 2, missing=0.1),
    "histogram classifier": plain(seeded(_ensemble.HistGradientBoostingClassifier, max_iter=6), 3, missing=0.1),
    "histogram regressor": plain(seeded(_ensemble.HistGradientBoostingRegressor, max_iter=12), 0, missing=0.1),
    "imputed forest": plain(piped(_impute, seeded(_ensemble.RandomForestClassifier, n_estimators=5)), 2, missing=0.1),
    "one-hot texts": columns(fixed(_pre.OneHotEncoder, handle_unknown="ignore")),
    "one-hot texts boosting": columns(fixed(_pre.OneHotEncoder, handle_unknown="ignore"), 0,
                                      seeded(_ensemble.GradientBoostingRegressor, n_estimators=8)),
    "ordinal texts": columns(fixed(_pre.OrdinalEncoder)),
    "one-hot whole numbers": codes(fixed(_pre.OneHotEncoder, handle_unknown="ignore"), fixed(_linear.LogisticRegression)),
    "ordinal whole numbers": codes(fixed(_pre.OrdinalEncoder), seeded(_ensemble.RandomForestClassifier, n_estimators=5)),
    "naive bayes": plain(piped(_scale, fixed(sklearn.naive_bayes.GaussianNB)), 3),
    "voting": plain(lambda rng: _ensemble.VotingRegressor([
        ("a", _linear.Ridge()), ("b", sklearn.tree.DecisionTreeRegressor(max_depth=3))]), 0),
}


def _raw(rng, opset):
    x = numbers(rng)
    model = _linear.LogisticRegression().fit(x / 50, target(rng, x, 3))
    return export(model, x, opset, options={id(model): {"zipmap": False, "raw_scores": True}}), \
        lambda r, n: {"X": x[r.integers(0, ROWS, n)] / 50}


BUILDERS["logistic raw"] = _raw
