"""Whole frames in the bytes call: what is verified on receive, and the headers of the reply.

The oracle is tests/support/packets.py, which packs the expected reply independently.
"""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from packets import CLIENT, SERVER, Packet, ones_sum

from xdpkit._core._answer import answer, answer_frame
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._stats import MAX_FRAME

BROADCAST = "192.0.2.255"
SNAPSHOT = Snapshot(
    {"ntp": 123, "echo": 7},
    ntp={"stratum": 10, "refid": 0x7F7F0101},
    reserved=[*SERVER.values(), BROADCAST],
)
NOW = 1_795_000_000_123_456_789
NTP = bytes([0x23]) + bytes(39) + b"\1\2\3\4\5\6\7\x08"
ETHERNET = 14

UNICAST = {
    4: st.ip_addresses(v=4).filter(lambda a: 0 < int(a) >> 24 < 224 and int(a) >> 24 != 127),
    6: st.ip_addresses(v=6).filter(
        lambda a: int(a) >> 32 not in (0, 0xFFFF) and int(a) >> 120 < 255
    ),
}
TAGS = st.lists(
    st.tuples(st.sampled_from([0x8100, 0x88A8]), st.integers(0, 0xFFFF)), max_size=2
).map(tuple)


@st.composite
def packets(draw: st.DrawFn, payload: st.SearchStrategy[bytes], port: int) -> Packet:
    """A request with everything that a reply must not copy."""
    version = draw(st.sampled_from([4, 6]))
    source = str(draw(UNICAST[version]))
    assume(source not in (*SERVER.values(), BROADCAST))
    return Packet(
        draw(payload),
        version,
        source,
        source_port=draw(st.integers(1, 0xFFFF).filter(lambda port: port not in (7, 123))),
        port=port,
        macs=(draw(st.binary(min_size=6, max_size=6)), draw(st.binary(min_size=6, max_size=6))),
        tags=draw(TAGS),
        tos=draw(st.integers(0, 255)),
        flow=draw(st.integers(0, 0xFFFFF)),
        ident=draw(st.integers(0, 0xFFFF)),
        fragment=draw(st.sampled_from([0, 0x4000, 0x8000])),
        ttl=draw(st.integers(0, 255)),
        padding=draw(st.binary(max_size=46)),
    )


def verdict_of(frame: bytes) -> str:
    verdict, reply = answer_frame(SNAPSHOT, frame, NOW, NOW + 1000)
    assert (reply is not None) == verdict.endswith("_answered")
    return verdict


@given(packets(st.binary(max_size=1400), port=7))
def test_an_echo_is_a_new_packet(packet: Packet) -> None:
    verdict, reply = answer_frame(SNAPSHOT, packet.frame())
    assert verdict == "echo_answered"
    assert reply == packet.reply(packet.payload).frame()


@given(packets(st.just(NTP), port=123), st.integers(0, 2**40))
def test_ntp_answers_the_same_in_a_frame(packet: Packet, late: int) -> None:
    """The transmit timestamp filled in afterward keeps the UDP checksum complete."""
    _, payload = answer(SNAPSHOT, "ntp", NTP, ("192.0.2.77", 40000), NOW, NOW + late)
    assert payload is not None
    verdict, reply = answer_frame(SNAPSHOT, packet.frame(), NOW, NOW + late)
    assert verdict == "ntp_answered"
    assert reply == packet.reply(payload).frame()


@given(packets(st.binary(max_size=64), port=7), st.integers(1, 0xFFFF), st.data())
def test_wrong_checksums_are_counted_as_such(
    packet: Packet, error: int, data: st.DataObject
) -> None:
    right = struct.unpack(">H", packet.udp()[6:8])[0]
    wrong = right ^ error
    # ffff and 0 are the same to the sum; the bare pseudo-header sum is accepted, too.
    assume(wrong not in (0, ones_sum(packet.pseudo)) and {right, wrong} != {0, 0xFFFF})
    assert verdict_of(packet.but(udp_checksum=wrong).frame()) == "udp_checksum"
    if packet.version == 4:
        right = struct.unpack(">H", packet.ip()[10:12])[0]
        assume({right, right ^ error} != {0, 0xFFFF})
        assert verdict_of(packet.but(ip_checksum=right ^ error).frame()) == "ip_checksum"


