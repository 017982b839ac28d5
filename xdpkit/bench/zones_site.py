"""Many small zones for ``bench --zones``: their master files, questions for them, and edits."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from xdpkit.lab.namespaces import Lab
from xdpkit.loadgen.queries import query

A = 1
# Four records, as in the comparison of servers.
_TEXT = """\
$TTL 300
@ SOA ns1 host {serial} 7200 3600 1209600 60
@ NS ns1
ns1 A 192.0.2.1
www A {address}
"""
FIRST = "192.0.2.2"

# Zones that are asked while time is taken, evenly spread; all are asked afterwards.
SAMPLE = 500
# Questions in flight: fewer than a socket's buffer holds answers.
WINDOW = 64
# An answer that is not there after this long was lost, seconds.
LOST_SECONDS = 0.2
# Between two questions for a zone that is not there yet: what a figure may be too high by.
AGAIN_SECONDS = 0.002

Say = Callable[[str], None]


def zone_text(serial: int = 1, address: str = FIRST) -> str:
    """A zone of four records."""
    return _TEXT.format(serial=serial, address=address)


def name(number: int) -> str:
    """The name of a zone."""
    return f"z{number}.test"


def question(number: int) -> bytes:
    """A query for the address of www in a zone."""
    label = b"z%d" % number
    return query(b"\3www%c%b\4test\0" % (len(label), label), A)


def is_answer(reply: bytes, address: str | None = None) -> bool:
    """Whether a reply has an answer, and if given, this address in it."""
    right = len(reply) > 12 and reply[3] & 0x0F == 0 and reply[6:8] == b"\0\1"
    return right and (address is None or socket.inet_aton(address) in reply)


class Site:
    """A directory of ``count`` zones; each edit of one has a new serial and a new address."""

    def __init__(self, directory: Path, count: int, say: Say) -> None:
        self.directory, self.count = directory, count
        self.current: dict[int, str] = {}
        """The address of each zone that was edited."""
        self._edits = 0
        directory.mkdir()
        for number in range(count):
            if number % 10_000 == 0:
                say(f"writing zone files: {number:,} of {count:,}")
            self.path(number).write_text(zone_text())

    def path(self, number: int) -> Path:
        """The master file of a zone."""
        return self.directory / f"{name(number)}.zone"

    def edit(self, number: int) -> str:
        """Replaces a zone's file by one with another address, which it returns."""
        self._edits += 1
        address = f"198.51.{self._edits >> 8 & 255}.{self._edits & 255}"
        part = self.directory / f".{name(number)}.part"
        part.write_text(zone_text(1 + self._edits, address))
        os.replace(part, self.path(number))  # noqa: PTH105
        self.current[number] = address
        return address

    def sample(self, most: int = SAMPLE) -> list[int]:
        """Zones that are evenly spread, the last one among them."""
        step = max(self.count // most, 1)
        return sorted({*range(0, self.count, step), self.count - 1})

    def chosen(self, how_many: int, seed: int = 0) -> list[int]:
        """Different zones at random, the same for each server."""
        return random.Random(seed).sample(range(self.count), min(how_many, self.count))


class Asker:
    """A client's socket in the lab, connected to the server's port 53."""

    def __init__(self, lab: Lab) -> None:
        with lab.client.entered():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect((lab.server.ipv4, 53))
        self._socket.settimeout(LOST_SECONDS)
        self._id = 0

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def answers(self, number: int, address: str | None = None) -> bool:
        """Asks one zone once."""
        return not self.unanswered([number], address)

    def unanswered(self, numbers: Sequence[int], address: str | None = None) -> list[int]:
        """Asks each zone once; returns those that gave no right answer."""
        missing = []
        for start in range(0, len(numbers), WINDOW):
            missing += self._ask(numbers[start : start + WINDOW], address)
        return missing

    def _ask(self, numbers: Sequence[int], address: str | None) -> list[int]:
        asked: dict[bytes, int] = {}
        try:
            for number in numbers:
                self._id = (self._id + 1) & 0xFFFF
                ident = self._id.to_bytes(2, "big")
                asked[ident] = number
                self._socket.send(ident + question(number)[2:])
        except OSError:
            # Nobody has the port yet: the ICMP error of the question before.
            return list(numbers)
        missing = set(asked.values())
        try:
            while asked:
                reply = self._socket.recv(2048)
                number = asked.pop(reply[:2], -1)
                if number >= 0 and is_answer(reply, address):
                    missing.discard(number)
        except OSError:
            pass
        return sorted(missing)


def await_all(
    asker: Asker, numbers: Sequence[int], deadline: float, alive: Callable[[], bool]
) -> Iterator[int]:
    """Asks until every zone has answered; yields how many have not, between two questions.

    Ends early at the deadline, a time of ``time.monotonic``, or when the server is gone.
    """
    waiting = list(numbers)
    while waiting and time.monotonic() < deadline and alive():
        if asker.answers(waiting[0]):
            waiting = asker.unanswered(waiting)
        yield len(waiting)
        if waiting:
            time.sleep(AGAIN_SECONDS)
