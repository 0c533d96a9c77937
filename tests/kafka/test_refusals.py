"""Outputs that the brokers do not take: refused for good they become dead letters, for now their partitions wait."""
# versions: first
# sanitized

import os
import time

import numpy as np

from case import KafkaCase, main, note
from process import wait_for
from records import Records

PARTITIONS = 4


class Refusals(KafkaCase):
    def start(self, count, **settings):
        self.settings = {**self.topics(PARTITIONS), **settings}
        self.first = self.model()
        self.settings["model.uri"] = self.first.uri
        self.records = Records(self.first.manifest, count)
        self.encoded = self.records.encode(self.input_framing())

    def send(self, rows, values=None, keys=None):
        keys = keys or self.records.ids
        values = values or self.encoded
        self.broker.send(self.names["input"], [values[i] for i in rows], keys=[keys[i] for i in rows],
                         timestamps=[self.records.times[i] for i in rows], partitions=[i % PARTITIONS for i in rows])

    def letters(self):
        return [(m, {k: v.decode() for k, v in m.headers()}) for m in self.broker.read(self.names["dead"])]

    def origin(self, headers):
        return int(headers["__connect.errors.offset"]) * PARTITIONS + int(headers["__connect.errors.partition"])

    def check_scored_once(self, without=()):
        _, columns = self.predictions()
        index = columns["offset"] * PARTITIONS + columns["partition"]
        seen = np.bincount(index, minlength=self.records.count)
        expected = np.ones(self.records.count, int)
        expected[list(without)] = 0
        self.assertTrue(np.array_equal(seen, expected), "not scored once: %s" % np.flatnonzero(seen != expected)[:5])

    def test_predictions_too_large_for_their_topic_become_dead_letters_and_their_batches_neighbours_go_on(self):
        """The topic takes 4 KiB a batch, keys of 6 KB are copied: refused by the broker, not by the client."""
        count = 2000
        self.start(count)
        self.broker.alter_topic(self.names["predictions"], max_message_bytes=4096)
        large = set(np.random.default_rng(3).choice(count, 15, replace=False).tolist())
        keys = [os.urandom(6000) if i in large else self.records.ids[i] for i in range(count)]
        worker = self.worker(self.settings)
        self.send(range(count), keys=keys)
        self.broker.wait_count(self.names["predictions"], count - len(large), 120, worker.check_alive)
        self.broker.wait_count(self.names["dead"], len(large), 60, worker.check_alive)
        self.wait_committed(60)
        refused = worker.metric("lepton_delivery_errors_total")
        worker.stop()
        self.check_scored_once(without=large)
        letters = self.letters()
        self.assertEqual({self.origin(h) for _, h in letters}, large)
        self.assertEqual(len(letters), len(large))
        for message, headers in letters:
            self.assertEqual(headers["__connect.errors.stage"], "publish")
            self.assertEqual(headers["lepton.error.code"], "limit")
            self.assertEqual(message.key(), keys[self.origin(headers)])
            self.assertEqual(message.value(), self.encoded[self.origin(headers)])
        note("%d predictions too large of %d, %d refusals for good", len(large), count, refused)

    def test_a_dead_letter_too_large_for_its_topic_goes_without_its_value(self):
        self.start(40)
        self.broker.alter_topic(self.names["dead"], max_message_bytes=1500)
        values = list(self.encoded)
        values[7] = b"\x07" + os.urandom(3000)
        values[9] = b"\x07short"
        keys = list(self.records.ids)
        keys[11], values[11] = os.urandom(3000), b"\x07short, and a key that does not fit"
        worker = self.worker(self.settings)
        self.send(range(40), values=values, keys=keys)
        self.broker.wait_count(self.names["dead"], 3, 60, worker.check_alive)
        self.wait_committed()
        worker.stop()
        self.check_scored_once(without={7, 9, 11})
        letters = {self.origin(h): (m, h) for m, h in self.letters()}
        self.assertEqual(set(letters), {7, 9, 11})
        self.assertIsNone(letters[7][0].value())
        self.assertEqual(letters[7][1]["lepton.error.value_bytes"], "3001")
        self.assertEqual(letters[9][0].value(), values[9])
        self.assertIsNone(letters[11][0].key())
        self.assertEqual(letters[11][1]["lepton.error.value_bytes"], str(len(values[11])))

    def test_a_dead_letter_topic_that_is_gone_stops_its_partitions_and_no_others_until_it_is_back(self):
        count = 4000
        self.start(count, **{"kafka.topic.metadata.refresh.interval.ms": 500})
        bad = {402, 802}  # partition 2
        values = [b"\x07broken" if i in bad else v for i, v in enumerate(self.encoded)]
        worker = self.worker(self.settings)
        self.send(range(400), values=values)
        self.broker.wait_count(self.names["predictions"], 400, 60, worker.check_alive)
        self.broker.admin.delete_topics([self.names["dead"]])[self.names["dead"]].result(30)
        wait_for(lambda: self.names["dead"] not in self.broker.admin.list_topics(timeout=5).topics, 30, "the topic to go")
        time.sleep(1.5)  # let the worker's client hear of it
        self.send(range(400, count), values=values)
        began = time.monotonic()
        wait_for(lambda: worker.check_alive() or worker.metric("lepton_stalled_partitions") == 1, 60, "the stall")
        stalled = time.monotonic() - began
        group = self.prefix + "group"
        others = {p: count // PARTITIONS for p in (0, 1, 3)}
        wait_for(lambda: {p: o for p, o in self.broker.committed(group, self.names["input"]).items() if p != 2} == others,
                 60, "the other partitions to be done", 0.2)
        waiting = self.broker.committed(group, self.names["input"])[2]
        self.assertLessEqual(waiting, 402 // PARTITIONS)  # nothing is stepped over
        self.assertIn("output_stalled", worker.child.log())
        self.broker.create_topic(self.names["dead"], 1)
        self.broker.wait_count(self.names["dead"], 2, 90, worker.check_alive)
        self.wait_committed(60)
        self.assertEqual(worker.metric("lepton_stalled_partitions"), 0)
        wait_for(lambda: "output_resumed" in worker.child.log(), 10, "the end of the stall to be told")  # at its next tick
        worker.stop()
        self.check_scored_once(without=bad)
        self.assertEqual({self.origin(h) for _, h in self.letters()}, bad)
        note("stalled after %.1f s; the others went on, the rest followed when the topic was back", stalled)

    def test_with_on_error_stop_the_worker_ends_and_says_why(self):
        self.start(400, **{"kafka.topic.metadata.refresh.interval.ms": 500, "dead_letter.on_error": "stop"})
        worker = self.worker(self.settings)
        self.broker.admin.delete_topics([self.names["dead"]])[self.names["dead"]].result(30)
        time.sleep(1.5)
        self.send(range(4), values=[b"\x07broken"] * 4)
        self.assertEqual(worker.child.wait(90), 1)
        self.assertIn("dead_letter.on_error=stop", worker.child.log())
        self.assertEqual(set(self.broker.committed(self.prefix + "group", self.names["input"]).values()), {-1})


if __name__ == "__main__":
    main()
