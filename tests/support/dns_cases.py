"""Zones and requests about which servers disagree, for the tests on bytes and on the wire."""

from __future__ import annotations

import struct

import dns.message
from dns_bytes_call import HEAD

ZONES: dict[str, str | bytes] = {
    "w.test": HEAD + "ns1 A 192.0.2.1\n",
    "glue.test": HEAD
    + "ns1 A 192.0.2.1\n"
    + "".join(
        f"net NS s{i}.net\ns{i}.net A 192.0.2.{i}\ns{i}.net AAAA 2001:db8::{i}\n"
        for i in range(1, 14)
    ),
    "loop.test": HEAD + "ns1 A 192.0.2.1\n*.a CNAME *.a\n*.c CNAME q.c\n",
}
"""As knotd and nsd load them, too."""

ODD_ZONES: dict[str, str | bytes] = {
    "latin1.test": HEAD.encode()
    + b'ns1 A 192.0.2.1 ; gr\xfc\xdfe\nt TXT "\xe4"\n\xe4 A 192.0.2.2\n',
    "generate.test": HEAD + 'ns1 A 192.0.2.1\n$GENERATE 1-2 t$ TXT "a $"\n',
    "mb.test": HEAD + "ns1 A 192.0.2.1\nmb MB ns1\n",
    "ttl.test": HEAD + "ns1 A 192.0.2.1\ntop 2147483648 A 192.0.2.2\n",
    "out.test": HEAD + "ns1 A 192.0.2.1\nns2.other.test. A 192.0.2.2\n",
    "wild.test": HEAD + "ns1 A 192.0.2.1\n*.d NS ns1\n*.w DNAME t\n",
    "big.test": HEAD + "".join(f'b TXT "{i:05}{"y" * 240}"\n' for i in range(300)),
    "service.test": HEAD + "ns1 A 192.0.2.1\nh HTTPS 1 . alpn=h2\nh A 192.0.2.8\n",
}

OPT = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
_TSIG_DATA = b"\x0bhmac-sha256\0" + struct.pack("!HIHH", 0, 0x6553F100, 300, 32) + bytes(32)
_TSIG_DATA += struct.pack("!HHH", 0x1234, 0, 0)
TSIG = b"\3foo\0" + struct.pack("!HHIH", 250, 255, 0, len(_TSIG_DATA)) + _TSIG_DATA
_SOA_DATA = b"\0\0" + struct.pack("!5I", 1, 2, 3, 4, 5)
SOA = b"\xc0\x0c" + struct.pack("!HHIH", 6, 1, 500, len(_SOA_DATA)) + _SOA_DATA
W = b"\3ns1\1w\4test\0"


def message(name: bytes, kind: int, *records: bytes, authority: int = 0) -> bytes:
    """A request with these records in the additional section, or the first in the authority's."""
    counts = (1, 0, authority, len(records) - authority)
    question = name + struct.pack("!HH", kind, 1)
    return struct.pack("!6H", 0x1234, 0, *counts) + question + b"".join(records)


def option(code: int, data: bytes) -> bytes:
    """An OPT with one option."""
    rdata = struct.pack("!HH", code, len(data)) + data
    return OPT[:-2] + struct.pack("!H", len(rdata)) + rdata


PACKETS = {
    "signed": message(W, 1, TSIG),
    "signed, with an OPT": message(W, 1, OPT, TSIG),
    "a signed transfer": message(W[4:], 252, TSIG),
    "a signature that is not last": message(W, 1, TSIG, OPT),
    "two signatures": message(W, 1, TSIG, TSIG),
    "IXFR": message(W[4:], 251, SOA, authority=1),
    "a referral that does not fit": message(b"\3www\3net\4glue\4test\0", 1),
    "a wildcard that leads to itself": message(b"\1k\1a\4loop\4test\0", 1),
    "a wildcard that leads below itself": message(b"\1k\1c\4loop\4test\0", 1),
}

ASKED = [
    ("t.latin1.test", "TXT"), ("\\228.latin1.test", "A"), ("t2.generate.test", "TXT"),
    ("mb.mb.test", "MB"), ("top.ttl.test", "A"), ("ns2.other.test", "A"), ("ns1.out.test", "A"),
    ("x.d.wild.test", "A"), ("x.w.wild.test", "DNAME"), ("x.w.wild.test", "A"),
    ("b.big.test", "TXT"), ("h.service.test", "HTTPS"),
]  # fmt: skip


def requests() -> dict[str, bytes]:
    """All of them, by name."""
    made = dict(PACKETS)
    made["a client subnet with a scope"] = message(W, 1, option(8, b"\0\1\x18\x18\xc0\0\2"))
    made["ZONEVERSION"] = message(W, 1, option(19, b""))
    for name, kind in ASKED:
        made[f"{name} {kind}"] = dns.message.make_query(name, kind, id=0x1234).to_wire()
    return made
