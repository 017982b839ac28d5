"""Real NTP clients accept our answers, from the ring and from the slow path.

Both ends have the same clock: an offset of a second or more means a wrong era, epoch or leap second
table. No client here can set a clock: chronyd has -x, ntpdig only measures, timesyncd may not.
"""

from __future__ import annotations

import json
import secrets
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import Asker
from ntp_requests import Request
from peers import TIMESYNCD, measured_offset, ntpdig_command, timesyncd
from serving import Server, eventually

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

SCAPY_CLIENT = str(Path(__file__).with_name("scapy_ntp.py"))

# RFC 5905 figure 8: flags, stratum, poll, precision, delay, dispersion, refid, four timestamps.
HEADER = struct.Struct("!BBbbII4sQ8sQQ")
NTP_OF_1970 = 2_208_988_800

# systemd 252, src/timesync/timesyncd.c and meson.build: RootDistanceMaxSec= and the time epoch,
# here some day in 2022.
ROOT_DISTANCE_MAX = 5.0
TIME_EPOCH = 1_660_000_000


@pytest.fixture(params=[4, 6])
def address(request: pytest.FixtureRequest, lab: Lab, server: Server, way_in: str) -> Iterator[str]:
    """The server's address; by the end, the intended way in must have answered."""
    before = server.answers_by(way_in)
    yield lab.server.ipv4 if request.param == 4 else lab.server.ipv6
    eventually(lambda: server.answers_by(way_in) > before, f"an answer by the {way_in}")


@pytest.mark.parametrize("option", ["", "version 3", "xleave", "extfield F323", "presend 6"])
def test_chronyd(lab: Lab, address: str, tmp_path: Path, option: str) -> None:
    source = f"server {address} iburst maxsamples 1 {option}"
    offset = measured_offset(lab.client, tmp_path, source)
    assert offset is not None
    assert abs(offset) < 1


def test_ntpdig(lab: Lab, address: str) -> None:
    done = lab.client.run(*ntpdig_command("--json", "--timeout=20", address))
    assert done.returncode == 0 and not done.stderr, done.stderr
    answer = json.loads(done.stdout)
    assert abs(answer.pop("offset")) < 1
    assert 0 <= answer.pop("precision") < 20
    del answer["time"]
    answer.pop("delay", None)  # only in Debian 13
    named = {"host": address, "ip": address}
    assert answer == named | {"stratum": 10, "leap": "no-leap", "adjusted": False}


def test_scapy(lab: Lab, address: str) -> None:
    earliest = time.time()
    done = lab.client.run(sys.executable, SCAPY_CLIENT, address)
    latest = time.time()
    assert done.returncode == 0, done.stderr
    for version, answer in enumerate(json.loads(done.stdout), 1):
        times = [answer.pop(name) - NTP_OF_1970 for name in ("ref", "recv", "sent")]
        assert times == sorted(times)
        assert earliest - 2 < times[0] and times[-1] < latest + 1
        assert answer == {
            "leap": 0,
            "version": version,
            "mode": 4,
            "stratum": 10,
            "poll": 6,
            "orig": 3_900_000_000.25,
            "refid": "127.127.1.1",
            "source": address,
            "length": 48,
        }


# Skipped before the fixtures run: these fail if the server gets no request. An unpacked timesyncd
# would lack the library of its own systemd version.
@pytest.mark.skipif(not TIMESYNCD.exists(), reason="systemd-timesyncd is not installed here")
def test_timesyncd(lab: Lab, address: str, tmp_path: Path) -> None:
    with timesyncd(lab.client, tmp_path, address) as log:
        eventually(lambda: "Contacted time server" in log.read_text(), "timesyncd")
        output = log.read_text()
    assert "Failed to call clock_adjtime(): Operation not permitted" in output
    assert "  stratum      : 10\n" in output
    for refusal in ("Invalid", "Disconnecting", "Ignoring", "spike"):
        assert refusal not in output, output


def timesyncd_refusal(reply: bytes, nonce: bytes) -> str:
    """Why timesyncd's manager_receive_response() would reject a reply; '' if it would not."""
    if len(reply) != HEADER.size:
        return "length"
    flags, stratum, _, _, delay, dispersion, _, _, origin, receive, transmit = HEADER.unpack(reply)
    if origin != nonce:
        return "origin"
    if min(receive >> 32, transmit >> 32) < TIME_EPOCH + NTP_OF_1970:
        return "before the epoch"
    if flags >> 6 == 3 or not 1 <= stratum <= 15:
        return "not synchronised"
    if flags >> 3 & 7 not in (3, 4):
        return "version"
    if flags & 7 != 4:
        return "mode"
    if delay / 65536 / 2 + dispersion / 65536 > ROOT_DISTANCE_MAX:
        return "root distance"
    return ""


@pytest.mark.parametrize("version", [3, 4])
def test_timesyncd_rules(lab: Lab, address: str, version: int) -> None:
    made = []
    for _ in range(100):
        first = bytes([version << 3 | 3])
        made.append(Request(first + bytes(39) + secrets.token_bytes(8), "timesyncd"))
    with Asker(lab.client, address) as asker:
        for request, reply in zip(made, asker.answers(made), strict=True):
            assert reply is not None
            assert timesyncd_refusal(reply, request.token) == ""
            for changed, reason in wrong_replies(reply):
                assert timesyncd_refusal(changed, request.token) == reason


def wrong_replies(reply: bytes) -> list[tuple[bytes, str]]:
    """A good reply, broken in each way that the rules check."""

    def with_bytes(offset: int, *values: int) -> bytes:
        return reply[:offset] + bytes(values) + reply[offset + len(values) :]

    return [
        (reply[:47], "length"),
        (reply + bytes(20), "length"),
        (with_bytes(24, reply[24] ^ 1), "origin"),
        (with_bytes(32, 0, 0, 0, 1), "before the epoch"),
        (with_bytes(0, reply[0] | 0xC0), "not synchronised"),
        (with_bytes(1, 0), "not synchronised"),
        (with_bytes(1, 16), "not synchronised"),
        (with_bytes(0, 2 << 3 | 4), "version"),
        (with_bytes(0, reply[0] & ~7 | 2), "mode"),
        (with_bytes(4, 0, 11), "root distance"),
        (with_bytes(8, 0, 6), "root distance"),
    ]
