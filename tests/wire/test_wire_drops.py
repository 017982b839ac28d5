"""Requests to us that get no reply: each is counted under its reason, and only there."""

from __future__ import annotations

import pytest
from payloads import ANSWERED, DROPPED, ntp, query
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether
from scapy.packet import Packet
from serving import Server
from test_wire_answers import CONFIG, TAGS
from wire import PORTS, Wire

from xdpkit._core._stats import VERDICTS

__all__ = ["CONFIG"]
pytestmark = pytest.mark.netns


def check(server: Server, wire: Wire, frame: bytes | Packet, *verdicts: str) -> None:
    """Checks for no reply, and these verdicts once each, and no other."""
    outcome = wire.exchange(server, frame, verdicts)
    assert outcome.replies == []
    assert outcome.verdicts == dict.fromkeys(verdicts, 1)


@pytest.mark.parametrize("tags", TAGS, ids=["untagged", "one-tag", "two-tags"])
@pytest.mark.parametrize("family", [4, 6])
class TestOnTheRing:
    @pytest.mark.parametrize("verdict", DROPPED)
    def test_malformed_message(
        self, server: Server, wire: Wire, verdict: str, family: int, tags: tuple[int, ...]
    ) -> None:
        service, payload = DROPPED[verdict]
        request = wire.frame(family, service, payload, tags=tags)
        check(server, wire, request, "redirected", verdict)

    def test_wrong_udp_checksum(
        self, server: Server, wire: Wire, family: int, tags: tuple[int, ...]
    ) -> None:
        for service, payload in {s: p for s, p in ANSWERED.values()}.items():
            request = wire.frame(family, service, payload, tags=tags)
            right = Ether(bytes(request))[UDP].chksum
            for wrong in (right ^ 1, right ^ 0x8000):
                request[UDP].chksum = wrong
                check(server, wire, request, "redirected", "udp_checksum")

    def test_source_port_zero(
        self, server: Server, wire: Wire, family: int, tags: tuple[int, ...]
    ) -> None:
        for service, payload in {s: p for s, p in ANSWERED.values()}.items():
            request = wire.frame(family, service, payload, sport=0, tags=tags)
            check(server, wire, request, "redirected", "source_port")

    def test_echo_to_a_port_of_ours(
        self, server: Server, wire: Wire, family: int, tags: tuple[int, ...]
    ) -> None:
        for port in PORTS.values():
            request = wire.frame(family, "echo", b"loop", sport=port, tags=tags)
            check(server, wire, request, "redirected", "echo_loop")

    def test_version_1_peer(
        self, server: Server, wire: Wire, family: int, tags: tuple[int, ...]
    ) -> None:
        request = wire.frame(family, "ntp", ntp(version=1, mode=0), sport=123, tags=tags)
        check(server, wire, request, "redirected", "ntp_port")

    def test_forged_source(
        self, server: Server, wire: Wire, family: int, tags: tuple[int, ...]
    ) -> None:
        forged = {
            4: ["192.0.2.1", "192.0.2.255", "255.255.255.255", "224.0.0.1", "127.0.0.1", "0.0.0.1"],
            6: ["2001:db8::1", "ff02::1", "::1", "::", "::ffff:192.0.2.2"],
        }
        for source in forged[family]:
            request = wire.frame(family, "ntp", ntp(), tags=tags, ip={"src": source})
            check(server, wire, request, "redirected", "source_address")


def test_wrong_ipv4_header_checksum(server: Server, wire: Wire) -> None:
    for tags in TAGS:
        request = wire.frame(4, "ntp", ntp(), tags=tags)
        request[IP].chksum = Ether(bytes(request))[IP].chksum ^ 1
        check(server, wire, request, "redirected", "ip_checksum")


def test_ipv6_request_without_udp_checksum(server: Server, wire: Wire) -> None:
    request = wire.frame(6, "ntp", ntp(), udp={"chksum": 0})
    check(server, wire, request, "redirected", "udp_checksum")


