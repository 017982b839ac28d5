"""Keys and digests against a real chronyd: it reads our key file, takes our MACs, and we take its.

It also settles which lengths of a digest are right in which version, where the RFCs leave it open.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from payloads import SOUND_FIELD, ntp
from peers import chronyd_server
from test_ntp_chronyd import Chronyd

from xdpkit.cext._keys import ALGORITHMS, Keys, check, digest
from xdpkit.lab import Lab
from xdpkit.ntp.keys import Key, read_keys

pytestmark = pytest.mark.netns

# One key of each type, then the format's corners; chronyd's log says nothing of any of these lines.
KEY_FILE = b"\n".join(
    [
        b"# a comment, and others",
        b"! two",
        b" ; three",
        b"\t% four",
        b"1 MD5 HEX:000102030405060708090a0b0c0d0e0f10111213",
        b"2 SHA1 HEX:000102030405060708090a0b0c0d0e0f10111213",
        b"3 SHA256 ASCII:thirty-two-bytes-of-any-text....",
        b"4 SHA384 HEX:" + b"a5" * 48,
        b"5 SHA512 0123456789012345678901234567890123456789012345678901234567890123456789",
        b"6 AES128 HEX:2b7e151628aed2a6abf7158809cf4f3c",
        b"7 AES256 HEX:603DEB1015CA71BE2B73AEF0857D77811F352C073B6108D72D9810A30914DFF4",
        b"",
        b"8 no-type",
        b"9 HEX:00ff",
        b"10 ASCII:no-type-either",
        b" \t11\x0bSHA1\x0cblanks-of-all-kinds \r",
        b"12 SHA256 ASCII:HEX:41",
        b"13 MD5 hex:41",
        b"14 SHA512 #not;a%comment!",
        b"15 MD5 \xc3\xa9t\xc3\xa9\xff",
        b"016 AES128 sixteen-bytes...",
        b"17 SHA1 x",
        b"18 SHA256 " + b"x" * 2037,
        b"4294967295 SHA384 no-end-of-line",
    ]
)

IDS = dict(zip(ALGORITHMS, range(1, 8), strict=True))


class Pair(NamedTuple):
    """A chronyd and a table of ours, from one key file."""

    chronyd: Chronyd
    table: Keys
    keys: tuple[Key, ...]

    def answer(self, request: bytes, key_id: int, mac: bytes) -> bytes | None:
        return self.chronyd.answer(request + key_id.to_bytes(4, "big") + mac)


@pytest.fixture(scope="module")
def pair(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("chronyd")
    path = directory / "chrony.keys"
    path.write_bytes(KEY_FILE)
    path.chmod(0o640)
    keys = read_keys(path).keys
    table = Keys((key.id, key.algorithm, key.secret, slot) for slot, key in enumerate(keys))
    with chronyd_server(lab.client, directory, "local stratum 8", "port 123", f"keyfile {path}"):
        log = (directory / "chronyd.log").read_text()
        assert not [line for line in log.splitlines() if "key" in line]
        yield Pair(Chronyd(lab), table, keys)


def test_the_same_keys(pair: Pair) -> None:
    assert [key.id for key in pair.keys] == [*range(1, 19), 2**32 - 1]
    for key in pair.keys:
        request = ntp(3)
        reply = pair.answer(request, key.id, digest(pair.table, key.id, request, 3))
        assert reply is not None, key
        assert int.from_bytes(reply[48:52], "big") == key.id
        assert check(pair.table, key.id, reply[:48], reply[52:], 3)


@pytest.mark.parametrize(
    "version,fields",
    [(1, b""), (2, b""), (3, b""), (4, b""), (4, SOUND_FIELD)],
    ids=["v1", "v2", "v3", "v4", "v4-with-field"],
)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_takes_the_other_s_digest(
    pair: Pair, algorithm: str, version: int, fields: bytes
) -> None:
    key_id, request = IDS[algorithm], ntp(version, rest=fields)
    mac = digest(pair.table, key_id, request, version)
    reply = pair.answer(request, key_id, mac)
    assert reply is not None
    assert len(reply) == 52 + len(mac)
    assert reply[48:52] == key_id.to_bytes(4, "big")
    assert check(pair.table, key_id, reply[:48], reply[52:], version)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_lengths(pair: Pair, algorithm: str, version: int) -> None:
    """A digest that is cut or has zeros behind it: of all lengths that an NTP packet can have."""
    key_id, request = IDS[algorithm], ntp(version)
    whole = digest(pair.table, key_id, request, 3)
    taken = []
    for length in range(0, 72, 4):
        mac = whole[:length].ljust(length, b"\0")
        answered = pair.answer(request, key_id, mac) is not None
        assert answered == check(pair.table, key_id, request, mac, version), length
        taken += [length] if answered else []
    assert taken == [len(digest(pair.table, key_id, request, version))]


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_both_refuse_a_wrong_digest(pair: Pair, algorithm: str, version: int) -> None:
    key_id, request = IDS[algorithm], ntp(version)
    mac = digest(pair.table, key_id, request, version)
    other = IDS["MD5" if algorithm != "MD5" else "SHA1"]
    wrong = {
        "first bit": bytes([mac[0] ^ 0x80]) + mac[1:],
        "last bit": mac[:-1] + bytes([mac[-1] ^ 1]),
        "another key's": digest(pair.table, other, request, version),
        "another message's": digest(pair.table, key_id, ntp(version, 1), version),
    }
    for name, bad in wrong.items():
        assert not check(pair.table, key_id, request, bad, version), name
        assert pair.answer(request, key_id, bad) is None, name
    assert pair.answer(request, 99, mac) is None
