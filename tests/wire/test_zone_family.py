"""A parent, its child and a sibling, changed one by one under load.

Every record of a zone's version has that version as its TTL. An answer that leads from zone to zone
may show two serials, but the records of one zone in it are of one version, which is the one in use
when the query came or the one that was taken into use meanwhile.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path

import dns.message
import dns.rcode
import pytest
from dns_asking import UdpAsker
from serving import QUEUE, QUEUES, Server, reload, write_config

from xdpkit.lab.namespaces import Lab

pytestmark = [pytest.mark.netns, pytest.mark.timeout(400)]

CONFIG = """
[interface]
name = "server0"
queues = [2]
[dns]
zones = "zones"
watch = false
"""

HEAD = "$TTL {v}\n@ SOA ns h {v} 7200 3600 1209600 {v}\n@ NS ns\nns A 192.0.2.{v}\n"
ZONES = {
    "fam": HEAD + "kid NS ns.kid\nns.kid A 192.0.2.{v}\nm MX 1 mx\nmx A 192.0.2.{v}\n"
    "tokid CNAME tosib.kid\ncut NS ns\n",
    "kid.fam": HEAD + "tosib CNAME m.sib.\nm MX 1 mx\nmx A 192.0.2.{v}\nup CNAME mx.fam.\n",
    "sib": HEAD + "m MX 1 mx\nmx A 192.0.2.{v}\ndn DNAME kid.fam.\n",
}
QUESTIONS = [
    ("tokid.fam", "MX"),
    ("m.fam", "MX"),
    ("m.kid.fam", "MX"),
    ("m.dn.sib", "MX"),
    ("up.kid.fam", "A"),
    ("q.cut.fam", "A"),
    ("nothing.kid.fam", "A"),
    ("kid.fam", "DS"),
    ("m.sib", "MX"),
]
VERSIONS = 6


def zone_of(name: str) -> str:
    return next(zone for zone in ("kid.fam", "fam", "sib") if f".{name}".endswith(f".{zone}."))


def versions_in(reply: bytes) -> dict[str, set[int]]:
    """The versions of each zone's records in a reply. Synthesized CNAMEs are their DNAME's."""
    message = dns.message.from_wire(reply)
    assert message.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN), message
    found = defaultdict(set)
    for rrset in (*message.answer, *message.authority, *message.additional):
        found[zone_of(rrset.name.to_text())].add(rrset.ttl)
    return found


class Asking(threading.Thread):
    """Asks all questions again and again until it is told to stop."""

    def __init__(self, asker: UdpAsker) -> None:
        super().__init__()
        self._asker, self._stop_asking = asker, threading.Event()
        self.mixed: list[str] = []
        self.unanswered = self.rounds = 0
        self.seen: dict[str, set[int]] = defaultdict(set)

    def run(self) -> None:
        messages = [dns.message.make_query(*each, use_edns=0).to_wire() for each in QUESTIONS]
        while not self._stop_asking.is_set():
            for message, reply in zip(messages, self._asker.replies(messages), strict=True):
                if reply is None:
                    self.unanswered += 1
                    continue
                for zone, versions in versions_in(reply).items():
                    self.seen[zone] |= versions
                    if len(versions) > 1:
                        self.mixed.append(f"{message!r}: {zone} {versions}")
            self.rounds += 1

    def stop(self) -> None:
        self._stop_asking.set()
        self.join()


@pytest.mark.parametrize("queue", [QUEUE, 1], ids=["ring", "slow path"])
def test_each_zone_of_a_family_changes_alone(tmp_path: Path, queue: int) -> None:
    path = write_config(tmp_path, CONFIG, "")
    (tmp_path / "zones" / "example.zone").write_text(HEAD.format(v=1))

    def write(zone: str, version: int) -> None:
        (tmp_path / "zones" / f"{zone}.zone").write_text(ZONES[zone].format(v=version))

    for zone in ZONES:
        write(zone, 1)
    with Lab() as lab:
        server = Server(lab.server, path)
        try:
            lab.client.send_on_queue(queue, QUEUES)
            asker = UdpAsker(lab, 4)
            asking = Asking(asker)
            asking.start()
            try:
                for version in range(2, VERSIONS + 2):
                    zone = list(ZONES)[version % len(ZONES)]
                    write(zone, version)
                    assert reload(lab).returncode == 0
                    rounds = asking.rounds
                    while asking.rounds < rounds + 2 and asking.is_alive():
                        threading.Event().wait(0.01)
            finally:
                asking.stop()
                asker.socket.close()
            assert asking.mixed == [] and asking.unanswered == 0
            for index, zone in enumerate(ZONES):
                made = {v for v in range(2, VERSIONS + 2) if v % len(ZONES) == index}
                assert asking.seen[zone] == {1, *made}
            assert server.stop() == 0
        finally:
            server.kill()
