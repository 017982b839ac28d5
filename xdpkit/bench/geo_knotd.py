"""knotd with its module geoip, for ``bench --geo``: the pool's zone as far as the module has it.

The module answers by country with a fixed list, or draws by weight for all; not both. So each
country has the first four servers of what the pool's zone would draw from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from xdpkit.bench import geo_site, peers
from xdpkit.bench.peers import KNOT_SERVER, KNOT_SOCKETS, KNOT_XDP, Peer
from xdpkit.services.dns.geo.continents import CONTINENTS

NAMES = ("", *(str(number) for number in range(4)), "all", "short")

KNOT = (
    KNOT_SERVER
    + """\
module:
  - id: mod-geoip
    file: %s
mod-geoip:
  - id: pool
    config-file: {dir}/geo.conf
    ttl: 150
    mode: geodb
    geodb-file: %s
    geodb-key: country/iso_code
zone:
  - domain: %s
    file: {dir}/pool.zone
    zonefile-sync: -1
    journal-content: none
    module: mod-geoip/pool
"""
)
_SUBNETS = "    edns-client-subnet: on\n"
_SOA = "$TTL 150\n@ SOA ns hostmaster 1 5400 5400 1209600 3600\n@ NS ns\nns A 192.0.2.1\n"


def installed(zone: dict[str, Any], database: Path) -> tuple[list[Peer], dict[str, str]]:
    """knotd with XDP and with sockets, if it and the module are there, and why they are not."""
    program = peers.find_program("knotd")[:1]
    module = _module(Path(program[0])) if program else None
    if not program or module is None:
        missing = "knotd" if not program else "knotd's module geoip (knot-module-geoip)"
        return [], {"knotd": f"no {missing}: vagrant/provision.sh bench has it"}
    answers = by_country(zone)
    files = (("geo.conf", "".join(_geo_lines(answers))), ("pool.zone", _zone_text(answers)))
    command = (program[0], "-c", "{dir}/knot.conf")
    found = []
    for name, listen in (("knotd-xdp geoip", KNOT_XDP), ("knotd geoip", KNOT_SOCKETS)):
        conf = KNOT % (_SUBNETS + listen, module, database, geo_site.ORIGIN)
        found.append(Peer(name, "dns", command, 53, (("knot.conf", conf), *files)))
    version = peers.version(program[0])
    return [replace(peer, version=version) for peer in found], {}


def _module(program: Path) -> Path | None:
    """The module's file, beside a program that was unpacked or installed."""
    found = sorted(program.parents[1].glob("lib/*/knot/modules-*/geoip.so"))
    return found[0] if found else None


def by_country(zone: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """For each name, the addresses that a country's clients get; "" are those of all others."""
    data: dict[str, dict[str, Any]] = zone["data"]

    def addresses(name: str, targets: tuple[str, ...]) -> list[str]:
        for target in targets:
            label = data.get(".".join(filter(None, (name, target))), {})
            label = data.get(label["alias"], {}) if "alias" in label else label
            if label.get("a"):
                return [each[0] for each in label["a"][: geo_site.ANSWERS]]
        return []

    return {
        name: {"": addresses(name, ("",))}
        | {
            country: addresses(name, (country, continent, ""))
            for country, continent in CONTINENTS.items()
        }
        for name in NAMES
    }


def _geo_lines(answers: dict[str, dict[str, list[str]]]) -> Iterator[str]:
    for name, countries in answers.items():
        yield f"{name}.{geo_site.ORIGIN}:\n".removeprefix(".")
        for country, addresses in countries.items():
            if country:
                yield f'  - geo: "{country.upper()}"\n    A: [ {", ".join(addresses)} ]\n'


def _zone_text(answers: dict[str, dict[str, list[str]]]) -> str:
    return _SOA + "".join(
        f"{name or '@'} A {address}\n"
        for name, countries in answers.items()
        for address in countries[""]
    )
