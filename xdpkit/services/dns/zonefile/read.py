"""Reads a master file (RFC 1035 section 5) and refuses what cannot be served correctly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dns.exception
import dns.name
import dns.rdataclass

from xdpkit.errors import ZoneError
from xdpkit.services.dns.zonefile.master_file import Reader, Tokenizer
from xdpkit.services.dns.zonefile.records import RDATA_MAX, RECORD_FIXED, TOO_MANY, Sink
from xdpkit.services.dns.zonefile.sources import SUFFIX, Reading
from xdpkit.services.dns.zonefile.zone import DNAME, NS, NSEC3, SOA, Zone, name_text, parent


def zone_name(path: Path) -> bytes:
    """The lower-cased wire name of the zone in a file; raises ZoneError if the name is invalid."""
    stem = path.name.removesuffix(SUFFIX)
    try:
        name = dns.name.from_text(stem)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ZoneError(path, f"{stem!r} is not a domain name ({error}); rename the file") from None
    wire = name.to_digestable()
    if name.is_wild():
        raise ZoneError(
            path, "a zone name cannot be a wildcard; put its records into the zone above"
        )
    return wire


def _error_text(error: Exception, location: tuple[str, int]) -> str:
    """dnspython's message in one line, without the location that it begins with."""
    message = " ".join(str(error).split()) or type(error).__name__
    if message.endswith(dns.exception.SyntaxError.__doc__ or "?"):
        return "the line is malformed or incomplete"
    head, _, tail = message.partition(": ")
    if head.rpartition(":")[0] == location[0] and tail:
        message = tail
    return message.partition("caught exception <class ")[2].partition(">: ")[2] or message


def read_zone(
    path: Path, progress: Callable[[int], None] | None = None, reading: Reading | None = None
) -> Zone:
    """Reads and checks one master file; $INCLUDE is relative to the working directory.

    ``progress`` is called with the number of records so far, every 20,000; ``reading`` records what
    was opened. Raises ZoneError with file and line.
    """
    reading = reading or Reading()
    zone = Zone(zone_name(path), path)
    sink = Sink(zone, progress)
    try:
        with reading.open(path, zone=True) as file:
            reader = Reader(
                reading,
                Tokenizer(file, path, sink),
                dns.rdataclass.IN,
                sink,
                allow_include=True,
            )
            reader.current_origin = reader.last_name = dns.name.from_wire(zone.origin, 0)[0]
            sink.reader = reader
            try:
                reader.read()
            finally:
                reader.close()
    except (dns.exception.DNSException, OSError, ValueError, RecursionError) as error:
        if sink.reader is None:
            raise ZoneError(path, f"cannot be read: {getattr(error, 'strerror', error)}") from None
        location = sink.location()
        raise ZoneError(location[0], _error_text(error, location), location[1]) from None
    apex = {rrset.rdtype: rrset for rrset in zone.nodes.get(zone.origin, [])}
    if SOA not in apex:
        raise ZoneError(
            path, f"no SOA for {name_text(zone.origin)}, the zone that the file is named after", 1
        )
    if NS not in apex:
        raise apex[SOA].error(f"no NS record for {name_text(zone.origin)} itself")
    for rrset in (rrset for rrsets in zone.nodes.values() for rrset in rrsets):
        if sum(map(len, rrset.rdatas)) + RECORD_FIXED * len(rrset.rdatas) > RDATA_MAX:
            raise rrset.error(TOO_MANY)
    _check_dnames(zone)
    zone.names = len(zone.nodes)
    return zone


def _check_dnames(zone: Zone) -> None:
    """A DNAME redirects all names below it, so none may exist there: RFC 6672 sections 2.3, 2.4.

    An apex DNAME does not affect the hashed owner names of NSEC3.
    """
    dnames = {
        name
        for name, rrsets in zone.nodes.items()
        if any(rrset.rdtype == DNAME for rrset in rrsets)
    }
    for name in dnames - {zone.origin}:
        for rrset in zone.nodes[name]:
            if rrset.rdtype == NS:
                raise rrset.error(
                    f"a DNAME and a delegation at {name_text(name)}; keep one of them"
                )
    for name, rrsets in zone.nodes.items() if dnames else ():
        above = name
        while above != zone.origin:
            above = parent(above)
            if above not in dnames:
                continue
            for rrset in rrsets:
                if NSEC3 not in (rrset.rdtype, rrset.covers):
                    raise rrset.error(
                        f"{name_text(name)} is below the DNAME of {name_text(above)}, which"
                        " hides it; remove one of them"
                    )
