"""Every verdict of the XDP program, from BPF_PROG_TEST_RUN on crafted frames."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, TCP, IPOption_Router_Alert, IPOption_RR
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw
from steer_frames import (
    CLIENT_MAC,
    DNS_REQUEST,
    FAMILIES,
    NTP_REQUEST,
    PAYLOADS,
    SERVER_MAC,
    ethernet,
    frame,
    network,
    tags_of,
)
from steer_program import SteerProgram

from xdpkit._core._stats import MAX_FRAME, VERDICT_END, VERDICTS

pytestmark = pytest.mark.netns


def check(steer: SteerProgram, data: bytes, verdict: str, queue: int = 0) -> None:
    """The frame gets this verdict and no other."""
    assert steer.verdict(data, queue) == verdict


def transport(family: int, layer: Packet) -> bytes:
    """A frame to the server's address with a transport other than UDP."""
    return bytes(Ether(dst=SERVER_MAC, src=CLIENT_MAC) / network(family) / layer)


def ipv4(**fields: object) -> Callable[[], bytes]:
    return lambda: frame(4, ip=network(4, **fields))


def ipv6(**fields: object) -> Callable[[], bytes]:
    return lambda: frame(6, ip=network(6, **fields))


def with_option(option: Packet) -> Callable[[], bytes]:
    """An IPv4 request with one option."""
    return lambda: frame(4, ip=network(4, options=[option]))


def next_header(number: int) -> Callable[[], bytes]:
    """An IPv6 packet with this next header."""
    return lambda: frame(6, ip=network(6, nh=number))


def extension(header: Packet) -> Callable[[], bytes]:
    """An IPv6 request after an extension header."""
    return lambda: frame(6, ip=network(6) / header)


PASSED = {
    "broadcast": (lambda: frame(4, mac="ff:ff:ff:ff:ff:ff"), "group_mac"),
    "from-a-group": (lambda: frame(4, source_mac="ff:ff:ff:ff:ff:ff"), "group_mac"),
    "multicast-ipv4": (lambda: frame(4, mac="01:00:5e:00:00:01"), "group_mac"),
    "multicast-ipv6": (lambda: frame(6, mac="33:33:00:00:00:01"), "group_mac"),
    "arp": (lambda: bytes(Ether(dst=SERVER_MAC, src=CLIENT_MAC) / ARP()), "not_ip"),
    "lldp": (lambda: ethernet(0x88CC), "not_ip"),
    "mpls": (lambda: ethernet(0x8847), "not_ip"),
    "llc-length": (lambda: ethernet(46), "not_ip"),
    "ethertype-0": (lambda: ethernet(0), "not_ip"),
    "version-6-as-ipv4": (lambda: ethernet(0x0800, frame(6)[14:]), "ip_header"),
    "version-4-as-ipv6": (lambda: ethernet(0x86DD, frame(4)[14:]), "ip_header"),
    "ipv4-version-5": (ipv4(version=5), "ip_header"),
    "ipv6-version-4": (ipv6(version=4), "ip_header"),
    "ihl-0": (ipv4(ihl=0), "ip_header"),
    "ihl-4": (ipv4(ihl=4), "ip_header"),
    "total-below-header": (ipv4(len=19), "ip_header"),
    "total-0": (ipv4(len=0), "ip_header"),
    "total-beyond-frame": (ipv4(len=77), "ip_header"),
    "total-65535": (ipv4(len=65535), "ip_header"),
    "payload-beyond-frame": (ipv6(plen=57), "ip_header"),
    "payload-65535": (ipv6(plen=65535), "ip_header"),
    "router-alert": (with_option(IPOption_Router_Alert()), "ip_options"),
    "record-route": (with_option(IPOption_RR(routers=["0.0.0.0"] * 9)), "ip_options"),
    "first-fragment": (ipv4(flags="MF"), "fragment"),
    "middle-fragment": (ipv4(flags="MF", frag=7), "fragment"),
    "last-fragment": (ipv4(frag=8191), "fragment"),
    "fragment-header-first": (extension(IPv6ExtHdrFragment(m=1)), "extension_header"),
    "fragment-header-middle": (extension(IPv6ExtHdrFragment(m=1, offset=7)), "extension_header"),
    "fragment-header-last": (extension(IPv6ExtHdrFragment(offset=7)), "extension_header"),
    "fragment-header-atomic": (extension(IPv6ExtHdrFragment()), "extension_header"),
    "hop-by-hop": (extension(IPv6ExtHdrHopByHop()), "extension_header"),
    "destination-options": (extension(IPv6ExtHdrDestOpt()), "extension_header"),
    "routing": (extension(IPv6ExtHdrRouting()), "extension_header"),
    "esp": (next_header(50), "extension_header"),
    "ah": (next_header(51), "extension_header"),
    "mobility": (next_header(135), "extension_header"),
    "hip": (next_header(139), "extension_header"),
    "shim6": (next_header(140), "extension_header"),
    "no-next-header": (next_header(59), "not_udp"),
    "icmp": (lambda: transport(4, ICMP() / bytes(20)), "not_udp"),
    "icmpv6": (lambda: transport(6, ICMPv6EchoRequest(data=bytes(20))), "not_udp"),
    "tcp": (lambda: transport(4, TCP(dport=53)), "not_udp"),
    "tcp-ipv6": (lambda: transport(6, TCP(dport=53)), "not_udp"),
    "udp-lite": (ipv4(proto=136), "not_udp"),
    "udp-lite-ipv6": (next_header(136), "not_udp"),
    "no-udp-ipv4": (lambda: ethernet(0x0800, bytes(network(4, proto=17, len=20))), "truncated"),
    "no-udp-ipv6": (lambda: ethernet(0x86DD, bytes(network(6, nh=17, plen=0))), "truncated"),
    "broadcast-address": (ipv4(dst="192.0.2.255"), "not_served"),
    "other-address": (ipv4(dst="192.0.2.3"), "not_served"),
    "other-address-ipv6": (ipv6(dst="2001:db8::3"), "not_served"),
    "ipv4-as-ipv6": (ipv6(dst="c000:201::"), "not_served"),
}


