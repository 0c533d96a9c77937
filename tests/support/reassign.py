"""Reorder a partition's replicas over Kafka's wire (AlterPartitionReassignments): no Python client of ours can."""

import socket
import struct

API_KEY, API_VERSION = 45, 0
NO_TAGS = b"\0"


def _compact(parts):
    """A compact array; a string is one of bytes. Lengths here stay below 127."""
    parts = list(parts)
    assert len(parts) < 127
    return bytes([len(parts) + 1]) + b"".join(parts)


def _text(value):
    return _compact(bytes([b]) for b in value.encode())


def _request(replicas):
    topics = _compact(
        _text(topic) + _compact(struct.pack(">i", partition) + _compact(struct.pack(">i", r) for r in order) + NO_TAGS
                                for partition, order in partitions.items()) + NO_TAGS
        for topic, partitions in replicas.items())
    header = struct.pack(">hhih", API_KEY, API_VERSION, 1, -1) + NO_TAGS
    return header + struct.pack(">i", 30000) + topics + NO_TAGS


def reassign(port, replicas):
    """{topic: {partition: [node ids, the preferred leader first]}} to the broker at that port; raises what it refuses."""
    request = _request(replicas)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
        wire.sendall(struct.pack(">i", len(request)) + request)
        size = struct.unpack(">i", _exactly(wire, 4))[0]
        answer = _exactly(wire, size)
    # correlation id, tags, throttle time, then the error of the whole request
    code = struct.unpack_from(">h", answer, 4 + 1 + 4)[0]
    if code:
        raise RuntimeError("reassignment refused with Kafka's error %d" % code)


def _exactly(wire, count):
    data = b""
    while len(data) < count:
        part = wire.recv(count - len(data))
        if not part:
            raise ConnectionError("the broker closed the connection")
        data += part
    return data
