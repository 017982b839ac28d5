"""Reads a master file (RFC 1035 section 5) and refuses what cannot be served rightly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO, cast

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zonefile

from xdpkit.dns.plain_lines import Lines, plain, wire_name, wire_rdata
from xdpkit.dns.sources import SUFFIX, Reading
from xdpkit.dns.zone import (
    CNAME,
    DNAME,
    DS,
    NS,
    NSEC,
    NSEC3,
    OPT,
    RRSIG,
    SOA,
    RRset,
    Zone,
    is_below,
    parent,
    text,
)
from xdpkit.errors import ZoneError

# May stand beside a CNAME: KEY, RRSIG and NSEC (RFC 2181 section 10.1, RFC 4034 sections 3 and 4).
BESIDE_CNAME = frozenset({25, RRSIG, NSEC})

# One record each: RFC 1035 section 3.3.13, RFC 2181 section 10.1, RFC 6672 section 2.4.
SINGLE = frozenset({SOA, CNAME, DNAME})

# Types 128 to 255 are for questions (RFC 6895 section 3.1), OPT is for messages, 0 is reserved.
NOT_DATA = frozenset({0, OPT, *range(128, 256)})

# RFC 2181 section 8: a TTL with the topmost bit set counts as 0, which nobody who writes it means.
TTL_MAX = 0x7FFFFFFF

# An RRset above this cannot be in any message (RFC 1035 section 4.2.2), however short the name.
RDATA_MAX = 65535 - 12 - 255 - 4 - 11

# In front of each RDATA: a pointer to the owner, type, class, TTL and length.
RECORD_FIXED = 12

TOO_MANY = "more records of one name and type than a DNS message of 64 KiB holds"

# Files that include one another at most: more is a loop.
INCLUDES_MAX = 32


def zone_name(path: Path) -> bytes:
    """The lower-cased wire name that a file is the zone of; raises ZoneError if it is none."""
    stem = path.name.removesuffix(SUFFIX)
    try:
        name = dns.name.from_text(stem)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ZoneError(path, f"{stem!r} is no domain name ({error}); rename the file") from None
    wire = name.to_digestable()
    if name.is_wild():
        raise ZoneError(
            path, "a zone cannot be named by a wildcard; write its records in the zone above"
        )
    return wire


class _Tokenizer(dns.tokenizer.Tokenizer):
    """Remembers where the newest line began: dnspython counts on before an error shows.

    Where a line begins, the sink may take over what is plain.
    """

    line = 1

    def __init__(self, file: TextIO, path: Path, sink: _Sink) -> None:
        self.lines, self._sink = Lines(file), sink
        super().__init__(cast(TextIO, self.lines), str(path))

    def get(self, want_leading: bool = False, want_comment: bool = False) -> dns.tokenizer.Token:
        if want_comment:  # only asked for where a line begins
            self.line = self.line_number
            if self.ungotten_token is None and self.ungotten_char is None:
                self._take_plain()
        return super().get(want_leading, want_comment)

    def _take_plain(self) -> None:
        while self._sink.take(self.lines.peek()):
            self.lines.skip()
            self.line_number += 1
            self.line = self.line_number
        self._sink.taken()


class _Reader(dns.zonefile.Reader):
    """dnspython's reader, which knows at each record where the record began."""

    start: tuple[str, int] | None = None

    def __init__(self, reading: Reading, *args: Any, **options: Any) -> None:
        self._reading = reading
        super().__init__(*args, **options)

    @property
    def current_file(self) -> Any:
        """What $INCLUDE opened last and is not read to its end."""
        return self._included

    @current_file.setter
    def current_file(self, file: Any) -> None:
        # Just opened by name: its content is to be remembered with the zone's.
        path = getattr(file, "name", None)
        if path is not None:
            file.close()
            if len(self.saved_state) > INCLUDES_MAX:
                raise dns.exception.SyntaxError(  # type: ignore[no-untyped-call]
                    f"$INCLUDE in $INCLUDE, {INCLUDES_MAX} deep; does a file include itself?"
                )
            file = self._reading.open(path)
        self._included = file

    def _rr_line(self) -> None:
        self.start = self._line()
        super()._rr_line()
        self.start = None

    def _generate_line(self) -> None:
        self.start = self._line()
        super()._generate_line()  # type: ignore[no-untyped-call]
        self.start = None

    def stated_ttl(self) -> int | None:
        """The TTL of $TTL; None without one."""
        from_soa = getattr(self, "default_ttl_from_soa", False)
        return self.default_ttl if self.default_ttl_known and not from_soa else None

    def place(self) -> tuple[str, int]:
        """File and line of the record at hand, or of the directive."""
        return self.start or self._line()

    def _line(self) -> tuple[str, int]:
        path, line = self.tok.where()
        # The tokenizer of an included file is dnspython's plain one.
        return path, getattr(self.tok, "line", line)

    def close(self) -> None:
        """Closes what $INCLUDE opened; read() does so only when all went well."""
        for opened in (self.current_file, *(state[3] for state in self.saved_state)):
            if opened is not None:
                opened.close()


