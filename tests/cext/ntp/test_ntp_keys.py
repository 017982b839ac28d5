"""The NTP key table and its digests, against test vectors, hashlib, and openssl."""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from c_programs import programs
from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._keys import ALGORITHMS, Keys, check, digest, offered_algorithms

LAST_ID = 2**32 - 1
HASHES = ("MD5", "SHA1", "SHA256", "SHA384", "SHA512")
AES_BYTES = {"AES128": 16, "AES256": 32}

# RFC 4493 section 4 and NIST SP 800-38B appendix D (as published in 2016, which added 20 bytes).
MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
VECTORS = {
    ("AES128", "2b7e151628aed2a6abf7158809cf4f3c"): {
        0: "bb1d6929e95937287fa37d129b756746",
        16: "070a16b46b4d4144f79bdd9dd04a287c",
        20: "7d85449ea6ea19c823a7bf78837dfade",
        40: "dfa66747de9ae63030ca32611497c827",
        64: "51f0bebf7e3b9d92fc49741779363cfe",
    },
    ("AES256", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"): {
        0: "028962f61b7bf89efc6b551f4667d983",
        16: "28a7023f452e8f82bd4bf28d8c37c35c",
        20: "156727dc0878944a023c1fe03bad6d93",
        40: "aaf3d8f1de5640c232f5b169b9c911e6",
        64: "e1992190549f6ed5696a2c056c315410",
    },
}


def key(algorithm: str, secret: bytes) -> Keys:
    return Keys([(1, algorithm, secret, 0)])


def secret_of(algorithm: str) -> bytes:
    return bytes(range(AES_BYTES.get(algorithm, 20)))


def test_all_algorithms_are_offered_here() -> None:
    assert offered_algorithms() == set(ALGORITHMS) == {*HASHES, *AES_BYTES}


@pytest.mark.parametrize(
    "algorithm,secret,length,mac",
    [
        (algorithm, secret, length, mac)
        for (algorithm, secret), rows in VECTORS.items()
        for length, mac in rows.items()
    ],
)
def test_cmac_vectors(algorithm: str, secret: str, length: int, mac: str) -> None:
    assert digest(key(algorithm, bytes.fromhex(secret)), 1, MESSAGE[:length]).hex() == mac


@pytest.mark.parametrize("algorithm", AES_BYTES)
def test_cmac_matches_openssl(tool: Callable[[str], str], algorithm: str, tmp_path: Path) -> None:
    """All lengths around the boundaries of blocks and of our chunks."""
    openssl, data = tool("openssl"), tmp_path / "data"
    secret = random.Random(algorithm).randbytes(AES_BYTES[algorithm])
    table = key(algorithm, secret)
    cipher = f"AES-{AES_BYTES[algorithm] * 8}-CBC"
    for length in (1, 15, 17, 47, 48, 49, 63, 65, 76, 79, 80, 81, 127, 128, 129, 192, 196, 1072):
        data.write_bytes(random.Random(length).randbytes(length))
        options = ["-cipher", cipher, "-macopt", f"hexkey:{secret.hex()}", "-in", str(data), "CMAC"]
        done = subprocess.run([openssl, "mac", *options], capture_output=True, check=True)
        assert digest(table, 1, data.read_bytes()) == bytes.fromhex(done.stdout.decode()), length


@given(
    algorithm=st.sampled_from(HASHES),
    secret=st.binary(min_size=1, max_size=300),
    data=st.binary(max_size=300),
)
def test_hashes_match_hashlib(algorithm: str, secret: bytes, data: bytes) -> None:
    whole = hashlib.new(algorithm.lower(), secret + data).digest()
    table = key(algorithm, secret)
    assert [digest(table, 1, data, version) for version in (1, 2, 3)] == [whole] * 3
    assert digest(table, 1, data, 4) == whole[:20]


