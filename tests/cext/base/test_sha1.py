"""cext/base/sha1.c: the vectors of FIPS 180-4 and RFC 5155, and hashlib for every valid length."""

from __future__ import annotations

import ctypes
import hashlib
import random

import pytest

from xdpkit._core import _answer
from xdpkit.services.dns.compiler.chain import Parameters

LIBRARY = ctypes.CDLL(_answer.__file__)
LIBRARY.sha1.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p)
LIBRARY.sha1.restype = None


def sha1(data: bytes) -> bytes:
    digest = ctypes.create_string_buffer(20)
    LIBRARY.sha1(data, len(data), digest)
    return digest.raw


@pytest.mark.parametrize(
    "data, digest",
    [
        (b"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        (b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
        ),
        (b"a" * 1_000_000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
    ],
)
def test_fips_180_4(data: bytes, digest: str) -> None:
    assert sha1(data).hex() == digest


def test_every_length_of_a_name_with_a_salt() -> None:
    chance = random.Random(1)
    for length in range(511):
        data = chance.randbytes(length)
        assert sha1(data) == hashlib.sha1(data).digest()


def test_rfc_5155_appendix_a() -> None:
    # H(example) and H(*.w.example), 12 iterations of salt aabbccdd; digests as base32hex numbers.
    hashing = Parameters(12, bytes.fromhex("aabbccdd"))
    for name, digest in (
        (b"\7example\0", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
        (b"\1*\1w\7example\0", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
    ):
        assert hashing.hash(name) == int(digest, 32).to_bytes(20, "big")
