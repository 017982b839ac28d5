"""What the XDP program leaves to the kernel is still answered, by the slow path."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from payloads import ntp, query
from scapy.layers.inet import UDP, IPOption_Router_Alert, fragment
from scapy.layers.inet6 import (
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    fragment6,
)
from scapy.packet import Packet
from serving import Server, bytes_call
from wire import Wire, udp_payload

from xdpkit._core._answer import answer

pytestmark = pytest.mark.netns

REQUESTS = {
    "ntp": (ntp(), "ntp_answered"),
    "dns": (query("www.example", edns=0), "dns_noerror"),
    "echo": (b"an echo that is long enough for fragments", "echo_answered"),
}


def check(
    server: Server, wire: Wire, parts: list[Packet], service: str, way: str, directory: Path
) -> None:
    """One answer, by the slow path, to a request in these frames, none of which is redirected."""
    payload, verdict = REQUESTS[service]
    before = server.status()["slow_path"]["udp"]
    for part in parts[:-1]:
        wire.send(part)
    outcome = wire.exchange(server, parts[-1], (way, verdict), replies=1)
    assert outcome.verdicts["redirected"] == 0
    after = server.status()["slow_path"]["udp"]
    # On another queue the marker's echo comes from the slow path as well.
    markers = 0 if wire.queue == 2 else 1
    assert (after["rx"], after["tx"]) == (before["rx"] + 1 + markers, before["tx"] + 1 + markers)
    [reply] = outcome.replies
    said = udp_payload(reply)
    precision = struct.unpack_from("b", said.ljust(4), 3)[0]
    name, expected = answer(bytes_call(directory, precision), service, payload)
    assert name == verdict
    assert expected is not None
    if service == "ntp":
        assert (said[:16], said[24:32]) == (expected[:16], expected[24:32])
    else:
        assert said == expected


def behind(packet: Packet, header: Packet) -> Packet:
    """An IPv6 request with an extension header before UDP."""
    udp = packet[UDP].copy()
    ip = packet.copy()
    ip[UDP].underlayer.remove_payload()
    return ip / header / udp


@pytest.mark.parametrize("service", REQUESTS)
@pytest.mark.parametrize("family", [4, 6])
def test_fragments(server: Server, wire: Wire, directory: Path, service: str, family: int) -> None:
    request = wire.frame(family, service, REQUESTS[service][0])
    if family == 4:
        request.getlayer(1).flags = 0
        parts, way = fragment(request, 24), "fragment"
    else:
        request = behind(request, IPv6ExtHdrFragment(id=0x1234))
        parts, way = fragment6(request, 88), "extension_header"
    assert len(parts) > 1
    check(server, wire, parts, service, way, directory)
    check(server, wire, parts[::-1], service, way, directory)


@pytest.mark.parametrize("service", REQUESTS)
def test_ipv4_router_alert(server: Server, wire: Wire, directory: Path, service: str) -> None:
    options = {"options": [IPOption_Router_Alert()]}
    request = wire.frame(4, service, REQUESTS[service][0], ip=options)
    check(server, wire, [request], service, "ip_options", directory)


@pytest.mark.parametrize("header", [IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt()], ids=["hop", "dest"])
@pytest.mark.parametrize("service", REQUESTS)
def test_ipv6_options(
    server: Server, wire: Wire, directory: Path, service: str, header: Packet
) -> None:
    request = behind(wire.frame(6, service, REQUESTS[service][0]), header)
    check(server, wire, [request], service, "extension_header", directory)


@pytest.mark.parametrize("service", REQUESTS)
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("queue", [0, 1, 3])
def test_other_queues(
    server: Server, wire: Wire, directory: Path, queue: int, family: int, service: str
) -> None:
    wire.use_queue(queue)
    try:
        request = wire.frame(family, service, REQUESTS[service][0])
        check(server, wire, [request], service, "other_queue", directory)
    finally:
        wire.use_queue(2)
