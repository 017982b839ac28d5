"""Requests with MACs: chronyd answers the correct ones, with a correct MAC, and no others.

This validates our makers of MACs and keyed requests (tests/support/ntp_macs.py, ntp_requests.py)
against chronyd, and then our server against the same tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from asking import Asker
from ntp_macs import FIELD_LIKE, KEYS, Key, sound_mac
from ntp_pair import OURS, THEIRS, Pair, running_pair
from ntp_requests import HEADER, Maker, Request, requests

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

SEED = 20261122
SERVERS = (THEIRS, *OURS)
EACH_KEY = pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.algorithm}-{key.id:x}")

# Up to the longest digest, SHA512's, and one word more.
LENGTHS = range(0, 72, 4)


@pytest.fixture(scope="module")
def pair(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with running_pair(lab, tmp_path_factory.mktemp("pair"), KEYS) as pair:
        yield pair


@pytest.fixture(scope="module", params=SERVERS)
def asker(request: pytest.FixtureRequest, pair: Pair) -> Iterator[Asker]:
    with pair.asker(request.param) as asker:
        yield asker


@EACH_KEY
@pytest.mark.parametrize("version", range(1, 5))
def test_length_of_the_digest(asker: Asker, key: Key, version: int) -> None:
    """The whole digest before version 4, at most 20 bytes of it in version 4; never less."""
    maker = Maker(SEED, KEYS)
    made = []
    for length in LENGTHS:
        message = maker.header(version, 3)
        digest = key.digest(message)[:length].ljust(length, b"\0")
        made.append(Request(message + key.id.to_bytes(4) + digest, f"digest of {length}"))
    answers = dict(zip(LENGTHS, asker.answers(made), strict=True))
    whole = len(key.digest(b""))
    right = min(whole, 20) if version == 4 else whole
    reply = answers.pop(right)
    assert reply is not None
    assert len(reply) == HEADER + 4 + right
    assert sound_mac([key], reply, HEADER)
    plain = {length: len(reply) for length, reply in answers.items() if reply}
    assert plain == ({24: HEADER} if version == 4 and key == FIELD_LIKE else {})


@EACH_KEY
@pytest.mark.parametrize("version", [3, 4])
def test_every_bit_counts(asker: Asker, key: Key, version: int) -> None:
    message = Maker(SEED, KEYS).header(version, 3)
    whole = message + key.mac(message)
    flipped = []
    for bit in range(8 * len(whole)):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        flipped.append(Request(bytes(data), f"bit {bit} flipped"))
    assert asker.answers(flipped) == [None] * len(flipped)
    assert asker.answers([Request(whole, "as it was")]) != [None]


def test_made_requests(asker: Asker) -> None:
    """Requests generated as correct are answered, with a MAC; those generated as wrong are not."""
    keyed = [request for request in requests(SEED, 20_000) if request.mac]
    kinds: Counter[tuple[str, str]] = Counter()
    for request, reply in zip(keyed, asker.answers(keyed), strict=True):
        assert (reply is not None) == (request.mac == "good"), request
        if reply is not None:
            assert sound_mac(KEYS, reply, HEADER) or sound_mac(KEYS, reply, HEADER + 28), request
            assert len(reply) <= len(request.payload)
        kinds[request.mac, request.kind] += 1
    assert len(kinds) == 12 and min(kinds.values()) > 20, kinds
