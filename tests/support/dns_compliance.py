"""The tests of RFC 8906 section 8 and ISC's genreport: requests, and what their replies must be.

Section 8.1.5 and genreport's "tcp" and "ednstcp" are up to the caller: everything works over TCP.
Section 8.3 is about servers without EDNS.

Any way in can be tested: each test provides a function from request bytes to reply bytes.
The server has a zone whose apex has an SOA and the name ``large`` a TXT RRset of over 1232 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.tsig

Asker = Callable[[bytes], bytes]

AA, TC, RD, RA, Z, AD, CD = 0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010
NSID, SUBNET, EXPIRE, COOKIE, UNKNOWN = 3, 8, 9, 10, 100
OPTIONS = {
    "nsid": dns.edns.GenericOption(NSID, b""),
    "subnet": dns.edns.GenericOption(SUBNET, b"\0\1\0\0"),
    "expire": dns.edns.GenericOption(EXPIRE, b""),
    "cookie": dns.edns.GenericOption(COOKIE, b"8 bytes!"),
    "unknown": dns.edns.GenericOption(UNKNOWN, b""),
}
_TYPES = """A NS MD MF CNAME SOA MB MG MR NULL WKS PTR HINFO MINFO MX TXT RP AFSDB X25 ISDN RT NSAP
NSAP-PTR SIG KEY PX GPOS AAAA LOC NXT SRV NAPTR KX CERT A6 DNAME APL DS SSHFP IPSECKEY RRSIG NSEC
DNSKEY DHCID NSEC3 NSEC3PARAM TLSA SMIMEA HIP CDS CDNSKEY OPENPGPKEY SPF NID L32 L64 LP EUI48 EUI64
URI CAA DLV TYPE666 TYPE1000"""


@dataclass(frozen=True)
class Case:
    """A request, and what its reply must have."""

    request: bytes
    rcode: int = dns.rcode.NOERROR
    soa: bool = True
    """Whether the SOA is the answer; if not, there is no SOA in it."""
    largest: int = 1232
    truncated: bool = False


def cases(zone: str) -> dict[str, Case]:
    """All cases, for a server of this zone."""
    return {**_basic(zone), **_types(zone), **_edns(zone), **_options(zone), **_other(zone)}


def _query(name: str, rdtype: str = "SOA", flags: int = 0, **edns: object) -> dns.message.Message:
    message = dns.message.make_query(name, rdtype, flags=flags, **{"use_edns": -1, **edns})
    message.id = 0x1234
    return message


def _wire(name: str, rdtype: str = "SOA", flags: int = 0, **edns: object) -> bytes:
    return _query(name, rdtype, flags, **edns).to_wire()


def _basic(zone: str) -> dict[str, Case]:
    """Sections 8.1.1 to 8.1.4."""
    found = {"dns": Case(_wire(zone))}
    bits = {"aa": AA, "tc": TC, "rd": RD, "ra": RA, "z": Z, "ad": AD, "cd": CD}
    for name, bit in bits.items():
        found[name] = Case(_wire(zone, flags=bit))
    found["all-flags"] = Case(_wire(zone, flags=0x07F0))
    for name, flags in (("opcode15", 0), ("opcode15-flags", 0x07F0)):
        bare = struct.pack(">6H", 0x1234, 15 << 11 | flags, 0, 0, 0, 0)
        found[name] = Case(bare, dns.rcode.NOTIMP, soa=False)
    return found


def _types(zone: str) -> dict[str, Case]:
    """Section 8.1.2 and genreport's list of types."""
    return {f"type-{kind}": Case(_wire(zone, kind), soa=kind == "SOA") for kind in _TYPES.split()}


def _edns(zone: str) -> dict[str, Case]:
    """Sections 8.2.1 to 8.2.9: versions, flags, sizes."""

    def badvers(**edns: object) -> Case:
        return Case(_wire(zone, use_edns=1, **edns), dns.rcode.BADVERS, soa=False)

    small = {"use_edns": 0, "payload": 512}
    return {
        "edns": Case(_wire(zone, use_edns=0)),
        "edns1": badvers(),
        "do": Case(_wire(zone, use_edns=0, ednsflags=0x8000)),
        "do-cd": Case(_wire(zone, flags=CD, use_edns=0, ednsflags=0x8000)),
        "edns1-do": badvers(ednsflags=0x8000),
        "ednsflags": Case(_wire(zone, use_edns=0, ednsflags=0x0040)),
        "all-ednsflags": Case(_wire(zone, use_edns=0, ednsflags=0xFFFF)),
        "edns1-ednsflags": badvers(ednsflags=0x0040),
        "edns@512": Case(_wire(zone, "DNSKEY", ednsflags=0x8000, **small), soa=False, largest=512),
        "edns@512-large": Case(
            _wire(f"large.{zone}", "TXT", ednsflags=0x8000, **small),
            soa=False,
            largest=512,
            truncated=True,
        ),
        "edns@0": Case(_wire(zone, use_edns=0, payload=0), largest=512),
    }


