"""A worker that catches up under a hard memory limit of 256 MB: it reads the limit, stays below it and loses nothing."""
# slots: 6
# versions: first

import os
import time

from case import KafkaCase, main, note
from process import resident_bytes
from records import Records

LIMIT_BYTES = 256 << 20
V1, V2 = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"


class MemoryGroup:
    """A control group with a memory limit: version 1 or 2, whichever can be written. `kind` says which."""

    def __init__(self, limit_bytes):
        name = "lepton-test-%d" % os.getpid()
        errors = []
        for self.kind, base, limit in (("cgroup v2", V2, "memory.max"), ("cgroup v1", V1, "memory.limit_in_bytes")):
            self.path = os.path.join(base, name)
            try:
                if self.kind == "cgroup v2":
                    with open(os.path.join(base, "cgroup.controllers"), encoding="ascii") as file:
                        if "memory" not in file.read():
                            raise OSError("no memory controller in " + base)
                    with open(os.path.join(base, "cgroup.subtree_control"), "w", encoding="ascii") as file:
                        file.write("+memory")
                os.makedirs(self.path, exist_ok=True)
                self._write(limit, str(limit_bytes))
                return
            except OSError as error:
                errors.append("%s: %s" % (self.kind, error))
                if os.path.isdir(self.path):
                    os.rmdir(self.path)
        raise RuntimeError("no control group with a memory limit can be made: " + "; ".join(errors))

    def _write(self, file_name, text):
        with open(os.path.join(self.path, file_name), "w", encoding="ascii") as file:
            file.write(text)

    def enter(self):
        """For the child, before exec."""
        self._write("cgroup.procs", str(os.getpid()))

    def oom_kills(self):
        name = "memory.events" if self.kind == "cgroup v2" else "memory.oom_control"
        with open(os.path.join(self.path, name), encoding="ascii") as file:
            return int(dict(line.split() for line in file).get("oom_kill", 0))

    def remove(self):
        for _ in range(50):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.1)


class Memory(KafkaCase):
    def test_catching_up_in_256_mb(self):
        group = MemoryGroup(LIMIT_BYTES)
        self.addCleanup(group.remove)
        settings = self.topics(4)
        model = self.model()
        records = Records(model.manifest, 1_000_000)
        self.produce(records)
        worker = self.worker({**settings, "model.uri": model.uri}, before_exec=group.enter)
        begin = time.monotonic()
        self.broker.wait_count(self.names["predictions"], records.count, 120, worker.check_alive)
        seconds = time.monotonic() - begin
        self.wait_committed()
        peak = resident_bytes(worker.child.pid, peak=True)
        self.assertEqual(group.oom_kills(), 0)
        self.assertLess(peak, LIMIT_BYTES * 3 // 4, "the worker takes more than the share it grants itself")
        worker.stop()
        messages, columns = self.predictions()
        self.assertEqual(len(messages), records.count)
        self.check_complete(columns, records)
        note("%s of 256 MB, backlog of %d records: %.1f s, peak RSS %.0f MB", group.kind, records.count, seconds,
             peak / 2**20)


if __name__ == "__main__":
    main()
