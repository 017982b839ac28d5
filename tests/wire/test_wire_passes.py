"""Frames that are not exactly ours: each reaches the kernel unchanged, and gets no answer."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from payloads import ntp, query
from scapy.layers.inet import ICMP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Dot1AD, Ether
from scapy.packet import Packet, Raw
from serving import PATIENCE, Server, ping
from test_wire_answers import CONFIG, TAGS
from wire import CHATTER, Wire

from xdpkit._core._stats import MAX_FRAME, VERDICTS
from xdpkit.lab.namespaces import Lab

__all__ = ["CONFIG"]
pytestmark = pytest.mark.netns


def check(server: Server, wire: Wire, frame: bytes | Packet, verdict: str) -> None:
    """Checks for this verdict, the same bytes in the server's kernel, and no answer."""
    outcome = wire.exchange(server, frame, (verdict,))
    assert outcome.passed == [bytes(frame)]
    assert outcome.replies == []
    assert set(outcome.verdicts) == {verdict}
    # Neighbor discovery may interfere, and get the same verdict.
    assert outcome.verdicts[verdict] == 1 or verdict in CHATTER


@pytest.mark.parametrize("tags", TAGS, ids=["untagged", "one-tag", "two-tags"])
@pytest.mark.parametrize("family", [4, 6])
class TestEveryPass:
    """The verdicts of the XDP program, seen from the wire."""

    def test_truncated(
        self, server: Server, wire: Wire, family: int, tags: tuple[int, ...]
    ) -> None:
        whole = bytes(wire.frame(family, "ntp", ntp(), tags=tags))
        # Raw sockets do not see frames with so few bytes after a tag.
        shortest = 15 + 4 * len(tags) + (4 if tags else 0)
        for length in range(shortest, 14 + 4 * len(tags) + (20 if family == 4 else 40)):
            check(server, wire, whole[:length], "truncated")

    def test_group_mac(
        self, server: Server, wire: Wire, family: int, tags: tuple[int, ...]
    ) -> None:
        groups = {
            4: {"ff:ff:ff:ff:ff:ff": "192.0.2.255", "01:00:5e:00:01:01": "224.0.1.1"},
            6: {"33:33:00:00:01:01": "ff02::101", "ff:ff:ff:ff:ff:ff": "2001:db8::ff"},
        }
        for mac, address in groups[family].items():
            frame = wire.frame(family, "ntp", ntp(), tags=tags, ip={"dst": address})
            frame[Ether].dst = mac
            check(server, wire, frame, "group_mac")

    def test_vlan_depth(
        self, server: Server, wire: Wire, family: int, tags: tuple[int, ...]
    ) -> None:
        frame = wire.frame(family, "ntp", ntp(), tags=(1, 2, 3, *tags))
        check(server, wire, frame, "vlan_depth")

    def test_ip_header(
        self, server: Server, wire: Wire, family: int, tags: tuple[int, ...]
    ) -> None:
        length = {"len": 1000} if family == 4 else {"plen": 1000}
        check(server, wire, wire.frame(family, "ntp", ntp(), tags=tags, ip=length), "ip_header")
        version = {"version": 5}
        check(server, wire, wire.frame(family, "ntp", ntp(), tags=tags, ip=version), "ip_header")

    def test_not_udp(self, server: Server, wire: Wire, family: int, tags: tuple[int, ...]) -> None:
        frame = wire.frame(family, "ntp", b"", tags=tags)
        frame[UDP].underlayer.remove_payload()
        check(server, wire, frame / TCP(dport=123, flags="R"), "not_udp")
        if family == 4:
            check(server, wire, frame / ICMP(type=0), "not_udp")

    def test_udp_length(
        self, server: Server, wire: Wire, family: int, tags: tuple[int, ...]
    ) -> None:
        # Over IPv6 the kernel takes 0 to mean the packet's length, and the slow path gets it.
        for length in (7, 55, 57) if family == 6 and not tags else (0, 7, 55, 57):
            frame = wire.frame(family, "ntp", ntp(), tags=tags, udp={"len": length})
            check(server, wire, frame, "udp_length")

    def test_not_served(
        self, server: Server, wire: Wire, family: int, tags: tuple[int, ...]
    ) -> None:
        other_port = wire.frame(family, "ntp", ntp(), tags=tags, udp={"dport": 1123})
        check(server, wire, other_port, "not_served")
        address = {4: "192.0.2.77", 6: "2001:db8::77"}[family]
        other_address = wire.frame(family, "ntp", ntp(), tags=tags, ip={"dst": address})
        check(server, wire, other_address, "not_served")
        other_tags = wire.frame(family, "ntp", ntp(), tags=(300, 200)[: len(tags) or 1])
        check(server, wire, other_tags, "not_served")


