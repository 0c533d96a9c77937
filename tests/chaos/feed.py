"""The stream: numbered records at a steady pace, some damaged, some null; and what must become of each."""

import threading
import time

import numpy as np
from confluent_kafka import KafkaException

from damage import Damage, reject_rules
from process import temp_folder
from records import Model, Records, confluent_framing, schema

POOL_ROWS = 991  # prime, so that rows wander over the partitions
DAMAGED_EACH = 25
NULL_EACH = 101
STEP_S = 0.02
SCORE_TOLERANCE = 1e-5
UNFRAMED = ("wrong magic byte", "framing cut", "unknown schema id")  # their bytes do not depend on the schema's id


class Fate:
    """What must become of one row of the pool."""

    def __init__(self, pool, row, body=None, raw=None, kind=None, blame=None):
        self._pool, self._row = pool, row
        self.body = body  # behind the framing
        self.raw = raw  # or the whole value
        self.kind, self._blame = kind, blame

    def value(self, framing):
        return framing + self.body if self.body is not None else self.raw

    def wrong_score(self, prediction):
        """Why this prediction is not the right one, or None."""
        if self.kind is not None:
            return "a damaged record (%s) was scored" % self.kind
        if (prediction is None) != (self.body is None):
            return "null answers %s" % ("a record" if prediction is None else "nothing: the input is null")
        if prediction is None:
            return None
        expected = self._pool.scores.get(prediction["version"])
        if expected is None:
            return "model version %r was never deployed" % prediction["version"]
        got, want = np.array(prediction["scores"]), expected[self._row]
        if got.shape != want.shape or not (np.abs(got - want) < SCORE_TOLERANCE).all():
            return "score %s, numpy says %s" % (got, want)
        return None

    def wrong_letter(self, value, headers):
        if self.kind is None:
            return "a good record was dead-lettered: %s" % headers.get("__connect.errors.exception.message")
        if value != self.raw and (self.body is None or value not in {f + self.body for f in self._pool.framings}):
            return "the bytes of a %s are not the input's" % self.kind
        stage, field = self._blame
        said = headers.get("__connect.errors.stage"), headers.get("lepton.error.field")
        if said[0] != stage or (field and said[1] != field):
            return "%s: blamed %s, expected %s" % (self.kind, said, (stage, field))
        return None


class Pool:
    """POOL_ROWS records that the stream repeats; every model version's scores of them by numpy."""

    def __init__(self, folder, registry, subject, versions):
        self.models = {v: Model(folder, v, seed=int(v), sizes=(10, 16, 1), edit=reject_rules) for v in versions}
        # Two that must never be served: outside of the workers' folder, and with a weight that is no number.
        self.outside = Model(temp_folder("outside"), "outside", seed=98, sizes=(10, 16, 1), edit=reject_rules)
        self.damaged = Model(folder, "damaged", seed=99, sizes=(10, 16, 1), edit=reject_rules, damage="nan")
        first = self.models[versions[0]]
        self._registry, self._subject = registry, subject
        self.framings = []
        self.new_framing()
        records = Records(first.manifest, POOL_ROWS, outliers=0)
        self.scores = {v: records.scores(m.manifest, m.tensors) for v, m in self.models.items()}
        self._fates = self._make_fates(records)

    def _make_fates(self, records):
        damage = Damage(self._registry, self._subject, self.framings[0])
        names, width = list(damage.kinds), len(self.framings[0])
        fates = []
        for row, value in enumerate(records.encode(self.framings[0])):
            if row % NULL_EACH == NULL_EACH - 1:
                fates.append(Fate(self, row))
            elif row % DAMAGED_EACH == DAMAGED_EACH - 1:
                kind = names[row // DAMAGED_EACH % len(names)]
                make, stage, field = damage.kinds[kind]
                value, framed = make(records.dicts([row])[0]), kind not in UNFRAMED + ("union branch out of range",)
                fates.append(Fate(self, row, body=value[width:] if framed else None, raw=None if framed else value,
                                  kind=kind, blame=(stage, field)))
            else:
                fates.append(Fate(self, row, body=value[width:]))
        return fates

    def new_framing(self):
        """The same schema under an id that no worker has seen."""
        text = schema()
        text["doc"] = "edition %d" % len(self.framings)
        self.framings.append(confluent_framing(self._registry.register(self._subject, text)))

    def fate(self, index):
        return self._fates[index % POOL_ROWS]


class Feed:
    """Writes the stream from a thread of its own until stop(). `written`: given to the producer; `acknowledged`: its count."""

    def __init__(self, broker, topic, pool, partitions, rate):
        self._pool, self._topic, self._partitions, self._rate = pool, topic, partitions, rate
        self._producer = broker.producer(linger_ms=5, message_timeout_ms=0)
        self._stop = threading.Event()
        self._error = None
        self.written = self.acknowledged = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _delivered(self, error, _message):
        if error is not None:
            self._error = KafkaException(error)
        self.acknowledged += 1

    def _run(self):
        try:
            begin = time.monotonic()
            while not self._stop.is_set():
                due = int((time.monotonic() - begin) * self._rate)
                framing = self._pool.framings[-1]
                while self.written < due:
                    index = self.written
                    # First the number: a prediction may be read before this thread goes on.
                    self.written += 1
                    self._producer.produce(self._topic, self._pool.fate(index).value(framing), key=b"%d" % index,
                                           partition=index % self._partitions, on_delivery=self._delivered)
                self._producer.poll(0)
                time.sleep(STEP_S)
        except Exception as error:
            self._error = error

    def check(self):
        if self._error:
            raise self._error

    def stop(self):
        self._stop.set()
        self._thread.join(30)
        self._producer.flush(60)
        self.check()