class _Sink:
    """Stands where dnspython's reader wants a transaction, and fills a Zone.

    dnspython's own zone objects take over 1 kB a record; a million names want less.
    """

    def __init__(self, zone: Zone, progress: Callable[[int], None] | None) -> None:
        self.zone, self.progress, self.count = zone, progress, 0
        self.manager = self
        self.reader: _Reader | None = None
        self._last: tuple[dns.name.Name | None, bytes] = (None, b"")
        self._origin: tuple[dns.name.Name | None, bytes] = (None, b"")
        self._plain_owner: bytes | None = None
        """Of the plain line before this one."""

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        """The zone's name, and that names stay absolute."""
        # The root as origin makes the reader hand over names out of the zone: it would skip them.
        return dns.name.root, False, dns.name.root

    def check_put_rdataset(self, check: Any) -> None:
        """The checks are ours: see add()."""

    def _set_origin(self, origin: dns.name.Name) -> None:
        """$ORIGIN is the reader's affair."""

    def add(self, name: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> None:
        """Takes a record over; raises ZoneError at its line."""
        try:
            wire = rdata.to_wire() or b""
        except (ValueError, dns.exception.DNSException) as error:
            raise self.error(str(error)) from None
        self._add(self._owner(name), ttl, int(rdata.rdtype), int(rdata.covers()), wire)

    def _owner(self, name: dns.name.Name) -> bytes:
        if name is not self._last[0]:
            self._last = (name, name.to_digestable())
        return self._last[1]

    def take(self, line: str) -> bool:
        """Takes a whole line over if it is plain. Raises ZoneError."""
        parts, reader = plain(line), self.reader
        if parts is None or reader is None or reader.current_origin is None:
            return False
        name, stated, rdtype, text = parts
        if self._origin[0] is not reader.current_origin:
            self._origin = (reader.current_origin, reader.current_origin.to_wire() or b"")
        origin = self._origin[1]
        owner = wire_name(name, origin) if name else self._plain_owner
        ttl = reader.stated_ttl() if stated is None else int(stated)
        wire = wire_rdata(rdtype, text, origin)
        if owner is None or wire is None or ttl is None or ttl > TTL_MAX:
            return False
        if name:
            owner = self._plain_owner = owner.lower()
        if stated is not None:
            reader.last_ttl, reader.last_ttl_known = ttl, True
        self._add(owner, ttl, rdtype, 0, wire)
        return True

    def taken(self) -> None:
        """No plain line follows: tells dnspython what a line without an owner is about."""
        if self._plain_owner is not None and self.reader is not None:
            self.reader.last_name = dns.name.from_wire(self._plain_owner, 0)[0]
            self._last = (self.reader.last_name, self._plain_owner)
            self._plain_owner = None

    def _add(self, owner: bytes, ttl: int, rdtype: int, covers: int, wire: bytes) -> None:
        try:
            self._check(owner, rdtype, ttl)
            rrset = self._rrset(owner, rdtype, covers, ttl)
        except (ValueError, dns.exception.DNSException) as error:
            raise self.error(str(error)) from None
        # RFC 2181 section 5: a record that is there twice is there once.
        if wire not in rrset.rdatas:
            if rdtype in SINGLE and rrset.rdatas:
                raise self.error(f"a second {_shown(rdtype)} at {text(owner)}")
            rrset.rdatas.append(wire)
            # Now, for each record is compared with all before it.
            if len(rrset.rdatas) * RECORD_FIXED > RDATA_MAX:
                raise rrset.error(TOO_MANY)
        # RFC 2181 section 5.2: one TTL for the RRset; the lowest does no harm.
        rrset.ttl = min(rrset.ttl, ttl)
        self.count += 1
        if self.progress is not None and self.count % 20000 == 0:
            self.progress(self.count)

    def _check(self, owner: bytes, rdtype: int, ttl: int) -> None:
        if not is_below(owner, self.zone.origin):
            raise ValueError(
                f"{text(owner)} is not in the zone {text(self.zone.origin)}; move it or $ORIGIN"
            )
        if rdtype in NOT_DATA:
            raise ValueError(f"{_shown(rdtype)} is a type for messages, not for zones")
        if ttl > TTL_MAX:
            raise ValueError(f"the TTL {ttl} is above {TTL_MAX} (RFC 2181 section 8)")
        if rdtype == DNAME and owner.startswith(b"\1*"):
            # RFC 6672 section 3.3: what it would mean is left open.
            raise ValueError("a wildcard cannot own a DNAME; write it at the name above")
        apex = owner == self.zone.origin
        if rdtype == SOA and not apex:
            raise ValueError(
                f"a SOA below the zone's name; make {text(owner)} a zone file of its own"
            )
        if rdtype == DS and apex:
            raise ValueError("a DS at the zone's own name belongs into the zone above")
        if rdtype == NS and owner.startswith(b"\1*"):
            # RFC 4592 section 4.2 leaves it undefined what such a delegation would mean.
            raise ValueError("a wildcard cannot be delegated; write the NS at each name")

    def _rrset(self, owner: bytes, rdtype: int, covers: int, ttl: int) -> RRset:
        rrsets = self.zone.nodes.setdefault(owner, [])
        for rrset in rrsets:
            if rrset.rdtype == rdtype and rrset.covers == covers:
                return rrset
            # RFC 1034 section 3.6.2.
            if CNAME in (rrset.rdtype, rdtype) and not {rrset.rdtype, rdtype} & BESIDE_CNAME:
                raise ValueError(f"a CNAME and other data at {text(owner)}; keep one of them")
        path, line = self.place()
        rrsets.append(RRset(rdtype, covers, ttl, path, line))
        return rrsets[-1]

    def place(self) -> tuple[str, int]:
        """File and line of the record at hand."""
        return (str(self.zone.path), 1) if self.reader is None else self.reader.place()

    def error(self, reason: str) -> ZoneError:
        """A ZoneError here and now."""
        path, line = self.place()
        return ZoneError(path, reason, line)


def _shown(rdtype: int) -> str:
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rdtype))


