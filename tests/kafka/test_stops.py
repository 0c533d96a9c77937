"""A container must end: SIGTERM at the worst moments, within shutdown.timeout_ms and the watchdog's two seconds."""
# versions: first

import signal
import socket
import time

from case import KafkaCase, main, note
from process import wait_for
from records import Records

SHUTDOWN_S = 4
MARGIN_S = 2 + 3  # the watchdog's, and a busy machine's


class Stops(KafkaCase):
    def settings_of(self, **more):
        settings = {**self.topics(2), "shutdown.timeout_ms": SHUTDOWN_S * 1000, **more}
        self.first = self.model()
        return {**settings, "model.uri": self.first.uri}

    def term(self, worker, what):
        """SIGTERM; returns the exit code. Nothing outlives the bound."""
        began = time.monotonic()
        worker.child.signal(signal.SIGTERM)
        code = worker.child.wait(SHUTDOWN_S + MARGIN_S + 20)
        took = time.monotonic() - began
        self.assertLess(took, SHUTDOWN_S + MARGIN_S, "%s: %.1f s\n%s" % (what, took, worker.child.log_tail()))
        self.assertIn(code, (0, 1), worker.child.log_tail())
        log = worker.child.log()
        self.assertTrue("event=stop " in log or "shutdown_watchdog" in log, log)
        if code == 1:
            self.assertIn("shutdown_watchdog", log)
        worker.check_log()
        note("SIGTERM %s: %.1f s, exit code %d", what, took, code)
        return code

    def test_while_the_start_waits_for_a_broker_that_never_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as hole:  # accepts, says nothing
            settings = self.settings_of()
            worker = self.worker(settings, start=False)
            worker.settings["kafka.bootstrap.servers"] = "127.0.0.1:%d" % hole.getsockname()[1]
            worker.start()
            wait_for(lambda: worker.get("/livez")[0] == 200, 20, "HTTP")
            self.assertEqual(worker.get("/readyz")[0], 503)
            time.sleep(1)
            self.assertEqual(self.term(worker, "at the start, no broker answers"), 0)

    def test_while_the_start_waits_for_a_topic(self):
        worker = self.worker({**self.settings_of(), "input.topics": "never-made", "startup.timeout_ms": 0}, start=False)
        worker.start()
        wait_for(lambda: "event=waiting" in worker.child.log(), 30, "the log to say so")
        self.assertEqual(self.term(worker, "at the start, a topic is missing"), 0)

    def test_while_the_broker_is_stopped_with_records_in_flight_and_in_a_rebalance(self):
        settings = self.settings_of()
        records = Records(self.first.manifest, 30000)
        worker = self.worker(settings)
        self.produce(records, 2)
        self.broker.wait_count(self.names["predictions"], 1000, 60, worker.check_alive)
        second = self.worker({**settings, "replica.id": "second"}, start=False)
        second.start()
        wait_for(lambda: second.get("/livez")[0] == 200, 20, "HTTP")
        self.broker.freeze()
        try:
            time.sleep(0.5)
            self.term(second, "in a join, the broker is frozen")
            self.term(worker, "with records in flight, the broker is frozen")
        finally:
            self.broker.thaw()
        # What was not committed comes again; nothing is lost.
        third = self.worker({**settings, "replica.id": "third"}, ready_timeout_s=60)
        self.wait_committed(60)
        third.stop()
        _, columns = self.predictions()
        extra = self.check_complete(columns, records, 2, duplicates=None)
        note("after it: %d records, %d twice", records.count, extra)


if __name__ == "__main__":
    main()
