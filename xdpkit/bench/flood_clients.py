"""Ordinary DNS clients during a flood: each queries at a steady rate from its own address.

    python -m xdpkit.bench.flood_clients PLAN

Runs as its own process in the client namespace; PLAN is JSON. It prints "ready", sends queries
until its standard input is closed, and prints as JSON what became of each group's queries.

The clients behave as resolvers do. A reply with TC is retried over TCP; after BADCOOKIE the query
is sent again with the cookie that came along; a query without an answer after a second is lost.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

from pyroute2 import IPRoute

from xdpkit.bench import zones
from xdpkit.errors import LabError
from xdpkit.lab.namespaces import Lab
from xdpkit.loadgen.queries import cookie_of, with_cookie
from xdpkit.runtime import child

TIMEOUT = 1.0
TCP_TIMEOUT = 2.0
# Retries over TCP in flight at once.
TCP_THREADS = 8

TC, RCODE, BADCOOKIE = 0x02, 0x0F, 23


@dataclass(frozen=True)
class Group:
    """Clients of one kind."""

    name: str
    addresses: tuple[str, ...]
    cookies: bool = False


@dataclass
class Counts:
    """What became of a group's queries."""

    asked: int = 0
    by_udp: int = 0
    by_tcp: int = 0
    wrong: int = 0


@dataclass
class Client:
    """One address; ``open`` maps a query's ID to its send time and question."""

    sock: socket.socket
    address: str
    counts: Counts
    cookie: bytes | None
    due: float
    number: int = 0
    open: dict[int, tuple[float, bytes]] = field(default_factory=dict)


class Clients:
    """All groups together; each client sends ``rate`` queries a second."""

    def __init__(self, server: str, groups: Sequence[Group], rate: int) -> None:
        self._server, self._rate = server, rate
        self._queries = zones.queries(zones.SMALL)
        self.counts = {group.name: Counts() for group in groups}
        self._lock = threading.Lock()
        members = [(group, address) for group in groups for address in group.addresses]
        begin = time.monotonic()
        self._clients = [
            self._client(group, address, begin + index / len(members) / rate)
            for index, (group, address) in enumerate(members)
        ]

    def _client(self, group: Group, address: str, due: float) -> Client:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address, 0))
        sock.connect((self._server, 53))
        sock.setblocking(False)
        cookie = os.urandom(8) if group.cookies else None
        return Client(sock, address, self.counts[group.name], cookie, due)

    def run(self, until: int) -> None:
        """Queries until this descriptor is readable, then waits for the outstanding replies."""
        with ThreadPoolExecutor(TCP_THREADS) as tcp, selectors.EpollSelector() as selector:
            for client in self._clients:
                selector.register(client.sock, selectors.EVENT_READ, client)
            selector.register(until, selectors.EVENT_READ)
            end = float("inf")
            while (now := time.monotonic()) < end:
                asking = end == float("inf")
                for client in self._clients if asking else ():
                    if client.due <= now:
                        self._ask(client, now)
                next_due = min(client.due for client in self._clients)
                for key, _ in selector.select(max(0.0, (next_due if asking else end) - now)):
                    if key.data:
                        self._read(key.data, tcp)
                    else:
                        end = now + TIMEOUT
                        selector.unregister(until)

    def _ask(self, client: Client, now: float) -> None:
        # Missed sends are not made up for: that would make bursts.
        client.due = max(client.due + 1 / self._rate, now)
        client.number = (client.number + 1) & 0xFFFF
        question = self._queries[client.number % len(self._queries)]
        client.open = {n: kept for n, kept in client.open.items() if now - kept[0] < TIMEOUT}
        client.open[client.number] = (now, question)
        client.counts.asked += 1
        self._send(client, client.number, question)

    def _send(self, client: Client, number: int, question: bytes) -> None:
        client.sock.send(with_cookie(number.to_bytes(2) + question[2:], client.cookie))

    def _read(self, client: Client, tcp: ThreadPoolExecutor) -> None:
        reply = client.sock.recv(4096)
        number = int.from_bytes(reply[:2])
        asked, question = client.open.get(number, (0.0, b""))
        if time.monotonic() - asked >= TIMEOUT:
            return
        if (client.cookie and len(client.cookie) == 8) or reply[3] & RCODE == BADCOOKIE & RCODE:
            client.cookie = cookie_of(reply) or client.cookie
        if reply[3] & RCODE == BADCOOKIE & RCODE:
            self._send(client, number, question)
            return
        del client.open[number]
        if reply[2] & TC:
            tcp.submit(self._ask_by_tcp, client, number, question)
        elif is_right(reply, question):
            client.counts.by_udp += 1
        else:
            client.counts.wrong += 1

    def _ask_by_tcp(self, client: Client, number: int, question: bytes) -> None:
        request = number.to_bytes(2) + question[2:]
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                sock.settimeout(TCP_TIMEOUT)
                sock.bind((client.address, 0))
                sock.connect((self._server, 53))
                sock.sendall(struct.pack("!H", len(request)) + request)
                with sock.makefile("rb") as stream:
                    reply = stream.read(int.from_bytes(stream.read(2)))
        except OSError:
            return
        right = len(reply) > 12 and is_right(reply, question)
        with self._lock:
            client.counts.by_tcp += right
            client.counts.wrong += not right


def is_right(reply: bytes, question: bytes) -> bool:
    """A complete answer to this question, without an error."""
    end = question.index(b"\0", 12) + 5
    answers = int.from_bytes(reply[6:8])
    return (
        not reply[2] & TC
        and not reply[3] & RCODE
        and answers > 0
        and (reply[12:end] == question[12:end])
    )


def start_clients(
    lab: Lab, groups: Sequence[Group], rate: int, cpus: Sequence[int]
) -> subprocess.Popen[str]:
    """The querying process in the client namespace. Raises LabError if it does not start."""
    plan = {
        "server": lab.server.ipv4,
        "groups": [asdict(group) for group in groups],
        "rate": rate,
        "cpus": list(cpus),
    }
    argv = child.python("xdpkit.bench.flood_clients", json.dumps(plan))
    process = lab.client.popen(
        *argv, **child.options(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    if process.stdout is None or process.stdout.readline() != "ready\n":
        raise LabError("the clients for the flood did not start")
    return process


def give_addresses(lab: Lab, addresses: Sequence[str]) -> None:
    """Assigns them to the client, and routes them in the server's namespace, for TCP."""
    with IPRoute(netns=lab.client.namespace) as ipr:
        index = ipr.link_lookup(ifname=lab.client.ifname)[0]
        for address in addresses:
            ipr.addr("add", index=index, address=address, prefixlen=32)
    with IPRoute(netns=lab.server.namespace) as ipr:
        for address in addresses:
            ipr.route("add", dst=f"{address}/32", gateway=lab.client.ipv4)


def main(plan: str) -> None:
    """The process: PLAN has ``server``, ``groups``, ``rate`` and ``cpus``."""
    wanted = json.loads(plan)
    os.sched_setaffinity(0, wanted["cpus"])
    groups = [Group(**group) for group in wanted["groups"]]
    clients = Clients(wanted["server"], groups, wanted["rate"])
    print("ready", flush=True)
    clients.run(sys.stdin.fileno())
    print(json.dumps({name: asdict(counts) for name, counts in clients.counts.items()}))


if __name__ == "__main__":
    main(sys.argv[1])