def test_the_longest_secret() -> None:
    secret = bytes(2048)
    expected = hashlib.sha512(secret + MESSAGE).digest()
    assert digest(key("SHA512", secret), 1, MESSAGE, 3) == expected


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_one_length_is_accepted(algorithm: str, version: int) -> None:
    """Like chronyd: tests/wire/test_ntp_macs.py."""
    table, data = key(algorithm, secret_of(algorithm)), MESSAGE[:48]
    mac = digest(table, 1, data, version)
    whole = {"SHA1": 20, "SHA256": 32, "SHA384": 48, "SHA512": 64}.get(algorithm, 16)
    assert len(mac) == (min(whole, 20) if version == 4 else whole)
    longest = digest(table, 1, data, 3).ljust(80, b"\0")
    right = [n for n in range(80) if check(table, 1, data, longest[:n], version)]
    assert right == [len(mac)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("version", [3, 4])
def test_any_bit_counts(algorithm: str, version: int) -> None:
    table, data = key(algorithm, secret_of(algorithm)), MESSAGE[:48]
    mac = digest(table, 1, data, version)
    assert check(table, 1, data, mac, version)
    for bit in range(len(mac) * 8):
        assert not check(table, 1, data, flipped(mac, bit), version)
    for bit in range(len(data) * 8):
        assert not check(table, 1, flipped(data, bit), mac, version)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_key_is_another_digest(algorithm: str) -> None:
    """Each key's own secret is used, whatever key used the same context before."""
    secrets = [flipped(secret_of(algorithm), bit) for bit in range(40)]
    table = Keys([(n, algorithm, secret, n) for n, secret in enumerate(secrets, 1)])
    macs = [digest(table, n, MESSAGE) for n in range(1, 41)]
    assert len(set(macs)) == 40
    for n, mac in enumerate(macs, 1):
        assert [other for other in range(1, 41) if check(table, other, MESSAGE, mac)] == [n]


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


SPREADS: dict[str, Callable[[int], int]] = {
    "in a row": lambda n: n + 1,
    "at the end": lambda n: LAST_ID - n,
    "every 65536th": lambda n: (n + 1) << 16,
    "every 9973rd": lambda n: n * 9973 + 5,
    "bits reversed": lambda n: int(f"{n + 1:032b}"[::-1], 2),
}


@pytest.mark.parametrize("spread", SPREADS)
def test_ten_thousand_keys(spread: str) -> None:
    ids = [SPREADS[spread](n) for n in range(10_000)]
    rng = random.Random(spread)
    rows = [
        (
            key_id,
            *rng.choice([("MD5", rng.randbytes(1 + n % 40)), ("AES256", rng.randbytes(32))]),
            n,
        )
        for n, key_id in enumerate(ids)
    ]
    rng.shuffle(rows)
    table, there = Keys(rows), set(ids)
    for key_id, algorithm, secret, slot in rows:
        assert table.counter(key_id) == slot
        if algorithm == "MD5":
            assert digest(table, key_id, MESSAGE) == hashlib.md5(secret + MESSAGE).digest()
    for key_id in (0, *(rng.randrange(2**32) for _ in range(10_000)), *(n + 1 for n in ids[:-1])):
        if key_id not in there and key_id <= LAST_ID:
            with pytest.raises(KeyError, match=str(key_id)):
                table.counter(key_id)


@given(st.dictionaries(st.integers(1, LAST_ID), st.integers(0, LAST_ID), max_size=40))
def test_every_id_is_found(slots: dict[int, int]) -> None:
    table = Keys((key_id, "SHA1", b"any", slot) for key_id, slot in slots.items())
    for key_id in {0, LAST_ID, *slots, *(n - 1 for n in slots), *(n ^ 1 << 31 for n in slots)}:
        if key_id in slots:
            assert table.counter(key_id) == slots[key_id]
        else:
            with pytest.raises(KeyError):
                table.counter(key_id)


@pytest.mark.parametrize(
    "rows,error,message",
    [
        ([(0, "MD5", b"a-secret", 0)], ValueError, "key 0: the id is 0, or the secret's length"),
        ([(5, "MD5", b"", 0)], ValueError, "key 5: the id is 0, or the secret's length"),
        ([(5, "MD5", bytes(2049), 0)], ValueError, "key 5: the id is 0, or the secret's length"),
        ([(5, "AES128", bytes(15), 0)], ValueError, "key 5: the id is 0, or the secret's length"),
        ([(5, "AES128", bytes(32), 0)], ValueError, "key 5: the id is 0, or the secret's length"),
        ([(5, "AES256", bytes(16), 0)], ValueError, "key 5: the id is 0, or the secret's length"),
        ([(5, "md5", b"a-secret", 0)], ValueError, "key 5: its algorithm is none of MD5, SHA1"),
        ([(5, "MD5", b"a-secret", 0)] * 2, ValueError, "key 5: the id appears twice"),
        ([(2**32, "MD5", b"a-secret", 0)], OverflowError, None),
        ([(-1, "MD5", b"a-secret", 0)], OverflowError, None),
        ([(1, "MD5", b"a-secret", 2**32)], OverflowError, None),
        ([(1, "MD5", "a-secret", 0)], TypeError, None),
        ([(1, "MD5", b"a-secret")], ValueError, None),
    ],
)
def test_invalid_keys(
    rows: list[tuple[int, str, bytes, int]], error: type[Exception], message: str | None
) -> None:
    with pytest.raises(error, match=message) as caught:
        Keys(rows)
    assert "a-secret" not in str(caught.value)


def test_the_table_in_c() -> None:
    """No allocations, locks, or system calls in the packet path; a relocatable, wiped table."""
    (program,) = programs("keys_test")
    done = subprocess.run([program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "quiet\n"), done.stderr
