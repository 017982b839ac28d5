"""``python fake_successor.py IFACE STEP...``: asks for a takeover, then does as it is told.

A step is ``send=TEXT``, a line; ``bytes=N``, that many without a newline; ``fds=N``, as many
messages with descriptors that nobody asked for; ``facts``, which waits for the state; ``take``,
which waits for the byte of the rings and reads it; ``answer``, which prints the first of what the
instance sends; ``close``, the connection; ``sleep``, until it is killed. The name of each step is
printed when it is done.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time

from xdpkit.control import client as control_client


class FakeSuccessor:
    """Its connection, and the descriptors that it has got."""

    def __init__(self, ifname: str) -> None:
        self.connection = control_client.connect(ifname)
        self.connection.settimeout(60)
        self.descriptors: list[int] = []
        self.connection.sendall(b'{"verb": "takeover"}\n')

    def send(self, text: str) -> None:
        self.connection.sendall(text.encode() + b"\n")

    def bytes(self, count: str) -> None:
        """The other end may have enough of it before they are all sent."""
        try:
            self.connection.sendall(b"[" * int(count))
        except OSError as error:
            print(error)

    def fds(self, count: str) -> None:
        for _ in range(int(count)):
            try:
                socket.send_fds(self.connection, [b" "], [0] * 200)
            except OSError as error:
                print(error)

    def facts(self, _: str) -> None:
        received = b""
        while b"\n" not in received:
            data, descriptors, _, _ = socket.recv_fds(self.connection, 1 << 16, 250)
            received += data
            self.descriptors += descriptors
            assert data
        facts = json.loads(received[: received.index(b"\n")])
        while len(self.descriptors) < facts["descriptors"]:
            self.descriptors += socket.recv_fds(self.connection, 1 << 16, 250)[1]

    def take(self, _: str) -> None:
        """The rings are now ours."""
        select.select([self.descriptors[2]], [], [], 60)
        assert os.read(self.descriptors[2], 1) == b"r"

    def answer(self, _: str) -> None:
        print(self.connection.recv(1 << 16).decode())

    def close(self, _: str) -> None:
        self.connection.close()

    def sleep(self, _: str) -> None:
        time.sleep(600)


if __name__ == "__main__":
    fake = FakeSuccessor(sys.argv[1])
    for step in sys.argv[2:]:
        name, _, value = step.partition("=")
        getattr(fake, name)(value)
        print(name, flush=True)
