"""Tests of the NTP test helpers: MACs against published vectors, requests against their docs."""

from __future__ import annotations

from collections import Counter

import pytest
from ntp_macs import HASHES, KEYS, Key, aes_cmac, key_file, sound_mac
from ntp_requests import HEADER, LONGEST_SENT, Maker, requests

# RFC 4493 section 4 and NIST SP 800-38B appendix D.3: AES-128 and AES-256.
MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
KEY_128 = "2b7e151628aed2a6abf7158809cf4f3c"
KEY_256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"


@pytest.mark.parametrize(
    "key,length,digest",
    [
        (KEY_128, 0, "bb1d6929e95937287fa37d129b756746"),
        (KEY_128, 16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (KEY_128, 40, "dfa66747de9ae63030ca32611497c827"),
        (KEY_128, 64, "51f0bebf7e3b9d92fc49741779363cfe"),
        (KEY_256, 0, "028962f61b7bf89efc6b551f4667d983"),
        (KEY_256, 16, "28a7023f452e8f82bd4bf28d8c37c35c"),
        (KEY_256, 40, "aaf3d8f1de5640c232f5b169b9c911e6"),
        (KEY_256, 64, "e1992190549f6ed5696a2c056c315410"),
    ],
)
def test_aes_cmac(key: str, length: int, digest: str) -> None:
    assert aes_cmac(bytes.fromhex(key), MESSAGE[:length]).hex() == digest


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.algorithm}-{key.id:x}")
def test_macs(key: Key) -> None:
    maker = Maker(1, KEYS)
    lengths = {}
    for version in (3, 4):
        message = maker.header(version, 3)
        whole = message + key.mac(message)
        assert sound_mac(KEYS, whole, HEADER)
        assert not sound_mac(KEYS, whole[:-1], HEADER)
        assert not sound_mac(KEYS, whole[:20] + b"!" + whole[21:], HEADER)
        lengths[version] = len(whole) - HEADER - 4
    whole_digest = dict(zip(HASHES, (16, 20, 32, 48, 64), strict=True)).get(key.algorithm, 16)
    assert lengths == {3: whole_digest, 4: min(whole_digest, 20)}


def test_key_file() -> None:
    assert key_file([Key(7, "SHA1", b"\x01\xab")]) == "7 SHA1 HEX:01AB\n"


def test_equal_seeds_make_equal_requests() -> None:
    made = list(requests(1, 3000))
    assert made == list(requests(1, 3000))
    assert made[:100] != list(requests(2, 100))


def test_requests_are_of_every_sort() -> None:
    made = list(requests(3, 5000))
    assert all(len(request.payload) <= LONGEST_SENT for request in made)
    assert {request.payload[0] & 63 for request in made if request.payload} == set(range(64))
    assert {request.source_port for request in made} == {0, 123}
    assert {request.mac for request in made} == {"", "good", "wrong"}
    # Nearly all can be told apart by what the reply echoes; a few deliberately cannot.
    tokens = Counter(request.token for request in made if request.token)
    assert 0.9 < sum(n == 1 for n in tokens.values()) / tokens.total() < 1
    assert sum(n == 2 for n in tokens.values()) > 10
