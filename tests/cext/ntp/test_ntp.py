"""NTP over the bytes call: which requests are answered, and every field of a reply."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot

STATE = {
    "leap": 1,
    "stratum": 10,
    "precision": -25,
    "root_delay": 0x00012345,
    "root_dispersion": 0x00006789,
    "refid": 0x7F7F0101,
    "mono_epoch": 77,
}
SERVER = Snapshot({"ntp": 123}, ntp=STATE)
CLIENT = ("198.51.100.7", 40000)

# 2026-11-22, and the first second of NTP era 1: 2036-02-07 06:28:16 UTC.
NOW = 1_795_000_000_123_456_789
ERA_1 = 2_085_978_496 * 10**9
NTP_OF_1970 = 2_208_988_800

HEADER = struct.Struct(">BBbbII4sQ8sQQ")
COOKIE = b"\x01any 8 \xff"


def request(version: int = 4, mode: int = 3, leap: int = 0, poll: int = 6) -> bytes:
    return (
        HEADER.pack(leap << 6 | version << 3 | mode, 0, poll, 0, 0, 0, b"", 0, b"", 0, 0)[:40]
        + COOKIE
    )


def field(kind: int, length: int, body: bytes = b"", stated: int | None = None) -> bytes:
    """An extension field of ``length`` bytes whose length field says ``stated``."""
    return struct.pack(">HH", kind, length if stated is None else stated) + body.ljust(
        length - 4, b"\0"
    )


def ask(
    payload: bytes, port: int = 40000, rx: int = NOW, tx: int = NOW + 1000
) -> tuple[str, bytes | None]:
    return answer(SERVER, "ntp", payload, (CLIENT[0], port), rx, tx, max(rx - 5_000_000_000, 0))


def reply_to(payload: bytes, port: int = 40000, rx: int = NOW, tx: int = NOW + 1000) -> bytes:
    verdict, reply = ask(payload, port, rx, tx)
    assert verdict == "ntp_answered" and reply is not None
    return reply


UNKNOWN = 0x1234
NTS_UNIQUE, NTS_COOKIE, NTS_PLACEHOLDER, NTS_AUTHENTICATOR = 0x0104, 0x0204, 0x0304, 0x0404
MONO = field(0xF323, 28, bytes.fromhex("f5bedd9a"))


@pytest.mark.parametrize(
    "version,mode,port,answered",
    [
        *[(version, 3, 40000, 4) for version in (1, 2, 3, 4)],
        *[(version, 3, 123, 4) for version in (1, 2, 3, 4)],
        *[(version, 1, port, 2) for version in (1, 2, 3, 4) for port in (123, 40000)],
        (1, 0, 40000, 4),
    ],
)
def test_answered(version: int, mode: int, port: int, answered: int) -> None:
    reply = reply_to(request(version, mode), port)
    assert len(reply) == 48
    assert reply[0] == STATE["leap"] << 6 | version << 3 | answered


@pytest.mark.parametrize(
    "version,mode,port,verdict",
    [
        *[(version, mode, 40000, "ntp_version") for version in (0, 5, 6, 7) for mode in range(8)],
        *[(version, 0, 40000, "ntp_mode") for version in (2, 3, 4)],
        *[(v, mode, 40000, "ntp_mode") for v in (1, 2, 3, 4) for mode in (2, 4, 5, 6, 7)],
        (1, 0, 123, "ntp_port"),
        (4, 3, 0, "source_port"),
    ],
)
def test_not_answered(version: int, mode: int, port: int, verdict: str) -> None:
    assert ask(request(version, mode), port) == (verdict, None)


@pytest.mark.parametrize("leap", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "rest", [bytes(47), b"\xff" * 47, bytes(range(1, 48))], ids=["0", "ff", "any"]
)
def test_other_request_fields_do_not_matter(leap: int, rest: bytes) -> None:
    reply = reply_to(bytes([leap << 6 | 0x23]) + rest)
    assert reply[24:32] == rest[-8:]


@pytest.mark.parametrize("length", [*range(48), 49, 50, 51, 53, 48 + 1092 + 4, 1440])
def test_length(length: int) -> None:
    assert ask(request()[:length].ljust(length, b"\0")) == ("ntp_length", None)


@pytest.mark.parametrize(
    "version,tail,verdict",
    [
        *[(4, bytes(n), "ntp_extension") for n in (4, 8, 12, 16, 28, 32, 36, 72)],
        *[(4, bytes(n), "ntp_key") for n in (20, 24)],
        *[(v, bytes(n), "ntp_extension") for v in (1, 2, 3) for n in (4, 8, 12, 16)],
        *[(v, bytes(n), "ntp_key") for v in (1, 2, 3) for n in (20, 24, 28, 68)],
        *[(v, bytes(72), "ntp_extension") for v in (1, 2, 3)],
        (3, struct.pack(">I", 1) + bytes(16), "ntp_key"),
        (3, field(UNKNOWN, 28), "ntp_key"),
        (4, field(UNKNOWN, 16), "ntp_extension"),
        (4, field(UNKNOWN, 28) + field(UNKNOWN, 16), "ntp_extension"),
        (4, field(UNKNOWN, 28) + bytes(20), "ntp_key"),
        (4, field(UNKNOWN, 28) + bytes(24), "ntp_key"),
        *[
            (4, field(UNKNOWN, 28, stated=n), "ntp_extension")
            for n in (0, 1, 4, 12, 27, 30, 32, 65532)
        ],
        (4, field(UNKNOWN, 696) + field(UNKNOWN, 696), "ntp_length"),
        *[
            (4, field(kind, 36), "ntp_nts")
            for kind in (NTS_UNIQUE, NTS_COOKIE, NTS_PLACEHOLDER, NTS_AUTHENTICATOR)
        ],
        (4, field(NTS_UNIQUE, 36) + field(NTS_COOKIE, 104) + MONO, "ntp_nts"),
        # Malformed after an NTS field: counts as malformed, not as an unsupported service.
        (4, field(NTS_UNIQUE, 36) + bytes(28), "ntp_extension"),
    ],
    ids=lambda value: f"{len(value)}:{value[:6].hex()}" if isinstance(value, bytes) else None,
)
def test_after_the_header(version: int, tail: bytes, verdict: str) -> None:
    assert ask(request(version) + tail) == (verdict, None)


@pytest.mark.parametrize(
    "tail",
    [
        field(UNKNOWN, 28),
        field(UNKNOWN, 32),
        field(UNKNOWN, 16) + field(UNKNOWN, 28),
        field(UNKNOWN, 1024),
        field(0xF323, 28, bytes.fromhex("f5bedd9b")),
        field(0xF323, 32, bytes.fromhex("f5bedd9a")),
    ],
    ids=["28", "32", "16+28", "1024", "mono_root, other magic", "mono_root, other length"],
)
def test_unknown_fields_are_not_echoed(tail: bytes) -> None:
    assert len(reply_to(request() + tail)) == 48


@pytest.mark.parametrize("tail", [MONO, field(UNKNOWN, 16) + MONO, MONO + field(UNKNOWN, 28)])
def test_mono_root(tail: bytes) -> None:
    reply = reply_to(request() + tail)
    kind, length, magic, delay, dispersion, receive, epoch = struct.unpack(">HHIIIQI", reply[48:])
    assert (kind, length, magic) == (0xF323, 28, 0xF5BEDD9A)
    # 16 fraction bits in the header, 28 here.
    assert (delay, dispersion) == (0x00012345 << 12, 0x00006789 << 12)
    seconds, fraction = divmod(NOW - 5_000_000_000, 10**9)
    assert receive == (seconds + NTP_OF_1970) % 2**32 << 32 | (fraction << 32) // 10**9
    assert epoch == 77


def test_mono_root_saturates() -> None:
    server = Snapshot(
        {"ntp": 123}, ntp=STATE | {"root_delay": 16 << 16, "root_dispersion": 0xFFFFF}
    )
    reply = answer(server, "ntp", request() + MONO, CLIENT, NOW, NOW)[1]
    assert reply is not None
    assert struct.unpack(">II", reply[56:64]) == (0xFFFFFFFF, 0xFFFFF << 12)


def test_fields() -> None:
    reply = reply_to(request(poll=9))
    (
        first,
        stratum,
        poll,
        precision,
        delay,
        dispersion,
        refid,
        reference,
        origin,
        receive,
        transmit,
    ) = HEADER.unpack(reply)
    assert (first, stratum, poll, precision) == (1 << 6 | 4 << 3 | 4, 10, 9, -25)
    assert (delay, dispersion, refid) == (0x00012345, 0x00006789, bytes([127, 127, 1, 1]))
    assert origin == COOKIE
    seconds, fraction = divmod(NOW, 10**9)
    assert receive == (seconds + NTP_OF_1970 << 32 | (fraction << 32) // 10**9) | 1
    assert reference == seconds + NTP_OF_1970 << 32
    assert transmit == (seconds + NTP_OF_1970 << 32 | (fraction + 1000 << 32) // 10**9) & ~1


@pytest.mark.parametrize("stratum,expected", [(0, 0), (1, 1), (15, 15), (16, 0), (255, 0)])
def test_stratum(stratum: int, expected: int) -> None:
    server = Snapshot({"ntp": 123}, ntp=STATE | {"stratum": stratum, "leap": 3})
    reply = answer(server, "ntp", request(), CLIENT, NOW, NOW)[1]
    assert reply is not None and reply[1] == expected and reply[0] >> 6 == 3


@pytest.mark.parametrize(
    "poll,expected", [(-128, -19), (-20, -19), (-19, -19), (-18, -18), (0, 0), (17, 17)]
)
def test_poll_has_a_floor(poll: int, expected: int) -> None:
    assert HEADER.unpack(reply_to(request(poll=poll)))[2] == expected


@given(rx=st.integers(0, 2**63 - 1), late=st.integers(-(10**9), 10**9))
def test_transmit_is_after_receive_and_never_equal(rx: int, late: int) -> None:
    reply = reply_to(request(), rx=rx, tx=max(0, rx + late))
    receive, transmit = struct.unpack(">QQ", reply[32:48])
    assert (receive & 1, transmit & 1) == (1, 0)
    assert 0 < (transmit - receive) % 2**64 < 2**62


@pytest.mark.parametrize(
    "rx,tx", [(ERA_1 - 1, ERA_1), (ERA_1, ERA_1 + 1000), (ERA_1 - 10**9, ERA_1 + 1)]
)
def test_era_wrap(rx: int, tx: int) -> None:
    receive, transmit = struct.unpack(">QQ", reply_to(request(), rx=rx, tx=tx)[32:48])
    assert receive >> 32 == (rx // 10**9 + NTP_OF_1970) % 2**32
    assert transmit >> 32 == (tx // 10**9 + NTP_OF_1970) % 2**32 == 0
    assert 0 < (transmit - receive) % 2**64 <= 2**32 + 8


@given(st.binary(max_size=200) | st.binary(max_size=120).map(lambda tail: request() + tail))
def test_never_longer_than_the_request(payload: bytes) -> None:
    verdict, reply = ask(payload)
    assert (reply is not None) == (verdict == "ntp_answered")
    assert reply is None or len(reply) <= len(payload)
