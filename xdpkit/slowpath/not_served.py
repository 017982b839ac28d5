"""Where a port could not be had, and why: for the log, ``status``, the metrics and ``/health``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from itertools import groupby
from typing import Any

from xdpkit.config.address import Address
from xdpkit.errors import PortTakenError, SocketError
from xdpkit.nic.os.port_holders import PortHolders
from xdpkit.slowpath.key import Key

# Addresses that a line of the log names.
_MOST_NAMED = 4


@dataclass(frozen=True)
class NotServed:
    """A service that is not answered at an address over UDP or TCP (``protocol``, lower case).

    Equal to what it was before if only the reason has changed.
    """

    protocol: str
    service: str
    address: Address
    port: int
    taken: bool = field(compare=False)
    """Another program has the port: its requests are left to it."""
    reason: str = field(compare=False)
    fix: str = field(compare=False, default="")

    def __str__(self) -> str:
        return f"{self.where}: {self.service} is not served: {self.reason}"

    @property
    def where(self) -> str:
        """Protocol, address and port."""
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{self.protocol.upper()} {host}:{self.port}"

    def facts(self) -> dict[str, Any]:
        """Its part of ``xdpkit status --json``."""
        facts = asdict(self) | {"address": str(self.address)}
        del facts["fix"]
        return facts


def not_served(protocol: str, key: Key, error: SocketError, holders: PortHolders) -> NotServed:
    """What a listener's refused socket comes to; ``holders`` knows who has the ports now."""
    text, service, port = key
    address = ip_address(text)
    if not isinstance(error, PortTakenError):
        reason = str(error).partition(": ")[2]
        return NotServed(protocol, service, address, port, False, reason)
    name = holders.name(protocol, address, port)
    fix = str(error).rpartition(": ")[2]
    return NotServed(protocol, service, address, port, True, f"in use by {name}", fix)


def lines(found: Iterable[NotServed]) -> Iterator[str]:
    """For the log: a line for each protocol, port and reason, however many addresses it is."""

    def key(each: NotServed) -> tuple[str, int, str, str, str]:
        return each.protocol, each.port, each.service, each.reason, each.fix

    for (protocol, port, service, reason, fix), members in groupby(sorted(found, key=key), key):
        where = _where(protocol, port, list(members))
        fix = f"{fix} ('ss -l{protocol[0]}np sport = :{port}' shows it)" if fix else ""
        fix = f": {fix}" if fix else ""
        yield f"{where}: {reason}, so {service} is not served there, and it is tried again{fix}"


def lines_of_freed(freed: Iterable[NotServed]) -> Iterator[str]:
    """For the log: what was in ``lines`` and is served now."""

    def key(each: NotServed) -> tuple[str, int, str]:
        return each.protocol, each.port, each.service

    for (protocol, port, service), members in groupby(sorted(freed, key=key), key):
        yield f"{_where(protocol, port, list(members))}: free again, {service} is served there"


def _where(protocol: str, port: int, members: list[NotServed]) -> str:
    """The places of a line, not all of many."""
    members.sort(key=lambda each: (each.address.version, int(each.address)))
    if len(members) == 1:
        return members[0].where
    named = ", ".join(str(each.address) for each in members[:_MOST_NAMED])
    more = f" and {len(members) - _MOST_NAMED} more" if len(members) > _MOST_NAMED else ""
    return f"{protocol.upper()} port {port} at {named}{more}"
