"""Requests to both doors of a server at once, under which something is done to it."""

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

# Between two questions to the kernel door: the generator takes a processor already, and what starts
# beside both of them wants one too.
PAUSE_SECONDS = 0.001

# After which the kernel door is asked again, where the kernel may have dropped a request.
AGAIN_SECONDS = 1.0


class UdpListener:
    """Asks for the time on a queue that the kernel has, one request after the other."""

    def __init__(self, lab: Lab, family: int, queues: int) -> None:
        lab.client.send_on_queue(1, queues)
        self.answered = 0
        self.stop = False
        with lab.client.entered():
            kind = socket.AF_INET if family == 4 else socket.AF_INET6
            self._socket = socket.socket(kind, socket.SOCK_DGRAM)
        self._socket.settimeout(AGAIN_SECONDS)
        self._socket.connect((lab.server.ipv4 if family == 4 else lab.server.ipv6, 123))

    def run(self) -> int:
        """Until told to stop; returns how often it had to ask again."""
        again = 0
        with self._socket:
            while not self.stop:
                again += self._ask(self.answered.to_bytes(8))
                self.answered += 1
                time.sleep(PAUSE_SECONDS)
        return again

    def _ask(self, token: bytes) -> int:
        for again in range(int(PATIENCE / AGAIN_SECONDS)):
            self._socket.send(b"\x23" + bytes(39) + token)
            try:
                # One that was asked for twice may be answered twice.
                while self._socket.recv(4096)[24:32] != token:
                    pass
            except TimeoutError:
                continue
            return again
        raise AssertionError("the kernel's door does not answer")


class Asked:
    """A server under load; ``thrown`` is how often the kernel has thrown a full ring away."""

    def __init__(self, requests: Generator, kernel: UdpListener) -> None:
        self._requests, self._kernel = requests, kernel
        self.thrown = 0

    def more(self) -> None:
        """Waits until each door has answered some more."""
        ring, kernel = self._requests.counters()["answered"], self._kernel.answered
        eventually(lambda: self._requests.counters()["answered"] > ring + 1000, "the ring's door")
        eventually(lambda: self._kernel.answered > kernel + 10, "the kernel's door")


@contextmanager
def loaded(lab: Lab, rate: int = RATE, family: int = 4, queues: int = QUEUES) -> Iterator[Asked]:
    """Asks both doors for the length of the block: nothing may be lost but what was thrown away.

    ``queues`` are in use at the client's end.
    """
    with load_on(lab, [QUEUE]) as load, ThreadPoolExecutor(1) as thread:
        requests = generator(lab, load, QUEUE, "ntp", family)
        kernel = UdpListener(lab, family, queues)
        asked = Asked(requests, kernel)
        working = thread.submit(kernel.run)
        try:
            with under_way(requests, rate):
                asked.more()
                yield asked
                asked.more()
        finally:
            kernel.stop = True
            again = working.result()
        counters = requests.counters()
    assert (counters["wrong"], counters["duplicate"]) == (0, 0)
    assert counters["lost"] <= asked.thrown * WINDOW
    assert counters["answered"] + counters["lost"] == counters["sent"]
    assert not again or asked.thrown
