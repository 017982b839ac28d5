"""Answers on the wire: every byte, both families, with and without tags."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from payloads import ANSWERED, MARK, MONO_ROOT, ntp, query
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether
from serving import DNS, Server, bytes_call
from wire import Wire, udp_payload

from xdpkit._core._answer import answer

pytestmark = pytest.mark.netns

CONFIG = f"""
[interface]
name = "server0"
queues = [2]
addresses = [
    "192.0.2.1", "192.0.2.1@100", "192.0.2.1@200.300",
    "2001:db8::1", "2001:db8::1@100", "2001:db8::1@200.300",
]
[ntp]
stratum = 10
{DNS}
[echo]
"""

# Their replies have a cookie after the header, with its timestamp at offset 39: RFC 9018.
COOKIES = ("dns_cookie", "dns_badcookie")

TAGS = [(), (100,), (200, 300)]

# What a request may have and a fresh packet does not: a decremented TTL, ECN bits, ID, flow label.
WORN = {
    4: {"ttl": 1, "tos": 0xFF, "id": 77, "flags": 0},
    6: {"hlim": 1, "tc": 0xFF, "fl": 0x12345},
}


def expected_payload(
    verdict: str, request: bytes, reply: bytes, directory: Path, client: str
) -> bytes:
    """The bytes call's reply, with NTP's and the cookie's timestamps taken from ``reply``."""
    service = verdict.partition("_")[0]
    snapshot = bytes_call(directory, precision=struct.unpack_from("b", reply.ljust(4), 3)[0])
    seconds = struct.unpack_from("!I", reply, 39)[0] if verdict in COOKIES else 0
    name, payload = answer(snapshot, service, request, (client, 40000), seconds * 1_000_000_000)
    assert name == verdict
    assert payload is not None
    if service == "ntp":
        payload = payload[:16] + reply[16:24] + payload[24:32] + reply[32:48] + payload[48:]
    return payload


@pytest.mark.parametrize("tags", TAGS, ids=["untagged", "one-tag", "two-tags"])
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("verdict", ANSWERED)
def test_reply_is_a_fresh_packet(
    server: Server, wire: Wire, directory: Path, verdict: str, family: int, tags: tuple[int, ...]
) -> None:
    service, payload = ANSWERED[verdict]
    request = wire.frame(family, service, payload, tags=tags, ip=WORN[family])
    outcome = wire.exchange(server, request)
    [reply] = outcome.replies
    client = wire.lab.client.ipv4 if family == 4 else wire.lab.client.ipv6
    said = expected_payload(verdict, payload, udp_payload(reply), directory, client)
    assert reply == wire.reply(request, said)
    assert outcome.passed == []
    assert outcome.verdicts == {"redirected": 1, verdict: 1}


@pytest.mark.parametrize("tags", TAGS, ids=["untagged", "one-tag", "two-tags"])
@pytest.mark.parametrize("family", [4, 6])
def test_ntp_times(server: Server, wire: Wire, family: int, tags: tuple[int, ...]) -> None:
    request = wire.frame(family, "ntp", ntp(rest=MONO_ROOT), tags=tags)
    [reply] = wire.exchange(server, request).replies
    said = udp_payload(reply)
    assert len(said) == 76
    assert said[:2] == bytes([0x24, 10])
    reference, origin, receive, transmit = struct.unpack_from("!Q8sQQ", said, 16)
    assert origin == MARK
    assert reference <= receive < transmit


@pytest.mark.parametrize("length", [0, 1, 17, 18, 19, 47, 512, 1400])
@pytest.mark.parametrize("family", [4, 6])
def test_echo_of_any_length(server: Server, wire: Wire, family: int, length: int) -> None:
    payload = bytes(range(256)) * 6
    request = wire.frame(family, "echo", payload[:length], ip=WORN[family])
    assert wire.exchange(server, request).replies == [wire.reply(request, payload[:length])]


def test_ethernet_padding_is_not_answered(server: Server, wire: Wire) -> None:
    request = wire.frame(4, "echo", b"short")
    [reply] = wire.exchange(server, bytes(request) + b"\xff" * 13).replies
    assert reply == wire.reply(request, b"short")


def test_ipv4_request_without_checksum(server: Server, wire: Wire) -> None:
    request = wire.frame(4, "dns", query("www.example"), udp={"chksum": 0})
    outcome = wire.exchange(server, request)
    assert outcome.verdicts["dns_noerror"] == 1
    assert Ether(outcome.replies[0])[UDP].chksum != 0


@pytest.mark.parametrize("family", [4, 6])
def test_bare_pseudo_header_sum_is_accepted_and_counted(
    server: Server, wire: Wire, family: int
) -> None:
    request = wire.frame(family, "echo", b"half a checksum!")
    ip = request.getlayer(1)
    words = bytes(ip)[12:20] if family == 4 else bytes(ip)[8:40]
    total = sum(struct.unpack(f"!{len(words) // 2}H", words)) + 17 + 8 + 16
    total = (total & 0xFFFF) + (total >> 16)
    request[UDP].chksum = (total & 0xFFFF) + (total >> 16)
    before = server.status()["queues"]["2"]["loop"]["csum_partial"]
    [reply] = wire.exchange(server, request).replies
    assert reply == wire.reply(request, b"half a checksum!")
    assert server.status()["queues"]["2"]["loop"]["csum_partial"] == before + 1


@pytest.mark.parametrize("family", [4, 6])
def test_a_computed_checksum_of_zero_is_sent_as_all_ones(
    server: Server, wire: Wire, family: int
) -> None:
    # The reply's sum is the request's, since words only change places. Find the payload for it.
    request = wire.frame(family, "echo", bytes(2))
    request[UDP].chksum = None
    plain = Ether(bytes(request))[UDP].chksum
    request = wire.frame(family, "echo", struct.pack("!H", plain))
    assert Ether(bytes(request))[UDP].chksum == 0xFFFF
    [reply] = wire.exchange(server, request).replies
    assert Ether(reply)[UDP].chksum == 0xFFFF
    assert reply == wire.reply(request, struct.pack("!H", plain))
