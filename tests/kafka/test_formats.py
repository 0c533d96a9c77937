"""What goes in and what comes out: JSON, bare and single-object Avro, schemas that change, a registry that fails, headers,
keys, timestamps and tombstones."""
# versions: first

import json
import os
import resource
import struct
import subprocess
import time

import fastavro
import numpy as np

import reference
from case import KafkaCase, main, note, scaled
from process import wait_for
from records import Records, confluent_framing, decode_avro, decode_predictions, encode_avro, schema
from registry import Apicurio

COUNT = 4000
JSON_KEYS = ("version", "scores", "partition", "offset")


class Formats(KafkaCase):
    def start(self, partitions=4, **more):
        self.settings = self.topics(partitions)
        self.first = self.model()
        self.records = Records(self.first.manifest, COUNT)
        return self.worker({**self.settings, "model.uri": self.first.uri, **more})

    def schema_file(self, name, value):
        path = os.path.join(self.folder, name + ".avsc")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(value, file)
        return path

    def send(self, values, **more):
        self.broker.send(self.names["input"], values, partitions=[i % 4 for i in range(len(values))], **more)

    def finish(self, worker, count=COUNT):
        self.broker.wait_count(self.names["predictions"], count, 40, worker.check_alive)
        self.wait_committed()
        worker.stop()
        self.assertEqual(self.broker.count(self.names["dead"]), 0)

    def check_against_numpy(self, columns):
        self.check_complete(columns, self.records)
        self.check_scores(columns, self.records.scores(self.first.manifest, self.first.tensors))

    def test_json_in_and_json_out_and_kcat_reads_it(self):
        worker = self.start(**{"input.format": "json", "output.format": "json", "registry.url": None,
                               "input.event_time": "time", "output.fields": ",".join(JSON_KEYS[:2]) + ",event_time,"
                               + ",".join(JSON_KEYS[2:])})
        self.send(self.records.json(), keys=self.records.ids)
        self.finish(worker)
        rows = [json.loads(m.value()) for m in self.broker.read(self.names["predictions"])]
        columns = {key: np.array([row[key] for row in rows]) for key in JSON_KEYS}
        self.check_against_numpy(columns)
        index = columns["offset"] * 4 + columns["partition"]
        self.assertEqual([row["event_time"] for row in rows], self.records.times[index].tolist())

        printed = subprocess.run(["kcat", "-b", self.broker.bootstrap, "-t", self.names["predictions"], "-C", "-e", "-q",
                                  "-o", "beginning", "-f", "%k %s\\n"], capture_output=True, text=True, check=True).stdout
        lines = dict(line.split(" ", 1) for line in printed.splitlines())
        self.assertEqual(len(lines), COUNT)
        scores = {i: s for i, s in zip(index.tolist(), columns["scores"])}
        self.assertEqual(json.loads(lines[self.records.ids[7]])["scores"], scores[7].tolist())

    def test_json_records_with_holes_text_and_nonsense_part_cleanly(self):
        worker = self.start(**{"input.format": "json"})
        whole = self.records.dicts([0])[0]
        no_f3 = {k: v for k, v in whole.items() if k != "f3"}
        lines = [json.dumps(whole), json.dumps(no_f3), json.dumps({**whole, "f3": None}), json.dumps({**whole, "f3": "x"}),
                 "{" + json.dumps(whole), "[]", json.dumps({"f9": whole["f9"], **whole, "more": {"deep": [1, {"f0": 2}]}})]
        self.broker.send(self.names["input"], [line.encode() for line in lines], partitions=[0] * len(lines))
        self.broker.wait_count(self.names["predictions"], 4, 30, worker.check_alive)
        self.broker.wait_count(self.names["dead"], 3, 30, worker.check_alive)
        worker.stop()
        _, columns = self.predictions()
        self.assertEqual(columns["offset"].tolist(), [0, 1, 2, 6])
        expected = reference.score_records(self.first.manifest, self.first.tensors, [whole, no_f3, no_f3, whole]).scores
        self.assertLess(np.abs(columns["scores"] - expected).max(), 1e-5)
        letters = [{k: v.decode() for k, v in m.headers()} for m in self.broker.read(self.names["dead"])]
        self.assertEqual([int(h["__connect.errors.offset"]) for h in letters], [3, 4, 5])
        self.assertEqual({h["__connect.errors.stage"] for h in letters}, {"decode"})
        self.assertEqual(letters[0]["lepton.error.field"], "f3")

    def test_bare_avro_with_a_schema_file(self):
        worker = self.start(**{"input.format": "avro", "input.schema.path": self.schema_file("bare", schema())})
        self.send(self.records.encode(b""))
        self.finish(worker)
        _, columns = self.predictions()
        self.check_against_numpy(columns)

    def test_single_object_encoding_finds_the_schema_by_its_fingerprint(self):
        other = self.schema_file("other", schema(number="double"))
        path = self.schema_file("this", schema())
        worker = self.start(**{"input.format": "single_object", "input.schema.path": "%s,%s" % (other, path)})
        canonical = fastavro.schema.to_parsing_canonical_form(schema())
        fingerprint = bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
        self.send(self.records.encode(b"\xc3\x01" + fingerprint))
        self.finish(worker)
        _, columns = self.predictions()
        self.check_against_numpy(columns)

    def test_predictions_without_framing_and_with_a_configured_id(self):
        worker = self.start(**{"output.framing": "none"})
        self.produce(self.records)
        self.finish(worker)
        with open(os.path.join(os.path.dirname(__file__), "..", "..", "schemas", "prediction.avsc"),
                  encoding="utf-8") as file:
            full = json.load(file)
        subset = {**full, "fields": [f for f in full["fields"] if f["name"] in JSON_KEYS]}
        messages = self.broker.read(self.names["predictions"])
        self.check_against_numpy(decode_predictions([m.value() for m in messages], subset, framing_bytes=0))

        worker = self.start(**{"output.schema.id": 77, "input.format": "json", "registry.url": None})
        self.send(self.records.json())
        self.finish(worker)
        messages = self.broker.read(self.names["predictions"])
        self.assertEqual({m.value()[:5] for m in messages}, {confluent_framing(77)})
        self.check_against_numpy(decode_predictions([m.value() for m in messages], subset))

    def test_fields_that_are_carried_along_come_out_as_they_went_in(self):
        named = {"output.copy": "id,f3:double,time:timestamp,f0"}
        worker = self.start(**named)
        self.produce(self.records)
        self.finish(worker)
        messages = self.broker.read(self.names["predictions"])
        written = self.registry.schema(struct.unpack_from(">I", messages[0].value(), 1)[0])
        rows = [decode_avro(written, message.value()) for message in messages]
        self.check_against_numpy({key: np.array([row[key] for row in rows]) for key in JSON_KEYS})
        sent = self.records.dicts()
        for row in rows:
            copied, one = row["copied"], sent[row["offset"] * 4 + row["partition"]]
            self.assertEqual((copied["id"], copied["f3"]), (one["id"], np.float32(one["f3"])))
            self.assertEqual(copied["time"].timestamp() * 1000, one["time"])
            self.assertEqual(np.float32(copied["f0"]), np.float32(one["f0"]))

        worker = self.start(**named, **{"input.format": "json", "output.format": "json", "registry.url": None})
        lines = self.records.json()
        missing = json.loads(lines[5])
        del missing["id"], missing["time"]
        lines[5] = json.dumps(missing).encode()
        self.send(lines)
        self.finish(worker)
        for message in self.broker.read(self.names["predictions"]):
            copied = json.loads(message.value())["copied"]
            one = json.loads(lines[message.offset() * 4 + message.partition()])
            self.assertEqual((copied["id"], copied["time"]), (one.get("id"), one.get("time")))
            self.assertEqual((copied["f3"], float(copied["f0"])), (one["f3"], one["f0"]))

    def test_fit_reads_the_json_values_of_a_topic(self):
        settings = {**self.topics(4), "kafka.bootstrap.servers": self.broker.bootstrap}
        path = os.path.join(self.folder, self.prefix + "fit.properties")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines("%s=%s\n" % item for item in settings.items())
        values = np.random.default_rng(3).normal(size=COUNT)
        lines = [json.dumps({"x": float(v), "c": "ab"[i % 2]}, indent=1 if i % 3 == 0 else None).encode()
                 for i, v in enumerate(values)]
        self.send(lines)
        for data, kept in (("", values), ("@100-600", values[400:2400])):
            done = subprocess.run([os.environ["LEPTON_BINARY"], "fit", "kafka:" + self.names["input"] + data, "--config",
                                   path, "--json"], capture_output=True, timeout=120, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(done.stdout)
            self.assertEqual((report["records"], report["rejected"]), (len(kept), 0))
            x = report["columns"][0]
            self.assertAlmostEqual(x["mean"], kept.mean(), delta=1e-12)
            self.assertAlmostEqual(x["std"], kept.std(), delta=1e-12)
        done = subprocess.run([os.environ["LEPTON_BINARY"], "fit", "kafka:no-such-topic", "--config", path],
                              capture_output=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"is empty", done.stderr)

    def test_train_learns_from_the_json_values_of_a_topic_as_from_a_file(self):
        settings = {**self.topics(4), "kafka.bootstrap.servers": self.broker.bootstrap}
        path = os.path.join(self.folder, self.prefix + "train.properties")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines("%s=%s\n" % item for item in settings.items())
        x = np.random.default_rng(5).normal(size=COUNT)
        lines = [json.dumps({"x": float(v), "c": "ab"[i % 2], "y": int(v > 0)}).encode() for i, v in enumerate(x)]
        self.send(lines)

        def train(data, name, *options, code=0, **more):
            out = os.path.join(self.folder, self.prefix + name)
            done = subprocess.run([os.environ["LEPTON_BINARY"], "train", data, "--label", "y", "--epochs", "3", "-o", out,
                                   "--json", *options], capture_output=True, timeout=120, check=False, **more)
            self.assertEqual(done.returncode, code, done.stderr)
            if code != 0:
                return done.stderr
            with open(out, "rb") as file:
                size = int.from_bytes(file.read(8), "little")
                manifest = json.loads(json.loads(file.read(size))["__metadata__"]["lepton"])
                return manifest, file.read(), json.loads(done.stdout.splitlines()[0])

        for offsets, first, last in (("", 0, COUNT // 4), ("@100-600", 100, 600)):
            as_file = os.path.join(self.folder, self.prefix + "rows.jsonl")
            with open(as_file, "wb") as file:
                file.writelines(line + b"\n" for p in range(4) for line in lines[p::4][first:last])
            topic = train("kafka:" + self.names["input"] + offsets, "a.safetensors", "--config", path)
            plain = train(as_file, "b.safetensors")
            self.assertEqual(topic[1], plain[1])
            self.assertEqual(topic[0]["training"].pop("data"), "kafka:" + self.names["input"] + offsets)
            plain[0]["training"].pop("data")
            self.assertEqual(topic[0]["training"], plain[0]["training"])
            self.assertEqual(topic[2]["data"], "kafka:" + self.names["input"] + offsets)
            self.assertGreater(topic[0]["training"]["metrics"]["valid.auc"], 0.95)
        self.assertIn(b"is empty", train("kafka:no-such-topic", "c", "--config", path, code=1))
        # Few rows are written when the last one is there: what finds no room then is as little forgotten.
        full = train("kafka:" + self.names["input"] + "@0-9", "c", "--config", path, code=1, restore_signals=False,
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16)))
        self.assertIn(b"no room", full)
        self.broker.send(self.names["input"], [b'{"x":1,"y":'])
        told = train("kafka:" + self.names["input"], "c", "--config", path, code=1)
        self.assertIn(b"kafka:" + self.names["input"].encode(), told)


class Carried(KafkaCase):
    def test_key_headers_and_timestamp_are_carried_and_headers_that_would_lie_are_not(self):
        settings = self.topics(4)
        model = self.model()
        records = Records(model.manifest, 8)
        worker = self.worker({**settings, "model.uri": model.uri})
        headers = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("twice", b"1"),
                   ("twice", b"2"), ("null", None), ("ce_type", b"features"), ("content-type", b"avro/binary")]
        encoded = records.encode(self.input_framing())
        self.broker.send(self.names["input"], encoded, keys=records.ids, timestamps=records.times,
                         partitions=[i % 4 for i in range(8)], headers=[headers] * 4 + [[]] * 4)
        self.broker.wait_count(self.names["predictions"], 8, 30, worker.check_alive)
        worker.stop()
        messages, columns = self.predictions()
        for message, offset, partition in zip(messages, columns["offset"], columns["partition"]):
            index = int(offset * 4 + partition)
            self.assertEqual(message.key().decode(), records.ids[index])
            self.assertEqual(message.timestamp()[1], records.times[index])
            carried = message.headers() or []
            if index >= 4:
                self.assertEqual(carried, [])
                continue
            self.assertEqual([h for h in carried if h[0] not in ("ce_type", "content-type")], headers[:4])
            self.assertNotIn(("ce_type", b"features"), carried)

    def test_tombstones_are_forwarded_skipped_or_dead_letters(self):
        for policy, forwarded, dead in (("forward", 1, 0), ("skip", 0, 0), ("dead_letter", 0, 1)):
            settings = self.topics(1)
            model = self.model()
            records = Records(model.manifest, 2)
            worker = self.worker({**settings, "model.uri": model.uri, "input.tombstone": policy})
            encoded = records.encode(self.input_framing())
            self.broker.send(self.names["input"], [encoded[0], None, encoded[1]], keys=["a", "b", "c"])
            self.broker.wait_count(self.names["predictions"], 2 + forwarded, 30, worker.check_alive)
            self.wait_committed()
            worker.stop()
            messages = self.broker.read(self.names["predictions"])
            self.assertEqual([m.key() for m in messages], [b"a", b"b", b"c"] if forwarded else [b"a", b"c"], policy)
            if forwarded:
                self.assertIsNone(messages[1].value())
            self.assertEqual(self.broker.count(self.names["dead"]), dead, policy)

    def test_partition_counts_that_differ_are_keyed_as_java_does(self):
        settings = self.topics(4)
        self.broker.create_topic(self.prefix + "other", 3)
        settings["output.topic"] = self.prefix + "other"
        model = self.model()
        records = Records(model.manifest, 2000)
        worker = self.worker({**settings, "model.uri": model.uri})
        self.produce(records)
        self.broker.wait_count(self.prefix + "other", records.count, 30, worker.check_alive)
        worker.stop()
        found = {m.key(): m.partition() for m in self.broker.read(self.prefix + "other")}
        # librdkafka's murmur2_random is Java's partitioner: an independent producer says where keys belong.
        self.broker.create_topic(self.prefix + "java", 3)
        self.broker.send(self.prefix + "java", [b""] * records.count, keys=records.ids,
                         producer=self.broker.producer(partitioner="murmur2_random"))
        expected = {m.key(): m.partition() for m in self.broker.read(self.prefix + "java")}
        self.assertEqual(found, expected)