@pytest.mark.parametrize("name", PASSED)
def test_what_is_not_plain_udp_is_passed(steer: SteerProgram, name: str) -> None:
    make, verdict = PASSED[name]
    check(steer, make(), verdict)


@pytest.mark.parametrize("family", FAMILIES)
class TestBothFamilies:
    """What IPv4 and IPv6 have in common."""

    def test_request_without_a_socket_is_left_to_the_kernel(
        self, steer: SteerProgram, family: int
    ) -> None:
        for queue in range(4):
            check(steer, frame(family), "other_queue", queue)

    @pytest.mark.parametrize("service", PAYLOADS)
    def test_request_with_a_socket_is_redirected(
        self, taken: SteerProgram, family: int, service: str
    ) -> None:
        check(taken, frame(family, service), "redirected", 2)
        check(taken, frame(family, service), "other_queue", 1)

    def test_other_ports_are_passed(self, taken: SteerProgram, family: int) -> None:
        for port in (0, 52, 54, 122, 124, 123 << 8, 5353, 65535):
            check(taken, frame(family, udp={"dport": port}), "not_served", 2)

    def test_source_port_does_not_matter(self, taken: SteerProgram, family: int) -> None:
        for port in (0, 53, 123, 65535):
            check(taken, frame(family, udp={"sport": port}), "redirected", 2)

    @pytest.mark.parametrize("length", [0, 7, 8, 55, 57, 65535])
    def test_udp_length_must_be_the_ip_payloads(
        self, taken: SteerProgram, family: int, length: int
    ) -> None:
        check(taken, frame(family, udp={"len": length}), "udp_length", 2)

    def test_ntp_request_modes(self, taken: SteerProgram, family: int) -> None:
        for first in range(256):
            version, mode = first >> 3 & 7, first & 7
            request = mode in (1, 3) or (mode == 0 and version == 1)
            verdict = "redirected" if request else "ntp_not_request"
            check(taken, frame(family, payload=bytes([first]) + NTP_REQUEST[1:]), verdict, 2)

    def test_dns_responses_are_passed(self, taken: SteerProgram, family: int) -> None:
        for flags in (0x80, 0x81, 0xFF):
            response = DNS_REQUEST[:2] + bytes([flags]) + DNS_REQUEST[3:]
            check(taken, frame(family, "dns", response), "dns_not_request", 2)
        for flags in (0x00, 0x01, 0x7F):
            query = DNS_REQUEST[:2] + bytes([flags]) + DNS_REQUEST[3:]
            check(taken, frame(family, "dns", query), "redirected", 2)

    def test_too_short_to_tell_is_redirected(self, taken: SteerProgram, family: int) -> None:
        # What would make it an NTP reply or a DNS response is only in the padding.
        padding = b"\x24\xff\x84" * 10
        for service, shortest in (("ntp", 1), ("dns", 3), ("echo", 1)):
            for length in range(shortest):
                data = frame(family, service, bytes(length))
                check(taken, data, "redirected", 2)
                check(taken, data + padding, "redirected", 2)
        check(taken, frame(family, payload=b"\x24") + padding, "ntp_not_request", 2)
        check(taken, frame(family, payload=b"\x23") + padding, "redirected", 2)

    def test_only_the_services_own_payload_is_judged(
        self, taken: SteerProgram, family: int
    ) -> None:
        check(taken, frame(family, "echo", b"\x24\xff\x84"), "redirected", 2)
        check(taken, frame(family, "dns", b"\x24\x24\x04" + bytes(9)), "redirected", 2)

    def test_oversize(self, taken: SteerProgram, family: int) -> None:
        room = MAX_FRAME - len(frame(family, "echo", b""))
        check(taken, frame(family, "echo", bytes(room)), "redirected", 2)
        check(taken, frame(family, "echo", bytes(room + 1)), "oversize", 2)

    def test_tags_are_part_of_the_key(self, taken: SteerProgram, family: int) -> None:
        for tags, verdict in {
            (100,): "redirected",
            (200, 300): "redirected",
            (101,): "not_served",
            (300, 200): "not_served",
            (200,): "not_served",
            (300,): "not_served",
            (100, 100): "not_served",
            (0,): "redirected",
            (0, 0): "redirected",
            (100, 0): "redirected",
            (0, 100): "not_served",
            (100, 200, 300): "vlan_depth",
            (0, 0, 0): "vlan_depth",
        }.items():
            check(taken, frame(family, tags=tags_of(*tags)), verdict, 2)
            check(taken, frame(family, tags=tags_of(*tags, outer=Dot1AD)), verdict, 2)

    def test_priority_and_drop_bits_do_not_matter(self, taken: SteerProgram, family: int) -> None:
        check(taken, frame(family, tags=[Dot1Q(vlan=100, prio=7, dei=1)]), "redirected", 2)
        check(taken, frame(family, tags=[Dot1Q(vlan=0, prio=5)]), "redirected", 2)

    def test_no_room_for_the_stamp(self, taken: SteerProgram, family: int) -> None:
        # Existing metadata that fills the headroom to the last byte.
        before = taken.counters(2).get("no_metadata", 0)
        action, metadata, after = taken.run(frame(family), 2, metadata=bytes(216))
        assert (action, after) == (2, frame(family))
        assert metadata == bytes(216)
        assert taken.counters(2)["no_metadata"] == before + 1


