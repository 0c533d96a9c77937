"""delivery=exactly_once: a read_committed reader sees each input once, whatever happens to workers and brokers."""
# sanitized

import signal
import time

import numpy as np

from case import LONG, SANITIZED, KafkaCase, main, note
from process import wait_for
from records import Records, decode_predictions
from stream import Stream

PARTITIONS = 4
RATE = 2000 if SANITIZED else 5000
KILLS = 12 if LONG else 3


class ExactlyOnce(KafkaCase):
    def start_stream(self, seconds, **settings):
        self.settings = {**self.topics(PARTITIONS), "delivery": "exactly_once", **settings}
        self.first = self.model()
        self.settings["model.uri"] = self.first.uri
        self.records = Records(self.first.manifest, RATE * seconds)
        self.stream = Stream(self, self.records, self.records.encode(self.input_framing()), RATE, PARTITIONS)

    def replica(self, number, **more):
        """A worker with a name of its own, whose place in the group survives a restart."""
        return self.worker({**self.settings, "replica.id": "r%d" % number, **more})

    def static(self, number, **more):
        return self.replica(number, **{"group.instance.id": "%sr%d" % (self.prefix, number), **more})

    def out_count(self):
        return sum(self.broker.ends(self.names["predictions"]).values())

    def wait_progress(self, worker, timeout_s=60):
        before = self.out_count()
        wait_for(lambda: worker.check_alive() or self.out_count() > before + RATE // 10, timeout_s, "progress", 0.05)

    def committed_predictions(self):
        messages = self.broker.read(self.names["predictions"], committed_only=True)
        values = [m.value() for m in messages]
        return messages, decode_predictions(values, self.registry.schema(int.from_bytes(values[0][1:5], "big")))

    def finish(self, workers):
        """End the stream, wait until all is committed; every input has exactly one prediction, in order, and right."""
        self.records.count = self.stream.stop()
        for worker in workers:
            worker.check_alive()
        self.wait_committed(60)
        messages, columns = self.committed_predictions()
        self.check_order(messages, columns)
        extra = self.check_complete(columns, self.records, PARTITIONS)
        self.assertEqual(extra, 0)
        self.check_scores(columns, self.first_scores(), PARTITIONS)
        written = len(self.broker.read(self.names["predictions"]))
        for worker in workers:
            worker.stop()
        return self.records.count, written - self.records.count

    def first_scores(self):
        return self.records.scores(self.first.manifest, self.first.tensors)[:self.records.count]

    def assigned(self, worker):
        worker.check_alive()
        return int(worker.metric("lepton_assigned_partitions"))

    def test_restarts_and_kill_9_repeat_nothing(self):
        self.start_stream(60 + 10 * KILLS, **{"transaction.commit_ms": 400})
        worker = self.static(0)
        self.wait_progress(worker)
        worker.stop()
        worker.start()
        for pause in np.random.default_rng(5).uniform(0.1, 0.6, KILLS):
            self.wait_progress(worker)
            time.sleep(pause)
            worker.kill()
            worker.start()
        self.wait_progress(worker)
        count, void = self.finish([worker])
        self.assertGreater(void, 0, "no kill fell into a transaction: nothing was tested")
        note("SIGTERM and %d x kill -9 at %d records/s: %d records once, %d aborted", KILLS, RATE, count, void)


if __name__ == "__main__":
    main()
