"""Seeds for the targets, in the layouts that fuzz_TARGET.c describes."""

from __future__ import annotations

import hashlib
import random
import struct
from random import Random

import master_lines
from packets import Packet

from xdpkit.config.prefixes import parse_prefix
from xdpkit.services import access_list, prefix_map

# A header of version 4, mode 3, with an arbitrary transmit timestamp.
NTP = bytes([0x23]) + bytes(39) + bytes(range(1, 9))
# www.z A, a name in dns_arena.h, and a query with EDNS for a name that is not.
DNS = bytes.fromhex("000101000001000000000000") + b"\3www\1z\0" + bytes.fromhex("00010001")
EDNS = (
    bytes.fromhex("000200000001000000000001")
    + b"\2no\1z\0"
    + bytes.fromhex("001000010000290200000000000000")
)
UNKNOWN_FIELD = struct.pack(">HH", 0x1234, 28) + bytes(24)
MONO_ROOT_FIELD = struct.pack(">HHI", 0xF323, 28, 0xF5BEDD9A) + bytes(20)
NTS_FIELD = struct.pack(">HH", 0x0104, 36) + bytes(32)


def frames() -> dict[str, bytes]:
    """A byte of option bits, a frame."""
    tags = {"plain": (), "tag": ((0x8100, 100),), "tags": ((0x88A8, 200), (0x8100, 300))}
    payloads = {"ntp": (123, NTP), "dns": (53, DNS), "edns": (53, EDNS), "echo": (7, b"odd")}
    return {
        f"{service}{version}{depth}": b"\2"
        + Packet(payload, version, port=port, tags=tags[depth]).frame()
        for service, (port, payload) in payloads.items()
        for version, depth in ((4, "plain"), (6, "tag"), (4, "tags"))
    }


def bodies() -> dict[str, bytes]:
    """Options, a question's name, records: few and many, with any names, and some large ones."""
    chance = random.Random(1)
    return {
        f"{options:02}of{size}": bytes([options]) + chance.randbytes(size)
        for options in range(16)
        for size in (20, 200, 1500)
    }


def ntp() -> dict[str, bytes]:
    """A byte of option bits, receive and transmit time, a request."""
    times = struct.pack(">QQ", 1_700_000_000_000_000_000, 1_700_000_000_000_001_000)
    wrap = struct.pack(">QQ", 2_085_978_495_999_999_999, 2_085_978_496_000_000_001)
    requests = {
        f"v{v}m{m}": bytes([v << 3 | m]) + NTP[1:] for v, m in ((1, 0), (1, 3), (3, 1), (4, 3))
    }
    requests |= {
        "unknown": NTP + UNKNOWN_FIELD,
        "mono": NTP + UNKNOWN_FIELD + MONO_ROOT_FIELD,
        "nts": NTP + NTS_FIELD,
        "mac": NTP + struct.pack(">I", 1) + bytes(16),
    }
    seeds = {name: b"\4" + times + request for name, request in requests.items()}
    return seeds | {"wrap": b"\4" + wrap + NTP}


def keys() -> dict[str, bytes]:
    """Option bits, the lengths of secret and MAC, the secret, the MAC, a message."""
    secrets = {0: 20, 1: 20, 2: 32, 3: 48, 4: 64, 5: 16, 6: 32}
    seeds = {
        f"{algorithm}v{version + 1}": bytes([version << 4 | algorithm, length, 20])
        + bytes(range(length))
        + bytes(20)
        + NTP
        for algorithm, length in secrets.items()
        for version in (2, 3)
    }
    # The digest of the header above: MD5 for version 4, SHA1 for version 3.
    secret = bytes(range(20))
    for knobs, digest in ((0x30, hashlib.md5), (0x21, hashlib.sha1)):
        mac = digest(secret + NTP).digest()
        seeds[f"right{knobs}"] = bytes([knobs, len(secret), len(mac)]) + secret + mac + NTP
    ids = struct.pack(">40I", *(n % 20 << n % 7 for n in range(40)))
    return seeds | {"ids": bytes([0, 1, 16, 65]) + bytes(16) + ids}


def master() -> dict[str, bytes]:
    """A byte of option bits, a master file: each type, and lines of all kinds."""
    by_type = {
        kind: f"w 5 {kind} {' '.join(words)}\n"
        for kind, words in (master_lines.RIGHT | master_lines.ODD).items()
    }
    files = {
        f"file{seed}": "\n".join(master_lines.file(Random(seed), 8, wrong / 10))
        for seed, wrong in enumerate((0, 0, 0, 1, 1, 2, 4))
    }
    return {
        name: b"\1\0\3"[at % 3 :][:1] + text.encode()
        for at, (name, text) in enumerate((by_type | files).items())
    }


def prefix_maps() -> dict[str, bytes]:
    """Access lists, and a map with more values than two."""
    lists = {
        "none": ((), ()),
        "deny": ((), ("192.0.2.0/24", "2001:db8::/32")),
        "allow": (("0.0.0.0/1", "::/1", "255.255.255.255"), ("10.0.0.0/8",)),
        "apart": ([f"10.0.{n}.0/24" for n in range(0, 64, 2)], ()),
    }
    nested = {"10.0.0.0/8": 1, "10.1.0.0/16": 65535, "10.1.2.0/24": 2, "2001:db8::/32": 3}
    return {
        name: access_list.build(
            [parse_prefix(text) for text in allow], [parse_prefix(text) for text in deny]
        )
        for name, (allow, deny) in lists.items()
    } | {"values": prefix_map.build({parse_prefix(text): n for text, n in nested.items()})}