def test_tagged_frames_of_other_kinds_are_passed(steer: SteerProgram) -> None:
    arp = Ether(dst=SERVER_MAC, src=CLIENT_MAC) / Dot1Q(vlan=100) / ARP()
    check(steer, bytes(arp), "not_ip")
    check(steer, bytes(Ether(dst=SERVER_MAC) / Dot1Q(vlan=1, type=0x0800) / Raw(b"E")), "truncated")


def test_every_verdict_has_its_frame(taken: SteerProgram) -> None:
    """This file covers exactly the verdicts in service.h."""
    frames = {verdict: make() for make, verdict in PASSED.values()} | {
        "redirected": frame(4),
        "vlan_depth": frame(4, tags=tags_of(1, 2, 3)),
        "udp_length": frame(4, udp={"len": 8}),
        "ntp_not_request": frame(4, payload=b"\x24" + bytes(47)),
        "dns_not_request": frame(4, "dns", b"\0\0\x80" + bytes(9)),
        "oversize": frame(4, "echo", bytes(MAX_FRAME)),
    }
    for verdict, data in frames.items():
        assert taken.verdict(data, 2) == verdict
    assert taken.verdict(frame(4), 1) == "other_queue"
    met = {*frames, "other_queue", "no_metadata"}
    assert met == {verdict.name for verdict in VERDICTS[:VERDICT_END]}
