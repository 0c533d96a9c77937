"""Rights of the verbs, refusals at the door, and no secret gets out: of a log, an answer, an error, a crash."""
# versions: first

import base64
import os
import resource
import signal
import urllib.request

from case import main
from process import wait_for
from secure import KEY_PASSWORD, PASSWORD, client_settings
from secure_case import RECORDS, SecureCase

TOKEN, REGISTRY_PASSWORD = "kL7-http-token", "kL7-registry-password"


class Secrets(SecureCase):
    def test_the_verbs_work_with_exactly_their_rights(self):
        worker = self.make("PLAIN", **{"http.listen": "0.0.0.0:0"})
        self.wait_log(worker, "event=http_open .*http.token.file")
        names, rights = worker.names, self.rights["MTLS"]
        settings = {**worker.settings, **client_settings("MTLS", self.ports, self.certificates)}
        read = [("topic", names["control"], "read"), ("topic", names["status"], "read")]
        rights.grant(read)
        second = self.model("2", seed=2)
        self.wait_log(worker, "state=live")
        code, out, err = self.lepton(settings, "status")
        self.assertEqual(code, 0, err)
        self.assertIn("live", out)
        code, _, err = self.lepton(settings, "deploy", second.path)
        self.assertEqual(code, 1)
        self.assertRegex(err, "topic %s.*grant .*Write" % names["control"])
        write = [("topic", names["control"], "write")]
        rights.grant(write)
        for verb, more in (("deploy", [second.path]), ("rollback", [])):
            code, _, err = self.lepton(settings, verb, *more)
            self.assertEqual(code, 0, err)
        for right in read:
            rights.take([right])
            code, _, err = self.lepton(settings, "rollback")
            self.assertEqual(code, 1)
            self.assertRegex(err, "%s: .*grant Read" % right[1])
            rights.grant([right])
        worker.stop()

    def test_who_is_turned_away_at_the_door_learns_why(self):
        certificates, soon = self.certificates, {"startup.timeout_ms": 5000}
        no_certificate = {"kafka.ssl.certificate.location": None, "kafka.ssl.key.location": None,
                          "kafka.ssl.key.password": None}
        no_own = {"registry.certificate.path": None, "registry.key.path": None, "registry.key.password": None}
        cases = [
            ("Invalid username or password", "PLAIN", {"kafka.sasl.password": "kL7-wrong"}),
            ("certificate could not be verified", "TLS", {"kafka.ssl.ca.location": certificates.stranger}),
            ("alert (bad certificate|certificate required)|SSL alert number (42|116)", "MTLS", no_certificate),
            ("registry.*(certificate|SSL)", "TLS", {"registry.ca.path": certificates.stranger}),
            # TLS 1.3 refuses after the client has begun to send: what it then reads, if anything, is chance.
            ("registry: POST https://.*: check registry.url", "TLS", no_own)]
        workers = [self.make(listener, **soon, **more) for _, listener, more in cases]
        for (pattern, _, _), worker in zip(cases, workers):
            self.assertEqual(worker.child.wait(40), 1)
            self.assertRegex(worker.child.log_tail(1), "^lepton: run: .*(%s)" % pattern)
            self.assertNotIn("kL7", worker.child.log())

    def get_with_token(self, worker, path, token):
        request = urllib.request.Request(worker.url + path, headers={"Authorization": "Bearer " + token})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode()

    def test_no_secret_gets_out(self):
        """With everything at debug: librdkafka's own debugging too."""
        def file_of(name, text):
            path = os.path.join(self.folder, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return path

        with open(self.certificates.key, encoding="ascii") as file:
            key = file.read()
        with open(self.certificates.certificate, encoding="ascii") as file:
            certificate = file.read()
        self.registry.authorization = "Basic " + base64.b64encode(
            ("reg:" + REGISTRY_PASSWORD).encode()).decode()
        self.addCleanup(setattr, self.registry, "authorization", None)
        secrets = {"log.level": "debug", "kafka.debug": "all", "http.token.file": file_of("token", TOKEN + "\n"),
                   "registry.user": "reg", "registry.password.file": file_of("registry", REGISTRY_PASSWORD + "\n"),
                   "kafka.sasl.password": None, "kafka.sasl.password.file": file_of("sasl", PASSWORD + "\n"),
                   "kafka.ssl.key.pem.file": file_of("key", key),
                   "kafka.ssl.certificate.pem.file": file_of("cert", certificate)}
        worker = self.make("PLAIN", **secrets)
        wait_for(worker.ready, 40, "the worker")
        self.assertEqual(worker.get("/metrics")[0], 401)
        self.broker.wait_count(worker.names["predictions"], RECORDS, 40, worker.check_alive)
        outputs = {"/status": self.get_with_token(worker, "/status", TOKEN),
                   "/metrics": self.get_with_token(worker, "/metrics", TOKEN)}
        self.rights["PLAIN"].grant([("topic", worker.names["control"], "write")])
        outputs["deploy"] = self.lepton(worker.settings, "deploy", self.model("2", seed=2).path, "--json")
        self.assertEqual(outputs["deploy"][0], 0, outputs["deploy"][2][-2000:])
        outputs["status"] = self.lepton(worker.settings, "status", "--json")
        for more in (["--print-config"], ["--json"]):
            outputs["check " + more[0]] = self.lepton(worker.settings, "check", *more)
            self.assertIn(outputs["check " + more[0]][0], (0, 1))
        self.assertIn("kafka.sasl.password = ******", outputs["check --print-config"][1])
        bad = {**worker.settings, "kafka.sasl.pasword": PASSWORD, "kafka.sasl.password.file": None}
        outputs["a misspelt key"] = self.lepton(bad, "check", "--print-config")
        outputs["a misspelt key, run"] = self.lepton(bad, "run")
        outputs["status topic"] = [m.value() for m in self.broker.read(worker.names["status"])]
        worker.stop()
        outputs["log"] = worker.child.log()
        self.assertIn("level=debug", outputs["log"])
        known = [TOKEN, REGISTRY_PASSWORD, PASSWORD, KEY_PASSWORD, key.splitlines()[3], key.splitlines()[-3]]
        for name, output in outputs.items():
            for secret in known:
                at = str(output).find(secret)
                self.assertEqual(at, -1, "%s: %s" % (name, str(output)[max(0, at - 300):at + 100]))

    def test_a_crash_writes_no_secrets_to_disk(self):
        """No core dump unless asked for, also where the limits allow them."""
        def unlimited():
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        worker = self.make("PLAIN", start=False)
        worker._before_exec = unlimited
        worker.start()
        worker.wait_ready(40)
        os.kill(worker.child.pid, signal.SIGABRT)
        pid, status = os.waitpid(worker.child.pid, 0)
        worker.child._ended(status, None)
        self.assertTrue(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT)
        self.assertFalse(os.WCOREDUMP(status), "a core dump was written")


if __name__ == "__main__":
    main()
