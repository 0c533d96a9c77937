"""Schema registries for tests: Apicurio by its Confluent API, and one in Python for speed and for faults."""

import http.server
import json
import os
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request

from kafka import SUPPORT, cache_folder
from process import Child, free_port, temp_folder, wait_for

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


class Client:
    """The few calls of the Confluent API that tests make."""

    url = None

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": MEDIA_TYPE}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def register(self, subject, schema):
        """Register a schema (a dict or its text) and return its id."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        return self.call("POST", "/subjects/%s/versions" % subject, {"schema": text})["id"]

    def schema(self, schema_id):
        return json.loads(self.call("GET", "/schemas/ids/%d" % schema_id)["schema"])

    def latest(self, subject):
        """(id, schema)."""
        answer = self.call("GET", "/subjects/%s/versions/latest" % subject)
        return answer["id"], json.loads(answer["schema"])

    def set_compatibility(self, subject, level):
        self.call("PUT", "/config/" + subject, {"compatibility": level})

    def compatible(self, subject, schema):
        answer = self.call("POST", "/compatibility/subjects/%s/versions/latest" % subject,
                           {"schema": json.dumps(schema)})
        return answer["is_compatible"]


class Apicurio(Client):
    """A real registry (Java), schemas in memory."""

    def __init__(self):
        with open(os.path.join(SUPPORT, "versions.sh"), encoding="utf-8") as file:
            version = re.search(r'^APICURIO_VERSION="([^"]+)"', file.read(), re.M).group(1)
        home = os.path.join(cache_folder(), "apicurio-" + version)
        jar = os.path.join(home, "apicurio-registry-app-%s-runner.jar" % version)
        if not os.path.exists(jar):
            raise RuntimeError("no Apicurio registry in %s: run tests/support/fetch.sh" % home)
        self.port = free_port()
        self._argv = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                      "-Dquarkus.http.host=127.0.0.1", "-Dquarkus.http.port=%d" % self.port, "-jar", jar]
        self._home = home
        self._folder = temp_folder("registry")
        self.url = "http://127.0.0.1:%d/apis/ccompat/v7" % self.port
        self._child = None
        self.start()

    def start(self):
        self._child = Child(self._argv, os.path.join(self._folder, "log"), cwd=self._folder)
        wait_for(self._answers, 60, "Apicurio on port %d" % self.port)

    def _answers(self):
        if self._child.poll() is not None:
            raise RuntimeError("Apicurio ended at start:\n" + self._child.log_tail())
        try:
            self.call("GET", "/subjects")
            return True
        except (urllib.error.URLError, OSError):
            return False

    def stop(self):
        self._child.kill()


class FakeRegistry(Client):
    """Answers as a Confluent registry does, and misbehaves on request.

    fail_status: answer every request with that status; delay_s: sleep before each answer; authorization: expect that
    header; `requests`: (method, path) of all that came. `certificates` (secure.py): https, and a client must show one.
    """

    def __init__(self, certificates=None):
        self.ids = {}  # id -> schema text
        self.subjects = {}  # subject -> [id]
        self.requests = []
        self.fail_status = None
        self.delay_s = 0
        self.authorization = None
        self.port = free_port()
        self.url = "%s://127.0.0.1:%d" % ("https" if certificates else "http", self.port)
        self._tls = None
        if certificates:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.ca)
            self._tls.verify_mode = ssl.CERT_REQUIRED
            self._tls.load_cert_chain(certificates.path("keystore.pem"))
        self._lock = threading.Lock()
        self._connections = set()
        self._server = None
        self.start()

    def start(self):
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                registry._connections.add(self.connection)

            def finish(self):
                registry._connections.discard(self.connection)
                super().finish()

            def do_GET(self):
                registry.answer(self)

            do_POST = do_PUT = do_GET

            def log_message(self, *_arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def get_request(self):
                connection, address = super().get_request()
                if registry._tls:  # shakes hands at the first read, on the connection's own thread
                    connection = registry._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                return connection, address

            def handle_error(self, *arguments):
                if not registry._tls:  # a handshake that fails is the test's purpose
                    super().handle_error(*arguments)

        self._server = Server(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        """Refuse connections and drop those that are open; what was registered is kept for start()."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def add(self, schema_id, schema):
        """Put a schema under an id of the test's choice."""
        self.ids[schema_id] = schema if isinstance(schema, str) else json.dumps(schema)

    def register(self, subject, schema):
        return self._register(subject, schema if isinstance(schema, str) else json.dumps(schema))

    def _register(self, subject, text):
        with self._lock:
            known = [i for i, s in self.ids.items() if json.loads(s) == json.loads(text)]
            schema_id = known[0] if known else max(self.ids, default=0) + 1
            self.ids[schema_id] = text
            versions = self.subjects.setdefault(subject, [])
            if schema_id not in versions:
                versions.append(schema_id)
            return schema_id

    def answer(self, request):
        """Handle one request of the HTTP server."""
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length)
        self.requests.append((request.command, request.path))
        time.sleep(self.delay_s)
        if self.fail_status:
            status, answer = self.fail_status, {"error_code": self.fail_status * 100 + 1, "message": "out of order"}
        elif self.authorization and request.headers.get("Authorization") != self.authorization:
            status, answer = 401, {"error_code": 40101, "message": "who are you"}
        else:
            status, answer = self._route(request.command, request.path.split("?")[0], body)
        data = json.dumps(answer).encode()
        try:
            request.send_response(status)
            request.send_header("Content-Type", MEDIA_TYPE)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)
        except OSError:
            request.close_connection = True

    def _route(self, method, path, body):
        found = re.fullmatch(r"/schemas/ids/(\d+)", path)
        if method == "GET" and found:
            text = self.ids.get(int(found.group(1)))
            if text is None:
                return 404, {"error_code": 40403, "message": "Schema not found"}
            return 200, {"schema": text}
        found = re.fullmatch(r"/subjects/([^/]+)/versions/latest", path)
        if method == "GET" and found:
            versions = self.subjects.get(found.group(1))
            if not versions:
                return 404, {"error_code": 40401, "message": "Subject not found"}
            return 200, {"subject": found.group(1), "version": len(versions), "id": versions[-1],
                         "schema": self.ids[versions[-1]]}
        found = re.fullmatch(r"/subjects/([^/]+)/versions", path)
        if method == "POST" and found:
            return 200, {"id": self._register(found.group(1), json.loads(body)["schema"])}
        found = re.fullmatch(r"/subjects/([^/]+)", path)
        if method == "POST" and found:
            text = json.loads(body)["schema"]
            for version, schema_id in enumerate(self.subjects.get(found.group(1), []), 1):
                if json.loads(self.ids[schema_id]) == json.loads(text):
                    return 200, {"subject": found.group(1), "id": schema_id, "version": version, "schema": text}
            return 404, {"error_code": 40403, "message": "Schema not found"}
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}
