"""What a zone may have, but is probably a mistake: warnings for ``check``.

Each function yields (RRset, text) for what it finds. All look at each name and each record once,
and at the labels of a name: their time grows with the size of the zone and not faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from xdpkit._core._rrset import RRset
from xdpkit.errors import ERRORS_MAX
from xdpkit.services.dns.zonefile.lint_signatures import signature_warnings
from xdpkit.services.dns.zonefile.zone import (
    AAAA,
    CNAME,
    DNAME,
    HTTPS,
    MX,
    NS,
    PTR,
    ROOT,
    SOA,
    SRV,
    SVCB,
    A,
    Zone,
    find,
    host_at,
    is_below,
    name_text,
    parent,
)

Found = Iterator[tuple[RRset, str]]

# Where the name begins in an RDATA: RFC 1035 section 3.3, RFC 2782, RFC 6672, RFC 9460.
NAME_AT = {NS: 0, CNAME: 0, SOA: 0, PTR: 0, MX: 2, SRV: 6, DNAME: 0, SVCB: 2, HTTPS: 2}

# Types whose name must have addresses and be no alias: RFC 2181 section 10.3, RFC 2782.
OF_HOSTS = {NS: "NS", MX: "MX", SRV: "SRV"}

# RFC 2308 section 5: negative TTLs above a day have been found to be problematic.
NEGATIVE_TTL_MAX = 86400


def lint(
    zone: Zone,
    now: int,
    served: int | None = None,
    elsewhere: Callable[[bytes], bool] = lambda _: False,
) -> None:
    """Adds to the warnings of a zone, as read and before it is compiled.

    ``now`` is in seconds since the epoch, ``served`` the serial that the zone has where it is
    served, and ``elsewhere`` tells of a name in this zone whether it is that of another.
    """
    for found in (
        doubled_names(zone),
        hosts(zone, elsewhere),
        missing_aliases(zone, elsewhere),
        start_of_authority(zone, served),
        signature_warnings(zone, now),
    ):
        # What else a zone of a million mistakes has is not told anyway.
        for rrset, text in islice(found, ERRORS_MAX):
            zone.warn(rrset.path, rrset.line, text)


def _is_delegated(zone: Zone, name: bytes) -> bool:
    return name != zone.origin and any(rrset.rdtype == NS for rrset in zone.nodes.get(name, ()))


class _Twice:
    """Recognizes names that end in the zone's name twice, as without the final dot.

    None does if that is a zone of its own, as ``com.com`` is.
    """

    def __init__(self, zone: Zone) -> None:
        self._origin = zone.origin
        self._end = zone.origin[:-1] + zone.origin
        self._may_be = zone.origin == ROOT or _is_delegated(zone, self._end.lower())

    def meant(self, name: bytes) -> str:
        """What such a name was probably to be, or ""; the name is in lower case."""
        if self._may_be or not name.endswith(self._end) or not is_below(name, self._end):
            return ""
        return f"{name_text(name[: len(name) - len(self._origin)] + ROOT)}."


def doubled_names(zone: Zone) -> Found:
    """Owner names and names in records that lack the final dot."""
    twice = _Twice(zone)
    for owner, rrsets in zone.nodes.items():
        if rrsets and (meant := twice.meant(owner)):
            yield (
                rrsets[0],
                f"the owner {name_text(owner)} {_fix(meant)}",
            )
        for rrset in rrsets:
            at = NAME_AT.get(rrset.rdtype)
            if at is None:
                continue
            for rdata in rrset.rdatas:
                for name in _names(rrset.rdtype, rdata.lower(), at):
                    if meant := twice.meant(name):
                        yield rrset, f"{name_text(name)} {_fix(meant)}"


def _fix(meant: str) -> str:
    return f"has the zone's name twice: write {meant} with a dot at the end"


def _names(rdtype: int, rdata: bytes, at: int) -> Iterator[bytes]:
    yield (first := host_at(rdata, at))
    if rdtype == SOA:
        yield host_at(rdata, len(first))


# -------------------------------------------------------------------------------------------------


def _home(zone: Zone, name: bytes, elsewhere: Callable[[bytes], bool]) -> list[RRset] | bytes:
    """The records at a name of the zone, by way of a wildcard too, none if there is no such name.

    If it belongs to another zone, that one's name; ``ROOT`` if a DNAME leads away.
    """
    if left := _left_at(zone, name):
        return left
    if name in zone.nodes:
        return zone.nodes[name]
    found = _wildcard(zone, name)
    if any(rrset.rdtype in (NS, DNAME) for rrset in found):
        return ROOT
    return found or _other(zone, name, elsewhere)


def _left_at(zone: Zone, name: bytes) -> bytes:
    """Where a name leaves the zone: the highest cut, or ``ROOT`` for a DNAME; empty if it stays."""
    left = b""
    above = name
    while above != zone.origin:
        if _is_delegated(zone, above):
            left = above
        above = parent(above)
        if find(zone.nodes.get(above, ()), DNAME):
            left = ROOT
    return left


def _wildcard(zone: Zone, name: bytes) -> list[RRset]:
    """The records that a wildcard gives a name that does not exist."""
    while name != zone.origin:
        name = parent(name)
        if found := zone.nodes.get(b"\1*" + name):
            return found
        if name in zone.nodes:
            break
    return []


def _other(zone: Zone, name: bytes, elsewhere: Callable[[bytes], bool]) -> list[RRset] | bytes:
    """The zone beside this one that a missing name belongs to, or no records."""
    while name != zone.origin:
        if elsewhere(name):
            return name
        name = parent(name)
    return []


def hosts(zone: Zone, elsewhere: Callable[[bytes], bool]) -> Found:
    """Names of servers in the zone that have no address, or are aliases."""
    twice = _Twice(zone)
    said: set[tuple[int, bytes]] = set()
    for owner, rrsets in zone.nodes.items():
        for rrset in rrsets:
            kind = OF_HOSTS.get(rrset.rdtype)
            if kind is None:
                continue
            for rdata in rrset.rdatas:
                name = host_at(rdata, NAME_AT[rrset.rdtype]).lower()
                # RFC 7505 and RFC 2782: a single dot is no server.
                if name == ROOT or not is_below(name, zone.origin) or twice.meant(name):
                    continue
                text = _host_text(zone, kind, owner, name, elsewhere)
                if text and (rrset.rdtype, name) not in said:
                    said.add((rrset.rdtype, name))
                    yield rrset, text


def _host_text(
    zone: Zone, kind: str, owner: bytes, name: bytes, elsewhere: Callable[[bytes], bool]
) -> str:
    """What is wrong with the name of a server, or ""."""
    home = _home(zone, name, elsewhere)
    text = name_text(name)
    if isinstance(home, bytes):
        # The addresses are in another zone; of a delegation's own servers, here too, as glue.
        if kind != "NS" or home != owner or _has_address(zone.nodes.get(name, ())):
            return ""
        return (
            f"no glue for {text}, a server of {name_text(owner)} inside it: nobody can ask it for "
            f"its own address; write {text}. A ADDRESS"
        )
    if found := find(home, CNAME):
        return (
            f"the {kind} record's {text} is an alias ({found[0].path}:{found[0].line}), which RFC "
            "2181 section 10.3 forbids: name a host that has the addresses itself"
        )
    if _has_address(home):
        return ""
    return (
        f"the {kind} record's {text} has no address in this zone: write {text}. A ADDRESS, or a dot"
        " after the name if it is another zone's"
    )


def _has_address(rrsets: tuple[RRset, ...] | list[RRset]) -> bool:
    return any(rrset.rdtype in (A, AAAA) for rrset in rrsets)


def missing_aliases(zone: Zone, elsewhere: Callable[[bytes], bool]) -> Found:
    """Aliases of names in the zone that do not exist."""
    twice = _Twice(zone)
    for rrsets in zone.nodes.values():
        for rrset in rrsets:
            if rrset.rdtype != CNAME:
                continue
            name = rrset.rdatas[0].lower()
            if not is_below(name, zone.origin) or twice.meant(name):
                continue
            if _home(zone, name, elsewhere) == []:
                text = name_text(name)
                yield (
                    rrset,
                    f"an alias of {text}, which does not exist in this zone: write a dot "
                    "after the name if it is another zone's",
                )


# -------------------------------------------------------------------------------------------------


def start_of_authority(zone: Zone, served: int | None) -> Found:
    """Timers that do not fit each other, a serial that goes backwards, a single server."""
    soa = zone.soa
    refresh, retry, expire = (
        int.from_bytes(soa.rdatas[0][at : at + 4 or None], "big") for at in (-16, -12, -8)
    )
    serial = zone.serial
    if served is not None and (serial - served) % (1 << 32) >= 1 << 31:
        yield (
            soa,
            f"the serial {serial} is behind {served}, which is served now (RFC 1982): "
            "secondaries would take the new zone for an older one; write a larger serial",
        )
    if zone.negative_ttl > NEGATIVE_TTL_MAX:
        yield (
            soa,
            f"a name that does not exist would be remembered for {zone.negative_ttl} s, over a "
            "day, after it was added: make MINIMUM, the last number, smaller (RFC 2308 section 5)",
        )
    if retry > refresh:
        yield (
            soa,
            f"secondaries would retry after {retry} s, later than REFRESH ({refresh} s): make "
            "RETRY smaller",
        )
    if expire < refresh + retry:
        yield (
            soa,
            f"secondaries would drop the zone after {expire} s, before they have tried twice "
            f"(REFRESH and RETRY, {refresh + retry} s): make EXPIRE larger",
        )
    for servers in find(zone.nodes[zone.origin], NS):
        if len(servers.rdatas) == 1:
            text = "a single server: if it fails, so does the zone; add a second NS record"
            yield servers, f"{text} (RFC 2182 section 5)"