def geo_views() -> dict[str, bytes]:
    """Ranges of both IP versions and exact starts, sorted or not; then changes of each part."""
    chance = random.Random(1)
    ipv4 = b"".join(struct.pack("!IB", 0x0A000000 + 37 * n, n % 7) for n in range(20))
    ipv6 = b"".join(struct.pack("!QB", 0x20010DB8 << 32 | n * n // 3, n % 8) for n in range(40))
    exact = b"".join(struct.pack("!QQB", 0x20010DB8 << 32, 5 * n, n) for n in range(4))
    whole = bytes([20, 40, 4, 1]) + ipv4 + ipv6 + exact
    far = bytes([40, 40, 0, 1]) + chance.randbytes(40 * 14)
    seeds = {"whole": whole, "far": far, "none": bytes([0, 0, 0, 1])}
    seeds["unsorted"] = bytes([40, 0, 0, 0]) + chance.randbytes(200)
    return seeds | {
        f"part{part}at{at}": whole + struct.pack("!BHB", part, at, 1 << at % 8)
        for part in range(8)
        for at in (0, 1, 4, 5, 9, 20, 33)
    }


def ratelimit() -> dict[str, bytes]:
    """The fields of a rule, 6 bytes, and requests: source and clock step, random bits."""
    rules = {"chrony": (22, 7, 2, 0, 31, 63), "fast": (0, 0, 1, 1, 23, 0), "slow": (31, 254, 4, 4)}
    requests = bytes(n for turn in range(32) for n in (turn << 2 & 0xFC | turn & 3, turn))
    return {
        **{name: bytes(rule).ljust(6, b"\0") + requests for name, rule in rules.items()},
        "still": bytes(6) + bytes(64),
    }


def rrl() -> dict[str, bytes]:
    """Rate and instant, and answers: source and clock step, how many at once."""
    rules = {"knot": (49, 124), "fast": (65535, 65535), "slow": (0, 0), "narrow": (9, 0)}
    answers = bytes(n for turn in range(64) for n in (turn << 3 & 0xF8 | turn % 8, turn * 4))
    return {name: struct.pack("!2H", *rule) + answers for name, rule in rules.items()}


def tcp() -> dict[str, bytes]:
    """A byte of limits, then client actions: connect, send a chunk, take bytes, let time pass."""
    big = bytes.fromhex("000301000001000000000000") + b"\3big\1z\0" + bytes.fromhex("00100001")

    def framed(*messages: bytes) -> bytes:
        return b"".join(struct.pack("!H", len(message)) + message for message in messages)

    def sent(client: int, data: bytes, chunk: int) -> bytes:
        parts = [data[start : start + chunk] for start in range(0, len(data), chunk)]
        return b"".join(bytes([client, len(part)]) + part for part in parts)

    def taken(client: int, times: int) -> bytes:
        return bytes([0x80 | client, 255] * times)

    opened = bytes([0, 0])
    # More than the output buffer holds, in one chunk of 8 times 125 bytes.
    burst = bytes([0x40, 125]) + framed(*[big] * 40)
    assert len(burst) == 1002
    late = [bytes([client, 0]) + sent(client, framed(*[big] * 9), 220) for client in (0, 3, 4, 7)]
    return {
        "one": b"\0" + opened + taken(0, 1) + sent(0, framed(DNS), 255),
        "cut": b"\0" + opened + taken(0, 9) + sent(0, framed(DNS, EDNS, big), 7),
        "queries": b"\2" + opened + taken(0, 9) + sent(0, framed(DNS, EDNS, big), 255),
        "slow": b"\0" + opened + sent(0, framed(*[big] * 40), 250) + taken(0, 3),
        "full": b"\0" + opened + taken(0, 9) + burst,
        "empty": b"\0" + opened + taken(0, 1) + sent(0, framed(DNS, b"", DNS), 255),
        "late": b"\0" + b"".join(late) + taken(7, 2) + bytes([0xC0, 255] * 4),
        "many": b"\0" + b"".join(bytes([client, 0]) for client in [*range(8)] * 2),
    }


def zone() -> dict[str, bytes]:
    """Each arena as it is (fuzz_zone.c), and with a change of each kind in many places."""
    # The only bucket of the smallest arena without room, and names that are looked for in it: a
    # probe would not end.
    full = struct.pack("<BBHBbHHBbH", 0, 0, 39, 7, 0, 32, 19, 1, 1, 0)
    all_of_them = (*range(6), *range(128, 131))
    seeds = {f"arena{which}": bytes([which, 0]) for which in all_of_them} | {"full": full}
    return seeds | {
        f"arena{which}at{at}how{how}": struct.pack("<BBHBbH", which, how, at, how, 1, at + 8)
        for which in all_of_them
        for at in (0, 3, 9, 10, 13, 15, 16, 19, 32, 40, 60, 100, 250)
        for how in range(8)
    }


def geo() -> dict[str, bytes]:
    """Each arena as it is (fuzz_geo.c), for states and rooms, and with a change in many places."""
    seeds = {
        f"arena{which}states{states}": bytes([which, states, 255])
        for which in range(3)
        for states in (0xAA, 0xA6, 0x55, 0xD5)
    }
    return seeds | {
        f"arena{which}at{at}how{how}": struct.pack("<3BHBbH", which, 0x9A, 128, at, how, 1, at + 8)
        for which in range(3)
        for at in range(100, 420, 7)
        for how in range(6)
    }
