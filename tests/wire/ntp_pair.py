"""chronyd and xdpkit in one lab, with the same state and the same keys."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from asking import Asker
from ntp_macs import Key, key_file
from ntp_requests import Request
from peers import chronyd_server
from serving import QUEUES, WAYS_IN, Server, serving

from xdpkit.lab.namespaces import Lab

CONFIG = """
[interface]
name = "server0"
queues = [2]
[ntp]
source = "local"
stratum = 10
"""
KEYS_LINE = 'keys = "ntp.keys"\n'

# chronyd runs in the client namespace, where port 123 is for clients.
CHRONYD_PORT = 11123
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
OURS, THEIRS = tuple(WAYS_IN), "chronyd"


@dataclass(frozen=True)
class Pair:
    """The two running servers."""

    lab: Lab
    server: Server
    keys: tuple[Key, ...]

    def asker(self, which: str, family: int = 4) -> Asker:
        """An Asker for chronyd, or for one of our ways in."""
        if which == THEIRS:
            return Asker(self.lab.client, LOOPBACK[family], CHRONYD_PORT)
        self.lab.client.send_on_queue(WAYS_IN[which], QUEUES)
        server = self.lab.server
        return Asker(self.lab.client, server.ipv4 if family == 4 else server.ipv6)


@contextmanager
def running_pair(lab: Lab, directory: Path, keys: tuple[Key, ...]) -> Iterator[Pair]:
    """Both servers during a block; chronyd is given our precision, which it would measure."""
    file = directory / "ntp.keys"
    file.write_text(key_file(keys))
    file.chmod(0o600)
    config = CONFIG + (KEYS_LINE if keys else "")
    with serving(lab, directory, config) as server:
        pair = Pair(lab, server, keys)
        with pair.asker("ring") as asker:
            [reply] = asker.answers([Request(b"\x23" + bytes(47), "first")])
        assert reply is not None
        [precision] = struct.unpack_from("b", reply, 3)
        state = ("local stratum 10", f"clockprecision {2.0**precision}", f"keyfile {file}")
        with chronyd_server(lab.client, directory, f"port {CHRONYD_PORT}", *state):
            yield pair
