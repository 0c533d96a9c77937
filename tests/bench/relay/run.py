#!/usr/bin/env python3
"""lepton against a bare librdkafka relay, on one broker in one run.

    PYTHONPATH=tests/support LEPTON_BINARY=build/release/lepton build/venv/bin/python tests/bench/relay/run.py \
        --programs build/release/tests/bench/relay [--records 4000000] [--repeats 5] [--only throughput,latency,...]

Sections: throughput (catching up, in pairs, with the same settings but for the fetch queue, where each has its best:
--queue-kb-lepton, --queue-kb-relay; --find-queues measures a few sizes of both first and takes the cheapest), latency (a
fixed rate), memory (three sizes of the fetch queue), drift (on and off in pairs), delivery (exactly_once against
at_least_once), trees (500 of XGBoost's beside the net), start (to ready, and to the first prediction), stages (instructions
a record by stage, under callgrind). Each prints a table; medians of the repeats, and the median ratio of the pairs with the
lowest and highest. Outputs are checked: counts of both, every score of lepton against numpy.

The record: {string id, long time, 10 floats}, 65 bytes, keyed by id, 4 partitions; the net: 10-64-64-1.
"""

import argparse
import collections
import json
import os
import re
import statistics
import subprocess
import time

import numpy as np
from confluent_kafka import Consumer, KafkaException, TopicPartition

import kafka
from process import Child, cpu_seconds, resident_bytes, temp_folder, wait_for
from records import Model, Records, confluent_framing, decode_predictions, schema
from registry import FakeRegistry
from worker import Worker, binary

PARTITIONS = 4
LEAN_BYTES = 29  # what the relay writes when no prediction tells the size
QUEUE_KB = 8192  # what lepton takes by default
QUEUES_KB = (4096, 8192, 16384, 65536)
DISTINCT = 200_000  # records encoded once and sent over and over


class Watch:
    """Samples how many records a topic holds, cheaply; rate() leaves out the first tenth and the last twentieth."""

    def __init__(self, broker, topic, total):
        self._client = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "watch", "log_level": 2})
        self._topic = topic
        self.total = total
        self.samples = []

    def count(self):
        return sum(self._client.get_watermark_offsets(TopicPartition(self._topic, p), timeout=10)[1]
                   for p in range(PARTITIONS))

    def wait(self, child, timeout_s=300):
        begin = time.monotonic()
        while not self.samples or self.samples[-1][1] < self.total:
            if child.poll() is not None or time.monotonic() - begin > timeout_s:
                raise RuntimeError("%s of %d records came out\n%s" % (self.samples[-1:], self.total, child.log_tail()))
            try:
                self.samples.append((time.monotonic(), self.count()))
            except KafkaException:
                pass  # a topic just made has no leader yet
            time.sleep(0.02)
        self._client.close()

    def rate(self):
        times = np.array([t for t, _ in self.samples])
        counts = np.array([c for _, c in self.samples], dtype=float)
        low, high = 0.1 * self.total, 0.95 * self.total
        # The last sample at each count: the moment it was left.
        at = [np.interp(level, counts, times) for level in (low, high)]
        return (high - low) / (at[1] - at[0])


