"""UDP payloads: one for every verdict of the services, and a corpus of good and bad ones."""

from __future__ import annotations

import itertools
import random
import struct

import dns.edns
import dns.flags
import dns.message
import dns.rdatatype
import dns.tsig

# A client's transmit timestamp: any 8 bytes.
MARK = bytes.fromhex("0123456789abcdef")
NTP_HEADER = 48


def ntp(version: int = 4, mode: int = 3, leap: int = 0, rest: bytes = b"") -> bytes:
    """An NTP message with MARK as its transmit timestamp, and ``rest`` after the header."""
    return bytes([leap << 6 | version << 3 | mode]) + bytes(39) + MARK + rest


def field(kind: int, length: int, body: bytes = b"") -> bytes:
    """An NTP extension field (RFC 7822)."""
    return struct.pack("!HH", kind, length) + body.ljust(max(length - 4, 0), b"\0")


def query(name: str, kind: str = "A", edns: int | None = None, **options: object) -> bytes:
    """A DNS query with a fixed ID; ``edns`` is the version, None for no EDNS."""
    settings = {} if edns is None else {"use_edns": edns, "payload": 1232}
    message = dns.message.make_query(name, kind, **(settings | options))
    message.id = 0x1234
    message.flags &= ~dns.flags.RD
    return message.to_wire()


def signed(name: str) -> bytes:
    """A DNS query with a TSIG of a key that no server has."""
    message = dns.message.make_query(name, "A", id=0x1234, flags=0)
    message.use_tsig(dns.tsig.Key("nobody", bytes(32), "hmac-sha256"))
    return message.to_wire()


def option(code: int, data: bytes = b"") -> dns.edns.Option:
    """An EDNS option of any kind."""
    return dns.edns.GenericOption(code, data)


def nothing(cookie: bytes) -> bytes:
    """A DNS request without a question, with this EDNS cookie (RFC 7873 section 5.4)."""
    opt = struct.pack("!BHHIHHH", 0, 41, 1232, 0, 4 + len(cookie), 10, len(cookie)) + cookie
    return struct.pack("!6H", 0x1234, 0, 0, 0, 0, 1) + opt


SOUND_FIELD = field(0xABCD, 28)
MONO_ROOT = field(0xF323, 28, bytes.fromhex("f5bedd9a"))
NTS_UNIQUE = field(0x0104, 36, bytes(32))

ANSWERED = {
    "echo_answered": ("echo", b"any bytes"),
    "ntp_answered": ("ntp", ntp()),
    "dns_noerror": ("dns", query("www.example")),
    "dns_nodata": ("dns", query("www.example", "MX")),
    "dns_nxdomain": ("dns", query("nobody.example")),
    "dns_yxdomain": ("dns", query(f"{'x' * 63}.longer.example")),
    "dns_referral": ("dns", query("host.sub.example")),
    "dns_truncated": ("dns", query("large.example", "TXT", edns=0)),
    "dns_formerr": ("dns", query("www.example")[:-1]),
    "dns_notimp": ("dns", b"\x12\x34\x20" + query("www.example")[3:]),
    "dns_refused": ("dns", query("www.elsewhere")),
    "dns_badvers": ("dns", query("www.example", edns=1)),
    "dns_badkey": ("dns", signed("www.example")),
    "dns_badcookie": ("dns", nothing(b"8 bytes!" + bytes(16))),
    "dns_cookie": ("dns", nothing(b"8 bytes!")),
    "dns_chaos": ("dns", query("version.server", "TXT", rdclass="CH")),
}

DROPPED = {
    "ntp_length": ("ntp", ntp()[:47]),
    "ntp_version": ("ntp", ntp(version=5)),
    "ntp_extension": ("ntp", ntp(rest=bytes(4))),
    "ntp_key": ("ntp", ntp(rest=b"\0\0\0\x01" + bytes(16))),
    "ntp_nts": ("ntp", ntp(rest=NTS_UNIQUE)),
    "dns_short": ("dns", query("www.example")[:11]),
}


def ntp_corpus(chance: random.Random) -> list[bytes]:
    """Every request version and mode, valid and invalid extension fields, any length, any bytes."""
    corpus = [ntp(v, m, leap) for v in range(8) for m in (1, 3) for leap in range(4)]
    corpus += [ntp(version=1, mode=0), ntp(version=4)[:1], ntp(version=3)[:47], b""]
    rests = [bytes(n) for n in (4, 8, 12, 16, 20, 24, 28, 32, 36, 72, 1200)]
    rests += [field(0xABCD, n) for n in (16, 24, 28, 32, 1024)]
    rests += [field(0xABCD, 16) + SOUND_FIELD, SOUND_FIELD * 4, MONO_ROOT, MONO_ROOT + SOUND_FIELD]
    rests += [field(0xABCD, 0) + bytes(24), field(0xABCD, 29), field(0xABCD, 400)[:60]]
    rests += [NTS_UNIQUE, SOUND_FIELD + b"\0\0\0\x07" + bytes(16)]
    corpus += [ntp(v, rest=rest) for v in (3, 4) for rest in rests]
    for _ in range(150):
        first = bytes([chance.randrange(8) << 3 | chance.choice((1, 3))])
        corpus.append(first + chance.randbytes(chance.choice((47, 47, 67, 75, 75, 90))))
    return corpus


