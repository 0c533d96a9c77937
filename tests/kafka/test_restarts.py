"""Workers that come and go in the middle of a stream: nothing lost; with a clean stop nothing twice either."""

import signal
import time

import numpy as np

from case import LONG, SANITIZED, KafkaCase, main, note
from process import wait_for
from records import Records
from stream import Doubled, Stream

PARTITIONS = 4
RATE = 4000 if SANITIZED else 10000
KILLS = 20 if LONG else 4
SESSION_S = 6
# Whatever may repeat records is counted by the worker that saw it.
INCIDENTS = ("lepton_lost_assignments_total", "lepton_revoke_deadlines_missed_total",
             "lepton_revoke_commits_failed_total", "lepton_stale_reports_total")


class Restarts(KafkaCase):
    def start_stream(self, seconds):
        self.settings = self.topics(PARTITIONS)
        self.first = self.model()
        self.settings["model.uri"] = self.first.uri
        self.records = Records(self.first.manifest, RATE * seconds)
        encoded = self.records.encode(self.input_framing())
        self.stream = Stream(self, self.records, encoded, RATE, PARTITIONS)

    def out_count(self):
        return self.broker.count(self.names["predictions"])

    def wait_progress(self, worker, timeout_s=60):
        """Until predictions are coming out of the present constellation of workers."""
        before = self.out_count()
        wait_for(lambda: worker.check_alive() or self.out_count() > before, timeout_s, "predictions to come out", 0.05)

    def finish(self, workers, duplicates):
        """End the stream, wait for the rest, stop the workers; everything must be there. Returns extra predictions."""
        count = self.stream.stop()
        if count % PARTITIONS:
            raise AssertionError("an uneven stream")

        def check():
            for worker in workers:
                worker.check_alive()

        self.broker.wait_count(self.names["predictions"], count, 120, check)
        self.wait_committed(40)
        self.incidents = sum(w.metric(name) for w in workers for name in INCIDENTS)
        for worker in workers:
            worker.stop()
        messages, columns = self.predictions()
        self.check_order(messages, columns, duplicates=duplicates != 0)
        self.records.count = count
        extra = self.check_complete(columns, self.records, PARTITIONS, duplicates)
        expected = self.records.scores(self.first.manifest, self.first.tensors)[:count]
        self.check_scores(columns, expected, PARTITIONS)
        return count, extra

    def test_five_clean_restarts_lose_and_repeat_nothing(self):
        self.start_stream(90)
        worker = self.worker(self.settings)
        slowest = 0
        for _ in range(5):
            self.wait_progress(worker)
            time.sleep(0.7)
            begin = time.monotonic()
            worker.stop()
            slowest = max(slowest, time.monotonic() - begin)
            worker.start()
        self.wait_progress(worker)
        count, extra = self.finish([worker], duplicates=0)
        note("5 x SIGTERM and restart under %d records/s: %d records, %d twice, slowest stop %.2f s", RATE, count, extra,
             slowest)

    def test_kill_9_loses_nothing(self):
        self.start_stream(60 + KILLS * (SESSION_S + 8))
        worker = self.worker(self.settings)
        pauses = np.random.default_rng(3).uniform(0.2, 1.5, KILLS)
        for pause in pauses:
            self.wait_progress(worker)
            time.sleep(pause)
            worker.kill()
            worker.start()
        self.wait_progress(worker)
        count, extra = self.finish([worker], duplicates=None)
        note("%d x kill -9 under %d records/s, session time-out %d s: %d records, 0 lost, %d repeated", KILLS, RATE,
             SESSION_S, count, extra)

    def scale(self, assignor):
        self.start_stream(120)
        self.settings["kafka.consumer.partition.assignment.strategy"] = assignor
        workers = [self.worker(self.settings)]
        self.wait_progress(workers[0])
        for _ in range(2):
            workers.append(self.worker(self.settings))
        wait_for(lambda: all(self.assigned(w) >= 1 for w in workers), 40, "three workers to have partitions", 0.2)
        self.wait_progress(workers[0])
        time.sleep(1)
        workers.pop(0).stop()
        wait_for(lambda: sum(self.assigned(w) for w in workers) == PARTITIONS, 40, "two workers to have all", 0.2)
        self.wait_progress(workers[0])
        time.sleep(1)
        count, extra = self.finish(workers, duplicates=0)
        note("1 -> 3 -> 2 workers, %s: %d records, 0 lost, %d twice", assignor, count, extra)

    def assigned(self, worker):
        worker.check_alive()
        return int(worker.metric("lepton_assigned_partitions"))

    def test_scaling_with_the_range_assignor_loses_and_repeats_nothing(self):
        self.scale("range")

    def test_scaling_with_the_cooperative_sticky_assignor_loses_and_repeats_nothing(self):
        self.scale("cooperative-sticky")

    def test_lanes_of_one_process_share_the_partitions(self):
        self.start_stream(60)
        worker = self.worker({**self.settings, "lanes": 3})
        self.wait_progress(worker)
        time.sleep(2)
        worker.stop()
        worker.start()
        self.wait_progress(worker)
        self.finish([worker], duplicates=0)

    def test_a_second_signal_ends_at_once(self):
        self.start_stream(60)
        worker = self.worker(self.settings)
        self.wait_progress(worker)
        self.broker.freeze()
        worker.child.signal(signal.SIGTERM)
        time.sleep(0.5)
        self.assertIsNone(worker.child.poll(), "the first signal drains, and the broker does not answer")
        begin = time.monotonic()
        worker.child.signal(signal.SIGTERM)
        worker.child.wait(5)
        self.assertLess(time.monotonic() - begin, 1)
        self.broker.thaw()
        worker.start()
        self.wait_progress(worker)
        self.finish([worker], duplicates=None)

    def test_a_broker_that_dies_and_comes_back_costs_nothing(self):
        """A stream that its own producer wrote twice says nothing: begun again, with topics of its own."""
        for attempt in range(3):
            try:
                return self.check_broker_restart()
            except Doubled as error:
                note("attempt %d: %s", attempt, error)
                self.tearDown()
        self.fail("three streams were written twice by the test's own producer")

    def check_broker_restart(self):
        self.start_stream(90)
        worker = self.worker(self.settings)
        self.wait_progress(worker)
        self.broker.stop_node(number=signal.SIGTERM)
        time.sleep(2)
        worker.check_alive()
        self.broker.start()
        wait_for(self.broker.answers, 30, "the broker to be back")
        self.wait_progress(worker)
        count, extra = self.finish([worker], duplicates=None)
        if extra:
            self.assertGreater(self.incidents, 0, "%d records came twice and no counter says why" % extra)
        note("broker restarted under %d records/s: %d records, 0 lost, %d repeated", RATE, count, extra)


if __name__ == "__main__":
    main()
