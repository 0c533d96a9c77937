"""`lepton import` from outside: mapping, specs, golden rows, and what is refused with which words."""
import json
import os
import struct
import subprocess
import sys
import unittest

import oracle

DATA = sys.argv.pop(1)
BINARY, NAMES, TEXT = "xgboost2.1-binary.json", "xgboost3.2-names.ubj", "lightgbm4.7-binary.txt"


def data(name):
    return os.path.join(DATA, name)


def read(name):
    with open(data(name), "rb") as file:
        return file.read()


def lepton(*arguments):
    done = subprocess.run([oracle.LEPTON, *arguments], capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def write(name, content):
    with open(oracle.path(name), "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return oracle.path(name)


def manifest(bundle):
    with open(bundle, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        return json.loads(json.loads(file.read(size))["__metadata__"]["lepton"])


def edited(change, name=BINARY):
    """A fixture with something changed in its JSON."""
    model = json.loads(read(name))
    change(model["learner"])
    return write("edited.json", json.dumps(model))


class Import(unittest.TestCase):
    def refused(self, model, *words, options=()):
        code, out, err = lepton("import", model, "-o", oracle.path("no.safetensors"), *options)
        self.assertEqual((code, out), (1, ""), err)
        self.assertTrue(err.startswith("lepton: import: "), err)
        for word in words:
            self.assertIn(word, err)
        self.assertFalse(os.path.exists(oracle.path("no.safetensors")))

    def imported(self, model, *options):
        bundle = oracle.path("b.safetensors")
        code, out, err = lepton("import", model, "-o", bundle, *options)
        self.assertEqual(code, 0, err)
        return manifest(bundle), out, err

    def test_features_are_read_from_the_fields_of_their_names(self):
        got, _, _ = self.imported(data(BINARY), "--name", "ctr", "--version", "7")
        self.assertEqual((got["name"], got["version"], got["task"]), ("ctr", "7", "binary"))
        self.assertEqual([f["from"] for f in got["features"]], ["age", "colour", "a\\.b", "x=1", "plain"])
        self.assertEqual(self.imported(data(BINARY))[0]["name"], "xgboost2.1-binary")

    def test_from_maps_a_feature_to_a_path(self):
        got, _, _ = self.imported(data(BINARY), "--from", "age=user.age", "--from", "plain=items[0].p")
        self.assertEqual([f["from"] for f in got["features"]], ["user.age", "colour", "a\\.b", "x=1", "items[0].p"])
        self.refused(data(BINARY), "no feature `nope`", options=["--from", "nope=x"])

    def test_a_printed_spec_gives_the_same_bundle_and_can_be_edited(self):
        code, out, _ = lepton("import", data(NAMES), "--print-spec")
        self.assertEqual(code, 0)
        first, _, _ = self.imported(data(NAMES))
        again, _, _ = self.imported(data(NAMES), "--features", write("spec.json", out), "--name", first["name"])
        self.assertEqual(first, again)
        spec = {"labels": ["no", "yes"], "threshold": 0.25, "version": "2",
                "features": [{"name": "amount", "from": "a", "kind": "number", "missing": {"policy": "reject"}}]}
        got, _, _ = self.imported(data(NAMES), "--features", write("spec.json", json.dumps(spec)))
        self.assertEqual((got["labels"], got["output"]["threshold"], got["version"]), (["no", "yes"], 0.25, "2"))
        self.assertEqual([f["from"] for f in got["features"]], ["a", "colour", "size"])

    def test_a_spec_must_give_the_columns_of_the_model(self):
        vector = {"name": "all", "from": "v", "kind": "vector", "width": 5, "missing": {"policy": "keep"}}
        got, _, _ = self.imported(data(BINARY), "--features", write("s.json", json.dumps({"features": [vector]})))
        self.assertEqual(len(got["features"]), 1)
        vector["width"] = 6
        self.refused(data(BINARY), "6 columns, the model 5",
                     options=["--features", write("s.json", json.dumps({"features": [vector]}))])
        self.refused(data(BINARY), "unknown member `feature`", options=["--features", write("s.json", '{"feature":[]}')])

    def test_golden_rows_of_another_model_are_refused(self):
        rows = read("xgboost2.1-binary.jsonl").decode().splitlines()
        row = json.loads(rows[0])
        row["margin"][0] += 1e-3
        self.refused(data(BINARY), "golden row 1", options=["--golden", write("g", rows[1] + "\n" + json.dumps(row))])
        got, _, _ = self.imported(data(BINARY), "--golden", write("g", "\n".join(rows[:3])))
        self.assertEqual((got["golden"]["source"], len(got["golden"]["rows"])), ("xgboost 2.1.4", 3))

    def test_best_iteration_counts_unless_told_otherwise(self):
        model = edited(lambda learner: learner["attributes"].update(best_iteration="2"))
        _, out, err = self.imported(model)
        self.assertIn(" 3 trees", out)
        self.assertIn("3 of 8 trees count", err)
        self.assertIn(" 8 trees", self.imported(model, "--all-iterations")[1])

    def test_names_of_categories_become_vocabularies(self):
        got, _, _ = self.imported(data(NAMES))
        colour = got["features"][1]
        self.assertEqual((colour["kind"], colour["encode"]["vocabulary"][:2]), ("category", ["blue, dark", "green"]))
        text, _, _ = self.imported(data("lightgbm4.7-names.txt"))
        self.assertIn("grün", text["features"][1]["encode"]["vocabulary"])
        self.assertEqual(text["features"][2]["encode"]["vocabulary"][0], "36")

    def test_whole_categories_beyond_2_to_the_53_keep_their_names(self):
        def cats(values, kind=15):
            none = {"offsets": [], "values": []}
            return {"enc": [none, {"type": kind, "values": values}] + [none] * 3}
        big = [2 ** 53 + 1, 2 ** 63 - 1, -2 ** 63]
        got, _, _ = self.imported(edited(lambda m: m["gradient_booster"]["model"].update(cats=cats(big))))
        self.assertEqual(got["features"][1]["encode"]["vocabulary"], [str(value) for value in big])
        # Missing categories are valid; XGBoost itself raises where one was not in training.
        self.assertEqual(got["features"][1]["missing"]["policy"], "keep")
        self.refused(edited(lambda m: m["gradient_booster"]["model"].update(cats=cats([0.5, 1.5], 8))), "not a whole")

    def test_categories_without_names_are_told(self):
        self.assertIn("1 features are categories whose names the file does not hold, the first is `colour`",
                      self.imported(data(BINARY))[2])
        self.refused(edited(lambda m: m["feature_types"].pop()), "4 feature_types for 5 features")

    def test_names_that_may_be_of_another_column_are_left_out(self):
        text = read("lightgbm4.7-names.txt").decode()
        infos = next(line for line in text.splitlines() if line.startswith("feature_infos="))
        self.assertEqual(self.imported(data("lightgbm4.7-names.txt"))[2].count("not sure"), 0)
        for damaged in (infos.replace("-1:2:0:5:4:1:3", "10:20:30", 1), infos.replace("0:3", "6:3"),
                        "feature_infos=[0:5] " + infos.split(" ", 1)[1], "feature_infos=none " + infos.split(" ", 1)[1]):
            got, _, err = self.imported(write("m", text.replace(infos, damaged)))
            self.assertIn("not sure", err, damaged)
            self.assertEqual([feature["kind"] for feature in got["features"]], ["number"] * 3)

    def test_category_sets_take_time_and_memory_by_the_file(self):
        def one(segments, sizes, nodes, categories):
            def change(learner):
                tree = learner["gradient_booster"]["model"]["trees"][0]
                tree.update(categories=categories, categories_nodes=nodes, categories_segments=segments,
                            categories_sizes=sizes)
            return edited(change)
        last = len(json.loads(read(BINARY))["learner"]["gradient_booster"]["model"]["trees"][0]["left_children"]) - 1
        self.refused(one([0, 0], [2, 2], [0, last], [1, 2]), "overlap")
        self.refused(one([0, 1], [1, 1], [last, last], [1, 2]), "two category sets")

        def repeat(learner):
            model = learner["gradient_booster"]["model"]
            leaf = {"left_children": [-1] * 2, "right_children": [-1] * 2, "default_left": [0] * 2,
                    "split_indices": [0] * 2, "split_type": [1] * 2, "split_conditions": [1.0] * 2,
                    "categories": [2 ** 24 - 1], "categories_nodes": [1], "categories_segments": [0],
                    "categories_sizes": [1]}
            model.update(trees=[leaf] * 100, tree_info=[0] * 100, iteration_indptr=list(range(101)))
        self.refused(edited(repeat), "category sets of more than")

    def test_what_is_not_known_is_refused_by_name(self):
        self.refused(edited(lambda m: m["objective"].update(name="reg:magic")), "reg:magic")
        self.refused(edited(lambda m: m["gradient_booster"].update(name="gbmagic")), "gbmagic")
        text = read(TEXT).decode()
        self.refused(write("m", text.replace("objective=binary sigmoid:2.5", "objective=mine")), "objective mine")
        self.refused(write("m", text.replace("objective=binary sigmoid:2.5\n", "")), "no objective")
        self.refused(write("m", text.replace("sigmoid:2.5", "sigmoid:2.5 tilt:1")), "`tilt:1`")
        self.refused(write("m", text.replace("version=v4", "version=v9")), "version v9")
        self.refused(write("m", text.replace("num_cat=", "num_dog=1\nnum_cat=", 1)), "num_dog")
        self.refused(write("m", b"binf\0\0"), "old binary format")
        self.refused(write("m", b"[{}]"), "dump_model")
        self.refused(write("m", b"PK\3\4"), "neither")
        self.refused(write("m", b""), "neither")

    def test_damage_is_refused(self):
        trees = lambda m: m["gradient_booster"]["model"]["trees"]  # noqa: E731
        self.refused(edited(lambda m: trees(m)[1]["left_children"].__setitem__(0, 0)), "tree 1", "two ways")
        self.refused(edited(lambda m: trees(m)[1]["left_children"].__setitem__(0, 99)), "child 99")
        self.refused(edited(lambda m: trees(m)[1]["left_children"].__setitem__(0, 2 ** 32 + 1)), "4294967297")
        self.refused(edited(lambda m: trees(m)[0]["right_children"].__setitem__(0, trees(m)[0]["left_children"][0])),
                     "two ways")
        self.refused(edited(lambda m: trees(m)[0]["split_indices"].__setitem__(0, 5)), "feature 5 of 5")
        self.refused(edited(lambda m: trees(m)[0]["split_conditions"].pop()), "split_conditions")
        self.refused(edited(lambda m: m["gradient_booster"]["model"]["tree_info"].__setitem__(0, 3)), "output 3")
        self.refused(edited(lambda m: m["learner_model_param"].update(base_score="x")), "base_score")
        self.refused(write("m", read(BINARY)[:5000]), "byte 5000")
        self.refused(write("m", read(NAMES)[:3000]), "byte")
        self.refused(write("m", b'{"learner":{"x":' + b"[" * 100000), "deep")
        self.refused(write("m", b"{L" + b"\x7f" + b"\xff" * 7 + b"learner"), "longer than the file")
        text = read(TEXT).decode()
        self.refused(write("m", text[:text.index("end of trees")]), "cut short")
        self.refused(write("m", text[:4000]), "leaf_value")
        self.refused(write("m", text.replace("feature_names=", "feature_mames=", 1)), "feature_names has 0 entries")
        self.refused(write("m", text.replace("left_child=", "left_child=5 ", 1)), "left_child")
        self.refused(write("m", text.replace("tree_sizes=", "tree_sizes=1 ", 1)), "tree_sizes")

    def test_a_chain_of_100000_levels_is_a_tree(self):
        n = 100000
        model = json.loads(read(BINARY))
        nodes = 2 * n + 1
        tree = {"left_children": [i + 1 if i % 2 == 0 and i < 2 * n else -1 for i in range(nodes)],
                "right_children": [i + 2 if i % 2 == 0 and i < 2 * n else -1 for i in range(nodes)],
                "default_left": [0] * nodes, "split_indices": [0] * nodes, "split_type": [0] * nodes,
                "split_conditions": [float(i) if i % 2 == 0 else 1.0 for i in range(nodes)], "categories": [],
                "categories_nodes": [], "categories_segments": [], "categories_sizes": []}
        booster = model["learner"]["gradient_booster"]["model"]
        booster.update(trees=[tree], tree_info=[0], iteration_indptr=[0, 1])
        self.imported(write("deep.json", json.dumps(model)))

    def test_wrong_use(self):
        self.assertEqual(lepton("import", data(BINARY))[0], 2)
        self.assertEqual(lepton("import", data(BINARY), "--from", "x", "-o", "y")[0], 2)
        self.assertEqual(lepton("import", "--help")[0], 0)
        code, out, _ = lepton("import", data(BINARY), "-o", oracle.path("j.safetensors"), "--json")
        self.assertEqual((code, json.loads(out)["trees"]), (0, 8))


unittest.main(argv=sys.argv[:1])
