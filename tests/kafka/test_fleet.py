"""The verbs deploy, rollback and status against a worker and a real broker."""
# slots: 2
# versions: first

import base64
import hashlib
import json
import os
import shutil
import subprocess

from case import KafkaCase, main
from control import Control, sha256
from worker import binary


class Fleet(KafkaCase):
    def lepton(self, verb, *more):
        done = subprocess.run([binary(), verb, self.worker_.config_path(), *more], capture_output=True, text=True,
                              timeout=120)
        return done.returncode, done.stdout, done.stderr

    def served(self):
        """(generation, version) that the one replica says it serves."""
        code, out, err = self.lepton("status", "--json")
        self.assertEqual(code, 0, err)
        status, = [json.loads(line) for line in out.splitlines()]
        return status["serving_generation"], status["version"]

    def test_a_fleet_is_deployed_to_rolled_back_and_told_about(self):
        settings = self.topics()
        first, second, other = self.model("1"), self.model("2", seed=2), self.model("3", seed=3)
        self.worker_ = self.worker({**settings, "model.uri": first.uri, "replica.id": "a", "status.interval_ms": 500})
        self.assertEqual(self.served(), (0, "1"))

        code, out, err = self.lepton("deploy", second.path, "--wait", "30s")
        self.assertEqual(code, 0, err)
        self.assertIn(second.path, out)
        self.assertEqual(self.served(), (1, "2"))
        # The first deployment can be undone: its predecessor is the worker's own model.uri.
        code, out, err = self.lepton("rollback", "--wait", "30s")
        self.assertEqual(code, 0, err)
        self.assertIn(first.path, out)
        self.assertEqual(self.served(), (2, "1"))

        # As the workers see it, the file is not there: refused, with the reason, and nothing changes.
        code, out, err = self.lepton("deploy", other.path, "--uri", other.uri + ".gone", "--wait", "30s")
        self.assertEqual(code, 1)
        self.assertIn("refused generation 3", err)
        self.assertEqual(self.served(), (2, "1"))

        code, _, err = self.lepton("deploy", other.path, "--slot", "no-such-slot")
        self.assertEqual(code, 1)
        self.assertIn("no-such-slot", err)
        self.worker_.stop()
        # Nobody is there to serve it: written, but not a success.
        code, _, err = self.lepton("deploy", other.path, "--wait", "1s")
        self.assertEqual(code, 1)
        self.assertIn("no live replica", err)

    # --- signed bundles: openssl is the oracle ---

    def openssl(self, *arguments):
        return subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.PIPE).stdout

    def key(self, name):
        """Path of a new private key; the public one is beside it."""
        path = os.path.join(self.folder, name + ".pem")
        self.openssl("genpkey", "-algorithm", "ed25519", "-out", path)
        self.openssl("pkey", "-in", path, "-pubout", "-out", path + ".pub")
        return path

    def signed_by_openssl(self, key, bundle, prefix="lepton-bundle-v1:"):
        text = os.path.join(self.folder, "text")
        with open(text, "w", encoding="ascii") as file:
            file.write(prefix + sha256(bundle))
        signature = self.openssl("pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", text)
        public = self.openssl("pkey", "-in", key, "-pubout", "-outform", "DER")
        return "%s:%s" % (hashlib.sha256(public).hexdigest()[:16], base64.b64encode(signature).decode())

    def check_signature(self, key, source):
        """openssl's verdict on what `lepton deploy --sign` wrote."""
        text, binary_signature = os.path.join(self.folder, "text"), os.path.join(self.folder, "signature")
        with open(text, "w", encoding="ascii") as file:
            file.write("lepton-bundle-v1:" + source["sha256"])
        with open(binary_signature, "wb") as file:
            file.write(base64.b64decode(source["signature"].split(":")[1]))
        self.openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", key + ".pub", "-in", text, "-sigfile",
                     binary_signature)

    def test_with_trusted_keys_only_what_they_signed_is_served(self):
        settings = self.topics()
        one, two, three, stranger = self.model("1"), self.model("2", 2), self.model("3", 3), self.model("4", 4)
        key, other = self.key("release"), self.key("other")
        trusted = os.path.join(self.folder, "trusted")
        os.mkdir(trusted)
        shutil.copy(key + ".pub", trusted)
        keys = {"model.trusted_keys.path": trusted}
        self.worker_ = worker = self.worker({**settings, "model.uri": one.uri, "replica.id": "a",
                                             "status.interval_ms": 500, **keys}, start=False)
        control = Control(self.broker, self.names)

        # model.uri without a signature, then with one.
        worker.start()
        self.assertRegex(control.wait(0, "refused")["reason"], "not signed")
        self.assertEqual(worker.get("/readyz"), (503, "no model live\n"))
        worker.stop()
        worker.settings["model.signature"] = self.signed_by_openssl(key, one.path)
        worker.start()
        worker.wait_ready()
        self.assertEqual(self.served(), (0, "1"))

        # deploy --sign, and a signature made elsewhere.
        code, out, err = self.lepton("deploy", two.path, "--sign", key, "--json")
        self.assertEqual(code, 0, err)
        desired = json.loads(out)
        self.check_signature(key, desired["active"])
        self.assertEqual(desired["active"]["signature"], self.signed_by_openssl(key, two.path))
        self.assertEqual(desired["previous"]["signature"], worker.settings["model.signature"])
        code, _, err = self.lepton("deploy", three.path, "--signature", self.signed_by_openssl(key, three.path))
        self.assertEqual(code, 0, err)
        self.assertEqual(self.served(), (2, "3"))

        # Refused by deploy, which has the keys at hand, and by the worker when somebody writes past it.
        for more in ([], ["--sign", other], ["--signature", self.signed_by_openssl(key, two.path)],
                     ["--signature", self.signed_by_openssl(key, stranger.path, prefix="")]):
            code, _, err = self.lepton("deploy", stranger.path, *more)
            self.assertEqual(code, 1)
            self.assertRegex(err, "not signed|none of the 1 trusted|is wrong")
        unsigned = {"uri": stranger.uri, "sha256": sha256(stranger.path)}
        for generation, signature in enumerate(
                (None, self.signed_by_openssl(other, stranger.path), self.signed_by_openssl(key, two.path)), 10):
            active = {**unsigned, "signature": signature} if signature else unsigned
            control.send(json.dumps({"format": 1, "generation": generation, "active": active}).encode())
            self.assertRegex(control.wait(generation, "refused")["reason"], "not signed|none of the 1 trusted|is wrong")
            self.assertEqual(self.served(), (2, "3"))

        # Nor do they use up generations: what is deployed next is above the last that was signed.
        control.send(json.dumps({"format": 1, "generation": 2 ** 53 - 1, "active": unsigned}).encode())
        control.wait(2 ** 53 - 1, "refused")
        code, out, err = self.lepton("deploy", three.path, "--sign", key, "--json")
        self.assertEqual((code, json.loads(out)["generation"]), (0, 3), err)

        # A predecessor that nobody signed is no way round it: what was accepted last serves instead.
        gone = {**desired["active"], "uri": "file://%s/gone.safetensors" % os.path.dirname(two.path)}
        control.send(json.dumps({"format": 1, "generation": 20, "active": gone, "previous": unsigned}).encode())
        control.wait(20, "refused")
        worker.stop()
        worker.start()
        worker.wait_ready()
        self.assertEqual(self.served(), (20, "3"))
        self.assertEqual(control.wait(20, "degraded")["version"], "3")

        # rollback keeps signatures.
        code, _, err = self.lepton("deploy", two.path, "--sign", key)
        self.assertEqual(code, 0, err)
        code, out, err = self.lepton("rollback", "--json")
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(out)["active"]["signature"], self.signed_by_openssl(key, three.path))
        self.assertEqual(self.served(), (22, "3"))

        # Who may write and has a signed file can take the highest generation: then deploy says so.
        control.send(json.dumps({"format": 1, "generation": 2 ** 53 - 1, "active": desired["active"]}).encode())
        control.wait(2 ** 53 - 1, "live")
        code, _, err = self.lepton("deploy", three.path, "--sign", key)
        self.assertEqual(code, 1)
        self.assertIn("none is above it", err)
        worker.stop()


if __name__ == "__main__":
    main()
