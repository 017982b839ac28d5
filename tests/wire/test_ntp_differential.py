"""Our NTP server compared with Debian's chronyd: same requests, same decisions, same bytes.

Every request of a seeded corpus (tests/support/ntp_requests.py) goes to chronyd and to us, over
IPv4 and IPv6, through the ring and the slow path, to servers without keys and with them. chronyd
must answer what we answer and be silent where we are, and our replies must equal chronyd's byte
for byte, except for those in DELIBERATE. Interleaved exchanges are not covered: no origin timestamp
here was given by a server.

environment:
  XDPKIT_DIFF_REQUESTS  number of requests per way in (default 6000, a few seconds; try 100000)
  XDPKIT_DIFF_SEED      selects another corpus (default 20261122)
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from functools import lru_cache

import pytest
from ntp_macs import KEYS, Key, sound_mac
from ntp_pair import OURS, THEIRS, Pair, running_pair
from ntp_requests import HEADER, MONO_ROOT, NTP_PORT, Request, requests
from payloads import NTP_MATRIX
from serving import eventually

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

REQUESTS = int(os.environ.get("XDPKIT_DIFF_REQUESTS", "6000"))
SEED = int(os.environ.get("XDPKIT_DIFF_SEED", "20261122"))

# Requests that go to one server and then to the other.
CHUNK = 1000

# Where a reply's bytes may differ from chronyd's, and why. All others are equal.
DELIBERATE = {
    "reference timestamp": (
        slice(16, 24),
        "time: our own clock was set at the latest whole second, chronyd's up to a minute ago",
    ),
    "receive timestamp": (slice(32, 40), "time"),
    "transmit timestamp": (slice(40, 48), "time"),
    "monotonic receive timestamp": (
        slice(64, 72),
        "time: ours is CLOCK_MONOTONIC, chronyd's is UTC less the steps since its start",
    ),
    "monotonic epoch": (slice(72, 76), "chosen at random by every instance of either"),
}
# Two more are made comparable instead: the precision, which each measures for itself (chronyd is
# given ours), and a MAC's digest, which covers the times (both are checked with the key).

# The verdicts that the corpus must cause on our side.
VERDICTS = {"ntp_answered", "ntp_length", "ntp_version", "ntp_mode", "ntp_port"}
VERDICTS |= {"ntp_extension", "ntp_key", "ntp_nts"}

# Seconds from 1900 to 1970: RFC 5905 figure 4.
NTP_OF_1970 = 2_208_988_800


@pytest.fixture(
    scope="module",
    params=[(), KEYS],
    ids=lambda keys: "keys" if keys else "no-keys",
)
def pair(
    request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    with running_pair(lab, tmp_path_factory.mktemp("pair"), request.param) as pair:
        yield pair


@lru_cache
def corpus() -> list[Request]:
    """The named requests, from any port and from 123, then generated ones."""
    named = [
        Request(payload, f"{name}, port {port}", port)
        for port in (0, NTP_PORT)
        for name, payload in NTP_MATRIX.items()
    ]
    return named + list(requests(SEED, REQUESTS))


def fields_end(reply: bytes) -> int:
    """Where a reply's MAC, if any, starts: the only field that a reply may have is 0xF323."""
    mono_root = reply[HEADER : HEADER + 4] == struct.pack("!HH", MONO_ROOT, 28)
    return HEADER + 28 if mono_root and len(reply) >= HEADER + 28 else HEADER


def timeless(reply: bytes, keys: tuple[Key, ...]) -> tuple[bytes, int, bool]:
    """What must be equal: bytes that do not depend on time, the length, and a correct MAC."""
    end = fields_end(reply)
    data = bytearray(reply[: end + 4])
    for part, _ in DELIBERATE.values():
        if part.stop <= end:
            data[part] = bytes(part.stop - part.start)
    return bytes(data), len(reply), len(reply) == end or sound_mac(keys, reply, end)


def wrong_times(reply: bytes, earliest: float, latest: float) -> str:
    """What is wrong with the times in one of our answers, if anything."""
    reference, receive, transmit = struct.unpack_from("!Q8xQQ", reply, 16)
    if not receive & 1 or transmit & 1:
        return "the lowest bits do not distinguish the receive from the transmit timestamp"
    if not reference <= receive < transmit:
        return "timestamps out of order"
    # Not to the microsecond: this detects a wrong era, epoch or leap second table.
    seconds = receive / 2**32 - NTP_OF_1970
    return "" if earliest - 1 < seconds < latest + 1 else f"received at {seconds}"


class Comparison:
    """What was equal and what was not, for one way in."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self.keys = keys
        self.answered = 0
        self.differences: list[str] = []
        self.epochs: set[bytes] = set()

    def add(self, request: Request, ours: bytes | None, theirs: bytes | None, wrong: str) -> None:
        """Adds one request's two answers, and what is wrong with ours alone."""
        self.answered += theirs is not None
        if ours is None or theirs is None:
            wrong = "" if ours is theirs else "one is silent"
        elif timeless(ours, self.keys) != timeless(theirs, self.keys):
            wrong = "other bytes"
        if ours and fields_end(ours) > HEADER:
            self.epochs.add(ours[DELIBERATE["monotonic epoch"][0]])
        if wrong:
            shown = [data.hex() if data else "silence" for data in (ours, theirs)]
            self.differences.append(
                f"{request.kind}, from port {request.source_port or 'any'}: {wrong}\n"
                f"  request: {request.payload.hex()}\n"
                f"  ours:    {shown[0]}\n"
                f"  chronyd: {shown[1]}"
            )


@pytest.mark.timeout(60 + REQUESTS / 200)
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("way_in", OURS)
def test_same_answers(pair: Pair, way_in: str, family: int) -> None:
    seen = Comparison(pair.keys)
    before = pair.server.answers_by(way_in)
    with pair.asker(way_in, family) as ours, pair.asker(THEIRS, family) as theirs:
        for start in range(0, len(corpus()), CHUNK):
            chunk = corpus()[start : start + CHUNK]
            earliest = time.time()
            answers = ours.answers(chunk)
            latest = time.time()
            for request, mine, other in zip(chunk, answers, theirs.answers(chunk), strict=True):
                seen.add(request, mine, other, wrong_times(mine, earliest, latest) if mine else "")
        ours.assert_quiet()
        theirs.assert_quiet()
    few = "\n".join(seen.differences[:20])
    assert not seen.differences, f"{len(seen.differences)} differ, the first are:\n{few}"
    assert len(seen.epochs) == 1
    share = seen.answered / len(corpus())
    assert 0.3 < share < 0.5
    # All of them by that way in, plus the sentinels.
    eventually(
        lambda: pair.server.answers_by(way_in) - before > seen.answered, f"{way_in}'s counters"
    )


def test_every_reason_for_silence(pair: Pair) -> None:
    """The comparison above covers every rule that our server has."""
    before = pair.server.verdicts()
    with pair.asker("slow path") as ours:
        ours.answers(corpus())

    def verdicts_seen() -> set[str]:
        return {name for name, n in pair.server.verdicts().items() if n > before.get(name, 0)}

    eventually(lambda: verdicts_seen() >= VERDICTS, f"{VERDICTS}")
