"""lepton optimize: a trained network's int8, bf16 and pruned forms against numpy; the pick keeps to its limits; what is
written serves; wrong use and bad data. Times are only asked to be positive."""

import json
import os
import unittest
import xml.dom.minidom

import numpy as np
from program import bundle, path, reference, run, score, write

HERE = os.path.dirname(os.path.abspath(__file__))
COLUMNS, ROWS = 5, 1500
FAST = ("--seconds", "20ms")


def rows_of(seed, count):
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(count, COLUMNS)) * [1, 3, 1, 0.5, 1], 4)
    margin = 2 * np.tanh(x[:, 0] * x[:, 1]) + x[:, 2] - 4 * x[:, 3] ** 2
    return x, rng.random(count) < 1 / (1 + np.exp(-margin)), margin


def csv(name, x, label, labels):
    lines = [",".join(["f%d" % i for i in range(COLUMNS)] + [label])]
    lines += [",".join(["%.4f" % v for v in row] + [str(y)]) for row, y in zip(x, labels)]
    return write(name, "\n".join(lines) + "\n")


def train(name, label, labels, *more):
    x, truth, margin = rows_of(1, 2000)
    data = csv(name + ".csv", x, label, labels(truth, margin))
    code, _, err = run("train", data, "--label", label, "--layers", "16,8", "--epochs", "6", "-o",
                       path(name + ".safetensors"), *more)
    if code != 0:
        raise AssertionError(err)
    return path(name + ".safetensors")


def log_loss(margin, truth):
    p = 1 / (1 + np.exp(-margin.astype(np.float32))).astype(np.float64)
    return -np.log(np.where(truth, p, 1 - p))


def auc(margin, truth):
    ones, zeros = margin[truth][:, None], margin[~truth][None, :]
    return ((ones > zeros).sum() + 0.5 * (ones == zeros).sum()) / (ones.size * zeros.size)


def quantized(x, w, low, high):
    """The product of the formulas in the bundle's contract, in whole numbers."""
    f = np.float32
    ws = np.abs(w).max(axis=0) / f(127)
    q = np.rint(w / ws).astype(np.int64)
    s = (f(high) - f(low)) / f(255)
    z = np.clip(np.rint(-f(low) / s), 0, 255)
    u = np.clip(np.rint(x * (f(1) / s)) + z, 0, 255)
    return s * ws * ((u - z).astype(np.int64) @ q).astype(f)


