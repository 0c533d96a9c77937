"""lepton check and lepton inspect."""

import json
import os
import time
import unittest

import numpy as np

import program
from program import bundle, run, write

HERE = os.path.dirname(os.path.abspath(__file__))

PROPERTIES = """kafka.bootstrap.servers=127.0.0.1:1
input.topics=clicks
group.id=ctr
output.topic=scores
dead_letter.topic=dead
input.format=avro
input.schema.path=%s
output.format=json
model.uri=file://%s
"""


def fields(*more):
    return [{"name": "f%d" % i, "type": ["null", "double"]} for i in range(4)] + list(more)


def schema_file(name, members):
    return write(name, json.dumps({"type": "record", "name": "R", "fields": members}))


class Check(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = program.mlp()
        cls.schema = schema_file("good.avsc", fields({"name": "ts", "type": "long"}))
        cls.properties = write("worker.properties", PROPERTIES % (cls.schema, cls.model.path))

    def check(self, code, *arguments, environment=None):
        """{subject: [(result, text)]} of --json."""
        got, out, err = run("check", *arguments, "--json", environment=environment)
        self.assertEqual(got, code, out + err)
        answer = json.loads(out)
        self.assertEqual(answer["ok"], code == 0)
        subjects = {}
        for finding in answer["findings"]:
            subjects.setdefault(finding["subject"], []).append((finding["result"], finding["text"]))
        return subjects

    def test_a_good_bundle_passes_with_its_identity(self):
        found = self.check(0, self.model.path)
        self.assertEqual([r for r, _ in found["bundle"] + found["golden"]], ["pass", "pass"])
        self.assertIn("mlp 1, 4 features", found["bundle"][0][1])
        code, out, _ = run("check", self.model.path)
        self.assertEqual(code, 0)
        self.assertTrue(all(line.startswith("pass  ") for line in out.splitlines()), out)

    def test_bad_bundles_fail(self):
        manifest = json.loads(json.dumps(self.model.manifest))
        manifest["golden"]["rows"][1]["margin"][0] += 1
        wrong = program.Model("golden.safetensors", manifest, self.model.tensors)
        self.assertEqual(self.check(1, wrong.path)["golden"][0][0], "fail")
        manifest["golden"] = {"source": "none"}
        without = program.Model("none.safetensors", manifest, self.model.tensors)
        self.assertEqual(self.check(0, without.path)["golden"][0][0], "warn")
        with open(self.model.path, "rb") as file:
            content = file.read()
        self.assertEqual(self.check(1, write("cut.safetensors", content[:-1]))["bundle"][0][0], "fail")
        self.assertEqual(self.check(1, write("cut", content[:-1]))["bundle"][0][0], "fail")
        self.assertEqual(self.check(1, "/nowhere.safetensors")["bundle"][0][0], "fail")

    def test_a_schema_is_held_against_each_feature(self):
        found = self.check(0, self.model.path, "--schema", self.schema)
        self.assertEqual(found["features"][0][0], "pass")
        members = fields()
        members[1]["type"] = {"type": "array", "items": "string"}
        found = self.check(1, self.model.path, "--schema", schema_file("bad.avsc", members[:3]))
        self.assertEqual(len(found["feature"]), 2)
        self.assertIn("f1", found["feature"][0][1])
        self.assertIn("f3", found["feature"][1][1])
        self.assertEqual(self.check(1, self.model.path, "--schema", write("no.avsc", "{"))["schema"][0][0], "fail")
        self.assertEqual(self.check(1, self.model.path, "--schema", "/nowhere")["schema"][0][0], "fail")

    def test_a_wide_model_is_held_against_its_schema_at_once(self):
        count = 4000
        graph, tensors = bundle.dense_graph([(np.full((count, 1), 1 / count), [0.25])])
        features = [{"name": "f%d" % i, "from": "f%d" % i, "kind": "number", "missing": {"policy": "reject"}}
                    for i in range(count)]
        manifest = bundle.make_manifest("wide", "1", "regression", features, graph, "identity")
        manifest["golden"] = {"source": "none"}
        wide = program.Model("wide.safetensors", manifest, tensors)
        members = [{"name": "f%d" % i, "type": ["null", "double"]} for i in range(count)]
        for lost in ((), (0,), (7, count // 2, count - 1)):
            schema = schema_file("wide.avsc", [m for i, m in enumerate(members) if i not in lost])
            begin = time.monotonic()
            found = self.check(1 if lost else 0, wide.path, "--schema", schema)
            self.assertLess(time.monotonic() - begin, 10)
            self.assertEqual(len(found.get("feature", [])), len(lost))
            for i, (_, text) in zip(lost, found.get("feature", [])):
                self.assertIn("f%d from" % i, text)

    def test_a_configuration_is_checked_down_to_its_model(self):
        found = self.check(0, self.properties)
        for subject in ("configuration", "kafka", "schema", "output", "bundle", "golden", "features"):
            self.assertEqual(found[subject][0][0], "pass", found)
        self.assertEqual(self.check(0, self.properties, "--set", "input.event_time=ts")["features"][0][0], "pass")
        found = self.check(0, self.properties, "--set", "output.copy=f0,f1:double,ts:timestamp")
        self.assertEqual(found["output"][0][0], "pass")

    def test_what_a_configuration_refers_to_must_be_there(self):
        cases = [
            ("model.uri=file:///nowhere", "model.uri"), ("model.sha256=" + "0" * 64, "model.sha256"),
            ("input.schema.path=/nowhere", "schema"), ("output.fields=scores,nonsense", "output.fields"),
            ("kafka.no.such.key=1", "kafka"), ("kafka.acks=0", "kafka"), ("kafka.producer.linger.ms=x", "kafka"),
            ("input.event_time=nowhere", "input.event_time"),
            ("output.copy=f0,nowhere", "output.copy"), ("output.copy=f0:timestamp", "output.copy"),
            ("output.copy=f0:int", "output.copy"), ("registry.ca.path=/nowhere", "registry.ca.path"),
            ("model.root.path=/nowhere", "model.root.path"), ("lanes=x", "configuration"),
        ]
        for setting, subject in cases:
            found = self.check(1, self.properties, "--set", setting)
            self.assertIn("fail", [r for r, _ in found[subject]], (setting, found))

    def test_paths_are_checked_without_a_schema(self):
        text = PROPERTIES.replace("=avro\ninput.schema.path=%s", "=json") % self.model.path
        json_input = write("json.properties", text)
        self.check(0, json_input, "--set", "output.copy=a.b,c:double", "--set", "input.event_time=ts")
        for setting in ("output.copy=f0[", "input.event_time=f0["):
            found = self.check(1, json_input, "--set", setting)
            self.assertEqual(found[setting.split("=")[0]][0][0], "fail", found)

    def test_unknown_names_of_the_environment_are_a_warning(self):
        found = self.check(0, self.properties, environment={"LEPTON_LANEZ": "1", "LEPTON_PORT": "tcp://10.0.0.1:80"})
        self.assertEqual(found["environment"], [("warn", "LEPTON_LANEZ means nothing to lepton")])

    def test_a_password_on_the_command_line_is_not_repeated(self):
        for argument in ("registry.url=ftp://user:hunter2@x", "registry.url=http://user:hunter2@x",
                         "registry.url=user:hunter2@x", "registry.password:hunter2", "http.token hunter2"):
            code, out, err = run("check", self.properties, "--set", argument)
            self.assertNotEqual(code, 0)
            self.assertNotIn("hunter2", out + err)
            self.assertIn(argument[:8], out + err)

    def test_print_config_shows_values_origins_and_no_secrets(self):
        code, out, err = run("check", self.properties, "--print-config", "--set", "http.token=hunter2",
                             environment={"LEPTON_LANES": "3"})
        self.assertEqual((code, err), (0, ""))
        self.assertIn("lanes = 3  # LEPTON_LANES\n", out)
        self.assertIn("http.token = ******  # --set\n", out)
        self.assertIn("group.id = ctr  # %s:3\n" % self.properties, out)
        self.assertNotIn("hunter2", out)
        code, out, err = run("check", self.properties, "--print-config", "--set", "lanes=x")
        self.assertEqual((code, out), (1, ""))
        self.assertTrue(err.startswith("lepton: check: --set: lanes=x"))

    def test_the_environment_alone_may_be_the_configuration(self):
        environment = {"LEPTON_KAFKA_BOOTSTRAP_SERVERS": "a:1", "LEPTON_INPUT_TOPICS": "clicks", "LEPTON_GROUP_ID": "g",
                       "LEPTON_INPUT_FORMAT": "json", "LEPTON_OUTPUT_FORMAT": "json", "LEPTON_MODEL_URI": "file:///m"}
        code, out, _ = run("check", "--print-config", "--set", "output.topic=o", environment=environment)
        self.assertEqual(code, 0)
        self.assertIn("kafka.bootstrap.servers = a:1  # LEPTON_KAFKA_BOOTSTRAP_SERVERS\n", out)
        code, _, err = run("check", "--print-config", environment=environment)
        self.assertEqual(code, 1)
        self.assertIn("output.topic is not set", err)

    def test_the_reference_is_markdown(self):
        code, out, _ = run("check", "--print-reference")
        self.assertEqual(code, 0)
        rows = [line for line in out.splitlines() if line.startswith("| `")]
        self.assertGreater(len(rows), 60)
        self.assertTrue(all(row.count(" | ") == 3 and row.endswith(" |") for row in rows))

    def test_wrong_uses_are_2(self):
        for arguments in ([], [self.model.path, "--print-config"], [self.properties, "--schema", self.schema],
                          [self.model.path, "--set", "lanes=1"], [self.properties, "--set", "lanes"],
                          [self.properties, self.properties]):
            code, out, err = run("check", *arguments)
            self.assertEqual((code, out), (2, ""), arguments)
            self.assertIn("see lepton check --help", err)

    def test_inspect_json_is_the_manifest(self):
        code, out, _ = run("inspect", self.model.path, "--json")
        self.assertEqual(code, 0)
        self.assertEqual(json.loads(out), json.loads(json.dumps(self.model.manifest)))

    def test_inspect_shows_features_in_order_and_the_kernels(self):
        code, out, _ = run("inspect", self.model.path, environment={"LEPTON_CPU_DISABLE": "avx2"})
        self.assertEqual(code, 0)
        self.assertTrue(out.startswith("mlp 1 (binary)\n"))
        self.assertLess(out.index("f0;"), out.index("f3;"))
        self.assertRegex(out, r"dense layer0\.weight 4x8")
        self.assertNotIn("avx", out)
        self.assertRegex(out, r"sha256 +[0-9a-f]{64}\n")
        mixed = program.mixed()
        code, out, _ = run("inspect", mixed.path)
        self.assertEqual(code, 0)
        self.assertIn("age <- user.age; missing mean 38.5, outlier clip [0, 120]", out)

    def test_inspect_plan_prints_each_step_and_what_it_takes(self):
        net = os.path.join(HERE, "../data/golden/net_deepfm.safetensors")
        code, out, err = run("inspect", net, "--plan")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^ +1  embedding +\[1\] +\[1,8\] .* t0$")
        self.assertRegex(out, r"(?m)^ *\d+  dense +\[89\] +\[24\] +\w+ +relu +\d+\+\d+ +96 +0\.0043  t9$")
        self.assertRegex(out, r"a row: \d+ bytes of arena \(\d+ without sharing\)")
        self.assertNotIn("reshape", out)  # views take no step
        self.assertRegex(out, r"(?m)^steps at batch 64; the fp32 peak of this core is \d+\.\d GFLOP/s")
        self.assertRegex(out, r"(?m)^ *\d+  dense +\w+ +[\d.]+ +[\d.]+ +[\d.]+%  t9$")
        self.assertEqual(run("inspect", net, "--plan", "--json")[0], 2)

    def test_names_of_a_bundle_cannot_steer_the_terminal(self):
        manifest = json.loads(json.dumps(self.model.manifest))
        manifest["training"]["tool"] = "evil\x1b]0;owned\x07"
        manifest["training"]["data"] = "sk\nlearn\x9b31m\n"
        evil = program.Model("evil.safetensors", manifest, self.model.tensors).path
        for arguments in (("inspect", evil), ("check", evil)):
            code, out, err = run(*arguments)
            self.assertEqual(code, 0, err)
            self.assertNotRegex(out + err, "[\x00-\x09\x0b-\x1f\x7f-\x9f]")
            if arguments[0] == "inspect":
                self.assertIn("sk?learn?31m?\n", out)

    def test_error_texts_cannot_steer_the_terminal(self):
        manifest = json.loads(json.dumps(self.model.manifest))
        manifest["\x1b[31mEVIL\nlepton: all is well"] = 1
        evil = program.Model("member.safetensors", manifest, self.model.tensors).path
        for arguments in (("inspect", evil), ("check", evil), ("score", evil, "-")):
            code, out, err = run(*arguments, data="{}")
            self.assertEqual(code, 1)
            self.assertIn("?[31mEVIL?lepton", out + err)
            self.assertNotRegex(out + err, "[\x00-\x09\x0b-\x1f\x7f-\x9f]")
            self.assertEqual((out + err).count("\n"), 1)


if __name__ == "__main__":
    unittest.main()
