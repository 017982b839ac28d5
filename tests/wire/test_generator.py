"""The load generator itself: it detects lost, duplicate, wrong and corrupted replies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty import Fault, Responder, change_header, change_payload, flip_bit, lost, put_byte, twice
from loading import generator, load_on
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from serving import eventually

from xdpkit.lab.namespaces import Lab
from xdpkit.loadgen.setup import Load

pytestmark = pytest.mark.netns

QUEUE, COUNT, EVERY = 1, 60, 12
FAULTS = COUNT // EVERY


@pytest.fixture(scope="module")
def load(lab: Lab) -> Iterator[Load]:
    lab.server.send_on_queue(QUEUE, lab.queues)
    with load_on(lab, [QUEUE]) as load:
        yield load


def run(
    lab: Lab, load: Load, directory: Path, service: str, family: int, fault: Fault
) -> dict[str, int]:
    """The counters, except "sent", after a run against a server with this fault."""
    requests = generator(lab, load, QUEUE, service, family)
    with Responder(lab, directory, fault, EVERY) as responder:

        def all_done() -> bool:
            # A lost request stays open for a second: the window must have room for all of them.
            requests.run(0.02, count=COUNT, window=2 * FAULTS)
            return responder.done == COUNT

        eventually(all_done, "the responder")
        requests.finish(0.3)
        assert responder.faults == FAULTS
    found: dict[str, int] = requests.counters()
    assert found["sent"] == COUNT
    return {name: found[name] for name in ("answered", "wrong", "duplicate", "lost", "open")}


def counters(answered: int, **faults: int) -> dict[str, int]:
    """Counters of a run; those not given are 0."""
    return {"answered": answered, "wrong": 0, "duplicate": 0, "lost": 0, "open": 0} | faults


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("service", ["echo", "ntp", "dns"])
class TestAnyService:
    """Faults that do not depend on the payload."""

    def test_right(self, lab: Lab, load: Load, tmp_path: Path, service: str, family: int) -> None:
        found = run(lab, load, tmp_path, service, family, lambda reply: [reply])
        assert found == counters(COUNT)

    def test_lost(self, lab: Lab, load: Load, tmp_path: Path, service: str, family: int) -> None:
        found = run(lab, load, tmp_path, service, family, lost)
        assert found == counters(COUNT - FAULTS, lost=FAULTS)

    def test_duplicate(
        self, lab: Lab, load: Load, tmp_path: Path, service: str, family: int
    ) -> None:
        found = run(lab, load, tmp_path, service, family, twice)
        assert found == counters(COUNT, duplicate=FAULTS)

    def test_corrupted(
        self, lab: Lab, load: Load, tmp_path: Path, service: str, family: int
    ) -> None:
        # The last byte of the echo's payload, of NTP's transmit time, of a DNS record.
        found = run(lab, load, tmp_path, service, family, flip_bit(-1))
        assert found == counters(COUNT - FAULTS, wrong=FAULTS, lost=FAULTS)


WRONG = {
    "echo-byte": ("echo", put_byte(20, 0x56)),
    "echo-short": ("echo", change_payload(lambda p: p.pop())),
    "echo-long": ("echo", change_payload(lambda p: p.append(0x55))),
    "ntp-mode": ("ntp", put_byte(0, 0x23)),
    "ntp-version": ("ntp", put_byte(0, 0x1C)),
    "ntp-kiss-of-death": ("ntp", put_byte(1, 0)),
    "ntp-stratum-16": ("ntp", put_byte(1, 16)),
    "ntp-origin": ("ntp", change_payload(lambda p: p.reverse())),
    "ntp-transmit-before-receive": ("ntp", change_payload(lambda p: p.__setitem__(40, p[40] - 1))),
    "ntp-short": ("ntp", change_payload(lambda p: p.__delitem__(slice(44, None)))),
    "dns-query-back": ("dns", put_byte(2, 0)),
    "dns-truncated": ("dns", put_byte(2, 0x86)),
    "dns-servfail": ("dns", put_byte(3, 2)),
    "dns-no-answer": ("dns", put_byte(7, 0)),
    "dns-other-name": ("dns", put_byte(13, ord("_"))),
    "dns-short": ("dns", change_payload(lambda p: p.__delitem__(slice(11, None)))),
    "address": ("ntp", change_header(IP, src="192.0.2.9")),
    "ttl-is-not-judged": ("ntp", change_header(IP, ttl=3)),
    "source-port": ("ntp", change_header(UDP, sport=124)),
    "destination-port": ("ntp", change_header(UDP, dport=61999)),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(lab: Lab, load: Load, tmp_path: Path, name: str) -> None:
    service, fault = WRONG[name]
    found = run(lab, load, tmp_path, service, 4, fault)
    if name == "ttl-is-not-judged":
        assert found == counters(COUNT)
    else:
        assert found == counters(COUNT - FAULTS, wrong=FAULTS, lost=FAULTS)


def test_wrong_address_over_ipv6(lab: Lab, load: Load, tmp_path: Path) -> None:
    found = run(lab, load, tmp_path, "dns", 6, change_header(IPv6, src="2001:db8::9"))
    assert found == counters(COUNT - FAULTS, wrong=FAULTS, lost=FAULTS)


def test_wrong_ipv4_header_checksum(lab: Lab, load: Load, tmp_path: Path) -> None:
    found = run(lab, load, tmp_path, "ntp", 4, flip_bit(24))
    assert found == counters(COUNT - FAULTS, wrong=FAULTS, lost=FAULTS)


def test_without_udp_checksum(lab: Lab, load: Load, tmp_path: Path) -> None:
    """All our replies have one: over IPv4 its absence is legal, over IPv6 it is a fault."""

    def bare(reply: bytes) -> list[bytes]:
        at = 14 + (20 if reply[12:14] == b"\x08\x00" else 40) + 6
        return [reply[:at] + b"\0\0" + reply[at + 2 :]]

    assert run(lab, load, tmp_path, "ntp", 4, bare) == counters(COUNT)
    found = run(lab, load, tmp_path, "ntp", 6, bare)
    assert found == counters(COUNT - FAULTS, wrong=FAULTS, lost=FAULTS)