def test_the_frames_of_dropped_requests_are_used_again(server: Server, wire: Wire) -> None:
    """After more of them than the UMEM has chunks (4096), the queue still answers."""
    bad = bytes(wire.frame(4, *DROPPED["ntp_length"]))
    good = wire.frame(4, "echo", b"still there")
    before = server.verdicts()["ntp_length"]
    for _ in range(60):
        for _ in range(99):
            wire.send(bad)
        assert wire.exchange(server, good).replies == [wire.reply(good, b"still there")]
    assert server.verdicts()["ntp_length"] == before + 60 * 99


@pytest.mark.parametrize("family", [4, 6])
class TestOnTheSlowPath:
    """What the XDP program leaves to the kernel, and the kernel delivers to the slow path."""

    @pytest.mark.parametrize("verdict", DROPPED)
    def test_malformed_message(
        self, server: Server, wire: Wire, other_queue: int, verdict: str, family: int
    ) -> None:
        service, payload = DROPPED[verdict]
        before = server.status()["slow_path"]["udp"]["dropped"].get(verdict, 0)
        check(server, wire, wire.frame(family, service, payload), "other_queue", verdict)
        assert server.status()["slow_path"]["udp"]["dropped"][verdict] == before + 1

    def test_replies_of_others(self, server: Server, wire: Wire, family: int) -> None:
        for mode in (2, 4, 5, 6, 7):
            reply = wire.frame(family, "ntp", ntp(mode=mode), sport=123)
            check(server, wire, reply, "ntp_not_request", "ntp_mode")
        answer = b"\x12\x34\x80" + query("www.example")[3:]
        check(server, wire, wire.frame(family, "dns", answer), "dns_not_request", "dns_response")

    def test_datagram_larger_than_any_request(
        self, server: Server, wire: Wire, family: int
    ) -> None:
        whole = wire.frame(family, "echo", bytes(5000))
        if family == 6:
            udp = whole[UDP].copy()
            whole[UDP].underlayer.remove_payload()
            whole = whole / IPv6ExtHdrFragment() / udp
        parts = fragment(whole, 1400) if family == 4 else fragment6(whole, 1400)
        for part in parts[1:]:
            wire.send(part)
        outcome = wire.exchange(server, parts[0], ("bad_frame",))
        assert outcome.replies == []
        assert outcome.verdicts["bad_frame"] == 1

    def test_source_without_a_route(
        self, server: Server, wire: Wire, other_queue: int, family: int
    ) -> None:
        for name in ("all", wire.lab.server.ifname):
            path = f"/proc/sys/net/ipv4/conf/{name}/rp_filter"
            assert wire.lab.server.run("sh", "-c", f"echo 0 > {path}").returncode == 0
        source = {4: "198.51.100.1", 6: "2001:db8:1::1"}[family]
        request = wire.frame(family, "ntp", ntp(), ip={"src": source})
        check(server, wire, request, "other_queue", "not_sent")


def test_every_drop_is_here() -> None:
    """This file covers exactly the drops in the verdict table."""
    met = {*DROPPED, "ip_checksum", "udp_checksum", "source_port", "source_address", "echo_loop"}
    met |= {"ntp_port", "ntp_mode", "dns_response", "bad_frame", "not_sent"}
    # These need a configuration: test_ntp_admission.py, test_ntp_macs.py, test_dns_rrl_wire.py,
    # test_dns_access.py, test_route_check.py.
    met |= {"ntp_denied", "ntp_limited", "ntp_digest", "dns_rrl_drop", "dns_denied", "no_route"}
    # No server meets these: it loads its zones first, and every chunk and buffer has the room.
    met |= {"dns_no_zones", "dns_no_room"}
    assert met == {verdict.name for verdict in VERDICTS if verdict.kind == "drop"}
    answers = {verdict.name for verdict in VERDICTS if verdict.kind == "answer"}
    # test_ntp_clock.py, test_ntp_admission.py, test_dns_rrl_wire.py: depend on earlier requests;
    # test_zones_apart.py: needs a zone that does not load.
    assert {*ANSWERED, "ntp_interleaved", "ntp_kod", "dns_rrl_slip", "dns_servfail"} == answers
