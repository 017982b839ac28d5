"""NTP requests generated from a seed: well-formed, almost well-formed, keyed, and mutated.

Each has its own transmit timestamp (bytes 40 to 47, which the reply's origin echoes), so that
replies can be told apart; but some reuse that of an earlier request. Equal arguments give equal
requests.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ntp_macs import FIELD_LIKE, KEYS, Key

HEADER = 48
TRANSMIT = slice(40, 48)
# The most that chrony 4.3 reads: header, 1024 bytes of fields, key ID, 64 bytes of digest.
LONGEST = HEADER + 1024 + 68
# Also includes requests too large for a 1500-byte packet, which are fragmented.
LONGEST_SENT = 1500
NTP_PORT = 123

MONO_ROOT, MONO_ROOT_MAGIC = 0xF323, bytes.fromhex("f5bedd9a")
# RFC 8915 section 7.5: unique identifier, cookie, placeholder, authenticator.
NTS_TYPES = (0x0104, 0x0204, 0x0304, 0x0404)
FIELD_LENGTHS = (16, 20, 24, 28, 28, 32, 36, 40, 64, 104, 256)
STATED_LENGTHS = (0, 1, 2, 3, 4, 8, 12, 16, 20, 24, 27, 28, 29, 30, 400, 0x7FFF, 0x8000, 0xFFFF)
# Around chrony's floor of -19, and the ends of a signed byte.
POLLS = (0, 4, 6, 10, 17, 127, 128, 255 - 20, 256 - 20, 256 - 19, 256 - 18, 255)
BYTES = (0, 1, 2, 3, 4, 16, 20, 24, 28, 0x1B, 0x23, 0x7F, 0x80, 0xF3, 0xFF)


@dataclass(frozen=True)
class Request:
    """A datagram, its source port if that matters, and how it was made.

    ``mac`` is set if only the MAC of a keyed request may be at fault: "good" or "wrong".
    """

    payload: bytes
    kind: str
    source_port: int = 0
    mac: str = ""

    @property
    def token(self) -> bytes:
        """The origin timestamp of the reply; empty if the request is too short for an answer."""
        return self.payload[TRANSMIT] if len(self.payload) >= HEADER else b""


def requests(seed: int, count: int, keys: Sequence[Key] = KEYS) -> Iterator[Request]:
    """``count`` requests; a server with the keys answers about two in five of them."""
    maker = Maker(seed, keys)
    return (maker.request() for _ in range(count))


def field(kind: int, body: bytes, stated: int | None = None) -> bytes:
    """An extension field (RFC 7822), whose stated length may be wrong."""
    return struct.pack("!HH", kind, 4 + len(body) if stated is None else stated) + body


class Maker:
    """A source of requests; all randomness comes from ``chance``."""

    def __init__(self, seed: int, keys: Sequence[Key]) -> None:
        self.chance = random.Random(seed)
        self.keys = keys
        self.serial = self.chance.getrandbits(64)
        self.last = self.token()
        self.kinds: dict[Callable[[], tuple[bytes, str, str]], int] = {
            self.plain: 18,
            self.any_first_byte: 12,
            self.any_tail: 12,
            self.fields: 16,
            self.broken_fields: 12,
            self.keyed: 20,
            self.mutated: 14,
        }

    def request(self) -> Request:
        """The next one."""
        payload, kind, mac = self.random_kind()
        payload = payload[:LONGEST_SENT]
        if self.chance.random() < 0.01:
            kind += ", token shared"
            payload, mac = payload[:40] + self.last + payload[HEADER:], ""
        if len(payload) >= HEADER:
            self.last = payload[TRANSMIT]
        source_port = NTP_PORT if self.chance.random() < 0.12 else 0
        return Request(payload, kind, source_port, mac)

    def random_kind(self) -> tuple[bytes, str, str]:
        [make] = self.chance.choices([*self.kinds], [*self.kinds.values()])
        return make()

    def token(self) -> bytes:
        """Eight bytes that never repeat: an odd step cycles through all 64-bit numbers."""
        self.serial = (self.serial + 0x9E3779B97F4A7C15) % 2**64
        return self.serial.to_bytes(8)

    def some(self, length: int) -> bytes:
        """All zeros, all ones, or random bytes."""
        return self.chance.choice((bytes(length), b"\xff" * length, self.chance.randbytes(length)))

    def header(self, version: int, mode: int) -> bytes:
        """The 48 bytes; fields that a server must ignore are random."""
        chance = self.chance
        first = chance.choice((0, 0, 0, 1, 2, 3)) << 6 | version << 3 | mode
        words = [chance.choice((0, 16, chance.getrandbits(8))), chance.choice(POLLS)]
        words += [chance.getrandbits(8)]
        times = [self.some(8) for _ in range(3)]
        token = self.token()
        luck = chance.random()
        if luck < 0.01:
            token = bytes(8)
        elif luck < 0.03:
            # Equal receive and transmit timestamps: never an interleaved request.
            times[2] = token
        elif luck < 0.05:
            times[1] = token
        return bytes([first, *words]) + self.some(12) + b"".join(times) + token

    def sound_header(self) -> bytes:
        """A header that is answered; half of them version 4."""
        return self.header(self.chance.choice((1, 2, 3, 4, 4, 4)), self.chance.choice((1, 3, 3, 3)))

    def field(self, nts: float = 0.03) -> bytes:
        """A well-formed extension field; with probability ``nts`` one of NTS."""
        chance = self.chance
        length = chance.choice(FIELD_LENGTHS)
        luck = chance.random()
        if luck < nts:
            return field(chance.choice(NTS_TYPES), chance.randbytes(length - 4))
        if luck < nts + 0.2:
            return field(MONO_ROOT, MONO_ROOT_MAGIC + self.some(20))
        if luck < nts + 0.3:
            # The right magic in a field of another length, or another magic.
            magic = chance.choice((MONO_ROOT_MAGIC, MONO_ROOT_MAGIC[::-1]))
            return field(MONO_ROOT, (magic + self.some(length))[: length - 4])
        return field(chance.getrandbits(16), self.some(length - 4))

    def field_list(self) -> list[bytes]:
        """One to five fields; rarely a single one around the maximum length, or very many."""
        chance = self.chance
        luck = chance.random()
        if luck < 0.04:
            length = chance.choice((1024, LONGEST - HEADER - 24, LONGEST - HEADER))
            return [field(chance.getrandbits(16), self.some(length - chance.choice((0, 4, 8))))]
        if luck < 0.07:
            return [
                field(chance.getrandbits(16), self.some(chance.choice((12, 16, 24))))
                for _ in range(chance.randrange(20, 60))
            ]
        return [self.field() for _ in range(chance.randrange(1, 6))]

    # -------------------------------------------------------------------------------- the kinds

    def plain(self) -> tuple[bytes, str, str]:
        return self.sound_header(), "plain", ""

    def any_first_byte(self) -> tuple[bytes, str, str]:
        """Any version and mode; more often version 1, mode 0, where the port decides."""
        version, mode = self.chance.randrange(8), self.chance.randrange(8)
        if self.chance.random() < 0.1:
            version, mode = 1, 0
        return self.header(version, mode), "any first byte", ""

    def any_tail(self) -> tuple[bytes, str, str]:
        """Too short, or with anything after the header."""
        chance = self.chance
        if chance.random() < 0.3:
            return self.sound_header()[: chance.randrange(HEADER)], "short", ""
        most = chance.choice((24, 80, LONGEST_SENT - HEADER))
        length = chance.randrange(1, most + 1)
        length -= length % 4 if chance.random() < 0.7 else 0
        return self.sound_header() + self.some(length), "any tail", ""

    def fields(self) -> tuple[bytes, str, str]:
        """Version 4 with fields that are well-formed if the last one happens to be long enough."""
        parts = self.field_list()
        if len(parts[-1]) < 28 and self.chance.random() < 0.8:
            parts.append(field(self.chance.getrandbits(16), self.some(24)))
        version = 4 if self.chance.random() < 0.95 else 3
        return self.header(version, 3) + b"".join(parts), "fields", ""

    def broken_fields(self) -> tuple[bytes, str, str]:
        """The same with one error: a length, or what follows the last field."""
        chance = self.chance
        parts = self.field_list()
        at = chance.randrange(len(parts))
        match chance.choice(("stated", "stated", "short", "odd", "rest")):
            case "stated":
                broken = parts[at]
                near = len(broken) + chance.choice((-8, -4, -2, -1, 1, 2, 4, 8))
                stated = chance.choice((near, near, chance.choice(STATED_LENGTHS)))
                parts[at] = field(int.from_bytes(broken[:2]), broken[4:], stated)
            case "short":
                # Only its length is wrong: everything after it is valid.
                parts.insert(at, field(chance.getrandbits(16), self.some(chance.choice((0, 4, 8)))))
            case "odd":
                # The total is a multiple of four again.
                size = chance.choice((13, 14, 25, 26, 27))
                parts += [field(chance.getrandbits(16), self.some(n)) for n in (size, 60 - size)]
            case "rest":
                parts.append(self.some(chance.choice((1, 2, 3, 4, 8, 12, 16))))
        return self.header(4, 3) + b"".join(parts), "broken fields", ""

    def keyed(self) -> tuple[bytes, str, str]:
        """A MAC, valid or wrong in one of many ways, possibly after fields."""
        chance = self.chance
        message = self.sound_header()
        version = message[0] >> 3 & 7
        if version == 4 and chance.random() < 0.4:
            message += b"".join(self.field_list())
        key = chance.choice(self.keys)
        mac = key.mac(message)
        good = message + mac
        # A field list may be longer than a server reads.
        sound = len(good) <= LONGEST
        if chance.random() < 0.5:
            return good, "right MAC", "good" if sound else ""
        how, wrong = chance.choice([*self.wrong_macs(key, message).items()])
        # A "wrong" MAC may be valid (a full digest of the maximum length) or parse as a field.
        certain = sound and wrong != good and key != FIELD_LIKE
        return wrong, how, "wrong" if certain else ""

    def wrong_macs(self, key: Key, message: bytes) -> dict[str, bytes]:
        """Messages with a MAC that none of our keys makes, or with bytes after it."""
        chance = self.chance
        mac = key.mac(message)
        number, digest = mac[:4], mac[4:]
        flipped = bytearray(digest)
        flipped[chance.randrange(len(digest))] ^= 1 << chance.randrange(8)
        other = chance.choice([k for k in self.keys if k != key])
        changed = bytearray(message)
        # Not the first byte or the fields: those decide how the rest is parsed.
        changed[chance.randrange(1, HEADER)] ^= 1 << chance.randrange(8)
        cut = chance.randrange(0, len(digest), 4)
        return {
            "MAC with a bit flipped": message + number + flipped,
            "MAC of other data": bytes(changed) + mac,
            "MAC of another key": message + number + other.mac(message)[4:],
            "MAC of an unknown key": message + self.unknown() + digest,
            "MAC of key 0": message + bytes(4) + digest,
            "MAC cut short": message + number + digest[:cut],
            "MAC too long": message + mac + self.some(chance.choice((1, 2, 4, 8, 16, 28))),
            "MAC of the other version's length": message
            + number
            + (key.digest(message) if len(digest) == 20 else digest[:20]),
            "MAC of zeros": message + number + bytes(chance.choice((16, 20, 68))),
            "MAC before a field": message + mac + field(0xABCD, self.some(24)),
            "MAC twice": message + mac + key.mac(message + mac),
        }

    def unknown(self) -> bytes:
        """An ID that no key has."""
        known = {key.id for key in self.keys}
        candidates = (4, 0x0FFFFFFF, 0xABCD001C, 0x0104001C, self.chance.getrandbits(32))
        return self.chance.choice([i for i in candidates if i not in known]).to_bytes(4)

    def mutated(self) -> tuple[bytes, str, str]:
        """One of the other kinds with one to four changes."""
        payload, kind, _ = self.random_kind()
        data = bytearray(payload)
        for _ in range(self.chance.randrange(1, 5)):
            self.mutate(data)
        # It may have been mutated before: say so only once in its name.
        return bytes(data), f"mutated {kind.removeprefix('mutated ')}", ""

    def mutate(self, data: bytearray) -> None:
        """One change: a bit, a byte, or some bytes removed, inserted, or repeated."""
        chance = self.chance
        at = chance.randrange(len(data) + 1)
        size = chance.choice((1, 4, 4, 8, 16, 20, 28))
        match chance.choice(("bit", "bit", "byte", "byte", "word", "out", "in", "again", "end")):
            case "bit" if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case "byte" if at < len(data):
                data[at] = chance.choice(BYTES)
            case "word" if at + 1 < len(data):
                data[at : at + 2] = chance.choice(STATED_LENGTHS).to_bytes(2)
            case "out":
                del data[at : at + size]
            case "in":
                data[at:at] = self.some(size)
            case "again":
                data[at:at] = data[at : at + size]
            case "end":
                del data[at - at % 4 :]
