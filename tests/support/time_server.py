"""An NTP server on a loopback address that makes mistakes on demand."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address

from xdpkit.config.ntp import Loopback
from xdpkit.services.ntp.client import HEADER, timestamp

# Turns a correct reply into the datagrams that are sent instead.
Fault = Callable[[bytes], list[bytes]]

REFERENCE = timestamp(1_795_000_000 * 10**9) | 1


# A time server of another user, as in time_server.py; REUSE as daemons set it for a fast restart.
STRANGER = """
import socket, struct, sys, time
host, port, reuse = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "reuse"
listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
listener.bind((host, port))
print(listener.getsockname()[1], flush=True)
while True:
    request, who = listener.recvfrom(2048)
    now = int((time.time() + 2208988800) * 2**32)
    head = struct.pack("!BBbbII4s", 4 << 3 | 4, 3, 6, -24, 1, 1, b"EVIL")
    times = struct.pack("!Q", now) + request[40:48] + struct.pack("!QQ", now, now)
    listener.sendto(head + times, who)
"""


def good(request: bytes, stratum: int = 3, leap: int = 0) -> bytes:
    """The correct reply: this machine's time, and easily recognizable fields."""
    now = timestamp(time.time_ns())
    head = (leap << 6 | 4 << 3 | 4, stratum, 6, -24, 0x1234, 0x5678, bytes([192, 0, 2, 7]))
    return HEADER.pack(*head, REFERENCE, int.from_bytes(request[40:48]), now, now)


def right(reply: bytes) -> list[bytes]:
    """No mistake."""
    return [reply]


def silent(_: bytes) -> list[bytes]:
    """No reply."""
    return []


def put(at: int, *values: int) -> Fault:
    """A reply with other bytes."""

    def fault(reply: bytes) -> list[bytes]:
        data = bytearray(reply)
        data[at : at + len(values)] = bytes(values)
        return [bytes(data)]

    return fault


class TimeServer:
    """A server thread, from construction to the end of the ``with``; ``fault`` may change."""

    def __init__(self, fault: Fault = right, host: str = "127.0.0.1", stratum: int = 3) -> None:
        self.fault, self.stratum = fault, stratum
        # Seconds to wait before each reply; whether replies come from another port.
        self.delay, self.elsewhere = 0.0, False
        # Source ports and transmit timestamps of the requests so far.
        self.ports: list[int] = []
        self.marks: list[bytes] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._other = socket.socket(family, socket.SOCK_DGRAM)
        for sock in (self._socket, self._other):
            sock.bind((host, 0))
        self._socket.settimeout(0.02)
        self.where = Loopback(ip_address(host), self._socket.getsockname()[1])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> TimeServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Closes the port; a second call does nothing."""
        self._stop.set()
        self._thread.join()
        self._socket.close()
        self._other.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                request, client = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            self.ports.append(client[1])
            self.marks.append(request[40:48])
            replies = self.fault(good(request, self.stratum))
            self._stop.wait(self.delay)
            for reply in replies:
                (self._other if self.elsewhere else self._socket).sendto(reply, client)
