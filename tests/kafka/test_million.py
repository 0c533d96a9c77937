"""A million Avro records over four partitions: each scored once, right, in order, and committed."""
# slots: 6

import time

import numpy as np

from case import KafkaCase, main, note, scaled
from process import wait_for
from records import Records


class Million(KafkaCase):
    def test_every_record_is_scored_once_in_order_and_committed(self):
        settings = self.topics(partitions=4)
        model = self.model()
        records = Records(model.manifest, scaled(1_000_000))
        self.produce(records)
        expected = records.scores(model.manifest, model.tensors)
        worker = self.worker({**settings, "model.uri": model.uri})
        begin = time.monotonic()
        self.broker.wait_count(self.names["predictions"], records.count, 240, worker.check_alive)
        note("%d records scored in %.1f s", records.count, time.monotonic() - begin)
        self.wait_committed()
        for name in ("lepton_records_total", "lepton_predictions_total", "lepton_acknowledged_total"):
            wait_for(lambda n=name: worker.metric(n) == records.count, 5, "%s to say %d" % (name, records.count), 0.1)
        worker.stop()
        self.wait_committed()

        messages, columns = self.predictions()
        self.assertEqual(len(messages), records.count)
        self.check_order(messages, columns)
        self.check_complete(columns, records)
        note("largest difference from numpy %.2e", self.check_scores(columns, expected))
        self.assertEqual(set(columns["version"]), {"1"})
        self.check_keys_and_times(messages, columns, records)
        self.assertEqual(self.broker.count(self.names["dead"]), 0)

    def check_keys_and_times(self, messages, columns, records):
        index = columns["offset"] * 4 + columns["partition"]
        self.assertEqual([m.key().decode() for m in messages], [records.ids[i] for i in index])
        times = np.array([m.timestamp()[1] for m in messages])
        self.assertTrue(np.array_equal(times, records.times[index]), "a prediction's timestamp is not its input's")


if __name__ == "__main__":
    main()
