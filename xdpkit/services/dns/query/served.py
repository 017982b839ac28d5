"""What a server with this configuration would answer from, loaded once for many questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import anyio
import dns.edns
import dns.message
import dns.name
import dns.rdatatype

from xdpkit._core._answer import answer
from xdpkit._core._prefix_map import AccessList
from xdpkit._core._snapshot import DnsSettings, Snapshot
from xdpkit._core._zones import ZoneArena, ZoneDirectory
from xdpkit.config.address import Address
from xdpkit.config.dns import DEFAULT_LIMITS, DnsConfig, ZoneLimits
from xdpkit.config.geo import GeoConfig, GeoFiles
from xdpkit.errors import ZoneError
from xdpkit.runtime.publisher import dns_settings
from xdpkit.services.dns.compiler import arena_file
from xdpkit.services.dns.geo.names import label_key
from xdpkit.services.dns.query.geo_reasons import GeoKnowledge, GeoReasons, Subnet
from xdpkit.services.dns.serving.explained import explained
from xdpkit.services.dns.serving.geo_servings import GeoServings
from xdpkit.services.dns.serving.load_progress import LoadProgress
from xdpkit.services.dns.serving.store import Load, load_zones
from xdpkit.services.dns.zonefile.zone import parent

Zones = Mapping[bytes, ZoneArena | None]
"""The zones by name; None: its file could not be read."""

# One client subnet of each family that may be obeyed, whoever has it.
_ANYBODY = (ip_network("1.0.0.0/32"), ip_network("2001::/128"))


@dataclass(frozen=True, slots=True)
class Served:
    """Zones, and what JSON zones are answered by."""

    zones: Zones
    directory: ZoneDirectory
    ecs: bool = False
    """Whether client subnets are obeyed."""
    knowledge: GeoKnowledge | None = None
    errors: Mapping[bytes, tuple[ZoneError, ...]] = field(default_factory=dict)
    """Of zones that have no version that loads."""
    config: DnsConfig | None = None
    """The server's, for what it says of itself."""
    addresses: Sequence[Address] = ()
    """Those of the server, whose clients are on its host."""

    def snapshot(self, max_udp: int, admitted: AccessList | None = None) -> Snapshot:
        """What the bytes call answers from."""
        return Snapshot(
            {"dns": 53},
            zones=self.directory,
            dns_max_udp=max_udp,
            dns_access=admitted,
            dns=self._settings(max_udp),
            reserved=self.addresses,
        )

    def _settings(self, max_udp: int) -> DnsSettings | dict[str, int]:
        if self.config is None:
            return {"ecs": int(self.ecs)}
        told = explained(self.config)
        told |= {"max_udp_ipv4": max_udp, "max_udp_ipv6": max_udp, "ecs": int(self.ecs)}
        if self.addresses:
            told["server_address"] = str(self.addresses[0]).encode()
        return dns_settings(self.config, **told)

    def reasons(
        self, qname: dns.name.Name, rdtype: int, sender: Address, subnet: Subnet | None
    ) -> GeoReasons | None:
        """Those of a name in a JSON zone. Raises ZoneError."""
        zone = deciding_zone(self.zones, qname.to_digestable(), rdtype)
        if zone is None or self.knowledge is None or not self.knowledge.has(zone):
            return None
        origin = dns.name.from_wire(zone, 0)[0]
        key = dns.name.from_wire(qname.to_digestable(), 0)[0].relativize(origin)
        varies = self._varies(qname, rdtype)
        return self.knowledge.reasons(zone, key_of(key), rdtype, sender, subnet, varies)

    def _varies(self, qname: dns.name.Name, rdtype: int) -> bool:
        """Whether an answer depends on the client: then it has a scope."""
        snapshot = Snapshot({"dns": 53}, zones=self.directory, dns_max_udp=1232, dns={"ecs": 1})
        for subnet in _ANYBODY:
            options: list[dns.edns.Option] = [subnet_option(subnet)]
            kind = dns.rdatatype.RdataType.make(rdtype)
            request = dns.message.make_query(qname, kind, use_edns=0, options=options)
            _, reply = answer(snapshot, "dns", request.to_wire())
            if reply is not None and scope_of(dns.message.from_wire(reply)):
                return True
        return False


def key_of(relative: dns.name.Name) -> str:
    """A label's key as JSON zones have it."""
    return label_key(relative.to_text()) if relative.labels else ""


def load_served(
    directory: Path,
    cache: Path | None = None,
    geo: GeoFiles | None = None,
    states: GeoConfig | None = None,
    limits: ZoneLimits = DEFAULT_LIMITS,
    config: DnsConfig | None = None,
    addresses: Sequence[Address] = (),
) -> Served:
    """Loads the zones of a directory, and the states of its servers.

    ``config`` and ``addresses`` are the server's, for what it says of itself.

    Raises ZoneError if the directory cannot be read, XdpkitError if the compiler does not work.
    """
    states = states or GeoConfig()
    servings = GeoServings(states.health, states.answer_all_unhealthy)

    async def load_all() -> Load:
        load = await load_zones(directory, cache, progress, keep=False, limits=limits, geo=geo)
        await servings.refresh()
        return load

    with LoadProgress(directory) as progress:
        load = anyio.run(load_all)
        progress.finish(load.summary(), load.seconds)
    table = load.table.zones
    kept = cache and arena_file.cache_directory(cache, directory)
    paths = {
        name: (Path(state.paths[0]), state.view)
        for name, state in table.items()
        if state.view is not None
    }
    return Served(
        {name: state.arena for name, state in table.items()},
        load.table.directory_of_arenas(servings),
        geo is not None and states.ecs,
        None if geo is None else GeoKnowledge(geo, paths, servings, kept),
        {
            name: load.errors[state.paths[0]]
            for name, state in table.items()
            if state.arena is None and state.paths[0] in load.errors
        },
        config,
        addresses,
    )


def subnet_option(subnet: Subnet) -> dns.edns.ECSOption:
    """The client subnet of a question, RFC 7871."""
    return dns.edns.ECSOption(str(subnet.network_address), subnet.prefixlen, 0)


def scope_of(message: dns.message.Message) -> int | None:
    """The scope of a reply's client subnet; None if it has none."""
    for option in message.options:
        if isinstance(option, dns.edns.ECSOption):
            return option.scopelen
    return None


def zone_of(zones: Zones, name: bytes, above: bool = False) -> bytes | None:
    """The name of the zone that a name is in, or with ``above``, that its parent is in."""
    name = parent(name) if above else name
    while name and name not in zones:
        name = parent(name)
    return name or None


def deciding_zone(zones: Zones, name: bytes, rdtype: int) -> bytes | None:
    """The zone that a question is answered from: zone_directory_lookup()."""
    zone = zone_of(zones, name)
    if rdtype == dns.rdatatype.DS and zone == name:
        return zone_of(zones, name, above=True) or zone
    return zone
