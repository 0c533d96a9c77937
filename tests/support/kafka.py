"""Real Kafka for tests and benches: brokers (KRaft, no ZooKeeper), topics, writing and reading whole topics fast.

Brokers are Java processes from the jars that fetch.sh put into the cache (LEPTON_TEST_CACHE, else build/deps).
"""

import os
import re
import signal
import time

from confluent_kafka import Consumer, ElectionType, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from process import Child, copy_tail, free_port, port_open, temp_folder, wait_for
from proxy import Proxy
from reassign import reassign

SUPPORT = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(SUPPORT))
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"  # fixed: a random one may begin with a dash, which the formatter takes as a flag
SMALL_HEAP = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
BENCH_HEAP = ["-Xmx1g"]
START_S = 180  # on a machine that has much else to do


def versions():
    """The broker versions that are tested, from versions.sh."""
    with open(os.path.join(SUPPORT, "versions.sh"), encoding="utf-8") as file:
        return re.search(r'^KAFKA_VERSIONS="([^"]+)"', file.read(), re.M).group(1).split()


def cache_folder():
    return os.environ.get("LEPTON_TEST_CACHE") or os.path.join(ROOT, "build", "deps")


def archive_path(version):
    """Classes that a JVM takes as they are, which halves a broker's start; used where it is. One that another JVM or other
    jars made is passed over by the JVM itself."""
    return os.path.join(cache_folder(), "kafka-%s.jsa" % version)


def make_archive(version):
    """The archive of a version, unless it is there: one broker's start, a little work, and its end (10 s)."""
    if os.path.exists(archive_path(version)):
        return
    made = "%s.%d" % (archive_path(version), os.getpid())
    broker = Broker(version, heap=[*SMALL_HEAP, "-XX:ArchiveClassesAtExit=" + made])
    try:
        broker.create_topic("archive", 1)
        broker.send("archive", [b"x"] * 1000)
        broker.read("archive")
        broker.stop_node(0, signal.SIGTERM)
        os.replace(made, archive_path(version))
    finally:
        broker.stop()


