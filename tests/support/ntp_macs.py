"""NTP symmetric keys and their MACs, implemented independently of xdpkit: the tests' reference.

A MAC is the key ID and the digest of everything before it: H(secret || data), RFC 5905 section 7.3,
or AES-CMAC, RFC 8573. In version 4 a digest is truncated to 20 bytes, so that a MAC can be told
from an extension field (RFC 7822); in older versions chrony sends and expects the full digest.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

HASHES = ("MD5", "SHA1", "SHA256", "SHA384", "SHA512")
CIPHERS = ("AES128", "AES256")
BLOCK = 16
VERSION_4_DIGEST = 20


@dataclass(frozen=True)
class Key:
    """One line of a key file; ``algorithm`` has chrony's name."""

    id: int
    algorithm: str
    secret: bytes

    def digest(self, data: bytes) -> bytes:
        """The full digest: 16 bytes (MD5, AES) to 64 (SHA512)."""
        if self.algorithm in CIPHERS:
            return aes_cmac(self.secret, data)
        return hashlib.new(self.algorithm.lower(), self.secret + data).digest()

    def mac(self, data: bytes) -> bytes:
        """The MAC to append to a message, whose first byte has the version."""
        whole = self.digest(data)
        version = data[0] >> 3 & 7
        return struct.pack("!I", self.id) + whole[: VERSION_4_DIGEST if version == 4 else None]


# In version 4, this ID followed by 24 bytes is not a MAC but an extension field of 28 bytes.
FIELD_LIKE = Key(0xF323001C, "SHA1", bytes(range(1, 151)))

# Every algorithm; secrets shorter and longer than a hash block; IDs at both ends of the range.
KEYS = (
    FIELD_LIKE,
    Key(1, "MD5", b"a secret of MD5"),
    Key(2, "SHA1", bytes(range(20))),
    Key(3, "SHA256", bytes(range(100, 132))),
    Key(0x10000, "SHA384", bytes(range(48, 96))),
    Key(0x7FFFFFFF, "SHA512", bytes(range(64))),
    Key(0x80000000, "AES128", bytes(range(200, 216))),
    Key(0xFFFFFFFE, "AES256", bytes(range(32))),
    Key(0xFFFFFFFF, "MD5", b"\x7f"),
)


def key_file(keys: Iterable[Key]) -> str:
    """The keys as a chrony key file."""
    return "".join(f"{key.id} {key.algorithm} HEX:{key.secret.hex().upper()}\n" for key in keys)


def sound_mac(keys: Sequence[Key], message: bytes, start: int) -> bool:
    """Whether the message from ``start`` on is a valid MAC by one of the keys."""
    mac = message[start:]
    return any(mac == key.mac(message[:start]) for key in keys if mac[:4] == key.id.to_bytes(4))


# ------------------------------------------------------------------------------------- AES-CMAC


def doubled(value: int) -> int:
    """Times x in GF(2^8) with AES's polynomial (FIPS 197 section 4.2)."""
    return (value << 1 ^ (0x11B if value & 0x80 else 0)) & 0xFF


def substitutions() -> bytes:
    """FIPS 197 section 5.1.1: the inverse in GF(2^8), then an affine map."""
    # 3 generates all of GF(2^8) but 0, and 3^-n is 3^(255-n).
    powers = [1]
    for _ in range(254):
        powers.append(powers[-1] ^ doubled(powers[-1]))
    table = bytearray([0x63]) * 256
    for exponent, power in enumerate(powers):
        inverse = powers[(255 - exponent) % 255]
        turned = inverse * 0x101
        mapped = inverse ^ turned >> 7 ^ turned >> 6 ^ turned >> 5 ^ turned >> 4
        table[power] = mapped & 0xFF ^ 0x63
    return bytes(table)


S = substitutions()
# SubBytes and MixColumns of one byte, for each of a column's four rows.
T0 = [doubled(s) << 24 | s << 16 | s << 8 | (s ^ doubled(s)) for s in S]
T1, T2, T3 = ([t >> n | t << 32 - n & 0xFFFFFFFF for t in T0] for n in (8, 16, 24))


def substituted(word: int) -> int:
    return S[word >> 24] << 24 | S[word >> 16 & 255] << 16 | S[word >> 8 & 255] << 8 | S[word & 255]


@lru_cache
def round_keys(key: bytes) -> list[int]:
    """FIPS 197 section 5.2, for keys of 16 and 32 bytes."""
    length = len(key) // 4
    words = list(struct.unpack(f"!{length}I", key))
    constant = 1
    for index in range(length, 4 * (length + 7)):
        word = words[-1]
        if index % length == 0:
            word = substituted((word << 8 | word >> 24) & 0xFFFFFFFF) ^ constant << 24
            constant = doubled(constant)
        elif length == 8 and index % length == 4:
            word = substituted(word)
        words.append(words[index - length] ^ word)
    return words


def aes(key: bytes, block: bytes) -> bytes:
    """Encrypts one 16-byte block (FIPS 197 section 5.1)."""
    words = round_keys(key)
    state = [w ^ k for w, k in zip(struct.unpack("!4I", block), words[:4], strict=True)]
    for at in range(4, len(words) - 4, 4):
        a, b, c, d = state
        state = [
            T0[w >> 24] ^ T1[x >> 16 & 255] ^ T2[y >> 8 & 255] ^ T3[z & 255] ^ words[at + column]
            for column, (w, x, y, z) in enumerate(
                ((a, b, c, d), (b, c, d, a), (c, d, a, b), (d, a, b, c))
            )
        ]
    a, b, c, d = state
    last = (
        S[w >> 24] << 24 | S[x >> 16 & 255] << 16 | S[y >> 8 & 255] << 8 | S[z & 255]
        for w, x, y, z in ((a, b, c, d), (b, c, d, a), (c, d, a, b), (d, a, b, c))
    )
    return struct.pack("!4I", *(w ^ k for w, k in zip(last, words[-4:], strict=True)))


@lru_cache
def subkeys(key: bytes) -> tuple[int, int]:
    """RFC 4493 section 2.3: K1 and K2."""
    values = []
    value = int.from_bytes(aes(key, bytes(BLOCK)))
    for _ in range(2):
        value = (value << 1 ^ (0x87 if value >> 127 else 0)) & (1 << 128) - 1
        values.append(value)
    return values[0], values[1]


def aes_cmac(key: bytes, data: bytes) -> bytes:
    """RFC 4493 section 2.4, for keys of 16 and 32 bytes."""
    first, second = subkeys(key)
    blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)] or [b""]
    *earlier, last = blocks
    chained = 0
    for block in earlier:
        chained = int.from_bytes(aes(key, (chained ^ int.from_bytes(block)).to_bytes(BLOCK)))
    if len(last) == BLOCK:
        chained ^= int.from_bytes(last) ^ first
    else:
        chained ^= int.from_bytes((last + b"\x80").ljust(BLOCK, b"\0")) ^ second
    return aes(key, chained.to_bytes(BLOCK))
