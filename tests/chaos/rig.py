"""One world under test: a cluster, a registry, topics, four workers of which some run, the stream, and who reads it all."""

import datetime
import json
import os
import re
import signal
import threading
import time

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from checker import Account, Round
from control import Control, sha256
from damage import MAX_BYTES
from feed import Feed, Pool
from kafka import SMALL_HEAP, Broker
from process import copy_tail, temp_folder, wait_for
from registry import FakeRegistry
from shim import Shim
from worker import SANITIZER_MARKS, Worker

PARTITIONS = 6
VERSIONS = ("1", "2", "3")
WORKERS = 4
SESSION_MS = 6000
COMMIT_MS = 200
RESTART_S = 0.5  # the supervisor's pause, as an orchestrator's
KEEP_ROUNDS = 8  # of which evidence is kept
KEEP_BYTES = 4 << 20  # of a log
KEEP_RUNS = 4  # of a worker
KEEP_RECORDS = 300  # of an output partition

# Coordinators say what they load, and when.
BROKER_LOG = ["-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
              *("-Dorg.slf4j.simpleLogger.log.%s=info" % name for name in (
                  "kafka.coordinator", "org.apache.kafka.coordinator", "state.change.logger"))]

# Kafka 4.1.0: a coordinator that loses and gets its partition again while it loads takes the end of the first load for that
# of the second (CoordinatorRuntime looks its context up by partition, not by epoch), and from then on completes no write:
# nobody joins any more. Only a restart mends it.
WEDGED = re.compile(r"Ignored load completion from (__consumer_offsets-\d+) because context is in ACTIVE state")
WEDGED_S = 20  # without recovery, before the broker is restarted

# What a worker says when it knows that records may come twice: log event -> None or a field that must not be 0.
INCIDENTS = {"assignment_lost": None, "not_committed": None, "partitions_revoked": "unacknowledged", "drain_unfinished": None,
             "lane_failed": None}
LOG_LINE = re.compile(r"time=(\S+) level=\w+ event=(\w+)(.*)")


def now_ms():
    return int(time.time() * 1000)


