"""delivery=exactly_once: a read_committed reader sees each input once, whatever happens to workers and brokers."""
# sanitized

import io
import signal
import time

import fastavro
import numpy as np
from confluent_kafka import KafkaException

from bundle import number_baseline
from case import LONG, SANITIZED, KafkaCase, main, note
from control import Control
from process import wait_for
from records import Records, decode_predictions
from stream import Stream

PARTITIONS = 4
RATE = 1000 if SANITIZED else 4000
KILLS = 12 if LONG else 3
SESSION_S = 6
TRANSACTION_S = 15  # lepton's transaction.timeout.ms
LONG_KEY_BYTES = 5000
SHUTDOWN_MS = 4000


def watched(features):
    """A baseline for the first feature, so that drift counts its rows."""
    rule = features[0]["normalize"]
    features[0]["baseline"] = number_baseline(np.random.default_rng(1).normal(rule["mean"], rule["std"], 10000))


class ExactlyOnce(KafkaCase):
    def prepare(self, seconds, **settings):
        self.settings = {**self.topics(PARTITIONS), "delivery": "exactly_once", **settings}
        self.first = self.model(edit=watched)
        self.settings["model.uri"] = self.first.uri
        self.records = Records(self.first.manifest, RATE * seconds, outliers=0)

    def start_stream(self, seconds, **settings):
        self.prepare(seconds, **settings)
        self.stream = Stream(self, self.records, self.records.encode(self.input_framing()), RATE, PARTITIONS)

    def replica(self, number, **more):
        """A worker with a name of its own."""
        return self.worker({**self.settings, "replica.id": "r%d" % number, **more})

    def static(self, number):
        """Its place in the group survives a restart, so that a kill costs no session time-out."""
        return self.replica(number, **{"group.instance.id": "%sr%d" % (self.prefix, number)})

    def out_count(self):
        return sum(self.broker.ends(self.names["predictions"]).values())

    def has_leaders(self):
        try:
            return self.out_count() >= 0
        except KafkaException:
            return False

    def wait_progress(self, worker, timeout_s=60):
        before = self.out_count()
        wait_for(lambda: worker.check_alive() or self.out_count() > before + RATE // 10, timeout_s, "progress", 0.05)

    def read_committed(self, topic, count):
        """The group's offsets may be final before the last transaction's markers have reached every partition."""
        messages = []

        def enough():
            messages[:] = self.broker.read(topic, committed_only=True)
            return len(messages) >= count
        try:
            wait_for(enough, 20, "%d records in %s" % (count, topic), 0.2)
        except TimeoutError:
            pass  # whoever counts them says which are missing
        return messages

    def committed_predictions(self, count):
        messages = self.read_committed(self.names["predictions"], count)
        values = [m.value() for m in messages]
        return messages, decode_predictions(values, self.registry.schema(int.from_bytes(values[0][1:5], "big")))

    def finish(self, workers):
        """End the stream; every input has exactly one prediction, in order, and right. Returns (inputs, aborted)."""
        self.records.count = self.stream.stop()
        for worker in workers:
            worker.check_alive()
        self.wait_committed(60)
        messages, columns = self.committed_predictions(self.records.count)
        self.check_order(messages, columns)
        self.check_complete(columns, self.records, PARTITIONS)
        self.check_scores(columns, self.records.scores(self.first.manifest, self.first.tensors)[:self.records.count],
                          PARTITIONS)
        written = len(self.broker.read(self.names["predictions"]))
        for worker in workers:
            worker.stop()
        return self.records.count, written - self.records.count

    def assigned(self, worker):
        worker.check_alive()
        return int(worker.metric("lepton_assigned_partitions"))

    def test_restarts_and_kill_9_repeat_nothing(self):
        # Long transactions, so that kills fall into them.
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

    def test_a_worker_that_sleeps_past_its_session_and_its_transaction_repeats_nothing(self):
        self.start_stream(120)
        sleeper, other = self.replica(0), self.replica(1)
        wait_for(lambda: self.assigned(sleeper) == self.assigned(other) == PARTITIONS // 2, 40, "both to own partitions")
        self.wait_progress(sleeper)
        sleeper.child.signal(signal.SIGSTOP)
        wait_for(lambda: self.assigned(other) == PARTITIONS, 40, "the other to own all", 0.2)
        time.sleep(TRANSACTION_S - SESSION_S + 4)
        sleeper.child.signal(signal.SIGCONT)
        lost = "lepton_lost_assignments_total"
        wait_for(lambda: sleeper.metric(lost) > 0, 60, "the sleeper to notice", 0.2)
        wait_for(lambda: self.assigned(sleeper) == PARTITIONS // 2, 60, "the sleeper to be back", 0.2)
        self.wait_progress(sleeper)
        ended = sleeper.metric("lepton_transactions_fenced_total") + sleeper.metric("lepton_transactions_aborted_total")
        count, void = self.finish([sleeper, other])
        note("SIGSTOP past session and transaction time-out: %d records once, %d aborted, %d transactions ended",
             count, void, ended)

    def test_swaps_pauses_and_tombstones_between_kills_repeat_nothing(self):
        self.prepare(60, **{"transaction.commit_ms": 300, "input.tombstone": "forward"})
        encoded = self.records.encode(self.input_framing())
        nulls = np.arange(500, self.records.count, 1000)
        for index in nulls:
            encoded[index] = None
        self.stream = Stream(self, self.records, encoded, RATE, PARTITIONS)
        control, second = Control(self.broker, self.names), self.model("2", edit=watched)
        worker = self.static(0)
        self.wait_progress(worker)
        for generation, (model, paused) in enumerate([(second, False), (second, True), (self.first, False)], 1):
            control.deploy(generation, model.path, paused=paused)
            if generation == 1:  # the swap falls to a worker that ends what another left open
                worker.kill()
                worker.start()
            control.wait(generation, "live", check=worker.check_alive)
            if not paused:
                self.wait_progress(worker)
        count = self.stream.stop()
        self.wait_committed(60)
        messages = self.read_committed(self.names["predictions"], count)
        worker.stop()
        self.assertEqual(sorted(m.key().decode() for m in messages), sorted(self.records.ids[:count]))
        self.assertEqual(sum(m.value() is None for m in messages), (nulls < count).sum())
        for partition in range(PARTITIONS):  # ids rise with the offsets
            keys = [m.key() for m in messages if m.partition() == partition]
            self.assertEqual(keys, sorted(keys))
        scored = [m for m in messages if m.value() is not None]
        writer = self.registry.schema(int.from_bytes(scored[0].value()[1:5], "big"))
        self.assertEqual(set(decode_predictions([m.value() for m in scored], writer)["version"]), {"1", "2"})

    def scale(self, assignor):
        self.start_stream(120, **{"kafka.consumer.partition.assignment.strategy": assignor})
        workers = [self.replica(0)]
        self.wait_progress(workers[0])
        workers += [self.replica(1), self.replica(2)]
        wait_for(lambda: all(self.assigned(w) >= 1 for w in workers), 40, "three workers to have partitions", 0.2)
        self.wait_progress(workers[0])
        workers.pop(0).stop()
        wait_for(lambda: sum(self.assigned(w) for w in workers) == PARTITIONS, 40, "two workers to have all", 0.2)
        self.wait_progress(workers[0])
        count, void = self.finish(workers)
        note("1 -> 3 -> 2 workers, %s: %d records once, %d aborted", assignor, count, void)

    def test_scaling_with_the_range_assignor_repeats_nothing(self):
        self.scale("range")

    def test_scaling_with_the_cooperative_sticky_assignor_repeats_nothing(self):
        self.scale("cooperative-sticky")

    def test_a_broker_that_dies_and_comes_back_repeats_nothing(self):
        self.start_stream(120)
        worker = self.replica(0)
        self.wait_progress(worker)
        self.broker.stop_node(number=signal.SIGTERM)
        time.sleep(1)
        worker.check_alive()
        self.broker.start()
        wait_for(self.broker.answers, 60, "the broker to be back")
        wait_for(self.has_leaders, 60, "the partitions to have leaders", 0.2)
        self.wait_progress(worker)
        count, void = self.finish([worker])
        note("broker restarted: %d records once, %d aborted", count, void)

    def test_outputs_that_the_broker_refuses_abort_their_transaction_and_become_dead_letters(self):
        # Batches below the topic's bound, so that a refusal is about one message.
        self.prepare(2, **{"transaction.commit_ms": 50, "kafka.producer.batch.size": LONG_KEY_BYTES // 2,
                           "kafka.producer.compression.type": "none"})
        self.settings["drift.topic"] = self.names["drift"]
        self.broker.alter_topic(self.names["predictions"], max_message_bytes=LONG_KEY_BYTES)
        refused = np.arange(100, self.records.count, self.records.count // 5)
        keys = list(self.records.ids)
        for index in refused:
            keys[index] = "k" * LONG_KEY_BYTES * 2
        encoded = self.records.encode(self.input_framing())
        worker = self.replica(0)
        self.broker.send(self.names["input"], encoded, keys=keys, timestamps=self.records.times,
                         partitions=np.arange(self.records.count) % PARTITIONS)
        self.wait_committed(60)
        wait_for(lambda: worker.metric("lepton_committed_records_total") == self.records.count, 5, "the counter")
        aborted = worker.metric("lepton_transactions_aborted_total")
        worker.stop()
        messages, columns = self.committed_predictions(self.records.count - len(refused))
        self.check_order(messages, columns)
        index = columns["offset"] * PARTITIONS + columns["partition"]
        self.assertEqual(sorted(index), sorted(set(range(self.records.count)) - set(refused.tolist())))
        letters = self.read_committed(self.names["dead"], len(refused))
        self.assertEqual(sorted(m.value() for m in letters), sorted(encoded[i] for i in refused))
        self.assertGreater(aborted, 0)
        drift = self.drift_rows()
        self.assertEqual(drift, self.records.count - len(refused))
        note("%d outputs refused: %d transactions aborted, drift counts %d rows of %d", len(refused), aborted, drift,
             self.records.count)

    def test_sigterm_while_transactions_are_aborted_loses_and_repeats_nothing(self):
        """Amid the aborts that refused records cause, and before a broker that does not answer, so that the last transaction
        can neither be committed nor aborted."""
        self.prepare(2, **{"transaction.commit_ms": 50, "kafka.producer.batch.size": LONG_KEY_BYTES // 2,
                           "kafka.producer.compression.type": "none", "shutdown.timeout_ms": SHUTDOWN_MS})
        self.broker.alter_topic(self.names["predictions"], max_message_bytes=LONG_KEY_BYTES)
        refused = np.arange(100, self.records.count, self.records.count // 3)
        keys = list(self.records.ids)
        for index in refused:
            keys[index] = "k" * LONG_KEY_BYTES * 2
        encoded = self.records.encode(self.input_framing())
        half = self.records.count // 2

        def send(begin, end):
            self.broker.send(self.names["input"], encoded[begin:end], keys=keys[begin:end],
                             timestamps=self.records.times[begin:end], partitions=np.arange(begin, end) % PARTITIONS)
        worker = self.static(0)
        send(0, half)
        for _ in range(2):
            wait_for(lambda: worker.check_alive() or "event=transaction_aborted" in worker.child.log(), 60, "an abort", 0.01)
            worker.stop(SHUTDOWN_MS / 1000 + 20)
            worker.start()
        worker.wait_ready()
        self.broker.freeze()
        try:
            time.sleep(0.5)
            began = time.monotonic()
            worker.child.signal(signal.SIGTERM)
            worker.child.wait(SHUTDOWN_MS / 1000 + 20)
            took = time.monotonic() - began
            worker.check_log()
        finally:
            self.broker.thaw()
        wait_for(self.broker.answers, 60, "the broker to be back")
        send(half, self.records.count)
        worker.start()
        self.wait_committed(120)
        worker.stop()
        messages, columns = self.committed_predictions(self.records.count - len(refused))
        self.check_order(messages, columns)
        index = columns["offset"] * PARTITIONS + columns["partition"]
        self.assertEqual(sorted(index), sorted(set(range(self.records.count)) - set(refused.tolist())))
        letters = self.read_committed(self.names["dead"], len(refused))
        self.assertEqual(sorted(m.value() for m in letters), sorted(encoded[i] for i in refused))
        note("SIGTERM amid aborts and before a dumb broker (ended after %.1f s of %.1f): %d records once", took,
             SHUTDOWN_MS / 1000, self.records.count)

    def test_times_that_the_broker_refuses_become_now_and_their_batches_neighbours_keep_theirs(self):
        # A refused time fails its whole produce batch.
        self.prepare(2, **{"kafka.producer.batch.size": 1000000})
        self.broker.alter_topic(self.names["predictions"], message_timestamp_before_max_ms=86400000)
        now = int(time.time() * 1000)
        times = now + np.arange(self.records.count) - self.records.count
        refused = {100, 104}
        times[sorted(refused)] -= 2 * 86400000
        worker = self.replica(0)
        self.broker.send(self.names["input"], self.records.encode(self.input_framing()), keys=list(self.records.ids),
                         timestamps=times.tolist(), partitions=np.arange(self.records.count) % PARTITIONS)
        self.wait_committed(90)
        worker.stop()
        messages, columns = self.committed_predictions(self.records.count)
        self.check_order(messages, columns)
        index = (columns["offset"] * PARTITIONS + columns["partition"]).tolist()
        self.assertEqual(sorted(index), list(range(self.records.count)))
        for i, message in zip(index, messages):
            headers = dict(message.headers() or [])
            if i in refused:
                self.assertEqual(headers["lepton.timestamp"], b"%d" % times[i])
                self.assertGreaterEqual(message.timestamp()[1], now)
            else:
                self.assertEqual((headers.get("lepton.timestamp"), message.timestamp()[1]), (None, times[i]))
        self.assertEqual(self.broker.read(self.names["dead"]), [])

    def test_without_dead_letters_a_prediction_that_cannot_be_sent_stops_the_worker_before_it(self):
        # What follows it fails first, since it is decoded before the batch goes out.
        self.prepare(1, **{"kafka.producer.message.max.bytes": LONG_KEY_BYTES, "dead_letter.topic": None})
        encoded, keys = self.records.encode(self.input_framing())[:30], list(self.records.ids[:30])
        keys[20], encoded[25] = "k" * LONG_KEY_BYTES * 2, b"\x07broken"
        worker = self.replica(0)
        self.broker.send(self.names["input"], encoded, keys=keys, timestamps=self.records.times[:30],
                         partitions=np.zeros(30, int))
        self.assertEqual(worker.child.wait(60), 1)
        self.assertLessEqual(self.broker.committed(self.prefix + "group", self.names["input"])[0], 20)

    def test_a_group_that_starts_at_the_end_has_its_start_committed_by_a_stop_before_the_first_commit(self):
        self.prepare(1, **{"input.start": "latest", "transaction.commit_ms": 10000})
        encoded = self.records.encode(self.input_framing())
        self.broker.send(self.names["input"], encoded[:40], keys=list(self.records.ids[:40]),
                         timestamps=self.records.times[:40], partitions=np.arange(40) % PARTITIONS)
        worker = self.replica(0)
        wait_for(lambda: self.assigned(worker) == PARTITIONS, 40, "the worker to own partitions", 0.05)
        worker.stop()
        self.wait_committed(5)

    def drift_rows(self):
        """How many rows drift counts: each committed one once, however often its transaction was aborted."""
        rows = 0
        for message in self.broker.read(self.names["drift"]):
            value = message.value()
            drift_schema = self.registry.schema(int.from_bytes(value[1:5], "big"))
            report = fastavro.schemaless_reader(io.BytesIO(value[5:]), drift_schema)
            rows += report["n_cur"] if report["feature"] == "f0" else 0
        return rows


if __name__ == "__main__":
    main()
