"""A GeoDNS server that is queried without a network: JSON zones, and where addresses are."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dns.edns
import dns.message

from xdpkit._core._answer import answer
from xdpkit._core._geo_selection import Selection, status_names
from xdpkit._core._geo_serving import GeoServing
from xdpkit._core._geo_view import GeoView
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._thread_state import ThreadState
from xdpkit._core._zones import ZoneArena, ZoneDirectory
from xdpkit.services.dns.geo.compile_geo import compile_geo
from xdpkit.services.dns.geo.locations import Locations
from xdpkit.services.dns.geo.variants import Variants
from xdpkit.services.dns.geo.view import View, make_view
from xdpkit.services.dns.geo.zone_json import read_json_zone

HEALTHY = 2


class GeoCall:
    """Zones by name, as their JSON documents, and master files' arenas beside them."""

    def __init__(
        self,
        directory: Path,
        zones: Mapping[str, Any],
        locations: Locations,
        others: Mapping[bytes, ZoneArena] | None = None,
    ) -> None:
        self.views: dict[str, View] = {}
        self.arenas: dict[bytes, ZoneArena] = dict(others or {})
        self._blocks: dict[bytes, GeoView] = {}
        for name, document in zones.items():
            path = directory / f"{name}.json"
            path.write_text(json.dumps(document))
            zone = read_json_zone(path)
            view = make_view(locations, Variants(zone).targets, zone.targeting, zone.closest)
            fd = os.memfd_create("test-geo")
            try:
                size = compile_geo(zone, fd, classes=view)
                arena = ZoneArena(os.pread(fd, size, 0))
            finally:
                os.close(fd)
            self.views[name] = view
            self.arenas[arena.name] = arena
            self._blocks[arena.name] = GeoView(view.block)
        self.state = ThreadState()
        self.publish()

    def publish(self, unhealthy: frozenset[str] = frozenset(), **dns_settings: Any) -> None:
        """Makes a snapshot in which these statuses are unhealthy."""
        servings = {}
        for name, view in self._blocks.items():
            arena = self.arenas[name]
            statuses = status_names(arena)
            states = bytes(0 if each in unhealthy else HEALTHY for each in statuses)
            try:
                servings[name] = GeoServing(Selection(arena, states), view)
            except ValueError as error:
                assert "no choices" in str(error)
        zones = ZoneDirectory(self.arenas.items(), servings)
        settings = {"ecs": 1, **dns_settings}
        self.snapshot = Snapshot({"dns": 53}, zones=zones, dns_max_udp=1232, dns=settings)

    def send(self, request: bytes, source: str = "192.0.2.1", tcp: bool = False) -> bytes:
        """The reply to any bytes."""
        _, reply = answer(self.snapshot, "dns", request, (source, 40000), state=self.state, tcp=tcp)
        assert reply is not None
        return reply

    def ask(
        self,
        name: str,
        rdtype: str = "A",
        source: str = "192.0.2.1",
        ecs: dns.edns.ECSOption | None = None,
        tcp: bool = False,
        **options: Any,
    ) -> dns.message.Message:
        """The parsed reply to a question, of a client or a subnet."""
        edns = {"use_edns": 0, "payload": 1232, "options": [ecs] if ecs else [], **options}
        request = dns.message.make_query(name, rdtype, **edns)
        return dns.message.from_wire(self.send(request.to_wire(), source, tcp))

    def addresses(self, name: str, source: str, **more: Any) -> list[str]:
        """The addresses of a name for a client, in their order."""
        reply = self.ask(name, "A", source, **more)
        return [each.address for rrset in reply.answer if rrset.rdtype == 1 for each in rrset]
