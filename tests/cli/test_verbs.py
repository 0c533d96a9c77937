"""What holds for every verb, lepton --version, and lepton health against a worker played by this file."""

import http.server
import os
import re
import resource
import signal
import subprocess
import threading
import time
import unittest

import program
from program import run, write

PROPERTIES = """kafka.bootstrap.servers=127.0.0.1:1
input.topics=clicks
input.format=json
group.id=ctr
output.topic=scores
output.format=json
model.uri=file:///m
http.listen=%s
"""


class Worker(http.server.BaseHTTPRequestHandler):
    answers = {"/livez": (200, b"ok\n"), "/readyz": (503, b"no model\nsecond line\n")}

    def do_GET(self):
        code, body = self.answers[self.path]
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


class Verbs(unittest.TestCase):
    def test_help_names_every_verb_and_each_has_an_example(self):
        code, out, err = run("--help")
        self.assertEqual((code, err), (0, ""))
        verbs = re.findall(r"^  (\w+) +\S", out, re.M)
        for verb in ("run", "score", "inspect", "check", "health", "deploy", "rollback", "status"):
            self.assertIn(verb, verbs)
        for verb in verbs:
            code, out, err = run(verb, "--help")
            self.assertEqual((code, err), (0, ""), verb)
            self.assertTrue(out.startswith("usage: lepton " + verb), verb)
            self.assertIn("example: lepton " + verb, out)
            self.assertLess(max(map(len, out.splitlines())), 121)
            self.assertEqual(run(verb, "--no-such-option")[0], 2)

    def test_wrong_uses_are_2_and_say_where_the_help_is(self):
        for arguments in ([], ["nonsense"], ["--nonsense"]):
            code, out, err = run(*arguments)
            self.assertEqual((code, out), (2, ""))
            self.assertIn("--help", err)

    def test_version_names_commit_libraries_and_cpu(self):
        code, out, _ = run("--version")
        self.assertEqual(code, 0)
        for pattern in (r"^lepton \d+\.\d+\.\d+ \(commit \w+\)$", r"^librdkafka \d+\.", r"^libcurl/\d", r"^libmicrohttpd \d",
                        r"^jansson \d", r"^OpenSSL \d", r"^zlib \d", r"^OpenBLAS \d", r"^cpu level (avx512|avx2|baseline)$"):
            self.assertRegex(out, re.compile(pattern, re.M))
        _, out, _ = run("--version", environment={"LEPTON_CPU_DISABLE": "avx2"})
        self.assertIn("cpu level baseline", out)


def has_client(pid):
    """Has the process a thread of librdkafka? OpenBLAS starts its own before main."""
    names = []
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/comm" % (pid, task)) as file:
            names.append(file.read())
    return any(name.startswith("rdk:") for name in names)


class Secrets(unittest.TestCase):
    def test_a_crash_of_a_verb_with_secrets_leaves_no_core_dump(self):
        """They wait for brokers that are not there, with the configuration's passwords in memory."""
        def unlimited():
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        path = write("secrets.properties", PROPERTIES % "127.0.0.1:1" + "control.topic=c\nstatus.topic=s\n")
        for verb in ("status", "rollback", "run"):
            child = subprocess.Popen([program.LEPTON, verb, path], cwd=program.FOLDER.name, preexec_fn=unlimited,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 30
            while not has_client(child.pid):  # the client's threads start with the secrets read
                self.assertLess(time.monotonic(), deadline, verb)
                time.sleep(0.02)
            os.kill(child.pid, signal.SIGABRT)
            status = os.waitpid(child.pid, 0)[1]
            child.returncode = -signal.SIGABRT
            self.assertTrue(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT, verb)
            self.assertFalse(os.WCOREDUMP(status), verb)


class Health(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Worker)
        cls.listen = "127.0.0.1:%d" % cls.server.server_address[1]
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def test_yes_is_0_and_no_is_1_with_the_reason(self):
        self.assertEqual(run("health", "--listen", self.listen), (0, "ok\n", ""))
        code, out, err = run("health", "--ready", "--listen", self.listen)
        self.assertEqual((code, out), (1, ""))
        self.assertEqual(err, "lepton: health: %s/readyz: 503: no model\n" % self.listen)

    def test_the_address_comes_from_file_environment_or_option(self):
        path = write("worker.properties", PROPERTIES % self.listen)
        self.assertEqual(run("health", path)[0], 0)
        self.assertEqual(run("health", environment={"LEPTON_HTTP_LISTEN": self.listen})[0], 0)
        port = self.listen.split(":")[1]
        self.assertEqual(run("health", environment={"LEPTON_HTTP_LISTEN": "0.0.0.0:" + port})[0], 0)
        code, _, err = run("health", path, "--set", "http.listen=off")
        self.assertEqual(code, 1)
        self.assertIn("http.listen is off", err)

    def test_nobody_there_is_1_at_once_and_silence_after_the_timeout(self):
        code, _, err = run("health", "--listen", "127.0.0.1:1")
        self.assertEqual(code, 1)
        self.assertIn("127.0.0.1:1: Connection refused", err)
        silent = http.server.HTTPServer(("127.0.0.1", 0), Worker)  # listens and never accepts
        begin = time.monotonic()
        code, _, err = run("health", "--listen", "127.0.0.1:%d" % silent.server_address[1], "--timeout", "300ms")
        silent.server_close()
        self.assertEqual(code, 1)
        self.assertIn("no answer in time", err)
        self.assertLess(time.monotonic() - begin, 5)

    def test_wrong_uses_are_2(self):
        for arguments in (["a", "b"], ["--timeout", "x"], ["--timeout", "0"], ["--timeout", "99999999999999999999s"],
                          ["--timeout"]):
            self.assertEqual(run("health", *arguments)[0], 2, arguments)
        self.assertEqual(run("health", "/nowhere.properties")[0], 1)


if __name__ == "__main__":
    unittest.main()
