"""A zone whose version shows in every reply, and questions that reach all sections of a reply.

Every record of a version has that version as its TTL, so a reply with two TTLs mixes two versions.
Replies have an answer, an authority section, an additional section, or two of these.
"""

from __future__ import annotations

from xdpkit.loadgen.queries import query

ORIGIN = "versions.example"
_WIRE = b"\x08versions\x07example\x00"
A, MX, TXT = 1, 15, 16


def zone_text(version: int, names: int) -> str:
    """A master file with ``names`` names and a few others; ``version`` is from 1 to 65535."""
    hosts = "".join(
        f"host-{number:07d} A 10.{version >> 8}.{version & 255}.{number & 255}\n"
        for number in range(names)
    )
    return (
        f"$ORIGIN {ORIGIN}.\n$TTL {version}\n"
        f"@ SOA ns hostmaster {version} 7200 3600 1209600 {version}\n@ NS ns\nns A 192.0.2.1\n"
        f"mail MX {version} mx\nmx A 10.0.{version >> 8}.{version & 255}\n"
        f"alias CNAME mx\ncut NS ns.cut\nns.cut A 10.1.{version >> 8}.{version & 255}\n{hosts}"
    )


def queries(names: int) -> list[bytes]:
    """Questions whose replies have an answer, an answer and an additional section, an authority
    section, an authority and an additional section, or a chain as the answer."""
    kinds = [
        (b"\x04mail", MX),
        (b"\x02mx", TXT),
        (b"\x03www\x03cut", A),
        (b"\x05alias", A),
        *((b"\x0chost-%07d" % number, A) for number in range(0, names, max(names // 1000, 1))),
    ]
    made = [query(name + _WIRE, rdtype) for name, rdtype in kinds]
    # Half of them are of the first four kinds.
    return [each for number, host in enumerate(made[4:]) for each in (host, made[number % 4])]
