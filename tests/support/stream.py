"""Records written at a steady pace while a test does something to the workers."""

import threading
import time

STEP_S = 0.05


class Doubled(AssertionError):
    """The test's own producer wrote records twice: what the program did with them cannot be told from offsets."""


class Stream:
    """Writes records round robin over partitions from a thread of its own, `rate` a second, until stop().

    Record i is offset i // partitions of partition i % partitions. `sent` counts what was written.
    """

    def __init__(self, case, records, encoded, rate, partitions=4):
        self._case, self._records, self._encoded = case, records, encoded
        self._rate, self._partitions = rate, partitions
        self._stop = threading.Event()
        self._error = None
        self.sent = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            producer = self._case.broker.producer(linger_ms=5)
            begin = time.monotonic()
            while not self._stop.is_set():
                due = int((time.monotonic() - begin) * self._rate)
                # A multiple of the partitions, so that every index below `sent` is written.
                end = min(due, self._records.count) // self._partitions * self._partitions
                if end > self.sent:
                    rows = slice(self.sent, end)
                    self._case.broker.send(self._case.names["input"], self._encoded[rows], keys=self._records.ids[rows],
                                           timestamps=self._records.times[rows], producer=producer,
                                           partitions=[i % self._partitions for i in range(self.sent, end)])
                    self.sent = end
                elif self.sent >= self._records.count // self._partitions * self._partitions:
                    raise RuntimeError("the stream ran out of its %d records" % self._records.count)
                time.sleep(STEP_S)
        except Exception as error:
            self._error = error

    def check(self):
        if self._error:
            raise self._error

    def stop(self):
        """Returns how many were written."""
        self._stop.set()
        self._thread.join(60)
        self.check()
        written = self._case.broker.count(self._case.names["input"])
        if written != self.sent:
            # An idempotent producer may write twice when a broker that comes back answers it late.
            raise Doubled("the stream's own producer wrote %d records where %d were sent: offsets mean nothing"
                          % (written, self.sent))
        return self.sent
