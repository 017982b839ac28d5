"""A client beside the load of ``bench --reloads``: it looks into answers by location and health."""

from __future__ import annotations

import itertools
import socket
import threading
import time

import dns.exception
import dns.message
import dns.rdatatype

from xdpkit.bench import geo_site
from xdpkit.bench.geo_versions import PAIR, PoolVersions
from xdpkit.lab.namespaces import Lab
from xdpkit.runtime.closing import Closing

# Between two questions.
EVERY_SECONDS = 0.005
# An answer that is not there after this long was lost.
LOST_SECONDS = 1.0
# The longest that a change of health may take to be seen.
HEALTH_SECONDS = 30.0


class Sampler(Closing):
    """Asks from a thread of its own until it is closed, and counts what it found."""

    def __init__(self, lab: Lab, versions: PoolVersions) -> None:
        self.sampled = self.unanswered = 0
        self.mixed = 0
        """Answers with addresses of another version than their TTL's, or of two."""
        self.stale = 0
        """Answers with a server that had been seen to be unhealthy before they were asked for."""
        self._versions = versions
        with lab.client.entered():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect((lab.server.ipv4, 53))
        self._socket.settimeout(LOST_SECONDS)
        self._unhealthy: int | None = None
        self._seen = threading.Condition()
        self._last: set[int] = set()
        self._going = True
        self._thread = threading.Thread(target=self._ask_on)
        self._thread.start()

    def await_health(self, healthy: int) -> float:
        """Seconds until an answer has this one of the two alone; at most ``HEALTH_SECONDS``.

        From then on, one with the other is stale; none is while this waits.
        """
        begin = time.monotonic()
        first = self._versions.servers
        with self._seen:
            self._unhealthy = None
            self._last = set()
            self._seen.wait_for(lambda: self._last == {first + healthy}, HEALTH_SECONDS)
            self._unhealthy = first + 1 - healthy
        return time.monotonic() - begin

    def close(self) -> None:
        """Ends the thread."""
        self._going = False
        self._thread.join()
        self._socket.close()

    def _ask_on(self) -> None:
        names = [geo_site.queries(name, geo_site.ORIGIN, subnets=True) for name in ("", PAIR)]
        for number, queries in enumerate(itertools.cycle(zip(*names, strict=True))):
            if not self._going:
                break
            for which, query in enumerate(queries):
                ident = (2 * number + which & 0xFFFF).to_bytes(2, "big")
                self._ask(ident + query[2:], of_pair=which == 1)
            time.sleep(EVERY_SECONDS)

    def _ask(self, query: bytes, of_pair: bool) -> None:
        unhealthy = self._unhealthy
        self.sampled += 1
        found = records(self._reply_to(query))
        if found is None:
            self.unanswered += 1
            return
        ttl, addresses = found
        numbers = self._versions.numbers(addresses, ttl)
        if numbers is None:
            self.mixed += 1
        elif of_pair:
            self.stale += unhealthy is not None and unhealthy in numbers
            with self._seen:
                self._last = numbers
                self._seen.notify_all()

    def _reply_to(self, query: bytes) -> bytes:
        """Nothing if none comes."""
        try:
            self._socket.send(query)
            while (reply := self._socket.recv(4096))[:2] != query[:2]:
                pass
        except OSError:
            return b""
        return reply


def records(reply: bytes) -> tuple[int, list[str]] | None:
    """The TTL and the addresses of an answer; None for anything else."""
    try:
        message = dns.message.from_wire(reply)
    except dns.exception.DNSException:
        return None
    found = [each for each in message.answer if each.rdtype == dns.rdatatype.A]
    if len(found) != 1:
        return None
    return found[0].ttl, [each.address for each in found[0]]