class Optimize(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = train("clicks", "clicked", lambda truth, margin: truth.astype(int))
        cls.x, cls.truth, _ = rows_of(2, ROWS)
        cls.valid = csv("valid.csv", cls.x, "clicked", cls.truth.astype(int))
        cls.manifest, cls.tensors = bundle.read_bundle(cls.model)
        cls.all = cls.answer(cls.model, cls.valid, "--price-per-core-hour", "0.04")
        cls.named = {v["name"]: v for v in cls.all["variants"]}

    @staticmethod
    def answer(model, data, *arguments, label="clicked"):
        code, out, err = run("optimize", model, "--data", data, "--label", label, *FAST, "--json", *arguments)
        if code != 0 or (err != "" and "--trials" not in arguments):
            raise AssertionError(err)
        return json.loads(out)

    def cleaned(self):
        records = [{"f%d" % i: float("%.4f" % v) for i, v in enumerate(row)} for row in self.x]
        parts = reference.clean(self.manifest, self.tensors, reference.columns_of(self.manifest, records))
        return np.concatenate([p.columns for p in parts], axis=1).astype(np.float32)

    def forward(self, product, change=lambda w: w):
        """Margins; product(layer, input, weight)."""
        value = self.cleaned()
        for i, op in enumerate(self.manifest["graph"]):
            value = product(i, value, change(self.tensors[op["weight"]])) + self.tensors[op["bias"]]
            if op.get("activation") == "relu":
                value = np.maximum(value, 0)
        return value[:, 0]

    def ranges(self):
        """What goes into each layer of the original, zero included."""
        found = {}

        def product(i, x, w):
            found[i] = (min(0, x.min()), max(0, x.max()))
            return x @ w

        self.forward(product)
        return found

    def check(self, name, margin, tolerance):
        got = self.named[name]
        loss, first = log_loss(margin, self.truth).mean(), log_loss(self.forward(lambda i, x, w: x @ w), self.truth)
        self.assertAlmostEqual(got["loss"]["value"], loss, delta=tolerance)
        self.assertAlmostEqual(got["loss"]["difference"], loss - first.mean(), delta=2 * tolerance)
        self.assertAlmostEqual(got["auc"]["value"], auc(margin, self.truth), delta=tolerance)
        self.assertAlmostEqual(got["accuracy"]["value"], ((margin >= 0) == self.truth).mean(), delta=2 / ROWS)

    def test_the_original_is_scored_as_numpy_scores_it(self):
        self.assertEqual(self.all["rows"], ROWS)
        self.assertEqual(self.all["variants"][0]["name"], "original")
        self.check("original", self.forward(lambda i, x, w: x @ w), 1e-6)
        self.assertEqual(self.named["original"]["loss"]["difference"], 0)

    def test_int8_is_the_product_of_whole_numbers_that_numpy_computes(self):
        ranges = self.ranges()
        self.check("int8 min/max", self.forward(lambda i, x, w: quantized(x, w, *ranges[i])), 2e-5)

    def test_one_layer_alone_is_quantized_for_its_sensitivity(self):
        ranges = self.ranges()
        for layer, op in enumerate(self.manifest["graph"]):
            margin = self.forward(lambda i, x, w, one=layer: quantized(x, w, *ranges[i]) if i == one else x @ w)
            self.check("only " + op["weight"], margin, 2e-5)
        worst = max((v for v in self.named.values() if v["name"].startswith("only ")), key=lambda v: v["loss"]["value"])
        self.assertIn("int8 but " + worst["name"][5:], self.named)

    def test_bf16_weights_round_to_nearest_even(self):
        def change(w):
            bits = w.view(np.uint32).astype(np.uint64)
            return (((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32)).view(np.float32)

        # Kernels of bfloat16 round a layer's input too.
        self.check("bf16", self.forward(lambda i, x, w: x @ w, change), 1e-3)

    def test_pruning_sets_the_smallest_weights_to_zero_and_is_no_candidate(self):
        def change(w):
            flat = w.copy().reshape(-1)
            flat[np.argsort(np.abs(flat), kind="stable")[:flat.size // 2]] = 0
            return flat.reshape(w.shape)

        self.check("pruned 50 %", self.forward(lambda i, x, w: x @ w, change), 1e-6)
        self.assertFalse(self.named["pruned 50 %"]["candidate"])
        self.assertTrue(any("pruning" in verdict for verdict in self.all["verdicts"]), self.all["verdicts"])

    def test_intervals_are_those_of_a_paired_bootstrap(self):
        margins = [self.forward(lambda i, x, w: x @ w),
                   self.forward(lambda i, x, w: x @ w, lambda w: np.where(
                       np.abs(w) >= np.sort(np.abs(w).ravel())[w.size // 2], w, 0).astype(np.float32))]
        paired = log_loss(margins[1], self.truth) - log_loss(margins[0], self.truth)
        rng = np.random.default_rng(0)
        means = [paired[rng.integers(0, ROWS, ROWS)].mean() for _ in range(1000)]
        low, high = np.percentile(means, [2.5, 97.5])
        got = self.named["pruned 50 %"]["loss"]
        self.assertAlmostEqual(got["low"], low, delta=0.15 * (high - low))
        self.assertAlmostEqual(got["high"], high, delta=0.15 * (high - low))

    def test_times_and_prices_fit_each_other(self):
        for variant in self.all["variants"]:
            if variant["name"].startswith("only "):
                self.assertNotIn("ns_per_row", variant)
                continue
            self.assertGreater(variant["ns_per_row"], 0)
            self.assertGreater(variant["p99_us"], 0)
            self.assertAlmostEqual(variant["price_per_million"] / (variant["ns_per_row"] / 3.6e6 * 0.04), 1)
            self.assertAlmostEqual(variant["rows_per_cpu_second"] * variant["ns_per_row"] / 1e9, 1)
        self.assertLess(self.named["int8 min/max"]["bytes"], self.named["original"]["bytes"])

    def test_a_form_is_dominated_when_another_is_as_good_in_all_and_better_in_one(self):
        points = [(v["loss"]["value"], v["ns_per_row"], v["bytes"], v) for v in self.all["variants"] if v["candidate"]]
        for *mine, variant in points:
            beaten = any(all(a <= b for a, b in zip(theirs, mine)) and theirs != mine for *theirs, _ in points)
            self.assertEqual(variant["dominated"], beaten, variant["name"])

    def test_the_pick_keeps_to_its_limits_and_serves(self):
        small = path("small.safetensors")
        answer = self.answer(self.model, self.valid, "--max-loss-increase", "0.5", "-o", small)
        candidates = [v for v in answer["variants"] if v["candidate"] and v["loss"]["high"] <= 0.5]
        fastest = min(candidates, key=lambda v: v["ns_per_row"])
        self.assertEqual(answer["picked"], fastest["name"])
        manifest, _ = bundle.read_bundle(small)
        if fastest["name"] != "original":
            self.assertEqual(manifest["lineage"]["parent"], answer["sha256"])
            self.assertIn(fastest["name"], manifest["lineage"]["steps"][-1])
        self.assertTrue(manifest["golden"]["source"].startswith("lepton "))
        self.assertEqual(run("check", small)[0], 0)
        lines, _ = score(small, self.valid)
        scores = np.array([json.loads(line)["scores"][0] for line in lines])
        loss = -np.log(np.where(self.truth, scores, 1 - scores)).mean()
        self.assertAlmostEqual(loss, fastest["loss"]["value"], delta=1e-6)

    def test_a_limit_on_time_or_price_picks_the_least_loss(self):
        answer = self.answer(self.model, self.valid, "--max-p99", "1000000")
        candidates = [v for v in answer["variants"] if v["candidate"]]
        self.assertEqual(answer["picked"], min(candidates, key=lambda v: v["loss"]["value"])["name"])
        limit = "1e-12"
        code, _, err = run("optimize", self.model, "--data", self.valid, "--label", "clicked", *FAST, "--max-price",
                           limit, "--price-per-core-hour", "1", "-o", path("never.safetensors"))
        self.assertEqual(code, 1)
        self.assertIn("no form of the model keeps to the limits", err)
        self.assertFalse(os.path.exists(path("never.safetensors")))

    def test_the_page_and_the_picture_stand_alone(self):
        code, out, err = run("optimize", self.model, "--data", self.valid, "--label", "clicked", *FAST, "--html",
                             path("o.html"), "--svg", path("o.svg"))
        self.assertEqual((code, err), (0, ""))
        self.assertIn("one layer alone in int8", out)
        picture = xml.dom.minidom.parse(path("o.svg"))
        self.assertEqual(len(picture.getElementsByTagName("circle")), 8)
        with open(path("o.html"), encoding="utf-8") as file:
            page = file.read()
        self.assertIn("<svg", page)
        self.assertNotIn("src=", page)

    def test_regression_and_several_classes_have_their_own_loss(self):
        x, _, margin = rows_of(2, ROWS)
        model = train("value", "y", lambda truth, m: np.round(10 * m, 3), "--task", "regression")
        answer = self.answer(model, csv("value-valid.csv", x, "y", np.round(10 * margin, 3)), label="y")
        lines, _ = score(model, path("value-valid.csv"))
        got = np.array([json.loads(line)["scores"][0] for line in lines])
        rmse = np.sqrt(((got - np.round(10 * margin, 3)) ** 2).mean())
        self.assertEqual(answer["loss"], "RMSE")
        self.assertAlmostEqual(answer["variants"][0]["loss"]["value"] / rmse, 1, delta=1e-6)
        self.assertNotIn("auc", answer["variants"][0])

        def names(m):
            return np.array(["low", "mid", "top"])[(m > -1).astype(int) + (m > 1)]

        model = train("bins", "kind", lambda truth, m: names(m))
        answer = self.answer(model, csv("bins-valid.csv", x, "kind", names(margin)), label="kind")
        manifest, _ = bundle.read_bundle(model)
        lines, _ = score(model, path("bins-valid.csv"))
        got = np.array([json.loads(line)["scores"] for line in lines])
        at = np.array([manifest["labels"].index(n) for n in names(margin)])
        loss = -np.log(got[np.arange(ROWS), at]).mean()
        self.assertAlmostEqual(answer["variants"][0]["loss"]["value"], loss, delta=1e-6)
        self.assertAlmostEqual(answer["variants"][0]["accuracy"]["value"], (got.argmax(axis=1) == at).mean(), delta=1e-9)

    def test_a_ranking_is_judged_by_the_pairs_of_its_groups(self):
        def ranked(name, seed, count):
            x, _, margin = rows_of(seed, count)
            group = np.arange(count) // 12
            truth = np.random.default_rng(seed).random(count) < 1 / (1 + np.exp(-margin - (group % 7 - 3)))
            lines = ["query," + ",".join("f%d" % i for i in range(COLUMNS)) + ",clicked"]
            lines += ["q%d,%s,%d" % (g, ",".join("%.4f" % v for v in row), y) for g, row, y in zip(group, x, truth)]
            return write(name, "\n".join(lines) + "\n"), group, truth

        data, _, _ = ranked("ranked.csv", 11, 2400)
        valid, group, truth = ranked("ranked-valid.csv", 12, ROWS)
        model = path("ranked.safetensors")
        code, _, err = run("train", data, "--label", "clicked", "--task", "ranking", "--group", "query", "--layers",
                           "48", "--epochs", "6", "-o", model)
        self.assertEqual(code, 0, err)
        answer = self.answer(model, valid, "--group", "query", "--train", data, "--trials", "3")
        lines, _ = score(model, valid)
        got = np.array([json.loads(line)["scores"][0] for line in lines])
        losses, wins, pairs = [], 0, 0
        for g in np.unique(group):
            ones, zeros = got[(group == g) & truth], got[(group == g) & ~truth]
            gap = zeros[None, :] - ones[:, None]
            if gap.size:
                losses += list(np.logaddexp(0, gap).mean(axis=1))
                wins, pairs = wins + (gap < 0).sum() + 0.5 * (gap == 0).sum(), pairs + gap.size
        first = answer["variants"][0]
        self.assertEqual(answer["loss"], "pair loss")
        self.assertAlmostEqual(first["loss"]["value"], np.mean(losses), delta=1e-6)
        self.assertAlmostEqual(first["auc"]["value"], wins / pairs, delta=1e-6)
        names = [v["name"] for v in answer["variants"]]
        self.assertIn("original tuned", names)
        self.assertEqual(sum(name.startswith("trial ") for name in names), 3)
        self.assertNotIn("accuracy", first)
        self.refused(1, "the group `q` is missing", model, "--data", valid, "--label", "clicked", "--group", "q")
        one = csv("all-ones.csv", self.x[:30], "clicked", [1] * 30)
        self.refused(1, "rows of label 1 beside others", model, "--data", one, "--label", "clicked")

    def test_an_ensemble_loses_its_last_trees(self):
        trees = os.path.join(HERE, "../data/trees/lightgbm4.7-binary")
        model = path("trees.safetensors")
        self.assertEqual(run("import", trees + ".txt", "-o", model)[0], 0)
        manifest, _ = bundle.read_bundle(model)
        records = bundle.random_records(manifest, {}, 300, 4)
        truth = np.random.default_rng(4).integers(0, 2, 300)
        data = write("trees.jsonl", "".join(json.dumps({**r, "truth": int(t)}) + "\n" for r, t in zip(records, truth)))
        out = path("fewer.safetensors")
        answer = self.answer(model, data, "--max-loss-increase", "100", "-o", out, label="truth")
        names = [v["name"] for v in answer["variants"]]
        self.assertTrue(any(name.startswith("first ") for name in names), names)
        self.assertEqual(run("check", out)[0], 0)
        losses = {v["name"]: v["loss"]["value"] for v in answer["variants"]}
        lines, _ = score(out, data)
        scores = np.array([json.loads(line)["scores"][0] for line in lines])
        loss = -np.log(np.where(truth == 1, scores, 1 - scores)).mean()
        self.assertAlmostEqual(loss, losses[answer["picked"]], delta=1e-5)
        whole = [{"x=1": 0.5, "Tree=3": 0.5, "a.b": 0.5, "age": i / 9, "colour": 1.5, "truth": i % 2} for i in range(30)]
        train = write("whole.jsonl", "".join(json.dumps(r) + "\n" for r in whole))
        self.refused(1, "missing=keep is for trees", model, "--data", data, "--label", "truth", "--train", train,
                     "--trials", "1")

    def test_layers_behind_branches_are_calibrated(self):
        model = os.path.join(HERE, "../data/golden/net_deepfm.safetensors")
        manifest, tensors = bundle.read_bundle(model)
        records = bundle.random_records(manifest, tensors, 200, 3)
        lines, _ = score(model, write("plain.jsonl", "".join(json.dumps(r) + "\n" for r in records)))
        truth = [int(json.loads(line)["scores"][0] >= 0.5) for line in lines]
        data = write("branches.jsonl", "".join(json.dumps({**r, "truth": t}) + "\n" for r, t in zip(records, truth)))
        forms = {v["name"]: v for v in self.answer(model, data, label="truth")["variants"]}
        self.assertEqual(forms["original"]["accuracy"]["value"], 1)
        self.assertGreater(sum(name.startswith("only ") for name in forms), 1)
        self.assertGreater(forms["int8 min/max"]["accuracy"]["value"], 0.95)
        self.assertLess(forms["int8 min/max"]["bytes"], forms["original"]["bytes"])

    def refused(self, code, text, *arguments):
        got, _, err = run("optimize", *arguments)
        self.assertEqual(got, code, err)
        self.assertIn(text, err)

    def test_wrong_use_and_bad_data_say_what_is_wrong(self):
        data = ("--data", self.valid)
        self.refused(2, "--data FILE is missing", self.model)
        self.refused(2, "must pick one", self.model, *data, "-o", path("x"))
        self.refused(2, "--max-price needs", self.model, *data, "--max-price", "1")
        self.refused(2, "not a number", self.model, *data, "--max-loss-increase", "some")
        self.refused(2, "at least 0", self.model, *data, "--max-p99", "-1")
        self.refused(2, "not a positive number", self.model, *data, "--price-per-core-hour", "0")
        self.refused(1, "the label `label` is missing", self.model, *data)
        self.refused(1, "No such file", self.model, "--data", path("none.csv"))
        three = csv("three.csv", self.x[:3], "clicked", [0, 1, 2])
        self.refused(1, "not a label of the model", self.model, "--data", three, "--label", "clicked")
        empty = csv("empty.csv", self.x[:0], "clicked", [])
        self.refused(1, "no good record", self.model, "--data", empty, "--label", "clicked")

    def test_one_row_of_one_class_has_no_auc(self):
        one = csv("one.csv", self.x[:1], "clicked", [1])
        answer = self.answer(self.model, one)
        self.assertEqual((answer["rows"], answer["batch"]), (1, 1))
        self.assertNotIn("auc", answer["variants"][0])


def wide_rows(seed, count):
    """x and a category of five words, whose margin is a product of few directions."""
    rng = np.random.default_rng(seed)
    x, word = np.round(rng.normal(size=(count, COLUMNS)), 4), rng.integers(0, 5, count)
    margin = 3 * np.tanh(x[:, 0] * x[:, 1]) + x[:, 2] - 2 * x[:, 3] + (word - 2) * x[:, 4]
    return x, word, rng.random(count) < 1 / (1 + np.exp(-margin))


def wide_csv(name, seed, count):
    x, word, truth = wide_rows(seed, count)
    lines = ["f0,f1,f2,f3,f4,word,clicked"]
    lines += [",".join("%.4f" % v for v in row) + ",w%d,%d" % (w, y) for row, w, y in zip(x, word, truth)]
    return write(name, "\n".join(lines) + "\n")


class Learn(unittest.TestCase):
    """Forms that are narrower or of lower rank, those that are trained on, and the search."""

    @classmethod
    def setUpClass(cls):
        cls.data, cls.valid = wide_csv("wide.csv", 5, 3000), wide_csv("wide-valid.csv", 6, ROWS)
        cls.model = path("wide.safetensors")
        code, _, err = run("train", cls.data, "--label", "clicked", "--layers", "96,64", "--epochs", "6", "--embed",
                           "word=3", "-o", cls.model)
        if code != 0:
            raise AssertionError(err)
        cls.x, cls.word, cls.truth = wide_rows(6, ROWS)
        cls.manifest, cls.tensors = bundle.read_bundle(cls.model)
        cls.all, _ = cls.answer("--train", cls.data, "--tune-epochs", "3", "--trials", "4")
        cls.named = {v["name"]: v for v in cls.all["variants"]}

    @classmethod
    def answer(cls, *arguments):
        code, out, err = run("optimize", cls.model, "--data", cls.valid, "--label", "clicked", *FAST, "--json",
                             *arguments)
        if code != 0:
            raise AssertionError(err)
        return json.loads(out), err

    def first(self):
        """What the first dense layer reads: the cleaned numbers, then the word's row of the table."""
        records = [dict({"f%d" % i: float("%.4f" % v) for i, v in enumerate(row)}, word="w%d" % w)
                   for row, w in zip(self.x, self.word)]
        parts = reference.clean(self.manifest, self.tensors, reference.columns_of(self.manifest, records))
        row = np.concatenate([p.columns for p in parts], axis=1).astype(np.float32)
        word = [op for op in self.manifest["graph"] if op["op"] == "slice" and op["output"].startswith("index")][0]
        table = self.tensors["table0"][row[:, word["start"]].astype(int)]
        return np.concatenate([np.delete(row, word["start"], axis=1), table], axis=1)

    def margin(self, weights, biases):
        value = self.first()
        for i, (weight, bias) in enumerate(zip(weights, biases)):
            value = value @ weight + bias
            value = np.maximum(value, 0) if i + 1 < len(weights) else value
        return value[:, 0]

    def layers(self):
        return ([self.tensors["layer%d.weight" % i] for i in range(3)],
                [self.tensors["layer%d.bias" % i] for i in range(3)])

    def check(self, name, weights, biases):
        margin = self.margin(weights, biases)
        self.assertAlmostEqual(self.named[name]["loss"]["value"], log_loss(margin, self.truth).mean(), delta=2e-6)
        self.assertAlmostEqual(self.named[name]["auc"]["value"], auc(margin, self.truth), delta=1e-5)

    def test_the_original_with_a_table_is_what_numpy_computes(self):
        self.check("original", *self.layers())

    def test_the_units_that_weigh_least_are_cut_in_blocks(self):
        for share, keeps in ((0.25, (80, 48)), (0.5, (48, 32))):
            weights, biases = self.layers()
            kept = [np.sort(np.argsort(-np.linalg.norm(weights[i].astype(float), axis=0) *
                                       np.linalg.norm(weights[i + 1].astype(float), axis=1), kind="stable")[:keep])
                    for i, keep in enumerate(keeps)]
            weights = [weights[0][:, kept[0]], weights[1][kept[0]][:, kept[1]], weights[2][kept[1]]]
            biases = [biases[0][kept[0]], biases[1][kept[1]], biases[2]]
            self.check("%d units cut" % (160 - sum(keeps)), weights, biases)

    def test_low_rank_is_numpy_s_singular_value_decomposition(self):
        weights, biases = self.layers()
        u, sigma, v = np.linalg.svd(weights[1].astype(float), full_matrices=False)
        energy = np.cumsum(sigma ** 2) / (sigma ** 2).sum()
        blocks = {"rank, 99 % energy": np.searchsorted(energy, 0.99) // 16 * 16 + 16,
                  "rank, 90 % energy": np.searchsorted(energy, 0.9) // 16 * 16 + 16,
                  "rank, half the cost": int(0.5 * 96 * 64 / 160) // 16 * 16}
        seen = set()
        for name, rank in blocks.items():
            pays = rank * 160 <= 0.8 * 96 * 64 and rank not in seen
            self.assertEqual(name in self.named, pays, (name, rank))
            seen.add(rank)
            if pays:
                low = ((u[:, :rank] * sigma[:rank]) @ v[:rank]).astype(np.float32)
                self.check(name, [weights[0], low, weights[2]], biases)
        self.assertTrue(any(name.startswith("rank, ") for name in self.named))

    def test_tuned_forms_stand_beside_the_others_and_lose_less(self):
        for name in ("pruned 80 %", "112 units cut" if "112 units cut" in self.named else "80 units cut"):
            plain, tuned = self.named[name], self.named[name + " tuned"]
            self.assertTrue(tuned["candidate"] and tuned["tuned"])
            self.assertLess(tuned["loss"]["value"], plain["loss"]["value"], name)
            self.assertGreater(tuned["ns_per_row"], 0)
        self.assertIn("original tuned", self.named)
        self.assertFalse(self.named["pruned 80 %"]["candidate"])
        self.assertTrue(any(v.startswith("pruning ") for v in self.all["verdicts"]), self.all["verdicts"])

    def test_trials_are_points_of_the_same_frontier(self):
        trials = [v for v in self.all["variants"] if v["name"].startswith("trial ")]
        self.assertEqual(len(trials), 3)
        for trial in trials:
            self.assertTrue(trial["candidate"] and np.isfinite(trial["loss"]["high"]))
            self.assertRegex(trial["detail"], "^rate .*, L2 .*, dropout .*, (9|27) epochs$")
        self.assertTrue(any(v.startswith("the search ") for v in self.all["verdicts"]), self.all["verdicts"])

    def test_the_same_seed_finds_the_same_networks(self):
        again, err = self.answer("--train", self.data, "--tune-epochs", "3", "--trials", "4")
        losses = [[v["loss"]["value"] for v in a["variants"]] for a in (self.all, again)]
        self.assertEqual(*losses)
        self.assertIn("6 of 6: trial ", err)
        other, _ = self.answer("--train", self.data, "--tune-epochs", "0", "--trials", "4", "--seed", "2")
        self.assertFalse({v["detail"] for v in other["variants"] if "detail" in v} &
                         {v["detail"] for v in self.all["variants"] if "detail" in v})
        self.assertFalse(any("tuned" in v for v in other["variants"]))

    def test_a_search_ends_when_its_time_is_up(self):
        late, err = self.answer("--train", self.data, "--tune-epochs", "0", "--trials", "1000", "--time", "50ms")
        self.assertTrue(any(v["name"].startswith("trial ") for v in late["variants"]))
        self.assertNotIn("1000 of ", err)

    def test_a_trial_that_is_picked_serves_and_says_what_it_is(self):
        poor, out = path("poor.safetensors"), path("found.safetensors")
        code, _, err = run("train", self.data, "--label", "clicked", "--layers", "none", "--epochs", "20",
                           "--embed", "word=3", "-o", poor)
        self.assertEqual(code, 0, err)
        code, text, err = run("optimize", poor, "--data", self.valid, "--label", "clicked", *FAST, "--json", "--train",
                              self.data, "--trials", "3", "--max-loss-increase", "-0.02", "-o", out)
        self.assertEqual(code, 0, err)
        answer = json.loads(text)
        picked = [v for v in answer["variants"] if v["name"] == answer["picked"]][0]
        self.assertRegex(answer["picked"], "^trial ")
        self.assertEqual(run("check", out)[0], 0)
        manifest, tensors = bundle.read_bundle(out)
        self.assertEqual(manifest["lineage"]["parent"], answer["sha256"])
        self.assertIn(picked["detail"], manifest["lineage"]["steps"][-1])
        self.assertEqual(manifest["training"]["rows"], 2700)
        self.assertEqual(len([name for name in tensors if name.startswith("table")]), 1)
        lines, _ = score(out, self.valid)
        scores = np.array([json.loads(line)["scores"][0] for line in lines])
        loss = -np.log(np.where(self.truth, scores, 1 - scores)).mean()
        self.assertAlmostEqual(loss, picked["loss"]["value"], delta=1e-6)

    def test_a_regression_is_tuned_in_the_label_s_units(self):
        x, _, margin = rows_of(7, 2000)
        y = 1000 + 50 * margin
        data, model = csv("units.csv", x, "y", y), path("units.safetensors")
        code, _, err = run("train", data, "--label", "y", "--task", "regression", "--layers", "64", "--epochs", "8",
                           "-o", model)
        self.assertEqual(code, 0, err)
        x, _, margin = rows_of(8, ROWS)
        code, out, err = run("optimize", model, "--data", csv("units-valid.csv", x, "y", 1000 + 50 * margin), "--label",
                             "y", *FAST, "--json", "--train", data)
        self.assertEqual(code, 0, err)
        rmse = {v["name"]: v["loss"]["value"] for v in json.loads(out)["variants"]}
        self.assertLess(rmse["original tuned"], rmse["original"])

    def refused(self, code, text, *arguments):
        got, _, err = run("optimize", self.model, "--data", self.valid, "--label", "clicked", *arguments)
        self.assertEqual(got, code, err)
        self.assertIn(text, err)

    def test_validation_rows_are_not_learned_from(self):
        self.refused(1, "it is the validation data too", "--train", self.valid)
        self.assertFalse(any("learned from" in v for v in self.all["verdicts"]), self.all["verdicts"])
        with open(self.data) as train, open(self.valid) as valid:
            header, *rows = train.readlines()
            leaked = write("leaked.csv", "".join([header] + rows[:200] + valid.readlines()[1:31]))
        answer, _ = self.answer("--train", leaked, "--tune-epochs", "1")
        self.assertTrue(any(v.startswith("30 of the %d rows" % ROWS) for v in answer["verdicts"]), answer["verdicts"])
        self.refused(2, "need --train", "--trials", "3")
        self.refused(2, "--time is for --trials", "--train", self.data, "--time", "3s")
        self.refused(1, "at least 20 are needed", "--train", wide_csv("few.csv", 9, 19))
        self.refused(1, "No such file", "--train", path("none.csv"))


if __name__ == "__main__":
    unittest.main()
