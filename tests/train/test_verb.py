"""`lepton train` from outside: what it writes, what it says, what it refuses."""

import json
import os
import subprocess
import unittest

import bed
import numpy as np
from scipy.optimize import isotonic_regression

ROWS, WIDTH = 400, 4
X = bed.random_rows(ROWS, WIDTH, seed=11)
RANDOM = np.random.default_rng(12)
GENDER = np.where(RANDOM.random(ROWS) < 0.4, "F", "M")
COUNTRY = np.array(["country-%s" % c for c in "abcdefgh"])[RANDOM.integers(0, 8, ROWS)]
CLICKED = (X @ np.array([1.5, -1, 0.5, 0]) + (GENDER == "F") + 0.5 * RANDOM.normal(size=ROWS) > 0.3).astype(int)
SESSION = np.repeat(np.arange(ROWS // 8), 8)
TIME = np.arange(ROWS) * 1000
NAMES = ["f0", "f1", "f2", "f3"]


def clicks(**more):
    columns = {**dict(zip(NAMES, X.T)), "gender": GENDER, "country": COUNTRY, "clicked": CLICKED, **more}
    rows = [",".join(columns)]
    rows += [",".join(str(v.item()) for v in row) for row in zip(*columns.values())]
    return bed.write("clicks.csv", "\n".join(rows) + "\n")


def manifest(file):
    return bed.bundle.read_bundle(file)[0]


def scores(model, data):
    done = subprocess.run([bed.LEPTON, "score", model, data], capture_output=True, text=True, check=True, timeout=60)
    return np.array([json.loads(line)["scores"][0] for line in done.stdout.splitlines()])


class Case(unittest.TestCase):
    def train(self, name, *options, data=None, **more):
        out = bed.path(name)
        self.events = bed.train(data or clicks(), "--label", "clicked", "--name", "m", "--epochs", 6, "-o", out,
                                *options, **more)
        return out


class Bytes(Case):
    def test_the_same_run_gives_the_same_bytes(self):
        for options in ((), ("--threads", 2, "--dropout", 0.2, "--batch-norm")):
            self.assertTrue(bed.same_bytes(self.train("a", *options), self.train("b", *options)))
            self.assertFalse(bed.same_bytes(self.train("a", *options), self.train("b", *options, "--seed", 2)))

    def test_a_resumed_run_gives_the_same_bytes(self):
        options = ("--batch-norm", "--dropout", 0.1, "--schedule", "plateau:1:0.5")
        whole, check = self.train("whole", *options), bed.path("checkpoint")
        self.train("part", *options, "--checkpoint", check, "--epochs", 2)
        resumed = self.train("resumed", *options, "--checkpoint", check, "--resume")
        self.assertEqual(len(self.events["epochs"]), 4)
        self.assertTrue(bed.same_bytes(whole, resumed))

    def test_ranks_change_rounding_only(self):
        for options in (("--batch-norm", "--dropout", 0.2), ("--layers", "none", "--clip", 0.5),
                        ("--task", "ranking", "--group", "session"), ("--task", "ranking")):
            curves, first, data, fitted = [], None, clicks(session=SESSION), None
            for ranks in (1, 2, 4):
                launcher = ("mpirun", "--allow-run-as-root", "--oversubscribe", "-n", str(ranks)) if ranks > 1 else ()
                out = self.train("ranks", *options, "--threads", 1, data=data, launcher=launcher)
                curves.append([(e["loss"], e["valid"]["loss"], e["valid"]["auc"]) for e in self.events["epochs"]])
                weights = bed.layers_of(out)[0][0]
                fitted = fitted or manifest(out)["features"]
                self.assertEqual(manifest(out)["features"], fitted)
                first = weights if first is None else first
                np.testing.assert_allclose(weights, first, atol=2e-4)
            self.assertEqual(len(curves[0]), 6)
            np.testing.assert_allclose(curves[1], curves[0], atol=1e-4)
            np.testing.assert_allclose(curves[2], curves[0], atol=1e-4)


class Bundle(Case):
    def test_measures_are_those_of_the_scores_that_serving_gives(self):
        data = clicks()
        out = self.train("m", "--validate", "last:100", "--calibrate", "platt", data=data)
        p, y, done = scores(out, data)[-100:], CLICKED[-100:], self.events["done"]
        self.assertAlmostEqual(done["valid"]["log_loss"], -np.mean(np.log(np.where(y == 1, p, 1 - p))), 5)
        self.assertAlmostEqual(done["valid"]["accuracy"], np.mean((p >= done["threshold"]) == y), 9)
        pairs = p[y == 1][:, None] - p[y == 0][None, :]
        self.assertAlmostEqual(done["valid"]["auc"], np.mean((pairs > 0) + (pairs == 0) / 2), 9)
        self.assertIn("platt_scale", done)

    def test_isotonic_calibration_is_that_of_scipy(self):
        data = clicks()
        out = self.train("m", "--validate", "last:150", "--calibrate", "isotonic", data=data)
        table = manifest(out)["output"]["calibration"]
        z = np.array([json.loads(line)["scores"][0] for line in subprocess.run(
            [bed.LEPTON, "score", out, data, "--raw"], capture_output=True, text=True, check=True).stdout.splitlines()])
        z, y = z[-150:].astype(np.float32).astype(float), CLICKED[-150:]  # what the shortest text stands for
        order = np.argsort(z, kind="stable")
        want = np.clip(isotonic_regression(y[order].astype(float)).x, 1 / 152, 151 / 152)
        # Serving's margins differ from training's by rounding, and between two steps a line may be steep.
        np.testing.assert_allclose(np.interp(z[order], table["margins"], table["scores"]), want, atol=1e-3)
        p = scores(out, data)[-150:]
        np.testing.assert_allclose(p, np.interp(z, table["margins"], table["scores"]), atol=1e-6)
        self.assertAlmostEqual(self.events["done"]["valid"]["log_loss"], -np.mean(np.log(np.where(y == 1, p, 1 - p))), 4)

    def test_lineage_and_baseline(self):
        out = self.train("m", "--threshold", "best-f1", "--version", "7", "--name", "ctr")
        m, done = manifest(out), self.events["done"]
        self.assertEqual((m["name"], m["version"], m["task"], m["labels"]), ("ctr", "7", "binary", ["0", "1"]))
        self.assertEqual(m["training"]["rows"], 360)
        self.assertEqual(m["training"]["seed"], 1)
        self.assertAlmostEqual(m["training"]["metrics"]["valid.auc"], done["valid"]["auc"], 12)
        sha = subprocess.run(["sha256sum", bed.path("clicks.csv")], capture_output=True, text=True, check=True).stdout
        self.assertEqual(m["training"]["data_sha256"], sha.split()[0])
        self.assertEqual(m["output"]["threshold"], done["threshold"])
        self.assertEqual(sum(m["output"]["baseline"]["counts"]), 40)
        self.assertIn("--threshold best-f1", m["lineage"]["steps"][0])
        self.assertEqual(len(m["golden"]["rows"]), 16)

    def test_what_is_set_of_brokers_stays_out_of_the_lineage(self):
        """Among it may be a password; getopt takes both forms."""
        for form in (("--set", "kafka.sasl.password=hidden"), ("--set=kafka.sasl.password=hidden",)):
            (steps,) = manifest(self.train("m", *form, "--config=hidden.properties", "--seed", 3))["lineage"]["steps"]
            self.assertNotIn("hidden", steps)
            self.assertNotIn("sasl", steps)
            self.assertTrue(steps.endswith("--seed 3"), steps)

    def test_segments_and_their_gap(self):
        out = self.train("m", "--segment", "gender", "--validate", "0.5")
        got, segments = manifest(out)["training"]["metrics"], self.events["done"]["segments"]
        self.assertEqual(set(segments), {"F", "M"})
        self.assertEqual(segments["F"]["rows"] + segments["M"]["rows"], 200)
        for name in ("auc", "accuracy", "log_loss"):
            self.assertAlmostEqual(got["segment.gender.gap." + name], abs(segments["F"][name] - segments["M"][name]), 12)
            self.assertAlmostEqual(got["segment.gender=F." + name], segments["F"][name], 12)

    def test_nothing_of_a_row_is_stored_when_told_so(self):
        out = self.train("m", "--no-golden-data", "--hash", "country=16", "--drop", "gender")
        m = manifest(out)
        self.assertEqual(len(m["golden"]["rows"]), 16)
        given = {float(v) for v in X.ravel()}
        for row in m["golden"]["rows"]:
            self.assertFalse(given & {v for v in row["record"].values() if isinstance(v, float)})
        with open(out, "rb") as file:
            self.assertNotIn(b"country-", file.read())
        self.assertNotIn("gender", [f["name"] for f in m["features"]])

    def test_a_hashed_category_leaves_no_word_behind(self):
        out = self.train("m", "--hash", "country=16")
        golden = manifest(out)["golden"]["rows"]
        self.assertEqual(len(golden), 16)
        self.assertEqual({row["record"]["gender"] for row in golden}, {"F", "M"})
        with open(out, "rb") as file:
            self.assertNotIn(b"country-", file.read())

    def test_target_means_of_noise_teach_nothing(self):
        """A category of many values, of no use: its means must not tell the label."""
        random = np.random.default_rng(21)
        count = 3000
        x, shop = random.normal(size=count), random.integers(0, 900, count)
        label = (x + 2 * random.normal(size=count) > 0).astype(int)
        data = bed.write("noise.csv", "x,shop,clicked\n" + "".join(
            "%.6f,shop-%d,%d\n" % row for row in zip(x, shop, label)))
        wish = bed.write("wish.json", json.dumps({"features": [
            {"name": "shop", "kind": "category", "encode": {"method": "target", "size": 900}}]}))
        spec, out = bed.path("target.json"), bed.path("target.safetensors")
        subprocess.run([bed.LEPTON, "fit", data, "--label", "clicked", "--spec", wish, "-o", spec], check=True,
                       capture_output=True, timeout=60)
        options = (data, "--label", "clicked", "--validate", "0.3", "--epochs", 15, "--patience", 0, "-o", out)
        told = bed.train(*options, "--spec", spec)
        without = bed.train(*options[:-1], bed.path("without.safetensors"), "--spec", spec, "--drop", "shop")
        served = next(f for f in manifest(out)["features"] if f["name"] == "shop")["encode"]
        labels = {word: label[shop == int(word[5:])] for word in served["vocabulary"]}
        for word, value in zip(served["vocabulary"], served["values"]):
            self.assertAlmostEqual(value, (labels[word].sum() + 20 * label.mean()) / (len(labels[word]) + 20), delta=1e-12)
        # Where a row's own label was in its mean, noise took the AUC up from 0.695 to 0.730.
        self.assertAlmostEqual(told["done"]["valid"]["auc"], without["done"]["valid"]["auc"], delta=0.03)
        self.assertGreater(told["epochs"][-1]["loss"], 0.98 * without["epochs"][-1]["loss"])

    def test_the_label_is_no_feature_under_another_name(self):
        features = json.loads(bed.plain_spec(NAMES + ["clicked"]))
        features["features"][-1]["name"] = "leak"
        out = self.train("m", "--spec", bed.write("spec.json", json.dumps(features)))
        self.assertEqual([f["name"] for f in manifest(out)["features"]], NAMES)

    def test_a_class_called_nan_is_a_class(self):
        words = np.array(["0", "1", "nan"])[np.digitize(X[:, 0], [-0.4, 0.4])]
        data = clicks(word=words)
        spec = bed.write("spec.json", bed.plain_spec(NAMES[:1]))
        out = bed.path("m")
        bed.train(data, "--label", "word", "--spec", spec, "--epochs", 60, "--rate", 0.01, "-o", out)
        done = subprocess.run([bed.LEPTON, "score", out, data], capture_output=True, text=True, check=True, timeout=60)
        got = np.array([json.loads(line)["label"] for line in done.stdout.splitlines()])
        self.assertEqual(manifest(out)["labels"], ["0", "1", "nan"])
        self.assertGreater(np.mean(got == words), 0.9)

    def test_few_groups_still_validate(self):
        data = clicks(group=np.repeat(np.arange(4), ROWS // 4))
        for seed in range(1, 7):
            self.train("m", "--validate", "group:0.1", "--group", "group", "--seed", seed, data=data)
            self.assertEqual(self.events["start"]["valid_rows"], ROWS // 4)
        self.train("m", "--validate", "group:0.99", "--group", "group", data=data)
        self.assertLess(self.events["start"]["valid_rows"], ROWS)
        self.train("m", "--folds", 4, "--group", "group", data=data)
        self.assertTrue(all("loss" in f["valid"] for f in self.events["folds"]))
        self.assertEqual(len(self.events["folds"]), 4)

    def test_splits(self):
        data = clicks(session=SESSION, at=TIME)
        for option, valid in (("none", 0), ("100", 100), ("0.25", 100), ("last:0.1", 40)):
            self.train("m", "--validate", option, data=data)
            self.assertEqual(self.events["start"]["valid_rows"], valid)
        self.train("m", "--validate", "group:0.3", "--group", "session", data=data)
        self.assertEqual(self.events["start"]["valid_rows"] % 8, 0)
        self.assertGreater(self.events["start"]["valid_rows"], 40)

    def test_folds(self):
        out = self.train("m", "--folds", 4)
        got = [f["valid"]["auc"] for f in self.events["folds"]]
        self.assertEqual(len(got), 4)
        metrics = manifest(out)["training"]["metrics"]
        self.assertAlmostEqual(metrics["folds.mean.auc"], np.mean(got), 12)
        self.assertAlmostEqual(metrics["folds.deviation.auc"], np.std(got, ddof=1), 12)

    def test_the_page_of_curves_needs_nothing_else(self):
        page = bed.path("curves.html")
        self.train("m", "--html", page)
        with open(page) as file:
            text = file.read()
        self.assertEqual(text.count("<svg"), 1 + 5)
        self.assertNotRegex(text, r"(?i)<script|https?:|src=|href=")
        self.assertNotIn("nan", text)

    def test_json_lines_are_records_too(self):
        rows = [{"user": {"f0": float(a)}, "label": bool(b)} for a, b in zip(X[:, 0], CLICKED)]
        data = bed.write("clicks.jsonl", "".join(json.dumps(r) + "\n" for r in rows))
        out = bed.path("m")
        self.events = bed.train(data, "--label", "label", "--epochs", 3, "-o", out)
        self.assertEqual(manifest(out)["golden"]["rows"][0]["record"], {"user": {"f0": float(X[0, 0])}})
        self.assertEqual(manifest(out)["labels"], ["false", "true"])


class Refusals(unittest.TestCase):
    def refuse(self, text, *options, data=None, label="y", exit_code=1):
        file = bed.write("bad.csv", data) if data is not None else clicks()
        code, _, err = bed.run(file, "--label", label, "-o", bed.path("never"), *options)
        self.assertEqual(code, exit_code, err)
        self.assertRegex(err, r"^lepton: ")
        self.assertRegex(err, text)
        self.assertFalse(os.path.exists(bed.path("never")))

    def test_bad_data(self):
        good = "a,y\n" + "".join("%d.5,%d\n" % (i, i % 2) for i in range(20))
        self.refuse("empty|no record", data="")
        self.refuse("no.*record|empty", data="a,y\n")
        self.refuse("bad.csv: line 22.*--skip-bad", data=good + "3,1,9\n")
        self.refuse("line 22.*never closed.*--skip-bad", data=good + '"3,1\n4,0\n')
        self.refuse("y", data=good.replace("y", "z"))
        self.refuse("every record", data="a,y\n" + "".join("%d,1\n" % i for i in range(20)))
        self.refuse("constant|nothing|no feature|features", data="a,y\n" + "".join("5,%d\n" % (i % 2) for i in range(20)))
        self.refuse("more than 1000", "--task", "multiclass", data="a,y\n" + "".join("%d.5,%d\n" % (i % 7, i) for i in range(1500)))
        self.refuse("not a number", "--task", "regression", data=good + "3,word\n")
        self.refuse("poisson", "--loss", "poisson", data=good + "3,-2.5\n")

    def test_a_spec_that_does_not_fit_the_data(self):
        spec = bed.write("spec.json", bed.plain_spec(["a"]))
        good = "a,y\n" + "".join("%d.5,%d\n" % (i, i % 2) for i in range(20))
        self.refuse(r"line 22.*a", "--spec", spec, data=good + "word,1\n")
        self.refuse(r"line 22.*label", "--spec", spec, data=good + "7,\n")
        self.refuse("line 1", "--spec", bed.write("spec.json", "{"), data=good)
        keep = json.dumps({"features": [{"name": "a", "from": "a", "kind": "number"}]})
        self.refuse("missing=keep", "--spec", bed.write("spec.json", keep), data=good)

    def test_bad_records_are_counted_when_told_so(self):
        spec = bed.write("spec.json", bed.plain_spec(["a"]))
        data = bed.write("bad.csv", "a,y\n" + "".join("%d.5,%d\n" % (i, i % 2) for i in range(40)) + "word,1\n,1\n7,\n")
        code, _, err = bed.run(data, "--label", "y", "--spec", spec, "--skip-bad", "-o", bed.path("m"), "--epochs", 2)
        self.assertEqual(code, 0, err)
        self.assertRegex(err, "2 bad records were passed over")
        self.assertRegex(err, "1 records were refused by cleaning")

    def test_a_diverging_run_says_why(self):
        self.refuse("loss is not finite.*learning rate", "--task", "regression", "--raw-label", "--optimizer", "sgd",
                    "--rate", 100, label="clicked")

    def test_a_last_step_that_diverges_says_so(self):
        spec = bed.write("spec.json", bed.plain_spec(["a"]))
        wild = "a,y\n" + "".join("%de16,%d\n" % (i - 50, i * i % 3 == 0) for i in range(100))
        options = ("--spec", spec, "--optimizer", "sgd", "--rate", 1000, "--batch", 1000, "--epochs", 1)
        self.refuse("loss is not finite.*learning rate", *options, data=wild)
        self.refuse("no score.*finite.*learning rate", *options, "--validate", "none", data=wild)

    def test_what_does_not_go_together(self):
        first = bed.path("first")
        bed.train(clicks(), "--label", "clicked", "--epochs", 1, "-o", first)
        self.refuse("--batch-norm", "--init", first, "--batch-norm", label="clicked")
        self.refuse("no category", "--embed", "f0=4", label="clicked")
        done = subprocess.run([bed.LEPTON, "train", "-", "--label", "y", "-o", bed.path("never")], input="a,y\n1,0\n",
                              capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "only once.*--spec")
        file = clicks(group=np.repeat(np.arange(4), ROWS // 4))
        code, _, err = bed.run(file, "--label", "clicked", "--group", "group", "--folds", 5, "-o", bed.path("never"))
        self.assertEqual(code, 1)
        self.assertRegex(err, "5 folds of 4 groups")

    def test_wrong_use(self):
        for text, options in (("layers", ("--layers", "64,x")), ("adam", ("--optimizer", "best")),
                              ("number", ("--rate", "fast")), ("write none", ("--validate", "half")),
                              ("resume", ("--resume",)), ("whole number", ("--epochs", "-1")),
                              ("schedule", ("--schedule", "step:0:2")), ("adamw", ("--decay", "0.1"))):
            self.refuse(text, *options, label="clicked", exit_code=2)
        code, _, err = bed.run(clicks(), "-o", bed.path("never"))
        self.assertEqual(code, 2)
        self.assertRegex(err, "--label")

    def test_names_that_are_not_there(self):
        for text, options in (("nothere", ("--weight", "nothere")), ("nothere", ("--segment", "nothere")),
                              ("nothere", ("--hash", "nothere=4")), ("--time", ("--validate", "time:0.1")),
                              ("label", ("--class-weight", "9=2")), ("loss does not fit", ("--loss", "huber", "--task", "binary"))):
            self.refuse(text, *options, label="clicked")


if __name__ == "__main__":
    unittest.main()
