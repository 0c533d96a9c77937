"""Topics that are missing at the start, made anew, or grow while a worker runs."""
# versions: first

import time

from case import KafkaCase, main, note
from process import wait_for
from records import Records

PARTITIONS = 2


class Topics(KafkaCase):
    def start(self, count, **more):
        self.settings = {**self.topics(PARTITIONS), "kafka.topic.metadata.refresh.interval.ms": 1000, **more}
        self.first = self.model()
        self.settings["model.uri"] = self.first.uri
        self.records = Records(self.first.manifest, count)

    def remove(self, name):
        self.broker.admin.delete_topics([name])[name].result(30)
        wait_for(lambda: name not in self.broker.admin.list_topics(timeout=5).topics, 30, "the topic to go")

    def test_missing_topics_are_waited_for_with_a_reason_and_found_when_they_come(self):
        self.start(200)
        for key in ("input", "dead"):
            self.remove(self.names[key])
        worker = self.worker({**self.settings, "startup.timeout_ms": 0}, start=False)
        worker.start()
        wait_for(lambda: worker.check_alive() or worker.get("/readyz") == (503, "waiting for input.topics\n"), 30,
                 "/readyz to say what is missing", 0.1)
        self.assertEqual(worker.get("/livez")[0], 200)
        self.assertIn(self.names["input"], worker.child.log())
        self.broker.create_topic(self.names["input"], PARTITIONS)
        wait_for(lambda: worker.check_alive() or worker.get("/readyz") == (503, "waiting for dead_letter.topic\n"), 30,
                 "the next", 0.1)
        self.broker.create_topic(self.names["dead"], 1)
        worker.wait_ready()
        self.produce(self.records, PARTITIONS)
        self.broker.wait_count(self.names["predictions"], 200, 60, worker.check_alive)
        worker.stop()

    def test_after_startup_timeout_ms_the_worker_ends_and_says_what_was_missing(self):
        self.start(1)
        self.remove(self.names["predictions"])
        worker = self.worker({**self.settings, "startup.timeout_ms": 2000}, start=False)
        began = time.monotonic()
        worker.start()
        self.assertEqual(worker.child.wait(30), 1)
        self.assertGreater(time.monotonic() - began, 1.5)
        self.assertIn("output.topic", worker.child.log_tail(5))
        self.assertIn(self.names["predictions"], worker.child.log_tail(5))

    def test_partitions_that_are_added_are_consumed_from_their_beginning(self):
        self.start(400, **{"output.partition": "key", "kafka.consumer.metadata.max.age.ms": 1000})
        worker = self.worker(self.settings)
        self.produce(self.records, PARTITIONS)
        from confluent_kafka.admin import NewPartitions
        self.broker.admin.create_partitions([NewPartitions(self.names["input"], 4)])[self.names["input"]].result(30)
        encoded = self.records.encode(self.input_framing())
        producer = self.broker.producer()
        self.broker.send(self.names["input"], encoded[:100], partitions=[2 + i % 2 for i in range(100)],
                         producer=producer)
        self.broker.wait_count(self.names["predictions"], 500, 90, worker.check_alive)
        self.wait_committed(60)
        worker.stop()
        _, columns = self.predictions()
        pairs = set(zip(columns["partition"].tolist(), columns["offset"].tolist()))
        self.assertEqual(len(pairs), 500)
        self.assertEqual(len(columns["offset"]), 500)

    def check_each_once(self, counts):
        """Predictions are one for each record of the first topic (counts[0] a partition) and of the second."""
        _, columns = self.predictions()
        seen = sorted(zip(columns["partition"].tolist(), columns["offset"].tolist()))
        self.assertEqual(seen, sorted((p, o) for count in counts for p in range(PARTITIONS) for o in range(count)))

    def first_life(self, worker, encoded, count):
        self.broker.send(self.names["input"], encoded[:count], partitions=[i % 2 for i in range(count)])
        self.broker.wait_count(self.names["predictions"], count, 60, worker.check_alive)
        self.wait_committed()

    def test_an_input_topic_that_is_made_anew_is_read_from_its_beginning(self):
        self.start(600)
        encoded = self.records.encode(self.input_framing())
        worker = self.worker(self.settings)
        self.first_life(worker, encoded, 200)
        self.remove(self.names["input"])
        time.sleep(3)
        self.broker.create_topic(self.names["input"], PARTITIONS)
        self.broker.send(self.names["input"], encoded[200:], partitions=[i % 2 for i in range(400)])
        self.broker.wait_count(self.names["predictions"], 600, 90, worker.check_alive)
        worker.stop()
        self.check_each_once((100, 200))


if __name__ == "__main__":
    main()
