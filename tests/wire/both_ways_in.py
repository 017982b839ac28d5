"""Load on both ways into a server at once, while a test does something to it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from loading import WINDOW, generator, load_on, under_way
from serving import PATIENCE, QUEUE, QUEUES, eventually

from xdpkit._core._loadgen import Generator
from xdpkit.lab.namespaces import Lab

RATE = 100_000

# Between two requests to the slow path: the load generator already takes a CPU, and whatever starts
# alongside needs one too.
PAUSE_SECONDS = 0.001

# After this the request to the slow path is repeated, in case the kernel dropped it.
RETRY_SECONDS = 1.0


class SlowPathClient:
    """Requests the time over a queue without an AF_XDP socket, one request after the other."""

    def __init__(self, lab: Lab, family: int, queues: int) -> None:
        lab.client.send_on_queue(1, queues)
        self.answered = 0
        self.stop = False
        with lab.client.entered():
            kind = socket.AF_INET if family == 4 else socket.AF_INET6
            self._socket = socket.socket(kind, socket.SOCK_DGRAM)
        self._socket.settimeout(RETRY_SECONDS)
        self._socket.connect((lab.server.ipv4 if family == 4 else lab.server.ipv6, 123))

    def run(self) -> int:
        """Runs until ``stop`` is set; returns the number of retries."""
        retries = 0
        with self._socket:
            while not self.stop:
                retries += self._ask(self.answered.to_bytes(8))
                self.answered += 1
                time.sleep(PAUSE_SECONDS)
        return retries

    def _ask(self, token: bytes) -> int:
        for retries in range(int(PATIENCE / RETRY_SECONDS)):
            self._socket.send(b"\x23" + bytes(39) + token)
            try:
                # A repeated request may be answered twice.
                while self._socket.recv(4096)[24:32] != token:
                    pass
            except TimeoutError:
                continue
            return retries
        raise AssertionError("the slow path does not answer")


class ServerLoad:
    """The load on a server; ``flushed_rings`` counts rings that the kernel may have discarded."""

    def __init__(self, requests: Generator, slow_path: SlowPathClient) -> None:
        self._requests, self._slow_path = requests, slow_path
        self.flushed_rings = 0

    def wait_for_more(self) -> None:
        """Waits until each way in has answered more requests."""
        ring, slow_path = self._requests.counters()["answered"], self._slow_path.answered
        eventually(lambda: self._requests.counters()["answered"] > ring + 1000, "the ring")
        eventually(lambda: self._slow_path.answered > slow_path + 10, "the slow path")


@contextmanager
def loaded(
    lab: Lab, rate: int = RATE, family: int = 4, queues: int = QUEUES
) -> Iterator[ServerLoad]:
    """Loads both ways in during a block: only what was on flushed rings may be lost.

    The client has this many ``queues`` in use.
    """
    with load_on(lab, [QUEUE]) as load, ThreadPoolExecutor(1) as thread:
        requests = generator(lab, load, QUEUE, "ntp", family)
        slow_path = SlowPathClient(lab, family, queues)
        server_load = ServerLoad(requests, slow_path)
        working = thread.submit(slow_path.run)
        try:
            with under_way(requests, rate):
                server_load.wait_for_more()
                yield server_load
                server_load.wait_for_more()
        finally:
            slow_path.stop = True
            retries = working.result()
        counters = requests.counters()
    assert (counters["wrong"], counters["duplicate"]) == (0, 0)
    assert counters["lost"] <= server_load.flushed_rings * WINDOW
    assert counters["answered"] + counters["lost"] == counters["sent"]
    assert not retries or server_load.flushed_rings