class RegistryTrouble(KafkaCase):
    """While the registry is away only what needs it waits."""

    def trouble(self, begin, end):
        settings = self.topics(4)
        model = self.model()
        records = Records(model.manifest, 4000)
        worker = self.worker({**settings, "model.uri": model.uri})
        half = records.count // 2
        known = records.encode(self.input_framing())
        self.send_rows(known, range(0, 8))
        self.broker.wait_count(self.names["predictions"], 8, 30, worker.check_alive)

        # Partition 3 gets records of a schema that nobody has fetched; the others go on with the known one.
        unknown = confluent_framing(self.registry.register(self.prefix + "new", schema(more=[
            {"name": "more" + self.prefix.strip("-"), "type": ["null", "string"], "default": None}])))
        values = [known[i] if i % 4 < 3 else unknown + known[i][5:] + b"\0" for i in range(records.count)]
        begin()
        try:
            self.send_rows(values, range(8, half))
            self.broker.wait_count(self.names["predictions"], 8 + (half - 8) * 3 // 4, 30, worker.check_alive)
            wait_for(lambda: worker.metric("lepton_held_partitions") == 1, 10, "one held partition")
            time.sleep(2)
            self.assertEqual(self.broker.ends(self.names["predictions"])[3], 2, "records whose schema is unknown came out")
            self.assertEqual(self.broker.count(self.names["dead"]), 0, "a registry that is away is no bad record")
        finally:
            end()
        self.send_rows(values, range(half, records.count))
        self.broker.wait_count(self.names["predictions"], records.count, 60, worker.check_alive)
        self.wait_committed()
        worker.stop()
        messages, columns = self.predictions()
        self.assertEqual(len(messages), records.count)
        self.check_order(messages, columns)
        self.check_complete(columns, records)
        self.check_scores(columns, records.scores(model.manifest, model.tensors))
        self.assertEqual(self.broker.count(self.names["dead"]), 0)

    def send_rows(self, values, rows):
        self.broker.send(self.names["input"], values[rows.start:rows.stop], partitions=[i % 4 for i in rows])

    def test_a_registry_that_refuses_connections_holds_one_partition_and_loses_nothing(self):
        self.trouble(self.registry.stop, self.registry.start)

    def test_a_registry_that_answers_503_holds_one_partition_and_loses_nothing(self):
        def begin():
            self.registry.fail_status = 503

        def end():
            self.registry.fail_status = None

        self.trouble(begin, end)

    def test_basic_and_bearer_authentication(self):
        for more, header in (({"registry.user": "ann", "registry.password": "secret"}, "Basic YW5uOnNlY3JldA=="),
                             ({"registry.token": "abc"}, "Bearer abc")):
            settings = self.topics(4)
            model = self.model()
            framing = self.input_framing()
            self.registry.authorization = header
            try:
                worker = self.worker({**settings, "model.uri": model.uri, **more})
                self.produce(Records(model.manifest, 40), framing=framing)
                self.broker.wait_count(self.names["predictions"], 40, 30, worker.check_alive)
                worker.stop()
                self.assertNotIn("secret", worker.child.log())
            finally:
                self.registry.authorization = None


class Evolution(KafkaCase):
    """Against a real registry: the writer's schema changes in the middle of the topic, twice."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry.stop()
        cls.registry = Apicurio()

    def versions(self):
        plain = schema()
        fields = {f["name"]: f for f in plain["fields"]}
        shuffled = [{"name": "session", "type": {"type": "record", "name": "Session", "fields": [
            {"name": "pages", "type": {"type": "array", "items": "string"}},
            {"name": "flags", "type": {"type": "map", "values": "boolean"}}]}}]
        shuffled += [{**fields["f%d" % i], "type": "double"} for i in reversed(range(10))] + [fields["id"], fields["time"]]
        second = {**plain, "fields": shuffled}
        third = {**plain, "fields": [*(f for f in shuffled if f["name"] != "f3"),
                                     {"name": "f3", "type": ["null", "float"], "default": None}]}
        return [plain, second, third]

    def test_the_writers_schema_changes_twice_in_the_middle_of_the_topic(self):
        settings = self.topics(4)
        model = self.model()
        records = Records(model.manifest, scaled(90000))
        worker = self.worker({**settings, "model.uri": model.uri, "input.event_time": "time"})
        rows = records.dicts()
        for index, row in enumerate(rows):
            row["session"] = {"pages": ["a", "bc"] * (index % 3), "flags": {"x": True}}
            if index >= len(rows) * 2 // 3 and index % 7 == 0:
                row["f3"] = None
        third = len(rows) // 3
        encoded = []
        for turn, writer in enumerate(self.versions()):
            framing = confluent_framing(self.registry.register(self.names["input"] + "-value", writer))
            encoded += encode_avro(writer, rows[turn * third:(turn + 1) * third], framing)
        self.broker.send(self.names["input"], encoded, partitions=[i % 4 for i in range(len(encoded))])
        self.broker.wait_count(self.names["predictions"], len(encoded), 60, worker.check_alive)
        self.wait_committed()
        worker.stop()
        messages, columns = self.predictions()
        self.assertEqual(len(messages), len(encoded))
        self.check_order(messages, columns)
        index = columns["offset"] * 4 + columns["partition"]
        expected = reference.score_records(model.manifest, model.tensors, rows).scores
        self.assertLess(np.abs(columns["scores"] - expected[index]).max(), 1e-5)
        self.assertEqual(self.broker.count(self.names["dead"]), 0)
        note("three writer schemas in one topic of %d records, all within 1e-5 of numpy", len(encoded))

    def test_any_two_subsets_of_the_prediction_schema_are_backward_compatible(self):
        subject = "subsets-of-predictions"
        for fields, copied in (("scores", ""), ("slot,version,scores,label,event_time,partition,offset", "f1,id"),
                               ("scores,items,missing_count", "f2:double,time:timestamp")):
            settings = self.topics(1)
            model = self.model()
            worker = self.worker({**settings, "model.uri": model.uri, "output.fields": fields,
                                  "output.schema.subject": subject, **({"output.copy": copied} if copied else {})})
            self.registry.set_compatibility(subject, "FULL")
            self.broker.send(self.names["input"], Records(model.manifest, 4).encode(self.input_framing()))
            self.broker.wait_count(self.names["predictions"], 4, 30, worker.check_alive)
            value = self.broker.read(self.names["predictions"])[0].value()
            written = self.registry.schema(struct.unpack_from(">I", value, 1)[0])
            self.assertEqual([f["name"] for f in written["fields"]], fields.split(",") + ["copied"] * bool(copied))
            self.assertEqual(len(decode_avro(written, value)["scores"]), 1)
            worker.stop()


if __name__ == "__main__":
    main()