@pytest.mark.parametrize("tags", TAGS[1:], ids=["one-tag", "two-tags"])
@pytest.mark.parametrize("family", [4, 6])
class TestOnlyTagged:
    """Untagged, the slow path answers or counts these: see the drops and the slow path's tests."""

    def test_replies_to_programs_here(
        self, server: Server, wire: Wire, family: int, tags: tuple[int, ...]
    ) -> None:
        for mode in (2, 4, 5, 6, 7):
            frame = wire.frame(family, "ntp", ntp(mode=mode), sport=123, tags=tags)
            check(server, wire, frame, "ntp_not_request")
        frame = wire.frame(family, "dns", b"\0\0\x80" + bytes(9), tags=tags)
        check(server, wire, frame, "dns_not_request")

    def test_other_queue(
        self, server: Server, wire: Wire, other_queue: int, family: int, tags: tuple[int, ...]
    ) -> None:
        check(server, wire, wire.frame(family, "ntp", ntp(), tags=tags), "other_queue")


def test_extension_header_and_options(server: Server, wire: Wire) -> None:
    for tags in TAGS[1:]:
        ipv6 = wire.frame(6, "ntp", ntp(), tags=tags, ip={"nh": 44})
        ipv6 = bytes(ipv6).replace(bytes(ipv6[UDP]), bytes(IPv6ExtHdrFragment(nh=17, m=1)))
        check(server, wire, ipv6, "extension_header")
        options = {"options": [IPOption_Router_Alert()]}
        check(server, wire, wire.frame(4, "ntp", ntp(), tags=tags, ip=options), "ip_options")
        part = wire.frame(4, "ntp", ntp(), tags=tags, ip={"flags": "MF"})
        check(server, wire, part, "fragment")


def test_not_ip(server: Server, wire: Wire) -> None:
    # Not addressed to us, so that nobody answers.
    question = ARP(psrc="192.0.2.2", pdst="192.0.2.99", hwsrc=wire.client_mac)
    ether = Ether(dst=wire.server_mac, src=wire.client_mac)
    check(server, wire, ether / question, "not_ip")
    check(server, wire, ether / Dot1AD(vlan=100) / question, "not_ip")
    lldp = Ether(dst=wire.server_mac, src=wire.client_mac, type=0x88CC)
    check(server, wire, lldp / Raw(bytes(46)), "not_ip")


@pytest.fixture
def large_frames(lab: Lab) -> Iterator[None]:
    """Both ends of the wire accept frames that are too large for a UMEM chunk."""
    sides = (lab.server, lab.client)
    for side in sides:
        assert side.run("ip", "link", "set", side.ifname, "mtu", "2500").returncode == 0
    yield
    for side in sides:
        assert side.run("ip", "link", "set", side.ifname, "mtu", "1500").returncode == 0


@pytest.mark.parametrize("family", [4, 6])
def test_oversize(server: Server, wire: Wire, large_frames: None, family: int) -> None:
    for tags in TAGS[1:]:
        room = MAX_FRAME - len(wire.frame(family, "echo", b"", tags=tags))
        fits = wire.frame(family, "echo", bytes(room), tags=tags)
        assert wire.exchange(server, fits).replies == [wire.reply(fits, bytes(room))]
        check(server, wire, wire.frame(family, "echo", bytes(room + 1), tags=tags), "oversize")


def test_every_pass_is_here() -> None:
    """This file covers exactly the verdicts in service.h, except for what veth cannot do."""
    met = {"truncated", "group_mac", "vlan_depth", "ip_header", "not_udp", "udp_length", "not_ip"}
    met |= {"not_served", "ntp_not_request", "dns_not_request", "other_queue", "oversize"}
    met |= {"extension_header", "ip_options", "fragment", "no_metadata"}
    assert met == {verdict.name for verdict in VERDICTS if verdict.kind == "pass"}


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_other_programs_receive_what_is_theirs(server: Server, lab: Lab, family: int) -> None:
    ipv4 = family == socket.AF_INET
    ours, theirs = (
        (lab.server.ipv4, lab.client.ipv4) if ipv4 else (lab.server.ipv6, lab.client.ipv6)
    )
    with contextlib.ExitStack() as stack:
        with lab.server.entered():
            listener = stack.enter_context(socket.create_server((ours, 123), family=family))
            datagrams = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        with lab.client.entered():
            client = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            caller = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        datagrams.bind((ours, 5353))
        for opened in (listener, datagrams, caller):
            opened.settimeout(PATIENCE)
        client.sendto(query("www.example"), (ours, 5353))
        data, peer = datagrams.recvfrom(1000)
        assert data == query("www.example")
        assert peer[0] == theirs
        caller.connect((ours, 123))
        accepted = stack.enter_context(listener.accept()[0])
        caller.sendall(b"over TCP")
        accepted.settimeout(PATIENCE)
        assert accepted.recv(100) == b"over TCP"


def test_ping_after_the_neighbors_were_flushed(server: Server, lab: Lab) -> None:
    for side in (lab.server, lab.client):
        assert side.run("ip", "neigh", "flush", "dev", side.ifname).returncode == 0
    ping(lab)
