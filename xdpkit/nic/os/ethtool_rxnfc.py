"""Rules that steer packets to a queue ("ntuple", receive flow classification): ``ethtool -n, -N``.

Raises OSError as ``ethtool.py`` does. Only SIOCETHTOOL has them: ethtool netlink has no
messages for rules.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

from xdpkit.nic.os import ethtool

# linux/ethtool.h.
ETHTOOL_GRXCLSRLCNT = 0x2E
ETHTOOL_GRXCLSRULE = 0x2F
ETHTOOL_GRXCLSRLALL = 0x30
ETHTOOL_SRXCLSRLDEL = 0x31
ETHTOOL_SRXCLSRLINS = 0x32
UDP_V4_FLOW, UDP_V6_FLOW = 0x02, 0x06
# A flag in the table's size: the driver chooses locations; and the location that lets it.
RX_CLS_LOC_SPECIAL = 0x80000000
RX_CLS_LOC_ANY = 0xFFFFFFFF

# struct ethtool_rxnfc on 64-bit machines, with rule_cnt and the padding after it: cmd,
# flow_type, data; fs: flow_type, h_u, h_ext, m_u, m_ext, ring_cookie, location; rule_cnt.
_RXNFC = struct.Struct("=IIQ I52s20s52s20s4xQI4x I4x")
# Where rule_locs[] begins, overlapping the padding (offsetof, not sizeof).
_LOCATIONS_AT = 188
# struct ethtool_tcpip4_spec, ethtool_tcpip6_spec: source, destination, their ports, class.
_SPEC4 = struct.Struct("!4s4sHHB")
_SPEC6 = struct.Struct("!16s16sHHB")


@dataclass(frozen=True)
class FlowMatch:
    """UDP packets to an address and port, from sources whose bits under ``mask`` are ``source``."""

    destination: IPv4Address | IPv6Address
    port: int
    source: int = 0
    mask: int = 0

    def __str__(self) -> str:
        spread = f" {self.source:#x}/{self.mask:#x}" if self.mask else ""
        return f"{self.destination} {self.port}{spread}"

    @classmethod
    def parse(cls, text: str) -> FlowMatch:
        """The inverse of ``str``."""
        destination, port, *spread = text.split()
        source, mask = (int(part, 16) for part in (spread[0] if spread else "0/0").split("/"))
        return cls(ip_address(destination), int(port), source, mask)

    def flow(self) -> Flow:
        """The match in the driver's form."""
        v6 = self.destination.version == 6
        spec, size = (_SPEC6, 16) if v6 else (_SPEC4, 4)
        ones = b"\xff" * size
        value = spec.pack(
            self.source.to_bytes(size, "big"), self.destination.packed, 0, self.port, 0
        )
        mask = spec.pack(self.mask.to_bytes(size, "big"), ones, 0, 0xFFFF, 0)
        return Flow(UDP_V6_FLOW if v6 else UDP_V4_FLOW, value.ljust(52, b"\0"), mask)

    @classmethod
    def of(cls, flow: Flow) -> FlowMatch | None:
        """The match that a flow expresses; None where it is anything else."""
        if flow.kind not in (UDP_V4_FLOW, UDP_V6_FLOW):
            return None
        spec = _SPEC6 if flow.kind == UDP_V6_FLOW else _SPEC4
        source, destination, _, port, _ = spec.unpack_from(flow.value)
        mask = spec.unpack_from(flow.mask)[0]
        low, bits = (int.from_bytes(part, "big") for part in (source, mask))
        match = cls(ip_address(destination), port, low, bits)
        return match if match.flow() == flow else None


@dataclass(frozen=True)
class Flow:
    """A set of packets in the driver's form: flow type, fields and which of their bits count.

    Equal flows match the same packets: bits that the mask leaves out are zeroed in the value.
    """

    kind: int
    value: bytes
    mask: bytes

    def __post_init__(self) -> None:
        mask = self.mask.ljust(52, b"\0")
        masked = bytes(v & m for v, m in zip(self.value.ljust(52, b"\0"), mask, strict=True))
        object.__setattr__(self, "value", masked)
        object.__setattr__(self, "mask", mask)


@dataclass(frozen=True)
class Rule:
    """A rule in the table; ``cookie`` is the queue, or another action (2^64-1: drop)."""

    flow: Flow
    cookie: int


@dataclass(frozen=True)
class RuleTable:
    """The rules by location, how many fit, and whether the driver chooses the locations."""

    size: int
    chooses: bool
    rules: dict[int, Rule] = field(default_factory=dict)

    def find(self, match: FlowMatch) -> tuple[int, Rule] | None:
        """The first rule that matches exactly these packets, and its location."""
        flow = match.flow()
        return next(
            ((location, rule) for location, rule in self.rules.items() if rule.flow == flow), None
        )

    def free(self) -> int | None:
        """The last free location, as ``ethtool -N`` picks it; None where all are taken."""
        locations = range(self.size - 1, -1, -1)
        return next((each for each in locations if each not in self.rules), None)


def read(ifname: str) -> RuleTable:
    """All rules: ``ethtool -n IFNAME``."""
    answer = ethtool.command(ifname, _pack(ETHTOOL_GRXCLSRLCNT))
    count, flags = _count(answer), _RXNFC.unpack(answer)[2]
    request = _pack(ETHTOOL_GRXCLSRLALL, count=count)[:_LOCATIONS_AT].ljust(_RXNFC.size, b"\0")
    answer = ethtool.command(ifname, request + bytes(4 * count))
    size = _RXNFC.unpack_from(answer)[2] or flags & ~RX_CLS_LOC_SPECIAL
    locations = struct.unpack_from(f"={_count(answer)}I", answer, _LOCATIONS_AT)
    rules = {location: _rule(ifname, location) for location in sorted(locations)}
    return RuleTable(size, bool(flags & RX_CLS_LOC_SPECIAL), rules)


def insert(ifname: str, match: FlowMatch, cookie: int, location: int | None) -> int:
    """Adds a rule, at None: wherever the driver chooses; returns its location."""
    flow = match.flow()
    wanted = RX_CLS_LOC_ANY if location is None else location
    request = _RXNFC.pack(
        *(ETHTOOL_SRXCLSRLINS, 0, 0),
        *(flow.kind, flow.value, b"", flow.mask, b"", cookie, wanted),
        0,
    )
    taken: int = _RXNFC.unpack(ethtool.command(ifname, request))[9]
    return taken


def delete(ifname: str, location: int) -> None:
    """Deletes the rule at a location: ``ethtool -N IFNAME delete LOCATION``."""
    ethtool.command(ifname, _pack(ETHTOOL_SRXCLSRLDEL, location))


def _rule(ifname: str, location: int) -> Rule:
    answer = ethtool.command(ifname, _pack(ETHTOOL_GRXCLSRULE, location))
    kind, value, _, mask, _, cookie = _RXNFC.unpack(answer)[3:9]
    return Rule(Flow(kind, value, mask), cookie)


def _pack(number: int, location: int = 0, count: int = 0) -> bytes:
    return _RXNFC.pack(number, 0, 0, 0, b"", b"", b"", b"", 0, location, count)


def _count(answer: bytes) -> int:
    count: int = _RXNFC.unpack_from(answer)[10]
    return count
