"""Why a JSON zone answers a client as it does: where the client is, the label, the chances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path

import dns.rdata
import dns.rdataclass
import dns.rdatatype

from xdpkit._core._geo_view import GeoView
from xdpkit.config.geo import GeoFiles
from xdpkit.services.dns.compiler.geography import Geography
from xdpkit.services.dns.geo.chances import chances
from xdpkit.services.dns.geo.closest import closest
from xdpkit.services.dns.geo.coordinates import Coordinates, distance
from xdpkit.services.dns.geo.locations import Locations, location_files, read_locations
from xdpkit.services.dns.geo.model import GeoRecord, GeoZone
from xdpkit.services.dns.geo.resolve import Candidate, resolve
from xdpkit.services.dns.geo.targets import client_targets
from xdpkit.services.dns.geo.zone_json import read_json_zone
from xdpkit.services.dns.serving.geo_servings import GeoServings
from xdpkit.services.dns.zonefile.zone import AAAA, A

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network

# What no network of the Internet has, as cext/dns/choice.c has it: RFC 6890, RFC 1918, RFC 6598.
# All that is assigned of IPv6 is 2000::/3: RFC 4291 section 2.4.
_PRIVATE = tuple(
    IPv4Network(each)
    for each in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3"),
    )
)
_ASSIGNED = IPv6Network("2000::/3")

# Records of a label that are listed, the likeliest of more; --json has all.
_SHOWN = 50


@dataclass(frozen=True, slots=True)
class RecordReason:
    """One record of the label that answers."""

    data: str
    weight: int
    health: str
    """``FILE/KEY`` of its state; empty if it has none."""
    state: str
    """healthy, unhealthy, unknown, "no file" if no status file has been read, or empty."""
    chance: float
    """Of being in an answer."""


@dataclass(frozen=True, slots=True)
class OptionReason:
    """A label whose records are answered; several where an alias has weights."""

    share: float
    """Of the answers that are made from it."""
    level: str
    """The target that matched."""
    labels: tuple[str, ...]
    """Those of aliases on the way, and that of the records; the zone's own is ``@``."""
    type: str
    ttl: int
    hosts: int
    """Records in an answer, if they fit."""
    records: tuple[RecordReason, ...]


@dataclass(frozen=True, slots=True)
class GeoReasons:
    """How the answer for a client came about."""

    address: str
    """The one that decided: of the client subnet, or of the sender."""
    decided_by: str
    """subnet or sender."""
    prefix: str
    """All clients in it get the same answers, but for chance."""
    country: str
    region: str
    region_group: str
    continent: str
    asn: int
    coordinates: tuple[float, float] | None
    """Degrees, north and east."""
    targets: tuple[str, ...]
    outcome: str
    """answer, nodata, nxdomain, referral or special."""
    options: tuple[OptionReason, ...]

    def lines(self) -> Iterator[str]:
        """For ``xdpkit query``."""
        known = [
            f"{what} {value}"
            for what, value in (
                ("country", self.country),
                ("region", self.region),
                ("region group", self.region_group),
                ("continent", self.continent),
                ("AS", self.asn),
                ("at", self.coordinates and "{:g}, {:g}".format(*self.coordinates)),
            )
            if value
        ]
        yield f"client  {self.address}, the {self.decided_by}'s: {', '.join(known) or 'not known'}"
        yield f"targets {' '.join(self.targets) or 'none'}"
        yield f"prefix  {self.prefix} decided"
        if not self.options:
            yield f"level   none: {self.outcome}"
        for option in self.options:
            share = "" if option.share == 1 else f", {option.share:.4%} of the answers"
            labels = " -> ".join(option.labels)
            yield f"level   {option.level}: label {labels}{share}"
            which = f"{option.hosts} of {len(option.records)}"
            yield f"draw    {which} {option.type}, ttl {option.ttl}"
            records = option.records
            if len(records) > _SHOWN:
                records = tuple(sorted(records, key=lambda each: -each.chance)[:_SHOWN])
            for record in records:
                health = f", {record.health} {record.state}" if record.health else ""
                weight = f"weight {record.weight}{health}"
                yield f"    {record.chance:9.4%}  {record.data}  {weight}"
            if len(records) < len(option.records):
                yield f"    and {len(option.records) - _SHOWN} that are no more likely"


def usable(subnet: Subnet | None) -> bool:
    """Whether a client subnet is one that answers are chosen by, as cext/dns/choice.c has it."""
    if subnet is None or not subnet.prefixlen:
        return False
    address = subnet.network_address
    if isinstance(address, IPv4Address):
        return not any(address in each for each in _PRIVATE)
    return address in _ASSIGNED