@given(packets(st.binary(max_size=64), port=7), st.data())
def test_one_bit_flipped(packet: Packet, data: st.DataObject) -> None:
    """No bit after the Ethernet header changes unnoticed, except those IPv6 leaves unprotected."""
    packet = packet.but(padding=b"", tags=(), fragment=0)
    frame = bytearray(packet.frame())
    unprotected = range(ETHERNET + 8) if packet.version == 6 else range(ETHERNET)
    bit = data.draw(st.integers(8 * len(unprotected), 8 * len(frame) - 1))
    frame[bit // 8] ^= 0x80 >> bit % 8
    at = ETHERNET + len(packet.ip())
    bare = ones_sum(bytes(frame[at - len(packet.addresses) : at]) + packet.pseudo[-8:])
    assume(frame[at + 6 : at + 8] not in (bytes(2), struct.pack(">H", bare)))
    assert verdict_of(bytes(frame)) in ("udp_checksum", "ip_checksum", "bad_frame")


@given(packets(st.binary(max_size=64), port=7))
def test_the_bare_pseudo_header_sum_is_accepted(packet: Packet) -> None:
    bare = ones_sum(packet.pseudo)
    verdict, reply = answer_frame(SNAPSHOT, packet.but(udp_checksum=bare).frame())
    assert verdict == "echo_answered"
    assert reply == packet.reply(packet.payload).frame()


@given(packets(st.binary(max_size=64), port=7))
def test_no_checksum_is_accepted_over_ipv4_only(packet: Packet) -> None:
    """The reply has a checksum all the same."""
    verdict, reply = answer_frame(SNAPSHOT, packet.but(udp_checksum=0).frame())
    if packet.version == 4:
        assert verdict == "echo_answered" and reply == packet.reply(packet.payload).frame()
    else:
        assert verdict == "udp_checksum"


def test_a_computed_zero_is_sent_as_ffff() -> None:
    """RFC 768: the payload is chosen so that the reply's sum is ffff."""
    packet = Packet(b"\0\0", port=7)
    rest = 0xFFFF - ones_sum(packet.pseudo + packet.udp()[:6])
    packet = packet.but(payload=struct.pack(">H", rest))
    reply = answer_frame(SNAPSHOT, packet.frame())[1]
    assert reply is not None and reply[-4:-2] == b"\xff\xff"


@pytest.mark.parametrize("short_of", [0, 1, 8, 0x1200, 0x11FFFF])
def test_addresses_whose_sum_is_about_to_carry(short_of: int) -> None:
    """The 64-bit sum of both addresses is all ones or slightly less: the next addition wraps."""
    words = struct.unpack("<2Q", ipaddress.ip_address(SERVER[6]).packed)
    high = struct.unpack("<Q", bytes.fromhex("2001 0db8 0000 0009"))[0]
    total = sum(words) + high
    total = (total & 2**64 - 1) + (total >> 64)
    source = ipaddress.ip_address(struct.pack("<2Q", high, 2**64 - 1 - short_of - total))
    packet = Packet(b"any", 6, str(source), port=7)
    verdict, reply = answer_frame(SNAPSHOT, packet.frame())
    assert verdict == "echo_answered"
    assert reply == packet.reply(packet.payload).frame()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("tags", [(), ((0x8100, 5),), ((0x88A8, 5), (0x8100, 6))], ids=len)
def test_any_truncated_frame_is_refused(version: int, tags: tuple[tuple[int, int], ...]) -> None:
    frame = Packet(NTP, version, tags=tags).frame()
    assert verdict_of(frame) == "ntp_answered"
    for length in range(len(frame)):
        assert verdict_of(frame[:length]) == "bad_frame"


@pytest.mark.parametrize(
    "packet",
    [
        Packet(NTP, tags=((0x8100, 1),) * 3),
        Packet(NTP, fragment=0x2000),
        Packet(NTP, fragment=0x0001),
        Packet(NTP, port=9),
    ],
    ids=["three tags", "more fragments", "fragment offset", "no service"],
)
def test_what_the_xdp_program_would_not_redirect(packet: Packet) -> None:
    assert verdict_of(packet.frame()) == "bad_frame"


@pytest.mark.parametrize(
    "version,source,verdict",
    [
        (4, SERVER[4], "source_address"),
        (4, BROADCAST, "source_address"),
        (4, "0.0.0.0", "source_address"),
        (4, "0.1.2.3", "source_address"),
        (4, "127.0.0.1", "source_address"),
        (4, "127.255.0.1", "source_address"),
        (4, "224.0.0.1", "source_address"),
        (4, "240.0.0.1", "source_address"),
        (4, "255.255.255.255", "source_address"),
        (6, SERVER[6], "source_address"),
        (6, "::", "source_address"),
        (6, "::1", "source_address"),
        (6, "::ffff:192.0.2.9", "source_address"),
        (6, "ff02::1", "source_address"),
        (4, CLIENT[4], "ntp_answered"),
        (4, "223.255.255.255", "ntp_answered"),
        (6, CLIENT[6], "ntp_answered"),
        (6, "fe80::1", "ntp_answered"),
    ],
)
def test_sources(version: int, source: str, verdict: str) -> None:
    assert verdict_of(Packet(NTP, version, source).frame()) == verdict


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("port,verdict", [(0, "source_port"), (7, "echo_loop"), (123, "echo_loop")])
def test_echo_source_ports(version: int, port: int, verdict: str) -> None:
    assert verdict_of(Packet(b"x", version, source_port=port, port=7).frame()) == verdict


def test_the_largest_frame() -> None:
    payload = bytes(MAX_FRAME - len(Packet(port=7).frame()))
    assert verdict_of(Packet(payload, port=7).frame()) == "echo_answered"
    with pytest.raises(ValueError, match="does not fit a chunk"):
        answer_frame(SNAPSHOT, Packet(payload + b"\0", port=7).frame())


@pytest.mark.parametrize("snapshot", [Snapshot({"ntp": 123}), Snapshot({"echo": 7})])
def test_port_0_is_not_a_service(snapshot: Snapshot) -> None:
    """A service that is off has port 0 in the snapshot: a frame to port 0 must not find it."""
    frame = Packet(bytes(12), 4, port=0).frame()
    assert answer_frame(snapshot, frame) == ("bad_frame", None)