class Broker:
    """A cluster of combined broker and controller nodes on free ports of 127.0.0.1.

    With `proxied` each node has a second listener behind a Proxy (`proxies`), which clients of `proxied_bootstrap` use.
    `environment` is added to the nodes' own. `listeners`: more of them, {name: port}, for one node only;
    `format_options`: for the storage's formatter.
    """

    def __init__(self, version=None, nodes=1, heap=None, config=None, proxied=False, environment=None, listeners=None,
                 format_options=()):
        self.version = version or versions()[0]
        self.folder = temp_folder("kafka")
        self._heap = heap or SMALL_HEAP
        self._extra = config or {}
        self._listeners = listeners or {}
        self._nodes = []
        self._environment = {**os.environ, **environment} if environment else None
        library = os.path.join(cache_folder(), "kafka-%s" % self.version, "lib")
        if not os.path.isdir(library):
            raise RuntimeError("no Kafka %s in %s: run tests/support/fetch.sh" % (self.version, cache_folder()))
        archive = archive_path(self.version)
        shared = ["-XX:SharedArchiveFile=" + archive] if os.path.exists(archive) else []
        self._java = ["java", *self._heap, *shared, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", library + "/*"]
        self._ports = [(free_port(), free_port()) for _ in range(nodes)]
        self.bootstrap = ",".join("127.0.0.1:%d" % port for port, _ in self._ports)
        self._behind = [free_port() for _ in range(nodes)] if proxied else []
        self.proxies = [Proxy(free_port(), port) for port in self._behind]
        self.proxied_bootstrap = ",".join("127.0.0.1:%d" % proxy.port for proxy in self.proxies)
        formats = []
        for index in range(nodes):
            path = self._write_config(index, nodes)
            formats.append(Child([*self._java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", path,
                                  *format_options], self._log(index)))
            self._nodes.append(None)
        for child in formats:
            if child.wait(START_S) != 0:
                raise RuntimeError("formatting a broker's storage failed:\n" + child.log_tail())
        for index in range(nodes):
            self.start(index)
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        wait_for(self.answers, START_S, "Kafka %s on %s" % (self.version, self.bootstrap))

    def _log(self, index):
        return os.path.join(self.folder, "node-%d.log" % index)

    def _config(self, index):
        return os.path.join(self.folder, "node-%d.properties" % index)

    def _write_config(self, index, nodes):
        port, controller = self._ports[index]
        copies = min(nodes, 3)
        values = {
            "process.roles": "broker,controller",
            "node.id": index + 1,
            "controller.quorum.voters": ",".join("%d@127.0.0.1:%d" % (i + 1, c)
                                                 for i, (_, c) in enumerate(self._ports)),
            "listeners": ",".join("%s://127.0.0.1:%d" % item for item in
                                  {"PLAINTEXT": port, "CONTROLLER": controller, **self._listeners}.items()),
            "controller.listener.names": "CONTROLLER",
            "log.dirs": os.path.join(self.folder, "data-%d" % index),
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": min(copies, 2),
            "transaction.state.log.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
            "log.cleaner.dedupe.buffer.size": 1048577,
            "auto.create.topics.enable": "false",
            # A test expects its records to stay; their times may be years ago.
            "log.retention.ms": -1,
        }
        if self.proxies:
            values.update({
                "listeners": values["listeners"] + ",PROXIED://127.0.0.1:%d" % self._behind[index],
                "advertised.listeners": "PLAINTEXT://127.0.0.1:%d,PROXIED://127.0.0.1:%d"
                                        % (port, self.proxies[index].port),
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
                "inter.broker.listener.name": "PLAINTEXT",
            })
        if nodes > 1:
            values.update({
                "default.replication.factor": copies, "min.insync.replicas": 2,
                "broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 500,
                "controller.quorum.election.timeout.ms": 500, "controller.quorum.fetch.timeout.ms": 1000,
            })
        values.update(self._extra)
        with open(self._config(index), "w", encoding="ascii") as file:
            file.writelines("%s=%s\n" % item for item in values.items())
        return self._config(index)

    def start(self, index=0):
        self._nodes[index] = Child([*self._java, "kafka.Kafka", self._config(index)], self._log(index),
                                   env=self._environment)

    def ended(self, index=0):
        return self._nodes[index].poll() is not None

    def keep(self, folder, most_bytes):
        """The end of each node's log, with a dump of its threads, and the data of the internal topics, into `folder`."""
        for index, node in enumerate(self._nodes):
            if node.poll() is None:
                node.signal(signal.SIGQUIT)
        time.sleep(1)
        for index in range(len(self._nodes)):
            copy_tail(self._log(index), folder, most_bytes)
            data = os.path.join(self.folder, "data-%d" % index)
            for name in sorted(os.listdir(data)):
                if name.startswith("__"):
                    for file in sorted(os.listdir(os.path.join(data, name))):
                        if file.endswith((".log", ".snapshot")):
                            path = os.path.join(folder, "data-%d-%s" % (index, name))
                            os.makedirs(path, exist_ok=True)
                            copy_tail(os.path.join(data, name, file), path, 4 * most_bytes)

    def restart(self, index=0):
        """kill -9 and a new start."""
        self.stop_node(index, signal.SIGKILL)
        self.start(index)

    def log_from(self, index, offset):
        """What a node logged since its log had so many bytes, and how many it has."""
        with open(self._log(index), "rb") as file:
            file.seek(offset)
            data = file.read()
        return data.decode("utf-8", "replace"), offset + len(data)

    def log_tail(self, index=0):
        return self._nodes[index].log_tail(8)

    def stop_node(self, index=0, number=signal.SIGKILL):
        self._nodes[index].signal(number)
        self._nodes[index].wait(60)

    def freeze(self, index=0):
        self._nodes[index].signal(signal.SIGSTOP)

    def thaw(self, index=0):
        self._nodes[index].signal(signal.SIGCONT)

    def answers(self):
        for index, node in enumerate(self._nodes):
            if node.poll() is not None:
                raise RuntimeError("a broker ended at start:\n" + node.log_tail())
            if not port_open(self._ports[index][0]):
                return False
        try:
            return len(self.admin.list_topics(timeout=2).brokers) == len(self._nodes)
        except KafkaException:
            return False

    def stop(self):
        for node in self._nodes:
            if node is not None:
                node.kill()
        for proxy in self.proxies:
            proxy.stop()

    # --- topics ---

    def create_topic(self, name, partitions=1, **config):
        """Dots of a setting are written as underscores: cleanup_policy="compact"."""
        self.create_topics({name: (partitions, config)})

    @staticmethod
    def settle(future):
        try:
            future.result(30)
        except KafkaException as error:
            # A controller that is slow to answer is asked again by the client, and has made it by then.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    def create_topics(self, topics):
        """{name: (partitions, settings)} in one request."""
        copies = min(len(self._nodes), 3)
        made = [NewTopic(name, partitions, replication_factor=copies,
                         config={key.replace("_", "."): str(value) for key, value in settings.items()})
                for name, (partitions, settings) in topics.items()]
        for attempt in range(4):
            try:
                for future in self.admin.create_topics(made).values():
                    self.settle(future)
                break
            except KafkaException as error:
                # The client lets go of a bootstrap address once it knows the brokers, and of what it asked there.
                if error.args[0].code() != KafkaError._DESTROY_BROKER or attempt == 3:
                    raise

        def led():
            known = self.admin.list_topics(timeout=5).topics
            return all(name in known and sum(1 for p in known[name].partitions.values() if p.leader >= 0) == partitions
                       for name, (partitions, _) in topics.items())

        wait_for(led, 30, "topics " + ", ".join(topics))

    def alter_topic(self, name, **config):
        resource = ConfigResource(ConfigResource.Type.TOPIC, name,
                                  set_config={key.replace("_", "."): str(value) for key, value in config.items()})
        self.admin.alter_configs([resource])[resource].result(30)

    def move_leaders(self, topics, rng):
        """Shuffle the replicas of every partition and let the new first ones lead. Nodes that are down are passed over."""
        metadata = self.admin.list_topics(timeout=10)
        replicas = {name: {p: rng.sample(part.replicas, len(part.replicas))
                           for p, part in metadata.topics[name].partitions.items()} for name in topics}
        alive = next(i for i, node in enumerate(self._nodes) if node.poll() is None)
        reassign(self._ports[alive][0], replicas)
        partitions = [TopicPartition(name, p) for name in topics for p in replicas[name]]
        self.admin.elect_leaders(ElectionType.PREFERRED, partitions).result(30)

    def ends(self, topic):
        """{partition: end offset}."""
        reader = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "ends", "log_level": 2})
        try:
            count = len(reader.list_topics(topic, timeout=10).topics[topic].partitions)
            return {p: reader.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in range(count)}
        finally:
            reader.close()

    def count(self, topic):
        """Records in a topic that was never compacted nor written in transactions."""
        return sum(self.ends(topic).values())

    def committed(self, group, topic):
        """{partition: committed offset}, -1 where nothing is committed."""
        reader = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group, "log_level": 2})
        try:
            count = len(reader.list_topics(topic, timeout=10).topics[topic].partitions)
            answer = reader.committed([TopicPartition(topic, p) for p in range(count)], timeout=10)
            return {tp.partition: tp.offset if tp.offset >= 0 else -1 for tp in answer}
        finally:
            reader.close()

    # --- records ---

    def producer(self, **settings):
        config = {"bootstrap.servers": self.bootstrap, "enable.idempotence": True, "linger.ms": 20, "log_level": 2,
                  "queue.buffering.max.messages": 2000000, "queue.buffering.max.kbytes": 1048576,
                  "batch.num.messages": 20000}
        config.update({key.replace("_", "."): value for key, value in settings.items()})
        return Producer(config)

    def send(self, topic, values, keys=None, partitions=None, timestamps=None, headers=None, producer=None):
        """Write all and wait for the acknowledgements. Sequences run beside `values`; None leaves a part out."""
        errors = []

        def delivered(error, _message):
            if error is not None:
                errors.append(error)

        producer = producer or self.producer()
        for index, value in enumerate(values):
            part = {"on_delivery": delivered}
            if keys is not None:
                part["key"] = keys[index]
            if partitions is not None:
                part["partition"] = int(partitions[index])
            if timestamps is not None:
                part["timestamp"] = int(timestamps[index])
            if headers is not None:
                part["headers"] = headers[index]
            producer.produce(topic, value, **part)
            if index % 10000 == 0:
                producer.poll(0)
        left = producer.flush(120)
        if left or errors:
            raise RuntimeError("%d of %d records not written: %s" % (left + len(errors), len(values), errors[:1]))

    def read(self, topic, timeout_s=60, committed_only=False, start=None):
        """Every message of a topic up to its present end, in order within each partition.

        `start`: {partition: offset} to begin at. Waits for nothing that is not there yet.
        """
        reader = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "read", "log_level": 2, "enable.auto.commit": False,
                           "auto.offset.reset": "earliest", "enable.partition.eof": True,
                           "isolation.level": "read_committed" if committed_only else "read_uncommitted",
                           "fetch.wait.max.ms": 20, "queued.max.messages.kbytes": 262144})
        try:
            partitions = sorted(reader.list_topics(topic, timeout=10).topics[topic].partitions)
            reader.assign([TopicPartition(topic, p, (start or {}).get(p, 0)) for p in partitions])
            messages, ended = [], set()
            deadline = time.monotonic() + timeout_s
            while len(ended) < len(partitions):
                for message in reader.consume(10000, timeout=0.2):
                    if message.error() is None:
                        messages.append(message)
                    elif message.error().name() == "_PARTITION_EOF":
                        ended.add(message.partition())
                    else:
                        raise KafkaException(message.error())
                if time.monotonic() > deadline:
                    raise TimeoutError("read %d messages of %s in %s s, no end" % (len(messages), topic, timeout_s))
            return messages
        finally:
            reader.close()

    def wait_count(self, topic, count, timeout_s, check=None):
        """Wait until a topic holds at least `count` records; `check` is called meanwhile and may raise."""
        def enough():
            if check:
                check()
            return self.count(topic) >= count
        try:
            wait_for(enough, timeout_s, "%d records in %s" % (count, topic), 0.25)
        except TimeoutError as error:
            raise TimeoutError("%s, it has %d" % (error, self.count(topic))) from None


def latest_by_key(messages):
    """What a compacted topic says: {key: last value}, keys with a tombstone left out."""
    table = {}
    for message in messages:
        table[message.key()] = message.value()
    return {key: value for key, value in table.items() if value is not None}
