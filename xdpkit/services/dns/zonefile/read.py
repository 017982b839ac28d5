"""Reads a master file (RFC 1035 section 5) and refuses what cannot be served correctly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dns.exception
import dns.name
import dns.rdataclass

from xdpkit.errors import ZoneError
from xdpkit.services.dns.zonefile.diagnosis import errors
from xdpkit.services.dns.zonefile.error_list import located, zone_error
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


def read_zone(
    path: Path, progress: Callable[[int], None] | None = None, reading: Reading | None = None
) -> Zone:
    """Reads and checks one master file; $INCLUDE is relative to the working directory.

    ``progress`` is called with the number of records so far, every 20,000; ``reading`` records what
    was opened. Raises ZoneError with everything that is wrong, each with line and column.
    """
    reading = reading or Reading()
    zone = Zone(zone_name(path), path)
    sink = Sink(zone, progress)
    first: ZoneError | None = None
    try:
        with reading.open(path, zone=True) as file:
            tokenizer = Tokenizer(file, path, sink)
            reader = Reader(reading, tokenizer, dns.rdataclass.IN, sink, allow_include=True)
            reader.current_origin = reader.last_name = sink.origin_name()
            sink.reader = reader
            try:
                reader.read()
            finally:
                reader.close()
    except (dns.exception.DNSException, OSError, ValueError, RecursionError, ZoneError) as error:
        if sink.reader is None:
            raise ZoneError(path, f"cannot be read: {getattr(error, 'strerror', error)}") from None
        first = _first(sink, error)
    if first:
        # There may not be memory for two of them.
        zone.nodes.clear()
        raise diagnosis(path, first, progress)
    if found := located(problems(zone)):
        raise zone_error(path, found)
    zone.names = len(zone.nodes)
    return zone


def _first(sink: Sink, error: Exception) -> ZoneError:
    """The reader's exception with the line at which it was."""
    if isinstance(error, ZoneError):
        return error
    path, line = sink.location()
    return ZoneError(path, " ".join(str(error).split()) or type(error).__name__, line)


def diagnosis(
    path: Path, first: ZoneError, progress: Callable[[int], None] | None = None
) -> ZoneError:
    """All that is wrong with a file in which ``first`` was met; it is read again for that."""
    zone = Zone(zone_name(path), path)
    reading = Reading()
    found: list[ZoneError] = []
    try:
        with reading.open(path, zone=True) as file:
            found += errors(Sink(zone, progress), str(path), file, reading)
    except OSError as error:
        found.append(ZoneError(path, f"cannot be read: {error.strerror}"))
    except MemoryError:
        # The zone compiler's limit: the error must not become one about memory.
        found.clear()
    if not found:
        # Or the file has changed meanwhile, and is right now.
        return first
    # What records that could not be read would have been is unknown: a missing one is no error.
    found += [error for error in problems(zone) if "no " not in error.reason[:3]]
    return zone_error(path, located(found))


def problems(zone: Zone) -> list[ZoneError]:
    """What is wrong with a zone as a whole."""
    apex = {rrset.rdtype: rrset for rrset in zone.nodes.get(zone.origin, [])}
    if SOA not in apex:
        reason = (
            f"no SOA for {name_text(zone.origin)}, the zone that the file is named after: write "
            "@ SOA PRIMARY MAILBOX SERIAL REFRESH RETRY EXPIRE MINIMUM, or rename the file"
        )
        return [ZoneError(zone.path, reason, 1)]
    found = []
    if NS not in apex:
        reason = f"no NS record for {name_text(zone.origin)} itself: write @ NS NAME"
        found.append(apex[SOA].error(reason))
    for rrset in (rrset for rrsets in zone.nodes.values() for rrset in rrsets):
        if sum(map(len, rrset.rdatas)) + RECORD_FIXED * len(rrset.rdatas) > RDATA_MAX:
            found.append(rrset.error(TOO_MANY))
    return found + list(_check_dnames(zone))


def _check_dnames(zone: Zone) -> Iterator[ZoneError]:
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
                yield rrset.error(
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
                    yield rrset.error(
                        f"{name_text(name)} is below the DNAME of {name_text(above)}, which"
                        " hides it; remove one of them"
                    )
