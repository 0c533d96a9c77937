"""A TCP port in front of another one, with a network's bad days on request: latency, resets, black holes, cut streams."""

import asyncio
import random
import socket
import struct
import threading

CHUNK_BYTES = 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Link:
    """One client's connection and ours to the target. `gates`: what a direction waits for before it passes bytes on."""

    def __init__(self):
        self.writers = []
        self.gates = {"up": asyncio.Event(), "down": asyncio.Event()}
        self.budget_bytes = None
        for gate in self.gates.values():
            gate.set()

    def reset(self):
        for gate in self.gates.values():
            gate.set()
        for writer in self.writers:
            transport_socket = writer.get_extra_info("socket")
            try:
                transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            except OSError:
                pass
            writer.transport.abort()

    def spend(self, data):
        """What may still pass of `data`; less than all: the stream ends here."""
        if self.budget_bytes is None:
            return data
        data = data[:self.budget_bytes]
        self.budget_bytes -= len(data)
        return data


class Proxy:
    """Listens on `port` and passes on to `target_port` of 127.0.0.1, from a thread of its own.

    A black hole keeps what is sent, as retransmission would: after heal() it arrives, unless an end gave up meanwhile.
    """

    def __init__(self, port, target_port):
        self.port, self._target = port, target_port
        self._latency_s = self._jitter_s = 0.0
        self._links = set()
        self._hole = ()  # directions closed for connections to come
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", port))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    # --- what a test asks for; from any thread ---

    def delay(self, latency_s, jitter_s=0.0):
        self._latency_s, self._jitter_s = latency_s, jitter_s

    def reset(self, fraction=1.0, rng=random):
        """Connections are reset, as by a firewall that forgot them."""
        self._run(lambda: [link.reset() for link in self._some(fraction, rng)])

    def cut(self, budget_bytes, fraction=1.0, rng=random):
        """Connections are reset once that many more bytes have passed, in the middle of a message if it comes so."""
        def apply():
            for link in self._some(fraction, rng):
                link.budget_bytes = budget_bytes
        self._run(apply)

    def hole(self, directions=("up", "down"), fraction=1.0, rng=random):
        """Nothing passes any more. At fraction 1 connections to come are swallowed too."""
        def apply():
            if fraction >= 1:
                self._hole = directions
            for link in self._some(fraction, rng):
                for direction in directions:
                    link.gates[direction].clear()
        self._run(apply)

    def heal(self):
        def apply():
            self._latency_s = self._jitter_s = 0.0
            self._hole = ()
            for link in self._links:
                link.budget_bytes = None
                for gate in link.gates.values():
                    gate.set()
        self._run(apply)

    def stop(self):
        self._run(self._server.close)
        self._run(lambda: [link.reset() for link in list(self._links)])
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    # --- inside ---

    def _run(self, work):
        done = threading.Event()
        failed = []

        def call():
            try:
                work()
            except Exception as error:
                failed.append(error)
            done.set()

        self._loop.call_soon_threadsafe(call)
        if not done.wait(10):
            raise TimeoutError("the proxy on port %d does not answer" % self.port)
        if failed:
            raise failed[0]

    def _some(self, fraction, rng):
        return [link for link in list(self._links) if fraction >= 1 or rng.random() < fraction]

    async def _accept(self, reader, writer):
        link = Link()
        link.writers.append(writer)
        for direction in self._hole:
            link.gates[direction].clear()
        self._links.add(link)
        try:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target)
            link.writers.append(target_writer)
            await asyncio.gather(self._pump(link, "up", reader, target_writer),
                                 self._pump(link, "down", target_reader, writer))
        except OSError:
            pass
        finally:
            link.reset()
            self._links.discard(link)

    async def _pump(self, link, direction, reader, writer):
        try:
            while True:
                data = await reader.read(CHUNK_BYTES)
                if data and self._latency_s:
                    await asyncio.sleep(self._latency_s + random.random() * self._jitter_s)
                await link.gates[direction].wait()
                part = link.spend(data)
                if part:
                    writer.write(part)
                    await writer.drain()
                if len(part) < len(data):
                    link.reset()
                    return
                if not data:
                    break
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            link.reset()