def _options(zone: str) -> dict[str, Case]:
    """Sections 8.2.3, 8.2.6 and 8.2.10: options, known or not, alone and together."""
    found = {}
    for name, option in OPTIONS.items():
        found[name] = Case(_wire(zone, use_edns=0, options=[option]))
        found[f"edns1-{name}"] = Case(
            _wire(zone, use_edns=1, options=[option]), dns.rcode.BADVERS, soa=False
        )
    every = list(OPTIONS.values())
    found["optlist"] = Case(_wire(zone, use_edns=0, options=every))
    found["edns1-optlist"] = Case(
        _wire(zone, use_edns=1, options=every), dns.rcode.BADVERS, soa=False
    )
    found["optlist-large"] = Case(
        _wire(f"large.{zone}", "TXT", use_edns=0, options=every, payload=1232),
        soa=False,
        truncated=True,
    )
    return found


def _other(zone: str) -> dict[str, Case]:
    """What BIND 9.11's resolver and dig send, and a TSIG by an unknown key."""
    signed = _query(zone)
    key = dns.tsig.Key("zero", bytes(32), "hmac-sha256")
    signed.use_tsig(key, fudge=300)
    bind = {"use_edns": 0, "ednsflags": 0x8000, "options": [OPTIONS["cookie"]]}
    return {
        "bind11": Case(_wire(zone, payload=4096, **bind)),
        "dig11": Case(_wire(zone, flags=RD | AD, use_edns=0, options=[OPTIONS["cookie"]])),
        "tsig": Case(signed.to_wire(), dns.rcode.NOTAUTH, soa=False),
    }


def check(case: Case, reply: bytes, tcp: bool = False) -> None:
    """Raises AssertionError for a reply that the case does not allow; over TCP none has TC."""
    message = dns.message.from_wire(reply, keyring=False)
    flags, asked_flags = (struct.unpack_from(">H", wire, 2)[0] for wire in (reply, case.request))
    opcode = asked_flags >> 11 & 15
    assert message.id == 0x1234 and flags & 0x8000 and flags >> 11 & 15 == opcode
    assert message.rcode() == case.rcode
    if opcode:
        # Only the header, without flags.
        assert reply == struct.pack(">6H", 0x1234, 0x8000 | opcode << 11 | case.rcode, 0, 0, 0, 0)
        return
    asked = dns.message.from_wire(case.request, keyring=False)
    assert message.question == asked.question
    assert bool(flags & AA) == (case.rcode == dns.rcode.NOERROR)
    if case.rcode == dns.rcode.NOTAUTH:
        assert message.tsig is not None and message.tsig[0].error == dns.rcode.BADKEY
    # RD and CD are copied; we neither recurse nor validate; Z is reserved.
    assert flags & (RD | CD) == asked_flags & (RD | CD) and not flags & (RA | AD | Z)
    assert bool(flags & TC) == (case.truncated and not tcp)
    assert [rrset.rdtype for rrset in message.answer if rrset.rdtype == dns.rdatatype.SOA] == (
        [dns.rdatatype.SOA] if case.soa else []
    )
    assert tcp or len(reply) <= (case.largest if asked.edns >= 0 else 512)
    _check_opt(asked, message)


def _check_opt(asked: dns.message.Message, message: dns.message.Message) -> None:
    """An OPT if and only if there was one; no flag but DO; no option that was not requested."""
    assert (message.edns >= 0) == (asked.edns >= 0) and message.edns <= 0
    assert message.ednsflags & 0xFFFF == asked.ednsflags & 0x8000
    given = {int(option.otype): option.to_wire() for option in message.options}
    wanted = {int(option.otype) for option in asked.options} if asked.edns == 0 else set()
    assert given.keys() <= wanted & {NSID, COOKIE}
    # A full cookie, or none if the server has cookies off: never the client's alone.
    assert COOKIE not in given or (given[COOKIE][:8] == b"8 bytes!" and len(given[COOKIE]) == 24)