def _sentence(error: Exception, place: tuple[str, int]) -> str:
    """dnspython's words without the place that it puts in front, in one line."""
    said = " ".join(str(error).split()) or type(error).__name__
    if said.endswith(dns.exception.SyntaxError.__doc__ or "?"):
        return "the line is malformed or incomplete"
    head, _, tail = said.partition(": ")
    if head.rpartition(":")[0] == place[0] and tail:
        said = tail
    return said.partition("caught exception <class ")[2].partition(">: ")[2] or said


def read_zone(
    path: Path, progress: Callable[[int], None] | None = None, reading: Reading | None = None
) -> Zone:
    """Reads and checks one master file; $INCLUDE is relative to the working directory.

    ``progress`` is called with the records read so far, every 20,000; ``reading`` remembers what
    was opened. Raises ZoneError with file and line.
    """
    reading = reading or Reading()
    zone = Zone(zone_name(path), path)
    sink = _Sink(zone, progress)
    try:
        with reading.open(path, zone=True) as file:
            reader = _Reader(
                reading,
                _Tokenizer(file, path, sink),
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
        place = sink.place()
        raise ZoneError(place[0], _sentence(error, place), place[1]) from None
    apex = {rrset.rdtype: rrset for rrset in zone.nodes.get(zone.origin, [])}
    if SOA not in apex:
        raise ZoneError(
            path, f"no SOA for {text(zone.origin)}, the zone that the file is named after", 1
        )
    if NS not in apex:
        raise apex[SOA].error(f"no NS record for {text(zone.origin)} itself")
    for rrset in (rrset for rrsets in zone.nodes.values() for rrset in rrsets):
        if sum(map(len, rrset.rdatas)) + RECORD_FIXED * len(rrset.rdatas) > RDATA_MAX:
            raise rrset.error(TOO_MANY)
    _check_dnames(zone)
    zone.names = len(zone.nodes)
    return zone


def _check_dnames(zone: Zone) -> None:
    """A DNAME redirects all below it, and so nothing else may be there: RFC 6672 sections 2.3, 2.4.

    An apex DNAME leaves the hashed owner names of NSEC3 alone.
    """
    dnames = {
        name
        for name, rrsets in zone.nodes.items()
        if any(rrset.rdtype == DNAME for rrset in rrsets)
    }
    for name in dnames - {zone.origin}:
        for rrset in zone.nodes[name]:
            if rrset.rdtype == NS:
                raise rrset.error(f"a DNAME and a delegation at {text(name)}; keep one of them")
    for name, rrsets in zone.nodes.items() if dnames else ():
        above = name
        while above != zone.origin:
            above = parent(above)
            if above not in dnames:
                continue
            for rrset in rrsets:
                if NSEC3 not in (rrset.rdtype, rrset.covers):
                    raise rrset.error(
                        f"{text(name)} is below the DNAME of {text(above)}, which hides it;"
                        " remove one of them"
                    )
