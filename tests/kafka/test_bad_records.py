"""One record in a hundred damaged, in ten ways: each a dead letter that says where and why, and its neighbours scored."""
# slots: 6
# versions: first
# sanitized
# threads

import numpy as np

from case import KafkaCase, main, note, scaled
from control import Control
from damage import MAX_BYTES, Damage, reject_rules
from records import Records

PARTITIONS = 4


class BadRecords(KafkaCase):
    def test_damaged_records_become_dead_letters_and_two_swaps_cut_each_partition_once(self):
        settings = {**self.topics(PARTITIONS), "input.record.max_bytes": MAX_BYTES}
        models = {v: self.model(v, seed=int(v), edit=reject_rules) for v in ("1", "2", "3")}
        records = Records(models["1"].manifest, scaled(1_000_000), outliers=0)
        framing = self.input_framing()
        encoded = records.encode(framing)
        damage = Damage(self.registry, self.names["input"] + "-value", framing)
        damaged = self.damage_records(records, encoded, damage)

        worker = self.worker({**settings, "model.uri": models["1"].uri})
        control = Control(self.broker, self.names)
        self.produce_and_swap(records, encoded, control, models, worker)
        good = records.count - len(damaged)
        self.broker.wait_count(self.names["predictions"], good, 240, worker.check_alive)
        self.broker.wait_count(self.names["dead"], len(damaged), 30, worker.check_alive)
        self.wait_committed()
        worker.stop()

        messages, columns = self.predictions()
        self.assertEqual(len(messages), good)
        self.check_order(messages, columns)
        self.check_nothing_missing(columns, damaged, records.count)
        self.check_versions(messages, columns)
        self.check_scores_by_version(columns, records, models)
        self.check_dead_letters(encoded, damaged, damage)
        note("%d records, %d damaged in ten ways, two swaps", records.count, len(damaged))

    def damage_records(self, records, encoded, damage):
        """Damage one in a hundred in place; {index: kind}."""
        chosen = np.random.default_rng(5).choice(records.count, records.count // 100, replace=False)
        names = list(damage.kinds)
        damaged = {}
        for turn, index in enumerate(chosen.tolist()):
            kind = names[turn % len(names)]
            encoded[index] = damage.kinds[kind][0](records.dicts([index])[0])
            damaged[index] = kind
        return damaged

    def produce_and_swap(self, records, encoded, control, models, worker):
        """A hundred slices; a deployment is written after the 30th and the 60th and is live 30 slices later at the latest."""
        slice_size = records.count // 100
        producer = self.broker.producer()
        waits = {60: 1, 90: 2}
        for turn in range(100):
            if turn in waits:
                control.wait(waits[turn], "live", check=worker.check_alive)
            if turn == 30:
                control.deploy(1, models["2"].path)
            if turn == 60:
                control.deploy(2, models["3"].path)
            rows = range(turn * slice_size, (turn + 1) * slice_size)
            self.broker.send(self.names["input"], encoded[rows.start:rows.stop], producer=producer,
                             keys=records.ids[rows.start:rows.stop], partitions=[i % PARTITIONS for i in rows],
                             timestamps=records.times[rows.start:rows.stop])

    def check_nothing_missing(self, columns, damaged, count):
        index = columns["offset"] * PARTITIONS + columns["partition"]
        seen = np.zeros(count, bool)
        seen[index] = True
        expected = np.ones(count, bool)
        expected[list(damaged)] = False
        self.assertTrue(np.array_equal(seen, expected), "predictions and undamaged records differ")

    def check_versions(self, messages, columns):
        at = np.array([m.partition() for m in messages])
        for partition in range(PARTITIONS):
            versions = columns["version"][at == partition]
            changes = np.flatnonzero(versions[1:] != versions[:-1])
            self.assertEqual([versions[0], *versions[changes + 1]], ["1", "2", "3"],
                             "partition %d changes its model more than twice" % partition)

    def check_scores_by_version(self, columns, records, models):
        index = columns["offset"] * PARTITIONS + columns["partition"]
        for version, model in models.items():
            rows = columns["version"] == version
            expected = records.scores(model.manifest, model.tensors)
            self.assertLess(np.abs(columns["scores"][rows] - expected[index[rows]]).max(), 1e-5)

    def check_dead_letters(self, encoded, damaged, damage):
        letters = self.broker.read(self.names["dead"])
        self.assertEqual(len(letters), len(damaged))
        seen = set()
        for letter in letters:
            headers = {k: v.decode() for k, v in letter.headers()}
            index = int(headers["__connect.errors.offset"]) * PARTITIONS + int(headers["__connect.errors.partition"])
            kind = damaged[index]
            _, stage, field = damage.kinds[kind]
            self.assertEqual(headers["__connect.errors.topic"], self.names["input"])
            self.assertEqual(headers["__connect.errors.stage"], stage, (kind, headers))
            if field:
                self.assertEqual(headers.get("lepton.error.field"), field, (kind, headers))
            self.assertTrue(headers["__connect.errors.exception.message"], kind)
            self.assertTrue(headers["lepton.error.code"], kind)
            self.assertEqual(letter.value(), encoded[index], kind)
            seen.add(index)
        self.assertEqual(seen, set(damaged), "a damaged record has no dead letter of its own")


if __name__ == "__main__":
    main()
