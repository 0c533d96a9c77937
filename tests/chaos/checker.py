"""Accounts for every input by (partition, offset): scored once, dead-lettered once, or a named violation.

Pure bookkeeping: no Kafka, no clock. Input i is the record at offset i // partitions of partition i % partitions and has
the decimal i as its key.
"""

import array
import collections

KINDS = ("lost", "twice", "both", "wrong score", "wrong order", "wrong letter", "foreign", "stands still", "crash")
SHOWN = 30  # violations that are described; all are counted
BEFORE_MS = 2000  # what an event may repeat was written at most that long before its round began
AFTER_MS = 5000  # and comes again at most that long after its round was over

UNSEEN, SCORED, LETTER, BLAMED = 0, 1, 2, 3

Duplicate = collections.namedtuple("Duplicate", "index before_ms again_ms kind")  # before_ms: when it came last


class Round:
    """The span of one fault and of the recovery from it; `events` are times (ms) that may repeat records."""

    def __init__(self, number, fault, begin_ms):
        self.number, self.fault, self.begin_ms = number, fault, begin_ms
        self.end_ms = None
        self.events = []  # (ms, text)
        self.duplicates = 0

    def explains(self, duplicate):
        if self.end_ms is not None and duplicate.again_ms > self.end_ms + AFTER_MS:
            return False
        return duplicate.before_ms >= self.begin_ms - BEFORE_MS and \
            any(duplicate.again_ms >= begin_ms for begin_ms, _ in self.events)