class Bench:
    def __init__(self, options):
        self.options = options
        self.broker = kafka.Broker(options.kafka, heap=kafka.BENCH_HEAP)
        self.folder = temp_folder("bench")
        self.registry = FakeRegistry()
        self.model = Model(self.folder)
        self.serial = 0
        self.framing = confluent_framing(self.registry.register("input-value", schema()))
        self.records = Records(self.model.manifest, DISTINCT)
        self.encoded = self.records.encode(self.framing)
        self.expected = self.records.scores(self.model.manifest, self.model.tensors)
        self.out_bytes = LEAN_BYTES

    def fill(self, topic, count):
        self.broker.create_topic(topic, PARTITIONS)
        for begin in range(0, count, DISTINCT):
            part = min(DISTINCT, count - begin)
            self.broker.send(topic, self.encoded[:part], keys=None if self.options.no_keys else self.records.ids,
                             timestamps=self.records.times, partitions=np.arange(part) % PARTITIONS)

    def output(self, name):
        self.serial += 1
        topic = "%s-%d" % (name, self.serial)
        self.broker.create_topic(topic, PARTITIONS)
        return topic

    def drop(self, topic):
        self.broker.admin.delete_topics([topic])[topic].result(30)

    def relay(self, source, out, queue_kb=QUEUE_KB):
        argv = [os.path.join(self.options.programs, "bench_relay"), "--brokers", self.broker.bootstrap, "--in", source,
                "--out", out, "--group", "g-" + out, "--out-bytes", str(self.out_bytes),
                "--consumer", "queued.max.messages.kbytes=%d" % queue_kb,
                "--producer", "compression.type=lz4"]
        return Child(argv, os.path.join(self.folder, out + ".log"))

    def lepton(self, source, out, queue_kb=QUEUE_KB, **more):
        return Worker(self.broker.bootstrap, {
            "input.topics": source, "output.topic": out, "dead_letter.topic": "dead", "group.id": "g-" + out,
            "registry.url": self.registry.url, "model.uri": self.model.uri, "lanes": 1,
            "fetch.queue_bytes": queue_kb * 1024, "output.schema.subject": "predictions",
            "kafka.consumer.session.timeout.ms": None, "kafka.consumer.heartbeat.interval.ms": None, **more}, start=False)

    def catch_up(self, program, source, count, queue_kb=QUEUE_KB, **more):
        """One run over a full topic: {rate, cpu, rss}."""
        out = self.output(program)
        if program == "relay":
            child = self.relay(source, out, queue_kb)
        else:
            worker = self.lepton(source, out, queue_kb, **more)
            worker.start()
            child = worker.child
        watch = Watch(self.broker, out, count)
        watch.wait(child)
        exactly_once = more.get("delivery") == "exactly_once"
        if exactly_once:  # the topic's end counts the markers of transactions, too
            wait_for(lambda: self.broker.committed("g-" + out, source) == self.broker.ends(source), 60, "the last commit", 0.02)
        # Not ru_maxrss: that starts at what this Python held when it forked.
        rss = resident_bytes(child.pid, peak=True) / 2**20
        child.signal(15)
        if child.wait(60) != 0:
            raise RuntimeError("%s failed\n%s" % (program, child.log_tail()))
        if exactly_once:
            self.check_committed(out, count)
        else:
            assert self.broker.count(out) == count, "not one output an input"
            if program == "lepton":
                self.check_scores(out)
        self.drop(out)
        cpu = child.usage.ru_utime + child.usage.ru_stime
        return {"rate": watch.rate(), "cpu": cpu / count * 1e6, "rss": rss}

    def check_committed(self, out, count):
        """Every input has one committed prediction; the last of each partition are right."""
        time.sleep(1)  # the last transaction's markers may be on their way
        reader = Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": "check", "log_level": 2,
                           "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "earliest",
                           "isolation.level": "read_committed"})
        reader.assign([TopicPartition(out, p, 0) for p in range(PARTITIONS)])
        last = [collections.deque(maxlen=DISTINCT // PARTITIONS) for _ in range(PARTITIONS)]
        seen = ended = 0
        while ended < PARTITIONS:
            for message in reader.consume(20000, timeout=0.2):
                if message.error() is None:
                    last[message.partition()].append(message.value())
                    seen += 1
                else:
                    assert message.error().name() == "_PARTITION_EOF", message.error()
                    ended += 1
        reader.close()
        assert seen == count, "%d committed outputs of %d inputs" % (seen, count)
        values = [value for part in last for value in part]
        columns = decode_predictions(values, self.registry.schema(int.from_bytes(values[0][1:5], "big")))
        index = np.concatenate([np.arange(len(part)) * PARTITIONS + p for p, part in enumerate(last)])
        error = np.abs(columns["scores"] - self.expected[index]).max()
        assert error < 1e-5, "scores differ from numpy by %g" % error

    def check_scores(self, out):
        """Every prediction of the last repetition of the distinct records, and the size of a prediction."""
        ends = self.broker.ends(out)
        start = {p: end - DISTINCT // PARTITIONS for p, end in ends.items()}
        messages = self.broker.read(out, start=start)
        values = [m.value() for m in messages]
        columns = decode_predictions(values, self.registry.schema(int.from_bytes(values[0][1:5], "big")))
        index = np.array([(m.offset() - start[m.partition()]) * PARTITIONS + m.partition() for m in messages])
        error = np.abs(columns["scores"] - self.expected[index]).max()
        assert error < 1e-5, "scores differ from numpy by %g" % error
        self.out_bytes = len(values[0])


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def ratios(left, right, key, inverse=False):
    pairs = [(b[key] / a[key] if inverse else a[key] / b[key]) for a, b in zip(left, right)]
    return "%.2f (%.2f to %.2f)" % (statistics.median(pairs), min(pairs), max(pairs))


def throughput(bench, source):
    count = bench.options.records
    bench.catch_up("lepton", source, count)  # warms the page cache, and tells how long a prediction is
    queues = {"relay": bench.options.queue_kb_relay, "lepton": bench.options.queue_kb_lepton}
    if bench.options.find_queues:
        queues = {program: cheapest_queue(bench, program, source) for program in queues}
    runs = {program: [] for program in queues}
    for _ in range(bench.options.repeats):
        for program, queue_kb in queues.items():
            runs[program].append(bench.catch_up(program, source, count, queue_kb))
    print("\n## Catching up: %d records, one lane, output %d bytes, %d pairs in turns" % (count, bench.out_bytes,
                                                                                      bench.options.repeats))
    print("| | fetch queue KiB | records/s | client CPU s a million | records a client CPU s | peak RSS MB |\n"
          "|---|---|---|---|---|---|")
    for program, rows in runs.items():
        print("| %s | %d | %.0f | %.3f | %.0f | %.0f |" % (program, queues[program], median(rows, "rate"), median(rows, "cpu"),
                                                         1e6 / median(rows, "cpu"), median(rows, "rss")))
    print("lepton / relay: records/s %s; records a client CPU s %s" % (
        ratios(runs["lepton"], runs["relay"], "rate"), ratios(runs["lepton"], runs["relay"], "cpu", inverse=True)))
    print("each pair: " + ", ".join("%.2f" % (r["cpu"] / l["cpu"]) for r, l in zip(runs["relay"], runs["lepton"])))


def pace(bench, source, out, seconds):
    """Latencies of records written at the fixed rate, by bench_pace."""
    value = os.path.join(bench.folder, "record")
    with open(value, "wb") as file:
        file.write(bench.encoded[0])
    pacer = Child([os.path.join(bench.options.programs, "bench_pace"), "--brokers", bench.broker.bootstrap, "--in", source,
                   "--out", out, "--value", value, "--rate", str(bench.options.rate), "--seconds", str(seconds)],
                  os.path.join(bench.folder, "pace-%s.log" % out))
    if pacer.wait(seconds + 60) != 0:
        raise RuntimeError(pacer.log_tail())
    answer = json.loads(pacer.log().splitlines()[-1])
    assert answer["sent"] == answer["received"], answer
    return answer


def cheapest_queue(bench, program, source):
    """The fetch queue with the least CPU a record, median of three rounds over all sizes."""
    rows = {queue_kb: [] for queue_kb in QUEUES_KB}
    for _ in range(3):
        for queue_kb in QUEUES_KB:
            rows[queue_kb].append(bench.catch_up(program, source, bench.options.records, queue_kb))
    print("%s, client CPU s a million by fetch queue: %s" % (
        program, ", ".join("%d KiB %.3f" % (queue_kb, median(row, "cpu")) for queue_kb, row in rows.items())))
    return min(rows, key=lambda queue_kb: median(rows[queue_kb], "cpu"))


def latency(bench, _source):
    rate, seconds = bench.options.rate, bench.options.seconds
    print("\n## %d records/s for %d s: creation to prediction read back, ms" % (rate, seconds))
    print("| | p50 | p99 | p99.9 | max | client CPU s a million | RSS MB |\n|---|---|---|---|---|---|---|")
    for turn in range(max(1, bench.options.repeats // 2) + 1):
        for program in ("relay", "lepton"):
            source, out = bench.output("paced"), bench.output(program)
            if program == "relay":
                child = bench.relay(source, out)
            else:
                worker = bench.lepton(source, out)
                worker.start()
                child = worker.child
            # Both have joined and serve every partition before the clock runs.
            bench.broker.send(source, bench.encoded[:PARTITIONS], partitions=range(PARTITIONS))
            bench.broker.wait_count(out, PARTITIONS, 60)
            before = cpu_seconds(child.pid)
            answer = pace(bench, source, out, seconds)
            cpu = (cpu_seconds(child.pid) - before) / answer["sent"] * 1e6
            rss = resident_bytes(child.pid, peak=True) / 2**20
            child.signal(15)
            child.wait(60)
            if turn == 0:
                continue  # the broker's JIT compiles this path first: a cold one lags by seconds
            print("| %s | %.2f | %.2f | %.2f | %.1f | %.1f | %.0f |" % (program, answer["p50"], answer["p99"],
                                                                      answer["p999"], answer["max"], cpu, rss))


def memory(bench, source):
    count = bench.options.records
    print("\n## Fetch queue: RSS against speed, %d records" % count)
    print("| fetch.queue_bytes | relay records/s | relay MB | lepton records/s | lepton MB | lepton CPU s a million |\n"
          "|---|---|---|---|---|---|")
    for queue_kb in (4096, 8192, 65536):
        relay = bench.catch_up("relay", source, count, queue_kb)
        lepton = bench.catch_up("lepton", source, count, queue_kb)
        print("| %d | %.0f | %.0f | %.0f | %.0f | %.3f |" % (queue_kb * 1024, relay["rate"], relay["rss"], lepton["rate"],
                                                          lepton["rss"], lepton["cpu"]))


def drift(bench, source):
    count = bench.options.records
    on, off = [], []
    for _ in range(bench.options.repeats):
        on.append(bench.catch_up("lepton", source, count, **{"drift.enabled": "true"}))
        off.append(bench.catch_up("lepton", source, count, **{"drift.enabled": "false"}))
    print("\n## Drift on and off, %d pairs" % bench.options.repeats)
    print("| | records/s | client CPU s a million |\n|---|---|---|")
    for name, rows in (("on", on), ("off", off)):
        print("| %s | %.0f | %.3f |" % (name, median(rows, "rate"), median(rows, "cpu")))
    print("| on / off | %s | %s of the records a CPU s |" % (ratios(on, off, "rate"), ratios(on, off, "cpu", inverse=True)))


DELIVERIES = {
    "at_least_once": {},
    "exactly_once, 100 ms": {"delivery": "exactly_once", "transaction.commit_ms": 100},
    "exactly_once, 1 s": {"delivery": "exactly_once", "transaction.commit_ms": 1000},
}


def delivery(bench, source):
    """exactly_once against at_least_once: catching up in turns, then the latency a read_committed reader sees."""
    count = bench.options.records
    bench.catch_up("lepton", source, count)  # warms up
    runs = {name: [] for name in DELIVERIES}
    for _ in range(bench.options.repeats):
        for name, more in DELIVERIES.items():
            runs[name].append(bench.catch_up("lepton", source, count, **more))
    base = runs["at_least_once"]
    print("\n## Delivery: catching up, %d records, one lane, %d repeats in turns; ratios of pairs" % (count, bench.options.repeats))
    print("| | records/s | records a client CPU s | peak RSS MB | records/s ratio | CPU ratio |\n|---|---|---|---|---|---|")
    for name, rows in runs.items():
        print("| %s | %.0f | %.0f | %.0f | %s | %s |" % (
            name, median(rows, "rate"), 1e6 / median(rows, "cpu"), median(rows, "rss"), ratios(rows, base, "rate"),
            ratios(rows, base, "cpu", inverse=True)))
    print("\n%d records/s for %d s: creation to prediction read back (read_committed), ms" % (bench.options.rate, bench.options.seconds))
    print("| | p50 | p99 | p99.9 | max |\n|---|---|---|---|---|")
    for name, more in DELIVERIES.items():
        answer = paced(bench, **more)
        print("| %s | %.1f | %.1f | %.1f | %.1f |" % (name, answer["p50"], answer["p99"], answer["p999"], answer["max"]))


def paced(bench, **more):
    source, out = bench.output("paced"), bench.output("lepton")
    worker = bench.lepton(source, out, **more)
    worker.start()
    bench.broker.send(source, bench.encoded[:PARTITIONS], partitions=range(PARTITIONS))
    bench.broker.wait_count(out, PARTITIONS, 60)
    pace(bench, source, out, 3)  # the broker's JIT compiles this path first
    answer = pace(bench, source, out, bench.options.seconds)
    worker.stop()
    return answer


TREES, TREE_DEPTH, TREE_ROWS = 500, 6, 50_000


def trees(bench, source):
    """A tree ensemble in the net's place, imported from what XGBoost saved; XGBoost says what the scores are."""
    import xgboost  # by this section only
    values, count = bench.records.values, bench.options.records
    names = ["f%d" % i for i in range(values.shape[1])]
    noise = np.random.default_rng(7).normal(0, 0.5, TREE_ROWS)
    unit = (values - np.median(values, axis=0)) / values.std(axis=0)
    target = unit[:TREE_ROWS, 0] * unit[:TREE_ROWS, 1] + np.sin(3 * unit[:TREE_ROWS, 2]) + noise > 0
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": TREE_DEPTH, "nthread": 1, "seed": 1},
                            xgboost.DMatrix(values[:TREE_ROWS], target, feature_names=names), TREES)
    saved, bundle = (os.path.join(bench.folder, name) for name in ("trees.ubj", "trees.safetensors"))
    booster.save_model(saved)
    subprocess.run([binary(), "import", saved, "-o", bundle], check=True, stdout=subprocess.DEVNULL)
    net = bench.expected
    scores = booster.predict(xgboost.DMatrix(values, feature_names=names)).reshape(net.shape)
    runs = {"10-64-64-1": [], "%d trees of depth %d" % (TREES, TREE_DEPTH): []}
    for _ in range(bench.options.repeats):
        for name, rows in runs.items():
            is_net = name == "10-64-64-1"
            bench.expected = net if is_net else scores
            rows.append(bench.catch_up("lepton", source, count, **({} if is_net else {"model.uri": "file://" + bundle})))
    bench.expected = net
    print("\n## A network and trees: %d records, one lane, %d repeats, alternating; scores compared with numpy and XGBoost"
          % (count, bench.options.repeats))
    print("| | records/s | client CPU s a million |\n|---|---|---|")
    for name, rows in runs.items():
        print("| %s | %.0f | %.3f |" % (name, median(rows, "rate"), median(rows, "cpu")))


def start(bench, _source):
    rows = []
    for _ in range(max(3, bench.options.repeats)):
        source, out = bench.output("start"), bench.output("lepton")
        bench.broker.send(source, bench.encoded[:1000], partitions=np.arange(1000) % PARTITIONS)
        worker = bench.lepton(source, out)
        watch = Watch(bench.broker, out, 1)
        watch.count()
        begin = time.monotonic()
        worker.start()
        wait_for(worker.ready, 30, "ready", 0.002)
        ready = time.monotonic()
        wait_for(watch.count, 30, "the first prediction", 0.002)
        rows.append({"ready": (ready - begin) * 1e3, "first": (time.monotonic() - begin) * 1e3})
        worker.stop()
    print("\n## Start, %d times" % len(rows))
    print("| | median ms | lowest | highest |\n|---|---|---|---|")
    for key, name in (("ready", "start to ready"), ("first", "start to first prediction in the topic")):
        values = [row[key] for row in rows]
        print("| %s | %.0f | %.0f | %.0f |" % (name, statistics.median(values), min(values), max(values)))


STAGE = re.compile(r"^\s*([\d,]+)\s.*?(?:src/(\w+)/[\w/.]+\.[ch]:|:)\S+.*?(?:\[(?:.*/)?([^/\]]+)\])?$")


def instructions(path):
    """{stage or library: instructions} of a callgrind profile; librdkafka's threads are included."""
    text = subprocess.run(["callgrind_annotate", "--auto=no", "--threshold=100", "--show-percs=no", path], capture_output=True,
                          text=True, check=True).stdout
    table = collections.Counter()
    for line in text.splitlines():
        # Intrinsics are inlined from the compiler's headers: only kernels have any.
        line = re.sub(r"/usr/lib/gcc/\S*intrin\.h:", "src/kernels/intrinsics.h:", line)
        found = STAGE.match(line)
        if found and "PROGRAM TOTALS" not in line:
            table[found.group(2) or found.group(3) or "libc and others"] += int(found.group(1).replace(",", ""))
    return table


def stages(bench, _source):
    """Instructions a record by folder of src/ and by library, under callgrind (AVX-512 off: valgrind does not know it)."""
    tables = []
    for count in (20_000, 120_000):
        source, out = "stages-%d" % count, bench.output("lepton")
        bench.fill(source, count)
        profile = os.path.join(bench.folder, "callgrind-%d" % count)
        worker = bench.lepton(source, out, **{"kafka.consumer.session.timeout.ms": 45000})
        worker.prefix = ["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" + profile]
        os.environ["LEPTON_CPU_DISABLE"] = "avx512"
        worker.start()
        del os.environ["LEPTON_CPU_DISABLE"]
        bench.broker.wait_count(out, count, 300, worker.check_alive)
        worker.stop(120)
        tables.append(instructions(profile))
    # The difference of the two runs leaves start, joining and loading out.
    each = {name: (tables[1][name] - tables[0][name]) / 100_000 for name in tables[1]}
    total = sum(each.values())
    print("\n## Instructions a record, by folder of src/ and by library (callgrind, AVX2)")
    print("| | instructions | share |\n|---|---|---|")
    for name, value in sorted(each.items(), key=lambda item: -item[1]):
        if value >= total / 200:
            print("| %s | %.0f | %.1f %% |" % (name, value, 100 * value / total))
    print("| all | %.0f | |" % total)


SECTIONS = {"throughput": throughput, "latency": latency, "memory": memory, "drift": drift, "delivery": delivery, "trees": trees,
            "start": start, "stages": stages}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", required=True, help="folder of bench_relay and bench_pace")
    parser.add_argument("--kafka", default=kafka.versions()[0])
    parser.add_argument("--records", type=int, default=4_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--queue-kb-lepton", type=int, default=QUEUE_KB)
    parser.add_argument("--queue-kb-relay", type=int, default=QUEUE_KB)
    parser.add_argument("--find-queues", action="store_true")
    parser.add_argument("--no-keys", action="store_true")
    parser.add_argument("--only", default=",".join(SECTIONS))
    options = parser.parse_args()
    bench = Bench(options)
    bench.broker.create_topic("dead", 1)
    print("Kafka %s, %d CPUs, settings shared: acks=all, idempotent, linger 5 ms, lz4, one report a message"
          % (options.kafka, os.cpu_count()))
    wanted = options.only.split(",")
    if {"throughput", "memory", "drift", "delivery", "trees"} & set(wanted):
        bench.fill("full", options.records)
    for name in wanted:
        SECTIONS[name](bench, "full")
    bench.broker.stop()


if __name__ == "__main__":
    main()
