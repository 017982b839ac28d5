"""Reads a master file (RFC 1035 section 5) and refuses what cannot be served correctly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import dns.exception
import dns.rdataclass

from xdpkit._core._master_file import MasterFile, remarkable
from xdpkit._core._rrset import RRset
from xdpkit.errors import ERRORS_MAX, ZoneError
from xdpkit.services.dns.zonefile.diagnosis import errors
from xdpkit.services.dns.zonefile.error_list import located, zone_error
from xdpkit.services.dns.zonefile.limits import BoundError
from xdpkit.services.dns.zonefile.master_file import Reader, Tokenizer
from xdpkit.services.dns.zonefile.records import RDATA_MAX, RECORD_FIXED, TOO_MANY, Sink
from xdpkit.services.dns.zonefile.sources import Reading
from xdpkit.services.dns.zonefile.zone import DNAME, NS, NSEC3, SOA, Zone, name_text, parent
from xdpkit.services.dns.zonefile.zone_name import zone_name


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
        file = reading.open(path, zone=True)
    except (OSError, ValueError) as error:
        raise ZoneError(path, f"cannot be read: {getattr(error, 'strerror', error)}") from None
    try:
        with closing(file):
            if not sink.read(file):
                _read_rest(file, sink, reading)
    except (dns.exception.DNSException, OSError, ValueError, RecursionError, ZoneError) as error:
        first = _first(sink, error)
    finally:
        sink.reader = None
    if first:
        # There may not be memory for two of them.
        zone.nodes.clear()
        if isinstance(first, BoundError):
            raise located([first])[0]
        raise diagnosis(path, first, progress, reading.again())
    if found := list(islice(problems(zone), ERRORS_MAX)):
        raise zone_error(path, located(found), reading.told)
    zone.names = len(zone.nodes)
    zone.size = reading.budget.used
    return zone


def _read_rest(file: MasterFile, sink: Sink, reading: Reading) -> None:
    """Reads on where something is not plain."""
    reader = Reader(reading, Tokenizer(file, sink), dns.rdataclass.IN, sink, allow_include=True)
    sink.attach(reader)
    try:
        reader.read()
    finally:
        reader.close()


def _first(sink: Sink, error: Exception) -> ZoneError:
    """The reader's exception with the line at which it was.

    Raises MemoryError where that is what dnspython made a syntax error of.
    """
    origin: BaseException | None = error
    while origin:
        if isinstance(origin, MemoryError):
            raise origin
        origin = origin.__context__
    if isinstance(error, ZoneError):
        return error
    path, line = sink.location()
    return ZoneError(path, " ".join(str(error).split()) or type(error).__name__, line)


def diagnosis(
    path: Path, first: ZoneError, progress: Callable[[int], None] | None, reading: Reading
) -> ZoneError:
    """All that is wrong with a file in which ``first`` was met; it is read again for that."""
    zone = Zone(zone_name(path), path)
    found: list[ZoneError] = []
    try:
        with closing(reading.open(path, zone=True)) as file:
            found += errors(Sink(zone, progress), file, reading)
    except OSError as error:
        found.append(ZoneError(path, f"cannot be read: {error.strerror}"))
    except MemoryError:
        # The zone compiler's limit: the error must not become one about memory.
        found.clear()
    if not found:
        # Or the file has changed meanwhile, and is right now.
        return first
    # What records that could not be read would have been is unknown: a missing one is no error.
    more = (error for error in problems(zone) if "no " not in error.reason[:3])
    found += islice(more, ERRORS_MAX)
    zone.nodes.clear()
    return zone_error(path, located(found), reading.told)


def problems(zone: Zone) -> Iterator[ZoneError]:
    """What is wrong with a zone as a whole; what is doubtful becomes a warning."""
    apex = {rrset.rdtype: rrset for rrset in zone.nodes.get(zone.origin, [])}
    if SOA not in apex:
        reason = (
            f"no SOA for {name_text(zone.origin)}, the zone that the file is named after: write "
            "@ SOA PRIMARY MAILBOX SERIAL REFRESH RETRY EXPIRE MINIMUM, or rename the file"
        )
        yield ZoneError(zone.path, reason, 1)
        return
    if NS not in apex:
        text = f"no NS record for {name_text(zone.origin)} itself: write @ NS NAME"
        zone.warn(apex[SOA].path, apex[SOA].line, text)
    dnames, large = remarkable(zone.nodes, DNAME, RECORD_FIXED, RDATA_MAX)
    for rrset in large:
        zone.warn(rrset.path, rrset.line, TOO_MANY)
    if dnames:
        yield from _check_dnames(zone, dnames)


def _check_dnames(zone: Zone, dnames: dict[bytes, list[RRset]]) -> Iterator[ZoneError]:
    """A DNAME redirects all names below it, so none may exist there: RFC 6672 sections 2.3, 2.4.

    An apex DNAME does not affect the hashed owner names of NSEC3.
    """
    for name, rrsets in dnames.items():
        for rrset in rrsets:
            if rrset.rdtype == NS and name != zone.origin:
                yield rrset.error(
                    f"a DNAME and a delegation at {name_text(name)}; keep one of them"
                )
    for name, rrsets in zone.nodes.items():
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
