"""A broker that only answers questions about itself: ApiVersions and Metadata, with as many partitions as one likes.

The whole of what it speaks: ApiVersions 0, Metadata 1 to 4 (Kafka protocol guide). It claims to be a broker of today and
leaves everything else unanswered.
"""

import socketserver
import struct
import threading

API_METADATA, API_VERSIONS = 3, 18
UNSUPPORTED_VERSION = 35


def text(value):
    data = value.encode()
    return struct.pack(">h", len(data)) + data


class FakeBroker:
    """Listens on a free port of 127.0.0.1; leads all partitions, whose number is `partitions[topic]`, else `default`."""

    def __init__(self, partitions, default=4):
        self._partitions = partitions
        self._default = default
        broker = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    broker.serve(self.request)
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.bootstrap = "127.0.0.1:%d" % self.port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def serve(self, connection):
        while True:
            head = self.read(connection, 4)
            request = self.read(connection, struct.unpack(">i", head)[0])
            key, version, correlation = struct.unpack(">hhi", request[:8])
            if key == API_VERSIONS:
                body = self.api_versions(version)
            elif key == API_METADATA and 1 <= version <= 4:
                body = self.metadata(request, version)
            else:
                continue
            answer = struct.pack(">i", correlation) + body
            connection.sendall(struct.pack(">i", len(answer)) + answer)

    @staticmethod
    def read(connection, count):
        data = b""
        while len(data) < count:
            part = connection.recv(min(65536, count - len(data)))
            if not part:
                raise OSError("closed")
            data += part
        return data

    @staticmethod
    def api_versions(version):
        known = ((0, 3, 7), (1, 4, 11), (2, 1, 5), (API_METADATA, 1, 4), (8, 2, 7), (9, 1, 7), (10, 0, 2), (11, 0, 5),
                 (12, 0, 3), (13, 0, 1), (14, 0, 3), (API_VERSIONS, 0, 0), (22, 0, 4), (24, 0, 1), (25, 0, 1), (26, 0, 1),
                 (28, 0, 3))
        error = 0 if version == 0 else UNSUPPORTED_VERSION  # then the client asks with version 0
        return struct.pack(">hi", error, len(known)) + b"".join(struct.pack(">hhh", *one) for one in known)

    def metadata(self, request, version):
        at = 8
        client = struct.unpack(">h", request[at:at + 2])[0]
        at += 2 + max(client, 0)
        count = struct.unpack(">i", request[at:at + 4])[0]
        at += 4
        names = []
        for _ in range(max(count, 0)):
            size = struct.unpack(">h", request[at:at + 2])[0]
            names.append(request[at + 2:at + 2 + size].decode())
            at += 2 + size
        body = struct.pack(">i", 0) if version >= 3 else b""
        body += struct.pack(">i", 1) + struct.pack(">i", 1) + text("127.0.0.1") + struct.pack(">ih", self.port, -1)
        if version >= 2:
            body += text("fake")
        body += struct.pack(">i", 1) + struct.pack(">i", len(names))
        for name in names:
            count = self._partitions.get(name, self._default)
            body += struct.pack(">h", 0) + text(name) + b"\0" + struct.pack(">i", count)
            body += b"".join(struct.pack(">hiiiiii", 0, p, 1, 1, 1, 1, 1) for p in range(count))
        return body
