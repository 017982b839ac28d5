"""Takes the records of a master file one by one, and refuses those that a zone cannot have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdatatype

from xdpkit._core._master_file import FEW, NAMES, MasterFile, RecordReader
from xdpkit._core._rrset import RRset
from xdpkit.errors import ZoneError
from xdpkit.services.dns.zonefile.limits import TYPES_AT_NAME, too_many_types
from xdpkit.services.dns.zonefile.master_file import STATED_BEFORE_MINIMUM, Reader
from xdpkit.services.dns.zonefile.zone import (
    CNAME,
    DNAME,
    DS,
    NS,
    NSEC,
    OPT,
    RRSIG,
    SOA,
    Zone,
    is_below,
    name_text,
)

# May exist beside a CNAME: KEY, RRSIG and NSEC (RFC 2181 section 10.1, RFC 4034 sections 3 and 4).
BESIDE_CNAME = frozenset({25, RRSIG, NSEC})

# One record each: RFC 1035 section 3.3.13, RFC 2181 section 10.1, RFC 6672 section 2.4.
SINGLE = frozenset({SOA, CNAME, DNAME})

# Types 128 to 255 are for questions (RFC 6895 section 3.1), OPT is for messages, 0 is reserved.
NOT_DATA = frozenset({0, OPT, *range(128, 256)})

# RFC 2181 section 8: a TTL with the top bit set counts as 0.
TTL_MAX = 0x7FFFFFFF

# A larger RRset does not fit any message (RFC 1035 section 4.2.2), however short the name.
RDATA_MAX = 65535 - 12 - 255 - 4 - 11

# Before each RDATA: a pointer to the owner, type, class, TTL and length.
RECORD_FIXED = 12

TOO_MANY = (
    "more records of one name and type than a DNS message of 64 KiB holds: the answer is empty and"
    " truncated, over TCP too; remove some"
)


class Sink(RecordReader):
    """Takes the place of a transaction of dnspython's reader, and fills a Zone.

    dnspython's own zone objects take over 1 kB per record; too much for a million names. Plain
    records do not even reach it: ``read`` adds them in C, by way of ``_add`` where that is not
    simple.
    """

    def __init__(self, zone: Zone, progress: Callable[[int], None] | None) -> None:
        super().__init__(zone.nodes, zone.origin, progress, STATED_BEFORE_MINIMUM)
        self.zone = zone
        self.reader: Reader | None = None
        self._last: tuple[dns.name.Name | None, bytes] = (None, b"")
        self._origin: tuple[dns.name.Name | None, bytes] = (None, b"")
        self._indexes: dict[bytes, dict[tuple[int, int], RRset]] = {}
        """Of the names that have many types."""
        self._seen: dict[int, set[bytes]] = {}
        """The records of large RRsets, names in lower case, by id()."""

    @property
    def manager(self) -> Sink:
        """What dnspython asks for the origin."""
        return self

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        """The origin for dnspython, and that names stay absolute."""
        # With the root as origin, the reader also passes names outside the zone, not skipping them.
        return dns.name.root, False, dns.name.root

    def check_put_rdataset(self, check: Any) -> None:
        """Does nothing: add() does the checks."""

    def add_unicode(self, _: str) -> None:
        """Does nothing: the reader handles $UNICODE."""

    def _set_origin(self, origin: dns.name.Name) -> None:
        """Does nothing: the reader handles $ORIGIN."""

    def add(self, name: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> None:
        """Adds a record; raises ZoneError with its line."""
        try:
            wire = rdata.to_wire() or b""
        except (ValueError, dns.exception.DNSException) as error:
            raise self.error(str(error)) from None
        owner = self._owner(name)
        if self.reader is not None and self.reader.generating:
            self.reader.made(len(owner) + len(wire))
        self._add(owner, ttl, int(rdata.rdtype), int(rdata.covers()), wire)

    def _owner(self, name: dns.name.Name) -> bytes:
        if name is not self._last[0]:
            self._last = (name, name.to_digestable())
        return self._last[1]

    def attach(self, reader: Reader) -> None:
        """Has dnspython's reader go on where ``read`` ended.

        It knows the sink, too: ``reader`` is to be None again, or the zone stays in memory.
        """
        self.reader = reader
        self._leave(reader)

    def take(self, file: MasterFile) -> bool:
        """Adds the plain records where dnspython's reader is in a file.

        Returns whether that was all of it. Raises ZoneError.
        """
        reader = self.reader
        if reader is None or reader.current_origin is None or reader.last_name is None:
            return False
        if reader.default_ttl > TTL_MAX and not getattr(reader, "default_ttl_from_soa", False):
            # A $TTL, which dnspython has just read.
            reader.default_ttl = 0
            self._warn_of_ttl()
        if self._origin[0] is not reader.current_origin:
            self._origin = (reader.current_origin, reader.current_origin.to_wire() or b"")
        self.enter(
            self._origin[1],
            self._owner(reader.last_name),
            reader.last_ttl if reader.last_ttl_known else None,
            reader.default_ttl if reader.default_ttl_known else None,
            getattr(reader, "default_ttl_from_soa", False),
        )
        try:
            return self.read(file)
        finally:
            self._leave(reader)

    def _leave(self, reader: Reader) -> None:
        """Gives dnspython's reader what its next records inherit."""
        origin, owner, last_ttl, default_ttl, from_soa = self.leave()
        if origin != self._origin[1]:
            self._origin = (_name(origin), origin)
            reader.current_origin = self._origin[0]
        if owner != self._last[1]:
            self._last = (_name(owner), owner)
            reader.last_name = self._last[0]
        reader.last_ttl, reader.last_ttl_known = last_ttl or 0, last_ttl is not None
        reader.default_ttl, reader.default_ttl_known = default_ttl or 0, default_ttl is not None
        reader.default_ttl_from_soa = from_soa

    def _add(self, owner: bytes, ttl: int, rdtype: int, covers: int, wire: bytes) -> None:
        if not is_below(owner, self.zone.origin):
            self.warn(
                f"{name_text(owner)} is not in the zone {name_text(self.zone.origin)}: ignored;"
                " remove it, or fix $ORIGIN"
            )
            return
        if ttl > TTL_MAX:
            ttl = 0
            self._warn_of_ttl()
        try:
            self._check(owner, rdtype)
            rrset = self._rrset(owner, rdtype, covers, ttl)
        except (ValueError, dns.exception.DNSException) as error:
            raise self.error(str(error)) from None
        # RFC 2181 section 5: duplicate records count once.
        if not self._contains(rrset, wire):
            if rdtype in SINGLE and rrset.rdatas:
                raise self.error(
                    f"a second {_type_text(rdtype)} at {name_text(owner)}; remove one of them"
                )
            rrset.rdatas.append(wire)
        # RFC 2181 section 5.2: one TTL for the RRset; the lowest is safe.
        rrset.ttl = min(rrset.ttl, ttl)
        self.added()

    def _check(self, owner: bytes, rdtype: int) -> None:
        if rdtype in NOT_DATA:
            raise ValueError(
                f"{_type_text(rdtype)} is a type for messages, not for zones; remove it"
            )
        if rdtype == DNAME and owner.startswith(b"\1*"):
            self.warn(
                "a DNAME at a wildcard (RFC 6672 section 3.3): names that the wildcard makes"
                " have it, names below them are not redirected; write it at the name above"
            )
        apex = owner == self.zone.origin
        if rdtype == SOA and not apex:
            raise ValueError(
                f"an SOA below the apex; give {name_text(owner)} a zone file of its own"
            )
        if rdtype == DS and apex:
            self.warn("a DS at the apex belongs in the zone above; move it there")
        if rdtype == NS and owner.startswith(b"\1*"):
            self.warn(
                "an NS record at a wildcard (RFC 4592 section 4.2): servers differ in what it"
                " means; write it at each name"
            )

    def _rrset(self, owner: bytes, rdtype: int, covers: int, ttl: int) -> RRset:
        rrsets = others = self.zone.nodes.setdefault(owner, [])
        index = None
        if len(rrsets) >= FEW:
            index = self._index(owner, rrsets)
            if (known := index.get((rdtype, covers))) is not None:
                return known
            if rdtype != CNAME:
                others = [index[CNAME, 0]] if (CNAME, 0) in index else []
        for rrset in others:
            if rrset.rdtype == rdtype and rrset.covers == covers:
                return rrset
            # RFC 1034 section 3.6.2.
            if CNAME in (rrset.rdtype, rdtype) and not {rrset.rdtype, rdtype} & BESIDE_CNAME:
                apex = owner == self.zone.origin
                fix = "write the addresses themselves there" if apex else "keep one of them"
                raise ValueError(f"a CNAME and other data at {name_text(owner)}; {fix}")
        if len(rrsets) >= TYPES_AT_NAME:
            raise ValueError(too_many_types(name_text(owner)))
        path, line = self.location()
        rrsets.append(RRset(rdtype, covers, ttl, path, line))
        if index is not None:
            index[rdtype, covers] = rrsets[-1]
        return rrsets[-1]

    def _index(self, owner: bytes, rrsets: list[RRset]) -> dict[tuple[int, int], RRset]:
        """The RRsets of a name that has many, by type."""
        if owner not in self._indexes:
            self._indexes[owner] = {(rrset.rdtype, rrset.covers): rrset for rrset in rrsets}
        return self._indexes[owner]

    def _contains(self, rrset: RRset, wire: bytes) -> bool:
        """Whether the RRset has a record, to which it is added otherwise."""
        of_names = rrset.rdtype in NAMES
        wire = wire.lower() if of_names else wire
        if len(rrset.rdatas) < FEW:
            return wire in (map(bytes.lower, rrset.rdatas) if of_names else rrset.rdatas)
        seen = self._seen.get(id(rrset))
        if seen is None:
            seen = set(map(bytes.lower, rrset.rdatas) if of_names else rrset.rdatas)
            self._seen[id(rrset)] = seen
        known = wire in seen
        seen.add(wire)
        return known

    def location(self) -> tuple[str, int]:
        """File and line of the current record."""
        if self.file is not None:
            return self.file.path, self.file.line
        return (str(self.zone.path), 1) if self.reader is None else self.reader.location()

    def _warn_of_ttl(self) -> None:
        self.warn(f"a TTL above {TTL_MAX} counts as 0 (RFC 2181 section 8); write a smaller one")

    def warn(self, text: str) -> None:
        """A warning at the current record."""
        path, line = self.location()
        self.zone.warn(path, line, text)

    def error(self, reason: str) -> ZoneError:
        """A ZoneError at the current record."""
        path, line = self.location()
        return ZoneError(path, reason, line)


def _name(wire: bytes) -> dns.name.Name:
    """A wire name of ours: not checked as one from a message would be."""
    labels, at = [], 0
    while wire[at]:
        labels.append(wire[at + 1 : at + 1 + wire[at]])
        at += wire[at] + 1
    return dns.name.Name([*labels, b""])


def _type_text(rdtype: int) -> str:
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rdtype))
