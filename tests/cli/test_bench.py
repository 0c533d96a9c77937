"""lepton bench: shapes of its answers, for a network and for trees; times are only asked to be positive."""

import json
import os
import tempfile
import unittest

from program import bundle, run

HERE = os.path.dirname(os.path.abspath(__file__))
NETWORK = os.path.join(HERE, "../../src/demo/data/flights-1.safetensors")
TREES = os.path.join(HERE, "../data/trees/lightgbm4.7-binary.txt")
BATCHES = [1, 4, 16, 64, 256, 1024]


class Bench(unittest.TestCase):
    def answer(self, *arguments):
        code, out, err = run("bench", *arguments, "--seconds", "100ms", "--json")
        self.assertEqual((code, err), (0, ""))
        return json.loads(out)

    def check_levels(self, answer):
        self.assertGreaterEqual(len(answer["levels"]), 1)
        self.assertEqual(answer["levels"][-1]["level"], "baseline")
        for one, other in zip(answer["levels"], answer["levels"][1:]):
            self.assertNotEqual(one["kernels"], other["kernels"])
        for level in answer["levels"]:
            self.assertEqual([r["batch"] for r in level["results"]], BATCHES)
            for result in level["results"]:
                self.assertGreater(result["ns_per_row"], 0)
                self.assertAlmostEqual(result["ns_per_row"] * result["rows_per_cpu_second"] / 1e9, 1)

    def test_a_network_is_timed_at_every_level_and_batch_size(self):
        answer = self.answer(NETWORK)
        self.assertEqual(answer["name"], "flights")
        self.check_levels(answer)
        self.assertNotIn("price_per_million", answer["levels"][0]["results"][0])

    def test_each_step_has_a_kernel_a_rate_and_a_share_of_the_peak(self):
        answer = self.answer(os.path.join(HERE, "../data/golden/net_deepfm.safetensors"))
        self.assertGreater(answer["peak_gflops"], 0)
        self.assertEqual(answer["steps_batch"], 64)
        kinds = {step["op"] for step in answer["steps"]}
        self.assertEqual(kinds, {"embedding", "reduce", "mul", "sub", "matmul", "concat", "dense", "add", "norm"})
        for step in answer["steps"]:
            self.assertGreater(step["ns_per_row"], 0)
            self.assertEqual("gflops" in step, step["op"] in ("dense", "matmul"))
            if "gflops" in step:
                self.assertAlmostEqual(step["gflops"] * step["ns_per_row"] / step["flops"], 1)
                self.assertAlmostEqual(step["share_of_peak"] * answer["peak_gflops"] / step["gflops"], 1)

    def test_trees_are_timed_and_named_by_kernel(self):
        with tempfile.TemporaryDirectory() as folder:
            bundle = os.path.join(folder, "trees.safetensors")
            code, _, err = run("import", TREES, "-o", bundle)
            self.assertEqual(code, 0, err)
            answer = self.answer(bundle)
        self.check_levels(answer)
        self.assertIn("walk", answer["levels"][-1]["kernels"])

    def test_a_wide_model_is_timed_with_fewer_rows(self):
        width = 2 ** 18  # 64 rows of it are 128 MiB
        feature = {"name": "v", "from": "v", "kind": "vector", "width": width, "missing": {"policy": "reject"}}
        graph, tensors = bundle.dense_graph([([[0.0]] * width, [0.0])])
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "wide.safetensors")
            bundle.write_bundle(path, bundle.make_manifest("wide", "1", "regression", [feature], graph, "identity"), tensors)
            answer = self.answer(path)
        self.assertEqual([r["batch"] for r in answer["levels"][0]["results"]], BATCHES[:4])

    def test_the_price_is_of_a_million_rows(self):
        for result in self.answer(NETWORK, "--price-per-core-hour", "0.036")["levels"][0]["results"]:
            seconds = result["ns_per_row"] * 1e6 / 1e9
            self.assertAlmostEqual(result["price_per_million"] / (seconds / 3600 * 0.036), 1)

    def test_people_get_a_table(self):
        code, out, err = run("bench", NETWORK, "--seconds", "50ms", "--price-per-core-hour", "0.04")
        self.assertEqual((code, err), (0, ""))
        lines = out.splitlines()
        self.assertEqual(lines[0], "flights 1: ns a row on one core")
        self.assertIn("price/million", lines[2])
        self.assertEqual([int(line.split()[0]) for line in lines[3:9]], BATCHES)

    def test_wrong_uses_are_refused(self):
        for price in ("-1", "0", "nan", "inf", "1x", ""):
            self.assertEqual(run("bench", NETWORK, "--price-per-core-hour", price)[0], 2, price)
        self.assertEqual(run("bench", __file__)[0], 1)


if __name__ == "__main__":
    unittest.main()