class GeoKnowledge:
    """Reads what reasons are made from when it is first needed: locations, and each zone."""

    def __init__(
        self,
        files: GeoFiles,
        paths: Mapping[bytes, tuple[Path, GeoView]],
        servings: GeoServings,
        cache: Path | None = None,
    ) -> None:
        self._files, self._paths, self._servings = files, paths, servings
        self._cache = cache
        self._locations: Locations | None = None
        self._zones: dict[bytes, _Zone] = {}

    def has(self, zone: bytes) -> bool:
        """Whether it is a JSON zone."""
        return zone in self._paths

    def reasons(
        self,
        zone: bytes,
        key: str,
        rdtype: int,
        sender: Address,
        subnet: Subnet | None,
        varies: bool,
    ) -> GeoReasons:
        """Those for a name of a JSON zone; ``varies``: the answer depends on the client.

        Raises ZoneError if the zone or the locations can no longer be read.
        """
        if self._locations is None:
            files = location_files(self._files.databases, self._files.own)
            self._locations = read_locations(files, self._cache, keep=False)
        if zone not in self._zones:
            path, view = self._paths[zone]
            made = read_json_zone(path, self._files.relaxed, max_hosts=self._files.max_hosts)
            self._zones[zone] = _Zone(made, view, self._files, self._locations, self._servings)
        return self._zones[zone].reasons(key, rdtype, sender, subnet, varies)


class _Zone:
    def __init__(
        self,
        zone: GeoZone,
        view: GeoView,
        files: GeoFiles,
        locations: Locations,
        servings: GeoServings,
    ) -> None:
        self._zone, self._view, self._servings = zone, view, servings
        self._locations = locations
        self._places: tuple[Coordinates | None, ...] = ()
        self._closest = any(label.closest for label in zone.labels.values())
        if self._closest:
            # Classes may be placed more roughly than clients are.
            self._places = Geography(files, None, lambda _: None).view(zone).coordinates

    def reasons(
        self, key: str, rdtype: int, sender: Address, subnet: Subnet | None, varies: bool
    ) -> GeoReasons:
        address, by = sender, "sender"
        number, scope = self._view.find(sender)
        if subnet is not None and usable(subnet):
            found, found_scope = self._view.find(subnet.network_address)
            if found:
                address, by, number, scope = subnet.network_address, "subnet", found, found_scope
        place, at = self._locations.fact(address)
        targets = client_targets(address, place, self._zone.targeting)
        here = self._places[number] if self._closest else None
        found_answer = resolve(
            self._zone,
            key,
            rdtype,
            targets,
            self._servings.healthy,
            self._servings.answer_all_unhealthy,
        )
        return GeoReasons(
            address=str(address),
            decided_by=by,
            prefix=str(ip_network((address, scope if varies else 0), strict=False)),
            country=place.country,
            region=place.region,
            region_group=place.region_group,
            continent=place.continent,
            asn=place.asn,
            coordinates=None if at is None else (at.latitude, at.longitude),
            targets=targets,
            outcome=found_answer.outcome.value,
            options=tuple(
                self._option(float(share), candidate, here)
                for share, candidate in found_answer.options
            ),
        )

    def _option(self, share: float, found: Candidate, here: Coordinates | None) -> OptionReason:
        label = self._zone.labels.get(found.key)
        every = label.records.get(found.rdtype, found.records) if label else found.records
        drawn = self._drawn(found, every, here)
        hosts, odds = len(drawn), [1.0] * len(drawn)
        if found.weights:
            pairs = zip(found.records, found.weights, strict=True)
            weight_of = {each.rdata: weight for each, weight in pairs}
            hosts = min(found.max_hosts, hosts)
            odds = chances([weight_of[each.rdata] for each in drawn], hosts)
        chance = {each.rdata: share * odd for each, odd in zip(drawn, odds, strict=True)}
        return OptionReason(
            share=share,
            level=found.target,
            labels=tuple(step.key or "@" for step in found.path),
            type=dns.rdatatype.to_text(dns.rdatatype.RdataType.make(found.rdtype)),
            ttl=found.ttl,
            hosts=hosts,
            records=tuple(
                RecordReason(
                    data_text(found.rdtype, each.rdata),
                    each.weight,
                    each.health,
                    self._servings.state_text(each.health),
                    chance.get(each.rdata, 0.0),
                )
                for each in every
            ),
        )

    def _drawn(
        self, found: Candidate, every: Sequence[GeoRecord], here: Coordinates | None
    ) -> Sequence[GeoRecord]:
        """Those among which some are drawn: with ``closest`` the nearest, if any is healthy."""
        near = found.closest and found.rdtype in (A, AAAA) and len(every) > found.max_hosts
        if not near or here is None:
            return found.records
        distances = [distance(here, self._locations.place(each.rdata)) for each in every]
        nearest = {every[i].rdata for i in closest(distances, found.max_hosts)}
        return [each for each in found.records if each.rdata in nearest] or found.records


def data_text(rdtype: int, rdata: bytes) -> str:
    """A record's data as in a master file."""
    kind = dns.rdatatype.RdataType.make(rdtype)
    return dns.rdata.from_wire(dns.rdataclass.IN, kind, rdata, 0, len(rdata)).to_text()
