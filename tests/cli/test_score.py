"""lepton score on JSON Lines: numpy is the oracle."""

import json
import os
import subprocess
import time
import unittest

import numpy as np

import program
from program import lines, run, score, write


class Score(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mixed, cls.mlp = program.mixed(), program.mlp()

    def test_scores_and_labels_are_numpys(self):
        records = self.mixed.records(1000)
        for i in range(0, 1000, 37):  # outside its bounds, whose policy is reject
            records[i]["m.speed"] = 51.0
        expected = self.mixed.expect(records)
        out, err = score(self.mixed.path, write("mixed.jsonl", lines(records)))
        self.assertEqual(len(out), 1000)
        rejected = 0
        for line, scores, reason in zip(map(json.loads, out), expected.scores, expected.rejected):
            if reason is None:
                self.assertEqual(list(line), ["scores", "label"])
                np.testing.assert_allclose(line["scores"], scores, rtol=1e-5, atol=1e-6)
                self.assertEqual(line["label"], ["low", "middle", "high"][int(np.argmax(line["scores"]))])
            else:
                self.assertEqual(line["error"]["stage"], "clean")
                self.assertEqual(line["error"]["field"], reason)
                rejected += 1
        self.assertEqual(rejected, 28)
        self.assertIn("28 of 1000 records were rejected", err)

    def test_numbers_are_the_shortest_that_read_back(self):
        out, _ = score(self.mlp.path, "-", data=lines(self.mlp.records(300)))
        for line in out:
            text = line[len('{"scores":['):line.index("]")]
            value = np.float32(text)
            self.assertEqual(float(text), float(np.format_float_positional(value, unique=True)))
            digits = text.replace(".", "").lstrip("0")
            self.assertLessEqual(len(digits.split("e")[0]),
                                 len(np.format_float_positional(value, unique=True).replace(".", "").lstrip("0")))

    def test_raw_gives_the_margin_and_the_same_label(self):
        records = self.mixed.records(50)
        expected = self.mixed.expect(records)
        raw, _ = score(self.mixed.path, "-", "--raw", data=lines(records))
        plain, _ = score(self.mixed.path, "-", data=lines(records))
        for line, other, margins in zip(map(json.loads, raw), map(json.loads, plain), expected.margins):
            np.testing.assert_allclose(line["scores"], margins, rtol=1e-5, atol=1e-5)
            self.assertEqual(line["label"], other["label"])

    def test_csv_output_has_columns_and_the_errors_text(self):
        records = self.mixed.records(3)
        records[1]["m.speed"] = 99.0
        out, _ = score(self.mixed.path, "-", "--csv", data=lines(records))
        self.assertEqual(out[0], "score_0,score_1,score_2,label,error")
        self.assertEqual(len(out), 4)
        self.assertRegex(out[1], r"^0\.\d+,0\.\d+,0\.\d+,(low|middle|high),$")
        self.assertRegex(out[2], r'^,,,,"?.*99 is outside')
        out, _ = score(self.mlp.path, "-", "--csv", data=lines(self.mlp.records(1)))
        self.assertEqual(out[0], "score,label,error")
        self.assertRegex(out[1], r"^[0-9.e-]+,[01],$")
        self.assertEqual(score(self.mlp.path, "-", "--csv", data="{}\n")[0][0], "score,label,error")

    def test_null_and_absent_are_missing(self):
        out, _ = score(self.mlp.path, "-", data='{"f0":null,"f1":null}\n{}\n  \n{"other":1}\n')
        self.assertEqual(len(set(out)), 1)
        self.assertEqual(len(out), 3)
        np.testing.assert_allclose(json.loads(out[0])["scores"], self.mlp.expect([{}]).scores[0], rtol=1e-5)

    def test_bad_records_keep_their_place(self):
        good = lines(self.mlp.records(1)).strip()
        data = "\n".join([good, '{"f0":"x"}', '{"f0":', "[1]", good, "nonsense", '{"f0":1e999}', good]) + "\n"
        out, err = score(self.mlp.path, "-", data=data)
        kinds = ["error" if "error" in json.loads(line) else "scores" for line in out]
        self.assertEqual(kinds[:2] + kinds[4:5] + kinds[7:], ["scores", "error", "scores", "scores"])
        self.assertEqual([kinds[2], kinds[3], kinds[5]], ["error"] * 3)
        self.assertEqual(json.loads(out[1])["error"]["stage"], "decode")
        self.assertEqual(json.loads(out[1])["error"]["field"], "f0")
        self.assertEqual(out[0], out[4])
        self.assertIn("were rejected", err)

    def test_strict_stops_at_the_first_and_says_which(self):
        good = lines(self.mlp.records(1))
        code, out, err = run("score", self.mlp.path, "-", "--strict", data=good + good + '{"f0":"x"}\n' + good)
        self.assertEqual(code, 1)
        self.assertEqual(len(out.splitlines()), 2)
        self.assertIn("record 3: decode", err)
        self.assertIn("f0", err)

    def test_explain_shows_every_step(self):
        records = [{"user": {"age": 130.0}, "item": {"ratings": [1, 4]}, "m.speed": 9.5, "colour": "pink", "size": "XL",
                    "city": None, "word": "a", "vector": [0, 1, -9]}]
        out, _ = score(self.mixed.path, "-", "--explain", data=lines(records))
        features = {f["name"]: f for f in json.loads(out[0])["features"]}
        self.assertEqual(list(features), [f["name"] for f in self.mixed.manifest["features"]])
        cleaned = self.mixed.expect(records).cleaned
        for feature, part in zip(features.values(), cleaned):
            np.testing.assert_allclose(feature["normalized"], part.columns[0], rtol=1e-12)
        self.assertEqual((features["age"]["raw"], features["age"]["cleaned"]), (130, 120))
        self.assertIn("clipped to [0, 120]", features["age"]["why"])
        self.assertIn("(x - mean 38.5) / std 12.25", features["age"]["why"])
        self.assertEqual((features["price"]["raw"], features["price"]["cleaned"]), (None, 10))
        self.assertIn("missing: indicator 10", features["price"]["why"])
        self.assertIn("log1p", features["price"]["why"])
        self.assertIn("the feature was constant: std 0", features["constant"]["why"])
        self.assertNotIn("/ std 0", features["constant"]["why"])
        self.assertEqual(features["colour"]["raw"], "pink")
        self.assertIn("unknown", features["colour"]["why"])
        self.assertEqual(features["size"]["cleaned"], None)
        self.assertIn("missing: value", features["size"]["why"])
        self.assertEqual(features["vector"]["raw"], [0, 1, -9])
        self.assertIn("clipped to [-3, 3]", features["vector"]["why"])
        self.assertEqual(features["speed"]["why"], "(x - median 2.5) / iqr 7")

    def test_a_very_wide_model_is_scored_in_smaller_batches(self):
        width = 100000
        graph, tensors = program.bundle.dense_graph([(np.full((width, 1), 1 / width), [0.25])])
        features = [{"name": "v", "from": "v", "kind": "vector", "width": width, "missing": {"policy": "value", "value": 0}}]
        manifest = program.bundle.make_manifest("wide", "1", "regression", features, graph, "identity")
        model = program.Model("wide.safetensors", manifest, tensors)
        out, _ = score(model.path, "-", data="".join('{"v":%s}\n' % ([i] * width) for i in range(5)) + "{}\n" * 300)
        self.assertEqual(len(out), 305)
        got = [json.loads(line)["scores"][0] for line in out]
        np.testing.assert_allclose(got, [0.25, 1.25, 2.25, 3.25, 4.25] + [0.25] * 300, rtol=1e-4)
        self.assertNotIn("label", out[0])

    def test_a_pipe_gets_each_answer_without_waiting_for_the_next_record(self):
        with subprocess.Popen([program.LEPTON, "score", self.mlp.path, "-"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as child:
            for _ in range(3):
                child.stdin.write(lines(self.mlp.records(1)).encode())
                child.stdin.flush()
                begin = time.monotonic()
                self.assertIn(b"scores", child.stdout.readline())
                self.assertLess(time.monotonic() - begin, 10)
            child.stdin.close()
            self.assertEqual(child.wait(10), 0)

    def test_memory_does_not_grow_with_the_file(self):
        data = (lines(self.mlp.records(100)) * 3000).encode()

        def peak(content):
            command = ["/usr/bin/env", "python3", "-c",
                       "import resource,subprocess,sys;subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,check=True);"
                       "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
                       program.LEPTON, "score", self.mlp.path, write("many.jsonl", content)]
            return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

        self.assertLess(peak(data), peak(data[:len(data) // 300]) + 8192)

    def test_what_cannot_be_scored_is_said(self):
        bundle_path = self.mlp.path
        for content, text in ((b"", "is empty"), (b"\x1f\x8b\x08\0", "zcat"), (b"PAR1aaaa", "Parquet"),
                              (b'[{"f0":1}]', "JSON array"), (b"\xef\xbb\xbf", "is empty")):
            code, out, err = run("score", bundle_path, write("bad", content))
            self.assertEqual((code, out), (1, ""), err)
            self.assertIn(text, err)
            self.assertTrue(err.startswith("lepton: score: "))
        self.assertEqual(run("score", bundle_path, "/nowhere")[0], 1)
        self.assertEqual(run("score", "/nowhere", bundle_path)[0], 1)
        self.assertEqual(run("score", bundle_path)[0], 2)
        self.assertEqual(run("score", bundle_path, "-", "--csv", "--explain", data="{}")[0], 2)

    def test_a_full_disk_is_a_failure(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([program.LEPTON, "score", self.mlp.path, "-"], input=b"{}\n" * 1000, stdout=full,
                                  stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot be written", done.stderr)

    def test_a_bundle_whose_golden_rows_differ_is_refused(self):
        manifest = json.loads(json.dumps(self.mlp.manifest))
        manifest["golden"]["rows"][0]["score"][0] += 0.01
        wrong = program.Model("wrong.safetensors", manifest, self.mlp.tensors)
        code, _, err = run("score", wrong.path, "-", data="{}\n")
        self.assertEqual(code, 1)
        self.assertIn("golden row 0", err)


if __name__ == "__main__":
    os.chdir(program.FOLDER.name)
    unittest.main()
