"""The verbs deploy, rollback and status against a worker and a real broker."""
# versions: first

import json
import subprocess

from case import KafkaCase, main
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


if __name__ == "__main__":
    main()
