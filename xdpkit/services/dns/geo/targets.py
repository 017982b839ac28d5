"""What a client is to the labels of a zone: its targets, from the most specific to ``@``.

A label's key is that of a name, or a name and a target: ``www``, ``www.us``; at the apex the target
alone, ``us``. The order of targets is fixed, whatever the order of the words in ``targeting``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Flag, auto
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from xdpkit.services.dns.geo.continents import CONTINENTS, REGION_GROUPS

ANYWHERE = "@"
"""The target of everybody: the plain label."""


class Targeting(Flag):
    """Which kinds of targets a zone tries."""

    IP = auto()
    ASN = auto()
    REGION = auto()
    REGIONGROUP = auto()
    COUNTRY = auto()
    CONTINENT = auto()
    GLOBAL = auto()


DEFAULT_TARGETING = Targeting.GLOBAL | Targeting.COUNTRY | Targeting.CONTINENT

_WORDS = {
    ANYWHERE: Targeting.GLOBAL,
    **{kind.name.lower(): kind for kind in Targeting if kind.name and kind is not Targeting.GLOBAL},
}
WORDS = tuple(_WORDS)


def parse_targeting(text: str) -> Targeting:
    """The words of ``targeting``; raises ValueError with the reason for one that is none."""
    found = Targeting(0)
    for word in text.split(" "):
        if word not in _WORDS:
            what = f'"{word}" is no kind of target' if word else "an empty word"
            raise ValueError(
                f"{what}: write some of {' '.join(WORDS)}, with one space between them"
            )
        found |= _WORDS[word]
    return found


@dataclass(frozen=True, slots=True)
class Location:
    """What is known of where an address is; whatever is not known is empty or 0.

    Country and region are lower-case ISO 3166 codes, the region's with its country: ``us-ca``.
    """

    country: str = ""
    region: str = ""
    asn: int = 0

    @property
    def continent(self) -> str:
        """By the country."""
        return CONTINENTS.get(self.country, "")

    @property
    def region_group(self) -> str:
        """By the region."""
        return REGION_GROUPS.get(self.region, "")


NOWHERE = Location()


def client_targets(
    address: IPv4Address | IPv6Address | None, location: Location, targeting: Targeting
) -> tuple[str, ...]:
    """The targets of a client, in the order in which labels are tried."""
    found = [
        *(address_targets(address) if address and Targeting.IP in targeting else ()),
        f"as{location.asn}" if location.asn and Targeting.ASN in targeting else "",
        location.region if Targeting.REGION in targeting else "",
        location.region_group if Targeting.REGIONGROUP in targeting else "",
        # One that is not in the table would be no label's.
        location.country if Targeting.COUNTRY in targeting and location.continent else "",
        location.continent if Targeting.CONTINENT in targeting else "",
        ANYWHERE if Targeting.GLOBAL in targeting else "",
    ]
    return tuple(dict.fromkeys(filter(None, found)))


def address_targets(address: IPv4Address | IPv6Address) -> tuple[str, str]:
    """The address, and its network: /24 of IPv4, /48 of IPv6; both may be the same."""
    length = 24 if address.version == 4 else 48
    network = ip_network((address, length), strict=False).network_address
    return f"[{address}]", f"[{network}]"


_REGION = re.compile(r"[a-z]{2}-[a-z0-9]{1,3}")
_ASN = re.compile(r"as[1-9][0-9]{0,9}")
_GROUPS = frozenset(REGION_GROUPS.values())
_CONTINENTS = frozenset(CONTINENTS.values())


def target_kind(word: str) -> Targeting:
    """Of which kind a target is; none for a word that is no target."""
    if word.startswith("["):
        return Targeting.IP if bracketed(word) == word else Targeting(0)
    if word in CONTINENTS:
        return Targeting.COUNTRY
    if word in _CONTINENTS:
        return Targeting.CONTINENT
    if _ASN.fullmatch(word) and int(word[2:]) < 1 << 32:
        return Targeting.ASN
    if word in _GROUPS:
        # Russia's districts look like regions, but no region has such a code.
        return Targeting.REGIONGROUP
    return Targeting.REGION if _REGION.fullmatch(word) else Targeting(0)


def bracketed(word: str) -> str:
    """``[ADDRESS]`` with the address in its canonical form; empty if it is none."""
    try:
        address = ip_address(word[1:-1]) if word[:1] == "[" and word[-1:] == "]" else None
    except ValueError:
        return ""
    if address is None or (isinstance(address, IPv6Address) and address.scope_id):
        return ""
    return f"[{address}]"


def split_target(key: str, targeting: Targeting) -> tuple[str, str] | None:
    """The name and the target of a label's key; None if it is no name's variant in such a zone."""
    if key.endswith("]"):
        at = key.rfind("[")
        base, word = (key[:at].removesuffix("."), key[at:]) if at >= 0 else (key, "")
    else:
        base, _, word = key.rpartition(".")
    return (base, word) if target_kind(word) & targeting else None


def join_target(name: str, target: str) -> str:
    """The key of the label that a name has for a target."""
    if target == ANYWHERE:
        return name
    return f"{name}.{target}" if name else target