class Member(Worker):
    """A worker that is started again when it ends by itself, as an orchestrator would, and whose log is followed."""

    def __init__(self, name, static, bootstrap, settings):
        own = {"replica.id": name, "group.instance.id": name if static else None}
        super().__init__(bootstrap, {**settings, **own}, start=False)
        self.name, self.static = name, static
        self.wanted = False
        self.lock = threading.RLock()
        self._read = {}

    def up(self):
        with self.lock:
            self.wanted = True
            if self.child is None or self.child.poll() is not None:
                self.start()

    def down(self, timeout_s=60):
        """SIGTERM; returns the exit code."""
        with self.lock:
            self.wanted = False
            if self.child is None or self.child.poll() is not None:
                return None
            self.child.signal(signal.SIGTERM)
            return self.child.wait(timeout_s)

    def destroy(self):
        """kill -9."""
        with self.lock:
            self.wanted = False
            self.child.kill()

    def running(self):
        return self.child is not None and self.child.poll() is None

    def keep(self, folder):
        """The logs of the last runs into `folder`/NAME."""
        if self.child is None:
            return
        path = os.path.join(folder, self.name)
        os.makedirs(path, exist_ok=True)
        runs = sorted((f for f in os.listdir(self.folder) if f.endswith(".log")), key=lambda f: int(f[4:-4]))
        for name in runs[-KEEP_RUNS:]:
            copy_tail(os.path.join(self.folder, name), path, KEEP_BYTES)

    def new_lines(self):
        """Lines that the present run logged since the last call."""
        with self.lock:
            if self.child is None:
                return []
            path = self.child.log_path
            with open(path, "rb") as file:
                file.seek(self._read.get(path, 0))
                data = file.read()
            whole = data[:data.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            return whole.decode("utf-8", "replace").splitlines()


class Reader:
    """Follows input, predictions and dead letters from a thread and feeds the account."""

    def __init__(self, rig):
        self._rig = rig
        self._stop = threading.Event()
        self.error = None
        self.positions = {}
        self._consumer = Consumer({
            "bootstrap.servers": rig.broker.bootstrap, "group.id": "checker", "log_level": 0,
            "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error", "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50, "reconnect.backoff.max.ms": 500})
        self._consumer.assign([TopicPartition(rig.names[key], p, 0) for key in ("input", "predictions", "dead")
                               for p in range(rig.partition_count(key))])
        self._schemas = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._stop.is_set():
                messages = self._consumer.consume(2000, timeout=0.1)
                if messages:
                    with self._rig.lock:
                        self._rig.account.grow(self._rig.feed.written)
                        for message in messages:
                            self._take(message)
        except BaseException as error:
            self.error = error

    def _take(self, message):
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # behind a transaction's marker, which is never read
                self.positions[message.topic(), message.partition()] = message.offset()
                return
            if error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT) or error.retriable():
                return
            raise AssertionError("the checker's consumer: %s" % error)
        account, names, topic = self._rig.account, self._rig.names, message.topic()
        self.positions[topic, message.partition()] = message.offset() + 1
        if topic == names["input"]:
            account.saw_input(message.key(), message.partition(), message.offset())
        elif topic == names["predictions"]:
            account.saw_prediction(message.key(), message.partition(), message.timestamp()[1],
                                   self._decode(message.value()))
        else:
            headers = {k: v.decode("utf-8", "replace") if v is not None else None for k, v in message.headers() or []}
            account.saw_letter(message.key(), message.timestamp()[1], message.value(), headers)

    def _decode(self, value):
        if value is None:
            return None
        schema_id = int.from_bytes(value[1:5], "big")
        if schema_id not in self._schemas:
            self._schemas[schema_id] = fastavro.parse_schema(json.loads(self._rig.registry.ids[schema_id]))
        return fastavro.schemaless_reader(_Bytes(value), self._schemas[schema_id])

    def check(self):
        if self.error:
            raise self.error

    def stop(self):
        self._stop.set()
        self._thread.join(30)
        self._consumer.close()


class _Bytes:
    """A reader behind the framing."""

    def __init__(self, value):
        self._value, self._at = value, 5

    def read(self, count):
        self._at += count
        return self._value[self._at - count:self._at]


class Rig:
    def __init__(self, options, rng, say):
        self.say, self.options = say, options
        self.lock = threading.Lock()
        self.rounds = [Round(-1, "start", now_ms())]
        self.generation = 0
        self.kept = []
        self.wedges = 0
        self._broker_logs = {}  # node: bytes that were looked at
        self.starts = self.self_exits = 0
        self.folder = temp_folder("chaos")
        self.registry = FakeRegistry()
        self.broker = Broker(options.kafka, nodes=options.brokers, proxied=True, environment=options.shim_environment,
                             heap=SMALL_HEAP + BROKER_LOG, config={"group.min.session.timeout.ms": 1000,
                                     # A node that was killed is let in again when its session is over.
                                     "broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 500})
        self._make_topics()
        self.pool = Pool(self.folder, self.registry, self.names["input"] + "-value", VERSIONS)
        self.account = Account(PARTITIONS, self.pool.fate, options.delivery == "exactly_once")
        self.control = Control(self.broker, self.names)
        # At exactly_once offsets travel with their transaction, whatever the assignor. At at_least_once the program's own
        # choice is on trial: librdkafka before 2.10 loses commits during a cooperative rebalance, so it is range there.
        self.assignor = options.assignor or (
            rng.choice(["range", "cooperative-sticky"]) if options.delivery == "exactly_once" else None)
        settings = self._settings()
        self.members = [Member("w%d" % i, i % 2 == 1, self.broker.proxied_bootstrap, {**settings, "lanes": 1 + i // 2})
                        for i in range(WORKERS)]
        self.shims = {name: Shim(name) for name in ["broker", *(m.name for m in self.members)]} if options.shim else {}
        for member in self.members:
            member.environment = Shim.environment_of(options, member.name) or {}
        self.feed = Feed(self.broker, self.names["input"], self.pool, PARTITIONS, options.rate)
        self.reader = Reader(self)
        self._asker = Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": "chaos", "log_level": 0})
        self._supervising = True
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self.deploy("1")  # a state that every replica has accepted, to fall back to
        for member in self.members[:3]:
            member.up()
        self._supervisor.start()

    def _make_topics(self):
        self.names = {key: "chaos-" + key for key in ("input", "predictions", "dead", "control", "status", "drift")}
        for key in ("input", "predictions", "dead", "drift"):
            more = {} if key == "input" else {"message_timestamp_type": "LogAppendTime"}
            self.broker.create_topic(self.names[key], self.partition_count(key), **more)
        for key in ("control", "status"):
            self.broker.create_topic(self.names[key], 1, cleanup_policy="compact")

    @staticmethod
    def partition_count(key):
        return PARTITIONS if key in ("input", "predictions") else 1

    def _settings(self):
        names = self.names
        return {
            "input.topics": names["input"], "output.topic": names["predictions"], "dead_letter.topic": names["dead"],
            "control.topic": names["control"], "status.topic": names["status"], "drift.topic": names["drift"],
            "group.id": "chaos", "registry.url": self.registry.url, "registry.timeout_ms": 1000,
            "output.fields": "version,scores,partition,offset", "output.partition": "source",
            "model.root.path": self.folder, "model.uri": self.pool.models["1"].uri, "input.record.max_bytes": MAX_BYTES,
            "delivery": self.options.delivery, "commit.interval_ms": COMMIT_MS,
            "kafka.consumer.session.timeout.ms": SESSION_MS, "kafka.consumer.heartbeat.interval.ms": 1000,
            "kafka.consumer.partition.assignment.strategy": self.assignor,
            "revoke.timeout_ms": 4000, "shutdown.timeout_ms": 10000, "status.interval_ms": 1000,
            "kafka.reconnect.backoff.max.ms": 1000,
        }

    # --- rounds ---

    def begin_round(self, number, fault):
        with self.lock:
            begin_ms = now_ms()
            self.rounds[-1].end_ms = begin_ms
            self.rounds.append(Round(number, fault, begin_ms))
            del self.rounds[:-3]
        return self.rounds[-1]

    def event(self, text, at_ms=None):
        """Something happened after which at_least_once may repeat records."""
        self.rounds[-1].events.append((at_ms or now_ms(), text))

    def settle(self, timeout_s):
        """Until everything written so far has its fate and the group has committed it, so that a round owes nothing to the
        next. False: it did not come to that (a violation by now)."""
        limit = self.feed.written
        self.tend_brokers()
        began = time.monotonic()
        wedged = set()

        def done():
            self.check()
            wedged.update(self._wedged())
            if wedged and time.monotonic() > began + WEDGED_S:
                self._mend(wedged)
                wedged.clear()
            return self.account.frontier >= limit

        def committed():
            self.check()
            offsets = self._committed()
            return all(offsets[p] * PARTITIONS + p >= limit for p in range(PARTITIONS))
        deadline = time.monotonic() + timeout_s
        try:
            wait_for(done, timeout_s, "recovery", 0.05)
            wait_for(committed, max(5.0, deadline - time.monotonic()), "committed offsets", 0.1)
            settled = True
        except TimeoutError as error:
            settled = False
            self._give_up(limit, error)
        self.watch_logs()
        return settled

    def _committed(self):
        """{partition: offset}, 0 where nothing is known."""
        try:
            answer = self._asker.committed([TopicPartition(self.names["input"], p) for p in range(PARTITIONS)], timeout=5)
        except KafkaException:
            return dict.fromkeys(range(PARTITIONS), 0)
        return {tp.partition: max(tp.offset, 0) for tp in answer}

    def _give_up(self, limit, error):
        self.describe()
        self.keep()
        with self.lock:
            if self.account.frontier >= limit:
                self.account.violate("stands still", "all accounted for below %d, but %s: %s", limit, error,
                                     self._committed())
            self.account.abandon(limit, self._committed())
        for member in self.running():  # the next round begins with a world that works
            self.kill(member)
            member.up()

    def attribute(self, final=False):
        with self.lock:
            self.account.attribute(self.rounds, final)

    def check(self):
        self.feed.check()
        self.reader.check()

    def describe(self):
        """What stands still, for the log of the run."""
        with self.lock:
            account = self.account
            self.say("  written %d, acknowledged %d, frontier %d, missing %s, high %s"
                     % (self.feed.written, self.feed.acknowledged, account.frontier,
                        account.missing(self.feed.written)[:6], account.high))
        for member in self.members:
            if member.running():
                status = member.get("/status", 1)[1]
                self.say("  %s: %s %s" % (member.name, member.get("/readyz", 1)[1].strip(), status[status.find('"records"'):400]))
                self.say("\n".join("    " + line[:300] for line in member.child.log_tail(6).splitlines()))

    def keep(self):
        """What a violation may be explained by, into a folder a round: logs and threads of the brokers, logs of the workers, the
        last records of the outputs, what the group has. Of the first KEEP_ROUNDS rounds."""
        number = self.rounds[-1].number
        if self.options.evidence is None or number in self.kept or len(self.kept) >= KEEP_ROUNDS:
            return
        self.kept.append(number)
        folder = os.path.join(self.options.evidence, "seed-%d-round-%d" % (self.options.seed, number))
        os.makedirs(folder, exist_ok=True)
        self.broker.keep(folder, KEEP_BYTES)
        for member in self.members:
            member.keep(folder)
        with open(os.path.join(folder, "world.txt"), "w", encoding="utf-8") as file:
            print("committed %s" % self._committed(), "violations", *self.account.texts, sep="\n", file=file)
            for key in ("predictions", "dead"):
                self._keep_records(self.names[key], file)
        self.say("  kept: %s" % folder)

    def _keep_records(self, topic, file):
        try:
            start = {p: max(0, end - KEEP_RECORDS) for p, end in self.broker.ends(topic).items()}
            for isolated in (False, True):
                print(topic, "committed only" if isolated else "all", file=file)
                for message in self.broker.read(topic, 20, isolated, start):
                    print(message.partition(), message.offset(), message.timestamp()[1], message.key(), file=file)
        except (KafkaException, TimeoutError) as error:
            print("%s: %s" % (topic, error), file=file)

    def _wedged(self):
        """Nodes whose coordinator says that it is wedged."""
        found = set()
        for node in range(self.options.brokers):
            text, self._broker_logs[node] = self.broker.log_from(node, self._broker_logs.get(node, 0))
            if WEDGED.search(text):
                found.add(node)
        return found

    def _mend(self, nodes):
        """A broker's own failure, by its own log: said, counted, evidence kept, and mended as an operator would."""
        self.keep()
        for node in sorted(nodes):
            self.wedges += 1
            self.say("  broker %d: its group coordinator is wedged (stale load completion); restarted" % (node + 1))
            self.broker.restart(node)
        self.event("broker restarted, its coordinator was wedged")

    def tend_brokers(self):
        """A broker that ended and that no fault holds down is the harness's trouble: said, and started again."""
        for node in range(self.options.brokers):
            if self.broker.ended(node):
                self.say("  broker %d ended by itself:\n%s" % (node + 1, self.broker.log_tail(node)))
                self.broker.start(node)

    # --- workers ---

    def _supervise(self):
        while self._supervising:
            for member in self.members:
                if not member.lock.acquire(blocking=False):
                    continue  # a fault has it in hand
                try:
                    if member.wanted and member.child.poll() is not None:
                        self._ended_by_itself(member)
                        time.sleep(RESTART_S)
                        member.start()
                finally:
                    member.lock.release()
            time.sleep(0.05)

    def _ended_by_itself(self, member):
        code = member.child.returncode
        self.self_exits += 1
        self.event("%s ended with %s" % (member.name, code))
        self._search_log(member)
        errors = [line for line in member.child.log().splitlines() if "level=error" in line or line.startswith("lepton:")]
        self.say("  %s ended by itself with %s: %s" % (member.name, code, "; ".join(errors[-3:])))
        if code < 0:
            with self.lock:
                self.account.violate("crash", "%s: signal %d\n%s", member.name, -code, member.child.log_tail())

    def _search_log(self, member):
        found = SANITIZER_MARKS.search(member.child.log())
        if found:
            with self.lock:
                self.account.violate("crash", "%s: %s", member.name, member.child.log()[found.start():][:4000])

    def watch_logs(self):
        """Incidents that workers report themselves become events of the round under way."""
        for member in self.members:
            self._watch_log(member)

    def _watch_log(self, member):
        for line in member.new_lines():
            found = LOG_LINE.match(line)
            if not found or found.group(2) not in INCIDENTS:
                continue
            field = INCIDENTS[found.group(2)]
            if field and (" %s=0" % field) in found.group(3):
                continue
            text = "%s: %s%s" % (member.name, found.group(2), found.group(3))
            if found.group(2) == "assignment_lost":
                self._expelled(text, found.group(1))
            else:
                self.event(text, self.rounds[-1].begin_ms)

    def _expelled(self, text, noticed):
        """Others have had its partitions for up to a session when a member learns of it, and may have since before the
        round under way."""
        noticed_ms = datetime.datetime.fromisoformat(noticed.replace("Z", "+00:00")).timestamp() * 1000
        if abs(noticed_ms - now_ms()) > 60_000:  # by a clock that is somewhere else
            noticed_ms = now_ms()
        since_ms = noticed_ms - 2 * SESSION_MS
        for past in self.rounds:
            if past.end_ms is None or past.end_ms >= since_ms:
                past.events.append((max(past.begin_ms, since_ms), text))

    def running(self):
        return [m for m in self.members if m.wanted]

    def kill(self, member):
        self._watch_log(member)
        self.event("%s killed" % member.name)
        member.destroy()
        self._search_log(member)

    def restart_cleanly(self, member, pause_s=0.0):
        self.terminate(member)
        time.sleep(pause_s)
        member.up()

    def terminate(self, member):
        if member.child is None:
            return
        code = member.down()
        self._watch_log(member)
        self._search_log(member)
        if code not in (0, None):
            self.event("%s: SIGTERM ended with %d" % (member.name, code))
            self.say("  %s: SIGTERM ended with %d: %s" % (member.name, code, member.child.log_tail(3)))

    def restore(self, count=3):
        """`count` workers run again."""
        for member in self.members[:count]:
            member.up()
        for member in self.members[count:]:
            self.terminate(member)

    def wait_ready(self, timeout_s=30):
        wait_for(lambda: all(m.get("/readyz", 1)[0] == 200 for m in self.running()), timeout_s, "workers to be ready", 0.1)

    # --- control ---

    def deploy(self, version, **more):
        self.generation += 1
        self.control.deploy(self.generation, self.pool.models[version].path, **more)

    def hostile_values(self, rng):
        """Control records that leave what serves. Those that are well formed, with no keys set, use their generation up."""
        self.generation += 1
        good = {"format": 1, "generation": self.generation,
                "active": {"uri": self.pool.models["1"].uri, "sha256": sha256(self.pool.models["1"].path)}}

        def edited(**more):
            return json.dumps({**good, **more}).encode()

        def elsewhere(uri):
            return edited(active={"uri": uri, "sha256": good["active"]["sha256"]})

        return {
            "random bytes": rng.randbytes(rng.randint(1, 300)),
            "empty": b"",
            "cut JSON": edited()[:-rng.randint(1, 40)],
            "not an object": b"[1, 2, 3]",
            "nested deep": b"[" * 20000,
            "too large": edited(previous={"uri": "file:///" + "a" * 70000, "sha256": "0" * 64}),
            "unknown field": edited(shutdown=True),
            "generation is a text": edited(generation="999999"),
            "generation is negative": edited(generation=-1),
            "generation is old": edited(generation=0),
            "out of the root": elsewhere(self.pool.outside.uri),
            "out of the root by dots": elsewhere("file://%s/../%s" % (self.folder, self.pool.outside.path.lstrip("/"))),
            "a device": elsewhere("file:///dev/zero"),
            "no such file": elsewhere("file://%s/none.safetensors" % self.folder),
            "wrong SHA-256": edited(active={"uri": good["active"]["uri"], "sha256": "0" * 64}),
            "a foreign host": elsewhere("http://127.0.0.1:1/model.safetensors"),
            "damaged model": edited(active={"uri": self.pool.damaged.uri, "sha256": sha256(self.pool.damaged.path)}),
        }

    # --- the end ---

    def finish(self, timeout_s=60):
        """The stream ends, the rest is scored, workers end cleanly, every committed offset is its partition's end."""
        self.feed.stop()
        self.settle(timeout_s)
        ends = self.broker.ends(self.names["input"])
        for member in self.members:
            self.terminate(member)
        self._supervising = False
        wait_for(self._read_all, 60, "the checker to read to the end", 0.1)
        self.reader.stop()
        self.attribute(final=True)
        self._asker.close()
        written = sum(ends.values())
        if not self.feed.written == written == self.account.inputs_read == self.account.frontier:
            raise AssertionError("written %d, in the topic %d, read %d, accounted for %d"
                                 % (self.feed.written, written, self.account.inputs_read, self.account.frontier))

    def _read_all(self):
        self.check()
        return all(self.reader.positions.get((self.names[key], p), 0) >= end for key in ("input", "predictions", "dead")
                   for p, end in self.broker.ends(self.names[key]).items())

    def close(self):
        self._supervising = False
        for member in self.members:
            if member.running():
                member.wanted = False
                member.child.signal(signal.SIGCONT)
                member.child.kill()
        self.broker.stop()
        self.registry.stop()