class Account:
    """What became of each input. `fate(index)` says what should: see feed.Pool."""

    def __init__(self, partitions, fate, exactly_once):
        self.partitions, self._fate, self._exactly_once = partitions, fate, exactly_once
        self.states = bytearray()
        self._last_ms = array.array("q")
        self.inputs_read = 0
        self.written = 0  # every index below was given to the producer
        self.frontier = 0  # every index below has a fate
        self.scored = self.letters = self.duplicates = 0
        self.high = [-1] * partitions  # last offset scored, by partition
        self.violations = collections.Counter()
        self.texts = []
        self.pending = []  # duplicates that no event explains yet

    def violate(self, kind, text, *values, count=1):
        assert kind in KINDS
        self.violations[kind] += count
        if len(self.texts) < SHOWN:
            self.texts.append("%s: %s" % (kind, text % values))

    def grow(self, written):
        self.written = written
        more = written - len(self.states)
        if more > 0:
            self.states.extend(bytes(more))
            self._last_ms.frombytes(bytes(8 * more))

    # --- what was read ---

    def saw_input(self, key, partition, offset):
        """The stream itself must be as promised, else nothing below means anything."""
        if key is None or int(key) != offset * self.partitions + partition:
            raise AssertionError("the producer wrote %r to partition %d, offset %d" % (key, partition, offset))
        self.inputs_read += 1

    def _known(self, key, where):
        index = int(key) if key is not None and key.isdigit() else -1
        if 0 <= index < self.written:
            return index
        self.violate("foreign", "%s has the key %r, which no input has", where, key)
        return None

    def saw_prediction(self, key, partition, time_ms, prediction):
        """`prediction`: decoded, with what it says of its origin; None for a null value."""
        index = self._known(key, "a prediction")
        if index is None:
            return
        offset = index // self.partitions
        if partition != index % self.partitions:
            self.violate("foreign", "input %d of partition %d was answered in partition %d", index,
                         index % self.partitions, partition)
            return
        if prediction is not None and (prediction["partition"], prediction["offset"]) != (partition, offset):
            self.violate("foreign", "the prediction for %d names partition %s, offset %s", index,
                         prediction["partition"], prediction["offset"])
            return
        wrong = self._fate(index).wrong_score(prediction)
        if wrong:
            self.violate("wrong score", "partition %d, offset %d: %s", partition, offset, wrong)
        again = self._take(index, SCORED, time_ms)
        if not again:
            self.scored += 1
            if offset < self.high[partition]:
                self._out_of_order(index, time_ms)
        self.high[partition] = max(self.high[partition], offset)

    def saw_letter(self, key, time_ms, value, headers):
        index = self._known(key, "a dead letter")
        if index is None:
            return
        origin = (headers.get("__connect.errors.partition"), headers.get("__connect.errors.offset"))
        if origin != (str(index % self.partitions), str(index // self.partitions)):
            self.violate("foreign", "the dead letter for %d names partition %s, offset %s", index, *origin)
            return
        wrong = self._fate(index).wrong_letter(value, headers)
        if wrong:
            self.violate("wrong letter", "partition %s, offset %s: %s", *origin, wrong)
        if not self._take(index, LETTER, time_ms):
            self.letters += 1

    def _take(self, index, state, time_ms):
        """Note the fate; true when the input had one before."""
        before = self.states[index]
        if before == UNSEEN:
            self.states[index] = state
            self._last_ms[index] = time_ms
            while self.frontier < self.written and self.states[self.frontier] != UNSEEN:
                self.frontier += 1
            return False
        if before == BLAMED:
            return True
        if before != state:
            self.violate("both", "input %d was scored and dead-lettered", index)
            return True
        self.duplicates += 1
        self._repeat(Duplicate(index, self._last_ms[index], time_ms, "twice"))
        self._last_ms[index] = time_ms
        return True

    def _out_of_order(self, index, time_ms):
        self._repeat(Duplicate(index, time_ms, time_ms, "wrong order"))

    def _repeat(self, duplicate):
        if self._exactly_once:
            self._blame(duplicate)
        else:
            self.pending.append(duplicate)

    def _blame(self, duplicate):
        self.violate(duplicate.kind, "partition %d, offset %d: at %d and at %d ms, and nothing that may repeat records "
                     "happened", duplicate.index % self.partitions, duplicate.index // self.partitions,
                     duplicate.before_ms, duplicate.again_ms)

    # --- what it means ---

    def attribute(self, rounds, final=False):
        """Give each duplicate to the latest of `rounds` (oldest first) that explains it.

        What none explains is a violation once its own round and the next are over: `final`, or a later round is given.
        """
        waiting = []
        for duplicate in self.pending:
            found = next((r for r in reversed(rounds) if r.explains(duplicate)), None)
            if found:
                if duplicate.kind == "twice":
                    found.duplicates += 1
            elif final or (len(rounds) > 1 and duplicate.again_ms < rounds[-2].begin_ms):
                self._blame(duplicate)
            else:
                waiting.append(duplicate)
        self.pending = waiting

    def missing(self, limit):
        """Indexes below `limit` without a fate."""
        found, at = [], self.frontier
        while 0 <= at < limit:
            at = self.states.find(UNSEEN, at, limit)
            if at < 0:
                break
            found.append(at)
            at += 1
        return found

    def abandon(self, limit, committed=None):
        """What is missing below `limit` will not come: lost where its partition has gone on, else it stands still. What the
        group has not `committed` ({partition: offset}) is not lost yet: a dead letter may wait while later records go on."""
        lost, waiting = collections.defaultdict(list), collections.defaultdict(list)
        for index in self.missing(limit):
            partition, offset = index % self.partitions, index // self.partitions
            gone_on = self.high[partition] > offset and (committed is None or committed[partition] > offset)
            (lost if gone_on else waiting)[partition].append(offset)
            self.states[index] = BLAMED
        for partition, offsets in sorted(lost.items()):
            self.violate("lost", "partition %d: offset %d and %d more up to %d; the partition is at %d", partition,
                         offsets[0], len(offsets) - 1, offsets[-1], self.high[partition], count=len(offsets))
        for partition, offsets in sorted(waiting.items()):
            self.violate("stands still", "partition %d waits at offset %d, with %d more", partition, offsets[0],
                         len(offsets) - 1)
        self.frontier = max(self.frontier, limit)
