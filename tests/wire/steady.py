"""A client that asks the time again and again, and knows which requests were answered when."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Self

from serving import PATIENCE, QUEUE, QUEUES, eventually

from xdpkit.lab.namespaces import Lab

# Few enough for all requests of many seconds to wait on a ring.
PAUSE_SECONDS = 0.005


class SteadyClient:
    """Sends NTP requests over one queue during a block, whether they are answered or not.

    At the end, ``lost`` is how many were not answered, and ``silence`` the longest time without an
    answer, in seconds.
    """

    def __init__(self, lab: Lab, queue: int = QUEUE, address: str | None = None) -> None:
        lab.client.send_on_queue(queue, QUEUES)
        address = address or lab.server.ipv4
        with lab.client.entered():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.settimeout(0.05)
        self._socket.connect((address, 123))
        self._threads = [threading.Thread(target=work) for work in (self._send, self._receive)]
        self._stop_sending = self._stop = False
        self.sent = 0
        self._answered: set[int] = set()
        self._last = 0.0
        self.silence = 0.0

    @property
    def lost(self) -> int:
        return self.sent - len(self._answered)

    @property
    def answered(self) -> int:
        return len(self._answered)

    def wait_for_more(self, count: int = 20) -> None:
        """Waits until more requests have been answered."""
        before = self.answered
        eventually(lambda: self.answered > before + count, "more answers")

    def __enter__(self) -> Self:
        self._last = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def finish(self, patience: float = PATIENCE) -> None:
        """Stops sending, and waits for the answers that are still due."""
        if self._stop:
            return
        self._stop_sending = True
        self._threads[0].join()
        deadline = time.monotonic() + patience
        while self.lost and time.monotonic() < deadline:
            time.sleep(0.01)
        self._stop = True
        self._threads[1].join()
        self._socket.close()
        print(f"{self.sent} requests, {self.lost} lost, silence {self.silence:.3f} s")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.finish(0 if kind else PATIENCE)

    def _send(self) -> None:
        while not self._stop_sending:
            with suppress(ConnectionRefusedError):
                # Of an earlier one, which nobody was there to answer.
                self._socket.send(b"\x23" + bytes(39) + (self.sent + 1).to_bytes(8))
            self.sent += 1
            time.sleep(PAUSE_SECONDS)

    def _receive(self) -> None:
        while not self._stop:
            try:
                reply = self._socket.recv(4096)
            except (TimeoutError, ConnectionRefusedError):
                continue
            now = time.monotonic()
            self.silence = max(self.silence, now - self._last)
            self._last = now
            self._answered.add(int.from_bytes(reply[24:32]))
