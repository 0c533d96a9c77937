"""Memory stays below memory.limit_bytes: large records, a broker that does not answer, a cluster of 100,000 partitions."""
# versions: first

import json
import os
import time

from case import KafkaCase, main, note
from fake_broker import FakeBroker
from process import resident_bytes, wait_for
from records import Records

LIMIT_BYTES = 256 << 20
LARGE_BYTES = 10 << 20


class Bounds(KafkaCase):
    def check_peak(self, worker, limit_bytes, what):
        peak = resident_bytes(worker.child.pid, peak=True)
        note("%s: peak %.0f MB of %.0f MB", what, peak / 1e6, limit_bytes / 1e6)
        self.assertLess(peak, limit_bytes)

    def test_records_of_10_mb_among_small_ones(self):
        """Kafka's own limits raised on both sides; every third large record is damaged and goes whole to the dead letters."""
        sizes = {"max_message_bytes": 12 << 20}
        settings = {**self.topics(2), "memory.limit_bytes": LIMIT_BYTES, "input.format": "json", "output.format": "json",
                    "input.record.max_bytes": 11 << 20, "kafka.producer.message.max.bytes": 12 << 20, "registry.url": None,
                    "output.headers": "none"}
        model = self.model()
        self.broker.alter_topic(self.names["input"], **sizes)
        self.broker.alter_topic(self.names["dead"], **sizes)
        records = Records(model.manifest, 400).dicts(range(400))
        values, bad = [], set()
        for i, record in enumerate(records):
            record = {k: v for k, v in record.items() if isinstance(v, (int, float, str)) and v == v}
            if i % 20 == 7:
                record["padding"] = os.urandom(LARGE_BYTES // 2 - 500).hex()
            text = json.dumps(record).encode()
            if i % 60 == 27:
                text, bad = text[:-1], bad | {i}
            values.append(text)
        self.assertTrue(bad)
        worker = self.worker({**settings, "model.uri": model.uri})
        self.broker.send(self.names["input"], values, partitions=[i % 2 for i in range(400)],
                         producer=self.broker.producer(message_max_bytes=12 << 20))
        self.broker.wait_count(self.names["predictions"], 400 - len(bad), 90, worker.check_alive)
        self.wait_committed(60)
        self.check_peak(worker, LIMIT_BYTES, "20 records of 10 MB among 400")
        worker.stop()
        letters = self.broker.read(self.names["dead"])
        self.assertEqual(len(letters), len(bad))
        for letter in letters:
            headers = {k: v.decode() for k, v in letter.headers()}
            index = int(headers["__connect.errors.offset"]) * 2 + int(headers["__connect.errors.partition"])
            self.assertIn(index, bad)
            self.assertEqual(letter.value(), values[index])

    def test_a_broker_that_stops_answering_in_the_middle_of_a_backlog(self):
        settings = {**self.topics(4), "memory.limit_bytes": LIMIT_BYTES}
        model = self.model()
        records = Records(model.manifest, 200_000)
        self.produce(records)
        worker = self.worker({**settings, "model.uri": model.uri})
        self.broker.wait_count(self.names["predictions"], 1000, 60, worker.check_alive)
        self.broker.freeze()
        try:
            time.sleep(5)
            self.assertEqual(worker.get("/livez")[0], 200)
            self.assertEqual(worker.metric("lepton_delivery_errors_total"), 0)
        finally:
            self.broker.thaw()
        self.broker.wait_count(self.names["predictions"], records.count, 120, worker.check_alive)
        self.wait_committed(60)
        self.check_peak(worker, LIMIT_BYTES, "broker frozen for 8 s in a backlog of 300,000")
        worker.stop()
        _, columns = self.predictions()
        self.check_complete(columns, records, duplicates=None)

    def start_on_fake(self, partitions, limit_bytes):
        fake = FakeBroker(partitions)
        self.addCleanup(fake.stop)
        self.prefix = "fake-"
        worker = self.worker({
            "kafka.bootstrap.servers": fake.bootstrap, "input.topics": "in", "output.topic": "out", "dead_letter.topic": "dead",
            "group.id": "g", "model.uri": self.model().uri, "input.format": "json", "output.format": "json",
            "memory.limit_bytes": limit_bytes, "shutdown.timeout_ms": 2000}, start=False)
        worker.start()
        return worker

    def test_a_topic_of_100000_partitions_is_held_in_memory_that_suffices(self):
        limit = 512 << 20
        worker = self.start_on_fake({"in": 100_000}, limit)
        wait_for(lambda: worker.check_alive() or worker.get("/readyz")[1] == "consumer group not joined\n", 60, "the start")
        time.sleep(3)
        worker.check_alive()
        self.check_peak(worker, limit, "metadata of 100,000 partitions")

    def test_topics_whose_partitions_do_not_fit_are_refused_with_the_reason(self):
        peak = 0
        worker = self.start_on_fake({"in": 100_000, "out": 100_000, "dead": 100_000}, LIMIT_BYTES)
        while worker.child.poll() is None:
            try:
                peak = max(peak, resident_bytes(worker.child.pid, peak=True))
            except OSError:
                pass
            time.sleep(0.05)
        self.assertEqual(worker.child.wait(1), 1)
        self.assertIn("memory.limit_bytes", worker.child.log_tail(3))
        self.assertIn("300000 partitions", worker.child.log_tail(3))
        note("refused with 300,000 partitions: peak %.0f MB", peak / 1e6)
        self.assertTrue(0 < peak < LIMIT_BYTES)


if __name__ == "__main__":
    main()
