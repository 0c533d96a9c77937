"""Deployments through the control topic: ten bad ones refused with their reasons while the old model serves; restarts,
fallbacks, pause and retirement."""
# slots: 2
# sanitized
# threads

import json
import os
import shutil
import time

from case import KafkaCase, main, note
from control import Control, sha256
from process import wait_for
from records import Records

BATCH = 400


class Deployments(KafkaCase):
    def start(self, **more):
        self.settings = self.topics()
        self.first = self.model("1")
        self.control = Control(self.broker, self.names)
        self.sent = 0
        self.worker_ = self.worker({**self.settings, "model.uri": self.first.uri, "replica.id": "a", **more})
        return self.worker_

    def versions_of_next_records(self):
        """Send some records; the versions that scored them."""
        records = Records(self.first.manifest, BATCH, first=self.sent)
        self.produce(records)
        self.sent += BATCH
        self.broker.wait_count(self.names["predictions"], self.sent, 30, self.worker_.check_alive)
        _, columns = self.predictions()
        first_offset = (self.sent - BATCH) // 4
        return set(columns["version"][columns["offset"] >= first_offset])

    def refuse(self, generation, reason, deploy):
        """Deploy something bad: refused with a reason that matches, and version "good" goes on serving."""
        deploy(generation)
        status = self.control.wait(generation, "refused", check=self.worker_.check_alive)
        self.assertRegex(status["reason"], reason)
        self.assertEqual(status["version"], "good")
        self.assertEqual(status["serving_generation"], 5)
        self.assertEqual(self.versions_of_next_records(), {"good"})
        note("refused: %s", status["reason"])

    def test_ten_bad_deployments_are_refused_with_their_reasons(self):
        self.start()
        self.assertEqual(self.versions_of_next_records(), {"1"})
        good = self.model("good", seed=2)
        self.control.deploy(5, good.path)
        self.control.wait(5, "live")
        self.assertEqual(self.versions_of_next_records(), {"good"})

        def damaged(damage):
            path = self.model("bad-" + damage, seed=3, damage=damage).path
            return lambda generation: self.control.deploy(generation, path)

        def of_truncated(generation):
            # The hash is the whole file's: a copy that broke off.
            whole, cut = self.model("whole", seed=3).path, os.path.join(self.folder, "cut.safetensors")
            with open(whole, "rb") as source, open(cut, "wb") as target:
                target.write(source.read()[:-100])
            self.control.deploy(generation, cut)

        outside = os.path.join(os.path.dirname(self.folder), "lepton-outside-%d.safetensors" % os.getpid())
        shutil.copy(good.path, outside)
        self.addCleanup(os.unlink, outside)
        def wants_another_field(generation):
            def edit(features):
                features[0]["from"] = "no_such_field"
            self.control.deploy(generation, self.model("other", seed=3, edit=edit).path)

        def claim_10gb(generation):
            # A hash of ten gigabytes of holes takes as long as it takes: any will do, size is looked at first.
            path = self.model("sparse", seed=3, damage="sparse_10gb").path
            self.control.deploy(generation, path, digest="0" * 64)

        self.refuse(10, "(?i)sha-?256", lambda g: self.control.deploy(g, good.path, digest="0" * 64))
        self.refuse(11, "(?i)trunc|short|end|beyond|size|bytes", of_truncated)
        self.refuse(12, "(?i)shape|width|\\[|x", damaged("shape"))
        self.refuse(13, "(?i)nan|finite", damaged("nan"))
        self.refuse(14, "no_such_field", wants_another_field)
        self.refuse(15, "(?i)golden", damaged("golden"))
        self.refuse(16, "(?i)outside", lambda g: self.control.deploy(g, outside))
        self.refuse(17, "(?i)bytes|large|max", claim_10gb)
        self.refuse(18, "(?i)safetensors|header", damaged("not_safetensors"))
        self.refuse(3, "(?i)generation", lambda g: self.control.deploy(g, good.path))

        # After ten refusals the next good one still goes live.
        self.control.deploy(20, self.model("next", seed=4).path)
        self.control.wait(20, "live")
        self.assertEqual(self.versions_of_next_records(), {"next"})
        self.worker_.stop()

    def test_a_claimed_header_of_ten_gigabytes_is_refused(self):
        self.start()
        self.versions_of_next_records()
        self.control.deploy(1, self.model("claim", damage="claim_10gb").path)
        self.assertRegex(self.control.wait(1, "refused")["reason"], "(?i)header|bytes|large")
        self.assertEqual(self.versions_of_next_records(), {"1"})
        self.worker_.stop()

    def test_a_malformed_control_record_is_refused_and_said(self):
        self.start()
        for value, reason in ((b"{", "(?i)json"), (b'{"format":1,"generation":1}', "active"),
                              (json.dumps({"format": 1, "generation": 1, "active": {"uri": self.first.uri,
                                                                                  "sha256": "0" * 64},
                                           "surprise": 1}).encode(), "surprise")):
            before = len(self.control.statuses())
            self.control.send(value)
            refused = wait_for(lambda b=before: [s for s in self.control.statuses()[b:] if s["state"] == "refused"], 20,
                               "a refusal")
            self.assertRegex(refused[0]["reason"], reason)
        self.assertEqual(self.versions_of_next_records(), {"1"})
        self.worker_.stop()

    def test_a_restart_lands_in_the_deployed_state_and_falls_back_to_previous(self):
        worker = self.start()
        good = self.model("good", seed=2)
        self.control.deploy(5, good.path)
        self.control.wait(5, "live")
        worker.stop()
        worker.start()
        worker.wait_ready()
        self.assertEqual(self.versions_of_next_records(), {"good"})
        worker.stop()

        # While it was away somebody deployed what cannot be loaded.
        bad = self.model("bad", damage="nan")
        self.control.deploy(6, bad.path, previous={"uri": good.uri, "sha256": sha256(good.path)})
        worker.start()
        worker.wait_ready()
        status = self.control.wait(6, "degraded")
        self.assertEqual(status["version"], "good")
        self.assertRegex(status["reason"], "(?i)nan|finite")
        self.assertEqual(self.versions_of_next_records(), {"good"})
        worker.stop()

    def test_a_clean_stop_leaves_a_tombstone_and_kill_does_not(self):
        worker = self.start()
        self.control.wait(0, "live")
        worker.kill()
        last = [m for m in self.broker.read(self.names["status"]) if m.key() == b"default/a"][-1]
        self.assertIsNotNone(last.value())
        worker.start()
        worker.wait_ready()
        worker.stop()
        last = [m for m in self.broker.read(self.names["status"]) if m.key() == b"default/a"][-1]
        self.assertIsNone(last.value())

    def test_paused_consumes_nothing_and_retired_is_not_ready(self):
        worker = self.start()
        good = self.model("good", seed=2)
        self.control.deploy(1, good.path, paused=True)
        self.control.wait(1, "live")
        self.produce(Records(self.first.manifest, BATCH))
        self.sent = BATCH
        time.sleep(2)
        self.assertEqual(self.broker.count(self.names["predictions"]), 0, "a paused slot scored records")
        self.control.deploy(2, good.path)
        self.broker.wait_count(self.names["predictions"], BATCH, 30, worker.check_alive)
        self.control.send(None)
        wait_for(lambda: not worker.ready(), 20, "a retired slot to be not ready")
        worker.stop()


if __name__ == "__main__":
    main()