def dns_corpus(chance: random.Random) -> list[bytes]:
    """Names in and out of the zone, every EDNS variant, queries with bytes changed or truncated."""
    names = ["example", "www.example", "WwW.eXample", "a.wild.example", "alias.example", "."]
    names += ["in.the.example", "x.sub.example", "large.example", "nobody.example", "elsewhere"]
    names += ["a." * 120 + "example", "x" * 63 + ".example"]
    kinds = ["A", "AAAA", "TXT", "SOA", "NS", "MX", "ANY", "AXFR", "TYPE65280"]
    corpus = [query(name, kind) for name in names for kind in kinds]
    corpus += [query(name, kind, edns=0) for name in names for kind in ("A", "TXT")]
    corpus += [query(n, "TXT", edns=0, payload=s) for n in names for s in (0, 512, 800, 4096)]
    corpus += [query("www.example", edns=v, want_dnssec=d) for v in (0, 1, 255) for d in (0, 1)]
    corpus += [query(f"{n}.bind", "TXT", rdclass="CH", edns=0) for n in ("version", "hostname")]
    options = [option(3), option(8, b"\0\1\0\0"), option(8, b"\0\1\x21\0"), option(100, b"?")]
    options += [option(10, bytes(length)) for length in (0, 7, 9, 41)]
    corpus += [query(n, edns=0, options=[o]) for n in names for o in options]
    whole = tuple(corpus)
    for _ in range(200):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(3, len(data))] = chance.randrange(256)
        # Bit QR stays 0: a response never reaches a way in.
        data[2] = chance.choice((0x00, 0x01, 0x28, 0x7F))
        corpus.append(bytes(data[: chance.choice((len(data), chance.randrange(len(data) + 1)))]))
    return corpus


def echo_corpus(chance: random.Random) -> list[bytes]:
    """Payloads of all lengths that fit a frame in the lab."""
    return [chance.randbytes(n) for n in (0, 1, 2, 7, 8, 17, 18, 19, 100, 511, 512, 1400, 1452)]


# What follows the header of a version 3 or 4 request.
NTP_TAILS = {
    "header-only": b"",
    "one-field-16": field(0xABCD, 16),
    "one-field-24": field(0xABCD, 24),
    "one-field-28": SOUND_FIELD,
    "one-field-32": field(0xABCD, 32),
    "field-16-then-28": field(0xABCD, 16) + SOUND_FIELD,
    "field-28-then-16": SOUND_FIELD + field(0xABCD, 16),
    "four-fields": SOUND_FIELD * 4,
    "field-length-0": field(0xABCD, 0) + bytes(28),
    "field-length-12": field(0xABCD, 12) + bytes(28),
    "field-length-30": field(0xABCD, 30) + bytes(2),
    "field-beyond-end": field(0xABCD, 400)[:60],
    "fields-1024": field(0xABCD, 1024),
    "fields-1092": field(0xABCD, 1092),
    "fields-1096": field(0xABCD, 1096),
    "fields-1392": field(0xABCD, 1392),
    "nts-unique": NTS_UNIQUE,
    "mono-root": MONO_ROOT,
    "mono-root-twice": MONO_ROOT * 2,
    "mono-root-wrong-magic": field(0xF323, 28, bytes(4)),
    "mono-root-then-field": MONO_ROOT + SOUND_FIELD,
    "key-1-digest-zero": b"\0\0\0\x01" + bytes(16),
    "key-1-digest-20": b"\0\0\0\x01" + bytes(20),
    "key-1-digest-68": b"\0\0\0\x01" + bytes(68),
    "field-then-key": SOUND_FIELD + b"\0\0\0\x01" + bytes(16),
} | {f"zeros-{n}": bytes(n) for n in (4, 8, 12, 16, 20, 24, 28, 32, 36, 72)}

# Every rule by which a server decides, each with a request that is easy to read.
NTP_MATRIX = (
    {f"v{v}-mode-{m}": ntp(v, m) for v, m in itertools.product(range(8), range(8))}
    | {f"leap-{leap}": ntp(leap=leap) for leap in (1, 2, 3)}
    | {f"v{v}-{name}": ntp(v, rest=rest) for v in (3, 4) for name, rest in NTP_TAILS.items()}
    | {f"length-{n}": ntp()[:n] for n in (0, 1, 12, 47)}
    | {f"length-{48 + n}": ntp(rest=bytes(n)) for n in (1, 2, 3, 5, 30)}
    | {"any-header": ntp()[:1] + bytes(range(1, 40)) + MARK}
    | {"poll-low": ntp()[:2] + b"\x80" + ntp()[3:], "zero-transmit": ntp()[:1] + bytes(47)}
    | {"mode-1-v1": ntp(1, 1), "mode-1-with-field": ntp(4, 1, rest=SOUND_FIELD)}
)
